//! Liars that say, ask or announce as much as they are allowed to, and more.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::adversary::{Adversary, Me};
use crate::protocol::{LinkId, Mono};
use crate::rumor::{BundleId, Position};
use crate::wire::{self, Frame, Kind, Lane};

/// When floods begin: links are up and greeted by then, and whoever measures has begun.
const BEGIN: u64 = 3;
/// Body of a flooding rumor, bytes: small, so that what it costs others is the work for each bundle.
const BODY: usize = 64;

/// B7: every tick it pushes its whole quota to every honest link, each rumor a bundle of its own; or more than that, which
/// it can only by using slots again.
#[derive(Debug)]
pub(super) struct Flooder {
    next: Mono,
    /// How often it uses each slot.
    times: usize,
    /// The tick that it spoke at last: a hurried one must not use its slots again for that alone.
    said: Option<u64>,
}

impl Flooder {
    /// One that keeps its quota, with `times` 1; or uses each slot so often.
    pub(super) fn new(me: &mut Me, times: usize) -> Self {
        Self { next: me.about(BEGIN), times, said: None }
    }
}

impl Adversary for Flooder {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        let tick_len = Duration::from_millis(u64::from(me.rules().tick_len().millis()));
        self.next = me.now().mono.plus(tick_len);
        let (tick, slots) = (me.tick(), me.rules().slots_per_tick());
        if self.said.replace(tick) == Some(tick) {
            return;
        }
        let links = me.targets();
        for _ in 0..self.times {
            let all: Vec<_> =
                (0..slots).filter_map(|slot| me.seal(Position { tick, slot }, 1, BODY)).collect();
            me.push(&links, &all);
        }
    }
}

/// Between two frames of a flood of small control frames to every link.
const BEAT: Duration = Duration::from_millis(250);
/// Ids in each: at 24 links some 200 KiB a second for each liar.
const IDS: usize = 64;

/// B11: asks for all that it has ever heard of, again and again: 32 bytes that each would have a body sent.
#[derive(Debug)]
pub(super) struct PullFlooder {
    next: Mono,
    heard: VecDeque<BundleId>,
}

impl PullFlooder {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN), heard: VecDeque::new() }
    }

    fn note(&mut self, id: BundleId) {
        if !self.heard.contains(&id) {
            self.heard.push_back(id);
            if self.heard.len() > IDS {
                self.heard.pop_front();
            }
        }
    }
}

impl Adversary for PullFlooder {
    fn incoming(&mut self, _: &mut Me, _: LinkId, _: Lane, payload: &Bytes) {
        if Kind::of(payload) == Some(Kind::Announce)
            && let Ok(Frame::Announce(announced)) = Frame::decode(payload.clone())
        {
            announced.items.iter().for_each(|(id, _)| self.note(*id));
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        // The oldest first, and then all the others over again until the frame is full.
        let ids: Vec<_> = self.heard.iter().cycle().take(IDS).copied().collect();
        if !ids.is_empty() {
            let (links, ask) = (me.targets(), wire::pull(&me.rules().id(), &ids));
            me.say(&links, &ask);
        }
    }
}

/// B29: announces what does not exist: 64 new ids a second, all of which have to be asked for in vain.
#[derive(Debug)]
pub(super) struct Phantoms {
    next: Mono,
}

impl Phantoms {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN) }
    }
}

impl Adversary for Phantoms {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(4 * BEAT);
        let ids: Vec<_> = (0..IDS).map(|_| (BundleId::from_bytes(me.bytes()), 9)).collect();
        let (links, lie) = (me.targets(), wire::announce(&me.rules().id(), &ids));
        me.say(&links, &lie);
    }
}
