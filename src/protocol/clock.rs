//! Whether our wall clock is right: by the clocks of our links, and by what comes in.
//!
//! A peer tells its clock in its hello. From then on the monotonic clock says what the peer's shows: so a wall clock that jumps is
//! known at once, without a word from anybody, and one that is set right again as well.

use super::engine::Engine;
use super::limits::{RELAY_FUTURE, RELAY_PAST};
use super::link::Link;
use super::time::Now;
use super::window::MAX_SKEW;
use super::{Event, Impairment, Mono};

/// A clock further than this from the median of its links' is reported.
const CLOCK_ALARM_MS: i64 = 10_000;
/// Fewer links than this can't tell whose clock is wrong.
const CLOCK_QUORUM: usize = 3;
/// A wall clock that goes further than this against the monotonic clock between two inputs has jumped: it is looked at at once, and
/// else every second. (Guess; what costs nothing need not be exact.)
const JUMP_MS: u64 = 3_000;
/// How far two clocks may run apart, in milliseconds for each: a crystal is good to 100 ppm, and here are two. What a link said
/// long ago is believed so much less.
const DRIFT: i64 = 5_000;
/// For how long nothing that comes in may lie inside the window until it is told, and how many bundles that must be.
const UNHEARD_FOR: std::time::Duration = std::time::Duration::from_secs(30);
const UNHEARD: u64 = 3;

/// A peer's clock, as its hello told it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerClock {
    /// The peer's Unix time less our monotonic time, milliseconds.
    ahead_of_mono: i64,
    at: Mono,
}

impl PeerClock {
    pub(super) fn new(clock_ms: u64, now: Mono) -> Self {
        Self { ahead_of_mono: difference(clock_ms, millis(now)), at: now }
    }

    /// How far our clock is ahead of it, milliseconds, towards zero by what the two may have drifted apart since.
    fn ahead_ms(&self, now: Now) -> i64 {
        let ahead = offset(now).saturating_sub(self.ahead_of_mono);
        let drift = i64::try_from(now.mono.since(self.at).as_millis()).unwrap_or(i64::MAX) / DRIFT;
        ahead.signum().saturating_mul(ahead.saturating_abs().saturating_sub(drift).max(0))
    }
}

/// What was seen of the clock, and of the window by what came in.
#[derive(Debug)]
pub(super) struct ClockWatch {
    offset_ms: i64,
    /// Whether the application has been told that it is off.
    skewed: bool,
    /// It has jumped, and peers have not been told.
    untold: bool,
    /// Since when, and how many bundles had come from outside the window by then.
    since: Mono,
    outside: u64,
}

impl ClockWatch {
    pub(super) fn new(now: Now) -> Self {
        Self { offset_ms: offset(now), skewed: false, untold: false, since: now.mono, outside: 0 }
    }

    /// Whether the wall clock has jumped since the last input.
    pub(super) fn jumps(&mut self, now: Now) -> bool {
        let before = std::mem::replace(&mut self.offset_ms, offset(now));
        let jumps = self.offset_ms.abs_diff(before) > JUMP_MS;
        self.untold |= jumps;
        jumps
    }

    /// Whether peers should be told what the clock shows now. Asked once a second, so that a clock that jumps to and fro is told no
    /// more often.
    pub(super) fn is_to_be_told(&mut self) -> bool {
        std::mem::take(&mut self.untold)
    }
}

fn millis(mono: Mono) -> u64 {
    mono.as_nanos() / 1_000_000
}

fn difference(a: u64, b: u64) -> i64 {
    (i128::from(a) - i128::from(b)).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// The wall clock less the monotonic clock.
fn offset(now: Now) -> i64 {
    difference(now.unix_ms, millis(now.mono))
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

impl Engine {
    /// Looks at the clock: when a peer tells its own, when ours has jumped, and every second.
    pub(super) fn check_clock(&mut self) {
        let now = self.now;
        let live = |link: &&Link| link.live && !link.closing;
        let ahead: Vec<_> = self.links.iter().filter(live).map(|link| link.clock.ahead_ms(now)).collect();
        let dialled = self.links.iter().filter(live).filter(|link| link.dialled);
        let dialled: Vec<_> = dialled.map(|link| link.clock.ahead_ms(now)).collect();
        if ahead.is_empty() {
            // Nobody to ask, and nobody to tell anything.
            return;
        }
        let (all, of_ours) = (ahead.len(), dialled.len());
        let (median, ours) = (together(ahead), together(dialled));
        let skewed = all >= CLOCK_QUORUM && median.saturating_abs() > CLOCK_ALARM_MS;
        if skewed && !self.clock.skewed {
            self.event(Event::ClockSkew { ahead_ms: median });
        }
        self.clock.skewed = skewed;
        self.ahead_ms = median;
        // Nobody who came to us, however many they are, makes us fall silent.
        if is_wrong(all, median) && (of_ours == 0 || is_wrong(of_ours, ours)) {
            self.impair(Impairment::Clock, None);
        } else if self.health.has(Impairment::Clock) {
            self.recover(Impairment::Clock);
            self.desk.wake_all();
        }
    }

    /// Once a second: whether all that comes in lies outside the window, for whatever reason.
    pub(super) fn check_hearing(&mut self) {
        let (now, outside) = (self.now.mono, self.counters.outside_relay_window);
        if self.heard_at.is_some_and(|at| at >= self.clock.since) {
            self.recover(Impairment::Unheard);
        } else if now.since(self.clock.since) < UNHEARD_FOR {
            return;
        } else if outside.saturating_sub(self.clock.outside) >= UNHEARD {
            self.impair(Impairment::Unheard, None);
        }
        (self.clock.since, self.clock.outside) = (now, outside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_clock_is_believed_less_the_longer_ago_it_was_told() {
        let at =
            |seconds: u64, unix_ms: u64| Now { mono: Mono::from_nanos(seconds * 1_000_000_000), unix_ms };
        let day = 86_400;
        let clock = PeerClock::new(1_000_000_000, at(7, 0).mono);
        assert_eq!(clock.ahead_ms(at(7, 1_000_000_500)), 500);
        assert_eq!(clock.ahead_ms(at(8, 1_000_001_500)), 500);
        // A step of a minute by which an operator makes up for a month of drift is no reason for silence; one of an hour is.
        let month = 1_000_000_000 + 30 * day * 1_000;
        assert_eq!(clock.ahead_ms(at(7 + 30 * day, month + 60_000)), 0);
        assert!(clock.ahead_ms(at(7 + 30 * day, month - 3_600_000)) < -3_000_000);
    }

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
