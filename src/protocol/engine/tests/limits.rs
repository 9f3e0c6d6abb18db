//! What one link can make us remember, do and send: bounded, whatever it claims.

use std::time::Duration;

use super::hostile::{bundle, fake_id, frame_of};
use super::world::World;
use crate::protocol::{Config, Event, Impairment, Offence, Validation};
use crate::rumor::{RuleSet, Topic};
use crate::wire::{self, Hello, Lane, Reason, TopicChange};

/// A topic in which a node holds so many bundles of `len` bytes, and their ids.
fn stocked(
    world: &mut World,
    node: usize,
    count: usize,
    len: usize,
) -> (std::sync::Arc<RuleSet>, Vec<crate::rumor::BundleId>) {
    let rules = world.topics[0].clone();
    let source = world.hostile(node);
    let (author, tick) = (world.liar(77), world.tick(&rules));
    let body = "x".repeat(len);
    let words: Vec<_> = (0..count).map(|slot| bundle(&author, &rules, tick, slot as u16, &[&body])).collect();
    for word in &words {
        world.pushes(source, &[word]);
        world.run(5);
    }
    world.run(2_000);
    assert_eq!(world.nodes[node].delivered.len(), count);
    (rules, words.iter().map(|word| word.id()).collect())
}

#[test]
fn pull_amplification_is_bounded() {
    // Given a node that holds 100 bundles of 16 KiB, and allows each link 100 kB a second.
    let mut world = World::new(1);
    world.topic(&Topic::named("t").slots_per_tick(200));
    let node = world.node_with(|spec| {
        spec.config = Config::default().with(|config| {
            config.budget.bytes_per_s = 100_000;
            config.budget.bytes_burst = 2_000_000;
        });
    });
    let (rules, ids) = stocked(&mut world, node, 100, 16_000);
    let (greedy, modest) = (world.hostile(node), world.hostile(node));
    // When a link asks for all of them fifty times a second, with 3 kB each time.
    for _ in 0..500 {
        world.says(greedy, Lane::Control, wire::pull(&rules.id(), &ids));
        world.run(20);
    }
    // Then in those ten seconds it got its burst and its rate and not much more, is blamed for nothing, and does not
    // keep another from being served.
    let got = world.hostiles[greedy].bytes_in;
    assert!(got < 2_000_000 + 10 * 100_000 + 1_700_000, "{got} bytes");
    assert_eq!(world.hostiles[greedy].closed, None);
    world.says(modest, Lane::Control, wire::pull(&rules.id(), &ids[..3]));
    world.run(100);
    assert_eq!(world.hostiles[modest].bundles().len(), 3);
}

#[test]
fn bodies_that_come_at_once_keep_the_cap_together() {
    // Given room for sixteen bodies, ten of one author, and twenty that are all being verified before the first is stored:
    // twelve of one author and one each of others.
    let mut world = World::new(15);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| {
        spec.config = Config::default().with(|config| {
            config.topics.bytes = 16 * 10_000;
            config.topics.author_bytes = 100_000;
        });
    });
    world.verify_takes = Duration::from_millis(50);
    let hostiles: Vec<_> = (0..20).map(|_| world.hostile(node)).collect();
    for (number, hostile) in (0u64..).zip(hostiles) {
        let author = world.liar(number.saturating_sub(11));
        let word = world.says_at(&author, &rules, number as u16, &"x".repeat(10_000));
        world.pushes(hostile, &[&word]);
    }
    world.run(3_000);
    // Then what is over the cap (the world checks) is dropped, of the one author and of all together.
    assert_eq!(world.nodes[node].delivered.len(), 16);
    assert_eq!(world.engine(node).stats().topics[0].body_bytes, 160_000);
}

