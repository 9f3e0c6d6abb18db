//! A session: one link is asked what it has of a topic, as of one moment, and what we lack of it is claimed.
//!
//! ```text
//!   Waiting ── a place is free ──> Asking ── told ──> Looking ── the store has answered ──> Claiming ──> Done
//!      ^                              │ too late, or the answer does not cover: Done           │ until each head has a place
//!      └────────────────── ranges are left ────────────────────────────────────────────────────┘
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;
use std::time::Duration;

use super::gaps::Claimed;
use super::heads::{Slice, ToAsk, Uncovered};
use super::ranges::Ranges;
use crate::protocol::Mono;
use crate::protocol::keeping::Held;
use crate::protocol::limits::{HEADS_A_LOOK, SESSION_ASKS, SESSION_BYTES, SESSION_HEADS};
use crate::protocol::random::Random;
use crate::rumor::TopicId;
use crate::wire::{Answer, Ask, AskedRange, Bound, Head, MAX_PAUSE_MS, MAX_RANGES_PER_ASK, Tell};

/// For how long a session may hold a place before others have their turn.
pub(in crate::protocol) const TURN_TIME: Duration = Duration::from_secs(5);
/// A session ends if none of its claims has closed for so long while it waits to make more.
const CLAIMS_STUCK: Duration = Duration::from_secs(10);

/// Why a link is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Why {
    /// It is its turn.
    Rotation,
    /// It has said that it has more.
    Hint,
}

/// How a session has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::protocol) struct Outcome {
    /// Something was not the same.
    pub(in crate::protocol) differed: bool,
    /// The link listed something that we lack and may keep.
    pub(in crate::protocol) lacked: bool,
    /// It said "no", and asked for this pause.
    pub(in crate::protocol) no: Option<Duration>,
    /// It did not answer in time, or not what was asked.
    pub(in crate::protocol) missed: bool,
    /// It was not asked about all: a bound was reached, or it took too long.
    pub(in crate::protocol) cut: bool,
}

impl Outcome {
    /// Whether the link was asked about all.
    pub(in crate::protocol) const fn has_asked_all(&self) -> bool {
        self.no.is_none() && !self.missed && !self.cut
    }

    /// Whether it was, and has nothing that we lack.
    pub(in crate::protocol) const fn is_clean(&self) -> bool {
        self.has_asked_all() && !self.lacked
    }
}

/// It waits for a place.
#[derive(Debug)]
struct Waiting {
    since: Mono,
    /// Its turn is not over: it need not wait for others.
    in_turn: bool,
}

/// A question is under way.
#[derive(Debug)]
struct Asking {
    ranges: Vec<(u32, ToAsk)>,
    since: Mono,
    deadline: Mono,
}

/// Heads that we don't know are looked for in the store.
#[derive(Debug)]
struct Looking {
    /// Each with whether we hold a later head of its author.
    waiting: VecDeque<(Head, bool)>,
    /// What the store is being asked about, and whether for bundles after it.
    asked: Vec<(Head, bool)>,
    later: bool,
    lacking: VecDeque<(Head, bool)>,
}

/// What we lack is claimed, as the link's claims become free.
#[derive(Debug)]
struct Claiming {
    lacking: VecDeque<(Head, bool)>,
    since: Mono,
}

#[derive(Debug)]
enum State {
    Waiting(Waiting),
    Asking(Asking),
    Looking(Looking),
    Claiming(Claiming),
    Done,
}

/// What the store is asked for a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Look {
    /// Whether these are held.
    Held(Vec<Head>),
    /// Whether something is held of their authors after them that is old.
    Later(Vec<Head>),
}

/// One session.
#[derive(Debug)]
pub(in crate::protocol) struct Session {
    number: u32,
    topic: TopicId,
    why: Why,
    as_of: u64,
    /// The told floor.
    floor: u64,
    queue: Ranges,
    /// Most ranges in the next question: as many as were answered, where the last answer stopped before its end.
    at_once: usize,
    asks: u32,
    bytes: usize,
    heads: usize,
    /// How long it has held its place in this turn.
    held_place: Duration,
    outcome: Outcome,
    state: State,
}

impl Session {
    /// A link will be asked about a range, as of the moment up to which it goes.
    pub(in crate::protocol) fn new(
        number: u32,
        topic: TopicId,
        why: Why,
        as_of: u64,
        range: AskedRange,
        dice: &mut Random,
        now: Mono,
    ) -> Self {
        let mut queue = Ranges::default();
        queue.add(0, ToAsk::new(range, 0), dice);
        Self {
            number,
            topic,
            why,
            as_of,
            floor: 0,
            queue,
            at_once: MAX_RANGES_PER_ASK,
            asks: 0,
            bytes: 0,
            heads: 0,
            held_place: Duration::ZERO,
            outcome: Outcome::default(),
            state: State::Waiting(Waiting { since: now, in_turn: true }),
        }
    }

    /// Its number on its link.
    pub(in crate::protocol) const fn number(&self) -> u32 {
        self.number
    }

    /// Why the link is asked.
    pub(in crate::protocol) const fn why(&self) -> Why {
        self.why
    }

