//! What is under way, without a world.

use super::*;
use crate::protocol::repair::session::Why;
use crate::rumor::{NetworkId, Topic};
use crate::wire::{AskedRange, Bound};

fn now(millis: u64) -> Mono {
    Mono::from_nanos(1_000_000_000_000 + millis * 1_000_000)
}

fn rules(number: usize) -> RuleSet {
    Topic::named(format!("t{number}")).bind(NetworkId::of("n")).unwrap()
}

fn asker(topics: usize) -> (Asker, Random) {
    let (mut asker, mut dice) = (Asker::new(Keyed::default()), Random::new(&[1; 32]));
    (0..topics).for_each(|number| asker.enter(&rules(number), &mut dice, now(0)));
    (asker, dice)
}

fn session(number: u32, topic: TopicId, dice: &mut Random, at: Mono) -> Session {
    let range = AskedRange { lo: Bound::start_of(0), hi: Bound::start_of(9), count: 0, hash: [0; 32] };
    Session::new(number, topic, Why::Rotation, 9, range, dice, at)
}

#[test]
fn sessions_are_bounded_and_the_one_that_waited_longest_ends() {
    let (mut asker, mut dice) = asker(2);
    let [one, other] = [0, 1].map(|number| rules(number).id());
    for number in 0..MAX_SESSIONS as u32 {
        let (at, slot) = (now(1_000 - u64::from(number)), Slot(number as u8));
        let session = session(number, one, &mut dice, at);
        assert_eq!(asker.begin_session(one, slot, session), None);
    }
    assert!(asker.has_room_for_session());
    let late = session(100, other, &mut dice, now(2_000));
    let longest = Slot(MAX_SESSIONS as u8 - 1);
    assert_eq!(asker.begin_session(other, Slot(0), late), Some((one, longest)));
    asker.end_session(&one, longest);
    assert_eq!(asker.sessions.len(), MAX_SESSIONS);
    // Where all have a question under way nobody gives way.
    for ((_, slot), session) in &mut asker.sessions {
        session.ask(Duration::from_secs(1), &mut dice, now(2_000)).unwrap();
        asker.asking.insert(*slot);
    }
    assert!(!asker.has_room_for_session());
}

#[test]
fn a_topic_that_is_left_takes_with_it_what_is_under_way() {
    let (mut asker, mut dice) = asker(2);
    let [one, other] = [0, 1].map(|number| rules(number).id());
    for topic in [one, other] {
        let number = asker.number();
        let mut session = session(number, topic, &mut dice, now(0));
        session.ask(Duration::from_secs(1), &mut dice, now(0)).unwrap();
        let slot = Slot(number as u8);
        asker.begin_session(topic, slot, session);
        asker.asks(slot);
    }
    asker.leave(&one);
    assert_eq!((asker.count(), asker.sessions.len()), (1, 1));
    assert!(!asker.is_asking(Slot(1)) && asker.is_asking(Slot(2)));
    asker.forget_link(Slot(2));
    assert!(asker.sessions.is_empty() && asker.asking().is_empty());
}

#[test]
fn holes_that_are_told_are_bounded() {
    let (mut asker, _) = asker(1);
    let topic = asker.topic_mut(&rules(0).id()).unwrap();
    let author = |number: usize| PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
    let told = (0..2 * MAX_TOLD_HOLES).filter(|number| topic.tells_hole(&author(*number))).count();
    assert_eq!(told, MAX_TOLD_HOLES);
    assert!(!topic.tells_hole(&author(0)), "once");
    assert!(topic.tells_filled(&author(0)) && !topic.tells_filled(&author(0)));
    assert!(topic.tells_hole(&author(5_000)));
}

#[test]
fn each_topic_has_one_timer_of_a_kind_that_means_something() {
    let (mut asker, _) = asker(1);
    let topic = asker.topic_mut(&rules(0).id()).unwrap();
    assert!(topic.needs_timer(Due::Turn, now(9)) && !topic.needs_timer(Due::Turn, now(9)));
    assert!(topic.needs_timer(Due::Turn, now(5)) && topic.needs_timer(Due::Hole, now(7)));
    assert!(!topic.timer_is_due(Due::Turn, now(4)) && topic.timer_is_due(Due::Turn, now(5)));
    assert!(!topic.timer_is_due(Due::Turn, now(9)), "it was about what is done");
}

#[test]
fn a_topic_of_state_remembers_more_of_what_is_dead() {
    let (mut asker, mut dice) = asker(1);
    let state = Topic::named("state").state(9).bind(NetworkId::of("n")).unwrap();
    asker.enter(&state, &mut dice, now(0));
    let author = PublicKey::from_bytes([1; 32]);
    let dead = |tick: u64| {
        let id = crate::rumor::BundleId::from_bytes([2; 32]);
        Missing::of_head(&crate::wire::Head { tick, slot: 0, author, id })
    };
    for (topic, remembers) in [(rules(0).id(), false), (state.id(), true)] {
        let refused = 2 * crate::protocol::limits::REPAIR_REFUSED as u64;
        (0..refused).for_each(|tick| asker.refuse(&topic, &dead(tick), Duration::from_secs(60), now(0)));
        assert_eq!(asker.topic(&topic).unwrap().refused.has(&dead(0), now(1)), remembers);
    }
}

#[test]
fn forks_that_are_told_are_bounded() {
    let (mut asker, _) = asker(1);
    let asked = asker.topic_mut(&rules(0).id()).unwrap();
    let author = |number: u64| PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
    assert!(asked.tells_fork(&author(0)) && !asked.tells_fork(&author(0)), "each once");
    assert_eq!((1..5_000).filter(|number| asked.tells_fork(&author(*number))).count(), MAX_TOLD_FORKS - 1);
}
