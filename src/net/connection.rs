//! A connection whose peer is known by its key.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::carried::{Carried, UNKNOWN};
use super::streams::{Desk, STREAMS_OF_A_CONNECTION, UNUSED, UNUSED_ACCEPTED, UsedWay, refused, serve_own};
use super::transport::Purpose;
use crate::key::PublicKey;
use crate::protocol::NetGroup;
use crate::wire::Reason;

/// An authenticated connection, before it becomes a [`Link`](super::Link). Dropping it closes it.
///
/// On a connection that we dialled, the peer may still find fault with our key: trust it after its first byte.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The key the peer has proven to hold.
    pub peer: PublicKey,
    /// The address it was reached at, or came from. It never changes: connections don't migrate. Where a transport does not know it, it is
    /// one of a block that nobody has, `[100::]:0`.
    pub remote: SocketAddr,
    /// Whether we dialled; otherwise the peer did.
    pub dialled: bool,
    carrier: Carried,
    streams: Desk,
}

impl Connection {
    /// Streams of applications on it are the matter of `streams`.
    pub(crate) fn new(carrier: Carried, dialled: bool, streams: Desk) -> Self {
        Self { peer: carrier.peer(), remote: carrier.remote(), dialled, carrier, streams }
    }

    /// Where the peer is, if the transport knows it.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        Some(self.remote).filter(|remote| *remote != UNKNOWN)
    }

    /// Whether it carries streams of applications alone, so that it can't become a [`Link`](super::Link).
    pub fn is_for_streams(&self) -> bool {
        self.carrier.purpose() == Purpose::Streams
    }

    /// Serves the streams of applications for which it is there, in a task of its own, if `most_of_group` of its network group and other
    /// bounds leave room; else closes it. Gives whether it does.
    pub fn serve_streams(self, most_of_group: Option<u32>) -> bool {
        // Nothing is kept for whom nobody would hear.
        if !self.dialled && !self.streams.accepts_any() {
            self.carrier.close(refused::NOT_ACCEPTED, b"no protocol is accepted here");
            return false;
        }
        self.carries_streams(most_of_group).is_some()
    }

    /// The same of one that was dialled, which is used at once.
    pub(crate) fn use_for_streams(self) -> Option<UsedWay> {
        self.carries_streams(None)
    }

    fn carries_streams(self, most_of_group: Option<u32>) -> Option<UsedWay> {
        let (peer, dialled, connection) = (self.peer, self.dialled, self.carrier);
        let Ok(own) = self.streams.take_own(peer, connection.clone(), dialled, most_of_group) else {
            let reason = Reason::Full;
            connection.close(reason.code(), reason.to_string().as_bytes());
            return None;
        };
        let used = own.is_used();
        connection.allow(0, STREAMS_OF_A_CONNECTION);
        let unused_for = if dialled { UNUSED } else { UNUSED_ACCEPTED };
        tokio::spawn(serve_own(self.streams, own, unused_for));
        Some(used)
    }

    /// The network group of [`remote`](Self::remote).
    pub fn group(&self) -> NetGroup {
        NetGroup::of(self.remote.ip())
    }

    /// The IP address of this machine that the connection goes out from, if the system tells it.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.carrier.local_ip()
    }

    /// The current estimate of the round-trip time.
    pub fn rtt(&self) -> Duration {
        self.carrier.round_trip()
    }

    /// Closes the connection at once, telling the peer a code and a reason. What was not yet sent is lost.
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.carrier.close(code, reason);
    }

    pub(crate) fn into_parts(self) -> (Carried, Desk) {
        (self.carrier, self.streams)
    }
}
