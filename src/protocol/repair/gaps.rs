//! What a topic lacks, and who is asked for it.
//!
//! | Word | Meaning |
//! |---|---|
//! | hole | a held bundle names it: that it exists is signed by its author. The store remembers it |
//! | claim | a link has listed it as a head: that link's word, which takes a place of that link and of nobody else |
//! | passed | a link was asked for it, and its page went beyond it |
//!
//! ```text
//!              ┌──────── nobody is left to ask: a claim is forgotten, a hole rests in the store ──────┐
//!   Open ── asks ──> Asked ── it comes ──> Came ── kept ──> closed: whoever passed it is struck       │
//!    ^ └──────────────│─────────────────────│─────────────────────────────────────────────────────────┘
//!    └── passed, left, not begun ── not kept┘
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod asks;

use std::collections::BTreeMap;
use std::time::Duration;

pub(in crate::protocol) use asks::start_of;

use super::missing::Missing;
use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::keeping::Hole;
use crate::protocol::limits::{HOLES_OF_AUTHOR, HOLES_OF_LISTED, MAX_CLAIMS, MAX_GAPS, MAX_HOLES};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::total::Total as _;
use crate::rumor::Position;
use crate::wire::Mark;

/// Places for what links list. The others are for holes, whatever links list.
const CLAIM_PLACES: usize = MAX_GAPS - MAX_HOLES;
/// Whoever was asked before another brought it so soon was too slow for it.
const FILLED_SOON: Duration = Duration::from_secs(4);

/// How far a gap has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nobody is being asked.
    Open,
    /// This link is, since then.
    Asked { slot: Slot, since: Mono },
    /// It came over this link, which was asked then, and is being judged.
    Came { slot: Slot, since: Mono },
}

/// Something missing.
#[derive(Debug)]
struct Gap {
    /// The row of the store, if a held bundle names it.
    hole: Option<Hole>,
    /// Where the page of the last link that was asked stands, if it went beyond where the range began.
    stands: Option<Mark>,
    /// What is held before it, if the store was asked.
    held: Option<Option<Position>>,
    claimed_by: LinkSet,
    /// Links that were asked and have not brought it.
    asked: LinkSet,
    /// Of those, the ones whose page went beyond it.
    passed: LinkSet,
    /// Of those, the ones that we left because they were slow.
    slow: LinkSet,
    since: Mono,
    /// Nobody is asked before.
    due: Mono,
    /// Its author may have added it to its past.
    below: bool,
    failed: u32,
    stage: Stage,
}

impl Gap {
    const fn new(now: Mono, due: Mono, below: bool) -> Self {
        Self {
            hole: None,
            stands: None,
            held: None,
            claimed_by: LinkSet::EMPTY,
            asked: LinkSet::EMPTY,
            passed: LinkSet::EMPTY,
            slow: LinkSet::EMPTY,
            since: now,
            due,
            below,
            failed: 0,
            stage: Stage::Open,
        }
    }

    const fn is_claim(&self) -> bool {
        self.hole.is_none()
    }
}

/// What became of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Claimed {
    /// It is asked for from now on.
    New,
    /// It was known to be missing, and this link has it too.
    Joined,
    /// The link has as many claims as it may have now.
    Full,
}

/// What is left of a gap that nobody has filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Fate {
    /// Somebody else is asked, or it is not missing any more.
    GoesOn,
    /// All who claimed it have failed.
    Forgotten,
    /// All links have failed: it rests in the store, as long as it has been open.
    Rests(Hole),
}

/// A gap that was filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Closed {
    was_hole: bool,
    by: Option<Slot>,
    struck: LinkSet,
}

impl Closed {
    /// Whether a held bundle had named it.
    pub(in crate::protocol) const fn was_hole(&self) -> bool {
        self.was_hole
    }

    /// The link that was asked for it and brought it, if one did.
    pub(in crate::protocol) const fn by(&self) -> Option<Slot> {
        self.by
    }

    /// Links that had it to give and did not.
    pub(in crate::protocol) const fn struck(&self) -> LinkSet {
        self.struck
    }
}

/// All gaps of one topic.
#[derive(Debug)]
pub(in crate::protocol) struct Gaps {
    gaps: BTreeMap<Missing, Gap>,
    holes: usize,
    holes_of: BTreeMap<PublicKey, usize>,
    claims_of: BTreeMap<Slot, usize>,
    given_up: LinkSet,
    most_of_author: usize,
    /// What a page went beyond is not held where it came from.
    ends_prove: bool,
    /// The store has holes that found no place here.
    beyond: bool,
    /// Some of them for want of room, of which there is some by now.
    refill: bool,
    crowded: bool,
}

impl Gaps {
    /// Of a topic that lists its authors, or of one that is open.
    pub(in crate::protocol) fn new(is_listed: bool) -> Self {
        Self {
            gaps: BTreeMap::new(),
            holes: 0,
            holes_of: BTreeMap::new(),
            claims_of: BTreeMap::new(),
            given_up: LinkSet::EMPTY,
            most_of_author: if is_listed { HOLES_OF_LISTED } else { HOLES_OF_AUTHOR },
            ends_prove: true,
            beyond: false,
            refill: false,
            crowded: false,
        }
    }

