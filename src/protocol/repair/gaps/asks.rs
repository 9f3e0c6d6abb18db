//! Who is asked for a gap, from where on, and what becomes of it when that comes to nothing.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::{Fate, Gaps, Stage};
use crate::protocol::Mono;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::repair::missing::Missing;
use crate::rumor::Position;
use crate::wire::Mark;

impl Gaps {
    /// What may be asked for now, the most worth it first: what nobody can have added to the past; then what failed least often;
    /// then holes before claims; then the oldest.
    pub(in crate::protocol) fn due(&self, now: Mono) -> Vec<Missing> {
        let open = self.gaps.iter().filter(|(_, gap)| gap.stage == Stage::Open && gap.due <= now);
        let mut due: Vec<_> = open
            .map(|(missing, gap)| ((gap.below, gap.failed, gap.is_claim(), gap.since), *missing))
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, missing)| missing).collect()
    }

    /// When something that may not be asked for now may be.
    pub(in crate::protocol) fn next_due(&self, now: Mono) -> Option<Mono> {
        let open = self.gaps.values().filter(|gap| gap.stage == Stage::Open && gap.due > now);
        open.map(|gap| gap.due).min()
    }

    /// Who may be asked for it: of `keepers`, whose floors are not above it, those that were not asked; if it is only claimed, those
    /// of them that claim it.
    pub(in crate::protocol) fn candidates(&self, missing: &Missing, keepers: &LinkSet) -> LinkSet {
        let Some(gap) = self.gaps.get(missing) else { return LinkSet::EMPTY };
        let mut candidates = if gap.is_claim() { gap.claimed_by.and(keepers) } else { *keepers };
        candidates.remove_all(&gap.asked);
        candidates
    }

    /// Whether it may have been added to its author's past.
    pub(in crate::protocol) fn is_below(&self, missing: &Missing) -> bool {
        self.gaps.get(missing).is_some_and(|gap| gap.below)
    }

    /// From where on a link is asked, if the stretch before it is asked for as well: after the last held bundle of its author that
    /// starts before it, after what else is missing of that author before it (claims only of the same link, since others' may be
    /// lies), and not before where the last page stands.
    pub(in crate::protocol) fn from(
        &self,
        missing: &Missing,
        slot: Slot,
        held: Option<Position>,
        low: u64,
    ) -> Mark {
        let mut from = Mark { tick: low, slot: 0 };
        if let Some(held) = held {
            from = from.max(just_after(held));
        }
        let before = self.gaps.range(Missing::first_of(&missing.author())..*missing).rev();
        let mut before = before.filter(|(other, gap)| {
            other.position() < missing.position() && (!gap.is_claim() || gap.claimed_by.contains(slot))
        });
        if let Some((other, _)) = before.next() {
            from = from.max(just_after(other.position()));
        }
        if let Some(gap) = self.gaps.get(missing) {
            let known = gap.held.flatten().map(just_after);
            from = [gap.stands, known].into_iter().flatten().fold(from, Mark::max);
        }
        from.min(start_of(missing.position()))
    }

    /// Whether it is known what the store holds before it.
    pub(in crate::protocol) fn knows_before(&self, missing: &Missing) -> bool {
        self.gaps.get(missing).is_none_or(|gap| gap.held.is_some() || gap.stands.is_some())
    }

    /// The store has said what it holds before it.
    pub(in crate::protocol) fn learns_before(&mut self, missing: &Missing, held: Option<Position>) {
        if let Some(gap) = self.gaps.get_mut(missing) {
            gap.held = Some(held);
        }
    }

    /// These links were asked for it before, in vain: not now.
    pub(in crate::protocol) fn is_not_asked_of(&mut self, missing: &Missing, links: &LinkSet) {
        if let Some(gap) = self.gaps.get_mut(missing) {
            gap.asked.insert_all(links);
        }
    }

    /// A link is asked for it.
    pub(in crate::protocol) fn asks(&mut self, missing: &Missing, slot: Slot, now: Mono) {
        if let Some(gap) = self.gaps.get_mut(missing) {
            gap.stage = Stage::Asked { slot, since: now };
        }
    }

    /// It came over a link that was asked for it, and is being judged.
    pub(in crate::protocol) fn comes(&mut self, missing: &Missing, slot: Slot) {
        if let Some(gap) = self.gaps.get_mut(missing) {
            let since = match gap.stage {
                Stage::Asked { since, .. } | Stage::Came { since, .. } => since,
                Stage::Open => gap.since,
            };
            gap.stage = Stage::Came { slot, since };
        }
    }

    fn is_asked(&self, missing: &Missing, slot: Slot) -> bool {
        let stage = self.gaps.get(missing).map(|gap| gap.stage);
        matches!(stage, Some(Stage::Asked { slot: asked, .. }) if asked == slot)
    }

    /// A page came to an end here, without having brought it: the same link may be asked on from there.
    pub(in crate::protocol) fn stands(&mut self, missing: &Missing, slot: Slot, next: Mark) {
        if let Some(gap) = self.gaps.get_mut(missing) {
            gap.stands = gap.stands.max(Some(next));
        }
        self.is_asked_no_more(missing, slot);
    }

    /// What a link was asked is over, and says nothing about it.
    pub(in crate::protocol) fn is_asked_no_more(&mut self, missing: &Missing, slot: Slot) {
        if self.is_asked(missing, slot)
            && let Some(gap) = self.gaps.get_mut(missing)
        {
            gap.stage = Stage::Open;
        }
    }

    /// A link's page went beyond it. `excused`: the link said that it keeps nothing so old.
    pub(in crate::protocol) fn is_passed(&mut self, missing: &Missing, slot: Slot, excused: bool) {
        let asked = self.is_asked(missing, slot);
        if let Some(gap) = self.gaps.get_mut(missing)
            && (asked || gap.slow.contains(slot))
        {
            if !excused {
                gap.passed.insert(slot);
            }
            self.fails(missing, slot);
        }
    }

    /// What a link was asked came to nothing: its page began nowhere.
    pub(in crate::protocol) fn is_missed(&mut self, missing: &Missing, slot: Slot) {
        if self.is_asked(missing, slot) {
            self.fails(missing, slot);
        }
    }

    /// A link is slow: others are asked before it.
    pub(in crate::protocol) fn is_left(&mut self, missing: &Missing, slot: Slot) {
        if self.is_asked(missing, slot)
            && let Some(gap) = self.gaps.get_mut(missing)
        {
            gap.slow.insert(slot);
            self.fails(missing, slot);
        }
    }

    /// What came over a link is not kept: nobody is asked before `due`. Another may have sent the same since. It is the copy of this link
    /// that was judged, so nothing is waited for any more.
    pub(in crate::protocol) fn is_not_kept(&mut self, missing: &Missing, slot: Slot, due: Mono) {
        if let Some(gap) = self.gaps.get_mut(missing)
            && matches!(gap.stage, Stage::Came { .. })
        {
            gap.due = gap.due.max(due);
            gap.stage = Stage::Open;
            self.fails(missing, slot);
        }
    }

    /// It is put off for now: the same link may be asked again, later.
    pub(in crate::protocol) fn is_put_off(&mut self, missing: &Missing, due: Mono) {
        if let Some(gap) = self.gaps.get_mut(missing) {
            gap.due = gap.due.max(due);
            gap.stage = Stage::Open;
        }
    }

    /// Since when it is known.
    pub(in crate::protocol) fn since(&self, missing: &Missing) -> Option<Mono> {
        self.gaps.get(missing).map(|gap| gap.since)
    }

    fn fails(&mut self, missing: &Missing, slot: Slot) {
        self.is_asked_no_more(missing, slot);
        if let Some(gap) = self.gaps.get_mut(missing) {
            gap.asked.insert(slot);
            gap.failed = gap.failed.saturating_add(1);
        }
    }

    /// Nobody has filled it: is there anybody left to ask among `keepers`? (Where no link keeps the topic nobody has failed, and this is
    /// not to be asked.)
    pub(in crate::protocol) fn settle(&mut self, missing: &Missing, keepers: &LinkSet) -> Fate {
        let Some(gap) = self.gaps.get(missing) else { return Fate::GoesOn };
        if gap.stage != Stage::Open || !self.candidates(missing, keepers).is_empty() {
            return Fate::GoesOn;
        }
        match gap.hole {
            None => {
                self.give_up(missing);
                Fate::Forgotten
            }
            Some(hole) => {
                self.remove(missing);
                self.beyond = true;
                Fate::Rests(hole)
            }
        }
    }
}

