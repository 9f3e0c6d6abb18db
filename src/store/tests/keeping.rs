//! What one store does, whichever it is.

use std::collections::BTreeSet;

use super::*;
use crate::protocol::keeping::{
    Cursor, Forget, Found, Frontier, Held, Hole, LaterThan, MOST_REMOVED, Prev, Query, Range, Size,
};
use crate::rumor::{Evidence, Previous};
use crate::store::{MemoryStore, StoreError};

fn store(rules: &RuleSet) -> MemoryStore {
    let mut store = MemoryStore::new(5);
    store.start(&key(0)).unwrap();
    store.open(rules, &ROOM).unwrap();
    store
}

/// Forgets until there is no more to forget.
fn forget(store: &mut dyn Store, rules: &RuleSet, what: Forget) {
    while store.forget(&rules.id(), what).unwrap() {}
}

#[test]
fn an_overlap_wherever_it_starts_is_a_conflict_and_nothing_is_written() {
    let rules = rules("overlaps");
    let mut store = store(&rules);
    let first = bundle(&rules, 1, at(10, 4), None, &["a", "b", "c"]);
    assert!(is_new(&keep(&mut store, std::slice::from_ref(&first))[0]));
    let before = store.check().unwrap();
    for (slot, count) in [(4, 1), (4, 3), (3, 2), (6, 1), (6, 5), (0, 9), (5, 1), (4, 4)] {
        let bodies: Vec<_> = (0..count).map(|_| "z").collect();
        let other = bundle(&rules, 1, at(10, slot), None, &bodies);
        let kept = keep(&mut store, &[other]);
        assert_eq!(kept, [Kept::Conflict(Box::new(*first.signed_header()))], "{count} from slot {slot} on");
        assert_eq!(store.check().unwrap(), before);
    }
    // What lies beside it, in another tick or of another author is none.
    for beside in [
        bundle(&rules, 1, at(10, 7), None, &["d"]),
        bundle(&rules, 1, at(10, 0), None, &["e", "f", "g", "h"]),
        bundle(&rules, 1, at(11, 4), None, &["i"]),
        bundle(&rules, 2, at(10, 4), None, &["j"]),
    ] {
        assert!(is_new(&keep(&mut store, &[beside])[0]));
    }
    assert_eq!(keep(&mut store, &[first]), [Kept::Have]);
}

#[test]
fn bundles_of_a_group_see_each_other_in_order() {
    let rules = rules("groups");
    let mut store = store(&rules);
    let chain = chain(&rules, 1, 10..13);
    let twin = bundle(&rules, 1, at(11, 3), None, &["a twin"]);
    let group = [&chain[2], &chain[0], &chain[1], &chain[1], &twin].map(Arc::clone);
    let kept = keep(&mut store, &group);
    assert_eq!(
        kept,
        [
            Kept::New { sequence: Some(1), named: false, prev: Prev::Missing, forks: false, killed: vec![] },
            Kept::New { sequence: Some(2), named: false, prev: Prev::None, forks: false, killed: vec![] },
            Kept::New { sequence: Some(3), named: true, prev: Prev::Held, forks: false, killed: vec![] },
            Kept::Have,
            Kept::Conflict(Box::new(*chain[1].signed_header())),
        ]
    );
    assert_eq!(store.check().unwrap().count, 0);
}

