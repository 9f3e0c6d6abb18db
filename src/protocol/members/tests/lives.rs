//! States and leases.

use super::super::life::{Life, Look, MemberState, Of, Sign};
use super::{START_S, at, secs};
use crate::protocol::{FailedWhy, Mono};

const LOOK: Look = Look { would_state: 5, fit: true, linked: false };

/// The sign of an epoch that ends so many seconds after the start, seen then.
fn sign(ends: u64, seen_ms: u64) -> Sign {
    Sign { epoch_ends_ms: (START_S + ends) * 1000, seen: at(seen_ms).mono, stated: 5 }
}

/// Looks whenever it is due until a time, and gives when it was asked for and when the state changed, milliseconds.
fn until(
    life: &mut Life,
    from_ms: u64,
    to_ms: u64,
    look: impl Fn(u64) -> Look,
) -> (Vec<u64>, Vec<(u64, MemberState)>) {
    let (mut asks, mut changes, mut now) = (Vec::new(), Vec::new(), from_ms);
    while now <= to_ms {
        let looked = life.look(look(now), at(now));
        if looked.ask {
            asks.push(now);
        }
        if looked.changed {
            changes.push((now, life.state()));
        }
        assert!(looked.again > at(now).mono, "it looks again later");
        now = (looked.again.as_nanos()).div_ceil(1_000_000);
    }
    (asks, changes)
}

#[test]
fn a_lease_ends_after_three_and_a_half_periods_and_three_asks() {
    let mut life = Life::new(at(0));
    assert!(life.hears(sign(5, 0), Of::Present, LOOK.would_state, at(0)));
    assert!(
        !life.hears(sign(5, 1_000), Of::Present, LOOK.would_state, at(1_000)),
        "the same epoch is no newer sign"
    );
    let (asks, changes) = until(&mut life, 0, 20_000, |_| LOOK);
    assert_eq!(asks, [10_000, 12_500, 15_000]);
    assert_eq!(changes, [(17_500, MemberState::Failed(FailedWhy::Lease))]);
    // A newer sign brings it back, an older one does not.
    assert!(!life.hears(sign(4, 21_000), Of::Present, LOOK.would_state, at(21_000)));
    assert!(life.hears(sign(25, 21_000), Of::Present, LOOK.would_state, at(21_000)));
    assert_eq!(life.state(), MemberState::Alive);
}

#[test]
fn each_sign_begins_a_lease_of_its_own() {
    let mut life = Life::new(at(0));
    for epoch in 0..20 {
        life.hears(sign(5 + 5 * epoch, epoch * 5_000), Of::Present, LOOK.would_state, at(epoch * 5_000));
        let (asks, changes) = until(&mut life, epoch * 5_000, epoch * 5_000 + 4_999, |_| LOOK);
        assert_eq!((asks.len(), changes.len()), (0, 0));
    }
}

#[test]
fn who_can_not_judge_says_stale_and_later_failed() {
    let mut life = Life::new(at(0));
    life.hears(sign(5, 0), Of::Present, LOOK.would_state, at(0));
    let fit_from = 40_000;
    let (_, changes) = until(&mut life, 0, 60_000, |now| Look { fit: now >= fit_from, linked: true, ..LOOK });
    let states: Vec<_> = changes.iter().map(|(_, state)| *state).collect();
    assert_eq!(states, [MemberState::Stale, MemberState::Failed(FailedWhy::Stalled)]);
    assert_eq!(changes[0].0, 17_500);
    assert!((fit_from..fit_from + 2_500).contains(&changes[1].0), "{changes:?}");
}

#[test]
fn who_was_not_asked_for_in_vain_is_not_failed() {
    let mut life = Life::new(at(0));
    life.hears(sign(5, 0), Of::Present, LOOK.would_state, at(0));
    // Nobody looked until the lease was over: the node was busy, or has just heard of a lease that ends at once.
    let looked = life.look(LOOK, at(30_000));
    assert!(looked.changed && looked.ask);
    assert_eq!(life.state(), MemberState::Stale);
    let (asks, changes) = until(&mut life, 30_000, 60_000, |_| LOOK);
    assert_eq!(asks.len(), 3);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].0 >= 30_000 + 3 * 2_500, "{changes:?}");
}

