//! Links at run time: who dials whom, who is refused, and who tries again.
//!
//! ```text
//!   dialler            peer
//!     │ ───── delay ───> │  crashed or cut off: no answer, given up after 3 s
//!     │                  │  refused by its engine: the dialler hears why
//!     │ <──── delay ──── │  accepted: up there now, up here after the delay
//! ```
//!
//! A node keeps as many outbound links as it was given. One that was lost in silence is dialled again and again, as
//! `node/dialler.rs` does with the peers it was given: that is what heals partitions. One that was closed or refused for
//! a reason is replaced: by what else the topology gives the node, then by anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::drive::nanos;
use super::feelers::Feelers;
use super::liars::Acquaintance;
use super::network::Network;
use super::node::End;
use super::queue::{Happening, NodeIndex};
use super::topology::Topology;
use crate::protocol::{DownReason, Input, LinkId};
use crate::wire::Reason;

/// A dial without an answer is given up after so long (quinn's initial time-out is of this order; a guess).
const HANDSHAKE: Duration = Duration::from_secs(3);
/// The pause before a peer is dialled again, doubled each time, and the longest: as in `node/dialler.rs`.
const FIRST_PAUSE: u64 = 200_000_000;
const LONGEST_PAUSE: u64 = 30_000_000_000;
/// A link that lived this long ends the doubling.
const STABLE: u64 = 10_000_000_000;
/// Draws for a peer that is not linked, under way or paused, before the node waits for a second.
const DRAWS: usize = 32;

/// What a node knows about dialling.
#[derive(Debug, Default)]
pub(super) struct Dialler {
    /// Outbound links to keep.
    pub(super) wanted: usize,
    /// Whom the topology gives it, in the order in which they are tried.
    pub(super) listed: Vec<NodeIndex>,
    under_way: BTreeSet<NodeIndex>,
    /// Peers whose links were lost in silence.
    lost: BTreeSet<NodeIndex>,
    pauses: BTreeMap<NodeIndex, Pause>,
    /// When it looks again, nanoseconds; 0 if that is not planned.
    looks_at: u64,
    pub(super) feelers: Feelers,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    length: u64,
    until: u64,
}

impl Dialler {
    fn is_paused(&self, peer: NodeIndex, now: u64) -> bool {
        self.pauses.get(&peer).is_some_and(|pause| pause.until > now)
    }

    fn pause(&mut self, peer: NodeIndex, now: u64) {
        let length =
            self.pauses.get(&peer).map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
        self.pauses.insert(peer, Pause { length, until: now + length });
    }

    /// Leaves `peer` alone until then.
    pub(super) fn rest(&mut self, peer: NodeIndex, until: u64) {
        self.pauses.insert(peer, Pause { length: FIRST_PAUSE, until });
    }

    /// After a crash: what is under way comes to nothing.
    pub(super) fn forget(&mut self) {
        self.under_way.clear();
        self.pauses.clear();
        self.lost.clear();
        self.looks_at = 0;
        self.feelers.forget();
    }
}

impl Network {
    /// Lets `node` dial `peer`, whatever links it has: for adversaries, which dial whom they like and as often.
    /// The peer's engine says whether there is a place.
    pub fn dial(&mut self, node: usize, peer: usize) {
        let (from, to) = (node as NodeIndex, peer as NodeIndex);
        let delay = self.delay(from, to);
        let Some(this) = self.nodes.get_mut(node).filter(|this| this.alive) else { return };
        if from != to && this.dialler.under_way.insert(to) {
            self.queue.plan(self.now + nanos(delay), to, Happening::Knock { from });
        }
    }

    pub(super) fn delay(&self, from: NodeIndex, to: NodeIndex) -> Duration {
        let places = self.nodes.get(from as usize).zip(self.nodes.get(to as usize));
        places.map_or(Duration::ZERO, |(from, to)| self.scenario.latency.between(from.place, to.place))
    }

    /// Somebody's handshake arrives.
    pub(super) fn on_knock(&mut self, node: NodeIndex, from: NodeIndex) {
        let delay = self.delay(node, from);
        let Some(key) = self.nodes.get(from as usize).map(|from| from.key) else { return };
        let Some(this) = self.nodes.get(node as usize) else { return };
        if !this.alive || self.is_cut(node, from) {
            let after = self.now + nanos(HANDSHAKE);
            return self.queue.plan(after, from, Happening::Refused { peer: node, reason: None });
        }
        if let Some(reason) = this.machine.would_refuse(&key) {
            let refused = Happening::Refused { peer: node, reason: Some(reason) };
            return self.queue.plan(self.now + nanos(delay), from, refused);
        }
        let there = self.nodes.get(from as usize).map_or(LinkId(0), |from| from.next_link());
        let here = this.next_link();
        if let Some(this) = self.nodes.get_mut(node as usize) {
            this.ends.push(End::new(from, there, delay, false));
        }
        if let Some(from) = self.nodes.get_mut(from as usize) {
            from.ends.push(End::new(node, here, delay, true));
        }
        self.queue.plan(self.now + nanos(delay), from, Happening::Connected { link: there });
        self.link_up(node, here);
    }

