//! The report of a study: for each parameter two plots and a table.

use std::fmt::Write as _;
use std::path::Path;

use vouchsafe::sim::{Experiment, Report};
use vouchsafe_cli::chart::{Axis, Drawn, Lines, Series};
use vouchsafe_cli::exit::Failure;
use vouchsafe_cli::sim::cost::Meter;
use vouchsafe_cli::sim::figures::{self, Columns};
use vouchsafe_cli::sim::flags::latency_words;
use vouchsafe_cli::sim::shape;

use super::{COMPANY, Parameter, Row};
use crate::files;

pub(super) const NAME: &str = "study.md";

/// What the plots show.
type Figure = fn(&Columns) -> f64;

/// A run on the terminal.
pub(super) fn line(what: &str, report: &Report) -> String {
    let Columns { coverage, copies, p50, p99, max, .. } = Columns::of(report);
    format!("{what:<34} coverage {coverage}, {copies:.2} copies, p50 {p50:.0}, p99 {p99:.0}, max {max:.0} ms")
}

pub(super) fn write(
    out: &Path,
    experiment: &Experiment,
    parameters: &[&Parameter],
    rows: &[Row],
    planned: usize,
    meter: &Meter,
) -> Result<(), Failure> {
    let mut text = head(experiment, rows.len(), planned);
    for parameter in parameters {
        let own: Vec<_> = rows.iter().filter(|row| row.parameter.name == parameter.name).collect();
        if own.is_empty() {
            continue;
        }
        let usual = (parameter.get)(&experiment.scenario);
        let _ = writeln!(text, "\n## {}\n\n{} Default {usual}.\n", parameter.label, parameter.meaning);
        let figures: [(&str, &str, Figure); 2] =
            [("copies", "copies for each delivery", |row| row.copies), ("p99", "p99, ms", |row| row.p99)];
        for (figure, label, of) in figures {
            let name = format!("{}-{figure}.svg", parameter.name);
            files::replace(out, &name, &picture(parameter, usual, &own, label, of))?;
            let _ = writeln!(text, "![{label}, by {}]({name})\n", parameter.label);
        }
        table(&mut text, parameter, &own);
    }
    let _ = writeln!(text, "\nCost: {}.", meter.words(None, None));
    files::replace(out, NAME, &text)
}

/// Writing into a `String` can't fail, hence the ignored results.
fn head(experiment: &Experiment, done: usize, planned: usize) -> String {
    let Experiment { scenario, rumors, rate, size, .. } = experiment;
    let mut out = String::from("# One parameter at a time\n\n");
    let _ = writeln!(
        out,
        "{} nodes, {}, {}{}; {rumors} rumors of {size} bytes, {rate} a second; seed {}. All other parameters have their defaults.\n\n{}",
        scenario.nodes,
        shape::links(scenario),
        latency_words(&scenario.latency),
        shape::words(scenario),
        scenario.seed,
        files::made_by(std::env::args())
    );
    if done < planned {
        let _ = writeln!(out, "\n**Not finished: {done} of {planned} runs.**");
    }
    out
}

fn table(out: &mut String, parameter: &Parameter, rows: &[&Row]) {
    let label = parameter.label;
    let _ = writeln!(out, "| {label} | who lies {}\n|---:|---{}", figures::CELLS, figures::CELLS_RULE);
    for row in rows {
        let company = COMPANY.get(row.company).map_or("", |(words, ..)| words);
        let _ = writeln!(out, "| {} | {company} {}", row.value, figures::cells(&row.report));
    }
}

fn picture(parameter: &Parameter, usual: u64, rows: &[&Row], label: &str, of: Figure) -> String {
    let points = |company: usize| -> Vec<_> {
        let own = rows.iter().filter(|row| row.company == company);
        own.map(|row| (row.value as f64, of(&Columns::of(&row.report)))).collect()
    };
    let series: Vec<_> = COMPANY
        .iter()
        .enumerate()
        .map(|(company, (name, ..))| Series {
            name: (*name).to_owned(),
            points: points(company),
            kind: Drawn::Dots,
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    let most = series.iter().flat_map(|one| &one.points).map(|(_, y)| *y).fold(0.0, f64::max);
    let values: Vec<_> = parameter.values.iter().map(|value| *value as f64).collect();
    let end = values.iter().copied().fold(0.0, f64::max);
    Lines {
        title: format!("{label}, by {}", parameter.label),
        note: "one parameter at a time; the dashed line is its default".to_owned(),
        x: if parameter.by_ratio {
            Axis::log(parameter.label, values)
        } else {
            Axis::up_to(parameter.label, end)
        },
        y: Axis::up_to(label, most),
        series,
        marks: vec![(usual as f64, format!("default {usual}"))],
        bands: Vec::new(),
    }
    .draw()
}
