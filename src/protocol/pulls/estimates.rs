//! What pulls have taken lately, and whether they went unserved: how long the next is waited for, and whom to doubt.

use std::time::Duration;

use crate::protocol::limits::SERVES_FOR;
use crate::protocol::links::LAST_RESORT;
use crate::protocol::time::Mono;

/// After a pull went unserved, links that have never brought anything are doubted for so long: as long as strikes last.
/// In an honest network that misses one now and then it costs a few copies.
const WARY: Duration = LAST_RESORT;
/// Above this the estimate of the median is of no use: no pull waits longer than 2 s.
const LONGEST_SERVE: Duration = Duration::from_secs(1);
/// Bounds of the patience with a pull.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(60);
const LONGEST_PATIENCE: Duration = Duration::from_secs(2);

/// What the pulls of all links together have shown.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Estimates {
    /// Running estimate of the median time from pull to copy.
    median_serve: Option<Duration>,
    /// When a pull last went unserved.
    last_miss: Option<Mono>,
    /// When a link last answered a pull so late that nothing more was expected of it.
    late_answer_at: Option<Mono>,
}

impl Estimates {
    /// A pull took this long. A median by small steps towards each sample: robust against the minority who are slow on purpose.
    pub(in crate::protocol) fn sample(&mut self, took: Duration) {
        let median = self.median_serve.unwrap_or(took);
        let step = (median / 16).max(Duration::from_micros(50));
        let moved = if took > median { median.saturating_add(step) } else { median.saturating_sub(step) };
        self.median_serve = Some(moved.min(LONGEST_SERVE));
    }

    /// How long to wait for a pulled copy over a link with this round trip before it counts as unserved.
    pub(in crate::protocol) fn patience(&self, rtt: Duration) -> Duration {
        let by_rtt = rtt.saturating_mul(2).saturating_add(Duration::from_millis(50));
        let by_service = self.median_serve.unwrap_or_default().saturating_mul(3);
        by_rtt.max(by_service).clamp(SHORTEST_PATIENCE, LONGEST_PATIENCE)
    }

    /// A pull went unserved.
    pub(in crate::protocol) const fn missed(&mut self, now: Mono) {
        self.last_miss = Some(now);
    }

    /// Whether pulls go unserved, so that there may be liars among those who announce.
    pub(in crate::protocol) fn is_wary(&self, now: Mono) -> bool {
        self.last_miss.is_some_and(|at| now.since(at) < WARY)
    }

    /// A pull was answered when nothing more was expected of it.
    pub(in crate::protocol) const fn answered_late(&mut self, now: Mono) {
        self.late_answer_at = Some(now);
    }

    /// Whether links are slower than they are given time for: then who is late is no liar.
    pub(in crate::protocol) fn is_pressed(&self, now: Mono) -> bool {
        self.late_answer_at.is_some_and(|at| now.since(at) < SERVES_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_follows_the_many_and_patience_has_bounds() {
        let (quick, slow) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut estimates = Estimates::default();
        assert_eq!(estimates.patience(Duration::ZERO), SHORTEST_PATIENCE);
        for round in 0..300 {
            estimates.sample(if round % 3 == 0 { slow } else { quick });
        }
        let patience = estimates.patience(Duration::ZERO);
        assert!(patience > quick * 2 && patience < quick * 6, "{patience:?}");
        (0..300).for_each(|_| estimates.sample(slow));
        assert_eq!(estimates.patience(Duration::MAX), LONGEST_PATIENCE);
    }

    #[test]
    fn wariness_and_pressure_end() {
        let at = |seconds| Mono::default().plus(Duration::from_secs(seconds));
        let mut estimates = Estimates::default();
        assert!(!estimates.is_wary(at(5)) && !estimates.is_pressed(at(5)));
        estimates.missed(at(5));
        estimates.answered_late(at(5));
        assert!(estimates.is_wary(at(6)) && estimates.is_pressed(at(6)));
        let (wary, pressed) = (at(5).plus(WARY), at(5).plus(SERVES_FOR));
        assert!(!estimates.is_wary(wary) && !estimates.is_pressed(pressed));
    }
}
