//! A queue that gives each author its turn: deficit round-robin (Shreedhar and Varghese, 1995).

use std::collections::VecDeque;

use super::random::{Keyed, KeyedMap};

/// Bytes that a flow may send in one turn. At least the largest item, or an item could wait for several turns.
const QUANTUM: usize = 16 * 1024;

/// Items of several flows, handed out fairly by bytes. An author that says a lot delays itself.
#[derive(Debug)]
pub(super) struct FairQueue<K, T> {
    flows: KeyedMap<K, Flow<T>>,
    /// Flows that have items, in the order of their turns.
    turns: VecDeque<K>,
    bytes: usize,
}

#[derive(Debug)]
struct Flow<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    deficit: usize,
}

impl<K: Copy + Eq + std::hash::Hash, T> FairQueue<K, T> {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { flows: keyed.map(), turns: VecDeque::new(), bytes: 0 }
    }

    /// Bytes waiting.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a flow may add to a queue of `cap` bytes: anybody while it is half empty; then only flows that have less
    /// than a turn's worth waiting, or one author that says a lot would leave no room for the others.
    pub(super) fn has_room(&self, flow: &K, cap: usize) -> bool {
        let waits = || self.flows.get(flow).map_or(0, |flow| flow.bytes);
        self.bytes < cap / 2 || (self.bytes < cap && waits() < QUANTUM)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    pub(super) fn push(&mut self, flow: K, bytes: usize, item: T) {
        let entry = self.flows.entry(flow).or_insert_with(|| {
            self.turns.push_back(flow);
            Flow { items: VecDeque::new(), bytes: 0, deficit: 0 }
        });
        entry.bytes += bytes;
        entry.items.push_back((bytes, item));
        self.bytes += bytes;
    }

    /// The size of the item whose turn it is.
    pub(super) fn next_len(&mut self) -> Option<usize> {
        loop {
            let turn = *self.turns.front()?;
            let Some(flow) = self.flows.get_mut(&turn) else {
                self.turns.pop_front();
                continue;
            };
            let Some(&(bytes, _)) = flow.items.front() else {
                self.flows.remove(&turn);
                self.turns.pop_front();
                continue;
            };
            if flow.deficit >= bytes || self.turns.len() == 1 {
                return Some(bytes);
            }
            flow.deficit += QUANTUM;
            self.turns.rotate_left(1);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.next_len()?;
        let turn = *self.turns.front()?;
        let flow = self.flows.get_mut(&turn)?;
        let (bytes, item) = flow.items.pop_front()?;
        flow.deficit = flow.deficit.saturating_sub(bytes);
        flow.bytes -= bytes;
        self.bytes -= bytes;
        if flow.items.is_empty() {
            self.flows.remove(&turn);
            self.turns.pop_front();
        }
        Some(item)
    }
}

#[cfg(any(test, feature = "sim"))]
impl<K: Copy + Eq + std::hash::Hash, T> FairQueue<K, T> {
    pub(super) fn check(&self, what: &str, recount: &mut super::check::Recount) {
        recount.same(what, self.bytes, self.flows.values().map(|flow| flow.bytes).sum());
        for flow in self.flows.values() {
            recount.same(what, flow.bytes, flow.items.iter().map(|(bytes, _)| bytes).sum());
        }
        recount.holds(
            self.flows.keys().all(|flow| self.turns.contains(flow)),
            format_args!("{what}: a flow has no turn"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_does_not_delay_a_neighbour() {
        let mut queue = FairQueue::new(Keyed::default());
        (0..1000).for_each(|n| queue.push('f', 1_000, n));
        (0..3).for_each(|n| queue.push('h', 1_000, 10_000 + n));
        let out: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(out.len(), 1003);
        let last_honest = out.iter().rposition(|&n| n >= 10_000).unwrap();
        assert!(last_honest < 40, "waited for {last_honest} items");
        assert!(queue.is_empty() && queue.bytes() == 0);
    }

    #[test]
    fn large_items_get_their_turn_too() {
        let mut queue = FairQueue::new(Keyed::default());
        queue.push('a', 60_000, 'A');
        (0..100).for_each(|_| queue.push('b', 100, 'b'));
        let out: String = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(out.chars().filter(|&c| c == 'A').count(), 1);
        assert_eq!(out.len(), 101);
    }
}
