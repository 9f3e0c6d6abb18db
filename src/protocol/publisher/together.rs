//! Requests that are said in one bundle or not at all. They wait next to each other, and each says how many of them come after it.

use super::{Publisher, Request};
use crate::protocol::PublishId;
use crate::rumor::TopicId;

impl Publisher {
    /// How many of the first `count` requests of a topic can be sealed without parting any that belong together.
    pub(in crate::protocol) fn whole(&self, topic: &TopicId, count: u16) -> u16 {
        let first = self.waiting.get(topic).into_iter().flatten().take(count.into());
        let ends = (1u16..).zip(first).filter(|(_, request)| request.follow == 0);
        ends.last().map_or(0, |(end, _)| end)
    }

    /// Takes back a publish request that still waits, with those that belong to it: gives them.
    pub(in crate::protocol) fn withdraw(&mut self, topic: TopicId, publish_id: PublishId) -> Vec<PublishId> {
        // Or tries that are taken back while the position log is slow would pile up.
        self.tries.retain(|other| *other != (topic, publish_id));
        let Some(waiting) = self.waiting.get_mut(&topic) else { return Vec::new() };
        let Some(at) = waiting.iter().position(|request| request.publish_id == publish_id) else {
            return Vec::new();
        };
        let before = waiting.iter().take(at).rev().take_while(|request| request.follow > 0).count();
        let after = waiting.get(at).map_or(0, |request| usize::from(request.follow));
        let end = at.saturating_add(after).saturating_add(1).min(waiting.len());
        let taken: Vec<Request> = waiting.drain(at.saturating_sub(before)..end).collect();
        if waiting.is_empty() {
            self.waiting.remove(&topic);
        }
        taken.into_iter().map(|request| request.publish_id).collect()
    }
}
