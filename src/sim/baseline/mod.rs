//! What to compare with: the epidemic protocols of the textbook and of today's libraries, on the same network.
//!
//! They send the frames of [`wire`](crate::wire) where one fits, seal real bundles, and check of what comes in only that
//! it can be read: no signatures, no budgets, no bans. So what they cost is the least that their kind costs.

mod cycle;
mod mesh;
mod publisher;
mod push;

pub(super) use cycle::Cycle;
pub(super) use mesh::Mesh;
pub(super) use push::InfectAndDie;
