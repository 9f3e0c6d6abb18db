//! Room: in the index, for bodies and among links. Whoever takes much leaves something for who comes next.

use std::time::Duration;

use super::hostile::bundle;
use super::world::World;
use crate::protocol::{Config, Input, LinkId, Validation};
use crate::rumor::{Guarantee, Topic};
use crate::wire::{Frame, Reason};

#[test]
fn one_authors_quota_does_not_fill_the_index() {
    // Given a topic whose quota allows an author more bundles than the index has places.
    let mut world = World::new(12);
    let rules = world.topic(&Topic::named("t").slots_per_tick(10_000));
    let node =
        world.node_with(|spec| spec.config = Config::default().with(|config| config.topics.bundles = 1_000));
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
    let node = world
        .node_with(|spec| spec.config = Config::default().with(|config| config.topics.bytes = 16 * 10_000));
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
    // Then it is taken in up to the share of one link's newcomers, at the cost of what is old.
    let stats = world.engine(node).stats();
    assert_eq!((stats.counters.accepted, stats.counters.bodies_evicted), (24, 8));
    assert_eq!((stats.counters.over_cap, stats.topics[0].body_bytes), (6, 160_000));
}

#[test]
fn a_long_hold_back_ends_in_delivery() {
    // Given a topic that holds back for longer than it retains anything, and a store that is full of it.
    let mut world = World::new(18);
    let topic = Topic::named("t").retention(Duration::from_secs(1));
    let rules = world.topic(&topic.guarantee(Guarantee::HoldBack(Duration::from_secs(45))));
    let node = world
        .node_with(|spec| spec.config = Config::default().with(|config| config.topics.bytes = 16 * 10_000));
    let source = world.hostile(node);
    for slot in 0..20 {
        let word = world.says_at(&world.liar(slot.into()), &rules, slot, &"x".repeat(10_000));
        world.pushes(source, &[&word]);
        world.run(1_000);
    }
    world.run(46_000);
    assert_eq!((world.nodes[node].delivered.len(), world.engine(node).stats().counters.over_cap), (12, 8));
}

#[test]
fn inbound_sybils_cannot_evict_outbound() {
    // Given a node of a network of 300 whose places were taken by as many strangers as it lets in.
    let mut world = World::new(19);
    world.topic(&Topic::named("t"));
    let small = Config::default().with(|config| {
        config.expected_nodes = 300;
        config.links.inbound = 32;
        config.links.hash_selected = 16;
        config.links.max = 40;
    });
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
        let hash_selected =
            small.keeps_place(&network, &dialler, &acceptor, world.now_with(0).unix_ms / 1_000);
        assert_eq!(
            kept(&world, &honest),
            hash_selected,
            "{inside} {let_in:?} {:?}",
            world.hostiles[honest].closed
        );
        let_in[usize::from(hash_selected)] += 1;
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
        spec.config = Config::default().with(|config| config.validators.at_once = 1);
        spec.validator =
            Some(Box::new(|bundle| (!bundle.encoded().ends_with(b"first")).then_some(Validation::Accept)));
    });
    let (source, liar) = (world.hostile(node), world.hostile(node));
    let words =
        ["first", "second"].map(|word| world.says_at(&world.liar(1), &rules, (word.len() == 6).into(), word));
    world.pushes(source, &[&words[0], &words[1]]);
    world.run(50);
    // When the topic is left and joined again, and somebody sends the second one under a signature that does not hold.
    world.handle(node, crate::protocol::Input::Leave { topic: rules.id() });
    world.handle(
        node,
        crate::protocol::Input::Join {
            rules: rules.clone(),
            deliver: true,
            validate: true,
            keep: Default::default(),
        },
    );
    world.verify_takes = Duration::from_secs(1);
    world.pushes(liar, &[&super::hostile::forged(&words[1], 1)]);
    world.run(3_000);
    // Then the application never sees it, and who sent it is blamed for it.
    assert!(world.nodes[node].delivered.is_empty());
    assert_eq!(world.hostiles[liar].closed, Some(Reason::Offence));
}

#[test]
fn authors_that_fill_the_index_leave_capacity_for_others() {
    // Given so many newcomers over one link, each within its quota, that together they say more than the index holds.
    let mut world = World::new(41);
    let rules = world.topic(&Topic::named("t"));
    let node =
        world.node_with(|spec| spec.config = Config::default().with(|config| config.topics.bundles = 1_000));
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
    assert!((650..800).contains(&held), "{held}");
    // Then somebody new is heard, and we can still speak ourselves.
    world.pushes(hostile, &[&world.says_at(&world.liar(99), &rules, 0, "somebody new")]);
    world.publish(node, &rules, "ourselves");
    world.run(200);
    assert!(world.nodes[node].has_heard("somebody new"));
    assert!(world.nodes[node].has_heard("ourselves"));
    assert_eq!(world.hostiles[hostile].closed, None);
}

