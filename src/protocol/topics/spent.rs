//! Ticks that have left a topic's window, so that nothing said at them is taken in a second time.
//!
//! A floor under which nothing is accepted would do if clocks never stepped back. One that was an hour ahead, and is set right,
//! would find everything that is said in the next hour under its floor: the node would be deaf because of its own words, or of a
//! few that somebody dated in the wrong hour. So it is remembered whose bundles left, and at which ticks: what others say there
//! is heard. No correct author speaks at a tick that it has left, so this keeps nobody's new words out.
//!
//! Authors that have been silent for longest make room: then their ticks are closed to all.

use std::mem;

use crate::key::PublicKey;
use crate::protocol::limits::MAX_SPENT;
use crate::protocol::random::{Keyed, KeyedMap};
use crate::rumor::Spans;

#[derive(Debug)]
pub(in crate::protocol) struct Spent {
    /// Who spoke lately, and who spoke in the time before; together at most [`MAX_SPENT`].
    recent: KeyedMap<PublicKey, Spans>,
    before: KeyedMap<PublicKey, Spans>,
    /// Ticks that are closed to all authors.
    closed: Spans,
    /// No tick from here on has ever left: with a clock that only goes forward, that is all of the window.
    end: u64,
}

impl Spent {
    pub(in crate::protocol) fn new(keyed: Keyed) -> Self {
        Self { recent: keyed.map(), before: keyed.map(), closed: Spans::default(), end: 0 }
    }

    /// A bundle of `author` at `tick` has left the window.
    pub(in crate::protocol) fn add(&mut self, author: &PublicKey, tick: u64) {
        self.end = self.end.max(tick.saturating_add(1));
        if !self.recent.contains_key(author) {
            if self.recent.len() >= MAX_SPENT / 2 {
                self.turn_over();
            }
            let known = self.before.remove(author).unwrap_or_default();
            self.recent.insert(*author, known);
        }
        if let Some(spans) = self.recent.get_mut(author) {
            spans.add(tick, tick.saturating_add(1));
        }
    }

    fn turn_over(&mut self) {
        mem::swap(&mut self.recent, &mut self.before);
        for (_, spans) in self.recent.drain() {
            self.closed.add_all(&spans);
        }
    }

    /// Whether something of `author` at `tick` may have left the window.
    pub(in crate::protocol) fn has(&self, author: &PublicKey, tick: u64) -> bool {
        let left = |spans: &Spans| spans.end_of(tick).is_some();
        tick < self.end
            && (left(&self.closed)
                || [&self.recent, &self.before].iter().any(|map| map.get(author).is_some_and(left)))
    }

    #[cfg(test)]
    fn authors(&self) -> usize {
        self.recent.len() + self.before.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> PublicKey {
        PublicKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    #[test]
    fn ticks_that_left_are_closed_to_their_authors_and_to_no_other() {
        let mut spent = Spent::new(Keyed::default());
        [5, 6, 9].into_iter().for_each(|tick| spent.add(&key(1), tick));
        let left: Vec<_> = (0..12).filter(|tick| spent.has(&key(1), *tick)).collect();
        assert_eq!(left, [5, 6, 9]);
        assert!((0..12).all(|tick| !spent.has(&key(2), tick)));
    }

    #[test]
    fn authors_that_make_room_are_not_taken_in_again() {
        let mut spent = Spent::new(Keyed::default());
        for number in 0..3 * MAX_SPENT as u64 {
            spent.add(&key(number), 1_000 + number);
            assert!(spent.authors() <= MAX_SPENT);
        }
        assert!((0..3 * MAX_SPENT as u64).all(|number| spent.has(&key(number), 1_000 + number)));
        assert!(!spent.has(&key(7), 5_000_000));
    }
}
