//! The node's clock is looked at: when a link comes up, when ours has jumped, and every second.

use crate::protocol::condition::clock::{ClockVerdict, Hearing};
use crate::protocol::engine::Engine;
use crate::protocol::links::Link;
use crate::protocol::{Event, Impairment};

impl Engine {
    /// Looks at the clock: when a link comes up, when ours has jumped, and every second.
    pub(super) fn check_clock(&mut self) {
        let now = self.cx.now;
        let live = |link: &&Link| link.is_open();
        let ahead = self.links.iter().filter(live).map(|link| link.clock().ahead_ms(now)).collect();
        let dialled = self.links.iter().filter(live).filter(|link| link.is_dialled());
        let dialled = dialled.map(|link| link.clock().ahead_ms(now)).collect();
        let Some(ClockVerdict { alarm, wrong }) = self.condition.clock_mut().judge(ahead, dialled) else {
            return;
        };
        if let Some(ahead_ms) = alarm {
            self.event(Event::ClockSkew { ahead_ms });
        }
        if wrong {
            self.impair(Impairment::Clock, None);
        } else if self.condition.health().has(Impairment::Clock) {
            self.recover(Impairment::Clock);
            self.publisher.wake_all();
        }
    }

    /// Once a second: whether all that comes in lies outside the window, for whatever reason.
    pub(super) fn check_hearing(&mut self) {
        let (now, outside) = (self.cx.now.mono, self.cx.counters.outside_relay_window);
        let heard_at = self.condition.presence().heard_at();
        match self.condition.clock_mut().hearing(now, outside, heard_at) {
            Hearing::Heard | Hearing::Quiet => self.recover(Impairment::Unheard),
            Hearing::Unheard => self.impair(Impairment::Unheard, None),
            Hearing::Unknown => {}
        }
    }
}
