//! Values in, the same values out: whatever can be said is written in one way, and read back as what it was.
//!
//! `codec` begins with bytes, most of which mean nothing. Here the values come first, within the limits and just beyond,
//! so every field takes every value; and bytes near a good encoding must never mean the same.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use vouchsafe::rumor::{
    Bundle, BundleId, Header, MAX_BODY, MAX_RUMORS, Previous, RuleSet, Signature, SignedHeader, seal,
};
use vouchsafe::wire::{
    self, Announced, Frame, FrameWriter, Goodbye, Hello, Ids, MAX_BUNDLES_PER_FRAME, MAX_HEADERS_PER_FRAME,
    MAX_HOPS, MAX_IDS_PER_FRAME, MAX_TOPICS_PER_FRAME, TopicChange,
};
use vouchsafe::{
    Authors, Evidence, Guarantee, NetworkId, PeerAddr, Position, Proof, PublicKey, Reason, SecretKey, Topic,
    TopicId,
};

use crate::members::Members;
use crate::past::Past;
use crate::world::AUTHORS;

#[derive(Arbitrary, Debug)]
enum Value {
    Hello { network: [u8; 32], clock_ms: u64, topics: Many<[u8; 32]>, keeps: [u8; 16], reach: Reach },
    Topics { joined: Many<[u8; 32]>, left: Many<[u8; 32]>, keeps: Many<([u8; 32], bool)> },
    Bundles(Vec<(u8, Said)>),
    Announce { topic: [u8; 32], items: Many<([u8; 32], u8)> },
    Headers(Many<Claim>),
    Pull([u8; 32], Many<[u8; 32]>),
    Gone([u8; 32], Many<[u8; 32]>),
    Cancel([u8; 32], Many<[u8; 32]>),
    Evidence { pair: Box<[Claim; 2]>, apart: bool },
    Goodbye(u8),
    Proof(Said, u8),
    Rules(Rules),
    Peer { key: [u8; 32], ip: IpAddr, port: u16, scope: u32 },
    Past(Past),
    Members(Members),
}

/// What a hello says of an endpoint: whether it listens, whether the other is a guest, what it sees, how many it knows, how often it speaks.
#[derive(Arbitrary, Debug, Clone, Copy)]
struct Reach(bool, bool, [u8; 16], u16, u32, u16);

/// A list in few bytes: the last of its items again, up to any length that is near a limit.
#[derive(Arbitrary, Debug)]
struct Many<T> {
    items: Vec<T>,
    again: u16,
}

impl<T: Clone> Many<T> {
    fn list(self) -> Vec<T> {
        let (mut list, again) = (self.items, usize::from(self.again) % (MAX_IDS_PER_FRAME + 2));
        list.extend(list.last().cloned().into_iter().cycle().take(again));
        list
    }
}

/// A bundle that its author seals.
#[derive(Arbitrary, Debug)]
struct Said {
    author: u8,
    topic: [u8; 32],
    tick: u64,
    slot: u16,
    bodies: Vec<Body>,
}

#[derive(Arbitrary, Debug)]
enum Body {
    Bytes(Vec<u8>),
    Long { len: u16, byte: u8 },
}

impl Said {
    fn seal(self) -> Option<Bundle> {
        let key: &SecretKey = &AUTHORS[usize::from(self.author) % AUTHORS.len()];
        let bodies = self.bodies.into_iter().take(MAX_RUMORS + 1).map(|body| match body {
            Body::Bytes(bytes) => bytes.into(),
            Body::Long { len, byte } => Bytes::from(vec![byte; usize::from(len) + 1]),
        });
        let position = Position { tick: self.tick, slot: self.slot };
        seal(key, TopicId::from_bytes(self.topic), position, &bodies.collect::<Vec<_>>()).ok()
    }
}

/// A signed header that nobody need have signed.
#[derive(Arbitrary, Debug, Clone)]
struct Claim {
    topic: [u8; 32],
    author: [u8; 32],
    tick: u64,
    first_slot: u16,
    count: u8,
    bytes: u32,
    manifest: [u8; 32],
    prev: Option<([u8; 32], u64, u16)>,
    signature: [u8; 64],
}

