//! Registers: of each key of one author the cell of the highest position, whatever the order in which cells come.
//!
//! They are a function of the set of cells: a cell counts if none of its key is later, and if fewer than the topic's `max_keys` keys of
//! its author were written later. A deleted key is a register without a value, so nothing that is older comes back; it counts like
//! any other. What leaves for want of keys is older than all that stays, so it does not come back either.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;

use bytes::Bytes;

use super::Position;

/// The registers of one author, as something holds them: maps, or tables of a store.
pub(crate) trait Held {
    type Error;

    /// Where the cell of this key stands.
    fn position(&self, key: &[u8]) -> Result<Option<Position>, Self::Error>;

    /// How many keys there are.
    fn keys(&self) -> Result<u64, Self::Error>;

    /// So many registers, the oldest first.
    fn oldest(&self, most: usize) -> Result<Vec<(Position, Bytes)>, Self::Error>;
}

/// What the cells of a bundle do to registers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Change {
    /// These cells are registers now, ascending by key.
    pub(crate) written: Vec<(Bytes, Position)>,
    /// These registers end: another cell has their key, or there are too many keys.
    pub(crate) ended: Vec<(Bytes, Position)>,
    /// How many of those that are written had no register before.
    pub(crate) fresh: u64,
    /// Of the cells that are not written, what was in the way of the latest to fall: a later cell of its key, or the oldest key that
    /// stays.
    pub(crate) by: Option<Position>,
}

/// Works out what cells do, without doing it.
pub(crate) fn change<H: Held>(
    held: &H,
    max_keys: u32,
    cells: impl IntoIterator<Item = (Position, Bytes)>,
) -> Result<Change, H::Error> {
    let mut change = Change::default();
    // Of several cells of one key the latest counts.
    let mut latest = BTreeMap::<Bytes, Position>::new();
    for (position, key) in cells {
        let at = latest.entry(key).or_insert(position);
        *at = position.max(*at);
    }
    for (key, position) in latest {
        match held.position(&key)? {
            Some(before) if before >= position => change.by = change.by.max(Some(before)),
            Some(before) => {
                change.ended.push((key.clone(), before));
                change.written.push((key, position));
            }
            None => {
                change.fresh = change.fresh.saturating_add(1);
                change.written.push((key, position));
            }
        }
    }
    let keys = held.keys()?.saturating_add(change.fresh);
    let beyond = usize::try_from(keys.saturating_sub(max_keys.into())).unwrap_or(usize::MAX);
    if beyond > 0 {
        push_out(held, beyond, &mut change)?;
    }
    Ok(change)
}

/// Lets the keys go that were written longest ago.
fn push_out<H: Held>(held: &H, beyond: usize, change: &mut Change) -> Result<(), H::Error> {
    let most = beyond.saturating_add(change.ended.len()).saturating_add(1);
    let mut ages: Vec<_> =
        held.oldest(most)?.into_iter().map(|(position, key)| (position, key, false)).collect();
    ages.retain(|(position, ..)| !change.ended.iter().any(|(_, ended)| ended == position));
    ages.extend(change.written.iter().map(|(key, position)| (*position, key.clone(), true)));
    ages.sort_unstable();
    let stays = ages.get(beyond).map(|(position, ..)| *position);
    for (position, key, is_new) in ages.into_iter().take(beyond) {
        if is_new {
            change.written.retain(|(written, _)| *written != key);
            if !change.ended.iter().any(|(ended, _)| *ended == key) {
                change.fresh = change.fresh.saturating_sub(1);
            }
            change.by = change.by.max(stays);
        } else {
            change.ended.push((key, position));
        }
    }
    Ok(())
}

/// Registers in memory, each with something beside its position.
#[derive(Clone, Debug)]
pub(crate) struct Registers<T> {
    by_key: BTreeMap<Bytes, (Position, T)>,
    by_age: BTreeMap<Position, Bytes>,
}

impl<T> Default for Registers<T> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_age: BTreeMap::new() }
    }
}

impl<T> Held for Registers<T> {
    type Error = Infallible;

    fn position(&self, key: &[u8]) -> Result<Option<Position>, Infallible> {
        Ok(self.by_key.get(key).map(|(position, _)| *position))
    }

    fn keys(&self) -> Result<u64, Infallible> {
        Ok(self.by_key.len() as u64)
    }

