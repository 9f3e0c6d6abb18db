//! The network: nodes, links, one clock, one queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::measure::{Ledger, Measures};
use super::node::{End, Node};
use super::queue::{Happening, NodeIndex, Planned, Queue};
use super::twist::{Liar, Outgoing};
use super::{Latency, Topology};
use crate::key::{PublicKey, SecretKey, Signature};
use crate::protocol::{
    Action, Config, Engine, Event, FRAME_OVERHEAD, Input, LinkId, Mono, Now, Setup, Ticket, VerifyJob,
};
use crate::rumor::{BundleId, NetworkId, RuleSet, SignedHeader, Topic};
use crate::verify::verify_single;
use crate::wire::Lane;

/// When every simulation begins, Unix milliseconds: any fixed moment would do.
const BEGIN_MS: u64 = 1_800_000_000_000;
const NETWORK: &str = "simulation";

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
    /// Part of the nodes that lie, 0 to 1. They are chosen at random.
    pub liars: f64,
    /// How they lie.
    pub liar: Liar,
    /// Most difference of a node's clock from true time.
    pub clock_spread: Duration,
    /// The topic that all nodes join.
    pub topic: Topic,
    /// Of every node; `expected_nodes` is set to `nodes`.
    pub config: Config,
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
            liars: 0.0,
            liar: Liar::Silent,
            clock_spread: Duration::ZERO,
            topic: Topic::named("simulation").max_body(64 * 1024),
            config: Config::default(),
            seed: 1,
        }
    }
}

/// Numbers from the scenario's seed.
#[derive(Debug)]
pub(super) struct Dice(blake3::OutputReader);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe simulation dice v1");
        Self(hasher.update(&seed.to_le_bytes()).finalize_xof())
    }

    pub(super) fn next(&mut self) -> u64 {
        let mut word = [0; 8];
        self.0.fill(&mut word);
        u64::from_le_bytes(word)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Evenly from 0 to 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill(&mut bytes);
        bytes
    }
}

