//! One topic's memory: which positions are claimed, which bundles are known, and what has left the window for good.
//!
//! ```text
//!   tick ──> author ──> claims [first slot, end slot) ──> bundle id ──> Entry (header, stage, body while kept)
//!   └ generations leave together, and it is remembered whose they were (`spent`): none of it is accepted again
//! ```

mod capacity;
#[cfg(any(test, feature = "sim"))]
mod check;
mod expiry;
mod generation;
mod reading;
mod restore;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use capacity::{caps, pace, share_of};
use expiry::youth;
use generation::{Claim, Generation};

use crate::key::PublicKey;
use crate::protocol::limits::{MOST_DEBT, RELAY_FUTURE, RELAY_PAST, SHARE_OF_FREE};
use crate::protocol::meter::Meter;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::time::{Mono, Now};
use crate::protocol::topics::authors::Authors;
use crate::protocol::topics::bodies::Bodies;
use crate::protocol::topics::debts::Debts;
use crate::protocol::topics::entry::{Entry, Stage};
use crate::protocol::topics::passed::Passed;
use crate::protocol::topics::refused::{Refusal, Refused};
use crate::protocol::topics::spent::Spent;
use crate::protocol::total::Total as _;
use crate::protocol::{Config, LinkId};
use crate::rumor::{BundleId, Evidence, Header, RuleSet, SignedHeader};

/// Clock difference between correct nodes, the model's assumption.
pub const MAX_SKEW: Duration = Duration::from_secs(30);
/// How long ago a tick may have ended for us to deliver it.
pub const DELIVER_PAST: Duration = Duration::from_secs(60);
/// How far in the future a tick may start for us to deliver it: the skew.
pub const DELIVER_FUTURE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(in crate::protocol) struct Window {
    rules: Arc<RuleSet>,
    deliver: bool,
    validate: bool,
    /// Since when no link has brought anything, Unix milliseconds; `None` while one does.
    dark_since: Option<u64>,
    generations: BTreeMap<u64, Generation>,
    entries: KeyedMap<BundleId, Entry>,
    /// How many of them have not claimed anything (yet). They hold no place: what waits to be verified has bounds of its own.
    unclaimed: usize,
    /// Newcomers' places, by the link that brought their bundles first.
    newcomers: KeyedMap<LinkId, usize>,
    /// What has left, and never comes back, whatever the clock does.
    spent: Spent,
    /// Ticks below this are relayed and not delivered: the topic was left, and all that is known of what was delivered then is
    /// that it lies below.
    delivered_below: u64,
    /// Accepted bundles with a body.
    bodies: Bodies,
    /// What is accepted, by whomever, and what is said here: own authors wait while either is ahead of its pace.
    pace: Meter,
    /// The same without what newcomers say, for authors that are none.
    known_pace: Meter,
    own_pace: Meter,
    refused: Refused,
    debts: Debts,
    /// Headers that found no place.
    passed: Passed,
    authors: Authors,
    keyed: Keyed,
}

/// Why a header can't be taken in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Unfit {
    /// Too old, or so far ahead that no correct author with a correct neighbour says it.
    OutsideWindow,
    /// What its author said in this tick has left the window before, and never comes back.
    Spent,
    /// A little ahead of what may be taken in: it soon can be.
    Early,
    OverCap,
}

/// Who wants a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Taker {
    /// Our own author, which has waited for room.
    Us,
    /// A bundle that came first over this link.
    Link(LinkId),
}

/// Why a genuine bundle has claimed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol) enum Unclaimed {
    /// Another bundle has one of its positions. Without a proof if that one is not held.
    Conflict(Option<Box<Evidence>>),
    /// There is no place for it now.
    NoPlace,
}

