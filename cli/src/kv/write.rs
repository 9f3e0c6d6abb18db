//! `vouchsafe kv DIR put`, `delete` and `watch`: each runs a node with that folder.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use vouchsafe::{CellError, Change, Kv, KvError, Node, PublishError, PutError, Topic, Written};

use super::Rules;
use super::show::Shown;
use crate::exit::{self, Failure};
use crate::node::{Leave, Repairs, Troubles, goodbye, in_runtime, look, sent, status, tell};
use crate::start::{Checked, Start, tell_address};

/// How long a peer may take to be there before something is written without it.
const PEER_PATIENCE: Duration = Duration::from_secs(15);
/// What is longer than this is no value.
const MAX_VALUE: u64 = 64 * 1024;

/// Give a key a value
///
/// Runs a node until the value is kept in the folder, and, with --peer, until a peer was sent it. Prints where it stands: tick and slot.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Put {
    /// Name of the topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// The key: 1 to 512 bytes
    #[arg(value_name = "KEY")]
    name: String,
    /// The value; - reads it from stdin
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: String,
    /// As JSON: one object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    start: Start,
}

/// Delete a key of ours; what other authors say of it stays
///
/// Runs a node until that is kept in the folder, and, with --peer, until a peer was sent it. Prints where it stands: tick and slot.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Delete {
    /// Name of the topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// The key
    #[arg(value_name = "KEY")]
    name: String,
    /// As JSON: one object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    start: Start,
}

/// Run a node that keeps the topic, and print what becomes of its keys
///
/// Prints first what there is, then each change as it is kept, until ctrl-c: "put AUTHOR POSITION KEY", a tab, and the value; "delete
/// AUTHOR POSITION KEY"; "gone AUTHOR KEY" when a value has had its time; "convicted AUTHOR" for one that has said two things at one
/// position, of whom nothing is shown any more.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Watch {
    /// Name of the topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Only keys that begin so
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// As JSON: one object a line. What is no text (UTF-8) is in `key_hex` or `value_hex`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    start: Start,
}

#[cfg(unix)]
impl Put {
    /// Asks an agent.
    pub(super) fn ask(&self, at: &crate::client::At) -> Result<(), Failure> {
        let value = match self.value.as_str() {
            "-" => stdin()?,
            text => Bytes::from(text.to_owned()),
        };
        crate::client::put(at, &self.topic, &self.name, value, self.json)
    }
}

#[cfg(unix)]
impl Delete {
    /// Asks an agent.
    pub(super) fn ask(&self, at: &crate::client::At) -> Result<(), Failure> {
        crate::client::delete(at, &self.topic, &self.name, self.json)
    }
}

#[cfg(unix)]
impl Watch {
    /// Asks an agent.
    pub(super) fn ask(&self, at: &crate::client::At) -> Result<(), Failure> {
        crate::client::watch(at, &self.topic, &self.prefix, self.json)
    }
}

pub(super) fn put(folder: &Path, args: Put) -> Result<(), Failure> {
    let value = match args.value.as_str() {
        "-" => stdin()?,
        text => Bytes::from(text.to_owned()),
    };
    write(folder, (&args.topic, &args.name, Some(value)), args.json, (&args.rules, args.start))
}

pub(super) fn delete(folder: &Path, args: Delete) -> Result<(), Failure> {
    write(folder, (&args.topic, &args.name, None), args.json, (&args.rules, args.start))
}

fn stdin() -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_VALUE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Failed(format!("stdin can't be read: {error}")))?;
    // What is too long is refused with the topic's own bound.
    Ok(bytes.into())
}

fn write(
    folder: &Path,
    (topic, key, value): (&str, &str, Option<Bytes>),
    json: bool,
    (rules, start): (&Rules, Start),
) -> Result<(), Failure> {
    let topic = rules.topic(topic, start.network())?;
    let has_peers = start.has_peers();
    let start = start.check()?;
    in_runtime(async {
        let leave = Leave::listen()?;
        let (node, kv) = begin(folder, &start, topic).await?;
        let done = async {
            let linked = has_peers && has_link(&kv).await?;
            let written = match value {
                Some(value) => kv.put(key.to_owned(), value).await,
                None => kv.delete(key.to_owned()).await,
            };
            let written = written.map_err(|error| refused(&error))?;
            if linked {
                sent(&node).await;
            }
            // A link that went meanwhile may have taken it or not.
            let still = tokio::time::timeout(Duration::ZERO, kv.topic().wait_for_links(1));
            let linked = linked && still.await.is_ok_and(|link| link.is_ok());
            told(key, &written, linked, json)?;
            if has_peers && !linked {
                return Err(Failure::Failed(format!(
                    "no peer was there within {} s: it is kept in {}, and goes out when a node runs with this folder",
                    PEER_PATIENCE.as_secs(),
                    folder.display()
                )));
            }
            Ok(())
        };
        let result = tokio::select! {
            result = done => result,
            asked = leave.asked() => asked.and(Err(Failure::failed("asked to leave before it was done"))),
        };
        goodbye(&node).await;
        result
    })
}

