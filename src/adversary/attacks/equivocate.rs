//! Liars that say two things at one position.

use std::time::Duration;

use crate::adversary::{Adversary, Me};
use crate::key::SecretKey;
use crate::protocol::{DELIVER_FUTURE, DELIVER_PAST, LinkId, Mono, RELAY_FUTURE, RELAY_PAST};
use crate::rumor::{Bundle, Position};

/// When they begin: links are up and greeted by then.
const BEGIN: u64 = 4;
const BODY: usize = 64;

/// Every other link, beginning with the first or with the second.
fn half(links: &[LinkId], second: bool) -> Vec<LinkId> {
    links.iter().skip(usize::from(second)).step_by(2).copied().collect()
}

/// B12 and B13: says one thing to half of its links and another, at the same position, to the other half: at once, or a
/// while later.
#[derive(Debug)]
pub(super) struct Equivocator {
    next: Option<Mono>,
    gap: Duration,
    position: Option<Position>,
}

impl Equivocator {
    /// The second word comes `gap` after the first.
    pub(super) fn new(me: &mut Me, gap: Duration) -> Self {
        Self { next: Some(me.about(BEGIN)), gap, position: None }
    }
}

impl Adversary for Equivocator {
    fn next_wake(&self) -> Option<Mono> {
        self.next
    }

    fn wake(&mut self, me: &mut Me) {
        let links = me.targets();
        let first = self.position.is_none();
        let position = *self.position.get_or_insert(Position { tick: me.tick(), slot: 0 });
        let word = me.seal(position, 1, BODY);
        me.push(&half(&links, !first), word.as_slice());
        self.next = first.then(|| me.now().mono.plus(self.gap));
    }
}

/// Between two trials of an [`EdgeEquivocator`].
const TRIAL: Duration = Duration::from_secs(2);
/// How many it makes: each costs everybody a conviction.
const TRIALS: usize = 8;
/// The second word of a trial is held back for up to this much: hold-backs are about 2 s.
const LONGEST_LAG_MS: usize = 3_000;

/// B37: conflicting words at the very edge of a window, each pair under a fresh key. Correct clocks differ, so some nodes find
/// the tick inside and others outside. Every other trial has its first word at the edge of the future and its second, minutes
/// later, at the edge of the past: who refused the first, for being early, must not deliver the second where who delivered
/// the first refuses the second, for being late.
#[derive(Debug)]
pub(super) struct EdgeEquivocator {
    next: Option<Mono>,
    /// Second words that are still held back.
    waiting: Vec<(Mono, Bundle)>,
    trial: Mono,
    trials: usize,
}

impl EdgeEquivocator {
    /// Begins once links are up.
    pub(super) fn new(me: &mut Me) -> Self {
        let at = me.about(BEGIN);
        Self { next: Some(at), waiting: Vec::new(), trial: at, trials: 0 }
    }

    /// A tick that is at the edge of one of the windows, by a clock that is up to half the allowed skew from ours; and how
    /// much later the second word comes.
    fn plan(&self, me: &mut Me) -> (u64, Duration) {
        const SKEW_MS: usize = 15_000;
        let clock = me.now().unix_ms as i64 + me.below(2 * SKEW_MS) as i64 - SKEW_MS as i64;
        let hold_back = me.rules().hold_back().unwrap_or_default();
        let relay_past = RELAY_PAST + hold_back;
        let (edge, lag) = if self.trials % 2 == 1 {
            let other_clock = Duration::from_millis(me.below(2 * SKEW_MS) as u64);
            let skew = Duration::from_millis(SKEW_MS as u64);
            (RELAY_FUTURE.as_millis() as i64, (RELAY_FUTURE + relay_past + other_clock).saturating_sub(skew))
        } else {
            let edges = [
                -(DELIVER_PAST.as_millis() as i64),
                DELIVER_FUTURE.as_millis() as i64,
                -(relay_past.as_millis() as i64),
                RELAY_FUTURE.as_millis() as i64,
            ];
            let which = me.below(edges.len());
            let lag = Duration::from_millis(me.below(LONGEST_LAG_MS) as u64);
            (edges.get(which).copied().unwrap_or_default(), lag)
        };
        (me.rules().tick_len().tick_at((clock + edge).max(0) as u64), lag)
    }
}

impl Adversary for EdgeEquivocator {
    fn next_wake(&self) -> Option<Mono> {
        self.next
    }

    fn wake(&mut self, me: &mut Me) {
        let now = me.now().mono;
        let links = me.targets();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(at, _)| *at <= now);
        self.waiting = later;
        for (_, word) in due {
            me.push(&half(&links, true), &[word]);
        }
        if self.trial <= now && self.trials < TRIALS {
            self.trials += 1;
            self.trial = now.plus(TRIAL);
            let key = SecretKey::from_seed(&me.bytes());
            let (tick, lag) = self.plan(me);
            let position = Position { tick, slot: 0 };
            let one = me.seal_as(&key, position, 1, BODY);
            let other = me.seal_as(&key, position, 1, BODY);
            me.push(&half(&links, false), one.as_slice());
            self.waiting.extend(other.map(|other| (now.plus(lag), other)));
        }
        let next_trial = (self.trials < TRIALS).then_some(self.trial);
        self.next = self.waiting.iter().map(|(at, _)| *at).chain(next_trial).min();
    }
}
