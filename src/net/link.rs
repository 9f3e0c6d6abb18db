//! One link: a connection, five lanes each way, and the events they cause.
//!
//! ```text
//!            send ▶ queue ▶ writer ─┐               ┌─ reader ▶ Frames
//! node ──▶   (one of each per lane) ├─ connection ──┤  (one per lane)      ──▶ events
//!            close, pause ──────────┘               └─ end of link ▶ Closed
//! ```
//!
//! Each lane has its own task in each direction, so that a lane which stands still holds up no other. The node's loop
//! never waits here: every method of [`Link`] returns at once. Tasks wait instead, for quinn or for room in the event channel.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::carried::{Carried, Receiving};
use super::closed::{LinkClosed, code};
use super::connection::Connection;
use super::event::LinkEvent;
use super::limits::UNI_STREAMS;
use super::reader::{ReaderContext, bit};
use super::streams::{Desk, STREAMS_OF_A_LINK, serve};
use super::trace::{LinkSpan, link_ended};
use super::writer::{Closing, WriterContext};
use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::wire::{Lane, MAX_FRAME_LEN, Reason};

/// Time for what is queued to arrive before a link that we close is cut: the last rumors of a node that goes down, a
/// goodbye, a proof. They take one round trip; a peer that doesn't answer in this time would not have read them.
pub(crate) const CLOSE_FLUSH: Duration = Duration::from_secs(1);

/// Time for the readers to hand over what had arrived before the peer closed: a proof may come just before a goodbye.
const DRAIN: Duration = Duration::from_secs(1);

/// The node's end of a link. No method blocks or waits. Dropping it closes the link as [`close`](Self::close) does.
#[derive(Debug)]
pub struct Link {
    // Dropped first, so that a dropped link is closed in order before its tasks miss the other channels.
    close: mpsc::UnboundedSender<(u32, Bytes)>,
    connection: Carried,
    lanes: [mpsc::UnboundedSender<Bytes>; Lane::COUNT],
    /// A bit for each lane that is not read.
    paused: watch::Sender<u8>,
}

impl Link {
    /// Starts the tasks of a link on the current tokio runtime. They end by themselves, with one
    /// [`LinkEvent::Closed`], and wait for room in `events` whenever it is full.
    pub fn spawn(id: LinkId, connection: Connection, events: mpsc::Sender<LinkEvent>) -> Self {
        let span = LinkSpan::new(id, &connection);
        let peer = connection.peer;
        let (connection, streams) = connection.into_parts();
        let (paused, paused_in) = watch::channel(0);
        let (closing, closing_in) = watch::channel(Closing::No);
        let (close, close_in) = mpsc::unbounded_channel();
        let writer = WriterContext {
            link: id,
            connection: connection.clone(),
            events: events.clone(),
            closing: closing_in,
        };
        let mut writers = JoinSet::new();
        let mut waiting = Vec::with_capacity(Lane::COUNT);
        let lanes = Lane::ALL.map(|lane| {
            let (queue, queue_in) = mpsc::unbounded_channel();
            waiting.push((lane, queue_in));
            queue
        });
        // A stream that opens at the peer opens those before it, whose numbers are then waited for: so the lane that goes last opens last.
        waiting.sort_by_key(|(lane, _)| *lane == Lane::History);
        for (lane, queue_in) in waiting {
            writers.spawn(writer.clone().run(lane, queue_in));
        }
        let reader = ReaderContext {
            link: id,
            connection: connection.clone(),
            paused: paused_in,
            events,
            opened: Arc::new(AtomicU8::new(0)),
        };
        let keeper = Keeper { reader, readers: JoinSet::new(), writers, closing, close: close_in };
        connection.allow(UNI_STREAMS, STREAMS_OF_A_LINK);
        let way = streams.link_begins(peer, connection.clone());
        tokio::spawn(serve(streams.clone(), peer, way));
        let ends = Ends { streams, peer };
        tokio::spawn(span.around(keeper.run(ends)));
        Self { close, connection, lanes, paused }
    }

    /// Queues one frame, given without its length. The queue has no bound of its own: the caller keeps within a credit that
    /// [`LinkEvent::Written`] gives back. Returns false, and sends nothing, if the link has ended or the frame is empty
    /// or longer than [`MAX_FRAME_LEN`], for which the peer would rightly blame us.
    pub fn send(&self, lane: Lane, frame: Bytes) -> bool {
        let fits = (1..=MAX_FRAME_LEN).contains(&frame.len());
        fits && self.lanes.get(lane.index()).is_some_and(|queue| queue.send(frame).is_ok())
    }

    /// Stops reading a lane: QUIC flow control then stops the peer, and nothing is lost. Frames that were already read
    /// may still come. Pausing twice is pausing once.
    pub fn pause_reading(&self, lane: Lane) {
        self.paused.send_modify(|paused| *paused |= bit(lane));
    }

    /// Reads on after [`pause_reading`](Self::pause_reading).
    pub fn resume_reading(&self, lane: Lane) {
        self.paused.send_modify(|paused| *paused &= !bit(lane));
    }

