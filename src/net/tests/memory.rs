//! A carrier without a network: both ends are in one process, and what one end writes is at the other at once. So tests of what is
//! above need no socket, and time may stand still in them. What links and streams need is in [`Carrier`], or these tests fail.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::sync::{Notify, mpsc};

use crate::key::{PublicKey, SecretKey};
use crate::net::carrier::{
    BothWays, Carried, Carrier, Pending, ReadFailed, RecvHalf, SendHalf, Taken, WriteFailed,
};
use crate::net::closed::LinkClosed;
use crate::net::config::HANDSHAKE_DEADLINE;
use crate::net::entrance::READY;
use crate::net::medium::{Medium, Purpose};
use crate::net::streams::Desk;
use crate::net::transport::{BIDI_STREAMS, STREAM_WINDOW, UNI_STREAMS};
use crate::net::{AcceptError, Connection, Endpoint, SocketErrors};
use crate::protocol::DialError;

/// Two ends of one connection, with the limits that a connection of QUIC begins with.
pub(crate) fn pair(at: [SocketAddr; 2]) -> [Carried; 2] {
    let shared = Arc::new(Shared::default());
    let end = |side, remote| {
        Arc::new(Memory { end: Arc::new(End { side, shared: shared.clone() }), remote }) as Carried
    };
    [end(0, at[1]), end(1, at[0])]
}

/// A network in memory: who listens at which address. Nobody proves anything here, and nobody lies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network(Arc<Mutex<HashMap<SocketAddr, Listening>>>);

#[derive(Clone, Debug)]
struct Listening {
    key: PublicKey,
    ready: mpsc::Sender<Result<Connection, AcceptError>>,
    streams: Desk,
}

impl Network {
    /// An endpoint of its own address.
    pub(crate) fn endpoint(&self, key: &SecretKey) -> Endpoint {
        let (ready_in, ready) = mpsc::channel(READY);
        let streams = Desk::default();
        let mut all = lock(&self.0);
        let port = (1..).find(|port| !all.contains_key(&(Ipv4Addr::LOCALHOST, *port).into())).unwrap();
        let (here, key) = ((Ipv4Addr::LOCALHOST, port).into(), key.public());
        all.insert(here, Listening { key, ready: ready_in, streams: streams.clone() });
        Endpoint::over(Arc::new(Address { network: self.clone(), here, key }), ready, streams)
    }
}

/// One address of the network.
#[derive(Debug)]
struct Address {
    network: Network,
    here: SocketAddr,
    key: PublicKey,
}

impl Medium for Address {
    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Carried, DialError>> {
        Box::pin(async move {
            let Some(there) = lock(&self.network.0).get(&addr).cloned() else {
                tokio::time::sleep(HANDSHAKE_DEADLINE).await;
                return Err(DialError::TimedOut { addr, peer });
            };
            if there.key != peer {
                return Err(DialError::WrongKey { addr, expected: peer, answered: there.key });
            }
            let [dialled, accepted] = pair([self.here, addr]);
            let streams = purpose == Purpose::Streams;
            let accepted = Connection::carried(accepted, self.key, false, streams, there.streams);
            let taken = there.ready.send(Ok(accepted)).await;
            taken.map_err(|_| DialError::Refused { addr, peer })?;
            Ok(dialled)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.here)
    }

    fn refuse_all(&self) {
        lock(&self.network.0).remove(&self.here);
    }

    fn close(&self) -> Pending<'_, ()> {
        self.refuse_all();
        Box::pin(std::future::ready(()))
    }

    fn errors(&self) -> SocketErrors {
        SocketErrors::default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What both ends share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something of the state is otherwise.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    sides: [Side; 2],
    /// Who has closed it, with which code and words.
    closed: Option<(usize, u32, String)>,
    pipes: Vec<Weak<Pipe>>,
}

/// What one side lets the other begin.
#[derive(Debug)]
struct Side {
    one_way: Limit,
    both_ways: Limit,
    /// Begun by the other side, and not taken yet.
    lanes: VecDeque<(Arc<Pipe>, Place)>,
    streams: VecDeque<(Arc<Pipe>, Arc<Pipe>, Place)>,
    came: u64,
}

impl Default for Side {
    fn default() -> Self {
        let (one_way, both_ways) = (Limit::new(UNI_STREAMS), Limit::new(BIDI_STREAMS));
        Self { one_way, both_ways, lanes: VecDeque::new(), streams: VecDeque::new(), came: 0 }
    }
}

/// How many streams may be open, and how many are.
#[derive(Debug)]
struct Limit {
    most: u32,
    open: Arc<AtomicU32>,
}

/// One of them.
#[derive(Debug)]
struct Place {
    open: Arc<AtomicU32>,
    shared: Weak<Shared>,
}

impl Limit {
    fn new(most: u32) -> Self {
        Self { most, open: Arc::default() }
    }

