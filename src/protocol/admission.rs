//! Who may link to this node and is shown as a member, by its own decision: the allow-list, and the keys that are expelled for a while.
//!
//! ```text
//!   no allow-list: all keys ──┐
//!   allow-list: its keys ─────┴── but for those that are expelled ──> may link, may be members
//! ```
//!
//! It is told to nobody, and nobody else heeds it. What keys say in topics of the application is no matter of it: there the rules of the
//! topic decide.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Mono;
use super::limits::{MAX_ALLOWED, MAX_EXPELLED};
use crate::key::PublicKey;
use crate::wire::Reason;

/// A change of who may link to a node and is shown as a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdmissionChange {
    /// The key may link: it goes on the allow-list, if there is one, and is expelled no longer.
    Admit(PublicKey),
    /// The key goes off the allow-list.
    Disallow(PublicKey),
    /// The key may not link for a while, on the allow-list or not. Of several such changes of a key the last one's time holds.
    Expel {
        /// Which.
        key: PublicKey,
        /// For how long, from now on.
        lasts: Duration,
    },
}

impl AdmissionChange {
    /// Whom it is about.
    #[must_use]
    pub const fn key(&self) -> PublicKey {
        match self {
            Self::Admit(key) | Self::Disallow(key) | Self::Expel { key, .. } => *key,
        }
    }
}

/// What a change of who may link has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdmissionOutcome {
    /// Something is different now.
    Changed,
    /// It was so already.
    Unchanged,
    /// The node has no allow-list, and the key was not expelled: it may link, as all others may.
    Open,
}

/// Why nothing was changed of who may link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionRefusal {
    /// It is this node.
    #[error("this is the node's own key: a node can't expel itself")]
    OwnKey,
    /// The node admits all keys, so there is no list to take one from.
    #[error(
        "this node has no allow-list, so there is nothing to take the key from: expel the key, or build the node with `allow`"
    )]
    NoAllowList,
    /// The allow-list is full.
    #[error("the allow-list has {MAX_ALLOWED} keys, the most there may be: take some off first")]
    TooManyAllowed,
    /// As many keys are expelled as may be.
    #[error("{MAX_EXPELLED} keys are expelled, the most there may be: admit some again, or wait")]
    TooManyExpelled,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Admission {
    own: PublicKey,
    /// `None` if all keys are admitted.
    allowed: Option<BTreeSet<PublicKey>>,
    /// Each with when that is over.
    expelled: BTreeMap<PublicKey, Mono>,
    /// When the next of them is over, as the timer knows it.
    alarm: Option<Mono>,
    /// A key has been admitted that was not, and what it says was refused until then.
    has_grown: bool,
    /// The same, and what the store has of it is not read yet.
    is_unread: bool,
}

impl Admission {
    /// Of the node with this key, which admits these keys alone, or all of them.
    pub(super) fn new(own: PublicKey, allowed: Option<Vec<PublicKey>>) -> Self {
        let allowed = allowed.map(|keys| keys.into_iter().take(MAX_ALLOWED).collect());
        Self { own, allowed, expelled: BTreeMap::new(), alarm: None, has_grown: false, is_unread: false }
    }

