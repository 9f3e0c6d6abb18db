//! The author's desk: what waits to be said, the pens that say when, and the ledger that remembers.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::engine::Engine;
use super::entry::Entry;
use super::random::{Keyed, KeyedMap};
use super::records::Records;
use super::silence::Silence;
use super::timers::Timer;
use super::window::{MAX_SKEW, Taker};
use super::{Action, Mono, Now, PublishError, Ticket};
use crate::key::{PublicKey, SecretKey};
use crate::rumor::{MAX_INLINE, MAX_RUMORS, Pen, Reservation, RuleSet, Spans, TopicId, seal};

/// A waiting author looks at the clock at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// When an author who waits for room looks again whether expiry has made some.
const EXPIRY_ROUND: Duration = Duration::from_millis(100);

/// What is known about earlier use of the author key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ledger {
    /// Nothing is recorded. A key made by this process speaks at once, the first time that an author writes under it; any other
    /// stays mute for clock skew + 1 tick, after which whatever it said in an earlier life is refused everywhere or lies before.
    None,
    /// The driver records on [`Action::Record`].
    Kept {
        /// Unix times in milliseconds at which positions may have been used; none for a ledger that has just been made for a
        /// fresh key.
        used: Spans,
    },
}

impl Ledger {
    /// A ledger that has just been made for a fresh key.
    #[must_use]
    pub fn fresh() -> Self {
        Self::Kept { used: Spans::default() }
    }
}

#[derive(Debug)]
pub(super) struct Desk {
    key: SecretKey,
    pub(super) pens: KeyedMap<TopicId, Pen>,
    waiting: KeyedMap<TopicId, VecDeque<(Ticket, Bytes)>>,
    /// Topics whose waiting rumors are worth another try.
    awake: Vec<TopicId>,
    /// Topics whose waiting rumors wait for room.
    blocked: Vec<TopicId>,
    /// What the ledger has recorded in this life.
    pub(super) records: Records,
    /// When an earlier life may have spoken, Unix milliseconds: without a ledger, that is all time up to the skew after the start.
    pub(super) earlier: Spans,
    /// When we spoke in topics that were left.
    pub(super) retired: Spans,
    started_ms: u64,
    /// A loaded key without a ledger stays mute until one tick after this.
    pub(super) mute: Option<Mono>,
    /// The key was used before, so somebody else may be using it.
    pub(super) listens: bool,
    /// When the first link came up.
    pub(super) linked_at: Option<Mono>,
    /// Whether what is said next in a topic waits for company.
    gathering: KeyedMap<TopicId, Gathering>,
    /// When a topic's waiting rumors are tried again.
    alarms: KeyedMap<TopicId, Mono>,
    pub(super) halted: Option<PublishError>,
}

/// Gathering pays only where rumors come side by side. Whoever says one, waits for its id and says the next has no company, and
/// would be held up for nothing. So after a wait in vain the next bundles go at once, and then it is tried again.
#[derive(Debug, Default)]
struct Gathering {
    sealed_at: Option<Mono>,
    /// Since when what is sealed next waits for company.
    since: Option<Mono>,
    /// Waits in vain, one after the other.
    vain: u32,
    /// Bundles that go at once before the next try.
    at_once: u32,
}

/// Bundles that go at once after the first wait in vain; twice as many after the second, and so on. One wait of 4 ms in 16 bundles is
/// a quarter of a millisecond for each.
const AT_ONCE: u32 = 16;
const MOST_DOUBLINGS: u32 = 4;

impl Gathering {
    /// How long what is to be sealed waits, if it does.
    fn waits(&mut self, now: Mono, every: Duration) -> Option<Duration> {
        if self.at_once > 0 {
            return None;
        }
        // Whoever has been silent for a while is heard at once.
        let speaks = self.sealed_at.is_some_and(|last| last.plus(every) > now);
        let since = match self.since {
            None if !speaks => return None,
            since => *self.since.insert(since.unwrap_or(now)),
        };
        let until = since.plus(every);
        (until > now).then(|| until.since(now))
    }

    /// A bundle of so many rumors is sealed.
    fn sealed(&mut self, rumors: usize, now: Mono) {
        self.sealed_at = Some(now);
        let waited = self.since.take().is_some();
        if rumors > 1 {
            (self.vain, self.at_once) = (0, 0);
        } else if waited {
            self.at_once = AT_ONCE << self.vain.min(MOST_DOUBLINGS);
            self.vain = self.vain.saturating_add(1);
        } else {
            self.at_once = self.at_once.saturating_sub(1);
        }
    }
}

