//! Numbers, and what has one: topics, authors. Rows name both by their numbers, which are shorter than keys and ids.

use std::collections::BTreeMap;

use crate::key::PublicKey;
use crate::protocol::keeping::Size;
use crate::rumor::TopicId;
use crate::store::rows::{Fields, Key, Rows, RowsMut, Table};
use crate::store::{Res, StoreError};

/// What stands in `Meta`.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Format,
    /// The last one given.
    Sequence,
    /// The last one given.
    Author,
    /// The last one given.
    Topic,
    Incarnation,
    /// The last one given: of incarnations and evidence.
    Ordinal,
    Proofs,
}

impl Number {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Format => b"format",
            Self::Sequence => b"sequence",
            Self::Author => b"author",
            Self::Topic => b"topic",
            Self::Incarnation => b"incarnation",
            Self::Ordinal => b"ordinal",
            Self::Proofs => b"proofs",
        }
    }

    pub(super) fn read(self, rows: &dyn Rows) -> Res<Option<u64>> {
        rows.get(Table::Meta, self.name())?.map(|value| Fields(&value).u64()).transpose()
    }

    pub(super) fn write(self, rows: &mut dyn RowsMut, number: u64) -> Res<()> {
        rows.put(Table::Meta, self.name(), &number.to_le_bytes())
    }

    /// The next of this kind, from 1 on.
    pub(super) fn next(self, rows: &mut dyn RowsMut) -> Res<u64> {
        let next = self.read(rows)?.unwrap_or(0).saturating_add(1);
        self.write(rows, next)?;
        Ok(next)
    }
}

/// What stands in `Counts` for each topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::store) struct Counts {
    pub(in crate::store) floor: u64,
    /// The highest sequence that was removed.
    pub(in crate::store) gone: u64,
    pub(in crate::store) size: Size,
    /// Most keys of an author; 0 in a log, which has none.
    pub(in crate::store) max_keys: u32,
    /// Registers of all authors.
    pub(in crate::store) keys: u64,
}

impl Counts {
    pub(in crate::store) fn read(rows: &dyn Rows, topic: u32) -> Res<Self> {
        let Some(value) = rows.get(Table::Counts, &Key::topic(topic))? else { return Ok(Self::default()) };
        let mut fields = Fields(&value);
        Ok(Self {
            floor: fields.u64()?,
            gone: fields.u64()?,
            size: Size { bytes: fields.u64()?, bundles: fields.u64()?, authors: fields.u64()? },
            max_keys: fields.u32()?,
            keys: fields.u64()?,
        })
    }

    pub(in crate::store) fn write(self, rows: &mut dyn RowsMut, topic: u32) -> Res<()> {
        let Size { bytes, bundles, authors } = self.size;
        let mut value = [self.floor, self.gone, bytes, bundles, authors].map(u64::to_le_bytes).concat();
        value.extend_from_slice(&self.max_keys.to_le_bytes());
        value.extend_from_slice(&self.keys.to_le_bytes());
        rows.put(Table::Counts, &Key::topic(topic), &value)
    }

    /// Whether the topic keeps state.
    pub(in crate::store) const fn is_state(&self) -> bool {
        self.max_keys > 0
    }
}

/// The number of a topic that was opened once.
pub(in crate::store) fn topic(rows: &dyn Rows, id: &TopicId) -> Res<u32> {
    let row = rows.get(Table::Topics, id.as_bytes())?.ok_or(StoreError::NotOpen)?;
    Fields(&row).u32()
}

/// The number of a topic, which gets one with its first opening. Rules that were lost are written again.
pub(in crate::store) fn join_topic(rows: &mut dyn RowsMut, id: &TopicId, rules: &[u8]) -> Res<u32> {
    let number = match rows.get(Table::Topics, id.as_bytes())? {
        Some(row) => {
            let mut fields = Fields(&row);
            let number = fields.u32()?;
            if fields.0 == rules || rules.is_empty() {
                return Ok(number);
            }
            number
        }
        None => {
            let next = Number::Topic.next(rows)?;
            u32::try_from(next).map_err(|_| StoreError::damaged("topics have no more numbers"))?
        }
    };
    rows.put(Table::Topics, id.as_bytes(), &[number.to_le_bytes().as_slice(), rules].concat())?;
    Ok(number)
}

