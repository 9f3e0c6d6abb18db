//! How the frames of the history are written and read: layouts are in [`history`](super::history).

use bytes::{BufMut as _, Bytes, BytesMut};

use super::bundles::DecodeError;
use super::history::{
    Answer, Ask, AskedRange, Bound, Fetch, FetchedRange, Head, MAX_FETCH_BYTES, MAX_HEADS_PER_LIST,
    MAX_PARTS, MAX_RANGES_PER_ASK, MAX_RANGES_PER_FETCH, MAX_TELL_LEN, Mark, More, Page, Part, Tell,
};
use super::kind::Kind;
use super::read::Reader;
use crate::key::PublicKey;
use crate::rumor::{BundleId, Position, TopicId};

/// Bytes of a head.
const HEAD_LEN: usize = 74;

/// Encodes an [`Ask`].
#[must_use]
pub fn ask(ask: &Ask) -> Bytes {
    let ranges = ask.ranges.get(..MAX_RANGES_PER_ASK).unwrap_or(&ask.ranges);
    let len = ranges.len().saturating_mul(68).saturating_add(9);
    let mut out = begin(Kind::Ask, &ask.topic, ask.session, len);
    out.put_u64_le(ask.as_of);
    out.put_u8(ranges.len() as u8);
    for range in ranges {
        put_bound(&mut out, &range.lo);
        put_bound(&mut out, &range.hi);
        out.put_u32_le(range.count);
        out.put_slice(&range.hash);
    }
    out.freeze()
}

/// Encodes a [`Tell`] with as many of its answers as fit, from the first on.
#[must_use]
pub fn tell(tell: &Tell) -> Bytes {
    let mut answers = BytesMut::new();
    let mut count = 0u8;
    for answer in tell.answers.iter().take(MAX_RANGES_PER_ASK) {
        let before = answers.len();
        put_answer(&mut answers, answer);
        if answers.len() > MAX_TELL_LEN {
            answers.truncate(before);
            break;
        }
        count = count.saturating_add(1);
    }
    let mut out = begin(Kind::Tell, &tell.topic, tell.session, answers.len().saturating_add(9));
    out.put_u64_le(tell.floor);
    out.put_u8(count);
    out.put_slice(&answers);
    out.freeze()
}

/// How many bytes an answer takes of [`MAX_TELL_LEN`].
#[must_use]
pub fn answer_len(answer: &Answer) -> usize {
    match answer {
        Answer::Same => 1,
        Answer::Split(parts) => parts.len().saturating_mul(52).saturating_add(2),
        Answer::List { heads, .. } => heads.len().saturating_mul(HEAD_LEN).saturating_add(4),
        Answer::No { .. } => 3,
    }
}

fn put_answer(out: &mut BytesMut, answer: &Answer) {
    match answer {
        Answer::Same => out.put_u8(0),
        Answer::Split(parts) => {
            let parts = parts.get(..MAX_PARTS).unwrap_or(parts);
            out.put_u8(1);
            out.put_u8(parts.len() as u8);
            for part in parts {
                put_bound(out, &part.hi);
                out.put_u32_le(part.count);
                out.put_slice(&part.hash);
            }
        }
        Answer::List { more, heads } => {
            let heads = heads.get(..MAX_HEADS_PER_LIST).unwrap_or(heads);
            out.put_u8(2);
            out.put_u8(u8::from(*more));
            out.put_u16_le(heads.len() as u16);
            for head in heads {
                out.put_u64_le(head.tick);
                out.put_u16_le(head.slot);
                out.put_slice(head.author.as_bytes());
                out.put_slice(head.id.as_bytes());
            }
        }
        Answer::No { after_ms } => {
            out.put_u8(3);
            out.put_u16_le(*after_ms);
        }
    }
}

