//! The author's side of a bundle: from bodies and a position to signed bytes.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::bundle::Manifest;
use super::{Bundle, Header, Position, Previous, SignedHeader, TopicId};
use crate::key::SecretKey;

/// Signs `bodies` as one bundle at `position` and the slots after it, as an author's first bundle of the topic: [`seal_after`]
/// without a previous one.
///
/// # Errors
/// As [`seal_after`].
pub fn seal(
    key: &SecretKey,
    topic: TopicId,
    position: Position,
    bodies: &[Bytes],
) -> Result<Bundle, SealError> {
    seal_after(key, topic, None, position, bodies)
}

/// Signs `bodies` as one bundle at `position` and the slots after it, and names `prev` as what the author said before in the topic.
///
/// The caller owns the position (see [`Pen`](super::Pen)): sealing twice at one position is equivocation. Two bundles that name one
/// `prev` are no offence.
///
/// # Errors
/// If there are no bodies, more than 64, or more bytes than may travel, or if `prev` is no earlier position: see
/// [`Header::is_well_formed`].
pub fn seal_after(
    key: &SecretKey,
    topic: TopicId,
    prev: Option<Previous>,
    position: Position,
    bodies: &[Bytes],
) -> Result<Bundle, SealError> {
    let total: usize = bodies.iter().map(Bytes::len).sum();
    let mut header = Header {
        topic,
        author: key.public(),
        tick: position.tick,
        first_slot: position.slot,
        count: u16::try_from(bodies.len()).map_err(|_| SealError(bodies.len(), total))?,
        bytes: u32::try_from(total).map_err(|_| SealError(bodies.len(), total))?,
        manifest: [0; 32],
        prev,
    };
    if !header.is_well_formed() {
        return Err(SealError(bodies.len(), total));
    }
    let mut manifest = Manifest::new();
    for body in bodies {
        manifest.add(body.len() as u32, &blake3::hash(body));
    }
    header.manifest = manifest.finish();
    let id = header.id();
    let signed = SignedHeader { header, signature: key.sign(&SignedHeader::message(&id)) };
    let mut encoded = BytesMut::with_capacity(Bundle::encoded_len(&header));
    encoded.put_slice(&signed.encode());
    bodies.iter().for_each(|body| encoded.put_u32_le(body.len() as u32));
    bodies.iter().for_each(|body| encoded.put_slice(body));
    Ok(Bundle::from_parts(signed, id, encoded.freeze()))
}

/// These bodies can't be one bundle: (how many, how many bytes).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} bodies of {1} bytes in all do not fit one bundle: 1 to {max} of at most {inline} bytes together, or one of at most {body}; the previous \
     bundle has to be at an earlier position",
    max = super::MAX_RUMORS, inline = super::MAX_INLINE, body = super::MAX_BODY
)]
pub struct SealError(pub usize, pub usize);
