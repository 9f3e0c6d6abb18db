//! What goes wrong without a liar: partitions, crashes, churn, clocks that step.

use std::time::Duration;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::scenario::Start;
use super::time::{IDLE, nanos};
use crate::protocol::{Input, Origin, UsedPositions};
use crate::store::Store as _;
use crate::wire::Reason;

/// Goodbyes of a node that leaves are written within this, then it is gone: `net` gives them a second.
const LEAVING: Duration = Duration::from_secs(1);

impl Network {
    /// Cuts the network: what two nodes of different sides send each other is lost until [`Network::heal`]. It is then
    /// sent again, as QUIC does. Links that were cut for 30 s go down at both ends.
    pub fn partition(&mut self, side: impl Fn(usize) -> u32) {
        for (at, node) in self.nodes.iter_mut().enumerate() {
            node.side = side(at);
        }
        self.cuts += 1;
        self.cut_falls_silent();
        self.queue.plan(self.now + nanos(IDLE), 0, Happening::CutForLong { cut: self.cuts });
    }

    /// Ends a partition.
    pub fn heal(&mut self) {
        self.cut_is_heard();
        self.nodes.iter_mut().for_each(|node| node.side = 0);
        self.cuts += 1;
        for (node, what) in std::mem::take(&mut self.lost) {
            let (Happening::Arrive { link, .. } | Happening::Down { link, .. }) = &what else { continue };
            let Some(end) = self.nodes.get_mut(node as usize).and_then(|node| node.end_mut(*link)) else {
                continue;
            };
            // A probe of the sender gets through, and the answer asks for what is missing.
            let at = self.now + nanos(end.delay * 2);
            end.late = end.late.max(at);
            self.queue.plan(at, node, what);
        }
    }

    pub(super) fn is_cut(&self, one: NodeIndex, other: NodeIndex) -> bool {
        let side = |node: NodeIndex| self.nodes.get(node as usize).map(|node| node.side);
        side(one) != side(other)
    }

    /// A partition has lasted for 30 s.
    pub(super) fn on_cut_for_long(&mut self, cut: u64) {
        if self.cuts != cut {
            return;
        }
        for node in 0..self.nodes.len() as NodeIndex {
            let links = self.nodes.get(node as usize).map(|node| node.links()).unwrap_or_default();
            for link in links {
                let end = self.nodes.get(node as usize).and_then(|node| node.end(link));
                if end.is_some_and(|end| self.is_cut(node, end.peer)) {
                    self.link_down(node, link, None);
                }
            }
            self.drive(node);
        }
    }

    /// A node stops at once, as if its power had gone. Its peers find out after 30 s, or when it is back.
    pub fn crash(&mut self, node: usize) {
        let idle = self.now + nanos(IDLE);
        let Some(this) = self.nodes.get_mut(node) else { return };
        this.alive = false;
        this.uplink = Default::default();
        this.written.clear();
        this.written_bytes = 0;
        this.orphans = this.shut_all();
        for (peer, link) in this.orphans.clone() {
            self.queue.plan(idle, peer, Happening::Down { link, reason: None });
            self.falls_silent(peer, link);
        }
        self.record.gone(node as NodeIndex, self.now);
    }

    /// A node that crashed comes back with its key and nothing in memory. With its position log it speaks as soon as what was
    /// recorded is past; without, it waits until whatever it may have said is.
    pub fn restart(&mut self, node: usize, with_position_log: bool) {
        let Some(this) = self.nodes.get(node).filter(|this| !this.alive) else { return };
        let position_log = if with_position_log {
            UsedPositions::Kept { used: this.recorded.clone() }
        } else {
            UsedPositions::None
        };
        let (secret, now) = (this.secret.clone(), self.now_of(node as NodeIndex));
        let seed = self.dice.bytes();
        let machine = self.machine(secret, position_log, seed, now);
        let Some(this) = self.nodes.get_mut(node) else { return };
        (this.machine, this.alive, this.wake, this.still_until) = (machine, true, u64::MAX, 0);
        this.life += 1;
        let incarnation = u64::from(this.life).saturating_mul(1 << 32).saturating_add(node as u64 + 1);
        this.store = this.store.take().filter(|_| with_position_log).map(|store| store.reopened(incarnation));
        if let Some(store) = &mut this.store {
            // Memory fails at nothing.
            let _ = store.start(&this.secret.public());
        }
        // What its peers still send on old links is answered with a reset.
        for (peer, link) in std::mem::take(&mut this.orphans) {
            let delay = self.delay(node as NodeIndex, peer);
            self.queue.plan(self.now + nanos(delay), peer, Happening::Down { link, reason: None });
        }
        self.record.back(node as NodeIndex, self.now);
        self.begin(node as NodeIndex);
    }

    /// A node goes down in good order: it says goodbye, and is gone a second later.
    pub fn leave(&mut self, node: usize) {
        self.input(node as NodeIndex, Input::Shutdown);
        self.drive(node as NodeIndex);
        if let Some(this) = self.nodes.get_mut(node) {
            this.dialling.wanted = 0;
            this.dialling.told.clear();
        }
        self.give_dialler(node as NodeIndex);
        self.record.gone(node as NodeIndex, self.now);
        self.queue.plan(self.now + nanos(LEAVING), node as NodeIndex, Happening::Gone);
    }

    /// A new honest node comes and dials. Gives its number.
    pub fn join(&mut self) -> usize {
        let node = self.add_node(false, self.now);
        if let Some(this) = self.nodes.get_mut(node) {
            this.dialling.wanted = self.scenario.links;
        }
        match self.scenario.start {
            Start::Cold => self.tell_of_others(node),
            Start::From(first) => {
                let told = (first as NodeIndex, Origin::Told);
                self.nodes.get_mut(node).into_iter().for_each(|this| this.dialling.told.push(told));
            }
            Start::Poisoned(_) => self.poison(node),
            Start::Linked => {}
        }
        self.begin(node as NodeIndex);
        node
    }

    pub(super) fn on_gone(&mut self, node: NodeIndex) {
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        this.alive = false;
        for (peer, link) in this.shut_all() {
            let reason = Some(Reason::Shutdown);
            self.queue.plan(self.now + 1, peer, Happening::Down { link, reason });
        }
    }

    pub(super) fn plan_churn(&mut self) {
        let Some(churn) = self.scenario.churn else { return };
        for (rate, what) in [(churn.leave_per_s, Happening::Leave), (churn.join_per_s, Happening::Join)] {
            if rate > 0.0 {
                let gap = self.dice.gap(rate);
                self.queue.plan(self.now + nanos(gap), 0, what);
            }
        }
    }

    pub(super) fn on_churn(&mut self, joins: bool) {
        let Some(churn) = self.scenario.churn else { return };
        let (rate, again) = if joins {
            self.join();
            (churn.join_per_s, Happening::Join)
        } else {
            let node = self.random_honest();
            self.leave(node);
            (churn.leave_per_s, Happening::Leave)
        };
        let gap = self.dice.gap(rate);
        self.queue.plan(self.now + nanos(gap), 0, again);
    }
}
