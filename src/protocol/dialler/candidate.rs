//! Candidates: peers that a node may link to, and the order in which it tries them.

use crate::key::PublicKey;

/// Who named a candidate. What was told is tried before what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The application or its operator named it.
    Told,
    /// It was found where strangers can name peers too. It never takes the place of one that was told.
    Found,
}

/// Why a peer that is no kept one is dialled, and when its turn is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) origin: Origin,
    /// It may find all places taken that are not kept for diallers which did not choose it.
    aimed: bool,
    /// Decides, where there are too many, who stays: a hash of the key with a secret of this node.
    lot: u64,
    /// Decided by chance, so that nodes with the same list begin with different peers of it.
    rank: u64,
    /// How often in a row it was tried in vain.
    pub(super) vain: u8,
    /// A link to it was lost in silence: it is dialled again until it answers, and others are dialled meanwhile.
    pub(super) missed: bool,
}

/// The order in which candidates are tried: those that were tried in vain most rarely, of these the hash-selected, of these those that
/// were told.
pub(super) type Turn = (u8, bool, Origin, u64, PublicKey);

impl Candidate {
    pub(super) const fn new(origin: Origin, aimed: bool, lot: u64, rank: u64) -> Self {
        Self { origin, aimed, lot, rank, vain: 0, missed: false }
    }

    pub(super) const fn lot(&self) -> u64 {
        self.lot
    }

    /// A pair draws anew each day. True if it has drawn something else.
    pub(super) const fn draws(&mut self, aimed: bool) -> bool {
        let changes = self.aimed != aimed;
        self.aimed = aimed;
        changes
    }

    /// As it is, named by somebody more.
    pub(super) fn named_by(self, origin: Origin) -> Self {
        Self { origin: self.origin.min(origin), ..self }
    }

    pub(super) const fn is_aimed(&self) -> bool {
        self.aimed
    }

    pub(super) const fn turn(&self, peer: PublicKey) -> Turn {
        (self.vain, self.aimed, self.origin, self.rank, peer)
    }
}
