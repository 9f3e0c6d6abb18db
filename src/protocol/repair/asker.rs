//! The asking half of repair: of each topic what is missing, whose turn it is, what was hinted; and what is under way with links.
//!
//! ```text
//!   turns ── whose turn ──> session ── what we lack ──> gaps ── whom to ask ──> fetches ──> late ──> the store
//!     ^                                                  ^                                            │
//!     └────────────── hints <────────────────────────────┴──────────────── kept <────────────────────┘
//! ```

mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::brings::Brings;
use super::fetches::{Covered, Fetches};
use super::gaps::Gaps;
use super::held::HeldLate;
use super::hints::Hints;
use super::late::Late;
use super::missing::Missing;
use super::paces::Paces;
use super::refused::RepairRefused;
use super::rejudge::Rejudge;
use super::session::Session;
use super::turns::Turns;
use super::walk::Walk;
use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::limits::{MAX_SESSIONS, MAX_TOLD_FORKS, MAX_TOLD_HOLES};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::random::{Keyed, Random};
use crate::rumor::{RuleSet, TopicId};

/// What is asked for in one topic.
#[derive(Debug)]
pub(in crate::protocol) struct Asked {
    gaps: Gaps,
    paces: Paces,
    turns: Turns,
    hints: Hints,
    refused: RepairRefused,
    rejudge: Rejudge,
    walk: Walk,
    held: HeldLate,
    /// Something late has come since the application was last told that there is nothing more.
    behind: bool,
    /// Bundles that were kept late.
    repaired: u64,
    /// Authors of whom the application was told that something is missing.
    told: BTreeSet<PublicKey>,
    /// Authors of whom it was told that they have two chains.
    forked: BTreeSet<PublicKey>,
    /// The store is being asked from where on gaps are to be asked for.
    is_looking: bool,
    /// Timers that are set.
    timers: BTreeMap<Due, Mono>,
}

/// What is due in a topic: one timer for each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::protocol) enum Due {
    /// Somebody is asked what it has.
    Turn,
    /// Something that is missing is asked for.
    Hole,
    /// Links are told that there is more.
    Hint,
}

impl Asked {
    fn new(rules: &RuleSet, keyed: Keyed, dice: &mut Random, now: Mono) -> Self {
        let is_state = rules.kind().is_state();
        Self {
            gaps: if is_state { Gaps::of_state(rules.is_listed()) } else { Gaps::new(rules.is_listed()) },
            paces: Paces::new(rules, keyed),
            turns: Turns::new(dice, now),
            hints: Hints::default(),
            refused: RepairRefused::new(is_state, keyed),
            rejudge: Rejudge::default(),
            walk: Walk::new(now),
            held: HeldLate::default(),
            behind: true,
            repaired: 0,
            told: BTreeSet::new(),
            forked: BTreeSet::new(),
            is_looking: false,
            timers: BTreeMap::new(),
        }
    }

    /// A timer is needed at that time; true if none is set that goes off before.
    pub(in crate::protocol) fn needs_timer(&mut self, due: Due, at: Mono) -> bool {
        let earlier = self.timers.get(&due).is_none_or(|set| at < *set);
        if earlier {
            self.timers.insert(due, at);
        }
        earlier
    }

    /// A timer has gone off. False if another was set for an earlier time, which has.
    pub(in crate::protocol) fn timer_is_due(&mut self, due: Due, now: Mono) -> bool {
        let is_due = self.timers.get(&due).is_some_and(|at| *at <= now);
        if is_due {
            self.timers.remove(&due);
        }
        is_due
    }

    /// Something late has come.
    pub(in crate::protocol) const fn falls_behind(&mut self) {
        self.behind = true;
        self.repaired = self.repaired.saturating_add(1);
    }

    /// How much late has come since the topic was opened, in bundles.
    pub(in crate::protocol) const fn repaired(&self) -> u64 {
        self.repaired
    }

