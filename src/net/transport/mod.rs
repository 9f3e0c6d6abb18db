//! What a node needs of a transport: it dials a key, takes in who dials, and each connection carries streams with flow control.
//!
//! [`Builder::transport`](crate::Builder::transport) gives a node one that the app has written: over a tunnel, over an endpoint that finds
//! its way through NATs, over whatever there is. QUIC over UDP is what a node uses otherwise, and the network in memory is for tests. Both are
//! behind these same traits.
//!
//! | Trait | What it is | Methods to write |
//! |---|---|---|
//! | [`Transport`] | where connections begin | [`key`](Transport::key), [`dial`](Transport::dial), [`accept`](Transport::accept), [`local_addr`](Transport::local_addr), [`close`](Transport::close) |
//! | [`Incoming`] | one who dials, before its handshake | [`remote`](Incoming::remote), [`accept`](Incoming::accept), [`refuse`](Incoming::refuse) |
//! | [`Carrier`] | a connection | whose it is, what for, and from where; streams; an end |
//! | [`SendHalf`], [`RecvHalf`] | the two ends of a stream | a poll, an end, a code |
//!
//! # What a transport owes
//!
//! The node believes these, and checks none of them but where it says so. What breaks without each:
//!
//! * **The key is proven.** [`Carrier::peer`] is an Ed25519 key whose secret the other end holds, shown afresh for this connection, and the
//!   other end has learnt ours the same way. Without that anybody is anybody: allow lists, bans, places of links and members mean nothing.
//!   What rumors say stays safe, since authors sign them. (The node checks that the key is that which it dialled, and that it is one that
//!   a single holder can have.)
//! * **Nobody between them reads or writes.** Without that who is between reads all that is said, and can cut it off unseen.
//! * **Streams are reliable and in order**, each alone: what one loses or delays holds up no other. Without the first, links end as if
//!   the peer had broken the protocol. Without the last, a flood of rumors delays signs of life, and members take a busy node for a dead one.
//! * **Who reads slowly slows who writes.** [`SendHalf::poll_write`] waits once some 256 KiB ([`STREAM_WINDOW`]) are under way or unread.
//!   Without that a peer fills this machine's memory with what nobody reads, or a link that stands still looks as if it moved.
//! * **An end is seen.** [`Carrier::closed`] tells it at both ends, also that of a peer that is silent: after 30 s ([`IDLE_TIMEOUT`]).
//!   Without that a node keeps links to the dead, which take places, until the lanes stand still for 20 s.
//! * **Silence is heard.** [`Carrier::heard`] counts what comes, signs of life of the transport's own among it, one each 2.5 s
//!   ([`KEEP_ALIVE`]) at the least. Without those the node takes each quiet peer for a lost one, and dials afresh.
//! * **No method blocks.** What must wait gives a future, or a poll. The node calls all others from tasks that others wait for.
//!
//! # What the node does itself
//!
//! Rules, budgets and caps are the same over each transport. Signatures are checked by the node, frames have their lengths and deadlines, a
//! link is read and written by its credit, and there are as many links, streams and handshakes as over QUIC. A future that never ends is given
//! up in time: a dial and a handshake after 10 s, a write after 20 s. Words of a peer are cut, codes that nobody knows are no
//! more than that, and a method that panics ends its connection, or, where it is [`Transport::accept`], the node in order. (Not where the app
//! is built with `panic = "abort"`.)
//!
//! # Addresses
//!
//! A node knows peers by key and by socket address: entries, anchors, members and rests are written so. A transport that finds its peers by
//! key takes the address as a hint, and gives peers without one an address that [stands for their key](stand_in). [`Carrier::remote`] and [`Incoming::remote`] give `None` where no address is known, as behind a
//! relay. **All of those are one network group** to the node, so by default 8 of them at once may have dialled it, two a second
//! ([`GateConfig`](crate::GateConfig)): nothing says that they are not one machine. An app whose peers all come by relays, and which knows
//! them by an [allow list](crate::Builder::allow), raises these.
//!
//! # The gate
//!
//! A node decides who may begin a handshake before anything is spent on it, by [`Incoming::remote`]. A transport that can't ask so early may
//! do its handshake first and give an [`Incoming`] whose `accept` is ready at once. That is weaker: it must itself bound how
//! many handshakes are under way and how fast they begin. What it gives then passes the gate all the same.
//!
//! # Example
//!
//! A transport that is another one, but dials from a list of what is allowed to be reached:
//!
//! ```
//! use std::net::{IpAddr, SocketAddr};
//! use std::sync::Arc;
//! use vouchsafe::PublicKey;
//! use vouchsafe::net::transport::{Carrier, DialFailed, Incoming, Pending, Purpose, Transport};
//!
//! #[derive(Debug)]
//! struct Fenced<T> {
//!     inside: T,
//!     reachable: Vec<IpAddr>,
//! }
//!
//! impl<T: Transport> Transport for Fenced<T> {
//!     fn key(&self) -> PublicKey {
//!         self.inside.key()
//!     }
//!
//!     fn dial(
//!         &self,
//!         peer: PublicKey,
//!         addr: SocketAddr,
//!         purpose: Purpose,
//!     ) -> Pending<'_, Result<Arc<dyn Carrier>, DialFailed>> {
//!         if self.reachable.contains(&addr.ip()) {
//!             return self.inside.dial(peer, addr, purpose);
//!         }
//!         Box::pin(async { Err(DialFailed::Address("it is not on the list".into())) })
//!     }
//!
//!     fn accept(&self) -> Pending<'_, Option<Box<dyn Incoming>>> {
//!         self.inside.accept()
//!     }
//!
//!     fn local_addr(&self) -> std::io::Result<SocketAddr> {
//!         self.inside.local_addr()
//!     }
//!
//!     fn close(&self) -> Pending<'_, ()> {
//!         self.inside.close()
//!     }
//! }
//! ```
//!
//! `lab/iroh` in the repository is a whole one, over another library's endpoint.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::key::PublicKey;
use crate::wire::ALPN;

