//! Links of the node's own choice over which nothing comes: their peers are dialled once more, beside the link.
//!
//! A path may be gone while both ends are well: a router has forgotten its mapping, an address has changed. The old link would end only
//! after 30 s. As soon as both have said hello on the new link, it has the old one's slot, and the old one is hung up. Until then the
//! old one keeps it, or a peer that is silent for a moment could have a link that counts nowhere.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::Errand;
use super::{Dialler, Kind, Linked, MAX_DIALS, Order, View};
use crate::protocol::{LinkId, Mono};

/// From so long a silence on a peer is dialled afresh.
const SILENT_FOR: Duration = Duration::from_secs(4);
/// A peer that is still silent is dialled again after so long.
const AGAIN: Duration = Duration::from_secs(10);
/// So many are dialled afresh at once. Where all links are silent, the first two tell whether the path is back.
const AT_ONCE: usize = 2;
/// How often a node looks whether a new link is live, if nothing else happens.
const LIVE_YET: Duration = Duration::from_secs(1);

/// Silent links of one node.
#[derive(Debug, Default)]
pub(super) struct Afresh {
    /// Links that there are, with when their peers may be dialled (again).
    silent: BTreeMap<LinkId, Mono>,
    under_way: usize,
    /// Links to peers of silent links, each with that: as many as those at the most.
    successors: BTreeMap<LinkId, LinkId>,
    look_at: Option<Mono>,
}

impl Afresh {
    /// A dial is over.
    pub(super) fn dial_over(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn link_ended(&mut self, link: LinkId) {
        self.silent.remove(&link);
        self.successors.remove(&link);
    }

    /// Dials that are under way for no missing link.
    pub(super) const fn dials_aside(&self) -> usize {
        self.under_way
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let dial = self.silent.values().min().copied().filter(|_| self.under_way < AT_ONCE);
        dial.into_iter().chain(self.look_at.filter(|_| !self.successors.is_empty())).min()
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Nothing has come over a link for so long.
    pub fn is_silent(&mut self, link: LinkId, silence: Duration) {
        let chosen = |linked: &&Linked<A>| linked.kind == Kind::Chosen && linked.addr.is_some();
        if silence >= SILENT_FOR && self.links.get(&link).filter(chosen).is_some() {
            self.afresh.silent.entry(link).or_default();
        }
    }

    /// Something has come over it.
    pub fn is_heard(&mut self, link: LinkId) {
        self.afresh.silent.remove(&link);
    }

    /// Dials the peer of a silent link, if it is time.
    pub(super) fn dial_afresh(&mut self, now: Mono, view: &impl View) -> Option<Order<A>> {
        if self.afresh.under_way >= AT_ONCE || self.under_way >= MAX_DIALS {
            return None;
        }
        let due: Vec<_> =
            self.afresh.silent.iter().filter(|(_, at)| **at <= now).map(|(link, _)| *link).collect();
        for link in due {
            self.afresh.silent.insert(link, now.plus(AGAIN));
            let Some(peer) = self.links.get(&link).map(|linked| linked.peer) else { continue };
            let may = |known: &super::Peer<A>| !known.is_under_way() && !known.is_forgotten();
            if self.afresh.successors.values().any(|old| *old == link) {
                continue;
            }
            if !self.peers.get(&peer).is_some_and(may) || view.refuses(&peer).is_some() {
                continue;
            }
            self.afresh.under_way += 1;
            let order = self.begin(now, peer, Errand::Afresh(link), None);
            if order.is_some() {
                return order;
            }
        }
        None
    }

    /// Whether the peer of a silent link that has just been dialled is to have that link's place.
    pub(super) fn may_succeed(&self, old: LinkId) -> bool {
        self.links.get(&old).is_some_and(|linked| linked.kind == Kind::Chosen)
    }

    /// The peer of a silent link has answered.
    pub(super) fn succeeds(&mut self, now: Mono, old: LinkId, new: LinkId) {
        self.afresh.successors.insert(new, old);
        self.afresh.look_at = Some(now.plus(LIVE_YET));
    }

    /// Gives places of silent links to the new links to their peers, as soon as both have said hello.
    pub(super) fn judge_successors(&mut self, now: Mono, view: &impl View) {
        if self.afresh.successors.is_empty() {
            return;
        }
        if self.afresh.look_at.is_some_and(|at| at <= now) {
            self.afresh.look_at = Some(now.plus(LIVE_YET));
        }
        for (new, old) in self.afresh.successors.clone() {
            match self.may_succeed(old) {
                true if view.is_live(new) => {
                    let slot = self.gives_up(old);
                    self.settle(new, slot);
                }
                true => {}
                // The silent one has ended meanwhile.
                false if self.missing() > 0 || self.is_kept_at(new) => self.settle(new, None),
                false => self.hang_up(new),
            }
        }
    }

    /// Hangs a link up without holding anything against its peer. Gives its slot.
    fn gives_up(&mut self, old: LinkId) -> Option<usize> {
        let linked = self.links.get_mut(&old)?;
        self.chosen -= usize::from(linked.kind == Kind::Chosen);
        linked.kind = Kind::Leaving;
        self.goodbyes.insert(old);
        linked.slot.take()
    }

    fn is_kept_at(&self, link: LinkId) -> bool {
        let peer = self.links.get(&link).map(|linked| linked.peer);
        peer.is_some_and(|peer| self.peers.get(&peer).is_some_and(super::Peer::is_kept))
    }
}
