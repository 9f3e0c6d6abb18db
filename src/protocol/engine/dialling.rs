//! What the dialler asks of the engine.

use crate::key::PublicKey;
use crate::protocol::dialler::View;
use crate::protocol::engine::Engine;
use crate::protocol::{LinkId, Mono};
use crate::wire::Reason;

impl View for Engine {
    fn refuses(&self, peer: &PublicKey) -> Option<Reason> {
        self.would_refuse_dial(peer)
    }

    fn is_proven(&self, link: LinkId) -> bool {
        Self::is_proven(self, link)
    }

    fn brings_signs(&self, link: LinkId) -> bool {
        let slot = self.links.slot_of(link);
        slot.zip(self.members.as_ref()).is_some_and(|(slot, members)| members.brings_signs(slot))
    }

    fn hears_members(&self, now: Mono) -> bool {
        self.members.as_ref().is_some_and(|members| members.hears_of_others(now))
    }

    fn is_live(&self, link: LinkId) -> bool {
        self.live_for(link, self.cx.now.mono).is_some()
    }

    fn is_guest(&self, link: LinkId) -> bool {
        Self::is_guest(self, link)
    }

    fn expected_nodes(&self) -> Option<u32> {
        self.members.as_ref().map(|_| self.cx.config.expected_nodes)
    }

    fn heard_at(&self) -> Option<Mono> {
        Self::heard_at(self)
    }
}
