//! What may be spent in a time: it refills, may be overdrawn by one deed, and what was not used is given back.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::time::Duration;

use crate::protocol::time::Mono;

const SECOND: u128 = 1_000_000_000;

/// Units that come back at a rate. A [`Meter`](crate::protocol::meter::Meter) has a fixed rate and gives nothing back.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Bucket {
    per_second: u64,
    burst: i64,
    level: i64,
    at: Mono,
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

impl Bucket {
    /// A full one: `per_second` units over time, `burst` at once.
    pub(in crate::protocol) fn new(per_second: u64, burst: u64) -> Self {
        let burst = signed(burst.max(1));
        Self { per_second: per_second.max(1), burst, level: burst, at: Mono::default() }
    }

    /// From now on it fills at another rate.
    pub(in crate::protocol) fn set_rate(&mut self, now: Mono, per_second: u64, burst: u64) {
        self.refill(now);
        (self.per_second, self.burst) = (per_second.max(1), signed(burst.max(1)));
        self.level = self.level.min(self.burst);
    }

    fn refill(&mut self, now: Mono) {
        let since = now.since(self.at).as_nanos();
        let units = since.saturating_mul(self.per_second.into()).checked_div(SECOND).unwrap_or(0);
        if units == 0 {
            return;
        }
        self.level = self.level.saturating_add(i64::try_from(units).unwrap_or(i64::MAX)).min(self.burst);
        // What does not make a unit yet is not lost.
        let counted = units.saturating_mul(SECOND).checked_div(self.per_second.into()).unwrap_or(0);
        let counted = Duration::from_nanos(u64::try_from(counted).unwrap_or(u64::MAX));
        self.at = self.at.plus(counted).min(now);
    }

    /// Whether anything is there.
    pub(in crate::protocol) fn has_some(&mut self, now: Mono) -> bool {
        self.refill(now);
        self.level > 0
    }

    /// Spends, whether or not so much is there: what is missing is waited for.
    pub(in crate::protocol) fn spend(&mut self, now: Mono, units: u64) {
        self.refill(now);
        self.level = self.level.saturating_sub(signed(units));
    }

    /// What was spent and not needed.
    pub(in crate::protocol) fn give_back(&mut self, units: u64) {
        self.level = self.level.saturating_add(signed(units)).min(self.burst);
    }

    /// When there is something again; now, if there is.
    pub(in crate::protocol) fn has_some_at(&mut self, now: Mono) -> Mono {
        self.refill(now);
        let missing = u128::from(self.level.min(1).abs_diff(1));
        let nanos = missing.saturating_mul(SECOND).div_ceil(self.per_second.into());
        self.at.plus(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_rate_and_gives_back() {
        let at = |millis: u64| Mono::from_nanos(60_000_000_000 + millis * 1_000_000);
        let mut bucket = Bucket::new(1_000, 100);
        assert!(bucket.has_some(at(0)));
        assert_eq!(bucket.has_some_at(at(0)), at(0));
        bucket.spend(at(0), 600);
        assert!(!bucket.has_some(at(500)) && bucket.has_some(at(501)));
        bucket.spend(at(501), 1_001);
        assert_eq!(bucket.has_some_at(at(501)), at(1_502));
        bucket.give_back(1_000);
        assert!(!bucket.has_some(at(501)) && bucket.has_some(at(502)));
        // A rest of less than a unit is not lost, and no more than the burst is saved up.
        for step in 0..10 {
            bucket.spend(Mono::from_nanos(60_502_000_000 + step * 600_000), 0);
        }
        assert_eq!(bucket.level, 1 + 5);
        bucket.spend(at(1_000_000), 0);
        assert_eq!(bucket.level, 100);
        bucket.set_rate(at(1_000_000), 10, 5);
        bucket.spend(at(1_000_000), 5);
        assert_eq!(bucket.has_some_at(at(1_000_000)), at(1_000_100));
    }
}
