//! The ledger file: up to when an author may have used positions. 16 bytes and a hash, replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::key::PublicKey;
use crate::protocol::MAX_SKEW;

/// Names the format; a file of another version is refused, not guessed at.
const MAGIC: &[u8; 8] = b"vs-ldg-1";
/// Bytes of a ledger file: magic, time, check.
const LEN: usize = 8 + 8 + 32;

/// A ledger on disk, for one author key. Copies of it share one order of writing.
#[derive(Debug, Clone)]
pub struct LedgerFile {
    path: PathBuf,
    author: PublicKey,
    /// What is on the disk.
    recorded: Arc<Mutex<u64>>,
}

impl LedgerFile {
    /// Opens the ledger of `author` at `path` and reads up to which Unix time (milliseconds) positions may have been
    /// used. A file that does not exist is created: with 0 if `fresh` says that the key was just made, else with
    /// `now_ms` and [`MAX_SKEW`], since a key that is older than its ledger may have been used until now by a clock that
    /// was ahead of today's.
    ///
    /// # Errors
    /// If the file can't be read or written, or is damaged or of another author: then it must not be guessed at.
    pub fn open(
        path: impl Into<PathBuf>,
        author: PublicKey,
        fresh: bool,
        now_ms: u64,
    ) -> Result<(Self, u64), LedgerError> {
        let mut ledger = Self { path: path.into(), author, recorded: Arc::default() };
        match read(&ledger.path) {
            Ok(bytes) => {
                let recorded =
                    ledger.decode(&bytes).ok_or_else(|| LedgerError::Damaged(ledger.path.clone()))?;
                ledger.recorded = Arc::new(Mutex::new(recorded));
                Ok((ledger, recorded))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let skew = u64::try_from(MAX_SKEW.as_millis()).unwrap_or(u64::MAX);
                let recorded = if fresh { 0 } else { now_ms.saturating_add(skew) };
                ledger.write(recorded)?;
                ledger.recorded = Arc::new(Mutex::new(recorded));
                Ok((ledger, recorded))
            }
            Err(source) => Err(ledger.io(source)),
        }
    }

    /// Records durably that positions before `until_ms` may be used: writes a new file, syncs it, renames it over the
    /// old one and syncs the folder, so that a crash leaves either the old or the new one. One record at a time, and never
    /// one that is less than what stands there: a position used after a later record would be used again.
    ///
    /// # Errors
    /// If any of that fails; the old record then still holds.
    pub fn record(&self, until_ms: u64) -> Result<(), LedgerError> {
        // What a panic elsewhere leaves in it is what is on the disk, or less.
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if until_ms > *recorded {
            self.write(until_ms)?;
            *recorded = until_ms;
        }
        Ok(())
    }

    fn write(&self, until_ms: u64) -> Result<(), LedgerError> {
        let fresh = self.path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&fresh)?;
            file.write_all(&self.encode(until_ms))?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            sync_folder(&self.path)
        };
        write().map_err(|source| self.io(source))
    }

    fn encode(&self, until_ms: u64) -> [u8; LEN] {
        let mut out = [0u8; LEN];
        let (magic, rest) = out.split_at_mut(8);
        let (time, check) = rest.split_at_mut(8);
        magic.copy_from_slice(MAGIC);
        time.copy_from_slice(&until_ms.to_le_bytes());
        check.copy_from_slice(&self.check(until_ms));
        out
    }

    fn decode(&self, bytes: &[u8]) -> Option<u64> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (time, check) = rest.split_first_chunk::<8>()?;
        let until_ms = u64::from_le_bytes(*time);
        (magic == MAGIC && check == self.check(until_ms)).then_some(until_ms)
    }

    /// Binds the record to its author, and shows damage.
    fn check(&self, until_ms: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe ledger v1");
        hasher.update(self.author.as_bytes());
        hasher.update(&until_ms.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn io(&self, source: io::Error) -> LedgerError {
        LedgerError::Io { path: self.path.clone(), source }
    }
}

/// A renamed file is durable once its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a folder can't be opened as a file.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// At most one byte more than a ledger has, whatever lies there.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(LEN + 1);
    File::open(path)?.take(LEN as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a ledger can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The file can't be read or written.
    #[error("ledger {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not a ledger of this author.
    #[error(
        "{} is damaged, or the ledger of another author: use the right file, or delete this one: a new ledger waits half a minute by itself",
        .0.display()
    )]
    Damaged(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_and_belongs_to_its_author() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("author.ledger");
        let author = PublicKey::from_bytes([1; 32]);
        let (ledger, recorded) = LedgerFile::open(&path, author, true, 777).unwrap();
        assert_eq!(recorded, 0);
        ledger.record(1234).unwrap();
        assert_eq!(LedgerFile::open(&path, author, true, 777).unwrap().1, 1234);
        let other = PublicKey::from_bytes([2; 32]);
        assert!(matches!(LedgerFile::open(&path, other, true, 777), Err(LedgerError::Damaged(_))));
    }

    #[test]
    fn a_record_is_a_new_file_and_never_half_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("author.ledger");
        let (ledger, _) = LedgerFile::open(&path, PublicKey::from_bytes([1; 32]), true, 0).unwrap();
        ledger.record(1).unwrap();
        // Whoever has the old record open goes on reading it: at no moment is there a file that has a part of either.
        let mut old = fs::File::open(&path).unwrap();
        let before = fs::read(&path).unwrap();
        ledger.record(2).unwrap();
        let mut after = Vec::new();
        old.read_to_end(&mut after).unwrap();
        assert_eq!(after, before);
        assert_ne!(fs::read(&path).unwrap(), before);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "and nothing is left beside it");
    }

    #[test]
    fn records_that_cross_never_go_backwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("author.ledger");
        let author = PublicKey::from_bytes([1; 32]);
        let (ledger, _) = LedgerFile::open(&path, author, true, 0).unwrap();
        // Many at once: each ends well, and what stands in the end is the largest.
        std::thread::scope(|scope| {
            for until in 1..=64u64 {
                let ledger = ledger.clone();
                scope.spawn(move || ledger.record(until * 7 % 65).unwrap());
            }
        });
        assert_eq!(LedgerFile::open(&path, author, true, 0).unwrap().1, 64);
        ledger.record(3).unwrap();
        assert_eq!(LedgerFile::open(&path, author, true, 0).unwrap().1, 64, "an older record came last");
    }

    #[test]
    fn an_old_key_with_a_new_ledger_starts_after_the_skew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("author.ledger");
        let (_, recorded) = LedgerFile::open(path, PublicKey::from_bytes([1; 32]), false, 777).unwrap();
        assert_eq!(recorded, 777 + 30_000);
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("author.ledger");
        let author = PublicKey::from_bytes([1; 32]);
        LedgerFile::open(&path, author, true, 0).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert!(LedgerFile::open(&path, author, true, 0).is_err(), "byte {at}");
        }
        fs::write(&path, &whole[..LEN - 1]).unwrap();
        assert!(LedgerFile::open(&path, author, true, 0).is_err());
    }

    #[test]
    fn a_folder_that_does_not_exist_is_named() {
        let error =
            LedgerFile::open("/nonexistent/x.ledger", PublicKey::from_bytes([1; 32]), true, 0).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/x.ledger"), "{error}");
    }
}
