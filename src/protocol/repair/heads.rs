//! What two nodes compare: the heads of a topic as of one moment, in order. Pure: no state, no clock.
//!
//! ```text
//!   asker                                                             teller
//!     lo..hi, n, hash of what I have there                ──────>
//!                                        <──────   same: nothing to do
//!                                        <──────   list: these are mine             (few, or you have none)
//!                                        <──────   split: 16 parts, n and hash each (many)
//!     differing parts, deepest first, asked again         ──────>
//! ```
//!
//! The hash is unkeyed, so that one answers all askers, and whole: an author could find two ids that collide in a part of it. Sums
//! of ids would be quicker, and could be hit with ids made for it.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::sync::LazyLock;

use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};

use super::cost::Cost;
use crate::rumor::{BundleId, TopicId};
use crate::wire::{
    Answer, AskedRange, Bound, Head, MAX_HEADS_PER_LIST, MAX_PARTS, MAX_TELL_LEN, Part, answer_len,
};

/// Most items of a range that are listed to an asker that has some of its own there; more are split. A list of so many is 4.7 kB, a
/// split 0.8 kB: below it, one more round costs more than the list. (Guess.)
pub(in crate::protocol) const LISTED: usize = 64;

/// The same to an asker that has nothing there, four lists: a session takes in some more. What is beyond is split as well, so that an
/// asker sees any part of it, and not always the first: the first may be what it can never keep. (Guess.)
pub(super) const LISTED_TO_NONE: usize = 4 * MAX_HEADS_PER_LIST;

/// Bytes that are given to the hash at once: it then works on several blocks side by side. Item by item takes four times as long.
const HASHED_AT_ONCE: usize = 8 * 1024;
const ITEM_LEN: usize = 40;
/// Bytes of a listed head.
const HEAD_LEN: usize = 74;
/// Bytes of a split.
const SPLIT_LEN: usize = 2 + 52 * MAX_PARTS;

static CONTEXT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("vouchsafe heads v1"));

/// A bundle in the compared set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::protocol) struct Item {
    /// Its tick.
    pub(in crate::protocol) tick: u64,
    /// Which one.
    pub(in crate::protocol) id: BundleId,
}

impl Item {
    /// Where it lies among others, as far as a cut can tell.
    pub(in crate::protocol) fn bound(&self) -> Bound {
        let mut prefix = [0; 8];
        prefix.iter_mut().zip(self.id.as_bytes()).for_each(|(to, from)| *to = *from);
        Bound { tick: self.tick, prefix }
    }

    /// The one that a head stands for.
    pub(in crate::protocol) const fn of(head: &Head) -> Self {
        Self { tick: head.tick, id: head.id }
    }
}

/// The next place in the order, or `None` past the last.
fn after(bound: Bound) -> Option<Bound> {
    let next = u64::from_be_bytes(bound.prefix).checked_add(1);
    match next {
        Some(prefix) => Some(Bound { prefix: prefix.to_be_bytes(), ..bound }),
        None => bound.tick.checked_add(1).map(Bound::start_of),
    }
}

/// The hash of what a node has in a range.
pub(in crate::protocol) fn hash(topic: &TopicId, items: &[Item]) -> [u8; 32] {
    let mut hasher = Hasher::new_from_context_key(&CONTEXT);
    let mut buffer = Vec::with_capacity(HASHED_AT_ONCE.saturating_add(ITEM_LEN));
    buffer.extend_from_slice(topic.as_bytes());
    buffer.extend_from_slice(&(items.len() as u64).to_le_bytes());
    for item in items {
        buffer.extend_from_slice(&item.tick.to_le_bytes());
        buffer.extend_from_slice(item.id.as_bytes());
        if buffer.len() >= HASHED_AT_ONCE {
            hasher.update(&buffer);
            buffer.clear();
        }
    }
    *hasher.update(&buffer).finalize().as_bytes()
}

/// The compared set of a topic as of one moment, in order, with the hash of all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Slice {
    topic: TopicId,
    as_of: u64,
    items: Vec<Item>,
    whole: [u8; 32],
}

