//! Ids that were refused for what they are: remembered, so that they are not pulled again and again.

use std::collections::VecDeque;
use std::time::Duration;

use super::random::{Keyed, KeyedSet};
use super::time::Mono;
use crate::rumor::BundleId;

/// Most refused ids remembered per topic. Above it the oldest is forgotten, and may be pulled once more.
const MAX_REFUSED: usize = 8_192;
/// What was refused for want of room may be pulled again after so long, or twice that: half of the bodies that were young are
/// old by then.
const NO_ROOM_FOR: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Refused {
    ids: KeyedSet<BundleId>,
    /// The same, oldest first.
    order: VecDeque<BundleId>,
    /// Refused for want of room, since `full_since` or later, and in the time before; at most [`MAX_REFUSED`] together.
    full: KeyedSet<BundleId>,
    full_before: KeyedSet<BundleId>,
    full_since: Mono,
}

impl Refused {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            ids: keyed.set(),
            order: VecDeque::new(),
            full: keyed.set(),
            full_before: keyed.set(),
            full_since: Mono::default(),
        }
    }

    pub(super) fn contains(&self, id: &BundleId) -> bool {
        self.ids.contains(id) || self.full.contains(id) || self.full_before.contains(id)
    }

    /// Remembers an id that there is no room for, for a while.
    pub(super) fn add_for_now(&mut self, id: BundleId) {
        self.full.insert(id);
        if self.full.len() >= MAX_REFUSED / 2 {
            self.turn_over();
        }
    }

    /// Forgets what there was no room for, if that is long ago.
    pub(super) fn expire(&mut self, now: Mono) {
        if now.since(self.full_since) > NO_ROOM_FOR {
            self.turn_over();
            self.full_since = now;
        }
    }

    fn turn_over(&mut self) {
        std::mem::swap(&mut self.full, &mut self.full_before);
        self.full.clear();
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

#[cfg(any(test, feature = "sim"))]
impl Refused {
    pub(super) fn check(&self, recount: &mut super::check::Recount) {
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
            refused.add(id(n));
            refused.add(id(n));
        }
        assert_eq!((refused.ids.len(), refused.order.len()), (MAX_REFUSED, MAX_REFUSED));
        assert!(refused.contains(&id(2 * MAX_REFUSED - 1)) && !refused.contains(&id(0)));
    }
}
