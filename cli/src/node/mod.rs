//! `vouchsafe node`: one node on the terminal. Lines typed are published, rumors heard are printed.

mod heard;
mod leave;
mod listen;
mod retention;
mod say;
mod status;
mod stdin;
mod troubles;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vouchsafe::{Event, KeyFileError, NetworkId, Node, PeerAddr, SecretKey, Topic, TopicHandle};

use crate::exit::Failure;
use crate::files::is_dash;
use crate::keygen::{key_file, position_log_beside};
use heard::Heard;
use leave::Leave;
use retention::Retention;
use status::status;
use stdin::Lines;
use troubles::Troubles;

/// How long a leaving node may take to tell its peers.
const LEAVING: Duration = Duration::from_secs(5);

/// Run a node: publish the lines of stdin, print the rumors of others
///
/// Prints each rumor on stdout as "AUTHOR POSITION TEXT": the first 8 digits of the author's key, the tick and slot, and the
/// text with control characters escaped. Own lines are not repeated. What happens to links and liars goes to stderr.
///
/// With --store it prints what is kept, in the order in which it came: also what was said while it was off. It remembers in the folder
/// what it has printed. Lines that it printed in the last moment before a crash come once more.
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
    /// Key file of this node, as made by `vouchsafe keygen`; it signs the links and the rumors
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// UDP address to listen on; port 0 takes any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:0")]
    listen: String,
    /// Nodes to keep a link to; may be given several times. Names are looked up at each dial
    #[arg(long = "peer", value_name = "KEY@HOST:PORT")]
    peers: Vec<PeerAddr>,
    /// Name of the network: nodes of other networks are refused
    #[arg(long, value_name = "NAME", default_value = "vouchsafe")]
    network: String,
    /// Name of the topic: only nodes with the same one hear each other
    #[arg(long, value_name = "NAME", default_value = "lobby")]
    topic: String,
    /// File that records which positions were used, so that the node never says two things at one. Default: beside the key,
    /// ending in .position_log. If it is missing it is made, and the first line waits until the key has been silent for 30 s
    #[arg(long, value_name = "FILE")]
    position_log: Option<PathBuf>,
    /// Folder in which the node keeps the topic, and what it has used of its key: lines that were said while it was off are printed when
    /// it is back. Made if it is missing. Goes with --retention
    #[arg(long, value_name = "DIR", requires = "retention")]
    store: Option<PathBuf>,
    /// How long the topic is kept by all its nodes, as in 90s, 10m, 1h or 7d, or "forever". It is a rule of the topic: nodes with another
    /// retention are in another topic. More than 90 s is kept in memory, or in the folder of --store
    #[arg(long, value_name = "TIME", value_parser = retention::parse)]
    retention: Option<Retention>,
    /// Leave when stdin has ended and its lines were sent
    #[arg(long)]
    exit_on_eof: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let position_log = args.position_log.clone().unwrap_or_else(|| position_log_beside(&args.key));
    check_files(&args.key, &position_log)?;
    let key = SecretKey::load(&args.key).map_err(|error| match error {
        KeyFileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Failure::Usage(format!(
                "{path}: there is no such key file; `vouchsafe keygen --out {path}` makes a key",
                path = args.key.display()
            ))
        }
        error => key_file(&error),
    })?;
    // Checked before anything starts, so that a bad name is a usage error.
    let topic =
        args.retention.map_or_else(|| Topic::named(&args.topic), |time| time.of(Topic::named(&args.topic)));
    topic
        .bind(NetworkId::of(&args.network))
        .map_err(|error| Failure::Usage(format!("--topic {:?}: {error}", args.topic)))?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    let result = runtime.block_on(serve(args, key, &position_log, topic));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Refuses what can't be a key or its position log, whatever is in it.
fn check_files(key: &Path, position_log: &Path) -> Result<(), Failure> {
    if is_dash(key) {
        return Err(Failure::usage(
            "--key - would be stdin, whose lines are published: give the path of a key file",
        ));
    }
    if is_dash(position_log) {
        return Err(Failure::usage(
            "--position-log - would be stdin, and a position log is written too: give the path of a file",
        ));
    }
    // Where there is none yet, there is nothing to harm.
    let real = |path: &Path| path.canonicalize().ok();
    if key == position_log || (real(key).is_some() && real(key) == real(position_log)) {
        return Err(Failure::Usage(format!(
            "{} can't be both the key and its position log: give another file with --position-log",
            key.display()
        )));
    }
    Ok(())
}

async fn serve(args: Args, key: SecretKey, position_log: &Path, topic: Topic) -> Result<(), Failure> {
    // Before anybody can know that it runs: from here on it does not end without a goodbye.
    let leave = Leave::listen()?;
    let listen = listen::lookup(&args.listen).await?;
    let peers = args.peers.clone();
    let builder = Node::builder(key).network(&args.network).listen(listen).bootstrap(peers);
    let is_new = !position_log.exists();
    let builder = match &args.store {
        Some(folder) => builder.store(folder),
        None => builder,
    };
    let node = builder.position_log(position_log).topic(topic.clone()).spawn().await?;
    let handle = node.join(topic).await.map_err(Failure::failed)?;
    match node.addr() {
        Some(addr) => status(format_args!("listening as {addr}")),
        None => status(format_args!(
            "listening as {}@IP:{}, with any IP of this machine",
            node.id(),
            node.local_addr().port()
        )),
    }
    status(format_args!("network {:?}, topic {:?} ({})", args.network, args.topic, handle.id()));
    if is_new {
        status(format_args!(
            "{} is a new position log: the first line will wait until this key has been silent for 30 s",
            position_log.display()
        ));
    }
    let heard = match &args.store {
        Some(folder) => Heard::kept(&handle, folder)?,
        None => Heard::live(&handle),
    };
    let lines = Lines::read(handle.rules().max_body() as usize);
    let unsaid = lines.unsaid();
    let result = talk(&node, &handle, heard, (lines, args.exit_on_eof), leave).await;
    let unsaid = unsaid.count();
    if tokio::time::timeout(LEAVING, node.shutdown()).await.is_err() {
        status(format_args!("left without an answer after {} s", LEAVING.as_secs()));
    }
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
    let mut troubles = Troubles::default();
    // Some began before there was anybody to tell.
    look(node, &mut troubles).await;
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

/// Tells of an event, unless it is known.
fn tell(event: &Event, troubles: &mut Troubles) {
    if troubles.is_news(event) {
        status(status::describe(event));
    }
}

/// Tells what impairs the node now and was not told, and what no longer does.
async fn look(node: &Node, troubles: &mut Troubles) {
    if let Ok(stats) = node.stats().await {
        troubles.compare(&stats.impaired).into_iter().for_each(status);
    }
}
