//! What the rules of a topic allow: the one check of every path on which a bundle comes in. What breaks them is an offence.

use super::RuleSet;
use super::owned::are_lists;
use crate::rumor::cell::Cell;
use crate::rumor::{Bundle, CellError, Header};

impl RuleSet {
    /// Whether a header keeps the rules, as far as a header tells. Who may write is no part of it: that is no offence.
    #[must_use]
    pub fn allows_header(&self, header: &Header) -> bool {
        let most = u64::from(self.max_body).saturating_mul(u64::from(header.count));
        header.end_slot() <= u32::from(self.slots_per_tick) && u64::from(header.bytes) <= most
    }

    /// Whether a bundle keeps the rules: its header, the length of each body, and in a topic of state that each body is a
    /// [`Cell`].
    #[must_use]
    pub fn allows(&self, bundle: &Bundle) -> bool {
        self.allows_header(bundle.header())
            && bundle.max_body_len() <= self.max_body
            && (!self.kind.is_state() || bundle.bodies().all(Cell::is_one))
            && (!self.is_authors_topic() || are_lists(bundle))
    }

    /// Why a body can't be said here, whatever its length: in a topic of state it must be a [`Cell`].
    ///
    /// # Errors
    /// What is wrong with the cell.
    pub fn allows_body(&self, body: &[u8]) -> Result<(), CellError> {
        if self.kind.is_state() { Cell::check(body) } else { Ok(()) }
    }
}
