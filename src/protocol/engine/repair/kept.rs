//! What the store says about a bundle moves repair on: gaps close, holes open, links are told that there is more.

use std::time::Duration;

use super::fetching::HOLE_PATIENCE;
use super::sessions::millis;
use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Arrival, Hole, Keep, Kept, Opened, Prev, Show, StoreJob, StoreTrouble};
use crate::protocol::linkset::Slot;
use crate::protocol::repair::late::LateBundle;
use crate::protocol::repair::missing::Missing;
use crate::protocol::repair::walk::LONGEST_REFUSAL;
use crate::protocol::topics::window::MAX_SKEW;
use crate::protocol::{Action, Event};
use crate::rumor::{Header, Previous, TopicId};

/// After a trouble of the store, or where it has forgotten the topic, late bundles are asked for again after this.
const TROUBLE_PATIENCE: Duration = Duration::from_secs(60);

impl Engine {
    /// The store has answered for a bundle, however it had come.
    pub(in crate::protocol::engine) fn repair_hears(
        &mut self,
        keep: &Keep,
        kept: Result<&Kept, &StoreTrouble>,
    ) {
        let (topic, id) = (keep.bundle.header().topic, keep.bundle.id());
        let missing = Missing::of_bundle(&keep.bundle);
        let late = if keep.arrival.is_late() { self.asker.late_mut().ends(&topic, &id) } else { None };
        match kept {
            Ok(Kept::New { prev, .. }) => {
                let by = self.is_filled(topic, &missing);
                if *prev == Prev::Missing {
                    self.finds_hole(topic, keep);
                }
                if let Some(late) = &late {
                    self.late_is_kept(topic, keep, late, by);
                    if let Some(asked) = self.asker.topic_mut(&topic) {
                        asked.paces_mut().is_kept(&missing.author(), *prev == Prev::Missing);
                    }
                }
            }
            Ok(Kept::Have) => drop(self.is_filled(topic, &missing)),
            // Its author has said something later of all its keys.
            Ok(Kept::Dead { .. }) => {
                let lasts =
                    self.repair.topic(&topic).map(|kept| kept.rules().retention().at_most(LONGEST_REFUSAL));
                self.is_refused_for(topic, &missing, lasts.unwrap_or(LONGEST_REFUSAL));
            }
            Ok(Kept::Full) => self.has_no_room(topic, &missing),
            // The author is convicted, or the record that stands there is bad: then it is asked for again.
            Ok(Kept::Conflict(_) | Kept::Below) => {
                if let Some(asked) = self.asker.topic_mut(&topic) {
                    asked.gaps_mut().drop_gap(&missing);
                }
            }
            _ => self.is_put_off(topic, &missing, TROUBLE_PATIENCE),
        }
        self.store_has_room();
    }

    /// A gap has closed, if there was one. Gives the link that was asked for it and brought it.
    pub(super) fn is_filled(&mut self, topic: TopicId, missing: &Missing) -> Option<Slot> {
        let now = self.cx.now.mono;
        let asked = self.asker.topic_mut(&topic)?;
        let closed = asked.gaps_mut().close(missing, now)?;
        let filled = closed.was_hole() && asked.tells_filled(&missing.author());
        self.cx.counters.gaps_closed += 1;
        for slot in closed.struck().iter() {
            self.asker.brings_mut(slot).struck(now);
            self.cx.counters.history_strikes += 1;
        }
        if let Some(slot) = closed.by() {
            self.claim_has_closed(topic, slot, now);
        }
        if filled {
            self.event(Event::Filled { topic, author: missing.author() });
        }
        self.asker.stir(topic);
        closed.by()
    }

    /// A live bundle goes on from where its author had gone on before.
    pub(in crate::protocol::engine) fn tell_fork(&mut self, header: &Header) {
        let (topic, author, position) = (header.topic, header.author, header.position());
        if self.asker.topic_mut(&topic).is_some_and(|asked| asked.tells_fork(&author)) {
            self.event(Event::AuthorForked { topic, author, position });
        }
    }

