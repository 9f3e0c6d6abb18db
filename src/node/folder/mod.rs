//! The state folder: all that a node keeps for its next start, in one place, locked while it runs.
//!
//! ```text
//!   FOLDER/lock          held by the one node that runs; says the format
//!   node.key             the node key               author.key         the author key, if it is another one
//!   positions            the position log           store/             what kept topics say
//!   anchors              peers to begin with        cursors            where named replays stand
//!   README.txt           what all of this is        *.new              a file under way, worth nothing
//! ```
//!
//! Each file is made as a whole, and the key of the node is the last that a first start makes before the position log: whatever is cut off
//! leaves a folder that the next start goes on with.

mod cursors;
mod error;
mod files;
mod readme;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::key::{PublicKey, SecretKey};

pub(super) use cursors::{Cursors, NamedCursor};
pub use error::{CursorError, FolderError};

/// What the lock file says, before the format.
const SAYS: &str = "vouchsafe state ";
/// The one format that there is.
const FORMAT: u64 = 1;
const LOCK: &str = "lock";
const NODE_KEY: &str = "node.key";
const AUTHOR_KEY: &str = "author.key";
const POSITIONS: &str = "positions";
const README: &str = "README.txt";
/// Bytes of a lock file that are looked at.
const LOCK_LEN: u64 = 64;

/// An open state folder. Others are kept out until it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    cursors: Cursors,
}

/// An open folder, and the keys that are in it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) folder: Folder,
    pub(super) node: SecretKey,
    pub(super) author: SecretKey,
}

impl Folder {
    /// Opens and locks a state folder, on the thread that it blocks; makes it, and what it lacks. Keys that are given are written there,
    /// or have to be those that are there. Without a key one is made at the first start.
    pub(super) fn open(
        path: PathBuf,
        node: Option<SecretKey>,
        author: Option<SecretKey>,
    ) -> Result<Opened, FolderError> {
        // Wherever the process goes later.
        let path = std::path::absolute(&path).map_err(|source| io_error(&path, source))?;
        let found = make(&path)?;
        // First: whoever named another folder by mistake is told that, and not to change the mode of it.
        check_ours(&path)?;
        if let Some(mode) = files::open_to_others(&found) {
            return Err(FolderError::TooOpen { folder: path, mode });
        }
        let lock = lock(&path)?;
        for unfinished in [NODE_KEY, AUTHOR_KEY] {
            files::remove_unfinished(&path.join(unfinished)).map_err(|source| io_error(&path, source))?;
        }
        let (node, author) = keys(&path, node, author)?;
        let readme = path.join(README);
        if !readme.exists() {
            files::replace(&readme, readme::TEXT.as_bytes(), files::PRIVATE)
                .map_err(|source| io_error(&readme, source))?;
        }
        let cursors = Cursors::open(path.join("cursors"), Some(lock))?;
        Ok(Opened { folder: Self { path, cursors }, node, author })
    }

    pub(super) fn position_log(&self) -> PathBuf {
        self.path.join(POSITIONS)
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    pub(super) fn anchors(&self) -> PathBuf {
        self.path.join("anchors")
    }

    /// Where named replays stand.
    pub(super) const fn cursors(&self) -> &Cursors {
        &self.cursors
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Handles of the node may live on, and the folder is free all the same.
        self.cursors.close();
    }
}

fn io_error(path: &Path, source: io::Error) -> FolderError {
    FolderError::Io { path: path.into(), source }
}

/// Makes the folder if it is not there, for its owner alone.
fn make(path: &Path) -> Result<fs::Metadata, FolderError> {
    let io = |source| io_error(path, source);
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing: Vec<_> = path.ancestors().take_while(|path| !path.exists()).collect();
            files::step().and_then(|()| make_private(path)).map_err(io)?;
            missing.into_iter().try_for_each(files::sync_folder_of).map_err(io)?;
            fs::metadata(path).map_err(io)?
        }
        found => found.map_err(io)?,
    };
    if !found.is_dir() {
        return Err(FolderError::NotAFolder(path.into()));
    }
    Ok(found)
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Where a file that is locked can't be read by others, this says so.
#[cfg(windows)]
const LOCKED: i32 = 33;

/// What the lock file says of the folder.
enum Says {
    /// Nothing yet, or a part of what it will say.
    Nothing,
    /// The folder is of this format.
    Ours,
    Newer(u64),
    Foreign,
}

fn says(path: &Path) -> io::Result<Says> {
    match File::open(path.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Says::Nothing),
        file => match said_in(&file?) {
            // Who tries to lock it is told the rest.
            #[cfg(windows)]
            Err(error) if error.raw_os_error() == Some(LOCKED) => Ok(Says::Ours),
            said => said,
        },
    }
}

