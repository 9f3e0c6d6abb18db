//! How much an engine remembers that its [`Stats`](super::Stats) leave out: asked after every event of a simulation, so
//! nothing is copied for it.

use super::engine::Engine;

/// Entries, whether they still count or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Keys in the list of bans.
    pub(crate) bans: usize,
    /// Authors in the book of evidence.
    pub(crate) convictions: usize,
}

impl Engine {
    pub(crate) fn held(&self) -> Held {
        Held { bans: self.standing.len(), convictions: self.book.len() }
    }
}
