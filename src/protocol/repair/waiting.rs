//! What the store was given to keep and has not answered: bounded in bytes, and watched for being slow.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::Mono;
use crate::protocol::keeping::StoreTrouble;
use crate::protocol::limits::WAITING_KEEPS;
use crate::protocol::total::Total as _;
use crate::rumor::TopicId;

/// A store that answers nothing for this long is told to be slow.
const SLOW_STORE: Duration = Duration::from_secs(5);

/// Bytes that wait for the store.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Waiting {
    bytes: usize,
    of_topic: BTreeMap<TopicId, usize>,
    /// Since when something waits and nothing was answered.
    since: Mono,
    /// Why the store keeps nothing now, as far as it has said.
    refusal: Option<StoreTrouble>,
}

impl Waiting {
    /// Whether a bundle of others may wait as well. (Own ones always may: their authors wait for them.)
    pub(in crate::protocol) const fn has_room(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) <= WAITING_KEEPS
    }

    /// A bundle is given to the store.
    pub(in crate::protocol) fn gives(&mut self, topic: TopicId, bytes: usize, now: Mono) {
        if self.bytes == 0 {
            self.since = now;
        }
        self.bytes.gains(bytes);
        self.of_topic.entry(topic).or_default().gains(bytes);
    }

    /// The store has answered for it.
    pub(in crate::protocol) fn answered(&mut self, topic: &TopicId, bytes: usize, now: Mono) {
        self.since = now;
        self.bytes.loses(bytes);
        if let Some(of_topic) = self.of_topic.get_mut(topic) {
            of_topic.loses(bytes);
            if *of_topic == 0 {
                self.of_topic.remove(topic);
            }
        }
    }

    /// The store keeps nothing. One that starts anew says so itself, and of a topic that is not open it says nothing about others.
    pub(in crate::protocol) fn is_refused(&mut self, why: &StoreTrouble) {
        if !matches!(why, StoreTrouble::Damaged | StoreTrouble::NotOpen) {
            self.refusal = Some(why.clone());
        }
    }

    /// The store keeps again. Gives whether it did not.
    pub(in crate::protocol) fn is_taken(&mut self) -> bool {
        self.refusal.take().is_some()
    }

    /// Why the store keeps nothing now.
    pub(in crate::protocol) const fn refusal(&self) -> Option<&StoreTrouble> {
        self.refusal.as_ref()
    }

    /// The store has started anew, and answers nothing of what it was given before.
    pub(in crate::protocol) fn is_void(&mut self) {
        *self = Self::default();
    }

    /// Bytes of a topic that wait.
    pub(in crate::protocol) fn bytes_of(&self, topic: &TopicId) -> u64 {
        self.of_topic.get(topic).map_or(0, |bytes| u64::try_from(*bytes).unwrap_or(u64::MAX))
    }

    /// Whether the store is slow.
    pub(in crate::protocol) fn is_slow(&self, now: Mono) -> bool {
        self.bytes > 0 && now.since(self.since) > SLOW_STORE
    }
}
