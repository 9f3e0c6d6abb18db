//! Frames about the past as values: each within the limits, or just beyond one.

use arbitrary::Arbitrary;
use bytes::Bytes;
use vouchsafe::rumor::BundleId;
use vouchsafe::wire::{
    self, Answer, Ask, AskedRange, Bound, Fetch, FetchedRange, Frame, Head, MAX_FETCH_BYTES,
    MAX_HEADS_PER_LIST, MAX_PARTS, MAX_RANGES_PER_ASK, MAX_RANGES_PER_FETCH, MAX_TELL_LEN, Mark, More, Page,
    Part, Tell,
};
use vouchsafe::{Position, PublicKey, TopicId};

#[derive(Arbitrary, Debug)]
pub(crate) enum Past {
    Ask { topic: [u8; 32], session: u32, as_of: u64, ranges: Vec<Asked> },
    Tell { topic: [u8; 32], session: u32, floor: u64, answers: Vec<Told> },
    Fetch { topic: [u8; 32], session: u32, max_bytes: u32, ranges: Vec<Fetched> },
    Page { topic: [u8; 32], session: u32, floor: u64, next: Vec<(u64, u32)> },
    More { topic: [u8; 32], low: u64, count: u32 },
    Stop(u32),
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Asked {
    bounds: [(u64, [u8; 8]); 2],
    count: u32,
    hash: [u8; 32],
}

/// Where a part ends, how many heads it has, and their hash.
type Piece = ((u64, [u8; 8]), u32, [u8; 32]);

#[derive(Arbitrary, Debug)]
pub(crate) enum Told {
    Same,
    Split(Vec<Piece>),
    List { more: bool, heads: Vec<(u64, u16, [u8; 32], [u8; 32])>, again: u16 },
    No(u16),
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Fetched {
    author: [u8; 32],
    from: (u64, u32),
    upto: (u64, u16),
}

fn bound((tick, prefix): (u64, [u8; 8])) -> Bound {
    Bound { tick, prefix }
}

/// One past the last slot.
const END_SLOT: u32 = 1 << 16;

fn mark((tick, slot): (u64, u32)) -> Mark {
    Mark { tick, slot: slot % (END_SLOT + 1) }
}

impl Told {
    /// The answer, and whether it may travel.
    fn answer(self) -> (Answer, bool) {
        match self {
            Self::Same => (Answer::Same, true),
            Self::No(after_ms) => (Answer::No { after_ms }, true),
            Self::Split(parts) => {
                let parts = parts.into_iter().take(MAX_PARTS);
                let parts: Vec<_> =
                    parts.map(|(hi, count, hash)| Part { hi: bound(hi), count, hash }).collect();
                let good = parts.len() >= 2 && parts.windows(2).all(|pair| pair[0].hi < pair[1].hi);
                (Answer::Split(parts), good)
            }
            Self::List { more, heads, again } => {
                let mut heads: Vec<_> = heads
                    .into_iter()
                    .map(|(tick, slot, author, id)| Head {
                        tick,
                        slot,
                        author: PublicKey::from_bytes(author),
                        id: BundleId::from_bytes(id),
                    })
                    .collect();
                // Many, in few bytes: the last one in ever later ticks.
                if let Some(last) = heads.last().copied() {
                    let again = u64::from(again) % (MAX_HEADS_PER_LIST as u64 + 2);
                    heads.extend((1..=again).map(|more| Head { tick: last.tick.wrapping_add(more), ..last }));
                }
                heads.truncate(MAX_HEADS_PER_LIST);
                let key = |head: &Head| (head.tick, head.id);
                let good = heads.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]));
                (Answer::List { more, heads }, good)
            }
        }
    }
}

impl Past {
    /// How it is written, and what that means: `None` if it may not travel.
    pub(crate) fn frame(self) -> (Bytes, Option<Frame>) {
        let topic_of = TopicId::from_bytes;
        match self {
            Self::Ask { topic, session, as_of, ranges } => {
                let ranges = ranges.into_iter().take(MAX_RANGES_PER_ASK).map(|asked| {
                    let [lo, hi] = asked.bounds.map(bound);
                    AskedRange { lo, hi, count: asked.count, hash: asked.hash }
                });
                let ask = Ask { topic: topic_of(topic), session, as_of, ranges: ranges.collect() };
                let end = Bound::start_of(as_of);
                let within = ask.ranges.iter().all(|range| range.lo < range.hi && range.hi <= end);
                let apart = ask.ranges.windows(2).all(|pair| pair[0].hi <= pair[1].lo);
                let good = within && apart && !ask.ranges.is_empty();
                (wire::ask(&ask), good.then_some(Frame::Ask(ask)))
            }
            Self::Tell { topic, session, floor, answers } => {
                let told: Vec<_> = answers.into_iter().take(MAX_RANGES_PER_ASK).map(Told::answer).collect();
                let mut bytes = 0;
                let fitting = told.into_iter().take_while(|(answer, _)| {
                    bytes += wire::answer_len(answer);
                    bytes <= MAX_TELL_LEN
                });
                let (answers, good): (Vec<_>, Vec<_>) = fitting.unzip();
                let tell = Tell { topic: topic_of(topic), session, floor, answers };
                (wire::tell(&tell), good.into_iter().all(|good| good).then_some(Frame::Tell(tell)))
            }
            Self::Fetch { topic, session, max_bytes, ranges } => {
                let ranges = ranges.into_iter().take(MAX_RANGES_PER_FETCH).map(|fetched| FetchedRange {
                    author: PublicKey::from_bytes(fetched.author),
                    from: mark(fetched.from),
                    upto: Position { tick: fetched.upto.0, slot: fetched.upto.1 },
                });
                let max_bytes = max_bytes % (MAX_FETCH_BYTES + 1);
                let fetch = Fetch { topic: topic_of(topic), session, max_bytes, ranges: ranges.collect() };
                let good = !fetch.ranges.is_empty();
                (wire::fetch(&fetch), good.then_some(Frame::Fetch(fetch)))
            }
            Self::Page { topic, session, floor, next } => {
                let next = next.into_iter().take(MAX_RANGES_PER_FETCH).map(mark).collect();
                let page = Page { topic: topic_of(topic), session, floor, next };
                let good = !page.next.is_empty();
                (wire::page(&page), good.then_some(Frame::Page(page)))
            }
            Self::More { topic, low, count } => {
                let more = More { topic: topic_of(topic), low, count: count.max(1) };
                (wire::more(&more), Some(Frame::More(more)))
            }
            Self::Stop(session) => (wire::stop(session), Some(Frame::Stop(session))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_at_its_limit_travels_and_one_out_of_order_does_not() {
        let list = |ticks: &[u64], again| Past::Tell {
            topic: [1; 32],
            session: 7,
            floor: 0,
            answers: vec![Told::List {
                more: true,
                heads: ticks.iter().map(|tick| (*tick, 3, [2; 32], [3; 32])).collect(),
                again,
            }],
        };
        let (payload, value) = list(&[1], MAX_HEADS_PER_LIST as u16 + 1).frame();
        assert_eq!(Frame::decode(payload).ok(), value);
        let (payload, value) = list(&[2, 1], 0).frame();
        assert!(value.is_none() && Frame::decode(payload).is_err());
    }
}
