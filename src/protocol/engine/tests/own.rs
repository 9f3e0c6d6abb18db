//! The author's side: positions are never used twice, whatever crashes, and a second writer is noticed.

use std::time::Duration;

use proptest::prelude::*;

use super::hostile::{bundle, frame_of};
use super::world::World;
use crate::key::SecretKey;
use crate::protocol::{Event, Impairment, Input, PublishError, PublishId, UsedPositions};
use crate::rumor::{Spans, Topic};
use crate::wire::{Lane, Reason};

#[test]
fn a_restart_with_its_position_log_speaks_within_seconds_and_repeats_no_position() {
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    for life in 0..5 {
        // When a node speaks, crashes at once, and comes back in the same second.
        world.publish(0, &rules, format!("life {life}"));
        world.run(30);
        world.restart(0, true);
        world.connect(0, 1);
        world.run(50);
        let publish_id = world.publish(0, &rules, format!("back in life {life}"));
        world.run(5_000);
        assert!(world.nodes[0].published[&publish_id].is_ok());
    }
    // Then the other heard all of it, and convicted nobody (the world checks).
    assert_eq!(world.nodes[1].delivered.len(), 10);
    assert!(!world.nodes[0].told_of_duplicate_writer());
}

#[test]
fn a_restart_without_its_position_log_waits_until_nothing_said_before_can_be_repeated() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    world.publish(0, &rules, "before");
    world.run(100);
    world.restart(0, false);
    world.connect(0, 1);
    world.run(100);
    let publish_id = world.publish(0, &rules, "after");
    world.run(29_500);
    assert!(!world.nodes[0].published.contains_key(&publish_id));
    world.run(3_000);
    assert!(world.nodes[0].published[&publish_id].is_ok());
    assert_eq!(world.nodes[1].heard(), ["before", "after"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// B14: whatever the order of speaking, crashing, losing the disk and steps of the clock.
    #[test]
    fn crash_restart_never_reuses_a_position(
        seed in 0u64..1_000,
        keeps_position_log: bool,
        deeds in prop::collection::vec((0u8..9, 1u64..3_000, -10_000i64..10_000), 1..40),
    ) {
        let mut world = World::new(seed);
        let rules = world.topic(&Topic::named("t").slots_per_tick(3));
        world.nodes(2);
        world.connect(0, 1);
        world.run(100);
        for (number, (deed, millis, step)) in deeds.into_iter().enumerate() {
            match deed {
                0..=2 => drop(format!("{:?}", world.publish(0, &rules, format!("{number}")))),
                // Without a position log, clocks within the skew are all that protects; with one, nothing else is needed.
                3 => {
                    world.restart(0, keeps_position_log);
                    world.connect(0, 1);
                }
                4 if !keeps_position_log => {
                    world.nodes[0].lose_disk();
                    world.restart(0, keeps_position_log);
                    world.connect(0, 1);
                }
                5 => {
                    world.nodes[0].settle();
                    world.restart(0, keeps_position_log);
                    world.connect(0, 1);
                }
                // Both clocks, and a new link that says so: nothing tells them that they are wrong.
                6 | 7 if keeps_position_log => {
                    let skew_ms = (step % 3) * 3_600_000 + step;
                    (0..2).for_each(|node| world.nodes[node].skew_ms = skew_ms);
                    world.restart(0, true);
                    world.connect(0, 1);
                }
                8 if keeps_position_log => world.nodes[0].skew_ms = step * 1_000,
                _ => world.nodes[0].skew_ms = step,
            }
            world.run(millis);
        }
        world.run(40_000);
        // (The world checks that the author is not convicted and nothing delivered twice.)
        prop_assert!(!world.nodes[0].told_of_duplicate_writer());
        // What it said in another life may be told to it; then it is the same.
        let mut said = std::collections::BTreeMap::new();
        for rumor in world.nodes.iter().flat_map(|node| &node.delivered) {
            let before = said.insert(rumor.position, rumor.body.clone());
            prop_assert!(before.is_none_or(|before| before == rumor.body), "two things at {}", rumor.position);
        }
    }
}

#[test]
fn a_second_writer_is_noticed_and_publishing_stops() {
    // Given two nodes with one author key.
    let mut world = World::new(3);
    world.honest_keys_stolen = true;
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    let shared = world.nodes[0].author.clone();
    let twin = world.node_with(|spec| spec.author = shared);
    world.chain();
    world.publish(0, &rules, "from the first");
    world.run(1_500);
    // When the second has heard the first, it stops before it can contradict it.
    assert!(world.nodes[twin].told_of_duplicate_writer());
    let publish_id = world.publish(twin, &rules, "from the second");
    world.run(1_500);
    assert_eq!(world.nodes[twin].published[&publish_id], Err(PublishError::DuplicateWriter));
    assert!(world.engine(1).convicted().is_empty());
    // The first never heard the second, and goes on.
    assert!(!world.nodes[0].told_of_duplicate_writer());
}

#[test]
fn a_replay_of_our_own_old_rumors_is_not_a_second_writer() {
    for disk in [true, false] {
        // Given words of an earlier life.
        let mut world = World::new(4);
        let rules = world.topic(&Topic::named("t"));
        let node = world.node();
        let witness = world.hostile(node);
        for n in 0..3 {
            world.publish(node, &rules, format!("old {n}"));
            world.run(700);
        }
        let old: Vec<_> = world.hostiles[witness].bundles().into_iter().map(|(_, bundle)| bundle).collect();
        assert_eq!(old.len(), 3);
        // When the node restarts, its clock now behind by less than the skew, and they are replayed to it.
        world.nodes[node].skew_ms = if disk { 0 } else { -10_000 };
        world.restart(node, disk);
        let replayer = world.hostile(node);
        world.pushes(replayer, &old.iter().collect::<Vec<_>>());
        world.run(1_000);
        // Then nothing is made of it, and the node still publishes.
        assert!(!world.nodes[node].told_of_duplicate_writer());
        world.run(45_000);
        let publish_id = world.publish(node, &rules, "new");
        world.run(2_000);
        assert!(world.nodes[node].published[&publish_id].is_ok(), "{:?}", world.nodes[node].published);
    }
}

#[test]
fn rumors_of_a_second_process_stop_us_before_we_contradict_them() {
    // Given somebody else with our key, who wrote at a position that our pen has not reached.
    let mut world = World::new(5);
    world.honest_keys_stolen = true;
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let author = world.nodes[node].author.clone();
    let theirs = bundle(&author, &rules, world.tick(&rules) + 2, 0, &["theirs"]);
    world.pushes(hostile, &[&theirs]);
    world.run(100);
    // When we want to speak.
    let publish_id = world.publish(node, &rules, "ours");
    world.run(5_000);
    // Then we do not.
    assert_eq!(world.nodes[node].published[&publish_id], Err(PublishError::DuplicateWriter));
    assert!(!world.nodes[node].has_heard("ours"));
    assert!(world.hostiles[hostile].bundles().is_empty());
}

#[test]
fn leaving_a_topic_and_joining_it_again_is_no_second_writer() {
    // Given a topic that was left, and is known whole; or other topics were left since, and no more is known of it than a tick.
    for others in [0, 64] {
        let mut world = World::new(6);
        let rules = world.topic(&Topic::named("t"));
        world.nodes(3);
        world.chain();
        let hostile = world.hostile(0);
        world.publish(0, &rules, "before");
        world.run(1_000);
        world.handle(0, crate::protocol::Input::Leave { topic: rules.id() });
        super::topics::juggle(&mut world, 0, hostile, others);
        world.run(100);
        world.nodes[0].ids.clear();
        // When it is joined again, and another link tells what was said there,
        world.handle(
            0,
            crate::protocol::Input::Join {
                rules: rules.clone(),
                deliver: true,
                validate: false,
                keep: Default::default(),
            },
        );
        world.connect(0, 2);
        world.run(5_000);
        // Then what it said is not delivered to it again, nor taken for another's, and it goes on at later positions.
        assert_eq!(world.nodes[0].heard().iter().filter(|word| *word == "before").count(), 1);
        assert!(!world.nodes[0].told_of_duplicate_writer(), "{others}");
        world.publish(0, &rules, "after");
        world.run(1_000);
        assert_eq!(world.nodes[1].heard(), ["before", "after"]);
    }
}

#[test]
fn publishing_is_refused_with_a_reason() {
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t"));
    let closed = Topic::named("closed").authors(crate::rumor::Authors::Listed(vec![world.liar(1).public()]));
    let closed = world.topic(&closed);
    let state = world.topic(&Topic::named("state").state(10));
    let node = world.node();
    let other = Topic::named("other").bind(rules.network()).unwrap();
    let alone = world.publish(node, &rules, "alone");
    world.hostile(node);
    let not_joined = world.publish(node, &other, "word");
    let not_admitted = world.publish(node, &closed, "word");
    let too_large = world.publish(node, &rules, vec![0; 16 * 1024 + 1]);
    let no_cell = world.publish(node, &state, "word");
    let answers = &world.nodes[node].published;
    assert_eq!(answers[&no_cell], Err(PublishError::NoCell(crate::rumor::CellError::Op(b'w'))));
    assert_eq!(answers[&alone], Err(PublishError::NoLink));
    assert_eq!(answers[&not_joined], Err(PublishError::NotJoined(other.id())));
    assert_eq!(answers[&not_admitted], Err(PublishError::NotAdmitted(world.nodes[node].author.public())));
    assert_eq!(answers[&too_large], Err(PublishError::TooLarge { len: 16 * 1024 + 1, max: 16 * 1024 }));
    world.handle(node, crate::protocol::Input::Shutdown);
    let late = world.publish(node, &rules, "late");
    assert_eq!(world.nodes[node].published[&late], Err(PublishError::Closed));
    assert_eq!(world.hostiles[0].closed, Some(Reason::Shutdown));
}

#[test]
fn a_fresh_position_log_records_before_the_first_rumor() {
    // Given a position log that takes its time.
    let mut world = World::new(8);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| spec.position_log = UsedPositions::fresh());
    let witness = world.hostile(node);
    world.publish(node, &rules, "word");
    // Then nothing leaves before it has recorded, and what leaves lies within what it recorded.
    assert!(world.nodes[node].published.is_empty());
    world.run(100);
    let said = world.hostiles[witness].bundles();
    let end = rules.tick_len().end_of(said[0].1.header().tick);
    assert!(world.nodes[node].recorded.as_ref().is_some_and(|used| used.overlaps(end - 1, end)));
    world.says(witness, Lane::Rumors, frame_of(0, &[&said[0].1]));
    world.run(100);
    assert_eq!(world.nodes[node].heard(), ["word"]);
}

