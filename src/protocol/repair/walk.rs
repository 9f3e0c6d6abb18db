//! The walk through the holes that the store remembers: a part at a time, authors in turn, again and again.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::Mono;
use crate::protocol::keeping::Hole;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::rumor::{BundleId, Position};

/// Holes that are read at a time.
pub(in crate::protocol) const HOLES_A_LOOK: usize = 64;
/// The store is walked through again after so long, if it has holes that rest or found no place; by a hint sooner.
const WALK_AGAIN: Duration = Duration::from_secs(60);
const WALK_BY_HINT: Duration = Duration::from_secs(5);
/// A hole that nobody could fill rests for so long at least, and at most.
const SHORTEST_REST_MS: u64 = 60_000;
const LONGEST_REST_MS: u64 = 6 * 3_600_000;
/// What came and may never be kept rests for a day at most, as it is refused. No hole rests for longer.
pub(in crate::protocol) const LONGEST_REFUSAL: Duration = Duration::from_secs(86_400);
const LONGEST_OF_ALL_MS: u64 = LONGEST_REFUSAL.as_secs() * 1_000;

/// Whether a hole rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Rest {
    /// All links may be asked for it.
    Over,
    /// These links may be asked for it, and no others.
    OverFor(LinkSet),
    /// Nobody is asked for it.
    Lasts,
}

/// How far a walk has come.
#[derive(Debug)]
pub(in crate::protocol) struct Walk {
    after: Option<Hole>,
    /// The store is being asked.
    is_asked: bool,
    /// A walk is under way.
    goes: bool,
    /// Another walk follows at once.
    again: bool,
    next: Mono,
    ended_at: Mono,
    /// What rested before this rests no more, Unix milliseconds: a link came that may have it.
    woken_ms: u64,
    /// Links that hinted at more, each with the tick from which on, and when: for it, what rested before that rests no more.
    hints: BTreeMap<Slot, (u64, u64)>,
}

impl Walk {
    /// It begins at once.
    pub(in crate::protocol) const fn new(now: Mono) -> Self {
        Self {
            after: None,
            is_asked: false,
            goes: false,
            again: true,
            next: now,
            ended_at: now,
            woken_ms: 0,
            hints: BTreeMap::new(),
        }
    }

    /// A link may have what others did not: what rests is asked for once more.
    pub(in crate::protocol) const fn wakes(&mut self, unix_ms: u64) {
        (self.woken_ms, self.again) = (unix_ms, true);
    }

    /// A link hints that it has more, from a tick on: it is asked for what rests.
    pub(in crate::protocol) fn is_hinted(&mut self, slot: Slot, low: u64, unix_ms: u64) {
        self.hints.insert(slot, (low, unix_ms));
        self.next = self.next.min(self.ended_at.plus(WALK_BY_HINT));
    }