#[test]
fn topic_flood_is_refused() {
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (greedy, honest) = (world.hostile(node), world.hostile(node));
    let topics = |from: u32| (from..from + 100).map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    // When a link joins ever more topics.
    for from in [0, 100] {
        world.says(
            greedy,
            Lane::Control,
            wire::topics(&TopicChange { joined: topics(from), left: Vec::new(), ..TopicChange::default() }),
        );
    }
    world.run(100);
    // Then it is closed with a reason and not banned; others and a 65th topic of our own change nothing.
    assert_eq!(world.hostiles[greedy].closed, Some(Reason::TooManyTopics));
    assert!(world.engine(node).banned().is_empty());
    for n in 0..100 {
        let rules = std::sync::Arc::new(Topic::named(format!("{n}")).bind(rules.network()).unwrap());
        world.handle(
            node,
            crate::protocol::Input::Join { rules, deliver: true, validate: false, keep: Default::default() },
        );
    }
    assert_eq!(world.engine(node).stats().topics.len(), crate::protocol::MAX_TOPICS);
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.pushes(honest, &[&word]);
    world.run(100);
    assert_eq!(world.nodes[node].heard(), ["word"]);
}

#[test]
fn a_topic_named_again_and_again_empties_the_askers_own_budget() {
    for leaves in [false, true] {
        // Given a node that holds something, and a link that asks for its announcements again and again.
        let mut world = World::new(6);
        world.topic(&Topic::named("t").slots_per_tick(2_000));
        let node = world.node();
        let (rules, _) = stocked(&mut world, node, 1_000, 10);
        let greedy = world.hostile(node);
        let topic = *rules.id().as_bytes();
        let before = world.nodes[node].counters();
        let left = if leaves { vec![topic] } else { vec![] };
        let again = wire::topics(&TopicChange { joined: vec![topic], left, ..TopicChange::default() });
        for _ in 0..20_000 {
            world.says(greedy, Lane::Control, again.clone());
        }
        world.run(2_000);
        // Then it is not read for as long as that takes by its budget: a quarter of a core.
        let counters = world.nodes[node].counters();
        assert!(counters.paused_for_budget > before.paused_for_budget);
        assert!(counters.frames_in - before.frames_in < 12_000, "{}", counters.frames_in);
        assert_eq!(world.hostiles[greedy].closed, None);
    }
}

#[test]
fn numbers_from_the_wire_are_clamped() {
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(1);
    // Given a hello from the end of time,
    let hostile = world.silent_hostile(0);
    let network = *rules.network().as_bytes();
    for clock_ms in [u64::MAX, 0, 1 << 63] {
        let other = world.silent_hostile(0);
        world.says(
            other,
            Lane::Control,
            wire::hello(&Hello { network, clock_ms, topics: vec![], ..Hello::default() }),
        );
    }
    world.says(hostile, Lane::Control, world.hello());
    world.run(50);
    // a hop count, a size class and ticks at their maximum,
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.says(hostile, Lane::Control, wire::announce(&rules.id(), &[(fake_id(1), 255), (fake_id(2), 0)]));
    world.says(hostile, Lane::Rumors, frame_of(255, &[&word]));
    for tick in [u64::MAX, u64::MAX - 1, 0, u64::MAX / 1000] {
        world.pushes(hostile, &[&bundle(&world.liar(2), &rules, tick, 63, &["far"])]);
    }
    world.run(1_000);
    // and a driver that measures nonsense:
    let link = crate::protocol::LinkId(2 * world.hostiles[hostile].wire as u64 + 1);
    world.handle(0, crate::protocol::Input::RoundTrip { link, rtt: Duration::MAX });
    world.handle(0, crate::protocol::Input::Written { link, lane: Lane::Rumors, bytes: usize::MAX });
    world.nodes[0].skew_ms = i64::MAX;
    world.run(5_000);
    world.nodes[0].skew_ms = 0;
    world.run(5_000);
    // Then nothing overflows, nobody is blamed, and the node works.
    assert_eq!(world.nodes[0].heard(), ["word"]);
    assert!(world.engine(0).banned().is_empty());
    let witness = world.hostile(0);
    let more = world.says_at(&world.liar(3), &rules, 0, "more");
    world.pushes(hostile, &[&more]);
    world.run(3_000);
    assert!(world.hostiles[witness].got_announcement(&more.id()));
}

