//! Pulses that come in.

use super::super::pulses::{Found, Pulses, Taken};
use super::super::table::Table;
use super::{Speaker, at, tick};
use crate::protocol::limits::FAR_PULSES;
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
    assert!(taken == Taken::Waits && is_true(&found, 10));
    let mut wrong = pulse(&speakers[0], 9);
    wrong.value[0] ^= 1;
    assert_eq!(
        takes(&wrong, 1),
        (Taken::Waits, vec![Found::False { key: speakers[0].key(), slot: Slot(1), hashes: 9 }])
    );
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
    assert_eq!((takes(12), takes(13)), (Taken::Waits, Taken::Refused));
    let beyond = Pulse { index: 101, ..pulse(&speakers[0], 100) };
    assert_eq!(pulses.takes(&table, &beyond, Slot(1), WOULD_STATE, at(3_600_000)), Taken::Refused);
    let max = Pulse { index: (1 << 30) - 1, ..beyond };
    assert_eq!(pulses.takes(&table, &max, Slot(1), WOULD_STATE, at(3_600_000)), Taken::Refused);
}

#[test]
fn a_link_whose_far_pulse_was_wrong_brings_no_other_for_a_minute_and_others_may() {
    let speakers = [Speaker::new(1)];
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let mut wrong = pulse(&speakers[0], 90);
    wrong.value[0] ^= 1;
    let now = at(460_000);
    assert_eq!(pulses.takes(&table, &wrong, Slot(1), WOULD_STATE, now), Taken::Waits);
    assert!(matches!(pulses.works(now.mono)[..], [Found::False { .. }]));
    let right = pulse(&speakers[0], 90);
    assert_eq!(pulses.takes(&table, &right, Slot(1), WOULD_STATE, now), Taken::Refused);
    assert_eq!(pulses.takes(&table, &right, Slot(2), WOULD_STATE, now), Taken::Waits);
    assert!(is_true(&pulses.works(now.mono), 90));
    let later = at(460_000 + 60_000);
    assert_eq!(pulses.takes(&table, &right, Slot(1), WOULD_STATE, later), Taken::Waits);
}

#[test]
fn a_flood_waits_in_a_bounded_line_and_a_turn_has_a_bound() {
    let speakers = [Speaker::new(1)];
    let (table, mut pulses) = (known(&speakers), Pulses::default());
    let now = at(500_000);
    for number in 0..3 * FAR_PULSES {
        let mut wrong = pulse(&speakers[0], 100);
        wrong.value[..8].copy_from_slice(&(number as u64).to_le_bytes());
        pulses.takes(&table, &wrong, Slot((number % 200) as u8), WOULD_STATE, now);
    }
    let mut recount = crate::protocol::check::Recount::default();
    pulses.check(&mut recount);
    assert_eq!(recount.complaints(), Vec::<String>::new());
    // A hundred hashes each: some 150 a turn. Of each link one is worked on, and the others are left when it was wrong.
    let (mut turns, mut found) = (0, 0);
    while pulses.is_waiting() {
        turns += 1;
        let now_found = pulses.works(now.mono).len();
        assert!(now_found <= 151, "{now_found}");
        found += now_found;
    }
    assert_eq!((turns, found), (2, 200));
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
        assert_eq!(pulses.takes(&table, &pulse(speaker, 10), Slot(1), WOULD_STATE, now), Taken::Waits);
        let found = pulses.works(now.mono);
        assert!(is_true(&found, 10) && found.len() == 1, "{found:?}");
    }
    let mut wrong = pulse(&first, 10);
    wrong.value[0] ^= 1;
    pulses.takes(&table, &wrong, Slot(1), WOULD_STATE, now);
    let found = pulses.works(now.mono);
    assert_eq!(found, [Found::False { key: first.key(), slot: Slot(1), hashes: 20 }], "once, for both ways");
}
