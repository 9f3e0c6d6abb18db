//! Sessions without a world: an honest link, and links that lie.

use std::collections::BTreeMap;

use super::*;
use crate::key::PublicKey;
use crate::protocol::repair::heads::Item;
use crate::rumor::BundleId;
use crate::wire::Part;

const TOPIC: TopicId = TopicId::from_bytes([5; 32]);
const AS_OF: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(1);

fn now(millis: u64) -> Mono {
    Mono::from_nanos(1_000_000_000_000 + millis * 1_000_000)
}

fn head(number: u64) -> Head {
    let hash = |what: &str| *blake3::hash(format!("{what} {number}").as_bytes()).as_bytes();
    let (id, author) = (BundleId::from_bytes(hash("id")), PublicKey::from_bytes(hash("author")));
    Head { tick: number, slot: 0, id, author }
}

/// What holds these heads.
fn slice(numbers: impl IntoIterator<Item = u64>) -> Slice {
    Slice::new(TOPIC, AS_OF, numbers.into_iter().map(|number| Item::of(&head(number))).collect())
}

fn whole(slice: &Slice) -> AskedRange {
    slice.ask(Bound::start_of(0), Bound::start_of(AS_OF))
}

fn session(ours: &Slice, dice: &mut Random) -> Session {
    Session::new(1, TOPIC, Why::Rotation, AS_OF, whole(ours), dice, now(0))
}

fn tell(floor: u64, answers: Vec<Answer>) -> Tell {
    Tell { topic: TOPIC, session: 1, floor, answers }
}

/// What an honest link with these heads says to it.
fn honest(theirs: &Slice, ask: &Ask) -> Tell {
    let find = |item: &Item| Some(head(item.tick));
    let answers = ask.ranges.iter().map_while(|range| theirs.answer(range, find, 64 * 1024)).collect();
    tell(0, answers)
}

/// Lets a session ask a link until it ends, with a store that holds nothing beside the slice. Gives what was claimed.
fn run_with(
    session: &mut Session,
    ours: &Slice,
    dice: &mut Random,
    mut link: impl FnMut(&Ask) -> Tell,
) -> Vec<Head> {
    let mut claimed = Vec::new();
    while session.ended().is_none() {
        let Some((ask, _)) = session.ask(PATIENCE, dice, now(0)) else { panic!("{session:?}") };
        let told = link(&ask);
        let bytes = crate::wire::tell(&told).len();
        let Ok(heads) = session.told(&told, bytes, AS_OF, ours, dice, now(0)) else { break };
        session.looks(heads.into_iter().map(|head| (head, false)).collect(), now(0));
        while let Some(Look::Held(heads)) = session.next_look() {
            assert!(heads.len() <= HEADS_A_LOOK);
            assert_eq!(session.looked(&vec![Held::No; heads.len()], now(0)), None);
        }
        session.claims(
            |head, below| {
                assert!(!below);
                claimed.push(head);
                Claimed::New
            },
            now(0),
        );
    }
    claimed
}

/// The same, with the ticks of what was claimed.
fn run(session: &mut Session, ours: &Slice, link: impl FnMut(&Ask) -> Tell) -> Vec<u64> {
    let claimed = run_with(session, ours, &mut Random::new(&[2; 32]), link);
    let mut ticks: Vec<_> = claimed.iter().map(|head| head.tick).collect();
    ticks.sort_unstable();
    ticks
}

#[test]
fn a_session_finds_what_an_honest_link_has() {
    let all: Vec<u64> = (0..2_000).collect();
    for lacks in [vec![], vec![777], (500..900).collect(), all.clone()] {
        let ours = slice(all.iter().copied().filter(|number| !lacks.contains(number)));
        let theirs = slice(all.iter().copied());
        let mut session = session(&ours, &mut Random::new(&[1; 32]));
        assert_eq!(run(&mut session, &ours, |ask| honest(&theirs, ask)), lacks);
        let outcome = session.ended().unwrap();
        assert_eq!(outcome.is_clean(), lacks.is_empty());
        assert_eq!((outcome.lacked, outcome.missed, outcome.cut), (!lacks.is_empty(), false, false));
        assert!(session.asks <= 5, "{}", session.asks);
    }
}

#[test]
fn what_lies_below_the_told_floor_is_not_asked_about() {
    let (ours, theirs) = (slice(0..1_000), slice(600..1_000));
    let mut session = session(&ours, &mut Random::new(&[1; 32]));
    let claimed = run(&mut session, &ours, |ask| {
        assert!(ask.ranges.iter().all(|range| session_began(range) || range.lo.tick >= 600));
        Tell { floor: 600, ..honest(&theirs, ask) }
    });
    assert_eq!((claimed, session.floor()), (vec![], 600));
    assert!(session.ended().unwrap().is_clean());
}

fn session_began(range: &AskedRange) -> bool {
    range.lo == Bound::start_of(0)
}

