//! The picture of a run: memory, descriptors, deliveries and delays over time, with attacks and partitions behind them.

use vouchsafe_cli::chart::{Axis, Drawn, Lines, Series, stacked};

use super::Args;
use super::gauge::Sample;
use super::outcome::Outcome;

/// More points than pixels help nobody.
const POINTS: usize = 500;

pub(super) fn draw(args: &Args, outcome: &Outcome) -> String {
    let end = outcome.samples.last().map_or(1.0, |sample| sample.second);
    // Seconds for short runs, minutes for long ones.
    let (unit, label) = if end > 180.0 { (60.0, "minutes") } else { (1.0, "seconds") };
    let mut bands: Vec<_> =
        outcome.attacks.iter().map(|(_, from, to)| (from / unit, to.min(end) / unit, 0)).collect();
    bands.extend(outcome.cuts.iter().map(|(from, to)| (from / unit, to.min(end) / unit, 1)));
    bands.extend(outcome.troubles.iter().map(|(_, from, to)| (from / unit, to.min(end) / unit, 2)));
    let series =
        |name: &str, points| Series { name: name.to_owned(), points: thinned(points), kind: Drawn::Steps };
    let several = |title: String, note: &str, y: Axis, series: Vec<Series>| Lines {
        title,
        note: note.to_owned(),
        x: Axis::up_to(label, end / unit),
        y,
        series,
        marks: Vec::new(),
        bands: bands.clone(),
    };
    let chart =
        |title: String, note: &str, y: Axis, points| several(title, note, y, vec![series("", points)]);
    let of = |value: &dyn Fn(&Sample) -> Option<f64>| -> Vec<(f64, f64)> {
        outcome.samples.iter().filter_map(|one| Some((one.second / unit, value(one)?))).collect()
    };
    let most = |points: &[(f64, f64)]| points.iter().map(|(_, y)| *y).fold(0.0, f64::max);
    let memory = of(&|sample| sample.resident.map(|bytes| bytes as f64 / 1e6));
    let heap = of(&|sample| Some(sample.heap as f64 / 1e6));
    let files = of(&|sample| sample.descriptors.map(|count| count as f64));
    let delays = of(&|sample| sample.p99.map(|time| (time.as_secs_f64() * 1e3).max(1.0)));
    let rate: Vec<_> = outcome
        .samples
        .windows(2)
        .map(|two| {
            let (time, count) = (two[1].second - two[0].second, two[1].delivered - two[0].delivered);
            (two[1].second / unit, count as f64 / time.max(0.001))
        })
        .collect();
    let red = "red: attacks under way, darker where several are; blue: partitions; green: nodes in trouble";
    let charts = [
        several(
            format!("{} honest nodes under churn, attacks and partitions", args.nodes),
            red,
            Axis::up_to("memory of the process, MB", most(&memory).max(most(&heap))),
            vec![series("resident", memory), series("heap in use", heap)],
        ),
        chart(
            "Open descriptors".to_owned(),
            "attackers' sockets included",
            Axis::up_to("descriptors", most(&files)),
            files,
        ),
        chart("Deliveries".to_owned(), "", Axis::up_to("deliveries a second", most(&rate)), rate),
        chart(
            "The slowest hundredth".to_owned(),
            "after a partition this is its length: what was said meanwhile arrives late",
            Axis::log("p99 from publishing to delivery, ms", vec![1.0, 10.0, 100.0, 1e3, 1e4, 6e4]),
            delays,
        ),
    ];
    stacked("A soak", &charts)
}

/// Of each stretch the highest point, so that no peak is lost.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(POINTS).max(1);
    let highest = |stretch: &[(f64, f64)]| stretch.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    points.chunks(stretch).filter_map(highest).collect()
}
