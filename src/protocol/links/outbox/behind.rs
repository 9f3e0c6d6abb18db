//! What a link has not been told for want of room.

use std::collections::BTreeMap;

use super::Outbox;
use crate::protocol::limits::MAX_LISTED_IDS;
use crate::protocol::time::Mono;
use crate::rumor::TopicId;

/// By topic, up to when something was accepted that the link may not have been told: it is looked for from there back in time. At most
/// as many as we have topics: one that is left goes.
#[derive(Debug, Default)]
pub(super) struct Behind {
    topics: BTreeMap<TopicId, Mono>,
}

/// Later than all that was ever accepted.
const NEWEST: Mono = Mono::from_nanos(u64::MAX);

impl Outbox {
    /// Something of a topic found no room, whatever it was: all that is held is looked through.
    pub(in crate::protocol) fn falls_behind(&mut self, topic: TopicId) {
        self.behind.topics.insert(topic, NEWEST);
    }

    /// What is held of a topic was looked through back to then, and the rest was not.
    pub(in crate::protocol) fn goes_on_from(&mut self, topic: TopicId, at: Mono) {
        self.behind.topics.insert(topic, at);
    }

    /// All that is held of a topic was looked through, or nothing of it is to be told.
    pub(in crate::protocol) fn is_caught_up(&mut self, topic: &TopicId) {
        self.behind.topics.remove(topic);
    }

    /// Topics of which something was left out, and from where on to look for it.
    pub(in crate::protocol) fn behind(&self) -> Vec<(TopicId, Mono)> {
        self.behind.topics.iter().map(|(topic, at)| (*topic, *at)).collect()
    }

    /// Whether something was left out and there is room to make up for it. With a peer that does not read, looking for what it lacks
    /// again and again would come to nothing.
    pub(in crate::protocol) fn may_catch_up(&self) -> bool {
        !self.behind.topics.is_empty() && self.told.len() < MAX_LISTED_IDS / 2 && self.system.has_room()
    }
}
