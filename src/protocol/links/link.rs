//! One link: who is at the other end, what it relays, what it may cost, how well it serves; and the table of all links.

mod bills;
mod greeting;
mod pauses;
mod quiet;
mod wanted;

pub(in crate::protocol) use greeting::Greeting;
pub(in crate::protocol) use pauses::Pause;

use crate::protocol::links::service::Service;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::limits::{REFUSALS_BURST, REFUSALS_PER_S, REMIND_EVERY, TRUSTED_AFTER};
use crate::protocol::links::Sender;
use crate::protocol::links::allowance::Allowance;
use crate::protocol::links::budget::Budget;
use crate::protocol::links::clock::PeerClock;
use crate::protocol::links::outbox::Outbox;
use crate::protocol::linkset::Slot;
use crate::protocol::meter::Meter;
use crate::protocol::random::Keyed;
use crate::protocol::time::Mono;
use crate::protocol::{Config, LinkId};
use crate::rumor::TopicId;
use crate::wire::Reason;

/// How far a link has come.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The peer has not said hello.
    Greeting,
    /// Both sides have said hello, then.
    Live { since: Mono },
    /// It has given way to another link to the same peer, and will be closed.
    Yielding { since: Mono },
    /// We have said goodbye.
    Closing { reason: Reason, live_since: Option<Mono> },
}

/// One link.
#[derive(Debug)]
pub(in crate::protocol) struct Link {
    id: LinkId,
    slot: Slot,
    peer: PublicKey,
    dialled: bool,
    /// As a dialler, the peer may use the places kept for those that did not choose us.
    hash_selected: bool,
    /// Among how many nodes that was drawn.
    drawn_among: u32,
    phase: Phase,
    up_since: Mono,
    /// It has taken the place of another.
    replaces: bool,
    /// When it brought its last frame.
    last_frame: Mono,
    /// Topics that the peer relays, whether or not we do. Sorted, at most `MAX_TOPICS_PER_LINK`.
    topics: Vec<TopicId>,
    /// Of those, the ones whose past it keeps and tells. Sorted.
    kept: Vec<TopicId>,
    /// The peer's clock, by its hello.
    clock: PeerClock,
    /// What else that said.
    said: Greeting,
    /// Since when no datagram has come over it, if that is long.
    quiet_since: Option<Mono>,
    budget: Budget,
    /// Of its system lane.
    system: Budget,
    /// Questions about the past that it was refused.
    refusals: Meter,
    /// For the newcomers' bundles that come first over it.
    newcomers: Allowance,
    paused: u8,
    outbox: Outbox,
    rtt: Duration,
    service: Service,
    /// Verified bundles that came first over this link.
    good: u32,
    /// Wanted ids that list this link as a source.
    wanted_from: usize,
    /// The same of each topic that has some; at most as many as we have topics.
    wanted_in: Vec<(TopicId, usize)>,
    /// Topics of ours in which it has announced more than we have noted or got: it is asked again. (At most all that we have.)
    missed: Vec<TopicId>,
    /// A timer will say when it may be asked for more.
    waits_to_pull: bool,
    /// When it was last told of a conviction that it had been told of before.
    reminded_at: Option<Mono>,
    /// When it last sent evidence that held, or that we had.
    evidence_at: Option<Mono>,
    copies_in: u64,
}

impl Link {
    #[expect(clippy::too_many_arguments, reason = "what a link is for good, named by its one caller")]
    pub(in crate::protocol) fn new(
        id: LinkId,
        slot: Slot,
        peer: PublicKey,
        dialled: bool,
        hash_selected: bool,
        now: Mono,
        config: &Config,
        keyed: Keyed,
        members: TopicId,
    ) -> Self {
        Self {
            id,
            slot,
            peer,
            dialled,
            hash_selected,
            drawn_among: config.expected_nodes,
            phase: Phase::Greeting,
            up_since: now,
            replaces: false,
            last_frame: now,
            topics: Vec::new(),
            kept: Vec::new(),
            clock: PeerClock::default(),
            said: Greeting::default(),
            quiet_since: None,
            budget: Budget::new(config),
            system: Budget::of_system(),
            refusals: Meter::new(REFUSALS_PER_S, REFUSALS_BURST),
            newcomers: Allowance::new(),
            paused: 0,
            outbox: Outbox::new(keyed, now, members),
            rtt: Duration::from_millis(100),
            service: Service::default(),
            good: 0,
            wanted_from: 0,
            wanted_in: Vec::new(),
            missed: Vec::new(),
            waits_to_pull: false,
            reminded_at: None,
            evidence_at: None,
            copies_in: 0,
        }
    }

    /// Its name, as the driver has it.
    pub(in crate::protocol) const fn id(&self) -> LinkId {
        self.id
    }

    /// Its place in the table.
    pub(in crate::protocol) const fn slot(&self) -> Slot {
        self.slot
    }

