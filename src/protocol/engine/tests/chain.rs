//! The chain: each bundle names what its author said before it in the topic.

use super::hostile::frame_of;
use super::world::World;
use crate::protocol::{Event, Input};
use crate::rumor::{Header, Position, Previous, RuleSet, Topic, seal_after};
use crate::wire::Lane;

/// Headers of all that was pushed to a peer, in order.
fn pushed_to(world: &World, peer: usize) -> Vec<Header> {
    world.hostiles[peer].bundles().iter().map(|(_, bundle)| *bundle.header()).collect()
}

fn names(later: &Header, earlier: &Header) -> bool {
    later.prev == Some(Previous { id: earlier.id(), position: earlier.position() })
}

fn says(world: &mut World, rules: &RuleSet, bodies: &[&str]) {
    for body in bodies {
        world.publish(0, rules, body);
        world.run(1_100);
    }
}

#[test]
fn each_bundle_names_the_one_before_it_in_its_topic() {
    let mut world = World::new(1);
    let [one, other] = ["one", "other"].map(|name| world.topic(&Topic::named(name)));
    world.nodes(1);
    let peer = world.hostile(0);
    world.run(100);
    says(&mut world, &one, &["a", "b"]);
    says(&mut world, &other, &["x"]);
    says(&mut world, &one, &["c"]);
    let heard = pushed_to(&world, peer);
    assert!(names(&heard[1], &heard[0]), "{heard:?}");
    assert_eq!([heard[0].prev, heard[2].prev], [None, None], "each topic has a chain of its own");
    assert!(names(&heard[3], &heard[1]), "{heard:?}");
}

#[test]
fn the_chain_goes_on_after_a_topic_was_left_and_is_forgotten_with_the_window() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    let other = world.topic(&Topic::named("other"));
    world.nodes(1);
    let peer = world.hostile(0);
    world.run(100);
    says(&mut world, &rules, &["a"]);
    for away in [5_000, 95_000] {
        world.handle(0, Input::Leave { topic: rules.id() });
        world.run(away);
        // Leaving another topic is when what is old is forgotten.
        world.handle(0, Input::Leave { topic: other.id() });
        world.handle(
            0,
            Input::Join { rules: other.clone(), deliver: true, validate: false, keep: Default::default() },
        );
        world.handle(
            0,
            Input::Join { rules: rules.clone(), deliver: true, validate: false, keep: Default::default() },
        );
        world.run(100);
        says(&mut world, &rules, &["again"]);
    }
    let heard = pushed_to(&world, peer);
    assert!(names(&heard[1], &heard[0]), "{heard:?}");
    assert_eq!(heard[2].prev, None, "nobody need know what was said two minutes ago");
}

#[test]
fn what_is_said_under_an_earlier_clock_names_nothing_later() {
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(1);
    let peer = world.hostile(0);
    world.run(100);
    says(&mut world, &rules, &["a"]);
    world.nodes[0].skew_ms -= 10_000;
    says(&mut world, &rules, &["b"]);
    world.nodes[0].skew_ms += 10_000;
    says(&mut world, &rules, &["c"]);
    let heard = pushed_to(&world, peer);
    assert_eq!(heard[1].prev, None);
    assert!(heard[1].position() < heard[0].position());
    assert!(names(&heard[2], &heard[0]), "the latest is named, not the last that was sealed: {heard:?}");
}

#[test]
fn a_previous_bundle_that_is_not_earlier_is_an_offence_and_any_other_is_not() {
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(1);
    let tick = rules.tick_len().tick_at(world.now_with(0).unix_ms);
    let author = world.liar(1);
    let other = seal_after(&author, rules.id(), None, Position { tick, slot: 9 }, &["x".into()]).unwrap();
    let id = other.id();
    // What nobody has seen, what lies long ago, and slot 0 of the same tick are lawful.
    for (slot, position) in [(1, Position { tick: 1, slot: 7 }), (2, Position { tick, slot: 0 })] {
        let prev = Some(Previous { id, position });
        let bundle = seal_after(&author, rules.id(), prev, Position { tick, slot }, &["y".into()]).unwrap();
        let link = world.hostile(0);
        world.pushes(link, &[&bundle]);
        world.run(100);
        assert_eq!(world.hostiles[link].closed, None);
    }
    let zero = crate::rumor::BundleId::from_bytes([0; 32]);
    let bad = [
        Previous { id, position: Position { tick, slot: 3 } },
        Previous { id, position: Position { tick: tick + 1, slot: 0 } },
        Previous { id: zero, position: Position { tick: 1, slot: 0 } },
    ];
    for prev in bad {
        let position = Position { tick, slot: 3 };
        assert!(seal_after(&author, rules.id(), Some(prev), position, &["y".into()]).is_err());
        let honest = seal_after(&author, rules.id(), None, position, &["y".into()]).unwrap();
        let header = Header { prev: Some(prev), ..*honest.header() };
        let mut frame = frame_of(0, &[&honest]).to_vec();
        frame[2..2 + crate::rumor::HEADER_LEN].copy_from_slice(&header.encode());
        let link = world.hostile(0);
        world.says(link, Lane::Rumors, frame.into());
        world.run(100);
        assert!(world.hostiles[link].closed.is_some(), "{prev:?}");
    }
    assert!(world.nodes[0].events.iter().any(|event| matches!(event, Event::Offence { .. })));
}
