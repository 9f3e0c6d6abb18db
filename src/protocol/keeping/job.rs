//! What the engine gives its store to do, and what comes back: [`Action::Store`](crate::protocol::Action::Store) and
//! [`Input::Store`](crate::protocol::Input::Store).
//!
//! ```text
//!   engine ── StoreJob ──> driver: one writer, in order; readers beside it ──> Store, Reader
//!     ^                                                                          │
//!     └────────────────────────────── StoreAnswer ───────────────────────────────┘
//! ```
//!
//! Jobs that write are done in the order in which they are given. A [`StoreJob::Look`] reads what was committed when it is done, which
//! may be before or after jobs that were given near it. The engine waits for no answer: whatever takes long holds up nothing else.

use std::sync::Arc;

use super::{Damage, Forget, Head, Held, Hole, Keep, Keeping, Kept, Live, Opened, Page, Range, Size};
use crate::key::PublicKey;
use crate::rumor::{BundleId, Evidence, Position, RuleSet, TopicId};

/// What a node does with a topic whose share of the disk, or of memory, is used up. A local choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Full {
    /// The oldest ticks of the topic go. The default where a topic's retention ends.
    DropOldest,
    /// Nothing goes: what is heard is relayed and not kept, and own rumors are refused before they are sealed. The default where
    /// a topic is kept for ever.
    Refuse,
}

/// How this node keeps a topic. Local choices, no rules: nodes with other options never blame each other for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeepOptions {
    /// What happens when there is no room; `None` for what fits the topic's retention ([`Full`]).
    pub full: Option<Full>,
    /// Bytes of encoded bundles that the topic may have in any case; `None` for an equal part of the node's.
    pub reserve: Option<u64>,
    /// The version of the local judge. What another version has rejected is judged again; `None` for nothing of it.
    pub judged_by: Option<u32>,
}

impl KeepOptions {
    /// What a later join has chosen; and what it has not said stays as it was.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            full: later.full.or(self.full),
            reserve: later.reserve.or(self.reserve),
            judged_by: later.judged_by.or(self.judged_by),
        }
    }
}

/// Names a question to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookId(pub(in crate::protocol) u64);

#[cfg(test)]
impl LookId {
    /// For tests of drivers.
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

/// Something for the store to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreJob {
    /// Open a topic, or open it anew with other values. Answered with [`StoreAnswer::Opened`].
    Open {
        /// Its rules.
        rules: Arc<RuleSet>,
        /// What the store is told about it.
        keeping: Keeping,
    },
    /// Keep a bundle, with others in one commit. Answered with [`StoreAnswer::Kept`].
    Keep {
        /// What to keep.
        keep: Keep,
        /// Whether somebody waits for the commit: then it is made soon.
        urgent: bool,
    },
    /// Show bundles that were held back or rejected. Not answered.
    Release {
        /// Their topic.
        topic: TopicId,
        /// Where they start.
        at: Vec<(PublicKey, Position)>,
    },
    /// Let holes rest until a time each, Unix milliseconds. Not answered.
    Rest {
        /// Their topic.
        topic: TopicId,
        /// Which, each with its time.
        holes: Vec<(Hole, u64)>,
    },
    /// Remove something of a topic, one step of it. Answered with [`StoreAnswer::Forgot`].
    Forget {
        /// From which topic.
        topic: TopicId,
        /// What.
        what: Forget,
    },
    /// Keep a proof. Not answered.
    Remember(Box<Evidence>),
    /// Read something. Answered with [`StoreAnswer::Looked`].
    Look {
        /// How to answer.
        look: LookId,
        /// What to read.
        query: Query,
    },
}

