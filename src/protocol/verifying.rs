//! Signatures that wait to be verified: fair over senders, and batched so that nobody can spoil another's batch.

use std::collections::VecDeque;

use super::random::{Keyed, KeyedMap};
use super::{BatchId, LinkId, VerifyJob};
use crate::key::PublicKey;
use crate::rumor::{Evidence, TopicId};

/// Signatures of one link that may wait before we stop reading from it (design section 6, row 7).
pub(super) const MAX_WAITING_PER_LINK: usize = 64;
/// Signatures that may wait in all before we stop reading from whoever adds to them.
pub(super) const MAX_WAITING: usize = 4_096;

/// Something to be judged.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// The signature of the first candidate of an entry.
    Bundle { topic: TopicId, job: VerifyJob },
    /// Both signatures of a piece of evidence.
    Evidence { evidence: Box<Evidence>, peer: PublicKey },
}

impl Work {
    /// How many signatures it stands for.
    const fn cost(&self) -> usize {
        match self {
            Self::Bundle { .. } => 1,
            Self::Evidence { .. } => 2,
        }
    }
}

#[derive(Debug)]
pub(super) struct VerifyQueue {
    waiting: KeyedMap<LinkId, VecDeque<Work>>,
    turns: VecDeque<LinkId>,
    total: usize,
    under_way: KeyedMap<BatchId, Vec<(LinkId, Work)>>,
    next_batch: u64,
}

impl VerifyQueue {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { waiting: keyed.map(), turns: VecDeque::new(), total: 0, under_way: keyed.map(), next_batch: 0 }
    }

    pub(super) fn add(&mut self, link: LinkId, work: Work) {
        let queue = self.waiting.entry(link).or_default();
        if queue.is_empty() {
            self.turns.push_back(link);
        }
        queue.push_back(work);
        self.total += 1;
    }

    pub(super) fn waiting_of(&self, link: LinkId) -> usize {
        self.waiting.get(&link).map_or(0, VecDeque::len)
    }

    pub(super) const fn total(&self) -> usize {
        self.total
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Takes what a convicted link still had waiting.
    pub(super) fn remove_link(&mut self, link: LinkId) -> Vec<Work> {
        self.turns.retain(|other| *other != link);
        let gone: Vec<_> = self.waiting.remove(&link).map(Vec::from).unwrap_or_default();
        self.total -= gone.len();
        gone
    }

    /// The next batch of up to `max` signatures: one of each link in turn, of those links whose signatures may share a
    /// batch; or, when it is the turn of another link, only that link's. `alone` gives how many those may be, or `None`
    /// for a link that shares.
    pub(super) fn next_batch(
        &mut self,
        max: usize,
        alone: impl Fn(LinkId) -> Option<usize>,
    ) -> Option<(BatchId, &[(LinkId, Work)])> {
        let first = *self.turns.front()?;
        let shares = |link| alone(link).is_none();
        let mut batch = Vec::new();
        if shares(first) {
            let mut cost = 0;
            // Links passed over since the last one that gave something.
            let mut passed = 0;
            while cost < max && passed < self.turns.len() {
                let Some(link) = self.turns.front().copied() else { break };
                if shares(link) {
                    cost += self.take(link, &mut batch);
                    passed = 0;
                } else {
                    self.turns.rotate_left(1);
                    passed += 1;
                }
            }
        } else {
            let mut cost = 0;
            let max = max.min(alone(first).unwrap_or(max));
            while cost < max && self.turns.contains(&first) {
                cost += self.take(first, &mut batch);
            }
        }
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        Some((id, self.under_way.entry(id).or_insert(batch)))
    }

    /// Moves one piece of work of `link` into the batch and the link to the end of the turns, if it has more.
    fn take(&mut self, link: LinkId, batch: &mut Vec<(LinkId, Work)>) -> usize {
        self.turns.retain(|other| *other != link);
        let Some(queue) = self.waiting.get_mut(&link) else { return 0 };
        let Some(work) = queue.pop_front() else { return 0 };
        if queue.is_empty() {
            self.waiting.remove(&link);
        } else {
            self.turns.push_back(link);
        }
        let cost = work.cost();
        self.total -= 1;
        batch.push((link, work));
        cost
    }

    pub(super) fn finish(&mut self, batch: BatchId) -> Option<Vec<(LinkId, Work)>> {
        self.under_way.remove(&batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Signature;
    use crate::rumor::BundleId;

    fn work(n: u8) -> Work {
        let (author, id) = (PublicKey::from_bytes([n; 32]), BundleId::from_bytes([n; 32]));
        let job = VerifyJob { author, id, signature: Signature::from_bytes([n; 64]) };
        Work::Bundle { topic: TopicId::from_bytes([0; 32]), job }
    }

    fn links(batch: &[(LinkId, Work)]) -> Vec<u64> {
        batch.iter().map(|(link, _)| link.0).collect()
    }

    #[test]
    fn trusted_links_share_batches_in_turn() {
        let mut queue = VerifyQueue::new(Keyed::default());
        (0..5).for_each(|n| queue.add(LinkId(1), work(n)));
        queue.add(LinkId(2), work(9));
        let (_, batch) = queue.next_batch(4, |_| None).unwrap();
        assert_eq!(links(batch), [1, 2, 1, 1]);
        assert_eq!(queue.total(), 2);
    }

    #[test]
    fn an_untrusted_link_is_verified_apart() {
        let mut queue = VerifyQueue::new(Keyed::default());
        for link in [1, 2, 3] {
            (0..2).for_each(|n| queue.add(LinkId(link), work(n)));
        }
        let alone = |link: LinkId| (link.0 == 2).then_some(64);
        let mut batches = Vec::new();
        while let Some((_, batch)) = queue.next_batch(64, alone) {
            batches.push(links(batch));
        }
        batches.sort();
        assert_eq!(batches, [vec![1, 3, 1, 3], vec![2, 2]]);
    }

    #[test]
    fn a_convicted_links_work_is_dropped() {
        let mut queue = VerifyQueue::new(Keyed::default());
        queue.add(LinkId(1), work(1));
        queue.add(LinkId(2), work(2));
        assert_eq!(queue.remove_link(LinkId(1)).len(), 1);
        let (batch, _) = queue.next_batch(64, |_| None).unwrap();
        assert_eq!(queue.finish(batch).map(|batch| links(&batch)), Some(vec![2]));
        assert_eq!((queue.total(), queue.under_way()), (0, 0));
    }
}
