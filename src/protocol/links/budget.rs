//! What a link may cost us: GCRA meters over bytes and CPU time.

use crate::protocol::limits::{
    SYSTEM_BYTES_BURST, SYSTEM_BYTES_PER_S, SYSTEM_CHECKS_BURST, SYSTEM_CHECKS_PER_S, SYSTEM_CPU_BURST,
    SYSTEM_CPU_PER_S,
};
use crate::protocol::meter::Meter;
use std::time::Duration;

use crate::protocol::time::{Mono, nanos};

/// The meters of one link.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Budget {
    /// Unsolicited bytes in, and bytes that its pulls make us send.
    bytes: Meter,
    /// Bytes that came because we had pulled them, at the same rate. We read on when it is overdrawn, and pull nothing more:
    /// whoever only announces what it holds is not stopped for serving it.
    pulled: Meter,
    /// Nanoseconds of CPU.
    cpu: Meter,
    /// Signatures, where they have a rate of their own; else they are CPU time as all else.
    checks: Option<Meter>,
}

impl Budget {
    pub(in crate::protocol) fn new(config: &crate::protocol::Config) -> Self {
        Self {
            bytes: Meter::new(config.budget.bytes_per_s, config.budget.bytes_burst),
            pulled: Meter::new(config.budget.bytes_per_s, config.budget.bytes_burst),
            cpu: Meter::new(nanos(config.budget.cpu_per_s), nanos(config.budget.cpu_burst)),
            checks: None,
        }
    }

    /// That of a link's system lane.
    pub(in crate::protocol) fn of_system() -> Self {
        let bytes = Meter::new(SYSTEM_BYTES_PER_S, SYSTEM_BYTES_BURST);
        Self {
            bytes,
            pulled: bytes,
            cpu: Meter::new(nanos(SYSTEM_CPU_PER_S), nanos(SYSTEM_CPU_BURST)),
            checks: Some(Meter::new(SYSTEM_CHECKS_PER_S, SYSTEM_CHECKS_BURST)),
        }
    }

    /// Bytes that came unasked, or that it makes us send.
    pub(in crate::protocol) fn charge_bytes(&mut self, now: Mono, bytes: u64) {
        self.bytes.charge(now, bytes);
    }

    /// CPU time.
    pub(in crate::protocol) fn charge_cpu(&mut self, now: Mono, cost: Duration) {
        self.cpu.charge(now, nanos(cost));
    }

    /// A signature that is to be checked and costs so much.
    pub(in crate::protocol) fn charge_signature(&mut self, now: Mono, cost: Duration) {
        match &mut self.checks {
            Some(checks) => checks.charge(now, 1),
            None => self.charge_cpu(now, cost),
        }
    }

    /// CPU time that was charged and has not been earned back.
    #[cfg(test)]
    pub(in crate::protocol) fn cpu_charged(&self, now: Mono) -> Duration {
        // At a quarter of a core, what is to be waited for is four times what was charged.
        self.cpu.drawn_ahead(now) / 4
    }

    /// A reply of `len` bytes to a pull that asked for `asked`. Beyond what was asked for, it is like any push.
    pub(in crate::protocol) fn charge_reply(&mut self, now: Mono, len: usize, asked: usize) {
        self.pulled.charge(now, len.min(asked) as u64);
        self.bytes.charge(now, len.saturating_sub(asked) as u64);
    }

    /// When it may be pulled from again, if it must not now.
    pub(in crate::protocol) fn pulls_overdrawn_until(&self, now: Mono) -> Option<Mono> {
        self.pulled.overdrawn_until(now)
    }

    /// When reading may go on, if it must stop.
    pub(in crate::protocol) fn overdrawn_until(&self, now: Mono) -> Option<Mono> {
        let checks = self.checks.as_ref().and_then(|checks| checks.overdrawn_until(now));
        self.bytes.overdrawn_until(now).max(self.cpu.overdrawn_until(now)).max(checks)
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
    fn a_system_lane_has_a_rate_of_signatures_beside_bytes_and_cpu() {
        let now = Mono::from_nanos(5_000_000_000);
        let second = Duration::from_secs(1);
        let spent = |charge: fn(&mut Budget, Mono)| {
            let mut budget = Budget::of_system();
            charge(&mut budget, now);
            budget.overdrawn_until(now).map(|until| until.since(now))
        };
        let about =
            |wait: Option<Duration>| wait.is_some_and(|wait| (second / 2..=second * 2).contains(&wait));
        assert_eq!(spent(|budget, now| budget.charge_bytes(now, 256 << 10)), None);
        assert!(about(spent(|budget, now| budget.charge_bytes(now, 320 << 10))));
        // However cheap they are called.
        let checks = |budget: &mut Budget, now, count| {
            (0..count).for_each(|_| budget.charge_signature(now, Duration::ZERO))
        };
        assert!(about(spent(
            |budget, now| (0..512 + 64).for_each(|_| budget.charge_signature(now, Duration::ZERO))
        )));
        let mut budget = Budget::of_system();
        checks(&mut budget, now, 512);
        assert_eq!(budget.overdrawn_until(now), None);
        assert!(about(spent(|budget, now| budget.charge_cpu(now, Duration::from_millis(50)))));
        // On another lane they are CPU time.
        let mut common = Budget::new(&crate::protocol::Config::default());
        checks(&mut common, now, 10_000);
        assert_eq!(common.overdrawn_until(now), None);
        common.charge_signature(now, second);
        assert!(common.overdrawn_until(now).is_some());
    }

    #[test]
    fn the_largest_charge_saturates() {
        let mut meter = Meter::new(1, 1);
        meter.charge(Mono::from_nanos(u64::MAX - 1), u64::MAX);
        assert!(meter.overdrawn_until(Mono::from_nanos(1)).is_some());
    }
}
