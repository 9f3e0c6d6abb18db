//! What another version of the application's judge has rejected is judged again: by whom, when, and whatever goes wrong meanwhile.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::hostile::bundle;
use super::repair::{ago, alone, held};
use super::teller::{Lie, chain};
use super::world::World;
use crate::protocol::keeping::{
    Arrival, Cursor, Forget, Group, Keep, KeepOptions, Keeping, Show, StoreTrouble,
};
use crate::protocol::{Event, Impairment, Input, Validation};
use crate::rumor::{Bundle, RuleSet};
use crate::store::Store as _;

/// Puts bundles into the store of a node that version 7 has rejected.
fn put_rejected(world: &mut World, bundles: &[Arc<Bundle>]) {
    let keep = |bundle: &Arc<Bundle>| Keep {
        bundle: bundle.clone(),
        arrival: Arrival::Live,
        show: Show::Rejected { by: 7 },
    };
    let keeps: Vec<_> = bundles.iter().map(keep).collect();
    world.nodes[0].store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
}

/// A node that keeps a topic, and what version 7 has rejected there of one author.
fn with_rejected(seed: u64, count: u64) -> (World, Arc<RuleSet>, Vec<Arc<Bundle>>) {
    let (mut world, rules) = alone(seed);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, count), 100);
    put_rejected(&mut world, &all);
    (world, rules, all)
}

/// Joins the topic with a judge.
fn join(world: &mut World, rules: &Arc<RuleSet>, judged_by: Option<u32>) {
    let keep = KeepOptions { judged_by, ..Default::default() };
    world.handle(0, Input::Join { rules: rules.clone(), deliver: true, validate: true, keep });
}

/// How many bundles are shown.
fn shown(world: &World, rules: &RuleSet) -> usize {
    let reader = world.nodes[0].store.reader();
    reader.scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
}

fn all_are(world: &mut World, verdict: Validation) {
    world.nodes[0].validator = Some(Box::new(move |_| Some(verdict)));
}

#[test]
fn a_join_that_says_no_version_changes_none() {
    // The topic is opened without a judge.
    let (mut world, rules, _) = with_rejected(1, 9);
    world.restart(0, true);
    world.run(100);
    all_are(&mut world, Validation::Accept);
    join(&mut world, &rules, None);
    world.run(5_000);
    assert_eq!(shown(&world, &rules), 0, "no version was said, so none is another one");
    join(&mut world, &rules, Some(7));
    world.run(5_000);
    assert_eq!(shown(&world, &rules), 0, "it is what version 7 has rejected");
    join(&mut world, &rules, None);
    world.run(5_000);
    assert_eq!(shown(&world, &rules), 0, "that is still the version");
    // What is rejected then is rejected by it.
    all_are(&mut world, Validation::Reject);
    let hostile = world.hostile(0);
    let new = bundle(&world.liar(2), &rules, world.tick(&rules), 0, &["rejected"]);
    world.pushes(hostile, &[&new]);
    world.run(1_000);
    assert_eq!(held(&world, 0, &rules, &[Arc::new(new)]), 1);
    let room = u64::MAX;
    let (judged_by, recent_from, latest) = (Some(7), 0, room);
    let keeping = Keeping { bytes: room, shared: room, authors: room, judged_by, recent_from, latest };
    let by_seven = world.nodes[0].store.open(&rules, &keeping).unwrap();
    assert_eq!(by_seven.rejudge, []);
    all_are(&mut world, Validation::Accept);
    join(&mut world, &rules, Some(8));
    world.run(5_000);
    assert_eq!(shown(&world, &rules), 10);
}