impl Claim {
    fn signed(&self) -> SignedHeader {
        let header = Header {
            topic: TopicId::from_bytes(self.topic),
            author: PublicKey::from_bytes(self.author),
            tick: self.tick,
            first_slot: self.first_slot,
            count: u16::from(self.count) % (MAX_RUMORS as u16 + 2),
            bytes: self.bytes % (MAX_BODY + 2),
            manifest: self.manifest,
            // All zero is how none is written.
            prev: self.prev.filter(|prev| *prev != ([0; 32], 0, 0)).map(|(id, tick, slot)| Previous {
                id: BundleId::from_bytes(id),
                position: Position { tick, slot },
            }),
        };
        SignedHeader { header, signature: Signature::from_bytes(self.signature) }
    }
}

#[derive(Arbitrary, Debug)]
struct Rules {
    network: [u8; 32],
    name: String,
    slots: u16,
    tick_ms: u16,
    max_body: u32,
    max_keys: Option<u32>,
    retention_s: Option<u32>,
    hold_back_ms: Option<u16>,
    listed: Option<Many<[u8; 32]>>,
}

impl Rules {
    fn rules(self) -> Option<RuleSet> {
        let network = NetworkId::of(&format!("{:?}", self.network));
        let mut topic = Topic::named(self.name)
            .slots_per_tick(self.slots)
            .tick_len(Duration::from_millis(u64::from(self.tick_ms)))
            .max_body(self.max_body % (MAX_BODY + 2));
        if let Some(keys) = self.max_keys {
            topic = topic.state(keys);
        }
        topic = match self.retention_s {
            Some(seconds) => topic.retention(Duration::from_secs(u64::from(seconds))),
            None => topic.retention_forever(),
        };
        if let Some(millis) = self.hold_back_ms {
            topic = topic.guarantee(Guarantee::HoldBack(Duration::from_millis(u64::from(millis))));
        }
        if let Some(keys) = self.listed {
            let mut keys: Vec<_> = keys.list().into_iter().map(PublicKey::from_bytes).collect();
            let listed = topic.clone().authors(Authors::Listed(keys.clone()));
            keys.reverse();
            topic = topic.authors(Authors::Listed(keys));
            assert_eq!(
                topic.bind(network).ok(),
                listed.bind(network).ok(),
                "the order of authors means something"
            );
        }
        topic.bind(network).ok()
    }
}

/// What is done to an encoding, to see that the result means something else or nothing.
#[derive(Arbitrary, Debug)]
enum Spoil {
    Flip { at: u32, bits: u8 },
    Cut { at: u32 },
    Append(Vec<u8>),
    Insert { at: u32, byte: u8 },
}

impl Spoil {
    /// Other bytes than those given, and where they begin to differ.
    fn apply(&self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let place = |at: u32| at as usize % bytes.len();
        let mut out = bytes.to_vec();
        let at = match self {
            Self::Flip { at, bits } => {
                out[place(*at)] ^= (*bits).max(1);
                place(*at)
            }
            Self::Cut { at } => {
                out.truncate(place(*at));
                place(*at)
            }
            Self::Append(tail) => {
                out.extend_from_slice(if tail.is_empty() { &[0] } else { tail });
                bytes.len()
            }
            Self::Insert { at, byte } => {
                out.insert(place(*at), *byte);
                place(*at)
            }
        };
        (out, at)
    }
}

/// Encodes a value and decodes it again.
pub fn round_trip(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(spoil) = Spoil::arbitrary(&mut input) else { return };
    if let Ok(value) = Value::arbitrary_take_rest(input) {
        check(value, &spoil);
    }
}

