//! Spread: push while a rumor is rare, then announce it; and the repair cycle that catches what was missed.

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::failpoint::Failpoint;
use crate::protocol::limits::MAX_LINKS;
use crate::protocol::links::outbox::Push;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::members::Members;
use crate::protocol::timers::Timer;
use crate::protocol::topics::entry::Entry;
use crate::protocol::{Action, LinkId};
use crate::rumor::{BundleId, TopicId};

/// Links that a recent bundle is announced to again in each round of the repair cycle, if they have not shown it.
const REPAIR_FANOUT: usize = 3;
/// Rounds of the repair cycle that a bundle goes through: a safety net, since links are reliable and what found no room is
/// made up for by a resync. (Four rounds cost a quarter of all announcements and changed nothing:
/// docs/decisions/0020-one-round-of-repair.md.)
const REPAIR_ROUNDS: u8 = 1;
/// Most bundles that one round looks at: the newest.
const REPAIR_BUNDLES: usize = 2_048;

impl Engine {
    /// First acceptance: it spreads now, but for a record of a member that has to wait for its turn.
    pub(super) fn spread_in_turn(&mut self, topic: TopicId, id: BundleId) {
        if self.members_let_spread(&topic, &id) {
            self.spread(topic, id);
        }
    }

    /// Pushes to a few links while the hop budget lasts, announces to the rest.
    pub(super) fn spread(&mut self, topic: TopicId, id: BundleId) {
        let now = self.cx.now.mono;
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let Some(entry) = window.entry(&id) else { return };
        let Some(bundle) = entry.body().cloned() else { return };
        let own = entry.via().is_none();
        let (hops, have, told, size) = (entry.hops(), entry.holders(), entry.told(), entry.size_class());
        let author = bundle.header().author;
        let targets = self.links.relaying(&topic, &have);
        // Guests are told of it, and ask for what they need.
        let is_guest = |slot: &Slot| self.links.at(*slot).is_some_and(|link| self.guests.has(link.id()));
        let (guests, mut targets): (Vec<_>, Vec<_>) = targets.into_iter().partition(is_guest);
        let wish = match (bundle.header().is_large(), own, hops) {
            (true, _, _) | (_, false, 0) => 0,
            (false, true, _) => self.cx.config.publishing.eager_author,
            (false, false, _) if self.cx.config.lacks(Failpoint::RedundancyUnheeded) => {
                self.cx.config.publishing.eager
            }
            (false, false, _) => self.redundancy.reduce(self.cx.config.publishing.eager.min(MAX_LINKS)),
        };
        let mut eager = wish.min(targets.len());
        let unpaced = self.cx.config.lacks(Failpoint::UnpacedPushes);
        if eager > 0
            && !own
            && !unpaced
            && !window.authors_mut().may_push(&author, bundle.header().count, now)
        {
            self.cx.counters.push_degraded += eager as u64;
            eager = 0;
        }
        let turn = if own { author } else { window.authors().turn_of(&author, now) };
        self.cx.random.sample_to_front(&mut targets, eager);
        let (mut given, mut announced) = (LinkSet::default(), LinkSet::default());
        for (at, slot) in targets.into_iter().chain(guests).enumerate() {
            let Some(link) = self.links.at_mut(slot) else { continue };
            if at < eager {
                let push = Push { hops: hops.saturating_sub(1), bundle: bundle.clone(), since: now };
                let queued = if own {
                    link.outbox_mut().push_own(push)
                } else {
                    link.outbox_mut().push_relayed(turn, push)
                };
                if queued {
                    self.cx.counters.pushed += 1;
                    self.cx.dirty.insert(slot);
                    given.insert(slot);
                    continue;
                }
                self.cx.counters.push_degraded += 1;
            }
            if !told.contains(slot) && self.announce(slot, topic, turn, id, size) {
                announced.insert(slot);
            }
        }
        // Once for all links: looked up for each, the entry was a quarter of what an event costs at 200 links.
        if let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) {
            // Streams are reliable: what is queued arrives, or the link is gone and forgotten.
            given.iter().for_each(|slot| entry.is_shown_by(slot));
            given.iter().chain(announced.iter()).for_each(|slot| entry.is_told_to(slot));
        }
    }

    /// Tells a link that we hold `id`, after a linger, if there is room: then the caller marks it as told.
    pub(super) fn announce(
        &mut self,
        slot: Slot,
        topic: TopicId,
        turn: PublicKey,
        id: BundleId,
        size: u8,
    ) -> bool {
        let due = self.cx.now.mono.plus(self.cx.config.publishing.announce_linger);
        let Some(link) = self.links.at_mut(slot) else { return false };
        if !link.outbox_mut().announce(topic, turn, id, size) {
            self.cx.counters.announce_degraded += 1;
            link.outbox_mut().falls_behind(topic);
            return false;
        }
        let link_id = link.id();
        self.cx.counters.announced += 1;
        self.announce_at(slot, link_id, due);
        true
    }

    fn announce_at(&mut self, slot: Slot, id: LinkId, due: crate::protocol::Mono) {
        if let Some(link) = self.links.at_mut(slot)
            && link.outbox_mut().is_due(due)
        {
            self.cx.timers.set(due, Timer::AnnouncementsDue(id));
        }
    }

    /// Hold-back topics: the whole signed header, at once, to every link that does not know it. It says that there is
    /// such a bundle, not that we hold it: that is announced when it has been accepted.
    pub(super) fn announce_header(&mut self, topic: TopicId, id: BundleId) {
        let Some(entry) = self.topics.get(&topic).and_then(|window| window.entry(&id)) else { return };
        let (signed, knows) = (*entry.signed(), entry.header_holders());
        self.send_header(topic, &signed, &knows);
    }

    /// Whose turn a bundle takes where authors wait for each other: our own words are no newcomer's, or a burst of ours would
    /// keep all of those waiting, and the other way round.
    pub(super) fn turn_of(&self, topic: &TopicId, author: &PublicKey) -> PublicKey {
        let window = self.topics.get(topic).filter(|_| *author != self.publisher.signer_in(topic));
        window.map_or(*author, |window| window.authors().turn_of(author, self.cx.now.mono))
    }

    pub(super) fn mark_told(&mut self, slot: Slot, topic: &TopicId, id: &BundleId) {
        if let Some(entry) = self.topics.get_mut(topic).and_then(|window| window.entry_mut(id)) {
            entry.is_told_to(slot);
        }
    }

    /// One round of the classic gossip cycle, for repair only: what is recent is announced again to a few random links
    /// that have not shown it.
    pub(super) fn repair_cycle(&mut self) {
        let mut again = Vec::new();
        let members = self.members.as_ref();
        for (topic, window) in &self.topics {
            let relaying = self.links.relaying(topic, &LinkSet::default());
            for (id, entry) in window.held(self.cx.now).flatten().take(REPAIR_BUNDLES) {
                if entry.rounds() < REPAIR_ROUNDS && may_be_told(members, topic, &id, entry) {
                    let mut targets: Vec<_> =
                        relaying.iter().copied().filter(|slot| !entry.is_held_by(*slot)).collect();
                    self.cx.random.sample_to_front(&mut targets, REPAIR_FANOUT);
                    targets.truncate(REPAIR_FANOUT);
                    let turn = window.authors().turn_of(&entry.header().author, self.cx.now.mono);
                    again.push((*topic, turn, id, targets, entry.size_class()));
                }
            }
        }
        for (topic, turn, id, targets, size) in again {
            if let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) {
                entry.is_repaired();
            }
            for slot in targets {
                if self.announce(slot, topic, turn, id, size) {
                    self.mark_told(slot, &topic, &id);
                }
            }
        }
    }

    /// What has waited too long to be pushed over a link is announced to it instead.
    fn announce_overdue(&mut self, slot: Slot) {
        let now = self.cx.now.mono;
        let Some(link) = self.links.at_mut(slot) else { return };
        for bundle in link.outbox_mut().take_overdue(now) {
            self.cx.counters.push_degraded += 1;
            let (topic, id) = (bundle.header().topic, bundle.id());
            let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) else {
                continue;
            };
            entry.was_not_pushed_to(slot);
            let size = entry.size_class();
            let turn = self.turn_of(&topic, &bundle.header().author);
            if self.announce(slot, topic, turn, id, size) {
                self.mark_told(slot, &topic, &id);
            }
        }
    }

    /// Links on which pushes wait are looked at even if they take no byte.
    pub(super) fn look_at_waiting_pushes(&mut self) {
        let waiting = self.links.iter().filter(|link| link.outbox().holds_pushes());
        let slots: Vec<_> = waiting.map(|link| link.slot()).collect();
        slots.into_iter().for_each(|slot| self.cx.dirty.insert(slot));
    }

    /// Hands the transport what it has room for.
    pub(super) fn flush(&mut self) {
        let now = self.cx.now.mono;
        for slot in std::mem::take(&mut self.cx.dirty).iter() {
            self.announce_overdue(slot);
            let Some(link) = self.links.at_mut(slot) else { continue };
            if link.is_closing() {
                continue;
            }
            let (topics, book) = (&self.topics, &self.evidence);
            let wanted = |topic: &TopicId, id: &BundleId| {
                let entry = topics.get(topic).and_then(|window| window.entry(id));
                entry.is_some_and(|entry| entry.is_accepted() && !entry.is_held_by(slot))
            };
            let convicted = |author: &PublicKey| book.is_convicted(author);
            let dropped = &mut self.cx.counters.dropped_convicted;
            while let Some((lane, frame)) = link.outbox_mut().next(now, wanted, convicted, dropped) {
                self.cx.actions.push_back(Action::Send { link: link.id(), lane, frame });
            }
        }
    }
}

/// Whether links may be told, unasked, that this node holds a bundle.
pub(super) fn may_be_told(members: Option<&Members>, topic: &TopicId, id: &BundleId, entry: &Entry) -> bool {
    let members = members.filter(|members| members.topic() == *topic);
    members.is_none_or(|members| members.may_be_told(&entry.header().author, id))
}
