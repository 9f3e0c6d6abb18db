//! Turns without a world.

use super::*;

fn now(millis: u64) -> Mono {
    Mono::from_nanos(1_000_000_000_000 + millis * 1_000_000)
}

fn turns(links: u8) -> (Turns, Random) {
    let mut dice = Random::new(&[1; 32]);
    let mut turns = Turns::new(&mut dice, now(0));
    (0..links).for_each(|slot| assert!(turns.enters(Slot(slot), now(0))));
    (turns, dice)
}

/// Begins what may begin now, and gives places.
fn begin(turns: &mut Turns, dice: &mut Random, at: u64) -> Vec<(u8, Why)> {
    let mut begun = Vec::new();
    while let Some((slot, why, _)) = turns.begins(|_| true, dice, now(at)) {
        assert!(turns.is_free(why, now(at)) || why == Why::Rotation);
        turns.takes_place(slot, why);
        begun.push((slot.0, why));
    }
    begun
}

fn end(turns: &mut Turns, begun: &[(u8, Why)], outcome: Outcome, at: u64) {
    begun.iter().for_each(|(slot, _)| _ = turns.ended(Slot(*slot), &outcome, false, now(at)));
}

const CLEAN: Outcome = Outcome { differed: false, lacked: false, no: None, missed: false, cut: false };
const DIFFERED: Outcome = Outcome { differed: true, lacked: true, ..CLEAN };

#[test]
fn each_link_is_asked_once_at_first_as_fast_as_places_come_free() {
    let (mut turns, mut dice) = turns(10);
    let mut asked = std::collections::BTreeSet::new();
    assert!(begin(&mut turns, &mut dice, 0).is_empty(), "nodes that start together don't ask together");
    for (round, at) in [1_000, 1_100, 1_200].into_iter().enumerate() {
        let begun = begin(&mut turns, &mut dice, at);
        assert_eq!(begun.len(), if round < 2 { MAX_PLACES } else { 2 });
        assert!(!turns.first_is_over(now(at)));
        asked.extend(begun.iter().map(|(slot, _)| *slot));
        end(&mut turns, &begun, CLEAN, at + 50);
    }
    assert_eq!((asked.len(), turns.clean()), (10, 10));
    assert!(turns.first_is_over(now(1_300)) && turns.is_ready(false, now(1_300)));
    assert!(begin(&mut turns, &mut dice, 16_500).is_empty() || turns.next_due(now(16_500)).is_some());
}

/// As a link does that says again and again that it keeps the topic, and that it does not.
#[test]
fn who_steps_back_and_returns_has_the_turn_that_it_had() {
    let (mut turns, mut dice) = turns(2);
    let begun = begin(&mut turns, &mut dice, 1_000);
    end(&mut turns, &begun[..1], DIFFERED, 1_000);
    // One steps back in the middle of a session, and both return: each was asked once, and nobody is at once.
    let away = |turns: &mut Turns, slot: u8, at: u64| {
        turns.steps_back(Slot(slot), now(at));
        turns.enters(Slot(slot), now(at + 1))
    };
    assert!(!away(&mut turns, 0, 2_000) && !away(&mut turns, 1, 2_000));
    assert!(turns.first_is_over(now(2_100)));
    let mut asked = 0;
    for at in (3_000..900_000).step_by(1_000) {
        let begun = begin(&mut turns, &mut dice, at);
        end(&mut turns, &begun, DIFFERED, at);
        asked += begun.len();
        assert!(!away(&mut turns, 0, at) && !away(&mut turns, 1, at));
    }
    assert!((4..=12).contains(&asked), "{asked}: rests grow as ever");
    // It is a new one after a quarter of an hour, and where another link has its place.
    assert!(away(&mut turns, 0, 961_000));
    turns.steps_back(Slot(1), now(961_000));
    turns.leaves(Slot(1));
    assert!(turns.enters(Slot(1), now(961_001)));
}

