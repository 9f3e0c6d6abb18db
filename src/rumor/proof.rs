//! Proofs: one rumor checked by a third party that saw neither the bundle nor the network.

use super::bundle::{Manifest, bodies_at};
use super::{Bundle, Header, MAX_RUMORS, Position, RumorId, SIGNED_HEADER_LEN, SignedHeader};

/// Header, signature and manifest list of a bundle, and which of its rumors is meant.
///
/// Encoded as the signed header, the index (`u16`), then `count` times body length (`u32`) and hash (32 bytes): at most
/// 2 524 bytes. [`verify::proof`](crate::verify::proof) checks it with the body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    signed: SignedHeader,
    index: u16,
    list: Vec<(u32, [u8; 32])>,
}

impl Proof {
    pub(super) fn of(bundle: &Bundle, index: u16) -> Self {
        let mut rest = bundle.encoded().get(bodies_at(bundle.len())..).unwrap_or_default();
        let list = bundle
            .body_lens()
            .map(|len| {
                let (body, tail) = rest.split_at_checked(len as usize).unwrap_or((rest, &[]));
                rest = tail;
                (len, *blake3::hash(body).as_bytes())
            })
            .collect();
        Self { signed: *bundle.signed_header(), index, list }
    }

    /// Header and signature of the bundle.
    #[must_use]
    pub const fn signed_header(&self) -> &SignedHeader {
        &self.signed
    }

    /// The position of the rumor that is proved.
    #[must_use]
    pub const fn position(&self) -> Position {
        let header = &self.signed.header;
        Position { tick: header.tick, slot: header.first_slot.saturating_add(self.index) }
    }

    /// Checks that `body` is the rumor meant and that the list is what the header commits to, and gives the rumor's id.
    /// The signature is the caller's to check.
    ///
    /// # Errors
    /// [`ProofError::Body`] if another body is meant.
    pub fn rumor_id(&self, body: &[u8]) -> Result<RumorId, ProofError> {
        let hash = blake3::hash(body);
        match self.list.get(usize::from(self.index)) {
            Some((len, expected)) if *len as usize == body.len() && hash == *expected => {
                Ok(RumorId::of(&self.signed.header, self.position().slot, *len, &hash))
            }
            _ => Err(ProofError::Body),
        }
    }

    /// The encoding, for a file or another program.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.signed.encode().to_vec();
        out.extend_from_slice(&self.index.to_le_bytes());
        for (len, hash) in &self.list {
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(hash);
        }
        out
    }

    /// Reads an encoding and checks all but the signature and the body.
    ///
    /// # Errors
    /// If the lengths do not fit, or the list is not what the header commits to.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let (signed, rest) = bytes.split_first_chunk::<SIGNED_HEADER_LEN>().ok_or(ProofError::Length)?;
        let (index, rest) = rest.split_first_chunk::<2>().ok_or(ProofError::Length)?;
        let signed = SignedHeader::decode(signed);
        let index = u16::from_le_bytes(*index);
        let (entries, tail) = rest.as_chunks::<36>();
        let header: &Header = &signed.header;
        if !tail.is_empty() || entries.len() != usize::from(header.count) || entries.len() > MAX_RUMORS {
            return Err(ProofError::Length);
        }
        if !header.is_well_formed() || index >= header.count {
            return Err(ProofError::Header);
        }
        let mut manifest = Manifest::new();
        let mut total = 0u64;
        let mut list = Vec::with_capacity(entries.len());
        for entry in entries {
            let (len, hash) = entry.split_at(4);
            let len = u32::from_le_bytes(len.try_into().map_err(|_| ProofError::Length)?);
            let hash: [u8; 32] = hash.try_into().map_err(|_| ProofError::Length)?;
            manifest.add(len, &blake3::Hash::from_bytes(hash));
            total = total.saturating_add(u64::from(len));
            list.push((len, hash));
        }
        if manifest.finish() != header.manifest || total != u64::from(header.bytes) {
            return Err(ProofError::Manifest);
        }
        Ok(Self { signed, index, list })
    }
}

/// Why bytes prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Too short, too long, or not as many entries as the header says.
    #[error("the proof's length does not fit what its header says")]
    Length,
    /// Impossible numbers in the header, or an index past the last rumor.
    #[error("the proof's header or index is impossible")]
    Header,
    /// The list of bodies is not the one the header commits to.
    #[error("the proof's list of bodies does not match its header")]
    Manifest,
    /// The body given is not the rumor that is proved.
    #[error("this body is not the one the proof is about")]
    Body,
    /// The author's signature does not hold.
    #[error("the author's signature does not hold")]
    Signature,
}
