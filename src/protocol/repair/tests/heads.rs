//! Two nodes find what one of them lacks, for the bytes and rounds that the design says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use crate::key::PublicKey;
use crate::protocol::repair::heads::{Item, LISTED, LISTED_TO_NONE, Slice, ToAsk, Uncovered, hash};
use crate::rumor::{BundleId, TopicId};
use crate::wire::{
    self, Answer, Ask, AskedRange, Bound, Head, MAX_HEADS_PER_LIST, MAX_PARTS, MAX_RANGES_PER_ASK,
    MAX_TELL_LEN, PREFIX_LEN, Part, Tell,
};

const AS_OF: u64 = 1 << 20;

fn topic() -> TopicId {
    TopicId::from_bytes([3; 32])
}

fn id(number: u64) -> BundleId {
    BundleId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

fn item(tick: u64, number: u64) -> Item {
    Item { tick, id: id(number) }
}

fn head(item: &Item) -> Option<Head> {
    Some(Head { tick: item.tick, id: item.id, slot: 1, author: PublicKey::from_bytes([4; 32]) })
}

fn slice(items: impl IntoIterator<Item = Item>) -> Slice {
    Slice::new(topic(), AS_OF, items.into_iter().collect())
}

/// What an exchange came to.
#[derive(Debug, Default)]
struct Exchange {
    found: BTreeSet<Item>,
    bytes: usize,
    rounds: usize,
}

/// The asker asks until nothing is left to ask. All goes through the codec.
fn exchange(asker: &Slice, teller: &Slice) -> Exchange {
    let mut done = Exchange::default();
    let mut queue = VecDeque::from([asker.ask(Bound::start_of(0), Bound::start_of(AS_OF))]);
    while !queue.is_empty() {
        let ranges: Vec<_> = queue.drain(..queue.len().min(MAX_RANGES_PER_ASK)).collect();
        let mut ranges = ranges;
        ranges.sort_by_key(|range| range.lo);
        let ask = Ask { topic: topic(), session: 1, as_of: AS_OF, ranges };
        let sent = wire::ask(&ask);
        let wire::Frame::Ask(ask) = wire::Frame::decode(sent.clone()).unwrap() else { panic!("an ask") };
        let mut room = MAX_TELL_LEN;
        let mut answers = Vec::new();
        for range in &ask.ranges {
            let Some(answer) = teller.answer(range, head, room) else { break };
            room -= wire::answer_len(&answer);
            answers.push(answer);
        }
        let told = wire::tell(&Tell { topic: topic(), session: 1, floor: 0, answers });
        done.bytes += sent.len() + told.len() + 2 * PREFIX_LEN;
        done.rounds += 1;
        let wire::Frame::Tell(tell) = wire::Frame::decode(told).unwrap() else { panic!("a tell") };
        assert!(!tell.answers.is_empty(), "an answer to one range always fits");
        for (range, answer) in ask.ranges.iter().zip(&tell.answers) {
            let compared = asker.compare(range, answer).unwrap();
            done.found.extend(compared.heads.iter().map(Item::of));
            queue.extend(compared.ask_next.iter().map(|next| next.range));
        }
        queue.extend(&ask.ranges[tell.answers.len()..]);
        assert!(done.rounds < 2_000, "an exchange of honest nodes ends");
    }
    done
}

#[test]
fn the_hash_is_the_one_of_the_format() {
    // Item by item, and without a buffer.
    let items: Vec<_> = (0..1_000).map(|n| item(n, n)).collect();
    let mut hasher = blake3::Hasher::new_derive_key("vouchsafe heads v1");
    hasher.update(topic().as_bytes()).update(&1_000u64.to_le_bytes());
    for item in &items {
        hasher.update(&item.tick.to_le_bytes()).update(item.id.as_bytes());
    }
    assert_eq!(hash(&topic(), &items), *hasher.finalize().as_bytes());
    assert_ne!(hash(&TopicId::from_bytes([4; 32]), &items), hash(&topic(), &items));
    assert_ne!(hash(&topic(), &items[1..]), hash(&topic(), &items));
}

#[test]
fn equal_nodes_say_same_in_161_bytes() {
    let ours = slice((0..16).map(|n| item(1_000 - n, n)));
    let done = exchange(&ours, &ours.clone());
    // 114 for the question and 47 for the answer, without lengths.
    assert_eq!((done.bytes - 2 * PREFIX_LEN, done.rounds), (114 + 47, 1));
    assert!(done.found.is_empty());
    assert_eq!(
        ours.cost(&ours.ask(Bound::start_of(0), Bound::start_of(AS_OF)), 0).items,
        0,
        "the hash of all is at hand"
    );
}

/// Figures of docs/decisions: bytes and rounds to find what one of two nodes lacks, from heads alone.
#[test]
fn what_is_lacked_is_found_for_few_bytes() {
    let all = |authors: u64| (0..authors).map(|n| item(100_000 - n % 1_000, n)).collect::<Vec<_>>();
    let cost = |asker: Vec<Item>, teller: Vec<Item>, lacked: usize| {
        let done = exchange(&slice(asker), &slice(teller));
        assert_eq!(done.found.len(), lacked);
        (done.bytes, done.rounds)
    };
    // 16 authors: of each the last bundles are missing, so each head differs.
    let old = (0..16).map(|n| item(50_000 - n, 1_000 + n)).collect();
    let (bytes, rounds) = cost(old, all(16), 16);
    assert!(bytes <= 1_400 && rounds == 1, "{bytes} bytes, {rounds} rounds");
    // 10 000 authors: one head, a tenth of them, and all.
    let (bytes, rounds) = cost(all(10_000)[1..].to_vec(), all(10_000), 1);
    assert!(bytes <= 5_200 && rounds <= 5, "{bytes} bytes, {rounds} rounds");
    let (bytes, rounds) = cost(all(10_000)[1_000..].to_vec(), all(10_000), 1_000);
    assert!(bytes <= 850_000 && rounds <= 20, "{bytes} bytes, {rounds} rounds");
    let (bytes, rounds) = cost(Vec::new(), all(10_000), 10_000);
    assert!(bytes <= 750_000 && rounds <= 16, "{bytes} bytes, {rounds} rounds");
}

#[test]
fn many_are_split_in_equal_parts_and_few_are_listed() {
    let ours = slice((0..1_000).map(|n| item(n, n)));
    let all = (Bound::start_of(0), Bound::start_of(AS_OF));
    let asked = AskedRange { lo: all.0, hi: all.1, count: 999, hash: [0; 32] };
    let Some(Answer::Split(parts)) = ours.answer(&asked, head, MAX_TELL_LEN) else { panic!("a split") };
    assert_eq!(parts.len(), 1_000usize.div_ceil(1_000usize.div_ceil(MAX_PARTS)));
    assert!(parts[..parts.len() - 1].iter().all(|part| part.count == 63));
    assert_eq!(parts.iter().map(|part| part.count).sum::<u32>(), 1_000);
    assert_eq!(parts.last().unwrap().hi, all.1);
    assert_eq!(ours.cost(&asked, MAX_TELL_LEN).items, 1_000, "other counts need no comparing");
    assert_eq!(
        ours.cost(&AskedRange { count: 1_000, ..asked }, MAX_TELL_LEN).items,
        1_000,
        "the hash of all is at hand"
    );
    let part = AskedRange { hi: Bound::start_of(500), count: 500, ..asked };
    assert_eq!(ours.cost(&part, MAX_TELL_LEN).items, 1_000, "two passes at the most");
    // An asker that has nothing there is told all that fits.
    let none_of = || AskedRange { count: 0, hash: hash(&topic(), &[]), ..asked };
    let none = none_of();
    let Some(Answer::List { more: true, heads }) = ours.answer(&none, head, MAX_TELL_LEN) else {
        panic!("a list")
    };
    assert_eq!((heads.len(), ours.cost(&none, MAX_TELL_LEN).items), (MAX_HEADS_PER_LIST, 0));
    // Unless it is too much for a session: then it may begin anywhere.
    for (count, listed) in [(LISTED_TO_NONE as u64, true), (LISTED_TO_NONE as u64 + 1, false)] {
        let many = slice((0..count).map(|n| item(n, n)));
        let answer = many.answer(&none_of(), head, MAX_TELL_LEN).unwrap();
        assert_eq!(matches!(answer, Answer::List { more: true, .. }), listed, "{count}");
        assert_eq!(many.cost(&none_of(), MAX_TELL_LEN).items, if listed { 0 } else { count as usize });
    }
    // As many as are listed, and one more.
    for (count, listed) in [(LISTED as u64, true), (LISTED as u64 + 1, false)] {
        let few = AskedRange { hi: Bound::start_of(count), ..asked };
        let answer = ours.answer(&few, head, MAX_TELL_LEN).unwrap();
        assert_eq!(matches!(answer, Answer::List { more: false, .. }), listed, "{count}");
    }
    // What does not fit any more is left out.
    assert_eq!(ours.answer(&asked, head, 2 + 52 * 15), None);
    assert_eq!(ours.answer(&none, head, 4 + 73), None);
    assert!(
        matches!(ours.answer(&none, head, 4 + 74), Some(Answer::List { more: true, heads }) if heads.len() == 1)
    );
}

#[test]
fn ids_that_share_eight_bytes_are_never_cut_apart() {
    let twin = |number: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(id(number / 3).as_bytes()[..8].try_into().unwrap());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        Item { tick: 7, id: BundleId::from_bytes(bytes) }
    };
    // A cut after so many would go through the middle of three.
    let count = 920usize;
    assert!(!count.div_ceil(MAX_PARTS).is_multiple_of(3));
    let theirs = slice((0..count as u64).map(twin));
    let ours = slice((0..count as u64).filter(|n| n % 7 > 0).map(twin));
    assert_eq!(exchange(&ours, &theirs).found.len(), count.div_ceil(7));
    assert_eq!(exchange(&slice([]), &theirs).found.len(), count);
    let asked = AskedRange { lo: Bound::start_of(0), hi: Bound::start_of(AS_OF), count: 1, hash: [0; 32] };
    let Some(Answer::Split(parts)) = theirs.answer(&asked, head, MAX_TELL_LEN) else { panic!("a split") };
    assert_eq!(
        parts.iter().filter(|part| !part.count.is_multiple_of(3)).count(),
        1,
        "one of the groups is of two"
    );
}

