//! The node's own UDP socket: errors don't end it, it can be bound anew under live connections, and its port is free the moment
//! the node lets go of it.
//!
//! ```text
//! quinn ──▶ Socket ──▶ Bound (what the operating system gave), or none: what is sent then is lost, as packets may be
//!              │ a receive fails
//!              ▼
//!           keeper: binds the same address anew, at growing pauses, and gives up after a minute
//! ```
//!
//! quinn ends its driver, and with it every connection, at the first error of a receive. And it keeps its socket for as long as
//! a clone of any connection lives, so a port would be taken until the last peer that does not answer has timed out.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::protocol::StopReason;

/// The first pause after the socket could not be bound anew; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause: a network that is back is used again within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Time without a working socket after which the node ends. A guess: links are gone after 30 s of silence, so there is nothing
/// left to save. Without it a node whose port was taken by another process would stay deaf for ever.
pub(super) const GIVE_UP: Duration = Duration::from_secs(60);

/// How the node's socket does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketState {
    /// It works.
    Works,
    /// Receiving fails, or it is being bound anew.
    Fails,
    /// It is lost for good: nothing will ever be received.
    Lost(StopReason),
}

/// Errors of the socket so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SocketErrors {
    /// Receives and sends that failed. What was to be sent counts as lost on the way.
    pub errors: u64,
    /// How often the socket was bound anew.
    pub rebound: u64,
}

/// A socket of the operating system.
#[derive(Debug)]
struct Bound {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    /// Dropped after `io`, so whoever waits for its end knows that the port is free.
    freed: watch::Sender<()>,
}

impl Bound {
    fn new(addr: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { io: tokio::net::UdpSocket::from_std(socket)?, state, freed: watch::Sender::new(()) })
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let receive = || self.state.recv((&self.io).into(), bufs, meta);
            match self.io.try_io(Interest::READABLE, receive) {
                Err(error) if is_harmless(error.kind()) => {}
                received => return Poll::Ready(received),
            }
        }
    }
}

/// Nothing was there after all; or a peer's port is closed, which anybody can pretend and QUIC finds out by itself.
fn is_harmless(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, WouldBlock};
    [WouldBlock, ConnectionReset, ConnectionRefused].contains(&kind)
}

/// What quinn sends and receives by.
#[derive(Debug)]
pub(super) struct Socket {
    /// Where it is bound, with the port that it got.
    addr: SocketAddr,
    bound: RwLock<Option<Arc<Bound>>>,
    /// The socket was bound anew or let go: who waits to write looks again.
    changed: Notify,
    /// Of quinn's driver, while there is nothing to receive from.
    driver: Mutex<Option<Waker>>,
    /// The last receive failed.
    failing: AtomicBool,
    failed: Notify,
    works: Notify,
    errors: AtomicU64,
    rebound: AtomicU64,
    state: watch::Sender<SocketState>,
    #[cfg(test)]
    pub(super) faults: Faults,
}

/// What tests have the operating system say.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// So many receives fail.
    pub(crate) receives: AtomicU64,
    /// All receives fail until the socket is bound anew.
    pub(crate) broken: AtomicBool,
    /// So many attempts to bind anew fail.
    pub(crate) binds: AtomicU64,
    /// The first attempt is the last.
    pub(crate) hopeless: AtomicBool,
}

#[cfg(test)]
impl Faults {
    fn take(count: &AtomicU64) -> bool {
        count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    fn of_receive(&self) -> Option<io::Error> {
        let fails = self.broken.load(Ordering::SeqCst) || Self::take(&self.receives);
        fails.then(|| io::Error::other("injected"))
    }

    fn of_bind(&self) -> io::Result<()> {
        if Self::take(&self.binds) { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(()) }
    }
}

impl Socket {
    pub(super) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let bound = Bound::new(addr)?;
        Ok(Self {
            addr: bound.io.local_addr()?,
            bound: RwLock::new(Some(Arc::new(bound))),
            changed: Notify::new(),
            driver: Mutex::default(),
            failing: AtomicBool::new(false),
            failed: Notify::new(),
            works: Notify::new(),
            errors: AtomicU64::new(0),
            rebound: AtomicU64::new(0),
            state: watch::Sender::new(SocketState::Works),
            #[cfg(test)]
            faults: Faults::default(),
        })
    }

    pub(super) fn state(&self) -> watch::Receiver<SocketState> {
        self.state.subscribe()
    }

    pub(super) fn errors(&self) -> SocketErrors {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SocketErrors { errors: read(&self.errors), rebound: read(&self.rebound) }
    }

    fn bound(&self) -> Option<Arc<Bound>> {
        self.bound.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, bound: Option<Arc<Bound>>) -> Option<Arc<Bound>> {
        let old = std::mem::replace(&mut *self.bound.write().unwrap_or_else(PoisonError::into_inner), bound);
        self.changed.notify_waiters();
        self.wake_driver();
        old
    }

    /// Closes the socket and returns when its port is free, even while clones of it exist. Nothing is sent or received from
    /// then on.
    pub(super) async fn release(&self) {
        let Some(bound) = self.replace(None) else { return };
        let mut freed = bound.freed.subscribe();
        drop(bound);
        // Ends with an error: the sender goes with the socket.
        let _ = freed.changed().await;
    }

