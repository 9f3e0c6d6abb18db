//! Where the fuzzer starts from: one of each kind, the edges, and bytes of no meaning for the structured targets.

use crate::hello::hello as client_hello;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use vouchsafe::rumor::{
    Beacon, Bundle, BundleId, Cell, ChainTerms, Header, MAX_KEY, MAX_RUMORS, MemberRecord, seal,
};
use vouchsafe::wire::{
    self, Answer, Ask, AskedRange, Bound, Fetch, FetchedRange, FrameWriter, Head, Hello, KeyPrefix, Mark,
    MembersAsk, More, Page, Part, Pulse, PulsePage, Pulses, Tell, TopicChange,
};
use vouchsafe::{
    Authors, Evidence, Guarantee, NetworkId, Position, PublicKey, Reason, SecretKey, Topic, TopicId,
};

/// One file of a corpus.
pub struct Seed {
    /// Which target's.
    pub target: &'static str,
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

fn sealed(slot: u16, bodies: &[&[u8]]) -> Bundle {
    let bodies: Vec<_> = bodies.iter().map(|body| Bytes::copy_from_slice(body)).collect();
    let key = SecretKey::from_seed(&[1; 32]);
    seal(&key, TopicId::from_bytes([3; 32]), Position { tick: 9, slot }, &bodies).unwrap()
}

/// One frame of each kind that asks about the past or answers, and all that an answer can say.
pub(crate) fn history(bundle: &Bundle, topic: TopicId) -> [(&'static str, Bytes); 6] {
    let Header { author, tick, first_slot: slot, .. } = *bundle.header();
    let (session, hash, hi) = (7, [6; 32], Bound { tick: tick + 1, prefix: [9; 8] });
    let asked = |lo, hi| AskedRange { lo: Bound::start_of(lo), hi: Bound::start_of(hi), count: 2, hash };
    let ranges = vec![asked(0, tick), asked(tick, tick + 2)];
    let parts = vec![Part { hi: Bound::start_of(tick), count: 1, hash }, Part { hi, count: 1, hash }];
    let answers = vec![
        Answer::Same,
        Answer::Split(parts),
        Answer::List { more: true, heads: vec![Head { tick, id: bundle.id(), slot, author }] },
        Answer::No { after_ms: 30_000 },
    ];
    let range = FetchedRange { author, from: Mark { tick: 0, slot: 0 }, upto: Position { tick, slot } };
    let next = vec![Mark { tick, slot: 65_536 }];
    [
        ("ask", wire::ask(&Ask { topic, session, as_of: tick + 2, ranges })),
        ("tell", wire::tell(&Tell { topic, session, floor: 1, answers })),
        ("fetch", wire::fetch(&Fetch { topic, session, max_bytes: 65_536, ranges: vec![range] })),
        ("page", wire::page(&Page { topic, session, floor: 1, next })),
        ("more", wire::more(&More { topic, low: tick, count: 1 })),
        ("stop", wire::stop(session)),
    ]
}

/// One frame of each kind, and of each way, that is about members.
pub(crate) fn members() -> [(&'static str, Bytes); 6] {
    let (key, value) = (KeyPrefix([6; 8]), [8; 16]);
    let pulse = |index, failed_here| Pulse { member: key, index, value, failed_here };
    let said = |page, pulses| wire::pulses(&Pulses { page, pulses });
    [
        ("pulses", said(PulsePage::Pushed, vec![pulse(1, false), pulse(4_096, false)])),
        ("pulses_answer", said(PulsePage::More, vec![pulse(9, true)])),
        ("pulses_end", said(PulsePage::Last, Vec::new())),
        ("members_first", wire::members_ask(&MembersAsk::First)),
        ("members_since", wire::members_ask(&MembersAsk::Since { since: 1_700_000_000, after: key })),
        ("members_records", wire::members_ask(&MembersAsk::Records(vec![key; 2]))),
    ]
}

/// Every seed of every target: always the same bytes.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, bytes: &[u8]| {
        seeds.push(Seed { target, name: name.into(), bytes: bytes.to_vec() });
    };
    let (one, two) = (sealed(0, &[b"one"]), sealed(0, &[b"two", b"three"]));
    let many = sealed(7, &[b"x".as_slice(); MAX_RUMORS]);
    let empty = sealed(u16::MAX - 1, &[b""]);
    let large = sealed(1, &[&[5; 20_000]]);
    let evidence = Evidence::new(*one.signed_header(), *two.signed_header()).unwrap();
    let (topic, id) = (TopicId::from_bytes([3; 32]), BundleId::from_bytes([5; 32]));

    let mut hello =
        Hello { network: [1; 32], clock_ms: 1 << 40, topics: vec![[2; 32]; 3], ..Hello::default() };
    hello.set_keeps(1);
    (hello.listens, hello.members, hello.keep_alive_ms) = (true, 1_000, 2_500);
    hello.set_you(([192, 0, 2, 7], 4433).into());
    add("frame", "hello", &wire::hello(&hello));
    let change = TopicChange { joined: vec![[2; 32]], left: vec![[4; 32]; 2], keeps: vec![([2; 32], true)] };
    add("frame", "topics", &wire::topics(&change));
    let mut writer = FrameWriter::with_capacity(0);
    [&one, &many, &empty, &two].into_iter().for_each(|bundle| writer.push(3, bundle));
    add("frame", "bundles", &writer.finish());
    let mut writer = FrameWriter::with_capacity(0);
    writer.push(0, &large);
    add("frame", "large", &writer.finish());
    add("frame", "announce", &wire::announce(&topic, &[(id, 9), (one.id(), 8)]));
    add("frame", "headers", &wire::headers(&[*one.signed_header(), *two.signed_header()]));
    add("frame", "pull", &wire::pull(&topic, &[id, one.id()]));
    add("frame", "gone", &wire::gone(&topic, &[id]));
    add("frame", "cancel", &wire::cancel(&topic, &[id]));
    add("frame", "evidence", &wire::evidence(&evidence));
    add("frame", "goodbye", &wire::goodbye(Reason::Stalled));
    for (name, frame) in history(&one, topic).into_iter().chain(members()) {
        add("frame", name, &frame);
    }

    for (name, bundle) in [("one", one), ("two", two), ("many", many), ("empty", empty)] {
        add("bundle", name, bundle.encoded());
        let rumor = Arc::new(bundle).rumors().last().unwrap();
        add("proof", name, &rumor.proof().encode());
    }
    add("bundle", "large", large.encoded());
    add("evidence", "overlap", &evidence.encode());

    let network = NetworkId::of("seeds");
    let keys = (1..4).map(|seed| SecretKey::from_seed(&[seed; 32]).public()).collect();
    let rules = [
        ("default", Topic::named("lobby")),
        ("held_back", Topic::named("é").guarantee(Guarantee::HoldBack(Duration::from_secs(2)))),
        ("listed", Topic::named("news").slots_per_tick(1).authors(Authors::Listed(keys))),
        ("state", Topic::named("conf").state(1024)),
        ("endless", Topic::named("audit").retention_forever()),
        ("longest", Topic::named("n".repeat(255)).tick_len(Duration::from_secs(10)).max_body(65_536)),
    ];
    for (name, rules) in rules {
        add("rules", name, &rules.bind(network).unwrap().encode());
    }

    for (name, cell) in [
        ("put", Cell::put("key", "value")),
        ("empty", Cell::put("k", "")),
        ("delete", Cell::delete("key")),
        ("longest_key", Cell::put(vec![7; MAX_KEY], "v")),
    ] {
        add("cell", name, &cell.unwrap().encode());
    }

    let chain = ChainTerms { epoch_s: 5, start: 340_000_000, len: 4_096, anchor: [7; 16] };
    let beacon = Beacon { boot_ms: 1_700_000_000_000, chain, addresses: Vec::new(), metadata: Bytes::new() };
    let reached = Beacon {
        addresses: vec!["192.0.2.7:4433".parse().unwrap(), "[2001:db8::7]:1".parse().unwrap()],
        metadata: Bytes::from_static(b"role=web"),
        ..beacon.clone()
    };
    for (name, record) in [
        ("beacon", MemberRecord::Beacon(beacon)),
        ("reached", MemberRecord::Beacon(reached)),
        ("leave", MemberRecord::Leave { boot_ms: 1_700_000_000_000 }),
    ] {
        add("member_record", name, &record.encode().unwrap());
    }

    let key = PublicKey::from_bytes([0xa7; 32]);
    add("texts", "key", key.to_string().as_bytes());
    for (n, addr) in ["192.0.2.7:4433", "[2001:db8::7]:1", "[fe80::1%3]:65535"].into_iter().enumerate() {
        let addr: SocketAddr = addr.parse().unwrap();
        add("texts", &format!("addr{n}"), addr.to_string().as_bytes());
        add("texts", &format!("peer{n}"), format!("{key}@{addr}").as_bytes());
    }

    let digits = "0123456789abcdef".repeat(4);
    let key_files =
        [("key", digits.clone()), ("line", format!("{digits}\r\n")), ("upper", digits.to_uppercase())];
    for (name, text) in key_files {
        add("key_file", name, text.as_bytes());
    }
    add("key_file", "wide", "é".repeat(64).as_bytes());
    add("key_file", "spaced", format!("{digits} \n").as_bytes());
    add("key_file", "empty", b"");

    for (name, protocols) in [
        ("ours", &[b"vouchsafe/2".as_slice()][..]),
        ("streams", &[b"vouchsafe-streams/1"]),
        ("both", &[b"h3", b"vouchsafe/2"]),
        ("none", &[]),
        ("long", &[[b'x'; 255].as_slice(); 60]),
    ] {
        add("client_hello", name, &client_hello(protocols));
    }
    add("client_hello", "too_long", &[1, 0, 0x40, 0]);
    add("client_hello", "another_message", &[2, 0, 0, 1, 0]);

    for (target, count) in
        [("verify_agree", 16), ("engine_ops", 16), ("round_trip", 32), ("stream", 16), ("position_log", 16)]
    {
        for n in 0..count {
            let mut bytes = vec![0; 256 << (n % 4)];
            blake3::Hasher::new()
                .update(target.as_bytes())
                .update(&u64::to_le_bytes(n))
                .finalize_xof()
                .fill(&mut bytes);
            add(target, &format!("noise{n}"), &bytes);
        }
    }
    seeds
}
