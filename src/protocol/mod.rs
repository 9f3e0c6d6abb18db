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
//! **This is the lower level.** Apps drive it through a [`Node`](crate::Node). What an app names of it ([`Event`], [`Config`], the errors)
//! stands at the root of the crate; the rest, [`Input`] and [`Action`] foremost, is for drivers and may change in a minor version
//! ([stability](crate#stability)).
//!
//! [`Evidence`]: crate::rumor::Evidence

mod accept;
mod announcements;
mod authors;
mod bodies;
mod book;
mod boundary;
mod budget;
#[cfg(any(test, feature = "sim"))]
mod check;
mod clock;
mod config;
mod debts;
pub mod dialler;
mod down;
mod duplicates;
mod engine;
mod entry;
mod event;
mod fair;
mod greeting;
mod health;
mod intake;
mod joining;
mod left;
mod limits;
mod link;
mod linkset;
mod outbox;
mod passing;
mod places;
mod presence;
mod publish;
mod pulls;
mod questions;
mod random;
mod records;
mod refused;
mod silence;
mod slack;
mod spent;
mod spread;
mod standing;
mod starved;
mod stats;
mod tariff;
mod time;
mod timers;
mod total;
mod verifying;
mod wants;
mod weakness;
mod window;

pub use boundary::{Action, BatchId, Input, LinkId, Ticket, ValidationId, VerifyJob};
#[cfg(feature = "sim")]
#[doc(hidden)]
pub use check::Caps;
pub use config::{
    BudgetConfig, Config, ConfigError, LinkConfig, PublishConfig, PullConfig, TopicConfig, ValidatorConfig,
};
pub use dialler::{DialState, Dialler, KeepError, KeptPeer, Order};
pub use down::{DialError, DownReason, StopReason};
pub use engine::{Engine, Setup};
pub use event::{Event, Offence, PublishError, Validation};
pub use health::Impairment;
pub use joining::JoinRefusal;
pub use limits::{LANE_CREDIT, MAX_LINKS, MAX_TOPICS, RELAY_FUTURE, RELAY_PAST};
pub use outbox::FRAME_OVERHEAD;
pub use publish::Ledger;
pub use stats::{Counters, LinkStats, Stats, TopicStats};
pub use time::{Mono, Now};
pub use window::{DELIVER_FUTURE, DELIVER_PAST, MAX_SKEW};

#[cfg_attr(
    not(feature = "sim"),
    allow(unused_imports, reason = "outside of this room only the simulator asks")
)]
pub(crate) use weakness::Weakness;

#[cfg(all(test, feature = "tracing"))]
pub(crate) use event::tests::one_of_each as events_of_each_kind;

#[cfg(test)]
mod tests;
