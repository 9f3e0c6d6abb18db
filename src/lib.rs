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
//! let id = here.publish("hello").await?;
//!
//! let rumor = rumors.next().await.ok_or("closed")??;
//! assert_eq!((rumor.id(), rumor.author()), (id, alice.author()));
//! # Ok(())
//! # }
//! ```
//!
//! # The map
//!
//! Imports point only downwards in this table; a room knows nothing of those above it.
//!
//! | Room | Question | What is in it |
//! |---|---|---|
//! | [`node`] | the async face | builder, handles, subscriptions, the task that owns the engine |
//! | [`net`] | QUIC | endpoint, TLS identity by raw public key, gate, links |
//! | [`store`] | what is kept | the author's ledger |
//! | [`protocol`] | what to do | the sans-I/O engine: intake, spread, pulls, evidence, budgets |
//! | [`wire`] | how it travels | frames, strict codec, limits |
//! | [`verify`] | is it genuine | the rule, alone and in batches |
//! | [`rumor`] | what is said | topics, positions, bundles, proofs, evidence |
//! | [`key`] | who | node and author keys |

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

pub mod key;
pub mod net;
pub mod node;
pub mod protocol;
pub mod rumor;
#[cfg(feature = "sim")]
pub mod sim;
pub mod store;
pub mod verify;
pub mod wire;

pub use key::{PublicKey, SecretKey};
pub use node::{Delivery, Gap, Lagged, Node, PeerAddr, Subscription, TopicHandle, VerifierPool};
pub use protocol::{Event, Impairment, PublishError, Validation};
pub use rumor::{Authors, Guarantee, Rumor, RumorId, Topic, TopicId};

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
