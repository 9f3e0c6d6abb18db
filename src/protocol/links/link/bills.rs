//! What a link may cost: one budget for its system lane, and one for all others; and how often it may be refused something of the past.

use super::{Link, Pause};
use crate::protocol::Mono;
use crate::protocol::links::budget::Budget;
use crate::rumor::TopicId;

impl Link {
    /// What it may cost, but for its system lane.
    pub(in crate::protocol) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The same, to put something on its bill.
    pub(in crate::protocol) const fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// What its system lane may cost, to put something on its bill.
    pub(in crate::protocol) const fn system_mut(&mut self) -> &mut Budget {
        &mut self.system
    }

    /// It is refused what it asks about the past.
    pub(in crate::protocol) fn is_refused(&mut self, now: Mono) {
        self.refusals.charge(now, 1);
    }

    /// When lanes may be read again that must not be read now, for one of the reasons that end with time.
    pub(in crate::protocol) fn is_overdrawn_until(&self, why: Pause, now: Mono) -> Option<Mono> {
        match why {
            Pause::System => self.system.overdrawn_until(now),
            Pause::Refusals => self.refusals.overdrawn_until(now),
            _ => self.budget.overdrawn_until(now),
        }
    }

    /// The bill of what belongs to a topic.
    pub(in crate::protocol) fn bill_mut(&mut self, topic: &TopicId) -> &mut Budget {
        if self.outbox.is_of_system(topic) { &mut self.system } else { &mut self.budget }
    }
}
