//! Where named replays stand: one file, replaced as a whole.
//!
//! ```text
//!   vouchsafe cursors 1
//!   NAME TOPIC CURSOR      256 at the most, in order
//!   HASH                   of all that stands before it
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::spawn_blocking;

use super::error::{CursorError, FolderError};
use super::files;
use crate::node::Cursor;
use crate::rumor::TopicId;

/// Names the format.
const HEAD: &str = "vouchsafe cursors 1\n";
/// Most named replays of one folder: all of them are written at each save.
pub(super) const MAX_CURSORS: usize = 256;
/// Most bytes of a name.
pub(super) const MAX_NAME: usize = 64;
/// Bytes of the longest file, rounded up.
const MAX_LEN: u64 = 64 * 1024;

/// A name in a topic.
type Key = (String, TopicId);

/// The cursors of a state folder, and its lock. Copies share both.
#[derive(Clone, Debug)]
pub(in crate::node) struct Cursors(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    known: Mutex<Known>,
    /// Taken before the file is written, and not while anything is looked up.
    disk: Mutex<Disk>,
}

#[derive(Debug, Default)]
struct Known {
    saved: BTreeMap<Key, Cursor>,
    /// Of replays that go on.
    in_use: BTreeSet<Key>,
}

#[derive(Debug)]
struct Disk {
    /// The node runs, so the folder is ours.
    is_open: bool,
    /// `None` once it is closed.
    _lock: Option<File>,
}

impl Cursors {
    /// Reads what an earlier life has saved. Keeps the lock of the folder until it is closed.
    pub(super) fn open(path: PathBuf, lock: Option<File>) -> Result<Self, FolderError> {
        let saved = match read(&path) {
            Ok(text) => decode(&text).ok_or_else(|| FolderError::DamagedCursors(path.clone()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(FolderError::DamagedCursors(path));
            }
            Err(source) => return Err(FolderError::Io { path, source }),
        };
        let known = Mutex::new(Known { saved, in_use: BTreeSet::new() });
        let disk = Mutex::new(Disk { is_open: true, _lock: lock });
        Ok(Self(Arc::new(Shared { path, known, disk })))
    }

    /// Waits for a save that is under way, and saves nothing more.
    pub(super) fn close(&self) {
        *self.disk() = Disk { is_open: false, _lock: None };
    }

    /// Begins to read under a name, which no other replay of the topic has meanwhile. Gives where it stands.
    pub(in crate::node) fn begin(
        &self,
        name: &str,
        topic: TopicId,
    ) -> Result<(NamedCursor, Cursor), CursorError> {
        check_name(name)?;
        let key = (name.to_owned(), topic);
        let mut known = self.known();
        if known.in_use.contains(&key) {
            return Err(CursorError::InUse(key.0));
        }
        let stands = known.saved.get(&key).copied();
        let unsaved = known.in_use.iter().filter(|key| !known.saved.contains_key(*key)).count();
        if stands.is_none() && known.saved.len().saturating_add(unsaved) >= MAX_CURSORS {
            return Err(CursorError::TooMany);
        }
        known.in_use.insert(key.clone());
        Ok((NamedCursor { cursors: self.clone(), key }, stands.unwrap_or(Cursor::START)))
    }

    /// Forgets where a name stands. Gives whether it stood anywhere.
    pub(in crate::node) async fn forget(&self, name: &str, topic: TopicId) -> Result<bool, CursorError> {
        check_name(name)?;
        let key = (name.to_owned(), topic);
        {
            let mut known = self.known();
            if known.in_use.contains(&key) {
                return Err(CursorError::InUse(key.0));
            }
            if known.saved.remove(&key).is_none() {
                return Ok(false);
            }
        }
        self.write().await.map(|()| true)
    }

    /// Writes what is known.
    async fn write(&self) -> Result<(), CursorError> {
        let cursors = self.clone();
        // An error means that the runtime goes down.
        spawn_blocking(move || cursors.write_now()).await.map_err(|_| CursorError::Closed)?
    }

    fn write_now(&self) -> Result<(), CursorError> {
        let disk = self.disk();
        if !disk.is_open {
            return Err(CursorError::Closed);
        }
        // Only now: of several saves at once none may write what is older than another has written.
        let text = encode(&self.known().saved);
        let written = files::replace(&self.0.path, text.as_bytes(), files::PRIVATE);
        written.map_err(|source| CursorError::Io { path: self.0.path.clone(), source })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What a panic elsewhere leaves in it is whole: each change is one call.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name under which a replay reads. It is free again when this is dropped.
#[derive(Debug)]
pub(in crate::node) struct NamedCursor {
    cursors: Cursors,
    key: Key,
}

impl NamedCursor {
    /// Saves where the replay stands.
    pub(in crate::node) async fn save(&self, cursor: Cursor) -> Result<(), CursorError> {
        self.cursors.known().saved.insert(self.key.clone(), cursor);
        self.cursors.write().await
    }
}

impl Drop for NamedCursor {
    fn drop(&mut self) {
        self.cursors.known().in_use.remove(&self.key);
    }
}

fn check_name(name: &str) -> Result<(), CursorError> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_good) {
        // Of a name without end a part is enough to find it.
        return Err(CursorError::Name(name.chars().take(MAX_NAME.saturating_add(1)).collect()));
    }
    Ok(())
}

fn read(path: &PathBuf) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_LEN).read_to_string(&mut text)?;
    Ok(text)
}

