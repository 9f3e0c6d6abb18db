//! Guests come and go: links beyond all places, on which a dialler says that it is here and reads a page of members.
//!
//! A guest relays nothing but the topic of members, for all that this node cares: no rumor is told to it, and no past asked of it.

use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::protocol::engine::Engine;
use crate::protocol::guests::GUEST_FOR;
use crate::protocol::limits::MAX_LINKS;
use crate::protocol::timers::Timer;
use crate::wire::Reason;

impl Engine {
    /// Whether a dialler that would be refused is heard for a moment instead.
    pub(super) fn may_be_guest(&self, peer: &PublicKey, why: Reason) -> bool {
        // Without members there is nothing that it could come for.
        let comes_for_members = why == Reason::Full && self.members.is_some();
        // A guest takes the table's room from no link that has a place.
        let room = MAX_LINKS.saturating_sub(self.cx.config.links.max);
        comes_for_members
            && self.links.of_peer(peer).next().is_none()
            && self.guests.admits(peer, room, self.cx.now.mono)
    }

    /// One that may be is here.
    pub(super) fn guest_comes(&mut self, link: LinkId, peer: PublicKey) {
        let now = self.cx.now.mono;
        self.cx.counters.guests += 1;
        self.cx.timers.set(now.plus(GUEST_FOR), Timer::GuestOver(link));
        if let Some(first) = self.guests.enters(link, peer, now) {
            self.close(first, Reason::Full);
        }
    }

    /// A guest has been here for as long as one may.
    pub(super) fn on_guest_over(&mut self, link: LinkId) {
        if self.guests.has(link) {
            self.close(link, Reason::Full);
        }
    }

    /// Whether the peer has no place for us, and will close the link soon: it has said so.
    #[must_use]
    pub fn is_guest(&self, link: LinkId) -> bool {
        self.guests.hosts(link)
    }
}
