//! Signatures that wait to be verified: fair over senders, and batched so that nobody can spoil another's batch.

use std::collections::VecDeque;

use super::engine::Engine;
use super::entry::Stage;
use super::link::Pause;
use super::random::{Keyed, KeyedMap};
use super::weakness::Weakness;
use super::{Action, BatchId, LinkId, VerifyJob};
use crate::key::PublicKey;
use crate::rumor::{BundleId, Evidence, TopicId};

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
    pub(super) const fn cost(&self) -> usize {
        match self {
            Self::Bundle { .. } => 1,
            Self::Evidence { .. } => 2,
        }
    }
}

/// What is being verified.
#[derive(Debug)]
struct Batch {
    work: Vec<(LinkId, Work)>,
    /// How much of it came over each link.
    of_links: Vec<(LinkId, usize)>,
}

impl Batch {
    fn new(work: Vec<(LinkId, Work)>) -> Self {
        let mut of_links: Vec<(LinkId, usize)> = Vec::new();
        for (link, _) in &work {
            match of_links.iter_mut().find(|(other, _)| other == link) {
                Some((_, count)) => *count += 1,
                None => of_links.push((*link, 1)),
            }
        }
        Self { work, of_links }
    }
}

#[derive(Debug)]
pub(super) struct VerifyQueue {
    waiting: KeyedMap<LinkId, VecDeque<Work>>,
    turns: VecDeque<LinkId>,
    total: usize,
    under_way: KeyedMap<BatchId, Batch>,
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

    /// How much of a link's is not judged yet, waiting or under way; and whether there is anything of others.
    pub(super) fn unjudged(&self, link: LinkId) -> (usize, bool) {
        let waiting = self.waiting_of(link);
        let (mut own, mut others) = (waiting, self.total > waiting);
        for (of, count) in self.under_way.values().flat_map(|batch| &batch.of_links) {
            if *of == link { own += count } else { others = true }
        }
        (own, others)
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
    /// for a link that shares. What is `stale` when its turn comes is left out.
    pub(super) fn next_batch(
        &mut self,
        max: usize,
        alone: impl Fn(LinkId) -> Option<usize>,
        stale: impl Fn(&Work) -> bool,
    ) -> Option<(BatchId, &[(LinkId, Work)])> {
        while let Some(link) = self.turns.front().copied() {
            let waiting = self.waiting.get(&link).and_then(VecDeque::front);
            if !waiting.is_some_and(&stale) {
                break;
            }
            self.take(link, &mut Vec::new());
        }
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
        let batch = self.under_way.entry(id).or_insert(Batch::new(batch));
        Some((id, &batch.work))
    }

    /// Moves one piece of work of `link` into the batch and the link to the end of the turns, if it has more.
    fn take(&mut self, link: LinkId, batch: &mut Vec<(LinkId, Work)>) -> usize {
        // It is at the front, unless its turn was passed over.
        if self.turns.front() == Some(&link) {
            self.turns.pop_front();
        } else {
            self.turns.retain(|other| *other != link);
        }
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
        self.under_way.remove(&batch).map(|batch| batch.work)
    }
}

impl Engine {
    /// Starts as many batches as there are verifiers.
    pub(super) fn dispatch_verification(&mut self) {
        while self.verifying.under_way() < self.config.verifiers.max(1) {
            let links = &self.links;
            let shared = self.config.lacks(Weakness::SharedBatches);
            let alone = |id: LinkId| match links.slot_of(id).and_then(|slot| links.at(slot)) {
                _ if shared => None,
                Some(link) => link.verified_alone(),
                None => Some(1),
            };
            // When an author is convicted, all our links tell us, and one proof is enough.
            let book = &self.book;
            let stale = |work: &Work| matches!(work, Work::Evidence { evidence, .. } if book.is_convicted(&evidence.author()));
            let Some((batch, work)) = self.verifying.next_batch(self.config.batch.max(1), alone, stale)
            else {
                return;
            };
            let mut jobs = Vec::with_capacity(work.len());
            for (_, work) in work {
                match work {
                    Work::Bundle { job, .. } => jobs.push(*job),
                    Work::Evidence { evidence, .. } => {
                        jobs.extend(
                            evidence.headers().map(|signed| VerifyJob::of(signed, signed.header.id())),
                        );
                    }
                }
            }
            self.counters.batches += 1;
            self.counters.verified += jobs.len() as u64;
            self.actions.push_back(Action::Verify { batch, jobs });
        }
    }

