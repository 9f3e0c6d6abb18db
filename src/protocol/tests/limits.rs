//! What one link can make us remember, do and send: bounded, whatever it claims.

use std::time::Duration;

use super::super::{Config, Event, Input, LinkId, Offence, Validation};
use super::hostile::{bundle, fake_id, frame_of};
use super::world::World;
use crate::rumor::{Guarantee, RuleSet, Topic};
use crate::wire::{self, Frame, Hello, Lane, Reason, TopicChange};

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
        spec.config = Config { link_bytes_per_s: 100_000, link_bytes_burst: 2_000_000, ..Config::default() };
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
        spec.config = Config { topic_bytes: 16 * 10_000, author_bytes: 100_000, ..Config::default() };
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
            wire::topics(&TopicChange { joined: topics(from), left: Vec::new() }),
        );
    }
    world.run(100);
    // Then it is closed with a reason and not banned; others and a 65th topic of our own change nothing.
    assert_eq!(world.hostiles[greedy].closed, Some(Reason::TooManyTopics));
    assert!(world.engine(node).banned().is_empty());
    for n in 0..100 {
        let rules = std::sync::Arc::new(Topic::named(format!("{n}")).on(rules.network()).unwrap());
        world.handle(node, super::super::Input::Join { rules, deliver: true, validate: false });
    }
    assert_eq!(world.engine(node).stats().topics.len(), super::super::MAX_TOPICS);
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
        let again = wire::topics(&TopicChange { joined: vec![topic], left });
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
        world.says(other, Lane::Control, wire::hello(&Hello { network, clock_ms, topics: vec![] }));
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
    let link = super::super::LinkId(2 * world.hostiles[hostile].wire as u64 + 1);
    world.handle(0, super::super::Input::RoundTrip { link, rtt: Duration::MAX });
    world.handle(0, super::super::Input::Written { link, lane: Lane::Rumors, bytes: usize::MAX });
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
    // Then the others lose nothing, the stalled one counts what it ignored, its queue is empty again, and it goes on as
    // soon as its application does.
    assert_eq!(world.nodes[2].delivered.len(), 600);
    assert_eq!(world.nodes[stalled].counters().validator_timed_out, 600);
    assert!(world.wires.iter().all(|wire| wire.up));
    world.nodes[stalled].validator = Some(Box::new(|_| Some(Validation::Accept)));
    world.publish(0, &rules, "at last");
    world.run(1_000);
    assert_eq!(world.nodes[stalled].heard(), ["at last"]);
}