    fn oldest(&self, most: usize) -> Result<Vec<(Position, Bytes)>, Infallible> {
        Ok(self.by_age.iter().take(most).map(|(position, key)| (*position, key.clone())).collect())
    }
}

/// What [`Registers::merge`] has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merged<T> {
    /// Keys that have a later cell now.
    pub(crate) written: Vec<Bytes>,
    /// Registers that ended, with what they had.
    pub(crate) ended: Vec<(Bytes, Position, T)>,
}

impl<T> Registers<T> {
    /// Takes cells in, which have the positions of one bundle or of several.
    pub(crate) fn merge(&mut self, max_keys: u32, cells: Vec<(Position, Bytes, T)>) -> Merged<T> {
        let places = cells.iter().map(|(position, key, _)| (*position, key.clone()));
        let Ok(change) = change(self, max_keys, places);
        let mut merged = Merged { written: Vec::new(), ended: Vec::new() };
        for (key, position) in change.ended {
            self.by_age.remove(&position);
            if let Some((_, with)) = self.by_key.remove(&key) {
                merged.ended.push((key, position, with));
            }
        }
        for (position, key, with) in cells {
            if change.written.binary_search_by(|(written, at)| (written, at).cmp(&(&key, &position))).is_ok()
            {
                self.by_age.insert(position, key.clone());
                merged.written.push(key.clone());
                self.by_key.insert(key, (position, with));
            }
        }
        merged
    }

