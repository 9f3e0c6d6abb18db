//! What a node lacks of a kept topic it finds and gets, from links that are honest.

use std::sync::Arc;
use std::time::Duration;

use super::hostile::{bundle, forged, frame_of};
use super::teller::{Lie, Teller, chain, head, said};
use super::world::{Side, World};
use crate::protocol::keeping::{
    Arrival, Cursor, Forget, Full, Group, Keep, KeepOptions, Keeping, Show, StoreAnswer, StoreTrouble,
};
use crate::protocol::limits::MAX_HELD_LATE;
use crate::protocol::{Event, Input, Offence, Validation};
use crate::rumor::{Bundle, Guarantee, Previous, RuleSet, Topic};
use crate::store::Store as _;
use crate::wire::{self, Frame, Lane, More};

pub(super) const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn log() -> Topic {
    Topic::named("log").retention(HOUR)
}

/// How many of these bundles the store of a node holds.
pub(super) fn held(world: &World, node: usize, rules: &RuleSet, all: &[Arc<Bundle>]) -> usize {
    let at: Vec<_> =
        all.iter().map(|bundle| (bundle.header().author, bundle.header().position(), bundle.id())).collect();
    let reader = world.nodes[node].store.reader();
    let held = reader.held(&rules.id(), &at).unwrap();
    held.iter().filter(|held| **held == crate::protocol::keeping::Held::Yes).count()
}

/// Puts bundles into the store of a node, as if it had heard them long ago, and starts it anew.
pub(super) fn put(world: &mut World, node: usize, bundles: &[Arc<Bundle>]) {
    let keep =
        |bundle: &Arc<Bundle>| Keep { bundle: bundle.clone(), arrival: Arrival::Live, show: Show::Now };
    let keeps: Vec<_> = bundles.iter().map(keep).collect();
    let now_ms = world.now_with(0).unix_ms;
    world.nodes[node].store.keep(&Group { keeps: &keeps, record: None, now_ms }).unwrap();
    world.restart(node, true);
    world.run(10);
}

/// A node that keeps a topic.
pub(super) fn alone(seed: u64) -> (World, Arc<RuleSet>) {
    let mut world = World::new(seed);
    let rules = world.topic(&log());
    world.node();
    world.run(100);
    (world, rules)
}

/// Positions, one each second, from so many seconds ago on.
pub(super) fn ago(world: &World, rules: &RuleSet, secs: u64, count: u64) -> Vec<(u64, u16)> {
    let first = world.tick(rules) - secs;
    (first..first + count).map(|tick| (tick, 0)).collect()
}

fn events(world: &World, node: usize, what: impl Fn(&Event) -> bool) -> usize {
    world.nodes[node].events.iter().filter(|event| what(event)).count()
}

#[test]
fn what_a_link_has_is_found_and_kept_and_not_delivered_as_news() {
    let (mut world, rules) = alone(1);
    let mut all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 200), 100);
    all.extend(chain(&rules, &world.liar(2), ago(&world, &rules, 900, 300), 400));
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    let took = world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &all) == all.len());
    assert!(took < 4_000, "{took} ms");
    let counters = world.nodes[0].counters();
    assert_eq!((counters.repaired, counters.rumors_repaired), (500, 500));
    assert_eq!((counters.holes_found, counters.history_missed), (0, 0), "a long absence is one range");
    assert!(world.nodes[0].delivered.is_empty(), "it is no news");
    let teller = &tellers[0];
    assert_eq!(teller.sent, all.iter().map(|bundle| bundle.encoded().len()).sum::<usize>(), "each once");
    assert!(teller.told < 400, "{} bytes to find it", teller.told);
    // In a while the link is asked again, has the same, and the application learns of it.
    world.run_with(&mut tellers, 70_000);
    assert_eq!(world.nodes[0].engine.caught_up(&rules.id()), 1);
    assert_eq!(events(&world, 0, |event| *event == Event::CaughtUp { topic: rules.id() }), 1);
    let progress = world.nodes[0].engine.repairing(&rules.id()).unwrap();
    assert_eq!((progress.links, progress.holes, progress.claims, progress.asked_all), (1, 0, 0, true));
}

