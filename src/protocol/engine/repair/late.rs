//! Intake of what repair brings, steps H0 to H9: cheap before expensive, and each with a bound. Its signatures have a queue of their own,
//! so that the past never waits in front of what is new.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::engine::Engine;
use crate::protocol::keeping::{Arrival, Keep, Show, StoreJob};
use crate::protocol::limits::RELAY_FUTURE;
use crate::protocol::links::{Pause, Sender};
use crate::protocol::repair::late::Known;
use crate::protocol::repair::missing::Missing;
use crate::protocol::repair::walk::LONGEST_REFUSAL;
use crate::protocol::topics::window::Window;
use crate::protocol::verification::questions::Waiting;
use crate::protocol::verification::work::Work;
use crate::protocol::{Action, LinkId, Mono, Offence, Validation, VerifyJob};
use crate::rumor::{Bundle, BundleId, TopicId};
use crate::wire::{Bundles, RawBundle};

use super::sessions::millis;

/// What was accepted where it is new, or will be soon, is asked for again after this if it is not kept by then.
const LIVE_PATIENCE: Duration = Duration::from_secs(15);
/// What found no room in the store is not asked for again before.
const FULL_FOR_NOW: Duration = Duration::from_secs(3_600);
/// What could not be judged in time is left alone for as long as it has been missing, within these bounds.
const SHORTEST_PUT_OFF: Duration = Duration::from_secs(60);
const LONGEST_PUT_OFF: Duration = Duration::from_secs(3_600);

impl Engine {
    /// Bundles on the lane of the past.
    pub(in crate::protocol::engine) fn on_late_bundles(&mut self, sender: Sender, bundles: Bundles) {
        for raw in bundles {
            if self.links.at(sender.slot).is_none_or(|link| link.is_closing()) {
                return;
            }
            match raw {
                Ok(raw) => self.on_late_copy(sender, raw),
                Err(_) => self.offence(sender.link, sender.peer, Offence::Undecodable),
            }
        }
        if self.asker.late().is_full(sender.link) {
            self.cx.counters.paused_for_late += 1;
            self.pause(sender.link, Pause::History);
        }
    }

    fn on_late_copy(&mut self, sender: Sender, raw: RawBundle) {
        let (id, signed) = (raw.id, raw.signed);
        let (topic, len) = (signed.header.topic, raw.encoded.len());
        let missing = Missing::of_header(&signed, id);
        self.cx.counters.late_copies += 1;
        // H0 and H1: was this link asked for it, and for so much?
        let (author, position) = (missing.author(), missing.position());
        let Some(below) = self.is_asked_for(sender, &topic, &missing, len) else {
            return self.is_unasked(sender, len);
        };
        // H2.
        match self.asker.late_mut().notes(&topic, &id, sender, &signed.signature) {
            Known::No => {}
            Known::Has | Known::Candidate => {
                self.cx.counters.late_duplicates += 1;
                return;
            }
        }
        if self.repair.topic(&topic).is_some_and(|kept| kept.book().is_head(&author, position, &id)) {
            self.cx.counters.late_duplicates += 1;
            self.is_filled(topic, &missing);
            return;
        }
        if self.keeps_accepted(topic, &missing) {
            return;
        }
        // H3, as for all bundles.
        let Some(bundle) = self.checked(sender, raw.clone()) else { return };
        // H4 and H5.
        if self.is_fit(sender, topic, &missing, raw) {
            self.verify_late(sender, bundle, below);
        }
    }

    /// Whether this link was asked for it; if so, whether it is below what its author's chain is complete to.
    fn is_asked_for(
        &mut self,
        sender: Sender,
        topic: &TopicId,
        missing: &Missing,
        len: usize,
    ) -> Option<bool> {
        let now = self.cx.now.mono;
        let Some(covered) = self.asker.takes(sender.slot, topic, missing, len, now) else {
            let members = self.members.as_mut().filter(|members| members.topic() == *topic)?;
            return members.takes_grant(sender.slot).then_some(false);
        };
        if covered.beyond > 0
            && let Some(link) = self.links.at_mut(sender.slot)
        {
            link.budget_mut().charge_bytes(now, covered.beyond as u64);
        }
        let asked = self.asker.topic_mut(topic)?;
        let below = asked.gaps().is_below(&covered.gap);
        if below {
            asked.paces_mut().charge(&missing.author(), len, now);
        }
        asked.gaps_mut().comes(missing, sender.slot);
        Some(below)
    }

