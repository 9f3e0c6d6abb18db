//! Topics that are left and joined again, or joined late: no holes, nothing twice, nothing held for ever.

use std::sync::Arc;
use std::time::Duration;

use super::hostile::bundle;
use super::world::{NETWORK, World};
use crate::key::SecretKey;
use crate::protocol::{
    Action, Config, Engine, Input, JoinRefusal, Mono, Now, PublishError, Setup, UsedPositions, Validation,
};
use crate::rumor::{Authors, Guarantee, NetworkId, RuleSet, Topic};
use crate::wire::{self, Lane, TopicChange};

fn rules(name: &str) -> Arc<RuleSet> {
    Arc::new(Topic::named(name).bind(NetworkId::of(NETWORK)).unwrap())
}

fn join(world: &mut World, node: usize, rules: &Arc<RuleSet>) {
    world.handle(
        node,
        Input::Join { rules: rules.clone(), deliver: true, validate: false, keep: Default::default() },
    );
}

fn leave(world: &mut World, node: usize, rules: &RuleSet) {
    world.handle(node, Input::Leave { topic: rules.id() });
}

/// Joins and leaves `count` other topics, in each of which a hostile peer says something.
pub(super) fn juggle(world: &mut World, node: usize, hostile: usize, count: usize) {
    for n in 0..count {
        let other = rules(&format!("other {n}"));
        join(world, node, &other);
        let word = world.says_at(&world.liar(7), &other, 0, "elsewhere");
        world.pushes(hostile, &[&word]);
        world.run(20);
        leave(world, node, &other);
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n}")).collect()
}

/// Two linked nodes, of which the first says ten things that the second hears; and a third without a link.
fn ten_words(seed: u64) -> (World, Arc<RuleSet>) {
    let mut world = World::new(seed);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(3);
    world.connect(0, 1);
    world.run(300);
    for word in numbered(10) {
        world.publish(0, &rules, word);
        world.run(100);
    }
    world.run(200);
    assert_eq!(world.nodes[1].heard(), numbered(10));
    (world, rules)
}

#[test]
fn a_relay_that_left_and_joined_again_is_no_hole() {
    // Given a relay that leaves a topic and joins it again after half a second.
    let (mut world, rules) = ten_words(1);
    leave(&mut world, 1, &rules);
    world.run(500);
    join(&mut world, 1, &rules);
    // When somebody who has heard nothing links with it, then it hears all of it.
    world.connect(1, 2);
    world.run(1_000);
    assert_eq!(world.nodes[2].delivered.len(), 10);
}

#[test]
fn a_neighbour_that_came_while_the_topic_was_left_is_told_what_is_held() {
    let (mut world, rules) = ten_words(2);
    leave(&mut world, 1, &rules);
    world.connect(1, 2);
    world.run(500);
    assert!(world.nodes[2].delivered.is_empty());
    join(&mut world, 1, &rules);
    world.run(1_000);
    assert_eq!(world.nodes[2].delivered.len(), 10);
}

#[test]
fn a_neighbour_is_told_again_after_leave_and_join() {
    // Given a neighbour that was told of a word and has not asked for it when the topic is left.
    let mut world = World::new(18);
    let rules = world.topic(&Topic::named("t").max_body(64 * 1024));
    let node = world.node();
    let neighbour = world.hostile(node);
    world.publish(node, &rules, "x".repeat(20_000));
    world.run(2_000);
    leave(&mut world, node, &rules);
    world.run(500);
    world.hostiles[neighbour].frames.clear();
    join(&mut world, node, &rules);
    world.run(500);
    let id = world.engine(node).topics[&rules.id()].held(world.now(node)).flatten().next().unwrap().0;
    assert!(world.hostiles[neighbour].got_announcement(&id));
}

