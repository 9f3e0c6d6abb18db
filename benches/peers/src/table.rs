//! The tables at the end: what was measured, and vouchsafe beside the others.

use std::fmt::Write as _;

use crate::measure::{Line, Outcome};
use crate::plan::System;

/// Both tables and the complaints, as Markdown.
pub fn report(outcomes: &[Outcome]) -> String {
    let rows = rows(outcomes);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "| load | nodes | bytes | system | deliveries/s | CPU us per delivery | copies | p50 ms | p99 ms | delivered | \
         of the asked | MiB before | peak | others busy |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for row in &rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.0} | {} | {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.2} |",
            row.load,
            row.nodes,
            row.size,
            row.system.title(),
            row.rate,
            number(row.cpu_us),
            number(row.copies),
            number(row.p50_ms),
            number(row.p99_ms),
            percent(Some(row.coverage)),
            percent(row.asked),
            row.before_mb,
            row.peak_mb,
            row.others,
        );
    }
    out.push_str(&ratios(&rows));
    for Outcome { line, aside } in outcomes {
        if let Some(complaint) = &aside.complaint {
            let Line { system, load, nodes, size, .. } = line;
            let _ = writeln!(out, "\n{system}, {load}, {nodes} nodes, {size} B: {complaint}");
        }
    }
    out
}

/// The median run of a system under a load.
struct Row {
    system: System,
    load: String,
    nodes: usize,
    size: usize,
    rate: f64,
    cpu_us: Option<f64>,
    copies: Option<f64>,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Of repeated runs the worst: a loss is not averaged away.
    coverage: f64,
    /// Accepted of what was asked for; the worst, too.
    asked: Option<f64>,
    before_mb: f64,
    peak_mb: f64,
    /// Processors that the rest of the machine kept busy; the worst.
    others: f64,
}

fn rows(outcomes: &[Outcome]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for Outcome { line, .. } in outcomes {
        let Some(system) = System::ALL.into_iter().find(|system| system.name() == line.system) else {
            continue;
        };
        let key = (system, &line.load, line.nodes, line.size);
        if rows.iter().any(|row| (row.system, &row.load, row.nodes, row.size) == key) {
            continue;
        }
        let runs: Vec<&Outcome> = outcomes
            .iter()
            .filter(|it| {
                (it.line.nodes, it.line.size) == (line.nodes, line.size)
                    && it.line.load == line.load
                    && it.line.system == line.system
            })
            .collect();
        let middle =
            |get: fn(&Outcome) -> Option<f64>| median(runs.iter().filter_map(|run| get(run)).collect());
        let worst =
            |get: fn(&Outcome) -> Option<f64>| runs.iter().filter_map(|run| get(run)).reduce(f64::min);
        rows.push(Row {
            system,
            load: line.load.clone(),
            nodes: line.nodes,
            size: line.size,
            rate: middle(|run| Some(run.line.deliveries_per_s)).unwrap_or(0.0),
            cpu_us: middle(|run| run.line.cpu_s_per_1000.map(|cpu| cpu * 1e3)),
            copies: middle(|run| run.line.copies),
            p50_ms: middle(|run| run.line.p50_ms),
            p99_ms: middle(|run| run.line.p99_ms),
            coverage: worst(|run| Some(run.line.coverage)).unwrap_or(0.0),
            asked: worst(|run| run.aside.asked.map(|asked| run.aside.accepted as f64 / asked as f64)),
            before_mb: middle(|run| Some(run.aside.rss_before_mb)).unwrap_or(0.0),
            peak_mb: middle(|run| Some(run.line.rss_mb)).unwrap_or(0.0),
            others: runs.iter().map(|run| run.aside.others).fold(0.0, f64::max),
        });
    }
    rows
}

/// vouchsafe's figure divided by the other's. Empty if there is nothing to compare.
fn ratios(rows: &[Row]) -> String {
    let mut out = String::new();
    for ours in rows.iter().filter(|row| row.system == System::Vouchsafe) {
        for theirs in rows {
            let same_load = (&theirs.load, theirs.nodes, theirs.size) == (&ours.load, ours.nodes, ours.size);
            if !same_load || theirs.system == System::Vouchsafe {
                continue;
            }
            let ratio = |get: fn(&Row) -> Option<f64>| number(get(ours).zip(get(theirs)).map(|(a, b)| a / b));
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                ours.load,
                ours.nodes,
                ours.size,
                theirs.system.title(),
                ratio(|row| row.cpu_us),
                ratio(|row| row.p50_ms),
                ratio(|row| row.p99_ms),
                ratio(|row| Some(row.rate)),
                ratio(|row| Some(row.peak_mb)),
            );
        }
    }
    if out.is_empty() {
        return out;
    }
    format!(
        "\nvouchsafe's figure divided by the other's:\n\n| load | nodes | bytes | against | CPU per delivery | p50 | p99 | \
         deliveries/s | peak memory |\n|---|---|---|---|---|---|---|---|---|\n{out}"
    )
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Three digits, or more if the number has them before the point.
fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value.abs() < 0.995 => format!("{value:.3}"),
        Some(value) if value.abs() < 9.95 => format!("{value:.2}"),
        Some(value) if value.abs() < 99.5 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// Rounded down, so that only what is whole reads as 100 %.
fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".into(),
        Some(share) if share >= 1.0 => "100 %".into(),
        Some(share) => format!("{:.3} %", (share * 1e5).floor() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Aside;

    fn outcome(system: System, rate: f64, coverage: f64) -> Outcome {
        let line = Line {
            system: system.name().into(),
            load: "flat-8".into(),
            nodes: 8,
            size: 256,
            deliveries_per_s: rate,
            cpu_s_per_1000: Some(0.01),
            copies: None,
            p50_ms: Some(2.0),
            p99_ms: Some(4.0),
            coverage,
            rss_mb: 100.0,
        };
        let aside = Aside { accepted: 9, asked: Some(10), rss_before_mb: 50.0, others: 0.0, complaint: None };
        Outcome { line, aside }
    }

    #[test]
    fn repeated_runs_are_one_row_with_the_median_rate_and_the_worst_coverage() {
        let runs = [
            outcome(System::Vouchsafe, 300.0, 1.0),
            outcome(System::Iroh, 100.0, 1.0),
            outcome(System::Vouchsafe, 100.0, 0.999_999_9),
            outcome(System::Vouchsafe, 200.0, 1.0),
        ];
        let report = report(&runs);
        assert!(
            report.contains(
                "| vouchsafe | 200 | 10.0 | - | 2.00 | 4.00 | 99.999 % | 90.000 % | 50 | 100 | 0.00 |"
            ),
            "{report}"
        );
        assert!(report.contains("| iroh-gossip (unsigned) | 1.00 | 1.00 | 1.00 | 2.00 | 1.00 |"), "{report}");
    }
}
