//! One topic's memory: which positions are claimed, which bundles are known, and what has left the window for good.
//!
//! ```text
//!   tick ──> author ──> claims [first slot, end slot) ──> bundle id ──> Entry (header, stage, body while kept)
//!   └ generations leave together, and it is remembered whose they were (`spent`): none of it is accepted again
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::limits::SERVES_FOR;
use crate::protocol::limits::{
    AHEAD_SHARE, DEBT_ACCOUNTS, DEBTS_A_ROUND, LINK_SHARE, MOST_DEBT, RELAY_FUTURE, RELAY_PAST, SHARE_OF_FREE,
};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::meter::Meter;
use crate::protocol::random::{Keyed, KeyedMap, KeyedSet};
use crate::protocol::shrink::Shrink as _;
use crate::protocol::time::{Mono, Now};
use crate::protocol::topics::authors::Authors;
use crate::protocol::topics::bodies::{Bodies, Caps};
use crate::protocol::topics::debts::{Debt, Debts, Verdict};
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
/// Newcomers are refused from this part of a cap on (numerator of a fraction of 16).
const NEWCOMER_SHARE: usize = 14;

#[derive(Debug)]
pub(in crate::protocol) struct Window {
    pub(in crate::protocol) rules: Arc<RuleSet>,
    pub(in crate::protocol) deliver: bool,
    pub(in crate::protocol) validate: bool,
    /// Since when no link has brought anything, Unix milliseconds; `None` while one does.
    pub(in crate::protocol) dark_since: Option<u64>,
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
    pub(in crate::protocol) debts: Debts,
    /// Headers that found no place.
    pub(in crate::protocol) passed: Passed,
    pub(in crate::protocol) authors: Authors,
    keyed: Keyed,
}

#[derive(Debug)]
struct Generation {
    /// Sorted and disjoint, per author.
    claims: KeyedMap<PublicKey, Vec<Claim>>,
    /// Entries of this tick that have not claimed anything (yet): their signatures are being checked.
    unclaimed: KeyedSet<BundleId>,
    /// When the tick would leave the window by the clock of the last insertion: not before that, however the clock jumps.
    stays_until: Mono,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    first: u32,
    end: u32,
    id: BundleId,
    /// The link on whose account it is, if its author was a newcomer.
    payer: Option<LinkId>,
}

impl Generation {
    /// The bundle that has claimed one of a header's positions.
    fn overlapping(&self, header: &Header) -> Option<BundleId> {
        let claims = self.claims.get(&header.author)?;
        // Sorted and disjoint, so only the neighbour before the end can overlap.
        let after = claims.partition_point(|claim| claim.first < header.end_slot());
        let before = claims.get(after.checked_sub(1)?)?;
        (before.end > u32::from(header.first_slot)).then_some(before.id)
    }
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