    /// Ends what stands in ticks before this one.
    pub(crate) fn raise(&mut self, low: u64) -> Vec<(Bytes, Position, T)> {
        let mut ended = Vec::new();
        while let Some(oldest) = self.by_age.first_entry().filter(|oldest| oldest.key().tick < low) {
            let (position, key) = oldest.remove_entry();
            if let Entry::Occupied(register) = self.by_key.entry(key) {
                let (key, (_, with)) = register.remove_entry();
                ended.push((key, position, with));
            }
        }
        ended
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<(Position, &T)> {
        self.by_key.get(key).map(|(position, with)| (*position, with))
    }

    /// What is beside a cell, if the cell that stands at this position is a register.
    pub(crate) fn at_mut(&mut self, position: Position) -> Option<(&Bytes, &mut T)> {
        let key = self.by_age.get(&position)?;
        self.by_key.get_mut(key).map(|(_, with)| (key, with))
    }

    /// All of them, ascending by key, from this key on.
    pub(crate) fn from(&self, key: &[u8]) -> impl Iterator<Item = (&Bytes, Position, &T)> {
        let from = (std::ops::Bound::Included(key), std::ops::Bound::Unbounded);
        self.by_key.range::<[u8], _>(from).map(|(key, (position, with))| (key, *position, with))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A bundle: its tick, its first slot, its cells (key, `None`: deletes).
    type Said = (u64, u16, Vec<(u8, Option<u8>)>);

    const fn at(tick: u64, slot: u16) -> Position {
        Position { tick, slot }
    }

    fn cells((tick, slot, cells): &Said) -> Vec<(Position, Bytes, Option<u8>)> {
        let cell = |(offset, (key, value)): (usize, &(u8, Option<u8>))| {
            (at(*tick, slot + offset as u16), Bytes::from(vec![*key]), *value)
        };
        cells.iter().enumerate().map(cell).collect()
    }

    fn shown(registers: &Registers<Option<u8>>) -> Vec<(u8, Position, Option<u8>)> {
        let all: Vec<_> =
            registers.from(&[]).map(|(key, position, value)| (key[0], position, *value)).collect();
        // Both maps say the same.
        let by_age: BTreeSet<_> = registers.by_age.iter().map(|(at, key)| (key[0], *at)).collect();
        assert_eq!(all.iter().map(|(key, at, _)| (*key, *at)).collect::<BTreeSet<_>>(), by_age);
        all
    }

    /// The definition: of each key the latest, of these the latest `max_keys`.
    fn defined(said: &[Said], max_keys: u32) -> Vec<(u8, Position, Option<u8>)> {
        let mut latest = BTreeMap::new();
        for (position, key, value) in said.iter().flat_map(cells) {
            let register = latest.entry(key[0]).or_insert((position, value));
            *register = (*register).max((position, value));
        }
        let mut all: Vec<_> = latest.into_iter().map(|(key, (at, value))| (key, at, value)).collect();
        all.sort_unstable_by_key(|(_, at, _)| std::cmp::Reverse(*at));
        all.truncate(max_keys as usize);
        all.sort_unstable();
        all
    }

    /// Bundles at positions that don't overlap.
    fn bundles() -> impl Strategy<Value = Vec<Said>> {
        let cell = (0u8..12, prop::option::weighted(0.7, any::<u8>()));
        let bundle = (1u64..6, 0u16..8, prop::collection::vec(cell, 1..8));
        prop::collection::vec(bundle, 1..25).prop_map(|all| {
            let apart: BTreeMap<_, _> =
                all.into_iter().map(|(tick, slot, cells)| ((tick, slot * 8), cells)).collect();
            apart.into_iter().map(|((tick, slot), cells)| (tick, slot, cells)).collect()
        })
    }

    proptest! {
        #[test]
        fn registers_are_a_function_of_the_set(
            said in bundles(),
            max_keys in 1u32..10,
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            // In an order with repeats, then all of them once more, so that none is missing.
            let mut registers = Registers::default();
            let any_order = order.iter().map(|index| index.get(&said));
            for bundle in any_order.chain(said.iter().rev()) {
                registers.merge(max_keys, cells(bundle));
            }
            prop_assert_eq!(shown(&registers), defined(&said, max_keys));
        }

        /// What counts for nothing may be lost: whoever holds only bundles with a register has the same registers.
        #[test]
        fn only_live_bundles_matter(said in bundles(), max_keys in 1u32..10) {
            let defined = defined(&said, max_keys);
            let is_live = |said: &&Said| cells(said).iter().any(|(at, ..)| defined.iter().any(|(_, of, _)| of == at));
            let live: Vec<_> = said.iter().filter(is_live).cloned().collect();
            prop_assert_eq!(&super::tests::defined(&live, max_keys), &defined);
            // And what comes back when they hold them is dead.
            let mut registers = Registers::default();
            live.iter().for_each(|bundle| drop(registers.merge(max_keys, cells(bundle))));
            for dead in said.iter().filter(|said| !is_live(said)) {
                let merged = registers.merge(max_keys, cells(dead));
                prop_assert_eq!(merged, Merged { written: vec![], ended: vec![] });
            }
        }

        /// P6: in any order of arrival, before and after what is old has expired.
        #[test]
        fn a_deleted_key_never_returns(
            said in bundles(),
            max_keys in 1u32..10,
            order in prop::collection::vec((any::<prop::sample::Index>(), 0u64..6), 0..80),
        ) {
            let mut registers = Registers::default();
            let (mut low, mut newest) = (0, BTreeMap::new());
            for (index, floor) in order {
                let bundle = index.get(&said);
                if bundle.0 >= low {
                    registers.merge(max_keys, cells(bundle));
                }
                if floor == 5 {
                    low = (low + 1).min(5);
                    registers.raise(low);
                }
                for (key, position, _) in shown(&registers) {
                    let before = newest.insert(key, position);
                    prop_assert!(before <= Some(position), "{key} went back");
                    prop_assert!(position.tick >= low);
                }
            }
        }
    }

    #[test]
    fn a_dead_cell_says_what_is_in_its_way() {
        let mut registers = Registers::default();
        let one = |tick, key: &'static str| vec![(at(tick, 0), Bytes::from_static(key.as_bytes()), ())];
        let places = |cells: Vec<(Position, Bytes, ())>| cells.into_iter().map(|(at, key, ())| (at, key));
        for (tick, key) in [(10, "a"), (20, "b"), (30, "c")] {
            registers.merge(3, one(tick, key));
        }
        let Ok(older) = change(&registers, 3, places(one(15, "b")));
        assert_eq!((older.by, older.written, older.ended), (Some(at(20, 0)), vec![], vec![]));
        let Ok(full) = change(&registers, 3, places(one(5, "d")));
        assert_eq!((full.by, full.written, full.fresh), (Some(at(10, 0)), vec![], 0));
        let Ok(pushes) = change(&registers, 3, places(one(15, "d")));
        assert_eq!((pushes.by, pushes.fresh), (None, 1));
        assert_eq!(pushes.ended, [(Bytes::from_static(b"a"), at(10, 0))]);
    }
}
