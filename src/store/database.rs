//! A database of redb, and its tables as [`rows`](super::rows).
//!
//! redb panics on pages that are not what it wrote, so each call of it, and each drop, is under `catch_unwind`. After such a panic
//! nothing of the database is used again: its file is taken away from it ([`Disk`]). With `panic = "abort"` a damaged page ends the
//! process.

use std::fs::{File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable, StorageError,
    Table as RedbTable, TableDefinition, TableError, WriteTransaction,
};

use super::book;
use super::disk::Disk;
use super::rows::{Each, EachBundle, Rows, RowsMut, Stored, Table, record};
use super::{Res, StoreError};
use crate::rumor::Bundle;

/// The files of a store, in its folder.
pub const FILE_NAME: &str = "store.redb";
pub(super) const FRESH: &str = "store.redb.fresh";
pub(super) const SALVAGED: &str = "store.redb.salvaged";
/// Says that the database is damaged.
pub(super) const MARK: &str = "store.salvage";

/// Bytes of pages that redb keeps in memory.
const CACHE: usize = 64 << 20;
/// A file of fewer bytes is not worth the time of making it small.
const COMPACT_FROM: u64 = 64 << 20;

/// Runs something of redb. A panic of it is damage.
pub(super) fn guarded<T>(act: impl FnOnce() -> Res<T>) -> Res<T> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a page that can't be");
        let text: String = text.chars().take(200).collect();
        // What was thrown may itself panic when it is dropped.
        std::mem::forget(panic);
        Err(StoreError::Damaged(text))
    })
}

/// What an error of redb means, still without the folder.
pub(super) fn storage(error: StorageError) -> StoreError {
    match error {
        StorageError::Io(source) => {
            let path = PathBuf::new();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    StoreError::NoRoom(path)
                }
                // The file ends before it should, or is none of redb's.
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                    StoreError::Damaged(source.to_string())
                }
                _ => StoreError::Io { path, source },
            }
        }
        StorageError::PreviousIo | StorageError::DatabaseClosed => {
            StoreError::Io { path: PathBuf::new(), source: io::Error::other("it has failed before") }
        }
        other => StoreError::Damaged(other.to_string()),
    }
}

pub(super) fn failed(error: impl Into<::redb::Error>) -> StoreError {
    use ::redb::Error;
    match error.into() {
        Error::Io(source) => storage(StorageError::Io(source)),
        Error::PreviousIo => storage(StorageError::PreviousIo),
        Error::DatabaseClosed => storage(StorageError::DatabaseClosed),
        other => StoreError::Damaged(other.to_string()),
    }
}

impl StoreError {
    /// Names the folder.
    pub(super) fn within(self, folder: &Path) -> Self {
        match self {
            Self::NoRoom(_) => Self::NoRoom(folder.into()),
            Self::Io { source, .. } => Self::Io { path: folder.into(), source },
            other => other,
        }
    }
}

/// An open database. The lock lasts at least as long.
#[derive(Debug)]
pub(super) struct Handle {
    /// `None` while it is dropped.
    pub(super) database: Option<Database>,
    pub(super) disk: Disk,
    pub(super) lock: Arc<Option<File>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let database = self.database.take();
        if guarded(|| {
            drop(database);
            Ok(())
        })
        .is_err()
        {
            self.disk.take_away();
        }
    }
}

/// Opens a database, or makes one.
pub(super) fn open_database(path: &Path, lock: &Arc<Option<File>>, fresh: bool) -> Res<Handle> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(fresh);
    let file = options.open(path).map_err(|source| storage(StorageError::Io(source)))?;
    let disk = Disk::new(file).map_err(failed)?;
    let opened = guarded(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        builder.create_with_backend(disk.clone()).map_err(failed)
    });
    if opened.is_err() {
        disk.take_away();
    }
    Ok(Handle { database: Some(opened?), disk, lock: Arc::clone(lock) })
}

impl Handle {
    fn guarded<T>(&self, act: impl FnOnce(&Database) -> Res<T>) -> Res<T> {
        let result = guarded(|| act(self.database.as_ref().ok_or(StoreError::Closed)?));
        if matches!(result, Err(StoreError::Damaged(_) | StoreError::NoRoom(_) | StoreError::Io { .. })) {
            self.disk.take_away();
        }
        result
    }

    pub(super) fn read<T>(&self, act: impl FnOnce(&dyn Rows) -> Res<T>) -> Res<T> {
        self.guarded(|database| read(database, act))
    }

    pub(super) fn write<T>(&self, act: impl FnOnce(&mut dyn RowsMut) -> Res<T>) -> Res<T> {
        self.guarded(|database| write(database, act))
    }

    /// Gives room back to the disk, where less than half of the file is used.
    pub(super) fn compact(&mut self) -> Res<()> {
        let len =
            ::redb::StorageBackend::len(&self.disk).map_err(|source| storage(StorageError::Io(source)))?;
        if len < COMPACT_FROM {
            return Ok(());
        }
        let mut used = 0u64;
        self.read(|rows| {
            rows.walk(Table::Counts, &[], &[u8::MAX; 5], &mut |key, _| {
                let topic = super::rows::Fields(key).topic()?;
                used = used.saturating_add(book::Counts::read(rows, topic)?.size.bytes);
                Ok(true)
            })
        })?;
        // What surrounds a record is about as large as the record.
        if used.saturating_mul(2) >= len / 2 {
            return Ok(());
        }
        let Some(database) = self.database.as_mut() else { return Ok(()) };
        guarded(|| database.compact().map_err(failed).map(drop))
    }
}

