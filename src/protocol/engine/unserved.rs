//! Pulls that are late or come to nothing, and what that says about a link.

use std::time::Duration;

use crate::protocol::engine::Engine;
use crate::protocol::limits::SERVES_FOR;
use crate::protocol::links::Sender;
use crate::protocol::linkset::Slot;
use crate::protocol::time::Mono;
use crate::protocol::timers::{Timer, WantId};
use crate::wire::{Ids, Lane};

/// What a pull that comes to nothing costs us, from the announcement on (measured 3 to 4 us; why it is
/// charged: docs/decisions/0041-what-a-link-may-owe-grows-with-service.md).
const FAILED_PULL_COST: Duration = Duration::from_micros(4);

/// Why a pull came to nothing.
#[derive(Clone, Copy)]
enum Failure {
    /// It took too long.
    Late,
    /// The link says that it does not hold it: there is no point in asking it until it announces it again.
    Gone {
        /// It may have had to drop it.
        excused: bool,
    },
}

impl Engine {
    pub(super) fn on_pull_overdue(&mut self, wanted: WantId, slot: Slot, asked: Mono) {
        let now = self.cx.now.mono;
        let under_way =
            |want: &crate::protocol::pulls::Want| want.asking().any(|under_way| under_way == (slot, asked));
        if !self.wants.get(&wanted).is_some_and(under_way) {
            return;
        }
        let Some(link) = self.links.at(slot) else { return };
        let patience = self.patience(slot);
        if asked.plus(patience) > now {
            if !link.is_proven() {
                // Perhaps a liar: it has its time, but others are asked meanwhile.
                if let Some(want) = self.wants.get_mut(&wanted) {
                    want.is_slow(slot);
                }
                self.note_late(&wanted, slot);
            }
            self.cx.timers.set(asked.plus(patience), Timer::PullOverdue { wanted, slot, asked });
            return self.ask(wanted);
        }
        // A link that is working through what we asked it for before, or that we do not read, has not failed us. Asking
        // it again would only lengthen its queue; another may well be quicker.
        let lane = if self.cx.is_system(&wanted.0) { Lane::System } else { Lane::Replies };
        let busy = link.service().is_serving(now, patience) || link.is_paused_on(lane);
        let waits_on = busy && !link.is_closing() && now.since(asked) < SERVES_FOR;
        // It took at least this long. Left out, the median would only know the pulls that were quick enough, and under
        // load ever more of them would be asked for twice. A link that has never served says nothing about serving.
        // (Once for each pull, or one that is withheld would count for many.)
        let has_served = link.service().has_served();
        self.note_late(&wanted, slot);
        let newly = self.wants.get_mut(&wanted).is_some_and(|want| want.is_slow(slot));
        if has_served && newly {
            self.wants.estimates_mut().sample(now.since(asked));
        }
        if !waits_on {
            return self.pull_failed(slot, wanted, Failure::Late);
        }
        self.cx.timers.set(now.plus(patience), Timer::PullOverdue { wanted, slot, asked });
        self.ask(wanted);
    }

    /// A pull has taken too long, whoever serves in the end and however busy the link is: others are asked before it for a while.
    fn note_late(&mut self, wanted: &WantId, slot: Slot) {
        let now = self.cx.now.mono;
        let newly = self.wants.get_mut(wanted).is_some_and(|want| want.is_late(slot));
        if newly && let Some(link) = self.links.at_mut(slot) {
            link.service_mut().is_late(now);
        }
    }

    /// A pull came to nothing.
    fn pull_failed(&mut self, slot: Slot, wanted: WantId, failure: Failure) {
        let now = self.cx.now.mono;
        let Some(want) = self.wants.get_mut(&wanted) else { return };
        let gone = matches!(failure, Failure::Gone { .. });
        let Some((_, size)) = want.answered(slot, !gone) else { return };
        if gone {
            want.is_gone(slot);
        }
        if let Some(until) = want.has_failed(now) {
            self.cx.timers.set(until, Timer::RestOver(wanted));
        }
        self.cx.counters.pulls_unserved += 1;
        self.settle(slot, size);
        let pressed = self.wants.estimates().is_pressed(now);
        if let Some(link) = self.links.at_mut(slot) {
            let excused = matches!(failure, Failure::Gone { excused: true });
            link.bill_mut(&wanted.0).charge_cpu(now, FAILED_PULL_COST);
            link.service_mut().missed(now, excused, pressed);
            if !excused {
                self.wants.estimates_mut().missed(now);
            }
        }
        self.ask(wanted);
    }

    pub(super) fn on_gone(&mut self, sender: Sender, gone: Ids) {
        let now = self.cx.now.mono;
        // What it announced may be gone because its author was convicted since: then the proof has just come, from it or
        // from somebody else first.
        let lately = |at: Option<Mono>| at.is_some_and(|at| now.since(at) < SERVES_FOR);
        let excused = lately(self.evidence.newest_at())
            || self.links.at(sender.slot).is_some_and(|link| lately(link.evidence_at()));
        for id in gone.ids {
            self.pull_failed(sender.slot, (gone.topic, id), Failure::Gone { excused });
        }
    }
}
