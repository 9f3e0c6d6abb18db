//! How often a member gives a sign of life, and for how long one holds.

use std::time::Duration;

/// Longest and shortest period that a member states, seconds: the bounds of an epoch on the wire.
const SHORTEST: u32 = 5;
const LONGEST: u32 = 3600;

/// The period that a node states in a network of so many live members: as long as it takes for all of them to renew, at so many renewals
/// a second. (Each renewal costs each node the same, however large the network is.)
pub(super) fn stated(live: usize, renewals_per_s: u32) -> u16 {
    let live = u32::try_from(live).unwrap_or(u32::MAX);
    live.div_ceil(renewals_per_s.max(1)).clamp(SHORTEST, LONGEST) as u16
}

/// The period that a reader counts for a member: what it states, or half of what the reader itself would state if that is more. A joiner
/// that knows few others states too short a one.
pub(super) fn counted(stated: u16, would_state: u16) -> Duration {
    Duration::from_secs(stated.max(would_state / 2).into())
}

/// How long a sign of life holds: three and a half periods, so that two may be lost.
pub(super) fn lease(period: Duration) -> Duration {
    period.saturating_mul(7) / 2
}

/// Whether a member should state another period than it does: it is less than half of what it would state now, or more than four times.
pub(super) fn is_off(stated: u16, would_state: u16) -> bool {
    u32::from(stated) * 2 < would_state.into() || u32::from(stated) > 4 * u32::from(would_state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_follows_the_size_of_the_network() {
        let stated = |live| stated(live, 10);
        assert_eq!([0, 1, 50, 51, 1_000, 36_000, usize::MAX].map(stated), [5, 5, 5, 6, 100, 3_600, 3_600]);
        assert_eq!(super::stated(1_000, 50), 20);
        assert_eq!(super::stated(7, 0), 7, "at least one a second");
    }

    #[test]
    fn a_reader_in_a_large_network_is_patient_with_a_joiner() {
        let second = Duration::from_secs(1);
        assert_eq!(
            (counted(5, 200), counted(200, 200), counted(200, 5)),
            (second * 100, second * 200, second * 200)
        );
        assert_eq!(lease(second * 100), second * 350);
        let off = [(5, 10), (5, 11), (5, 200), (20, 5), (21, 5)].map(|(stated, would)| is_off(stated, would));
        assert_eq!(off, [false, true, true, false, true]);
    }
}
