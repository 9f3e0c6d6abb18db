//! Which frame leaves next, and on which lane.

use std::sync::Arc;

use bytes::Bytes;

use super::lists::take_run;
use super::{FRAME_TARGET, Outbox, Push};
use crate::key::PublicKey;
use crate::protocol::limits::{LANE_CREDIT, TOLD_AHEAD};
use crate::protocol::links::announcements::Told;
use crate::protocol::links::fair::TopicQueue;
use crate::protocol::random::KeyedMap;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::{Bundle, BundleId, TopicId};
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
        if let Some(frame) = self.next_system(&mut wanted, &mut convicted, dropped) {
            self.sent(Lane::System, &frame, now);
            return Some((Lane::System, frame));
        }
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
        let mut turns = Turns { own: &mut self.own, relayed: &mut self.relayed, ahead: &mut self.own_ahead };
        turns.frame(FRAME_TARGET, convicted, dropped)
    }

    fn next_replies(
        &mut self,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        if self.replies.is_empty() || self.credit(Lane::Replies) < MAX_FRAME_LEN {
            return None;
        }
        let mut replies =
            Replies { queue: &mut self.replies, wanted: &mut self.replying, bytes: &mut self.reply_bytes };
        replies.frame(FRAME_TARGET, convicted, dropped)
    }
}

/// Pushes, own and relayed. Where both wait they take turns by bytes: an author that never pauses would silence whoever speaks through
/// its node, and what it relays would silence the author.
pub(super) struct Turns<'a> {
    pub(super) own: &'a mut TopicQueue<Push>,
    pub(super) relayed: &'a mut TopicQueue<Push>,
    /// By how many bytes own ones have gone ahead since both have been waiting.
    pub(super) ahead: &'a mut isize,
}

impl Turns<'_> {
    /// A frame of about `target` bytes.
    pub(super) fn frame(
        &mut self,
        target: usize,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        let waiting = self.own.bytes().saturating_add(self.relayed.bytes());
        let mut writer = FrameWriter::with_capacity(waiting.min(target));
        let mut bytes = 0usize;
        loop {
            let own = self.is_owns_turn();
            let queue = if own { &mut *self.own } else { &mut *self.relayed };
            let Some(len) = queue.next_len() else { break };
            if !writer.has_room(len) || (bytes > 0 && len.saturating_add(bytes) > target) {
                break;
            }
            let Some(push) = queue.pop() else { break };
            *self.ahead = self.ahead.saturating_add_unsigned(if own { len } else { 0 });
            *self.ahead = self.ahead.saturating_sub_unsigned(if own { 0 } else { len });
            if convicted(&push.bundle.header().author) {
                *dropped = dropped.saturating_add(1);
            } else {
                bytes.gains(len);
                writer.push(push.hops, &push.bundle);
            }
        }
        (!writer.is_empty()).then(|| writer.finish())
    }

    /// Whether the next push is to be an own one. Whoever had nothing waiting has saved nothing up, and owes nothing.
    fn is_owns_turn(&mut self) -> bool {
        if self.own.is_empty() || self.relayed.is_empty() {
            *self.ahead = 0;
            return !self.own.is_empty();
        }
        *self.ahead <= 0
    }
}

/// Replies to pulls.
pub(super) struct Replies<'a> {
    pub(super) queue: &'a mut TopicQueue<Arc<Bundle>>,
    /// Of those that were not cancelled, how many bytes each has, and all.
    pub(super) wanted: &'a mut KeyedMap<BundleId, usize>,
    pub(super) bytes: &'a mut usize,
}

impl Replies<'_> {
    /// A frame of about `target` bytes.
    pub(super) fn frame(
        &mut self,
        target: usize,
        convicted: &mut impl FnMut(&PublicKey) -> bool,
        dropped: &mut u64,
    ) -> Option<Bytes> {
        let mut writer = FrameWriter::with_capacity(self.queue.bytes().min(target));
        let mut bytes = 0usize;
        while let Some(len) = self.queue.next_len() {
            if !writer.has_room(len) || (bytes > 0 && len.saturating_add(bytes) > target) {
                break;
            }
            let Some(bundle) = self.queue.pop() else { break };
            // Cancelled meanwhile?
            let Some(len) = self.wanted.remove(&bundle.id()) else { continue };
            self.bytes.loses(len);
            if convicted(&bundle.header().author) {
                *dropped = dropped.saturating_add(1);
            } else {
                // A pulled copy carries no hop budget: its receiver announces, and does not push.
                bytes.gains(len);
                writer.push(0, &bundle);
            }
        }
        (!writer.is_empty()).then(|| writer.finish())
    }
}
