//! `vouchsafe sim --classic`: the textbook's formula beside the cycles that its epidemic really takes.

use std::fmt::Write as _;
use std::path::Path;

use vouchsafe::sim::classic::{Cycles, cycles, textbook};

use super::bar::Bar;
use crate::chart::{Axis, Drawn, Lines, Series};
use crate::exit::{self, Failure};

struct Row {
    nodes: usize,
    formula: f64,
    measured: Cycles,
}

pub(super) fn run(nodes: &[usize], fanout: usize, seed: u64, seeds: u32, out: &Path) -> Result<(), Failure> {
    if let Some(few) = nodes.iter().find(|nodes| fanout >= **nodes) {
        return Err(Failure::Usage(format!(
            "--fanout {fanout} with {few} nodes: a node can't tell more others than there are; give a fanout of at most {}",
            few - 1
        )));
    }
    let mut bar = Bar::new(nodes.len(), true);
    let mut rows = Vec::new();
    for &nodes in nodes {
        bar.begin(format!("{nodes} nodes"));
        let runs = (0..seeds).filter_map(|number| {
            bar.part(f64::from(number) / f64::from(seeds));
            cycles(nodes, fanout, seed.wrapping_add(u64::from(number)))
        });
        let measured = Cycles::of(runs.collect());
        rows.push(Row { nodes, formula: textbook(nodes, fanout), measured });
        bar.one_done();
    }
    bar.end();
    let path = out.join("classic.svg");
    let drawn = std::fs::write(&path, picture(&rows, fanout, seeds));
    let shown = match &drawn {
        Ok(()) => format!("{}\nplot          {}\n", table(&rows, fanout, seeds), path.display()),
        Err(_) => table(&rows, fanout, seeds),
    };
    exit::print(&shown)?;
    drawn.map_err(|error| Failure::file(&path, &error))
}

fn table(rows: &[Row], fanout: usize, seeds: u32) -> String {
    let mut out = format!(
        "Each node that knows tells {fanout} random others in each cycle; {seeds} seeds for each size.\n\n   nodes  log(n)/log({fanout})  cycles p50  p99  max\n"
    );
    let wide = format!("log(n)/log({fanout})").len();
    for Row { nodes, formula, measured: Cycles { p50, p99, max, .. } } in rows {
        let _ = writeln!(out, "{nodes:>8}  {formula:>wide$.2}  {p50:>10}  {p99:>3}  {max:>3}");
    }
    out
}

fn picture(rows: &[Row], fanout: usize, seeds: u32) -> String {
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted.sort_by_key(|row| row.nodes);
    let line = |name: String, of: fn(&Row) -> f64| {
        let points = sorted.iter().map(|row| (row.nodes as f64, of(row))).collect();
        Series { name, points, kind: Drawn::Dots }
    };
    let most = rows.iter().map(|row| row.measured.max).max().unwrap_or(1);
    let mut sizes: Vec<_> = sorted.iter().map(|row| row.nodes as f64).collect();
    sizes.dedup();
    Lines {
        title: "The classic epidemic: formula and measurement".to_owned(),
        note: format!("each node that knows tells {fanout} random others a cycle; {seeds} seeds"),
        x: Axis::log("nodes (logarithmic)", sizes),
        y: Axis::up_to("cycles until all know", f64::from(most)),
        series: vec![
            // In the order in which they lie above each other.
            line("max".into(), |row| f64::from(row.measured.max)),
            line("p99".into(), |row| f64::from(row.measured.p99)),
            line("p50".into(), |row| f64::from(row.measured.p50)),
            line(format!("log(n)/log({fanout})"), |row| row.formula),
        ],
        marks: Vec::new(),
        bands: Vec::new(),
    }
    .draw()
}
