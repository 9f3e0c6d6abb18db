//! Looking into frames, and writing them anew, without decoding more than a strategy needs.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::wire::{Frame, Kind, RawBundle};

/// The bundles of a frame; none if it is of another kind.
pub(super) fn bundles(payload: &Bytes) -> impl Iterator<Item = RawBundle> + use<> {
    let bundles = match Kind::of(payload) {
        Some(Kind::Bundles) => match Frame::decode(payload.clone()) {
            Ok(Frame::Bundles(bundles)) => Some(bundles),
            _ => None,
        },
        _ => None,
    };
    bundles.into_iter().flatten().flatten()
}

/// A frame of these bundles, unchecked, each with its hop budget; `None` without any.
pub(super) fn rewritten(items: impl Iterator<Item = (u8, Bytes)>) -> Option<Bytes> {
    let mut out = BytesMut::new();
    for (hops, encoded) in items {
        if out.is_empty() {
            out.put_u8(Kind::Bundles as u8);
        }
        out.put_u8(hops);
        out.put_slice(&encoded);
    }
    (!out.is_empty()).then(|| out.freeze())
}
