//! Addresses where askers did not answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an address rests where an asker was not found. A liar has one packet sent there in this time by each member. (Guess, as the
/// dialler's.)
const REST: Duration = Duration::from_secs(600);
/// Addresses that are remembered. One more takes the place of that which rests the shortest from now on.
const RESTING: usize = 1024;

/// Addresses that rest. One for a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Rests(Arc<Mutex<HashMap<SocketAddr, Instant>>>);

impl Rests {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<SocketAddr, Instant>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether an address may be dialled.
    pub(super) fn may(&self, address: &SocketAddr, now: Instant) -> bool {
        self.with(|rests| rests.get(address).is_none_or(|until| *until <= now))
    }

    /// Nobody who was asked for has answered there.
    pub(super) fn failed(&self, address: SocketAddr, now: Instant) {
        self.with(|rests| {
            if rests.len() >= RESTING {
                rests.retain(|_, until| *until > now);
            }
            if rests.len() >= RESTING
                && let Some(soonest) =
                    rests.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address)
            {
                rests.remove(&soonest);
            }
            rests.insert(address, now + REST);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn address_where_nobody_answered_rests() {
        let (rests, now) = (Rests::default(), Instant::now());
        assert!(rests.may(&address(1), now));
        rests.failed(address(1), now);
        assert!(!rests.may(&address(1), now + REST / 2));
        assert!(rests.may(&address(2), now));
        assert!(rests.may(&address(1), now + REST));
    }

    #[test]
    fn addresses_that_rest_are_bounded() {
        let (rests, now) = (Rests::default(), Instant::now());
        for port in 0..2_000 {
            rests.failed(address(port), now + Duration::from_millis(port.into()));
        }
        assert_eq!(rests.with(|rests| rests.len()), RESTING);
        assert!(!rests.may(&address(1_999), now) && rests.may(&address(0), now));
    }
}
