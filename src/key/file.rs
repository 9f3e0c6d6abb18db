//! Keys in files and streams: private, never half written, never overwritten.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{ParseKeyError, SecretKey, parse_hex32};

impl SecretKey {
    /// Reads the key from `path`: 64 hexadecimal digits and an optional newline. Of a file that has more than 4096 bytes, nothing
    /// is read.
    ///
    /// # Errors
    /// If there is no such file, if it is a folder or a device, if it is not such a text, or if others can read it (on Unix: any of
    /// the mode bits 077).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        let fail = |source| KeyFileError::Io { path: path.into(), source };
        // A folder or a device is told apart before it is opened: opening may wait, or do something.
        if let Some(what) = unfit(&std::fs::metadata(path).map_err(fail)?) {
            return Err(KeyFileError::NotAFile { path: path.into(), what });
        }
        let file = File::open(path).map_err(fail)?;
        let opened = file.metadata().map_err(fail)?;
        if opened.len() > MAX_FILE {
            return Err(KeyFileError::TooLong { path: path.into(), len: opened.len() });
        }
        let key = Self::read_from(file).map_err(|error| match error {
            ReadKeyError::Io(source) => fail(source),
            ReadKeyError::Parse(source) => KeyFileError::Parse { path: path.into(), source },
        })?;
        // Only now: whoever named another file by mistake is told that, and not to change the mode of it.
        match open_to_others(&opened) {
            Some(mode) => Err(KeyFileError::TooOpen { path: path.into(), mode }),
            None => Ok(key),
        }
    }

    /// Reads the key from a stream, as [`SecretKey::load`] does from a file: at most 4097 bytes, up to the end of the stream.
    ///
    /// # Errors
    /// If the stream can't be read, or is not such a text.
    pub fn read_from(stream: impl Read) -> Result<Self, ReadKeyError> {
        // Room for all of it at once: growing would leave copies of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
        stream.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        // What is no text is no key either, and the parser says so.
        let text = String::from_utf8_lossy(&bytes);
        let seed = Zeroizing::new(parse_hex32(text.trim_end_matches(['\r', '\n']))?);
        Ok(Self::from_seed(&seed))
    }

    /// Writes the key to a new file that only its owner can read (0600 on Unix), and syncs the file and its folder. What is there
    /// under that name is never half a key: it is written under another name (`NAME.HEX.new`) and then linked. A crash may leave that
    /// other file. Where the file system knows no hard links, the key is written in place.
    ///
    /// # Errors
    /// If the file exists (an old key is never overwritten) or can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        self.save_new(path).map_err(|source| KeyFileError::Io { path: path.into(), source })
    }

    fn save_new(&self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let beside = name_beside(path)?;
        self.write_new(&beside)?;
        // Unlike a rename, a link replaces nothing: of two who save at once one is told that the file exists.
        let linked = std::fs::hard_link(&beside, path);
        // If it stays, it is in nobody's way.
        let _ = std::fs::remove_file(&beside);
        match linked {
            Ok(()) => sync_folder(path).inspect_err(|_| drop(std::fs::remove_file(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => self.write_new(path),
        }
    }

    /// Writes a file that is not there yet, or leaves none.
    fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let written =
            self.write_to(&mut file).and_then(|()| file.sync_all()).and_then(|()| sync_folder(path));
        // Half a key is none, and would stand in the way of the next try.
        written.inspect_err(|_| drop(std::fs::remove_file(path)))
    }

    /// Writes the key as [`SecretKey::save`] writes it to a file. **Every reader of the stream sees the secret.**
    ///
    /// # Errors
    /// What the stream gives.
    pub fn write_to(&self, mut stream: impl io::Write) -> io::Result<()> {
        let mut text = Zeroizing::new(hex::encode(self.to_seed().as_slice()));
        text.push('\n');
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }
}

/// Most bytes of a key file. A key has 65; a wrong file name must not fill the memory.
const MAX_FILE: u64 = 4096;

/// What stands where a key file should be, if it can't be one. A pipe can, as in `--key <(pass show node)`.
#[cfg(unix)]
fn unfit(found: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = found.file_type();
    match () {
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_file() || kind.is_fifo() => None,
        () => Some("a device or socket"),
    }
}

#[cfg(not(unix))]
fn unfit(found: &Metadata) -> Option<&'static str> {
    found.is_dir().then_some("a folder")
}

