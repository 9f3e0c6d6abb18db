//! The pace at which what is over leaves the disk.
//!
//! A step of removing is a commit. One that removes 500 bundles of as many authors, of 100 000, writes 1.7 MB: rows that go by keys of authors
//! have a page each. When much is over at once, as where 100 000 authors fell silent together, steps without a pause would write more than
//! all that is said. So all topics share **one step in five seconds**, in turn. Where that is too slow a topic has steps of its own: as many
//! as remove twice what it holds within its retention. Whatever the rate at which it is written, what is over is then at the most as much
//! again as what is not.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::time::Duration;

use crate::protocol::Mono;
use crate::protocol::keeping::MOST_REMOVED;
use crate::rumor::TopicId;

/// All topics share one step in so long. (Computed: 2.1 MB, the most that a step of 100 000 authors writes, makes 0.42 MB a
/// second; the goal is 0.5.)
pub(in crate::protocol) const SHARED_STEP_EVERY: Duration = Duration::from_secs(5);

/// How far a topic's removing is.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// A step is with the store.
    under_way: bool,
    /// The last one has not removed all that is over.
    unfinished: bool,
    /// The first one is due, and was not its turn.
    waits: bool,
    /// Bundles that steps of its own may remove by now.
    earned: u64,
}

impl Removal {
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way
    }

    pub(super) const fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// A step begins, unless one is under way.
    pub(super) const fn begins(&mut self) -> bool {
        self.waits = false;
        !std::mem::replace(&mut self.under_way, true)
    }

    /// It is done, or has failed: then what is left is tried when it is due again.
    pub(super) const fn ends(&mut self, more: bool) {
        (self.under_way, self.unfinished) = (false, more);
    }

    /// A second has gone by. While more is over, a half of that time may take what is held, so many bundles.
    pub(super) fn earns(&mut self, held: u64, within: Duration) {
        if !self.unfinished && !self.under_way && !self.waits {
            self.earned = 0;
            return;
        }
        let each = held.saturating_mul(2).checked_div(within.as_secs()).unwrap_or(held);
        // What is not used up is lost: a burst is as long as a second, or one step.
        self.earned = self.earned.saturating_add(each).min(each.max(MOST_REMOVED as u64));
    }

    /// Whether a step may be given: the one that all share, or one of its own. It is paid for then.
    pub(super) fn pays(&mut self, is_shared: bool) -> bool {
        let rest = self.earned.checked_sub(MOST_REMOVED as u64);
        // What all share is no step more for who has earned some.
        self.earned = rest.unwrap_or(if is_shared { 0 } else { self.earned });
        self.waits = !is_shared && rest.is_none();
        !self.waits
    }
}

/// The step that all topics share.
#[derive(Debug, Default)]
pub(in crate::protocol) struct SharedStep {
    /// Who had it last.
    last: Option<TopicId>,
    /// When the next one is due.
    due: Mono,
}

impl SharedStep {
    /// Gives it to one of those that wait: the next by id.
    pub(in crate::protocol) fn take(
        &mut self,
        waiting: impl Iterator<Item = TopicId> + Clone,
        now: Mono,
    ) -> Option<TopicId> {
        if now < self.due {
            return None;
        }
        let after = waiting.clone().filter(|topic| self.last.is_none_or(|last| *topic > last)).min();
        let next = after.or_else(|| waiting.min())?;
        (self.last, self.due) = (Some(next), now.plus(SHARED_STEP_EVERY));
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_removes_twice_what_it_holds_within_its_retention() {
        let mut removal = Removal::default();
        let year = Duration::from_secs(31_536_000);
        // Nothing is earned before the first step, which is one that all share.
        removal.earns(u64::MAX, year);
        assert!(!removal.pays(false) && removal.begins());
        removal.ends(true);
        // 100 000 bundles in an hour: 55 a second, and a step when they suffice for one. What is beyond it is no part of the next.
        let hour = Duration::from_secs(3_600);
        let steps = (0..1_000).filter(|_| {
            removal.earns(100_000, hour);
            removal.pays(false)
        });
        assert_eq!(steps.count(), 100);
        // 500 a second were said in each of its seconds: twice that goes.
        removal.earns(1_800_000, hour);
        assert!(removal.pays(false) && removal.pays(false) && !removal.pays(false));
        // So does a topic that waits for its first turn.
        assert!(removal.begins());
        removal.ends(false);
        removal.earns(1_800_000, hour);
        assert!(!removal.pays(false));
        removal.earns(1_800_000, hour);
        assert!(removal.pays(false) && removal.pays(false) && !removal.pays(false));
        // What was not used is no burst later.
        (0..100).for_each(|_| removal.earns(1_800_000, hour));
        assert!(removal.pays(false) && removal.pays(false) && !removal.pays(false));
    }

    #[test]
    fn one_step_is_under_way_at_a_time() {
        let mut removal = Removal::default();
        assert!(removal.begins() && removal.is_under_way() && !removal.begins());
        removal.ends(true);
        assert!(removal.is_unfinished() && removal.begins());
        removal.ends(false);
        assert!(!removal.is_unfinished() && !removal.is_under_way());
    }

    #[test]
    fn the_shared_step_goes_round() {
        let topic = |number| TopicId::from_bytes([number; 32]);
        let mut shared = SharedStep::default();
        let mut now = Mono::default();
        let mut take = |waiting: &[u8]| {
            now = now.plus(SHARED_STEP_EVERY);
            let next = shared.take(waiting.iter().map(|number| topic(*number)), now);
            if next.is_some() {
                let soon = shared.take([topic(3)].into_iter(), now.plus(SHARED_STEP_EVERY / 2));
                assert_eq!(soon, None, "one in so long");
            }
            next
        };
        for expected in [1, 4, 9, 1, 4] {
            assert_eq!(take(&[4, 9, 1]), Some(topic(expected)));
        }
        assert_eq!(take(&[2, 1]), Some(topic(1)), "all after the last are done");
        assert_eq!(take(&[2, 1]), Some(topic(2)));
    }
}
