//! The fixed-width header of a bundle: what is hashed into an id and signed.

use super::domain;
use super::{Bundle, MAX_BODY, MAX_INLINE, MAX_RUMORS, Position, TopicId, id32};
use crate::key::{PublicKey, Signature};

/// Bytes of an encoded [`Header`].
pub const HEADER_LEN: usize = 32 + 32 + 8 + 2 + 2 + 4 + 32 + PREVIOUS_LEN;
/// Bytes of an encoded [`Previous`].
pub const PREVIOUS_LEN: usize = 32 + 8 + 2;
/// Bytes of an encoded [`SignedHeader`].
pub const SIGNED_HEADER_LEN: usize = HEADER_LEN + 64;
/// Bytes that an author signs: a 32-byte domain and the bundle's id.
pub const SIGNED_MESSAGE_LEN: usize = 64;

/// Keeps a bundle signature from ever meaning anything else that the same key might sign. Exactly 32 bytes.
const SIGNATURE_DOMAIN: &[u8; 32] = b"vouchsafe bundle signature v2\0\0\0";

id32! {
    /// Content address of a bundle: the hash of its header. The signature is not part of it.
    BundleId
}

id32! {
    /// Content address of one rumor. The same however the rumor travelled and with whatever it was bundled.
    RumorId
}

impl RumorId {
    pub(super) fn of(header: &Header, slot: u16, body_len: u32, body_hash: &blake3::Hash) -> Self {
        let mut hasher = domain::RUMOR.hasher();
        hasher.update(header.topic.as_bytes());
        hasher.update(header.author.as_bytes());
        hasher.update(&header.tick.to_le_bytes());
        hasher.update(&slot.to_le_bytes());
        hasher.update(&body_len.to_le_bytes());
        hasher.update(body_hash.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

/// What a bundle says of itself. Encoded in 154 bytes, little-endian, in the order of the fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Where it is said.
    pub topic: TopicId,
    /// Who says it.
    pub author: PublicKey,
    /// When: the tick of all its rumors.
    pub tick: u64,
    /// The slot of its first rumor; the others follow without a gap.
    pub first_slot: u16,
    /// How many rumors, 1 to [`MAX_RUMORS`].
    pub count: u16,
    /// Body bytes in all.
    pub bytes: u32,
    /// Hash over the list of (body length, body hash).
    pub manifest: [u8; 32],
    /// What its author said before it in the topic, as far as the author knows: the chain by which a receiver sees what it lacks.
    pub prev: Option<Previous>,
}

/// The bundle that an author sealed before another in the same topic: its id, and where it starts.
///
/// Encoded in 42 bytes: id, tick, slot. All zero stands for none, so no bundle with an id of 32 zero bytes can be named; nobody
/// finds such a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Previous {
    /// Which bundle.
    pub id: BundleId,
    /// The position of its first rumor.
    pub position: Position,
}

impl Previous {
    /// The way in which a later bundle of the same author and topic names this one.
    #[must_use]
    pub const fn of(bundle: &Bundle) -> Self {
        Self { id: bundle.id(), position: bundle.header().position() }
    }

