//! The position log file: when an author may have used positions. A few spans of time and a hash, replaced as a whole.
//!
//! ```text
//!   NAME            the record          NAME.lock          held by the one process that writes it, for as long as it does
//!   NAME.PID-N.new  a record under way: written, synced, renamed over the old one
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::key::PublicKey;
use crate::protocol::MAX_SKEW;
use crate::rumor::{MAX_SPANS, Spans};

/// Names the format; a file of another version is refused, not guessed at.
const MAGIC: &[u8; 8] = b"vs-ldg-2";
/// Bytes of the longest position log file: magic, spans, check.
const MAX_LEN: usize = 8 + 16 * MAX_SPANS + 32;

/// A position log on disk, for one author key, locked for as long as a copy of it exists: nobody else opens it meanwhile, in this
/// process or another. Copies share one order of writing.
#[derive(Debug, Clone)]
pub struct PositionLog {
    path: PathBuf,
    author: PublicKey,
    /// What is on the disk.
    recorded: Arc<Mutex<Spans>>,
    /// Unlocked when the last copy goes. `None` on file systems that lock nothing.
    _lock: Option<Arc<File>>,
}

impl PositionLog {
    /// Opens and locks the position log of `author` at `path`, and reads at which Unix times (milliseconds) positions may have been
    /// used. A file that does not exist is created: with none if `fresh` says that the key was just made, else with all time
    /// up to `now_ms` and [`MAX_SKEW`], since a key that is older than its position log may have been used until now by a clock that
    /// was ahead of today's.
    ///
    /// The lock is a file beside it, of the same name and `.lock`: the position log itself is replaced by each record, and can't
    /// carry it. What records that were cut off have left beside it is removed.
    ///
    /// # Errors
    /// [`PositionLogError::InUse`] if it is open elsewhere. Also if the file can't be read or written, or is damaged or of another
    /// author: then it must not be guessed at.
    pub fn open(
        path: impl Into<PathBuf>,
        author: PublicKey,
        fresh: bool,
        now_ms: u64,
    ) -> Result<(Self, Spans), PositionLogError> {
        let path = path.into();
        let io = |source| PositionLogError::Io { path: path.clone(), source };
        if path.is_dir() {
            return Err(io(io::ErrorKind::IsADirectory.into()));
        }
        let lock = lock(&path)?;
        remove_leftovers(&path);
        let mut position_log = Self { path, author, recorded: Arc::default(), _lock: lock.map(Arc::new) };
        let recorded = match read(&position_log.path) {
            Ok(bytes) => position_log
                .decode(&bytes)
                .ok_or_else(|| PositionLogError::Damaged(position_log.path.clone()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let skew = u64::try_from(MAX_SKEW.as_millis()).unwrap_or(u64::MAX);
                let used = if fresh { Spans::default() } else { Spans::before(now_ms.saturating_add(skew)) };
                position_log.write(&used)?;
                used
            }
            Err(source) => return Err(position_log.io(source)),
        };
        position_log.recorded = Arc::new(Mutex::new(recorded.clone()));
        Ok((position_log, recorded))
    }

    /// Records durably that positions from `from_ms` to `until_ms` may be used: writes a new file, syncs it, renames it over
    /// the old one and syncs the folder, so that a crash leaves either the old or the new one. One record at a time, and never
    /// one that forgets what stands there: a position used after another record would be used again.
    ///
    /// # Errors
    /// If any of that fails; the old record then still holds.
    pub fn record(&self, from_ms: u64, until_ms: u64) -> Result<(), PositionLogError> {
        // What a panic elsewhere leaves in it is what is on the disk, or less.
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut with = recorded.clone();
        with.add(from_ms, until_ms);
        if with != *recorded {
            self.write(&with)?;
            *recorded = with;
        }
        Ok(())
    }

    /// Replaces what is recorded by what really was used, so that the next start waits for nothing. For an author that has
    /// ended in good order, and for nobody who may still speak.
    ///
    /// # Errors
    /// If it can't be written; the old record then still holds, and the next start waits for the rest of its lead.
    pub fn settle(&self, used: &Spans) -> Result<(), PositionLogError> {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if *used != *recorded {
            self.write(used)?;
            recorded.clone_from(used);
        }
        Ok(())
    }

    fn write(&self, used: &Spans) -> Result<(), PositionLogError> {
        let fresh = new_name(&self.path);
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&fresh)?;
            file.write_all(&self.encode(used))?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            sync_folder(&self.path)
        };
        write().map_err(|source| {
            // Half a record is none. (It is gone already if only the folder could not be synced.)
            let _ = fs::remove_file(&fresh);
            self.io(source)
        })
    }

    fn encode(&self, used: &Spans) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAX_LEN);
        out.extend_from_slice(MAGIC);
        for (from, until) in used.iter() {
            out.extend_from_slice(&from.to_le_bytes());
            out.extend_from_slice(&until.to_le_bytes());
        }
        let check = self.check(&out);
        out.extend_from_slice(&check);
        out
    }

    fn decode(&self, bytes: &[u8]) -> Option<Spans> {
        let (body, check) = bytes.split_last_chunk::<32>()?;
        let spans = body.strip_prefix(MAGIC.as_slice())?;
        if *check != self.check(body) || bytes.len() > MAX_LEN {
            return None;
        }
        let mut used = Spans::default();
        for span in spans.chunks_exact(16) {
            let (from, until) = span.split_first_chunk::<8>()?;
            used.add(u64::from_le_bytes(*from), u64::from_le_bytes(until.try_into().ok()?));
        }
        (self.encode(&used) == bytes).then_some(used)
    }

    /// Binds the record to its author, and shows damage.
    fn check(&self, body: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe position log v2");
        hasher.update(self.author.as_bytes());
        hasher.update(body);
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn io(&self, source: io::Error) -> PositionLogError {
        PositionLogError::Io { path: self.path.clone(), source }
    }
}

