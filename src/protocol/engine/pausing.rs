//! Links are read no faster than they may cost, and their system lanes apart from all else.

use std::time::Duration;

use crate::protocol::engine::Engine;
use crate::protocol::links::Pause;
use crate::protocol::timers::Timer;
use crate::protocol::{Action, LinkId};

impl Engine {
    /// Stops reading from a link whose budget is empty, its system lane if that one's is, and its lane of the past if it was refused too
    /// much.
    pub(super) fn check_budget(&mut self, id: LinkId) {
        self.check_bill(id, Pause::Budget, false);
        self.check_bill(id, Pause::System, false);
        self.check_bill(id, Pause::Refusals, false);
    }

    /// Stops reading what is on a bill that is overdrawn, or reads again if it has `refilled`.
    pub(super) fn check_bill(&mut self, id: LinkId, why: Pause, refilled: bool) {
        let now = self.cx.now.mono;
        let Some(link) = self.links.get_mut(id) else { return };
        let timer = match why {
            Pause::System => Timer::SystemRefilled(id),
            Pause::Refusals => Timer::RefusalsOver(id),
            _ => Timer::BudgetRefilled(id),
        };
        match link.is_overdrawn_until(why, now) {
            // Frames that were on their way when reading stopped: the timer is running.
            Some(_) if link.is_paused(why) && !refilled => {}
            Some(until) => {
                // At least a millisecond, or a link just over its budget would be paused for every frame.
                let until = until.max(now.plus(Duration::from_millis(1)));
                self.cx.timers.set(until, timer);
                if !link.is_paused(why) {
                    match why {
                        Pause::System => self.cx.counters.paused_for_system += 1,
                        Pause::Refusals => self.cx.counters.paused_for_refusals += 1,
                        _ => self.cx.counters.paused_for_budget += 1,
                    }
                    self.pause(id, why);
                }
            }
            None => self.resume(id, why),
        }
    }

    /// Stops reading the lanes on which so many signatures came that no more may wait.
    pub(super) fn check_verifying(&mut self, id: LinkId) {
        let full = [self.verifying.is_full(id), self.system_verifying.is_full(id)];
        for (full, why) in full.into_iter().zip([Pause::Verification, Pause::SystemVerification]) {
            if full {
                self.cx.counters.paused_for_verification += 1;
                self.pause(id, why);
            }
        }
    }

    pub(super) fn pause(&mut self, id: LinkId, why: Pause) {
        let Some(link) = self.links.get_mut(id) else { return };
        let lanes = link.pause(why).map(|lane| Action::PauseReading(id, lane));
        self.cx.actions.extend(lanes);
    }

    pub(super) fn resume(&mut self, id: LinkId, why: Pause) {
        let Some(link) = self.links.get_mut(id) else { return };
        let lanes = link.resume(why).map(|lane| Action::ResumeReading(id, lane));
        self.cx.actions.extend(lanes);
    }
}