#[test]
fn an_author_keeps_a_pace_that_others_can_store() {
    // Given two nodes that keep 1.4 MB of newcomers' bodies, and an author that has a megabyte to say.
    let mut world = World::new(21);
    let rules = world.topic(&Topic::named("t"));
    for _ in 0..2 {
        world.node_with(|spec| spec.config.topics.bytes = 1_600_000);
    }
    world.connect(0, 1);
    world.run(100);
    for n in 0..100 {
        world.publish(0, &rules, format!("{n:0>10000}"));
    }
    // When two seconds are over, then an eighth of that has gone at once, and a twentieth of it in each second since.
    world.run(2_000);
    let said = world.nodes[1].delivered.len();
    assert!((25..=33).contains(&said), "{said}");
    // And in the end all of it arrives, and nothing was refused.
    world.run(15_000);
    assert_eq!(world.nodes[1].delivered.len(), 100);
    assert_eq!(world.engine(1).stats().counters.over_cap, 0);
}

#[test]
fn one_record_is_under_way_at_a_time() {
    // Given topics of different ticks, so that one wants more recorded while the other still waits.
    let mut world = World::new(22);
    let short = world.topic(&Topic::named("short"));
    let long = world.topic(&Topic::named("long").tick_len(Duration::from_secs(10)));
    let node = world.node_with(|spec| spec.position_log = UsedPositions::fresh());
    world.hostile(node);
    // When something is said in both at once (the world asserts that no second record is asked for).
    let publish_ids = [world.publish(node, &short, "one"), world.publish(node, &long, "two")];
    assert!(world.nodes[node].is_recording);
    // Then both are said in the end.
    world.run(100);
    for publish_id in publish_ids {
        assert!(world.nodes[node].published[&publish_id].is_ok());
    }
}