    /// Whether a tick is inside the relay window.
    fn is_relayable(&self, tick: u64, now: Now) -> bool {
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

    /// Row 10: asked again when the body is to be kept, since others may have taken the room while it was in flight.
    pub(in crate::protocol) fn has_room_for_body(
        &mut self,
        header: &Header,
        now: Mono,
        config: &Config,
    ) -> bool {
        let bytes = header.bytes as usize;
        self.bodies.has_room(&header.author, None, bytes, caps(config, false), SHARE_OF_FREE, now)
    }

    /// Whether there is room for an own bundle of `bytes`: if not, the author waits, well short of where others with the same
    /// configuration would refuse the bundle, since they may hold more than we do (their clocks may be behind): of the index at a
    /// quarter as much, of the young bodies at half as much, and by [`pace`].
    pub(in crate::protocol) fn has_room(
        &mut self,
        author: &PublicKey,
        bytes: usize,
        now: Mono,
        config: &Config,
    ) -> bool {
        let (of_author, newcomer) = self.authors.usage(author, now);
        let pace = if newcomer { &self.pace } else { &self.known_pace };
        let free = share_of(config.topics.bundles, newcomer).saturating_sub(self.claimed());
        let place = of_author < config.topics.bundles.div_ceil(4) && of_author < free.div_ceil(2);
        place
            && self.bodies.has_room(author, None, bytes, caps(config, newcomer), SHARE_OF_FREE / 2, now)
            && pace.overdrawn_until(now).is_none()
            && self.own_pace.overdrawn_until(now).is_none()
    }

    /// Whether the index has a place for one more bundle of an author, and who pays for it: for a newcomer's the link.
    ///
    /// An author may have a quarter of the index, since its quota alone may allow for more than all of it, and [`SHARE_OF_FREE`]
    /// times what is free for it (a dynamic threshold, Choudhury and Hahne, 1998); a link's newcomers may have [`LINK_SHARE`] times
    /// that. So however many authors and links fill the index, each leaves something for who comes after them.
    fn place(&self, header: &Header, link: LinkId, now: Now, config: &Config) -> Option<Option<LinkId>> {
        let (of_author, newcomer) = self.authors.usage(&header.author, now.mono);
        let mut share = share_of(config.topics.bundles, newcomer);
        if newcomer && self.rules.tick_len().start_of(header.tick) >= millis_from(now, DELIVER_FUTURE) {
            share = config.topics.bundles / 16 * AHEAD_SHARE;
        }
        let free = share.saturating_sub(self.claimed());
        // Of what is free to a link's newcomers each may have its part, so they leave room for those that come after them as well.
        let open = match self.newcomers.get(&link) {
            Some(of_link) if newcomer => free.saturating_mul(LINK_SHARE).saturating_sub(*of_link).min(free),
            _ => free,
        };
        let place =
            of_author < config.topics.bundles.div_ceil(4) && of_author < open.saturating_mul(SHARE_OF_FREE);
        place.then_some(newcomer.then_some(link))
    }

    /// Bundles that hold a place in the index.
    pub(in crate::protocol) fn claimed(&self) -> usize {
        debug_assert!(self.unclaimed <= self.entries.len());
        self.entries.len().saturating_sub(self.unclaimed)
    }

    /// Takes in a new entry; the caller has checked [`Window::admit`].
    pub(in crate::protocol) fn insert(&mut self, id: BundleId, entry: Entry, now: Now) {
        let keyed = self.keyed;
        let tick = entry.signed.header.tick;
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
            && let Some(generation) = self.generations.get_mut(&entry.signed.header.tick)
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
        Evidence::new(other.signed, *signed).ok().map(Box::new)
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
                entry.body = None;
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

    /// The debts that there is room for now, no more than there are places.
    /// `peer` tells who is at the other end of a link. Each debt names the links that have a place for it, if any has.
    pub(in crate::protocol) fn payable(
        &mut self,
        now: Now,
        config: &Config,
        peer: impl Fn(Slot) -> Option<(LinkId, PublicKey)>,
    ) -> Vec<(BundleId, Debt)> {
        if self.debts.is_empty() {
            return Vec::new();
        }
        let mut debts = std::mem::replace(&mut self.debts, Debts::new(self.keyed));
        let most = config.topics.bundles.saturating_sub(self.claimed()).min(DEBTS_A_ROUND);
        let mut taken = debts.take(most, now.mono, |id, debt| self.verdict(id, debt, now, config, &peer));
        self.debts = debts;
        for (id, debt) in &mut taken {
            let room = self.accounts(debt, now, config, &peer);
            if !self.entries.contains_key(id) && !room.is_empty() {
                debt.links = room;
            }
        }
        taken
    }

    /// Links that have a debt and a place for it on their own account: of a few, others with each second. Whoever brings something
    /// first while its places are taken would keep it from being asked of anybody.
    fn accounts(
        &mut self,
        debt: &Debt,
        now: Now,
        config: &Config,
        peer: &impl Fn(Slot) -> Option<(LinkId, PublicKey)>,
    ) -> LinkSet {
        let mut links: Vec<_> = debt.links.iter().collect();
        let second = usize::try_from(now.unix_ms / 1_000).unwrap_or(0);
        let turn = second.checked_rem(links.len()).unwrap_or(0);
        links.rotate_left(turn);
        let mut room = LinkSet::default();
        for slot in links.into_iter().take(DEBT_ACCOUNTS) {
            if let Some(by) = peer(slot)
                && self.admit(&debt.header, by, now, config).is_ok()
            {
                room.insert(slot);
            }
        }
        room
    }

    /// Whether a debt that stands in the list on one link's account has room on that of another, which announces it as well.
    /// Or whoever brings something first while its own places are taken would keep it from being asked of anybody.
    pub(in crate::protocol) fn has_room_over(
        &mut self,
        id: &BundleId,
        by: (LinkId, PublicKey),
        now: Now,
        config: &Config,
    ) -> bool {
        let header = self.debts.unrested(id, now.mono).copied();
        let header = header.filter(|_| !self.entries.contains_key(id));
        header.is_some_and(|header| self.admit(&header, by, now, config).is_ok())
    }

    fn verdict(
        &mut self,
        id: &BundleId,
        debt: &Debt,
        now: Now,
        config: &Config,
        peer: &impl Fn(Slot) -> Option<(LinkId, PublicKey)>,
    ) -> Verdict {
        let room = match self.entries.get(id).map(Entry::stage) {
            // It was claimed before there was no room for its body.
            Some(Stage::Fetching) => self.has_room_for_body(&debt.header, now.mono, config),
            Some(_) => return Verdict::Forget,
            None => match self.admit(&debt.header, (debt.link, debt.peer), now, config) {
                Ok(()) => true,
                Err(Unfit::OutsideWindow | Unfit::Spent) => return Verdict::Forget,
                Err(Unfit::Early) => false,
                Err(Unfit::OverCap) => !self.accounts(debt, now, config, peer).is_empty(),
            },
        };
        if room { Verdict::Pay } else { Verdict::Wait }
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

    /// The topic is left: what was in flight is forgotten, and which links know what. What was accepted stays with its body,
    /// so that nothing is delivered again if the topic is joined again, and nothing is lacking then for those who come later.
    pub(in crate::protocol) fn leave(&mut self) {
        self.stop_reading();
        self.dark_since = None;
        self.debts = Debts::new(self.keyed);
        let unfinished = |entry: &Entry| {
            matches!(entry.stage(), Stage::Verifying { .. } | Stage::Fetching | Stage::Validating)
        };
        let forgotten: Vec<_> =
            self.entries.iter().filter(|(_, entry)| unfinished(entry)).map(|(id, _)| *id).collect();
        forgotten.iter().for_each(|id| self.forget(id));
        self.entries.values_mut().for_each(Entry::forget_links);
    }

    /// The application is gone: what comes is relayed as it is.
    pub(in crate::protocol) const fn stop_reading(&mut self) {
        (self.deliver, self.validate) = (false, false);
    }

    /// A topic that is joined again, of which only this is known: what was delivered lies in ticks below `floor`.
    pub(in crate::protocol) fn delivered_below(mut self, floor: u64) -> Self {
        self.delivered_below = floor;
        self
    }

    /// The first tick in which nothing was delivered; 0 if nothing was. And when the ticks before it have left the relay
    /// window, Unix milliseconds.
    pub(in crate::protocol) fn floor_of_delivered(&self) -> (u64, u64) {
        let delivered = self.entries.values().filter(|entry| entry.delivered);
        let newest = delivered.map(|entry| entry.signed.header.tick.saturating_add(1)).max();
        let floor = newest.unwrap_or(0).max(self.delivered_below);
        let past = u64::try_from((RELAY_PAST + self.hold_back()).as_millis()).unwrap_or(u64::MAX);
        (floor, self.rules.tick_len().start_of(floor).saturating_add(past))
    }

    /// For how long any node may relay what is delivered now.
    pub(in crate::protocol) fn longest_relayed(&self) -> Duration {
        let tick = Duration::from_millis(self.rules.tick_len().millis().into());
        DELIVER_FUTURE + tick + RELAY_PAST + self.hold_back()
    }

    /// What the application may still be given: accepted, with a body, inside the delivery window, never delivered. In the
    /// order of positions.
    pub(in crate::protocol) fn undelivered(&self, now: Now) -> Vec<BundleId> {
        let waits = |entry: &Entry| {
            entry.is_counted() && !entry.delivered && self.is_deliverable(entry.signed.header.tick, now)
        };
        let mut waiting: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| waits(entry))
            .map(|(id, entry)| (entry.signed.header.tick, entry.signed.header.first_slot, *id))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, _, id)| id).collect()
    }

