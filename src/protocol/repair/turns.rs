//! Which link of a topic is asked next: places, rotation, back-off.
//!
//! ```text
//!   places   [rotation] [rotation] [hint] [hint]      one for each question under way; a free one of the latter serves the former
//!   rotation each link once, as fast as places come free; then the one that was asked longest ago, each half a minute or so
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::{Outcome, Why};
use crate::protocol::Mono;
use crate::protocol::limits::MAX_PLACES;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::random::Random;

/// The first questions after a join begin within so long, at random: many nodes may have started together.
const JITTER: Duration = Duration::from_secs(1);
/// Where peers relay the topic and none keeps it, a node that has nothing of it waits so long before it counts itself as one that does.
const ALONE_FOR: Duration = Duration::from_secs(5);
/// One that has something of it waits only until hellos of other links that are being made have come: peers lack what it has. (Guess.)
const ALONE_WITH_SOME_FOR: Duration = Duration::from_millis(500);
/// A node that has asked all its links once, and waits for what they have listed, counts itself after this all the same. (Guess: whoever
/// asks it before learns at some cost what it lacks.)
const LACKS_FOR: Duration = Duration::from_secs(60);
/// From one link of the rotation to the next, at least and at most.
const ROTATION: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(60));
/// One link is not asked again before; by a hint a little sooner.
const AGAIN: Duration = Duration::from_secs(15);
const AGAIN_BY_HINT: Duration = Duration::from_secs(5);
/// How long a link rests that differs and brings nothing: doubled each time.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(960);
/// At least so long while the topic can't have more heads.
const REST_WHEN_FULL: Duration = Duration::from_secs(300);
/// So many links that say no make a node count as one that has asked.
const NO_QUORUM: usize = 3;

/// Places that hints may have.
const HINT_PLACES: usize = MAX_PLACES / 2;

/// A hint that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Hinted {
    low: u64,
    count: u32,
}

/// What is known of a link that keeps the topic.
#[derive(Debug)]
struct Turn {
    /// Since when it keeps the topic, however often it has said otherwise.
    since: Mono,
    asked_at: Option<Mono>,
    /// Its first session has ended.
    asked_once: bool,
    /// Its last session brought something, and ended before it was asked about all.
    has_more: bool,
    /// Why it is being asked, if it is.
    session: Option<Why>,
    rests_until: Mono,
    rest: Duration,
    /// It has brought something since its last session differed, and may have more.
    brought: bool,
    differed: bool,
    /// It was asked about all, and listed something that we lacked.
    listed: bool,
    clean: bool,
    floor: u64,
    hint: Option<Hinted>,
}

impl Turn {
    const fn new(now: Mono) -> Self {
        Self {
            since: now,
            asked_at: None,
            asked_once: false,
            has_more: false,
            session: None,
            rests_until: now,
            rest: FIRST_REST,
            brought: false,
            differed: false,
            listed: false,
            clean: false,
            floor: 0,
            hint: None,
        }
    }
}

/// The links that keep one topic, and whose turn it is.
#[derive(Debug)]
pub(in crate::protocol) struct Turns {
    links: BTreeMap<Slot, Turn>,
    /// Links that have said that they keep it no more, and may take that back.
    away: BTreeMap<Slot, Turn>,
    /// Questions under way.
    places: BTreeMap<Slot, Why>,
    starts_at: Mono,
    /// This node has something of the topic.
    has_some: bool,
    /// Since when some link relays the topic.
    linked_at: Option<Mono>,
    next_rotation: Mono,
    /// Since when each link was asked once.
    first_over_at: Option<Mono>,
    said_no: LinkSet,
}

impl Turns {
    /// Of a topic that has just been opened.
    pub(in crate::protocol) fn new(dice: &mut Random, now: Mono) -> Self {
        let jitter = JITTER.mul_f64(dice.below(1_000) as f64 / 1_000.0);
        Self {
            links: BTreeMap::new(),
            away: BTreeMap::new(),
            places: BTreeMap::new(),
            starts_at: now.plus(jitter),
            has_some: false,
            linked_at: None,
            next_rotation: now,
            first_over_at: None,
            said_no: LinkSet::EMPTY,
        }
    }

