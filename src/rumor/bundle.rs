//! Bundles: what is signed once and travels as one; and the rumors inside.

use std::sync::Arc;

use bytes::Bytes;

use super::domain;
use super::{BundleId, Cell, Header, Position, Proof, RumorId, SIGNED_HEADER_LEN, SignedHeader, TopicId};
use crate::key::PublicKey;

/// 1 to 64 rumors of one author, topic and tick at consecutive slots, whose bodies match the header's manifest.
///
/// Encoded as the signed header, then the body lengths (`u32` each), then the bodies: no padding, no choices, so one
/// bundle has one encoding. That its *signature* holds is not implied: [`verify::bundle`](crate::verify::bundle) tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    signed: SignedHeader,
    id: BundleId,
    encoded: Bytes,
}

/// Where the bodies of a bundle of `count` rumors begin in its encoding: after the header and their lengths.
pub(super) const fn bodies_at(count: usize) -> usize {
    SIGNED_HEADER_LEN.saturating_add(count.saturating_mul(4))
}

impl Bundle {
    /// How many bytes the encoding of a bundle with this header has. Saturates: the header may be a peer's.
    #[must_use]
    pub const fn encoded_len(header: &Header) -> usize {
        bodies_at(header.count as usize).saturating_add(header.bytes as usize)
    }

    /// Checks an encoding, given the signed header and id already read from its front: lengths, counts and that the
    /// bodies hash to the manifest. Keeps `encoded` as it is.
    ///
    /// # Errors
    /// Each is a fact about the bytes, so the sender has not checked them.
    pub fn check(signed: SignedHeader, id: BundleId, encoded: Bytes) -> Result<Self, BundleError> {
        let header = &signed.header;
        if !header.is_well_formed() {
            return Err(BundleError::Header);
        }
        if encoded.len() != Self::encoded_len(header) {
            return Err(BundleError::Length { expected: Self::encoded_len(header), found: encoded.len() });
        }
        let bundle = Self { signed, id, encoded };
        let mut manifest = Manifest::new();
        let mut total = 0u64;
        let mut bodies = bundle.body_area();
        for len in bundle.body_lens() {
            total = total.saturating_add(u64::from(len));
            let (body, rest) = bodies.split_at_checked(len as usize).ok_or(BundleError::Bytes)?;
            manifest.add(len, &blake3::hash(body));
            bodies = rest;
        }
        if total != u64::from(bundle.header().bytes) {
            return Err(BundleError::Bytes);
        }
        if manifest.finish() != bundle.header().manifest {
            return Err(BundleError::Manifest);
        }
        Ok(bundle)
    }

    /// Reads and checks a whole encoding.
    ///
    /// # Errors
    /// As [`Bundle::check`]; also if there is not even a header.
    pub fn decode(encoded: Bytes) -> Result<Self, BundleError> {
        let Some(head) = encoded.first_chunk::<SIGNED_HEADER_LEN>() else {
            return Err(BundleError::Length { expected: SIGNED_HEADER_LEN, found: encoded.len() });
        };
        let signed = SignedHeader::decode(head);
        Self::check(signed, signed.header.id(), encoded)
    }

    /// For the author, who has just built the parts.
    pub(super) fn from_parts(signed: SignedHeader, id: BundleId, encoded: Bytes) -> Self {
        Self { signed, id, encoded }
    }

    /// From a store, whose checksum over these bytes holds, so that its bodies need not be hashed again.
    pub(crate) fn kept(encoded: Bytes) -> Option<Self> {
        let signed = SignedHeader::decode(encoded.first_chunk::<SIGNED_HEADER_LEN>()?);
        let whole = signed.header.is_well_formed() && encoded.len() == Self::encoded_len(&signed.header);
        whole.then(|| Self { signed, id: signed.header.id(), encoded })
    }

    /// Its content address.
    #[must_use]
    pub const fn id(&self) -> BundleId {
        self.id
    }

