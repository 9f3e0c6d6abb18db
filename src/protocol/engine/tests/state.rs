//! Topics of state: what is replaced goes, a convicted author has no register, nobody waits for a link, and a batch is one bundle.

use std::sync::Arc;

use bytes::Bytes;

use super::world::{Side, World};
use crate::protocol::keeping::{Keeping, Opened};
use crate::protocol::{Input, PublishError, PublishId};
use crate::rumor::{Cell, MAX_INLINE, RuleSet, Topic};
use crate::store::Store as _;

fn put(key: &str, value: &str) -> Bytes {
    Cell::put(key.to_owned(), value.to_owned()).unwrap().encode()
}

fn opened(world: &mut World, node: usize, rules: &RuleSet) -> Opened {
    let keeping = Keeping {
        bytes: u64::MAX,
        shared: u64::MAX,
        authors: u64::MAX,
        judged_by: None,
        recent_from: 0,
        latest: u64::MAX,
    };
    world.nodes[node].store.open(rules, &keeping).unwrap()
}

/// What a node holds as live: the newest cell of each key, by key. (One author writes.)
fn live(world: &World, node: usize, rules: &RuleSet) -> Vec<(String, String)> {
    let live = world.nodes[node].store.reader().live(&rules.id(), None, usize::MAX).unwrap();
    let cells = live.items.iter().flat_map(|item| item.bundle.as_ref().unwrap().cells().collect::<Vec<_>>());
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let newest: std::collections::BTreeMap<_, _> =
        cells.map(|(_, cell)| (text(cell.key()), cell.value().map(text).unwrap_or_default())).collect();
    newest.into_iter().collect()
}

fn pair(topic: &Topic) -> (World, Arc<RuleSet>) {
    let mut world = World::new(1);
    let rules = world.topic(topic);
    let (one, other) = (world.node(), world.node());
    world.wire(Side::Node(one), Side::Node(other));
    world.run(1_000);
    (world, rules)
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_was_replaced_is_kept_for_a_while_and_then_goes() {
    let (mut world, rules) = pair(&Topic::named("state").state(10));
    world.publish_kept(0, &rules, put("k", "1"));
    world.run(30_000);
    world.publish_kept(0, &rules, put("k", "2"));
    world.run(110_000);
    for node in 0..2 {
        let opened = opened(&mut world, node, &rules);
        assert_eq!((opened.heads.len(), opened.dead.len()), (1, 1), "others compare it");
    }
    world.run(30_000);
    for node in 0..2 {
        let opened = opened(&mut world, node, &rules);
        assert_eq!((opened.dead.len(), opened.size.bundles), (0, 1));
        assert_eq!(live(&world, node, &rules), pairs(&[("k", "2")]));
    }
    // Each removal is a commit: where nothing more was replaced there is none.
    let removals = |world: &World| world.nodes[0].forgotten.len();
    let before = removals(&world);
    world.run(600_000);
    assert_eq!(removals(&world), before);
    // And what is replaced later goes as well.
    world.publish_kept(0, &rules, put("k", "3"));
    world.run(140_000);
    assert_eq!(opened(&mut world, 0, &rules).size.bundles, 1);
    assert!((before + 1..before + 4).contains(&removals(&world)));
}

#[test]
fn a_convicted_author_has_no_register_in_any_life() {
    let (mut world, rules) = pair(&Topic::named("state").state(10));
    let hostile = world.hostile(0);
    let author = world.liar(1);
    let said = world.says_at(&author, &rules, 3, &String::from_utf8_lossy(&put("k", "v")));
    world.pushes(hostile, &[&said]);
    world.run(1_000);
    assert_eq!(live(&world, 1, &rules), pairs(&[("k", "v")]));
    // One node is away while the author is convicted, and learns of it before it has opened the topic again.
    world.nodes[1].store_takes = std::time::Duration::from_secs(5);
    world.restart(1, true);
    let words = ["yes", "no"].map(|word| String::from_utf8_lossy(&put(word, word)).into_owned());
    let [yes, no] = [0, 1].map(|at| world.says_at(&author, &rules, 5, &words[at]));
    world.pushes(hostile, &[&yes]);
    world.run(100);
    world.pushes(hostile, &[&no]);
    world.run(100);
    assert!(world.nodes[0].convicted(&author.public()));
    assert_eq!(live(&world, 0, &rules), pairs(&[]));
    world.wire(Side::Node(0), Side::Node(1));
    world.run(30_000);
    assert!(world.nodes[1].convicted(&author.public()));
    assert_eq!(live(&world, 1, &rules), pairs(&[]));
}

#[test]
fn in_a_topic_of_state_nobody_waits_for_a_link() {
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("state").state(10));
    let log = world.topic(&Topic::named("log").retention_forever());
    let node = world.node();
    world.run(1_000);
    let put = world.publish_kept(node, &rules, put("k", "v"));
    let said = world.publish_kept(node, &log, "v");
    world.run(100);
    assert!(world.nodes[node].published[&put].is_ok());
    assert_eq!(live(&world, node, &rules), pairs(&[("k", "v")]));
    assert_eq!(world.nodes[node].published[&said], Err(PublishError::NoLink));
}