    fn place(&self, shared: &Arc<Shared>) -> Option<Place> {
        // Under the lock of the state; only ends of places count down beside it.
        (self.open.load(Ordering::SeqCst) < self.most).then(|| {
            self.open.fetch_add(1, Ordering::SeqCst);
            Place { open: self.open.clone(), shared: Arc::downgrade(shared) }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        if let Some(shared) = self.shared.upgrade() {
            shared.changed.notify_waiters();
        }
    }
}

impl Shared {
    /// Waits until `look` finds something in the state.
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&mut lock(&self.state)) {
                return found;
            }
            changed.await;
        }
    }

    fn close(&self, side: usize, code: u32, words: &[u8]) {
        let mut state = lock(&self.state);
        if state.closed.is_some() {
            return;
        }
        state.closed = Some((side, code, String::from_utf8_lossy(words).into_owned()));
        let pipes: Vec<_> = state.pipes.iter().filter_map(Weak::upgrade).collect();
        drop(state);
        pipes.iter().for_each(|pipe| lock(&pipe.0).wake());
        self.changed.notify_waiters();
    }

    fn pipe(state: &mut State) -> Arc<Pipe> {
        let pipe = Arc::new(Pipe::default());
        state.pipes.retain(|pipe| pipe.strong_count() > 0);
        state.pipes.push(Arc::downgrade(&pipe));
        pipe
    }
}

impl State {
    /// Why it has ended, as one side sees it.
    fn lost(&self, side: usize) -> Option<LinkClosed> {
        self.closed.as_ref().map(|(by, code, words)| match *by == side {
            true => LinkClosed::ByUs,
            false => LinkClosed::ByPeer { code: *code, reason: words.clone() },
        })
    }
}

/// One end, held by its carrier and its streams. It is closed with the last of them.
#[derive(Debug)]
struct End {
    side: usize,
    shared: Arc<Shared>,
}

impl End {
    fn lost(&self) -> Option<LinkClosed> {
        lock(&self.shared.state).lost(self.side)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.close(self.side, 0, b"");
    }
}

#[derive(Debug)]
struct Memory {
    end: Arc<End>,
    remote: SocketAddr,
}

impl Memory {
    fn here(&self) -> usize {
        self.end.side
    }

    fn there(&self) -> usize {
        1 - self.end.side
    }

    fn sends(&self, pipe: Arc<Pipe>, place: Option<Arc<Place>>) -> Box<dyn SendHalf> {
        Box::new(Sends { pipe, end: self.end.clone(), _place: place })
    }