#[test]
fn a_relay_that_forgot_what_it_held_fetches_it_again_and_delivers_nothing_twice() {
    // Given a relay that has left so many topics since that it has kept no more of this one than a tick.
    let (mut world, rules) = ten_words(3);
    let hostile = world.hostile(1);
    leave(&mut world, 1, &rules);
    juggle(&mut world, 1, hostile, 64);
    // When it joins the topic again, then its neighbour tells it all once more (the world checks that it delivers nothing
    // twice), so that who links with it later hears it.
    join(&mut world, 1, &rules);
    world.run(1_000);
    world.connect(1, 2);
    world.run(1_000);
    assert_eq!(world.nodes[2].delivered.len(), 10);
    // And what is said from the next tick on is delivered.
    world.publish(0, &rules, "new");
    world.run(500);
    assert!(world.nodes[1].has_heard("new"));
}

#[test]
fn nothing_is_delivered_twice_however_many_topics_are_left_meanwhile() {
    for others in [1, 63, 64, 200] {
        let mut world = World::new(4);
        let rules = world.topic(&Topic::named("t"));
        let node = world.node();
        let hostile = world.hostile(node);
        let word = world.says_at(&world.liar(1), &rules, 0, "once");
        world.pushes(hostile, &[&word]);
        world.run(100);
        leave(&mut world, node, &rules);
        juggle(&mut world, node, hostile, others);
        join(&mut world, node, &rules);
        // A new link brings it again.
        let second = world.hostile(node);
        world.pushes(second, &[&word]);
        world.run(1_000);
        let heard = world.nodes[node].heard();
        assert_eq!(heard.iter().filter(|word| *word == "once").count(), 1, "{others} others");
    }
}

#[test]
fn nothing_is_delivered_twice_though_the_clock_was_ahead_for_a_moment_while_the_topic_was_left() {
    // Given a topic of which no more is known than what was delivered in it.
    let mut world = World::new(19);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let word = world.says_at(&world.liar(1), &rules, 0, "once");
    world.pushes(hostile, &[&word]);
    world.run(100);
    leave(&mut world, node, &rules);
    juggle(&mut world, node, hostile, 64);
    // When the clock is an hour ahead for two seconds, and the topic is joined again, and a new link brings the word,
    world.nodes[node].skew_ms = 3_600_000;
    world.run(2_000);
    world.nodes[node].skew_ms = 0;
    world.run(2_000);
    join(&mut world, node, &rules);
    let second = world.hostile(node);
    world.pushes(second, &[&word]);
    world.run(1_000);
    // Then it is delivered once. (The world checks it, too.)
    assert_eq!(world.nodes[node].heard().iter().filter(|word| *word == "once").count(), 1);
}

#[test]
fn topics_that_were_left_are_bounded_and_the_next_join_waits() {
    let mut world = World::new(5);
    let node = world.node();
    let hostile = world.hostile(node);
    let before = world.engine(node).left.len();
    juggle(&mut world, node, hostile, 10);
    assert_eq!(world.engine(node).left.len(), before + 10);
    // When as many are remembered as may be (a floor each, since none of them is whole any more),
    let over_ms = world.now(node).unix_ms + 100_000;
    world.nodes[node].engine.left.fill(crate::protocol::limits::MAX_LEFT, over_ms);
    let one_more = rules("one more");
    join(&mut world, node, &one_more);
    // Then no further one is joined, for then it could not be left,
    assert_eq!(world.engine(node).topic_count(), 0);
    // until what was said in them has left every window.
    world.run(200_000);
    assert_eq!(world.engine(node).left.len(), 0);
    join(&mut world, node, &one_more);
    assert_eq!(world.engine(node).topic_count(), 1);
}

