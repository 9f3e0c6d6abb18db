//! Diallers that found no place at a member: heard for a moment, told of who is here, and counted nowhere.

use std::time::Duration;

use super::hostile::frame_of;
use super::world::{NETWORK, Side, World};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::limits::{MAX_GUEST_LINKS, MAX_GUESTS};
use crate::protocol::{Input, LinkId, MAX_LINKS};
use crate::rumor::{Bundle, Cell, MemberRecord, NetworkId, Position, Topic, TopicId, members_topic, seal};
use crate::wire::{self, Frame, Hello, Lane, MembersAsk, PulsePage, Reason};

fn members() -> TopicId {
    members_topic(NetworkId::of(NETWORK)).id()
}

/// A member with two inbound places, open to anybody.
fn full_member(world: &mut World) -> usize {
    let node = world.node_with(|spec| {
        spec.is_member();
        spec.config.expected_nodes = 1;
        (spec.config.links.inbound, spec.config.links.hash_selected) = (2, 0);
    });
    world.run(100);
    node
}

/// Somebody dials who takes part in all topics.
fn dials(world: &mut World, node: usize) -> usize {
    let peer = world.silent_hostile(node);
    let mut topics: Vec<_> = world.topics.iter().map(|rules| *rules.id().as_bytes()).collect();
    topics.push(*members().as_bytes());
    let clock_ms = world.now_with(0).unix_ms;
    let network = *NetworkId::of(NETWORK).as_bytes();
    let hello = Hello { network, clock_ms, topics, ..Hello::default() };
    world.says(peer, Lane::Control, wire::hello(&hello));
    world.run(30);
    peer
}

fn is_guest(world: &World, peer: usize) -> bool {
    let said = world.hostiles[peer].frames.iter().find_map(|frame| match frame {
        Frame::Hello(hello) => Some(hello.guest),
        _ => None,
    });
    said.is_some_and(|guest| guest) && world.hostiles[peer].closed.is_none()
}

/// A member says that it goes: the shortest record.
fn record(world: &World, author: &SecretKey) -> Bundle {
    let rules = members_topic(NetworkId::of(NETWORK));
    let says = MemberRecord::Leave { boot_ms: world.now_with(0).unix_ms };
    let cell = Cell::put("b", says.encode().unwrap()).unwrap();
    let at = Position { tick: world.tick(&rules), slot: 0 };
    seal(author, rules.id(), at, &[cell.encode()]).unwrap()
}

#[test]
fn whoever_finds_no_place_is_heard_and_answered_and_told_no_rumor() {
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t"));
    let node = full_member(&mut world);
    let inside = [dials(&mut world, node), dials(&mut world, node)];
    assert!(inside.iter().all(|peer| !is_guest(&world, *peer) && world.hostiles[*peer].closed.is_none()));
    // Given a guest, when it says that it is here, then others are told of it,
    let guest = dials(&mut world, node);
    assert!(is_guest(&world, guest));
    let beacon = record(&world, &world.liar(1));
    world.says(guest, Lane::System, frame_of(4, &[&beacon]));
    world.run(100);
    assert!(inside.iter().all(|peer| {
        let got = &world.hostiles[*peer];
        got.bundles().iter().any(|(_, bundle)| bundle.id() == beacon.id())
            || got.got_announcement(&beacon.id())
    }));
    // and its question whom to know first is answered, with the records of those who are here.
    world.says(guest, Lane::System, wire::members_ask(&MembersAsk::First));
    world.run(100);
    let last = |frame: &Frame| matches!(frame, Frame::Pulses(pulses) if pulses.page == PulsePage::Last);
    assert!(world.hostiles[guest].frames.iter().any(last));
    let of_node = |(_, bundle): &(u8, Bundle)| bundle.header().author == world.nodes[node].key;
    assert!(world.hostiles[guest].bundles().iter().any(of_node));
    // What others say is pushed to those who have places. The guest is told of members alone, and is pushed nothing.
    let before = world.hostiles[guest].bundles().len();
    let (word, news) = (world.says_at(&world.liar(2), &rules, 0, "word"), record(&world, &world.liar(3)));
    world.says(inside[0], Lane::Rumors, frame_of(4, &[&word]));
    world.says(inside[0], Lane::System, frame_of(4, &[&news]));
    world.run(100);
    let other = &world.hostiles[inside[1]];
    assert!([&word, &news].iter().all(|said| other.bundles().iter().any(|(_, it)| it.id() == said.id())));
    let guest = &world.hostiles[guest];
    assert!(!guest.got_announcement(&word.id()) && guest.got_announcement(&news.id()));
    assert_eq!((guest.bundles().len(), world.nodes[node].counters().guests), (before, 1));
}

