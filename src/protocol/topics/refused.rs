//! Ids that were refused for what their bytes say: remembered, so that they are not pulled again and again.
//!
//! What time may change is no such fact. A tick outside the window is remembered with the id, and the refusal holds only for
//! as long as the window leaves that tick out. What found no room is a debt: see `debts`.

use std::collections::VecDeque;

use crate::protocol::limits::MAX_REFUSED;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::rumor::BundleId;

/// Why an id was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Refusal {
    /// For what it says, which never changes.
    Fact,
    /// This is its tick, which lay outside the window.
    Outside(u64),
}

#[derive(Debug)]
pub(in crate::protocol) struct Refused {
    ids: KeyedMap<BundleId, Refusal>,
    /// The same, oldest first.
    order: VecDeque<BundleId>,
}

impl Refused {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self { ids: keyed.map(), order: VecDeque::new() }
    }

    pub(in crate::protocol) fn get(&self, id: &BundleId) -> Option<Refusal> {
        if self.ids.is_empty() { None } else { self.ids.get(id).copied() }
    }

    pub(in crate::protocol) fn add(&mut self, id: BundleId, why: Refusal) {
        if self.ids.insert(id, why).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_REFUSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(in crate::protocol) fn clear(&mut self) {
        self.ids.clear();
        self.order.clear();
    }
}

#[cfg(any(test, feature = "sim"))]
impl Refused {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("refused ids", self.ids.len(), self.order.len());
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
            refused.add(id(n), Refusal::Outside(7));
            refused.add(id(n), Refusal::Fact);
        }
        assert_eq!((refused.ids.len(), refused.order.len()), (MAX_REFUSED, MAX_REFUSED));
        assert_eq!(refused.get(&id(2 * MAX_REFUSED - 1)), Some(Refusal::Fact));
        assert_eq!(refused.get(&id(0)), None);
    }
}
