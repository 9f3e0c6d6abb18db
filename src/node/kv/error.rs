//! Why keys can't be read or written.

use crate::node::{Closed, JoinError};
use crate::protocol::PublishError;
use crate::rumor::{CellError, TopicId};
use crate::store::StoreError;

/// Why the keys of a topic can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// The topic can't be joined.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// It is a log.
    #[error("topic {0} is a log: give its rules `Topic::state`, which makes another topic of it")]
    NoState(TopicId),
    /// The topic was left over this handle.
    #[error("topic {0} is not joined by this handle: join it again")]
    NotJoined(TopicId),
    /// The store can't be read now.
    #[error("the store can't be read: {0}; ask again")]
    Store(String),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl KvError {
    pub(super) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Closed(Closed),
            other => Self::Store(other.to_string()),
        }
    }
}

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The key is empty or too long.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// The batch has no writes.
    #[error("a batch without a write: nothing was done")]
    Empty,
    /// The author has as many keys as it may have, and the oldest has a value.
    #[error(
        "this author has {max_keys} keys, the most that the topic allows: delete some, longest written first, or use fewer"
    )]
    TooManyKeys {
        /// The most that the topic allows.
        max_keys: u32,
    },
    /// This author has written the key at a later time, when its clock was ahead.
    #[error(
        "this author wrote the key when its clock was ahead, and what it writes before {until_ms} (Unix time, ms) does not count: write \
         it again then"
    )]
    Late {
        /// Unix time in milliseconds from which on it may write the key.
        until_ms: u64,
    },
    /// It could not be published or kept.
    #[error(transparent)]
    Publish(#[from] PublishError),
}