    /// Takes a body out of the store, since the application is yet to be asked about it. It stays with the entry.
    pub(in crate::protocol) fn unkeep_body(&mut self, id: &BundleId) {
        self.bodies.drop(id);
    }

    /// Drops bodies past their retention and generations that have left every window, and remembers whose those were. Gives
    /// the ids that are forgotten.
    pub(in crate::protocol) fn expire(&mut self, now: Now) -> Vec<BundleId> {
        let keep = self.keep() + SERVES_FOR;
        let expired = self.bodies.expire(keep, now.mono);
        self.drop_bodies(&expired);
        self.authors.expire(now.mono);
        self.debts.shrink();
        let len = self.rules.tick_len();
        let gone = now.unix_ms.saturating_sub(millis(RELAY_PAST + self.hold_back()));
        self.passed.expire(|tick| len.end_of(tick) <= gone);
        let mut forgotten = Vec::new();
        while let Some(tick) = self.leaving(now)
            && let Some(generation) = self.generations.remove(&tick)
        {
            for (author, claims) in &generation.claims {
                self.authors.left(author, tick, claims.len());
                self.spent.add(author, tick);
            }
            self.unclaimed.loses(generation.unclaimed.len());
            for claim in generation.claims.values().flatten() {
                claim.payer.into_iter().for_each(|link| give_back_place(&mut self.newcomers, link));
            }
            let claimed = generation.claims.into_values().flatten().map(|claim| claim.id);
            for id in claimed.chain(generation.unclaimed) {
                self.entries.remove(&id);
                self.bodies.drop(&id);
                forgotten.push(id);
            }
        }
        self.entries.shrink();
        self.bodies.shrink();
        forgotten
    }