#[test]
fn a_store_that_did_not_hear_of_another_version_is_told_again() {
    let (mut world, rules, _) = with_rejected(2, 9);
    all_are(&mut world, Validation::Accept);
    let told = |world: &World, begins: bool| {
        let is = |event: &&Event| match event {
            Event::Impaired { what, .. } => begins && *what == Impairment::StoreFailing,
            Event::Recovered { what, .. } => !begins && *what == Impairment::StoreFailing,
            _ => false,
        };
        world.nodes[0].events.iter().filter(is).count()
    };
    world.nodes[0].store_trouble = Some(StoreTrouble::Io("broken".into()));
    join(&mut world, &rules, Some(8));
    world.run(3_000);
    assert_eq!((told(&world, true), told(&world, false)), (1, 0));
    world.nodes[0].store_trouble = None;
    let opens = world.nodes[0].opens;
    let took = world.until_with(&mut [], 10_000, |world| shown(world, &rules) == 9);
    assert!(took >= 1_000, "not at once: {took}");
    world.run(10_000);
    assert_eq!(world.nodes[0].opens, opens + 1, "it is not told what it knows");
    assert_eq!((told(&world, true), told(&world, false)), (1, 1));
}

#[test]
fn a_judge_that_was_replaced_while_it_thought_does_not_answer_for_the_next() {
    let (mut world, rules) = alone(3);
    // Of eight rumors each: the judge has two seconds for them.
    let said = |(tick, slot)| Arc::new(bundle(&world.liar(1), &rules, tick, slot, &["word"; 8]));
    let all: Vec<_> = ago(&world, &rules, 600, 9).into_iter().map(said).collect();
    put_rejected(&mut world, &all);
    world.validator_takes = Duration::from_millis(1_500);
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    world.nodes[0].validator = Some(Box::new(move |_| {
        count.set(count.get() + 1);
        Some(Validation::Reject)
    }));
    join(&mut world, &rules, Some(8));
    world.until_with(&mut [], 5_000, |_| asked.get() > 0);
    // The store says anew what is to be judged before the first one has answered.
    all_are(&mut world, Validation::Accept);
    join(&mut world, &rules, Some(9));
    let opens = world.nodes[0].opens;
    world.run(1_300);
    assert!(world.nodes[0].opens > opens && world.nodes[0].counters().validator_rejected == 0);
    world.run(30_000);
    assert_eq!(shown(&world, &rules), 9);
}

#[test]
fn a_record_that_has_rotted_is_fetched_again_and_judged() {
    let (mut world, rules, all) = with_rejected(4, 9);
    world.restart(0, true);
    world.run(100);
    let at = (all[4].header().author, all[4].header().position());
    world.nodes[0].rots = Some(at);
    all_are(&mut world, Validation::Accept);
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 5_000);
    join(&mut world, &rules, Some(8));
    world.run_with(&mut tellers, 5_000);
    assert!(world.nodes[0].forgotten.contains(&Forget::Rotten(at.0, at.1)), "it goes");
    world.until_with(&mut tellers, 70_000, |world| shown(world, &rules) == 9);
}

#[test]
fn strangers_that_are_judged_again_share_one_turn() {
    let mut world = World::new(5);
    let rules = world.topic(&super::repair::log());
    world.node_with(|spec| spec.config.validators.at_once = 1);
    world.run(100);
    let at = ago(&world, &rules, 600, 1)[0].0;
    let strangers: Vec<_> =
        (10..26).map(|number| Arc::new(bundle(&world.liar(number), &rules, at, 0, &["stranger"]))).collect();
    put_rejected(&mut world, &strangers);
    world.validator_takes = Duration::from_millis(100);
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    world.nodes[0].validator = Some(Box::new(move |_| {
        count.set(count.get() + 1);
        Some(Validation::Accept)
    }));
    let hostile = world.hostile(0);
    join(&mut world, &rules, Some(8));
    world.until_with(&mut [], 5_000, |_| asked.get() > 0);
    let new = bundle(&world.liar(1), &rules, world.tick(&rules), 0, &["new"]);
    world.pushes(hostile, &[&new]);
    let took = world.until_with(&mut [], 5_000, |world| world.nodes[0].has_heard("new"));
    assert!(took <= 350, "after the one that is asked about, and one more at the most: {took}");
    world.run(5_000);
    assert_eq!(shown(&world, &rules), 17);
}
