//! Why an author that has slots and room does not speak: its clock, an earlier life of its key, or somebody else's use of it.

use std::time::Duration;

use crate::protocol::engine::Engine;
use crate::protocol::publisher::silence::{LONGEST_SILENCE, Silence};
use crate::protocol::{Event, Impairment, PublishError};
use crate::rumor::{Header, TopicId};

/// A silence that lasts longer than this is told when it begins.
const TOLD_SILENCE: Duration = Duration::from_secs(5);

impl Engine {
    /// Why nothing may be said in a topic now, whatever its pen says; `None` if something may.
    pub(super) fn silence(&self, topic: &TopicId) -> Option<Silence> {
        let now = self.cx.now.mono;
        if let Some(since) = self.condition.health().since(Impairment::Clock) {
            let rest = since.plus(LONGEST_SILENCE).since(now);
            let error = PublishError::ClockWrong { ahead_ms: self.condition.clock().ahead_ms() };
            return Some(if rest.is_zero() { Silence::Fails(error) } else { Silence::For(rest) });
        }
        let wait = self.publisher.is_silent_for(self.topics.get(topic)?.rules(), now);
        (!wait.is_zero()).then_some(Silence::For(wait))
    }

    /// The pen has no position before this time: waits for it, or says that it is too long.
    pub(super) fn wait_until(&mut self, topic: TopicId, until_ms: u64) -> bool {
        let wait = Duration::from_millis(until_ms.saturating_sub(self.cx.now.unix_ms));
        if wait <= LONGEST_SILENCE {
            return self.sleep(topic, wait);
        }
        self.fail_publishes(topic, &PublishError::Silent { until_ms });
        false
    }

    /// Why a publish request of this topic would have to wait now, for whoever does not want to.
    pub(super) fn why_waiting(&self, topic: &TopicId) -> PublishError {
        if self.condition.health().has(Impairment::Clock) {
            return PublishError::ClockWrong { ahead_ms: self.condition.clock().ahead_ms() };
        }
        let until_ms = self
            .topics
            .get(topic)
            .map_or(0, |window| self.publisher.silent_until(window.rules(), self.cx.now));
        let now_ms = self.cx.now.unix_ms;
        let tick_ms =
            self.topics.get(topic).map_or(0, |window| u64::from(window.rules().tick_len().millis()));
        if until_ms > now_ms.saturating_add(tick_ms) {
            PublishError::Silent { until_ms }
        } else {
            PublishError::WouldWait
        }
    }

    /// Once a second: tells when an author begins to be silent, and when it may speak again.
    pub(super) fn check_silence(&mut self) {
        let now = self.cx.now;
        let mute = self.publisher.mute_until(now);
        // (When the node says that it is here is no matter of the application's.)
        let own =
            || self.topics.iter().filter(|(topic, _)| !self.cx.is_system(topic)).map(|(_, window)| window);
        let all = own().map(|window| self.publisher.silent_until(window.rules(), now));
        let until = all.max().unwrap_or(0).max(mute);
        let wait = Duration::from_millis(until.saturating_sub(self.cx.now.unix_ms));
        // (A tick whose slots are used up is no silence.)
        let longest = own().map(|window| window.rules().tick_len().millis()).max().unwrap_or(0);
        let told = TOLD_SILENCE.max(Duration::from_millis(longest.into()));
        if wait > told {
            self.impair(Impairment::Silent, Some(until));
        } else if wait.is_zero() {
            self.recover(Impairment::Silent);
        }
    }

    /// A genuine bundle under our own key that we did not write, and that no earlier life of ours can have written.
    pub(super) fn check_duplicate_writer(&mut self, topic: &TopicId, header: &Header) {
        if header.author != self.publisher.signer_in(topic) {
            return;
        }
        let Some(window) = self.topics.get(topic) else { return };
        // What we said before we left the topic and joined it again comes back to us as any history does.
        if !self.publisher.may_have_spoken(window.rules().tick_len(), header.tick) {
            self.halt_duplicate(topic, header.tick);
        }
    }

    pub(super) fn halt_duplicate(&mut self, topic: &TopicId, tick: u64) {
        let key = self.publisher.signer_in(topic);
        if self.publisher.halt(&key, &PublishError::DuplicateWriter) {
            self.event(Event::DuplicateWriter { topic: *topic, tick });
            self.impair(Impairment::DuplicateWriter, None);
            self.members_double(topic);
        }
    }

    /// An author was convicted; it may be ours.
    pub(super) fn on_conviction(&mut self, author: &crate::key::PublicKey) {
        if self.publisher.has_key(author) {
            self.publisher.halt(author, &PublishError::Convicted);
            self.impair(Impairment::Convicted, None);
        }
        self.members_convict(author);
        self.close_owned(author);
    }
}
