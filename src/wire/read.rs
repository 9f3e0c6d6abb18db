//! Numbers and lists out of bytes: what frames of fixed-width fields are read with.

use super::bundles::DecodeError;
use crate::rumor::TopicId;

/// What is left of a frame's content. Every step says whether there was enough.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Length)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.bytes().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.bytes().map(u64::from_le_bytes)
    }

    pub(super) fn topic(&mut self) -> Result<TopicId, DecodeError> {
        self.bytes().map(TopicId::from_bytes)
    }

    /// A list of `count` items of `len` bytes each at the least: compared with what is there before anything is allocated.
    pub(super) fn list<T>(
        &mut self,
        count: usize,
        most: usize,
        len: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        if count > most || count.saturating_mul(len) > self.0.len() {
            return Err(DecodeError::Length);
        }
        (0..count).map(|_| item(self)).collect()
    }

    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Length) }
    }
}
