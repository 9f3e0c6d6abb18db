//! Claims about what members tell each other, and about the lane that it is told on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::hostile::frame_of;
use super::world::{NETWORK, Side, World, seen_at};
use crate::key::SecretKey;
use crate::protocol::members::{MemberSetup, MemberState, Members};
use crate::protocol::{Action, FailedWhy, Input, JoinRefusal, LinkId, MemberEvent, PublishError, PublishId};
use crate::rumor::{
    Beacon, Bundle, Cell, ChainTerms, MemberRecord, NetworkId, Position, Topic, TopicId, members_topic, seal,
};
use crate::wire::{self, KeyPrefix, Lane, MembersAsk, Pulse, PulsePage, Pulses, Reason, TopicChange};

#[test]
fn a_hello_says_whether_a_node_listens_and_where_it_sees_the_other() {
    let mut world = World::new(1);
    world.topic(&Topic::named("t"));
    let (one, two) = (world.node(), world.node());
    world.nodes[one].engine.set_reach(true, Duration::from_millis(2_500));
    world.wire(Side::Node(one), Side::Node(two));
    let link_of = |world: &World, node: usize| world.nodes[node].engine.stats().links.remove(0);
    let before = link_of(&world, two);
    assert_eq!(
        (before.listens, before.sees_us_at, before.keep_alive_ms),
        (false, None, 0),
        "nothing is said yet"
    );
    world.run(100);
    let said = link_of(&world, two);
    assert_eq!((said.listens, said.sees_us_at), (true, Some(seen_at(LinkId(0)))));
    assert_eq!((said.members, said.keep_alive_ms), (0, 2_500));
    // The other one has told nothing of itself.
    let said = link_of(&world, one);
    assert_eq!((said.listens, said.sees_us_at, said.keep_alive_ms), (false, Some(seen_at(LinkId(1))), 0));
}

/// What nobody here relays, and a topic that nodes do.
fn frames_of(topic: TopicId, bundle: &Bundle) -> [Bytes; 4] {
    let id = bundle.id();
    [
        wire::announce(&topic, &[(id, 9)]),
        wire::pull(&topic, &[id]),
        wire::gone(&topic, &[id]),
        wire::cancel(&topic, &[id]),
    ]
}

fn record(world: &World, author: &SecretKey, slot: u16) -> Bundle {
    let rules = members_topic(NetworkId::of(NETWORK));
    let cell = Cell::put("b", slot.to_le_bytes().to_vec()).unwrap();
    let at = Position { tick: world.tick(&rules), slot };
    seal(author, rules.id(), at, &[cell.encode()]).unwrap()
}

fn a_pulse(member: u64) -> Pulse {
    Pulse { member: KeyPrefix(member.to_le_bytes()), index: 1, value: [7; 16], failed_here: false }
}

fn pulses(members: impl Iterator<Item = u64>) -> Bytes {
    wire::pulses(&Pulses { page: PulsePage::Pushed, pulses: members.map(a_pulse).collect() })
}

/// A node takes part, and its store has opened the topic.
fn takes_part(world: &mut World, node: usize) {
    world.nodes[node].engine.join_members();
    world.handle(node, Input::Tick);
    world.run(100);
}

/// A node that takes part.
fn member(world: &mut World) -> usize {
    let node = world.node();
    takes_part(world, node);
    node
}

