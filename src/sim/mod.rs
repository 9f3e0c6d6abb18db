//! A deterministic network of production engines, in one process: for tests of this crate, and for applications that
//! want to see what liars can do to them.
//!
//! **This is the lower level**, behind the feature `sim`: anything here may change in a minor version ([stability](crate#stability)).
//!
//! Not a model of the protocol: each node is an [`Engine`](crate::protocol::Engine) that reads and writes the frames of
//! [`wire`](crate::wire). Only the links, the clocks and the threads are simulated. Signatures are real; a verdict is a
//! pure function of bytes, so the nodes share a memory of verdicts.
//!
//! ```text
//!   Scenario ──> Network::new ──> links up, hellos ──> publish, load, run_for ──> Measures
//!                  │
//!                  ├ nodes: a Machine (the engine, or a Protocol to compare it with); a liar is an honest one behind an Adversary
//!                  │        (crate::adversary), one of this crate's or one's own
//!                  ├ links: Latency, jitter, loss; uplinks: bytes per second, shared fairly by a node's links;
//!                  │        what is not read waits and fills windows; dialled and refused at run time (Start::Cold, Network::dial)
//!                  ├ faults: partition, heal, crash, restart, leave, join, Churn; step_clock, stand_still, hide, set_disk, set_validators,
//!                  │        leave_topic, hang_up, clone_node, keep_records_from
//!                  ├ invariants: Network::check, run_checked; after set_right: check_recovered
//!                  └ one queue ordered by time; one seed decides everything; Network::trace proves it
//! ```
//!
//! ```
//! use std::time::Duration;
//! use vouchsafe::sim::{Network, Scenario};
//!
//! let mut network = Network::new(Scenario { nodes: 50, links: 6, ..Scenario::default() });
//! network.run_for(Duration::from_secs(1)); // hellos
//! network.publish(0, vec![7; 300]);
//! network.run_for(Duration::from_secs(3));
//! let measures = network.measures();
//! assert_eq!(measures.coverage(), 1.0);
//! assert_eq!(measures.false_bans, 0);
//! ```

mod baseline;
mod broken;
mod build;
pub mod classic;
mod count;
mod dial;
mod dialling;
mod drive;
mod experiment;
mod fault;
mod invariants;
mod latency;
mod line;
mod load;
mod machine;
mod measure;
mod members;
mod network;
mod node;
mod placement;
mod protocol;
mod queue;
mod reading;
mod record;
mod records;
mod run;
mod scenario;
mod silence;
mod stir;
mod storing;
mod time;
mod topology;
mod trouble;
mod uplink;

pub use broken::Broken;
pub use experiment::{Experiment, Progress, Report};
pub use latency::Latency;
pub use load::Load;
pub use machine::Machine;
pub use measure::{Conviction, Gauges, Measures, Memory, Spread};
pub use network::Network;
pub use placement::Placement;
pub use protocol::{ParseProtocolError, Protocol};
pub use record::{MemberNews, Refused};
pub use scenario::{Churn, Scenario, Start};
pub use topology::Topology;

/// How a scenario's liars lie.
pub use crate::adversary::Liar;
use crate::adversary::dice;

#[cfg(test)]
mod tests;