    /// This node has something of the topic.
    pub(in crate::protocol) const fn has_some(&mut self) {
        self.has_some = true;
    }

    /// A link relays the topic, whether it keeps it or not. True for the first one.
    pub(in crate::protocol) fn is_linked(&mut self, now: Mono) -> bool {
        let is_first = self.linked_at.is_none();
        self.linked_at.get_or_insert(now);
        is_first
    }

    /// A link keeps the topic. True if it did not before. Who has said a while ago that it does, and meanwhile that it does not, has
    /// the turn that it had: it could have itself asked without an end by saying both again and again.
    pub(in crate::protocol) fn enters(&mut self, slot: Slot, now: Mono) -> bool {
        self.is_linked(now);
        if self.links.contains_key(&slot) {
            return false;
        }
        let before = self.away.remove(&slot).filter(|turn| now.since(turn.since) < LONGEST_REST);
        let newly = before.is_none();
        self.links.insert(slot, before.unwrap_or_else(|| Turn::new(now)));
        newly
    }

    /// A link keeps the topic no more. A session that is under way with it has missed.
    pub(in crate::protocol) fn steps_back(&mut self, slot: Slot, now: Mono) {
        self.places.remove(&slot);
        self.said_no.remove(slot);
        let Some(turn) = self.links.remove(&slot) else { return };
        let missed = turn.session.is_some();
        let rests_until = if missed { turn.rests_until.max(now.plus(FIRST_REST)) } else { turn.rests_until };
        let asked_once = turn.asked_once || missed;
        let Turn { since, asked_at, rest, floor, .. } = turn;
        let turn = Turn { since, asked_at, asked_once, rests_until, rest, floor, ..Turn::new(now) };
        self.away.insert(slot, turn);
    }

    /// A link is gone.
    pub(in crate::protocol) fn leaves(&mut self, slot: Slot) {
        self.links.remove(&slot);
        self.away.remove(&slot);
        self.places.remove(&slot);
        self.said_no.remove(slot);
    }

    /// Links that keep the topic.
    pub(in crate::protocol) fn keepers(&self) -> LinkSet {
        let mut keepers = LinkSet::EMPTY;
        self.links.keys().for_each(|slot| keepers.insert(*slot));
        keepers
    }

    /// Of them, those whose floor is not above a tick.
    pub(in crate::protocol) fn keepers_of(&self, tick: u64) -> LinkSet {
        let mut keepers = LinkSet::EMPTY;
        let reach = self.links.iter().filter(|(_, turn)| turn.floor <= tick);
        reach.for_each(|(slot, _)| keepers.insert(*slot));
        keepers
    }

    /// How many links keep the topic.
    pub(in crate::protocol) fn len(&self) -> usize {
        self.links.len()
    }

    /// What a link has told to be its floor.
    pub(in crate::protocol) fn floor(&self, slot: Slot) -> u64 {
        self.links.get(&slot).map_or(0, |turn| turn.floor)
    }

    /// A link tells its floor.
    pub(in crate::protocol) fn tells_floor(&mut self, slot: Slot, floor: u64) {
        if let Some(turn) = self.links.get_mut(&slot) {
            turn.floor = floor;
        }
    }

    /// A link hints that it has more, from a tick on. Of several hints the widest counts.
    pub(in crate::protocol) fn hints(&mut self, slot: Slot, low: u64, count: u32) {
        if let Some(turn) = self.links.get_mut(&slot) {
            let before = turn.hint.unwrap_or(Hinted { low, count: 0 });
            turn.hint = Some(Hinted { low: before.low.min(low), count: before.count.saturating_add(count) });
        }
    }

    fn hinted_is_due(turn: &Turn, now: Mono) -> bool {
        turn.hint.is_some()
            && turn.session.is_none()
            && turn.rests_until <= now
            && turn.asked_at.is_none_or(|at| now.since(at) >= AGAIN_BY_HINT)
    }

    fn rotation_is_due(&self, turn: &Turn, now: Mono) -> bool {
        match turn.asked_at {
            _ if turn.session.is_some() || now < self.starts_at => false,
            None => turn.rests_until <= now,
            Some(at) => {
                let again = turn.brought || now >= self.next_rotation;
                again && turn.rests_until <= now && now.since(at) >= AGAIN
            }
        }
    }

