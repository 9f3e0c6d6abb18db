//! Whether our wall clock is right: by the clocks of our links, and by what comes in.
//!
//! A peer tells its clock in its hello. From then on the monotonic clock says what the peer's shows: so a wall clock that jumps is
//! known at once, without a word from anybody, and one that is set right again as well.

use crate::protocol::limits::{RELAY_FUTURE, RELAY_PAST};
use crate::protocol::links::clock::offset;
use crate::protocol::time::{Mono, Now};
use crate::protocol::topics::window::MAX_SKEW;

/// A clock further than this from the median of its links' is reported; where there are too few of them, one beyond the skew.
const CLOCK_ALARM_MS: i64 = 10_000;
/// Fewer links than this can't tell whose clock is wrong.
const CLOCK_QUORUM: usize = 3;
/// A wall clock that goes further than this against the monotonic clock between two inputs has jumped: it is looked at at once, and
/// else every second. (Guess; what costs nothing need not be exact.)
const JUMP_MS: u64 = 3_000;
/// A wall clock that has gone further than this against the monotonic clock, since links last agreed with it, removes nothing. (Twice
/// the skew.)
const JUMP_CONFIRMED_MS: u64 = 60_000;
/// For how long nothing that comes in may lie inside the window until it is told, and how many bundles that must be.
const UNHEARD_FOR: std::time::Duration = std::time::Duration::from_secs(30);
const UNHEARD: u64 = 3;

/// What was seen of the clock, and of the window by what came in.
#[derive(Debug)]
pub(in crate::protocol) struct ClockWatch {
    offset_ms: i64,
    /// The same when links last agreed with it, or at the start.
    confirmed_ms: i64,
    /// Links say that it is off by more than the skew.
    doubted: bool,
    /// Whether the application has been told that it is off.
    skewed: bool,
    /// It has jumped, and peers have not been told.
    untold: bool,
    /// How far it is ahead of the links' clocks, by what they say together, milliseconds.
    ahead_ms: i64,
    /// Since when, and how many bundles had come from outside the window by then.
    since: Mono,
    outside: u64,
}

/// What the clocks of the links say about ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct ClockVerdict {
    /// It began to be off by more than is reported: by so many milliseconds, ahead.
    pub(in crate::protocol) alarm: Option<i64>,
    /// Nothing should be said by it.
    pub(in crate::protocol) wrong: bool,
}

/// What what comes in says about our window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Hearing {
    /// Something genuine and new has come in.
    Heard,
    /// All that came in for [`UNHEARD_FOR`] lay outside the window.
    Unheard,
    /// Nothing came in for [`UNHEARD_FOR`] that could lie outside.
    Quiet,
    /// Too little has come in to tell.
    Unknown,
}

impl ClockWatch {
    pub(in crate::protocol) fn new(now: Now) -> Self {
        Self {
            offset_ms: offset(now),
            confirmed_ms: offset(now),
            doubted: false,
            skewed: false,
            untold: false,
            ahead_ms: 0,
            since: now.mono,
            outside: 0,
        }
    }

    /// Whether the wall clock has jumped since the last input.
    pub(in crate::protocol) fn jumps(&mut self, now: Now) -> bool {
        let before = std::mem::replace(&mut self.offset_ms, offset(now));
        let jumps = self.offset_ms.abs_diff(before) > JUMP_MS;
        self.untold |= jumps;
        jumps
    }

    /// Whether peers should be told what the clock shows now. Asked once a second, so that a clock that jumps to and fro is told no
    /// more often.
    pub(in crate::protocol) fn is_to_be_told(&mut self) -> bool {
        std::mem::take(&mut self.untold)
    }

    /// How far it is ahead of the links' clocks, milliseconds, by the last judgement.
    pub(in crate::protocol) const fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    /// Whether something may be removed by it: no link calls it wrong, and since one last agreed with it, or since the start, it has
    /// not jumped.
    pub(in crate::protocol) const fn is_confirmed(&self) -> bool {
        !self.doubted && self.offset_ms.abs_diff(self.confirmed_ms) <= JUMP_CONFIRMED_MS
    }

