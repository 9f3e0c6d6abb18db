//! Which key signs what: the author's what the application says, the node's what the node says of itself.

use super::Publisher;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::Mono;
use crate::protocol::topics::window::MAX_SKEW;
use crate::rumor::TopicId;

/// The node key, which signs in one topic.
#[derive(Debug)]
pub(super) struct NodeKey {
    topic: TopicId,
    pub(super) key: SecretKey,
    /// As [`Publisher::mute`].
    mute: Option<Mono>,
}

impl Publisher {
    /// In one topic the node key signs. The position log gates both keys alike.
    pub(in crate::protocol) fn signs_as_node(&mut self, topic: TopicId, key: SecretKey, now: Mono) {
        let is_author = key.public() == self.author();
        let is_silent = !is_author && !self.records.are_made() && !key.take_fresh();
        let mute = if is_author { self.mute } else { is_silent.then(|| now.plus(MAX_SKEW)) };
        self.node = Some(NodeKey { topic, key, mute });
    }

    pub(super) fn node_in(&self, topic: &TopicId) -> Option<&NodeKey> {
        self.node.as_ref().filter(|node| node.topic == *topic)
    }

    /// The key that signs what is published in a topic.
    pub(in crate::protocol) fn signer_in(&self, topic: &TopicId) -> PublicKey {
        self.node_in(topic).map_or_else(|| self.author(), |node| node.key.public())
    }

    /// Whether this is one of its keys.
    pub(in crate::protocol) fn has_key(&self, key: &PublicKey) -> bool {
        self.author() == *key || self.node.as_ref().is_some_and(|node| node.key.public() == *key)
    }

    pub(super) fn mute_in(&self, topic: &TopicId) -> Option<Mono> {
        self.node_in(topic).map_or(self.mute, |node| node.mute)
    }
}
