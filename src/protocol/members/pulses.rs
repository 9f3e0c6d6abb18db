//! Pulses that come in: each is held against the chain that its member's beacon commits to, some hashes a turn. Whose it is, nobody has
//! to be believed.
//!
//! ```text
//!   link ──> its line ──┐
//!   link ──> its line ──┼── in turns, by hashes ──> true, or wrong
//!   link ──> its line ──┘
//! ```
//! Each link has a line of its own and pays before anything is hashed, so whatever one brings delays no other's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::life::MemberState;
use super::table::{Chain, Table};
use crate::key::PublicKey;
use crate::protocol::limits::{
    PULSE_HASHES_A_TURN, PULSES_OF_LINK, PULSES_WAITING, WRONG_FAR_OF_LINK, WRONG_PULSES_FREE,
};
use crate::protocol::linkset::Slot;
use crate::protocol::{Mono, Now};
use crate::rumor::{ChainCheck, ChainPoint, ChainTerms, Descent, PulseValue};
use crate::wire::{KeyPrefix, Pulse};

/// An epoch may begin so long after now: clocks differ.
const AHEAD_S: u64 = 60;
/// A pulse that is this many steps farther than a lease needs work that a liar could make us do for nothing.
const NEAR: u16 = 16;
/// A link whose far pulse of a member was wrong brings no other far one of it for so long.
const FAR_REST: Duration = Duration::from_secs(60);
/// Wrong pulses of a link are counted for so long.
const WRONG_COUNTS: Duration = Duration::from_secs(60);
/// What a hash costs the link that brought the pulse (measured: 127 to 147 ns).
const PULSE_HASH_COST: Duration = Duration::from_nanos(150);
/// How many times that it costs a link that has brought too many wrong ones.
const DEAR: u32 = 10;

/// A pulse on its way down a chain that it may be of.
#[derive(Debug)]
struct Try {
    key: PublicKey,
    terms: ChainTerms,
    descent: Descent,
    far: bool,
}

/// A pulse that is being checked.
#[derive(Debug)]
struct Waiting {
    /// The chains that it may be of, the likeliest last: of members with this prefix, and of each the present one and the one before it.
    tries: Vec<Try>,
    pulse: Pulse,
}

/// What a link has brought.
#[derive(Debug, Default)]
struct OfLink {
    waiting: VecDeque<Waiting>,
    /// When a far pulse of a member was wrong, by the anchor of the chain that it was held against: with its next beacon it may be far again.
    wrong_far: BTreeMap<(KeyPrefix, PulseValue), Mono>,
    /// When its last wrong pulses were found, as many as are free.
    wrong: VecDeque<Mono>,
}

impl OfLink {
    /// Whether it brings no far pulse of such a chain now: one was wrong lately, or too many of others were.
    fn rests(&self, prefix: KeyPrefix, terms: &ChainTerms, now: Mono) -> bool {
        let lately = |at: &&Mono| now.since(**at) < FAR_REST;
        let full = || self.wrong_far.values().filter(lately).count() >= WRONG_FAR_OF_LINK;
        self.wrong_far.get(&(prefix, terms.anchor)).as_ref().is_some_and(lately)
            || self.wrong_far.len() >= WRONG_FAR_OF_LINK && full()
    }

    fn is_dear(&self, now: Mono) -> bool {
        let first = self.wrong.front().filter(|_| self.wrong.len() >= WRONG_PULSES_FREE);
        first.is_some_and(|at| now.since(*at) < WRONG_COUNTS)
    }

    fn was_wrong(&mut self, prefix: KeyPrefix, terms: &ChainTerms, far: bool, now: Mono) {
        if far {
            if self.wrong_far.len() >= WRONG_FAR_OF_LINK {
                self.wrong_far.retain(|_, at| now.since(*at) < FAR_REST);
            }
            if self.wrong_far.len() < WRONG_FAR_OF_LINK {
                self.wrong_far.insert((prefix, terms.anchor), now);
            }
        }
    }

    fn brought_wrong(&mut self, now: Mono) {
        if self.wrong.len() >= WRONG_PULSES_FREE {
            self.wrong.pop_front();
        }
        self.wrong.push_back(now);
    }
}

