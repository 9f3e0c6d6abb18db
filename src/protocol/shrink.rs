//! Gives back the room that a flood has left in a collection: a bound on what is held is also a bound on what stays.

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// Places that are not worth giving back.
const FEW: usize = 1_024;

/// A collection that can hold more than it does.
pub(super) trait Shrink {
    /// Keeps room for twice of what is there, if it has room for more than four times that. So what is moved was paid for by
    /// what has gone.
    fn shrink(&mut self);
}

/// To how many places, if at all.
fn shrunk(capacity: usize, len: usize) -> Option<usize> {
    (capacity > FEW && capacity / 4 > len).then_some(2 * len)
}

impl<K: Eq + Hash, V, S: BuildHasher> Shrink for HashMap<K, V, S> {
    fn shrink(&mut self) {
        if let Some(places) = shrunk(self.capacity(), self.len()) {
            self.shrink_to(places);
        }
    }
}

impl<T> Shrink for VecDeque<T> {
    fn shrink(&mut self) {
        if let Some(places) = shrunk(self.capacity(), self.len()) {
            self.shrink_to(places);
        }
    }
}

impl<T: Ord> Shrink for BinaryHeap<T> {
    fn shrink(&mut self) {
        if let Some(places) = shrunk(self.capacity(), self.len()) {
            self.shrink_to(places);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_frees_what_has_gone_and_keeps_what_stays() {
        let mut heap: BinaryHeap<_> = (0..100_000).collect();
        let mut queue: VecDeque<_> = (0..100_000).collect();
        let mut map: HashMap<_, _> = (0..100_000).map(|number| (number, ())).collect();
        let capacities = |heap: &BinaryHeap<i32>, queue: &VecDeque<i32>, map: &HashMap<i32, ()>| {
            [heap.capacity(), queue.capacity(), map.capacity()]
        };
        let full = capacities(&heap, &queue, &map);
        heap.shrink();
        queue.shrink();
        map.shrink();
        assert_eq!(capacities(&heap, &queue, &map), full, "it is in use");
        heap.retain(|number| *number < 10);
        queue.truncate(10);
        map.retain(|number, ()| *number < 10);
        heap.shrink();
        queue.shrink();
        map.shrink();
        assert!(capacities(&heap, &queue, &map).into_iter().all(|capacity| capacity <= FEW));
        assert_eq!([heap.len(), queue.len(), map.len()], [10; 3]);
    }
}
