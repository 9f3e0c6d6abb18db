//! `vouchsafe sim`: the production engine in a simulated network, among liars; the textbook's epidemic; all liars in turn.
//!
//! ```text
//!   flags ──> Scenario, Experiment ──> library ──> Report ──> figures (table, JSON), plots (SVG)
//!     ├─────> study: one parameter of the engine after the other
//!     ├─────> matrix: one experiment a row, the report rewritten after each, and resumed if wanted
//!     └─────> classic: cycles by seed, beside the formula
//! ```

pub(crate) mod bar;
mod classic;
mod cost;
mod figures;
mod files;
mod flags;
mod matrix;
mod plots;
mod shape;
mod single;
mod study;
mod timing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use vouchsafe::Topic;
use vouchsafe::rumor::{Guarantee, MAX_BODY};
use vouchsafe::sim::{Churn, Experiment, Latency, Liar, Placement, Protocol, Scenario, Start, Topology};

use crate::exit::Failure;
use flags::Part;

/// Sizes that `--classic` shows if none are given: the textbook's.
const CLASSIC_NODES: [usize; 4] = [20, 40, 80, 160];
const NODES: usize = 1_000;
/// Where plots and reports go if no folder is given.
const OUT: &str = "vouchsafe-sim";
/// Half of the slots that an honest node has in a second: nobody waits for a slot, so that delays are the network's.
const PER_NODE: f64 = 32.0;

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
/// --classic measures the textbook's epidemic instead, without this protocol: cycles until all know, beside log(n)/log(fanout).
///
/// --matrix runs every adversary at 0, 10, 20, 33 and 50 % of the nodes, and the baselines among silent nodes, and writes
/// DIR/matrix.md with its plots, anew after each run. With --resume, rows that came to their end in the DIR/matrix.md of an
/// earlier run are kept; rows that were given up, and broken promises, are run again. Give the same flags as before, and run
/// the same version: what the report says of the network and its rumors is compared. With --adversary, name all that the
/// earlier run had.
///
/// --study changes one parameter of the engine at a time (eager, links, linger, hops, patience, or all), without liars and with
/// 33 % of two kinds, and writes DIR/study.md with its plots.
///
/// Exit code: 0 done; 1 if an honest node banned an honest one, or a delivered rumor was delivered again; 2 for a bad value.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Nodes in all, liars included (1000); with --classic a list (20,40,80,160)
    #[arg(long, value_name = "N", value_delimiter = ',', allow_hyphen_values = true, value_parser = flags::nodes)]
    nodes: Vec<usize>,
    /// Links that each node dials; about as many are dialled by others
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 12, conflicts_with = "classic", value_parser = clap::value_parser!(u16).range(1..=48))]
    links: u16,
    /// Nodes that lie, where --placement says: a count (33), a percentage (33%) or a fraction with a point (0.33)
    #[arg(long, value_name = "PART", allow_hyphen_values = true, default_value = "0", conflicts_with_all = ["classic", "matrix"], value_parser = flags::part)]
    liars: Part,
    #[arg(long, help = adversary_help(), value_name = "NAME", value_delimiter = ',', conflicts_with = "classic", value_parser = clap::value_parser!(Liar))]
    adversary: Vec<Liar>,
    /// Rumors that honest nodes publish, in turn
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, conflicts_with = "classic", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rumors: u32,
    /// Rumors a second in the whole network
    #[arg(long, value_name = "R", allow_hyphen_values = true, default_value = "10", conflicts_with = "classic", value_parser = flags::rate)]
    rate: f64,
    /// Bytes of a rumor (300, 16k; k is 1024)
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, default_value = "300", conflicts_with = "classic", value_parser = flags::size)]
    size: usize,
    /// One-way delay of links, milliseconds: geometric (5 to 130, by distance), A-B, N for all, or table:FILE with a
    /// row for each region (- is stdin); each frame takes up to 2 ms more, at random
    #[arg(long, value_name = "DELAY", allow_hyphen_values = true, default_value = "geometric", conflicts_with = "classic", value_parser = flags::latency)]
    latency: Latency,
    /// Chance of a frame to be lost once; it arrives after a retransmission
    #[arg(long, value_name = "PART", allow_hyphen_values = true, default_value = "0", conflicts_with = "classic", value_parser = flags::fraction)]
    loss: f64,
    /// Who has a link to whom: random, regular, hub[:N] (all dial these too), small-world[:PERCENT], or edges:FILE
    /// with two numbers a line (- is stdin)
    #[arg(long, value_name = "KIND", allow_hyphen_values = true, default_value = "random", conflicts_with = "classic", value_parser = shape::topology)]
    topology: Topology,
    /// Where liars sit: random, cut (where the network is narrowest), or around[:NODE] (all its neighbours but one first)
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true, default_value = "random", conflicts_with = "classic", value_parser = shape::placement)]
    placement: Placement,
    /// Honest nodes that leave and that come, each second: R for both, or LEAVE:JOIN
    #[arg(long, value_name = "R", allow_hyphen_values = true, conflicts_with = "classic", value_parser = shape::churn)]
    churn: Option<Churn>,
    /// Begin without a link: every node dials within the first second
    #[arg(long, conflicts_with = "classic")]
    cold: bool,
    /// Honest nodes that each liar dials a second, for every inbound place it can get (--adversary slots does so by itself)
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0, conflicts_with = "classic", value_parser = clap::value_parser!(u16).range(0..=1_000))]
    grasp: u16,
    /// Bytes a second that a node can send (500k, 2M; k is 1024, M is 1024k); without it there is no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, conflicts_with = "classic", value_parser = flags::uplink)]
    uplink: Option<u64>,
    /// Deliver only after this time, and neither of two conflicting rumors (2s, 500ms)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "classic", value_parser = flags::hold_back)]
    hold_back: Option<Duration>,
    /// Most difference of a clock from true time (10s)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "0s", conflicts_with = "classic", value_parser = flags::duration)]
    clock_spread: Duration,
    /// Go on for so long after the last delivery (2s); longer for liars that act late
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "classic", value_parser = flags::duration)]
    tail: Option<Duration>,
    /// Decides everything that is left to chance
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    seed: u64,
    /// Run another protocol on the same network: cycle, infect-and-die or mesh, with a number of links if wanted (cycle:4)
    #[arg(long, value_name = "PROTOCOL", default_value = "vouchsafe", conflicts_with_all = ["classic", "matrix"])]
    baseline: Protocol,
    /// Print one line of JSON and nothing else on stdout
    #[arg(long, conflicts_with_all = ["classic", "matrix"])]
    json: bool,
    /// Folder for plots and reports, made if it is missing (vouchsafe-sim; with --json none unless given)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Measure the textbook's epidemic
    #[arg(long, conflicts_with = "matrix")]
    classic: bool,
    // No `requires` on what belongs to one mode: clap does not ask for a flag that conflicts with another that is given, and
    // then ignores in silence what needs it. `fit_their_mode` asks.
    /// With --classic: others that each node tells in a cycle (4)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(2..))]
    fanout: Option<u16>,
    /// With --classic: runs of each size, each with a seed of its own (1000)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    seeds: Option<u32>,
    /// Run every adversary at 0, 10, 20, 33 and 50 % of the nodes
    #[arg(long)]
    matrix: bool,
    /// With --matrix: keep what DIR/matrix.md of an earlier run with the same flags has, and run only the rest
    #[arg(long)]
    resume: bool,
    /// Change one parameter at a time: a list of eager, links, linger, hops, patience, or all
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["classic", "matrix", "json", "liars", "adversary", "baseline"])]
    study: Vec<String>,
    /// With --matrix: give a run up after so much real time, since floods among many nodes take hours (300s)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = flags::duration)]
    limit: Option<Duration>,
    /// With --matrix: give a run up when it holds so much memory, for the same reason (8G)
    #[arg(long, value_name = "SIZE", value_parser = flags::memory)]
    memory: Option<u64>,
}

