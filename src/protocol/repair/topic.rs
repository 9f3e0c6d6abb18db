//! One kept topic: whether the store has opened it, and from which tick on it is kept.

use crate::protocol::keeping::{KeepOptions, Size};

/// How far the store is with a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Phase {
    /// The store was asked to open it. Nothing of it is told, compared or published meanwhile.
    Opening,
    /// It is open.
    Open,
    /// The store could not open it. It is tried again; meanwhile the topic lives without a past.
    Failed,
}

/// A topic that is kept.
#[derive(Debug)]
pub(in crate::protocol) struct KeptTopic {
    phase: Phase,
    options: KeepOptions,
    /// The first tick that the store may keep.
    floor: u64,
    /// The first tick that is compared, served and taken: the floor, or the start of the retention if the clock is confirmed.
    low: u64,
    size: Size,
}

impl KeptTopic {
    /// The store is being asked to open it.
    pub(in crate::protocol) fn new(options: KeepOptions) -> Self {
        Self { phase: Phase::Opening, options, floor: 0, low: 0, size: Size::default() }
    }

    /// Whether the store has opened it.
    pub(in crate::protocol) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the store was asked to open it and has not answered.
    pub(in crate::protocol) fn is_opening(&self) -> bool {
        self.phase == Phase::Opening
    }

    /// What was chosen for it.
    pub(in crate::protocol) const fn options(&self) -> KeepOptions {
        self.options
    }

    /// The first tick that is compared, served and taken.
    pub(in crate::protocol) const fn low(&self) -> u64 {
        self.low
    }

    /// What the store holds of it.
    pub(in crate::protocol) const fn size(&self) -> Size {
        self.size
    }
}
