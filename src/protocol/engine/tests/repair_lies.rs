//! Links that lie about the past: what each can delay, and that none can hide anything for long, or have an honest one blamed.

use std::sync::Arc;
use std::time::Duration;

use super::hostile::fake_id;
use super::repair::{HOUR, ago, alone, held, log, put};
use super::teller::{Lie, Teller, chain, head, said};
use super::world::World;
use crate::protocol::keeping::{Arrival, Cursor};
use crate::protocol::limits::{SESSION_ASKS, SESSION_BYTES};
use crate::rumor::{Bundle, Previous, RuleSet, Topic};
use crate::store::Store as _;
use crate::wire::{self, Head, Lane, Page, TopicChange};

/// How often others had to make up for a link.
fn strikes(world: &World, teller: &Teller) -> usize {
    let engine = &world.nodes[0].engine;
    let key = world.hostiles[teller.hostile].key;
    let slot = engine.links.of_peer(&key).next().unwrap().slot();
    engine.asker.brings(slot).map_or(0, |brings| brings.strikes(engine.cx.now.mono))
}

fn bytes(all: &[Arc<Bundle>]) -> usize {
    all.iter().map(|bundle| bundle.encoded().len()).sum()
}

fn sent(tellers: &[Teller]) -> usize {
    tellers.iter().map(|teller| teller.sent).sum()
}

#[test]
fn an_echo_hides_nothing_for_long() {
    let (mut world, rules) = alone(1);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 100), 100);
    let mut tellers: Vec<_> = (0..8).map(|_| world.teller(0, &rules, &[], Lie::Echo)).collect();
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    let topic = rules.id();
    let mut said_too_soon = false;
    let took = world.until_with(&mut tellers, 20_000, |world| {
        let healed = held(world, 0, &rules, &all) == 100;
        said_too_soon |= !healed && world.nodes[0].engine.caught_up(&topic) >= 9;
        healed
    });
    assert!(took < 5_000, "{took} ms");
    assert!(!said_too_soon, "nine links are more than eight liars");
    let mut until =
        world.until_with(&mut tellers, 200_000, |world| world.nodes[0].engine.caught_up(&topic) >= 9);
    until += took;
    assert!(until > 0 && tellers.iter().all(|teller| strikes(&world, teller) == 0));
}

#[test]
fn a_page_with_holes_is_noticed_at_once() {
    let (mut world, rules) = alone(2);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 900, 300), 500);
    let mut tellers = vec![world.teller(0, &rules, &all, Lie::Holes(3))];
    world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &all) >= 200);
    assert!(world.nodes[0].counters().holes_found > 0, "the chain shows it");
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    world.until_with(&mut tellers, 60_000, |world| held(world, 0, &rules, &all) == 300);
    assert!(sent(&tellers) * 10 <= bytes(&all) * 13, "{} bytes for {}", sent(&tellers), bytes(&all));
    assert!(strikes(&world, &tellers[0]) > 0, "it had to give what another gave");
    assert_eq!(strikes(&world, &tellers[1]), 0);
}

/// Heads of an author that nobody has ever said.
fn invented(
    rules: &RuleSet,
    author: &crate::key::SecretKey,
    ticks: impl Iterator<Item = u64>,
    salt: u64,
) -> Vec<Head> {
    let author = author.public();
    let head = |tick: u64| Head { tick, slot: 40, author, id: fake_id(tick * 1_000 + salt) };
    let heads: Vec<_> = ticks.map(head).collect();
    assert!(rules.admits(&author));
    heads
}

