//! Peers that do not read, and floods: everybody else is served as ever.

use std::time::Duration;

use super::hostile::bundle;
use super::world::World;
use crate::rumor::Topic;
use crate::wire::{Lane, Reason};

#[test]
fn stalled_reader_never_wedges_the_node() {
    // Given a node with more inbound links that stop reading than all others together.
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t").slots_per_tick(5_000));
    world.nodes(2);
    world.connect(0, 1);
    let hostiles: Vec<_> = (0..5).map(|_| world.hostile(0)).collect();
    world.run(100);
    for hostile in &hostiles {
        world.set_reading(world.hostiles[*hostile].wire, 0, false);
    }
    // When it says a lot.
    for n in 0..4_000 {
        world.publish(0, &rules, format!("{n:0>1000}"));
        if n % 4 == 0 {
            world.run(1);
        }
    }
    world.run(2_000);
    // Then its reader hears all of it meanwhile, and queues are bounded (the world checks).
    assert_eq!(world.nodes[1].delivered.len(), 4_000);
    // And within some twenty seconds the others are closed, and none of them is banned.
    world.run(20_000);
    assert!(hostiles.iter().all(|hostile| world.hostiles[*hostile].closed == Some(Reason::Stalled)));
    assert!(world.engine(0).banned().is_empty());
    assert_eq!(world.engine(0).stats().links.len(), 1);
}

#[test]
fn a_link_that_never_says_hello_is_closed() {
    let mut world = World::new(2);
    world.topic(&Topic::named("t"));
    world.node();
    let silent = world.silent_hostile(0);
    world.run(12_000);
    assert_eq!(world.hostiles[silent].closed, Some(Reason::Stalled));
}

#[test]
fn two_nodes_that_flood_each_other_do_not_wedge() {
    // Given two nodes with budgets so small that each often stops reading the other.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t").slots_per_tick(500));
    for _ in 0..3 {
        world.node_with(|spec| {
            spec.config.budget.bytes_per_s = 200_000;
            spec.config.budget.bytes_burst = 50_000;
        });
    }
    world.mesh();
    for n in 0..300 {
        for node in 0..3 {
            world.publish(node, &rules, format!("{n:0>1000}"));
        }
        world.run(5);
    }
    world.run(15_000);
    // Then all is heard, and nobody was blamed or closed.
    assert!(world.nodes.iter().all(|node| node.delivered.len() == 900));
    assert!(world.nodes.iter().all(|node| node.counters().paused_for_budget > 0));
    assert!(world.wires.iter().all(|wire| wire.up));
}

#[test]
fn flood_leaves_others_latency() {
    let slowest = |flood: bool| {
        // Given a node between two others, whose link to the second carries 2 MB/s, and an author known for a while.
        let mut world = World::new(4);
        let rules = world.topic(&Topic::named("t").slots_per_tick(10_000));
        for _ in 0..3 {
            world.node_with(|spec| spec.config.expected_nodes = 1_000);
        }
        world.connect(0, 1);
        let out = world.connect(1, 2);
        let hostile = world.hostile(1);
        world.publish(0, &rules, "hello");
        world.run(650_000);
        world.wires[out].bandwidth = 2_000_000;
        // When another author says all that it may, 4 MB/s, while the first says something now and then.
        let author = world.liar(1);
        let (mut slot, mut tick, mut said) = (0, 0, Vec::new());
        for round in 0..40 {
            for _ in 0..if flood { 200 } else { 0 } {
                slot = if tick == world.tick(&rules) { slot + 1 } else { 0 };
                tick = world.tick(&rules);
                let word = bundle(&author, &rules, tick, slot, &[&"x".repeat(1_000)]);
                world.says(hostile, Lane::Rumors, super::hostile::frame_of(4, &[&word]));
            }
            world.run(5);
            let body = format!("probe {round}");
            world.publish(0, &rules, &body);
            said.push((body, world.millis()));
            world.run(45);
        }
        world.run(5_000);
        let took = |(body, said): &(String, u64)| {
            let heard = world.nodes[2].delivered.iter().find(|rumor| rumor.body == body.as_bytes());
            heard.map_or(u64::MAX, |rumor| rumor.at / 1_000_000 - said)
        };
        said.iter().map(took).max().unwrap()
    };
    let (quiet, flooded) = (slowest(false), slowest(true));
    println!("slowest delivery over two hops: {quiet} ms quiet, {flooded} ms with a flooding author");
    // Then what is with the transport delays it (256 KiB, 131 ms here), and nothing that waits behind that.
    assert!(flooded <= quiet + 131 + 20, "{quiet} to {flooded}");
}

#[test]
fn a_link_that_is_late_but_works_is_not_struck() {
    // Given a slow link, and many bundles behind it that only it can serve.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t").slots_per_tick(1_000));
    for _ in 0..2 {
        world.node_with(|spec| spec.config.publishing.seal_every = Duration::ZERO);
    }
    let other = world.hostile(0);
    world.run(50);
    for n in 0..400 {
        world.publish(0, &rules, format!("{n:0>2000}"));
        world.run(2);
    }
    let slow = world.connect(0, 1);
    world.wires[slow].bandwidth = 200_000;
    world.run(10_000);
    // Then all comes, once, and nobody gets a strike.
    let node = &world.nodes[1];
    assert_eq!(node.delivered.len(), 400);
    let counters = node.counters();
    assert_eq!((counters.copies_in, counters.pulls_unserved), (400, 0), "{counters:?}");
    assert!(!node.engine.stats().links[0].last_resort);
    assert!(world.hostiles[other].closed.is_none());
}

#[test]
fn links_that_come_and_go_leave_nothing_behind() {
    // Given a rumor, and hundreds of links that each show that they have it, or pull it, and go.
    let mut world = World::new(6);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let stays = world.hostile(node);
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.pushes(stays, &[&word]);
    world.run(100);
    for _ in 0..300 {
        let hostile = world.hostile(node);
        world.announces(hostile, &rules, &[word.id()]);
        world.run(15);
        world.cut(world.hostiles[hostile].wire);
    }
    // Then a newcomer, on a place that was used before, is told of it like the first.
    let newcomer = world.hostile(node);
    world.run(100);
    assert!(world.hostiles[newcomer].got_announcement(&word.id()));
    assert_eq!(world.engine(node).stats().links.len(), 2);
}

#[test]
fn inbound_links_that_do_not_read_do_not_silence_a_node_without_dialled_links() {
    // Given a node that was only ever dialled, by ten who stop reading and six who do not.
    let mut world = World::new(31);
    let rules = world.topic(&Topic::named("t").slots_per_tick(5_000));
    world.nodes(7);
    for node in 1..7 {
        world.connect(node, 0);
    }
    let hostiles: Vec<_> = (0..10).map(|_| world.hostile(0)).collect();
    world.run(100);
    for hostile in &hostiles {
        world.set_reading(world.hostiles[*hostile].wire, 0, false);
    }
    // When it says more than fits the queues.
    for n in 0..2_000 {
        world.publish(0, &rules, format!("{n:0>1000}"));
    }
    // Then the six hear all of it long before the others are closed for it.
    world.run(6_000);
    assert!(hostiles.iter().all(|hostile| world.hostiles[*hostile].closed.is_none()));
    for node in 1..7 {
        assert_eq!(world.nodes[node].delivered.len(), 2_000);
    }
}