#[test]
fn a_floor_that_leaves_nothing_says_no() {
    let ours = slice(0..10);
    let mut session = session(&ours, &mut Random::new(&[1; 32]));
    let mut dice = Random::new(&[1; 32]);
    session.ask(PATIENCE, &mut dice, now(0)).unwrap();
    let told = tell(AS_OF, vec![Answer::Same]);
    session.told(&told, 50, AS_OF - 1, &ours, &mut dice, now(0)).unwrap();
    session.looks(Vec::new(), now(0));
    let outcome = session.ended().unwrap();
    assert_eq!(outcome.no, Some(Duration::from_secs(30)));
    assert!(!outcome.is_clean());
}

#[test]
fn an_endless_split_ends() {
    let ours = slice(0..10_000);
    // Sixteen parts of which none is ever ours.
    let split = |range: &AskedRange| {
        let (lo, hi) = (range.lo.tick, range.hi.tick.max(range.lo.tick + 1));
        let part = |at: u64| {
            let hi = if at == 15 { range.hi } else { Bound::start_of(lo + (hi - lo) * (at + 1) / 16) };
            Part { hi, count: 9, hash: [at as u8; 32] }
        };
        let mut parts: Vec<_> = (0..16).map(part).collect();
        parts.dedup_by_key(|part| part.hi);
        parts.retain(|part| part.hi > range.lo);
        if parts.len() > 1 { Answer::Split(parts) } else { Answer::Same }
    };
    let mut session = session(&ours, &mut Random::new(&[1; 32]));
    let (mut asks, mut most, mut bytes) = (0, 0, 0);
    run(&mut session, &ours, |ask| {
        asks += 1;
        most = most.max(ask.ranges.len());
        let told = tell(0, ask.ranges.iter().map(split).collect());
        bytes += crate::wire::tell(&told).len();
        told
    });
    let outcome = session.ended().unwrap();
    assert!(asks <= SESSION_ASKS && most <= MAX_RANGES_PER_ASK && outcome.cut, "{asks} {most}");
    assert!(bytes < SESSION_BYTES + crate::wire::MAX_TELL_LEN, "{bytes} bytes");
}

#[test]
fn answers_that_say_nothing_end() {
    let ours = slice(0..10);
    let mut session = session(&ours, &mut Random::new(&[1; 32]));
    let mut asks = 0;
    run(&mut session, &ours, |_| {
        asks += 1;
        tell(0, Vec::new())
    });
    assert!(asks == SESSION_ASKS && session.ended().unwrap().cut, "{asks}");
}

#[test]
fn lists_without_an_end_are_cut() {
    let ours = slice([]);
    let mut session = session(&ours, &mut Random::new(&[1; 32]));
    let (mut next, mut bytes) = (0, 0);
    let claimed = run(&mut session, &ours, |ask| {
        assert_eq!(ask.ranges.len(), 1);
        let heads: Vec<_> = (next..next + 800).map(head).collect();
        next += 800;
        let told = tell(0, vec![Answer::List { more: true, heads }]);
        bytes += crate::wire::tell(&told).len();
        told
    });
    assert!(session.ended().unwrap().cut);
    assert!(claimed.len() < SESSION_HEADS + 884 && bytes < SESSION_BYTES + 70_000);
}

#[test]
fn an_answer_that_does_not_cover_is_a_miss() {
    let ours = slice(0..10);
    let outside = Answer::List { more: false, heads: vec![head(AS_OF + 1)] };
    let short = Answer::Split(vec![
        Part { hi: Bound::start_of(5), count: 1, hash: [1; 32] },
        Part { hi: Bound::start_of(9), count: 1, hash: [2; 32] },
    ]);
    for answer in [outside, short] {
        let mut session = session(&ours, &mut Random::new(&[1; 32]));
        let claimed = run(&mut session, &ours, |_| tell(0, vec![answer.clone()]));
        assert!(claimed.is_empty() && session.ended().unwrap().missed);
    }
}

#[test]
fn a_no_ends_the_session_and_what_was_listed_before_it_counts() {
    let (ours, mut dice) = (slice(0..10), Random::new(&[1; 32]));
    let mut session = session(&ours, &mut dice);
    session.queue.clear();
    for tick in [0, 5_000] {
        let range = ours.ask(Bound::start_of(tick), Bound::start_of(tick + 5_000));
        session.queue.add(0, ToAsk::new(range, 0), &mut dice);
    }
    let list = Answer::List { more: false, heads: vec![head(77)] };
    let no = Answer::No { after_ms: 60_000 };
    let claimed = run(&mut session, &ours, |_| tell(0, vec![list.clone(), no.clone()]));
    let outcome = session.ended().unwrap();
    assert_eq!((claimed, outcome.no), (vec![77], Some(Duration::from_secs(30))));
}

