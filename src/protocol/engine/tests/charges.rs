//! What a frame makes us do is on the bill of its link, or it is not done.

use std::time::Duration;

use super::hostile::{bundle, frame_of, spoilt};
use super::world::World;
use crate::protocol::{Event, UsedPositions};
use crate::rumor::{RuleSet, Topic};
use crate::wire::{Lane, TopicChange};

/// CPU time on the bill of a hostile peer's link.
fn charged(world: &World, node: usize, hostile: usize) -> Duration {
    let engine = &world.nodes[node].engine;
    let slot = engine.links.slot_of(crate::protocol::LinkId(2 * world.hostiles[hostile].wire as u64 + 1));
    slot.and_then(|slot| engine.links.at(slot)).unwrap().budget().cpu_charged(world.now(node).mono)
}

/// What one frame adds to the bill.
fn cost(world: &mut World, hostile: usize, lane: Lane, frame: bytes::Bytes) -> Duration {
    let before = charged(world, 0, hostile);
    world.says(hostile, lane, frame);
    // The link's latency, in which a quarter as much is earned back at the most.
    world.run(10);
    charged(world, 0, hostile).saturating_sub(before.saturating_sub(Duration::from_micros(2_500)))
}

#[test]
fn bodies_outside_the_window_are_not_hashed() {
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let words = vec!["a"; 64];
    // Given bundles whose bodies are not those of their headers: too old, too early, of a convicted author, and without room.
    let tick = world.tick(&rules);
    for tick in [tick - 100, tick + 100] {
        let old = bundle(&world.liar(1), &rules, tick, 0, &words);
        let frame = spoilt(&old, |bytes| *bytes.last_mut().unwrap() ^= 1);
        world.says(hostile, Lane::Rumors, frame);
        world.run(100);
    }
    // Then nobody has looked at the bodies,
    assert_eq!(world.hostiles[hostile].closed, None);
    // and where they are looked at, it is an offence.
    let new = bundle(&world.liar(1), &rules, tick, 0, &words);
    world.says(hostile, Lane::Rumors, spoilt(&new, |bytes| *bytes.last_mut().unwrap() ^= 1));
    world.run(100);
    assert!(world.hostiles[hostile].closed.is_some());
}

#[test]
fn each_body_that_is_hashed_is_charged() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    world.node();
    let hostile = world.hostile(0);
    let bundle_of = |world: &World, author: u64, count: usize| {
        frame_of(0, &[&bundle(&world.liar(author), &rules, world.tick(&rules), 0, &vec![""; count])])
    };
    world.run(2_000);
    let frame = bundle_of(&world, 1, 1);
    let one = cost(&mut world, hostile, Lane::Rumors, frame);
    world.run(2_000);
    let frame = bundle_of(&world, 2, 64);
    let many = cost(&mut world, hostile, Lane::Rumors, frame);
    assert!(many >= one + Duration::from_micros(63 / 4), "{one:?}, {many:?}");
}

/// A node whose author waits in so many topics.
fn waiting(world: &mut World, topics: usize) -> Vec<std::sync::Arc<RuleSet>> {
    let rules: Vec<_> = (0..topics).map(|n| world.topic(&Topic::named(format!("{n}")))).collect();
    // Without a position log a loaded key is mute at first.
    world.node_with(|spec| spec.position_log = UsedPositions::None);
    let _witness = world.hostile(0);
    for rules in &rules {
        world.publish(0, rules, "word");
    }
    rules
}

#[test]
fn a_change_of_topics_wakes_the_authors_that_wait_in_them_and_is_charged_for_it() {
    let mut world = World::new(3);
    let rules = waiting(&mut world, 8);
    let hostile = world.hostile(0);
    let change = |topics: &[&std::sync::Arc<RuleSet>], joins: bool| {
        let topics: Vec<_> = topics.iter().map(|rules| *rules.id().as_bytes()).collect();
        let (joined, left) = if joins { (topics, vec![]) } else { (vec![], topics) };
        TopicChange { joined, left, ..TopicChange::default() }
    };
    let slot = {
        let engine = &world.nodes[0].engine;
        engine.links.slot_of(crate::protocol::LinkId(2 * world.hostiles[hostile].wire as u64 + 1)).unwrap()
    };
    // When a link says which topics it relays, those that wait there are woken, and no others: none for what changes nothing.
    let engine = &mut world.nodes[0].engine;
    let now = engine.cx.now;
    for (joins, topics, woken) in [
        (false, 0..3, 3),
        (false, 0..3, 0),
        (true, 0..1, 1),
        (true, 0..1, 0),
        (true, 1..3, 2),
        (true, 5..8, 0),
    ] {
        engine.seal_waiting();
        let topics: Vec<_> = rules[topics].iter().collect();
        let before = engine.links.at(slot).unwrap().budget().cpu_charged(now.mono);
        engine.on_topics(slot, change(&topics, joins));
        assert_eq!(engine.publisher.awake(), woken, "{joins} {}", topics.len());
        let after = engine.links.at(slot).unwrap().budget().cpu_charged(now.mono);
        assert_eq!(after > before, woken > 0);
    }
}

#[test]
fn a_link_that_brings_a_convicted_author_is_sent_the_evidence() {
    // Given a convicted author's word that was refused and is remembered.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (first, second) = (world.hostile(node), world.hostile(node));
    let author = world.liar(1);
    for word in ["yes", "no"] {
        world.pushes(first, &[&world.says_at(&author, &rules, 0, word)]);
        world.run(100);
    }
    assert!(world.nodes[node].events.iter().any(|event| matches!(event, Event::Convicted { .. })));
    let later = world.says_at(&author, &rules, 1, "later");
    world.pushes(first, &[&later]);
    world.run(100);
    // When others announce it, nobody is asked for it; and who pushes it is told of the proof.
    world.announces(second, &rules, &[later.id()]);
    let third = world.hostile(node);
    world.pushes(third, &[&later]);
    world.run(100);
    assert_eq!(world.hostiles[second].pulls_of(&later.id()), 0);
    assert!(world.hostiles[third].got_evidence(&author.public()));
}

#[test]
fn whoever_has_all_sources_of_an_id_looked_at_pays_for_it() {
    // Given an id that two hundred links have announced, none of which serves it.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t"));
    world.node_with(|spec| {
        spec.config.links = crate::protocol::Config::default()
            .with(|config| {
                config.links.max = 256;
                config.links.inbound = 250;
                config.links.hash_selected = 0;
            })
            .links
    });
    let first = world.hostile(0);
    let id = super::hostile::fake_id(1);
    world.run(2_000);
    let announce = |id| crate::wire::announce(&rules.id(), &[(id, 9)]);
    let alone = cost(&mut world, first, Lane::Control, announce(id));
    let others: Vec<_> = (0..200).map(|_| world.hostile(0)).collect();
    for other in &others {
        world.says(*other, Lane::Control, announce(id));
    }
    // When another announces it while nobody is trusted to serve it, then all of them are looked at, on its bill.
    let last = world.hostile(0);
    world.run(2_000);
    let among_many = cost(&mut world, last, Lane::Control, announce(id));
    assert!(among_many > alone + Duration::from_nanos(200 * 50 / 4), "{alone:?}, {among_many:?}");
}
