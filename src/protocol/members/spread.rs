//! Pulses that go out: a new one goes for three cycles to three links each, nine different ones of our own choice, and once to any link.
//!
//! Only links that we dialled are chosen: whoever fills our inbound places would else keep pulses from us and for us.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::random::Random;
use crate::wire::Pulse;

/// In so many cycles a new pulse is sent.
const CYCLES: u8 = 3;
/// To so many links of our own choice in each.
const LINKS_A_CYCLE: usize = 3;
/// A cycle lasts a twentieth of our own period, within these bounds.
const CYCLE: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(2);

/// A pulse that is being spread.
#[derive(Clone, Copy, Debug)]
struct Going {
    pulse: Pulse,
    cycles: u8,
    /// Links that have it: told, or teller.
    told: LinkSet,
}

/// See the [module](self). It holds at most one pulse of each chain of a member.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// By member, and whether it is of its present chain: that one goes last, so it stays where one takes the other's place.
    going: BTreeMap<(PublicKey, bool), Going>,
}

/// The links that a pulse may go to.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    /// Links over which nothing comes.
    pub(super) quiet: usize,
    /// Those that this node dialled.
    pub(super) chosen: Vec<Slot>,
    /// All.
    pub(super) all: Vec<Slot>,
    /// How many of them are not read on the lane of members.
    pub(super) deaf: usize,
}

pub(super) fn cycle(period: Duration) -> Duration {
    (period / 20).clamp(*CYCLE.start(), *CYCLE.end())
}

impl Spread {
    /// A member's newest pulse, which some links have.
    pub(super) fn begins(&mut self, key: PublicKey, present: bool, pulse: Pulse, told: LinkSet) {
        self.going.insert((key, present), Going { pulse, cycles: CYCLES, told });
    }

    /// A cycle: which pulses go to which links.
    pub(super) fn goes(&mut self, targets: &Targets, random: &mut Random) -> Vec<(Slot, Pulse)> {
        let mut out = Vec::new();
        self.going.retain(|_, going| {
            let first = going.cycles == CYCLES;
            // Who has dialled nobody uses what it has.
            let chosen = if targets.chosen.is_empty() { &targets.all } else { &targets.chosen };
            let mut left: Vec<_> =
                chosen.iter().copied().filter(|slot| !going.told.contains(*slot)).collect();
            random.sample_to_front(&mut left, LINKS_A_CYCLE);
            left.truncate(LINKS_A_CYCLE);
            if first {
                let any: Vec<_> = targets.all.iter().filter(|slot| !going.told.contains(**slot)).collect();
                left.extend(any.get(random.below(any.len())).copied().filter(|slot| !left.contains(slot)));
            }
            for slot in left {
                going.told.insert(slot);
                out.push((slot, going.pulse));
            }
            going.cycles = going.cycles.saturating_sub(1);
            going.cycles > 0
        });
        out
    }

    /// A link is gone, and its place may be another's.
    pub(super) fn leaves(&mut self, slot: Slot) {
        self.going.values_mut().for_each(|going| going.told.remove(slot));
    }

    pub(super) fn forget(&mut self, key: &PublicKey) {
        [false, true].iter().for_each(|present| _ = self.going.remove(&(*key, *present)));
    }
}