#[test]
fn each_join_is_answered_once_whether_it_is_taken_or_not() {
    let now = Now { mono: Mono::from_nanos(0), unix_ms: 1_800_000_000_000 };
    let key = SecretKey::from_seed(&[1; 32]);
    let (network, node, author) = (NetworkId::of("here"), key.public(), key);
    let config = Config::default();
    let setup = Setup { network, node, author, position_log: UsedPositions::None, seed: [7; 32], config };
    let mut engine = Engine::new(setup, now);
    let mut join = |name: &str, network: &str| {
        let rules = Arc::new(Topic::named(name).bind(NetworkId::of(network)).unwrap());
        let topic = rules.id();
        engine.handle(now, Input::Join { rules, deliver: true, validate: false, keep: Default::default() });
        let answer = |action| match action {
            Action::Joined { topic: of, result } => Some((of == topic, result)),
            _ => None,
        };
        std::iter::from_fn(|| engine.poll()).filter_map(answer).collect::<Vec<_>>()
    };
    assert_eq!(join("one", "here"), [(true, Ok(()))]);
    assert_eq!(join("one", "here"), [(true, Ok(()))], "again");
    assert_eq!(join("one", "elsewhere"), [(true, Err(JoinRefusal::OtherNetwork))]);
    for more in 1..crate::protocol::MAX_TOPICS {
        assert_eq!(join(&more.to_string(), "here"), [(true, Ok(()))]);
    }
    assert_eq!(join("one more", "here"), [(true, Err(JoinRefusal::TooMany))]);
    assert_eq!(join("one", "here"), [(true, Ok(()))], "what is joined can be joined again");
}

#[test]
fn a_topic_whose_authors_may_write_more_than_a_node_compares_is_not_joined() {
    let now = Now { mono: Mono::from_nanos(0), unix_ms: 1_800_000_000_000 };
    let key = |seed| SecretKey::from_seed(&[seed; 32]);
    let (network, node, author) = (NetworkId::of("here"), key(1).public(), key(1));
    let config = Config::default().with(|config| config.history.topic_heads = 100);
    let setup = Setup { network, node, author, position_log: UsedPositions::None, seed: [7; 32], config };
    let mut engine = Engine::new(setup, now);
    let mut join = |topic: Topic| {
        let rules = Arc::new(topic.bind(network).unwrap());
        engine.handle(now, Input::Join { rules, deliver: true, validate: false, keep: Default::default() });
        std::iter::from_fn(|| engine.poll())
            .find_map(|action| if let Action::Joined { result, .. } = action { Some(result) } else { None })
    };
    let listed = |authors: u8, keys| {
        let authors = (1..=authors).map(|seed| key(seed).public()).collect();
        Topic::named("t").state(keys).authors(Authors::Listed(authors))
    };
    let refused = |keys| Some(Err(JoinRefusal::TooManyKeys { keys, most: 100 }));
    assert_eq!(join(listed(4, 25)), Some(Ok(())));
    assert_eq!(join(listed(4, 26)), refused(104));
    assert_eq!(join(listed(101, 1)), refused(101));
    assert_eq!(join(listed(4, u32::MAX)), refused(4 * u64::from(u32::MAX)));
    // What an open topic holds is bounded where it is kept, and a log has no keys.
    assert_eq!(join(Topic::named("t").state(101)), Some(Ok(())));
    assert_eq!(join(listed(101, 1).retention_forever()), refused(101));
}

#[test]
fn a_rumor_held_back_is_delivered_after_leave_and_join() {
    for away in [500, 5_000] {
        // Given a word that is held back, and a reader that leaves the topic meanwhile.
        let mut world = World::new(6);
        let hold = Duration::from_secs(3);
        let rules = world.topic(&Topic::named("t").guarantee(Guarantee::HoldBack(hold)));
        world.nodes(2);
        world.connect(0, 1);
        world.run(300);
        world.publish(0, &rules, "word");
        world.run(1_000);
        leave(&mut world, 1, &rules);
        world.run(away);
        // When it joins again, then the word is delivered, and not before it was held back with both ears open.
        join(&mut world, 1, &rules);
        world.run(2_900);
        assert!(world.nodes[1].delivered.is_empty(), "away for {away} ms");
        world.run(200);
        assert_eq!(world.nodes[1].heard(), ["word"], "away for {away} ms");
    }
}

