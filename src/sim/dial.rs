//! Links at run time: a node's dialler says whom to dial and when, and here it is done.
//!
//! ```text
//!   dialler            peer
//!     │ ───── delay ───> │  crashed or cut off: no answer, given up after 3 s
//!     │                  │  refused by its engine: the dialler hears why
//!     │ <──── delay ──── │  accepted: up there now, up here after the delay
//! ```
//!
//! All decisions are those of `protocol/dialler`, which a `Node` has too. What the topology gives a node are its candidates, and
//! as many links as that it wants. A network that comes up from nothing tells each node of some others, too. A dialler that is
//! short of candidates is told of random nodes, as a table of members would.

use std::time::Duration;

use super::network::Network;
use super::node::{End, Node};
use super::queue::{Happening, NodeIndex};
use super::scenario::Start;
use super::time::nanos;
use super::topology::Topology;
use crate::adversary::Acquaintance;
use crate::protocol::{DownReason, Ending, Input, LinkId, Mono, Order, Origin};
use crate::wire::Reason;

/// A dial without an answer is given up after so long (quinn's initial time-out is of this order; a guess).
const HANDSHAKE: Duration = Duration::from_secs(3);
/// Nodes of which a dialler is told when it is short of candidates, and a second later again if it still is.
const DRAWS: usize = 32;
const DRAW_AGAIN: u64 = 1_000_000_000;
/// Other nodes of which a node is told in a network that comes up from nothing, beside its hash-selected acceptors.
const OTHERS: usize = 96;

impl Network {
    /// Lets `node` dial `peer`, whatever links it has: for adversaries, which dial whom they like and as often.
    /// The peer's engine says whether there is a place.
    pub fn dial(&mut self, node: usize, peer: usize) {
        let (from, to) = (node as NodeIndex, peer as NodeIndex);
        let Some(this) = self.nodes.get_mut(node).filter(|this| this.alive) else { return };
        if from != to && this.dialling.knocking.insert(to) {
            self.knock(from, to, false);
        }
    }

    fn knock(&mut self, from: NodeIndex, to: NodeIndex, ordered: bool) {
        let delay = self.delay(from, to);
        self.queue.plan(self.now + nanos(delay), to, Happening::Knock { from, ordered });
    }

