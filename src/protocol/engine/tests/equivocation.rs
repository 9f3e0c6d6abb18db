//! Authors that say two things at one position, or more than their quota: convicted everywhere, by their own signatures.

use std::time::Duration;

use bytes::Bytes;

use super::hostile::{bundle, forged, frame_of, header_frame};
use super::world::World;
use crate::key::SecretKey;
use crate::protocol::{Event, Failpoint, Input};
use crate::rumor::{Evidence, Guarantee, RuleSet, Topic};
use crate::wire::{Lane, Reason};

/// Two bundles of `author` at one position.
pub(super) fn two_words(world: &World, author: &SecretKey, rules: &RuleSet) -> [crate::rumor::Bundle; 2] {
    ["yes", "no"].map(|word| world.says_at(author, rules, 0, word))
}

pub(super) fn evidence_of(world: &World, number: u64, rules: &RuleSet) -> Evidence {
    let [yes, no] = two_words(world, &world.liar(number), rules);
    Evidence::new(*yes.signed_header(), *no.signed_header()).unwrap()
}

#[test]
fn equivocation_convicts_everywhere() {
    // Given a chain of eight nodes, and a liar at each end.
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(8);
    world.chain();
    let (left, right) = (world.hostile(0), world.hostile(7));
    let author = world.liar(1);
    // When one end hears yes and the other no.
    let [yes, no] = two_words(&world, &author, &rules);
    world.pushes(left, &[&yes]);
    world.pushes(right, &[&no]);
    world.run(1_000);
    // Then every node convicts the author, with a proof, once; every link has been told; and nobody heard both.
    for node in &world.nodes {
        let convicted = node.events.iter().filter(|event| matches!(event, Event::Convicted { .. }));
        assert_eq!(convicted.count(), 1);
        assert!(node.convicted(&author.public()));
        assert_eq!(node.delivered.len(), 1);
    }
    assert!([left, right].iter().all(|end| world.hostiles[*end].got_evidence(&author.public())));
    // And whoever brings a word of it later is ignored, without blame.
    let later = world.says_at(&author, &rules, 9, "later");
    let checked = world.nodes[0].batches.len();
    world.pushes(left, &[&later]);
    world.run(1_000);
    assert_eq!(world.nodes[0].batches.len(), checked, "its signatures are not even looked at");
    assert!(!world.nodes[0].has_heard("later"));
    assert_eq!(world.hostiles[left].closed, None);
}

#[test]
fn a_conflicting_bundle_is_not_relayed() {
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (liar, witness) = (world.hostile(node), world.hostile(node));
    let [yes, no] = two_words(&world, &world.liar(1), &rules);
    world.says(liar, Lane::Rumors, frame_of(4, &[&yes]));
    world.run(100);
    world.says(liar, Lane::Rumors, frame_of(4, &[&no]));
    world.run(5_000);
    let witness = &world.hostiles[witness];
    assert_eq!(witness.bundles().iter().map(|(_, bundle)| bundle.id()).collect::<Vec<_>>(), [yes.id()]);
    assert!(!witness.got_announcement(&no.id()) && witness.got_evidence(&yes.header().author));
}

#[test]
fn late_equivocation_convicts() {
    // Given a word that was delivered.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let liar = world.hostile(node);
    let author = world.liar(1);
    let [yes, no] = two_words(&world, &author, &rules);
    world.pushes(liar, &[&yes]);
    // When the second comes just before its tick leaves the window.
    world.run(88_000);
    world.pushes(liar, &[&no]);
    world.run(1_000);
    // Then it still convicts, although the body of the first may be gone.
    assert!(world.nodes[node].convicted(&author.public()));
    assert_eq!(world.nodes[node].heard(), ["yes"]);
}

#[test]
fn flooding_author_convicts_itself() {
    // Given a topic of four slots a tick.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t").slots_per_tick(4));
    world.nodes(2);
    world.connect(0, 1);
    let liar = world.hostile(0);
    let (author, tick) = (world.liar(1), world.tick(&rules));
    // When an author says five things in one tick, it must use a slot twice.
    for n in 0..5 {
        let word = bundle(&author, &rules, tick, n % 4, &[&format!("word {n}")]);
        world.pushes(liar, &[&word]);
        world.run(150);
    }
    world.run(500);
    // Then it is convicted by both, and four were heard.
    assert!(world.nodes.iter().all(|node| node.convicted(&author.public())));
    assert_eq!(world.nodes[1].delivered.len(), 4);
    // And a fifth slot does not exist: whoever sends that has not read the rules.
    let beyond = world.says_at(&world.liar(2), &rules, 4, "beyond");
    world.pushes(liar, &[&beyond]);
    world.run(100);
    assert_eq!(world.hostiles[liar].closed, Some(Reason::Offence));
}

#[test]
fn regrouping_convicts() {
    // Given an author's bundle of two words.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let liar = world.hostile(node);
    let author = world.liar(1);
    let tick = world.tick(&rules);
    world.pushes(liar, &[&bundle(&author, &rules, tick, 0, &["one", "two"])]);
    world.run(100);
    // When the same two words come in other groups.
    world.pushes(liar, &[&bundle(&author, &rules, tick, 0, &["one"])]);
    world.pushes(liar, &[&bundle(&author, &rules, tick, 1, &["two", "three"])]);
    world.run(100);
    // Then nothing is delivered twice (the world checks) and the author is convicted.
    assert_eq!(world.nodes[node].heard(), ["one", "two"]);
    assert!(world.nodes[node].convicted(&author.public()));
    assert_eq!(world.hostiles[liar].closed, None, "the bytes are in order: it is the author's doing");
}

