//! Keeps a bundle: whether there is room, what it does to heads and holes, and when it is shown.

use std::collections::HashMap;

use super::beside::record;
use super::cells;
use super::names::{Counts, Number, Usage, author, join_author, usage};
use super::open::Open;
use super::places::{
    Place, Unmet, arrival_code, bundle_key, is_held, place, put_unmet, remove_unmet, tick_key, unshown_of,
    unshown_row,
};
use super::remove::mend;
use crate::key::PublicKey;
use crate::protocol::keeping::{Arrival, Group, Hole, Keep, Keeping, Kept, Prev, Show, Size};
use crate::rumor::registers::Change;
use crate::rumor::{Header, Position, Previous, TopicId};
use crate::store::Res;
use crate::store::rows::{Fields, Key, RowsMut, Table};

/// Of an author, what is kept or refused: above 7/8 of what the topic may use, nobody takes more than 1/8 of it, or its double share
/// among few authors.
fn is_greedy(keeping: &Keeping, total: u64, own: u64, authors: u64) -> bool {
    let shared = keeping.bytes.min(keeping.shared);
    let share = (shared / 8).max(shared.checked_div(authors).unwrap_or(0).saturating_mul(2));
    total > shared.saturating_sub(shared / 8) && own > share
}

/// How many times the room of a topic of state is filled at the most, by values that replace others.
const REPLACED: u64 = 2;

/// Keeps a group of bundles, and the record that comes with it.
pub(in crate::store) fn keep_group(
    rows: &mut dyn RowsMut,
    open: &HashMap<TopicId, Open>,
    group: &Group<'_>,
) -> Res<Vec<Kept>> {
    if let Some((author, until_ms)) = &group.record {
        record(rows, author, *until_ms)?;
    }
    let one = |item: &Keep| match open.get(&item.bundle.header().topic) {
        Some(open) => keep(rows, open.number, &open.keeping, item, group.now_ms),
        None => Ok(Kept::NotOpen),
    };
    group.keeps.iter().map(one).collect()
}