#[test]
fn after_that_links_take_turns_each_half_a_minute_and_new_ones_come_first() {
    let (mut turns, mut dice) = turns(3);
    let begun = begin(&mut turns, &mut dice, 1_000);
    end(&mut turns, &begun, CLEAN, 1_000);
    let mut order = Vec::new();
    let mut last = None;
    for at in (16_000..600_000).step_by(500) {
        for (slot, why) in begin(&mut turns, &mut dice, at) {
            assert_eq!(why, Why::Rotation);
            if let Some(last) = last {
                let since: u64 = at - last;
                assert!((30_000..=61_000).contains(&since), "{since}");
            }
            last = Some(at);
            order.push(slot);
            end(&mut turns, &[(slot, why)], CLEAN, at);
        }
    }
    assert!(order.len() >= 9, "{order:?}");
    assert!(
        order.windows(3).all(|three| three[0] != three[1] && three[1] != three[2] && three[0] != three[2])
    );
    turns.enters(Slot(7), now(600_000));
    assert_eq!(begin(&mut turns, &mut dice, 600_000)[0].0, 7);
}

#[test]
fn slow_links_hold_two_places_while_hints_wait_and_hints_never_hold_more() {
    let (mut turns, mut dice) = turns(12);
    for slot in 0..12 {
        turns.hints(Slot(slot), 5, 1);
    }
    let begun = begin(&mut turns, &mut dice, 1_000);
    let hints = begun.iter().filter(|(_, why)| *why == Why::Hint).count();
    assert_eq!((begun.len(), hints), (MAX_PLACES, HINT_PLACES));
    turns.gives_place(Slot(begun[0].0));
    assert!(turns.is_free(begun[0].1, now(1_000)));
}

#[test]
fn a_hint_is_followed_after_five_seconds_and_the_largest_first() {
    let (mut turns, mut dice) = turns(3);
    let begun = begin(&mut turns, &mut dice, 1_000);
    end(&mut turns, &begun, CLEAN, 1_000);
    for (slot, low, count) in [(0, 9, 1), (1, 8, 7), (1, 20, 1), (2, 7, 2)] {
        turns.hints(Slot(slot), low, count);
    }
    assert!(begin(&mut turns, &mut dice, 5_999).is_empty());
    assert_eq!(turns.next_due(now(5_999)), Some(now(6_000)));
    let first = turns.begins(|_| true, &mut dice, now(6_000));
    assert_eq!(first, Some((Slot(1), Why::Hint, 8)));
    // A link whose question of another topic is under way is not asked meanwhile.
    let next = turns.begins(|slot| slot != Slot(2), &mut dice, now(6_000));
    assert_eq!(next, Some((Slot(0), Why::Hint, 9)));
}

#[test]
fn open_differences_are_backed_off_and_what_brings_something_is_asked_again() {
    let (mut turns, mut dice) = turns(1);
    let mut at = 1_000;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        while begin(&mut turns, &mut dice, at).is_empty() {
            at += 500;
        }
        end(&mut turns, &[(0, Why::Rotation)], DIFFERED, at);
        turns.hints(Slot(0), 1, 9);
        pauses.push(turns.links[&Slot(0)].rests_until.since(now(at)).as_secs());
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 960, 960, 960]);
    turns.brings(Slot(0), now(at));
    assert!(!begin(&mut turns, &mut dice, at + 15_000).is_empty(), "it may have more");
    turns.ended(Slot(0), &DIFFERED, true, now(at + 15_000));
    let rests = turns.links[&Slot(0)].rests_until.since(now(at + 15_000));
    assert_eq!(rests, REST_WHEN_FULL, "at the head cap");
}

#[test]
fn same_costs_no_rest_and_no_rests_as_long_as_it_says() {
    let (mut turns, mut dice) = turns(2);
    let begun = begin(&mut turns, &mut dice, 1_000);
    assert_eq!(begun.len(), 2);
    turns.ended(Slot(0), &CLEAN, false, now(1_000));
    let no = Outcome { no: Some(Duration::from_secs(20)), ..CLEAN };
    turns.ended(Slot(1), &no, false, now(1_000));
    turns.hints(Slot(0), 1, 1);
    turns.hints(Slot(1), 1, 1);
    assert_eq!(begin(&mut turns, &mut dice, 6_000), [(0, Why::Hint)]);
    assert_eq!(begin(&mut turns, &mut dice, 21_000), [(1, Why::Hint)]);
    assert_eq!(turns.clean(), 1, "who says no has not said that it has the same");
}

