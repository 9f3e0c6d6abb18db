//! A network in memory: the nodes of it are all in one process, and neither sockets nor TLS stand between them.
//!
//! | File | Question |
//! |---|---|
//! | `mod` | who is where, and who can't reach whom? |
//! | `site` | how does a node dial, and how is it dialled? |
//! | `line` | what is under way on one connection, and when does it arrive? |
//! | `pipe` | what is in one direction of a stream? |
//! | `ends` | what do links and streams see of a connection? |
//!
//! Time is the runtime's, so in a test whose clock is paused nothing here takes real time. Whoever writes is held up as by QUIC: each
//! stream has its window, and there are as many streams as the other end allows.

mod ends;
mod line;
mod pipe;
mod site;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use self::line::Line;
use self::site::{Door, Place, Site};
use super::config::HANDSHAKE_DEADLINE;
use super::limits::MAX_INCOMING;
use super::transport::Transport;
use crate::key::PublicKey;

#[cfg(test)]
pub(crate) use self::ends::pair;

/// A network in memory, for tests of an application: [`Builder::memory`](crate::Builder::memory) puts nodes into it, instead of a UDP port.
/// Cheap to clone; all clones are one network.
///
/// The nodes are those that ship, with their links, lanes and budgets. Only sockets and TLS are not there. Their time, that of the wall clock
/// included, is the tokio runtime's. So in a test with `start_paused = true` an hour passes as soon as nobody has anything to do:
///
/// ```
/// use std::time::Duration;
/// use vouchsafe::net::MemoryNetwork;
/// use vouchsafe::{MemberEvent, Node, SecretKey, Topic};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::time::pause(); // #[tokio::test(start_paused = true)] does this.
/// let network = MemoryNetwork::with_delay(Duration::from_millis(20));
/// let alice = Node::builder(SecretKey::generate()).memory(&network).spawn().await?;
/// let bob = Node::builder(SecretKey::generate()).memory(&network).bootstrap(alice.addr()).spawn().await?;
/// let (here, there) = (alice.join(Topic::named("lobby")).await?, bob.join(Topic::named("lobby")).await?);
/// let mut rumors = there.subscribe();
/// here.wait_for_links(1).await?;
/// here.publish("hello").await?;
/// assert_eq!(rumors.next().await.ok_or("closed")??.body(), "hello");
///
/// // Bob's machine loses its power. Half a minute later, which takes no time here, Alice knows.
/// alice.wait_for_members(2).await?;
/// let mut events = alice.member_events();
/// network.vanish(bob.id());
/// while !matches!(events.next().await.ok_or("closed")??, MemberEvent::Failed(who, _) if who == bob.id()) {}
/// # Ok(())
/// # }
/// ```
///
/// What is written arrives in order, after the delay, and is never lost but with its connection. Bandwidth has no bound, and lanes have no
/// priorities. A node's address is that of [`Builder::listen`](crate::Builder::listen), where no IP address means the loopback, and port 0 a
/// free one. Addresses are dialled by number: names are looked up as ever.
///
/// **Where paused time has its end.** The clock of tokio does not know of other threads, so they must not be waited for: a node with a
/// [`store`](crate::Builder::store) or a [`state`](crate::Builder::state) folder commits in real time, while paused time runs on, and writes down times
/// that lie behind by what was skipped. Keep
/// histories in memory in such a test, or let its clock run. Signatures are waited for.
#[derive(Clone, Debug, Default)]
pub struct MemoryNetwork(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody listens, or somebody can be reached again.
    changed: Notify,
    /// How long all takes that one node tells another.
    delay: Duration,
    /// When the first node began, by both clocks.
    began: OnceLock<(Instant, Duration)>,
}

#[derive(Debug, Default)]
struct State {
    doors: HashMap<SocketAddr, Door>,
    /// The last port that was given out.
    port: u16,
    cuts: HashSet<[PublicKey; 2]>,
    lines: Vec<Between>,
}

/// A connection, and between whom it is.
#[derive(Debug)]
struct Between {
    line: Weak<Line>,
    sites: [Arc<Site>; 2],
}

impl State {
    fn passes(&self, [one, other]: [&Site; 2]) -> bool {
        !one.is_gone() && !other.is_gone() && !self.cuts.contains(&pair_of(one.key, other.key))
    }

