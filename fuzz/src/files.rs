//! Files that are read back: whatever lies there is what was written, or is named as damage; never guessed at.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arbitrary::{Arbitrary, Unstructured};
use vouchsafe::rumor::Spans;
use vouchsafe::store::PositionLog;
use vouchsafe::{KeyFileError, PositionLogError, PublicKey, SecretKey};

/// A folder of one run's own, gone after it. In memory where that can be had: position logs are synced, and disks are slow.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let all = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = all.join(format!("vouchsafe-fuzz-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Arbitrary, Debug)]
struct Stored {
    author: u8,
    file: Content,
    records: [(u64, u64); 2],
}

#[derive(Arbitrary, Debug)]
enum Content {
    Missing {
        fresh: bool,
        now_ms: u64,
    },
    Any(Vec<u8>),
    /// A right one of this author or another, perhaps with a fault.
    Right {
        spans: [(u64, u64); 3],
        of: u8,
        fault: Fault,
    },
}

#[derive(Arbitrary, Debug)]
enum Fault {
    None,
    Flip(u8, u8),
    Cut(u8),
    Append(Vec<u8>),
}

fn author(n: u8) -> PublicKey {
    PublicKey::from_bytes([n % 4; 32])
}

/// The format, written once more: a name, the spans, and a hash of author and all that.
fn right(author: &PublicKey, used: &Spans) -> Vec<u8> {
    let times = used.iter().flat_map(|(from, until)| [from.to_le_bytes(), until.to_le_bytes()].concat());
    let mut bytes = b"vs-ldg-2".to_vec();
    bytes.extend(times);
    let mut check = blake3::Hasher::new_derive_key("vouchsafe position log v2");
    check.update(author.as_bytes()).update(&bytes);
    bytes.extend(check.finalize().as_bytes());
    bytes
}

/// What a position log of this author with these bytes tells.
fn meaning(author: &PublicKey, bytes: &[u8]) -> Option<Spans> {
    let mut used = Spans::default();
    for span in bytes.get(8..bytes.len().checked_sub(32)?)?.chunks_exact(16) {
        let [from, until] = [&span[..8], &span[8..]].map(|time| u64::from_le_bytes(time.try_into().unwrap()));
        used.add(from, until);
    }
    (right(author, &used) == bytes).then_some(used)
}

/// [`PositionLog`] on a file of any bytes: the time that was recorded, or damage; and then records, the latest of which stays.
pub fn position_log(data: &[u8]) {
    let Ok(stored) = Stored::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (folder, owner) = (Folder::new(), author(stored.author));
    let path = folder.0.join("author.positions");
    let (mut fresh, mut now_ms) = (false, 0);
    let bytes = match stored.file {
        Content::Missing { fresh: is, now_ms: at } => {
            (fresh, now_ms) = (is, at);
            None
        }
        Content::Any(bytes) => Some(bytes),
        Content::Right { spans, of, fault } => {
            let mut used = Spans::default();
            spans.into_iter().for_each(|(from, until)| used.add(from, until));
            let mut bytes = right(&author(of), &used);
            match fault {
                Fault::None => {}
                Fault::Flip(at, bits) => {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] ^= bits;
                }
                Fault::Cut(at) => bytes.truncate(usize::from(at)),
                Fault::Append(tail) => bytes.extend(tail),
            }
            Some(bytes)
        }
    };
    let expected = match &bytes {
        Some(bytes) => {
            fs::write(&path, bytes).unwrap();
            meaning(&owner, bytes)
        }
        None if fresh => Some(Spans::default()),
        None => Some(Spans::before(now_ms.saturating_add(30_000))),
    };
    let (file, mut recorded) = match (PositionLog::open(&path, owner, fresh, now_ms), expected) {
        (Ok((file, recorded)), Some(expected)) => {
            assert_eq!(recorded, expected);
            (file, recorded)
        }
        (Err(PositionLogError::Damaged(named)), None) => {
            assert_eq!((named, fs::read(&path).ok()), (path, bytes), "damage is left as it was found");
            return;
        }
        (opened, expected) => panic!("{opened:?}, and {expected:?} was recorded"),
    };
    for (from_ms, until_ms) in stored.records {
        file.record(from_ms, until_ms).unwrap();
        recorded.add(from_ms, until_ms);
        assert_eq!(fs::read(&path).unwrap(), right(&owner, &recorded));
        let again = PositionLog::open(&path, owner, false, 0);
        assert!(matches!(again, Err(PositionLogError::InUse(_))), "it is open already");
    }
    drop(file);
    let other = PositionLog::open(&path, author(stored.author.wrapping_add(1)), false, 0);
    assert!(matches!(other, Err(PositionLogError::Damaged(_))), "somebody else's position log");
    assert_eq!(PositionLog::open(&path, owner, false, 0).unwrap().1, recorded);
    assert_eq!(folder.files(), 2, "something else was left behind than it and its lock");
}

/// [`SecretKey::load`] on a file of any bytes: 64 hexadecimal digits and the end of a line, or an error that names the file.
pub fn key_file(data: &[u8]) {
    let folder = Folder::new();
    let path = folder.0.join("node.secret");
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).and_then(|mut file| file.write_all(data)).unwrap();

    let ends = data.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let digits = &data[..data.len() - ends];
    let is_key = digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit);
    match SecretKey::load(&path) {
        Ok(key) => {
            assert!(is_key && !key.is_fresh());
            let seed: String = key.to_seed().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(seed.as_bytes(), digits.to_ascii_lowercase());
            assert!(matches!(key.save(&path), Err(KeyFileError::Io { .. })), "a key was overwritten");
            assert_eq!(fs::read(&path).unwrap(), data);
            let copy = folder.0.join("copy.secret");
            key.save(&copy).unwrap();
            assert_eq!(*SecretKey::load(&copy).unwrap().to_seed(), *key.to_seed());
        }
        Err(error) => {
            assert!(!is_key, "{error}");
            assert!(error.to_string().contains("node.secret"), "{error}");
        }
    }
}
