//! The network: nodes, links, one clock, one queue.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::broken::Broken;
use super::dice::Dice;
use super::measure::Measures;
use super::node::Node;
use super::queue::{Happening, NodeIndex, Queue};
use super::record::Record;
use super::records::Records;
use super::scenario::Scenario;
use super::time::unix_ms;
use crate::key::{PublicKey, Signature};
use crate::protocol::{Caps, Config, Engine, Input, Mono, Now};
use crate::rumor::{BundleId, RuleSet};
use crate::wire::Reason;

/// A running simulation.
#[derive(Debug)]
pub struct Network {
    pub(super) scenario: Scenario,
    pub(super) rules: Arc<RuleSet>,
    pub(super) nodes: Vec<Node>,
    pub(super) by_key: HashMap<PublicKey, NodeIndex>,
    pub(super) queue: Queue,
    /// Nanoseconds since the beginning.
    pub(super) now: u64,
    pub(super) dice: Dice,
    pub(super) verdicts: HashMap<(BundleId, PublicKey, Signature), bool>,
    /// Bundles that were found genuine, apart from what the nodes found.
    pub(super) genuine: HashSet<BundleId>,
    pub(super) record: Record,
    pub(super) records: Records,
    pub(super) trace: blake3::Hasher,
    pub(super) publish_ids: u64,
    /// What a partition has swallowed, in order.
    pub(super) lost: Vec<(NodeIndex, Happening)>,
    /// Counts partitions and heals.
    pub(super) cuts: u64,
    /// Who acted last.
    pub(super) last: NodeIndex,
    pub(super) broken: Option<Broken>,
    /// How much a recount of an engine may walk through by now.
    pub(super) recount_due: usize,
    /// What the check holds gauges against.
    pub(super) caps: Caps,
}

impl Network {
    /// What every engine is configured with.
    pub(super) fn config(&self) -> Config {
        let mut config = self.scenario.config.clone();
        let nodes = u32::try_from(self.scenario.nodes).unwrap_or(u32::MAX);
        config.expected_nodes = self.scenario.expected_nodes.unwrap_or(nodes);
        config
    }

    /// Time since the beginning.
    pub const fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// How many nodes there are, or have been.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a node is honest.
    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(Node::is_honest)
    }

    /// Whether a node is running.
    pub fn is_alive(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.alive) && !self.record.is_gone(node as NodeIndex)
    }

    pub(super) fn first_alive(&self) -> Option<usize> {
        (0..self.len()).find(|node| self.is_honest(*node) && self.is_alive(*node))
    }

    /// A random honest node that is running.
    pub fn random_honest(&mut self) -> usize {
        let honest = |node: &usize| self.is_honest(*node) && self.is_alive(*node);
        let honest: Vec<_> = (0..self.len()).filter(honest).collect();
        let at = self.dice.below(honest.len());
        honest.get(at).copied().unwrap_or(0)
    }

    /// The engine of a node, to look at.
    pub fn engine(&self, node: usize) -> Option<&Engine> {
        self.nodes.get(node).and_then(|node| node.machine.engine())
    }

    /// The links of a node that are up: (peer, whether the node dialled).
    pub fn links(&self, node: usize) -> Vec<(usize, bool)> {
        let ends = self.nodes.get(node).map(|node| node.ends.as_slice()).unwrap_or_default();
        ends.iter().filter(|end| end.up).map(|end| (end.peer as usize, end.dialled)).collect()
    }

    /// What has been measured so far.
    pub fn measures(&self) -> Measures {
        self.record.measures(&self.nodes)
    }

    /// One hash over everything that has happened: the same scenario gives the same hash.
    pub fn trace(&self) -> String {
        self.trace.finalize().to_hex().chars().take(16).collect()
    }

    /// Why a node would not take a link from another now, if it would not.
    pub fn would_refuse(&self, node: usize, peer: usize) -> Option<Reason> {
        let peer = self.nodes.get(peer)?.key;
        self.nodes.get(node)?.machine.would_refuse(&peer)
    }

    pub(super) fn now_of(&self, node: NodeIndex) -> Now {
        let skew = self.nodes.get(node as usize).map_or(0, |node| node.skew_ms);
        Now { mono: Mono::from_nanos(self.now), unix_ms: unix_ms(self.now, skew) }
    }

    pub(super) fn input(&mut self, node: NodeIndex, input: Input) {
        let now = self.now_of(node);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.report_written(now);
            node.machine.handle(now, input);
        }
    }

    /// Folds something that happened into the trace. What a machine wants done begins with a number of its own: `act` has them.
    pub(super) fn note(&mut self, what: &[u8]) {
        self.trace.update(what);
    }

    pub(super) fn delay(&self, from: NodeIndex, to: NodeIndex) -> Duration {
        let places = self.nodes.get(from as usize).zip(self.nodes.get(to as usize));
        places.map_or(Duration::ZERO, |(from, to)| self.scenario.latency.between(from.place, to.place))
    }
}
