//! Fetches without a world.

use super::*;
use crate::key::PublicKey;
use crate::protocol::limits::FETCHES_OF_LINK;
use crate::rumor::BundleId;
use crate::wire::Head;

const LINK: Slot = Slot(3);
const TOPIC: TopicId = TopicId::from_bytes([9; 32]);

fn now(millis: u64) -> Mono {
    Mono::from_nanos(1_000_000_000_000 + millis * 1_000_000)
}

fn asked(tick: u64) -> (Missing, FetchedRange) {
    let (author, id) = (PublicKey::from_bytes([1; 32]), BundleId::from_bytes([2; 32]));
    let missing = Missing::of_head(&Head { tick, slot: 5, author, id });
    let from = Mark { tick: tick - 10, slot: 0 };
    (missing, FetchedRange { author, from, upto: missing.position() })
}

fn at_position(author: u8, tick: u64, slot: u16) -> Missing {
    let (author, id) = (PublicKey::from_bytes([author; 32]), BundleId::from_bytes([3; 32]));
    Missing::of_head(&Head { tick, slot, author, id })
}

fn begin(fetches: &mut Fetches, slot: Slot, number: u32, at: Mono) {
    fetches.begin(slot, number, TOPIC, vec![asked(100), asked(200)], 1_000, at);
}

fn take(fetches: &mut Fetches, tick: u64, slot: u16, len: usize, at: Mono) -> Option<usize> {
    let covered = fetches.takes(LINK, &TOPIC, &at_position(1, tick, slot), len, at, |_| false);
    covered.map(|covered| covered.beyond)
}

#[test]
fn only_what_this_link_was_asked_for_is_taken_and_what_is_beyond_is_said() {
    let mut fetches = Fetches::default();
    begin(&mut fetches, LINK, 1, now(0));
    for (tick, slot, taken) in [
        (89, 9, None),
        (90, 0, Some(0)),
        (100, 5, Some(0)),
        (100, 6, None),
        (150, 0, None),
        (195, 1, Some(0)),
    ] {
        assert_eq!(take(&mut fetches, tick, slot, 300, now(1)), taken, "{tick}/{slot}");
    }
    assert_eq!(take(&mut fetches, 196, 0, 300, now(1)), Some(300), "1 200 bytes, where 1 000 were asked for");
    let (bundle, other_topic) = (at_position(1, 95, 0), TopicId::from_bytes([8; 32]));
    assert!(fetches.takes(LINK, &other_topic, &bundle, 1, now(1), |_| true).is_none());
    assert!(fetches.takes(Slot(4), &TOPIC, &bundle, 1, now(1), |_| true).is_none());
    assert!(fetches.takes(LINK, &TOPIC, &at_position(7, 95, 0), 1, now(1), |_| true).is_none());
    let ended = fetches.end(LINK, 1, now(2)).unwrap();
    assert!(ended.ranges().map(|(missing, _)| *missing).eq([asked(100).0, asked(200).0]));
    assert_eq!((ended.bytes(), take(&mut fetches, 95, 0, 1, now(3))), (1_200, None));
}

#[test]
fn one_bundle_may_always_be_sent_however_large() {
    let mut fetches = Fetches::default();
    begin(&mut fetches, LINK, 1, now(0));
    assert_eq!(take(&mut fetches, 95, 0, 60_000, now(1)), Some(0));
    assert_eq!(take(&mut fetches, 96, 0, 1, now(1)), Some(1));
}

#[test]
fn fetches_under_way_are_bounded_for_each_link_and_in_all() {
    let mut fetches = Fetches::default();
    let mut number = 0;
    for slot in (0..100).map(Slot) {
        while fetches.free(slot, FETCHES_OF_LINK, now(0)) > 0 {
            number += 1;
            begin(&mut fetches, slot, number, now(0));
        }
    }
    assert_eq!((fetches.under_way(), fetches.lines.len()), (MAX_FETCHES, MAX_FETCHES / FETCHES_OF_LINK));
    assert_eq!(fetches.under_way_in(&TOPIC), MAX_FETCHES);
    fetches.forget_link(Slot(0));
    assert_eq!(fetches.free(Slot(99), FETCHES_OF_LINK, now(0)), 2);
    assert_eq!(fetches.free(Slot(99), 1, now(0)), 1);
    fetches.forget_topic(&TOPIC);
    assert_eq!((fetches.under_way(), fetches.lines.len()), (0, 0));
}