/// Nobody says anything, and no link comes or goes any more: all the same each is to count as one that keeps the topic in a while, or
/// nobody would ever ask anybody.
#[test]
fn nodes_that_meet_in_silence_give_each_other_what_they_keep() {
    let (mut world, rules) = alone(3);
    world.node();
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 20), 100);
    put(&mut world, 0, &all);
    world.run(2_000);
    world.wire(Side::Node(0), Side::Node(1));
    // (One has something, so it does not wait to be asked first.)
    world.until(2_500, |world| held(world, 1, &rules, &all) == all.len());
    world.until(100, |world| world.nodes[1].engine.caught_up(&rules.id()) == 1);
    let progress = world.nodes[1].engine.repairing(&rules.id()).unwrap();
    assert_eq!((progress.links, progress.repaired, progress.claims), (1, 20, 0));
    assert!(world.nodes[1].engine.take_repairing().contains(&rules.id()));
    assert!(world.nodes[1].engine.take_repairing().is_empty());
}

/// Two engines: one was away while others spoke.
#[test]
fn who_was_away_has_all_again() {
    let mut world = World::new(2);
    let rules = world.topic(&log());
    let [one, other] = [world.node(), world.node()];
    let wire = world.wire(Side::Node(one), Side::Node(other));
    world.run(2_000);
    world.publish(one, &rules, "before");
    world.run(2_000);
    world.cut(wire);
    // A third hears it, so that the first can speak.
    let third = world.node();
    world.wire(Side::Node(one), Side::Node(third));
    world.run(2_000);
    for number in 0..200 {
        world.publish(one, &rules, format!("meanwhile {number}"));
        world.run(1_000);
    }
    world.run(60_000);
    assert!(!world.nodes[other].has_heard("meanwhile 0"));
    world.wire(Side::Node(other), Side::Node(third));
    let shown = |world: &World| {
        let scan = world.nodes[other].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap();
        let rumors = scan.items.iter().map(|item| usize::from(item.bundle.header().count));
        rumors.sum::<usize>()
    };
    world.until(40_000, |world| shown(world) == 201);
    let late: Vec<_> = world.nodes[other].delivered.iter().filter(|rumor| rumor.body != "before").collect();
    assert!(late.len() < 100, "only what is new enough is delivered as news: {}", late.len());
    world.run(70_000);
    for node in 0..3 {
        assert_eq!(world.nodes[node].counters().offences, 0);
        assert!(world.nodes[node].engine.caught_up(&rules.id()) > 0);
        assert_eq!(world.nodes[node].engine.check_at_rest(), Vec::<String>::new());
    }
}

#[test]
fn a_hole_that_a_live_bundle_shows_is_filled() {
    let (mut world, rules) = alone(3);
    let author = world.liar(1);
    let all = chain(&rules, &author, ago(&world, &rules, 300, 100), 100);
    // Of two links one tells the newest alone, as news would be; the other has all, and says so to who asks.
    let mut tellers = [world.teller(0, &rules, &all, Lie::Echo)];
    world.run_with(&mut tellers, 10_000);
    let tick = world.tick(&rules);
    let live = said(&rules, &author, Some(Previous::of(&all[99])), tick, 0, 50);
    let speaker = world.hostile(0);
    world.pushes(speaker, &[&live]);
    world.run_with(&mut tellers, 5_000);
    assert_eq!(held(&world, 0, &rules, &all), 100);
    assert_eq!(world.nodes[0].counters().holes_found, 1, "one hole, and all before it in one range");
    assert!(world.nodes[0].has_heard(live.rumors().next().unwrap().body()));
}

#[test]
fn a_hole_that_is_new_may_come_by_itself() {
    let (mut world, rules) = alone(4);
    let author = world.liar(1);
    let tick = world.tick(&rules);
    let all = chain(&rules, &author, [(tick - 1, 0), (tick, 0)], 50);
    let mut tellers = [world.teller(0, &rules, &all, Lie::Echo)];
    world.run_with(&mut tellers, 3_000);
    let speaker = world.hostile(0);
    world.pushes(speaker, &[&all[1]]);
    world.run_with(&mut tellers, 4_000);
    world.pushes(speaker, &[&all[0]]);
    world.run_with(&mut tellers, 10_000);
    assert_eq!((held(&world, 0, &rules, &all), tellers[0].fetches.len()), (2, 0));
    assert_eq!(world.nodes[0].counters().gaps_closed, 1);
}

