//! The frames of the lane [`History`](super::Lane::History): how two nodes find and hand over what one of them lacks.
//!
//! ```text
//!   Bound    tick u64 | first 8 bytes of an id                                              16 bytes
//!   Head     tick u64 | slot u16 | author 32 | id 32                                        74
//!   Ask      topic 32 | session u32 | as_of u64 | count u8 | count x { lo | hi | n u32 | hash 32 }
//!   Tell     topic 32 | session u32 | floor u64 | count u8 | count x answer
//!     same   0
//!     split  1 | k u8 | k x { hi | n u32 | hash 32 }
//!     list   2 | more u8 | k u16 | k x Head
//!     no     3 | after_ms u16
//!   Fetch    topic 32 | session u32 | max_bytes u32 | count u8 | count x { author 32 | from tick u64, slot u32 | upto tick u64, slot u16 }
//!   Page     topic 32 | session u32 | floor u64 | count u8 | count x { next tick u64, slot u32 }
//!   More     topic 32 | low u64 | count u32
//!   Stop     session u32
//! ```
//!
//! All is of fixed width and little-endian, and decoded strictly: a wrong length, count or order is no frame. Whether an answer fits
//! what was asked is another question, and never an offence: answers may be late.

use crate::key::PublicKey;
use crate::rumor::{BundleId, Position, TopicId};

/// Most ranges of an [`Ask`], and most answers of a [`Tell`].
pub const MAX_RANGES_PER_ASK: usize = 64;
/// Most parts into which an answer may split a range.
pub const MAX_PARTS: usize = 16;
/// Most heads in one list: what fits 64 KiB.
pub const MAX_HEADS_PER_LIST: usize = 884;
/// Most bytes of the answers of a [`Tell`].
pub const MAX_TELL_LEN: usize = 64 * 1024;
/// Most ranges of a [`Fetch`], and most of a [`Page`].
pub const MAX_RANGES_PER_FETCH: usize = 32;
/// Most bytes of bundles that a [`Fetch`] may ask for.
pub const MAX_FETCH_BYTES: u32 = 256 * 1024;
/// Longest pause that "no" may ask for, milliseconds; a longer one counts as this.
pub const MAX_PAUSE_MS: u16 = 30_000;

/// A place in the order of heads: by tick, then by id, of which eight bytes are enough to cut between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bound {
    /// Heads of earlier ticks lie below it.
    pub tick: u64,
    /// Of heads at its tick, those whose id begins with less lie below it.
    pub prefix: [u8; 8],
}

impl Bound {
    /// Before everything at `tick`.
    #[must_use]
    pub const fn start_of(tick: u64) -> Self {
        Self { tick, prefix: [0; 8] }
    }
}

/// The newest bundle of a chain: nothing that the teller holds names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Head {
    /// Its tick.
    pub tick: u64,
    /// Which bundle.
    pub id: BundleId,
    /// Its first slot.
    pub slot: u16,
    /// Who said it.
    pub author: PublicKey,
}

/// A stretch of heads and what the asker has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskedRange {
    /// Where it begins.
    pub lo: Bound,
    /// Where it ends; not part of it.
    pub hi: Bound,
    /// How many heads the asker has there.
    pub count: u32,
    /// Their hash (`protocol::repair::heads`).
    pub hash: [u8; 32],
}

/// "This is what I have; what have you?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Of which topic.
    pub topic: TopicId,
    /// The asker's number for the session, unique on its link.
    pub session: u32,
    /// The tick up to which the compared set is defined.
    pub as_of: u64,
    /// 1 to [`MAX_RANGES_PER_ASK`], ascending and apart, up to `as_of`.
    pub ranges: Vec<AskedRange>,
}

/// A part of a range and what the teller has in it. It begins where the part before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Where it ends; not part of it.
    pub hi: Bound,
    /// How many heads the teller has there.
    pub count: u32,
    /// Their hash.
    pub hash: [u8; 32],
}

/// What a teller says of one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// "I have the same."
    Same,
    /// "Compare these": 2 to [`MAX_PARTS`], ascending.
    Split(Vec<Part>),
    /// "I have these": at most [`MAX_HEADS_PER_LIST`], ascending by tick and id.
    List {
        /// The list was cut: ask on from the last one.
        more: bool,
        /// The heads.
        heads: Vec<Head>,
    },
    /// "Not now", or "I keep nothing of it".
    No {
        /// Ask again after so many milliseconds. More than [`MAX_PAUSE_MS`] counts as that.
        after_ms: u16,
    },
}

/// The answer to an [`Ask`]: one [`Answer`] for each of its first ranges. Those that got none are asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// Of which topic.
    pub topic: TopicId,
    /// The asker's number for the session.
    pub session: u32,
    /// The teller keeps nothing of earlier ticks.
    pub floor: u64,
    /// At most [`MAX_RANGES_PER_ASK`], of [`MAX_TELL_LEN`] bytes in all.
    pub answers: Vec<Answer>,
}

/// Where a server of a range stands: a tick, and a slot that may be one past the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The tick.
    pub tick: u64,
    /// The slot, at most 65 536.
    pub slot: u32,
}

/// A stretch of one author's bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FetchedRange {
    /// Whose.
    pub author: PublicKey,
    /// From where on.
    pub from: Mark,
    /// Up to the bundle that starts here, and with it.
    pub upto: Position,
}

/// "Send me these."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Of which topic.
    pub topic: TopicId,
    /// The asker's number for the session.
    pub session: u32,
    /// How many bytes of bundles the answer may have, at most [`MAX_FETCH_BYTES`]; one bundle may always be sent.
    pub max_bytes: u32,
    /// 1 to [`MAX_RANGES_PER_FETCH`].
    pub ranges: Vec<FetchedRange>,
}

/// The end of an answer to a [`Fetch`], after its bundles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Of which topic.
    pub topic: TopicId,
    /// The asker's number for the session.
    pub session: u32,
    /// The server keeps nothing of earlier ticks.
    pub floor: u64,
    /// Where it stands in each range, in the order of the fetch. Past its `upto`: there is no more.
    pub next: Vec<Mark>,
}

/// "I have more of this topic since I said so last."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct More {
    /// Of which topic.
    pub topic: TopicId,
    /// The lowest tick of what came.
    pub low: u64,
    /// How many bundles came, 1 at least.
    pub count: u32,
}
