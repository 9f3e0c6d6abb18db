//! `vouchsafe-lab soak`: honest nodes under churn, attacks and partitions for as long as wanted, with every promise checked.
//!
//! ```text
//!   schedule (seeded): churn, attacks, partitions ──> world (nodes with sockets that can be cut), attacks (hostile peers)
//!                                                          │ deliveries, events, statistics
//!                                                          ▼
//!   publisher ──────────────> run: one loop ──> promises (lost? twice? forged? blamed? over a cap?)
//!                                  └─ each second ──> gauge (memory, descriptors) ──> soak.jsonl, soak.svg, verdict
//! ```

mod attacks;
mod gauge;
mod members;
mod outcome;
mod past;
mod picture;
mod plan;
mod promises;
mod report;
mod run;
mod schedule;
mod socket;
mod trouble;
mod watch;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use vouchsafe_cli::exit::{self, Failure};
use vouchsafe_cli::files;

/// Let honest nodes live through churn, attacks and partitions, and check every promise
///
/// Starts honest nodes in this process, joined at random over real QUIC on the loopback interface, which publish all the time.
/// Meanwhile nodes leave in order or crash, and come back with the same key and position log or as somebody new; up to four attacks
/// at once run for 10 to 40 s each; and now and then the sockets drop everything between two groups of nodes for 5 to 25 s.
/// And single nodes are in trouble: a clock jumps by seconds, hours or days and back, records are slow or fail, validators
/// are slow, a node leaves its topic and joins it again, or keeps a peer that refuses it, hangs up or never says hello.
///
/// What is checked, all the time:
/// lost: of a set of honest nodes joined for --within seconds by links that stay up and uncut, whatever one holds at the
/// beginning all have been given at the end (of rumors no older than 45 s then: a minute is the delivery window);
/// twice, forged: nothing is delivered twice to one life of a node, or in the name of an honest author that did not say it;
/// blamed: no honest node bans, convicts or suspects an honest key; caps: links, queues and tables keep their limits;
/// ended, hangs: a node that was not told to end answers within 10 s, every publish included; and nothing panics;
/// healed: --heal seconds after its trouble is over, a node hears and is heard (lost), and publishes (hangs, refused);
/// alone: a node has a link to an honest one, --heal seconds after it came, its trouble was over, or the network whole;
/// dials: a kept peer that won't have a node is dialled at most 16 times in a minute, and never twice at once;
/// failed, gone, members: with nothing to disturb it and the network for two minutes, no node shows a member that lives as failed, or
/// one that has gone as here; at the end, every node comes to show every other as alive;
/// past: two of three nodes keep an hour on disk, the others what they can in memory; a disk is lost now and then. A reader of each
/// node stores its cursor with what it counts, through all lives of the node. With all attackers gone, all readers come to have the
/// same past of what honest nodes said, each rumor once, and what was confirmed to be stored is in it;
/// cursor: no reader is told that its cursor is another store's, unless its disk was lost;
/// tables: with all attackers gone, a node comes to have nothing wanted, owed or waiting;
/// memory: in runs of 20 minutes or more there are two lulls of 4 minutes, after a quarter of the run and at its end, in which
/// nothing disturbs the nodes; in the last minute of the second the median of the heap is less than 5 % above that in the last
/// minute of the first (resident memory is shown: it has in it what the allocator keeps for later);
/// descriptors: with all attackers gone and all nodes up, no more are open at the end than were at the beginning.
///
/// Writes DIR/soak.jsonl, a line a second, and DIR/soak.svg; while it runs, DIR/soak.positions with what the nodes keep.
///
/// Exit code: 0 if all promises were kept; 1 if not; 2 for a bad value.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// How long, in minutes
    #[arg(long, value_name = "M", allow_hyphen_values = true, default_value = "60", value_parser = minutes)]
    minutes: Duration,
    /// Honest nodes
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(4..=100))]
    nodes: u16,
    /// Rumors a second that the honest nodes publish, together
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    rate: u16,
    /// Seconds in which a rumor must cross links that stay up
    #[arg(long, value_name = "S", allow_negative_numbers = true, default_value_t = 15, value_parser = clap::value_parser!(u16).range(2..=30))]
    within: u16,
    /// Seconds in which a node must hear and be heard, and have answered every publish, after its trouble is over
    #[arg(long, value_name = "S", allow_negative_numbers = true, default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..=120))]
    heal: u16,
    /// What goes wrong with single nodes: all, none, or some of clock, disk, validators, topic, peers, with commas
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = Troubles::parse)]
    troubles: Troubles,
    /// Decides who is linked with whom, and what happens when; keys and timings are new in every run
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    seed: u64,
    /// Folder for what is written; made if it is missing
    #[arg(long, value_name = "DIR", default_value = "vouchsafe-soak")]
    out: PathBuf,
    /// Print one line of JSON and nothing else on stdout
    #[arg(long)]
    json: bool,
}

/// What `--troubles` allows.
#[derive(Clone, Debug)]
struct Troubles(Vec<trouble::Trouble>);

impl Troubles {
    fn parse(text: &str) -> Result<Self, String> {
        trouble::troubles(text).map(Self)
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "give a number of minutes, as in 60 or 0.5".to_owned())?;
    match minutes {
        minutes if (0.1..=10_080.0).contains(&minutes) => Ok(Duration::from_secs_f64(minutes * 60.0)),
        _ => Err("give 0.1 to 10080 minutes (a week)".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    files::folder(&args.out)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    let outcome = runtime.block_on(run::run(args))?;
    runtime.shutdown_background();
    let path = args.out.join("soak.svg");
    let drawn = std::fs::write(&path, picture::draw(args, &outcome));
    let drawn = drawn.map_err(|error| Failure::file(&path, &error));
    let shown = match (args.json, &drawn) {
        (true, _) => format!("{}\n", report::json(args, &outcome)),
        (_, Ok(())) => format!("{}\npicture       {}\n", report::table(args, &outcome), path.display()),
        (_, Err(_)) => report::table(args, &outcome),
    };
    let printed = exit::print(&shown);
    exit::verdict(outcome.faults(), drawn.and(printed))
}