    /// Closes the link: what is queued on the control lane goes out first, for at most 1 s, and with the code of
    /// [`Reason::Shutdown`] or [`Reason::Unneeded`] what is queued on the other lanes too. The first call counts, and [`LinkEvent::Closed`] follows.
    pub fn close(&self, code: u32, reason: &str) {
        // An error means that the link has already ended.
        let _ = self.close.send((code, Bytes::copy_from_slice(reason.as_bytes())));
    }

    /// The current estimate of the round-trip time.
    pub fn rtt(&self) -> Duration {
        self.connection.round_trip()
    }

    /// How often something has come so far, whatever it was.
    pub(crate) fn heard(&self) -> u64 {
        self.connection.heard()
    }
}

/// The task that owns the others, and the only one that ends the link.
struct Keeper {
    reader: ReaderContext,
    readers: JoinSet<LinkClosed>,
    writers: JoinSet<Option<LinkClosed>>,
    closing: watch::Sender<Closing>,
    close: mpsc::UnboundedReceiver<(u32, Bytes)>,
}

/// Who has to know that no streams of applications run over it any more.
struct Ends {
    streams: Desk,
    peer: PublicKey,
}

enum End {
    /// The node asked.
    Asked(u32, Bytes),
    /// The connection is already gone.
    Lost(LinkClosed),
    /// We found a reason to close it.
    Found(LinkClosed),
}

impl Keeper {
    async fn run(mut self, ends: Ends) {
        let why = match self.wait_for_end().await {
            End::Asked(code, reason) => {
                self.readers.abort_all();
                let all = [Reason::Shutdown, Reason::Unneeded].iter().any(|reason| code == reason.code());
                self.flush(if all { Closing::AllLanes } else { Closing::ControlOnly }).await;
                self.connection().close(code, &reason);
                LinkClosed::ByUs
            }
            End::Lost(why) => self.drain(why).await,
            End::Found(why) => {
                self.connection().close(why.code(), why.words());
                why
            }
        };
        ends.streams.way_ends(&ends.peer, self.connection());
        // Nothing may follow `Closed`, so every task that could send an event must be gone first.
        self.readers.shutdown().await;
        self.writers.shutdown().await;
        link_ended(&why);
        let _ = self.reader.events.send(LinkEvent::Closed { link: self.reader.link, why }).await;
    }

    fn connection(&self) -> &Carried {
        &self.reader.connection
    }

    async fn wait_for_end(&mut self) -> End {
        loop {
            tokio::select! {
                biased;
                asked = self.close.recv() => {
                    let (code, reason) = asked.unwrap_or((code::DROPPED, Bytes::new()));
                    return End::Asked(code, reason);
                }
                ended = self.readers.join_next(), if !self.readers.is_empty() => {
                    // A task that was cancelled or panicked has lost its place in the stream: the link can't go on.
                    return self.end(ended.and_then(Result::ok).unwrap_or(LinkClosed::ByUs));
                }
                ended = self.writers.join_next(), if !self.writers.is_empty() => {
                    return self.end(ended.and_then(Result::ok).flatten().unwrap_or(LinkClosed::ByUs));
                }
                // A stream that has ended gives its place in QUIC back at once; its reader may live on for a while.
                opened = self.reader.connection.accept_one_way(), if self.readers.len() < Lane::COUNT => match opened {
                    Ok(stream) => self.spawn_reader(stream),
                    Err(why) => return End::Lost(LinkClosed::of(why)),
                },
                // Readers that are paused would not notice.
                why = self.reader.connection.closed(), if self.readers.len() >= Lane::COUNT => {
                    return End::Lost(why);
                }
            }
        }
    }

    fn end(&self, why: LinkClosed) -> End {
        match self.connection().close_reason() {
            Some(_) if why.is_offence() => End::Lost(why),
            Some(why) => End::Lost(why),
            None => End::Found(why),
        }
    }

    /// There are never more tasks than lanes: further streams wait to be accepted until one of them ends, and with it the link.
    fn spawn_reader(&mut self, stream: Receiving) {
        self.readers.spawn(self.reader.clone().run(stream));
    }

    async fn flush(&mut self, closing: Closing) {
        self.closing.send_replace(closing);
        let flushed = async { while self.writers.join_next().await.is_some() {} };
        // Late is lost: the peer had its second.
        let _ = timeout(CLOSE_FLUSH, flushed).await;
    }

    /// Lets the readers hand over what had arrived, unless the node has told them to stop. An offence in it wins.
    async fn drain(&mut self, mut why: LinkClosed) -> LinkClosed {
        if *self.reader.paused.borrow() != 0 || why == LinkClosed::ByUs {
            return why;
        }
        let drained = async {
            while let Some(ended) = self.readers.join_next().await {
                if let Some(found) = ended.ok().filter(LinkClosed::is_offence) {
                    why = found;
                }
            }
        };
        let _ = timeout(DRAIN, drained).await;
        why
    }
}
