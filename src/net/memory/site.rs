//! Where a node is: it dials from there, and its door is where others come in.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::time::{sleep, timeout};

use super::ends::connect;
use super::line::{End, Line};
use super::{Between, MemoryNetwork, lock};
use crate::key::PublicKey;
use crate::net::carrier::{Carried, Pending};
use crate::net::config::HANDSHAKE_DEADLINE;
use crate::net::connection::Connection;
use crate::net::entrance::Entrance;
use crate::net::medium::{Medium, Purpose};
use crate::net::socket::SocketErrors;
use crate::protocol::DialError;

/// One life of a node.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) key: PublicKey,
    gone: AtomicBool,
    closed: AtomicBool,
}

impl Site {
    pub(super) fn new(key: PublicKey) -> Self {
        Self { key, gone: AtomicBool::new(false), closed: AtomicBool::new(false) }
    }

    /// Whether it has vanished.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// It vanishes.
    pub(super) fn goes(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

/// Where others come in.
#[derive(Clone, Debug)]
pub(super) struct Door {
    site: Arc<Site>,
    entrance: Entrance,
}

impl Door {
    pub(super) const fn new(site: Arc<Site>, entrance: Entrance) -> Self {
        Self { site, entrance }
    }

    pub(super) const fn site(&self) -> &Arc<Site> {
        &self.site
    }
}

/// What a node has of the network.
#[derive(Debug)]
pub(super) struct Place {
    network: MemoryNetwork,
    site: Arc<Site>,
    here: SocketAddr,
    /// The node's own end of its door until it closes, so that one that has vanished does not take it for closed.
    entrance: Mutex<Option<Entrance>>,
}

impl Place {
    pub(super) fn new(network: MemoryNetwork, site: Arc<Site>, here: SocketAddr, entrance: Entrance) -> Self {
        Self { network, site, here, entrance: Mutex::new(Some(entrance)) }
    }

    /// Waits until somebody listens there and can be reached. A handshake is repeated until it is answered.
    async fn until_heard(&self, addr: SocketAddr) -> Door {
        loop {
            let mut changed = std::pin::pin!(self.network.0.changed.notified());
            changed.as_mut().enable();
            let found = {
                let state = lock(&self.network.0.state);
                let door = state.doors.get(&addr);
                door.filter(|door| state.passes([&self.site, &door.site])).cloned()
            };
            if let Some(door) = found {
                return door;
            }
            changed.await;
        }
    }

    async fn shake(&self, peer: PublicKey, addr: SocketAddr, purpose: Purpose) -> Result<Carried, DialError> {
        let delay = self.network.0.delay;
        let there = self.until_heard(addr).await;
        sleep(delay).await;
        let answered = there.site.key;
        if answered != peer {
            sleep(delay).await;
            return Err(DialError::WrongKey { addr, expected: peer, answered });
        }
        let (line, [dialled, accepted]) = connect([self.here, addr], delay);
        let taken = there.entrance.take_in(self.here, |streams| {
            let for_streams = purpose == Purpose::Streams;
            Connection::carried(accepted, self.site.key, false, for_streams, streams)
        });
        let sites = [Arc::clone(&self.site), there.site];
        self.network.begins(Between { line: Arc::downgrade(&line), sites });
        sleep(delay).await;
        if taken { Ok(dialled) } else { Err(DialError::Refused { addr, peer }) }
    }

    fn closes(&self) {
        self.site.closed.store(true, Ordering::SeqCst);
        *lock(&self.entrance) = None;
        let mut state = lock(&self.network.0.state);
        if state.doors.get(&self.here).is_some_and(|door| Arc::ptr_eq(&door.site, &self.site)) {
            state.doors.remove(&self.here);
        }
    }

    /// The connections of this node, each with its end of it.
    fn lines(&self) -> Vec<(Arc<Line>, End)> {
        let state = lock(&self.network.0.state);
        let lines = state.lines.iter().filter_map(|between| Some((between.line.upgrade()?, between)));
        let of = |(line, between): (Arc<Line>, &Between)| {
            let ends = [End::Dialled, End::Accepted].into_iter().zip(&between.sites);
            let own = ends.filter(|(_, site)| Arc::ptr_eq(site, &self.site));
            own.map(move |(end, _)| (Arc::clone(&line), end)).collect::<Vec<_>>()
        };
        lines.flat_map(of).collect()
    }
}

impl Medium for Place {
    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Carried, DialError>> {
        Box::pin(async move {
            if self.site.closed.load(Ordering::SeqCst) {
                return Err(DialError::Closed);
            }
            let shaken = timeout(HANDSHAKE_DEADLINE, self.shake(peer, addr, purpose)).await;
            shaken.unwrap_or(Err(DialError::TimedOut { addr, peer }))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.here)
    }

    fn refuse_all(&self) {
        self.closes();
    }

    fn close(&self) -> Pending<'_, ()> {
        self.closes();
        for (line, end) in self.lines() {
            line.close(end, 0, b"the node shuts down");
        }
        Box::pin(std::future::ready(()))
    }

    fn errors(&self) -> SocketErrors {
        SocketErrors::default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.closes();
    }
}
