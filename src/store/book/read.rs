//! Reads what is kept: by position, by range, in the order of arrival; and what is missing.

use std::sync::Arc;

use super::beside::incarnation;
use super::names::{Counts, Names, Number, author, name};
use super::places::{Place, Unmet, arrival_of, bundle_key, place, position_of, read};
use crate::key::PublicKey;
use crate::protocol::keeping::{
    Cursor, Frontier, Head, Held, Hole, Live, LiveItem, Missed, Page, Range, Scan, Scanned,
};
use crate::rumor::{Bundle, BundleId, Position};
use crate::store::rows::{Fields, Key, Rows, Table};
use crate::store::{Res, StoreError};

pub(in crate::store) fn held(
    rows: &dyn Rows,
    topic: u32,
    key: &PublicKey,
    at: Position,
    id: &BundleId,
) -> Res<Held> {
    let Some(author) = author(rows, key)? else { return Ok(Held::No) };
    let end = u32::from(at.slot).saturating_add(1);
    Ok(match place(rows, topic, author, at.tick, at.slot, end)? {
        Place::Taken(signed) if signed.header.position() == at && signed.header.id() == *id => Held::Yes,
        Place::Taken(signed) => Held::Other(signed.header.id()),
        Place::Free | Place::Rotten(_) => Held::No,
    })
}

/// Where the last held bundle of an author starts that starts before a position.
pub(in crate::store) fn before(
    rows: &dyn Rows,
    topic: u32,
    key: &PublicKey,
    at: Position,
) -> Res<Option<Position>> {
    let Some(author) = author(rows, key)? else { return Ok(None) };
    let (from, upto) = (Key::topic(topic).number(author), bundle_key(topic, author, at));
    let mut found = None;
    rows.bundles(&from, &upto, true, &mut |key, _| {
        found = Some(position_of(key)?);
        Ok(false)
    })?;
    Ok(found)
}

pub(in crate::store) fn page(rows: &dyn Rows, topic: u32, ranges: &[Range], max_bytes: usize) -> Res<Page> {
    page_of(rows, topic, ranges, max_bytes, false)
}

/// As [`page`], of one author, without what is held back or rejected.
pub(in crate::store) fn history(rows: &dyn Rows, topic: u32, range: &Range, max_bytes: usize) -> Res<Page> {
    page_of(rows, topic, std::slice::from_ref(range), max_bytes, true)
}

fn page_of(rows: &dyn Rows, topic: u32, ranges: &[Range], max_bytes: usize, shown: bool) -> Res<Page> {
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
                if shown && rows.get(Table::Unshown, key)?.is_some() {
                    return Ok(true);
                }
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

/// Live bundles of a topic of state after this one, until so many bytes would be exceeded; at least one, if there is one.
pub(in crate::store) fn live(
    rows: &dyn Rows,
    topic: u32,
    after: Option<&Head>,
    max_bytes: usize,
) -> Res<Live> {
    let prefix = Key::topic(topic);
    let mut from = prefix.to_vec();
    if let Some(head) = after
        && let Some(author) = author(rows, &head.author)?
    {
        // Just after that key, which is of the greatest length.
        from = bundle_key(topic, author, head.position).id(&head.id).to_vec();
        from.push(0);
    }
    let (mut live, mut names, mut bytes) = (Live::default(), Names::default(), 0usize);
    rows.walk(Table::Heads, &from, &prefix.end(), &mut |key, _| {
        let mut fields = Fields(key);
        fields.topic()?;
        let number = fields.number()?;
        let (position, id) = (fields.position()?, fields.id()?);
        let bundle = read(rows, topic, number, position, |stored| stored.bundle())?;
        bytes = bytes.saturating_add(bundle.as_ref().map_or(0, |bundle| bundle.encoded().len()));
        if bytes > max_bytes && !live.items.is_empty() {
            live.more = true;
            return Ok(false);
        }
        let head = Head { author: names.of(rows, number)?, position, id };
        let is_shown = rows.get(Table::Unshown, &bundle_key(topic, number, position))?.is_none();
        live.items.push(LiveItem { head, bundle, is_shown });
        Ok(true)
    })?;
    Ok(live)
}

/// The bundle that has this slot, if it is shown.
pub(in crate::store) fn find(
    rows: &dyn Rows,
    topic: u32,
    key: &PublicKey,
    at: Position,
) -> Res<Option<Arc<Bundle>>> {
    let Some(author) = author(rows, key)? else { return Ok(None) };
    let end = u32::from(at.slot).saturating_add(1);
    let Place::Taken(signed) = place(rows, topic, author, at.tick, at.slot, end)? else { return Ok(None) };
    let first = signed.header.position();
    if rows.get(Table::Unshown, &bundle_key(topic, author, first))?.is_some() {
        return Ok(None);
    }
    read(rows, topic, author, first, |stored| stored.bundle())
}

/// How far the chain of an author is held, with its first holes.
pub(in crate::store) fn frontier(
    rows: &dyn Rows,
    topic: u32,
    key: &PublicKey,
    holes: usize,
) -> Res<Frontier> {
    let Some(author) = author(rows, key)? else { return Ok(Frontier::default()) };
    let floor = Counts::read(rows, topic)?.floor;
    let all = Key::topic(topic).number(author);
    let end = all.clone().end();
    let mut found = Vec::new();
    rows.walk(Table::Unmet, &all, &end, &mut |key, _| {
        let at = position_of(key)?;
        if at.tick >= floor && found.last() != Some(&at) {
            found.push(at);
        }
        Ok(found.len() < holes.max(1))
    })?;
    let newest = last_before(rows, &all, &end)?;
    let complete_until = match found.first() {
        Some(hole) => last_before(rows, &all, &bundle_key(topic, author, *hole))?,
        None => newest,
    };
    found.truncate(holes);
    Ok(Frontier { newest, complete_until, holes: found })
}

/// The last position that the last sound record among those keys has.
fn last_before(rows: &dyn Rows, from: &[u8], upto: &[u8]) -> Res<Option<Position>> {
    let mut last = None;
    rows.bundles(from, upto, true, &mut |_, stored| {
        last = stored.signed().map(|signed| {
            let slot = signed.header.end_slot().saturating_sub(1);
            Position { tick: signed.header.tick, slot: u16::try_from(slot).unwrap_or(u16::MAX) }
        });
        Ok(last.is_none())
    })?;
    Ok(last)
}

pub(in crate::store) fn scan(rows: &dyn Rows, topic: u32, after: Cursor, max_bytes: usize) -> Res<Scan> {
    let incarnation = incarnation(rows)?;
    let after = match after {
        Cursor::END => Cursor { incarnation, sequence: Number::Sequence.read(rows)?.unwrap_or(0) },
        other => other,
    };
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
    Ok(Scan { items: found, next, missed, gone, more, rotten })
}

pub(in crate::store) fn unmet(
    rows: &dyn Rows,
    topic: u32,
    after: Option<&Hole>,
    count: usize,
) -> Res<Vec<Hole>> {
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
