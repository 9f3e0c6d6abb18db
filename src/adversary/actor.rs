//! An adversary and what it knows, as a stage drives it.

use bytes::Bytes;

use super::{Acquaintance, Adversary, Liar, Me, Outgoing, Plot};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{LinkId, Mono, Now};
use crate::wire::Lane;

/// One liar on a stage. The stage tells it of its links, its frames and the time, and sends what it returns.
#[derive(Debug)]
pub struct Actor {
    me: Me,
    adversary: Box<dyn Adversary>,
}

impl Actor {
    /// A liar of this kind under `key`, without links. `seed` decides what is left to chance.
    pub fn new(liar: &Liar, key: SecretKey, plot: Plot, now: Now, seed: u64) -> Self {
        let mut me = Me::new(key, plot, now, seed);
        let adversary = liar.adversary(&mut me);
        Self { me, adversary }
    }

    /// A link is up.
    pub fn meet(&mut self, other: Acquaintance) {
        self.me.meet(other);
    }

    /// A link is gone.
    pub fn part(&mut self, link: LinkId) {
        self.me.part(link);
    }

    /// When to call [`Actor::wake`] next, if ever.
    pub fn next_wake(&self) -> Option<Mono> {
        self.adversary.next_wake()
    }

    /// What goes out instead of a frame of its engine.
    pub fn outgoing(&mut self, now: Now, link: LinkId, lane: Lane, payload: Bytes) -> Vec<Outgoing> {
        self.adversary.outgoing(self.me.at(now), Outgoing::now(link, lane, payload));
        self.me.take_out()
    }

    /// What it says to a frame that has come in, before its engine sees it.
    pub fn incoming(&mut self, now: Now, from: LinkId, lane: Lane, payload: &Bytes) -> Vec<Outgoing> {
        self.adversary.incoming(self.me.at(now), from, lane, payload);
        self.me.take_out()
    }

    /// What it sends and whom it dials, if its moment has come.
    pub fn wake(&mut self, now: Now) -> (Vec<Outgoing>, Vec<PublicKey>) {
        if self.next_wake().is_none_or(|at| at > now.mono) {
            return (Vec::new(), Vec::new());
        }
        self.adversary.wake(self.me.at(now));
        let dials = self.adversary.dials(&mut self.me);
        (self.me.take_out(), dials)
    }
}
