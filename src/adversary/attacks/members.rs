//! What liars do with signs of life: keep them, hold them back, repeat old ones, make some up.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::adversary::{Adversary, Me, Outgoing};
use crate::protocol::{LinkId, Mono};
use crate::rumor::{
    Beacon, Bundle, Cell, ChainTerms, MemberRecord, Position, PulseChain, members_topic, seal,
};
use crate::wire::{
    self, Frame, FrameWriter, KeyPrefix, Kind, Lane, MAX_HOPS, MAX_PULSES, Pulse, PulsePage, Pulses,
};

/// How long a [`Holder`] holds a pulse: until shortly before a lease by the wall clock ends, in a small network.
const HELD: Duration = Duration::from_secs(42);
/// How often a [`Reviver`] says again all that it has heard, and a [`Bogus`] makes things up.
const EVERY: Duration = Duration::from_secs(1);
/// How often a [`Restless`] says something else.
const RESTLESS_EVERY: Duration = Duration::from_millis(100);

fn pulses(payload: &Bytes) -> Option<Pulses> {
    if Kind::of(payload) != Some(Kind::Pulses) {
        return None;
    }
    match Frame::decode(payload.clone()) {
        Ok(Frame::Pulses(pulses)) => Some(pulses),
        _ => None,
    }
}

/// A frame of these pulses, or nothing, if there is none to say.
fn frame(page: PulsePage, pulses: Vec<Pulse>) -> Option<Bytes> {
    let says = !pulses.is_empty() || page == PulsePage::Last;
    says.then(|| wire::pulses(&Pulses { page, pulses }))
}

fn is_mine(me: &Me, pulse: &Pulse) -> bool {
    pulse.member == KeyPrefix::of(&me.key().public())
}

/// A: gives its own signs of life and nobody else's, neither pushed nor asked for.
#[derive(Debug)]
pub(super) struct Mute;

impl Adversary for Mute {
    fn outgoing(&mut self, me: &mut Me, sent: Outgoing) {
        let Some(said) = pulses(&sent.payload) else { return me.send(sent) };
        let own = said.pulses.into_iter().filter(|pulse| is_mine(me, pulse)).collect();
        // An empty answer: "I know of nobody".
        let page = if said.page == PulsePage::More { PulsePage::Last } else { said.page };
        if let Some(payload) = frame(page, own) {
            me.send(Outgoing { payload, ..sent });
        }
    }
}

/// A: passes others' signs of life on when their lease is nearly over.
#[derive(Debug, Default)]
pub(super) struct Holder {
    held: VecDeque<(Mono, LinkId, Lane, Bytes)>,
}

impl Adversary for Holder {
    fn outgoing(&mut self, me: &mut Me, sent: Outgoing) {
        let Some(said) = pulses(&sent.payload) else { return me.send(sent) };
        let (own, others): (Vec<_>, Vec<_>) = said.pulses.into_iter().partition(|pulse| is_mine(me, pulse));
        if let Some(payload) = frame(PulsePage::Pushed, others) {
            self.held.push_back((me.now().mono.plus(HELD), sent.link, sent.lane, payload));
        }
        if let Some(payload) = frame(said.page, own) {
            me.send(Outgoing { payload, ..sent });
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        self.held.front().map(|(at, ..)| *at)
    }

    fn wake(&mut self, me: &mut Me) {
        while let Some((at, link, lane, payload)) = self.held.pop_front() {
            if at > me.now().mono {
                self.held.push_front((at, link, lane, payload));
                return;
            }
            if me.link(link).is_some() {
                me.send(Outgoing::now(link, lane, payload));
            }
        }
    }
}

/// A: says every second the newest sign of life that it has heard of each member, however old, to all: the dead are to live.
#[derive(Debug)]
pub(super) struct Reviver {
    newest: BTreeMap<KeyPrefix, Pulse>,
    next: Mono,
}

impl Reviver {
    pub(super) fn new(me: &mut Me) -> Self {
        Self { newest: BTreeMap::new(), next: me.about(5) }
    }
}

impl Adversary for Reviver {
    fn incoming(&mut self, _: &mut Me, _: LinkId, _: Lane, payload: &Bytes) {
        for pulse in pulses(payload).into_iter().flat_map(|said| said.pulses) {
            let known = self.newest.entry(pulse.member).or_insert(pulse);
            if pulse.index > known.index {
                *known = pulse;
            }
        }
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(EVERY);
        let all: Vec<_> = self.newest.values().copied().collect();
        let targets = me.targets();
        for some in all.chunks(MAX_PULSES) {
            let Some(payload) = frame(PulsePage::Pushed, some.to_vec()) else { continue };
            for link in &targets {
                me.send(Outgoing::now(*link, LANE, payload.clone()));
            }
        }
    }
}

/// A: makes up signs of life of all members: far ahead in their chains, with the numbers that cost most, many a second.
#[derive(Debug)]
pub(super) struct Bogus {
    next: Mono,
}

impl Bogus {
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(5) }
    }
}

