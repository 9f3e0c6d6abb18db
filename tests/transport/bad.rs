//! Transports that an app has written badly, around the honest one of a network in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use vouchsafe::PublicKey;
use vouchsafe::net::transport::{
    BothWays, Carrier, DialFailed, Ended, Incoming, Pending, Purpose, ReadFailed, RecvHalf, SendHalf,
    Transport, WriteFailed,
};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Dials go on for ever.
    DialNeverEnds,
    /// It does not end.
    CloseNeverEnds,
    /// It does not know where anybody is.
    Nowhere,
    /// It says that this key has been reached, or dials.
    Key(PublicKey),
    /// It gives links for streams, and the other way round.
    Purpose,
    /// Streams take nothing.
    TakesNothing,
    /// Streams say that they have taken something.
    PretendsToTake,
    /// Streams say that something has come.
    PretendsToGive,
    /// Connections end with a code that does not fit, and with long words.
    Code(u64),
    /// All of it is too large.
    Excess,
    /// This method panics.
    Panics(&'static str),
}

impl Fault {
    fn may_panic(self, method: &str) {
        assert!(!matches!(self, Self::Panics(of) if of == method), "a fault of the app, in {method}");
    }
}

/// What it has done.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) dials: AtomicUsize,
    /// Handshakes that are under way, and the most that were.
    pub(crate) under_way: AtomicUsize,
    pub(crate) most: AtomicUsize,
    /// Those whom it has brought.
    pub(crate) brought: AtomicUsize,
    pub(crate) refused: AtomicUsize,
}

/// A transport with a fault.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) inside: Box<dyn Transport>,
    pub(crate) fault: Fault,
    pub(crate) seen: Arc<Seen>,
    /// While it is true, strangers dial as fast as they are asked.
    pub(crate) flood: Arc<AtomicBool>,
    /// Whose key they have, if their handshakes end at all.
    pub(crate) strangers: Option<PublicKey>,
}

impl Bad {
    pub(crate) fn new(inside: impl Transport, fault: Fault) -> Self {
        let (seen, flood) = (Arc::default(), Arc::default());
        Self { inside: Box::new(inside), fault, seen, flood, strangers: None }
    }
}

impl Transport for Bad {
    fn key(&self) -> PublicKey {
        self.fault.may_panic("key");
        self.inside.key()
    }

    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Arc<dyn Carrier>, DialFailed>> {
        self.seen.dials.fetch_add(1, Ordering::SeqCst);
        self.fault.may_panic("dial");
        Box::pin(async move {
            if self.fault == Fault::DialNeverEnds {
                std::future::pending::<()>().await;
            }
            self.fault.may_panic("dial, later");
            Ok(Connection::around(self.inside.dial(peer, addr, purpose).await?, self.fault))
        })
    }

    fn accept(&self) -> Pending<'_, Option<Box<dyn Incoming>>> {
        self.fault.may_panic("accept");
        if self.flood.load(Ordering::SeqCst) {
            let number = self.seen.brought.fetch_add(1, Ordering::SeqCst);
            let stranger = Stranger { number, key: self.strangers, seen: Arc::clone(&self.seen) };
            return Box::pin(std::future::ready(Some(Box::new(stranger) as Box<dyn Incoming>)));
        }
        Box::pin(async {
            let incoming = self.inside.accept().await?;
            Some(Box::new(Dialling { incoming, fault: self.fault }) as Box<dyn Incoming>)
        })
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.fault.may_panic("local_addr");
        self.inside.local_addr()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.fault.may_panic("close");
        if self.fault == Fault::CloseNeverEnds {
            return Box::pin(std::future::pending());
        }
        self.inside.close()
    }
}

#[derive(Debug)]
struct Dialling {
    incoming: Box<dyn Incoming>,
    fault: Fault,
}

impl Incoming for Dialling {
    fn remote(&self) -> Option<SocketAddr> {
        self.fault.may_panic("remote of who dials");
        self.incoming.remote().filter(|_| self.fault != Fault::Nowhere)
    }

    fn accept(self: Box<Self>) -> Pending<'static, std::io::Result<Option<Arc<dyn Carrier>>>> {
        self.fault.may_panic("handshake");
        Box::pin(async move {
            let carrier = self.incoming.accept().await?;
            Ok(carrier.map(|carrier| Connection::around(carrier, self.fault)))
        })
    }

    fn refuse(self: Box<Self>) {
        self.incoming.refuse();
    }
}

/// One of a flood. Its handshake ends with a connection that says nothing, or never.
#[derive(Debug)]
struct Stranger {
    number: usize,
    key: Option<PublicKey>,
    seen: Arc<Seen>,
}

impl Incoming for Stranger {
    fn remote(&self) -> Option<SocketAddr> {
        // Each from a network of its own.
        let [.., a, b, c] = self.number.to_be_bytes();
        Some(SocketAddr::from(([11, a, b, c], 7)))
    }