    /// Each link was asked, and nothing that links listed is missing: true once.
    pub(in crate::protocol) fn has_caught_up(&mut self, now: Mono) -> bool {
        self.turns.have_come(|slot| self.gaps.have_all_of(slot));
        let caught_up =
            self.turns.first_is_over(now) && self.turns.clean() > 0 && !self.gaps.has_unasked_claims();
        caught_up && std::mem::replace(&mut self.behind, false)
    }

    /// Whether peers may ask us about the topic.
    pub(in crate::protocol) fn is_ready(&mut self, now: Mono) -> bool {
        self.turns.is_ready(self.gaps.claims() > 0, now)
    }

    /// The application is told that something of an author is missing, unless it was.
    pub(in crate::protocol) fn tells_hole(&mut self, author: &PublicKey) -> bool {
        self.told.len() < MAX_TOLD_HOLES && self.told.insert(*author)
    }

    /// The application is told that an author has two chains, unless it was.
    pub(in crate::protocol) fn tells_fork(&mut self, author: &PublicKey) -> bool {
        self.forked.len() < MAX_TOLD_FORKS && self.forked.insert(*author)
    }

    /// Something of an author was missing and has come: true if the application knew.
    pub(in crate::protocol) fn tells_filled(&mut self, author: &PublicKey) -> bool {
        !self.told.is_empty() && self.told.remove(author)
    }
}

/// All of it.
#[derive(Debug)]
pub(in crate::protocol) struct Asker {
    topics: BTreeMap<TopicId, Asked>,
    sessions: BTreeMap<(TopicId, Slot), Session>,
    fetches: Fetches,
    late: Late,
    brings: BTreeMap<Slot, Brings>,
    /// Links with a question under way: one of all topics.
    asking: LinkSet,
    /// Topics in which something may go on.
    stirred: BTreeSet<TopicId>,
    /// Topics whose repair may be further than the driver knows.
    moved: BTreeSet<TopicId>,
    numbers: u32,
    keyed: Keyed,
}

