//! Liars that cannot make up their mind about topics.

use std::time::Duration;

use super::{Adversary, Me};
use crate::protocol::Mono;
use crate::wire::{self, TopicChange};

/// When they begin: links are up and greeted by then.
const BEGIN: u64 = 3;
const BEAT: Duration = Duration::from_millis(250);
/// Topics that are joined at once.
const AT_ONCE: usize = 8;

/// B27: joins ever more topics, which nobody else knows.
#[derive(Debug)]
pub(super) struct TopicFlooder {
    next: Mono,
}

impl TopicFlooder {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN) }
    }
}

impl Adversary for TopicFlooder {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let mut joined: Vec<_> = (0..AT_ONCE).map(|_| me.bytes()).collect();
        joined.sort_unstable();
        let (links, lie) =
            (me.targets(), wire::topics(&TopicChange { joined, left: Vec::new(), ..TopicChange::default() }));
        me.say(&links, &lie);
    }
}

/// Changes of mind at once: each leaves and joins again.
const CHANGES: usize = 8;

/// R10: leaves the topic and joins it again, without end.
#[derive(Debug)]
pub(super) struct Waverer {
    next: Mono,
}

impl Waverer {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN) }
    }
}

impl Adversary for Waverer {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let (links, id) = (me.targets(), vec![*me.rules().id().as_bytes()]);
        let leaves =
            wire::topics(&TopicChange { joined: Vec::new(), left: id.clone(), ..TopicChange::default() });
        let joins = wire::topics(&TopicChange { joined: id, left: Vec::new(), ..TopicChange::default() });
        for _ in 0..CHANGES {
            me.say(&links, &leaves);
            me.say(&links, &joins);
        }
    }
}
