//! What the engine and a [`Store`](crate::store::Store) say to each other about what a topic keeps: plain data, without a rule.
//!
//! | Word | Meaning |
//! |---|---|
//! | held | at exactly this position of its author and topic the store has exactly this id |
//! | head | held, and no held bundle of the topic names it as its previous one; in a topic of state: live |
//! | live | held in a topic of state, and one of its cells is the newest of its author and key |
//! | hole | not held, not below the floor, and named by a held bundle as its previous one |
//! | floor | the first tick of a topic that may still be kept; what is below was removed and is never taken again |
//! | sequence | the number of a bundle in the order in which the store came to show it, one order for all topics, from 1 on |
//!
//! Positions and floors are ticks of the topic. Sizes are bytes of encoded bundles, without what a store adds around them.

mod job;

use std::path::PathBuf;
use std::sync::Arc;

use crate::key::PublicKey;
use crate::rumor::{Bundle, BundleId, Evidence, Position, SignedHeader};

pub use job::{
    Forgotten, Found, Full, KeepOptions, LaterThan, LookId, Query, StoreAnswer, StoreJob, StoreTrouble,
};

/// What a store is told about a topic when it is opened. A local choice: nodes with other values never blame each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keeping {
    /// Most bytes of encoded bundles in this topic. A bundle beyond is [`Kept::Full`]; nothing is dropped for it. See
    /// [`Forget::DownTo`].
    pub bytes: u64,
    /// What is shared among authors, if that is less than `bytes`: above 7/8 of it an author that has more than 1/8 of it, or its double
    /// share among few authors, takes no more.
    pub shared: u64,
    /// Most authors in this topic; in a topic of state also most keys of all authors. The bundle with one more is [`Kept::Full`].
    pub authors: u64,
    /// The version of the local judge, if it was said. What another version has rejected comes back in [`Opened::rejudge`].
    pub judged_by: Option<u32>,
    /// Headers from this tick on come back in [`Opened::recent`].
    pub recent_from: u64,
    /// The first tick that a correct clock can't have reached yet. A floor later than that comes of a clock that was wrong: it is
    /// taken back to the lowest tick still held.
    pub latest: u64,
}

/// A bundle to keep. It is genuine and admitted: a store verifies no signature and asks no rule of the topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keep {
    /// What is kept, whole.
    pub bundle: Arc<Bundle>,
    /// How it came.
    pub arrival: Arrival,
    /// Whether readers see it.
    pub show: Show,
}

/// How a bundle came to this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It was sealed here.
    Own,
    /// It came while it was new, inside the relay window.
    Live,
    /// Repair brought it.
    Late {
        /// A later bundle of its author, older than the relay window, was held before: the author may have added to its past.
        below: bool,
    },
}

impl Arrival {
    /// Whether repair brought it.
    #[must_use]
    pub const fn is_late(self) -> bool {
        matches!(self, Self::Late { .. })
    }
}

/// Whether readers see a bundle. What they don't see yet has no sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// Now.
    Now,
    /// When its hold-back is over: see [`Store::release`](crate::store::Store::release).
    Held,
    /// Not as long as this version of the local judge holds; it is compared and served like any other.
    Rejected {
        /// The version that rejected it.
        by: u32,
    },
}

/// What is committed at once, or not at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group<'a> {
    /// Bundles, kept in this order; the later ones see the earlier ones.
    pub keeps: &'a [Keep],
    /// An author, and up to which Unix time (milliseconds) its positions may be used from now on. Never taken back but by
    /// [`settle`](crate::store::Store::settle).
    pub record: Option<(PublicKey, u64)>,
    /// The time now, Unix milliseconds: since when the holes are open that this group opens.
    pub now_ms: u64,
}

/// What became of one [`Keep`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kept {
    /// It is held now, durably if the store is on a disk.
    New {
        /// Its place in the order of arrival; `None` while it is not shown.
        sequence: Option<u64>,
        /// A held bundle named it before it came: it closes a hole and is no head.
        named: bool,
        /// What is known of the bundle that it names as its previous one. In a topic of state nothing is missing: always
        /// [`Prev::None`].
        prev: Prev,
        /// Another held bundle names the same one: its author has two chains from there on. In a topic of state always `false`.
        forks: bool,
        /// Bundles of its author, in a topic of state, that were live until now. They are held and served for a while
        /// ([`Forget::Dead`]).
        killed: Vec<Killed>,
    },
    /// It was held before.
    Have,
    /// Nothing it says counts: in a topic of state its author has said something later of each of its keys, or of so many others that
    /// they are all that it may have. It is not kept.
    Dead {
        /// Where the latest cell stands that was in its way.
        by: Position,
    },
    /// Another bundle with a common position is held: with this header it is evidence, once both signatures are verified.
    Conflict(Box<SignedHeader>),
    /// Its tick is below the floor.
    Below,
    /// The topic has no room for it: see [`Keeping`].
    Full,
    /// The topic is not open.
    NotOpen,
}

