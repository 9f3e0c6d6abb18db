//! Questions to the store that are under way: who asked, so that the answer finds its way.

use std::collections::BTreeMap;

use super::missing::Missing;
use super::serve::Reading;
use crate::key::PublicKey;
use crate::protocol::keeping::LookId;
use crate::protocol::limits::MAX_LOOKS;
use crate::protocol::linkset::Slot;
use crate::rumor::{Position, TopicId};

/// Why the store is asked something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum LookFor {
    /// What a link has listed.
    Session { topic: TopicId, slot: Slot, number: u32 },
    /// Holes.
    Holes { topic: TopicId },
    /// From where on these are to be asked for.
    Starts { topic: TopicId, gaps: Vec<Missing> },
    /// These, which another version of the judge has rejected; `look` is this look among all.
    Rejected { topic: TopicId, look: u32, at: Vec<(PublicKey, Position)> },
}

/// Who waits for an answer of the store.
#[derive(Debug)]
pub(in crate::protocol) enum Purpose {
    /// A peer that has fetched bundles.
    Page(Reading),
    /// We do, to know what we lack.
    Asker(LookFor),
    /// The members, to know who was here before.
    Members,
    /// We do, to know what is over in topics that were left.
    Over,
    /// This topic of a list of authors, to know who may speak.
    List(TopicId),
}

/// What was asked of the store and not answered.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Looks {
    last: u64,
    open: BTreeMap<LookId, Purpose>,
}

impl Looks {
    /// A question is asked. `None` if so many are under way that it should wait.
    pub(in crate::protocol) fn ask(&mut self, purpose: Purpose) -> Option<LookId> {
        if self.open.len() >= MAX_LOOKS {
            return None;
        }
        self.last = self.last.saturating_add(1);
        let look = LookId(self.last);
        self.open.insert(look, purpose);
        Some(look)
    }

    /// It is answered. `None` for one that was never asked, or asked of a store that has started anew since.
    pub(in crate::protocol) fn answered(&mut self, look: LookId) -> Option<Purpose> {
        self.open.remove(&look)
    }

    /// The store has started anew, and answers none of them.
    pub(in crate::protocol) fn lost(&mut self) -> Vec<Purpose> {
        std::mem::take(&mut self.open).into_values().collect()
    }

    /// The first question for a peer's page.
    #[cfg(test)]
    pub(in crate::protocol) fn page(&self) -> Option<LookId> {
        self.open.iter().find(|(_, purpose)| matches!(purpose, Purpose::Page(_))).map(|(look, _)| *look)
    }

    /// How many are under way.
    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn len(&self) -> usize {
        self.open.len()
    }
}
