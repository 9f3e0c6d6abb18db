//! Topics of state in repair: what is replaced all the time costs next to nothing to compare, and a page proves nothing about it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::repair::{held, put};
use super::teller::Lie;
use super::world::{Side, World};
use crate::key::SecretKey;
use crate::protocol::LinkId;
use crate::rumor::{Bundle, Cell, Position, RuleSet, Topic, seal};

/// A question and an answer of "the same", with their kinds.
const SAME: usize = 114 + 47;
const ASK: u8 = 10;
const TELL: u8 = 11;

fn put_cell(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Bytes {
    Cell::put(key, value).unwrap().encode()
}

/// A bundle with one cell.
fn cell_at(rules: &RuleSet, author: &SecretKey, tick: u64, slot: u16, key: &str) -> Arc<Bundle> {
    let at = Position { tick, slot };
    Arc::new(seal(author, rules.id(), at, &[put_cell(key.to_owned(), "value")]).unwrap())
}

/// So many keys of one author, 32 in each tick, the last one so many seconds ago.
fn cells(world: &World, rules: &RuleSet, author: &SecretKey, count: u64, secs: u64) -> Vec<Arc<Bundle>> {
    let first = world.tick(rules) - secs - count / 32;
    let cell = |at: u64| cell_at(rules, author, first + at / 32, (at % 32) as u16, &at.to_string());
    (0..count).map(cell).collect()
}

/// Bytes that nodes have sent of these kinds, from this frame of each on.
fn sent(world: &World, node: usize, from: usize, kinds: &[u8], to: impl Fn(LinkId) -> bool) -> Vec<usize> {
    let frames = world.nodes[node].past_sent[from..].iter();
    frames.filter(|(link, kind, _)| kinds.contains(kind) && to(*link)).map(|(_, _, len)| *len).collect()
}

#[test]
fn equal_nodes_say_same() {
    let mut world = World::new(1);
    world.latency = (Duration::from_millis(20), Duration::from_millis(150));
    let rules = world.topic(&Topic::named("state").state(1_000));
    let nodes: Vec<usize> = (0..6u8)
        .map(|at| world.node_with(|spec| spec.skew_ms = if at % 2 == 0 { 14_900 } else { -14_900 }))
        .collect();
    for one in &nodes {
        for other in &nodes[..*one] {
            world.wire(Side::Node(*one), Side::Node(*other));
        }
    }
    world.run(2_000);
    // Each node changes each of 100 keys every 100 seconds.
    let mut number = 0u64;
    let mut change = |world: &mut World, secs: u64| {
        for _ in 0..secs {
            for node in &nodes {
                world.publish(*node, &rules, put_cell((number % 100).to_le_bytes().to_vec(), "value"));
                world.run(if *node % 2 == 0 { 160 } else { 173 });
            }
            number += 1;
        }
    };
    change(&mut world, 110);
    let before: Vec<_> = nodes
        .iter()
        .map(|node| (world.nodes[*node].counters(), world.nodes[*node].past_sent.len()))
        .collect();
    change(&mut world, 600);
    let (mut sessions, mut same, mut bytes) = (0, 0, 0);
    for (node, (counters, frames)) in nodes.iter().zip(before) {
        let now = world.nodes[*node].counters();
        sessions += now.sessions - counters.sessions;
        let sent = sent(&world, *node, frames, &[ASK, TELL], |_| true);
        same += sent.iter().filter(|len| **len == SAME - 114).count() as u64;
        bytes += sent.iter().sum::<usize>() as u64;
        assert_eq!((now.offences, now.history_strikes), (0, 0));
    }
    assert!(sessions >= 60, "{sessions}");
    assert!(same * 100 >= sessions * 99, "{same} of {sessions} sessions are the same");
    assert!(bytes <= sessions * SAME as u64 * 11 / 10, "{bytes} bytes for {sessions} sessions");
}

#[test]
fn a_joiner_costs_little() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("state").state(10_000));
    let [one, other, joiner] = [world.node(), world.node(), world.node()];
    world.run(100);
    let all = cells(&world, &rules, &world.liar(1), 10_000, 300);
    put(&mut world, one, &all);
    put(&mut world, other, &all);
    let half: Vec<_> = all.iter().step_by(2).cloned().collect();
    put(&mut world, joiner, &half);
    world.wire(Side::Node(one), Side::Node(other));
    world.run(70_000);
    let [first, second] = [one, other].map(|node| {
        let wire = world.wire(Side::Node(joiner), Side::Node(node));
        world.wires[wire].bandwidth = 200_000;
        LinkId(2 * wire as u64 + 1)
    });
    let mut waited = 0;
    while held(&world, joiner, &rules, &all) < all.len() {
        assert!(waited < 120, "{waited} s: {:?}", world.nodes[joiner].engine.repairing(&rules.id()));
        world.run(1_000);
        waited += 1;
    }
    for (node, link) in [(one, first), (other, second)] {
        let asked = sent(&world, node, 0, &[ASK], |to| to == link);
        let told = sent(&world, joiner, 0, &[TELL], |to| to == LinkId(link.0 - 1));
        let bytes: usize = asked.iter().chain(&told).sum();
        assert!(bytes <= 200, "a joiner is asked when it has all: {asked:?} {told:?}");
    }
    // When it has all, it is asked as any other is.
    let before = world.nodes[joiner].past_sent.len();
    world.run(120_000);
    let told = sent(&world, joiner, before, &[TELL], |_| true);
    assert!(told.len() >= 2 && told.iter().all(|len| *len == SAME - 114), "{told:?}");
}