impl Asker {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self {
            topics: BTreeMap::new(),
            sessions: BTreeMap::new(),
            fetches: Fetches::default(),
            late: Late::new(keyed),
            brings: BTreeMap::new(),
            asking: LinkSet::EMPTY,
            stirred: BTreeSet::new(),
            moved: BTreeSet::new(),
            numbers: 0,
            keyed,
        }
    }

    /// A topic was opened, at first or anew: nothing of it is known.
    pub(in crate::protocol) fn enter(&mut self, rules: &RuleSet, dice: &mut Random, now: Mono) {
        self.leave(&rules.id());
        self.topics.insert(rules.id(), Asked::new(rules, self.keyed, dice, now));
        self.stir(rules.id());
    }

    /// A topic is left.
    pub(in crate::protocol) fn leave(&mut self, topic: &TopicId) {
        self.topics.remove(topic);
        let of = |(of, _): &(TopicId, Slot)| of == topic;
        let ended: Vec<_> = self.sessions.keys().filter(|key| of(key)).copied().collect();
        for key in ended {
            self.end_session(&key.0, key.1);
        }
        self.fetches.forget_topic(topic);
        self.late.forget_topic(topic);
        self.stirred.remove(topic);
        self.moved.remove(topic);
    }

    /// What is asked for in a topic.
    pub(in crate::protocol) fn topic(&self, topic: &TopicId) -> Option<&Asked> {
        self.topics.get(topic)
    }

    /// The same, to change.
    pub(in crate::protocol) fn topic_mut(&mut self, topic: &TopicId) -> Option<&mut Asked> {
        self.topics.get_mut(topic)
    }

    /// All topics.
    pub(in crate::protocol) fn topics(&self) -> impl Iterator<Item = &TopicId> {
        self.topics.keys()
    }

    /// All topics, to change.
    pub(in crate::protocol) fn topics_mut(&mut self) -> impl Iterator<Item = (&TopicId, &mut Asked)> {
        self.topics.iter_mut()
    }

    #[cfg(test)]
    /// How many topics there are.
    pub(in crate::protocol) fn count(&self) -> usize {
        self.topics.len()
    }

    /// In a topic something may go on.
    pub(in crate::protocol) fn stir(&mut self, topic: TopicId) {
        self.stirred.insert(topic);
    }

    /// A link has nothing more to answer, so in any topic something may go on.
    pub(in crate::protocol) fn stir_all(&mut self) {
        self.stirred.extend(self.topics.keys());
    }

    /// Topics in which something may go on. None is left.
    pub(in crate::protocol) fn take_stirred(&mut self) -> BTreeSet<TopicId> {
        std::mem::take(&mut self.stirred)
    }

    /// Repair of a topic may have moved on.
    pub(in crate::protocol) fn moved(&mut self, topic: TopicId) {
        self.moved.insert(topic);
    }

    /// Topics whose repair may have moved on since this was asked. None is left.
    pub(in crate::protocol) fn take_moved(&mut self) -> BTreeSet<TopicId> {
        std::mem::take(&mut self.moved)
    }

    /// A number for a session or a fetch: no other has it, on any link.
    pub(in crate::protocol) const fn number(&mut self) -> u32 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    /// How well a link serves the past.
    pub(in crate::protocol) fn brings(&self, slot: Slot) -> Option<&Brings> {
        self.brings.get(&slot)
    }

    /// The same, to note more.
    pub(in crate::protocol) fn brings_mut(&mut self, slot: Slot) -> &mut Brings {
        self.brings.entry(slot).or_default()
    }

    /// Whether a link has a question under way, of whatever topic.
    pub(in crate::protocol) fn is_asking(&self, slot: Slot) -> bool {
        self.asking.contains(slot)
    }

    /// Links with a question under way.
    pub(in crate::protocol) const fn asking(&self) -> LinkSet {
        self.asking
    }

    /// A session begins. At the cap the one that has waited longest ends for it, and is given.
    pub(in crate::protocol) fn begin_session(
        &mut self,
        topic: TopicId,
        slot: Slot,
        session: Session,
    ) -> Option<(TopicId, Slot)> {
        let mut ended = None;
        if self.sessions.len() >= MAX_SESSIONS {
            let waiting = self.sessions.iter().filter_map(|(key, session)| Some((session.waits()?.0, *key)));
            ended = waiting.min().map(|(_, key)| key);
            // All have a question under way: the new one waits for its turn elsewhere.
            ended?;
        }
        self.sessions.insert((topic, slot), session);
        ended
    }

    /// Whether one more session finds a place.
    pub(in crate::protocol) fn has_room_for_session(&self) -> bool {
        self.sessions.len() < MAX_SESSIONS || self.sessions.values().any(|session| session.waits().is_some())
    }

    /// The session of a link in a topic.
    pub(in crate::protocol) fn session(&self, topic: &TopicId, slot: Slot) -> Option<&Session> {
        self.sessions.get(&(*topic, slot))
    }

    /// What is needed to move it on: what is asked for in its topic as well.
    pub(in crate::protocol) fn session_mut(
        &mut self,
        topic: &TopicId,
        slot: Slot,
    ) -> Option<(&mut Session, &mut Asked)> {
        Some((self.sessions.get_mut(&(*topic, slot))?, self.topics.get_mut(topic)?))
    }

    /// Sessions of a topic, each with its link.
    pub(in crate::protocol) fn sessions_of(&self, topic: &TopicId) -> impl Iterator<Item = (Slot, &Session)> {
        let range = self.sessions.range((*topic, Slot(0))..=(*topic, Slot(u8::MAX)));
        range.map(|((_, slot), session)| (*slot, session))
    }

    /// A link has a question under way.
    pub(in crate::protocol) fn asks(&mut self, slot: Slot) {
        self.asking.insert(slot);
    }

    /// It has none any more.
    pub(in crate::protocol) fn is_answered(&mut self, slot: Slot) {
        self.asking.remove(slot);
    }

    /// A session is over.
    pub(in crate::protocol) fn end_session(&mut self, topic: &TopicId, slot: Slot) -> Option<Session> {
        let session = self.sessions.remove(&(*topic, slot))?;
        if session.is_asking() {
            self.asking.remove(slot);
        }
        Some(session)
    }

    /// A bundle of so many bytes has come over a link: for what it was asked, if it was.
    pub(in crate::protocol) fn takes(
        &mut self,
        slot: Slot,
        topic: &TopicId,
        bundle: &Missing,
        len: usize,
        now: Mono,
    ) -> Option<Covered> {
        let gaps = &self.topics.get(topic)?.gaps;
        self.fetches.takes(slot, topic, bundle, len, now, |gap| gaps.has(gap))
    }

    /// A slow link is left: fetches of which others can be asked for something. The rest goes on.
    pub(in crate::protocol) fn leave_slow(
        &mut self,
        slot: Slot,
        now: Mono,
    ) -> Vec<(u32, TopicId, Vec<Missing>)> {
        let topics = &self.topics;
        self.fetches.leave(slot, now, |topic, missing| {
            let Some(asked) = topics.get(topic) else { return true };
            let keepers = asked.turns.keepers_of(missing.position().tick);
            let mut others = asked.gaps.candidates(missing, &keepers);
            others.remove(slot);
            !asked.gaps.has(missing) || !others.is_empty()
        })
    }

    /// A link is gone: nobody waits for it. Gives the topics in which it was asked.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot) {
        self.asking.remove(slot);
        self.sessions.retain(|(_, of), _| *of != slot);
        self.fetches.forget_link(slot);
        self.brings.remove(&slot);
        for asked in self.topics.values_mut() {
            asked.forget_link(slot);
        }
        self.stir_all();
    }

    /// A link keeps a topic no more.
    pub(in crate::protocol) fn forget_keeper(&mut self, topic: &TopicId, slot: Slot, now: Mono) {
        self.end_session(topic, slot);
        if let Some(asked) = self.topics.get_mut(topic) {
            asked.gaps.forget_keeper(slot);
            asked.turns.steps_back(slot, now);
            asked.hints.forget_link(slot);
            asked.walk.forget_link(slot);
        }
        self.stir_all();
    }

    /// For how long what came and found no room is not asked for, or what is too old for good.
    pub(in crate::protocol) fn refuse(
        &mut self,
        topic: &TopicId,
        missing: &Missing,
        lasts: Duration,
        now: Mono,
    ) {
        let topics = self.topics.len();
        if let Some(asked) = self.topics.get_mut(topic) {
            asked.refused.add(missing, now.plus(lasts), topics);
        }
    }
}

