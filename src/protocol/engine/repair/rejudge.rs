//! What another version of the application's judge has rejected is judged again, and shown if this one accepts it.

use std::sync::Arc;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{
    Arrival, Forget, Found, Keep, Opened, Query, Range, Show, StoreJob, StoreTrouble,
};
use crate::protocol::limits::REJUDGED_AT_ONCE;
use crate::protocol::repair::LookFor;
use crate::protocol::repair::missing::Missing;
use crate::protocol::verification::questions::Waiting;
use crate::protocol::{Action, Validation};
use crate::rumor::{Bundle, BundleId, Position, TopicId};

impl Engine {
    /// The store has said what another version has rejected.
    pub(in crate::protocol::engine) fn judges_again(&mut self, topic: TopicId, opened: &Opened) {
        if let Some(asked) = self.asker.topic_mut(&topic) {
            asked.rejudge_mut().starts(&opened.rejudge);
        }
        self.judge_more(topic);
    }

    /// Reads the next ones, unless some are being judged. Without a judge they stay what they are.
    pub(super) fn judge_more(&mut self, topic: TopicId) {
        let judged = self.topics.get(&topic).is_some_and(|window| window.is_judged());
        let look = self.asker.number();
        let Some(asked) = self.asker.topic_mut(&topic).filter(|_| judged) else { return };
        // What is accepted in a hold-back topic is held back first.
        if !asked.held().has_room_for(REJUDGED_AT_ONCE) {
            return;
        }
        let at = asked.rejudge_mut().next(look);
        if at.is_empty() {
            return;
        }
        let range = |(author, position): &(PublicKey, Position)| Range {
            author: *author,
            from: (position.tick, position.slot.into()),
            upto: *position,
        };
        // Each range has one bundle.
        let query = Query::Page { topic, ranges: at.iter().map(range).collect(), max_bytes: usize::MAX };
        if !self.looks_up(LookFor::Rejected { topic, look, at: at.clone() }, query) {
            self.on_rejected_found(topic, look, &at, &Err(StoreTrouble::NotOpen));
        }
    }

    /// The store has given them. A record that has rotted goes, so that links bring it again; then it is judged as any late one.
    pub(super) fn on_rejected_found(
        &mut self,
        topic: TopicId,
        look: u32,
        at: &[(PublicKey, Position)],
        found: &Result<Found, StoreTrouble>,
    ) {
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        let Ok(Found::Page(page)) = found else { return asked.rejudge_mut().are_not_read(look, at) };
        for (author, position) in page.rotten.iter().take(at.len()) {
            let what = Forget::Rotten(*author, *position);
            self.cx.actions.push_back(Action::Store(StoreJob::Forget { topic, what }));
        }
        if !asked.rejudge_mut().are_read(look, &page.bundles) {
            return;
        }
        for bundle in &page.bundles {
            self.judge_again(topic, bundle);
        }
        if page.bundles.is_empty() {
            self.judge_more(topic);
        }
    }

    /// Keys cost nothing, so all authors that were not heard for a while share one turn.
    fn judge_again(&mut self, topic: TopicId, bundle: &Bundle) {
        let (id, header) = (bundle.id(), *bundle.header());
        if self.evidence.is_convicted(&header.author) {
            return self.is_not_judged(topic, id);
        }
        let Some(window) = self.topics.get(&topic) else { return };
        let turn = window.authors().turn_of(&header.author, self.cx.now.mono);
        self.question_in_turn(turn, Waiting { topic, id, bytes: header.bytes });
    }

    fn is_not_judged(&mut self, topic: TopicId, id: BundleId) {
        if let Some(asked) = self.asker.topic_mut(&topic) {
            asked.rejudge_mut().is_judged(&id);
        }
    }

    /// One of them, if the judge is asked about it.
    pub(in crate::protocol::engine) fn rejected_in_question(
        &self,
        topic: &TopicId,
        id: &BundleId,
    ) -> Option<Arc<Bundle>> {
        self.asker.topic(topic)?.rejudge().get(id).cloned()
    }

    /// The judge has decided about one of them. False if it was not asked about it.
    pub(super) fn rejected_is_judged(
        &mut self,
        topic: TopicId,
        id: BundleId,
        by: u32,
        verdict: Validation,
    ) -> bool {
        let now = self.cx.now.mono;
        let is_old = by != self.judged_by(&topic);
        let holds_back = self.topics.get(&topic).is_some_and(|window| window.rules().hold_back().is_some());
        let Some(asked) = self.asker.topic_mut(&topic) else { return false };
        if is_old && asked.rejudge_mut().is_put_off(&id) {
            // Its judge was replaced while it thought about it: the next one is asked.
            self.judge_more(topic);
            return true;
        }
        let Some(bundle) = asked.rejudge_mut().is_judged(&id) else { return false };
        let header = *bundle.header();
        if self.evidence.is_convicted(&header.author) {
            return true;
        }
        match verdict {
            // A second version may be on its way, as of any bundle of a hold-back topic that was not shown yet.
            Validation::Accept if holds_back => {
                asked.held_mut().add(Missing::of_bundle(&bundle), None, now);
                self.asker.stir(topic);
            }
            Validation::Accept => {
                let at = vec![(header.author, header.position())];
                self.cx.actions.push_back(Action::Store(StoreJob::Release { topic, at }));
            }
            Validation::Reject => {
                self.cx.counters.validator_rejected += 1;
                // It is held: only who rejected it is noted.
                self.repair.waiting_mut().gives(topic, bundle.encoded().len(), self.cx.now.mono);
                let keep = Keep { bundle, arrival: Arrival::Live, show: Show::Rejected { by } };
                self.cx.actions.push_back(Action::Store(StoreJob::Keep { keep, urgent: false }));
            }
            // At the next start, as what another version has rejected.
            Validation::Ignore => self.cx.counters.validator_ignored += 1,
        }
        self.judge_more(topic);
        true
    }
}
