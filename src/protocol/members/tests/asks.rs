//! Questions: ours, each of one link at a time, and those of links, which pay for their answers.

use super::super::answers::{Answers, answer};
use super::super::asks::{Asks, LINKS_ASKED};
use super::super::spread::Targets;
use super::super::table::Table;
use super::{START_S, Speaker, at, tick};
use crate::protocol::limits::{
    ANSWER_BYTES_BURST, ANSWER_BYTES_IN_ALL, ANSWER_BYTES_OF_LINK, MAX_MEMBERS, MEMBERS_ASKED_OF_LINK,
    MEMBERS_OF_FIRST,
};
use crate::protocol::linkset::Slot;
use crate::protocol::random::Random;
use crate::rumor::ChainPoint;
use crate::wire::{KeyPrefix, MAX_PULSES, MAX_RECORDS_ASKED, MembersAsk, Pulse, PulsePage, Pulses};

fn targets(chosen: &[u8], all: &[u8]) -> Targets {
    let slots = |slots: &[u8]| slots.iter().map(|slot| Slot(*slot)).collect();
    let read = if chosen.is_empty() { slots(all) } else { slots(chosen) };
    Targets { chosen: slots(chosen), all: slots(all), read, ..Targets::default() }
}

/// So many members, of whom a pulse is known and who are alive.
fn table(members: usize) -> Table {
    let speaker = Speaker::new(1);
    let mut table = Table::default();
    for number in 0..members {
        let mut record = speaker.beacon(tick(0), b"");
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        record.author = crate::key::PublicKey::from_bytes(key);
        table.takes(&record, at(0));
        let known = ChainPoint { index: 1, value: [1; 16] };
        let (sign, of) = table.is_true(&record.author, &speaker.terms, known, at(0).mono).unwrap();
        table.lives(&record.author, |life| life.hears(sign, of, 5, at(0)));
    }
    table
}

fn prefix(number: usize) -> KeyPrefix {
    KeyPrefix((number as u64 + 1).to_be_bytes())
}

fn page(page: PulsePage, last: usize) -> Pulses {
    let pulse = Pulse { member: prefix(last), index: 1, value: [1; 16], failed_here: false };
    Pulses { page, pulses: vec![pulse] }
}

#[test]
fn a_link_has_one_question_at_a_time_and_pages_go_forward() {
    let (mut asks, targets) = (Asks::default(), targets(&[1], &[1, 2]));
    asks.begins(Slot(1), 7);
    asks.begins(Slot(1), 9);
    let next = |asks: &mut Asks, now| asks.next_asks(|| targets.clone(), at(now).mono);
    assert_eq!(next(&mut asks, 0), [(Slot(1), MembersAsk::First)]);
    assert_eq!(next(&mut asks, 10), []);
    let mut granted = 0;
    while asks.takes_grant(Slot(1)) {
        granted += 1;
    }
    assert_eq!((granted, asks.takes_grant(Slot(2))), (MAX_RECORDS_ASKED, false));
    asks.answered(Slot(1), &page(PulsePage::Last, 0));
    let since = |after| vec![(Slot(1), MembersAsk::Since { since: 7, after })];
    assert_eq!(next(&mut asks, 20), since(KeyPrefix::default()));
    asks.answered(Slot(1), &page(PulsePage::More, 4));
    assert_eq!(next(&mut asks, 30), since(prefix(4)));
    // One that turns back is asked no more.
    asks.answered(Slot(1), &page(PulsePage::More, 4));
    assert_eq!(next(&mut asks, 40), []);
}

