//! A connection whose peer is known by its key.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::carrier::{Carried, Quic};
use super::identity::is_for_streams;
use super::streams::{Desk, STREAMS_OF_A_CONNECTION, UNUSED, UNUSED_ACCEPTED, UsedWay, refused, serve_own};
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
    /// The address it was reached at, or came from. It never changes: connections don't migrate.
    pub remote: SocketAddr,
    /// Whether we dialled; otherwise the peer did.
    pub dialled: bool,
    carrier: Carried,
    for_streams: bool,
    streams: Desk,
}

impl Connection {
    /// Streams of applications on it are the matter of `streams`.
    pub(crate) fn new(quinn: quinn::Connection, peer: PublicKey, dialled: bool, streams: Desk) -> Self {
        let for_streams = is_for_streams(&quinn);
        Self::carried(Arc::new(Quic(quinn)), peer, dialled, for_streams, streams)
    }

    /// The same, whatever carries it.
    pub(crate) fn carried(
        carrier: Carried,
        peer: PublicKey,
        dialled: bool,
        for_streams: bool,
        streams: Desk,
    ) -> Self {
        let remote = canonical(carrier.remote());
        Self { peer, remote, dialled, carrier, for_streams, streams }
    }

    /// Whether it carries streams of applications alone, so that it can't become a [`Link`](super::Link).
    pub fn is_for_streams(&self) -> bool {
        self.for_streams
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
        connection.allow_one_way(0);
        connection.allow_both_ways(STREAMS_OF_A_CONNECTION);
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
        self.carrier.local_ip().map(|ip| ip.to_canonical())
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

/// An IPv4 peer of a socket for both families shows up as an IPv6 address; we want the same address either way.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
