//! What keeps this node from speaking, hearing, recording or judging: told once when it begins, once when it ends.

use crate::protocol::engine::Engine;
use crate::protocol::{Event, Impairment};

impl Engine {
    /// Tells the application that `what` holds from now on, unless it knows. `until_ms` is the Unix time in milliseconds at
    /// which it is expected to end, where that is known.
    pub(super) fn impair(&mut self, what: Impairment, until_ms: Option<u64>) {
        if self.condition.health_mut().begin(what, self.cx.now.mono) {
            self.event(Event::Impaired { what, until_ms });
        }
    }

    /// Tells the application that `what` has ended, if it held.
    pub(super) fn recover(&mut self, what: Impairment) {
        if let Some(lasted) = self.condition.health_mut().end(what, self.cx.now.mono) {
            self.event(Event::Recovered { what, lasted });
        }
    }

    pub(super) fn validators_are_slow(&mut self) {
        self.questions.was_slow(self.cx.now.mono);
        self.impair(Impairment::ValidatorsSlow, None);
    }

    /// Tells when validators keep up again.
    pub(super) fn check_validators(&mut self) {
        if self.questions.has_caught_up(self.cx.now.mono) {
            self.recover(Impairment::ValidatorsSlow);
        }
    }
}