#[test]
fn who_does_not_answer_is_asked_the_next_thing_and_others_are_asked_in_turn() {
    let (mut asks, targets) = (Asks::default(), targets(&[1, 2], &[1, 2, 3]));
    [1, 2, 3].iter().for_each(|slot| asks.begins(Slot(*slot), 0));
    let next = |asks: &mut Asks, now| asks.next_asks(|| targets.clone(), at(now).mono);
    assert_eq!(next(&mut asks, 0).len(), 3);
    assert_eq!(next(&mut asks, 4_999), []);
    let second = next(&mut asks, 5_000);
    assert!(second.len() == 3 && second.iter().all(|(_, ask)| matches!(ask, MembersAsk::Since { .. })));
    assert_eq!(next(&mut asks, 10_000), [], "they don't answer that either: nothing is left to ask");
    // Pulses are asked of links that we dialled, in turn.
    let mut asked = Vec::new();
    for number in 0..4u64 {
        asks.wants(Speaker::new(number as u8 + 1).key(), 1);
        asked.extend(next(&mut asks, 20_000 + number * 10_000).into_iter().map(|(slot, _)| slot.0));
    }
    assert_eq!(asked.len(), 4);
    assert!(asked.contains(&1) && asked.contains(&2) && !asked.contains(&3), "{asked:?}");
    // What has come meanwhile is asked for no more.
    let key = Speaker::new(9).key();
    asks.wants(key, 1);
    asks.wants_no_more(&key);
    assert_eq!(next(&mut asks, 90_000), []);
}

/// A node that has chosen these links, and has asked each what is asked at first.
fn begun(slots: &[u8]) -> (Asks, Targets) {
    let (mut asks, targets) = (Asks::default(), targets(slots, slots));
    slots.iter().for_each(|slot| asks.begins(Slot(*slot), 0));
    for now in [0, 10] {
        assert_eq!(asks.next_asks(|| targets.clone(), at(now).mono).len(), slots.len());
        slots.iter().for_each(|slot| asks.answered(Slot(*slot), &page(PulsePage::Last, 0)));
    }
    (asks, targets)
}

/// Which links are asked for which members now.
fn asked_now(asks: &mut Asks, targets: &Targets, millis: u64) -> Vec<(Slot, Vec<KeyPrefix>)> {
    let asked = asks.next_asks(|| targets.clone(), at(millis).mono).into_iter();
    let of = |(slot, ask)| match ask {
        MembersAsk::Pulses(of) => (slot, of),
        other => panic!("{other:?}"),
    };
    asked.map(of).collect()
}

/// However many are overdue at a time, and when: links that lie about one are never asked twice while others were not.
#[test]
fn who_is_overdue_is_asked_for_at_nine_links_that_we_chose() {
    for members in 1..=12u8 {
        let (mut asks, targets) = begun(&(1..=12).collect::<Vec<_>>());
        let keys: Vec<_> = (1..=members).map(|number| Speaker::new(number).key()).collect();
        let mut asked = vec![Vec::new(); keys.len()];
        for time in 0..3 {
            for (number, key) in keys.iter().enumerate() {
                asks.wants(*key, LINKS_ASKED);
                let now = 10_000 + time * 500_000 + number as u64 * 10_000;
                for (slot, of) in asked_now(&mut asks, &targets, now) {
                    assert_eq!(of, [KeyPrefix::of(key)]);
                    asked[number].push(slot);
                }
                assert_eq!(asked_now(&mut asks, &targets, now + 10), [], "once each");
            }
        }
        for asked in &mut asked {
            assert_eq!(asked.len(), 9);
            asked.sort_unstable();
            asked.dedup();
            assert_eq!(asked.len(), 9, "of {members} members");
        }
        // What has come is asked for no more, and all links may be asked for what comes next.
        asks.wants(keys[0], LINKS_ASKED);
        asks.wants_no_more(&keys[0]);
        assert_eq!(asked_now(&mut asks, &targets, 5_000_000), []);
        asks.wants(keys[0], LINKS_ASKED);
        assert_eq!(asked_now(&mut asks, &targets, 5_010_000).len(), 3);
    }
}

