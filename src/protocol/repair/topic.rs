//! One kept topic: whether the store has opened it, from which tick on it is kept, and how much of it there may be.

use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use super::facts::{OPEN_AGAIN, Telling};
use super::removal::Removal;
use crate::protocol::keeping::{Forget, Forgotten, Full, KeepOptions, Keeping, Killed, Opened, Size};
use crate::protocol::limits::{HEADS_COMPARED, RELAY_FUTURE, RELAY_PAST};
use crate::protocol::topics::window::MAX_SKEW;
use crate::protocol::{HistoryConfig, Mono, Now};
use crate::rumor::{Header, RuleSet};

/// Expired ticks are removed when a thirty-second part of the retention has gone by since the last time, and in between these times.
/// (Guess: a removal is a commit, of some 100 kB at least.)
const EXPIRY_PARTS: u32 = 32;
const OFTENEST_EXPIRY: Duration = Duration::from_secs(10);
const RAREST_EXPIRY: Duration = Duration::from_secs(600);
/// What was replaced in a topic of state is removed as if its retention were this. (Guess: twice what such a topic holds, in ten minutes.)
const DEAD_WITHIN: Duration = Duration::from_secs(600);

/// How far the store is with a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The store was asked to open it. Nothing of it is told, compared or published meanwhile.
    Opening,
    /// It is open.
    Open,
    /// The store could not open it, at this time. It is tried again; meanwhile the topic lives without a past.
    Failed(Mono),
}

/// A topic that is kept.
#[derive(Debug)]
pub(in crate::protocol) struct KeptTopic {
    rules: Arc<RuleSet>,
    phase: Phase,
    options: KeepOptions,
    /// The first tick that the store may keep.
    floor: u64,
    /// The first tick that is compared, served and taken: the floor, or the start of the retention if the clock is confirmed.
    low: u64,
    /// The latest tick of which something is held.
    newest: u64,
    size: Size,
    /// What the store was told.
    telling: Telling,
    removal: Removal,
    /// When expired ticks are removed next.
    expires_at: Mono,
    /// In a topic of state: the earliest tick in which something ended that is still held; and when it may be removed.
    dead_from: Option<u64>,
    /// The latest tick in which something has ended: when all before it was removed, there is nothing more to remove.
    dead_upto: u64,
    dead_at: Mono,
    /// Its heads.
    book: Book,
    /// Peers are told that they may ask about its past.
    keeps: bool,
}

impl KeptTopic {
    /// The store is being asked to open it.
    pub(in crate::protocol) fn new(rules: Arc<RuleSet>, options: KeepOptions, now: Mono) -> Self {
        let (topic, tick) = (rules.id(), rules.tick_len());
        let is_state = rules.kind().is_state();
        let book =
            if is_state { Book::of_state(topic, tick) } else { Book::new(topic, tick, HEADS_COMPARED) };
        Self {
            rules,
            phase: Phase::Opening,
            options,
            floor: 0,
            low: 0,
            newest: 0,
            size: Size::default(),
            telling: Telling::default(),
            removal: Removal::default(),
            expires_at: now,
            dead_from: None,
            dead_upto: 0,
            dead_at: now,
            book,
            keeps: false,
        }
    }

    /// Whether peers are told that they may ask about its past.
    pub(in crate::protocol) const fn keeps(&self) -> bool {
        self.keeps
    }

    /// They are told so, or no longer. Gives whether that changes anything.
    pub(in crate::protocol) const fn set_keeps(&mut self, keeps: bool) -> bool {
        std::mem::replace(&mut self.keeps, keeps) != keeps
    }

    /// Its heads.
    pub(in crate::protocol) const fn book(&self) -> &Book {
        &self.book
    }

    /// The same, to change.
    pub(in crate::protocol) const fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    /// What is too old to be asked for, or over, is not compared any more.
    pub(in crate::protocol) fn heads_expire(&mut self, now: Now) {
        self.book.expire(now.unix_ms);
        self.book.raise(self.low);
    }

    /// Whether the store has opened it.
    pub(in crate::protocol) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the store was asked to open it and has not answered.
    pub(in crate::protocol) fn is_opening(&self) -> bool {
        self.phase == Phase::Opening
    }