#[test]
fn a_node_keeps_a_topic_when_it_has_asked_or_nobody_will_answer() {
    // Nobody keeps it: it is the first.
    let (mut turns, _) = turns(0);
    assert!(!turns.is_ready(false, now(60_000)), "without a link it does not know");
    turns.is_linked(now(60_000));
    assert!(!turns.is_ready(false, now(64_999)) && turns.is_ready(false, now(65_000)));
    // One that has something waits for no more than the hellos of its other links.
    let (mut turns, _) = self::turns(0);
    turns.has_some();
    turns.is_linked(now(60_000));
    assert_eq!(turns.next_due(now(60_001)), Some(now(60_500)));
    assert!(!turns.is_ready(false, now(60_499)) && turns.is_ready(false, now(60_500)));
    // Three say no.
    let (mut turns, mut dice) = self::turns(5);
    let begun = begin(&mut turns, &mut dice, 1_000);
    let no = Outcome { no: Some(Duration::from_secs(30)), ..CLEAN };
    for (count, (slot, _)) in begun.iter().enumerate() {
        assert_eq!(turns.is_ready(false, now(1_000)), count >= NO_QUORUM);
        turns.ended(Slot(*slot), &no, false, now(1_000));
    }
    assert!(!turns.first_is_over(now(1_000)));
}

#[test]
fn a_node_that_waits_for_what_was_listed_is_not_asked_for_a_minute() {
    let (mut turns, mut dice) = turns(1);
    let begun = begin(&mut turns, &mut dice, 1_000);
    turns.brings(Slot(0), now(1_000));
    end(&mut turns, &begun, Outcome { cut: true, ..DIFFERED }, 1_000);
    assert!(turns.first_is_over(now(1_000)));
    assert!(!turns.is_ready(false, now(60_999)), "the link has more");
    assert!(turns.is_ready(false, now(61_000)), "it can't keep us from it for ever");
    let begun = begin(&mut turns, &mut dice, 17_000);
    end(&mut turns, &begun, DIFFERED, 17_000);
    assert!(!turns.is_ready(true, now(17_000)), "something has not come");
    assert!(turns.is_ready(false, now(17_000)));
}

#[test]
fn only_a_whole_session_says_that_a_link_has_nothing_more() {
    let (mut turns, mut dice) = turns(1);
    let begun = begin(&mut turns, &mut dice, 1_000);
    end(&mut turns, &begun, DIFFERED, 1_000);
    assert!(turns.differing().contains(Slot(0)));
    turns.brings(Slot(0), now(1_000));
    turns.hints(Slot(0), 5, 1);
    let begun = begin(&mut turns, &mut dice, 6_000);
    assert_eq!(begun, [(0, Why::Hint)]);
    end(&mut turns, &begun, CLEAN, 6_000);
    assert_eq!((turns.clean(), turns.differing().contains(Slot(0))), (0, true));
    turns.brings(Slot(0), now(6_000));
    let begun = begin(&mut turns, &mut dice, 21_000);
    end(&mut turns, &begun, CLEAN, 21_000);
    assert_eq!((turns.clean(), turns.differing().is_empty()), (1, true));
    turns.leaves(Slot(0));
    assert_eq!((turns.clean(), turns.len()), (0, 0));
}

#[test]
fn a_link_of_whose_list_all_has_come_has_nothing_more() {
    let (mut turns, mut dice) = turns(3);
    let begun = begin(&mut turns, &mut dice, 1_000);
    assert_eq!(begun.len(), 3);
    let outcomes = [DIFFERED, Outcome { cut: true, ..DIFFERED }, Outcome { missed: true, ..DIFFERED }];
    for ((slot, _), outcome) in begun.iter().zip(outcomes) {
        turns.ended(Slot(*slot), &outcome, false, now(1_100));
    }
    turns.have_come(|_| false);
    assert_eq!(turns.clean(), 0);
    turns.have_come(|_| true);
    assert_eq!(turns.clean(), 1, "who was not asked about all may have more");
}

#[test]
fn a_link_with_a_floor_above_a_tick_is_not_asked_for_it() {
    let (mut turns, _) = turns(2);
    turns.tells_floor(Slot(1), 50);
    assert!(turns.keepers_of(49).iter().eq([Slot(0)]));
    assert!(turns.keepers_of(50).iter().eq([Slot(0), Slot(1)]));
}
