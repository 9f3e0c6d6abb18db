//! Kept topics: what is accepted is kept, a restart goes on from it, and a store that fails holds up nothing else.

use std::sync::Arc;
use std::time::Duration;

use super::equivocation::two_words;
use super::world::{Side, World};
use crate::protocol::keeping::{
    Arrival, Cursor, Forget, Group, Keep, Keeping, Kept, Opened, Show, StoreAnswer, StoreJob, StoreTrouble,
};
use crate::protocol::{Event, Impairment, Input, PublishError};
use crate::rumor::{Guarantee, Position, Previous, RuleSet, Topic};
use crate::store::Store as _;

const HOUR: Duration = Duration::from_secs(3_600);

fn log() -> Topic {
    Topic::named("log").retention(HOUR)
}

/// Two nodes that are linked, in one kept topic.
fn pair(topic: &Topic) -> (World, Arc<RuleSet>, usize) {
    let mut world = World::new(1);
    let rules = world.topic(topic);
    let (one, other) = (world.node(), world.node());
    let wire = world.wire(Side::Node(one), Side::Node(other));
    world.run(1_000);
    (world, rules, wire)
}

/// What the store of a node has of a topic.
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

/// What the store of a node shows, as text, in the order of arrival.
fn shown(world: &World, node: usize, rules: &RuleSet) -> Vec<String> {
    let scan = world.nodes[node].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap();
    let bundles = scan.items.into_iter().flat_map(|item| item.bundle.rumors().collect::<Vec<_>>());
    bundles.map(|rumor| String::from_utf8_lossy(rumor.body()).into_owned()).collect()
}

#[test]
fn what_is_accepted_is_kept_by_all_and_a_publisher_is_answered_when_it_is() {
    let (mut world, rules, _) = pair(&log());
    world.nodes[0].store_takes = Duration::from_millis(300);
    let id = world.publish_kept(0, &rules, "kept");
    world.run(200);
    assert!(world.nodes[1].has_heard("kept"), "it spreads before it is kept");
    assert!(!world.nodes[0].published.contains_key(&id), "nobody says that it is kept before it is");
    world.run(200);
    assert!(world.nodes[0].published[&id].is_ok());
    for node in 0..2 {
        assert_eq!(shown(&world, node, &rules), ["kept"]);
        assert_eq!(world.nodes[node].counters().kept, 1);
    }
}

#[test]
fn a_restart_goes_on_in_the_chain_and_takes_nothing_in_twice() {
    let (mut world, rules, _) = pair(&log());
    world.publish_kept(0, &rules, "before");
    world.run(1_000);
    for node in 0..2 {
        world.restart(node, true);
    }
    world.run(5_000);
    world.wire(Side::Node(0), Side::Node(1));
    world.run(3_000);
    world.publish_kept(0, &rules, "after");
    world.run(3_000);
    assert_eq!(shown(&world, 1, &rules), ["before", "after"]);
    let reader = world.nodes[1].store.reader();
    assert_eq!(reader.unmet(&rules.id(), None, 9).unwrap(), [], "the second names the first");
    let opened = opened(&mut world, 1, &rules);
    assert_eq!(opened.heads.len(), 1, "one chain");
    assert_eq!(world.nodes[1].counters().kept, 1, "what is held is not taken in again");
}

#[test]
fn a_store_that_fails_is_told_and_stops_nothing_but_keeping() {
    let (mut world, rules, _) = pair(&log());
    world.nodes[1].store_trouble = Some(StoreTrouble::NoRoom);
    world.publish_kept(0, &rules, "one");
    world.run(1_000);
    assert!(world.nodes[1].has_heard("one"));
    let told = |world: &World, what| {
        let events = world.nodes[1].events.iter();
        events.filter(|event| matches!(event, Event::Impaired { what: of, .. } if *of == what)).count()
    };
    assert_eq!(told(&world, Impairment::StoreFailing), 1);
    // Its own: refused before it is sealed, unless it does not ask for the store.
    let refused = world.publish_kept(1, &rules, "refused");
    let said = world.publish(1, &rules, "said");
    world.run(1_000);
    assert!(matches!(world.nodes[1].published[&refused], Err(PublishError::Store(_))));
    assert!(world.nodes[1].published[&said].is_ok() && world.nodes[0].has_heard("said"));
    assert!(!world.nodes[0].has_heard("refused"));
    world.nodes[1].store_trouble = None;
    world.publish_kept(0, &rules, "two");
    world.run(1_000);
    let id = world.publish_kept(1, &rules, "three");
    world.run(1_000);
    assert!(world.nodes[1].published[&id].is_ok(), "it works again");
    assert_eq!(shown(&world, 1, &rules), ["two", "three"]);
}

