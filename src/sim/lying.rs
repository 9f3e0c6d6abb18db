//! Where a liar stands between its machine and the network.

use bytes::Bytes;

use super::liars::{Acquaintance, Adversary, Me, Outgoing, Plot};
use super::scenario::Scenario;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{LinkId, Mono, Now};
use crate::wire::Lane;

/// A node's adversary and what it knows.
#[derive(Debug)]
pub(super) struct Lying {
    me: Me,
    adversary: Box<dyn Adversary>,
}

impl Lying {
    pub(super) fn new(scenario: &Scenario, key: SecretKey, plot: Plot, now: Now, seed: u64) -> Self {
        let mut me = Me::new(key, plot, now, seed);
        let adversary = scenario.liar.adversary(&mut me);
        Self { me, adversary }
    }

    pub(super) fn meet(&mut self, other: Acquaintance) {
        self.me.meet(other);
    }

    pub(super) fn part(&mut self, link: LinkId) {
        self.me.part(link);
    }

    pub(super) fn next_wake(&self) -> Option<Mono> {
        self.adversary.next_wake()
    }

    /// What goes out instead of a frame of its engine.
    pub(super) fn outgoing(&mut self, now: Now, link: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        self.adversary.outgoing(self.me.at(now), Outgoing::now(link, lane, payload));
        self.me.take_out()
    }

    pub(super) fn incoming(&mut self, now: Now, from: LinkId, lane: Lane, payload: &Bytes) -> Vec<Outgoing> {
        self.adversary.incoming(self.me.at(now), from, lane, payload);
        self.me.take_out()
    }

    /// What it sends and whom it dials, if its moment has come.
    pub(super) fn wake(&mut self, now: Now) -> (Vec<Outgoing>, Vec<PublicKey>) {
        if self.next_wake().is_none_or(|at| at > now.mono) {
            return (Vec::new(), Vec::new());
        }
        self.adversary.wake(self.me.at(now));
        let dials = self.adversary.dials(&mut self.me);
        (self.me.take_out(), dials)
    }
}
