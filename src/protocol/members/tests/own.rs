//! What a node says of itself.

use bytes::Bytes;

use super::super::MemberSetup;
use super::super::own::Own;
use super::{START_S, Speaker, at, tick};
use crate::protocol::Now;
use crate::protocol::random::Random;
use crate::rumor::{Beacon, ChainCheck, ChainPoint, Descent, MemberRecord};

fn own(speaker: &Speaker) -> Own {
    let address = "[::ffff:192.0.2.1]:4433".parse().unwrap();
    let setup = MemberSetup::new([address], Bytes::from_static(b"role=web"));
    Own::new(speaker.key(), START_S * 1000, setup, at(0).mono)
}

fn beacon(record: Option<MemberRecord>) -> Beacon {
    match record {
        Some(MemberRecord::Beacon(beacon)) => beacon,
        other => panic!("{other:?}"),
    }
}

/// Takes what is due whenever it is, until a time; gives the pulses with when each was revealed.
fn pulses(
    own: &mut Own,
    random: &mut Random,
    from: u64,
    to: u64,
    clock: impl Fn(u64) -> Now,
) -> Vec<(u64, u32, [u8; 16])> {
    let (mut out, mut now) = (Vec::new(), from);
    while now <= to {
        if own.takes_record(5, random, clock(now)).is_some() {
            own.said(true, clock(now).mono);
        }
        out.extend(own.takes_pulses(clock(now)).iter().map(|(_, pulse)| (now, pulse.index, pulse.value)));
        now = own.due().as_nanos().div_ceil(1_000_000).max(now + 1);
    }
    out
}

#[test]
fn it_reveals_one_pulse_an_epoch_each_of_the_chain_of_its_beacon() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    let beacon = beacon(own.takes_record(5, &mut random, at(0)));
    assert_eq!(own.takes_record(5, &mut random, at(0)), None, "one at a time");
    own.said(true, at(0).mono);
    assert!(MemberRecord::Beacon(beacon.clone()).fits(tick(0)).is_ok());
    assert_eq!(beacon.addresses, ["192.0.2.1:4433".parse().unwrap()], "as an IPv4 address");
    assert_eq!((beacon.chain.epoch_s, beacon.chain.len), (5, 4_096));
    let said = pulses(&mut own, &mut random, 0, 100_000, at);
    assert!((18..=20).contains(&said.len()), "{}", said.len());
    for (when, index, value) in &said {
        let claimed = ChainPoint { index: *index as u16, value: *value };
        let mut descent = Descent::new(claimed, beacon.chain.known()).unwrap();
        assert_eq!(descent.go(&speaker.key(), u16::MAX), ChainCheck::True(claimed));
        // Never ahead of its clock, and in its epoch.
        let epoch = beacon.chain.epoch_of(*index as u16);
        assert_eq!(beacon.chain.epoch_at(at(*when).unix_ms / 1000), epoch);
    }
    let indices: Vec<_> = said.iter().map(|(_, index, _)| *index).collect();
    assert!(indices.windows(2).all(|two| two[1] == two[0] + 1), "{indices:?}");
}

/// In a network of a thousand an epoch lasts 100 s, and half of the chains begin in one whose own point is still to come.
#[test]
fn a_member_of_a_large_network_says_its_record_once_and_then_one_pulse_an_epoch() {
    for number in 0..20 {
        let speaker = Speaker::new(number);
        let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
        let (mut records, mut pulses, mut now) = (0, Vec::new(), u64::from(number) * 5_000);
        while now <= 1_000_000 {
            if own.takes_record(100, &mut random, at(now)).is_some() {
                own.said(true, at(now).mono);
                records += 1;
            }
            pulses.extend(own.takes_pulses(at(now)).iter().map(|_| now));
            now = own.due().as_nanos().div_ceil(1_000_000).max(now + 1);
        }
        assert_eq!(records, 1, "member {number}");
        assert!(pulses[0] <= 200_000 && pulses.len() >= 8, "{pulses:?}");
        assert!(pulses.windows(2).all(|two| two[1] - two[0] == 100_000), "{pulses:?}");
    }
}