#[test]
fn rumors_published_close_together_share_a_bundle() {
    let mut world = World::new(23);
    let rules = world.topic(&Topic::named("t").slots_per_tick(1_000));
    let node = world.node();
    let witness = world.hostile(node);
    let sizes = |world: &World| {
        let said = world.hostiles[witness].bundles();
        said.iter().map(|(_, bundle)| bundle.len()).collect::<Vec<_>>()
    };
    // (Its first word of all waits for the position log.)
    world.publish(node, &rules, "a word");
    world.run(100);
    // Given an author that has been silent: its first word goes at once.
    world.publish(node, &rules, "first");
    assert!(world.nodes[node].has_heard("first"));
    // When it says more within four milliseconds, then that goes together, four milliseconds after the first of it.
    for word in ["second", "third", "fourth"] {
        world.run(1);
        world.publish(node, &rules, word);
    }
    world.run(1);
    assert!(!world.nodes[node].has_heard("second"));
    world.run(1);
    assert!(world.nodes[node].has_heard("second") && world.nodes[node].has_heard("fourth"));
    world.run(100);
    assert_eq!(sizes(&world), [1, 1, 3]);
    // What fills a bundle does not wait, nor does what has to be sealed now.
    world.publish(node, &rules, "fifth");
    for n in 0..64 {
        world.publish(node, &rules, format!("{n}"));
    }
    assert!(world.nodes[node].has_heard("63"));
    let (topic, body, publish_id) = (rules.id(), "now".into(), PublishId(1 << 40));
    world.handle(node, Input::TryPublish { topic, body, publish_id });
    assert!(world.nodes[node].has_heard("now"));
    world.run(100);
    assert_eq!(sizes(&world), [1, 1, 3, 1, 64, 1]);
}

