//! Why a running node does not do what it is asked.

use std::time::Duration;

use crate::protocol::{JoinRefusal, KeepError};
use crate::rumor::{MAX_METADATA, RuleError, TopicId};

/// The node has been shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is closed: spawn a new one")]
pub struct Closed;

/// Why no link is kept to a peer, or why it is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The node keeps links to as many peers, or remembers as many candidates, as it may.
    #[error(transparent)]
    NotKept(#[from] KeepError),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a topic could not be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The rules are out of range.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The node relays as many topics as it may.
    #[error("the node already relays {max} topics, the most there may be: leave one first", max = crate::protocol::MAX_TOPICS)]
    TooMany,
    /// The library itself speaks in a topic of this name: in that of members, and in those of the lists of authors.
    #[error(
        "the topic \"vouchsafe members\", and those whose names begin with \"vouchsafe authors of\", are the library's own: read \
         `Node::members` and `TopicHandle::authors`, or give your topic another name"
    )]
    System,
    /// So many topics were left within the last minutes that one more, left again, could be delivered twice.
    #[error(
        "too many topics were left within the last minutes: join this one in a minute or two, or leave fewer"
    )]
    TooManyLeft,
    /// The authors that the topic names may write more keys than this node compares.
    #[error(
        "the topic's authors may write {keys} keys, and this node compares {most} at most: give each fewer in `Topic::state`, name \
         fewer authors, or raise history.topic_heads"
    )]
    TooManyKeys {
        /// How many keys they may write.
        keys: u64,
        /// How many this node compares.
        most: usize,
    },
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl JoinError {
    pub(super) const fn of(refusal: JoinRefusal) -> Self {
        match refusal {
            JoinRefusal::TooManyLeft => Self::TooManyLeft,
            JoinRefusal::TooManyKeys { keys, most } => Self::TooManyKeys { keys, most },
            JoinRefusal::System => Self::System,
            JoinRefusal::TooMany | JoinRefusal::OtherNetwork => Self::TooMany,
        }
    }
}

/// Why what is kept of a topic could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// The topic is joined, the node was built with it, or it is the list of authors of a topic that is joined.
    #[error(
        "topic {0} is joined: leave it first, over all its handles, and the topic whose list of authors it is"
    )]
    Joined(TopicId),
    /// The store can't remove it now.
    #[error("{0}; some of the topic may be removed: ask again")]
    Store(String),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a [`Wait`](super::Wait), or who asks for repair of a topic, waits no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The topic was left over this handle.
    #[error("topic {0} is not joined by this handle: join it again")]
    NotJoined(TopicId),
    /// The topic is not kept, so nothing of it is repaired: its retention is no longer than what is relayed in any case, 90 s.
    #[error("topic {0} is not kept: give it a retention of more than 90 s")]
    NotKept(TopicId),
    /// The [limit](super::Wait::within) is over. There are too few nodes, they can't be reached, or they need longer; a peer that does not
    /// answer is given up after 10 s, and [`Node::events`](super::Node::events) then says why. Waiting anew loses nothing.
    #[error(
        "{reached} of {wanted} {what} after {limit:?}: `Node::events` tells why links fail, of a peer that does not answer after 10 s; or wait longer"
    )]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How many there were in the end.
        reached: usize,
        /// How many there were to be.
        wanted: usize,
        /// How long it was waited.
        limit: Duration,
    },
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a node does not say something else of itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// It is too long.
    #[error(
        "metadata have at most {MAX_METADATA} bytes, these have {0}: what is larger belongs into a topic"
    )]
    TooLong(usize),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}
