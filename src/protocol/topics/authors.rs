//! What we keep about the authors of a topic: since when we know them, what they have said, and how much more they may.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::limits::{MAX_AUTHORS, RELAY_PAST};
use crate::protocol::links::allowance::Allowance;
use crate::protocol::meter::Meter;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::shrink::Shrink as _;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::rumor::RuleSet;

/// How long an author counts as a newcomer after we first heard it, in an open topic.
const NEWCOMER: Duration = Duration::from_secs(600);
/// The turn that all newcomers of an open topic share.
const NEWCOMERS: PublicKey = PublicKey::from_bytes([0; 32]);

#[derive(Debug)]
pub(in crate::protocol) struct Authors {
    rules: Arc<RuleSet>,
    known: KeyedMap<PublicKey, Author>,
}

#[derive(Debug)]
struct Author {
    first_heard: Mono,
    last_heard: Mono,
    /// Positions claimed, in bundles: what it takes of the index.
    bundles: usize,
    /// The ticks that it has claimed something in, in order: so that silencing it need not look at all ticks of the topic.
    ticks: VecDeque<u64>,
    /// Pushes of this author's rumors: at most twice its quota per real tick, however many ticks it releases at once.
    pushes: Meter,
    allowance: Allowance,
}

impl Author {
    fn is_new(&self, now: Mono) -> bool {
        now.since(self.first_heard) < NEWCOMER
    }
}

impl Authors {
    pub(in crate::protocol) fn new(rules: Arc<RuleSet>, keyed: Keyed) -> Self {
        Self { rules, known: keyed.map() }
    }

    /// Bundles of an author in the index.
    pub(in crate::protocol) fn bundles_of(&self, author: &PublicKey) -> usize {
        self.known.get(author).map_or(0, |author| author.bundles)
    }

    /// Bundles of an author in the index, and whether it is a newcomer.
    pub(in crate::protocol) fn usage(&self, author: &PublicKey, now: Mono) -> (usize, bool) {
        match self.known.get(author) {
            None => (0, !self.rules.is_listed()),
            Some(author) => (author.bundles, !self.rules.is_listed() && author.is_new(now)),
        }
    }

    /// An author has claimed positions with one more bundle, the `first` of it in a tick or not.
    pub(in crate::protocol) fn claimed(&mut self, author: &PublicKey, tick: u64, first: bool, now: Mono) {
        let author = self.heard(author, now);
        author.bundles.gains(1);
        if first {
            let at = author.ticks.partition_point(|known| *known < tick);
            author.ticks.insert(at, tick);
        }
    }

    /// So many bundles of an author, all that it said in `tick`, have left the window.
    pub(in crate::protocol) fn left(&mut self, author: &PublicKey, tick: u64, bundles: usize) {
        if let Some(author) = self.known.get_mut(author) {
            author.bundles.loses(bundles);
            if let Ok(at) = author.ticks.binary_search(&tick) {
                author.ticks.remove(at);
            }
        }
    }

    /// The ticks that an author has claimed something in.
    pub(in crate::protocol) fn ticks_of(&self, author: &PublicKey) -> impl Iterator<Item = u64> {
        self.known.get(author).into_iter().flat_map(|author| author.ticks.iter().copied())
    }

    /// Whether pushing `count` rumors of `author` is within twice its quota; counts them if so.
    pub(in crate::protocol) fn may_push(&mut self, author: &PublicKey, count: u16, now: Mono) -> bool {
        let author = self.heard(author, now);
        let may = author.pushes.allows(now, u64::from(count));
        if may {
            author.pushes.charge(now, u64::from(count));
        }
        may
    }

    fn heard(&mut self, key: &PublicKey, now: Mono) -> &mut Author {
        let tick_ms = u64::from(self.rules.tick_len().millis());
        let quota = u64::from(self.rules.slots_per_tick());
        let author = self.known.entry(*key).or_insert_with(|| Author {
            first_heard: now,
            last_heard: now,
            bundles: 0,
            ticks: VecDeque::new(),
            pushes: Meter::new((2 * quota * 1000 / tick_ms).max(1), 2 * quota),
            allowance: Allowance::new(),
        });
        author.last_heard = now;
        author
    }

    /// Whether the author was first heard so recently that it shares its turns, its caps and its allowance with newcomers.
    pub(in crate::protocol) fn is_newcomer(&self, author: &PublicKey, now: Mono) -> bool {
        self.usage(author, now).1
    }

    /// Whether the author is admitted by name, or has been heard here for a while.
    pub(in crate::protocol) fn knows(&self, author: &PublicKey, now: Mono) -> bool {
        if self.rules.owner().is_some() {
            // Its rules tell of nobody, and nobody is heard here whom the owner has not listed.
            return self.known.contains_key(author);
        }
        if self.rules.is_listed() { self.rules.admits(author) } else { !self.is_newcomer(author, now) }
    }

