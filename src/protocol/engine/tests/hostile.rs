//! Hostile peers: a node key and a link, and a test that writes whatever bytes it likes on it.

use std::time::Duration;

use bytes::Bytes;

use super::node::secret;
use super::world::{NETWORK, Side, World};
use crate::key::{PublicKey, SecretKey, Signature};
use crate::rumor::{Bundle, BundleId, NetworkId, Position, RuleSet, SignedHeader, members_topic, seal};
use crate::wire::{self, Frame, FrameWriter, Hello, Lane, Reason};

/// The far end of one link, driven by the test.
pub(super) struct Hostile {
    pub(super) key: PublicKey,
    pub(super) wire: usize,
    /// What it got, decoded.
    pub(super) frames: Vec<Frame>,
    pub(super) bytes_in: u64,
    /// Why the other side closed, if it did.
    pub(super) closed: Option<Reason>,
}

impl Hostile {
    pub(super) fn receive(&mut self, lane: Lane, frame: Bytes) {
        self.bytes_in += frame.len() as u64;
        let frame = Frame::decode(frame).expect("honest nodes send what decodes");
        let of_the_past = matches!(
            frame,
            Frame::Ask(_)
                | Frame::Tell(_)
                | Frame::Fetch(_)
                | Frame::Page(_)
                | Frame::More(_)
                | Frame::Stop(_)
        );
        let members = members_topic(NetworkId::of(NETWORK)).id();
        let of_members = match &frame {
            Frame::Pulses(_) | Frame::MembersAsk(_) => true,
            Frame::Announce(announced) => announced.topic == members,
            Frame::Pull(ids) | Frame::Gone(ids) | Frame::Cancel(ids) => ids.topic == members,
            Frame::Bundles(bundles) => {
                lane != Lane::History
                    && bundles.clone().any(|raw| raw.unwrap().signed.header.topic == members)
            }
            _ => false,
        };
        assert_eq!(of_members, lane == Lane::System, "{frame:?}");
        if matches!(frame, Frame::Bundles(_)) {
            assert_ne!(lane, Lane::Control);
        } else if !of_members {
            assert_eq!(of_the_past, lane == Lane::History);
        }
        self.frames.push(frame);
    }

    /// How often each of the ids it was asked for was asked for.
    pub(super) fn pulls_of(&self, id: &BundleId) -> usize {
        let pulls = self.frames.iter().filter_map(|frame| match frame {
            Frame::Pull(ids) => Some(ids.ids.iter()),
            _ => None,
        });
        pulls.flatten().filter(|other| *other == id).count()
    }

    pub(super) fn got_evidence(&self, author: &PublicKey) -> bool {
        self.frames.iter().any(|frame| matches!(frame, Frame::Evidence(proof) if proof.author() == *author))
    }

    pub(super) fn got_announcement(&self, id: &BundleId) -> bool {
        self.frames.iter().any(|frame| match frame {
            Frame::Announce(announced) => announced.items.iter().any(|(other, _)| other == id),
            _ => false,
        })
    }

    /// Every id that was announced to it, as often as it was.
    pub(super) fn announcements(&self) -> Vec<BundleId> {
        let of = |frame: &Frame| match frame {
            Frame::Announce(announced) => announced.items.iter().map(|(id, _)| *id).collect(),
            _ => Vec::new(),
        };
        self.frames.iter().flat_map(of).collect()
    }

    /// Every bundle that came, with its hop budget.
    pub(super) fn bundles(&self) -> Vec<(u8, Bundle)> {
        let frames = self.frames.iter().filter_map(|frame| match frame {
            Frame::Bundles(bundles) => Some(bundles.clone()),
            _ => None,
        });
        frames.flatten().map(|raw| raw.unwrap()).map(|raw| (raw.hops, raw.check().unwrap())).collect()
    }
}

impl World {
    /// A hostile peer that has dialled `victim` and said hello, claiming to relay every topic.
    pub(super) fn hostile(&mut self, victim: usize) -> usize {
        let hostile = self.silent_hostile(victim);
        self.says(hostile, Lane::Control, self.hello());
        self.run(30);
        hostile
    }

