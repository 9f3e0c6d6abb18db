//! Bytes that no correct node sends: each closes the link and bans the key. And what looks odd, and is no offence.

use bytes::Bytes;

use super::hostile::{bundle, fake_id, frame_of, header_frame, signed, spoilt};
use super::world::World;
use crate::protocol::{Action, DownReason, Event, Input, LinkId, Offence};
use crate::rumor::{BundleId, SIGNED_HEADER_LEN, Topic};
use crate::wire::{self, Hello, Lane, MAX_FRAME_LEN, MAX_IDS_PER_FRAME, Reason};

/// Sends `frames` from a peer that has said hello, and gives the offence it was blamed for and why it was closed.
fn judged(frames: &[(Lane, Bytes)]) -> (Option<Offence>, Option<Reason>) {
    judged_in(rules(), frames)
}

/// The same in another topic.
fn judged_in(rules: crate::rumor::RuleSet, frames: &[(Lane, Bytes)]) -> (Option<Offence>, Option<Reason>) {
    let mut world = World::new(1);
    world.topics.push(std::sync::Arc::new(rules));
    let node = world.node();
    let hostile = world.hostile(node);
    for (lane, frame) in frames {
        world.says(hostile, *lane, frame.clone());
    }
    world.run(500);
    let key = world.hostiles[hostile].key;
    let offence = world.nodes[node].events.iter().find_map(|event| match event {
        Event::Offence { peer, offence } if *peer == key => Some(*offence),
        _ => None,
    });
    assert_eq!(offence.is_some(), world.engine(node).banned() == [key]);
    (offence, world.hostiles[hostile].closed)
}

fn rules() -> crate::rumor::RuleSet {
    let network = crate::rumor::NetworkId::of(super::world::NETWORK);
    Topic::named("t").slots_per_tick(8).max_body(100).bind(network).unwrap()
}

fn world_tick() -> u64 {
    rules().tick_len().tick_at(super::world::BEGIN_MS + 1_000)
}

#[test]
fn malformed_frames_are_offences() {
    let (rules, author) = (rules(), super::node::secret("liar", 1));
    let topic = rules.id();
    let word = bundle(&author, &rules, world_tick(), 0, &["word", "more"]);
    let ids = |count: usize| vec![0u8; 32 + 32 * count];
    let kind = |kind: u8, content: &[u8]| Bytes::from([&[kind], content].concat());
    let tail = |frame: Bytes| Bytes::from([frame.as_ref(), &[0]].concat());
    let header = *word.signed_header();
    let impossible = |count, first_slot, bytes| {
        let header = signed(&author, header.header, |header| {
            (header.count, header.first_slot, header.bytes) = (count, first_slot, bytes);
        });
        wire::headers(&[header])
    };
    let control = [
        ("nothing at all", Bytes::new()),
        ("longer than any frame", vec![3; MAX_FRAME_LEN + 1].into()),
        ("no such kind", kind(10, &[1, 2, 3])),
        ("a topic list cut short", kind(1, &[9])),
        ("a padded varint", kind(1, &[0x80, 0x00, 0])),
        ("a list of 2^32 topics", kind(1, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0])),
        ("bytes after a goodbye", tail(wire::goodbye(Reason::Shutdown))),
        ("no such reason", kind(9, &[99])),
        ("no bundles", kind(2, &[])),
        ("no ids in a pull", kind(5, &ids(0))),
        ("too many ids in a pull", kind(5, &ids(MAX_IDS_PER_FRAME + 1))),
        ("half an id in a cancel", kind(7, &ids(1)[..50])),
        ("too many ids in a gone", kind(6, &ids(MAX_IDS_PER_FRAME + 1))),
        ("an announcement without ids", kind(3, topic.as_bytes())),
        ("bytes after an announcement", tail(wire::announce(&topic, &[(fake_id(1), 9)]))),
        ("no headers", kind(4, &[])),
        ("65 headers", kind(4, &header.encode().repeat(65))),
        ("bytes after a header", tail(header_frame(&word))),
        ("a header of no rumors", impossible(0, 0, 0)),
        ("a header of 65 rumors", impossible(65, 0, 65)),
        ("a header whose slots run over", impossible(2, u16::MAX, 2)),
        ("a header of too many bytes", impossible(2, 0, 16 * 1024 + 1)),
    ];
    for (what, frame) in control {
        assert_eq!(
            judged(&[(Lane::Control, frame)]),
            (Some(Offence::Undecodable), Some(Reason::Offence)),
            "{what}"
        );
    }
    let rumors = [
        ("bundles cut short", spoilt(&word, |frame| frame.truncate(frame.len() - 1))),
        ("bytes after a bundle", spoilt(&word, |frame| frame.push(0))),
        ("a bundle of 4 GiB", spoilt(&word, |frame| frame[2 + 76..2 + 80].fill(0xff))),
        ("65 bundles in a frame", {
            let one = frame_of(0, &[&word]);
            Bytes::from([&one[..1], &one[1..].repeat(65)].concat())
        }),
    ];
    for (what, frame) in rumors {
        for lane in [Lane::Rumors, Lane::Replies] {
            assert_eq!(judged(&[(lane, frame.clone())]).0, Some(Offence::Undecodable), "{what}");
        }
    }
}