    /// Who is at the other end.
    pub(in crate::protocol) const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// All three, for whatever comes over it.
    pub(in crate::protocol) const fn sender(&self) -> Sender {
        Sender { link: self.id, slot: self.slot, peer: self.peer }
    }

    /// Whether we dialled.
    pub(in crate::protocol) const fn is_dialled(&self) -> bool {
        self.dialled
    }

    /// Whether the peer may use the places kept for diallers that did not choose us.
    pub(in crate::protocol) const fn is_hash_selected(&self) -> bool {
        self.hash_selected
    }

    /// Among how many nodes that was drawn.
    pub(in crate::protocol) const fn drawn_among(&self) -> u32 {
        self.drawn_among
    }

    /// When it came up.
    pub(in crate::protocol) const fn up_since(&self) -> Mono {
        self.up_since
    }

    /// Whether it has taken the place of another.
    pub(in crate::protocol) const fn has_replaced(&self) -> bool {
        self.replaces
    }

    /// It takes the place of another.
    pub(in crate::protocol) const fn replaces_another(&mut self) {
        self.replaces = true;
    }

    /// When it brought its last frame.
    pub(in crate::protocol) const fn last_frame(&self) -> Mono {
        self.last_frame
    }

    /// It brings a frame.
    pub(in crate::protocol) const fn brings_frame(&mut self, now: Mono) {
        self.last_frame = now;
    }

    /// Copies of bundles that it has brought.
    pub(in crate::protocol) const fn copies_in(&self) -> u64 {
        self.copies_in
    }

    /// It brings a copy of a bundle.
    pub(in crate::protocol) const fn brings_copy(&mut self) {
        self.copies_in += 1;
    }

    /// Verified bundles that came first over it.
    pub(in crate::protocol) const fn good(&self) -> u32 {
        self.good
    }

    /// It has brought something genuine that was new.
    pub(in crate::protocol) const fn brings_news(&mut self, now: Mono) {
        self.good = self.good.saturating_add(1);
        self.service.brings(now);
    }

    /// It has brought something genuine of the past, which says nothing about what is new.
    pub(in crate::protocol) const fn vouches(&mut self) {
        self.good = self.good.saturating_add(1);
    }

    /// Round trip.
    pub(in crate::protocol) const fn rtt(&self) -> Duration {
        self.rtt
    }

    /// The transport has measured its round trip.
    pub(in crate::protocol) const fn is_measured(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// How long a pull will take, as far as we know: a link that never served counts as quick as its round trip.
    pub(in crate::protocol) fn expected_delay(&self) -> Duration {
        self.service.delay().unwrap_or(self.rtt)
    }

    /// The peer's clock, by its last hello.
    pub(in crate::protocol) const fn clock(&self) -> &PeerClock {
        &self.clock
    }

    /// The peer tells its clock again.
    pub(in crate::protocol) const fn tells_clock(&mut self, clock: PeerClock) {
        self.clock = clock;
    }

    /// The topics that the peer relays, sorted.
    pub(in crate::protocol) fn topics(&self) -> &[TopicId] {
        &self.topics
    }

    /// The peer joins and leaves topics. Gives those in which something changes, and of `joined` those that it relays already.
    pub(in crate::protocol) fn change_topics(
        &mut self,
        joined: &[TopicId],
        left: impl Iterator<Item = TopicId>,
    ) -> (Vec<TopicId>, Vec<TopicId>) {
        let mut changed: Vec<_> = left.filter(|topic| self.relays_id(topic)).collect();
        self.topics.retain(|topic| !changed.contains(topic));
        self.kept.retain(|topic| !changed.contains(topic));
        let again: Vec<_> = joined.iter().filter(|topic| self.relays_id(topic)).copied().collect();
        changed.extend(joined.iter().filter(|topic| !self.relays_id(topic)));
        self.topics.extend_from_slice(joined);
        self.topics.sort_unstable();
        self.topics.dedup();
        (changed, again)
    }

    /// Whether the peer keeps and tells the past of a topic, and the link is live and stays so.
    #[allow(dead_code, reason = "the half that asks needs it")]
    pub(in crate::protocol) fn keeps(&self, topic: &TopicId) -> bool {
        self.is_in_use() && self.kept.binary_search(topic).is_ok()
    }

    /// Of how many topics it does.
    #[cfg(test)]
    pub(in crate::protocol) const fn keeps_in_all(&self) -> usize {
        self.kept.len()
    }

    /// The peer keeps and tells the past of a topic from now on, or no longer. Of one that it does not relay nothing is remembered.
    pub(in crate::protocol) fn set_keeps(&mut self, topic: TopicId, keeps: bool) {
        match self.kept.binary_search(&topic) {
            Ok(at) if !keeps => drop(self.kept.remove(at)),
            Err(at) if keeps && self.relays_id(&topic) => self.kept.insert(at, topic),
            _ => {}
        }
    }

    /// What waits for it.
    pub(in crate::protocol) const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The same, to put something in or to take what the transport has room for.
    pub(in crate::protocol) const fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// How it serves.
    pub(in crate::protocol) const fn service(&self) -> &Service {
        &self.service
    }

    /// The same, to note what it serves.
    pub(in crate::protocol) const fn service_mut(&mut self) -> &mut Service {
        &mut self.service
    }

    /// For the newcomers' bundles that come first over it.
    pub(in crate::protocol) const fn newcomers_mut(&mut self) -> &mut Allowance {
        &mut self.newcomers
    }

    /// When it last sent evidence that held, or that we had.
    pub(in crate::protocol) const fn evidence_at(&self) -> Option<Mono> {
        self.evidence_at
    }

    /// It sends evidence.
    pub(in crate::protocol) const fn brings_evidence(&mut self, now: Mono) {
        self.evidence_at = Some(now);
    }

    /// Whether it may be told once more of a conviction that it was told of. Then it counts as told now.
    pub(in crate::protocol) fn is_reminded(&mut self, now: Mono) -> bool {
        if self.reminded_at.is_some_and(|at| now.since(at) < REMIND_EVERY) {
            return false;
        }
        self.reminded_at = Some(now);
        true
    }

    /// How many of its signatures may be checked at once, apart from others': one more than have been good, so that a new
    /// identity that sends forgeries makes us check one of them. `None` when they may share batches with others'.
    pub(in crate::protocol) const fn verified_alone(&self) -> Option<usize> {
        if self.good >= TRUSTED_AFTER { None } else { Some(self.good as usize + 1) }
    }

    /// Whether rumors of `topic` go to this link.
    pub(in crate::protocol) fn relays(&self, topic: &TopicId) -> bool {
        self.is_in_use() && self.relays_id(topic)
    }

    /// Whether it is live and stays so.
    pub(in crate::protocol) const fn is_in_use(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    /// Whether both hellos were said, and we have not said goodbye.
    pub(in crate::protocol) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Live { .. } | Phase::Yielding { .. })
    }