/// What an open lock file says.
fn said_in(file: &File) -> io::Result<Says> {
    let mut text = Vec::new();
    file.take(LOCK_LEN).read_to_end(&mut text)?;
    let head = head();
    if text == head.as_bytes() {
        return Ok(Says::Ours);
    }
    if head.as_bytes().starts_with(&text) {
        return Ok(Says::Nothing);
    }
    let format = std::str::from_utf8(&text).ok().and_then(|text| text.strip_prefix(SAYS)?.lines().next());
    Ok(format.and_then(|format| format.parse().ok()).map_or(Says::Foreign, Says::Newer))
}

fn head() -> String {
    format!("{SAYS}{FORMAT}\n")
}

/// Whether a node may keep its state there: the folder has state already, or nothing but keys that somebody has put there for it.
fn check_ours(path: &Path) -> Result<(), FolderError> {
    let io = |source| io_error(path, source);
    match says(path).map_err(io)? {
        Says::Ours => return Ok(()),
        Says::Newer(found) => {
            return Err(FolderError::Newer { folder: path.into(), found, known: FORMAT });
        }
        Says::Foreign => return Err(FolderError::Foreign { folder: path.into(), file: LOCK.into() }),
        Says::Nothing => {}
    }
    for file in fs::read_dir(path).map_err(io)? {
        let file = file.map_err(io)?.file_name().to_string_lossy().into_owned();
        let is_key = |key: &str| file.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest == ".new");
        if file != LOCK && !is_key(NODE_KEY) && !is_key(AUTHOR_KEY) {
            return Err(FolderError::Foreign { folder: path.into(), file });
        }
    }
    Ok(())
}

/// Locks the folder, and writes into the lock file which format it has.
fn lock(path: &Path) -> Result<File, FolderError> {
    let io = |source| io_error(path, source);
    files::step().map_err(io)?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK));
    let mut file = file.map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(path.into())),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            return Err(FolderError::NoLocks(path.into()));
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    // Through this handle: on some systems others can't read it any more.
    if matches!(said_in(&file).map_err(io)?, Says::Nothing) {
        let mut write = || {
            files::step()?;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(head().as_bytes())?;
            file.sync_all()?;
            files::sync_folder_of(&path.join(LOCK))
        };
        write().map_err(io)?;
    }
    Ok(file)
}

/// The node key and the author key, which are on the disk afterwards.
fn keys(
    path: &Path,
    node: Option<SecretKey>,
    author: Option<SecretKey>,
) -> Result<(SecretKey, SecretKey), FolderError> {
    let (node_path, author_path) = (path.join(NODE_KEY), path.join(AUTHOR_KEY));
    let (kept_node, kept_author) = (load(&node_path)?, load(&author_path)?);
    // The position log is made after the keys, so from then on both of them are known.
    let has_begun = path.join(POSITIONS).exists();
    let is_new = kept_node.is_none();
    let node = match (node, kept_node) {
        (Some(given), Some(kept)) if given.public() != kept.public() => {
            let (found, given) = (kept.public(), given.public());
            return Err(FolderError::OtherNode { folder: path.into(), found, given });
        }
        (Some(given), _) => given,
        (None, Some(kept)) => kept,
        (None, None) if has_begun => return Err(FolderError::NoKey(path.into())),
        (None, None) => SecretKey::generate(),
    };
    let fixed = kept_author.as_ref().map(SecretKey::public).or_else(|| has_begun.then(|| node.public()));
    let given = author.as_ref().map(SecretKey::public);
    if let (Some(found), Some(given)) = (fixed, given)
        && found != given
    {
        return Err(FolderError::OtherAuthor { folder: path.into(), found, given });
    }
    let is_kept = kept_author.is_some();
    let author = author.or(kept_author).unwrap_or_else(|| node.clone());
    // In this order: a node key without an author key says that both are one.
    if !is_kept && is_another(&author, &node.public()) {
        save(&author, &author_path)?;
    }
    if is_new {
        save(&node, &node_path)?;
    }
    Ok((node, author))
}

fn is_another(author: &SecretKey, node: &PublicKey) -> bool {
    author.public() != *node
}

/// The key in a file, if there is such a file.
fn load(path: &Path) -> Result<Option<SecretKey>, FolderError> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    Ok(Some(SecretKey::load(path)?))
}

/// Writes a key that is not there yet. The folder is locked, so nobody else does.
fn save(key: &SecretKey, path: &Path) -> Result<(), FolderError> {
    // Room for all of it at once: growing would leave copies of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(128));
    let written = key.write_to(&mut *text).and_then(|()| files::replace(path, &text, files::PRIVATE));
    written.map_err(|source| io_error(path, source))
}

#[cfg(test)]
mod tests;
