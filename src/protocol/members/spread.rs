//! Pulses that go out: a new one goes for three cycles to three links each, nine different ones of our own choice, and once to any link.
//!
//! Only links that we dialled are chosen: whoever fills our inbound places would else keep pulses from us and for us.
//!
//! Links have their turns, so that what goes out in a cycle goes in few packets: each pulse of a cycle goes to the same links, but for those
//! that have it already. (Drawn anew for each pulse they would be nearly all links in each cycle, a packet each.)

use std::collections::{BTreeMap, VecDeque};
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
    /// Links in the order of their turns. New ones come in by chance.
    turns: VecDeque<Slot>,
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
    /// Those that may be asked: links over which something comes that this node dialled, or all if it dialled none.
    pub(super) read: Vec<Slot>,
    /// How many of those it does not read now on the lane of members, since they brought more than they may.
    pub(super) unread: usize,
}

impl Targets {
    /// Links that we dialled are asked: who came to us may be a liar that fills our places. The answers of those that are not read would come too
    /// late.
    pub(super) fn for_questions(&self) -> &[Slot] {
        &self.read
    }
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
        // Who has dialled nobody uses what it has.
        let chosen = if targets.chosen.is_empty() { &targets.all } else { &targets.chosen };
        self.take_turns(chosen, random);
        let from = random.below(targets.all.len());
        let (turns, mut out) = (&self.turns, Vec::new());
        self.going.retain(|_, going| {
            let told = going.told;
            let mut left: Vec<_> =
                turns.iter().copied().filter(|slot| !told.contains(*slot)).take(LINKS_A_CYCLE).collect();
            if going.cycles == CYCLES {
                let (before, after) = targets.all.split_at(from);
                let mut any = after.iter().chain(before).copied();
                left.extend(any.find(|slot| !told.contains(*slot) && !left.contains(slot)));
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

    /// Those whose turn it was are last from now on; links that are gone have none.
    fn take_turns(&mut self, chosen: &[Slot], random: &mut Random) {
        self.turns.rotate_left(LINKS_A_CYCLE.min(self.turns.len()));
        self.turns.retain(|slot| chosen.contains(slot));
        for slot in chosen {
            if !self.turns.contains(slot) {
                self.turns.insert(random.below(self.turns.len() + 1), *slot);
            }
        }
    }

    /// A link is gone, and its place may be another's.
    pub(super) fn leaves(&mut self, slot: Slot) {
        self.turns.retain(|other| *other != slot);
        self.going.values_mut().for_each(|going| going.told.remove(slot));
    }

    pub(super) fn forget(&mut self, key: &PublicKey) {
        [false, true].iter().for_each(|present| _ = self.going.remove(&(*key, *present)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::wire::KeyPrefix;

    fn targets(chosen: std::ops::Range<u8>, all: std::ops::Range<u8>) -> Targets {
        Targets { chosen: chosen.map(Slot).collect(), all: all.map(Slot).collect(), ..Targets::default() }
    }

    fn begins(spread: &mut Spread, number: u8, teller: u8) -> Pulse {
        let key = SecretKey::from_seed(&[number; 32]).public();
        let pulse = Pulse { member: KeyPrefix::of(&key), index: 1, value: [number; 16], failed_here: false };
        let mut told = LinkSet::default();
        told.insert(Slot(teller));
        spread.begins(key, true, pulse, told);
        pulse
    }

    #[test]
    fn a_pulse_goes_to_nine_links_of_own_choice_and_to_one_of_any_kind() {
        let (mut spread, mut random) = (Spread::default(), Random::new(&[1; 32]));
        let targets = targets(0..12, 0..40);
        begins(&mut spread, 1, 3);
        let mut went = Vec::new();
        for cycle in 0..5 {
            let goes = spread.goes(&targets, &mut random);
            assert_eq!(goes.len(), [4, 3, 3, 0, 0][cycle]);
            went.extend(goes.into_iter().map(|(slot, _)| slot));
        }
        let chosen = went.iter().filter(|slot| slot.0 < 12).count();
        assert!((9..=10).contains(&chosen) && !went.contains(&Slot(3)), "{went:?}");
        went.sort_unstable();
        went.dedup();
        assert_eq!(went.len(), 10, "each link once");
    }

    #[test]
    fn what_goes_in_a_cycle_goes_in_few_packets_and_each_link_has_its_turn() {
        let (mut spread, mut random) = (Spread::default(), Random::new(&[2; 32]));
        let targets = targets(0..12, 0..12);
        let mut times = [0usize; 12];
        for round in 0..40 {
            // Two new ones in each cycle, as of twenty members in periods of five seconds.
            begins(&mut spread, 2 * round, round % 12);
            begins(&mut spread, 2 * round + 1, (round + 5) % 12);
            let goes = spread.goes(&targets, &mut random);
            let links: std::collections::BTreeSet<_> = goes.iter().map(|(slot, _)| *slot).collect();
            assert!(links.len() <= 7, "{links:?}");
            links.iter().for_each(|slot| times[usize::from(slot.0)] += 1);
        }
        assert!(times.iter().all(|times| (10..=30).contains(times)), "{times:?}");
    }

    #[test]
    fn a_link_that_is_gone_has_no_turn() {
        let (mut spread, mut random) = (Spread::default(), Random::new(&[3; 32]));
        begins(&mut spread, 1, 0);
        spread.goes(&targets(0..12, 0..12), &mut random);
        spread.leaves(Slot(7));
        assert!(!spread.turns.contains(&Slot(7)));
        begins(&mut spread, 2, 0);
        let goes = spread.goes(&targets(0..2, 0..3), &mut random);
        assert!(goes.iter().all(|(slot, _)| slot.0 < 3), "{goes:?}");
    }
}
