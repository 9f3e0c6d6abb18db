//! Rumors reach everybody, with few copies, whatever the links do.

use std::time::Duration;

use super::world::World;
use crate::protocol::PublishError;
use crate::rumor::{MAX_INLINE, Topic};
use crate::wire::{self, Frame, Lane, TopicChange};

/// Copies that came in, for each that was needed.
fn copies_each(world: &World) -> f64 {
    let (copies, needed) = copies(world);
    copies as f64 / needed as f64
}

/// Copies that came in, and how many of them were needed.
fn copies(world: &World) -> (u64, u64) {
    let counters = || world.nodes.iter().map(|node| node.counters());
    let copies = counters().map(|counters| counters.copies_in).sum();
    (copies, counters().map(|counters| counters.copies_in - counters.duplicates).sum())
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = World::new(seed);
        world.latency.1 = Duration::from_millis(40);
        let rules = world.topic(&Topic::named("t"));
        world.nodes(6);
        world.mesh();
        for round in 0..5 {
            for node in 0..6 {
                world.publish(node, &rules, format!("{round} of {node}"));
            }
            world.run(200);
        }
        world.run(3_000);
        world.trace()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_rumor_reaches_everyone_in_a_random_graph() {
    // Given thirty nodes of some four to eight links each, of uneven speed.
    let mut world = World::new(3);
    world.latency = (Duration::from_millis(5), Duration::from_millis(60));
    let rules = world.topic(&Topic::named("t"));
    world.nodes(30);
    world.graph(60);
    // When each of them says something.
    for node in 0..30 {
        world.publish(node, &rules, format!("from {node}"));
        world.run(50);
    }
    world.run(2_000);
    // Then each hears all of it, and gets fewer than two copies of each.
    for node in &world.nodes {
        assert_eq!(node.delivered.len(), 30);
    }
    let copies = copies_each(&world);
    println!("copies per node and rumor, random graph of 30: {copies:.2}");
    assert!(copies < 2.0, "{copies}");
}

#[test]
fn a_full_mesh_of_eight_gets_few_copies() {
    // Also if they take the network to be far larger than it is, once they have noticed.
    for expected_nodes in [8, 100, 1_000, 100_000] {
        let copies = copies_in_a_mesh(expected_nodes);
        println!("copies per node and rumor, mesh of 8 that expects {expected_nodes}: {copies:.2}");
        assert!(copies < 2.0, "{copies}");
    }
}

fn copies_in_a_mesh(expected_nodes: u32) -> f64 {
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t"));
    for _ in 0..8 {
        world.node_with(|spec| spec.config.expected_nodes = expected_nodes);
    }
    world.mesh();
    let mut before = (0, 0);
    for round in 0..30 {
        if round == 10 {
            before = copies(&world);
        }
        for node in 0..8 {
            world.publish(node, &rules, format!("{round} of {node}"));
        }
        world.run(100);
    }
    world.run(1_000);
    assert!(world.nodes.iter().all(|node| node.delivered.len() == 240));
    let after = copies(&world);
    (after.0 - before.0) as f64 / (after.1 - before.1) as f64
}

#[test]
fn a_push_dropped_for_capacity_is_caught_up_without_loss() {
    // Given a link so slow that pushes, and then announcements, find no room.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t").slots_per_tick(5_000).retention(Duration::from_secs(300)));
    world.nodes(3);
    let slow = world.connect(0, 1);
    world.connect(0, 2);
    world.run(100);
    world.wires[slow].bandwidth = 100_000;
    // When 6 000 rumors are said at once, each in a bundle of its own.
    let bodies: Vec<_> = (0..6_000).map(|n| format!("{n:0>1000}")).collect();
    for chunk in bodies.chunks(200) {
        for body in chunk {
            world.publish(0, &rules, body);
        }
        world.run(20);
    }
    world.run(120_000);
    // Then both hear all of it.
    let counters = world.nodes[0].counters();
    assert!(counters.push_degraded > 0, "the link was not slow enough to prove anything");
    assert_eq!(world.nodes[2].delivered.len(), 6_000);
    assert_eq!(world.nodes[1].delivered.len(), 6_000);
}

#[test]
fn an_announcement_dropped_for_capacity_is_caught_up_by_a_resync() {
    // Given a reader that stops for a while, and so many rumors meanwhile that their announcements overflow: first the
    // transport's credit, then the list.
    let mut world = World::new(6);
    let rules = world.topic(&Topic::named("t").slots_per_tick(20_000));
    for _ in 0..2 {
        world.node_with(|spec| spec.config.publishing.seal_every = Duration::ZERO);
    }
    let wire = world.connect(0, 1);
    world.hostile(0);
    world.run(100);
    world.set_reading(wire, 1, false);
    for n in 0..20_000 {
        world.publish(0, &rules, format!("{n:0>1000}"));
        if n % 100 == 0 {
            world.run(10);
        }
    }
    let counters = world.nodes[0].counters();
    assert!(counters.announce_degraded > 0);
    // When it reads again.
    world.set_reading(wire, 1, true);
    world.run(20_000);
    // Then it hears what was left out.
    assert_eq!(world.nodes[1].delivered.len(), 20_000);
}

#[test]
fn what_was_pushed_or_announced_to_a_link_is_not_announced_to_it_again() {
    // Given so many readers that an author pushes to some and announces to the others.
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let readers: Vec<_> = (0..20).map(|_| world.hostile(node)).collect();
    world.publish(node, &rules, "word");
    world.run(100);
    let told = |world: &World| (world.nodes[node].counters().pushed, world.nodes[node].counters().announced);
    assert_eq!(told(&world), (16, 4));
    // When each is told what it has not been told, as happens when there was no room for it before.
    let engine = &mut world.nodes[node].engine;
    let slots: Vec<_> = engine.links.iter().map(|link| link.slot()).collect();
    slots.into_iter().for_each(|slot| engine.resync(slot, &[rules.id()]));
    world.run(100);
    // Then that is nothing.
    assert_eq!(told(&world), (16, 4));
    // When each leaves the topic and comes back, then it is told all of it: it may have forgotten what it had.
    let topic = vec![*rules.id().as_bytes()];
    for reader in readers {
        let leaves = TopicChange { joined: Vec::new(), left: topic.clone(), ..TopicChange::default() };
        let returns = TopicChange { joined: topic.clone(), left: Vec::new(), ..TopicChange::default() };
        for change in [leaves, returns] {
            world.says(reader, Lane::Control, wire::topics(&change));
        }
    }
    world.run(100);
    assert_eq!(told(&world), (16, 24));
}

#[test]
fn links_that_go_down_and_up_again_lose_nothing() {
    let mut world = World::new(7);
    world.latency = (Duration::from_millis(5), Duration::from_millis(50));
    let rules = world.topic(&Topic::named("t"));
    world.nodes(5);
    let mut wires: Vec<_> = (0..4).map(|node| (node, world.connect(node, node + 1))).collect();
    world.run(300);
    let mut said = 0;
    for round in 0..40 {
        let at = round % wires.len();
        let (node, wire) = wires[at];
        world.cut(wire);
        for author in 0..5 {
            let publish_id = world.publish(author, &rules, format!("{round} of {author}"));
            said += usize::from(
                world.nodes[author].published.get(&publish_id) != Some(&Err(PublishError::NoLink)),
            );
        }
        world.run(60);
        wires[at].1 = world.connect(node, node + 1);
        world.run(40);
    }
    world.run(5_000);
    for (index, node) in world.nodes.iter().enumerate() {
        assert_eq!(node.delivered.len(), said, "node {index}");
    }
}

#[test]
fn a_late_joiner_gets_the_last_rumors() {
    let mut world = World::new(8);
    let rules = world.topic(&Topic::named("t").retention(Duration::from_secs(60)));
    world.nodes(3);
    world.mesh();
    for n in 0..20 {
        world.publish(n % 3, &rules, format!("word {n}"));
        world.run(1_000);
    }
    let late = world.node();
    world.connect(late, 0);
    world.run(2_000);
    assert_eq!(world.nodes[late].delivered.len(), 20);
}

#[test]
fn group_commit_puts_what_waits_into_one_bundle() {
    // Given an author that has used up its tick.
    let mut world = World::new(9);
    let rules = world.topic(&Topic::named("t").slots_per_tick(64));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    for n in 0..64 {
        world.publish(0, &rules, format!("{n}"));
    }
    world.run(100);
    let before = world.nodes[1].counters().copies_in;
    // When fifty rumors wait for the next one.
    for n in 0..50 {
        world.publish(0, &rules, format!("later {n}"));
    }
    world.run(1_500);
    // Then they travel as one.
    assert_eq!(world.nodes[1].delivered.len(), 114);
    assert_eq!(world.nodes[1].counters().copies_in - before, 1);
}

#[test]
fn the_largest_body_crosses_by_announcement_and_pull() {
    let mut world = World::new(10);
    let rules = world.topic(&Topic::named("t").max_body(65_536));
    world.nodes(2);
    let hostile = world.hostile(0);
    world.connect(0, 1);
    world.run(100);
    // When bodies of exactly the inline limit, one more, and the most there may be are said.
    for len in [MAX_INLINE, MAX_INLINE + 1, 65_536] {
        world.publish(0, &rules, vec![b'x'; len]);
    }
    let publish_id = world.publish(0, &rules, vec![b'x'; 65_537]);
    world.run(1_000);
    // Then all arrive, only the first is pushed, and one byte too many is a typed error.
    assert_eq!(world.nodes[1].delivered.len(), 3);
    let pushed: Vec<_> =
        world.hostiles[hostile].bundles().iter().map(|(_, bundle)| bundle.max_body_len()).collect();
    assert_eq!(pushed, [MAX_INLINE as u32]);
    let announced = |frame: &&Frame| matches!(frame, Frame::Announce(_));
    assert!(world.hostiles[hostile].frames.iter().any(|frame| announced(&frame)));
    let error = PublishError::TooLarge { len: 65_537, max: 65_536 };
    assert_eq!(world.nodes[0].published[&publish_id], Err(error));
}
