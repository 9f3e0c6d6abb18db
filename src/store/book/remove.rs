//! Removes bundles: the oldest, those of an author, those that rotted; and counts again what is left.

use std::collections::{BTreeMap, BTreeSet};

use super::cells;
use super::names::{Counts, Usage, author, leave_author, usage};
use super::places::{
    Unmet, bundle_key, first_keys, position_of, put_unmet, remove_unmet, tick_key, tick_of, unshown_of,
};
use crate::protocol::keeping::{Forget, MOST_REMOVED, Size};
use crate::rumor::{Position, Previous};
use crate::store::Res;
use crate::store::rows::{Fields, Key, RowsMut, Table};

/// Takes a bundle out of everything but the book (`Heads` and `Unmet`).
fn remove(rows: &mut dyn RowsMut, topic: u32, author: u64, at: Position, counts: &mut Counts) -> Res<()> {
    let key = bundle_key(topic, author, at);
    if counts.is_state() {
        let ended = cells::end(rows, topic, author, at)?;
        counts.keys = counts.keys.saturating_sub(ended);
        if let Some(own) = usage(rows, topic, author)? {
            Usage { keys: own.keys.saturating_sub(ended), ..own }.write(rows, topic, author)?;
        }
    }
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
    let Some(own) = usage(rows, topic, author)? else { return Ok(()) };
    if own.bundles > 1 {
        let (bytes, bundles) = (own.bytes.saturating_sub(len), own.bundles.saturating_sub(1));
        return Usage { bytes, bundles, ..own }.write(rows, topic, author);
    }
    rows.remove(Table::Usage, &Key::topic(topic).number(author))?;
    counts.size.authors = counts.size.authors.saturating_sub(1);
    leave_author(rows, author)
}

/// Removes from a topic, a bounded part. Gives whether there is more.
pub(in crate::store) fn forget(rows: &mut dyn RowsMut, topic: u32, what: Forget) -> Res<bool> {
    match what {
        Forget::Below(tick) => forget_ticks(rows, topic, |next, _| next < tick),
        Forget::DownTo(bytes) => forget_ticks(rows, topic, |_, size| size.bytes > bytes),
        Forget::Topic => forget_ticks(rows, topic, |_, _| true),
        Forget::Dead { killer_before } => {
            let dead = cells::dead_before(rows, topic, killer_before, MOST_REMOVED.saturating_add(1))?;
            let mut counts = Counts::read(rows, topic)?;
            for (author, at) in dead.iter().take(MOST_REMOVED) {
                remove(rows, topic, *author, *at, &mut counts)?;
            }
            counts.write(rows, topic)?;
            Ok(dead.len() > MOST_REMOVED)
        }
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
pub(super) fn mend(rows: &mut dyn RowsMut, topic: u32, author: u64, at: Position) -> Res<()> {
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
pub(super) fn recount(rows: &mut dyn RowsMut, topic: u32, author: u64) -> Res<()> {
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
    if counts.is_state() {
        return cells::recount(rows, topic, author, counts.max_keys);
    }
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