    fn receives(&self, pipe: Arc<Pipe>, place: Option<Arc<Place>>) -> Box<dyn RecvHalf> {
        Box::new(Receives { pipe, end: self.end.clone(), _place: place })
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
        let shared = &self.end.shared;
        Box::pin(async move {
            let opened = shared.until(|state| {
                if let Some(why) = state.lost(self.here()) {
                    return Some(Err(why));
                }
                let place = state.sides[self.there()].one_way.place(shared)?;
                let pipe = Shared::pipe(state);
                state.sides[self.there()].lanes.push_back((pipe.clone(), place));
                Some(Ok(pipe))
            });
            let pipe = opened.await?;
            shared.changed.notify_waiters();
            Ok(self.sends(pipe, None))
        })
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, LinkClosed>> {
        Box::pin(async move {
            let next = self.end.shared.until(|state| match state.sides[self.here()].lanes.pop_front() {
                Some(next) => Some(Ok(next)),
                None => state.lost(self.here()).map(Err),
            });
            let (pipe, place) = next.await?;
            Ok(self.receives(pipe, Some(Arc::new(place))))
        })
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>> {
        let shared = &self.end.shared;
        Box::pin(async move {
            let opened = shared.until(|state| {
                if let Some(why) = state.lost(self.here()) {
                    return Some(Err(why));
                }
                let place = state.sides[self.there()].both_ways.place(shared)?;
                let (to, from) = (Shared::pipe(state), Shared::pipe(state));
                state.sides[self.there()].streams.push_back((from.clone(), to.clone(), place));
                Some(Ok((to, from)))
            });
            let (to, from) = opened.await?;
            shared.changed.notify_waiters();
            Ok((self.sends(to, None), self.receives(from, None)))
        })
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, LinkClosed>> {
        Box::pin(async move {
            let next = self.end.shared.until(|state| match state.sides[self.here()].streams.pop_front() {
                Some(next) => Some(Ok(next)),
                None => state.lost(self.here()).map(Err),
            });
            let (to, from, place) = next.await?;
            let place = Some(Arc::new(place));
            Ok((self.sends(to, place.clone()), self.receives(from, place)))
        })
    }

    fn allow_one_way(&self, most: u32) {
        lock(&self.end.shared.state).sides[self.here()].one_way.most = most;
        self.end.shared.changed.notify_waiters();
    }

    fn allow_both_ways(&self, most: u32) {
        lock(&self.end.shared.state).sides[self.here()].both_ways.most = most;
        self.end.shared.changed.notify_waiters();
    }

    fn close(&self, code: u32, words: &[u8]) {
        self.end.shared.close(self.here(), code, words);
    }

    fn closed(&self) -> Pending<'_, LinkClosed> {
        Box::pin(self.end.shared.until(|state| state.lost(self.here())))
    }

    fn close_reason(&self) -> Option<LinkClosed> {
        self.end.lost()
    }

    fn round_trip(&self) -> Duration {
        Duration::ZERO
    }

    fn datagrams(&self) -> u64 {
        lock(&self.end.shared.state).sides[self.here()].came
    }
}

/// Bytes on their way, in one direction.
#[derive(Debug, Default)]
struct Pipe(Mutex<Bytesway>);

#[derive(Debug, Default)]
struct Bytesway {
    chunks: VecDeque<Bytes>,
    held: usize,
    finished: bool,
    reset: Option<u32>,
    stopped: Option<u32>,
    wakers: Vec<Waker>,
}

impl Bytesway {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Debug)]
struct Sends {
    pipe: Arc<Pipe>,
    end: Arc<End>,
    _place: Option<Arc<Place>>,
}

impl Sends {
    fn poll_take(&self, cx: &Context<'_>, chunk: &mut Bytes) -> Poll<Result<usize, WriteFailed>> {
        let lost = self.end.lost();
        let mut way = lock(&self.pipe.0);
        let room = (STREAM_WINDOW as usize).saturating_sub(way.held);
        if let Some(why) = lost {
            return Poll::Ready(Err(WriteFailed::Lost(why)));
        } else if let Some(code) = way.stopped {
            return Poll::Ready(Err(WriteFailed::Stopped(code)));
        } else if way.finished || way.reset.is_some() {
            return Poll::Ready(Err(WriteFailed::Ended));
        } else if room == 0 && !chunk.is_empty() {
            return way.wait(cx);
        }
        let taken = chunk.split_to(room.min(chunk.len()));
        let len = taken.len();
        way.held += len;
        way.chunks.push_back(taken);
        way.wake();
        drop(way);
        lock(&self.end.shared.state).sides[1 - self.end.side].came += 1;
        Poll::Ready(Ok(len))
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
        let mut way = lock(&self.pipe.0);
        let first = !way.finished && way.reset.is_none();
        way.finished |= first;
        way.wake();
        first
    }

    fn reset(&mut self, code: u32) {
        let mut way = lock(&self.pipe.0);
        if !way.finished {
            way.reset.get_or_insert(code);
            way.chunks.clear();
        }
        way.wake();
    }

    fn stopped(&mut self) -> Pending<'_, Result<Option<u32>, LinkClosed>> {
        Box::pin(std::future::poll_fn(|cx| {
            let lost = self.end.lost();
            let mut way = lock(&self.pipe.0);
            match (way.stopped, lost) {
                // What was written is there.
                (None, _) if way.finished => Poll::Ready(Ok(None)),
                (Some(code), _) => Poll::Ready(Ok(Some(code))),
                (None, Some(why)) => Poll::Ready(Err(why)),
                (None, None) => way.wait(cx),
            }
        }))
    }
}

impl Drop for Sends {
    fn drop(&mut self) {
        self.finish();
    }
}

#[derive(Debug)]
struct Receives {
    pipe: Arc<Pipe>,
    end: Arc<End>,
    _place: Option<Arc<Place>>,
}

impl Receives {
    fn poll_chunk(&self, cx: &Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, ReadFailed>> {
        let lost = self.end.lost();
        let mut way = lock(&self.pipe.0);
        if way.stopped.is_some() {
            return Poll::Ready(Err(ReadFailed::Ended));
        } else if let Some(code) = way.reset {
            return Poll::Ready(Err(ReadFailed::Reset(code)));
        }
        if let Some(mut chunk) = way.chunks.pop_front() {
            let taken = chunk.split_to(most.min(chunk.len()));
            if !chunk.is_empty() {
                way.chunks.push_front(chunk);
            }
            way.held -= taken.len();
            way.wake();
            return Poll::Ready(Ok(Some(taken)));
        }
        match lost {
            _ if way.finished => Poll::Ready(Ok(None)),
            Some(why) => Poll::Ready(Err(ReadFailed::Lost(why))),
            None => way.wait(cx),
        }
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
        let mut way = lock(&self.pipe.0);
        way.stopped.get_or_insert(code);
        way.wake();
    }
}

impl Drop for Receives {
    fn drop(&mut self) {
        let mut way = lock(&self.pipe.0);
        if !way.finished && way.reset.is_none() {
            way.stopped.get_or_insert(0);
        }
        way.wake();
    }
}
