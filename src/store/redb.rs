//! A store on a disk: the rules of all stores over the tables of a redb database.
//!
//! ```text
//!   FOLDER/store.redb          the database      store.lock             held by the one process that has it open; says the format
//!   store.redb.damaged-N       one that was      store.redb.fresh       one under way, worth nothing
//!   store.salvage              says that it is   store.redb.salvaged    what was saved, complete
//! ```
//!
//! A failed disk is opened again by the next call; after damage the next opening makes a new database from what can be read
//! ([`salvage`](super::salvage)). What a call of redb may do is in [`database`](super::database).

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::redb::{Database, StorageError};

use super::book::{self, Open};
use super::check::{self, Report};
use super::database::{self, FILE_NAME, FRESH, Handle, MARK, guarded, incarnation, open_database, storage};
#[cfg(test)]
use super::disk::Disk;
use super::gathered::Gathered;
use super::rows::{Rows, RowsMut};
use super::salvage;
use super::{Reader, Res, Store, StoreError};
use crate::key::PublicKey;
use crate::protocol::keeping::{
    Cursor, Damage, Forget, Frontier, Group, Head, Held, Hole, Keeping, Kept, Live, Opened, Page, Range,
    Scan, Size, Started,
};
use crate::rumor::{Bundle, BundleId, Evidence, Position, RuleSet, TopicId};

/// What a database of redb begins with.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// What the lock file says, before the format.
const SAYS: &str = "vouchsafe store ";
const LOCK: &str = "store.lock";

/// Keeps on a disk what topics say, in a folder of its own. A damaged page, a full disk or a slow one ends no process and no call
/// halfway.
#[derive(Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
    own: Option<PublicKey>,
    open: HashMap<TopicId, Open>,
    damage: Option<Damage>,
    /// Others are kept out for as long as the store is open, even while the database is not.
    _lock: Arc<Option<File>>,
}

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
enum Slot {
    Open(Arc<Handle>),
    /// The disk has failed. The next call opens the database again, under this lock.
    Failed(Arc<Option<File>>),
    /// The database is over.
    Damaged(String),
    Closed,
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Res<Arc<Handle>> {
        let mut slot = self.slot();
        match &*slot {
            Slot::Open(handle) => Ok(Arc::clone(handle)),
            Slot::Damaged(why) => Err(StoreError::Damaged(why.clone())),
            Slot::Closed => Err(StoreError::Closed),
            Slot::Failed(lock) => match open_database(&self.folder.join(FILE_NAME), lock, false) {
                Ok(handle) => {
                    let handle = Arc::new(handle);
                    *slot = Slot::Open(Arc::clone(&handle));
                    Ok(handle)
                }
                Err(error) => {
                    drop(slot);
                    Err(self.ended(error, None))
                }
            },
        }
    }

    /// Does what an error asks for.
    fn ended(&self, error: StoreError, handle: Option<&Handle>) -> StoreError {
        match &error {
            StoreError::Damaged(why) => {
                // Best effort: without it the damage is met again, at the latest by who meets it now.
                let _ = File::create(self.folder.join(MARK));
                *self.slot() = Slot::Damaged(why.clone());
            }
            StoreError::NoRoom(_) | StoreError::Io { .. } => {
                let mut slot = self.slot();
                let now = match &*slot {
                    Slot::Open(open)
                        if handle.is_some_and(|handle| std::ptr::eq(&raw const **open, handle)) =>
                    {
                        Some(Arc::clone(&open.lock))
                    }
                    _ => None,
                };
                if let Some(lock) = now {
                    *slot = Slot::Failed(lock);
                }
            }
            _ => return error,
        }
        if let Some(handle) = handle {
            handle.disk.take_away();
        }
        error.within(&self.folder)
    }

    fn with<T>(&self, act: impl FnOnce(&Database) -> Res<T>) -> Res<T> {
        let handle = self.database()?;
        let result = guarded(|| {
            let database = handle.database.as_ref().ok_or(StoreError::Closed)?;
            act(database)
        });
        result.map_err(|error| self.ended(error, Some(&handle)))
    }

    fn read<T>(&self, act: impl FnOnce(&dyn Rows) -> Res<T>) -> Res<T> {
        self.with(|database| database::read(database, act))
    }

    fn write<T>(&self, act: impl FnOnce(&mut dyn RowsMut) -> Res<T>) -> Res<T> {
        self.with(|database| database::write(database, act))
    }
}

impl RedbStore {
    /// Opens the store in `folder`, and makes both if they are not there. Locks it against other processes for as long as it is open.
    /// What is damaged is moved aside, and a new store is made from what can be read of it ([`Started::damage`]); that can take minutes.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Newer`], [`StoreError::NotAStore`]; then nothing was changed. Of the disk.
    pub fn open(folder: impl Into<PathBuf>) -> Res<Self> {
        Self::open_as(folder.into(), incarnation())
    }

