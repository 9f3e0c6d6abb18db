//! The ends of a connection, and of its streams, as links and streams see them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::line::{Begun, End, Kind, Line, PipeId, State};
use super::pipe::Flow;
use crate::key::PublicKey;
use crate::net::transport::{
    BothWays, Carrier, Ended, Pending, Purpose, ReadFailed, RecvHalf, SendHalf, WriteFailed,
};

/// Both ends of one connection, the dialler's first, that are whose and where is said.
pub(super) fn connect(
    [here, there]: [(PublicKey, SocketAddr); 2],
    purpose: Purpose,
    delay: Duration,
) -> (Arc<Line>, [Arc<dyn Carrier>; 2]) {
    let line = Line::begin(delay);
    let end = |end, (peer, remote)| {
        let held = Arc::new(Held { line: Arc::clone(&line), end });
        Arc::new(Memory { held, peer, purpose, remote, delay }) as Arc<dyn Carrier>
    };
    let ends = [end(End::Dialled, there), end(End::Accepted, here)];
    (line, ends)
}

/// The same of one that nobody can cut.
#[cfg(test)]
pub(crate) fn pair(
    ends: [(PublicKey, SocketAddr); 2],
    purpose: Purpose,
    delay: Duration,
) -> [Arc<dyn Carrier>; 2] {
    connect(ends, purpose, delay).1
}

/// One end, held by its carrier and its streams. It is closed with the last of them.
#[derive(Debug)]
struct Held {
    line: Arc<Line>,
    end: End,
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
    peer: PublicKey,
    purpose: Purpose,
    remote: SocketAddr,
    delay: Duration,
}

impl Memory {
    async fn begin(&self, kind: Kind) -> Result<(Box<dyn SendHalf>, Option<Box<dyn RecvHalf>>), Ended> {
        let begun = self.held.line.until(|state| state.open(self.held.end, kind)).await?;
        // What comes to the other end goes from here.
        let Begun { comes: goes, goes: comes } = begun;
        Ok((self.sends(goes, None), comes.map(|comes| self.receives(comes, None))))
    }

    async fn take(&self, kind: Kind) -> Result<(Begun, Arc<Place>), Ended> {
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
    fn odd() -> Ended {
        Ended::Failed("a stream lacks one of its directions".into())
    }
}

impl Carrier for Memory {
    fn peer(&self) -> PublicKey {
        self.peer
    }

    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn remote(&self) -> Option<SocketAddr> {
        Some(self.remote)
    }

    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, Ended>> {
        Box::pin(async { Ok(self.begin(Kind::OneWay).await?.0) })
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, Ended>> {
        Box::pin(async {
            let (begun, place) = self.take(Kind::OneWay).await?;
            Ok(self.receives(begun.comes, Some(place)))
        })
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(async {
            let (send, recv) = self.begin(Kind::BothWays).await?;
            Ok((send, recv.ok_or_else(Self::odd)?))
        })
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(async {
            let (begun, place) = self.take(Kind::BothWays).await?;
            let recv = self.receives(begun.comes, Some(Arc::clone(&place)));
            Ok((self.sends(begun.goes.ok_or_else(Self::odd)?, Some(place)), recv))
        })
    }

    fn allow(&self, one_way: u32, both_ways: u32) {
        self.held.line.with(|state| {
            state.allow(self.held.end, Kind::OneWay, one_way);
            state.allow(self.held.end, Kind::BothWays, both_ways);
        });
    }

    fn close(&self, code: u32, words: &[u8]) {
        self.held.line.close(self.held.end, code, words);
    }

    fn closed(&self) -> Pending<'_, Ended> {
        Box::pin(self.held.line.until(|state| state.lost(self.held.end)))
    }

    fn round_trip(&self) -> Duration {
        self.delay * 2
    }

    fn heard(&self) -> u64 {
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

    fn poll_take(&self, cx: &Context<'_>, chunk: &mut Bytes) -> Poll<Result<(), WriteFailed>> {
        self.with(|state, end| {
            let lost = state.lost(end);
            let Some(pipe) = state.pipe(self.pipe) else { return Poll::Ready(Err(WriteFailed::Finished)) };
            pipe.write(cx, lost, chunk).map_ok(|taken| {
                if !taken.is_empty() {
                    state.flow(end, self.pipe, Flow::Bytes(taken));
                }
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
    fn poll_write(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<(), WriteFailed>> {
        match chunks.iter_mut().find(|chunk| !chunk.is_empty()) {
            Some(first) => self.poll_take(cx, first),
            None => Poll::Ready(Ok(())),
        }
    }

    fn finish(&mut self) -> bool {
        self.end(Flow::Finished)
    }

    fn reset(&mut self, code: u32) {
        self.end(Flow::Reset(code));
    }

    fn stopped(&mut self) -> Pending<'_, Result<Option<u64>, Ended>> {
        Box::pin(std::future::poll_fn(|cx| {
            self.with(|state, end| {
                let lost = state.lost(end);
                match state.pipe(self.pipe) {
                    Some(pipe) => pipe.poll_stopped(cx, lost).map_ok(|code| code.map(u64::from)),
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

    fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, ReadFailed>> {
        self.with(|state, end| {
            let lost = state.lost(end);
            let Some(pipe) = state.pipe(self.pipe) else { return Poll::Ready(Err(ReadFailed::Stopped)) };
            pipe.read(cx, lost).map_ok(|read| {
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
    fn poll_read(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<usize, ReadFailed>> {
        let Some(first) = chunks.first_mut() else { return Poll::Ready(Ok(0)) };
        self.poll_chunk(cx).map_ok(|chunk| {
            let is_some = chunk.is_some();
            *first = chunk.unwrap_or_default();
            usize::from(is_some)
        })
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
