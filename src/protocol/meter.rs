//! A meter of what is used up and refills.

use std::time::Duration;

use super::time::Mono;

/// The generic cell rate algorithm (ITU-T I.371): a theoretical arrival time that runs ahead of the clock by what was
/// used, at `nanos_per_unit`, and may run ahead by `burst`. One number of state, no ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    /// Nanoseconds that one unit takes at the sustained rate, times 2^16 so that fast rates keep their precision.
    scaled_nanos_per_unit: u64,
    burst: Duration,
    ahead_of: Mono,
}

const SCALE: u32 = 16;

impl Meter {
    /// How far it is used up ahead of time, as time in which it refills.
    #[cfg(test)]
    pub(super) const fn drawn_ahead(&self, now: Mono) -> Duration {
        self.ahead_of.since(now)
    }

    /// `per_second` units a second over time, `burst` units at once.
    pub(super) fn new(per_second: u64, burst: u64) -> Self {
        let scaled = ((1_000_000_000u128 << SCALE) / u128::from(per_second.max(1))) as u64;
        let burst = Duration::from_nanos(Self::cost(scaled, burst));
        Self { scaled_nanos_per_unit: scaled, burst, ahead_of: Mono::default() }
    }

    fn cost(scaled: u64, units: u64) -> u64 {
        u64::try_from((u128::from(scaled) * u128::from(units)) >> SCALE).unwrap_or(u64::MAX)
    }

    /// Uses `units`, whether or not they are there: the debt is paid by waiting.
    pub(super) fn charge(&mut self, now: Mono, units: u64) {
        let cost = Self::cost(self.scaled_nanos_per_unit, units);
        self.ahead_of = self.ahead_of.max(now).plus(Duration::from_nanos(cost));
    }

    /// As [`Meter::charge`], but the debt never takes longer than `most` to pay.
    pub(super) fn charge_up_to(&mut self, now: Mono, units: u64, most: Duration) {
        self.charge(now, units);
        self.ahead_of = self.ahead_of.min(now.plus(self.burst + most));
    }

    /// Whether `units` could be used without a debt.
    pub(super) fn allows(&self, now: Mono, units: u64) -> bool {
        let cost = Self::cost(self.scaled_nanos_per_unit, units);
        self.ahead_of.max(now).plus(Duration::from_nanos(cost)) <= now.plus(self.burst)
    }

    /// From when on `units` could be used without a debt, if nothing is used before.
    pub(super) fn allows_from(&self, now: Mono, units: u64) -> Mono {
        let cost = Self::cost(self.scaled_nanos_per_unit, units);
        let ahead = self.ahead_of.max(now).plus(Duration::from_nanos(cost)).since(now);
        now.plus(ahead.saturating_sub(self.burst))
    }

    /// When the debt is paid, if there is one.
    pub(super) fn overdrawn_until(&self, now: Mono) -> Option<Mono> {
        let over = self.ahead_of.since(now);
        let debt = over.checked_sub(self.burst)?;
        (!debt.is_zero()).then(|| now.plus(debt))
    }
}
