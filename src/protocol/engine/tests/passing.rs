//! Room decides what is kept, never what is compared.

use super::hostile::{bundle, forged, header_frame};
use super::world::World;
use crate::protocol::Config;
use crate::rumor::{Guarantee, Topic};
use crate::wire::Lane;
use std::time::Duration;

#[test]
fn a_relay_at_capacity_hides_no_conflict() {
    // Given a hold-back topic, an author that the two ends of a chain know, and a node between them that has restarted.
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(3))));
    let small = Config::default().with(|config| {
        config.topics.bundles = 1_024;
        config.expected_nodes = 20;
    });
    let [left, middle, right] = [0; 3].map(|_| world.node_with(|spec| spec.config = small.clone()));
    world.chain();
    let (of_left, of_right) = (world.hostile(left), world.hostile(right));
    let author = world.liar(9_999);
    world.pushes(of_left, &[&world.says_at(&author, &rules, 0, "I am new here")]);
    world.run(610_000);
    world.restart(middle, true);
    world.connect(left, middle);
    world.connect(middle, right);
    world.run(200);
    // When newcomers' words come from both sides, more than its index takes,
    let tick = world.tick(&rules);
    for number in 0..450u64 {
        for (side, hostile) in [(0, of_left), (1, of_right)] {
            let newcomer = world.liar(2 * number + side);
            world.pushes(hostile, &[&bundle(&newcomer, &rules, tick, 0, &["flood"])]);
        }
        world.run(5);
    }
    world.run(1_000);
    assert!(world.nodes[middle].counters().over_cap > 0);
    // and the author says yes to one end and no to the other,
    let refused = world.nodes[middle].counters().over_cap;
    let [yes, no] = ["yes", "no"].map(|word| world.says_at(&author, &rules, 1, word));
    world.pushes(of_left, &[&yes]);
    world.pushes(of_right, &[&no]);
    world.run(5_000);
    // Then the middle keeps neither, nobody delivers one, and all convict.
    assert!(world.nodes[middle].counters().over_cap >= refused + 2, "it had room for it");
    for node in &world.nodes {
        assert!(!node.has_heard("yes") && !node.has_heard("no"));
        assert!(node.convicted(&author.public()));
    }
}

/// A node whose index has no place for another newcomer's word over the link of the hostile peer that is given with it.
fn full(world: &mut World, topic: &Topic) -> (usize, usize) {
    let rules = world.topic(topic);
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    let hostile = world.hostile(node);
    for number in 0..100 {
        world.pushes(hostile, &[&world.says_at(&world.liar(number), &rules, 0, "flood")]);
    }
    world.run(500);
    assert!(world.nodes[node].counters().over_cap > 0);
    (node, hostile)
}

#[test]
fn a_header_without_a_place_is_verified_and_passed_on_once() {
    let mut world = World::new(2);
    let topic = Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(3)));
    let (node, hostile) = full(&mut world, &topic);
    let rules = world.topics[0].clone();
    let witness = world.hostile(node);
    let heard = |world: &World, header| {
        let frames = world.hostiles[witness].frames.iter();
        let headers = frames.filter_map(|frame| match frame {
            crate::wire::Frame::Headers(headers) => Some(headers.iter()),
            _ => None,
        });
        headers.flatten().filter(|signed| **signed == header).count()
    };
    // When a header comes again and again that finds no place,
    let word = world.says_at(&world.liar(500), &rules, 0, "word");
    for _ in 0..5 {
        world.says(hostile, Lane::Control, header_frame(&word));
        world.run(100);
    }
    // Then it is checked and passed on once, and nothing is kept.
    assert_eq!(heard(&world, *word.signed_header()), 1);
    assert!(world.nodes[node].engine.topics[&rules.id()].entry(&word.id()).is_none());
    // And one that is forged ends the link.
    world.says(
        hostile,
        Lane::Control,
        header_frame(&forged(&world.says_at(&world.liar(501), &rules, 0, "x"), 1)),
    );
    world.run(100);
    assert!(world.hostiles[hostile].closed.is_some());
}

