//! Topics are joined, read, no longer read, and left.

use std::sync::Arc;

use crate::protocol::engine::Engine;
use crate::protocol::keeping::KeepOptions;
use crate::protocol::limits::{MAX_LEFT, MAX_TOPICS};
use crate::protocol::linkset::LinkSet;
use crate::protocol::timers::Timer;
use crate::protocol::topics::window::Window;
use crate::protocol::{Action, JoinRefusal, PublishError};
use crate::rumor::{BundleId, RuleSet, TopicId};

impl Engine {
    /// Why a topic can't be joined now, if it can't.
    pub(crate) fn join_refusal(&self, rules: &RuleSet) -> Option<JoinRefusal> {
        if rules.is_system() {
            return Some(JoinRefusal::System);
        }
        if self.topics.contains_key(&rules.id()) {
            return None;
        }
        if rules.network() != self.cx.network {
            return Some(JoinRefusal::OtherNetwork);
        }
        // The list of an owned topic is one more.
        let more = 1 + usize::from(rules.owner().is_some());
        if self.topic_count().saturating_add(more) > MAX_TOPICS {
            return Some(JoinRefusal::TooMany);
        }
        let keys = u64::from(rules.kind().max_keys().unwrap_or(0));
        let keys = keys.saturating_mul(rules.listed_authors().unwrap_or(0) as u64);
        let most = self.cx.config.history.topic_heads;
        if keys > most as u64 {
            return Some(JoinRefusal::TooManyKeys { keys, most });
        }
        // Whatever is joined now can then be left.
        (self.left.len().saturating_add(self.topics.len()).saturating_add(more) > MAX_LEFT)
            .then_some(JoinRefusal::TooManyLeft)
    }

    pub(super) fn on_join(&mut self, rules: Arc<RuleSet>, deliver: bool, validate: bool, keep: KeepOptions) {
        let topic = rules.id();
        let result = self.join_refusal(&rules).map_or(Ok(()), Err);
        // First of all: what follows may already ask the driver about bundles of the topic.
        self.cx.actions.push_back(Action::Joined { topic, result });
        if result.is_ok() {
            self.join(rules, deliver, validate, keep);
        }
    }

    /// Joins a topic, for the application or for ourselves.
    pub(super) fn join(&mut self, rules: Arc<RuleSet>, deliver: bool, validate: bool, keep: KeepOptions) {
        let topic = rules.id();
        let kept = rules.is_kept();
        self.enter_owned(&rules);
        if kept {
            self.begin_keeping(&rules, keep);
        }
        if !self.topics.contains_key(&topic) {
            self.enter(rules);
            if !kept {
                self.tell_entered(topic);
            }
        }
        if validate && let Some(window) = self.topics.get_mut(&topic) {
            window.begin_judging();
        }
        if deliver {
            self.on_read(topic);
        }
    }

    /// Relays a topic from now on, and what is still held of it if it was left a while ago.
    fn enter(&mut self, rules: Arc<RuleSet>) {
        let topic = rules.id();
        // Nobody was to hear anything in it until now.
        self.condition.presence_mut().lost(self.cx.now.mono);
        let window = self.left.take_window(&topic).unwrap_or_else(|| {
            let floor = self.left.take_floor(&topic);
            Window::new(rules, false, false, &self.cx.config, self.cx.keyed).delivered_below(floor)
        });
        self.topics.insert(topic, window);
        self.cx.topology += 1;
        self.hold_back_again(topic);
    }

    /// Tells the peers of a topic that is relayed from now on.
    pub(super) fn tell_entered(&mut self, topic: TopicId) {
        self.tell_topics(vec![*topic.as_bytes()], Vec::new());
        for slot in self.links.relaying(&topic, &LinkSet::default()) {
            self.resync(slot, &[topic]);
        }
    }

    /// Who was away heard of no conflict: whatever was not delivered before is held back for the whole delay once more.
    fn hold_back_again(&mut self, topic: TopicId) {
        let now = self.cx.now;
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let Some(delay) = window.rules().hold_back() else { return };
        let until = now.mono.plus(delay);
        for id in window.undelivered(now) {
            if let Some(entry) = window.entry_mut(&id) {
                entry.hold_again(until);
                self.cx.timers.set(until, Timer::HoldBackOver { topic, id });
            }
        }
    }

    /// The application reads a topic from now on: first what it has not been given of what is held.
    pub(super) fn on_read(&mut self, topic: TopicId) {
        let Some(window) = self.topics.get_mut(&topic) else { return };
        if !window.begin_reading() {
            return;
        }
        let validate = window.is_judged();
        for id in window.undelivered(self.cx.now) {
            let entry = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id));
            match entry {
                Some(entry) if validate && !entry.is_validated() => self.validate_held(topic, id),
                Some(entry) if !entry.is_held_back() => {
                    entry.may_be_delivered();
                    self.deliver(topic, id);
                }
                _ => {}
            }
        }
    }

    /// What was accepted while nobody judged is judged before it is delivered. It is as if it had just come in, but for its
    /// place in the index; where no more questions may wait, it stays what it is.
    fn validate_held(&mut self, topic: TopicId, id: BundleId) {
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let Some(entry) = window.entry_mut(&id) else { return };
        if !self.questions.takes(entry.header().bytes, self.cx.config.validators.at_once) {
            self.cx.counters.validator_overload += 1;
            return;
        }
        entry.fetch_again();
        window.unkeep_body(&id);
        self.judge(topic, id);
    }

    /// Hands an accepted bundle to the application, if it reads the topic and has not been given it.
    pub(super) fn deliver(&mut self, topic: TopicId, id: BundleId) {
        let Some(window) = self.topics.get_mut(&topic).filter(|window| window.is_read()) else { return };
        let Some(entry) = window.entry_mut(&id) else { return };
        let Some(bundle) = entry.deliver() else { return };
        let from = entry.via();
        self.cx.counters.delivered += 1;
        self.cx.actions.push_back(Action::Deliver { bundle, from });
    }

    /// Nobody took what was delivered: it waits for the next reader.
    pub(super) fn on_undelivered(&mut self, topic: TopicId, id: &BundleId) {
        let Some(window) = self.topics.get_mut(&topic) else { return };
        window.pause_reading();
        if let Some(entry) = window.entry_mut(id)
            && entry.is_undelivered()
        {
            self.cx.counters.delivered = self.cx.counters.delivered.saturating_sub(1);
        }
    }

    pub(super) fn on_stop_reading(&mut self, topic: TopicId) {
        if let Some(window) = self.topics.get_mut(&topic) {
            window.stop_reading();
        }
    }

    pub(super) fn on_leave(&mut self, topic: TopicId) {
        let Some(mut window) = self.topics.remove(&topic) else { return };
        self.repair.leave(&topic);
        self.stop_asking(&topic);
        window.leave();
        self.left.add(window, self.cx.config.topics.bytes, self.cx.now);
        self.fail_publishes(topic, &PublishError::NotJoined(topic));
        self.publisher.left(&topic, self.cx.now.mono);
        for id in self.wants.of_topic(&topic) {
            self.drop_want(&id);
        }
        self.links.iter_mut().for_each(|link| link.outbox_mut().is_caught_up(&topic));
        self.tell_topics(Vec::new(), vec![*topic.as_bytes()]);
        if let Some(list) = self.cx.owned.leave(&topic) {
            self.on_leave(list);
        }
    }
}
