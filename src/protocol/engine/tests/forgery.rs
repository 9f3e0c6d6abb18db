//! Forged signatures: one costs the sender its link, and nobody else anything.

use super::hostile::{bundle, fake_id, forged, frame_of, header_frame};
use super::world::World;
use crate::protocol::{Event, Offence};
use crate::rumor::{Bundle, Topic};
use crate::wire::{Lane, Reason};
use std::time::Duration;

#[test]
fn one_bad_signature_closes_the_link() {
    [1, 4].into_iter().for_each(one_bad_signature);
}

fn one_bad_signature(verifiers: usize) {
    // Given a new peer.
    let mut world = World::new(1);
    let rules = world.topic(&Topic::named("t"));
    let victim = world.node_with(|spec| spec.config.verifiers = verifiers);
    let hostile = world.hostile(victim);
    let author = world.liar(1);
    // When it pushes sixty rumors, all forged, in one frame.
    let forgeries: Vec<_> =
        (0..60).map(|slot| forged(&world.says_at(&author, &rules, slot, "lie"), 0)).collect();
    world.pushes(hostile, &forgeries.iter().collect::<Vec<_>>());
    world.run(1_000);
    // Then one was checked, nothing delivered, the link closed and the key banned.
    let node = &world.nodes[victim];
    assert_eq!(node.batches.concat().len(), 1);
    assert!(node.delivered.is_empty());
    assert_eq!(world.hostiles[hostile].closed, Some(Reason::Offence));
    let key = world.hostiles[hostile].key;
    assert_eq!(node.engine.banned(), [key]);
    assert!(node.events.contains(&Event::Offence { peer: key, offence: Offence::BadSignature }));
    // And nothing of it is left.
    let stats = node.engine.stats();
    assert_eq!((stats.topics[0].bundles, stats.waiting_verification, stats.wants), (0, 0, 0));
    assert_eq!(node.engine.would_refuse(&key), Some(Reason::Banned));
}

#[test]
fn a_bad_signature_under_a_header_alone_closes_the_link_too() {
    let mut world = World::new(2);
    let rules =
        world.topic(&Topic::named("t").guarantee(crate::rumor::Guarantee::HoldBack(Duration::from_secs(2))));
    let victim = world.node();
    let hostile = world.hostile(victim);
    let genuine = world.says_at(&world.liar(1), &rules, 0, "word");
    world.says(hostile, Lane::Control, header_frame(&forged(&genuine, 0)));
    world.run(1_000);
    assert_eq!(world.hostiles[hostile].closed, Some(Reason::Offence));
}

#[test]
fn batch_poisoning_costs_one_check_per_link() {
    [1, 4].into_iter().for_each(batch_poisoning);
}

fn batch_poisoning(verifiers: usize) {
    // Given an honest, busy link, and twenty hostile ones.
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t").slots_per_tick(1_000));
    let victim = world.node_with(|spec| spec.config.verifiers = verifiers);
    world.node();
    world.connect(1, victim);
    world.run(100);
    for n in 0..20 {
        world.publish(1, &rules, format!("warm {n}"));
        world.run(5);
    }
    let hostiles: Vec<_> = (0..20).map(|_| world.hostile(victim)).collect();
    let before = world.nodes[victim].batches.len();
    // When all of them poison at once, while the honest one goes on.
    world.verify_takes = Duration::from_millis(2);
    for (n, hostile) in hostiles.iter().enumerate() {
        let author = world.liar(n as u64);
        let poison: Vec<_> =
            (0..30).map(|slot| forged(&world.says_at(&author, &rules, slot, "lie"), 0)).collect();
        world.pushes(*hostile, &poison.iter().collect::<Vec<_>>());
    }
    for n in 0..50 {
        world.publish(1, &rules, format!("word {n}"));
        world.run(1);
    }
    world.run(1_000);
    // Then each made us check one signature, and none was in a batch with the honest ones.
    let node = &world.nodes[victim];
    let honest = world.nodes[1].author.public();
    let (mut poisoned, mut mixed) = (0, 0);
    for batch in &node.batches[before..] {
        let lies = batch.iter().filter(|job| job.author != honest).count();
        poisoned += lies;
        mixed += usize::from(lies > 0 && lies < batch.len());
    }
    assert_eq!((poisoned, mixed), (20, 0));
    assert_eq!(node.delivered.len(), 70);
    assert!(hostiles.iter().all(|hostile| world.hostiles[*hostile].closed == Some(Reason::Offence)));
}

