//! Verification that falls behind: senders are stopped, memory does not grow, and nothing is lost.

use std::time::Duration;

use super::hostile::{bundle, frame_of};
use super::world::World;
use crate::rumor::{Guarantee, Topic};
use crate::wire::{self, Lane, MAX_FRAME_LEN};

#[test]
fn a_verifier_that_falls_behind_stops_the_senders_and_loses_nothing() {
    // Given a node whose verifier takes two seconds for a batch, and three links that push 40 frames of 16 bundles each.
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t").slots_per_tick(1_024));
    let node = world.node();
    let links = [0, 1, 2].map(|_| world.hostile(node));
    world.verify_takes = Duration::from_secs(2);
    let tick = world.tick(&rules);
    for (link, number) in links.into_iter().zip(1..) {
        let author = world.liar(number);
        for frame in 0..40 {
            let words: Vec<_> =
                (0..16).map(|n| bundle(&author, &rules, tick, 16 * frame + n, &["word"])).collect();
            world.pushes(link, &words.iter().collect::<Vec<_>>());
        }
    }
    world.run(1_000);
    // Then of each link 64 wait, and the frame that made it so many; the rest has not been read.
    let stats = world.engine(node).stats();
    for link in &stats.links {
        assert!((64..64 + 16).contains(&link.waiting_verification), "{link:?}");
    }
    assert!(stats.counters.paused_for_verification >= 3 && stats.counters.copies_in < 3 * 96);
    // And when the verifier keeps up again, all of it comes through.
    world.verify_takes = Duration::from_micros(200);
    world.run(30_000);
    assert_eq!(world.nodes[node].delivered.len(), 3 * 640);
    assert!(links.iter().all(|link| world.hostiles[*link].closed.is_none()), "nobody is to blame");
}

/// Forty bundles of 60 kB over one link to a slow verifier.
fn large_ones_wait(topic: Topic, headers_first: bool) {
    let mut world = World::new(2);
    let rules = world.topic(&topic.slots_per_tick(64).max_body(60_000));
    let node = world.node();
    let link = world.hostile(node);
    world.verify_takes = Duration::from_secs(2);
    let (author, body) = (world.liar(1), "x".repeat(60_000));
    let words: Vec<_> = (0..40).map(|slot| world.says_at(&author, &rules, slot, &body)).collect();
    if headers_first {
        let headers: Vec<_> = words.iter().map(|word| *word.signed_header()).collect();
        world.says(link, Lane::Control, wire::headers(&headers));
        world.run(100);
        assert_eq!(world.engine(node).stats().links[0].waiting_bytes, 0);
    }
    for word in &words {
        world.says(link, Lane::Rumors, frame_of(0, &[word]));
    }
    world.run(1_000);
    let stats = world.engine(node).stats();
    let waiting = stats.links[0].waiting_bytes;
    assert!((512 << 10..(512 << 10) + MAX_FRAME_LEN).contains(&waiting), "{waiting} bytes");
    assert_eq!(stats.counters.paused_for_verification, 1);
    world.verify_takes = Duration::from_micros(200);
    world.run(30_000);
    assert_eq!(
        (world.nodes[node].delivered.len(), world.engine(node).stats().links[0].waiting_bytes),
        (40, 0)
    );
}

#[test]
fn bodies_that_wait_for_a_verdict_are_bounded() {
    large_ones_wait(Topic::named("t"), false);
}

#[test]
fn bodies_of_headers_that_wait_are_bounded() {
    let held = Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(5)));
    large_ones_wait(held, true);
}

#[test]
fn bodies_of_another_links_headers_are_bounded_too() {
    // Given a link that sends 40 headers to a slow verifier, and another that sends their bodies of 60 kB.
    let mut world = World::new(4);
    let held = Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(5)));
    let rules = world.topic(&held.slots_per_tick(64).max_body(60_000));
    let node = world.node();
    let (first, second) = (world.hostile(node), world.hostile(node));
    world.verify_takes = Duration::from_secs(2);
    let (author, body) = (world.liar(1), "x".repeat(60_000));
    let words: Vec<_> = (0..40).map(|slot| world.says_at(&author, &rules, slot, &body)).collect();
    let headers: Vec<_> = words.iter().map(|word| *word.signed_header()).collect();
    world.says(first, Lane::Control, wire::headers(&headers));
    world.run(100);
    for word in &words {
        world.pushes(second, &[word]);
    }
    world.run(1_000);
    let waiting: usize = world.engine(node).stats().links.iter().map(|link| link.waiting_bytes).sum();
    assert!((512 << 10..(512 << 10) + MAX_FRAME_LEN).contains(&waiting), "{waiting} bytes");
    // Then what found no room is asked for when its signature has held.
    world.verify_takes = Duration::from_micros(200);
    world.run(4_000);
    let missing: Vec<_> =
        words.iter().filter(|word| world.hostiles[second].pulls_of(&word.id()) > 0).collect();
    assert!(missing.len() > 20, "{} asked for", missing.len());
    for word in missing {
        world.says(second, Lane::Replies, frame_of(0, &[word]));
    }
    world.run(30_000);
    assert_eq!(world.nodes[node].delivered.len(), 40);
    assert!([first, second].iter().all(|link| world.hostiles[*link].closed.is_none()), "nobody is to blame");
}

#[test]
fn many_links_together_make_no_more_wait_than_a_few() {
    // Given 90 links that each push ten frames of eight bundles, in turn.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t").slots_per_tick(128));
    let node = world.node();
    let links: Vec<_> = (0..90).map(|_| world.hostile(node)).collect();
    world.verify_takes = Duration::from_secs(60);
    let tick = world.tick(&rules);
    for frame in 0..10 {
        for (link, number) in links.iter().zip(1..) {
            let author = world.liar(number);
            let words: Vec<_> =
                (0..8).map(|n| bundle(&author, &rules, tick, 8 * frame + n, &["word"])).collect();
            world.pushes(*link, &words.iter().collect::<Vec<_>>());
        }
        world.run(20);
    }
    // Then what waits is 4 096, and a frame of each that was being read; each alone could have made 64 wait.
    let stats = world.engine(node).stats();
    assert_eq!(stats.links.len(), 90);
    assert!((4_096..4_096 + 90 * 8).contains(&stats.waiting_verification), "{}", stats.waiting_verification);
    world.verify_takes = Duration::from_micros(200);
    world.run(70_000);
    assert_eq!(world.nodes[node].delivered.len(), 90 * 80);
}