/// 256 authors, whose bundles come late in 3 of 10 cases, fork, and name what nobody has sealed: after each step heads and holes are
/// what a recount gives, and in the end the holes are what was never sealed, and nothing else.
#[test]
fn the_book_is_exact() {
    for seed in 0..4 {
        let mut dice = Dice::new(seed);
        let rules = rules("the book");
        let mut store = store(&rules);
        let (mut order, mut never) = (Vec::new(), BTreeSet::new());
        for author in 0..256 {
            let mut own = Vec::<Arc<Bundle>>::new();
            for tick in 100..116u64 {
                let prev = match dice.below(8) {
                    // What nobody sealed, beside or in the place of what is sealed; a true id at a false slot; a fork.
                    0 if dice.percent(50) => invented(&mut dice, at(tick - 1, 60)),
                    0 => invented(&mut dice, at(tick - 1, 5)),
                    1 => own
                        .last()
                        .map(|last| Previous { position: at(last.header().tick, 1), ..Previous::of(last) }),
                    2 if own.len() > 2 => previous(&own[own.len() - 3]),
                    _ => own.last().and_then(|last| previous(last)),
                };
                if let Some(prev) = prev.filter(|prev| !own.iter().any(|own| previous(own) == Some(*prev))) {
                    never.insert((author, prev.position, prev.id));
                }
                let next = bundle(&rules, author, at(tick, 5), prev, &["a word"]);
                let late = if dice.percent(30) { 200 } else { 0 };
                order.push((tick + late * (1 + dice.below(3) as u64), dice.next(), Arc::clone(&next)));
                own.push(next);
            }
        }
        order.sort_by_key(|(when, chance, _)| (*when, *chance));
        for group in order.chunks(700) {
            let bundles: Vec<_> = group.iter().map(|(.., bundle)| Arc::clone(bundle)).collect();
            assert!(keep(&mut store, &bundles).iter().all(is_new));
            let report = store.check().unwrap();
            assert_eq!(report.count, 0, "seed {seed}: {report}");
        }
        let (reader, mut after) = (store.reader(), None::<Hole>);
        let mut found = BTreeSet::new();
        loop {
            let holes = reader.unmet(&rules.id(), after.as_ref(), 100).unwrap();
            let Some(last) = holes.last() else { break };
            after = Some(*last);
            for hole in holes {
                let author = u16::from_le_bytes([hole.author.as_bytes()[0], hole.author.as_bytes()[1]]);
                assert!(found.insert((author, hole.position, hole.id)), "told twice");
            }
        }
        assert!(never.len() > 500);
        assert_eq!(found, never, "seed {seed}");
        // And half of it forgotten, in the middle of chains.
        forget(&mut store, &rules, Forget::Below(108));
        let report = store.check().unwrap();
        assert_eq!(report.count, 0, "seed {seed}: {report}");
        assert_eq!(report.topics[0].floor, 108);
    }
}

#[test]
fn what_is_gone_stays_gone() {
    let rules = rules("floors");
    let mut store = store(&rules);
    let chain = chain(&rules, 1, 10..20);
    keep(&mut store, &chain);
    // Nothing stands in 20 to 50: the floor rises no higher than what was removed.
    forget(&mut store, &rules, Forget::Below(15));
    assert_eq!(store.check().unwrap().topics[0].floor, 15);
    assert_eq!(keep(&mut store, &chain[..5]), vec![Kept::Below; 5]);
    forget(&mut store, &rules, Forget::Below(50));
    assert_eq!(store.check().unwrap().topics[0].floor, 20);
    // A root is what names something below the floor.
    let next = bundle(&rules, 1, at(20, 0), previous(&chain[9]), &["on"]);
    assert_eq!(
        keep(&mut store, &[next]),
        [Kept::New { sequence: Some(11), named: false, prev: Prev::Below, forks: false, killed: vec![] }]
    );
    forget(&mut store, &rules, Forget::Topic);
    let mut store = store.reopened(6);
    let opened = store.open(&rules, &ROOM).unwrap();
    assert_eq!((opened.floor, opened.size), (21, Size::default()));
    assert_eq!(keep(&mut store, &chain), vec![Kept::Below; 10]);
    assert_eq!(store.check().unwrap().count, 0);
}

#[test]
fn a_floor_of_a_wrong_clock_goes_back_to_what_is_held() {
    let rules = rules("a wrong clock");
    let mut store = store(&rules);
    let chain = chain(&rules, 1, 10..20);
    let odd = bundle(&rules, 2, at(9000, 0), None, &["from 2038"]);
    keep(&mut store, &chain[5..]);
    keep(&mut store, &[odd]);
    forget(&mut store, &rules, Forget::Topic);
    keep(&mut store, &[bundle(&rules, 2, at(9500, 0), invented(&mut Dice::new(1), at(200, 0)), &["later"])]);
    let opened = store.open(&rules, &Keeping { latest: 100, ..ROOM }).unwrap();
    assert_eq!((opened.floor, opened.floor_was), (100, Some(9001)));
    assert_eq!(store.check().unwrap().count, 0);
    let opened = store.open(&rules, &Keeping { latest: 100, ..ROOM }).unwrap();
    assert_eq!((opened.floor, opened.floor_was), (100, None));
}

