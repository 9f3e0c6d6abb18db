//! A wall clock that is wrong: known at once, told once, and over as soon as it is right.

use super::world::World;
use crate::protocol::{Event, Impairment, PublishError};
use crate::rumor::{NetworkId, Topic};
use crate::wire::{self, Hello, Lane};

fn is_of(what: Impairment) -> impl Fn(&&Event) -> bool {
    move |event| match event {
        Event::Impaired { what: other, .. } | Event::Recovered { what: other, .. } => *other == what,
        _ => false,
    }
}

#[test]
fn a_clock_that_jumps_is_known_at_once_and_nothing_is_said_by_it() {
    // Given nodes with four, two, or one link to others, whose clocks agreed when they met.
    for nodes in [5, 3, 2] {
        for jump_ms in [-86_400_000, -3_600_000, 3_600_000, 86_400_000] {
            let mut world = World::new(71);
            let rules = world.topic(&Topic::named("t"));
            world.nodes(nodes);
            world.mesh();
            world.run(1_000);
            // When one clock jumps while its links live, and its node publishes for ten minutes.
            world.nodes[0].skew_ms = jump_ms;
            let mut publish_ids = Vec::new();
            for n in 0..120 {
                publish_ids.push(world.publish(0, &rules, format!("wrong {n}")));
                world.run(5_000);
                if n == 12 {
                    let answer = world.nodes[0].published.get(&publish_ids[0]);
                    let Some(Err(PublishError::ClockWrong { ahead_ms })) = answer else {
                        panic!("{answer:?}")
                    };
                    assert!((ahead_ms - jump_ms).abs() < 100, "{ahead_ms}");
                }
            }
            // Then each request was answered with an error, and it was told once.
            assert!(publish_ids.iter().all(|publish_id| world.nodes[0].published[publish_id].is_err()));
            let told = world.nodes[0].events.iter().filter(is_of(Impairment::Clock)).count();
            assert_eq!(told, 1, "{nodes} nodes, {jump_ms} ms");
            // When it is right again, then it speaks and is heard at once.
            world.nodes[0].skew_ms = 0;
            let publish_id = world.publish(0, &rules, "right");
            world.publish(1, &rules, "of another");
            world.run(1_000);
            assert!(world.nodes[0].published[&publish_id].is_ok(), "{nodes} nodes, {jump_ms} ms");
            assert!(world.nodes.iter().all(|node| node.has_heard("right") && node.has_heard("of another")));
            let told = world.nodes[0].events.iter().filter(is_of(Impairment::Clock)).count();
            assert_eq!(told, 2, "{nodes} nodes, {jump_ms} ms");
            // It was the one that jumped: the others told nothing.
            assert!(world.nodes[1..].iter().all(|node| !node.events.iter().any(|event| is_of(
                Impairment::Clock
            )(
                &event
            ))));
        }
    }
}

#[test]
fn an_author_whose_clock_was_ahead_speaks_within_a_minute_of_its_being_right() {
    for (ahead_ms, restarts) in [
        (10_000, false),
        (25_000, false),
        (59_000, false),
        (10_000, true),
        (3_600_000, true),
        (86_400_000, true),
    ] {
        // Given two nodes, one of which starts with a clock that is ahead, and speaks as far as it may.
        let mut world = World::new(72);
        let rules = world.topic(&Topic::named("t"));
        world.node();
        let node = world.node_with(|spec| spec.skew_ms = ahead_ms);
        world.connect(0, node);
        for n in 0..100 {
            world.publish(node, &rules, format!("{n}"));
            world.run(1_000);
        }
        // When its clock is set right, with or without a restart.
        world.nodes[node].skew_ms = 0;
        if restarts {
            world.restart(node, true);
            world.connect(0, node);
            world.run(100);
        }
        world.publish(0, &rules, "to the other");
        let publish_id = world.publish(node, &rules, "right");
        world.run(1_000);
        assert!(world.nodes[node].has_heard("to the other"));
        world.run(60_000);
        assert!(
            matches!(world.nodes[node].published[&publish_id], Ok(_) | Err(PublishError::NoLink)),
            "{ahead_ms}"
        );
        let publish_id = world.publish(node, &rules, "and again");
        world.run(1_000);
        assert!(world.nodes[node].published[&publish_id].is_ok(), "{ahead_ms}");
        assert!(world.nodes[0].has_heard("and again"));
    }
}

