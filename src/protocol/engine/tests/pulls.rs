//! Announcements and pulls: who announces what it does not hold, or does not serve, costs little and is asked last.

use std::time::Duration;

use super::hostile::{fake_id, frame_of, header_frame, spoilt};
use super::world::World;
use crate::Reason;
use crate::rumor::{Evidence, Topic};
use crate::wire::{self, Frame, Lane, MAX_IDS_PER_FRAME};

#[test]
fn announce_flood_memory_is_bounded() {
    // Given a node with a dozen hostile links and an honest one.
    let mut world = World::new(2);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostiles: Vec<_> = (0..12).map(|_| world.hostile(node)).collect();
    let honest = world.hostile(node);
    let genuine = world.says_at(&world.liar(1), &rules, 0, "word");
    // When each announces ten thousand ids that do not exist.
    let mut number = 0;
    for round in 0..40 {
        for hostile in &hostiles {
            let ids: Vec<_> = (0..MAX_IDS_PER_FRAME as u64).map(|n| fake_id(number + n)).collect();
            number += ids.len() as u64;
            world.announces(*hostile, &rules, &ids);
        }
        if round == 35 {
            world.announces(honest, &rules, &[genuine.id()]);
        }
        world.run(10);
    }
    // Then what is remembered is within the caps (the world checks: 65 536 in all, 8 192 a link), and the honest
    // announcement was not kept out.
    let stats = world.engine(node).stats();
    assert!(stats.wants >= 60_000 && stats.counters.wants_refused > 0, "{}", stats.wants);
    assert!(world.engine(node).wants.room() > 60_000);
    assert_eq!(world.hostiles[honest].pulls_of(&genuine.id()), 1);
    // And all of it is given back in time, or at once when the links go.
    world.cut(world.hostiles[hostiles[0]].wire);
    for wire in hostiles[1..].iter().map(|hostile| world.hostiles[*hostile].wire).collect::<Vec<_>>() {
        world.cut(wire);
    }
    world.run(40_000);
    let engine = world.engine(node);
    assert_eq!((engine.stats().wants, engine.cx.timers.len()), (0, 2));
    assert!(engine.wants.starved_len() < 200);
    assert!(engine.wants.room() <= 1_024 && engine.cx.timers.room() <= 1_024, "room is given back, too");
}

#[test]
fn fake_announcements_are_forgotten_without_hanging_up() {
    let mut world = World::new(3);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    world.announces(hostile, &rules, &(0..2_000).map(fake_id).collect::<Vec<_>>());
    world.run(120_000);
    assert_eq!(world.engine(node).stats().wants, 0);
    let link = &world.engine(node).stats().links[0];
    assert_eq!((link.owed_pulls, link.wanted_from, link.last_resort), (0, 0, true));
    assert_eq!(world.hostiles[hostile].closed, None);
}

#[test]
fn a_peer_that_announces_and_hardly_reads_makes_nothing_pile_up() {
    // Given a peer that announces what does not exist and takes a few bytes of ours now and then.
    let mut world = World::new(13);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let wire = world.hostiles[hostile].wire;
    world.wires[wire].bandwidth = 2_000;
    for round in 0..200 {
        world.wires[wire].bandwidth = 0;
        world.announces(hostile, &rules, &(0..256).map(|n| fake_id(round * 256 + n)).collect::<Vec<_>>());
        world.wires[wire].bandwidth = 2_000;
        world.run(500);
    }
    let link = world.engine(node).links.iter().next().unwrap();
    assert!(link.outbox().lists_len() < 1_000, "{}", link.outbox().lists_len());
}

