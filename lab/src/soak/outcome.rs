//! What a run has shown, and what of it is a fault.

use std::collections::BTreeMap;

use super::gauge::Sample;

/// What a run has shown.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) samples: Vec<Sample>,
    /// What was done, from when to when, in seconds.
    pub(super) attacks: Vec<(&'static str, f64, f64)>,
    pub(super) cuts: Vec<(f64, f64)>,
    /// As attacks, of what went wrong with single nodes.
    pub(super) troubles: Vec<(&'static str, f64, f64)>,
    pub(super) left: u64,
    pub(super) crashed: u64,
    pub(super) reborn: u64,
    /// Of those that came back as they were, how many without their disk.
    pub(super) lost_disks: u64,
    /// Rumors of the past that all nodes came to have, and how many of them were confirmed to be stored.
    pub(super) past: u64,
    pub(super) confirmed: u64,
    pub(super) published: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) delivered: u64,
    pub(super) dropped_packets: u64,
    /// What readers that fell behind did not see.
    pub(super) missed: BTreeMap<&'static str, u64>,
    /// How often the books of all nodes were read.
    pub(super) looks: u64,
    pub(super) checked: u64,
    pub(super) broken: BTreeMap<&'static str, u64>,
    /// Of any thread or task of the process.
    pub(super) panics: u64,
    pub(super) words: Vec<String>,
    /// Of resident memory, from one lull to the next. It is shown and not judged: what the allocator keeps is in it.
    pub(super) growth: Option<f64>,
    /// The same of the heap, which is what is still held.
    pub(super) heap_growth: Option<f64>,
    /// Open descriptors with all nodes up and no attacker, at the beginning and at the end.
    pub(super) descriptors: Option<(u64, u64)>,
    /// The demo's counters, added up over all lives that were still there at the end.
    pub(super) offences: u64,
    pub(super) convictions: u64,
}

/// Growth of memory, once warm, that is a fault.
const MOST_GROWTH: f64 = 0.05;
/// Seconds for each look at the books of all nodes: with fewer looks a run has not been watched.
const SECONDS_PER_LOOK: u64 = 10;

impl Outcome {
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<_> =
            self.broken.iter().map(|(promise, times)| format!("{promise}: {times} times")).collect();
        faults.extend(self.words.iter().take(3).cloned());
        for (what, count) in &self.missed {
            faults.push(format!("{count} {what} were not seen: this machine is too slow for --rate"));
        }
        if self.panics > 0 {
            faults.push(format!("{} panics, which stderr has", self.panics));
        }
        let seconds = self.samples.len() as u64;
        if self.looks * SECONDS_PER_LOOK < seconds {
            faults.push(format!("{} looks in {seconds} s: this machine is too slow for --nodes", self.looks));
        }
        if self.checked == 0 {
            faults.push("nothing was owed: give more --minutes, or less --within".to_owned());
        }
        if let Some(growth) = self.heap_growth.filter(|growth| *growth >= MOST_GROWTH) {
            faults.push(format!("the heap grew by {:.1} %", growth * 100.0));
        }
        if let Some((first, last)) = self.descriptors.filter(|(first, last)| last > first) {
            faults.push(format!("{first} descriptors became {last}"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Outcome {
        Outcome {
            published: 1,
            delivered: 1,
            looks: 1,
            checked: 1,
            growth: Some(0.5),
            heap_growth: Some(0.049),
            descriptors: Some((43, 43)),
            ..Outcome::default()
        }
    }

    #[test]
    fn each_fault_is_called_so() {
        assert_eq!(good().faults(), Vec::<String>::new());
        type Spoil = fn(&mut Outcome);
        let faults: [(&str, Spoil); 7] = [
            ("hangs: 1 times", |outcome| outcome.broken = BTreeMap::from([("hangs", 1)])),
            ("2 events were not seen", |outcome| outcome.missed = BTreeMap::from([("events", 2)])),
            ("1 panics", |outcome| outcome.panics = 1),
            ("1 looks in 11 s", |outcome| outcome.samples = vec![Sample::default(); 11]),
            ("nothing was owed", |outcome| outcome.checked = 0),
            ("the heap grew by 5.0 %", |outcome| outcome.heap_growth = Some(0.05)),
            ("43 descriptors became 44", |outcome| outcome.descriptors = Some((43, 44))),
        ];
        for (words, spoil) in faults {
            let mut outcome = good();
            spoil(&mut outcome);
            let faults = outcome.faults();
            assert!(matches!(&faults[..], [fault] if fault.starts_with(words)), "{words}: {faults:?}");
        }
    }
}
