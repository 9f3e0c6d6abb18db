//! The addresses of one peer: the one that worked last first, then the others in turn.

use super::super::limits::MAX_ADDRESSES;

/// At least one address.
#[derive(Debug)]
pub(super) struct Addresses<A> {
    /// The first is tried first after a link was live.
    all: Vec<A>,
    /// Which is tried next.
    next: usize,
}

impl<A: Clone + PartialEq> Addresses<A> {
    pub(super) fn new(addr: A) -> Self {
        Self { all: vec![addr], next: 0 }
    }

    /// Adds one; false if it is known. It is tried next, or after the others where `in_turn`.
    pub(super) fn add(&mut self, addr: A, in_turn: bool) -> bool {
        if self.all.contains(&addr) {
            return false;
        }
        self.all.truncate(MAX_ADDRESSES - 1);
        if in_turn {
            self.all.push(addr);
        } else {
            self.all.insert(0, addr);
            self.next = 0;
        }
        true
    }

    /// Adds one behind all others, if it is not known and there is room.
    pub(super) fn add_spare(&mut self, addr: A) {
        if self.all.len() < MAX_ADDRESSES && !self.all.contains(&addr) {
            self.all.push(addr);
        }
    }

    pub(super) fn next(&self) -> Option<A> {
        self.all.get(self.next).or(self.all.first()).cloned()
    }

    /// Nobody could be linked there: the one after it is next.
    pub(super) fn failed(&mut self, addr: &A) {
        let at = self.all.iter().position(|other| other == addr);
        self.next = at.map_or(0, |at| (at + 1) % self.all.len());
    }

    /// A link was live there: it is tried first.
    pub(super) fn worked(&mut self, addr: &A) {
        if let Some(at) = self.all.iter().position(|other| other == addr) {
            self.all.get_mut(..=at).into_iter().for_each(|part| part.rotate_right(1));
        }
        self.next = 0;
    }

    pub(super) fn all(&self) -> &[A] {
        &self.all
    }
}
