//! What keeps this node from speaking, hearing, recording or judging: told once when it begins, once when it ends.

pub(super) mod clock;
pub(super) mod presence;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::{Impairment, Mono};

/// The impairments of now, each with its beginning. At most one entry a variant.
#[derive(Debug, Default)]
pub(super) struct Health {
    since: BTreeMap<Impairment, Mono>,
}

impl Health {
    /// Notes that `what` holds; true if it did not before.
    pub(super) fn begin(&mut self, what: Impairment, now: Mono) -> bool {
        let mut new = false;
        self.since.entry(what).or_insert_with(|| {
            new = true;
            now
        });
        new
    }

    /// Notes that `what` has ended; gives how long it lasted if it held.
    pub(super) fn end(&mut self, what: Impairment, now: Mono) -> Option<Duration> {
        self.since.remove(&what).map(|since| now.since(since))
    }

    /// Whether `what` holds.
    pub(super) fn has(&self, what: Impairment) -> bool {
        self.since.contains_key(&what)
    }

    /// Since when `what` holds, if it does.
    pub(super) fn since(&self, what: Impairment) -> Option<Mono> {
        self.since.get(&what).copied()
    }

    /// What holds now, and for how long it has.
    pub(super) fn list(&self, now: Mono) -> Vec<(Impairment, Duration)> {
        self.since.iter().map(|(what, since)| (*what, now.since(*since))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impairment_is_told_once_and_cleared_once() {
        let mut health = Health::default();
        let at = |seconds: u64| Mono::from_nanos(seconds * 1_000_000_000);
        assert!(health.begin(Impairment::Clock, at(1)));
        assert!(!health.begin(Impairment::Clock, at(2)), "it holds already");
        assert!(health.has(Impairment::Clock));
        assert_eq!(health.list(at(3)), [(Impairment::Clock, Duration::from_secs(2))]);
        assert_eq!(health.end(Impairment::Clock, at(4)), Some(Duration::from_secs(3)));
        assert_eq!(health.end(Impairment::Clock, at(5)), None, "it has ended already");
    }
}
