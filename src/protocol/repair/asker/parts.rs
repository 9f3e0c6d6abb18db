//! The components of the asking half, each behind its own methods.

use super::{Asked, Asker};
use crate::protocol::repair::fetches::Fetches;
use crate::protocol::repair::gaps::Gaps;
use crate::protocol::repair::held::HeldLate;
use crate::protocol::repair::hints::Hints;
use crate::protocol::repair::late::Late;
use crate::protocol::repair::paces::Paces;
use crate::protocol::repair::refused::RepairRefused;
use crate::protocol::repair::rejudge::Rejudge;
use crate::protocol::repair::turns::Turns;
use crate::protocol::repair::walk::Walk;

impl Asked {
    /// What is missing.
    pub(in crate::protocol) const fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// The same, to change.
    pub(in crate::protocol) const fn gaps_mut(&mut self) -> &mut Gaps {
        &mut self.gaps
    }

    /// How fast authors add to their past.
    pub(in crate::protocol) const fn paces(&self) -> &Paces {
        &self.paces
    }

    /// The same, to change.
    pub(in crate::protocol) const fn paces_mut(&mut self) -> &mut Paces {
        &mut self.paces
    }

    /// Whose turn it is.
    pub(in crate::protocol) const fn turns(&self) -> &Turns {
        &self.turns
    }

    /// The same, to change.
    pub(in crate::protocol) const fn turns_mut(&mut self) -> &mut Turns {
        &mut self.turns
    }

    /// What links are told of.
    pub(in crate::protocol) const fn hints(&self) -> &Hints {
        &self.hints
    }

    /// The same, to change.
    pub(in crate::protocol) const fn hints_mut(&mut self) -> &mut Hints {
        &mut self.hints
    }

    /// What came and was not kept.
    pub(in crate::protocol) const fn refused(&self) -> &RepairRefused {
        &self.refused
    }

    /// The same, to change.
    pub(in crate::protocol) const fn refused_mut(&mut self) -> &mut RepairRefused {
        &mut self.refused
    }

    /// What is judged again.
    pub(in crate::protocol) const fn rejudge(&self) -> &Rejudge {
        &self.rejudge
    }

    /// The same, to change.
    pub(in crate::protocol) const fn rejudge_mut(&mut self) -> &mut Rejudge {
        &mut self.rejudge
    }

    /// How far the store was walked through.
    pub(in crate::protocol) const fn walk(&self) -> &Walk {
        &self.walk
    }

    /// The same, to change.
    pub(in crate::protocol) const fn walk_mut(&mut self) -> &mut Walk {
        &mut self.walk
    }

    /// What came late and is held back.
    pub(in crate::protocol) const fn held(&self) -> &HeldLate {
        &self.held
    }

    /// The same, to change.
    pub(in crate::protocol) const fn held_mut(&mut self) -> &mut HeldLate {
        &mut self.held
    }

    /// Whether the store is being asked from where on gaps are to be asked for.
    pub(in crate::protocol) const fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// It is, or has answered.
    pub(in crate::protocol) const fn set_looking(&mut self, is_looking: bool) {
        self.is_looking = is_looking;
    }
}

impl Asker {
    /// What links were asked for.
    pub(in crate::protocol) const fn fetches(&self) -> &Fetches {
        &self.fetches
    }

    /// The same, to change.
    pub(in crate::protocol) const fn fetches_mut(&mut self) -> &mut Fetches {
        &mut self.fetches
    }

    /// What they have brought, on its way to the store.
    pub(in crate::protocol) const fn late(&self) -> &Late {
        &self.late
    }

    /// The same, to change.
    pub(in crate::protocol) const fn late_mut(&mut self) -> &mut Late {
        &mut self.late
    }
}
