//! The network: nodes, links, one clock, one queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::dice::Dice;
use super::liars::{Acquaintance, Placement, Plot, choose};
use super::lying::Lying;
use super::measure::{Ledger, Measures};
use super::node::{End, Node};
use super::queue::{NodeIndex, Queue};
use super::scenario::Scenario;
use crate::key::{PublicKey, SecretKey, Signature};
use crate::protocol::{Engine, Input, LinkId, Mono, Now, Setup, Ticket};
use crate::rumor::{BundleId, NetworkId, RuleSet};
use crate::wire::Lane;

/// When every simulation begins, Unix milliseconds: any fixed moment would do.
const BEGIN_MS: u64 = 1_800_000_000_000;
const NETWORK: &str = "simulation";

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
    pub(super) ledger: Ledger,
    pub(super) trace: blake3::Hasher,
    pub(super) tickets: u64,
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
        let network = NetworkId::of(NETWORK);
        let rules = match scenario.topic.on(network) {
            Ok(rules) => Arc::new(rules),
            Err(error) => panic!("the scenario's topic: {error}"),
        };
        let edges = scenario.topology.edges(scenario.nodes, scenario.links, &mut dice);
        let count = (scenario.nodes as f64 * scenario.liars.clamp(0.0, 1.0)).round() as usize;
        let count = scenario.liar_count.unwrap_or(count);
        let lying = choose(scenario.placement, count, scenario.nodes, &edges, &mut dice);
        let keys: Vec<_> = lying.iter().map(|_| SecretKey::from_seed(&dice.bytes())).collect();
        let victim = match scenario.placement {
            Placement::Around(victim) => Some(victim),
            _ => lying.iter().position(|lies| !lies),
        };
        let everybody: Arc<[_]> = keys.iter().map(SecretKey::public).collect();
        let victim = victim.and_then(|victim| everybody.get(victim).copied());
        let plot = Plot {
            rules: Arc::clone(&rules),
            // (Where all lie there is nobody to be after, and any key will do.)
            victim: victim.or(everybody.first().copied()).unwrap_or(PublicKey::from_bytes([0; 32])),
            everybody,
        };
        let mut config = scenario.config.clone();
        config.expected_nodes = u32::try_from(scenario.nodes).unwrap_or(u32::MAX);
        let mut nodes = Vec::with_capacity(scenario.nodes);
        for (lies, key) in lying.into_iter().zip(keys) {
            let spread = i64::try_from(scenario.clock_spread.as_millis()).unwrap_or(0);
            let skew_ms = ((dice.unit() * 2.0 - 1.0) * spread as f64) as i64;
            let setup = Setup {
                network,
                node: key.public(),
                author: key.clone(),
                // As if made a moment ago: nothing is recorded, and nothing needs to be waited for.
                ledger: crate::protocol::Ledger::Kept { recorded_until_ms: 0 },
                seed: dice.bytes(),
                config: config.clone(),
            };
            // Within a second of each other, so that their cycles are not in step.
            let born =
                Now { mono: Mono::from_nanos(dice.next() % 1_000_000_000), unix_ms: unix_ms(0, skew_ms) };
            let seed = dice.next();
            let liar = || Box::new(Lying::new(&scenario, key.clone(), plot.clone(), born, seed));
            nodes.push(Node {
                machine: Box::new(Engine::new(setup, born)),
                key: key.public(),
                twist: lies.then(liar),
                ends: Vec::new(),
                by_peer: HashMap::new(),
                skew_ms,
                uplink_free: 0,
                wake: u64::MAX,
                bytes_out: 0,
            });
        }
        let by_key = nodes.iter().enumerate().map(|(at, node)| (node.key, at as NodeIndex)).collect();
        let honest = nodes.iter().map(|node| node.twist.is_none()).collect();
        let mut network = Self {
            rules,
            nodes,
            by_key,
            queue: Queue::default(),
            now: 1_000_000_000,
            dice,
            verdicts: HashMap::new(),
            ledger: Ledger::new(honest),
            trace: blake3::Hasher::new(),
            tickets: 0,
            scenario,
        };
        network.connect(edges);
        network
    }

    fn connect(&mut self, edges: Vec<(usize, usize)>) {
        let places = self.scenario.latency.place(self.nodes.len(), &mut self.dice);
        for node in 0..self.nodes.len() {
            let rules = Arc::clone(&self.rules);
            self.input(node as NodeIndex, Input::Join { rules, deliver: true, validate: false });
            self.input(node as NodeIndex, Input::Recorded { until_ms: u64::MAX });
        }
        for (from, to) in edges {
            let (Some(a), Some(b)) = (places.get(from), places.get(to)) else { continue };
            let delay = self.scenario.latency.between(*a, *b);
            let there = LinkId(self.nodes.get(to).map_or(0, |node| node.ends.len() as u64));
            let here = LinkId(self.nodes.get(from).map_or(0, |node| node.ends.len() as u64));
            for (node, peer, link, other, dialled) in
                [(from, to, here, there, true), (to, from, there, here, false)]
            {
                let other_end = self.nodes.get(peer).map(|peer| (peer.key, peer.twist.is_some()));
                let (Some(this), Some((key, accomplice))) = (self.nodes.get_mut(node), other_end) else {
                    continue;
                };
                if let Some(twist) = &mut this.twist {
                    twist.meet(Acquaintance { link, peer: key, rtt: delay * 2, accomplice });
                }
                let last = [0; Lane::COUNT];
                this.ends.push(End { peer: peer as NodeIndex, there: other, delay, up: true, last });
                this.by_peer.insert(peer as NodeIndex, link);
                let node = node as NodeIndex;
                self.input(node, Input::LinkUp { link, peer: key, dialled });
                self.input(node, Input::RoundTrip { link, rtt: delay * 2 });
            }
        }
        (0..self.nodes.len()).for_each(|node| self.drive(node as NodeIndex));
    }

    /// Time since the beginning.
    pub const fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a node is honest.
    pub fn is_honest(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| node.twist.is_none())
    }

    /// A random honest node.
    pub fn random_honest(&mut self) -> usize {
        let honest: Vec<_> = (0..self.len()).filter(|node| self.is_honest(*node)).collect();
        let at = self.dice.below(honest.len());
        honest.get(at).copied().unwrap_or(0)
    }

    /// The engine of a node, to look at.
    pub fn engine(&self, node: usize) -> Option<&Engine> {
        self.nodes.get(node).and_then(|node| node.machine.engine())
    }

    /// Lets a node publish now.
    pub fn publish(&mut self, node: usize, body: impl Into<Bytes>) {
        let (topic, ticket) = (self.rules.id(), Ticket(self.tickets));
        self.tickets += 1;
        self.input(node as NodeIndex, Input::Publish { topic, body: body.into(), ticket });
        self.drive(node as NodeIndex);
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        while let Some(planned) = self.queue.next(until) {
            self.now = planned.at;
            self.happen(planned);
        }
        self.now = until;
    }

    /// What has been measured so far.
    pub fn measures(&self) -> Measures {
        self.ledger.measures(self.nodes.iter())
    }

    /// One hash over everything that has happened: the same scenario gives the same hash.
    pub fn trace(&self) -> String {
        self.trace.finalize().to_hex().as_str()[..16].to_owned()
    }
}

pub(super) fn unix_ms(now: u64, skew_ms: i64) -> u64 {
    (BEGIN_MS + now / 1_000_000).saturating_add_signed(skew_ms)
}