#[test]
fn an_id_announced_under_the_wrong_topic_is_still_pulled_under_the_right_one() {
    // Given two topics, and a liar that announces a genuine id in the wrong one first.
    let mut world = World::new(14);
    let (right, wrong) = (world.topic(&Topic::named("right")), world.topic(&Topic::named("wrong")));
    world.nodes(2);
    let liar = world.hostile(0);
    let word = world.says_at(&world.liar(1), &right, 0, "word");
    world.announces(liar, &wrong, &[word.id()]);
    world.run(20);
    // When an honest node holds it.
    let source = world.hostile(1);
    world.pushes(source, &[&word]);
    world.run(50);
    world.connect(0, 1);
    world.run(200);
    // Then it comes at once, and without a pull in vain.
    assert_eq!(world.nodes[0].heard(), ["word"]);
    assert_eq!(world.nodes[1].counters().gone, 0);
}

#[test]
fn announce_liars_are_struck() {
    // Given a node with four links that announce at once and never serve, and an honest one.
    let mut world = World::new(4);
    let rules = world.topic(&Topic::named("t"));
    world.nodes(2);
    let liars: Vec<_> = (0..4).map(|_| world.hostile(0)).collect();
    let honest = world.hostile(0);
    let mut worst = (Duration::ZERO, Duration::ZERO);
    for n in 0..60 {
        world.run(1_000);
        let word = world.says_at(&world.liar(1), &rules, 0, &format!("word {n}"));
        for liar in &liars {
            world.announces(*liar, &rules, &[word.id()]);
        }
        // (Half of the first ones long before it is announced by who will serve it, so that each liar is found out.)
        world.run(if n < 20 && n % 2 == 0 { 900 } else { 5 });
        world.announces(honest, &rules, &[word.id()]);
        // When it is asked, it serves.
        let took = world.until(5_000, |world| world.hostiles[honest].pulls_of(&word.id()) > 0);
        world.says(honest, Lane::Replies, frame_of(0, &[&word]));
        if n < 10 { worst.0 = worst.0.max(took) } else { worst.1 = worst.1.max(took) }
    }
    world.run(100);
    // Then the first rumors came within a second, the later ones at once, since liars are asked last.
    assert_eq!(world.nodes[0].delivered.len(), 60);
    println!("slowest of the first ten {:?}, of the rest {:?}", worst.0, worst.1);
    assert!(worst.0 < Duration::from_secs(1) && worst.1 <= Duration::from_millis(30), "{worst:?}");
    let last_resort = world.engine(0).stats().links.iter().filter(|link| link.last_resort).count();
    assert_eq!(last_resort, 4);
}

#[test]
fn what_an_overloaded_peer_could_not_serve_is_asked_for_again() {
    // Given a peer that has served, and then announces a word that it does not serve, however often it is asked.
    let mut world = World::new(16);
    let rules = world.topic(&Topic::named("t").retention(Duration::from_secs(90)));
    let node = world.node();
    let peer = world.hostile(node);
    let words: Vec<_> =
        (0..2).map(|slot| world.says_at(&world.liar(1), &rules, slot, &format!("word {slot}"))).collect();
    world.announces(peer, &rules, &[words[0].id()]);
    world.run(50);
    world.says(peer, Lane::Replies, frame_of(0, &[&words[0]]));
    world.run(50);
    world.announces(peer, &rules, &[words[1].id()]);
    world.until(40_000, |world| world.engine(node).stats().counters.wants_given_up == 1);
    // When the node gives up, then it does not say that it needs no copy, and a little later it asks the peer to announce
    // again what it holds.
    let peer = &world.hostiles[peer];
    let cancelled = |frame: &Frame| matches!(frame, Frame::Cancel(ids) if ids.ids.contains(&words[1].id()));
    assert!(!peer.frames.iter().any(cancelled));
    let (peer, before) = (world.hostiles.len() - 1, peer.frames.len());
    world.run(2_000);
    let asks =
        |frame: &Frame| matches!(frame, Frame::Topics(change) if change.joined == [*rules.id().as_bytes()]);
    assert!(world.hostiles[peer].frames[before..].iter().any(asks));
    // And the copy is as welcome as ever.
    world.announces(peer, &rules, &[words[1].id()]);
    world.run(50);
    world.says(peer, Lane::Replies, frame_of(0, &[&words[1]]));
    world.run(50);
    assert_eq!(world.nodes[node].heard(), ["word 0", "word 1"]);
}

