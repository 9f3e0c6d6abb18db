//! A liar that is a crowd.

use std::time::Duration;

use super::{Adversary, Me};
use crate::key::SecretKey;
use crate::protocol::{Mono, RELAY_FUTURE};
use crate::rumor::Position;

/// When it begins: links are up and greeted by then.
const BEGIN: u64 = 3;
const BEAT: Duration = Duration::from_secs(1);
/// Keys that speak in each.
const KEYS: usize = 16;
/// How far ahead they date what they say: nearly as far as it is relayed.
const AHEAD: Duration = RELAY_FUTURE.saturating_sub(Duration::from_secs(5));
const BODY: usize = 2;

/// R6: a word for each of ever more keys, dated ahead, so that the places of newcomers are all taken.
#[derive(Debug)]
pub(super) struct Crowd {
    next: Mono,
}

impl Crowd {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN) }
    }
}

impl Adversary for Crowd {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let ahead = me.now().unix_ms.saturating_add(AHEAD.as_millis() as u64);
        let position = Position { tick: me.rules().tick_len().tick_at(ahead), slot: 0 };
        let words = (0..KEYS).filter_map(|_| {
            let key = SecretKey::from_seed(&me.bytes());
            me.seal_as(&key, position, 1, BODY)
        });
        let (words, links) = (words.collect::<Vec<_>>(), me.targets());
        me.push(&links, &words);
    }
}