    fn accept(self: Box<Self>) -> Pending<'static, std::io::Result<Option<Arc<dyn Carrier>>>> {
        let under_way = self.seen.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.most.fetch_max(under_way, Ordering::SeqCst);
        let held = Held(Arc::clone(&self.seen));
        Box::pin(async move {
            let Some(key) = self.key else { return std::future::pending().await };
            let idle: Arc<dyn Carrier> = Arc::new(Idle { key, remote: self.remote(), _held: held });
            Ok(Some(idle))
        })
    }

    fn refuse(self: Box<Self>) {
        self.seen.refused.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Held(Arc<Seen>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection on which nothing ever happens.
#[derive(Debug)]
struct Idle {
    key: PublicKey,
    remote: Option<SocketAddr>,
    _held: Held,
}

impl Carrier for Idle {
    fn peer(&self) -> PublicKey {
        self.key
    }

    fn purpose(&self) -> Purpose {
        Purpose::Gossip
    }

    fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, Ended>> {
        Box::pin(std::future::pending())
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, Ended>> {
        Box::pin(std::future::pending())
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(std::future::pending())
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        Box::pin(std::future::pending())
    }

    fn allow(&self, _: u32, _: u32) {}

    fn close(&self, _: u32, _: &[u8]) {}

    fn closed(&self) -> Pending<'_, Ended> {
        Box::pin(std::future::pending())
    }

    fn round_trip(&self) -> Duration {
        Duration::ZERO
    }

    fn heard(&self) -> u64 {
        0
    }
}

/// A connection with a fault.
#[derive(Debug)]
struct Connection {
    inside: Arc<dyn Carrier>,
    fault: Fault,
}

impl Connection {
    fn around(inside: Arc<dyn Carrier>, fault: Fault) -> Arc<dyn Carrier> {
        Arc::new(Self { inside, fault })
    }

    fn sends(&self, inside: Box<dyn SendHalf>) -> Box<dyn SendHalf> {
        Box::new(Sends { inside, fault: self.fault })
    }

    fn receives(&self, inside: Box<dyn RecvHalf>) -> Box<dyn RecvHalf> {
        Box::new(Receives { inside, fault: self.fault })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.fault.may_panic("drop");
    }
}

impl Carrier for Connection {
    fn peer(&self) -> PublicKey {
        self.fault.may_panic("peer");
        match self.fault {
            Fault::Key(key) => key,
            _ => self.inside.peer(),
        }
    }

    fn purpose(&self) -> Purpose {
        match (self.fault, self.inside.purpose()) {
            (Fault::Purpose, Purpose::Gossip) => Purpose::Streams,
            (Fault::Purpose, Purpose::Streams) => Purpose::Gossip,
            (_, purpose) => purpose,
        }
    }

    fn remote(&self) -> Option<SocketAddr> {
        self.inside.remote().filter(|_| self.fault != Fault::Nowhere)
    }

    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, Ended>> {
        self.fault.may_panic("open_one_way");
        Box::pin(async { self.inside.open_one_way().await.map(|half| self.sends(half)) })
    }

    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, Ended>> {
        self.fault.may_panic("accept_one_way");
        Box::pin(async { self.inside.accept_one_way().await.map(|half| self.receives(half)) })
    }

    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        self.inside.open_both_ways()
    }

    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>> {
        self.fault.may_panic("accept_both_ways");
        self.inside.accept_both_ways()
    }

    fn allow(&self, one_way: u32, both_ways: u32) {
        self.fault.may_panic("allow");
        self.inside.allow(one_way, both_ways);
    }

    fn close(&self, code: u32, words: &[u8]) {
        self.inside.close(code, words);
        self.fault.may_panic("close of a connection");
    }

    fn closed(&self) -> Pending<'_, Ended> {
        self.fault.may_panic("closed");
        if let Fault::Code(code) = self.fault {
            return Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ended::ByPeer { code, words: vec![b'x'; 1 << 20].into() }
            });
        }
        self.inside.closed()
    }

    fn round_trip(&self) -> Duration {
        self.fault.may_panic("round_trip");
        if self.fault == Fault::Excess { Duration::MAX } else { self.inside.round_trip() }
    }

    fn heard(&self) -> u64 {
        self.fault.may_panic("heard");
        if self.fault == Fault::Excess { u64::MAX } else { self.inside.heard() }
    }
}

#[derive(Debug)]
struct Sends {
    inside: Box<dyn SendHalf>,
    fault: Fault,
}

impl SendHalf for Sends {
    fn poll_write(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<(), WriteFailed>> {
        self.fault.may_panic("poll_write");
        match self.fault {
            Fault::TakesNothing => Poll::Pending,
            Fault::PretendsToTake => Poll::Ready(Ok(())),
            _ => self.inside.poll_write(cx, chunks),
        }
    }

    fn set_priority(&mut self, priority: i32) {
        self.fault.may_panic("set_priority");
        self.inside.set_priority(priority);
    }

    fn finish(&mut self) -> bool {
        self.inside.finish()
    }

    fn reset(&mut self, code: u32) {
        self.inside.reset(code);
    }

    fn stopped(&mut self) -> Pending<'_, Result<Option<u64>, Ended>> {
        self.inside.stopped()
    }
}

impl Drop for Sends {
    fn drop(&mut self) {
        self.fault.may_panic("drop of a stream");
    }
}

#[derive(Debug)]
struct Receives {
    inside: Box<dyn RecvHalf>,
    fault: Fault,
}

impl RecvHalf for Receives {
    fn poll_read(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<usize, ReadFailed>> {
        self.fault.may_panic("poll_read");
        match self.fault {
            Fault::PretendsToGive => Poll::Ready(Ok(1)),
            Fault::Excess => Poll::Ready(Ok(usize::MAX)),
            _ => self.inside.poll_read(cx, chunks),
        }
    }

    fn stop(&mut self, code: u32) {
        self.inside.stop(code);
    }
}
