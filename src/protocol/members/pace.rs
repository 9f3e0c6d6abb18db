//! When records are passed on: what comes too fast waits for its turn, and the newest record of a key is passed on in the end.
//!
//! ```text
//!   comes ── its key and all together are within their pace ──> passed on
//!     └──> waits ── a newer one of its key takes its place ──> waits ── its turn ──> passed on
//! ```
//!
//! Only passing on has a pace. What a record says is shown at once, and whoever asks is given it.

use std::collections::{BTreeMap, VecDeque};

use crate::key::PublicKey;
use crate::protocol::Mono;
use crate::protocol::limits::{
    RECORD_OF_KEY_EVERY_S, RECORDS_AT_ONCE, RECORDS_COUNTED_FOR, RECORDS_OF_KEY_AT_ONCE, RECORDS_PER_S,
    TURNS_FOR_OLDEST,
};
use crate::protocol::meter::Meter;
use crate::rumor::BundleId;

/// What is remembered of a key whose records were passed on.
#[derive(Debug)]
struct Passed {
    /// Its seconds: one record takes as many as lie between two.
    pace: Meter,
    /// When, as long as it counts. (So many come at the pace, and what a node says as it leaves.)
    at: VecDeque<Mono>,
}

impl Passed {
    fn new() -> Self {
        let burst = RECORDS_OF_KEY_AT_ONCE.saturating_mul(RECORD_OF_KEY_EVERY_S);
        Self { pace: Meter::new(1, burst), at: VecDeque::new() }
    }

    fn counts(&self, now: Mono) -> usize {
        self.at.iter().filter(|at| now.since(**at) < RECORDS_COUNTED_FOR).count()
    }

    fn free_from(&self, now: Mono) -> Mono {
        self.pace.allows_from(now, RECORD_OF_KEY_EVERY_S)
    }

    fn passes(&mut self, now: Mono) {
        self.pace.charge(now, RECORD_OF_KEY_EVERY_S);
        self.at.retain(|at| now.since(*at) < RECORDS_COUNTED_FOR);
        self.at.push_back(now);
    }
}

/// A record that waits for its turn.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: BundleId,
    /// How many of its key had been passed on lately when it began to wait.
    passed: usize,
    /// Since when its key has waited, whichever of its records was the newest then.
    since: Mono,
    /// From when on its key may go, by its own pace: nothing of a key is passed on while it waits.
    from: Mono,
}

/// What a turn brings.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What is passed on, in order.
    pub(super) go: Vec<BundleId>,
    /// Whose record could not be.
    pub(super) gone: Vec<PublicKey>,
}

/// See the [module](self). It knows members only, and of each at most one record waits.
#[derive(Debug)]
pub(super) struct Pace {
    keys: BTreeMap<PublicKey, Passed>,
    waiting: BTreeMap<PublicKey, Waiting>,
    all: Meter,
    turns: u32,
    /// When the next one that waits may go, at the earliest.
    due: Option<Mono>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            waiting: BTreeMap::new(),
            all: Meter::new(RECORDS_PER_S, RECORDS_AT_ONCE),
            turns: 0,
            due: None,
        }
    }
}

impl Pace {
    /// The newest record of a member is to be passed on. True if that is now; else it waits.
    pub(super) fn comes(&mut self, key: PublicKey, id: BundleId, now: Mono) -> bool {
        let passed = self.keys.get(&key);
        let from = passed.map_or(now, |passed| passed.free_from(now));
        let at = from.max(self.all.allows_from(now, 1));
        // Whoever may go by now goes first.
        if at <= now && self.due.is_none_or(|due| due > now) {
            self.waiting.remove(&key);
            self.passes(key, now);
            return true;
        }
        let passed = passed.map_or(0, |passed| passed.counts(now));
        self.waiting.entry(key).or_insert(Waiting { id, passed, since: now, from }).id = id;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
        false
    }

    /// What this node says as it leaves does not wait. It counts all the same.
    pub(super) fn goes_at_once(&mut self, key: PublicKey, now: Mono) {
        self.waiting.remove(&key);
        self.passes(key, now);
    }

