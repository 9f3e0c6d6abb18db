//! Whom and what a node lets rest: peers that failed it, addresses where nobody answered, and strangers beyond a pace.
//!
//! What strangers name costs a dial, and the dial goes wherever they like. So a key that refuses or leaves soon is not tried again for a
//! while, nor is an address that stays silent, whoever lists it; each time the rest is twice as long. An address where another key
//! answers rests for all but that key: liars who list it have it dialled no more often, and don't keep anybody from who is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::limits::{MAX_RESTING_ADDRESSES, MAX_RESTING_PEERS, STRANGER_EVERY, STRANGERS_AT_ONCE};
use crate::key::PublicKey;
use crate::protocol::Mono;

/// The first rest; each further one is twice as long. A link that lived as long is no reason for one, and ends the doubling.
pub(super) const FIRST_REST: Duration = Duration::from_secs(600);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(86_400);

/// Rests of one kind of thing, and what there is to say about each. At the cap the one that ends first goes.
#[derive(Debug)]
struct Resting<K, V = ()> {
    all: BTreeMap<K, (Mono, Duration, V)>,
    ends: BTreeSet<(Mono, K)>,
    most: usize,
}

impl<K: Ord + Clone, V: Copy> Resting<K, V> {
    const fn new(most: usize) -> Self {
        Self { all: BTreeMap::new(), ends: BTreeSet::new(), most }
    }

    fn begin(&mut self, now: Mono, what: &K, about: V) {
        let before = self.end(what);
        let rest = before.map_or(FIRST_REST, |rest| rest.saturating_mul(2).min(LONGEST_REST));
        if self.all.len() >= self.most
            && let Some((_, oldest)) = self.ends.pop_first()
        {
            self.all.remove(&oldest);
        }
        self.all.insert(what.clone(), (now.plus(rest), rest, about));
        self.ends.insert((now.plus(rest), what.clone()));
    }

    /// Forgets it. Gives how long its last rest was.
    fn end(&mut self, what: &K) -> Option<Duration> {
        let (until, rest, _) = self.all.remove(what)?;
        self.ends.remove(&(until, what.clone()));
        Some(rest)
    }

    fn until(&self, what: &K, now: Mono) -> Option<Mono> {
        self.all.get(what).map(|(until, ..)| *until).filter(|until| *until > now)
    }

    fn about(&self, what: &K) -> Option<V> {
        self.all.get(what).map(|(.., about)| *about)
    }
}

/// What one node lets rest.
#[derive(Debug)]
pub(super) struct Rests<A> {
    peers: Resting<PublicKey>,
    addresses: Resting<A>,
    /// Addresses where another key answered than was asked for, with that key. It is not proven, so nothing follows from it but whose
    /// dials there don't rest.
    taken: Resting<A, PublicKey>,
    /// Dials that may go to addresses that have never answered.
    strangers: u32,
    /// Since when one more of them is due.
    counts_from: Mono,
}

impl<A: Clone + Ord> Rests<A> {
    pub(super) const fn new() -> Self {
        Self {
            peers: Resting::new(MAX_RESTING_PEERS),
            addresses: Resting::new(MAX_RESTING_ADDRESSES),
            taken: Resting::new(MAX_RESTING_ADDRESSES),
            strangers: STRANGERS_AT_ONCE,
            counts_from: Mono::from_nanos(0),
        }
    }

    pub(super) fn peer_failed(&mut self, now: Mono, peer: &PublicKey) {
        self.peers.begin(now, peer, ());
    }

    /// It kept a link for long.
    pub(super) fn peer_stayed(&mut self, peer: &PublicKey) {
        self.peers.end(peer);
    }

    pub(super) fn peer_until(&self, peer: &PublicKey, now: Mono) -> Option<Mono> {
        self.peers.until(peer, now)
    }

    pub(super) fn address_failed(&mut self, now: Mono, addr: &A) {
        self.addresses.begin(now, addr, ());
    }

    /// Somebody else answered there than who was asked for.
    pub(super) fn address_taken(&mut self, now: Mono, addr: &A, by: PublicKey) {
        self.taken.begin(now, addr, by);
    }

    /// A peer answered there. (Others who list its address go on resting there.)
    pub(super) fn address_answered(&mut self, addr: &A, peer: &PublicKey) {
        self.addresses.end(addr);
        if self.taken.about(addr).is_some_and(|by| by != *peer) {
            self.taken.end(addr);
        }
    }

    /// Until when a peer is not dialled there.
    pub(super) fn address_until(&self, addr: &A, peer: &PublicKey, now: Mono) -> Option<Mono> {
        let taken = self.taken.about(addr).is_some_and(|by| by != *peer);
        let taken = self.taken.until(addr, now).filter(|_| taken);
        taken.max(self.addresses.until(addr, now))
    }

    /// When an address that has never answered may be dialled: `None` is now.
    pub(super) fn strangers_from(&self, now: Mono) -> Option<Mono> {
        let next = self.counts_from.plus(STRANGER_EVERY);
        (self.strangers == 0 && next > now).then_some(next)
    }

    /// One is dialled.
    pub(super) fn stranger_dialled(&mut self, now: Mono) {
        let due = now.since(self.counts_from).as_secs() / STRANGER_EVERY.as_secs();
        let before = self.strangers;
        self.strangers = before.saturating_add(u32::try_from(due).unwrap_or(u32::MAX)).min(STRANGERS_AT_ONCE);
        let waited = STRANGER_EVERY.saturating_mul(u32::try_from(due).unwrap_or(u32::MAX));
        let full = self.strangers == STRANGERS_AT_ONCE;
        self.counts_from = if full { now } else { self.counts_from.plus(waited) };
        self.strangers = self.strangers.saturating_sub(1);
    }

    /// One that was dialled is no stranger any more: it has answered, with the right key.
    pub(super) fn stranger_answered(&mut self) {
        self.strangers = self.strangers.saturating_add(1).min(STRANGERS_AT_ONCE);
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize, usize) {
        assert_eq!(self.peers.all.len(), self.peers.ends.len());
        assert_eq!(self.addresses.all.len(), self.addresses.ends.len());
        assert_eq!(self.taken.all.len(), self.taken.ends.len());
        (self.peers.all.len(), self.addresses.all.len(), self.taken.all.len())
    }
}
