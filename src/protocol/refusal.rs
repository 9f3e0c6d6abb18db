//! Why the engine does not do what the application asks for.

use std::time::Duration;

use crate::key::PublicKey;
use crate::rumor::{CellError, MAX_INLINE, Position, TopicId};

/// Why something was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic was not joined.
    #[error("topic {0} is not joined: join it before publishing")]
    NotJoined(TopicId),
    /// The body is larger than the topic allows.
    #[error("a body of {len} bytes, where the topic allows {max}: split it, or publish its hash")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The most that the topic allows.
        max: u32,
    },
    /// The topic keeps state, and the body is no cell.
    #[error(
        "a topic of state says cells, and this body is none: {0}; write it with `Kv::put`, or encode a `Cell`"
    )]
    NoCell(CellError),
    /// They belong together, and are no bundle.
    #[error(
        "{rumors} rumors of {bytes} bytes in all are no bundle: at most {most} in this topic, and {MAX_INLINE} bytes; publish fewer together"
    )]
    NoBundle {
        /// How many.
        rumors: usize,
        /// Bytes of their bodies.
        bytes: usize,
        /// How many may be together in this topic.
        most: usize,
    },
    /// No link to anybody who relays the topic: the rumor would reach nobody.
    #[error(
        "no link to anybody in this topic yet: wait for `wait_for_links(1)`, or check the bootstrap addresses"
    )]
    NoLink,
    /// There are links, and none of these peers relays the topic. Peers tell each other ids of topics and not their rules, so
    /// this is all that a node can know of a peer that relays a topic of the same name with other rules.
    #[error(
        "none of the {links} linked peers relays this topic: wait for `wait_for_links(1)`, or make all its rules alike on all nodes \
         (name, slots, tick, max_body, state, retention, guarantee, authors): other rules are another topic"
    )]
    NotRelayed {
        /// Links on which both sides have said hello.
        links: usize,
    },
    /// The topic names its authors, and we are not one.
    #[error("author {0} is not on the topic's list of authors")]
    NotAdmitted(PublicKey),
    /// Somebody else writes under the same key.
    #[error("another process writes under this author key: stop one of the two, then restart this one")]
    DuplicateWriter,
    /// Our own key was convicted of equivocation.
    #[error("this author key was convicted of equivocation and nobody will listen to it: make a new key")]
    Convicted,
    /// No slot or no room right now (only for those who asked not to wait).
    #[error("no slot or no room right now: use `publish`, which waits, or slow down")]
    WouldWait,
    /// This author key may have been used at positions up to a later time, so it says nothing before.
    #[error(
        "this author key is silent until {until_ms} (Unix time, ms), since it may have been used up to then: publish again then"
    )]
    Silent {
        /// Unix time in milliseconds from which on it may publish.
        until_ms: u64,
    },
    /// Our clock differs so much from the peers' that they would ignore what we say.
    #[error(
        "this machine's clock is {ahead_ms} ms ahead of the peers', so they would ignore it: set the clock, then publish again"
    )]
    ClockWrong {
        /// Milliseconds that our clock is ahead; negative if it is behind.
        ahead_ms: i64,
    },
    /// The position log of used positions can't be written, so publishing could repeat a position after a restart.
    #[error("the position log of used positions can't be written: {0}")]
    PositionLog(String),
    /// The topic has no room for more, and was told to drop nothing. Nothing was published.
    #[error(
        "the store has no room for more of this topic: raise its reserve, let it drop what is oldest, or forget what is not needed"
    )]
    StoreFull,
    /// The store can't keep anything now. Nothing was published; `publish_unsynced` does not ask the store.
    #[error("the store can't keep it: {0}; nothing was published")]
    Store(String),
    /// It was published at this position and could not be kept: do not publish it again.
    #[error("published at {0}, and not stored: the network has it, so don't publish it again")]
    NotStored(Position),
    /// It was not sealed within the limit that the application has set, and was taken back: nobody hears it.
    #[error(
        "not published within {0:?}, and taken back: publish again when there are slots and links with room, or with more time"
    )]
    TimedOut(Duration),
    /// It was published within the limit that the application has set, and was not on the disk when that was over.
    #[error("published, and not on the disk after {0:?}: the network has it, so don't publish it again")]
    Unconfirmed(Duration),
    /// The value is no JSON, so nothing was published.
    #[error("the value can't be said as JSON: {0}; nothing was published")]
    Json(String),
    /// The node has been shut down.
    #[error("the node is closed: spawn a new one")]
    Closed,
}

impl PublishError {
    /// Whether the same body may be published later through the same handle: what stands in the way is the state of links, queues
    /// or disk, and may change by itself.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::NoLink
            | Self::NotRelayed { .. }
            | Self::WouldWait
            | Self::Silent { .. }
            | Self::ClockWrong { .. }
            | Self::PositionLog(_)
            | Self::StoreFull
            | Self::Store(_)
            | Self::TimedOut(_) => true,
            Self::NotJoined(_)
            | Self::TooLarge { .. }
            | Self::NoCell(_)
            | Self::NoBundle { .. }
            | Self::NotAdmitted(_)
            | Self::DuplicateWriter
            | Self::Convicted
            | Self::NotStored(_)
            | Self::Unconfirmed(_)
            | Self::Json(_)
            | Self::Closed => false,
        }
    }
}

/// Why a topic can't be joined now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinRefusal {
    /// As many topics are joined as may be.
    TooMany,
    /// So many topics were left within the last minutes that no more can be remembered: this one, left again, could be
    /// delivered twice.
    TooManyLeft,
    /// The rules belong to another network.
    OtherNetwork,
    /// The library itself speaks in this topic.
    System,
    /// The authors that the topic names may write more keys than this node compares
    /// ([`HistoryConfig::topic_heads`](super::HistoryConfig::topic_heads)).
    TooManyKeys {
        /// How many they may write.
        keys: u64,
        /// How many this node compares.
        most: usize,
    },
}
