//! Pulls: asking for what was announced.

use crate::protocol::timers::WantId;
use std::time::Duration;

use crate::protocol::LinkId;
use crate::protocol::engine::Engine;
use crate::protocol::failpoint::Failpoint;
use crate::protocol::limits::MAX_OWED;
use crate::protocol::links::Link;
use crate::protocol::links::Sender;
use crate::protocol::links::outbox::FRAME_TARGET;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::pulls::{Added, Want};
use crate::protocol::time::Mono;
use crate::protocol::timers::Timer;
use crate::protocol::topics::entry::Stage;
use crate::rumor::{BundleId, TopicId};
use crate::wire::Announced;

/// One pull in this many goes to a random source, so that a link that got better, or is new, is noticed.
const EXPLORE: usize = 5;
/// Per byte: 2 Mbit/s. A link slower than this times out now and then, and is asked later than others. (Guess.)
const SLOWEST_LINE: Duration = Duration::from_micros(4);
/// Starved ids that are tried again when a pull ends.
const RETRIES: usize = 4;

/// Whether a link may be asked for something of this size class: it owes us no more than it may, and has brought no more rumors. (What is
/// said of `members` has a bill of its own.)
fn may_be_asked(link: &Link, size: u8, now: Mono, members: bool) -> bool {
    !link.is_closing()
        && !link.outbox().has_pulls(MAX_OWED)
        && link.service().may_owe(1 << size)
        && (members || link.budget().pulls_overdrawn_until(now).is_none())
}

/// Whether a link may be a liar: it was struck, has just failed, or has never brought anything while pulls go unserved (`wary`),
/// which says that there are liars. Such links are asked like others, but not waited for if somebody better announces the same.
fn is_doubtful(link: &Link, wary: bool, now: Mono) -> bool {
    let struck = link.service().is_last_resort(now);
    let unproven = !link.is_proven() && (wary || link.service().recent_lates(now) > 1);
    struck || link.service().recent_misses(now) > 1 || unproven
}

/// What one more source of an id costs where all of them are looked at. (Guess: it is ranked, and its link looked up.)
const SOURCE_COST: Duration = Duration::from_nanos(50);

