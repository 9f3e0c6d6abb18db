//! Ranges that wait to be asked about: the deepest first, and at random among those.
//!
//! Nothing of it is remembered from one session to the next. So a session that is cut has seen a random part of what differs, and
//! nobody can put a loss behind other differences, again and again.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;

use super::heads::ToAsk;
use crate::protocol::limits::SESSION_RANGES;
use crate::protocol::random::Random;
use crate::protocol::total::Total as _;
use crate::wire::MAX_TELL_LEN;

/// Ranges that wait, by how often they were split.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Ranges {
    by_depth: BTreeMap<u32, Vec<ToAsk>>,
    len: usize,
}

impl Ranges {
    /// Whether none waits.
    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[cfg(test)]
    /// How many wait.
    pub(in crate::protocol) const fn len(&self) -> usize {
        self.len
    }

    /// Adds one. At the cap one of the shallowest leaves, whichever; then it is false.
    pub(in crate::protocol) fn add(&mut self, depth: u32, range: ToAsk, dice: &mut Random) -> bool {
        let full = self.len >= SESSION_RANGES;
        if full && let Some((_, shallowest)) = self.by_depth.iter_mut().find(|(_, ranges)| !ranges.is_empty())
        {
            let at = dice.below(shallowest.len());
            shallowest.swap_remove(at);
            self.len.loses(1);
        }
        self.by_depth.entry(depth).or_default().push(range);
        self.len.gains(1);
        !full
    }

    /// Takes the next ones, at most `count`, in order, each with its depth: as many as one answer has room for, since an answer has the
    /// first ranges of its question, and those that never find room in it would never be seen.
    pub(in crate::protocol) fn take(&mut self, count: usize, dice: &mut Random) -> Vec<(u32, ToAsk)> {
        let mut taken = Vec::new();
        let mut room = MAX_TELL_LEN;
        while taken.len() < count {
            let Some(mut deepest) = self.by_depth.last_entry() else { break };
            let (depth, ranges) = (*deepest.key(), deepest.get_mut());
            if ranges.is_empty() {
                deepest.remove();
                continue;
            }
            let at = dice.below(ranges.len());
            let expects = ranges.get(at).map_or(0, |next| next.expects);
            if expects > room && !taken.is_empty() {
                break;
            }
            room = room.saturating_sub(expects);
            taken.push((depth, ranges.swap_remove(at)));
            self.len.loses(1);
        }
        taken.sort_by_key(|(_, next)| next.range.lo);
        taken
    }

    /// None of them is asked about.
    pub(in crate::protocol) fn clear(&mut self) {
        self.by_depth.clear();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{AskedRange, Bound};

    fn range(tick: u64) -> ToAsk {
        let hi = Bound::start_of(tick + 1);
        ToAsk::new(AskedRange { lo: Bound::start_of(tick), hi, count: 0, hash: [0; 32] }, 1)
    }

    fn ticks(taken: &[(u32, ToAsk)]) -> Vec<(u32, u64)> {
        taken.iter().map(|(depth, next)| (*depth, next.range.lo.tick)).collect()
    }

    #[test]
    fn a_question_is_no_longer_than_its_answer() {
        let (mut ranges, mut dice) = (Ranges::default(), Random::new(&[1; 32]));
        let of =
            |tick, theirs| ToAsk { expects: ToAsk::new(range(tick).range, theirs).expects, ..range(tick) };
        (0..9).for_each(|tick| _ = ranges.add(1, of(tick, 300), &mut dice));
        assert_eq!(ranges.take(64, &mut dice).len(), 2, "three lists of 22 kB find no room in 64 KiB");
        (10..90).for_each(|tick| _ = ranges.add(2, of(tick, 9), &mut dice));
        assert_eq!(ranges.take(64, &mut dice).len(), 64);
        // Whatever it may be, one can be asked.
        (90..93).for_each(|tick| _ = ranges.add(3, of(tick, 3_000), &mut dice));
        assert_eq!(ranges.take(64, &mut dice).len(), 1);
    }

    #[test]
    fn the_deepest_are_asked_first_and_in_order_in_the_frame() {
        let (mut ranges, mut dice) = (Ranges::default(), Random::new(&[1; 32]));
        for (depth, tick) in [(1, 5), (0, 9), (2, 7), (1, 3), (2, 1)] {
            assert!(ranges.add(depth, range(tick), &mut dice));
        }
        assert_eq!(ticks(&ranges.take(2, &mut dice)), [(2, 1), (2, 7)]);
        assert_eq!(ticks(&ranges.take(9, &mut dice)), [(1, 3), (1, 5), (0, 9)]);
        assert!(ranges.is_empty() && ranges.take(1, &mut dice).is_empty());
    }

    #[test]
    fn among_the_deepest_chance_decides() {
        let mut first = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let (mut ranges, mut dice) = (Ranges::default(), Random::new(&[seed; 32]));
            (0..8).for_each(|tick| _ = ranges.add(1, range(tick), &mut dice));
            first.insert(ticks(&ranges.take(1, &mut dice))[0].1);
        }
        assert!(first.len() > 5, "{first:?}");
    }

    #[test]
    fn ranges_that_wait_are_bounded() {
        let (mut ranges, mut dice) = (Ranges::default(), Random::new(&[1; 32]));
        for tick in 0..2 * SESSION_RANGES as u64 {
            let kept = ranges.add((tick / 100) as u32, range(tick), &mut dice);
            assert_eq!(kept, tick < SESSION_RANGES as u64);
        }
        assert_eq!(ranges.len(), SESSION_RANGES);
        assert!(ticks(&ranges.take(1, &mut dice))[0].0 >= 39, "the shallowest have left");
    }
}
