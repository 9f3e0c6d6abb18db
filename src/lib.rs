//! Signed gossip over QUIC that liars cannot break: a library for peer-to-peer applications in which no correct node
//! ever repeats what it has not checked.
//!
//! A **rumor** is content-addressed (BLAKE3) and signed by its **author** (Ed25519). A node verifies it, and the budget
//! of the **peer** that handed it over, and only then forwards it. So an invalid rumor convicts the link it came over,
//! at once and without a vote; and an author that says two things at one position, or more than its quota, signs the
//! proof that bans it everywhere.
//!
//! ```
//! use vouchsafe::{Node, SecretKey, Topic};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = Node::builder(SecretKey::generate()).network("chat.example").listen("127.0.0.1:0").spawn().await?;
//! let bob = Node::builder(SecretKey::generate())
//!     .network("chat.example")
//!     .listen("127.0.0.1:0")
//!     .bootstrap(alice.addr())
//!     .spawn()
//!     .await?;
//!
//! let (here, there) = (alice.join(Topic::named("lobby")).await?, bob.join(Topic::named("lobby")).await?);
//! let mut rumors = there.subscribe();
//! here.wait_for_links(1).await?; // one link to somebody in the lobby
//! let published = here.publish("hello").await?;
//!
//! let rumor = rumors.next().await.ok_or("closed")??;
//! assert_eq!((rumor.id(), rumor.author()), (published.id(), alice.author()));
//! # Ok(())
//! # }
//! ```
//!
//! # I want to ...
//!
//! | I want to ... | Type |
//! |---|---|
//! | start a node, and stop it | [`Node`], [`Builder`], [`SpawnError`] |
//! | keep an identity, and all else, in one folder | [`Node::with_state`], [`Builder::state`], [`FolderError`]; [`SecretKey`], [`PublicKey`] |
//! | find other nodes | [`PeerAddr`], [`Host`]; [`Node::connect`], [`Node::stop_dialling`] |
//! | say who may write, and how much | [`Topic`], [`Authors`], [`Guarantee`] |
//! | publish | [`TopicHandle`], [`Publishing`], [`Published`], [`PublishError`] |
//! | read | [`Subscription`], [`Delivery`], [`Rumor`], [`Gap`], [`TryRecvError`] |
//! | wait for links or members | [`Wait`], [`WaitError`] |
//! | keep what was said, and read it again after a restart | [`Builder::state`], [`Join`], [`Replay`], [`TopicHandle::replay_named`], [`CursorError`], [`Cursor`], [`Item`]; [`History`], [`Frontier`] |
//! | share values under keys | [`Topic::state`], [`Node::kv`], [`Kv`], [`Batch`], [`Watch`], [`Snapshot`], [`Resolve`] |
//! | speak to one member | [`Node::open`], [`Node::ask`], [`Node::answer`], [`Node::accept`], [`Acceptor`], [`SendStream`], [`RecvStream`] |
//! | speak other protocols, such as HTTP/3, on the same port | [`Builder::other_protocols`], [`Node::accept_other`], [`Builder::endpoint`] |
//! | ask all members, and answer | [`TopicHandle::query`], [`Query`], [`Answers`]; [`TopicHandle::questions`], [`Question`] |
//! | accept or refuse what others publish | [`Node::join_with`], [`Validation`] |
//! | know what happens to a node | [`Events`], [`Event`], [`Impairment`] |
//! | know why a link ended, never came, or was refused | [`DownReason`], [`DialError`], [`Reason`], [`Offence`] |
//! | show a third party who said what | [`Proof`], [`RumorId`], [`Position`] |
//! | show a third party that an author cheats | [`Evidence`] |
//! | watch a node | [`NodeStats`], with [`protocol::LinkStats`], [`protocol::TopicStats`], [`protocol::Counters`] |
//! | set budgets and caps | [`Config`], [`GateConfig`], [`VerifierPool`] |
//!
//! # What it needs, and what it costs
//!
//! * **Runtime:** tokio. [`Builder::spawn`] runs the node on the current runtime, in one task beside seven for each link. Time and
//!   I/O must be enabled. Any flavor will do.
//! * **Threads:** a [`VerifierPool`] of half the processors, unless the app gives its own. Nodes of one process can share a pool. A node
//!   with a store on a disk ([`Builder::store`]) has three more, one that writes and two that read.
//! * **Compiler:** Rust 1.90 or later, and a C compiler for ring.
//! * **CPU:** one signature for each bundle, some 50 us alone and some 16 us in a batch. A bundle has up to 64 rumors.
//! * **Memory:** at most 256 MiB of bodies and some 50 MiB of index for each topic at the default [`Config`], and some MiB for each
//!   link. `docs/security.md` in the repository has every bound.
//! * **Debug builds** are some 30 times slower at curve arithmetic. The README has the four lines for `Cargo.toml`.
//!
//! # Features
//!
//! None is on by default.
//!
//! | Feature | What it adds |
//! |---|---|
//! | `serde` | `Serialize` and `Deserialize` for ids, keys, addresses, [`Event`] and [`NodeStats`]; bodies and values as JSON |
//! | `tracing` | a span for each link and a line for each event, through the `tracing` crate |
//! | `memory` | `net::MemoryNetwork`: nodes without sockets, for apps that test themselves, with a clock that is paused |
//! | `sim` | the simulator and hostile peers, for apps that test themselves against liars |
//!
//! # Cancellation
//!
//! Each async method says what happens when its future is dropped before it is done.
//!
//! # Stability
//!
//! What the root of this crate names is the **app's level**. It changes in a way that breaks an app only with a new major version
//! (before 1.0: a new minor version). Enums that may grow are `non_exhaustive`; configurations have setters.
//!
//! The modules are the **lower level**, for drivers, tests and other implementations: the engine ([`protocol`]), its frames
//! ([`wire`]), QUIC ([`net`]), the rule for signatures ([`verify`]), the data ([`rumor`]), the position log ([`store`]), the simulator
//! (`sim`), attacks (`adversary`) and hostile peers (`hostile`). Their names, signatures and fields may change in a minor version; `CHANGELOG.md` says so. Two things do not change
//! there without a new major version: the bytes of the wire version that [`wire::ALPN`] names, and which signatures are genuine.
//!
//! [`Builder::endpoint`] takes a `quinn::Endpoint`, [`Builder::other_protocols`] a `rustls::ServerConfig`, and [`Node::accept_other`]
//! gives a `quinn::Connection`, so a new major version of quinn or rustls is one of this crate. No other type of theirs is part of the
//! app's level.
//!
//! # The map
//!
//! Imports point only downwards in this table; a layer knows nothing of those above it.
//!
//! | Layer | Question | What is in it |
//! |---|---|---|
//! | `node` | the async face | builder, handles, subscriptions, the task that owns the engine |
//! | `sim`, `hostile` | what liars can do to it | the simulator; hostile peers over QUIC (feature `sim`) |
//! | [`net`] | QUIC | endpoint, TLS identity by raw public key, gate, links |
//! | [`store`] | what is kept | the author's position log; what topics remember |
//! | `adversary` | what a liar does | attacks without I/O (feature `sim`) |
//! | [`protocol`] | what to do | the sans-I/O engine: intake, spread, pulls, evidence, budgets |
//! | [`wire`] | how it travels | frames, strict codec, limits |
//! | [`verify`] | is it genuine | the rule, alone and in batches |
//! | [`rumor`] | what is said | topics, positions, bundles, proofs, evidence |
//! | `key` | who | node and author keys |

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_in_result,
    clippy::get_unwrap
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable
    )
)]

