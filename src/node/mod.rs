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
mod asked;
mod builder;
mod convicted;
mod cursor;
mod delivered;
mod delivered_count;
mod dialler;
mod ending;
mod ends;
mod error;
mod folder;
mod groups;
mod handle;
mod history;
mod inbound;
mod jobs;
mod join;
mod joins;
#[cfg(feature = "serde")]
mod json;
mod keeper;
mod kept;
mod key_watch;
mod kv;
mod meeting;
mod member_channels;
mod members;
mod membership;
mod message;
mod named;
mod opening;
mod others;
mod outside;
mod own_key;
mod owned;
mod place;
mod port;
mod published;
mod publishing;
mod queries;
mod quiet;
mod reach;
mod recording;
mod replay;
mod requests;
mod rests;
mod speaker;
mod state;
mod stats;
mod stream;
mod streams;
mod sync;
mod topic;
mod trace;
mod unread;
mod verifiers;
mod views;
mod wait;
mod waiting;

pub use addr::{Host, HostName, ParseAddrError, PeerAddr};
pub use admission::AdmissionError;
pub use asked::{Answer, Answers, AnswersEnd};
pub use builder::{Builder, SpawnError};
pub use cursor::{Cursor, ParseCursorError};
pub use error::{Closed, ConnectError, DescribeError, ForgetError, JoinError, WaitError};
pub use folder::{CursorError, FolderError};
pub use handle::Node;
pub use history::History;
pub use join::Join;
#[cfg(feature = "serde")]
pub use json::JsonError;
pub use kv::{Batch, Change, Kv, KvError, PutError, Snapshot, Watch, Written};
pub use owned::SetAuthorsError;
pub use published::Published;
pub use publishing::Publishing;
pub use queries::{AnswerError, Query, QueryError, Question, Questions};
pub use replay::{Item, Replay, ReplayError};
pub use state::Entry;
pub use stats::NodeStats;
pub use stream::{Delivery, Events, Gap, Lagged, MemberEvents, Subscription, TryRecvError};
pub use streams::{Acceptor, Answering, AskError, OpenError, ProtocolError};
pub use topic::TopicHandle;
pub use verifiers::VerifierPool;
pub use wait::Wait;
