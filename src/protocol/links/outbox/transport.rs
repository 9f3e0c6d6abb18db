//! What is with the transport, lane by lane: how much more may be, and whether it moves.

use std::time::Duration;

use bytes::Bytes;

use super::{FRAME_OVERHEAD, Outbox};
use crate::protocol::limits::LANE_CREDIT;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::wire::Lane;

/// A link that has taken nothing of what was pushed for so long stands still: where only others' dials decide whom we are linked
/// with, it does not count among those that an author waits for. (Guess: a link that works takes a frame in that time.)
const STANDS_AFTER: Duration = Duration::from_secs(2);

impl Outbox {
    /// Whether it has taken no push for a while, though some wait.
    pub(in crate::protocol) fn stands_still(&self, now: Mono) -> bool {
        let lane = Lane::Rumors.index();
        let in_flight = self.in_flight.get(lane).is_some_and(|bytes| *bytes > 0);
        in_flight && self.progress.get(lane).is_some_and(|at| now.since(*at) > STANDS_AFTER)
    }

    /// The transport has written `bytes` of a lane.
    pub(in crate::protocol) fn written(&mut self, lane: Lane, bytes: usize, now: Mono) {
        self.notes_wait(now);
        if let Some(in_flight) = self.in_flight.get_mut(lane.index()) {
            *in_flight = in_flight.saturating_sub(bytes);
        }
        self.moved(lane, now);
    }

    fn moved(&mut self, lane: Lane, now: Mono) {
        if let Some(progress) = self.progress.get_mut(lane.index()) {
            *progress = now;
        }
    }

    /// Whether a lane has bytes with the transport that did not move for `patience`: the other side's doing.
    pub(in crate::protocol) fn is_stalled(&self, now: Mono, patience: Duration) -> bool {
        let mut lanes = self.in_flight.iter().zip(&self.progress);
        lanes.any(|(bytes, progress)| *bytes > 0 && now.since(*progress) > patience)
    }

    pub(super) fn credit(&self, lane: Lane) -> usize {
        LANE_CREDIT.saturating_sub(self.in_flight.get(lane.index()).copied().unwrap_or(LANE_CREDIT))
    }

    pub(super) fn sent(&mut self, lane: Lane, frame: &Bytes, now: Mono) {
        if self.in_flight.get(lane.index()) == Some(&0) {
            self.moved(lane, now);
        }
        if let Some(in_flight) = self.in_flight.get_mut(lane.index()) {
            in_flight.gains(frame.len().saturating_add(FRAME_OVERHEAD));
        }
    }
}
