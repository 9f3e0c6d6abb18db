//! Requests that are answered when the store has kept their bundle. As many as the driver has given a place.

use std::collections::VecDeque;

use super::Publisher;
use crate::protocol::PublishId;
use crate::rumor::{BundleId, Position, TopicId};

impl Publisher {
    /// A bundle that starts there is sealed. The requests of its rumors are answered when it is kept; `None` where nobody waits.
    pub(in crate::protocol) fn awaits(
        &mut self,
        id: BundleId,
        first: Position,
        requests: Vec<Option<PublishId>>,
    ) {
        self.unkept.insert(id, (first, requests));
    }

    /// Whether somebody waits until this bundle is kept.
    pub(in crate::protocol) fn is_awaited(&self, id: &BundleId) -> bool {
        self.unkept.contains_key(id)
    }

    /// The requests of a bundle, which wait no longer: in the order of its rumors.
    pub(in crate::protocol) fn take_unkept(&mut self, id: &BundleId) -> Vec<Option<PublishId>> {
        self.unkept.remove(id).map(|(_, requests)| requests).unwrap_or_default()
    }

    /// All of them, each bundle with where it starts.
    pub(in crate::protocol) fn take_all_unkept(&mut self) -> Vec<(Position, Vec<PublishId>)> {
        self.unkept
            .drain()
            .map(|(_, (first, requests))| (first, requests.into_iter().flatten().collect()))
            .collect()
    }

    /// Whether publish requests of a topic wait.
    pub(in crate::protocol) fn has_waiting(&self, topic: &TopicId) -> bool {
        self.waiting.contains_key(topic)
    }

    /// The publish requests of a topic that are answered when they are kept, which wait no longer.
    pub(in crate::protocol) fn give_up_kept(&mut self, topic: &TopicId) -> Vec<PublishId> {
        let Some(waiting) = self.waiting.get_mut(topic) else { return Vec::new() };
        let (kept, rest): (VecDeque<_>, VecDeque<_>) = waiting.drain(..).partition(|request| request.kept);
        if rest.is_empty() {
            self.waiting.remove(topic);
        } else {
            *waiting = rest;
        }
        kept.into_iter().map(|request| request.publish_id).collect()
    }
}
