//! What a link brings because we pulled it is on its bill like what it sends by itself.

use super::hostile::{bundle, frame_of};
use super::world::World;
use crate::rumor::{Bundle, BundleId, Evidence, RuleSet, Topic};
use crate::wire::{self, Frame, Lane};

/// What each link may bring a second, and at once.
const RATE: u64 = 100_000;
/// What a link may owe us, in bytes.
const OWED: u64 = 1 << 20;
/// The size class of a bundle of 60 kB.
const LARGE: u8 = 16;

/// A world with a node in a topic of bodies of up to 60 kB, on fast lines.
fn world() -> (World, std::sync::Arc<RuleSet>, usize) {
    let mut world = World::new(51);
    world.latency = (std::time::Duration::from_millis(1), std::time::Duration::from_millis(1));
    let rules = world.topic(&Topic::named("t").max_body(60_000).slots_per_tick(1_024));
    let node = world.node_with(|spec| {
        spec.config.budget.bytes_per_s = RATE;
        spec.config.budget.bytes_burst = RATE;
    });
    (world, rules, node)
}

fn announce(world: &mut World, hostile: usize, rules: &RuleSet, words: &[Bundle]) {
    let items: Vec<_> = words.iter().map(|word| (word.id(), LARGE)).collect();
    world.says(hostile, Lane::Control, wire::announce(&rules.id(), &items));
}

/// Serves whatever of `words` was pulled since the frame at `from`. Gives the number of frames now.
fn serve(world: &mut World, hostile: usize, words: &[Bundle], from: usize) -> usize {
    let frames = &world.hostiles[hostile].frames;
    let pulled = frames[from..].iter().filter_map(|frame| match frame {
        Frame::Pull(ids) => Some(ids.ids.clone()),
        _ => None,
    });
    let (pulled, now): (Vec<BundleId>, _) = (pulled.flatten().collect(), frames.len());
    for word in words.iter().filter(|word| pulled.contains(&word.id())) {
        world.says(hostile, Lane::Replies, frame_of(0, &[word]));
    }
    now
}

#[test]
fn what_is_pulled_in_vain_costs_no_more_than_what_is_pushed() {
    // Given a liar that announces sixteen large bundles from outside the window, serves them, and announces others.
    let (mut world, rules, node) = world();
    let hostile = world.hostile(node);
    let (author, body) = (world.liar(1), "x".repeat(60_000));
    let (mut all, mut seen) = (Vec::new(), 0);
    for round in 0..100 {
        let tick = world.tick(&rules) - 10_000;
        let words: Vec<_> = (0..16).map(|n| bundle(&author, &rules, tick + round, n, &[&body])).collect();
        announce(&mut world, hostile, &rules, &words);
        all.extend(words);
        for _ in 0..10 {
            world.run(10);
            seen = serve(&mut world, hostile, &all, seen);
        }
    }
    // Then in ten seconds it has brought ten times its rate, and what it may at once.
    let bytes = world.nodes[node].counters().bytes_in;
    println!("{bytes} bytes in ten seconds");
    assert!(bytes > 5 * RATE && bytes < 11 * RATE + OWED + 200_000, "{bytes}");
    assert!(world.hostiles[hostile].closed.is_none(), "nobody is to blame");
}

#[test]
fn a_convicted_authors_rumor_is_pulled_once() {
    // Given a liar that announces the same 64 bundles of a convicted author again and again, and serves them.
    let (mut world, rules, node) = world();
    let (hostile, teller) = (world.hostile(node), world.hostile(node));
    let author = world.liar(1);
    let [yes, no] = ["yes", "no"].map(|word| world.says_at(&author, &rules, 1_000, word));
    let proof = Evidence::new(*yes.signed_header(), *no.signed_header()).unwrap();
    world.says(teller, Lane::Control, wire::evidence(&proof));
    world.run(50);
    assert!(world.nodes[node].convicted(&author.public()));
    let body = "x".repeat(60_000);
    let words: Vec<_> = (0..64).map(|slot| world.says_at(&author, &rules, slot, &body)).collect();
    let mut seen = 0;
    for _ in 0..1_000 {
        announce(&mut world, hostile, &rules, &words);
        for _ in 0..10 {
            world.run(10);
            seen = serve(&mut world, hostile, &words, seen);
        }
    }
    // Then each is pulled once, at the link's rate, and then known as refused.
    let counters = world.nodes[node].counters();
    assert_eq!((counters.pulls, counters.convicted_author), (64, 64));
}

#[test]
fn an_honest_announcer_is_not_closed_for_serving() {
    // Given an honest neighbour that holds a hundred bodies of 10 kB, ten times what a link may bring in a second.
    let (mut world, rules, node) = world();
    let other = world.node();
    let witness = world.hostile(other);
    for n in 0..100 {
        world.publish(other, &rules, format!("{n:0>10000}"));
        world.run(20);
    }
    // When the node pulls them,
    world.connect(other, node);
    world.run(15_000);
    // Then it hears all of them at the rate of its bill, and has never stopped reading.
    assert_eq!(world.nodes[node].delivered.len(), 100);
    assert_eq!(world.nodes[node].counters().paused_for_budget, 0);
    let took = world.nodes[node].delivered[99].at - world.nodes[node].delivered[0].at;
    assert!(took > 1_000_000_000, "{took}");
    assert!(world.hostiles[witness].closed.is_none());
}
