//! One incoming lane: bytes to frames to events, at the pace the node handles them.
//!
//! ```text
//! quinn ──read──▶ FrameBuffer ──permit──▶ event channel ──▶ node
//!   ▲                                └─ waits while this lane's share of the inbox is in use
//!   └─ not read while waiting or paused, so QUIC flow control stops the sender
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};

use super::carried::{Carried, Receiving};
use super::closed::LinkClosed;
use super::event::{FramePermit, LinkEvent};
use super::transport::ReadFailed;
use crate::protocol::LinkId;
use crate::wire::{BadLength, FrameBuffer, Lane, MAX_FRAME_LEN};

/// Bytes of one lane that the node has been given and has not handled: one frame of the longest kind, or many small ones.
/// Each lane has its own share, so that rumors nobody has handled yet never hold up an answer they may be waiting for.
/// Without a bound a peer that sends faster than we verify fills our memory.
pub(crate) const LANE_INBOX: usize = MAX_FRAME_LEN;

/// Time in which a frame that has begun must bring [`FRAME_PROGRESS`] or end, counted only while we read. Without it a peer holds the
/// buffer of a frame for ever with one byte.
pub(crate) const FRAME_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes that a frame under way must bring in each [`FRAME_DEADLINE`]. So the slowest line that works brings 2 KiB a second on each
/// lane, and the longest frame, of 128 KiB, holds its buffer for 64 s at the most. More would end links that are merely slow:
/// a line of 5 kB/s takes 12 s for a body of 60 000 bytes. Less would let trickles hold buffers for longer.
pub(crate) const FRAME_PROGRESS: usize = 20 * 1024;

/// Time from the end of one of the peer's streams to the end of the connection. A peer that closes in good order first
/// ends its control lane to know that all of it arrived, so an ended lane alone proves nothing: see the writer.
pub(crate) const FINISH_GRACE: Duration = Duration::from_secs(3);

/// Chunks taken from quinn in one read. Each is what one packet carried, so this is some 20 KiB.
const CHUNKS_PER_READ: usize = 16;

/// A lane in a set of lanes.
pub(crate) const fn bit(lane: Lane) -> u8 {
    1 << lane as u8
}

/// What the readers of one link share.
#[derive(Clone, Debug)]
pub(crate) struct ReaderContext {
    pub(crate) link: LinkId,
    pub(crate) connection: Carried,
    /// A bit for each lane that is not read.
    pub(crate) paused: watch::Receiver<u8>,
    pub(crate) events: mpsc::Sender<LinkEvent>,
    /// One bit for each lane that the peer has opened.
    pub(crate) opened: Arc<AtomicU8>,
}

impl ReaderContext {
    /// Reads one stream to its end, and says why that ends the link.
    pub(crate) async fn run(mut self, mut stream: Receiving) -> LinkClosed {
        let Err(End(why, ended)) = self.read_lane(&mut stream).await;
        if ended {
            // Either the peer is about to close, and then the connection's own end says it better, or it broke the order.
            return match timeout(FINISH_GRACE, self.connection.closed()).await {
                Ok(better) => better,
                Err(_) => why,
            };
        }
        why
    }

    async fn read_lane(&mut self, stream: &mut Receiving) -> Result<std::convert::Infallible, End> {
        let lane = self.read_lane_number(stream).await?;
        let inbox = Arc::new(Semaphore::new(LANE_INBOX));
        let mut buffer = FrameBuffer::default();
        let mut clock = FrameClock::default();
        loop {
            loop {
                let (frames, cost) = buffer.take(LANE_INBOX)?;
                if frames.is_empty() {
                    break;
                }
                clock = FrameClock::default();
                self.deliver(lane, frames, cost, &inbox).await?;
            }
            self.read_some(lane, stream, &mut buffer, &mut clock).await?;
        }
    }

