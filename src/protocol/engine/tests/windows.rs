//! Ticks in the past and the future, and clocks that are wrong: ignored without blame, and nothing comes back.

use std::time::Duration;

use super::hostile::bundle;
use super::world::World;
use crate::protocol::Event;
use crate::rumor::Topic;

#[test]
fn expired_rumor_is_ignored_without_blame() {
    // Given rumors said long ago, and one far in the future.
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (replayer, witness) = (world.hostile(node), world.hostile(node));
    let (tick, author) = (world.tick(&rules), world.liar(1));
    // When they are replayed.
    for n in 0..50 {
        world.pushes(replayer, &[&bundle(&author, &rules, tick - 92 - n, 0, &["old"])]);
    }
    world.pushes(replayer, &[&bundle(&author, &rules, tick + 70, 0, &["early"])]);
    world.pushes(replayer, &[&bundle(&author, &rules, u64::MAX, 0, &["never"])]);
    world.run(1_000);
    // Then nothing is checked, delivered, kept or passed on, and nobody is blamed.
    let hears = &world.nodes[node];
    assert_eq!((hears.batches.len(), hears.delivered.len()), (0, 0));
    assert_eq!(hears.engine.stats().topics[0].bundles, 0);
    assert_eq!(hears.counters().outside_relay_window, 52);
    assert_eq!(world.hostiles[replayer].closed, None);
    assert!(world.hostiles[witness].bundles().is_empty());
}

#[test]
fn what_is_late_but_not_old_is_relayed_and_not_delivered() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    world.connect(0, 1);
    let hostile = world.hostile(0);
    let late = bundle(&world.liar(1), &rules, world.tick(&rules) - 70, 0, &["late"]);
    world.pushes(hostile, &[&late]);
    world.run(2_000);
    for node in &world.nodes {
        assert_eq!((node.counters().accepted, node.delivered.len()), (1, 0));
    }
}

#[test]
fn clock_skew_blames_nobody() {
    // Given nodes whose clocks are up to 30 s apart, and one whose clock is wrong by minutes.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    for skew_ms in [-15_000, -9_000, 0, 7_000, 15_000, 300_000] {
        world.node_with(|spec| spec.skew_ms = skew_ms);
    }
    world.mesh();
    // When each says something every second.
    for round in 0..20 {
        for node in 0..6 {
            world.publish(node, &rules, format!("{round} of {node}"));
        }
        world.run(1_000);
    }
    world.run(2_000);
    // Then the five hear all of each other, the sixth hears nobody and says nothing, and nobody is blamed (the world
    // checks) or closed.
    for node in &world.nodes[..5] {
        assert_eq!(node.delivered.len(), 100);
    }
    assert_eq!(world.nodes[5].delivered.len(), 0);
    assert!(world.wires.iter().all(|wire| wire.up));
    // And the sixth, alone, is told that its clock is minutes ahead.
    for (index, node) in world.nodes.iter().enumerate() {
        let minutes_ahead =
            |event: &Event| matches!(event, Event::ClockSkew { ahead_ms } if *ahead_ms > 60_000);
        assert_eq!(node.events.iter().any(minutes_ahead), index == 5);
    }
}

#[test]
fn old_bundles_never_come_back() {
    for retention in [0, 60, 600] {
        // Given rumors that were delivered.
        let mut world = World::new(4);
        let rules = world.topic(&Topic::named("t").retention(Duration::from_secs(retention)));
        let node = world.node();
        let (first, second) = (world.hostile(node), world.hostile(node));
        let author = world.liar(1);
        let words: Vec<_> = (0..10)
            .map(|n| {
                world.run(1_000);
                let word = world.says_at(&author, &rules, 0, &format!("word {n}"));
                world.pushes(first, &[&word]);
                word
            })
            .collect();
        world.run(1_000);
        assert_eq!(world.nodes[node].delivered.len(), 10);
        // When they are announced, pushed and served again and again for a quarter of an hour, while the clock steps
        // forward over the windows and back (the world checks that no rumor is delivered twice).
        for skew_ms in [0, 120_000, 900_000, 0, -30_000, 0, 20_000, 0] {
            world.nodes[node].skew_ms = skew_ms;
            for _ in 0..20 {
                world.run(5_700);
                for word in &words {
                    world.pushes(second, &[word]);
                    world.announces(second, &rules, &[word.id()]);
                }
            }
        }
        assert_eq!(world.nodes[node].delivered.len(), 10);
        assert_eq!(world.hostiles[second].closed, None);
    }
}

