//! Queues that give each topic its turn, and in it each author: deficit round-robin (Shreedhar and Varghese, 1995).

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;

use crate::key::PublicKey;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::total::Total as _;
use crate::rumor::TopicId;

/// Bytes that a flow may send in one turn. At least the largest item, or an item could wait for several turns.
const QUANTUM: usize = 16 * 1024;

/// Items of several flows, handed out fairly by bytes. An author that says a lot delays itself.
#[derive(Debug)]
pub(in crate::protocol) struct FairQueue<K, T> {
    flows: KeyedMap<K, Flow<T>>,
    /// Flows that have items, in the order of their turns.
    turns: VecDeque<K>,
    bytes: usize,
    quantum: usize,
}

#[derive(Debug)]
struct Flow<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    deficit: usize,
}

impl<K: Copy + Eq + std::hash::Hash, T> FairQueue<K, T> {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self::with_quantum(keyed, QUANTUM)
    }

    /// A queue in which a flow may send so many bytes, or whatever is counted, in one turn.
    pub(in crate::protocol) fn with_quantum(keyed: Keyed, quantum: usize) -> Self {
        Self { flows: keyed.map(), turns: VecDeque::new(), bytes: 0, quantum }
    }

    /// Whether a flow may add to a queue of `cap` bytes: anybody while it is half empty; then only flows that have less
    /// than a turn's worth waiting, or one author that says a lot would leave no room for the others.
    pub(in crate::protocol) fn has_room(&self, flow: &K, cap: usize) -> bool {
        let waits = || self.flows.get(flow).map_or(0, |flow| flow.bytes);
        self.bytes < cap / 2 || (self.bytes < cap && waits() < self.quantum)
    }

    /// Bytes waiting.
    pub(in crate::protocol) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(in crate::protocol) fn push(&mut self, flow: K, bytes: usize, item: T) {
        let entry = self.flows.entry(flow).or_insert_with(|| {
            self.turns.push_back(flow);
            Flow { items: VecDeque::new(), bytes: 0, deficit: 0 }
        });
        entry.bytes.gains(bytes);
        entry.items.push_back((bytes, item));
        self.bytes.gains(bytes);
    }

    /// The size of the item whose turn it is.
    pub(in crate::protocol) fn next_len(&mut self) -> Option<usize> {
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
            flow.deficit = flow.deficit.saturating_add(self.quantum);
            self.turns.rotate_left(1);
        }
    }

    pub(in crate::protocol) fn pop(&mut self) -> Option<T> {
        self.next_len()?;
        let turn = *self.turns.front()?;
        let flow = self.flows.get_mut(&turn)?;
        let (bytes, item) = flow.items.pop_front()?;
        flow.deficit = flow.deficit.saturating_sub(bytes);
        flow.bytes.loses(bytes);
        self.bytes.loses(bytes);
        if flow.items.is_empty() {
            self.flows.remove(&turn);
            self.turns.pop_front();
        }
        Some(item)
    }

    /// Takes from the front of each flow what is `overdue`, and adds it to `out`.
    fn take_overdue(&mut self, overdue: &impl Fn(&T) -> bool, out: &mut Vec<T>) {
        for turn in &self.turns {
            let Some(flow) = self.flows.get_mut(turn) else { continue };
            while flow.items.front().is_some_and(|(_, item)| overdue(item))
                && let Some((bytes, item)) = flow.items.pop_front()
            {
                flow.bytes.loses(bytes);
                self.bytes.loses(bytes);
                out.push(item);
            }
        }
    }
}

/// Items of several topics and, in each, of several authors: whoever makes keys for one topic does not delay another.
#[derive(Debug)]
pub(in crate::protocol) struct TopicQueue<T> {
    keyed: Keyed,
    /// Topics that have items, in the order of their turns, each with its deficit. (Beside them at most one that has none.)
    turns: VecDeque<(TopicId, usize, FairQueue<PublicKey, T>)>,
    bytes: usize,
}

impl<T> TopicQueue<T> {
    pub(in crate::protocol) const fn new(keyed: Keyed) -> Self {
        Self { keyed, turns: VecDeque::new(), bytes: 0 }
    }

    /// Bytes waiting.
    pub(in crate::protocol) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn of(&self, topic: &TopicId) -> Option<&FairQueue<PublicKey, T>> {
        self.turns.iter().find(|(other, ..)| other == topic).map(|(.., queue)| queue)
    }

    /// Whether a flow may add to a queue of `cap` bytes: anybody while it is half empty; then only flows that have less
    /// than a turn's worth waiting, in a topic that has less than three times what is free. So one author leaves room for
    /// others, and however many authors one topic has, it leaves room for other topics.
    pub(in crate::protocol) fn has_room(&self, topic: &TopicId, flow: &PublicKey, cap: usize) -> bool {
        if self.bytes < cap / 2 {
            return true;
        }
        let free = cap.saturating_sub(self.bytes);
        let of_topic = self.of(topic);
        let waits = of_topic.and_then(|queue| queue.flows.get(flow)).map_or(0, |flow| flow.bytes);
        free > 0 && waits < QUANTUM && of_topic.map_or(0, FairQueue::bytes) < free.saturating_mul(3)
    }

