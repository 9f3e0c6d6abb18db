//! Strict decoding: every length is compared with what is there before anything is allocated for it.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::frame::{Announced, Frame, Goodbye, Hello, Ids, Kind, TopicChange};
use super::{
    MAX_BUNDLES_PER_FRAME, MAX_FRAME_LEN, MAX_HEADERS_PER_FRAME, MAX_HOPS, MAX_IDS_PER_FRAME, MAX_RARE_LEN,
    MAX_TOPICS_PER_FRAME,
};
use crate::rumor::{
    Bundle, BundleError, BundleId, EVIDENCE_LEN, Evidence, EvidenceError, HEADER_LEN, Header,
    SIGNED_HEADER_LEN, SignedHeader, TopicId,
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

pub(super) fn frame(payload: Bytes) -> Result<Frame, DecodeError> {
    if payload.len() > MAX_FRAME_LEN {
        return Err(DecodeError::FrameLength(payload.len()));
    }
    let Some((&kind, content)) = payload.split_first() else {
        return Err(DecodeError::FrameLength(0));
    };
    match Kind::from_byte(kind).ok_or(DecodeError::Kind(kind))? {
        Kind::Hello => {
            let hello: Hello = rare(content)?;
            topic_list(&hello.topics)?;
            Ok(Frame::Hello(hello))
        }
        Kind::Topics => {
            let change: TopicChange = rare(content)?;
            topic_list(&change.joined)?;
            topic_list(&change.left)?;
            Ok(Frame::Topics(change))
        }
        Kind::Goodbye => Ok(Frame::Goodbye(rare::<Goodbye>(content)?)),
        Kind::Bundles if content.is_empty() => Err(DecodeError::Length),
        Kind::Bundles => Ok(Frame::Bundles(Bundles { rest: payload.slice(1..), taken: 0 })),
        Kind::Announce => announce(content),
        Kind::Headers => {
            let (headers, tail) = content.as_chunks::<SIGNED_HEADER_LEN>();
            if !tail.is_empty() || headers.is_empty() || headers.len() > MAX_HEADERS_PER_FRAME {
                return Err(DecodeError::Length);
            }
            headers
                .iter()
                .map(|bytes| well_formed(SignedHeader::decode(bytes)))
                .collect::<Result<_, _>>()
                .map(Frame::Headers)
        }
        Kind::Pull => ids(content).map(Frame::Pull),
        Kind::Gone => ids(content).map(Frame::Gone),
        Kind::Cancel => ids(content).map(Frame::Cancel),
        Kind::Evidence => {
            let bytes: &[u8; EVIDENCE_LEN] = content.try_into().map_err(|_| DecodeError::Length)?;
            Ok(Frame::Evidence(Box::new(Evidence::decode(bytes)?)))
        }
    }
}

/// postcard, bounded and canonical: it accepts padded varints and trailing bytes, so the value must encode to the very
/// same bytes again.
fn rare<T: Serialize + DeserializeOwned>(content: &[u8]) -> Result<T, DecodeError> {
    if content.len() > MAX_RARE_LEN {
        return Err(DecodeError::Length);
    }
    let value: T = postcard::from_bytes(content).map_err(|_| DecodeError::NotCanonical)?;
    match postcard::to_allocvec(&value) {
        Ok(again) if again == content => Ok(value),
        _ => Err(DecodeError::NotCanonical),
    }
}

fn topic_list(topics: &[[u8; 32]]) -> Result<(), DecodeError> {
    if topics.len() > MAX_TOPICS_PER_FRAME { Err(DecodeError::Length) } else { Ok(()) }
}

fn announce(content: &[u8]) -> Result<Frame, DecodeError> {
    let (topic, items) = content.split_first_chunk::<32>().ok_or(DecodeError::Length)?;
    let (items, tail) = items.as_chunks::<33>();
    if !tail.is_empty() || items.is_empty() || items.len() > MAX_IDS_PER_FRAME {
        return Err(DecodeError::Length);
    }
    let items = items.iter().map(|[id @ .., size]| (BundleId::from_bytes(*id), *size)).collect();
    Ok(Frame::Announce(Announced { topic: TopicId::from_bytes(*topic), items }))
}

fn ids(content: &[u8]) -> Result<Ids, DecodeError> {
    let (topic, ids) = content.split_first_chunk::<32>().ok_or(DecodeError::Length)?;
    let (ids, tail) = ids.as_chunks::<32>();
    if !tail.is_empty() || ids.is_empty() || ids.len() > MAX_IDS_PER_FRAME {
        return Err(DecodeError::Length);
    }
    let ids = ids.iter().map(|id| BundleId::from_bytes(*id)).collect();
    Ok(Ids { topic: TopicId::from_bytes(*topic), ids })
}

fn well_formed(signed: SignedHeader) -> Result<SignedHeader, DecodeError> {
    if signed.header.is_well_formed() { Ok(signed) } else { Err(BundleError::Header.into()) }
}

/// The bundles of one frame, decoded one by one as the receiver asks, so that what it already has costs it a hash of
/// 112 bytes and no more.
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
