//! Topics that were left: what must not be delivered a second time, and need not be fetched again, if they are joined again.
//!
//! The newest are kept whole, with their bodies, until what was said in them has left every window. Of those before them a
//! *floor* is kept: the first tick in which nothing was delivered. Joined again, such a topic is relayed in full and
//! delivered from its floor on.

use std::collections::VecDeque;

use crate::key::PublicKey;
use crate::protocol::limits::MAX_TOPICS;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::shrink::Shrink as _;
use crate::protocol::time::{Mono, Now};
use crate::protocol::topics::window::Window;
use crate::rumor::TopicId;

#[derive(Debug)]
pub(in crate::protocol) struct Left {
    /// Whole, the one that was left first in front. At most [`MAX_TOPICS`], their bodies together within one topic's bound.
    windows: VecDeque<Window>,
    floors: KeyedMap<TopicId, Floor>,
}

#[derive(Debug, Clone, Copy)]
struct Floor {
    /// Nothing was delivered in this tick or later.
    tick: u64,
    /// When no node relays anything below it any more, Unix milliseconds.
    over_ms: u64,
    /// When that is so by the monotonic clock: a wall clock that is ahead for a moment must not end it.
    stays_until: Mono,
}

impl Left {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self { windows: VecDeque::new(), floors: keyed.map() }
    }

    pub(in crate::protocol) fn len(&self) -> usize {
        self.windows.len() + self.floors.len()
    }

    /// Those that are kept whole.
    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn windows(&self) -> impl Iterator<Item = &Window> {
        self.windows.iter()
    }

    /// A topic is left. At most `most_bytes` of bodies are kept in all.
    pub(in crate::protocol) fn add(&mut self, window: Window, most_bytes: usize, now: Now) {
        self.windows.push_back(window);
        let mut bytes: usize = self.windows.iter().map(Window::held_bytes).sum();
        while self.windows.len() > MAX_TOPICS || bytes > most_bytes {
            let Some(oldest) = self.windows.pop_front() else { return };
            bytes = bytes.saturating_sub(oldest.held_bytes());
            let (tick, over_ms) = oldest.floor_of_delivered();
            if tick > 0 {
                let stays_until = now.mono.plus(oldest.longest_relayed());
                self.floors.insert(oldest.rules().id(), Floor { tick, over_ms, stays_until });
            }
        }
    }

    /// All that is known of a topic that is joined again, if it is known whole.
    pub(in crate::protocol) fn take_window(&mut self, topic: &TopicId) -> Option<Window> {
        let at = self.windows.iter().position(|window| window.rules().id() == *topic)?;
        self.windows.remove(at)
    }

    /// The floor of a topic that is joined again; 0 if it is not known.
    pub(in crate::protocol) fn take_floor(&mut self, topic: &TopicId) -> u64 {
        self.floors.remove(topic).map_or(0, |floor| floor.tick)
    }

    /// An author is convicted: nothing that is held of it is delivered or forwarded when its topic is joined again.
    pub(in crate::protocol) fn silence(&mut self, author: &PublicKey) {
        self.windows.iter_mut().for_each(|window| drop(window.silence(author)));
    }

    pub(in crate::protocol) fn expire(&mut self, now: Now) {
        self.windows.iter_mut().for_each(|window| drop(window.expire(now)));
        self.windows.retain(|window| window.len() > 0);
        self.floors.retain(|_, floor| floor.over_ms > now.unix_ms || floor.stays_until > now.mono);
        self.floors.shrink();
    }

    /// Pretends that `count` topics are remembered, until `over_ms`.
    #[cfg(test)]
    pub(in crate::protocol) fn fill(&mut self, count: usize, over_ms: u64) {
        for number in self.len()..count {
            let topic = TopicId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
            self.floors.insert(topic, Floor { tick: 1, over_ms, stays_until: Mono::default() });
        }
    }
}
