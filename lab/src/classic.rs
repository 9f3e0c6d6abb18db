//! `vouchsafe-lab classic`: the textbook's formula beside the cycles that its epidemic really takes.

use std::fmt::Write as _;
use std::path::PathBuf;

use vouchsafe::sim::classic::{Cycles, cycles, textbook};
use vouchsafe_cli::chart::{Axis, Drawn, Lines, Series};
use vouchsafe_cli::exit::{self, Failure};
use vouchsafe_cli::files;
use vouchsafe_cli::sim::bar::Bar;
use vouchsafe_cli::sim::flags;

/// Measure the textbook's epidemic, without this protocol: cycles until all know, beside log(n)/log(fanout)
///
/// Prints a table and writes DIR/classic.svg.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Sizes of networks, with commas
    #[arg(long, value_name = "N", value_delimiter = ',', allow_hyphen_values = true, default_value = "20,40,80,160", value_parser = flags::nodes)]
    nodes: Vec<usize>,
    /// Others that each node tells in a cycle
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
    fanout: u16,
    /// Decides everything that is left to chance
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    seed: u64,
    /// Runs of each size, each with a seed of its own
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    seeds: u32,
    /// Folder for the plot, made if it is missing
    #[arg(long, value_name = "DIR", default_value = "vouchsafe-sim")]
    out: PathBuf,
}

struct Row {
    nodes: usize,
    formula: f64,
    measured: Cycles,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let Args { nodes, fanout, seed, seeds, out } = args;
    let (fanout, seed, seeds) = (usize::from(*fanout), *seed, *seeds);
    files::folder(out)?;
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
