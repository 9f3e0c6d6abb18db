//! Intake: the order of checks, cheap before expensive, each with a bound. The numbers are those of the counters in `stats`;
//! row 1 (frame length) is the transport's, row 2 is `frames`, row 7 is `verifying`, rows 8 to 11 are `accept` and `spread`.

use crate::protocol::links::Sender;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::failpoint::Failpoint;
use crate::protocol::linkset::Slot;
use crate::protocol::time::Mono;
use crate::protocol::topics::entry::{Copy, Entry, Stage};
use crate::protocol::topics::window::{Taker, Unclaimed, Unfit};
use crate::protocol::verification::work::Work;
use crate::protocol::{LinkId, Offence};
use crate::rumor::{Bundle, BundleId, Evidence, SignedHeader, TopicId};
use crate::wire::{Lane, RawBundle};

/// What looking at one copy costs, or at 32 bytes of a control frame, which name an id, a topic or a part of a header: a
/// hash of 154 bytes at most, and a look-up.
pub(super) const ITEM_COST: Duration = Duration::from_micros(1);

/// What one body costs, however short: two hashes (a guess: not measured yet).
const BODY_COST: Duration = Duration::from_nanos(250);

impl Engine {
    /// A copy of a bundle, pushed or pulled.
    pub(super) fn on_copy(&mut self, sender: Sender, lane: Lane, raw: RawBundle) {
        let now = self.cx.now.mono;
        self.cx.counters.copies_in += 1;
        if let Some(link) = self.links.at_mut(sender.slot) {
            link.brings_copy();
            link.bill_mut(&raw.signed.header.topic).charge_cpu(now, ITEM_COST);
        }
        let id = raw.id;
        let header = raw.signed.header;
        let pulled = self.pull_answered(sender, &(header.topic, id));
        if lane == Lane::Replies
            && let Some(link) = self.links.at_mut(sender.slot)
        {
            link.budget_mut().charge_reply(now, raw.encoded.len(), pulled.unwrap_or(0));
        }
        // A pulled copy carries no hop budget, whatever the other side wrote.
        let hops = if pulled.is_some() || lane == Lane::Replies { 0 } else { raw.hops };
        // Row 3.
        let known = self.known(&header.topic, &id, sender.slot, true);
        if lane == Lane::Replies && pulled.is_none() && matches!(known, Known::Has) {
            self.copy_came_late(sender.slot, &id);
        }
        if lane == Lane::Rumors && pulled.is_none() {
            self.redundancy.count(matches!(known, Known::Has | Known::InFlight));
        }
        self.on_looked_up(sender, raw, hops, known);
        if pulled.is_some() {
            // Where that was no copy the next source is asked. (It need not wait until the link is gone.)
            self.ask((header.topic, id));
        }
    }

    /// A copy that repair has brought and that is new enough: as if it had been pulled.
    pub(super) fn on_repaired_copy(&mut self, sender: Sender, raw: RawBundle) {
        let known = self.known(&raw.signed.header.topic, &raw.id, sender.slot, true);
        self.on_looked_up(sender, raw, 0, known);
    }

    fn on_looked_up(&mut self, sender: Sender, raw: RawBundle, hops: u8, known: Known) {
        let (id, header) = (raw.id, raw.signed.header);
        match known {
            Known::No => self.on_new_copy(sender, raw, hops),
            Known::Has => self.cx.counters.duplicates += 1,
            Known::Refused => {
                self.cx.counters.refused_again += 1;
                self.tell_if_convicted(sender.slot, &header.author);
            }
            Known::InFlight => self.on_another_copy(sender, raw, hops),
            Known::LacksBody => {
                let Some(bundle) = self.checked(sender, raw) else { return };
                self.attach_body(header.topic, id, bundle, sender.peer, hops);
            }
        }
    }

    /// A copy of what is being verified already.
    fn on_another_copy(&mut self, sender: Sender, raw: RawBundle, hops: u8) {
        self.cx.counters.duplicates += 1;
        let (id, header) = (raw.id, raw.signed.header);
        let copy = self.copy(sender, &raw.signed, hops);
        // Its bodies are only needed if a header came first. Where too many wait already they are asked for once the
        // signature has held: they count for the link that brought the header, and this one would not be stopped.
        if self.takes_body(&header.topic, &id) {
            let Some(bundle) = self.checked(sender, raw) else { return };
            if let Some(entry) = self.topics.get_mut(&header.topic).and_then(|window| window.entry_mut(&id)) {
                entry.put_body(bundle);
                entry.may_go_as_far_as(hops);
                if let Some(first) = entry.first_copy() {
                    let queue = if self.cx.is_system(&header.topic) {
                        &mut self.system_verifying
                    } else {
                        &mut self.verifying
                    };
                    queue.add_bytes(first.link, &id, header.bytes);
                }
            }
        }
        self.add_candidate(sender, header.topic, id, copy);
    }