#[test]
fn what_is_said_of_members_comes_on_the_system_lane_and_nothing_else_does() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    let node = member(&mut world);
    let members = members_topic(NetworkId::of(NETWORK)).id();
    let author = world.liar(1);
    let (word, said) = (world.says_at(&author, &rules, 0, "word"), record(&world, &author, 0));
    let living = [Lane::Control, Lane::Rumors, Lane::Replies];
    let mut cases: Vec<(Lane, Bytes, bool)> = Vec::new();
    for frame in
        frames_of(members, &said).into_iter().chain([pulses(0..1), wire::members_ask(&MembersAsk::First)])
    {
        cases.extend(Lane::ALL.map(|lane| (lane, frame.clone(), lane == Lane::System)));
    }
    cases.extend(Lane::ALL.map(|lane| (lane, frame_of(0, &[&said]), !living.contains(&lane))));
    // What is said of other topics, and of the link itself, does not come there.
    cases.extend(frames_of(rules.id(), &word).map(|frame| (Lane::System, frame, false)));
    cases.push((Lane::System, frame_of(0, &[&word]), false));
    cases.push((Lane::System, frame_of(0, &[&said, &word]), false));
    cases.push((Lane::System, wire::goodbye(Reason::Full), false));
    cases.push((Lane::System, wire::headers(&[*said.signed_header()]), false));
    cases.push((Lane::Control, wire::headers(&[*said.signed_header()]), false));
    for (lane, frame, may) in cases {
        let peer = world.hostile(node);
        world.says(peer, lane, frame.clone());
        world.run(30);
        let expected = if may { None } else { Some(Reason::OutOfOrder) };
        assert_eq!(world.hostiles[peer].closed, expected, "{lane:?} {:?}", wire::Frame::decode(frame));
        world.cut(world.hostiles[peer].wire);
    }
    assert_eq!(world.nodes[node].engine.banned(), [], "out of order is no offence");
}

#[test]
fn what_comes_on_the_system_lane_may_overtake_the_hello_and_is_no_longer_than_its_frames() {
    let mut world = World::new(3);
    world.topic(&Topic::named("t"));
    let node = member(&mut world);
    let author = world.liar(1);
    let peer = world.silent_hostile(node);
    world.says(peer, Lane::System, pulses(0..256));
    world.says(peer, Lane::System, frame_of(1, &[&record(&world, &author, 0)]));
    world.run(30);
    world.says(peer, Lane::Control, world.hello());
    world.run(30);
    assert_eq!(world.hostiles[peer].closed, None);
    assert_eq!((world.nodes[node].counters().members_unheard, world.nodes[node].counters().accepted), (1, 1));
    // Thirty records are a frame of another lane.
    let many: Vec<_> = (1..40).map(|slot| record(&world, &author, slot)).collect();
    let frame = frame_of(0, &many.iter().collect::<Vec<_>>());
    assert!(frame.len() > wire::MAX_SYSTEM_FRAME);
    world.says(peer, Lane::System, frame);
    world.run(30);
    assert_eq!(world.hostiles[peer].closed, Some(Reason::OutOfOrder));
}

#[test]
fn records_are_pushed_announced_pulled_and_passed_on_along_a_chain() {
    let mut world = World::new(4);
    world.topic(&Topic::named("t"));
    let nodes: Vec<_> = (0..4).map(|_| member(&mut world)).collect();
    for pair in nodes.windows(2) {
        world.wire(Side::Node(pair[0]), Side::Node(pair[1]));
    }
    let (first, last) = (world.hostile(nodes[0]), world.hostile(nodes[3]));
    let author = world.liar(1);
    let members = members_topic(NetworkId::of(NETWORK)).id();
    let hello = wire::topics(&TopicChange { joined: vec![*members.as_bytes()], ..TopicChange::default() });
    world.says(last, Lane::Control, hello);
    world.run(100);
    // With hops it is pushed, without it is announced and pulled. (Hostile peers hold each frame against its lane.)
    let (pushed, announced) = (record(&world, &author, 0), record(&world, &author, 1));
    world.says(first, Lane::System, frame_of(4, &[&pushed]));
    world.says(first, Lane::System, frame_of(0, &[&announced]));
    world.run(1_000);
    for node in &nodes {
        assert_eq!(world.nodes[*node].counters().accepted, 2, "node {node}");
    }
    assert!(world.nodes[nodes[3]].counters().pulls > 0);
    let got = &world.hostiles[last];
    assert!(got.bundles().iter().any(|(_, bundle)| bundle.id() == pushed.id()));
    assert!(got.got_announcement(&announced.id()));
}