#[test]
fn an_answer_that_is_late_is_a_miss_and_a_place_is_held_for_a_turn_at_the_most() {
    let (ours, mut dice) = (slice(0..10), Random::new(&[1; 32]));
    let mut session = session(&ours, &mut dice);
    let mut at = 0;
    // Answers that bring nothing, each just in time.
    loop {
        let (_, in_turn) = session.waits().unwrap();
        if !in_turn {
            break;
        }
        let (_, deadline) = session.ask(Duration::from_millis(1_500), &mut dice, now(at)).unwrap();
        assert!(session.is_asking() && deadline <= now(5_000), "{deadline:?}");
        assert!(!session.is_overdue(now(at)));
        at += 1_400;
        session.told(&tell(0, Vec::new()), 50, AS_OF, &ours, &mut dice, now(at)).unwrap();
        session.looks(Vec::new(), now(at));
    }
    assert_eq!(at, 4_200);
    session.ask(PATIENCE, &mut dice, now(9_000)).unwrap();
    assert!(!session.is_overdue(now(9_999)) && session.is_overdue(now(10_000)));
    assert!(session.ended().unwrap().missed);
}

#[test]
fn a_session_without_free_claims_waits_and_ends_when_nothing_closes() {
    let (ours, mut dice) = (slice([]), Random::new(&[1; 32]));
    let mut session = session(&ours, &mut dice);
    session.ask(PATIENCE, &mut dice, now(0)).unwrap();
    let list = Answer::List { more: false, heads: vec![head(1), head(2)] };
    let heads = session.told(&tell(0, vec![list]), 50, AS_OF, &ours, &mut dice, now(0)).unwrap();
    session.looks(heads.into_iter().map(|head| (head, true)).collect(), now(0));
    assert!(matches!(session.next_look(), Some(Look::Held(heads)) if heads.len() == 2));
    assert_eq!(session.next_look(), None, "one question at a time");
    let other = Held::Other(BundleId::from_bytes([0; 32]));
    // Another bundle at that position is what convicts: it is asked for.
    assert_eq!(session.looked(&[Held::Yes, other], now(0)), Some(Look::Later(vec![head(2)])));
    session.looked_later(&[true], now(0));
    let mut tries = Vec::new();
    session.claims(
        |head, below| {
            tries.push((head.tick, below));
            Claimed::Full
        },
        now(0),
    );
    assert_eq!((tries, session.is_asking()), (vec![(2, true)], false));
    session.claim_closed(now(9_000));
    session.claims(|_, _| Claimed::Full, now(18_999));
    assert!(session.ended().is_none());
    session.claims(|_, _| Claimed::Full, now(19_000));
    assert!(session.ended().unwrap().cut);
}

/// What a node with these heads answers.
fn answers_of(all: &BTreeMap<Item, Head>, slice: &Slice, ask: &Ask) -> Tell {
    let mut room = crate::wire::MAX_TELL_LEN;
    let answer = |range: &AskedRange| {
        let answer = slice.answer(range, |item| all.get(item).copied(), room)?;
        room -= crate::wire::answer_len(&answer);
        Some(answer)
    };
    tell(0, ask.ranges.iter().map_while(answer).collect())
}

/// Whoever wants to hide a loss puts differences that never close beside it: over all ticks, and all in the one where the loss is. A session
/// sees less than a fifth of them.
#[test]
fn what_never_closes_hides_nothing() {
    let made = |tick: u64, number: u64| Head { tick, ..head(number) };
    let shared = || (0..4_000).map(|number| made(10 + number * 20, number));
    let lost_at = 40_010;
    for crowd in [false, true] {
        let never = (0..24_000).map(|number| {
            let tick = if crowd { lost_at } else { 10 + number * 3 };
            made(tick, 1_000_000 + number)
        });
        let by_item = |heads: Vec<Head>| heads.into_iter().map(|head| (Item::of(&head), head)).collect();
        let mut theirs: BTreeMap<Item, Head> = by_item(shared().chain(never).collect());
        let ours: BTreeMap<Item, Head> = by_item(shared().collect());
        let ours = Slice::new(TOPIC, AS_OF, ours.keys().copied().collect());
        let mut took = Vec::new();
        for trial in 0..5 {
            let lost = made(lost_at, 9_000_000 + trial);
            theirs.insert(Item::of(&lost), lost);
            let slice = Slice::new(TOPIC, AS_OF, theirs.keys().copied().collect());
            let mut dice = Random::new(&[trial as u8; 32]);
            let found = (1..=110).find(|_| {
                let mut session = session(&ours, &mut dice);
                let found = run_with(&mut session, &ours, &mut dice, |ask| answers_of(&theirs, &slice, ask));
                assert!(session.ended().unwrap().cut, "it would not hide anything");
                found.iter().any(|head| head.id == lost.id)
            });
            took.push(found.expect("not within 110 sessions"));
            theirs.remove(&Item::of(&lost));
        }
        took.sort_unstable();
        assert!(took[2] <= 20, "sessions until it was found: {took:?}, crowd: {crowd}");
    }
}
