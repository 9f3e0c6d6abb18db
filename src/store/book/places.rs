//! Where a bundle stands: the keys of its rows, what they say, and what holds a position.

use crate::protocol::keeping::Arrival;
use crate::rumor::{Position, Previous, SignedHeader};
use crate::store::rows::{Fields, Key, Rows, RowsMut, Stored, Table};
use crate::store::{Res, StoreError};

pub(super) fn bundle_key(topic: u32, author: u64, at: Position) -> Key {
    Key::topic(topic).number(author).position(at)
}

pub(super) fn tick_key(topic: u32, author: u64, at: Position) -> Key {
    Key::topic(topic).number(at.tick).number(author).slot(at.slot)
}

/// The position in a key of a bundle.
pub(super) fn position_of(key: &[u8]) -> Res<Position> {
    let mut fields = Fields(key);
    fields.topic()?;
    fields.number()?;
    fields.position()
}

/// Author and position in a key of `Ticks`.
pub(in crate::store) fn tick_of(key: &[u8]) -> Res<(u64, Position)> {
    let mut fields = Fields(key);
    fields.topic()?;
    let tick = fields.number()?;
    Ok((fields.number()?, Position { tick, slot: fields.slot()? }))
}

pub(super) const fn arrival_code(arrival: Arrival) -> u8 {
    match arrival {
        Arrival::Own => 0,
        Arrival::Live => 1,
        Arrival::Late { below: false } => 2,
        Arrival::Late { below: true } => 3,
    }
}

pub(in crate::store) fn arrival_of(code: u8) -> Res<Arrival> {
    match code {
        0 => Ok(Arrival::Own),
        1 => Ok(Arrival::Live),
        2 | 3 => Ok(Arrival::Late { below: code == 3 }),
        _ => Err(StoreError::damaged("a bundle came in no known way")),
    }
}

/// A row of `Unshown`: `None` while held back, or the version that rejected it; and how it came.
pub(in crate::store) fn unshown_of(value: &[u8]) -> Res<(Option<u32>, Arrival)> {
    let mut fields = Fields(value);
    let (rejected, by) = (fields.u8()?, fields.u32()?);
    Ok(((rejected == 1).then_some(by), arrival_of(fields.u8()?)?))
}

pub(super) fn unshown_row(by: Option<u32>, arrival: Arrival) -> Vec<u8> {
    let mut row = vec![u8::from(by.is_some())];
    row.extend_from_slice(&by.unwrap_or(0).to_le_bytes());
    row.push(arrival_code(arrival));
    row
}

/// What a hole is known by inside a row, without its author.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unmet {
    pub(super) namer: Position,
    pub(super) since_ms: u64,
    pub(super) rests_until_ms: u64,
    pub(super) below: bool,
}

impl Unmet {
    pub(super) fn decode(value: &[u8]) -> Res<Self> {
        let mut fields = Fields(value);
        Ok(Self {
            namer: fields.position()?,
            since_ms: fields.u64()?,
            rests_until_ms: fields.u64()?,
            below: fields.u8()? != 0,
        })
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let mut row = Vec::with_capacity(27);
        row.extend_from_slice(&self.namer.tick.to_be_bytes());
        row.extend_from_slice(&self.namer.slot.to_be_bytes());
        row.extend_from_slice(&self.since_ms.to_le_bytes());
        row.extend_from_slice(&self.rests_until_ms.to_le_bytes());
        row.push(u8::from(self.below));
        row
    }
}

pub(super) fn put_unmet(
    rows: &mut dyn RowsMut,
    topic: u32,
    author: u64,
    prev: &Previous,
    unmet: Unmet,
) -> Res<()> {
    let at = prev.position;
    rows.put(Table::Unmet, &bundle_key(topic, author, at).id(&prev.id), &unmet.encode())?;
    rows.put(Table::UnmetTicks, &tick_key(topic, author, at).id(&prev.id), &[])
}

pub(super) fn remove_unmet(rows: &mut dyn RowsMut, topic: u32, author: u64, prev: &Previous) -> Res<bool> {
    rows.remove(Table::UnmetTicks, &tick_key(topic, author, prev.position).id(&prev.id))?;
    rows.remove(Table::Unmet, &bundle_key(topic, author, prev.position).id(&prev.id))
}

/// What holds a slot of a position.
pub(super) enum Place {
    Free,
    /// This bundle, from that position on.
    Taken(Box<SignedHeader>),
    /// A record that is not what was written.
    Rotten(Position),
}

/// What holds a slot among `first..end` of a tick. Held bundles don't overlap, so it is the last one that starts before the end.
pub(super) fn place(rows: &dyn Rows, topic: u32, author: u64, tick: u64, first: u16, end: u32) -> Res<Place> {
    let from = Key::topic(topic).number(author).number(tick);
    let upto = match u16::try_from(end) {
        Ok(end) => from.clone().slot(end),
        Err(_) => from.clone().end(),
    };
    let mut place = Place::Free;
    rows.bundles(&from, &upto, true, &mut |key, stored| {
        place = match stored.signed() {
            Some(signed) if signed.header.end_slot() > u32::from(first) => Place::Taken(Box::new(signed)),
            Some(_) => Place::Free,
            None => Place::Rotten(position_of(key)?),
        };
        Ok(false)
    })?;
    Ok(place)
}

/// Whether exactly this bundle is held at exactly that position.
pub(super) fn is_held(rows: &dyn Rows, topic: u32, author: u64, prev: &Previous) -> Res<bool> {
    let key = bundle_key(topic, author, prev.position);
    if rows.get(Table::Heads, &key.clone().id(&prev.id))?.is_some() {
        return Ok(true);
    }
    let mut held = false;
    rows.bundles(&key, &key.clone().end(), false, &mut |_, stored| {
        held = stored.signed().is_some_and(|signed| signed.header.id() == prev.id);
        Ok(false)
    })?;
    Ok(held)
}

/// Something of one record; `None` if it is not what was written, or not there.
pub(super) fn read<T>(
    rows: &dyn Rows,
    topic: u32,
    author: u64,
    at: Position,
    part: impl Fn(Stored<'_>) -> Option<T>,
) -> Res<Option<T>> {
    let key = bundle_key(topic, author, at);
    let mut found = None;
    rows.bundles(&key, &key.clone().end(), false, &mut |_, stored| {
        found = part(stored);
        Ok(false)
    })?;
    Ok(found)
}

/// Gives the keys of the first rows of a table, at most so many.
pub(super) fn first_keys(
    rows: &dyn Rows,
    table: Table,
    from: &[u8],
    upto: &[u8],
    most: usize,
) -> Res<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    if most > 0 {
        rows.walk(table, from, upto, &mut |key, _| {
            keys.push(key.to_vec());
            Ok(keys.len() < most)
        })?;
    }
    Ok(keys)
}