    /// The rules that its id commits to.
    pub(in crate::protocol) const fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What was chosen for it.
    pub(in crate::protocol) const fn options(&self) -> KeepOptions {
        self.options
    }

    /// Something else is chosen for it; what is not said stays.
    pub(in crate::protocol) fn set_options(&mut self, options: KeepOptions) {
        self.options = self.options.then(options);
    }

    /// The version of the local judge, of which what is rejected is noted.
    pub(in crate::protocol) fn judged_by(&self) -> u32 {
        self.options.judged_by.unwrap_or(0)
    }

    /// The first tick that is compared, served and taken.
    pub(in crate::protocol) const fn low(&self) -> u64 {
        self.low
    }

    /// What the store holds of it.
    pub(in crate::protocol) const fn size(&self) -> Size {
        self.size
    }

    /// The store is asked to open it so.
    pub(in crate::protocol) const fn asks(&mut self, keeping: &Keeping) {
        self.telling.asks(keeping);
    }

    /// Whether the store should be asked to open it anew: it may have lost something, or was told something else. Not while it is being
    /// asked, or could not just now.
    pub(in crate::protocol) fn opens_anew(&self, keeping: &Keeping, now: Mono) -> bool {
        let other = self.book.has_doubt() || self.telling.is_other(keeping);
        self.is_open() && other && self.telling.may_ask(now)
    }

    /// The store has opened it anew.
    pub(in crate::protocol) fn is_told(&mut self) {
        self.telling.is_told();
    }

    /// What is done when there is no room.
    pub(in crate::protocol) fn full(&self) -> Full {
        let default = if self.retention().is_some() { Full::DropOldest } else { Full::Refuse };
        self.options.full.unwrap_or(default)
    }

    /// How long it is kept; `None` for ever.
    fn retention(&self) -> Option<Duration> {
        self.rules.retention().duration()
    }

    /// What the store is told when it opens the topic.
    pub(super) fn keeping(&self, config: &HistoryConfig, reserve: u64, shared: u64, now: Now) -> Keeping {
        let len = self.rules.tick_len();
        let recent = RELAY_PAST + self.rules.hold_back().unwrap_or_default() + MAX_SKEW;
        Keeping {
            // A topic of state takes no new keys beyond its reserve: which ones replace others only the store knows.
            bytes: if self.rules.kind().is_state() { reserve } else { config.topic_bytes },
            shared,
            authors: u64::try_from(config.topic_heads).unwrap_or(u64::MAX),
            judged_by: self.options.judged_by,
            recent_from: len.tick_at(now.unix_ms.saturating_sub(millis(recent))),
            latest: len.tick_at(now.unix_ms.saturating_add(millis(RELAY_FUTURE))),
        }
    }

    /// The store has opened it.
    pub(in crate::protocol) fn opened(&mut self, opened: &Opened) {
        self.phase = Phase::Open;
        self.telling.is_told();
        self.floor = opened.floor;
        self.low = self.low.max(opened.floor);
        self.size = opened.size;
        self.removal = Removal::default();
        self.dead_from = opened.dead.iter().map(|(_, in_tick)| *in_tick).min();
        self.dead_upto = opened.dead.iter().map(|(_, in_tick)| *in_tick).max().unwrap_or(0);
        self.newest = opened.heads.iter().map(|head| head.position.tick).max().unwrap_or(0);
    }

    /// The store could not open it: at first, or anew.
    pub(in crate::protocol) fn failed(&mut self, now: Mono) {
        self.telling.failed(now);
        if self.phase == Phase::Opening {
            self.phase = Phase::Failed(now);
        }
    }

    /// Whether the store should be asked to open it now; then it is.
    pub(in crate::protocol) fn opens_again(&mut self, now: Mono) -> bool {
        let due = matches!(self.phase, Phase::Failed(at) if now.since(at) >= OPEN_AGAIN);
        if due {
            self.phase = Phase::Opening;
        }
        due
    }

    /// The store has started anew, and is asked to open it again.
    pub(in crate::protocol) fn reopens(&mut self) {
        self.phase = Phase::Opening;
        self.removal = Removal::default();
    }

    /// A bundle is held that was not before.
    pub(in crate::protocol) fn gained(&mut self, header: &Header, bytes: u64) {
        self.newest = self.newest.max(header.tick);
        self.size.bytes = self.size.bytes.saturating_add(bytes);
        self.size.bundles = self.size.bundles.saturating_add(1);
    }