impl Window {
    pub(in crate::protocol) fn new(
        rules: Arc<RuleSet>,
        deliver: bool,
        validate: bool,
        config: &Config,
        keyed: Keyed,
    ) -> Self {
        let bodies = Bodies::new(youth(&rules), keyed);
        let authors = Authors::new(Arc::clone(&rules), keyed);
        Self {
            rules,
            deliver,
            validate,
            dark_since: None,
            generations: BTreeMap::new(),
            entries: keyed.map(),
            unclaimed: 0,
            newcomers: keyed.map(),
            spent: Spent::new(keyed),
            delivered_below: 0,
            bodies,
            pace: pace(share_of(config.topics.bytes, true)),
            known_pace: pace(share_of(config.topics.bytes, true)),
            own_pace: pace(config.topics.author_bytes),
            refused: Refused::new(keyed),
            debts: Debts::new(keyed),
            passed: Passed::default(),
            authors,
            keyed,
        }
    }

    /// The rules that the topic's id commits to.
    pub(in crate::protocol) const fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What is known of authors.
    pub(in crate::protocol) const fn authors(&self) -> &Authors {
        &self.authors
    }

    /// The same, to note what they say.
    pub(in crate::protocol) const fn authors_mut(&mut self) -> &mut Authors {
        &mut self.authors
    }

    /// What found no room.
    pub(in crate::protocol) const fn debts(&self) -> &Debts {
        &self.debts
    }

    /// The same, to note more.
    pub(in crate::protocol) const fn debts_mut(&mut self) -> &mut Debts {
        &mut self.debts
    }

    /// Whether a header that finds no place is passed on: in hold-back topics, once.
    pub(in crate::protocol) fn passes(&self, header: &Header) -> bool {
        self.rules.hold_back().is_some() && !self.passed.knows(header)
    }

    /// A header is passed on without a place.
    pub(in crate::protocol) fn pass(&mut self, signed: &SignedHeader) {
        self.passed.add(signed);
    }

    pub(in crate::protocol) fn entry(&self, id: &BundleId) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub(in crate::protocol) fn entry_mut(&mut self, id: &BundleId) -> Option<&mut Entry> {
        self.entries.get_mut(id)
    }