    /// Reads 42 bytes; `None` if all of them are zero. Any other is named, so that nothing gets lost: [`Header::is_well_formed`]
    /// refuses an id of zeros.
    fn decode(bytes: &[u8; PREVIOUS_LEN]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let id = BundleId(take(&mut rest));
        let position =
            Position { tick: u64::from_le_bytes(take(&mut rest)), slot: u16::from_le_bytes(take(&mut rest)) };
        (*bytes != [0; PREVIOUS_LEN]).then_some(Self { id, position })
    }
}

impl Header {
    /// The 154 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0u8; HEADER_LEN];
        let mut rest = out.as_mut_slice();
        let mut put = |bytes: &[u8]| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            head.copy_from_slice(bytes);
            rest = tail;
        };
        put(self.topic.as_bytes());
        put(self.author.as_bytes());
        put(&self.tick.to_le_bytes());
        put(&self.first_slot.to_le_bytes());
        put(&self.count.to_le_bytes());
        put(&self.bytes.to_le_bytes());
        put(&self.manifest);
        if let Some(prev) = &self.prev {
            put(prev.id.as_bytes());
            put(&prev.position.tick.to_le_bytes());
            put(&prev.position.slot.to_le_bytes());
        }
        out
    }

    /// Reads 154 bytes. Every such array is some header: what it claims is checked by [`Header::is_well_formed`].
    #[must_use]
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        // Cannot fall short: the widths add up to HEADER_LEN, which the type of `bytes` fixes.
        let mut rest = bytes.as_slice();
        Self {
            topic: TopicId::from_bytes(take(&mut rest)),
            author: PublicKey::from_bytes(take(&mut rest)),
            tick: u64::from_le_bytes(take(&mut rest)),
            first_slot: u16::from_le_bytes(take(&mut rest)),
            count: u16::from_le_bytes(take(&mut rest)),
            bytes: u32::from_le_bytes(take(&mut rest)),
            manifest: take(&mut rest),
            prev: Previous::decode(&take(&mut rest)),
        }
    }

    /// The content address: BLAKE3 in derive-key mode over the 154 bytes.
    #[must_use]
    pub fn id(&self) -> BundleId {
        Self::id_of(&self.encode())
    }

    /// The content address of an encoded header, without decoding it.
    #[must_use]
    pub fn id_of(encoded: &[u8; HEADER_LEN]) -> BundleId {
        BundleId(*domain::BUNDLE.hasher().update(encoded).finalize().as_bytes())
    }

    /// Whether the numbers are possible in this version of the wire, whatever the topic's rules: 1 to 64 rumors, slots that do not
    /// run over, no more bytes than may travel, and a previous bundle, if one is named, that has an id and an earlier position.
    /// Nothing else about the chain is judged: after a loss of power a correct author may name what is older than its last.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let count = usize::from(self.count);
        let most = if count == 1 { MAX_BODY } else { MAX_INLINE as u32 };
        (1..=MAX_RUMORS).contains(&count)
            && self.first_slot.checked_add(self.count).is_some()
            && self.bytes <= most
            && self.prev.is_none_or(|prev| prev.id.0 != [0; 32] && prev.position < self.position())
    }

    /// One past its last slot. Wide enough not to overflow.
    #[must_use]
    pub const fn end_slot(&self) -> u32 {
        (self.first_slot as u32).saturating_add(self.count as u32)
    }

    /// Whether both claim a common position of one author: same topic, author and tick, overlapping slots.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.author == other.author
            && self.tick == other.tick
            && u32::from(self.first_slot) < other.end_slot()
            && u32::from(other.first_slot) < self.end_slot()
    }

    /// The position of its first rumor.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { tick: self.tick, slot: self.first_slot }
    }

    /// Whether the bundle is too large to be pushed unasked: it is announced, and fetched by who wants it.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.bytes as usize > MAX_INLINE
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let Some((head, tail)) = rest.split_first_chunk::<N>() else { return [0; N] };
    *rest = tail;
    *head
}

/// A header and its author's signature: 218 bytes. Two of them can be [`Evidence`](super::Evidence).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignedHeader {
    /// What is signed.
    pub header: Header,
    /// By `header.author`, if it verifies.
    pub signature: Signature,
}

impl SignedHeader {
    /// The 218 bytes: header, signature.
    #[must_use]
    pub fn encode(&self) -> [u8; SIGNED_HEADER_LEN] {
        let mut out = [0u8; SIGNED_HEADER_LEN];
        let (header, signature) = out.split_at_mut(HEADER_LEN);
        header.copy_from_slice(&self.header.encode());
        signature.copy_from_slice(self.signature.as_bytes());
        out
    }

    /// Reads 218 bytes, judging nothing.
    #[must_use]
    pub fn decode(bytes: &[u8; SIGNED_HEADER_LEN]) -> Self {
        let mut rest = bytes.as_slice();
        let header = Header::decode(&take(&mut rest));
        Self { header, signature: Signature::from_bytes(take(&mut rest)) }
    }

    /// The bytes that the author signs: a domain of 32 bytes and the bundle's id.
    #[must_use]
    pub fn message(id: &BundleId) -> [u8; SIGNED_MESSAGE_LEN] {
        let mut out = [0u8; SIGNED_MESSAGE_LEN];
        let (domain, rest) = out.split_at_mut(32);
        domain.copy_from_slice(SIGNATURE_DOMAIN);
        rest.copy_from_slice(id.as_bytes());
        out
    }
}
