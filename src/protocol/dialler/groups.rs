//! Network groups among the slots: where anybody may be a member, keys cost nothing, and addresses at which a peer answers cost a little.
//!
//! In half of the slots, an occupant whose group has two other slots gives way to a candidate of a group that has not. So whoever answers in
//! g groups holds there 2 g slots at the most, with however many keys. The other half goes by keys alone: whoever has addresses in many
//! groups would else hold all slots of a node whose honest peers share one, as in a data centre.
//!
//! ```text
//!   slots   0 1 2 3 4 5   by the secret hash alone, and so is each slot that is empty
//!           6 7 8 9 ..    once a minute: the occupant's group has two other slots ──> a candidate of another group is dialled
//!                              └── it answers, says hello, and its group has none too many ──> it has the slot
//! ```
//!
//! What a record lists is only a claim, so nothing is given up for it before somebody answers there. Where all are in one group, nobody comes
//! before anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::Peer;
use super::{Dialler, Kind};
use crate::key::PublicKey;
use crate::protocol::{LinkId, Mono, NetGroup};

/// As many slots of one group come before others.
const SLOTS_OF_GROUP: usize = 2;
/// So often an occupant is to give way for its group. A liar that displaces one and hangs up costs its victim a link of its choice each time.
/// (Guess.)
const FOR_GROUPS_EVERY: Duration = Duration::from_secs(60);

/// The group of an address; `None` where groups say nothing.
pub type GroupOf<A> = fn(&A) -> Option<NetGroup>;

/// How groups count for one dialler.
#[derive(Debug)]
pub(super) struct Groups<A> {
    /// `None` where they don't.
    of: Option<GroupOf<A>>,
    /// When an occupant may give way for its group.
    due: Mono,
}

impl<A> Groups<A> {
    pub(super) fn none() -> Self {
        Self { of: None, due: Mono::default() }
    }

    /// Somebody is dialled to take the place of one whose group has too many.
    pub(super) fn dials(&mut self, now: Mono) {
        self.due = now.plus(FOR_GROUPS_EVERY);
    }
}

/// The groups of all slots but one. Empty where groups don't count.
#[derive(Debug)]
pub(super) struct Beside<A> {
    of: Option<GroupOf<A>>,
    slots: BTreeMap<NetGroup, usize>,
}

impl<A> Beside<A> {
    /// Of a slot in which groups don't count.
    pub(super) const fn none() -> Self {
        Self { of: None, slots: BTreeMap::new() }
    }

    /// Whether an address is in a group that has its slots already.
    pub(super) fn is_crowded(&self, addr: Option<&A>) -> bool {
        let group = addr.zip(self.of).and_then(|(addr, of)| of(addr));
        group.and_then(|group| self.slots.get(&group)).is_some_and(|slots| *slots >= SLOTS_OF_GROUP)
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Counts the groups of addresses from now on: for a node that links to whoever comes. `of` gives the group of an address, and `None` for
    /// one of our own networks, where many share a group and nobody pays for it.
    #[must_use]
    pub fn counting_groups(mut self, of: GroupOf<A>) -> Self {
        self.count_groups(of);
        self
    }

    pub(super) fn count_groups(&mut self, of: GroupOf<A>) {
        self.groups.of = Some(of);
    }

    #[cfg(test)]
    pub(crate) const fn counts_groups(&self) -> bool {
        self.groups.of.is_some()
    }

    /// The groups that the other slots lead to, where they count for this one, and whether the occupant is to give way for its own.
    pub(super) fn groups_for(&self, slot: usize, occupant: Option<&A>, now: Mono) -> (Beside<A>, bool) {
        if slot < self.config.dialling.outbound / 2 {
            return (Beside::none(), false);
        }
        let beside = self.groups_beside(slot);
        match beside.is_crowded(occupant) {
            // It gives way as any other.
            true if self.groups.due > now => (Beside::none(), false),
            crowds => (beside, crowds),
        }
    }

    /// The groups that the other slots lead to.
    pub(super) fn groups_beside(&self, slot: usize) -> Beside<A> {
        let mut slots = BTreeMap::new();
        if let Some(of) = self.groups.of {
            let chosen =
                self.links.values().filter(|linked| linked.kind == Kind::Chosen && linked.slot != Some(slot));
            for group in chosen.filter_map(|linked| linked.addr.as_ref()).filter_map(of) {
                let count: &mut usize = slots.entry(group).or_default();
                *count = count.saturating_add(1);
            }
        }
        Beside { of: self.groups.of, slots }
    }

    /// Whether a candidate would be dialled in a group that has its slots already.
    pub(super) fn would_crowd(
        &self,
        beside: &Beside<A>,
        peer: &PublicKey,
        known: &Peer<A>,
        now: Mono,
    ) -> bool {
        if beside.slots.is_empty() {
            return false;
        }
        let next = known.next_address(|addr, answered| self.may_dial_at(peer, known, addr, answered, now));
        beside.is_crowded(next.as_ref())
    }

    /// Whether a link that was to take a slot for its group is in one that has its slots by now.
    pub(super) fn crowds_by_now(&self, slot: usize, link: LinkId) -> bool {
        let addr = self.links.get(&link).and_then(|linked| linked.addr.as_ref());
        self.groups_beside(slot).is_crowded(addr)
    }
}
