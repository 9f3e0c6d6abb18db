//! Peers that have no place for this node, and hear it for a moment as their guest.
//!
//! Their link lives, but it is none that the node wants: it is dialled as long as it lacks another, no occupant of a slot goes for it,
//! and no feeler stays by it. When it has ended its peer counts as one that refused.

use std::collections::BTreeSet;

use super::{Dialler, Kind, View};
use crate::protocol::{LinkId, Mono};
use std::time::Duration;

/// How often a node looks whether a new link is live, if nothing else happens.
const LIVE_YET: Duration = Duration::from_secs(1);

/// Links that this node dialled and whose peers have not said hello.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    new: BTreeSet<LinkId>,
    look_at: Option<Mono>,
}

impl Hosts {
    pub(super) fn linked(&mut self, now: Mono, link: LinkId) {
        self.new.insert(link);
        self.look_at = Some(now.plus(LIVE_YET));
    }

    pub(super) fn link_ended(&mut self, link: LinkId) {
        self.new.remove(&link);
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.look_at.filter(|_| !self.new.is_empty())
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Looks which new links lead to a place, before anything is done because of them.
    pub(super) fn judge_hosts(&mut self, now: Mono, view: &impl View) {
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
                self.visits(link);
            }
        }
    }

    /// A link is none that the node wants, though it lives.
    fn visits(&mut self, link: LinkId) {
        let Some(linked) = self.links.get_mut(&link).filter(|linked| linked.kind.is_own()) else { return };
        self.chosen -= usize::from(linked.kind == Kind::Chosen);
        (linked.kind, linked.slot) = (Kind::Guest, None);
        self.feelers.ended(link);
        self.gone.link_ended(link);
        self.choice.link_ended(link);
    }
}