#[test]
fn one_call_removes_a_step_and_the_rest_in_others() {
    let rules = rules("expiry");
    let mut store = store(&rules);
    let step = u16::try_from(MOST_REMOVED).unwrap();
    let authors: Vec<_> = (0..step * 5 / 2)
        .map(|author| {
            bundle(&rules, author, at(10, 0), invented(&mut Dice::new(author.into()), at(5, 0)), &["x"])
        })
        .collect();
    keep(&mut store, &authors);
    let mut calls = 1;
    while store.forget(&rules.id(), Forget::Below(11)).unwrap() {
        let report = store.check().unwrap();
        assert_eq!(
            (report.count, report.topics[0].size.bundles),
            (0, (authors.len() - calls * MOST_REMOVED) as u64)
        );
        calls += 1;
    }
    assert_eq!(calls, 3);
    assert_eq!(store.check().unwrap().topics[0].size, Size::default());
    assert!(store.reader().unmet(&rules.id(), None, 10).unwrap().is_empty());
}

#[test]
fn a_full_topic_takes_no_more_and_gives_up_whole_ticks() {
    let rules = rules("full");
    let mut store = store(&rules);
    let chain = chain(&rules, 1, 10..20);
    let len = chain[0].encoded().len() as u64;
    store.open(&rules, &Keeping { bytes: len * 8, ..ROOM }).unwrap();
    let kept = keep(&mut store, &chain);
    assert_eq!(kept.iter().filter(|kept| is_new(kept)).count(), 8);
    assert_eq!(kept[8], Kept::Full);
    assert_eq!(store.check().unwrap().topics[0].size.bytes, len * 8, "nothing was deleted for it");
    forget(&mut store, &rules, Forget::DownTo(len * 6));
    let report = store.check().unwrap();
    assert_eq!((report.topics[0].floor, report.topics[0].size.bundles, report.count), (12, 6, 0));
    assert!(keep(&mut store, &chain[8..]).iter().all(is_new));
}

#[test]
fn no_tick_is_left_half() {
    let rules = rules("ticks");
    let mut store = store(&rules);
    let chains = [1, 2].map(|author| chain(&rules, author, 10..14));
    chains.iter().for_each(|chain| drop(keep(&mut store, chain)));
    let len = chains[0][0].encoded().len() as u64;
    forget(&mut store, &rules, Forget::DownTo(len * 5));
    let report = store.check().unwrap();
    assert_eq!((report.topics[0].floor, report.topics[0].size.bundles), (12, 4), "{report}");
}

#[test]
fn one_author_leaves_room_for_others() {
    let rules = rules("shares");
    let mut store = store(&rules);
    let len = chain(&rules, 21, 10..11)[0].encoded().len() as u64;
    store.open(&rules, &Keeping { bytes: len * 160, ..ROOM }).unwrap();
    // Ten authors with ten bundles each, and one that goes on: up to 7/8 nobody is refused, and beyond that its share is two elevenths.
    for author in 21..=30 {
        assert!(keep(&mut store, &chain(&rules, author, 10..20)).iter().all(is_new));
    }
    let kept = keep(&mut store, &chain(&rules, 31, 10..90));
    assert_eq!(kept.iter().filter(|kept| is_new(kept)).count(), 40);
    assert!(kept[40..].iter().all(|kept| *kept == Kept::Full));
    // The others have the rest.
    for author in 21..=30 {
        assert!(keep(&mut store, &chain(&rules, author, 20..22)).iter().all(is_new));
    }
    assert_eq!(keep(&mut store, &chain(&rules, 21, 30..31)), [Kept::Full]);
    // And a topic has places for so many authors.
    store.open(&rules, &Keeping { authors: 11, ..ROOM }).unwrap();
    assert_eq!(keep(&mut store, &chain(&rules, 32, 10..11)), [Kept::Full]);
    assert!(is_new(&keep(&mut store, &chain(&rules, 31, 95..96))[0]));
}