/// Keeps one bundle of an open topic.
fn keep(rows: &mut dyn RowsMut, topic: u32, keeping: &Keeping, keep: &Keep, now_ms: u64) -> Res<Kept> {
    let (header, id, at) = (keep.bundle.header(), keep.bundle.id(), keep.bundle.header().position());
    if header.tick < Counts::read(rows, topic)?.floor {
        return Ok(Kept::Below);
    }
    if let Some(kept) = is_taken(rows, topic, keep)? {
        return Ok(kept);
    }
    let counts = Counts::read(rows, topic)?;
    let known = author(rows, &header.author)?;
    let change = match counts.max_keys {
        0 => None,
        max_keys => Some(cells::plan(rows, topic, known, max_keys, &keep.bundle)?),
    };
    if let Some(change) = change.as_ref().filter(|change| change.written.is_empty()) {
        return Ok(Kept::Dead { by: change.by.unwrap_or(at) });
    }
    let used = known.map_or(Ok(None), |author| usage(rows, topic, author))?;
    let Some((size, own)) = room(&counts, keeping, keep, used, change.as_ref()) else {
        return Ok(Kept::Full);
    };
    let author = match (used, known) {
        (Some(_), Some(author)) => author,
        _ => join_author(rows, &header.author)?,
    };
    own.write(rows, topic, author)?;
    Counts { size, ..counts }.write(rows, topic)?;

    // In a topic of state nothing is missing, and what replaces a bundle may be one that does not name it.
    let named = change.is_none() && remove_unmet(rows, topic, author, &Previous { id, position: at })?;
    if !named {
        rows.put(Table::Heads, &bundle_key(topic, author, at).id(&id), &[])?;
    }
    let (prev, forks) = match change {
        None => note_previous(rows, topic, author, keep, counts.floor, now_ms)?,
        Some(_) => (Prev::None, false),
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
    put_tick(rows, topic, author, at, sequence.unwrap_or(0), keep.bundle.encoded().len() as u64)?;
    let killed = match &change {
        Some(change) => cells::apply(rows, topic, author, &keep.bundle, change)?,
        None => Vec::new(),
    };
    Ok(Kept::New { sequence, named, prev, forks, killed })
}

/// What holds a position of a bundle: itself, or another.
fn is_taken(rows: &mut dyn RowsMut, topic: u32, keep: &Keep) -> Res<Option<Kept>> {
    let header = keep.bundle.header();
    while let Some(author) = author(rows, &header.author)? {
        match place(rows, topic, author, header.tick, header.first_slot, header.end_slot())? {
            Place::Free => break,
            Place::Taken(signed) if signed.header.id() == keep.bundle.id() => {
                judged_again(rows, topic, author, header, keep.show)?;
                return Ok(Some(Kept::Have));
            }
            Place::Taken(signed) => return Ok(Some(Kept::Conflict(signed))),
            // What rot has taken is a hole, and may be what comes here.
            Place::Rotten(at) => mend(rows, topic, author, at)?,
        }
    }
    Ok(None)
}

/// What the topic and the author hold with a bundle more; `None` if there is no room for it.
///
/// In a topic of state a cell that replaces one of its author is always taken, or nodes that are full would differ for ever from those
/// that are not. It adds no key; and of bytes, at most as many again as the topic may have.
fn room(
    counts: &Counts,
    keeping: &Keeping,
    keep: &Keep,
    used: Option<Usage>,
    change: Option<&Change>,
) -> Option<(Size, Usage)> {
    let len = keep.bundle.encoded().len() as u64;
    let size = Size {
        bytes: counts.size.bytes.saturating_add(len),
        bundles: counts.size.bundles.saturating_add(1),
        authors: counts.size.authors.saturating_add(u64::from(used.is_none())),
    };
    let own = used.unwrap_or_default();
    let own = Usage {
        bytes: own.bytes.saturating_add(len),
        bundles: own.bundles.saturating_add(1),
        keys: own.keys,
    };
    if change.is_some_and(|change| change.fresh == 0) {
        return (size.bytes <= keeping.bytes.saturating_mul(REPLACED)).then_some((size, own));
    }
    let keys = change.map_or(0, |change| cells::keys_after(counts.keys, change));
    let full = size.bytes > keeping.bytes
        || (used.is_none() && size.authors > keeping.authors)
        || (keys > keeping.authors && keys > counts.keys)
        || is_greedy(keeping, size.bytes, own.bytes, size.authors);
    (!full).then_some((size, own))
}

/// What the one before a bundle is: held, and then no head any more; or missing, and then a hole. And whether another names it as well.
fn note_previous(
    rows: &mut dyn RowsMut,
    topic: u32,
    author: u64,
    keep: &Keep,
    floor: u64,
    now_ms: u64,
) -> Res<(Prev, bool)> {
    let header = keep.bundle.header();
    Ok(match &header.prev {
        None => (Prev::None, false),
        Some(prev) if prev.position.tick < floor => (Prev::Below, false),
        Some(prev) if is_held(rows, topic, author, prev)? => {
            let key = bundle_key(topic, author, prev.position).id(&prev.id);
            (Prev::Held, !rows.remove(Table::Heads, &key)?)
        }
        Some(prev) => {
            let key = bundle_key(topic, author, prev.position).id(&prev.id);
            let known = rows.get(Table::Unmet, &key)?.is_some();
            if !known {
                let below = keep.arrival == Arrival::Late { below: true };
                let unmet = Unmet { namer: header.position(), since_ms: now_ms, rests_until_ms: 0, below };
                put_unmet(rows, topic, author, prev, unmet)?;
            }
            (Prev::Missing, known)
        }
    })
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
pub(in crate::store) fn release(
    rows: &mut dyn RowsMut,
    topic: u32,
    key: &PublicKey,
    at: Position,
) -> Res<Option<u64>> {
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

pub(in crate::store) fn rest(rows: &mut dyn RowsMut, topic: u32, hole: &Hole, until_ms: u64) -> Res<()> {
    let Some(author) = author(rows, &hole.author)? else { return Ok(()) };
    let key = bundle_key(topic, author, hole.position).id(&hole.id);
    let Some(row) = rows.get(Table::Unmet, &key)? else { return Ok(()) };
    rows.put(Table::Unmet, &key, &Unmet { rests_until_ms: until_ms, ..Unmet::decode(&row)? }.encode())
}
