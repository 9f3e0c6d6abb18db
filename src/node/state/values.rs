//! What authors say of keys, in memory: pure data. What is not shown holds its place, and is read by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::key::PublicKey;
use crate::rumor::registers::{Held as _, Registers};
use crate::rumor::{Bundle, MAX_RUMORS, Position, Resolve, RuleSet, Said};

/// A key of an author.
pub(in crate::node) type Place = (PublicKey, Bytes);

/// What one author says of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The value; `None` if the author has deleted the key.
    pub value: Option<Bytes>,
    /// Where the author has said so.
    pub position: Position,
}

/// Beside the position of a register.
#[derive(Clone, Debug)]
struct Held {
    value: Option<Bytes>,
    /// Where its bundle starts.
    first: Position,
    is_shown: bool,
}

/// All registers of a topic.
#[derive(Clone, Debug)]
pub(in crate::node) struct Values {
    rules: Arc<RuleSet>,
    authors: BTreeMap<PublicKey, Registers<Held>>,
    /// Who has a register under a key.
    keys: BTreeMap<Bytes, BTreeSet<PublicKey>>,
    /// What stands below is over.
    floor: u64,
}

impl Values {
    pub(in crate::node) fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules, authors: BTreeMap::new(), keys: BTreeMap::new(), floor: 0 }
    }

    fn max_keys(&self) -> u32 {
        self.rules.kind().max_keys().unwrap_or(0)
    }

    /// A bundle is kept. Gives which keys have something else now, or nothing any more.
    pub(in crate::node) fn merge(&mut self, bundle: &Arc<Bundle>, is_shown: bool) -> Vec<Place> {
        let (author, first) = (bundle.header().author, bundle.header().position());
        if first.tick < self.floor {
            return Vec::new();
        }
        let cells = bundle.cells().map(|(position, cell)| {
            let (key, value) = cell.into_parts();
            (position, key, Held { value, first, is_shown })
        });
        let max_keys = self.max_keys();
        let merged = self.authors.entry(author).or_default().merge(max_keys, cells.collect());
        for key in &merged.written {
            self.keys.entry(key.clone()).or_default().insert(author);
        }
        let ended = merged.ended.into_iter().map(|(key, ..)| key);
        let changed: BTreeSet<Bytes> = merged.written.into_iter().chain(ended).collect();
        self.after(author, changed)
    }

    /// What was held back or rejected is shown from now on.
    pub(in crate::node) fn show(&mut self, author: PublicKey, first: Position) -> Vec<Place> {
        let Some(registers) = self.authors.get_mut(&author) else { return Vec::new() };
        let mut shown = Vec::new();
        for offset in 0..MAX_RUMORS as u16 {
            let at = Position { slot: first.slot.saturating_add(offset), ..first };
            if let Some((key, held)) = registers.at_mut(at)
                && held.first == first
                && !std::mem::replace(&mut held.is_shown, true)
            {
                shown.push((author, key.clone()));
            }
        }
        shown
    }

    /// What stands in ticks below this one is over.
    pub(in crate::node) fn raise(&mut self, floor: u64) -> Vec<Place> {
        self.floor = self.floor.max(floor);
        let floor = self.floor;
        let mut ended = Vec::new();
        for (author, registers) in &mut self.authors {
            let keys = registers.raise(floor).into_iter().map(|(key, ..)| key).collect::<BTreeSet<_>>();
            ended.push((*author, keys));
        }
        ended.into_iter().flat_map(|(author, keys)| self.after(author, keys)).collect()
    }

    /// All of an author is over. Gives whether there was something.
    pub(in crate::node) fn remove(&mut self, author: &PublicKey) -> bool {
        let Some(registers) = self.authors.remove(author) else { return false };
        for (key, ..) in registers.from(&[]) {
            Self::leave(&mut self.keys, key, author);
        }
        registers.len() > 0
    }

    /// Keys of an author that have changed: those that it has no more are told from the others.
    fn after(&mut self, author: PublicKey, changed: BTreeSet<Bytes>) -> Vec<Place> {
        let registers = self.authors.get(&author);
        for key in &changed {
            if registers.is_none_or(|registers| registers.get(key).is_none()) {
                Self::leave(&mut self.keys, key, &author);
            }
        }
        if registers.is_some_and(|registers| registers.len() == 0) {
            self.authors.remove(&author);
        }
        changed.into_iter().map(|key| (author, key)).collect()
    }

    fn leave(keys: &mut BTreeMap<Bytes, BTreeSet<PublicKey>>, key: &Bytes, author: &PublicKey) {
        if let Some(authors) = keys.get_mut(key) {
            authors.remove(author);
            if authors.is_empty() {
                keys.remove(key);
            }
        }
    }

    /// What an author says of a key, if it is shown.
    pub(in crate::node) fn entry(&self, author: &PublicKey, key: &[u8]) -> Option<Entry> {
        let (position, held) = self.authors.get(author)?.get(key)?;
        held.is_shown.then(|| Entry { value: held.value.clone(), position })
    }

    /// Where the newest cell of a key of an author stands, shown or not.
    pub(in crate::node) fn position(&self, author: &PublicKey, key: &[u8]) -> Option<Position> {
        self.authors.get(author)?.get(key).map(|(position, _)| position)
    }

    /// What authors say of a key.
    pub(in crate::node) fn said(&self, key: &[u8]) -> impl Iterator<Item = Said<'_>> {
        let authors = self.keys.get(key).into_iter().flatten();
        authors.filter_map(move |author| {
            let (position, held) = self.authors.get(author)?.get(key)?;
            held.is_shown.then_some(Said { author: *author, position, value: held.value.as_ref() })
        })
    }

    /// The same, each with its author.
    pub(in crate::node) fn entries(&self, key: &[u8]) -> Vec<(PublicKey, Entry)> {
        let said = self.said(key);
        said.map(|said| (said.author, Entry { value: said.value.cloned(), position: said.position }))
            .collect()
    }

    /// Authors that say something that is shown.
    pub(in crate::node) fn authors(&self) -> Vec<PublicKey> {
        let shown = |registers: &Registers<Held>| registers.from(&[]).any(|(.., held)| held.is_shown);
        self.authors.iter().filter(|(_, registers)| shown(registers)).map(|(author, _)| *author).collect()
    }

    /// What readers take for the value of a key.
    pub(in crate::node) fn shared(&self, key: &[u8], resolve: Resolve) -> Option<Bytes> {
        // Where anybody is as many authors as it likes, it means nothing that so many agree.
        if matches!(resolve, Resolve::Agreed(_)) && !self.rules.is_listed() {
            return None;
        }
        resolve.among(self.said(key))?.cloned()
    }

    /// Keys of an author that begin so and have a value.
    pub(in crate::node) fn scan(&self, author: &PublicKey, prefix: &[u8]) -> Vec<(Bytes, Bytes)> {
        let registers = self.authors.get(author).into_iter();
        let keys = registers.flat_map(|registers| registers.from(prefix));
        keys.take_while(|(key, ..)| key.starts_with(prefix))
            .filter(|(.., held)| held.is_shown)
            .filter_map(|(key, _, held)| Some((key.clone(), held.value.clone()?)))
            .collect()
    }

    /// Keys that begin so and have a value of some author.
    pub(in crate::node) fn keys(&self, prefix: &[u8]) -> Vec<Bytes> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        let keys = self.keys.range::<[u8], _>(from).map(|(key, _)| key);
        keys.take_while(|key| key.starts_with(prefix))
            .filter(|key| self.said(key).any(|said| said.value.is_some()))
            .cloned()
            .collect()
    }

    /// All keys of all authors that begin so and are shown.
    pub(in crate::node) fn places(&self, prefix: &[u8]) -> Vec<Place> {
        let mut places = Vec::new();
        for (author, registers) in &self.authors {
            let keys = registers.from(prefix).take_while(|(key, ..)| key.starts_with(prefix));
            places.extend(keys.filter(|(.., held)| held.is_shown).map(|(key, ..)| (*author, key.clone())));
        }
        places
    }

    /// Whether an author may write these keys without one of its values being pushed out, besides keys that it is writing already.
    pub(in crate::node) fn has_room<'a>(
        &self,
        author: &PublicKey,
        writes: impl Iterator<Item = &'a Bytes>,
        writing: &'a BTreeMap<Bytes, usize>,
    ) -> bool {
        let registers = self.authors.get(author);
        let is_new = |key: &&Bytes| registers.is_none_or(|registers| registers.get(key).is_none());
        let keys: BTreeSet<&Bytes> = writes.chain(writing.keys()).collect();
        let fresh = keys.iter().filter(|key| is_new(key)).count();
        let held = registers.map_or(0, Registers::len);
        let beyond = held.saturating_add(fresh).saturating_sub(self.max_keys() as usize);
        if beyond == 0 {
            return true;
        }
        // Those that go must be deleted ones, which nobody misses. What is written now goes last.
        let Some(registers) = registers else { return false };
        let Ok(oldest) = registers.oldest(beyond.saturating_add(keys.len()));
        let mut go = oldest.iter().filter(|(_, key)| !keys.contains(key)).take(beyond);
        let is_deleted = |key: &Bytes| registers.get(key).is_some_and(|(_, held)| held.value.is_none());
        let deleted = go.by_ref().take_while(|(_, key)| is_deleted(key)).count();
        deleted == beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::rumor::{Cell, NetworkId, Topic, seal};

    fn values(max_keys: u32) -> Values {
        Values::new(Arc::new(Topic::named("t").state(max_keys).bind(NetworkId::of("n")).unwrap()))
    }

    fn author(number: u8) -> PublicKey {
        SecretKey::from_seed(&[number; 32]).public()
    }

    /// A bundle of these cells, at slot 5 of a tick.
    fn bundle(
        values: &Values,
        number: u8,
        tick: u64,
        cells: &[(&'static str, Option<&'static str>)],
    ) -> Arc<Bundle> {
        let cell = |(key, value): &(&'static str, Option<&'static str>)| match value {
            Some(value) => Cell::put(*key, *value).unwrap().encode(),
            None => Cell::delete(*key).unwrap().encode(),
        };
        let bodies: Vec<_> = cells.iter().map(cell).collect();
        let key = SecretKey::from_seed(&[number; 32]);
        Arc::new(seal(&key, values.rules.id(), Position { tick, slot: 5 }, &bodies).unwrap())
    }

    fn changed(places: &[Place]) -> Vec<&str> {
        places.iter().map(|(_, key)| std::str::from_utf8(key).unwrap()).collect()
    }

    fn value(values: &Values, number: u8, key: &str) -> Option<String> {
        let entry = values.entry(&author(number), key.as_bytes())?;
        Some(entry.value.map_or("deleted".into(), |value| String::from_utf8(value.to_vec()).unwrap()))
    }

    #[test]
    fn what_is_newer_is_shown_whatever_comes_first() {
        let mut values = values(3);
        let old = bundle(&values, 1, 10, &[("a", Some("1")), ("b", Some("1"))]);
        let new = bundle(&values, 1, 20, &[("a", Some("2")), ("c", None)]);
        assert_eq!(changed(&values.merge(&new, true)), ["a", "c"]);
        assert_eq!(changed(&values.merge(&old, true)), ["b"]);
        assert_eq!(changed(&values.merge(&new, true)), Vec::<&str>::new());
        let shown =
            |values: &Values| ["a", "b", "c", "d"].map(|key| value(values, 1, key).unwrap_or_default());
        assert_eq!(shown(&values), ["2", "1", "deleted", ""]);
        assert_eq!(values.keys(b""), ["a", "b"]);
        assert_eq!(values.authors(), [author(1)]);
        // A fourth key pushes the oldest out.
        let more = bundle(&values, 1, 30, &[("d", Some("3"))]);
        assert_eq!(changed(&values.merge(&more, true)), ["b", "d"]);
        assert_eq!(shown(&values), ["2", "", "deleted", "3"]);
        // What is below the floor goes, and does not come back.
        assert_eq!(changed(&values.raise(25)), ["a", "c"]);
        assert!(values.merge(&new, true).is_empty());
        assert_eq!(shown(&values), ["", "", "", "3"]);
        assert!(values.remove(&author(1)) && !values.remove(&author(1)));
        assert!(values.keys.is_empty() && values.authors.is_empty());
    }

    #[test]
    fn what_is_not_shown_hides_its_key_until_it_is() {
        let mut values = values(5);
        values.merge(&bundle(&values, 1, 10, &[("a", Some("1")), ("b", Some("1"))]), true);
        let held = bundle(&values, 1, 20, &[("x", Some("2")), ("a", Some("2"))]);
        assert_eq!(changed(&values.merge(&held, false)), ["a", "x"]);
        assert_eq!((value(&values, 1, "a"), value(&values, 1, "b")), (None, Some("1".into())));
        assert_eq!(values.shared(b"a", Resolve::Newest), None);
        assert_eq!(values.scan(&author(1), b""), [(Bytes::from("b"), Bytes::from("1"))]);
        assert_eq!(values.position(&author(1), b"a").unwrap().tick, 20);
        let newer = bundle(&values, 1, 30, &[("x", Some("3"))]);
        values.merge(&newer, true);
        // Shown are those cells of it that still count.
        assert_eq!(changed(&values.show(author(1), held.header().position())), ["a"]);
        assert_eq!((value(&values, 1, "a"), value(&values, 1, "x")), (Some("2".into()), Some("3".into())));
    }

    #[test]
    fn only_deleted_keys_make_room_for_new_ones() {
        let mut values = values(3);
        let none = BTreeMap::new();
        let room = |values: &Values, keys: &[&'static str], writing: &BTreeMap<Bytes, usize>| {
            let keys: Vec<_> = keys.iter().map(|key| Bytes::from_static(key.as_bytes())).collect();
            values.has_room(&author(1), keys.iter(), writing)
        };
        assert!(room(&values, &["a", "b", "c"], &none) && !room(&values, &["a", "b", "c", "d"], &none));
        values.merge(&bundle(&values, 1, 10, &[("a", None), ("b", Some("1")), ("c", None)]), true);
        assert!(room(&values, &["b"], &none) && room(&values, &["d"], &none));
        assert!(!room(&values, &["d", "e"], &none), "the second oldest has a value");
        assert!(room(&values, &["d", "b"], &none) && room(&values, &["d", "e", "b"], &none));
        assert!(!room(&values, &["d", "e", "f", "b"], &none));
        let writing = BTreeMap::from([(Bytes::from_static(b"e"), 1)]);
        assert!(
            !room(&values, &["d"], &writing)
                && room(&values, &["e"], &writing)
                && room(&values, &["b"], &writing)
        );
    }
}
