//! What a link was not told for want of room, it is told later: a part at a time, each link in turn.

use std::time::Duration;

use super::world::World;
use crate::protocol::Input;
use crate::protocol::engine::Engine;
use crate::protocol::linkset::Slot;
use crate::rumor::{Topic, TopicId};

const HELD: usize = 3_000;

/// A node that holds so many bundles, with so many links that came later and have been told of all.
fn behind(seed: u64, held: usize, links: usize) -> (World, Vec<Slot>, TopicId) {
    let mut world = World::new(seed);
    let rules = world.topic(&Topic::named("t").slots_per_tick(20_000));
    world.node_with(|spec| spec.config.publishing.seal_every = Duration::ZERO);
    // (An author waits for somebody to tell.)
    world.hostile(0);
    world.run(100);
    for number in 0..held {
        world.publish(0, &rules, format!("{number}"));
        if number % 100 == 0 {
            world.run(10);
        }
    }
    world.run(100);
    assert_eq!(world.nodes[0].engine.topics[&rules.id()].held(world.now(0)).flatten().count(), held);
    for _ in 0..links {
        world.hostile(0);
    }
    let slots = world.nodes[0].engine.links.iter().map(|link| link.slot()).collect();
    world.run(5_000);
    (world, slots, rules.id())
}

#[test]
fn what_a_link_lacks_is_looked_for_once_and_a_part_at_a_time() {
    let (mut world, slots, topic) = behind(1, HELD, 1);
    let engine = &mut world.nodes[0].engine;
    engine.links.at_mut(slots[0]).unwrap().outbox_mut().falls_behind(topic);
    let charged =
        |engine: &Engine| engine.links.at(slots[0]).unwrap().budget().cpu_charged(engine.cx.now.mono);
    let (mut parts, before) = (Vec::new(), charged(engine));
    while !engine.links.at(slots[0]).unwrap().outbox().behind().is_empty() {
        parts.push(engine.catch_up(slots[0], 100));
    }
    // (What was accepted at one moment is looked at together.)
    assert!(parts.iter().all(|part| *part <= 200), "{parts:?}");
    let all: usize = parts.iter().sum();
    assert!((HELD..HELD + HELD / 10).contains(&all), "{all} looks at {HELD} bundles");
    // And is on the link's bill.
    assert!(charged(engine) - before >= Duration::from_nanos(90) * HELD as u32);
    // A topic that is left is told to nobody.
    engine.links.at_mut(slots[0]).unwrap().outbox_mut().falls_behind(topic);
    world.handle(0, Input::Leave { topic });
    assert_eq!(world.nodes[0].engine.links.at(slots[0]).unwrap().outbox().behind(), []);
}

#[test]
fn links_that_are_behind_take_turns_and_all_are_told() {
    let (mut world, slots, topic) = behind(2, HELD, 20);
    let engine = &mut world.nodes[0].engine;
    for slot in &slots {
        engine.links.at_mut(*slot).unwrap().outbox_mut().falls_behind(topic);
    }
    let left = |world: &World| {
        let links = world.nodes[0].engine.links.iter();
        links.filter(|link| !link.outbox().behind().is_empty()).count()
    };
    let all = left(&world);
    assert!(all >= 20);
    // When they have room, then as many are looked through as there are looks for at once, and the others soon.
    world.nodes[0].engine.catch_up_in_turn();
    assert!((all - 4..all - 1).contains(&left(&world)), "{} of {all}", left(&world));
    world.nodes[0].engine.catch_ups.came();
    world.run(2_000);
    assert_eq!(left(&world), 0);
}

/// More than is looked at in a turn, and more than there is room for.
#[test]
fn newcomers_are_told_of_all_that_is_held() {
    let (world, ..) = behind(3, 3 * HELD, 5);
    for peer in 1..6 {
        let mut ids = world.hostiles[peer].announcements();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 3 * HELD, "peer {peer}");
    }
}
