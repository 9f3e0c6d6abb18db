//! Pulls: asking for what was announced, serving what we announced, and telling who serves badly.

use std::time::Duration;

use super::engine::Engine;
use super::intake::Sender;
use super::linkset::Slot;
use super::time::Mono;
use super::timers::Timer;
use super::wants::{Added, MAX_WANTS_PER_LINK, patience};
use crate::rumor::{BundleId, TopicId};
use crate::wire::{self, Announced, Ids};

/// Pulls that a link may owe us at once, and about how many bytes: what is asked for arrives without a further budget.
const MAX_OWED: usize = 256;
const MAX_OWED_BYTES: usize = 1 << 20;
/// One pull in this many goes to a random source, so that a link that got better, or is new, is noticed.
const EXPLORE: usize = 5;
/// Above this the estimate of the median is of no use: no pull waits longer than 2 s.
const LONGEST_SERVE: Duration = Duration::from_secs(1);
/// Bytes around a pulled bundle: a whole frame's, if it comes alone.
const REPLY_OVERHEAD: usize = 8;
/// Starved ids that are tried again when a pull ends.
const RETRIES: usize = 4;

impl Engine {
    pub(super) fn on_announce(&mut self, sender: Sender, announced: Announced) {
        let topic = announced.topic;
        let now = self.now.mono;
        if let Some(link) = self.links.at_mut(sender.slot) {
            link.budget.charge_cpu(now, Duration::from_micros(1) * announced.items.len() as u32);
        }
        let Some(window) = self.topics.get_mut(&topic) else {
            self.counters.unknown_topic += 1;
            return;
        };
        let mut unknown = Vec::new();
        for (id, size) in announced.items {
            if window.is_refused(&id) {
                self.counters.refused_again += 1;
            } else if let Some(entry) = window.entry_mut(&id) {
                entry.have.insert(sender.slot);
                if matches!(entry.stage, super::entry::Stage::Fetching) {
                    unknown.push((id, size));
                }
            } else {
                unknown.push((id, size));
            }
        }
        for (id, size) in unknown {
            self.want(sender, topic, id, size);
        }
    }

    /// Notes that `sender` holds what we lack, and asks somebody for it if nobody is being asked.
    pub(super) fn want(&mut self, sender: Sender, topic: TopicId, id: BundleId, size: u8) {
        let Some(link) = self.links.at_mut(sender.slot) else { return };
        if link.wanted_from >= MAX_WANTS_PER_LINK {
            self.counters.wants_refused += 1;
            return;
        }
        // A class beyond the largest bundle is a lie that only makes the liar be asked later.
        let size = size.min(17);
        match self.wants.add(id, topic, size, sender.slot) {
            Added::Ask => {
                link.wanted_from += 1;
                self.ask(id);
            }
            Added::Noted => link.wanted_from += 1,
            Added::Nothing => {}
            Added::Full => self.counters.wants_refused += 1,
        }
    }

    /// Asks the next source, or sources, for a wanted id.
    pub(super) fn ask(&mut self, id: BundleId) {
        let now = self.now.mono;
        let Some(want) = self.wants.get(&id) else { return };
        let (topic, size, width) = (want.topic, want.size, usize::from(want.width));
        // A copy of it is being judged: only if that fails is another needed.
        let entry = self.topics.get(&topic).and_then(|window| window.entry(&id));
        if entry.is_some_and(|entry| !matches!(entry.stage, super::entry::Stage::Fetching)) {
            return;
        }
        let missing = width.saturating_sub(want.under_way());
        let idle = want.idle();
        if idle.is_empty() {
            if want.under_way() == 0 {
                self.counters.wants_given_up += 1;
                self.drop_want(&id);
            }
            return;
        }
        let bytes = 1usize << size;
        let fits = |slot: &Slot| {
            self.links.at(*slot).is_some_and(|link| {
                let service = &link.service;
                !link.closing
                    && service.owed < MAX_OWED
                    && (service.owed == 0 || service.owed_bytes.saturating_add(bytes) <= MAX_OWED_BYTES)
            })
        };
        let mut free: Vec<_> = idle.into_iter().filter(fits).collect();
        if free.is_empty() {
            if self.wants.get(&id).is_some_and(|want| want.under_way() == 0) && self.starving.insert(id) {
                self.starved.push_back(id);
            }
            return;
        }
        // Those that served whenever they were asked come first, the quickest first; a link never asked counts as quick as
        // its round trip. One miss puts a link behind all that have none, so a liar costs each node one time-out.
        let rank = |slot: &Slot| {
            let link = self.links.at(*slot);
            let misses = link.map_or(usize::MAX, |link| link.service.recent_misses(now));
            let delay = link.map(|link| link.service.delay.unwrap_or(link.rtt));
            (link.is_some_and(|link| link.service.is_last_resort(now)), misses, delay)
        };
        free.sort_by_cached_key(rank);
        if self.random.below(EXPLORE) == 0 {
            let spotless = free.iter().take_while(|slot| rank(slot).1 == 0).count().max(1);
            let choice = self.random.below(spotless).min(free.len() - 1);
            free.swap(0, choice);
        }
        for slot in free.into_iter().take(missing.max(1)) {
            let Some(link) = self.links.at_mut(slot) else { continue };
            link.service.owed += 1;
            link.service.owed_bytes += bytes;
            link.service.grant(bytes + REPLY_OVERHEAD);
            link.outbox.pull(topic, id);
            self.dirty.insert(slot);
            self.counters.pulls += 1;
            let due = now.plus(patience(link.rtt, self.median_serve));
            self.timers.set(due, Timer::PullOverdue { id, slot, asked: now });
            if let Some(want) = self.wants.get_mut(&id) {
                want.asked(slot, now);
            }
        }
    }

