//! The members that this node knows: the newest record of each, how far its chain of pulses is known, and its life.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::life::{Life, MemberState, Of, Sign};
use super::period;
use crate::key::PublicKey;
use crate::protocol::limits::{KEYS_OF_PREFIX, MAX_MEMBERS};
use crate::protocol::{Mono, Now};
use crate::rumor::{Beacon, Bundle, ChainPoint, ChainTerms, MemberRecord, Position};
use crate::wire::KeyPrefix;

/// What a member says of itself, as it came.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) author: PublicKey,
    pub(super) position: Position,
    pub(super) says: MemberRecord,
    pub(super) bundle: Arc<Bundle>,
}

/// A chain of pulses, and the newest of them that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) terms: ChainTerms,
    pub(super) known: ChainPoint,
}

impl Chain {
    const fn new(terms: ChainTerms) -> Self {
        Self { terms, known: terms.known() }
    }

    /// The epoch of the newest pulse that is known; `None` if none is.
    pub(super) fn newest(&self) -> Option<u64> {
        (self.known.index > 0).then(|| self.terms.epoch_of(self.known.index))
    }
}

/// A member, as this node knows it.
#[derive(Debug)]
pub(super) struct Entry {
    key: PublicKey,
    position: Position,
    boot_ms: u64,
    /// `None` for one that has left, and of which no beacon is known.
    beacon: Option<Beacon>,
    bundle: Arc<Bundle>,
    chain: Option<Chain>,
    /// The chain before it: a new beacon and the last pulses of the old chain may cross.
    before: Option<Chain>,
    life: Life,
    /// When a pulse of it was passed on last.
    passed: Option<Mono>,
    /// When its life is looked at next; `None` if it is not to be.
    due: Option<Mono>,
}

impl Entry {
    fn new(record: &Record, now: Now) -> Self {
        let mut member = Self {
            key: record.author,
            position: record.position,
            boot_ms: record.says.boot_ms(),
            beacon: None,
            bundle: Arc::clone(&record.bundle),
            chain: None,
            before: None,
            life: Life::new(now),
            passed: None,
            due: None,
        };
        member.says(record);
        member
    }

    fn says(&mut self, record: &Record) {
        self.position = record.position;
        self.boot_ms = record.says.boot_ms();
        self.bundle = Arc::clone(&record.bundle);
        let MemberRecord::Beacon(beacon) = &record.says else { return };
        if self.chain.is_none_or(|chain| chain.terms != beacon.chain) {
            self.before = self.chain.take();
            self.chain = Some(Chain::new(beacon.chain));
        }
        self.beacon = Some(beacon.clone());
    }

    pub(super) const fn key(&self) -> PublicKey {
        self.key
    }

    pub(super) const fn boot_ms(&self) -> u64 {
        self.boot_ms
    }

    pub(super) const fn beacon(&self) -> Option<&Beacon> {
        self.beacon.as_ref()
    }

    pub(super) const fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    pub(super) const fn state(&self) -> MemberState {
        self.life.state()
    }

    pub(super) const fn life(&self) -> &Life {
        &self.life
    }