    /// Judges it by how far it is ahead of each live link's, `ahead`, and of those links that we dialled, `dialled`. `None` without a
    /// link: there is nobody to ask, and nobody to tell anything.
    pub(in crate::protocol) fn judge(&mut self, ahead: Vec<i64>, dialled: Vec<i64>) -> Option<ClockVerdict> {
        if ahead.is_empty() {
            return None;
        }
        let (all, of_ours) = (ahead.len(), dialled.len());
        let (median, ours) = (together(ahead), together(dialled));
        // A few can't tell whose clock is wrong, but what is said beyond the skew is delivered by none of them.
        let few = i64::try_from(MAX_SKEW.as_millis()).unwrap_or(i64::MAX);
        let limit = if all >= CLOCK_QUORUM { CLOCK_ALARM_MS } else { few };
        let skewed = median.saturating_abs() > limit;
        let before = std::mem::replace(&mut self.skewed, skewed);
        self.ahead_ms = median;
        self.doubted = u128::from(median.unsigned_abs()) > MAX_SKEW.as_millis();
        if !self.doubted {
            self.confirmed_ms = self.offset_ms;
        }
        // Nobody who came to us, however many they are, makes us fall silent.
        let wrong = is_wrong(all, median) && (of_ours == 0 || is_wrong(of_ours, ours));
        Some(ClockVerdict { alarm: (skewed && !before).then_some(median), wrong })
    }

    /// Once a second: whether all that comes in lies outside the window, for whatever reason. `outside` counts those bundles since
    /// the beginning; `heard_at` is when something genuine and new last came in.
    pub(in crate::protocol) fn hearing(
        &mut self,
        now: Mono,
        outside: u64,
        heard_at: Option<Mono>,
    ) -> Hearing {
        let hearing = if heard_at.is_some_and(|at| at >= self.since) {
            Hearing::Heard
        } else if now.since(self.since) < UNHEARD_FOR {
            return Hearing::Unknown;
        } else if outside.saturating_sub(self.outside) >= UNHEARD {
            Hearing::Unheard
        } else if outside == self.outside {
            Hearing::Quiet
        } else {
            Hearing::Unknown
        };
        (self.since, self.outside) = (now, outside);
        hearing
    }
}

/// What several links say together: from three on the median, else what all agree in, or 0.
fn together(mut ahead: Vec<i64>) -> i64 {
    ahead.sort_unstable();
    if ahead.len() >= CLOCK_QUORUM {
        return ahead.get(ahead.len() / 2).copied().unwrap_or_default();
    }
    let (least, most) =
        (ahead.first().copied().unwrap_or_default(), ahead.last().copied().unwrap_or_default());
    if least > 0 {
        least
    } else if most < 0 {
        most
    } else {
        0
    }
}

/// Whether nothing should be said by a clock that is so far ahead of so many links': correct nodes may ignore it beyond the skew.
/// A few links can't tell whose clock is wrong; but beyond the relay window they pass nothing on.
fn is_wrong(links: usize, ahead_ms: i64) -> bool {
    let limit = match (links >= CLOCK_QUORUM, ahead_ms < 0) {
        (true, _) => MAX_SKEW,
        (false, true) => RELAY_PAST,
        (false, false) => RELAY_FUTURE,
    };
    u128::from(ahead_ms.unsigned_abs()) > limit.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::links::clock::PeerClock;

    #[test]
    fn few_links_say_only_what_all_of_them_say() {
        assert_eq!(together(vec![]), 0);
        assert_eq!(together(vec![70_000]), 70_000);
        assert_eq!(together(vec![70_000, 90_000]), 70_000);
        assert_eq!(together(vec![-70_000, -90_000]), -70_000);
        assert_eq!(together(vec![-70_000, 90_000]), 0);
        assert_eq!(together(vec![1, 90_000, 3]), 3);
        assert!(is_wrong(3, 30_001) && is_wrong(3, -30_001) && !is_wrong(3, 30_000));
        assert!(is_wrong(2, 60_001) && !is_wrong(2, 60_000) && is_wrong(1, -90_001) && !is_wrong(1, -90_000));
    }

    #[test]
    fn no_clock_of_a_peer_makes_numbers_overflow() {
        for clock_ms in [0, u64::MAX, 1 << 63] {
            let clock = PeerClock::new(clock_ms, Mono::from_nanos(u64::MAX));
            for now in [Now::default(), Now { mono: Mono::from_nanos(u64::MAX), unix_ms: u64::MAX }] {
                let _ = is_wrong(1, clock.ahead_ms(now));
            }
        }
    }
}