#[test]
fn a_conviction_while_the_topic_was_left_silences_what_is_held_of_it() {
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t"));
    let other = world.topic(&Topic::named("other"));
    let node = world.node();
    let hostile = world.hostile(node);
    let author = world.liar(1);
    world.handle(node, Input::StopReading { topic: rules.id() });
    let word = world.says_at(&author, &rules, 0, "word");
    world.pushes(hostile, &[&word]);
    world.run(100);
    leave(&mut world, node, &rules);
    // When its author is convicted in another topic,
    let [yes, no] = ["yes", "no"].map(|word| world.says_at(&author, &other, 0, word));
    world.pushes(hostile, &[&yes, &no]);
    world.run(100);
    assert!(world.nodes[node].convicted(&author.public()));
    // Then what it said before is not delivered to who joins now.
    join(&mut world, node, &rules);
    world.run(1_000);
    assert_eq!(world.nodes[node].heard(), ["yes"]);
}

#[test]
fn joining_delivers_what_the_window_holds_in_order() {
    // Given a node that relays a topic which its application does not read.
    let mut world = World::new(8);
    let reader = world.node();
    let rules = world.topic(&Topic::named("t"));
    world.handle(
        reader,
        Input::Join { rules: rules.clone(), deliver: false, validate: false, keep: Default::default() },
    );
    let author = world.node();
    world.connect(author, reader);
    world.run(300);
    for word in numbered(10) {
        world.publish(author, &rules, word);
        world.run(150);
    }
    world.run(5_000);
    assert!(world.nodes[reader].delivered.is_empty());
    // When it does, then it is given what was said, by position, and once.
    join(&mut world, reader, &rules);
    assert_eq!(world.nodes[reader].heard(), numbered(10));
    join(&mut world, reader, &rules);
    world.publish(author, &rules, "new");
    world.run(500);
    assert_eq!(world.nodes[reader].heard().len(), 11);
}

#[test]
fn rumors_past_the_delivery_window_are_not_given_to_a_new_subscriber() {
    let mut world = World::new(9);
    let reader = world.node();
    let rules = world.topic(&Topic::named("t").retention(Duration::from_secs(600)));
    world.handle(
        reader,
        Input::Join { rules: rules.clone(), deliver: false, validate: false, keep: Default::default() },
    );
    let hostile = world.hostile(reader);
    let words: Vec<_> = [40, 0].map(|ago| world.tick(&rules) - ago).into();
    let [old, new] = [0, 1].map(|n| bundle(&world.liar(1), &rules, words[n], 0, &[["old", "new"][n]]));
    world.pushes(hostile, &[&old, &new]);
    world.run(30_000);
    join(&mut world, reader, &rules);
    assert_eq!(world.nodes[reader].heard(), ["new"]);
}

#[test]
fn unread_rumors_go_to_the_next_subscriber() {
    let mut world = World::new(10);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let words: Vec<_> =
        (0..3u16).map(|slot| world.says_at(&world.liar(1), &rules, slot, &format!("{slot}"))).collect();
    world.pushes(hostile, &[&words[0]]);
    world.run(50);
    // When a delivery finds no reader, then that one and what comes after it waits for the next.
    let (topic, id) = (rules.id(), words[0].id());
    world.nodes[node].ids.clear();
    world.handle(node, Input::Undelivered { topic, id });
    world.pushes(hostile, &[&words[2]]);
    world.pushes(hostile, &[&words[1]]);
    world.run(500);
    assert_eq!(world.nodes[node].heard(), ["0"]);
    world.handle(node, Input::Read { topic });
    assert_eq!(world.nodes[node].heard(), ["0", "0", "1", "2"]);
    assert_eq!(world.nodes[node].counters().delivered, 3);
}