    /// Both of its chains, the present one first.
    pub(super) fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.chain.iter().chain(&self.before)
    }

    /// The present chain, with the newest pulse that is known.
    pub(super) const fn chain(&self) -> Option<&Chain> {
        self.chain.as_ref()
    }

    /// When its newest pulse's epoch began, Unix seconds; of its record, if no pulse is known.
    pub(super) fn newest_s(&self) -> u64 {
        let of = |chain: &Chain| chain.newest().map(|epoch| chain.terms.starts(epoch));
        self.chains().filter_map(of).max().unwrap_or(self.position.tick)
    }

    /// What the member says of its period, as a reader counts it.
    pub(super) fn period(&self, would_state: u16) -> Duration {
        period::counted(self.beacon.as_ref().map_or(0, |beacon| beacon.chain.epoch_s), would_state)
    }

    /// When its life is looked at next, which is another time from now on. Gives what it was.
    pub(super) const fn is_due(&mut self, at: Option<Mono>) -> Option<Mono> {
        std::mem::replace(&mut self.due, at)
    }

    pub(super) const fn due(&self) -> Option<Mono> {
        self.due
    }

    /// Whether a pulse of it may be passed on, at most one in half a period.
    pub(super) fn is_passed_on(&mut self, period: Duration, now: Mono) -> bool {
        let passes = self.passed.is_none_or(|last| now.since(last) >= period / 2);
        if passes {
            self.passed = Some(now);
        }
        passes
    }
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// A member that was not known.
    New,
    /// A newer record of a known member.
    Newer {
        /// It begins another life of the member.
        restarts: bool,
        /// It says an earlier life than the one before it.
        boot_set_back: bool,
        /// It says other metadata or addresses.
        updates: bool,
        /// It begins another chain.
        renews: bool,
        /// The state was another before.
        was: MemberState,
    },
    /// The table holds this one, or a newer one.
    Older,
    /// There is no room.
    Full,
}

/// A member's key, in the order of its bytes. The first of them are compared as one number, which decides nearly always: each pulse that comes
/// is looked up, and most come ten times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    first: u64,
    all: [u8; 32],
}

impl Key {
    fn of(key: &PublicKey) -> Self {
        let all = *key.as_bytes();
        Self { first: all.first_chunk().copied().map_or(0, u64::from_be_bytes), all }
    }

