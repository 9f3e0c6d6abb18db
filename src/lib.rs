//! Signed gossip that liars cannot break.

pub mod key;
pub mod verify;