fn hold_back(seconds: u64) -> Topic {
    Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(seconds)))
}

#[test]
fn hold_back_delivers_neither_of_two_conflicting_rumors() {
    let mut world = World::new(6);
    let rules = world.topic(&hold_back(2));
    world.nodes(6);
    world.graph(2);
    let (left, right) = (world.hostile(0), world.hostile(3));
    let [yes, no] = two_words(&world, &world.liar(1), &rules);
    world.pushes(left, &[&yes]);
    world.pushes(right, &[&no]);
    let good = world.says_at(&world.liar(2), &rules, 0, "good");
    world.pushes(left, &[&good]);
    world.run(1_900);
    assert!(world.nodes.iter().all(|node| node.delivered.is_empty()), "delivered before the delay was over");
    world.run(2_000);
    for node in &world.nodes {
        assert_eq!(node.heard(), ["good"]);
        assert!(node.convicted(&yes.header().author));
    }
    assert!(world.nodes.iter().any(|node| node.counters().held_back == 1));
}

#[test]
fn a_header_alone_convicts_before_any_body() {
    let mut world = World::new(7);
    let rules = world.topic(&hold_back(2));
    world.nodes(3);
    world.connect(0, 1);
    world.connect(1, 2);
    let (left, right) = (world.hostile(0), world.hostile(2));
    let [yes, no] = two_words(&world, &world.liar(1), &rules);
    world.says(left, Lane::Control, header_frame(&yes));
    world.says(right, Lane::Control, header_frame(&no));
    world.run(500);
    assert!(world.nodes.iter().all(|node| node.convicted(&yes.header().author)));
}

#[test]
fn hold_back_crosses_a_chain_without_the_repair_cycle() {
    // Given a chain, and a body so large that it is pulled.
    let mut world = World::new(8);
    let rules = world.topic(&hold_back(1).max_body(65_536));
    world.nodes(5);
    world.chain();
    world.run(1_000);
    // When a word is said, its header runs ahead of its body.
    world.wires[0].bandwidth = 200_000;
    let word = "x".repeat(20_000);
    world.publish(0, &rules, &word);
    world.run(900);
    // Then every node holds it before the delay of the first is over, and no honest node got a strike for it.
    for node in &world.nodes {
        assert_eq!(node.counters().accepted, 1);
        assert_eq!((node.counters().gone, node.counters().pulls_unserved), (0, 0));
    }
    world.run(1_000);
    assert!(world.nodes.iter().all(|node| node.heard() == [word.as_str()]));
}

#[test]
fn a_copy_that_is_not_verified_proves_nothing_after_a_topic_was_left_and_joined_again() {
    // Given the verified header of one of two words, whose claim outlives that we leave the topic and join it again.
    let mut world = World::new(31);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    world.node();
    world.connect(node, 1);
    let (one, other) = (world.hostile(node), world.hostile(node));
    let author = world.liar(1);
    world.pushes(one, &[&world.says_at(&author, &rules, 5, "of the same tick")]);
    let [yes, no] = two_words(&world, &author, &rules);
    world.says(one, Lane::Control, header_frame(&yes));
    world.run(100);
    world.handle(node, Input::Leave { topic: rules.id() });
    world.handle(
        node,
        Input::Join { rules: rules.clone(), deliver: true, validate: false, keep: Default::default() },
    );
    // When the second word is being verified, and then the first comes again, forged.
    world.verify_takes = Duration::from_secs(1);
    world.pushes(other, &[&no]);
    world.run(20);
    world.says(one, Lane::Control, header_frame(&forged(&yes, 0)));
    world.run(3_000);
    // Then nobody is convicted by it (the world checks what is said), and our neighbour has no reason to ban us.
    assert!(world.engine(node).convicted().is_empty());
    assert!(world.engine(1).banned().is_empty());
    assert_eq!(world.hostiles[one].closed, Some(Reason::Offence));
    assert_eq!(world.hostiles[other].closed, None);
}

/// What the two ends of a chain deliver of conflicting words, one for each, that are 91 s old. The clocks of the ends are 7 s behind:
/// they relay both. The clock between them is 7 s ahead: it relays neither, so nobody sees the conflict.
fn delivered_at_the_edge(failpoint: Option<Failpoint>) -> Vec<Bytes> {
    let mut world = World::new(9);
    let rules = world.topic(&Topic::named("t").guarantee(Guarantee::HoldBack(Duration::from_secs(2))));
    for skew_ms in [-7_000, 7_000, -7_000] {
        world.node_with(|spec| {
            spec.skew_ms = skew_ms;
            spec.config.failpoint = failpoint;
        });
    }
    world.chain();
    let tick = world.tick(&rules) - 91;
    for (node, word) in [(0, "yes"), (2, "no")] {
        let hostile = world.hostile(node);
        world.pushes(hostile, &[&bundle(&world.liar(1), &rules, tick, 0, &[word])]);
    }
    world.run(5_000);
    assert!([0, 2].iter().all(|node| world.nodes[*node].counters().accepted == 1), "an end took nothing in");
    assert_eq!(world.nodes[1].counters().accepted, 0);
    let all = world.nodes.iter().flat_map(|node| node.delivered.iter());
    all.map(|delivered| delivered.body.clone()).collect()
}

#[test]
fn late_rumors_delivered_break_agreement() {
    // What is relayed longer than it is delivered reaches everybody who may deliver it.
    assert!(delivered_at_the_edge(None).is_empty());
    assert_eq!(delivered_at_the_edge(Some(Failpoint::LateDelivered)), ["yes", "no"]);
}
