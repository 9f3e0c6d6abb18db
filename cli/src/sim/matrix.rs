//! `vouchsafe sim --matrix`: every adversary in every strength, one row after the other; the report is rewritten after
//! each, so that a run that is broken off has lost nothing and can be resumed.

mod report;
mod resume;
mod row;

use std::io::{self, Write as _};
use std::path::Path;

use vouchsafe::sim::{Experiment, Liar, Protocol};

use super::bar::Bar;
use super::cost::{Limits, Meter, Watch};
use super::timing::with_time;
use crate::exit::{self, Failure};
use row::Row;

/// Percent of the nodes that lie.
const STRENGTHS: [u8; 4] = [10, 20, 33, 50];

/// One run that is to be made.
#[derive(Clone)]
struct Plan {
    /// What it is called in tables and plots.
    name: String,
    percent: u8,
    liar: Liar,
    protocol: Protocol,
}

impl Plan {
    fn words(&self) -> String {
        format!("{} at {} %", self.name, self.percent)
    }
}

/// Without `adversaries`, all of them. With `resume`, rows that an earlier report in `out` has are kept.
pub(super) fn run(
    experiment: &Experiment,
    adversaries: &[Liar],
    limits: Limits,
    resume: bool,
    out: &Path,
) -> Result<(), Failure> {
    let plans = plans(if adversaries.is_empty() { Liar::ALL } else { adversaries });
    let mut rows: Vec<Option<Row>> = match resume {
        true => resume::rows(out, experiment, &plans)?,
        false => plans.iter().map(|_| None).collect(),
    };
    let meter = Meter::start();
    let mut bar = Bar::new(plans.len(), true);
    exit::progress(writeln!(io::stdout(), "{}", row::HEAD))?;
    for (at, plan) in plans.iter().enumerate() {
        let Some(place) = rows.get_mut(at) else { continue };
        if let Some(row) = place.as_ref().filter(|row| row.is_done()) {
            exit::progress(bar.aside(|| writeln!(io::stdout(), "{}", row.shown())))?;
            bar.one_kept();
        } else {
            bar.begin(plan.words());
            let row = made(experiment, plan, limits, &bar);
            exit::progress(bar.aside(|| writeln!(io::stdout(), "{}", row.shown())))?;
            *place = Some(row);
            bar.one_done();
        }
        // What was given up before, or broke a promise, stands in the report until it has been run again.
        let rows: Vec<_> = rows.iter().flatten().collect();
        report::write(out, experiment, &rows, plans.len(), &meter)?;
    }
    bar.end();
    exit::progress(writeln!(io::stdout(), "\nreport        {}", out.join(report::NAME).display()))?;
    let faults = rows.iter().flatten().filter_map(|row| {
        let fault = row.fault.as_ref()?;
        Some(format!("{}: {fault}", row.plan.words()))
    });
    exit::verdict(faults.collect(), Ok(()))
}

fn made(experiment: &Experiment, plan: &Plan, limits: Limits, bar: &Bar) -> Row {
    let mut this = experiment.clone();
    this.scenario.liar = plan.liar.clone();
    this.scenario.protocol = plan.protocol;
    this.scenario.liars = f64::from(plan.percent) / 100.0;
    let this = with_time(this);
    let mut watch = Watch::start(limits);
    let report = this.run_while(&mut |progress| {
        bar.show(progress);
        watch.allows()
    });
    let took = watch.elapsed();
    Row::of(plan, &report, watch.over, took)
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
