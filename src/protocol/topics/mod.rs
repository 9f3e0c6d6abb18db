//! Topics: what is held of each, who may speak in it, and what was said where.

pub(super) mod authors;
pub(super) mod bodies;
pub(super) mod debts;
pub(super) mod entry;
pub(super) mod left;
pub(super) mod passed;
pub(super) mod refused;
pub(super) mod spent;
pub(super) mod window;
