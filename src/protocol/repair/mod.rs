//! What a node remembers of its kept topics, and how it finds and hands over what one of two nodes lacks.
//!
//! A topic is kept if its retention is longer than the relay window. Its bundles are in the store; here is what decides: which topics are
//! open there, and what they compare with peers. (docs/architecture.md, history)

mod topic;

use std::collections::BTreeMap;

use crate::rumor::TopicId;

pub(in crate::protocol) use topic::KeptTopic;

/// All of it.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Repair {
    topics: BTreeMap<TopicId, KeptTopic>,
}

impl Repair {
    /// A topic that is joined and kept.
    pub(in crate::protocol) fn topic(&self, topic: &TopicId) -> Option<&KeptTopic> {
        self.topics.get(topic)
    }

    /// The same, to change.
    pub(in crate::protocol) fn topic_mut(&mut self, topic: &TopicId) -> Option<&mut KeptTopic> {
        self.topics.get_mut(topic)
    }

    /// A topic is joined, and kept from now on.
    pub(in crate::protocol) fn enter(&mut self, topic: TopicId, kept: KeptTopic) {
        self.topics.insert(topic, kept);
    }

    /// A topic is left. What the store has of it stays there.
    pub(in crate::protocol) fn leave(&mut self, topic: &TopicId) {
        self.topics.remove(topic);
    }

    /// All topics that are joined and kept.
    pub(in crate::protocol) fn topics(&self) -> impl Iterator<Item = (&TopicId, &KeptTopic)> {
        self.topics.iter()
    }
}