pub(super) fn author(rows: &dyn Rows, key: &PublicKey) -> Res<Option<u64>> {
    rows.get(Table::Authors, key.as_bytes())?.map(|value| Fields(&value).u64()).transpose()
}

pub(in crate::store) fn name(rows: &dyn Rows, author: u64) -> Res<PublicKey> {
    let row = rows.get(Table::Names, &author.to_be_bytes())?;
    let row = row.ok_or_else(|| StoreError::damaged("an author has a number and no key"))?;
    Fields(&row).array().map(PublicKey::from_bytes)
}

/// What a topic holds of an author.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::store) struct Usage {
    pub(in crate::store) bytes: u64,
    pub(in crate::store) bundles: u64,
    /// Registers; 0 in a log.
    pub(in crate::store) keys: u64,
}

impl Usage {
    pub(in crate::store) fn decode(value: &[u8]) -> Res<Self> {
        let mut fields = Fields(value);
        Ok(Self { bytes: fields.u64()?, bundles: fields.u64()?, keys: fields.u64()? })
    }

    pub(super) fn write(self, rows: &mut dyn RowsMut, topic: u32, author: u64) -> Res<()> {
        let row = [self.bytes, self.bundles, self.keys].map(u64::to_le_bytes).concat();
        rows.put(Table::Usage, &Key::topic(topic).number(author), &row)
    }
}

/// What a topic holds of an author; `None` if nothing.
pub(super) fn usage(rows: &dyn Rows, topic: u32, author: u64) -> Res<Option<Usage>> {
    let row = rows.get(Table::Usage, &Key::topic(topic).number(author))?;
    row.map(|value| Usage::decode(&value)).transpose()
}

/// An author is known as long as a topic holds something of it.
pub(super) fn join_author(rows: &mut dyn RowsMut, key: &PublicKey) -> Res<u64> {
    let (number, topics) = match rows.get(Table::Authors, key.as_bytes())? {
        Some(row) => {
            let mut fields = Fields(&row);
            (fields.u64()?, fields.u32()?)
        }
        None => {
            let number = Number::Author.next(rows)?;
            rows.put(Table::Names, &number.to_be_bytes(), key.as_bytes())?;
            (number, 0)
        }
    };
    let row = [number.to_le_bytes().as_slice(), &topics.saturating_add(1).to_le_bytes()].concat();
    rows.put(Table::Authors, key.as_bytes(), &row)?;
    Ok(number)
}

pub(super) fn leave_author(rows: &mut dyn RowsMut, author: u64) -> Res<()> {
    let key = name(rows, author)?;
    let Some(row) = rows.get(Table::Authors, key.as_bytes())? else { return Ok(()) };
    let mut fields = Fields(&row);
    let (number, topics) = (fields.u64()?, fields.u32()?);
    if topics > 1 {
        let row = [number.to_le_bytes().as_slice(), &topics.saturating_sub(1).to_le_bytes()].concat();
        return rows.put(Table::Authors, key.as_bytes(), &row);
    }
    rows.remove(Table::Authors, key.as_bytes())?;
    rows.remove(Table::Names, &author.to_be_bytes())?;
    Ok(())
}

/// Keys of authors, each read once.
#[derive(Default)]
pub(super) struct Names(BTreeMap<u64, PublicKey>);

impl Names {
    pub(super) fn of(&mut self, rows: &dyn Rows, author: u64) -> Res<PublicKey> {
        if let Some(key) = self.0.get(&author) {
            return Ok(*key);
        }
        let key = name(rows, author)?;
        self.0.insert(author, key);
        Ok(key)
    }
}
