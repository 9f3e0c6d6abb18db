//! Pulses that come in.

use super::super::pulses::{Found, Pulses, Taken};
use super::super::table::Table;
use super::{Speaker, at, tick};
use crate::protocol::limits::{PULSES_OF_LINK, PULSES_WAITING, WRONG_FAR_OF_LINK, WRONG_PULSES_FREE};
use crate::protocol::linkset::Slot;
use crate::wire::{KeyPrefix, Pulse};

const WOULD_STATE: u16 = 5;

fn pulse(speaker: &Speaker, index: u16) -> Pulse {
    let value = speaker.chain.reveal(index).unwrap();
    Pulse { member: KeyPrefix::of(&speaker.key()), index: index.into(), value, failed_here: false }
}

fn known(speakers: &[Speaker]) -> Table {
    let mut table = Table::default();
    speakers.iter().for_each(|speaker| _ = table.takes(&speaker.beacon(tick(0), b""), at(0)));
    table
}

fn waits(taken: Taken) -> bool {
    matches!(taken, Taken::Waits(_))
}

/// One that is of no chain.
fn wrong(speaker: &Speaker, index: u16, number: u64) -> Pulse {
    let mut wrong = pulse(speaker, index);
    wrong.value[..8].copy_from_slice(&number.to_le_bytes());
    wrong
}

fn check(pulses: &Pulses) {
    let mut recount = crate::protocol::check::Recount::default();
    pulses.check(&mut recount);
    assert_eq!(recount.complaints(), Vec::<String>::new());
}

fn is_true(found: &[Found], index: u16) -> bool {
    matches!(found, [Found::True { known, .. }] if known.index == index)
}

#[test]
fn a_pulse_is_taken_for_what_it_hashes_to() {
    let speakers = [Speaker::new(1), Speaker::new(2)];
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    // Ten epochs after the start.
    let now = at(50_000);
    let mut takes = |pulse: &Pulse, slot| {
        let taken = pulses.takes(&table, pulse, Slot(slot), WOULD_STATE, now);
        (taken, pulses.works(now.mono))
    };
    let (taken, found) = takes(&pulse(&speakers[0], 10), 1);
    assert!(waits(taken) && is_true(&found, 10));
    let (taken, found) = takes(&wrong(&speakers[0], 9, 1), 1);
    assert!(waits(taken));
    assert_eq!(found, [Found::False { key: speakers[0].key(), slot: Slot(1) }]);
    let of_another = Pulse { member: KeyPrefix::of(&speakers[1].key()), ..pulse(&speakers[0], 10) };
    assert!(matches!(takes(&of_another, 1).1[..], [Found::False { .. }]));
    let (stranger, none) = (Speaker::new(3), Vec::new());
    assert_eq!(takes(&pulse(&stranger, 10), 1), (Taken::Unknown, none.clone()));
    // The anchor is public.
    let anchor = Pulse { index: 0, value: speakers[0].chain.anchor(), ..pulse(&speakers[0], 1) };
    assert_eq!(takes(&anchor, 1), (Taken::Known, none));
}

#[test]
fn a_pulse_of_a_time_to_come_is_refused_beyond_a_minute() {
    let speakers = [Speaker::new(1)];
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let mut takes = |index| pulses.takes(&table, &pulse(&speakers[0], index), Slot(1), WOULD_STATE, at(0));
    assert!(waits(takes(12)));
    assert_eq!(takes(13), Taken::Refused);
    let beyond = Pulse { index: 101, ..pulse(&speakers[0], 100) };
    assert_eq!(pulses.takes(&table, &beyond, Slot(1), WOULD_STATE, at(3_600_000)), Taken::Refused);
    let max = Pulse { index: (1 << 30) - 1, ..beyond };
    assert_eq!(pulses.takes(&table, &max, Slot(1), WOULD_STATE, at(3_600_000)), Taken::Refused);
}

#[test]
fn a_link_whose_far_pulse_was_wrong_brings_no_other_for_a_minute_and_others_may() {
    let speakers = [Speaker::new(1)];
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let now = at(460_000);
    assert!(waits(pulses.takes(&table, &wrong(&speakers[0], 90, 1), Slot(1), WOULD_STATE, now)));
    assert!(matches!(pulses.works(now.mono)[..], [Found::False { .. }]));
    let right = pulse(&speakers[0], 90);
    assert_eq!(pulses.takes(&table, &right, Slot(1), WOULD_STATE, now), Taken::Refused);
    assert!(waits(pulses.takes(&table, &right, Slot(2), WOULD_STATE, now)));
    assert!(is_true(&pulses.works(now.mono), 90));
    let later = at(460_000 + 60_000);
    assert!(waits(pulses.takes(&table, &right, Slot(1), WOULD_STATE, later)));
}

