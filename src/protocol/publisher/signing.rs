//! Which key signs what: the author's what the application says, the node's what the node says of itself.

use super::Publisher;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::topics::window::MAX_SKEW;
use crate::protocol::{Mono, PublishError};
use crate::rumor::TopicId;

/// The node key, which signs in one topic.
#[derive(Debug)]
pub(super) struct NodeKey {
    topic: TopicId,
    pub(super) key: SecretKey,
    /// As [`Publisher::mute`].
    mute: Option<Mono>,
    halted: Option<PublishError>,
}

impl Publisher {
    /// In one topic the node key signs. The position log gates both keys alike.
    pub(in crate::protocol) fn signs_as_node(&mut self, topic: TopicId, key: SecretKey, now: Mono) {
        let is_author = key.public() == self.author();
        let is_silent = !is_author && !self.records.are_made() && !key.take_fresh();
        let mute = if is_author { self.mute } else { is_silent.then(|| now.plus(MAX_SKEW)) };
        self.node = Some(NodeKey { topic, key, mute, halted: None });
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

    /// Why nothing is said any more in a topic in this life, if so: what the key that signs there has met with.
    pub(in crate::protocol) fn halted_in(&self, topic: &TopicId) -> Option<&PublishError> {
        match self.node_in(topic) {
            Some(node) => node.halted.as_ref(),
            None => self.halted.as_ref(),
        }
    }

    /// Says nothing more under a key in this life, unless it was halted before; true if it was not. Whoever waits learns it at the next
    /// try.
    pub(in crate::protocol) fn halt(&mut self, key: &PublicKey, why: &PublishError) -> bool {
        let author = self.author() == *key;
        let node = self.node.as_mut().filter(|node| node.key.public() == *key).map(|node| &mut node.halted);
        let halted = node.into_iter().chain(author.then_some(&mut self.halted));
        let first = halted
            .map(|halted| {
                let first = halted.is_none();
                halted.get_or_insert_with(|| why.clone());
                first
            })
            .fold(false, |any, first| any | first);
        self.wake_all();
        first
    }
}