#[test]
fn a_guest_counts_against_no_place_and_goes_after_half_a_minute() {
    let mut world = World::new(2);
    world.topic(&Topic::named("t"));
    let node = full_member(&mut world);
    let (first, _second) = (dials(&mut world, node), dials(&mut world, node));
    let guest = dials(&mut world, node);
    // When one that has a place goes, then the next dialler has it.
    world.cut(world.hostiles[first].wire);
    let next = dials(&mut world, node);
    assert!(world.hostiles[next].closed.is_none() && !is_guest(&world, next));
    world.run(29_000);
    assert!(is_guest(&world, guest));
    world.run(1_000);
    assert_eq!(world.hostiles[guest].closed, Some(Reason::Full));
    assert_eq!(world.hostiles[next].closed, None);
}

#[test]
fn the_oldest_guest_gives_way_after_two_seconds() {
    let mut world = World::new(3);
    world.topic(&Topic::named("t"));
    let node = full_member(&mut world);
    (0..2).for_each(|_| _ = dials(&mut world, node));
    let guests: Vec<_> = (0..MAX_GUESTS).map(|_| dials(&mut world, node)).collect();
    assert!(guests.iter().all(|guest| is_guest(&world, *guest)));
    // Eight came within a quarter of a second: the next is refused,
    let refused = dials(&mut world, node);
    assert_eq!(world.hostiles[refused].closed, Some(Reason::Full));
    // and two seconds after the first the next takes its turn.
    world.run(2_000);
    let next = dials(&mut world, node);
    assert!(is_guest(&world, next));
    let open = guests.iter().filter(|guest| is_guest(&world, **guest)).count();
    assert_eq!((world.hostiles[guests[0]].closed, open), (Some(Reason::Full), MAX_GUESTS - 1));
}

/// Lets somebody with this key dial; true if its link stays.
fn comes(world: &mut World, node: usize, peer: PublicKey, link: u64) -> bool {
    world.handle(node, Input::Tick);
    let (now, engine) = (world.now(node), &mut world.nodes[node].engine);
    let expected = engine.would_refuse(&peer).is_none();
    engine.handle(now, Input::LinkUp { link: LinkId(link), peer, dialled: false, remote: None });
    while engine.poll().is_some() {}
    let stays = engine.peer_of(LinkId(link)).is_some();
    assert_eq!(stays, expected, "what is said before and after a handshake is the same");
    stays
}

fn goes(world: &mut World, node: usize, link: u64) {
    let why = crate::protocol::DownReason::Silent;
    world.handle(node, Input::LinkDown { link: LinkId(link), offence: None, why });
}

#[test]
fn a_key_is_a_guest_once_in_ten_minutes() {
    let mut world = World::new(4);
    world.topic(&Topic::named("t"));
    let node = full_member(&mut world);
    (0..2).for_each(|_| _ = dials(&mut world, node));
    let [one, two] = [1, 2].map(|number| world.liar(number).public());
    assert!(comes(&mut world, node, one, 1_000));
    goes(&mut world, node, 1_000);
    assert!(!comes(&mut world, node, one, 1_001) && comes(&mut world, node, two, 1_002));
    goes(&mut world, node, 1_002);
    world.run(599_000);
    assert!(!comes(&mut world, node, one, 1_003));
    world.run(1_100);
    assert!(comes(&mut world, node, one, 1_004));
    goes(&mut world, node, 1_004);
}

