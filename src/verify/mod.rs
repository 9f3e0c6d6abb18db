//! Is it genuine? One predicate over bytes, and two ways to compute it that always agree.
//!
//! A peer that hands us a bad signature is banned for it. That is safe only if *every* correct node, on *every* path,
//! gives the same signature the same verdict: otherwise one crafted packet, accepted and forwarded by some, makes
//! correct nodes ban each other. Ed25519 as commonly implemented does not give that. The curve has eight points of
//! small order, and whoever holds a key can mix one into a key or a signature. Verifiers then differ by taste:
//! ed25519-dalek's `verify` and `verify_strict` refuse such a mix, while its `verify_batch` accepts or refuses it by the
//! luck of the coefficients (measured: about half of all batches). So we sign with ed25519-dalek and hold keys in it, but
//! verify here, by this rule:
//!
//! 1. The key is a canonical encoding of a point on the curve that is not of small order.
//! 2. The signature is `R || s` with s below the group order l, and R as strict as the key.
//! 3. With `k = SHA-512(R || A || message) mod l`, the sum `[8](sB - kA - R)` is the identity.
//!
//! The factor 8 removes whatever small-order part was mixed in, from one equation and from a sum of many alike: that
//! is what makes single and batch one predicate. What an RFC 8032 signer makes always passes.
//!
//! A verdict must be looked at, and the compiler says so:
//! ```
//! # #![deny(unused_must_use)]
//! let genuine = vouchsafe::verify::verify_raw(b"key", b"message", b"signature");
//! assert!(!genuine);
//! ```
//! ```compile_fail
//! # #![deny(unused_must_use)]
//! vouchsafe::verify::verify_raw(b"key", b"message", b"signature");
//! ```
//!
//! **This is the lower level.** Which signatures are genuine never changes within a wire version; the functions and types here may
//! change in a minor version ([stability](crate#stability)).
//!
//! `rule.rs` is the predicate, `batch.rs` the sum of many, `cache.rs` the decoded keys, `signed.rs` applies it to bundles,
//! proofs and evidence.

mod batch;
mod cache;
mod rule;
mod signed;

pub use batch::Verifier;
pub use cache::MAX_CACHED_KEYS;
pub use signed::{bundle, evidence, header, proof};

use crate::key::{PublicKey, Signature};

/// One signature to judge, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Who is said to have signed.
    pub key: &'a PublicKey,
    /// The bytes that are said to be signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

/// Judges one signature by the rule of this [module](self), without state. A [`Verifier`] is faster for known keys.
#[must_use = "a verdict that nobody looks at protects nobody"]
pub fn verify_single(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let Some(minus_key) = rule::decode_key(key) else { return false };
    rule::decode_claim(key, message, signature).is_some_and(|claim| rule::holds(&minus_key, &claim))
}

/// As [`verify_single`], from bytes of any length: a key that is not 32 bytes or a signature that is not 64 is invalid.
#[must_use = "a verdict that nobody looks at protects nobody"]
pub fn verify_raw(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    verify_single(&PublicKey::from_bytes(key), message, &Signature::from_bytes(signature))
}

/// Whether the key may sign at all: a canonical encoding of a point on the curve that is not of small order.
///
/// Under any other key no signature is valid. Costs a square root, 5 to 10 microseconds.
#[must_use = "a verdict that nobody looks at protects nobody"]
pub fn is_signing_key(key: &PublicKey) -> bool {
    rule::decode_key(key).is_some()
}
