//! Streams of server-sent events: what is said in a topic, and what happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use vouchsafe::{Cursor, Gap, Item, Replay, Rumor, Subscription, TopicHandle};

use super::Shared;
use super::ask::Ask;
use super::limits::{PARTS, QUIET};
use super::reply::{Refusal, Reply, stream};
use crate::agent::happening;

/// A stream to a client, while it is there.
pub(super) struct Out {
    parts: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

/// The client has gone.
pub(super) struct Gone;

impl Out {
    /// A stream, and the answer that carries it.
    pub(super) fn open(shared: &Arc<Shared>) -> Result<(Self, Reply), Refusal> {
        let place = shared.stream()?;
        let (parts, body) = mpsc::channel(PARTS);
        let out = Self { parts, shared: Arc::clone(shared), _place: place };
        Ok((out, stream("text/event-stream", body)))
    }

    /// The next of `source`, or that the client has gone. Says now and then that nothing happens.
    pub(super) async fn wait<T>(&self, source: impl Future<Output = T>) -> Result<T, Gone> {
        let mut source = std::pin::pin!(source);
        loop {
            tokio::select! {
                next = &mut source => return Ok(next),
                () = self.parts.closed() => return Err(Gone),
                () = tokio::time::sleep(QUIET) => self.part(Bytes::from_static(b": nothing new\n\n")).await?,
            }
        }
    }

    /// Sends an event, and waits until there is room for it.
    pub(super) async fn send(&self, kind: &str, id: Option<Cursor>, data: &Value) -> Result<(), Gone> {
        // JSON has no end of a line in it.
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        self.part(format!("event: {kind}\n{id}data: {data}\n\n").into()).await
    }

    /// Tells a reader that was too slow what it has missed, and ends.
    pub(super) async fn cut(self, missed: u64) -> Result<(), Gone> {
        self.shared.counts.cut.fetch_add(1, Ordering::Relaxed);
        self.send("missed", None, &json!({ "count": missed, "why": "the client reads too slowly" })).await
    }

    async fn part(&self, part: Bytes) -> Result<(), Gone> {
        self.parts.send(part).await.map_err(|_| Gone)
    }
}

/// What happens from now on.
pub(super) fn events(shared: &Arc<Shared>, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let (out, reply) = Out::open(shared)?;
    let mut feed = shared.agent.watch();
    let node = shared.agent.node.clone();
    tokio::spawn(async move {
        // The feed outlives the node.
        let mut ended = std::pin::pin!(node.wait_for_links(usize::MAX));
        loop {
            let next = async {
                tokio::select! {
                    next = feed.recv() => next,
                    _ = &mut ended => Err(RecvError::Closed),
                }
            };
            match out.wait(next).await? {
                Ok(happening) => out.send(happening.kind(), None, &happening.json()).await?,
                Err(RecvError::Lagged(missed)) => return out.cut(missed).await,
                Err(RecvError::Closed) => return out.send("end", None, &json!({})).await,
            }
        }
    });
    Ok(reply)
}

/// What is said in a topic. In one that is kept each rumor has a cursor as its id, behind which another stream can go on.
pub(super) fn subscribe(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = shared.topic(ask)?.handle.clone();
    let from = ask.maybe("from");
    ask.no_more()?;
    // What a client repeats by itself when it comes back goes before what it began with.
    let last = ask.headers().get("last-event-id").map(|id| id.to_str().unwrap_or("?").to_owned());
    let from = last.or(from).unwrap_or_else(|| "now".to_owned());
    let cursor = match from.as_str() {
        "now" => None,
        "start" => Some(Cursor::START),
        cursor => Some(cursor.parse().map_err(|error| {
            Refusal::bad(format!("{error}; or give from=start for all that is kept, or from=now"))
        })?),
    };
    if cursor.is_some() && !topic.rules().is_kept() {
        let what = "this topic is not kept, so there is nothing to go on behind: give it a retention of more than 90 s, or from=now";
        return Err(Refusal::bad(what));
    }
    let (out, reply) = Out::open(shared)?;
    match cursor {
        Some(cursor) => drop(tokio::spawn(replay(out, topic.replay(cursor)))),
        None => drop(tokio::spawn(live(out, topic.subscribe()))),
    }
    Ok(reply)
}

async fn replay(out: Out, mut replay: Replay) -> Result<(), Gone> {
    loop {
        match out.wait(replay.next()).await? {
            Some(Ok(Item::Rumor { cursor, rumor, late, off_chain, author_convicted })) => {
                let mut data = fields(&rumor);
                for (name, is_so) in
                    [("late", late), ("off_chain", off_chain), ("author_convicted", author_convicted)]
                {
                    if is_so {
                        data.insert(name.into(), true.into());
                    }
                }
                data.insert("cursor".into(), cursor.to_string().into());
                out.send("rumor", Some(cursor), &Value::Object(data)).await?;
            }
            Some(Ok(Item::Missed { from, to })) => {
                let data = json!({ "from": from, "to": to, "why": "it was removed before it was read" });
                out.send("missed", None, &data).await?;
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                // A cursor of another store stays one: the client has to begin again.
                out.send("error", None, &json!({ "error": error.to_string() })).await?;
                if matches!(error, vouchsafe::ReplayError::Foreign | vouchsafe::ReplayError::NotKept(_)) {
                    return Ok(());
                }
            }
            None => return out.send("end", None, &json!({})).await,
        }
    }
}

async fn live(out: Out, mut rumors: Subscription) -> Result<(), Gone> {
    loop {
        match out.wait(rumors.next()).await? {
            Some(Ok(delivery)) => {
                out.send("rumor", None, &Value::Object(fields(&delivery))).await?;
            }
            Some(Err(Gap::Lagged(missed))) => return out.cut(missed).await,
            Some(Err(gap)) => out.send("missed", None, &json!({ "why": gap.to_string() })).await?,
            None => return out.send("end", None, &json!({})).await,
        }
    }
}

/// The fields of a rumor.
pub(super) fn fields(rumor: &Rumor) -> Map<String, Value> {
    let mut data = Map::new();
    happening::rumor(&mut data, rumor);
    data
}

/// A topic that is kept, and what it keeps.
pub(super) fn past(topic: &TopicHandle, from: Option<&str>) -> Result<Replay, Refusal> {
    let cursor = match from {
        None | Some("start") => Cursor::START,
        Some(text) => text.parse().map_err(Refusal::bad)?,
    };
    if !topic.rules().is_kept() {
        return Err(Refusal::bad("this topic is not kept: give it a retention of more than 90 s"));
    }
    Ok(topic.replay(cursor))
}
