//! What peers ask about the past is answered, for what the whole node has for it and no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::equivocation::two_words;
use super::world::{Side, World};
use crate::key::PublicKey;
use crate::protocol::keeping::{
    self, Arrival, Found, Group, Head, Keep, Opened, Show, StoreAnswer, StoreTrouble,
};
use crate::protocol::limits::{
    ANSWER_CPU_BURST, ANSWER_CPU_PER_S, FETCHES_QUEUED, HASH_COST, MAX_STORE_READS,
};
use crate::protocol::{Input, LANE_CREDIT};
use crate::rumor::{Bundle, BundleId, Position, RuleSet, Topic};
use crate::store::Store as _;
use crate::wire::{
    self, Answer, Ask, AskedRange, Bound, Fetch, FetchedRange, Frame, Lane, MAX_FETCH_BYTES, MAX_PAUSE_MS,
    MAX_RANGES_PER_ASK, Mark, Page, Tell, TopicChange,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn log() -> Topic {
    Topic::named("log").retention(HOUR)
}

/// A node that keeps a topic, two minutes after its start.
pub(super) fn world(seed: u64) -> (World, Arc<RuleSet>) {
    let mut world = World::new(seed);
    let rules = world.topic(&log());
    world.node();
    world.run(120_000);
    (world, rules)
}

/// The last moment that lies at least a minute back.
pub(super) fn moment(world: &World) -> u64 {
    (world.now_with(0).unix_ms - 60_000) / 16_000 * 16
}

/// A peer without anything asks for all.
pub(super) fn ask_all(rules: &RuleSet, session: u32, as_of: u64) -> Ask {
    let (lo, hi) = (Bound::start_of(0), Bound::start_of(as_of));
    Ask { topic: rules.id(), session, as_of, ranges: vec![AskedRange { lo, hi, count: 0, hash: [0; 32] }] }
}

fn fetch(rules: &RuleSet, session: u32, author: PublicKey, upto: Position) -> Fetch {
    let range = FetchedRange { author, from: Mark { tick: 0, slot: 0 }, upto };
    Fetch { topic: rules.id(), session, max_bytes: MAX_FETCH_BYTES, ranges: vec![range] }
}

pub(super) fn tells(world: &World, peer: usize) -> Vec<&Tell> {
    let frames = world.hostiles[peer].frames.iter();
    frames.filter_map(|frame| if let Frame::Tell(tell) = frame { Some(tell) } else { None }).collect()
}

fn pages(world: &World, peer: usize) -> Vec<&Page> {
    let frames = world.hostiles[peer].frames.iter();
    frames.filter_map(|frame| if let Frame::Page(page) = frame { Some(page) } else { None }).collect()
}

/// Lets the store of a node hold something, as if it had heard it long ago, and the engine know of it.
pub(super) fn holds(world: &mut World, rules: &RuleSet, bundles: &[Arc<Bundle>]) {
    let one =
        |bundle: &Arc<Bundle>| Keep { bundle: Arc::clone(bundle), arrival: Arrival::Live, show: Show::Now };
    let keeps: Vec<_> = bundles.iter().map(one).collect();
    let now_ms = world.now_with(0).unix_ms;
    world.nodes[0].store.keep(&Group { keeps: &keeps, record: None, now_ms }).unwrap();
    world.restart(0, true);
    world.run(1_000);
    assert!(world.nodes[0].engine.rules(&rules.id()).is_some());
}

/// A chain of one author at these ticks, a body of so many bytes each.
pub(super) fn chain(
    world: &World,
    rules: &RuleSet,
    author: u64,
    ticks: impl Iterator<Item = u64>,
    len: usize,
) -> Vec<Arc<Bundle>> {
    let author = world.liar(author);
    let mut all = Vec::<Arc<Bundle>>::new();
    for tick in ticks {
        let prev = all.last().map(|last| crate::rumor::Previous::of(last));
        let body = bytes::Bytes::from(vec![tick as u8; len]);
        let next = crate::rumor::seal_after(&author, rules.id(), prev, Position { tick, slot: 0 }, &[body]);
        all.push(Arc::new(next.unwrap()));
    }
    all
}

#[test]
fn who_lacks_something_is_told_of_it_and_fetches_it() {
    let (mut world, rules) = world(1);
    let old = moment(&world) - 200;
    let said = chain(&world, &rules, 1, old..old + 100, 3_000);
    holds(&mut world, &rules, &said);
    let peer = world.hostile(0);
    let as_of = moment(&world);
    world.says(peer, Lane::History, wire::ask(&ask_all(&rules, 7, as_of)));
    world.run(100);
    let last = said.last().unwrap();
    let head = wire::Head { tick: old + 99, slot: 0, author: last.header().author, id: last.id() };
    let listed = Answer::List { more: false, heads: vec![head] };
    let told = tells(&world, peer)[0].clone();
    assert_eq!((told.session, told.answers), (7, vec![listed]), "one head stands for a chain");
    // It is fetched whole, page by page: nothing is passed on as news, and each page says where it ends.
    let mut from = Mark { tick: 0, slot: 0 };
    for session in 0.. {
        let mut fetch = fetch(&rules, session, head.author, last.header().position());
        fetch.ranges[0].from = from;
        world.says(peer, Lane::History, wire::fetch(&fetch));
        world.run(200);
        let page = *pages(&world, peer).last().unwrap();
        assert_eq!((page.session, page.next.len()), (session, 1));
        assert!(page.next[0] > from, "it goes on");
        from = page.next[0];
        if from > (Mark { tick: old + 99, slot: 0 }) {
            break;
        }
    }
    let bundles = world.hostiles[peer].bundles();
    assert!(bundles.iter().all(|(hops, _)| *hops == 0));
    let ids: Vec<_> = bundles.iter().map(|(_, bundle)| bundle.id()).collect();
    assert_eq!(ids, said.iter().map(|bundle| bundle.id()).collect::<Vec<_>>());
    assert_eq!(world.hostiles[peer].closed, None);
    // Who has all is told so.
    let mut same = ask_all(&rules, 8, as_of);
    let item = crate::protocol::repair::heads::Item { tick: head.tick, id: head.id };
    same.ranges[0].count = 1;
    same.ranges[0].hash = crate::protocol::repair::heads::hash(&rules.id(), &[item]);
    world.says(peer, Lane::History, wire::ask(&same));
    world.run(100);
    assert_eq!(tells(&world, peer)[1].answers, [Answer::Same]);
}

#[test]
fn only_a_moment_near_now_is_told_as_of() {
    let (mut world, rules) = world(2);
    let peer = world.hostile(0);
    let good = moment(&world);
    for (session, as_of) in [good, good + 1, good - 80, good + 112, u64::MAX / 2].into_iter().enumerate() {
        world.says(peer, Lane::History, wire::ask(&ask_all(&rules, session as u32, as_of)));
        world.run(100);
        let told = tells(&world, peer)[session];
        let no = told.answers == [Answer::No { after_ms: MAX_PAUSE_MS }];
        assert_eq!(no, session > 0, "{as_of}: {told:?}");
    }
    assert_eq!(world.nodes[0].counters().history_refused, 4);
}

#[test]
fn a_topic_that_is_not_open_is_answered_with_no() {
    let mut world = World::new(3);
    let rules = world.topic(&log());
    world.node_with(|_| {});
    world.nodes[0].store_trouble = Some(StoreTrouble::NoRoom);
    world.restart(0, true);
    world.run(120_000);
    let peer = world.hostile(0);
    let as_of = moment(&world);
    world.says(peer, Lane::History, wire::ask(&ask_all(&rules, 1, as_of)));
    let fetch = fetch(&rules, 2, world.liar(1).public(), Position { tick: 9, slot: 0 });
    world.says(peer, Lane::History, wire::fetch(&fetch));
    world.run(100);
    assert_eq!(tells(&world, peer)[0].answers, [Answer::No { after_ms: MAX_PAUSE_MS }]);
    assert_eq!(pages(&world, peer)[0].next, [Mark { tick: 0, slot: 0 }], "nothing was begun");
}

#[test]
fn a_store_that_fails_begins_nothing() {
    let (mut world, rules) = world(4);
    let old = moment(&world) - 200;
    let said = chain(&world, &rules, 1, old..old + 3, 100);
    holds(&mut world, &rules, &said);
    let peer = world.hostile(0);
    world.nodes[0].store_trouble = Some(StoreTrouble::NoRoom);
    let fetch = fetch(&rules, 2, said[0].header().author, said[2].header().position());
    world.says(peer, Lane::History, wire::fetch(&fetch));
    world.run(100);
    assert_eq!(pages(&world, peer)[0].next, [fetch.ranges[0].from]);
    world.nodes[0].store_trouble = None;
    world.says(peer, Lane::History, wire::fetch(&fetch));
    world.run(100);
    assert_eq!(world.hostiles[peer].bundles().len(), 3);
}

#[test]
fn what_convicted_authors_said_is_not_told_and_their_proof_is() {
    let (mut world, rules) = world(5);
    let old = moment(&world) - 200;
    let said = chain(&world, &rules, 1, old..old + 3, 100);
    holds(&mut world, &rules, &said);
    let (peer, other) = (world.hostile(0), world.hostile(0));
    let author = said[0].header().author;
    let tick = world.tick(&rules);
    let [one, two] = two_words(&world, &world.liar(1), &rules);
    world.pushes(other, &[&one, &two]);
    world.run(1_000);
    assert!(world.nodes[0].convicted(&author));
    let as_of = moment(&world);
    world.says(peer, Lane::History, wire::ask(&ask_all(&rules, 1, as_of)));
    let fetch = fetch(&rules, 2, author, said[2].header().position());
    world.says(peer, Lane::History, wire::fetch(&fetch));
    world.run(1_000);
    assert_eq!(tells(&world, peer)[0].answers, [Answer::List { more: false, heads: Vec::new() }]);
    assert_eq!(pages(&world, peer)[0].next, [Mark { tick: old + 2, slot: 1 }], "there is no more of it");
    let bundles = world.hostiles[peer].bundles();
    assert!(bundles.iter().all(|(_, bundle)| bundle.header().tick >= tick));
    assert_eq!(world.nodes[0].counters().history_served, 0, "it is not even read");
    assert!(world.hostiles[peer].got_evidence(&author));
}

#[test]
fn what_was_taken_back_is_not_sent() {
    let (mut world, rules) = world(6);
    let old = moment(&world) - 200;
    let said = chain(&world, &rules, 1, old..old + 100, 3_000);
    holds(&mut world, &rules, &said);
    let (peer, other) = (world.hostile(0), world.hostile(0));
    world.nodes[0].store_takes = Duration::from_millis(50);
    for session in 1..=2 {
        let fetch = fetch(&rules, session, said[0].header().author, said[99].header().position());
        world.says(peer, Lane::History, wire::fetch(&fetch));
        world.says(other, Lane::History, wire::fetch(&Fetch { session: session + 10, ..fetch }));
    }
    world.run(30);
    world.says(peer, Lane::History, wire::stop(1));
    world.says(peer, Lane::History, wire::stop(3));
    world.run(1_000);
    let sessions = |peer| pages(&world, peer).iter().map(|page| page.session).collect::<Vec<_>>();
    assert_eq!((sessions(peer), sessions(other)), (vec![2], vec![11, 12]));
}

#[test]
fn a_rotten_record_is_taken_out_and_the_store_says_its_heads_again() {
    let (mut world, rules) = world(10);
    let old = moment(&world) - 200;
    let said = chain(&world, &rules, 1, old..old + 3, 100);
    holds(&mut world, &rules, &said);
    let peer = world.hostile(0);
    // The engine believes in heads that the store does not hold any more.
    let opened = Box::new(Opened { heads: many_heads(10, old), ..Opened::default() });
    world.handle(0, Input::Store(StoreAnswer::Opened { topic: rules.id(), opened: Ok(opened) }));
    world.nodes[0].store_takes = Duration::from_millis(500);
    let fetch = fetch(&rules, 1, said[0].header().author, said[2].header().position());
    world.says(peer, Lane::History, wire::fetch(&fetch));
    world.run(100);
    let rotten = vec![(said[1].header().author, said[1].header().position())];
    let page = keeping::Page { next: vec![(old + 2, 1)], floor: 0, rotten, ..keeping::Page::default() };
    let found = Ok(Found::Page(page));
    let look = world.nodes[0].engine.repair.looks_mut().page().expect("a page is read");
    world.handle(0, Input::Store(StoreAnswer::Looked { look, found }));
    world.run(3_000);
    assert_eq!(pages(&world, peer)[0].next, [Mark { tick: old + 2, slot: 1 }]);
    let as_of = moment(&world);
    world.says(peer, Lane::History, wire::ask(&ask_all(&rules, 2, as_of)));
    world.run(100);
    let [Answer::List { heads, .. }] = &tells(&world, peer)[0].answers[..] else { panic!("a list") };
    assert_eq!(heads.iter().map(|head| head.id).collect::<Vec<_>>(), [said[2].id()]);
}

#[test]
fn a_link_that_does_not_read_holds_a_page_or_two() {
    let (mut world, rules) = world(7);
    let old = moment(&world) - 500;
    let said = chain(&world, &rules, 1, old..old + 300, 3_000);
    holds(&mut world, &rules, &said);
    let (peer, other) = (world.hostile(0), world.hostile(0));
    let wire = world.hostiles[peer].wire;
    world.set_reading(wire, 0, false);
    for session in 0..20 {
        for who in [peer, other] {
            let fetch = fetch(&rules, session, said[0].header().author, said[299].header().position());
            world.says(who, Lane::History, wire::fetch(&fetch));
        }
        world.run(200);
    }
    let queued = world.nodes[0].engine.stats().links.iter().map(|link| link.queued_bytes).max().unwrap();
    let most = LANE_CREDIT + FETCHES_QUEUED * (MAX_FETCH_BYTES as usize + 64 * 1024);
    assert!(queued > MAX_FETCH_BYTES as usize / 2 && queued < most, "{queued} bytes");
    assert_eq!(pages(&world, other).len(), 20, "nobody else waits for it");
}

/// What a node knows of whether its peers keep a topic, by their keys.
fn keepers(world: &World, node: usize, rules: &RuleSet) -> Vec<PublicKey> {
    let links = world.nodes[node].engine.links.iter();
    links.filter(|link| link.keeps(&rules.id())).map(|link| link.peer()).collect()
}

#[test]
fn peers_know_who_keeps_a_topic() {
    let mut world = World::new(11);
    let rules = world.topic(&log());
    let (one, other) = (world.node(), world.node());
    let wire = world.wire(Side::Node(one), Side::Node(other));
    world.run(1_000);
    assert_eq!(keepers(&world, other, &rules), [], "nobody is asked before it has something");
    world.nodes[one].engine.set_keeps(rules.id(), true);
    world.handle(one, Input::Tick);
    world.run(1_000);
    let key = world.nodes[one].key;
    assert_eq!(keepers(&world, other, &rules), [key]);
    // A new link is told at once.
    world.cut(wire);
    world.run(1_000);
    assert_eq!(keepers(&world, other, &rules), []);
    world.wire(Side::Node(one), Side::Node(other));
    world.run(1_000);
    assert_eq!(keepers(&world, other, &rules), [key]);
    world.nodes[one].engine.set_keeps(rules.id(), false);
    world.handle(one, Input::Tick);
    world.run(1_000);
    assert_eq!(keepers(&world, other, &rules), []);
    // Who leaves a topic keeps nothing of it for others, and who joins it again says so anew.
    world.nodes[one].engine.set_keeps(rules.id(), true);
    world.handle(one, Input::Leave { topic: rules.id() });
    world.run(1_000);
    assert_eq!(keepers(&world, other, &rules), []);
    // Of a topic that a peer does not relay nothing is remembered.
    let peer = world.hostile(other);
    let keeps = (0..=255).map(|byte| ([byte; 32], true)).take(128).collect();
    world.says(peer, Lane::Control, wire::topics(&TopicChange { keeps, ..TopicChange::default() }));
    world.run(1_000);
    assert_eq!(world.hostiles[peer].closed, None);
    let links = world.nodes[other].engine.links.iter();
    assert_eq!(links.map(|link| link.keeps_in_all()).max(), Some(0));
}

/// Heads of so many authors, as a store would say them.
fn many_heads(count: u64, tick: u64) -> Vec<Head> {
    let head = |number: u64| {
        let hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
        let position = Position { tick: tick - number % 1_000, slot: 0 };
        Head { author: PublicKey::from_bytes(hash), position, id: BundleId::from_bytes(hash) }
    };
    (0..count).map(head).collect()
}

#[test]
fn asks_are_charged_before_they_are_hashed() {
    let (mut world, rules) = world(8);
    let as_of = moment(&world);
    let heads = many_heads(100_000, as_of - 10);
    let opened = Box::new(Opened { heads, ..Opened::default() });
    world.handle(0, Input::Store(StoreAnswer::Opened { topic: rules.id(), opened: Ok(opened) }));
    let liars: Vec<_> = (0..24).map(|_| world.hostile(0)).collect();
    let honest = world.hostile(0);
    // Each asks for 64 ranges again and again, with a count that is right, so that they are hashed twice: 100 000 items a question.
    let edge = |part: usize| Bound { tick: as_of - 1_010 + part as u64 * 16, prefix: [0; 8] };
    let ranges = (0..MAX_RANGES_PER_ASK).map(|part| AskedRange {
        lo: edge(part),
        hi: edge(part + 1),
        count: 1_600,
        hash: [1; 32],
    });
    let ask = Ask {
        ranges: ranges.filter(|range| range.hi <= Bound::start_of(as_of)).collect(),
        ..ask_all(&rules, 1, as_of)
    };
    let question = wire::ask(&ask);
    let before = world.hostiles.iter().map(|hostile| hostile.frames.len()).collect::<Vec<_>>();
    let seconds = 10;
    for step in 0..seconds * 10 {
        for liar in &liars {
            world.says(*liar, Lane::History, question.clone());
        }
        if step % 10 == 0 {
            world.says(honest, Lane::History, question.clone());
        }
        world.run(100);
    }
    // What was hashed, at least: the parts of each split once.
    let mut hashed = 0u64;
    for (peer, from) in before.iter().enumerate() {
        for frame in &world.hostiles[peer].frames[*from..] {
            let Frame::Tell(tell) = frame else { continue };
            for answer in &tell.answers {
                if let Answer::Split(parts) = answer {
                    hashed += parts.iter().map(|part| u64::from(part.count)).sum::<u64>();
                }
            }
        }
    }
    let spent = HASH_COST.as_nanos() as u64 * hashed;
    let budget = (ANSWER_CPU_PER_S * seconds + ANSWER_CPU_BURST).as_nanos() as u64;
    assert!(spent < budget, "{} ms of {} ms", spent / 1_000_000, budget / 1_000_000);
    assert!(hashed > 100_000, "some were answered: {hashed}");
    // Each link that asks is answered in turn, as far as there is time for it, and asks for the rest again.
    let ranges = |peer: usize| tells(&world, peer).iter().map(|tell| tell.answers.len()).sum::<usize>();
    let answered = ranges(honest);
    assert!(answered > 0, "a link that asks once a second is answered");
    let all: usize = liars.iter().map(|liar| ranges(*liar)).sum();
    assert!(all < liars.len() * seconds as usize * 10 * MAX_RANGES_PER_ASK / 4, "{all} ranges");
    assert!(world.hostiles.iter().all(|hostile| hostile.closed.is_none()));
}

#[test]
fn page_bytes_are_bounded_per_node() {
    let mut world = World::new(9);
    let rules = world.topic(&log());
    let rate = 1024 * 1024;
    world.node_with(|spec| spec.config.history.bytes_per_s = rate);
    world.run(120_000);
    let old = moment(&world) - 500;
    let said = chain(&world, &rules, 1, old..old + 300, 3_000);
    holds(&mut world, &rules, &said);
    world.run(2_000);
    let peers: Vec<_> = (0..24).map(|_| world.hostile(0)).collect();
    let before: u64 = peers.iter().map(|peer| world.hostiles[*peer].bytes_in).sum();
    let seconds = 10u64;
    for step in 0..seconds as u32 * 20 {
        for peer in &peers {
            for number in 0..3 {
                let fetch =
                    fetch(&rules, 3 * step + number, said[0].header().author, said[299].header().position());
                world.says(*peer, Lane::History, wire::fetch(&fetch));
            }
        }
        world.run(50);
    }
    let bytes = peers.iter().map(|peer| world.hostiles[*peer].bytes_in).sum::<u64>() - before;
    // What a bucket holds, the pages that overdraw it, and refusals of some fifty bytes.
    let refused = world.nodes[0].counters().history_refused * 100;
    let pages = (MAX_STORE_READS as u64 + 1) * u64::from(MAX_FETCH_BYTES);
    let most = rate * seconds + rate / 4 + pages + refused;
    assert!(bytes < most && bytes > rate * seconds / 2, "{bytes} bytes of {most}");
    // All have their part of it.
    let served: BTreeMap<_, _> =
        peers.iter().map(|peer| (*peer, world.hostiles[*peer].bundles().len())).collect();
    let (least, best) = (served.values().min().unwrap(), served.values().max().unwrap());
    assert!(
        *best - *least <= 2 * MAX_FETCH_BYTES as usize / 3_000,
        "two pages apart at the most: {served:?}"
    );
}
