//! Topics of state: which cells are registers, which bundles are live, and which were.
//!
//! `Registers` and `Cells` are at each commit what [`registers`] makes of all bundles that are held, `Heads` are the bundles with one
//! of them, and `Dead` and `Ended` have the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::names::{Counts, usage};
use super::places::{Place, bundle_key, place, position_of, read};
use crate::protocol::keeping::Killed;
use crate::rumor::registers::{self, Change, Held, Registers};
use crate::rumor::{Bundle, BundleId, MAX_RUMORS, Position};
use crate::store::rows::{Fields, Key, Rows, RowsMut, Table};
use crate::store::{Res, StoreError};

/// The registers of one author, as rows.
struct Of<'a> {
    rows: &'a dyn Rows,
    topic: u32,
    /// `None` if nothing is held of it.
    author: Option<u64>,
}

impl Held for Of<'_> {
    type Error = StoreError;

    fn position(&self, key: &[u8]) -> Res<Option<Position>> {
        let Some(author) = self.author else { return Ok(None) };
        register(self.rows, self.topic, author, key)
    }

    fn keys(&self) -> Res<u64> {
        let Some(author) = self.author else { return Ok(0) };
        Ok(usage(self.rows, self.topic, author)?.unwrap_or_default().keys)
    }

    fn oldest(&self, most: usize) -> Res<Vec<(Position, Bytes)>> {
        let Some(author) = self.author else { return Ok(Vec::new()) };
        let prefix = Key::topic(self.topic).number(author);
        cells(self.rows, &prefix, &prefix.clone().end(), most)
    }
}

/// Where the newest cell of a key stands.
fn register(rows: &dyn Rows, topic: u32, author: u64, key: &[u8]) -> Res<Option<Position>> {
    let row = rows.get(Table::Registers, &Key::topic(topic).number(author).text(key))?;
    row.map(|row| Fields(&row).position()).transpose()
}

/// Rows of `Cells`, at most so many.
fn cells(rows: &dyn Rows, from: &[u8], upto: &[u8], most: usize) -> Res<Vec<(Position, Bytes)>> {
    let mut found = Vec::new();
    if most > 0 {
        rows.walk(Table::Cells, from, upto, &mut |key, value| {
            found.push((position_of(key)?, Bytes::copy_from_slice(value)));
            Ok(found.len() < most)
        })?;
    }
    Ok(found)
}

fn put_register(rows: &mut dyn RowsMut, topic: u32, author: u64, key: &[u8], at: Position) -> Res<()> {
    let row = Key::topic(0).position(at);
    let position = row.get(4..).unwrap_or_default();
    rows.put(Table::Registers, &Key::topic(topic).number(author).text(key), position)?;
    rows.put(Table::Cells, &bundle_key(topic, author, at), key)
}

fn remove_register(rows: &mut dyn RowsMut, topic: u32, author: u64, key: &[u8], at: Position) -> Res<()> {
    rows.remove(Table::Registers, &Key::topic(topic).number(author).text(key))?;
    rows.remove(Table::Cells, &bundle_key(topic, author, at)).map(drop)
}

/// What the cells of a bundle would do to the registers of its author.
pub(super) fn plan(
    rows: &dyn Rows,
    topic: u32,
    author: Option<u64>,
    max_keys: u32,
    bundle: &Arc<Bundle>,
) -> Res<Change> {
    let of = Of { rows, topic, author };
    registers::change(&of, max_keys, bundle.cells().map(|(position, cell)| (position, cell.into_parts().0)))
}

/// How many keys there are after a change.
pub(super) fn keys_after(before: u64, change: &Change) -> u64 {
    before.saturating_add(change.written.len() as u64).saturating_sub(change.ended.len() as u64)
}

