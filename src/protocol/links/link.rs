//! One link: who is at the other end, what it relays, what it may cost, how well it serves; and the table of all links.

use crate::protocol::links::service::Service;
use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::limits::TRUSTED_AFTER;
use crate::protocol::links::allowance::Allowance;
use crate::protocol::links::budget::Budget;
use crate::protocol::links::clock::PeerClock;
use crate::protocol::links::outbox::Outbox;
use crate::protocol::linkset::Slot;
use crate::protocol::random::Keyed;
use crate::protocol::time::Mono;
use crate::protocol::total::Total as _;
use crate::protocol::{Config, LinkId};
use crate::rumor::TopicId;
use crate::wire::Reason;

/// Why we do not read from a link. It is read again when no reason is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Pause {
    Budget = 1,
    Verification = 2,
}

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
    pub(in crate::protocol) id: LinkId,
    pub(in crate::protocol) slot: Slot,
    pub(in crate::protocol) peer: PublicKey,
    pub(in crate::protocol) dialled: bool,
    /// As a dialler, the peer may use the places kept for those that did not choose us.
    pub(in crate::protocol) hash_selected: bool,
    phase: Phase,
    pub(in crate::protocol) up_since: Mono,
    /// It has taken the place of another.
    pub(in crate::protocol) replaces: bool,
    /// When it brought its last frame.
    pub(in crate::protocol) last_frame: Mono,
    /// Topics that the peer relays, whether or not we do. Sorted, at most `MAX_TOPICS_PER_LINK`.
    pub(in crate::protocol) topics: Vec<TopicId>,
    /// The peer's clock, by its hello.
    pub(in crate::protocol) clock: PeerClock,
    pub(in crate::protocol) budget: Budget,
    /// For the newcomers' bundles that come first over it.
    pub(in crate::protocol) newcomers: Allowance,
    paused: u8,
    pub(in crate::protocol) outbox: Outbox,
    pub(in crate::protocol) rtt: Duration,
    pub(in crate::protocol) service: Service,
    /// Verified bundles that came first over this link.
    pub(in crate::protocol) good: u32,
    /// Wanted ids that list this link as a source.
    pub(in crate::protocol) wanted_from: usize,
    /// The same of each topic that has some; at most as many as we have topics.
    wanted_in: Vec<(TopicId, usize)>,
    /// Topics of ours in which it has announced more than we have noted or got: it will be asked to say it again. (At
    /// most as many as we have topics.)
    pub(in crate::protocol) missed: Vec<TopicId>,
    /// A timer will say when it may be asked for more.
    pub(in crate::protocol) waits_to_pull: bool,
    /// When it was last told of a conviction that it had been told of before.
    pub(in crate::protocol) reminded_at: Option<Mono>,
    /// When it last sent evidence that held, or that we had.
    pub(in crate::protocol) evidence_at: Option<Mono>,
    pub(in crate::protocol) copies_in: u64,
}

impl Link {
    pub(in crate::protocol) fn new(
        id: LinkId,
        slot: Slot,
        peer: PublicKey,
        dialled: bool,
        now: Mono,
        config: &Config,
        keyed: Keyed,
    ) -> Self {
        Self {
            id,
            slot,
            peer,
            dialled,
            hash_selected: false,
            phase: Phase::Greeting,
            up_since: now,
            replaces: false,
            last_frame: now,
            topics: Vec::new(),
            clock: PeerClock::default(),
            budget: Budget::new(config),
            newcomers: Allowance::new(),
            paused: 0,
            outbox: Outbox::new(keyed, now),
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

    /// The peer has said its hello.
    pub(in crate::protocol) fn greeted(&mut self, now: Mono) {
        debug_assert!(self.is_greeting(), "{:?}", self.phase);
        self.phase = Phase::Live { since: now };
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
        self.good > 0 || self.service.delay.is_some()
    }

    /// How many wanted ids list it as a source, and how many of them in this topic.
    pub(in crate::protocol) fn listed(&self, topic: &TopicId) -> (usize, usize) {
        let of_topic = self.wanted_in.iter().find(|(other, _)| other == topic);
        (self.wanted_from, of_topic.map_or(0, |(_, listed)| *listed))
    }

    /// One more lists it.
    pub(in crate::protocol) fn is_listed(&mut self, topic: TopicId) {
        self.wanted_from.gains(1);
        match self.wanted_in.iter_mut().find(|(other, _)| *other == topic) {
            Some((_, listed)) => listed.gains(1),
            None => self.wanted_in.push((topic, 1)),
        }
    }

    /// One that listed it does not any more.
    pub(in crate::protocol) fn is_delisted(&mut self, topic: &TopicId) {
        self.wanted_from.loses(1);
        if let Some(at) = self.wanted_in.iter().position(|(other, _)| other == topic)
            && let Some((_, listed)) = self.wanted_in.get_mut(at)
        {
            listed.loses(1);
            if *listed == 0 {
                self.wanted_in.swap_remove(at);
            }
        }
    }

    /// Something that it announced in `topic` was not noted, or could not be had.
    pub(in crate::protocol) fn has_more(&mut self, topic: TopicId) {
        if !self.missed.contains(&topic) {
            self.missed.push(topic);
        }
    }

    /// Adds a reason not to read; true if reading must stop now.
    pub(in crate::protocol) fn pause(&mut self, why: Pause) -> bool {
        let before = self.paused;
        self.paused |= why as u8;
        before == 0
    }

    /// Removes a reason; true if reading must go on now.
    pub(in crate::protocol) fn resume(&mut self, why: Pause) -> bool {
        let before = self.paused;
        self.paused &= !(why as u8);
        before != 0 && self.paused == 0
    }

    /// Whether we do not read from it, for whatever reason.
    pub(in crate::protocol) const fn is_reading_paused(&self) -> bool {
        self.paused != 0
    }

    pub(in crate::protocol) const fn is_paused(&self, why: Pause) -> bool {
        self.paused & why as u8 != 0
    }
}
