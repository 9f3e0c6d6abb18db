//! The ends of a connection, and of its streams, as links and streams see them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::line::{Begun, End, Kind, Line, PipeId, State};
use super::pipe::Flow;
use crate::net::carrier::{
    BothWays, Carried, Carrier, Pending, ReadFailed, RecvHalf, SendHalf, Taken, WriteFailed,
};
use crate::net::closed::LinkClosed;

/// Both ends of one connection, the dialler's first, that are at these addresses.
pub(super) fn connect([here, there]: [SocketAddr; 2], delay: Duration) -> (Arc<Line>, [Carried; 2]) {
    let line = Line::begin(delay);
    let end = |end, remote| {
        let held = Arc::new(Held { line: Arc::clone(&line), end });
        Arc::new(Memory { held, remote, delay }) as Carried
    };
    let ends = [end(End::Dialled, there), end(End::Accepted, here)];
    (line, ends)
}

/// The same of one that nobody can cut.
#[cfg(test)]
pub(crate) fn pair(at: [SocketAddr; 2], delay: Duration) -> [Carried; 2] {
    connect(at, delay).1
}

/// One end, held by its carrier and its streams. It is closed with the last of them.
#[derive(Debug)]
struct Held {
    line: Arc<Line>,
    end: End,
}

impl Held {
    fn lost(&self) -> Option<LinkClosed> {
        self.line.with(|state| state.lost(self.end))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.line.close(self.end, 0, b"");
    }
}

/// A place of a stream that the other end has begun, given back with the last half of it.
#[derive(Debug)]
struct Place {
    held: Arc<Held>,
    kind: Kind,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.line.with(|state| state.is_over(self.held.end, self.kind));
    }
}

#[derive(Debug)]
struct Memory {
    held: Arc<Held>,
    remote: SocketAddr,
    delay: Duration,
}

impl Memory {
    async fn begin(&self, kind: Kind) -> Result<(Box<dyn SendHalf>, Option<Box<dyn RecvHalf>>), LinkClosed> {
        let begun = self.held.line.until(|state| state.open(self.held.end, kind)).await?;
        // What comes to the other end goes from here.
        let Begun { comes: goes, goes: comes } = begun;
        Ok((self.sends(goes, None), comes.map(|comes| self.receives(comes, None))))
    }

    async fn take(&self, kind: Kind) -> Result<(Begun, Arc<Place>), LinkClosed> {
        let begun = self.held.line.until(|state| state.accept(self.held.end, kind)).await?;
        Ok((begun, Arc::new(Place { held: Arc::clone(&self.held), kind })))
    }

    fn sends(&self, pipe: PipeId, place: Option<Arc<Place>>) -> Box<dyn SendHalf> {
        Box::new(Sends { pipe, _place: place, held: Arc::clone(&self.held) })
    }

    fn receives(&self, pipe: PipeId, place: Option<Arc<Place>>) -> Box<dyn RecvHalf> {
        Box::new(Receives { pipe, _place: place, held: Arc::clone(&self.held) })
    }

    /// A stream of the wrong kind, which there is none of.
    fn odd() -> LinkClosed {
        LinkClosed::Transport("a stream lacks one of its directions".into())
    }
}

