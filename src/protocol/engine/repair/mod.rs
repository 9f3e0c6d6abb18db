//! The asking half of repair: what links say about the past, what is asked of them next, and when.
//!
//! `sessions` asks links what they have, `fetching` asks for what is missing, `late` takes in what comes, `kept` follows what the store
//! says, `rejudge` has what was rejected judged again, `told` answers the driver.

mod fetching;
mod kept;
mod late;
mod rejudge;
mod sessions;
mod told;

use std::sync::Arc;

use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Found, Query, StoreJob, StoreTrouble};
use crate::protocol::links::Sender;
use crate::protocol::linkset::Slot;
use crate::protocol::repair::LookFor;
use crate::protocol::repair::Purpose;
use crate::protocol::repair::asker::Due;
use crate::protocol::timers::Timer;
use crate::protocol::{Action, Event, Mono};
use crate::rumor::{RuleSet, TopicId};
use crate::wire::{self, More};

pub use told::RepairProgress;

impl Engine {
    /// The store has opened a topic: links are asked what they have of it.
    pub(in crate::protocol::engine) fn begin_asking(&mut self, rules: &Arc<RuleSet>) {
        let topic = rules.id();
        self.asker.enter(rules, &mut self.cx.random, self.cx.now.mono);
        self.resume_late();
        let slots: Vec<_> = self.links.iter().map(|link| link.slot()).collect();
        for slot in slots {
            self.review_keeper(slot, &topic);
        }
    }

    /// The store may have holes that it had not before.
    pub(in crate::protocol::engine) fn looks_for_holes(&mut self, topic: TopicId) {
        if let Some(asked) = self.asker.topic_mut(&topic) {
            asked.walk_mut().goes_again();
            self.asker.stir(topic);
        }
    }

    /// A topic is left: nothing of it is asked for.
    pub(in crate::protocol::engine) fn stop_asking(&mut self, topic: &TopicId) {
        self.asker.leave(topic);
        self.resume_late();
        // Links that were asked about it are free for others.
        self.asker.stir_all();
    }

    /// What a link keeps may have changed.
    pub(in crate::protocol::engine) fn review_keepers(&mut self, slot: Slot) {
        let topics: Vec<_> = self.asker.topics().copied().collect();
        for topic in topics {
            self.review_keeper(slot, &topic);
        }
    }

    fn review_keeper(&mut self, slot: Slot, topic: &TopicId) {
        let now = self.cx.now.mono;
        let link = self.links.at(slot).filter(|link| link.relays(topic));
        let (relays, keeps) = (link.is_some(), link.is_some_and(|link| link.keeps(topic)));
        let Some(asked) = self.asker.topic_mut(topic) else { return };
        let is_first = relays && asked.turns_mut().is_linked(now);
        if keeps {
            if asked.turns_mut().enters(slot, now) {
                // It may have what others did not.
                asked.walk_mut().wakes(self.cx.now.unix_ms);
            }
            self.asker.stir(*topic);
        } else if asked.turns().keepers().contains(slot) {
            self.asker.forget_keeper(topic, slot, now);
        }
        if is_first {
            // If nobody keeps the topic, this node is to count as one that does in a while.
            self.asker.stir(*topic);
        }
    }

    /// A link is gone.
    pub(in crate::protocol::engine) fn asks_link_no_more(&mut self, slot: Slot) {
        self.asker.forget_link(slot);
    }

    /// "I have more."
    pub(super) fn on_more(&mut self, sender: Sender, more: &More) {
        let asked = self.asker.topic_mut(&more.topic);
        let Some(asked) = asked.filter(|asked| asked.turns().keepers().contains(sender.slot)) else {
            self.cx.counters.unasked_history += 1;
            return;
        };
        asked.turns_mut().hints(sender.slot, more.low, more.count);
        asked.walk_mut().is_hinted(sender.slot, more.low, self.cx.now.unix_ms);
        self.asker.stir(more.topic);
    }

    /// A timer of a topic has gone off.
    pub(in crate::protocol::engine) fn on_repair_due(&mut self, topic: TopicId, due: Due) {
        let now = self.cx.now.mono;
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        if !asked.timer_is_due(due, now) {
            return;
        }
        if due == Due::Hint {
            self.send_hints(topic);
        }
        self.asker.stir(topic);
    }

    /// At the end of an input: what may go on goes on.
    pub(in crate::protocol::engine) fn repair_goes_on(&mut self) {
        // What moves on in one topic may free a link for another, or end a session here: then it is another round.
        for _ in 0..ROUNDS {
            let stirred = self.asker.take_stirred();
            if stirred.is_empty() {
                return;
            }
            for topic in stirred {
                self.moves_on(topic);
            }
        }
    }