    /// A newer record of a member is known: it takes the place of one that waits, which is passed on no more. True if one did.
    pub(super) fn supersedes(&mut self, key: &PublicKey, id: BundleId) -> bool {
        let waits = self.waiting.get_mut(key);
        waits.is_some_and(|waiting| std::mem::replace(&mut waiting.id, id) != id)
    }

    /// Whether this record waits for its turn.
    pub(super) fn waits(&self, key: &PublicKey, id: &BundleId) -> bool {
        self.waiting.get(key).is_some_and(|waiting| waiting.id == *id)
    }

    /// Those whose turn it is now: keys of which the fewest were passed on lately come first, those of which none was before all others.
    /// What is not `held` any more, or not yet, can't be passed on: it takes no turn.
    pub(super) fn lets_go(&mut self, held: impl Fn(&BundleId) -> bool, now: Mono) -> Turn {
        let mut turn = Turn::default();
        if self.due.is_none_or(|due| due > now) {
            return turn;
        }
        // Among a thousand members that start together some hundreds wait, for a minute, so little is done here for each.
        let ready = self.waiting.iter().filter(|(_, waiting)| waiting.from <= now);
        let mut ready: Vec<_> = ready.map(|(key, waiting)| (waiting.passed, waiting.since, *key)).collect();
        while self.all.allows(now, 1) {
            // Else ever new keys could keep all others waiting.
            let for_oldest = self.turns.wrapping_add(1).is_multiple_of(TURNS_FOR_OLDEST);
            let before = |(passed, since, key)| (if for_oldest { 0 } else { passed }, since, key);
            let first = (0..ready.len()).min_by_key(|at| ready.get(*at).copied().map(before));
            let Some(first) = first else { break };
            let (_, _, key) = ready.swap_remove(first);
            let Some(waiting) = self.waiting.remove(&key) else { continue };
            if held(&waiting.id) {
                self.turns = self.turns.wrapping_add(1);
                self.passes(key, now);
                turn.go.push(waiting.id);
            } else {
                turn.gone.push(key);
                // Where one is held no more others are not either, as many as were said in its second: all are looked at, once.
                ready.retain(|(_, _, key)| {
                    let is_held = self.waiting.get(key).is_some_and(|waiting| held(&waiting.id));
                    if !is_held {
                        self.waiting.remove(key);
                        turn.gone.push(*key);
                    }
                    is_held
                });
            }
        }
        let free = self.all.allows_from(now, 1);
        self.due = self.waiting.values().map(|waiting| waiting.from.max(free)).min();
        turn
    }

    /// When the next one that waits may go, at the earliest.
    pub(super) const fn due(&self) -> Option<Mono> {
        self.due
    }

    /// A member is remembered no more. True if a record of it waited.
    pub(super) fn forget(&mut self, key: &PublicKey) -> bool {
        self.keys.remove(key);
        self.waiting.remove(key).is_some()
    }

    fn passes(&mut self, key: PublicKey, now: Mono) {
        self.all.charge(now, 1);
        self.keys.entry(key).or_insert_with(Passed::new).passes(now);
    }
}

#[cfg(any(test, feature = "sim"))]
impl Pace {
    /// `newest` gives the newest record of a member; none of who is no member.
    pub(super) fn check(
        &self,
        newest: impl Fn(&PublicKey) -> Option<BundleId>,
        recount: &mut crate::protocol::check::Recount,
    ) {
        let strangers = self.keys.keys().filter(|key| newest(key).is_none()).count();
        recount.same("keys with a pace that are no members", strangers, 0);
        let old = self.waiting.iter().filter(|(key, waiting)| newest(key) != Some(waiting.id)).count();
        recount.same("records that wait and are not the newest of a member", old, 0);
        recount.holds(self.waiting.is_empty() || self.due.is_some(), "records wait for no time");
        // (The last of them is what a node says as it leaves.)
        let most = RECORDS_OF_KEY_AT_ONCE + RECORDS_COUNTED_FOR.as_secs() / RECORD_OF_KEY_EVERY_S + 1;
        let fast = self.keys.values().filter(|passed| passed.at.len() as u64 > most).count();
        recount.same("keys whose records are passed on too fast", fast, 0);
    }
}
