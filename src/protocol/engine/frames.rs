//! Frames: what each costs before anything in it is looked at (row 2 of the intake), which lane it may come on, and who handles it.

use std::time::Duration;

use bytes::Bytes;

use super::intake::ITEM_COST;
use crate::protocol::engine::Engine;
use crate::protocol::links::Sender;
use crate::protocol::linkset::Slot;
use crate::protocol::{FRAME_OVERHEAD, LinkId, Offence};
use crate::wire::{Bundles, DecodeError, Frame, Kind, Lane, MAX_SYSTEM_FRAME, Reason};

/// What a frame costs us before anything in it is looked at (measured: decoding and dispatch, rounded up).
const FRAME_COST: Duration = Duration::from_micros(2);

impl Engine {
    pub(super) fn on_frame(&mut self, id: LinkId, lane: Lane, payload: Bytes) {
        let Some(slot) = self.links.slot_of(id) else { return };
        let now = self.cx.now.mono;
        let Some(link) = self.links.at_mut(slot) else { return };
        if link.is_closing() {
            return;
        }
        link.brings_frame(now);
        let (sender, greeted, bytes) = (link.sender(), link.was_live(), payload.len());
        self.cx.counters.frames_in += 1;
        self.cx.counters.bytes_in += bytes as u64;
        self.charge_frame(slot, lane, &payload);
        match Frame::decode(payload) {
            Err(DecodeError::Evidence(_)) => self.offence(id, sender.peer, Offence::BogusEvidence),
            Err(_) => self.offence(id, sender.peer, Offence::Undecodable),
            Ok(frame) if !self.may_come_on(lane, &frame, bytes) => self.close(id, Reason::OutOfOrder),
            Ok(Frame::Bundles(bundles)) if lane != Lane::History => self.on_copies(sender, lane, bundles),
            Ok(Frame::Hello(hello)) => self.on_hello(slot, hello),
            Ok(Frame::Goodbye(_)) => {}
            // Streams overtake each other: what was said after hello may come before it.
            Ok(frame) if lane == Lane::System => self.on_system(sender, frame),
            Ok(frame) if lane == Lane::Control && greeted => self.on_control(sender, frame),
            Ok(frame) if lane == Lane::History && greeted => self.on_history(sender, frame, bytes),
            // Whoever asked asks again, if nobody else has answered by then.
            Ok(frame) if lane == Lane::History && !matches!(frame, Frame::Bundles(_)) => {
                self.cx.counters.history_early += 1;
            }
            // Anything before hello on its own lane.
            Ok(_) => self.close(id, Reason::OutOfOrder),
        }
        self.check_budget(id);
        self.check_verifying(id);
    }

    /// Row 2. Replies and pages are charged one by one, since what we asked for is paced by how much may be owed to us. The system lane
    /// has a bill of its own.
    fn charge_frame(&mut self, slot: Slot, lane: Lane, payload: &Bytes) {
        let now = self.cx.now.mono;
        let Some(link) = self.links.at_mut(slot) else { return };
        let is_page = lane == Lane::History && payload.first() == Some(&(Kind::Bundles as u8));
        let charged = if lane == Lane::Replies || is_page { 0 } else { payload.len() };
        let looked_at = matches!(lane, Lane::Control | Lane::History | Lane::System) && !is_page;
        let items = if looked_at { payload.len().div_ceil(32) as u32 } else { 0 };
        let bill = if lane == Lane::System { link.system_mut() } else { link.budget_mut() };
        bill.charge_bytes(now, charged.saturating_add(FRAME_OVERHEAD) as u64);
        bill.charge_cpu(now, FRAME_COST.saturating_add(ITEM_COST.saturating_mul(items)));
    }

    /// Whether a frame of so many bytes may come on a lane. All that is said in the topic of members comes on the system lane, but for its
    /// past; bundles are looked at one by one.
    fn may_come_on(&self, lane: Lane, frame: &Frame, bytes: usize) -> bool {
        let system = match frame {
            Frame::Bundles(_) => {
                return lane != Lane::Control && (lane != Lane::System || bytes <= MAX_SYSTEM_FRAME);
            }
            Frame::Ask(_)
            | Frame::Tell(_)
            | Frame::Fetch(_)
            | Frame::Page(_)
            | Frame::More(_)
            | Frame::Stop(_) => {
                return lane == Lane::History;
            }
            Frame::Hello(_)
            | Frame::Topics(_)
            | Frame::Evidence(_)
            | Frame::Goodbye(_)
            | Frame::Headers(_) => false,
            Frame::Announce(announced) => self.cx.is_system(&announced.topic),
            Frame::Pull(ids) | Frame::Gone(ids) | Frame::Cancel(ids) => self.cx.is_system(&ids.topic),
            Frame::Pulses(_) | Frame::MembersAsk(_) => true,
        };
        match system {
            true => lane == Lane::System && bytes <= MAX_SYSTEM_FRAME,
            false => lane == Lane::Control,
        }
    }

    /// Copies that were pushed or pulled.
    fn on_copies(&mut self, sender: Sender, lane: Lane, bundles: Bundles) {
        for raw in bundles {
            // An earlier bundle of the frame may have closed the link.
            if self.links.at(sender.slot).is_none_or(|link| link.is_closing()) {
                return;
            }
            match raw {
                Ok(raw) if self.cx.is_system(&raw.signed.header.topic) != (lane == Lane::System) => {
                    self.close(sender.link, Reason::OutOfOrder);
                }
                Ok(raw) => self.on_copy(sender, lane, raw),
                Err(_) => self.offence(sender.link, sender.peer, Offence::Undecodable),
            }
        }
    }

    fn on_system(&mut self, sender: Sender, frame: Frame) {
        match frame {
            Frame::Pulses(_) | Frame::MembersAsk(_) => self.on_members(sender, frame),
            _ => self.on_control(sender, frame),
        }
    }

    fn on_control(&mut self, sender: Sender, frame: Frame) {
        match frame {
            Frame::Topics(change) => self.on_topics(sender.slot, change),
            Frame::Announce(announced) => self.on_announce(sender, announced),
            Frame::Headers(headers) => {
                for signed in headers {
                    if self.links.at(sender.slot).is_none_or(|link| link.is_closing()) {
                        return;
                    }
                    // Nothing is held back in the topic of members.
                    if self.cx.is_system(&signed.header.topic) {
                        return self.close(sender.link, Reason::OutOfOrder);
                    }
                    self.on_header(sender, signed);
                }
            }
            Frame::Pull(ids) => self.on_pull(sender, ids),
            Frame::Gone(ids) => self.on_gone(sender, ids),
            Frame::Cancel(ids) => self.on_cancel(sender, ids),
            Frame::Evidence(evidence) => self.on_evidence(sender, evidence),
            // Taken care of before, or on another lane.
            Frame::Hello(_)
            | Frame::Goodbye(_)
            | Frame::Bundles(_)
            | Frame::Ask(_)
            | Frame::Tell(_)
            | Frame::Fetch(_)
            | Frame::Page(_)
            | Frame::More(_)
            | Frame::Pulses(_)
            | Frame::MembersAsk(_)
            | Frame::Stop(_) => {}
        }
    }
}
