//! What this node asks its links about members: pulses that are overdue, pages of what has come lately, records that it lacks.
//!
//! Each link has one question at a time, and they are asked in rotation, so that no liar is asked twice while another could answer.

use std::collections::BTreeMap;
use std::time::Duration;

use super::spread::Targets;
use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::limits::{MAX_MEMBERS, MEMBERS_ASKED_OF_LINK};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::wire::{KeyPrefix, MAX_PULSES, MAX_RECORDS_ASKED, MembersAsk, PulsePage, Pulses};

/// A link that has not answered for so long is asked the next thing.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where a member is overdue so many links are asked for it, three times: with a third of liars three questions come to nothing in one case of 27, and
/// nine in one of 20 000 (docs/decisions/0094-who-is-overdue-is-asked-for-at-nine-links.md).
pub(super) const LINKS_ASKED: u8 = 3;
/// So many links wait to be asked for one member at the most.
const MOST_ASKED: u8 = 9;
/// A table of members has so many pages.
const MAX_PAGES: usize = MAX_MEMBERS / MAX_PULSES + 1;
/// A link is asked for one member's record at most once in so long.
const RECORD_EVERY: Duration = Duration::from_secs(60);

/// What a link was asked, and has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Open {
    Since,
    Other,
}

/// A link's pages of what has come since a time.
#[derive(Clone, Copy, Debug)]
struct Reading {
    since: u32,
    after: KeyPrefix,
    /// Pages that it may still have.
    pages: usize,
}

impl Reading {
    fn since(since: u32) -> Self {
        Self { since, after: KeyPrefix::default(), pages: MAX_PAGES }
    }
}

/// What is to be asked of one link, and what was.
#[derive(Debug, Default)]
struct OfLink {
    /// It is to be asked whom we should know first.
    first: bool,
    reading: Option<Reading>,
    /// Records that it seems to have, and since when they were asked for; `None` for those that are still to be.
    records: BTreeMap<KeyPrefix, Option<Mono>>,
    /// How many of them are still to be. (All that a link was asked for lately may be hundreds, and each turn looks at each link.)
    unasked: usize,
    open: Option<(Open, Mono)>,
    /// Bundles that it may bring, as an answer.
    grant: usize,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Asks {
    links: BTreeMap<Slot, OfLink>,
    /// Members of whom a pulse is wanted, and how many links are still to be asked for it.
    wanted: BTreeMap<PublicKey, u8>,
    /// Which links were asked for one since its last sign.
    asked: BTreeMap<PublicKey, LinkSet>,
    /// Links that were asked for all that is wanted. (Where half of thousands are overdue, looking through them in each turn is most of the work.)
    asked_for_all: LinkSet,
    /// The links that could be asked then.
    askable: LinkSet,
    /// How many links were looked at to be asked: whose turn it is.
    turn: usize,
}

impl Asks {
    /// A link has come up: it is asked whom to know first, and what has come since then, Unix seconds.
    pub(super) fn begins(&mut self, slot: Slot, since: u32) {
        // Once a link, however often it says that it is in the topic.
        self.links.entry(slot).or_insert_with(|| {
            let reading = Some(Reading::since(since));
            OfLink { first: true, reading, ..OfLink::default() }
        });
    }

    /// Whether there is a link that could be asked.
    pub(super) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    pub(super) fn leaves(&mut self, slot: Slot) {
        self.links.remove(&slot);
        // (Who comes next may have its place.)
        self.asked.values_mut().for_each(|asked| asked.remove(slot));
        self.asked_for_all.remove(slot);
    }

    /// A pulse of a member is wanted: so many more links are asked for it, until it comes.
    pub(super) fn wants(&mut self, key: PublicKey, links: u8) {
        if self.wanted.len() < MAX_MEMBERS {
            let left = self.wanted.entry(key).or_default();
            *left = left.saturating_add(links).min(MOST_ASKED);
            self.asked_for_all = LinkSet::EMPTY;
        }
    }

