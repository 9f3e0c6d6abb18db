//! Pulls: asking for what was announced, serving what we announced, and telling who serves badly.

use std::time::Duration;

use super::engine::Engine;
use super::entry::Stage;
use super::intake::Sender;
use super::linkset::Slot;
use super::time::Mono;
use super::timers::Timer;
use super::wants::{Added, Want, WantId, patience};
use crate::rumor::{BundleId, TopicId};
use crate::wire::{self, Announced, Ids};

/// Pulls that a link may owe us at once, and about how many bytes: what is asked for arrives without a further budget.
const MAX_OWED: usize = 256;
const MAX_OWED_BYTES: usize = 1 << 20;
/// One pull in this many goes to a random source, so that a link that got better, or is new, is noticed.
const EXPLORE: usize = 5;
/// Above this the estimate of the median is of no use: no pull waits longer than 2 s.
const LONGEST_SERVE: Duration = Duration::from_secs(1);
/// How long whoever announces must serve, and how long a late copy is waited for if the link is busy with others (design
/// section 7, point 4).
pub(super) const SERVES_FOR: Duration = Duration::from_secs(10);
/// Starved ids that are tried again when a pull ends.
const RETRIES: usize = 4;

impl Engine {
    pub(super) fn on_announce(&mut self, sender: Sender, announced: Announced) {
        let topic = announced.topic;
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
                // Also while a copy is being judged: if that is a forgery, this link is asked.
                if matches!(entry.stage, Stage::Fetching | Stage::Verifying { .. }) {
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
        // A class beyond the largest bundle is a lie that only makes the liar be asked later.
        let size = size.min(17);
        match self.wants.add((topic, id), size, sender.slot, link.wanted_from) {
            Added::Ask => {
                link.wanted_from += 1;
                self.ask((topic, id));
            }
            Added::Noted => link.wanted_from += 1,
            Added::Nothing => {}
            Added::Full => {
                self.counters.wants_refused += 1;
                link.has_more(topic);
            }
        }
    }

    /// Asks the next source, or sources, for a wanted id, unless enough are being asked.
    pub(super) fn ask(&mut self, wanted: WantId) {
        let now = self.now.mono;
        let Some(want) = self.wants.get(&wanted) else { return };
        let (topic, id) = wanted;
        let size = want.size;
        // A copy of it is being judged: only if that fails is another needed.
        let entry = self.topics.get(&topic).and_then(|window| window.entry(&id));
        if entry.is_some_and(|entry| !matches!(entry.stage, Stage::Fetching)) {
            return;
        }
        let (width, in_time, under_way) = (usize::from(want.width), want.in_time(), want.under_way());
        if in_time >= width || want.rests_until > now {
            return;
        }
        let (_, idle) = want.idle();
        let hopeless = |slot: &Slot| self.links.at(*slot).is_none_or(|link| link.service.is_last_resort(now));
        if idle.is_empty() {
            if under_way == 0 {
                self.give_up(&wanted);
            }
            return;
        }
        let bytes = 1usize << size;
        let fits = |slot: &Slot| {
            self.links.at(*slot).is_some_and(|link| {
                let service = &link.service;
                !link.closing
                    && !link.outbox.has_pulls(MAX_OWED)
                    && service.owed < MAX_OWED
                    && (service.owed == 0 || service.owed_bytes.saturating_add(bytes) <= MAX_OWED_BYTES)
            })
        };
        let mut free: Vec<_> = idle.into_iter().filter(fits).collect();
        if free.is_empty() {
            if under_way == 0 {
                self.wants.starve(wanted);
            }
            return;
        }
        // Those that served whenever they were asked come first, the quickest first; a link never asked counts as quick as
        // its round trip. One miss puts a link behind all that have none, so a liar costs each node one time-out.
        let rank = |slot: &Slot| {
            let link = self.links.at(*slot);
            let misses = link.map_or(usize::MAX, |link| link.service.recent_misses(now));
            let delay = link.map(|link| link.service.delay.unwrap_or(link.rtt));
            (hopeless(slot), misses, delay)
        };
        free.sort_by_cached_key(rank);
        let proven = free.iter().filter(|slot| !hopeless(slot)).count();
        if self.random.below(EXPLORE) == 0 {
            let spotless = free.iter().take_while(|slot| rank(slot).1 == 0).count().max(1);
            let choice = self.random.below(spotless).min(free.len() - 1);
            free.swap(0, choice);
        }
        // What strikers have been asked for does not keep us from asking others, but from asking more strikers.
        let missing = width.saturating_sub(if proven > 0 { in_time } else { under_way });
        for slot in free.into_iter().take(missing) {
            let Some(link) = self.links.at_mut(slot) else { continue };
            link.service.owed += 1;
            link.service.owed_bytes += bytes;
            link.outbox.pull(topic, id);
            self.dirty.insert(slot);
            self.counters.pulls += 1;
            let due = now.plus(patience(link.rtt, self.median_serve));
            self.timers.set(due, Timer::PullOverdue { wanted, slot, asked: now });
            let striker = link.service.is_last_resort(now);
            if let Some(want) = self.wants.get_mut(&wanted) {
                want.asked(slot, now, striker);
            }
        }
    }

    /// A copy came: was it pulled from this link? Gives how many bytes were asked for.
    pub(super) fn pull_answered(&mut self, sender: Sender, wanted: &WantId) -> Option<usize> {
        let now = self.now.mono;
        let want = self.wants.get_mut(wanted)?;
        let size = want.size;
        let asked = want.answered(sender.slot, false)?;
        self.settle(sender.slot, size);
        let took = now.since(asked);
        if let Some(link) = self.links.at_mut(sender.slot) {
            link.service.served(took, now);
        }
        self.sample_serve(took);
        self.retry_starved();
        Some(1 << size)
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

    /// Not from within itself: what is given up here frees room that the next pull to end may use.
    fn retry_starved(&mut self) {
        if std::mem::replace(&mut self.wants.retrying, true) {
            return;
        }
        for _ in 0..RETRIES {
            let Some(wanted) = self.wants.pop_starved() else { break };
            self.ask(wanted);
        }
        self.wants.retrying = false;
    }

    pub(super) fn on_pull_overdue(&mut self, wanted: WantId, slot: Slot, asked: Mono) {
        let now = self.now.mono;
        let under_way = |want: &super::wants::Want| want.asking().any(|under_way| under_way == (slot, asked));
        if !self.wants.get(&wanted).is_some_and(under_way) {
            return;
        }
        let Some(link) = self.links.at(slot) else { return };
        let patience = patience(link.rtt, self.median_serve);
        // A link that is working through what we asked it for before, or that we do not read, has not failed us. Asking
        // it again would only lengthen its queue; another may well be quicker.
        let busy = link.service.is_serving(now, patience) || link.is_reading_paused();
        let waits_on = busy && !link.closing && now.since(asked) < SERVES_FOR;
        // It took at least this long. Left out, the median would only know the pulls that were quick enough, and under
        // load ever more of them would be asked for twice. A link that has never served says nothing about serving.
        if link.service.delay.is_some() {
            self.sample_serve(now.since(asked));
        }
        if !waits_on {
            return self.pull_failed(slot, wanted, true);
        }
        if let Some(want) = self.wants.get_mut(&wanted) {
            want.is_slow(slot);
        }
        self.timers.set(now.plus(patience), Timer::PullOverdue { wanted, slot, asked });
        self.ask(wanted);
    }

    /// A pull came to nothing. It is held against the link if `missed`.
    fn pull_failed(&mut self, slot: Slot, wanted: WantId, missed: bool) {
        let now = self.now.mono;
        let Some(want) = self.wants.get_mut(&wanted) else { return };
        if want.answered(slot, missed).is_none() {
            return;
        }
        // Two at once next time, then three.
        want.width = want.width.saturating_add(1).min(3);
        let rest = Want::rest(want.idle().0);
        if want.under_way() == 0 && !rest.is_zero() {
            want.rests_until = now.plus(rest);
            self.timers.set(want.rests_until, Timer::RestOver(wanted));
        }
        let size = want.size;
        self.counters.pulls_unserved += 1;
        self.settle(slot, size);
        if missed && let Some(link) = self.links.at_mut(slot) {
            link.service.missed(now);
        }
        self.ask(wanted);
        self.retry_starved();
    }

    pub(super) fn on_gone(&mut self, sender: Sender, gone: Ids) {
        let now = self.now.mono;
        // What it announced may be gone because its author was convicted since: then the proof has just come.
        let excused =
            |link: &super::link::Link| link.evidence_at.is_some_and(|at| now.since(at) < SERVES_FOR);
        let missed = !self.links.at(sender.slot).is_some_and(excused);
        for id in gone.ids {
            self.pull_failed(sender.slot, (gone.topic, id), missed);
        }
    }

    /// The id is no longer wanted: whoever still owes a copy may drop it.
    pub(super) fn drop_want(&mut self, wanted: &WantId) {
        let Some(want) = self.forget_want(wanted) else { return };
        for slot in want.owing() {
            if let Some(link) = self.links.at_mut(slot) {
                link.outbox.cancel(wanted.0, wanted.1);
                self.dirty.insert(slot);
            }
        }
        self.retry_starved();
    }

    /// Nobody has served the id. A late copy is still welcome, so nothing is cancelled; and whoever does serve now and then,
    /// and so may only be overloaded, is asked in a while to announce what it holds again.
    fn give_up(&mut self, wanted: &WantId) {
        let Some(want) = self.forget_want(wanted) else { return };
        self.counters.wants_given_up += 1;
        for slot in want.sources() {
            if let Some(link) = self.links.at_mut(slot)
                && link.service.delay.is_some()
            {
                link.has_more(wanted.0);
            }
        }
        self.retry_starved();
    }

    fn forget_want(&mut self, wanted: &WantId) -> Option<Want> {
        let want = self.wants.remove(wanted)?;
        for (slot, _) in want.asking() {
            self.settle(slot, want.size);
        }
        for slot in want.sources() {
            if let Some(link) = self.links.at_mut(slot) {
                link.wanted_from = link.wanted_from.saturating_sub(1);
            }
        }
        Some(want)
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
            let author = bundle.header().author;
            // Charged before the work: asking for much with little empties the asker's own budget.
            link.budget.bytes.charge(now, wire::bundle_item_len(&bundle) as u64);
            let turn = self.topics.get(&pull.topic).map_or(author, |window| window.turn_of(&author, now));
            if link.outbox.reply(turn, bundle) {
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
