//! How time passes: one happening after the other.

use std::time::Duration;

use bytes::Bytes;

use super::network::Network;
use super::queue::{Happening, NodeIndex, Planned};
use super::time::{IDLE, nanos};
use crate::adversary::Outgoing;
use crate::protocol::{Input, LinkId, PublishId};
use crate::wire::{Lane, Reason};

impl Network {
    /// Does what happens next, if that is no later than `until` (since the beginning).
    pub(super) fn step(&mut self, until: u64) -> bool {
        let Some(planned) = self.queue.next(until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = planned.at;
        self.happen(planned);
        true
    }

    pub(super) fn after(&self, time: Duration) -> u64 {
        self.now.saturating_add(nanos(time))
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.after(time);
        while self.step(until) {}
    }

    /// Lets a node publish now. The answer is in [`Measures::refused`](super::Measures::refused) if it is an error.
    pub fn publish(&mut self, node: usize, body: impl Into<Bytes>) {
        let (topic, publish_id) = (self.rules.id(), PublishId(self.publish_ids));
        self.publish_ids += 1;
        self.last = node as NodeIndex;
        self.record.asked(publish_id, node as NodeIndex, self.now);
        self.input(node as NodeIndex, Input::Publish { topic, body: body.into(), publish_id, kept: false });
        self.drive(node as NodeIndex);
    }

    /// Sends a frame from one node to another over a link that they have, whatever the machine of the first thinks. False
    /// if they have none.
    pub fn inject(&mut self, from: usize, to: usize, lane: Lane, payload: Bytes) -> bool {
        let ends = self.nodes.get(from).map(|node| node.ends.as_slice()).unwrap_or_default();
        let Some(link) = ends.iter().position(|end| end.up && end.peer == to as NodeIndex) else {
            return false;
        };
        self.transmit(from as NodeIndex, Outgoing::now(LinkId(link as u64), lane, payload));
        true
    }

    /// Lets a happening happen, and the node do what it then wants done.
    pub(super) fn happen(&mut self, planned: Planned) {
        let Planned { at, node, what, .. } = planned;
        if let Some(until) = self.stands_still(node, &what) {
            // What it did not look at is no silence to it.
            if !matches!(what, Happening::Silent { .. }) {
                self.queue.plan(until, node, what);
            }
            return;
        }
        self.last = node;
        self.note(&at.to_le_bytes());
        self.note(&node.to_le_bytes());
        let alive = self.nodes.get(node as usize).is_some_and(|node| node.alive);
        if !alive && what.needs_a_running_node() {
            return;
        }
        match what {
            Happening::Arrive { link, lane, payload } => {
                if !self.on_arrive(node, link, lane, payload) {
                    return;
                }
            }
            Happening::Down { link, reason } => {
                if !self.on_down(node, link, reason) {
                    return;
                }
            }
            Happening::Wake => {
                if !self.on_wake(node) {
                    return;
                }
            }
            Happening::Read { link, lane } => self.read_on(node, link, lane),
            Happening::Room { link, lane } => return self.on_room(node, link, lane),
            Happening::Recorded { life, from_ms, until_ms, fails } => {
                self.on_recorded(node, life, (from_ms, until_ms), fails);
            }
            Happening::Stored { life, answer } => self.on_stored(node, life, *answer),
            Happening::Validated { life, question } => self.on_validated(node, life, question),
            Happening::Judged { batch, verdicts } => self.input(node, Input::Verdicts { batch, verdicts }),
            Happening::TurnOver => return self.on_turn_over(node),
            Happening::Flushed { link } => return self.closed(node, link),
            Happening::Leaves { link, lane, payload } => self.enqueue(node, link, lane, payload, None),
            Happening::Knock { from, ordered } => self.on_knock(node, from, ordered),
            Happening::Connected { link } if !alive => return self.on_connected_in_vain(node, link),
            Happening::Connected { link } => self.link_up(node, link),
            Happening::Refused { peer, ordered, reason } => self.on_refused(node, peer, ordered, reason),
            Happening::Seek => self.dial_due(node),
            Happening::Grasp => self.grasp(node),
            Happening::CutForLong { cut } => self.on_cut_for_long(cut),
            Happening::CutSilent { cut, silence } => self.on_cut_silent(cut, silence),
            Happening::Silent { link, silence } => self.on_silent(node, link, silence),
            Happening::Heard { link } => self.on_heard(node, link),
            Happening::Gone => self.on_gone(node),
            Happening::Leave => self.on_churn(false),
            Happening::Join => self.on_churn(true),
        }
        self.drive(node);
    }

    /// A frame arrives; false if the machine is not given it now.
    fn on_arrive(&mut self, node: NodeIndex, link: LinkId, lane: Lane, payload: Bytes) -> bool {
        let Some(end) = self.nodes.get(node as usize).and_then(|node| node.end(link)) else { return false };
        let (peer, late) = (end.peer, end.late);
        let what = Happening::Arrive { link, lane, payload: payload.clone() };
        if self.is_held_back(node, peer, late, what) {
            return false;
        }
        if self.records.keeps_back(node, lane, &payload) {
            return false;
        }
        self.note(&(payload.len() as u64).to_le_bytes());
        if self.waits_unread(node, link, lane, &payload) {
            return false;
        }
        self.take(node, link, lane, payload);
        true
    }

    /// The other end is closed or was silent for too long; false if this end does not know it yet.
    fn on_down(&mut self, node: NodeIndex, link: LinkId, reason: Option<Reason>) -> bool {
        let Some(end) = self.nodes.get(node as usize).and_then(|node| node.end(link)) else { return false };
        let (peer, late, reads) = (end.peer, end.late, end.reads_on());
        let what = Happening::Down { link, reason };
        if reads && !self.is_cut(node, peer) {
            // What had come is still handed over, unless it is not read.
            self.queue.plan(self.now + 1, node, what);
            return false;
        }
        if self.is_held_back(node, peer, late, what) {
            return false;
        }
        self.link_down(node, link, reason);
        true
    }

    /// Whether a partition swallows something, or it waits for what an ended one had swallowed.
    fn is_held_back(&mut self, node: NodeIndex, peer: NodeIndex, late: u64, what: Happening) -> bool {
        if self.is_cut(node, peer) {
            self.lost.push((node, what));
            return true;
        }
        if self.now < late {
            self.queue.plan(late, node, what);
            return true;
        }
        false
    }

    /// The node crashed while it dialled: the peer finds out as it does with links.
    fn on_connected_in_vain(&mut self, node: NodeIndex, link: LinkId) {
        let end = self.nodes.get_mut(node as usize).and_then(|node| node.any_end_mut(link));
        let Some((peer, there)) = end.map(|end| (end.peer, end.there)) else { return };
        let after = self.now + nanos(IDLE);
        self.queue.plan(after, peer, Happening::Down { link: there, reason: None });
    }

    /// A deadline of a node is due; false if that was done with an earlier input, or is planned for later.
    fn on_wake(&mut self, node: NodeIndex) -> bool {
        let now = self.now;
        let Some(this) = self.nodes.get_mut(node as usize).filter(|this| this.wake == now) else {
            return false;
        };
        this.wake = u64::MAX;
        self.stir(node);
        self.input(node, Input::Tick);
        true
    }
}
