//! Positions: where in time an author says something. `(tick, slot)`, each owned once.

use std::fmt;
use std::str::FromStr;

/// Shortest tick, milliseconds. Below it, clock granularity and spread time make a tick meaningless (guess).
pub const MIN_TICK_LEN: u32 = 100;
/// Longest tick, milliseconds. Above it a tick no longer fits well inside the windows of 30 to 90 s (guess).
pub const MAX_TICK_LEN: u32 = 10_000;

/// Length of a tick in milliseconds, `MIN_TICK_LEN..=MAX_TICK_LEN`, so that dividing by it is safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TickLen(u32);

impl TickLen {
    /// A second.
    pub(crate) const SECOND: Self = Self(1_000);

    /// A tick of `millis` milliseconds, or `None` outside 100 ms to 10 s.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Option<Self> {
        if millis >= MIN_TICK_LEN && millis <= MAX_TICK_LEN { Some(Self(millis)) } else { None }
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u32 {
        self.0
    }

    /// The tick that contains `unix_ms` (milliseconds since the Unix epoch).
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "a tick length is never zero")]
    pub const fn tick_at(self, unix_ms: u64) -> u64 {
        unix_ms / self.0 as u64
    }

    /// When `tick` starts, in Unix milliseconds. Saturates, since the tick may be a peer's.
    #[must_use]
    pub const fn start_of(self, tick: u64) -> u64 {
        tick.saturating_mul(self.0 as u64)
    }

    /// The first tick that starts at `unix_ms` or later.
    pub(super) const fn first_from(self, unix_ms: u64) -> u64 {
        unix_ms.div_ceil(self.0 as u64)
    }

    /// When `tick` is over, in Unix milliseconds. Saturates, since the tick may be a peer's.
    #[must_use]
    pub const fn end_of(self, tick: u64) -> u64 {
        self.start_of(tick.saturating_add(1))
    }
}

impl Default for TickLen {
    fn default() -> Self {
        Self(1000)
    }
}

/// A position `(tick, slot)` of one author in one topic. The author owns it once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Position {
    /// Unix time divided by the topic's tick length.
    pub tick: u64,
    /// Which of the topic's slots in that tick.
    pub slot: u16,
}

impl FromStr for Position {
    type Err = ParsePositionError;

    /// Reads `TICK/SLOT`, as a position prints.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (tick, slot) = text.split_once('/')?;
            Some(Self { tick: tick.parse().ok()?, slot: slot.parse().ok()? })
        };
        parse().ok_or_else(|| ParsePositionError(text.into()))
    }
}

/// A text is not a position. It keeps the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not TICK/SLOT, as in 1700000000/3, the slot at most 65535")]
pub struct ParsePositionError(String);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tick, self.slot)
    }
}