#[test]
fn what_is_older_than_our_own_cell_is_not_kept_and_says_so() {
    // Given a key that was written while the clock was ahead.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("state").state(10));
    let node = world.node_with(|spec| spec.skew_ms = 20_000);
    world.run(1_000);
    world.publish_kept(node, &rules, put("k", "ahead"));
    world.run(100);
    // When it is written again after the clock was set right.
    world.nodes[node].skew_ms = 0;
    let late = world.publish_kept(node, &rules, put("k", "late"));
    world.run(1_000);
    // Then that does not count, and it is told; and a time later it does. Nobody is taken for a second writer.
    assert!(matches!(world.nodes[node].published[&late], Err(PublishError::NotStored(_))));
    assert_eq!(live(&world, node, &rules), pairs(&[("k", "ahead")]));
    world.run(20_000);
    let again = world.publish_kept(node, &rules, put("k", "again"));
    world.run(1_000);
    assert!(world.nodes[node].published[&again].is_ok());
    assert_eq!(live(&world, node, &rules), pairs(&[("k", "again")]));
    assert!(!world.nodes[node].told_of_duplicate_writer());
}

fn publish_together(world: &mut World, node: usize, rules: &RuleSet, first: u64, bodies: &[Bytes]) {
    let rumors = (first..).map(PublishId).zip(bodies.iter().cloned()).collect();
    world.handle(node, Input::PublishTogether { topic: rules.id(), rumors, kept: true });
}

#[test]
fn a_batch_is_one_bundle_or_nothing() {
    let (mut world, rules) = pair(&Topic::named("state").state(1_000).slots_per_tick(40));
    let batch = |name: &str, count: usize| -> Vec<Bytes> {
        (0..count).map(|number| put(&format!("{name}{number}"), "v")).collect()
    };
    // The bundles with a key that begins so: in which tick, and how many of its keys.
    let bundles_of = |world: &World, name: &str| -> Vec<(u64, usize)> {
        let live = world.nodes[1].store.reader().live(&rules.id(), None, usize::MAX).unwrap();
        let bundles = live.items.iter().map(|item| {
            let cells = item.bundle.as_ref().unwrap().cells();
            let begins = |cell: &Cell| cell.key().starts_with(name.as_bytes());
            (item.head.position.tick, cells.filter(|(_, cell)| begins(cell)).count())
        });
        bundles.filter(|(_, count)| *count > 0).collect()
    };
    // Given words that use up most of a tick.
    for number in 0..25 {
        world.publish_kept(0, &rules, put("lone", &number.to_string()));
    }
    // When batches are said, of which the second finds no room in it.
    publish_together(&mut world, 0, &rules, 1_000, &batch("a", 10));
    publish_together(&mut world, 0, &rules, 2_000, &batch("b", 20));
    publish_together(&mut world, 0, &rules, 3_000, &batch("c", 40));
    world.run(5_000);
    // Then each is in one bundle, in the order in which they were said.
    let mut ticks = Vec::new();
    for (name, first, count) in [("a", 1_000, 10), ("b", 2_000, 20), ("c", 3_000, 40)] {
        assert!((first..first + count).all(|id| world.nodes[0].published[&PublishId(id)].is_ok()));
        let bundles = bundles_of(&world, name);
        assert!(matches!(bundles[..], [(_, of)] if of as u64 == count), "{name} is parted: {bundles:?}");
        ticks.push(bundles[0].0);
    }
    assert!(ticks.is_sorted() && ticks[0] < ticks[2], "{ticks:?}");
    assert_eq!(live(&world, 1, &rules).len(), 71);
    // What is no bundle is refused, all of it.
    let large = "x".repeat(MAX_INLINE / 2);
    publish_together(&mut world, 0, &rules, 4_000, &batch("d", 41));
    publish_together(&mut world, 0, &rules, 5_000, &[put("e", &large), put("f", &large)]);
    publish_together(&mut world, 0, &rules, 6_000, &[put("g", "v"), Bytes::from_static(b"no cell")]);
    world.run(2_000);
    let answer = |id| world.nodes[0].published[&PublishId(id)].as_ref().map(drop).map_err(Clone::clone);
    assert!(
        (4_000..4_041)
            .all(|id| matches!(answer(id), Err(PublishError::NoBundle { rumors: 41, most: 40, .. })))
    );
    assert!((5_000..5_002).all(|id| matches!(answer(id), Err(PublishError::NoBundle { rumors: 2, .. }))));
    assert!((6_000..6_002).all(|id| matches!(answer(id), Err(PublishError::NoCell(_)))));
    assert_eq!(live(&world, 1, &rules).len(), 71);
}

#[test]
fn a_batch_is_taken_back_whole() {
    // Given an author that waits for slots, with a word, a batch and a word.
    let (mut world, rules) = pair(&Topic::named("state").state(1_000).slots_per_tick(4));
    for number in 0..4 {
        world.publish_kept(0, &rules, put("lone", &number.to_string()));
    }
    world.run(1);
    world.publish_kept(0, &rules, put("before", "v"));
    publish_together(&mut world, 0, &rules, 1_000, &[put("a", "v"), put("b", "v"), put("c", "v")]);
    world.publish_kept(0, &rules, put("after", "v"));
    // When one of the batch is taken back.
    world.handle(0, Input::Withdraw { topic: rules.id(), publish_id: PublishId(1_001) });
    world.run(5_000);
    // Then none of it is said, and what is around it is.
    for id in 1_000..1_003 {
        assert_eq!(world.nodes[0].published[&PublishId(id)], Err(PublishError::WouldWait));
    }
    let keys: Vec<_> = live(&world, 1, &rules).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["after", "before", "lone"]);
}