/// What [`Args::fanout`] and the others are if they are not given.
const FANOUT: u16 = 4;
const SEEDS: u32 = 1_000;
const LIMITS: cost::Limits = cost::Limits { time: Duration::from_secs(300), memory: 8 << 30 };

fn adversary_help() -> String {
    let names: Vec<_> = Liar::ALL.iter().map(Liar::to_string).collect();
    format!(
        "How they lie (silent): {}; a+b for both at once; a@10 for honesty until ten seconds after the beginning. With \
         --matrix a list, and without it all of them",
        names.join(", ")
    )
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    fit_their_mode(args)?;
    if args.classic {
        let nodes = if args.nodes.is_empty() { &CLASSIC_NODES[..] } else { &args.nodes };
        let (fanout, seeds) = (args.fanout.unwrap_or(FANOUT), args.seeds.unwrap_or(SEEDS));
        return classic::run(nodes, fanout.into(), args.seed, seeds, &folder(args)?);
    }
    let experiment = experiment(args)?;
    if !args.study.is_empty() {
        let parameters =
            study::parameters(&args.study).map_err(|what| Failure::Usage(format!("--study: {what}")))?;
        return study::run(&experiment, &parameters, &folder(args)?);
    }
    if args.matrix {
        let limits = cost::Limits {
            time: args.limit.unwrap_or(LIMITS.time),
            memory: args.memory.unwrap_or(LIMITS.memory),
        };
        return matrix::run(&experiment, &args.adversary, limits, args.resume, &folder(args)?);
    }
    let out = if args.json && args.out.is_none() { None } else { Some(folder(args)?) };
    single::run(timing::with_time(experiment), args.json, out.as_deref())
}

