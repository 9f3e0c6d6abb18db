//! What one verification costs, alone and in batches, beside ed25519-dalek in the same run.
//!
//! Every batch figure is reported per element (`thrpt`), so the ratio to `single/dalek_strict` can be read off.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vouchsafe::rumor::{Bundle, SignedHeader, seal};
use vouchsafe::verify::{Item, Verifier, verify_single};
use vouchsafe::{Position, SecretKey, TopicId};

#[path = "common/signatures.rs"]
mod signatures;
use signatures::{items, signed};

fn single(c: &mut Criterion) {
    let mut group = c.benchmark_group("single");
    group.throughput(Throughput::Elements(1));
    let all = signed(1, 1);
    let one = &all[0];
    let item = items(&all)[0];
    let dalek = ed25519_dalek::Signature::from_bytes(one.signature.as_bytes());
    group.bench_function("rule", |b| {
        b.iter(|| assert!(verify_single(&one.key, &one.message, &one.signature)))
    });
    let mut verifier = Verifier::with_seed([1; 32]);
    group.bench_function("one_warm", |b| b.iter(|| assert!(verifier.verify_one(black_box(item)))));
    group.bench_function("dalek", |b| {
        b.iter(|| assert!(ed25519_dalek::Verifier::verify(&one.dalek, &one.message, &dalek).is_ok()));
    });
    group.bench_function("dalek_strict", |b| {
        b.iter(|| assert!(one.dalek.verify_strict(&one.message, &dalek).is_ok()));
    });
    group.finish();
}

fn batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch");
    for count in [16, 64, 256, 1024] {
        group.throughput(Throughput::Elements(count as u64));
        for (name, authors) in [("distinct", count), ("16_authors", 16)] {
            if name == "16_authors" && count == 16 {
                continue; // the same as distinct
            }
            let all = signed(count, authors);
            let items = items(&all);
            let mut verifier = Verifier::with_seed([2; 32]);
            group.bench_function(format!("{count}/{name}"), |b| {
                b.iter(|| assert!(verifier.verify_batch(black_box(&items)).iter().all(|good| *good)));
            });
        }
    }
    let all = signed(64, 64);
    let items = items(&all);
    group.throughput(Throughput::Elements(64));
    group.bench_function("64/distinct_cold", |b| {
        b.iter(|| {
            assert!(Verifier::with_seed([3; 32]).verify_batch(black_box(&items)).iter().all(|good| *good))
        });
    });
    group.finish();
}

/// Bundles of 1, 8 and 64 rumors of 256 bytes, per rumor: decoded, bodies hashed against the header, and one signature
/// checked. A batch is of 64 bundles of one author each.
fn bundle(c: &mut Criterion) {
    let mut group = c.benchmark_group("bundle");
    let bundle = |seed: u8, rumors: usize| {
        let bodies: Vec<_> = (0..rumors).map(|n| Bytes::from(vec![n as u8; 256])).collect();
        let position = Position { tick: 9, slot: 0 };
        let key = SecretKey::from_seed(&[seed; 32]);
        seal(&key, TopicId::from_bytes([3; 32]), position, &bodies).unwrap().encoded().clone()
    };
    for rumors in [1, 8, 64] {
        let encoded: Vec<_> = (0..64).map(|n| bundle(n, rumors)).collect();
        group.throughput(Throughput::Elements(rumors as u64));
        let mut verifier = Verifier::with_seed([4; 32]);
        group.bench_function(format!("one_of_{rumors}"), |b| {
            b.iter(|| {
                let bundle = Bundle::decode(black_box(encoded[0].clone())).unwrap();
                let signed = bundle.signed_header();
                let message = SignedHeader::message(&bundle.id());
                let (key, signature) = (&signed.header.author, &signed.signature);
                assert!(verifier.verify_one(Item { key, message: &message, signature }));
            });
        });
        group.throughput(Throughput::Elements(64 * rumors as u64));
        let mut verifier = Verifier::with_seed([5; 32]);
        group.bench_function(format!("batch_of_64_of_{rumors}"), |b| {
            b.iter(|| {
                let bundles: Vec<_> =
                    encoded.iter().map(|bytes| Bundle::decode(black_box(bytes.clone())).unwrap()).collect();
                let messages: Vec<_> =
                    bundles.iter().map(|bundle| SignedHeader::message(&bundle.id())).collect();
                let items: Vec<_> = bundles
                    .iter()
                    .zip(&messages)
                    .map(|(bundle, message)| {
                        let signed = bundle.signed_header();
                        Item { key: &signed.header.author, message, signature: &signed.signature }
                    })
                    .collect();
                assert!(verifier.verify_batch(&items).iter().all(|good| *good));
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

criterion_group! { name = benches; config = short(); targets = single, batch, bundle }
criterion_main!(benches);