/// The mode of a file that others than its owner can read or write.
#[cfg(unix)]
fn open_to_others(opened: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = opened.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Elsewhere a file has no mode.
#[cfg(not(unix))]
fn open_to_others(_: &Metadata) -> Option<u32> {
    None
}

/// A name that nobody else takes, whatever a crash has left: of numbers from a process, a later one may have the same.
fn name_beside(path: &Path) -> io::Result<PathBuf> {
    let mut number = [0u8; 8];
    getrandom::fill(&mut number).map_err(io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", hex::encode(number)));
    Ok(name.into())
}

/// A new file is durable once its folder is.
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

/// Why no key could be read from a stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadKeyError {
    /// The stream can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The content is not a key.
    #[error(transparent)]
    Parse(#[from] ParseKeyError),
}

/// Why a key file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file can't be read or written; the source says why.
    #[error("key file {}: {source}; name a file that this process may read or write", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no file of this name, but something else.
    #[error("{} is {what}, not a key file: give the path of the file", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file has more bytes than any key. Nothing of it was read.
    #[error("{} has {len} bytes, where a key file has 65: is it the right file?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// Others can read the secret.
    #[error("key file {} has mode {mode:04o}, so others can read the secret: run `chmod 600` on it", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not a key.
    #[error("key file {}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with the text.
        source: ParseKeyError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.secret");
        let key = SecretKey::generate();
        key.save(&path).unwrap();
        let loaded = SecretKey::load(&path).unwrap();
        assert_eq!(loaded.public(), key.public());
        assert!(key.is_fresh() && !loaded.is_fresh());
        // Not by another key either; and nothing is left beside it.
        for other in [key, SecretKey::generate()] {
            assert!(already_there(&other.save(&path)));
            assert_eq!(SecretKey::load(&path).unwrap().public(), loaded.public());
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        #[cfg(unix)]
        {
            chmod(&path, 0o644);
            assert!(matches!(SecretKey::load(&path), Err(KeyFileError::TooOpen { mode: 0o644, .. })));
        }
    }

    fn already_there(saved: &Result<(), KeyFileError>) -> bool {
        matches!(saved, Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists)
    }

    #[test]
    fn of_keys_that_are_saved_to_one_file_at_once_one_is_kept_and_the_others_are_told() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("node.secret");
            let keys: Vec<_> = (0..8).map(|_| SecretKey::generate()).collect();
            let saved: Vec<_> = std::thread::scope(|scope| {
                let begun: Vec<_> = keys.iter().map(|key| scope.spawn(|| key.save(&path))).collect();
                begun.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let kept: Vec<_> = keys.iter().zip(&saved).filter(|(_, saved)| saved.is_ok()).collect();
            assert_eq!(kept.len(), 1);
            assert_eq!(SecretKey::load(&path).unwrap().public(), kept[0].0.public());
            assert_eq!(saved.iter().filter(|saved| already_there(saved)).count(), 7);
            assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_no_room_for_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.secret");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(already_there(&SecretKey::generate().save(&path)));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[cfg(unix)]
    fn chmod(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn of_a_file_too_long_for_a_key_nothing_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.image");
        // A gigabyte that takes no room: reading it would take a gigabyte of memory.
        File::create(&path).unwrap().set_len(1 << 30).unwrap();
        assert!(matches!(SecretKey::load(&path), Err(KeyFileError::TooLong { len: 0x4000_0000, .. })));
        // A stream does not tell its length: no more of it is read than a key file may have.
        let mut stream = Counting(0);
        assert!(matches!(SecretKey::read_from(&mut stream), Err(ReadKeyError::Parse(_))));
        assert_eq!(stream.0, MAX_FILE + 1);
    }

    /// A stream without an end, which counts what is read of it.
    struct Counting(u64);

    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'0');
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_key_file_is_called_what_it_is_and_its_mode_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let fault = |path: &Path| SecretKey::load(path).unwrap_err();
        assert!(matches!(fault(folder.path()), KeyFileError::NotAFile { what: "a folder", .. }));
        assert!(matches!(fault("/dev/zero".as_ref()), KeyFileError::NotAFile { .. }));
        // Readable by all, and no key: the mode is not what is wrong with it.
        let path = folder.path().join("node.positions");
        for (bytes, chars) in [(&b"vs-ldg-1"[..], 8), (&b"\xff\xfe"[..], 2), (&b""[..], 0)] {
            std::fs::write(&path, bytes).unwrap();
            chmod(&path, 0o644);
            let why = ParseKeyError::Length(chars);
            assert!(matches!(fault(&path), KeyFileError::Parse { source, .. } if source == why));
        }
    }

    #[test]
    fn a_key_goes_through_streams_as_through_files() {
        let (key, mut text) = (SecretKey::from_seed(&[7; 32]), Vec::new());
        key.write_to(&mut text).unwrap();
        assert_eq!(text, format!("{}\n", "07".repeat(32)).as_bytes());
        assert_eq!(SecretKey::read_from(&text[..]).unwrap().public(), key.public());
    }
}