    /// It has come, or the member is forgotten.
    pub(super) fn wants_no_more(&mut self, key: &PublicKey) {
        self.wanted.remove(key);
        self.asked.remove(key);
    }

    /// A link seems to have a record that we lack.
    pub(super) fn wants_record(&mut self, slot: Slot, prefix: KeyPrefix, now: Mono) {
        let Some(of) = self.links.get_mut(&slot) else { return };
        if of.records.len() >= MEMBERS_ASKED_OF_LINK {
            of.records.retain(|_, asked| asked.is_none_or(|at| now.since(at) < RECORD_EVERY));
        }
        if of.records.len() >= MEMBERS_ASKED_OF_LINK {
            return;
        }
        let waits = |asked: &Option<Mono>| asked.is_none_or(|at| now.since(at) < RECORD_EVERY);
        if !of.records.get(&prefix).is_some_and(waits) {
            of.records.insert(prefix, None);
            of.unasked = of.unasked.saturating_add(1);
        }
    }

    /// A record that a link was asked for may be asked for again at once.
    pub(super) fn begin_anew(&mut self) {
        self.links.values_mut().for_each(|of| of.records.retain(|_, asked| asked.is_none()));
    }

    /// What has come since a time is asked of the next link in turn, unless one is being asked.
    pub(super) fn pulls(&mut self, since: u32, targets: &Targets) {
        let Some(slot) = self.next(targets) else { return };
        if let Some(of) = self.links.get_mut(&slot) {
            of.reading.get_or_insert(Reading::since(since));
        }
    }

    fn next(&mut self, targets: &Targets) -> Option<Slot> {
        let of = targets.for_questions();
        self.turn = self.turn.wrapping_add(1);
        of.get(self.turn.checked_rem(of.len())?).copied()
    }

    /// A frame of an answer has come from a link.
    pub(super) fn answered(&mut self, slot: Slot, frame: &Pulses) {
        let Some(of) = self.links.get_mut(&slot) else { return };
        let Some((open, _)) = of.open.take() else { return };
        if open != Open::Since {
            return;
        }
        of.reading = match (of.reading, frame.page, frame.pulses.last()) {
            // Pages go forward, or a link could turn us round for ever.
            (Some(reading), PulsePage::More, Some(last))
                if last.member > reading.after && reading.pages > 1 =>
            {
                Some(Reading { after: last.member, pages: reading.pages.saturating_sub(1), ..reading })
            }
            _ => None,
        };
    }

    /// Whether a link may bring one bundle more of the members' topic, since it was asked for some.
    pub(super) fn takes_grant(&mut self, slot: Slot) -> bool {
        let Some(of) = self.links.get_mut(&slot) else { return false };
        let may = of.grant > 0;
        of.grant = of.grant.saturating_sub(1);
        may
    }

    /// What is asked now, and of whom. What is wanted of members is asked before a link's own pages and records go on: those may have no end.
    pub(super) fn next_asks(
        &mut self,
        targets: impl FnOnce() -> Targets,
        now: Mono,
    ) -> Vec<(Slot, MembersAsk)> {
        let mut out = Vec::new();
        for (slot, of) in &mut self.links {
            if of.open.is_some_and(|(_, at)| now.since(at) < PATIENCE) {
                continue;
            }
            if of.open.take().is_some_and(|(open, _)| open == Open::Since) {
                // It does not answer: others do.
                of.reading = None;
            }
            if std::mem::take(&mut of.first) {
                of.grant = MAX_RECORDS_ASKED;
                of.open = Some((Open::Other, now));
                out.push((*slot, MembersAsk::First));
            }
        }
        if !self.wanted.is_empty() {
            self.ask_for_pulses(&targets(), now, &mut out);
        }
        for (slot, of) in self.links.iter_mut().filter(|(_, of)| of.open.is_none()) {
            let Some((ask, open)) = of.goes_on(now) else { continue };
            of.open = Some((open, now));
            out.push((*slot, ask));
        }
        out
    }

