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
    /// The store is reading so many.
    is_looking: bool,
    asked: BTreeMap<BundleId, Arc<Bundle>>,
}

impl Rejudge {
    /// The store has said where they are. What was asked before counts no more.
    pub(in crate::protocol) fn starts(&mut self, at: &[(PublicKey, Position)]) {
        *self = Self { waiting: at.iter().take(MAX_REJUDGED).copied().collect(), ..Self::default() };
    }

    /// The next ones that are read, once none is read or asked about.
    pub(in crate::protocol) fn next(&mut self) -> Vec<(PublicKey, Position)> {
        if self.is_looking || !self.asked.is_empty() {
            return Vec::new();
        }
        let next: Vec<_> = self.waiting.drain(..self.waiting.len().min(REJUDGED_AT_ONCE)).collect();
        self.is_looking = !next.is_empty();
        next
    }

    /// They were read.
    pub(in crate::protocol) fn are_read(&mut self, bundles: &[Arc<Bundle>]) {
        if std::mem::take(&mut self.is_looking) {
            self.asked.extend(bundles.iter().map(|bundle| (bundle.id(), Arc::clone(bundle))));
        }
    }

    /// They could not be read: later.
    pub(in crate::protocol) fn are_not_read(&mut self, at: &[(PublicKey, Position)]) {
        if std::mem::take(&mut self.is_looking) {
            self.waiting.extend(at);
        }
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
        let first = rejudge.next();
        assert_eq!((first.len(), rejudge.next().len()), (REJUDGED_AT_ONCE, 0), "one look at a time");
        rejudge.are_not_read(&first);
        rejudge.next();
        rejudge.are_read(&[bundle(1), bundle(2)]);
        assert!(rejudge.next().is_empty(), "two are with the judge");
        assert!(rejudge.is_judged(&bundle(1).id()).is_some() && rejudge.is_judged(&bundle(1).id()).is_none());
        assert!(rejudge.is_put_off(&bundle(2).id()) && !rejudge.is_put_off(&bundle(2).id()));
        assert_eq!(rejudge.waiting.back(), Some(&(key, Position { tick: 2, slot: 0 })));
        assert_eq!(rejudge.next().len(), REJUDGED_AT_ONCE);
        rejudge.silence(&key);
        assert_eq!(rejudge.waiting.len(), 0);
    }
}