#[test]
fn a_link_with_wrong_far_pulses_of_too_many_members_brings_no_far_one_for_a_minute() {
    let speakers: Vec<_> = (0..=WRONG_FAR_OF_LINK as u16).map(Speaker::numbered).collect();
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let now = at(460_000);
    let (last, others) = speakers.split_last().unwrap();
    let mut takes = |pulse: &Pulse, slot, now: crate::protocol::Now| {
        let taken = pulses.takes(&table, pulse, Slot(slot), WOULD_STATE, now);
        while pulses.is_waiting() {
            pulses.works(now.mono);
        }
        check(&pulses);
        taken
    };
    assert!(others.iter().all(|speaker| waits(takes(&wrong(speaker, 90, 1), 1, now))));
    assert_eq!(takes(&wrong(last, 90, 1), 1, now), Taken::Refused);
    assert!(waits(takes(&pulse(last, 3), 1, now)), "a near one is taken");
    assert!(waits(takes(&wrong(last, 90, 1), 2, now)), "and others may bring far ones");
    assert!(waits(takes(&wrong(last, 90, 1), 1, at(460_000 + 60_000))));
}

#[test]
fn a_flood_waits_in_lines_that_are_bounded_for_a_link_and_in_all() {
    let speakers = [Speaker::new(1)];
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let now = at(500_000);
    let mut floods = |slot, times: usize| {
        for number in 0..times {
            pulses.takes(&table, &wrong(&speakers[0], 100, number as u64), Slot(slot), WOULD_STATE, now);
        }
        check(&pulses);
        pulses.takes_shed()
    };
    assert_eq!((floods(0, PULSES_OF_LINK), floods(0, 7)), (0, 7), "its own oldest go");
    let links = PULSES_WAITING / PULSES_OF_LINK;
    (1..links).for_each(|slot| assert_eq!(floods(slot as u8, PULSES_OF_LINK), 0));
    // Whoever has fewer than the others has its place, and they lose some for it.
    assert_eq!(floods(100, 50), 50);
    let own = pulses
        .works(now.mono)
        .iter()
        .filter(|found| matches!(found, Found::False { slot: Slot(100), .. }))
        .count();
    assert_eq!(own, 1, "and when one was wrong its others are left");
}

/// Eight links flood far and wrong pulses as fast as they can. Whatever they do, what another brings is taken in the next turn.
#[test]
fn bogus_pulses_cost_their_link() {
    let speakers: Vec<_> = (0..9).map(Speaker::numbered).collect();
    // Of none of them anything was revealed here, so far ones are taken of each.
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let now = at(500_000);
    let (last, flooded) = speakers.split_last().unwrap();
    for turn in 0..20u64 {
        for (slot, speaker) in (1..).zip(flooded) {
            for number in 0..2 * PULSES_OF_LINK as u64 {
                let index = if number % 2 == 0 { 100 } else { 15 };
                let bogus = wrong(speaker, index, turn << 32 | number);
                pulses.takes(&table, &bogus, Slot(slot), WOULD_STATE, now);
            }
        }
        // A far one at first, and near ones then.
        let right = pulse(last, 70 + turn as u16);
        assert!(waits(pulses.takes(&table, &right, Slot(0), WOULD_STATE, now)));
        let found = pulses.works(now.mono);
        check(&pulses);
        let of = |found: &&Found| matches!(found, Found::True { slot: Slot(0), .. });
        assert_eq!(found.iter().filter(of).count(), 1, "turn {turn}: {} were looked at", found.len());
        assert!(pulses.is_waiting(), "nothing is left of the flood, so it was none");
    }
}

