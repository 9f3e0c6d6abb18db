//! Links that were not told something for want of room, and new ones, are told what is held: a part at a time, each link in turn.

use std::time::Duration;

use crate::protocol::engine::Engine;
use crate::protocol::engine::spread::may_be_told;
use crate::protocol::linkset::Slot;
use crate::protocol::timers::Timer;
use crate::rumor::TopicId;

/// Held bundles that are looked at before everything else has its turn: half a millisecond or so.
const LOOKS_A_TURN: usize = 8_192;
/// So many looks is one announcement worth, with what sending it takes.
const LOOKS_OF_ANNOUNCEMENT: usize = 8;
/// From one turn to the next while links are behind that have room: 50 000 announcements a second at the most, for all of them. A window of
/// two minutes at 2 000 bundles a second is told to one new link in a few seconds, and to a hundred at once as far as it goes: what is
/// newest comes first, and others tell it too.
const TURN_EVERY: Duration = Duration::from_millis(20);
/// What looking at one held bundle costs (measured: a look-up, rounded up).
const LOOK_COST: Duration = Duration::from_nanos(100);

impl Engine {
    /// Announces to a link what is held in `topics` that it has neither shown nor been told of: for new links, and for those that join
    /// a topic. What is not looked at now, or finds no room, follows when it has its turn.
    pub(super) fn resync(&mut self, slot: Slot, topics: &[TopicId]) {
        let Some(link) = self.links.at_mut(slot) else { return };
        topics.iter().for_each(|topic| link.outbox_mut().falls_behind(*topic));
        // A hundred that come at once don't have their turns at once.
        if !self.catch_ups.goes_on() {
            self.catch_up_in_turn();
        }
    }

    /// The same of all topics.
    pub(super) fn resync_all(&mut self, slot: Slot) {
        let topics: Vec<_> = self.topics.keys().copied().collect();
        self.resync(slot, &topics);
    }

    /// Links that are behind, and have room, have their turns.
    pub(super) fn catch_up_in_turn(&mut self) {
        let behind = |engine: &Self| -> Vec<Slot> {
            let links = engine.links.iter().filter(|link| link.outbox().may_catch_up());
            links.map(|link| link.slot()).collect()
        };
        let mut looks = LOOKS_A_TURN;
        for slot in self.catch_ups.order(behind(self)) {
            if looks == 0 {
                break;
            }
            looks = looks.saturating_sub(self.catch_up(slot, looks));
            self.catch_ups.had(slot);
        }
        if !behind(self).is_empty() && self.catch_ups.go_on() {
            self.cx.timers.set(self.cx.now.mono.plus(TURN_EVERY), Timer::CatchUpDue);
        }
    }

    /// The next links have their turns.
    pub(super) fn on_catch_up_due(&mut self) {
        self.catch_ups.came();
        self.catch_up_in_turn();
    }

    /// Tells a link of what it may not have been told, newest first, as far as there is room and so many looks go. Gives how many were
    /// needed.
    pub(super) fn catch_up(&mut self, slot: Slot, looks: usize) -> usize {
        let now = self.cx.now;
        let members = self.members.as_ref();
        let Some(link) = self.links.at_mut(slot) else { return 0 };
        let behind = link.outbox().behind();
        let (mut missing, mut looked) = (Vec::new(), 0usize);
        for (at, (topic, from)) in behind.iter().enumerate() {
            let Some(window) = self.topics.get(topic).filter(|_| link.relays(topic)) else {
                link.outbox_mut().is_caught_up(topic);
                continue;
            };
            // Each topic has its share, or a busy one would be looked through before all others.
            let share = looks.saturating_sub(looked).div_ceil(behind.len().saturating_sub(at).max(1));
            let upto = looked.saturating_add(share);
            let ours = self.publisher.signer_in(topic);
            let mut room = link.outbox().announcements_room(topic);
            let (mut rest, mut last) = (None, None);
            for (at, held) in window.held_from(now, *from) {
                // All that was accepted at one moment is looked at together, or the next look would begin there again.
                if looked >= upto && last != Some(at) {
                    rest = Some(at);
                    break;
                }
                (looked, last) = (looked.saturating_add(1), Some(at));
                let untold = held.filter(|(id, entry)| {
                    !entry.is_held_by(slot)
                        && !entry.was_told_to(slot)
                        && may_be_told(members, topic, id, entry)
                });
                let Some((id, entry)) = untold else { continue };
                if room == 0 {
                    rest = Some(at);
                    break;
                }
                room -= 1;
                let header = entry.header();
                let own = header.author == ours;
                let turn = if own { ours } else { window.authors().turn_of(&header.author, now.mono) };
                missing.push((header.tick, header.first_slot, *topic, turn, id, entry.size_class()));
                looked = looked.saturating_add(LOOKS_OF_ANNOUNCEMENT - 1);
            }
            match rest {
                Some(at) => link.outbox_mut().goes_on_from(*topic, at),
                None => link.outbox_mut().is_caught_up(topic),
            }
        }
        // A peer decides how often this is done: so it is on its bill, as are the ids that it makes us send.
        let cost = LOOK_COST.saturating_mul(u32::try_from(looked).unwrap_or(u32::MAX));
        link.budget_mut().charge_cpu(now.mono, cost);
        link.budget_mut().charge_bytes(now.mono, 33 * missing.len() as u64);
        // The newest were chosen, in case there is no room for more. They are said in order, so that what one author has said is
        // asked for, served and delivered by position.
        missing.sort_unstable_by_key(|(tick, first_slot, ..)| (*tick, *first_slot));
        for (_, _, topic, turn, id, size) in missing {
            if self.announce(slot, topic, turn, id, size) {
                self.mark_told(slot, &topic, &id);
            }
        }
        looked
    }
}