/// What an answer leaves to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::protocol) struct Compared {
    /// Ranges to ask next, with what we have in each.
    pub(in crate::protocol) ask_next: Vec<ToAsk>,
    /// Heads that the teller has and that are not in our set.
    pub(in crate::protocol) heads: Vec<Head>,
}

/// A range to ask about, and about how many bytes its teller will need for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct ToAsk {
    pub(super) range: AskedRange,
    pub(super) expects: usize,
}

impl ToAsk {
    /// Of a range in which the teller has so many items, to go by what it said.
    pub(super) fn new(range: AskedRange, theirs: usize) -> Self {
        let list = theirs.saturating_mul(HEAD_LEN).saturating_add(4).min(MAX_TELL_LEN);
        Self { range, expects: if theirs > listed(&range) { SPLIT_LEN } else { list } }
    }
}

/// An answer does not cover the range that was asked, or goes beyond it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Uncovered;

impl Slice {
    /// Of items in any order.
    pub(in crate::protocol) fn new(topic: TopicId, as_of: u64, mut items: Vec<Item>) -> Self {
        items.sort_unstable();
        let whole = hash(&topic, &items);
        Self { topic, as_of, items, whole }
    }

    /// The tick up to which it is defined; not part of it.
    pub(in crate::protocol) const fn as_of(&self) -> u64 {
        self.as_of
    }

    /// All of it, ascending.
    #[cfg(any(test, feature = "sim"))]
    pub(in crate::protocol) fn items(&self) -> &[Item] {
        &self.items
    }

    /// What lies in a range.
    pub(in crate::protocol) fn range(&self, lo: &Bound, hi: &Bound) -> &[Item] {
        let from = self.items.partition_point(|item| item.bound() < *lo);
        let upto = self.items.partition_point(|item| item.bound() < *hi);
        self.items.get(from..upto).unwrap_or_default()
    }

    fn hash_of(&self, items: &[Item]) -> [u8; 32] {
        if items.len() == self.items.len() { self.whole } else { hash(&self.topic, items) }
    }

    /// The question about a range: what we have there.
    pub(in crate::protocol) fn ask(&self, lo: Bound, hi: Bound) -> AskedRange {
        let items = self.range(&lo, &hi);
        AskedRange { lo, hi, count: items.len() as u32, hash: self.hash_of(items) }
    }

    /// What an answer in `capacity` bytes takes at the most: items are hashed to compare, and once more for the parts of a split;
    /// heads of a list are looked up.
    pub(in crate::protocol) fn cost(&self, asked: &AskedRange, capacity: usize) -> Cost {
        let ours = self.range(&asked.lo, &asked.hi).len();
        let compares = asked.count as usize == ours && ours < self.items.len();
        let splits = ours > listed(asked);
        let items = ours.saturating_mul(usize::from(compares).saturating_add(usize::from(splits)));
        let look_ups = if splits { 0 } else { ours.min(capacity / HEAD_LEN) };
        Cost { items, ranges: 1, look_ups }
    }

    /// What is answered to a range in at most `capacity` bytes; `None` if that is too little. `head` finds the head of an item, unless
    /// it is gone by now.
    pub(in crate::protocol) fn answer(
        &self,
        asked: &AskedRange,
        head: impl Fn(&Item) -> Option<Head>,
        capacity: usize,
    ) -> Option<Answer> {
        let ours = self.range(&asked.lo, &asked.hi);
        let same = asked.count as usize == ours.len() && asked.hash == self.hash_of(ours);
        let answer = if same {
            Answer::Same
        } else if ours.len() > listed(asked) {
            self.split(ours, asked.hi).unwrap_or_else(|| list(ours, head, capacity))
        } else {
            list(ours, head, capacity)
        };
        // A list that was cut to nothing says nothing.
        let is_said = !matches!(&answer, Answer::List { more: true, heads } if heads.is_empty());
        (is_said && answer_len(&answer) <= capacity).then_some(answer)
    }

