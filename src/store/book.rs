//! The rules of a store, once for all stores: what one transaction does to the rows.
//!
//! The book is exact: `Heads` and `Unmet` are at each commit what a recount of the bundles would give ([`check`](super::check)).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rows::{Fields, Key, Rows, RowsMut, Stored, Table};
use super::{Res, StoreError};
use crate::key::PublicKey;
use crate::protocol::keeping::{
    Arrival, Cursor, Forget, Group, Head, Held, Hole, Keep, Keeping, Kept, Missed, Opened, Page, Prev, Range,
    Scan, Scanned, Show, Size,
};
use crate::rumor::{
    BundleId, EVIDENCE_LEN, Evidence, Header, Position, Previous, RuleSet, SignedHeader, TopicId,
};

/// The format of the rows. A store of a later one is refused.
pub(super) const FORMAT: u64 = 1;
/// Most bundles, and most holes, that one transaction removes, so that none is long: 100 000 at once took 700 ms.
const MOST_REMOVED: usize = 1000;
/// Openings of a store whose cursors are known. One more than these ago, a cursor is foreign.
const MAX_INCARNATIONS: u64 = 4096;
/// Authors whose proof is kept; as many as an engine keeps convicted.
const MAX_PROOFS: u64 = 16_384;

/// Of an author, what is kept or refused: above 7/8 of what the topic may use, nobody takes more than 1/8 of it, or its double share
/// among few authors.
fn is_greedy(keeping: &Keeping, total: u64, own: u64, authors: u64) -> bool {
    let share = (keeping.bytes / 8).max(keeping.bytes.checked_div(authors).unwrap_or(0).saturating_mul(2));
    total > keeping.bytes.saturating_sub(keeping.bytes / 8) && own > share
}

/// What stands in `Meta`.
#[derive(Clone, Copy)]
enum Number {
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

    fn read(self, rows: &dyn Rows) -> Res<Option<u64>> {
        rows.get(Table::Meta, self.name())?.map(|value| Fields(&value).u64()).transpose()
    }

    fn write(self, rows: &mut dyn RowsMut, number: u64) -> Res<()> {
        rows.put(Table::Meta, self.name(), &number.to_le_bytes())
    }

    /// The next of this kind, from 1 on.
    fn next(self, rows: &mut dyn RowsMut) -> Res<u64> {
        let next = self.read(rows)?.unwrap_or(0).saturating_add(1);
        self.write(rows, next)?;
        Ok(next)
    }
}

/// What stands in `Counts` for each topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) floor: u64,
    /// The highest sequence that was removed.
    pub(super) gone: u64,
    pub(super) size: Size,
}

impl Counts {
    pub(super) fn read(rows: &dyn Rows, topic: u32) -> Res<Self> {
        let Some(value) = rows.get(Table::Counts, &Key::topic(topic))? else { return Ok(Self::default()) };
        let mut fields = Fields(&value);
        Ok(Self {
            floor: fields.u64()?,
            gone: fields.u64()?,
            size: Size { bytes: fields.u64()?, bundles: fields.u64()?, authors: fields.u64()? },
        })
    }

    pub(super) fn write(self, rows: &mut dyn RowsMut, topic: u32) -> Res<()> {
        let Size { bytes, bundles, authors } = self.size;
        let value = [self.floor, self.gone, bytes, bundles, authors].map(u64::to_le_bytes).concat();
        rows.put(Table::Counts, &Key::topic(topic), &value)
    }
}

/// The format that the rows have; `None` if no store wrote them.
pub(super) fn format(rows: &dyn Rows) -> Res<Option<u64>> {
    Number::Format.read(rows)
}

/// Begins a new incarnation.
pub(super) fn begin(rows: &mut dyn RowsMut, incarnation: u64) -> Res<()> {
    Number::Format.write(rows, FORMAT)?;
    let sequence = Number::Sequence.read(rows)?.unwrap_or(0);
    if let Some(before) = Number::Incarnation.read(rows)? {
        let row = rows.get(Table::Incarnations, &before.to_le_bytes())?;
        let ordinal = row.map_or(Ok(0), |value| Fields(&value).u64())?;
        let ended = [ordinal, sequence].map(u64::to_le_bytes).concat();
        rows.put(Table::Incarnations, &before.to_le_bytes(), &ended)?;
    }
    let ordinal = Number::Ordinal.next(rows)?;
    let row = [ordinal, u64::MAX].map(u64::to_le_bytes).concat();
    rows.put(Table::Incarnations, &incarnation.to_le_bytes(), &row)?;
    Number::Incarnation.write(rows, incarnation)?;
    let mut all = Vec::new();
    rows.walk(Table::Incarnations, &[], &[u8::MAX; 9], &mut |key, value| {
        all.push((Fields(value).u64()?, key.to_vec()));
        Ok(true)
    })?;
    all.sort_unstable();
    let beyond = all.len().saturating_sub(usize::try_from(MAX_INCARNATIONS).unwrap_or(usize::MAX));
    for (_, key) in all.iter().take(beyond) {
        rows.remove(Table::Incarnations, key)?;
    }
    Ok(())
}

