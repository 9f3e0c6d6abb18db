//! What is kept: the author's position log, and what topics remember.
//!
//! **This is the lower level** ([stability](crate#stability)): apps name a path to [`Builder::position_log`](crate::Builder::position_log).
//!
//! Bodies of the last minutes live in the engine's windows, in memory, bounded by [`Config`](crate::protocol::Config). A [`Store`] keeps
//! the bundles of a topic beyond that, with its book: which of them are heads, and which are missing. Two stores have the same rules:
//! [`MemoryStore`], and [`RedbStore`] on a disk. What goes in and out is [`protocol::keeping`](crate::protocol::keeping).
//!
//! ```text
//!   Store (one writer) ── keep, release, forget, rest, remember ──> book: one transaction, all or nothing ──> rows
//!   Reader (any number) ── held, page, scan, unmet, find ──────────> book, as of the last commit ─────────────┘
//! ```

// Lengths here come from a file. Where they run over, a release build would go on with what is left of them.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod book;
mod check;
mod database;
mod disk;
mod gathered;
mod memory;
mod position_log;
mod redb;
mod rows;
mod salvage;
mod serve;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::key::PublicKey;
use crate::protocol::keeping::{
    Cursor, Forget, Frontier, Group, Head, Held, Hole, Keeping, Kept, Live, Opened, Page, Range, Scan, Size,
    Started,
};
use crate::rumor::{Bundle, BundleId, Evidence, Position, RuleSet, TopicId};

pub use check::{Report, TopicReport};
pub use database::FILE_NAME;
pub use memory::MemoryStore;
pub use position_log::{PositionLog, PositionLogError};
pub use redb::RedbStore;
pub use serve::{left, look, serve};

/// What a call of a store gives.
pub type Res<T> = Result<T, StoreError>;

/// Keeps what topics say, and answers what is missing. One thread writes; [`readers`](Store::reader) are for others.
///
/// Each call is one transaction: it is committed when the call returns, and after an error nothing of it is there. (One exception: an
/// error of the disk during the commit itself leaves open whether it went through. The store looks, at the next call.) After
/// [`StoreError::NoRoom`] and [`StoreError::Io`] the same call may be tried again later. After [`StoreError::Damaged`] the store is over:
/// drop it and open it anew, which saves what can be read.
pub trait Store: Send {
    /// Who is the author here, and what the store knows before any topic is opened. To be called once, before all others.
    ///
    /// # Errors
    /// Of the disk.
    fn start(&mut self, author: &PublicKey) -> Res<Started>;

    /// Opens a topic, and makes it if it is new. Again for one that is open: the new `keeping` holds from then on.
    ///
    /// # Errors
    /// Of the disk.
    fn open(&mut self, rules: &RuleSet, keeping: &Keeping) -> Res<Opened>;

