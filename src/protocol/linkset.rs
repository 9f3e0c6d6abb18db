//! Sets of links, as bits: "who has this rumor" is asked for every copy and every announcement.

use super::limits::MAX_LINKS;

/// A place in the table of links, `0..MAX_LINKS`. Reused after a link is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(pub(super) u8);

/// A set of links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkSet([u64; MAX_LINKS / 64]);

impl LinkSet {
    pub(super) const EMPTY: Self = Self([0; MAX_LINKS / 64]);

    pub(super) fn insert(&mut self, slot: Slot) {
        if let Some(word) = self.0.get_mut(usize::from(slot.0 / 64)) {
            *word |= 1 << (slot.0 % 64);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        if let Some(word) = self.0.get_mut(usize::from(slot.0 / 64)) {
            *word &= !(1 << (slot.0 % 64));
        }
    }

    pub(super) fn remove_all(&mut self, other: &Self) {
        for (word, gone) in self.0.iter_mut().zip(other.0) {
            *word &= !gone;
        }
    }

    pub(super) fn insert_all(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// The links of both.
    pub(super) fn and(mut self, other: &Self) -> Self {
        for (word, both) in self.0.iter_mut().zip(other.0) {
            *word &= both;
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        self.0.get(usize::from(slot.0 / 64)).is_some_and(|word| word & (1 << (slot.0 % 64)) != 0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Slot> {
        (0u8..).zip(self.0).flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as u8;
                // Clears the lowest bit.
                word &= word.checked_sub(1)?;
                Some(Slot(64 * at + bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_gives_what_was_put_in_in_order() {
        let mut set = LinkSet::default();
        let slots = [0, 1, 63, 64, 130, 191, 192, 255].map(Slot);
        slots.iter().rev().for_each(|slot| set.insert(*slot));
        assert!(set.iter().eq(slots));
        assert_eq!((set.len(), LinkSet::EMPTY.len(), LinkSet::EMPTY.iter().count()), (8, 0, 0));
    }
}
