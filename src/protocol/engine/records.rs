//! The position log answers: a stretch of time is durable, or could not be written.

use crate::protocol::engine::Engine;
use crate::protocol::{Impairment, PublishError};

impl Engine {
    pub(super) fn on_recorded(&mut self, from_ms: u64, until_ms: u64) {
        if self.publisher.recorded(from_ms, until_ms, self.cx.now.mono) {
            self.impair(Impairment::RecordSlow, None);
        } else {
            self.recover(Impairment::RecordSlow);
        }
        self.recover(Impairment::RecordFailing);
    }

    /// The position log can't be written: whoever waits learns it, and the next request tries again.
    pub(super) fn on_record_failed(&mut self, why: String) {
        self.publisher.record_failed();
        self.recover(Impairment::RecordSlow);
        self.impair(Impairment::RecordFailing, None);
        self.fail_all_publishes(&PublishError::PositionLog(why));
    }

    /// Once a second: a record may be under way for long.
    pub(super) fn check_record(&mut self) {
        if self.publisher.record_is_slow(self.cx.now.mono) {
            self.impair(Impairment::RecordSlow, None);
        }
    }

    /// When positions under the author key may have been used, in this life or an earlier one, Unix milliseconds. For the position log of
    /// a node that has shut down: it may then hold this and no more.
    pub fn used_times(&self) -> crate::rumor::Spans {
        self.publisher.used()
    }
}