#[test]
fn what_nobody_has_rests_and_a_new_link_is_asked_at_once() {
    let (mut world, rules) = alone(5);
    let author = world.liar(1);
    let all = chain(&rules, &author, ago(&world, &rules, 400, 3), 50);
    put(&mut world, 0, &all[2..]);
    let mut tellers = vec![world.teller(0, &rules, &all[2..], Lie::None)];
    world.run_with(&mut tellers, 20_000);
    let topic = rules.id();
    let position = all[1].header().position();
    let told = Event::Hole { topic, author: author.public(), position };
    assert_eq!(events(&world, 0, |event| *event == told), 1);
    assert_eq!((world.nodes[0].counters().holes_rested, tellers[0].fetches.len()), (1, 1));
    let unmet = world.nodes[0].store.reader().unmet(&topic, None, 9).unwrap();
    assert!(unmet[0].rests_until_ms > world.now_with(0).unix_ms);
    // It is asked for again after its rest, and told no more.
    world.run_with(&mut tellers, 130_000);
    assert!((2..=4).contains(&tellers[0].fetches.len()), "{}", tellers[0].fetches.len());
    assert_eq!(events(&world, 0, |event| *event == told), 1);
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    world.run_with(&mut tellers, 5_000);
    assert_eq!(held(&world, 0, &rules, &all), 3);
    assert_eq!(events(&world, 0, |event| *event == Event::Filled { topic, author: author.public() }), 1);
}

#[test]
fn more_is_told_to_others_and_followed_at_once() {
    let (mut world, rules) = alone(6);
    let old = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 50), 100);
    let mut tellers = vec![world.teller(0, &rules, &[], Lie::None), world.teller(0, &rules, &[], Lie::None)];
    world.run_with(&mut tellers, 40_000);
    let hints = |world: &World, teller: &Teller| -> Vec<More> {
        let frames = world.hostiles[teller.hostile].frames.iter();
        frames.filter_map(|frame| if let Frame::More(more) = frame { Some(*more) } else { None }).collect()
    };
    assert!(tellers.iter().all(|teller| hints(&world, teller).is_empty()));
    // One of them gets something late and hints at it: it is asked within a second or two, not when its turn comes.
    tellers[0].all = old.clone();
    let low = old[0].header().tick;
    let more = More { topic: rules.id(), low, count: 50 };
    world.says(tellers[0].hostile, Lane::History, wire::more(&more));
    let took = world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &old) == 50);
    assert!(took < 2_000, "{took} ms");
    world.run_with(&mut tellers, 3_000);
    assert_eq!(hints(&world, &tellers[0]), [], "it has it");
    assert_eq!(hints(&world, &tellers[1]), [more]);
}

#[test]
fn what_is_new_enough_comes_in_as_news() {
    let (mut world, rules) = alone(7);
    // As of a minute ago, and inside the relay window: links list it.
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 85, 5), 50);
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 20_000);
    let counters = world.nodes[0].counters();
    assert_eq!(held(&world, 0, &rules, &all), 5);
    assert!(counters.accepted > 0 && counters.repaired < 5, "{counters:?}");
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let (mut world, rules) = alone(8);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 50), 100);
    let mut tellers = [world.teller(0, &rules, &[], Lie::None)];
    world.run_with(&mut tellers, 3_000);
    for said in &all {
        world.says(tellers[0].hostile, Lane::History, frame_of(0, &[said]));
    }
    world.run_with(&mut tellers, 3_000);
    assert_eq!((held(&world, 0, &rules, &all), world.nodes[0].counters().unasked_history), (0, 50));
    assert_eq!(world.hostiles[tellers[0].hostile].closed, None, "nobody is blamed: it may be an old answer");
}

