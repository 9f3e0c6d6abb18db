//! Reaching a peer: its name is looked up, if it has one, and its addresses are dialled in turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Host, HostName, PeerAddr};
use crate::key::PublicKey;
use crate::net::{Connection, Endpoint};
use crate::protocol::DialError;

/// Time for looking up one name, as long as for a handshake. A resolver that gets no answer gives up after some 10 s by itself.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(10);
/// Names looked up at once. Each takes a thread of the runtime's blocking pool, which the position log needs too, for as long as the
/// resolver likes. (Guess.)
const LOOKUPS: usize = 4;
/// Addresses of one name that a dial tries, so that a dial ends within a minute. (Guess: a name has one of each family, or two.)
const ADDRESSES_OF_A_NAME: usize = 4;

/// Dials peers. One for a node, shared by its dials.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    endpoint: Arc<Endpoint>,
    lookups: Arc<Semaphore>,
}

impl Reach {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// Dials `peer` at the first of its addresses that answers with its key.
    pub(super) async fn reach(self, peer: PeerAddr) -> Result<Connection, DialError> {
        self.reach_by(peer, async |endpoint, peer, addr| endpoint.connect(peer, addr).await).await
    }

    /// The same, for streams of applications alone.
    pub(super) async fn reach_for_streams(self, peer: PeerAddr) -> Result<Connection, DialError> {
        self.reach_by(peer, async |endpoint, peer, addr| endpoint.connect_for_streams(peer, addr).await).await
    }

    async fn reach_by(
        self,
        peer: PeerAddr,
        dial: impl AsyncFn(&Endpoint, PublicKey, SocketAddr) -> Result<Connection, DialError>,
    ) -> Result<Connection, DialError> {
        let addrs = match peer.host {
            Host::Socket(addr) => vec![addr],
            Host::Name(ref host) => self.look_up(host).await?,
        };
        let mut failed = DialError::NoAddress { host: peer.host.to_string() };
        for addr in addrs {
            match dial(&self.endpoint, peer.key, addr).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn look_up(&self, host: &HostName) -> Result<Vec<SocketAddr>, DialError> {
        let fail = |why: String| DialError::Lookup { host: Host::Name(host.clone()).to_string(), why };
        let (lookups, asked) = (Arc::clone(&self.lookups), (host.name().to_owned(), host.port()));
        let lookup = async move {
            let place = lookups.acquire_owned().await.ok();
            // In a task of its own: a lookup can't be cancelled, and keeps its place until its thread is free again.
            let found = tokio::spawn(async move {
                let found = tokio::net::lookup_host(asked).await.map(Iterator::collect::<Vec<_>>);
                drop(place);
                found
            });
            found.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
        };
        match timeout(LOOKUP_DEADLINE, lookup).await {
            Ok(Ok(addrs)) => Ok(self.dialable(addrs)),
            Ok(Err(error)) => Err(fail(error.to_string())),
            Err(_) => Err(fail("no answer in 10 s".into())),
        }
    }

    /// The first addresses that the socket can dial: one bound to IPv4 dials no other.
    fn dialable(&self, mut addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let only_v4 = self.endpoint.local_addr().is_ok_and(|addr| addr.is_ipv4());
        addrs.retain(|addr| addr.is_ipv4() || !only_v4);
        addrs.truncate(ADDRESSES_OF_A_NAME);
        addrs
    }
}
