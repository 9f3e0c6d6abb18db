//! One link: who is at the other end, what it relays, what it may cost, how well it serves; and the table of all links.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::budget::Budget;
use super::clock::PeerClock;
use super::limits::{FIRST_OWED, LEAST_OWED, MAX_LINKS, MAX_OWED, MAX_WANTS_PER_LINK, TRUSTED_AFTER};
use super::linkset::{LinkSet, Slot};
use super::outbox::Outbox;
use super::pulls::SERVES_FOR;
use super::random::Keyed;
use super::tariff::Allowance;
use super::time::Mono;
use super::total::Total as _;
use super::{Config, LinkId};
use crate::key::PublicKey;
use crate::rumor::{BundleId, TopicId};
use crate::wire::Reason;

/// Unserved pulls within [`STRIKE_WINDOW`] that make a link's announcements a last resort.
const STRIKES: usize = 3;
const STRIKE_WINDOW: Duration = Duration::from_secs(60);
/// For how long they stay so.
pub(super) const LAST_RESORT: Duration = Duration::from_secs(600);
/// Unserved pulls so close together count as one. (Guess: longer than the gap between two frames of a slow link.)
const ONE_SILENCE: Duration = Duration::from_secs(1);

/// Why we do not read from a link. It is read again when no reason is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Budget = 1,
    Verification = 2,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) slot: Slot,
    pub(super) peer: PublicKey,
    pub(super) dialled: bool,
    /// As a dialler, the peer may use the places kept for those that did not choose us.
    pub(super) unaimed: bool,
    /// Both sides have said hello.
    pub(super) live: bool,
    /// We have said goodbye; nothing that still comes in counts.
    pub(super) closing: bool,
    pub(super) up_since: Mono,
    /// Since when it is live.
    pub(super) live_since: Mono,
    /// Another link to the same peer is live and stays: nothing more is sent here than what waits, and it will be closed.
    pub(super) yields: bool,
    /// It has taken the place of another.
    pub(super) replaces: bool,
    /// Why we close it.
    pub(super) closed_for: Option<Reason>,
    /// When it brought its last frame.
    pub(super) last_frame: Mono,
    /// Topics that the peer relays, whether or not we do. Sorted, at most `MAX_TOPICS_PER_LINK`.
    pub(super) topics: Vec<TopicId>,
    /// The peer's clock, by its hello.
    pub(super) clock: PeerClock,
    pub(super) budget: Budget,
    /// For the newcomers' bundles that come first over it.
    pub(super) newcomers: Allowance,
    paused: u8,
    pub(super) outbox: Outbox,
    pub(super) rtt: Duration,
    pub(super) service: Service,
    /// Verified bundles that came first over this link.
    pub(super) good: u32,
    /// Wanted ids that list this link as a source.
    pub(super) wanted_from: usize,
    /// The same of each topic that has some; at most as many as we have topics.
    wanted_in: Vec<(TopicId, usize)>,
    /// Topics of ours in which it has announced more than we have noted or got: it will be asked to say it again. (At
    /// most as many as we have topics.)
    pub(super) missed: Vec<TopicId>,
    /// A timer will say when it may be asked for more.
    pub(super) waits_to_pull: bool,
    /// When it was last told of a conviction that it had been told of before.
    pub(super) reminded_at: Option<Mono>,
    /// When it last sent evidence that held, or that we had.
    pub(super) evidence_at: Option<Mono>,
    pub(super) copies_in: u64,
}

