//! Kept topics: the store opens them, keeps what is accepted, and forgets what is over. The engine waits for none of it.

use std::sync::Arc;

use crate::key::PublicKey;
use crate::protocol::engine::Engine;
use crate::protocol::keeping::{
    Arrival, Damage, Forget, Forgotten, Keep, KeepOptions, Kept, Opened, Show, StoreAnswer, StoreJob,
    StoreTrouble,
};
use crate::protocol::repair::KeptTopic;
use crate::protocol::timers::Timer;
use crate::protocol::{Action, Event, Impairment, PublishError};
use crate::rumor::{Bundle, Evidence, Position, Previous, RuleSet, SignedHeader, TopicId};

impl Engine {
    pub(super) fn on_store(&mut self, answer: StoreAnswer) {
        match answer {
            StoreAnswer::Started { evidence, damage } => self.on_store_started(evidence, damage),
            StoreAnswer::Opened { topic, opened } => self.on_opened(topic, opened.map(|opened| *opened)),
            StoreAnswer::Kept { keep, kept } => self.on_kept(&keep, kept),
            StoreAnswer::Forgot { topic, what, left } => self.on_forgot(topic, what, left),
            StoreAnswer::Fails(why) => self.keeping_fails(&why),
            StoreAnswer::Works => self.keeping_works(),
            StoreAnswer::Looked { look, found } => self.on_looked(look, found),
        }
    }

    /// The store has started. If it had been started before, it has lost its place: topics are opened anew, and what waited is unknown.
    fn on_store_started(&mut self, evidence: Vec<Evidence>, damage: Option<Damage>) {
        if let Some(damage) = damage {
            let Damage { moved_to, saved, bad, unreadable } = damage;
            self.event(Event::StoreDamaged { moved_to, saved, bad, unreadable });
        }
        for proof in evidence {
            // It was verified before it was kept, and its record has a checksum.
            self.convict(proof, None);
        }
        self.repair.waiting_mut().is_void();
        self.looks_are_lost();
        for (position, requests) in self.publisher.take_all_unkept() {
            for publish_id in requests {
                let result = Err(PublishError::NotStored(position));
                self.cx.actions.push_back(Action::Published { publish_id, result });
            }
        }
        let topics: Vec<_> = self.repair.topics().map(|(topic, _)| *topic).collect();
        for topic in topics {
            if let Some(kept) = self.repair.topic_mut(&topic) {
                kept.reopens();
            }
            self.ask_to_open(&topic);
        }
    }

    /// A topic is joined that is kept. Nothing of it is told before the store has said what it holds.
    pub(super) fn begin_keeping(&mut self, rules: &Arc<RuleSet>, options: KeepOptions) {
        let topic = rules.id();
        if let Some(kept) = self.repair.topic_mut(&topic) {
            // What that changes the store is told with what else has changed.
            kept.set_options(options);
            return;
        }
        self.repair.enter(topic, KeptTopic::new(Arc::clone(rules), options, self.cx.now.mono));
        self.ask_to_open(&topic);
    }

    fn ask_to_open(&mut self, topic: &TopicId) {
        let Some(kept) = self.repair.topic(topic) else { return };
        let keeping = self.repair.keeping(kept, &self.cx.config.history, self.cx.now);
        let rules = Arc::clone(kept.rules());
        if let Some(kept) = self.repair.topic_mut(topic) {
            kept.asks(&keeping);
        }
        self.cx.actions.push_back(Action::Store(StoreJob::Open { rules, keeping }));
    }

    fn on_opened(&mut self, topic: TopicId, opened: Result<Opened, StoreTrouble>) {
        let now = self.cx.now;
        if let Ok(opened) = &opened {
            self.take_heads(&topic, opened);
        }
        let Some(kept) = self.repair.topic_mut(&topic) else { return };
        if !kept.is_opening() {
            return self.on_opened_anew(topic, &opened);
        }
        match opened {
            Ok(opened) => {
                kept.opened(&opened);
                let rules = Arc::clone(kept.rules());
                if let Some(floor) = opened.floor_was {
                    let ahead = kept.rules().tick_len().start_of(floor).saturating_sub(now.unix_ms);
                    self.event(Event::ClockBehind { behind_ms: ahead });
                }
                self.take_up(topic, &opened);
                self.forget_convicted(topic, &opened);
                self.begin_asking(&rules);
                self.hold_late(topic, &opened);
                self.judges_again(topic, &opened);
                self.read_members(&topic, None);
                self.read_list(&topic);
                self.store_works();
            }
            Err(why) => {
                kept.failed(now.mono);
                self.store_fails(&why);
                self.list_is_told(&topic);
            }
        }
        self.tell_entered(topic);
        self.publisher.wake(topic);
    }