impl Desk {
    pub(super) fn new(key: SecretKey, ledger: Ledger, now: Now, keyed: Keyed) -> Self {
        let is_first = key.take_fresh();
        let (records, mute) = match ledger {
            Ledger::Kept { .. } => (Records::new(true), None),
            Ledger::None if is_first => (Records::new(false), None),
            Ledger::None => (Records::new(false), Some(now.mono.plus(MAX_SKEW))),
        };
        let skew = u64::try_from(MAX_SKEW.as_millis()).unwrap_or(u64::MAX);
        let earlier = match ledger {
            Ledger::Kept { used } => used,
            Ledger::None if is_first => Spans::default(),
            Ledger::None => Spans::before(now.unix_ms.saturating_add(skew)),
        };
        Self {
            key,
            pens: keyed.map(),
            waiting: keyed.map(),
            awake: Vec::new(),
            blocked: Vec::new(),
            records,
            listens: !earlier.is_empty(),
            earlier,
            retired: Spans::default(),
            started_ms: now.unix_ms,
            mute,
            linked_at: None,
            gathering: keyed.map(),
            alarms: keyed.map(),
            halted: None,
        }
    }

    /// A new pen, which says nothing where an earlier one may have. Where the record of an earlier life reaches into this one, one
    /// tick more: another writer who speaks there can't be taken for that life.
    pub(super) fn pen(&self, rules: &RuleSet) -> Pen {
        let mut silent = self.retired.clone();
        if self.mute.is_none() {
            silent.add_all(&self.earlier);
            let tick = u64::from(rules.tick_len().millis());
            let reach = self.earlier.end_of(self.started_ms).unwrap_or(0);
            if reach > self.started_ms.saturating_add(tick) {
                silent.add(reach, reach.saturating_add(tick));
            }
        }
        Pen::new(rules, silent)
    }

    pub(super) fn wake(&mut self, topic: TopicId) {
        if !self.awake.contains(&topic) {
            self.awake.push(topic);
        }
    }

    /// A link has taken bytes: those who wait for room may try.
    pub(super) fn room_was_made(&mut self) {
        for topic in std::mem::take(&mut self.blocked) {
            self.wake(topic);
        }
    }

    /// The topic is left, and may be joined again: when it was spoken in is remembered for all topics together.
    pub(super) fn left(&mut self, topic: &TopicId) {
        self.gathering.remove(topic);
        self.alarms.remove(topic);
        self.blocked.retain(|other| other != topic);
        if let Some(pen) = self.pens.remove(topic) {
            self.retired.add_all(&pen.used());
        }
    }

    /// Entries in all tables that have topics for keys.
    #[cfg(test)]
    pub(super) fn remembers(&self) -> usize {
        let queues = self.waiting.len() + self.awake.len() + self.blocked.len();
        self.pens.len() + self.gathering.len() + self.alarms.len() + queues
    }

    pub(super) fn wake_all(&mut self) {
        let waiting: Vec<_> = self.waiting.keys().copied().collect();
        waiting.into_iter().for_each(|topic| self.wake(topic));
    }

    /// Topics whose waiting rumors are tried at the next occasion.
    #[cfg(test)]
    pub(super) fn awake(&self) -> usize {
        self.awake.len()
    }

    /// The links of some topics are others now. Gives how many authors' waiting rumors that concerns.
    pub(super) fn links_changed<'a>(&mut self, topics: impl IntoIterator<Item = &'a TopicId>) -> usize {
        let concerned: Vec<_> =
            topics.into_iter().filter(|topic| self.waiting.contains_key(*topic)).copied().collect();
        concerned.iter().for_each(|topic| self.wake(*topic));
        concerned.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(any(test, feature = "sim"))]
impl Desk {
    /// Whoever waits to publish waits for an alarm or for the ledger.
    pub(super) fn check(&self, now: Mono, recount: &mut super::check::Recount) {
        for (topic, waiting) in &self.waiting {
            recount.holds(!waiting.is_empty(), "an empty list of requests is kept");
            let alarm = self.alarms.get(topic).is_some_and(|alarm| *alarm > now);
            let records = self.records.is_under_way();
            recount.holds(alarm || records, "a publish request waits for nothing");
        }
    }
}

impl Engine {
    /// The key that signs what we publish.
    #[must_use]
    pub fn author(&self) -> PublicKey {
        self.desk.key.public()
    }

