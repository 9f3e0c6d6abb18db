//! Streams that applications speak over, from one node to another: who may open them, how many, and over which connection.
//!
//! | File | Question |
//! |---|---|
//! | `name`, `header` | what is a stream for? |
//! | `desk` | which protocols are accepted, and what does each peer hold? |
//! | `arriving` | what becomes of a stream that a peer opens? |
//! | `opening` | how is one opened? |
//! | `ways` | over which connections, and how long do those live? |
//! | `ends` | what does the application hold? |
//!
//! ```text
//! stream:  network, 32 bytes | length of the name, 1 byte | name | what the application says
//! answer:  1, one byte: accepted | what the other application says              or a reset, whose code says why not
//! ```
//!
//! A stream runs over the connection of a link, or over one of its own, which takes no place of the gossip. Nothing here reads what
//! applications say.

use std::time::Duration;

mod arriving;
mod desk;
mod ends;
mod header;
mod name;
mod opening;
mod places;
mod ways;

#[cfg(test)]
pub(crate) use header::encode as header_of;

pub(crate) use arriving::{serve, serve_own};
pub use desk::StreamStats;
pub(crate) use desk::{AcceptRefused, Accepting, Desk};
pub use ends::{IncomingStream, RecvStream, SendStream, StreamError};
pub(crate) use name::ProtocolName;
pub use name::ProtocolNameError;
pub(crate) use opening::{NotOpened, Opened, open};
pub(crate) use ways::UsedWay;

/// Streams that a peer may have open over a connection of its own. A guess: who asks more at once waits. Without it a peer keeps a window
/// of memory for each of as many as it likes.
pub(crate) const STREAMS_OF_A_CONNECTION: u32 = 16;

/// The same over the connection of a link: for questions between neighbours.
pub(crate) const STREAMS_OF_A_LINK: u32 = 8;

/// Streams of one peer that are open here, over all its connections, ended ones whose ends the application has not dropped among them.
/// Without it one peer takes all of [`STREAMS`].
pub(crate) const STREAMS_OF_A_PEER: u32 = 64;

/// Streams of all peers that are open here: at most so many windows of memory, 256 MiB, if an application reads none of them.
pub(crate) const STREAMS: u32 = 1024;

/// Streams that wait for the application to take them, for each protocol. One more is refused and told.
pub(crate) const WAITING: usize = 64;

/// Protocols that a node accepts at once.
pub(crate) const PROTOCOLS: usize = 64;

/// Bytes of a protocol's name.
pub(crate) const MAX_NAME_LEN: usize = 64;

/// Connections for streams alone that peers have dialled, in all.
pub(crate) const INBOUND: usize = 64;

/// The same, of one peer: one, and its successor.
pub(crate) const INBOUND_OF_A_PEER: usize = 2;

/// Connections for streams alone that this node has dialled.
pub(crate) const OUTBOUND: usize = 64;

/// Streams that a peer may open over one connection in a burst, and then each second. What comes faster waits. A guess: some 4 % of a
/// core. Without it a peer that opens and ends streams takes as much of the processor as it likes.
pub(crate) const BURST: u32 = 256;
/// See [`BURST`].
pub(crate) const PER_SECOND: u32 = 1024;

/// Time for a peer to say what a stream is for, and to take the answer. It is sent with the first packet.
pub(crate) const GREETING: Duration = Duration::from_secs(5);

/// Time for a stream to be accepted: as long as for a handshake.
pub(crate) const OPENING: Duration = Duration::from_secs(10);

/// How long a connection for streams alone is kept without one, by who dialled it.
pub(crate) const UNUSED: Duration = Duration::from_secs(30);

/// The same by who accepted it: longer, so that the other side ends it first and no stream is opened into its end.
pub(crate) const UNUSED_ACCEPTED: Duration = Duration::from_secs(60);

/// The first byte of an answer: the stream is accepted.
pub(crate) const ACCEPTED: u8 = 1;

/// Streams of applications go after all that gossip has to say.
pub(crate) const PRIORITY: i32 = -3;

/// Codes with which a stream is refused. Those of the applications are their own.
pub(crate) mod refused {
    /// Nobody accepts the protocol.
    pub(crate) const NOT_ACCEPTED: u32 = 0x2001;
    /// So many are open that one more may not be, or the application takes them too slowly.
    pub(crate) const BUSY: u32 = 0x2002;
    /// The node belongs to another network.
    pub(crate) const OTHER_NETWORK: u32 = 0x2003;
    /// What the stream is for was not said in time, or not in order.
    pub(crate) const NO_HEADER: u32 = 0x2004;
    /// The application let go of the stream without an answer.
    pub(crate) const DROPPED: u32 = 0x2005;
}