    pub(in crate::protocol) fn push(&mut self, topic: TopicId, flow: PublicKey, bytes: usize, item: T) {
        self.bytes.gains(bytes);
        if let Some((.., queue)) = self.turns.iter_mut().find(|(other, ..)| *other == topic) {
            return queue.push(flow, bytes, item);
        }
        let mut queue = FairQueue::new(self.keyed);
        queue.push(flow, bytes, item);
        self.turns.push_back((topic, 0, queue));
    }

    /// The size of the item whose turn it is.
    pub(in crate::protocol) fn next_len(&mut self) -> Option<usize> {
        loop {
            let topics = self.turns.len();
            let (_, deficit, queue) = self.turns.front_mut()?;
            let Some(bytes) = queue.next_len() else {
                *deficit = 0;
                if topics == 1 {
                    // What it has allocated is kept for the next item, which is of the same topic as a rule.
                    return None;
                }
                self.turns.pop_front();
                continue;
            };
            if *deficit >= bytes || topics == 1 {
                return Some(bytes);
            }
            *deficit = deficit.saturating_add(QUANTUM);
            self.turns.rotate_left(1);
        }
    }

    pub(in crate::protocol) fn pop(&mut self) -> Option<T> {
        let bytes = self.next_len()?;
        let (_, deficit, queue) = self.turns.front_mut()?;
        let item = queue.pop()?;
        *deficit = deficit.saturating_sub(bytes);
        self.bytes.loses(bytes);
        Some(item)
    }

    /// Takes what is `overdue`, of each flow from the front.
    pub(in crate::protocol) fn take_overdue(&mut self, overdue: impl Fn(&T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for (.., queue) in &mut self.turns {
            let before = queue.bytes();
            queue.take_overdue(&overdue, &mut out);
            self.bytes.loses(before.saturating_sub(queue.bytes()));
        }
        out
    }
}

#[cfg(any(test, feature = "sim"))]
impl<K: Copy + Eq + std::hash::Hash, T> FairQueue<K, T> {
    pub(in crate::protocol) fn check(&self, what: &str, recount: &mut crate::protocol::check::Recount) {
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

#[cfg(any(test, feature = "sim"))]
impl<T> TopicQueue<T> {
    pub(in crate::protocol) fn check(&self, what: &str, recount: &mut crate::protocol::check::Recount) {
        recount.same(what, self.bytes, self.turns.iter().map(|(.., queue)| queue.bytes()).sum());
        self.turns.iter().for_each(|(.., queue)| queue.check(what, recount));
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

    fn topic(n: u8) -> TopicId {
        TopicId::from_bytes([n; 32])
    }

    fn author(n: u16) -> PublicKey {
        PublicKey::from_bytes(std::array::from_fn(|at| n.to_le_bytes()[at % 2]))
    }

    #[test]
    fn many_authors_of_one_topic_do_not_delay_another_topic() {
        let mut queue = TopicQueue::new(Keyed::default());
        (0..1_000).for_each(|n| queue.push(topic(1), author(n), 1_000, n));
        (0..3).for_each(|n| queue.push(topic(2), author(n), 1_000, 10_000 + n));
        let out: Vec<u16> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(out.len(), 1_003);
        let last = out.iter().rposition(|&n| n >= 10_000).unwrap();
        assert!(last < 40, "waited for {last} items");
        assert!(queue.is_empty() && queue.bytes() == 0 && queue.turns.len() == 1);
    }

    #[test]
    fn many_authors_of_one_topic_leave_room_for_another_topic() {
        let (mut queue, cap) = (TopicQueue::new(Keyed::default()), 1 << 20);
        let mut fill = |topic: TopicId| {
            let mut taken = 0;
            for n in 0..2_000 {
                if queue.has_room(&topic, &author(n), cap) {
                    queue.push(topic, author(n), 1_000, ());
                    taken += 1;
                }
            }
            taken
        };
        // Three quarters, and of what the first leaves again three quarters.
        assert_eq!((fill(topic(1)), fill(topic(2))), (787, 197));
    }

    #[test]
    fn what_is_overdue_leaves_from_the_front_of_each_flow() {
        let mut queue = TopicQueue::new(Keyed::default());
        for (n, item) in [(1, 1), (1, 9), (1, 2), (2, 3), (3, 8)] {
            queue.push(topic(n), author(0), 10, item);
        }
        assert_eq!(queue.take_overdue(|item| *item < 5), [1, 3]);
        assert_eq!(queue.bytes(), 30);
        let mut rest: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        rest.sort();
        assert_eq!(rest, [2, 8, 9]);
        assert_eq!(queue.take_overdue(|_| true), [0; 0]);
    }
}
