//! Bans: which node keys have sent bytes that no correct node sends, and until when we refuse them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::limits::MAX_BANS;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::time::Mono;

/// The first ban; each further one of the same key doubles it.
const FIRST_BAN: Duration = Duration::from_secs(3600);
/// The longest ban.
const LONGEST_BAN: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(in crate::protocol) struct Bans {
    bans: KeyedMap<PublicKey, Ban>,
    /// In the order of their first offence.
    order: VecDeque<PublicKey>,
}

#[derive(Debug, Clone, Copy)]
struct Ban {
    until: Mono,
    length: Duration,
}

impl Bans {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self { bans: keyed.map(), order: VecDeque::new() }
    }

    /// Bans `peer`; true if an older ban was forgotten for it.
    pub(in crate::protocol) fn ban(&mut self, peer: PublicKey, now: Mono) -> bool {
        let mut shed = false;
        let length = match self.bans.get(&peer) {
            // Two offences of one link that was already being closed are one.
            Some(old) if old.until > now => return false,
            Some(old) => old.length.saturating_mul(2).min(LONGEST_BAN),
            None => {
                if self.order.len() >= MAX_BANS
                    && let Some(oldest) = self.order.pop_front()
                {
                    shed = self.bans.remove(&oldest).is_some();
                }
                self.order.push_back(peer);
                FIRST_BAN
            }
        };
        self.bans.insert(peer, Ban { until: now.plus(length), length });
        shed
    }

    pub(in crate::protocol) fn is_banned(&self, peer: &PublicKey, now: Mono) -> bool {
        self.bans.get(peer).is_some_and(|ban| ban.until > now)
    }

    /// Keys remembered, whether their bans have ended or not.
    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn len(&self) -> usize {
        self.order.len()
    }

    pub(in crate::protocol) fn banned(&self, now: Mono) -> Vec<PublicKey> {
        self.order.iter().filter(|peer| self.is_banned(peer, now)).copied().collect()
    }
}

#[cfg(any(test, feature = "sim"))]
impl Bans {
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        recount.same("bans", self.bans.len(), self.order.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_double_to_a_day_and_end() {
        let mut bans = Bans::new(Keyed::default());
        let peer = PublicKey::from_bytes([1; 32]);
        let mut now = Mono::from_nanos(1);
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            bans.ban(peer, now);
            let end = now.plus(Duration::from_secs(hours * 3600));
            assert!(bans.is_banned(&peer, now.plus(Duration::from_secs(hours * 3600 - 1))));
            assert!(!bans.is_banned(&peer, end), "after {hours} h");
            now = end;
        }
    }

    #[test]
    fn the_book_of_bans_is_bounded() {
        let mut bans = Bans::new(Keyed::default());
        for n in 0..MAX_BANS as u64 + 10 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            assert_eq!(bans.ban(PublicKey::from_bytes(key), Mono::default()), n >= MAX_BANS as u64);
        }
        assert_eq!((bans.bans.len(), bans.order.len()), (MAX_BANS, MAX_BANS));
    }
}
