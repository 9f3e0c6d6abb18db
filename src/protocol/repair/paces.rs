//! What authors may add to their past, and which of them have several chains at a time.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::limits::PACED_AUTHORS;
use crate::protocol::meter::Meter;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::rumor::RuleSet;

/// Bundles in a row, each of which closed a hole and opened the next, from which on an author counts as one of several chains.
const DESCENT: u8 = 8;
/// So many ticks before a hole such an author is asked from.
pub(in crate::protocol) const WIDE_TICKS: u64 = 4_096;

/// The paces of one topic.
#[derive(Debug)]
pub(in crate::protocol) struct Paces {
    /// Bytes a second that an author may say while it is live.
    quota: u64,
    burst: u64,
    past: KeyedMap<PublicKey, Meter>,
    /// How many bundles of an author in a row have opened a hole.
    descents: KeyedMap<PublicKey, u8>,
}

impl Paces {
    pub(in crate::protocol) fn new(rules: &RuleSet, keyed: Keyed) -> Self {
        let burst = u64::from(rules.slots_per_tick()).saturating_mul(rules.max_body().into());
        let per_s = burst.saturating_mul(1_000).checked_div(rules.tick_len().millis().into());
        Self { quota: per_s.unwrap_or(burst).max(1), burst, past: keyed.map(), descents: keyed.map() }
    }

    /// Whether more that its author may have added to its past is asked for now. Where too many authors are paced, no further one is.
    pub(in crate::protocol) fn allows(&mut self, author: &PublicKey, now: Mono) -> bool {
        if let Some(meter) = self.past.get(author) {
            return meter.overdrawn_until(now).is_none();
        }
        if self.past.len() >= PACED_AUTHORS {
            self.past.retain(|_, meter| meter.overdrawn_until(now).is_some());
        }
        self.past.len() < PACED_AUTHORS
    }

    /// So many bytes of it have come.
    pub(in crate::protocol) fn charge(&mut self, author: &PublicKey, bytes: usize, now: Mono) {
        if self.past.len() >= PACED_AUTHORS && !self.past.contains_key(author) {
            return;
        }
        let (quota, burst) = (self.quota, self.burst);
        let meter = self.past.entry(*author).or_insert_with(|| Meter::new(quota, burst));
        meter.charge(now, u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// A late bundle of an author is kept. `opens`: what it names as its previous one is missing.
    pub(in crate::protocol) fn is_kept(&mut self, author: &PublicKey, opens: bool) {
        if !opens {
            self.descents.remove(author);
            return;
        }
        if self.descents.len() >= PACED_AUTHORS && !self.descents.contains_key(author) {
            self.descents.clear();
        }
        let bundles = self.descents.entry(*author).or_default();
        *bundles = bundles.saturating_add(1);
    }

    /// Whether the author has several chains that run beside each other: then a page that holds one bundle of each is asked for.
    pub(in crate::protocol) fn is_wide(&self, author: &PublicKey) -> bool {
        self.descents.get(author).is_some_and(|bundles| *bundles >= DESCENT)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rumor::{NetworkId, Topic};

    fn paces() -> Paces {
        let rules = Topic::named("t").slots_per_tick(2).max_body(1_000).bind(NetworkId::of("n")).unwrap();
        Paces::new(&rules, Keyed::default())
    }

    fn author(number: u64) -> PublicKey {
        PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    #[test]
    fn an_author_adds_to_its_past_no_faster_than_it_may_speak() {
        let (mut paces, now) = (paces(), Mono::from_nanos(9));
        paces.charge(&author(1), 2_000, now);
        assert!(paces.allows(&author(1), now), "a tick's worth may come at once");
        paces.charge(&author(1), 4_000, now);
        assert!(!paces.allows(&author(1), now.plus(Duration::from_millis(1_900))));
        assert!(paces.allows(&author(1), now.plus(Duration::from_millis(2_100))));
        assert!(paces.allows(&author(2), now), "others are not slowed by it");
    }

    #[test]
    fn authors_that_are_paced_are_bounded() {
        let (mut paces, now) = (paces(), Mono::from_nanos(9));
        let most = PACED_AUTHORS as u64;
        for number in 0..2 * most {
            let allowed = paces.allows(&author(number), now);
            assert_eq!(allowed, number < most, "{number}");
            paces.charge(&author(number), 1_000_000, now);
            paces.is_kept(&author(number), true);
        }
        assert!(paces.past.len() <= PACED_AUTHORS && paces.descents.len() <= PACED_AUTHORS);
        assert!(paces.allows(&author(0), now.plus(Duration::from_secs(10_000))));
    }

    #[test]
    fn an_author_of_many_chains_is_asked_for_many_at_once() {
        let mut paces = paces();
        (0..7).for_each(|_| paces.is_kept(&author(1), true));
        assert!(!paces.is_wide(&author(1)));
        paces.is_kept(&author(1), true);
        assert!(paces.is_wide(&author(1)) && !paces.is_wide(&author(2)));
        paces.is_kept(&author(1), false);
        assert!(!paces.is_wide(&author(1)));
    }
}