    /// Bundles of a topic of state are live no more.
    pub(in crate::protocol) fn lost(&mut self, killed: &[Killed]) {
        let first = killed.iter().map(|killed| killed.in_tick).min();
        self.dead_from = self.dead_from.into_iter().chain(first).min();
        self.dead_upto = killed.iter().map(|killed| killed.in_tick).fold(self.dead_upto, u64::max);
    }

    /// A second has gone by.
    pub(in crate::protocol) fn earns_removal(&mut self) {
        self.removal.earns(self.size.bundles, self.retention().unwrap_or(DEAD_WITHIN));
    }

    /// The tick before which what has ended is to be removed, if there is any and it is time.
    pub(in crate::protocol) fn forgets_dead(&self, now: Now, dead_for: Duration) -> Option<u64> {
        let before = self.rules.tick_len().tick_at(now.unix_ms.saturating_sub(millis(dead_for)));
        let due = self.is_open() && !self.removal.is_under_way() && now.mono >= self.dead_at;
        self.dead_from.filter(|from| due && *from < before).map(|_| before)
    }

    /// Moves the start of the retention on by a clock that is confirmed. Gives the tick below which the store should remove, when that
    /// is due.
    pub(in crate::protocol) fn expires(&mut self, now: Now) -> Option<u64> {
        let start = self.rules.tick_len().tick_at(now.unix_ms.saturating_sub(millis(self.retention()?)));
        self.low = start.max(self.floor);
        let due = !self.removal.is_under_way() && now.mono >= self.expires_at && self.size.bundles > 0;
        (due && (start > self.floor || self.removal.is_unfinished())).then_some(start)
    }

    /// Whether a step of removing that is due may be given: the one that all topics share, or one of its own.
    pub(in crate::protocol) fn pays_removal(&mut self, is_shared: bool) -> bool {
        self.removal.pays(is_shared)
    }

    /// A step of removing is to be given to the store. There is one at a time: false if there is one.
    pub(in crate::protocol) fn removes(&mut self, what: Forget, now: Mono) -> bool {
        let begins = self.removal.begins();
        match what {
            Forget::Below(_) if begins => {
                let every = self.retention().unwrap_or_default() / EXPIRY_PARTS;
                self.expires_at = now.plus(every.clamp(OFTENEST_EXPIRY, RAREST_EXPIRY));
            }
            Forget::Dead { killer_before } if begins => {
                self.dead_at = now.plus(OFTENEST_EXPIRY);
                self.dead_from = (self.dead_upto >= killer_before).then_some(killer_before);
            }
            _ => {}
        }
        begins
    }

    /// It is done, or has failed. Gives whether the next step may follow at once: what is over goes at a pace, and what there is no room
    /// for, or what a convicted author has said, does not.
    pub(in crate::protocol) fn removed(&mut self, what: Forget, left: Option<Forgotten>, now: Mono) -> bool {
        let more = left.is_some_and(|left| left.more);
        let is_paced = matches!(what, Forget::Below(_) | Forget::Dead { .. });
        self.removal.ends(more && matches!(what, Forget::Below(_)));
        if matches!(what, Forget::Dead { .. }) && (left.is_none() || more) {
            // What is still there is asked for again.
            self.dead_from = Some(0);
        }
        match what {
            Forget::Below(_) if more => self.expires_at = now,
            Forget::Dead { .. } if more => self.dead_at = now,
            _ => {}
        }
        if let Some(left) = left {
            (self.floor, self.size) = (left.floor, left.size);
            self.low = self.low.max(left.floor);
        }
        more && (!is_paced || self.removal.pays(false))
    }

    /// The clock is not confirmed: only the floor counts.
    pub(in crate::protocol) const fn rests_on_floor(&mut self) {
        self.low = self.floor;
    }

    /// Whether what is held is so old that a clock without a link to confirm it may be the one that is wrong.
    pub(in crate::protocol) fn is_stale(&self, now: Now) -> bool {
        let Some(retention) = self.retention() else { return false };
        let newest = self.rules.tick_len().end_of(self.newest);
        self.size.bundles > 0 && newest.saturating_add(millis(retention)) < now.unix_ms
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
