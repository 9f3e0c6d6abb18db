//! Authors that this node knows to be convicted, for those who read the past.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::key::PublicKey;

/// Convictions beyond what the engine remembers before the set is made anew. (Guess: rare enough, and 32 bytes each.)
const MOST_FORGOTTEN: usize = 1_024;

/// Shared by the node and all readers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Convicted(Arc<RwLock<HashSet<PublicKey>>>);

impl Convicted {
    pub(super) fn contains(&self, author: &PublicKey) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(author)
    }

    /// One more was convicted. The engine forgets some when there are too many: `remembered` gives those that it still knows.
    pub(super) fn insert(&self, author: PublicKey, remembered: impl FnOnce() -> Vec<PublicKey>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(author);
        if all.len() > crate::protocol::MAX_CONVICTED + MOST_FORGOTTEN {
            *all = remembered().into_iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_of_convicted_authors_is_bounded() {
        let convicted = Convicted::default();
        let key = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            PublicKey::from_bytes(bytes)
        };
        for number in 0..100_000 {
            convicted.insert(key(number), || vec![key(number)]);
            let count = convicted.0.read().unwrap().len();
            assert!(count <= crate::protocol::MAX_CONVICTED + MOST_FORGOTTEN);
            assert!(convicted.contains(&key(number)));
        }
    }
}
