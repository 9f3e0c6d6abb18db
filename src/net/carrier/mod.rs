//! What links and streams need of a transport, and nothing more: one connection to a peer whose key is proven, lanes one way, streams
//! both ways, each with flow control of its own.
//!
//! [`quic`] is the one that ships, and `net/memory` has one for tests. Links, their readers and writers, and the streams of applications know a [`Carrier`] alone. How
//! connections begin, who may begin one, and what is proven by that, is above and beside it ([`endpoint`](super::endpoint)).

mod quic;

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::closed::LinkClosed;

pub(crate) use quic::Quic;

/// What an operation that waits gives. All of them may be dropped before they are done: then they have done nothing.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection, shared by all who use it.
pub(crate) type Carried = Arc<dyn Carrier>;

/// One connection, whatever carries it. It is closed when the last who has it drops it.
pub(crate) trait Carrier: Any + Debug + Send + Sync {
    /// Where the other end is. It never changes.
    fn remote(&self) -> SocketAddr;

    /// The address of this machine that it goes out from, if that is known.
    fn local_ip(&self) -> Option<IpAddr>;

    /// Begins a stream that this end writes. It waits while the other end allows no more.
    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, LinkClosed>>;

    /// The next stream that the other end writes.
    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, LinkClosed>>;

    /// Begins a stream that both ends write. It waits while the other end allows no more.
    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>>;

    /// The next stream of that kind that the other end has begun.
    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>>;

    /// How many streams one way the other end may have open.
    fn allow_one_way(&self, most: u32);

    /// How many streams both ways the other end may have open.
    fn allow_both_ways(&self, most: u32);

    /// Ends it at once, telling the other end a code and words. What was not sent is lost.
    fn close(&self, code: u32, words: &[u8]);

    /// Waits for its end.
    fn closed(&self) -> Pending<'_, LinkClosed>;

    /// Why it has ended, if it has.
    fn close_reason(&self) -> Option<LinkClosed>;

    /// The current estimate of the round trip.
    fn round_trip(&self) -> Duration;

    /// Datagrams, or what comes closest, that have come so far: by that a silent line is told from a quiet peer.
    fn datagrams(&self) -> u64;
}

/// Both ends of a stream that both write.
pub(crate) type BothWays = (Box<dyn SendHalf>, Box<dyn RecvHalf>);

/// The end of a stream that writes. Dropping it ends the stream in order.
pub(crate) trait SendHalf: Debug + Send + Sync {
    /// Writes as much of `chunks` as there is room for, at least something, and takes it out of them.
    fn write_chunks<'a>(&'a mut self, chunks: &'a mut [Bytes]) -> Pending<'a, Result<Taken, WriteFailed>>;

    /// The same of bytes, which are copied.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, WriteFailed>>;

    /// Who goes first of what waits: the higher number.
    fn set_priority(&mut self, priority: i32);

    /// Ends it in order; false if it has ended.
    fn finish(&mut self) -> bool;

    /// Breaks it off, with a code for the other end. Ended twice is ended once.
    fn reset(&mut self, code: u32);

    /// Waits until all of a finished stream has arrived, or the other end reads no more, with a code that says why.
    fn stopped(&mut self) -> Pending<'_, Result<Option<u32>, LinkClosed>>;
}

/// What was written: whole chunks, and bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) chunks: usize,
    pub(crate) bytes: usize,
}

/// The end of a stream that reads. Dropping it tells the other end to write no more.
pub(crate) trait RecvHalf: Debug + Send + Sync {
    /// Waits for something, and puts it in order into as many of `chunks` as it fills; gives how many, or `None` at the end in order.
    fn read_chunks<'a>(
        &'a mut self,
        chunks: &'a mut [Bytes],
    ) -> Pending<'a, Result<Option<usize>, ReadFailed>>;

    /// The same of one chunk, of `most` bytes at the most.
    fn read_chunk(&mut self, most: usize) -> Pending<'_, Result<Option<Bytes>, ReadFailed>>;

    /// The same into a buffer, to which nothing is added at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), ReadFailed>>;

    /// Reads no more, with a code for the other end.
    fn stop(&mut self, code: u32);
}

/// Why a stream takes no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteFailed {
    /// The other end reads no more, with this code.
    Stopped(u32),
    /// The connection has ended.
    Lost(LinkClosed),
    /// It was ended by this end.
    Ended,
}

/// Why a stream gives no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadFailed {
    /// The other end has broken it off, with this code.
    Reset(u32),
    /// The connection has ended.
    Lost(LinkClosed),
    /// It was ended by this end.
    Ended,
}

/// Writes all of `bytes`.
pub(crate) async fn write_all(stream: &mut dyn SendHalf, mut bytes: &[u8]) -> Result<(), WriteFailed> {
    while !bytes.is_empty() {
        let written = std::future::poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Fills `bytes`; false if the stream ends before.
pub(crate) async fn read_exact(stream: &mut dyn RecvHalf, bytes: &mut [u8]) -> Result<bool, ReadFailed> {
    let mut buffer = ReadBuf::new(bytes);
    while buffer.remaining() > 0 {
        let before = buffer.filled().len();
        std::future::poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await?;
        if buffer.filled().len() == before {
            return Ok(false);
        }
    }
    Ok(true)
}