#[test]
fn what_is_hidden_is_shown_when_it_is_released_and_comes_back_at_open() {
    let rules = rules("hidden");
    let mut store = store(&rules);
    let chain = chain(&rules, 1, 10..14);
    let shows = [Show::Now, Show::Held, Show::Rejected { by: 1 }, Show::Rejected { by: 2 }];
    let keeps: Vec<_> = chain.iter().zip(shows).map(|(bundle, show)| Keep { show, ..live(bundle) }).collect();
    store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
    let mut store = store.reopened(6);
    store.start(&key(1)).unwrap();
    let opened = store.open(&rules, &ROOM).unwrap();
    assert_eq!((opened.held, opened.rejudge), (vec![Arc::clone(&chain[1])], vec![(key(1), at(13, 3))]));
    assert_eq!(opened.recent, chain.iter().map(|bundle| *bundle.signed_header()).collect::<Vec<_>>());
    assert_eq!(opened.own, Some((chain[3].id(), at(13, 3))));
    let reader = store.reader();
    let shown = |after| reader.scan(&rules.id(), after, 1 << 20).unwrap();
    let first = shown(Cursor::START);
    assert_eq!(first.items.len(), 1);
    // Rejected again by this version.
    let again = Keep { show: Show::Rejected { by: 1 }, ..live(&chain[3]) };
    assert_eq!(store.keep(&Group { keeps: &[again], ..Group::default() }).unwrap(), [Kept::Have]);
    assert!(store.open(&rules, &ROOM).unwrap().rejudge.is_empty());
    let released =
        store.release(&rules.id(), &[(key(1), at(11, 3)), (key(1), at(10, 3)), (key(2), at(9, 9))]).unwrap();
    assert_eq!(released, [Some(2), None, None]);
    let second = shown(first.next);
    assert_eq!(second.items.iter().map(|item| &item.bundle).collect::<Vec<_>>(), [&chain[1]]);
    // A conviction takes what is held back and leaves the rest.
    let held = bundle(&rules, 1, at(20, 0), previous(&chain[3]), &["held"]);
    let keeps = [Keep { show: Show::Held, ..live(&held) }];
    store.keep(&Group { keeps: &keeps, ..Group::default() }).unwrap();
    forget(&mut store, &rules, Forget::Held(key(1)));
    let report = store.check().unwrap();
    assert_eq!((report.count, report.topics[0].size.bundles), (0, 4));
    forget(&mut store, &rules, Forget::Author(key(1)));
    let report = store.check().unwrap();
    assert_eq!((report.count, report.topics[0].size), (0, Size::default()));
}

#[test]
fn pages_go_on_where_they_ended() {
    let rules = rules("pages");
    let mut store = store(&rules);
    let chains: Vec<_> = (1..=2).map(|author| chain(&rules, author, 10..30)).collect();
    chains.iter().for_each(|chain| drop(keep(&mut store, chain)));
    let reader = store.reader();
    let range = |author, from| Range { author: key(author), from, upto: at(25, 3) };
    let mut ranges = vec![range(1, (12, 4)), range(3, (0, 0)), range(2, (24, 65_536))];
    let mut got = Vec::new();
    let most = chains[0][0].encoded().len() * 3 + 10;
    for _ in 0..20 {
        let page = reader.page(&rules.id(), &ranges, most).unwrap();
        assert!(page.bundles.len() <= 3 && page.rotten.is_empty());
        got.extend(page.bundles);
        for (range, next) in ranges.iter_mut().zip(page.next) {
            range.from = next;
        }
    }
    let expected: Vec<_> = chains[0][3..=15].iter().chain(&chains[1][15..=15]).map(Arc::clone).collect();
    assert_eq!(got, expected);
    assert!(ranges.iter().all(|range| range.from == (25, 4)));
    // One bundle at least.
    assert_eq!(reader.page(&rules.id(), &[range(1, (0, 0))], 1).unwrap().bundles.len(), 1);
    let at_3 = |position, id| (key(1), position, id);
    let held = reader.held(
        &rules.id(),
        &[
            at_3(at(12, 3), chains[0][2].id()),
            at_3(at(12, 3), chains[1][2].id()),
            at_3(at(12, 4), chains[0][2].id()),
            (key(9), at(12, 3), chains[0][2].id()),
        ],
    );
    assert_eq!(held.unwrap(), [Held::Yes, Held::Other(chains[0][2].id()), Held::No, Held::No]);
}

