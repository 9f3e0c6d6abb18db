//! A small world to choose from: a few authors, three topics, and whatever those authors can be made to have said.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use vouchsafe::rumor::{Bundle, HEADER_LEN, RuleSet, SIGNED_HEADER_LEN, Signature, SignedHeader, seal};
use vouchsafe::wire::{Frame, FrameWriter};
use vouchsafe::{Authors, Guarantee, NetworkId, Position, PublicKey, SecretKey, Topic, verify};

/// The network of all of it.
pub const NETWORK: &str = "fuzz";
/// When a run starts, Unix milliseconds.
pub const START_MS: u64 = 1_700_000_000_000;
/// The engine's own key among [`AUTHORS`]: what a second writer with a stolen key can do.
pub const OWN: usize = 4;

pub static AUTHORS: LazyLock<Vec<SecretKey>> =
    LazyLock::new(|| (1..=5).map(|seed| SecretKey::from_seed(&[seed; 32])).collect());

/// Prompt and small; held back and large; listed, judged by the application and not retained.
pub static TOPICS: LazyLock<Vec<Arc<RuleSet>>> = LazyLock::new(|| {
    let listed = AUTHORS.iter().skip(1).map(SecretKey::public).collect();
    let topics = [
        Topic::named("prompt").slots_per_tick(8).max_body(256),
        Topic::named("held back")
            .max_body(64 * 1024)
            .retention(Duration::from_secs(20))
            .guarantee(Guarantee::HoldBack(Duration::from_secs(2))),
        Topic::named("listed")
            .slots_per_tick(4)
            .tick_len(Duration::from_secs(10))
            .retention(Duration::ZERO)
            .authors(Authors::Listed(listed)),
    ];
    topics.iter().map(|topic| Arc::new(topic.bind(NetworkId::of(NETWORK)).unwrap())).collect()
});

/// What somebody says, in few bytes so that a fuzzer says the same thing twice, and almost the same thing often.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Told {
    pub author: u8,
    pub topic: u8,
    pub tick: i8,
    pub slots: u8,
    pub bodies: u8,
    /// Nothing wrong unless this is below 16.
    pub fault: u8,
}

impl Told {
    pub fn rules(&self) -> &'static Arc<RuleSet> {
        &TOPICS[usize::from(self.topic) % TOPICS.len()]
    }

    pub fn is_own(&self) -> bool {
        usize::from(self.author) % AUTHORS.len() == OWN
    }

    /// The bundle as bytes, with its fault, if it has one.
    pub fn bundle(&self, world: &mut World) -> Bundle {
        let whole = world.made.entry(*self).or_insert_with(|| self.seal()).clone();
        let mut bytes = whole.encoded().to_vec();
        match self.fault {
            // A signature with one bit wrong, four ways.
            fault @ 0..4 => bytes[HEADER_LEN + 21 * usize::from(fault)] ^= 1,
            // A signature of something else.
            4 => bytes[HEADER_LEN..SIGNED_HEADER_LEN].fill(7),
            _ => return whole,
        }
        // Bodies still match, so this decodes.
        Bundle::decode(bytes.into()).unwrap_or(whole)
    }

    /// The encoding, with a fault that no decoder would let through, if it has one.
    pub fn encoded(&self, world: &mut World) -> Vec<u8> {
        let mut bytes = self.bundle(world).encoded().to_vec();
        match self.fault {
            5 => *bytes.last_mut().unwrap() ^= 1,
            6 => bytes[108] ^= 1,
            7 => bytes[SIGNED_HEADER_LEN] ^= 1,
            8 => bytes.truncate(bytes.len() - 1),
            _ => {}
        }
        bytes
    }

    fn seal(&self) -> Bundle {
        let rules = self.rules();
        let now = rules.tick_len().tick_at(START_MS);
        let count = 1 + usize::from(self.slots >> 5) % 4;
        let len = match self.bodies % 16 {
            0 => 0,
            // Over the limit of the prompt topic.
            15 => 1_000,
            // Large: announced, and pulled.
            14 => 20_000,
            n => 7 * usize::from(n),
        };
        let count = if len > 1_000 { 1 } else { count };
        let bodies: Vec<_> = (0..count).map(|n| Bytes::from(vec![self.bodies ^ n as u8; len])).collect();
        // Ticks near the present, and a few that no window ever has.
        let tick = match self.tick {
            i8::MIN => 0,
            i8::MAX => u64::MAX,
            near => now.saturating_add_signed(i64::from(near)),
        };
        let position = Position { tick, slot: u16::from(self.slots & 15) };
        seal(&AUTHORS[usize::from(self.author) % AUTHORS.len()], rules.id(), position, &bodies).unwrap()
    }
}

