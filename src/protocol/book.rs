//! The evidence book: which authors are convicted, and the proof of each.

use std::collections::VecDeque;

use super::linkset::LinkSet;
use super::random::{Keyed, KeyedMap};
use crate::key::PublicKey;
use crate::rumor::Evidence;

/// Most authors remembered as convicted.
const MAX_CONVICTED: usize = 16_384;
/// Most proofs kept (352 bytes each). Shed before the bans are: a ban protects us, a proof the others.
const MAX_EVIDENCE: usize = 4_096;

#[derive(Debug)]
pub(super) struct EvidenceBook {
    convicted: KeyedMap<PublicKey, Conviction>,
    /// In the order of conviction; the first `kept_from` have lost their proof.
    order: VecDeque<PublicKey>,
}

#[derive(Debug)]
pub(super) struct Conviction {
    pub(super) evidence: Option<Evidence>,
    /// Links that have been told, or have told us.
    pub(super) told: LinkSet,
}

impl EvidenceBook {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { convicted: keyed.map(), order: VecDeque::new() }
    }

    pub(super) fn is_convicted(&self, author: &PublicKey) -> bool {
        !self.convicted.is_empty() && self.convicted.contains_key(author)
    }

    pub(super) fn get_mut(&mut self, author: &PublicKey) -> Option<&mut Conviction> {
        self.convicted.get_mut(author)
    }

    /// Enters verified evidence; gives how many older entries were shed, or `None` if the author is already convicted.
    pub(super) fn enter(&mut self, evidence: Evidence) -> Option<u64> {
        let author = evidence.author();
        if self.is_convicted(&author) {
            return None;
        }
        let mut shed = 0;
        if self.order.len() >= MAX_CONVICTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.convicted.remove(&oldest);
            shed += 1;
        }
        if self.order.len() >= MAX_EVIDENCE
            && let Some(old) = self.order.get(self.order.len() - MAX_EVIDENCE).copied()
            && let Some(conviction) = self.convicted.get_mut(&old)
            && conviction.evidence.take().is_some()
        {
            shed += 1;
        }
        self.order.push_back(author);
        self.convicted.insert(author, Conviction { evidence: Some(evidence), told: LinkSet::default() });
        Some(shed)
    }

    /// A place in the table of links has a new owner.
    pub(super) fn forget_link(&mut self, slot: super::linkset::Slot) {
        self.convicted.values_mut().for_each(|conviction| conviction.told.remove(slot));
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&PublicKey, &Conviction)> {
        self.order.iter().filter_map(|author| self.convicted.get_key_value(author))
    }

    /// The most recently convicted authors, at most `count`.
    pub(super) fn newest(&self, count: usize) -> Vec<PublicKey> {
        self.order.iter().rev().take(count).copied().collect()
    }
}