#[test]
fn what_is_gone_with_its_convicted_author_is_no_strike() {
    // Given a link that announces what an author says, and another that sends the proof against that author.
    let mut world = World::new(17);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (honest, teller) = (world.hostile(node), world.hostile(node));
    let [yes, no] = ["yes", "no"].map(|word| world.says_at(&world.liar(1), &rules, 0, word));
    let proof = Evidence::new(*yes.signed_header(), *no.signed_header()).unwrap();
    world.says(teller, Lane::Control, wire::evidence(&proof));
    world.run(50);
    // When the first link has dropped what it announced just before, one after the other.
    for slot in 1..5 {
        let word = world.says_at(&world.liar(1), &rules, slot, "word");
        world.announces(honest, &rules, &[word.id()]);
        world.run(50);
        world.says(honest, Lane::Control, wire::gone(&rules.id(), &[word.id()]));
        world.run(1_200);
    }
    // Then it is not struck, and not asked for any of it again.
    let links = world.engine(node).stats().links;
    let link = links.iter().find(|link| link.peer == world.hostiles[honest].key).unwrap();
    assert!(!link.last_resort);
    assert_eq!(world.engine(node).cx.counters.pulls, 4);
}

#[test]
fn a_source_that_announces_during_a_header_check_is_asked_afterwards() {
    // Given a header without its bodies, whose signature is being checked, and a neighbour that announces them meanwhile.
    let mut world = World::new(21);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (teller, holder) = (world.hostile(node), world.hostile(node));
    world.verify_takes = Duration::from_secs(1);
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.says(teller, Lane::Control, header_frame(&word));
    world.run(50);
    world.announces(holder, &rules, &[word.id()]);
    world.run(500);
    assert_eq!(world.hostiles[holder].pulls_of(&word.id()), 0, "a copy may still come with the header");
    // When the signature has held, then it is asked for them, once.
    world.run(600);
    assert_eq!(world.hostiles[holder].pulls_of(&word.id()), 1);
}

/// Whoever is asked serves what is no copy, and goes: the next source is asked in the same turn. (The world checks after each that every
/// wanted id waits for somebody.)
#[test]
fn where_a_served_copy_is_none_the_next_source_is_asked() {
    for knows_header in [false, true] {
        let mut world = World::new(23);
        let rules = world.topic(&Topic::named("t"));
        let node = world.node();
        let (first, second) = (world.hostile(node), world.hostile(node));
        let word = world.says_at(&world.liar(1), &rules, 0, "word");
        if knows_header {
            let teller = world.hostile(node);
            world.says(teller, Lane::Control, header_frame(&word));
            world.run(50);
        }
        world.announces(first, &rules, &[word.id()]);
        world.run(5);
        world.announces(second, &rules, &[word.id()]);
        world.run(20);
        let pulls = |world: &World| [first, second].map(|at| world.hostiles[at].pulls_of(&word.id()));
        let asked = if pulls(&world) == [1, 0] { (first, second) } else { (second, first) };
        assert_eq!(pulls(&world).iter().sum::<usize>(), 1, "only one is asked at a time");
        world.says(asked.0, Lane::Replies, spoilt(&word, |frame| *frame.last_mut().unwrap() ^= 1));
        world.run(20);
        assert_eq!((pulls(&world), world.hostiles[asked.0].closed), ([1, 1], Some(Reason::Offence)));
        world.says(asked.1, Lane::Replies, frame_of(0, &[&word]));
        world.run(20);
        assert_eq!(world.nodes[node].heard(), ["word"]);
    }
}

