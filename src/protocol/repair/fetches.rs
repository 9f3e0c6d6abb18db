//! What links were asked to send, and whether it comes.
//!
//! A link that is slow is left: others are asked before it. What it brings all the same is taken, since it was asked for.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::missing::Missing;
use crate::protocol::Mono;
use crate::protocol::limits::{FETCHES_REMEMBERED, MAX_FETCHES};
use crate::protocol::linkset::Slot;
use crate::protocol::total::Total as _;
use crate::rumor::TopicId;
use crate::wire::{FetchedRange, Mark};

/// A link is slow if no frame of it comes for so long while we read.
pub(in crate::protocol) const SILENCE: Duration = Duration::from_secs(2);
/// Or if it brings less than this in so long.
const PACE_BYTES: usize = 64 * 1024;
const PACE_TIME: Duration = Duration::from_secs(4);
/// What was asked for is taken for so long after.
const TAKEN_FOR: Duration = Duration::from_secs(300);
/// A link that was left is not asked for more until so long after.
const LEFT_FOR: Duration = Duration::from_secs(10);
/// A link that nobody can stand in for has so long.
const LONGEST_FETCH: Duration = Duration::from_secs(60);

/// One fetch.
#[derive(Debug)]
pub(in crate::protocol) struct Fetching {
    number: u32,
    topic: TopicId,
    ranges: Vec<(Missing, FetchedRange)>,
    max_bytes: usize,
    bytes: usize,
    asked_at: Mono,
    left_at: Option<Mono>,
    /// It was left, and nobody else can be asked.
    waits: bool,
}

impl Fetching {
    /// Its topic.
    pub(in crate::protocol) const fn topic(&self) -> &TopicId {
        &self.topic
    }

    /// What it was to bring, range by range, each with the gap for which it was asked.
    pub(in crate::protocol) fn ranges(&self) -> impl Iterator<Item = (&Missing, &FetchedRange)> {
        self.ranges.iter().map(|(missing, range)| (missing, range))
    }

    /// Bytes that it has brought.
    pub(in crate::protocol) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When it was asked for.
    pub(in crate::protocol) const fn asked_at(&self) -> Mono {
        self.asked_at
    }

    const fn is_under_way(&self) -> bool {
        self.left_at.is_none()
    }
}

/// What a link was asked for.
#[derive(Debug)]
struct Line {
    fetches: VecDeque<Fetching>,
    /// Since when the first of those under way is served, or the link's last frame.
    silent_since: Mono,
    pace_since: Mono,
    pace_bytes: usize,
}

/// A bundle that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Covered {
    /// The gap for which its range was asked.
    pub(in crate::protocol) gap: Missing,
    /// Bytes beyond what was asked for.
    pub(in crate::protocol) beyond: usize,
}

/// Whether what was asked for comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Pace {
    /// Nothing is under way.
    Idle,
    /// It does. It is looked at again then.
    Fine(Mono),
    /// It does not.
    Slow,
}

/// All fetches.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Fetches {
    lines: BTreeMap<Slot, Line>,
    under_way: usize,
    /// When links are looked at next: one timer for each.
    timers: BTreeMap<Slot, Mono>,
}

impl Fetches {
    #[cfg(test)]
    /// How many are under way.
    pub(in crate::protocol) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many of one topic are.
    pub(in crate::protocol) fn under_way_in(&self, topic: &TopicId) -> usize {
        let all = self.lines.values().flat_map(|line| &line.fetches);
        all.filter(|fetch| fetch.is_under_way() && fetch.topic == *topic).count()
    }

    /// How many more a link may be given, which has as many at a time at the most.
    pub(in crate::protocol) fn free(&self, slot: Slot, at_once: usize, now: Mono) -> usize {
        let free = MAX_FETCHES.saturating_sub(self.under_way);
        let Some(line) = self.lines.get(&slot) else { return at_once.min(free) };
        let was_left =
            |fetch: &Fetching| fetch.waits || fetch.left_at.is_some_and(|at| now.since(at) < LEFT_FOR);
        if line.fetches.len() >= FETCHES_REMEMBERED || line.fetches.iter().any(was_left) {
            return 0;
        }
        at_once.saturating_sub(line.fetches.iter().filter(|fetch| fetch.is_under_way()).count()).min(free)
    }