fn check(value: Value, spoil: &Spoil) {
    let topic_of = TopicId::from_bytes;
    match value {
        Value::Hello {
            network,
            clock_ms,
            topics,
            keeps,
            reach: Reach(listens, guest, ip, port, members, keep_alive_ms),
        } => {
            let (topics, you) = (topics.list(), (ip, port));
            let hello =
                Hello { network, clock_ms, topics, listens, guest, you, members, keep_alive_ms, keeps };
            // No bit stands for a topic that there is not.
            let named = u128::from_le_bytes(keeps).checked_shr(hello.topics.len() as u32).unwrap_or(0) == 0;
            // An address has a port, or there is neither.
            let fits = named && (ip == [0; 16]) == (port == 0) && hello.topics.len() <= MAX_TOPICS_PER_FRAME;
            frame(wire::hello(&hello), fits.then_some(Frame::Hello(hello)), spoil);
        }
        Value::Topics { joined, left, keeps } => {
            let change = TopicChange { joined: joined.list(), left: left.list(), keeps: keeps.list() };
            let longest = change.joined.len().max(change.left.len()).max(change.keeps.len());
            let fits = longest <= MAX_TOPICS_PER_FRAME;
            frame(wire::topics(&change), fits.then_some(Frame::Topics(change)), spoil);
        }
        Value::Bundles(said) => {
            let sealed = said.into_iter().filter_map(|(hops, said)| Some((hops, said.seal()?)));
            bundles(&sealed.collect::<Vec<_>>(), spoil);
        }
        Value::Announce { topic, items } => {
            let items = items.list().into_iter().map(|(id, size)| (BundleId::from_bytes(id), size));
            let (topic, mut items) = (topic_of(topic), items.collect::<Vec<_>>());
            let encoded = wire::announce(&topic, &items);
            items.truncate(MAX_IDS_PER_FRAME);
            let some = !items.is_empty();
            frame(encoded, some.then_some(Frame::Announce(Announced { topic, items })), spoil);
        }
        Value::Headers(claims) => {
            let mut headers: Vec<_> = claims.list().iter().map(Claim::signed).collect();
            let encoded = wire::headers(&headers);
            headers.truncate(MAX_HEADERS_PER_FRAME);
            let good = !headers.is_empty() && headers.iter().all(|signed| signed.header.is_well_formed());
            frame(encoded, good.then_some(Frame::Headers(headers)), spoil);
        }
        Value::Pull(topic, list) => ids(wire::pull, Frame::Pull, topic, list, spoil),
        Value::Gone(topic, list) => ids(wire::gone, Frame::Gone, topic, list, spoil),
        Value::Cancel(topic, list) => ids(wire::cancel, Frame::Cancel, topic, list, spoil),
        Value::Evidence { pair, apart } => {
            let [one, mut other] = *pair;
            if !apart {
                (other.topic, other.author, other.tick) = (one.topic, one.author, one.tick);
            }
            let Ok(evidence) = Evidence::new(one.signed(), other.signed()) else { return };
            assert_eq!(Evidence::decode(&evidence.encode()), Ok(evidence));
            frame(wire::evidence(&evidence), Some(Frame::Evidence(Box::new(evidence))), spoil);
        }
        Value::Goodbye(code) => {
            let Some(reason) = Reason::from_code(u64::from(code % 16)) else { return };
            assert_eq!(reason.code(), u32::from(code % 16));
            frame(wire::goodbye(reason), Some(Frame::Goodbye(Goodbye { reason })), spoil);
        }
        Value::Proof(said, which) => {
            let Some(bundle) = said.seal().map(Arc::new) else { return };
            let rumor = bundle.rumors().nth(usize::from(which) % bundle.len()).expect("counted");
            let proof = rumor.proof();
            assert_eq!(proof.rumor_id(rumor.body()), Ok(rumor.id()));
            assert_eq!(Proof::decode(&proof.encode()).as_ref(), Ok(&proof));
            assert_ne!(Proof::decode(&spoil.apply(&proof.encode()).0).as_ref(), Ok(&proof));
            let (other, _) = spoil.apply(&[rumor.body().as_ref(), b"."].concat());
            assert!(other == **rumor.body() || proof.rumor_id(&other).is_err(), "another body is proved");
        }
        Value::Rules(rules) => {
            let Some(rules) = rules.rules() else { return };
            assert_eq!(RuleSet::decode(&rules.encode()).as_ref(), Ok(&rules));
            if let Ok(other) = RuleSet::decode(&spoil.apply(&rules.encode()).0) {
                assert_ne!(other.id(), rules.id(), "two sets of rules with one id");
            }
        }
        Value::Members(members) => {
            let (payload, value) = members.frame();
            frame(payload, value, spoil);
        }
        Value::Past(past) => {
            let (payload, value) = past.frame();
            frame(payload, value, spoil);
        }
        Value::Peer { key, ip, port, scope } => {
            let mut addr = SocketAddr::new(ip, port.max(1));
            if let SocketAddr::V6(v6) = &mut addr {
                v6.set_scope_id(scope);
            }
            let peer = PeerAddr::new(PublicKey::from_bytes(key), addr);
            assert_eq!(peer.to_string().parse(), Ok(peer.clone()));
        }
    }
}

