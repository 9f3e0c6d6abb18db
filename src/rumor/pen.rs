//! The pen: hands an author positions, each once, whatever the clock or a crash does.

use super::{Position, RuleSet, Spans};

/// How far ahead of its clock an author's position log records at the least, in milliseconds beyond the current tick. A restart within
/// that time waits for the rest of it; a longer lead means fewer syncs to disk and a longer wait. (Guess: 2 s.)
pub const POSITION_LOG_LEAD: u64 = 2_000;

/// Stretches of ticks whose used slots are remembered apart: as many as [`Spans`] keep.
const MAX_USED: usize = super::MAX_SPANS;

/// Gives out positions in one topic, each once. They never run ahead of the author's own clock, and increase for as long as it
/// does. When it steps back over ticks that were used, the slots that are left of those are given out, and no other.
///
/// With a position log, no tick is used before the position log has recorded it durably: so after a crash every position that may
/// have been used lies in what is recorded, and the next pen says nothing there. Without one, the author's silence at
/// the start is all that protects a loaded key.
#[derive(Clone, Debug)]
pub struct Pen {
    tick_len: super::TickLen,
    slots: u16,
    /// The slot that a tick of which none was used begins with.
    begins: u16,
    /// The tick last asked for, its first slot that was free then, and its first free slot now.
    tick: u64,
    from: u16,
    next: u16,
    /// Ticks used before it, sorted and apart.
    used: Vec<Used>,
    /// Unix milliseconds of ticks at which an earlier life may have spoken.
    earlier: Spans,
}

/// Ticks `[first, end)`, at none of which a slot from `slot` on was used.
#[derive(Clone, Copy, Debug)]
struct Used {
    first: u64,
    end: u64,
    slot: u16,
}

/// What [`Pen::reserve`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "slots that were reserved are gone, used or not"]
#[non_exhaustive]
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
    /// Record durably, first, that positions in this time may have been used.
    RecordFirst {
        /// Where the tick begins, Unix milliseconds.
        from_ms: u64,
        /// Where it ends.
        until_ms: u64,
    },
}

impl Pen {
    /// A pen for a topic that says nothing at ticks that have anything in common with `earlier` (Unix milliseconds): what the
    /// position log had recorded when the process started, or nothing for a key that nobody can have used before.
    #[must_use]
    pub fn new(rules: &RuleSet, earlier: Spans) -> Self {
        let slots = rules.slots_per_tick();
        Self {
            tick_len: rules.tick_len(),
            slots,
            begins: 0,
            tick: 0,
            from: 0,
            next: 0,
            used: Vec::new(),
            earlier,
        }
    }

    /// Lets each tick of which no slot was used begin with this one from now on; those before it stay unused. If it is drawn at random,
    /// two writers with one key that speak in the same tick rarely use the same position, and notice each other before they do.
    pub fn begins_at(&mut self, slot: u16) {
        self.begins = slot.min(self.slots.saturating_sub(1));
    }

    /// Reserves up to `want` consecutive slots at the tick of `unix_ms`. `recorded` is what the position log has recorded in this life
    /// (Unix milliseconds, `from..until`), `None` without a position log.
    pub fn reserve(&mut self, unix_ms: u64, want: u16, recorded: Option<(u64, u64)>) -> Reservation {
        let tick = self.tick_len.tick_at(unix_ms);
        if tick != self.tick {
            self.turn_to(tick);
        }
        let count = want.min(self.slots.saturating_sub(self.next));
        if count == 0 || self.is_earlier(tick) {
            return Reservation::WaitUntil(self.tick_len.start_of(self.free_from(tick)));
        }
        let (from_ms, until_ms) = (self.tick_len.start_of(tick), self.tick_len.end_of(tick));
        if recorded.is_some_and(|(from, until)| from_ms < from || until_ms > until) {
            return Reservation::RecordFirst { from_ms, until_ms };
        }
        let first = Position { tick, slot: self.next };
        self.next = self.next.saturating_add(count);
        Reservation::Slots { first, count }
    }

    /// Unix time in milliseconds from which on there are slots: `unix_ms` itself, if there are some at its tick.
    #[must_use]
    pub fn silent_until(&self, unix_ms: u64) -> u64 {
        let tick = self.tick_len.tick_at(unix_ms);
        self.tick_len.start_of(self.free_from(tick)).max(unix_ms)
    }

    /// When its positions were used, Unix milliseconds.
    #[must_use]
    pub fn used(&self) -> Spans {
        let mut spans = Spans::default();
        let mut add = |first, end| spans.add(self.tick_len.start_of(first), self.tick_len.start_of(end));
        self.used.iter().for_each(|used| add(used.first, used.end));
        if self.next > self.from {
            add(self.tick, self.tick.saturating_add(1));
        }
        spans
    }

    #[cfg(test)]
    pub(crate) fn earlier(&self) -> &Spans {
        &self.earlier
    }

    fn turn_to(&mut self, tick: u64) {
        if self.next > self.from {
            self.note(Used { first: self.tick, end: self.tick.saturating_add(1), slot: self.next });
        }
        let slot = self.slot_of(tick);
        (self.tick, self.from, self.next) = (tick, slot, slot);
    }

    /// The first slot of a tick that was not used, or may not have been.
    fn slot_of(&self, tick: u64) -> u16 {
        if tick == self.tick {
            return self.next;
        }
        let used = self.used.iter().find(|used| used.first <= tick && tick < used.end);
        used.map_or(self.begins, |used| used.slot)
    }

    /// Notes used ticks; those that touch become one stretch, and so do the two lowest when there are too many.
    fn note(&mut self, new: Used) {
        let join = |a: Used, b: Used| Used {
            first: a.first.min(b.first),
            end: a.end.max(b.end),
            slot: a.slot.max(b.slot),
        };
        let begin = self.used.partition_point(|used| used.end < new.first);
        let end = self.used.partition_point(|used| used.first <= new.end);
        let touched = self.used.get(begin..end).unwrap_or_default();
        let joined = touched.iter().copied().fold(new, join);
        self.used.splice(begin..end.max(begin), [joined]);
        if self.used.len() > MAX_USED
            && let [a, b, ..] = *self.used.as_slice()
        {
            self.used.splice(..2, [join(a, b)]);
        }
    }

    fn is_earlier(&self, tick: u64) -> bool {
        self.earlier.overlaps(self.tick_len.start_of(tick), self.tick_len.end_of(tick))
    }

    /// The first tick from this one on at which there is a free slot.
    fn free_from(&self, tick: u64) -> u64 {
        let mut tick = tick;
        // Each round leaves one stretch behind.
        for _ in 0..=2 * MAX_USED + 1 {
            let (start, end) = (self.tick_len.start_of(tick), self.tick_len.end_of(tick));
            let full = self.slot_of(tick) >= self.slots;
            tick = match self.earlier.overlap_end(start, end) {
                Some(over) => self.tick_len.first_from(over),
                None if full => {
                    let used = self.used.iter().find(|used| used.first <= tick && tick < used.end);
                    used.map_or(tick.saturating_add(1), |used| used.end)
                }
                None => break,
            };
        }
        tick
    }
}