    /// A link is asked. It is looked at when the time given is over; none is given if it will be in any case.
    pub(in crate::protocol) fn begin(
        &mut self,
        slot: Slot,
        number: u32,
        topic: TopicId,
        ranges: Vec<(Missing, FetchedRange)>,
        max_bytes: u32,
        now: Mono,
    ) -> Option<Mono> {
        let line = self.lines.entry(slot).or_insert_with(|| Line {
            fetches: VecDeque::new(),
            silent_since: now,
            pace_since: now,
            pace_bytes: 0,
        });
        if !line.fetches.iter().any(Fetching::is_under_way) {
            line.begins(now);
        }
        line.fetches.push_back(Fetching {
            number,
            topic,
            ranges,
            max_bytes: max_bytes as usize,
            bytes: 0,
            asked_at: now,
            left_at: None,
            waits: false,
        });
        self.under_way.gains(1);
        let at = now.plus(SILENCE);
        let is_set = self.timers.contains_key(&slot);
        (!is_set).then(|| *self.timers.entry(slot).or_insert(at))
    }

    /// A bundle of so many bytes has come over a link. Gives for what it was asked, if it was. `is_open` says whether a gap is.
    pub(in crate::protocol) fn takes(
        &mut self,
        slot: Slot,
        topic: &TopicId,
        bundle: &Missing,
        len: usize,
        now: Mono,
        is_open: impl Fn(&Missing) -> bool,
    ) -> Option<Covered> {
        let line = self.lines.get_mut(&slot)?;
        let position = bundle.position();
        let at = Mark { tick: position.tick, slot: position.slot.into() };
        // The first under way is what is being served, as a rule.
        for fetch in line.fetches.iter_mut().filter(|fetch| fetch.topic == *topic) {
            let fresh = now.since(fetch.asked_at) < TAKEN_FOR;
            let covers = |(missing, range): &(Missing, FetchedRange)| {
                range.author == bundle.author()
                    && range.from <= at
                    && position <= range.upto
                    && (fresh || is_open(missing))
            };
            let Some(index) = fetch.ranges.iter().position(covers) else { continue };
            let before = fetch.bytes;
            fetch.bytes = before.saturating_add(len);
            let beyond = if before > 0 && fetch.bytes > fetch.max_bytes { len } else { 0 };
            line.silent_since = now;
            line.pace_bytes = line.pace_bytes.saturating_add(len);
            let gap = fetch.ranges.get(index).map(|(missing, _)| *missing)?;
            return Some(Covered { gap, beyond });
        }
        None
    }

    /// A page has come: the fetch that it ends, if there is one.
    pub(in crate::protocol) fn end(&mut self, slot: Slot, number: u32, now: Mono) -> Option<Fetching> {
        let line = self.lines.get_mut(&slot)?;
        let at = line.fetches.iter().position(|fetch| fetch.number == number)?;
        let fetch = line.fetches.remove(at)?;
        line.begins(now);
        self.under_way.loses(usize::from(fetch.is_under_way()));
        if line.fetches.is_empty() {
            self.lines.remove(&slot);
        }
        Some(fetch)
    }

    /// It is time to see whether what is under way on a link comes. While we don't read nobody is slow.
    pub(in crate::protocol) fn pace(&mut self, slot: Slot, reads: bool, now: Mono) -> Pace {
        if self.timers.get(&slot).is_none_or(|at| *at > now) {
            return Pace::Idle;
        }
        self.timers.remove(&slot);
        let pace = self.pace_of(slot, reads, now);
        if let Pace::Fine(at) = pace {
            self.timers.insert(slot, at);
        }
        pace
    }

