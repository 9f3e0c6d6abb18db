//! Signed gossip that liars cannot break.

pub mod key;
pub mod net;
pub mod protocol;
pub mod wire;
