//! Real traffic, as seeds: five engines and a liar say everything that there is to say, and the same bytes each time.
//!
//! ```text
//!      0 ─── 1 ─── 2        all join "prompt" and "held back"; 3 joins and leaves "prompt" later;
//!      │ ╲         │ ╲      5 is the liar: no engine, only frames
//!      4 ─── 3 ────┘   5
//!      └───────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vouchsafe::protocol::{
    Action, Engine, FRAME_OVERHEAD, Input, LinkId, Mono, Now, PublishId, Setup, UsedPositions,
};
use vouchsafe::rumor::{Bundle, BundleId, SignedHeader, seal};
use vouchsafe::wire::{self, Frame, FrameWriter, Hello, Kind, Lane, MAX_HOPS};
use vouchsafe::{Config, DownReason, Event, NetworkId, Position, PublicKey, SecretKey, verify};

use crate::seeds::{Seed, history, members};
use crate::world::{NETWORK, START_MS, TOPICS};

/// Who is linked to whom; the place in this list is the link's number on both sides.
const LINKS: [(usize, usize); 8] = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 3), (2, LIAR), (4, LIAR)];
const ENGINES: usize = 5;
const LIAR: usize = 5;
/// Files of each kind of frame, of bundles, proofs and evidence at most: a corpus is small and various.
const MOST: usize = 4;
/// Longest file: a fuzzer changes short inputs faster.
const MOST_BYTES: usize = 2_048;

struct Net {
    engines: Vec<Engine>,
    now: Now,
    /// Frames on their way: from whom, on which link.
    moving: VecDeque<(usize, LinkId, Lane, Bytes)>,
    inputs: VecDeque<(usize, Input)>,
    /// Links that an end has closed.
    ended: VecDeque<LinkId>,
    frames: BTreeSet<Bytes>,
    bundles: BTreeSet<Bytes>,
    proofs: BTreeSet<Vec<u8>>,
    evidence: BTreeSet<Vec<u8>>,
}

fn node_key(node: usize) -> PublicKey {
    PublicKey::from_bytes([0x90 | node as u8; 32])
}

/// A key for each engine; the liar has the last.
fn author(node: usize) -> SecretKey {
    SecretKey::from_seed(&[0x40 | node as u8; 32])
}

impl Net {
    fn new() -> Self {
        let now = Now { mono: Mono::from_nanos(1), unix_ms: START_MS };
        let engine = |node: usize| {
            let setup = Setup {
                network: NetworkId::of(NETWORK),
                node: node_key(node),
                author: author(node),
                position_log: UsedPositions::fresh(),
                seed: [node as u8; 32],
                config: Config::default(),
            };
            Engine::new(setup, now)
        };
        Self {
            engines: (0..ENGINES).map(engine).collect(),
            now,
            moving: VecDeque::new(),
            inputs: VecDeque::new(),
            ended: VecDeque::new(),
            frames: BTreeSet::new(),
            bundles: BTreeSet::new(),
            proofs: BTreeSet::new(),
            evidence: BTreeSet::new(),
        }
    }

    fn put(&mut self, node: usize, input: Input) {
        self.inputs.push_back((node, input));
        self.rest();
    }

    /// Until nothing is on its way at this moment.
    fn rest(&mut self) {
        loop {
            if let Some((node, input)) = self.inputs.pop_front() {
                self.engines[node].handle(self.now, input);
                while let Some(action) = self.engines[node].poll() {
                    self.act(node, action);
                }
            } else if let Some((from, link, lane, payload)) = self.moving.pop_front() {
                let (one, other) = LINKS[link.0 as usize];
                let to = if from == one { other } else { one };
                if from < ENGINES {
                    let bytes = payload.len() + FRAME_OVERHEAD;
                    self.inputs.push_back((from, Input::Written { link, lane, bytes }));
                }
                if to < ENGINES {
                    self.inputs.push_back((to, Input::Frame { link, lane, payload }));
                }
            } else if let Some(link) = self.ended.pop_front() {
                // What was sent before, the goodbye too, has arrived.
                let (one, other) = LINKS[link.0 as usize];
                for end in [one, other].into_iter().filter(|end| *end < ENGINES) {
                    let down = Input::LinkDown { link, offence: None, why: DownReason::Silent };
                    self.inputs.push_back((end, down));
                }
            } else {
                return;
            }
        }
    }