/// The whole name and an ending: `with_extension` would give `r.alice` and `r.bob` the same.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A name that no other record has, of whichever process.
fn new_name(path: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    with_ending(path, &format!(".{}-{number}.new", std::process::id()))
}

fn lock(path: &Path) -> Result<Option<File>, PositionLogError> {
    let io = |source| PositionLogError::Io { path: path.into(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(with_ending(path, ".lock"));
    let file = file.map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(PositionLogError::InUse(path.into())),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Removes what records that were cut off have left: of this position log only, whose lock we hold. A failure leaves them lying there,
/// in nobody's way.
fn remove_leftovers(path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    let Ok(folder) = fs::read_dir(folder_of(path)) else { return };
    for file in folder.flatten() {
        let is_leftover = |other: &str| {
            let number = other.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".new")?;
            let (pid, count) = number.split_once('-')?;
            (pid.parse::<u32>().is_ok() && count.parse::<u64>().is_ok()).then_some(())
        };
        if file.file_name().to_str().and_then(is_leftover).is_some() {
            let _ = fs::remove_file(file.path());
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A renamed file is durable once its folder is.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Elsewhere a folder can't be opened as a file.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// At most one byte more than a position log has, whatever lies there.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(MAX_LEN + 1);
    File::open(path)?.take((MAX_LEN as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a position log can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PositionLogError {
    /// The file can't be read or written.
    #[error("position log {}: {source}; let this process read and write there, or name another file", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not a position log of this author.
    #[error(
        "{} is damaged, or the position log of another author: use the right file, or move this one away: a new position log waits half a minute by itself",
        .0.display()
    )]
    Damaged(PathBuf),
    /// Another node writes it, so another node publishes under this key: both would be convicted of equivocation.
    #[error("position log {} is in use by another node, so its key is too: stop that one first, or give this one a key of its own", .0.display())]
    InUse(PathBuf),
}

#[cfg(test)]
mod tests;