#[test]
fn without_members_and_without_room_in_the_table_nobody_is_a_guest() {
    let mut world = World::new(5);
    world.topic(&Topic::named("t"));
    let no_member = world.node_with(|spec| {
        spec.config.expected_nodes = 1;
        (spec.config.links.inbound, spec.config.links.hash_selected) = (2, 0);
    });
    let all_links = world.node_with(|spec| {
        spec.is_member();
        spec.config.expected_nodes = 1;
        (spec.config.links.inbound, spec.config.links.hash_selected) = (2, 0);
        spec.config.links.max = MAX_LINKS;
    });
    for node in [no_member, all_links] {
        (0..2).for_each(|_| _ = dials(&mut world, node));
        let peer = dials(&mut world, node);
        assert_eq!(world.hostiles[peer].closed, Some(Reason::Full));
    }
}

#[test]
fn a_second_link_of_a_guest_takes_no_place() {
    let mut world = World::new(6);
    world.topic(&Topic::named("t"));
    let node = full_member(&mut world);
    (0..2).for_each(|_| _ = dials(&mut world, node));
    let peer = world.liar(1).public();
    assert!(comes(&mut world, node, peer, 1_000) && !comes(&mut world, node, peer, 1_001));
    goes(&mut world, node, 1_001);
    goes(&mut world, node, 1_000);
    assert!(world.nodes[node].engine.links.len() + 1 < MAX_GUEST_LINKS);
}

#[test]
fn a_link_with_a_place_stays_where_one_of_a_guest_is_beside_it() {
    for member_is_lesser in [true, false] {
        let mut world = World::new(7);
        world.topic(&Topic::named("t"));
        let mut pair = [full_member(&mut world), full_member(&mut world)];
        pair.sort_by_key(|node| world.nodes[*node].key);
        let [host, guest] = if member_is_lesser { pair } else { [pair[1], pair[0]] };
        (0..2).for_each(|_| _ = dials(&mut world, host));
        // Given a guest of a node,
        let passing = world.wire(Side::Node(guest), Side::Node(host));
        world.run(100);
        let links = |world: &World, node: usize| world.engine(node).live_links();
        assert!(world.engine(guest).is_guest(LinkId(2 * passing as u64)));
        // when the node dials it within a second, then that link is used, and the guest's ends.
        let stays = world.wire(Side::Node(host), Side::Node(guest));
        world.run(5_000);
        assert_eq!((world.wires[passing].up, world.wires[stays].up), (false, true));
        world.run(30_000);
        assert_eq!((world.wires[stays].up, links(&world, guest), links(&world, host)), (true, 1, 3));
    }
}

#[test]
fn a_guest_does_not_hold_up_what_is_silent() {
    // A guest that says nothing goes as any link without a hello does, and is none that is waited for.
    let mut world = World::new(8);
    world.topic(&Topic::named("t"));
    let node = full_member(&mut world);
    (0..2).for_each(|_| _ = dials(&mut world, node));
    let peer = world.silent_hostile(node);
    world.run(12_000);
    assert_eq!(world.hostiles[peer].closed, Some(Reason::Stalled));
    world.run(Duration::from_secs(40).as_millis() as u64);
    assert!(world.nodes[node].engine.check().is_empty());
}

#[test]
fn a_member_reckons_with_as_many_nodes_as_it_knows() {
    let mut world = World::new(9);
    world.topic(&Topic::named("t"));
    let [member, none] = [true, false].map(|is_member| {
        world.node_with(|spec| {
            if is_member {
                spec.is_member();
            }
            spec.config.expected_nodes = 1_000;
        })
    });
    let nodes = |world: &World, node: usize| world.engine(node).cx.config.expected_nodes;
    world.run(59_000);
    assert_eq!((nodes(&world, member), nodes(&world, none)), (1_000, 1_000));
    // It is alone, as far as it knows, and reckons with few. Whoever is no member has what it was given.
    world.run(4_000);
    assert_eq!((nodes(&world, member), nodes(&world, none)), (64, 1_000));
    let view = |node: usize| crate::protocol::dialler::View::expected_nodes(world.engine(node));
    assert_eq!((view(member), view(none)), (Some(64), None));
}
