//! Whether the disk has room for more: other programs use it, too, and a database that can't grow is the last thing that it should meet.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::node::outside::Outside;
use crate::protocol::keeping::StoreTrouble;

/// The disk is looked at once in so long at the most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The free space of a disk.
pub(in crate::node) struct Space {
    folder: PathBuf,
    /// With less than so many bytes free nothing more is kept.
    least: u64,
    looked_at: Option<Instant>,
    /// What is free, if that is too little.
    short: Option<u64>,
}

impl Space {
    /// Of the disk that has this folder.
    pub(in crate::node) const fn new(folder: PathBuf, least: u64) -> Self {
        Self { folder, least, looked_at: None, short: None }
    }

    /// That there is too little, if so. A disk that does not say how much there is says itself when it is full.
    pub(super) fn shortage(&mut self, outside: &Outside, now: Instant) -> Option<StoreTrouble> {
        if self.looked_at.is_none_or(|at| now.saturating_duration_since(at) >= LOOK_EVERY) {
            self.looked_at = Some(now);
            self.short = outside.free_bytes(&self.folder).filter(|free| *free < self.least);
        }
        self.short.map(|free| StoreTrouble::Short { free, least: self.least })
    }

    /// Whether there was too little, as far as is known.
    pub(super) const fn was_short(&self) -> bool {
        self.short.is_some()
    }

    /// When it is to be looked at again: while there is too little.
    pub(super) fn due(&self) -> Option<Instant> {
        self.looked_at.filter(|_| self.short.is_some()).map(|at| at + LOOK_EVERY)
    }
}
