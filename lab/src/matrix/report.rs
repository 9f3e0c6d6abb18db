//! The report of a matrix: one table, and a plot for each figure that people ask for first.

use std::fmt::Write as _;
use std::path::Path;

use vouchsafe::sim::{Experiment, Liar, Protocol};
use vouchsafe_cli::chart::Bars;
use vouchsafe_cli::exit::Failure;
use vouchsafe_cli::sim::cost::Meter;
use vouchsafe_cli::sim::flags::latency_words;
use vouchsafe_cli::sim::{figures, shape};

use super::row::Figures;
use super::{Row, STRENGTHS};
use crate::files;

pub(super) const NAME: &str = "matrix.md";
/// The name of the row without liars.
pub(super) const NOBODY: &str = "(no liars)";
/// The first two cells of the table's head; the others are those of every table of many runs.
pub(super) const FIRST_CELLS: &str = "Adversary | f";
/// Stands in the sentence about the network, and in no other.
pub(super) const DIALLED: &str = " links dialled by each, ";
/// Then come the names of the rows.
pub(super) const BROKEN: &str = "**Broken promises** (false bans, or repeated deliveries): ";

/// Writes the report and its plots anew.
pub(super) fn write(
    out: &Path,
    experiment: &Experiment,
    rows: &[&Row],
    planned: usize,
    meter: &Meter,
) -> Result<(), Failure> {
    let plots = plots(rows);
    let files = plots.iter().map(|(name, _, picture)| (*name, picture.clone()));
    for (name, text) in files.chain([(NAME, markdown(experiment, rows, planned, meter, &plots))]) {
        files::replace(out, name, &text)?;
    }
    Ok(())
}

/// Name of the file, what it shows, and the picture.
type Plot = (&'static str, &'static str, String);
/// What the bars show.
type Figure = fn(Figures) -> f64;

fn plots(rows: &[&Row]) -> Vec<Plot> {
    let figures: [([&str; 2], &str, &str, Figure); 3] = [
        (["copies.svg", "baselines-copies.svg"], "Copies for each delivery", "copies", |row| row.copies),
        (["p99.svg", "baselines-p99.svg"], "Latency: 99 of 100 deliveries took no longer", "ms", |row| {
            row.p99
        }),
        (
            ["missing.svg", "baselines-missing.svg"],
            "Deliveries that did not happen",
            "% of what is owed",
            |row| row.missing,
        ),
    ];
    let baselines = rows.iter().any(|row| is_baseline(row));
    let mut plots = Vec::new();
    for ([name, beside], title, label, figure) in figures {
        let nobody = rows.iter().find(|row| row.plan.percent == 0).and_then(|row| row.figures).map(figure);
        let bars = Bars {
            title: title.to_owned(),
            note: "by adversary, and by the part of the nodes that lies".to_owned(),
            label: label.to_owned(),
            series: STRENGTHS.map(|percent| format!("{percent} % lie")).to_vec(),
            rows: groups(rows.iter().copied().filter(|row| !is_baseline(row)), figure, &STRENGTHS),
            reference: nobody.map(|value| (value, "no liars".to_owned())),
        };
        plots.extend(drawn(name, title, &bars));
        if baselines {
            let strengths: Vec<_> = STRENGTHS.into_iter().chain([0]).collect();
            let bars = Bars {
                note: "this protocol and three others, by the part of the nodes that stays silent".to_owned(),
                series: strengths.iter().map(|percent| format!("{percent} % silent")).collect(),
                rows: groups(rows.iter().copied().filter(is_compared), figure, &strengths),
                reference: None,
                ..bars
            };
            plots.extend(drawn(beside, title, &bars));
        }
    }
    plots
}

fn drawn(name: &'static str, title: &'static str, bars: &Bars) -> Option<Plot> {
    // Bars of length zero say less than a sentence.
    let any = bars.rows.iter().flat_map(|(_, bars)| bars.iter().flatten()).any(|bar| *bar > 0.0);
    any.then(|| (name, title, bars.draw()))
}

fn is_baseline(row: &Row) -> bool {
    row.plan.protocol != Protocol::Vouchsafe
}

/// Whether a row belongs beside the baselines: they all meet silent nodes.
fn is_compared(row: &&Row) -> bool {
    is_baseline(row) || row.plan.percent == 0 || row.plan.liar == Liar::Silent
}