#[test]
fn a_long_retention_makes_no_window_longer() {
    // Given one word in a topic that keeps what it says for an hour, and one in a topic that keeps it for ever.
    for topic in [
        Topic::named("hour").retention(Duration::from_secs(3_600)),
        Topic::named("ever").retention_forever(),
        Topic::named("state").state(10),
    ] {
        let mut world = World::new(12);
        let rules = world.topic(&topic);
        let node = world.node();
        let hostile = world.hostile(node);
        let word = bundle(&world.liar(1), &rules, world.tick(&rules), 0, &["\0\u{1}\0kv"]);
        world.pushes(hostile, &[&word]);
        world.run(75_000);
        let held = |world: &World| {
            let stats = &world.engine(node).stats().topics[0];
            (stats.bundles, stats.body_bytes > 0)
        };
        assert_eq!(held(&world), (1, true), "{}", rules.name());
        // When the relay window has passed, then the live window holds nothing of it any more.
        world.run(20_000);
        assert_eq!(held(&world), (0, false), "{}", rules.name());
    }
}

#[test]
fn a_clock_that_steps_back_finds_the_floor() {
    // Given a rumor whose tick has left every window.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.pushes(hostile, &[&word]);
    world.run(200_000);
    assert_eq!(world.engine(node).stats().topics[0].bundles, 0);
    // When the clock steps back to when it was said, and it is pushed again.
    world.nodes[node].skew_ms = -200_000;
    world.pushes(hostile, &[&word]);
    world.run(1_000);
    // Then it is neither taken in nor delivered again.
    assert_eq!(world.nodes[node].heard(), ["word"]);
    assert_eq!(world.nodes[node].counters().outside_relay_window, 1);
}

#[test]
fn a_clock_that_jumps_by_hours_blames_nobody_and_is_heard_again_when_it_is_right() {
    for hours in [-9, -1, 1, 9] {
        // Given four nodes that hear each other.
        let mut world = World::new(7);
        let rules = world.topic(&Topic::named("t"));
        world.nodes(4);
        world.mesh();
        let say = |world: &mut World, nodes: std::ops::Range<usize>, when: &str| {
            for node in nodes {
                world.publish(node, &rules, format!("{when} of {node}"));
            }
            world.run(5_000);
        };
        say(&mut world, 0..4, "before");
        // When the wall clock of one jumps while its time-outs go on as ever, and half a minute later back again.
        world.nodes[3].skew_ms = hours * 3_600_000;
        say(&mut world, 0..3, "meanwhile");
        world.run(25_000);
        world.nodes[3].skew_ms = 0;
        say(&mut world, 0..4, "after");
        // Then nobody was blamed (the world checks), no link was closed, and all that was said while it was right was heard.
        assert!(world.wires.iter().all(|wire| wire.up), "{hours} h");
        for (index, node) in world.nodes.iter().enumerate() {
            for (when, speakers) in [("before", 4), ("meanwhile", 3), ("after", 4)] {
                for speaker in 0..speakers {
                    let owed = index != 3 || when != "meanwhile";
                    let word = format!("{when} of {speaker}");
                    assert!(!owed || node.has_heard(&word), "node {index} lacks {word:?}, {hours} h");
                }
            }
        }
    }
}

#[test]
fn a_convicted_authors_rumors_stay_away_after_the_conviction_is_shed() {
    // Given a word that was delivered, and its author convicted.
    let mut world = World::new(6);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let author = world.liar(1);
    let [yes, no] = ["yes", "no"].map(|word| world.says_at(&author, &rules, 0, word));
    world.pushes(hostile, &[&yes]);
    world.run(100);
    world.pushes(hostile, &[&no]);
    world.run(100);
    assert!(world.nodes[node].convicted(&author.public()));
    // When so many others are convicted that this conviction is shed.
    let engine = &mut world.nodes[node].engine;
    for number in 1..17_000u64 {
        let mut headers = [*yes.signed_header(), *no.signed_header()];
        let author = crate::key::PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
        headers.iter_mut().for_each(|signed| signed.header.author = author);
        engine.convict(crate::rumor::Evidence::new(headers[0], headers[1]).unwrap(), None);
        engine.cx.actions.clear();
    }
    assert!(!world.nodes[node].convicted(&author.public()));
    // Then the word, pushed again, is known as ever.
    world.pushes(hostile, &[&yes]);
    world.run(1_000);
    assert_eq!(world.nodes[node].heard(), ["yes"]);
}

