//! The author's records of used positions: what the position log has made durable, what it was asked for, and how long it takes.

use std::time::Duration;

use crate::protocol::{Action, Mono};
use crate::rumor::POSITION_LOG_LEAD;

/// A record that takes longer than this is told: rumors leave late because of it.
pub(in crate::protocol) const SLOW_RECORD: Duration = Duration::from_secs(2);
/// Most that a record covers beyond its tick, in milliseconds, however slow the disk is: after a crash the author waits for the
/// rest of it. Four times the slowest disk that we care for (30 s).
const MOST_LEAD: u64 = 120_000;

#[derive(Debug)]
pub(in crate::protocol) struct Records {
    /// Whether there is a position log.
    kept: bool,
    /// The last stretch that is durable, Unix milliseconds. What was recorded before it is asked for again, should the clock
    /// step back there.
    recorded: (u64, u64),
    /// When the position log was asked for the record that is under way.
    asked: Option<Mono>,
    /// How long the last record took.
    took: Duration,
}

impl Records {
    pub(in crate::protocol) fn new(kept: bool) -> Self {
        Self { kept, recorded: (0, 0), asked: None, took: Duration::ZERO }
    }

    /// Whether there is a position log.
    pub(in crate::protocol) const fn are_made(&self) -> bool {
        self.kept
    }

    /// What is durable, for the pen; `None` without a position log.
    pub(in crate::protocol) fn durable(&self) -> Option<(u64, u64)> {
        self.kept.then_some(self.recorded)
    }

    pub(in crate::protocol) const fn is_under_way(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks for a tick and a lead that grows with how long the last record took: so the tick in which the next one is done
    /// lies in it. One at a time, or an older record could be the last to be written; whoever needs more asks again then.
    pub(in crate::protocol) fn ask(&mut self, from_ms: u64, until_ms: u64, now: Mono) -> Option<Action> {
        if self.asked.is_some() {
            return None;
        }
        let lead = u64::try_from(self.took.saturating_mul(2).as_millis()).unwrap_or(u64::MAX);
        let until_ms = until_ms.saturating_add(lead.clamp(POSITION_LOG_LEAD, MOST_LEAD));
        self.asked = Some(now);
        Some(Action::Record { from_ms, until_ms })
    }

    /// Whether a record that is asked for now would be done too late, or only just.
    pub(in crate::protocol) fn run_out(&self, unix_ms: u64) -> bool {
        let left = Duration::from_millis(self.recorded.1.saturating_sub(unix_ms));
        self.kept && self.asked.is_none() && left < self.took.saturating_mul(2)
    }

    pub(in crate::protocol) fn done(&mut self, from_ms: u64, until_ms: u64, now: Mono) -> Duration {
        if let Some(asked) = self.asked.take() {
            self.took = now.since(asked);
        }
        let (from, until) = self.recorded;
        let touches = from_ms <= until && from <= until_ms;
        self.recorded = if touches { (from.min(from_ms), until.max(until_ms)) } else { (from_ms, until_ms) };
        self.took
    }

    pub(in crate::protocol) fn failed(&mut self) {
        self.asked = None;
    }

    pub(in crate::protocol) fn is_slow(&self, now: Mono) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) > SLOW_RECORD)
    }
}
