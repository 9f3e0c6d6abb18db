//! An invariant that does not hold.

use std::time::Duration;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {at:?}, node {node}: {what}")]
pub struct Broken {
    /// Since the beginning.
    pub at: Duration,
    /// Which node did it.
    pub node: usize,
    /// What, in a sentence.
    pub what: String,
}
