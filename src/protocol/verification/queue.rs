//! Signatures that wait to be verified: fair over senders, and batched so that nobody can spoil another's batch.

use std::collections::{BTreeMap, VecDeque};

use crate::protocol::limits::{MAX_WAITING, MAX_WAITING_BYTES_PER_LINK, MAX_WAITING_PER_LINK};
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::total::Total as _;
use crate::protocol::verification::work::Work;
use crate::protocol::{BatchId, LinkId};
use crate::rumor::BundleId;

/// What is not judged yet of one link.
#[derive(Debug, Default)]
struct OfLink {
    waiting: VecDeque<Work>,
    /// Bytes of bodies that wait.
    bytes: usize,
    /// Pieces of work that are being verified.
    under_way: usize,
}

impl OfLink {
    fn add(&mut self, work: Work) {
        self.bytes.gains(work.bytes());
        self.waiting.push_back(work);
    }

    fn next(&mut self) -> Option<Work> {
        let work = self.waiting.pop_front()?;
        self.bytes.loses(work.bytes());
        Some(work)
    }
}

#[derive(Debug)]
pub(in crate::protocol) struct VerifyQueue {
    /// Links of which something is not judged yet.
    links: BTreeMap<LinkId, OfLink>,
    /// Those of which something waits.
    turns: VecDeque<LinkId>,
    /// Pieces of work that wait, and that are being verified.
    total: usize,
    total_under_way: usize,
    batches: KeyedMap<BatchId, Vec<(LinkId, Work)>>,
    next_batch: u64,
    /// Something went without a verdict, which may have made room.
    left_out: bool,
}

/// Batches of the past have numbers from here on, so that no two queues use the same.
const FIRST_OF_THE_PAST: u64 = 1 << 63;
/// Those of what is said of members from here on.
const FIRST_OF_SYSTEM: u64 = 1 << 62;