#[test]
fn try_publish_is_answered_at_once_or_after_the_record() {
    let mut world = World::new(26);
    let rules = world.topic(&Topic::named("t").slots_per_tick(2));
    let node = world.node();
    world.hostile(node);
    let topic = rules.id();
    let tried = |world: &mut World, number: u64| {
        let publish_id = PublishId((1 << 40) + number);
        world.handle(node, Input::TryPublish { topic, body: "word".into(), publish_id });
        publish_id
    };
    // Its first word waits for the position log, and for nothing else.
    let first = tried(&mut world, 0);
    assert!(!world.nodes[node].published.contains_key(&first));
    // One that is taken back meanwhile leaves nothing behind.
    let (remembered, gone) = (world.engine(node).publisher.remembers(), tried(&mut world, 9));
    world.handle(node, Input::Withdraw { topic, publish_id: gone });
    assert_eq!(world.engine(node).publisher.remembers(), remembered);
    world.run(100);
    assert!(world.nodes[node].published[&first].is_ok());
    // When the slots of the tick are used, then there is an answer at once; and nothing is left that could still be published.
    let answers: Vec<_> = (1..4).map(|number| tried(&mut world, number)).collect();
    let refused = answers
        .iter()
        .filter(|publish_id| world.nodes[node].published[*publish_id] == Err(PublishError::WouldWait));
    assert!(refused.count() >= 2);
    let delivered = world.nodes[node].published.values().filter(|answer| answer.is_ok()).count();
    world.run(5_000);
    let later = world.nodes[node].published.values().filter(|answer| answer.is_ok()).count();
    assert_eq!(delivered, later);
}

#[test]
fn what_is_taken_back_is_answered_once_and_never_published() {
    let mut world = World::new(27);
    let rules = world.topic(&Topic::named("t").slots_per_tick(1));
    let node = world.node();
    world.hostile(node);
    let first = world.publish(node, &rules, "first");
    let second = world.publish(node, &rules, "second");
    world.run(10);
    let topic = rules.id();
    for publish_id in [first, second, second] {
        world.handle(node, Input::Withdraw { topic, publish_id });
    }
    assert!(world.nodes[node].published[&first].is_ok());
    assert_eq!(world.nodes[node].published[&second], Err(PublishError::WouldWait));
    world.run(5_000);
    assert!(!world.nodes[node].has_heard("second"));
}

#[test]
fn a_publisher_that_awaits_each_answer_is_not_delayed() {
    let mut world = World::new(24);
    let rules = world.topic(&Topic::named("t").slots_per_tick(1_000));
    let node = world.node();
    world.hostile(node);
    world.publish(node, &rules, "a word");
    world.run(100);
    // When an author says the next word only once it has the answer to the last one.
    let begun = world.millis();
    for n in 0..500 {
        let publish_id = world.publish(node, &rules, format!("{n}"));
        while !world.nodes[node].published.contains_key(&publish_id) {
            world.run(1);
        }
    }
    // Then few of them wait for company in vain: the waits become rarer.
    let took = world.millis() - begun;
    assert!(took <= 50, "{took} ms for 500 words");
}

#[test]
fn a_key_made_by_this_process_is_fresh_once() {
    // Given an author with a key of this process, and no position log, that has spoken.
    let mut world = World::new(41);
    let rules = world.topic(&Topic::named("t"));
    world.node();
    let key = SecretKey::generate();
    let first = world.node_with(|spec| (spec.author, spec.position_log) = (key.clone(), UsedPositions::None));
    world.connect(first, 0);
    world.run(100);
    world.publish(first, &rules, "first");
    world.run(100);
    assert!(world.nodes[0].has_heard("first"));
    // When another begins with a clone of it, in the same tick, it waits as with any key that may have been used before.
    let second = world.node_with(|spec| (spec.author, spec.position_log) = (key, UsedPositions::None));
    world.connect(second, 0);
    world.run(100);
    world.publish(second, &rules, "second");
    world.run(25_000);
    assert!(!world.nodes[0].has_heard("second"));
    world.run(10_000);
    assert!(world.nodes[0].has_heard("second"));
    assert!(world.engine(0).convicted().is_empty());
}

