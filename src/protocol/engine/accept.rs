//! Acceptance, rows 7 to 11 of the intake: the verdict, the claim, the application's judgement, the store, delivery; and
//! the conviction of authors who say two things at one position.

use std::sync::Arc;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::failpoint::Failpoint;
use crate::protocol::keeping::{Arrival, Show};
use crate::protocol::linkset::Slot;
use crate::protocol::timers::Timer;
use crate::protocol::topics::entry::Entry;
use crate::protocol::topics::window::{Taker, Unclaimed};
use crate::protocol::verification::questions::Waiting;
use crate::protocol::verification::work::Work;
use crate::protocol::{Action, BatchId, Event, LinkId, Offence, Validation, ValidationId, VerifyJob};
use crate::rumor::{Bundle, BundleId, EVIDENCE_LEN, Evidence, TopicId};
use crate::wire;

impl Engine {
    pub(super) fn on_verdicts(&mut self, batch: BatchId, verdicts: &[bool]) {
        let finished = self
            .system_verifying
            .finish(batch)
            .or_else(|| self.verifying.finish(batch))
            .or_else(|| self.late_verifying.finish(batch));
        let Some(work) = finished else { return };
        // A driver that answers too few has not verified: that is no, but no offence either, so those are asked again.
        let verdicts = verdicts.iter().copied().map(Some).chain(std::iter::repeat(None));
        let mut judged: Vec<_> = work.into_iter().zip(verdicts).collect();
        // What one author has said is delivered in order, from whatever links it came.
        judged.sort_by_key(|((_, work), _)| work.position());
        for ((link, work), verdict) in judged {
            match (work, verdict) {
                (work @ Work::Late { .. }, None) => self.late_verifying.add(link, work),
                (work, None) => self.queue_signature(link, work),
                (Work::Late { topic, job, .. }, Some(holds)) => {
                    self.on_late_verdict(link, topic, &job, holds);
                }
                (Work::Bundle { topic, job, .. }, Some(true)) => self.on_genuine(link, topic, &job),
                (Work::Bundle { topic, job, .. }, Some(false)) => self.on_forged(topic, &job),
                (Work::Header { signed, id, .. }, Some(true)) => self.on_genuine_header(link, id, &signed),
                (Work::Header { peer, .. }, Some(false)) => self.offence(link, peer, Offence::BadSignature),
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
        self.resume_late();
    }

    /// Row 7 failed: everybody who sent this signature vouched for it.
    fn on_forged(&mut self, topic: TopicId, job: &VerifyJob) {
        let id = job.id;
        let entry = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id));
        let Some(entry) = entry.filter(|entry| entry.signed().signature == job.signature) else { return };
        let vouched = entry.take_vouchers();
        if vouched.is_empty() {
            return;
        }
        if self.cx.config.lacks(Failpoint::SeenBeforeVerified) {
            entry.refuse();
        } else {
            self.next_candidate(&topic, &id);
        }
        for (link, peer) in vouched {
            self.offence(link, peer, Offence::BadSignature);
        }
    }

    /// A link has brought something genuine.
    pub(super) fn was_heard(&mut self, link: LinkId) {
        self.condition.presence_mut().heard(self.cx.now.mono);
        if let Some(link) = self.links.get_mut(link) {
            link.brings_news(self.cx.now.mono);
        }
    }