impl Gaps {
    /// A link is gone: whoever has its place next was asked for nothing.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot) {
        self.forget_keeper(slot);
        for gap in self.gaps.values_mut() {
            for set in [&mut gap.asked, &mut gap.passed, &mut gap.slow] {
                set.remove(slot);
            }
        }
    }

    /// A link keeps the topic no more: its claims go with it. What it was asked for and has not brought it is not asked for again when it
    /// takes that back, or who says so again and again would hold a hole that nobody can fill.
    pub(in crate::protocol) fn forget_keeper(&mut self, slot: Slot) {
        self.claims_of.remove(&slot);
        self.given_up.remove(slot);
        let mut gone = Vec::new();
        for (missing, gap) in &mut self.gaps {
            let by = match gap.stage {
                Stage::Asked { slot, .. } | Stage::Came { slot, .. } => Some(slot),
                Stage::Open => None,
            };
            if by == Some(slot) {
                gap.stage = Stage::Open;
                gap.asked.insert(slot);
                gap.failed = gap.failed.saturating_add(1);
            }
            gap.claimed_by.remove(slot);
            if gap.is_claim() && gap.claimed_by.is_empty() {
                gone.push(*missing);
            }
        }
        for missing in gone {
            self.gaps.remove(&missing);
        }
    }

    /// A claim is dropped though what it names has not come. The links that listed it still have something that we lack.
    pub(super) fn give_up(&mut self, missing: &Missing) {
        if let Some(gap) = self.remove(missing) {
            gap.claimed_by.iter().for_each(|slot| self.given_up.insert(slot));
        }
    }

    /// A link is asked anew what it has: what was given up before does not count any more.
    pub(in crate::protocol) fn asks_anew(&mut self, slot: Slot) {
        self.given_up.remove(slot);
    }

    /// Whether all has come that a link has listed since it was last asked. (What is named by a held bundle as well is a hole.)
    pub(in crate::protocol) fn have_all_of(&self, slot: Slot) -> bool {
        self.holes == 0 && self.claims_of(slot) == 0 && !self.given_up.contains(slot)
    }
}

/// Where a bundle can start at the earliest that is none of those that start at `position` or earlier.
fn just_after(position: Position) -> Mark {
    Mark { tick: position.tick, slot: u32::from(position.slot).saturating_add(1) }
}

/// Where a bundle starts, as a page says it.
pub(in crate::protocol) fn start_of(position: Position) -> Mark {
    Mark { tick: position.tick, slot: u32::from(position.slot) }
}
