//! Where a node is: it dials from there, and its door is where others come in.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::ends::connect;
use super::line::{End, Line};
use super::{Between, MemoryNetwork, lock};
use crate::key::PublicKey;
use crate::net::transport::{Carrier, DialFailed, Incoming, Pending, Purpose, Transport};

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
    come: mpsc::Sender<Knock>,
}

impl Door {
    pub(super) const fn new(site: Arc<Site>, come: mpsc::Sender<Knock>) -> Self {
        Self { site, come }
    }

    pub(super) const fn site(&self) -> &Arc<Site> {
        &self.site
    }
}

/// One who dials.
#[derive(Debug)]
pub(super) struct Knock {
    from: SocketAddr,
    carrier: Arc<dyn Carrier>,
    /// Dropped if it is refused.
    taken: oneshot::Sender<()>,
}

impl Incoming for Knock {
    fn remote(&self) -> Option<SocketAddr> {
        Some(self.from)
    }

    fn accept(self: Box<Self>) -> Pending<'static, io::Result<Option<Arc<dyn Carrier>>>> {
        // An error means that the dialler has given up, which its connection tells.
        let _ = self.taken.send(());
        Box::pin(std::future::ready(Ok(Some(self.carrier))))
    }

    fn refuse(self: Box<Self>) {}
}

/// What a node has of the network.
#[derive(Debug)]
pub(super) struct Place {
    network: MemoryNetwork,
    site: Arc<Site>,
    here: SocketAddr,
    /// The node's own end of its door until it closes, so that one that has vanished does not take it for closed.
    come: Mutex<Option<mpsc::Sender<Knock>>>,
    comes: tokio::sync::Mutex<mpsc::Receiver<Knock>>,
}

impl Place {
    pub(super) fn new(
        network: MemoryNetwork,
        site: Arc<Site>,
        here: SocketAddr,
        come: mpsc::Sender<Knock>,
        comes: mpsc::Receiver<Knock>,
    ) -> Self {
        let (come, comes) = (Mutex::new(Some(come)), tokio::sync::Mutex::new(comes));
        Self { network, site, here, come, comes }
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

    async fn shake(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Result<Arc<dyn Carrier>, DialFailed> {
        let delay = self.network.0.delay;
        let there = self.until_heard(addr).await;
        sleep(delay).await;
        let answered = there.site.key;
        if answered != peer {
            sleep(delay).await;
            return Err(DialFailed::WrongKey(answered));
        }
        let ends = [(self.site.key, self.here), (answered, addr)];
        let (line, [dialled, accepted]) = connect(ends, purpose, delay);
        let (taken_in, taken) = oneshot::channel();
        let knock = Knock { from: self.here, carrier: accepted, taken: taken_in };
        // Where too many wait for the gate it is lost, and would be repeated.
        let _ = there.come.send(knock).await;
        let taken = taken.await.is_ok();
        if taken {
            let sites = [Arc::clone(&self.site), there.site];
            self.network.begins(Between { line: Arc::downgrade(&line), sites });
        }
        sleep(delay).await;
        if taken { Ok(dialled) } else { Err(DialFailed::Refused) }
    }

    fn closes(&self) {
        self.site.closed.store(true, Ordering::SeqCst);
        *lock(&self.come) = None;
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

impl Transport for Place {
    fn key(&self) -> PublicKey {
        self.site.key
    }

    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Arc<dyn Carrier>, DialFailed>> {
        Box::pin(async move {
            if self.site.closed.load(Ordering::SeqCst) {
                return Err(DialFailed::Closed);
            }
            self.shake(peer, addr, purpose).await
        })
    }

    fn accept(&self) -> Pending<'_, Option<Box<dyn Incoming>>> {
        Box::pin(async { Some(Box::new(self.comes.lock().await.recv().await?) as Box<dyn Incoming>) })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.here)
    }

    fn close(&self) -> Pending<'_, ()> {
        self.closes();
        for (line, end) in self.lines() {
            line.close(end, 0, b"the node shuts down");
        }
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.closes();
    }
}