/// What came of a pulse, when it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// It is a newer pulse of that member's chain.
    True {
        /// Whose.
        key: PublicKey,
        /// Of which chain.
        terms: ChainTerms,
        /// Up to where it is known now.
        known: ChainPoint,
        /// What came.
        pulse: Pulse,
        /// Who brought it.
        slot: Slot,
    },
    /// It is none of that member's chain, as far as this node knows.
    False {
        /// Whose it should be.
        key: PublicKey,
        /// Who brought it.
        slot: Slot,
    },
}

/// What became of a pulse at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It waits to be checked, which costs its link so much.
    Waits(Duration),
    /// It is known, or older than what is.
    Known,
    /// No member has such a key.
    Unknown,
    /// It may be of another chain than those that are known, so its member may have a newer record.
    OfAnother,
    /// Its time has not come, its chain has no such epoch, or it is too far for now.
    Refused,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Pulses {
    links: BTreeMap<Slot, OfLink>,
    /// Pulses that wait, of all links.
    waiting: usize,
    /// Pulses that were dropped unchecked.
    shed: u64,
}

impl Pulses {
    /// A link has brought a pulse.
    pub(super) fn takes(
        &mut self,
        table: &Table,
        pulse: &Pulse,
        slot: Slot,
        would_state: u16,
        now: Now,
    ) -> Taken {
        let Ok(index) = u16::try_from(pulse.index) else { return Taken::Refused };
        let claimed = ChainPoint { index, value: pulse.value };
        let of_link = self.links.get(&slot);
        let (mut tries, mut result) = (Vec::new(), Taken::Unknown);
        for member in table.of_prefix(pulse.member) {
            result = if result == Taken::Unknown { Taken::Refused } else { result };
            let lease = super::period::lease(member.period(would_state)).as_secs();
            // (Of one that is stale nothing was heard for long, so what comes next is far.)
            let may_be_far = |chain: &Chain| member.state() != MemberState::Alive || chain.known.index == 0;
            for chain in member.chains() {
                let terms = chain.terms;
                let begins = terms.starts(terms.epoch_of(index));
                if index > terms.len || begins > (now.unix_ms / 1000).saturating_add(AHEAD_S) {
                    continue;
                }
                let near = (lease / u64::from(terms.epoch_s.max(1))).saturating_add(NEAR.into());
                let Some(descent) = Descent::new(claimed, chain.known) else {
                    let behind = chain.known.index.saturating_sub(index);
                    let is_known = claimed == chain.known;
                    // Who was restarted, or has a new chain, counts from one again.
                    let of_another = behind == 0 || member.life().is_asked_for() || u64::from(behind) > near;
                    result = if is_known || !of_another { Taken::Known } else { Taken::OfAnother };
                    continue;
                };
                let far = u64::from(descent.left()) > near;
                let rests = || of_link.is_some_and(|link| link.rests(pulse.member, &terms, now.mono));
                if !far || may_be_far(chain) && !rests() {
                    tries.push(Try { key: member.key(), terms, descent, far });
                }
            }
        }
        if tries.is_empty() {
            return result;
        }
        tries.reverse();
        let times = if of_link.is_some_and(|link| link.is_dear(now.mono)) { DEAR } else { 1 };
        let hashes = tries.iter().fold(0u32, |sum, one| sum.saturating_add(one.descent.left().into()));
        self.wait(slot, Waiting { tries, pulse: *pulse });
        Taken::Waits(PULSE_HASH_COST.saturating_mul(hashes.saturating_mul(times)))
    }

    /// At the cap of a link its own oldest goes, and at the cap of all that of the link that has most: they come again.
    fn wait(&mut self, slot: Slot, waiting: Waiting) {
        let of_link = self.links.get(&slot).map_or(0, |link| link.waiting.len());
        let loser = if of_link >= PULSES_OF_LINK {
            Some(slot)
        } else if self.waiting >= PULSES_WAITING {
            let most = self.links.iter().max_by_key(|(other, link)| (link.waiting.len(), **other == slot));
            most.map(|(slot, _)| *slot)
        } else {
            None
        };
        if let Some(link) = loser.and_then(|loser| self.links.get_mut(&loser))
            && link.waiting.pop_front().is_some()
        {
            self.waiting = self.waiting.saturating_sub(1);
            self.shed = self.shed.saturating_add(1);
        }
        self.links.entry(slot).or_default().waiting.push_back(waiting);
        self.waiting = self.waiting.saturating_add(1);
    }