fn encode(saved: &BTreeMap<Key, Cursor>) -> String {
    let lines: String =
        saved.iter().map(|((name, topic), cursor)| format!("{name} {topic} {cursor}\n")).collect();
    let text = format!("{HEAD}{lines}");
    format!("{text}{}\n", blake3::hash(text.as_bytes()).to_hex())
}

fn decode(text: &str) -> Option<BTreeMap<Key, Cursor>> {
    let (said, check) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let said = format!("{said}\n");
    if blake3::hash(said.as_bytes()).to_hex().as_str() != check {
        return None;
    }
    let line = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        let (topic, cursor) = rest.split_once(' ')?;
        Some(((name.to_owned(), topic.parse().ok()?), cursor.parse().ok()?))
    };
    said.strip_prefix(HEAD)?.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rumor::{NetworkId, Topic};

    fn topic(name: &str) -> TopicId {
        Topic::named(name).bind(NetworkId::of("n")).unwrap().id()
    }

    fn cursor(sequence: u64) -> Cursor {
        format!("00000000000000aa/{sequence}/0").parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_no_part_of_it() {
        let saved =
            [(("a".to_owned(), topic("t")), cursor(1)), (("b.2-c_D".to_owned(), topic("u")), cursor(7))];
        for saved in [BTreeMap::from(saved), BTreeMap::new()] {
            let text = encode(&saved);
            assert_eq!(decode(&text), Some(saved));
            for end in 0..text.len() {
                assert_eq!(decode(&text[..end]), None, "{end} bytes");
            }
            assert_eq!(decode(&text.replace("cursors 1", "cursors 2")), None);
        }
    }

    #[test]
    fn the_longest_file_is_read() {
        let name = |number: usize| format!("{number:0>MAX_NAME$}");
        let most =
            Cursor::within(crate::protocol::keeping::Cursor { incarnation: 9, sequence: u64::MAX }, 63);
        let saved: BTreeMap<_, _> =
            (0..MAX_CURSORS).map(|number| ((name(number), topic("t")), most)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursors");
        std::fs::write(&path, encode(&saved)).unwrap();
        assert_eq!(Cursors::open(path, None).unwrap().known().saved, saved);
    }

    #[tokio::test]
    async fn a_name_is_read_by_one_at_a_time_and_stands_where_it_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursors");
        let cursors = Cursors::open(path.clone(), None).unwrap();
        let (one, at) = cursors.begin("indexer", topic("t")).unwrap();
        assert_eq!(at, Cursor::START);
        assert!(matches!(cursors.begin("indexer", topic("t")), Err(CursorError::InUse(_))));
        assert!(matches!(cursors.forget("indexer", topic("t")).await, Err(CursorError::InUse(_))));
        let (other, _) = cursors.begin("indexer", topic("u")).unwrap();
        one.save(cursor(5)).await.unwrap();
        drop((one, other));
        // Given the next life,
        let cursors = Cursors::open(path.clone(), None).unwrap();
        assert_eq!(cursors.begin("indexer", topic("t")).unwrap().1, cursor(5));
        assert_eq!(cursors.begin("indexer", topic("u")).unwrap().1, Cursor::START);
        // When the name is forgotten, it begins anew, also in the life after that.
        assert!(cursors.forget("indexer", topic("t")).await.unwrap());
        assert!(!cursors.forget("indexer", topic("t")).await.unwrap());
        let cursors = Cursors::open(path, None).unwrap();
        assert_eq!(cursors.begin("indexer", topic("t")).unwrap().1, Cursor::START);
    }

    #[tokio::test]
    async fn after_the_end_nothing_is_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursors");
        let cursors = Cursors::open(path.clone(), None).unwrap();
        let (named, _) = cursors.begin("a", topic("t")).unwrap();
        cursors.close();
        assert!(matches!(named.save(cursor(5)).await, Err(CursorError::Closed)));
        assert!(!path.exists());
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let cursors = Cursors::open(folder.path().join("cursors"), None).unwrap();
        for bad in ["", "a/b", "..\\a", "a b", "a\n", "\u{e9}", &"a".repeat(MAX_NAME + 1)] {
            assert!(matches!(cursors.begin(bad, topic("t")), Err(CursorError::Name(_))), "{bad:?}");
        }
        let begin = |number: usize| cursors.begin(&number.to_string(), topic("t"));
        let mut all: Vec<_> = (0..MAX_CURSORS).map(|number| begin(number).unwrap()).collect();
        assert!(matches!(begin(MAX_CURSORS), Err(CursorError::TooMany)));
        all.pop();
        begin(MAX_CURSORS).unwrap();
    }

    #[test]
    fn a_damaged_file_is_left_as_it_is_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cursors");
        for damage in [b"".as_slice(), b"vouchsafe cursors 1\nnonsense\n", &[0xff; 9_000]] {
            std::fs::write(&path, damage).unwrap();
            let refused = Cursors::open(path.clone(), None);
            assert!(matches!(&refused, Err(FolderError::DamagedCursors(at)) if *at == path), "{refused:?}");
            assert_eq!(std::fs::read(&path).unwrap(), damage);
        }
    }
}