/// Encodes a [`Fetch`].
#[must_use]
pub fn fetch(fetch: &Fetch) -> Bytes {
    let ranges = fetch.ranges.get(..MAX_RANGES_PER_FETCH).unwrap_or(&fetch.ranges);
    let mut out =
        begin(Kind::Fetch, &fetch.topic, fetch.session, ranges.len().saturating_mul(54).saturating_add(5));
    out.put_u32_le(fetch.max_bytes.min(MAX_FETCH_BYTES));
    out.put_u8(ranges.len() as u8);
    for range in ranges {
        out.put_slice(range.author.as_bytes());
        put_mark(&mut out, &range.from);
        out.put_u64_le(range.upto.tick);
        out.put_u16_le(range.upto.slot);
    }
    out.freeze()
}

/// Encodes a [`Page`].
#[must_use]
pub fn page(page: &Page) -> Bytes {
    let next = page.next.get(..MAX_RANGES_PER_FETCH).unwrap_or(&page.next);
    let mut out =
        begin(Kind::Page, &page.topic, page.session, next.len().saturating_mul(12).saturating_add(9));
    out.put_u64_le(page.floor);
    out.put_u8(next.len() as u8);
    next.iter().for_each(|mark| put_mark(&mut out, mark));
    out.freeze()
}

/// Encodes a [`More`].
#[must_use]
pub fn more(more: &More) -> Bytes {
    let mut out = BytesMut::with_capacity(45);
    out.put_u8(Kind::More as u8);
    out.put_slice(more.topic.as_bytes());
    out.put_u64_le(more.low);
    out.put_u32_le(more.count.max(1));
    out.freeze()
}

/// Encodes a [`Frame::Stop`](super::Frame::Stop): takes back what is queued for a session.
#[must_use]
pub fn stop(session: u32) -> Bytes {
    let mut out = BytesMut::with_capacity(5);
    out.put_u8(Kind::Stop as u8);
    out.put_u32_le(session);
    out.freeze()
}

fn begin(kind: Kind, topic: &TopicId, session: u32, rest: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(rest.saturating_add(37));
    out.put_u8(kind as u8);
    out.put_slice(topic.as_bytes());
    out.put_u32_le(session);
    out
}

fn put_bound(out: &mut BytesMut, bound: &Bound) {
    out.put_u64_le(bound.tick);
    out.put_slice(&bound.prefix);
}

fn put_mark(out: &mut BytesMut, mark: &Mark) {
    out.put_u64_le(mark.tick);
    out.put_u32_le(mark.slot.min(END_SLOT));
}

/// One past the last slot that there can be.
const END_SLOT: u32 = 1 << 16;

impl Reader<'_> {
    fn bound(&mut self) -> Result<Bound, DecodeError> {
        Ok(Bound { tick: self.u64()?, prefix: self.bytes()? })
    }

    fn mark(&mut self) -> Result<Mark, DecodeError> {
        let mark = Mark { tick: self.u64()?, slot: self.u32()? };
        if mark.slot > END_SLOT { Err(DecodeError::NotCanonical) } else { Ok(mark) }
    }
}

fn ascending<T, K: PartialOrd>(items: &[T], key: impl Fn(&T) -> K) -> Result<(), DecodeError> {
    let sorted = items.windows(2).all(|pair| matches!(pair, [one, two] if key(one) < key(two)));
    if sorted { Ok(()) } else { Err(DecodeError::NotCanonical) }
}

pub(super) fn decode_ask(content: &[u8]) -> Result<Ask, DecodeError> {
    let mut rest = Reader(content);
    let (topic, session, as_of) = (rest.topic()?, rest.u32()?, rest.u64()?);
    let count = usize::from(rest.u8()?);
    let ranges = rest.list(count, MAX_RANGES_PER_ASK, 68, |rest| {
        Ok(AskedRange { lo: rest.bound()?, hi: rest.bound()?, count: rest.u32()?, hash: rest.bytes()? })
    })?;
    rest.end()?;
    if ranges.is_empty() {
        return Err(DecodeError::Length);
    }
    let apart = ranges.windows(2).all(|pair| matches!(pair, [one, two] if one.hi <= two.lo));
    let within = ranges.iter().all(|range| range.lo < range.hi && range.hi <= Bound::start_of(as_of));
    if apart && within { Ok(Ask { topic, session, as_of, ranges }) } else { Err(DecodeError::NotCanonical) }
}

