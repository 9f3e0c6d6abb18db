//! Where do frames begin and end? Bytes of a lane into frames: pure, and bounded by what has arrived.
//!
//! ```text
//! | length: u32 little-endian | payload: 1 ..= MAX_FRAME_LEN bytes | length | payload | ..
//! ```
//!
//! A declared length is compared before anything else and never allocated: memory grows with the bytes received.

use bytes::{Bytes, BytesMut};

use super::MAX_FRAME_LEN;

/// Bytes of the length before each payload.
pub const PREFIX_LEN: usize = 4;

/// A length that no frame may have. An offence: the limit is a constant of the wire version, so every node judges alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes: a frame has 1 to {MAX_FRAME_LEN}, so close the link")]
pub struct BadLength(pub u32);

/// What has arrived on a lane and is not yet a whole frame.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: BytesMut,
}

impl FrameBuffer {
    /// Charged for each frame on top of its payload: a frame of one byte takes a handle and a place in a list, and a
    /// million of them in 256 KiB would take tens of megabytes. Twice the 32 bytes of a `Bytes`, as lists grow by doubling.
    pub const OVERHEAD: usize = 64;

    /// Adds what has arrived, in one allocation of just the size needed.
    pub fn extend(&mut self, chunks: &[Bytes]) {
        let added: usize = chunks.iter().map(Bytes::len).sum();
        if self.bytes.is_empty() {
            // Not the old allocation: frames that somebody still holds share it, and an idle lane should hold nothing.
            self.bytes = BytesMut::with_capacity(added);
        } else {
            self.bytes.reserve(added);
        }
        for chunk in chunks {
            self.bytes.extend_from_slice(chunk);
        }
    }

    /// Takes whole frames from the front while they cost at most `limit` together (the first is taken at any cost), and
    /// says what they cost. All of them are slices of one buffer. Empty when no whole frame is there.
    ///
    /// # Errors
    /// [`BadLength`] when no frame comes before a length that is zero or too long. Frames before it are returned first.
    pub fn take(&mut self, limit: usize) -> Result<(Vec<Bytes>, usize), BadLength> {
        let (mut end, mut cost, mut lengths) = (0usize, 0usize, Vec::new());
        loop {
            match payload_len(self.bytes.get(end..).unwrap_or_default()) {
                Ok(Some(len)) => {
                    let with_this = cost.saturating_add(len).saturating_add(Self::OVERHEAD);
                    let after = end.saturating_add(PREFIX_LEN).saturating_add(len);
                    if self.bytes.len() < after || (end > 0 && with_this > limit) {
                        break;
                    }
                    (end, cost) = (after, with_this);
                    lengths.push(len);
                }
                Err(bad) if end == 0 => return Err(bad),
                Ok(None) | Err(_) => break,
            }
        }
        let mut batch = self.bytes.split_to(end).freeze();
        let cut = |len: usize| {
            let mut frame = batch.split_to(len.saturating_add(PREFIX_LEN));
            frame.split_off(PREFIX_LEN.min(frame.len()))
        };
        Ok((lengths.into_iter().map(cut).collect(), cost))
    }

    /// Whether a frame has begun and not ended.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The length of the frame at the front; `None` while its prefix is not complete.
fn payload_len(bytes: &[u8]) -> Result<Option<usize>, BadLength> {
    let Some(prefix) = bytes.first_chunk::<PREFIX_LEN>() else {
        return Ok(None);
    };
    let declared = u32::from_le_bytes(*prefix);
    match usize::try_from(declared) {
        Ok(len) if (1..=MAX_FRAME_LEN).contains(&len) => Ok(Some(len)),
        _ => Err(BadLength(declared)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payloads: &[&[u8]]) -> Bytes {
        payloads.iter().flat_map(|p| [&(p.len() as u32).to_le_bytes()[..], p].concat()).collect()
    }

    #[test]
    fn a_declared_length_allocates_nothing() {
        // The longest that may be, one more, and what a prefix can say.
        for declared in [MAX_FRAME_LEN as u32, MAX_FRAME_LEN as u32 + 1, 1 << 30, u32::MAX] {
            let mut buffer = FrameBuffer::default();
            buffer.extend(&[Bytes::copy_from_slice(&declared.to_le_bytes())]);
            let taken = buffer.take(usize::MAX);
            assert_eq!(taken.is_err(), declared as usize > MAX_FRAME_LEN);
            assert!(buffer.capacity() <= 64, "{} bytes for {declared} declared", buffer.capacity());
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let big = vec![7; 5000];
        let payloads: [&[u8]; 4] = [b"a", b"bc", &big, b"d"];
        let stream = framed(&payloads);
        for step in [1, 2, 3, 5, 64, 4096, stream.len()] {
            let mut buffer = FrameBuffer::default();
            let mut out = Vec::new();
            for piece in stream.chunks(step) {
                buffer.extend(&[Bytes::copy_from_slice(piece)]);
                out.extend(buffer.take(usize::MAX).unwrap().0);
            }
            assert_eq!(out, payloads, "in steps of {step}");
            assert!(!buffer.is_partial());
        }
    }

    #[test]
    fn declared_4gib_allocates_nothing() {
        let mut buffer = FrameBuffer::default();
        buffer.extend(&[Bytes::from_static(&[0xff; 4])]);
        assert_eq!(buffer.take(usize::MAX), Err(BadLength(u32::MAX)));
        assert!(buffer.capacity() <= 64);
    }

    #[test]
    fn memory_grows_with_what_arrives_not_with_what_is_declared() {
        let mut buffer = FrameBuffer::default();
        buffer.extend(&[Bytes::copy_from_slice(&(MAX_FRAME_LEN as u32).to_le_bytes())]);
        assert_eq!(buffer.take(usize::MAX), Ok((vec![], 0)));
        buffer.extend(&[Bytes::from_static(&[1; 100])]);
        assert_eq!(buffer.take(usize::MAX), Ok((vec![], 0)));
        assert!(buffer.capacity() < 1024, "{}", buffer.capacity());
    }

    #[test]
    fn lengths_at_the_limits() {
        for (len, good) in [(0, false), (1, true), (MAX_FRAME_LEN, true), (MAX_FRAME_LEN + 1, false)] {
            let mut buffer = FrameBuffer::default();
            buffer.extend(&[framed(&[&vec![1; len]])]);
            assert_eq!(buffer.take(usize::MAX).is_ok_and(|(frames, _)| frames.len() == 1), good, "{len}");
        }
    }

    #[test]
    fn good_frames_before_a_bad_one_are_not_lost() {
        let mut buffer = FrameBuffer::default();
        buffer.extend(&[framed(&[b"good", b""])]);
        assert_eq!(
            buffer.take(usize::MAX),
            Ok((vec![Bytes::from_static(b"good")], 4 + FrameBuffer::OVERHEAD))
        );
        assert_eq!(buffer.take(usize::MAX), Err(BadLength(0)));
    }

    #[test]
    fn a_batch_stays_under_its_limit_and_still_moves() {
        let mut buffer = FrameBuffer::default();
        buffer.extend(&[framed(&[&[1; 100], &[2; 100], &[3; 100]])]);
        let limit = 2 * (100 + FrameBuffer::OVERHEAD);
        assert_eq!(buffer.take(limit).unwrap().0.len(), 2);
        assert_eq!(buffer.take(1).unwrap().0.len(), 1, "the first is taken at any cost");
    }
}