#[test]
fn what_a_store_would_refuse_is_refused_before_it_is_sealed() {
    let (mut world, rules, _) = pair(&log());
    let short = StoreTrouble::Short { free: 999, least: 1_000 };
    world.handle(0, Input::Store(StoreAnswer::Fails(short)));
    let refused = world.publish_kept(0, &rules, "refused");
    world.run(1_000);
    let Err(PublishError::Store(why)) = &world.nodes[0].published[&refused] else { panic!("it is sealed") };
    assert!(["999", "1000", "leave_free", "make room"].iter().all(|word| why.contains(word)), "{why}");
    // What else the store does says nothing about bundles.
    let opened = opened(&mut world, 0, &rules);
    world.handle(0, Input::Store(StoreAnswer::Opened { topic: rules.id(), opened: Ok(Box::new(opened)) }));
    let refused = world.publish_kept(0, &rules, "refused");
    world.run(1_000);
    assert!(matches!(world.nodes[0].published[&refused], Err(PublishError::Store(_))));
    // What does not ask for the store is said.
    world.nodes[0].store_trouble = Some(StoreTrouble::NoRoom);
    let said = world.publish(0, &rules, "said");
    world.run(1_000);
    assert!(world.nodes[0].published[&said].is_ok());
    assert_eq!(world.nodes[1].heard(), ["said"]);
    world.nodes[0].store_trouble = None;
    world.handle(0, Input::Store(StoreAnswer::Works));
    let kept = world.publish_kept(0, &rules, "kept");
    world.run(1_000);
    assert!(world.nodes[0].published[&kept].is_ok());
}

#[test]
fn a_store_that_failed_at_something_else_is_given_what_is_said() {
    let (mut world, rules, _) = pair(&log());
    let (topic, what) = (rules.id(), Forget::Below(0));
    let left = Err(StoreTrouble::Io("broken".into()));
    world.handle(0, Input::Store(StoreAnswer::Forgot { topic, what, left }));
    // If it were refused nothing would ever show that the store works.
    let kept = world.publish_kept(0, &rules, "kept");
    world.run(1_000);
    assert!(world.nodes[0].published[&kept].is_ok());
    let recovered = |event: &Event| matches!(event, Event::Recovered { what: Impairment::StoreFailing, .. });
    assert!(world.nodes[0].events.iter().any(recovered));
}

#[test]
fn what_waits_for_a_slow_store_is_counted_in_bytes() {
    let topic = log().slots_per_tick(4_096);
    let (mut world, rules, _) = pair(&topic);
    world.nodes[1].store_takes = Duration::from_secs(600);
    let body = "x".repeat(16 * 1024);
    for _ in 0..600 {
        world.publish(0, &rules, &body);
        world.run(10);
    }
    world.run(5_000);
    let counters = world.nodes[1].counters();
    assert_eq!(counters.rumors_accepted, 600, "it is heard all the same");
    assert!(counters.not_kept > 0, "600 times 16 KiB are more than 8 MiB");
    assert_eq!(world.nodes[0].counters().kept, world.nodes[0].counters().accepted);
}

#[test]
fn what_was_sealed_and_not_kept_says_so() {
    let (mut world, rules, _) = pair(&log());
    world.nodes[0].store_takes = Duration::from_millis(100);
    world.nodes[0].store_trouble = Some(StoreTrouble::Io("broken".into()));
    let id = world.publish_kept(0, &rules, "lost");
    world.run(1_000);
    assert!(matches!(world.nodes[0].published[&id], Err(PublishError::NotStored(_))));
    assert!(world.nodes[1].has_heard("lost"));
}