#[test]
fn a_page_of_state_proves_nothing() {
    // Given two links that list all, of which the pages of one leave out every second bundle, as if they were replaced by then.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("state").state(10_000));
    world.node();
    world.run(100);
    let all = cells(&world, &rules, &world.liar(1), 200, 300);
    let mut tellers = [Lie::Holes(2), Lie::None].map(|lie| world.teller(0, &rules, &all, lie));
    world.run_with(&mut tellers, 60_000);
    // Then the other brings them, and nobody is struck.
    let again = tellers[1].fetches.iter().flat_map(|fetch| &fetch.ranges);
    let passed = tellers[0].fetches.iter().flat_map(|fetch| &fetch.ranges).collect::<Vec<_>>();
    assert!(again.filter(|range| passed.iter().any(|other| other.upto == range.upto)).count() > 10);
    assert_eq!((held(&world, 0, &rules, &all), world.nodes[0].counters().history_strikes), (200, 0));
}

#[test]
fn no_past_is_written_in_a_topic_of_state() {
    // Given an author of whom we hold the newest cell, and that may say next to nothing while it is live.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("state").state(1_000).slots_per_tick(1).max_body(32));
    world.node();
    world.run(100);
    let (first, author) = (world.tick(&rules) - 700, world.liar(1));
    let all: Vec<_> = (0..200).map(|at| cell_at(&rules, &author, first + at, 0, &at.to_string())).collect();
    put(&mut world, 0, &all[199..]);
    // Then its other cells come at the speed of the line: there are no more than its keys.
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.until_with(&mut tellers, 20_000, |world| held(world, 0, &rules, &all) == 200);
}

#[test]
fn state_is_compared_as_of_a_short_while_ago() {
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("state").state(10));
    world.node();
    world.run(100);
    let all = cells(&world, &rules, &world.liar(1), 1, 58);
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 5_000);
    assert_eq!(held(&world, 0, &rules, &all), 1, "it is found in the first session");
    // And nothing that is on its way.
    let tick = world.tick(&rules);
    assert!(tellers[0].asks.iter().all(|ask| ask.as_of + 40 <= tick && tick <= ask.as_of + 40 + 16 + 6));
}
