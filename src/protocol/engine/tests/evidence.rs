//! Evidence: what is remembered of it, what is told of it and how fast, and what a false or needless piece does.

use std::time::Duration;

use super::equivocation::{evidence_of, two_words};
use super::hostile::signed;
use super::world::World;
use crate::key::PublicKey;
use crate::protocol::{Event, Input, LinkId, Offence};
use crate::rumor::{Authors, Evidence, HEADER_LEN, SIGNED_HEADER_LEN, Topic};
use crate::wire::{self, Frame, Lane, Reason};

#[test]
fn evidence_store_is_bounded() {
    // Given an author that the node has known for a while, and that it then sees equivocate.
    let mut world = World::new(9);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let liar = world.hostile(node);
    let known = world.liar(0);
    let word = world.says_at(&known, &rules, 0, "word");
    world.pushes(liar, &[&word]);
    world.run(700_000);
    let [yes, no] = two_words(&world, &known, &rules);
    world.pushes(liar, &[&yes]);
    world.pushes(liar, &[&no]);
    world.run(500);
    // When a liar convicts ever new keys of its own, more than the book holds.
    let engine = &mut world.nodes[node].engine;
    for number in 1..17_000u64 {
        let mut headers = [*yes.signed_header(), *no.signed_header()];
        let author = crate::key::PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
        headers.iter_mut().for_each(|signed| signed.header.author = author);
        // (As verified: the signatures were looked at before.)
        engine.convict(Evidence::new(headers[0], headers[1]).unwrap(), None);
        engine.cx.actions.clear();
    }
    // Then bans and proofs stay within their caps, and the author that mattered is still among both.
    let convicted = engine.convicted();
    assert_eq!(convicted.len(), 16_384);
    assert_eq!(convicted.iter().filter(|(_, proof)| proof.is_some()).count(), 4_096);
    assert!(convicted.iter().any(|(author, proof)| *author == known.public() && proof.is_some()));
    assert!(engine.stats().links.iter().all(|link| link.queued_bytes < 1 << 20));
}

#[test]
fn evidence_that_waits_for_a_link_is_bounded() {
    // Given a node with a link whose peer takes nothing, and many authors that the topic names.
    let mut world = World::new(11);
    let authors: Vec<_> = (0..1_500u64)
        .map(|number| PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes()))
        .collect();
    let rules = world.topic(&Topic::named("t").authors(Authors::Listed(authors.clone())));
    let node = world.node();
    world.hostile(node);
    world.run(100);
    let [yes, no] = two_words(&world, &world.liar(1), &rules);
    let engine = &mut world.nodes[node].engine;
    // When more of them are convicted than fit its queue, before anything is written.
    for author in authors {
        let mut headers = [*yes.signed_header(), *no.signed_header()];
        headers.iter_mut().for_each(|signed| signed.header.author = author);
        engine.convict(Evidence::new(headers[0], headers[1]).unwrap(), None);
    }
    // Then all are convicted, and the queue has what it may.
    assert_eq!(engine.convicted().len(), 1_500);
    let waiting: Vec<_> = engine.links.iter().map(|link| link.outbox().lists_len()).collect();
    assert_eq!(waiting, [1_024]);
}

#[test]
fn evidence_is_told_once_and_the_known_is_not_checked_again() {
    let mut world = World::new(10);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (liar, witness) = (world.hostile(node), world.hostile(node));
    let evidence = evidence_of(&world, 1, &rules);
    for _ in 0..100 {
        world.says(liar, Lane::Control, wire::evidence(&evidence));
        world.run(5);
    }
    world.run(1_000);
    assert_eq!(world.nodes[node].batches.concat().len(), 2);
    let told = world.hostiles[witness].frames.iter().filter(|frame| matches!(frame, Frame::Evidence(_)));
    assert_eq!(told.count(), 1);
    assert_eq!(world.hostiles[liar].closed, None);
}

#[test]
fn bogus_evidence_is_an_offence() {
    let mut world = World::new(11);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let genuine = evidence_of(&world, 1, &rules);
    let author = world.liar(2);
    let [one, two] = [0, 5].map(|slot| *world.says_at(&author, &rules, slot, "w").signed_header());
    let (same, apart) = ([one, one], [one, two]);
    let raw = |pair: [crate::rumor::SignedHeader; 2]| {
        let mut frame = vec![8];
        pair.iter().for_each(|signed| frame.extend_from_slice(&signed.encode()));
        bytes::Bytes::from(frame)
    };
    let [first, second] = genuine.headers().map(|signed| *signed);
    let forgery = |at: usize| {
        let mut forged = genuine.encode();
        forged[at] ^= 1;
        [&[8], forged.as_slice()].concat().into()
    };
    // With how many signatures are checked: the second only if the first holds.
    let cases = [
        ("the same header twice", raw(same), 0),
        ("slots side by side", raw(apart), 0),
        ("the wrong order", raw([second, first]), 0),
        ("a forged first signature", forgery(HEADER_LEN + 40), 1),
        ("a forged second signature", forgery(SIGNED_HEADER_LEN + HEADER_LEN + 40), 2),
        (
            "impossible numbers",
            raw([first, signed(&world.liar(1), second.header, |header| header.count = 65)]),
            0,
        ),
    ];
    for (what, frame, checks) in cases {
        let before = world.engine(node).stats().counters.verified;
        let hostile = world.hostile(node);
        world.says(hostile, Lane::Control, frame);
        world.run(100);
        let key = world.hostiles[hostile].key;
        let offence = Event::Offence { peer: key, offence: Offence::BogusEvidence };
        assert!(world.nodes[node].events.contains(&offence), "{what}");
        assert_eq!(world.hostiles[hostile].closed, Some(Reason::Offence), "{what}");
        assert_eq!(world.engine(node).stats().counters.verified - before, checks, "{what}");
    }
    assert!(world.engine(node).convicted().is_empty());
}