    /// The same of a topic of state. A page has what is live when it is made: what was listed before may be replaced by then, and
    /// nobody is struck for it.
    pub(in crate::protocol) fn of_state(is_listed: bool) -> Self {
        Self { ends_prove: false, ..Self::new(is_listed) }
    }

    /// How many there are.
    pub(in crate::protocol) fn len(&self) -> usize {
        self.gaps.len()
    }

    /// How many of them held bundles name.
    pub(in crate::protocol) const fn holes(&self) -> usize {
        self.holes
    }

    /// Whether the store has holes that found no place here.
    pub(in crate::protocol) const fn has_beyond(&self) -> bool {
        self.beyond
    }

    /// The store is walked through from the beginning: what finds no place says so again.
    pub(in crate::protocol) const fn looks_again(&mut self) {
        (self.beyond, self.crowded, self.refill) = (false, false, false);
    }

    /// Whether holes that found no place may find one by now. True once.
    pub(in crate::protocol) const fn is_to_be_refilled(&mut self) -> bool {
        std::mem::replace(&mut self.refill, false)
    }

    /// The store has a hole that is not asked for now.
    pub(in crate::protocol) const fn leaves_beyond(&mut self) {
        self.beyond = true;
    }

    /// Whether it is known to be missing.
    pub(in crate::protocol) fn has(&self, missing: &Missing) -> bool {
        self.gaps.contains_key(missing)
    }

    /// Whether one more hole of this author finds a place without another's leaving.
    pub(in crate::protocol) fn has_room_for(&self, author: &PublicKey) -> bool {
        self.holes < MAX_HOLES && self.holes_of.get(author).is_none_or(|holes| *holes < self.most_of_author)
    }

    /// Gaps that links have listed, and no held bundle names.
    pub(in crate::protocol) fn claims(&self) -> usize {
        self.gaps.len().saturating_sub(self.holes)
    }

    /// A held bundle names it. Nobody is asked before `due`. False if there is no place: the store keeps it.
    pub(in crate::protocol) fn add_hole(&mut self, hole: Hole, due: Mono, below: bool, now: Mono) -> bool {
        let missing = Missing::of_hole(&hole);
        let known = self.gaps.get(&missing).map(Gap::is_claim);
        if known == Some(false) {
            return true;
        }
        if !self.has_room_for(&hole.author) && !self.make_room(&hole.author) {
            (self.beyond, self.crowded) = (true, true);
            // What a link has listed is asked for all the same.
            return known.is_some();
        }
        // What was listed takes no place of a link any more.
        let listed = self.remove(&missing);
        let gap = listed.unwrap_or_else(|| Gap::new(now, due, below));
        self.holes.gains(1);
        self.holes_of.entry(hole.author).or_default().gains(1);
        self.gaps.insert(missing, Gap { hole: Some(hole), ..gap });
        true
    }

    /// The hole that has failed most often leaves for another: of the author if that has its share, else of all. One that was never
    /// tried stays.
    fn make_room(&mut self, author: &PublicKey) -> bool {
        let full = self.holes_of.get(author).is_some_and(|holes| *holes >= self.most_of_author);
        let candidates = self.gaps.iter().filter(|(missing, gap)| {
            !gap.is_claim() && gap.stage == Stage::Open && (!full || missing.author() == *author)
        });
        let worst = candidates.max_by_key(|(_, gap)| gap.failed).filter(|(_, gap)| gap.failed > 0);
        let Some(missing) = worst.map(|(missing, _)| *missing) else { return false };
        self.remove(&missing);
        (self.beyond, self.crowded) = (true, true);
        true
    }

    /// A link lists it as a head. It takes a place of that link.
    pub(in crate::protocol) fn claim(
        &mut self,
        missing: Missing,
        slot: Slot,
        below: bool,
        now: Mono,
    ) -> Claimed {
        if let Some(gap) = self.gaps.get_mut(&missing)
            && (!gap.is_claim() || gap.claimed_by.contains(slot))
        {
            gap.claimed_by.insert(slot);
            return Claimed::Joined;
        }
        let known = self.gaps.contains_key(&missing);
        let claims = self.claims_of(slot);
        let room = known || self.claims() < CLAIM_PLACES || self.make_room_for_claim(claims);
        if claims >= MAX_CLAIMS || !room {
            return Claimed::Full;
        }
        self.claims_of.entry(slot).or_default().gains(1);
        let gap = self.gaps.entry(missing).or_insert_with(|| Gap::new(now, now, below));
        gap.claimed_by.insert(slot);
        if known { Claimed::Joined } else { Claimed::New }
    }