#[test]
fn two_headers_without_a_place_convict() {
    let mut world = World::new(3);
    let topic = Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(3)));
    let (node, hostile) = full(&mut world, &topic);
    let rules = world.topics[0].clone();
    let author = world.liar(500);
    for word in ["yes", "no"] {
        world.pushes(hostile, &[&world.says_at(&author, &rules, 0, word)]);
        world.run(100);
    }
    assert!(world.nodes[node].convicted(&author.public()));
}

#[test]
fn an_indexed_bundle_is_compared_with_one_that_passed_unindexed() {
    let mut world = World::new(6);
    let topic = Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(3)));
    let (node, hostile) = full(&mut world, &topic);
    let other = world.hostile(node);
    let rules = world.topics[0].clone();
    let author = world.liar(500);
    // Given a word that has passed without a place, since its link has none left.
    let before = world.nodes[node].counters().over_cap;
    world.pushes(hostile, &[&world.says_at(&author, &rules, 0, "yes")]);
    world.run(100);
    let passed = world.nodes[node].counters().over_cap;
    assert!(passed > before);
    // When its author says something else over a link that has places, then it is convicted.
    world.pushes(other, &[&world.says_at(&author, &rules, 0, "no")]);
    world.run(100);
    assert_eq!(world.nodes[node].counters().over_cap, passed, "there was no place for it");
    assert!(world.nodes[node].convicted(&author.public()));
}

#[test]
fn a_first_bringer_without_places_delays_no_other_link() {
    // Given a word that found no place over a link whose places are taken.
    let mut world = World::new(7);
    let (node, hostile) = full(&mut world, &Topic::named("t"));
    let honest = world.hostile(node);
    let rules = world.topics[0].clone();
    let word = world.says_at(&world.liar(500), &rules, 0, "word");
    let before = world.nodes[node].counters().over_cap;
    world.pushes(hostile, &[&word]);
    world.run(100);
    assert!(world.nodes[node].counters().over_cap > before);
    // When a link that has places announces it, then it is asked for it.
    world.announces(honest, &rules, &[word.id()]);
    world.run(500);
    assert!(world.hostiles[honest].pulls_of(&word.id()) > 0);
    world.pushes(honest, &[&word]);
    world.run(100);
    assert!(world.nodes[node].has_heard("word"));
}

#[test]
fn a_conflicting_header_convicts_in_a_full_index() {
    // Given an author with a word in an index that is full by now, in a topic that holds nothing back.
    let mut world = World::new(4);
    let (node, hostile) = full(&mut world, &Topic::named("t"));
    let rules = world.topics[0].clone();
    let author = world.liar(3);
    let before = world.nodes[node].counters();
    // When it says something else at the same position,
    world.pushes(hostile, &[&world.says_at(&author, &rules, 0, "another")]);
    world.run(100);
    // Then it is convicted, though there was no room.
    assert!(world.nodes[node].counters().over_cap > before.over_cap);
    assert!(world.nodes[node].convicted(&author.public()));
}

#[test]
fn unverified_bundles_displace_no_verified_one() {
    // Given an index of 128 and four links whose words wait for a verifier that takes its time.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t"));
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    let liars: Vec<_> = (0..4).map(|_| world.hostile(node)).collect();
    let honest = world.hostile(node);
    world.verify_takes = Duration::from_secs(2);
    for number in 0..60u64 {
        for (at, liar) in (0u64..).zip(&liars) {
            let word = world.says_at(&world.liar(10 * number + at), &rules, 0, "word");
            world.pushes(*liar, &[&forged(&word, 1)]);
        }
    }
    world.run(100);
    // When somebody says something true meanwhile,
    world.pushes(honest, &[&world.says_at(&world.liar(9_000), &rules, 0, "true")]);
    world.run(100);
    // Then it finds a place.
    assert_eq!(world.nodes[node].counters().over_cap, 0);
    assert_eq!(world.engine(node).stats().topics[0].bundles, 0, "nothing is claimed yet");
    world.run(60_000);
    assert!(world.nodes[node].has_heard("true"));
}
