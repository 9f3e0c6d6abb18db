//! Which record is passed on when.

use super::super::pace::Pace;
use super::at;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::Mono;
use crate::protocol::limits::{RECORDS_AT_ONCE, RECORDS_PER_S};
use crate::rumor::BundleId;

fn key(number: u16) -> PublicKey {
    let mut seed = [9; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed).public()
}

fn id(number: u16) -> BundleId {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&number.to_le_bytes());
    BundleId::from_bytes(id)
}

fn mono(millis: u64) -> Mono {
    at(millis).mono
}

/// What goes at a time, all being held.
fn goes(pace: &mut Pace, millis: u64) -> Vec<BundleId> {
    pace.lets_go(|_| true, mono(millis)).go
}

/// A newer record of a member is known, and comes to be passed on.
fn says(pace: &mut Pace, key: PublicKey, id: BundleId, millis: u64) -> bool {
    pace.supersedes(&key, id);
    pace.comes(key, id, mono(millis))
}

#[test]
fn four_records_of_a_key_go_at_once_and_then_one_a_minute_the_newest() {
    let (mut pace, key) = (Pace::default(), key(1));
    for number in 0..4 {
        assert!(says(&mut pace, key, id(number), 100));
    }
    assert!(!says(&mut pace, key, id(4), 200));
    assert!(pace.waits(&key, &id(4)) && !pace.waits(&key, &id(3)));
    // It takes the place of what waits, whether it came to be passed on or by repair.
    assert!(pace.supersedes(&key, id(5)) && !pace.supersedes(&key, id(5)));
    assert!(!says(&mut pace, key, id(6), 300));
    assert_eq!(pace.due(), Some(mono(60_100)));
    assert_eq!(goes(&mut pace, 60_099), []);
    assert_eq!(goes(&mut pace, 60_100), [id(6)]);
    assert_eq!((goes(&mut pace, 500_000), pace.due()), (vec![], None), "once");
    // Who has been silent for long may begin anew.
    let at_once = (0..9).filter(|number| says(&mut pace, key, id(10 + number), 600_000)).count();
    assert_eq!(at_once, 4);
    assert_eq!(goes(&mut pace, 660_000), [id(18)]);
}

#[test]
fn a_key_that_never_stops_has_its_burst_and_one_a_minute() {
    let (mut pace, key) = (Pace::default(), key(1));
    let (mut passed, mut last) = (Vec::new(), id(0));
    for tenth in 0..36_000u16 {
        let millis = u64::from(tenth) * 100;
        last = id(tenth);
        if says(&mut pace, key, last, millis) {
            passed.push(last);
        }
        passed.extend(goes(&mut pace, millis));
        let mut recount = crate::protocol::check::Recount::default();
        pace.check(|_| Some(last), &mut recount);
        assert_eq!(recount.complaints(), Vec::<String>::new());
    }
    assert_eq!(passed.len(), 4 + 59);
    assert_eq!(goes(&mut pace, 3_700_000), [last], "what was said last is passed on in the end");
}

#[test]
fn all_keys_together_have_a_burst_and_a_rate() {
    let mut pace = Pace::default();
    let at_once = (0..3_000).filter(|number| says(&mut pace, key(*number), id(*number), 0)).count() as u64;
    assert_eq!(at_once, RECORDS_AT_ONCE);
    let mut passed = 0;
    for tenth in 1..=600 {
        let now = goes(&mut pace, tenth * 100).len() as u64;
        assert!(now <= 1, "{now}");
        passed += now;
    }
    assert_eq!(passed, 60 * RECORDS_PER_S);
    // An alarm for each, and none that finds nothing.
    let mut turns = 0;
    while let Some(due) = pace.due() {
        turns += 1;
        assert!(!pace.lets_go(|_| true, due).go.is_empty());
    }
    assert_eq!(turns + passed + at_once, 3_000, "each goes in the end");
}

/// All keys have used up their own bursts to another degree, and those of all are used up.
#[test]
fn first_records_come_first_and_then_keys_of_which_fewest_were_passed_on() {
    let mut pace = Pace::default();
    let mut number = 1_000;
    for (member, before) in [(1, 3), (2, 1), (3, 2)] {
        for _ in 0..before {
            number += 1;
            assert!(says(&mut pace, key(member), id(number), 0));
        }
    }
    let mut fresh = 10_000;
    while says(&mut pace, key(fresh), id(fresh), 0) {
        fresh += 1;
    }
    // (That one waits, and is new.)
    for member in [1, 2, 3, 4] {
        assert!(!says(&mut pace, key(member), id(member), 0));
    }
    let order: Vec<_> = (1..=5).flat_map(|tenth| goes(&mut pace, tenth * 100)).collect();
    // (The fourth turn is that of whoever has waited longest, the least key of those that came at one time.)
    assert_eq!(order.len(), 5);
    assert!(order[..2].contains(&id(fresh)) && order[..2].contains(&id(4)), "new ones: {order:?}");
    assert_eq!(order[2], id(2), "one of it was passed on before");
    // What was passed on counts for ten minutes.
    assert!(!says(&mut pace, key(2), id(20), 500) && !says(&mut pace, key(fresh), id(21), 500));
}

#[test]
fn records_of_ever_new_keys_keep_no_other_waiting_without_end() {
    let mut pace = Pace::default();
    let known = key(0);
    assert!(says(&mut pace, known, id(0), 0));
    let mut fresh = 1;
    while says(&mut pace, key(fresh), id(fresh), 0) {
        fresh += 1;
    }
    assert!(!says(&mut pace, known, id(60_000), 0));
    // Ten new keys a second, and as many turns.
    let mut went = None;
    for tenth in 1..100 {
        fresh += 1;
        says(&mut pace, key(fresh), id(fresh), tenth * 100 - 50);
        if goes(&mut pace, tenth * 100).contains(&id(60_000)) {
            went = Some(tenth);
            break;
        }
    }
    assert!(went.is_some_and(|tenth| tenth <= 8), "{went:?}");
}

#[test]
fn what_a_node_says_as_it_leaves_does_not_wait_and_counts() {
    let (mut pace, key) = (Pace::default(), key(1));
    (0..5).for_each(|number| _ = says(&mut pace, key, id(number), 0));
    pace.goes_at_once(key, mono(10));
    assert_eq!(goes(&mut pace, 70_000), [], "what waited is superseded");
    assert!(!says(&mut pace, key, id(6), 70_000));
    assert_eq!(pace.due(), Some(mono(120_000)));
}

#[test]
fn what_is_held_no_more_takes_no_turn_and_who_is_forgotten_none() {
    let mut pace = Pace::default();
    for member in [1, 2] {
        (0..5).for_each(|number| _ = says(&mut pace, key(member), id(100 * member + number), 0));
    }
    let turn = pace.lets_go(|held| *held != id(104), mono(60_000));
    assert_eq!((turn.go, turn.gone), (vec![id(204)], vec![key(1)]));
    assert!(says(&mut pace, key(1), id(105), 60_001), "its turn is left");
    assert!(!says(&mut pace, key(2), id(205), 60_001));
    assert!(pace.forget(&key(2)) && !pace.forget(&key(1)));
    assert_eq!(goes(&mut pace, 1_000_000), []);
}