    /// Of those that begin so, the first and the last that there could be.
    fn of_prefix(prefix: KeyPrefix) -> [Self; 2] {
        let first = u64::from_be_bytes(prefix.0);
        [[0; 32], [u8::MAX; 32]].map(|all| Self { first, all })
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Table {
    /// This node's key, for which there is always room.
    own: Option<PublicKey>,
    members: BTreeMap<Key, Entry>,
    /// How many of them are here.
    here: usize,
}

impl Table {
    pub(super) fn of(own: PublicKey) -> Self {
        Self { own: Some(own), ..Self::default() }
    }

    /// How many others may be known.
    fn room(&self) -> usize {
        let own = self.own.filter(|own| !self.members.contains_key(&Key::of(own)));
        MAX_MEMBERS.saturating_sub(usize::from(own.is_some()))
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Members that are alive or stale.
    pub(super) const fn here(&self) -> usize {
        self.here
    }

    pub(super) fn get(&self, key: &PublicKey) -> Option<&Entry> {
        self.members.get(&Key::of(key))
    }

    pub(super) fn get_mut(&mut self, key: &PublicKey) -> Option<&mut Entry> {
        self.members.get_mut(&Key::of(key))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.members.values()
    }

    /// Members whose keys begin so: [`KEYS_OF_PREFIX`] at most.
    pub(super) fn of_prefix(&self, prefix: KeyPrefix) -> impl Iterator<Item = &Entry> {
        let [first, last] = Key::of_prefix(prefix);
        self.members.range(first..=last).map(|(_, member)| member)
    }

    /// Members whose keys come after all that begin so, in order.
    pub(super) fn after(&self, prefix: Option<KeyPrefix>) -> impl Iterator<Item = &Entry> {
        let from = match prefix {
            None => Bound::Unbounded,
            Some(prefix) => {
                let [_, last] = Key::of_prefix(prefix);
                Bound::Excluded(last)
            }
        };
        self.members.range((from, Bound::Unbounded)).map(|(_, member)| member)
    }

    /// Changes the life of a member, and counts it anew.
    pub(super) fn lives<R>(&mut self, key: &PublicKey, change: impl FnOnce(&mut Life) -> R) -> Option<R> {
        let member = self.members.get_mut(&Key::of(key))?;
        let was = member.state().is_here();
        let result = change(&mut member.life);
        let is = member.state().is_here();
        self.here = self.here.saturating_add(usize::from(is)).saturating_sub(usize::from(was));
        Some(result)
    }

    /// Takes in a record: the newest position of a key counts.
    pub(super) fn takes(&mut self, record: &Record, now: Now) -> Taken {
        let Some(member) = self.members.get_mut(&Key::of(&record.author)) else {
            let of_prefix = self.of_prefix(KeyPrefix::of(&record.author)).count();
            let full = of_prefix >= KEYS_OF_PREFIX || self.members.len() >= self.room();
            if full && self.own != Some(record.author) {
                return Taken::Full;
            }
            self.members.insert(Key::of(&record.author), Entry::new(record, now));
            return Taken::New;
        };
        if record.position <= member.position {
            return Taken::Older;
        }
        let (was, boot_ms) = (member.state(), member.boot_ms);
        let (before, chain) = (member.beacon.take(), member.chain.map(|chain| chain.terms));
        member.says(record);
        let renews = member.chain.map(|chain| chain.terms) != chain;
        let said = |beacon: &Option<Beacon>| {
            beacon.as_ref().map(|beacon| (beacon.addresses.clone(), beacon.metadata.clone()))
        };
        let updates = member.beacon.is_some() && said(&before) != said(&member.beacon);
        member.beacon = member.beacon.take().or(before);
        Taken::Newer {
            updates,
            renews,
            restarts: record.says.boot_ms() > boot_ms,
            boot_set_back: record.says.boot_ms() < boot_ms,
            was,
        }
    }

    /// At the cap the member goes that has failed or left longest, and after those one that never gave a sign; nobody who is here. Gives the
    /// one that is to go for one more; `None` if nobody is. True if there is room without that.
    pub(super) fn gives_way(&self) -> (bool, Option<PublicKey>) {
        if self.members.len() < self.room() {
            return (true, None);
        }
        // (All that walk would be for nothing.)
        if self.here >= self.members.len() {
            return (false, None);
        }
        let gone = self.members.values().filter(|member| !member.state().is_here());
        let first =
            gone.min_by_key(|member| (member.state() == MemberState::Unknown, member.life.since_ms()));
        (false, first.map(Entry::key))
    }

    pub(super) fn forget(&mut self, key: &PublicKey) -> Option<Entry> {
        let gone = self.members.remove(&Key::of(key))?;
        self.here = self.here.saturating_sub(usize::from(gone.state().is_here()));
        Some(gone)
    }

    /// A pulse was found to be true: the chain it belongs to is known up to there. Gives the sign that it is, and of which chain.
    pub(super) fn is_true(
        &mut self,
        key: &PublicKey,
        anchor: &ChainTerms,
        known: ChainPoint,
        seen: Mono,
    ) -> Option<(Sign, Of)> {
        let member = self.members.get_mut(&Key::of(key))?;
        let of =
            if member.chain.is_some_and(|chain| chain.terms == *anchor) { Of::Present } else { Of::Before };
        let chain = [&mut member.chain, &mut member.before]
            .into_iter()
            .flatten()
            .find(|chain| chain.terms == *anchor)?;
        if known.index <= chain.known.index {
            return None;
        }
        chain.known = known;
        let ends = chain.terms.starts(chain.terms.epoch_of(known.index).saturating_add(1));
        Some((Sign { epoch_ends_ms: ends.saturating_mul(1000), seen, stated: chain.terms.epoch_s }, of))
    }
}

/// The sign of life that a record is: the pulse of the epoch of its tick. A leave is none.
pub(super) fn sign_of(record: &Record, seen: Mono) -> Option<Sign> {
    let MemberRecord::Beacon(beacon) = &record.says else { return None };
    let chain = &beacon.chain;
    let ends = chain.starts(chain.epoch_at(record.position.tick).saturating_add(1));
    Some(Sign { epoch_ends_ms: ends.saturating_mul(1000), seen, stated: chain.epoch_s })
}

#[cfg(any(test, feature = "sim"))]
impl Table {
    pub(super) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let here = self.members.values().filter(|member| member.state().is_here()).count();
        recount.same("members that are here", self.here, here);
        recount.holds(self.members.len() <= MAX_MEMBERS, "there are more members than there may be");
    }
}