/// One group of bars for each adversary, or for each protocol if there are several, in the order of the table.
fn groups<'a>(
    rows: impl Iterator<Item = &'a Row>,
    figure: Figure,
    strengths: &[u8],
) -> Vec<(String, Vec<Option<f64>>)> {
    let by_protocol = strengths.contains(&0);
    let mut groups: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    for row in rows {
        let Some(at) = strengths.iter().position(|percent| *percent == row.plan.percent) else { continue };
        let name = if by_protocol { row.plan.protocol.to_string() } else { row.plan.name.clone() };
        if groups.last().is_none_or(|(last, _)| *last != name) {
            groups.push((name, vec![None; strengths.len()]));
        }
        if let Some(bar) = groups.last_mut().and_then(|(_, bars)| bars.get_mut(at)) {
            *bar = row.figures.map(figure);
        }
    }
    groups
}

/// What the runs have in common: only a report with the same one can be resumed. What is usual is left out, so that reports
/// from before there was a choice stay good.
pub(super) fn sentence(experiment: &Experiment) -> String {
    let Experiment { scenario, rumors, rate, size, tail, .. } = experiment;
    let tail = match *tail == Experiment::default().tail {
        true => String::new(),
        false => format!("; {} s more after the last delivery", tail.as_secs_f64()),
    };
    format!(
        "{} nodes, {}{DIALLED}{}{}; {rumors} rumors of {size} bytes, {rate} a second{tail}; seed {}.",
        scenario.nodes,
        scenario.links,
        latency_words(&scenario.latency),
        shape::words(scenario),
        scenario.seed
    )
}

/// Writing into a `String` can't fail, hence the ignored results.
fn markdown(experiment: &Experiment, rows: &[&Row], planned: usize, meter: &Meter, plots: &[Plot]) -> String {
    let mut out = format!(
        "# Every adversary, at every strength\n\n{}\n\n{}\n\n",
        sentence(experiment),
        files::made_by(std::env::args())
    );
    if rows.len() < planned {
        let _ = writeln!(out, "**Not finished: {} of {planned} runs.**\n", rows.len());
    }
    let unsound: Vec<_> = rows.iter().filter(|row| row.fault.is_some()).map(|row| row.plan.words()).collect();
    let sound = "No honest node banned an honest one, and nothing was delivered twice, in any run.";
    let unsound_words = format!("{BROKEN}{}.", unsound.join(", "));
    let _ = writeln!(out, "{}\n", if unsound.is_empty() { sound } else { &unsound_words });
    let mut finished = rows.iter().filter(|row| !is_baseline(row)).filter_map(|row| row.figures);
    if finished.all(|figures| figures.missing <= 0.0) {
        out.push_str("With this protocol every rumor reached every honest node, in every run that came to its end.\n\n");
    }
    for (name, title, _) in plots {
        let _ = writeln!(out, "![{title}]({name})\n");
    }
    let _ = writeln!(out, "| {FIRST_CELLS} {}\n|---|---:{}", figures::CELLS, figures::CELLS_RULE);
    for row in rows {
        let _ = writeln!(out, "{}", row.line());
    }
    let cost = match rows.iter().filter(|row| row.is_earlier()).count() {
        0 => "Cost".to_owned(),
        earlier => format!("Cost of this run only, without the {earlier} rows of an earlier one"),
    };
    let _ = writeln!(out, "\n{cost}: {}.", meter.words(None, None));
    out
}

#[cfg(test)]
mod tests {
    use vouchsafe::sim::Scenario;

    use super::*;

    #[test]
    fn the_usual_sentence_is_that_of_earlier_reports() {
        let scenario = Scenario { nodes: 10_000, ..Scenario::default() };
        let mut experiment = Experiment { scenario, ..Experiment::default() };
        let usual = "10000 nodes, 12 links dialled by each, 5 to 130 ms apart by distance; 20 rumors of 300 bytes, 10 a second; seed 1.";
        assert_eq!(sentence(&experiment), usual);
        experiment.scenario.loss = 0.05;
        experiment.tail *= 2;
        assert_eq!(
            sentence(&experiment),
            usual
                .replace("distance;", "distance, 5 % of the frames lost once;")
                .replace("; seed", "; 4 s more after the last delivery; seed")
        );
    }
}
