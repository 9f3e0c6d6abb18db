//! Two links between the same two nodes, what an application is told of them, and one node key in two processes.

use std::time::Duration;

use super::node::Spec;
use super::world::World;
use crate::key::PublicKey;
use crate::protocol::{DownReason, Event, Impairment};
use crate::rumor::{RuleSet, Topic};
use crate::wire::Reason;

impl World {
    /// Whether `peer` is up according to what `node` was told last.
    fn told_up(&self, node: usize, peer: &PublicKey) -> bool {
        let mut told = self.nodes[node].events.iter().filter_map(|event| match event {
            Event::PeerUp { peer: of, .. } if of == peer => Some(true),
            Event::PeerDown { peer: of, .. } if of == peer => Some(false),
            _ => None,
        });
        told.next_back().unwrap_or(false)
    }

    fn is_live(&self, node: usize, peer: &PublicKey) -> bool {
        self.engine(node).stats().links.iter().any(|link| link.peer == *peer && link.live)
    }

    fn edges(&self, node: usize) -> (usize, usize) {
        let count = |up: bool| {
            let edge = |event: &&Event| match event {
                Event::PeerUp { .. } => up,
                Event::PeerDown { .. } => !up,
                _ => false,
            };
            self.nodes[node].events.iter().filter(edge).count()
        };
        (count(true), count(false))
    }

    /// Which of the two dialled the one link that both have.
    fn the_link(&self) -> [bool; 2] {
        [0, 1].map(|node| match self.engine(node).stats().links.as_slice() {
            [link] => link.dialled,
            links => panic!("{} links", links.len()),
        })
    }
}

/// Two nodes that dial each other, the second some time after the first, over a path that delays each frame by as much as
/// `slowest`: from the first hello on each always has one link for the topic, and says something at once.
fn dial_each_other(seed: u64, apart: u64, slowest: u64) {
    let mut world = World::new(seed);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.latency = (Duration::from_millis(1), Duration::from_millis(slowest));
    world.connect(0, 1);
    world.run(apart);
    world.connect(1, 0);
    let mut publish_ids = [None, None];
    for _ in 0..4_000 {
        world.run(1);
        for (node, publish_id) in publish_ids.iter_mut().enumerate() {
            let links = world.engine(node).links_of(&rules.id());
            assert!(links == 1 || publish_id.is_none(), "{links} links, seed {seed}, {apart} ms apart");
            if links == 1 && publish_id.is_none() {
                *publish_id = Some(world.publish(node, &rules, format!("from {node}")));
            }
        }
    }
    let lesser_dialled = world.nodes[0].key < world.nodes[1].key;
    assert_eq!(world.the_link(), [lesser_dialled, !lesser_dialled], "the lesser key's link stays");
    for (node, publish_id) in publish_ids.into_iter().enumerate() {
        let said = publish_id.expect("it had a link");
        assert!(world.nodes[node].published[&said].is_ok(), "{:?}", world.nodes[node].published);
        assert!(world.nodes[1 - node].has_heard(format!("from {node}")));
        assert_eq!(world.edges(node), (1, 0), "up once, and never down");
        assert!(!world.nodes[node].events.iter().any(|event| matches!(event, Event::LinkRefused { .. })));
    }
}

#[test]
fn two_nodes_that_dial_each_other_at_once_are_never_without_a_link() {
    for seed in 0..30 {
        dial_each_other(seed, seed % 5, 400);
        dial_each_other(seed, 10 * seed, 60);
    }
}

#[test]
fn a_link_that_replaces_another_takes_no_peer_down() {
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(8_000);
    // When the same node dials again, since its end of the first link is gone, then the newer link stays.
    let newer = world.connect(0, 1);
    for _ in 0..3_000 {
        world.run(1);
        assert!((0..2).all(|node| world.engine(node).links_of(&rules.id()) == 1));
    }
    assert_eq!(world.the_link(), [true, false]);
    assert_eq!([world.edges(0), world.edges(1)], [(1, 0), (1, 0)]);
    // And a peer is down when its last link is, for the reason of that link.
    world.cut(newer);
    for node in 0..2 {
        let down = Event::PeerDown { peer: world.nodes[1 - node].key, why: DownReason::Silent };
        assert_eq!(world.nodes[node].events.last(), Some(&down));
    }
}

#[test]
fn the_link_that_yielded_is_used_again_when_the_better_one_is_lost() {
    let mut world = World::new(8);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(8_000);
    let newer = world.connect(0, 1);
    // Its hellos are said, and the older one has yielded, but is not closed yet.
    world.run(100);
    assert!((0..2).all(|node| world.engine(node).links_of(&rules.id()) == 1));
    assert!(world.nodes.iter().all(|node| node.engine.stats().links.len() == 2));
    world.cut(newer);
    assert!((0..2).all(|node| world.engine(node).links_of(&rules.id()) == 1));
    world.run(5_000);
    assert_eq!([world.edges(0), world.edges(1)], [(1, 0), (1, 0)]);
    assert_eq!(world.the_link(), [true, false]);
}