#[test]
fn a_link_that_owes_an_answer_is_passed_over_and_the_question_is_not_lost() {
    let (mut asks, targets) = begun(&[1, 2, 3, 4]);
    let (one, two) = (Speaker::new(1).key(), Speaker::new(2).key());
    asks.wants(one, LINKS_ASKED);
    let first: Vec<_> = asked_now(&mut asks, &targets, 1_000).into_iter().map(|(slot, _)| slot).collect();
    assert_eq!(first.len(), 3);
    // One link is free, and then none until the others were waited for.
    asks.wants(two, LINKS_ASKED);
    let second = asked_now(&mut asks, &targets, 2_000);
    assert!(second.len() == 1 && !first.contains(&second[0].0), "{second:?}");
    assert_eq!(asked_now(&mut asks, &targets, 3_000), []);
    assert_eq!(asked_now(&mut asks, &targets, 5_999), []);
    let third: Vec<_> = asked_now(&mut asks, &targets, 6_000).into_iter().map(|(slot, _)| slot).collect();
    assert!(third.len() == 2 && third.iter().all(|slot| first.contains(slot)), "{third:?}");
    // Where all were asked they are asked anew.
    asks.wants(two, LINKS_ASKED);
    assert_eq!(asked_now(&mut asks, &targets, 60_000).len(), 3);
}

/// The links that are asked now, whatever for.
fn links_asked_now(asks: &mut Asks, targets: &Targets, millis: u64) -> Vec<u8> {
    let mut links: Vec<_> = asked_now(asks, targets, millis).into_iter().map(|(slot, _)| slot.0).collect();
    links.sort_unstable();
    links
}

#[test]
fn where_the_last_link_that_was_not_asked_goes_the_others_are_asked_anew() {
    let (mut asks, all) = begun(&[1, 2, 3, 4]);
    let key = Speaker::new(1).key();
    asks.wants(key, LINKS_ASKED);
    let asked = links_asked_now(&mut asks, &all, 1_000);
    let last = (1..=4).find(|slot| !asked.contains(slot)).unwrap();
    // The last one owes an answer, so all wait for it, and then it goes.
    asks.wants(Speaker::new(2).key(), 1);
    assert_eq!(links_asked_now(&mut asks, &all, 2_000), [last]);
    asks.wants(key, LINKS_ASKED);
    assert_eq!(links_asked_now(&mut asks, &all, 6_999), [0; 0]);
    asks.leaves(Slot(last));
    assert_eq!(links_asked_now(&mut asks, &targets(&asked, &asked), 7_000), asked);
}

#[test]
fn a_link_that_was_asked_for_all_that_is_wanted_is_asked_for_what_comes_next() {
    let (mut asks, all) = begun(&[1, 2, 3]);
    let [first, second, third] = [1, 2, 3].map(|number| Speaker::new(number).key());
    asks.wants(first, 2);
    let asked = links_asked_now(&mut asks, &all, 1_000);
    let free = (1..=3).find(|slot| !asked.contains(slot)).unwrap();
    // The third link waits for its answer; the others were asked for the first member before.
    asks.wants(second, 1);
    assert_eq!(links_asked_now(&mut asks, &all, 2_000), [free]);
    asks.wants(first, 1);
    assert_eq!(links_asked_now(&mut asks, &all, 6_000), [0; 0]);
    // A member that is wanted now is asked for at once, at one of them.
    asks.wants(third, 1);
    let next = asked_now(&mut asks, &all, 6_500);
    assert!(
        next.len() == 1 && asked.contains(&next[0].0.0) && next[0].1 == [KeyPrefix::of(&third)],
        "{next:?}"
    );
    // And who takes the place of one that was asked for all.
    let gone = asked.iter().copied().find(|slot| *slot != next[0].0.0).unwrap();
    asks.leaves(Slot(gone));
    asks.begins(Slot(gone), 0);
    assert_eq!(asks.next_asks(|| all.clone(), at(6_600).mono), [(Slot(gone), MembersAsk::First)]);
    asks.answered(Slot(gone), &page(PulsePage::Last, 0));
    assert_eq!(links_asked_now(&mut asks, &all, 6_620), [gone]);
}

#[test]
fn links_that_were_asked_for_all_are_asked_anew_once_the_last_was() {
    let (mut asks, all) = begun(&[1, 2]);
    let [one, two] = [1, 2].map(|number| Speaker::new(number).key());
    asks.wants(one, 1);
    let asked = links_asked_now(&mut asks, &all, 1_000);
    let free = 3 - asked[0];
    asks.wants(two, 1);
    assert_eq!(links_asked_now(&mut asks, &all, 2_000), [free]);
    // Both are to be asked for the first member: the one that was before waits for the other.
    asks.wants(one, 2);
    assert_eq!(links_asked_now(&mut asks, &all, 6_900), [0; 0]);
    let now = [7_000, 7_001].map(|now| links_asked_now(&mut asks, &all, now));
    assert_eq!(now, [vec![free], asked]);
}

