//! What a signature costs the link it came over: see [`Allowance`].

use std::time::Duration;

use crate::protocol::LinkId;
use crate::protocol::engine::Engine;
use crate::protocol::limits::SURCHARGE;
use crate::protocol::links::Sender;
use crate::protocol::links::allowance::Allowance;
use crate::protocol::linkset::Slot;
use crate::protocol::time::Mono;
use crate::protocol::verification::work::Work;
use crate::rumor::{Header, TopicId};

/// What one signature costs when it is checked alone, the worst case.
const SIGNATURE_COST: Duration = Duration::from_micros(60);

impl Engine {
    /// Whether a bundle's signature costs its link more. Authors have an allowance each, and newcomers of an open topic one for
    /// each link that brings them, since keys cost nothing.
    pub(super) fn is_surcharged(&mut self, sender: Sender, header: &Header) -> bool {
        if self.cx.is_system(&header.topic) {
            // Its signatures have a rate of their own.
            return false;
        }
        let (own, others) = self.verifying.unjudged(sender.link);
        if !others {
            return false;
        }
        // What is not judged yet has taken nothing: as if it were all of this author's, one rumor each.
        let allowance = self.allowance(sender.slot, header);
        allowance.is_some_and(|(allowance, now)| !allowance.has_room(header, own, now))
    }

    /// A bundle is genuine, so it is its author who said it: only then does it count.
    pub(super) fn take_allowance(&mut self, link: LinkId, header: &Header) {
        let slot = self.links.slot_of(link);
        if let Some((allowance, now)) = slot.and_then(|slot| self.allowance(slot, header)) {
            allowance.take(header, now);
        }
    }

    fn allowance(&mut self, slot: Slot, header: &Header) -> Option<(&mut Allowance, Mono)> {
        let (link, window) = (self.links.at_mut(slot)?, self.topics.get_mut(&header.topic)?);
        let now = self.cx.now.mono;
        Some((window.authors_mut().allowance(&header.author, link.newcomers_mut(), now), now))
    }

    /// Puts a signature of a topic on a link's bill.
    pub(super) fn charge_signature(&mut self, link: LinkId, topic: &TopicId, surcharged: bool) {
        let now = self.cx.now.mono;
        if let Some(link) = self.links.get_mut(link) {
            let factor = if surcharged { SURCHARGE } else { 1 };
            link.bill_mut(topic).charge_signature(now, SIGNATURE_COST.saturating_mul(factor));
        }
    }

    /// The same of one that has the usual price, whatever it is of.
    pub(super) fn charge_work(&mut self, link: LinkId, work: &Work) {
        match work.topic() {
            Some(topic) => self.charge_signature(link, topic, false),
            None => {
                let now = self.cx.now.mono;
                if let Some(link) = self.links.get_mut(link) {
                    link.budget_mut().charge_signature(now, SIGNATURE_COST);
                }
            }
        }
    }
}
