//! The report of a matrix: one table, and a plot for each figure that people ask for first.

use std::fmt::Write as _;
use std::path::Path;

use vouchsafe::sim::{Experiment, Liar, Protocol};

use super::super::cost::Meter;
use super::super::figures::{self, Columns, ms};
use super::super::files;
use super::super::flags::latency_words;
use super::{Plan, Row, STRENGTHS};
use crate::chart::Bars;
use crate::exit::Failure;

pub(super) const NAME: &str = "matrix.md";
/// The name of the row without liars.
pub(super) const NOBODY: &str = "(no liars)";
pub(super) const HEAD: &str = "adversary                  f  coverage  complete  copies  announced  hops   p50   p99   max ms  offences  convicted  false bans  seconds";

/// A row on the terminal.
pub(super) fn line(row: &Row) -> String {
    let Plan { name, percent, .. } = &row.plan;
    if !row.report.finished {
        return format!("{name:<24} {percent:>3}  {}", given_up(row));
    }
    let columns = Columns::of(&row.report);
    let Columns { coverage, complete, copies, announcements, hops, p50, p99, max, .. } = &columns;
    let Columns { offences, convicted, false_bans, .. } = &columns;
    let (coverage, seconds) = (coverage.trim_end_matches(" %"), row.seconds);
    format!(
        "{name:<24} {percent:>3}  {coverage:>8}  {complete:>8}  {copies:>6.2}  {announcements:>9.1}  {hops:>4}  {p50:>4.0}  {p99:>4.0}  {max:>7.0}  {offences:>8}  {convicted:>9}  {false_bans:>10}  {seconds:>7.1}"
    )
}

fn given_up(row: &Row) -> String {
    let simulated = row.report.elapsed.as_secs_f64();
    let over = row.over.as_deref().unwrap_or_default();
    format!("given up {over}, at {simulated:.1} simulated seconds")
}

/// Writes the report and its plots anew.
pub(super) fn write(
    out: &Path,
    experiment: &Experiment,
    rows: &[Row],
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
type Figure = fn(&Row) -> f64;

fn plots(rows: &[Row]) -> Vec<Plot> {
    let figures: [([&str; 2], &str, &str, Figure); 3] = [
        (["copies.svg", "baselines-copies.svg"], "Copies for each delivery", "copies", |row| {
            row.report.measures.copies
        }),
        (["p99.svg", "baselines-p99.svg"], "Latency: 99 of 100 deliveries took no longer", "ms", |row| {
            ms(row.report.measures.delay(0.99))
        }),
        (
            ["missing.svg", "baselines-missing.svg"],
            "Deliveries that did not happen",
            "% of what is owed",
            |row| (1.0 - row.report.coverage) * 100.0,
        ),
    ];
    let baselines = rows.iter().any(is_baseline);
    let mut plots = Vec::new();
    for ([name, beside], title, label, figure) in figures {
        let nobody = rows.iter().find(|row| row.plan.percent == 0).map(figure);
        let bars = Bars {
            title: title.to_owned(),
            note: "by adversary, and by the part of the nodes that lies".to_owned(),
            label: label.to_owned(),
            series: STRENGTHS.map(|percent| format!("{percent} % lie")).to_vec(),
            rows: groups(rows.iter().filter(|row| !is_baseline(row)), figure, &STRENGTHS),
            reference: nobody.map(|value| (value, "no liars".to_owned())),
        };
        plots.extend(drawn(name, title, &bars));
        if baselines {
            let strengths: Vec<_> = STRENGTHS.into_iter().chain([0]).collect();
            let bars = Bars {
                note: "this protocol and three others, by the part of the nodes that stays silent".to_owned(),
                series: strengths.iter().map(|percent| format!("{percent} % silent")).collect(),
                rows: groups(rows.iter().filter(is_compared), figure, &strengths),
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
            // What was given up has no figures: its own would say that the liars had won.
            *bar = row.report.finished.then(|| figure(row));
        }
    }
    groups
}

/// Writing into a `String` can't fail, hence the ignored results.
fn markdown(experiment: &Experiment, rows: &[Row], planned: usize, meter: &Meter, plots: &[Plot]) -> String {
    let Experiment { scenario, rumors, rate, size, .. } = experiment;
    let mut out = String::from("# Every adversary, at every strength\n\n");
    let _ = writeln!(
        out,
        "{} nodes, {} links dialled by each, {}; {rumors} rumors of {size} bytes, {rate} a second; seed {}.\n",
        scenario.nodes,
        scenario.links,
        latency_words(&scenario.latency),
        scenario.seed
    );
    if rows.len() < planned {
        let _ = writeln!(out, "**Not finished: {} of {planned} runs.**\n", rows.len());
    }
    let unsound: Vec<_> = rows
        .iter()
        .filter(|row| !row.report.is_sound())
        .map(|row| format!("{} at {} %", row.plan.name, row.plan.percent))
        .collect();
    let sound = "No honest node banned an honest one, and nothing was delivered twice, in any run.";
    let unsound_words =
        format!("**Broken promises** (false bans, or repeated deliveries): {}.", unsound.join(", "));
    let _ = writeln!(out, "{}\n", if unsound.is_empty() { sound } else { &unsound_words });
    let finished = |row: &&Row| row.report.finished;
    if rows.iter().filter(|row| !is_baseline(row)).filter(finished).all(|row| row.report.coverage >= 1.0) {
        out.push_str("With this protocol every rumor reached every honest node, in every run that came to its end.\n\n");
    }
    for (name, title, _) in plots {
        let _ = writeln!(out, "![{title}]({name})\n");
    }
    let _ = writeln!(out, "| Adversary | f {}\n|---|---:{}", figures::CELLS, figures::CELLS_RULE);
    for row in rows {
        let Plan { name, percent, .. } = &row.plan;
        if !row.report.finished {
            let _ = writeln!(out, "| {name} | {percent} % | {} |", given_up(row));
            continue;
        }
        let _ = writeln!(out, "| {name} | {percent} % {}", figures::cells(&row.report));
    }
    let _ = writeln!(out, "\nCost: {}.", meter.words(None));
    out
}
