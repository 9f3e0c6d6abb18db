//! How the engine scales: events a second against its links and its topics. No signature is checked here.
//!
//! An event is a frame that comes in, with all that follows from it: verdicts are given, what is sent counts as written at
//! once, and lingering announcements leave as the clock goes on.
//! `cargo run -p vouchsafe-lab --example scaling_plots` draws the curves.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use vouchsafe::protocol::{
    Action, Engine, FRAME_OVERHEAD, Input, LinkId, MAX_LINKS, MAX_TOPICS, Mono, Now, Setup, UsedPositions,
};
use vouchsafe::rumor::{Bundle, RuleSet, seal};
use vouchsafe::wire::{self, FrameWriter, Hello, Lane};
use vouchsafe::{Config, NetworkId, Position, PublicKey, SecretKey, Topic};

const START_MS: u64 = 1_700_000_000_000;
/// Events of one run: 100 ms, at the pace below.
const EVENTS: usize = 1024;
/// From one event to the next: a busy node with 10 000 a second.
const PACE: Duration = Duration::from_micros(100);
/// Authors of the rumors, in turn.
const AUTHORS: usize = 16;

/// What comes in, again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Frames with one new rumor each, which is accepted, delivered and passed on before the next comes.
    New,
    /// The same, but every link brings one before the first verdict is given.
    Together,
    /// Copies of what is known, from another link.
    Duplicate,
    /// Announcements of what is known, from another link.
    Announcement,
}

const KINDS: [(&str, Kind); 4] = [
    ("new", Kind::New),
    ("together", Kind::Together),
    ("duplicate", Kind::Duplicate),
    ("announcement", Kind::Announcement),
];

struct Scene {
    engine: Engine,
    now: Now,
    links: usize,
    deliveries: usize,
}

impl Scene {
    /// Hellos were said on all links, and all of them relay all topics.
    fn new(links: usize, topics: &[Arc<RuleSet>]) -> Self {
        let mut config = Config::default();
        // Links that may cost whatever they like: pausing is not what is measured.
        config.budget.cpu_per_s = Duration::from_secs(1_000_000);
        config.budget.bytes_per_s = u64::MAX;
        config.links.max = MAX_LINKS;
        let setup = Setup {
            network: NetworkId::of("bench"),
            node: PublicKey::from_bytes([1; 32]),
            author: SecretKey::from_seed(&[2; 32]),
            position_log: UsedPositions::None,
            seed: [3; 32],
            config,
        };
        let now = Now { mono: Mono::from_nanos(1), unix_ms: START_MS };
        let mut scene = Self { engine: Engine::new(setup, now), now, links, deliveries: 0 };
        for rules in topics {
            scene.take(Input::Join {
                rules: rules.clone(),
                deliver: true,
                validate: false,
                keep: Default::default(),
            });
        }
        let ids = topics.iter().map(|rules| *rules.id().as_bytes()).collect();
        let hello = wire::hello(&Hello {
            network: *NetworkId::of("bench").as_bytes(),
            clock_ms: START_MS,
            topics: ids,
            ..Hello::default()
        });
        for link in 0..links {
            let peer = PublicKey::from_bytes(*blake3::hash(&link.to_le_bytes()).as_bytes());
            scene.take(Input::LinkUp { link: LinkId(link as u64), peer, dialled: true, remote: None });
            scene.frame(link, Lane::Control, &hello);
        }
        scene.settle();
        assert_eq!(scene.engine.live_links(), links);
        scene
    }

    fn take(&mut self, input: Input) {
        self.engine.handle(self.now, input);
    }

    fn frame(&mut self, link: usize, lane: Lane, payload: &Bytes) {
        let link = LinkId((link % self.links) as u64);
        self.take(Input::Frame { link, lane, payload: payload.clone() });
    }

