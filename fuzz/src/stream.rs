//! A lane's bytes, cut anywhere: the frames are those of the uncut bytes, and memory is what has arrived.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use vouchsafe::wire::{BadLength, FrameBuffer, MAX_FRAME_LEN, PREFIX_LEN};

/// Bytes of one run at most, a little more than two of the longest frames.
const MOST: usize = 300_000;
/// Pieces of one run, before the rest comes at once.
const MOST_STEPS: usize = 4_096;

#[derive(Arbitrary, Debug)]
struct Run {
    /// Cost of a batch, as the reader of a lane gives it: from nothing to more than the longest frame.
    limit: u32,
    parts: Vec<Part>,
    /// Sizes of what arrives at once; the last one again and again. Zero: nothing has arrived.
    cuts: Vec<u16>,
    /// Pieces that are handed over together.
    together: u8,
}

#[derive(Arbitrary, Debug)]
enum Part {
    /// A frame with so many bytes: short, or near the limit.
    Short(Vec<u8>),
    Filled {
        len: u16,
        byte: u8,
    },
    Longest {
        less: u8,
        byte: u8,
    },
    /// A length with nothing after it.
    Length(u32),
    Any(Vec<u8>),
}

impl Part {
    fn write(&self, out: &mut Vec<u8>) {
        let (len, byte) = match self {
            Self::Short(bytes) => {
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                return out.extend_from_slice(bytes);
            }
            Self::Length(len) => return out.extend_from_slice(&len.to_le_bytes()),
            Self::Any(bytes) => return out.extend_from_slice(bytes),
            Self::Filled { len, byte } => (usize::from(*len), *byte),
            // One more than the limit is among them.
            Self::Longest { less, byte } => (MAX_FRAME_LEN + 1 - usize::from(*less), *byte),
        };
        out.extend_from_slice(&(len as u32).to_le_bytes());
        out.resize(out.len() + len, byte);
    }
}

/// What a stream means, the plain way: its frames, the bad length that ends it if there is one, and what is left.
fn plainly(mut bytes: &[u8]) -> (Vec<&[u8]>, Option<u32>, usize) {
    let mut frames = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*prefix);
        if len == 0 || len > 131_072 {
            return (frames, Some(len), bytes.len());
        }
        let Some((frame, after)) = rest.split_at_checked(len as usize) else { break };
        frames.push(frame);
        bytes = after;
    }
    (frames, None, bytes.len())
}

/// [`FrameBuffer`] as the reader of a lane uses it.
pub fn stream(data: &[u8]) {
    if let Ok(run) = Run::arbitrary_take_rest(Unstructured::new(data)) {
        check(&run);
    }
}

fn check(run: &Run) {
    let mut bytes = Vec::new();
    for part in &run.parts {
        part.write(&mut bytes);
        if bytes.len() > MOST {
            break;
        }
    }
    bytes.truncate(MOST);
    let limit = run.limit as usize % (2 * MAX_FRAME_LEN);
    let (frames, bad, left) = plainly(&bytes);

    let mut buffer = FrameBuffer::default();
    let mut cuts = run.cuts.iter().chain(run.cuts.last().into_iter().cycle()).map(|cut| usize::from(*cut));
    // Without cuts, or with none but empty ones at the end, the rest comes at once; and a run must stay short.
    let most_steps = if run.cuts.last().is_none_or(|cut| *cut == 0) { run.cuts.len() } else { MOST_STEPS };
    let (mut at, mut taken, mut steps) = (0, 0, 0);
    while at < bytes.len() {
        let mut pieces = Vec::new();
        for _ in 0..=run.together % 16 {
            steps += 1;
            let len = if steps > most_steps { MOST } else { cuts.next().unwrap_or(MOST) };
            let end = bytes.len().min(at + len);
            pieces.push(Bytes::copy_from_slice(&bytes[at..end]));
            at = end;
        }
        buffer.extend(&pieces);
        assert!(buffer.capacity() <= 2 * at + 1024, "{} bytes for {at}", buffer.capacity());
        loop {
            match buffer.take(limit) {
                Ok((batch, cost)) => {
                    let costs = batch.iter().map(|frame| frame.len() + FrameBuffer::OVERHEAD);
                    assert_eq!(costs.sum::<usize>(), cost);
                    assert!(cost <= limit || batch.len() == 1, "{} frames over the limit", batch.len());
                    if batch.is_empty() {
                        break;
                    }
                    for frame in batch {
                        assert_eq!(frames.get(taken), Some(&frame.as_ref()), "frame {taken}");
                        taken += 1;
                    }
                }
                Err(BadLength(len)) => {
                    assert_eq!((taken, Some(len)), (frames.len(), bad), "an offence at another place");
                    return;
                }
            }
        }
    }
    assert_eq!((taken, bad), (frames.len(), None), "frames or an offence were missed");
    assert_eq!(buffer.is_partial(), left > 0);
    assert!(buffer.capacity() <= 2 * (MAX_FRAME_LEN + PREFIX_LEN).max(bytes.len()) + 1024);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_at_the_limit() {
        for less in 0..3 {
            for cuts in [vec![], vec![0, 3, 60_000], vec![1]] {
                let longest = || Part::Longest { less, byte: 7 };
                let parts = vec![Part::Short(vec![1]), longest(), longest(), Part::Length(0)];
                check(&Run { limit: 131_072, parts, cuts, together: less });
            }
        }
    }
}
