//! What peers ask waits in turns, and is answered within the budget.

use std::time::Duration;

use crate::protocol::limits::{
    ANSWER_CPU_BURST, ANSWER_CPU_PER_S, ASK_PATIENCE, FETCHES_QUEUED, FIRST_SERVED_PER_S, HASH_COST,
    LEAST_SERVED_PER_S, MAX_LOOKS, MAX_STORE_READS,
};
use crate::protocol::linkset::Slot;
use crate::protocol::repair::{Cost, Looks, Purpose, Reading, Server, Work};
use crate::protocol::time::Mono;
use crate::rumor::{Position, TopicId};
use crate::wire::{Ask, AskedRange, Bound, Fetch, FetchedRange, Mark};

fn at(millis: u64) -> Mono {
    Mono::from_nanos(100_000_000_000 + millis * 1_000_000)
}

fn ask(session: u32) -> Ask {
    let range = AskedRange { lo: Bound::start_of(0), hi: Bound::start_of(9), count: 1, hash: [1; 32] };
    Ask { topic: TopicId::from_bytes([1; 32]), session, as_of: 9, ranges: vec![range] }
}

fn fetch(session: u32) -> Fetch {
    let (from, upto) = (Mark { tick: 3, slot: 0 }, Position { tick: 5, slot: 1 });
    let range = FetchedRange { author: super::key(1), from, upto };
    Fetch { topic: TopicId::from_bytes([1; 32]), session, max_bytes: 1_000, ranges: vec![range] }
}

fn check(server: &Server) {
    let mut recount = crate::protocol::check::Recount::default();
    server.check(&mut recount);
    assert_eq!(recount.complaints(), Vec::<String>::new());
}

/// The sessions of what is done next, with the links.
fn all(server: &mut Server, now: Mono) -> Vec<(u8, u32)> {
    let work = std::iter::from_fn(|| server.next(now, |_| true));
    let work = work.map(|work| match work {
        Work::Ask(slot, ask) => (slot.0, ask.session),
        Work::Fetch(slot, fetch) => (slot.0, fetch.session),
    });
    work.collect()
}

#[test]
fn links_take_turns_and_each_has_few_in_hand() {
    let mut server = Server::default();
    for link in 0..3 {
        assert!(server.asks(Slot(link), ask(10), at(0)).is_none());
        assert_eq!(server.asks(Slot(link), ask(11), at(0)), Some(ask(11)), "one in hand");
        for number in 0..FETCHES_QUEUED as u32 {
            assert!(server.fetches(Slot(link), fetch(20 + number)).is_none());
        }
        assert_eq!(server.fetches(Slot(link), fetch(29)), Some(fetch(29)), "so many in hand");
    }
    check(&server);
    server.stops(Slot(1), 10);
    server.stops(Slot(1), 21);
    server.leaves(Slot(2));
    check(&server);
    assert_eq!(all(&mut server, at(0)), [(0, 10), (1, 20), (0, 20), (0, 21)]);
    assert!(server.wakes(at(0)).is_none());
    check(&server);
}

#[test]
fn the_store_reads_so_many_pages_and_those_of_links_that_read() {
    let mut server = Server::default();
    for link in 0..MAX_STORE_READS as u8 + 2 {
        server.fetches(Slot(link), fetch(1));
        server.fetches(Slot(link), fetch(2));
    }
    let mut reading = Vec::new();
    while let Some(Work::Fetch(slot, fetch)) = server.next(at(0), |slot| slot.0 != 0) {
        server.reads(slot, fetch.session);
        reading.push((slot, fetch.session));
        check(&server);
    }
    assert_eq!(reading.len(), MAX_STORE_READS);
    assert!(reading.iter().all(|(slot, session)| slot.0 > 0 && *session == 1), "in turn: {reading:?}");
    // What is read counts as in hand, until it was read.
    assert!(server.fetches(Slot(1), fetch(3)).is_some());
    assert!(server.was_read(Slot(1), 1, true));
    assert!(server.fetches(Slot(1), fetch(3)).is_none());
    // What was taken back, or asked by a link that is gone, is not sent.
    server.stops(Slot(2), 1);
    assert!(!server.was_read(Slot(2), 1, true));
    server.leaves(Slot(3));
    assert!(!server.was_read(Slot(3), 1, false));
    check(&server);
    let next = std::iter::from_fn(|| server.next(at(0), |slot| slot.0 != 0)).next();
    assert!(matches!(next, Some(Work::Fetch(..))), "there is room for more reads");
}

