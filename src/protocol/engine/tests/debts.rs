//! What was refused for now: asked for again when there is room, and remembered for no longer than it is true.

use std::time::Duration;

use super::hostile::bundle;
use super::world::World;
use crate::protocol::Config;
use crate::rumor::{Bundle, Guarantee, Topic};
use crate::wire::Frame;

#[test]
fn an_early_rumor_is_delivered_when_its_time_comes() {
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
fn a_refused_rumor_is_asked_for_when_capacity_returns() {
    // Given a small index, and a neighbour that relays so many newcomers' words, of a tick that is about to leave the window,
    // that its link finds no more room.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
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
fn a_refused_body_is_asked_for_when_capacity_returns() {
    // Given room for sixteen bodies, all verified at once: eighteen of different authors.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t"));
    let small = Config::default().with(|config| {
        config.topics.bytes = 16 * 10_000;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    world.verify_takes = Duration::from_millis(50);
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

/// How often a hostile peer was asked to announce all that it has.
fn asked_for_all(world: &World, hostile: usize) -> usize {
    let joins = |frame: &&Frame| matches!(frame, Frame::Topics(change) if !change.joined.is_empty());
    world.hostiles[hostile].frames.iter().filter(joins).count()
}

#[test]
fn a_link_with_more_than_the_list_of_debts_takes_is_asked_for_all_it_has() {
    // Given a full index, and words that find no place in it, more of them than a link may have in the list.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t").slots_per_tick(5_000));
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    let (flood, hostile) = (world.hostile(node), world.hostile(node));
    for number in 0..112 {
        world.pushes(flood, &[&world.says_at(&world.liar(number), &rules, 0, "flood")]);
    }
    world.run(500);
    let (author, tick) = (world.liar(1_000), world.tick(&rules) - 80);
    let words: Vec<_> = (0..2_300).map(|slot| bundle(&author, &rules, tick, slot, &["."])).collect();
    for some in words.chunks(64) {
        world.pushes(hostile, &some.iter().collect::<Vec<_>>());
    }
    world.run(1_000);
    assert!(world.nodes[node].counters().over_cap > 2_200);
    assert_eq!(asked_for_all(&world, hostile), 0);
    // When they are too old, and the list has places again, then the link is asked what else it has.
    world.run(20_000);
    assert_eq!(asked_for_all(&world, hostile), 1);
    assert!(words.iter().all(|word| world.hostiles[hostile].pulls_of(&word.id()) == 0));
}

#[test]
fn what_a_link_had_long_ago_is_not_pulled_from_it() {
    // Given an index that is full until 40 s from now, and a word that found no place in it, of a topic that keeps words 10 s.
    let mut world = World::new(6);
    let rules = world.topic(&Topic::named("t").retention(Duration::from_secs(10)));
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    let hostile = world.hostile(node);
    let tick = world.tick(&rules);
    for number in 0..112 {
        world.pushes(hostile, &[&bundle(&world.liar(number), &rules, tick - 50, 0, &["old"])]);
    }
    let word = bundle(&world.liar(1_000), &rules, tick, 0, &["word"]);
    world.pushes(hostile, &[&word]);
    world.run(1_000);
    assert!(world.nodes[node].counters().over_cap > 0);
    // When there is room, then the link is asked what it has now, and not for what it may have no more.
    world.run(45_000);
    assert_eq!(world.hostiles[hostile].pulls_of(&word.id()), 0);
    assert!(asked_for_all(&world, hostile) > 0);
}

/// Words of 180 newcomers of a tick that leaves the window in 10 s. They arrive together over three links, all are let in, and not
/// all find a place when they have been verified.
fn crowd(world: &mut World, node: usize) -> Vec<(usize, Bundle)> {
    let rules = world.topics[0].clone();
    let tick = world.tick(&rules) - 80;
    world.verify_takes = Duration::from_millis(200);
    let links: Vec<_> = (0..3).map(|_| world.hostile(node)).collect();
    world.run(100);
    let words: Vec<_> = (0..180)
        .map(|number| {
            let link = links[number as usize % 3];
            (link, bundle(&world.liar(number), &rules, tick, 0, &["newcomer"]))
        })
        .collect();
    for (link, word) in &words {
        world.pushes(*link, &[word]);
    }
    world.run(50);
    assert_eq!(world.nodes[node].counters().over_cap, 0, "not all were let in");
    world.run(5_000);
    assert!(world.nodes[node].counters().over_cap > 0, "all have a place");
    words
}

#[test]
fn a_bundle_that_lost_its_place_during_verification_is_asked_for_later() {
    // Given words that lost their places.
    let mut world = World::new(7);
    world.topic(&Topic::named("t").retention(Duration::from_secs(120)));
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    let words = crowd(&mut world, node);
    let pulled = |world: &World| {
        let pulled = |(link, word): &&(usize, Bundle)| world.hostiles[*link].pulls_of(&word.id()) > 0;
        words.iter().filter(pulled).count()
    };
    assert_eq!(pulled(&world), 0);
    // When the index is made larger, then those are pulled.
    world.nodes[node].engine.cx.config.topics.bundles = 4_096;
    world.run(3_000);
    assert!(pulled(&world) > 0);
}

#[test]
fn a_header_that_lost_its_place_while_it_was_verified_is_passed_on() {
    let mut world = World::new(8);
    world.topic(&Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(3))));
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    let witness = world.hostile(node);
    let words = crowd(&mut world, node);
    let frames = world.hostiles[witness].frames.iter();
    let headers = frames.map(|frame| if let Frame::Headers(headers) = frame { headers.len() } else { 0 });
    assert_eq!(headers.sum::<usize>(), words.len());
}

#[test]
fn a_debt_is_paid_as_soon_as_any_link_that_has_it_has_a_place_for_it() {
    // Given a full index: newcomers' words of now that came over one link, and those of a tick that leaves the window in ten
    // seconds over two others.
    let mut world = World::new(9);
    let rules = world.topic(&Topic::named("t").retention(Duration::from_secs(60)));
    let small = Config::default().with(|config| {
        config.topics.bundles = 128;
        config.expected_nodes = 20;
    });
    let node = world.node_with(|spec| spec.config = small);
    let (greedy, others) = (world.hostile(node), [world.hostile(node), world.hostile(node)]);
    let honest = world.hostile(node);
    let tick = world.tick(&rules);
    for (link, from, tick) in [(greedy, 0, tick), (others[0], 200, tick - 80), (others[1], 400, tick - 80)] {
        for number in 0..112 {
            world.pushes(link, &[&bundle(&world.liar(from + number), &rules, tick, 0, &["flood"])]);
        }
        world.run(500);
    }
    assert_eq!(world.engine(node).stats().topics[0].bundles, 112);
    // When the first of them is also the first to bring a newcomer's word, of which an honest link tells,
    let word = world.says_at(&world.liar(1_000), &rules, 0, "word");
    world.pushes(greedy, &[&word]);
    world.run(100);
    world.announces(honest, &rules, &[word.id()]);
    world.run(1_000);
    assert_eq!(world.hostiles[honest].pulls_of(&word.id()), 0);
    // Then the honest one is asked for it when the old words have left, though the greedy link has its full share.
    world.run(14_000);
    assert!(world.hostiles[honest].pulls_of(&word.id()) > 0);
    assert_eq!(world.hostiles[greedy].pulls_of(&word.id()), 0, "what it brought would find no place");
}
