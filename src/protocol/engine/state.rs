//! Topics of state in the store: what newer cells have replaced goes after a while, and a convicted author has no register.

use crate::key::PublicKey;
use crate::protocol::Action;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Forget, Opened, StoreJob};
use crate::protocol::limits::DEAD_FOR;
use crate::rumor::TopicId;

impl Engine {
    /// What was replaced longer ago than any node compares, where it is time.
    pub(super) fn dead(&self) -> impl Iterator<Item = (TopicId, Forget)> {
        let now = self.cx.now;
        self.repair.topics().filter_map(move |(topic, kept)| {
            let killer_before = kept.forgets_dead(now, DEAD_FOR)?;
            Some((*topic, Forget::Dead { killer_before }))
        })
    }

    /// Whoever was convicted while the topic was not open, or not joined, has no register in it.
    pub(super) fn forget_convicted(&mut self, topic: TopicId, opened: &Opened) {
        if !self.repair.topic(&topic).is_some_and(|kept| kept.rules().kind().is_state()) {
            return;
        }
        let mut authors: Vec<PublicKey> = opened.heads.iter().map(|head| head.author).collect();
        authors.sort_unstable();
        authors.dedup();
        for author in authors {
            if self.evidence.is_convicted(&author) {
                self.forget_author(topic, author);
            }
        }
    }

    /// All that a topic of state holds of an author goes.
    pub(super) fn forget_author(&mut self, topic: TopicId, author: PublicKey) {
        let what = Forget::Author(author);
        self.cx.actions.push_back(Action::Store(StoreJob::Forget { topic, what }));
    }

    /// Whether an own rumor is kept here and found by others later, so that it need not wait for a link.
    pub(super) fn needs_no_link(&self, topic: &TopicId) -> bool {
        let kept = self.repair.topic(topic).filter(|kept| kept.rules().kind().is_state());
        // While it is being opened, the request waits for that.
        kept.is_some_and(|kept| kept.is_open() || kept.is_opening())
    }
}