#[test]
fn a_system_lane_over_its_budget_is_read_later_and_no_other_is() {
    let mut world = World::new(5);
    world.topic(&Topic::named("t"));
    let node = member(&mut world);
    let peer = world.hostile(node);
    let link = LinkId(2 * world.hostiles[peer].wire as u64 + 1);
    let reads = |world: &World| Lane::ALL.map(|lane| world.nodes[node].engine.is_read(link, lane));
    // Four times what may come at once: 160 frames of 7 kB.
    (0..160).for_each(|_| world.says(peer, Lane::System, pulses(0..256)));
    world.run(100);
    assert_eq!(reads(&world), [true, true, true, true, false]);
    let taken = world.nodes[node].counters().members_unheard;
    assert!((35..45).contains(&taken), "{taken} frames of 7 kB, where 256 KiB may come at once");
    world.run(4_000);
    let taken = world.nodes[node].counters().members_unheard;
    assert!((70..85).contains(&taken), "{taken} frames with 64 KiB a second more");
    world.run(20_000);
    let counters = world.nodes[node].counters();
    assert_eq!((counters.members_unheard, reads(&world)), (160, [true; 5]), "nothing is lost");
    assert!(counters.paused_for_system > 0 && counters.paused_for_budget == 0);
}

#[test]
fn signatures_of_members_have_a_rate_of_their_own() {
    let mut world = World::new(6);
    world.topic(&Topic::named("t"));
    let node = member(&mut world);
    let peer = world.hostile(node);
    for author in 0..700 {
        let author = world.liar(author);
        world.says(peer, Lane::System, frame_of(0, &[&record(&world, &author, 0)]));
    }
    world.run(30);
    let link = world.nodes[node].engine.links.iter().next().unwrap();
    assert_eq!(link.budget().cpu_charged(world.now(node).mono), Duration::ZERO, "no rumor waits for them");
    world.run(470);
    let verified = world.nodes[node].counters().verified;
    assert!((512..512 + 64).contains(&verified), "{verified} signatures");
    world.run(4_000);
    assert_eq!(world.nodes[node].counters().accepted, 700);
}

#[test]
fn a_link_whose_other_lanes_are_not_read_still_brings_signs_of_life() {
    for spent in [false, true] {
        let mut world = World::new(7);
        let rules = world.topic(&Topic::named("t").slots_per_tick(1_000));
        world.verify_takes = Duration::from_millis(500);
        let node = world.node_with(|spec| spec.config.budget.cpu_per_s = Duration::from_millis(1));
        takes_part(&mut world, node);
        let peer = world.hostile(node);
        // Its budget is spent, or its signatures wait.
        let author = world.liar(1);
        let words: Vec<_> = (0..64).map(|slot| world.says_at(&author, &rules, slot, "word")).collect();
        if spent {
            let junk = wire::announce(&TopicId::from_bytes([1; 32]), &vec![(words[0].id(), 9); 256]);
            (0..600).for_each(|_| world.says(peer, Lane::Control, junk.clone()));
        } else {
            world.says(peer, Lane::Rumors, frame_of(0, &words.iter().collect::<Vec<_>>()));
        }
        world.run(50);
        let link = LinkId(2 * world.hostiles[peer].wire as u64 + 1);
        let living = [Lane::Control, Lane::Rumors, Lane::Replies];
        assert!(living.into_iter().all(|lane| !world.nodes[node].engine.is_read(link, lane)));
        let counters = world.nodes[node].counters();
        let paused = [counters.paused_for_budget > 0, counters.paused_for_verification > 0];
        assert_eq!(paused, [spent, !spent]);
        // Then signs of life are taken as they come,
        let said = record(&world, &world.liar(2), 0);
        world.says(peer, Lane::System, pulses(0..3));
        world.says(peer, Lane::System, frame_of(0, &[&said]));
        world.run(50);
        assert_eq!(world.nodes[node].counters().members_unheard, 1);
        // and the signature of a record is in the batch after the one that was under way.
        world.run(1_000);
        let members = members_topic(NetworkId::of(NETWORK)).id();
        let held = |topic| world.nodes[node].engine.claimed_in(topic);
        assert_eq!(held(&members), Some(1));
        assert!(held(&rules.id()) < Some(words.len()), "rumors still wait");
    }
}

