//! The bundles of one tick, which leave the window together.

use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::protocol::random::{KeyedMap, KeyedSet};
use crate::protocol::time::Mono;
use crate::rumor::{BundleId, Header};

#[derive(Debug)]
pub(super) struct Generation {
    /// Sorted and disjoint, per author.
    pub(super) claims: KeyedMap<PublicKey, Vec<Claim>>,
    /// Entries of this tick that have not claimed anything (yet): their signatures are being checked.
    pub(super) unclaimed: KeyedSet<BundleId>,
    /// When the tick would leave the window by the clock of the last insertion: not before that, however the clock jumps.
    pub(super) stays_until: Mono,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) first: u32,
    pub(super) end: u32,
    pub(super) id: BundleId,
    /// The link on whose account it is, if its author was a newcomer.
    pub(super) payer: Option<LinkId>,
}

impl Generation {
    /// The bundle that has claimed one of a header's positions.
    pub(super) fn overlapping(&self, header: &Header) -> Option<BundleId> {
        let claims = self.claims.get(&header.author)?;
        // Sorted and disjoint, so only the neighbour before the end can overlap.
        let after = claims.partition_point(|claim| claim.first < header.end_slot());
        let before = claims.get(after.checked_sub(1)?)?;
        (before.end > u32::from(header.first_slot)).then_some(before.id)
    }
}