#[test]
fn a_silent_link_and_a_trickle_are_slow_and_one_that_we_do_not_read_is_not() {
    let mut fetches = Fetches::default();
    assert_eq!(fetches.pace_of(LINK, true, now(0)), Pace::Idle);
    begin(&mut fetches, LINK, 1, now(0));
    assert_eq!(fetches.pace_of(LINK, true, now(1_999)), Pace::Fine(now(2_000)));
    assert_eq!(fetches.pace_of(LINK, true, now(2_000)), Pace::Slow);
    assert_eq!(fetches.pace_of(LINK, false, now(2_000)), Pace::Fine(now(4_000)));
    // A frame each second and a half.
    for at in [3_000, 4_500, 5_900] {
        take(&mut fetches, 95, 0, 20_000, now(at));
        assert!(matches!(fetches.pace_of(LINK, true, now(at)), Pace::Fine(_)));
    }
    assert_eq!(fetches.pace_of(LINK, true, now(6_000)), Pace::Slow, "60 kB in four seconds");
    take(&mut fetches, 95, 0, 20_000, now(6_000));
    assert!(matches!(fetches.pace_of(LINK, true, now(6_000)), Pace::Fine(_)), "80 kB");
}

#[test]
fn what_a_link_brings_after_it_was_left_is_taken() {
    let mut fetches = Fetches::default();
    begin(&mut fetches, LINK, 7, now(0));
    let left = fetches.leave(LINK, now(2_000), |_, missing| missing.position().tick == 200);
    assert_eq!(left, [(7, TOPIC, vec![asked(100).0, asked(200).0])]);
    assert_eq!((fetches.under_way(), fetches.free(LINK, 2, now(2_001))), (0, 0));
    assert_eq!(take(&mut fetches, 95, 0, 10, now(299_999)), Some(0));
    assert_eq!(fetches.free(LINK, 2, now(12_000)), 2);
    let bundle = at_position(1, 95, 0);
    let mut late = |open| fetches.takes(LINK, &TOPIC, &bundle, 1, now(300_000), |_| open);
    assert!(late(false).is_none() && late(true).is_some(), "after five minutes only what is still missing");
    fetches.expire(now(300_000));
    assert!(fetches.lines.is_empty());
}

#[test]
fn a_link_that_nobody_can_stand_in_for_has_a_minute_and_no_place() {
    let mut fetches = Fetches::default();
    begin(&mut fetches, LINK, 7, now(0));
    assert!(fetches.leave(LINK, now(2_000), |_, _| false).is_empty());
    assert_eq!((fetches.under_way(), fetches.free(LINK, 2, now(50_000))), (0, 0));
    assert!(fetches.expire(now(59_999)).is_empty());
    let gaps = vec![asked(100).0, asked(200).0];
    assert_eq!(fetches.expire(now(60_000)), [(LINK, 7, TOPIC, gaps)]);
    assert!(fetches.expire(now(60_001)).is_empty());
}

#[test]
fn fetches_that_are_remembered_of_a_link_are_bounded() {
    let mut fetches = Fetches::default();
    let mut at = 0;
    for number in 0..2 * FETCHES_REMEMBERED as u32 {
        if fetches.free(LINK, 1, now(at)) > 0 {
            begin(&mut fetches, LINK, number, now(at));
            fetches.leave(LINK, now(at), |_, _| true);
        }
        at += 10_000;
    }
    assert_eq!(fetches.lines[&LINK].fetches.len(), FETCHES_REMEMBERED);
}