    /// A copy of what was never seen.
    fn on_new_copy(&mut self, sender: Sender, raw: RawBundle, hops: u8) {
        let (id, signed) = (raw.id, raw.signed);
        let topic = signed.header.topic;
        // Row 4.
        if !self.topics.contains_key(&topic) {
            self.cx.counters.unknown_topic += 1;
            return;
        }
        if !self.keeps_rules(&signed) {
            return self.offence(sender.link, sender.peer, Offence::RuleBroken);
        }
        // Rows 5 and 6: before the bodies, whose hashes are what is dear.
        if !self.admit(sender, id, &signed) {
            return;
        }
        let Some(bundle) = self.checked(sender, raw) else { return };
        let copy = self.copy(sender, &signed, hops);
        let mut entry = Entry::verifying(signed, copy);
        entry.put_body(bundle);
        entry.is_shown_by(sender.slot);
        self.queue_entry(sender, topic, id, entry);
    }

    /// A whole signed header, announced in a hold-back topic.
    pub(super) fn on_header(&mut self, sender: Sender, signed: SignedHeader) {
        let id = signed.header.id();
        let topic = signed.header.topic;
        match self.known(&topic, &id, sender.slot, false) {
            Known::No => {}
            Known::InFlight => {
                let copy = self.copy(sender, &signed, 0);
                return self.add_candidate(sender, topic, id, copy);
            }
            Known::LacksBody | Known::Has => return,
            Known::Refused => {
                self.cx.counters.refused_again += 1;
                self.tell_if_convicted(sender.slot, &signed.header.author);
                return;
            }
        }
        if !self.topics.contains_key(&topic) {
            self.cx.counters.unknown_topic += 1;
            return;
        }
        if !self.keeps_rules(&signed) {
            return self.offence(sender.link, sender.peer, Offence::RuleBroken);
        }
        if !self.admit(sender, id, &signed) {
            return;
        }
        let copy = self.copy(sender, &signed, 0);
        let mut entry = Entry::verifying(signed, copy);
        entry.header_is_shown_by(sender.slot);
        self.queue_entry(sender, topic, id, entry);
    }

    /// Row 3: what we know of an id. Also notes that the sender has it, or at least its header.
    fn known(&mut self, topic: &TopicId, id: &BundleId, slot: Slot, holds: bool) -> Known {
        let Some(window) = self.topics.get_mut(topic) else { return Known::No };
        if window.is_refused(id, self.cx.now) {
            return Known::Refused;
        }
        let rests = window.debts().rests(id, self.cx.now.mono);
        let Some(entry) = window.entry_mut(id) else { return Known::No };
        if holds {
            entry.is_shown_by(slot);
        } else {
            entry.header_is_shown_by(slot);
        }
        match entry.stage() {
            Stage::Verifying { .. } => Known::InFlight,
            Stage::Fetching if rests => Known::Refused,
            Stage::Fetching => Known::LacksBody,
            _ => Known::Has,
        }
    }

    fn takes_body(&self, topic: &TopicId, id: &BundleId) -> bool {
        let entry = self.topics.get(topic).and_then(|window| window.entry(id));
        entry
            .filter(|entry| !entry.has_body())
            .and_then(Entry::first_copy)
            .is_some_and(|first| self.queue_of(topic).takes_bytes(first.link))
    }

    /// Row 4: lengths, rules of the topic, body hashes. Whoever sends what fails has not checked it.
    pub(super) fn checked(&mut self, sender: Sender, raw: RawBundle) -> Option<Bundle> {
        if !self.keeps_rules(&raw.signed) {
            self.offence(sender.link, sender.peer, Offence::RuleBroken);
            return None;
        }
        let header = raw.signed.header;
        let topic = header.topic;
        if let Some(link) = self.links.at_mut(sender.slot) {
            let hashes =
                BODY_COST.saturating_mul(header.count.into()).saturating_add(hash_cost(raw.encoded.len()));
            link.bill_mut(&topic).charge_cpu(self.cx.now.mono, hashes);
        }
        let Ok(bundle) = raw.check() else {
            self.offence(sender.link, sender.peer, Offence::BodyMismatch);
            return None;
        };
        if self.topics.get(&topic).is_some_and(|window| !window.rules().allows(&bundle)) {
            self.offence(sender.link, sender.peer, Offence::RuleBroken);
            return None;
        }
        Some(bundle)
    }

    /// Whether a header keeps the rules that its topic's id commits to, as far as a header tells.
    fn keeps_rules(&self, signed: &SignedHeader) -> bool {
        let Some(window) = self.topics.get(&signed.header.topic) else { return true };
        window.rules().allows_header(&signed.header)
    }

