//! Network groups among the slots: where anybody may be a member, keys cost nothing, and addresses at which a peer answers cost a little.
//!
//! Of the candidates that strangers could have named, those in a group that has two other slots already come after all others. An occupant
//! of such a group is displaced by one of another, as by any better candidate. So whoever answers in g groups holds about 2 g slots for as
//! long as there are others, with however many keys. Where all are in one group, as in one data centre, nobody comes before anybody.
//!
//! What a record lists is only a claim, so nothing is counted by it: the groups are those of addresses that were dialled.

use std::collections::BTreeMap;

use super::peer::Peer;
use super::{Dialler, Kind};
use crate::protocol::{Mono, NetGroup};

/// As many slots of one group come before others.
const SLOTS_OF_GROUP: usize = 2;

/// The group of an address; `None` where groups say nothing.
pub type GroupOf<A> = fn(&A) -> Option<NetGroup>;

/// The groups of all slots but one. Empty where groups don't count.
#[derive(Debug)]
pub(super) struct Beside<A> {
    of: Option<GroupOf<A>>,
    slots: BTreeMap<NetGroup, usize>,
}

impl<A> Beside<A> {
    /// Whether an address is in a group that has its slots already.
    pub(super) fn is_crowded(&self, addr: Option<&A>) -> bool {
        let group = addr.zip(self.of).and_then(|(addr, of)| of(addr));
        group.and_then(|group| self.slots.get(&group)).is_some_and(|slots| *slots >= SLOTS_OF_GROUP)
    }

    /// Whether anything is crowded at all.
    pub(super) fn counts(&self) -> bool {
        self.slots.values().any(|slots| *slots >= SLOTS_OF_GROUP)
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Counts the groups of addresses from now on: for a node that links to whoever comes. `of` gives the group of an address, and `None` for
    /// one of our own networks, where many share a group and nobody pays for it.
    #[must_use]
    pub fn counting_groups(mut self, of: GroupOf<A>) -> Self {
        self.group_of = Some(of);
        self
    }

    #[cfg(test)]
    pub(crate) const fn counts_groups(&self) -> bool {
        self.group_of.is_some()
    }

    /// The groups that the other slots lead to, or are dialled for.
    pub(super) fn groups_beside(&self, slot: usize) -> Beside<A> {
        let mut slots = BTreeMap::new();
        if let Some(of) = self.group_of {
            let chosen =
                |linked: &&super::Linked<A>| linked.kind == Kind::Chosen && linked.slot != Some(slot);
            let linked = self.links.values().filter(chosen).filter_map(|linked| linked.addr.as_ref());
            let others = self.choice.dialled().filter(|(other, _)| *other != slot);
            let dialled = others.filter_map(|(_, peer)| self.peers.get(peer).and_then(Peer::dialled_at));
            for group in linked.chain(dialled).filter_map(of) {
                let count: &mut usize = slots.entry(group).or_default();
                *count = count.saturating_add(1);
            }
        }
        Beside { of: self.group_of, slots }
    }

    /// Whether a candidate would be dialled in a group that has its slots already.
    pub(super) fn would_crowd(
        &self,
        beside: &Beside<A>,
        peer: &crate::key::PublicKey,
        known: &Peer<A>,
        now: Mono,
    ) -> bool {
        let next = || known.next_address(|addr, answered| self.may_dial_at(peer, known, addr, answered, now));
        known.is_found() && beside.counts() && beside.is_crowded(next().as_ref())
    }
}
