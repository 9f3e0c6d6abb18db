//! The pictures of one run: how long deliveries took, and what was delivered when.

use std::time::Duration;

use vouchsafe::sim::Report;

use super::figures::{ms, percent};
use crate::chart::{Axis, Drawn, Lines, Series};

/// More points than pixels help nobody.
const POINTS: usize = 500;

/// The distribution of delays.
pub(super) fn latency(report: &Report, network: &str) -> String {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| ms(report.measures.delay(part)));
    let mark = |name: &str, value: f64| (value, format!("{name} {value:.0}"));
    let mut points = vec![(0.0, 0.0)];
    points.extend(scaled(&report.latency(POINTS), 1e3));
    Lines {
        title: format!("{} of deliveries, half of them within {p50:.0} ms", percent(report.coverage)),
        note: network.to_owned(),
        x: Axis::up_to("since the rumor was published, ms", max),
        y: Axis::percent("delivered, % of all that is owed"),
        series: vec![Series { name: String::new(), points, kind: Drawn::Steps }],
        marks: vec![mark("p50", p50), mark("p99", p99), mark("max", max)],
        bands: Vec::new(),
    }
    .draw()
}

/// What was published and delivered, over the time of the run.
pub(super) fn over_time(report: &Report, network: &str) -> String {
    let curves = report.over_time(POINTS);
    let end = curves.iter().flatten().map(|(at, _)| at.as_secs_f64()).fold(0.0, f64::max);
    let mut series = Vec::new();
    for (name, curve) in ["published", "delivered to all honest nodes"].into_iter().zip(curves) {
        let mut points = vec![(0.0, 0.0)];
        points.extend(scaled(&curve, 1.0));
        points.extend(points.last().map(|(_, y)| (end, *y)));
        series.push(Series { name: name.to_owned(), points, kind: Drawn::Steps });
    }
    // The thicker story first, so that the other line lies on top of it.
    series.reverse();
    Lines {
        title: "Coverage over time".to_owned(),
        note: network.to_owned(),
        x: Axis::up_to("since the first rumor, s", end),
        y: Axis::percent("% of all rumors, and of all deliveries that are owed"),
        series,
        marks: Vec::new(),
        bands: Vec::new(),
    }
    .draw()
}

/// Times in seconds times `unit`, parts in percent.
fn scaled(curve: &[(Duration, f64)], unit: f64) -> impl Iterator<Item = (f64, f64)> {
    curve.iter().map(move |(at, part)| (at.as_secs_f64() * unit, part * 100.0))
}
