//! Headers that find no place in the index: compared all the same, and in hold-back topics passed on once.
//!
//! Room decides what is kept, never what is compared. If it did, an author could say two things to two halves of a network,
//! and whoever stands between them with a full index would hide each from the other. So such a header is verified on the bill
//! of its link, compared with what is claimed and with others that passed lately, and sent on: nothing of it is kept but its
//! 218 bytes, in a list that only saves passing it on again. What that list forgets is compared anew when it comes again, so
//! no flood of it hides a conflict from those that do have places.

use crate::protocol::LinkId;
use crate::protocol::engine::Engine;
use crate::protocol::links::Sender;
use crate::protocol::linkset::LinkSet;
use crate::protocol::verification::work::Work;
use crate::rumor::{BundleId, SignedHeader, TopicId};

impl Engine {
    /// There is no place for a bundle. What its header says is compared all the same, once its signature has held.
    pub(super) fn compare(&mut self, sender: Sender, id: BundleId, signed: &SignedHeader) {
        let header = &signed.header;
        let Some(window) = self.topics.get(&header.topic) else { return };
        if !window.passes(header) && !window.contradicts(&id, header) {
            return;
        }
        let surcharged = self.is_surcharged(sender, header);
        self.charge_signature(sender.link, &header.topic, surcharged);
        self.cx.counters.surcharged += u64::from(surcharged);
        let (signed, peer) = (Box::new(*signed), sender.peer);
        let work = Work::Header { signed, id, peer };
        self.queue_for(&work).add(sender.link, work);
    }

    /// A header without a place is genuine: it convicts its author, or is passed on.
    pub(super) fn on_genuine_header(&mut self, link: LinkId, id: BundleId, signed: &SignedHeader) {
        self.was_heard(link);
        self.take_allowance(link, &signed.header);
        self.pass(link, id, signed);
    }

    /// A bundle is genuine, and others have taken the place that there was when it came in.
    pub(super) fn found_no_place(&mut self, link: LinkId, topic: TopicId, id: BundleId) {
        self.cx.counters.over_cap += 1;
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let Some(entry) = window.entry(&id) else { return };
        let (signed, have) = (*entry.signed(), entry.holders());
        window.forget(&id);
        have.iter().for_each(|slot| self.owe(slot, &signed.header, id));
        self.drop_want(&(topic, id));
        self.pass(link, id, &signed);
    }

    /// Compares a genuine header that has no place with all that is known, and passes it on.
    pub(super) fn pass(&mut self, link: LinkId, id: BundleId, signed: &SignedHeader) {
        let header = &signed.header;
        if self.evidence.is_convicted(&header.author) {
            return;
        }
        let Some(window) = self.topics.get_mut(&header.topic) else { return };
        if let Some(evidence) = window.conflict(&id, signed) {
            self.cx.counters.conflicts += 1;
            return self.convict(*evidence, None);
        }
        if !window.passes(header) {
            return;
        }
        window.pass(signed);
        let mut knows = LinkSet::default();
        self.links.slot_of(link).into_iter().for_each(|slot| knows.insert(slot));
        self.send_header(header.topic, signed, &knows);
    }

    /// Sends a header at once to all links of the topic but those that know it.
    pub(super) fn send_header(&mut self, topic: TopicId, signed: &SignedHeader, knows: &LinkSet) {
        let turn = self.turn_of(&topic, &signed.header.author);
        for slot in self.links.relaying(&topic, knows) {
            let Some(link) = self.links.at_mut(slot) else { continue };
            if link.outbox_mut().header(turn, *signed) {
                self.cx.counters.announced += 1;
                self.cx.dirty.insert(slot);
            } else {
                self.cx.counters.announce_degraded += 1;
                link.outbox_mut().falls_behind(topic);
            }
        }
    }
}