impl VerifyQueue {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self::numbered_from(0, keyed)
    }

    /// The queue of what repair brings.
    pub(in crate::protocol) fn of_the_past(keyed: Keyed) -> Self {
        Self::numbered_from(FIRST_OF_THE_PAST, keyed)
    }

    /// The queue of what is said of members.
    pub(in crate::protocol) fn of_system(keyed: Keyed) -> Self {
        Self::numbered_from(FIRST_OF_SYSTEM, keyed)
    }

    fn numbered_from(next_batch: u64, keyed: Keyed) -> Self {
        Self {
            links: BTreeMap::new(),
            turns: VecDeque::new(),
            total: 0,
            total_under_way: 0,
            batches: keyed.map(),
            next_batch,
            left_out: false,
        }
    }

    pub(in crate::protocol) fn add(&mut self, link: LinkId, work: Work) {
        let of_link = self.links.entry(link).or_default();
        if of_link.waiting.is_empty() {
            self.turns.push_back(link);
        }
        of_link.add(work);
        self.total.gains(1);
    }

    /// The same, before what waits of that link.
    pub(in crate::protocol) fn add_first(&mut self, link: LinkId, work: Work) {
        self.add(link, work);
        if let Some(of_link) = self.links.get_mut(&link) {
            of_link.waiting.rotate_right(1);
        }
    }

    /// Bodies have come for a bundle whose header waits, if it still does.
    pub(in crate::protocol) fn add_bytes(&mut self, link: LinkId, id: &BundleId, more: u32) {
        let Some(of_link) = self.links.get_mut(&link) else { return };
        for work in &mut of_link.waiting {
            if let Work::Bundle { job, bytes, .. } = work
                && job.id == *id
                && *bytes == 0
            {
                *bytes = more;
                of_link.bytes.gains(more as usize);
                return;
            }
        }
    }

    pub(in crate::protocol) fn waiting_of(&self, link: LinkId) -> usize {
        self.links.get(&link).map_or(0, |of_link| of_link.waiting.len())
    }

    pub(in crate::protocol) fn bytes_of(&self, link: LinkId) -> usize {
        self.links.get(&link).map_or(0, |of_link| of_link.bytes)
    }

    /// Whether more bodies may wait with the signatures of this link.
    pub(in crate::protocol) fn takes_bytes(&self, link: LinkId) -> bool {
        self.bytes_of(link) < MAX_WAITING_BYTES_PER_LINK
    }

    /// Whether so much waits that nothing more of this link is to be read.
    pub(in crate::protocol) fn is_full(&self, link: LinkId) -> bool {
        let waiting = self.waiting_of(link);
        waiting >= MAX_WAITING_PER_LINK || !self.takes_bytes(link) || (waiting > 0 && self.is_crowded())
    }

    /// Whether this link may be read again.
    pub(in crate::protocol) fn has_room(&self, link: LinkId) -> bool {
        self.waiting_of(link) < MAX_WAITING_PER_LINK / 2
            && self.bytes_of(link) < MAX_WAITING_BYTES_PER_LINK / 2
    }

    /// Whether more of all links together waits than should.
    pub(in crate::protocol) const fn is_crowded(&self) -> bool {
        self.total >= MAX_WAITING
    }

    pub(in crate::protocol) const fn total(&self) -> usize {
        self.total
    }

    /// Batches that are being verified.
    pub(in crate::protocol) fn under_way(&self) -> usize {
        self.batches.len()
    }

    /// How much of a link's is not judged yet, waiting or under way; and whether there is anything of others.
    pub(in crate::protocol) fn unjudged(&self, link: LinkId) -> (usize, bool) {
        let own = self
            .links
            .get(&link)
            .map_or(0, |of_link| of_link.waiting.len().saturating_add(of_link.under_way));
        (own, self.total.saturating_add(self.total_under_way) > own)
    }

    /// Takes what a convicted link still had waiting.
    pub(in crate::protocol) fn remove_link(&mut self, link: LinkId) -> Vec<Work> {
        let Some(of_link) = self.links.get_mut(&link) else { return Vec::new() };
        self.turns.retain(|other| *other != link);
        let gone = Vec::from(std::mem::take(&mut of_link.waiting));
        of_link.bytes = 0;
        self.total.loses(gone.len());
        self.drop_if_idle(link);
        gone
    }

    /// Keeps nothing of a link of which all is judged.
    fn drop_if_idle(&mut self, link: LinkId) {
        if self.links.get(&link).is_some_and(|of_link| of_link.waiting.is_empty() && of_link.under_way == 0) {
            self.links.remove(&link);
        }
    }

    /// The next batch of up to `max` signatures: one of each link in turn, of those links whose signatures may share a
    /// batch; or, when it is the turn of another link, only that link's. `alone` gives how many of those may be under way
    /// at once, over all batches, or `None` for a link that shares. What is `stale` when its turn comes is left out.
    pub(in crate::protocol) fn next_batch(
        &mut self,
        max: usize,
        alone: impl Fn(LinkId) -> Option<usize>,
        stale: impl Fn(&Work) -> bool,
    ) -> Option<(BatchId, &[(LinkId, Work)])> {
        let mut batch = Vec::new();
        // Links whose turn it was and that may give nothing now. They are the first of the next batch.
        let mut aside = Vec::new();
        while batch.len() < max {
            let Some(link) = self.turns.pop_front() else { break };
            let Some(of_link) = self.links.get_mut(&link) else { continue };
            let (waited, had) = (of_link.waiting.len(), batch.len());
            while of_link.waiting.front().is_some_and(&stale) {
                of_link.next();
                self.left_out = true;
            }
            let alone = alone(link);
            let most = match alone {
                None => 1,
                Some(_) if had > 0 => 0,
                Some(most) => most.saturating_sub(of_link.under_way).min(max),
            };
            while batch.len() < most.saturating_add(had)
                && let Some(work) = of_link.next()
            {
                if stale(&work) {
                    self.left_out = true;
                } else {
                    batch.push((link, work));
                }
            }
            let taken = batch.len().saturating_sub(had);
            of_link.under_way.gains(taken);
            self.total_under_way.gains(taken);
            self.total.loses(waited.saturating_sub(of_link.waiting.len()));
            if of_link.waiting.is_empty() {
                self.drop_if_idle(link);
            } else if taken > 0 {
                self.turns.push_back(link);
            } else {
                aside.push(link);
            }
            if taken > 0 && alone.is_some() {
                break;
            }
        }
        for link in aside.into_iter().rev() {
            self.turns.push_front(link);
        }
        if batch.is_empty() {
            return None;
        }
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        let batch = self.batches.entry(id).or_insert(batch);
        Some((id, batch))
    }

    /// Whether something was left out since the last call: no verdict will come for it.
    pub(in crate::protocol) const fn has_left_out(&mut self) -> bool {
        std::mem::replace(&mut self.left_out, false)
    }

    pub(in crate::protocol) fn finish(&mut self, batch: BatchId) -> Option<Vec<(LinkId, Work)>> {
        let work = self.batches.remove(&batch)?;
        self.total_under_way.loses(work.len());
        for (link, _) in &work {
            if let Some(of_link) = self.links.get_mut(link) {
                of_link.under_way.loses(1);
            }
            self.drop_if_idle(*link);
        }
        Some(work)
    }
}

