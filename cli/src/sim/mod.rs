//! `vouchsafe sim`: the production engine in a simulated network, among liars.
//!
//! ```text
//!   flags ──> Scenario, Experiment ──> library ──> Report ──> figures (table, JSON), plots (SVG)
//! ```

pub mod bar;
pub mod cost;
pub mod figures;
pub mod flags;
pub mod network;
mod plots;
pub mod shape;
mod single;
pub mod timing;

use std::path::{Path, PathBuf};

use vouchsafe::sim::{Experiment, Liar, Protocol};

use crate::exit::Failure;
use crate::files;
use flags::Part;
use network::Network;

/// Where plots go if no folder is given.
const OUT: &str = "vouchsafe-sim";

/// Simulate a network of engines among liars, and measure it
///
/// Every node is the production engine, reading and writing real frames with real signatures; only links, clocks and threads are
/// simulated. The same flags give the same run, event by event: the trace is a hash over all of them.
///
/// Prints a table and writes DIR/latency.svg and DIR/coverage.svg.
///
/// --json prints one line with: nodes, liars, adversary, rumors, coverage, complete, copies, announcements,
/// bytes_ratio, hops_max, p50_ms, p99_ms, max_ms, offences, convicted, false_bans, trace, conviction_p50_ms,
/// conviction_max_ms (null if nobody was convicted), body_bytes, entries, queued_bytes, wants. The adversary is null if
/// nobody lies.
///
/// Exit code: 0 done; 1 if an honest node banned an honest one, or a delivered rumor was delivered again; 2 for a bad value.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    network: Network,
    /// Nodes that lie, where --placement says: a count (33), a percentage (33%) or a fraction with a point (0.33)
    #[arg(long, value_name = "PART", allow_hyphen_values = true, default_value = "0", value_parser = flags::part)]
    liars: Part,
    #[arg(long, help = adversary_help(), value_name = "NAME", value_parser = clap::value_parser!(Liar))]
    adversary: Option<Liar>,
    /// Run another protocol on the same network: cycle, infect-and-die or mesh, with a number of links if wanted (cycle:4)
    #[arg(long, value_name = "PROTOCOL", default_value = "vouchsafe")]
    baseline: Protocol,
    /// Print one line of JSON and nothing else on stdout
    #[arg(long)]
    json: bool,
    /// Folder for plots, made if it is missing (vouchsafe-sim; with --json none unless given)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn adversary_help() -> String {
    format!(
        "How they lie (silent): {}; a+b for both at once; a@10 for honesty until ten seconds after the beginning",
        adversaries()
    )
}

/// All that are known by name.
pub fn adversaries() -> String {
    let names: Vec<_> = Liar::ALL.iter().map(Liar::to_string).collect();
    names.join(", ")
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let experiment = experiment(args)?;
    let out = match (&args.out, args.json) {
        (None, true) => None,
        (out, _) => Some(out.as_deref().unwrap_or(Path::new(OUT))),
    };
    if let Some(out) = out {
        files::folder(out)?;
    }
    single::run(timing::with_time(experiment), args.json, out)
}

fn experiment(args: &Args) -> Result<Experiment, Failure> {
    let nodes = args.network.nodes;
    let liars = args.liars.of(nodes);
    if liars >= nodes {
        return Err(Failure::Usage(format!(
            "--liars: {liars} of {nodes} nodes leave nobody who is honest; give at most {}",
            nodes - 1
        )));
    }
    if liars == 0 && args.adversary.is_some() {
        return Err(Failure::usage("--adversary: nobody lies; give --liars (33%), or leave it out"));
    }
    let mut experiment = args.network.experiment(nodes - liars, liars > 0)?;
    experiment.scenario.liars = liars as f64 / nodes as f64;
    experiment.scenario.liar = args.adversary.clone().unwrap_or(Liar::Silent);
    experiment.scenario.protocol = args.baseline;
    Ok(experiment)
}