#[test]
fn a_rumor_refused_for_capacity_may_come_again() {
    // Given an author who has as much of the index as it may, and says one thing more.
    let mut world = World::new(42);
    let rules = world.topic(&Topic::named("t").slots_per_tick(200));
    let node =
        world.node_with(|spec| spec.config = Config::default().with(|config| config.topics.bundles = 100));
    let hostile = world.hostile(node);
    let author = world.liar(1);
    let words: Vec<_> =
        (0..25).map(|slot| world.says_at(&author, &rules, slot, &format!("{slot}"))).collect();
    let last = &bundle(&author, &rules, world.tick(&rules) + 20, 0, &["one thing more"]);
    let first = &words;
    first.iter().for_each(|word| world.pushes(hostile, &[word]));
    world.run(200);
    world.pushes(hostile, &[last]);
    world.run(200);
    assert_eq!(world.nodes[node].counters().over_cap, 1);
    // Then it is not pulled while there is no room, however often it is announced,
    for _ in 0..80 {
        world.announces(hostile, &rules, &[last.id()]);
        world.run(1_000);
    }
    assert_eq!(world.hostiles[hostile].pulls_of(&last.id()), 0);
    // and it is when the author's first words have left the window.
    world.run(12_000);
    world.announces(hostile, &rules, &[last.id()]);
    world.run(3_000);
    assert!(world.hostiles[hostile].pulls_of(&last.id()) > 0);
}

#[test]
fn a_flood_of_others_does_not_silence_us_for_long_after_it() {
    // Given a minute in which newcomers say as much as their share of the bytes allows.
    let mut world = World::new(43);
    let rules = world.topic(&Topic::named("t").max_body(16_000));
    let node = world
        .node_with(|spec| spec.config = Config::default().with(|config| config.topics.bytes = 1_000_000));
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
        engine
            .handle(now, Input::LinkUp { link: LinkId(1_000 + number), peer, dialled: false, remote: None });
    }
    // Then it has one link, and another that is being closed for it.
    assert_eq!(engine.links.len(), 2);
    assert_eq!(engine.would_refuse(&peer), Some(Reason::Duplicate));
    assert_eq!(engine.would_refuse(&stranger), None);
}

#[test]
fn inbound_links_are_bounded_though_all_are_hash_selected() {
    // Given a network so small that any dialler may use the places that are kept for the hash-selected.
    let mut world = World::new(45);
    world.topic(&Topic::named("t"));
    let config = Config::default().with(|config| {
        config.expected_nodes = 1;
        config.links.inbound = 8;
        config.links.hash_selected = 4;
    });
    let node = world.node_with(|spec| spec.config = config);
    // When twenty dial, then eight get in.
    let diallers: Vec<_> = (0..20).map(|_| world.hostile(node)).collect();
    let closed: Vec<_> = diallers.into_iter().map(|who| world.hostiles[who].closed).collect();
    assert_eq!(closed.iter().filter(|reason| reason.is_none()).count(), 8);
    assert_eq!(closed.iter().filter(|reason| **reason == Some(Reason::Full)).count(), 12);
}

#[test]
fn newcomers_that_flood_displace_what_their_own_links_bring() {
    for ahead in [0, 25, 55] {
        // Given four links that bring nothing but lone words under fresh keys, dated ahead, more than the index takes.
        let mut world = World::new(46);
        let rules = world.topic(&Topic::named("t"));
        let small = Config::default().with(|config| {
            config.topics.bundles = 1_024;
            config.expected_nodes = 20;
        });
        let node = world.node_with(|spec| spec.config = small);
        let liars: Vec<_> = (0..4).map(|_| world.hostile(node)).collect();
        let honest = world.node();
        world.connect(node, honest);
        world.run(100);
        let mut keys = 0;
        for round in 0..100 {
            // When a newcomer says something every second over an honest link,
            if round % 5 == 0 {
                world.publish(honest, &rules, format!("word {round}"));
            }
            for liar in &liars {
                for _ in 0..4 {
                    keys += 1;
                    let tick = world.tick(&rules) + ahead;
                    world.pushes(*liar, &[&bundle(&world.liar(keys), &rules, tick, 0, &["flood"])]);
                }
            }
            world.run(200);
        }
        // Then all of it is heard, at once,
        assert!(world.nodes[node].counters().over_cap > 500);
        assert_eq!(
            world.nodes[node].delivered.iter().filter(|word| word.body.starts_with(b"word")).count(),
            20
        );
        // and what nobody may deliver yet has an eighth of the index.
        let held = world.engine(node).stats().topics[0].bundles;
        assert!(if ahead > 30 { held <= 128 + 20 } else { held > 700 }, "{held} at {ahead} s");
    }
}