impl Engine {
    pub(super) fn on_announce(&mut self, sender: Sender, announced: Announced) {
        let topic = announced.topic;
        let Some(window) = self.topics.get_mut(&topic) else {
            self.cx.counters.unknown_topic += 1;
            return;
        };
        let mut unknown = Vec::new();
        let by = (sender.link, sender.peer);
        for (id, size) in announced.items {
            if window.is_refused(&id, self.cx.now) {
                self.cx.counters.refused_again += 1;
            } else if window.debts_mut().note(&id, sender.slot, self.cx.now.mono) {
                if window.has_room_over(&id, by, self.cx.now, &self.cx.config) {
                    unknown.push((id, size));
                } else {
                    self.cx.counters.refused_again += 1;
                }
            } else if let Some(entry) = window.entry_mut(&id) {
                entry.is_shown_by(sender.slot);
                // Also while a copy is being judged: if that is a forgery, this link is asked.
                if matches!(entry.stage(), Stage::Fetching | Stage::Verifying { .. }) {
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
        // A class beyond the largest bundle is a lie that only makes the liar be asked for less at once.
        let size = size.min(17);
        let (listed, most) = (link.listed(&topic), link.service().most_wants());
        let added = self.wants.add((topic, id), size, sender.slot, listed, most);
        if matches!(added, Added::Again | Added::Ask) {
            let sources = self.wants.get(&(topic, id)).map_or(0, |want| want.sources().count());
            let cost = SOURCE_COST.saturating_mul(u32::try_from(sources).unwrap_or(u32::MAX));
            link.bill_mut(&topic).charge_cpu(self.cx.now.mono, cost);
        }
        match added {
            Added::Again => self.ask((topic, id)),
            Added::Ask => {
                link.is_listed(topic);
                self.ask((topic, id));
            }
            Added::Noted => link.is_listed(topic),
            Added::Nothing => {}
            Added::Full => {
                self.cx.counters.wants_refused += 1;
                link.has_more(topic);
            }
        }
    }

    /// Asks the next source, or sources, for a wanted id, unless enough are being asked.
    pub(super) fn ask(&mut self, wanted: WantId) {
        let now = self.cx.now.mono;
        let Some(want) = self.wants.get(&wanted) else { return };
        let (topic, id) = wanted;
        // A copy of it is being judged: only if that fails is another needed.
        let entry = self.topics.get(&topic).and_then(|window| window.entry(&id));
        if entry.is_some_and(|entry| !entry.is_fetching()) {
            return;
        }
        let (width, in_time, under_way) = (want.width(), want.in_time(), want.under_way());
        if in_time >= width || want.rests(now) {
            return;
        }
        let (_, idle) = want.idle();
        if idle.is_empty() {
            if under_way == 0 {
                self.give_up(&wanted);
            }
            return;
        }
        let members = self.cx.is_system(&topic);
        let fits = |slot: &Slot| {
            let size = want.size_of(*slot);
            self.links.at(*slot).is_some_and(|link| may_be_asked(link, size, now, members))
        };
        let free: Vec<_> = idle.into_iter().filter(fits).collect();
        if free.is_empty() {
            if under_way == 0 {
                self.starve(wanted);
            }
            return;
        }
        let mut ranked = self.ranked(free);
        let better = ranked.iter().filter(|(_, doubtful)| !doubtful).count();
        if self.cx.random.below(EXPLORE) == 0 {
            let spotless = ranked.iter().take_while(|(_, doubtful)| !doubtful).count().max(1);
            let choice = self.cx.random.below(spotless).min(ranked.len().saturating_sub(1));
            ranked.swap(0, choice);
        }
        // What the doubtful have been asked for does not keep us from asking others, but from asking more of the doubtful.
        let missing = width.saturating_sub(if better > 0 { in_time } else { under_way });
        for (slot, doubtful) in ranked.into_iter().take(missing) {
            self.pull_from(slot, wanted, doubtful);
        }
    }

    /// In what order links are asked, and which of them are doubtful. Those that served whenever they were asked come first, the
    /// quickest first; a link never asked counts as quick as its round trip. One miss puts a link behind all that have none, so a
    /// liar costs each node one time-out.
    fn ranked(&self, free: Vec<Slot>) -> Vec<(Slot, bool)> {
        let now = self.cx.now.mono;
        let wary = self.wants.estimates().is_wary(now);
        let trusting = self.cx.config.lacks(Failpoint::NobodyDoubted);
        let doubtful = |slot: Slot| {
            let link = self.links.at(slot).filter(|_| !trusting);
            (slot, link.is_some_and(|link| is_doubtful(link, wary, now)))
        };
        let mut ranked: Vec<_> = free.into_iter().map(doubtful).collect();
        ranked.sort_by_cached_key(|(slot, doubtful)| {
            let link = self.links.at(*slot);
            let hopeless = link.is_none_or(|link| link.service().is_last_resort(now));
            let misses = link.map_or(usize::MAX, |link| link.service().recent_lates(now));
            let misses = if trusting { 0 } else { misses };
            (hopeless, *doubtful, misses, link.map(Link::expected_delay))
        });
        ranked
    }

    /// Asks one link.
    fn pull_from(&mut self, slot: Slot, wanted: WantId, doubtful: bool) {
        let now = self.cx.now.mono;
        let Some(size) = self.wants.get(&wanted).map(|want| want.size_of(slot)) else { return };
        let Some(link) = self.links.at_mut(slot) else { return };
        link.service_mut().owes(1 << size);
        link.outbox_mut().pull(wanted.0, wanted.1);
        self.cx.dirty.insert(slot);
        self.cx.counters.pulls += 1;
        let first = !link.is_proven() && link.service().owed() == 1;
        let due = now.plus(if first { self.first_patience(slot) } else { self.patience(slot) });
        self.cx.timers.set(due, Timer::PullOverdue { wanted, slot, asked: now });
        if let Some(want) = self.wants.get_mut(&wanted) {
            want.asked(slot, now, doubtful);
        }
    }

    /// A copy came: was it pulled from this link? Gives how many bytes were asked for.
    pub(super) fn pull_answered(&mut self, sender: Sender, wanted: &WantId) -> Option<usize> {
        let now = self.cx.now.mono;
        let want = self.wants.get_mut(wanted)?;
        let owed = want.owes(sender.slot);
        let Some((asked, size)) = want.answered(sender.slot, false) else {
            // We had stopped counting on it.
            if owed {
                self.wants.estimates_mut().answered_late(now);
            }
            if owed && let Some(link) = self.links.at_mut(sender.slot) {
                link.service_mut().serves(now);
            }
            return None;
        };
        self.settle(sender.slot, size);
        let took = now.since(asked);
        if let Some(link) = self.links.at_mut(sender.slot) {
            link.service_mut().served(took, now);
        }
        self.wants.estimates_mut().sample(took);
        Some(1 << size)
    }

    /// How long to wait for a pulled copy before it counts as unserved.
    pub(super) fn patience(&self, slot: Slot) -> Duration {
        self.wants.estimates().patience(self.links.at(slot).map_or(Duration::ZERO, |link| link.rtt()))
    }

    /// How long to wait for the first thing that is asked of a link which has never brought anything, and may be a liar,
    /// before somebody else is asked too: a round trip with a quarter for its variance, what the slowest line we plan
    /// for takes for a frame of what the link owes, and the configured margin. It does not count against the link.
    /// (docs/decisions/0018-unproven-links-get-a-short-first-time-out.md says what waiting as long as for others costs.)
    fn first_patience(&self, slot: Slot) -> Duration {
        let Some(link) = self.links.at(slot) else { return self.patience(slot) };
        let line = SLOWEST_LINE.saturating_mul(link.service().owed_bytes().min(FRAME_TARGET) as u32);
        let first = link
            .rtt()
            .saturating_add(link.rtt() / 4)
            .saturating_add(line)
            .saturating_add(self.cx.config.pulls.first_margin);
        first.min(self.patience(slot))
    }

    /// A copy of what we have came as a reply. If it is what the link was asked for before somebody else served it, the link is
    /// working through its pulls; if not, it says nothing about the link: anybody can repeat what is old.
    pub(super) fn copy_came_late(&mut self, slot: Slot, id: &BundleId) {
        let now = self.cx.now.mono;
        if let Some(link) = self.links.at_mut(slot)
            && link.service_mut().still_owed(id)
        {
            link.service_mut().serves(now);
            self.wants.estimates_mut().answered_late(now);
        }
    }

    /// Nobody may be asked for `wanted` now: it waits until a pull of one of its sources ends, or one that has brought more
    /// than it may is within its rate again.
    fn starve(&mut self, wanted: WantId) {
        let now = self.cx.now.mono;
        self.wants.starve(wanted, now);
        let Some(want) = self.wants.get(&wanted) else { return };
        let sources: Vec<_> = want.sources().collect();
        sources.into_iter().for_each(|slot| self.wait_to_pull(slot));
    }

    /// If a link has brought more than it may, it is asked again when that is made up for: no pull that ends may do it.
    fn wait_to_pull(&mut self, slot: Slot) {
        let now = self.cx.now.mono;
        if let Some(link) = self.links.at_mut(slot)
            && let Some(until) = link.waits_to_pull(now)
        {
            self.cx.timers.set(until, Timer::PullsAllowed(link.id()));
        }
    }

    /// A link has brought no more than its rate again.
    pub(super) fn on_pulls_allowed(&mut self, link: LinkId) {
        let Some(link) = self.links.get_mut(link) else { return };
        link.may_be_pulled_from();
        let slot = link.slot();
        self.wants.is_freed(slot);
    }

    /// A pull of this link is over: it owes us that much less.
    pub(super) fn settle(&mut self, slot: Slot, size: u8) {
        self.wants.is_freed(slot);
        if let Some(link) = self.links.at_mut(slot) {
            link.service_mut().owes_no_more(1 << size);
        }
    }

    /// Asks links of which a pull has ended for something that has waited for it: once, at the end of each input. What is given up
    /// meanwhile frees room that the next round may use.
    pub(super) fn ask_freed(&mut self) {
        let now = self.cx.now.mono;
        for slot in self.wants.take_freed().iter() {
            for _ in 0..RETRIES {
                if !self.links.at(slot).is_some_and(|link| may_be_asked(link, 0, now, false)) {
                    self.wait_to_pull(slot);
                    break;
                }
                let Some(wanted) = self.wants.pop_starved(slot) else { break };
                self.ask(wanted);
            }
        }
    }

    /// Of what links that serve nothing have announced, only what they are being asked for stays wanted from them. The rest,
    /// which may be thousands of lies, would keep us asking for minutes. When that has come to an end, whichever, they are
    /// asked to announce again what they hold. (Every second, for all of them in one walk.)
    pub(super) fn expect_nothing_of_the_silent(&mut self) {
        let mut silent = LinkSet::default();
        let listed = self.links.iter().filter(|link| link.is_listed_too_often());
        listed.for_each(|link| silent.insert(link.slot()));
        if silent.iter().next().is_none() {
            return;
        }
        for wanted in self.wants.of_links(&silent) {
            let Some(want) = self.wants.get_mut(&wanted) else { continue };
            for slot in want.remove_idle(&silent) {
                if let Some(link) = self.links.at_mut(slot) {
                    link.is_delisted(&wanted.0);
                    link.has_more(wanted.0);
                }
            }
            if want.sources().next().is_none() {
                // Nobody to rest for.
                want.rests_no_more();
            }
            self.ask(wanted);
        }
    }

    /// The id is no longer wanted: whoever still owes a copy may drop it.
    pub(super) fn drop_want(&mut self, wanted: &WantId) {
        let Some(want) = self.forget_want(wanted) else { return };
        for slot in want.owing() {
            if let Some(link) = self.links.at_mut(slot) {
                link.outbox_mut().cancel(wanted.0, wanted.1);
                self.cx.dirty.insert(slot);
            }
        }
    }

    /// Nobody has served the id. A late copy is still welcome, so nothing is cancelled; and whoever does serve now and then,
    /// and so may only be overloaded, is asked in a while to announce what it holds again.
    fn give_up(&mut self, wanted: &WantId) {
        let Some(want) = self.forget_want(wanted) else { return };
        self.cx.counters.wants_given_up += 1;
        for slot in want.sources() {
            if let Some(link) = self.links.at_mut(slot)
                && link.service().has_served()
            {
                link.has_more(wanted.0);
            }
        }
    }

    fn forget_want(&mut self, wanted: &WantId) -> Option<Want> {
        let want = self.wants.remove(wanted)?;
        for (slot, _) in want.asking() {
            self.settle(slot, want.size_of(slot));
        }
        for slot in want.owing() {
            if let Some(link) = self.links.at_mut(slot) {
                link.service_mut().may_come_late(wanted.1);
            }
        }
        for slot in want.sources() {
            if let Some(link) = self.links.at_mut(slot) {
                link.is_delisted(&wanted.0);
            }
        }
        Some(want)
    }
}