    /// A topic that is open was to be opened anew. If that has failed it is tried again, in the pauses of a store that fails.
    fn on_opened_anew(&mut self, topic: TopicId, opened: &Result<Opened, StoreTrouble>) {
        let Some(kept) = self.repair.topic_mut(&topic) else { return };
        match opened {
            Ok(opened) => {
                kept.is_told();
                self.hold_late(topic, opened);
                self.judges_again(topic, opened);
                self.store_works();
            }
            Err(why) => {
                kept.failed(self.cx.now.mono);
                self.store_fails(why);
            }
        }
    }

    /// What the store holds of the last minutes is known as if it had never been forgotten, and own rumors go on where they ended.
    fn take_up(&mut self, topic: TopicId, opened: &Opened) {
        let now = self.cx.now;
        if let Some((id, position)) = opened.own {
            self.publisher.goes_on_after(topic, Previous { id, position }, now.mono);
        }
        let Some(window) = self.topics.get_mut(&topic) else { return };
        for signed in &opened.recent {
            window.restore(signed, now, &self.cx.config);
        }
        let Some(delay) = window.rules().hold_back() else { return };
        let until = now.mono.plus(delay);
        for bundle in &opened.held {
            if window.hold_restored(bundle, until, now.mono, &self.cx.config) {
                self.cx.timers.set(until, Timer::HoldBackOver { topic, id: bundle.id() });
            }
        }
    }

    /// What the store says of the heads of a topic, at first or anew.
    fn take_heads(&mut self, topic: &TopicId, opened: &Opened) {
        let most = self.repair.room_for_heads(topic, &self.cx.config.history);
        let evidence = &self.evidence;
        if let Some(kept) = self.repair.topic_mut(topic) {
            kept.book_mut().set_most(most);
            kept.book_mut().opened(opened, self.cx.now.unix_ms, |author| evidence.is_convicted(author));
        }
    }

    /// Gives an accepted bundle to the store, if its topic is kept and there is room for it. Gives whether it did.
    pub(super) fn keep(&mut self, bundle: &Arc<Bundle>, arrival: Arrival, show: Show) -> bool {
        let (topic, bytes) = (bundle.header().topic, bundle.encoded().len());
        let now = self.cx.now.mono;
        if self.repair.topic(&topic).is_none() {
            return false;
        }
        let own = arrival == Arrival::Own;
        if !own && !self.repair.waiting().has_room(bytes) {
            // A slow disk pauses no link: peers bring it again.
            self.cx.counters.not_kept += 1;
            return false;
        }
        if !own && !self.repair.has_room(&topic, bytes as u64, &self.cx.config) {
            self.cx.counters.store_full += 1;
            self.impair(Impairment::StoreFull, None);
            return false;
        }
        self.repair.waiting_mut().gives(topic, bytes, now);
        let urgent = self.publisher.is_awaited(&bundle.id());
        let keep = Keep { bundle: Arc::clone(bundle), arrival, show };
        self.cx.actions.push_back(Action::Store(StoreJob::Keep { keep, urgent }));
        true
    }

    /// Which version of the local judge is asked about a topic.
    pub(super) fn judged_by(&self, topic: &TopicId) -> u32 {
        self.repair.topic(topic).map_or(0, KeptTopic::judged_by)
    }

    /// What the local judge rejects is kept and not shown: each node judges for itself, so what nodes hold does not depend on it.
    pub(super) fn keep_rejected(&mut self, bundle: &Arc<Bundle>, by: u32) {
        self.keep(bundle, Arrival::Live, Show::Rejected { by });
    }

