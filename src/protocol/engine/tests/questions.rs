//! Questions to the application: fair, patient in proportion, and told when they take too long.

use super::hostile::bundle;
use super::world::World;
use crate::protocol::{Config, Event, Impairment, Validation};
use crate::rumor::Topic;
use std::time::Duration;

#[test]
fn an_author_that_fills_the_validators_delays_no_other_author() {
    // Given two validators that take 200 ms for each bundle, and an author that has said far more than may wait for them.
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t").slots_per_tick(5_000));
    world.validator_takes = Duration::from_millis(200);
    let node = world.node_with(|spec| {
        spec.config = Config::default().with(|config| {
            config.validators.at_once = 2;
            config.expected_nodes = 20;
        });
        spec.validator = Some(Box::new(|_| Some(Validation::Accept)));
    });
    let honest = world.node();
    world.connect(node, honest);
    let (first, second) = (world.hostile(node), world.hostile(node));
    let (author, tick) = (world.liar(1), world.tick(&rules));
    let words: Vec<_> = (0..8_600u16).map(|n| n % 4_300).collect();
    for (at, slots) in words.chunks(64).enumerate() {
        let author = if at < 68 { author.clone() } else { world.liar(2) };
        let said: Vec<_> =
            slots.iter().map(|slot| bundle(&author, &rules, tick, *slot, &["flood"])).collect();
        world.pushes(if at < 68 { first } else { second }, &said.iter().collect::<Vec<_>>());
        world.run(150);
    }
    let counters = world.nodes[node].counters();
    assert!(counters.validator_overload > 0, "the flood fits");
    // When somebody else says ten things,
    for n in 0..10 {
        world.publish(honest, &rules, format!("word {n}"));
        world.run(500);
    }
    world.run(1_500);
    // Then they are judged and delivered all the same, and the application is told that it is slow.
    for n in 0..10 {
        assert!(world.nodes[node].has_heard(format!("word {n}")), "word {n}");
    }
    let slow = |event: &Event| matches!(event, Event::Impaired { what: Impairment::ValidatorsSlow, .. });
    assert_eq!(world.nodes[node].events.iter().filter(|event| slow(event)).count(), 1);
    // And when it is quick again, that is told as well.
    world.validator_takes = Duration::ZERO;
    world.run(30_000);
    let fast = |event: &Event| matches!(event, Event::Recovered { what: Impairment::ValidatorsSlow, .. });
    assert_eq!(world.nodes[node].events.iter().filter(|event| fast(event)).count(), 1);
}

#[test]
fn a_bundle_of_sixty_four_has_sixty_four_times_as_long() {
    for (count, in_time) in [(1, false), (2, true), (64, true)] {
        // Given a validator that takes 400 ms for a bundle, and 250 ms for each rumor.
        let mut world = World::new(2);
        let rules = world.topic(&Topic::named("t"));
        world.validator_takes = Duration::from_millis(400);
        let node = world.node_with(|spec| spec.validator = Some(Box::new(|_| Some(Validation::Accept))));
        let hostile = world.hostile(node);
        let bodies = vec!["word"; count];
        world.pushes(hostile, &[&bundle(&world.liar(1), &rules, world.tick(&rules), 0, &bodies)]);
        world.run(1_000);
        assert_eq!(world.nodes[node].delivered.len(), if in_time { count } else { 0 }, "{count}");
        assert_eq!(world.nodes[node].counters().validator_timed_out, u64::from(!in_time));
    }
}

#[test]
fn a_validator_that_is_late_is_asked_again_ever_more_rarely() {
    // Given an application that never answers, and one word.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| spec.validator = Some(Box::new(|_| None)));
    let other = world.node();
    world.connect(node, other);
    world.run(100);
    world.publish(other, &rules, "word");
    world.run(60_000);
    // Then it is asked at once, and after 2, 4, 8, 16 and 32 s at the most.
    let timed_out = world.nodes[node].counters().validator_timed_out;
    assert!((3..=5).contains(&timed_out), "{timed_out}");
}

#[test]
fn a_resting_rumor_is_not_judged_again_for_another_copy() {
    // Given an application that never answers, and a word that it was asked about in vain.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| spec.validator = Some(Box::new(|_| None)));
    let (first, second) = (world.hostile(node), world.hostile(node));
    let word = bundle(&world.liar(1), &rules, world.tick(&rules), 0, &["word"]);
    world.pushes(first, &[&word]);
    world.run(500);
    assert_eq!(world.nodes[node].counters().validator_timed_out, 1);
    // When both links push it again before the first pause of 2 s is over, then the application is left alone.
    for hostile in [first, second] {
        world.pushes(hostile, &[&word]);
        world.run(500);
    }
    assert_eq!(world.nodes[node].counters().validator_timed_out, 1);
}

#[test]
fn newcomers_share_the_turn_of_the_link_that_brings_them() {
    // Given two validators that take 200 ms for each bundle, and a link that brings a word of each of two hundred new keys.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t"));
    world.validator_takes = Duration::from_millis(200);
    let node = world.node_with(|spec| {
        spec.config = Config::default().with(|config| {
            config.validators.at_once = 2;
            config.expected_nodes = 20;
        });
        spec.validator = Some(Box::new(|_| Some(Validation::Accept)));
    });
    let (flood, honest) = (world.hostile(node), world.hostile(node));
    for key in 0..200 {
        world.pushes(flood, &[&world.says_at(&world.liar(key), &rules, 0, "flood")]);
    }
    world.run(500);
    // When another link brings the word of one, then it waits for its link's turn and not for two hundred.
    world.pushes(honest, &[&world.says_at(&world.liar(1_000), &rules, 0, "word")]);
    world.run(1_000);
    assert!(world.nodes[node].has_heard("word"));
    assert!(world.nodes[node].delivered.len() < 20, "the flood is judged by now");
}