#[test]
fn false_bundle_is_an_offence() {
    let (rules, author) = (rules(), super::node::secret("liar", 1));
    let tick = world_tick();
    let word = bundle(&author, &rules, tick, 0, &["word", "more"]);
    let lens = 2 + SIGNED_HEADER_LEN;
    let long = "x".repeat(101);
    let push = |word: &crate::rumor::Bundle| frame_of(0, &[word]);
    let cases = [
        ("another body", Offence::BodyMismatch, spoilt(&word, |frame| *frame.last_mut().unwrap() ^= 1)),
        (
            "other lengths",
            Offence::BodyMismatch,
            spoilt(&word, |frame| (frame[lens], frame[lens + 4]) = (5, 3)),
        ),
        ("lengths that add up to less", Offence::BodyMismatch, spoilt(&word, |frame| frame[lens] = 3)),
        ("a length that runs over", Offence::BodyMismatch, spoilt(&word, |frame| frame[lens + 3] = 0xff)),
        ("another manifest", Offence::BodyMismatch, spoilt(&word, |frame| frame[2 + 80] ^= 1)),
        ("a false total", Offence::Undecodable, spoilt(&word, |frame| frame[2 + 76] = 9)),
        ("a false count", Offence::Undecodable, spoilt(&word, |frame| frame[2 + 74] = 0)),
        ("slots past the quota", Offence::RuleBroken, push(&bundle(&author, &rules, tick, 7, &["a", "b"]))),
        ("a body too long", Offence::RuleBroken, push(&bundle(&author, &rules, tick, 0, &[&long]))),
        (
            "one body too long of two",
            Offence::RuleBroken,
            push(&bundle(&author, &rules, tick, 0, &[&long, "b"])),
        ),
    ];
    for (what, offence, frame) in cases {
        assert_eq!(judged(&[(Lane::Rumors, frame)]), (Some(offence), Some(Reason::Offence)), "{what}");
    }
    // A header alone shows it too.
    for word in [bundle(&author, &rules, tick, 7, &["a", "b"]), bundle(&author, &rules, tick, 0, &[&long])] {
        assert_eq!(judged(&[(Lane::Control, header_frame(&word))]).0, Some(Offence::RuleBroken));
    }
}

#[test]
fn what_is_no_cell_is_an_offence_in_a_topic_of_state() {
    let network = crate::rumor::NetworkId::of(super::world::NETWORK);
    let state = Topic::named("state").state(10).bind(network).unwrap();
    let author = super::node::secret("liar", 1);
    let in_topic = |rules: &crate::rumor::RuleSet, bodies: &[&str]| {
        let tick = rules.tick_len().tick_at(super::world::BEGIN_MS + 1_000);
        judged_in(rules.clone(), &[(Lane::Rumors, frame_of(0, &[&bundle(&author, rules, tick, 0, bodies)]))])
    };
    let (put, delete) = ("\0\u{3}\0keyvalue", "\u{1}\u{3}\0key");
    assert_eq!(in_topic(&state, &[put, delete]), (None, None));
    for body in ["", "\0\u{3}", "\0\0\0value", "\0\u{9}\0key", "\u{2}\u{3}\0key", "\u{1}\u{3}\0keyvalue"] {
        let judged = (Some(Offence::RuleBroken), Some(Reason::Offence));
        assert_eq!(in_topic(&state, &[body]), judged, "{body:?}");
        assert_eq!(in_topic(&state, &[put, body, delete]), judged, "{body:?} among others");
        // Elsewhere a body is what it is.
        assert_eq!(in_topic(&rules(), &[body]), (None, None), "{body:?}");
    }
}