#[test]
fn a_forged_bundle_of_the_past_is_an_offence_and_another_link_brings_the_true_one() {
    let (mut world, rules) = alone(9);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 5), 100);
    let bad: Vec<_> = all.iter().map(|said| Arc::new(forged(said, 1))).collect();
    let mut tellers = [world.teller(0, &rules, &bad, Lie::None)];
    world.run_with(&mut tellers, 5_000);
    assert_eq!(
        events(&world, 0, |event| matches!(event, Event::Offence { offence: Offence::BadSignature, .. })),
        1
    );
    assert!(world.hostiles[tellers[0].hostile].closed.is_some());
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 5_000);
    assert_eq!(held(&world, 0, &rules, &all), 5);
}

#[test]
fn a_busy_validator_loses_nothing() {
    let mut world = World::new(10);
    let rules = world.topic(&log());
    let mut calls = 0;
    world.node_with(|spec| {
        // Silent at first, then it rejects one and accepts the rest.
        spec.validator = Some(Box::new(move |bundle| {
            calls += 1;
            match calls {
                0..=3 => None,
                _ if bundle.header().tick % 5 == 0 => Some(Validation::Reject),
                _ => Some(Validation::Accept),
            }
        }));
    });
    world.run(100);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 10), 100);
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 10_000);
    assert_eq!(held(&world, 0, &rules, &all), 7, "three were not judged in time");
    world.run_with(&mut tellers, 200_000);
    assert_eq!(held(&world, 0, &rules, &all), 10, "what is rejected is kept like any other");
    let scan = world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap();
    assert_eq!(scan.items.len(), 8, "and not shown");
    assert_eq!(world.nodes[0].counters().offences, 0);
    // The next version of the judge is silent at first as well, then it rejects one of the two again.
    let mut calls = 0;
    let rejected = all.iter().find(|bundle| bundle.header().tick % 5 == 0).unwrap().id();
    world.nodes[0].validator = Some(Box::new(move |bundle| {
        calls += 1;
        let verdict = if bundle.id() == rejected { Validation::Reject } else { Validation::Accept };
        (calls > 1).then_some(verdict)
    }));
    let judged_by = |world: &mut World, judged_by| {
        let keep = KeepOptions { judged_by, ..Default::default() };
        let join = Input::Join { rules: rules.clone(), deliver: true, validate: true, keep };
        world.handle(0, join);
        world.run(5_000);
        let scan = world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap();
        scan.items.len()
    };
    let verdicts = |world: &World| world.nodes[0].counters().validator_rejected;
    let before = verdicts(&world);
    assert_eq!(judged_by(&mut world, Some(2)), 9);
    assert_eq!(verdicts(&world), before + 1);
    // The third accepts all: then all is shown. And what it said is not asked for again.
    world.nodes[0].validator = Some(Box::new(|_| Some(Validation::Accept)));
    assert_eq!(judged_by(&mut world, Some(2)), 9, "the second has judged it");
    assert_eq!(judged_by(&mut world, Some(3)), 10);
}

#[test]
fn what_was_rejected_is_judged_again_in_the_next_life() {
    let (mut world, rules) = alone(18);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 100), 100);
    let keep = |bundle: &Arc<Bundle>| Keep {
        bundle: bundle.clone(),
        arrival: Arrival::Live,
        show: Show::Rejected { by: 7 },
    };
    let keeps: Vec<_> = all.iter().map(keep).collect();
    world.nodes[0].store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
    let shown = |world: &World| {
        world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
    };
    // Without a judge they stay what they are.
    world.restart(0, true);
    world.run(5_000);
    assert_eq!(shown(&world), 0);
    world.nodes[0].validator = Some(Box::new(|_| Some(Validation::Accept)));
    world.restart(0, true);
    world.run(5_000);
    assert_eq!(shown(&world), 0, "nor where no version was said");
    world.nodes[0].keep.judged_by = Some(8);
    world.restart(0, true);
    world.run(5_000);
    assert_eq!(shown(&world), 100);
    assert!(world.nodes[0].delivered.is_empty(), "it is no news");
}