    /// When a tick leaves the last of the windows, Unix milliseconds.
    fn over_at(&self, tick: u64) -> u64 {
        let past = (RELAY_PAST + self.hold_back()).max(self.keep() + SERVES_FOR);
        let past = u64::try_from(past.as_millis()).unwrap_or(u64::MAX);
        self.rules.tick_len().end_of(tick).saturating_add(past)
    }

    /// A tick whose generation may go: outside the window by the clock of now, on either side, and not held for less time
    /// than the clock of its last bundle promised. So a clock that jumps over the window and back finds all as it was.
    fn leaving(&self, now: Now) -> Option<u64> {
        let future = u64::try_from(RELAY_FUTURE.as_millis()).unwrap_or(u64::MAX);
        let begins = |tick: u64| self.rules.tick_len().start_of(tick);
        let oldest =
            self.generations.first_key_value().filter(|(tick, _)| self.over_at(**tick) <= now.unix_ms);
        let newest = self.generations.last_key_value();
        let newest = newest.filter(|(tick, _)| begins(**tick) >= now.unix_ms.saturating_add(future));
        let held = |of: &(&u64, &Generation)| of.1.stays_until <= now.mono;
        oldest.filter(held).or(newest.filter(held)).map(|(tick, _)| *tick)
    }

    /// Whether a peer that held a body `age` ago holds it now, unless it needed the room.
    pub(in crate::protocol) fn is_still_held(&self, age: Duration) -> bool {
        age < self.keep()
    }

