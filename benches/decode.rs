//! What a rumor costs before its signature is looked at, per rumor of 256 bytes: decoding a frame and checking its
//! bundles against their headers; and what the engine adds, for new bundles and for copies of known ones.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use vouchsafe::protocol::{Action, Engine, Input, LinkId, Mono, Now, Setup, UsedPositions};
use vouchsafe::rumor::{Bundle, MAX_INLINE, RuleSet, seal};
use vouchsafe::wire::{self, Frame, FrameWriter, Hello, Lane};
use vouchsafe::{Config, NetworkId, Position, PublicKey, SecretKey, Topic};

const LEN: usize = 256;
const START_MS: u64 = 1_700_000_000_000;
const LINK: LinkId = LinkId(1);

fn rules() -> Arc<RuleSet> {
    Arc::new(Topic::named("bench").slots_per_tick(4096).bind(NetworkId::of("bench")).unwrap())
}

/// `count` bundles of `each` rumors, one after the other in the slots of one tick.
fn bundles(rules: &RuleSet, count: usize, each: usize) -> Vec<Bundle> {
    by(&SecretKey::from_seed(&[1; 32]), rules, count, each)
}

fn by(key: &SecretKey, rules: &RuleSet, count: usize, each: usize) -> Vec<Bundle> {
    // 64 bodies of 256 bytes are just what travels inline.
    assert!(each * LEN <= MAX_INLINE);
    let tick = rules.tick_len().tick_at(START_MS);
    (0..count)
        .map(|n| {
            let bodies: Vec<_> = (0..each).map(|m| Bytes::from(vec![(n ^ m) as u8; LEN])).collect();
            seal(key, rules.id(), Position { tick, slot: (n * each) as u16 }, &bodies).unwrap()
        })
        .collect()
}

/// The same of as many authors as it takes: none says more than its quota.
fn authors(rules: &RuleSet, count: usize, each: usize) -> Vec<Bundle> {
    let own = 4096 / each;
    (0..count.div_ceil(own))
        .flat_map(|author| {
            by(&SecretKey::from_seed(&[10 + author as u8; 32]), rules, own.min(count - author * own), each)
        })
        .collect()
}

fn frame(bundles: &[Bundle]) -> Bytes {
    let mut writer = FrameWriter::with_capacity(0);
    for bundle in bundles {
        assert!(writer.fits(bundle));
        writer.push(0, bundle);
    }
    writer.finish()
}