#[test]
fn other_metadata_keep_the_chain_and_a_failure_is_tried_again() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    let first = beacon(own.takes_record(5, &mut random, at(0)));
    assert!(own.describe(Bytes::from_static(b"two"), at(10).mono), "while the first is under way");
    assert!(!own.describe(vec![0; 513].into(), at(10).mono), "too long");
    assert_eq!(own.takes_record(5, &mut random, at(20)), None);
    own.said(true, at(30).mono);
    let second = beacon(own.takes_record(5, &mut random, at(30)));
    assert_eq!((second.chain, &second.metadata[..]), (first.chain, &b"two"[..]));
    own.said(false, at(40).mono);
    assert_eq!(own.takes_record(5, &mut random, at(41)), None);
    let again = beacon(own.takes_record(5, &mut random, at(5_040)));
    assert_eq!(again, second);
    own.said(true, at(5_050).mono);
    own.leave(at(6_000).mono);
    assert!(own.is_leaving() && !own.is_said());
    assert_eq!(
        own.takes_record(5, &mut random, at(6_000)),
        Some(MemberRecord::Leave { boot_ms: START_S * 1000 })
    );
    own.said(true, at(6_010).mono);
    assert!(own.is_said() && own.takes_pulses(at(60_000)).is_empty(), "it gives no more signs");
}

#[test]
fn a_period_that_is_far_off_is_stated_anew_and_both_chains_are_revealed_for_a_while() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    let first = beacon(own.takes_record(5, &mut random, at(0)));
    own.said(true, at(0).mono);
    // The network has grown; within ten minutes it says so.
    let restated = (0..=600).find_map(|second| {
        let record = own.takes_record(100, &mut random, at(second * 1000));
        own.takes_pulses(at(second * 1000));
        record.map(|record| (second, beacon(Some(record))))
    });
    let (second, restated) = restated.unwrap();
    own.said(true, at(second * 1000).mono);
    assert_eq!((restated.chain.epoch_s, restated.chain.len), (100, 864));
    assert_ne!(restated.chain.anchor, first.chain.anchor);
    let later = (second + 1..second + 400).map(|second| own.takes_pulses(at(second * 1000)).len());
    let later: Vec<_> = later.filter(|pulses| *pulses > 0).collect();
    assert!(later.first() == Some(&2) && later.last() == Some(&1), "{later:?}");
}

#[test]
fn a_clock_that_was_ahead_for_a_while_ends_in_a_new_chain() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    own.takes_record(5, &mut random, at(0));
    own.said(true, at(0).mono);
    // For twenty seconds the wall clock is ten minutes ahead.
    let clock = |now: u64| {
        let ahead = if (20_000..40_000).contains(&now) { 600_000 } else { 0 };
        Now { unix_ms: at(now).unix_ms + ahead, ..at(now) }
    };
    let said = pulses(&mut own, &mut random, 0, 120_000, clock);
    let after: Vec<_> = said.iter().filter(|(now, ..)| *now >= 60_000).collect();
    assert!(after.len() >= 10, "it is heard again: {said:?}");
}

/// With long epochs one that was revealed too early begins a long time ahead, and what follows it would be refused, too.
#[test]
fn a_member_of_a_large_network_whose_clock_was_ahead_is_heard_again() {
    for (number, ahead_s) in
        (0..20).flat_map(|number| [20, 50, 110, 210, 300, 600].map(|ahead| (number, ahead)))
    {
        let speaker = Speaker::new(number);
        let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
        let clock = |now: u64| {
            let ahead = if (300_000..420_000).contains(&now) { ahead_s * 1_000 } else { 0 };
            Now { unix_ms: at(now).unix_ms + ahead, ..at(now) }
        };
        // What others take: a record, and a pulse that is at most a minute ahead.
        let (mut signs, mut records, mut now) = (Vec::new(), 0, 0);
        while now <= 2_000_000 {
            if own.takes_record(100, &mut random, clock(now)).is_some() {
                own.said(true, clock(now).mono);
                signs.push(now);
                records += 1;
            }
            let pulses = own.takes_pulses(clock(now));
            let right = at(now).unix_ms / 1000;
            let is_taken = |(terms, pulse): &(crate::rumor::ChainTerms, crate::wire::Pulse)| {
                terms.starts(terms.epoch_of(pulse.index as u16)) <= right + 60
            };
            signs.extend(pulses.iter().any(is_taken).then_some(now));
            now = own.due().as_nanos().div_ceil(1_000_000).max(now + 1);
        }
        let gap = signs.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!(gap < 350_000, "member {number}, {ahead_s} s ahead: nothing for {gap} ms");
        assert!(signs.last().is_some_and(|last| *last > 1_850_000), "member {number}, {ahead_s} s ahead");
        assert!(records <= 4, "member {number}, {ahead_s} s ahead: {records} records");
    }
}