#[test]
fn a_restarted_author_stays_silent_through_the_hour_of_its_wrong_clock_and_says_until_when() {
    // Given two nodes whose clocks are both ten minutes ahead, so that neither is told; one of them speaks each second.
    for (speaks_s, is_silent) in [(100, false), (900, true)] {
        let mut world = World::new(76);
        let rules = world.topic(&Topic::named("t"));
        for _ in 0..2 {
            world.node_with(|spec| spec.skew_ms = 600_000);
        }
        world.connect(0, 1);
        let begun = world.now(0).unix_ms;
        for n in 0..speaks_s {
            world.publish(0, &rules, format!("{n}"));
            world.run(1_000);
        }
        // When both are set right, and the speaker crashes and comes back with its position log,
        let end = world.now(0).unix_ms;
        world.nodes.iter_mut().for_each(|node| node.skew_ms = 0);
        world.restart(0, true);
        world.connect(0, 1);
        world.run(100);
        let publish_id = world.publish(0, &rules, "right");
        world.run(3_000);
        // Then it speaks at once, unless it has spoken at the time that it is now: then it says at once when that is over,
        let wait = match &world.nodes[0].published[&publish_id] {
            Ok(_) => 0,
            Err(PublishError::Silent { until_ms }) => {
                assert!((end..end + 5_000).contains(until_ms), "{begun} to {end}, silent until {until_ms}");
                until_ms - world.now(0).unix_ms
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(wait > 0, is_silent, "{wait} ms");
        // and hears what is said meanwhile; and then it speaks.
        world.publish(1, &rules, "to it");
        world.run(wait + 1_000);
        assert!(world.nodes[0].has_heard("to it"));
        let publish_id = world.publish(0, &rules, "at last");
        world.run(1_000);
        assert!(world.nodes[0].published[&publish_id].is_ok());
        assert!(world.nodes[1].has_heard("at last"));
    }
}

#[test]
fn links_made_under_a_wrong_clock_silence_no_author_when_it_is_right() {
    // Given a node and its only neighbour, which met while the neighbour's clock was an hour off: neither can tell whose is wrong.
    for ahead_ms in [-3_600_000, 3_600_000] {
        let mut world = World::new(75);
        let rules = world.topic(&Topic::named("t"));
        world.node();
        let wrong = world.node_with(|spec| spec.skew_ms = ahead_ms);
        world.connect(0, wrong);
        world.run(5_000);
        // When the neighbour's clock is set right, and the link stays as it is,
        world.nodes[wrong].skew_ms = 0;
        world.run(3_000);
        // Then both speak.
        let publish_ids = [0, wrong].map(|node| (node, world.publish(node, &rules, format!("of {node}"))));
        world.run(1_000);
        for (node, publish_id) in publish_ids {
            assert!(world.nodes[node].published[&publish_id].is_ok(), "node {node}, {ahead_ms} ms");
        }
        assert!(world.nodes.iter().all(|node| node.has_heard("of 0") && node.has_heard("of 1")));
    }
}

#[test]
fn neighbours_with_wrong_clocks_that_came_to_us_do_not_silence_us() {
    // Given a node that has dialled an honest one, and many that have dialled it and tell another time.
    let mut world = World::new(73);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    for _ in 0..9 {
        let hostile = world.silent_hostile(0);
        let network = *NetworkId::of(super::world::NETWORK).as_bytes();
        let hello = Hello { network, clock_ms: 5, topics: vec![*rules.id().as_bytes()], ..Hello::default() };
        world.says(hostile, Lane::Control, wire::hello(&hello));
    }
    world.run(1_000);
    let publish_id = world.publish(0, &rules, "word");
    world.run(1_000);
    assert!(world.nodes[0].published[&publish_id].is_ok());
    assert!(world.nodes[1].has_heard("word"));
}

#[test]
fn a_node_that_receives_only_rumors_outside_the_window_says_so() {
    // Given a node that is linked to nobody but one whose hello tells our time, and whose words are of another.
    let mut world = World::new(74);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    for n in 0..40 {
        let tick = world.tick(&rules) - 3_600 + n;
        world.pushes(hostile, &[&super::hostile::bundle(&world.liar(n), &rules, tick, 0, &["old"])]);
        world.run(1_000);
    }
    let told = world.nodes[node].events.iter().filter(is_of(Impairment::Unheard)).count();
    assert_eq!(told, 1);
    // When something of now comes in, it is over.
    let word = world.says_at(&world.liar(50), &rules, 0, "now");
    world.pushes(hostile, &[&word]);
    world.run(2_000);
    assert!(world.nodes[node].has_heard("now"));
    assert!(world.nodes[node].engine.stats().impaired.is_empty());
}

#[test]
fn neighbours_that_tell_another_time_with_each_frame_are_looked_at_once_a_second() {
    // Given a node whose links are all to hostile peers that dialled it, and which tell two times in turn.
    let mut world = World::new(77);
    world.topic(&Topic::named("t"));
    let node = world.node();
    let hostiles: Vec<_> = (0..3).map(|_| world.hostile(node)).collect();
    let network = *NetworkId::of(super::world::NETWORK).as_bytes();
    for n in 0..200 {
        let clock_ms = if n % 2 == 0 { 5 } else { super::world::BEGIN_MS };
        for hostile in &hostiles {
            world.says(
                *hostile,
                Lane::Control,
                wire::hello(&Hello { network, clock_ms, topics: vec![], ..Hello::default() }),
            );
        }
        world.run(10);
    }
    // Then what the application is told does not grow with what they say.
    let events = world.nodes[node].events.iter();
    let told =
        events.filter(|event| is_of(Impairment::Clock)(event) || matches!(event, Event::ClockSkew { .. }));
    assert!(told.count() <= 6);
    assert!(hostiles.iter().all(|hostile| world.hostiles[*hostile].closed.is_none()));
}

#[test]
fn that_all_which_came_in_lay_outside_the_window_is_over_when_nothing_comes_in() {
    // Given a node that was told so because of a peer that brings what is old.
    let mut world = World::new(78);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    for n in 0..40 {
        let tick = world.tick(&rules) - 3_600 + n;
        world.pushes(hostile, &[&super::hostile::bundle(&world.liar(n), &rules, tick, 0, &["old"])]);
        world.run(1_000);
    }
    assert_eq!(world.engine(node).stats().impaired[0].0, Impairment::Unheard);
    // When it is gone, and the network is quiet, then it does not stand there for ever.
    let wire = world.hostiles[hostile].wire;
    world.cut(wire);
    world.run(600_000);
    assert_eq!(world.engine(node).stats().impaired, []);
}

#[test]
fn an_author_whom_a_few_links_hear_too_late_or_too_early_is_told() {
    // Given an author whose clock is so far off its only link's that what it says is passed on, and delivered by nobody.
    for skew_ms in [-75_000, 45_000] {
        let mut world = World::new(79);
        let rules = world.topic(&Topic::named("t"));
        world.node();
        let node = world.node_with(|spec| spec.skew_ms = skew_ms);
        world.connect(0, node);
        world.run(1_000);
        for n in 0..3 {
            let publish_id = world.publish(node, &rules, format!("{n}"));
            world.run(1_000);
            assert!(world.nodes[node].published[&publish_id].is_ok());
        }
        assert!(world.nodes[0].delivered.is_empty());
        // Then it is told, once.
        let events = world.nodes[node].events.iter();
        assert_eq!(events.filter(|event| matches!(event, Event::ClockSkew { .. })).count(), 1, "{skew_ms}");
    }
}

#[test]
fn whatever_a_clock_does_nothing_is_heard_twice_and_no_author_takes_its_own_words_for_anothers() {
    for seed in 0..8 {
        // Given two nodes, of which one's clock steps to and fro, and a peer that says again what they have said.
        let mut world = World::new(1_000 + seed);
        let rules = world.topic(&Topic::named("t").retention(std::time::Duration::from_secs(60)));
        world.nodes(2);
        world.connect(0, 1);
        let keeper = world.hostile(0);
        for round in 0..120 {
            match world.random.below(8) {
                0 => {
                    let step =
                        [0, 0, -20_000, 25_000, -70_000, 70_000, -130_000, 3_600_000][world.random.below(8)];
                    world.nodes[0].skew_ms = step;
                }
                1 => {
                    world.handle(0, crate::protocol::Input::Leave { topic: rules.id() });
                    let wait = world.random.below(3_000) as u64;
                    world.run(wait);
                    let join = crate::protocol::Input::Join {
                        rules: rules.clone(),
                        deliver: true,
                        validate: false,
                        keep: Default::default(),
                    };
                    world.handle(0, join);
                }
                2 => {
                    let again: Vec<_> = world.hostiles[keeper].bundles();
                    let liar = world.hostile(0);
                    for (_, bundle) in again.iter().rev().take(200) {
                        world.pushes(liar, &[bundle]);
                    }
                    world.run(100);
                    let wire = world.hostiles[liar].wire;
                    world.cut(wire);
                }
                _ => {
                    world.publish(0, &rules, format!("own {round}"));
                    world.publish(1, &rules, format!("other {round}"));
                }
            }
            let wait = [5, 1_000, 1_000, 7_000, 30_000][world.random.below(5)];
            world.run(wait);
        }
        // (The world checks that nothing is delivered twice and nobody convicted.)
        assert!(!world.nodes[0].told_of_duplicate_writer(), "seed {seed}");
        world.nodes[0].skew_ms = 0;
        world.run(130_000);
        world.publish(1, &rules, "to it");
        let publish_id = world.publish(0, &rules, "of it");
        world.run(3_000);
        assert!(
            world.nodes[0].has_heard("to it") && world.nodes[1].has_heard("of it"),
            "seed {seed}: {:?}",
            world.nodes[0].published.get(&publish_id)
        );
    }
}