/// One that yielded when it came up was asked nothing then.
#[test]
fn a_link_that_is_used_again_is_asked_about_members() {
    let mut world = World::new(8);
    for _ in 0..2 {
        world.node_with(Spec::is_member);
    }
    world.run(100);
    // The hellos of the older one come last.
    world.latency = (Duration::from_millis(50), Duration::from_millis(50));
    world.connect(0, 1);
    world.latency = (Duration::from_millis(10), Duration::from_millis(10));
    let newer = world.connect(0, 1);
    world.run(100);
    assert!(world.nodes.iter().all(|node| node.engine.stats().links.len() == 2));
    let answered = |world: &World| [0, 1].map(|node| world.nodes[node].counters().members_answered);
    let before = answered(&world);
    world.cut(newer);
    world.run(1_000);
    let after = answered(&world);
    assert!((0..2).all(|node| after[node] > before[node]), "{before:?}, {after:?}");
}

#[test]
fn the_last_event_of_each_pair_agrees_with_the_truth() {
    for seed in 0..20 {
        let mut world = World::new(100 + seed);
        let _: std::sync::Arc<RuleSet> = world.topic(&Topic::named("t"));
        world.nodes(4);
        world.latency = (Duration::from_millis(1), Duration::from_millis(80));
        // When nodes dial each other and lose links at random, several links to a peer at a time,
        for _ in 0..150 {
            let (a, b) = (world.random.below(4), world.random.below(4));
            if world.random.below(3) == 0 && !world.wires.is_empty() {
                let wire = world.random.below(world.wires.len());
                world.cut(wire);
            } else if a != b {
                world.connect(a, b);
            }
            let pause = [0, 3, 50, 700, 3_000][world.random.below(5)];
            world.run(pause);
        }
        world.run(15_000);
        // Then what each was told last of another is so.
        let keys: Vec<_> = world.nodes.iter().map(|node| node.key).collect();
        for node in 0..4 {
            for peer in &keys {
                assert_eq!(world.told_up(node, peer), world.is_live(node, peer), "seed {seed}, node {node}");
            }
        }
    }
}

fn told(world: &World, node: usize, wanted: bool) -> usize {
    let tells = |event: &&Event| match event {
        Event::Impaired { what, .. } => wanted && *what == Impairment::NodeKeyInUse,
        Event::Recovered { what, .. } => !wanted && *what == Impairment::NodeKeyInUse,
        _ => false,
    };
    world.nodes[node].events.iter().filter(tells).count()
}

#[test]
fn one_node_key_in_two_processes_is_told_to_both_and_they_take_turns_slowly() {
    // Given a hub and two nodes with one key, each of which dials the hub whenever it has no link.
    let mut world = World::new(9);
    world.topic(&Topic::named("t"));
    let hub = world.node();
    let one = world.node();
    let key = world.nodes[one].key;
    let other = world.node_with(|spec| spec.key = key);
    let mut changes = Vec::new();
    let mut holder = None;
    for tenth in 0..600u64 {
        for twin in [one, other] {
            if world.engine(twin).stats().links.is_empty() && (twin == one || tenth >= 80) {
                world.connect(twin, hub);
            }
        }
        world.run(100);
        let holds = [one, other].into_iter().find(|twin| world.engine(*twin).live_links() > 0);
        if holds.is_some() && holds != holder {
            holder = holds;
            changes.push(tenth);
        }
    }
    // Then the place changes hands once in five seconds and not more often, and both are told once.
    assert!(changes.len() >= 5, "{changes:?}");
    // (To and fro, since for a moment both hold it.)
    assert!(changes.windows(3).skip(1).all(|times| times[2] - times[0] >= 95), "{changes:?}");
    assert_eq!((told(&world, one, true), told(&world, other, true)), (1, 1));
    assert_eq!(world.edges(hub).1, 0, "to the hub it is one peer, and up all the while");
    // When neither dials any more, then both hear after a quiet minute that it is over.
    let gone = if holder == Some(one) { other } else { one };
    world.run(50_000);
    assert_eq!(told(&world, gone, false), 0);
    world.run(25_000);
    assert_eq!((told(&world, one, false), told(&world, other, false)), (1, 1));
}

#[test]
fn a_dialler_with_our_own_key_is_refused_and_reported() {
    let mut world = World::new(10);
    world.topic(&Topic::named("t"));
    let one = world.node();
    let key = world.nodes[one].key;
    let twin = world.node_with(|spec| spec.key = key);
    world.connect(twin, one);
    world.run(100);
    assert_eq!(told(&world, one, true), 1);
    assert!(world.engine(one).stats().links.is_empty());
}

#[test]
fn a_crash_and_a_restart_do_not_look_like_a_second_process() {
    let mut world = World::new(11);
    world.topic(&Topic::named("t"));
    world.nodes(2);
    for _ in 0..4 {
        // Its old link is not known to be gone at the other end: the newer one takes its place, or has to wait for a while.
        world.connect(0, 1);
        world.run(1_500);
        let now = world.now(0);
        world.nodes[0].restart(true, now);
    }
    world.connect(0, 1);
    world.run(5_000);
    assert_eq!((told(&world, 0, true), told(&world, 1, true)), (0, 0));
    let refused = |event: &Event| matches!(event, Event::LinkRefused { reason: Reason::Duplicate, .. });
    assert!(!world.nodes[1].events.iter().any(refused));
}
