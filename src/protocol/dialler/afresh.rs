//! Links of the node's own choice over which nothing comes: their peers are dialled once more, beside the link.
//!
//! A path may be gone while both ends are well: a router has forgotten its mapping, an address has changed. The old link would end only
//! after 30 s. If the peer answers, the new link has the old one's slot, and the engine closes the lesser of the two.

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

/// Silent links of one node.
#[derive(Debug, Default)]
pub(super) struct Afresh {
    /// Links that there are, with when their peers may be dialled (again).
    silent: BTreeMap<LinkId, Mono>,
    under_way: usize,
}

impl Afresh {
    /// A dial is over.
    pub(super) fn dial_over(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn link_ended(&mut self, link: LinkId) {
        self.silent.remove(&link);
    }

    /// Dials that are under way for no missing link.
    pub(super) const fn dials_aside(&self) -> usize {
        self.under_way
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.silent.values().min().copied().filter(|_| self.under_way < AT_ONCE)
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
        self.afresh.link_ended(link);
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

    /// The peer of a silent link has answered: the new link has the old one's place. Gives its slot, if it has one.
    pub(super) fn takes_place_of(&mut self, old: LinkId) -> Option<usize> {
        self.afresh.silent.remove(&old);
        let linked = self.links.get_mut(&old).filter(|linked| linked.kind == Kind::Chosen)?;
        linked.kind = Kind::Foreign;
        self.chosen -= 1;
        linked.slot.take()
    }
}