#[test]
fn what_was_gone_and_is_announced_again_is_asked_for_at_once() {
    // Given the only one that announced an id, and then said that it does not hold it.
    let mut world = World::new(22);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let holder = world.hostile(node);
    let word = world.says_at(&world.liar(1), &rules, 0, "word");
    world.announces(holder, &rules, &[word.id()]);
    world.run(40);
    assert_eq!(world.hostiles[holder].pulls_of(&word.id()), 1);
    world.says(holder, Lane::Control, wire::gone(&rules.id(), &[word.id()]));
    world.run(100);
    // When it announces it again, it is asked at once.
    world.announces(holder, &rules, &[word.id()]);
    world.run(100);
    assert_eq!(world.hostiles[holder].pulls_of(&word.id()), 2);
}

#[test]
fn what_a_link_may_owe_us_is_bounded_in_bytes() {
    // Given a link that announces bodies of the largest class, which it does not serve.
    let mut world = World::new(23);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let hostile = world.hostile(node);
    let items: Vec<_> = (0..100).map(|number| (fake_id(number), 17)).collect();
    world.says(hostile, Lane::Control, wire::announce(&rules.id(), &items));
    world.run(20);
    // Then it is asked for a mebibyte of them at once.
    let asked = items.iter().filter(|(id, _)| world.hostiles[hostile].pulls_of(id) > 0).count();
    assert_eq!(asked, (1 << 20) / (1 << 17));
}

#[test]
fn unresponsive_peer_keeps_minimum_pull_window_until_it_serves() {
    // Given a link that has served, and then announces what it does not serve.
    let mut world = World::new(24);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let peer = world.hostile(node);
    let serves = |world: &mut World, body: &str| {
        let word = world.says_at(&world.liar(1), &rules, 0, body);
        world.announces(peer, &rules, &[word.id()]);
        world.run(50);
        world.says(peer, Lane::Replies, frame_of(0, &[&word]));
        world.run(50);
    };
    let link = |world: &World| world.engine(node).stats().links[0].clone();
    let mut number = 0;
    let mut announce_fakes = |world: &mut World, most: u64| {
        let ids: Vec<_> = (number..number + most).map(fake_id).collect();
        number += most;
        ids.chunks(MAX_IDS_PER_FRAME).for_each(|ids| world.announces(peer, &rules, ids));
        world.run(20);
    };
    serves(&mut world, "word 0");
    announce_fakes(&mut world, 5_000);
    assert_eq!((link(&world).wanted_from, link(&world).owed_pulls), (5_000, 65));
    // Then within a few silences all is forgotten that it is not just being asked for; when that is over, too, it is asked to
    // say again what it holds;
    world.until(6_000, |world| link(world).wanted_from <= 65);
    world.until(300_000, |world| link(world).wanted_from == 0);
    world.run(2_000);
    let asks =
        |frame: &Frame| matches!(frame, Frame::Topics(change) if change.joined == [*rules.id().as_bytes()]);
    assert_eq!(world.engine(node).stats().counters.wants_refused, 0);
    assert!(world.hostiles[peer].frames.iter().any(asks));
    // little of what it announces from now on is noted, whatever it repeats meanwhile,
    let old = world.says_at(&world.liar(2), &rules, 0, "old");
    world.pushes(peer, &[&old]);
    for _ in 0..20 {
        world.says(peer, Lane::Replies, frame_of(0, &[&old]));
        world.run(500);
    }
    announce_fakes(&mut world, 5_000);
    let silent = link(&world);
    assert!((1..=16).contains(&silent.wanted_from) && (1..=16).contains(&silent.owed_pulls), "{silent:?}");
    // and serving one thing buys one more at once, and another list of lies for one silence.
    world.until(300_000, |world| link(world).wanted_from == 0);
    serves(&mut world, "word 1");
    announce_fakes(&mut world, 5_000);
    assert_eq!((link(&world).wanted_from, link(&world).owed_pulls), (5_000, 17));
    world.until(20_000, |world| link(world).wanted_from <= 17);
    // And each thing that it serves has it asked for one more.
    world.until(300_000, |world| link(world).wanted_from == 0);
    for round in 0..30 {
        serves(&mut world, &format!("more {round}"));
    }
    announce_fakes(&mut world, 100);
    assert_eq!((link(&world).wanted_from, link(&world).owed_pulls), (100, 46));
}

