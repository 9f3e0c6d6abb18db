//! The evidence book: which authors are convicted, and the proof of each.

use std::collections::VecDeque;

use crate::key::PublicKey;
use crate::protocol::limits::{MAX_CONVICTED, MAX_EVIDENCE};
use crate::protocol::linkset::{LinkSet, Slot};
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::Evidence;

#[derive(Debug)]
pub(super) struct EvidencePool {
    convicted: KeyedMap<PublicKey, Conviction>,
    /// In the order of conviction: authors that we had heard only lately or never, and those we had known. Strangers are
    /// shed first. A liar makes new keys for nothing, and must not win one of them back its voice by convicting others.
    strangers: VecDeque<PublicKey>,
    known: VecDeque<PublicKey>,
    /// Of those, the first so many have lost their proof.
    shed_strangers: usize,
    shed_known: usize,
    /// When an author was last convicted.
    newest_at: Option<Mono>,
}

#[derive(Debug)]
pub(super) struct Conviction {
    evidence: Option<Evidence>,
    /// Links that have been told, or have told us.
    told: LinkSet,
}

impl Conviction {
    /// The proof, unless it was shed.
    pub(super) const fn evidence(&self) -> Option<Evidence> {
        self.evidence
    }

    /// Whether a link has been told, or has told us.
    pub(super) fn is_known_to(&self, slot: Slot) -> bool {
        self.told.contains(slot)
    }

    /// A link is told, or tells us.
    pub(super) fn gets_known_to(&mut self, slot: Slot) {
        self.told.insert(slot);
    }

    /// A link has forgotten it, or had no use for it.
    pub(super) fn is_unknown_to(&mut self, slot: Slot) {
        self.told.remove(slot);
    }
}

impl EvidencePool {
    pub(super) fn new(keyed: Keyed) -> Self {
        let (strangers, known) = (VecDeque::new(), VecDeque::new());
        Self { convicted: keyed.map(), strangers, known, shed_strangers: 0, shed_known: 0, newest_at: None }
    }

    pub(super) fn is_convicted(&self, author: &PublicKey) -> bool {
        !self.convicted.is_empty() && self.convicted.contains_key(author)
    }

    pub(super) fn get_mut(&mut self, author: &PublicKey) -> Option<&mut Conviction> {
        self.convicted.get_mut(author)
    }

    /// Enters verified evidence; gives how many older entries were shed, or `None` if the author is already convicted.
    /// `known` if we have known the author for a while.
    pub(super) fn enter(&mut self, evidence: Evidence, known: bool, now: Mono) -> Option<u64> {
        let author = evidence.author();
        if self.is_convicted(&author) {
            return None;
        }
        let mut shed = 0;
        if self.convicted.len() >= MAX_CONVICTED {
            let (order, proofs_shed) = match self.strangers.is_empty() {
                false => (&mut self.strangers, &mut self.shed_strangers),
                true => (&mut self.known, &mut self.shed_known),
            };
            if let Some(oldest) = order.pop_front() {
                *proofs_shed = proofs_shed.saturating_sub(1);
                self.convicted.remove(&oldest);
                shed += 1;
            }
        }
        let mut proofs = self.convicted.len();
        proofs.loses(self.shed_strangers);
        proofs.loses(self.shed_known);
        if proofs >= MAX_EVIDENCE {
            let (order, proofs_shed) = match self.shed_strangers < self.strangers.len() {
                true => (&self.strangers, &mut self.shed_strangers),
                false => (&self.known, &mut self.shed_known),
            };
            if let Some(conviction) =
                order.get(*proofs_shed).and_then(|oldest| self.convicted.get_mut(oldest))
            {
                conviction.evidence = None;
                proofs_shed.gains(1);
                shed += 1;
            }
        }
        if known { &mut self.known } else { &mut self.strangers }.push_back(author);
        self.newest_at = Some(now);
        self.convicted.insert(author, Conviction { evidence: Some(evidence), told: LinkSet::default() });
        Some(shed)
    }

    /// When an author was last convicted, if one ever was.
    pub(super) const fn newest_at(&self) -> Option<Mono> {
        self.newest_at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.convicted.is_empty()
    }

    /// What a link was told of these authors does not count any more. Gives how many there were.
    pub(super) fn untell(&mut self, slot: Slot, whose: impl Fn(&PublicKey) -> bool) -> usize {
        let told = self.convicted.iter_mut().filter(|(_, conviction)| conviction.told.contains(slot));
        let again = told.filter(|(author, _)| whose(author));
        again.map(|(_, conviction)| conviction.told.remove(slot)).count()
    }

    pub(super) fn len(&self) -> usize {
        self.convicted.len()
    }

    /// Places in the table of links will have new owners.
    pub(super) fn forget_links(&mut self, gone: &LinkSet) {
        self.convicted.values_mut().for_each(|conviction| conviction.told.remove_all(gone));
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&PublicKey, &Conviction)> {
        let order = self.known.iter().chain(&self.strangers);
        order.filter_map(|author| self.convicted.get_key_value(author))
    }

    /// Authors whose proof this link has not been told of, newest first: at most `known` of those that we had known, then as
    /// many `strangers`; and whether there are more of the latter.
    pub(super) fn untold(&self, slot: Slot, known: usize, strangers: usize) -> (Vec<PublicKey>, bool) {
        let untold = |author: &&PublicKey| {
            let conviction = self.convicted.get(*author);
            conviction
                .is_some_and(|conviction| conviction.evidence.is_some() && !conviction.told.contains(slot))
        };
        let mut others = self.strangers.iter().skip(self.shed_strangers).rev().filter(untold);
        let mut authors: Vec<_> =
            self.known.iter().skip(self.shed_known).rev().filter(untold).take(known).copied().collect();
        authors.extend(others.by_ref().take(strangers));
        (authors, others.next().is_some())
    }

    /// The most recently convicted authors, at most `count` of those we had known and as many of the others.
    pub(super) fn newest(&self, count: usize) -> Vec<PublicKey> {
        let newest =
            |order: &VecDeque<PublicKey>| order.iter().rev().take(count).copied().collect::<Vec<_>>();
        [newest(&self.known), newest(&self.strangers)].concat()
    }
}

#[cfg(any(test, feature = "sim"))]
impl EvidencePool {
    pub(super) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("convictions", self.convicted.len(), self.known.len() + self.strangers.len());
        let shed = self.convicted.values().filter(|conviction| conviction.evidence.is_none()).count();
        recount.same("convictions without their proof", self.shed_known + self.shed_strangers, shed);
    }
}