    /// Row 8: the signature holds.
    fn on_genuine(&mut self, link: LinkId, topic: TopicId, job: &VerifyJob) {
        let id = job.id;
        self.was_heard(link);
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let Some(entry) = window.entry_mut(&id) else { return };
        if entry.is_verified() || entry.signed().signature != job.signature {
            return;
        }
        entry.signature_held();
        let signed = *entry.signed();
        let has_body = entry.has_body();
        let author = signed.header.author;
        if self.evidence.is_convicted(&author) {
            self.cx.counters.convicted_author += 1;
            window.forget(&id);
            window.refuse(id);
            self.drop_want(&(topic, id));
            return;
        }
        match window.claim(id, &signed, Taker::Link(link), self.cx.now, &self.cx.config) {
            Ok(()) => {}
            Err(Unclaimed::NoPlace) => return self.found_no_place(link, topic, id),
            Err(Unclaimed::Conflict(evidence)) => {
                self.cx.counters.conflicts += 1;
                window.forget(&id);
                window.refuse(id);
                self.drop_want(&(topic, id));
                if let Some(evidence) = evidence {
                    self.convict(*evidence, None);
                }
                return;
            }
        }
        self.take_allowance(link, &signed.header);
        self.check_duplicate_writer(&topic, &signed.header);
        let Some(window) = self.topics.get_mut(&topic) else { return };
        if window.rules().hold_back().is_some() {
            // Before body and validator, so that a conflict is seen everywhere before either version is delivered.
            self.announce_header(topic, id);
        }
        if has_body {
            return self.judge(topic, id);
        }
        let Some(entry) = self.topics.get(&topic).and_then(|window| window.entry(&id)) else { return };
        let (have, size) = (entry.holders(), entry.size_class());
        for slot in have.iter() {
            if let Some(link) = self.links.at(slot) {
                self.want(link.sender(), topic, id, size);
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
        if entry.has_body() {
            return;
        }
        entry.attach_body(bundle, from, hops);
        self.judge(topic, id);
    }

    /// Row 9: the application's turn, if it wants one.
    pub(super) fn judge(&mut self, topic: TopicId, id: BundleId) {
        self.drop_want(&(topic, id));
        let now = self.cx.now.mono;
        let Some(window) = self.topics.get_mut(&topic) else { return };
        if !window.is_judged() {
            return self.accept(topic, id);
        }
        let Some(entry) = window.entry_mut(&id) else { return };
        entry.asks_validator();
        let (header, from) = (*entry.header(), entry.via());
        // Keys cost nothing, so newcomers share the turn of the peer that brings them.
        let newcomer = window.authors().is_newcomer(&header.author, now);
        let turn = from.filter(|_| newcomer).unwrap_or(header.author);
        self.question_in_turn(turn, Waiting { topic, id, bytes: header.bytes });
    }

    /// Asks the application about a bundle, or lets it wait until it is its turn.
    pub(super) fn question_in_turn(&mut self, turn: PublicKey, next: Waiting) {
        if self.questions.is_free(&turn, self.cx.config.validators.at_once.max(1)) {
            return self.question(turn, next.topic, next.id);
        }
        for gone in self.questions.wait(turn, next) {
            self.cx.counters.validator_overload += 1;
            self.validators_are_slow();
            self.put_off(gone.topic, gone.id);
        }
    }

    pub(super) fn question(&mut self, turn: PublicKey, topic: TopicId, id: BundleId) {
        if let Some(bundle) = self.late_in_question(&topic, &id) {
            return self.ask_validator(turn, topic, bundle);
        }
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let validate = window.is_judged();
        // While it waited the topic may have been left and joined again: then what has this id now is not verified yet.
        let Some(entry) = window.entry_mut(&id) else { return };
        if !entry.is_validating() {
            return;
        }
        // While it waited, whoever would have judged it has gone.
        if !validate {
            return self.accept(topic, id);
        }
        let Some(bundle) = entry.body().cloned() else { return };
        self.ask_validator(turn, topic, bundle);
    }

    fn ask_validator(&mut self, turn: PublicKey, topic: TopicId, bundle: Arc<Bundle>) {
        let question = self.questions.ask(turn, topic, bundle.id(), self.judged_by(&topic));
        let patience = self.validator_patience_for(&bundle);
        self.cx.timers.set(self.mono().plus(patience), Timer::ValidatorOverdue(question));
        self.cx.actions.push_back(Action::Validate { question, bundle });
    }

    /// How long a validator may think about a bundle: the time for one rumor, for each. A bundle stands or falls as one, so a
    /// fixed time would mean that none passes of which sixty-four rumors take longer than one may.
    pub(crate) fn validator_patience_for(&self, bundle: &Bundle) -> Duration {
        self.cx.config.validators.patience.saturating_mul(u32::from(bundle.header().count))
    }

    pub(super) fn on_validated(&mut self, question: ValidationId, verdict: Validation) {
        let Some((topic, id, by)) = self.questions.answered(question) else { return };
        if self.late_in_question(&topic, &id).is_some() {
            self.on_late_validated(topic, id, by, verdict);
            return self.ask_next();
        }
        let entry = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id));
        let entry = entry.filter(|entry| entry.is_validating());
        match (entry, verdict) {
            // The author was convicted, or the topic left: the question has lost its meaning.
            (None, _) => {}
            (Some(entry), Validation::Accept) => {
                entry.is_accepted_by_validator();
                self.accept(topic, id);
            }
            (_, Validation::Ignore) => {
                self.cx.counters.validator_ignored += 1;
                self.unwanted(topic, id);
            }
            (Some(entry), Validation::Reject) => {
                let body = entry.body().cloned();
                self.cx.counters.validator_rejected += 1;
                body.into_iter().for_each(|bundle| self.keep_rejected(&bundle, by));
                self.unwanted(topic, id);
            }
        }
        self.ask_next();
    }

