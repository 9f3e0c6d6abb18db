//! Names a bundle that a topic lacks: whose it is, where it starts, which one it is.

use crate::key::PublicKey;
use crate::protocol::keeping::Hole;
use crate::rumor::{Bundle, BundleId, Position, SignedHeader};
use crate::wire::Head;

/// A bundle that is missing. Another slot or another author is another bundle, whatever the id says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::protocol) struct Missing {
    author: PublicKey,
    position: Position,
    id: BundleId,
}

impl Missing {
    /// A listed head.
    pub(in crate::protocol) const fn of_head(head: &Head) -> Self {
        Self { author: head.author, position: Position { tick: head.tick, slot: head.slot }, id: head.id }
    }

    /// What a held bundle names.
    pub(in crate::protocol) const fn of_hole(hole: &Hole) -> Self {
        Self { author: hole.author, position: hole.position, id: hole.id }
    }

    /// What a header stands for.
    pub(in crate::protocol) const fn of_header(signed: &SignedHeader, id: BundleId) -> Self {
        Self { author: signed.header.author, position: signed.header.position(), id }
    }

    /// A bundle.
    pub(in crate::protocol) const fn of_bundle(bundle: &Bundle) -> Self {
        Self::of_header(bundle.signed_header(), bundle.id())
    }

    /// Before all that can be missing of an author.
    pub(in crate::protocol) const fn first_of(author: &PublicKey) -> Self {
        let position = Position { tick: 0, slot: 0 };
        Self { author: *author, position, id: BundleId::from_bytes([0; 32]) }
    }

    /// Whose it is.
    pub(in crate::protocol) const fn author(&self) -> PublicKey {
        self.author
    }

    /// Where it starts.
    pub(in crate::protocol) const fn position(&self) -> Position {
        self.position
    }

    /// Which one it is.
    pub(in crate::protocol) const fn id(&self) -> BundleId {
        self.id
    }

    /// As a [`Store`](crate::store::Store) is asked about it.
    pub(in crate::protocol) const fn place(&self) -> (PublicKey, Position, BundleId) {
        (self.author, self.position, self.id)
    }
}
