//! Streams of server-sent events: what is said in a topic, and what happens.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use vouchsafe::{Cursor, Replay, ReplayError, TopicHandle};

use super::Shared;
use super::ask::Ask;
use super::limits::QUIET;
use super::parts::{Gone, Parts, parts};
use super::reply::{Refusal, Reply, stream};
use crate::agent::feed::{self, Back, Next, Reader};
use crate::agent::follow::{Followed, item_of};

/// A reader for which nothing has come for so long has read all there is.
const AT_END: Duration = Duration::from_millis(300);
/// How often one that has not looks whether it has come to where others read.
const LOOK: u32 = 64;

/// A stream to a client, while it is there.
pub(super) struct Out {
    parts: Parts,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

impl Out {
    /// A stream, and the answer that carries it.
    pub(super) fn open(shared: &Arc<Shared>) -> Result<(Self, Reply), Refusal> {
        let place = shared.stream()?;
        let (parts, body) = parts();
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
    pub(super) async fn send(&self, kind: &str, id: Option<impl Display>, data: &Value) -> Result<(), Gone> {
        self.part(feed::part(kind, id, data)).await
    }

    /// Tells where the client can go on from before anything has happened.
    async fn stands(&self, id: impl Display) -> Result<(), Gone> {
        self.part(format!("id: {id}\n\n").into()).await
    }

    async fn end(&self) -> Result<(), Gone> {
        self.send("end", None::<Cursor>, &json!({})).await
    }

    /// Tells a reader that was too slow what it has missed, and ends. It can go on behind that.
    async fn cut(self, missed: u64, id: Option<impl Display>) -> Result<(), Gone> {
        self.shared.counts.cut.fetch_add(1, Ordering::Relaxed);
        self.send("missed", id, &json!({ "count": missed, "why": "the client reads too slowly" })).await
    }

    async fn part(&self, part: Bytes) -> Result<(), Gone> {
        self.parts.send(part).await
    }
}

/// Where a client wants to begin: what it repeats by itself when it comes back goes before what it began with.
fn from(ask: &mut Ask) -> Result<String, Refusal> {
    let from = ask.maybe("from");
    ask.no_more()?;
    let last = ask.headers().get("last-event-id").map(|id| id.to_str().unwrap_or("?").to_owned());
    Ok(last.or(from).unwrap_or_else(|| "now".to_owned()))
}

/// What happens from now on, or behind what the client has dealt with.
pub(super) fn events(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Refusal> {
    let feed = shared.agent.feed();
    let (reader, is_new_life) = match from(ask)?.as_str() {
        "now" => (feed.from_now(), false),
        "start" => (feed.from_start(), false),
        id => match feed.behind(id).map_err(Refusal::bad)? {
            Back::Here(reader) => (reader, false),
            Back::Elsewhere(reader) => (reader, true),
        },
    };
    let (out, reply) = Out::open(shared)?;
    tokio::spawn(tell(out, reader, is_new_life));
    Ok(reply)
}

async fn tell(out: Out, mut reader: Reader, is_new_life: bool) -> Result<(), Gone> {
    if is_new_life {
        let why = "the agent was started again: what happened after its last event is not known";
        out.send("missed", None::<Cursor>, &json!({ "why": why })).await?;
    } else if let Some(id) = reader.stands() {
        out.stands(id).await?;
    }
    // Who comes back has not read too slowly: it is told what is gone, and goes on.
    let mut comes_back = true;
    loop {
        match out.wait(reader.next()).await? {
            Next::Part(_, part) => out.part(part).await?,
            Next::Behind(missed) if comes_back => {
                let why =
                    format!("the agent remembers the last {} events, less if they are long", feed::KEPT);
                out.send("missed", reader.stands(), &json!({ "count": missed, "why": why })).await?;
            }
            Next::Behind(missed) => return out.cut(missed, reader.stands()).await,
            Next::Over => return out.end().await,
        }
        comes_back = false;
    }
}

/// What is said in a topic. In one that is kept each rumor has a cursor as its id, behind which another stream can go on.
pub(super) async fn subscribe(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = shared.topic(ask)?;
    let from = from(ask)?;
    let is_kept = topic.handle.rules().is_kept();
    let cursor = match from.as_str() {
        "now" | "live" => None,
        "start" => Some(Cursor::START),
        cursor => Some(cursor.parse().map_err(|error| {
            Refusal::bad(format!("{error}; or give from=start for all that is kept, or from=now"))
        })?),
    };
    if cursor.is_some() && !is_kept {
        let what = "this topic is not kept, so there is nothing to go on behind: give it a retention of more than 90 s, or from=now";
        return Err(Refusal::bad(what));
    }
    let (out, reply) = Out::open(shared)?;
    let (handle, followed) = (topic.handle.clone(), Arc::clone(&topic.followed));
    if from == "live" || !is_kept {
        let reader = followed.live(&handle).await;
        tokio::spawn(live(out, reader));
        return Ok(reply);
    }
    let (place, stands, is_new) = match cursor {
        None => {
            let (reader, now) = followed.kept(&handle).await?;
            (Place::Feed(reader), now, true)
        }
        Some(cursor) => match followed.behind(cursor).await {
            Some(reader) => (Place::Feed(reader), cursor, false),
            None => (Place::Own(Box::new(handle.replay(cursor))), cursor, false),
        },
    };
    tokio::spawn(async move {
        if is_new {
            out.stands(stands).await?;
        }
        Kept { out, topic: handle, followed, place, stands }.tell().await
    });
    Ok(reply)
}

async fn live(out: Out, mut reader: Reader) -> Result<(), Gone> {
    loop {
        match out.wait(reader.next()).await? {
            Next::Part(_, part) => out.part(part).await?,
            Next::Behind(missed) => return out.cut(missed, None::<Cursor>).await,
            Next::Over => return out.end().await,
        }
    }
}

/// A client that reads a topic that is kept: at its end with all the others, and before that by itself. Whoever is too slow for the others
/// reads by itself again, and misses nothing.
struct Kept {
    out: Out,
    topic: TopicHandle,
    followed: Arc<Followed>,
    place: Place,
    /// Behind what it has been told.
    stands: Cursor,
}

enum Place {
    Feed(Reader),
    Own(Box<Replay>),
}

impl Kept {
    async fn tell(mut self) -> Result<(), Gone> {
        loop {
            if let Place::Feed(reader) = &mut self.place {
                match self.out.wait(reader.next()).await? {
                    Next::Part(cursor, part) => {
                        self.out.part(part).await?;
                        self.stands = cursor.unwrap_or(self.stands);
                    }
                    Next::Behind(_) => self.place = Place::Own(Box::new(self.topic.replay(self.stands))),
                    Next::Over => return self.out.end().await,
                }
            } else if self.alone().await?.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads by itself until it stands where others read. `None` at the end of the stream.
    async fn alone(&mut self) -> Result<Option<()>, Gone> {
        let Place::Own(replay) = &mut self.place else { return Ok(Some(())) };
        for turn in 1u32.. {
            let item = match self.out.wait(tokio::time::timeout(AT_END, replay.next())).await? {
                Ok(item) => item,
                // A disk that is slow is no end, nor is a place of which the store has not said that it knows it.
                Err(_) if !replay.is_at_end() => self.out.wait(replay.next()).await?,
                Err(_) => match self.followed.join(&self.topic, self.stands).await {
                    Some(reader) => {
                        self.place = Place::Feed(reader);
                        return Ok(Some(()));
                    }
                    // Others do not know where it stands: with the next rumor they will.
                    None => self.out.wait(replay.next()).await?,
                },
            };
            let Some(item) = item else {
                self.out.end().await?;
                return Ok(None);
            };
            // A cursor of another store stays one: the client has to begin again.
            let is_over = matches!(&item, Err(ReplayError::Foreign | ReplayError::NotKept(_)));
            let is_rumor = matches!(&item, Ok(vouchsafe::Item::Rumor { .. }));
            if let Some((kind, data)) = item_of(item) {
                self.stands = replay.cursor();
                self.out.send(kind, is_rumor.then_some(self.stands), &data).await?;
            }
            if is_over {
                return Ok(None);
            }
            if turn % LOOK == 0
                && let Some(reader) = self.followed.behind(self.stands).await
            {
                self.place = Place::Feed(reader);
                return Ok(Some(()));
            }
        }
        Ok(Some(()))
    }
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
