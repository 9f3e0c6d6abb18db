//! What peers ask of the past waits here, within what answering may cost: processor time and bytes of the whole node, a turn for each
//! link.
//!
//! ```text
//!   Ask    ─> one in hand of a link ─┐                 ┌─> hashed and listed at once            ─> Tell
//!   Fetch  ─> two of a link         ─┴─ round robin ───┴─> read by the store, so many at a time ─> Bundles ... Page
//!                 more: "no"             while there is budget
//! ```
//!
//! What an answer takes is charged before it is done, as the most that it can take; what was not needed is given back. So the budget
//! is overdrawn by one answer at the most.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::{BTreeMap, VecDeque};

use super::bucket::Bucket;
use super::cost::Cost;
use crate::protocol::LinkId;
use crate::protocol::keeping::Range;
use crate::protocol::limits::{
    ANSWER_CPU_BURST, ANSWER_CPU_PER_S, ASK_PATIENCE, FETCHES_QUEUED, FIRST_SERVED_PER_S, LEAST_SERVED_PER_S,
    MAX_STORE_READS,
};
use crate::protocol::linkset::Slot;
use crate::protocol::time::{Mono, nanos};
use crate::rumor::TopicId;
use crate::wire::{Ask, Fetch, Mark};

/// A page that the store reads for a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Reading {
    /// Who waits for it.
    pub(in crate::protocol) link: LinkId,
    pub(in crate::protocol) slot: Slot,
    pub(in crate::protocol) topic: TopicId,
    /// The asker's number.
    pub(in crate::protocol) session: u32,
    /// Bytes that were charged for it.
    pub(in crate::protocol) charged: u64,
    /// For each range that was asked for: where it begins, and what is read of it, or where it stands if that is nothing.
    pub(in crate::protocol) parts: Vec<(Mark, Result<Range, Mark>)>,
}

/// The next thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Work {
    Ask(Slot, Ask),
    Fetch(Slot, Fetch),
}

/// What one link has asked.
#[derive(Debug, Default)]
struct Queue {
    ask: Option<(Ask, Mono)>,
    fetches: VecDeque<Fetch>,
    /// Pages that the store reads for it, each with the session.
    reading: Vec<u32>,
}

impl Queue {
    fn waits(&self) -> bool {
        self.ask.is_some() || !self.fetches.is_empty()
    }

    fn is_idle(&self) -> bool {
        !self.waits() && self.reading.is_empty()
    }
}

/// All that is asked of us.
#[derive(Debug)]
pub(in crate::protocol) struct Server {
    queues: BTreeMap<Slot, Queue>,
    /// Links of which something waits, the next one first.
    turns: VecDeque<Slot>,
    cpu: Bucket,
    bytes: Bucket,
    rate: u64,
    reads: usize,
    /// When it looks again, if a timer is set.
    wakes_at: Option<Mono>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            queues: BTreeMap::new(),
            turns: VecDeque::new(),
            cpu: Bucket::new(nanos(ANSWER_CPU_PER_S), nanos(ANSWER_CPU_BURST)),
            bytes: Bucket::new(FIRST_SERVED_PER_S, burst_of(FIRST_SERVED_PER_S)),
            rate: FIRST_SERVED_PER_S,
            reads: 0,
            wakes_at: None,
        }
    }
}

/// Bytes at once: those of a quarter of a second, so that a page or two can go.
const fn burst_of(per_second: u64) -> u64 {
    per_second / 4
}

impl Server {
    /// A link asks. Given back if it has an ask in hand: the answer is "no".
    pub(in crate::protocol) fn asks(&mut self, slot: Slot, ask: Ask, now: Mono) -> Option<Ask> {
        let queue = self.queues.entry(slot).or_default();
        if queue.ask.is_some() {
            return Some(ask);
        }
        queue.ask = Some((ask, now));
        self.takes_turn(slot);
        None
    }

    /// A link fetches. Given back if as many of its fetches are in hand as may be: the answer is a page that begins nothing.
    pub(in crate::protocol) fn fetches(&mut self, slot: Slot, fetch: Fetch) -> Option<Fetch> {
        let queue = self.queues.entry(slot).or_default();
        if queue.fetches.len().saturating_add(queue.reading.len()) >= FETCHES_QUEUED {
            return Some(fetch);
        }
        queue.fetches.push_back(fetch);
        self.takes_turn(slot);
        None
    }

    fn takes_turn(&mut self, slot: Slot) {
        if !self.turns.contains(&slot) {
            self.turns.push_back(slot);
        }
    }

    /// A link takes back what it asked in a session. What the store reads for it already is not sent: see [`Server::was_read`].
    pub(in crate::protocol) fn stops(&mut self, slot: Slot, session: u32) {
        let Some(queue) = self.queues.get_mut(&slot) else { return };
        queue.ask.take_if(|(ask, _)| ask.session == session);
        queue.fetches.retain(|fetch| fetch.session != session);
        queue.reading.retain(|reading| *reading != session);
        self.tidies(slot);
    }

    /// A link is gone.
    pub(in crate::protocol) fn leaves(&mut self, slot: Slot) {
        self.queues.remove(&slot);
        self.turns.retain(|other| *other != slot);
    }

