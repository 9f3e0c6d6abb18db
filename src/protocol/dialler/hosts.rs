//! Peers that have no place for this node, and hear it for a moment as their guest.
//!
//! Their link lives, but it is none that the node wants: it is dialled as long as it lacks another, no occupant of a slot goes for it,
//! and no feeler stays by it. When it has ended its peer counts as one that refused.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dialler, Kind, View};
use crate::protocol::{LinkId, Mono};
use std::time::Duration;

/// How often a node looks whether a new link is live, if nothing else happens.
const LIVE_YET: Duration = Duration::from_secs(1);
/// A guest's link ends here, if its peer does not end it: after as long as a guest may stay, and some seconds. Else a liar that calls us
/// its guest would have a link for ever that counts nowhere.
const STAYS: Duration = Duration::from_secs(35);

/// Links that this node dialled and whose peers have not said hello.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    new: BTreeSet<LinkId>,
    /// Links on which this node is a guest, with when they end at the latest.
    stays: BTreeMap<LinkId, Mono>,
    look_at: Option<Mono>,
}

impl Hosts {
    pub(super) fn linked(&mut self, now: Mono, link: LinkId) {
        self.new.insert(link);
        self.look_at = Some(now.plus(LIVE_YET));
    }

    pub(super) fn link_ended(&mut self, link: LinkId) {
        self.new.remove(&link);
        self.stays.remove(&link);
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let live = self.look_at.filter(|_| !self.new.is_empty());
        live.into_iter().chain(self.stays.values().copied()).min()
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Looks which new links lead to a place, before anything is done because of them.
    pub(super) fn judge_hosts(&mut self, now: Mono, view: &impl View) {
        self.end_stays(now);
        if self.hosts.new.is_empty() {
            return;
        }
        if self.hosts.look_at.is_some_and(|at| at <= now) {
            self.hosts.look_at = Some(now.plus(LIVE_YET));
        }
        let live: Vec<_> = self.hosts.new.iter().copied().filter(|link| view.is_live(*link)).collect();
        for link in live {
            self.hosts.new.remove(&link);
            if view.is_guest(link) {
                self.visits(now, link);
            }
        }
    }

    /// A link is none that the node wants, though it lives.
    fn visits(&mut self, now: Mono, link: LinkId) {
        let Some(linked) = self.links.get_mut(&link).filter(|linked| linked.kind.is_own()) else { return };
        self.chosen -= usize::from(linked.kind == Kind::Chosen);
        (linked.kind, linked.slot) = (Kind::Guest, None);
        self.feelers.ended(link);
        self.gone.link_ended(link);
        self.choice.link_ended(link);
        self.afresh.link_ended(link);
        self.hosts.stays.insert(link, now.plus(STAYS));
    }

    /// Whoever does not send its guest away has refused it all the same.
    fn end_stays(&mut self, now: Mono) {
        let over: Vec<_> =
            self.hosts.stays.iter().filter(|(_, until)| **until <= now).map(|(link, _)| *link).collect();
        for link in over {
            self.hosts.stays.remove(&link);
            let found = |peer: &_| self.peers.get(peer).is_some_and(super::Peer::is_found);
            if let Some(peer) = self.peer_of(link).filter(found) {
                self.rests.peer_failed(now, &peer);
            }
            self.hang_up(link);
        }
    }
}