    /// Somebody's handshake arrives.
    pub(super) fn on_knock(&mut self, node: NodeIndex, from: NodeIndex, ordered: bool) {
        let delay = self.delay(node, from);
        let Some(key) = self.nodes.get(from as usize).map(|from| from.key) else { return };
        let Some(this) = self.nodes.get(node as usize) else { return };
        if !this.alive || this.troubles.hidden || self.is_cut(node, from) {
            let after = self.now + nanos(HANDSHAKE);
            return self.queue.plan(after, from, Happening::Refused { peer: node, ordered, reason: None });
        }
        if let Some(reason) = this.machine.would_refuse(&key) {
            let refused = Happening::Refused { peer: node, ordered, reason: Some(reason) };
            return self.queue.plan(self.now + nanos(delay), from, refused);
        }
        let there = self.nodes.get(from as usize).map_or(LinkId(0), |from| from.next_link());
        let here = this.next_link();
        if let Some(this) = self.nodes.get_mut(node as usize) {
            this.ends.push(End::new(from, there, delay, false));
        }
        if let Some(from) = self.nodes.get_mut(from as usize) {
            from.ends.push(End { ordered, ..End::new(node, here, delay, true) });
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
        let (peer, delay, dialled, ordered) = (end.peer, end.delay, end.dialled, end.ordered);
        let other = self.nodes.get(peer as usize).map(|peer| (peer.key, !peer.is_honest()));
        let Some((key, accomplice)) = other else { return };
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        if dialled && !ordered {
            this.dialling.knocking.remove(&peer);
        }
        let dialler = &mut this.dialling.dialler;
        // (What was ordered before a restart is no longer known.)
        if !ordered || !dialler.connected(Mono::from_nanos(now), &key, link) {
            dialler.link_up(&key, link);
        }
        if let Some(twist) = this.twist.as_mut() {
            twist.meet(Acquaintance { link, peer: key, rtt: delay * 2, accomplice });
        }
        self.input(node, Input::LinkUp { link, peer: key, dialled, remote: None });
        self.input(node, Input::RoundTrip { link, rtt: delay * 2 });
        if ordered {
            self.dial_due(node);
        }
    }

    /// A dial came to nothing.
    pub(super) fn on_refused(
        &mut self,
        node: NodeIndex,
        peer: NodeIndex,
        ordered: bool,
        reason: Option<Reason>,
    ) {
        let now = Mono::from_nanos(self.now);
        let Some(key) = self.nodes.get(peer as usize).map(|peer| peer.key) else { return };
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let dialling = &mut this.dialling;
        match reason {
            _ if !ordered => _ = dialling.knocking.remove(&peer),
            Some(reason) => _ = dialling.dialler.failed(now, &key, Ending::Closed, &reason),
            None => _ = dialling.dialler.failed(now, &key, Ending::Silent, &"no answer"),
        }
        if let Some(reason) = reason {
            self.record.refused_dials += 1;
            self.note(&[0xd0, reason.code() as u8]);
        }
        self.dial_due(node);
    }

    /// A link is down at this end, for a reason or in silence.
    pub(super) fn link_down(&mut self, node: NodeIndex, link: LinkId, reason: Option<Reason>) {
        let now = Mono::from_nanos(self.now);
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let Some(end) = this.shut(link) else { return };
        let lived = now.since(Mono::from_nanos(end.up_since));
        this.uplink.close(link);
        let why = reason.map_or(DownReason::Silent, DownReason::ClosedByPeer);
        let how = if reason.is_some() { Ending::Closed } else { Ending::Silent };
        this.dialling.dialler.link_down(now, link, Some(lived), how, &why);
        self.input(node, Input::LinkDown { link, offence: None, why });
        self.dial_due(node);
    }

    /// Does what the node's dialler orders, and plans when to ask it again.
    pub(super) fn dial_due(&mut self, index: NodeIndex) {
        let now = self.now;
        self.carry_out(index);
        if self.name_some(index) {
            self.carry_out(index);
        }
        let anybody = self.may_meet_anybody();
        let Some(node) = self.nodes.get_mut(index as usize).filter(|node| node.alive) else { return };
        let dialling = &mut node.dialling;
        let short = anybody && dialling.dialler.is_short(Mono::from_nanos(now));
        let due = dialling.dialler.next_deadline().map(Mono::as_nanos);
        let next = due.into_iter().chain(short.then_some(now + DRAW_AGAIN)).min();
        if let Some(next) = next.map(|next| next.max(now + 1))
            && (dialling.looks_at <= now || next < dialling.looks_at)
        {
            dialling.looks_at = next;
            self.queue.plan(next, index, Happening::Seek);
        }
    }

    fn carry_out(&mut self, index: NodeIndex) {
        let now = self.now_of(index);
        loop {
            let Some(node) = self.nodes.get_mut(index as usize).filter(|node| node.alive) else { return };
            match node.dialling.next_order(now, &*node.machine) {
                None => return,
                Some(Order::Dial { addr, .. }) => self.knock(index, addr, true),
                Some(Order::HangUp { link }) => self.close(index, link, Reason::Unneeded),
                Some(Order::Refused { .. } | Order::KeepAnchors { .. }) => {}
            }
        }
    }

    /// Whether nodes can come to know others than the topology gives them.
    const fn may_meet_anybody(&self) -> bool {
        !matches!(self.scenario.topology, Topology::Edges(_))
            && !matches!(self.scenario.start, Start::From(_) | Start::Poisoned(_))
    }

    /// Tells a node of some others, if it knows of nobody that it could dial.
    fn name_some(&mut self, index: NodeIndex) -> bool {
        let now = Mono::from_nanos(self.now);
        let short = |node: &Node| node.alive && node.dialling.dialler.is_short(now);
        if !self.may_meet_anybody() || !self.nodes.get(index as usize).is_some_and(short) {
            return false;
        }
        for _ in 0..DRAWS {
            let peer = self.dice.below(self.nodes.len()) as NodeIndex;
            // (Whoever names candidates does not name those that left.)
            if !self.record.is_gone(peer) {
                self.name(index, peer, Origin::Found);
            }
        }
        true
    }

    /// Tells a node of another. It may know it, or have no room for it.
    pub(super) fn name(&mut self, index: NodeIndex, peer: NodeIndex, origin: Origin) {
        let now = Mono::from_nanos(self.now);
        let Some(key) = self.nodes.get(peer as usize).map(|peer| peer.key) else { return };
        if let Some(node) = self.nodes.get_mut(index as usize) {
            let _ = node.dialling.dialler.suggest(now, key, peer, origin);
        }
    }

    /// Gives a node its dialler, which knows whom the topology names.
    pub(super) fn give_dialler(&mut self, index: NodeIndex) {
        let network = self.rules.network();
        // Where links are given, they are what is looked at: nobody feels for others.
        let feels = self.scenario.start != Start::Linked && self.is_honest(index as usize);
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        node.dialling.renew(node.key, network, feels);
        // Whoever dials has the address that all know as its way in, as nodes have their bootstrap peers.
        let entry = match self.scenario.start {
            Start::From(first) if node.dialling.wanted > 0 => Some(first as NodeIndex),
            _ => None,
        };
        for (peer, origin) in node.dialling.told.clone() {
            if entry == Some(peer) { self.enter(index, peer) } else { self.name(index, peer, origin) }
        }
    }

    fn enter(&mut self, index: NodeIndex, peer: NodeIndex) {
        let now = Mono::from_nanos(self.now);
        let Some(key) = self.nodes.get(peer as usize).map(|peer| peer.key) else { return };
        if let Some(node) = self.nodes.get_mut(index as usize) {
            let _ = node.dialling.dialler.enter(now, key, peer);
        }
    }

    /// A link that was there from the beginning is one of those that the dialler wants.
    pub(super) fn adopt(&mut self, node: NodeIndex, peer: NodeIndex, link: LinkId) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.dialling.dialler.adopt(link, peer);
        }
    }

    /// In a network that comes up from nothing, a node is told of those that keep places for it, and of some others.
    pub(super) fn tell_of_others(&mut self, at: usize) {
        let network = self.rules.network();
        let Some(key) = self.nodes.get(at).filter(|node| node.is_honest()).map(|node| node.key) else {
            return;
        };
        let (config, unix_s) = (self.config(), self.now_of(at as NodeIndex).unix_ms / 1_000);
        let keeps_a_place = |(peer, node): (usize, &Node)| {
            (peer != at && config.is_hash_selected(&network, &key, &node.key, unix_s))
                .then_some((peer as NodeIndex, Origin::Found))
        };
        let mut told: Vec<_> = self.nodes.iter().enumerate().filter_map(keeps_a_place).collect();
        if self.may_meet_anybody() {
            let others = (0..OTHERS).map(|_| (self.dice.below(self.nodes.len()) as NodeIndex, Origin::Found));
            told.extend(others);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.dialling.told.append(&mut told);
        }
    }

    /// Strangers name a node's first candidates to it, of which some lie, in a network that begins so.
    pub(super) fn poison(&mut self, at: usize) {
        let Start::Poisoned(percent) = self.scenario.start else { return };
        let all = self.scenario.links.min(self.nodes.len().saturating_sub(1));
        let lying = (all * usize::from(percent)).div_ceil(100).min(all);
        for (count, lies) in [(lying, true), (all - lying, false)] {
            let is_one = |peer: &usize| *peer != at && self.is_alive(*peer) && self.is_honest(*peer) != lies;
            let mut peers: Vec<_> = (0..self.nodes.len()).filter(is_one).collect();
            self.dice.shuffle(&mut peers);
            let told = peers.into_iter().take(count).map(|peer| (peer as NodeIndex, Origin::Found));
            if let Some(node) = self.nodes.get_mut(at) {
                node.dialling.told.extend(told);
            }
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
