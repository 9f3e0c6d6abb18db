//! Decoded keys, so that a known author costs no square root.
//!
//! Two generations: keys enter the young map; when it holds half of the cap it becomes the old one and the former old
//! one is dropped. A key used since then is moved back to the young map, so what is in use survives and no key needs a
//! timestamp or a list. Memory has a hard bound (about 1 MiB at [`MAX_CACHED_KEYS`]).
//!
//! Only keys **under which a signature has held** are remembered. Half of all 32-byte strings are points that may sign,
//! so a peer can name fresh ones for free; were they cached on sight, one link could push every real author out.

use std::collections::HashMap;

use super::rule::MinusKey;
use crate::key::PublicKey;

/// How many decoded keys a [`Verifier`](super::Verifier) keeps at most, both generations together; about 200 bytes
/// each.
///
/// A guess: several times the authors that are active in a minute in the networks we design for (10 000 nodes). Too
/// small, and a busy author is decoded again and again (about a third of a batched verification); never wrong.
pub const MAX_CACHED_KEYS: usize = 4096;

/// How many keys one generation holds.
const GENERATION: usize = MAX_CACHED_KEYS / 2;

#[derive(Default)]
pub(super) struct KeyCache {
    young: HashMap<PublicKey, MinusKey>,
    old: HashMap<PublicKey, MinusKey>,
}

impl KeyCache {
    /// The decoded key, if it is remembered.
    pub(super) fn get(&mut self, key: &PublicKey) -> Option<MinusKey> {
        if let Some(point) = self.young.get(key) {
            return Some(*point);
        }
        let point = self.old.remove(key)?;
        self.remember(*key, point);
        Some(point)
    }

    /// Remembers a key under which a signature has held.
    pub(super) fn remember(&mut self, key: PublicKey, point: MinusKey) {
        if self.young.len() >= GENERATION {
            // The maps change places, so neither is ever allocated again.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, point);
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT as POINT;

    fn key(n: usize) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        PublicKey::from_bytes(bytes)
    }

    #[test]
    fn ten_times_the_cap_stays_under_the_cap() {
        let mut cache = KeyCache::default();
        for n in 0..10 * MAX_CACHED_KEYS {
            cache.remember(key(n), POINT);
            assert!(cache.len() <= MAX_CACHED_KEYS);
        }
        assert!(cache.young.capacity() + cache.old.capacity() <= 3 * MAX_CACHED_KEYS);
    }

    #[test]
    fn a_key_in_use_outlives_a_stream_of_strangers() {
        let mut cache = KeyCache::default();
        cache.remember(key(0), POINT);
        for n in 1..10 * MAX_CACHED_KEYS {
            cache.remember(key(n), POINT);
            assert!(n % 1000 != 0 || cache.get(&key(0)).is_some());
        }
        assert!(cache.get(&key(1)).is_none());
    }
}
