//! BLAKE3 in its key derivation mode, whose context separates one meaning of a hash from all others.
//!
//! The context is hashed once and not for each bundle: it is a tenth of what hashing a bundle of one small rumor costs.

use std::sync::LazyLock;

use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};

/// One meaning, named by its context string.
pub(super) struct Domain(LazyLock<ContextKey>);

impl Domain {
    /// For a static: `context` is one that nothing else uses.
    pub(super) const fn new(context: fn() -> ContextKey) -> Self {
        Self(LazyLock::new(context))
    }

    /// As `Hasher::new_derive_key` of the context.
    pub(super) fn hasher(&self) -> Hasher {
        Hasher::new_from_context_key(&self.0)
    }
}

/// [`RumorId`](super::RumorId)s.
pub(super) static RUMOR: Domain = Domain::new(|| hash_derive_key_context("vouchsafe rumor v1"));
/// [`BundleId`](super::BundleId)s.
pub(super) static BUNDLE: Domain = Domain::new(|| hash_derive_key_context("vouchsafe bundle v2"));
/// Manifests: the lists of lengths and hashes of bodies.
pub(super) static MANIFEST: Domain = Domain::new(|| hash_derive_key_context("vouchsafe manifest v1"));
/// Chains of [pulses](super::pulse).
pub(super) static PULSE: Domain = Domain::new(|| hash_derive_key_context("vouchsafe pulse v1"));