    /// It was not asked of this link: nobody is blamed, since what was asked long ago may be forgotten here.
    fn is_unasked(&mut self, sender: Sender, len: usize) {
        self.cx.counters.unasked_history += 1;
        if let Some(link) = self.links.at_mut(sender.slot) {
            link.budget_mut().charge_bytes(self.cx.now.mono, len as u64);
        }
    }

    /// What was accepted while it was new, and is not kept, has been checked: the store is given it again. If there is no room for it
    /// now, as behind a slow disk, it stays missing and is asked for again in a while.
    fn keeps_accepted(&mut self, topic: TopicId, missing: &Missing) -> bool {
        let entry = self.topics.get(&topic).and_then(|window| window.entry(&missing.id()));
        let Some(entry) = entry.filter(|entry| entry.is_accepted()) else { return false };
        let Some(bundle) = entry.body().cloned() else { return false };
        let arrival = if entry.via().is_none() { Arrival::Own } else { Arrival::Live };
        let show = if entry.is_held_back() { Show::Held } else { Show::Now };
        if !self.keep(&bundle, arrival, show) {
            let is_slow = !self.repair.waiting().has_room(bundle.encoded().len());
            self.is_put_off(topic, missing, if is_slow { LIVE_PATIENCE } else { FULL_FOR_NOW });
        }
        true
    }

    /// H4 and H5: convicted, not admitted, too old, new enough to be taken in as any bundle, or too far ahead.
    fn is_fit(&mut self, sender: Sender, topic: TopicId, missing: &Missing, raw: RawBundle) -> bool {
        let (now, author, tick) = (self.cx.now, missing.author(), missing.position().tick);
        if self.evidence.is_convicted(&author) {
            self.cx.counters.convicted_author += 1;
            self.remind_of_conviction(sender.slot, &author);
            self.is_missing_no_more(topic, missing);
            return false;
        }
        let (Some(kept), Some(window)) = (self.repair.topic(&topic), self.topics.get(&topic)) else {
            return false;
        };
        if !self.cx.admits(kept.rules(), &author) {
            self.cx.counters.not_admitted += 1;
            // Whom an owner does not list now, it may list again.
            let longest = if kept.rules().owner().is_some() { FULL_FOR_NOW } else { LONGEST_REFUSAL };
            let lasts = kept.rules().retention().at_most(longest);
            self.is_refused_for(topic, missing, lasts);
            return false;
        }
        if tick < kept.low() {
            self.is_missing_no_more(topic, missing);
            return false;
        }
        let tick_len = kept.rules().tick_len();
        if tick >= window.first_relayable(now) && window.is_relayable(tick, now) {
            self.is_put_off(topic, missing, LIVE_PATIENCE);
            self.on_repaired_copy(sender, raw);
            return false;
        }
        if tick_len.start_of(tick) > now.unix_ms.saturating_add(millis(RELAY_FUTURE)) {
            self.is_put_off(topic, missing, RELAY_FUTURE);
            return false;
        }
        true
    }

    /// H6: its signature waits among those of the past.
    fn verify_late(&mut self, sender: Sender, bundle: Bundle, below: bool) {
        let bundle = Arc::new(bundle.detached());
        let work = Work::late(&bundle);
        self.asker.late_mut().begins(bundle, sender, below);
        self.late_verifying.add(sender.link, work);
    }

    /// The verdict about the signature of a late bundle.
    pub(in crate::protocol::engine) fn on_late_verdict(
        &mut self,
        link: LinkId,
        topic: TopicId,
        job: &VerifyJob,
        holds: bool,
    ) {
        let Some(late) = self.asker.late().judged(&topic, &job.id, &job.signature) else { return };
        let from = late.from();
        if !holds {
            self.late_never_came(topic, &job.id);
            // Once: what else of it is under way goes with its link.
            if !self.links.get_mut(link).is_some_and(|link| link.is_closing()) {
                self.offence(link, from.peer, Offence::BadSignature);
            }
            return;
        }
        if let Some(link) = self.links.get_mut(from.link) {
            link.vouches();
        }
        self.asker.late_mut().is_genuine(&topic, &job.id);
        self.judge_late(topic, job.id);
    }