    /// Whether the answer still means something: the author may have been convicted, or the topic left.
    fn is_validating(&self, topic: TopicId, id: BundleId) -> bool {
        let entry = self.topics.get(&topic).and_then(|window| window.entry(&id));
        entry.is_some_and(Entry::is_validating)
    }

    fn ask_next(&mut self) {
        while let Some((turn, next)) = self.questions.next(self.cx.config.validators.at_once.max(1)) {
            self.question(turn, next.topic, next.id);
        }
    }

    /// The application did not answer in time. That says nothing about the bundle, so it is asked for again in a while.
    pub(super) fn on_validator_overdue(&mut self, question: ValidationId) {
        if !self.questions.is_asked(question) {
            return;
        }
        let Some((topic, id, _)) = self.questions.answered(question) else { return };
        if self.is_validating(topic, id) || self.late_in_question(&topic, &id).is_some() {
            self.cx.counters.validator_timed_out += 1;
            self.validators_are_slow();
            self.put_off(topic, id);
            self.rest(topic, id);
        }
        self.ask_next();
    }

    /// Neither stored nor forwarded; its claim stays, so that a conflict is still noticed.
    fn unwanted(&mut self, topic: TopicId, id: BundleId) {
        if let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) {
            entry.refuse();
        }
    }

    /// Genuine, claimed, and refused for now: its body goes, and is asked for again.
    pub(super) fn put_off(&mut self, topic: TopicId, id: BundleId) {
        if self.late_in_question(&topic, &id).is_some() {
            return self.late_is_put_off(topic, id);
        }
        let Some(entry) = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id)) else {
            return;
        };
        entry.put_off();
        let (header, have) = (*entry.header(), entry.holders());
        have.iter().for_each(|slot| self.owe(slot, &header, id));
    }

    /// What was put off is left alone for a while, the longer the more often it was in vain.
    fn rest(&mut self, topic: TopicId, id: BundleId) {
        let now = self.cx.now.mono;
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let Some(entry) = window.entry_mut(&id) else { return };
        let tries = entry.is_tried_in_vain();
        window.debts_mut().rest(&id, tries, now);
    }

    /// Rows 10 and 11: store, mark seen, deliver, forward.
    pub(super) fn accept(&mut self, topic: TopicId, id: BundleId) {
        let now = self.cx.now;
        let Some(window) = self.topics.get_mut(&topic) else { return };
        let hold = window.rules().hold_back();
        let Some(entry) = window.entry_mut(&id) else { return };
        let Some(bundle) = entry.body().cloned() else { return };
        let (header, from) = (*entry.header(), entry.via());
        // There was room when it came in, but others may have taken it since. (Own bundles were sealed for what there is.)
        if from.is_some() && !window.has_room_for_body(&header, now.mono, &self.cx.config) {
            self.cx.counters.over_cap += 1;
            return self.put_off(topic, id);
        }
        // Our own is at a position that was never used, whatever was delivered before the topic was left.
        let deliverable = from.is_none()
            || window.is_deliverable(header.tick, now)
            || self.cx.config.lacks(Failpoint::LateDelivered);
        let until = hold.map(|delay| now.mono.plus(delay));
        let read = window.is_read() && hold.is_none();
        let Some(entry) = window.entry_mut(&id) else { return };
        entry.accept(until, deliverable);
        let deliver = read && entry.deliver().is_some();
        self.cx.counters.bodies_evicted += window.keep_body(id, &header, from, now.mono, &self.cx.config);
        self.cx.counters.accepted += 1;
        self.cx.counters.rumors_accepted += u64::from(header.count);
        let arrival = if from.is_none() { Arrival::Own } else { Arrival::Live };
        self.keep(&bundle, arrival, if until.is_some() { Show::Held } else { Show::Now });
        self.members_hear(&bundle);
        self.lists_hear(&bundle);
        if !deliverable {
            self.cx.counters.outside_delivery_window += 1;
        }
        if let Some(until) = until {
            self.cx.timers.set(until, Timer::HoldBackOver { topic, id });
        } else if deliver {
            self.cx.counters.delivered += 1;
            self.cx.actions.push_back(Action::Deliver { bundle, from });
        }
        self.spread_in_turn(topic, id);
    }

    pub(super) fn on_hold_back_over(&mut self, topic: TopicId, id: BundleId) {
        let now = self.cx.now.mono;
        let entry = self.topics.get_mut(&topic).and_then(|window| window.entry_mut(&id));
        // Gone if its author was convicted meanwhile; later if the topic was left and joined again.
        let Some(entry) = entry else { return };
        if entry.release(now) {
            let (author, position) = (entry.header().author, entry.header().position());
            self.show_released(topic, author, position);
            self.deliver(topic, id);
        }
    }

    /// Verified evidence: the author is out, everywhere and for good, and everybody is told.
    pub(super) fn convict(&mut self, evidence: Evidence, from: Option<Slot>) {
        let author = evidence.author();
        let now = self.cx.now.mono;
        let known = self.topics.values().any(|window| window.authors().knows(&author, now));
        let heard = self.topics.values().any(|window| window.authors().bundles_of(&author) > 0);
        let Some(shed) = self.evidence.enter(evidence, known, now) else {
            self.cx.counters.evidence_known += 1;
            return;
        };
        self.cx.counters.evidence_shed += shed;
        self.cx.counters.convictions += 1;
        self.event(Event::Convicted { evidence: Box::new(evidence) });
        if let Some(slot) = from {
            if let Some(conviction) = self.evidence.get_mut(&author) {
                conviction.gets_known_to(slot);
            }
            if let Some(link) = self.links.at_mut(slot) {
                link.brings_evidence(self.cx.now.mono);
            }
        }
        let mut fetching = Vec::new();
        for (topic, window) in &mut self.topics {
            let (held_back, wanted) = window.silence(&author);
            self.cx.counters.held_back += held_back;
            fetching.extend(wanted.into_iter().map(|id| (*topic, id)));
        }
        self.left.silence(&author);
        for wanted in fetching {
            self.drop_want(&wanted);
        }
        self.on_conviction(&author);
        self.repair_silences(&author);
        self.conviction_is_kept(&evidence);
        if self.cx.config.lacks(Failpoint::EvidenceUntold) {
            return;
        }
        let live: Vec<_> = self.links.iter().filter(|link| link.is_open()).map(|link| link.slot()).collect();
        for slot in live {
            if known || heard {
                self.tell_evidence(slot, &author);
            } else if let Some(link) = self.links.at_mut(slot) {
                // Keys cost nothing, so there may be any number of such proofs, and control frames go before rumors.
                link.outbox_mut().owe_evidence();
            }
        }
    }

    /// A link brings something of a convicted author. Either it was never told, or it had no use for the proof when it was (in
    /// none of its topics was the author admitted), or it has forgotten: then it is told again, at its own expense and now and
    /// then. What was on its way when it was told costs one proof too many.
    pub(super) fn remind_of_conviction(&mut self, slot: Slot, author: &PublicKey) {
        let now = self.cx.now.mono;
        let Some(conviction) = self.evidence.get_mut(author) else { return };
        if conviction.is_known_to(slot) {
            let Some(link) = self.links.at_mut(slot) else { return };
            if !link.is_reminded(now) {
                return;
            }
            link.budget_mut().charge_bytes(now, EVIDENCE_LEN as u64);
            conviction.is_unknown_to(slot);
        }
        self.tell_evidence(slot, author);
    }

    /// Sends the proof of an author's conviction over a link, once. False if there is no room for it.
    pub(super) fn tell_evidence(&mut self, slot: Slot, author: &PublicKey) -> bool {
        if self.cx.config.lacks(Failpoint::EvidenceUntold) {
            return true;
        }
        let Some(conviction) = self.evidence.get_mut(author) else { return true };
        let Some(evidence) = conviction.evidence() else { return true };
        if conviction.is_known_to(slot) {
            return true;
        }
        let Some(link) = self.links.at_mut(slot) else { return true };
        // Without room it is not marked as told, and follows when there is room.
        let room = link.outbox_mut().evidence(wire::evidence(&evidence));
        if room {
            conviction.gets_known_to(slot);
            self.cx.dirty.insert(slot);
        } else {
            self.cx.counters.evidence_degraded += 1;
        }
        room
    }
}
