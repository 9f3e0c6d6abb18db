//! What came, was checked, and was not kept: so that it is not asked for again and again.
//!
//! It is apart from what the live window refuses. That forgets in minutes, and says nothing about what is old.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;

use super::missing::Missing;
use crate::protocol::Mono;
use crate::protocol::limits::{REPAIR_REFUSED, REPAIR_REFUSED_IN_ALL, REPAIR_REFUSED_OF_STATE};
use crate::protocol::random::{Keyed, KeyedMap};

/// A part of a hash. Two things of one author may share it, if the author takes the trouble; no other's are hit.
type Mark = [u8; 16];

/// What one topic has refused.
#[derive(Debug)]
pub(in crate::protocol) struct RepairRefused {
    until: KeyedMap<Mark, Mono>,
    order: VecDeque<Mark>,
    most: usize,
}

impl RepairRefused {
    /// Of a topic of values, or of a log.
    pub(in crate::protocol) fn new(is_state: bool, keyed: Keyed) -> Self {
        let most = if is_state { REPAIR_REFUSED_OF_STATE } else { REPAIR_REFUSED };
        Self { until: keyed.map(), order: VecDeque::new(), most }
    }

    fn mark(missing: &Missing) -> Mark {
        let mut hasher = blake3::Hasher::new();
        hasher.update(missing.author().as_bytes());
        hasher.update(&missing.position().tick.to_le_bytes());
        hasher.update(&missing.position().slot.to_le_bytes());
        hasher.update(missing.id().as_bytes());
        let mut mark = [0; 16];
        mark.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
        mark
    }

    /// It came and was not kept. It is not asked for before `until`, in a node that keeps so many topics.
    pub(in crate::protocol) fn add(&mut self, missing: &Missing, until: Mono, topics: usize) {
        let most = self.most.min(REPAIR_REFUSED_IN_ALL.checked_div(topics).unwrap_or(REPAIR_REFUSED_IN_ALL));
        if self.order.len() >= most {
            let oldest = self.order.len().div_ceil(2);
            for mark in self.order.drain(..oldest) {
                self.until.remove(&mark);
            }
        }
        let mark = Self::mark(missing);
        if self.until.insert(mark, until).is_none() {
            self.order.push_back(mark);
        }
    }

    /// All of it may be asked for again.
    pub(in crate::protocol) fn clear(&mut self) {
        self.until.clear();
        self.order.clear();
    }

    /// Whether it is not to be asked for.
    pub(in crate::protocol) fn has(&self, missing: &Missing, now: Mono) -> bool {
        !self.until.is_empty() && self.until.get(&Self::mark(missing)).is_some_and(|until| now < *until)
    }

    /// How many there are, those included whose time is over.
    #[cfg(test)]
    pub(in crate::protocol) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::PublicKey;
    use crate::rumor::BundleId;
    use crate::wire::Head;

    fn missing(number: u64) -> Missing {
        let (author, id) = (PublicKey::from_bytes([1; 32]), BundleId::from_bytes([2; 32]));
        Missing::of_head(&Head { tick: number, slot: 0, author, id })
    }

    #[test]
    fn what_was_refused_is_not_asked_for_until_its_time_is_over() {
        let mut refused = RepairRefused::new(false, Keyed::default());
        let now = Mono::from_nanos(7);
        refused.add(&missing(1), now.plus(Duration::from_secs(60)), 1);
        assert!(refused.has(&missing(1), now) && !refused.has(&missing(2), now));
        assert!(!refused.has(&missing(1), now.plus(Duration::from_secs(60))));
    }

    #[test]
    fn what_repair_refused_is_bounded_and_the_oldest_half_goes() {
        let (now, until) = (Mono::default(), Mono::default().plus(Duration::from_secs(60)));
        for (state, topics, most) in [
            (false, 1, REPAIR_REFUSED),
            (true, 1, REPAIR_REFUSED_OF_STATE),
            (true, 64, REPAIR_REFUSED_IN_ALL / 64),
        ] {
            let mut refused = RepairRefused::new(state, Keyed::default());
            let last = 3 * most as u64;
            for number in 0..=last {
                refused.add(&missing(number), until, topics);
                assert!(refused.len() <= most);
            }
            assert!(refused.has(&missing(last), now) && !refused.has(&missing(0), now));
            assert_eq!(refused.until.len(), refused.order.len());
        }
    }
}
