//! What a link may cost us: GCRA meters over bytes and CPU time.

use std::time::Duration;

use super::time::{Mono, nanos};

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

    /// When the debt is paid, if there is one.
    pub(super) fn overdrawn_until(&self, now: Mono) -> Option<Mono> {
        let over = self.ahead_of.since(now);
        let debt = over.checked_sub(self.burst)?;
        (!debt.is_zero()).then(|| now.plus(debt))
    }
}

/// The meters of one link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Unsolicited bytes in, and bytes that its pulls make us send.
    pub(super) bytes: Meter,
    /// Bytes that came because we had pulled them, at the same rate. We read on when it is overdrawn, and pull nothing more:
    /// whoever only announces what it holds is not stopped for serving it.
    pub(super) pulled: Meter,
    /// Nanoseconds of CPU.
    cpu: Meter,
}

impl Budget {
    pub(super) fn new(config: &super::Config) -> Self {
        Self {
            bytes: Meter::new(config.budget.bytes_per_s, config.budget.bytes_burst),
            pulled: Meter::new(config.budget.bytes_per_s, config.budget.bytes_burst),
            cpu: Meter::new(nanos(config.budget.cpu_per_s), nanos(config.budget.cpu_burst)),
        }
    }

    pub(super) fn charge_cpu(&mut self, now: Mono, cost: Duration) {
        self.cpu.charge(now, nanos(cost));
    }

    /// CPU time that was charged and has not been earned back.
    #[cfg(test)]
    pub(super) fn cpu_charged(&self, now: Mono) -> Duration {
        // At a quarter of a core, what is to be waited for is four times what was charged.
        self.cpu.ahead_of.since(now) / 4
    }

    /// A reply of `len` bytes to a pull that asked for `asked`. Beyond what was asked for, it is like any push.
    pub(super) fn charge_reply(&mut self, now: Mono, len: usize, asked: usize) {
        self.pulled.charge(now, len.min(asked) as u64);
        self.bytes.charge(now, len.saturating_sub(asked) as u64);
    }

    /// When reading may go on, if it must stop.
    pub(super) fn overdrawn_until(&self, now: Mono) -> Option<Mono> {
        self.bytes.overdrawn_until(now).max(self.cpu.overdrawn_until(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_holds_its_rate_and_its_burst() {
        let mut meter = Meter::new(1_000, 100);
        let start = Mono::from_nanos(5_000_000_000);
        assert!(meter.allows(start, 100) && !meter.allows(start, 102));
        meter.charge(start, 100);
        assert_eq!(meter.overdrawn_until(start), None);
        meter.charge(start, 50);
        let until = meter.overdrawn_until(start).unwrap();
        let wait = until.since(start);
        assert!(wait > Duration::from_millis(49) && wait < Duration::from_millis(51), "{wait:?}");
        assert_eq!(meter.overdrawn_until(until), None);
    }

    #[test]
    fn the_largest_charge_saturates() {
        let mut meter = Meter::new(1, 1);
        meter.charge(Mono::from_nanos(u64::MAX - 1), u64::MAX);
        assert!(meter.overdrawn_until(Mono::from_nanos(1)).is_some());
    }
}