/// One that has just gone, or that is no link of the topic for the members yet.
#[test]
fn a_link_that_can_not_be_asked_holds_up_no_other() {
    let (mut asks, _) = begun(&[1, 2]);
    let all = targets(&[1, 2, 3], &[1, 2, 3]);
    let key = Speaker::new(1).key();
    for now in [10_000, 12_500, 15_000] {
        asks.wants(key, LINKS_ASKED);
        assert_eq!(links_asked_now(&mut asks, &all, now), [1, 2], "at {now}");
        [1, 2].iter().for_each(|slot| asks.answered(Slot(*slot), &page(PulsePage::Last, 0)));
        // The third question waits for one of them.
        assert_eq!(links_asked_now(&mut asks, &all, now + 10).len(), 1);
        [1, 2].iter().for_each(|slot| asks.answered(Slot(*slot), &page(PulsePage::Last, 0)));
    }
}

#[test]
fn pages_end_and_hold_up_no_question() {
    let (mut asks, all) = (Asks::default(), targets(&[1, 2], &[1, 2]));
    [1, 2].iter().for_each(|slot| asks.begins(Slot(*slot), 0));
    let key = Speaker::new(1).key();
    let (mut pages, mut asked) = (0, 0);
    for number in 0..2 * MAX_MEMBERS {
        if number == 10 {
            asks.wants(key, 2);
        }
        for (slot, ask) in asks.next_asks(|| all.clone(), at(number as u64).mono) {
            pages += usize::from(slot == Slot(1) && matches!(ask, MembersAsk::Since { .. }));
            asked += usize::from(matches!(ask, MembersAsk::Pulses(_)));
        }
        assert!(number < 12 || asked == 2, "of a link that always has more, too");
        asks.answered(Slot(1), &page(PulsePage::More, number));
        asks.answered(Slot(2), &page(PulsePage::Last, 0));
    }
    assert!((MAX_MEMBERS / MAX_PULSES..=MAX_MEMBERS / MAX_PULSES + 1).contains(&pages), "{pages}");
}

#[test]
fn a_link_is_asked_for_a_record_once_a_minute_and_for_so_many() {
    let (mut asks, targets) = (Asks::default(), targets(&[1], &[1]));
    asks.begins(Slot(1), 0);
    let records = |asks: &mut Asks, now: u64| -> usize {
        let mut count = 0;
        for round in 0..100 {
            for (_, ask) in asks.next_asks(|| targets.clone(), at(now + round).mono) {
                if let MembersAsk::Records(keys) = ask {
                    count += keys.len();
                }
            }
            asks.answered(Slot(1), &page(PulsePage::Last, 0));
        }
        count
    };
    for number in 0..2 * MEMBERS_ASKED_OF_LINK {
        asks.wants_record(Slot(1), prefix(number), at(0).mono);
    }
    assert_eq!(records(&mut asks, 0), MEMBERS_ASKED_OF_LINK);
    asks.wants_record(Slot(1), prefix(0), at(59_000).mono);
    assert_eq!(records(&mut asks, 59_000), 0);
    asks.wants_record(Slot(1), prefix(0), at(61_000).mono);
    assert_eq!(records(&mut asks, 61_000), 1);
}