#[test]
fn what_was_dropped_of_a_silent_newcomer_is_asked_for_again() {
    // Given a link that was cut off as soon as it had announced a thousand ids, so that it has never served anything.
    let mut world = World::new(27);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let peer = world.hostile(node);
    for part in 0..4 {
        world.announces(peer, &rules, &(part * 250..(part + 1) * 250).map(fake_id).collect::<Vec<_>>());
    }
    world.run(50);
    let link = |world: &World| world.engine(node).stats().links[0].clone();
    assert_eq!(link(&world).wanted_from, 1_000);
    // When that has come to nothing, then it is asked to announce again what it holds.
    world.until(300_000, |world| link(world).wanted_from == 0);
    world.run(2_000);
    let asks =
        |frame: &Frame| matches!(frame, Frame::Topics(change) if change.joined == [*rules.id().as_bytes()]);
    assert!(world.hostiles[peer].frames.iter().any(asks));
}

#[test]
fn a_lie_about_a_size_binds_the_liar_alone() {
    // Given a liar that announces a hundred small words as large ones, and an honest link that announces them as they are.
    let mut world = World::new(25);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (liar, honest) = (world.hostile(node), world.hostile(node));
    let author = world.liar(1);
    let words: Vec<_> = (0..60).map(|slot| world.says_at(&author, &rules, slot, "word")).collect();
    let items = |size| words.iter().map(|word| (word.id(), size)).collect::<Vec<_>>();
    world.says(liar, Lane::Control, wire::announce(&rules.id(), &items(17)));
    world.run(20);
    world.says(honest, Lane::Control, wire::announce(&rules.id(), &items(9)));
    world.run(20);
    // Then the liar is asked for a mebibyte of them, and the honest link for all others.
    let owed = |hostile: usize| {
        let links = world.engine(node).stats().links;
        links.iter().find(|link| link.peer == world.hostiles[hostile].key).map(|link| link.owed_pulls)
    };
    assert_eq!((owed(liar), owed(honest)), (Some(8), Some(52)));
}

#[test]
fn pulls_that_come_to_nothing_are_on_the_links_bill() {
    // Given a node that gives each link thirty milliseconds of CPU in all, and a neighbour in the same room that announces
    // things and says at once that it does not hold them, as often as it can before that counts as a second silence.
    let mut world = World::new(26);
    world.latency = (Duration::from_micros(100), Duration::from_micros(100));
    let rules = world.topic(&Topic::named("t"));
    let node = world.node_with(|spec| {
        spec.config.budget.cpu_per_s = Duration::from_micros(1);
        spec.config.budget.cpu_burst = Duration::from_millis(30);
    });
    let hostile = world.hostile(node);
    for round in 0..400 {
        let ids: Vec<_> = (round * 30..(round + 1) * 30).map(fake_id).collect();
        world.announces(hostile, &rules, &ids);
        world.run(1);
        world.says(hostile, Lane::Control, wire::gone(&rules.id(), &ids));
        world.run(1);
    }
    // Then its budget has ended: what it says costs less than half of it, what that makes us do the rest.
    let counters = world.nodes[node].counters();
    assert!(counters.paused_for_budget > 0 && counters.pulls_unserved > 1_000, "{counters:?}");
}

