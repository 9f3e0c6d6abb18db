//! The addresses of one peer: the one that worked last first, then the others in turn.

use super::super::limits::MAX_ADDRESSES;

#[derive(Debug)]
struct Address<A> {
    addr: A,
    /// The peer has answered there.
    answered: bool,
}

/// At least one address.
#[derive(Debug)]
pub(super) struct Addresses<A> {
    /// The first is tried first after a link was live.
    all: Vec<Address<A>>,
    /// Which is tried next.
    next: usize,
}

impl<A: Clone + PartialEq> Addresses<A> {
    pub(super) fn new(addr: A) -> Self {
        Self { all: vec![Address { addr, answered: false }], next: 0 }
    }

    fn position(&self, addr: &A) -> Option<usize> {
        self.all.iter().position(|known| known.addr == *addr)
    }

    /// Adds one; false if it is known. It is tried next, or after the others where `in_turn`.
    pub(super) fn add(&mut self, addr: A, in_turn: bool) -> bool {
        if self.position(&addr).is_some() {
            return false;
        }
        self.all.truncate(MAX_ADDRESSES - 1);
        let new = Address { addr, answered: false };
        if in_turn {
            self.all.push(new);
        } else {
            self.all.insert(0, new);
            self.next = 0;
        }
        true
    }

    /// Adds one behind all others, if it is not known and there is room.
    pub(super) fn add_spare(&mut self, addr: A) {
        if self.all.len() < MAX_ADDRESSES && self.position(&addr).is_none() {
            self.all.push(Address { addr, answered: false });
        }
    }

    /// The one whose turn it is, of those that may be dialled. `may` is told whether the peer has answered there.
    pub(super) fn next(&self, may: impl Fn(&A, bool) -> bool) -> Option<A> {
        let (before, from) = self.all.split_at_checked(self.next).unwrap_or((&[], &self.all));
        from.iter()
            .chain(before)
            .find(|known| may(&known.addr, known.answered))
            .map(|known| known.addr.clone())
    }

    /// Nobody could be linked there: the one after it is next. True if all others have been tried as well.
    pub(super) fn failed(&mut self, addr: &A) -> bool {
        self.next = self.position(addr).map_or(0, |at| (at + 1) % self.all.len());
        self.next == 0
    }

    /// The peer has answered there.
    pub(super) fn answered(&mut self, addr: &A) {
        self.all.iter_mut().filter(|known| known.addr == *addr).for_each(|known| known.answered = true);
    }

    pub(super) fn has_answered(&self, addr: &A) -> bool {
        self.all.iter().any(|known| known.answered && known.addr == *addr)
    }

    /// A link was live there: it is tried first.
    pub(super) fn worked(&mut self, addr: &A) {
        if let Some(at) = self.position(addr) {
            self.all.get_mut(..=at).into_iter().for_each(|part| part.rotate_right(1));
        }
        self.next = 0;
    }

    pub(super) fn all(&self) -> Vec<A> {
        self.all.iter().map(|known| known.addr.clone()).collect()
    }
}