    /// Whether pulses wait to be checked.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// How many were dropped unchecked since this was asked.
    pub(super) const fn takes_shed(&mut self) -> u64 {
        std::mem::replace(&mut self.shed, 0)
    }

    /// Checks what waits, as far as one turn may go: each link has the same part of the hashes, and what some leave goes round again.
    pub(super) fn works(&mut self, now: Mono) -> Vec<Found> {
        let mut hashes = PULSE_HASHES_A_TURN;
        let mut found = Vec::new();
        while hashes > 0 && self.waiting > 0 {
            let busy = self.links.iter().filter(|(_, link)| !link.waiting.is_empty());
            let busy: Vec<_> = busy.map(|(slot, _)| *slot).collect();
            let links = u16::try_from(busy.len()).unwrap_or(u16::MAX).max(1);
            let part = (hashes / links).max(1);
            for slot in busy {
                let used = self.works_on(slot, part.min(hashes), &mut found, now);
                hashes = hashes.saturating_sub(used);
                if hashes == 0 {
                    break;
                }
            }
        }
        found
    }

    /// Checks what one link has brought, with so many hashes. Gives how many it took.
    fn works_on(&mut self, slot: Slot, hashes: u16, found: &mut Vec<Found>, now: Mono) -> u16 {
        let mut left = hashes;
        let Some(link) = self.links.get_mut(&slot) else { return 0 };
        while left > 0
            && let Some(mut next) = link.waiting.pop_front()
        {
            self.waiting = self.waiting.saturating_sub(1);
            let Some(one) = next.tries.last_mut() else { continue };
            if one.far && link.rests(next.pulse.member, &one.terms, now) {
                // Another one of that link was wrong meanwhile.
                self.shed = self.shed.saturating_add(1);
                continue;
            }
            let steps = one.descent.left();
            let check = one.descent.go(&one.key, left);
            left = left.saturating_sub(steps.max(1));
            let (key, terms, far, pulse) = (one.key, one.terms, one.far, next.pulse);
            match check {
                ChainCheck::True(known) => found.push(Found::True { key, terms, known, pulse, slot }),
                ChainCheck::Unfinished => {
                    link.waiting.push_front(next);
                    self.waiting = self.waiting.saturating_add(1);
                }
                ChainCheck::False => {
                    link.was_wrong(pulse.member, &terms, far, now);
                    next.tries.pop();
                    if next.tries.is_empty() {
                        link.brought_wrong(now);
                        found.push(Found::False { key, slot });
                    } else {
                        link.waiting.push_front(next);
                        self.waiting = self.waiting.saturating_add(1);
                    }
                }
            }
        }
        hashes.saturating_sub(left)
    }

    /// The link is gone.
    pub(super) fn leaves(&mut self, slot: Slot) {
        if let Some(link) = self.links.remove(&slot) {
            self.waiting = self.waiting.saturating_sub(link.waiting.len());
            self.shed = self.shed.saturating_add(link.waiting.len() as u64);
        }
    }
}

#[cfg(any(test, feature = "sim"))]
impl Pulses {
    pub(super) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let waiting = self.links.values().map(|link| link.waiting.len()).sum();
        recount.same("pulses that wait to be checked", self.waiting, waiting);
        recount.holds(self.waiting <= PULSES_WAITING, "too many pulses wait to be checked");
        let bounded = |link: &OfLink| {
            link.waiting.len() <= PULSES_OF_LINK
                && link.wrong_far.len() <= WRONG_FAR_OF_LINK
                && link.wrong.len() <= WRONG_PULSES_FREE
        };
        recount.holds(self.links.values().all(bounded), "too many pulses of a link are remembered");
    }
}