#[test]
fn invented_heads_occupy_only_their_teller() {
    let heals = |liars: u64| {
        let (mut world, rules) = alone(3);
        let victim = world.liar(1);
        let all = chain(&rules, &victim, ago(&world, &rules, 900, 300), 2_000);
        let first = world.tick(&rules) - 900;
        let invents = |number: u64| {
            Lie::Invents(invented(&rules, &victim, (0..64).map(|at| first + at * 4 + number % 4), number))
        };
        let lies: Vec<_> = (0..liars).map(invents).collect();
        let mut tellers: Vec<_> = lies.into_iter().map(|lie| world.teller(0, &rules, &[], lie)).collect();
        tellers.push(world.teller(0, &rules, &all, Lie::None));
        let honest = tellers.len() - 1;
        world.until_with(&mut tellers, 30_000, |world| {
            // From when the honest link is asked.
            let asked = world.hostiles[honest].frames.iter();
            asked.filter(|frame| matches!(frame, crate::wire::Frame::Ask(_))).count() > 0
        });
        let took = world.until_with(&mut tellers, 60_000, |world| held(world, 0, &rules, &all) == 300);
        let topic = rules.id();
        world.until_with(&mut tellers, 400_000, |world| world.nodes[0].engine.caught_up(&topic) > 0);
        assert_eq!(strikes(&world, &tellers[honest]), 0);
        took
    };
    let (alone, beset) = (heals(0), heals(30));
    assert!(beset * 2 <= alone * 3 + 200, "{beset} ms, where {alone} ms are enough without liars");
}

#[test]
fn repair_session_is_bounded() {
    for lie in [Lie::Splits, Lie::Endless] {
        let (mut world, rules) = alone(4);
        let all = chain(&rules, &world.liar(1), ago(&world, &rules, 900, 300), 100);
        put(&mut world, 0, &all);
        let mut tellers = [world.teller(0, &rules, &all, lie.clone())];
        world.run_with(&mut tellers, 29_000);
        let counters = world.nodes[0].counters();
        assert_eq!(counters.sessions, 1, "{lie:?}");
        assert!(tellers[0].asks.len() <= SESSION_ASKS as usize, "{lie:?}: {}", tellers[0].asks.len());
        assert!(tellers[0].told <= SESSION_BYTES + 70_000, "{lie:?}: {}", tellers[0].told);
        // And the next comes later and later.
        world.run_with(&mut tellers, 1_800_000);
        let sessions = world.nodes[0].counters().sessions;
        assert!((3..=8).contains(&sessions), "{lie:?}: {sessions} in half an hour");
    }
}

#[test]
fn a_trickle_is_left_and_what_it_brings_is_taken() {
    let (mut world, rules) = alone(5);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 30), 1_000);
    let mut tellers = vec![world.teller(0, &rules, &all, Lie::Trickle(1_900))];
    world.until_with(&mut tellers, 10_000, |world| world.nodes[0].counters().fetches > 0);
    // An honest link lists the same: it is asked as soon as the other has shown that it is slow.
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    let took = world.until_with(&mut tellers, 20_000, |world| held(world, 0, &rules, &all) == 30);
    assert!(took <= 5_500, "{took} ms");
    assert!(held(&world, 0, &rules, &all[..2]) == 2);
}

/// Its lane is not read for that, which is its own doing: it owes its answer all the same.
#[test]
fn who_asks_without_end_and_brings_nothing_is_left() {
    let (mut world, rules) = alone(5);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 30), 1_000);
    let mut tellers = vec![world.teller(0, &rules, &all, Lie::Stalls)];
    world.until_with(&mut tellers, 10_000, |world| world.nodes[0].counters().fetches > 0);
    let refused = super::asked::ask_all(&rules, 9, super::asked::moment(&world) + 1);
    for _ in 0..400 {
        world.says(tellers[0].hostile, Lane::History, crate::wire::ask(&refused));
    }
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    world.until_with(&mut tellers, 20_000, |world| held(world, 0, &rules, &all) == 30);
    assert!(world.nodes[0].counters().paused_for_refusals > 0);
}

#[test]
fn a_slow_line_completes() {
    let mut world = World::new(6);
    let rules = world.topic(&Topic::named("large").retention(HOUR).max_body(60_000));
    world.node();
    world.run(100);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 6), 50_000);
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    let wire = world.hostiles[tellers[0].hostile].wire;
    world.wires[wire].bandwidth = 12 * 1024;
    world.until_with(&mut tellers, 300_000, |world| held(world, 0, &rules, &all) == 6);
    assert!(sent(&tellers) * 10 <= bytes(&all) * 11, "{} bytes for {}", sent(&tellers), bytes(&all));
    assert_eq!(world.nodes[0].counters().offences, 0);
}

