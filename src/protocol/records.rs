//! The author's records of used positions: what the ledger has made durable, what it was asked for, and how long it takes.

use std::time::Duration;

use super::engine::Engine;
use super::publish::Desk;
use super::{Action, Impairment, Mono, PublishError};
use crate::rumor::LEDGER_LEAD;

/// A record that takes longer than this is told: rumors leave late because of it.
const SLOW_RECORD: Duration = Duration::from_secs(2);
/// Most that a record covers beyond its tick, in milliseconds, however slow the disk is: after a crash the author waits for the
/// rest of it. Four times the slowest disk that we care for (30 s).
const MOST_LEAD: u64 = 120_000;

#[derive(Debug)]
pub(super) struct Records {
    /// Whether there is a ledger.
    kept: bool,
    /// The last stretch that is durable, Unix milliseconds. What was recorded before it is asked for again, should the clock
    /// step back there.
    recorded: (u64, u64),
    /// When the ledger was asked for the record that is under way.
    asked: Option<Mono>,
    /// How long the last record took.
    took: Duration,
}

impl Records {
    pub(super) fn new(kept: bool) -> Self {
        Self { kept, recorded: (0, 0), asked: None, took: Duration::ZERO }
    }

    /// What is durable, for the pen; `None` without a ledger.
    pub(super) fn durable(&self) -> Option<(u64, u64)> {
        self.kept.then_some(self.recorded)
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks for a tick and a lead that grows with how long the last record took: so the tick in which the next one is done
    /// lies in it. One at a time, or an older record could be the last to be written; whoever needs more asks again then.
    pub(super) fn ask(&mut self, from_ms: u64, until_ms: u64, now: Mono) -> Option<Action> {
        if self.asked.is_some() {
            return None;
        }
        let lead = u64::try_from(self.took.saturating_mul(2).as_millis()).unwrap_or(u64::MAX);
        let until_ms = until_ms.saturating_add(lead.clamp(LEDGER_LEAD, MOST_LEAD));
        self.asked = Some(now);
        Some(Action::Record { from_ms, until_ms })
    }

    /// Whether a record that is asked for now would be done too late, or only just.
    pub(super) fn run_out(&self, unix_ms: u64) -> bool {
        let left = Duration::from_millis(self.recorded.1.saturating_sub(unix_ms));
        self.kept && self.asked.is_none() && left < self.took.saturating_mul(2)
    }

    fn done(&mut self, from_ms: u64, until_ms: u64, now: Mono) -> Duration {
        if let Some(asked) = self.asked.take() {
            self.took = now.since(asked);
        }
        let (from, until) = self.recorded;
        let touches = from_ms <= until && from <= until_ms;
        self.recorded = if touches { (from.min(from_ms), until.max(until_ms)) } else { (from_ms, until_ms) };
        self.took
    }

    fn failed(&mut self) {
        self.asked = None;
    }

    fn is_slow(&self, now: Mono) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) > SLOW_RECORD)
    }
}

impl Engine {
    pub(super) fn on_recorded(&mut self, from_ms: u64, until_ms: u64) {
        if self.desk.records.done(from_ms, until_ms, self.now.mono) > SLOW_RECORD {
            self.impair(Impairment::RecordSlow, None);
        } else {
            self.recover(Impairment::RecordSlow);
        }
        self.recover(Impairment::RecordFailing);
        self.desk.wake_all();
    }

    /// The ledger can't be written: whoever waits learns it, and the next request tries again.
    pub(super) fn on_record_failed(&mut self, why: String) {
        self.desk.records.failed();
        self.recover(Impairment::RecordSlow);
        self.impair(Impairment::RecordFailing, None);
        self.fail_all_publishes(&PublishError::Ledger(why));
    }

    /// Whether the ledger was asked for a record and has not answered. What waits may wait for that alone.
    pub const fn is_recording(&self) -> bool {
        self.desk.records.is_under_way()
    }

    /// Once a second: a record may be under way for long.
    pub(super) fn check_record(&mut self) {
        if self.desk.records.is_slow(self.now.mono) {
            self.impair(Impairment::RecordSlow, None);
        }
    }

    /// When positions under the author key may have been used, in this life or an earlier one, Unix milliseconds. For the ledger of
    /// a node that has shut down: it may then hold this and no more.
    pub fn used_times(&self) -> crate::rumor::Spans {
        let Desk { earlier, retired, pens, .. } = &self.desk;
        let mut used = earlier.clone();
        used.add_all(retired);
        pens.values().for_each(|pen| used.add_all(&pen.used()));
        used
    }
}