#[test]
fn an_answer_that_does_not_cover_what_was_asked_is_none() {
    let ours = slice((0..100).map(|n| item(n, n)));
    let asked = ours.ask(Bound::start_of(10), Bound::start_of(90));
    let part = |tick| Part { hi: Bound::start_of(tick), count: 1, hash: [1; 32] };
    let list = |ticks: &[u64]| Answer::List {
        more: false,
        heads: ticks.iter().map(|tick| head(&item(*tick, 1_000 + tick)).unwrap()).collect(),
    };
    for bad in [
        Answer::Split(vec![part(20), part(80)]),
        Answer::Split(vec![part(20), part(100)]),
        Answer::Split(vec![part(10), part(90)]),
        Answer::Split(vec![part(50), part(50), part(90)]),
        Answer::Split(Vec::new()),
        list(&[9]),
        list(&[90]),
        list(&[50, 50]),
        list(&[60, 50]),
        Answer::List { more: true, heads: Vec::new() },
        Answer::No { after_ms: 1 },
    ] {
        assert_eq!(ours.compare(&asked, &bad), Err(Uncovered), "{bad:?}");
    }
    assert_eq!(ours.compare(&asked, &Answer::Split(vec![part(20), part(90)])).unwrap().ask_next.len(), 2);
    assert_eq!(ours.compare(&asked, &list(&[10, 89])).unwrap().heads.len(), 2);
}