#[test]
fn what_is_judged_again_in_a_hold_back_topic_is_held_back_first() {
    let mut world = World::new(21);
    let rules = world.topic(&log().guarantee(Guarantee::HoldBack(Duration::from_secs(5))));
    world.node();
    world.run(100);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 20), 100);
    let rejected = |bundle: &Arc<Bundle>| Keep {
        bundle: bundle.clone(),
        arrival: Arrival::Live,
        show: Show::Rejected { by: 7 },
    };
    let keeps: Vec<_> = all.iter().map(rejected).collect();
    world.nodes[0].store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
    let shown = |world: &World| {
        world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
    };
    world.nodes[0].validator = Some(Box::new(|_| Some(Validation::Accept)));
    world.nodes[0].keep.judged_by = Some(8);
    world.restart(0, true);
    let took = world.until_with(&mut [], 60_000, |world| shown(world) == 20);
    assert!(took >= 5_000, "{took}");
}

#[test]
fn what_is_held_back_is_kept_and_shown_after_further_sessions() {
    let mut world = World::new(11);
    let delay = Duration::from_secs(5);
    let rules = world.topic(&log().guarantee(Guarantee::HoldBack(delay)));
    world.node();
    world.run(100);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 5), 100);
    let mut tellers: Vec<_> = (0..4).map(|_| world.teller(0, &rules, &all, Lie::None)).collect();
    let shown = |world: &World| {
        world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
    };
    world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &all) == 5);
    assert_eq!(shown(&world), 0);
    let took = world.until_with(&mut tellers, 200_000, |world| shown(world) == 5);
    assert!(took >= 5_000, "{took}");
    assert!(world.nodes[0].delivered.is_empty());
}

#[test]
fn a_link_that_ends_no_session_hides_nothing_that_is_held_back() {
    let mut world = World::new(24);
    let rules = world.topic(&log().guarantee(Guarantee::HoldBack(Duration::from_secs(5))));
    world.node();
    world.run(100);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 5), 100);
    let mut tellers = [Lie::None, Lie::None, Lie::Splits].map(|lie| world.teller(0, &rules, &all, lie));
    let shown = |world: &World| {
        world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
    };
    world.until_with(&mut tellers, 300_000, |world| shown(world) == 5);
}

/// Bundles that the store of a node holds back, as if they had been heard long ago, and the node starts anew.
fn put_held(world: &mut World, bundles: &[Arc<Bundle>]) {
    let keep =
        |bundle: &Arc<Bundle>| Keep { bundle: bundle.clone(), arrival: Arrival::Live, show: Show::Held };
    let keeps: Vec<_> = bundles.iter().map(keep).collect();
    world.nodes[0].store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
    world.restart(0, true);
}

#[test]
fn what_was_held_back_in_an_earlier_life_is_shown_in_the_end() {
    let delay = Duration::from_secs(5);
    let mut world = World::new(22);
    let rules = world.topic(&log().guarantee(Guarantee::HoldBack(delay)));
    world.node();
    world.run(100);
    let shown = |world: &World| {
        world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
    };
    // Given what has come late, or was heard long ago, and was held when the process ended or the topic was left.
    let late = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 5), 100);
    let mut tellers: Vec<_> = (0..4).map(|_| world.teller(0, &rules, &late, Lie::None)).collect();
    world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &late) == 5);
    let live = chain(&rules, &world.liar(2), ago(&world, &rules, 200, 5), 100);
    put_held(&mut world, &live);
    world.run(2_000);
    world.handle(0, Input::Leave { topic: rules.id() });
    world.run(2_000);
    let join = Input::Join { rules: rules.clone(), deliver: true, validate: false, keep: Default::default() };
    world.handle(0, join);
    // Then it is held for as long as anything late, and shown: where no link keeps the topic after three delays.
    world.run(14_000);
    assert_eq!(shown(&world), 0);
    world.run(3_000);
    assert_eq!(shown(&world), 10);
    assert!(world.nodes[0].delivered.is_empty(), "it is no news");
    // A convicted author is not shown.
    let convict = world.liar(3);
    let convicted = chain(&rules, &convict, ago(&world, &rules, 200, 5), 100);
    put_held(&mut world, &convicted);
    let speaker = world.hostile(0);
    let tick = world.tick(&rules);
    let [one, two] = ["one", "two"].map(|word| bundle(&convict, &rules, tick, 0, &[word]));
    world.pushes(speaker, &[&one, &two]);
    world.run(60_000);
    assert!(world.nodes[0].convicted(&convict.public()));
    assert_eq!(shown(&world), 10);
}