impl Carrier for Memory {
    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn local_ip(&self) -> Option<IpAddr> {
        None
    }

    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, LinkClosed>> {
        Box::pin(async { Ok(self.begin(Kind::OneWay).await?.0) })
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, LinkClosed>> {
        Box::pin(async {
            let (begun, place) = self.take(Kind::OneWay).await?;
            Ok(self.receives(begun.comes, Some(place)))
        })
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>> {
        Box::pin(async {
            let (send, recv) = self.begin(Kind::BothWays).await?;
            Ok((send, recv.ok_or_else(Self::odd)?))
        })
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>> {
        Box::pin(async {
            let (begun, place) = self.take(Kind::BothWays).await?;
            let recv = self.receives(begun.comes, Some(Arc::clone(&place)));
            Ok((self.sends(begun.goes.ok_or_else(Self::odd)?, Some(place)), recv))
        })
    }

    fn allow_one_way(&self, most: u32) {
        self.held.line.with(|state| state.allow(self.held.end, Kind::OneWay, most));
    }

    fn allow_both_ways(&self, most: u32) {
        self.held.line.with(|state| state.allow(self.held.end, Kind::BothWays, most));
    }

    fn close(&self, code: u32, words: &[u8]) {
        self.held.line.close(self.held.end, code, words);
    }

    fn closed(&self) -> Pending<'_, LinkClosed> {
        Box::pin(self.held.line.until(|state| state.lost(self.held.end)))
    }

    fn close_reason(&self) -> Option<LinkClosed> {
        self.held.lost()
    }

    fn round_trip(&self) -> Duration {
        self.delay * 2
    }

    fn datagrams(&self) -> u64 {
        self.held.line.with(|state| state.came(self.held.end))
    }
}

/// The end of a stream that writes.
#[derive(Debug)]
struct Sends {
    pipe: PipeId,
    // Given back before the connection is.
    _place: Option<Arc<Place>>,
    held: Arc<Held>,
}

impl Sends {
    fn with<T>(&self, act: impl FnOnce(&mut State, End) -> T) -> T {
        self.held.line.with(|state| act(state, self.held.end))
    }

    fn poll_take(&self, cx: &Context<'_>, chunk: &mut Bytes) -> Poll<Result<usize, WriteFailed>> {
        self.with(|state, end| {
            let lost = state.lost(end);
            let Some(pipe) = state.pipe(self.pipe) else { return Poll::Ready(Err(WriteFailed::Ended)) };
            pipe.write(cx, lost, chunk).map_ok(|taken| {
                let len = taken.len();
                if len > 0 {
                    state.flow(end, self.pipe, Flow::Bytes(taken));
                }
                len
            })
        })
    }

    fn end(&self, flow: Flow) -> bool {
        self.with(|state, end| {
            let first = state.pipe(self.pipe).is_some_and(|pipe| pipe.end());
            if first {
                state.flow(end, self.pipe, flow);
            }
            first
        })
    }
}

impl SendHalf for Sends {
    fn write_chunks<'a>(&'a mut self, chunks: &'a mut [Bytes]) -> Pending<'a, Result<Taken, WriteFailed>> {
        Box::pin(async move {
            let Some(first) = chunks.first_mut() else { return Ok(Taken { chunks: 0, bytes: 0 }) };
            let bytes = std::future::poll_fn(|cx| self.poll_take(cx, first)).await?;
            Ok(Taken { chunks: usize::from(first.is_empty()), bytes })
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, WriteFailed>> {
        self.poll_take(cx, &mut Bytes::copy_from_slice(bytes))
    }

    fn set_priority(&mut self, _: i32) {}

    fn finish(&mut self) -> bool {
        self.end(Flow::Finished)
    }

    fn reset(&mut self, code: u32) {
        self.end(Flow::Reset(code));
    }

    fn stopped(&mut self) -> Pending<'_, Result<Option<u32>, LinkClosed>> {
        Box::pin(std::future::poll_fn(|cx| {
            self.with(|state, end| {
                let lost = state.lost(end);
                match state.pipe(self.pipe) {
                    Some(pipe) => pipe.poll_stopped(cx, lost),
                    None => Poll::Ready(Ok(None)),
                }
            })
        }))
    }
}

impl Drop for Sends {
    fn drop(&mut self) {
        self.finish();
        self.with(|state, _| state.let_go(self.pipe));
    }
}

/// The end of a stream that reads.
#[derive(Debug)]
struct Receives {
    pipe: PipeId,
    // Given back before the connection is.
    _place: Option<Arc<Place>>,
    held: Arc<Held>,
}

impl Receives {
    fn with<T>(&self, act: impl FnOnce(&mut State, End) -> T) -> T {
        self.held.line.with(|state| act(state, self.held.end))
    }

    fn poll_chunk(&self, cx: &Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, ReadFailed>> {
        self.with(|state, end| {
            let lost = state.lost(end);
            let Some(pipe) = state.pipe(self.pipe) else { return Poll::Ready(Err(ReadFailed::Ended)) };
            pipe.read(cx, lost, most).map_ok(|read| {
                let (bytes, free) = read?;
                if free > 0 {
                    state.flow(end, self.pipe, Flow::Room(free));
                }
                Some(bytes)
            })
        })
    }

    fn end(&self, code: u32) {
        self.with(|state, end| {
            if state.pipe(self.pipe).is_some_and(|pipe| pipe.stop()) {
                state.flow(end, self.pipe, Flow::Stopped(code));
            }
        });
    }
}

impl RecvHalf for Receives {
    fn read_chunks<'a>(
        &'a mut self,
        chunks: &'a mut [Bytes],
    ) -> Pending<'a, Result<Option<usize>, ReadFailed>> {
        Box::pin(async move {
            let Some(first) = chunks.first_mut() else { return Ok(Some(0)) };
            let chunk = std::future::poll_fn(|cx| self.poll_chunk(cx, usize::MAX)).await?;
            Ok(chunk.map(|chunk| {
                *first = chunk;
                1
            }))
        })
    }

    fn read_chunk(&mut self, most: usize) -> Pending<'_, Result<Option<Bytes>, ReadFailed>> {
        Box::pin(std::future::poll_fn(move |cx| self.poll_chunk(cx, most)))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), ReadFailed>> {
        let read = self.poll_chunk(cx, buffer.remaining());
        read.map_ok(|chunk| buffer.put_slice(&chunk.unwrap_or_default()))
    }

    fn stop(&mut self, code: u32) {
        self.end(code);
    }
}

impl Drop for Receives {
    fn drop(&mut self) {
        self.end(0);
        self.with(|state, _| state.let_go(self.pipe));
    }
}