#[test]
fn hop_reset_costs_no_more_than_the_eager_fanout() {
    // Given a mesh of ten, and a liar that pushes with a full hop budget.
    let mut world = World::new(8);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(20);
    world.graph(70);
    let hostile = world.hostile(0);
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.says(hostile, Lane::Rumors, frame_of(255, &[&word]));
    world.run(3_000);
    // Then everybody hears it, and gets at most as many copies as everybody's eager fanout.
    assert!(world.nodes.iter().all(|node| node.heard() == ["word"]));
    let copies: u64 = world.nodes.iter().map(|node| node.counters().copies_in).sum();
    assert!(copies <= 20 * 8, "{copies}");
    // And a copy that was pulled carries no budget at all, whatever is written on it.
    let puller = world.hostile(3);
    world.says(puller, Lane::Control, wire::pull(&rules.id(), &[word.id()]));
    let pulled = world.says_at(&world.liar(2), &rules, 0, "pulled");
    world.announces(puller, &rules, &[pulled.id()]);
    world.run(30);
    let before: u64 = world.nodes.iter().map(|node| node.counters().pushed).sum();
    world.says(puller, Lane::Replies, frame_of(255, &[&pulled]));
    world.run(2_000);
    assert_eq!(world.nodes.iter().map(|node| node.counters().pushed).sum::<u64>(), before);
    assert_eq!(world.hostiles[puller].bundles().iter().map(|(hops, _)| *hops).max(), Some(0));
}

#[test]
fn stalled_app_does_not_stop_gossip() {
    // Given a node whose application never answers in one topic, on the way between two others.
    let mut world = World::new(9);
    let rules = world.topic(&Topic::named("t"));
    world.node();
    let stalled = world.node_with(|spec| spec.validator = Some(Box::new(|_| None)));
    world.node();
    world.chain();
    world.connect(0, 2);
    world.run(100);
    // When rumors come, faster than validators time out.
    for n in 0..600 {
        world.publish(0, &rules, format!("{n}"));
        world.run(20);
    }
    world.run(3_000);
    // Then the others lose nothing, the stalled one counts what it was too slow for and says so, and goes on as soon as its
    // application does.
    assert_eq!(world.nodes[2].delivered.len(), 600);
    assert!(world.nodes[stalled].counters().validator_timed_out >= 600);
    let slow = |event: &Event| matches!(event, Event::Impaired { what: Impairment::ValidatorsSlow, .. });
    assert_eq!(world.nodes[stalled].events.iter().filter(|event| slow(event)).count(), 1);
    assert!(world.wires.iter().all(|wire| wire.up));
    world.nodes[stalled].validator = Some(Box::new(|_| Some(Validation::Accept)));
    world.publish(0, &rules, "at last");
    world.run(1_000);
    assert!(world.nodes[stalled].has_heard("at last"));
    // And what it was too slow for is asked for again, until all has been judged.
    world.run(40_000);
    assert_eq!(world.nodes[stalled].delivered.len(), 601);
    let fast = |event: &Event| matches!(event, Event::Recovered { what: Impairment::ValidatorsSlow, .. });
    assert_eq!(world.nodes[stalled].events.iter().filter(|event| fast(event)).count(), 1);
}

#[test]
fn bodies_that_wait_for_a_stalled_app_are_bounded() {
    // Given an application that answers nothing, and a node that is patient with it.
    let mut world = World::new(17);
    let rules = world.topic(&Topic::named("t").slots_per_tick(700).max_body(64 * 1024));
    let node = world.node_with(|spec| {
        let (validator_patience, validators) = (Duration::from_secs(3_600), 1);
        spec.config = Config::default().with(|config| {
            config.validators.patience = validator_patience;
            config.validators.at_once = validators;
        });
        spec.validator = Some(Box::new(|_| None));
    });
    let source = world.hostile(node);
    let (author, tick) = (world.liar(1), world.tick(&rules));
    let large = "x".repeat(64 * 1024);
    // When more bytes of genuine bodies come than may wait, as fast as the link's budget allows.
    for slot in 0..600u16 {
        world.pushes(source, &[&bundle(&author, &rules, tick, slot, &[&large])]);
        world.run(10);
    }
    world.run(200);
    // Then one is asked about, 32 MiB wait, the others are ignored and counted, and nobody is blamed.
    assert_eq!(world.nodes[node].counters().validator_overload, 600 - 1 - 512);
    assert_eq!(world.hostiles[source].closed, None);
}

