//! The network: nodes, links, one clock, one queue.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::dial::Dialling;
use super::dice::Dice;
use super::invariants::Broken;
use super::liars::{Outgoing, Placement, Plot, choose};
use super::lying::Lying;
use super::machine::Machine;
use super::measure::Measures;
use super::node::{End, Node};
use super::queue::{Happening, NodeIndex, Queue};
use super::record::Record;
use super::scenario::{Scenario, Start};
use super::uplink::Uplink;
use crate::key::{PublicKey, SecretKey, Signature};
use crate::protocol::{Caps, Config, Engine, Input, LinkId, Mono, Now, Origin, PublishId, Setup};
use crate::rumor::{BundleId, NetworkId, RuleSet};
use crate::wire::{Lane, Reason};

/// When every simulation begins, Unix milliseconds: any fixed moment would do.
const BEGIN_MS: u64 = 1_800_000_000_000;
const NETWORK: &str = "simulation";
/// Nodes are made within so many nanoseconds of each other, so that their cycles are not in step.
const BORN_WITHIN: u64 = 1_000_000_000;

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
    /// Builds the nodes and brings up their links; hellos cross as time runs.
    ///
    /// # Panics
    /// If the scenario's topic is out of range.
    #[allow(
        clippy::panic,
        reason = "a scenario is the caller's own, and a simulation without its topic is none"
    )]
    pub fn new(scenario: Scenario) -> Self {
        let mut dice = Dice::new(scenario.seed);
        let rules = match scenario.topic.bind(NetworkId::of(NETWORK)) {
            Ok(rules) => Arc::new(rules),
            Err(error) => panic!("the scenario's topic: {error}"),
        };
        let edges = scenario.topology.edges(scenario.nodes, scenario.links, &mut dice);
        let count = (scenario.nodes as f64 * scenario.liars.clamp(0.0, 1.0)).round() as usize;
        let count = scenario.liar_count.unwrap_or(count);
        let lying = choose(scenario.placement, count, scenario.nodes, &edges, &mut dice);
        let mut network = Self {
            rules,
            nodes: Vec::with_capacity(scenario.nodes),
            by_key: HashMap::new(),
            queue: Queue::default(),
            now: BORN_WITHIN,
            dice,
            verdicts: HashMap::new(),
            genuine: HashSet::new(),
            record: Record::default(),
            trace: blake3::Hasher::new(),
            publish_ids: 0,
            lost: Vec::new(),
            cuts: 0,
            last: 0,
            broken: None,
            recount_due: 0,
            caps: Caps::default(),
            scenario,
        };
        for lies in &lying {
            network.add_node(*lies, 0);
        }
        network.corrupt(&lying);
        network.connect(edges);
        network
    }

    /// Gives the liars their adversaries, now that they can know each other.
    fn corrupt(&mut self, lying: &[bool]) {
        let everybody: Arc<[_]> = self.nodes.iter().map(|node| node.key).collect();
        let victim = match self.scenario.placement {
            Placement::Around(victim) => Some(victim),
            _ => lying.iter().position(|lies| !lies),
        };
        let victim = victim.and_then(|victim| everybody.get(victim).copied());
        let plot = Plot {
            rules: Arc::clone(&self.rules),
            // (Where all lie there is nobody to be after, and any key will do.)
            victim: victim.or(everybody.first().copied()).unwrap_or(PublicKey::from_bytes([0; 32])),
            everybody,
        };
        for at in (0..lying.len()).filter(|at| lying.get(*at) == Some(&true)) {
            let (now, seed) = (self.now_of(at as NodeIndex), self.dice.next());
            if let Some(node) = self.nodes.get_mut(at) {
                let lying = Lying::new(&self.scenario, node.secret.clone(), plot.clone(), now, seed);
                node.twist = Some(Box::new(lying));
            }
        }
    }

    /// Makes a node, without links.
    pub(super) fn add_node(&mut self, lies: bool, came: u64) -> usize {
        let secret = SecretKey::from_seed(&self.dice.bytes());
        let spread = i64::try_from(self.scenario.clock_spread.as_millis()).unwrap_or(0);
        let skew_ms = ((self.dice.unit() * 2.0 - 1.0) * spread as f64) as i64;
        let seed = self.dice.bytes();
        let born = self.now.saturating_sub(BORN_WITHIN) + self.dice.next() % BORN_WITHIN;
        let now = Now { mono: Mono::from_nanos(born), unix_ms: unix_ms(born, skew_ms) };
        // As if made a moment ago: nothing is recorded, and nothing needs to be waited for.
        let position_log = crate::protocol::UsedPositions::fresh();
        let machine = self.machine(secret.clone(), position_log, seed, now);
        let key = secret.public();
        let dialling = Dialling::new(key, self.rules.network(), self.config());
        self.by_key.insert(key, self.nodes.len() as NodeIndex);
        let place = self.scenario.latency.place(self.nodes.len(), &mut self.dice);
        self.nodes.push(Node {
            machine,
            secret,
            key,
            twist: None,
            ends: Vec::new(),
            dialling,
            alive: true,
            place,
            side: 0,
            skew_ms,
            uplink: Uplink::default(),
            wake: u64::MAX,
            bytes_out: 0,
            recorded: crate::rumor::Spans::default(),
            life: 0,
            troubles: Default::default(),
            orphans: Vec::new(),
            written: Vec::new(),
            written_bytes: 0,
        });
        self.record.came(key, !lies, came);
        self.nodes.len() - 1
    }

    pub(super) fn machine(
        &self,
        author: SecretKey,
        position_log: crate::protocol::UsedPositions,
        seed: [u8; 32],
        now: Now,
    ) -> Box<dyn Machine> {
        let (network, config) = (self.rules.network(), self.config());
        self.scenario
            .protocol
            .machine(Setup { network, node: author.public(), author, position_log, seed, config }, now)
    }

    /// What every engine is configured with.
    pub(super) fn config(&self) -> Config {
        let mut config = self.scenario.config.clone();
        let nodes = u32::try_from(self.scenario.nodes).unwrap_or(u32::MAX);
        config.expected_nodes = self.scenario.expected_nodes.unwrap_or(nodes);
        config
    }

    fn connect(&mut self, edges: Vec<(usize, usize)>) {
        for (from, to) in &edges {
            if let Some(node) = self.nodes.get_mut(*from) {
                node.dialling.told.push((*to as NodeIndex, Origin::Told));
            }
        }
        let cold = self.scenario.start == Start::Cold;
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let dials = node.is_honest() || cold && self.scenario.grasping == 0;
            node.dialling.wanted = if dials { node.dialling.told.len() } else { 0 };
            if !node.is_honest() && self.scenario.grasping > 0 {
                let after = self.dice.next() % BORN_WITHIN;
                self.queue.plan(self.now + after, at as NodeIndex, Happening::Grasp);
            }
        }
        (0..self.nodes.len()).for_each(|node| self.join_topic(node as NodeIndex));
        if cold {
            for node in 0..self.nodes.len() {
                self.tell_of_others(node);
                self.give_dialler(node as NodeIndex);
                let after = self.dice.next() % BORN_WITHIN;
                self.queue.plan(self.now + after, node as NodeIndex, Happening::Seek);
            }
        } else {
            (0..self.nodes.len()).for_each(|node| self.give_dialler(node as NodeIndex));
            edges.into_iter().for_each(|(from, to)| self.link(from, to));
        }
        self.plan_churn();
        (0..self.nodes.len()).for_each(|node| self.drive(node as NodeIndex));
    }

    /// A link that is up from the beginning.
    fn link(&mut self, from: usize, to: usize) {
        let (from, to) = (from as NodeIndex, to as NodeIndex);
        let delay = self.delay(from, to);
        let number = |node: NodeIndex| self.nodes.get(node as usize).map(Node::next_link);
        let (Some(here), Some(there)) = (number(from), number(to)) else { return };
        for (node, peer, link, other, dialled) in
            [(from, to, here, there, true), (to, from, there, here, false)]
        {
            if let Some(this) = self.nodes.get_mut(node as usize) {
                this.ends.push(End::new(peer, other, delay, dialled));
            }
            self.link_up(node, link);
            if dialled {
                self.adopt(node, peer, link);
            }
        }
    }

    pub(super) fn join_topic(&mut self, node: NodeIndex) {
        if self.has_left(node) {
            return;
        }
        let (rules, validate) = (Arc::clone(&self.rules), self.validates(node));
        self.input(node, Input::Join { rules, deliver: true, validate });
    }

    /// A node that has just been made, or made again, takes up its work.
    pub(super) fn begin(&mut self, node: NodeIndex) {
        self.join_topic(node);
        self.give_dialler(node);
        self.dial_due(node);
        self.drive(node);
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

    /// Sends a frame from one node to another over a link that they have, whatever the machine of the first thinks. False
    /// if they have none.
    pub fn inject(&mut self, from: usize, to: usize, lane: Lane, payload: Bytes) -> bool {
        let ends = self.nodes.get(from).map(|node| node.ends.as_slice()).unwrap_or_default();
        let Some(link) = ends.iter().position(|end| end.up && end.peer == to as NodeIndex) else {
            return false;
        };
        self.transmit(from as NodeIndex, Outgoing::now(LinkId(link as u64), lane, payload));
        true
    }

    /// Lets a node publish now. The answer is in [`Measures::refused`] if it is an error.
    pub fn publish(&mut self, node: usize, body: impl Into<Bytes>) {
        let (topic, publish_id) = (self.rules.id(), PublishId(self.publish_ids));
        self.publish_ids += 1;
        self.last = node as NodeIndex;
        self.record.asked(publish_id, node as NodeIndex, self.now);
        self.input(node as NodeIndex, Input::Publish { topic, body: body.into(), publish_id });
        self.drive(node as NodeIndex);
    }

    /// Does what happens next, if that is no later than `until` (since the beginning).
    pub(super) fn step(&mut self, until: u64) -> bool {
        let Some(planned) = self.queue.next(until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = planned.at;
        self.happen(planned);
        true
    }

    pub(super) fn after(&self, time: Duration) -> u64 {
        self.now.saturating_add(super::drive::nanos(time))
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.after(time);
        while self.step(until) {}
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
}

pub(super) fn unix_ms(now: u64, skew_ms: i64) -> u64 {
    (BEGIN_MS + now / 1_000_000).saturating_add_signed(skew_ms)
}
