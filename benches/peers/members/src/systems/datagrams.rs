//! The network of datagrams, of the same shape as that of the simulator: nodes lie at random places of a square, the delay grows with
//! the distance from 5 to 130 ms, and each packet takes up to 2 ms more.

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

/// What happens to a node.
#[derive(Debug)]
pub(super) enum Happening<T> {
    Datagram(Bytes),
    Timer(T),
}

#[derive(Debug)]
struct Host {
    place: (f64, f64),
    alive: bool,
    still_until: Duration,
}

/// All that is under way, and all timers.
#[derive(Debug)]
pub(super) struct Datagrams<T> {
    pub(super) now: Duration,
    pub(super) bytes_sent: u64,
    hosts: Vec<Host>,
    loss: f64,
    dice: StdRng,
    planned: BTreeMap<(Duration, u64), (usize, Happening<T>)>,
    count: u64,
}

impl<T> Datagrams<T> {
    pub(super) fn new(nodes: usize, loss: f64, seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut host =
            || Host { place: (dice.random(), dice.random()), alive: true, still_until: Duration::ZERO };
        let hosts = (0..nodes).map(|_| host()).collect();
        Self { now: Duration::ZERO, bytes_sent: 0, hosts, loss, dice, planned: BTreeMap::new(), count: 0 }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, datagram: Bytes) {
        self.bytes_sent += datagram.len() as u64 + HEADERS;
        let (jitter, lost) = (JITTER.mul_f64(self.dice.random()), self.dice.random::<f64>() < self.loss);
        let (from, to_host) = (&self.hosts[from], &self.hosts[to]);
        let distance = (from.place.0 - to_host.place.0).hypot(from.place.1 - to_host.place.1);
        let delay = LEAST + (MOST - LEAST).mul_f64(distance / std::f64::consts::SQRT_2);
        if !lost {
            self.plan(self.now + delay + jitter, to, Happening::Datagram(datagram));
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