/// What has been made and judged: facts about bytes, so they are kept from run to run and cost a signature only once.
#[derive(Default)]
pub struct World {
    made: HashMap<Told, Bundle>,
    judged: HashMap<(PublicKey, [u8; 32], Signature), bool>,
}

/// Facts kept at most; then it starts anew, so that memory is bounded.
const MOST_FACTS: usize = 50_000;

thread_local! {
    static KEPT: RefCell<World> = RefCell::default();
}

impl Drop for World {
    fn drop(&mut self) {
        // Fails only when the thread ends, and then nothing is worth keeping.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            (kept.made, kept.judged) = (std::mem::take(&mut self.made), std::mem::take(&mut self.judged));
        });
    }
}

impl World {
    /// With what earlier runs have found out.
    pub fn recall() -> Self {
        let mut world = Self::default();
        KEPT.with_borrow_mut(|kept| {
            std::mem::swap(&mut world.made, &mut kept.made);
            std::mem::swap(&mut world.judged, &mut kept.judged);
        });
        if world.made.len() + world.judged.len() > MOST_FACTS {
            world.made.clear();
            world.judged.clear();
        }
        world
    }

    /// The rule, remembered.
    pub fn genuine(&mut self, signed: &SignedHeader) -> bool {
        let key = (signed.header.author, *signed.header.id().as_bytes(), signed.signature);
        *self.judged.entry(key).or_insert_with(|| verify::header(signed))
    }

    /// One job of a batch.
    pub fn holds(&mut self, author: PublicKey, id: vouchsafe::rumor::BundleId, signature: Signature) -> bool {
        let message = SignedHeader::message(&id);
        *self
            .judged
            .entry((author, *id.as_bytes(), signature))
            .or_insert_with(|| verify::verify_single(&author, &message, &signature))
    }

    /// Whether a correct node can have sent this frame: what convicts a link is a subset of what can't.
    pub fn is_honest(&mut self, payload: &Bytes) -> bool {
        let Ok(frame) = Frame::decode(payload.clone()) else { return false };
        match frame {
            Frame::Bundles(bundles) => bundles.into_iter().all(|raw| {
                let Ok(bundle) = raw.map(|raw| raw.check()) else { return false };
                bundle.is_ok_and(|bundle| {
                    self.genuine(bundle.signed_header())
                        && keeps_rules(bundle.signed_header(), Some(bundle.max_body_len()))
                })
            }),
            Frame::Headers(headers) => {
                headers.iter().all(|signed| self.genuine(signed) && keeps_rules(signed, None))
            }
            Frame::Evidence(evidence) => evidence.headers().into_iter().all(|signed| self.genuine(signed)),
            _ => true,
        }
    }
}

fn keeps_rules(signed: &SignedHeader, max_body_len: Option<u32>) -> bool {
    let header = &signed.header;
    let Some(rules) = TOPICS.iter().find(|rules| rules.id() == header.topic) else { return true };
    header.end_slot() <= u32::from(rules.slots_per_tick())
        && u64::from(header.bytes) <= u64::from(rules.max_body()) * u64::from(header.count)
        && max_body_len.is_none_or(|len| len <= rules.max_body())
}

/// A frame of bundles as raw bytes, so that faulty ones travel too.
pub fn frame_of(hops: u8, bundles: &[Vec<u8>]) -> Bytes {
    let mut frame = FrameWriter::with_capacity(0).finish().to_vec();
    for bundle in bundles {
        frame.push(hops);
        frame.extend_from_slice(bundle);
    }
    frame.into()
}
