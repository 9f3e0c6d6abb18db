//! What the nodes promise, held against everything that was seen.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use vouchsafe::protocol::Caps;
use vouchsafe::protocol::dialler::MAX_DIALS;
use vouchsafe::{Config, Delivery, Event, NodeStats, PublicKey, RumorId};

/// A rumor is owed as long as it can reach everybody inside the delivery window, 60 s, though clocks of threads differ.
const OWED: Duration = Duration::from_secs(45);
/// Nothing is delivered that long after it was said: the relay window is 90 s, and held for as long again at the most.
const FORGET: Duration = Duration::from_secs(200);
/// Of each promise, times that it was broken that are kept in words; the rest is only counted.
const IN_WORDS: u64 = 5;

/// One rumor of an honest node.
struct Told {
    author: PublicKey,
    called: Instant,
    /// By slot: when its present life was given it.
    held: Vec<Option<Instant>>,
    /// Slots that it was reported lost for.
    lost: BTreeSet<usize>,
    /// Its author was in trouble, and need not have been heard.
    excused: bool,
}

/// Rumors that are known, who holds what, and what went wrong.
pub(super) struct Promises {
    nodes: usize,
    within: Duration,
    told: VecDeque<Told>,
    /// Number of the first in `told`.
    first: u64,
    by_body: HashMap<Bytes, u64>,
    /// By rumor: which slots' present lives were given it.
    given: HashMap<RumorId, (Instant, u128)>,
    /// Every honest key that ever was.
    honest: HashMap<PublicKey, usize>,
    blamed: BTreeSet<(usize, PublicKey)>,
    pub(super) broken: BTreeMap<&'static str, u64>,
    pub(super) words: Vec<String>,
    /// Pairs of rumor and node whose delivery was owed and seen, or missed.
    pub(super) checked: u64,
}

impl Promises {
    pub(super) fn new(nodes: usize, within: Duration) -> Self {
        Self {
            nodes,
            within,
            told: VecDeque::new(),
            first: 0,
            by_body: HashMap::new(),
            given: HashMap::new(),
            honest: HashMap::new(),
            blamed: BTreeSet::new(),
            broken: BTreeMap::new(),
            words: Vec::new(),
            checked: 0,
        }
    }

    /// A node has come up under this key.
    pub(super) fn is_honest(&mut self, key: PublicKey, slot: usize) {
        self.honest.insert(key, slot);
    }

    /// Whose key it is or was, if an honest node's.
    pub(super) fn slot_of(&self, key: &PublicKey) -> Option<usize> {
        self.honest.get(key).copied()
    }

    /// The life of a node has ended: what it held is gone with it.
    pub(super) fn ended(&mut self, slot: usize, has_disk: bool) {
        for told in self.told.iter_mut().filter(|_| !has_disk) {
            if let Some(held) = told.held.get_mut(slot) {
                *held = None;
            }
        }
        for (_, slots) in self.given.values_mut() {
            *slots &= !(1 << slot);
        }
    }

    /// An honest node is about to say this.
    pub(super) fn says(&mut self, author: PublicKey, body: &Bytes, called: Instant) {
        self.by_body.insert(body.clone(), self.first + self.told.len() as u64);
        self.told.push_back(Told {
            author,
            called,
            held: vec![None; self.nodes],
            lost: BTreeSet::new(),
            excused: false,
        });
    }

    /// It is in its store: then a new life is not told again.
    pub(super) fn kept(&mut self, slot: usize, body: &Bytes, at: Instant) {
        self.said(slot, body, at);
    }

    /// Publishing has succeeded, so that the author itself holds it.
    pub(super) fn said(&mut self, slot: usize, body: &Bytes, at: Instant) {
        if let Some(held) = self.find(body).and_then(|told| told.held.get_mut(slot)) {
            held.get_or_insert(at);
        }
    }

    /// Its author is in trouble: nobody is owed what it says now.
    pub(super) fn excuse(&mut self, body: &Bytes) {
        if let Some(told) = self.find(body) {
            told.excused = true;
        }
    }

    /// A flood of new keys begins: whatever is not everywhere yet may wait behind it as what is said from now on may.
    pub(super) fn excuse_unheard(&mut self) {
        for told in &mut self.told {
            told.excused |= told.held.iter().any(Option::is_none);
        }
    }

    fn find(&mut self, body: &Bytes) -> Option<&mut Told> {
        let at = self.by_body.get(body)?.checked_sub(self.first)?;
        self.told.get_mut(usize::try_from(at).ok()?)
    }

