//! The values of one moment.

use bytes::Bytes;

use crate::key::PublicKey;
use crate::node::state::{Entry, Values};
use crate::rumor::Resolve;

/// The values of a topic as they were at one moment.
///
/// ```
/// # use vouchsafe::{Kv, Resolve};
/// # fn f(kv: Kv) {
/// let now = kv.snapshot();
/// for key in now.keys("limits/") {
///     println!("{key:?}: {:?}", now.shared(&key, Resolve::Newest));
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot(Values);

impl Snapshot {
    pub(super) const fn new(values: Values) -> Self {
        Self(values)
    }

    /// As [`Kv::get`](super::Kv::get).
    #[must_use]
    pub fn get(&self, author: PublicKey, key: impl AsRef<[u8]>) -> Option<Bytes> {
        self.entry(author, key)?.value
    }

    /// As [`Kv::entry`](super::Kv::entry).
    #[must_use]
    pub fn entry(&self, author: PublicKey, key: impl AsRef<[u8]>) -> Option<Entry> {
        self.0.entry(&author, key.as_ref())
    }

    /// As [`Kv::entries`](super::Kv::entries).
    #[must_use]
    pub fn entries(&self, key: impl AsRef<[u8]>) -> Vec<(PublicKey, Entry)> {
        self.0.entries(key.as_ref())
    }

    /// As [`Kv::shared`](super::Kv::shared).
    #[must_use]
    pub fn shared(&self, key: impl AsRef<[u8]>, resolve: Resolve) -> Option<Bytes> {
        self.0.shared(key.as_ref(), resolve)
    }

    /// As [`Kv::scan`](super::Kv::scan).
    #[must_use]
    pub fn scan(&self, author: PublicKey, prefix: impl AsRef<[u8]>) -> Vec<(Bytes, Bytes)> {
        self.0.scan(&author, prefix.as_ref())
    }

    /// As [`Kv::keys`](super::Kv::keys).
    #[must_use]
    pub fn keys(&self, prefix: impl AsRef<[u8]>) -> Vec<Bytes> {
        self.0.keys(prefix.as_ref())
    }

    /// The authors that say something of some key, in order.
    #[must_use]
    pub fn authors(&self) -> Vec<PublicKey> {
        self.0.authors()
    }
}