    /// The next links in turn are asked, of those that owe no answer: each for members that it was not asked for yet. What is left is asked in a
    /// later turn.
    fn ask_for_pulses(&mut self, targets: &Targets, now: Mono, out: &mut Vec<(Slot, MembersAsk)>) {
        let mut askable = LinkSet::EMPTY;
        let links = targets.for_questions();
        links.iter().filter(|slot| self.links.contains_key(slot)).for_each(|slot| askable.insert(*slot));
        if askable != std::mem::replace(&mut self.askable, askable) {
            self.asked_for_all = LinkSet::EMPTY;
        }
        for _ in 0..links.len() {
            if self.wanted.is_empty() {
                return;
            }
            let Some(slot) = self.next(targets) else { return };
            if self.asked_for_all.contains(slot) {
                continue;
            }
            let Some(of) = self.links.get_mut(&slot).filter(|of| of.open.is_none()) else { continue };
            let keys: Vec<_> = new_to(slot, &self.wanted, &self.asked, askable).take(MAX_PULSES).collect();
            if keys.is_empty() {
                self.asked_for_all.insert(slot);
                continue;
            }
            of.open = Some((Open::Other, now));
            for key in &keys {
                let asked = self.asked.entry(*key).or_default();
                if all_of(askable, asked) {
                    *asked = LinkSet::EMPTY;
                }
                asked.insert(slot);
                if all_of(askable, asked) {
                    // All were asked: they are asked anew.
                    self.asked_for_all = LinkSet::EMPTY;
                }
                if let Some(left) = self.wanted.get_mut(key) {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        self.wanted.remove(key);
                    }
                }
            }
            out.push((slot, MembersAsk::Pulses(keys.iter().map(KeyPrefix::of).collect())));
        }
    }
}

impl OfLink {
    /// The next records, or the next page.
    fn goes_on(&mut self, now: Mono) -> Option<(MembersAsk, Open)> {
        let records = self.records.iter().filter(|(_, asked)| asked.is_none()).map(|(prefix, _)| *prefix);
        let records: Vec<_> = records.take(self.unasked.min(MAX_RECORDS_ASKED)).collect();
        if records.is_empty() {
            let Reading { since, after, .. } = self.reading?;
            return Some((MembersAsk::Since { since, after }, Open::Since));
        }
        self.records.extend(records.iter().map(|prefix| (*prefix, Some(now))));
        self.unasked = self.unasked.saturating_sub(records.len());
        self.grant = records.len();
        Some((MembersAsk::Records(records), Open::Other))
    }
}

fn all_of(mut links: LinkSet, asked: &LinkSet) -> bool {
    links.remove_all(asked);
    links.is_empty()
}

/// The members that a link is to be asked for: those that it was not asked for yet, or that all links were asked for that could be.
fn new_to<'a>(
    slot: Slot,
    wanted: &'a BTreeMap<PublicKey, u8>,
    asked: &'a BTreeMap<PublicKey, LinkSet>,
    askable: LinkSet,
) -> impl Iterator<Item = PublicKey> + 'a {
    let is_new = move |key: &&PublicKey| {
        asked.get(*key).is_none_or(|asked| !asked.contains(slot) || all_of(askable, asked))
    };
    wanted.keys().filter(is_new).copied()
}

#[cfg(any(test, feature = "sim"))]
impl Asks {
    pub(super) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        for slot in self.asked_for_all.iter() {
            let left = new_to(slot, &self.wanted, &self.asked, self.askable).count();
            recount.same("members that a link asked for all is still to be asked for", 0, left);
        }
        for of in self.links.values() {
            let unasked = of.records.values().filter(|asked| asked.is_none()).count();
            recount.same("records that a link is still to be asked for", of.unasked, unasked);
        }
    }
}