    /// Opens it under an incarnation that a test knows.
    pub(super) fn open_as(folder: PathBuf, incarnation: u64) -> Res<Self> {
        let io = |source| storage(StorageError::Io(source)).within(&folder);
        fs::create_dir_all(&folder).map_err(io)?;
        let lock = Arc::new(lock(&folder)?);
        let is_ours = says(&folder)?;
        let name = folder.join(FILE_NAME);
        if !is_ours && name.exists() && !begins_with_magic(&name).map_err(io)? {
            return Err(StoreError::NotAStore(name));
        }
        let mut damage = salvage::finish(&folder).map_err(io)?;
        if !name.exists() {
            create(&folder, &lock).map_err(|error| error.within(&folder))?;
        }
        let opened = match folder.join(MARK).exists() {
            true => Err(StoreError::damaged("it was found damaged")),
            false => begin(&folder, &lock, incarnation, is_ours),
        };
        let handle = match opened {
            Ok(handle) => handle,
            Err(StoreError::Damaged(_)) => {
                let lost = salvage::run(&folder, &lock).map_err(|error| error.within(&folder))?;
                damage = Some(lost);
                begin(&folder, &lock, incarnation, true).map_err(|error| error.within(&folder))?
            }
            Err(error) => return Err(error.within(&folder)),
        };
        if let Some(mut file) = lock.as_ref().as_ref().filter(|_| !is_ours) {
            let text = format!("{SAYS}{}\n", book::FORMAT);
            let say = file.rewind().and_then(|()| file.write_all(text.as_bytes()));
            say.and_then(|()| file.sync_all()).map_err(io)?;
        }
        let slot = Mutex::new(Slot::Open(Arc::new(handle)));
        let shared = Arc::new(Shared { folder, slot });
        Ok(Self { shared, own: None, open: HashMap::new(), damage, _lock: lock })
    }

    /// Walks through everything and counts it again: what `store check` prints. It takes some 2 us a bundle.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a page can't be read. Of the disk.
    pub fn check(&self) -> Res<Report> {
        self.shared.read(check::check)
    }

    /// The disk under it.
    #[cfg(test)]
    pub(super) fn disk(&self) -> Disk {
        match &*self.shared.slot() {
            Slot::Open(handle) => handle.disk.clone(),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for RedbStore {
    /// Readers find it closed.
    fn drop(&mut self) {
        let last = std::mem::replace(&mut *self.shared.slot(), Slot::Closed);
        drop(last);
    }
}

/// Whether the lock file says that a store is here. A later format is an error, and so is any other text.
fn says(folder: &Path) -> Res<bool> {
    let path = folder.join(LOCK);
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(64).read_to_string(&mut text)) {
        Ok(_) if text.is_empty() => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(StoreError::NotAStore(path)),
        Err(source) => return Err(StoreError::Io { path, source }),
    }
    let format = text.strip_prefix(SAYS).and_then(|rest| rest.trim_end().parse().ok());
    let found = format.ok_or(StoreError::NotAStore(path))?;
    if found > book::FORMAT {
        return Err(StoreError::Newer { path: folder.into(), found, known: book::FORMAT });
    }
    Ok(true)
}

fn lock(folder: &Path) -> Res<Option<File>> {
    let io = |source| StoreError::Io { path: folder.into(), source };
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(LOCK));
    let file = file.map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(folder.into())),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Some(file)),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

fn begins_with_magic(path: &Path) -> io::Result<bool> {
    let mut begins = Vec::new();
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut begins)?;
    Ok(begins == MAGIC)
}

/// Makes an empty store, so that it is there whole or not at all.
fn create(folder: &Path, lock: &Arc<Option<File>>) -> Res<()> {
    let fresh = folder.join(FRESH);
    let handle = open_database(&fresh, lock, true)?;
    handle.write(|rows| book::begin(rows, incarnation()))?;
    drop(handle);
    let named = fs::rename(fresh, folder.join(FILE_NAME))
        .and_then(|()| super::position_log::sync_folder(&folder.join(FILE_NAME)));
    named.map_err(|source| storage(StorageError::Io(source)))
}

/// Opens the database of a folder and begins a new incarnation.
fn begin(folder: &Path, lock: &Arc<Option<File>>, incarnation: u64, is_ours: bool) -> Res<Handle> {
    let name = folder.join(FILE_NAME);
    let mut handle = open_database(&name, lock, false)?;
    let format = handle.read(book::format);
    match format {
        Ok(Some(found)) if found > book::FORMAT => {
            return Err(StoreError::Newer { path: folder.into(), found, known: book::FORMAT });
        }
        Ok(Some(_)) => {}
        // A database of redb, and of somebody else.
        Ok(None) | Err(StoreError::Damaged(_)) if !is_ours => return Err(StoreError::NotAStore(name)),
        Ok(None) => return Err(StoreError::damaged("it has no format")),
        Err(error) => return Err(error),
    }
    handle.compact()?;
    handle.write(|rows| book::begin(rows, incarnation))?;
    Ok(handle)
}