#[test]
fn a_forked_author_costs_only_itself() {
    let (mut world, rules) = alone(7);
    let forked = world.liar(1);
    let first = world.tick(&rules) - 900;
    let trunk = chain(&rules, &forked, (0..100).map(|at| (first + at, 0)), 50);
    let fork = |at: u64| {
        let prev = Previous::of(&trunk[(at * 7 % 100) as usize]);
        said(&rules, &forked, Some(prev), first + 110 + at / 4, (at % 4) as u16, 50)
    };
    let mut all: Vec<_> = (0..600).map(fork).collect();
    all.extend(trunk.iter().cloned());
    let other = chain(&rules, &world.liar(2), ago(&world, &rules, 800, 200), 100);
    let mut tellers = [world.teller(0, &rules, &[all.clone(), other.clone()].concat(), Lie::None)];
    let took = world.until_with(&mut tellers, 20_000, |world| held(world, 0, &rules, &other) == 200);
    assert!(took < 5_000, "{took} ms");
    let progress = world.nodes[0].engine.repairing(&rules.id()).unwrap();
    assert!(progress.holes <= 8 && progress.claims <= 64, "{progress:?}");
    world.until_with(&mut tellers, 400_000, |world| held(world, 0, &rules, &all) == 700);
}

#[test]
fn interleaved_forks_are_asked_for_together() {
    let (mut world, rules) = alone(8);
    let forked = world.liar(1);
    let first = world.tick(&rules) - 900;
    // Two chains side by side, of one of which we hold all.
    let one = chain(&rules, &forked, (0..200).map(|at| (first + at, 0)), 50);
    let other = chain(&rules, &forked, (0..200).map(|at| (first + at, 9)), 50);
    put(&mut world, 0, &one);
    let mut tellers = [world.teller(0, &rules, &[one, other.clone()].concat(), Lie::None)];
    world.until_with(&mut tellers, 60_000, |world| held(world, 0, &rules, &other) == 200);
    assert!(tellers[0].fetches.len() < 40, "{}", tellers[0].fetches.len());
    // What is asked for together has as much of the one chain as of the other.
    assert!(tellers[0].sent < 3 * bytes(&other), "{} bytes", tellers[0].sent);
}

#[test]
fn a_fork_in_the_past_brings_no_past_again() {
    let (mut world, rules) = alone(20);
    let forked = world.liar(1);
    let first = world.tick(&rules) - 900;
    // We hold 200 bundles, of which the last is a head, and lack one beside the 150th.
    let one = chain(&rules, &forked, (0..200).map(|at| (first + at, 0)), 500);
    put(&mut world, 0, &one);
    let prev = Previous::of(&one[149]);
    let fork = vec![said(&rules, &forked, Some(prev), first + 149, 9, 500)];
    let mut tellers = [world.teller(0, &rules, &[one, fork.clone()].concat(), Lie::None)];
    world.until_with(&mut tellers, 60_000, |world| held(world, 0, &rules, &fork) == 1);
    assert_eq!(tellers[0].sent, bytes(&fork));
}

#[test]
fn floors_that_lie_gain_nothing() {
    let (mut world, rules) = alone(9);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 900, 300), 100);
    let tick = world.tick(&rules);
    let mut tellers: Vec<_> = (0..4).map(|_| world.teller(0, &rules, &[], Lie::Echo)).collect();
    tellers[0].floor = tick - 100;
    tellers[1].floor = tick - 80;
    tellers[2].floor = tick;
    tellers[3].floor = u64::MAX;
    world.run_with(&mut tellers, 5_000);
    let topic = rules.id();
    assert_eq!(world.nodes[0].engine.caught_up(&topic), 1, "a floor that leaves nothing says nothing");
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    world.until_with(&mut tellers, 5_000, |world| held(world, 0, &rules, &all) == 300);
    assert!(tellers[..4].iter().all(|teller| teller.fetches.is_empty()));
}

