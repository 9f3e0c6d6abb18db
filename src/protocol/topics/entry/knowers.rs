//! Which links know a bundle.

use super::Entry;
use crate::protocol::linkset::{LinkSet, Slot};

impl Entry {
    /// Links that have shown that they hold it.
    pub(in crate::protocol) const fn holders(&self) -> LinkSet {
        self.have
    }

    /// Whether a link has shown that it holds it.
    pub(in crate::protocol) fn is_held_by(&self, slot: Slot) -> bool {
        self.have.contains(slot)
    }

    /// A link shows that it holds it, or will when it has read what we sent.
    pub(in crate::protocol) fn is_shown_by(&mut self, slot: Slot) {
        self.have.insert(slot);
    }

    /// A link sends its header ahead. It need not hold the bodies.
    pub(in crate::protocol) fn header_is_shown_by(&mut self, slot: Slot) {
        self.heard.insert(slot);
    }

    /// Links that know at least its header.
    pub(in crate::protocol) fn header_holders(&self) -> LinkSet {
        let mut know = self.have;
        self.heard.iter().for_each(|slot| know.insert(slot));
        know
    }

    /// Links that we pushed or announced it to.
    pub(in crate::protocol) const fn told(&self) -> LinkSet {
        self.told
    }

    /// Whether we pushed or announced it to a link.
    pub(in crate::protocol) fn was_told_to(&self, slot: Slot) -> bool {
        self.told.contains(slot)
    }

    /// It is pushed or announced to a link.
    pub(in crate::protocol) fn is_told_to(&mut self, slot: Slot) {
        self.told.insert(slot);
    }

    /// What a link was told has come to nothing: it may be told again.
    pub(in crate::protocol) fn may_be_told_again(&mut self, slot: Slot) {
        self.told.remove(slot);
    }

    /// What was to be pushed to a link was not.
    pub(in crate::protocol) fn was_not_pushed_to(&mut self, slot: Slot) {
        self.have.remove(slot);
        self.told.remove(slot);
    }

    /// These places will have other owners.
    pub(in crate::protocol) fn wipe(&mut self, gone: &LinkSet) {
        for marks in [&mut self.have, &mut self.told, &mut self.heard] {
            marks.remove_all(gone);
        }
    }

    /// Whatever a link was told may be lost to it; if it was away, also what it has shown.
    pub(in crate::protocol) fn forget_link(&mut self, slot: Slot, was_away: bool) {
        self.told.remove(slot);
        if was_away {
            self.have.remove(slot);
            self.heard.remove(slot);
        }
    }

    /// Forgets which links know it.
    pub(in crate::protocol) fn forget_links(&mut self) {
        (self.have, self.told, self.heard) = (LinkSet::default(), LinkSet::default(), LinkSet::default());
    }
}
