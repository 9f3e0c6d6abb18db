//! Liars whose words are long past, and dear: large ones to fetch, and tiny ones to hash.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::{Adversary, Me};
use crate::adversary::{Outgoing, frames};
use crate::protocol::{LinkId, Mono};
use crate::rumor::{Bundle, BundleId, MAX_RUMORS, Position};
use crate::wire::{self, Frame, FrameWriter, Kind, Lane, MAX_HOPS};

/// When they begin: links are up and greeted by then.
const BEGIN: u64 = 3;
/// Far enough in the past for every window, whatever a topic retains.
const LONG_AGO: Duration = Duration::from_secs(3_600);

/// A tick of an hour ago, and `back` ticks more.
fn long_ago(me: &Me, back: u64) -> u64 {
    let then = me.now().unix_ms.saturating_sub(LONG_AGO.as_millis() as u64);
    me.rules().tick_len().tick_at(then).saturating_sub(back)
}

/// Between two lists of what there is.
const BEAT: Duration = Duration::from_millis(500);
/// Beats until the next, where nobody asks for anything of the last: making them costs more than what a node does about them.
const PATIENCE: u32 = 8;
/// Bundles in each.
const SERVED: u64 = 8;
/// The size class that it gives them: the largest that there is.
const LARGE: u8 = 16;

/// R3: announces the largest bundles there may be, serves each that is asked for, and all of them are an hour old.
#[derive(Debug)]
pub(super) struct ServesTheExpired {
    next: Mono,
    /// Bundles that it has ever made: each has a position of its own, so that nothing here is evidence.
    made: u64,
    /// What was announced last.
    held: BTreeMap<BundleId, Bundle>,
    /// Beats since then, or since something of it was asked for.
    waited: u32,
}

impl ServesTheExpired {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN), made: 0, held: BTreeMap::new(), waited: 0 }
    }
}

impl Adversary for ServesTheExpired {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        // Its engine does not hold them.
        if Kind::of(&frame.payload) != Some(Kind::Gone) {
            me.send(frame);
        }
    }

    fn incoming(&mut self, me: &mut Me, from: LinkId, _: Lane, payload: &Bytes) {
        if Kind::of(payload) == Some(Kind::Pull)
            && let Ok(Frame::Pull(asked)) = Frame::decode(payload.clone())
        {
            self.waited = PATIENCE;
            for bundle in asked.ids.iter().filter_map(|id| self.held.get(id)) {
                let one = std::iter::once((0, bundle.encoded().clone()));
                if let Some(payload) = frames::rewritten(one) {
                    me.send(Outgoing::now(from, Lane::Replies, payload));
                }
            }
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        if !self.held.is_empty() && self.waited < PATIENCE {
            self.waited += 1;
            return;
        }
        self.waited = 0;
        let len = me.rules().max_body() as usize;
        let ticks: Vec<_> = (self.made..self.made + SERVED).map(|back| long_ago(me, 2 * back)).collect();
        self.made += SERVED;
        let old = ticks.into_iter().filter_map(|tick| me.seal(Position { tick, slot: 0 }, 1, len));
        self.held = old.map(|bundle| (bundle.id(), bundle)).collect();
        let ids: Vec<_> = self.held.keys().map(|id| (*id, LARGE)).collect();
        let (links, lie) = (me.targets(), wire::announce(&me.rules().id(), &ids));
        me.say(&links, &lie);
    }
}

/// Between two frames full of crumbs.
const SHOWER: Duration = Duration::from_secs(1);

/// R10: bundles of as many bodies of one byte as there may be, an hour old, in frames that are as full as they may be.
#[derive(Debug)]
pub(super) struct Crumbs {
    next: Mono,
    frame: Option<Bytes>,
}

impl Crumbs {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN), frame: None }
    }

    fn frame(me: &mut Me) -> Option<Bytes> {
        let (tick, count) = (long_ago(me, 0), usize::from(me.rules().slots_per_tick()).min(MAX_RUMORS));
        let crumbs = me.seal(Position { tick, slot: 0 }, count, 1)?;
        let mut frame = FrameWriter::with_capacity(0);
        while frame.fits(&crumbs) {
            frame.push(MAX_HOPS, &crumbs);
        }
        Some(frame.finish())
    }
}

impl Adversary for Crumbs {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(SHOWER);
        if self.frame.is_none() {
            self.frame = Self::frame(me);
        }
        for link in me.targets() {
            if let Some(frame) = &self.frame {
                me.send(Outgoing::now(link, Lane::Rumors, frame.clone()));
            }
        }
    }
}