    fn moves_on(&mut self, topic: TopicId) {
        self.asker.moved(topic);
        if !self.repair.topic(&topic).is_some_and(|kept| kept.is_open()) {
            return;
        }
        self.claim_more(topic);
        self.ask_around(topic);
        self.fetch_missing(topic);
        self.walk_holes(topic);
        let now = self.cx.now.mono;
        // Of members each has its own record, and the others' spread by themselves while it waits.
        let has_some = !self.cx.is_system(&topic)
            && self.repair.topic(&topic).is_some_and(|kept| kept.book().count() > 0);
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        if has_some {
            asked.turns_mut().has_some();
        }
        if asked.turns_mut().first_is_over(now) {
            let differing = asked.turns().differing();
            asked.hints_mut().first_is_over(&differing, now);
        }
        let caught_up = asked.has_caught_up(now);
        let is_ready = asked.is_ready(now);
        let hint = asked.hints().next_due();
        let turn = asked.turns().next_due(now);
        self.set_due(topic, Due::Hint, hint);
        self.set_due(topic, Due::Turn, turn);
        if caught_up {
            self.event(Event::CaughtUp { topic });
        }
        if is_ready {
            self.set_keeps(topic, true);
        }
    }

    /// Sets a timer of a topic, unless one is set that goes off before.
    fn set_due(&mut self, topic: TopicId, due: Due, at: Option<Mono>) {
        let (Some(at), Some(asked)) = (at, self.asker.topic_mut(&topic)) else { return };
        if asked.needs_timer(due, at) {
            let timer = match due {
                Due::Turn => Timer::TurnDue(topic),
                Due::Hole => Timer::HoleDue(topic),
                Due::Hint => Timer::HintDue(topic),
            };
            self.cx.timers.set(at, timer);
        }
    }

    fn send_hints(&mut self, topic: TopicId) {
        let now = self.cx.now.mono;
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        for (slot, hint) in asked.hints_mut().take_due(now) {
            let Some(link) = self.links.at_mut(slot).filter(|link| link.relays(&topic)) else { continue };
            let more = More { topic, low: hint.low, count: hint.count };
            if link.outbox_mut().history(wire::more(&more)) {
                self.cx.counters.hints += 1;
                self.cx.dirty.insert(slot);
            }
        }
    }

    /// The store has answered a question.
    pub(in crate::protocol::engine) fn on_asker_looked(
        &mut self,
        what: &LookFor,
        found: &Result<Found, StoreTrouble>,
    ) {
        match what {
            LookFor::Session { topic, slot, number } => {
                self.on_session_looked(*topic, *slot, *number, found);
            }
            LookFor::Holes { topic } => self.on_holes_found(*topic, found),
            LookFor::Starts { topic, gaps } => self.on_starts_found(*topic, gaps, found),
            LookFor::Rejected { topic, look, at } => self.on_rejected_found(*topic, *look, at, found),
        }
    }

    /// Asks the store something. False if so much is asked of it that this must wait.
    fn looks_up(&mut self, what: LookFor, query: Query) -> bool {
        let Some(look) = self.repair.looks_mut().ask(Purpose::Asker(what)) else { return false };
        self.cx.actions.push_back(Action::Store(StoreJob::Look { look, query }));
        true
    }

    /// Once a second: fetches that are over, gaps below what is kept, late bundles that have been held back for long enough.
    pub(in crate::protocol::engine) fn check_repair(&mut self) {
        let now = self.cx.now.mono;
        for (slot, number, topic, gaps) in self.asker.fetches_mut().expire(now) {
            self.stop_fetch(slot, number);
            for gap in gaps {
                if let Some(asked) = self.asker.topic_mut(&topic) {
                    asked.gaps_mut().is_left(&gap, slot);
                }
            }
            self.asker.stir(topic);
        }
        let topics: Vec<_> = self.asker.topics().copied().collect();
        for topic in topics {
            let Some(low) = self.repair.topic(&topic).map(|kept| kept.low()) else { continue };
            if let Some(asked) = self.asker.topic_mut(&topic) {
                asked.gaps_mut().raise(low);
            }
            self.asker.moved(topic);
            self.show_held(topic);
            self.judge_more(topic);
        }
    }
}

/// Rounds in which topics move on after one input. What is left goes on with the next.
const ROUNDS: usize = 4;