    /// The bundle before a kept one is missing.
    fn finds_hole(&mut self, topic: TopicId, keep: &Keep) {
        let now = self.cx.now;
        let header = keep.bundle.header();
        let (Some(prev), Some(kept)) = (header.prev, self.repair.topic(&topic)) else { return };
        if prev.position.tick < kept.low() {
            return;
        }
        let waits = if prev.position.tick < self.relay_window_begins(&topic) {
            Duration::ZERO
        } else {
            HOLE_PATIENCE
        };
        let hole = Hole {
            author: header.author,
            position: prev.position,
            id: prev.id,
            namer: header.position(),
            since_ms: now.unix_ms,
            rests_until_ms: 0,
            below: keep.arrival == Arrival::Late { below: true },
        };
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        asked.gaps_mut().add_hole(hole, now.mono.plus(waits), hole.below, now.mono);
        self.cx.counters.holes_found += 1;
        self.asker.stir(topic);
    }

    /// Something late is kept: its link may have more, others may lack it, and what is held back waits.
    fn late_is_kept(&mut self, topic: TopicId, keep: &Keep, late: &LateBundle, by: Option<Slot>) {
        let now = self.cx.now.mono;
        let header = keep.bundle.header();
        self.cx.counters.repaired += 1;
        self.cx.counters.rumors_repaired += u64::from(header.count);
        let slot = by.unwrap_or(late.from().slot);
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        asked.falls_behind();
        asked.turns_mut().brings(slot, now);
        if keep.show == Show::Held {
            asked.held_mut().add(late.missing(), Some(slot), now);
        }
        if asked.turns_mut().first_is_over(now) {
            let mut others = asked.turns().keepers();
            others.remove(slot);
            asked.hints_mut().add(header.tick, &others, now);
        } else {
            asked.hints_mut().add_first(header.tick);
        }
        if header.author == self.publisher.signer_in(&topic) {
            let prev = Previous { id: keep.bundle.id(), position: header.position() };
            self.publisher.goes_on_after(topic, prev, now);
        }
        self.asker.stir(topic);
    }

    /// A late bundle under our own key is our own past, unless no earlier life of ours can have written it.
    pub(super) fn own_past(&mut self, topic: TopicId, header: &Header) {
        let Some(window) = self.topics.get(&topic) else { return };
        let started = self.publisher.started_ms().saturating_add(millis(MAX_SKEW));
        let after_start = window.rules().tick_len().start_of(header.tick) > started;
        let last = self.publisher.last_of(&topic);
        if after_start && last.is_none_or(|last| header.position() > last.position) {
            self.halt_duplicate(&topic, header.tick);
        }
    }

    /// What the store holds back and the window does not know, as it is too old, is held as what has come late: of an earlier life, or of
    /// before the topic was left. Otherwise it would never be shown.
    pub(in crate::protocol::engine) fn hold_late(&mut self, topic: TopicId, opened: &Opened) {
        let (Some(window), Some(asked)) = (self.topics.get(&topic), self.asker.topic_mut(&topic)) else {
            return;
        };
        if window.rules().hold_back().is_none() {
            return;
        }
        let held = opened.held.iter().filter(|bundle| {
            let by_window = window.entry(&bundle.id()).is_some_and(|entry| entry.is_held_back());
            !by_window && !self.evidence.is_convicted(&bundle.header().author)
        });
        asked.held_mut().takes_up(held.map(|bundle| Missing::of_bundle(bundle)), self.cx.now.mono);
    }

    /// Late bundles that have been held back for long enough are shown.
    pub(super) fn show_held(&mut self, topic: TopicId) {
        let now = self.cx.now.mono;
        let Some(delay) = self.repair.topic(&topic).and_then(|kept| kept.rules().hold_back()) else { return };
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        let keepers = asked.turns().keepers();
        let at = asked.held_mut().take_over(delay, &keepers, now);
        if !at.is_empty() {
            self.cx.actions.push_back(Action::Store(StoreJob::Release { topic, at }));
            self.asker.stir(topic);
            // There is room for more of what another judge had rejected.
            self.judge_more(topic);
        }
        let more = self.asker.topic_mut(&topic).is_some_and(|asked| asked.held_mut().wants_more());
        if let Some(kept) = self.repair.topic_mut(&topic).filter(|_| more) {
            // The store says again what it holds.
            kept.book_mut().is_doubted();
        }
    }

    /// An author is convicted: nothing of it is asked for, compared or shown.
    pub(in crate::protocol::engine) fn repair_silences(&mut self, author: &PublicKey) {
        for (_, asked) in self.asker.topics_mut() {
            asked.gaps_mut().silence(author);
            asked.held_mut().silence(author);
            asked.rejudge_mut().silence(author);
        }
    }
}