    /// A copy was forged, or went with its link: the next candidate is tried.
    pub(in crate::protocol::engine) fn late_never_came(&mut self, topic: TopicId, id: &BundleId) {
        let now = self.cx.now.mono;
        let Some(late) = self.asker.late().get(&topic, id) else { return };
        let (missing, slot) = (late.missing(), late.from().slot);
        if let Some(next) = self.asker.late_mut().is_forged(&topic, id) {
            let (link, work) = (next.from().link, Work::late(next.bundle()));
            return self.late_verifying.add(link, work);
        }
        if let Some(asked) = self.asker.topic_mut(&topic) {
            asked.gaps_mut().is_not_kept(&missing, slot, now);
        }
        self.settle_by_floor(topic, &missing);
        self.asker.stir(topic);
    }

    /// H7: the application's turn, if it wants one. Keys cost nothing, so newcomers share the turn of the peer that brings them.
    fn judge_late(&mut self, topic: TopicId, id: BundleId) {
        let now = self.cx.now.mono;
        let Some(late) = self.asker.late().get(&topic, &id) else { return };
        let (bundle, peer) = (Arc::clone(late.bundle()), late.from().peer);
        let header = *bundle.header();
        let author = header.author;
        if author == self.publisher.signer_in(&topic) {
            self.own_past(topic, &header);
        }
        self.members_hear(&bundle);
        self.lists_hear(&bundle);
        let Some(window) = self.topics.get(&topic) else { return };
        if !window.is_judged() {
            return self.keep_late(topic, id, Show::Now);
        }
        let turn = if window.authors().is_newcomer(&author, now) { peer } else { author };
        self.question_in_turn(turn, Waiting { topic, id, bytes: header.bytes });
    }

    /// The bundle that a validator is asked about, if it is a late one, or one that another version of it has rejected.
    pub(in crate::protocol::engine) fn late_in_question(
        &self,
        topic: &TopicId,
        id: &BundleId,
    ) -> Option<Arc<Bundle>> {
        let rejected = self.rejected_in_question(topic, id);
        if rejected.is_some() {
            return rejected;
        }
        let validating = self.asker.late().is_validating(topic, id);
        self.asker.late().get(topic, id).filter(|_| validating).map(|late| Arc::clone(late.bundle()))
    }

    pub(in crate::protocol::engine) fn on_late_validated(
        &mut self,
        topic: TopicId,
        id: BundleId,
        by: u32,
        verdict: Validation,
    ) {
        if self.rejected_is_judged(topic, id, by, verdict) {
            return;
        }
        match verdict {
            Validation::Accept => self.keep_late(topic, id, Show::Now),
            Validation::Reject => {
                self.cx.counters.validator_rejected += 1;
                self.keep_late(topic, id, Show::Rejected { by });
            }
            Validation::Ignore => {
                self.cx.counters.validator_ignored += 1;
                self.late_is_put_off(topic, id);
            }
        }
    }

    /// It could not be judged now. It stays missing, and is left alone for as long as it has been.
    pub(in crate::protocol::engine) fn late_is_put_off(&mut self, topic: TopicId, id: BundleId) {
        let now = self.cx.now.mono;
        if self.asker.topic_mut(&topic).is_some_and(|asked| asked.rejudge_mut().is_put_off(&id)) {
            return;
        }
        let Some(late) = self.asker.late_mut().ends(&topic, &id) else { return };
        let missing = late.missing();
        let Some(asked) = self.asker.topic_mut(&topic) else { return };
        let wait = asked.gaps().open_for(&missing, now).clamp(SHORTEST_PUT_OFF, LONGEST_PUT_OFF);
        asked.gaps_mut().is_put_off(&missing, now.plus(wait));
        self.asker.stir(topic);
    }

