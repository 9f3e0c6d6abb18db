//! The publisher: what waits to be said, the pens that say when, and the position log that remembers.

mod gathering;
mod records;
mod signing;
pub(super) mod silence;
mod together;
mod unkept;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use self::gathering::Gathering;
use self::records::{Records, SLOW_RECORD};
use self::signing::NodeKey;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::limits::RELAY_PAST;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::protocol::topics::window::MAX_SKEW;
use crate::protocol::{Action, Mono, Now, PublishError, PublishId};
use crate::rumor::{
    Bundle, BundleId, MAX_INLINE, MAX_RUMORS, Pen, Position, Previous, Reservation, RuleSet, SealError,
    Spans, TickLen, TopicId, seal_after,
};

/// A waiting author looks at the clock at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What is known about earlier use of the author key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsedPositions {
    /// Nothing is recorded. A key made by this process speaks at once, the first time that an author writes under it; any other
    /// stays mute for clock skew + 1 tick, after which whatever it said in an earlier life is refused everywhere or lies before.
    None,
    /// The driver records on [`Action::Record`].
    Kept {
        /// Unix times in milliseconds at which positions may have been used; none for a position log that has just been made for a
        /// fresh key.
        used: Spans,
    },
}

impl UsedPositions {
    /// A position log that has just been made for a fresh key.
    #[must_use]
    pub fn fresh() -> Self {
        Self::Kept { used: Spans::default() }
    }
}

/// A publish request that waits.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) publish_id: PublishId,
    pub(super) body: Bytes,
    /// It is answered when the store has kept it.
    pub(super) kept: bool,
    /// How many of those that come after it belong into the same bundle.
    pub(super) follow: u8,
}

/// The next bundle of a topic, as it would be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    /// How many rumors go into it.
    pub(super) rumors: usize,
    /// Bytes of their bodies.
    pub(super) bytes: usize,
    /// For how long it should wait for company.
    pub(super) gathers: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Publisher {
    key: SecretKey,
    /// The key that signs in one topic instead.
    node: Option<NodeKey>,
    pens: KeyedMap<TopicId, Pen>,
    /// The own bundle that was sealed last in a topic, and when: the next names it. It outlives leaving the topic for a while, as the
    /// windows of others do.
    last: KeyedMap<TopicId, (Previous, Mono)>,
    waiting: KeyedMap<TopicId, VecDeque<Request>>,
    /// Bundles that are sealed, and whose requests are answered when they are kept.
    unkept: KeyedMap<BundleId, (Position, Vec<Option<PublishId>>)>,
    /// Those of the waiting that don't wait: they are answered at the next occasion, whatever the answer is.
    tries: Vec<(TopicId, PublishId)>,
    /// Topics whose waiting rumors are worth another try.
    awake: Vec<TopicId>,
    /// Topics whose waiting rumors wait for room.
    blocked: Vec<TopicId>,
    /// What the position log has recorded in this life.
    records: Records,
    /// When an earlier life may have spoken, Unix milliseconds: without a position log, that is all time up to the skew after the start.
    earlier: Spans,
    /// When we spoke in topics that were left.
    retired: Spans,
    started_ms: u64,
    /// A loaded key without a position log stays mute until one tick after this.
    mute: Option<Mono>,
    /// The key was used before, so somebody else may be using it.
    listens: bool,
    /// When the first link came up.
    linked_at: Option<Mono>,
    /// Whether what is said next in a topic waits for company.
    gathering: KeyedMap<TopicId, Gathering>,
    /// When a topic's waiting rumors are tried again.
    alarms: KeyedMap<TopicId, Mono>,
    halted: Option<PublishError>,
}

