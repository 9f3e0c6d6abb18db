//! Rules as bytes: what their id is the hash of, and what a store keeps of a topic.

use std::time::Duration;

use super::kind::Retention;
use super::{
    Authors, Guarantee, Kind, MAX_LISTED_AUTHORS, MAX_RULES_LEN, NetworkId, RuleError, RuleSet, Topic,
};
use crate::key::PublicKey;

impl RuleSet {
    /// The canonical encoding that [`TopicId`](super::TopicId) is the hash of: fixed-width little-endian fields in the order of the
    /// struct, lengths before what they count.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.name.len().saturating_add(64));
        out.extend_from_slice(self.network.as_bytes());
        // The name was checked to be at most MAX_NAME = 255 bytes.
        out.extend_from_slice(&(self.name.len() as u16).to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&self.slots_per_tick.to_le_bytes());
        out.extend_from_slice(&self.tick_len.millis().to_le_bytes());
        out.extend_from_slice(&self.max_body.to_le_bytes());
        put_optional(&mut out, self.kind.max_keys());
        out.extend_from_slice(&self.retention.to_le_bytes());
        put_optional(&mut out, self.hold_back_ms);
        match (&self.listed, self.owner) {
            (None, None) => out.push(0),
            (None, Some(owner)) => {
                out.push(2);
                out.extend_from_slice(owner.as_bytes());
            }
            (Some(keys), _) => {
                out.push(1);
                out.extend_from_slice(&(keys.len() as u32).to_le_bytes());
                keys.iter().for_each(|key| out.extend_from_slice(key.as_bytes()));
            }
        }
        out
    }

    /// Reads rules back from their canonical encoding.
    ///
    /// # Errors
    /// [`RuleError::Encoding`] if the bytes are not canonical, or the error of the rule that is out of range.
    pub fn decode(bytes: &[u8]) -> Result<Self, RuleError> {
        if bytes.len() > MAX_RULES_LEN {
            return Err(RuleError::Encoding);
        }
        let mut rest = Fields(bytes);
        let network = NetworkId::from_bytes(rest.array()?);
        let name_len = u16::from_le_bytes(rest.array()?);
        let name = std::str::from_utf8(rest.take(usize::from(name_len))?).map_err(|_| RuleError::Encoding)?;
        let mut topic = Topic::named(name)
            .slots_per_tick(u16::from_le_bytes(rest.array()?))
            .tick_len(Duration::from_millis(u64::from(rest.u32()?)))
            .max_body(rest.u32()?);
        topic.kind = match rest.optional()? {
            None => Kind::Log,
            Some(max_keys) => Kind::State { max_keys },
        };
        topic.retention = Some(Retention::of_code(rest.u32()?));
        if let Some(millis) = rest.optional()? {
            topic = topic.guarantee(Guarantee::HoldBack(Duration::from_millis(u64::from(millis))));
        }
        topic = topic.authors(rest.authors()?);
        let rules = topic.bind(network)?;
        // Catches unsorted or repeated authors and trailing bytes: one meaning, one encoding.
        if rules.encode() == bytes { Ok(rules) } else { Err(RuleError::Encoding) }
    }
}

/// A byte that says whether there is a number, and the number.
fn put_optional(out: &mut Vec<u8>, number: Option<u32>) {
    out.push(u8::from(number.is_some()));
    if let Some(number) = number {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Takes fields off the front of a slice; every shortage is the same error.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], RuleError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(RuleError::Encoding)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RuleError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(RuleError::Encoding)?;
        self.0 = tail;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, RuleError> {
        self.array().map(u32::from_le_bytes)
    }

    fn optional(&mut self) -> Result<Option<u32>, RuleError> {
        if self.flag()? { self.u32().map(Some) } else { Ok(None) }
    }

    /// Who may write: anybody, these, or whoever this owner says.
    fn authors(&mut self) -> Result<Authors, RuleError> {
        match self.array::<1>()? {
            [0] => Ok(Authors::Open),
            [1] => {
                let count = self.u32()? as usize;
                if count > MAX_LISTED_AUTHORS {
                    return Err(RuleError::Authors(count));
                }
                let keys = self.take(count.saturating_mul(32))?.as_chunks::<32>().0;
                Ok(Authors::Listed(keys.iter().map(|key| PublicKey::from_bytes(*key)).collect()))
            }
            [2] => Ok(Authors::Owned(PublicKey::from_bytes(self.array()?))),
            _ => Err(RuleError::Encoding),
        }
    }

    fn flag(&mut self) -> Result<bool, RuleError> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(RuleError::Encoding),
        }
    }
}