pub(super) fn decode_tell(content: &[u8]) -> Result<Tell, DecodeError> {
    let mut rest = Reader(content);
    let (topic, session, floor) = (rest.topic()?, rest.u32()?, rest.u64()?);
    let count = usize::from(rest.u8()?);
    if rest.0.len() > MAX_TELL_LEN {
        return Err(DecodeError::Length);
    }
    let answers = rest.list(count, MAX_RANGES_PER_ASK, 1, answer)?;
    rest.end()?;
    Ok(Tell { topic, session, floor, answers })
}

fn answer(rest: &mut Reader<'_>) -> Result<Answer, DecodeError> {
    match rest.u8()? {
        0 => Ok(Answer::Same),
        1 => {
            let count = usize::from(rest.u8()?);
            let parts = rest.list(count, MAX_PARTS, 52, |rest| {
                Ok(Part { hi: rest.bound()?, count: rest.u32()?, hash: rest.bytes()? })
            })?;
            if parts.len() < 2 {
                return Err(DecodeError::Length);
            }
            ascending(&parts, |part| part.hi)?;
            Ok(Answer::Split(parts))
        }
        2 => {
            let more = match rest.u8()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::NotCanonical),
            };
            let count = usize::from(rest.u16()?);
            let heads = rest.list(count, MAX_HEADS_PER_LIST, HEAD_LEN, |rest| {
                let (tick, slot) = (rest.u64()?, rest.u16()?);
                let author = PublicKey::from_bytes(rest.bytes()?);
                Ok(Head { tick, slot, author, id: BundleId::from_bytes(rest.bytes()?) })
            })?;
            ascending(&heads, |head| (head.tick, head.id))?;
            Ok(Answer::List { more, heads })
        }
        3 => Ok(Answer::No { after_ms: rest.u16()? }),
        _ => Err(DecodeError::NotCanonical),
    }
}

pub(super) fn decode_fetch(content: &[u8]) -> Result<Fetch, DecodeError> {
    let mut rest = Reader(content);
    let (topic, session, max_bytes) = (rest.topic()?, rest.u32()?, rest.u32()?);
    let count = usize::from(rest.u8()?);
    let ranges = rest.list(count, MAX_RANGES_PER_FETCH, 54, |rest| {
        let author = PublicKey::from_bytes(rest.bytes()?);
        let from = rest.mark()?;
        Ok(FetchedRange { author, from, upto: Position { tick: rest.u64()?, slot: rest.u16()? } })
    })?;
    rest.end()?;
    if ranges.is_empty() {
        return Err(DecodeError::Length);
    }
    if max_bytes > MAX_FETCH_BYTES {
        return Err(DecodeError::NotCanonical);
    }
    Ok(Fetch { topic, session, max_bytes, ranges })
}

pub(super) fn decode_page(content: &[u8]) -> Result<Page, DecodeError> {
    let mut rest = Reader(content);
    let (topic, session, floor) = (rest.topic()?, rest.u32()?, rest.u64()?);
    let count = usize::from(rest.u8()?);
    let next = rest.list(count, MAX_RANGES_PER_FETCH, 12, Reader::mark)?;
    rest.end()?;
    if next.is_empty() { Err(DecodeError::Length) } else { Ok(Page { topic, session, floor, next }) }
}

pub(super) fn decode_more(content: &[u8]) -> Result<More, DecodeError> {
    let mut rest = Reader(content);
    let more = More { topic: rest.topic()?, low: rest.u64()?, count: rest.u32()? };
    rest.end()?;
    if more.count == 0 { Err(DecodeError::NotCanonical) } else { Ok(more) }
}

pub(super) fn decode_stop(content: &[u8]) -> Result<u32, DecodeError> {
    let mut rest = Reader(content);
    let session = rest.u32()?;
    rest.end()?;
    Ok(session)
}
