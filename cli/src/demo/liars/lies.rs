//! Bytes that no correct node sends: all that one of the liars has, and no matter for an adversary, which speaks in frames.

use bytes::Bytes;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::{Bundle, RuleSet, SealError, seal};
use vouchsafe::wire::{self, FrameWriter, Lane};
use vouchsafe::{Position, SecretKey};

use super::target::clock_ms;

/// One thing to write on a link.
enum Write {
    /// A frame with a true length before it.
    Frame(Lane, Bytes),
    /// Bytes as they are.
    Raw(Lane, Bytes),
}

/// Faults that there are.
pub const FAULTS: usize = 4;

/// What one that malforms has prepared for all its links.
#[derive(Debug)]
pub struct Lies {
    /// An hour old: outside every window.
    old: Bundle,
    /// To be spoiled: only what is not ignored is looked into.
    fresh: Bundle,
}

impl Lies {
    /// Signs two rumors under the liar's own key.
    ///
    /// # Errors
    /// If the topic is out of range for them.
    pub fn prepare(key: &SecretKey, rules: &RuleSet) -> Result<Self, SealError> {
        let say = |unix_ms: u64, text: &'static str| {
            let position = Position { tick: rules.tick_len().tick_at(unix_ms), slot: 0 };
            seal(key, rules.id(), position, &[Bytes::from_static(text.as_bytes())])
        };
        let now = clock_ms();
        Ok(Self {
            old: say(now.saturating_sub(3_600_000), "Remember the flood of last year?")?,
            fresh: say(now, "The mayor has been seen in three places at once.")?,
        })
    }

    /// Writes what there is for the liar's link number `at`, each of which has another fault. `heard` is a frame of bundles that came
    /// over that link.
    pub async fn write(&self, link: &mut BarePeer, at: usize, rules: &RuleSet, heard: Option<Bytes>) {
        for write in self.writes(at, rules, heard) {
            let written = match write {
                Write::Frame(lane, payload) => link.send_frame(lane, &payload).await,
                Write::Raw(lane, bytes) => link.send_raw(lane, &bytes).await,
            };
            // Caught while it was still talking.
            if written.is_err() {
                return;
            }
        }
    }

    fn writes(&self, at: usize, rules: &RuleSet, heard: Option<Bytes>) -> Vec<Write> {
        let mut writes = vec![Write::Frame(Lane::Rumors, frame_of(&self.old))];
        writes.extend(heard.map(|frame| Write::Frame(Lane::Rumors, frame)));
        writes.push(malformed(at, rules, &self.fresh));
        writes
    }
}

/// Bytes that no correct node sends, of another sort on each link.
fn malformed(at: usize, rules: &RuleSet, fresh: &Bundle) -> Write {
    match at % FAULTS {
        // A frame of 4 GiB.
        0 => Write::Raw(Lane::Control, Bytes::from_static(&[0xff; 4])),
        // Bodies that are not those of the header.
        1 => {
            let mut frame = frame_of(fresh).to_vec();
            if let Some(last) = frame.last_mut() {
                *last ^= 1;
            }
            Write::Frame(Lane::Rumors, frame.into())
        }
        // A kind of frame that does not exist.
        2 => Write::Frame(Lane::Control, Bytes::from_static(b"\xee nonsense")),
        // A byte too many.
        _ => {
            let mut frame = wire::pull(&rules.id(), &[]).to_vec();
            frame.extend_from_slice(&[0; 33]);
            Write::Frame(Lane::Control, frame.into())
        }
    }
}

fn frame_of(bundle: &Bundle) -> Bytes {
    let mut frame = FrameWriter::with_capacity(wire::bundle_item_len(bundle));
    frame.push(wire::MAX_HOPS, bundle);
    frame.finish()
}
