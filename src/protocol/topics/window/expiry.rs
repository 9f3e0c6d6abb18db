//! How long bodies and generations stay.

use std::time::Duration;

use super::generation::Generation;
use super::{Window, millis};
use crate::protocol::LinkId;
use crate::protocol::limits::{RELAY_FUTURE, RELAY_PAST, SERVES_FOR};
use crate::protocol::random::KeyedMap;
use crate::protocol::shrink::Shrink as _;
use crate::protocol::time::{Mono, Now};
use crate::protocol::topics::entry::Entry;
use crate::protocol::total::Total as _;
use crate::rumor::{BundleId, RuleSet};

impl Window {
    /// What was refused is looked at anew when it comes again: who may speak here has changed.
    pub(in crate::protocol) fn forget_refused(&mut self) {
        self.refused.clear();
    }

    /// Drops bodies past their retention and generations that have left every window, and remembers whose those were. Gives
    /// the ids that are forgotten.
    pub(in crate::protocol) fn expire(&mut self, now: Now) -> Vec<BundleId> {
        let keep = self.keep() + SERVES_FOR;
        let expired = self.bodies.expire(keep, now.mono);
        self.drop_bodies(&expired);
        self.authors.expire(now.mono);
        self.debts.shrink();
        let len = self.rules.tick_len();
        let gone = now.unix_ms.saturating_sub(millis(RELAY_PAST + self.hold_back()));
        self.passed.expire(|tick| len.end_of(tick) <= gone);
        let mut forgotten = Vec::new();
        while let Some(tick) = self.leaving(now)
            && let Some(generation) = self.generations.remove(&tick)
        {
            for (author, claims) in &generation.claims {
                self.authors.left(author, tick, claims.len());
                self.spent.add(author, tick);
            }
            self.unclaimed.loses(generation.unclaimed.len());
            for claim in generation.claims.values().flatten() {
                claim.payer.into_iter().for_each(|link| give_back_place(&mut self.newcomers, link));
            }
            let claimed = generation.claims.into_values().flatten().map(|claim| claim.id);
            for id in claimed.chain(generation.unclaimed) {
                self.entries.remove(&id);
                self.bodies.drop(&id);
                forgotten.push(id);
            }
        }
        self.entries.shrink();
        self.bodies.shrink();
        forgotten
    }

    /// When a tick leaves the last of the windows, Unix milliseconds.
    pub(super) fn over_at(&self, tick: u64) -> u64 {
        let past = millis(RELAY_PAST + self.hold_back());
        self.rules.tick_len().end_of(tick).saturating_add(past)
    }

    /// A tick whose generation may go: outside the window by the clock of now, on either side, and not held for less time
    /// than the clock of its last bundle promised. So a clock that jumps over the window and back finds all as it was.
    fn leaving(&self, now: Now) -> Option<u64> {
        let future = u64::try_from(RELAY_FUTURE.as_millis()).unwrap_or(u64::MAX);
        let begins = |tick: u64| self.rules.tick_len().start_of(tick);
        let oldest =
            self.generations.first_key_value().filter(|(tick, _)| self.over_at(**tick) <= now.unix_ms);
        let newest = self.generations.last_key_value();
        let newest = newest.filter(|(tick, _)| begins(**tick) >= now.unix_ms.saturating_add(future));
        let held = |of: &(&u64, &Generation)| of.1.stays_until <= now.mono;
        oldest.filter(held).or(newest.filter(held)).map(|(tick, _)| *tick)
    }

    /// Whether a peer that held a body `age` ago holds it now, unless it needed the room.
    pub(in crate::protocol) fn is_still_held(&self, age: Duration) -> bool {
        age < self.keep()
    }

    /// How long a body is offered to others. Not less than it takes to spread, whatever the rules say; and not longer than its entry
    /// is known, since what a topic keeps beyond the relay window is in the store.
    fn keep(&self) -> Duration {
        let longest = (RELAY_PAST + self.hold_back()).saturating_sub(SERVES_FOR);
        self.rules.retention().at_most(longest).max(youth(&self.rules))
    }

    /// Accepted bundles that may be announced, newest first: bodies that will be held for as long as an announcement
    /// promises, of ticks that another node may still relay. `None` for each one that was looked at in vain.
    pub(in crate::protocol) fn held(&self, now: Now) -> impl Iterator<Item = Option<(BundleId, &Entry)>> {
        self.held_from(now, now.mono).map(|(_, held)| held)
    }

    /// The same of what was accepted `then` or before, each with the time of that.
    pub(in crate::protocol) fn held_from(
        &self,
        now: Now,
        then: Mono,
    ) -> impl Iterator<Item = (Mono, Option<(BundleId, &Entry)>)> {
        let keep = self.keep();
        let recent = self.bodies.newest_from(then).take_while(move |(at, _)| now.mono.since(*at) <= keep);
        let past = RELAY_PAST + self.hold_back();
        recent.map(move |(at, id)| {
            let entry = self.entries.get(&id).filter(|entry| entry.is_counted());
            let held = entry.filter(|entry| self.within(entry.header().tick, now, past, RELAY_FUTURE));
            (at, held.map(|entry| (id, entry)))
        })
    }
}

/// How long a body must stay: whoever announces it serves it, and who holds it back will deliver it.
pub(super) fn youth(rules: &RuleSet) -> Duration {
    SERVES_FOR.max(rules.hold_back().unwrap_or_default())
}

fn give_back_place(newcomers: &mut KeyedMap<LinkId, usize>, link: LinkId) {
    if let Some(places) = newcomers.get_mut(&link) {
        places.loses(1);
        if *places == 0 {
            newcomers.remove(&link);
        }
    }
}
