//! Links known by key, and limits that hold before anything is believed: over QUIC on one socket, or another transport.
//!
//! | File | Question |
//! |---|---|
//! | `endpoint` | how do connections begin? (`entrance`: those that others begin) |
//! | `gate`, `group` | who may begin one, and who counts as a neighbour? (`half_open`: whose ends when too many have) |
//! | `identity` | whose connection is it? |
//! | `others` | how do protocols of the application share the port? |
//! | [`transport`] | over what? (`quic`: by itself; `limits`: what may a connection take up there?) |
//! | `memory` | what if there is no network at all? (feature `memory`) |
//! | `socket` | what if the socket fails, and when is its port free? |
//! | `carried` | what is believed of a transport? |
//! | `link` | what happens on it? (`reader`, `writer`: one lane; `closed`: its end) |
//! | `streams` | how do applications speak to one node? |
//! | `trace` | what is written of it? (feature `tracing`) |
//! | `bare` | what does a liar look like? (feature `sim`) |
//!
//! The network knows nothing of rumors: payloads are opaque bytes here. Whatever decides lives above.
//!
//! **This is the lower level.** An app needs [`GateConfig`] of it, and reads [`Refusals`] and [`SocketErrors`] in its statistics.
//! The rest is for drivers that run an [`Engine`](crate::protocol::Engine) without a [`Node`](crate::Node).
//! [Stability](crate#stability) says what may change.

#[cfg(any(test, feature = "sim"))]
mod bare;
mod carried;
mod closed;
mod config;
mod connection;
mod endpoint;
mod entrance;
mod event;
mod gate;
mod half_open;
mod identity;
mod limits;
mod link;
#[cfg(any(test, feature = "memory"))]
mod memory;
mod others;
mod quic;
mod reader;
mod socket;
mod streams;
mod trace;
pub mod transport;
mod writer;

pub use crate::protocol::NetGroup;
#[cfg(any(test, feature = "sim"))]
pub use bare::{BareError, BareListener, BarePeer};
pub use closed::{LinkClosed, code};
pub use config::GateConfig;
pub use connection::Connection;
pub use endpoint::{BindError, Endpoint};
pub use entrance::AcceptError;
pub use event::{FramePermit, LinkEvent};
pub use gate::Refusals;
pub use identity::TlsSetupError;
pub use link::Link;
#[cfg(any(test, feature = "memory"))]
pub use memory::MemoryNetwork;
pub use others::{BadHello, OfferedProtocols, OtherProtocols, OtherProtocolsError, offered_protocols};
pub use socket::{SocketErrors, SocketState};
pub(crate) use streams::{AcceptRefused, Accepting, Desk, NotOpened, Opened, ProtocolName, UsedWay, open};
pub use streams::{IncomingStream, ProtocolNameError, RecvStream, SendStream, StreamError, StreamStats};
pub(crate) use trace::handshake_failed;
pub(crate) use transport::KEEP_ALIVE;

#[cfg(test)]
mod tests;