#[test]
fn more_than_may_be_held_back_at_once_is_shown_in_parts() {
    let mut world = World::new(23);
    let rules = world.topic(&log().guarantee(Guarantee::HoldBack(Duration::from_secs(5))));
    world.node();
    world.run(100);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 3_500, 2_050), 10);
    let more = chain(&rules, &world.liar(2), ago(&world, &rules, 3_500, 2_050), 10);
    put_held(&mut world, &[all, more].concat());
    let shown = |world: &World| {
        world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
    };
    world.run(20_000);
    assert_eq!(shown(&world), MAX_HELD_LATE);
    world.run(20_000);
    assert_eq!(shown(&world), 4_100);
}

#[test]
fn own_past_halts_nobody_and_a_second_writer_is_noticed() {
    let (mut world, rules) = alone(12);
    let own = world.nodes[0].author.clone();
    world.honest_keys_stolen = true;
    let past = chain(&rules, &own, ago(&world, &rules, 600, 5), 100);
    let mut tellers = [world.teller(0, &rules, &past, Lie::None)];
    world.run_with(&mut tellers, 10_000);
    assert_eq!(held(&world, 0, &rules, &past), 5);
    assert!(!world.nodes[0].told_of_duplicate_writer());
    // Two minutes on, something under our key that we can't have said.
    world.run_with(&mut tellers, 240_000);
    let tick = world.tick(&rules) - 120;
    let other = said(&rules, &own, Some(Previous::of(&past[4])), tick, 0, 50);
    tellers[0].all.push(other);
    world.run_with(&mut tellers, 70_000);
    assert!(world.nodes[0].told_of_duplicate_writer());
}

#[test]
fn equivocation_in_history_convicts() {
    let (mut world, rules) = alone(13);
    let author = world.liar(1);
    let at = ago(&world, &rules, 600, 2);
    let one = bundle(&author, &rules, at[0].0, 0, &["one"]);
    let two = bundle(&author, &rules, at[0].0, 0, &["two"]);
    let (one, two) = (Arc::new(one), Arc::new(two));
    let after = said(&rules, &author, Some(Previous::of(&two)), at[1].0, 0, 50);
    put(&mut world, 0, &[one]);
    let mut tellers = [world.teller(0, &rules, &[two, after.clone()], Lie::None)];
    world.run_with(&mut tellers, 10_000);
    assert!(world.nodes[0].convicted(&author.public()));
    world.run_with(&mut tellers, 2_000);
    assert!(world.hostiles[tellers[0].hostile].got_evidence(&author.public()), "and the link learns of it");
    assert_eq!(world.hostiles[tellers[0].hostile].closed, None);
    // Nothing more of it is asked for, though it is listed.
    let before = tellers[0].fetches.len();
    let more = said(&rules, &author, Some(Previous::of(&after)), at[1].0 + 5, 0, 50);
    tellers[0].all.push(more);
    world.run_with(&mut tellers, 100_000);
    assert!(tellers[0].asks.len() > 1);
    assert_eq!(tellers[0].fetches.len(), before);
}

#[test]
fn the_dead_stay_dead() {
    let (mut world, rules) = alone(14);
    let expired = chain(&rules, &world.liar(1), ago(&world, &rules, 4_000, 50), 100);
    let convict = world.liar(2);
    let tick = world.tick(&rules);
    let [one, two] = ["one", "two"].map(|word| bundle(&convict, &rules, tick, 0, &[word]));
    let speaker = world.hostile(0);
    world.pushes(speaker, &[&one, &two]);
    world.run(1_000);
    assert!(world.nodes[0].convicted(&convict.public()));
    let convicted = chain(&rules, &convict, ago(&world, &rules, 500, 50), 100);
    let all = [expired, convicted].concat();
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 100_000);
    assert!(tellers[0].asks.len() > 1 && tellers[0].told > 74);
    assert_eq!((held(&world, 0, &rules, &all), tellers[0].fetches.len()), (0, 0));
    assert_eq!(world.hostiles[tellers[0].hostile].closed, None);
    // One that serves them unasked is not blamed either.
    for said in &all {
        world.says(tellers[0].hostile, Lane::History, frame_of(0, &[said]));
    }
    world.run_with(&mut tellers, 5_000);
    assert_eq!((held(&world, 0, &rules, &all), world.nodes[0].counters().offences), (0, 0));
    assert_eq!(head(&all[0]).tick, all[0].header().tick);
}