#[test]
fn holes_that_no_link_keeps_leave_room_for_others() {
    let (mut world, rules) = alone(21);
    let author = world.liar(1);
    let tick = world.tick(&rules);
    // A link that keeps nothing from before a tick, and has told so.
    let lost: Vec<_> = (0..9).map(|at| said(&rules, &author, None, tick - 600 + at, 0, 50)).collect();
    let mut tellers = [world.teller(0, &rules, &lost, Lie::Echo)];
    tellers[0].floor = lost[8].header().tick;
    world.run_with(&mut tellers, 3_000);
    // Eight holes of an author are below the floor, and the ninth is not.
    let speaker = world.hostile(0);
    for (slot, lost) in (0..).zip(&lost) {
        let tick = world.tick(&rules);
        world.pushes(speaker, &[&said(&rules, &author, Some(Previous::of(lost)), tick, slot, 50)]);
        world.run_with(&mut tellers, 100);
    }
    world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &lost) == 1);
    assert_eq!((tellers[0].fetches.len(), world.nodes[0].counters().holes_rested), (1, 8));
    assert_eq!(strikes(&world, &tellers[0]), 0);
}

/// Two links say in turn that they keep the topic, and that they do not.
#[test]
fn who_says_without_end_that_it_keeps_a_topic_gains_nothing() {
    let (mut world, rules) = alone(23);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 400, 2), 50);
    put(&mut world, 0, &all[1..]);
    let mut tellers = [1, 2].map(|_| world.teller(0, &rules, &all[1..], Lie::None));
    for round in 0..600 {
        for (at, teller) in tellers.iter().enumerate() {
            let keeps = vec![(*rules.id().as_bytes(), round % 2 == at)];
            let change = TopicChange { keeps, ..Default::default() };
            world.says(teller.hostile, Lane::Control, wire::topics(&change));
        }
        world.run_with(&mut tellers, 200);
    }
    // Each is asked as any link is, what nobody can fill rests, and the first round comes to its end.
    let asks: Vec<_> = tellers.iter().map(|teller| (teller.asks.len(), teller.fetches.len())).collect();
    assert!(asks.iter().all(|(asks, fetches)| *asks <= 6 && *fetches <= 3), "{asks:?} in two minutes");
    assert!(world.nodes[0].counters().holes_rested > 0);
    assert!(world.nodes[0].engine.repairing(&rules.id()).unwrap().asked_all);
}

#[test]
fn a_hole_waits_where_no_link_keeps_the_topic() {
    let (mut world, rules) = alone(22);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 400, 2), 50);
    put(&mut world, 0, &all[1..]);
    world.run(60_000);
    let progress = world.nodes[0].engine.repairing(&rules.id()).unwrap();
    assert_eq!((progress.holes, world.nodes[0].counters().holes_rested), (1, 0));
}

#[test]
fn list_then_gone_is_no_strike() {
    let (mut world, rules) = alone(10);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 900, 300), 100);
    let tick = world.tick(&rules);
    // Two links list the same. Between the list of the first and our fetch its floor rises over all of it.
    let mut tellers = [Lie::Forgets(tick - 500), Lie::None].map(|lie| world.teller(0, &rules, &all, lie));
    world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &all) == 300);
    assert_eq!(tellers[0].fetches.len(), 1, "it was asked, and had nothing any more");
    assert_eq!(strikes(&world, &tellers[0]), 0);
}

#[test]
fn a_link_is_not_asked_again_for_what_lies_below_its_floor() {
    let (mut world, rules) = alone(18);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 900, 300), 100);
    let tick = world.tick(&rules);
    let mut tellers = [world.teller(0, &rules, &all, Lie::Forgets(tick - 500))];
    world.until_with(&mut tellers, 200_000, |world| world.nodes[0].counters().sessions == 2);
    world.run_with(&mut tellers, 5_000);
    assert_eq!((tellers[0].asks.len(), tellers[0].fetches.len()), (2, 1));
    assert!(tellers[0].asks[1].ranges[0].lo.tick >= tick - 500);
}

