//! Claims about the codec: one encoding per meaning, limits that agree on both sides.

use bytes::Bytes;

use super::*;
use crate::key::SecretKey;
use crate::rumor::PULSE_LEN;
use crate::rumor::{Bundle, BundleId, Evidence, MAX_BODY, Position, TopicId, seal};

fn bundle(slot: u16, len: usize) -> Bundle {
    let key = SecretKey::from_seed(&[1; 32]);
    let body = Bytes::from(vec![slot as u8; len]);
    seal(&key, TopicId::from_bytes([3; 32]), Position { tick: 9, slot }, &[body]).unwrap()
}

fn one_of_each() -> Vec<Bytes> {
    let id = BundleId::from_bytes([5; 32]);
    let topic = TopicId::from_bytes([3; 32]);
    let signed = *bundle(0, 3).signed_header();
    let other = *bundle(0, 4).signed_header();
    let mut bundles = FrameWriter::with_capacity(0);
    bundles.push(1, &bundle(0, 3));
    bundles.push(0, &bundle(1, 300));
    vec![
        hello(&a_hello()),
        topics(&TopicChange { joined: vec![[2; 32]], left: vec![], keeps: vec![([2; 32], true)] }),
        bundles.finish(),
        announce(&TopicId::from_bytes([3; 32]), &[(id, 9)]),
        headers(&[signed]),
        pull(&topic, &[id]),
        gone(&topic, &[id]),
        cancel(&topic, &[id]),
        evidence(&Evidence::new(signed, other).unwrap()),
        goodbye(Reason::Full),
        ask(&an_ask(3)),
        tell(&a_tell()),
        fetch(&a_fetch(2)),
        page(&Page { topic, session: 7, floor: 1, next: vec![Mark { tick: 4, slot: 65_536 }; 2] }),
        more(&More { topic, low: 5, count: 1 }),
        pulses(&Pulses { page: PulsePage::Pushed, pulses: vec![a_pulse(4, false)] }),
        members_ask(&MembersAsk::Since { since: 1_700_000_000, after: KeyPrefix([6; 8]) }),
        stop(7),
    ]
}

fn a_hello() -> Hello {
    let mut hello = Hello {
        network: [1; 32],
        clock_ms: 1 << 40,
        topics: vec![[2; 32]; 3],
        listens: true,
        guest: true,
        members: 1_000,
        keep_alive_ms: 2_500,
        keeps: keeps(&[1]),
        ..Hello::default()
    };
    hello.set_you("192.0.2.7:4433".parse().unwrap());
    hello
}

fn a_pulse(index: u32, failed_here: bool) -> Pulse {
    Pulse { member: KeyPrefix([6; 8]), index, value: [8; PULSE_LEN], failed_here }
}

fn an_ask(count: u64) -> Ask {
    let range = |n: u64| AskedRange {
        lo: Bound::start_of(10 * n),
        hi: Bound { tick: 10 * n + 10, prefix: [0; 8] },
        count: 5,
        hash: [6; 32],
    };
    Ask {
        topic: TopicId::from_bytes([3; 32]),
        session: 7,
        as_of: 10 * count,
        ranges: (0..count).map(range).collect(),
    }
}

fn head(tick: u64) -> Head {
    let author = SecretKey::from_seed(&[1; 32]).public();
    Head { tick, id: BundleId::from_bytes([5; 32]), slot: 3, author }
}

fn a_tell() -> Tell {
    let part = |tick| Part { hi: Bound::start_of(tick), count: 1, hash: [9; 32] };
    let answers = vec![
        Answer::Same,
        Answer::Split(vec![part(3), part(4)]),
        Answer::List { more: true, heads: vec![head(1), head(2)] },
        Answer::List { more: false, heads: vec![] },
        Answer::No { after_ms: 30_000 },
    ];
    Tell { topic: TopicId::from_bytes([3; 32]), session: 7, floor: 1, answers }
}

fn a_fetch(count: usize) -> Fetch {
    let range = FetchedRange {
        author: SecretKey::from_seed(&[1; 32]).public(),
        from: Mark { tick: 4, slot: 0 },
        upto: Position { tick: 5, slot: 9 },
    };
    Fetch {
        topic: TopicId::from_bytes([3; 32]),
        session: 7,
        max_bytes: MAX_FETCH_BYTES,
        ranges: vec![range; count],
    }
}

