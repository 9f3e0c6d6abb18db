//! Streams of server-sent events: what is said in a topic, and what happens.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use vouchsafe::{Cursor, Replay, TopicHandle};

use super::Shared;
use super::ask::Ask;
use super::body::{Slot, made};
use super::limits::QUIET;
use super::parts::parts;
use super::past::Past;
use super::reply::{Refusal, Reply, stream};
use crate::agent::feed::{self, Back, Next, Reader};

/// A stream to a client, while it is there.
pub(super) struct Out {
    slot: Slot,
    /// When it is to be said that nothing happens, unless something has been said since.
    quiet: Pin<Box<Sleep>>,
    said: Instant,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

impl Out {
    /// The answer that carries a stream, of what `tell` says.
    pub(super) fn open<F>(shared: &Arc<Shared>, tell: impl FnOnce(Self) -> F) -> Result<Reply, Refusal>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let place = shared.stream()?;
        let (shared, quiet) = (Arc::clone(shared), Box::pin(sleep(QUIET)));
        let body = made(|slot| tell(Self { slot, quiet, said: Instant::now(), shared, _place: place }));
        Ok(stream("text/event-stream", body))
    }

    /// The next of `source`. Says now and then that nothing happens.
    pub(super) async fn wait<T>(&mut self, source: impl Future<Output = T>) -> T {
        let mut source = pin!(source);
        loop {
            // One timer for all parts: to make one for each takes longer than to send it.
            let next = poll_fn(|cx| match source.as_mut().poll(cx) {
                Poll::Ready(next) => Poll::Ready(Some(next)),
                Poll::Pending => self.quiet.as_mut().poll(cx).map(|()| None),
            });
            if let Some(next) = next.await {
                return next;
            }
            if self.said.elapsed() >= QUIET {
                self.part(Bytes::from_static(b": nothing new\n\n")).await;
            }
            self.quiet.as_mut().reset(self.said + QUIET);
        }
    }

    /// Sends an event, and waits until there is room for it.
    pub(super) async fn send(&mut self, kind: &str, id: Option<impl Display>, data: &Value) {
        self.part(feed::part(kind, id, data)).await;
    }

    /// Tells where the client can go on from before anything has happened.
    async fn stands(&mut self, id: impl Display) {
        self.part(format!("id: {id}\n\n").into()).await;
    }

    pub(super) async fn end(&mut self) {
        self.part(feed::end()).await;
    }

    /// Tells a reader that was too slow what it has missed, and ends. It can go on behind that.
    async fn cut(mut self, missed: u64, id: Option<impl Display>) {
        self.shared.counts.cut.fetch_add(1, Ordering::Relaxed);
        self.send("missed", id, &json!({ "count": missed, "why": "the client reads too slowly" })).await;
    }

    async fn part(&mut self, part: Bytes) {
        self.said = Instant::now();
        self.slot.put(part).await;
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
    Out::open(shared, move |out| tell(out, reader, is_new_life))
}

async fn tell(mut out: Out, mut reader: Reader, is_new_life: bool) {
    if is_new_life {
        let why = "the agent was started again: what happened after its last event is not known";
        out.send("missed", None::<Cursor>, &json!({ "why": why })).await;
    } else if let Some(id) = reader.stands() {
        out.stands(id).await;
    }
    // Who comes back has not read too slowly: it is told what is gone, and goes on.
    let mut comes_back = true;
    loop {
        match out.wait(reader.next()).await {
            Next::Part(_, part) => out.part(part).await,
            Next::Behind(missed) if comes_back => {
                let why =
                    format!("the agent remembers the last {} events, less if they are long", feed::KEPT);
                out.send("missed", reader.stands(), &json!({ "count": missed, "why": why })).await;
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
    let (handle, followed) = (topic.handle.clone(), Arc::clone(&topic.followed));
    if from == "live" || !is_kept {
        let reader = followed.live(&handle).await;
        return Out::open(shared, move |out| live(out, reader));
    }
    let (place, stands, is_new) = match cursor {
        None => {
            let (reader, now) = followed.kept(&handle).await?;
            (Place::Feed(reader), now, true)
        }
        Some(cursor) => match followed.behind(cursor).await {
            Some(reader) => (Place::Feed(reader), cursor, false),
            None => (Place::Alone, cursor, false),
        },
    };
    let past = Past { shared: Arc::clone(shared), topic: handle, followed, stands };
    Out::open(shared, move |mut out| async move {
        if is_new {
            out.stands(stands).await;
        }
        kept(out, place, past).await;
    })
}

async fn live(mut out: Out, mut reader: Reader) {
    loop {
        match out.wait(reader.next()).await {
            Next::Part(_, part) => out.part(part).await,
            Next::Behind(missed) => return out.cut(missed, None::<Cursor>).await,
            Next::Over => return out.end().await,
        }
    }
}

enum Place {
    Feed(Reader),
    Alone,
}

/// Tells a client what a topic keeps: at its end with all the others, and before that by itself. Whoever is too slow for the others reads by
/// itself again, and misses nothing.
async fn kept(mut out: Out, mut place: Place, mut past: Past) {
    loop {
        if let Place::Feed(reader) = &mut place {
            match out.wait(reader.next()).await {
                Next::Part(cursor, part) => {
                    out.part(part).await;
                    past.stands = cursor.unwrap_or(past.stands);
                }
                Next::Behind(_) => place = Place::Alone,
                Next::Over => return out.end().await,
            }
            continue;
        }
        // In a task of its own, which gives way to others also while this client takes nothing.
        let (parts, mut taken) = parts();
        let reads = tokio::spawn(past.read(parts));
        while let Some(part) = out.wait(taken.next()).await {
            out.part(part).await;
        }
        match reads.await {
            Ok(Ok((reader, at))) => (place, past) = (Place::Feed(reader), at),
            // It was told that there is no more to come.
            _ => return,
        }
    }
}

/// A topic that is kept, and what it keeps.
pub(super) fn past(topic: &TopicHandle, from: Option<&str>) -> Result<Replay, Refusal> {
    let cursor = match from {
        None | Some("start") => Cursor::START,
        Some(text) => text
            .parse()
            .map_err(|error| Refusal::bad(format!("{error}; or give from=start for all that is kept")))?,
    };
    if !topic.rules().is_kept() {
        return Err(Refusal::bad("this topic is not kept: give it a retention of more than 90 s"));
    }
    Ok(topic.replay(cursor))
}
