//! How many streams each peer holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{STREAMS, STREAMS_OF_A_PEER};
use crate::key::PublicKey;

/// Places for streams that peers open. At most [`STREAMS`], and [`STREAMS_OF_A_PEER`] for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    by_peer: HashMap<PublicKey, u32>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    peer: PublicKey,
}

impl Places {
    /// A place for one more stream of `peer`; `None` if there is none.
    pub(super) fn take(&self, peer: PublicKey) -> Option<Place> {
        self.with(|taken| {
            let of_peer = taken.by_peer.get(&peer).copied().unwrap_or(0);
            if taken.all >= STREAMS || of_peer >= STREAMS_OF_A_PEER {
                return None;
            }
            taken.all += 1;
            taken.by_peer.insert(peer, of_peer + 1);
            Some(Place { places: self.clone(), peer })
        })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> u32 {
        self.with(|taken| taken.all)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Taken) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|taken| {
            taken.all = taken.all.saturating_sub(1);
            if let Some(of_peer) = taken.by_peer.get_mut(&self.peer) {
                *of_peer = of_peer.saturating_sub(1);
                if *of_peer == 0 {
                    taken.by_peer.remove(&self.peer);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn peer(number: u8) -> PublicKey {
        SecretKey::from_seed(&[number; 32]).public()
    }

    #[test]
    fn peer_that_holds_all_it_may_leaves_places_to_others() {
        let places = Places::default();
        let mut held: Vec<_> = (0..STREAMS_OF_A_PEER).map(|_| places.take(peer(1)).unwrap()).collect();
        assert!(places.take(peer(1)).is_none());
        assert!(places.take(peer(2)).is_some());
        held.pop();
        assert!(places.take(peer(1)).is_some());
        held.clear();
        assert_eq!(places.taken(), 0);
        assert!(places.with(|taken| taken.by_peer.is_empty()));
    }

    #[test]
    fn all_peers_together_hold_a_bounded_number() {
        let places = Places::default();
        let held: Vec<_> =
            (0..=255).flat_map(|number| vec![peer(number); 8]).map_while(|peer| places.take(peer)).collect();
        assert_eq!(held.len(), STREAMS as usize);
        assert_eq!(places.taken(), STREAMS);
    }
}
