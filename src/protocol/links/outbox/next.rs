//! Which frame leaves next, and on which lane.

use bytes::Bytes;

use super::lists::take_run;
use super::{FRAME_OVERHEAD, FRAME_TARGET, Outbox};
use crate::key::PublicKey;
use crate::protocol::limits::{LANE_CREDIT, TOLD_AHEAD};
use crate::protocol::links::announcements::Told;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::{BundleId, TopicId};
use crate::wire::{self, FrameWriter, Lane, MAX_FRAME_LEN};

impl Outbox {
    /// The next frame that may be sent now, if any. `wanted` says whether an announcement still makes sense for the
    /// other side, `convicted` whose bundles must no longer leave.
    pub(in crate::protocol) fn next(
        &mut self,
        now: Mono,
        mut wanted: impl FnMut(&TopicId, &BundleId) -> bool,
        mut convicted: impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<(Lane, Bytes)> {
        if let Some(frame) = self.next_control(now, &mut wanted) {
            self.sent(Lane::Control, &frame, now);
            return Some((Lane::Control, frame));
        }
        if let Some(frame) = self.next_pushes(&mut convicted, dropped) {
            self.sent(Lane::Rumors, &frame, now);
            return Some((Lane::Rumors, frame));
        }
        if let Some(frame) = self.next_replies(&mut convicted, dropped) {
            self.sent(Lane::Replies, &frame, now);
            return Some((Lane::Replies, frame));
        }
        let frame = self.next_past(&mut convicted, dropped)?;
        self.sent(Lane::History, &frame, now);
        Some((Lane::History, frame))
    }

    fn next_control(
        &mut self,
        now: Mono,
        wanted: &mut impl FnMut(&TopicId, &BundleId) -> bool,
    ) -> Option<Bytes> {
        // The largest control frame is far below the credit, so any credit left lets one more go.
        if self.credit(Lane::Control) < MAX_FRAME_LEN {
            return None;
        }
        if let Some(frame) = self.frames.pop_front().or_else(|| self.evidence.pop_front()) {
            return Some(frame);
        }
        if let Some((topic, ids)) = take_run(&mut self.cancel) {
            return Some(wire::cancel(&topic, &ids));
        }
        if let Some((topic, ids)) = self.pulls.take() {
            return Some(wire::pull(&topic, &ids));
        }
        if let Some((topic, ids)) = take_run(&mut self.gone) {
            return Some(wire::gone(&topic, &ids));
        }
        if LANE_CREDIT.saturating_sub(self.credit(Lane::Control)) >= TOLD_AHEAD {
            return None;
        }
        let due = self.announce_due.is_some_and(|due| due <= now);
        while let Some(told) = self.told.next(due) {
            match told {
                Told::Headers(headers) => return Some(wire::headers(&headers)),
                Told::Ids(topic, mut items) => {
                    items.retain(|(id, _)| wanted(&topic, id));
                    if !items.is_empty() {
                        return Some(wire::announce(&topic, &items));
                    }
                }
            }
        }
        if due {
            self.announce_due = None;
        }
        None
    }

    fn next_pushes(
        &mut self,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        if (self.own.is_empty() && self.relayed.is_empty()) || self.credit(Lane::Rumors) < MAX_FRAME_LEN {
            return None;
        }
        let waiting = self.own.bytes() + self.relayed.bytes();
        let mut writer = FrameWriter::with_capacity(waiting.min(FRAME_TARGET));
        let mut bytes = 0usize;
        loop {
            let own = self.is_owns_turn();
            let queue = if own { &mut self.own } else { &mut self.relayed };
            let Some(len) = queue.next_len() else { break };
            if !writer.has_room(len) || (bytes > 0 && len.saturating_add(bytes) > FRAME_TARGET) {
                break;
            }
            let Some(push) = queue.pop() else { break };
            self.own_ahead = self.own_ahead.saturating_add_unsigned(if own { len } else { 0 });
            self.own_ahead = self.own_ahead.saturating_sub_unsigned(if own { 0 } else { len });
            if convicted(&push.bundle.header().author) {
                *dropped += 1;
            } else {
                bytes.gains(len);
                writer.push(push.hops, &push.bundle);
            }
        }
        (!writer.is_empty()).then(|| writer.finish())
    }

    /// Whether the next push is to be an own one. Where both wait they take turns by bytes: an author that never pauses would
    /// silence whoever speaks through its node, and what it relays would silence the author. Whoever had nothing waiting has
    /// saved nothing up, and owes nothing.
    fn is_owns_turn(&mut self) -> bool {
        if self.own.is_empty() || self.relayed.is_empty() {
            self.own_ahead = 0;
            return !self.own.is_empty();
        }
        self.own_ahead <= 0
    }

    fn next_replies(
        &mut self,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        if self.replies.is_empty() || self.credit(Lane::Replies) < MAX_FRAME_LEN {
            return None;
        }
        let mut writer = FrameWriter::with_capacity(self.replies.bytes().min(FRAME_TARGET));
        let mut bytes = 0usize;
        while let Some(len) = self.replies.next_len() {
            if !writer.has_room(len) || (bytes > 0 && len.saturating_add(bytes) > FRAME_TARGET) {
                break;
            }
            let Some(bundle) = self.replies.pop() else { break };
            // Cancelled meanwhile?
            let Some(len) = self.replying.remove(&bundle.id()) else { continue };
            self.reply_bytes.loses(len);
            if convicted(&bundle.header().author) {
                *dropped += 1;
            } else {
                // A pulled copy carries no hop budget: its receiver announces, and does not push.
                bytes.gains(len);
                writer.push(0, &bundle);
            }
        }
        (!writer.is_empty()).then(|| writer.finish())
    }

    pub(super) fn credit(&self, lane: Lane) -> usize {
        LANE_CREDIT.saturating_sub(self.in_flight.get(lane.index()).copied().unwrap_or(LANE_CREDIT))
    }

    fn sent(&mut self, lane: Lane, frame: &Bytes, now: Mono) {
        if self.in_flight.get(lane.index()) == Some(&0) {
            self.moved(lane, now);
        }
        if let Some(in_flight) = self.in_flight.get_mut(lane.index()) {
            in_flight.gains(frame.len().saturating_add(FRAME_OVERHEAD));
        }
    }
}
