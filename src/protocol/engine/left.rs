//! Topics that were left: what the store still has of them goes when its retention is over, whichever life has joined them.
//!
//! No peer brings it back, so it goes by a clock that a link has confirmed which this node chose, or several. It goes step by step, and each
//! step asks again.

use crate::protocol::Action;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Forget, Forgotten, Found, Query, StoreJob, StoreTrouble};
use crate::protocol::repair::Purpose;
use crate::rumor::TopicId;

/// So many links are believed what time it is, whoever dialled.
const ENOUGH: usize = 3;

impl Engine {
    /// Once a second: now and then the store is asked what is over.
    pub(super) fn look_for_what_is_over(&mut self) {
        let now = self.cx.now;
        if !self.repair.left_mut().is_due(now.mono) || !self.may_expire_what_was_left() {
            return;
        }
        let joined = self.repair.topics().map(|(topic, _)| *topic).collect();
        // With so many questions under way, the next time.
        let Some(look) = self.repair.looks_mut().ask(Purpose::Over) else { return };
        self.repair.left_mut().asks(now.mono);
        let query = Query::Over { joined, now_ms: now.unix_ms };
        self.cx.actions.push_back(Action::Store(StoreJob::Look { look, query }));
    }

    pub(super) fn left_topics_expire(&mut self, found: Result<Found, StoreTrouble>) {
        match found {
            Ok(Found::Over(over)) => {
                self.repair.left_mut().found(over);
            }
            Ok(_) => {}
            Err(why) => self.store_fails(&why),
        }
    }

    /// A step of removing is done of a topic that is not joined.
    pub(super) fn left_topic_forgot(
        &mut self,
        topic: TopicId,
        what: Forget,
        left: Result<Forgotten, StoreTrouble>,
    ) {
        let is_ours = |(next, below)| next == topic && matches!(what, Forget::Below(at) if at == below);
        // (It may have been left while something was removed for another reason.)
        let ours = self.repair.left().next().is_some_and(is_ours);
        match left {
            Ok(left) if ours => {
                self.store_works();
                self.repair.left_mut().removed(left, self.cx.now.mono);
                if left.more {
                    self.remove_what_was_left(false);
                }
            }
            Err(why) if ours => {
                self.repair.left_mut().fails(self.cx.now.mono);
                self.store_fails(&why);
            }
            // It was left before this was done.
            Ok(_) | Err(_) => {}
        }
    }

    /// What is to be removed next, if the clock is still right: of the first that was not joined meanwhile.
    pub(super) fn over_of_left(&mut self) -> Option<(TopicId, Forget)> {
        if !self.may_expire_what_was_left() {
            self.repair.left_mut().stops();
        }
        while let Some((topic, below)) = self.repair.left().next() {
            if self.repair.topic(&topic).is_none() {
                return (!self.repair.left().is_under_way()).then_some((topic, Forget::Below(below)));
            }
            self.repair.left_mut().ends(self.cx.now.mono);
        }
        None
    }

    /// Gives the store a step of it, if it is one that all topics share, or paid for.
    pub(super) fn remove_what_was_left(&mut self, is_shared: bool) {
        let next = self.over_of_left();
        if let Some((topic, what)) = next.filter(|_| self.repair.left_mut().begins(is_shared)) {
            self.cx.actions.push_back(Action::Store(StoreJob::Forget { topic, what }));
        }
    }

    fn may_expire_what_was_left(&self) -> bool {
        let live = || self.links.iter().filter(|link| link.is_in_use());
        self.condition.clock().is_confirmed()
            && (live().any(|link| link.is_dialled()) || live().count() >= ENOUGH)
    }
}