    async fn deliver(
        &self,
        lane: Lane,
        frames: Vec<Bytes>,
        cost: usize,
        inbox: &Arc<Semaphore>,
    ) -> Result<(), End> {
        // The longest frame and its overhead may cost a little more than the share: then it takes the whole share.
        let places = u32::try_from(cost.min(LANE_INBOX)).unwrap_or(u32::MAX);
        let held = inbox.clone().acquire_many_owned(places).await.ok();
        let event = LinkEvent::Frames { link: self.link, lane, frames, permit: FramePermit::of(held) };
        self.events.send(event).await.map_err(|_| End(LinkClosed::ByUs, false))
    }

    /// The first byte of a stream says which lane it is. It has the deadline of a frame.
    async fn read_lane_number(&mut self, stream: &mut Receiving) -> Result<Lane, End> {
        let mut byte = [0u8; 1];
        let read = timeout(FRAME_DEADLINE, stream.read_exact(&mut byte)).await;
        if !read.map_err(|_| End(LinkClosed::FrameTooSlow, false))?? {
            return Err(End(LinkClosed::ProtocolOrder, true));
        }
        let [number] = byte;
        let order = End(LinkClosed::ProtocolOrder, false);
        let Some(lane) = Lane::from_byte(number) else {
            return Err(order);
        };
        let before = self.opened.fetch_or(bit(lane), Ordering::Relaxed);
        if before & bit(lane) != 0 { Err(order) } else { Ok(lane) }
    }

    /// Waits until not paused, then reads what is there. The clock of a frame runs only in here, and not while paused.
    async fn read_some(
        &mut self,
        lane: Lane,
        stream: &mut Receiving,
        buffer: &mut FrameBuffer,
        clock: &mut FrameClock,
    ) -> Result<(), End> {
        let mut chunks: [Bytes; CHUNKS_PER_READ] = std::array::from_fn(|_| Bytes::new());
        loop {
            let open = self.paused.wait_for(|paused| paused & bit(lane) == 0).await.map(|_| ());
            open.map_err(|_| End(LinkClosed::ByUs, false))?;
            let limit = buffer.is_partial().then(|| clock.left());
            let started = Instant::now();
            let read = tokio::select! {
                biased;
                // Reading is cancel-safe: what was not returned is still in the stream.
                _ = self.paused.wait_for(|paused| paused & bit(lane) != 0) => None,
                read = stream.read_chunks(&mut chunks) => Some(read),
                () = expiry(limit) => return Err(End(LinkClosed::FrameTooSlow, false)),
            };
            if buffer.is_partial() {
                clock.ran(started.elapsed());
            }
            let Some(read) = read else { continue };
            let count = read?;
            if count == 0 {
                return Err(End(LinkClosed::ProtocolOrder, true));
            }
            let chunks = chunks.get(..count).unwrap_or_default();
            clock.brought(chunks.iter().map(Bytes::len).sum());
            buffer.extend(chunks);
            return Ok(());
        }
    }
}

/// Why reading ended, and whether it was because the peer ended the stream, which may be the beginning of a close.
#[derive(Debug)]
struct End(LinkClosed, bool);

impl From<BadLength> for End {
    fn from(BadLength(len): BadLength) -> Self {
        Self(LinkClosed::FrameTooLong { len }, false)
    }
}

impl From<ReadFailed> for End {
    fn from(error: ReadFailed) -> Self {
        match error {
            ReadFailed::Reset(_) => Self(LinkClosed::ProtocolOrder, true),
            ReadFailed::Lost(why) => Self(LinkClosed::of(why), false),
            ReadFailed::Stopped => Self(LinkClosed::Transport("a lane was ended on this side".into()), false),
        }
    }
}

async fn expiry(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// How long we have been reading the frame that has begun, and what that has brought, since it last made progress.
#[derive(Debug, Default)]
struct FrameClock {
    spent: Duration,
    brought: usize,
}

impl FrameClock {
    fn ran(&mut self, time: Duration) {
        self.spent = self.spent.saturating_add(time);
    }

    fn brought(&mut self, bytes: usize) {
        self.brought = self.brought.saturating_add(bytes);
        if self.brought >= FRAME_PROGRESS {
            *self = Self::default();
        }
    }

    fn left(&self) -> Duration {
        FRAME_DEADLINE.saturating_sub(self.spent)
    }
}
