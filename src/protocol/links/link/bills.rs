//! What a link may cost: one budget for its system lane, and one for all others.

use super::Link;
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

    /// What its system lane may cost.
    pub(in crate::protocol) const fn system(&self) -> &Budget {
        &self.system
    }

    /// The same, to put something on its bill.
    pub(in crate::protocol) const fn system_mut(&mut self) -> &mut Budget {
        &mut self.system
    }

    /// The bill of what belongs to a topic.
    pub(in crate::protocol) fn bill_mut(&mut self, topic: &TopicId) -> &mut Budget {
        if self.outbox.is_of_system(topic) { &mut self.system } else { &mut self.budget }
    }
}
