//! A recount: what did not add up when the counters of a component are held against what they count.
//!
//! Tests, the simulator and the fuzzer recount. Production does not: a recount walks all that the engine holds.

use std::fmt::Display;

use super::limits::{
    FETCHES_QUEUED, LANE_CREDIT, MAX_BANS, MAX_CONVICTED, MAX_LINKS, MAX_OWED, MAX_WAITING,
    MAX_WAITING_BYTES_PER_LINK, MAX_WAITING_PER_LINK, MAX_WANTS, MAX_WANTS_PER_LINK, PUSH_QUEUE,
    REPLIES_AND_CANCELLED, SYSTEM_QUEUE, WANTS_SHARE,
};
use crate::wire::{Lane, MAX_FETCH_BYTES, MAX_FRAME_LEN, MAX_HEADERS_PER_FRAME};

/// What did not add up.
#[derive(Debug, Default)]
pub(super) struct Recount(Vec<String>);

impl Recount {
    /// What did not add up, in words.
    pub(super) fn complaints(self) -> Vec<String> {
        self.0
    }

    /// A counter must be what it counts.
    pub(super) fn same(&mut self, what: impl Display, kept: usize, counted: usize) {
        if kept != counted {
            self.0.push(format!("{what}: {kept} by the counter, {counted} counted"));
        }
    }

    /// Something must hold.
    pub(super) fn holds(&mut self, holds: bool, what: impl Display) {
        if !holds {
            self.0.push(what.to_string());
        }
    }
}

/// What an engine's gauges may show at most, beside the caps of its configuration. For the tests, the simulator and the fuzzer.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Signatures that wait, in all. Each link may add one more frame when its reading is stopped.
    pub waiting: usize,
    /// Signatures of one link that wait: one more frame was read when its reading was stopped, of
    /// headers at the most.
    pub waiting_of_link: usize,
    /// Bytes of bodies that wait with them, likewise.
    pub waiting_bytes: usize,
    /// Wanted ids in all, and the share of each link beyond them.
    pub wants: usize,
    /// Wanted ids that one link has announced.
    pub wanted_from: usize,
    /// Pulls that one link owes.
    pub owed_pulls: usize,
    /// Bytes that one link has queued: own and relayed pushes, replies, pages of the past, what is with the transport, and one frame
    /// that was let in when each was almost full.
    pub queued: usize,
    /// Keys in the list of bans.
    pub bans: usize,
    /// Authors in the book of evidence.
    pub convictions: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            waiting: MAX_WAITING + MAX_HEADERS_PER_FRAME * MAX_LINKS,
            waiting_of_link: MAX_WAITING_PER_LINK + MAX_HEADERS_PER_FRAME,
            waiting_bytes: MAX_WAITING_BYTES_PER_LINK + MAX_FRAME_LEN,
            wants: MAX_WANTS + WANTS_SHARE * MAX_LINKS,
            wanted_from: MAX_WANTS_PER_LINK,
            owed_pulls: MAX_OWED,
            queued: 2 * PUSH_QUEUE
                + REPLIES_AND_CANCELLED
                + FETCHES_QUEUED * (MAX_FETCH_BYTES as usize + MAX_FRAME_LEN)
                + SYSTEM_QUEUE
                + Lane::COUNT * (LANE_CREDIT + 2 * MAX_FRAME_LEN),
            bans: MAX_BANS,
            convictions: MAX_CONVICTED,
        }
    }
}
