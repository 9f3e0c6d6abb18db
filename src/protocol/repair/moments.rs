//! As of when sets are compared: ticks that contain a multiple of 16 s of Unix time, so that two nodes mean the same ones.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::time::Duration;

use crate::protocol::limits::{MOMENT_EVERY_MS, MOMENTS_AHEAD, MOMENTS_PAST};
use crate::rumor::TickLen;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The last moment that is at least `back` ago, as the tick up to which a set is compared.
pub(in crate::protocol) fn latest(tick: TickLen, unix_ms: u64, back: Duration) -> u64 {
    let before = unix_ms.saturating_sub(millis(back));
    tick.tick_at(before.saturating_sub(before.checked_rem(MOMENT_EVERY_MS).unwrap_or(0)))
}

/// Whether a set as of that tick is told to peers: a moment, not long ago, and not further ahead than clocks may differ.
pub(in crate::protocol) fn is_told(tick: TickLen, as_of: u64, unix_ms: u64) -> bool {
    let moment = tick.start_of(as_of).div_ceil(MOMENT_EVERY_MS).saturating_mul(MOMENT_EVERY_MS);
    let past = unix_ms.saturating_sub(millis(MOMENTS_PAST));
    let ahead = unix_ms.saturating_add(millis(MOMENTS_AHEAD));
    moment < tick.end_of(as_of) && past <= moment && moment <= ahead
}

/// The first tick that is told as of, or an earlier one.
pub(in crate::protocol) fn oldest(tick: TickLen, unix_ms: u64) -> u64 {
    tick.tick_at(unix_ms.saturating_sub(millis(MOMENTS_PAST)))
}

/// Whether some set has a bundle of tick `old` and not yet one of tick `new` that replaces it: a moment after the one, and up to the
/// other.
pub(in crate::protocol) fn part(tick: TickLen, old: u64, new: u64) -> bool {
    let last = tick.end_of(new).saturating_sub(1);
    tick.tick_at(last.saturating_sub(last.checked_rem(MOMENT_EVERY_MS).unwrap_or(0))) > old
}