#[test]
fn bodies_that_wait_for_a_stalled_app_are_bounded() {
    // Given an application that answers nothing, and a node that is patient with it.
    let mut world = World::new(17);
    let rules = world.topic(&Topic::named("t").slots_per_tick(700).max_body(64 * 1024));
    let node = world.node_with(|spec| {
        let (validator_patience, validators) = (Duration::from_secs(3_600), 1);
        spec.config = Config { validator_patience, validators, ..Config::default() };
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
        spec.config = Config { validator_patience, validators, ..Config::default() };
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
fn replies_that_nobody_asked_for_are_paid_from_the_budget() {
    // Given a link that owes us a pull, for an id that it made up.
    let mut world = World::new(11);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| {
        spec.config = Config { link_bytes_per_s: 10_000, link_bytes_burst: 100_000, ..Config::default() };
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

#[test]
fn one_authors_quota_does_not_fill_the_index() {
    // Given a topic whose quota allows an author more bundles than the index has places.
    let mut world = World::new(12);
    let rules = world.topic(&Topic::named("t").slots_per_tick(10_000));
    let node = world.node_with(|spec| spec.config = Config { topic_bundles: 1_000, ..Config::default() });
    let hostile = world.hostile(node);
    let greedy = world.liar(1);
    for slot in 0..1_200 {
        world.pushes(hostile, &[&world.says_at(&greedy, &rules, slot, "more")]);
        world.run(1);
    }
    world.run(1_000);
    // Then it gets a quarter, is blamed for nothing, and others still find a place.
    assert_eq!(world.nodes[node].delivered.len(), 250);
    world.pushes(hostile, &[&world.says_at(&world.liar(2), &rules, 0, "other")]);
    world.run(100);
    assert!(world.nodes[node].has_heard("other"));
    assert!(world.hostiles[hostile].closed.is_none());
    // And when the window has passed, the places are free again.
    world.run(200_000);
    world.pushes(hostile, &[&world.says_at(&greedy, &rules, 0, "again")]);
    world.run(100);
    assert!(world.nodes[node].has_heard("again"));
    assert!(world.hostiles[hostile].frames.iter().all(|frame| !matches!(frame, Frame::Evidence(_))));
}

#[test]
fn history_makes_room_for_what_is_new() {
    // Given room for sixteen bodies, all taken by words that are older than an announcement is good for.
    let mut world = World::new(17);
    let rules = world.topic(&Topic::named("t").retention(Duration::from_secs(300)));
    let node = world.node_with(|spec| spec.config = Config { topic_bytes: 16 * 10_000, ..Config::default() });
    let source = world.hostile(node);
    let says = |world: &mut World, from: u16, count: u16| {
        for slot in from..from + count {
            let word = world.says_at(&world.liar(slot.into()), &rules, slot, &"x".repeat(10_000));
            world.pushes(source, &[&word]);
            world.run(50);
        }
    };
    says(&mut world, 0, 14);
    world.run(11_000);
    // When as much again is said, and a little more at once.
    says(&mut world, 20, 16);
    // Then it is taken in up to the newcomers' share, at the cost of what is old.
    let stats = world.engine(node).stats();
    assert_eq!((stats.counters.accepted, stats.counters.bodies_evicted), (28, 12));
    assert_eq!((stats.counters.over_cap, stats.topics[0].body_bytes), (2, 160_000));
}

#[test]
fn what_is_held_back_for_long_is_delivered() {
    // Given a topic that holds back for longer than it retains anything, and a store that is full of it.
    let mut world = World::new(18);
    let topic = Topic::named("t").retention(Duration::from_secs(1));
    let rules = world.topic(&topic.guarantee(Guarantee::HoldBack(Duration::from_secs(45))));
    let node = world.node_with(|spec| spec.config = Config { topic_bytes: 16 * 10_000, ..Config::default() });
    let source = world.hostile(node);
    for slot in 0..20 {
        let word = world.says_at(&world.liar(slot.into()), &rules, slot, &"x".repeat(10_000));
        world.pushes(source, &[&word]);
        world.run(1_000);
    }
    world.run(46_000);
    assert_eq!((world.nodes[node].delivered.len(), world.engine(node).stats().counters.over_cap), (14, 6));
}

#[test]
fn inbound_sybils_cannot_evict_outbound() {
    // Given a node of a network of 300 whose places were taken by as many strangers as it lets in.
    let mut world = World::new(19);
    world.topic(&Topic::named("t"));
    let small = Config {
        expected_nodes: 300,
        max_inbound: 32,
        unaimed_inbound: 16,
        max_links: 40,
        ..Config::default()
    };
    let node = world.node_with(|spec| spec.config = small.clone());
    let strangers: Vec<_> = (0..200).map(|_| world.hostile(node)).collect();
    let kept = |world: &World, who: &usize| world.hostiles[*who].closed.is_none();
    let inside = strangers.iter().filter(|who| kept(&world, who)).count();
    assert!((16..32).contains(&inside), "{inside}");
    // When honest nodes dial that did not choose it, then they get in; of those that did, none.
    let network = crate::rumor::NetworkId::of(super::world::NETWORK);
    let mut let_in = [0, 0];
    for _ in 0..60 {
        let honest = world.hostile(node);
        let (dialler, acceptor) = (world.hostiles[honest].key, world.nodes[node].key);
        let unaimed = small.is_unaimed(&network, &dialler, &acceptor);
        assert_eq!(kept(&world, &honest), unaimed, "{inside} {let_in:?} {:?}", world.hostiles[honest].closed);
        let_in[usize::from(unaimed)] += 1;
    }
    assert!(let_in[1] >= 1 && let_in[0] >= 50, "{let_in:?}");
    // And what the node dialled itself is untouched by all that.
    let other = world.node();
    let links = world.engine(node).stats().links.len();
    world.connect(node, other);
    world.run(100);
    assert_eq!(world.engine(node).stats().links.len(), links + 1);
}

#[test]
fn a_topic_left_and_joined_again_validates_nothing_unverified() {
    // Given one validator, which is busy, and a second bundle that waits for it.
    let mut world = World::new(20);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| {
        spec.config = Config { validators: 1, ..Config::default() };
        spec.validator =
            Some(Box::new(|bundle| (!bundle.encoded().ends_with(b"first")).then_some(Validation::Accept)));
    });
    let (source, liar) = (world.hostile(node), world.hostile(node));
    let words =
        ["first", "second"].map(|word| world.says_at(&world.liar(1), &rules, (word.len() == 6).into(), word));
    world.pushes(source, &[&words[0], &words[1]]);
    world.run(50);
    // When the topic is left and joined again, and somebody sends the second one under a signature that does not hold.
    world.handle(node, super::super::Input::Leave { topic: rules.id() });
    world.handle(node, super::super::Input::Join { rules: rules.clone(), deliver: true, validate: true });
    world.verify_takes = Duration::from_secs(1);
    world.pushes(liar, &[&super::hostile::forged(&words[1], 1)]);
    world.run(3_000);
    // Then the application never sees it, and who sent it is blamed for it.
    assert!(world.nodes[node].delivered.is_empty());
    assert_eq!(world.hostiles[liar].closed, Some(Reason::Offence));
}

#[test]
fn authors_who_fill_the_index_leave_room_for_others() {
    // Given so many newcomers, each within its quota, that together they say more than the index holds.
    let mut world = World::new(41);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| spec.config = Config { topic_bundles: 1_000, ..Config::default() });
    let hostile = world.hostile(node);
    let tick = world.tick(&rules);
    for slot in 0..64 {
        for number in 0..20 {
            world.pushes(hostile, &[&bundle(&world.liar(number), &rules, tick, slot, &["more"])]);
            world.run(1);
        }
    }
    world.run(500);
    let held = world.engine(node).stats().topics[0].bundles;
    assert!((800..1_000).contains(&held), "{held}");
    // Then somebody new is heard, and we can still speak ourselves.
    world.pushes(hostile, &[&world.says_at(&world.liar(99), &rules, 0, "somebody new")]);
    world.publish(node, &rules, "ourselves");
    world.run(200);
    assert!(world.nodes[node].has_heard("somebody new"));
    assert!(world.nodes[node].has_heard("ourselves"));
    assert_eq!(world.hostiles[hostile].closed, None);
}

#[test]
fn what_there_was_no_room_for_may_come_again() {
    // Given an author who has as much of the index as it may, and says one thing more.
    let mut world = World::new(42);
    let rules = world.topic(&Topic::named("t").slots_per_tick(200));
    let node = world.node_with(|spec| spec.config = Config { topic_bundles: 100, ..Config::default() });
    let hostile = world.hostile(node);
    let author = world.liar(1);
    let words: Vec<_> =
        (0..26).map(|slot| world.says_at(&author, &rules, slot, &format!("{slot}"))).collect();
    let (last, first) = words.split_last().unwrap();
    first.iter().for_each(|word| world.pushes(hostile, &[word]));
    world.run(200);
    world.pushes(hostile, &[last]);
    world.run(200);
    assert_eq!(world.nodes[node].counters().over_cap, 1);
    // Then it is not pulled again at once, but in a while it may be.
    world.announces(hostile, &rules, &[last.id()]);
    world.run(200);
    assert_eq!(world.hostiles[hostile].pulls_of(&last.id()), 0);
    world.run(12_000);
    world.announces(hostile, &rules, &[last.id()]);
    world.run(200);
    assert!(world.hostiles[hostile].pulls_of(&last.id()) > 0);
}

#[test]
fn a_flood_of_others_does_not_silence_us_for_long_after_it() {
    // Given a minute in which newcomers say as much as their share of the bytes allows.
    let mut world = World::new(43);
    let rules = world.topic(&Topic::named("t").max_body(16_000));
    let node = world.node_with(|spec| spec.config = Config { topic_bytes: 1_000_000, ..Config::default() });
    let hostile = world.hostile(node);
    let body = "x".repeat(15_000);
    for round in 0..600u64 {
        let word = world.says_at(&world.liar(round % 30), &rules, (round / 30 % 60) as u16, &body);
        world.pushes(hostile, &[&word]);
        world.run(100);
    }
    // When it is over, and what it left is no longer young, we are heard within two seconds.
    world.run(10_000);
    world.publish(node, &rules, "at last");
    world.run(2_000);
    assert!(world.nodes[node].has_heard("at last"));
}

#[test]
fn one_key_that_connects_again_and_again_takes_no_more_places() {
    let mut world = World::new(44);
    world.topic(&Topic::named("t"));
    let node = world.node();
    let (peer, stranger) = (world.liar(1).public(), world.liar(2).public());
    let now = world.now(node);
    let engine = &mut world.nodes[node].engine;
    // When a peer connects 200 times before the first of its links is down.
    for number in 0..200 {
        engine.handle(now, Input::LinkUp { link: LinkId(1_000 + number), peer, dialled: false });
    }
    // Then it has one link, and another that is being closed for it.
    assert_eq!(engine.links.len(), 2);
    assert_eq!(engine.would_refuse(&peer), Some(Reason::Duplicate));
    assert_eq!(engine.would_refuse(&stranger), None);
}

#[test]
fn inbound_links_are_bounded_though_all_are_unaimed() {
    // Given a network so small that any dialler may use the places that are kept for the unaimed.
    let mut world = World::new(45);
    world.topic(&Topic::named("t"));
    let config = Config { expected_nodes: 1, max_inbound: 8, unaimed_inbound: 4, ..Config::default() };
    let node = world.node_with(|spec| spec.config = config);
    // When twenty dial, then eight get in.
    let diallers: Vec<_> = (0..20).map(|_| world.hostile(node)).collect();
    let closed: Vec<_> = diallers.into_iter().map(|who| world.hostiles[who].closed).collect();
    assert_eq!(closed.iter().filter(|reason| reason.is_none()).count(), 8);
    assert_eq!(closed.iter().filter(|reason| **reason == Some(Reason::Full)).count(), 12);
}
