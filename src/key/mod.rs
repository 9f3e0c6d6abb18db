//! Node and author keys: parse, print, generate, keep in a file, wipe from memory.
//!
//! A **node key** signs links (TLS) and an **author key** signs rumors; both are Ed25519 and may be the same key.
//! A [`PublicKey`] is only 32 bytes: whether they are a point that may sign is judged once per key by
//! [`verify`](crate::verify), not here.

mod file;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

pub use file::{KeyFileError, ReadKeyError};

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
}
