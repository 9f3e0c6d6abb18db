//! Topics that were left: what the store still has of them goes when its retention is over, whichever life has joined them.

use crate::protocol::Action;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Forget, Found, Query, StoreJob, StoreTrouble};
use crate::protocol::repair::Purpose;
use crate::rumor::TopicId;

impl Engine {
    /// Now and then, while the clock is confirmed by a link: the store is asked what is over.
    pub(super) fn look_for_what_is_over(&mut self) {
        if !self.repair.looks_at_left(self.cx.now.mono) {
            return;
        }
        let joined = self.repair.topics().map(|(topic, _)| *topic).collect();
        // With so many questions under way, the next time.
        let Some(look) = self.repair.looks_mut().ask(Purpose::Over) else { return };
        let query = Query::Over { joined, now_ms: self.cx.now.unix_ms };
        self.cx.actions.push_back(Action::Store(StoreJob::Look { look, query }));
    }

    pub(super) fn left_topics_expire(&mut self, found: Result<Found, StoreTrouble>) {
        let Ok(Found::Over(over)) = found else { return };
        for (topic, below) in over {
            self.left_topic_forgot(topic, Forget::Below(below), true);
        }
    }

    /// Removes a step more of a topic, if there is more of it, and it was not joined meanwhile.
    pub(super) fn left_topic_forgot(&mut self, topic: TopicId, what: Forget, more: bool) {
        if more && matches!(what, Forget::Below(_)) && self.repair.topic(&topic).is_none() {
            self.cx.actions.push_back(Action::Store(StoreJob::Forget { topic, what }));
        }
    }
}
