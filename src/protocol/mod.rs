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
//! | Component | What it owns |
//! |---|---|
//! | `engine` | the handlers: what one input does to the components below |
//! | `links` | each link: phase, budget, what waits for it, how well it serves; and the bans |
//! | `topics` | each topic's window: bundles, positions, authors, bodies, debts |
//! | `verification` | signatures that wait for a verdict, bundles that wait for a validator |
//! | `pulls` | wanted ids, whom to ask, how long to wait |
//! | `publisher` | what waits to be published, the pens, the position log's records |
//! | `evidence` | convicted authors and the proof of each |
//! | `admission` | who may link and is shown as a member: the allow-list, and who is expelled for a while |
//! | `owned` | who may speak in topics that have an owner |
//! | `guests` | diallers that are heard for a moment, where there is no place |
//! | `census` | how many nodes there are, as far as the members tell |
//! | `members` | who is here: records, pulses, leases, this node's own beacon |
//! | `condition` | what keeps the node from its work, its clock, whether it was there |
//! | [`dialler`] | whom to dial, and when |
//! | [`keeping`] | what engine and store say to each other: data without rules |
//!
//! Components import each other in one direction only, and each is given `Cx`: time, configuration, chance, timers,
//! counters, and the list of actions. `limits` has every bound, once.
//!
//! A driver, without its sockets:
//!
//! ```
//! use vouchsafe::SecretKey;
//! use vouchsafe::protocol::{Action, Config, Engine, Input, Mono, Now, Setup, UsedPositions};
//!
//! let network = vouchsafe::NetworkId::of("example");
//! let (node, author) = (SecretKey::generate().public(), SecretKey::generate());
//! let setup = Setup { network, node, author, position_log: UsedPositions::None, seed: [7; 32], config: Config::default() };
//! let mut now = Now { mono: Mono::from_nanos(0), unix_ms: 1_800_000_000_000 };
//! let mut engine = Engine::new(setup, now);
//! for _ in 0..3 {
//!     while let Some(action) = engine.poll() {
//!         match action {
//!             Action::Event(event) => println!("{event:?}"),
//!             Action::Send { link, frame, .. } => println!("{} bytes for {link:?}", frame.len()),
//!             _ => {} // Verify, deliver, record, close: see `Action`.
//!         }
//!     }
//!     // A driver waits here for the next input, or for the deadline.
//!     now.mono = engine.next_deadline().expect("the engine's own cycle always runs");
//!     engine.handle(now, Input::Tick);
//! }
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

mod admission;
mod boundary;
mod census;
#[cfg(any(test, feature = "sim"))]
mod check;
mod condition;
mod config;
mod context;
pub mod dialler;
mod down;
mod engine;
mod event;
mod evidence;
mod failpoint;
mod group;
mod guests;
mod impairment;
pub mod keeping;
mod limits;
mod links;
mod linkset;
mod member_event;
mod members;
mod meter;
mod owned;
mod publisher;
mod pulls;
mod random;
mod refusal;
mod repair;
mod shrink;
mod spread;
mod stats;
mod time;
mod timers;
mod topics;
mod total;
mod verification;

pub use admission::{AdmissionChange, AdmissionOutcome, AdmissionRefusal};
pub use boundary::{Action, BatchId, Input, LinkId, PublishId, ValidationId, VerifyJob};
#[cfg(feature = "sim")]
#[doc(hidden)]
pub use check::Caps;
pub use config::{
    BudgetConfig, Config, ConfigError, DialConfig, HistoryConfig, LinkConfig, MemberConfig, PublishConfig,
    PullConfig, TopicConfig, ValidatorConfig,
};
pub use dialler::{DialState, Dialler, Ending, KeepError, KeptPeer, Order, Origin};
pub use down::{DialError, DownReason, StopReason};
pub use engine::{Engine, RepairProgress, Setup};
pub use event::{Event, Offence, Validation};
pub use group::NetGroup;
pub use impairment::Impairment;
pub use limits::{LANE_CREDIT, MAX_LINKS, MAX_TOPICS, RELAY_FUTURE, RELAY_PAST};
pub use links::outbox::FRAME_OVERHEAD;
pub use member_event::{FailedWhy, MemberEvent};
pub use members::{ExplainError, Explanation, Member, MemberLink, MemberSetup, MemberState};
pub use publisher::UsedPositions;
pub use refusal::{JoinRefusal, PublishError};
pub use stats::{Counters, LinkStats, Stats, TopicStats};
pub use time::{Mono, Now};
pub use topics::window::{DELIVER_FUTURE, DELIVER_PAST, MAX_SKEW};

#[cfg_attr(
    not(feature = "sim"),
    allow(unused_imports, reason = "outside of this layer only the simulator asks")
)]
pub(crate) use failpoint::Failpoint;
pub(crate) use limits::MAX_CONVICTED;

#[cfg(all(test, feature = "tracing"))]
pub(crate) use event::tests::one_of_each as events_of_each_kind;
