//! Runs what is planned, systems in turn, and prints medians.

use std::time::Duration;

use crate::Plan;
use crate::find::{self, Cost, Found};
use crate::items::Difference;
use crate::join::{self, Joined};

/// The middle one, or the lower of the two in the middle.
fn median<T: Copy + Ord>(mut values: Vec<T>) -> T
where
    T: Default,
{
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

fn among<T: Copy>(all: &[(&'static str, T)], plan: &Plan) -> anyhow::Result<Vec<&'static str>> {
    let Some(names) = &plan.systems else { return Ok(all.iter().map(|(name, _)| *name).collect()) };
    for name in names {
        crate::find_in(all, name)?;
    }
    Ok(all.iter().map(|(name, _)| *name).filter(|name| names.iter().any(|word| word == name)).collect())
}

fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

fn of_costs(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> u64| median(costs.iter().map(figure).collect());
    let cpu = median(costs.iter().map(|cost| cost.cpu).collect());
    Cost { up: of(|cost| cost.up), down: of(|cost| cost.down), rounds: of(|cost| cost.rounds), cpu }
}

fn row(system: find::System, found: &[Found]) -> String {
    let known = of_costs(&found.iter().map(|found| found.known).collect::<Vec<_>>());
    let come: Vec<_> = found.iter().filter_map(|found| found.come).collect();
    let first = format!("{} + {} | {} | {}", known.up, known.down, known.rounds, ms(known.cpu));
    if come.is_empty() {
        return format!("{first} | {} | | |", system.has_by_then());
    }
    let come = of_costs(&come);
    format!("{first} | {} | {} | {} |", come.up + come.down, come.rounds, ms(come.cpu))
}

pub(crate) fn find(plan: &Plan) -> anyhow::Result<()> {
    let systems = among(&find::System::ALL, plan)?;
    for count in plan.items.clone().unwrap_or_else(|| vec![100_000]) {
        println!(
            "| Missing of {count} | System | To know: bytes to who has it + back | Asked | CPU ms | To have: bytes | Asked | CPU ms |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for name in &plan.differences {
            let difference = crate::find_in(&Difference::ALL, name)?;
            let mut runs: Vec<Vec<Found>> = vec![Vec::new(); systems.len()];
            for _ in 0..plan.repeat {
                for (system, runs) in systems.iter().zip(&mut runs) {
                    let found = find::measure(system, name, count)?;
                    eprintln!("{name} {system}: {found:?}");
                    runs.extend(found);
                }
            }
            for (system, runs) in systems.iter().zip(&runs) {
                let kind = crate::find_in(&find::System::ALL, system)?;
                let row =
                    if runs.is_empty() { "no word for it | | | | | |".to_owned() } else { row(kind, runs) };
                println!("| {name} ({}) | {system} | {row}", difference.len(count));
            }
        }
    }
    Ok(())
}

pub(crate) fn join(plan: &Plan) -> anyhow::Result<()> {
    let systems = among(&join::System::ALL, plan)?;
    println!(
        "| Entries | System | All there, s | Beside, s | CPU s: server + joiner | Bytes on the wire | Packets |"
    );
    println!("|---|---|---|---|---|---|---|");
    for count in plan.items.clone().unwrap_or_else(|| vec![10_000, 100_000]) {
        let mut runs: Vec<Vec<Joined>> = vec![Vec::new(); systems.len()];
        for _ in 0..plan.repeat {
            for (system, runs) in systems.iter().zip(&mut runs) {
                let joined = join::run(system, count)?;
                eprintln!("{count} {system}: {joined:?}");
                runs.push(joined);
            }
        }
        for (system, runs) in systems.iter().zip(&runs) {
            let seconds =
                |figure: fn(&Joined) -> Duration| median(runs.iter().map(figure).collect()).as_secs_f64();
            let counted = |figure: fn(&Joined) -> u64| median(runs.iter().map(figure).collect());
            println!(
                "| {count} | {system} | {:.2} | {:.2} | {:.2} + {:.2} | {} | {} |",
                seconds(|run| run.all),
                seconds(|run| run.beside),
                seconds(|run| run.server),
                seconds(|run| run.joiner),
                counted(|run| run.bytes),
                counted(|run| run.packets)
            );
        }
    }
    Ok(())
}
