//! Addresses where askers did not answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::key::PublicKey;
use crate::net::NetGroup;
use crate::protocol::DialError;

/// How long an address rests where an asker was not found. A liar has one dial sent there in this time by each member, which is a few
/// packets. (Guess, as the dialler's.)
const REST: Duration = Duration::from_secs(600);
/// Addresses that are remembered. One more takes the place of that which rests the shortest from now on.
const RESTING: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    /// Who has answered there, so that it is dialled for that key.
    but: Option<PublicKey>,
}

/// Addresses that rest. One for a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Rests(Arc<Mutex<HashMap<SocketAddr, Rest>>>);

/// What rests: a whole machine on the Internet, whatever its ports, and one address of our own networks, where many share a machine.
fn spot(address: SocketAddr) -> SocketAddr {
    match NetGroup::of(address.ip()) {
        NetGroup::Local => address,
        _ => SocketAddr::new(address.ip(), 0),
    }
}

impl Rests {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<SocketAddr, Rest>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether an address may be dialled for a key.
    pub(super) fn may(&self, address: SocketAddr, key: &PublicKey, now: Instant) -> bool {
        let is_over = |rest: &Rest| rest.until <= now || rest.but == Some(*key);
        self.with(|rests| rests.get(&spot(address)).is_none_or(is_over))
    }

    /// An asker was dialled there in vain. Who refuses is there, and busy.
    pub(super) fn failed(&self, address: SocketAddr, error: &DialError, now: Instant) {
        let but = match error {
            DialError::TimedOut { .. } | DialError::Handshake { .. } => None,
            DialError::WrongKey { answered, .. } => Some(*answered),
            _ => return,
        };
        self.with(|rests| {
            if rests.len() >= RESTING {
                rests.retain(|_, rest| rest.until > now);
            }
            if rests.len() >= RESTING
                && let Some(soonest) = rests.iter().min_by_key(|(_, rest)| rest.until).map(|(spot, _)| *spot)
            {
                rests.remove(&soonest);
            }
            rests.insert(spot(address), Rest { until: now + REST, but });
        });
    }

    /// It was found there.
    pub(super) fn answered(&self, address: SocketAddr) {
        self.with(|rests| rests.remove(&spot(address)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn key(number: u8) -> PublicKey {
        SecretKey::from_seed(&[number; 32]).public()
    }

    fn silent(addr: SocketAddr) -> DialError {
        DialError::TimedOut { addr, peer: key(1) }
    }

    #[test]
    fn address_where_nobody_answered_rests() {
        let (rests, now) = (Rests::default(), Instant::now());
        assert!(rests.may(address(1), &key(1), now));
        rests.failed(address(1), &silent(address(1)), now);
        assert!(!rests.may(address(1), &key(1), now + REST / 2) && !rests.may(address(1), &key(2), now));
        assert!(rests.may(address(2), &key(1), now));
        assert!(rests.may(address(1), &key(1), now + REST));
        rests.answered(address(1));
        assert!(rests.may(address(1), &key(1), now));
        // Of a machine on the Internet all ports rest.
        let far = |port| SocketAddr::from(([203, 0, 113, 9], port));
        rests.failed(far(1), &silent(far(1)), now);
        assert!(!rests.may(far(2), &key(1), now));
    }

    #[test]
    fn liar_that_names_the_address_of_another_takes_nothing_from_it() {
        let (rests, now) = (Rests::default(), Instant::now());
        let (addr, expected, answered) = (address(1), key(1), key(2));
        rests.failed(addr, &DialError::WrongKey { addr, expected, answered }, now);
        assert!(!rests.may(addr, &key(1), now) && !rests.may(addr, &key(3), now));
        assert!(rests.may(addr, &key(2), now));
        // Nor does who is busy rest.
        rests.failed(address(2), &DialError::Refused { addr: address(2), peer: key(1) }, now);
        assert!(rests.may(address(2), &key(1), now));
    }

    #[test]
    fn addresses_that_rest_are_bounded() {
        let (rests, now) = (Rests::default(), Instant::now());
        for port in 0..2_000 {
            let at = now + Duration::from_millis(port.into());
            rests.failed(address(port), &silent(address(port)), at);
        }
        assert_eq!(rests.with(|rests| rests.len()), RESTING);
        assert!(!rests.may(address(1_999), &key(1), now) && rests.may(address(0), &key(1), now));
    }
}