/// A bundle of a topic of state that is live no more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Killed {
    /// Where it starts.
    pub position: Position,
    /// In which tick the last of its cells was replaced, as far as is known: before that tick it counts as live.
    pub in_tick: u64,
}

/// What is known of the bundle that another names as its previous one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prev {
    /// It names none.
    None,
    /// That one is below the floor, so nobody asks for it.
    Below,
    /// That one is held.
    Held,
    /// That one is missing: a hole is open.
    Missing,
}

/// What a store has when it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    /// The random number of this opening of the store, never 0. Cursors carry it.
    pub incarnation: u64,
    /// Until when (Unix milliseconds) positions of the author may have been used. `None` without a record: the store is new, was
    /// damaged, or was another author's.
    pub recorded_until: Option<u64>,
    /// Proofs against convicted authors, the oldest first.
    pub evidence: Vec<Evidence>,
    /// What was lost, if the store was found damaged and made anew.
    pub damage: Option<Damage>,
}

/// What a store lost to damage of its file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Where the damaged file is now.
    pub moved_to: PathBuf,
    /// Bundles that were read from it and are held again.
    pub saved: u64,
    /// Bundles that were read and not taken: their checksum or their contents did not hold.
    pub bad: u64,
    /// Stretches of the file that could not be read; how many bundles stood there is not known.
    pub unreadable: u64,
}

/// What a store has of a topic when it is opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Opened {
    /// The first tick that may be kept.
    pub floor: u64,
    /// The floor before, if it was later than [`Keeping::latest`] and was taken back.
    pub floor_was: Option<u64>,
    /// All heads, in no order that means anything.
    pub heads: Vec<Head>,
    /// What is held and was live before, in a topic of state, each with the tick in which it ended.
    pub dead: Vec<(Head, u64)>,
    /// Headers of [`Keeping::recent_from`] and later, by tick.
    pub recent: Vec<SignedHeader>,
    /// Held bundles of earlier ticks that one of `recent` names as its previous one: heads until then.
    pub named: Vec<Head>,
    /// Bundles whose hold-back was under way, by tick.
    pub held: Vec<Arc<Bundle>>,
    /// Bundles that another version of the local judge has rejected, by tick.
    pub rejudge: Vec<(PublicKey, Position)>,
    /// The latest bundle of the author that the store was started with.
    pub own: Option<(BundleId, Position)>,
    /// What the topic holds.
    pub size: Size,
}

/// How much a topic holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Bytes of encoded bundles.
    pub bytes: u64,
    /// Bundles.
    pub bundles: u64,
    /// Authors of whom at least one bundle is held.
    pub authors: u64,
}

/// A held bundle that no held bundle names as its previous one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Head {
    /// Whose it is.
    pub author: PublicKey,
    /// Where it starts.
    pub position: Position,
    /// Which one it is.
    pub id: BundleId,
}

/// A bundle that is missing, and that a held bundle names as its previous one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hole {
    /// Whose it is.
    pub author: PublicKey,
    /// Where it starts.
    pub position: Position,
    /// Which one it is.
    pub id: BundleId,
    /// Where the first held bundle starts that named it.
    pub namer: Position,
    /// Since when it is known, Unix milliseconds.
    pub since_ms: u64,
    /// Until when nobody is asked for it, Unix milliseconds; 0 if it does not rest.
    pub rests_until_ms: u64,
    /// The bundle that named it was [`Arrival::Late`] and `below`.
    pub below: bool,
}

/// How far an author's chain is held.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Frontier {
    /// The author's last position that is held; `None` if nothing is.
    pub newest: Option<Position>,
    /// Up to there nothing is missing that a held bundle names, down to the floor. `newest`, if there is no hole.
    pub complete_until: Option<Position>,
    /// Where bundles start that are named and missing, the earliest first, at most as many as were asked for.
    pub holes: Vec<Position>,
}

