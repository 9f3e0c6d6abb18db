//! Ids that were refused for what they are: remembered, so that they are not pulled again and again.

use std::collections::VecDeque;

use super::random::{Keyed, KeyedSet};
use crate::rumor::BundleId;

/// Most refused ids remembered per topic (design section 6). Above it the oldest is forgotten, and may be pulled once more.
const MAX_REFUSED: usize = 8_192;

#[derive(Debug)]
pub(super) struct Refused {
    ids: KeyedSet<BundleId>,
    /// The same, oldest first.
    order: VecDeque<BundleId>,
}

impl Refused {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { ids: keyed.set(), order: VecDeque::new() }
    }

    pub(super) fn contains(&self, id: &BundleId) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn add(&mut self, id: BundleId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_REFUSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_and_no_more_than_the_cap() {
        let id = |n: usize| BundleId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
        let mut refused = Refused::new(Keyed::default());
        for n in 0..2 * MAX_REFUSED {
            refused.add(id(n));
            refused.add(id(n));
        }
        assert_eq!((refused.ids.len(), refused.order.len()), (MAX_REFUSED, MAX_REFUSED));
        assert!(refused.contains(&id(2 * MAX_REFUSED - 1)) && !refused.contains(&id(0)));
    }
}
