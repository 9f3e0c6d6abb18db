//! How frames and goodbyes leave a node: over its line, if that has a limit, or straight to the peer.

use std::time::Duration;

use bytes::Bytes;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::time::nanos;
use crate::protocol::{FRAME_OVERHEAD, Input, LinkId};
use crate::wire::{Lane, Reason};

/// How long a closed link may take to write its control lane: `CLOSE_FLUSH` of `net/link.rs`.
const FLUSH: Duration = Duration::from_secs(1);

impl Network {
    /// The transport has taken bytes of the engine's.
    pub(super) fn wrote(&mut self, index: NodeIndex, link: LinkId, lane: Lane, bytes: usize) {
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.written.push((link, lane, bytes));
            node.written_bytes += bytes;
        }
    }

    /// Gives a frame to the transport: to the line, if that has a limit, or straight to the peer. `owed` is what the
    /// engine is to be told of.
    pub(super) fn enqueue(
        &mut self,
        from: NodeIndex,
        link: LinkId,
        lane: Lane,
        payload: Bytes,
        owed: Option<usize>,
    ) {
        if self.scenario.uplink.is_none() {
            self.depart(from, link, lane, payload);
            if let Some(bytes) = owed {
                self.wrote(from, link, lane, bytes);
            }
            return;
        }
        let room = self.scenario.send_buffer;
        let Some(node) = self.nodes.get_mut(from as usize) else { return };
        if node.end(link).is_none() {
            return;
        }
        let taken = node.uplink.push(link, lane, payload, owed, room);
        if let Some(bytes) = owed.filter(|_| taken) {
            self.wrote(from, link, lane, bytes);
        }
        self.next_turn(from);
    }

    pub(super) fn next_turn(&mut self, node: NodeIndex) {
        let (room, rate) = (self.scenario.send_buffer, self.scenario.uplink.unwrap_or(u64::MAX).max(1));
        let started = self.nodes.get_mut(node as usize).and_then(|node| node.uplink.start(room));
        if let Some(bytes) = started {
            let takes = (bytes as u64).saturating_mul(1_000_000_000) / rate;
            self.queue.plan(self.now + takes, node, Happening::TurnOver);
        }
    }

    pub(super) fn on_turn_over(&mut self, node: NodeIndex) {
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let turn = this.uplink.finish();
        let Some(link) = turn.link else { return };
        for (lane, payload) in turn.frames {
            self.depart(node, link, lane, payload);
        }
        self.closed_if_written(node, link);
        self.next_turn(node);
        // Nothing of it to the engine unless that waits for room: the line takes a turn every few milliseconds.
        if !turn.taken.is_empty() {
            for (lane, bytes) in turn.taken {
                self.input(node, Input::Written { link, lane, bytes });
            }
            self.drive(node);
        }
    }

    /// A frame is on its way.
    fn depart(&mut self, from: NodeIndex, link: LinkId, lane: Lane, payload: Bytes) {
        let jitter = self.scenario.jitter.mul_f64(self.dice.unit());
        let lost = self.scenario.loss > 0.0 && self.dice.unit() < self.scenario.loss;
        let now = self.now;
        let Some(node) = self.nodes.get_mut(from as usize) else { return };
        let Some(end) = node.any_end_mut(link).filter(|end| end.up || end.closing.is_some()) else { return };
        let again = if lost { end.delay * 2 + Duration::from_millis(25) } else { Duration::ZERO };
        let arrives = now + nanos(end.delay + jitter + again);
        let Some(last) = end.last.get_mut(lane.index()) else { return };
        *last = arrives.max(*last);
        let (at, peer, there) = (*last, end.peer, end.there);
        node.bytes_out += (payload.len() + FRAME_OVERHEAD) as u64;
        self.queue.plan(at, peer, Happening::Arrive { link: there, lane, payload });
    }

    /// Closes a link once its control lane is written: the goodbye, and the proof before it, wait for their turns on the
    /// line, as long as `net/link.rs` lets them.
    pub(super) fn close(&mut self, index: NodeIndex, link: LinkId, reason: Reason) {
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        let written = !node.uplink.says_goodbye(link);
        let Some(end) = node.end_mut(link) else { return };
        end.closing = Some(reason);
        if written {
            self.closed(index, link);
        } else {
            self.queue.plan(self.now + nanos(FLUSH), index, Happening::Flushed { link });
        }
        self.link_down(index, link, Some(reason));
    }

    pub(super) fn closed_if_written(&mut self, index: NodeIndex, link: LinkId) {
        let Some(node) = self.nodes.get(index as usize) else { return };
        if !node.uplink.has(link) {
            self.closed(index, link);
        }
    }

    /// A link that was closed is gone from here on, if that was not so before; the peer hears of it after all that was sent.
    pub(super) fn closed(&mut self, index: NodeIndex, link: LinkId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        let Some(end) = node.any_end_mut(link) else { return };
        let Some(reason) = end.closing.take() else { return };
        let after = end.last.iter().copied().max().unwrap_or(0).max(now + nanos(end.delay));
        let (peer, there) = (end.peer, end.there);
        node.uplink.drop_link(link);
        self.queue.plan(after, peer, Happening::Down { link: there, reason: Some(reason) });
    }
}