impl Publisher {
    pub(super) fn new(key: SecretKey, position_log: UsedPositions, now: Now, keyed: Keyed) -> Self {
        let is_first = key.take_fresh();
        let (records, mute) = match position_log {
            UsedPositions::Kept { .. } => (Records::new(true), None),
            UsedPositions::None if is_first => (Records::new(false), None),
            UsedPositions::None => (Records::new(false), Some(now.mono.plus(MAX_SKEW))),
        };
        let skew = u64::try_from(MAX_SKEW.as_millis()).unwrap_or(u64::MAX);
        let earlier = match position_log {
            UsedPositions::Kept { used } => used,
            UsedPositions::None if is_first => Spans::default(),
            UsedPositions::None => Spans::before(now.unix_ms.saturating_add(skew)),
        };
        Self {
            key,
            node: None,
            pens: keyed.map(),
            last: keyed.map(),
            waiting: keyed.map(),
            unkept: keyed.map(),
            tries: Vec::new(),
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

    /// The key that signs what is published.
    pub(super) fn author(&self) -> PublicKey {
        self.key.public()
    }

    /// Takes a publish request. (The driver bounds how many wait: it gives a place in this queue to few at a time.)
    /// With `try_only` it does not wait, for company neither.
    pub(super) fn submit(&mut self, topic: TopicId, request: Request, try_only: bool) {
        if try_only {
            self.tries.push((topic, request.publish_id));
            self.seal_now(&topic);
        }
        self.waiting.entry(topic).or_default().push_back(request);
        self.wake(topic);
    }

    /// Topics whose waiting rumors are worth a try now.
    pub(super) fn take_awake(&mut self) -> Vec<TopicId> {
        std::mem::take(&mut self.awake)
    }

    /// The next bundle of a topic, as it would be: `None` if nothing waits. A bundle that is not full may wait for company, at most
    /// `every` long.
    pub(super) fn next(&mut self, topic: &TopicId, now: Mono, every: Duration) -> Option<Next> {
        let waiting = self.waiting.get(topic)?;
        let mut bytes = 0;
        let fits = |request: &&Request| {
            bytes += request.body.len();
            bytes <= MAX_INLINE
        };
        // A body too large for company goes alone.
        let rumors = waiting.iter().take(MAX_RUMORS).take_while(fits).count().max(1);
        let rumors = usize::from(self.whole(topic, rumors as u16)).max(1).min(waiting.len());
        let bytes: usize = waiting.iter().take(rumors).map(|request| request.body.len()).sum();
        let full = rumors < waiting.len() || rumors == MAX_RUMORS || bytes >= MAX_INLINE;
        let gathering = self.gathering.get_mut(topic).filter(|_| !full);
        let gathers = gathering.and_then(|gathering| gathering.waits(now, every));
        Some(Next { rumors, bytes, gathers })
    }

    /// A topic's waiting rumors wait for room.
    pub(super) fn is_blocked(&mut self, topic: TopicId) {
        if !self.blocked.contains(&topic) {
            self.blocked.push(topic);
        }
    }

    /// Positions for up to `rumors` rumors, and a request to the position log that should be made now, whatever the answer. In a tick in
    /// which nothing was said they begin with the slot `begins`.
    pub(super) fn reserve(
        &mut self,
        rules: &RuleSet,
        rumors: usize,
        begins: u16,
        now: Now,
    ) -> (Reservation, Option<Action>) {
        let topic = rules.id();
        if !self.pens.contains_key(&topic) {
            let pen = self.pen(rules);
            self.pens.insert(topic, pen);
        }
        let durable = self.records.durable();
        let rumors = u16::try_from(rumors).unwrap_or(u16::MAX);
        let Some(pen) = self.pens.get_mut(&topic) else {
            return (Reservation::WaitUntil(now.unix_ms), None);
        };
        pen.begins_at(begins);
        let reservation = pen.reserve(now.unix_ms, rumors, durable);
        let record = match reservation {
            Reservation::RecordFirst { from_ms, until_ms } => self.records.ask(from_ms, until_ms, now.mono),
            Reservation::Slots { first, .. } if self.records.run_out(now.unix_ms) => {
                let len = rules.tick_len();
                self.records.ask(len.start_of(first.tick), len.end_of(first.tick), now.mono)
            }
            _ => None,
        };
        (reservation, record)
    }

    /// Takes the first `count` waiting rumors of a topic, to be sealed as one bundle.
    pub(super) fn take(&mut self, topic: TopicId, count: u16, now: Mono) -> Vec<Request> {
        let Some(waiting) = self.waiting.get_mut(&topic) else { return Vec::new() };
        let taken: Vec<_> = waiting.drain(..usize::from(count).min(waiting.len())).collect();
        if waiting.is_empty() {
            self.waiting.remove(&topic);
        }
        self.gathering.entry(topic).or_default().sealed(taken.len(), now);
        taken
    }

    /// Signs `bodies` at `first` as one bundle. An error means that they are no bundle.
    pub(super) fn seal(
        &mut self,
        topic: TopicId,
        first: Position,
        bodies: &[Bytes],
        now: Mono,
    ) -> Result<Bundle, SealError> {
        // After the clock was set back there may be a later one, which an earlier position can't name.
        let prev = self.last.get(&topic).map(|(prev, _)| *prev).filter(|prev| prev.position < first);
        let key = self.node_in(&topic).map_or(&self.key, |node| &node.key);
        let bundle = seal_after(key, topic, prev, first, bodies)?;
        if self.last.get(&topic).is_none_or(|(last, _)| last.position < first) {
            self.last.insert(topic, (Previous::of(&bundle), now));
        }
        Ok(bundle)
    }

    /// In an earlier life, or before the topic was left, this bundle was the last one of ours there: the next names it, unless a later
    /// one is known.
    pub(super) fn goes_on_after(&mut self, topic: TopicId, prev: Previous, now: Mono) {
        if self.last.get(&topic).is_none_or(|(last, _)| last.position < prev.position) {
            self.last.insert(topic, (prev, now));
        }
    }

    /// The bundle that the next one of a topic names, if there is one.
    pub(super) fn last_of(&self, topic: &TopicId) -> Option<Previous> {
        self.last.get(topic).map(|(last, _)| *last)
    }

    /// When this life began, Unix milliseconds.
    pub(super) const fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// Leaves a topic's waiting rumors for later, or until something changes. Gives when to wake them, where no timer is set for it:
    /// one timer, however many ask.
    pub(super) fn sleep(&mut self, topic: TopicId, wait: Duration, now: Mono) -> Option<Mono> {
        // A clock may be far off, and set right meanwhile.
        let at = now.plus(wait.clamp(Duration::from_millis(1), LONGEST_SLEEP));
        let set = self.alarms.get(&topic).is_some_and(|alarm| *alarm > now && *alarm <= at);
        if set {
            return None;
        }
        self.alarms.insert(topic, at);
        Some(at)
    }

    /// Those requests that should not wait, when they have had their chance: not while the position log is being written.
    pub(super) fn take_tries(&mut self) -> Vec<(TopicId, PublishId)> {
        if self.is_recording() { Vec::new() } else { std::mem::take(&mut self.tries) }
    }

    /// What is said next in a topic does not wait for company.
    pub(super) fn seal_now(&mut self, topic: &TopicId) {
        self.gathering.remove(topic);
    }

    /// The publish requests of a topic, which wait no longer.
    pub(super) fn give_up(&mut self, topic: &TopicId) -> Vec<PublishId> {
        let waiting = self.waiting.remove(topic).unwrap_or_default();
        self.tries.retain(|(other, _)| other != topic);
        waiting.into_iter().map(|request| request.publish_id).collect()
    }

    /// Topics in which publish requests wait.
    pub(super) fn waiting(&self) -> Vec<TopicId> {
        self.waiting.keys().copied().collect()
    }

    /// A stretch of time is durable in the position log. True if that took longer than it should.
    pub(super) fn recorded(&mut self, from_ms: u64, until_ms: u64, now: Mono) -> bool {
        let slow = self.records.done(from_ms, until_ms, now) > SLOW_RECORD;
        self.seal_tries_now();
        self.wake_all();
        slow
    }

    /// The position log can't be written: the next request tries again.
    pub(super) fn record_failed(&mut self) {
        self.records.failed();
        self.seal_tries_now();
    }

    fn seal_tries_now(&mut self) {
        for (topic, _) in &self.tries {
            self.gathering.remove(topic);
        }
    }

    /// Whether the position log was asked for a record and has not answered.
    pub(super) const fn is_recording(&self) -> bool {
        self.records.is_under_way()
    }

    /// Whether a record has been under way for longer than it should.
    pub(super) fn record_is_slow(&self, now: Mono) -> bool {
        self.records.is_slow(now)
    }

    /// The first link, or another, has come up.
    pub(super) fn is_linked(&mut self, now: Mono) {
        self.linked_at.get_or_insert(now);
    }

    /// When positions under the key may have been used, in this life or an earlier one, Unix milliseconds.
    pub(super) fn used(&self) -> Spans {
        let mut used = self.earlier.clone();
        used.add_all(&self.retired);
        self.pens.values().for_each(|pen| used.add_all(&pen.used()));
        used
    }

    /// Whether an earlier life, or this one in a topic that was left meanwhile, may have spoken in a tick.
    pub(super) fn may_have_spoken(&self, len: TickLen, tick: u64) -> bool {
        let spans = [&self.earlier, &self.retired];
        spans.into_iter().any(|spans| spans.overlaps(len.start_of(tick), len.end_of(tick)))
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
    pub(super) fn left(&mut self, topic: &TopicId, now: Mono) {
        let pens = &self.pens;
        self.last.retain(|other, (_, said)| pens.contains_key(other) || now.since(*said) < RELAY_PAST);
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
        let queues = self.waiting.len() + self.tries.len() + self.awake.len() + self.blocked.len();
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

    /// Whether nothing waits, but for what may wait in one topic.
    pub(super) fn is_idle_but(&self, topic: Option<&TopicId>) -> bool {
        self.waiting.keys().all(|waits| Some(waits) == topic) && self.unkept.is_empty()
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle_but(None)
    }
}

#[cfg(any(test, feature = "sim"))]
impl Publisher {
    /// Whoever waits to publish waits for an alarm or for the position log.
    pub(super) fn check(&self, now: Mono, recount: &mut crate::protocol::check::Recount) {
        for (topic, waiting) in &self.waiting {
            recount.holds(!waiting.is_empty(), "an empty list of requests is kept");
            let alarm = self.alarms.get(topic).is_some_and(|alarm| *alarm > now);
            let records = self.records.is_under_way();
            recount.holds(alarm || records, "a publish request waits for nothing");
        }
    }
}