    /// Rows 5 and 6: convicted or not admitted, outside the window, or no room. None of it is an offence.
    fn admit(&mut self, sender: Sender, id: BundleId, signed: &SignedHeader) -> bool {
        let author = signed.header.author;
        if self.evidence.is_convicted(&author) {
            self.cx.counters.convicted_author += 1;
            self.remind_of_conviction(sender.slot, &author);
            if let Some(window) = self.topics.get_mut(&signed.header.topic) {
                // Announced again, it is not pulled again.
                window.refuse(id);
            }
            self.drop_want(&(signed.header.topic, id));
            return false;
        }
        let Some(window) = self.topics.get_mut(&signed.header.topic) else { return false };
        if !self.cx.admits(window.rules(), &author) {
            self.cx.counters.not_admitted += 1;
            // (Where an owner lists the authors, that is so until there is another list.)
            self.cx.owned.refuses(&signed.header.topic);
            window.refuse(id);
            self.drop_want(&(signed.header.topic, id));
            return false;
        }
        match window.admit(&signed.header, (sender.link, sender.peer), self.cx.now, &self.cx.config) {
            Ok(()) => true,
            Err(unfit) => {
                match unfit {
                    Unfit::OutsideWindow => {
                        self.cx.counters.outside_relay_window += 1;
                        if self.cx.config.lacks(Failpoint::LateBlamed) {
                            self.offence(sender.link, sender.peer, Offence::RuleBroken);
                            return false;
                        }
                        window.refuse_outside(id, signed.header.tick);
                    }
                    Unfit::Spent => {
                        self.cx.counters.outside_relay_window += 1;
                        window.refuse(id);
                    }
                    Unfit::Early => {
                        self.cx.counters.outside_relay_window += 1;
                        self.owe(sender.slot, &signed.header, id);
                    }
                    Unfit::OverCap => {
                        self.cx.counters.over_cap += 1;
                        self.owe(sender.slot, &signed.header, id);
                        self.compare(sender, id, signed);
                    }
                }
                self.drop_want(&(signed.header.topic, id));
                false
            }
        }
    }

    /// Whoever brings a word of a convicted author again does not know of it.
    fn tell_if_convicted(&mut self, slot: Slot, author: &PublicKey) {
        if self.evidence.is_convicted(author) {
            self.remind_of_conviction(slot, author);
        }
    }

    fn copy(&self, sender: Sender, signed: &SignedHeader, hops: u8) -> Copy {
        Copy { link: sender.link, peer: sender.peer, signature: signed.signature, hops, same: Vec::new() }
    }

    fn add_candidate(&mut self, sender: Sender, topic: TopicId, id: BundleId, copy: Copy) {
        if let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id))
            && !entry.add_candidate(copy)
        {
            self.cx.counters.candidates_full += 1;
            // Forgeries may have taken the places: if they all fail, this link is asked for its copy again.
            let size = entry.size_class();
            self.want(sender, topic, id, size);
        }
    }

    fn queue_entry(&mut self, sender: Sender, topic: TopicId, id: BundleId, mut entry: Entry) {
        let surcharged = self.is_surcharged(sender, entry.header());
        self.charge_signature(sender.link, &topic, surcharged);
        if surcharged {
            self.cx.counters.surcharged += 1;
            // Announced and not pushed: others ask for it when they have room.
            entry.is_only_announced();
        }
        if let Some(window) = self.topics.get_mut(&topic) {
            let work = Work::bundle(topic, id, &entry);
            let signed = *entry.signed();
            window.insert(id, entry, self.cx.now);
            if self.cx.config.lacks(Failpoint::ClaimedBeforeVerified)
                && let Err(Unclaimed::Conflict(Some(evidence))) =
                    window.claim(id, &signed, Taker::Link(sender.link), self.cx.now, &self.cx.config)
            {
                return self.convict(*evidence, None);
            }
            self.queue_for(&work).add(sender.link, work);
        }
    }

    pub(super) fn on_evidence(&mut self, sender: Sender, evidence: Box<Evidence>) {
        let author = evidence.author();
        if let Some(conviction) = self.evidence.get_mut(&author) {
            let known = conviction.is_known_to(sender.slot);
            conviction.gets_known_to(sender.slot);
            self.cx.counters.evidence_known += 1;
            if let Some(link) = self.links.at_mut(sender.slot).filter(|_| !known) {
                link.brings_evidence(self.cx.now.mono);
            }
            return;
        }
        if !self.topics.values().any(|window| window.rules().admits(&author)) {
            // It may well be true, but its author can't say anything here: not worth two signature checks and a place.
            self.cx.counters.evidence_irrelevant += 1;
            return;
        }
        if let Some(link) = self.links.at_mut(sender.slot) {
            // Now and not when it has held: what it says is gone because of it may be the next frame.
            link.brings_evidence(self.cx.now.mono);
        }
        self.queue_signature(sender.link, Work::Evidence { evidence, peer: sender.peer, first_holds: false });
    }

    /// Row 7: puts a signature in the sender's queue and on its bill.
    pub(super) fn queue_signature(&mut self, link: LinkId, work: Work) {
        self.charge_work(link, &work);
        self.queue_for(&work).add(link, work);
    }

    /// The same, before what waits of that link.
    pub(super) fn queue_signature_first(&mut self, link: LinkId, work: Work) {
        self.charge_work(link, &work);
        self.queue_for(&work).add_first(link, work);
    }

    pub(super) fn mono(&self) -> Mono {
        self.cx.now.mono
    }
}

/// What we know of an id.
enum Known {
    No,
    InFlight,
    LacksBody,
    Has,
    Refused,
}

/// BLAKE3 at about a gigabyte per second, rounded up to be safe on slow machines.
fn hash_cost(len: usize) -> Duration {
    Duration::from_nanos(len as u64)
}