#[test]
fn nothing_is_told_or_said_before_the_store_has_opened_the_topic() {
    let mut world = World::new(2);
    let rules = world.topic(&log());
    let (one, other) = (world.node(), world.node());
    world.wire(Side::Node(one), Side::Node(other));
    world.run(1_000);
    world.publish_kept(0, &rules, "first");
    world.run(1_000);
    world.nodes[0].store_takes = Duration::from_secs(3);
    world.restart(0, true);
    world.wire(Side::Node(one), Side::Node(other));
    let id = world.publish(0, &rules, "second");
    world.run(2_000);
    assert_eq!(world.nodes[1].engine.links_of(&rules.id()), 0, "it is not told");
    world.run(9_000);
    assert!(world.nodes[0].published.contains_key(&id));
    let again = world.publish(0, &rules, "third");
    world.run(9_000);
    assert!(world.nodes[0].published[&again].is_ok());
    assert_eq!(opened(&mut world, 1, &rules).heads.len(), 1, "the chain goes on over the restart");
}

#[test]
fn the_store_convicts_whom_the_window_has_forgotten() {
    let (mut world, rules, _) = pair(&log());
    let hostile = world.hostile(0);
    let author = world.liar(1);
    let [one, other] = two_words(&world, &author, &rules);
    // In the store, and in no window.
    let keep = Keep { bundle: Arc::new(one), arrival: Arrival::Late { below: false }, show: Show::Now };
    let kept = world.nodes[0].stores(StoreJob::Keep { keep, urgent: false }, 0);
    assert!(matches!(kept, Some(StoreAnswer::Kept { kept: Ok(Kept::New { .. }), .. })));
    world.pushes(hostile, &[&other]);
    world.run(1_000);
    assert!(world.nodes.iter().all(|node| node.convicted(&author.public())));
    // And it is convicted from the start in the next life.
    world.restart(0, true);
    assert!(world.nodes[0].convicted(&author.public()), "the proof is kept");
}

#[test]
fn a_wrong_clock_deletes_nothing() {
    let (mut world, rules, _) = pair(&log());
    world.publish_kept(0, &rules, "kept");
    world.run(1_000);
    // Both are alone when it jumps, or one has a link to a node that knows better.
    for linked in [false, true] {
        if !linked {
            world.cut(0);
        }
        let far = 12 * 365 * 86_400_000;
        world.nodes[0].skew_ms += far;
        world.run(60_000);
        assert_eq!(shown(&world, 0, &rules), ["kept"], "linked {linked}");
        world.nodes[0].skew_ms -= far;
        world.run(60_000);
        assert_eq!(shown(&world, 0, &rules), ["kept"], "linked {linked}");
        if !linked {
            world.wire(Side::Node(0), Side::Node(1));
            world.run(5_000);
        }
    }
}

#[test]
fn what_is_over_goes_and_its_floor_stays() {
    let (mut world, rules, _) = pair(&Topic::named("short").retention(Duration::from_secs(120)));
    world.publish_kept(0, &rules, "old");
    world.run(200_000);
    assert_eq!(shown(&world, 0, &rules), Vec::<String>::new());
    assert!(opened(&mut world, 0, &rules).floor > 0);
    world.publish_kept(0, &rules, "new");
    world.run(1_000);
    assert_eq!(shown(&world, 0, &rules), ["new"]);
}

#[test]
fn what_is_held_back_is_shown_when_it_is_delivered() {
    let delay = Duration::from_secs(5);
    let topic = log().guarantee(Guarantee::HoldBack(delay));
    let (mut world, rules, _) = pair(&topic);
    world.publish_kept(0, &rules, "held");
    world.run(2_000);
    assert_eq!(shown(&world, 1, &rules), Vec::<String>::new());
    world.run(5_000);
    assert!(world.nodes[1].has_heard("held"));
    assert_eq!(shown(&world, 1, &rules), ["held"]);
    // Held when the process ends: held again for the whole delay.
    world.publish_kept(0, &rules, "crash");
    world.run(2_000);
    world.restart(1, true);
    world.run(4_000);
    assert_eq!(shown(&world, 1, &rules), ["held"]);
    world.run(2_000);
    assert_eq!(shown(&world, 1, &rules), ["held", "crash"]);
}

/// What a store says to so many bundles of one author more.
fn say_more(world: &mut World, node: usize, rules: &RuleSet, author: u64, bundles: u64) -> Vec<Kept> {
    let (author, first) = (world.liar(author), world.tick(rules) - 600);
    let said = |at: u64| {
        let bundle = super::hostile::bundle(&author, rules, first + at, 0, &[&"x".repeat(500)]);
        Keep { bundle: Arc::new(bundle), arrival: Arrival::Live, show: Show::Now }
    };
    let keeps: Vec<_> = (0..bundles).map(said).collect();
    let now_ms = world.now_with(0).unix_ms;
    world.nodes[node].store.keep(&Group { keeps: &keeps, record: None, now_ms }).unwrap()
}