impl Link {
    pub(super) fn new(
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
            unaimed: false,
            live: false,
            closing: false,
            up_since: now,
            live_since: now,
            yields: false,
            replaces: false,
            closed_for: None,
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
    pub(super) const fn verified_alone(&self) -> Option<usize> {
        if self.good >= TRUSTED_AFTER { None } else { Some(self.good as usize + 1) }
    }

    /// Whether rumors of `topic` go to this link.
    pub(super) fn relays(&self, topic: &TopicId) -> bool {
        self.is_in_use() && self.relays_id(topic)
    }

    /// Whether it is live and stays so.
    pub(super) const fn is_in_use(&self) -> bool {
        self.live && !self.closing && !self.yields
    }

    /// Whether the peer says that it relays `topic`.
    pub(super) fn relays_id(&self, topic: &TopicId) -> bool {
        self.topics.binary_search(topic).is_ok()
    }

    /// Whether it has ever brought anything genuine.
    pub(super) const fn is_proven(&self) -> bool {
        self.good > 0 || self.service.delay.is_some()
    }

    /// How many wanted ids list it as a source, and how many of them in this topic.
    pub(super) fn listed(&self, topic: &TopicId) -> (usize, usize) {
        let of_topic = self.wanted_in.iter().find(|(other, _)| other == topic);
        (self.wanted_from, of_topic.map_or(0, |(_, listed)| *listed))
    }

    /// One more lists it.
    pub(super) fn is_listed(&mut self, topic: TopicId) {
        self.wanted_from.gains(1);
        match self.wanted_in.iter_mut().find(|(other, _)| *other == topic) {
            Some((_, listed)) => listed.gains(1),
            None => self.wanted_in.push((topic, 1)),
        }
    }

    /// One that listed it does not any more.
    pub(super) fn is_delisted(&mut self, topic: &TopicId) {
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
    pub(super) fn has_more(&mut self, topic: TopicId) {
        if !self.missed.contains(&topic) {
            self.missed.push(topic);
        }
    }

    /// Adds a reason not to read; true if reading must stop now.
    pub(super) fn pause(&mut self, why: Pause) -> bool {
        let before = self.paused;
        self.paused |= why as u8;
        before == 0
    }

    /// Removes a reason; true if reading must go on now.
    pub(super) fn resume(&mut self, why: Pause) -> bool {
        let before = self.paused;
        self.paused &= !(why as u8);
        before != 0 && self.paused == 0
    }

    /// Whether we do not read from it, for whatever reason.
    pub(super) const fn is_reading_paused(&self) -> bool {
        self.paused != 0
    }

    pub(super) const fn is_paused(&self, why: Pause) -> bool {
        self.paused & why as u8 != 0
    }
}

/// How fast and how often a link serves. Orders our choices, decays, never bans, is never shared.
#[derive(Debug)]
pub(super) struct Service {
    /// Smoothed time from pull to copy; `None` before the first.
    pub(super) delay: Option<Duration>,
    /// When pulls went unserved; at most `STRIKES` kept.
    unserved: VecDeque<Mono>,
    /// When pulls took longer than our patience, whether or not they were served in the end; as many.
    late: VecDeque<Mono>,
    last_resort_until: Mono,
    /// When it last answered a pull, in time or not.
    last_served: Option<Mono>,
    /// When it last brought something genuine that was new, pulled or not.
    last_brought: Option<Mono>,
    /// Ids that it was asked for and that somebody else served first: a copy may still come. At most [`MAX_OWED`].
    may_come: VecDeque<BundleId>,
    /// Pulls sent and not yet answered, and about how many bytes they will bring.
    pub(super) owed: usize,
    pub(super) owed_bytes: usize,
    /// Most pulls that it may owe us.
    pub(super) may_owe: usize,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            delay: None,
            unserved: VecDeque::new(),
            late: VecDeque::new(),
            last_resort_until: Mono::default(),
            last_served: None,
            last_brought: None,
            may_come: VecDeque::new(),
            owed: 0,
            owed_bytes: 0,
            may_owe: FIRST_OWED,
        }
    }
}

impl Service {
    pub(super) fn served(&mut self, took: Duration, now: Mono) {
        self.last_served = Some(now);
        self.may_owe = (self.may_owe + 1).min(MAX_OWED);
        // An eighth of the new value, as TCP smooths its round trips (RFC 6298).
        self.delay =
            Some(self.delay.map_or(took, |old| old.saturating_sub(old / 8).saturating_add(took / 8)));
    }

    /// A pull was answered, too late to be of use.
    pub(super) const fn serves(&mut self, now: Mono) {
        self.last_served = Some(now);
    }

    /// Something genuine and new has come, asked for or not.
    pub(super) const fn brings(&mut self, now: Mono) {
        self.last_brought = Some(now);
    }

    /// Somebody else has served what this link was asked for.
    pub(super) fn may_come_late(&mut self, id: BundleId) {
        if self.may_come.len() >= MAX_OWED {
            self.may_come.pop_front();
        }
        self.may_come.push_back(id);
    }

    /// Whether a copy of `id` was still to come; from now on it is not.
    pub(super) fn still_owed(&mut self, id: &BundleId) -> bool {
        let at = self.may_come.iter().position(|other| other == id);
        at.and_then(|at| self.may_come.remove(at)).is_some()
    }

    /// Whether it has served something within `patience`.
    pub(super) fn is_serving(&self, now: Mono, patience: Duration) -> bool {
        self.last_served.is_some_and(|at| now.since(at) <= patience)
    }

    /// A pull takes longer than our patience. It counts when sources are compared, and is no strike: an overloaded link is late,
    /// too, and the less it is asked the less it can show.
    pub(super) fn is_late(&mut self, now: Mono) {
        note_silence(&mut self.late, now);
    }