/// A node with the folder, in the topic.
async fn begin(folder: &Path, start: &Checked, topic: Topic) -> Result<(Node, Kv), Failure> {
    let new_position_log = start.new_position_log();
    let node = start.builder().await?.store(folder).topic(topic.clone()).spawn().await?;
    let kv = match node.kv(topic).await {
        Ok(kv) => kv,
        Err(error) => {
            goodbye(&node).await;
            return Err(match &error {
                KvError::Join(_) => Failure::usage(&error),
                _ => Failure::failed(&error),
            });
        }
    };
    new_position_log.into_iter().for_each(status);
    Ok((node, kv))
}

/// Whether there is a link of the topic, or was in time.
async fn has_link(kv: &Kv) -> Result<bool, Failure> {
    match tokio::time::timeout(PEER_PATIENCE, kv.topic().wait_for_links(1)).await {
        Ok(linked) => linked.map(|()| true).map_err(Failure::failed),
        Err(_) => Ok(false),
    }
}

/// What an error means for the exit code.
fn refused(error: &PutError) -> Failure {
    match error {
        PutError::Cell(CellError::Key(_)) | PutError::Publish(PublishError::TooLarge { .. }) => {
            Failure::usage(error)
        }
        _ => Failure::failed(error),
    }
}

fn told(key: &str, written: &Written, sent: bool, json: bool) -> Result<(), Failure> {
    let Written { position, behind, .. } = written;
    if let Some(behind) = behind {
        status(format_args!(
            "another author's value is newer by its clock: ours is the newest if it is written again in {:.0} s",
            behind.as_secs_f64().ceil()
        ));
    }
    if !json {
        return exit::print(format!("{position}\n"));
    }
    let behind_ms = behind.map(|behind| behind.as_millis() as u64);
    let told = json!({ "key": key, "position": position.to_string(), "behind_ms": behind_ms, "sent": sent });
    exit::print(format!("{told}\n"))
}

pub(super) fn watch(folder: &Path, args: Watch) -> Result<(), Failure> {
    let topic = args.rules.topic(&args.topic, args.start.network())?;
    let start = args.start.check()?;
    in_runtime(async {
        let leave = Leave::listen()?;
        let (node, kv) = begin(folder, &start, topic).await?;
        tell_address(&node);
        status(format_args!("network {:?}, topic {:?} ({})", start.network(), args.topic, kv.topic().id()));
        let result = follow(&node, &kv, &args.prefix, args.json, leave).await;
        goodbye(&node).await;
        result
    })
}

/// Prints changes until told to leave.
async fn follow(node: &Node, kv: &Kv, prefix: &str, json: bool, leave: Leave) -> Result<(), Failure> {
    let stopped = || Failure::failed("the node has stopped by itself: start it again");
    let (mut changes, mut events) = (kv.watch(prefix.to_owned()), node.events());
    let (mut troubles, mut repairs) = (Troubles::default(), Repairs::of(kv.topic()));
    look(node, &mut troubles).await;
    let mut leave = std::pin::pin!(leave.asked());
    loop {
        tokio::select! {
            asked = &mut leave => {
                asked?;
                status("leaving");
                return Ok(());
            }
            change = changes.next() => shown(&change.ok_or_else(stopped)?).print(json)?,
            () = Repairs::next_of(&mut repairs) => {}
            event = events.next() => match event {
                Some(Ok(event)) => tell(&event, &mut troubles),
                Some(Err(lagged)) => {
                    status(format_args!("{} events were not shown", lagged.0));
                    look(node, &mut troubles).await;
                }
                None => return Err(stopped()),
            },
        }
    }
}

fn shown(change: &Change) -> Shown<'_> {
    match change {
        Change::Put { author, key, value, position } => Shown {
            change: Some("put"),
            author: Some(*author),
            position: Some(*position),
            key: Some(key),
            value: Some(value),
        },
        Change::Delete { author, key, position } => Shown {
            change: Some("delete"),
            author: Some(*author),
            position: Some(*position),
            key: Some(key),
            value: None,
        },
        Change::Gone { author, key } => {
            Shown { change: Some("gone"), author: Some(*author), key: Some(key), ..Shown::default() }
        }
        Change::Convicted { author } => {
            Shown { change: Some("convicted"), author: Some(*author), ..Shown::default() }
        }
        _ => Shown { change: Some("unknown"), ..Shown::default() },
    }
}