#[test]
fn a_link_whose_evidence_became_needless_is_read_again() {
    // Given a link that has sent so many copies of a proof that we have stopped reading it.
    let mut world = World::new(32);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let witness = world.hostile(node);
    world.verify_takes = Duration::from_millis(500);
    let proof = evidence_of(&world, 1, &rules);
    for _ in 0..70 {
        world.says(witness, Lane::Control, wire::evidence(&proof));
    }
    world.run(100);
    assert!(world.nodes[node].counters().paused_for_verification > 0);
    // When the first has convicted its author, so that the others need no verdict,
    world.run(2_000);
    assert!(world.nodes[node].convicted(&proof.author()));
    // Then it is read again.
    world.pushes(witness, &[&world.says_at(&world.liar(2), &rules, 0, "word")]);
    world.run(2_000);
    assert!(world.nodes[node].has_heard("word"));
}

#[test]
fn evidence_that_found_no_capacity_is_sent_later() {
    // Given a link whose queue of proofs is full.
    let mut world = World::new(33);
    let authors = (0..3_500).map(|number| world.liar(100 + number).public()).collect();
    let rules = world.topic(&Topic::named("t").authors(Authors::Listed(authors)));
    let node = world.node();
    let slow = world.hostile(node);
    world.run(100);
    let wire = world.hostiles[slow].wire;
    world.set_reading(wire, 0, false);
    let proofs: Vec<_> = (0..3_500).map(|number| evidence_of(&world, 100 + number, &rules)).collect();
    for proof in &proofs {
        let now = world.now(node);
        world.nodes[node].engine.cx.now = now;
        world.nodes[node].engine.convict(*proof, None);
    }
    world.handle(node, Input::Tick);
    world.run(100);
    let missed = world.nodes[node].counters().evidence_degraded;
    assert!(missed > 0);
    // When it reads on, then it gets all of them.
    world.set_reading(wire, 0, true);
    world.run(10_000);
    let got = proofs.iter().filter(|proof| world.hostiles[slow].got_evidence(&proof.author()));
    assert_eq!(got.count(), proofs.len());
}

#[test]
fn proofs_against_strangers_delay_no_rumor() {
    // Given a slow link, and a liar that sends proofs against two hundred keys which have never said anything.
    let mut world = World::new(34);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (slow, liar) = (world.hostile(node), world.hostile(node));
    world.run(100);
    let wire = world.hostiles[slow].wire;
    world.wires[wire].bandwidth = 10_000;
    let proofs: Vec<_> = (0..200).map(|number| evidence_of(&world, 100 + number, &rules)).collect();
    for proof in &proofs {
        world.says(liar, Lane::Control, wire::evidence(proof));
        world.run(10);
    }
    world.run(100);
    assert_eq!(world.nodes[node].counters().convictions, 200);
    // When the slow link announces something, then it is asked for that at once,
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.announces(slow, &rules, &[word.id()]);
    let asked = world.until(20_000, |world| world.hostiles[slow].pulls_of(&word.id()) > 0);
    assert!(asked < Duration::from_millis(500), "after {asked:?}");
    // is told at once of whoever has spoken,
    let heard = world.liar(2);
    let [yes, no] = two_words(&world, &heard, &rules);
    world.pushes(liar, &[&yes]);
    world.pushes(liar, &[&no]);
    let told = world.until(20_000, |world| world.hostiles[slow].got_evidence(&heard.public()));
    assert!(told < Duration::from_millis(500), "after {told:?}");
    // and of all the strangers in time.
    world.run(60_000);
    assert!(proofs.iter().all(|proof| world.hostiles[slow].got_evidence(&proof.author())));
}