impl Adversary for Bogus {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(EVERY);
        let everybody: Vec<_> = me.everybody().iter().map(KeyPrefix::of).collect();
        let mut made = Vec::with_capacity(MAX_PULSES);
        for number in 0..MAX_PULSES {
            let Some(member) = everybody.get(me.below(everybody.len())).copied() else { return };
            let index = match number % 4 {
                0 => me.below(30) as u32 + 1,
                1 => 4_096,
                2 => me.below(4_096) as u32,
                _ => (1 << 30) - 1,
            };
            let value = me.bytes().first_chunk().copied().unwrap_or_default();
            made.push(Pulse { member, index, value, failed_here: false });
        }
        let payload = wire::pulses(&Pulses { page: PulsePage::Pushed, pulses: made });
        for link in me.targets() {
            me.send(Outgoing::now(link, LANE, payload.clone()));
        }
    }
}

/// A: says something else of itself ten times a second, to all. Each record is right, and in none of them is it the same.
#[derive(Debug)]
pub(super) struct Restless {
    chain: PulseChain,
    next: Mono,
    /// The last tick that it spoke at, and its next slot.
    said: (u64, u16),
}

impl Restless {
    pub(super) fn new(me: &mut Me) -> Self {
        let seed = me.bytes().first_chunk().copied().unwrap_or_default();
        let chain = PulseChain::new(&me.key().public(), 1_000, seed);
        Self { chain, next: me.about(5), said: (0, 0) }
    }

    fn record(&mut self, me: &mut Me) -> Option<Bundle> {
        let unix_s = me.now().unix_ms / 1000;
        self.said = if self.said.0 == unix_s { (unix_s, self.said.1.saturating_add(1)) } else { (unix_s, 0) };
        let start = u32::try_from(unix_s / 5).ok()?;
        let chain = ChainTerms { epoch_s: 5, start, len: self.chain.len(), anchor: self.chain.anchor() };
        let metadata = Bytes::copy_from_slice(&me.bytes());
        let beacon = Beacon { boot_ms: unix_s.saturating_mul(1000), chain, addresses: Vec::new(), metadata };
        let cell = Cell::put("b", MemberRecord::Beacon(beacon).encode().ok()?).ok()?;
        let position = Position { tick: self.said.0, slot: self.said.1 };
        let topic = members_topic(me.rules().network()).id();
        seal(me.key(), topic, position, &[cell.encode()]).ok()
    }
}

impl Adversary for Restless {
    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(RESTLESS_EVERY);
        let Some(record) = self.record(me) else { return };
        let mut writer = FrameWriter::with_capacity(record.encoded().len() + 1);
        writer.push(MAX_HOPS, &record);
        let frame = writer.finish();
        for link in me.targets() {
            me.send(Outgoing::now(link, LANE, frame.clone()));
        }
    }
}

/// Where signs of life travel.
const LANE: Lane = Lane::System;