    /// Why a link with this key is refused, if it is.
    pub(super) fn refuses(&self, key: &PublicKey, now: Mono) -> Option<Reason> {
        if *key == self.own || self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(key)) {
            return Some(Reason::NotAdmitted);
        }
        self.is_expelled(key, now).then_some(Reason::Expelled)
    }

    /// Whether this key may be a member here. The node itself always is.
    pub(super) fn shows(&self, key: &PublicKey, now: Mono) -> bool {
        *key == self.own || self.refuses(key, now).is_none()
    }

    fn is_expelled(&self, key: &PublicKey, now: Mono) -> bool {
        self.expelled.get(key).is_some_and(|until| now < *until)
    }

    /// Makes a change, or none of it.
    pub(super) fn changes(
        &mut self,
        change: AdmissionChange,
        now: Mono,
    ) -> Result<AdmissionOutcome, AdmissionRefusal> {
        match change {
            AdmissionChange::Admit(key) => self.admit(key, now),
            AdmissionChange::Disallow(key) => {
                let allowed = self.allowed.as_mut().ok_or(AdmissionRefusal::NoAllowList)?;
                Ok(outcome(allowed.remove(&key)))
            }
            AdmissionChange::Expel { key, lasts } => self.expel(key, lasts, now),
        }
    }

    fn admit(&mut self, key: PublicKey, now: Mono) -> Result<AdmissionOutcome, AdmissionRefusal> {
        if key == self.own {
            return Ok(AdmissionOutcome::Unchanged);
        }
        let was_expelled = self.is_expelled(&key, now);
        let listed = match &mut self.allowed {
            None => false,
            Some(allowed) if allowed.len() >= MAX_ALLOWED && !allowed.contains(&key) => {
                return Err(AdmissionRefusal::TooManyAllowed);
            }
            Some(allowed) => allowed.insert(key),
        };
        self.expelled.remove(&key);
        self.has_grown |= listed || was_expelled;
        match &self.allowed {
            None if !was_expelled => Ok(AdmissionOutcome::Open),
            _ => Ok(outcome(listed || was_expelled)),
        }
    }

    fn expel(
        &mut self,
        key: PublicKey,
        lasts: Duration,
        now: Mono,
    ) -> Result<AdmissionOutcome, AdmissionRefusal> {
        if key == self.own {
            return Err(AdmissionRefusal::OwnKey);
        }
        self.expire(now);
        if self.expelled.len() >= MAX_EXPELLED && !self.expelled.contains_key(&key) {
            return Err(AdmissionRefusal::TooManyExpelled);
        }
        let until = now.plus(lasts);
        Ok(outcome(self.expelled.insert(key, until) != Some(until)))
    }

    /// Admits these keys alone from now on.
    pub(super) fn allow_only(&mut self, keys: BTreeSet<PublicKey>) -> Result<(), AdmissionRefusal> {
        if keys.len() > MAX_ALLOWED {
            return Err(AdmissionRefusal::TooManyAllowed);
        }
        self.allowed = Some(keys);
        self.has_grown = true;
        Ok(())
    }

    /// Whoever was expelled for long enough is no longer.
    pub(super) fn expire(&mut self, now: Mono) {
        let before = self.expelled.len();
        self.expelled.retain(|_, until| now < *until);
        self.has_grown |= self.expelled.len() < before;
    }

    /// When the timer is to be set, if it is: at the next end of an expulsion, unless it is set for that or earlier.
    pub(super) fn next_alarm(&mut self, now: Mono) -> Option<Mono> {
        self.alarm = self.alarm.filter(|at| now < *at);
        let first = self.expelled.values().min().copied()?;
        if self.alarm.is_some_and(|at| at <= first) {
            return None;
        }
        self.alarm = Some(first);
        self.alarm
    }

    /// Whether keys have been admitted since this was asked.
    pub(super) const fn takes_grown(&mut self) -> bool {
        self.is_unread |= self.has_grown;
        std::mem::replace(&mut self.has_grown, false)
    }

    /// Whether the store is to be read for those who have been admitted.
    pub(super) const fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// It is being read.
    pub(super) const fn is_read(&mut self) {
        self.is_unread = false;
    }

    /// The keys on the allow-list, if there is one.
    pub(super) const fn allowed(&self) -> Option<&BTreeSet<PublicKey>> {
        self.allowed.as_ref()
    }

    /// The keys that are expelled, each with for how long it still is.
    pub(super) fn expelled(&self, now: Mono) -> impl Iterator<Item = (PublicKey, Duration)> {
        let left = move |(key, until): (&PublicKey, &Mono)| (*key, until.since(now));
        self.expelled.iter().map(left).filter(|(_, left)| !left.is_zero())
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn check(&self, recount: &mut super::check::Recount) {
        recount.holds(self.expelled.len() <= MAX_EXPELLED, "more keys are expelled than may be");
        let allowed = self.allowed.as_ref().map_or(0, BTreeSet::len);
        recount.holds(allowed <= MAX_ALLOWED, "the allow-list has more keys than it may");
    }
}

