//! A peer that keeps the past of a topic and tells it, honestly or not. It has no engine: what it says is what a test makes it say.

use std::sync::Arc;

use bytes::Bytes;

use super::hostile::frame_of;
use super::world::World;
use crate::key::SecretKey;
use crate::protocol::repair::heads::{Item, Slice};
use crate::rumor::{Bundle, Position, Previous, RuleSet, seal_after};
use crate::wire::{self, Answer, Ask, Bound, Fetch, Frame, Head, Lane, Mark, Page, Part, Tell};

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lie {
    /// Nothing.
    None,
    /// It says that it has the same, whatever that is.
    Echo,
    /// Its pages go on, and leave out each n-th bundle.
    Holes(usize),
    /// It lists these heads, and its pages go beyond them.
    Invents(Vec<Head>),
    /// It splits each range into sixteen parts that are never the same.
    Splits,
    /// Its lists go on without an end.
    Endless,
    /// It sends one bundle of a page each so many milliseconds.
    Trickle(u64),
    /// It answers what it has, and no fetch.
    Stalls,
    /// It keeps nothing below this tick, and says so only when it is fetched from.
    Forgets(u64),
}

/// One such peer.
pub(super) struct Teller {
    pub(super) hostile: usize,
    rules: Arc<RuleSet>,
    pub(super) all: Vec<Arc<Bundle>>,
    pub(super) lie: Lie,
    pub(super) floor: u64,
    /// Frames that were looked at.
    seen: usize,
    pub(super) asks: Vec<Ask>,
    pub(super) fetches: Vec<Fetch>,
    /// Bytes of answers and of bundles that it has sent.
    pub(super) told: usize,
    pub(super) sent: usize,
    /// What is to be sent later, and when.
    later: Vec<(u64, Bytes)>,
}

pub(super) fn head(bundle: &Bundle) -> Head {
    let header = bundle.header();
    Head { tick: header.tick, slot: header.first_slot, author: header.author, id: bundle.id() }
}

/// A chain of one author at these positions, a body of so many bytes each.
pub(super) fn chain(
    rules: &RuleSet,
    author: &SecretKey,
    at: impl IntoIterator<Item = (u64, u16)>,
    len: usize,
) -> Vec<Arc<Bundle>> {
    let mut all = Vec::<Arc<Bundle>>::new();
    for (tick, slot) in at {
        let prev = all.last().map(|last| Previous::of(last));
        all.push(said(rules, author, prev, tick, slot, len));
    }
    all
}

pub(super) fn said(
    rules: &RuleSet,
    author: &SecretKey,
    prev: Option<Previous>,
    tick: u64,
    slot: u16,
    len: usize,
) -> Arc<Bundle> {
    let mut body = format!("{tick}/{slot} ").into_bytes();
    body.resize(len.max(body.len()), b'.');
    Arc::new(seal_after(author, rules.id(), prev, Position { tick, slot }, &[body.into()]).unwrap())
}

/// The heads as of a tick.
fn heads(all: &[Arc<Bundle>], as_of: u64) -> Vec<Head> {
    let old = || all.iter().filter(|bundle| bundle.header().tick < as_of);
    let named: std::collections::HashSet<_> =
        old().filter_map(|bundle| bundle.header().prev.map(|prev| prev.id)).collect();
    old().filter(|bundle| !named.contains(&bundle.id())).map(|bundle| head(bundle)).collect()
}

impl Teller {
    /// What it says to a question.
    fn answer(&self, ask: &Ask) -> Tell {
        let mut heads: Vec<_> =
            heads(&self.all, ask.as_of).into_iter().filter(|head| head.tick >= self.floor).collect();
        if let Lie::Invents(more) = &self.lie {
            heads.extend(more);
        }
        let slice = Slice::new(ask.topic, ask.as_of, heads.iter().map(Item::of).collect());
        let find = |item: &Item| heads.iter().find(|head| Item::of(head) == *item).copied();
        let mut room = wire::MAX_TELL_LEN;
        let honest = |range| {
            let answer = slice.answer(range, find, room)?;
            room -= wire::answer_len(&answer);
            Some(answer)
        };
        let answers = match &self.lie {
            Lie::Echo => ask.ranges.iter().map(|_| Answer::Same).collect(),
            Lie::Splits => ask.ranges.iter().map(|range| split(&range.lo, &range.hi)).collect(),
            Lie::Endless => {
                let from = ask.ranges[0].lo.tick;
                let fake = |at: u64| Head {
                    tick: from + 1 + at / 100,
                    slot: 0,
                    author: self.all[0].header().author,
                    id: super::hostile::fake_id(from * 10_000 + at),
                };
                let mut heads: Vec<_> = (0..800).map(fake).collect();
                heads.sort();
                vec![Answer::List { more: true, heads }]
            }
            _ => ask.ranges.iter().map_while(honest).collect(),
        };
        Tell { topic: ask.topic, session: ask.session, floor: self.floor, answers }
    }