#[cfg(any(test, feature = "sim"))]
pub mod adversary;
#[cfg(feature = "sim")]
pub mod hostile;
mod key;
pub mod net;
mod node;
pub mod protocol;
pub mod rumor;
#[cfg(feature = "sim")]
pub mod sim;
pub mod store;
pub mod verify;
pub mod wire;

pub use key::{KeyFileError, ParseKeyError, PublicKey, ReadKeyError, SecretKey};
pub use node::{
    Acceptor, AdmissionError, Answer, AnswerError, Answering, Answers, AnswersEnd, AskError, Batch, Builder,
    Change, Closed, ConnectError, Cursor, CursorError, Delivery, DescribeError, Entry, Events, FolderError,
    ForgetError, Gap, History, Host, HostName, Item, Join, JoinError, Kv, KvError, Lagged, MemberEvents,
    Node, NodeStats, OpenError, ParseAddrError, ParseCursorError, PeerAddr, ProtocolError, Published,
    Publishing, PutError, Query, QueryError, Question, Questions, Replay, ReplayError, SetAuthorsError,
    Snapshot, SpawnError, Subscription, TopicHandle, TryRecvError, VerifierPool, Wait, WaitError, Watch,
    Written,
};

#[cfg(feature = "serde")]
pub use node::JsonError;

#[doc(inline)]
pub use net::{
    BindError, GateConfig, IncomingStream, OtherProtocolsError, ProtocolNameError, RecvStream, SendStream,
    StreamError, TlsSetupError,
};
#[doc(inline)]
pub use protocol::keeping::{Damage, Frontier, Full};
#[doc(inline)]
pub use protocol::{
    AdmissionOutcome, AdmissionRefusal, DialError, DialState, DownReason, Event, ExplainError, Explanation,
    FailedWhy, Impairment, KeepError, Member, MemberEvent, MemberLink, MemberState, Offence, PublishError,
    StopReason, Validation,
};
#[doc(inline)]
pub use protocol::{Config, ConfigError};
#[doc(inline)]
pub use rumor::{
    Authors, CellError, Evidence, EvidenceError, Guarantee, NetworkId, ParseIdError, ParsePositionError,
    Position, Proof, ProofError, Resolve, RuleError, Rumor, RumorId, Topic, TopicId,
};
#[doc(inline)]
pub use store::{PositionLogError, StoreError};
#[doc(inline)]
pub use wire::Reason;

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