#[test]
fn frames_of_the_history_are_read_back_as_they_were_written() {
    let (asked, told, fetched) = (an_ask(MAX_RANGES_PER_ASK as u64), a_tell(), a_fetch(MAX_RANGES_PER_FETCH));
    assert_eq!(Frame::decode(ask(&asked)), Ok(Frame::Ask(asked)));
    assert_eq!(Frame::decode(tell(&told)), Ok(Frame::Tell(told.clone())));
    assert_eq!(Frame::decode(fetch(&fetched)), Ok(Frame::Fetch(fetched)));
    // The sizes of the design: 45 + 68, 45 + answers, 41 + 54, 44, 4 bytes after the kind.
    assert_eq!(ask(&an_ask(1)).len(), 1 + 45 + 68);
    assert_eq!(tell(&told).len(), 1 + 45 + told.answers.iter().map(answer_len).sum::<usize>());
    assert_eq!(fetch(&a_fetch(1)).len(), 1 + 41 + 54);
    assert_eq!(more(&More { topic: told.topic, low: 1, count: 1 }).len(), 1 + 44);
    assert_eq!(stop(1).len(), 1 + 4);
}

#[test]
fn a_tell_has_as_many_answers_as_fit_and_the_rest_is_asked_again() {
    let heads: Vec<_> = (0..MAX_HEADS_PER_LIST as u64).map(head).collect();
    let full = Answer::List { more: true, heads };
    let told = Tell { answers: vec![full.clone(), Answer::Same, full.clone()], ..a_tell() };
    let Ok(Frame::Tell(read)) = Frame::decode(tell(&told)) else { panic!("not a tell") };
    assert_eq!(read.answers, [full, Answer::Same]);
}

#[test]
fn what_is_out_of_order_or_range_in_frames_of_the_history_is_refused() {
    let one = an_ask(3);
    let refused = |frame: Bytes| Frame::decode(frame).unwrap_err();
    let mut order = one.clone();
    order.ranges.swap(0, 1);
    assert_eq!(refused(ask(&order)), DecodeError::NotCanonical);
    let mut overlap = one.clone();
    overlap.ranges[1].lo = Bound::start_of(9);
    assert_eq!(refused(ask(&overlap)), DecodeError::NotCanonical);
    let mut empty = one.clone();
    empty.ranges[0].hi = empty.ranges[0].lo;
    assert_eq!(refused(ask(&empty)), DecodeError::NotCanonical);
    assert_eq!(refused(ask(&Ask { as_of: 29, ..one.clone() })), DecodeError::NotCanonical);
    assert_eq!(refused(ask(&Ask { ranges: vec![], ..one })), DecodeError::Length);

    let answer = |answer: Answer| refused(tell(&Tell { answers: vec![answer], ..a_tell() }));
    let part = |tick| Part { hi: Bound::start_of(tick), count: 1, hash: [9; 32] };
    assert_eq!(answer(Answer::Split(vec![part(1)])), DecodeError::Length);
    assert_eq!(answer(Answer::Split(vec![part(2), part(2)])), DecodeError::NotCanonical);
    assert_eq!(
        answer(Answer::List { more: false, heads: vec![head(2), head(1)] }),
        DecodeError::NotCanonical
    );
    let declared = [&tell(&Tell { answers: vec![], ..a_tell() })[..45], &[1, 2, 0, 0xff, 0xff]].concat();
    assert_eq!(
        refused(declared.into()),
        DecodeError::Length,
        "lengths are compared before anything is allocated"
    );

    let mark = |slot| {
        page(&Page { topic: a_tell().topic, session: 7, floor: 1, next: vec![Mark { tick: 4, slot }] })
    };
    let mut beyond = mark(0).to_vec();
    let slot = beyond.len() - 4;
    beyond[slot..].copy_from_slice(&65_537u32.to_le_bytes());
    assert_eq!(refused(beyond.into()), DecodeError::NotCanonical);
    let mut greedy = fetch(&a_fetch(1)).to_vec();
    greedy[37..41].copy_from_slice(&(MAX_FETCH_BYTES + 1).to_le_bytes());
    assert_eq!(refused(greedy.into()), DecodeError::NotCanonical);
    let mut none = more(&More { topic: a_tell().topic, low: 1, count: 1 }).to_vec();
    none[41..].fill(0);
    assert_eq!(refused(none.into()), DecodeError::NotCanonical);
}