    /// H8: the store claims its position. What is held back is kept at once and shown later.
    pub(in crate::protocol::engine) fn keep_late(&mut self, topic: TopicId, id: BundleId, show: Show) {
        let now = self.cx.now.mono;
        let holds_back =
            self.topics.get(&topic).is_some_and(|window: &Window| window.rules().hold_back().is_some());
        let Some(late) = self.asker.late().get(&topic, &id) else { return };
        let (missing, bytes) = (late.missing(), late.bundle().encoded().len());
        if self.evidence.is_convicted(&missing.author()) {
            self.cx.counters.convicted_author += 1;
            self.asker.late_mut().ends(&topic, &id);
            return self.is_missing_no_more(topic, &missing);
        }
        if !self.repair.has_room(&topic, bytes as u64, &self.cx.config) {
            self.asker.late_mut().ends(&topic, &id);
            return self.has_no_room(topic, &missing);
        }
        let show = if holds_back && show == Show::Now { Show::Held } else { show };
        if !self.repair.waiting().has_room(bytes) {
            return self.asker.late_mut().parks(&topic, &id, show);
        }
        let Some(late) = self.asker.late_mut().is_given(&topic, &id, show) else { return };
        let bundle = Arc::clone(late.bundle());
        let arrival = Arrival::Late { below: late.is_below() };
        self.repair.waiting_mut().gives(topic, bytes, now);
        let keep = Keep { bundle, arrival, show };
        self.cx.actions.push_back(Action::Store(StoreJob::Keep { keep, urgent: false }));
    }

    /// What found no room among what waits for the store is given to it when it has answered.
    fn give_parked(&mut self) {
        while let Some((topic, id, bytes, show)) = self.asker.late_mut().next_parked() {
            if !self.repair.waiting().has_room(bytes) {
                return;
            }
            self.asker.late_mut().unparks();
            self.keep_late(topic, id, show);
        }
    }

    /// The store has answered: what is parked is given to it, and history that was not read for it is read again.
    pub(super) fn store_has_room(&mut self) {
        if self.asker.late().is_parked() {
            self.give_parked();
            self.resume_late();
        }
    }

    /// It has no room in the store: it is not asked for again for a while.
    pub(super) fn has_no_room(&mut self, topic: TopicId, missing: &Missing) {
        self.cx.counters.store_full += 1;
        self.is_refused_for(topic, missing, FULL_FOR_NOW);
    }

    /// It was checked and is nothing to keep. A hole rests in the store.
    pub(super) fn is_refused_for(&mut self, topic: TopicId, missing: &Missing, lasts: Duration) {
        let now = self.cx.now.mono;
        self.asker.refuse(&topic, missing, lasts, now);
        let hole = self.asker.topic_mut(&topic).and_then(|asked| asked.gaps_mut().drop_gap(missing));
        if let Some(hole) = hole {
            let until = self.cx.now.unix_ms.saturating_add(millis(lasts));
            self.cx.actions.push_back(Action::Store(StoreJob::Rest { topic, holes: vec![(hole, until)] }));
        }
        self.asker.stir(topic);
    }

    /// Nobody lacks it any more, whatever it was.
    fn is_missing_no_more(&mut self, topic: TopicId, missing: &Missing) {
        if let Some(asked) = self.asker.topic_mut(&topic) {
            asked.gaps_mut().drop_gap(missing);
        }
        self.asker.stir(topic);
    }

    pub(super) fn is_put_off(&mut self, topic: TopicId, missing: &Missing, wait: Duration) {
        let due: Mono = self.cx.now.mono.plus(wait);
        if let Some(asked) = self.asker.topic_mut(&topic) {
            asked.gaps_mut().is_put_off(missing, due);
        }
        self.asker.stir(topic);
    }

    /// Reads the history again of links of which no longer so many signatures wait.
    pub(in crate::protocol::engine) fn resume_late(&mut self) {
        let late = &self.asker.late();
        let paused =
            self.links.iter().filter(|link| link.is_paused(Pause::History) && late.has_room(link.id()));
        let ids: Vec<_> = paused.map(|link| link.id()).collect();
        for id in ids {
            self.resume(id, Pause::History);
        }
    }
}
