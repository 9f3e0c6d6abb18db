//! Liars about the past: what they have of it, what they hand over, and what they ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::adversary::{Adversary, Me, Outgoing, frames};
use crate::protocol::{LinkId, Mono};
use crate::rumor::{BundleId, Position};
use crate::wire::{
    self, Answer, Ask, AskedRange, Bound, Fetch, FetchedRange, Frame, Head, Kind, Lane, MAX_FETCH_BYTES,
    MAX_HEADS_PER_LIST, MAX_PARTS, MAX_RANGES_PER_ASK, MAX_RANGES_PER_FETCH, Mark, More, Part, Tell,
};

/// Questions of others that a liar remembers.
const REMEMBERED: usize = 1_024;

/// The questions that others have asked, by link and session, each the last of its session.
#[derive(Debug, Default)]
struct Asked(BTreeMap<(LinkId, u32), Ask>);

impl Asked {
    fn hear(&mut self, from: LinkId, payload: &Bytes) {
        if Kind::of(payload) == Some(Kind::Ask)
            && let Ok(Frame::Ask(ask)) = Frame::decode(payload.clone())
        {
            if self.0.len() >= REMEMBERED {
                self.0.pop_first();
            }
            self.0.insert((from, ask.session), ask);
        }
    }

    /// The answer that an honest engine wants to send, and the question that it is to; `None` if it is no answer.
    fn answer(&self, frame: &Outgoing) -> Option<(Tell, &Ask)> {
        if Kind::of(&frame.payload) != Some(Kind::Tell) {
            return None;
        }
        let Ok(Frame::Tell(tell)) = Frame::decode(frame.payload.clone()) else { return None };
        let ask = self.0.get(&(frame.link, tell.session))?;
        Some((tell, ask))
    }
}

/// Sends another answer instead.
fn answers(me: &mut Me, frame: Outgoing, tell: &Tell) {
    me.send(Outgoing { payload: wire::tell(tell), ..frame });
}

/// C2: says "same" to whatever it is asked.
#[derive(Debug, Default)]
pub(super) struct Echo(Asked);

impl Adversary for Echo {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let Some((tell, ask)) = self.0.answer(&frame) else { return me.send(frame) };
        let same = vec![Answer::Same; ask.ranges.len()];
        answers(me, frame, &Tell { answers: same, floor: 0, ..tell });
    }

    fn incoming(&mut self, _: &mut Me, from: LinkId, _: Lane, payload: &Bytes) {
        self.0.hear(from, payload);
    }
}

/// C3: leaves three of ten bundles out of each page, and says that it is whole.
#[derive(Debug, Default)]
pub(super) struct Gappy {
    served: u64,
}

impl Adversary for Gappy {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        if frame.lane != Lane::History || Kind::of(&frame.payload) != Some(Kind::Bundles) {
            return me.send(frame);
        }
        let served = &mut self.served;
        let left = frames::bundles(&frame.payload).filter(|_| {
            *served = served.wrapping_add(1);
            *served % 10 >= 3
        });
        if let Some(payload) =
            frames::rewritten(left.map(|raw| (0, raw.encoded)).collect::<Vec<_>>().into_iter())
        {
            me.send(Outgoing { payload, ..frame });
        }
    }
}

/// Heads of one author that an [`Inventor`] makes up: as many as are compared.
const INVENTED: usize = 64;

/// C4: lists heads of the victim's that do not exist, and true ones at other slots.
#[derive(Debug, Default)]
pub(super) struct Inventor(Asked);

impl Inventor {
    /// Heads in a range, in order.
    fn heads(me: &mut Me, range: &AskedRange) -> Vec<Head> {
        let span = range.hi.tick.saturating_sub(range.lo.tick).clamp(1, 1 << 20);
        let mut heads: Vec<Head> = (0..INVENTED)
            .filter_map(|_| {
                let tick = range.lo.tick.saturating_add(me.below(usize::try_from(span).unwrap_or(1)) as u64);
                let id = BundleId::from_bytes(me.bytes());
                let head = Head { tick, id, slot: me.below(1 << 16) as u16, author: me.victim() };
                let at = bound_of(&head);
                (range.lo <= at && at < range.hi).then_some(head)
            })
            .collect();
        heads.sort_unstable();
        heads
    }
}