    /// Reads again from links whose signatures no longer wait in such numbers.
    pub(super) fn resume_verified(&mut self) {
        if self.verifying.total() >= MAX_WAITING * 3 / 4 {
            return;
        }
        let verifying = &self.verifying;
        let ready = |id: LinkId| verifying.waiting_of(id) < MAX_WAITING_PER_LINK / 2;
        let paused = self.links.iter().filter(|link| link.is_paused(Pause::Verification) && ready(link.id));
        let ids: Vec<_> = paused.map(|link| link.id).collect();
        for id in ids {
            self.resume(id, Pause::Verification);
        }
    }

    /// A link is convicted with work still waiting: whoever else sent the same copy stands in for it, or else the other
    /// candidates, or else the id is as if never seen.
    pub(super) fn drop_work(&mut self, link: LinkId, work: &Work) {
        let Work::Bundle { topic, job } = work else { return };
        let entry = self.topics.get_mut(topic).and_then(|window| window.entry_mut(&job.id));
        let Some(entry) = entry else { return };
        let Stage::Verifying { first, .. } = &mut entry.stage else { return };
        // The entry may be another by now, of the same id, with a copy that has nothing to do with this link.
        if first.link != link || first.signature != job.signature {
            return;
        }
        if first.hand_over() {
            let other = first.link;
            entry.from = Some(first.peer);
            return self.queue_signature(other, work.clone());
        }
        self.next_candidate(topic, &job.id);
    }

    /// Replaces a first candidate that is not to be trusted by the next one, if there is one.
    pub(super) fn next_candidate(&mut self, topic: &TopicId, id: &BundleId) {
        let Some(window) = self.topics.get_mut(topic) else { return };
        let Some(entry) = window.entry_mut(id) else { return };
        let Stage::Verifying { first, others } = &mut entry.stage else { return };
        // A copy whose only senders are banned by now is not worth a check.
        let (standing, now) = (&self.standing, self.now.mono);
        others.retain_mut(|copy| !standing.is_banned(&copy.peer, now) || copy.hand_over());
        if others.is_empty() {
            window.forget(id);
            // Whoever else announced it is asked next.
            return self.ask((*topic, *id));
        }
        *first = others.remove(0);
        let next = first.clone();
        entry.signed.signature = next.signature;
        entry.from = Some(next.peer);
        entry.hops = next.hops;
        if let Some(body) = entry.body.take() {
            entry.body = Some(std::sync::Arc::unwrap_or_clone(body).with_signature(next.signature).into());
        }
        let job = VerifyJob::of(&entry.signed, *id);
        self.queue_signature(next.link, Work::Bundle { topic: *topic, job });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Signature;

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
        let (_, batch) = queue.next_batch(4, |_| None, |_| false).unwrap();
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
        while let Some((_, batch)) = queue.next_batch(64, alone, |_| false) {
            batches.push(links(batch));
        }
        batches.sort();
        assert_eq!(batches, [vec![1, 3, 1, 3], vec![2, 2]]);
    }

    #[test]
    fn what_is_stale_when_its_turn_comes_is_left_out() {
        let mut queue = VerifyQueue::new(Keyed::default());
        (1..=3).for_each(|n| queue.add(LinkId(n), work(n as u8)));
        let stale =
            |work: &Work| matches!(work, Work::Bundle { job, .. } if *job.author.as_bytes() < [3; 32]);
        let (_, batch) = queue.next_batch(64, |_| None, stale).unwrap();
        assert_eq!(links(batch), [3]);
        assert_eq!(queue.total(), 0);
    }

    #[test]
    fn a_convicted_links_work_is_dropped() {
        let mut queue = VerifyQueue::new(Keyed::default());
        queue.add(LinkId(1), work(1));
        queue.add(LinkId(2), work(2));
        assert_eq!(queue.remove_link(LinkId(1)).len(), 1);
        let (batch, _) = queue.next_batch(64, |_| None, |_| false).unwrap();
        assert_eq!(queue.finish(batch).map(|batch| links(&batch)), Some(vec![2]));
        assert_eq!((queue.total(), queue.under_way()), (0, 0));
    }
}
