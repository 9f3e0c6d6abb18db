//! What a watcher of keys has still to be told.

use std::collections::{HashSet, VecDeque};
use std::task::Waker;

use bytes::Bytes;

use super::values::Place;
use crate::key::PublicKey;
use crate::protocol::MAX_CONVICTED;

/// Names one watcher.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::node) struct WatcherId(pub(in crate::node) u64);

/// What a watcher is told of: a key that has changed, or an author that is convicted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::node) enum Told {
    Key(Place),
    Convicted(PublicKey),
}

/// What one watcher has not been told yet: each key once.
#[derive(Debug)]
pub(in crate::node) struct Watcher {
    prefix: Bytes,
    queue: VecDeque<Told>,
    queued: HashSet<Place>,
    /// How many of the queue are convictions.
    convictions: usize,
    waker: Option<Waker>,
}

impl Watcher {
    pub(in crate::node) fn new(prefix: Bytes) -> Self {
        Self { prefix, queue: VecDeque::new(), queued: HashSet::new(), convictions: 0, waker: None }
    }

    pub(in crate::node) const fn prefix(&self) -> &Bytes {
        &self.prefix
    }

    /// A key has changed.
    pub(in crate::node) fn changed(&mut self, place: &Place) {
        if place.1.starts_with(&self.prefix) && self.queued.insert(place.clone()) {
            self.queue.push_back(Told::Key(place.clone()));
        }
    }

    /// All keys of an author are over.
    pub(in crate::node) fn convicted(&mut self, author: PublicKey) {
        self.queue.retain(|told| !matches!(told, Told::Key((other, _)) if *other == author));
        self.queued.retain(|(other, _)| *other != author);
        self.queue.push_back(Told::Convicted(author));
        self.convictions += 1;
        if self.convictions > MAX_CONVICTED
            && let Some(oldest) = self.queue.iter().position(|told| matches!(told, Told::Convicted(_)))
        {
            self.queue.remove(oldest);
            self.convictions -= 1;
        }
    }

    pub(in crate::node) fn next(&mut self) -> Option<Told> {
        let told = self.queue.pop_front()?;
        match &told {
            Told::Key(place) => drop(self.queued.remove(place)),
            Told::Convicted(_) => self.convictions -= 1,
        }
        Some(told)
    }

    /// To be woken when there is something to tell.
    pub(in crate::node) fn waits(&mut self, waker: &Waker) {
        self.waker = Some(waker.clone());
    }

    /// Who is to be woken, if there is something to tell.
    pub(in crate::node) fn wakes(&mut self) -> Option<Waker> {
        if self.queue.is_empty() { None } else { self.waker.take() }
    }

    /// Who is to be woken in any case.
    pub(in crate::node) const fn ends(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(author: u8, key: &'static str) -> Place {
        (PublicKey::from_bytes([author; 32]), Bytes::from_static(key.as_bytes()))
    }

    fn all(watcher: &mut Watcher) -> Vec<Told> {
        std::iter::from_fn(|| watcher.next()).collect()
    }

    #[test]
    fn a_watcher_that_does_not_read_holds_each_key_once() {
        let mut watcher = Watcher::new(Bytes::from_static(b"a/"));
        for _ in 0..1_000 {
            for place in [place(1, "a/x"), place(1, "b"), place(2, "a/x"), place(1, "a")] {
                watcher.changed(&place);
            }
        }
        assert_eq!(watcher.queue.len(), 2);
        assert_eq!(all(&mut watcher), [Told::Key(place(1, "a/x")), Told::Key(place(2, "a/x"))]);
        // What changes after it was read is told again.
        watcher.changed(&place(1, "a/x"));
        assert_eq!(all(&mut watcher).len(), 1);
        assert!(watcher.queued.is_empty());
    }

    #[test]
    fn a_conviction_stands_for_all_keys_of_its_author() {
        let mut watcher = Watcher::new(Bytes::new());
        for place in [place(1, "x"), place(2, "x"), place(1, "y")] {
            watcher.changed(&place);
        }
        let author = place(1, "").0;
        watcher.convicted(author);
        assert_eq!(all(&mut watcher), [Told::Key(place(2, "x")), Told::Convicted(author)]);
        assert!(watcher.queued.is_empty());
    }

    #[test]
    fn a_watcher_that_does_not_read_holds_so_many_convictions() {
        let mut watcher = Watcher::new(Bytes::new());
        let author = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            PublicKey::from_bytes(bytes)
        };
        watcher.changed(&place(255, "x"));
        let last = MAX_CONVICTED as u32 + 2;
        (0..=last).for_each(|number| watcher.convicted(author(number)));
        let told = all(&mut watcher);
        // A key is not lost for them, and of the convictions the oldest are.
        assert_eq!((told.len(), &told[0]), (1 + MAX_CONVICTED, &Told::Key(place(255, "x"))));
        assert_eq!(told[1..].first(), Some(&Told::Convicted(author(3))));
        assert_eq!(told.last(), Some(&Told::Convicted(author(last))));
        // Room again.
        watcher.convicted(author(0));
        assert_eq!(all(&mut watcher), [Told::Convicted(author(0))]);
    }
}