fn bound_of(head: &Head) -> Bound {
    let mut prefix = [0; 8];
    prefix.iter_mut().zip(head.id.as_bytes()).for_each(|(byte, of_id)| *byte = *of_id);
    Bound { tick: head.tick, prefix }
}

impl Adversary for Inventor {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let Some((tell, ask)) = self.0.answer(&frame) else { return me.send(frame) };
        let ranges = ask.ranges.clone();
        let mut lists = Vec::new();
        for (at, range) in ranges.iter().enumerate() {
            let mut heads = Self::heads(me, range);
            if let Some(Answer::List { heads: held, .. }) = tell.answers.get(at) {
                // A true one is somewhere else than it is.
                heads.extend(held.iter().map(|head| Head { slot: head.slot.wrapping_add(1), ..*head }));
                heads.sort_unstable();
            }
            let most = if range.count == 0 { MAX_HEADS_PER_LIST } else { INVENTED };
            heads.truncate(most);
            lists.push(Answer::List { more: false, heads });
            let len: usize = lists.iter().map(wire::answer_len).sum();
            if len > wire::MAX_TELL_LEN {
                lists.pop();
                break;
            }
        }
        answers(me, frame, &Tell { answers: lists, floor: 0, ..tell });
    }

    fn incoming(&mut self, _: &mut Me, from: LinkId, _: Lane, payload: &Bytes) {
        self.0.hear(from, payload);
    }
}

/// C5: splits whatever it is asked about, for ever.
#[derive(Debug, Default)]
pub(super) struct Splitter(Asked);

impl Splitter {
    fn split(me: &mut Me, range: &AskedRange) -> Answer {
        let span = range.hi.tick.saturating_sub(range.lo.tick);
        let step = span.checked_div(MAX_PARTS as u64).unwrap_or(0);
        if step == 0 {
            return Answer::Same;
        }
        let mut parts: Vec<Part> = (1..MAX_PARTS as u64)
            .map(|part| {
                let hi = Bound::start_of(range.lo.tick.saturating_add(step.saturating_mul(part)));
                Part { hi, count: 1_000, hash: me.bytes() }
            })
            .collect();
        parts.push(Part { hi: range.hi, count: 1_000, hash: me.bytes() });
        Answer::Split(parts)
    }
}

impl Adversary for Splitter {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let Some((tell, ask)) = self.0.answer(&frame) else { return me.send(frame) };
        let ranges = ask.ranges.clone();
        let splits = ranges.iter().map(|range| Self::split(me, range)).collect();
        answers(me, frame, &Tell { answers: splits, floor: 0, ..tell });
    }

    fn incoming(&mut self, _: &mut Me, from: LinkId, _: Lane, payload: &Bytes) {
        self.0.hear(from, payload);
    }
}

/// Just short of the longest wait for an answer (5 s).
const ALMOST_TOO_LATE: Duration = Duration::from_millis(4_900);

/// Y1: answers questions about the past just before it is too late.
#[derive(Debug)]
pub(super) struct Laggard;

impl Adversary for Laggard {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let late = frame.lane == Lane::History && Kind::of(&frame.payload) != Some(Kind::Ask);
        let delay = if late { ALMOST_TOO_LATE } else { frame.delay };
        me.send(Outgoing { delay, ..frame });
    }
}

/// C6: says truly what it has, and hands over one bundle in nine seconds.
#[derive(Debug)]
pub(super) struct Trickle;

/// Between two of its bundles.
const DRIP: Duration = Duration::from_secs(9);

impl Adversary for Trickle {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        if frame.lane != Lane::History || Kind::of(&frame.payload) != Some(Kind::Bundles) {
            let page = Kind::of(&frame.payload) == Some(Kind::Page);
            let delay = if page { DRIP } else { frame.delay };
            return me.send(Outgoing { delay, ..frame });
        }
        for raw in frames::bundles(&frame.payload) {
            if let Some(payload) = frames::rewritten(std::iter::once((0, raw.encoded))) {
                me.send(Outgoing { payload, delay: DRIP, ..frame.clone() });
            }
        }
    }
}

/// Says what it has, and hands over nothing.
#[derive(Debug)]
pub(super) struct Withholder;

impl Adversary for Withholder {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let serves = frame.lane == Lane::History
            && matches!(Kind::of(&frame.payload), Some(Kind::Bundles | Kind::Page));
        if !serves {
            me.send(frame);
        }
    }
}

