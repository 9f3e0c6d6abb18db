//! The network of datagrams, of the same shape as that of the simulator: nodes lie at random places of a square, the delay grows with
//! the distance from 5 to 130 ms, and each packet takes up to 2 ms more. One queue in virtual time for systems without I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const LEAST: Duration = Duration::from_millis(5);
const MOST: Duration = Duration::from_millis(130);
const JITTER: Duration = Duration::from_millis(2);
/// Of UDP and IPv4, for each datagram.
const HEADERS: u64 = 28;

/// Where nodes are, what is lost, and what was sent.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) bytes_sent: u64,
    places: Vec<(f64, f64)>,
    loss: f64,
    dice: StdRng,
}

impl Paths {
    pub(super) fn new(nodes: usize, loss: f64, seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let places = (0..nodes).map(|_| (dice.random(), dice.random())).collect();
        Self { bytes_sent: 0, places, loss, dice }
    }

    /// How long a datagram is on its way; `None` if it is lost.
    pub(super) fn send(&mut self, from: usize, to: usize, len: usize) -> Option<Duration> {
        self.bytes_sent += len as u64 + HEADERS;
        let (jitter, lost) = (JITTER.mul_f64(self.dice.random()), self.dice.random::<f64>() < self.loss);
        let (from, to) = (self.places[from], self.places[to]);
        let distance = (from.0 - to.0).hypot(from.1 - to.1) / std::f64::consts::SQRT_2;
        let delay = LEAST + (MOST - LEAST).mul_f64(distance);
        (!lost).then_some(delay + jitter)
    }
}

/// What happens to a node.
#[derive(Debug)]
pub(super) enum Happening<T> {
    Datagram(Bytes),
    Timer(T),
}

#[derive(Clone, Debug)]
struct Host {
    alive: bool,
    still_until: Duration,
}

/// All that is under way, and all timers.
#[derive(Debug)]
pub(super) struct Datagrams<T> {
    pub(super) now: Duration,
    pub(super) paths: Paths,
    hosts: Vec<Host>,
    planned: BTreeMap<(Duration, u64), (usize, Happening<T>)>,
    count: u64,
}

impl<T> Datagrams<T> {
    pub(super) fn new(nodes: usize, loss: f64, seed: u64) -> Self {
        let hosts = vec![Host { alive: true, still_until: Duration::ZERO }; nodes];
        let paths = Paths::new(nodes, loss, seed);
        Self { now: Duration::ZERO, paths, hosts, planned: BTreeMap::new(), count: 0 }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, datagram: Bytes) {
        if let Some(delay) = self.paths.send(from, to, datagram.len()) {
            self.plan(self.now + delay, to, Happening::Datagram(datagram));
        }
    }

    pub(super) fn after(&mut self, node: usize, time: Duration, timer: T) {
        self.plan(self.now + time, node, Happening::Timer(timer));
    }

    fn plan(&mut self, at: Duration, node: usize, what: Happening<T>) {
        self.planned.insert((at, self.count), (node, what));
        self.count += 1;
    }

    pub(super) fn crash(&mut self, node: usize) {
        self.hosts[node].alive = false;
    }

    pub(super) fn is_alive(&self, node: usize) -> bool {
        self.hosts[node].alive
    }

    pub(super) fn pause(&mut self, node: usize, time: Duration) {
        self.hosts[node].still_until = self.now + time;
    }

    /// What happens next, no later than `until`, at a node that runs.
    pub(super) fn next(&mut self, until: Duration) -> Option<(usize, Happening<T>)> {
        loop {
            let Some(next) = self.planned.first_entry().filter(|next| next.key().0 <= until) else {
                self.now = until;
                return None;
            };
            let ((at, _), (node, what)) = next.remove_entry();
            self.now = at;
            let host = &self.hosts[node];
            if host.alive && host.still_until > at {
                self.plan(host.still_until, node, what);
            } else if host.alive {
                return Some((node, what));
            }
        }
    }
}