#[test]
fn what_is_computed_is_paid_for_in_time() {
    let mut server = Server::default();
    let items = ANSWER_CPU_PER_S.as_nanos() as usize / HASH_COST.as_nanos() as usize;
    server.asks(Slot(1), ask(1), at(0));
    assert!(server.next(at(0), |_| true).is_some());
    server.computes(at(0), Cost { items, ..Cost::default() });
    assert!(!server.may_compute(at(0)));
    // Not before what was spent has come back, but for what was there.
    let until =
        Duration::from_secs(1).mul_f64(1.0 - ANSWER_CPU_BURST.as_secs_f64() / ANSWER_CPU_PER_S.as_secs_f64());
    let until = until.as_millis() as u64;
    server.asks(Slot(1), ask(2), at(0));
    server.fetches(Slot(2), fetch(3));
    assert_eq!(all(&mut server, at(until - 2)), []);
    let wakes = server.wakes(at(until - 2)).unwrap();
    assert!(wakes.since(at(until)) < Duration::from_millis(2), "{wakes:?}");
    assert_eq!(server.wakes(at(until - 2)), None, "once");
    assert_eq!(all(&mut server, at(until + 2)), [(1, 2), (2, 3)]);
    // Who waits for too long is told, when that is.
    server.computes(at(until + 2), Cost { items: 10 * items, ..Cost::default() });
    server.asks(Slot(1), ask(4), at(1_000));
    let due = at(1_000).plus(ASK_PATIENCE);
    assert_eq!(server.wakes(at(1_000)), Some(due));
    assert_eq!(server.overdue(at(1_000 + ASK_PATIENCE.as_millis() as u64 - 1)), []);
    assert_eq!(server.overdue(due), [(Slot(1), ask(4))]);
    check(&server);
}

#[test]
fn the_living_halve_what_is_served_and_it_grows_by_a_tenth() {
    let mut server = Server::default();
    assert_eq!(server.rate(), FIRST_SERVED_PER_S);
    let most = 2 * FIRST_SERVED_PER_S;
    for second in 1..=20 {
        server.adapts(at(second * 1_000), false, most);
    }
    assert_eq!(server.rate(), most);
    server.adapts(at(21_000), true, most);
    assert_eq!(server.rate(), most / 2);
    for second in 22..60 {
        server.adapts(at(second * 1_000), true, most);
    }
    assert_eq!(server.rate(), LEAST_SERVED_PER_S);
    server.adapts(at(60_000), false, most);
    assert_eq!(server.rate(), LEAST_SERVED_PER_S + LEAST_SERVED_PER_S / 10);
    // Bytes that were charged and not sent are there again.
    server.sends(at(60_000), 10 * LEAST_SERVED_PER_S);
    server.fetches(Slot(1), fetch(1));
    assert_eq!(all(&mut server, at(60_000)), []);
    server.sends_less(10 * LEAST_SERVED_PER_S);
    assert_eq!(all(&mut server, at(60_000)), [(1, 1)]);
}

#[test]
fn questions_to_the_store_are_few_and_each_is_answered_once() {
    let mut looks = Looks::default();
    let reading = |session| Reading {
        link: crate::protocol::LinkId(1),
        slot: Slot(1),
        topic: TopicId::from_bytes([1; 32]),
        session,
        charged: 0,
        parts: Vec::new(),
    };
    let asked: Vec<_> =
        (0..MAX_LOOKS as u32 + 9).map(|session| looks.ask(Purpose::Page(reading(session)))).collect();
    assert_eq!(asked.iter().flatten().count(), MAX_LOOKS);
    let seventh = asked[7].unwrap();
    assert!(matches!(looks.answered(seventh), Some(Purpose::Page(reading)) if reading.session == 7));
    assert!(looks.answered(seventh).is_none(), "an answer that comes twice is for nobody");
    assert!(looks.ask(Purpose::Page(reading(1))).is_some_and(|look| look != seventh));
    assert_eq!((looks.lost().len(), looks.len()), (MAX_LOOKS, 0));
}
