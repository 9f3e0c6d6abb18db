//! Rumors that are said in one bundle or not at all.

use bytes::Bytes;

use crate::protocol::engine::Engine;
use crate::protocol::publisher::Request;
use crate::protocol::{Action, PublishError, PublishId};
use crate::rumor::{MAX_INLINE, MAX_RUMORS, TopicId};

impl Engine {
    pub(super) fn on_publish_together(
        &mut self,
        topic: TopicId,
        rumors: Vec<(PublishId, Bytes)>,
        kept: bool,
    ) {
        let refused = rumors.iter().find_map(|(_, body)| self.refuses_to_publish(&topic, body));
        let count = rumors.len();
        match refused.or_else(|| self.is_no_bundle(&topic, &rumors)) {
            Some(error) => {
                for (publish_id, _) in rumors {
                    self.cx.actions.push_back(Action::Published { publish_id, result: Err(error.clone()) });
                }
            }
            None => {
                for (at, (publish_id, body)) in (1..).zip(rumors) {
                    // At most MAX_RUMORS.
                    let follow = count.saturating_sub(at) as u8;
                    self.publisher.submit(topic, Request { publish_id, body, kept, follow }, false);
                }
            }
        }
    }

    /// Why so many rumors can't be one bundle, if they can't.
    fn is_no_bundle(&self, topic: &TopicId, rumors: &[(PublishId, Bytes)]) -> Option<PublishError> {
        let slots = self.topics.get(topic).map_or(0, |window| window.rules().slots_per_tick());
        let most = MAX_RUMORS.min(slots.into());
        let bytes: usize = rumors.iter().map(|(_, body)| body.len()).fold(0, usize::saturating_add);
        let fits = rumors.len() <= most && (rumors.len() == 1 || bytes <= MAX_INLINE);
        (!fits).then_some(PublishError::NoBundle { rumors: rumors.len(), bytes, most })
    }
}