/// Refuses flags that mean nothing in the mode that was chosen.
fn fit_their_mode(args: &Args) -> Result<(), Failure> {
    let owned = [
        ("--fanout", args.fanout.is_some(), "--classic", args.classic),
        ("--seeds", args.seeds.is_some(), "--classic", args.classic),
        ("--resume", args.resume, "--matrix", args.matrix),
        ("--limit", args.limit.is_some(), "--matrix", args.matrix),
        ("--memory", args.memory.is_some(), "--matrix", args.matrix),
    ];
    match owned.into_iter().find(|(_, given, _, chosen)| *given && !chosen) {
        Some((flag, _, mode, _)) => Err(Failure::Usage(format!(
            "{flag} means something with {mode} only: give {mode}, without the flags of other runs, or leave {flag} out"
        ))),
        None => Ok(()),
    }
}

/// The folder for what is written.
fn folder(args: &Args) -> Result<PathBuf, Failure> {
    let out = args.out.as_deref().unwrap_or(Path::new(OUT));
    crate::files::folder(out)?;
    Ok(out.to_owned())
}

fn experiment(args: &Args) -> Result<Experiment, Failure> {
    let nodes = match args.nodes[..] {
        [] => NODES,
        [nodes] => nodes,
        _ => return Err(Failure::usage("--nodes: a list is for --classic; give one number of nodes")),
    };
    let liar = match (&args.adversary[..], args.matrix) {
        ([], _) | (_, true) => Liar::Silent,
        ([liar], false) => liar.clone(),
        _ => {
            return Err(Failure::usage(
                "--adversary: a list is for --matrix; give one name, or a+b for both at once",
            ));
        }
    };
    let liars = args.liars.of(nodes);
    if liars >= nodes {
        return Err(Failure::Usage(format!(
            "--liars: {liars} of {nodes} nodes leave nobody who is honest; give at most {}",
            nodes - 1
        )));
    }
    if liars == 0 && !args.matrix && !args.adversary.is_empty() {
        return Err(Failure::usage("--adversary: nobody lies; give --liars (33%), or leave it out"));
    }
    let rate = args.rate;
    // In the matrix up to half of the nodes lie.
    let honest = match (args.matrix, args.study.is_empty()) {
        (true, _) => nodes / 2,
        (_, false) => nodes - nodes.div_ceil(3),
        _ => nodes - liars,
    };
    let most = honest as f64 * PER_NODE;
    if rate > most {
        return Err(Failure::Usage(format!(
            "--rate {rate}: {honest} honest nodes have slots for some {most} rumors a second; give at most that, or more nodes"
        )));
    }
    let mut topic = Topic::named("simulation").max_body(MAX_BODY);
    if let Some(delay) = args.hold_back {
        topic = topic.guarantee(Guarantee::HoldBack(delay));
    }
    let scenario = Scenario {
        nodes,
        links: args.links.into(),
        latency: args.latency.clone(),
        loss: args.loss,
        uplink: args.uplink,
        liars: liars as f64 / nodes as f64,
        liar,
        topology: args.topology.clone(),
        placement: args.placement,
        churn: args.churn,
        start: if args.cold { Start::Cold } else { Start::Linked },
        grasping: args.grasp.into(),
        clock_spread: args.clock_spread,
        protocol: args.baseline,
        topic,
        seed: args.seed,
        ..Scenario::default()
    };
    shape::check(&scenario, liars > 0 || args.matrix || !args.study.is_empty())?;
    let usual = Experiment::default();
    let tail = args.tail.unwrap_or(usual.tail);
    Ok(Experiment { scenario, rumors: args.rumors as usize, rate, size: args.size, tail, ..usual })
}