/// Does what was planned for a bundle that is held by now. Gives which bundles it killed.
pub(super) fn apply(
    rows: &mut dyn RowsMut,
    topic: u32,
    author: u64,
    bundle: &Bundle,
    change: &Change,
) -> Res<Vec<Killed>> {
    for (key, at) in &change.ended {
        remove_register(rows, topic, author, key, *at)?;
    }
    for (key, at) in &change.written {
        put_register(rows, topic, author, key, *at)?;
    }
    let mut counts = Counts::read(rows, topic)?;
    let mut own = usage(rows, topic, author)?.unwrap_or_default();
    (own.keys, counts.keys) = (keys_after(own.keys, change), keys_after(counts.keys, change));
    own.write(rows, topic, author)?;
    counts.write(rows, topic)?;
    let mut killed = Vec::new();
    let mut ended: Vec<_> = change.ended.iter().map(|(_, at)| *at).collect();
    ended.sort_unstable();
    for at in ended {
        let end = u32::from(at.slot).saturating_add(1);
        match place(rows, topic, author, at.tick, at.slot, end)? {
            Place::Taken(signed) => {
                let (first, end) = (signed.header.position(), signed.header.end_slot());
                if is_live(rows, topic, author, first, end)?
                    || ended_in(rows, topic, author, first)?.is_some()
                {
                    continue;
                }
                let in_tick = last_tick(rows, topic, author, first)?.max(bundle.header().tick);
                kill(rows, topic, author, first, &signed.header.id(), in_tick)?;
                killed.push(Killed { position: first, in_tick });
            }
            // Rot has taken it: it is met, and mended, where it is read.
            Place::Free | Place::Rotten(_) => {}
        }
    }
    Ok(killed)
}

/// Whether one of the cells in these slots is a register.
fn is_live(rows: &dyn Rows, topic: u32, author: u64, first: Position, end: u32) -> Res<bool> {
    let from = bundle_key(topic, author, first);
    Ok(!cells(rows, &from, &slots_end(topic, author, first.tick, end), 1)?.is_empty())
}

/// The end of the keys of slots before `end` in a tick.
fn slots_end(topic: u32, author: u64, tick: u64, end: u32) -> Key {
    let tick = Key::topic(topic).number(author).number(tick);
    match u16::try_from(end) {
        Ok(end) => tick.slot(end),
        Err(_) => tick.end(),
    }
}

/// The tick in which a bundle ended that is live no more; `None` for any other.
fn ended_in(rows: &dyn Rows, topic: u32, author: u64, at: Position) -> Res<Option<u64>> {
    let row = rows.get(Table::Ended, &bundle_key(topic, author, at))?;
    row.map(|row| Fields(&row).u64()).transpose()
}

/// The latest tick of what stands now under the keys of a bundle.
fn last_tick(rows: &dyn Rows, topic: u32, author: u64, first: Position) -> Res<u64> {
    let Some(bundle) = read(rows, topic, author, first, |stored| stored.bundle())? else { return Ok(0) };
    let mut last = 0;
    for (_, cell) in bundle.cells() {
        last = last.max(register(rows, topic, author, cell.key())?.map_or(0, |at| at.tick));
    }
    Ok(last)
}

fn dead_key(topic: u32, in_tick: u64, author: u64, at: Position) -> Key {
    Key::topic(topic).number(in_tick).number(author).position(at)
}

/// A bundle is live no more.
fn kill(
    rows: &mut dyn RowsMut,
    topic: u32,
    author: u64,
    at: Position,
    id: &BundleId,
    in_tick: u64,
) -> Res<()> {
    rows.remove(Table::Heads, &bundle_key(topic, author, at).id(id))?;
    rows.put(Table::Dead, &dead_key(topic, in_tick, author, at), &[])?;
    rows.put(Table::Ended, &bundle_key(topic, author, at), &in_tick.to_le_bytes())
}

/// Takes a bundle that goes, or lives again, from among the dead.
fn unkill(rows: &mut dyn RowsMut, topic: u32, author: u64, at: Position) -> Res<()> {
    let Some(in_tick) = ended_in(rows, topic, author, at)? else { return Ok(()) };
    rows.remove(Table::Ended, &bundle_key(topic, author, at))?;
    rows.remove(Table::Dead, &dead_key(topic, in_tick, author, at)).map(drop)
}

/// Author and position in a key of `Dead`, and the tick in which it ended.
pub(in crate::store) fn dead_of(key: &[u8]) -> Res<(u64, Position, u64)> {
    let mut fields = Fields(key);
    fields.topic()?;
    let in_tick = fields.number()?;
    Ok((fields.number()?, fields.position()?, in_tick))
}

/// Ends the registers of a bundle that goes, while it is still there. Gives how many.
pub(super) fn end(rows: &mut dyn RowsMut, topic: u32, author: u64, at: Position) -> Res<u64> {
    unkill(rows, topic, author, at)?;
    let from = bundle_key(topic, author, at);
    // Its record may not tell how many cells it has: they end where the next bundle of its tick begins.
    let most = u32::from(at.slot).saturating_add(MAX_RUMORS as u32);
    let mut upto = slots_end(topic, author, at.tick, most);
    rows.bundles(&from.clone().end(), &upto.clone(), false, &mut |key, _| {
        upto = bundle_key(topic, author, position_of(key)?);
        Ok(false)
    })?;
    let ended = cells(rows, &from, &upto, MAX_RUMORS)?;
    for (at, key) in &ended {
        remove_register(rows, topic, author, key, *at)?;
    }
    Ok(ended.len() as u64)
}

