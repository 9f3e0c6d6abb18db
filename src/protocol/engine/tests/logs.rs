//! Logs that are kept beside a slow disk, beside other topics, through a conviction, and until their time is over.

use std::sync::Arc;
use std::time::Duration;

use super::equivocation::two_words;
use super::hostile::bundle;
use super::repair::{ago, alone, held, log, put};
use super::teller::{Lie, chain};
use super::world::{Side, World};
use crate::protocol::keeping::{
    Arrival, Cursor, Full, Keep, KeepOptions, Kept, MOST_REMOVED, Show, StoreAnswer, StoreJob,
};
use crate::protocol::limits::WAITING_KEEPS;
use crate::protocol::repair::SHARED_STEP_EVERY;
use crate::protocol::{Input, PublishError};
use crate::rumor::{Bundle, RuleSet, Topic};
use crate::store::Store as _;

/// How many bundles the store of a node shows, in the order of arrival.
fn shown(world: &World, node: usize, rules: &RuleSet) -> usize {
    world.nodes[node].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap().items.len()
}

#[test]
fn a_slow_disk_pauses_no_link() {
    // Given a node whose disk answers nothing for half a minute, while 9.6 MB come in.
    let mut world = World::new(1);
    let rules = world.topic(&log().slots_per_tick(4_096));
    let (speaker, slow) = (world.node(), world.node());
    let wire = world.wire(Side::Node(speaker), Side::Node(slow));
    world.run(1_000);
    world.nodes[slow].store_takes = Duration::from_secs(30);
    let filler = "x".repeat(16 * 1024 - 10);
    for number in 0..600 {
        let body = format!("{number} {filler}");
        world.publish(speaker, &rules, &body);
        // Then each is heard as soon as ever, and no lane of the link is stopped.
        world.until(100, |world| world.nodes[slow].has_heard(&body));
        assert!(world.reads(wire, 1), "bundle {number} stopped the link");
    }
    assert!(world.nodes[slow].counters().not_kept > 0, "600 times 16 KiB are more than may wait");
    // And when the disk works, what was not kept is a hole, or a head that the link lists: all of it comes.
    world.nodes[slow].store_takes = Duration::from_millis(1);
    let mut waited = 0;
    while shown(&world, slow, &rules) < shown(&world, speaker, &rules) {
        assert!(waited < 180, "{} of {}", shown(&world, slow, &rules), shown(&world, speaker, &rules));
        world.run(1_000);
        waited += 1;
    }
    assert!(world.nodes[slow].counters().repaired > 0);
    assert_eq!(world.nodes[slow].counters().history_strikes, 0);
}

/// What was accepted as news and not kept comes again, and there is no room for it even then.
#[test]
fn what_a_slow_disk_has_no_room_for_twice_is_asked_for_once_more() {
    let (mut world, rules) = alone(8);
    let tick = world.tick(&rules);
    let all = chain(&rules, &world.liar(1), [(tick - 2, 0), (tick - 1, 0)], 50);
    let mut tellers = [world.teller(0, &rules, &all, Lie::Echo)];
    let speaker = world.hostile(0);
    world.run_with(&mut tellers, 2_000);
    let waits = |world: &mut World, so: bool| {
        let engine = &mut world.nodes[0].engine;
        let (now, waiting) = (engine.cx.now.mono, engine.repair.waiting_mut());
        if so {
            waiting.gives(rules.id(), WAITING_KEEPS, now);
        } else {
            waiting.answered(&rules.id(), WAITING_KEEPS, now);
        }
    };
    // Given a hole of something that was heard while too much waited for the disk.
    waits(&mut world, true);
    world.pushes(speaker, &[&all[0]]);
    world.run_with(&mut tellers, 500);
    waits(&mut world, false);
    world.pushes(speaker, &[&all[1]]);
    world.run_with(&mut tellers, 500);
    assert_eq!((held(&world, 0, &rules, &all), world.nodes[0].counters().not_kept), (1, 1));
    // When a link brings it, and too much waits again.
    waits(&mut world, true);
    world.until_with(&mut tellers, 15_000, |world| world.nodes[0].counters().not_kept == 2);
    waits(&mut world, false);
    // Then it is asked for again in a while.
    world.until_with(&mut tellers, 20_000, |world| held(world, 0, &rules, &all) == 2);
}

#[test]
fn a_conviction_shreds_no_log() {
    // Given an author of whom two nodes have kept something.
    let mut world = World::new(2);
    let rules = world.topic(&log());
    let (one, other) = (world.node(), world.node());
    world.wire(Side::Node(one), Side::Node(other));
    world.run(1_000);
    let author = world.liar(1);
    let first = world.tick(&rules) - 200;
    let past = chain(&rules, &author, (0..20).map(|at| (first + at, 0)), 100);
    put(&mut world, one, &past);
    put(&mut world, other, &past);
    world.wire(Side::Node(one), Side::Node(other));
    world.run(2_000);
    // When it says two things at once.
    let (liar, [yes, no]) = (world.hostile(one), two_words(&world, &author, &rules));
    world.pushes(liar, &[&yes]);
    world.run(100);
    world.pushes(liar, &[&no]);
    world.run(2_000);
    // Then it is convicted, and what was kept before is read as ever, in this life and the next.
    for life in 0..2 {
        for node in [one, other] {
            assert!(world.nodes[node].convicted(&author.public()));
            assert_eq!(shown(&world, node, &rules), 21, "life {life}: the one that was kept first as well");
            assert_eq!(held(&world, node, &rules, &past), 20);
        }
        world.restart(one, true);
        world.restart(other, true);
        world.run(70_000);
    }
}

