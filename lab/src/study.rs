//! `vouchsafe-lab study`: one parameter of the engine after the other, each at several values and all others at their
//! defaults, without liars and with a third of two kinds. What does the default cost, and what would another?

mod parameter;
mod report;

use std::io::{self, Write as _};
use std::path::PathBuf;

use vouchsafe::sim::{Liar, Report};
use vouchsafe_cli::exit::{self, Failure};
use vouchsafe_cli::files;
use vouchsafe_cli::sim::bar::Bar;
use vouchsafe_cli::sim::cost::Meter;
use vouchsafe_cli::sim::figures;
use vouchsafe_cli::sim::network::Network;

use parameter::{Parameter, parameters};

/// Change one parameter of the engine at a time, without liars and with 33 % of two kinds
///
/// Each run is one of `vouchsafe sim`, and has its flags. Writes DIR/study.md with its plots.
///
/// Exit code: 0 done; 1 if an honest node banned an honest one, or a delivered rumor was delivered again; 2 for a bad value.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// What is changed: a list of eager, links, linger, hops, patience, or all
    #[arg(value_name = "NAME", required = true, value_delimiter = ',')]
    parameters: Vec<String>,
    #[command(flatten)]
    network: Network,
    /// Folder for the report and its plots, made if it is missing
    #[arg(long, value_name = "DIR", default_value = "vouchsafe-sim")]
    out: PathBuf,
}

/// Who lies, and how many percent of the nodes: nobody, those who withhold, and those who make others wait.
const COMPANY: [(&str, Liar, u8); 3] = [
    ("no liars", Liar::Silent, 0),
    ("33 % silent", Liar::Silent, 33),
    ("33 % announce-liars", Liar::Announce, 33),
];

/// One run that was made.
struct Row {
    parameter: &'static Parameter,
    value: u64,
    /// Which of [`COMPANY`].
    company: usize,
    report: Report,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let nodes = args.network.nodes;
    // Up to a third of the nodes lie.
    let experiment = &args.network.experiment(nodes - nodes.div_ceil(3), true)?;
    let parameters = &parameters(&args.parameters).map_err(Failure::Usage)?;
    let out = args.out.as_path();
    files::folder(out)?;
    let runs: Vec<_> = parameters
        .iter()
        .flat_map(|parameter| parameter.values.iter().map(|value| (*parameter, *value)))
        .flat_map(|(parameter, value)| (0..COMPANY.len()).map(move |company| (parameter, value, company)))
        .collect();
    let meter = Meter::start();
    let mut bar = Bar::new(runs.len(), true);
    let mut rows: Vec<Row> = Vec::new();
    for &(parameter, value, company) in &runs {
        let Some((words, liar, percent)) = COMPANY.get(company) else { continue };
        let what = format!("{} {value}, {words}", parameter.name);
        bar.begin(what.clone());
        let mut this = experiment.clone();
        this.scenario.liar = liar.clone();
        this.scenario.liars = f64::from(*percent) / 100.0;
        (parameter.set)(&mut this.scenario, value);
        let report = this.run(&mut |progress| bar.show(progress));
        let line = report::line(&what, &report);
        exit::progress(bar.aside(|| writeln!(io::stdout(), "{line}")))?;
        rows.push(Row { parameter, value, company, report });
        bar.one_done();
        report::write(out, experiment, parameters, &rows, runs.len(), &meter)?;
    }
    bar.end();
    exit::progress(writeln!(io::stdout(), "\nreport        {}", out.join(report::NAME).display()))?;
    let faults = rows.iter().filter_map(|row| {
        let faults = figures::faults(&row.report)?;
        Some(format!("{} {}: {faults}", row.parameter.name, row.value))
    });
    exit::verdict(faults.collect(), Ok(()))
}