/// (bundles in a frame, rumors in a bundle): as many of the large bundles as fit a frame.
const SHAPES: [(usize, usize); 5] = [(1, 1), (16, 1), (64, 1), (1, 64), (7, 64)];

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let rules = rules();
    for (count, each) in SHAPES {
        let payload = frame(&bundles(&rules, count, each));
        group.throughput(Throughput::Elements((count * each) as u64));
        group.bench_function(format!("{count}_bundles_of_{each}"), |b| {
            b.iter(|| {
                let Ok(Frame::Bundles(items)) = Frame::decode(black_box(payload.clone())) else { panic!() };
                items.map(|raw| raw.unwrap().check().unwrap().len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// An engine with one topic and one link on which both sides have said hello.
fn engine(rules: &Arc<RuleSet>, now: Now) -> Engine {
    let mut config = Config::default();
    // A link that may cost whatever it likes: pausing is not what is measured.
    config.budget.cpu_per_s = Duration::from_secs(1_000_000);
    config.budget.bytes_per_s = u64::MAX;
    let network = NetworkId::of("bench");
    let setup = Setup {
        network,
        node: PublicKey::from_bytes([1; 32]),
        author: SecretKey::from_seed(&[2; 32]),
        position_log: UsedPositions::None,
        seed: [3; 32],
        config,
    };
    let mut engine = Engine::new(setup, now);
    engine.handle(
        now,
        Input::Join { rules: rules.clone(), deliver: true, validate: false, keep: Default::default() },
    );
    engine.handle(
        now,
        Input::LinkUp { link: LINK, peer: PublicKey::from_bytes([4; 32]), dialled: true, remote: None },
    );
    let topics = vec![*rules.id().as_bytes()];
    let hello = Hello { network: *network.as_bytes(), clock_ms: START_MS, topics, ..Hello::default() };
    engine.handle(now, Input::Frame { link: LINK, lane: Lane::Control, payload: wire::hello(&hello) });
    while engine.poll().is_some() {}
    engine
}

/// Handles a frame of bundles and polls; gives how many signatures are handed to the verifier.
fn take(engine: &mut Engine, now: Now, payload: &Bytes) -> usize {
    engine.handle(now, Input::Frame { link: LINK, lane: Lane::Rumors, payload: payload.clone() });
    let mut jobs = 0;
    while let Some(action) = engine.poll() {
        if let Action::Verify { jobs: batch, .. } = &action {
            jobs += batch.len();
        }
    }
    jobs
}

fn in_the_engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    let rules = rules();
    let now = Now { mono: Mono::from_nanos(1), unix_ms: START_MS };
    for (count, each) in SHAPES {
        let payload = frame(&bundles(&rules, count, each));
        group.throughput(Throughput::Elements((count * each) as u64));
        // (A link that has not proved itself has one signature checked at a time: the others wait.)
        let mut known = engine(&rules, now);
        assert_eq!(take(&mut known, now, &payload) + known.stats().waiting_verification, count);
        group.bench_function(format!("new/{count}_bundles_of_{each}"), |b| {
            b.iter_batched_ref(
                || engine(&rules, now),
                |engine| take(engine, now, &payload),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("duplicate/{count}_bundles_of_{each}"), |b| {
            b.iter(|| assert_eq!(take(&mut known, now, &payload), 0));
        });
    }
    group.finish();
}

/// Frames that a running node is given one after the other, all of them new. What becomes of them after they were handed to the
/// verifier is not part of the time.
const RUNNING: usize = 512;

fn in_a_running_engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("running");
    let rules = rules();
    let now = Now { mono: Mono::from_nanos(1), unix_ms: START_MS };
    for (count, each) in [(1, 1), (16, 1), (64, 1), (7, 64)] {
        let frames: Vec<_> = authors(&rules, RUNNING * count, each).chunks(count).map(frame).collect();
        group.throughput(Throughput::Elements((count * each) as u64));
        group.bench_function(format!("{count}_bundles_of_{each}"), |b| {
            b.iter_custom(|times| {
                let mut took = Duration::ZERO;
                let mut engine = engine(&rules, now);
                let mut left = frames.iter();
                for _ in 0..times {
                    let payload = left.next().unwrap_or_else(|| {
                        engine = self::engine(&rules, now);
                        left = frames.iter();
                        left.next().expect("there are frames")
                    });
                    let start = Instant::now();
                    engine.handle(
                        now,
                        Input::Frame { link: LINK, lane: Lane::Rumors, payload: payload.clone() },
                    );
                    let verify = std::iter::from_fn(|| engine.poll()).find_map(|action| match action {
                        Action::Verify { batch, jobs } => Some((batch, jobs.len())),
                        _ => None,
                    });
                    took += start.elapsed();
                    let mut next = verify;
                    while let Some((batch, jobs)) = next.take() {
                        engine.handle(now, Input::Verdicts { batch, verdicts: vec![true; jobs] });
                        while let Some(action) = engine.poll() {
                            if let Action::Verify { batch, jobs } = action {
                                next = Some((batch, jobs.len()));
                            }
                        }
                    }
                }
                let counters = engine.stats().counters;
                assert_eq!(counters.verified, counters.copies_in, "something was refused: {counters:?}");
                took
            });
        });
    }
    group.finish();
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
}

criterion_group! { name = benches; config = short(); targets = decode, in_the_engine, in_a_running_engine }
criterion_main!(benches);
