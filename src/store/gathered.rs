//! Rows of a transaction that change with each bundle of a group: they are read once and written once. And records that were written in
//! it are known to be sound.
//!
//! ```text
//!   book ── get, put, remove ──> these tables: here, until the end     all else ──> rows of the transaction
//!           walk ──────────────> first what is here is written
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::rows::{Each, EachBundle, Rows, RowsMut, Stored, Table};
use super::{Res, StoreError};
use crate::rumor::Bundle;

/// What is held of a row.
struct Held {
    value: Option<Vec<u8>>,
    /// It is not what the transaction has.
    is_changed: bool,
}

/// Rows over those of a transaction.
pub(super) struct Gathered<'r> {
    rows: RefCell<&'r mut dyn RowsMut>,
    held: RefCell<BTreeMap<(u8, Vec<u8>), Held>>,
    /// Bundles that were put: each is looked at when the next one of its author comes.
    put: BTreeMap<Vec<u8>, Arc<Bundle>>,
}

/// Whether rows of a table are held: counts, numbers, and heads, of which each bundle takes one away and adds one.
const fn is_gathered(table: Table) -> bool {
    matches!(table, Table::Meta | Table::Counts | Table::Authors | Table::Usage | Table::Heads)
}

fn place(table: Table, key: &[u8]) -> (u8, Vec<u8>) {
    (table as u8, key.to_vec())
}

/// Nothing here looks at rows while it changes them.
fn in_use<E>(_: E) -> StoreError {
    StoreError::damaged("rows are in use")
}

impl<'r> Gathered<'r> {
    pub(super) fn new(rows: &'r mut dyn RowsMut) -> Self {
        Self { rows: RefCell::new(rows), held: RefCell::default(), put: BTreeMap::new() }
    }

    /// Writes what is held. To be called before the transaction ends.
    pub(super) fn finish(self) -> Res<()> {
        Table::ALL.into_iter().filter(|table| is_gathered(*table)).try_for_each(|table| self.write(table))
    }

    /// Writes what is held of a table.
    fn write(&self, table: Table) -> Res<()> {
        let mut held = self.held.try_borrow_mut().map_err(in_use)?;
        let of_table =
            held.range_mut((table as u8, Vec::new())..).take_while(|((of, _), _)| *of == table as u8);
        let mut changed = of_table.filter(|(_, held)| held.is_changed).peekable();
        if changed.peek().is_none() {
            return Ok(());
        }
        let mut rows = self.rows.try_borrow_mut().map_err(in_use)?;
        for ((_, key), held) in changed {
            match &held.value {
                Some(value) => rows.put(table, key, value)?,
                None => drop(rows.remove(table, key)?),
            }
            held.is_changed = false;
        }
        Ok(())
    }

    fn hold(&mut self, table: Table, key: &[u8], value: Option<Vec<u8>>) {
        self.held.get_mut().insert(place(table, key), Held { value, is_changed: true });
    }
}

impl Rows for Gathered<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Res<Option<Vec<u8>>> {
        let below = || self.rows.try_borrow().map_err(in_use)?.get(table, key);
        if !is_gathered(table) {
            return below();
        }
        let at = place(table, key);
        if let Some(held) = self.held.try_borrow().map_err(in_use)?.get(&at) {
            return Ok(held.value.clone());
        }
        let value = below()?;
        let held = Held { value: value.clone(), is_changed: false };
        self.held.try_borrow_mut().map_err(in_use)?.insert(at, held);
        Ok(value)
    }

    fn walk(&self, table: Table, from: &[u8], upto: &[u8], each: Each<'_>) -> Res<()> {
        self.write(table)?;
        self.rows.try_borrow().map_err(in_use)?.walk(table, from, upto, each)
    }

    fn bundles(&self, from: &[u8], upto: &[u8], back: bool, each: EachBundle<'_>) -> Res<()> {
        let rows = self.rows.try_borrow().map_err(in_use)?;
        rows.bundles(from, upto, back, &mut |key, stored| {
            each(key, self.put.get(key).map_or(stored, Stored::Shared))
        })
    }
}