#[test]
fn holes_rest_and_are_told_author_by_author() {
    let rules = rules("rest");
    let mut store = store(&rules);
    for author in 1..=3 {
        let chain = chain(&rules, author, 10..20);
        keep(&mut store, &[1, 4, 7].map(|at| Arc::clone(&chain[at])));
    }
    let reader = store.reader();
    let holes = reader.unmet(&rules.id(), None, 100).unwrap();
    assert_eq!(holes.len(), 9);
    assert_eq!((holes[0].position, holes[0].namer, holes[0].since_ms), (at(10, 3), at(11, 3), 1000));
    // On to the next author.
    let past = Hole { position: at(u64::MAX, u16::MAX), ..holes[0] };
    assert_eq!(reader.unmet(&rules.id(), Some(&past), 1).unwrap(), holes[3..4]);
    store.rest(&rules.id(), &[(holes[4], 77)]).unwrap();
    let rests = reader.unmet(&rules.id(), Some(&holes[3]), 1).unwrap();
    assert_eq!(rests, [Hole { rests_until_ms: 77, ..holes[4] }]);
}

#[test]
fn records_are_never_taken_back_and_proofs_have_a_bound() {
    let rules = rules("records");
    let mut store = store(&rules);
    store.record(&key(0), 5000).unwrap();
    store.record(&key(0), 4000).unwrap();
    assert_eq!(store.start(&key(0)).unwrap().recorded_until, Some(5000));
    assert_eq!(store.start(&key(1)).unwrap().recorded_until, None);
    // But by an author that says no more, down to what it has used.
    store.settle(&key(0), 4500).unwrap();
    assert_eq!(store.start(&key(0)).unwrap().recorded_until, Some(4500));
    // Or up: a store that was damaged meanwhile knows less than its author has used.
    store.settle(&key(0), 4700).unwrap();
    store.settle(&key(2), 4600).unwrap();
    assert_eq!(store.start(&key(0)).unwrap().recorded_until, Some(4700));
    assert_eq!(store.start(&key(2)).unwrap().recorded_until, Some(4600));
    let proof = |author: u16| {
        let header = |body| *bundle(&rules, author, at(1, 0), None, &[body]).signed_header();
        Evidence::new(header("this"), header("that")).unwrap()
    };
    let proofs: Vec<_> = (0..16_390).map(proof).collect();
    for proof in &proofs {
        store.remember(proof).unwrap();
        store.remember(proof).unwrap();
    }
    assert_eq!(store.start(&key(0)).unwrap().evidence, proofs[6..]);
}

#[test]
fn a_store_knows_its_last_incarnations() {
    let rules = rules("incarnations");
    let mut store = store(&rules);
    keep(&mut store, &chain(&rules, 1, 10..12));
    let first = store.reader().scan(&rules.id(), Cursor::START, 1 << 20).unwrap().next;
    for incarnation in 1..4096 {
        store = store.reopened(1000 + incarnation);
    }
    assert!(store.reader().scan(&rules.id(), first, 1 << 20).unwrap().items.is_empty());
    let store = store.reopened(999_999);
    assert!(matches!(store.reader().scan(&rules.id(), first, 1 << 20), Err(StoreError::Foreign)));
}

#[test]
fn topics_that_are_not_open_keep_nothing() {
    let rules = rules("open");
    let mut store = MemoryStore::new(1);
    assert_eq!(keep(&mut store, &chain(&rules, 1, 10..11)), [Kept::NotOpen]);
    assert!(matches!(store.forget(&rules.id(), Forget::Topic), Err(StoreError::NotOpen)));
    assert!(matches!(store.reader().size(&rules.id()), Err(StoreError::NotOpen)));
}