#[test]
fn refused_ids_are_not_pulled_again() {
    // Given an expired rumor that somebody announces.
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostiles: Vec<_> = (0..4).map(|_| world.hostile(node)).collect();
    let old = bundle(&world.liar(1), &rules, world.tick(&rules) - 100, 0, &["old"]);
    world.announces(hostiles[0], &rules, &[old.id()]);
    world.run(30);
    world.says(hostiles[0], crate::wire::Lane::Replies, super::hostile::frame_of(0, &[&old]));
    world.run(100);
    // When all announce it again and again.
    for _ in 0..50 {
        for hostile in &hostiles {
            world.announces(*hostile, &rules, &[old.id()]);
        }
        world.run(200);
    }
    // Then it was pulled once in all, and nothing of it is kept but the refusal.
    assert_eq!(hostiles.iter().map(|hostile| world.hostiles[*hostile].pulls_of(&old.id())).sum::<usize>(), 1);
    let stats = world.engine(node).stats();
    assert_eq!((stats.wants, stats.topics[0].bundles), (0, 0));
    assert_eq!(stats.counters.refused_again, 200);
}

/// Words that every other node says, one each second.
fn words_each_second(
    world: &mut World,
    rules: &crate::rumor::RuleSet,
    seconds: u64,
    by: &[usize],
    name: &str,
) {
    for second in 0..seconds {
        for node in by {
            world.publish(*node, rules, format!("{name} {second} of {node}"));
        }
        world.run(1_000);
    }
}

#[test]
fn a_clock_that_was_ahead_hears_at_once_when_it_is_right() {
    for (ahead, others_too) in [(10_000, false), (3_600_000, false), (3_600_000, true), (86_400_000, true)] {
        // Given a node that speaks for minutes by a clock that is ahead, in a mesh of four or with a twin of the same clock alone.
        let mut world = World::new(31);
        let rules = world.topic(&Topic::named("t"));
        world.nodes(4);
        world.mesh();
        let wrong: &[usize] = if others_too { &[2, 3] } else { &[3] };
        world.run(1_000);
        wrong.iter().for_each(|node| world.nodes[*node].skew_ms = ahead);
        words_each_second(&mut world, &rules, 400, wrong, "wrong");
        // When its clock is right again, then it hears all that is said from then on, and what was said just before.
        world.publish(0, &rules, "just before");
        world.run(1_000);
        wrong.iter().for_each(|node| world.nodes[*node].skew_ms = 0);
        words_each_second(&mut world, &rules, 20, &[0, 1], "right");
        world.run(2_000);
        for node in wrong {
            for second in 0..20 {
                for author in 0..2 {
                    let word = format!("right {second} of {author}");
                    assert!(world.nodes[*node].has_heard(&word), "{ahead} ms: {node} lacks {word}");
                }
            }
        }
    }
}

#[test]
fn rumors_dated_in_a_wrong_hour_block_no_other_author() {
    // Given a silent node whose clock is an hour ahead, and a hostile neighbour that speaks by that clock, under many keys.
    let mut world = World::new(32);
    let rules = world.topic(&Topic::named("t"));
    let (node, honest) = (world.node(), world.node());
    world.connect(node, honest);
    let hostile = world.hostile(node);
    world.nodes[node].skew_ms = 3_600_000;
    let hour = 3_600_000 / u64::from(rules.tick_len().millis());
    let mut said = Vec::new();
    for n in 0..400 {
        let tick = world.tick(&rules) + hour;
        let word = bundle(&world.liar(n), &rules, tick, 0, &[&format!("wrong {n}")]);
        world.pushes(hostile, &[&word]);
        said.push(word);
        world.run(1_000);
    }
    let heard = world.nodes[node].delivered.len();
    assert_eq!(heard, 400, "by its own clock they are of now");
    // When its clock is set right, then it hears what the honest neighbour says from then on,
    world.nodes[node].skew_ms = 0;
    words_each_second(&mut world, &rules, 5, &[honest], "right");
    world.run(1_000);
    assert_eq!(world.nodes[node].delivered.len(), heard + 5);
    // and an hour later what it says at those ticks; and what was dated there is not delivered again (the world checks).
    world.run(3_600_000 - 400_000 + 100_000);
    for (n, word) in said.iter().enumerate().skip(250).take(100) {
        world.pushes(hostile, &[word]);
        world.publish(honest, &rules, format!("an hour later {n}"));
        world.run(1_000);
    }
    assert_eq!(world.nodes[node].delivered.len(), heard + 105);
    assert_eq!(world.hostiles[hostile].closed, None);
}