    fn tidies(&mut self, slot: Slot) {
        let Some(queue) = self.queues.get(&slot) else { return };
        if !queue.waits() {
            self.turns.retain(|other| *other != slot);
        }
        if queue.is_idle() {
            self.queues.remove(&slot);
        }
    }

    /// What is to be done next within the budget: a link that had its turn goes behind the others. `reads` says whether a link has
    /// room for a page.
    pub(in crate::protocol) fn next(&mut self, now: Mono, reads: impl Fn(Slot) -> bool) -> Option<Work> {
        if !self.bytes.has_some(now) || !self.cpu.has_some(now) {
            return None;
        }
        for _ in 0..self.turns.len() {
            let slot = self.turns.pop_front()?;
            let Some(queue) = self.queues.get_mut(&slot) else { continue };
            let ask = queue.ask.take();
            let fetches = ask.is_none() && self.reads < MAX_STORE_READS && reads(slot);
            let fetch = if fetches { queue.fetches.pop_front() } else { None };
            if queue.waits() {
                self.turns.push_back(slot);
            }
            let work = match (ask, fetch) {
                (Some((ask, _)), _) => Work::Ask(slot, ask),
                (None, Some(fetch)) => Work::Fetch(slot, fetch),
                (None, None) => continue,
            };
            self.tidies(slot);
            return Some(work);
        }
        None
    }

    /// Asks that have waited for so long that the answer is "no".
    pub(in crate::protocol) fn overdue(&mut self, now: Mono) -> Vec<(Slot, Ask)> {
        let mut over = Vec::new();
        for (slot, queue) in &mut self.queues {
            let late = queue.ask.take_if(|(_, since)| now.since(*since) >= ASK_PATIENCE);
            over.extend(late.map(|(ask, _)| (*slot, ask)));
        }
        over.iter().for_each(|(slot, _)| self.tidies(*slot));
        over
    }

    /// When there is something to do, unless something happens before. Given once for each time.
    pub(in crate::protocol) fn wakes(&mut self, now: Mono) -> Option<Mono> {
        let asks = self.queues.values().filter_map(|queue| queue.ask.as_ref());
        let overdue = asks.map(|(_, since)| since.plus(ASK_PATIENCE)).min();
        if self.turns.is_empty() {
            return None;
        }
        let budget = self.cpu.has_some_at(now).max(self.bytes.has_some_at(now));
        // With budget left something else is waited for: a store, or a link that reads.
        let budget = Some(budget).filter(|at| *at > now);
        let at = budget.into_iter().chain(overdue).min()?;
        if self.wakes_at.is_some_and(|set| set <= at && set > now) {
            return None;
        }
        self.wakes_at = Some(at);
        Some(at)
    }

    /// Whether there is processor time for a further part of an answer.
    pub(in crate::protocol) fn may_compute(&mut self, now: Mono) -> bool {
        self.cpu.has_some(now)
    }

    /// This much is going to be computed, for others or for ourselves.
    pub(in crate::protocol) fn computes(&mut self, now: Mono, cost: Cost) {
        self.cpu.spend(now, cost.nanos());
    }

    /// So many bytes are going to be sent.
    pub(in crate::protocol) fn sends(&mut self, now: Mono, bytes: u64) {
        self.bytes.spend(now, bytes);
    }

    /// Of those, so many are not.
    pub(in crate::protocol) fn sends_less(&mut self, bytes: u64) {
        self.bytes.give_back(bytes);
    }

    /// The store reads a page for a link.
    pub(in crate::protocol) fn reads(&mut self, slot: Slot, session: u32) {
        self.reads = self.reads.saturating_add(1);
        self.queues.entry(slot).or_default().reading.push(session);
    }

    /// It has read it. Whether the link still wants it.
    pub(in crate::protocol) fn was_read(&mut self, slot: Slot, session: u32, same_link: bool) -> bool {
        self.reads = self.reads.saturating_sub(1);
        if !same_link {
            return false;
        }
        let Some(queue) = self.queues.get_mut(&slot) else { return false };
        let found = queue.reading.iter().position(|reading| *reading == session);
        found.map(|at| queue.reading.remove(at));
        self.tidies(slot);
        found.is_some()
    }

    /// Once a second: more bytes while the living have room, and fewer when they wait.
    pub(in crate::protocol) fn adapts(&mut self, now: Mono, living_wait: bool, most: u64) {
        let rate = if living_wait { self.rate / 2 } else { self.rate.saturating_add(self.rate / 10) };
        self.rate = rate.max(LEAST_SERVED_PER_S).min(most.max(1));
        self.bytes.set_rate(now, self.rate, burst_of(self.rate));
    }

    /// Bytes a second that are served now.
    #[cfg(test)]
    pub(in crate::protocol) const fn rate(&self) -> u64 {
        self.rate
    }

    /// Links that have asked something.
    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let waiting = self.queues.values().filter(|queue| queue.waits()).count();
        recount.same("links that wait for their turn", self.turns.len(), waiting);
        recount.holds(self.reads <= MAX_STORE_READS, "more reads than there may be");
        for queue in self.queues.values() {
            let fetches = queue.fetches.len().saturating_add(queue.reading.len());
            recount.holds(fetches <= FETCHES_QUEUED, "more fetches of a link than there may be");
            recount.holds(!queue.is_idle(), "a link that asks nothing");
        }
    }
}