#[test]
fn what_comes_out_of_order_is_closed_and_not_banned() {
    let (rules, author) = (rules(), super::node::secret("liar", 1));
    let word = frame_of(0, &[&bundle(&author, &rules, world_tick(), 0, &["word"])]);
    let pull = wire::pull(&rules.id(), &[fake_id(1)]);
    let topics = vec![*rules.id().as_bytes()];
    let hello =
        wire::hello(&Hello { network: *rules.network().as_bytes(), clock_ms: 0, topics, ..Hello::default() });
    for case in
        [(Lane::Control, word), (Lane::Rumors, pull.clone()), (Lane::Replies, pull), (Lane::Control, hello)]
    {
        assert_eq!(judged(&[case]), (None, Some(Reason::OutOfOrder)));
    }
}

#[test]
fn ids_that_mean_nothing_to_us_are_no_offence() {
    let rules = rules();
    let elsewhere = Topic::named("elsewhere").bind(rules.network()).unwrap();
    let author = super::node::secret("liar", 1);
    let ids: Vec<BundleId> = (0..256).map(fake_id).collect();
    let announce = |topic| wire::announce(&topic, &[(fake_id(1), 200)]);
    let odd = [
        (Lane::Control, wire::pull(&rules.id(), &ids)),
        (Lane::Control, wire::cancel(&rules.id(), &ids)),
        (Lane::Control, wire::gone(&rules.id(), &ids)),
        (Lane::Control, wire::pull(&elsewhere.id(), &ids)),
        (Lane::Control, announce(elsewhere.id())),
        (Lane::Control, announce(rules.id())),
        (Lane::Rumors, frame_of(4, &[&bundle(&author, &elsewhere, 1, 60, &["word"])])),
        (Lane::Control, header_frame(&bundle(&author, &elsewhere, 1, 60, &["word"]))),
    ];
    assert_eq!(judged(&odd), (None, None));
}

#[test]
fn a_frame_too_long_for_the_transport_bans_too() {
    let mut world = World::new(2);
    world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let link = LinkId(2 * world.hostiles[hostile].wire as u64 + 1);
    let offence = Some(Offence::FrameTooLong);
    world.handle(node, Input::LinkDown { link, offence, why: DownReason::FrameTooLong });
    assert_eq!(world.engine(node).banned(), [world.hostiles[hostile].key]);
    assert_eq!(world.engine(node).stats().links.len(), 0);
}

#[test]
fn a_redial_before_the_offence_is_known_closes_with_it() {
    // Given a peer whose frame was too long, and that has dialled again before the engine hears of that.
    let mut world = World::new(3);
    world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let (key, wire) = (world.hostiles[hostile].key, world.hostiles[hostile].wire);
    let again = world.silent_hostile(node);
    let (link, newer) = (LinkId(2 * wire as u64 + 1), LinkId(1_000_001));
    let engine = &mut world.nodes[node].engine;
    let now = engine.cx.now;
    engine.handle(now, Input::LinkUp { link: newer, peer: key, dialled: false, remote: None });
    while engine.poll().is_some() {}
    // When it does, then the newer link goes too.
    engine.handle(
        now,
        Input::LinkDown { link, offence: Some(Offence::FrameTooLong), why: DownReason::FrameTooLong },
    );
    let closed = std::iter::from_fn(|| engine.poll())
        .any(|action| matches!(action, Action::Close { link, reason: Reason::Banned } if link == newer));
    assert!(closed && engine.banned() == [key]);
    assert!(world.hostiles[again].closed.is_none(), "others stay");
}
