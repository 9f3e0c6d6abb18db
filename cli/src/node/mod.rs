//! `vouchsafe node`: one node on the terminal. Lines typed are published, rumors heard are printed.

mod heard;
mod leave;
pub(crate) mod listen;
mod repairs;
mod retention;
mod say;
mod size;
mod status;
mod stdin;
mod troubles;

use std::path::PathBuf;
use std::time::Duration;

use vouchsafe::protocol::Config;
use vouchsafe::{Event, NetworkId, Node, Topic, TopicHandle};

use crate::exit::Failure;
use crate::start::{Checked, Start, tell_address};
use heard::Heard;
pub(crate) use leave::Leave;
pub(crate) use repairs::Repairs;
pub(crate) use retention::{Retention, parse as parse_retention};
pub(crate) use say::sent;
pub(crate) use status::{aside, status};
use stdin::Lines;
pub(crate) use troubles::Troubles;

/// How long a leaving node may take to tell its peers: more than the nine seconds that it takes itself at the most, and some for its disk.
pub(crate) const LEAVING: Duration = Duration::from_secs(15);

/// Run a node: publish the lines of stdin, print the rumors of others
///
/// Prints each rumor on stdout as "AUTHOR POSITION TEXT": the first 8 digits of the author's key, the tick and slot, and the
/// text with control characters escaped. Own lines are not repeated. What happens to links and liars goes to stderr.
///
/// With --store it prints what is kept, in the order in which it came: also what was said while it was off. It remembers in the folder
/// what it has printed. Lines that it printed in the last moment before a crash come once more. While it is given what it has missed,
/// stderr says how far that is, and then that it is caught up.
///
/// Lines wait until there is a link to tell them to, and while the position log can't be written. Empty lines are skipped, and lines
/// longer than a rumor may be (16 KiB) are refused with a message. At the end of stdin the node goes on listening; ctrl-c, or
/// SIGTERM, or SIGHUP (except under nohup) ends it, after it has said goodbye to its peers.
///
/// Exit code: 0 it was asked to end, or was done; 1 it failed, or lines that it had read were not published; 2 for a flag, key or
/// position log that can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    start: Start,
    /// Name of the topic: only nodes with the same one hear each other
    #[arg(long, value_name = "NAME", default_value = "lobby")]
    topic: String,
    /// Folder in which the node keeps the topic, and what it has used of its key: lines that were said while it was off are printed when
    /// it is back. Made if it is missing. Goes with --retention
    #[arg(long, value_name = "DIR", requires = "retention")]
    store: Option<PathBuf>,
    /// How long the topic is kept by all its nodes, as in 90s, 10m, 1h or 7d, or "forever". It is a rule of the topic: nodes with another
    /// retention are in another topic. More than 90 s is kept in memory, or in the folder of --store
    #[arg(long, value_name = "TIME", value_parser = parse_retention)]
    retention: Option<Retention>,
    /// What this node says of itself to the other members, at most 512 bytes: `vouchsafe members` shows it
    #[arg(long, value_name = "TEXT", default_value = "")]
    meta: String,
    /// Be no member: do not say that this node is here, and do not tell who else is
    #[arg(long, conflicts_with = "meta")]
    without_members: bool,
    /// With less free on the disk of --store nothing more is kept, as in 512MiB, 1GiB, or 0 for as much as the disk takes. Default: 1GiB
    #[arg(long, value_name = "SIZE", requires = "store", value_parser = size::parse)]
    leave_free: Option<u64>,
    /// Leave when stdin has ended and its lines were sent
    #[arg(long)]
    exit_on_eof: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Args { start, topic: name, store, retention, leave_free, meta, without_members, exit_on_eof } = args;
    let meta = (!without_members).then_some(meta);
    let start = start.check()?;
    // Checked before anything starts, so that a bad name is a usage error.
    let topic = retention.map_or_else(|| Topic::named(&name), |time| time.of(Topic::named(&name)));
    topic
        .bind(NetworkId::of(start.network()))
        .map_err(|error| Failure::Usage(format!("--topic {name:?}: {error}")))?;
    in_runtime(serve(start, topic, (store, leave_free), meta, exit_on_eof))
}

