//! Evidence: two signed headers that no honest author can have signed both of.

use super::{SIGNED_HEADER_LEN, SignedHeader};
use crate::key::PublicKey;

/// Bytes of an encoded [`Evidence`].
pub const EVIDENCE_LEN: usize = 2 * SIGNED_HEADER_LEN;

/// Two different bundles of one author that overlap in slots. If both signatures hold
/// ([`verify::evidence`](crate::verify::evidence)), the author has equivocated, and anybody can see it, offline.
///
/// The header with the lesser id comes first, so the same two headers make the same 436 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evidence {
    first: SignedHeader,
    second: SignedHeader,
}

impl Evidence {
    /// Puts two signed headers together, if they contradict each other.
    ///
    /// # Errors
    /// If they do not: an impossible header, the same id, or no common position.
    pub fn new(one: SignedHeader, other: SignedHeader) -> Result<Self, EvidenceError> {
        if !one.header.is_well_formed() || !other.header.is_well_formed() {
            return Err(EvidenceError::Header);
        }
        if !one.header.overlaps(&other.header) {
            return Err(EvidenceError::NoOverlap);
        }
        match one.header.id().cmp(&other.header.id()) {
            std::cmp::Ordering::Less => Ok(Self { first: one, second: other }),
            std::cmp::Ordering::Equal => Err(EvidenceError::Same),
            std::cmp::Ordering::Greater => Ok(Self { first: other, second: one }),
        }
    }

    /// Who is convicted, if both signatures hold.
    #[must_use]
    pub const fn author(&self) -> PublicKey {
        self.first.header.author
    }

    /// The two headers, the lesser id first.
    #[must_use]
    pub const fn headers(&self) -> [&SignedHeader; 2] {
        [&self.first, &self.second]
    }

    /// The 436 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; EVIDENCE_LEN] {
        let mut out = [0u8; EVIDENCE_LEN];
        let (first, second) = out.split_at_mut(SIGNED_HEADER_LEN);
        first.copy_from_slice(&self.first.encode());
        second.copy_from_slice(&self.second.encode());
        out
    }

    /// Reads 436 bytes and checks all but the signatures.
    ///
    /// # Errors
    /// As [`Evidence::new`], and if the headers are in the wrong order.
    pub fn decode(bytes: &[u8; EVIDENCE_LEN]) -> Result<Self, EvidenceError> {
        let ([first, second], []) = bytes.as_chunks::<SIGNED_HEADER_LEN>() else {
            return Err(EvidenceError::Header);
        };
        let evidence = Self::new(SignedHeader::decode(first), SignedHeader::decode(second))?;
        if evidence.encode() == *bytes { Ok(evidence) } else { Err(EvidenceError::Order) }
    }
}

/// As the hexadecimal digits of its 436 bytes in formats for people, and as a sequence of bytes in all others.
#[cfg(feature = "serde")]
impl serde::Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes = self.encode();
        if to.is_human_readable() {
            to.serialize_str(&hex::encode(bytes))
        } else {
            bytes.as_slice().serialize(to)
        }
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Evidence {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let bytes = if from.is_human_readable() {
            hex::decode(<String as serde::Deserialize>::deserialize(from)?).map_err(D::Error::custom)?
        } else {
            <Vec<u8> as serde::Deserialize>::deserialize(from)?
        };
        let bytes: &[u8; EVIDENCE_LEN] =
            bytes.as_slice().try_into().map_err(|_| D::Error::custom("evidence has 436 bytes"))?;
        Self::decode(bytes).map_err(D::Error::custom)
    }
}

/// Why two headers convict nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// A header with impossible numbers, which no correct node would have accepted.
    #[error("a header of the evidence is impossible")]
    Header,
    /// Different topics, authors or ticks, or slots side by side.
    #[error("the two headers do not claim a common position")]
    NoOverlap,
    /// The same bundle twice.
    #[error("both headers are the same bundle")]
    Same,
    /// The header with the lesser id must come first.
    #[error("the headers of the evidence are in the wrong order")]
    Order,
    /// A signature does not hold.
    #[error("a signature of the evidence does not hold")]
    Signature,
}
