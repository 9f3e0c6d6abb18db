//! The async API: build a [`Node`], join topics, publish and subscribe.
//!
//! One task owns the [`Engine`](crate::protocol::Engine) and never waits for a peer or for the application: links,
//! verifiers, validators and handles talk to it through bounded channels, and it answers through channels that either
//! have a place reserved or may lag ([`Lagged`], [`Gap`]). Dropping the last handle of a node shuts it down.

mod acting;
mod actor;
mod addr;
mod builder;
mod delivered;
mod delivered_count;
mod dialler;
mod ends;
mod error;
mod groups;
mod handle;
mod inbound;
mod jobs;
mod key_watch;
mod membership;
mod message;
mod outside;
mod own_key;
mod port;
mod reach;
mod requests;
mod stats;
mod stream;
mod sync;
mod topic;
mod trace;
mod unread;
mod verifiers;

pub use addr::{Host, HostName, ParseAddrError, PeerAddr};
pub use builder::{Builder, SpawnError};
pub use error::{Closed, ConnectError, JoinError, WaitError};
pub use handle::Node;
pub use stats::NodeStats;
pub use stream::{Delivery, Events, Gap, Lagged, Subscription};
pub use topic::TopicHandle;
pub use verifiers::VerifierPool;
