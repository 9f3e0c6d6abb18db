//! What a dialler shows of itself.

use super::Dialler;
use super::peer::{KeptPeer, Peer};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};

impl<A: Clone + Ord> Dialler<A> {
    /// Who is at the other end of a link.
    pub fn peer_of(&self, link: LinkId) -> Option<PublicKey> {
        self.links.get(&link).map(|link| link.peer)
    }

    /// Where a peer may be dialled, as far as it is remembered, the address that worked last first.
    pub fn addresses_of(&self, peer: &PublicKey) -> Vec<A> {
        self.peers.get(peer).map(Peer::addresses).unwrap_or_default()
    }

    /// Dials begun so far, feelers included.
    pub const fn dials(&self) -> u64 {
        self.dials
    }

    /// Dials under way.
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Feelers begun so far.
    pub const fn feelers(&self) -> u64 {
        self.feelers.begun_so_far()
    }

    /// Candidates that are remembered, linked ones included.
    pub const fn candidates(&self) -> usize {
        self.candidates
    }

    /// The peers that are kept, in the order of their keys.
    pub fn list(&self, now: Mono) -> Vec<KeptPeer<A>> {
        self.peers.iter().filter_map(|(peer, known)| known.show(*peer, now)).collect()
    }
}