impl RowsMut for Gathered<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Res<()> {
        if !is_gathered(table) {
            return self.rows.get_mut().put(table, key, value);
        }
        self.hold(table, key, Some(value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Res<bool> {
        if !is_gathered(table) {
            return self.rows.get_mut().remove(table, key);
        }
        let was = self.get(table, key)?.is_some();
        if was {
            self.hold(table, key, None);
        }
        Ok(was)
    }

    fn put_bundle(&mut self, key: &[u8], bundle: &Arc<Bundle>) -> Res<()> {
        self.put.insert(key.to_vec(), Arc::clone(bundle));
        self.rows.get_mut().put_bundle(key, bundle)
    }

    fn remove_bundle(&mut self, key: &[u8]) -> Res<()> {
        self.put.remove(key);
        self.rows.get_mut().remove_bundle(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Maps;

    /// Rows that count how often they are read and written.
    #[derive(Default)]
    struct Counted {
        maps: Maps,
        reads: std::cell::Cell<usize>,
        writes: usize,
    }

    impl Rows for Counted {
        fn get(&self, table: Table, key: &[u8]) -> Res<Option<Vec<u8>>> {
            self.reads.set(self.reads.get() + 1);
            self.maps.get(table, key)
        }

        fn walk(&self, table: Table, from: &[u8], upto: &[u8], each: Each<'_>) -> Res<()> {
            self.maps.walk(table, from, upto, each)
        }

        fn bundles(&self, from: &[u8], upto: &[u8], back: bool, each: EachBundle<'_>) -> Res<()> {
            self.maps.bundles(from, upto, back, each)
        }
    }

    impl RowsMut for Counted {
        fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Res<()> {
            self.writes += 1;
            self.maps.put(table, key, value)
        }

        fn remove(&mut self, table: Table, key: &[u8]) -> Res<bool> {
            self.writes += 1;
            self.maps.remove(table, key)
        }

        fn put_bundle(&mut self, key: &[u8], bundle: &Arc<Bundle>) -> Res<()> {
            self.maps.put_bundle(key, bundle)
        }

        fn remove_bundle(&mut self, key: &[u8]) -> Res<()> {
            self.maps.remove_bundle(key)
        }
    }

    fn all(rows: &dyn Rows, table: Table) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        rows.walk(table, &[], &[u8::MAX; 99], &mut |key, _| {
            keys.push(key.to_vec());
            Ok(true)
        })
        .unwrap();
        keys
    }

    #[test]
    fn what_changes_with_each_bundle_is_read_and_written_once() {
        let mut below = Counted::default();
        below.maps.put(Table::Heads, &[0], &[]).unwrap();
        let mut rows = Gathered::new(&mut below);
        for bundle in 1..=100u8 {
            let count = rows.get(Table::Counts, b"topic").unwrap().map_or(0, |count| count[0]);
            rows.put(Table::Counts, b"topic", &[count + 1]).unwrap();
            rows.put(Table::Heads, &[bundle], &[]).unwrap();
            assert!(rows.remove(Table::Heads, &[bundle - 1]).unwrap());
            assert!(!rows.remove(Table::Heads, &[bundle - 1]).unwrap(), "it is gone");
        }
        rows.finish().unwrap();
        assert_eq!(all(&below, Table::Heads), [[100]]);
        assert_eq!(below.maps.get(Table::Counts, b"topic").unwrap(), Some(vec![100]));
        assert_eq!(below.reads.get(), 2, "the count, and the head that was there");
        // Of a head that came and went nobody knows whether it was there before.
        assert_eq!(below.writes, 1 + 1 + 100);
    }

    #[test]
    fn what_was_put_is_not_checked_again() {
        let key = crate::key::SecretKey::from_seed(&[1; 32]);
        let topic = crate::rumor::TopicId::from_bytes([4; 32]);
        let say = |tick| {
            let at = crate::rumor::Position { tick, slot: 0 };
            Arc::new(crate::rumor::seal(&key, topic, at, &["word".into()]).unwrap())
        };
        // Below is another one, so that what is read tells where it comes from.
        let (below_it, put) = (say(1), say(2));
        let mut below = Counted::default();
        let mut rows = Gathered::new(&mut below);
        let read = |rows: &dyn Rows| {
            let mut read = Vec::new();
            rows.bundles(&[0], &[9], false, &mut |_, stored| {
                read.extend(stored.bundle().map(|bundle| bundle.id()));
                Ok(true)
            })
            .unwrap();
            read
        };
        rows.put_bundle(&[1], &put).unwrap();
        rows.rows.get_mut().put_bundle(&[1], &below_it).unwrap();
        assert_eq!(read(&rows), [put.id()]);
        rows.remove_bundle(&[1]).unwrap();
        rows.rows.get_mut().put_bundle(&[1], &below_it).unwrap();
        assert_eq!(read(&rows), [below_it.id()], "what was removed is not what stands there");
    }

    #[test]
    fn a_walk_sees_what_is_held() {
        let mut below = Counted::default();
        below.maps.put(Table::Heads, &[1], &[]).unwrap();
        let mut rows = Gathered::new(&mut below);
        rows.remove(Table::Heads, &[1]).unwrap();
        rows.put(Table::Heads, &[2], &[]).unwrap();
        rows.put(Table::Ticks, &[3], &[]).unwrap();
        assert_eq!((all(&rows, Table::Heads), all(&rows, Table::Ticks)), (vec![vec![2]], vec![vec![3]]));
        rows.put(Table::Heads, &[1], &[]).unwrap();
        assert_eq!(all(&rows, Table::Heads), [[1], [2]]);
        rows.finish().unwrap();
        assert_eq!(all(&below, Table::Heads), [[1], [2]]);
    }
}
