//! Node and author keys: parse, print, generate, keep in a file, wipe from memory.
//!
//! A **node key** signs links (TLS) and an **author key** signs rumors; both are Ed25519 and may be the same key.
//! A [`PublicKey`] is only 32 bytes: whether they are a point that may sign is judged once per key by
//! [`verify`](crate::verify), not here.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::{Zeroize as _, Zeroizing};

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
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 hexadecimal digits, for people. Never use it to tell keys apart.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
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

/// An Ed25519 signature: 64 bytes, `R || s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Wraps 64 bytes, unchecked.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
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
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let public = PublicKey(signing.verifying_key().to_bytes());
        Self { signing, public, fresh: Arc::default() }
    }

    /// The 32-byte seed, in a buffer that wipes itself.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public half.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Whether this process generated the key, and no node has written under it yet, nor under a clone of it. Any other key may
    /// have signed rumors in an earlier life, so without a ledger its author waits out the clock skew before it speaks.
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

    /// Reads the key from `path`: 64 hexadecimal digits and an optional newline.
    ///
    /// # Errors
    /// If the file can't be read, is readable by others (on Unix: any of the mode bits 077), or is not such a text.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        let fail = |source| KeyFileError::Io { path: path.into(), source };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path).map_err(fail)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyFileError::TooOpen { path: path.into(), mode });
            }
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(fail)?);
        let mut seed = parse_hex32(text.trim_end_matches(['\r', '\n']))
            .map_err(|source| KeyFileError::Parse { path: path.into(), source })?;
        let key = Self::from_seed(&seed);
        seed.zeroize();
        Ok(key)
    }

    /// Writes the key to a new file that only its owner can read (0600 on Unix), and syncs it.
    ///
    /// # Errors
    /// If the file exists (an old key is never overwritten) or can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        let path = path.as_ref();
        let fail = |source| KeyFileError::Io { path: path.into(), source };
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(fail)?;
        let mut text = Zeroizing::new(hex::encode(self.to_seed().as_slice()));
        text.push('\n');
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a key is none, and would stand in the way of the next try.
            let _ = std::fs::remove_file(path);
        }
        written.map_err(fail)
    }
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
        source: std::io::Error,
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

fn parse_hex32(text: &str) -> Result<[u8; 32], ParseKeyError> {
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
        assert!(matches!(key.save(&path), Err(KeyFileError::Io { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(SecretKey::load(&path), Err(KeyFileError::TooOpen { mode: 0o644, .. })));
        }
    }
}
