//! Acceptance, rows 7 to 11 of the intake: the verdict, the claim, the application's judgement, the store, delivery; and
//! the conviction of authors who say two things at one position.

use std::collections::VecDeque;

use super::engine::Engine;
use super::entry::Stage;
use super::intake::Sender;
use super::linkset::Slot;
use super::random::{Keyed, KeyedMap};
use super::timers::Timer;
use super::verifying::Work;
use super::weakness::Weakness;
use super::{Action, BatchId, Event, LinkId, Offence, Validation, ValidationId, VerifyJob};
use crate::key::PublicKey;
use crate::rumor::{Bundle, BundleId, Evidence, TopicId};
use crate::wire;

/// Bundles that may wait for a free validator before further ones are ignored.
const MAX_QUESTIONS_WAITING: usize = 4_096;
/// Bytes of bodies that may wait with them. What waits is not yet in the store, whose caps do not count it.
const MAX_QUESTION_BYTES: usize = 32 * 1024 * 1024;

/// Questions to the application.
#[derive(Debug)]
pub(super) struct Validations {
    asked: KeyedMap<ValidationId, (TopicId, BundleId)>,
    waiting: VecDeque<(TopicId, BundleId, u32)>,
    /// Bytes of bodies that wait.
    bytes: usize,
    next: u64,
}

impl Validations {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { asked: keyed.map(), waiting: VecDeque::new(), bytes: 0, next: 0 }
    }

    fn has_room(&self, bytes: u32) -> bool {
        self.waiting.len() < MAX_QUESTIONS_WAITING && self.bytes + bytes as usize <= MAX_QUESTION_BYTES
    }

    /// Whether one more may be asked now, or wait.
    pub(super) fn takes(&self, bytes: u32, at_once: usize) -> bool {
        self.asked.len() < at_once.max(1) || self.has_room(bytes)
    }

    fn wait(&mut self, topic: TopicId, id: BundleId, bytes: u32) {
        self.waiting.push_back((topic, id, bytes));
        self.bytes += bytes as usize;
    }

    fn next(&mut self) -> Option<(TopicId, BundleId)> {
        let (topic, id, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes as usize;
        Some((topic, id))
    }
}

#[cfg(any(test, feature = "sim"))]
impl Validations {
    /// Bundles that are asked about, or wait for it.
    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.waiting.len()
    }

    pub(super) fn check(&self, recount: &mut super::check::Recount) {
        let bytes = self.waiting.iter().map(|(_, _, bytes)| *bytes as usize).sum();
        recount.same("bytes that wait for validators", self.bytes, bytes);
        let idle = self.asked.is_empty() && !self.waiting.is_empty();
        recount.holds(!idle, "bundles wait for validators and none is asked");
    }
}

impl Engine {
    pub(super) fn on_verdicts(&mut self, batch: BatchId, verdicts: &[bool]) {
        let Some(work) = self.verifying.finish(batch) else { return };
        let mut verdicts = verdicts.iter().copied();
        // A driver that answers too few has not verified: that is no, but no offence either, so those are asked again.
        for (link, work) in work {
            match (work, verdicts.next()) {
                (work, None) => self.queue_signature(link, work),
                (Work::Bundle { topic, job, .. }, Some(true)) => self.on_genuine(link, topic, &job),
                (Work::Bundle { topic, job, .. }, Some(false)) => self.on_forged(topic, &job),
                (Work::Evidence { evidence, peer, first_holds: false }, Some(true)) => {
                    self.queue_signature_first(link, Work::Evidence { evidence, peer, first_holds: true });
                }
                (Work::Evidence { evidence, .. }, Some(true)) => {
                    self.convict(*evidence, self.links.slot_of(link));
                }
                (Work::Evidence { peer, .. }, Some(false)) => {
                    self.offence(link, peer, Offence::BogusEvidence)
                }
            }
        }
        self.resume_verified();
    }