    fn wait(&self, cx: &Context<'_>) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
    }

    fn wake_driver(&self) {
        if let Some(driver) = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take() {
            driver.wake();
        }
    }

    fn receive(
        &self,
        bound: &Bound,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        #[cfg(test)]
        if let Some(error) = self.faults.of_receive() {
            return Poll::Ready(Err(error));
        }
        bound.poll_recv(cx, bufs, meta)
    }

    /// A receive has failed. The first time in a row it is simply tried again, unless the socket has lost its port: then, and if it
    /// fails again, the keeper is called.
    fn fail(&self, bound: &Bound, cx: &Context<'_>) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let again = self.failing.swap(true, Ordering::AcqRel);
        if !again && bound.io.local_addr().is_ok_and(|addr| addr == self.addr) {
            cx.waker().wake_by_ref();
        } else {
            self.wait(cx);
            self.failed.notify_one();
        }
    }

    /// A receive has not failed.
    fn succeed(&self) {
        if self.failing.load(Ordering::Acquire) && self.failing.swap(false, Ordering::AcqRel) {
            self.works.notify_one();
        }
    }

    fn bind_anew(&self) -> io::Result<()> {
        // Two sockets can't have one port, so the old one goes first.
        drop(self.replace(None));
        #[cfg(test)]
        self.faults.of_bind()?;
        let bound = Bound::new(self.addr)?;
        #[cfg(test)]
        self.faults.broken.store(false, Ordering::SeqCst);
        self.rebound.fetch_add(1, Ordering::Relaxed);
        self.replace(Some(Arc::new(bound)));
        Ok(())
    }

    /// Binds the socket anew until it works; the error of the last attempt if it never did.
    async fn mend(&self) -> Result<(), String> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match self.bind_anew() {
                Ok(()) if self.works_again().await => return Ok(()),
                Ok(()) => "receiving fails at once".to_owned(),
                Err(error) => error.to_string(),
            };
            if began.elapsed() >= self.patience() {
                return Err(why);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    #[cfg(not(test))]
    const fn patience(&self) -> Duration {
        GIVE_UP
    }

    #[cfg(test)]
    fn patience(&self) -> Duration {
        if self.faults.hopeless.load(Ordering::SeqCst) { Duration::ZERO } else { GIVE_UP }
    }

    /// Whether quinn's driver, which binding anew has woken, can receive.
    async fn works_again(&self) -> bool {
        loop {
            tokio::select! {
                // Either may have been said of the socket of before.
                () = self.works.notified() => if !self.failing.load(Ordering::Acquire) {
                    return true;
                },
                () = self.failed.notified() => return !self.failing.load(Ordering::Acquire),
            }
        }
    }
}

/// Mends the socket whenever a receive fails, and ends when it can't.
pub(super) async fn keep(socket: Arc<Socket>) {
    loop {
        socket.failed.notified().await;
        socket.state.send_replace(SocketState::Fails);
        let mended = socket.mend().await;
        let lost = mended.is_err();
        socket.state.send_replace(match mended {
            Ok(()) => SocketState::Works,
            Err(why) => SocketState::Lost(StopReason::SocketLost { addr: socket.addr, why: why.to_string() }),
        });
        if lost {
            return;
        }
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Some(bound) = self.bound() else { return Ok(()) };
        let send = || bound.state.send((&bound.io).into(), transmit);
        match bound.io.try_io(Interest::WRITABLE, send) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                // To quinn it would be the end of the connection.
                self.errors.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            sent => sent,
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let Some(bound) = self.bound() else {
            self.wait(cx);
            // It may have been bound anew just before.
            if self.bound().is_some() {
                self.wake_driver();
            }
            return Poll::Pending;
        };
        match self.receive(&bound, cx, bufs, meta) {
            Poll::Ready(Err(_)) => {
                self.fail(&bound, cx);
                Poll::Pending
            }
            received => {
                self.succeed();
                received
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    fn may_fragment(&self) -> bool {
        self.bound().is_some_and(|bound| bound.state.may_fragment())
    }

    fn max_transmit_segments(&self) -> usize {
        self.bound().map_or(1, |bound| bound.state.max_gso_segments())
    }

    fn max_receive_segments(&self) -> usize {
        self.bound().map_or(1, |bound| bound.state.gro_segments())
    }
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// One connection that waits for room to send.
struct Poller {
    socket: Arc<Socket>,
    /// Only while there is none: it holds the operating system's socket.
    waiting: Option<Waiting>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("waits", &self.waiting.is_some()).finish_non_exhaustive()
    }
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_none() {
            let Some(bound) = self.socket.bound() else { return Poll::Ready(Ok(())) };
            // It wakes one task at the most, so whoever really waits does so in a future of its own.
            if bound.io.poll_send_ready(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            self.waiting = Some(Box::pin(writable(Arc::clone(&self.socket))));
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
        }
        self.waiting = None;
        Poll::Ready(Ok(()))
    }
}

/// Waits for room to send, or for another socket.
async fn writable(socket: Arc<Socket>) {
    let mut changed = std::pin::pin!(socket.changed.notified());
    changed.as_mut().enable();
    let Some(bound) = socket.bound() else { return };
    tokio::select! {
        // What an error means is found out by sending.
        _ = bound.io.writable() => {}
        () = changed => {}
    }
}