#[test]
fn a_slow_position_log_delays_what_is_published_and_loses_nothing() {
    for takes in [1, 1_000, 2_900, 3_500, 10_000, 30_000] {
        // Given a position log that takes its time for each record.
        let mut world = World::new(51);
        let rules = world.topic(&Topic::named("t"));
        world.nodes(2);
        world.nodes[0].record_takes = Duration::from_millis(takes);
        world.connect(0, 1);
        world.run(100);
        // When a word is published each second for a minute, and then nothing for two records' time,
        let publish_ids: Vec<_> = (0..60)
            .map(|n| {
                let publish_id = world.publish(0, &rules, format!("{n}"));
                world.run(100);
                // Once it is known how long a record takes, the next is asked for in time: nobody waits for it any more.
                let waits = !world.nodes[0].published.contains_key(&publish_id);
                assert!(!waits || n < 35 || takes > 10_000, "{takes} ms, word {n}");
                world.run(900);
                publish_id
            })
            .collect();
        world.run(takes * 2);
        // Then all of it is out, and a slow one was told, once.
        assert!(
            publish_ids.iter().all(|publish_id| world.nodes[0].published[publish_id].is_ok()),
            "{takes} ms"
        );
        assert_eq!(world.nodes[1].delivered.len(), 60, "{takes} ms");
        let told = |event: &&Event| matches!(event, Event::Impaired { what: Impairment::RecordSlow, .. });
        let told = world.nodes[0].events.iter().filter(told).count();
        assert_eq!(told, usize::from(takes > 2_000), "{takes} ms");
    }
}

#[test]
fn a_position_log_that_fails_is_told_once_until_it_works_again() {
    let mut world = World::new(52);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    // Given a disk that answers none of three requests but with an error.
    world.nodes[0].record_takes = Duration::from_secs(3_600);
    for n in 0..3 {
        let publish_id = world.publish(0, &rules, format!("{n}"));
        world.nodes[0].is_recording = false;
        world.handle(0, crate::protocol::Input::RecordFailed { why: "full".into() });
        assert_eq!(world.nodes[0].published[&publish_id], Err(PublishError::PositionLog("full".into())));
    }
    // When it works again.
    world.nodes[0].record_takes = Duration::from_millis(1);
    let publish_id = world.publish(0, &rules, "word");
    world.run(100);
    assert!(world.nodes[0].published[&publish_id].is_ok());
    let told = |event: &&Event| match event {
        Event::Impaired { what, .. } | Event::Recovered { what, .. } => *what == Impairment::RecordFailing,
        _ => false,
    };
    assert_eq!(world.nodes[0].events.iter().filter(told).count(), 2);
}

#[test]
fn an_author_that_ended_in_good_order_speaks_after_one_tick_of_listening() {
    let mut world = World::new(53);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    for life in 0..20 {
        let publish_id = world.publish(0, &rules, format!("{life}"));
        world.run(1_200);
        assert!(world.nodes[0].published[&publish_id].is_ok(), "{life}");
        world.run(137);
        // When it ends, what was recorded ahead is taken back.
        world.nodes[0].settle();
        world.restart(0, true);
        world.connect(0, 1);
        world.run(30);
    }
    assert_eq!(world.nodes[1].delivered.len(), 20);
    assert!(!world.nodes[0].told_of_duplicate_writer());
}

