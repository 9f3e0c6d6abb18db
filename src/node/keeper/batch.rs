//! What waits for the next commit, and when that is due.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::key::PublicKey;
use crate::protocol::keeping::{Hole, Keep, Show};
use crate::rumor::{Evidence, Position, TopicId};

/// Commits for those who wait for one are at least so far apart: each writes some 100 to 330 kB, however little it keeps.
const SOON: Duration = Duration::from_millis(20);
/// A reader that waits at the end of a topic waits so long.
const FOR_READERS: Duration = Duration::from_millis(100);
/// What nobody waits for is committed after this.
const AT_LAST: Duration = Duration::from_secs(1);
/// So many bytes of bundles are committed at once. What comes meanwhile waits in the channel, of which the engine bounds the bytes.
pub(super) const FULL: usize = 4 << 20;
/// So many bundles are committed at once, however short they are: whoever waits for the next commit waits for this one. (Measured: 1 000
/// of as many authors take 27 ms at the most.)
pub(super) const FULL_COUNT: usize = 1_500;
/// Bundles to be shown, and proofs to be kept, that a store which fails is given once more. Beyond it the oldest are left: what was not
/// shown is held back again when the store is opened next.
pub(super) const MOST_KEPT_BACK: usize = 16_384;

/// What is committed together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) keeps: Vec<Keep>,
    /// Until when positions of the author may be used.
    pub(super) record: Option<u64>,
    pub(super) releases: Vec<(TopicId, Vec<(PublicKey, Position)>)>,
    pub(super) rests: Vec<(TopicId, Vec<(Hole, u64)>)>,
    pub(super) proofs: Vec<Evidence>,
    /// Topics that will have more to read.
    shows: BTreeSet<TopicId>,
    bytes: usize,
    /// Since when something waits.
    since: Option<Instant>,
    /// Somebody waits for the commit.
    urgent: bool,
}

