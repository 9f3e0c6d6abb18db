//! How well a link serves the past: a record of its own, apart from how it serves what is new.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::Mono;
use crate::protocol::limits::FETCHES_OF_LINK;
use crate::wire::MAX_FETCH_BYTES;

/// What a link is asked for first.
const FIRST_BYTES: u32 = 64 * 1024;
/// A link is asked for what it has brought in its last seconds of fetching.
const LAST: Duration = Duration::from_secs(4);
/// A link that failed is asked for less until so long after.
const MISSED_FOR: Duration = Duration::from_secs(60);
/// For how long a strike puts a link behind others.
const STRUCK_FOR: Duration = Duration::from_secs(600);
/// Most misses, and most strikes, that count.
const COUNTED: usize = 8;
/// Fetches that are remembered for the rate. (Those of the last four seconds; of many quick ones the last are enough.)
const RATED: usize = 16;

/// What one link has brought of the past.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Brings {
    /// The last fetches, each with how long it took.
    last: VecDeque<(u64, Duration)>,
    misses: VecDeque<Mono>,
    strikes: VecDeque<Mono>,
}

/// In what order links are asked: those that others had to make up for come last, then by failures, then by their rate.
pub(in crate::protocol) type Rank = (usize, usize, std::cmp::Reverse<u64>);

impl Brings {
    /// A fetch is over: so many bytes in that time.
    pub(in crate::protocol) fn served(&mut self, bytes: usize, took: Duration) {
        self.last.push_front((u64::try_from(bytes).unwrap_or(u64::MAX), took));
        self.last.truncate(RATED);
    }

    /// It did not answer in time, or with nothing.
    pub(in crate::protocol) fn missed(&mut self, now: Mono) {
        self.misses.push_front(now);
        self.misses.truncate(COUNTED);
    }

    /// It did not give what another had to give.
    pub(in crate::protocol) fn struck(&mut self, now: Mono) {
        self.strikes.push_front(now);
        self.strikes.truncate(COUNTED);
    }

    /// Bytes that it has brought in its last seconds of fetching.
    fn rate(&self) -> Option<u64> {
        let (mut bytes, mut took) = (0u64, Duration::ZERO);
        for (of, time) in &self.last {
            let left = LAST.saturating_sub(took);
            if left.is_zero() {
                break;
            }
            // Of a fetch that took longer, the part that fits.
            let part =
                of.saturating_mul(millis(left)).checked_div(millis(*time)).map_or(*of, |part| part.min(*of));
            bytes = bytes.saturating_add(part);
            took = took.saturating_add(*time);
        }
        (!self.last.is_empty()).then_some(bytes)
    }

    /// How many bytes it is asked for next.
    pub(in crate::protocol) fn allowance(&self) -> u32 {
        let rate = self.rate().map_or(FIRST_BYTES, |rate| u32::try_from(rate).unwrap_or(u32::MAX));
        rate.clamp(1, MAX_FETCH_BYTES)
    }

    /// How many fetches it is given at a time.
    pub(in crate::protocol) fn at_once(&self, now: Mono) -> usize {
        let missed = self.misses.front().is_some_and(|at| now.since(*at) < MISSED_FOR);
        if missed { 1 } else { FETCHES_OF_LINK }
    }

    /// How often others had to make up for it lately.
    pub(in crate::protocol) fn strikes(&self, now: Mono) -> usize {
        self.strikes.iter().filter(|at| now.since(**at) < STRUCK_FOR).count()
    }

    /// Where it stands among others.
    pub(in crate::protocol) fn rank(&self, now: Mono) -> Rank {
        let misses = self.misses.iter().filter(|at| now.since(**at) < MISSED_FOR).count();
        (self.strikes(now), misses, std::cmp::Reverse(self.rate().unwrap_or(0)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_nanos(5_000_000_000_000);

    #[test]
    fn a_link_is_asked_for_what_it_brought_in_its_last_seconds() {
        let mut link = Brings::default();
        assert_eq!(link.allowance(), FIRST_BYTES);
        for (bytes, expected) in [(64 << 10, 64 << 10), (64 << 10, 128 << 10), (128 << 10, 256 << 10)] {
            link.served(bytes, Duration::from_millis(10));
            assert_eq!(link.allowance(), expected);
        }
        link.served(256 << 10, Duration::from_millis(10));
        assert_eq!(link.allowance(), MAX_FETCH_BYTES);
        // 12 KiB a second.
        link.served(60 << 10, Duration::from_secs(5));
        assert_eq!(link.allowance(), 48 << 10);
        link.served(0, Duration::from_secs(9));
        assert_eq!(link.allowance(), 1, "one bundle is sent in any case");
    }

    #[test]
    fn who_fails_is_asked_later_and_for_less_until_it_is_forgotten() {
        let (mut good, mut bad, mut struck) = (Brings::default(), Brings::default(), Brings::default());
        good.served(9_000, Duration::from_secs(1));
        bad.served(90_000, Duration::from_secs(1));
        assert!(bad.rank(NOW) < good.rank(NOW) && good.rank(NOW) < Brings::default().rank(NOW));
        bad.missed(NOW);
        struck.struck(NOW);
        assert!(good.rank(NOW) < bad.rank(NOW) && bad.rank(NOW) < struck.rank(NOW));
        assert_eq!((good.at_once(NOW), bad.at_once(NOW)), (2, 1));
        let later = NOW.plus(STRUCK_FOR);
        assert_eq!((bad.at_once(later), struck.strikes(later)), (2, 0));
        (0..100).for_each(|_| (bad.missed(NOW), bad.struck(NOW), bad.served(1, Duration::ZERO)).0);
        assert_eq!((bad.misses.len(), bad.strikes.len(), bad.last.len()), (COUNTED, COUNTED, RATED));
    }
}