/// The incarnation that has begun last.
pub(super) fn incarnation(rows: &dyn Rows) -> Res<u64> {
    Number::Incarnation.read(rows)?.ok_or_else(|| StoreError::damaged("no incarnation has begun"))
}

/// Until when positions of an author are recorded.
pub(super) fn recorded(rows: &dyn Rows, author: &PublicKey) -> Res<Option<u64>> {
    rows.get(Table::Positions, author.as_bytes())?.map(|value| Fields(&value).u64()).transpose()
}

/// Never takes a record back.
fn record(rows: &mut dyn RowsMut, author: &PublicKey, until_ms: u64) -> Res<()> {
    if recorded(rows, author)?.is_none_or(|before| before < until_ms) {
        rows.put(Table::Positions, author.as_bytes(), &until_ms.to_le_bytes())?;
    }
    Ok(())
}

/// All proofs, the oldest first.
pub(super) fn evidence(rows: &dyn Rows) -> Res<Vec<Evidence>> {
    let mut all = BTreeMap::new();
    rows.walk(Table::Evidence, &[], &[u8::MAX; 33], &mut |_, value| {
        let mut fields = Fields(value);
        let ordinal = fields.u64()?;
        let evidence = Evidence::decode(&fields.array::<EVIDENCE_LEN>()?);
        all.insert(ordinal, evidence.map_err(|why| StoreError::damaged(why.to_string()))?);
        Ok(true)
    })?;
    Ok(all.into_values().collect())
}

pub(super) fn remember(rows: &mut dyn RowsMut, evidence: &Evidence) -> Res<()> {
    let author = evidence.author();
    if rows.get(Table::Evidence, author.as_bytes())?.is_some() {
        return Ok(());
    }
    let ordinal = Number::Ordinal.next(rows)?;
    let value = [ordinal.to_le_bytes().as_slice(), &evidence.encode()].concat();
    rows.put(Table::Evidence, author.as_bytes(), &value)?;
    rows.put(Table::EvidenceOrder, &ordinal.to_be_bytes(), author.as_bytes())?;
    let mut held = Number::Proofs.read(rows)?.unwrap_or(0).saturating_add(1);
    if held > MAX_PROOFS {
        let mut oldest = None;
        rows.walk(Table::EvidenceOrder, &[], &[u8::MAX; 9], &mut |key, value| {
            oldest = Some((key.to_vec(), value.to_vec()));
            Ok(false)
        })?;
        if let Some((ordinal, author)) = oldest {
            rows.remove(Table::EvidenceOrder, &ordinal)?;
            rows.remove(Table::Evidence, &author)?;
            held = held.saturating_sub(1);
        }
    }
    Number::Proofs.write(rows, held)
}

/// The number of a topic that was opened once.
pub(super) fn topic(rows: &dyn Rows, id: &TopicId) -> Res<u32> {
    let row = rows.get(Table::Topics, id.as_bytes())?.ok_or(StoreError::NotOpen)?;
    Fields(&row).u32()
}

fn author(rows: &dyn Rows, key: &PublicKey) -> Res<Option<u64>> {
    rows.get(Table::Authors, key.as_bytes())?.map(|value| Fields(&value).u64()).transpose()
}

pub(super) fn name(rows: &dyn Rows, author: u64) -> Res<PublicKey> {
    let row = rows.get(Table::Names, &author.to_be_bytes())?;
    let row = row.ok_or_else(|| StoreError::damaged("an author has a number and no key"))?;
    Fields(&row).array().map(PublicKey::from_bytes)
}

/// What a topic holds of an author: bytes, bundles.
fn usage(rows: &dyn Rows, topic: u32, author: u64) -> Res<Option<(u64, u64)>> {
    let row = rows.get(Table::Usage, &Key::topic(topic).number(author))?;
    row.map(|value| {
        let mut fields = Fields(&value);
        Ok((fields.u64()?, fields.u64()?))
    })
    .transpose()
}