#[test]
fn a_validator_runs_before_a_held_back_rumor_is_delivered() {
    // Given a node that relays a topic, to which two authors say something.
    let mut world = World::new(11);
    let node = world.node_with(|spec| {
        let verdict = |good| if good { Validation::Accept } else { Validation::Reject };
        spec.validator = Some(Box::new(move |bundle| Some(verdict(!bundle.encoded().ends_with(b"bad")))));
    });
    let rules = world.topic(&Topic::named("t"));
    world.handle(
        node,
        Input::Join { rules: rules.clone(), deliver: false, validate: false, keep: Default::default() },
    );
    let hostile = world.hostile(node);
    for (number, word) in ["good", "bad"].into_iter().enumerate() {
        let word = world.says_at(&world.liar(number as u64), &rules, 0, word);
        world.pushes(hostile, &[&word]);
    }
    world.run(500);
    // When its application joins with a validator, then it is given only what that accepts.
    world.handle(
        node,
        Input::Join { rules: rules.clone(), deliver: true, validate: true, keep: Default::default() },
    );
    world.run(500);
    assert_eq!(world.nodes[node].heard(), ["good"]);
    assert_eq!(world.nodes[node].counters().validator_rejected, 1);
    // And what was judged once is not judged again when the reader changes.
    world.handle(node, Input::StopReading { topic: rules.id() });
    world.handle(
        node,
        Input::Join { rules: rules.clone(), deliver: false, validate: true, keep: Default::default() },
    );
    let late = world.says_at(&world.liar(0), &rules, 1, "bad");
    world.pushes(hostile, &[&late]);
    world.run(500);
    world.handle(node, Input::Read { topic: rules.id() });
    world.run(500);
    assert_eq!(world.nodes[node].counters().validator_rejected, 2);
}

#[test]
fn peers_that_relay_other_rules_of_the_name_are_told_apart_from_no_peers() {
    // Given two nodes that are linked, one of which allows for larger bodies in a topic of the same name.
    let mut world = World::new(12);
    world.nodes(2);
    let ours = Topic::named("t").max_body(4_096).bind(NetworkId::of(NETWORK)).unwrap();
    join(&mut world, 0, &Arc::new(ours.clone()));
    join(&mut world, 1, &rules("t"));
    let alone = world.publish(0, &ours, "word");
    world.connect(0, 1);
    world.run(300);
    let linked = world.publish(0, &ours, "word");
    assert_eq!(world.nodes[0].published[&alone], Err(PublishError::NoLink));
    assert_eq!(world.nodes[0].published[&linked], Err(PublishError::NotRelayed { links: 1 }));
}

#[test]
fn topics_that_were_joined_spoken_in_and_left_leave_nothing_behind() {
    // Given a node that joins, speaks in and leaves very many topics.
    let mut world = World::new(13);
    let node = world.node();
    let hostile = world.hostile(node);
    for n in 0..3_000 {
        let other = rules(&format!("{n}"));
        let topic = *other.id().as_bytes();
        join(&mut world, node, &other);
        let joined = TopicChange { joined: vec![topic], left: vec![], ..TopicChange::default() };
        world.says(hostile, Lane::Control, wire::topics(&joined));
        world.run(11);
        let publish_id = world.publish(node, &other, "word");
        // It waits for the next tick, since it has spoken in the topic before in this one.
        world.until(2_000, |world| world.nodes[node].published.contains_key(&publish_id));
        assert!(
            world.nodes[node].published[&publish_id].is_ok(),
            "{:?}",
            world.nodes[node].published[&publish_id]
        );
        leave(&mut world, node, &other);
        let left = TopicChange { joined: vec![], left: vec![topic], ..TopicChange::default() };
        world.says(hostile, Lane::Control, wire::topics(&left));
    }
    // When ten minutes are over, then nothing of them is left.
    world.run(600_000);
    assert_eq!(world.engine(node).publisher.remembers(), 0);
    assert_eq!(world.engine(node).left.len(), 0);
    // And in one that is joined again no position is used twice, though the clock has stepped back since.
    let first = rules("2999");
    join(&mut world, node, &first);
    let topic = *first.id().as_bytes();
    let joined = TopicChange { joined: vec![topic], left: vec![], ..TopicChange::default() };
    world.says(hostile, Lane::Control, wire::topics(&joined));
    world.nodes[node].skew_ms = -601_000;
    world.run(11);
    let publish_id = world.publish(node, &first, "other word");
    world.run(100);
    assert!(!matches!(world.nodes[node].published.get(&publish_id), Some(Ok(_))), "it waits for its clock");
}