    /// What it sends to a fetch: bundles, and the page.
    fn page(&self, fetch: &Fetch) -> (Vec<Arc<Bundle>>, Page) {
        let (mut bundles, mut next, mut bytes) = (Vec::new(), Vec::new(), 0);
        let floor = if let Lie::Forgets(floor) = self.lie { floor } else { self.floor };
        let mut number = 0;
        'ranges: for range in &fetch.ranges {
            let within = |bundle: &&Arc<Bundle>| {
                let header = bundle.header();
                let at = Mark { tick: header.tick, slot: header.first_slot.into() };
                header.author == range.author
                    && at >= range.from
                    && header.position() <= range.upto
                    && header.tick >= floor
            };
            let mut all: Vec<_> = self.all.iter().filter(within).collect();
            all.sort_by_key(|bundle| bundle.header().position());
            for bundle in all {
                let at = bundle.header().position();
                bytes += bundle.encoded().len();
                if bytes > fetch.max_bytes as usize && !bundles.is_empty() {
                    next.push(Mark { tick: at.tick, slot: at.slot.into() });
                    let begun = next.len();
                    next.extend(fetch.ranges[begun..].iter().map(|range| range.from));
                    break 'ranges;
                }
                number += 1;
                if !matches!(self.lie, Lie::Holes(each) if number % each == 0) {
                    bundles.push(bundle.clone());
                }
            }
            next.push(Mark { tick: range.upto.tick, slot: u32::from(range.upto.slot) + 1 });
        }
        (bundles, Page { topic: fetch.topic, session: fetch.session, floor, next })
    }

    /// Answers what it was asked since it last did.
    pub(super) fn speaks(&mut self, world: &mut World) {
        let now = world.millis();
        let (due, later) = self.later.drain(..).partition(|(at, _)| *at <= now);
        self.later = later;
        let due: Vec<(u64, Bytes)> = due;
        due.into_iter().for_each(|(_, frame)| world.says(self.hostile, Lane::History, frame));
        let frames = world.hostiles[self.hostile].frames[self.seen..].to_vec();
        self.seen += frames.len();
        for frame in frames {
            match frame {
                Frame::Ask(ask) if ask.topic == self.rules.id() => {
                    let tell = wire::tell(&self.answer(&ask));
                    self.told += tell.len();
                    self.asks.push(ask);
                    world.says(self.hostile, Lane::History, tell);
                }
                Frame::Fetch(fetch) => {
                    self.fetches.push(fetch.clone());
                    if self.lie != Lie::Stalls {
                        self.sends(world, &fetch);
                    }
                }
                _ => {}
            }
        }
    }

    fn sends(&mut self, world: &mut World, fetch: &Fetch) {
        let (bundles, page) = self.page(fetch);
        let now = world.millis();
        for (at, bundle) in bundles.iter().enumerate() {
            self.sent += bundle.encoded().len();
            let frame = frame_of(0, &[bundle]);
            match self.lie {
                Lie::Trickle(each) => self.later.push((now + each * (at as u64 + 1), frame)),
                _ => world.says(self.hostile, Lane::History, frame),
            }
        }
        if !matches!(self.lie, Lie::Trickle(_)) {
            world.says(self.hostile, Lane::History, wire::page(&page));
        }
    }
}

/// Sixteen parts of a range, none of which is ever the same as anything; "same" where a range can't be cut so often.
fn split(lo: &Bound, hi: &Bound) -> Answer {
    let number =
        |bound: &Bound| (u128::from(bound.tick) << 64) | u128::from(u64::from_be_bytes(bound.prefix));
    let (from, upto) = (number(lo), number(hi));
    let cut = |at: u128| {
        let place = from + (upto - from) / 16 * (at + 1);
        let hi = if at == 15 {
            *hi
        } else {
            Bound { tick: (place >> 64) as u64, prefix: (place as u64).to_be_bytes() }
        };
        Part { hi, count: 7, hash: *blake3::hash(&place.to_le_bytes()).as_bytes() }
    };
    if upto - from < 32 { Answer::Same } else { Answer::Split((0..16).map(cut).collect()) }
}

impl World {
    /// A peer that keeps these bundles and has dialled a node.
    pub(super) fn teller(
        &mut self,
        victim: usize,
        rules: &Arc<RuleSet>,
        all: &[Arc<Bundle>],
        lie: Lie,
    ) -> Teller {
        let hostile = self.silent_hostile(victim);
        let topics: Vec<_> = self.topics.iter().map(|rules| *rules.id().as_bytes()).collect();
        let network = *crate::rumor::NetworkId::of(super::world::NETWORK).as_bytes();
        let clock_ms = super::world::BEGIN_MS + self.millis();
        let mut hello = wire::Hello { network, clock_ms, topics, ..Default::default() };
        (0..self.topics.len()).for_each(|index| hello.set_keeps(index));
        self.says(hostile, Lane::Control, wire::hello(&hello));
        self.run(30);
        Teller {
            hostile,
            rules: Arc::clone(rules),
            all: all.to_vec(),
            lie,
            floor: 0,
            seen: 0,
            asks: Vec::new(),
            fetches: Vec::new(),
            told: 0,
            sent: 0,
            later: Vec::new(),
        }
    }

    /// Lets time pass with peers that answer.
    pub(super) fn run_with(&mut self, tellers: &mut [Teller], millis: u64) {
        let end = self.millis() + millis;
        while self.millis() < end {
            self.run(5);
            tellers.iter_mut().for_each(|teller| teller.speaks(self));
        }
    }

    /// The same until something holds. Gives how many milliseconds it took.
    pub(super) fn until_with(
        &mut self,
        tellers: &mut [Teller],
        limit_ms: u64,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> u64 {
        let begin = self.millis();
        while !done(self) {
            let progress: Vec<_> =
                self.topics.iter().map(|rules| self.nodes[0].engine.repairing(&rules.id())).collect();
            let counters = || self.nodes[0].counters();
            assert!(
                self.millis() - begin < limit_ms,
                "not within {limit_ms} ms: {progress:?} {:#?}",
                counters().list().into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
            );
            self.run_with(tellers, 50);
        }
        self.millis() - begin
    }
}