fn decode_fully(payload: Bytes) -> Result<Frame, DecodeError> {
    let frame = Frame::decode(payload)?;
    if let Frame::Bundles(bundles) = &frame {
        for raw in bundles.clone() {
            raw?.check()?;
        }
    }
    Ok(frame)
}

#[test]
fn every_kind_of_frame_is_read_back() {
    for (kind, payload) in one_of_each().into_iter().enumerate() {
        assert_eq!(usize::from(payload[0]), kind);
        decode_fully(payload).unwrap();
    }
}

#[test]
fn no_frame_tolerates_a_missing_or_extra_byte() {
    for payload in one_of_each() {
        let whole = decode_fully(payload.clone()).unwrap();
        for len in 0..payload.len() {
            let cut = decode_fully(payload.slice(..len));
            // A list may be cut between two items; it is another frame then.
            assert!(cut.is_err() || cut.as_ref() != Ok(&whole), "kind {} cut at {len}", payload[0]);
        }
        let longer = [payload.as_ref(), &[0]].concat();
        assert!(decode_fully(longer.into()).is_err(), "kind {} with a byte too many", payload[0]);
    }
}

#[test]
fn padded_varints_are_refused() {
    let frame = hello(&Hello { network: [1; 32], clock_ms: 1, topics: vec![], ..Hello::default() });
    // The 1 in two bytes, and all else as it was.
    let padded = [&frame[..33], &[0x81, 0x00], &frame[34..]].concat();
    assert_eq!(Frame::decode(padded.into()), Err(DecodeError::NotCanonical));
}

/// B26, the codec's part: the largest of everything passes, one more does not.
#[test]
fn limits_are_the_same_for_reader_and_writer() {
    let id = |n: usize| BundleId::from_bytes([n as u8; 32]);
    let ids: Vec<_> = (0..MAX_IDS_PER_FRAME).map(id).collect();
    let topic = TopicId::from_bytes([3; 32]);
    assert_eq!(Frame::decode(pull(&topic, &ids)), Ok(Frame::Pull(Ids { topic, ids: ids.clone() })));
    let more = [pull(&topic, &ids).as_ref(), &[0; 32]].concat();
    assert_eq!(Frame::decode(more.into()), Err(DecodeError::Length));

    let largest = bundle(0, MAX_BODY as usize);
    let mut writer = FrameWriter::with_capacity(0);
    assert!(writer.fits(&largest));
    writer.push(0, &largest);
    assert!(!writer.fits(&largest));
    decode_fully(writer.finish()).unwrap();

    let small = bundle(0, 1);
    let mut writer = FrameWriter::with_capacity(0);
    while writer.fits(&small) {
        writer.push(0, &small);
    }
    assert_eq!(writer.len(), MAX_BUNDLES_PER_FRAME);
    let full = writer.finish();
    decode_fully(full.clone()).unwrap();
    let more = [full.as_ref(), &[0], small.encoded()].concat();
    assert_eq!(decode_fully(more.into()), Err(DecodeError::Length));

    let topics = |count| {
        hello(&Hello {
            network: [1; 32],
            clock_ms: u64::MAX,
            topics: vec![[255; 32]; count],
            you: ([255; 16], u16::MAX),
            members: u32::MAX,
            keep_alive_ms: u16::MAX,
            ..Hello::default()
        })
    };
    assert!(Frame::decode(topics(MAX_TOPICS_PER_FRAME)).is_ok());
    assert_eq!(Frame::decode(topics(MAX_TOPICS_PER_FRAME + 1)), Err(DecodeError::Length));
    let change = |count| {
        let list = vec![[255; 32]; count];
        let keeps = vec![([255; 32], true); count];
        super::topics(&TopicChange { joined: list.clone(), left: list, keeps })
    };
    assert!(Frame::decode(change(MAX_TOPICS_PER_FRAME)).is_ok());
    let keeps = vec![([255; 32], true); MAX_TOPICS_PER_FRAME + 1];
    let more = super::topics(&TopicChange { keeps, ..TopicChange::default() });
    assert_eq!(Frame::decode(more), Err(DecodeError::Length));
    assert_eq!(
        Frame::decode(vec![5; MAX_FRAME_LEN + 1].into()),
        Err(DecodeError::FrameLength(MAX_FRAME_LEN + 1))
    );
}