/// Two linked nodes that read a topic; gives their link too.
fn pair(seed: u64) -> (World, Arc<RuleSet>, usize) {
    let mut world = World::new(seed);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    let wire = world.connect(0, 1);
    world.run(300);
    (world, rules, wire)
}

#[test]
fn a_node_cut_off_beyond_the_window_is_told_what_it_missed() {
    for (away, silent, told) in [(50_000, 0, false), (50_000, 40_000, true), (90_000, 0, true)] {
        // Given a node whose only link ends, in order or after nothing has come over it for a while.
        let (mut world, rules, wire) = pair(14);
        world.publish(0, &rules, "before");
        world.run(300);
        let before = world.now(1).unix_ms;
        world.run(silent);
        if silent == 0 {
            world.publish(0, &rules, "the last thing that comes");
            world.run(100);
        }
        world.cut(wire);
        let cut = world.now(1).unix_ms;
        world.run(1_000);
        world.nodes[1].missed.clear();
        // When it is linked again later, then it is told what it can't have been told, and nothing if it can.
        world.run(away - 1_000);
        world.connect(0, 1);
        world.run(1_000);
        let missed = &world.nodes[1].missed;
        assert_eq!(missed.len(), usize::from(told), "{away} ms after {silent} ms of silence");
        for (from, to) in missed {
            assert!((before..=cut).contains(from) && *from + 30_000 >= cut, "{from} {cut}");
            let now = world.now(1).unix_ms;
            assert!((now - 61_000..=now - 59_000).contains(to));
        }
    }
}

#[test]
fn a_suspended_node_is_told_what_it_missed() {
    for (still, told) in [(20_000, false), (50_000, false), (90_000, true)] {
        // Given a node that does not run for a while, as if it were suspended, after which its link ends.
        let (mut world, _, wire) = pair(15);
        let before = world.now(1).unix_ms;
        world.at += still * 1_000_000;
        world.handle(1, Input::Tick);
        world.run(2_000);
        world.cut(wire);
        world.connect(0, 1);
        world.run(1_000);
        let missed = &world.nodes[1].missed;
        assert_eq!(missed.len(), usize::from(told), "still for {still} ms");
        for (from, to) in missed {
            let now = world.now(1).unix_ms;
            assert!(*from + 2_000 >= before && *from <= before && (now - 61_000..=now - 59_000).contains(to));
        }
    }
}

#[test]
fn a_wall_clock_that_jumps_tells_what_is_missing() {
    // Given a machine that was suspended for an hour while its monotonic clock stood still, and whose link lives on.
    let (mut world, _, _) = pair(16);
    let before = world.now(1).unix_ms;
    for node in &mut world.nodes {
        node.skew_ms = 3_600_000;
    }
    world.run(40_000);
    let missed = std::mem::take(&mut world.nodes[1].missed);
    assert_eq!(missed.len(), 1);
    assert!(missed[0].0.abs_diff(before) <= 1_100 && missed[0].1 > before + 3_500_000, "{missed:?}");
    // And given one whose clock is set back by an hour and set right after a minute and a half.
    let (mut world, _, _) = pair(16);
    world.nodes[1].skew_ms = -3_600_000;
    world.run(90_000);
    assert_eq!(world.nodes[1].missed, []);
    world.nodes[1].skew_ms = 0;
    world.run(1_100);
    let now = world.now(1).unix_ms;
    let missed = &world.nodes[1].missed;
    assert_eq!(missed.len(), 1);
    assert!(missed[0].0.abs_diff(now - 91_000) <= 2_200 && missed[0].1.abs_diff(now) <= 1_100, "{missed:?}");
}

#[test]
fn a_node_that_never_left_is_told_of_no_gap() {
    let (mut world, rules, _) = pair(17);
    for _ in 0..300 {
        world.run(2_000);
    }
    world.publish(0, &rules, "after a long silence");
    world.run(100);
    assert!(world.nodes.iter().all(|node| node.missed.is_empty()));
    assert_eq!(world.nodes[1].heard().len(), 1);
}