#[test]
fn a_pulse_that_was_held_back_holds_no_longer_than_its_epoch_says() {
    // It comes 45 s after its epoch ended: a lease and half a minute later nothing is left of it.
    let mut life = Life::new(at(0));
    assert!(life.hears(sign(5, 50_000 - 5_000), Of::Present, LOOK.would_state, at(45_000)));
    let (_, changes) = until(&mut life, 45_000, 80_000, |_| LOOK);
    let over = 5_000 + 17_500 + 30_000;
    assert_eq!(changes.first().map(|(at, _)| *at), Some(over));
    let mut life = Life::new(at(0));
    assert!(
        !life.hears(sign(5, 60_000), Of::Present, LOOK.would_state, at(60_000)),
        "that is no sign any more"
    );
    assert_eq!(life.state(), MemberState::Unknown);
}

#[test]
fn a_pulse_of_a_time_to_come_holds_no_longer_than_any_other() {
    let mut life = Life::new(at(0));
    life.hears(sign(65, 0), Of::Present, LOOK.would_state, at(0));
    let (_, changes) = until(&mut life, 0, 30_000, |_| LOOK);
    assert_eq!(changes, [(17_500, MemberState::Failed(FailedWhy::Lease))]);
}

#[test]
fn who_left_or_was_convicted_comes_back_by_its_own_word_or_never() {
    let mut life = Life::new(at(0));
    life.hears(sign(5, 0), Of::Present, LOOK.would_state, at(0));
    assert!(life.leaves(at(1_000)) && !life.leaves(at(1_000)));
    assert!(
        !life.hears(sign(10, 5_000), Of::Present, LOOK.would_state, at(5_000)),
        "a pulse that was on its way"
    );
    assert_eq!((life.state(), life.since_ms()), (MemberState::Left, START_S * 1000 + 1_000));
    assert!(life.comes_back(sign(15, 10_000), LOOK.would_state, at(10_000)));
    assert!(life.is_convicted(at(11_000)) && !life.is_convicted(at(11_000)));
    assert!(!life.hears(sign(20, 15_000), Of::Present, LOOK.would_state, at(15_000)));
    assert!(!life.leaves(at(16_000)));
    assert_eq!(life.state(), MemberState::Failed(FailedWhy::Convicted));
    let forgotten = (0..).map(|hour| 11_000 + hour * 3_600_000).find(|now| life.look(LOOK, at(*now)).forget);
    assert_eq!(forgotten, Some(11_000 + 24 * 3_600_000));
    assert_eq!(life.look(LOOK, at(11_000)).again, Mono::from_nanos(11_000_000_000).plus(secs(86_400)));
}

/// The network has shrunk, and a member states a shorter period: what its old chain gave holds on, and each pulse of the new one counts.
#[test]
fn a_shorter_period_takes_nothing_back_and_its_pulses_count() {
    let long = |ends, seen| Sign { stated: 100, ..sign(ends, seen) };
    let mut life = Life::new(at(0));
    life.hears(long(100, 1_000), Of::New, 5, at(1_000));
    // The record of the new chain, 20 s later, whose epoch ends long before that of the last pulse.
    assert!(!life.hears(sign(25, 21_000), Of::New, 5, at(21_000)));
    let (_, changes) = until(&mut life, 21_000, 350_000, |_| LOOK);
    assert_eq!(changes, [], "the old lease holds");
    let mut life = Life::new(at(0));
    life.hears(long(100, 1_000), Of::New, 5, at(1_000));
    life.hears(sign(25, 21_000), Of::New, 5, at(21_000));
    for epoch in 5..200 {
        let now = epoch * 5_000;
        life.hears(sign(5 * epoch + 5, now), Of::Present, 5, at(now));
        // Until then the old chain is revealed too.
        if now < 350_000 {
            life.hears(long(now / 1000 / 100 * 100 + 100, now), Of::Before, 5, at(now));
        }
        let (_, changes) = until(&mut life, now, now + 4_999, |_| LOOK);
        assert_eq!(changes, [], "at {now}");
    }
    assert_eq!(life.state(), MemberState::Alive);
}

#[test]
fn who_comes_back_by_an_old_record_is_unknown_until_it_gives_a_sign() {
    let mut life = Life::new(at(0));
    life.hears(sign(5, 0), Of::New, 5, at(0));
    life.leaves(at(1_000));
    assert!(!life.comes_back(sign(10, 300_000), 5, at(300_000)));
    assert_eq!(life.state(), MemberState::Unknown);
    assert!(life.hears(sign(305, 301_000), Of::Present, 5, at(301_000)));
    assert_eq!(life.state(), MemberState::Alive);
}
