//! `vouchsafe-lab matrix`: every adversary in every strength, one row after the other; the report is rewritten after
//! each, so that a run that is broken off has lost nothing and can be resumed.

mod report;
mod resume;
mod row;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use vouchsafe::sim::{Experiment, Liar, Protocol};
use vouchsafe_cli::exit::{self, Failure};
use vouchsafe_cli::files;
use vouchsafe_cli::sim::bar::Bar;
use vouchsafe_cli::sim::cost::Meter;
use vouchsafe_cli::sim::network::Network;
use vouchsafe_cli::sim::timing::with_time;
use vouchsafe_cli::sim::{adversaries, flags};

use crate::limits::{Limits, Watch};
use row::Row;

/// Percent of the nodes that lie.
const STRENGTHS: [u8; 4] = [10, 20, 33, 50];

/// Run every adversary at 0, 10, 20, 33 and 50 % of the nodes, and the baselines among silent nodes
///
/// Each run is one of `vouchsafe sim`, and has its flags. Writes DIR/matrix.md with its plots, anew after each run.
///
/// With --resume, rows that came to their end in the DIR/matrix.md of an earlier run are kept; rows that were given up, and
/// broken promises, are run again. Give the same flags as before, and run the same version: what the report says of the network
/// and its rumors is compared. With --adversary, name all that the earlier run had.
///
/// Exit code: 0 done; 1 if an honest node banned an honest one, or a delivered rumor was delivered again; 2 for a bad value.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    network: Network,
    #[arg(long, help = adversary_help(), value_name = "NAME", value_delimiter = ',', value_parser = clap::value_parser!(Liar))]
    adversary: Vec<Liar>,
    /// Keep what DIR/matrix.md of an earlier run with the same flags has, and run only the rest
    #[arg(long)]
    resume: bool,
    /// Give a run up after so much real time, since floods among many nodes take hours
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "300s", value_parser = flags::duration)]
    limit: Duration,
    /// Give a run up when it holds so much memory, for the same reason
    #[arg(long, value_name = "SIZE", default_value = "8G", value_parser = flags::memory)]
    memory: u64,
    /// Folder for the report and its plots, made if it is missing
    #[arg(long, value_name = "DIR", default_value = "vouchsafe-sim")]
    out: PathBuf,
}

fn adversary_help() -> String {
    format!(
        "A list of those that lie (all of them): {}; a+b for both at once; a@10 for honesty until ten seconds after the beginning",
        adversaries()
    )
}

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

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // Up to half of the nodes lie.
    let experiment = &args.network.experiment(args.network.nodes / 2, true)?;
    let limits = Limits { time: args.limit, memory: args.memory };
    let out = args.out.as_path();
    files::folder(out)?;
    let plans = plans(if args.adversary.is_empty() { Liar::ALL } else { &args.adversary });
    let mut rows: Vec<Option<Row>> = match args.resume {
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
