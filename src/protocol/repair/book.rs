//! The heads of one topic, as its store says them, and what was a head a short while ago.
//!
//! ```text
//!   as of hi:  ── a ──── b ─┬─ c ──── d ──>      b is a head as of hi, though c and d are held:
//!                           hi                    what is younger than hi replaces nothing
//! ```
//!
//! So a replaced head stays for as long as a set from before its replacement may be asked for, and only if there is such a set. In a
//! log a head is replaced by the bundle that names it, in a state topic by the one that has a newer value of its last key.
//!
//! Nothing here is needed for what is kept: the store has all of it, and decides. Whatever does not fit is not told, and peers find
//! that out as a difference.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[cfg(any(test, feature = "sim"))]
mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::heads::{Item, Slice};
use super::moments;
use crate::key::PublicKey;
use crate::protocol::keeping::{Kept, Opened, Prev};
use crate::protocol::limits::{HEADS_KEPT_FOR_COMPARED, MAX_AWAITED, SLICES};
use crate::rumor::{BundleId, Header, Position, Previous, TickLen, TopicId};
use crate::wire::Head;

/// Nothing has replaced it.
const NEVER: u64 = u64::MAX;

/// A head, or what was one.
#[derive(Clone, Copy, Debug)]
struct Entry {
    author: PublicKey,
    slot: u16,
    /// The tick of the first bundle that replaces it, or [`NEVER`].
    until: u64,
}

/// The heads of a topic.
#[derive(Debug)]
pub(in crate::protocol) struct Book {
    topic: TopicId,
    tick: TickLen,
    /// Heads are live bundles, and what a bundle names says nothing.
    is_state: bool,
    /// Heads of one author that are compared, the newest ones.
    compared: usize,
    /// Most heads, and most that were replaced.
    most: usize,
    entries: BTreeMap<Item, Entry>,
    places: BTreeMap<(PublicKey, Position), BundleId>,
    /// Authors of more than one entry, and how many.
    several: BTreeMap<PublicKey, usize>,
    /// The same, the most last.
    ranks: BTreeSet<(usize, PublicKey)>,
    /// Those that were replaced, by when.
    replaced: BTreeSet<(u64, Item)>,
    /// Bundles that are named and missing, each with the tick of the first that names it: if one comes, it was replaced then. Also those
    /// that were replaced before anything is told as of: of a forked chain a later one may name them too.
    awaited: BTreeMap<(PublicKey, Named), u64>,
    awaited_since: BTreeSet<(u64, PublicKey, Named)>,
    /// The first tick that anything is still told as of.
    oldest: u64,
    /// Sets asked for last, the latest first.
    slices: Vec<Arc<Slice>>,
    /// The store has counted again, and is to say what it found.
    doubted: bool,
}

/// A bundle that another names.
type Named = (Position, BundleId);

impl Book {
    /// An empty one, with room for one head: see [`Book::set_most`]. Of one author `compared` heads are compared.
    pub(in crate::protocol) fn new(topic: TopicId, tick: TickLen, compared: usize) -> Self {
        Self {
            topic,
            tick,
            is_state: false,
            compared: compared.max(1),
            most: 1,
            entries: BTreeMap::new(),
            places: BTreeMap::new(),
            several: BTreeMap::new(),
            ranks: BTreeSet::new(),
            replaced: BTreeSet::new(),
            awaited: BTreeMap::new(),
            awaited_since: BTreeSet::new(),
            oldest: 0,
            slices: Vec::new(),
            doubted: false,
        }
    }

    /// An empty one of a topic of state, in which all live bundles are compared.
    pub(in crate::protocol) fn of_state(topic: TopicId, tick: TickLen) -> Self {
        Self { is_state: true, ..Self::new(topic, tick, usize::MAX) }
    }

    /// The store has lost something, and counted again.
    pub(in crate::protocol) const fn is_doubted(&mut self) {
        self.doubted = true;
    }

    /// Whether the store should say all of it again.
    pub(in crate::protocol) const fn has_doubt(&self) -> bool {
        self.doubted
    }

