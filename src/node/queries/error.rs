//! Why a question is not asked, and an answer not taken.

use std::time::Duration;

use crate::node::error::{Closed, JoinError};
use crate::node::streams::OpenError;
use crate::protocol::PublishError;

/// Why a question was not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Nobody could answer: no other member can dial this node.
    #[error(
        "nobody can dial this node, so nobody could answer: give it an address with `Builder::listen` or `Builder::advertise`, and \
         let it be a member"
    )]
    NoAddress,
    /// The question is too long.
    #[error("a question has at most {most} bytes, this one has {len}: say the rest where it is asked for")]
    TooLong {
        /// Its bytes.
        len: usize,
        /// The most there may be.
        most: usize,
    },
    /// The time for answers is none, or too long.
    #[error("{0:?} is no time for answers: give 1 ms to 10 min")]
    Within(Duration),
    /// As many questions are open as may be.
    #[error("64 questions of this node are open, the most there may be: drop some answers first")]
    TooMany,
    /// The topic of the questions could not be joined.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// No neighbour takes questions of the topic, so nobody would hear it.
    #[error(
        "none of this node's {links} neighbours takes questions of this topic: let all nodes that have joined it call \
         `TopicHandle::questions`"
    )]
    Nobody {
        /// How many neighbours there are.
        links: usize,
    },
    /// The question could not be said.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why an asker did not take an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is too long.
    #[error("an answer has at most {most} bytes, this one has {len}: open a stream to the asker for more")]
    TooLong {
        /// Its bytes.
        len: usize,
        /// The most there may be.
        most: usize,
    },
    /// The time for answers is over.
    #[error("the time for answers is over")]
    Late,
    /// The asker has as many answers as it wanted, or this one is longer than a member's share of its bytes, or this node is no member to it.
    #[error("the asker has enough answers, or wants a shorter one, or does not show this node as a member")]
    Enough,
    /// The asker no longer waits.
    #[error("the asker no longer waits for answers")]
    NotAsked,
    /// The asker could not be reached in time.
    #[error("the asker could not be reached: {0}")]
    NotReached(OpenError),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}
