//! How verification scales: rumors a second against threads, batch size, authors in a batch, and bad signatures.
//!
//! Every rumor here is a bundle of its own, the dearest case.
//! `cargo run -p vouchsafe-lab --example scaling_plots` draws the curves.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vouchsafe::rumor::Signature;
use vouchsafe::verify::Verifier;

#[path = "common/signatures.rs"]
mod signatures;
use signatures::{Signed, items, signed};

/// The batch size that a node uses unless it is told otherwise (`Config::batch`).
const USUAL: usize = 64;

/// Each thread has a verifier of its own, as in `VerifierPool`, and a batch with authors of its own.
fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("scaling_threads");
    for threads in [1, 2, 4] {
        group.throughput(Throughput::Elements((threads * USUAL) as u64));
        group.bench_function(BenchmarkId::new("batches_of_64", threads), |b| {
            let batches: Vec<_> = (0..threads).map(|_| signed(USUAL, USUAL)).collect();
            b.iter_custom(|times| {
                let started = Instant::now();
                std::thread::scope(|scope| {
                    for batch in &batches {
                        scope.spawn(move || {
                            let (items, mut verifier) = (items(batch), Verifier::with_seed([1; 32]));
                            for _ in 0..times {
                                assert!(verifier.verify_batch(black_box(&items)).iter().all(|good| *good));
                            }
                        });
                    }
                });
                started.elapsed()
            });
        });
    }
    group.finish();
}

fn batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("scaling_batch");
    // What all is compared with.
    let all = signed(1, 1);
    let dalek = ed25519_dalek::Signature::from_bytes(all[0].signature.as_bytes());
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new("dalek_strict", 1), |b| {
        b.iter(|| assert!(all[0].dalek.verify_strict(black_box(&all[0].message), &dalek).is_ok()));
    });
    for count in (0..=10).map(|power| 1usize << power) {
        group.throughput(Throughput::Elements(count as u64));
        for (name, authors) in [("distinct", count), ("16_authors", count.min(16))] {
            let all = signed(count, authors);
            group.bench_function(BenchmarkId::new(name, count), |b| all_good(b, &all));
        }
    }
    group.finish();
}

fn authors(c: &mut Criterion) {
    const COUNT: usize = 256;
    let mut group = c.benchmark_group("scaling_authors");
    group.throughput(Throughput::Elements(COUNT as u64));
    for authors in [1, 4, 16, 64, 256] {
        let all = signed(COUNT, authors);
        group.bench_function(BenchmarkId::new("batch_of_256", authors), |b| all_good(b, &all));
    }
    group.finish();
}

fn all_good(b: &mut Bencher<'_>, all: &[Signed]) {
    let (items, mut verifier) = (items(all), Verifier::with_seed([2; 32]));
    b.iter(|| assert!(verifier.verify_batch(black_box(&items)).iter().all(|good| *good)));
}

/// The bad are spread evenly over a long run of signatures, which is cut into batches: so at 1 % about every other batch of
/// 64 has one. A node does better than this: it verifies links apart that have sent bad ones, or nothing yet.
fn bad(c: &mut Criterion) {
    const COUNT: usize = 1024;
    let mut group = c.benchmark_group("scaling_bad");
    group.throughput(Throughput::Elements(COUNT as u64));
    for percent in [0, 1, 10, 50] {
        let mut all = signed(COUNT, COUNT);
        let mut spoilt = 0;
        for (at, one) in all.iter_mut().enumerate() {
            if (at + 1) * percent / 100 > spoilt {
                spoilt += 1;
                one.signature = off_by_one(&one.signature);
            }
        }
        let (items, mut verifier) = (items(&all), Verifier::with_seed([3; 32]));
        for size in [1, USUAL] {
            group.bench_function(BenchmarkId::new(format!("batches_of_{size}"), percent), |b| {
                b.iter(|| {
                    let verdicts =
                        black_box(&items).chunks(size).flat_map(|some| verifier.verify_batch(some));
                    assert_eq!(verdicts.filter(|good| !good).count(), spoilt);
                });
            });
        }
    }
    group.finish();
}

/// A signature whose s is another number below the order: well formed, so that it costs its batch the most.
fn off_by_one(signature: &Signature) -> Signature {
    let mut bytes = *signature.as_bytes();
    bytes[32] ^= 1;
    Signature::from_bytes(bytes)
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
}

criterion_group! { name = benches; config = short(); targets = threads, batch, authors, bad }
criterion_main!(benches);