    fn run(&mut self, time: Duration) {
        const STEP: Duration = Duration::from_millis(5);
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.now.mono = self.now.mono.plus(STEP);
            self.now.unix_ms += STEP.as_millis() as u64;
            for node in 0..ENGINES {
                if self.engines[node].next_deadline().is_some_and(|at| at <= self.now.mono) {
                    self.inputs.push_back((node, Input::Tick));
                }
            }
            self.rest();
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Send { link, lane, frame } => {
                self.record(&frame);
                self.moving.push_back((node, link, lane, frame));
            }
            Action::Verify { batch, jobs } => {
                let verdict = |job: &vouchsafe::protocol::VerifyJob| {
                    verify::verify_single(&job.author, &SignedHeader::message(&job.id), &job.signature)
                };
                let verdicts = jobs.iter().map(verdict).collect();
                self.inputs.push_back((node, Input::Verdicts { batch, verdicts }));
            }
            Action::Record { from_ms, until_ms } => {
                self.inputs.push_back((node, Input::Recorded { from_ms, until_ms }));
            }
            Action::Deliver { bundle, .. } => {
                self.proofs.extend(bundle.rumors().map(|rumor| rumor.proof().encode()));
            }
            Action::Close { link, .. } => self.ended.push_back(link),
            Action::Event(Event::Convicted { evidence }) => {
                self.evidence.insert(evidence.encode().to_vec());
            }
            _ => {}
        }
    }

    fn record(&mut self, payload: &Bytes) {
        self.frames.insert(payload.clone());
        if let Ok(Frame::Bundles(items)) = Frame::decode(payload.clone()) {
            self.bundles.extend(items.flatten().map(|raw| raw.encoded));
        }
    }

    /// The liar says something on its link to 2 (false) or 4 (true).
    fn lie(&mut self, to_four: bool, lane: Lane, payload: Bytes) {
        self.record(&payload);
        self.moving.push_back((LIAR, LinkId(6 + u64::from(to_four)), lane, payload));
        self.rest();
    }

    fn publish(&mut self, node: usize, topic: usize, publish_id: u64, len: usize) {
        let body = Bytes::from(vec![b'a' + node as u8; len]);
        self.put(
            node,
            Input::Publish {
                topic: TOPICS[topic].id(),
                body,
                publish_id: PublishId(publish_id),
                kept: false,
            },
        );
    }
}

/// The liar's bundle at a position of now.
fn word(net: &Net, topic: usize, slot: u16, bodies: &[&[u8]]) -> Bundle {
    let tick = TOPICS[topic].tick_len().tick_at(net.now.unix_ms);
    let bodies: Vec<_> = bodies.iter().map(|body| Bytes::copy_from_slice(body)).collect();
    seal(&author(LIAR), TOPICS[topic].id(), Position { tick, slot }, &bodies).unwrap()
}

fn push(bundle: &Bundle) -> Bytes {
    let mut writer = FrameWriter::with_capacity(0);
    writer.push(MAX_HOPS, bundle);
    writer.finish()
}