    /// Does what the engine asks for until it asks for nothing more.
    fn settle(&mut self) {
        while let Some(action) = self.engine.poll() {
            match action {
                Action::Verify { batch, jobs } => {
                    self.take(Input::Verdicts { batch, verdicts: vec![true; jobs.len()] });
                }
                Action::Send { link, lane, frame } => {
                    self.take(Input::Written { link, lane, bytes: frame.len() + FRAME_OVERHEAD });
                }
                Action::Deliver { .. } => self.deliveries += 1,
                _ => {}
            }
        }
    }

    /// Brings the frames, each over the next link, beginning with `first`; `at_once` of them before anything is done.
    fn bring(&mut self, frames: &[Bytes], lane: Lane, first: usize, at_once: usize) {
        for (turn, some) in frames.chunks(at_once).enumerate() {
            for (at, frame) in some.iter().enumerate() {
                self.now.mono = self.now.mono.plus(PACE);
                self.frame(first + turn * at_once + at, lane, frame);
            }
            self.settle();
        }
    }
}

/// Rumors of 256 bytes, authors and topics in turn, in frames that push them, and in frames that announce them.
fn frames(topics: &[Arc<RuleSet>]) -> (Vec<Bytes>, Vec<Bytes>) {
    let keys: Vec<_> = (0..AUTHORS).map(|n| SecretKey::from_seed(&[100 + n as u8; 32])).collect();
    let bundle = |n: usize| -> Bundle {
        let rules = &topics[n % topics.len()];
        let at = Position { tick: rules.tick_len().tick_at(START_MS), slot: (n / AUTHORS) as u16 };
        seal(&keys[n % AUTHORS], rules.id(), at, &[Bytes::from(vec![n as u8; 256])]).unwrap()
    };
    let pushed = |bundle: &Bundle| {
        let mut writer = FrameWriter::with_capacity(0);
        writer.push(1, bundle);
        writer.finish()
    };
    let announced = |bundle: &Bundle| wire::announce(&bundle.header().topic, &[(bundle.id(), 9)]);
    (0..EVENTS).map(bundle).map(|bundle| (pushed(&bundle), announced(&bundle))).unzip()
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, value: usize, links: usize, topics: usize) {
    let topic =
        |n| Topic::named(format!("topic {n}")).slots_per_tick(4096).bind(NetworkId::of("bench")).unwrap();
    let topics: Vec<_> = (0..topics).map(topic).map(Arc::new).collect();
    let (pushed, announced) = frames(&topics);
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, kind) in KINDS {
        let setup = || {
            let mut scene = Scene::new(links, &topics);
            if matches!(kind, Kind::Duplicate | Kind::Announcement) {
                scene.bring(&pushed, Lane::Rumors, 0, 1);
                // The last announcements leave, so that they are not counted below.
                scene.now.mono = scene.now.mono.plus(Duration::from_millis(50));
                scene.take(Input::Tick);
                scene.settle();
            }
            scene
        };
        group.bench_function(BenchmarkId::new(name, value), |b| {
            b.iter_batched_ref(
                setup,
                |scene| {
                    match kind {
                        Kind::New => scene.bring(&pushed, Lane::Rumors, 0, 1),
                        Kind::Together => scene.bring(&pushed, Lane::Rumors, 0, links),
                        Kind::Duplicate => scene.bring(&pushed, Lane::Rumors, 1, 1),
                        Kind::Announcement => scene.bring(&announced, Lane::Control, 1, 1),
                    }
                    assert_eq!(scene.deliveries, EVENTS);
                },
                BatchSize::PerIteration,
            );
        });
    }
}

/// All in one topic.
fn links(c: &mut Criterion) {
    let mut group = c.benchmark_group("scaling_links");
    for links in [8, 48, 200] {
        measure(&mut group, links, links, 1);
    }
    group.finish();
}

/// Eight links that relay all of the topics, as many as a node may have at most.
fn topics(c: &mut Criterion) {
    let mut group = c.benchmark_group("scaling_topics");
    for topics in [1, 8, MAX_TOPICS] {
        measure(&mut group, topics, 8, topics);
    }
    group.finish();
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
}

criterion_group! { name = benches; config = short(); targets = links, topics }
criterion_main!(benches);