/// A running simulation.
#[derive(Debug)]
pub struct Network {
    scenario: Scenario,
    rules: Arc<RuleSet>,
    nodes: Vec<Node>,
    by_key: HashMap<PublicKey, NodeIndex>,
    queue: Queue,
    /// Nanoseconds since the beginning.
    now: u64,
    dice: Dice,
    verdicts: HashMap<(BundleId, PublicKey, Signature), bool>,
    ledger: Ledger,
    trace: blake3::Hasher,
    tickets: u64,
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
        let lying = liars(&scenario, &mut dice);
        let mut config = scenario.config.clone();
        config.expected_nodes = u32::try_from(scenario.nodes).unwrap_or(u32::MAX);
        let mut nodes = Vec::with_capacity(scenario.nodes);
        for lies in lying {
            let key = SecretKey::from_seed(&dice.bytes());
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
            nodes.push(Node {
                engine: Engine::new(setup, born),
                key: key.public(),
                twist: lies.then(|| scenario.liar.twist()),
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
        network.connect();
        network
    }

    fn connect(&mut self) {
        let places = self.scenario.latency.place(self.nodes.len(), &mut self.dice);
        let edges = self.scenario.topology.edges(self.nodes.len(), self.scenario.links, &mut self.dice);
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
                let key = self.nodes.get(peer).map(|peer| peer.key);
                let (Some(this), Some(key)) = (self.nodes.get_mut(node), key) else { continue };
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
        self.nodes.get(node).map(|node| &node.engine)
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

    fn now_of(&self, node: NodeIndex) -> Now {
        let skew = self.nodes.get(node as usize).map_or(0, |node| node.skew_ms);
        Now { mono: Mono::from_nanos(self.now), unix_ms: unix_ms(self.now, skew) }
    }

    fn input(&mut self, node: NodeIndex, input: Input) {
        let now = self.now_of(node);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.engine.handle(now, input);
        }
    }

    fn happen(&mut self, planned: Planned) {
        let Planned { at, node, what, .. } = planned;
        self.trace.update(&at.to_le_bytes());
        self.trace.update(&node.to_le_bytes());
        match what {
            Happening::Arrive { link, lane, payload } => {
                if self.nodes.get(node as usize).and_then(|node| node.end(link)).is_none() {
                    return;
                }
                self.trace.update(&(payload.len() as u64).to_le_bytes());
                self.hear(node, link, &payload);
                self.input(node, Input::Frame { link, lane, payload });
            }
            Happening::Sent { link, lane, bytes } => self.input(node, Input::Written { link, lane, bytes }),
            Happening::Down { link } => {
                if let Some(end) = self.nodes.get_mut(node as usize).and_then(|node| node.end_mut(link)) {
                    end.up = false;
                }
                self.input(node, Input::LinkDown { link, offence: None, why: "closed".into() });
            }
            Happening::Wake => {
                let Some(this) = self.nodes.get_mut(node as usize) else { return };
                // A later plan has replaced it, or an earlier input has done its work.
                if this.wake != at {
                    return;
                }
                this.wake = u64::MAX;
                self.input(node, Input::Tick);
            }
        }
        self.drive(node);
    }

    /// A liar hears a frame and may answer at once.
    fn hear(&mut self, node: NodeIndex, link: LinkId, payload: &Bytes) {
        let now = self.now_of(node);
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let links = if this.twist.is_some() { this.links() } else { return };
        let Some(twist) = &mut this.twist else { return };
        for (link, lie) in twist.incoming(now, &links, link, payload) {
            self.transmit(node, link, lie);
        }
    }

    /// Does what a node's engine wants done, and plans its next wake.
    fn drive(&mut self, index: NodeIndex) {
        let now = self.now_of(index);
        loop {
            let Some(node) = self.nodes.get_mut(index as usize) else { return };
            let Some(action) = node.engine.poll() else { break };
            match action {
                Action::Send { link, lane, frame } => {
                    let bytes = frame.len() + FRAME_OVERHEAD;
                    let out = match &mut node.twist {
                        None => vec![Outgoing { lane, payload: frame, delay: Duration::ZERO }],
                        Some(twist) => twist.outgoing(now, link, lane, frame),
                    };
                    let queued_until = node.uplink_free;
                    for out in out {
                        self.transmit(index, link, out);
                    }
                    // The engine learns that its bytes are gone when the uplink has sent them.
                    if self.scenario.uplink.is_some() && queued_until > self.now {
                        self.queue.plan(queued_until, index, Happening::Sent { link, lane, bytes });
                    } else {
                        self.input(index, Input::Written { link, lane, bytes });
                    }
                }
                Action::Verify { batch, jobs } => {
                    let verdicts = jobs.iter().map(|job| self.judge(job)).collect();
                    self.input(index, Input::Verdicts { batch, verdicts });
                }
                Action::Deliver { bundle, from } => {
                    let from = from.and_then(|from| self.by_key.get(&from).copied());
                    self.ledger.delivered(index, &bundle, from, self.now);
                }
                Action::Close { link, .. } => self.close(index, link),
                Action::Event(Event::Offence { peer, .. }) => {
                    let peer = self.by_key.get(&peer).copied();
                    self.ledger.offence(index, peer);
                }
                Action::Event(Event::Convicted { .. }) => self.ledger.convicted(index, self.now),
                Action::Record { until_ms } => self.input(index, Input::Recorded { until_ms }),
                _ => {}
            }
        }
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        if let Some(deadline) = node.engine.next_deadline() {
            let at = deadline.as_nanos().max(self.now + 1);
            if at < node.wake {
                node.wake = at;
                self.queue.plan(at, index, Happening::Wake);
            }
        }
    }

    fn judge(&mut self, job: &VerifyJob) -> bool {
        let message = SignedHeader::message(&job.id);
        let judge = || verify_single(&job.author, &message, &job.signature);
        *self.verdicts.entry((job.id, job.author, job.signature)).or_insert_with(judge)
    }

    fn transmit(&mut self, from: NodeIndex, link: LinkId, out: Outgoing) {
        let jitter = self.scenario.jitter.mul_f64(self.dice.unit());
        let lost = self.scenario.loss > 0.0 && self.dice.unit() < self.scenario.loss;
        let Some(node) = self.nodes.get_mut(from as usize) else { return };
        let bytes = (out.payload.len() + FRAME_OVERHEAD) as u64;
        let ready = self.now + nanos(out.delay);
        let mut leaves = ready;
        if let Some(rate) = self.scenario.uplink {
            leaves = node.uplink_free.max(ready) + bytes.saturating_mul(1_000_000_000) / rate.max(1);
            node.uplink_free = leaves;
        }
        let Some(end) = node.end_mut(link) else { return };
        let again = if lost { end.delay * 2 + Duration::from_millis(25) } else { Duration::ZERO };
        let arrives = leaves + nanos(end.delay + jitter + again);
        let Some(last) = end.last.get_mut(out.lane.index()) else { return };
        *last = arrives.max(*last);
        let (at, peer, there) = (*last, end.peer, end.there);
        node.bytes_out += bytes;
        self.queue.plan(at, peer, Happening::Arrive { link: there, lane: out.lane, payload: out.payload });
    }

    fn close(&mut self, index: NodeIndex, link: LinkId) {
        let Some(end) = self.nodes.get_mut(index as usize).and_then(|node| node.end_mut(link)) else {
            return;
        };
        end.up = false;
        // After whatever was sent before it.
        let after = end.last.iter().copied().max().unwrap_or(0).max(self.now + nanos(end.delay));
        self.queue.plan(after, end.peer, Happening::Down { link: end.there });
        self.input(index, Input::LinkDown { link, offence: None, why: "closed".into() });
    }
}

/// Chooses who lies.
fn liars(scenario: &Scenario, dice: &mut Dice) -> Vec<bool> {
    let count = (scenario.nodes as f64 * scenario.liars.clamp(0.0, 1.0)).round() as usize;
    let mut lying: Vec<_> = (0..scenario.nodes).map(|node| node < count).collect();
    for at in (1..lying.len()).rev() {
        lying.swap(at, dice.below(at + 1));
    }
    lying
}

fn unix_ms(now: u64, skew_ms: i64) -> u64 {
    (BEGIN_MS + now / 1_000_000).saturating_add_signed(skew_ms)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