#[test]
fn a_link_pays_before_anything_is_hashed_and_tenfold_from_its_fifth_wrong_pulse_in_a_minute() {
    let speakers = [Speaker::new(1)];
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let mut costs = |pulse: &Pulse, slot, millis| {
        let taken = pulses.takes(&table, pulse, Slot(slot), WOULD_STATE, at(millis));
        pulses.works(at(millis).mono);
        check(&pulses);
        match taken {
            Taken::Waits(cost) => cost.as_nanos() as u64,
            other => panic!("{other:?}"),
        }
    };
    let hash = costs(&wrong(&speakers[0], 1, 0), 9, 100_000);
    assert!((100..=200).contains(&hash), "{hash} ns");
    for number in 0..WRONG_PULSES_FREE as u64 {
        assert_eq!(costs(&wrong(&speakers[0], 10, number), 1, 100_000 + number), 10 * hash);
    }
    assert_eq!(costs(&wrong(&speakers[0], 10, 99), 1, 101_000), 100 * hash);
    assert_eq!(costs(&wrong(&speakers[0], 10, 99), 2, 101_000), 10 * hash, "another link");
    // A true one of it as well: nobody knows before.
    assert_eq!(costs(&pulse(&speakers[0], 10), 1, 102_000), 100 * hash);
    assert_eq!(costs(&wrong(&speakers[0], 20, 99), 1, 102_000 + 60_000), 20 * hash);
}

#[test]
fn a_pulse_of_either_chain_of_a_member_is_right() {
    let first = Speaker::new(1);
    let mut table = known(std::slice::from_ref(&first));
    let mut pulses = Pulses::default();
    let mut second = Speaker::new(1);
    second.chain = crate::rumor::PulseChain::new(&second.key(), 100, [77; 16]);
    second.terms.anchor = second.chain.anchor();
    table.takes(&second.beacon(tick(5), b""), at(0));
    let now = at(50_000);
    for speaker in [&first, &second] {
        assert!(waits(pulses.takes(&table, &pulse(speaker, 10), Slot(1), WOULD_STATE, now)));
        let found = pulses.works(now.mono);
        assert!(is_true(&found, 10) && found.len() == 1, "{found:?}");
    }
    pulses.takes(&table, &wrong(&first, 10, 1), Slot(1), WOULD_STATE, now);
    let found = pulses.works(now.mono);
    assert_eq!(found, [Found::False { key: first.key(), slot: Slot(1) }], "once, for both ways");
}

/// What a link brings of a chain before its beacon is no reason to refuse what it brings after.
#[test]
fn a_far_pulse_is_taken_again_once_its_beacon_is_known() {
    let old = Speaker::new(1);
    let (mut table, mut pulses) = (known(std::slice::from_ref(&old)), Pulses::default());
    let mut new = Speaker::new(1);
    new.chain = crate::rumor::PulseChain::new(&new.key(), 100, [77; 16]);
    new.terms.anchor = new.chain.anchor();
    let now = at(460_000);
    assert!(waits(pulses.takes(&table, &pulse(&new, 90), Slot(1), WOULD_STATE, now)));
    assert!(matches!(pulses.works(now.mono)[..], [Found::False { .. }]));
    assert_eq!(pulses.takes(&table, &pulse(&new, 91), Slot(1), WOULD_STATE, now), Taken::Refused);
    table.takes(&new.beacon(tick(459), b""), now);
    assert!(waits(pulses.takes(&table, &pulse(&new, 91), Slot(1), WOULD_STATE, at(461_000))));
}

/// A member that was restarted counts from one again.
#[test]
fn an_earlier_pulse_than_the_known_one_may_be_of_a_newer_chain() {
    let speaker = Speaker::new(1);
    let (mut table, mut pulses) = (known(std::slice::from_ref(&speaker)), Pulses::default());
    let known = crate::rumor::ChainPoint { index: 50, value: speaker.chain.reveal(50).unwrap() };
    let now = at(252_000);
    let (sign, of) = table.is_true(&speaker.key(), &speaker.terms, known, now.mono).unwrap();
    table.lives(&speaker.key(), |life| life.hears(sign, of, WOULD_STATE, now));
    let mut takes = |table: &Table, pulse: &Pulse| pulses.takes(table, pulse, Slot(1), WOULD_STATE, now);
    assert_eq!(takes(&table, &pulse(&speaker, 50)), Taken::Known);
    assert_eq!(takes(&table, &wrong(&speaker, 50, 1)), Taken::OfAnother, "there is one value for each epoch");
    // One that comes late is nothing new, unless it is so late that nobody would bring it any more.
    assert_eq!(takes(&table, &pulse(&speaker, 45)), Taken::Known);
    assert_eq!(takes(&table, &pulse(&speaker, 2)), Taken::OfAnother);
    // Where the member is asked for, any may be what is wanted.
    let look = super::super::life::Look { would_state: WOULD_STATE, fit: true, linked: false };
    let looked = table.lives(&speaker.key(), |life| life.look(look, at(263_000))).unwrap();
    assert!(looked.ask);
    assert_eq!(takes(&table, &pulse(&speaker, 45)), Taken::OfAnother);
}
