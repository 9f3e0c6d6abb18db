//! Rows in the order of their keys: what the rules of a store ([`book`](super::book)) need of whatever lies below, memory or a file.
//!
//! Keys are big-endian, and of fixed width but for those of registers, so that their bytes sort as what they mean. Values are
//! little-endian.

use std::sync::Arc;

use bytes::Bytes;

use super::{Res, StoreError};
use crate::rumor::{Bundle, BundleId, Position, SIGNED_HEADER_LEN, SignedHeader};

/// All tables but the bundles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    /// A name -> a number.
    Meta,
    /// Incarnation -> ordinal, last sequence before the next one (`u64::MAX`: it is the last one).
    Incarnations,
    /// Author key -> until when its positions are recorded, Unix milliseconds.
    Positions,
    /// Topic id -> number, rules.
    Topics,
    /// Topic -> [`Counts`](super::book::Counts).
    Counts,
    /// Author key -> number, topics that hold something of it.
    Authors,
    /// Author -> key.
    Names,
    /// Topic, author -> bytes, bundles, keys.
    Usage,
    /// Topic, tick, author, slot -> sequence (0: not shown), bytes. What expires, in order.
    Ticks,
    /// Topic, sequence -> author, position, arrival.
    Arrivals,
    /// Topic, author, position, id -> nothing. In topics of state: the live bundles.
    Heads,
    /// Topic, author, position, id -> first namer, since, rests until, below.
    Unmet,
    /// Topic, tick, author, slot, id -> nothing: the rows of `Unmet` in the order in which floors pass them.
    UnmetTicks,
    /// Topic, author, position -> why it is not shown, arrival.
    Unshown,
    /// Topic, author, key -> where its newest cell stands. Of topics of state.
    Registers,
    /// Topic, author, position -> key: the registers in the order of their age.
    Cells,
    /// Topic, tick in which it ended, author, position -> nothing: bundles that were live.
    Dead,
    /// Topic, author, position -> tick in which it ended.
    Ended,
    /// Author key -> ordinal, evidence.
    Evidence,
    /// Ordinal -> author key.
    EvidenceOrder,
}

impl Table {
    pub(super) const ALL: [Self; 20] = [
        Self::Meta,
        Self::Incarnations,
        Self::Positions,
        Self::Topics,
        Self::Counts,
        Self::Authors,
        Self::Names,
        Self::Usage,
        Self::Ticks,
        Self::Arrivals,
        Self::Heads,
        Self::Unmet,
        Self::UnmetTicks,
        Self::Unshown,
        Self::Registers,
        Self::Cells,
        Self::Dead,
        Self::Ended,
        Self::Evidence,
        Self::EvidenceOrder,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Incarnations => "incarnations",
            Self::Positions => "positions",
            Self::Topics => "topics",
            Self::Counts => "counts",
            Self::Authors => "authors",
            Self::Names => "names",
            Self::Usage => "usage",
            Self::Ticks => "ticks",
            Self::Arrivals => "arrivals",
            Self::Heads => "heads",
            Self::Unmet => "unmet",
            Self::UnmetTicks => "unmet ticks",
            Self::Unshown => "unshown",
            Self::Registers => "registers",
            Self::Cells => "cells",
            Self::Dead => "dead",
            Self::Ended => "ended",
            Self::Evidence => "evidence",
            Self::EvidenceOrder => "evidence order",
        }
    }
}