    fn pace_of(&mut self, slot: Slot, reads: bool, now: Mono) -> Pace {
        let Some(line) = self.lines.get_mut(&slot) else { return Pace::Idle };
        if !line.fetches.iter().any(Fetching::is_under_way) {
            return Pace::Idle;
        }
        if !reads {
            line.begins(now);
        }
        if now.since(line.silent_since) >= SILENCE {
            return Pace::Slow;
        }
        if now.since(line.pace_since) >= PACE_TIME {
            if line.pace_bytes < PACE_BYTES {
                return Pace::Slow;
            }
            (line.pace_since, line.pace_bytes) = (now, 0);
        }
        Pace::Fine(line.silent_since.plus(SILENCE).min(line.pace_since.plus(PACE_TIME)))
    }

    /// A slow link is left. Gives the numbers of what was under way with the gaps of each. `has_others` says for which fetches others
    /// are asked: the rest goes on.
    pub(in crate::protocol) fn leave(
        &mut self,
        slot: Slot,
        now: Mono,
        has_others: impl Fn(&TopicId, &Missing) -> bool,
    ) -> Vec<(u32, TopicId, Vec<Missing>)> {
        let Some(line) = self.lines.get_mut(&slot) else { return Vec::new() };
        let mut left = Vec::new();
        for fetch in line.fetches.iter_mut().filter(|fetch| fetch.is_under_way()) {
            fetch.left_at = Some(now);
            self.under_way.loses(1);
            fetch.waits = !fetch.ranges.iter().any(|(missing, _)| has_others(&fetch.topic, missing));
            if !fetch.waits {
                let gaps = fetch.ranges.iter().map(|(missing, _)| *missing).collect();
                left.push((fetch.number, fetch.topic, gaps));
            }
        }
        left
    }

    /// What is over: links that nobody could stand in for have had their time, and what is taken no more is forgotten. Gives the gaps
    /// of the former.
    pub(in crate::protocol) fn expire(&mut self, now: Mono) -> Vec<(Slot, u32, TopicId, Vec<Missing>)> {
        let mut over = Vec::new();
        for (slot, line) in &mut self.lines {
            for fetch in &mut line.fetches {
                if fetch.waits && now.since(fetch.asked_at) >= LONGEST_FETCH {
                    fetch.waits = false;
                    let gaps = fetch.ranges.iter().map(|(missing, _)| *missing).collect();
                    over.push((*slot, fetch.number, fetch.topic, gaps));
                }
            }
            line.fetches.retain(|fetch| fetch.is_under_way() || now.since(fetch.asked_at) < TAKEN_FOR);
        }
        self.lines.retain(|_, line| !line.fetches.is_empty());
        over
    }

    /// A link is gone.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot) {
        self.timers.remove(&slot);
        if let Some(line) = self.lines.remove(&slot) {
            self.under_way.loses(line.fetches.iter().filter(|fetch| fetch.is_under_way()).count());
        }
    }

    /// A topic is left.
    pub(in crate::protocol) fn forget_topic(&mut self, topic: &TopicId) {
        for line in self.lines.values_mut() {
            let goes = |fetch: &Fetching| fetch.topic == *topic;
            let under_way = line.fetches.iter().filter(|fetch| goes(fetch) && fetch.is_under_way()).count();
            self.under_way.loses(under_way);
            line.fetches.retain(|fetch| !goes(fetch));
        }
        self.lines.retain(|_, line| !line.fetches.is_empty());
    }
}

impl Line {
    fn begins(&mut self, now: Mono) {
        (self.silent_since, self.pace_since, self.pace_bytes) = (now, now, 0);
    }
}

#[cfg(any(test, feature = "sim"))]
impl Fetches {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let all = self.lines.values().flat_map(|line| &line.fetches);
        recount.same("fetches under way", self.under_way, all.filter(|fetch| fetch.is_under_way()).count());
        recount.holds(self.under_way <= MAX_FETCHES, "too many fetches");
        recount.holds(
            self.lines.values().all(|line| line.fetches.len() <= FETCHES_REMEMBERED),
            "too many fetches of one link",
        );
    }
}

#[cfg(test)]
mod tests;
