//! "I have more": what a node tells its links when something late has come. The content follows by sessions.
//!
//! Hints carry late content at the speed of the network, 45 bytes each: without them each node would find it by its rotation.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::Mono;
use crate::protocol::linkset::{LinkSet, Slot};

/// What comes within so long is told at once.
const LINGER: Duration = Duration::from_secs(1);
/// A link is told no more often.
const HINT_EVERY: Duration = Duration::from_secs(5);

/// What a link will be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Hint {
    /// The lowest tick of it.
    pub(in crate::protocol) low: u64,
    /// How many bundles.
    pub(in crate::protocol) count: u32,
}

impl Hint {
    fn add(hint: Option<Self>, tick: u64) -> Self {
        let before = hint.unwrap_or(Self { low: tick, count: 0 });
        Self { low: before.low.min(tick), count: before.count.saturating_add(1) }
    }
}

/// Hints of one topic, at most one for each link.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Hints {
    /// What waits for each link, and from when on it may be told.
    waiting: BTreeMap<Slot, (Hint, Mono)>,
    told_at: BTreeMap<Slot, Mono>,
    /// What came before each link was asked once.
    first: Option<Hint>,
}

impl Hints {
    /// A late bundle of a tick was kept. It is told to `links`, all that keep the topic but those that brought it.
    pub(in crate::protocol) fn add(&mut self, tick: u64, links: &LinkSet, now: Mono) {
        for slot in links.iter() {
            let again = self.told_at.get(&slot).map_or(now, |at| at.plus(HINT_EVERY));
            let due = now.plus(LINGER).max(again);
            let (hint, _) = self.waiting.get(&slot).copied().unzip();
            let due = self.waiting.get(&slot).map_or(due, |(_, due)| *due);
            self.waiting.insert(slot, (Hint::add(hint, tick), due));
        }
    }

    /// The same while not each link was asked once: it is told at the end of that.
    pub(in crate::protocol) fn add_first(&mut self, tick: u64) {
        self.first = Some(Hint::add(self.first, tick));
    }

    /// Each link was asked once: what came meanwhile is told to `links`, those that differed.
    pub(in crate::protocol) fn first_is_over(&mut self, links: &LinkSet, now: Mono) {
        let Some(first) = self.first.take() else { return };
        for slot in links.iter() {
            let entry = self.waiting.entry(slot).or_insert((Hint { count: 0, ..first }, now));
            entry.0.low = entry.0.low.min(first.low);
            entry.0.count = entry.0.count.saturating_add(first.count);
        }
    }

    /// What is told now.
    pub(in crate::protocol) fn take_due(&mut self, now: Mono) -> Vec<(Slot, Hint)> {
        let due = self.waiting.iter().filter(|(_, (_, due))| *due <= now);
        let due: Vec<_> = due.map(|(slot, (hint, _))| (*slot, *hint)).collect();
        for (slot, _) in &due {
            self.waiting.remove(slot);
            self.told_at.insert(*slot, now);
        }
        due
    }

    /// When something is to be told next.
    pub(in crate::protocol) fn next_due(&self) -> Option<Mono> {
        self.waiting.values().map(|(_, due)| *due).min()
    }

    /// A link is gone.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot) {
        self.waiting.remove(&slot);
        self.told_at.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(millis: u64) -> Mono {
        Mono::from_nanos(1_000_000_000_000 + millis * 1_000_000)
    }

    fn links(slots: &[u8]) -> LinkSet {
        let mut links = LinkSet::default();
        slots.iter().for_each(|slot| links.insert(Slot(*slot)));
        links
    }

    #[test]
    fn what_comes_within_a_second_is_one_hint_and_a_link_is_told_each_five_seconds() {
        let mut hints = Hints::default();
        hints.add(90, &links(&[1, 2]), now(0));
        hints.add(70, &links(&[2]), now(500));
        assert_eq!((hints.take_due(now(999)), hints.next_due()), (vec![], Some(now(1_000))));
        let told = [(Slot(1), Hint { low: 90, count: 1 }), (Slot(2), Hint { low: 70, count: 2 })];
        assert_eq!(hints.take_due(now(1_000)), told);
        hints.add(80, &links(&[1, 3]), now(1_100));
        assert_eq!(hints.take_due(now(2_100)), [(Slot(3), Hint { low: 80, count: 1 })]);
        assert_eq!(hints.next_due(), Some(now(6_000)));
        assert_eq!(hints.take_due(now(6_000)), [(Slot(1), Hint { low: 80, count: 1 })]);
        assert_eq!(hints.next_due(), None);
    }

    #[test]
    fn what_came_before_each_link_was_asked_is_told_once_to_those_that_differed() {
        let mut hints = Hints::default();
        (50..90).rev().for_each(|tick| hints.add_first(tick));
        assert_eq!(hints.next_due(), None);
        hints.first_is_over(&links(&[4]), now(0));
        assert_eq!(hints.take_due(now(0)), [(Slot(4), Hint { low: 50, count: 40 })]);
        hints.first_is_over(&links(&[4]), now(9_000));
        assert_eq!(hints.next_due(), None);
    }

    #[test]
    fn a_link_that_is_gone_is_told_nothing() {
        let mut hints = Hints::default();
        hints.add(90, &links(&[1]), now(0));
        hints.forget_link(Slot(1));
        assert!(hints.take_due(now(9_000)).is_empty() && hints.told_at.is_empty());
    }
}