pub use super::limits::{IDLE_TIMEOUT, KEEP_ALIVE, SEND_WINDOW, STREAM_WINDOW, UNI_STREAMS as LANES};

/// Application protocol of connections that carry streams of applications and nothing else.
pub(crate) const STREAMS_ALPN: &[u8] = b"vouchsafe-streams/1";

/// What an operation that waits gives. The node may drop each of them before it is done: then it has done nothing, and what it would have
/// given the next one gives.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where connections begin. Dropping it ends what comes in; connections live on.
pub trait Transport: Debug + Send + Sync + 'static {
    /// The key that it proves to others: that of the node.
    fn key(&self) -> PublicKey;

    /// Dials `peer`, whose address is, or was, `addr`, and succeeds only if the other end has proven to hold that key. Dropping the future
    /// ends the attempt. The node gives up after 10 s.
    ///
    /// # Errors
    /// [`DialFailed`] says what happened, as far as it is known.
    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Arc<dyn Carrier>, DialFailed>>;

    /// The next one who dials this node, before its handshake; `None` when nobody will any more, which ends the node. It is asked again as
    /// soon as the gate has decided on the last one.
    fn accept(&self) -> Pending<'_, Option<Box<dyn Incoming>>>;

    /// Where others dial it. A node tells it to other members, unless its IP address is unspecified.
    ///
    /// # Errors
    /// If nobody says; then no node begins.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Ends it: what comes in, its connections, and what is its own to end. It may be asked twice. The node waits for 5 s at the most.
    fn close(&self) -> Pending<'_, ()>;
}

