//! How many nodes there are, as far as a member knows: a power of two that follows its table slowly.
//!
//! Who may use kept places depends on it, and both ends of a link have to agree for most pairs. So it is coarse, and nothing that passes
//! within a minute changes it. (Simulated: four times too high, and liars hold two thirds of the slots where they are a third.)

use std::time::Duration;

use super::Mono;

/// What the table says has to hold for so long.
const STEADY_FOR: Duration = Duration::from_secs(60);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Census {
    /// It never reckons with fewer: whoever has a node's first minute could else have it think that it is nearly alone, and all keys use
    /// its kept places.
    least: u32,
    /// Since when the table says more, or less, than is reckoned with.
    apart: Option<(bool, Mono)>,
}

impl Census {
    pub(super) const fn new(least: u32) -> Self {
        Self { least, apart: None }
    }

    /// A look at the table, which has so many live members where `nodes` are reckoned with. Gives how many are from now on, if others.
    pub(super) fn looks(&mut self, nodes: u32, live: usize, now: Mono) -> Option<u32> {
        let live = u32::try_from(live).unwrap_or(u32::MAX).max(self.least).max(1);
        let tenths = u64::from(live).saturating_mul(10);
        let more = tenths > u64::from(nodes).saturating_mul(22);
        if !more && tenths >= u64::from(nodes).saturating_mul(9) {
            self.apart = None;
            return None;
        }
        let since = self.apart.filter(|(was_more, _)| *was_more == more).map_or(now, |(_, since)| since);
        self.apart = Some((more, since));
        if now.since(since) < STEADY_FOR {
            return None;
        }
        self.apart = None;
        Some(1 << live.ilog2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is reckoned with after the table has said so much, second by second.
    fn after(nodes: u32, said: impl IntoIterator<Item = (u64, usize)>) -> u32 {
        let (mut census, mut nodes, mut now) = (Census::new(64), nodes, Mono::default());
        for (seconds, live) in said {
            for _ in 0..seconds {
                nodes = census.looks(nodes, live, now).unwrap_or(nodes);
                now = now.plus(Duration::from_secs(1));
            }
        }
        nodes
    }

    #[test]
    fn a_power_of_two_follows_the_table_after_a_minute() {
        assert_eq!(after(1_000, [(60, 300)]), 1_000);
        assert_eq!(after(1_000, [(61, 300)]), 256);
        assert_eq!(after(1_000, [(61, 5_000)]), 4_096);
        assert_eq!(after(1_000, [(61, 0)]), 64, "nobody makes a node think that it is alone");
        // What is near enough changes nothing, for ever.
        for live in [900, 1_000, 1_500, 2_200] {
            assert_eq!(after(1_000, [(10_000, live)]), 1_000);
        }
        assert_eq!((after(1_000, [(61, 899)]), after(1_000, [(61, 2_201)])), (512, 2_048));
        for live in 1..3_000 {
            // It rests where it has come to.
            let nodes = after(1_000_000, [(61, live)]);
            assert_eq!(after(nodes, [(1_000, live)]), nodes, "{live}");
        }
    }

    #[test]
    fn what_passes_within_a_minute_changes_nothing() {
        assert_eq!(after(1_000, [(59, 300), (1, 1_000), (59, 300), (1, 1_000)]), 1_000);
        assert_eq!(after(1_000, [(40, 300), (40, 5_000), (40, 300)]), 1_000, "too few is not too many");
    }
}
