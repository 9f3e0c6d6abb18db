//! Members that have failed: now and then one of them is dialled.
//!
//! A node that has cut itself off with half of a network sees the other half fail, and no link of its own choice leads there any more.
//! Nobody else brings the halves together when the cut is healed. So each node dials one that failed every half a minute. One that answers
//! is linked for a minute, in which both halves hear of each other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::{Errand, Peer, Queued};
use super::{Dialler, MAX_DIALS, Order, View};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono};

/// The least time between two such dials.
const VISIT_EVERY: Duration = Duration::from_secs(30);
/// That much longer for each member that lives, divided among those that failed: few that failed are many nodes' to dial.
const VISIT_SHARE: Duration = Duration::from_secs(4);
/// How long a link to one is kept that is one too many: for pulses to go round in the largest network.
const VISIT_LIFE: Duration = Duration::from_secs(60);
/// Whoever has failed for so long is forgotten, as members are.
const GONE_FOR: Duration = Duration::from_secs(86_400);

/// Candidates that have failed as members.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Since when. Candidates only, so there are no more than of those.
    since: BTreeMap<PublicKey, Mono>,
    visit_at: Option<Mono>,
    /// Whether one is dialled.
    under_way: bool,
    /// Links to those that answered, with when their time is over.
    visits: BTreeMap<LinkId, Mono>,
}

impl Gone {
    pub(super) fn has(&self, peer: &PublicKey) -> bool {
        self.since.contains_key(peer)
    }

    pub(super) fn remove(&mut self, peer: &PublicKey) -> bool {
        let was = self.since.remove(peer).is_some();
        if self.since.is_empty() {
            self.visit_at = None;
        }
        was
    }

    pub(super) const fn dial_over(&mut self) {
        self.under_way = false;
    }

    pub(super) fn dials_aside(&self) -> usize {
        usize::from(self.under_way)
    }

    pub(super) fn linked(&mut self, now: Mono, link: LinkId) {
        self.visits.insert(link, now.plus(VISIT_LIFE));
    }

    pub(super) fn link_ended(&mut self, link: LinkId) {
        self.visits.remove(&link);
    }

    /// When something is to be done. Without `room` for a dial, nobody is dialled.
    pub(super) fn next_deadline(&self, room: bool) -> Option<Mono> {
        self.visit_at.filter(|_| room).into_iter().chain(self.visits.values().copied()).min()
    }

    fn every(&self, candidates: usize) -> Duration {
        let (gone, live) = (self.since.len().max(1), candidates.saturating_sub(self.since.len()));
        let share = VISIT_SHARE.saturating_mul(u32::try_from(live / gone).unwrap_or(u32::MAX));
        VISIT_EVERY.max(share)
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// A member has failed. If strangers named it, it is no candidate any more, but dialled now and then until it is back.
    pub fn member_failed(&mut self, now: Mono, peer: &PublicKey) {
        if !self.peers.get(peer).is_some_and(Peer::is_found) || self.gone.has(peer) {
            return;
        }
        self.queue(*peer, None);
        self.gone.since.insert(*peer, now);
        if let Some(known) = self.peers.get_mut(peer) {
            known.is_gone_now(true);
        }
        let every = self.gone.every(self.candidates);
        let due = now.plus(every);
        self.gone.visit_at = Some(self.gone.visit_at.map_or(due, |at| at.min(due)));
    }

    /// A member is here again.
    pub fn member_returned(&mut self, now: Mono, peer: &PublicKey) {
        if self.gone.remove(peer) {
            self.peers.get_mut(peer).into_iter().for_each(|known| known.is_gone_now(false));
            let until = self.rests.peer_until(peer, now).unwrap_or(now);
            self.queue(*peer, Some(Queued::Until(until)));
        }
    }

    /// A member has left. If strangers named it, it is no candidate any more.
    pub fn member_left(&mut self, peer: &PublicKey) {
        if self.peers.get(peer).is_some_and(Peer::is_found) {
            self.let_go(peer);
        }
    }

    /// Dials one that has failed, if it is time.
    pub(super) fn dial_gone(&mut self, now: Mono, view: &impl View) -> Option<Order<A>> {
        self.gone.visit_at.filter(|at| *at <= now)?;
        self.gone.visit_at = Some(now.plus(self.gone.every(self.candidates)));
        let old = |since: Mono| now.since(since) >= GONE_FOR;
        let old: Vec<_> =
            self.gone.since.iter().filter(|(_, since)| old(**since)).map(|(peer, _)| *peer).collect();
        old.iter().for_each(|peer| self.let_go(peer));
        if self.gone.under_way || self.under_way >= MAX_DIALS {
            return None;
        }
        let may = |peer: &&PublicKey| {
            let Some(known) = self.peers.get(peer).filter(|known| known.is_idle_without_link()) else {
                return false;
            };
            // Where it has answered us, or where it can't have chosen us.
            let may = |addr: &A, answered: bool| {
                (answered || !known.is_aimed()) && self.may_dial_at(peer, known, addr, answered, now)
            };
            known.next_address(may).is_some() && view.refuses(peer).is_none()
        };
        let all: Vec<_> = self.gone.since.keys().filter(may).copied().collect();
        let peer = *all.get(self.random.below(all.len()))?;
        self.gone.under_way = true;
        self.begin(now, peer, Errand::Visit, None)
    }

    /// Links to those that answered end after their time, unless they are wanted by then.
    pub(super) fn end_visits(&mut self, now: Mono) {
        let over: Vec<_> =
            self.gone.visits.iter().filter(|(_, until)| **until <= now).map(|(link, _)| *link).collect();
        for link in over {
            if self.missing() > 0 {
                self.settle(link, None);
            } else {
                self.hang_up(link);
            }
        }
    }

    /// A failed member that the application names is none here. True if it was one: it waits nowhere.
    pub(super) fn is_not_gone(&mut self, peer: &PublicKey) -> bool {
        let was = self.gone.remove(peer);
        if was {
            self.peers.get_mut(peer).into_iter().for_each(|known| known.is_gone_now(false));
        }
        was
    }
}