impl Batch {
    pub(super) const fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= FULL || self.keeps.len() >= FULL_COUNT
    }

    pub(super) fn keep(&mut self, keep: Keep, urgent: bool, now: Instant) {
        self.begin(now);
        self.urgent |= urgent;
        self.bytes = self.bytes.saturating_add(keep.bundle.encoded().len());
        if keep.show == Show::Now {
            self.shows.insert(keep.bundle.header().topic);
        }
        self.keeps.push(keep);
    }

    /// Somebody waits for a position of that time. Of two records the later holds.
    pub(super) fn record(&mut self, until_ms: u64, now: Instant) {
        self.begin(now);
        self.urgent = true;
        self.record = self.record.max(Some(until_ms));
    }

    pub(super) fn release(&mut self, topic: TopicId, mut at: Vec<(PublicKey, Position)>, now: Instant) {
        self.begin(now);
        self.shows.insert(topic);
        match self.releases.iter_mut().find(|(other, _)| *other == topic) {
            Some((_, waiting)) => waiting.append(&mut at),
            None => self.releases.push((topic, at)),
        }
    }

    pub(super) fn rest(&mut self, topic: TopicId, mut holes: Vec<(Hole, u64)>, now: Instant) {
        self.begin(now);
        match self.rests.iter_mut().find(|(other, _)| *other == topic) {
            Some((_, waiting)) => waiting.append(&mut holes),
            None => self.rests.push((topic, holes)),
        }
    }

    pub(super) fn remember(&mut self, proof: Evidence, now: Instant) {
        self.begin(now);
        self.proofs.push(proof);
    }

    fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// When it is to be committed; `None` while it is empty. `last` is when the last commit began, and `is_awaited` says of which topics
    /// somebody waits for more.
    pub(super) fn due(
        &self,
        last: Option<Instant>,
        is_awaited: impl Fn(&TopicId) -> bool,
    ) -> Option<Instant> {
        let since = self.since?;
        if self.is_full() {
            return Some(since);
        }
        let patience = if self.shows.iter().any(is_awaited) { FOR_READERS } else { AT_LAST };
        let at_last = since + patience;
        let soon = last.map_or(since, |last| last + SOON);
        Some(if self.urgent { at_last.min(soon) } else { at_last })
    }

    /// What a store that fails is given again: nobody was told that it was not done.
    pub(super) fn keep_back(&mut self, now: Instant) {
        let mut left = MOST_KEPT_BACK;
        for (_, at) in self.releases.iter_mut().rev() {
            at.drain(..at.len().saturating_sub(left));
            left = left.saturating_sub(at.len());
        }
        self.releases.retain(|(_, at)| !at.is_empty());
        self.proofs.drain(..self.proofs.len().saturating_sub(MOST_KEPT_BACK));
        self.rests.clear();
        let back = !self.releases.is_empty() || !self.proofs.is_empty();
        self.since = back.then_some(now);
        (self.bytes, self.urgent) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::protocol::keeping::Arrival;
    use crate::rumor::seal;
    use std::sync::Arc;

    fn keep(topic: u8, len: usize) -> Keep {
        let (key, topic) = (SecretKey::from_seed(&[1; 32]), TopicId::from_bytes([topic; 32]));
        let bundle = seal(&key, topic, Position { tick: 7, slot: 0 }, &[vec![0; len].into()]).unwrap();
        Keep { bundle: Arc::new(bundle), arrival: Arrival::Live, show: Show::Now }
    }

    #[test]
    fn a_commit_is_due_by_who_waits_for_it() {
        let now = Instant::now();
        let mut batch = Batch::default();
        assert_eq!(batch.due(None, |_| true), None, "nothing waits");
        batch.keep(keep(1, 9), false, now);
        batch.keep(keep(1, 9), false, now + SOON);
        assert_eq!(batch.due(None, |_| false), Some(now + AT_LAST));
        let other = TopicId::from_bytes([2; 32]);
        assert_eq!(
            batch.due(None, |topic| *topic == other),
            Some(now + AT_LAST),
            "a reader of another topic"
        );
        assert_eq!(batch.due(None, |topic| *topic != other), Some(now + FOR_READERS));
        batch.keep(keep(1, 9), true, now);
        assert_eq!(batch.due(None, |_| false), Some(now), "somebody waits");
        assert_eq!(batch.due(Some(now - SOON * 5), |_| false).map(|at| at <= now), Some(true));
        assert_eq!(batch.due(Some(now), |_| false), Some(now + SOON), "one commit in that time");
        let mut full = Batch::default();
        for _ in 0..64 {
            assert!(!full.is_full());
            full.keep(keep(1, 65_536), false, now);
        }
        assert_eq!(full.due(Some(now), |_| false), Some(now), "it is full");
        let mut many = Batch::default();
        for _ in 0..FULL_COUNT {
            assert!(!many.is_full());
            many.keep(keep(1, 9), false, now);
        }
        assert_eq!(many.due(Some(now), |_| false), Some(now), "there are many");
    }

    #[test]
    fn what_a_failing_store_is_given_again_is_bounded() {
        let now = Instant::now();
        let mut batch = Batch::default();
        let key = SecretKey::from_seed(&[1; 32]).public();
        let at = |slot| (key, Position { tick: 1, slot });
        for topic in 0..3u8 {
            for slot in 0..10_000 {
                batch.release(TopicId::from_bytes([topic; 32]), vec![at(slot)], now);
            }
        }
        batch.keep_back(now);
        let count = |batch: &Batch| batch.releases.iter().map(|(_, at)| at.len()).sum::<usize>();
        assert_eq!(count(&batch), MOST_KEPT_BACK);
        assert_eq!(batch.releases.last().unwrap().1.len(), 10_000, "the newest stay");
        assert!(!batch.is_empty());
        batch.releases.clear();
        batch.keep_back(now);
        assert!(batch.is_empty(), "nothing is left to do");
    }
}
