//! A connection whose peer is known by its key.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use quinn::VarInt;

use super::group::NetGroup;
use crate::key::PublicKey;

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
    quinn: quinn::Connection,
}

impl Connection {
    pub(crate) fn new(quinn: quinn::Connection, peer: PublicKey, dialled: bool) -> Self {
        let remote = canonical(quinn.remote_address());
        Self { peer, remote, dialled, quinn }
    }

    /// The network group of [`remote`](Self::remote).
    pub fn group(&self) -> NetGroup {
        NetGroup::of(self.remote.ip())
    }

    /// The IP address of this machine that the connection goes out from, if the system tells it.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.quinn.local_ip().map(|ip| ip.to_canonical())
    }

    /// The current estimate of the round-trip time.
    pub fn rtt(&self) -> Duration {
        self.quinn.rtt()
    }

    /// Closes the connection at once, telling the peer a code and a reason. What was not yet sent is lost.
    pub fn close(&self, code: u32, reason: &[u8]) {
        self.quinn.close(VarInt::from_u32(code), reason);
    }

    pub(crate) fn into_quinn(self) -> quinn::Connection {
        self.quinn
    }
}

/// An IPv4 peer of a socket for both families shows up as an IPv6 address; we want the same address either way.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
