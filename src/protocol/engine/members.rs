//! Members: what peers say of each other's life.

use crate::protocol::engine::Engine;

impl Engine {
    /// How many live members we tell peers of; 0 if we know of none.
    pub(super) const fn members_told(&self) -> u32 {
        0
    }
}