/// What is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Query {
    /// Which bundles are held: [`Reader::held`](crate::store::Reader::held).
    Held {
        /// In which topic.
        topic: TopicId,
        /// Which.
        at: Vec<(PublicKey, Position, BundleId)>,
    },
    /// Bundles for a peer: [`Reader::page`](crate::store::Reader::page).
    Page {
        /// Of which topic.
        topic: TopicId,
        /// Which.
        ranges: Vec<Range>,
        /// How many bytes of encoded bundles.
        max_bytes: usize,
    },
    /// Whether something is held of authors between two positions each.
    Later {
        /// In which topic.
        topic: TopicId,
        /// Of whom, and where.
        at: Vec<LaterThan>,
    },
    /// What is held before positions: [`Reader::before`](crate::store::Reader::before).
    Before {
        /// In which topic.
        topic: TopicId,
        /// Of whom, and before which position.
        at: Vec<(PublicKey, Position)>,
    },
    /// Live values of a topic of state: [`Reader::live`](crate::store::Reader::live).
    Live {
        /// Of which topic.
        topic: TopicId,
        /// After which one.
        after: Option<Head>,
        /// How many bytes of encoded bundles.
        max_bytes: usize,
    },
    /// Open holes: [`Reader::unmet`](crate::store::Reader::unmet).
    Unmet {
        /// Of which topic.
        topic: TopicId,
        /// After which one.
        after: Option<Hole>,
        /// How many.
        count: usize,
    },
    /// What is over in topics that were left: [`Reader::over`](crate::store::Reader::over).
    Over {
        /// Which topics are joined.
        joined: Vec<TopicId>,
        /// The time, Unix milliseconds.
        now_ms: u64,
    },
}

/// A stretch of one author's bundles: those that start after a position, and in ticks before another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaterThan {
    /// Whose.
    pub author: PublicKey,
    /// They start after this.
    pub position: Position,
    /// They are in earlier ticks.
    pub before: u64,
}

/// What was read: one for each kind of [`Query`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found {
    /// In the order of the question.
    Held(Vec<Held>),
    /// A page.
    Page(Page),
    /// Whether there is anything, in the order of the question.
    Later(Vec<bool>),
    /// Where that starts, in the order of the question.
    Before(Vec<Option<Position>>),
    /// Live values.
    Live(Live),
    /// Holes.
    Unmet(Vec<Hole>),
    /// Topics, each with the first tick that is not over.
    Over(Vec<(TopicId, u64)>),
}

/// What the store has done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreAnswer {
    /// It has started, or has started anew after damage. Topics that were open before are not open any more, and jobs that were given
    /// before and not answered will not be.
    Started {
        /// Proofs against convicted authors.
        evidence: Vec<Evidence>,
        /// What was lost.
        damage: Option<Damage>,
    },
    /// It keeps nothing from now on, as it would say of the next bundle.
    Fails(StoreTrouble),
    /// It has failed for a while and works again.
    Works,
    /// To [`StoreJob::Open`].
    Opened {
        /// The topic.
        topic: TopicId,
        /// What is held of it.
        opened: Result<Box<Opened>, StoreTrouble>,
    },
    /// To [`StoreJob::Keep`].
    Kept {
        /// What was to be kept.
        keep: Keep,
        /// What became of it.
        kept: Result<Kept, StoreTrouble>,
    },
    /// To [`StoreJob::Forget`].
    Forgot {
        /// From which topic.
        topic: TopicId,
        /// What.
        what: Forget,
        /// What is left.
        left: Result<Forgotten, StoreTrouble>,
    },
    /// To [`StoreJob::Look`].
    Looked {
        /// Which question.
        look: LookId,
        /// What was found.
        found: Result<Found, StoreTrouble>,
    },
}

/// What a step of removing has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forgotten {
    /// There is more to remove.
    pub more: bool,
    /// The first tick that may be kept now.
    pub floor: u64,
    /// What the topic holds now.
    pub size: Size,
}

/// Why the store could not do it. What it was given may be given again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreTrouble {
    /// The disk is full, or nearly.
    #[error("its disk is full: make room")]
    NoRoom,
    /// So little is free on the disk that it is left to others.
    #[error(
        "its disk has {free} bytes free, and `leave_free` leaves {least} to others: make room there, or leave less free"
    )]
    Short {
        /// Bytes that are free.
        free: u64,
        /// What is left free: [`Config::history.leave_free`](crate::protocol::Config::history).
        least: u64,
    },
    /// The disk fails.
    #[error("{0}")]
    Io(String),
    /// The topic is not open.
    #[error("it has not opened this topic")]
    NotOpen,
    /// It was damaged, and starts anew: see [`StoreAnswer::Started`].
    #[error("it was damaged, and starts anew")]
    Damaged,
}
