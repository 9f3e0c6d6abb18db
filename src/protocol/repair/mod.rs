//! What a node remembers of its kept topics, and how it finds and hands over what one of two nodes lacks.
//!
//! A topic is kept if its retention is longer than the relay window. Its bundles are in the store; here is what decides: which topics are
//! open there, and what they compare with peers. (docs/architecture.md, history)

pub(in crate::protocol) mod asker;
mod book;
mod brings;
mod bucket;
mod cost;
mod facts;
pub(in crate::protocol) mod fetches;
pub(in crate::protocol) mod gaps;
pub(in crate::protocol) mod heads;
mod held;
mod hints;
pub(in crate::protocol) mod late;
mod left;
mod looks;
pub(in crate::protocol) mod missing;
pub(in crate::protocol) mod moments;
pub(in crate::protocol) mod paces;
mod ranges;
mod refused;
mod rejudge;
mod removal;
mod serve;
pub(in crate::protocol) mod session;
mod topic;
mod turns;
mod waiting;
pub(in crate::protocol) mod walk;

use std::collections::BTreeMap;

use crate::protocol::keeping::{Full, Keeping};
use crate::protocol::{Config, HistoryConfig, Now};
use crate::rumor::TopicId;

pub(in crate::protocol) use cost::Cost;
pub(in crate::protocol) use left::Left;
pub(in crate::protocol) use looks::{LookFor, Looks, Purpose};
#[cfg(test)]
pub(in crate::protocol) use removal::SHARED_STEP_EVERY;
pub(in crate::protocol) use removal::SharedStep;
pub(in crate::protocol) use serve::{Reading, Server, Work};
pub(in crate::protocol) use topic::KeptTopic;
pub(in crate::protocol) use waiting::Waiting;

/// From this part of its bytes on a topic loses its oldest ticks, until it is at the other. (Guess: so that removing goes in steps that
/// are worth a commit.)
const FULL_AT: (u64, u64) = (15, 16);
const DOWN_TO: (u64, u64) = (7, 8);
/// From this part of the node's bytes on the authors of a topic share its reserve only, until it holds less than the other. (Guess: the
/// first a little below where removing ends, so that a node that is full stays so. The second is a sixteenth below it: twice what goes
/// when a step of the retention is over, a thirty-second part, so that a node that hovers there does not swing.)
const SHARED_FROM: (u64, u64) = (13, 16);
const SHARED_UNTIL: (u64, u64) = (12, 16);

/// All of it.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Repair {
    topics: BTreeMap<TopicId, KeptTopic>,
    /// It holds so much that authors share reserves.
    is_full: bool,
    waiting: Waiting,
    left: Left,
    shared_step: SharedStep,
    server: Server,
    looks: Looks,
}

impl Repair {
    /// A topic that is joined and kept.
    pub(in crate::protocol) fn topic(&self, topic: &TopicId) -> Option<&KeptTopic> {
        self.topics.get(topic)
    }

    /// The same, to change.
    pub(in crate::protocol) fn topic_mut(&mut self, topic: &TopicId) -> Option<&mut KeptTopic> {
        self.topics.get_mut(topic)
    }

    /// A topic is joined, and kept from now on.
    pub(in crate::protocol) fn enter(&mut self, topic: TopicId, kept: KeptTopic) {
        self.topics.insert(topic, kept);
    }

    /// A topic is left. What the store has of it stays there.
    pub(in crate::protocol) fn leave(&mut self, topic: &TopicId) {
        self.topics.remove(topic);
    }

    /// All topics that are joined and kept.
    pub(in crate::protocol) fn topics(&self) -> impl Iterator<Item = (&TopicId, &KeptTopic)> {
        self.topics.iter()
    }

    /// The same, to change.
    pub(in crate::protocol) fn topics_mut(&mut self) -> impl Iterator<Item = (&TopicId, &mut KeptTopic)> {
        self.topics.iter_mut()
    }

    /// Topics that were left.
    pub(in crate::protocol) const fn left(&self) -> &Left {
        &self.left
    }

    /// The same, to change.
    pub(in crate::protocol) const fn left_mut(&mut self) -> &mut Left {
        &mut self.left
    }

    /// The step of removing that all topics share.
    pub(in crate::protocol) const fn shared_step_mut(&mut self) -> &mut SharedStep {
        &mut self.shared_step
    }

    /// What the store was given to keep and has not answered.
    pub(in crate::protocol) const fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// The same, to change.
    pub(in crate::protocol) const fn waiting_mut(&mut self) -> &mut Waiting {
        &mut self.waiting
    }

    /// Whether a topic is relayed without being told to anybody yet: the store is opening it.
    pub(in crate::protocol) fn is_opening(&self, topic: &TopicId) -> bool {
        self.topics.get(topic).is_some_and(KeptTopic::is_opening)
    }

    /// Bytes that a topic may have in any case: what was chosen, or an equal part of the node's.
    pub(in crate::protocol) fn reserve(&self, kept: &KeptTopic, config: &HistoryConfig) -> u64 {
        let topics = u64::try_from(self.topics.len()).unwrap_or(u64::MAX).max(1);
        let part = config.bytes.checked_div(topics).unwrap_or(0);
        kept.options().reserve.unwrap_or(part).min(config.topic_bytes)
    }

    /// Whether a topic has room for so many bytes more. One that drops its oldest ticks always has: they go soon after.
    pub(in crate::protocol) fn has_room(&self, topic: &TopicId, bytes: u64, config: &Config) -> bool {
        let Some(kept) = self.topics.get(topic) else { return true };
        let wants = kept.size().bytes.saturating_add(self.waiting.bytes_of(topic)).saturating_add(bytes);
        // What replaces a cell is taken beyond the reserve, up to as much again; the store knows which does.
        let times = if kept.rules().kind().is_state() { 2 } else { 1 };
        kept.full() == Full::DropOldest || wants <= self.reserve(kept, &config.history).saturating_mul(times)
    }

