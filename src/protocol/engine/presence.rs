//! The node looks whether it was there: what it may have missed is told, topic by topic.

use crate::protocol::condition::presence::Absence;
use crate::protocol::engine::Engine;
use crate::protocol::links::Link;
use crate::protocol::topics::window::DELIVER_PAST;
use crate::protocol::{Action, Now};

impl Engine {
    /// Looks at both clocks before the input of `now` is taken in.
    pub(super) fn notice_absence(&mut self, now: Now) {
        match self.condition.presence_mut().notice(self.cx.now, now) {
            None => {}
            Some(Absence::Missed { from_ms, to_ms }) => self.tell_missed(from_ms, to_ms),
            Some(Absence::Since(since)) => {
                for window in self.topics.values_mut() {
                    window.is_dark_since(since);
                }
            }
        }
    }

    /// In all topics, what was said in that time is missing, if it was any time at all.
    fn tell_missed(&mut self, from_ms: u64, to_ms: u64) {
        if from_ms >= to_ms {
            return;
        }
        for (topic, _) in self.topics.iter().filter(|(_, window)| window.is_read()) {
            self.cx.actions.push_back(Action::Missed { topic: *topic, from_ms, to_ms });
        }
    }

    /// Looks which topics have links, if that may have changed.
    pub(super) fn check_presence(&mut self) {
        if self.condition.presence_mut().is_other_topology(self.cx.topology) {
            self.check_topics();
        }
    }

    /// Notes which topics have no link, and tells what is missing of those that have one again.
    pub(super) fn check_topics(&mut self) {
        let now = self.cx.now;
        let dark = self.condition.presence().dark_since_ms(now);
        let caught_up = u64::try_from(DELIVER_PAST.as_millis()).unwrap_or(u64::MAX);
        let to_ms = now.unix_ms.saturating_sub(caught_up);
        for (topic, window) in &mut self.topics {
            let alive = |link: &Link| link.relays(topic) && self.condition.presence().trusts(link, now.mono);
            if !self.links.iter().any(alive) {
                window.gets_dark(dark);
            } else if let Some(from_ms) = window.gets_light()
                && from_ms < to_ms
                && window.is_read()
            {
                self.cx.actions.push_back(Action::Missed { topic: *topic, from_ms, to_ms });
            }
        }
        self.condition.presence_mut().settle(now.mono);
    }
}