    /// Row 7 failed: everybody who sent this signature vouched for it.
    fn on_forged(&mut self, topic: TopicId, job: &VerifyJob) {
        let id = job.id;
        let entry = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id));
        let Some(entry) = entry.filter(|entry| entry.signed.signature == job.signature) else { return };
        let Stage::Verifying { first, .. } = &mut entry.stage else { return };
        let mut vouched = std::mem::take(&mut first.same);
        vouched.push((first.link, first.peer));
        if self.config.lacks(Weakness::SeenBeforeVerified) {
            entry.stage = Stage::Unwanted;
        } else {
            self.next_candidate(&topic, &id);
        }
        for (link, peer) in vouched {
            self.offence(link, peer, Offence::BadSignature);
        }
    }

    /// Row 8: the signature holds.
    fn on_genuine(&mut self, link: LinkId, topic: TopicId, job: &VerifyJob) {
        let id = job.id;
        self.heard_at = Some(self.now.mono);
        if let Some(link) = self.links.get_mut(link) {
            link.good = link.good.saturating_add(1);
            link.service.serves(self.now.mono);
        }
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let Some(entry) = window.entry_mut(&id) else { return };
        if !matches!(entry.stage, Stage::Verifying { .. }) || entry.signed.signature != job.signature {
            return;
        }
        entry.stage = Stage::Fetching;
        let signed = entry.signed;
        let has_body = entry.body.is_some();
        let author = signed.header.author;
        if self.book.is_convicted(&author) {
            self.counters.convicted_author += 1;
            window.forget(&id);
            self.drop_want(&(topic, id));
            return;
        }
        if let Err(evidence) = window.claim(id, &signed, self.now.mono) {
            self.counters.conflicts += 1;
            window.forget(&id);
            window.refuse(id);
            self.drop_want(&(topic, id));
            if let Some(evidence) = evidence {
                self.convict(*evidence, None);
            }
            return;
        }
        self.take_allowance(link, &signed.header);
        self.check_duplicate_writer(&topic, &signed.header);
        let Some(window) = self.topics.get_mut(&topic) else { return };
        if window.rules.hold_back().is_some() {
            // Before body and validator, so that a conflict is seen everywhere before either version is delivered.
            self.announce_header(topic, id);
        }
        if has_body {
            return self.judge(topic, id);
        }
        let Some(entry) = self.topics.get(&topic).and_then(|window| window.entry(&id)) else { return };
        let (have, size) = (entry.have, entry.size_class());
        for slot in have.iter() {
            if let Some(link) = self.links.at(slot) {
                let sender = Sender { link: link.id, slot, peer: link.peer };
                self.want(sender, topic, id, size);
            }
        }
        // Who announced it while the signature was being checked, or sent bodies that were left, was noted and not asked.
        self.ask((topic, id));
    }

    /// The bodies of a bundle whose header was accepted before. They match its manifest, so whose copy they come from
    /// does not matter; the signature that we pass on is the one we verified.
    pub(super) fn attach_body(
        &mut self,
        topic: TopicId,
        id: BundleId,
        bundle: Bundle,
        from: PublicKey,
        hops: u8,
    ) {
        let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) else {
            return;
        };
        if entry.body.is_some() {
            return;
        }
        let signature = entry.signed.signature;
        entry.body = Some(bundle.detached().with_signature(signature).into());
        entry.from = Some(from);
        entry.hops = hops;
        self.judge(topic, id);
    }

    /// Row 9: the application's turn, if it wants one.
    pub(super) fn judge(&mut self, topic: TopicId, id: BundleId) {
        self.drop_want(&(topic, id));
        let Some(window) = self.topics.get(&topic) else { return };
        if !window.validate {
            return self.accept(topic, id);
        }
        if self.validations.asked.len() < self.config.validators.max(1) {
            return self.question(topic, id);
        }
        let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) else {
            return;
        };
        let bytes = entry.signed.header.bytes;
        if self.validations.has_room(bytes) {
            entry.stage = Stage::Validating;
            self.validations.wait(topic, id, bytes);
        } else {
            self.counters.validator_overload += 1;
            self.unwanted(topic, id);
        }
    }

    fn question(&mut self, topic: TopicId, id: BundleId) {
        let question = ValidationId(self.validations.next);
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let validate = window.validate;
        let Some(entry) = window.entry_mut(&id) else { return };
        // While it waited the topic may have been left and joined again: then what has this id now is not verified yet.
        if !matches!(entry.stage, Stage::Fetching | Stage::Validating) {
            return;
        }
        // While it waited, whoever would have judged it has gone.
        if !validate {
            return self.accept(topic, id);
        }
        let Some(bundle) = entry.body.clone() else { return };
        entry.stage = Stage::Validating;
        self.validations.next += 1;
        self.validations.asked.insert(question, (topic, id));
        self.timers.set(self.mono().plus(self.config.validator_patience), Timer::ValidatorOverdue(question));
        self.actions.push_back(Action::Validate { question, bundle });
    }

    pub(super) fn on_validated(&mut self, question: ValidationId, verdict: Validation) {
        let Some((topic, id)) = self.validations.asked.remove(&question) else { return };
        let entry = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id));
        let entry = entry.filter(|entry| matches!(entry.stage, Stage::Validating));
        match (entry, verdict) {
            // The author was convicted, or the topic left: the question has lost its meaning.
            (None, _) => {}
            (Some(entry), Validation::Accept) => {
                entry.validated = true;
                self.accept(topic, id);
            }
            (_, Validation::Ignore) => {
                self.counters.validator_ignored += 1;
                self.unwanted(topic, id);
            }
            (_, Validation::Reject) => {
                self.counters.validator_rejected += 1;
                self.unwanted(topic, id);
            }
        }
        while self.validations.asked.len() < self.config.validators.max(1) {
            let Some((topic, id)) = self.validations.next() else { return };
            self.question(topic, id);
        }
    }

    pub(super) fn on_validator_overdue(&mut self, question: ValidationId) {
        if self.validations.asked.contains_key(&question) {
            self.counters.validator_timed_out += 1;
            self.on_validated(question, Validation::Ignore);
        }
    }

    /// Neither stored nor forwarded; its claim stays, so that a conflict is still noticed.
    fn unwanted(&mut self, topic: TopicId, id: BundleId) {
        if let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) {
            entry.stage = Stage::Unwanted;
            entry.body = None;
        }
    }

    /// Rows 10 and 11: store, mark seen, deliver, forward.
    pub(super) fn accept(&mut self, topic: TopicId, id: BundleId) {
        let now = self.now;
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let hold = window.rules.hold_back();
        let Some(entry) = window.entry_mut(&id) else { return };
        let Some(bundle) = entry.body.clone() else { return };
        let (header, from) = (entry.signed.header, entry.from);
        // There was room when it came in, but others may have taken it since. (Own bundles were sealed for what there is.)
        if from.is_some() && !window.has_room_for_body(&header, now.mono, &self.config) {
            self.counters.over_cap += 1;
            return self.unwanted(topic, id);
        }
        // Our own is at a position that was never used, whatever was delivered before the topic was left.
        let deliverable = from.is_none()
            || window.is_deliverable(header.tick, now)
            || self.config.lacks(Weakness::LateDelivered);
        let until = hold.map(|delay| now.mono.plus(delay));
        let read = window.deliver && hold.is_none();
        let Some(entry) = window.entry_mut(&id) else { return };
        entry.stage = until.map_or(Stage::Accepted, |until| Stage::Held { until });
        entry.deliverable = deliverable;
        let deliver = read && deliverable && !entry.delivered;
        entry.delivered |= deliver;
        self.counters.bodies_evicted += window.keep_body(id, &header, from.is_none(), now.mono, &self.config);
        self.counters.accepted += 1;
        self.counters.rumors_accepted += u64::from(header.count);
        if !deliverable {
            self.counters.outside_delivery_window += 1;
        }
        if let Some(until) = until {
            self.timers.set(until, Timer::HoldBackOver { topic, id });
        } else if deliver {
            self.counters.delivered += 1;
            self.actions.push_back(Action::Deliver { bundle, from });
        }
        self.spread(topic, id);
    }

    pub(super) fn on_hold_back_over(&mut self, topic: TopicId, id: BundleId) {
        let now = self.now.mono;
        let entry = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id));
        // Gone if its author was convicted meanwhile; later if the topic was left and joined again.
        let Some(entry) = entry else { return };
        if !matches!(entry.stage, Stage::Held { until } if until <= now) {
            return;
        }
        entry.stage = Stage::Accepted;
        self.deliver(topic, id);
    }

    /// Verified evidence: the author is out, everywhere and for good, and everybody is told.
    pub(super) fn convict(&mut self, evidence: Evidence, from: Option<Slot>) {
        let author = evidence.author();
        let now = self.now.mono;
        let known = self.topics.values().any(|window| window.authors.knows(&author, now));
        let heard = self.topics.values().any(|window| window.authors.bundles_of(&author) > 0);
        let Some(shed) = self.book.enter(evidence, known) else {
            self.counters.evidence_known += 1;
            return;
        };
        self.counters.evidence_shed += shed;
        self.counters.convictions += 1;
        self.convicted_at = Some(now);
        self.event(Event::Convicted { evidence: Box::new(evidence) });
        if let Some(slot) = from {
            if let Some(conviction) = self.book.get_mut(&author) {
                conviction.told.insert(slot);
            }
            if let Some(link) = self.links.at_mut(slot) {
                link.evidence_at = Some(self.now.mono);
            }
        }
        let mut fetching = Vec::new();
        for (topic, window) in &mut self.topics {
            let (held_back, wanted) = window.silence(&author);
            self.counters.held_back += held_back;
            fetching.extend(wanted.into_iter().map(|id| (*topic, id)));
        }
        self.left.silence(&author);
        for wanted in fetching {
            self.drop_want(&wanted);
        }
        self.on_conviction(&author);
        if self.config.lacks(Weakness::EvidenceUntold) {
            return;
        }
        let live: Vec<_> =
            self.links.iter().filter(|link| link.live && !link.closing).map(|link| link.slot).collect();
        for slot in live {
            if known || heard {
                self.tell_evidence(slot, &author);
            } else if let Some(link) = self.links.at_mut(slot) {
                // Keys cost nothing, so there may be any number of such proofs, and control frames go before rumors.
                link.outbox.owe_evidence();
            }
        }
    }

    /// Sends the proof of an author's conviction over a link, once. False if there is no room for it.
    pub(super) fn tell_evidence(&mut self, slot: Slot, author: &PublicKey) -> bool {
        let Some(conviction) = self.book.get_mut(author) else { return true };
        let Some(evidence) = conviction.evidence else { return true };
        if conviction.told.contains(slot) {
            return true;
        }
        let Some(link) = self.links.at_mut(slot) else { return true };
        // Without room it is not marked as told, and follows when there is room.
        let room = link.outbox.evidence(wire::evidence(&evidence));
        if room {
            conviction.told.insert(slot);
            self.dirty.insert(slot);
        } else {
            self.counters.evidence_degraded += 1;
        }
        room
    }
}