    /// The tick up to which the compared set is defined.
    pub(in crate::protocol) const fn as_of(&self) -> u64 {
        self.as_of
    }

    #[cfg(test)]
    /// The floor that it was told.
    pub(in crate::protocol) const fn floor(&self) -> u64 {
        self.floor
    }

    /// How it has ended, if it has.
    pub(in crate::protocol) fn ended(&self) -> Option<Outcome> {
        matches!(self.state, State::Done).then_some(self.outcome)
    }

    /// Since when it waits for a place, and whether it need not wait for others.
    pub(in crate::protocol) const fn waits(&self) -> Option<(Mono, bool)> {
        match &self.state {
            State::Waiting(waiting) => Some((waiting.since, waiting.in_turn)),
            _ => None,
        }
    }

    /// Whether a question is under way: then it holds a place.
    pub(in crate::protocol) const fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking(_))
    }

    /// How many of our items lie in what is being asked: comparing the answer hashes them once at the most.
    pub(in crate::protocol) fn asked_items(&self, slice: &Slice) -> usize {
        let State::Asking(asking) = &self.state else { return 0 };
        let ranges = asking.ranges.iter().map(|(_, next)| next.range);
        ranges.map(|range| slice.range(&range.lo, &range.hi).len()).sum()
    }

    /// It has a place: what is asked now. `patience` is how long an answer may take.
    pub(in crate::protocol) fn ask(
        &mut self,
        patience: Duration,
        dice: &mut Random,
        now: Mono,
    ) -> Option<(Ask, Mono)> {
        let State::Waiting(waiting) = &self.state else { return None };
        if !waiting.in_turn {
            self.held_place = Duration::ZERO;
        }
        let ranges = self.queue.take(self.at_once, dice);
        self.asks = self.asks.saturating_add(1);
        let deadline = now.plus(patience.min(TURN_TIME.saturating_sub(self.held_place)));
        let asked = ranges.iter().map(|(_, next)| next.range).collect();
        self.state = State::Asking(Asking { ranges, since: now, deadline });
        let ask = Ask { topic: self.topic, session: self.number, as_of: self.as_of, ranges: asked };
        Some((ask, deadline))
    }

    /// An answer of so many bytes has come. Gives the heads that are not in our set. `latest` is the latest floor that leaves anything
    /// to compare.
    ///
    /// # Errors
    /// If it does not cover what was asked. The session has ended then.
    pub(in crate::protocol) fn told(
        &mut self,
        tell: &Tell,
        bytes: usize,
        latest: u64,
        slice: &Slice,
        dice: &mut Random,
        now: Mono,
    ) -> Result<Vec<Head>, Uncovered> {
        let asking = match std::mem::replace(&mut self.state, State::Done) {
            State::Asking(asking) => asking,
            other => {
                self.state = other;
                return Ok(Vec::new());
            }
        };
        self.held_place = self.held_place.saturating_add(now.since(asking.since));
        self.bytes = self.bytes.saturating_add(bytes);
        self.floor = self.floor.max(tell.floor);
        if tell.floor > latest {
            self.says_no(MAX_PAUSE_MS);
        }
        let answered = tell.answers.len();
        let stopped = answered < asking.ranges.len();
        self.at_once = if stopped { answered.max(1) } else { MAX_RANGES_PER_ASK };
        let mut heads = Vec::new();
        let mut answers = tell.answers.iter();
        for (depth, next) in asking.ranges {
            match answers.next() {
                _ if self.outcome.no.is_some() => {}
                // It has not come so far.
                None => self.queue_up(depth, next, slice, dice),
                Some(Answer::No { after_ms }) => self.says_no(*after_ms),
                Some(answer) => {
                    self.outcome.differed |= !matches!(answer, Answer::Same);
                    match slice.compare(&next.range, answer) {
                        Ok(compared) => {
                            heads.extend(compared.heads);
                            // Of a list that was cut the rest is next: a session sees the whole of a few ranges.
                            let deeper = depth.saturating_add(1);
                            for next in compared.ask_next {
                                self.queue_up(deeper, next, slice, dice);
                            }
                        }
                        Err(uncovered) => {
                            self.outcome.missed = true;
                            return Err(uncovered);
                        }
                    }
                }
            }
        }
        self.heads = self.heads.saturating_add(heads.len());
        Ok(heads)
    }

    fn says_no(&mut self, after_ms: u16) {
        self.outcome.no = Some(Duration::from_millis(after_ms.min(MAX_PAUSE_MS).into()));
        self.queue.clear();
    }

    /// A range waits to be asked about, as far as the link keeps anything of it.
    fn queue_up(&mut self, depth: u32, mut next: ToAsk, slice: &Slice, dice: &mut Random) {
        let floor = Bound::start_of(self.floor);
        if next.range.hi <= floor {
            return;
        }
        if next.range.lo < floor {
            next.range = slice.ask(floor, next.range.hi);
        }
        if !self.queue.add(depth, next, dice) {
            self.outcome.cut = true;
        }
    }

    /// These heads are not known: the store is asked about them. Each with whether we hold a later head of its author.
    pub(in crate::protocol) fn looks(&mut self, heads: Vec<(Head, bool)>, now: Mono) {
        if heads.is_empty() {
            return self.goes_on(now);
        }
        let (asked, lacking) = (Vec::new(), VecDeque::new());
        self.state = State::Looking(Looking { waiting: heads.into(), asked, later: false, lacking });
    }

    /// What the store is asked next; `None` if nothing is to be asked or a question is under way.
    pub(in crate::protocol) fn next_look(&mut self) -> Option<Look> {
        let State::Looking(looking) = &mut self.state else { return None };
        if !looking.asked.is_empty() || looking.waiting.is_empty() {
            return None;
        }
        let count = looking.waiting.len().min(HEADS_A_LOOK);
        (looking.asked, looking.later) = (looking.waiting.drain(..count).collect(), false);
        Some(Look::Held(looking.asked.iter().map(|(head, _)| *head).collect()))
    }

    /// The store has said which are held. Of those that are not, some may lie below what we hold: then it is asked once more.
    pub(in crate::protocol) fn looked(&mut self, held: &[Held], now: Mono) -> Option<Look> {
        let State::Looking(looking) = &mut self.state else { return None };
        let asked = std::mem::take(&mut looking.asked);
        let lacking =
            asked.into_iter().zip(held).filter(|(_, held)| **held != Held::Yes).map(|(head, _)| head);
        let (later, plain): (Vec<_>, Vec<_>) = lacking.partition(|(_, later)| *later);
        looking.lacking.extend(plain);
        if !later.is_empty() {
            let heads = later.iter().map(|(head, _)| *head).collect();
            (looking.asked, looking.later) = (later, true);
            return Some(Look::Later(heads));
        }
        self.looked_at_all(now);
        None
    }

    /// The store has said of which of them it holds something later that is old.
    pub(in crate::protocol) fn looked_later(&mut self, below: &[bool], now: Mono) {
        let State::Looking(looking) = &mut self.state else { return };
        if !looking.later {
            return;
        }
        let asked = std::mem::take(&mut looking.asked);
        looking.lacking.extend(asked.into_iter().zip(below).map(|((head, _), below)| (head, *below)));
        self.looked_at_all(now);
    }

    fn looked_at_all(&mut self, now: Mono) {
        let State::Looking(looking) = &mut self.state else { return };
        if !looking.asked.is_empty() || !looking.waiting.is_empty() {
            return;
        }
        let lacking = std::mem::take(&mut looking.lacking);
        self.outcome.lacked |= !lacking.is_empty();
        self.state = State::Claiming(Claiming { lacking, since: now });
    }

    /// The store could not be read: what we lack is not known.
    pub(in crate::protocol) fn look_failed(&mut self) {
        self.outcome.cut = true;
        self.state = State::Done;
    }

    /// Claims what it can. `claim` gives each head a place, or says that there is none now.
    pub(in crate::protocol) fn claims(&mut self, mut claim: impl FnMut(Head, bool) -> Claimed, now: Mono) {
        let State::Claiming(claiming) = &mut self.state else { return };
        while let Some((head, below)) = claiming.lacking.front() {
            if claim(*head, *below) == Claimed::Full {
                if now.since(claiming.since) >= CLAIMS_STUCK {
                    self.outcome.cut = true;
                    self.state = State::Done;
                }
                return;
            }
            claiming.lacking.pop_front();
        }
        self.goes_on(now);
    }

    /// When it is over if nothing of it closes, while it waits for that.
    pub(in crate::protocol) fn stuck_at(&self) -> Option<Mono> {
        match &self.state {
            State::Claiming(claiming) => Some(claiming.since.plus(CLAIMS_STUCK)),
            _ => None,
        }
    }

    /// A claim of this link has closed.
    pub(in crate::protocol) fn claim_closed(&mut self, now: Mono) {
        if let State::Claiming(claiming) = &mut self.state {
            claiming.since = now;
        }
    }

    fn goes_on(&mut self, now: Mono) {
        let spent = self.asks >= SESSION_ASKS || self.bytes >= SESSION_BYTES || self.heads >= SESSION_HEADS;
        if self.queue.is_empty() || spent {
            self.outcome.cut |= !self.queue.is_empty();
            self.queue.clear();
            self.state = State::Done;
            return;
        }
        // What is left of a turn must be worth a question.
        let in_turn = TURN_TIME.saturating_sub(self.held_place) >= Duration::from_secs(1);
        self.state = State::Waiting(Waiting { since: now, in_turn });
    }

    /// The answer is late, if it is. Then the session has ended.
    pub(in crate::protocol) fn is_overdue(&mut self, now: Mono) -> bool {
        let late = matches!(&self.state, State::Asking(asking) if asking.deadline <= now);
        if late {
            self.outcome.missed = true;
            self.state = State::Done;
        }
        late
    }

    /// It ends for another, or because its moment is too long ago.
    pub(in crate::protocol) fn is_cut(&mut self) {
        self.outcome.cut = true;
        self.state = State::Done;
    }
}

#[cfg(test)]
mod tests;
