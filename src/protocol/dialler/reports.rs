//! What the driver reports: how dials ended, and which links there are.

use std::fmt;
use std::time::Duration;

use super::peer::Peer;
use super::{Dialler, Ending, Kind, Linked, STABLE};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};

impl<A: Clone + PartialEq> Dialler<A> {
    /// The dial of `peer` came to nothing. True if somebody should know: a link is wanted and there is none.
    pub fn failed(&mut self, now: Mono, peer: &PublicKey, how: Ending, why: &dyn fmt::Display) -> bool {
        let Some((known, _)) = self.end_dial(peer) else { return false };
        let lacks_link = known.dial_failed(how, why);
        self.wait(now, *peer);
        lacks_link
    }

    /// The dial of `peer` has become `link`. False if it is no longer wanted: close it then, it does not count as a link.
    pub fn connected(&mut self, now: Mono, peer: &PublicKey, link: LinkId) -> bool {
        let Some((known, feeler)) = self.end_dial(peer) else { return false };
        let addr = known.dial_connected();
        let feeler = feeler && !known.is_kept();
        let kind = if feeler { Kind::Feeler } else { Kind::Chosen };
        self.links.insert(link, Linked { peer: *peer, addr, kind });
        if feeler {
            self.feelers.linked(link, now.plus(self.config.dialling.feeler_life));
        } else {
            self.chosen += 1;
        }
        true
    }

    /// There is a link that the dialler did not order, whether or not it will be refused: in most cases a peer has dialled us.
    pub fn link_up(&mut self, peer: &PublicKey, link: LinkId) {
        self.links.insert(link, Linked { peer: *peer, addr: None, kind: Kind::Foreign });
        if self.peers.contains_key(peer) {
            self.queue(*peer, None);
        }
        if let Some(known) = self.peers.get_mut(peer) {
            known.link_up();
        }
    }

    /// A link of which [`Dialler::link_up`] has told was dialled to a candidate before there was a dialler: it counts as ordered.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn adopt(&mut self, link: LinkId, addr: A) {
        if let Some(linked) = self.links.get_mut(&link) {
            (linked.addr, linked.kind) = (Some(addr), Kind::Chosen);
            self.chosen += 1;
        }
    }

    /// A link is gone. `live_for` is how long both hellos had been said, if they ever were. Gives whose link it was.
    pub fn link_down(
        &mut self,
        now: Mono,
        link: LinkId,
        live_for: Option<Duration>,
        how: Ending,
        why: &dyn fmt::Display,
    ) -> Option<PublicKey> {
        let Linked { peer, addr, kind } = self.links.remove(&link)?;
        self.chosen -= usize::from(kind == Kind::Chosen);
        self.feelers.ended(link);
        self.goodbyes.remove(&link);
        let lost = how == Ending::Silent && live_for.is_some_and(|lived| lived >= STABLE);
        let is_missed = lost && kind == Kind::Chosen && self.missed() < self.config.dialling.outbound;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.link_down(live_for, addr.as_ref(), why);
            if let Some(candidate) = known.candidate_mut() {
                candidate.missed |= is_missed;
            }
            self.wait(now, peer);
        }
        Some(peer)
    }

    /// Candidates that were lost in silence and are dialled again. As many as links that the node wants, at the most.
    pub(super) fn missed(&self) -> usize {
        self.peers.values().filter_map(Peer::candidate).filter(|candidate| candidate.missed).count()
    }

    /// The dial of `peer` is over, and whether it was a feeler; `None` if the peer was forgotten meanwhile.
    fn end_dial(&mut self, peer: &PublicKey) -> Option<(&mut Peer<A>, bool)> {
        let known = self.peers.get(peer).filter(|known| known.is_under_way())?;
        let feeler = known.is_feeling();
        self.under_way = self.under_way.saturating_sub(1);
        if feeler {
            self.feelers.dial_over();
        }
        if known.is_forgotten() {
            self.drop_peer(peer);
            return None;
        }
        self.peers.get_mut(peer).map(|known| (known, feeler))
    }
}