/// A random number that is not 0.
pub(super) fn incarnation() -> u64 {
    // Without randomness the time will do: it is to differ from those before, and nobody gains by guessing it.
    getrandom::u64().unwrap_or_else(|_| {
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        time.as_nanos() as u64
    }) | 1
}

/// What one moment shows.
pub(super) fn read<T>(database: &Database, act: impl FnOnce(&dyn Rows) -> Res<T>) -> Res<T> {
    act(&Reading { transaction: database.begin_read().map_err(failed)? })
}

/// One transaction, durable when it returns.
pub(super) fn write<T>(database: &Database, act: impl FnOnce(&mut dyn RowsMut) -> Res<T>) -> Res<T> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_durability(Durability::Immediate).map_err(|why| StoreError::damaged(why.to_string()))?;
    transaction.set_quick_repair(true);
    let done = act(&mut Writing::begin(&transaction)?)?;
    transaction.commit().map_err(failed)?;
    Ok(done)
}

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

const fn definition(table: Table) -> Definition {
    TableDefinition::new(table.name())
}

const BUNDLES: Definition = TableDefinition::new("bundles");

/// The rows of a read transaction.
struct Reading {
    transaction: ReadTransaction,
}

impl Reading {
    /// `None` before the first store made it.
    fn table(&self, table: Definition) -> Res<Option<ReadOnlyTable<&'static [u8], &'static [u8]>>> {
        match self.transaction.open_table(table) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Rows for Reading {
    fn get(&self, table: Table, key: &[u8]) -> Res<Option<Vec<u8>>> {
        let Some(table) = self.table(definition(table))? else { return Ok(None) };
        get(&table, key)
    }

    fn walk(&self, table: Table, from: &[u8], upto: &[u8], each: Each<'_>) -> Res<()> {
        let Some(table) = self.table(definition(table))? else { return Ok(()) };
        walk(&table, from, upto, false, each)
    }

    fn bundles(&self, from: &[u8], upto: &[u8], back: bool, each: EachBundle<'_>) -> Res<()> {
        let Some(table) = self.table(BUNDLES)? else { return Ok(()) };
        walk(&table, from, upto, back, &mut |key, value| each(key, Stored::Written(key, value)))
    }
}

/// As [`Rows::walk`], in either direction, over a table by its name.
pub(super) fn walk_named(
    transaction: &ReadTransaction,
    table: &'static str,
    from: &[u8],
    upto: &[u8],
    back: bool,
    each: Each<'_>,
) -> Res<()> {
    let table: Definition = TableDefinition::new(table);
    match transaction.open_table(table) {
        Ok(table) => walk(&table, from, upto, back, each),
        Err(TableError::TableDoesNotExist(_)) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn get(table: &impl ReadableTable<&'static [u8], &'static [u8]>, key: &[u8]) -> Res<Option<Vec<u8>>> {
    Ok(table.get(key).map_err(storage)?.map(|value| value.value().to_vec()))
}

fn walk(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    from: &[u8],
    upto: &[u8],
    back: bool,
    each: Each<'_>,
) -> Res<()> {
    if from >= upto {
        return Ok(());
    }
    let mut range = table.range(from..upto).map_err(storage)?;
    while let Some(row) = if back { range.next_back() } else { range.next() } {
        let (key, value) = row.map_err(storage)?;
        if !each(key.value(), value.value())? {
            break;
        }
    }
    Ok(())
}

/// The rows of a write transaction.
struct Writing<'t> {
    tables: Vec<RedbTable<'t, &'static [u8], &'static [u8]>>,
    bundles: RedbTable<'t, &'static [u8], &'static [u8]>,
}

impl<'t> Writing<'t> {
    fn begin(transaction: &'t WriteTransaction) -> Res<Self> {
        let open = |table| transaction.open_table(table).map_err(failed);
        let tables = Table::ALL.into_iter().map(|table| open(definition(table))).collect::<Res<_>>()?;
        Ok(Self { tables, bundles: open(BUNDLES)? })
    }

    fn table(&self, table: Table) -> Res<&RedbTable<'t, &'static [u8], &'static [u8]>> {
        self.tables.get(table as usize).ok_or_else(|| StoreError::damaged(table.name()))
    }

    fn table_mut(&mut self, table: Table) -> Res<&mut RedbTable<'t, &'static [u8], &'static [u8]>> {
        self.tables.get_mut(table as usize).ok_or_else(|| StoreError::damaged(table.name()))
    }
}

impl Rows for Writing<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Res<Option<Vec<u8>>> {
        get(self.table(table)?, key)
    }

    fn walk(&self, table: Table, from: &[u8], upto: &[u8], each: Each<'_>) -> Res<()> {
        walk(self.table(table)?, from, upto, false, each)
    }

    fn bundles(&self, from: &[u8], upto: &[u8], back: bool, each: EachBundle<'_>) -> Res<()> {
        walk(&self.bundles, from, upto, back, &mut |key, value| each(key, Stored::Written(key, value)))
    }
}

impl RowsMut for Writing<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Res<()> {
        self.table_mut(table)?.insert(key, value).map_err(storage).map(drop)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Res<bool> {
        Ok(self.table_mut(table)?.remove(key).map_err(storage)?.is_some())
    }

    fn put_bundle(&mut self, key: &[u8], bundle: &Arc<Bundle>) -> Res<()> {
        let record = record(key, bundle.encoded());
        self.bundles.insert(key, record.as_slice()).map_err(storage).map(drop)
    }

    fn remove_bundle(&mut self, key: &[u8]) -> Res<()> {
        self.bundles.remove(key).map_err(storage).map(drop)
    }
}