    fn on_kept(&mut self, keep: &Keep, kept: Result<Kept, StoreTrouble>) {
        let (header, bytes) = (*keep.bundle.header(), keep.bundle.encoded().len());
        self.repair.waiting_mut().answered(&header.topic, bytes, self.cx.now.mono);
        self.recover(Impairment::StoreSlow);
        self.repair_hears(keep, kept.as_ref());
        let stored = matches!(kept, Ok(Kept::New { .. } | Kept::Have));
        self.answer_unkept(&keep.bundle, stored);
        let kept = match kept {
            Ok(kept) => kept,
            Err(why) => {
                self.cx.counters.not_kept += 1;
                return self.keeping_fails(&why);
            }
        };
        self.keeping_works();
        if matches!(kept, Kept::New { .. } | Kept::Full) {
            // Not only once a second: who publishes may be waiting for the room.
            self.make_room();
        }
        match kept {
            Kept::New { ref killed, forks, .. } => {
                self.cx.counters.kept += 1;
                if forks && keep.arrival == Arrival::Live {
                    self.tell_fork(&header);
                }
                let convicted = self.evidence.is_convicted(&header.author);
                if let Some(topic) = self.repair.topic_mut(&header.topic) {
                    topic.gained(&header, bytes as u64);
                    topic.lost(killed);
                    if !convicted {
                        topic.book_mut().kept(&header, keep.bundle.id(), &kept);
                    }
                }
            }
            Kept::Have => {}
            Kept::Conflict(other) => self.convict_by_store(keep.bundle.signed_header(), &other),
            Kept::Full => {
                self.cx.counters.store_full += 1;
                self.impair(Impairment::StoreFull, None);
            }
            Kept::Below | Kept::Dead { .. } | Kept::NotOpen => self.cx.counters.not_kept += 1,
        }
    }

    /// Requests that waited until their bundle is kept are answered.
    fn answer_unkept(&mut self, bundle: &Arc<Bundle>, stored: bool) {
        let requests = self.publisher.take_unkept(&bundle.id());
        for (publish_id, rumor) in requests.into_iter().zip(bundle.rumors()) {
            let Some(publish_id) = publish_id else { continue };
            let result = if stored { Ok(rumor) } else { Err(PublishError::NotStored(rumor.position())) };
            self.cx.actions.push_back(Action::Published { publish_id, result });
        }
    }

    /// The store holds another bundle of the author at the same position. Its signature held when it came; it has been on a disk since,
    /// so it is asked once more.
    fn convict_by_store(&mut self, signed: &SignedHeader, other: &SignedHeader) {
        self.cx.counters.conflicts += 1;
        let Ok(evidence) = Evidence::new(*other, *signed) else { return };
        if !self.evidence.is_convicted(&evidence.author()) && crate::verify::evidence(&evidence).is_ok() {
            self.convict(evidence, None);
        }
    }

    pub(super) fn store_fails(&mut self, why: &StoreTrouble) {
        // A store that starts anew says so itself.
        if !matches!(why, StoreTrouble::Damaged) {
            self.impair(Impairment::StoreFailing, None);
        }
    }

    /// It does what else it is asked for. Whether it keeps anything it says when it is given something to keep.
    pub(super) fn store_works(&mut self) {
        if self.repair.waiting().refusal().is_none() {
            self.recover(Impairment::StoreFailing);
        }
    }

    /// Nothing is kept now: own rumors that are to be kept are refused before they are sealed, and nothing is fetched.
    fn keeping_fails(&mut self, why: &StoreTrouble) {
        self.repair.waiting_mut().is_refused(why);
        self.store_fails(why);
    }

    fn keeping_works(&mut self) {
        if self.repair.waiting_mut().is_taken() {
            // What is missing is fetched again.
            self.asker.stir_all();
        }
        self.recover(Impairment::StoreFailing);
    }

    fn on_forgot(&mut self, topic: TopicId, what: Forget, left: Result<Forgotten, StoreTrouble>) {
        let Some(kept) = self.repair.topic_mut(&topic) else {
            return self.left_topic_forgot(topic, what, left);
        };
        let goes_on = kept.removed(what, left.as_ref().ok().copied(), self.cx.now.mono);
        if matches!(what, Forget::Rotten(..)) {
            // What it named is a head again, and it may be a hole: the store has counted again.
            kept.book_mut().is_doubted();
            self.looks_for_holes(topic);
        }
        if left.is_ok() {
            self.store_works();
        }
        match left {
            Ok(_) if goes_on => self.forget(topic, what),
            // The rest in its turn.
            Ok(left) if left.more => {}
            Ok(_) if self.repair.overfull(&self.cx.config.history).is_empty() => {
                self.recover(Impairment::StoreFull);
            }
            Ok(_) => {}
            Err(why) => self.store_fails(&why),
        }
    }

    /// Gives the store a step of removing, unless one is under way.
    fn forget(&mut self, topic: TopicId, what: Forget) {
        let now = self.cx.now.mono;
        if self.repair.topic_mut(&topic).is_some_and(|kept| kept.removes(what, now)) {
            self.cx.actions.push_back(Action::Store(StoreJob::Forget { topic, what }));
        }
    }

