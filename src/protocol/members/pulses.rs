//! Pulses that come in: each is held against the chain that its member's beacon commits to, some hashes a turn. Whose it is, nobody has
//! to be believed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::table::{Chain, Table};
use crate::key::PublicKey;
use crate::protocol::limits::{FAR_PULSES, PULSE_HASHES_A_TURN};
use crate::protocol::linkset::Slot;
use crate::protocol::{Mono, Now};
use crate::rumor::{ChainCheck, ChainPoint, ChainTerms, Descent};
use crate::wire::{KeyPrefix, Pulse};

/// An epoch may begin so long after now: clocks differ.
const AHEAD_S: u64 = 60;
/// A pulse that is this many steps farther than a lease needs work that a liar could make us do for nothing.
const NEAR: u16 = 16;
/// A link whose far pulse of a member was wrong brings no other far one of it for so long.
const FAR_REST: Duration = Duration::from_secs(60);

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
    slot: Slot,
    /// Hashes on all these ways.
    hashes: u16,
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
        /// How many hashes that took.
        hashes: u16,
    },
}

/// What became of a pulse at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It waits to be checked.
    Waits,
    /// It is known, or older than what is.
    Known,
    /// No member has such a key.
    Unknown,
    /// Its time has not come, its chain has no such epoch, or it is too far for now.
    Refused,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Pulses {
    waiting: VecDeque<Waiting>,
    /// When a far pulse of a member was wrong that came from a link. (As many as far pulses that may wait.)
    wrong: BTreeMap<(Slot, KeyPrefix), Mono>,
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
        let (mut tries, mut result) = (Vec::new(), Taken::Unknown);
        for member in table.of_prefix(pulse.member) {
            result = if result == Taken::Unknown { Taken::Refused } else { result };
            let lease = super::period::lease(member.period(would_state)).as_secs();
            let may_be_far = |chain: &Chain| !member.state().is_here() || chain.known.index == 0;
            for chain in member.chains() {
                let terms = chain.terms;
                let begins = terms.starts(terms.epoch_of(index));
                if index > terms.len || begins > (now.unix_ms / 1000).saturating_add(AHEAD_S) {
                    continue;
                }
                let Some(descent) = Descent::new(claimed, chain.known) else {
                    result = Taken::Known;
                    continue;
                };
                let near = (lease / u64::from(terms.epoch_s.max(1))).saturating_add(NEAR.into());
                let far = u64::from(descent.left()) > near;
                if !far || may_be_far(chain) && !self.rests(slot, pulse.member, now.mono) {
                    tries.push(Try { key: member.key(), terms, descent, far });
                }
            }
        }
        if tries.is_empty() {
            return result;
        }
        tries.reverse();
        let hashes = tries.iter().fold(0u16, |sum, one| sum.saturating_add(one.descent.left()));
        self.wait(Waiting { tries, pulse: *pulse, slot, hashes });
        Taken::Waits
    }

    fn rests(&self, slot: Slot, prefix: KeyPrefix, now: Mono) -> bool {
        self.wrong.get(&(slot, prefix)).is_some_and(|at| now.since(*at) < FAR_REST)
    }

    /// At the cap the oldest goes: it comes again.
    fn wait(&mut self, waiting: Waiting) {
        if self.waiting.len() >= FAR_PULSES {
            self.waiting.pop_front();
        }
        self.waiting.push_back(waiting);
    }

    /// Whether pulses wait to be checked.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Checks what waits, as far as one turn may go.
    pub(super) fn works(&mut self, now: Mono) -> Vec<Found> {
        let mut hashes = PULSE_HASHES_A_TURN;
        let mut found = Vec::new();
        while hashes > 0
            && let Some(mut next) = self.waiting.pop_front()
        {
            let rests = self.rests(next.slot, next.pulse.member, now);
            let Some(one) = next.tries.last_mut() else { continue };
            if one.far && rests {
                // Another one of that link was wrong meanwhile.
                continue;
            }
            let left = one.descent.left();
            let check = one.descent.go(&one.key, hashes);
            hashes = hashes.saturating_sub(left.max(1));
            let (key, terms, far) = (one.key, one.terms, one.far);
            let Waiting { pulse, slot, .. } = next;
            match check {
                ChainCheck::Unfinished => self.waiting.push_front(next),
                ChainCheck::True(known) => found.push(Found::True { key, terms, known, pulse, slot }),
                ChainCheck::False => {
                    if far {
                        self.was_wrong(slot, pulse.member, now);
                    }
                    next.tries.pop();
                    if next.tries.is_empty() {
                        found.push(Found::False { key, slot, hashes: next.hashes });
                    } else {
                        self.waiting.push_front(next);
                    }
                }
            }
        }
        found
    }

    fn was_wrong(&mut self, slot: Slot, prefix: KeyPrefix, now: Mono) {
        if self.wrong.len() >= FAR_PULSES {
            self.wrong.retain(|_, at| now.since(*at) < FAR_REST);
        }
        if self.wrong.len() < FAR_PULSES {
            self.wrong.insert((slot, prefix), now);
        }
    }

    /// The link is gone.
    pub(super) fn leaves(&mut self, slot: Slot) {
        self.wrong.retain(|(other, _), _| *other != slot);
    }
}

#[cfg(any(test, feature = "sim"))]
impl Pulses {
    pub(super) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.holds(self.waiting.len() <= FAR_PULSES, "too many pulses wait to be checked");
        recount.holds(self.wrong.len() <= FAR_PULSES, "too many wrong pulses are remembered");
    }
}
