//! `vouchsafe sim --matrix`: every adversary in every strength, one row after the other; the report is rewritten after
//! each, so that a run that is broken off has lost nothing.

mod report;

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use vouchsafe::sim::{Experiment, Liar, Protocol, Report};

use super::bar::Bar;
use super::cost::{Limits, Meter, Watch};
use super::figures;
use crate::exit::Failure;

/// Percent of the nodes that lie: the design's points.
const STRENGTHS: [u8; 4] = [10, 20, 33, 50];

/// When [`Liar::Flash`] turns.
const FLASH: Duration = Duration::from_secs(10);
/// [`Liar::EquivocateLate`] waits for a minute; then word of it must spread.
const LATE: Duration = Duration::from_secs(65);

/// One run that is to be made.
#[derive(Clone)]
struct Plan {
    /// What it is called in tables and plots.
    name: String,
    percent: u8,
    liar: Liar,
    protocol: Protocol,
}

/// One run that was made.
struct Row {
    plan: Plan,
    report: Report,
    seconds: f64,
    /// What of it was too much, if it was given up.
    over: Option<String>,
}

pub(super) fn run(
    experiment: &Experiment,
    adversaries: &[Liar],
    limits: Limits,
    out: &Path,
) -> Result<(), Failure> {
    let plans = plans(adversaries);
    let meter = Meter::start();
    let mut bar = Bar::new(plans.len(), true);
    let mut rows: Vec<Row> = Vec::new();
    writeln!(io::stdout(), "{}", report::HEAD)?;
    for plan in &plans {
        bar.begin(format!("{} at {} %", plan.name, plan.percent));
        let mut this = experiment.clone();
        this.scenario.liar = plan.liar.clone();
        give_time(&mut this, &plan.liar);
        this.scenario.protocol = plan.protocol;
        this.scenario.liars = f64::from(plan.percent) / 100.0;
        let mut watch = Watch::start(limits);
        let report = this.run_while(&mut |progress| {
            bar.show(progress);
            watch.allows()
        });
        let seconds = watch.elapsed().as_secs_f64();
        let row = Row { plan: plan.clone(), report, seconds, over: watch.over };
        bar.aside(|| writeln!(io::stdout(), "{}", report::line(&row)))?;
        rows.push(row);
        bar.one_done();
        report::write(out, experiment, &rows, plans.len(), &meter)?;
    }
    bar.end();
    writeln!(io::stdout(), "\nreport        {}", out.join(report::NAME).display())?;
    let faults = rows.iter().filter_map(|row| {
        let faults = figures::faults(&row.report)?;
        Some(format!("{} at {} %: {faults}", row.plan.name, row.plan.percent))
    });
    let faults: Vec<_> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(Failure::Failed(faults.join("; "))) }
}

/// Some liars act late: the rumors are told around the moment when a liar turns, and who equivocates after a minute is
/// waited for.
fn give_time(experiment: &mut Experiment, liar: &Liar) {
    let turns = match liar {
        Liar::Flash => FLASH,
        Liar::From(after, _) => *after,
        Liar::EquivocateLate => return experiment.tail = experiment.tail.max(LATE),
        _ => return,
    };
    let half = Duration::from_secs_f64(experiment.rumors as f64 / experiment.rate / 2.0);
    experiment.warm_up = experiment.warm_up.max(turns.saturating_sub(half));
}

/// Without liars once, since there all adversaries are the same; then each in each strength; then, if silent nodes are
/// wanted at all, the baselines among them.
fn plans(adversaries: &[Liar]) -> Vec<Plan> {
    let plan = |name: &str, percent, liar: &Liar, protocol| Plan {
        name: name.to_owned(),
        percent,
        liar: liar.clone(),
        protocol,
    };
    let mut plans = vec![plan(report::NOBODY, 0, &Liar::Silent, Protocol::Vouchsafe)];
    for liar in adversaries {
        plans.extend(STRENGTHS.map(|percent| plan(&liar.to_string(), percent, liar, Protocol::Vouchsafe)));
    }
    if adversaries.contains(&Liar::Silent) {
        for protocol in Protocol::ALL.into_iter().filter(|protocol| *protocol != Protocol::Vouchsafe) {
            let strengths = std::iter::once(0).chain(STRENGTHS);
            plans.extend(
                strengths.map(|percent| plan(&protocol.to_string(), percent, &Liar::Silent, protocol)),
            );
        }
    }
    plans
}
