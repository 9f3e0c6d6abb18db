//! Which bodies a topic keeps, and which go first when there are too many.
//!
//! A body is *young* for as long as its announcement promises to serve it, or it is held back: then nothing evicts it,
//! and when young bodies alone fill the cap, new ones are refused. Older ones are kept for latecomers only; they make
//! room, those of the author that has most of them first, so that a flood shortens its own history and nobody else's.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::limits::LINK_SHARE;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::shrink::Shrink as _;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::BundleId;

#[derive(Debug)]
pub(in crate::protocol) struct Bodies {
    /// How long a body is young.
    youth: Duration,
    held: KeyedMap<BundleId, Held>,
    /// In the order of acceptance, newest last. May name bodies that are gone.
    young: VecDeque<(Mono, BundleId)>,
    /// The same, of those that are no longer young.
    old: VecDeque<(Mono, BundleId)>,
    all: Bytes,
    authors: KeyedMap<PublicKey, Share>,
    /// Bytes of newcomers' young bodies, by the peer that brought them.
    newcomers: KeyedMap<PublicKey, usize>,
    /// Authors by the bytes of their old bodies.
    most_old: BTreeSet<(usize, PublicKey)>,
}

#[derive(Debug)]
struct Held {
    author: PublicKey,
    bytes: usize,
    young: bool,
    /// On whose account it is while it is young, if its author was a newcomer.
    payer: Option<PublicKey>,
}

#[derive(Debug, Default)]
struct Share {
    bytes: Bytes,
    /// Its old bodies, oldest first. May name bodies that are gone.
    old: VecDeque<BundleId>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Bytes {
    young: usize,
    old: usize,
}

impl Bytes {
    const fn total(self) -> usize {
        self.young.saturating_add(self.old)
    }

    fn of(&mut self, young: bool) -> &mut usize {
        if young { &mut self.young } else { &mut self.old }
    }
}

impl Bodies {
    pub(in crate::protocol) fn new(youth: Duration, keyed: Keyed) -> Self {
        Self {
            youth,
            held: keyed.map(),
            young: VecDeque::new(),
            old: VecDeque::new(),
            all: Bytes::default(),
            authors: keyed.map(),
            newcomers: keyed.map(),
            most_old: BTreeSet::new(),
        }
    }

    /// Bytes held in all.
    pub(in crate::protocol) const fn bytes(&self) -> usize {
        self.all.total()
    }

    /// What was accepted then or before, newest first, with the time of acceptance. May name bodies that are gone.
    pub(in crate::protocol) fn newest_from(&self, then: Mono) -> impl Iterator<Item = (Mono, BundleId)> {
        let upto = |bodies: &VecDeque<(Mono, BundleId)>| bodies.partition_point(|(at, _)| *at <= then);
        let (young, old) = (self.young.range(..upto(&self.young)), self.old.range(..upto(&self.old)));
        young.rev().chain(old.rev()).copied()
    }

    /// Whether a body of `bytes` fits beside the young ones, in the topic and in its author's share, which is no more than
    /// `share` times what they leave: so nobody's young bodies keep everybody else's out. A newcomer's `payer`, the peer that
    /// brings it, has [`LINK_SHARE`] times what they leave for all its newcomers together.
    pub(in crate::protocol) fn has_room(
        &mut self,
        author: &PublicKey,
        payer: Option<PublicKey>,
        bytes: usize,
        caps: Caps,
        share: usize,
        now: Mono,
    ) -> bool {
        self.age(now);
        let of_author = self.authors.get(author).map_or(0, |share| share.bytes.young);
        let free = caps.topic.saturating_sub(self.all.young);
        let of_payer = payer.and_then(|payer| self.newcomers.get(&payer)).copied().unwrap_or(0);
        let open = free.saturating_mul(LINK_SHARE).saturating_sub(of_payer).min(free);
        bytes <= open && of_author.saturating_add(bytes) <= caps.author.min(open.saturating_mul(share))
    }

