//! The time of a simulation: nanoseconds since its beginning.

use std::time::Duration;

/// When every simulation begins, Unix milliseconds: any fixed moment would do.
const BEGIN_MS: u64 = 1_800_000_000_000;

/// A silent link goes down after so long: `IDLE_TIMEOUT` of `net/limits.rs`.
pub(super) const IDLE: Duration = Duration::from_secs(30);

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a wall clock shows that is ahead of true time by so much.
pub(super) fn unix_ms(now: u64, skew_ms: i64) -> u64 {
    (BEGIN_MS + now / 1_000_000).saturating_add_signed(skew_ms)
}
