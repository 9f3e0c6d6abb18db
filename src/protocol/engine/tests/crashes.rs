//! An author that crashes at any moment, and loses any part of what its disk had not made durable: it may fork its chain, and never
//! contradicts itself.

use std::collections::BTreeSet;
use std::time::Duration;

use super::repair::log;
use super::world::{Side, World};
use crate::protocol::Event;
use crate::protocol::keeping::Cursor;
use crate::protocol::random::Random;
use crate::rumor::{Guarantee, RuleSet};
use crate::store::{MemoryStore, Store as _};

/// What is left after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Crash {
    /// All that the store had been given: the process alone was killed.
    Kill,
    /// What was in the store some moments before: power was lost.
    Power,
    /// The store was damaged and moved aside, the position log is there.
    MovedAside,
    /// Nothing: no store and no position log. A new log waits, since the key was used before.
    Disk,
}

/// Ids of all that the store of a node holds and shows.
fn ids(world: &World, node: usize, rules: &RuleSet) -> BTreeSet<crate::rumor::BundleId> {
    let scan = world.nodes[node].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap();
    scan.items.iter().map(|item| item.bundle.id()).collect()
}

fn forks(world: &World, node: usize) -> usize {
    let events = world.nodes[node].events.iter();
    events.filter(|event| matches!(event, Event::AuthorForked { .. })).count()
}

/// A run with crashes of chance. Gives how it crashed, and how many forks the others have seen. (After each event the world checks that
/// nobody has convicted, blamed or banned anybody: all are honest.)
fn crashes(seed: u64) -> (BTreeSet<Crash>, usize) {
    let mut dice = Random::new(&[seed as u8; 32]);
    let mut world = World::new(seed);
    let rules = world.topic(&log());
    let nodes: Vec<_> = (0..3).map(|_| world.node()).collect();
    let link = |world: &mut World| {
        for other in &nodes[1..] {
            world.wire(Side::Node(0), Side::Node(*other));
        }
    };
    world.wire(Side::Node(1), Side::Node(2));
    link(&mut world);
    world.run(2_000);
    let mut kinds = BTreeSet::new();
    for _ in 0..5 {
        world.nodes[0].store_takes = Duration::from_millis(1 + dice.below(80) as u64);
        world.nodes[0].record_takes = Duration::from_millis(1 + dice.below(80) as u64);
        let before = world.nodes[0].store.copy();
        for number in 0..1 + dice.below(4) {
            world.publish(0, &rules, format!("{seed} {number}"));
            world.run(dice.below(40) as u64);
        }
        let crash = [Crash::Kill, Crash::Power, Crash::Power, Crash::MovedAside, Crash::Disk][dice.below(5)];
        kinds.insert(crash);
        match crash {
            Crash::Kill => {}
            Crash::Power => world.nodes[0].store = before,
            Crash::MovedAside => world.nodes[0].store = MemoryStore::new(1),
            Crash::Disk => {
                world.nodes[0].store = MemoryStore::new(1);
                world.nodes[0].lose_disk();
            }
        }
        // It is back within the tick, mostly.
        world.restart(0, true);
        world.run(dice.below(300) as u64);
        link(&mut world);
        world.run(100);
        let said = world.publish(0, &rules, format!("{seed} after {crash:?}"));
        // Without a record it is mute for the skew and a tick; with one until the tick after what is recorded.
        world.until(40_000, |world| world.nodes[0].published.contains_key(&said));
        assert!(world.nodes[0].published[&said].is_ok(), "{:?}", world.nodes[0].published[&said]);
    }
    // In the end it has from the others what it had lost, and they have all that it said last.
    let whole =
        |world: &World| nodes[1..].iter().all(|other| ids(world, *other, &rules) == ids(world, 0, &rules));
    let mut waited = 0;
    while !whole(&world) {
        assert!(waited < 240, "seed {seed}: not after {waited} s");
        world.run(1_000);
        waited += 1;
    }
    assert!(nodes.iter().all(|node| world.nodes[*node].engine.convicted().is_empty()));
    assert!(
        nodes.iter().all(|node| !world.nodes[*node].told_of_duplicate_writer()),
        "its own past is no second writer"
    );
    (kinds, forks(&world, 1))
}

#[test]
fn a_crash_forks_and_never_convicts() {
    let (mut kinds, mut forks) = (BTreeSet::new(), 0);
    for seed in 0..24 {
        let (more, seen) = crashes(seed);
        kinds.extend(more);
        forks += seen;
    }
    assert_eq!(kinds.len(), 4);
    assert!(forks > 5, "{forks} forks: nothing was lost in these crashes");
}

/// What contradicts itself while it is held back is shown to nobody, neither live nor in what is replayed, before or after a crash.
#[test]
fn held_back_is_held_in_replay() {
    for crashes in [false, true] {
        let mut world = World::new(1);
        let rules = world.topic(&log().guarantee(Guarantee::HoldBack(Duration::from_secs(5))));
        let (one, other) = (world.node(), world.node());
        world.wire(Side::Node(one), Side::Node(other));
        world.run(1_000);
        let (liar, author) = (world.hostile(one), world.liar(1));
        let [yes, no] = super::equivocation::two_words(&world, &author, &rules);
        world.pushes(liar, &[&yes]);
        world.run(2_000);
        let held = |world: &World, node: usize| {
            let at = [(author.public(), yes.header().position(), yes.id())];
            world.nodes[node].store.reader().held(&rules.id(), &at).unwrap()[0]
        };
        assert_eq!(held(&world, other), crate::protocol::keeping::Held::Yes, "kept at once, and not shown");
        if crashes {
            world.restart(other, true);
            world.wire(Side::Node(one), Side::Node(other));
            world.run(2_000);
        }
        world.pushes(liar, &[&no]);
        world.run(60_000);
        for node in [one, other] {
            assert!(world.nodes[node].convicted(&author.public()));
            assert_eq!(ids(&world, node, &rules), BTreeSet::new(), "crashes: {crashes}, node {node}");
            assert!(world.nodes[node].delivered.is_empty());
        }
    }
}
