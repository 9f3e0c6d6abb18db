//! Signed gossip that liars cannot break.

pub mod key;