    /// Keeps a body; the caller has asked [`Bodies::has_room`]. Gives those that must go for it.
    pub(in crate::protocol) fn keep(
        &mut self,
        id: BundleId,
        author: PublicKey,
        payer: Option<PublicKey>,
        bytes: usize,
        caps: Caps,
        now: Mono,
    ) -> Vec<BundleId> {
        self.held.insert(id, Held { author, bytes, young: true, payer });
        if let Some(payer) = payer {
            self.newcomers.entry(payer).or_default().gains(bytes);
        }
        self.young.push_back((now, id));
        self.all.young.gains(bytes);
        self.authors.entry(author).or_default().bytes.young.gains(bytes);
        let mut evicted = Vec::new();
        while self.authors.get(&author).is_some_and(|share| share.bytes.total() > caps.author) {
            let Some(id) = self.oldest_of(&author) else { break };
            evicted.push(id);
        }
        while self.all.total() > caps.topic {
            let Some((_, author)) = self.most_old.last().copied() else { break };
            let Some(id) = self.oldest_of(&author) else { break };
            evicted.push(id);
        }
        evicted
    }

    fn oldest_of(&mut self, author: &PublicKey) -> Option<BundleId> {
        loop {
            let id = self.authors.get_mut(author)?.old.pop_front()?;
            if self.drop(&id) {
                return Some(id);
            }
        }
    }

    /// A body is gone; false if it was not held.
    pub(in crate::protocol) fn drop(&mut self, id: &BundleId) -> bool {
        let Some(Held { author, bytes, young, payer }) = self.held.remove(id) else { return false };
        self.settle(payer.filter(|_| young), bytes);
        self.add(&author, young, bytes, usize::loses);
        if let Some(share) = self.authors.get_mut(&author) {
            // What expired is still named in its author's queue: an author that never pauses would fill it for ever.
            while share.old.front().is_some_and(|id| !self.held.contains_key(id)) {
                share.old.pop_front();
            }
            if share.bytes.total() == 0 {
                self.authors.remove(&author);
            }
        }
        true
    }

    /// Drops bodies accepted longer than `keep` ago, and gives them.
    pub(in crate::protocol) fn expire(&mut self, keep: Duration, now: Mono) -> Vec<BundleId> {
        self.age(now);
        let mut expired = Vec::new();
        while let Some((at, id)) = self.old.front().copied() {
            if now.since(at) <= keep {
                break;
            }
            self.old.pop_front();
            if self.drop(&id) {
                expired.push(id);
            }
        }
        expired
    }

    /// After a flood.
    pub(in crate::protocol) fn shrink(&mut self) {
        self.held.shrink();
        self.young.shrink();
        self.old.shrink();
        self.authors.shrink();
        self.newcomers.shrink();
    }

    /// Moves what is no longer young.
    fn age(&mut self, now: Mono) {
        while let Some((at, id)) = self.young.front().copied() {
            if now.since(at) <= self.youth {
                return;
            }
            self.young.pop_front();
            self.old.push_back((at, id));
            let Some(held) = self.held.get_mut(&id) else { continue };
            held.young = false;
            let (author, bytes, payer) = (held.author, held.bytes, held.payer);
            self.settle(payer, bytes);
            self.add(&author, true, bytes, usize::loses);
            self.add(&author, false, bytes, usize::gains);
            if let Some(share) = self.authors.get_mut(&author) {
                share.old.push_back(id);
            }
        }
    }

    /// A body is no longer on the account of the peer that brought it.
    fn settle(&mut self, payer: Option<PublicKey>, bytes: usize) {
        let Some(payer) = payer else { return };
        if let Some(of_payer) = self.newcomers.get_mut(&payer) {
            of_payer.loses(bytes);
            if *of_payer == 0 {
                self.newcomers.remove(&payer);
            }
        }
    }