    /// Whether both hellos were said, whatever came after.
    pub(in crate::protocol) const fn was_live(&self) -> bool {
        self.live_since().is_some()
    }

    /// Whether it still waits for the peer's hello.
    pub(in crate::protocol) const fn is_greeting(&self) -> bool {
        matches!(self.phase, Phase::Greeting)
    }

    /// Whether it has given way to another link to the same peer.
    pub(in crate::protocol) const fn yields(&self) -> bool {
        matches!(self.phase, Phase::Yielding { .. })
    }

    /// Whether we have said goodbye: nothing that still comes in counts.
    pub(in crate::protocol) const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// When both hellos were said, if they were.
    pub(in crate::protocol) const fn live_since(&self) -> Option<Mono> {
        match self.phase {
            Phase::Greeting => None,
            Phase::Live { since } | Phase::Yielding { since } => Some(since),
            Phase::Closing { live_since, .. } => live_since,
        }
    }

    /// Why we closed it, if we did.
    pub(in crate::protocol) const fn closed_for(&self) -> Option<Reason> {
        match self.phase {
            Phase::Closing { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// The peer has said its hello: what it relays, what its clock shows, and what it is.
    pub(in crate::protocol) fn greeted(
        &mut self,
        mut topics: Vec<TopicId>,
        clock: PeerClock,
        said: Greeting,
        now: Mono,
    ) {
        debug_assert!(self.is_greeting(), "{:?}", self.phase);
        self.phase = Phase::Live { since: now };
        topics.sort_unstable();
        topics.dedup();
        (self.topics, self.clock, self.said) = (topics, clock, said);
    }

    /// Another link to the same peer is live and stays: nothing more is sent here than what waits, and it will be closed.
    pub(in crate::protocol) fn gives_way(&mut self) {
        debug_assert!(self.is_in_use(), "{:?}", self.phase);
        if let Phase::Live { since } = self.phase {
            self.phase = Phase::Yielding { since };
        }
    }

    /// The link that it had given way to is gone.
    pub(in crate::protocol) const fn is_used_again(&mut self) {
        if let Phase::Yielding { since } = self.phase {
            self.phase = Phase::Live { since };
        }
    }

    /// We say goodbye; false if we had.
    pub(in crate::protocol) const fn close(&mut self, reason: Reason) -> bool {
        if self.is_closing() {
            return false;
        }
        self.phase = Phase::Closing { reason, live_since: self.live_since() };
        true
    }

    /// Whether the peer says that it relays `topic`.
    pub(in crate::protocol) fn relays_id(&self, topic: &TopicId) -> bool {
        self.topics.binary_search(topic).is_ok()
    }

    /// Whether it has ever brought anything genuine.
    pub(in crate::protocol) const fn is_proven(&self) -> bool {
        self.good > 0 || self.service.has_served()
    }
}