    /// Tells all connections whether anything passes.
    fn tell_lines(&mut self) {
        self.lines.retain(|between| between.line.strong_count() > 0);
        for Between { line, sites: [one, other] } in &self.lines {
            if let Some(line) = line.upgrade() {
                line.passes(self.passes([one, other]));
            }
        }
    }
}

/// The same for both orders.
fn pair_of(a: PublicKey, b: PublicKey) -> [PublicKey; 2] {
    [a.min(b), a.max(b)]
}

impl MemoryNetwork {
    /// A network without nodes, in which all arrives at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// A network without nodes, in which all takes so long one way, to the millisecond. With 5 s and more no connection comes about.
    pub fn with_delay(one_way: Duration) -> Self {
        let delay = one_way.min(HANDSHAKE_DEADLINE);
        Self(Arc::new(Shared { delay, ..Shared::default() }))
    }

    /// From now on nothing passes between two nodes, which are named by their [`Node::id`](crate::Node::id), and neither is told. What
    /// is under way waits; a connection over which nothing has come for 30 s ends. Others may still pass on what one of them says.
    pub fn cut(&self, a: PublicKey, b: PublicKey) {
        self.change(|state| {
            state.cuts.insert(pair_of(a, b));
        });
    }

    /// Undoes [`cut`](Self::cut). What waited arrives, unless its connection has ended.
    pub fn heal(&self, a: PublicKey, b: PublicKey) {
        self.change(|state| {
            state.cuts.remove(&pair_of(a, b));
        });
    }

    /// Undoes all cuts.
    pub fn heal_all(&self) {
        self.change(|state| state.cuts.clear());
    }

    /// The node with this key is gone without a word, as if its machine had lost its power: nothing comes from it or reaches it any
    /// more. (The handle of the node goes on, alone; drop it.) A node that is built with the same key after that is its next life, and is
    /// reached as ever. So is its address free.
    pub fn vanish(&self, node: PublicKey) {
        self.change(|state| {
            let doors = state.doors.values().map(Door::site);
            let ends = state.lines.iter().flat_map(|between| &between.sites);
            doors.chain(ends).filter(|site| site.key == node).for_each(|site| site.goes());
        });
    }

    /// There is a connection more.
    fn begins(&self, between: Between) {
        let mut state = lock(&self.0.state);
        state.lines.push(between);
        state.tell_lines();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.0.state);
        change(&mut state);
        state.tell_lines();
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// Unix time in milliseconds: the system's when the first node began, and from then on the runtime's time. All nodes have the same.
    pub(crate) fn unix_ms(&self) -> u64 {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (began, unix) = self.0.began.get_or_init(|| (Instant::now(), now()));
        u64::try_from(unix.saturating_add(began.elapsed()).as_millis()).unwrap_or(u64::MAX)
    }

    /// A place in it, for an app that tests what its node does when the network is worse than a delay and a cut: it wraps the place in a
    /// [`Transport`] of its own, which loses dials or ends connections, and gives the builder that beside
    /// [`Builder::memory`](crate::Builder::memory). Nobody proves `key`: who builds a node has its secret.
    ///
    /// # Errors
    /// If another is there.
    pub fn transport(&self, key: PublicKey, listen: SocketAddr) -> io::Result<impl Transport + use<>> {
        // As many as wait in a socket.
        let (come, comes) = mpsc::channel(MAX_INCOMING);
        let site = Arc::new(Site::new(key));
        let mut state = lock(&self.0.state);
        let here = state.free(listen)?;
        state.doors.insert(here, Door::new(Arc::clone(&site), come.clone()));
        drop(state);
        self.0.changed.notify_waiters();
        Ok(Place::new(self.clone(), site, here, come, comes))
    }
}

impl State {
    /// The address that `listen` asks for.
    fn free(&mut self, listen: SocketAddr) -> io::Result<SocketAddr> {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let taken =
            |port| self.doors.get(&SocketAddr::new(ip, port)).is_some_and(|door| !door.site().is_gone());
        let port = match listen.port() {
            // The next one, so that an address is soon nobody else's.
            0 => (1..=u16::MAX)
                .map(|more| self.port.wrapping_add(more))
                .find(|port| *port != 0 && !taken(*port)),
            port => Some(port).filter(|port| !taken(*port)),
        };
        let port = port.ok_or(io::ErrorKind::AddrInUse)?;
        if listen.port() == 0 {
            self.port = port;
        }
        Ok(SocketAddr::new(ip, port))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