/// What is held of one author, as its registers say it.
pub(in crate::store) struct Expected {
    /// Each key with where its newest cell stands.
    pub(in crate::store) registers: BTreeMap<Vec<u8>, Position>,
    /// Live bundles, by where they start.
    pub(in crate::store) live: BTreeMap<Position, BundleId>,
    /// The others.
    pub(in crate::store) dead: BTreeMap<Position, BundleId>,
}

impl Expected {
    /// Of all bundles of one author.
    pub(in crate::store) fn of<'a>(max_keys: u32, bundles: impl Iterator<Item = &'a Arc<Bundle>>) -> Self {
        let mut merged = Registers::<Position>::default();
        let mut dead = BTreeMap::new();
        for bundle in bundles {
            let first = bundle.header().position();
            dead.insert(first, bundle.id());
            let cell = |(at, cell): (Position, crate::rumor::Cell)| (at, cell.into_parts().0, first);
            merged.merge(max_keys, bundle.cells().map(cell).collect());
        }
        let mut live = BTreeMap::new();
        let mut registers = BTreeMap::new();
        for (key, at, first) in merged.from(&[]) {
            registers.insert(key.to_vec(), at);
            live.extend(dead.remove_entry(first));
        }
        Self { registers, live, dead }
    }
}

/// Makes the registers of one author anew from its bundles, which are all as they were written.
pub(super) fn recount(rows: &mut dyn RowsMut, topic: u32, author: u64, max_keys: u32) -> Res<()> {
    let prefix = Key::topic(topic).number(author);
    let end = prefix.clone().end();
    let mut all = Vec::new();
    rows.bundles(&prefix, &end, false, &mut |_, stored| {
        all.extend(stored.bundle());
        Ok(true)
    })?;
    let expected = Expected::of(max_keys, all.iter());
    let wanted: BTreeSet<(Position, Bytes)> =
        expected.registers.iter().map(|(key, at)| (*at, Bytes::copy_from_slice(key))).collect();
    let found: BTreeSet<_> = cells(rows, &prefix, &end, usize::MAX)?.into_iter().collect();
    for (at, key) in found.difference(&wanted) {
        remove_register(rows, topic, author, key, *at)?;
    }
    for (at, key) in wanted.difference(&found) {
        put_register(rows, topic, author, key, *at)?;
    }
    let mut heads = BTreeSet::new();
    rows.walk(Table::Heads, &prefix, &end, &mut |key, _| {
        heads.insert(key.to_vec());
        Ok(true)
    })?;
    for (at, id) in &expected.live {
        unkill(rows, topic, author, *at)?;
        let key = bundle_key(topic, author, *at).id(id);
        if !heads.remove(key.as_ref()) {
            rows.put(Table::Heads, &key, &[])?;
        }
    }
    for key in heads {
        rows.remove(Table::Heads, &key)?;
    }
    for (at, id) in &expected.dead {
        if ended_in(rows, topic, author, *at)?.is_none() {
            let in_tick = last_tick(rows, topic, author, *at)?;
            kill(rows, topic, author, *at, id, in_tick)?;
        }
    }
    let (mut counts, keys) = (Counts::read(rows, topic)?, expected.registers.len() as u64);
    if let Some(mut own) = usage(rows, topic, author)? {
        counts.keys = counts.keys.saturating_sub(own.keys).saturating_add(keys);
        own.keys = keys;
        own.write(rows, topic, author)?;
        counts.write(rows, topic)?;
    }
    Ok(())
}

/// The keys of `Dead` of what ended before a tick, at most so many.
pub(super) fn dead_before(rows: &dyn Rows, topic: u32, tick: u64, most: usize) -> Res<Vec<(u64, Position)>> {
    let mut found = Vec::new();
    rows.walk(Table::Dead, &Key::topic(topic), &Key::topic(topic).number(tick), &mut |key, _| {
        let (author, at, _) = dead_of(key)?;
        found.push((author, at));
        Ok(found.len() < most)
    })?;
    Ok(found)
}
