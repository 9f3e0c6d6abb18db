//! The engine itself: its state, its three calls, and which room handles what.

mod accept;
mod admission;
mod author_prices;
mod catching_up;
#[cfg(any(test, feature = "sim"))]
mod check;
mod clock;
mod debts;
mod dialling;
mod duplicates;
mod frames;
mod guests;
mod health;
mod history;
mod intake;
mod joining;
mod keeping;
mod left;
mod lifecycle;
mod members;
mod owned;
mod passing;
mod pausing;
mod places;
mod presence;
mod publishing;
mod pulls;
mod quiet;
mod reading;
mod records;
mod repair;
mod serving;
mod silence;
mod spread;
mod state;
mod together;
mod unserved;
mod verification;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::spread::Redundancy;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::admission::Admission;
use crate::protocol::census::Census;
use crate::protocol::condition::Condition;
use crate::protocol::context::{Cx, Reach};
use crate::protocol::evidence::EvidencePool;
use crate::protocol::guests::Guests;
use crate::protocol::links::bans::Bans;
use crate::protocol::links::{CatchUpTurns, Links, Pause};
use crate::protocol::linkset::LinkSet;
use crate::protocol::members::Members;
use crate::protocol::owned::Owned;
use crate::protocol::publisher::{Publisher, Request};
use crate::protocol::pulls::Wants;
use crate::protocol::random::{Keyed, Random};
use crate::protocol::repair::Repair;
use crate::protocol::repair::asker::{Asker, Due};
use crate::protocol::timers::{Timer, Timers};
use crate::protocol::topics::left::Left;
use crate::protocol::topics::window::Window;
use crate::protocol::verification::questions::Questions;
use crate::protocol::verification::queue::VerifyQueue;
use crate::protocol::{Action, Config, Counters, Event, Input, Mono, Now, PublishError, UsedPositions};
use crate::rumor::{NetworkId, RuleSet, TopicId, members_topic};
pub use repair::RepairProgress;

/// How often bodies and generations are looked at for expiry.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// The cycle also closes links that stall, so it must come round, and not all the time, whatever the configuration says.
const SHORTEST_CYCLE: Duration = Duration::from_millis(10);
const LONGEST_CYCLE: Duration = Duration::from_secs(10);

/// What an engine is made from.
#[derive(Debug)]
pub struct Setup {
    /// The network that all its links and topics belong to.
    pub network: NetworkId,
    /// Its node key, public half.
    pub node: PublicKey,
    /// The key that signs what it publishes.
    pub author: SecretKey,
    /// What is known about earlier use of the author key.
    pub position_log: UsedPositions,
    /// Decides every random choice. Secret and fresh in production, or peers could predict whom we tell first.
    pub seed: [u8; 32],
    /// Everything that an operator may choose.
    pub config: Config,
}

/// A node without its I/O. See the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Engine {
    cx: Cx,
    links: Links,
    bans: Bans,
    guests: Guests,
    census: Census,
    topics: BTreeMap<TopicId, Window>,
    left: Left,
    verifying: VerifyQueue,
    /// Signatures of what is said of members: before all others.
    system_verifying: VerifyQueue,
    questions: Questions,
    wants: Wants,
    redundancy: Redundancy,
    catch_ups: CatchUpTurns,
    evidence: EvidencePool,
    publisher: Publisher,
    condition: Condition,
    repair: Repair,
    asker: Asker,
    /// Signatures of what repair brings.
    late_verifying: VerifyQueue,
    /// Where both wait, the next batch is one of those.
    late_is_next: bool,
    /// Who is here, if this node is a member.
    members: Option<Members>,
    /// It is shut down: nothing is published any more, and no link comes up.
    closed: bool,
}