#[cfg(any(test, feature = "sim"))]
impl VerifyQueue {
    /// Whether a verdict, or a batch to come, will make room.
    pub(in crate::protocol) fn is_busy(&self) -> bool {
        self.total > 0 || !self.batches.is_empty()
    }

    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let waiting = |of_link: &OfLink| of_link.waiting.len();
        recount.same("signatures waiting", self.total, self.links.values().map(waiting).sum());
        let under_way = self.batches.values().map(Vec::len).sum();
        recount.same("signatures under way", self.total_under_way, under_way);
        for (link, of_link) in &self.links {
            let of = |what: &str| format!("{what} of {link:?}");
            recount.same(of("bytes waiting"), of_link.bytes, of_link.waiting.iter().map(Work::bytes).sum());
            let batches = self.batches.values().flatten().filter(|(other, _)| other == link).count();
            recount.same(of("signatures under way"), of_link.under_way, batches);
            let turns = self.turns.iter().filter(|other| *other == link).count();
            recount.same(of("turns"), turns, usize::from(!of_link.waiting.is_empty()));
        }
        recount.holds(
            self.turns.iter().all(|link| self.links.contains_key(link)),
            "a turn of a link that has nothing",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{PublicKey, Signature};
    use crate::protocol::VerifyJob;
    use crate::rumor::TopicId;

    fn work(n: u8) -> Work {
        let (author, id) = (PublicKey::from_bytes([n; 32]), BundleId::from_bytes([n; 32]));
        let job = VerifyJob { author, id, signature: Signature::from_bytes([n; 64]) };
        Work::Bundle { topic: TopicId::from_bytes([0; 32]), job, bytes: 0, position: (0, 0) }
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
    fn an_untrusted_link_has_no_more_under_way_than_it_may_however_many_batches_there_are() {
        let mut queue = VerifyQueue::new(Keyed::default());
        (0..5).for_each(|n| queue.add(LinkId(1), work(n)));
        (0..2).for_each(|n| queue.add(LinkId(2), work(n)));
        let alone = |link: LinkId| (link.0 == 1).then_some(2);
        let mut next = || queue.next_batch(64, alone, |_| false).map(|(id, batch)| (id, links(batch)));
        let (first, of_first) = next().unwrap();
        assert_eq!((of_first, next().unwrap().1, next()), (vec![1, 1], vec![2, 2], None));
        queue.finish(first);
        let (_, batch) = queue.next_batch(64, alone, |_| false).unwrap();
        assert_eq!(links(batch), [1, 1]);
        assert_eq!(queue.total(), 1);
    }

    #[test]
    fn whose_turn_was_passed_over_is_next() {
        // Given two links that never run dry and fill every batch, and one between them whose signatures go apart.
        let mut queue = VerifyQueue::new(Keyed::default());
        for link in [1, 2, 3] {
            (0..20).for_each(|n| queue.add(LinkId(link), work(n)));
        }
        let alone = |link: LinkId| (link.0 == 2).then_some(4);
        let mut next = || queue.next_batch(4, alone, |_| false).map(|(_, batch)| links(batch)).unwrap();
        assert_eq!((next(), next()), (vec![1, 3, 1, 3], vec![2, 2, 2, 2]));
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
    fn a_bundle_under_verification_counts_until_its_verdict() {
        let mut queue = VerifyQueue::new(Keyed::default());
        (1..=3).for_each(|n| queue.add(LinkId(1), work(n)));
        assert_eq!((queue.unjudged(LinkId(1)), queue.unjudged(LinkId(2))), ((3, false), (0, true)));
        let (first, _) = queue.next_batch(2, |_| None, |_| false).unwrap();
        queue.add(LinkId(2), work(4));
        assert_eq!((queue.unjudged(LinkId(1)), queue.unjudged(LinkId(2))), ((3, true), (1, true)));
        queue.remove_link(LinkId(1));
        assert_eq!(queue.unjudged(LinkId(1)), (2, true));
        queue.finish(first);
        assert_eq!((queue.unjudged(LinkId(1)), queue.unjudged(LinkId(2))), ((0, true), (1, false)));
    }

    #[test]
    fn a_convicted_links_work_is_dropped() {
        let mut queue = VerifyQueue::new(Keyed::default());
        queue.add(LinkId(1), work(1));
        queue.add(LinkId(2), work(2));
        assert_eq!(queue.remove_link(LinkId(1)).len(), 1);
        let (batch, _) = queue.next_batch(64, |_| None, |_| false).unwrap();
        assert_eq!(queue.finish(batch).map(|batch| links(&batch)), Some(vec![2]));
        assert_eq!((queue.total(), queue.under_way(), queue.links.len()), (0, 0, 0));
    }
}