#[test]
fn answers_have_as_many_pulses_and_records_as_a_frame_and_say_whether_there_is_more() {
    let (table, mut random) = (table(600), Random::new(&[1; 32]));
    let mut answers = |ask| answer(&table, &ask, &mut random);
    let (mut after, mut pages) = (KeyPrefix::default(), Vec::new());
    loop {
        let said = answers(MembersAsk::Since { since: START_S as u32, after }).pulses;
        pages.push(said.pulses.len());
        if said.page == PulsePage::Last {
            break;
        }
        after = said.pulses.last().unwrap().member;
    }
    assert_eq!(pages, [MAX_PULSES, MAX_PULSES, 600 - 2 * MAX_PULSES]);
    let later = answers(MembersAsk::Since { since: START_S as u32 + 6, after: KeyPrefix::default() });
    assert_eq!((later.pulses.pulses.len(), later.pulses.page), (0, PulsePage::Last));
    let some = answers(MembersAsk::Pulses(vec![prefix(3), prefix(900)]));
    assert_eq!(some.pulses.pulses.len(), 1);
    let records = answers(MembersAsk::Records((0..64).map(prefix).collect()));
    assert_eq!((records.bundles.len(), records.pulses.pulses.len()), (64, 64));
    let first = answers(MembersAsk::First);
    assert_eq!(first.bundles.len(), MEMBERS_OF_FIRST);
}

#[test]
fn asks_cost_the_asker() {
    let (table, mut random) = (table(100), Random::new(&[1; 32]));
    let mut answers = Answers::default();
    let mut bytes = [0u64; 3];
    // For ten seconds one link asks as much as it can, and another once a second.
    for millis in 0..10_000 {
        let _ = answers.asks(Slot(1), MembersAsk::First);
        if millis % 1_000 == 0 {
            assert!(answers.asks(Slot(2), MembersAsk::Pulses(vec![prefix(0)])), "it was answered");
        }
        while let Some((slot, ask)) = answers.next(at(millis).mono) {
            let said = answer(&table, &ask, &mut random);
            let before = bytes[usize::from(slot.0)];
            answers.costs(slot, said.costs(), at(millis).mono);
            bytes[usize::from(slot.0)] = before + said.bytes();
            assert!(slot.0 != 2 || millis % 1_000 == 0, "it waits for nobody");
        }
    }
    let one_answer = 32 * 1024;
    assert!(bytes[1] <= ANSWER_BYTES_BURST + 10 * ANSWER_BYTES_OF_LINK + one_answer, "{}", bytes[1]);
    assert!(bytes[1] >= 10 * ANSWER_BYTES_OF_LINK, "{}", bytes[1]);
    assert_eq!(bytes[2], 10 * 28);
}

#[test]
fn all_links_together_cost_no_more_than_a_node_gives() {
    let (table, mut random) = (table(100), Random::new(&[1; 32]));
    let mut answers = Answers::default();
    let mut bytes = 0;
    for millis in 0..10_000 {
        (0..96).for_each(|slot| _ = answers.asks(Slot(slot), MembersAsk::First));
        while let Some((slot, ask)) = answers.next(at(millis).mono) {
            let said = answer(&table, &ask, &mut random);
            answers.costs(slot, said.costs(), at(millis).mono);
            bytes += said.bytes();
        }
    }
    assert!(bytes <= ANSWER_BYTES_BURST + 10 * ANSWER_BYTES_IN_ALL + 32 * 1024, "{bytes}");
    answers.leaves(Slot(1));
    assert!(!answers.is_idle());
}

#[test]
fn links_are_answered_in_turns() {
    let mut answers = Answers::default();
    [1, 2, 3].iter().for_each(|slot| _ = answers.asks(Slot(*slot), MembersAsk::First));
    let mut order = Vec::new();
    for _ in 0..6 {
        let (slot, ask) = answers.next(at(0).mono).unwrap();
        order.push(slot.0);
        // It asks again at once.
        answers.asks(slot, ask);
    }
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_question_that_finds_nothing_is_paid_for() {
    let (table, mut random) = (table(4_096), Random::new(&[1; 32]));
    let mut answers = Answers::default();
    let mut walks = 0;
    for millis in 0..60_000 {
        let _ = answers.asks(Slot(1), MembersAsk::Since { since: u32::MAX, after: KeyPrefix::default() });
        while let Some((slot, ask)) = answers.next(at(millis).mono) {
            let said = answer(&table, &ask, &mut random);
            assert_eq!(said.bytes(), 0);
            answers.costs(slot, said.costs(), at(millis).mono);
            walks += 1;
        }
    }
    assert!(walks <= 8 + 60 + 2, "{walks}: each walk of 4 096 members costs 16 KiB");
}