    pub(super) fn on_publish(&mut self, topic: TopicId, body: Bytes, ticket: Ticket) {
        let refused = match self.topics.get(&topic) {
            _ if self.closed => Some(PublishError::Closed),
            None => Some(PublishError::NotJoined(topic)),
            Some(window) if body.len() > window.rules.max_body() as usize => {
                Some(PublishError::TooLarge { len: body.len(), max: window.rules.max_body() })
            }
            Some(window) if !window.rules.admits(&self.desk.key.public()) => {
                Some(PublishError::NotAdmitted(self.desk.key.public()))
            }
            Some(_) => self.desk.halted.clone(),
        };
        match refused {
            Some(error) => self.actions.push_back(Action::Published { ticket, result: Err(error) }),
            None => {
                // Bounded by the driver, which gives a place in this queue to few at a time.
                self.desk.waiting.entry(topic).or_default().push_back((ticket, body));
                self.desk.wake(topic);
            }
        }
    }

    /// Group commit: whatever waits goes into as few bundles as it fits, as soon as there are slots and room. An idle
    /// author's single rumor goes at once; what it says soon after goes together ([`Config::publishing.seal_every`](super::Config::publishing)).
    pub(super) fn seal_waiting(&mut self) {
        for topic in std::mem::take(&mut self.desk.awake) {
            if let Some(error) = self.desk.halted.clone() {
                self.fail_publishes(topic, &error);
            } else if self.links_of(&topic) == 0 {
                let error = match self.live_links() {
                    0 => PublishError::NoLink,
                    links => PublishError::NotRelayed { links },
                };
                self.fail_publishes(topic, &error);
            } else {
                match self.silence(&topic) {
                    None => while self.seal_one(topic) {},
                    Some(Silence::For(wait)) => drop(self.sleep(topic, wait)),
                    Some(Silence::Fails(error)) => self.fail_publishes(topic, &error),
                }
            }
        }
    }

    /// Seals one bundle; false when nothing more can be said now.
    fn seal_one(&mut self, topic: TopicId) -> bool {
        let Some(waiting) = self.desk.waiting.get(&topic) else { return false };
        let mut bytes = 0;
        let fits = |(_, body): &&(Ticket, Bytes)| {
            bytes += body.len();
            bytes <= MAX_INLINE
        };
        // A body too large for company goes alone.
        let want = waiting.iter().take(MAX_RUMORS).take_while(fits).count().max(1).min(waiting.len());
        let bytes: usize = waiting.iter().take(want).map(|(_, body)| body.len()).sum();
        let full = want < waiting.len() || want == MAX_RUMORS || bytes >= MAX_INLINE;
        let (now, every) = (self.now.mono, self.config.publishing.seal_every);
        let gathering = self.desk.gathering.get_mut(&topic).filter(|_| !full);
        if let Some(rest) = gathering.and_then(|gathering| gathering.waits(now, every)) {
            return self.sleep(topic, rest);
        }
        let author = self.desk.key.public();
        if !self.has_room(&topic, &author, bytes) {
            // Written bytes wake us; the timer is for room that expiry makes.
            if !self.desk.blocked.contains(&topic) {
                self.desk.blocked.push(topic);
            }
            return self.sleep(topic, EXPIRY_ROUND);
        }
        let Some(window) = self.topics.get(&topic) else { return false };
        if !self.desk.pens.contains_key(&topic) {
            let pen = self.desk.pen(&window.rules);
            self.desk.pens.insert(topic, pen);
        }
        let Some(pen) = self.desk.pens.get_mut(&topic) else { return false };
        let (unix_ms, durable) = (self.now.unix_ms, self.desk.records.durable());
        let (first, count) = match pen.reserve(unix_ms, want as u16, durable) {
            Reservation::Slots { first, count } => (first, count),
            Reservation::WaitUntil(until_ms) => return self.wait_until(topic, until_ms),
            Reservation::RecordFirst { from_ms, until_ms } => {
                self.actions.extend(self.desk.records.ask(from_ms, until_ms, now));
                return false;
            }
        };
        if self.desk.records.run_out(unix_ms) {
            let len = window.rules.tick_len();
            let (from_ms, until_ms) = (len.start_of(first.tick), len.end_of(first.tick));
            self.actions.extend(self.desk.records.ask(from_ms, until_ms, now));
        }
        let Some(waiting) = self.desk.waiting.get_mut(&topic) else { return false };
        let taken: Vec<_> = waiting.drain(..usize::from(count).min(waiting.len())).collect();
        if waiting.is_empty() {
            self.desk.waiting.remove(&topic);
        }
        self.desk.gathering.entry(topic).or_default().sealed(taken.len(), self.now.mono);
        let bodies: Vec<_> = taken.iter().map(|(_, body)| body.clone()).collect();
        let Ok(bundle) = seal(&self.desk.key, topic, first, &bodies) else { return false };
        let bundle = std::sync::Arc::new(bundle);
        let (id, signed) = (bundle.id(), *bundle.signed_header());
        let Some(window) = self.topics.get_mut(&topic) else { return false };
        window.insert(id, Entry::own(bundle.clone(), self.config.hop_budget()), self.now);
        if window.claim(id, &signed, Taker::Us, self.now, &self.config).is_err() {
            // Somebody has written at our position: we must not say a second thing there.
            window.forget(&id);
            for (ticket, _) in taken {
                let result = Err(PublishError::DuplicateWriter);
                self.actions.push_back(Action::Published { ticket, result });
            }
            self.halt_duplicate(&topic, signed.header.tick);
            return false;
        }
        for ((ticket, _), rumor) in taken.iter().zip(bundle.rumors()) {
            self.actions.push_back(Action::Published { ticket: *ticket, result: Ok(rumor.id()) });
        }
        if window.rules.hold_back().is_some() {
            self.announce_header(topic, id);
        }
        self.accept(topic, id);
        true
    }

