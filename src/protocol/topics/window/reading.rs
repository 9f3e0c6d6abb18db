//! Whether the application reads and judges a topic, what it has not been given, and what is left of a topic that was left.

use std::time::Duration;

use super::{DELIVER_FUTURE, Window};
use crate::protocol::limits::RELAY_PAST;
use crate::protocol::time::Now;
use crate::protocol::topics::debts::Debts;
use crate::protocol::topics::entry::{Entry, Stage};
use crate::rumor::BundleId;

impl Window {
    /// Whether the application reads the topic.
    pub(in crate::protocol) const fn is_read(&self) -> bool {
        self.deliver
    }

    /// The application reads the topic from now on; false if it did.
    pub(in crate::protocol) const fn begin_reading(&mut self) -> bool {
        !std::mem::replace(&mut self.deliver, true)
    }

    /// Nobody reads it for now.
    pub(in crate::protocol) const fn pause_reading(&mut self) {
        self.deliver = false;
    }

    /// Whether the application judges what comes.
    pub(in crate::protocol) const fn is_judged(&self) -> bool {
        self.validate
    }

    /// The application judges what comes from now on.
    pub(in crate::protocol) const fn begin_judging(&mut self) {
        self.validate = true;
    }

    /// No link has brought anything since then, Unix milliseconds, or for longer.
    pub(in crate::protocol) fn is_dark_since(&mut self, since: u64) {
        self.dark_since = Some(self.dark_since.map_or(since, |dark| dark.min(since)));
    }

    /// No link brings anything, since then if that was not so before.
    pub(in crate::protocol) const fn gets_dark(&mut self, since: u64) {
        if self.dark_since.is_none() {
            self.dark_since = Some(since);
        }
    }

    /// A link brings something: gives since when none had.
    pub(in crate::protocol) const fn gets_light(&mut self) -> Option<u64> {
        self.dark_since.take()
    }

    /// The application is gone: what comes is relayed as it is.
    pub(in crate::protocol) const fn stop_reading(&mut self) {
        (self.deliver, self.validate) = (false, false);
    }

    /// What the application may still be given: accepted, with a body, inside the delivery window, never delivered. In the
    /// order of positions.
    pub(in crate::protocol) fn undelivered(&self, now: Now) -> Vec<BundleId> {
        let waits = |entry: &Entry| {
            entry.is_counted() && !entry.is_delivered() && self.is_deliverable(entry.header().tick, now)
        };
        let mut waiting: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| waits(entry))
            .map(|(id, entry)| (entry.header().tick, entry.header().first_slot, *id))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, _, id)| id).collect()
    }

    /// The topic is left: what was in flight is forgotten, and which links know what. What was accepted stays with its body,
    /// so that nothing is delivered again if the topic is joined again, and nothing is lacking then for those who come later.
    pub(in crate::protocol) fn leave(&mut self) {
        self.stop_reading();
        self.dark_since = None;
        self.debts = Debts::new(self.keyed);
        let unfinished = |entry: &Entry| {
            matches!(entry.stage(), Stage::Verifying { .. } | Stage::Fetching | Stage::Validating)
        };
        let forgotten: Vec<_> =
            self.entries.iter().filter(|(_, entry)| unfinished(entry)).map(|(id, _)| *id).collect();
        forgotten.iter().for_each(|id| self.forget(id));
        self.entries.values_mut().for_each(Entry::forget_links);
    }

    /// A topic that is joined again, of which only this is known: what was delivered lies in ticks below `floor`.
    pub(in crate::protocol) fn delivered_below(mut self, floor: u64) -> Self {
        self.delivered_below = floor;
        self
    }

    /// The first tick in which nothing was delivered; 0 if nothing was. And when the ticks before it have left the relay
    /// window, Unix milliseconds.
    pub(in crate::protocol) fn floor_of_delivered(&self) -> (u64, u64) {
        let delivered = self.entries.values().filter(|entry| entry.is_delivered());
        let newest = delivered.map(|entry| entry.header().tick.saturating_add(1)).max();
        let floor = newest.unwrap_or(0).max(self.delivered_below);
        let past = u64::try_from((RELAY_PAST + self.hold_back()).as_millis()).unwrap_or(u64::MAX);
        (floor, self.rules.tick_len().start_of(floor).saturating_add(past))
    }

    /// For how long any node may relay what is delivered now.
    pub(in crate::protocol) fn longest_relayed(&self) -> Duration {
        let tick = Duration::from_millis(self.rules.tick_len().millis().into());
        DELIVER_FUTURE + tick + RELAY_PAST + self.hold_back()
    }
}