#[test]
fn a_trusted_link_spoils_one_batch_once() {
    // Given an honest, busy link, and a hostile one that has done honest work enough to share batches with it.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t").slots_per_tick(1_000));
    let victim = world.node_with(|spec| spec.config.verifiers = 4);
    world.node();
    world.connect(1, victim);
    let hostile = world.hostile(victim);
    let author = world.liar(1);
    world.run(100);
    let good: Vec<_> = (0..16).map(|slot| world.says_at(&author, &rules, slot, "good")).collect();
    world.pushes(hostile, &good.iter().collect::<Vec<_>>());
    for n in 0..20 {
        world.publish(1, &rules, format!("warm {n}"));
        world.run(5);
    }
    // When it sends sixty forgeries, and the honest one goes on.
    let before = world.nodes[victim].batches.len();
    world.verify_takes = Duration::from_millis(20);
    for n in 0..20 {
        world.publish(1, &rules, format!("word {n}"));
    }
    let author = world.liar(2);
    let lies: Vec<_> = (0..60).map(|slot| forged(&world.says_at(&author, &rules, slot, "lie"), 0)).collect();
    world.pushes(hostile, &lies.iter().collect::<Vec<_>>());
    world.run(1_000);
    // Then what was under way when the first of them failed is all that they spoilt: one batch for each verifier.
    let node = &world.nodes[victim];
    let is_lie = |job: &crate::protocol::VerifyJob| job.author == author.public();
    let spoilt = node.batches[before..].iter().filter(|batch| batch.iter().any(is_lie)).count();
    assert!((1..=4).contains(&spoilt), "{spoilt} batches were spoilt");
    assert_eq!(world.hostiles[hostile].closed, Some(Reason::Offence));
    assert_eq!(node.delivered.len(), 16 + 40);
}

/// A hostile link sends `lies`, and a moment later an honest one the genuine copy, pushed or only announced.
fn raced(
    lies: &[Bundle],
    rules: &crate::rumor::RuleSet,
    mut world: World,
    genuine: &Bundle,
    pushed: bool,
    together: bool,
) {
    world.verify_takes = Duration::from_millis(20);
    let hostiles: Vec<_> = (0..lies.len()).map(|_| world.hostile(0)).collect();
    let honest = world.hostile(0);
    if together {
        // One liar alone, with all of them.
        lies.iter().for_each(|lie| world.pushes(hostiles[0], &[lie]));
    } else {
        hostiles.iter().zip(lies).for_each(|(hostile, lie)| world.pushes(*hostile, &[lie]));
    }
    world.run(11);
    if pushed {
        world.pushes(honest, &[genuine]);
    } else {
        world.announces(honest, rules, &[genuine.id()]);
    }
    // It serves whenever it is asked.
    for _ in 0..300 {
        world.run(10);
        if world.hostiles[honest].pulls_of(&genuine.id()) > 0 && !world.nodes[0].has_heard("word") {
            world.says(honest, Lane::Replies, frame_of(0, &[genuine]));
        }
    }
    assert!(world.nodes[0].has_heard("word"));
    if together {
        assert_eq!(world.nodes[0].counters().candidates_full, 0, "one link took all the places");
    }
    assert_eq!(world.hostiles[honest].closed, None, "the honest one was blamed");
}