    /// A link is gone.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot) {
        self.hints.remove(&slot);
    }

    /// Holes that found no place may find one: another walk follows at once.
    pub(in crate::protocol) const fn goes_again(&mut self) {
        self.again = true;
    }

    /// What the store is asked for now, if it is: holes after this one. `more`: some found no place, or rest.
    pub(in crate::protocol) fn asks(&mut self, more: bool, now: Mono) -> Option<Option<Hole>> {
        if self.is_asked {
            return None;
        }
        let begins = self.again || (more && self.next <= now);
        if !self.goes && !begins {
            return None;
        }
        if !self.goes {
            (self.goes, self.again, self.after) = (true, false, None);
        }
        self.is_asked = true;
        Some(self.after)
    }

    /// Whether the walk has just begun, so that what finds no place is to be noted anew.
    pub(in crate::protocol) const fn is_at_start(&self) -> bool {
        self.after.is_none()
    }

    /// Whether a hole rests, by a clock that shows this time.
    pub(in crate::protocol) fn rest_of(&self, hole: &Hole, unix_ms: u64) -> Rest {
        let since = rested_at(hole);
        // What is said to have been later than now was noted by a clock that was ahead, and says nothing.
        let wakes = |at: u64| since < at && at <= unix_ms;
        let is_ahead = hole.rests_until_ms.saturating_sub(unix_ms) > LONGEST_OF_ALL_MS;
        if hole.rests_until_ms <= unix_ms || is_ahead || wakes(self.woken_ms) {
            return Rest::Over;
        }
        let mut links = LinkSet::EMPTY;
        let hinted = self.hints.iter().filter(|(_, (low, at))| hole.position.tick >= *low && wakes(*at));
        hinted.for_each(|(slot, _)| links.insert(*slot));
        if links.is_empty() { Rest::Lasts } else { Rest::OverFor(links) }
    }

    /// The store has given so many holes, the last of which was this one. `skips`: its author has no more places.
    pub(in crate::protocol) fn has_come_to(
        &mut self,
        last: Option<Hole>,
        count: usize,
        skips: bool,
        now: Mono,
    ) {
        // One that was asked for an earlier walk says nothing about this one.
        if !std::mem::take(&mut self.is_asked) {
            return;
        }
        match last {
            Some(last) if count >= HOLES_A_LOOK || skips => {
                let end = Position { tick: u64::MAX, slot: u16::MAX };
                let id = BundleId::from_bytes([255; 32]);
                self.after = Some(if skips { Hole { position: end, id, ..last } } else { last });
            }
            _ => self.ends(now),
        }
    }

    fn ends(&mut self, now: Mono) {
        (self.goes, self.after) = (false, None);
        (self.ended_at, self.next) = (now, now.plus(WALK_AGAIN));
    }

    /// The store could not be read.
    pub(in crate::protocol) fn has_failed(&mut self, now: Mono) {
        (self.is_asked, self.again) = (false, false);
        self.ends(now);
    }

    /// When the next one begins, if there is `more`.
    pub(in crate::protocol) const fn next_due(&self, more: bool) -> Option<Mono> {
        if self.is_asked || !more { None } else { Some(self.next) }
    }
}

/// How long a hole rests that nobody could fill: as long as it has been open, within bounds.
pub(in crate::protocol) fn rest_until(hole: &Hole, unix_ms: u64) -> u64 {
    unix_ms.saturating_add(unix_ms.saturating_sub(hole.since_ms).clamp(SHORTEST_REST_MS, LONGEST_REST_MS))
}

