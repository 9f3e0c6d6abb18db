//! Encoding: payloads of frames (kind and content; the length is put before them where they are written).

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;

use super::frame::{Goodbye, Hello, Reason, TopicChange};
use super::kind::Kind;
use super::{MAX_BUNDLES_PER_FRAME, MAX_FRAME_LEN, MAX_HEADERS_PER_FRAME, MAX_IDS_PER_FRAME};
use crate::rumor::{Bundle, BundleId, EVIDENCE_LEN, Evidence, SIGNED_HEADER_LEN, SignedHeader, TopicId};

/// Encodes a [`Hello`](super::Frame::Hello).
#[must_use]
pub fn hello(hello: &Hello) -> Bytes {
    rare(Kind::Hello, hello)
}

/// Encodes a [`TopicChange`](super::Frame::Topics).
#[must_use]
pub fn topics(change: &TopicChange) -> Bytes {
    rare(Kind::Topics, change)
}

/// Encodes a [`Goodbye`](super::Frame::Goodbye).
#[must_use]
pub fn goodbye(reason: Reason) -> Bytes {
    rare(Kind::Goodbye, &Goodbye { reason })
}

fn rare<T: Serialize>(kind: Kind, value: &T) -> Bytes {
    // postcard fails only for types without a length, which none of ours is; an empty content would be refused.
    let content = postcard::to_allocvec(value).unwrap_or_default();
    let mut out = BytesMut::with_capacity(content.len().saturating_add(1));
    out.put_u8(kind as u8);
    out.put_slice(&content);
    out.freeze()
}

/// Bytes of a frame of one topic with `count` items of `item` bytes each.
const fn list_len(item: usize, count: usize) -> usize {
    item.saturating_mul(count).saturating_add(33)
}

/// Encodes an announcement of up to [`MAX_IDS_PER_FRAME`] ids; ids beyond are left out, so callers split before.
#[must_use]
pub fn announce(topic: &TopicId, items: &[(BundleId, u8)]) -> Bytes {
    let items = items.get(..MAX_IDS_PER_FRAME).unwrap_or(items);
    let mut out = BytesMut::with_capacity(list_len(33, items.len()));
    out.put_u8(Kind::Announce as u8);
    out.put_slice(topic.as_bytes());
    for (id, size) in items {
        out.put_slice(id.as_bytes());
        out.put_u8(*size);
    }
    out.freeze()
}

/// Encodes up to [`MAX_HEADERS_PER_FRAME`] signed headers; callers split before.
#[must_use]
pub fn headers(headers: &[SignedHeader]) -> Bytes {
    let headers = headers.get(..MAX_HEADERS_PER_FRAME).unwrap_or(headers);
    let mut out = BytesMut::with_capacity(SIGNED_HEADER_LEN.saturating_mul(headers.len()).saturating_add(1));
    out.put_u8(Kind::Headers as u8);
    headers.iter().for_each(|header| out.put_slice(&header.encode()));
    out.freeze()
}

/// Encodes a pull of up to [`MAX_IDS_PER_FRAME`] ids.
#[must_use]
pub fn pull(topic: &TopicId, ids: &[BundleId]) -> Bytes {
    id_list(Kind::Pull, topic, ids)
}

/// Encodes "can't serve these".
#[must_use]
pub fn gone(topic: &TopicId, ids: &[BundleId]) -> Bytes {
    id_list(Kind::Gone, topic, ids)
}

/// Encodes "no longer needed".
#[must_use]
pub fn cancel(topic: &TopicId, ids: &[BundleId]) -> Bytes {
    id_list(Kind::Cancel, topic, ids)
}

fn id_list(kind: Kind, topic: &TopicId, ids: &[BundleId]) -> Bytes {
    let ids = ids.get(..MAX_IDS_PER_FRAME).unwrap_or(ids);
    let mut out = BytesMut::with_capacity(list_len(32, ids.len()));
    out.put_u8(kind as u8);
    out.put_slice(topic.as_bytes());
    ids.iter().for_each(|id| out.put_slice(id.as_bytes()));
    out.freeze()
}

/// Encodes evidence.
#[must_use]
pub fn evidence(evidence: &Evidence) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + EVIDENCE_LEN);
    out.put_u8(Kind::Evidence as u8);
    out.put_slice(&evidence.encode());
    out.freeze()
}

/// Bytes that a bundle adds to a frame.
#[must_use]
pub fn bundle_item_len(bundle: &Bundle) -> usize {
    bundle.encoded().len().saturating_add(1)
}

/// Packs bundles into one frame until it is full.
#[derive(Debug)]
pub struct FrameWriter {
    out: BytesMut,
    count: usize,
}

impl FrameWriter {
    /// An empty frame with room reserved for `bytes` of bundles.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut out = BytesMut::with_capacity(bytes.min(MAX_FRAME_LEN).saturating_add(1));
        out.put_u8(Kind::Bundles as u8);
        Self { out, count: 0 }
    }

    /// Whether `bundle` still fits.
    #[must_use]
    pub fn fits(&self, bundle: &Bundle) -> bool {
        self.has_room(bundle_item_len(bundle))
    }

    /// Whether a bundle of [`bundle_item_len`] `len` still fits.
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        self.count < MAX_BUNDLES_PER_FRAME && self.out.len().saturating_add(len) <= MAX_FRAME_LEN
    }

    /// Adds a bundle with its hop budget.
    pub fn push(&mut self, hops: u8, bundle: &Bundle) {
        self.out.put_u8(hops);
        self.out.put_slice(bundle.encoded());
        self.count = self.count.saturating_add(1);
    }

    /// How many bundles it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The payload.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.out.freeze()
    }
}
