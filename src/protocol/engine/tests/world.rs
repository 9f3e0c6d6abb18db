//! A deterministic world: engines, links and hostile peers under one virtual clock. No sockets, no threads, no sleeps.
//!
//! ```text
//!   Node (Engine, clock skew) ──┐              ┌── Node
//!                               ├── Wire (two ends, three lanes, in order per lane) ──┤
//!   Hostile (the test writes) ──┘              └── frames, verdicts, answers: one queue ordered by time
//! ```
//! Everything that happens is folded into one hash, and after every event the node concerned is checked (`check.rs`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::check::Checker;
use super::hostile::Hostile;
use super::impostors::Impostor;
use super::node::{Node, Spec};
use crate::key::PublicKey;
use crate::protocol::keeping::StoreAnswer;
use crate::protocol::random::Random;
use crate::protocol::{
    Action, BatchId, DownReason, Input, LinkId, Mono, Now, PublishId, Validation, ValidationId, VerifyJob,
};
use crate::rumor::{NetworkId, RuleSet, Topic};
use crate::store::Store as _;
use crate::wire::{Lane, Reason};

/// When every world begins, Unix milliseconds.
pub(super) const BEGIN_MS: u64 = 1_700_000_000_000;
pub(super) const NETWORK: &str = "test world";

/// One of the two sides of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Node(usize),
    Hostile(usize),
    /// A registered adversary, with an engine behind it.
    Impostor(usize),
}

/// One direction's receiving end of a link.
struct End {
    side: Side,
    paused: [bool; Lane::COUNT],
    /// Arrived and not read, per lane.
    unread: [VecDeque<Bytes>; Lane::COUNT],
    /// When the last frame of each lane arrives: the next can't overtake it.
    last: [u64; Lane::COUNT],
}

pub(super) struct Wire {
    ends: [End; 2],
    pub(super) up: bool,
    latency: (Duration, Duration),
    /// Bytes per second and direction, all lanes apart; 0 for no limit.
    pub(super) bandwidth: u64,
}

enum Happening {
    Arrive { wire: usize, end: usize, lane: Lane, frame: Bytes },
    Drain { wire: usize, end: usize },
    Down { wire: usize, by: usize, reason: Reason },
    Verdicts { node: usize, life: u32, batch: BatchId, jobs: Vec<VerifyJob> },
    Validated { node: usize, life: u32, question: ValidationId, verdict: Validation },
    Recorded { node: usize, life: u32, from_ms: u64, until_ms: u64 },
    Stored { node: usize, life: u32, answer: Box<StoreAnswer> },
}

/// Where the end of a link sees the other one.
pub(super) fn seen_at(link: LinkId) -> SocketAddr {
    ([192, 0, 2, 1], 1_000 + link.0 as u16).into()
}

pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) hostiles: Vec<Hostile>,
    pub(super) impostors: Vec<Impostor>,
    pub(super) wires: Vec<Wire>,
    pub(super) topics: Vec<Arc<RuleSet>>,
    /// Of links made from now on: least and most, drawn anew for each frame.
    pub(super) latency: (Duration, Duration),
    /// How long a batch of signatures takes.
    pub(super) verify_takes: Duration,
    /// How long an application thinks about a bundle.
    pub(super) validator_takes: Duration,
    /// A test in which somebody writes under an honest node's author key: then it may be convicted.
    pub(super) honest_keys_stolen: bool,
    pub(super) checker: Checker,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    pub(super) at: u64,
    count: u64,
    publish_ids: u64,
    pub(super) random: Random,
    trace: blake3::Hasher,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            nodes: Vec::new(),
            hostiles: Vec::new(),
            impostors: Vec::new(),
            wires: Vec::new(),
            topics: Vec::new(),
            latency: (Duration::from_millis(10), Duration::from_millis(10)),
            verify_takes: Duration::from_micros(200),
            validator_takes: Duration::ZERO,
            honest_keys_stolen: false,
            checker: Checker::default(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            at: 1_000_000_000,
            count: 0,
            publish_ids: 0,
            random: Random::new(&bytes),
            trace: blake3::Hasher::new(),
        }
    }

    /// A topic that nodes made from now on join and read.
    pub(super) fn topic(&mut self, topic: &Topic) -> Arc<RuleSet> {
        let rules = Arc::new(topic.bind(NetworkId::of(NETWORK)).unwrap());
        self.topics.push(rules.clone());
        rules
    }

    /// An honest node.
    pub(super) fn node(&mut self) -> usize {
        self.node_with(|_| {})
    }

    pub(super) fn node_with(&mut self, change: impl FnOnce(&mut Spec)) -> usize {
        let index = self.nodes.len();
        let mut spec = Spec::numbered(index as u64, self.random.next_u64());
        change(&mut spec);
        let now = self.now_with(spec.skew_ms);
        self.nodes.push(Node::new(spec, now));
        self.starts(index);
        self.rejoin(index);
        index
    }

    /// The node is gone without a word and comes back with what it kept: its keys and, if `disk`, its position log.
    pub(super) fn restart(&mut self, index: usize, disk: bool) {
        for wire in 0..self.wires.len() {
            if self.wires[wire].ends.iter().any(|end| end.side == Side::Node(index)) {
                self.cut(wire);
            }
        }
        let now = self.now(index);
        self.nodes[index].restart(disk, now);
        self.starts(index);
        self.rejoin(index);
    }

    /// The store tells what it has before any topic is opened.
    fn starts(&mut self, index: usize) {
        let author = self.nodes[index].author.public();
        let started = self.nodes[index].store.start(&author).unwrap();
        let (evidence, damage) = (started.evidence, started.damage);
        self.handle(index, Input::Store(StoreAnswer::Started { evidence, damage }));
    }

    fn rejoin(&mut self, index: usize) {
        let (validate, keep) = (self.nodes[index].validator.is_some(), self.nodes[index].keep);
        for rules in self.topics.clone() {
            self.handle(index, Input::Join { rules, deliver: true, validate, keep });
        }
    }

    pub(super) fn wire(&mut self, dialler: Side, other: Side) -> usize {
        let end = |side| End {
            side,
            paused: [false; Lane::COUNT],
            unread: Default::default(),
            last: [0; Lane::COUNT],
        };
        let wire = self.wires.len();
        let ends = [end(dialler), end(other)];
        self.wires.push(Wire { ends, up: true, latency: self.latency, bandwidth: 0 });
        for (end, (side, peer)) in [(dialler, other), (other, dialler)].into_iter().enumerate() {
            let (link, peer, dialled) = (LinkId((2 * wire + end) as u64), self.key_of(peer), end == 0);
            match side {
                Side::Node(node) => {
                    let remote = Some(seen_at(link));
                    self.handle(node, Input::LinkUp { link, peer, dialled, remote });
                }
                Side::Impostor(at) => self.meets(at, link, peer, dialled),
                Side::Hostile(_) => {}
            }
        }
        wire
    }

    pub(super) fn key_of(&self, side: Side) -> PublicKey {
        match side {
            Side::Node(node) => self.nodes[node].key,
            Side::Hostile(hostile) => self.hostiles[hostile].key,
            Side::Impostor(at) => self.impostors[at].key,
        }
    }

    /// Ends a link now, as a pulled cable does.
    pub(super) fn cut(&mut self, wire: usize) {
        self.down(wire, None);
    }

    fn down(&mut self, wire: usize, reason: Option<(usize, Reason)>) {
        if !std::mem::take(&mut self.wires[wire].up) {
            return;
        }
        for end in 0..2 {
            let link = LinkId((2 * wire + end) as u64);
            let why = match reason {
                Some((by, reason)) if by == end => DownReason::ClosedHere(reason),
                Some((_, reason)) => DownReason::ClosedByPeer(reason),
                None => DownReason::Silent,
            };
            match self.wires[wire].ends[end].side {
                Side::Node(node) => {
                    self.nodes[node].in_flight.retain(|(other, _), _| *other != link);
                    self.handle(node, Input::LinkDown { link, offence: None, why });
                }
                Side::Impostor(at) => self.parts(at, link, why),
                Side::Hostile(_) => {}
            }
        }
    }

    pub(super) fn publish(&mut self, node: usize, rules: &RuleSet, body: impl AsRef<[u8]>) -> PublishId {
        let publish_id = PublishId(self.publish_ids);
        self.publish_ids += 1;
        let body = Bytes::copy_from_slice(body.as_ref());
        self.handle(node, Input::Publish { topic: rules.id(), body, publish_id, kept: false });
        publish_id
    }

    /// The same, answered when it is kept.
    pub(super) fn publish_kept(&mut self, node: usize, rules: &RuleSet, body: impl AsRef<[u8]>) -> PublishId {
        let publish_id = PublishId(self.publish_ids);
        self.publish_ids += 1;
        let body = Bytes::copy_from_slice(body.as_ref());
        self.handle(node, Input::Publish { topic: rules.id(), body, publish_id, kept: true });
        publish_id
    }

    /// Lets so many milliseconds pass.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.at + millis * 1_000_000;
        loop {
            let deadlines = self.nodes.iter().enumerate().filter_map(|(index, node)| {
                node.engine.next_deadline().map(|at| (at.as_nanos().max(self.at), Side::Node(index)))
            });
            let lies = self.impostors.iter().enumerate().filter_map(|(index, impostor)| {
                let at = impostor.peer.next_deadline()?;
                Some((at.as_nanos().max(self.at), Side::Impostor(index)))
            });
            let wake = deadlines.chain(lies).min_by_key(|(at, _)| *at).filter(|(at, _)| *at <= end);
            let event = self.queue.peek().map(|Reverse(next)| *next).filter(|(at, _)| *at <= end);
            match (event, wake) {
                (Some((at, number)), wake) if wake.is_none_or(|(due, _)| at <= due) => {
                    self.queue.pop();
                    self.at = at;
                    let happening = self.happenings.remove(&number).unwrap();
                    self.happen(happening);
                }
                (_, Some((at, side))) => {
                    self.at = at;
                    match side {
                        Side::Node(node) => self.handle(node, Input::Tick),
                        Side::Impostor(at) => self.acts(at),
                        Side::Hostile(_) => {}
                    }
                }
                _ => break,
            }
        }
        self.at = end;
    }

    fn later(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.happenings.insert(self.count, happening);
        self.queue.push(Reverse((at, self.count)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { wire, end, lane, frame } if self.wires[wire].up => {
                self.wires[wire].ends[end].unread[lane.index()].push_back(frame);
                self.drain(wire, end);
            }
            Happening::Arrive { .. } => {}
            Happening::Drain { wire, end } => self.drain(wire, end),
            Happening::Down { wire, by, reason } => self.down(wire, Some((by, reason))),
            Happening::Verdicts { node, life, batch, jobs } if self.nodes[node].life == life => {
                let verdicts = self.checker.verdicts(&jobs);
                self.nodes[node].batches.push(jobs);
                self.handle(node, Input::Verdicts { batch, verdicts });
            }
            Happening::Validated { node, life, question, verdict } if self.nodes[node].life == life => {
                self.handle(node, Input::Validated { question, verdict });
            }
            Happening::Recorded { node, life, from_ms, until_ms } if self.nodes[node].life == life => {
                self.nodes[node].recorded.get_or_insert_default().add(from_ms, until_ms);
                self.nodes[node].is_recording = false;
                self.handle(node, Input::Recorded { from_ms, until_ms });
            }
            Happening::Stored { node, life, answer } if self.nodes[node].life == life => {
                self.handle(node, Input::Store(*answer));
            }
            _ => {}
        }
    }

    /// Reads what has arrived at an end, unless it does not read.
    pub(super) fn drain(&mut self, wire: usize, end: usize) {
        for lane in Lane::ALL {
            loop {
                let Wire { ends, up: true, .. } = &mut self.wires[wire] else { return };
                if ends[end].paused[lane.index()] {
                    break;
                }
                let Some(frame) = ends[end].unread[lane.index()].pop_front() else { break };
                let (reader, writer) = (ends[end].side, ends[1 - end].side);
                let bytes = frame.len() + crate::protocol::FRAME_OVERHEAD;
                match reader {
                    Side::Node(node) => {
                        let link = LinkId((2 * wire + end) as u64);
                        self.handle(node, Input::Frame { link, lane, payload: frame });
                    }
                    Side::Hostile(hostile) => self.hostiles[hostile].receive(lane, frame),
                    Side::Impostor(at) => {
                        self.hears(at, LinkId((2 * wire + end) as u64), lane, frame);
                    }
                }
                if let Side::Node(node) = writer
                    && self.wires[wire].up
                {
                    let link = LinkId((2 * wire + 1 - end) as u64);
                    let held = self.nodes[node].in_flight.entry((link, lane)).or_default();
                    *held = held.saturating_sub(bytes);
                    self.handle(node, Input::Written { link, lane, bytes });
                }
            }
        }
    }

    /// Stops or starts reading at an end, as flow control or a hostile peer does.
    pub(super) fn set_reading(&mut self, wire: usize, end: usize, reads: bool) {
        self.wires[wire].ends[end].paused = [!reads; Lane::COUNT];
        if reads {
            self.later(self.at, Happening::Drain { wire, end });
        }
    }

    /// Whether an end reads all its lanes.
    pub(super) fn reads(&self, wire: usize, end: usize) -> bool {
        !self.wires[wire].ends[end].paused.contains(&true)
    }

    fn set_lane(&mut self, link: u64, lane: Lane, reads: bool) {
        let (wire, end) = (link as usize / 2, link as usize % 2);
        self.wires[wire].ends[end].paused[lane.index()] = !reads;
        if reads {
            self.later(self.at, Happening::Drain { wire, end });
        }
    }

    pub(super) fn send(&mut self, wire: usize, from: usize, lane: Lane, frame: Bytes) {
        let (least, most) = self.wires[wire].latency;
        let spread = (most - least).as_nanos() as usize;
        let wait = least.as_nanos() as u64 + self.random.below(spread + 1) as u64;
        let link = &mut self.wires[wire];
        let takes = (frame.len() as u64 * 1_000_000_000).checked_div(link.bandwidth).unwrap_or(0);
        let last = &mut link.ends[1 - from].last[lane.index()];
        let at = (*last + takes).max(self.at + wait + takes);
        *last = at;
        self.later(at, Happening::Arrive { wire, end: 1 - from, lane, frame });
    }

    fn act(&mut self, node: usize, action: Action) {
        let life = self.nodes[node].life;
        self.nodes[node].note(&action, self.at, &mut self.checker);
        match action {
            Action::Send { link: LinkId(id), lane, frame } => {
                self.send(id as usize / 2, id as usize % 2, lane, frame);
            }
            Action::Verify { batch, jobs } => {
                let at = self.at + self.verify_takes.as_nanos() as u64;
                self.later(at, Happening::Verdicts { node, life, batch, jobs });
            }
            Action::Validate { question, bundle } => {
                let answer = self.nodes[node].validator.as_mut().and_then(|validator| validator(&bundle));
                if let Some(verdict) = answer {
                    let at = self.at + self.validator_takes.as_nanos() as u64;
                    self.later(at, Happening::Validated { node, life, question, verdict });
                }
            }
            Action::PauseReading(LinkId(id), lane) => self.set_lane(id, lane, false),
            Action::ResumeReading(LinkId(id), lane) => self.set_lane(id, lane, true),
            Action::Close { link: LinkId(id), reason } => {
                self.close(id as usize / 2, id as usize % 2, reason)
            }
            Action::Record { from_ms, until_ms } => {
                let at = self.at + self.nodes[node].record_takes.as_nanos() as u64;
                self.later(at, Happening::Recorded { node, life, from_ms, until_ms });
            }
            Action::Store(job) => {
                let now_ms = self.now(node).unix_ms;
                if let Some(answer) = self.nodes[node].stores(job, now_ms) {
                    let at = self.at + self.nodes[node].store_takes.as_nanos() as u64;
                    self.later(at, Happening::Stored { node, life, answer: Box::new(answer) });
                }
            }
            _ => {}
        }
    }

    /// The link goes once its control lane is written.
    pub(super) fn close(&mut self, wire: usize, by: usize, reason: Reason) {
        let far = &self.wires[wire].ends[1 - by];
        let at = far.last[Lane::Control.index()].max(self.at);
        if let Side::Hostile(hostile) = far.side {
            self.hostiles[hostile].closed.get_or_insert(reason);
        }
        self.later(at, Happening::Down { wire, by, reason });
    }

    /// Hands a node an input, does what it asks for, and checks it.
    pub(super) fn handle(&mut self, node: usize, input: Input) {
        let now = self.now(node);
        self.trace.update(&now.mono.as_nanos().to_le_bytes());
        self.trace.update(&(node as u64).to_le_bytes());
        match &input {
            Input::Frame { payload, .. } => {
                self.trace.update(payload);
            }
            Input::Publish { body, .. } => {
                self.trace.update(body);
            }
            other => {
                self.trace.update(format!("{other:?}").as_bytes());
            }
        }
        self.nodes[node].engine.handle(now, input);
        while let Some(action) = self.nodes[node].engine.poll() {
            match &action {
                Action::Send { frame, .. } => {
                    self.trace.update(frame);
                }
                Action::Deliver { bundle, .. } => {
                    self.trace.update(bundle.encoded());
                }
                other => {
                    self.trace.update(format!("{other:?}").as_bytes());
                }
            }
            self.act(node, action);
        }
        super::check::node(self, node);
    }

    /// One value for all that has happened.
    pub(super) fn trace(&self) -> blake3::Hash {
        self.trace.finalize()
    }

    pub(super) fn now_with(&self, skew_ms: i64) -> Now {
        let unix_ms = (BEGIN_MS + self.at / 1_000_000).saturating_add_signed(skew_ms);
        Now { mono: Mono::from_nanos(self.at), unix_ms }
    }
}