impl Store for RedbStore {
    fn start(&mut self, author: &PublicKey) -> Res<Started> {
        let (incarnation, recorded_until, evidence) = self.shared.read(|rows| {
            Ok((book::incarnation(rows)?, book::recorded(rows, author)?, book::evidence(rows)?))
        })?;
        self.own = Some(*author);
        Ok(Started { incarnation, recorded_until, evidence, damage: self.damage.clone() })
    }

    fn open(&mut self, rules: &RuleSet, keeping: &Keeping) -> Res<Opened> {
        let own = self.own.as_ref();
        let (topic, opened) = self.shared.write(|rows| book::open(rows, rules, keeping, own))?;
        self.open.insert(rules.id(), topic);
        Ok(opened)
    }

    fn keep(&mut self, group: &Group<'_>) -> Res<Vec<Kept>> {
        self.shared.write(|rows| {
            let mut rows = Gathered::new(rows);
            let kept = book::keep_group(&mut rows, &self.open, group)?;
            rows.finish()?;
            Ok(kept)
        })
    }

    fn release(&mut self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<u64>>> {
        self.shared.write(|rows| {
            let topic = book::topic(rows, topic)?;
            at.iter().map(|(author, at)| book::release(rows, topic, author, *at)).collect()
        })
    }

    fn rest(&mut self, topic: &TopicId, holes: &[(Hole, u64)]) -> Res<()> {
        self.shared.write(|rows| {
            let topic = book::topic(rows, topic)?;
            holes.iter().try_for_each(|(hole, until)| book::rest(rows, topic, hole, *until))
        })
    }

    fn settle(&mut self, author: &PublicKey, until_ms: u64) -> Res<()> {
        self.shared.write(|rows| book::settle(rows, author, until_ms))
    }

    fn remember(&mut self, evidence: &Evidence) -> Res<()> {
        self.shared.write(|rows| book::remember(rows, evidence))
    }

    fn forget(&mut self, topic: &TopicId, what: Forget) -> Res<bool> {
        self.shared.write(|rows| {
            let topic = book::topic(rows, topic)?;
            book::forget(rows, topic, what)
        })
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(RedbReader(Arc::clone(&self.shared)))
    }
}

/// Reads a [`RedbStore`]. Each call opens a transaction and closes it: one left open would keep every page that is replaced meanwhile.
#[derive(Debug)]
struct RedbReader(Arc<Shared>);

impl Reader for RedbReader {
    fn held(&self, topic: &TopicId, at: &[(PublicKey, Position, BundleId)]) -> Res<Vec<Held>> {
        self.0.read(|rows| {
            let topic = book::topic(rows, topic)?;
            at.iter().map(|(author, at, id)| book::held(rows, topic, author, *at, id)).collect()
        })
    }

    fn page(&self, topic: &TopicId, ranges: &[Range], max_bytes: usize) -> Res<Page> {
        self.0.read(|rows| book::page(rows, book::topic(rows, topic)?, ranges, max_bytes))
    }

    fn history(&self, topic: &TopicId, range: &Range, max_bytes: usize) -> Res<Page> {
        self.0.read(|rows| book::history(rows, book::topic(rows, topic)?, range, max_bytes))
    }

    fn find(&self, topic: &TopicId, author: &PublicKey, at: Position) -> Res<Option<Arc<Bundle>>> {
        self.0.read(|rows| book::find(rows, book::topic(rows, topic)?, author, at))
    }

    fn frontier(&self, topic: &TopicId, author: &PublicKey, holes: usize) -> Res<Frontier> {
        self.0.read(|rows| book::frontier(rows, book::topic(rows, topic)?, author, holes))
    }

    fn live(&self, topic: &TopicId, after: Option<&Head>, max_bytes: usize) -> Res<Live> {
        self.0.read(|rows| book::live(rows, book::topic(rows, topic)?, after, max_bytes))
    }

    fn scan(&self, topic: &TopicId, after: Cursor, max_bytes: usize) -> Res<Scan> {
        self.0.read(|rows| book::scan(rows, book::topic(rows, topic)?, after, max_bytes))
    }

    fn before(&self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<Position>>> {
        self.0.read(|rows| {
            let topic = book::topic(rows, topic)?;
            at.iter().map(|(author, at)| book::before(rows, topic, author, *at)).collect()
        })
    }

    fn unmet(&self, topic: &TopicId, after: Option<&Hole>, count: usize) -> Res<Vec<Hole>> {
        self.0.read(|rows| book::unmet(rows, book::topic(rows, topic)?, after, count))
    }

    fn over(&self, joined: &[TopicId], now_ms: u64) -> Res<Vec<(TopicId, u64)>> {
        self.0.read(|rows| book::over(rows, joined, now_ms))
    }

    fn size(&self, topic: &TopicId) -> Res<Size> {
        self.0.read(|rows| Ok(book::Counts::read(rows, book::topic(rows, topic)?)?.size))
    }
}
