//! Liars that live in another time: old words, words of the future, words that were refused, and a minute's quota at once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::adversary::{Adversary, Me, Outgoing, frames};
use crate::protocol::{LinkId, Mono, RELAY_PAST};
use crate::rumor::{Bundle, BundleId, Position};
use crate::wire::{self, Frame, Kind, Lane, MAX_HOPS};

/// When they begin: links are up and greeted by then.
const BEGIN: u64 = 3;
const BEAT: Duration = Duration::from_millis(250);
const BODY: usize = 64;

/// B10 and B36: keeps what it hears, and pushes and announces it again and again, also when it is long past.
#[derive(Debug)]
pub(super) struct Replayer {
    next: Mono,
    known: HashSet<BundleId>,
    kept: VecDeque<(BundleId, Bytes)>,
}

/// Bundles that a [`Replayer`] keeps.
const KEPT: usize = 32;

impl Replayer {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN), known: HashSet::new(), kept: VecDeque::new() }
    }
}

impl Adversary for Replayer {
    fn incoming(&mut self, _: &mut Me, _: LinkId, _: Lane, payload: &Bytes) {
        for raw in frames::bundles(payload) {
            if self.kept.len() < KEPT && self.known.insert(raw.id) {
                self.kept.push_back((raw.id, raw.encoded));
            }
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let links = me.targets();
        let at = me.below(links.len());
        let Some(link) = links.get(at) else { return };
        let all = self.kept.iter().map(|(_, encoded)| (MAX_HOPS, encoded.clone()));
        if let Some(payload) = frames::rewritten(all) {
            let ids: Vec<_> = self.kept.iter().map(|(id, _)| (*id, 9)).collect();
            me.send(Outgoing::now(*link, Lane::Rumors, payload));
            me.say(&[*link], &wire::announce(&me.rules().id(), &ids));
        }
    }
}

/// B15: says things at ticks of the past and of the future, up to the first and the last there are, inside the windows and
/// outside.
#[derive(Debug)]
pub(super) struct SkewedTicks {
    next: Mono,
    slot: u16,
}

impl SkewedTicks {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(BEGIN), slot: 0 }
    }
}

impl Adversary for SkewedTicks {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        // One slot a beat, so that no position is used twice and nothing here is evidence.
        self.next = me.now().mono.plus(4 * BEAT);
        let slot = self.slot;
        if slot >= me.rules().slots_per_tick() {
            return;
        }
        self.slot += 1;
        let (now, links) = (me.tick(), me.targets());
        let seconds = |count: u64| count * 1_000 / u64::from(me.rules().tick_len().millis()).max(1);
        let ticks = [
            0,
            now.saturating_sub(seconds(3_600)),
            now.saturating_sub(seconds(75)),
            now + seconds(45),
            now + seconds(3_600),
            u64::MAX - 1,
        ];
        let said: Vec<_> =
            ticks.iter().filter_map(|tick| me.seal(Position { tick: *tick, slot }, 1, BODY)).collect();
        me.push(&links, &said);
    }
}

/// B41: announces the same expired bundles again and again, and serves them when asked.
#[derive(Debug)]
pub(super) struct RefusedAgain {
    next: Mono,
    ids: Vec<(BundleId, u8)>,
    held: HashMap<BundleId, Bundle>,
}

impl RefusedAgain {
    /// Signs 32 rumors that expired a while ago, and begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        let past = RELAY_PAST.as_millis() as u64 * 3 / u64::from(me.rules().tick_len().millis()).max(1);
        let tick = me.tick().saturating_sub(past);
        let slots = me.rules().slots_per_tick().min(32);
        let old = (0..slots).filter_map(|slot| me.seal(Position { tick, slot }, 1, BODY));
        let held: HashMap<_, _> = old.map(|bundle| (bundle.id(), bundle)).collect();
        let mut ids: Vec<_> = held.keys().map(|id| (*id, 9)).collect();
        ids.sort_unstable();
        Self { next: me.about(BEGIN), ids, held }
    }
}

impl Adversary for RefusedAgain {
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
            let found = asked.ids.iter().filter_map(|id| self.held.get(id));
            let all = found.map(|bundle| (0, bundle.encoded().clone()));
            if let Some(payload) = frames::rewritten(all) {
                me.send(Outgoing::now(from, Lane::Replies, payload));
            }
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(BEAT);
        let (links, lie) = (me.targets(), wire::announce(&me.rules().id(), &self.ids));
        me.say(&links, &lie);
    }
}

/// B42: says nothing for a while, and then everything that the relay window allows, all ticks and slots of the last minute and
/// a half, at once.
#[derive(Debug)]
pub(super) struct BackDated {
    next: Option<Mono>,
}

/// Rumors in each bundle of the burst, and bytes in each rumor: some 1.4 MB at 64 slots a tick.
const BURST_RUMORS: u16 = 16;
const BURST_BODY: usize = 240;

impl BackDated {
    /// Goes off a second or two after links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: Some(me.about(BEGIN + 1)) }
    }
}

impl Adversary for BackDated {
    fn next_wake(&self) -> Option<Mono> {
        self.next
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = None;
        let rules = me.rules();
        let slots = rules.slots_per_tick();
        // Two seconds short, so that it is inside the window on arrival too.
        let first =
            rules.tick_len().tick_at(me.now().unix_ms.saturating_sub(RELAY_PAST.as_millis() as u64 - 2_000));
        let mut all = Vec::new();
        for tick in first..=me.tick() {
            for slot in (0..slots).step_by(usize::from(BURST_RUMORS)) {
                let count = usize::from(BURST_RUMORS.min(slots - slot));
                all.extend(me.seal(Position { tick, slot }, count, BURST_BODY));
            }
        }
        let links = me.targets();
        me.push(&links, &all);
    }
}