    /// Changes the sums of one kind, and the author's rank with them.
    fn add(&mut self, author: &PublicKey, young: bool, bytes: usize, how: fn(&mut usize, usize)) {
        how(self.all.of(young), bytes);
        let Some(share) = self.authors.get_mut(author) else { return };
        let before = share.bytes.old;
        how(share.bytes.of(young), bytes);
        if before != share.bytes.old {
            self.most_old.remove(&(before, *author));
            if share.bytes.old > 0 {
                self.most_old.insert((share.bytes.old, *author));
            }
        }
    }
}

/// Most bytes that may be held.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Caps {
    pub(in crate::protocol) topic: usize,
    pub(in crate::protocol) author: usize,
}

#[cfg(any(test, feature = "sim"))]
impl Bodies {
    pub(in crate::protocol) fn holds(&self, id: &BundleId) -> bool {
        self.held.contains_key(id)
    }

    pub(in crate::protocol) fn count(&self) -> usize {
        self.held.len()
    }

    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        for young in [true, false] {
            let of_kind = || self.held.values().filter(|held| held.young == young);
            let mut all = self.all;
            recount.same(
                format_args!("bytes of bodies, young: {young}"),
                *all.of(young),
                of_kind().map(|held| held.bytes).sum(),
            );
            let mut shares: std::collections::BTreeMap<PublicKey, usize> = Default::default();
            of_kind().for_each(|held| shares.entry(held.author).or_default().gains(held.bytes));
            for (author, share) in &self.authors {
                let mut bytes = share.bytes;
                let counted = shares.remove(author).unwrap_or(0);
                recount.same(
                    format_args!("bytes of an author's bodies, young: {young}"),
                    *bytes.of(young),
                    counted,
                );
            }
            recount.holds(shares.values().all(|bytes| *bytes == 0), "bodies of an author without a share");
        }
        let paid = self.held.values().filter(|held| held.young && held.payer.is_some());
        let bytes = paid.map(|held| held.bytes).sum();
        recount.same("bytes of newcomers' young bodies", self.newcomers.values().sum(), bytes);
        let ranked = self.authors.iter().filter(|(_, share)| share.bytes.old > 0);
        recount.same("authors by their old bodies", self.most_old.len(), ranked.clone().count());
        for (author, share) in ranked {
            recount.holds(
                self.most_old.contains(&(share.bytes.old, *author)),
                "an author's rank is not its share",
            );
        }
        let named = self.young.iter().chain(&self.old).filter(|(_, id)| self.held.contains_key(id)).count();
        recount.holds(named >= self.held.len(), "a body is in no queue, and would never expire");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { topic: 100, author: 60 };

