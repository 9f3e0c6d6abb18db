//! The file of a store: what lies under redb. It can be taken away from a database that is over, which may never let go by itself.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use ::redb::backends::FileBackend;
use ::redb::{BackendError, ConcurrencyMode, StorageBackend};

/// A file, for as long as it is not taken away. Copies share it.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: RwLock<Option<FileBackend>>,
    /// Bytes that this file may still have, and how much was written: for tests.
    #[cfg(test)]
    limits: Limits,
}

/// What tests do to a disk.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// What fails: 0 nothing, 1 growth and writes for want of room, 2 writes for no reason, 3 the commit at its sync.
    pub(super) fails: std::sync::atomic::AtomicU8,
    /// Bytes that were written.
    pub(super) written: std::sync::atomic::AtomicU64,
}

impl Disk {
    pub(super) fn new(file: File) -> Result<Self, ::redb::DatabaseError> {
        let file = RwLock::new(Some(FileBackend::new(file)?));
        Ok(Self(Arc::new(Inner {
            file,
            #[cfg(test)]
            limits: Limits::default(),
        })))
    }

    /// Whoever still has it reads and writes nothing any more.
    pub(super) fn take_away(&self) {
        *self.0.file.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    #[cfg(test)]
    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn with<T>(&self, act: impl FnOnce(&FileBackend) -> io::Result<T>) -> io::Result<T> {
        match &*self.0.file.read().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => act(file),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    #[cfg(test)]
    fn may(&self, syncs: bool) -> io::Result<()> {
        match (self.0.limits.fails.load(std::sync::atomic::Ordering::Relaxed), syncs) {
            (1, false) => Err(io::ErrorKind::StorageFull.into()),
            (2, false) | (3, true) => Err(io::Error::other("a failing disk")),
            _ => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "disks fail by themselves")]
    const fn may(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.with(StorageBackend::len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|file| file.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.may(false)?;
        self.with(|file| file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.may(true)?;
        self.with(StorageBackend::sync_data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.may(false)?;
        #[cfg(test)]
        self.0.limits.written.fetch_add(data.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.with(|file| file.write(offset, data))
    }
}

/// A damaged file, which is only read. Where it ends too early it goes on with zeros. redb is to read it as one process reads what another
/// writes ([`SHARED`]), since it then asks neither how the file was closed nor how long it is, and reads nothing but the pages that it is
/// asked for. So all locks are granted.
#[derive(Debug)]
pub(super) struct Damaged(FileBackend);

/// How a [`Damaged`] file is opened.
pub(super) const SHARED: ConcurrencyMode = ConcurrencyMode::SingleWriter;

impl Damaged {
    pub(super) fn new(file: File) -> Result<Self, ::redb::DatabaseError> {
        FileBackend::new(file).map(Self)
    }
}

impl StorageBackend for Damaged {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.0.len()?.saturating_sub(offset).min(out.len() as u64) as usize;
        let (part, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if part.is_empty() { Ok(()) } else { self.0.read(offset, part) }
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    /// A writer is at work, so that redb does not ask for a repair first: its byte alone is asked for. What is wider belongs to processes
    /// that lock in other ways, of which there are none.
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let first = match start {
            Bound::Included(first) => Some(first),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let last = match end {
            Bound::Included(last) => Some(last),
            Bound::Excluded(after) => after.checked_sub(1),
            Bound::Unbounded => None,
        };
        Ok(first.is_some() && first == last)
    }
}