    fn has_place(&self, why: Why, hints_wait: bool) -> bool {
        let hints = self.places.values().filter(|why| **why == Why::Hint).count();
        let rotating = self.places.len().saturating_sub(hints);
        self.places.len() < MAX_PLACES
            && match why {
                Why::Hint => hints < HINT_PLACES,
                Why::Rotation => !hints_wait || rotating < MAX_PLACES.saturating_sub(HINT_PLACES),
            }
    }

    /// Whether a question may be asked now, for this reason. (Each second place belongs to the rotation.)
    pub(in crate::protocol) fn is_free(&self, why: Why, now: Mono) -> bool {
        let hints_wait = self.links.values().any(|turn| Self::hinted_is_due(turn, now));
        self.has_place(why, hints_wait)
    }

    /// Which link a session begins with next, why, and from which tick on it is asked at the least. `is_free` says whether a link has
    /// no question of any topic under way.
    pub(in crate::protocol) fn begins(
        &mut self,
        is_free: impl Fn(Slot) -> bool,
        dice: &mut Random,
        now: Mono,
    ) -> Option<(Slot, Why, u64)> {
        let hinted =
            self.links.iter().filter(|(slot, turn)| Self::hinted_is_due(turn, now) && is_free(**slot));
        let hinted = hinted.max_by_key(|(_, turn)| turn.hint.map_or(0, |hint| hint.count));
        let hinted = hinted.map(|(slot, _)| *slot);
        if let Some(slot) = hinted.filter(|_| self.has_place(Why::Hint, true)) {
            let hint = self.session_begins(slot, Why::Hint, now)?;
            return Some((slot, Why::Hint, hint.low));
        }
        if !self.has_place(Why::Rotation, hinted.is_some()) {
            return None;
        }
        let due = self.links.iter().filter(|(slot, turn)| self.rotation_is_due(turn, now) && is_free(**slot));
        // The one that was asked longest ago: first those that never were, whichever; then those that may have more.
        let mut due: Vec<_> = due
            .map(|(slot, turn)| ((turn.asked_at.is_some(), !turn.brought, turn.asked_at), *slot))
            .collect();
        due.sort_unstable();
        let first = due.first()?.0;
        let alike = due.iter().take_while(|(key, _)| *key == first).count();
        let (_, slot) = *due.get(dice.below(alike))?;
        let rotates = first.0 && first.1;
        self.session_begins(slot, Why::Rotation, now);
        if rotates {
            let spread = ROTATION.1.saturating_sub(ROTATION.0);
            let wait = ROTATION.0.saturating_add(spread.mul_f64(dice.below(1_000) as f64 / 1_000.0));
            self.next_rotation = now.plus(wait);
        }
        Some((slot, Why::Rotation, 0))
    }

    /// A whole session says all that a hint could.
    fn session_begins(&mut self, slot: Slot, why: Why, now: Mono) -> Option<Hinted> {
        let turn = self.links.get_mut(&slot)?;
        (turn.session, turn.asked_at, turn.brought) = (Some(why), Some(now), false);
        turn.hint.take()
    }

    /// A question is under way.
    pub(in crate::protocol) fn takes_place(&mut self, slot: Slot, why: Why) {
        self.places.insert(slot, why);
    }

    /// It is answered, or will not be.
    pub(in crate::protocol) fn gives_place(&mut self, slot: Slot) {
        self.places.remove(&slot);
    }

    /// A session has ended. `is_full`: the topic can have no more heads. Gives why the link was asked.
    pub(in crate::protocol) fn ended(
        &mut self,
        slot: Slot,
        outcome: &Outcome,
        is_full: bool,
        now: Mono,
    ) -> Option<Why> {
        self.places.remove(&slot);
        let turn = self.links.get_mut(&slot)?;
        let why = turn.session.take();
        turn.asked_once = true;
        turn.has_more = outcome.cut && turn.brought;
        if let Some(pause) = outcome.no {
            turn.rests_until = now.plus(pause);
            self.said_no.insert(slot);
        } else if outcome.missed {
            turn.rests_until = now.plus(FIRST_REST);
        } else if outcome.differed && !turn.brought {
            let least = if is_full { REST_WHEN_FULL } else { FIRST_REST };
            turn.rests_until = now.plus(turn.rest.max(least));
            turn.rest = turn.rest.saturating_mul(2).min(LONGEST_REST);
        }
        if why == Some(Why::Rotation) {
            turn.differed = outcome.differed;
            turn.clean |= outcome.is_clean();
            turn.listed = outcome.has_asked_all() && outcome.lacked;
        }
        why
    }

