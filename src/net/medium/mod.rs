//! What an endpoint needs of a transport: it dials a key at an address, says where it is itself, and ends.
//!
//! What it brings in goes through the channels of the [`Endpoint`](super::Endpoint), each connection as a [`Carrier`](super::carrier::Carrier).
//! [`quic`] is the one that ships; a network in memory (`net/memory`) is for tests.

mod quic;

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use super::carrier::{Carried, Pending};
use super::socket::SocketErrors;
use crate::key::PublicKey;
use crate::protocol::DialError;

pub(crate) use quic::QuicMedium;
#[cfg(any(test, feature = "sim"))]
pub(crate) use quic::dial;

/// Where connections begin.
pub(crate) trait Medium: Debug + Send + Sync {
    /// Dials `addr` and succeeds only if it proves to hold the key `peer`. Dropping the future ends the attempt.
    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Carried, DialError>>;

    /// Where it is.
    ///
    /// # Errors
    /// If nobody says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Nobody comes in any more.
    fn refuse_all(&self);

    /// Ends it, and what is its own to end. It may be asked twice.
    fn close(&self) -> Pending<'_, ()>;

    /// What went wrong so far below all connections.
    fn errors(&self) -> SocketErrors;
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A link of the gossip.
    Gossip,
    /// Streams of applications alone.
    Streams,
}
