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

/// The shortest run whose memory is judged: half of it is warm, and a third of that is over a minute.
const SHORTEST: f64 = 480.0;
/// The index grows until its oldest ticks leave the window, 150 s; churn and the allocator settle in as long again.
const WARM: f64 = 240.0;

/// Growth once warm of what `of` tells, as a part: the median of the last third over that of the first third. `None` in runs
/// too short to tell.
pub(super) fn growth(samples: &[Sample], of: impl Fn(&Sample) -> Option<u64>) -> Option<f64> {
    let end = samples.last()?.second;
    if end < SHORTEST {
        return None;
    }
    let warm = WARM.max(end / 4.0);
    let values: Vec<u64> = samples.iter().filter(|sample| sample.second >= warm).filter_map(of).collect();
    let third = values.len() / 3;
    let (first, last) = (median(values.get(..third)?)?, median(values.get(values.len() - third..)?)?);
    Some(last as f64 / first as f64 - 1.0)
}

fn median(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
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

    fn run(minutes: u32, resident: impl Fn(f64) -> u64) -> Vec<Sample> {
        let sample = |second: u32| Sample {
            second: second.into(),
            resident: Some(resident(second.into())),
            ..Sample::default()
        };
        (0..=minutes * 60).map(sample).collect()
    }

    fn resident(run: &[Sample]) -> Option<f64> {
        growth(run, |sample| sample.resident)
    }

    #[test]
    fn a_leak_shows_and_warming_up_does_not() {
        // Fills for 150 s, then stays.
        let index = |second: f64| 100_000_000 + (second.min(150.0) * 1e6) as u64;
        assert_eq!(resident(&run(10, index)), Some(0.0));
        // The same with 10 kB leaked a second, for an hour: 18 MB between the thirds, on top of some 260.
        let leak = resident(&run(60, |second| index(second) + (second * 1e4) as u64)).unwrap();
        assert!((0.05..0.1).contains(&leak), "{leak}");
        assert_eq!(resident(&run(7, index)), None);
    }
}
