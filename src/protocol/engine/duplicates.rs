//! Two links between the same two nodes: which one stays, when the other goes, and what it means to lose one that had no double.
//!
//! ```text
//!   A ── first ───── live ──────────────── yields ── closed      Both ends see the same two links, and choose the same:
//!   B ──     second ─────── hello ── live ─────────────────>     the lesser key's where both dialled, else the newer.
//! ```
//!
//! The lesser link is used until both hellos were said on the other, and closed a while after that, when the other end has had time
//! to come as far. So a pair that dialled each other at the same moment is never without a link.

use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::links::Link;
use crate::protocol::linkset::Slot;
use crate::protocol::timers::Timer;
use crate::protocol::{DownReason, Impairment, LinkId, Mono};
use crate::wire::Reason;

/// Two links between the same nodes made within this time were dialled from both sides at once: the lesser key's stays.
/// Later, the newer link stays, since the older one's other end is probably gone.
const SIMULTANEOUS: Duration = Duration::from_secs(5);
/// A link that took another's place is not replaced for this long, or two processes with one key would take the place from each
/// other several times a second. (Guess: as long as a node that crashes twice in a row can wait.)
const REPLACED_FOR: Duration = Duration::from_secs(5);
/// From when the better link is live until the node with the lesser key closes the other: a hello that is lost is repeated well
/// within it. The other node waits twice as long, so that where the two do not agree they never close one each.
const SETTLE: Duration = Duration::from_secs(1);
/// [`Impairment::NodeKeyInUse`] has ended when nothing spoke for it for this long: longer than the longest pause of a dialler.
const QUIET: Duration = Duration::from_secs(60);

/// Whether both ends dialled at once.
fn are_simultaneous(old: &Link, dialled: bool, up_since: Mono) -> bool {
    old.is_dialled() != dialled && up_since.since(old.up_since()) < SIMULTANEOUS
}

impl Engine {
    /// Why a new link can't be beside those that there are to the same peer, if it can't.
    pub(super) fn duplicate(&self, peer: &PublicKey, dialled: bool) -> Option<Reason> {
        let now = self.cx.now.mono;
        let stays = |old: &Link| old.is_in_use() && !self.newer_stays(old, dialled, now);
        self.links.of_peer(peer).any(stays).then_some(Reason::Duplicate)
    }

    /// Of two links to one peer, whether the newer one stays. Both ends see the same directions, and times that differ by no more
    /// than a handshake.
    fn newer_stays(&self, old: &Link, dialled: bool, up_since: Mono) -> bool {
        if self.guests.is_passing(old.id()) {
            return true;
        }
        if are_simultaneous(old, dialled, up_since) {
            return dialled == (self.cx.node < old.peer());
        }
        !(old.has_replaced() && up_since.since(old.up_since()) < REPLACED_FOR)
    }

    /// Both hellos were said on a link: if there is another to the same peer, the lesser of the two yields.
    pub(super) fn settle_duplicates(&mut self, slot: Slot) {
        let Some(new) = self.links.at(slot) else { return };
        let (id, peer) = (new.id(), new.peer());
        let mut lesser = Vec::new();
        let mut replaces = false;
        for other in self.links.of_peer(&peer).filter(|other| other.id() != id && other.is_in_use()) {
            let (old, newer) = if other.id() < id { (other, new) } else { (new, other) };
            // A guest's link gives way to one that has a place, at both ends.
            let newer_passes = self.guests.is_passing(newer.id()) && !self.guests.is_passing(old.id());
            let newer_stays = !newer_passes && self.newer_stays(old, newer.is_dialled(), newer.up_since());
            lesser.push(if newer_stays { old.id() } else { newer.id() });
            replaces |= newer_stays
                && newer.id() == id
                && !are_simultaneous(old, newer.is_dialled(), newer.up_since());
        }
        if replaces && let Some(new) = self.links.at_mut(slot) {
            new.replaces_another();
        }
        lesser.into_iter().for_each(|lesser| self.yield_link(lesser));
    }

    fn yield_link(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        if link.is_in_use() {
            link.gives_way();
        }
        let (slot, peer) = (link.slot(), link.peer());
        self.review_keepers(slot);
        let wait = if self.cx.node < peer { SETTLE } else { SETTLE * 2 };
        self.cx.timers.set(self.cx.now.mono.plus(wait), Timer::LinkSettled(id));
        self.cx.topology += 1;
    }

    /// A link has yielded for long enough: it is closed, unless the one that it yielded to is gone.
    pub(super) fn on_link_settled(&mut self, id: LinkId) {
        let Some(link) = self.links.slot_of(id).and_then(|slot| self.links.at(slot)) else { return };
        if !link.yields() {
            return;
        }
        let peer = link.peer();
        if self.links.of_peer(&peer).any(Link::is_in_use) {
            return self.close(id, Reason::Duplicate);
        }
        self.use_again(&peer);
    }

    /// A link to `peer` is gone: one that had yielded to it is used again, if there is no better.
    pub(super) fn use_again(&mut self, peer: &PublicKey) {
        if self.links.of_peer(peer).any(Link::is_in_use) {
            return;
        }
        let left = self.links.of_peer(peer).filter(|link| link.is_open());
        let Some(slot) = left.max_by_key(|link| link.id()).map(|link| link.slot()) else { return };
        if let Some(link) = self.links.at_mut(slot) {
            link.is_used_again();
        }
        self.cx.topology += 1;
        // What was told to the better one alone.
        self.resync_all(slot);
        self.members_meet(slot);
        self.review_keepers(slot);
    }

    /// Looks for what only another process with our node key explains: the peer kept another link of ours, and we have none. `lived`:
    /// it had been live. One that was refused may be in the place of our own former life, so it says nothing by itself.
    pub(super) fn suspect_other_process(&mut self, peer: &PublicKey, why: &DownReason, lived: bool) {
        let duplicate = matches!(why, DownReason::ClosedByPeer(Reason::Duplicate));
        if duplicate
            && self.links.of_peer(peer).next().is_none()
            && (lived || self.condition.health().has_other_process())
        {
            self.found_other_process();
        }
    }

    /// Another process uses this node key.
    pub(super) fn found_other_process(&mut self) {
        self.condition.health_mut().found_other_process(self.cx.now.mono);
        self.impair(Impairment::NodeKeyInUse, None);
    }

    /// Ends the impairment after a while in which nothing spoke for it.
    pub(super) fn forget_other_process(&mut self) {
        let now = self.cx.now.mono;
        if self.condition.health_mut().forget_other_process(QUIET, now) {
            self.recover(Impairment::NodeKeyInUse);
        }
    }
}