    /// A node was given a rumor; when it was said, if by an honest node.
    pub(super) fn given(&mut self, slot: usize, delivery: &Delivery, at: Instant) -> Option<Instant> {
        let (author, id) = (delivery.author(), delivery.id());
        let (_, slots) = self.given.entry(id).or_insert((at, 0));
        let (first, again) = (*slots == 0, *slots >> slot & 1 == 1);
        *slots |= 1 << slot;
        if again {
            self.breaks("twice", || format!("node {slot} was given {id} twice"));
        }
        // Once is enough: it is the same signature everywhere.
        if first && vouchsafe::verify::proof(&delivery.proof(), delivery.body()).is_err() {
            self.breaks("forged", || format!("node {slot} was given {id}, whose signature does not hold"));
        }
        if !self.honest.contains_key(&author) {
            return None;
        }
        let body = delivery.body().clone();
        match self.find(&body) {
            Some(told) if told.author == author => {
                told.held.get_mut(slot)?.get_or_insert(at);
                Some(told.called)
            }
            _ => {
                self.breaks("forged", || format!("node {slot} was given {id}, which {author} never said"));
                None
            }
        }
    }

    pub(super) fn event(&mut self, slot: usize, event: &Event) {
        match event {
            Event::Offence { peer, offence } => self.blame(slot, *peer, &format!("offence: {offence}")),
            Event::Convicted { evidence } => self.blame(slot, evidence.author(), "convicted"),
            Event::DuplicateWriter { tick, .. } => {
                self.breaks("blamed", || format!("node {slot} suspects a second writer at tick {tick}"));
            }
            _ => {}
        }
    }

    fn blame(&mut self, slot: usize, key: PublicKey, why: &str) {
        if let Some(victim) = self.honest.get(&key).copied()
            && self.blamed.insert((slot, key))
        {
            self.breaks("blamed", || format!("node {slot} blames honest node {victim}: {why}"));
        }
    }

    /// A node's own books, held against the caps that the engine's tests hold it to.
    pub(super) fn stats(&mut self, slot: usize, stats: &NodeStats, config: &Config) {
        for key in stats.banned.iter().chain(&stats.convicted) {
            self.blame(slot, *key, "in its books");
        }
        let caps = Caps::default();
        let links = stats.links.len();
        let mut gauges = vec![
            ("links", links, config.links.max),
            ("wants", stats.wants, caps.wants),
            ("dials under way", stats.dials_under_way, (stats.kept.len() + stats.candidates).min(MAX_DIALS)),
            ("signatures waiting", stats.waiting_verification, caps.waiting),
        ];
        for link in &stats.links {
            gauges.extend([
                ("bytes queued for a link", link.queued_bytes, caps.queued),
                ("pulls owed by a link", link.owed_pulls, caps.owed_pulls),
                ("ids announced by a link", link.wanted_from, caps.wanted_from),
                ("signatures of a link waiting", link.waiting_verification, caps.waiting_of_link),
                ("bytes of a link waiting", link.waiting_bytes, caps.waiting_bytes),
            ]);
        }
        for topic in &stats.topics {
            gauges.push(("bundles of a topic", topic.bundles, config.topics.bundles));
            gauges.push(("bytes of a topic", topic.body_bytes, config.topics.bytes));
        }
        for (what, value, cap) in gauges {
            if value > cap {
                self.breaks("caps", || format!("node {slot}: {value} {what}, where {cap} may be"));
            }
        }
    }

    /// `group[slot]`: which set of nodes that were joined for the last `within` it belongs to, if any. `hears[slot]`: what was
    /// said before is not owed to it, since it was in trouble.
    pub(super) fn check(&mut self, now: Instant, group: &[Option<usize>], hears: &[Instant]) {
        let mut lost = Vec::new();
        for told in &mut self.told {
            let age = now.saturating_duration_since(told.called);
            if told.excused || age < self.within || age > OWED {
                continue;
            }
            let holders = told.held.iter().zip(group).filter(|(held, _)| {
                held.is_some_and(|held| now.saturating_duration_since(held) >= self.within)
            });
            let owing: BTreeSet<usize> = holders.filter_map(|(_, group)| *group).collect();
            for (slot, (held, group)) in told.held.iter().zip(group).enumerate() {
                let hears = hears.get(slot).is_none_or(|from| *from <= told.called);
                if hears && group.is_some_and(|group| owing.contains(&group)) {
                    self.checked += 1;
                    if held.is_none() && told.lost.insert(slot) {
                        lost.push((slot, told.author, age));
                    }
                }
            }
        }
        for (slot, author, age) in lost {
            let by = self.honest.get(&author).copied().unwrap_or_default();
            self.breaks("lost", || {
                format!("node {slot} lacks a rumor that node {by} said {} ms ago", age.as_millis())
            });
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        let old = |at: Instant| now.saturating_duration_since(at) > FORGET;
        let count = self.told.iter().take_while(|told| old(told.called)).count();
        self.told.drain(..count);
        self.first += count as u64;
        if count > 0 {
            let first = self.first;
            self.by_body.retain(|_, number| *number >= first);
        }
        self.given.retain(|_, (at, _)| !old(*at));
        // After a flood it has room for a hundred times what it holds, which would count as the nodes' memory.
        self.given.shrink_to(2 * self.given.len());
    }

    pub(super) fn breaks(&mut self, promise: &'static str, words: impl FnOnce() -> String) {
        let times = self.broken.entry(promise).or_default();
        *times += 1;
        if *times <= IN_WORDS {
            self.words.push(words());
        }
    }
}

#[cfg(test)]
mod tests {
    use vouchsafe::SecretKey;