#[test]
fn no_announcement_shuts_a_hole() {
    let (mut world, rules) = alone(11);
    let author = world.liar(1);
    let tick = world.tick(&rules);
    let all = chain(&rules, &author, [(tick - 2, 0), (tick - 1, 0)], 50);
    let mut tellers = [world.teller(0, &rules, &all, Lie::Echo)];
    let liar = world.hostile(0);
    world.run_with(&mut tellers, 2_000);
    world.announces(liar, &rules, &[all[0].id()]);
    let speaker = world.hostile(0);
    world.pushes(speaker, &[&all[1]]);
    let mut at = 0;
    while held(&world, 0, &rules, &all) < 2 {
        assert!(at < 16_000, "announced and not served, it is never asked for");
        if at % 5_000 == 0 {
            world.announces(liar, &rules, &[all[0].id()]);
        }
        world.run_with(&mut tellers, 100);
        at += 100;
    }
    assert!(at >= 5_000 && !tellers[0].fetches.is_empty(), "{at} ms");
}

#[test]
fn a_written_past_is_paced_and_shown_as_such() {
    let mut world = World::new(12);
    let rules = world.topic(&Topic::named("quota").retention(HOUR).slots_per_tick(16).max_body(1_000));
    world.node();
    world.run(100);
    let author = world.liar(1);
    let first = world.tick(&rules) - 900;
    let known = chain(&rules, &author, (0..10).map(|at| (first + 500 + at, 0)), 50);
    put(&mut world, 0, &known);
    // 1 200 bundles at positions that lie before what we hold of it; its quota is 16 kB a second.
    let past = chain(&rules, &author, (0..1_200).map(|at| (first + at / 8, (at % 8) as u16)), 1_000);
    let other = chain(&rules, &world.liar(2), ago(&world, &rules, 800, 300), 1_000);
    let all = [known, past.clone(), other.clone()].concat();
    let mut tellers = [world.teller(0, &rules, &all, Lie::None)];
    let took = world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &other) == 300);
    assert!(took < 4_000, "{took} ms: others' gaps come first");
    world.run_with(&mut tellers, 20_000);
    let now = held(&world, 0, &rules, &past);
    // What one page may have beyond the quota of half a minute.
    assert!((100..800).contains(&now), "{now} of 1 200 in {took} ms and 20 s");
    world.until_with(&mut tellers, 120_000, |world| held(world, 0, &rules, &past) == 1_200);
    let scan = world.nodes[0].store.reader().scan(&rules.id(), Cursor::START, usize::MAX).unwrap();
    for item in scan.items {
        let late = matches!(item.arrival, Arrival::Late { below: true });
        let is_past = past.iter().any(|bundle| bundle.id() == item.bundle.id());
        assert_eq!(late, is_past, "{:?}", item.bundle.header().position());
    }
}

#[test]
fn pages_that_begin_nowhere_are_failed_fetches() {
    let (mut world, rules) = alone(13);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 30), 100);
    let mut tellers = vec![world.teller(0, &rules, &all, Lie::Stalls)];
    for _ in 0..400 {
        world.run_with(&mut tellers, 50);
        // It says of each fetch that it has not begun.
        for fetch in std::mem::take(&mut tellers[0].fetches) {
            let next = fetch.ranges.iter().map(|range| range.from).collect();
            let page = Page { topic: fetch.topic, session: fetch.session, floor: 0, next };
            world.says(tellers[0].hostile, Lane::History, crate::wire::page(&page));
        }
    }
    let counters = world.nodes[0].counters();
    assert!(counters.fetches <= 3, "{} fetches", counters.fetches);
    assert_eq!(counters.claims_forgotten, counters.claims);
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    world.until_with(&mut tellers, 10_000, |world| held(world, 0, &rules, &all) == 30);
}

#[test]
fn who_stalls_delays_what_others_have_by_its_patience() {
    let (mut world, rules) = alone(14);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 30), 100);
    let mut tellers: Vec<_> = (0..4).map(|_| world.teller(0, &rules, &all, Lie::Stalls)).collect();
    tellers.push(world.teller(0, &rules, &all, Lie::None));
    let took = world.until_with(&mut tellers, 30_000, |world| held(world, 0, &rules, &all) == 30);
    assert!(took < 13_000, "{took} ms");
    assert_eq!(strikes(&world, &tellers[4]), 0);
}

