//! What answering takes of the processor.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::time::Duration;

use crate::protocol::limits::{HASH_COST, LOOK_UP_COST, RANGE_COST};
use crate::protocol::time::nanos;

/// Of an answer, or a part of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::protocol) struct Cost {
    /// Items that are hashed, or walked over.
    pub(in crate::protocol) items: usize,
    /// Ranges that are found in a set.
    pub(in crate::protocol) ranges: usize,
    /// Heads that are looked up.
    pub(in crate::protocol) look_ups: usize,
}

impl Cost {
    /// As time.
    pub(in crate::protocol) fn nanos(self) -> u64 {
        let part = |count: usize, each: Duration| nanos(each).saturating_mul(count as u64);
        part(self.items, HASH_COST)
            .saturating_add(part(self.ranges, RANGE_COST))
            .saturating_add(part(self.look_ups, LOOK_UP_COST))
    }
}
