//! Who may have a link to us: how many, and which places are kept for diallers that did not choose us.
//!
//! Places for inbound links are what an attacker takes first: it dials everybody, at once and again and again, so whoever
//! comes later finds them full. So part of them is kept for *unaimed* pairs: a hash of both node keys decides, for each
//! pair and direction, whether the dialler may use them, and lets about half as many keys of the network through as there
//! are such places. So they do not fill up by chance, and an honest dialler that begins with its unaimed acceptors gets in,
//! whoever came before it. An attacker that can make keys at will needs some forty for each place at one victim (1 000
//! nodes, 48 places). docs/decisions/0021-inbound-places-kept-for-unaimed-diallers.md has the figures. A `Node` dials all the
//! peers that it is given; the simulator's cold networks, which choose among all nodes, begin with the unaimed.

use super::Config;
use super::engine::Engine;
use super::limits::LINKS_OF_A_KEY;
use super::weakness::Weakness;
use crate::key::PublicKey;
use crate::rumor::NetworkId;
use crate::wire::Reason;

impl Config {
    /// Inbound places that are kept for unaimed diallers.
    fn kept_inbound(&self) -> usize {
        self.links.unaimed.min(self.links.inbound / 2)
    }

    /// Whether `dialler` may use the inbound places of `acceptor` that are kept for diallers which did not choose it. Both
    /// sides compute it, so a dialler with many candidates begins with those for which it holds.
    pub fn is_unaimed(&self, network: &NetworkId, dialler: &PublicKey, acceptor: &PublicKey) -> bool {
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe unaimed pair v1");
        for part in [network.as_bytes(), dialler.as_bytes(), acceptor.as_bytes()] {
            hasher.update(part);
        }
        let mut draw = [0; 8];
        hasher.finalize_xof().fill(&mut draw);
        let keys = u64::from(self.expected_nodes.max(1));
        // Half the places: of 1 000 acceptors with 48 each, none meets more than 48 such keys by chance (Poisson, mean 24).
        let share = (u64::MAX / keys).saturating_mul(self.kept_inbound() as u64 / 2);
        u64::from_le_bytes(draw) < share
    }
}

impl Engine {
    /// Why a link to `peer` can't be, if it can't.
    pub(super) fn refusal(&self, peer: &PublicKey, inbound: bool) -> Option<Reason> {
        if self.closed {
            return Some(Reason::Shutdown);
        }
        if self.standing.is_banned(peer, self.now.mono) {
            return Some(Reason::Banned);
        }
        if *peer == self.node || self.config.allow.as_ref().is_some_and(|allow| !allow.contains(peer)) {
            return Some(Reason::NotAdmitted);
        }
        // A second link replaces the first or is closed for it, so it needs no place of its own; but closing takes a
        // while, and whoever connects again and again must not take ever more places by it.
        match self.links.iter().filter(|link| link.peer == *peer).count() {
            0 => {}
            links if links < LINKS_OF_A_KEY => return None,
            _ => return Some(Reason::Duplicate),
        }
        let full = self.links.len() >= self.config.links.max || (inbound && !self.has_inbound_place(peer));
        full.then_some(Reason::Full)
    }

    fn has_inbound_place(&self, peer: &PublicKey) -> bool {
        let (mut inbound, mut aimed) = (0, 0);
        for link in self.links.iter().filter(|link| !link.dialled) {
            inbound += 1;
            aimed += usize::from(!link.unaimed);
        }
        let open = self.config.links.inbound - self.config.kept_inbound();
        let for_all = self.config.lacks(Weakness::PlacesForAll);
        inbound < self.config.links.inbound
            && (for_all || aimed < open || self.config.is_unaimed(&self.network, peer, &self.node))
    }
}