    /// The store has opened the topic, at first or again: what it says is all there is. Authors that are convicted are left out. (Of
    /// several bundles that name one, the first may be older than what a store says: so for two minutes the set of an author that has
    /// forked its chain may differ from that of others.)
    pub(in crate::protocol) fn opened(
        &mut self,
        opened: &Opened,
        unix_ms: u64,
        convicted: impl Fn(&PublicKey) -> bool,
    ) {
        let (most, is_state) = (self.most, self.is_state);
        *self = Self { most, is_state, ..Self::new(self.topic, self.tick, self.compared) };
        self.expire(unix_ms);
        let mut held = BTreeSet::new();
        held.extend(opened.named.iter().map(|head| (head.author, head.position, head.id)));
        for head in opened.heads.iter().filter(|head| !convicted(&head.author)) {
            self.enter(head.author, head.position, head.id, NEVER);
        }
        for (head, in_tick) in opened.dead.iter().filter(|(head, _)| !convicted(&head.author)) {
            self.was_head(head.author, head.position, head.id, *in_tick);
        }
        if self.is_state {
            return;
        }
        let recent = opened.recent.iter().map(|signed| &signed.header);
        held.extend(recent.clone().map(|header| (header.author, header.position(), header.id())));
        let mut first = BTreeMap::new();
        for header in recent.filter(|header| !convicted(&header.author)) {
            let Some(prev) = header.prev else { continue };
            let by: &mut u64 = first.entry((header.author, prev.position, prev.id)).or_insert(NEVER);
            *by = header.tick.min(*by);
        }
        for ((author, position, id), by) in first {
            if held.contains(&(author, position, id)) {
                self.was_head(author, position, id, by);
            } else {
                self.awaits(author, Previous { id, position }, by);
            }
        }
    }

    /// The store has kept a bundle. Not to be told of authors that are convicted.
    pub(in crate::protocol) fn kept(&mut self, header: &Header, id: BundleId, kept: &Kept) {
        let Kept::New { named, prev, killed, .. } = kept else { return };
        match (prev, &header.prev) {
            (Prev::Held, Some(prev)) => {
                self.replace(&header.author, prev.position, Some(prev.id), header.tick);
            }
            (Prev::Missing, Some(prev)) => self.awaits(header.author, *prev, header.tick),
            _ => {}
        }
        if !named {
            self.enter(header.author, header.position(), id, NEVER);
        } else if let Some(until) = self.arrived(header.author, (header.position(), id)) {
            self.was_head(header.author, header.position(), id, until);
        }
        for killed in killed {
            self.replace(&header.author, killed.position, None, killed.in_tick);
        }
    }

    /// A bundle is held that was replaced at that tick, by one that is held.
    pub(in crate::protocol) fn was_head(
        &mut self,
        author: PublicKey,
        at: Position,
        id: BundleId,
        until: u64,
    ) {
        if until >= self.oldest && moments::part(self.tick, at.tick, until) {
            self.enter(author, at, id, until);
        }
    }

    /// A bundle that starts there, if it is a head, was replaced by one of that tick. `id` is its id, if only that one is meant.
    pub(in crate::protocol) fn replace(
        &mut self,
        author: &PublicKey,
        at: Position,
        id: Option<BundleId>,
        by: u64,
    ) {
        let Some(found) = self.places.get(&(*author, at)).copied() else { return };
        let item = Item { tick: at.tick, id: found };
        let Some(entry) = self.entries.get(&item).copied() else { return };
        if id.is_some_and(|id| id != found) || by >= entry.until {
            return;
        }
        if by < self.oldest || !moments::part(self.tick, at.tick, by) {
            return self.remove(item);
        }
        self.replaced.remove(&(entry.until, item));
        self.replaced.insert((by, item));
        self.entries.insert(item, Entry { until: by, ..entry });
        self.changed(at.tick.max(by), entry.until);
        self.shed_replaced();
    }

    /// Nothing below is compared any more.
    pub(in crate::protocol) fn raise(&mut self, low: u64) {
        let first = Item { tick: low, id: BundleId::from_bytes([0; 32]) };
        while let Some((item, _)) = self.entries.first_key_value() {
            if *item >= first {
                break;
            }
            let item = *item;
            self.remove(item);
        }
        // What a bundle below names lies below as well.
        while let Some((since, author, prev)) = self.awaited_since.first().copied() {
            if since >= low {
                break;
            }
            self.arrived(author, prev);
        }
    }