/// A beacon that begins a chain with its tick.
fn beacon(world: &World, author: &SecretKey, boot_ms: u64) -> Arc<Bundle> {
    let rules = members_topic(NetworkId::of(NETWORK));
    let at = Position { tick: world.tick(&rules), slot: 0 };
    let mut chain = ChainTerms { epoch_s: 5, start: 0, len: 100, anchor: [1; 16] };
    chain.start = u32::try_from(chain.epoch_at(at.tick)).unwrap();
    let beacon = Beacon { boot_ms, chain, addresses: Vec::new(), metadata: Bytes::new() };
    let cell = Cell::put("b", MemberRecord::Beacon(beacon).encode().unwrap()).unwrap();
    Arc::new(seal(author, rules.id(), at, &[cell.encode()]).unwrap())
}

#[test]
fn who_comes_back_with_an_earlier_life_is_told_as_a_double_and_as_here() {
    let mut world = World::new(8);
    let node = world.node();
    let author = world.liar(1);
    let key = author.public();
    let (topic, now) = (members_topic(NetworkId::of(NETWORK)).id(), world.now_with(0));
    let me = world.nodes[node].engine.cx.node;
    let members = Members::new(topic, me, 1, MemberSetup::default(), now.mono);
    world.nodes[node].engine.members = Some(members);
    let tells = |world: &mut World, bundle: &Arc<Bundle>| {
        let engine = &mut world.nodes[node].engine;
        engine.members_hear(bundle);
        let told = std::mem::take(&mut engine.cx.actions).into_iter();
        let told = told.filter_map(|action| match action {
            Action::Member(event) => Some(event),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    let first = beacon(&world, &author, 2_000);
    assert_eq!(tells(&mut world, &first), [MemberEvent::Joined(key)]);
    world.run(60_000);
    let state = world.nodes[node].engine.member(&key).unwrap().state;
    assert_eq!(state, MemberState::Failed(FailedWhy::Lease));
    let earlier = beacon(&world, &author, 1_000);
    assert_eq!(
        tells(&mut world, &earlier),
        [MemberEvent::DuplicateIdentity(key), MemberEvent::Returned(key)]
    );
    // Of this node itself it is its own past: its clock was ahead then.
    let members = Members::new(topic, key, 2_000, MemberSetup::default(), world.now_with(0).mono);
    world.nodes[node].engine.members = Some(members);
    for boot_ms in [2_000, 1_000] {
        world.run(1_000);
        let own = beacon(&world, &author, boot_ms);
        assert_eq!(tells(&mut world, &own), []);
    }
}

#[test]
fn the_topic_of_members_is_no_applications() {
    let mut world = World::new(8);
    world.topic(&Topic::named("t"));
    let (node, members) = (world.node(), members_topic(NetworkId::of(NETWORK)));
    let now = world.now(node);
    let engine = &mut world.nodes[node].engine;
    // Whether the library has joined it or not.
    for joined in [false, true] {
        if joined {
            engine.join_members();
        }
        let body = Cell::put("b", "x").unwrap().encode();
        let publish_id = PublishId(1);
        for input in [
            Input::Join { rules: members.clone(), deliver: true, validate: false, keep: Default::default() },
            Input::Publish { topic: members.id(), body, publish_id, kept: false },
            Input::Leave { topic: members.id() },
        ] {
            engine.handle(now, input);
        }
        let actions: Vec<_> = std::iter::from_fn(|| engine.poll()).collect();
        let refused =
            |action: &Action| matches!(action, Action::Joined { result: Err(JoinRefusal::System), .. });
        let silent = |action: &Action| match action {
            Action::Published { result: Err(PublishError::NotJoined(topic)), .. } => *topic == members.id(),
            _ => false,
        };
        assert!(actions.iter().any(refused) && actions.iter().any(silent), "{actions:?}");
        assert_eq!(engine.rules(&members.id()).is_some(), joined, "nobody else leaves it");
    }
}