#[test]
fn a_pair_draws_anew_once_a_day_and_keys_that_were_ground_for_one_are_as_good_as_any_the_day_after() {
    let config = Config::default();
    let network = crate::rumor::NetworkId::of(super::world::NETWORK);
    let key = |number: u64| super::node::secret("drawn", number).public();
    let (victim, begins) = (key(0), 1_800_000_000);
    let selected = |peer: &crate::PublicKey, unix_s| config.is_hash_selected(&network, peer, &victim, unix_s);
    // Keys ground for a victim and a second: 24 of 1 000 are let through.
    let ground: Vec<_> = (1..4_001).map(key).filter(|peer| selected(peer, begins)).collect();
    assert!((60..140).contains(&ground.len()), "{}", ground.len());
    let left = |hours: u64| ground.iter().filter(|peer| selected(peer, begins + hours * 3_600)).count();
    let quarter = ground.len() / 4;
    assert!((quarter * 2..quarter * 4).contains(&left(6)), "{} of {}", left(6), ground.len());
    assert!(left(24) < 12 && left(48) < 12, "{} {}", left(24), left(48));
    // Each changes at a second of its own, once: all of a day long a pair is what it is, whoever asks.
    for peer in &ground {
        let drawn: Vec<_> = (0..24 * 60).map(|minute| selected(peer, begins + minute * 60)).collect();
        assert!(drawn.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 1);
    }
    // An acceptor whose clock is up to a minute apart from the dialler's keeps the place all the same.
    for peer in ground.iter().take(20) {
        for second in (begins..begins + 90_000).step_by(17).filter(|second| selected(peer, *second)) {
            for clock in [second - 60, second - 31, second, second + 60] {
                assert!(config.keeps_place(&network, peer, &victim, clock));
            }
        }
    }
    // In a network of fewer than 64 nodes nobody is left out.
    let small = Config { expected_nodes: 63, ..Config::default() };
    assert!((1..500).all(|number| small.is_hash_selected(&network, &key(number), &victim, begins)));
    let drawn = Config { expected_nodes: 64, ..Config::default() };
    assert!((1..500).any(|number| !drawn.is_hash_selected(&network, &key(number), &victim, begins)));
}

#[test]
fn a_kept_place_is_held_for_twenty_five_hours_where_others_want_it() {
    // Given a node with ten places for all, of which one is free, and ten that are kept, all of them held.
    let mut world = World::new(47);
    world.topic(&Topic::named("t"));
    let config = Config::default().with(|config| {
        config.expected_nodes = 64;
        (config.links.inbound, config.links.hash_selected) = (20, 10);
    });
    let node = world.node_with(|spec| spec.config = config.clone());
    let network = crate::rumor::NetworkId::of(super::world::NETWORK);
    let me = world.nodes[node].key;
    let draws = |world: &World, peer: &crate::PublicKey| {
        config.keeps_place(&network, peer, &me, world.now_with(0).unix_ms / 1_000)
    };
    let (mut number, mut next) = (0, 1_000);
    let mut comes = |world: &mut World, drawn: bool| {
        let peer = loop {
            number += 1;
            let peer = world.liar(number).public();
            if draws(world, &peer) == drawn {
                break peer;
            }
        };
        next += 1;
        let (now, link) = (world.now(node), LinkId(next));
        let engine = &mut world.nodes[node].engine;
        engine.handle(now, Input::LinkUp { link, peer, dialled: false, remote: None });
        (link, peer)
    };
    let old: Vec<_> = (0..10).map(|_| comes(&mut world, true)).collect();
    (0..9).for_each(|_| _ = comes(&mut world, false));
    let here = |world: &World| {
        old.iter().filter(|(link, _)| world.nodes[node].engine.links.slot_of(*link).is_some()).count()
    };
    assert_eq!((here(&world), world.nodes[node].engine.links.len()), (10, 19));
    let outstayed = |world: &World| world.nodes[node].engine.outstayed().len();
    let later = |world: &mut World, hours: u64| {
        let now = crate::protocol::Now {
            mono: world.now(node).mono.plus(Duration::from_secs(hours * 3_600)),
            unix_ms: world.now(node).unix_ms + hours * 3_600_000,
        };
        world.nodes[node].engine.cx.now = now;
    };
    later(&mut world, 24);
    assert_eq!(outstayed(&world), 0);
    // A day and an hour later those that have not drawn again give up their places, but for one that finds another.
    later(&mut world, 25);
    let unix_s = world.nodes[node].engine.cx.now.unix_ms / 1_000;
    let again = old.iter().filter(|(_, peer)| config.keeps_place(&network, peer, &me, unix_s)).count();
    assert!(again < 9, "{again} have drawn again");
    assert_eq!(outstayed(&world), 10 - again - 1);
}