    /// A hostile peer that has dialled and says nothing.
    pub(super) fn silent_hostile(&mut self, victim: usize) -> usize {
        let index = self.hostiles.len();
        let key = secret("hostile", index as u64).public();
        let wire = self.wires.len();
        self.hostiles.push(Hostile { key, wire, frames: Vec::new(), bytes_in: 0, closed: None });
        self.wire(Side::Hostile(index), Side::Node(victim));
        index
    }

    pub(super) fn hello(&self) -> Bytes {
        let topics = self.topics.iter().map(|rules| *rules.id().as_bytes()).collect();
        let clock_ms = super::world::BEGIN_MS + self.millis();
        wire::hello(&Hello {
            network: *NetworkId::of(NETWORK).as_bytes(),
            clock_ms,
            topics,
            ..Hello::default()
        })
    }

    pub(super) fn says(&mut self, hostile: usize, lane: Lane, payload: Bytes) {
        let wire = self.hostiles[hostile].wire;
        self.send(wire, 0, lane, payload);
    }

    pub(super) fn pushes(&mut self, hostile: usize, bundles: &[&Bundle]) {
        self.says(hostile, Lane::Rumors, frame_of(0, bundles));
    }

    pub(super) fn announces(&mut self, hostile: usize, rules: &RuleSet, ids: &[BundleId]) {
        for ids in ids.chunks(wire::MAX_IDS_PER_FRAME) {
            let items: Vec<_> = ids.iter().map(|id| (*id, 9)).collect();
            self.says(hostile, Lane::Control, wire::announce(&rules.id(), &items));
        }
    }

    /// An author that no node is: it may say what it likes.
    pub(super) fn liar(&self, number: u64) -> SecretKey {
        secret("liar", number)
    }

    /// A bundle of one at the current tick.
    pub(super) fn says_at(&self, author: &SecretKey, rules: &RuleSet, slot: u16, body: &str) -> Bundle {
        bundle(author, rules, self.tick(rules), slot, &[body])
    }

    pub(super) fn until(&mut self, limit_ms: u64, mut done: impl FnMut(&Self) -> bool) -> Duration {
        let begin = self.millis();
        while !done(self) {
            assert!(self.millis() - begin < limit_ms, "not within {limit_ms} ms");
            self.run(1);
        }
        Duration::from_millis(self.millis() - begin)
    }
}

pub(super) fn bundle(author: &SecretKey, rules: &RuleSet, tick: u64, slot: u16, bodies: &[&str]) -> Bundle {
    let bodies: Vec<_> = bodies.iter().map(|body| Bytes::copy_from_slice(body.as_bytes())).collect();
    seal(author, rules.id(), Position { tick, slot }, &bodies).unwrap()
}

/// The same bundle, under the same id, with a signature that does not hold. Different `salt`, different signature.
pub(super) fn forged(bundle: &Bundle, salt: u8) -> Bundle {
    let mut signature = *bundle.signed_header().signature.as_bytes();
    // The low bytes of s: still below the group order, so that the equation is what fails.
    signature[32] ^= 1;
    signature[33] ^= salt;
    bundle.clone().with_signature(Signature::from_bytes(signature))
}

/// The same bundle with other bytes in its encoding.
pub(super) fn spoilt(bundle: &Bundle, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = frame_of(0, &[bundle]).to_vec();
    change(&mut frame);
    frame.into()
}

pub(super) fn frame_of(hops: u8, bundles: &[&Bundle]) -> Bytes {
    let mut writer = FrameWriter::with_capacity(0);
    for bundle in bundles {
        assert!(writer.fits(bundle));
        writer.push(hops, bundle);
    }
    writer.finish()
}

pub(super) fn header_frame(bundle: &Bundle) -> Bytes {
    wire::headers(&[*bundle.signed_header()])
}

pub(super) fn fake_id(number: u64) -> BundleId {
    BundleId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// A header that says what `change` makes it say, signed properly by `author`.
pub(super) fn signed(
    author: &SecretKey,
    mut header: crate::rumor::Header,
    change: impl FnOnce(&mut crate::rumor::Header),
) -> SignedHeader {
    change(&mut header);
    let signature = author.sign(&SignedHeader::message(&header.id()));
    SignedHeader { header, signature }
}