    /// A pull went unserved. An `excused` one counts when sources are compared, and not as a strike. Where links are `pressed`, and
    /// answer late, nobody is struck: whom we ask less for it can show less.
    pub(super) fn missed(&mut self, now: Mono, excused: bool, pressed: bool) {
        note_silence(&mut self.late, now);
        if excused || !note_silence(&mut self.unserved, now) {
            return;
        }
        // Whoever has served, or brought anything, within a while is overloaded rather than a liar.
        let brings = self.last_brought.is_some_and(|at| now.since(at) <= SERVES_FOR);
        if self.recent_misses(now) >= STRIKES && !pressed && !brings && !self.is_serving(now, SERVES_FOR) {
            self.last_resort_until = now.plus(LAST_RESORT);
        }
        self.may_owe = (self.may_owe / 2).max(LEAST_OWED);
    }

    /// Pulls that went unserved within the last minute, at most three.
    pub(super) fn recent_misses(&self, now: Mono) -> usize {
        recent(&self.unserved, now)
    }

    /// Pulls that were late or went unserved within the last minute, at most three.
    pub(super) fn recent_lates(&self, now: Mono) -> usize {
        recent(&self.late, now)
    }

    pub(super) fn is_last_resort(&self, now: Mono) -> bool {
        now < self.last_resort_until
    }

    /// Wanted ids that may list it as a source: few if it has served nothing between its silences.
    pub(super) const fn most_wants(&self) -> usize {
        if self.may_owe <= LEAST_OWED { LEAST_OWED } else { MAX_WANTS_PER_LINK }
    }
}

/// Notes a silence; false if it is the one that was noted last: one silence, however many pulls it kept waiting.
fn note_silence(silences: &mut VecDeque<Mono>, now: Mono) -> bool {
    if silences.back().is_some_and(|at| now.since(*at) < ONE_SILENCE) {
        return false;
    }
    if silences.len() >= STRIKES {
        silences.pop_front();
    }
    silences.push_back(now);
    true
}

fn recent(silences: &VecDeque<Mono>, now: Mono) -> usize {
    silences.iter().filter(|at| now.since(**at) <= STRIKE_WINDOW).count()
}

/// All links, by place and by name.
#[derive(Debug)]
pub(super) struct Links {
    places: Vec<Option<Link>>,
    by_id: BTreeMap<LinkId, Slot>,
    /// Places whose links are gone and whose marks are not wiped yet.
    gone: LinkSet,
}

impl Links {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), by_id: BTreeMap::new(), gone: LinkSet::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A free place without marks of a former owner, if there is one.
    pub(super) fn free(&mut self) -> Option<Slot> {
        let gone = self.gone;
        let clean = |(place, link): (usize, &Option<Link>)| {
            link.is_none() && u8::try_from(place).is_ok_and(|place| !gone.contains(Slot(place)))
        };
        let place = match self.places.iter().enumerate().position(clean) {
            Some(place) => place,
            None if self.places.len() < MAX_LINKS => {
                self.places.push(None);
                self.places.len() - 1
            }
            None => return None,
        };
        u8::try_from(place).ok().map(Slot)
    }

    /// The places of links that are gone. They may be used again.
    pub(super) fn take_gone(&mut self) -> LinkSet {
        std::mem::take(&mut self.gone)
    }

    pub(super) fn insert(&mut self, link: Link) {
        self.by_id.insert(link.id, link.slot);
        let place = usize::from(link.slot.0);
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(link);
        }
    }

    pub(super) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let slot = self.by_id.remove(&id)?;
        let link = self.places.get_mut(usize::from(slot.0))?.take()?;
        self.gone.insert(slot);
        Some(link)
    }

    pub(super) fn slot_of(&self, id: LinkId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// The links to `peer`: two at the most. (A walk over all links, for when links come and go.)
    pub(super) fn of_peer(&self, peer: &PublicKey) -> impl Iterator<Item = &Link> {
        let peer = *peer;
        self.iter().filter(move |link| link.peer == peer)
    }

    pub(super) fn at(&self, slot: Slot) -> Option<&Link> {
        self.places.get(usize::from(slot.0))?.as_ref()
    }

    pub(super) fn at_mut(&mut self, slot: Slot) -> Option<&mut Link> {
        self.places.get_mut(usize::from(slot.0))?.as_mut()
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.slot_of(id).and_then(|slot| self.at_mut(slot))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.places.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.places.iter_mut().flatten()
    }

    /// The links that relay `topic` and are not in `except`.
    pub(super) fn relaying(&self, topic: &TopicId, except: &LinkSet) -> Vec<Slot> {
        self.iter()
            .filter(|link| !except.contains(link.slot) && link.relays(topic))
            .map(|link| link.slot)
            .collect()
    }
}

#[cfg(any(test, feature = "sim"))]
impl Links {
    pub(super) fn check(&self, recount: &mut super::check::Recount) {
        recount.same("links", self.by_id.len(), self.iter().count());
        for link in self.iter() {
            let peer = link.peer.short();
            recount.holds(
                self.slot_of(link.id) == Some(link.slot),
                format_args!("{peer} is not found by its link"),
            );
            link.outbox.check(recount);
        }
    }
}
