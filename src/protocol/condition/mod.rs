//! What keeps this node from speaking, hearing, recording or judging: told once when it begins, once when it ends.

pub(super) mod clock;
pub(super) mod presence;

use std::collections::BTreeMap;
use std::time::Duration;

use self::clock::ClockWatch;
use self::presence::Presence;
use crate::protocol::{Impairment, Mono, Now};

/// How this node is: what keeps it from its work, its clock, and whether it was there.
#[derive(Debug)]
pub(super) struct Condition {
    health: Health,
    clock: ClockWatch,
    presence: Presence,
}

impl Condition {
    pub(super) fn new(now: Now) -> Self {
        Self { health: Health::default(), clock: ClockWatch::new(now), presence: Presence::default() }
    }

    pub(super) const fn health(&self) -> &Health {
        &self.health
    }

    pub(super) const fn health_mut(&mut self) -> &mut Health {
        &mut self.health
    }

    pub(super) const fn clock(&self) -> &ClockWatch {
        &self.clock
    }

    pub(super) const fn clock_mut(&mut self) -> &mut ClockWatch {
        &mut self.clock
    }

    pub(super) const fn presence(&self) -> &Presence {
        &self.presence
    }

    pub(super) const fn presence_mut(&mut self) -> &mut Presence {
        &mut self.presence
    }
}

/// The impairments of now, each with its beginning. At most one entry a variant.
#[derive(Debug, Default)]
pub(super) struct Health {
    since: BTreeMap<Impairment, Mono>,
    /// When something last spoke for another process with our node key.
    other_process_at: Option<Mono>,
}

impl Health {
    /// Something speaks for another process with our node key.
    pub(super) const fn found_other_process(&mut self, now: Mono) {
        self.other_process_at = Some(now);
    }

    /// Whether another process with our node key was found and not yet forgotten.
    pub(super) const fn has_other_process(&self) -> bool {
        self.other_process_at.is_some()
    }

    /// Forgets the other process if nothing has spoken for it for this long; true if it was forgotten now.
    pub(super) fn forget_other_process(&mut self, quiet: Duration, now: Mono) -> bool {
        self.other_process_at.take_if(|at| now.since(*at) >= quiet).is_some()
    }

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