#[test]
fn questions_to_a_stalled_app_are_bounded() {
    // Given an application that answers nothing, and a node that is patient with it.
    let mut world = World::new(16);
    let rules = world.topic(&Topic::named("t").slots_per_tick(4_300));
    let node = world.node_with(|spec| {
        let (validator_patience, validators) = (Duration::from_secs(3_600), 1);
        spec.config = Config::default().with(|config| {
            config.validators.patience = validator_patience;
            config.validators.at_once = validators;
        });
        spec.validator = Some(Box::new(|_| None));
    });
    let source = world.hostile(node);
    let (author, tick) = (world.liar(1), world.tick(&rules));
    // When more genuine bundles come than may wait.
    let words: Vec<_> = (0..4_288u16).map(|slot| bundle(&author, &rules, tick, slot, &["word"])).collect();
    for words in words.chunks(64) {
        world.pushes(source, &words.iter().collect::<Vec<_>>());
        world.run(200);
    }
    // Then one is asked about, 4 096 wait, the others are ignored and counted, and nobody is blamed.
    assert_eq!(world.nodes[node].counters().validator_overload, 4_288 - 1 - 4_096);
    assert_eq!(world.hostiles[source].closed, None);
}

#[test]
fn what_the_application_rejects_goes_no_further_and_blames_nobody() {
    let mut world = World::new(10);
    let rules = world.topic(&Topic::named("t"));
    let reject = |bundle: &crate::rumor::Bundle| {
        Some(if bundle.len() == 1 { Validation::Reject } else { Validation::Accept })
    };
    let node = world.node_with(|spec| spec.validator = Some(Box::new(reject)));
    let (sender, witness) = (world.hostile(node), world.hostile(node));
    let author = world.liar(1);
    world.says(sender, Lane::Rumors, frame_of(4, &[&world.says_at(&author, &rules, 0, "rejected")]));
    world.says(
        sender,
        Lane::Rumors,
        frame_of(4, &[&bundle(&author, &rules, world.tick(&rules), 5, &["a", "b"])]),
    );
    world.run(3_000);
    assert_eq!(world.nodes[node].heard(), ["a", "b"]);
    assert_eq!(world.hostiles[witness].bundles().len(), 1);
    assert_eq!(world.hostiles[sender].closed, None);
    // A rejected rumor still holds its position: a second word there convicts.
    world.pushes(sender, &[&world.says_at(&author, &rules, 0, "another")]);
    world.run(3_000);
    assert!(!world.nodes[node].has_heard("another"));
}

#[test]
fn unsolicited_replies_are_paid_from_the_budget() {
    // Given a link that owes us a pull, for an id that it made up.
    let mut world = World::new(11);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| {
        spec.config = Config::default().with(|config| {
            config.budget.bytes_per_s = 10_000;
            config.budget.bytes_burst = 100_000;
        });
    });
    let hostile = world.hostile(node);
    world.announces(hostile, &rules, &(0..200).map(fake_id).collect::<Vec<_>>());
    let word = world.says_at(&world.liar(1), &rules, 0, &"x".repeat(10_000));
    // When it floods the lane of replies.
    for _ in 0..100 {
        world.says(hostile, Lane::Replies, frame_of(0, &[&word]));
    }
    world.run(5_000);
    // Then it is read at its rate.
    let counters = world.nodes[node].counters();
    assert!(counters.bytes_in < 250_000 && counters.paused_for_budget > 0, "{}", counters.bytes_in);
    assert!(
        world.nodes[node]
            .events
            .iter()
            .all(|event| !matches!(event, Event::Offence { offence: Offence::Undecodable, .. }))
    );
}