/// Looks at one row; `false` ends the walk.
pub(super) type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Res<bool>;
/// Looks at one record; `false` ends the walk.
pub(super) type EachBundle<'a> = &'a mut dyn FnMut(&[u8], Stored<'_>) -> Res<bool>;

/// Rows as one moment shows them.
pub(super) trait Rows {
    fn get(&self, table: Table, key: &[u8]) -> Res<Option<Vec<u8>>>;

    /// The rows from `from` (included) up to `upto` (not included), ascending.
    fn walk(&self, table: Table, from: &[u8], upto: &[u8], each: Each<'_>) -> Res<()>;

    /// The records from `from` (included) up to `upto` (not included), ascending or, with `back`, descending.
    fn bundles(&self, from: &[u8], upto: &[u8], back: bool, each: EachBundle<'_>) -> Res<()>;
}

/// Rows that can be changed, all at once or not at all.
pub(super) trait RowsMut: Rows {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Res<()>;

    /// Whether there was such a row.
    fn remove(&mut self, table: Table, key: &[u8]) -> Res<bool>;

    fn put_bundle(&mut self, key: &[u8], bundle: &Arc<Bundle>) -> Res<()>;

    fn remove_bundle(&mut self, key: &[u8]) -> Res<()>;
}

/// A record, not read yet.
#[derive(Clone, Copy)]
pub(super) enum Stored<'a> {
    /// In memory nothing rots.
    Shared(&'a Arc<Bundle>),
    /// Key, checksum and encoding, as on a disk.
    Written(&'a [u8], &'a [u8]),
}

/// Bytes of the checksum before each record.
const CHECK_LEN: usize = 16;

impl Stored<'_> {
    /// The signed header, if the record is as it was written.
    pub(super) fn signed(&self) -> Option<SignedHeader> {
        match self {
            Self::Shared(bundle) => Some(*bundle.signed_header()),
            Self::Written(key, value) => {
                checked(key, value)?.first_chunk::<SIGNED_HEADER_LEN>().map(SignedHeader::decode)
            }
        }
    }

    /// The bundle, if the record is as it was written.
    pub(super) fn bundle(&self) -> Option<Arc<Bundle>> {
        match self {
            Self::Shared(bundle) => Some(Arc::clone(bundle)),
            Self::Written(key, value) => {
                Bundle::kept(Bytes::copy_from_slice(checked(key, value)?)).map(Arc::new)
            }
        }
    }

    /// Bytes of its encoding.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shared(bundle) => bundle.encoded().len(),
            Self::Written(_, value) => value.len().saturating_sub(CHECK_LEN),
        }
    }
}

/// A record as it is written: 16 bytes of hash over key and encoding, then the encoding.
pub(super) fn record(key: &[u8], encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(CHECK_LEN.saturating_add(encoded.len()));
    out.extend_from_slice(&checksum(key, encoded));
    out.extend_from_slice(encoded);
    out
}

fn checked<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (check, encoded) = value.split_first_chunk::<CHECK_LEN>()?;
    (*check == checksum(key, encoded)).then_some(encoded)
}

/// With the key, so that a record that stands in another's place does not count. All keys of bundles are of one length.
fn checksum(key: &[u8], encoded: &[u8]) -> [u8; CHECK_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key("vouchsafe store record v1");
    hasher.update(key);
    hasher.update(encoded);
    let mut out = [0; CHECK_LEN];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// Builds keys.
#[derive(Clone, Debug)]
pub(super) struct Key(Vec<u8>);

impl Key {
    /// The longest are those of heads and holes. (Those of registers are longer, and no key is sought among them that is.)
    const LONGEST: usize = 4 + 8 + 8 + 2 + 32;

    pub(super) fn topic(number: u32) -> Self {
        let mut bytes = Vec::with_capacity(Self::LONGEST);
        bytes.extend_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    /// An author, a tick or a sequence.
    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn slot(mut self, slot: u16) -> Self {
        self.0.extend_from_slice(&slot.to_be_bytes());
        self
    }

    pub(super) fn position(self, position: Position) -> Self {
        self.number(position.tick).slot(position.slot)
    }

    pub(super) fn id(mut self, id: &BundleId) -> Self {
        self.0.extend_from_slice(id.as_bytes());
        self
    }

    /// What an author calls a register.
    pub(super) fn text(mut self, text: &[u8]) -> Self {
        self.0.extend_from_slice(text);
        self
    }

    /// The first key that begins with none of these bytes and comes after all that do.
    pub(super) fn end(mut self) -> Self {
        while let Some(last) = self.0.pop() {
            if let Some(more) = last.checked_add(1) {
                self.0.push(more);
                return self;
            }
        }
        // Nothing comes after those: longer than any key.
        Self(vec![u8::MAX; Self::LONGEST.saturating_add(1)])
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Takes keys and values apart. What is too short was not written by us.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Res<[u8; N]> {
        let (array, rest) =
            self.0.split_first_chunk::<N>().ok_or_else(|| StoreError::damaged("a row is too short"))?;
        self.0 = rest;
        Ok(*array)
    }

    /// Of a value.
    pub(super) fn u64(&mut self) -> Res<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Of a value.
    pub(super) fn u32(&mut self) -> Res<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Of a value.
    pub(super) fn u8(&mut self) -> Res<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    /// Of a key: an author, a tick or a sequence.
    pub(super) fn number(&mut self) -> Res<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Of a key.
    pub(super) fn topic(&mut self) -> Res<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Of a key.
    pub(super) fn slot(&mut self) -> Res<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Of a key.
    pub(super) fn position(&mut self) -> Res<Position> {
        Ok(Position { tick: self.number()?, slot: self.slot()? })
    }

    pub(super) fn id(&mut self) -> Res<BundleId> {
        self.array().map(BundleId::from_bytes)
    }
}