const fn outcome(changed: bool) -> AdmissionOutcome {
    if changed { AdmissionOutcome::Changed } else { AdmissionOutcome::Unchanged }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(number: usize) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        PublicKey::from_bytes(bytes)
    }

    fn at(seconds: u64) -> Mono {
        Mono::default().plus(Duration::from_secs(seconds))
    }

    fn expel(number: usize, lasts: Duration) -> AdmissionChange {
        AdmissionChange::Expel { key: key(number), lasts }
    }

    #[test]
    fn a_full_table_of_expelled_keys_refuses_one_more_until_one_has_gone() {
        let mut admission = Admission::new(key(usize::MAX), None);
        for number in 0..MAX_EXPELLED {
            admission.changes(expel(number, MINUTE), at(1)).unwrap();
        }
        let more = expel(MAX_EXPELLED, MINUTE);
        assert_eq!(admission.changes(more, at(1)), Err(AdmissionRefusal::TooManyExpelled));
        assert_eq!(admission.refuses(&key(MAX_EXPELLED), at(1)), None, "nothing has changed");
        // One that is in the table may have another time, and one that is admitted again leaves its place.
        assert_eq!(admission.changes(expel(0, 2 * MINUTE), at(1)), Ok(AdmissionOutcome::Changed));
        assert_eq!(admission.changes(AdmissionChange::Admit(key(1)), at(1)), Ok(AdmissionOutcome::Changed));
        assert_eq!(admission.changes(more, at(1)), Ok(AdmissionOutcome::Changed));
        assert_eq!(admission.expelled.len(), MAX_EXPELLED);
        // So do all whose time is over, before anybody has looked.
        assert_eq!(admission.changes(expel(1, MINUTE), at(61)), Ok(AdmissionOutcome::Changed));
        let left: Vec<_> = admission.expelled(at(61)).collect();
        assert_eq!(left, [(key(0), MINUTE), (key(1), MINUTE)]);
    }

    #[test]
    fn a_full_allow_list_refuses_one_more_until_one_is_taken_off() {
        let mut admission = Admission::new(key(usize::MAX), Some((0..MAX_ALLOWED).map(key).collect()));
        let more = AdmissionChange::Admit(key(MAX_ALLOWED));
        assert_eq!(admission.changes(more, at(1)), Err(AdmissionRefusal::TooManyAllowed));
        assert_eq!(admission.refuses(&key(MAX_ALLOWED), at(1)), Some(Reason::NotAdmitted));
        assert_eq!(admission.changes(AdmissionChange::Admit(key(0)), at(1)), Ok(AdmissionOutcome::Unchanged));
        let off = AdmissionChange::Disallow(key(0));
        assert_eq!(admission.changes(off, at(1)), Ok(AdmissionOutcome::Changed));
        assert_eq!(admission.changes(off, at(1)), Ok(AdmissionOutcome::Unchanged));
        assert_eq!(admission.changes(more, at(1)), Ok(AdmissionOutcome::Changed));
        let all = (0..=MAX_ALLOWED).map(key).collect();
        assert_eq!(admission.allow_only(all), Err(AdmissionRefusal::TooManyAllowed));
    }

    #[test]
    fn an_expulsion_ends_by_itself_or_when_the_key_is_admitted() {
        let own = key(usize::MAX);
        for allowed in [None, Some(vec![key(1)])] {
            let mut admission = Admission::new(own, allowed);
            assert_eq!(admission.changes(expel(1, MINUTE), at(0)), Ok(AdmissionOutcome::Changed));
            assert_eq!(admission.refuses(&key(1), at(59)), Some(Reason::Expelled));
            assert!(!admission.shows(&key(1), at(59)));
            assert_eq!((admission.refuses(&key(1), at(60)), admission.takes_grown()), (None, false));
            admission.expire(at(60));
            assert!(admission.takes_grown() && !admission.takes_grown(), "it is told once");
            // The last one's time holds, whether it is longer or shorter.
            admission.changes(expel(1, 9 * MINUTE), at(60)).unwrap();
            admission.changes(expel(1, MINUTE), at(60)).unwrap();
            assert_eq!(admission.refuses(&key(1), at(120)), None);
            admission.changes(expel(1, Duration::MAX), at(120)).unwrap();
            assert_eq!(admission.refuses(&key(1), at(1 << 32)), Some(Reason::Expelled));
            let admit = AdmissionChange::Admit(key(1));
            assert_eq!(admission.changes(admit, at(121)), Ok(AdmissionOutcome::Changed));
            assert_eq!((admission.refuses(&key(1), at(121)), admission.takes_grown()), (None, true));
            let open = admission.allowed.is_none();
            let again = if open { AdmissionOutcome::Open } else { AdmissionOutcome::Unchanged };
            assert_eq!((admission.changes(admit, at(121)), admission.takes_grown()), (Ok(again), false));
            // The node itself never links to itself, and is always a member.
            assert_eq!(admission.refuses(&own, at(121)), Some(Reason::NotAdmitted));
            assert!(admission.shows(&own, at(121)));
            let itself = AdmissionChange::Expel { key: own, lasts: MINUTE };
            assert_eq!(admission.changes(itself, at(121)), Err(AdmissionRefusal::OwnKey));
        }
    }
}
