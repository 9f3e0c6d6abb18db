//! Streams to one member: what two applications say to each other, beside the gossip.

mod accepting;
mod answering;
mod asking;
mod error;
mod reaching;

pub use accepting::Acceptor;
pub use answering::Answering;
pub use error::{AskError, OpenError, ProtocolError};
