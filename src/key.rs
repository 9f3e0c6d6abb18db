//! Node and author keys: parse, print, generate, keep in a file, wipe from memory.
//!
//! A **node key** signs links (TLS) and an **author key** signs rumors; both are Ed25519 and may be the same key.
//! A [`PublicKey`] is only 32 bytes: whether they are a point that may sign is judged once per key by
//! [`verify`](crate::verify), not here.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

/// The 32 bytes of an Ed25519 public key, as they travel. Printed and parsed as 64 hexadecimal digits.
///
/// Any 32 bytes make a `PublicKey`; those that are not a canonical point of large order verify nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// All of its bytes, since strangers can choose them; without their number, which is always the same.
impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl PublicKey {
    /// Wraps the 32 bytes of a key, unchecked (see the type).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 hexadecimal digits, for people. Never use it to tell keys apart.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl AsRef<[u8]> for PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.short())
    }
}

impl FromStr for PublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex32(text).map(Self)
    }
}

/// Serialises 32 bytes as their text in formats for people, as JSON is one, and as the bytes in all others.
macro_rules! serde_as_text {
    ($name:ident) => {
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.as_bytes().serialize(to) }
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    let text = <String as serde::Deserialize>::deserialize(from)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32] as serde::Deserialize>::deserialize(from).map(Self::from_bytes)
                }
            }
        }
    };
}
pub(crate) use serde_as_text;

serde_as_text!(PublicKey);

/// An Ed25519 signature: 64 bytes, `R || s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Wraps 64 bytes, unchecked.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl AsRef<[u8]> for Signature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", hex::encode(&self.0[..4]))
    }
}

/// An Ed25519 secret key. It never prints its secret, and the signing key inside wipes itself when dropped.
#[derive(Clone)]
pub struct SecretKey {
    signing: SigningKey,
    public: PublicKey,
    /// True when this process made the key and no author has begun to write under it or a clone of it.
    fresh: Arc<AtomicBool>,
}

impl SecretKey {
    /// A new key from the operating system's entropy.
    ///
    /// # Panics
    /// If the operating system has no entropy to give, which leaves no safe way to go on.
    #[allow(clippy::panic, reason = "at the caller's call, never on input: there is no safe way to go on")]
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0u8; 32]);
        if let Err(error) = getrandom::fill(seed.as_mut_slice()) {
            panic!("the operating system gave no entropy for a key: {error}");
        }
        let key = Self::from_seed(&seed);
        key.fresh.store(true, Ordering::Relaxed);
        key
    }

    /// The key of a 32-byte RFC 8032 seed. Counts as *loaded*: see [`SecretKey::is_fresh`].
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let public = PublicKey(signing.verifying_key().to_bytes());
        Self { signing, public, fresh: Arc::default() }
    }

    /// The 32-byte seed, in a buffer that wipes itself.
    #[must_use]
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Whether this process generated the key, and no node has written under it yet, nor under a clone of it. Any other key may
    /// have signed rumors in an earlier life, so without a position log its author waits out the clock skew before it speaks.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh.load(Ordering::Relaxed)
    }

    /// An author begins to write under it: whether it is the first.
    pub(crate) fn take_fresh(&self) -> bool {
        self.fresh.swap(false, Ordering::Relaxed)
    }

    /// Signs bytes of fixed width that this crate built itself. Never hand it bytes that a peer chose.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.signing.sign(message).to_bytes())
    }

    /// The underlying key, for the TLS identity.
    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

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

    /// Writes the key as [`SecretKey::save`] writes it to a file. **It shows the secret to whoever reads the stream.**
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

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public.short())
    }
}

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// A key is 64 hexadecimal digits; this text has another length.
    #[error("a key is 64 hexadecimal digits, this text has {0} characters: copy the whole key")]
    Length(usize),
    /// A character is not a hexadecimal digit.
    #[error("{0:?} at position {1} is not a hexadecimal digit: a key is made of 0-9 and a-f only")]
    Digit(char, usize),
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
    #[error("key file {}: {source}", path.display())]
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

pub(crate) fn parse_hex32(text: &str) -> Result<[u8; 32], ParseKeyError> {
    let count = text.chars().count();
    if count != 64 {
        return Err(ParseKeyError::Length(count));
    }
    if let Some((at, bad)) = text.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(ParseKeyError::Digit(bad, at));
    }
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseKeyError::Length(count))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text() {
        let key = SecretKey::from_seed(&[7; 32]);
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        assert!(!format!("{key:?}").contains("0707"));
    }

    #[test]
    fn bad_texts_name_the_fault() {
        assert_eq!("abc".parse::<PublicKey>(), Err(ParseKeyError::Length(3)));
        let text = format!("{}g{}", "a".repeat(10), "a".repeat(53));
        assert_eq!(text.parse::<PublicKey>(), Err(ParseKeyError::Digit('g', 10)));
        assert_eq!("é".repeat(64).parse::<PublicKey>(), Err(ParseKeyError::Digit('é', 0)));
    }

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