#[test]
fn authors_share_what_a_topic_has_and_no_more() {
    let is_full = |kept: &[Kept]| kept.iter().filter(|kept| **kept == Kept::Full).count();
    let mut world = World::new(9);
    let rules = world.topic(&Topic::named("endless").retention_forever());
    let node = world.node_with(|spec| spec.config.history.bytes = 200_000);
    world.run(100);
    // Nine authors have said something, and one says more and more: it leaves an eighth of what there is.
    (0..9).for_each(|author| drop(say_more(&mut world, node, &rules, author, 1)));
    let kept = say_more(&mut world, node, &rules, 9, 300);
    let taken = 300 - is_full(&kept);
    let len = super::hostile::bundle(&world.liar(9), &rules, 1, 0, &[&"x".repeat(500)]).encoded().len();
    assert!((150_000..=175_000).contains(&((taken + 9) * len)), "{taken} of {len} bytes");
    assert_eq!(is_full(&say_more(&mut world, node, &rules, 10, 5)), 0, "others are taken");
    // Where another topic is joined there is half as much, and the store learns of it.
    let other = world.topic(&Topic::named("other").retention_forever());
    let join = Input::Join { rules: other, deliver: true, validate: false, keep: Default::default() };
    world.handle(node, join);
    world.run(3_000);
    let share = 100_000 / 12 * 2 / len;
    assert_eq!(is_full(&say_more(&mut world, node, &rules, 11, 40)), 40 - share, "two twelfths of a half");
}

#[test]
fn where_the_node_is_full_authors_share_the_reserve() {
    let mut world = World::new(10);
    let rules = world.topic(&log());
    world.topic(&Topic::named("other").retention(HOUR));
    let node = world.node_with(|spec| spec.config.history.bytes = 200_000);
    world.run(100);
    (0..9).for_each(|author| drop(say_more(&mut world, node, &rules, author, 1)));
    let kept = say_more(&mut world, node, &rules, 9, 220);
    assert!(kept.iter().all(|kept| matches!(kept, Kept::New { .. })), "the node has room");
    world.restart(node, true);
    world.run(3_000);
    assert_eq!(say_more(&mut world, node, &rules, 9, 221).last(), Some(&Kept::Full));
    assert!(matches!(say_more(&mut world, node, &rules, 11, 1)[..], [Kept::New { .. }]));
}

#[test]
fn a_fork_is_told() {
    let (mut world, rules, _) = pair(&log());
    let (hostile, author) = (world.hostile(0), world.liar(1));
    let tick = world.tick(&rules);
    let say = |prev, slot| super::teller::said(&rules, &author, prev, tick, slot, 50);
    let first = say(None, 0);
    let after = Some(Previous::of(&first));
    let lost =
        Some(Previous { id: super::hostile::fake_id(1), position: Position { tick: tick - 9, slot: 0 } });
    world.pushes(hostile, &[&first, &say(after, 1)]);
    world.run(1_000);
    let forks = |world: &World, node: usize| {
        let events = world.nodes[node].events.iter();
        events.filter(|event| matches!(event, Event::AuthorForked { .. })).count()
    };
    assert_eq!(forks(&world, 0), 0);
    // It goes on from the first once more, and then once more: that is told once, everywhere, and is no offence.
    world.pushes(hostile, &[&say(after, 2)]);
    world.run(1_000);
    world.pushes(hostile, &[&say(after, 3)]);
    world.run(1_000);
    let at = Event::AuthorForked {
        topic: rules.id(),
        author: author.public(),
        position: Position { tick, slot: 2 },
    };
    for node in 0..2 {
        assert_eq!(forks(&world, node), 1);
        assert!(world.nodes[node].events.contains(&at));
        assert!(!world.nodes[node].convicted(&author.public()));
    }
    // So it is where the one before is missing.
    let other = world.liar(2);
    for slot in 0..2 {
        world.pushes(hostile, &[&super::teller::said(&rules, &other, lost, tick, slot, 50)]);
        world.run(1_000);
    }
    assert_eq!((forks(&world, 0), forks(&world, 1)), (2, 2));
}
