//! Liars made of liars, and liars that want to be everywhere.

use std::time::Duration;

use bytes::Bytes;

use super::withhold::Silent;
use crate::adversary::{Adversary, Me, Outgoing};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};
use crate::wire::Lane;

/// Two lies at once: of what the engine sends, the second sees what the first has left.
#[derive(Debug)]
pub(in crate::adversary) struct Both(
    pub(in crate::adversary) Box<dyn Adversary>,
    pub(in crate::adversary) Box<dyn Adversary>,
);

impl Adversary for Both {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let mark = me.mark();
        self.0.outgoing(me, frame);
        for frame in me.since(mark) {
            let (delay, mark) = (frame.delay, me.mark());
            self.1.outgoing(me, Outgoing { delay: Duration::ZERO, ..frame });
            for frame in me.since(mark) {
                me.send(Outgoing { delay: frame.delay + delay, ..frame });
            }
        }
    }

    fn incoming(&mut self, me: &mut Me, from: LinkId, lane: Lane, payload: &Bytes) {
        self.0.incoming(me, from, lane, payload);
        self.1.incoming(me, from, lane, payload);
    }

    fn next_wake(&self) -> Option<Mono> {
        self.0.next_wake().into_iter().chain(self.1.next_wake()).min()
    }

    fn wake(&mut self, me: &mut Me) {
        for one in [&mut self.0, &mut self.1] {
            if one.next_wake().is_some_and(|at| at <= me.now().mono) {
                one.wake(me);
            }
        }
    }

    fn dials(&mut self, me: &mut Me) -> Vec<PublicKey> {
        let mut all = self.0.dials(me);
        all.extend(self.1.dials(me));
        all
    }
}

/// B31: behaves until a moment (time since the origin of the monotonic clock), then lies.
#[derive(Debug)]
pub(super) struct WakesUp {
    /// When it starts to lie.
    pub(super) after: Duration,
    /// How.
    pub(super) then: Box<dyn Adversary>,
}

impl WakesUp {
    fn turned(&self, me: &Me) -> bool {
        me.now().mono >= Mono::from_nanos(0).plus(self.after)
    }
}

impl Adversary for WakesUp {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        if self.turned(me) { self.then.outgoing(me, frame) } else { me.send(frame) }
    }

    fn incoming(&mut self, me: &mut Me, from: LinkId, lane: Lane, payload: &Bytes) {
        if self.turned(me) {
            self.then.incoming(me, from, lane, payload);
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        self.then.next_wake().map(|at| at.max(Mono::from_nanos(0).plus(self.after)))
    }

    fn wake(&mut self, me: &mut Me) {
        self.then.wake(me);
    }

    fn dials(&mut self, me: &mut Me) -> Vec<PublicKey> {
        if self.turned(me) { self.then.dials(me) } else { Vec::new() }
    }
}

/// Between two rounds of dialling.
const DIAL_EVERY: Duration = Duration::from_millis(100);
/// Nodes dialled in a round: at 100 a second a thousand nodes are tried in ten seconds.
const DIALS: usize = 10;

/// B20 and B32: dials everybody, and then sits there in silence, so that honest nodes find no inbound place.
#[derive(Debug)]
pub(super) struct SlotFiller {
    next: Mono,
    /// Where it is in the list of all nodes.
    at: usize,
}

impl SlotFiller {
    /// Begins at a place of its own.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.now().mono, at: me.below(usize::from(u16::MAX)) }
    }
}

impl Adversary for SlotFiller {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        Silent.outgoing(me, frame);
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(DIAL_EVERY);
    }

    fn dials(&mut self, me: &mut Me) -> Vec<PublicKey> {
        let everybody = me.everybody();
        let turn = everybody.iter().cycle().skip(self.at % everybody.len().max(1)).take(DIALS);
        let known =
            |key: &PublicKey| *key == me.key().public() || me.links().iter().any(|known| known.peer == *key);
        let keys = turn.filter(|key| !known(key)).copied().collect();
        self.at = self.at.wrapping_add(DIALS);
        keys
    }
}