    use super::*;

    #[test]
    fn what_one_holds_those_joined_with_it_must_hold_in_time() {
        let (start, key) = (Instant::now(), SecretKey::generate().public());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut promises = Promises::new(4, Duration::from_secs(15));
        promises.is_honest(key, 0);
        let body = Bytes::from_static(b"to all");
        promises.says(key, &body, at(0));
        promises.said(0, &body, at(0));
        promises.said(1, &body, at(1));
        // Node 1 is joined with nobody and node 3 with nobody who holds it; node 2 is joined with node 0, and has time.
        let groups = [Some(0), None, Some(0), Some(3)];
        promises.check(at(14), &groups, &[]);
        assert!(promises.broken.is_empty());
        promises.check(at(15), &groups, &[]);
        promises.check(at(16), &groups, &[]);
        assert_eq!(promises.broken, BTreeMap::from([("lost", 1)]), "{:?}", promises.words);
        assert!(promises.words[0].starts_with("node 2 lacks"));
        // A new life of node 1 without the disk of the last one owes nothing for what that held, and is owed it again.
        promises.ended(1, true);
        promises.check(at(17), &[Some(0), Some(0), None, None], &[]);
        assert_eq!(promises.broken, BTreeMap::from([("lost", 1)]), "what its disk has need not come again");
        promises.ended(1, false);
        promises.check(at(17), &[Some(0), Some(0), None, None], &[]);
        assert_eq!(promises.broken, BTreeMap::from([("lost", 2)]));
        // Too old to be delivered to anybody: owed no more.
        promises.check(at(46), &[Some(0), None, None, Some(0)], &[]);
        assert_eq!(promises.broken, BTreeMap::from([("lost", 2)]));
    }

    #[test]
    fn a_node_in_trouble_has_no_promises_until_it_is_healed() {
        let (start, key) = (Instant::now(), SecretKey::generate().public());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut promises = Promises::new(2, Duration::from_secs(15));
        promises.is_honest(key, 0);
        let bodies: Vec<_> = (0..3).map(|n: u8| Bytes::from(vec![n])).collect();
        for (second, body) in bodies.iter().enumerate() {
            promises.says(key, body, at(second as u64));
            promises.said(0, body, at(second as u64));
        }
        // Node 1 hears from the second rumor on, and the author was in trouble when it said the third.
        promises.excuse(&bodies[2]);
        promises.check(at(20), &[Some(0), Some(0)], &[at(0), at(1)]);
        assert_eq!(promises.broken, BTreeMap::from([("lost", 1)]), "{:?}", promises.words);
        assert!(promises.words[0].ends_with("said 19000 ms ago"), "{:?}", promises.words);
    }

    #[test]
    fn what_a_flood_of_new_keys_finds_under_way_may_wait() {
        let (start, key) = (Instant::now(), SecretKey::generate().public());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut promises = Promises::new(2, Duration::from_secs(15));
        promises.is_honest(key, 0);
        let body = Bytes::from_static(b"under way");
        promises.says(key, &body, at(0));
        promises.said(0, &body, at(0));
        promises.excuse_unheard();
        promises.check(at(20), &[Some(0), Some(0)], &[]);
        assert!(promises.broken.is_empty(), "{:?}", promises.words);
    }

    #[test]
    fn an_honest_key_that_is_blamed_is_noticed_once() {
        let (honest, liar) = (SecretKey::generate().public(), SecretKey::generate().public());
        let mut promises = Promises::new(2, Duration::from_secs(15));
        promises.is_honest(honest, 1);
        let offence = |peer| Event::Offence { peer, offence: vouchsafe::Offence::Undecodable };
        promises.event(0, &offence(liar));
        assert!(promises.broken.is_empty());
        promises.event(0, &offence(honest));
        promises.event(0, &offence(honest));
        assert_eq!(promises.broken, BTreeMap::from([("blamed", 1)]));
    }
}
