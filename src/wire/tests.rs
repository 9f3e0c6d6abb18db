//! Claims about the codec: one encoding per meaning, limits that agree on both sides.

use bytes::Bytes;

use super::*;
use crate::key::SecretKey;
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
        hello(&Hello { network: [1; 32], clock_ms: 1 << 40, topics: vec![[2; 32]; 3] }),
        topics(&TopicChange { joined: vec![[2; 32]], left: vec![] }),
        bundles.finish(),
        announce(&TopicId::from_bytes([3; 32]), &[(id, 9)]),
        headers(&[signed]),
        pull(&topic, &[id]),
        gone(&topic, &[id]),
        cancel(&topic, &[id]),
        evidence(&Evidence::new(signed, other).unwrap()),
        goodbye(Reason::Full),
    ]
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
    let frame = hello(&Hello { network: [1; 32], clock_ms: 1, topics: vec![] });
    let mut padded = frame[..33].to_vec();
    padded.extend_from_slice(&[0x81, 0x00, 0x00]); // 1 as a varint of two bytes, then no topics
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

    let topics =
        |count| hello(&Hello { network: [1; 32], clock_ms: u64::MAX, topics: vec![[255; 32]; count] });
    assert!(Frame::decode(topics(MAX_TOPICS_PER_FRAME)).is_ok());
    assert_eq!(Frame::decode(topics(MAX_TOPICS_PER_FRAME + 1)), Err(DecodeError::Length));
    assert_eq!(
        Frame::decode(vec![5; MAX_FRAME_LEN + 1].into()),
        Err(DecodeError::FrameLength(MAX_FRAME_LEN + 1))
    );
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
    for code in 0..10 {
        assert_eq!(Reason::from_code(code).unwrap().code(), code as u32);
    }
    assert_eq!(Reason::from_code(10), None);
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