    /// Bytes that the authors of a topic share: what it may have, which is its reserve where the node is full, or it drops nothing.
    fn shared(&self, kept: &KeptTopic, config: &HistoryConfig) -> u64 {
        let reserved = self.is_full || kept.full() == Full::Refuse;
        if reserved { self.reserve(kept, config) } else { config.topic_bytes }
    }

    /// What the store is to be told of a topic.
    pub(in crate::protocol) fn keeping(&self, kept: &KeptTopic, config: &HistoryConfig, now: Now) -> Keeping {
        kept.keeping(config, self.reserve(kept, config), self.shared(kept, config), now)
    }

    /// Open topics that the store should be asked about anew, since it may have lost something or was told something else, unless it is
    /// being asked, or could not just now.
    pub(in crate::protocol) fn open_anew(&mut self, config: &HistoryConfig, now: Now) -> Vec<TopicId> {
        let at = if self.is_full { SHARED_UNTIL } else { SHARED_FROM };
        self.is_full = self.bytes() > part(config.bytes, at);
        let due = |kept: &KeptTopic| kept.opens_anew(&self.keeping(kept, config, now), now.mono);
        self.topics.iter().filter(|(_, kept)| due(kept)).map(|(topic, _)| *topic).collect()
    }

    fn bytes(&self) -> u64 {
        self.topics.values().map(|kept| kept.size().bytes).fold(0, u64::saturating_add)
    }

    /// Topics that hold more than they may, each with the bytes that should be left of it.
    pub(in crate::protocol) fn overfull(&self, config: &HistoryConfig) -> Vec<(TopicId, u64)> {
        let crowded = self.bytes() > part(config.bytes, FULL_AT);
        let drops = self.topics.iter().filter(|(_, kept)| kept.is_open() && kept.full() == Full::DropOldest);
        drops
            .filter_map(|(topic, kept)| {
                let reserve = self.reserve(kept, config);
                let limit = if crowded { reserve } else { config.topic_bytes };
                (kept.size().bytes > part(limit, FULL_AT)).then_some((*topic, part(limit, DOWN_TO)))
            })
            .collect()
    }
}

fn part(of: u64, (numerator, denominator): (u64, u64)) -> u64 {
    of.checked_div(denominator).unwrap_or(0).saturating_mul(numerator)
}

impl Repair {
    /// The same, to answer it.
    pub(in crate::protocol) const fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// A topic, and what peers ask of us: an answer is made of both.
    pub(in crate::protocol) fn serving(&mut self, topic: &TopicId) -> Option<(&mut KeptTopic, &mut Server)> {
        self.topics.get_mut(topic).map(|kept| (kept, &mut self.server))
    }

    /// How many heads each topic may remember: as many as are free, in equal parts, and an equal part of all in any case. Where there
    /// are too many in all, those that have the most have fewer.
    pub(in crate::protocol) fn share_heads(&mut self, config: &HistoryConfig) {
        let total: usize = self.topics.values().map(|kept| kept.book().count()).sum();
        let topics = self.topics.len().max(1);
        let part = config.heads.checked_div(topics).unwrap_or(0);
        let free = config.heads.saturating_sub(total).checked_div(topics).unwrap_or(0);
        let mut over = total.saturating_sub(config.heads);
        let mut by_count: Vec<_> = self.topics.values_mut().map(KeptTopic::book_mut).collect();
        by_count.sort_by_key(|book| std::cmp::Reverse(book.count()));
        for book in by_count {
            let gives = book.count().saturating_sub(part).min(over);
            over = over.saturating_sub(gives);
            let most = book.count().saturating_sub(gives).saturating_add(free).max(part);
            book.set_most(most.min(config.topic_heads));
        }
    }

    /// How many heads a topic may remember that is being opened: what others leave, or an equal part.
    pub(in crate::protocol) fn room_for_heads(&self, topic: &TopicId, config: &HistoryConfig) -> usize {
        let others = self.topics.iter().filter(|(other, _)| *other != topic);
        let others: usize = others.map(|(_, kept)| kept.book().count()).sum();
        let part = config.heads.checked_div(self.topics.len().max(1)).unwrap_or(0);
        config.heads.saturating_sub(others).max(part).min(config.topic_heads)
    }

    /// What was asked of the store.
    pub(in crate::protocol) const fn looks_mut(&mut self) -> &mut Looks {
        &mut self.looks
    }
}

#[cfg(any(test, feature = "sim"))]
impl Repair {
    /// About how much a recount walks through.
    pub(in crate::protocol) fn weight(&self) -> usize {
        self.topics.values().map(|kept| kept.book().weight()).sum()
    }

    pub(in crate::protocol) fn check(
        &self,
        config: &HistoryConfig,
        recount: &mut crate::protocol::check::Recount,
    ) {
        self.server.check(recount);
        let mut heads = 0usize;
        for kept in self.topics.values() {
            kept.book().check(recount);
            heads = heads.saturating_add(kept.book().count());
        }
        // A topic that has few may have its part while another still has more than its own.
        recount.holds(heads <= config.heads.saturating_mul(2), "more heads than a node may remember");
        recount.holds(
            self.looks.len() <= crate::protocol::limits::MAX_LOOKS,
            "more questions to the store than may be",
        );
    }
}

#[cfg(test)]
mod tests;
