//! `vouchsafe node`: one node on the terminal. Lines typed are published, rumors heard are printed.

mod listen;
mod say;
mod status;
mod stdin;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use vouchsafe::key::SecretKey;
use vouchsafe::rumor::NetworkId;
use vouchsafe::{Delivery, Node, PeerAddr, Topic, TopicHandle};

use crate::exit::Failure;
use crate::keygen::ledger_beside;
use crate::text::printable;
use status::status;

/// How long a leaving node may take to tell its peers.
const LEAVING: Duration = Duration::from_secs(5);

/// Run a node: publish the lines of stdin, print the rumors of others
///
/// Prints each rumor on stdout as "AUTHOR POSITION TEXT": the first 8 digits of the author's key, the tick and slot, and the
/// text with control characters escaped. Own lines are not repeated. What happens to links and liars goes to stderr.
///
/// Lines wait until there is a link to tell them to. Empty lines are skipped, and lines longer than a rumor may be (16 KiB)
/// are refused with a message. At the end of stdin the node goes on listening; ctrl-c ends it.
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
    /// ending in .ledger. If it is missing it is made, and the first line waits until the key has been silent for 30 s
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Leave when stdin has ended and its lines were sent
    #[arg(long)]
    exit_on_eof: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let key = SecretKey::load(&args.key).map_err(|error| {
        Failure::Usage(format!("{error}; `vouchsafe keygen --out {}` makes a key", args.key.display()))
    })?;
    // Checked before anything starts, so that a bad name is a usage error.
    let topic = Topic::named(&args.topic);
    topic
        .on(NetworkId::of(&args.network))
        .map_err(|error| Failure::Usage(format!("--topic {:?}: {error}", args.topic)))?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Failed(format!("the runtime can't start: {error}")))?;
    let result = runtime.block_on(serve(args, key, topic));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(args: Args, key: SecretKey, topic: Topic) -> Result<(), Failure> {
    let listen = listen::lookup(&args.listen).await?;
    let peers = args.peers.clone();
    let builder = Node::builder(key).network(&args.network).listen(listen).bootstrap(peers);
    let ledger = args.ledger.clone().unwrap_or_else(|| ledger_beside(&args.key));
    let is_new = !ledger.exists();
    let node = builder.ledger(&ledger).topic(topic.clone()).spawn().await.map_err(Failure::failed)?;
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
            "{} is a new ledger: the first line will wait until this key has been silent for 30 s",
            ledger.display()
        ));
    }
    let result = talk(&node, &handle, args.exit_on_eof).await;
    if tokio::time::timeout(LEAVING, node.shutdown()).await.is_err() {
        status(format_args!("left without an answer after {} s", LEAVING.as_secs()));
    }
    result
}

/// Listens and speaks until told to leave.
async fn talk(node: &Node, topic: &TopicHandle, exit_on_eof: bool) -> Result<(), Failure> {
    let mut rumors = topic.subscribe();
    let mut events = node.events();
    let lines = stdin::lines(topic.rules().max_body() as usize);
    let mut saying = std::pin::pin!(say::all(node, topic, lines));
    let mut said = false;
    let mut leave = std::pin::pin!(asked_to_leave());
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
            rumor = rumors.next() => match rumor {
                Some(Ok(delivery)) => print(&delivery)?,
                Some(Err(lagged)) => status(format_args!("{} rumors were not printed: stdout is too slow", lagged.0)),
                None => return Err(Failure::failed("the node has stopped by itself: start it again")),
            },
            event = events.next() => match event {
                Some(Ok(event)) => status(status::describe(&event)),
                Some(Err(lagged)) => status(format_args!("{} events were not shown", lagged.0)),
                None => return Err(Failure::failed("the node has stopped by itself: start it again")),
            },
        }
    }
}

fn print(delivery: &Delivery) -> Result<(), Failure> {
    if delivery.from.is_none() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{} {} {}", delivery.author().short(), delivery.position(), printable(delivery.body()))?;
    Ok(out.flush()?)
}

/// Ctrl-c, or the signal that service managers send.
async fn asked_to_leave() -> Result<(), Failure> {
    let fail = |error: io::Error| Failure::Failed(format!("signals can't be received: {error}"));
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.map_err(fail),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(fail)
}
