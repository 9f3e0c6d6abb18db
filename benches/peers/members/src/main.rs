//! Members of this library beside those of others, in networks of the same shape: `README.md` says what is measured, and how.

mod rows;
mod sockets;
mod systems;

use std::time::Instant;

use rows::{ROWS, Row};
use systems::Kind;

const USAGE: &str = "vouchsafe-members [--rows crash,loss,pause,idle,wire,fail,revive] [--nodes 20,100] [--systems ours,foca-lan,foca-wan,chitchat] [--seed 1]";

struct Plan {
    rows: Vec<&'static Row>,
    nodes: Vec<usize>,
    systems: Vec<Kind>,
    seed: u64,
}

fn find_row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

fn find_system(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
}

fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    text.split(',').map(|word| one(word).ok_or_else(|| format!("{word:?} is unknown: {USAGE}"))).collect()
}

fn plan() -> Result<Plan, String> {
    let mut plan = Plan {
        rows: ROWS.iter().filter(|row| row.name != "wire").collect(),
        nodes: vec![20, 100],
        systems: list("ours,foca-lan,foca-wan,chitchat", find_system)?,
        seed: 1,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value: {USAGE}"))?;
        match word.as_str() {
            "--rows" => plan.rows = list(&value, find_row)?,
            "--nodes" => plan.nodes = list(&value, |word| word.parse().ok().filter(|nodes| *nodes >= 10))?,
            "--systems" => plan.systems = list(&value, find_system)?,
            "--seed" => plan.seed = value.parse().map_err(|error| format!("--seed: {error}"))?,
            _ => return Err(format!("{word:?} is unknown: {USAGE}")),
        }
    }
    Ok(plan)
}

fn main() -> Result<(), String> {
    let plan = plan()?;
    let names: Vec<_> = plan.systems.iter().map(|kind| kind.name()).collect();
    println!("| | Nodes | {} |", names.join(" | "));
    println!("|---|---|{}", "---|".repeat(names.len()));
    for row in &plan.rows {
        for nodes in &plan.nodes {
            let cell = |kind: &Kind| {
                let begun = Instant::now();
                let cell = (row.run)(*kind, *nodes, plan.seed);
                let took = begun.elapsed().as_secs_f64();
                eprintln!(
                    "{} among {nodes}, {}: {cell} ({took:.1} s of this machine)",
                    row.name,
                    kind.name()
                );
                cell
            };
            let cells: Vec<_> = plan.systems.iter().map(cell).collect();
            println!("| {} | {nodes} | {} |", row.what, cells.join(" | "));
        }
    }
    Ok(())
}