/// Most bundles, and most holes, that one step of removing takes: a step is a commit, and whoever waits for the next one waits for it.
pub const MOST_REMOVED: usize = 500;

/// What is removed from a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Forget {
    /// What is in ticks before this one. The floor rises to one past the highest tick of which something was removed, and no further.
    Below(u64),
    /// The oldest ticks, whole, until no more than so many bytes are held. The floor rises as with `Below`.
    DownTo(u64),
    /// What is held back of an author, who was convicted meanwhile. The floor stays.
    Held(PublicKey),
    /// All of an author. The floor stays.
    Author(PublicKey),
    /// What was live once, in a topic of state, and ended in a tick before this one. The floor stays.
    Dead {
        /// That tick.
        killer_before: u64,
    },
    /// The record of the bundle that starts there, if its checksum does not hold (see [`Page::rotten`]). If it is sound it stays. The
    /// floor stays.
    Rotten(PublicKey, Position),
    /// All of the topic. The floor rises as with `Below`, and is remembered.
    Topic,
}

/// Where a reader stands in the order of arrival. Apps keep it with the effects of what they have read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cursor {
    /// Which opening of which store gave it; 0 for none.
    pub incarnation: u64,
    /// The sequence of the last bundle read.
    pub sequence: u64,
}

impl Cursor {
    /// Before all that a store holds. Every store knows it, and nothing is missed from there.
    pub const START: Self = Self { incarnation: 0, sequence: 0 };
    /// Behind all that a store holds when it reads this. It is no place that an app keeps: what a scan from it says as the next one is.
    pub const END: Self = Self { incarnation: 0, sequence: u64::MAX };
}

/// Bundles of one author that are asked for: those that start at `from` or later, and at `upto` or earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Whose.
    pub author: PublicKey,
    /// The first position: tick, and slot up to 65 536, which is past the tick's last one.
    pub from: (u64, u32),
    /// The last position. The bundle that starts there is part of the range.
    pub upto: Position,
}

/// What a store reads for a peer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Bundles, range by range, each range in the order of positions. At least one, if there is any, however large it is.
    pub bundles: Vec<Arc<Bundle>>,
    /// For each range where the next page begins. Past its `upto`: there is nothing more. Equal to its `from`: not begun.
    pub next: Vec<(u64, u32)>,
    /// The first tick that may be kept.
    pub floor: u64,
    /// Where records stand whose checksum does not hold; they are not among the bundles. See [`Forget::Rotten`].
    pub rotten: Vec<(PublicKey, Position)>,
}

/// What a store reads for an app, in the order of arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// Bundles, each with where it stands.
    pub items: Vec<Scanned>,
    /// Where to go on. The same as before, in this incarnation, if there was nothing.
    pub next: Cursor,
    /// Sequences among which some were removed unread. Each scan from before `to` says so; who reads on tells what goes beyond the `to`
    /// that it has told.
    pub missed: Option<Missed>,
    /// The last sequence of the topic that was removed so far; 0 for none. Who reads from [`Cursor::START`] on has not missed what was
    /// removed up to there.
    pub gone: u64,
    /// There is more to read at once.
    pub more: bool,
    /// Where records stand whose checksum does not hold; they are not among the items. See [`Forget::Rotten`].
    pub rotten: Vec<(PublicKey, Position)>,
}

/// Sequences, both included, among which at least the last one was removed before it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed {
    /// The first that the reader had not read.
    pub from: u64,
    /// The last one that was removed.
    pub to: u64,
}

/// One bundle of a [`Scan`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scanned {
    /// Where a reader stands that has read it.
    pub cursor: Cursor,
    /// What was said.
    pub bundle: Arc<Bundle>,
    /// How it came.
    pub arrival: Arrival,
}

/// What a store reads of a topic of state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Live {
    /// Live bundles, author by author, each author's by position.
    pub items: Vec<LiveItem>,
    /// There is more after the last one.
    pub more: bool,
}

/// One bundle of [`Live`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveItem {
    /// Where to read on after it.
    pub head: Head,
    /// What was said; `None` if the checksum of its record does not hold.
    pub bundle: Option<Arc<Bundle>>,
    /// It is neither held back nor rejected.
    pub is_shown: bool,
}

/// Whether a store holds a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// Exactly this one, at exactly this position.
    Yes,
    /// Another bundle has a slot of that position.
    Other(BundleId),
    /// Nothing there.
    No,
}
