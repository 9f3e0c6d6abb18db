//! What was refused for now: asked for again when there is room, and remembered for no longer than it is true.

use super::super::Config;
use super::hostile::bundle;
use super::world::World;
use crate::rumor::Topic;

#[test]
fn a_word_that_was_too_early_is_heard_when_its_time_has_come() {
    for again in [true, false] {
        // Given a word dated 62 s ahead, which a link pushes too early.
        let mut world = World::new(1);
        let rules = world.topic(&Topic::named("t"));
        let node = world.node();
        let (early, honest) = (world.hostile(node), world.hostile(node));
        let word = bundle(&world.liar(1), &rules, world.tick(&rules) + 62, 0, &["word"]);
        world.pushes(early, &[&word]);
        world.run(1_000);
        assert_eq!(world.nodes[node].counters().outside_relay_window, 1);
        assert_eq!(world.engine(node).stats().topics[0].bundles, 0);
        assert_eq!(world.hostiles[early].pulls_of(&word.id()), 0);
        // When it lies inside the window and another link has it, or nobody says so again,
        world.run(5_000);
        if again {
            world.announces(honest, &rules, &[word.id()]);
            world.pushes(honest, &[&word]);
        }
        world.run(1_500);
        // Then it is taken in, and who pushed it too early has been asked for it.
        assert_eq!(world.nodes[node].counters().accepted, u64::from(again));
        assert!(world.hostiles[early].pulls_of(&word.id()) > 0);
    }
}

#[test]
fn what_is_far_ahead_is_refused_for_as_long_as_it_is() {
    // Given a word dated ten minutes ahead that was refused.
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (hostile, honest) = (world.hostile(node), world.hostile(node));
    let word = bundle(&world.liar(1), &rules, world.tick(&rules) + 600, 0, &["word"]);
    world.pushes(hostile, &[&word]);
    world.run(100);
    world.announces(hostile, &rules, &[word.id()]);
    world.run(100);
    assert_eq!(world.hostiles[hostile].pulls_of(&word.id()), 0);
    // When ten minutes have passed, then it is news to whoever brings it.
    world.run(600_000);
    world.announces(honest, &rules, &[word.id()]);
    world.run(100);
    assert_eq!(world.hostiles[honest].pulls_of(&word.id()), 1);
}

#[test]
fn what_found_no_room_is_asked_for_when_there_is_some() {
    // Given a small index, and a neighbour that relays so many newcomers' words, of a tick that is about to leave the window,
    // that its link finds no more room.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    let small = Config { topic_bundles: 128, expected_nodes: 20, ..Config::default() };
    let node = world.node_with(|spec| spec.config = small);
    let honest = world.node();
    world.connect(node, honest);
    let (liar, tick) = (world.hostile(honest), world.tick(&rules));
    for number in 0..112 {
        world.pushes(liar, &[&bundle(&world.liar(number), &rules, tick - 89, 0, &["old"])]);
    }
    world.run(500);
    assert!(world.nodes[node].counters().over_cap > 0);
    // When the neighbour says something meanwhile, linked all the time,
    world.publish(honest, &rules, "word");
    world.run(200);
    assert!(!world.nodes[node].has_heard("word"));
    // Then it is heard soon after the old have left.
    world.run(4_000);
    assert!(world.nodes[node].has_heard("word"));
}

#[test]
fn a_body_that_found_no_room_is_asked_for_when_there_is_some() {
    // Given room for sixteen bodies, all verified at once: eighteen of different authors.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t"));
    let small = Config { topic_bytes: 16 * 10_000, expected_nodes: 20, ..Config::default() };
    let node = world.node_with(|spec| spec.config = small);
    world.verify_takes = std::time::Duration::from_millis(50);
    let authors: Vec<_> = (0..18).map(|_| world.node()).collect();
    for author in &authors {
        world.connect(node, *author);
    }
    world.run(100);
    for author in &authors {
        world.publish(*author, &rules, "x".repeat(10_000));
    }
    world.run(1_000);
    assert_eq!(world.nodes[node].delivered.len(), 16);
    // When what is there is no longer young, then the others come in as well.
    world.run(14_000);
    assert_eq!(world.nodes[node].delivered.len(), 18);
}
