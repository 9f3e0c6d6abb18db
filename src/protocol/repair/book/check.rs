//! The heads of a topic, counted again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Book, NEVER};
use crate::protocol::limits::MAX_AWAITED;
use crate::rumor::Position;

impl Book {
    #[cfg(test)]
    /// How many missing bundles are remembered.
    pub(in crate::protocol) fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// About how much a recount walks through.
    pub(in crate::protocol) fn weight(&self) -> usize {
        self.entries.len().saturating_mul(self.slices.len().saturating_add(2))
    }

    /// Counts everything again.
    pub(in crate::protocol) fn check(&self, recount: &mut crate::protocol::check::Recount) {
        let replaced = self.entries.iter().filter(|(_, entry)| entry.until != NEVER);
        let replaced: BTreeSet<_> = replaced.map(|(item, entry)| (entry.until, *item)).collect();
        recount.holds(replaced == self.replaced, "heads that were replaced");
        let mut authors = BTreeMap::new();
        for (item, entry) in &self.entries {
            let at = Position { tick: item.tick, slot: entry.slot };
            recount.holds(self.places.get(&(entry.author, at)) == Some(&item.id), "a head without its place");
            let count: &mut usize = authors.entry(entry.author).or_default();
            *count = count.saturating_add(1);
        }
        recount.same("places of heads", self.places.len(), self.entries.len());
        authors.retain(|_, count| *count > 1);
        recount.holds(authors == self.several, "authors with several heads");
        let ranks: BTreeSet<_> = authors.into_iter().map(|(author, count)| (count, author)).collect();
        recount.holds(ranks == self.ranks, "ranks of authors with several heads");
        let awaited: BTreeSet<_> =
            self.awaited.iter().map(|((author, named), by)| (*by, *author, *named)).collect();
        recount.holds(awaited == self.awaited_since, "bundles that are named and missing");
        let bounded = self.count() <= self.most && self.replaced.len() <= self.most;
        recount.holds(bounded && self.awaited.len() <= MAX_AWAITED, "more heads than there may be");
        for slice in &self.slices {
            recount.holds(slice.items() == self.as_of(slice.as_of()), "a set at hand is not the set");
        }
    }
}