#[test]
fn a_link_that_never_brings_what_it_lists_is_given_up() {
    let (mut world, rules) = alone(19);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 30), 100);
    let mut tellers = [world.teller(0, &rules, &all, Lie::Stalls)];
    let waits = |world: &World| world.nodes[0].engine.repairing(&rules.id()).unwrap();
    world.run_with(&mut tellers, 30_000);
    assert_eq!(
        (waits(&world).claims, waits(&world).fetching),
        (1, 0),
        "nobody else has it, and it holds no place"
    );
    world.run_with(&mut tellers, 40_000);
    assert_eq!((waits(&world).claims, world.nodes[0].counters().claims_forgotten), (0, 1));
}

#[test]
fn open_differences_are_backed_off() {
    let (mut world, rules) = alone(15);
    let victim = world.liar(1);
    let first = world.tick(&rules) - 900;
    let lie = Lie::Invents(invented(&rules, &victim, first..first + 10, 1));
    let mut tellers = [world.teller(0, &rules, &[], lie)];
    world.run_with(&mut tellers, 3_600_000 / 2);
    let sessions = tellers[0].asks.len();
    assert!((4..=8).contains(&sessions), "{sessions} in half an hour");
}

#[test]
fn history_yields_to_the_living() {
    let mut world = World::new(16);
    let rules = world.topic(&log());
    world.verify_takes = Duration::from_millis(20);
    world.node();
    world.run(100);
    let past = chain(
        &rules,
        &world.liar(1),
        (0..1_500).map(|at| (world.tick(&rules) - 900 + at / 20, (at % 20) as u16)),
        20,
    );
    let mut tellers = [world.teller(0, &rules, &past, Lie::None)];
    let speaker = world.hostile(0);
    let author = world.liar(2);
    // The link of the living is trusted, and the past comes in.
    for slot in 0..20 {
        let said = world.says_at(&author, &rules, slot, "early");
        world.pushes(speaker, &[&said]);
        world.run_with(&mut tellers, 50);
    }
    world.until_with(&mut tellers, 20_000, |world| world.nodes[0].engine.late_verifying.total() > 100);
    let mut slowest = 0;
    for slot in 20..40 {
        let body = format!("live {slot}");
        let said = world.says_at(&author, &rules, slot, &body);
        world.pushes(speaker, &[&said]);
        let took = world.until(2_000, |world| world.nodes[0].has_heard(&body));
        slowest = slowest.max(took.as_millis());
        tellers.iter_mut().for_each(|teller| teller.speaks(&mut world));
    }
    assert!(slowest <= 70, "{slowest} ms: one batch that is under way, and its own");
    world.until_with(&mut tellers, 60_000, |world| held(world, 0, &rules, &past) == 1_500);
    assert_eq!(head(&past[0]).slot, 0);
}

#[test]
fn slow_links_hold_no_place() {
    let (mut world, rules) = alone(17);
    let all = chain(&rules, &world.liar(1), ago(&world, &rules, 600, 30), 100);
    // Eight links answer after almost five seconds, and come first.
    world.latency = (Duration::from_millis(2_450), Duration::from_millis(2_450));
    let mut tellers: Vec<_> = (0..8).map(|_| world.teller(0, &rules, &[], Lie::Echo)).collect();
    world.latency = (Duration::from_millis(10), Duration::from_millis(10));
    world.run_with(&mut tellers, 2_500);
    tellers.extend((0..16).map(|_| world.teller(0, &rules, &all, Lie::None)));
    let took = {
        let begin = world.millis();
        while tellers[8..].iter().any(|teller| teller.asks.is_empty()) {
            assert!(world.millis() - begin < 15_000, "an honest link is not asked within 15 s");
            world.run_with(&mut tellers, 50);
        }
        world.millis() - begin
    };
    assert!(took < 15_000, "{took} ms");
}
