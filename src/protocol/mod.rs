//! What to do: the sans-I/O engine of a node.
//!
//! [`Engine`] is a deterministic state machine: no sockets, clocks, threads, async or operating-system randomness. Time,
//! bytes and a seed go in as [`Input`]s, what is to be done comes out as [`Action`]s. Drive it like this, in any order
//! and as often as you like; spurious calls are harmless:
//!
//! 1. [`Engine::handle`] with the time and what happened,
//! 2. [`Engine::poll`] until it gives `None`, doing each action,
//! 3. wait for the next input or for [`Engine::next_deadline`], then `handle` again ([`Input::Tick`] if only time passed).
//!
//! ```text
//!            Frame                                     Verdicts                          Validated
//!   link ───────────> intake ──> verifying ──Verify──> accept: claim, hold ──Validate──> accept: store, deliver
//!     ^                 │          (fair, batched)        │ conflict: convict                 │
//!     │                 └ offence: close and ban          v                                   v
//!     └───── outbox <── spread: push while rare, then announce <── pulls: who announces, serves
//! ```
//!
//! Three things are kept apart: an [`Offence`] (wrong as bytes: closes the link and bans the key), [`Evidence`]
//! (convicts an author by its own signatures), and service (how well a link serves: orders our choices only).
//!
//! [`Evidence`]: crate::rumor::Evidence

mod boundary;
#[cfg(any(test, feature = "sim"))]
mod check;
mod condition;
mod config;
pub mod dialler;
mod down;
mod engine;
mod event;
mod evidence;
mod impairment;
mod limits;
mod links;
mod linkset;
mod meter;
mod publisher;
mod pulls;
mod random;
mod shrink;
mod spread;
mod stats;
mod time;
mod timers;
mod topics;
mod total;
mod verification;
mod weakness;

pub use boundary::{Action, BatchId, Input, LinkId, Ticket, ValidationId, VerifyJob};
#[cfg(feature = "sim")]
#[doc(hidden)]
pub use check::Caps;
pub use config::{Config, ConfigError};
pub use dialler::{DialState, Dialler, KeepError, KeptPeer, Order};
pub use down::DownReason;
pub use engine::{Engine, Setup};
pub use event::{Event, JoinRefusal, Offence, PublishError, Validation};
pub use impairment::Impairment;
pub use limits::{LANE_CREDIT, MAX_LINKS, MAX_TOPICS, RELAY_FUTURE, RELAY_PAST};
pub use links::outbox::FRAME_OVERHEAD;
pub use publisher::Ledger;
pub use stats::{Counters, LinkStats, Stats, TopicStats};
pub use time::{Mono, Now};
pub use topics::window::{DELIVER_FUTURE, DELIVER_PAST, MAX_SKEW};

#[cfg_attr(
    not(feature = "sim"),
    allow(unused_imports, reason = "outside of this room only the simulator asks")
)]
pub(crate) use weakness::Weakness;
