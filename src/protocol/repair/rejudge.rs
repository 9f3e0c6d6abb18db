//! What another version of the local judge has rejected, and this one is asked about: a few at a time, read from the store.
//!
//! ```text
//!   the store opens ──> waiting ── read ──> asked ── accepted: shown; rejected: noted as of this version
//!                          ^                  │
//!                          └── no answer ─────┘ in a while
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::key::PublicKey;
use crate::protocol::limits::{MAX_REJUDGED, REJUDGED_AT_ONCE};
use crate::rumor::{Bundle, BundleId, Position};

/// Those of one topic.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Rejudge {
    waiting: VecDeque<(PublicKey, Position)>,
    /// The look in which the store is reading some.
    look: Option<u32>,
    asked: BTreeMap<BundleId, Arc<Bundle>>,
}

impl Rejudge {
    /// The store has said where they are. What was asked before counts no more.
    pub(in crate::protocol) fn starts(&mut self, at: &[(PublicKey, Position)]) {
        *self = Self { waiting: at.iter().take(MAX_REJUDGED).copied().collect(), ..Self::default() };
    }

    /// The next ones that are read, once none is read or asked about. No other look has this number.
    pub(in crate::protocol) fn next(&mut self, look: u32) -> Vec<(PublicKey, Position)> {
        if self.look.is_some() || !self.asked.is_empty() {
            return Vec::new();
        }
        let next: Vec<_> = self.waiting.drain(..self.waiting.len().min(REJUDGED_AT_ONCE)).collect();
        self.look = (!next.is_empty()).then_some(look);
        next
    }

    /// They were read. False if that was looked for before the store has said anew where they are.
    pub(in crate::protocol) fn are_read(&mut self, look: u32, bundles: &[Arc<Bundle>]) -> bool {
        let counts = self.ends(look);
        if counts {
            self.asked.extend(bundles.iter().map(|bundle| (bundle.id(), Arc::clone(bundle))));
        }
        counts
    }

    /// They could not be read: later.
    pub(in crate::protocol) fn are_not_read(&mut self, look: u32, at: &[(PublicKey, Position)]) {
        if self.ends(look) {
            self.waiting.extend(at);
        }
    }

    fn ends(&mut self, look: u32) -> bool {
        self.look.take_if(|under_way| *under_way == look).is_some()
    }

    /// The one that the judge is asked about.
    pub(in crate::protocol) fn get(&self, id: &BundleId) -> Option<&Arc<Bundle>> {
        self.asked.get(id)
    }

    /// The judge has decided about it.
    pub(in crate::protocol) fn is_judged(&mut self, id: &BundleId) -> Option<Arc<Bundle>> {
        self.asked.remove(id)
    }

    /// The judge has not decided: later. False if it was not asked about it.
    pub(in crate::protocol) fn is_put_off(&mut self, id: &BundleId) -> bool {
        let Some(bundle) = self.asked.remove(id) else { return false };
        self.waiting.push_back((bundle.header().author, bundle.header().position()));
        true
    }

    /// Nothing of an author is shown any more.
    pub(in crate::protocol) fn silence(&mut self, author: &PublicKey) {
        self.waiting.retain(|(of, _)| of != author);
        self.asked.retain(|_, bundle| bundle.header().author != *author);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::{TopicId, seal};

    fn bundle(tick: u64) -> Arc<Bundle> {
        let (key, position) = (SecretKey::from_seed(&[1; 32]), Position { tick, slot: 0 });
        Arc::new(seal(&key, TopicId::from_bytes([4; 32]), position, &["word".into()]).unwrap())
    }

    #[test]
    fn what_is_judged_again_is_bounded_and_a_few_at_a_time() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let at: Vec<_> = (0..MAX_REJUDGED as u64 + 9).map(|tick| (key, Position { tick, slot: 0 })).collect();
        let mut rejudge = Rejudge::default();
        rejudge.starts(&at);
        assert_eq!(rejudge.waiting.len(), MAX_REJUDGED);
        let first = rejudge.next(1);
        assert_eq!((first.len(), rejudge.next(2).len()), (REJUDGED_AT_ONCE, 0), "one look at a time");
        rejudge.are_not_read(1, &first);
        rejudge.next(2);
        assert!(rejudge.are_read(2, &[bundle(1), bundle(2)]));
        assert!(rejudge.next(3).is_empty(), "two are with the judge");
        assert!(rejudge.is_judged(&bundle(1).id()).is_some() && rejudge.is_judged(&bundle(1).id()).is_none());
        assert!(rejudge.is_put_off(&bundle(2).id()) && !rejudge.is_put_off(&bundle(2).id()));
        assert_eq!(rejudge.waiting.back(), Some(&(key, Position { tick: 2, slot: 0 })));
        assert_eq!(rejudge.next(4).len(), REJUDGED_AT_ONCE);
        rejudge.silence(&key);
        assert_eq!(rejudge.waiting.len(), 0);
    }

    #[test]
    fn what_was_looked_for_before_the_store_has_spoken_anew_counts_no_more() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let at = |ticks: std::ops::Range<u64>| -> Vec<_> {
            ticks.map(|tick| (key, Position { tick, slot: 0 })).collect()
        };
        let mut rejudge = Rejudge::default();
        rejudge.starts(&at(0..2));
        let old = rejudge.next(1);
        rejudge.starts(&at(5..7));
        assert_eq!(rejudge.next(2), at(5..7));
        assert!(!rejudge.are_read(1, &[bundle(0), bundle(1)]));
        rejudge.are_not_read(1, &old);
        assert!(rejudge.get(&bundle(0).id()).is_none() && rejudge.waiting.is_empty());
        assert!(rejudge.are_read(2, &[bundle(5), bundle(6)]), "the new look is still awaited");
        assert!(rejudge.get(&bundle(5).id()).is_some());
    }
}