/// Eight honest links that serve, and a liar two milliseconds away that announces each of twenty words five milliseconds before
/// them and never serves it. If it `repeats`, it sends a copy of an old one every fifty milliseconds; if it is `proven`, it was
/// the one that brought that. How long each word took.
fn words_beside_a_liar(proven: bool, repeats: bool) -> Vec<u64> {
    let mut world = World::new(28);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let honest: Vec<_> = (0..8).map(|_| world.hostile(node)).collect();
    world.latency = (Duration::from_millis(1), Duration::from_millis(1));
    let liar = world.hostile(node);
    let author = world.liar(1);
    let old = world.says_at(&author, &rules, 0, "old");
    world.pushes(if proven { liar } else { honest[0] }, &[&old]);
    world.run(50);
    let mut took = Vec::new();
    for number in 1..=20 {
        let word = world.says_at(&author, &rules, number, &format!("word {number}"));
        world.announces(liar, &rules, &[word.id()]);
        world.run(5);
        honest.iter().for_each(|honest| world.announces(*honest, &rules, &[word.id()]));
        let (said, mut served) = (world.millis(), [false; 8]);
        for step in 0..1_500 {
            if repeats && step % 50 == 0 {
                world.says(liar, Lane::Replies, frame_of(0, &[&old]));
            }
            for (honest, served) in honest.iter().zip(&mut served) {
                if !*served && world.hostiles[*honest].pulls_of(&word.id()) > 0 {
                    *served = true;
                    world.says(*honest, Lane::Replies, frame_of(0, &[&word]));
                }
            }
            world.run(1);
        }
        took.push(world.nodes[node].delivered.last().unwrap().at / 1_000_000 - said);
    }
    assert_eq!(world.nodes[node].delivered.len(), 21);
    took
}

#[test]
fn a_liar_that_repeats_what_is_old_is_found_out_like_one_that_is_silent() {
    for (proven, repeats) in [(false, false), (false, true), (true, false), (true, true)] {
        let took = words_beside_a_liar(proven, repeats);
        println!("it has brought something: {proven}, it repeats: {repeats}: {took:?} ms");
        // Then after five words it is not waited for any more: a word takes a round trip to an honest link.
        assert!(took[5..].iter().all(|took| *took <= 60), "{took:?}");
    }
}

#[test]
fn a_late_copy_of_what_was_pulled_says_that_the_link_serves_and_an_old_one_does_not() {
    // Given two links that were asked for a word, of which the second served it.
    let mut world = World::new(29);
    let rules = world.topic(&Topic::named("t"));
    let node = world.node();
    let (slow, quick) = (world.hostile(node), world.hostile(node));
    let author = world.liar(1);
    let word = world.says_at(&author, &rules, 0, "word");
    world.announces(slow, &rules, &[word.id()]);
    world.run(5);
    world.announces(quick, &rules, &[word.id()]);
    world.until(1_000, |world| world.hostiles[quick].pulls_of(&word.id()) > 0);
    world.says(quick, Lane::Replies, frame_of(0, &[&word]));
    world.run(50);
    let serves = |world: &World| {
        let engine = world.engine(node);
        let link = engine.links.of_peer(&world.hostiles[slow].key).next().unwrap();
        link.service().is_serving(engine.mono(), Duration::from_millis(100))
    };
    assert!(!serves(&world));
    // When the first serves it after all, that counts, once: what it repeats does not.
    world.says(slow, Lane::Replies, frame_of(0, &[&word]));
    world.run(20);
    assert!(serves(&world));
    for _ in 0..10 {
        world.run(50);
        world.says(slow, Lane::Replies, frame_of(0, &[&word]));
    }
    world.run(20);
    assert!(!serves(&world));
}

#[test]
fn one_topics_announcements_leave_places_for_anothers() {
    // Given a link that has announced all that it may in one topic, none of which it serves yet.
    let mut world = World::new(30);
    let [busy, quiet] = ["busy", "quiet"].map(|name| world.topic(&Topic::named(name)));
    let node = world.node();
    let peer = world.hostile(node);
    world.announces(peer, &busy, &(0..9_000).map(fake_id).collect::<Vec<_>>());
    world.run(50);
    let listed = |world: &World| world.engine(node).stats().links[0].wanted_from;
    assert_eq!(listed(&world), 8_192 - 1_024);
    // When it announces in another topic, that is noted, up to what is kept for it.
    world.announces(peer, &quiet, &(10_000..10_100).map(fake_id).collect::<Vec<_>>());
    world.run(50);
    assert_eq!(listed(&world), 8_192 - 1_024 + 64);
}