    fn id(n: u8) -> BundleId {
        BundleId::from_bytes([n; 32])
    }

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn at(seconds: u64) -> Mono {
        Mono::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn young_bodies_stay_and_fill_the_cap() {
        let mut bodies = Bodies::new(Duration::from_secs(10), Keyed::default());
        (0..5).for_each(|n| assert!(bodies.keep(id(n), key(n), None, 20, CAPS, at(0)).is_empty()));
        assert!(!bodies.has_room(&key(9), None, 1, CAPS, 2, at(10)));
        assert!(bodies.has_room(&key(9), None, 20, CAPS, 2, at(11)));
        assert_eq!(bodies.bytes(), 100);
    }

    #[test]
    fn the_author_with_most_history_loses_it_first() {
        let mut bodies = Bodies::new(Duration::from_secs(10), Keyed::default());
        bodies.keep(id(0), key(1), None, 10, CAPS, at(0));
        (1..6).for_each(|n| assert!(bodies.keep(id(n), key(2), None, 10, CAPS, at(0)).is_empty()));
        bodies.keep(id(6), key(3), None, 40, CAPS, at(1));
        assert!(bodies.has_room(&key(4), None, 20, CAPS, 2, at(11)));
        // The other's one body is older than any of the talkative author's.
        assert_eq!(bodies.keep(id(7), key(4), None, 20, CAPS, at(11)), [id(1), id(2)]);
        assert_eq!(bodies.bytes(), 100);
        // An author over its own share loses its own, whatever room the topic has.
        assert!(bodies.drop(&id(6)) && !bodies.drop(&id(6)));
        assert_eq!(bodies.keep(id(8), key(2), None, 55, CAPS, at(12)), [id(3), id(4), id(5)]);
    }

    #[test]
    fn an_author_that_never_pauses_leaves_nothing_behind() {
        let mut bodies = Bodies::new(Duration::from_secs(10), Keyed::default());
        for n in 0..=255 {
            assert!(bodies.keep(id(n), key(1), None, 1, CAPS, at(u64::from(n))).is_empty());
            bodies.expire(Duration::from_secs(20), at(u64::from(n)));
        }
        assert!(bodies.held.len() <= 21 && bodies.authors[&key(1)].old.len() <= 12);
    }

    #[test]
    fn one_authors_young_bodies_leave_room_for_anothers() {
        let caps = Caps { topic: 90, author: 90 };
        let mut bodies = Bodies::new(Duration::from_secs(10), Keyed::default());
        let mut takes = |author: u8, number: u8| {
            let room = bodies.has_room(&key(author), None, 1, caps, 2, at(0));
            if room {
                bodies.keep(id(number), key(author), None, 1, caps, at(0));
            }
            room
        };
        // Twice what it leaves free, then twice what both leave, and so on.
        let taken = [1, 2, 3].map(|author| (0..80).filter(|n| takes(author, (author - 1) * 80 + n)).count());
        assert_eq!(taken, [60, 20, 7]);
    }

    #[test]
    fn a_walk_begins_where_another_ended() {
        let mut bodies = Bodies::new(Duration::from_secs(10), Keyed::default());
        (0..30).for_each(|n| drop(bodies.keep(id(n), key(n % 7), None, 1, CAPS, at(u64::from(n) / 2))));
        bodies.age(at(20));
        assert!(!bodies.young.is_empty() && !bodies.old.is_empty());
        for then in 0..20 {
            let walked: Vec<_> = bodies.newest_from(at(then)).map(|(_, id)| id).collect();
            let all: Vec<_> = (0..30).rev().filter(|n| u64::from(*n) / 2 <= then).map(id).collect();
            assert_eq!(walked, all, "{then}");
        }
    }

    #[test]
    fn what_has_left_is_forgotten_without_a_trace() {
        let mut bodies = Bodies::new(Duration::from_secs(10), Keyed::default());
        (0..50)
            .for_each(|n| drop(bodies.keep(id(n), key(n % 7), Some(key(n % 3)), 2, CAPS, at(u64::from(n)))));
        bodies.drop(&id(3));
        let expired = bodies.expire(Duration::from_secs(20), at(1_000));
        assert_eq!(expired.len(), 49);
        assert_eq!((bodies.bytes(), bodies.newest_from(at(99)).count()), (0, 0));
        assert!(
            bodies.held.is_empty()
                && bodies.authors.is_empty()
                && bodies.most_old.is_empty()
                && bodies.newcomers.is_empty()
        );
    }

    #[test]
    fn newcomers_of_one_peer_leave_room_for_those_of_another() {
        let caps = Caps { topic: 100, author: 100 };
        let mut bodies = Bodies::new(Duration::from_secs(10), Keyed::default());
        let mut takes = |peer: u8, number: u8, at: Mono| {
            let room = bodies.has_room(&key(number), Some(key(peer)), 1, caps, 2, at);
            if room {
                bodies.keep(id(number), key(number), Some(key(peer)), 1, caps, at);
            }
            room
        };
        // Four times what is free, under a new key each time, then the same of what is left.
        let taken =
            [201, 202].map(|peer| (0..100).filter(|n| takes(peer, (peer - 201) * 100 + n, at(0))).count());
        assert_eq!(taken, [80, 16]);
        // What is no longer young is on nobody's account.
        assert!(takes(201, 255, at(11)));
        assert_eq!(bodies.newcomers.get(&key(201)), Some(&1));
    }
}