    /// What it says of itself.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.signed.header
    }

    /// Header and signature.
    #[must_use]
    pub const fn signed_header(&self) -> &SignedHeader {
        &self.signed
    }

    /// The encoding, shared and not copied.
    #[must_use]
    pub const fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// How many rumors it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.signed.header.count as usize
    }

    /// Never true: a bundle has at least one rumor.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of its largest body in bytes.
    #[must_use]
    pub fn max_body_len(&self) -> u32 {
        self.body_lens().max().unwrap_or(0)
    }

    /// The same bundle in an allocation of its own, so that keeping it does not keep the frame it came in.
    pub(crate) fn detached(self) -> Self {
        Self { encoded: Bytes::copy_from_slice(&self.encoded), ..self }
    }

    /// The same content under another signature of the same id.
    pub(crate) fn with_signature(self, signature: crate::key::Signature) -> Self {
        if signature == self.signed.signature {
            return self;
        }
        let signed = SignedHeader { signature, ..self.signed };
        let mut encoded = signed.encode().to_vec();
        encoded.extend_from_slice(self.encoded.get(SIGNED_HEADER_LEN..).unwrap_or_default());
        Self { signed, encoded: encoded.into(), id: self.id }
    }

    /// Its rumors, in the order of their slots.
    #[must_use]
    pub fn rumors(self: &Arc<Self>) -> Rumors {
        Rumors { bundle: Arc::clone(self), index: 0, start: bodies_at(self.len()) }
    }

    pub(super) fn body_lens(&self) -> impl Iterator<Item = u32> {
        let lens = self.encoded.get(SIGNED_HEADER_LEN..bodies_at(self.len())).unwrap_or_default();
        lens.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Its bodies, in the order of their slots.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.body_area();
        self.body_lens().map(move |len| {
            let (body, after) = rest.split_at_checked(len as usize).unwrap_or((rest, &[]));
            rest = after;
            body
        })
    }

    /// Its cells with their positions, where it keeps the rules of a topic of state.
    pub(crate) fn cells(self: &Arc<Self>) -> impl Iterator<Item = (Position, Cell)> {
        self.rumors().filter_map(|rumor| Some((rumor.position(), Cell::decode(rumor.body()).ok()?)))
    }

    fn body_area(&self) -> &[u8] {
        self.encoded.get(bodies_at(self.len())..).unwrap_or_default()
    }
}

/// The rumors of one bundle, in the order of their slots. Copies nothing and allocates nothing.
#[derive(Clone, Debug)]
pub struct Rumors {
    bundle: Arc<Bundle>,
    index: u16,
    /// Where the next body begins in the encoding.
    start: usize,
}

impl Iterator for Rumors {
    type Item = Rumor;

    fn next(&mut self) -> Option<Rumor> {
        let (bundle, index) = (&self.bundle, self.index);
        if usize::from(index) >= bundle.len() {
            return None;
        }
        let len = bundle.body_lens().nth(usize::from(index))?;
        let end = self.start.saturating_add(len as usize).min(bundle.encoded.len());
        let body = bundle.encoded.slice(self.start.min(end)..end);
        (self.start, self.index) = (end, index.saturating_add(1));
        Some(Rumor { bundle: Arc::clone(bundle), index, body })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.bundle.len().saturating_sub(usize::from(self.index));
        (left, Some(left))
    }
}

impl ExactSizeIterator for Rumors {}

/// Hash over the list of (body length, body hash).
pub(super) struct Manifest(blake3::Hasher);

impl Manifest {
    pub(super) fn new() -> Self {
        Self(domain::MANIFEST.hasher())
    }

    pub(super) fn add(&mut self, len: u32, hash: &blake3::Hash) {
        self.0.update(&len.to_le_bytes());
        self.0.update(hash.as_bytes());
    }

    pub(super) fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// One body of one author in one topic at one position. A cheap handle into its bundle.
#[derive(Clone, PartialEq, Eq)]
pub struct Rumor {
    bundle: Arc<Bundle>,
    index: u16,
    body: Bytes,
}

impl Rumor {
    /// What is said.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Who said it.
    #[must_use]
    pub fn author(&self) -> PublicKey {
        self.bundle.header().author
    }

    /// Where.
    #[must_use]
    pub fn topic(&self) -> TopicId {
        self.bundle.header().topic
    }

    /// At which position.
    #[must_use]
    pub fn position(&self) -> Position {
        let header = self.bundle.header();
        // Well-formed headers do not overflow here; saturating keeps it true whatever happens.
        Position { tick: header.tick, slot: header.first_slot.saturating_add(self.index) }
    }

    /// The content address. Hashes the body: keep the result where you need it often.
    #[must_use]
    pub fn id(&self) -> RumorId {
        let len = self.body.len() as u32;
        RumorId::of(self.bundle.header(), self.position().slot, len, &blake3::hash(&self.body))
    }

    /// The bundle it travelled in.
    #[must_use]
    pub const fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// What a third party needs, beside the body, to check this rumor offline.
    #[must_use]
    pub fn proof(&self) -> Proof {
        Proof::of(&self.bundle, self.index)
    }
}

impl std::fmt::Debug for Rumor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rumor({} at {}, {} bytes)", self.author().short(), self.position(), self.body.len())
    }
}

/// Why bytes are not a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Count, slots or bytes are impossible in any topic.
    #[error("the header claims an impossible count, slot range or size")]
    Header,
    /// The encoding is shorter or longer than the header says.
    #[error("{found} bytes where the header says {expected}")]
    Length {
        /// What the header implies.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// Body lengths do not add up to the header's bytes.
    #[error("the body lengths do not add up to the header's total")]
    Bytes,
    /// Bodies do not hash to the manifest.
    #[error("the bodies do not match the header's manifest")]
    Manifest,
}