/// Runs a command that is a node.
pub(crate) fn in_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Lets a node say goodbye, for as long as that may take.
pub(crate) async fn goodbye(node: &Node) {
    if tokio::time::timeout(LEAVING, node.shutdown()).await.is_err() {
        status(format_args!("left without an answer after {} s", LEAVING.as_secs()));
    }
}

async fn serve(
    start: Checked,
    topic: Topic,
    (store, leave_free): (Option<PathBuf>, Option<u64>),
    meta: Option<String>,
    exit_on_eof: bool,
) -> Result<(), Failure> {
    // Before anybody can know that it runs: from here on it does not end without a goodbye.
    let leave = Leave::listen()?;
    let builder = start.builder().await?.topic(topic.clone());
    let builder = match meta {
        Some(meta) => builder.metadata(meta),
        None => builder.without_members(),
    };
    let new_position_log = start.new_position_log();
    let builder = match &store {
        Some(folder) => builder.store(folder),
        None => builder,
    };
    let builder = match leave_free {
        Some(bytes) => builder.config(Config::default().with(|config| config.history.leave_free = bytes)),
        None => builder,
    };
    let node = builder.spawn().await?;
    let handle = node.join(topic).await.map_err(Failure::failed)?;
    tell_address(&node);
    let rules = handle.rules();
    status(format_args!("network {:?}, topic {:?} ({})", start.network(), rules.name(), handle.id()));
    new_position_log.into_iter().for_each(status);
    let heard = match &store {
        Some(folder) => Heard::kept(&handle, folder)?,
        None => Heard::live(&handle),
    };
    let lines = Lines::read(handle.rules().max_body() as usize);
    let unsaid = lines.unsaid();
    let result = talk(&node, &handle, heard, (lines, exit_on_eof), leave).await;
    let unsaid = unsaid.count();
    goodbye(&node).await;
    match (unsaid, result) {
        (0, result) => result,
        (_, Err(Failure::Failed(why))) => {
            Err(Failure::Failed(format!("{why}; lines that were read and not published: {unsaid}")))
        }
        (_, Err(why @ Failure::Usage(_))) => Err(why),
        (..) => Err(Failure::Failed(format!("lines that were read and not published: {unsaid}"))),
    }
}

/// Listens and speaks until told to leave.
async fn talk(
    node: &Node,
    topic: &TopicHandle,
    mut heard: Heard,
    (lines, exit_on_eof): (Lines, bool),
    leave: Leave,
) -> Result<(), Failure> {
    let mut events = node.events();
    let mut members = node.member_events();
    let mut troubles = Troubles::default();
    // Some began before there was anybody to tell.
    look(node, &mut troubles).await;
    let mut repairs = Repairs::of(topic);
    let mut saying = std::pin::pin!(say::all(node, topic, lines));
    let mut said = false;
    let mut leave = std::pin::pin!(leave.asked());
    loop {
        tokio::select! {
            asked = &mut leave => {
                asked?;
                status("leaving");
                return Ok(());
            }
            result = &mut saying, if !said => {
                result?;
                said = true;
                if exit_on_eof {
                    return Ok(());
                }
                status("end of input: listening until ctrl-c");
            }
            heard = heard.next() => heard?,
            () = Repairs::next_of(&mut repairs) => {}
            // The end of the node, other events tell.
            Some(event) = members.next() => match event {
                Ok(event) => status(format_args!("member {event}")),
                Err(lagged) => status(format_args!("{} events of members were not shown", lagged.0)),
            },
            event = events.next() => match event {
                Some(Ok(event)) => tell(&event, &mut troubles),
                Some(Err(lagged)) => {
                    status(format_args!("{} events were not shown", lagged.0));
                    look(node, &mut troubles).await;
                }
                None => return Err(Failure::failed("the node has stopped by itself: start it again")),
            },
        }
    }
}

/// Tells of an event, unless it is known, or is told of by [`Repairs`].
pub(crate) fn tell(event: &Event, troubles: &mut Troubles) {
    if troubles.is_news(event) && !matches!(event, Event::CaughtUp { .. }) {
        status(status::describe(event));
    }
}

/// Tells what impairs the node now and was not told, and what no longer does.
pub(crate) async fn look(node: &Node, troubles: &mut Troubles) {
    if let Ok(stats) = node.stats().await {
        troubles.compare(&stats.impaired).into_iter().for_each(status);
    }
}