    /// Once a second: heads that are over go, and topics share the room that there is. The store says again what it has where it may have
    /// lost something, and is told again what has changed for it.
    pub(super) fn check_heads(&mut self) {
        let now = self.cx.now;
        self.repair.topics_mut().for_each(|(_, kept)| kept.heads_expire(now));
        let anew = self.repair.open_anew(&self.cx.config.history, now);
        anew.iter().for_each(|topic| self.ask_to_open(topic));
        self.repair.share_heads(&self.cx.config.history);
    }

    /// Topics that hold more than they may lose their oldest ticks.
    fn make_room(&mut self) {
        for (topic, bytes) in self.repair.overfull(&self.cx.config.history) {
            self.forget(topic, Forget::DownTo(bytes));
        }
    }

    /// Once a second: what is over goes, topics that could not be opened are tried again, and a slow store is told.
    pub(super) fn check_store(&mut self) {
        let now = self.cx.now;
        if self.repair.waiting().is_slow(now.mono) {
            self.impair(Impairment::StoreSlow, None);
        }
        let confirmed = self.condition.clock().is_confirmed();
        let alone = self.live_links() == 0;
        let (mut over, mut again) = (Vec::new(), Vec::new());
        for (topic, kept) in self.repair.topics_mut() {
            kept.earns_removal();
            if kept.opens_again(now.mono) {
                again.push(*topic);
            }
            if !confirmed || (alone && kept.is_stale(now)) {
                kept.rests_on_floor();
            } else if let Some(below) = kept.expires(now).filter(|_| kept.is_open()) {
                over.push((*topic, Forget::Below(below)));
            }
        }
        again.iter().for_each(|topic| self.ask_to_open(topic));
        self.look_for_what_is_over();
        self.make_room();
        over.extend(self.dead());
        self.remove_at_a_pace(over);
    }

    /// Gives the store steps of removing what is over, as many as there may be at a time.
    fn remove_at_a_pace(&mut self, over: Vec<(TopicId, Forget)>) {
        self.repair.left_mut().earns();
        let left = self.over_of_left().map(|(topic, _)| topic);
        let waiting = over.iter().map(|(topic, _)| *topic).chain(left);
        let shared = self.repair.shared_step_mut().take(waiting, self.cx.now.mono);
        for (topic, what) in over {
            let is_shared = shared == Some(topic);
            if self.repair.topic_mut(&topic).is_some_and(|kept| kept.pays_removal(is_shared)) {
                self.forget(topic, what);
            }
        }
        self.remove_what_was_left(left.is_some() && shared == left);
    }

    /// A convicted author: its proof is kept, and what was held back of it is never shown.
    pub(super) fn conviction_is_kept(&mut self, evidence: &Evidence) {
        let author: PublicKey = evidence.author();
        self.repair.topics_mut().for_each(|(_, kept)| kept.book_mut().silence(&author));
        let open: Vec<_> =
            self.repair.topics().filter(|(_, kept)| kept.is_open()).map(|(id, _)| *id).collect();
        if open.is_empty() {
            return;
        }
        self.cx.actions.push_back(Action::Store(StoreJob::Remember(Box::new(*evidence))));
        for topic in open {
            if self.repair.topic(&topic).is_some_and(|kept| kept.rules().kind().is_state()) {
                self.forget_author(topic, author);
                continue;
            }
            let holds_back = self.repair.topic(&topic).is_some_and(|kept| kept.rules().hold_back().is_some());
            if holds_back {
                let what = Forget::Held(author);
                self.cx.actions.push_back(Action::Store(StoreJob::Forget { topic, what }));
            }
        }
    }

    /// What was held back is shown from now on.
    pub(super) fn show_released(&mut self, topic: TopicId, author: PublicKey, position: Position) {
        if self.repair.topic(&topic).is_some() {
            let at = vec![(author, position)];
            self.cx.actions.push_back(Action::Store(StoreJob::Release { topic, at }));
        }
    }

    /// Why a bundle of our own could not be kept, before it is sealed.
    pub(super) fn refuses_to_keep(&self, topic: &TopicId, bytes: usize) -> Option<PublishError> {
        let kept = self.repair.topic(topic)?;
        if !self.repair.has_room(topic, bytes as u64, &self.cx.config) {
            return Some(PublishError::StoreFull);
        }
        let closed = (!kept.is_open()).then_some(&StoreTrouble::NotOpen);
        let why = self.repair.waiting().refusal().or(closed)?;
        Some(PublishError::Store(why.to_string()))
    }
}
