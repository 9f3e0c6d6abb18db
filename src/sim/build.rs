//! How a network comes to be: its nodes, who of them lies, and their first links.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::dialling::Dialling;
use super::dice::Dice;
use super::machine::Machine;
use super::network::Network;
use super::node::{End, Node};
use super::placement::{Placement, choose};
use super::protocol::Protocol;
use super::queue::{Happening, NodeIndex, Queue};
use super::record::Record;
use super::records::Records;
use super::scenario::{Scenario, Start};
use super::time::unix_ms;
use super::uplink::Uplink;
use crate::adversary::{Actor, Plot};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::{Caps, Engine, Input, MemberSetup, Mono, Now, Origin, Setup, UsedPositions};
use crate::rumor::NetworkId;

const NETWORK: &str = "simulation";
/// Nodes are made within so many nanoseconds of each other, so that their cycles are not in step.
const BORN_WITHIN: u64 = 1_000_000_000;

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
            records: Records::default(),
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
                let actor = Actor::new(&self.scenario.liar, node.secret.clone(), plot.clone(), now, seed);
                node.twist = Some(Box::new(actor));
            }
        }
    }

    /// Makes a node, without links.
    pub(super) fn add_node(&mut self, lies: bool, came: u64) -> usize {
        let secret = SecretKey::from_seed(&self.dice.bytes());
        // As if made a moment ago: nothing is recorded, and nothing needs to be waited for.
        self.add_node_of(secret, UsedPositions::fresh(), lies, came)
    }

    /// Makes a node with this key, without links.
    pub(super) fn add_node_of(
        &mut self,
        secret: SecretKey,
        position_log: UsedPositions,
        lies: bool,
        came: u64,
    ) -> usize {
        let spread = i64::try_from(self.scenario.clock_spread.as_millis()).unwrap_or(0);
        let skew_ms = ((self.dice.unit() * 2.0 - 1.0) * spread as f64) as i64;
        let seed = self.dice.bytes();
        let born = self.now.saturating_sub(BORN_WITHIN) + self.dice.next() % BORN_WITHIN;
        let now = Now { mono: Mono::from_nanos(born), unix_ms: unix_ms(born, skew_ms) };
        let machine = self.machine(secret.clone(), position_log, seed, now);
        let key = secret.public();
        let dialling = Dialling::new(key, self.rules.network(), self.config());
        // (A second process is not who others mean by its key.)
        self.by_key.entry(key).or_insert(self.nodes.len() as NodeIndex);
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
            store: None,
            life: 0,
            troubles: Default::default(),
            still_until: 0,
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
        position_log: UsedPositions,
        seed: [u8; 32],
        now: Now,
    ) -> Box<dyn Machine> {
        let (network, config) = (self.rules.network(), self.config());
        let member = self.scenario.members && self.scenario.protocol == Protocol::Vouchsafe;
        let key = author.clone();
        let setup = Setup { network, node: author.public(), author, position_log, seed, config };
        if member {
            let [a, b, c, ..] = *key.public().as_bytes();
            let address = core::net::SocketAddr::from(([10, a, b, c], 4433));
            let mut says = MemberSetup::new([address], "");
            says.among = if self.scenario.settled { self.scenario.nodes } else { 0 };
            return Box::new(Engine::new(setup, now).with_members(key, says));
        }
        self.scenario.protocol.machine(setup, now)
    }

    fn connect(&mut self, edges: Vec<(usize, usize)>) {
        let edges = match self.scenario.start {
            Start::From(first) => {
                (0..self.nodes.len()).filter(|node| *node != first).map(|node| (node, first)).collect()
            }
            Start::Poisoned(_) => Vec::new(),
            _ => edges,
        };
        for (from, to) in &edges {
            if let Some(node) = self.nodes.get_mut(*from) {
                node.dialling.told.push((*to as NodeIndex, Origin::Told));
            }
        }
        (0..self.nodes.len()).for_each(|node| self.poison(node));
        let cold = self.scenario.start != Start::Linked;
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let dials = node.is_honest() || cold && self.scenario.grasping == 0;
            let wanted = match self.scenario.start {
                Start::From(_) | Start::Poisoned(_) => self.scenario.links,
                _ => node.dialling.told.len(),
            };
            node.dialling.wanted = if dials { wanted } else { 0 };
            if !node.is_honest() && self.scenario.grasping > 0 {
                let after = self.dice.next() % BORN_WITHIN;
                self.queue.plan(self.now + after, at as NodeIndex, Happening::Grasp);
            }
        }
        (0..self.nodes.len()).for_each(|node| self.join_topic(node as NodeIndex));
        if cold {
            for node in 0..self.nodes.len() {
                if self.scenario.start == Start::Cold {
                    self.tell_of_others(node);
                }
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
        self.input(node, Input::Join { rules, deliver: true, validate, keep: Default::default() });
    }

    /// A node that has just been made, or made again, takes up its work.
    pub(super) fn begin(&mut self, node: NodeIndex) {
        self.join_topic(node);
        self.give_dialler(node);
        self.dial_due(node);
        self.drive(node);
    }
}