/// An author is known as long as a topic holds something of it.
fn join_author(rows: &mut dyn RowsMut, key: &PublicKey) -> Res<u64> {
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

fn leave_author(rows: &mut dyn RowsMut, author: u64) -> Res<()> {
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

fn bundle_key(topic: u32, author: u64, at: Position) -> Key {
    Key::topic(topic).number(author).position(at)
}

fn tick_key(topic: u32, author: u64, at: Position) -> Key {
    Key::topic(topic).number(at.tick).number(author).slot(at.slot)
}

/// The position in a key of a bundle.
fn position_of(key: &[u8]) -> Res<Position> {
    let mut fields = Fields(key);
    fields.topic()?;
    fields.number()?;
    fields.position()
}

/// Author and position in a key of `Ticks`.
pub(super) fn tick_of(key: &[u8]) -> Res<(u64, Position)> {
    let mut fields = Fields(key);
    fields.topic()?;
    let tick = fields.number()?;
    Ok((fields.number()?, Position { tick, slot: fields.slot()? }))
}

const fn arrival_code(arrival: Arrival) -> u8 {
    match arrival {
        Arrival::Own => 0,
        Arrival::Live => 1,
        Arrival::Late { below: false } => 2,
        Arrival::Late { below: true } => 3,
    }
}

pub(super) fn arrival_of(code: u8) -> Res<Arrival> {
    match code {
        0 => Ok(Arrival::Own),
        1 => Ok(Arrival::Live),
        2 | 3 => Ok(Arrival::Late { below: code == 3 }),
        _ => Err(StoreError::damaged("a bundle came in no known way")),
    }
}

/// A row of `Unshown`: `None` while held back, or the version that rejected it; and how it came.
pub(super) fn unshown_of(value: &[u8]) -> Res<(Option<u32>, Arrival)> {
    let mut fields = Fields(value);
    let (rejected, by) = (fields.u8()?, fields.u32()?);
    Ok(((rejected == 1).then_some(by), arrival_of(fields.u8()?)?))
}

fn unshown_row(by: Option<u32>, arrival: Arrival) -> Vec<u8> {
    let mut row = vec![u8::from(by.is_some())];
    row.extend_from_slice(&by.unwrap_or(0).to_le_bytes());
    row.push(arrival_code(arrival));
    row
}

/// What a hole is known by inside a row, without its author.
#[derive(Clone, Copy, Debug)]
struct Unmet {
    namer: Position,
    since_ms: u64,
    rests_until_ms: u64,
    below: bool,
}

impl Unmet {
    fn decode(value: &[u8]) -> Res<Self> {
        let mut fields = Fields(value);
        Ok(Self {
            namer: fields.position()?,
            since_ms: fields.u64()?,
            rests_until_ms: fields.u64()?,
            below: fields.u8()? != 0,
        })
    }

    fn encode(self) -> Vec<u8> {
        let mut row = Vec::with_capacity(27);
        row.extend_from_slice(&self.namer.tick.to_be_bytes());
        row.extend_from_slice(&self.namer.slot.to_be_bytes());
        row.extend_from_slice(&self.since_ms.to_le_bytes());
        row.extend_from_slice(&self.rests_until_ms.to_le_bytes());
        row.push(u8::from(self.below));
        row
    }
}

fn put_unmet(rows: &mut dyn RowsMut, topic: u32, author: u64, prev: &Previous, unmet: Unmet) -> Res<()> {
    let at = prev.position;
    rows.put(Table::Unmet, &bundle_key(topic, author, at).id(&prev.id), &unmet.encode())?;
    rows.put(Table::UnmetTicks, &tick_key(topic, author, at).id(&prev.id), &[])
}

fn remove_unmet(rows: &mut dyn RowsMut, topic: u32, author: u64, prev: &Previous) -> Res<bool> {
    rows.remove(Table::UnmetTicks, &tick_key(topic, author, prev.position).id(&prev.id))?;
    rows.remove(Table::Unmet, &bundle_key(topic, author, prev.position).id(&prev.id))
}

/// What holds a slot of a position.
enum Place {
    Free,
    /// This bundle, from that position on.
    Taken(Box<SignedHeader>),
    /// A record that is not what was written.
    Rotten(Position),
}

/// What holds a slot among `first..end` of a tick. Held bundles don't overlap, so it is the last one that starts before the end.
fn place(rows: &dyn Rows, topic: u32, author: u64, tick: u64, first: u16, end: u32) -> Res<Place> {
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
fn is_held(rows: &dyn Rows, topic: u32, author: u64, prev: &Previous) -> Res<bool> {
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

/// Keeps a group of bundles, and the record that comes with it.
pub(super) fn keep_group(
    rows: &mut dyn RowsMut,
    open: &HashMap<TopicId, (u32, Keeping)>,
    group: &Group<'_>,
) -> Res<Vec<Kept>> {
    if let Some((author, until_ms)) = &group.record {
        record(rows, author, *until_ms)?;
    }
    let one = |item: &Keep| match open.get(&item.bundle.header().topic) {
        Some((topic, keeping)) => keep(rows, *topic, keeping, item, group.now_ms),
        None => Ok(Kept::NotOpen),
    };
    group.keeps.iter().map(one).collect()
}

/// Keeps one bundle of an open topic.
fn keep(rows: &mut dyn RowsMut, topic: u32, keeping: &Keeping, keep: &Keep, now_ms: u64) -> Res<Kept> {
    let (header, id) = (keep.bundle.header(), keep.bundle.id());
    let mut counts = Counts::read(rows, topic)?;
    if header.tick < counts.floor {
        return Ok(Kept::Below);
    }
    while let Some(author) = author(rows, &header.author)? {
        match place(rows, topic, author, header.tick, header.first_slot, header.end_slot())? {
            Place::Free => break,
            Place::Taken(signed) if signed.header.id() == id => {
                judged_again(rows, topic, author, header, keep.show)?;
                return Ok(Kept::Have);
            }
            Place::Taken(signed) => return Ok(Kept::Conflict(signed)),
            // What rot has taken is a hole, and may be what comes here.
            Place::Rotten(at) => {
                mend(rows, topic, author, at)?;
                counts = Counts::read(rows, topic)?;
            }
        }
    }
    let len = keep.bundle.encoded().len() as u64;
    let known = author(rows, &header.author)?;
    let used = known.map_or(Ok(None), |author| usage(rows, topic, author))?;
    let size = Size {
        bytes: counts.size.bytes.saturating_add(len),
        bundles: counts.size.bundles.saturating_add(1),
        authors: counts.size.authors.saturating_add(u64::from(used.is_none())),
    };
    let (own_bytes, own_bundles) = used.unwrap_or_default();
    let own_bytes = own_bytes.saturating_add(len);
    if size.bytes > keeping.bytes
        || (used.is_none() && size.authors > keeping.authors)
        || is_greedy(keeping, size.bytes, own_bytes, size.authors)
    {
        return Ok(Kept::Full);
    }
    let author = match (used, known) {
        (Some(_), Some(author)) => author,
        _ => join_author(rows, &header.author)?,
    };
    let row = [own_bytes, own_bundles.saturating_add(1)].map(u64::to_le_bytes).concat();
    rows.put(Table::Usage, &Key::topic(topic).number(author), &row)?;
    counts.size = size;
    counts.write(rows, topic)?;

    let at = header.position();
    let named = remove_unmet(rows, topic, author, &Previous { id, position: at })?;
    if !named {
        rows.put(Table::Heads, &bundle_key(topic, author, at).id(&id), &[])?;
    }
    let prev = match &header.prev {
        None => Prev::None,
        Some(prev) if prev.position.tick < counts.floor => Prev::Below,
        Some(prev) if is_held(rows, topic, author, prev)? => {
            rows.remove(Table::Heads, &bundle_key(topic, author, prev.position).id(&prev.id))?;
            Prev::Held
        }
        Some(prev) => {
            if rows.get(Table::Unmet, &bundle_key(topic, author, prev.position).id(&prev.id))?.is_none() {
                let below = keep.arrival == Arrival::Late { below: true };
                let unmet = Unmet { namer: at, since_ms: now_ms, rests_until_ms: 0, below };
                put_unmet(rows, topic, author, prev, unmet)?;
            }
            Prev::Missing
        }
    };
    rows.put_bundle(&bundle_key(topic, author, at), &keep.bundle)?;
    let sequence = match keep.show {
        Show::Now => Some(show(rows, topic, author, at, keep.arrival)?),
        Show::Held => None,
        Show::Rejected { .. } => None,
    };
    if sequence.is_none() {
        let by = if let Show::Rejected { by } = keep.show { Some(by) } else { None };
        rows.put(Table::Unshown, &bundle_key(topic, author, at), &unshown_row(by, keep.arrival))?;
    }
    put_tick(rows, topic, author, at, sequence.unwrap_or(0), len)?;
    Ok(Kept::New { sequence, named, prev })
}

/// What another version of the judge has rejected again is noted, so that it is not judged at each start.
fn judged_again(rows: &mut dyn RowsMut, topic: u32, author: u64, header: &Header, show: Show) -> Res<()> {
    let key = bundle_key(topic, author, header.position());
    let Show::Rejected { by } = show else { return Ok(()) };
    let Some(row) = rows.get(Table::Unshown, &key)? else { return Ok(()) };
    rows.put(Table::Unshown, &key, &unshown_row(Some(by), unshown_of(&row)?.1))
}

fn put_tick(
    rows: &mut dyn RowsMut,
    topic: u32,
    author: u64,
    at: Position,
    sequence: u64,
    len: u64,
) -> Res<()> {
    let row = [sequence, len].map(u64::to_le_bytes).concat();
    rows.put(Table::Ticks, &tick_key(topic, author, at), &row)
}

/// Gives a bundle its place in the order of arrival.
fn show(rows: &mut dyn RowsMut, topic: u32, author: u64, at: Position, arrival: Arrival) -> Res<u64> {
    let sequence = Number::Sequence.next(rows)?;
    let mut row = bundle_key(topic, author, at).to_vec();
    row.push(arrival_code(arrival));
    rows.put(Table::Arrivals, &Key::topic(topic).number(sequence), &row)?;
    Ok(sequence)
}

/// Shows what was held back or rejected.
pub(super) fn release(rows: &mut dyn RowsMut, topic: u32, key: &PublicKey, at: Position) -> Res<Option<u64>> {
    let Some(author) = author(rows, key)? else { return Ok(None) };
    let place = bundle_key(topic, author, at);
    let Some(row) = rows.get(Table::Unshown, &place)? else { return Ok(None) };
    rows.remove(Table::Unshown, &place)?;
    let (_, arrival) = unshown_of(&row)?;
    let sequence = show(rows, topic, author, at, arrival)?;
    let row = rows.get(Table::Ticks, &tick_key(topic, author, at))?;
    let len = row.map_or(Ok(0), |row| {
        let mut fields = Fields(&row);
        fields.u64()?;
        fields.u64()
    })?;
    put_tick(rows, topic, author, at, sequence, len)?;
    Ok(Some(sequence))
}

pub(super) fn rest(rows: &mut dyn RowsMut, topic: u32, hole: &Hole, until_ms: u64) -> Res<()> {
    let Some(author) = author(rows, &hole.author)? else { return Ok(()) };
    let key = bundle_key(topic, author, hole.position).id(&hole.id);
    let Some(row) = rows.get(Table::Unmet, &key)? else { return Ok(()) };
    rows.put(Table::Unmet, &key, &Unmet { rests_until_ms: until_ms, ..Unmet::decode(&row)? }.encode())
}

/// Takes a bundle out of everything but the book (`Heads` and `Unmet`).
fn remove(rows: &mut dyn RowsMut, topic: u32, author: u64, at: Position, counts: &mut Counts) -> Res<()> {
    let key = bundle_key(topic, author, at);
    rows.remove_bundle(&key)?;
    rows.remove(Table::Unshown, &key)?;
    let tick = tick_key(topic, author, at);
    let Some(row) = rows.get(Table::Ticks, &tick)? else { return Ok(()) };
    rows.remove(Table::Ticks, &tick)?;
    let mut fields = Fields(&row);
    let (sequence, len) = (fields.u64()?, fields.u64()?);
    if sequence > 0 {
        rows.remove(Table::Arrivals, &Key::topic(topic).number(sequence))?;
        counts.gone = counts.gone.max(sequence);
    }
    counts.size.bytes = counts.size.bytes.saturating_sub(len);
    counts.size.bundles = counts.size.bundles.saturating_sub(1);
    let Some((bytes, bundles)) = usage(rows, topic, author)? else { return Ok(()) };
    let usage = Key::topic(topic).number(author);
    if bundles > 1 {
        let left = [bytes.saturating_sub(len), bundles.saturating_sub(1)].map(u64::to_le_bytes).concat();
        return rows.put(Table::Usage, &usage, &left);
    }
    rows.remove(Table::Usage, &usage)?;
    counts.size.authors = counts.size.authors.saturating_sub(1);
    leave_author(rows, author)
}

/// Gives the keys of the first rows of a table, at most so many.
fn first_keys(rows: &dyn Rows, table: Table, from: &[u8], upto: &[u8], most: usize) -> Res<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    if most > 0 {
        rows.walk(table, from, upto, &mut |key, _| {
            keys.push(key.to_vec());
            Ok(keys.len() < most)
        })?;
    }
    Ok(keys)
}

/// Removes from a topic, a bounded part. Gives whether there is more.
pub(super) fn forget(rows: &mut dyn RowsMut, topic: u32, what: Forget) -> Res<bool> {
    match what {
        Forget::Below(tick) => forget_ticks(rows, topic, |next, _| next < tick),
        Forget::DownTo(bytes) => forget_ticks(rows, topic, |_, size| size.bytes > bytes),
        Forget::Topic => forget_ticks(rows, topic, |_, _| true),
        Forget::Rotten(key, at) => {
            let Some(author) = author(rows, &key)? else { return Ok(false) };
            let place = bundle_key(topic, author, at);
            let mut rotten = false;
            rows.bundles(&place, &place.clone().end(), false, &mut |_, stored| {
                rotten = stored.bundle().is_none();
                Ok(false)
            })?;
            if rotten {
                mend(rows, topic, author, at)?;
            }
            Ok(false)
        }
        Forget::Held(key) => {
            let Some(author) = author(rows, &key)? else { return Ok(false) };
            let prefix = Key::topic(topic).number(author);
            let mut held = Vec::new();
            rows.walk(Table::Unshown, &prefix, &prefix.clone().end(), &mut |key, value| {
                if unshown_of(value)?.0.is_none() {
                    held.push(position_of(key)?);
                }
                Ok(held.len() <= MOST_REMOVED)
            })?;
            forget_of(rows, topic, author, &held)
        }
        Forget::Author(key) => {
            let Some(author) = author(rows, &key)? else { return Ok(false) };
            let prefix = Key::topic(topic).number(author);
            let mut all = Vec::new();
            rows.bundles(&prefix, &prefix.clone().end(), false, &mut |key, _| {
                all.push(position_of(key)?);
                Ok(all.len() <= MOST_REMOVED)
            })?;
            forget_of(rows, topic, author, &all)
        }
    }
}

/// Removes bundles of one author, all but the last if they are one too many, and recounts what is left.
fn forget_of(rows: &mut dyn RowsMut, topic: u32, author: u64, at: &[Position]) -> Res<bool> {
    let mut counts = Counts::read(rows, topic)?;
    for at in at.iter().take(MOST_REMOVED) {
        remove(rows, topic, author, *at, &mut counts)?;
    }
    counts.write(rows, topic)?;
    recount(rows, topic, author)?;
    Ok(at.len() > MOST_REMOVED)
}

/// Removes a record that is not what was written.
fn mend(rows: &mut dyn RowsMut, topic: u32, author: u64, at: Position) -> Res<()> {
    forget_of(rows, topic, author, &[at]).map(drop)
}

/// Removes the oldest bundles as long as `goes` says so of their tick and of what is held, and the floor rises with them. What is below
/// the floor goes in any case: a tick is not left half.
fn forget_ticks(rows: &mut dyn RowsMut, topic: u32, goes: impl Fn(u64, &Size) -> bool) -> Res<bool> {
    let mut counts = Counts::read(rows, topic)?;
    let prefix = Key::topic(topic);
    let end = prefix.clone().end();
    let mut more = false;
    for (removed, key) in
        first_keys(rows, Table::Ticks, &prefix, &end, MOST_REMOVED.saturating_add(1))?.iter().enumerate()
    {
        let (author, at) = tick_of(key)?;
        if at.tick >= counts.floor && !goes(at.tick, &counts.size) {
            break;
        }
        if removed >= MOST_REMOVED {
            more = true;
            break;
        }
        counts.floor = counts.floor.max(at.tick.saturating_add(1));
        remove(rows, topic, author, at, &mut counts)?;
        let place = bundle_key(topic, author, at);
        for head in first_keys(rows, Table::Heads, &place, &place.clone().end(), MOST_REMOVED)? {
            rows.remove(Table::Heads, &head)?;
        }
    }
    counts.write(rows, topic)?;
    let below = prefix.number(counts.floor);
    let most = MOST_REMOVED.saturating_add(1);
    for (removed, key) in
        first_keys(rows, Table::UnmetTicks, &Key::topic(topic), &below, most)?.iter().enumerate()
    {
        if removed >= MOST_REMOVED {
            more = true;
            break;
        }
        let (author, position) = tick_of(key)?;
        let id = Fields(key.get(22..).unwrap_or_default()).id()?;
        remove_unmet(rows, topic, author, &Previous { id, position })?;
    }
    Ok(more)
}

/// Makes the book of one author anew from its bundles. What is not what was written goes.
fn recount(rows: &mut dyn RowsMut, topic: u32, author: u64) -> Res<()> {
    let prefix = Key::topic(topic).number(author);
    let end = prefix.clone().end();
    let (mut held, mut rotten) = (BTreeMap::new(), Vec::new());
    rows.bundles(&prefix, &end, false, &mut |key, stored| {
        match stored.signed() {
            Some(signed) => drop(held.insert(position_of(key)?, (signed.header.id(), signed.header.prev))),
            None => rotten.push(position_of(key)?),
        }
        Ok(true)
    })?;
    let mut counts = Counts::read(rows, topic)?;
    for at in &rotten {
        remove(rows, topic, author, *at, &mut counts)?;
    }
    counts.write(rows, topic)?;
    let mut heads: BTreeSet<Vec<u8>> =
        first_keys(rows, Table::Heads, &prefix, &end, usize::MAX)?.into_iter().collect();
    let mut before = BTreeMap::new();
    rows.walk(Table::Unmet, &prefix, &end, &mut |key, value| {
        before.insert(key.to_vec(), Unmet::decode(value)?);
        Ok(true)
    })?;
    let mut named = BTreeSet::new();
    for (at, (_, prev)) in &held {
        let Some(prev) = prev else { continue };
        named.insert((prev.position, prev.id));
        let is_held = held.get(&prev.position).is_some_and(|(id, _)| *id == prev.id);
        if is_held || prev.position.tick < counts.floor {
            continue;
        }
        let key = bundle_key(topic, author, prev.position).id(&prev.id);
        match before.remove(key.as_ref()) {
            // Its first namer may be gone.
            Some(unmet) if held.contains_key(&unmet.namer) => {}
            Some(unmet) => put_unmet(rows, topic, author, prev, Unmet { namer: *at, ..unmet })?,
            None if rows.get(Table::Unmet, &key)?.is_some() => {}
            None => {
                let unmet = Unmet { namer: *at, since_ms: 0, rests_until_ms: 0, below: false };
                put_unmet(rows, topic, author, prev, unmet)?;
            }
        }
    }
    for key in before.keys() {
        let (position, id) = (position_of(key)?, Fields(key.get(22..).unwrap_or_default()).id()?);
        remove_unmet(rows, topic, author, &Previous { id, position })?;
    }
    for (at, (id, _)) in &held {
        let key = bundle_key(topic, author, *at).id(id);
        if !named.contains(&(*at, *id)) && !heads.remove(key.as_ref()) {
            rows.put(Table::Heads, &key, &[])?;
        } else if named.contains(&(*at, *id)) && heads.remove(key.as_ref()) {
            rows.remove(Table::Heads, &key)?;
        }
    }
    for key in heads {
        rows.remove(Table::Heads, &key)?;
    }
    Ok(())
}

/// The number of a topic, which gets one with its first opening. Rules that were lost are written again.
pub(super) fn join_topic(rows: &mut dyn RowsMut, id: &TopicId, rules: &[u8]) -> Res<u32> {
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

/// Opens a topic: its number, and what is known of it.
pub(super) fn open(
    rows: &mut dyn RowsMut,
    rules: &RuleSet,
    keeping: &Keeping,
    own: Option<&PublicKey>,
) -> Res<(u32, Opened)> {
    let topic = join_topic(rows, &rules.id(), &rules.encode())?;
    let floor_was = lower_floor(rows, topic, keeping.latest)?;
    let counts = Counts::read(rows, topic)?;
    let mut opened = Opened { floor: counts.floor, floor_was, size: counts.size, ..Opened::default() };
    let prefix = Key::topic(topic);
    let end = prefix.clone().end();
    let mut names = Names::default();
    for key in first_keys(rows, Table::Heads, &prefix, &end, usize::MAX)? {
        let mut fields = Fields(&key);
        fields.topic()?;
        let author = names.of(rows, fields.number()?)?;
        opened.heads.push(Head { author, position: fields.position()?, id: fields.id()? });
    }
    let from = Key::topic(topic).number(keeping.recent_from.max(counts.floor));
    for key in first_keys(rows, Table::Ticks, &from, &end, usize::MAX)? {
        let (author, at) = tick_of(&key)?;
        opened.recent.extend(read(rows, topic, author, at, |stored| stored.signed())?);
    }
    let mut unshown = Vec::new();
    rows.walk(Table::Unshown, &prefix, &end, &mut |key, value| {
        let mut fields = Fields(key);
        fields.topic()?;
        let author = fields.number()?;
        unshown.push((fields.position()?, author, unshown_of(value)?.0));
        Ok(true)
    })?;
    unshown.sort_unstable();
    for (at, author, rejected) in unshown {
        match rejected {
            None => opened.held.extend(read(rows, topic, author, at, |stored| stored.bundle())?),
            Some(by) if by != keeping.judged_by => opened.rejudge.push((names.of(rows, author)?, at)),
            Some(_) => {}
        }
    }
    if let Some(author) = own.map_or(Ok(None), |key| author(rows, key))? {
        let prefix = Key::topic(topic).number(author);
        rows.bundles(&prefix, &prefix.clone().end(), true, &mut |_, stored| {
            opened.own = stored.signed().map(|signed| (signed.header.id(), signed.header.position()));
            Ok(opened.own.is_none())
        })?;
    }
    Ok((topic, opened))
}

/// A floor that no correct clock can have reached comes of one that was wrong: it goes back to what is still held. Gives what it was.
fn lower_floor(rows: &mut dyn RowsMut, topic: u32, latest: u64) -> Res<Option<u64>> {
    let mut counts = Counts::read(rows, topic)?;
    if counts.floor <= latest {
        return Ok(None);
    }
    let was = counts.floor;
    let prefix = Key::topic(topic);
    let end = prefix.clone().end();
    let lowest = first_keys(rows, Table::Ticks, &prefix, &end, 1)?;
    counts.floor = lowest.first().map_or(Ok(0), |key| tick_of(key).map(|(_, at)| at.tick))?.min(latest);
    counts.write(rows, topic)?;
    // What was below is a hole again.
    let mut authors = Vec::new();
    rows.walk(Table::Usage, &prefix, &end, &mut |key, _| {
        let mut fields = Fields(key);
        fields.topic()?;
        authors.push(fields.number()?);
        Ok(true)
    })?;
    for author in authors {
        recount(rows, topic, author)?;
    }
    Ok(Some(was))
}

/// Keys of authors, each read once.
#[derive(Default)]
struct Names(BTreeMap<u64, PublicKey>);

impl Names {
    fn of(&mut self, rows: &dyn Rows, author: u64) -> Res<PublicKey> {
        if let Some(key) = self.0.get(&author) {
            return Ok(*key);
        }
        let key = name(rows, author)?;
        self.0.insert(author, key);
        Ok(key)
    }
}

/// Something of one record; `None` if it is not what was written, or not there.
fn read<T>(
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

pub(super) fn held(rows: &dyn Rows, topic: u32, key: &PublicKey, at: Position, id: &BundleId) -> Res<Held> {
    let Some(author) = author(rows, key)? else { return Ok(Held::No) };
    let end = u32::from(at.slot).saturating_add(1);
    Ok(match place(rows, topic, author, at.tick, at.slot, end)? {
        Place::Taken(signed) if signed.header.position() == at && signed.header.id() == *id => Held::Yes,
        Place::Taken(signed) => Held::Other(signed.header.id()),
        Place::Free | Place::Rotten(_) => Held::No,
    })
}

pub(super) fn page(rows: &dyn Rows, topic: u32, ranges: &[Range], max_bytes: usize) -> Res<Page> {
    let floor = Counts::read(rows, topic)?.floor;
    let mut page = Page { floor, ..Page::default() };
    let (mut bytes, mut full) = (0usize, false);
    for range in ranges {
        let mut next = (range.upto.tick, u32::from(range.upto.slot).saturating_add(1));
        let from = range.from.max((floor, 0));
        // Past the last slot of a tick is the next tick.
        let from = match u16::try_from(from.1) {
            Ok(slot) => Some(Position { tick: from.0, slot }),
            Err(_) => from.0.checked_add(1).map(|tick| Position { tick, slot: 0 }),
        };
        let author = if full { None } else { author(rows, &range.author)? };
        if let (Some(author), Some(from)) = (author, from.filter(|from| *from <= range.upto)) {
            let (from, upto) = (bundle_key(topic, author, from), bundle_key(topic, author, range.upto).end());
            rows.bundles(&from, &upto, false, &mut |key, stored| {
                let at = position_of(key)?;
                bytes = bytes.saturating_add(stored.len());
                if bytes > max_bytes && !page.bundles.is_empty() {
                    (full, next) = (true, (at.tick, u32::from(at.slot)));
                    return Ok(false);
                }
                match stored.bundle() {
                    Some(bundle) => page.bundles.push(bundle),
                    None => page.rotten.push((range.author, at)),
                }
                Ok(true)
            })?;
        } else if full {
            next = range.from;
        }
        page.next.push(next);
    }
    Ok(page)
}

pub(super) fn scan(rows: &dyn Rows, topic: u32, after: Cursor, max_bytes: usize) -> Res<Scan> {
    let incarnation = incarnation(rows)?;
    if after != Cursor::START {
        let row = rows.get(Table::Incarnations, &after.incarnation.to_le_bytes())?;
        let row = row.ok_or(StoreError::Foreign)?;
        let mut fields = Fields(&row);
        let (_, last) = (fields.u64()?, fields.u64()?);
        if after.sequence > last.min(Number::Sequence.read(rows)?.unwrap_or(0)) {
            return Err(StoreError::Foreign);
        }
    }
    let gone = Counts::read(rows, topic)?.gone;
    let missed = (after != Cursor::START && gone > after.sequence)
        .then(|| Missed { from: after.sequence.saturating_add(1), to: gone });
    let mut next = Cursor { incarnation, sequence: after.sequence };
    let (mut found, mut more) = (Vec::new(), false);
    let (mut bytes, mut rotten) = (0usize, Vec::new());
    let from = Key::topic(topic).number(after.sequence.saturating_add(1));
    rows.walk(Table::Arrivals, &from, &Key::topic(topic).end(), &mut |key, value| {
        let mut fields = Fields(key);
        fields.topic()?;
        let sequence = fields.number()?;
        let mut fields = Fields(value);
        fields.topic()?;
        let (author, at) = (fields.number()?, fields.position()?);
        let arrival = arrival_of(fields.u8()?)?;
        let bundle = read(rows, topic, author, at, |stored| stored.bundle())?;
        let len = bundle.as_ref().map_or(0, |bundle| bundle.encoded().len());
        bytes = bytes.saturating_add(len);
        if bytes > max_bytes && !found.is_empty() {
            more = true;
            return Ok(false);
        }
        next.sequence = sequence;
        match bundle {
            Some(bundle) => found.push(Scanned { cursor: next, bundle, arrival }),
            None => rotten.push((name(rows, author)?, at)),
        }
        Ok(true)
    })?;
    Ok(Scan { items: found, next, missed, more, rotten })
}

pub(super) fn unmet(rows: &dyn Rows, topic: u32, after: Option<&Hole>, count: usize) -> Res<Vec<Hole>> {
    let floor = Counts::read(rows, topic)?.floor;
    let prefix = Key::topic(topic);
    let from = match after {
        None => prefix.clone(),
        Some(hole) => match author(rows, &hole.author)? {
            // Just after that key, which is of the greatest length.
            Some(author) => {
                let mut key = bundle_key(topic, author, hole.position).id(&hole.id).to_vec();
                key.push(0);
                return unmet_from(rows, topic, &key, floor, count);
            }
            // Nothing is held of it any more: from the beginning.
            None => prefix.clone(),
        },
    };
    unmet_from(rows, topic, &from, floor, count)
}

fn unmet_from(rows: &dyn Rows, topic: u32, from: &[u8], floor: u64, count: usize) -> Res<Vec<Hole>> {
    let mut found = Vec::new();
    if count > 0 {
        rows.walk(Table::Unmet, from, &Key::topic(topic).end(), &mut |key, value| {
            let mut fields = Fields(key);
            fields.topic()?;
            let author = fields.number()?;
            let (position, id) = (fields.position()?, fields.id()?);
            if position.tick >= floor {
                found.push((author, position, id, Unmet::decode(value)?));
            }
            Ok(found.len() < count)
        })?;
    }
    let mut names = Names::default();
    let hole = |(author, position, id, unmet): (u64, Position, BundleId, Unmet)| {
        let Unmet { namer, since_ms, rests_until_ms, below } = unmet;
        Ok(Hole { author: names.of(rows, author)?, position, id, namer, since_ms, rests_until_ms, below })
    };
    found.into_iter().map(hole).collect()
}
