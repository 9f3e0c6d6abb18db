//! What the liars send. Each kind in proper frames, wrong in exactly the way that it is about.

use bytes::Bytes;
use vouchsafe::rumor::{Bundle, RuleSet, SealError, seal};
use vouchsafe::wire::{self, FrameWriter, Lane};
use vouchsafe::{Position, PublicKey, SecretKey};

use super::super::plan::Kind;
use super::super::world::Directory;

/// How many times over its quota a flooder goes. Twice would do; more shows that the rest is not heard.
const FLOOD: u16 = 3;
/// Where an author's key stands in an encoded bundle: after the topic's id.
const AUTHOR_AT: std::ops::Range<usize> = 32..64;
/// Hop budget on what they push: as far as it gets.
const HOPS: u8 = wire::MAX_HOPS;

/// One thing to write on a link.
pub(super) enum Write {
    /// A frame with a true length before it.
    Frame(Lane, Bytes),
    /// Bytes as they are.
    Raw(Lane, Bytes),
}

/// What a liar says is the same on all its links where that matters: only then do its two stories meet.
pub(super) struct Lies {
    kind: Kind,
    bundles: Vec<Bundle>,
}

impl Lies {
    pub(super) fn prepare(kind: Kind, key: &SecretKey, directory: &Directory) -> Result<Self, SealError> {
        let rules = &directory.rules;
        let now = rules.tick_len().tick_at(unix_ms());
        let say = |tick: u64, slot: u16, text: String| {
            seal(key, rules.id(), Position { tick, slot }, &[Bytes::from(text)])
        };
        let bundles = match kind {
            Kind::Forges | Kind::StaysSilent => Vec::new(),
            Kind::Floods => {
                let slots = rules.slots_per_tick();
                (0..FLOOD.saturating_mul(slots))
                    .map(|n| say(now, n % slots, format!("buy my plums! ({n})")))
                    .collect::<Result<_, _>>()?
            }
            Kind::Equivocates => vec![
                say(now, 0, "The bridge is safe.".to_owned())?,
                say(now, 0, "The bridge is about to fall.".to_owned())?,
            ],
            // The first an hour old: outside every window. The second to be spoiled: only what is not ignored is looked into.
            Kind::Malforms => {
                let hour = 3_600_000 / u64::from(rules.tick_len().millis());
                vec![
                    say(now.saturating_sub(hour), 0, "Remember the flood of last year?".to_owned())?,
                    say(now, 0, "The mayor has been seen in three places at once.".to_owned())?,
                ]
            }
        };
        Ok(Self { kind, bundles })
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// What is written on the liar's link number `at`. `heard` is a frame of bundles that came over that link.
    pub(super) fn writes(
        &self,
        at: usize,
        victim: PublicKey,
        rules: &RuleSet,
        heard: Option<Bytes>,
    ) -> Vec<Write> {
        match self.kind {
            Kind::StaysSilent => Vec::new(),
            Kind::Forges => {
                forged(at, victim, rules).map(|frame| Write::Frame(Lane::Rumors, frame)).into_iter().collect()
            }
            Kind::Floods => {
                let frames = self.bundles.chunks(wire::MAX_BUNDLES_PER_FRAME).map(frame_of);
                frames.map(|frame| Write::Frame(Lane::Rumors, frame)).collect()
            }
            Kind::Equivocates => {
                let story = self.bundles.get(at % 2).map(std::slice::from_ref).unwrap_or_default();
                vec![Write::Frame(Lane::Rumors, frame_of(story))]
            }
            Kind::Malforms => {
                let (old, spoiled) = self.bundles.split_at(1.min(self.bundles.len()));
                let mut writes = vec![Write::Frame(Lane::Rumors, frame_of(old))];
                writes.extend(heard.map(|frame| Write::Frame(Lane::Rumors, frame)));
                writes.push(malformed(at, rules, spoiled));
                writes
            }
        }
    }
}

/// A rumor in the name of `victim`, signed by a key that nobody knows.
fn forged(at: usize, victim: PublicKey, rules: &RuleSet) -> Option<Bytes> {
    let tick = rules.tick_len().tick_at(unix_ms());
    let text = Bytes::from(format!("I have lost my purse, please send me all you have. ({at})"));
    let bundle = seal(&SecretKey::generate(), rules.id(), Position { tick, slot: 63 }, &[text]).ok()?;
    let mut encoded = bundle.encoded().to_vec();
    encoded.get_mut(AUTHOR_AT)?.copy_from_slice(victim.as_bytes());
    Some(frame_of(&[Bundle::decode(encoded.into()).ok()?]))
}

/// Bytes that no correct node sends, of another sort on each link.
fn malformed(at: usize, rules: &RuleSet, bundles: &[Bundle]) -> Write {
    match at % 4 {
        // A frame of 4 GiB.
        0 => Write::Raw(Lane::Control, Bytes::from_static(&[0xff; 4])),
        // Bodies that are not those of the header.
        1 => {
            let mut frame = frame_of(bundles).to_vec();
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

fn frame_of(bundles: &[Bundle]) -> Bytes {
    let mut frame = FrameWriter::with_capacity(bundles.iter().map(wire::bundle_item_len).sum());
    bundles.iter().for_each(|bundle| frame.push(HOPS, bundle));
    frame.finish()
}

fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
