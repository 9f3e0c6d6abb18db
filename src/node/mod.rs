//! The async API: build a [`Node`], join topics, publish and subscribe.
//!
//! One task owns the [`Engine`](crate::protocol::Engine) and never waits for a peer or for the application: links,
//! verifiers, validators and handles talk to it through bounded channels, and it answers through channels that either
//! have a place reserved or may lag ([`Lagged`], [`Gap`]). What is kept has threads of its own (`keeper`). Dropping the last handle of a node shuts it down.

mod acting;
mod actor;
mod addr;
mod admission;
mod anchors;
mod builder;
mod convicted;
mod cursor;
mod delivered;
mod delivered_count;
mod dialler;
mod ending;
mod ends;
mod error;
mod groups;
mod handle;
mod history;
mod inbound;
mod jobs;
mod join;
mod joins;
mod keeper;
mod kept;
mod key_watch;
mod kv;
mod meeting;
mod member_channels;
mod members;
mod membership;
mod message;
mod opening;
mod outside;
mod own_key;
mod owned;
mod place;
mod port;
mod published;
mod quiet;
mod reach;
mod recording;
mod replay;
mod requests;
mod state;
mod stats;
mod stream;
mod sync;
mod topic;
mod trace;
mod unread;
mod verifiers;
mod views;

pub use addr::{Host, HostName, ParseAddrError, PeerAddr};
pub use admission::AdmissionError;
pub use builder::{Builder, SpawnError};
pub use cursor::{Cursor, ParseCursorError};
pub use error::{Closed, ConnectError, DescribeError, ForgetError, JoinError, WaitError};
pub use handle::Node;
pub use history::History;
pub use join::Join;
pub use kv::{Batch, Change, Kv, KvError, PutError, Snapshot, Watch, Written};
pub use owned::SetAuthorsError;
pub use published::Published;
pub use replay::{Item, Replay, ReplayError};
pub use state::Entry;
pub use stats::NodeStats;
pub use stream::{Delivery, Events, Gap, Lagged, MemberEvents, Subscription};
pub use topic::TopicHandle;
pub use verifiers::VerifierPool;