/// Since when it does, which its end tells.
fn rested_at(hole: &Hole) -> u64 {
    let until = hole.rests_until_ms;
    let half = until.saturating_add(hole.since_ms) / 2;
    half.min(until.saturating_sub(SHORTEST_REST_MS)).max(until.saturating_sub(LONGEST_REST_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PublicKey;

    fn now(millis: u64) -> Mono {
        Mono::from_nanos(1_000_000_000_000 + millis * 1_000_000)
    }

    fn hole(tick: u64, rests_until_ms: u64) -> Hole {
        let (author, id) = (PublicKey::from_bytes([1; 32]), BundleId::from_bytes([2; 32]));
        let (position, namer) = (Position { tick, slot: 0 }, Position { tick: tick + 1, slot: 0 });
        Hole { author, position, id, namer, since_ms: 5_000, rests_until_ms, below: false }
    }

    #[test]
    fn the_store_is_walked_through_in_parts_and_again_only_if_there_is_more() {
        let mut walk = Walk::new(now(0));
        assert_eq!(walk.asks(false, now(0)), Some(None));
        assert_eq!(walk.asks(true, now(0)), None, "one question at a time");
        walk.has_come_to(Some(hole(7, 0)), HOLES_A_LOOK, false, now(0));
        assert_eq!(walk.asks(false, now(0)), Some(Some(hole(7, 0))));
        walk.has_come_to(Some(hole(8, 0)), 3, true, now(0));
        let after = walk.asks(false, now(0)).unwrap().unwrap();
        assert_eq!((after.author, after.position.tick), (hole(8, 0).author, u64::MAX), "the next author");
        walk.has_come_to(None, 0, false, now(0));
        assert_eq!((walk.asks(false, now(60_000)), walk.asks(true, now(59_999))), (None, None));
        assert_eq!((walk.next_due(true), walk.next_due(false)), (Some(now(60_000)), None));
        assert_eq!(walk.asks(true, now(60_000)), Some(None));
        walk.has_failed(now(60_000));
        assert_eq!((walk.asks(true, now(61_000)), walk.asks(true, now(120_000))), (None, Some(None)));
    }

    #[test]
    fn a_rest_is_over_when_its_time_is_or_somebody_new_may_have_it() {
        let mut walk = Walk::new(now(0));
        let resting = hole(7, rest_until(&hole(7, 0), 6_000));
        assert_eq!(walk.rest_of(&resting, 65_999), Rest::Lasts);
        assert_eq!(walk.rest_of(&resting, 66_000), Rest::Over);
        walk.wakes(6_000);
        assert_eq!(walk.rest_of(&resting, 7_000), Rest::Lasts, "it rests since then, and not for longer");
        walk.wakes(6_001);
        assert_eq!(walk.rest_of(&resting, 7_000), Rest::Over);
    }

    /// As if it had shown 2038 for a while: what it has noted then says nothing when it is right again.
    #[test]
    fn a_clock_that_was_far_ahead_ends_and_hinders_no_rest() {
        let mut walk = Walk::new(now(0));
        let (ahead, today) = (2_145_000_000_000, 1_700_000_000_000);
        let resting = |at| hole(7, rest_until(&hole(7, 0), at));
        assert_eq!(walk.rest_of(&resting(ahead), today), Rest::Over, "a rest of twelve years is none");
        assert_eq!(walk.rest_of(&hole(7, today + 86_400_000), today), Rest::Lasts, "refused for a day");
        // A link that came, and one that hinted, while it was ahead.
        walk.wakes(ahead);
        walk.is_hinted(Slot(1), 1, ahead);
        assert_eq!(walk.rest_of(&resting(today), today + 1), Rest::Lasts);
        walk.is_hinted(Slot(1), 1, today + 1);
        assert!(matches!(walk.rest_of(&resting(today), today + 1), Rest::OverFor(_)));
        walk.wakes(today + 1);
        assert_eq!(walk.rest_of(&resting(today), today + 1), Rest::Over);
    }

    #[test]
    fn who_hints_is_asked_for_what_rests_and_nobody_else() {
        let mut walk = Walk::new(now(0));
        let resting = hole(7, rest_until(&hole(7, 0), 6_000));
        walk.is_hinted(Slot(1), 8, 9_000);
        assert_eq!(walk.rest_of(&resting, 9_000), Rest::Lasts, "it has more, and later");
        walk.is_hinted(Slot(2), 7, 9_000);
        let mut only = LinkSet::EMPTY;
        only.insert(Slot(2));
        assert_eq!(walk.rest_of(&resting, 9_000), Rest::OverFor(only));
        // A walk for it comes no sooner than five seconds after the last.
        walk.asks(true, now(0));
        walk.has_come_to(None, 0, false, now(0));
        walk.is_hinted(Slot(2), 7, 9_000);
        assert_eq!((walk.asks(true, now(4_999)), walk.asks(true, now(5_000))), (None, Some(None)));
        walk.forget_link(Slot(2));
        assert_eq!(walk.rest_of(&resting, 9_000), Rest::Lasts);
    }

    #[test]
    fn a_hole_rests_for_as_long_as_it_has_been_open_and_tells_since_when() {
        for (now, until) in
            [(6_000, 66_000), (70_000, 135_000), (605_000, 1_205_000), (100_000_000, 121_600_000)]
        {
            assert_eq!(rest_until(&hole(7, 0), now), until);
            assert_eq!(rested_at(&hole(7, until)), now);
        }
    }
}