#[test]
fn a_key_that_was_used_before_listens_before_it_speaks() {
    // Given a writer that speaks all the time, and another process that starts with the same key and its own old position log.
    let mut world = World::new(54);
    world.honest_keys_stolen = true;
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    let shared = world.nodes[0].author.clone();
    for n in 0..10 {
        world.publish(0, &rules, format!("{n}"));
        world.run(300);
    }
    let now = super::world::BEGIN_MS + world.millis();
    let mut used = Spans::default();
    used.add(now - 3_600_000, now - 3_500_000);
    let twin =
        world.node_with(|spec| (spec.author, spec.position_log) = (shared, UsedPositions::Kept { used }));
    // When it wants to speak as soon as it has a link, while the first goes on.
    world.connect(twin, 1);
    world.run(25);
    let publish_id = world.publish(twin, &rules, "the twin");
    for n in 10..20 {
        world.publish(0, &rules, format!("{n}"));
        world.run(300);
    }
    // Then it hears the other before it has said anything, and nobody is convicted.
    assert_eq!(world.nodes[twin].published[&publish_id], Err(PublishError::DuplicateWriter));
    assert!(
        world.nodes[twin]
            .engine
            .stats()
            .impaired
            .iter()
            .any(|(what, _)| *what == Impairment::DuplicateWriter)
    );
    assert!(world.nodes.iter().all(|node| node.engine.convicted().is_empty()));
    assert_eq!(world.nodes[1].delivered.len(), 20);
}

#[test]
fn where_the_record_of_an_earlier_life_ends_an_author_listens_for_another_writer() {
    // Given a writer that speaks all the time, and another process that starts with the same key and a record that reaches five
    // seconds into its life: until then it can't tell the first one's words from its own of an earlier life.
    let mut world = World::new(57);
    world.honest_keys_stolen = true;
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    world.run(100);
    let shared = world.nodes[0].author.clone();
    let now = super::world::BEGIN_MS + world.millis();
    let mut used = Spans::default();
    used.add(now - 3_600_000, now.next_multiple_of(1_000) + 5_000);
    let twin =
        world.node_with(|spec| (spec.author, spec.position_log) = (shared, UsedPositions::Kept { used }));
    world.connect(twin, 1);
    world.run(25);
    let publish_id = world.publish(twin, &rules, "the twin");
    for n in 0..30 {
        world.publish(0, &rules, format!("{n}"));
        world.run(300);
    }
    // Then it hears the other at the first tick that is nobody's, and nobody is convicted.
    assert_eq!(world.nodes[twin].published[&publish_id], Err(PublishError::DuplicateWriter));
    assert!(world.nodes.iter().all(|node| node.engine.convicted().is_empty()));
    assert_eq!(world.nodes[1].delivered.len(), 30);
}

#[test]
fn an_author_that_is_silent_for_long_says_until_when() {
    // Given an author whose position log says that the next hour was used.
    let mut world = World::new(55);
    let rules = world.topic(&Topic::named("t"));
    let now = super::world::BEGIN_MS + world.millis();
    let mut used = Spans::default();
    used.add(now - 1_000, now + 3_600_000);
    let node = world.node_with(|spec| spec.position_log = UsedPositions::Kept { used });
    world.hostile(node);
    // When it wants to speak, then it learns when it may; the event says the same.
    let publish_id = world.publish(node, &rules, "word");
    world.run(2_000);
    let answer = world.nodes[node].published[&publish_id].clone();
    let Err(PublishError::Silent { until_ms }) = answer else { panic!("{answer:?}") };
    assert!((now + 3_600_000..now + 3_603_000).contains(&until_ms));
    assert_eq!(world.nodes[node].engine.why_waiting(&rules.id()), PublishError::Silent { until_ms });
    let told = Event::Impaired { what: Impairment::Silent, until_ms: Some(until_ms) };
    assert_eq!(world.nodes[node].events.iter().filter(|event| **event == told).count(), 1);
    // And then it may.
    world.run(3_603_000);
    let publish_id = world.publish(node, &rules, "word");
    world.run(100);
    assert!(world.nodes[node].published[&publish_id].is_ok());
    assert!(world.nodes[node].engine.stats().impaired.is_empty());
}

#[test]
fn a_loaded_key_without_a_position_log_tells_at_its_start_until_when_it_is_silent() {
    let mut world = World::new(56);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| spec.position_log = UsedPositions::None);
    world.hostile(node);
    world.run(1_500);
    let until = |event: &Event| match event {
        Event::Impaired { what: Impairment::Silent, until_ms } => *until_ms,
        _ => None,
    };
    let until = world.nodes[node].events.iter().find_map(until).expect("it is told");
    assert_eq!(until / 10_000, (super::world::BEGIN_MS + 32_000) / 10_000);
    assert!(matches!(world.nodes[node].engine.why_waiting(&rules.id()), PublishError::Silent { .. }));
    // A publish request waits for it: that is less than a minute.
    let publish_id = world.publish(node, &rules, "word");
    world.run(32_000);
    assert!(world.nodes[node].published[&publish_id].is_ok());
    assert!(world.nodes[node].engine.stats().impaired.is_empty());
}