#[test]
fn what_is_gone_right_after_the_proof_is_no_strike() {
    // Given a link that tells of an equivocation and, in the same breath, that it has dropped what that author said.
    let mut world = World::new(35);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let honest = world.hostile(node);
    for number in 1..6 {
        let word = world.says_at(&world.liar(number), &rules, 0, "yes");
        world.announces(honest, &rules, &[word.id()]);
        world.run(50);
        world.says(honest, Lane::Control, wire::evidence(&evidence_of(&world, number, &rules)));
        world.says(honest, Lane::Control, wire::gone(&rules.id(), &[word.id()]));
        world.run(11_000);
    }
    assert_eq!(world.engine(node).cx.counters.pulls, 5);
    assert!(!world.engine(node).stats().links[0].last_resort);
}

#[test]
fn a_forgotten_ban_is_not_counted_as_a_forgotten_proof() {
    let mut world = World::new(10);
    let node = world.node();
    let engine = &mut world.nodes[node].engine;
    // One key more than are remembered sends what no correct node sends.
    for number in 0..8_193u64 {
        let peer = PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
        engine.offence(LinkId(1_000 + number), peer, Offence::Undecodable);
        engine.cx.actions.clear();
    }
    let counters = engine.stats().counters;
    assert_eq!((counters.offences, counters.bans_shed, counters.evidence_shed), (8_193, 1, 0));
}

/// A node that is in a listed topic only, and its honest neighbour, that is in an open one too and has convicted an author whom
/// only the open one admits: both topics, the node, its neighbour, the author.
fn told_what_it_had_no_use_for(
    world: &mut World,
) -> ([std::sync::Arc<crate::rumor::RuleSet>; 2], usize, usize, crate::key::SecretKey) {
    let listed = world.topic(&Topic::named("listed").authors(Authors::Listed(vec![world.liar(9).public()])));
    let node = world.node();
    let open = world.topic(&Topic::named("open"));
    let neighbour = world.node();
    world.connect(neighbour, node);
    world.run(100);
    let (witness, author) = (world.hostile(neighbour), world.liar(1));
    let proof = evidence_of(world, 1, &open);
    world.says(witness, Lane::Control, wire::evidence(&proof));
    world.run(3_000);
    assert!(world.nodes[neighbour].convicted(&author.public()));
    assert_eq!(world.nodes[node].counters().evidence_irrelevant, 1);
    ([listed, open], node, neighbour, author)
}

#[test]
fn a_link_that_joins_a_convicted_authors_topic_is_sent_the_evidence() {
    let mut world = World::new(61);
    let ([listed, open], node, neighbour, author) = told_what_it_had_no_use_for(&mut world);
    // When the node joins the open topic, then it is told within the second, once, and its neighbour's other peers are not.
    world.handle(node, Input::Join { rules: open, deliver: true, validate: false, keep: Default::default() });
    world.run(1_500);
    assert!(world.nodes[node].convicted(&author.public()));
    // And leaving a topic and joining it again tells it nothing new.
    let known = world.nodes[node].counters().evidence_known;
    for _ in 0..3 {
        world.handle(node, Input::Leave { topic: listed.id() });
        world.run(1_500);
        world.handle(
            node,
            Input::Join { rules: listed.clone(), deliver: true, validate: false, keep: Default::default() },
        );
        world.run(1_500);
    }
    assert_eq!(world.nodes[node].counters().evidence_known, known);
    assert_eq!(world.nodes[neighbour].counters().convictions, 1);
}

#[test]
fn a_node_that_has_just_joined_relays_no_convicted_author() {
    let mut world = World::new(62);
    let ([_, open], node, _, author) = told_what_it_had_no_use_for(&mut world);
    // When the node joins the open topic, and a liar brings it 39 words of that author,
    world.handle(
        node,
        Input::Join { rules: open.clone(), deliver: true, validate: false, keep: Default::default() },
    );
    let liar = world.hostile(node);
    for slot in 0..39 {
        let word = world.says_at(&author, &open, slot, "word");
        world.pushes(liar, &[&word]);
        world.run(100);
    }
    // Then its neighbour, to which it passes them on, tells it at once.
    let heard = world.nodes[node].delivered.len();
    println!("{heard} words");
    assert!(heard <= 3, "{heard} words");
}

#[test]
fn a_link_that_keeps_bringing_a_convicted_author_is_sent_evidence_again() {
    // Given a peer that was told of a conviction.
    let mut world = World::new(63);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (witness, peer) = (world.hostile(node), world.hostile(node));
    let proof = evidence_of(&world, 1, &rules);
    world.says(witness, Lane::Control, wire::evidence(&proof));
    world.run(1_500);
    let told = |world: &World| {
        let frames = &world.hostiles[peer].frames;
        frames.iter().filter(|frame| matches!(frame, Frame::Evidence(_))).count()
    };
    assert_eq!(told(&world), 1);
    // When it brings the author's words all the same, ten a second, then it is told again once a second.
    for slot in 0..30 {
        let word = world.says_at(&world.liar(1), &rules, 20 + slot, "word");
        world.pushes(peer, &[&word]);
        world.run(100);
    }
    assert_eq!(told(&world), 1 + 3);
}
