//! The clock of a peer, by its hellos.

use crate::protocol::time::{Mono, Now};

/// How far two clocks may run apart, in milliseconds for each: a crystal is good to 100 ppm, and here are two. What a link said
/// long ago is believed so much less.
const DRIFT: i64 = 5_000;

/// A peer's clock, as its hello told it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::protocol) struct PeerClock {
    /// The peer's Unix time less our monotonic time, milliseconds.
    ahead_of_mono: i64,
    at: Mono,
}

impl PeerClock {
    pub(in crate::protocol) fn new(clock_ms: u64, now: Mono) -> Self {
        Self { ahead_of_mono: difference(clock_ms, millis(now)), at: now }
    }

    /// How far our clock is ahead of it, milliseconds, towards zero by what the two may have drifted apart since.
    pub(in crate::protocol) fn ahead_ms(&self, now: Now) -> i64 {
        let ahead = offset(now).saturating_sub(self.ahead_of_mono);
        let drift = i64::try_from(now.mono.since(self.at).as_millis()).unwrap_or(i64::MAX) / DRIFT;
        ahead.signum().saturating_mul(ahead.saturating_abs().saturating_sub(drift).max(0))
    }
}

fn millis(mono: Mono) -> u64 {
    mono.as_nanos() / 1_000_000
}

fn difference(a: u64, b: u64) -> i64 {
    (i128::from(a) - i128::from(b)).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// The wall clock less the monotonic clock.
pub(in crate::protocol) fn offset(now: Now) -> i64 {
    difference(now.unix_ms, millis(now.mono))
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
}