/// One who dials this node. Dropping it refuses it.
pub trait Incoming: Debug + Send + 'static {
    /// Where it comes from; `None` if that is not known.
    fn remote(&self) -> Option<SocketAddr>;

    /// Whether that address was seen to receive what is sent there, so that it is not forged. Default: it was.
    fn is_proven(&self) -> bool {
        true
    }

    /// Does the handshake, in a task of its own. Dropping the future ends the attempt; the node does so after 10 s, and after less where
    /// many are under way.
    ///
    /// Gives `None` where the other end turned out to want something else of the transport than this node.
    ///
    /// # Errors
    /// If it failed, in words for a log.
    fn accept(self: Box<Self>) -> Pending<'static, io::Result<Option<Arc<dyn Carrier>>>>;

    /// Refuses it, and tells it if that is cheap.
    fn refuse(self: Box<Self>);

    /// Asks it to prove its address and forgets it meanwhile; it comes again. Asked only where [`is_proven`](Self::is_proven) is false.
    /// Default: it is refused.
    fn retry(self: Box<Self>) {
        self.refuse();
    }
}

/// An address that stands for a key, for peers that a transport reaches by key alone: one of the unique local ones (`fd00::/8`), from the first
/// bytes of the key. It says nothing of where they are. A transport that tells it as [`Transport::local_addr`] is known to other members by it,
/// and takes it for no hint when it is told to dial it. Each key has one of its own, since an address where nobody answers rests for all
/// who have it.
pub fn stand_in(key: PublicKey) -> SocketAddr {
    let mut octets = [0xfd; 16];
    octets.iter_mut().skip(1).zip(key.as_bytes()).for_each(|(to, from)| *to = *from);
    SocketAddr::new(Ipv6Addr::from(octets).into(), 1)
}

/// What a connection is for. Both ends agree on it in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A link of the gossip.
    Gossip,
    /// Streams of applications alone.
    Streams,
}

impl Purpose {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Gossip, Self::Streams];

    /// The name of the protocol that is spoken, with its version: what TLS agrees on (ALPN), where there is TLS.
    pub const fn protocol(self) -> &'static [u8] {
        match self {
            Self::Gossip => ALPN,
            Self::Streams => STREAMS_ALPN,
        }
    }
}

/// One connection. It ends, as if it were closed with code 0, when the last one who has it or a stream of it drops it.
pub trait Carrier: Any + Debug + Send + Sync {
    /// The key that the other end has proven to hold.
    fn peer(&self) -> PublicKey;

    /// What it is for.
    fn purpose(&self) -> Purpose;

    /// Where the other end is, or was when it began; `None` if that is not known.
    fn remote(&self) -> Option<SocketAddr>;

    /// The address of this machine that it goes out from, if that is known. Default: it is not.
    fn local_ip(&self) -> Option<IpAddr> {
        None
    }

    /// Begins a stream that this end writes. It waits while the other end allows no more.
    ///
    /// # Errors
    /// If the connection has ended, as all that follows.
    fn open_one_way(&self) -> Pending<'_, Result<Box<dyn SendHalf>, Ended>>;

    /// The next stream that the other end writes.
    ///
    /// # Errors
    /// If the connection has ended, and all that were begun before are taken.
    fn accept_one_way(&self) -> Pending<'_, Result<Box<dyn RecvHalf>, Ended>>;

    /// Begins a stream that both ends write. It waits while the other end allows no more.
    ///
    /// # Errors
    /// If the connection has ended.
    fn open_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>>;

    /// The next stream of that kind that the other end has begun.
    ///
    /// # Errors
    /// If the connection has ended.
    fn accept_both_ways(&self) -> Pending<'_, Result<BothWays, Ended>>;

    /// How many streams the other end may have open from now on: one way, and both ways. A connection begins with [`LANES`] and none. What
    /// is more waits at the other end. (A transport that can't say so leaves it: the node takes no more, and they wait on this machine.)
    fn allow(&self, one_way: u32, both_ways: u32);

    /// Ends it at once, telling the other end a code and words, at most 256 bytes of them. What was not sent is lost.
    fn close(&self, code: u32, words: &[u8]);

    /// Waits for its end, and is ready at once if that was before.
    fn closed(&self) -> Pending<'_, Ended>;