impl Asked {
    fn forget_link(&mut self, slot: Slot) {
        self.gaps.forget_link(slot);
        self.turns.leaves(slot);
        self.hints.forget_link(slot);
        self.walk.forget_link(slot);
        self.held.forget_link(slot);
    }
}

#[cfg(any(test, feature = "sim"))]
impl Asker {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        for asked in self.topics.values() {
            asked.gaps.check(recount);
            asked.turns.check(recount);
        }
        self.fetches.check(recount);
        self.late.check(recount);
        recount.holds(self.sessions.len() <= MAX_SESSIONS, "too many sessions");
        let asking = self.sessions.iter().filter(|(_, session)| session.is_asking());
        let mut slots: Vec<_> = asking.map(|((_, slot), _)| *slot).collect();
        slots.sort_unstable();
        recount.holds(self.asking.iter().eq(slots), "questions under way, by link and by session");
        recount.holds(
            self.sessions.keys().all(|(topic, _)| self.topics.contains_key(topic)),
            "a session of a topic that was left",
        );
    }

    /// What is under way or missing: about how much a recount walks through.
    pub(in crate::protocol) fn weight(&self) -> usize {
        self.topics.values().map(|asked| asked.gaps.len()).sum::<usize>() + self.late.len()
    }
}

#[cfg(test)]
mod tests;