impl Engine {
    /// A node at `now`, without links or topics.
    #[must_use]
    pub fn new(mut setup: Setup, now: Now) -> Self {
        // It may change while the node runs, and nothing else reads it.
        let allowed = setup.config.allow.take();
        let mut random = Random::new(&setup.seed);
        let keyed = Keyed::new(&mut random);
        let mut timers = Timers::default();
        timers.set(now.mono.plus(EXPIRE_EVERY), Timer::SomethingExpires);
        timers.set(now.mono.plus(setup.config.pulls.repair_every), Timer::CycleDue);
        Self {
            links: Links::new(),
            bans: Bans::new(keyed),
            guests: Guests::default(),
            census: Census::new(setup.config.expected_nodes.min(places::LEAST_DRAWN)),
            topics: BTreeMap::new(),
            left: Left::new(keyed),
            verifying: VerifyQueue::new(keyed),
            system_verifying: VerifyQueue::of_system(keyed),
            questions: Questions::new(keyed),
            wants: Wants::new(keyed),
            redundancy: Redundancy::default(),
            catch_ups: CatchUpTurns::default(),
            evidence: EvidencePool::new(keyed),
            publisher: Publisher::new(setup.author, setup.position_log, now, keyed),
            condition: Condition::new(now),
            repair: Repair::default(),
            asker: Asker::new(keyed),
            late_verifying: VerifyQueue::of_the_past(keyed),
            late_is_next: false,
            members: None,
            closed: false,
            cx: Cx {
                network: setup.network,
                members: members_topic(setup.network).id(),
                node: setup.node,
                now,
                owned: Owned::default(),
                admission: Admission::new(setup.node, allowed),
                config: setup.config,
                reach: Reach::default(),
                random,
                keyed,
                timers,
                counters: Counters::default(),
                actions: VecDeque::new(),
                dirty: LinkSet::default(),
                topology: 0,
            },
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.notice_absence(now);
        self.members_notice(now);
        self.cx.now = Now { mono: self.cx.now.mono.max(now.mono), unix_ms: now.unix_ms };
        if self.condition.clock_mut().jumps(self.cx.now) {
            self.check_clock();
        }
        self.run_timers();
        match input {
            Input::LinkUp { link, peer, dialled, remote } => self.on_link_up(link, peer, dialled, remote),
            Input::LinkDown { link, offence, why } => self.on_link_down(link, offence, why),
            Input::Frame { link, lane, payload } => self.on_frame(link, lane, payload),
            Input::Written { link, lane, bytes } => {
                let now = self.cx.now.mono;
                if let Some(link) = self.links.get_mut(link) {
                    link.outbox_mut().written(lane, bytes, now);
                    self.cx.dirty.insert(link.slot());
                    self.publisher.room_was_made();
                }
            }
            Input::RoundTrip { link, rtt } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.is_measured(rtt);
                }
            }
            Input::Silent { link, silence } => self.on_silent(link, silence),
            Input::Heard { link } => self.on_heard(link),
            Input::Verdicts { batch, verdicts } => self.on_verdicts(batch, &verdicts),
            Input::Validated { question, verdict } => self.on_validated(question, verdict),
            Input::Publish { topic, body, publish_id, kept } => {
                self.on_publish(topic, Request { publish_id, body, kept, follow: 0 }, false);
            }
            Input::PublishTogether { topic, rumors, kept } => self.on_publish_together(topic, rumors, kept),
            Input::TryPublish { topic, body, publish_id } => {
                self.on_publish(topic, Request { publish_id, body, kept: false, follow: 0 }, true);
            }
            Input::Withdraw { topic, publish_id } => {
                self.withdraw(topic, publish_id, PublishError::WouldWait)
            }
            Input::Join { rules, deliver, validate, keep } => self.on_join(rules, deliver, validate, keep),
            Input::Read { topic } => self.on_read(topic),
            Input::Undelivered { topic, id } => self.on_undelivered(topic, &id),
            Input::StopReading { topic } => self.on_stop_reading(topic),
            // (The topic of members is no application's, and a list goes with its topic.)
            Input::Leave { topic } if self.cx.is_system(&topic) || self.cx.owned.is_list(&topic) => {}
            Input::Leave { topic } => self.on_leave(topic),
            Input::Recorded { from_ms, until_ms } => self.on_recorded(from_ms, until_ms),
            Input::RecordFailed { why } => self.on_record_failed(why),
            Input::Impaired { what, holds: true } => self.impair(what, None),
            Input::Impaired { what, holds: false } => self.recover(what),
            Input::Store(answer) => self.on_store(answer),
            Input::Admission(change) => self.on_admission(change),
            Input::Describe { metadata } => self.on_describe(metadata),
            Input::Advertise { addresses } => self.on_advertise(addresses),
            Input::LeaveNetwork => self.on_leave_network(),
            Input::Shutdown => self.on_shutdown(),
            Input::Tick => {}
        }
        self.ask_freed();
        self.repair_goes_on();
        self.serve_history();
        self.check_presence();
        self.members_go_on();
    }

    /// The next thing to do, or `None` when there is nothing more before the next input or deadline.
    #[must_use = "an action that is not carried out is lost"]
    pub fn poll(&mut self) -> Option<Action> {
        loop {
            if self.cx.actions.is_empty() {
                self.seal_waiting();
                self.end_tries();
                self.dispatch_verification();
                self.flush();
            }
            let action = self.cx.actions.pop_front()?;
            if let Some(action) = self.unless_own_record(action) {
                return Some(action);
            }
        }
    }

    /// When to call [`Engine::handle`] again at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.cx.timers.next()
    }

    fn run_timers(&mut self) {
        while let Some(timer) = self.cx.timers.pop_due(self.cx.now.mono) {
            match timer {
                Timer::CycleDue => {
                    self.check_links();
                    self.repair_cycle();
                    // Up to a tenth of jitter, so that the nodes of a network do not all talk at once.
                    let every = self.cx.config.pulls.repair_every.clamp(SHORTEST_CYCLE, LONGEST_CYCLE);
                    let jitter = (every / 10).mul_f64((self.cx.random.below(1000) as f64) / 1000.0);
                    self.cx.timers.set(self.cx.now.mono.plus(every).plus(jitter), Timer::CycleDue);
                }
                Timer::SomethingExpires => {
                    self.expire();
                    self.forget_other_process();
                    self.cx.timers.set(self.cx.now.mono.plus(EXPIRE_EVERY), Timer::SomethingExpires);
                }
                Timer::AnnouncementsDue(link) => {
                    if let Some(slot) = self.links.slot_of(link) {
                        self.cx.dirty.insert(slot);
                    }
                }
                Timer::BudgetRefilled(link) => self.check_bill(link, Pause::Budget, true),
                Timer::SystemRefilled(link) => self.check_bill(link, Pause::System, true),
                Timer::RefusalsOver(link) => self.check_bill(link, Pause::Refusals, true),
                Timer::CatchUpDue => self.on_catch_up_due(),
                Timer::PullOverdue { wanted, slot, asked } => self.on_pull_overdue(wanted, slot, asked),
                Timer::PullsAllowed(link) => self.on_pulls_allowed(link),
                Timer::RestOver(wanted) => self.ask(wanted),
                Timer::HoldBackOver { topic, id } => self.on_hold_back_over(topic, id),
                Timer::ValidatorOverdue(question) => self.on_validator_overdue(question),
                // Sealing is tried at the next poll.
                Timer::SlotsFree(topic) => self.publisher.wake(topic),
                Timer::ExpulsionOver => self.on_expulsion_over(),
                Timer::LinkSettled(link) => self.on_link_settled(link),
                Timer::GuestOver(link) => self.on_guest_over(link),
                // What waits is looked at after each input.
                Timer::HistoryDue | Timer::MembersDue => {}
                Timer::TurnDue(topic) => self.on_repair_due(topic, Due::Turn),
                Timer::HoleDue(topic) => self.on_repair_due(topic, Due::Hole),
                Timer::HintDue(topic) => self.on_repair_due(topic, Due::Hint),
                Timer::AnswerOverdue { topic, slot, number } => self.on_answer_overdue(topic, slot, number),
                Timer::PageOverdue(link) => self.on_page_overdue(link),
            }
        }
    }

    fn expire(&mut self) {
        self.check_clock();
        // By a clock that links call wrong, peers would only begin to doubt theirs.
        if !self.condition.health().has(crate::protocol::Impairment::Clock)
            && self.condition.clock_mut().is_to_be_told()
        {
            self.tell_clock();
        }
        self.check_hearing();
        self.read_the_admitted();
        self.begin_anew();
        self.check_record();
        self.check_store();
        self.check_heads();
        self.check_repair();
        self.check_silence();
        self.count_nodes();
        self.adapt_history();
        let now = self.cx.now;
        let mut forgotten = Vec::new();
        self.left.expire(now);
        for (topic, window) in &mut self.topics {
            forgotten.extend(window.expire(now).into_iter().map(|id| (*topic, id)));
        }
        for wanted in forgotten {
            self.drop_want(&wanted);
        }
        self.pay_debts();
        self.check_validators();
        self.wants.shrink();
        self.cx.timers.shrink();
    }

    fn on_shutdown(&mut self) {
        self.closed = true;
        self.fail_all_publishes(&PublishError::Closed);
        let all: Vec<_> = self.links.iter().map(|link| link.id()).collect();
        for link in all {
            self.close(link, crate::wire::Reason::Shutdown);
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.cx.event(event);
    }

    /// Whether a handshake with this key is worth finishing. Also checked when the link is up.
    #[must_use]
    pub fn would_refuse(&self, peer: &PublicKey) -> Option<crate::wire::Reason> {
        self.refusal(peer, true).filter(|why| !self.may_be_guest(peer, *why))
    }

    /// Why this node would refuse a link to `peer` that it dials now: then it need not dial.
    #[must_use]
    pub fn would_refuse_dial(&self, peer: &PublicKey) -> Option<crate::wire::Reason> {
        self.refusal(peer, false)
    }

    /// The rules of a joined topic.
    #[must_use]
    pub fn rules(&self, topic: &TopicId) -> Option<&Arc<RuleSet>> {
        self.topics.get(topic).map(Window::rules)
    }

    /// Links that relay `topic`, both hellos said.
    #[must_use]
    pub fn links_of(&self, topic: &TopicId) -> usize {
        self.links.iter().filter(|link| link.relays(topic)).count()
    }

    /// Links on which both hellos were said, one for each peer.
    #[must_use]
    pub fn live_links(&self) -> usize {
        self.links.iter().filter(|link| link.is_in_use()).count()
    }

    /// Changes whenever [`Engine::live_links`] or [`Engine::links_of`] may have changed.
    #[must_use]
    pub const fn topology(&self) -> u64 {
        self.cx.topology
    }

    /// How many topics it relays, but for the library's own.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.keys().filter(|topic| !self.cx.is_system(topic)).count()
    }

    /// The node key at the other end of a link.
    #[must_use]
    pub fn peer_of(&self, link: crate::protocol::LinkId) -> Option<PublicKey> {
        self.links.slot_of(link).and_then(|slot| self.links.at(slot)).map(|link| link.peer())
    }

    /// Whether a link still waits for the peer's hello, so that its end now means that the peer refused it.
    #[must_use]
    pub fn is_greeting(&self, link: crate::protocol::LinkId) -> bool {
        let link = self.links.slot_of(link).and_then(|slot| self.links.at(slot));
        link.is_some_and(crate::protocol::links::Link::is_greeting)
    }

    /// When a peer last brought something genuine that was new, if one ever has. Long ago while others speak means that all
    /// our links lead to liars, or to nodes that are cut off as well: dial somebody else.
    #[must_use]
    pub const fn heard_at(&self) -> Option<Mono> {
        self.condition.presence().heard_at()
    }

    /// Whether a link has ever brought anything genuine. One that has not may lead to a liar, or to a quiet network.
    #[must_use]
    pub fn is_proven(&self, link: crate::protocol::LinkId) -> bool {
        let link = self.links.slot_of(link).and_then(|slot| self.links.at(slot));
        link.is_some_and(crate::protocol::links::Link::is_proven)
    }

    /// Whether a lane of a link is to be read now: it may have been paused by a frame whose action is still to be polled. What has come
    /// in on one that is not should wait in order.
    #[must_use]
    pub fn is_read(&self, link: crate::protocol::LinkId, lane: crate::wire::Lane) -> bool {
        let link = self.links.slot_of(link).and_then(|slot| self.links.at(slot));
        link.is_none_or(|link| !link.is_paused_on(lane))
    }
}

#[cfg(test)]
mod tests;