    /// How long a body is offered to others. Not less than it takes to spread, whatever the rules say.
    fn keep(&self) -> Duration {
        self.rules.retention().max(youth(&self.rules))
    }

    /// Accepted bundles that may be announced, newest first: bodies that will be held for as long as an announcement
    /// promises, of ticks that another node may still relay. `None` for each one that was looked at in vain.
    pub(in crate::protocol) fn held(&self, now: Now) -> impl Iterator<Item = Option<(BundleId, &Entry)>> {
        let keep = self.keep();
        let recent = self.bodies.newest().take_while(move |(at, _)| now.mono.since(*at) <= keep);
        let past = RELAY_PAST + self.hold_back();
        recent.map(move |(_, id)| {
            let entry = self.entries.get(&id).filter(|entry| entry.is_counted())?;
            self.within(entry.signed.header.tick, now, past, RELAY_FUTURE).then_some((id, entry))
        })
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

fn give_back_place(newcomers: &mut KeyedMap<LinkId, usize>, link: LinkId) {
    if let Some(places) = newcomers.get_mut(&link) {
        places.loses(1);
        if *places == 0 {
            newcomers.remove(&link);
        }
    }
}

/// How long a body must stay: whoever announces it serves it, and who holds it back will deliver it.
fn youth(rules: &RuleSet) -> Duration {
    SERVES_FOR.max(rules.hold_back().unwrap_or_default())
}

/// How fast a cap on young bodies may be filled by whoever waits: half of it in the ten seconds that they stay, an eighth
/// of it at once. A node that was busy for a while may take in twice as much in that time as its authors say in it; and with
/// a mark instead of a pace, authors fill the half in a burst and then stand still until it has aged.
fn pace(cap: usize) -> Meter {
    let cap = cap as u64;
    Meter::new((cap / 2 / SERVES_FOR.as_secs()).max(1), cap / 8)
}

fn caps(config: &Config, newcomer: bool) -> Caps {
    Caps { topic: share_of(config.topics.bytes, newcomer), author: config.topics.author_bytes }
}

/// The part of a cap that an author may use: newcomers are refused before the known are.
fn share_of(cap: usize, newcomer: bool) -> usize {
    if newcomer { cap / 16 * NEWCOMER_SHARE } else { cap }
}

#[cfg(any(test, feature = "sim"))]
impl Window {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        for (author, bundles) in self.authors.bundles() {
            let of_author = self.generations.values().filter_map(|generation| generation.claims.get(author));
            recount.same("an author's bundles in the index", bundles, of_author.map(Vec::len).sum());
        }
        let unclaimed: usize = self.generations.values().map(|generation| generation.unclaimed.len()).sum();
        let mut without_claim = 0;
        for (id, entry) in &self.entries {
            let header = &entry.signed.header;
            let generation = self.generations.get(&header.tick);
            let waits = generation.is_some_and(|generation| generation.unclaimed.contains(id));
            let claims = generation.and_then(|generation| generation.claims.get(&header.author));
            let claimed = claims.is_some_and(|claims| claims.iter().any(|claim| claim.id == *id));
            without_claim += usize::from(waits);
            recount.holds(waits || claimed, "a bundle is in no generation, and would never expire");
            recount.holds(!entry.is_counted() || self.bodies.holds(id), "a body is kept and not counted");
        }
        recount.same("bundles without a claim", unclaimed, without_claim);
        recount.same("bundles that hold no place", self.unclaimed, without_claim);
        let claims = self.generations.values().flat_map(|generation| generation.claims.values()).flatten();
        let paid = claims.filter(|claim| claim.payer.is_some()).count();
        recount.same("newcomers' places by their links", self.newcomers.values().sum(), paid);
        self.debts.check(recount);
        recount.same(
            "bodies",
            self.bodies.count(),
            self.entries.values().filter(|entry| entry.is_counted()).count(),
        );
        self.bodies.check(recount);
        self.refused.check(recount);
    }
}