#[test]
fn it_knows_its_own_pulses_that_it_has_not_revealed() {
    let speaker = Speaker::new(1);
    let begun = || {
        let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
        own.takes_record(5, &mut random, at(0));
        own.said(true, at(0).mono);
        own
    };
    // A copy of the process and its memory, whose clock is ahead.
    let (mut one, mut copy) = (begun(), begun());
    let said = one.takes_pulses(at(50_000));
    assert!(!said.is_empty() && !one.foresees(&said[0].1), "it has said that itself");
    let ahead = copy.takes_pulses(at(70_000));
    assert!(one.foresees(&ahead[0].1));
    assert!(!one.foresees(&crate::wire::Pulse { value: [7; 16], ..ahead[0].1 }));
}

#[test]
fn who_only_looks_says_nothing() {
    let speaker = Speaker::new(1);
    let setup = MemberSetup { observes: true, ..MemberSetup::default() };
    let mut own = Own::new(speaker.key(), 1, setup, at(0).mono);
    own.leave(at(1).mono);
    assert_eq!(own.takes_record(5, &mut Random::new(&[1; 32]), at(2)), None);
    assert!(own.takes_pulses(at(60_000)).is_empty() && !own.is_leaving() && own.due() > at(1 << 40).mono);
}

#[test]
fn a_clock_that_is_set_back_a_little_does_not_silence_its_member() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    own.takes_record(5, &mut random, at(0));
    own.said(true, at(0).mono);
    let clock = |now: u64| {
        let back = if now < 50_000 { 0 } else { 30_000 };
        Now { unix_ms: at(now).unix_ms - back, ..at(now) }
    };
    let said = pulses(&mut own, &mut random, 0, 150_000, clock);
    let gaps: Vec<_> = said.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap <= 10_100), "{gaps:?}");
    let indices: Vec<_> = said.iter().map(|(_, index, _)| *index).collect();
    assert!(indices.windows(2).all(|two| two[1] == two[0] + 1), "{indices:?}");
}

#[test]
fn who_has_left_waits_for_nothing_and_who_leaves_tries_soon_again() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    own.takes_record(5, &mut random, at(0));
    own.said(true, at(1).mono);
    own.leave(at(10).mono);
    own.takes_record(5, &mut random, at(10));
    own.said(false, at(20).mono);
    assert!(own.takes_record(5, &mut random, at(119)).is_none());
    assert!(matches!(own.takes_record(5, &mut random, at(120)), Some(MemberRecord::Leave { .. })));
    own.said(true, at(130).mono);
    assert!(own.is_said() && own.due() > at(1 << 40).mono);
}

#[test]
fn who_has_said_nothing_yet_leaves_without_a_word() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    own.takes_record(5, &mut random, at(0));
    own.leave(at(10).mono);
    own.said(false, at(20).mono);
    assert!(!own.is_leaving() && own.takes_record(5, &mut random, at(60_000)).is_none());
}

/// The monotonic clock stands still in a suspended machine.
#[test]
fn who_slept_for_longer_than_its_chain_lasts_gives_signs_again() {
    let speaker = Speaker::new(1);
    let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
    let clock = |now: u64| {
        let slept = if now < 600_000 { 0 } else { 6 * 3_600_000 };
        Now { unix_ms: at(now).unix_ms + slept, ..at(now) }
    };
    let said = pulses(&mut own, &mut random, 0, 700_000, clock);
    let after = said.iter().filter(|(now, ..)| *now >= 606_000).count();
    assert!((17..=20).contains(&after), "{after}");
}

#[test]
fn a_record_that_waited_for_the_clock_to_be_right_fits_its_time() {
    let speaker = Speaker::new(1);
    for days in [-2_i64, 2] {
        let (mut own, mut random) = (own(&speaker), Random::new(&[1; 32]));
        let off = Now { unix_ms: at(0).unix_ms.saturating_add_signed(days * 86_400_000), ..at(0) };
        own.takes_record(5, &mut random, off).unwrap();
        // It has no link yet.
        own.said(false, off.mono);
        let said = beacon(own.takes_record(5, &mut random, at(5_000)));
        assert!(MemberRecord::Beacon(said).fits(tick(5)).is_ok(), "{days} days");
    }
}