/// Lets everybody speak, and keeps what was said.
pub fn traffic() -> Vec<Seed> {
    let mut net = Net::new();
    for node in 0..ENGINES {
        for topic in [0, 1] {
            if (node, topic) != (3, 0) {
                let rules = Arc::clone(&TOPICS[topic]);
                net.put(
                    node,
                    Input::Join { rules, deliver: true, validate: false, keep: Default::default() },
                );
            }
        }
    }
    for (n, (one, other)) in LINKS.into_iter().enumerate() {
        for (node, peer, dialled) in [(one, other, true), (other, one, false)] {
            if node < ENGINES {
                let up =
                    Input::LinkUp { link: LinkId(n as u64), peer: node_key(peer), dialled, remote: None };
                net.inputs.push_back((node, up));
            }
        }
    }
    net.rest();
    let topics: Vec<_> = TOPICS.iter().map(|rules| *rules.id().as_bytes()).collect();
    let network = *NetworkId::of(NETWORK).as_bytes();
    let mut hello = Hello { network, clock_ms: net.now.unix_ms, topics, ..Hello::default() };
    hello.set_keeps(0);
    for to_four in [false, true] {
        net.lie(to_four, Lane::Control, wire::hello(&hello));
    }
    net.run(Duration::from_secs(1));

    // Small and prompt, several at once, held back, and one that is announced and pulled.
    for publish_id in 0..12u64 {
        net.publish(
            publish_id as usize % ENGINES,
            usize::from(publish_id % 4 == 3),
            publish_id,
            8 * publish_id as usize,
        );
        net.run(Duration::from_millis(10 * (publish_id % 3)));
    }
    net.publish(1, 1, 12, 20_000);
    net.run(Duration::from_secs(2));
    let rules = Arc::clone(&TOPICS[0]);
    net.put(3, Input::Join { rules, deliver: true, validate: false, keep: Default::default() });
    net.run(Duration::from_secs(2));
    net.put(3, Input::Leave { topic: TOPICS[0].id() });

    // Promises of what nobody has, and questions for it; then something is served that others were asked for too.
    let nothing = BundleId::from_bytes([0x5a; 32]);
    let served = word(&net, 0, 3, &[b"served late"]);
    let items = [(nothing, 9), (served.id(), 8)];
    net.lie(false, Lane::Control, wire::announce(&TOPICS[0].id(), &items));
    net.lie(true, Lane::Control, wire::announce(&TOPICS[0].id(), &items));
    net.lie(false, Lane::Control, wire::pull(&TOPICS[0].id(), &[nothing]));
    net.run(Duration::from_millis(50));
    net.lie(true, Lane::Rumors, push(&served));
    net.run(Duration::from_secs(1));

    // Questions about the past, and answers that nobody asked for.
    for (_, frame) in history(&served, TOPICS[0].id()) {
        net.lie(false, Lane::History, frame);
    }
    for (_, frame) in members() {
        net.lie(false, Lane::System, frame);
    }
    net.run(Duration::from_millis(50));

    // Two words at one position, one to each side.
    let (one, other) = (word(&net, 0, 1, &[b"yes", b"and"]), word(&net, 0, 2, &[b"no"]));
    net.lie(false, Lane::Rumors, push(&one));
    net.lie(true, Lane::Rumors, push(&other));
    net.run(Duration::from_secs(2));
    net.put(1, Input::Shutdown);
    net.run(Duration::from_secs(1));
    net.seeds()
}

impl Net {
    fn seeds(self) -> Vec<Seed> {
        let mut kinds: BTreeMap<u8, Vec<Bytes>> = BTreeMap::new();
        for frame in self.frames {
            assert!(Kind::of(&frame).is_some(), "an engine speaks another language");
            kinds.entry(frame[0]).or_default().push(frame);
        }
        let mut seeds = Vec::new();
        for (kind, frames) in kinds {
            let name = format!("{:?}", Kind::of(&[kind]).unwrap()).to_lowercase();
            seeds.extend(chosen("frame", &name, frames));
        }
        seeds.extend(chosen("bundle", "bundle", self.bundles));
        seeds.extend(chosen("proof", "proof", self.proofs));
        seeds.extend(chosen("evidence", "evidence", self.evidence));
        seeds
    }
}

/// A few of different lengths, from the shortest to the longest.
fn chosen(target: &'static str, name: &str, all: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Seed> {
    let all = all.into_iter().map(|bytes| bytes.as_ref().to_vec());
    let mut by_len: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for bytes in all.filter(|bytes| bytes.len() <= MOST_BYTES) {
        by_len.entry(bytes.len()).or_insert(bytes);
    }
    let step = by_len.len().saturating_sub(1).max(1);
    let picked: BTreeSet<_> = (0..MOST).map(|n| n * step / (MOST - 1)).collect();
    let some = by_len.into_values().enumerate().filter(|(at, _)| picked.contains(at)).map(|(_, bytes)| bytes);
    let seed = |(n, bytes)| Seed { target, name: format!("traffic_{name}_{n}"), bytes };
    some.enumerate().map(seed).collect()
}
