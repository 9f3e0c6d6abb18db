//! `vouchsafe demo`: honest nodes and liars on one machine, over real QUIC; what is heard, and what becomes of the liars.
//!
//! ```text
//!   plan (seeded) ──> world (honest nodes that find each other) ──> run ── publishes ──> log <── watch: deliveries and events of every node
//!        └──────────> liars (raw frames over valid TLS) ┘                  │
//!                                                                          └──> figures ──> report (table, JSON), picture (SVG)
//! ```

mod figures;
pub mod liars;
mod log;
mod picture;
pub mod plan;
mod report;
mod run;
mod svg;
mod tree;
mod watch;
mod words;
pub mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::agent::{duration, loopback};
use crate::exit::{self, Failure};
use crate::files;
use plan::Plan;
use run::Serve;

/// Show signed gossip among liars, and measure it
///
/// Starts honest nodes and liars in this process, over real QUIC on the loopback interface. Each honest node knows the address of the
/// first. They find each other from there: each comes to know all members and chooses FANOUT of them to link to. Then they publish in turn.
/// The liars, each connected to FANOUT honest nodes (at least 2), do in turn:
/// forge signatures; flood above the quota; equivocate (say two things at one position); replay old rumors and send
/// malformed frames; stay silent; make up signs of life of other members.
///
/// Prints a table and writes DIR/spread.svg, a picture of how one rumor spread.
///
/// With --serve a browser can watch: the first honest node has a live page as an agent has, at an address of this machine that is printed with its
/// token. It only shows. The liars then come one after the other, and all of it takes TIME.
///
/// Exit code: 0 if every honest node got every honest rumor and shows every honest member, none was banned or shown as failed, no
/// forged rumor was delivered and every liar that can be caught was caught; 1 if not; 2 for a bad value.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Honest nodes
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=256))]
    nodes: u16,
    /// Liars, of the six kinds in turn
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 6, value_parser = clap::value_parser!(u16).range(0..=64))]
    liars: u16,
    /// Nodes that each honest node picks to dial, and that a relayed rumor is pushed to
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    fanout: u16,
    /// Rumors that the honest nodes publish
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rumors: u16,
    /// Decides what the liars choose; keys, links and timings are new in every run
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    seed: u64,
    /// Folder for the picture; made if it is missing
    #[arg(long, value_name = "DIR", default_value = "vouchsafe-demo")]
    out: PathBuf,
    /// Serve the live page of one honest node
    #[arg(long, value_name = "IP:PORT", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:0", value_parser = loopback)]
    serve: Option<SocketAddr>,
    /// How long to serve it, at least
    #[arg(long = "for", value_name = "TIME", requires = "serve", default_value = "60s", value_parser = time)]
    lasts: Duration,
    /// Print one line of JSON and nothing else on stdout
    #[arg(long)]
    json: bool,
    /// Text file whose lines are the rumors, from the top and over again (- is stdin); without it a
    /// built-in text
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
}

/// What may be watched: a moment, or an hour.
fn time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    match time {
        time if time < Duration::from_secs(1) || time > Duration::from_secs(3600) => {
            Err("give 1s to 1h".to_owned())
        }
        time => Ok(time),
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.fanout >= args.nodes {
        return Err(Failure::Usage(format!(
            "--fanout {} with --nodes {}: a node can't pick more others than there are; give a fanout of at most {}",
            args.fanout,
            args.nodes,
            args.nodes - 1
        )));
    }
    let words = match &args.text {
        Some(path) => words::from_file(path, usize::from(args.rumors))?,
        None => words::built_in(),
    };
    files::folder(&args.out)?;
    let plan = Plan::new(
        usize::from(args.nodes),
        usize::from(args.liars),
        usize::from(args.fanout),
        usize::from(args.rumors),
        args.seed,
    );
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    let log = runtime.block_on(run::run(
        &plan,
        &words,
        !args.json,
        args.serve.map(|at| Serve { at, lasts: args.lasts }),
    ))?;
    runtime.shutdown_background();

    let figures = figures::Figures::of(&plan, &log);
    let path = args.out.join("spread.svg");
    let picture = picture::draw(&plan, &log);
    let drawn = match &picture {
        Some(picture) => std::fs::write(&path, picture).map_err(|error| Failure::file(&path, &error)),
        None => Ok(()),
    };
    let shown = if args.json {
        format!("{}\n", report::json(&figures))
    } else if picture.is_some() && drawn.is_ok() {
        format!("{}\npicture       {}\n", report::table(&plan, &log, &figures), path.display())
    } else {
        report::table(&plan, &log, &figures)
    };
    let printed = exit::print(&shown);
    exit::verdict(figures::faults(&plan, &log, &figures), drawn.and(printed))
}