#[test]
fn bad_signature_does_not_suppress_the_id() {
    for (lies, pushed, together) in
        [(1, true, false), (1, false, false), (5, true, true), (8, true, false), (8, false, false)]
    {
        let mut world = World::new(4);
        let rules = world.topic(&Topic::named("t"));
        world.node();
        let genuine = world.says_at(&world.liar(1), &rules, 0, "word");
        let lies: Vec<_> = (0..lies).map(|salt| forged(&genuine, salt)).collect();
        raced(&lies, &rules, world, &genuine, pushed, together);
    }
}

#[test]
fn a_liar_that_is_caught_takes_no_genuine_copy_with_it() {
    // Given a liar that passes on a genuine rumor, first of all, together with a forgery.
    let mut world = World::new(5);
    let rules = world.topic(&Topic::named("t"));
    let victim = world.node();
    let (hostile, honest) = (world.hostile(victim), world.hostile(victim));
    let genuine = world.says_at(&world.liar(1), &rules, 0, "word");
    let lie = forged(&world.says_at(&world.liar(2), &rules, 0, "lie"), 0);
    world.verify_takes = Duration::from_millis(20);
    // When an honest copy of the same rumor comes while the forgery is being judged.
    world.pushes(hostile, &[&lie, &genuine]);
    world.run(5);
    world.pushes(honest, &[&genuine]);
    world.run(1_000);
    // Then the liar's end is not the rumor's.
    assert_eq!(world.hostiles[hostile].closed, Some(Reason::Offence));
    assert_eq!(world.nodes[victim].heard(), ["word"]);
}

#[test]
fn forgery_does_not_burn_the_victims_quota() {
    // Given an author with four slots a tick and room for a few bundles.
    let mut world = World::new(6);
    let rules = world.topic(&Topic::named("t").slots_per_tick(4));
    let node = world.node();
    let author = world.liar(1);
    let honest = world.hostile(node);
    // When liars forge rumors in its name at all of its slots.
    for slot in 0..4 {
        let hostile = world.hostile(node);
        let lie = forged(&world.says_at(&author, &rules, slot, "lie"), 0);
        world.pushes(hostile, &[&lie]);
    }
    world.run(500);
    // Then all it says itself is heard, pushed on as ever, and it is convicted of nothing.
    let other = world.hostile(node);
    let tick = world.tick(&rules);
    let words: Vec<_> =
        (0..4).map(|slot| bundle(&author, &rules, tick, slot, &[&format!("word {slot}")])).collect();
    world.says(honest, Lane::Rumors, frame_of(1, &words.iter().collect::<Vec<_>>()));
    world.run(500);
    assert_eq!(world.nodes[node].delivered.len(), 4);
    assert_eq!(world.hostiles[other].bundles().len(), 4);
    assert!(!world.nodes[node].convicted(&author.public()));
}

#[test]
fn announced_prefix_collision_still_delivers() {
    // Given ids on the wire are whole, so the best a liar can do is an id that shares 24 bytes.
    let mut world = World::new(7);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (hostile, honest) = (world.hostile(node), world.hostile(node));
    let genuine = world.says_at(&world.liar(1), &rules, 0, "word");
    let mut bytes = *fake_id(1).as_bytes();
    bytes[..24].copy_from_slice(&genuine.id().as_bytes()[..24]);
    // When it announces that one first.
    world.announces(hostile, &rules, &[crate::rumor::BundleId::from_bytes(bytes)]);
    world.run(20);
    world.announces(honest, &rules, &[genuine.id()]);
    world.run(25);
    // Then the genuine one is pulled, and delivered when it comes.
    assert_eq!(world.hostiles[honest].pulls_of(&genuine.id()), 1);
    world.says(honest, Lane::Replies, frame_of(0, &[&genuine]));
    world.run(100);
    assert_eq!(world.nodes[node].heard(), ["word"]);
}
