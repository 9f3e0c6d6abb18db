//! Signed gossip that liars cannot break.

pub mod key;
pub mod net;
pub mod protocol;
pub mod rumor;
pub mod verify;
pub mod wire;