/// A node that says "there is more" at the end of a range, or after each head, is asked on from there and never again for the same.
#[test]
fn more_goes_on_behind_the_last_head() {
    let ours = slice((0..100).map(|n| item(n, n)));
    let asked = ours.ask(Bound::start_of(10), Bound::start_of(90));
    let last = Head { id: BundleId::from_bytes([255; 32]), tick: 89, ..head(&item(0, 0)).unwrap() };
    let answer = Answer::List { more: true, heads: vec![last] };
    assert!(ours.compare(&asked, &answer).unwrap().ask_next.is_empty(), "nothing lies behind it");
    let answer = Answer::List { more: true, heads: vec![Head { tick: 50, ..last }] };
    let next = ours.compare(&asked, &answer).unwrap().ask_next;
    assert_eq!(next, [ToAsk::new(ours.ask(Bound::start_of(51), asked.hi), 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever two nodes have, the asker finds all that it lacks, and nothing else.
    #[test]
    fn the_asker_finds_all_that_it_lacks(
        shared in proptest::collection::vec((0u64..300, any::<u16>()), 0..1_500),
        asker in proptest::collection::vec((0u64..300, any::<u16>()), 0..100),
        teller in proptest::collection::vec((0u64..300, any::<u16>()), 0..1_500),
    ) {
        // (Twins share the first eight bytes of their ids.)
        let item = |(tick, number): &(u64, u16)| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&u64::from(number / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            bytes[8..10].copy_from_slice(&number.to_le_bytes());
            Item { tick: *tick, id: BundleId::from_bytes(bytes) }
        };
        let set = |own: &[(u64, u16)]| -> BTreeSet<Item> { shared.iter().chain(own).map(item).collect() };
        let (ours, theirs) = (set(&asker), set(&teller));
        let done = exchange(&slice(ours.iter().copied()), &slice(theirs.iter().copied()));
        prop_assert_eq!(&done.found, &theirs.difference(&ours).copied().collect::<BTreeSet<_>>());
        if ours == theirs {
            prop_assert_eq!(done.rounds, 1);
        }
    }
}

/// The parts of a split hash what the asker hashes for the same stretch.
#[test]
fn asked_and_answered_ranges_hash_the_same_items() {
    let ours = slice((0..640).map(|n| item(n / 2, n)));
    let asked = AskedRange { count: 1, ..ours.ask(Bound::start_of(0), Bound::start_of(AS_OF)) };
    let Some(Answer::Split(parts)) = ours.answer(&asked, head, MAX_TELL_LEN) else { panic!("a split") };
    let mut lo = asked.lo;
    let mut seen = BTreeMap::new();
    for part in parts {
        let again = ours.ask(lo, part.hi);
        assert_eq!((again.count, again.hash), (part.count, part.hash));
        seen.extend(ours.range(&lo, &part.hi).iter().map(|item| (*item, ())));
        lo = part.hi;
    }
    assert_eq!(seen.len(), 640);
}