    /// Leaves a topic's waiting rumors for later, or until something changes. One timer, however many ask.
    pub(super) fn sleep(&mut self, topic: TopicId, wait: Duration) -> bool {
        let now = self.now.mono;
        // A clock may be far off, and set right meanwhile.
        let at = now.plus(wait.clamp(Duration::from_millis(1), LONGEST_SLEEP));
        let set = self.desk.alarms.get(&topic).is_some_and(|alarm| *alarm > now && *alarm <= at);
        if !set {
            self.desk.alarms.insert(topic, at);
            self.timers.set(at, Timer::SlotsFree(topic));
        }
        false
    }

    /// Room for an own bundle: in our own store, and towards at least half of the topic's links, or of those we dialled:
    /// nobody who came to us, however many they are, may make us fall silent by not reading. Where we dialled nobody, it is half
    /// of those that do not stand still.
    fn has_room(&mut self, topic: &TopicId, author: &PublicKey, bytes: usize) -> bool {
        let store = self
            .topics
            .get_mut(topic)
            .is_some_and(|window| window.has_room(author, bytes, self.now.mono, &self.config));
        let now = self.now.mono;
        let (mut links, mut still, mut free, mut dialled, mut dialled_free) = (0, 0, 0, 0, 0);
        for link in self.links.iter().filter(|link| link.relays(topic)) {
            let (room, ours) = (usize::from(link.outbox.has_room_for_own()), usize::from(link.dialled));
            links += 1;
            still += usize::from(link.outbox.stands_still(now));
            free += room;
            dialled += ours;
            dialled_free += ours * room;
        }
        let of_ours = match dialled {
            0 => free > 0 && free * 2 >= links - still,
            _ => dialled_free * 2 >= dialled,
        };
        store && (free * 2 >= links || of_ours)
    }

    /// What is said next in a topic does not wait for company.
    pub fn hurry(&mut self, topic: &TopicId) {
        self.desk.gathering.remove(topic);
    }

    /// Takes back a publish request that still waits; true if there was one.
    pub fn withdraw(&mut self, topic: TopicId, ticket: Ticket) -> bool {
        let Some(waiting) = self.desk.waiting.get_mut(&topic) else { return false };
        let before = waiting.len();
        waiting.retain(|(other, _)| *other != ticket);
        let found = waiting.len() < before;
        if waiting.is_empty() {
            self.desk.waiting.remove(&topic);
        }
        found
    }

    pub(super) fn fail_publishes(&mut self, topic: TopicId, error: &PublishError) {
        for (ticket, _) in self.desk.waiting.remove(&topic).unwrap_or_default() {
            self.actions.push_back(Action::Published { ticket, result: Err(error.clone()) });
        }
    }

    pub(super) fn fail_all_publishes(&mut self, error: &PublishError) {
        let topics: Vec<_> = self.desk.waiting.keys().copied().collect();
        topics.into_iter().for_each(|topic| self.fail_publishes(topic, error));
    }
}