/// The bits of these topics.
fn keeps(topics: &[usize]) -> [u8; 16] {
    let mut hello = Hello { topics: vec![[0; 32]; MAX_TOPICS_PER_FRAME], ..Hello::default() };
    topics.iter().for_each(|index| hello.set_keeps(*index));
    hello.keeps
}

#[test]
fn a_hello_says_which_topics_are_kept_and_no_more() {
    let said = |count, kept: &[usize]| {
        let frame = hello(&Hello { topics: vec![[2; 32]; count], keeps: keeps(kept), ..Hello::default() });
        Frame::decode(frame).map(|frame| {
            let Frame::Hello(hello) = frame else { panic!("not a hello") };
            (0..count + 9).filter(|index| hello.keeps(*index)).collect::<Vec<_>>()
        })
    };
    assert_eq!(said(3, &[0, 2]), Ok(vec![0, 2]));
    assert_eq!(said(128, &[0, 63, 64, 127]), Ok(vec![0, 63, 64, 127]));
    // A bit that stands for no topic would be a second encoding of the same.
    assert_eq!(said(3, &[3]), Err(DecodeError::NotCanonical));
    assert_eq!(said(127, &[127]), Err(DecodeError::NotCanonical));
    assert_eq!(said(0, &[0]), Err(DecodeError::NotCanonical));
}

#[test]
fn a_hello_says_where_it_sees_the_other_or_that_it_does_not_know() {
    let read = |hello: &Hello| match Frame::decode(super::hello(hello)) {
        Ok(Frame::Hello(hello)) => Ok(hello.you()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    for addr in ["192.0.2.7:4433", "[2001:db8::7]:1"] {
        let (addr, mut hello) = (addr.parse().unwrap(), Hello::default());
        hello.set_you(addr);
        assert_eq!(read(&hello), Ok(Some(addr)));
    }
    for addr in ["0.0.0.0:4433", "[::]:4433", "192.0.2.7:0"] {
        let mut hello = Hello::default();
        hello.set_you(addr.parse().unwrap());
        assert_eq!((hello.you, read(&hello)), (([0; 16], 0), Ok(None)), "{addr} is none");
    }
    // Half of an address would be a second way to say that there is none.
    for you in [([0; 16], 1), ([1; 16], 0)] {
        assert_eq!(read(&Hello { you, ..Hello::default() }), Err(DecodeError::NotCanonical));
    }
}

#[test]
fn hop_budgets_are_clamped() {
    let mut writer = FrameWriter::with_capacity(0);
    writer.push(u8::MAX, &bundle(0, 1));
    let Ok(Frame::Bundles(mut bundles)) = Frame::decode(writer.finish()) else { panic!("not bundles") };
    assert_eq!(bundles.next().unwrap().unwrap().hops, MAX_HOPS);
}

#[test]
fn reasons_survive_their_codes() {
    for code in 0..12 {
        assert_eq!(Reason::from_code(code).unwrap().code(), code as u32);
    }
    assert_eq!(Reason::from_code(12), None);
    assert_eq!(Reason::from_code(u64::MAX), None);
}

/// One hash over one frame of each kind: a change of the wire format is a red test, renewed only on purpose (and then
/// with a new ALPN).
#[test]
fn the_wire_format_has_not_changed() {
    let mut hasher = blake3::Hasher::new();
    for payload in one_of_each() {
        hasher.update(&(payload.len() as u32).to_le_bytes());
        hasher.update(&payload);
    }
    let expected = include_str!("../../tests/vectors/wire.hash").trim();
    assert_eq!(hasher.finalize().to_hex().as_str(), expected);
}
