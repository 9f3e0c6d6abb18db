//! What the driver may ask about repair.

use std::collections::BTreeSet;

use crate::protocol::engine::Engine;
use crate::rumor::TopicId;

/// How far repair of a topic is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RepairProgress {
    /// Links that keep the topic.
    pub links: usize,
    /// Of those, the ones that list nothing that we lack and may keep.
    pub caught_up: usize,
    /// Bundles that held ones name and that are missing, as far as they are asked for. The store may know of more.
    pub holes: usize,
    /// Bundles that links list and that are missing.
    pub claims: usize,
    /// Fetches under way.
    pub fetching: usize,
    /// Bundles that repair has brought since the topic was joined.
    pub repaired: u64,
    /// Each link was asked once since the topic was joined.
    pub asked_all: bool,
}

impl Engine {
    /// How many links said that they have nothing which we lack and may keep, since the topic was joined; none while something is
    /// missing that a link has listed and was not asked for. A link that lies may be among them: ask for more links than may lie.
    #[must_use]
    pub fn caught_up(&self, topic: &TopicId) -> usize {
        let asked = self.asker.topic(topic).filter(|asked| !asked.gaps().has_unasked_claims());
        asked.map_or(0, |asked| asked.turns().clean())
    }

    /// How far repair of a topic is; `None` if the topic is not kept, or is not open yet.
    #[must_use]
    pub fn repairing(&self, topic: &TopicId) -> Option<RepairProgress> {
        let asked = self.asker.topic(topic)?;
        Some(RepairProgress {
            links: asked.turns().len(),
            caught_up: self.caught_up(topic),
            holes: asked.gaps().holes(),
            claims: asked.gaps().len() - asked.gaps().holes(),
            fetching: self.asker.fetches().under_way_in(topic),
            repaired: asked.repaired(),
            asked_all: asked.turns().has_asked_all(),
        })
    }

    /// Topics whose [`Engine::repairing`] may say something else than when this was asked before.
    pub fn take_repairing(&mut self) -> BTreeSet<TopicId> {
        self.asker.take_moved()
    }
}