    /// Nothing of an author is compared any more.
    pub(in crate::protocol) fn silence(&mut self, author: &PublicKey) {
        let all: Vec<_> = self.of_author(author).map(|(at, id)| Item { tick: at.tick, id }).collect();
        all.into_iter().for_each(|item| self.remove(item));
        self.awaited.retain(|(of, _), _| of != author);
        self.awaited_since.retain(|(_, of, _)| of != author);
    }

    /// Forgets what was replaced so long ago that nobody may ask for it.
    pub(in crate::protocol) fn expire(&mut self, unix_ms: u64) {
        self.oldest = moments::oldest(self.tick, unix_ms);
        while let Some((until, item)) = self.replaced.first().copied() {
            if until >= self.oldest {
                break;
            }
            self.remove(item);
        }
        self.slices.retain(|slice| slice.as_of() >= self.oldest);
    }

    /// How many heads there may be, and how many that were replaced. What is too much leaves.
    pub(in crate::protocol) fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
        while let Some((_, author)) = self.ranks.last().copied()
            && self.count() > self.most
        {
            self.shed_of(&author);
        }
        let standing = self.entries.iter().filter(|(_, entry)| entry.until == NEVER);
        let over = self.count().saturating_sub(self.most);
        let oldest: Vec<_> = standing.take(over).map(|(item, _)| *item).collect();
        oldest.into_iter().for_each(|item| self.remove(item));
        self.shed_replaced();
    }

    /// How many heads there are.
    pub(in crate::protocol) fn count(&self) -> usize {
        self.entries.len().saturating_sub(self.replaced.len())
    }

    #[cfg(test)]
    /// Whether a further author has a place, or this one has one.
    pub(in crate::protocol) fn takes(&self, author: &PublicKey) -> bool {
        self.count() < self.most || self.of_author(author).next().is_some()
    }

    /// Heads of an author and those that were, by position.
    pub(in crate::protocol) fn of_author(
        &self,
        author: &PublicKey,
    ) -> impl DoubleEndedIterator<Item = (Position, BundleId)> + '_ {
        let (from, upto) = (Position { tick: 0, slot: 0 }, Position { tick: u64::MAX, slot: u16::MAX });
        self.places.range((*author, from)..=(*author, upto)).map(|((_, at), id)| (*at, *id))
    }

    /// Exactly this is a head, or was one.
    pub(in crate::protocol) fn has(&self, head: &Head) -> bool {
        self.head(&Item::of(head)).is_some_and(|ours| ours == *head)
    }

    /// Exactly this is a head: no held bundle has replaced it.
    pub(in crate::protocol) fn is_head(&self, author: &PublicKey, at: Position, id: &BundleId) -> bool {
        let entry = self.entries.get(&Item { tick: at.tick, id: *id });
        entry.is_some_and(|entry| entry.author == *author && entry.slot == at.slot && entry.until == NEVER)
    }

    /// What is listed for an item, if it is still there.
    pub(in crate::protocol) fn head(&self, item: &Item) -> Option<Head> {
        let entry = self.entries.get(item)?;
        Some(Head { tick: item.tick, id: item.id, slot: entry.slot, author: entry.author })
    }

    /// How many items are looked at or hashed to make the set as of a tick: none if it is at hand.
    pub(in crate::protocol) fn slice_cost(&self, as_of: u64) -> usize {
        let at_hand = self.slices.iter().any(|slice| slice.as_of() == as_of);
        if at_hand { 0 } else { self.entries.len().saturating_mul(2) }
    }

    /// The set as of a tick. The two that were asked for last are at hand.
    pub(in crate::protocol) fn slice(&mut self, as_of: u64) -> Arc<Slice> {
        let found = self.slices.iter().position(|slice| slice.as_of() == as_of);
        let slice = match found {
            Some(at) => self.slices.remove(at),
            None => Arc::new(Slice::new(self.topic, as_of, self.as_of(as_of))),
        };
        self.slices.insert(0, Arc::clone(&slice));
        self.slices.truncate(SLICES);
        slice
    }

    /// The compared set: what was said before `hi` and was replaced by nothing that was said before `hi`.
    pub(in crate::protocol) fn as_of(&self, hi: u64) -> Vec<Item> {
        let end = Item { tick: hi, id: BundleId::from_bytes([0; 32]) };
        let standing = self.entries.range(..end).filter(|(_, entry)| entry.until >= hi);
        let mut items: Vec<_> = standing.map(|(item, _)| *item).collect();
        let mut beyond = BTreeSet::new();
        let crowded = self.ranks.range((self.compared.saturating_add(1), PublicKey::from_bytes([0; 32]))..);
        for (_, author) in crowded {
            let all = self.of_author(author).rev().map(|(at, id)| Item { tick: at.tick, id });
            let stands = |item: &Item| self.entries.get(item).is_some_and(|entry| entry.until >= hi);
            beyond.extend(all.filter(|item| item.tick < hi && stands(item)).skip(self.compared));
        }
        if !beyond.is_empty() {
            items.retain(|item| !beyond.contains(item));
        }
        items
    }

    fn enter(&mut self, author: PublicKey, at: Position, id: BundleId, until: u64) {
        let item = Item { tick: at.tick, id };
        match self.places.get(&(author, at)).copied() {
            Some(other) if other == id => return self.replace(&author, at, Some(id), until),
            // The store holds one bundle at a position: the other is gone.
            Some(other) => self.remove(Item { tick: at.tick, id: other }),
            None => {}
        }
        let before = self.count_of(&author);
        self.entries.insert(item, Entry { author, slot: at.slot, until });
        self.places.insert((author, at), id);
        self.counts(author, before.saturating_add(1));
        if until != NEVER {
            self.replaced.insert((until, item));
            self.shed_replaced();
        }
        self.changed(at.tick, until);
        if before >= self.compared.saturating_mul(HEADS_KEPT_FOR_COMPARED) {
            self.shed_of(&author);
        }
        // Where there is no room an author pays for its own, then the one that has the most, then the newcomer.
        while self.count() > self.most {
            let most = self.ranks.last().map(|(_, author)| *author);
            match Some(author).filter(|author| self.count_of(author) > 1).or(most) {
                Some(author) => self.shed_of(&author),
                None => self.remove(item),
            }
        }
    }

    fn remove(&mut self, item: Item) {
        let Some(entry) = self.entries.remove(&item) else { return };
        let left = self.count_of(&entry.author).saturating_sub(1);
        self.places.remove(&(entry.author, Position { tick: item.tick, slot: entry.slot }));
        self.counts(entry.author, left);
        self.replaced.remove(&(entry.until, item));
        self.changed(item.tick, entry.until);
    }

    /// The oldest of an author leaves.
    fn shed_of(&mut self, author: &PublicKey) {
        let oldest = self.of_author(author).next();
        if let Some((at, id)) = oldest {
            self.remove(Item { tick: at.tick, id });
        }
    }

    fn count_of(&self, author: &PublicKey) -> usize {
        match self.several.get(author) {
            Some(count) => *count,
            None => usize::from(self.of_author(author).next().is_some()),
        }
    }

    fn counts(&mut self, author: PublicKey, count: usize) {
        if let Some(before) = self.several.remove(&author) {
            self.ranks.remove(&(before, author));
        }
        if count > 1 {
            self.several.insert(author, count);
            self.ranks.insert((count, author));
        }
    }

    /// Sets as of a tick after `from` and up to `upto` are not what they were.
    fn changed(&mut self, from: u64, upto: u64) {
        self.slices.retain(|slice| slice.as_of() <= from || slice.as_of() > upto);
    }

    fn shed_replaced(&mut self) {
        while self.replaced.len() > self.most {
            let Some((_, item)) = self.replaced.first().copied() else { break };
            self.remove(item);
        }
    }

    fn awaits(&mut self, author: PublicKey, prev: Previous, by: u64) {
        let prev = (prev.position, prev.id);
        let known = self.arrived(author, prev);
        let by = known.map_or(by, |known| known.min(by));
        if self.awaited.len() >= MAX_AWAITED
            && let Some((_, author, prev)) = self.awaited_since.first().copied()
        {
            self.arrived(author, prev);
        }
        self.awaited.insert((author, prev), by);
        self.awaited_since.insert((by, author, prev));
    }

    fn arrived(&mut self, author: PublicKey, prev: Named) -> Option<u64> {
        let by = self.awaited.remove(&(author, prev))?;
        self.awaited_since.remove(&(by, author, prev));
        Some(by)
    }
}