#[test]
fn a_topic_that_is_left_and_joined_again_is_asked_about_again() {
    let (mut world, rules) = alone(15);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 300), 1_000);
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    // In the middle of it.
    world.until_with(&mut tellers, 10_000, |world| world.nodes[0].counters().repaired > 0);
    world.handle(0, Input::Leave { topic: rules.id() });
    world.run_with(&mut tellers, 5_000);
    assert_eq!(world.nodes[0].engine.repairing(&rules.id()), None);
    let join = Input::Join { rules: rules.clone(), deliver: true, validate: false, keep: Default::default() };
    world.handle(0, join);
    world.until_with(&mut tellers, 20_000, |world| held(world, 0, &rules, &all) == 300);
}

#[test]
fn what_found_no_room_is_not_asked_for_again_and_again() {
    let (mut world, rules) = alone(16);
    world.handle(0, Input::Leave { topic: rules.id() });
    let keep = KeepOptions { full: Some(Full::Refuse), reserve: Some(3_000), ..Default::default() };
    world.handle(0, Input::Join { rules: rules.clone(), deliver: true, validate: false, keep });
    world.run(100);
    // Authors of one bundle each, so that each is a head.
    let at = ago(&world, &rules, 600, 1);
    let all: Vec<_> =
        (0..20).flat_map(|number| chain(&rules, &world.liar(number), at.clone(), 500)).collect();
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 10_000);
    let (kept, sent) = (held(&world, 0, &rules, &all), tellers[0].sent);
    assert!((1..6).contains(&kept), "{kept}");
    world.run_with(&mut tellers, 600_000);
    assert!(tellers[0].asks.len() > 2);
    assert_eq!((held(&world, 0, &rules, &all), tellers[0].sent), (kept, sent));
}

/// The record of one of three bundles has rotted, and a link has it.
#[test]
fn what_rot_has_taken_is_fetched_again() {
    for gone in 0..3 {
        let (mut world, rules) = alone(17);
        let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 3), 100);
        put(&mut world, 0, &all);
        let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
        world.run_with(&mut tellers, 5_000);
        // The store is another one: the engine does not know.
        let left: Vec<_> = all.iter().filter(|bundle| bundle.id() != all[gone].id()).cloned().collect();
        let keeping = Keeping {
            bytes: u64::MAX,
            shared: u64::MAX,
            authors: 9,
            judged_by: None,
            recent_from: 0,
            latest: u64::MAX,
        };
        let store = &mut world.nodes[0].store;
        *store = crate::store::MemoryStore::new(99);
        store.open(&rules, &keeping).unwrap();
        let keep =
            |bundle: &Arc<Bundle>| Keep { bundle: bundle.clone(), arrival: Arrival::Live, show: Show::Now };
        let keeps: Vec<_> = left.iter().map(keep).collect();
        store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
        // A reader has come upon it.
        let (author, position) = (all[gone].header().author, all[gone].header().position());
        let what = Forget::Rotten(author, position);
        let left = crate::store::left(&*world.nodes[0].store.reader(), &rules.id(), false);
        let told = StoreAnswer::Forgot { topic: rules.id(), what, left: Ok(left.unwrap()) };
        world.handle(0, Input::Store(told));
        let what = |world: &mut World| held(world, 0, &rules, &all) == 3;
        world.until_with(&mut tellers, 70_000, what);
    }
}

#[test]
fn nothing_is_fetched_while_the_store_keeps_nothing() {
    let (mut world, rules) = alone(19);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 50), 100);
    world.handle(0, Input::Store(StoreAnswer::Fails(StoreTrouble::NoRoom)));
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    world.run_with(&mut tellers, 20_000);
    assert!(!tellers[0].asks.is_empty(), "what is missing is known");
    assert_eq!((tellers[0].fetches.len(), held(&world, 0, &rules, &all)), (0, 0));
    world.handle(0, Input::Store(StoreAnswer::Works));
    world.until_with(&mut tellers, 70_000, |world| held(world, 0, &rules, &all) == 50);
}
