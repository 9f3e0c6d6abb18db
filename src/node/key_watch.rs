//! One node key in two processes, seen by a third: its links replace each other from two addresses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};

/// How long a replacement is remembered, and how often one key is told of at the most.
const WINDOW: Duration = Duration::from_secs(60);
/// Keys whose replacements are remembered, and so most events in a window. A stranger that makes up more keys hides among its own. (Guess.)
const KEYS: usize = 64;

/// Links that peers have dialled, and which of them came while another of the same key was there.
#[derive(Debug, Default)]
pub(super) struct KeyWatch {
    links: HashMap<LinkId, (PublicKey, SocketAddr)>,
    replaced: HashMap<PublicKey, Replaced>,
    /// When somebody who holds this node's own key was last told of.
    own_told_at: Option<Mono>,
}

/// A link from `was` was there when one came from `by`.
#[derive(Debug)]
struct Replaced {
    was: SocketAddr,
    by: SocketAddr,
    at: Mono,
    told_at: Option<Mono>,
}

impl KeyWatch {
    /// A peer has dialled us. Gives the two addresses at which its key is used if it is used at two: one that was replaced comes
    /// back while the other is still there. A process that was restarted, or whose address changed, does not do that.
    pub(super) fn inbound(
        &mut self,
        now: Mono,
        link: LinkId,
        key: PublicKey,
        from: SocketAddr,
    ) -> Option<Vec<SocketAddr>> {
        let other =
            self.links.values().find(|(peer, addr)| *peer == key && *addr != from).map(|(_, addr)| *addr);
        self.links.insert(link, (key, from));
        let other = other?;
        let before = self.replaced.get(&key).filter(|before| now.since(before.at) < WINDOW);
        let comes_back = before.is_some_and(|before| before.was == from && before.by == other);
        let told_at = before.and_then(|before| before.told_at).filter(|at| now.since(*at) < WINDOW);
        let tell = comes_back && told_at.is_none();
        self.note(
            key,
            Replaced { was: other, by: from, at: now, told_at: if tell { Some(now) } else { told_at } },
        );
        tell.then(|| vec![from, other])
    }

    /// Somebody has dialled with this node's own key, which no link of ours explains: a node does not dial itself. True if it is to
    /// be told now.
    pub(super) fn own_key(&mut self, now: Mono) -> bool {
        let tell = self.own_told_at.is_none_or(|at| now.since(at) >= WINDOW);
        if tell {
            self.own_told_at = Some(now);
        }
        tell
    }

    /// The link is gone.
    pub(super) fn leave(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    fn note(&mut self, key: PublicKey, replaced: Replaced) {
        let now = replaced.at;
        if self.replaced.len() >= KEYS && !self.replaced.contains_key(&key) {
            self.replaced.retain(|_, old| now.since(old.at) < WINDOW);
            if self.replaced.len() >= KEYS {
                return;
            }
        }
        self.replaced.insert(key, replaced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn addr(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn a_key_that_two_processes_use_is_told_once_a_minute_with_both_addresses() {
        let key = PublicKey::from_bytes([1; 32]);
        let mut watch = KeyWatch::default();
        let mut told = Vec::new();
        // Two processes take the one place from each other every six seconds.
        for round in 0..30u64 {
            let from = addr(1 + (round % 2) as u16);
            told.extend(
                watch.inbound(at(6 * round), LinkId(round), key, from).map(|addrs| (6 * round, addrs)),
            );
            if let Some(before) = round.checked_sub(1) {
                watch.leave(LinkId(before));
            }
        }
        assert_eq!(told[0], (12, vec![addr(1), addr(2)]));
        assert_eq!(told.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [12, 72, 132]);
    }

    #[test]
    fn restarts_and_new_addresses_of_one_process_are_nothing_to_tell() {
        let key = PublicKey::from_bytes([1; 32]);
        let mut watch = KeyWatch::default();
        // At a new port each time, or at the same, before its old link is known to be gone.
        for (link, port) in [1, 2, 3, 3, 4, 4, 5].into_iter().enumerate() {
            let link = link as u64;
            assert_eq!(watch.inbound(at(link), LinkId(link), key, addr(port)), None);
            watch.leave(LinkId(link.saturating_sub(1)));
        }
    }

    #[test]
    fn a_stranger_with_our_own_key_is_told_once_a_minute() {
        let mut watch = KeyWatch::default();
        let told: Vec<_> = (0..130).filter(|second| watch.own_key(at(*second))).collect();
        assert_eq!(told, [0, 60, 120]);
    }

    #[test]
    fn keys_that_are_remembered_are_bounded() {
        let mut watch = KeyWatch::default();
        for number in 0..10 * KEYS as u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            for port in [1, 2] {
                watch.inbound(
                    at(1),
                    LinkId(2 * number + u64::from(port)),
                    PublicKey::from_bytes(key),
                    addr(port),
                );
            }
        }
        assert_eq!(watch.replaced.len(), KEYS);
        watch.inbound(at(100), LinkId(1_000_000), PublicKey::from_bytes([9; 32]), addr(1));
        watch.inbound(at(100), LinkId(1_000_001), PublicKey::from_bytes([9; 32]), addr(2));
        assert_eq!(watch.replaced.len(), 1, "the old are forgotten for it");
    }
}
