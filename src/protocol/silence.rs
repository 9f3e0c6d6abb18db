//! Why an author that has slots and room does not speak: its clock, an earlier life of its key, or somebody else's use of it.

use std::time::Duration;

use super::engine::Engine;
use super::publish::Desk;
use super::{Event, Impairment, PublishError};
use crate::rumor::{Header, RuleSet, TickLen, TopicId};

/// A publish request waits so long for the clock to be right, or for the author's first free position: what would take longer
/// is an error that says so.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// A silence that lasts longer than this is told when it begins.
const TOLD_SILENCE: Duration = Duration::from_secs(5);

/// Why nothing is said in a topic now.
pub(super) enum Silence {
    /// For so long, or a little longer.
    For(Duration),
    /// For too long to wait.
    Fails(PublishError),
}

impl Desk {
    /// How long a loaded key without a ledger stays silent yet: start + clock skew + one tick, by the monotonic clock, after which
    /// whatever it said in an earlier life is refused by every window.
    fn mute_for(&self, tick_len: TickLen, now: super::Mono) -> Duration {
        let tick = Duration::from_millis(tick_len.millis().into());
        self.mute.map_or(Duration::ZERO, |until| until.plus(tick).since(now))
    }

    /// How long a key that was used before still listens for another writer: one tick from its first link on.
    fn listens_for(&self, tick_len: TickLen, now: super::Mono) -> Duration {
        let tick = Duration::from_millis(tick_len.millis().into());
        match self.linked_at {
            Some(at) if self.listens => at.plus(tick).since(now),
            _ => Duration::ZERO,
        }
    }
}

impl Engine {
    /// Why nothing may be said in a topic now, whatever its pen says; `None` if something may.
    pub(super) fn silence(&self, topic: &TopicId) -> Option<Silence> {
        let now = self.now.mono;
        if let Some(since) = self.health.since(Impairment::Clock) {
            let rest = since.plus(LONGEST_SILENCE).since(now);
            let error = PublishError::ClockWrong { ahead_ms: self.ahead_ms };
            return Some(if rest.is_zero() { Silence::Fails(error) } else { Silence::For(rest) });
        }
        let tick_len = self.topics.get(topic)?.rules.tick_len();
        let wait = self.desk.mute_for(tick_len, now).max(self.desk.listens_for(tick_len, now));
        (!wait.is_zero()).then_some(Silence::For(wait))
    }

    /// The pen has no position before this time: waits for it, or says that it is too long.
    pub(super) fn wait_until(&mut self, topic: TopicId, until_ms: u64) -> bool {
        let wait = Duration::from_millis(until_ms.saturating_sub(self.now.unix_ms));
        if wait <= LONGEST_SILENCE {
            return self.sleep(topic, wait);
        }
        self.fail_publishes(topic, &PublishError::Silent { until_ms });
        false
    }

    /// Why a publish request of this topic would have to wait now, for whoever does not want to.
    pub fn why_waiting(&self, topic: &TopicId) -> PublishError {
        if self.health.has(Impairment::Clock) {
            return PublishError::ClockWrong { ahead_ms: self.ahead_ms };
        }
        let until_ms = self.topics.get(topic).map_or(0, |window| self.silent_until(topic, &window.rules));
        let now_ms = self.now.unix_ms;
        let tick_ms = self.topics.get(topic).map_or(0, |window| u64::from(window.rules.tick_len().millis()));
        if until_ms > now_ms.saturating_add(tick_ms) {
            PublishError::Silent { until_ms }
        } else {
            PublishError::WouldWait
        }
    }

    /// Unix time in milliseconds until which the author is silent in a topic; now or before if it is not.
    fn silent_until(&self, topic: &TopicId, rules: &RuleSet) -> u64 {
        let now = self.now;
        let pen = match self.desk.pens.get(topic) {
            Some(pen) => pen.silent_until(now.unix_ms),
            None => self.desk.pen(rules).silent_until(now.unix_ms),
        };
        let mute = self.desk.mute_for(rules.tick_len(), now.mono);
        pen.max(now.unix_ms.saturating_add(u64::try_from(mute.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Once a second: tells when an author begins to be silent, and when it may speak again.
    pub(super) fn check_silence(&mut self) {
        let mute = self.desk.mute.map_or(Duration::ZERO, |until| until.since(self.now.mono));
        let mute = self.now.unix_ms.saturating_add(u64::try_from(mute.as_millis()).unwrap_or(u64::MAX));
        let all = self.topics.iter().map(|(topic, window)| self.silent_until(topic, &window.rules));
        let until = all.max().unwrap_or(0).max(mute);
        let wait = Duration::from_millis(until.saturating_sub(self.now.unix_ms));
        // (A tick whose slots are used up is no silence.)
        let longest = self.topics.values().map(|window| window.rules.tick_len().millis()).max().unwrap_or(0);
        let told = TOLD_SILENCE.max(Duration::from_millis(longest.into()));
        if wait > told {
            self.impair(Impairment::Silent, Some(until));
        } else if wait.is_zero() {
            self.recover(Impairment::Silent);
        }
    }

    /// A genuine bundle under our own key that we did not write, and that no earlier life of ours can have written.
    pub(super) fn check_duplicate_writer(&mut self, topic: &TopicId, header: &Header) {
        if header.author != self.author() {
            return;
        }
        let Some(window) = self.topics.get(topic) else { return };
        let len = window.rules.tick_len();
        // What we said before we left the topic and joined it again comes back to us as any history does.
        let Desk { earlier, retired, .. } = &self.desk;
        let ours = [earlier, retired]
            .into_iter()
            .any(|spans| spans.overlaps(len.start_of(header.tick), len.end_of(header.tick)));
        if !ours {
            self.halt_duplicate(topic, header.tick);
        }
    }

    pub(super) fn halt_duplicate(&mut self, topic: &TopicId, tick: u64) {
        if self.desk.halted.is_none() {
            self.desk.halted = Some(PublishError::DuplicateWriter);
            self.event(Event::DuplicateWriter { topic: *topic, tick });
            self.impair(Impairment::DuplicateWriter, None);
        }
        self.desk.wake_all();
    }

    /// An author was convicted; it may be ours.
    pub(super) fn on_conviction(&mut self, author: &crate::key::PublicKey) {
        if *author == self.author() {
            self.desk.halted.get_or_insert(PublishError::Convicted);
            self.impair(Impairment::Convicted, None);
            self.desk.wake_all();
        }
    }
}
