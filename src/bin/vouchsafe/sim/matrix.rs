//! `vouchsafe sim --matrix`: every adversary in every strength, one row after the other; the report is rewritten after
//! each, so that a run that is broken off has lost nothing.

mod report;

use std::io::{self, Write as _};
use std::path::Path;

use vouchsafe::sim::{Experiment, Liar, Report};

use super::bar::Bar;
use super::cost::Meter;
use super::figures;
use crate::exit::Failure;

/// Percent of the nodes that lie: the design's points.
const STRENGTHS: [u8; 4] = [10, 20, 33, 50];

/// One run that is to be made.
#[derive(Clone)]
struct Plan {
    /// What it is called in tables and plots.
    name: String,
    percent: u8,
    liar: Liar,
}

/// One run that was made.
struct Row {
    plan: Plan,
    report: Report,
    seconds: f64,
}

pub(super) fn run(experiment: &Experiment, adversaries: &[Liar], out: &Path) -> Result<(), Failure> {
    let plans = plans(adversaries);
    let meter = Meter::start();
    let mut bar = Bar::new(plans.len(), true);
    let mut rows: Vec<Row> = Vec::new();
    writeln!(io::stdout(), "{}", report::HEAD)?;
    for plan in &plans {
        bar.begin(format!("{} at {} %", plan.name, plan.percent));
        let mut this = experiment.clone();
        this.scenario.liar = plan.liar.clone();
        this.scenario.liars = f64::from(plan.percent) / 100.0;
        let before = meter.elapsed();
        let report = this.run(&mut |progress| bar.show(progress));
        let seconds = (meter.elapsed() - before).as_secs_f64();
        let row = Row { plan: plan.clone(), report, seconds };
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

/// Without liars once, since there all adversaries are the same; then each in each strength.
fn plans(adversaries: &[Liar]) -> Vec<Plan> {
    let nobody = Plan { name: report::NOBODY.to_owned(), percent: 0, liar: Liar::Silent };
    let liars = adversaries.iter().flat_map(|liar| {
        STRENGTHS.map(|percent| Plan { name: liar.to_string(), percent, liar: liar.clone() })
    });
    std::iter::once(nobody).chain(liars).collect()
}
