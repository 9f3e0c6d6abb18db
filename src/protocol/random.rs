//! Randomness that a seed decides: which links to push to, and where a hash map puts its keys.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, DefaultHasher, Hasher as _};

/// A stream of random numbers from a secret seed (BLAKE3 in keyed mode as a generator). Peers who don't know the seed
/// can't predict whom we tell first; whoever knows it can replay a run.
pub(super) struct Random {
    stream: blake3::OutputReader,
    buffer: [u8; 64],
    used: usize,
}

impl Random {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { stream: blake3::Hasher::new_keyed(seed).finalize_xof(), buffer: [0; 64], used: 64 }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        if self.used + 8 > self.buffer.len() {
            self.stream.fill(&mut self.buffer);
            self.used = 0;
        }
        let word = self.buffer.get(self.used..).and_then(|rest| rest.first_chunk::<8>());
        self.used += 8;
        word.map_or(0, |word| u64::from_le_bytes(*word))
    }

    /// A number below `bound` (0 if `bound` is 0). The bias of at most `bound / 2^64` is no use to anybody.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next_u64() % bound as u64) as usize }
    }

    /// Moves a random sample of `count` items to the front.
    pub(super) fn sample_to_front<T>(&mut self, items: &mut [T], count: usize) {
        for at in 0..count.min(items.len()) {
            let other = at + self.below(items.len() - at);
            items.swap(at, other);
        }
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(..)")
    }
}

/// Makes tables in which a peer that grinds ids can't aim at a bucket; the same seed gives the same tables.
#[derive(Clone, Copy, Default)]
pub(super) struct Keyed(u64);

impl Keyed {
    pub(super) fn new(random: &mut Random) -> Self {
        Self(random.next_u64())
    }

    pub(super) fn map<K, V>(self) -> KeyedMap<K, V> {
        HashMap::with_hasher(self.hasher())
    }

    fn hasher(self) -> Prefixed {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        Prefixed(hasher)
    }

    pub(super) fn set<K>(self) -> KeyedSet<K> {
        HashSet::with_hasher(self.hasher())
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed(..)")
    }
}

/// SipHash that has taken in a secret prefix.
#[derive(Clone)]
pub(super) struct Prefixed(DefaultHasher);

impl std::fmt::Debug for Prefixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prefixed(..)")
    }
}

impl BuildHasher for Prefixed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.clone()
    }
}

pub(super) type KeyedMap<K, V> = HashMap<K, V, Prefixed>;
pub(super) type KeyedSet<K> = HashSet<K, Prefixed>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rumor::BundleId;

    #[test]
    fn ids_that_differ_anywhere_lie_apart() {
        // Whoever announces an id chooses all of it: a part that does not count would be a way into one bucket.
        let hasher = Keyed::default().hasher();
        let hash = |at: usize| {
            let mut id = [7; 32];
            id[at] ^= 1;
            hasher.hash_one(BundleId::from_bytes(id))
        };
        let hashes: HashSet<u64> = (0..32).map(hash).collect();
        assert_eq!(hashes.len(), 32);
    }
}