    /// A link that has so many claims takes the place of one that has the most, if that has some more.
    fn make_room_for_claim(&mut self, claims: usize) -> bool {
        let most = self.claims_of.iter().max_by_key(|(_, claims)| **claims);
        let Some((slot, _)) = most.filter(|(_, most)| **most > claims.saturating_add(1)) else {
            return false;
        };
        let mut alone = LinkSet::EMPTY;
        alone.insert(*slot);
        let of_it = self
            .gaps
            .iter()
            .filter(|(_, gap)| gap.is_claim() && gap.stage == Stage::Open && gap.claimed_by == alone);
        let Some(missing) = of_it.max_by_key(|(_, gap)| gap.failed).map(|(missing, _)| *missing) else {
            return false;
        };
        self.give_up(&missing);
        true
    }

    fn drop_claims(&mut self, claimed_by: &LinkSet) {
        for slot in claimed_by.iter() {
            if let Some(claims) = self.claims_of.get_mut(&slot) {
                claims.loses(1);
                if *claims == 0 {
                    self.claims_of.remove(&slot);
                }
            }
        }
    }

    fn remove(&mut self, missing: &Missing) -> Option<Gap> {
        let gap = self.gaps.remove(missing)?;
        if gap.is_claim() {
            self.drop_claims(&gap.claimed_by);
            return Some(gap);
        }
        self.holes.loses(1);
        let author = missing.author();
        if let Some(holes) = self.holes_of.get_mut(&author) {
            holes.loses(1);
            self.refill |= self.crowded && *holes <= self.most_of_author / 2;
            if *holes == 0 {
                self.holes_of.remove(&author);
            }
        }
        Some(gap)
    }

    /// It is held now.
    pub(in crate::protocol) fn close(&mut self, missing: &Missing, now: Mono) -> Option<Closed> {
        let gap = self.remove(missing)?;
        let (by, since) = match gap.stage {
            Stage::Came { slot, since } => (Some(slot), Some(since)),
            _ => (None, None),
        };
        let mut struck = LinkSet::EMPTY;
        if let Some(since) = since {
            if self.ends_prove {
                struck = gap.passed;
            }
            if now.since(since) <= FILLED_SOON {
                struck.insert_all(&gap.slow);
            }
        }
        by.into_iter().for_each(|slot| struck.remove(slot));
        Some(Closed { was_hole: gap.hole.is_some(), by, struck })
    }

    /// It will never be held: it came, and is nothing to keep.
    pub(in crate::protocol) fn drop_gap(&mut self, missing: &Missing) -> Option<Hole> {
        self.remove(missing).and_then(|gap| gap.hole)
    }

    /// For how long it has been open.
    pub(in crate::protocol) fn open_for(&self, missing: &Missing, now: Mono) -> Duration {
        self.gaps.get(missing).map_or(Duration::ZERO, |gap| now.since(gap.since))
    }

    /// What lies below a tick is not missing any more.
    pub(in crate::protocol) fn raise(&mut self, low: u64) {
        self.drop_those(|missing| missing.position().tick < low);
    }

    /// An author was convicted: nothing of it is asked for.
    pub(in crate::protocol) fn silence(&mut self, author: &PublicKey) {
        self.drop_those(|missing| missing.author() == *author);
    }

    fn drop_those(&mut self, goes: impl Fn(&Missing) -> bool) {
        let gone: Vec<_> = self.gaps.keys().filter(|missing| goes(missing)).copied().collect();
        for missing in gone {
            self.remove(&missing);
        }
    }

    /// Whether there is a claim of which none was asked yet of those who made it.
    pub(in crate::protocol) fn has_unasked_claims(&self) -> bool {
        let unasked = |gap: &Gap| {
            let asks = matches!(gap.stage, Stage::Asked { .. } | Stage::Came { .. });
            let mut waits = gap.claimed_by;
            waits.remove_all(&gap.asked);
            gap.is_claim() && (asks || !waits.is_empty())
        };
        self.gaps.values().any(unasked)
    }

    /// Claims of one link.
    pub(in crate::protocol) fn claims_of(&self, slot: Slot) -> usize {
        self.claims_of.get(&slot).copied().unwrap_or(0)
    }
}

#[cfg(any(test, feature = "sim"))]
impl Gaps {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("holes", self.holes, self.gaps.values().filter(|gap| !gap.is_claim()).count());
        recount.same("holes of authors", self.holes, self.holes_of.values().sum());
        recount.holds(self.claims() <= CLAIM_PLACES && self.holes <= MAX_HOLES, "too many gaps");
        recount.holds(
            self.holes_of.values().all(|holes| *holes <= self.most_of_author),
            "too many holes of one author",
        );
        let mut claims = BTreeMap::<Slot, usize>::new();
        for gap in self.gaps.values().filter(|gap| gap.is_claim()) {
            gap.claimed_by.iter().for_each(|slot| claims.entry(slot).or_default().gains(1));
        }
        recount.holds(claims == self.claims_of, "claims of links");
    }
}

#[cfg(test)]
mod tests;