    /// The current estimate of the round trip. It decides how long the node waits for answers before it asks others.
    fn round_trip(&self) -> Duration;

    /// How often something has come so far: packets, or what is closest to them. What counts is whether it grows.
    fn heard(&self) -> u64;
}

/// Both ends of a stream that both write.
pub type BothWays = (Box<dyn SendHalf>, Box<dyn RecvHalf>);

/// The end of a stream that writes. Dropping it ends the stream in order.
pub trait SendHalf: Debug + Send + Sync {
    /// Takes off the front of `chunks` what there is room for: a chunk that is taken whole is left empty, and of the last one the rest is left.
    /// Ready when at least one byte was taken, or there was none.
    ///
    /// # Errors
    /// [`WriteFailed`] says why it takes nothing more.
    fn poll_write(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<(), WriteFailed>>;

    /// Who goes first of what waits: the higher number. Default: they share. Without it rumors delay signs of life on a line that is full.
    fn set_priority(&mut self, priority: i32) {
        let _ = priority;
    }

    /// Ends it in order: the other end reads the end after all that was written. False if it had ended.
    fn finish(&mut self) -> bool;

    /// Breaks it off, with a code for the other end. Ended twice is ended once.
    fn reset(&mut self, code: u32);

    /// Waits until all of a finished stream has arrived, or the other end reads no more, with a code that says why. A transport that does not
    /// hear what has arrived says so when all is sent; then the last words of a node that goes down may be lost.
    ///
    /// # Errors
    /// If the connection has ended before.
    fn stopped(&mut self) -> Pending<'_, Result<Option<u64>, Ended>>;
}

/// The end of a stream that reads. Dropping it tells the other end to write no more.
pub trait RecvHalf: Debug + Send + Sync {
    /// Puts what has come, in order, into as many of `chunks` as it fills, and gives how many: 0 at the end in order.
    ///
    /// # Errors
    /// [`ReadFailed`] says why nothing more comes.
    fn poll_read(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Poll<Result<usize, ReadFailed>>;

    /// Reads no more, with a code for the other end. Ended twice is ended once.
    fn stop(&mut self, code: u32);
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The other end has closed it.
    ByPeer {
        /// With this code.
        code: u64,
        /// And these words. The node keeps 256 bytes.
        words: Bytes,
    },
    /// This end has.
    ByUs,
    /// Nothing has come for too long.
    TimedOut,
    /// It failed, in words for a log.
    Failed(String),
}

/// Why a stream takes no more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteFailed {
    /// The other end reads no more, with this code.
    Stopped(u64),
    /// The connection has ended.
    Lost(Ended),
    /// This end has ended the stream.
    Finished,
}

/// Why a stream gives no more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFailed {
    /// The other end has broken it off, with this code.
    Reset(u64),
    /// The connection has ended.
    Lost(Ended),
    /// This end reads no more.
    Stopped,
}

/// Why a dial has failed. The node tells its application, with the key and the address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialFailed {
    /// The transport is closed.
    Closed,
    /// It can't dial that address, as the words say.
    Address(String),
    /// This side can't even begin, as the words say: a fault of the build, not of a peer.
    Setup(String),
    /// Another key answered.
    WrongKey(PublicKey),
    /// Nobody answered in time.
    TimedOut,
    /// The other end takes nobody in, or not this node.
    Refused,
    /// The handshake failed, as the words say.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::protocol::NetGroup;

    #[test]
    fn address_that_stands_for_a_key_is_its_own_and_no_place_on_the_internet() {
        let [one, two] = [1, 2].map(|number| stand_in(SecretKey::from_seed(&[number; 32]).public()));
        assert_ne!(one, two);
        assert_eq!(one, stand_in(SecretKey::from_seed(&[1; 32]).public()));
        // Members dial no address without a port, and none that is unspecified.
        assert!(one.port() != 0 && !one.ip().is_unspecified());
        assert_eq!(NetGroup::of(one.ip()), NetGroup::Local);
    }
}