    pub(in crate::protocol) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::protocol) const fn held_bytes(&self) -> usize {
        self.bodies.bytes()
    }

    fn hold_back(&self) -> Duration {
        self.rules.hold_back().unwrap_or_default()
    }

    /// Whether a tick overlaps [now - past, now + future].
    fn within(&self, tick: u64, now: Now, past: Duration, future: Duration) -> bool {
        let len = self.rules.tick_len();
        len.end_of(tick) > now.unix_ms.saturating_sub(millis(past))
            && len.start_of(tick) < millis_from(now, future)
    }

    /// Whether a tick is inside the delivery window.
    pub(in crate::protocol) fn is_deliverable(&self, tick: u64, now: Now) -> bool {
        tick >= self.delivered_below && self.within(tick, now, DELIVER_PAST, DELIVER_FUTURE)
    }

    /// The first tick that is inside the relay window.
    pub(in crate::protocol) fn first_relayable(&self, now: Now) -> u64 {
        let past = RELAY_PAST + self.hold_back();
        // A tick that ended just then lies outside, and the one after it is the first.
        self.rules.tick_len().tick_at(now.unix_ms.saturating_sub(millis(past)))
    }

    /// Whether a tick is inside the relay window.
    pub(in crate::protocol) fn is_relayable(&self, tick: u64, now: Now) -> bool {
        self.within(tick, now, RELAY_PAST + self.hold_back(), RELAY_FUTURE)
    }

    /// Whether a tick will be inside the relay window before long. A correct node's clock is so far ahead of ours at the most.
    fn is_early(&self, tick: u64, now: Now) -> bool {
        self.within(tick, now, Duration::ZERO, RELAY_FUTURE + MAX_SKEW)
    }

    /// Row 6 of the intake: is the tick inside the relay window, and is there room for the bundle?
    pub(in crate::protocol) fn admit(
        &mut self,
        header: &Header,
        by: (LinkId, PublicKey),
        now: Now,
        config: &Config,
    ) -> Result<(), Unfit> {
        let (link, peer) = by;
        if !self.is_relayable(header.tick, now) {
            return Err(if self.is_early(header.tick, now) { Unfit::Early } else { Unfit::OutsideWindow });
        }
        if self.spent.has(&header.author, header.tick) {
            return Err(Unfit::Spent);
        }
        let room = self.place(header, link, now, config).is_some_and(|payer| {
            let (caps, payer) = (caps(config, payer.is_some()), payer.map(|_| peer));
            let bytes = header.bytes as usize;
            self.bodies.has_room(&header.author, payer, bytes, caps, SHARE_OF_FREE, now.mono)
        });
        if room { Ok(()) } else { Err(Unfit::OverCap) }
    }

    /// Bundles that hold a place in the index.
    pub(in crate::protocol) fn claimed(&self) -> usize {
        debug_assert!(self.unclaimed <= self.entries.len());
        self.entries.len().saturating_sub(self.unclaimed)
    }

    /// Takes in a new entry; the caller has checked [`Window::admit`].
    pub(in crate::protocol) fn insert(&mut self, id: BundleId, entry: Entry, now: Now) {
        let keyed = self.keyed;
        let tick = entry.header().tick;
        let stays = Duration::from_millis(self.over_at(tick).saturating_sub(now.unix_ms));
        let generation = self.generations.entry(tick).or_insert_with(|| Generation {
            claims: keyed.map(),
            unclaimed: keyed.set(),
            stays_until: now.mono,
        });
        self.unclaimed.gains(usize::from(generation.unclaimed.insert(id)));
        generation.stays_until = generation.stays_until.max(now.mono.plus(stays));
        self.entries.insert(id, entry);
    }

    /// Forgets an entry that was never accepted (a forged signature): as if the id had never been seen.
    pub(in crate::protocol) fn forget(&mut self, id: &BundleId) {
        if let Some(entry) = self.entries.remove(id)
            && let Some(generation) = self.generations.get_mut(&entry.header().tick)
        {
            self.unclaimed.loses(usize::from(generation.unclaimed.remove(id)));
        }
    }

    /// Row 8: claims the positions of a verified bundle, if there is a place for it and no other bundle has one of them.
    pub(in crate::protocol) fn claim(
        &mut self,
        id: BundleId,
        signed: &SignedHeader,
        taker: Taker,
        now: Now,
        config: &Config,
    ) -> Result<(), Unclaimed> {
        let header = &signed.header;
        let place = match taker {
            Taker::Us => Some(None),
            Taker::Link(link) => self.place(header, link, now, config),
        };
        let Some(generation) = self.generations.get_mut(&header.tick) else {
            return Err(Unclaimed::Conflict(None));
        };
        if let Some(other) = generation.overlapping(header) {
            if other != id {
                return Err(Unclaimed::Conflict(self.proof(&other, signed)));
            }
            // It was claimed before the topic was left.
            self.unclaimed.loses(usize::from(generation.unclaimed.remove(&id)));
            return Ok(());
        }
        let Some(payer) = place else { return Err(Unclaimed::NoPlace) };
        if let Some(evidence) = self.passed.conflict(signed) {
            return Err(Unclaimed::Conflict(Some(evidence)));
        }
        let claims = generation.claims.entry(header.author).or_default();
        let (first, end) = (u32::from(header.first_slot), header.end_slot());
        claims.insert(claims.partition_point(|claim| claim.first < end), Claim { first, end, id, payer });
        self.authors.claimed(&header.author, header.tick, claims.len() == 1, now.mono);
        self.unclaimed.loses(usize::from(generation.unclaimed.remove(&id)));
        if let Some(link) = payer {
            self.newcomers.entry(link).or_default().gains(1);
        }
        Ok(())
    }

    fn proof(&self, other: &BundleId, signed: &SignedHeader) -> Option<Box<Evidence>> {
        // A topic that was left has forgotten what lacked its body, and not what that had claimed. If it comes again, a
        // copy that is not verified yet proves nothing.
        let other = self.entries.get(other).filter(|entry| entry.is_verified())?;
        Evidence::new(*other.signed(), *signed).ok().map(Box::new)
    }

    /// The bundle that has claimed one of a header's positions.
    fn overlapping(&self, header: &Header) -> Option<BundleId> {
        self.generations.get(&header.tick)?.overlapping(header)
    }

    /// Whether a header says something else than what is claimed at its positions, or passed there without a place.
    pub(in crate::protocol) fn contradicts(&self, id: &BundleId, header: &Header) -> bool {
        self.overlapping(header).is_some_and(|other| other != *id)
    }

    /// The proof of it, once the header's signature has held.
    pub(in crate::protocol) fn conflict(
        &self,
        id: &BundleId,
        signed: &SignedHeader,
    ) -> Option<Box<Evidence>> {
        let other = self.overlapping(&signed.header).filter(|other| other != id);
        other.and_then(|other| self.proof(&other, signed)).or_else(|| self.passed.conflict(signed))
    }

    /// Row 10: keeps the body that the caller has put into the entry. Gives how many older ones went for it.
    pub(in crate::protocol) fn keep_body(
        &mut self,
        id: BundleId,
        header: &Header,
        from: Option<PublicKey>,
        now: Mono,
        config: &Config,
    ) -> u64 {
        let own = from.is_none();
        let bytes = header.bytes as usize;
        let newcomer = self.authors.is_newcomer(&header.author, now);
        // A flood of others is no reason to be silent long after it.
        self.pace.charge_up_to(now, bytes as u64, MOST_DEBT);
        if !newcomer {
            self.known_pace.charge_up_to(now, bytes as u64, MOST_DEBT);
        }
        if own {
            self.own_pace.charge(now, bytes as u64);
        }
        let payer = from.filter(|_| newcomer);
        let evicted = self.bodies.keep(id, header.author, payer, bytes, caps(config, false), now);
        self.drop_bodies(&evicted);
        evicted.len() as u64
    }

    fn drop_bodies(&mut self, ids: &[BundleId]) {
        for id in ids {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.drop_body();
            }
        }
    }

    /// Whether an id was refused, and still is: what lay outside the window may lie inside by now.
    pub(in crate::protocol) fn is_refused(&self, id: &BundleId, now: Now) -> bool {
        match self.refused.get(id) {
            None => false,
            Some(Refusal::Fact) => true,
            Some(Refusal::Outside(tick)) => !self.is_relayable(tick, now),
        }
    }

    /// Remembers a refusal that is a fact about the id, so that it is not pulled again.
    pub(in crate::protocol) fn refuse(&mut self, id: BundleId) {
        self.refused.add(id, Refusal::Fact);
    }

    /// Remembers that its tick lies outside the window, so that it is not pulled again while it does.
    pub(in crate::protocol) fn refuse_outside(&mut self, id: BundleId, tick: u64) {
        self.refused.add(id, Refusal::Outside(tick));
    }

    /// Silences a convicted author: its bodies go, and nothing of it is delivered or forwarded from now on. Its claims
    /// stay till the end of the window: should its conviction ever be shed from the book, what was delivered once must
    /// not come again. Gives how many bundles were being held back, and those whose bodies were
    /// still to come.
    pub(in crate::protocol) fn silence(&mut self, author: &PublicKey) -> (u64, Vec<BundleId>) {
        // Most of the convicted never said anything here, and a stranger can be convicted at little cost.
        if self.authors.bundles_of(author) == 0 {
            return (0, Vec::new());
        }
        let (mut held_back, mut fetching) = (0, Vec::new());
        let ticks = self.authors.ticks_of(author).filter_map(|tick| self.generations.get(&tick));
        for claim in ticks.filter_map(|generation| generation.claims.get(author)).flatten() {
            let Some(entry) = self.entries.get_mut(&claim.id) else { continue };
            // A copy that is being verified is not what was claimed: its verdict finds the author convicted.
            if !entry.is_verified() {
                continue;
            }
            self.bodies.drop(&claim.id);
            match entry.refuse() {
                Stage::Held { .. } => held_back += 1,
                Stage::Fetching => fetching.push(claim.id),
                _ => {}
            }
        }
        (held_back, fetching)
    }

    /// Takes a body out of the store, since the application is yet to be asked about it. It stays with the entry.
    pub(in crate::protocol) fn unkeep_body(&mut self, id: &BundleId) {
        self.bodies.drop(id);
    }

    pub(in crate::protocol) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Unix milliseconds of so long after now.
fn millis_from(now: Now, after: Duration) -> u64 {
    now.unix_ms.saturating_add(millis(after))
}