#[test]
fn superseded_heads_earn_no_claims() {
    // Given a node that has a whole chain, and links that have a part of it each: their heads lie inside our chain.
    let (mut world, rules) = alone(3);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 900, 300), 100);
    put(&mut world, 0, &all);
    let mut tellers: Vec<_> =
        [1, 100, 200, 299].iter().map(|count| world.teller(0, &rules, &all[..*count], Lie::None)).collect();
    world.run_with(&mut tellers, 10_000);
    assert!(tellers.iter().all(|teller| teller.told > 100), "each has listed its head");
    let counters = world.nodes[0].counters();
    assert_eq!((counters.claims, counters.fetches, counters.history_strikes), (0, 0, 0));
    assert_eq!(world.nodes[0].engine.caught_up(&rules.id()), 4, "none of them has anything that we lack");
}

/// Says so many bundles of 500 bytes, each of an author of its own.
fn newcomers(world: &mut World, liar: usize, rules: &RuleSet, count: u64) {
    for number in 0..count {
        let word = bundle(&world.liar(1_000 + number), rules, world.tick(rules), 0, &[&"x".repeat(500)]);
        world.pushes(liar, &[&word]);
        world.run(50);
    }
}

#[test]
fn newcomers_never_erase_the_audit_log() {
    // Given a node with little room, an endless log, and three open topics that are kept for an hour.
    let mut world = World::new(4);
    let audit = world.topic(&Topic::named("audit").retention_forever());
    let open: Vec<_> = (0..3)
        .map(|number| world.topic(&Topic::named(format!("open {number}")).retention(super::repair::HOUR)))
        .collect();
    let node = world.node_with(|spec| spec.config.history.bytes = 120_000);
    world.run(100);
    let records: Vec<Arc<Bundle>> = chain(&audit, &world.liar(1), ago(&world, &audit, 100_000, 20), 500);
    put(&mut world, node, &records);
    // What does not fit into its own part of the room is refused, whoever says it, and deletes nothing.
    let (liar, at) = (world.hostile(node), ago(&world, &audit, 80, 5));
    let more: Vec<_> =
        (2..14).flat_map(|number| chain(&audit, &world.liar(number), at.clone(), 700)).collect();
    for said in &more {
        world.pushes(liar, &[said]);
        world.run(50);
    }
    world.run(2_000);
    let taken = held(&world, node, &audit, &more);
    assert!((15..20).contains(&taken), "{taken}: it is full to its edge");
    assert!(world.nodes[node].counters().store_full > 0);
    // When newcomers fill the open ones, far beyond all that there is.
    for rules in &open {
        newcomers(&mut world, liar, rules, 100);
    }
    world.run(5_000);
    // Then they push out each other, and of the log nothing is gone.
    let kept: Vec<_> = open.iter().map(|rules| shown(&world, node, rules)).collect();
    assert!(kept.iter().sum::<usize>() < 170, "{kept:?}: 300 of 700 bytes are more than there is");
    assert_eq!((held(&world, node, &audit, &records), held(&world, node, &audit, &more)), (20, taken));
}