    /// Whose turn an author's bundles take in fair queues: its own, or the one that all newcomers share.
    pub(in crate::protocol) fn turn_of(&self, author: &PublicKey, now: Mono) -> PublicKey {
        if self.is_newcomer(author, now) { NEWCOMERS } else { *author }
    }

    /// How much an author may sign at the usual price, or that of the `newcomers` of the link that brings it.
    pub(in crate::protocol) fn allowance<'a>(
        &'a mut self,
        author: &PublicKey,
        newcomers: &'a mut Allowance,
        now: Mono,
    ) -> &'a mut Allowance {
        if self.is_newcomer(author, now) {
            return newcomers;
        }
        self.known.get_mut(author).map_or(newcomers, |author| &mut author.allowance)
    }

    pub(in crate::protocol) fn expire(&mut self, now: Mono) {
        // Whoever holds nothing and has been silent for a while makes room, newcomers first: keys cost nothing, and whoever makes
        // many of them should not make us forget whom we knew. The others are fewer than the bundles.
        let kept = |author: &Author| author.bundles > 0 || now.since(author.last_heard) <= RELAY_PAST;
        if self.known.len() > MAX_AUTHORS {
            self.known.retain(|_, author| kept(author) || now.since(author.first_heard) >= NEWCOMER);
        }
        if self.known.len() > MAX_AUTHORS {
            self.known.retain(|_, author| kept(author));
        }
        self.known.shrink();
    }
}

#[cfg(any(test, feature = "sim"))]
impl Authors {
    /// Authors that are remembered, with the bundles that each has in the index.
    pub(in crate::protocol) fn bundles(&self) -> impl Iterator<Item = (&PublicKey, usize)> {
        self.known.iter().map(|(key, author)| (key, author.bundles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rumor::{NetworkId, Topic};

    fn key(number: usize) -> PublicKey {
        PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    /// Says one thing that has left the window since.
    fn speaks(authors: &mut Authors, number: usize, now: Mono) {
        authors.claimed(&key(number), 7, true, now);
        authors.left(&key(number), 7, 1);
    }

    #[test]
    fn the_silent_are_forgotten_when_there_are_too_many_authors_and_newcomers_first() {
        let rules = Topic::named("t").bind(NetworkId::of("n")).unwrap();
        let mut authors = Authors::new(Arc::new(rules), Keyed::default());
        let at = |seconds| Mono::default().plus(Duration::from_secs(seconds));
        // Given one that we have known for long, and as many newcomers as are remembered.
        speaks(&mut authors, 0, at(0));
        (1..MAX_AUTHORS).for_each(|number| speaks(&mut authors, number, at(1_000)));
        authors.expire(at(2_000));
        assert_eq!(authors.known.len(), MAX_AUTHORS, "there is room for them");
        // When there is one too many among newcomers who have been silent for a while,
        speaks(&mut authors, MAX_AUTHORS, at(1_100));
        authors.expire(at(1_200));
        // Then only they go.
        assert_eq!(authors.known.len(), 1);
        assert!(!authors.is_newcomer(&key(0), at(1_200)));
        // When there are too many that we have known for long,
        (1..=MAX_AUTHORS).for_each(|number| speaks(&mut authors, number, at(1_200)));
        speaks(&mut authors, 1, at(3_000));
        authors.expire(at(3_000));
        // Then those who have been silent go.
        assert_eq!(authors.known.keys().collect::<Vec<_>>(), [&key(1)]);
    }

    #[test]
    fn where_an_owner_lists_the_authors_those_are_known_that_were_heard_and_none_is_a_newcomer() {
        use crate::rumor::Authors as Who;
        let owner = crate::key::SecretKey::from_seed(&[1; 32]).public();
        let rules = Topic::named("t").authors(Who::Owned(owner)).bind(NetworkId::of("n")).unwrap();
        let mut authors = Authors::new(Arc::new(rules), Keyed::default());
        let now = Mono::default();
        speaks(&mut authors, 1, now);
        // Or a proof against any key at all would be told before rumors.
        assert!(authors.knows(&key(1), now) && !authors.knows(&key(2), now));
        assert!(!authors.is_newcomer(&key(1), now) && !authors.is_newcomer(&key(2), now));
    }

    #[test]
    fn the_ticks_of_an_author_are_those_that_it_has_claimed_something_in() {
        let rules = Topic::named("t").bind(NetworkId::of("n")).unwrap();
        let mut authors = Authors::new(Arc::new(rules), Keyed::default());
        let now = Mono::default();
        for tick in (0..1_000).rev() {
            authors.claimed(&key(2), tick, true, now);
        }
        for (tick, first) in [(9, true), (7, true), (9, false), (8, true)] {
            authors.claimed(&key(1), tick, first, now);
        }
        assert!(authors.ticks_of(&key(1)).eq([7, 8, 9]));
        authors.left(&key(1), 7, 1);
        authors.left(&key(1), 8, 1);
        assert!(authors.ticks_of(&key(1)).eq([9]));
        assert_eq!(authors.bundles_of(&key(1)), 2);
    }
}
