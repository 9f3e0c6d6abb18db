//! Memory and file descriptors of this process, and whether they grew.

use std::time::Duration;

/// One second of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) second: f64,
    /// Resident bytes, where the system tells.
    pub(super) resident: Option<u64>,
    /// Bytes in use on the heap.
    pub(super) heap: u64,
    /// Open descriptors, where the system tells.
    pub(super) descriptors: Option<u64>,
    pub(super) nodes: usize,
    pub(super) cut: bool,
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
}

/// The shortest run, in seconds, whose memory is judged: its two lulls take two fifths of it.
const SHORTEST: f64 = 1_200.0;
/// Seconds of a lull. Floods fill tables for as long as the nodes' windows last, 150 s; hash tables and the allocator give back in
/// the half minute after that; then the memory is read for `READ` seconds.
const LULL: f64 = 240.0;
/// Seconds at the end of a lull whose median is its memory.
const READ: f64 = 60.0;

/// The two lulls of a run of `end` seconds, from when to when: after a quarter of the run, and at its end. Nothing disturbs the
/// nodes in them. `None` in runs too short to be judged.
pub(super) fn lulls(end: f64) -> Option<[(f64, f64); 2]> {
    (end >= SHORTEST).then(|| [(end / 4.0, end / 4.0 + LULL), (end - LULL, end)])
}

/// Growth, as a part, of what `of` tells, from the first lull of a run of `end` seconds to the last. Between them the memory
/// tells which floods there were, not what is never given back. `None` in runs too short to tell.
pub(super) fn growth(samples: &[Sample], end: f64, of: impl Fn(&Sample) -> Option<u64>) -> Option<f64> {
    let read = |(_, to): (f64, f64)| {
        let read = samples.iter().filter(|sample| (to - READ..to).contains(&sample.second));
        median(read.filter_map(&of).collect())
    };
    let [first, last] = lulls(end)?.map(read);
    Some(last? as f64 / first? as f64 - 1.0)
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// The delay that this part of all had or less.
pub(super) fn quantile(sorted: &[Duration], part: f64) -> Option<Duration> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grows(minutes: u32, resident: impl Fn(f64) -> u64) -> Option<f64> {
        let end = f64::from(minutes * 60);
        let sample = |second: u32| Sample {
            second: second.into(),
            resident: Some(resident(second.into())),
            ..Sample::default()
        };
        let samples: Vec<_> = (0..=minutes * 60).map(sample).collect();
        growth(&samples, end, |sample| sample.resident)
    }

    #[test]
    fn a_leak_shows_and_warming_up_and_floods_do_not() {
        // Fills for 150 s, then stays.
        let index = |second: f64| 100_000_000 + (second.min(150.0) * 1e6) as u64;
        assert_eq!(grows(20, index), Some(0.0));
        // Floods in the last part of the run, up to its last lull, are no growth.
        let flooded = |second: f64| index(second) * if (2000.0..3400.0).contains(&second) { 5 } else { 1 };
        assert_eq!(grows(60, flooded), Some(0.0));
        // The same with 10 kB leaked a second: 24 MB between the lulls, on top of some 260.
        let leak = grows(60, |second| flooded(second) + (second * 1e4) as u64).unwrap();
        assert!((0.05..0.1).contains(&leak), "{leak}");
        assert_eq!(grows(19, index), None);
    }
}
