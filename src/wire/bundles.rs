//! The bundles of a frame, one by one, and what can be wrong with a frame.

use bytes::Bytes;

use super::{MAX_BUNDLES_PER_FRAME, MAX_FRAME_LEN, MAX_HOPS};
use crate::rumor::{
    Bundle, BundleError, BundleId, EvidenceError, HEADER_LEN, Header, SIGNED_HEADER_LEN, SignedHeader,
};

/// Why a frame is not one that a correct node sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Empty, or longer than any frame may be.
    #[error("a frame has 1 to {MAX_FRAME_LEN} bytes, not {0}")]
    FrameLength(usize),
    /// No such kind of frame in this version.
    #[error("no frame has kind {0}")]
    Kind(u8),
    /// The content's length is not one that this kind can have, or its lists are empty or too long.
    #[error("the content of the frame has an impossible length")]
    Length,
    /// postcard content that is not exactly what its meaning encodes to.
    #[error("the content of the frame is not canonical")]
    NotCanonical,
    /// A header with impossible numbers.
    #[error("a bundle header is impossible: {0}")]
    Header(#[from] BundleError),
    /// Headers that contradict nothing.
    #[error("evidence that proves nothing: {0}")]
    Evidence(#[from] EvidenceError),
}

pub(super) fn well_formed(signed: SignedHeader) -> Result<SignedHeader, DecodeError> {
    if signed.header.is_well_formed() { Ok(signed) } else { Err(BundleError::Header.into()) }
}

/// The bundles of one frame, decoded one by one as the receiver asks, so that what it already has costs it a hash of
/// 154 bytes and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundles {
    rest: Bytes,
    taken: usize,
}

impl Iterator for Bundles {
    type Item = Result<RawBundle, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.take();
        if item.is_err() {
            self.rest.clear();
        }
        Some(item)
    }
}

impl Bundles {
    /// The bundles of a frame with this content, which is not empty.
    pub(super) const fn of(content: Bytes) -> Self {
        Self { rest: content, taken: 0 }
    }

    fn take(&mut self) -> Result<RawBundle, DecodeError> {
        if self.taken >= MAX_BUNDLES_PER_FRAME {
            return Err(DecodeError::Length);
        }
        self.taken = self.taken.saturating_add(1);
        let (&hops, after) = self.rest.split_first().ok_or(DecodeError::Length)?;
        let signed =
            SignedHeader::decode(after.first_chunk::<SIGNED_HEADER_LEN>().ok_or(DecodeError::Length)?);
        let signed = well_formed(signed)?;
        let len = Bundle::encoded_len(&signed.header);
        if after.len() < len {
            return Err(DecodeError::Length);
        }
        let mut item = self.rest.split_to(len.saturating_add(1));
        let encoded = item.split_off(1);
        let header = encoded.first_chunk::<HEADER_LEN>().ok_or(DecodeError::Length)?;
        let id = Header::id_of(header);
        Ok(RawBundle { hops: hops.min(MAX_HOPS), signed, id, encoded })
    }
}

/// A bundle as it came: its header can be read and its length is right, but nothing in it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBundle {
    /// How many more times it may be pushed, clamped to [`MAX_HOPS`].
    pub hops: u8,
    /// What it claims to be.
    pub signed: SignedHeader,
    /// Content address of that header.
    pub id: BundleId,
    /// The whole encoding, a slice of the frame.
    pub encoded: Bytes,
}

impl RawBundle {
    /// Checks lengths and body hashes: see [`Bundle::check`].
    ///
    /// # Errors
    /// As [`Bundle::check`].
    pub fn check(self) -> Result<Bundle, BundleError> {
        Bundle::check(self.signed, self.id, self.encoded)
    }
}
