//! What to simulate.

use std::time::Duration;

use super::{Latency, Liar, Placement, Protocol, Topology};
use crate::protocol::Config;
use crate::rumor::Topic;

/// What to simulate. Everything has a default; the seed decides what is left to chance.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Nodes in all, liars included.
    pub nodes: usize,
    /// Links that each node dials. About as many are dialled by others.
    pub links: usize,
    /// Who dials whom.
    pub topology: Topology,
    /// One-way delay of links.
    pub latency: Latency,
    /// Most further delay of a frame, drawn evenly for each.
    pub jitter: Duration,
    /// Chance of a frame to be lost once, 0 to 1: it then arrives after a retransmission, two delays and 25 ms later.
    pub loss: f64,
    /// Bytes per second that a node can send; frames queue for it. `None`: no limit.
    pub uplink: Option<u64>,
    /// Bytes that each link takes from the engine before they are sent, where there is an uplink. Production has 1 MiB.
    pub send_buffer: usize,
    /// How long a batch of signatures takes, however many they are. Zero: nothing waits, and each is checked alone.
    pub verify_takes: Duration,
    /// Part of the nodes that lie, 0 to 1.
    pub liars: f64,
    /// How many nodes lie; if given, instead of `liars`.
    pub liar_count: Option<usize>,
    /// Which nodes lie.
    pub placement: Placement,
    /// How they lie.
    pub liar: Liar,
    /// Most difference of a node's clock from true time.
    pub clock_spread: Duration,
    /// What the nodes run.
    pub protocol: Protocol,
    /// How the network begins.
    pub start: Start,
    /// Honest nodes that each liar tries to dial per second, for all the places it can get; 0: liars dial as others do.
    pub grasping: usize,
    /// Nodes that leave and come.
    pub churn: Option<Churn>,
    /// Whether the nodes are members: they say that they are here, and know who else is.
    pub members: bool,
    /// Whether members state from the start the period of as many as there are, as in a network that has been there for long. Else each
    /// states the shortest at first, and another within ten minutes.
    pub settled: bool,
    /// The topic that all nodes join.
    pub topic: Topic,
    /// Of every node; `expected_nodes` is set to `nodes`, or to what the scenario says.
    pub config: Config,
    /// How many nodes the nodes think there are, if that is not how many there are.
    pub expected_nodes: Option<u32>,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            nodes: 1_000,
            links: 12,
            topology: Topology::Random,
            latency: Latency::GEOMETRIC,
            jitter: Duration::from_millis(2),
            loss: 0.0,
            uplink: None,
            send_buffer: 1 << 20,
            verify_takes: Duration::ZERO,
            liars: 0.0,
            liar_count: None,
            placement: Placement::Random,
            liar: Liar::Silent,
            clock_spread: Duration::ZERO,
            protocol: Protocol::Vouchsafe,
            start: Start::Linked,
            grasping: 0,
            churn: None,
            members: false,
            settled: false,
            topic: Topic::named("simulation").max_body(64 * 1024),
            config: Config::default(),
            expected_nodes: None,
            seed: 1,
        }
    }
}

/// Nodes that leave and nodes that come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Churn {
    /// Honest nodes that leave per second, in good order.
    pub leave_per_s: f64,
    /// Honest nodes that come per second, with new keys.
    pub join_per_s: f64,
}

/// How a network begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With all its links up at once.
    #[default]
    Linked,
    /// Without a link: within a second every node begins to dial.
    Cold,
    /// The same, and each node knows this one only: members tell it of others.
    From(usize),
    /// The same, and strangers have named as many others to each node as it wants links, of which this part lies, in percent: members
    /// tell it of more.
    Poisoned(u8),
}