    /// A copy came: was it pulled from this link?
    pub(super) fn pull_answered(&mut self, sender: Sender, id: &BundleId) -> bool {
        let now = self.now.mono;
        let Some(want) = self.wants.get_mut(id) else { return false };
        let size = want.size;
        let Some(asked) = want.answered(sender.slot) else { return false };
        self.settle(sender.slot, size);
        let took = now.since(asked);
        if let Some(link) = self.links.at_mut(sender.slot) {
            link.service.served(took);
        }
        self.sample_serve(took);
        self.retry_starved();
        true
    }

    /// A median by small steps towards each sample: robust against the minority who are slow on purpose.
    fn sample_serve(&mut self, took: Duration) {
        let median = self.median_serve.unwrap_or(took);
        let step = (median / 16).max(Duration::from_micros(50));
        let moved = if took > median { median + step } else { median.saturating_sub(step) };
        self.median_serve = Some(moved.min(LONGEST_SERVE));
    }

    /// A pull of this link is over: it owes us that much less.
    fn settle(&mut self, slot: Slot, size: u8) {
        if let Some(link) = self.links.at_mut(slot) {
            link.service.owed = link.service.owed.saturating_sub(1);
            link.service.owed_bytes = link.service.owed_bytes.saturating_sub(1 << size);
        }
    }

    fn retry_starved(&mut self) {
        for _ in 0..RETRIES.min(self.starved.len()) {
            if let Some(id) = self.starved.pop_front() {
                self.starving.remove(&id);
                self.ask(id);
            }
        }
    }

    pub(super) fn on_pull_overdue(&mut self, id: BundleId, slot: Slot, asked: Mono) {
        let Some(want) = self.wants.get_mut(&id) else { return };
        if !want.asking().any(|under_way| under_way == (slot, asked)) {
            return;
        }
        // It took at least this long. Left out, the median would only know the pulls that were quick enough, and under
        // load ever more of them would be asked for twice.
        self.sample_serve(self.now.mono.since(asked));
        self.pull_failed(slot, id);
    }

    fn pull_failed(&mut self, slot: Slot, id: BundleId) {
        let now = self.now.mono;
        let Some(want) = self.wants.get_mut(&id) else { return };
        if want.answered(slot).is_none() {
            return;
        }
        // Two at once next time, then three.
        want.width = want.width.saturating_add(1).min(3);
        let size = want.size;
        self.counters.pulls_unserved += 1;
        self.settle(slot, size);
        if let Some(link) = self.links.at_mut(slot) {
            link.service.missed(now);
        }
        self.ask(id);
        self.retry_starved();
    }

    pub(super) fn on_gone(&mut self, sender: Sender, gone: Ids) {
        for id in gone.ids {
            self.pull_failed(sender.slot, id);
        }
    }

    /// The id is no longer wanted: whoever still owes a copy may drop it.
    pub(super) fn drop_want(&mut self, id: &BundleId) {
        let Some(want) = self.wants.remove(id) else { return };
        for (slot, _) in want.asking() {
            self.settle(slot, want.size);
            if let Some(link) = self.links.at_mut(slot) {
                link.outbox.cancel(want.topic, *id);
                self.dirty.insert(slot);
            }
        }
        for slot in want.sources() {
            if let Some(link) = self.links.at_mut(slot) {
                link.wanted_from = link.wanted_from.saturating_sub(1);
            }
        }
        self.retry_starved();
    }

    pub(super) fn on_pull(&mut self, sender: Sender, pull: Ids) {
        let now = self.now.mono;
        for id in pull.ids {
            let held = self.topics.get_mut(&pull.topic).and_then(|window| window.entry_mut(&id));
            let body = held.filter(|entry| entry.is_accepted()).and_then(|entry| entry.body.clone());
            let Some(link) = self.links.at_mut(sender.slot) else { return };
            self.dirty.insert(sender.slot);
            let Some(bundle) = body else {
                self.counters.gone += 1;
                link.outbox.gone(pull.topic, id);
                continue;
            };
            // Charged before the work: asking for much with little empties the asker's own budget.
            link.budget.bytes.charge(now, wire::bundle_item_len(&bundle) as u64);
            if link.outbox.reply(bundle) {
                self.counters.served += 1;
                if let Some(entry) = self.topics.get_mut(&pull.topic).and_then(|window| window.entry_mut(&id))
                {
                    entry.have.insert(sender.slot);
                }
            } else {
                self.counters.gone += 1;
                link.outbox.gone(pull.topic, id);
                // We do hold it and only lack the room: it is announced again when there is some.
                link.outbox.behind = true;
                if let Some(entry) = self.topics.get_mut(&pull.topic).and_then(|window| window.entry_mut(&id))
                {
                    entry.told.remove(sender.slot);
                }
            }
        }
    }

    pub(super) fn on_cancel(&mut self, sender: Sender, cancel: Ids) {
        for id in cancel.ids {
            if let Some(entry) = self.topics.get_mut(&cancel.topic).and_then(|window| window.entry_mut(&id)) {
                entry.have.insert(sender.slot);
            }
            if self.links.at_mut(sender.slot).is_some_and(|link| link.outbox.drop_reply(&id)) {
                self.counters.cancelled += 1;
            }
        }
    }
}