    /// Keeps a group of bundles of open topics and answers for each, in order. Bundles see those before them. Also records positions.
    ///
    /// An overlap with a held bundle under another id, wherever it starts, is [`Kept::Conflict`], and nothing is written for it.
    ///
    /// # Errors
    /// Of the disk; then nothing of the group is kept.
    fn keep(&mut self, group: &Group<'_>) -> Res<Vec<Kept>>;

    /// Shows bundles that were held back or rejected, and gives each its sequence; `None` for what is not held, or was shown before.
    ///
    /// # Errors
    /// Of the disk.
    fn release(&mut self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<u64>>>;

    /// Records that positions of this author may be used until then, alone and at once. [`Group::record`] does it in passing.
    ///
    /// # Errors
    /// Of the disk; then no such position may be used.
    fn record(&mut self, author: &PublicKey, until_ms: u64) -> Res<()> {
        self.keep(&Group { keeps: &[], record: Some((*author, until_ms)), now_ms: 0 }).map(drop)
    }

    /// The author says no more in this life: its positions are recorded up to this time and no further, whatever was recorded before. So
    /// the next life need not wait for the rest.
    ///
    /// # Errors
    /// Of the disk; then the record stays as it is.
    fn settle(&mut self, author: &PublicKey, until_ms: u64) -> Res<()>;

    /// Lets holes rest until a time each (Unix milliseconds). Those that are closed meanwhile stay closed.
    ///
    /// # Errors
    /// Of the disk.
    fn rest(&mut self, topic: &TopicId, holes: &[(Hole, u64)]) -> Res<()>;

    /// Keeps a proof, which is verified. Of more than 16 384 authors the oldest go.
    ///
    /// # Errors
    /// Of the disk.
    fn remember(&mut self, evidence: &Evidence) -> Res<()>;

    /// Removes from a topic, whether it is open or not: at most 1 000 bundles and 1 000 holes in one call. Gives whether there is more to
    /// remove; then call again.
    ///
    /// # Errors
    /// Of the disk.
    fn forget(&mut self, topic: &TopicId, what: Forget) -> Res<bool>;

    /// Reads what is committed, from any thread, beside the writer. It pins nothing: each call sees the newest commit.
    fn reader(&self) -> Box<dyn Reader>;
}

/// Reads what a [`Store`] has committed. Topics that the store has never opened are [`StoreError::NotOpen`].
pub trait Reader: Send {
    /// Which of these bundles are held, in order.
    ///
    /// # Errors
    /// Of the disk.
    fn held(&self, topic: &TopicId, at: &[(PublicKey, Position, BundleId)]) -> Res<Vec<Held>>;

    /// Reads ranges, in order, until `max_bytes` of encoded bundles would be exceeded. What is held back or rejected is served too.
    ///
    /// # Errors
    /// Of the disk.
    fn page(&self, topic: &TopicId, ranges: &[Range], max_bytes: usize) -> Res<Page>;

    /// Reads one author's range as [`Reader::page`] does, for an app: what is held back or rejected is left out.
    ///
    /// # Errors
    /// Of the disk.
    fn history(&self, topic: &TopicId, range: &Range, max_bytes: usize) -> Res<Page>;

    /// The bundle of an author that has a slot, if it is held and shown.
    ///
    /// # Errors
    /// Of the disk.
    fn find(&self, topic: &TopicId, author: &PublicKey, at: Position) -> Res<Option<Arc<Bundle>>>;

    /// How far an author's chain is held, with its first holes, at most so many.
    ///
    /// # Errors
    /// Of the disk.
    fn frontier(&self, topic: &TopicId, author: &PublicKey, holes: usize) -> Res<Frontier>;

    /// Reads the live bundles of a topic of state after this one, with what is held back or rejected, until `max_bytes` of encoded bundles
    /// would be exceeded; at least one bundle, if there is one. If nothing is held of that author any more, from the beginning.
    ///
    /// # Errors
    /// Of the disk.
    fn live(&self, topic: &TopicId, after: Option<&Head>, max_bytes: usize) -> Res<Live>;

    /// Reads on in the order of arrival, until `max_bytes` of encoded bundles would be exceeded; at least one bundle, if there is one.
    /// From [`Cursor::END`] there is none, and the next place is the end of now.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] for a cursor that this store has not given, or that it has given to a later state of itself, of which this
    /// one is a copy. Of the disk.
    fn scan(&self, topic: &TopicId, after: Cursor, max_bytes: usize) -> Res<Scan>;

    /// Open holes after this one, author by author, each author's by position. The order of authors means nothing. A hole with the
    /// greatest position leads on to the next author.
    ///
    /// # Errors
    /// Of the disk.
    fn unmet(&self, topic: &TopicId, after: Option<&Hole>, count: usize) -> Res<Vec<Hole>>;

    /// Where the last held bundle of each author starts that starts before a position, in order.
    ///
    /// # Errors
    /// Of the disk.
    fn before(&self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<Position>>>;

    /// Topics beside these that hold something that is over at this Unix time in milliseconds, each with the first tick that is not. Topics
    /// that are kept for ever are none of them.
    ///
    /// # Errors
    /// Of the disk.
    fn over(&self, joined: &[TopicId], now_ms: u64) -> Res<Vec<(TopicId, u64)>>;

    /// How much the topic holds.
    ///
    /// # Errors
    /// Of the disk.
    fn size(&self, topic: &TopicId) -> Res<Size>;
}

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "the store in {} is in use by another node: stop that one first, or give this one a folder of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// A later version of this library wrote it.
    #[error(
        "the store in {} has format {found}, and this program knows formats up to {known}: use the program that wrote it, or a newer one",
        path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// What it says.
        found: u64,
        /// What we know.
        known: u64,
    },
    /// There is a file of that name, and no store wrote it.
    #[error("{} is not a store, and is left as it is: name another folder, or move that file away", .0.display())]
    NotAStore(PathBuf),
    /// The disk is full, or a quota is.
    #[error("the store in {} finds no room on its disk: nothing was kept, and nothing was deleted; make room", .0.display())]
    NoRoom(PathBuf),
    /// The disk fails.
    #[error("the store in {}: {source}; let this process read and write there, or name another folder", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is damaged.
    #[error("the store is damaged ({0}): open it again, which saves what can be read")]
    Damaged(String),
    /// The cursor is of another store, or of a later state of this one.
    #[error(
        "the cursor is of another store, or this store is a copy older than the cursor: begin again from Cursor::START"
    )]
    Foreign,
    /// The topic was never opened here.
    #[error("the store has never opened this topic")]
    NotOpen,
    /// The store was dropped before its reader.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

#[cfg(test)]
mod tests;