    /// A link has brought something late that is kept: it may have more.
    pub(in crate::protocol) fn brings(&mut self, slot: Slot, now: Mono) {
        if let Some(turn) = self.links.get_mut(&slot) {
            (turn.brought, turn.rest) = (true, FIRST_REST);
            turn.rests_until = turn.rests_until.min(now);
        }
    }

    /// From when on a node counts itself as one that keeps the topic, if no link does.
    fn counts_alone_at(&self) -> Option<Mono> {
        let wait = if self.has_some { ALONE_WITH_SOME_FOR } else { ALONE_FOR };
        self.linked_at.map(|at| at.plus(wait))
    }

    /// Whether each link was asked once. True from then on.
    pub(in crate::protocol) fn first_is_over(&mut self, now: Mono) -> bool {
        if self.first_over_at.is_none() {
            let all = self.links.values().all(|turn| turn.asked_once);
            let alone = || self.counts_alone_at().is_some_and(|at| at <= now);
            self.first_over_at = (all && (!self.links.is_empty() || alone())).then_some(now);
        }
        self.has_asked_all()
    }

    /// Whether each link was asked once.
    pub(in crate::protocol) const fn has_asked_all(&self) -> bool {
        self.first_over_at.is_some()
    }

    /// Whether this node counts as one that keeps the topic: it has asked who does, and has got what they have, or has waited for it.
    /// `lacks`: something that they have listed has not come.
    pub(in crate::protocol) fn is_ready(&mut self, lacks: bool, now: Mono) -> bool {
        self.first_is_over(now);
        let waits = lacks || self.links.values().any(|turn| turn.has_more);
        let over = |at: Mono| !waits || now.since(at) >= LACKS_FOR;
        self.first_over_at.is_some_and(over) || self.said_no.len() >= NO_QUORUM
    }

    /// Something may have come. Links that were asked about all, and all of whose lists has come, have nothing that we lack.
    pub(in crate::protocol) fn have_come(&mut self, all_of: impl Fn(Slot) -> bool) {
        for (slot, turn) in self.links.iter_mut().filter(|(_, turn)| turn.listed) {
            if all_of(*slot) {
                (turn.listed, turn.clean) = (false, true);
            }
        }
    }

    /// Links that have, as far as they said, nothing that we lack.
    pub(in crate::protocol) fn clean(&self) -> usize {
        self.links.values().filter(|turn| turn.clean).count()
    }

    /// Links that differed when they were last asked about all.
    pub(in crate::protocol) fn differing(&self) -> LinkSet {
        let mut differing = LinkSet::EMPTY;
        self.links.iter().filter(|(_, turn)| turn.differed).for_each(|(slot, _)| differing.insert(*slot));
        differing
    }

    /// When somebody may be asked who may not be asked now.
    pub(in crate::protocol) fn next_due(&self, now: Mono) -> Option<Mono> {
        let of = |turn: &Turn| {
            if turn.session.is_some() {
                return None;
            }
            let Some(at) = turn.asked_at else { return Some(turn.rests_until.max(self.starts_at)) };
            let mut due = at.plus(AGAIN).max(turn.rests_until);
            if !turn.brought {
                due = due.max(self.next_rotation);
            }
            if turn.hint.is_some() {
                due = due.min(at.plus(AGAIN_BY_HINT).max(turn.rests_until));
            }
            Some(due)
        };
        let alone = self.counts_alone_at().filter(|_| !self.has_asked_all());
        let due = self.links.values().filter_map(of).chain(alone).filter(|due| *due > now);
        due.min()
    }
}

#[cfg(any(test, feature = "sim"))]
impl Turns {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.holds(self.places.len() <= MAX_PLACES, "too many questions of one topic");
        recount.holds(
            self.places.keys().all(|slot| self.links.get(slot).is_some_and(|turn| turn.session.is_some())),
            "a place is held without a session",
        );
    }
}

#[cfg(test)]
mod tests;
