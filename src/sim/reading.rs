//! Links that a machine does not read: what comes waits at the receiver, in order, and fills the window of its sender.
//!
//! ```text
//!   sender's uplink ── frames ──> waits unread ── one after the other, when reading resumes ──> machine
//!        ^                            │ 256 KiB of a lane
//!        └──── no turn for the lane ──┘ until there is room again, one delay later
//! ```
//!
//! Without an uplink there is no queue at the sender for a full window to hold up, so there everything waits here.

use bytes::Bytes;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use super::time::nanos;
use crate::protocol::{FRAME_OVERHEAD, Input, LinkId};
use crate::wire::Lane;

/// What one lane may have sent that is not read: `STREAM_WINDOW` of `net/limits.rs`.
const WINDOW: usize = 256 * 1024;

impl Network {
    /// The machine takes a frame.
    pub(super) fn take(&mut self, node: NodeIndex, link: LinkId, lane: Lane, payload: Bytes) {
        self.record.arrived(node, &payload);
        self.hear(node, link, lane, &payload);
        self.input(node, Input::Frame { link, lane, payload });
    }

    pub(super) fn pause(&mut self, node: NodeIndex, link: LinkId, lane: Lane) {
        self.set_paused(node, link, lane, true);
    }

    pub(super) fn resume(&mut self, node: NodeIndex, link: LinkId, lane: Lane) {
        self.set_paused(node, link, lane, false);
        let end = self.nodes.get_mut(node as usize).and_then(|node| node.end_mut(link));
        if end.and_then(|end| end.unread_with(lane)).is_some_and(|unread| !unread.is_empty()) {
            self.queue.plan(self.now, node, Happening::Read { link, lane });
        }
    }

    fn set_paused(&mut self, node: NodeIndex, link: LinkId, lane: Lane, pauses: bool) {
        let end = self.nodes.get_mut(node as usize).and_then(|node| node.end_mut(link));
        if let Some(paused) = end.and_then(|end| end.paused.get_mut(lane.index())) {
            *paused = pauses;
        }
    }

    /// Whether a frame that has come must wait, since the link is not read, or others wait before it.
    pub(super) fn waits_unread(
        &mut self,
        node: NodeIndex,
        link: LinkId,
        lane: Lane,
        payload: &Bytes,
    ) -> bool {
        let Some(end) = self.nodes.get_mut(node as usize).and_then(|node| node.end_mut(link)) else {
            return false;
        };
        let reads = end.reads(lane);
        let Some(unread) = end.unread_with(lane) else { return false };
        if reads && unread.is_empty() {
            return false;
        }
        unread.push_back((lane, payload.clone()));
        let (peer, there) = (end.peer, end.there);
        let Some(bytes) = end.unread_bytes.get_mut(lane.index()) else { return true };
        *bytes += payload.len() + FRAME_OVERHEAD;
        if *bytes >= WINDOW
            && let Some(peer) = self.nodes.get_mut(peer as usize)
        {
            // The sender counts what it has sent, so it knows at once.
            peer.uplink.hold_up(there, lane);
        }
        true
    }

    /// Reads the next frame that waits with a lane: one at a time, since any of them may make the machine pause again.
    pub(super) fn read_on(&mut self, node: NodeIndex, link: LinkId, lane: Lane) {
        let now = self.now;
        let Some(end) = self.nodes.get_mut(node as usize).and_then(|node| node.end_mut(link)) else { return };
        if !end.reads(lane) {
            return;
        }
        let Some(unread) = end.unread_with(lane) else { return };
        let Some((lane, payload)) = unread.pop_front() else { return };
        if !unread.is_empty() {
            self.queue.plan(now, node, Happening::Read { link, lane });
        }
        if let Some(bytes) = end.unread_bytes.get_mut(lane.index()) {
            let was_full = *bytes >= WINDOW;
            *bytes -= payload.len() + FRAME_OVERHEAD;
            if was_full && *bytes < WINDOW {
                let room = Happening::Room { link: end.there, lane };
                self.queue.plan(now + nanos(end.delay), end.peer, room);
            }
        }
        self.take(node, link, lane, payload);
    }

    /// The window of a lane has room again. (If it has been filled again meanwhile, by what was under way, not.)
    pub(super) fn on_room(&mut self, node: NodeIndex, link: LinkId, lane: Lane) {
        let Some(end) = self.nodes.get(node as usize).and_then(|node| node.end(link)) else { return };
        let other = self.nodes.get(end.peer as usize).and_then(|peer| peer.end(end.there));
        if other.is_some_and(|end| end.unread_bytes.get(lane.index()).is_some_and(|bytes| *bytes >= WINDOW)) {
            return;
        }
        if let Some(this) = self.nodes.get_mut(node as usize) {
            this.uplink.go_on(link, lane);
        }
        self.next_turn(node);
    }
}