/// The payload is read as the value, or refused if there is none that may travel; and nothing near it is the value.
fn frame(payload: Bytes, value: Option<Frame>, spoil: &Spoil) {
    let decoded = Frame::decode(payload.clone());
    let Some(value) = value else {
        assert!(decoded.is_err(), "beyond a limit, and read: {decoded:?}");
        return;
    };
    assert_eq!(decoded.as_ref(), Ok(&value));
    assert_ne!(Frame::decode(spoil.apply(&payload).0.into()), Ok(value), "{spoil:?} changes nothing");
}

fn ids(
    encode: fn(&TopicId, &[BundleId]) -> Bytes,
    meant: fn(Ids) -> Frame,
    topic: [u8; 32],
    list: Many<[u8; 32]>,
    spoil: &Spoil,
) {
    let topic = TopicId::from_bytes(topic);
    let mut ids: Vec<_> = list.list().into_iter().map(BundleId::from_bytes).collect();
    let encoded = encode(&topic, &ids);
    ids.truncate(MAX_IDS_PER_FRAME);
    let some = !ids.is_empty();
    frame(encoded, some.then_some(meant(Ids { topic, ids })), spoil);
}

/// Everything in a frame of bundles, checked, or nothing if anything is wrong.
fn checked(payload: &[u8]) -> Option<Vec<(u8, Bundle)>> {
    let Ok(Frame::Bundles(items)) = Frame::decode(Bytes::copy_from_slice(payload)) else { return None };
    items.map(|raw| raw.ok().and_then(|raw| Some((raw.hops, raw.check().ok()?)))).collect()
}

fn bundles(said: &[(u8, Bundle)], spoil: &Spoil) {
    let mut writer = FrameWriter::with_capacity(0);
    let (mut expected, mut hop_bytes, mut len) = (Vec::new(), Vec::new(), 1);
    for (hops, bundle) in said {
        if !writer.fits(bundle) {
            let full = expected.len() == MAX_BUNDLES_PER_FRAME;
            assert!(full || len + wire::bundle_item_len(bundle) > wire::MAX_FRAME_LEN, "refused too early");
            break;
        }
        writer.push(*hops, bundle);
        expected.push(((*hops).min(MAX_HOPS), bundle.clone()));
        hop_bytes.push(len);
        len += wire::bundle_item_len(bundle);
    }
    let payload = writer.finish();
    if expected.is_empty() {
        assert!(Frame::decode(payload).is_err());
        return;
    }
    assert_eq!(payload.len(), len);
    assert_eq!(checked(&payload).as_ref(), Some(&expected));
    let (other, at) = spoil.apply(&payload);
    // Larger hop budgets are read as the largest that means anything: the only bytes with a second form.
    if !hop_bytes.contains(&at) {
        assert_ne!(checked(&other), Some(expected), "{spoil:?} changes nothing");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoil() -> Spoil {
        Spoil::Flip { at: 3, bits: 1 }
    }

    #[test]
    fn lists_at_their_limits() {
        for again in [62, 63, 64, 126, 127, 128, 254, 255, 256] {
            let list = || Many { items: vec![[1; 32]], again };
            let flags = || Many { items: vec![([1; 32], true)], again };
            let keeps = 1u128.to_le_bytes();
            check(Value::Pull([3; 32], list()), &spoil());
            check(Value::Topics { joined: list(), left: list(), keeps: flags() }, &spoil());
            for reach in
                [Reach(false, true, [0; 16], 0, 0, 0), Reach(true, false, [9; 16], 1, u32::MAX, u16::MAX)]
            {
                let hello =
                    Value::Hello { network: [2; 32], clock_ms: u64::MAX, topics: list(), keeps, reach };
                check(hello, &spoil());
            }
            let said = Said {
                author: 1,
                topic: [3; 32],
                tick: 9,
                slot: u16::MAX - 64,
                bodies: (0..again).map(|n| Body::Bytes(vec![n as u8])).collect(),
            };
            check(Value::Bundles(vec![(4, said)]), &spoil());
        }
    }

    #[test]
    fn authors_in_any_order_are_one_list() {
        let rules = Rules {
            network: [1; 32],
            name: "news".into(),
            slots: 1,
            tick_ms: 1_000,
            max_body: 100,
            retention_s: Some(60),
            max_keys: None,
            hold_back_ms: Some(1),
            listed: Some(Many { items: vec![[3; 32], [1; 32], [2; 32], [3; 32]], again: 2 }),
        };
        check(Value::Rules(rules), &spoil());
    }
}
