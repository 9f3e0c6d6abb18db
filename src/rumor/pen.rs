//! The pen: hands an author positions, each once, whatever the clock or a crash does.

use super::{Position, RuleSet};

/// How far ahead of its clock an author's ledger records, in milliseconds beyond the current tick. A restart within
/// that time waits for the rest of it; a longer lead means fewer syncs to disk and a longer wait. (Guess: 2 s.)
pub const LEDGER_LEAD: u64 = 2_000;

/// Gives out positions in one topic. They strictly increase and never run ahead of the author's own clock.
///
/// With a ledger, no tick is used before the ledger has recorded it durably: so after a crash every position that may
/// have been used lies before the recorded time, and the pen starts there. Without one, [`Pen::mute_until`] is all that
/// protects a loaded key.
#[derive(Clone, Debug)]
pub struct Pen {
    tick_len: super::TickLen,
    slots: u16,
    /// The next position not yet given out.
    next: Position,
    /// Nothing is said at ticks that start before this, Unix milliseconds.
    not_before: u64,
}

/// What [`Pen::reserve`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reservation {
    /// These are yours: `count` slots from `first` on, never given out again.
    Slots {
        /// The first position.
        first: Position,
        /// How many consecutive slots.
        count: u16,
    },
    /// Ask again at this Unix time in milliseconds: the slots of the tick are used up, or it is too early to speak.
    WaitUntil(u64),
    /// Record durably, first, that positions before this Unix time in milliseconds may have been used.
    RecordFirst(u64),
}

impl Pen {
    /// A pen for a topic that says nothing at ticks starting before `not_before` (Unix milliseconds): what the ledger
    /// had recorded when the process started, or 0 for a key that nobody can have used before.
    pub fn new(rules: &RuleSet, not_before: u64) -> Self {
        Self {
            tick_len: rules.tick_len(),
            slots: rules.slots_per_tick(),
            next: Position { tick: 0, slot: 0 },
            not_before,
        }
    }

    /// Keeps the pen silent at ticks starting before `unix_ms`: for a loaded key without a ledger, start + clock skew +
    /// one tick, after which whatever it said in an earlier life is refused by every window.
    pub fn mute_until(&mut self, unix_ms: u64) {
        self.not_before = self.not_before.max(unix_ms);
    }

    /// Reserves up to `want` consecutive slots at the tick of `unix_ms`. `recorded_until` is the Unix time in
    /// milliseconds up to which the ledger has recorded, `u64::MAX` without a ledger.
    pub fn reserve(&mut self, unix_ms: u64, want: u16, recorded_until: u64) -> Reservation {
        let tick = self.tick_len.tick_at(unix_ms);
        if self.tick_len.start_of(tick) < self.not_before {
            return Reservation::WaitUntil(self.next_start(self.not_before));
        }
        if tick < self.next.tick {
            // The clock stepped back: positions never do.
            return Reservation::WaitUntil(self.tick_len.start_of(self.next.tick));
        }
        if tick > self.next.tick {
            self.next = Position { tick, slot: 0 };
        }
        let count = want.min(self.slots.saturating_sub(self.next.slot));
        if count == 0 {
            return Reservation::WaitUntil(self.tick_len.end_of(tick));
        }
        if self.tick_len.end_of(tick) > recorded_until {
            return Reservation::RecordFirst(self.tick_len.end_of(tick).saturating_add(LEDGER_LEAD));
        }
        let first = self.next;
        self.next.slot = self.next.slot.saturating_add(count);
        Reservation::Slots { first, count }
    }

    /// The first tick of which nothing has been given out.
    pub(crate) fn next_tick(&self) -> u64 {
        self.next.tick.saturating_add(u64::from(self.next.slot > 0))
    }

    /// The first tick boundary at or after `unix_ms`.
    fn next_start(&self, unix_ms: u64) -> u64 {
        let tick = self.tick_len.tick_at(unix_ms);
        let start = self.tick_len.start_of(tick);
        if start == unix_ms { start } else { self.tick_len.end_of(tick) }
    }
}
