//! What is in a frame, for counting: without decoding more than that takes.

use bytes::Bytes;

use crate::rumor::{Bundle, SIGNED_HEADER_LEN, SignedHeader};
use crate::wire::{Frame, Kind};

/// Bytes of a topic's id, and of an announced id with its size class.
const TOPIC_LEN: usize = 32;
const ANNOUNCED_LEN: usize = 33;

/// Copies of bundles that a frame carries.
pub(super) fn copies(payload: &Bytes) -> u64 {
    if Kind::of(payload) != Some(Kind::Bundles) {
        return 0;
    }
    let mut rest = payload.get(1..).unwrap_or_default();
    let mut count = 0;
    while let Some(head) = rest.get(1..).and_then(|rest| rest.first_chunk::<SIGNED_HEADER_LEN>()) {
        let len = 1 + Bundle::encoded_len(&SignedHeader::decode(head).header);
        let Some(after) = rest.get(len..) else { break };
        count += 1;
        rest = after;
    }
    count
}

/// Ids that a frame announces, whole headers included.
pub(super) fn announced(payload: &Bytes) -> u64 {
    let content = payload.len().saturating_sub(1);
    let ids = match Kind::of(payload) {
        Some(Kind::Announce) => content.saturating_sub(TOPIC_LEN) / ANNOUNCED_LEN,
        Some(Kind::Headers) => content / SIGNED_HEADER_LEN,
        _ => 0,
    };
    ids as u64
}

/// The signed headers of a frame.
pub(super) fn headers(payload: &Bytes) -> Vec<SignedHeader> {
    if !matches!(Kind::of(payload), Some(Kind::Bundles | Kind::Headers)) {
        return Vec::new();
    }
    match Frame::decode(payload.clone()) {
        Ok(Frame::Bundles(bundles)) => bundles.flatten().map(|raw| raw.signed).collect(),
        Ok(Frame::Headers(headers)) => headers,
        _ => Vec::new(),
    }
}
