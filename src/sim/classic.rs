//! How fast does the textbook's epidemic spread, and how near is its formula?
//!
//! `nodes` nodes, one of which knows a rumor. In each cycle every node that knew it when the cycle began tells `fanout`
//! random others (Demers et al., 1987, push). Nobody lies, nothing is lost, and a cycle has no length: this is the
//! yardstick of the textbooks, not the protocol of this crate, which [`Network`](super::Network) runs.

use super::dice::Dice;

/// What the textbooks give: log(nodes) / log(fanout), the cycles if nobody were ever told twice and who was told did the
/// telling from then on. Without sense for a fanout below two.
pub fn textbook(nodes: usize, fanout: usize) -> f64 {
    (nodes as f64).ln() / (fanout as f64).ln()
}

/// Cycles until every node knows, in one run that follows from `seed`. `None` if that never happens: nodes that tell
/// nobody.
pub fn cycles(nodes: usize, fanout: usize, seed: u64) -> Option<u32> {
    let fanout = fanout.min(nodes.saturating_sub(1));
    if fanout == 0 {
        return (nodes <= 1).then_some(0);
    }
    let mut dice = Dice::new(seed);
    // The first knows from the beginning.
    let mut knows: Vec<_> = (0..nodes).map(|node| node == 0).collect();
    let mut informed = vec![0];
    let mut cycles = 0;
    let mut told = Vec::with_capacity(fanout);
    while informed.len() < nodes {
        cycles += 1;
        for teller in informed.clone() {
            told.clear();
            while told.len() < fanout {
                let other = dice.below(nodes);
                // Different others, and never itself: for small networks the difference is visible.
                if other != teller && !told.contains(&other) {
                    told.push(other);
                }
            }
            for &other in &told {
                let knew = knows.get_mut(other).is_none_or(|knows| std::mem::replace(knows, true));
                if !knew {
                    informed.push(other);
                }
            }
        }
    }
    Some(cycles)
}

/// Cycles over many seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cycles {
    /// The median.
    pub p50: u32,
    /// At most so many in 99 of 100 runs.
    pub p99: u32,
    /// The most.
    pub max: u32,
}

impl Cycles {
    /// From the cycles of single runs, in any order. Zeros if there are none.
    pub fn of(mut runs: Vec<u32>) -> Self {
        runs.sort_unstable();
        // Nearest rank: the least value that at least this share of all do not exceed.
        let rank = |percent: usize| {
            let rank = (runs.len() * percent).div_ceil(100).max(1);
            runs.get(rank - 1).copied().unwrap_or(0)
        };
        Self { p50: rank(50), p99: rank(99), max: rank(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_beats_what_growth_allows_and_all_end_soon_after() {
        for (nodes, fanout) in [(20, 4), (160, 4), (1_000, 2), (1_000, 8)] {
            // A cycle multiplies those who know by fanout + 1 at most.
            let least = (nodes as f64).log(fanout as f64 + 1.0).ceil() as u32;
            // Pittel (1987): log_(fanout+1) n + ln n / fanout + O(1) cycles with high probability.
            let most = (nodes as f64).log(fanout as f64 + 1.0) + (nodes as f64).ln() / fanout as f64 + 6.0;
            for seed in 0..100 {
                let cycles = cycles(nodes, fanout, seed).unwrap();
                assert!(cycles >= least && f64::from(cycles) <= most, "{nodes} {fanout} {seed}: {cycles}");
            }
        }
    }

    #[test]
    fn full_fanout_needs_one_cycle_and_no_fanout_never_ends() {
        assert_eq!(cycles(5, 4, 1), Some(1));
        assert_eq!(cycles(5, 100, 1), Some(1));
        assert_eq!((cycles(1, 4, 1), cycles(5, 0, 1)), (Some(0), None));
    }

    #[test]
    fn a_seed_is_a_run() {
        let runs = |from: u64| (from..from + 20).map(|seed| cycles(200, 2, seed)).collect::<Vec<_>>();
        assert_eq!(runs(1), runs(1));
        assert_ne!(runs(1), runs(100));
    }

    #[test]
    fn ranks_are_nearest_ranks() {
        let all = Cycles::of((1..=100).rev().collect());
        assert_eq!((all.p50, all.p99, all.max), (50, 99, 100));
        assert_eq!(Cycles::of(Vec::new()).max, 0);
    }
}