/// Says that it keeps nothing from before a minute and a half ago, so that nobody misses what it does not list.
#[derive(Debug)]
pub(super) struct FloorLiar;

impl Adversary for FloorLiar {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        let floor = me.tick().saturating_sub(91_000 / u64::from(me.rules().tick_len().millis()).max(1));
        let payload = match Kind::of(&frame.payload) {
            Some(Kind::Tell) => match Frame::decode(frame.payload.clone()) {
                Ok(Frame::Tell(tell)) => wire::tell(&Tell { floor, answers: vec![Answer::Same], ..tell }),
                _ => return,
            },
            Some(Kind::Page) => match Frame::decode(frame.payload.clone()) {
                Ok(Frame::Page(page)) => wire::page(&wire::Page { floor, ..page }),
                _ => return,
            },
            Some(Kind::Bundles) if frame.lane == Lane::History => return,
            _ => return me.send(frame),
        };
        me.send(Outgoing { payload, ..frame });
    }
}

/// C18: says every five seconds that it has more, a thousand bundles from the beginning of time on.
#[derive(Debug)]
pub(super) struct Hinter {
    next: Mono,
}

/// As often as a link may.
const HINT_EVERY: Duration = Duration::from_secs(5);

impl Hinter {
    /// Begins at a moment of its own.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(1) }
    }
}

impl Adversary for Hinter {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        me.send(frame);
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(HINT_EVERY);
        let hint = wire::more(&More { topic: me.rules().id(), low: 0, count: 1_000 });
        for link in me.targets() {
            me.send(Outgoing::now(link, Lane::History, hint.clone()));
        }
    }
}

/// C7 and C8: asks for as much as a frame can, again and again.
#[derive(Debug)]
pub(super) struct AskFlooder {
    next: Mono,
    session: u32,
}

/// Between two of its questions to each link.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// What a minute has, in milliseconds.
const MINUTE_MS: u64 = 60_000;
/// `as_of` is a tick that contains a multiple of this, milliseconds.
const AS_OF_MS: u64 = 16_000;

impl AskFlooder {
    /// Begins at a moment of its own.
    pub(super) fn new(me: &mut Me) -> Self {
        Self { next: me.about(1), session: 1 << 30 }
    }

    /// The whole past in as many ranges as there may be, half of them with nothing in them.
    fn ask(&self, me: &mut Me) -> Option<Ask> {
        let len = me.rules().tick_len();
        let at = me.now().unix_ms.saturating_sub(MINUTE_MS);
        let as_of = len.tick_at(at.saturating_sub(at % AS_OF_MS));
        let step = as_of.checked_div(MAX_RANGES_PER_ASK as u64).filter(|step| *step > 0)?;
        let ranges = (0..MAX_RANGES_PER_ASK as u64).map(|part| AskedRange {
            lo: Bound::start_of(step.saturating_mul(part)),
            hi: Bound::start_of(step.saturating_mul(part.saturating_add(1))),
            count: (part % 2) as u32,
            hash: me.bytes(),
        });
        let ranges = ranges.collect();
        Some(Ask { topic: me.rules().id(), session: self.session, as_of, ranges })
    }

    fn fetch(&self, me: &Me) -> Fetch {
        let upto = Position { tick: me.tick(), slot: u16::MAX };
        let everybody = me.everybody().iter().take(MAX_RANGES_PER_FETCH).copied();
        let range = |author| FetchedRange { author, from: Mark { tick: 0, slot: 0 }, upto };
        let mut ranges: Vec<_> = everybody.map(range).collect();
        if ranges.is_empty() {
            ranges.push(range(me.victim()));
        }
        Fetch { topic: me.rules().id(), session: self.session, max_bytes: MAX_FETCH_BYTES, ranges }
    }
}

impl Adversary for AskFlooder {
    fn outgoing(&mut self, me: &mut Me, frame: Outgoing) {
        me.send(frame);
    }

    fn next_wake(&self) -> Option<Mono> {
        Some(self.next)
    }

    fn wake(&mut self, me: &mut Me) {
        self.next = me.now().mono.plus(ASK_EVERY);
        self.session = self.session.wrapping_add(1);
        let Some(ask) = self.ask(me) else { return };
        let frames = [wire::ask(&ask), wire::fetch(&self.fetch(me))];
        for link in me.targets() {
            for frame in &frames {
                me.send(Outgoing::now(link, Lane::History, frame.clone()));
            }
        }
    }
}