    /// The link is up at this end.
    pub(super) fn link_up(&mut self, node: NodeIndex, link: LinkId) {
        let now = self.now;
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let Some(end) = this.any_end_mut(link) else { return };
        (end.up, end.up_since) = (true, now);
        let (peer, delay, dialled) = (end.peer, end.delay, end.dialled);
        if dialled {
            this.dialler.under_way.remove(&peer);
            this.dialler.lost.remove(&peer);
        }
        let other = self.nodes.get(peer as usize).map(|peer| (peer.key, !peer.is_honest()));
        let Some((key, accomplice)) = other else { return };
        if let Some(twist) = self.nodes.get_mut(node as usize).and_then(|this| this.twist.as_mut()) {
            twist.meet(Acquaintance { link, peer: key, rtt: delay * 2, accomplice });
        }
        self.input(node, Input::LinkUp { link, peer: key, dialled });
        self.input(node, Input::RoundTrip { link, rtt: delay * 2 });
    }

    /// A dial came to nothing.
    pub(super) fn on_refused(&mut self, node: NodeIndex, peer: NodeIndex, reason: Option<Reason>) {
        let now = self.now;
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        this.dialler.under_way.remove(&peer);
        this.dialler.pause(peer, now);
        if let Some(reason) = reason {
            this.dialler.lost.remove(&peer);
            self.ledger.refused_dials += 1;
            self.note(&[0xd0, reason.code() as u8]);
        }
        self.seek(node);
    }

    /// A link is down at this end, for a reason or in silence.
    pub(super) fn link_down(&mut self, node: NodeIndex, link: LinkId, reason: Option<Reason>) {
        let now = self.now;
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let Some(end) = this.shut(link) else { return };
        let (peer, dialled, stable) = (end.peer, end.dialled, now - end.up_since >= STABLE);
        this.uplink.close(link);
        if dialled {
            if stable {
                this.dialler.pauses.remove(&peer);
            }
            this.dialler.pause(peer, now);
            if reason.is_none() {
                this.dialler.lost.insert(peer);
            }
        }
        let why = reason.map_or(DownReason::Silent, DownReason::ClosedByPeer);
        self.input(node, Input::LinkDown { link, offence: None, why });
        if dialled {
            self.seek(node);
        }
    }

    /// Whether `peer` may be dialled now.
    pub(super) fn is_free(&self, index: NodeIndex, peer: NodeIndex) -> bool {
        self.nodes.get(index as usize).is_some_and(|node| {
            peer != index
                && !node.dialler.under_way.contains(&peer)
                && !node.dialler.is_paused(peer, self.now)
                && !node.has_link_to(peer)
        })
    }

    /// Dials until the node has the outbound links that it wants, or may have.
    pub(super) fn seek(&mut self, index: NodeIndex) {
        let now = self.now;
        let Some(node) = self.nodes.get(index as usize).filter(|node| node.alive) else { return };
        if node.dialler.wanted == 0 {
            return;
        }
        let counts = |peer: NodeIndex| !node.dialler.is_feeler(peer);
        let out = |end: &&End| end.up && end.dialled && counts(end.peer);
        let under_way = node.dialler.under_way.iter().filter(|peer| counts(**peer)).count();
        let mut missing =
            node.dialler.wanted.saturating_sub(node.ends.iter().filter(out).count() + under_way);
        let lost: Vec<_> = node.dialler.lost.iter().copied().collect();
        let listed: Vec<_> = if missing > 0 { node.dialler.listed.clone() } else { Vec::new() };
        for peer in lost.iter().copied().filter(|peer| self.is_free(index, *peer)).collect::<Vec<_>>() {
            self.dial(index as usize, peer as usize);
            missing = missing.saturating_sub(1);
        }
        for peer in listed {
            if missing > 0 && self.is_free(index, peer) {
                self.dial(index as usize, peer as usize);
                missing -= 1;
            }
        }
        let anybody = !matches!(self.scenario.topology, Topology::Edges(_));
        for _ in 0..if anybody { DRAWS } else { 0 } {
            if missing == 0 {
                break;
            }
            let peer = self.dice.below(self.nodes.len()) as NodeIndex;
            // (Whoever names candidates does not name those that left.)
            if !self.ledger.is_gone(peer) && self.is_free(index, peer) {
                self.dial(index as usize, peer as usize);
                missing -= 1;
            }
        }
        // Whoever is paused, or was not drawn, has another chance.
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        let dialler = &node.dialler;
        // (One whose pause is over is under way, which ends with a look, or linked from the other side.)
        let pauses = dialler.lost.iter().filter_map(|peer| Some(dialler.pauses.get(peer)?.until));
        let mut next = pauses.filter(|until| *until > now).min();
        if missing > 0 {
            next = Some(next.map_or(now + 1_000_000_000, |next| next.min(now + 1_000_000_000)));
        }
        if let Some(next) = next.map(|next| next.max(now + 1))
            && (dialler.looks_at <= now || next < dialler.looks_at)
        {
            node.dialler.looks_at = next;
            self.queue.plan(next, index, Happening::Seek);
        }
    }

    /// Liars that want every place there is: each dials some honest nodes that it has no link to, again every second.
    pub(super) fn grasp(&mut self, node: NodeIndex) {
        let count = self.scenario.grasping;
        for _ in 0..count {
            let peer = self.dice.below(self.nodes.len());
            let other = self.nodes.get(peer).is_some_and(|peer| peer.alive && peer.is_honest());
            let linked =
                self.nodes.get(node as usize).is_some_and(|node| node.has_link_to(peer as NodeIndex));
            if other && !linked {
                self.dial(node as usize, peer);
            }
        }
        self.queue.plan(self.now + 1_000_000_000, node, Happening::Grasp);
    }
}