#[test]
fn left_topics_expire() {
    // Given a node that has kept three topics for two minutes each or for ever, and one that knows what time it is.
    let mut world = World::new(5);
    let short = |name: &str| Topic::named(name).retention(Duration::from_secs(120));
    let (stays, gone) = (world.topic(&short("stays")), world.topic(&short("gone")));
    let ever = world.topic(&Topic::named("ever").retention_forever());
    let (node, other) = (world.node(), world.node());
    let size =
        |world: &World, rules: &RuleSet| world.nodes[node].store.reader().size(&rules.id()).unwrap().bundles;
    for rules in [&stays, &gone, &ever] {
        // More than one step of removing takes.
        let authors = if rules.id() == gone.id() { 1_500 } else { 1 };
        let at = ago(&world, rules, 20, 1);
        let said: Vec<_> =
            (0..authors).flat_map(|number| chain(rules, &world.liar(number), at.clone(), 50)).collect();
        put(&mut world, node, &said);
    }
    // When it has left two of them, in this life or an earlier one.
    world.handle(node, Input::Leave { topic: gone.id() });
    world.topics.retain(|rules| rules.id() == stays.id());
    world.restart(node, true);
    world.run(3_000_000);
    // Then nothing goes by a clock that nobody confirms, or only somebody who has dialled this node.
    assert_eq!((size(&world, &gone), size(&world, &ever)), (1_500, 1));
    let inbound = world.wire(Side::Node(other), Side::Node(node));
    world.run(1_300_000);
    assert_eq!((size(&world, &gone), size(&world, &ever)), (1_500, 1));
    world.cut(inbound);
    let wire = world.wire(Side::Node(node), Side::Node(other));
    world.run(60_000);
    assert_eq!(size(&world, &gone), 0);
    world.run(640_000);
    assert_eq!((size(&world, &stays), size(&world, &gone), size(&world, &ever)), (0, 0, 1));
    // And in the life in which it has left it.
    let said = chain(&gone, &world.liar(1), ago(&world, &gone, 20, 1), 50);
    let join = Input::Join { rules: gone.clone(), deliver: true, validate: false, keep: Default::default() };
    world.handle(node, join);
    world.run(100);
    let keep = Keep { bundle: Arc::clone(&said[0]), arrival: Arrival::Live, show: Show::Now };
    let kept = world.nodes[node].stores(StoreJob::Keep { keep, urgent: false }, 0);
    assert!(matches!(kept, Some(StoreAnswer::Kept { kept: Ok(Kept::New { .. }), .. })));
    world.handle(node, Input::Leave { topic: gone.id() });
    world.run(60_000);
    assert_eq!(size(&world, &gone), 1, "not before its time");
    world.run(700_000);
    assert_eq!(size(&world, &gone), 0);
    assert!(world.wires[wire].up);
}

#[test]
fn what_is_over_leaves_the_disk_at_a_pace() {
    // Given a node that has kept two topics for a quarter of an hour, in which many spoke at once, and one that knows what time it is.
    const AUTHORS: u64 = 1_600;
    let mut world = World::new(6);
    let for_a_while = |name: &str| Topic::named(name).retention(Duration::from_secs(900));
    let topics = [world.topic(&for_a_while("one")), world.topic(&for_a_while("other"))];
    let (node, other) = (world.node(), world.node());
    for rules in &topics {
        let at = ago(&world, rules, 20, 1);
        let said: Vec<_> =
            (0..AUTHORS).flat_map(|number| chain(rules, &world.liar(number), at.clone(), 50)).collect();
        put(&mut world, node, &said);
    }
    world.wire(Side::Node(node), Side::Node(other));
    let held = |world: &World| {
        topics.each_ref().map(|rules| world.nodes[node].store.reader().size(&rules.id()).unwrap().bundles)
    };
    world.run(800_000);
    assert_eq!(held(&world), [AUTHORS; 2]);
    // When they are over, then one step goes in five seconds, and none of them waits for the other.
    let (mut before, mut went, mut seconds) = (held(&world), Vec::new(), 0);
    while before != [0; 2] {
        seconds += 1;
        world.run(1_000);
        let now = held(&world);
        let gone = [before[0] - now[0], before[1] - now[1]];
        if gone != [0; 2] {
            assert!(gone[0] + gone[1] <= MOST_REMOVED as u64, "{gone:?} in a second");
            let after = SHARED_STEP_EVERY.as_secs();
            assert!(went.is_empty() || (after..=after + 1).contains(&seconds), "{seconds} s after the last");
            seconds = 0;
        }
        went.extend((0..2).filter(|topic| gone[*topic] > 0));
        assert!(seconds < 300, "{now:?} are left after steps of {went:?}");
        before = now;
    }
    assert_eq!(went, [0, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn full_refuses_before_sealing() {
    // Given a topic that drops nothing, with room for a few rumors.
    let mut world = World::new(6);
    let rules = world.topic(&log());
    let (one, other) = (world.node(), world.node());
    world.handle(one, Input::Leave { topic: rules.id() });
    let join = |reserve| {
        let keep = KeepOptions { full: Some(Full::Refuse), reserve: Some(reserve), ..Default::default() };
        Input::Join { rules: rules.clone(), deliver: true, validate: false, keep }
    };
    world.handle(one, join(5_000));
    world.wire(Side::Node(one), Side::Node(other));
    world.run(2_000);
    let say = |world: &mut World, body: &str| {
        let id = world.publish_kept(one, &rules, body);
        world.run(1_500);
        world.nodes[one].published[&id].clone()
    };
    let filler = "x".repeat(700);
    let said = (0..9).filter(|number| say(&mut world, &format!("{number} {filler}")).is_ok()).count();
    assert!((3..7).contains(&said), "{said}");
    assert_eq!(say(&mut world, &filler), Err(PublishError::StoreFull));
    // Then nothing of what was refused was said: what follows when there is room names what was said last.
    assert_eq!(world.nodes[other].delivered.len(), said);
    world.handle(one, join(50_000));
    world.run(20_000);
    assert!(say(&mut world, "there is room").is_ok());
    assert_eq!(world.nodes[other].delivered.len(), said + 1);
    assert_eq!(world.nodes[other].store.reader().unmet(&rules.id(), None, 9).unwrap(), []);
    assert_eq!(world.nodes[other].engine.check_at_rest(), Vec::<String>::new());
}