    /// In parts of equal length; `None` if no cut is possible.
    fn split(&self, items: &[Item], hi: Bound) -> Option<Answer> {
        let len = items.len().div_ceil(MAX_PARTS).max(1);
        let mut parts = Vec::with_capacity(MAX_PARTS);
        let mut rest = items;
        while !rest.is_empty() {
            let part = rest.get(..whole_bounds(rest, len)).unwrap_or(rest);
            rest = rest.get(part.len()..).unwrap_or_default();
            let hi = rest.first().map_or(hi, Item::bound);
            parts.push(Part { hi, count: part.len() as u32, hash: self.hash_of(part) });
        }
        (parts.len() > 1).then_some(Answer::Split(parts))
    }

    /// What is left to do after an answer to a range that we asked.
    ///
    /// # Errors
    /// If parts or heads do not fit the range. "No" settles nothing, so it covers nothing.
    pub(in crate::protocol) fn compare(
        &self,
        asked: &AskedRange,
        answer: &Answer,
    ) -> Result<Compared, Uncovered> {
        match answer {
            Answer::Same => Ok(Compared::default()),
            Answer::No { .. } => Err(Uncovered),
            Answer::Split(parts) => self.compare_parts(asked, parts),
            Answer::List { more, heads } => self.compare_list(asked, *more, heads),
        }
    }

    fn compare_parts(&self, asked: &AskedRange, parts: &[Part]) -> Result<Compared, Uncovered> {
        if parts.last().map(|part| part.hi) != Some(asked.hi) {
            return Err(Uncovered);
        }
        let mut found = Compared::default();
        let mut lo = asked.lo;
        for part in parts {
            if part.hi <= lo {
                return Err(Uncovered);
            }
            // Where the teller has nothing we lack nothing.
            if part.count > 0 {
                let ours = self.range(&lo, &part.hi);
                let same = ours.len() == part.count as usize && self.hash_of(ours) == part.hash;
                if !same {
                    found.ask_next.push(ToAsk::new(self.ask(lo, part.hi), part.count as usize));
                }
            }
            lo = part.hi;
        }
        Ok(found)
    }

    fn compare_list(&self, asked: &AskedRange, more: bool, heads: &[Head]) -> Result<Compared, Uncovered> {
        let mut found = Compared::default();
        let mut before: Option<Item> = None;
        for head in heads {
            let item = Item::of(head);
            let inside = asked.lo <= item.bound() && item.bound() < asked.hi;
            if !inside || before.is_some_and(|before| before >= item) {
                return Err(Uncovered);
            }
            before = Some(item);
            if self.items.binary_search(&item).is_err() {
                found.heads.push(*head);
            }
        }
        if more {
            let last = before.ok_or(Uncovered)?;
            if let Some(lo) = after(last.bound()).filter(|lo| *lo < asked.hi) {
                // As many as that again, for all we know.
                found.ask_next.push(ToAsk::new(self.ask(lo, asked.hi), heads.len()));
            }
        }
        Ok(found)
    }
}

/// Most items that are listed to who asks so.
const fn listed(asked: &AskedRange) -> usize {
    if asked.count == 0 { LISTED_TO_NONE } else { LISTED }
}

/// As many of the first items as `len`, and those after them that share the last one's place: no cut goes between them.
fn whole_bounds(items: &[Item], len: usize) -> usize {
    let last = items.get(..len).and_then(<[Item]>::last).map(Item::bound);
    let more = items.get(len..).unwrap_or_default();
    len.saturating_add(more.iter().take_while(|item| Some(item.bound()) == last).count())
}

/// The first heads, as many as fit, cut between two places.
fn list(items: &[Item], head: impl Fn(&Item) -> Option<Head>, capacity: usize) -> Answer {
    let fits = |heads: usize| capacity.saturating_sub(4) / HEAD_LEN >= heads && heads <= MAX_HEADS_PER_LIST;
    if fits(items.len()) {
        return Answer::List { more: false, heads: items.iter().filter_map(head).collect() };
    }
    let mut most = (capacity.saturating_sub(4) / HEAD_LEN).min(MAX_HEADS_PER_LIST);
    // Back to a place where a cut may be. (As many ids that share eight bytes as a list can have: nobody finds those.)
    while most > 0 && items.get(most).map(Item::bound) == items.get(most.saturating_sub(1)).map(Item::bound) {
        most = most.saturating_sub(1);
    }
    let heads: Vec<_> = items.iter().take(most).filter_map(head).collect();
    Answer::List { more: true, heads }
}