#[test]
fn a_history_shows_what_is_shown_and_a_frontier_what_is_missing() {
    let rules = rules("past");
    let mut store = store(&rules);
    let chain = chain(&rules, 1, 10..20);
    let wide = bundle(&rules, 1, at(30, 2), previous(&chain[9]), &["a", "b", "c"]);
    let reader = store.reader();
    let frontier = |holes| reader.frontier(&rules.id(), &key(1), holes).unwrap();
    assert_eq!(frontier(9), Frontier::default());
    // The bundles of ticks 13 and 16 are missing; those of 11 and 18 are hidden.
    let hidden = |bundle: &Arc<Bundle>, show| Keep { show, ..live(bundle) };
    let keeps: Vec<_> = (0..10)
        .filter(|at| ![3, 6].contains(at))
        .map(|at| match at {
            1 => hidden(&chain[at], Show::Held),
            8 => hidden(&chain[at], Show::Rejected { by: 1 }),
            _ => live(&chain[at]),
        })
        .chain([live(&wide)])
        .collect();
    store.keep(&Group { keeps: &keeps, ..Group::default() }).unwrap();
    let holes = vec![at(13, 3), at(16, 3)];
    let expected = Frontier { newest: Some(at(30, 4)), complete_until: Some(at(12, 3)), holes };
    assert_eq!(frontier(9), expected);
    assert_eq!(frontier(1).holes, [at(13, 3)]);
    assert_eq!((frontier(0).holes.len(), frontier(0).complete_until), (0, Some(at(12, 3))));
    assert_eq!(reader.frontier(&rules.id(), &key(2), 9).unwrap(), Frontier::default());
    // Page by page, each as small as it can be.
    let mut range = Range { author: key(1), from: (11, 0), upto: at(30, 2) };
    let mut ticks = Vec::new();
    while (range.from.0, range.from.1) <= (range.upto.tick, range.upto.slot.into()) {
        let page = reader.history(&rules.id(), &range, 1).unwrap();
        ticks.extend(page.bundles.iter().map(|bundle| bundle.header().tick));
        range.from = page.next[0];
    }
    assert_eq!(ticks, [12, 14, 15, 17, 19, 30]);
    let find = |author, tick, slot| reader.find(&rules.id(), &key(author), at(tick, slot)).unwrap();
    for slot in 2..5 {
        assert_eq!(find(1, 30, slot).as_ref(), Some(&wide), "slot {slot}");
    }
    for (author, tick, slot) in [(1, 30, 1), (1, 30, 5), (1, 11, 3), (1, 18, 3), (1, 13, 3), (2, 30, 2)] {
        assert_eq!(find(author, tick, slot), None, "author {author}, tick {tick}, slot {slot}");
    }
    store.release(&rules.id(), &[(key(1), at(11, 3))]).unwrap();
    assert_eq!(find(1, 11, 3), Some(Arc::clone(&chain[1])));
    // What floors pass is missed no more.
    forget(&mut store, &rules, Forget::Below(15));
    assert_eq!((frontier(9).holes, frontier(9).complete_until), (vec![at(16, 3)], Some(at(15, 3))));
}

#[test]
fn what_is_held_around_a_position_is_found() {
    let rules = rules("around");
    let mut store = MemoryStore::new(1);
    store.open(&rules, &ROOM).unwrap();
    keep(&mut store, &chain(&rules, 1, 10..13));
    keep(&mut store, &chain(&rules, 3, 10..11));
    let reader = store.reader();
    let asked = [(1, at(11, 3)), (1, at(11, 4)), (1, at(10, 3)), (1, at(99, 0)), (2, at(99, 0))];
    let before = reader.before(&rules.id(), &asked.map(|(author, at)| (key(author), at))).unwrap();
    assert_eq!(before, [Some(at(10, 3)), Some(at(11, 3)), None, Some(at(12, 3)), None]);
    let later = |author, position, before| LaterThan { author: key(author), position, before };
    let asked = vec![
        later(1, at(10, 3), 12),
        later(1, at(11, 2), 12),
        later(1, at(11, 3), 12),
        later(1, at(11, 3), 13),
        later(2, at(0, 0), 99),
        later(1, at(0, 0), 0),
    ];
    let query = Query::Later { topic: rules.id(), at: asked };
    let Found::Later(found) = crate::store::look(&*reader, query).unwrap() else { panic!("another answer") };
    assert_eq!(found, [true, true, false, true, false, false]);
}
