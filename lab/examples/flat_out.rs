//! Publishes flat out from every node of a small full mesh and checks that every accepted rumor arrives everywhere.
//!
//! `cargo run --release -p vouchsafe-lab --example flat_out -- [SECONDS] [NODES] [PUBLISHERS] [BYTES]` (default 10 8 8 256).
//! Prints a line a second, so that memory can be seen to be flat, and exits with 1 if anything was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vouchsafe::{Config, Gap, Node, SecretKey, Topic, TopicHandle, VerifierPool};
use vouchsafe_lab::load::{own_cpu, resident_mib};

type Error = Box<dyn std::error::Error>;

/// What all tasks count.
#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    delivered: AtomicU64,
    lagged: AtomicU64,
}

impl Counts {
    fn arrived(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed) + self.lagged.load(Ordering::Relaxed)
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut next = |default| numbers.next().unwrap_or(Ok(default));
    let (seconds, nodes, publishers, bytes) = (next(10)?, next(8)?, next(8)?, next(256)?);
    let mesh = full_mesh(nodes).await?;
    let counts = Arc::new(Counts::default());
    for (number, (node, handle)) in mesh.iter().enumerate() {
        read(number, node, handle, &counts);
    }
    let (started, cpu) = (Instant::now(), own_cpu());
    let stop = started + Duration::from_secs(seconds as u64);
    let write = |(_, handle): &(Node, TopicHandle)| write(handle.clone(), bytes, stop, Arc::clone(&counts));
    let writers: Vec<_> = mesh.iter().take(publishers).map(|node| tokio::spawn(write(node))).collect();
    watch(&mesh[0].0, started, stop, &counts).await?;
    for writer in writers {
        writer.await?;
    }
    let expected = counts.accepted.load(Ordering::Relaxed) * nodes as u64;
    let patience = Instant::now() + Duration::from_secs(30);
    while counts.arrived() < expected && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (arrived, delivered) = (counts.arrived(), counts.delivered.load(Ordering::Relaxed));
    println!(
        "{delivered} of {expected} delivered, {} missed by slow readers, {:.0} per second, {:.2} CPU-us per delivery",
        counts.lagged.load(Ordering::Relaxed),
        delivered as f64 / started.elapsed().as_secs_f64(),
        (own_cpu() - cpu) * 1e6 / delivered as f64
    );
    // What was refused, degraded or given up anywhere, so that a loss has a name.
    for (number, (node, _)) in mesh.iter().enumerate() {
        let counters = node.stats().await?.counters;
        let counted = counters.list().into_iter().filter(|(_, value)| *value > 0);
        let counted: Vec<_> = counted.map(|(name, value)| format!("{name} {value}")).collect();
        println!("node {number}: {}", counted.join(", "));
    }
    if arrived < expected {
        std::process::exit(1);
    }
    Ok(())
}

/// Nodes that have links to all others, and have joined the topic.
async fn full_mesh(nodes: usize) -> Result<Vec<(Node, TopicHandle)>, Error> {
    let topic = Topic::named("flat out").slots_per_tick(u16::MAX).retention(Duration::from_secs(20));
    let topic = topic.max_body(64 * 1024);
    let pool = VerifierPool::default();
    let mut config = Config::default();
    config.expected_nodes = nodes as u32;
    let mut mesh: Vec<(Node, TopicHandle)> = Vec::new();
    for _ in 0..nodes {
        let peers: Vec<_> = mesh.iter().filter_map(|(node, _)| node.addr()).collect();
        let node = Node::builder(SecretKey::generate()).listen("127.0.0.1:0").bootstrap(peers);
        let node = node.config(config.clone()).verifiers(pool.clone()).subscription_capacity(1 << 13);
        let node = node.spawn().await?;
        let handle = node.join(topic.clone()).await?;
        mesh.push((node, handle));
    }
    for (_, handle) in &mesh {
        handle.wait_for_links(nodes - 1).await?;
    }
    Ok(mesh)
}

/// Counts what a node delivers, and prints its events.
fn read(number: usize, node: &Node, handle: &TopicHandle, counts: &Arc<Counts>) {
    let (mut rumors, counts) = (handle.subscribe(), Arc::clone(counts));
    tokio::spawn(async move {
        while let Some(rumor) = rumors.next().await {
            match rumor {
                Ok(_) => counts.delivered.fetch_add(1, Ordering::Relaxed),
                Err(Gap::Lagged(missed)) => counts.lagged.fetch_add(missed, Ordering::Relaxed),
                Err(_) => counts.lagged.fetch_add(1, Ordering::Relaxed),
            };
        }
    });
    let mut events = node.events();
    tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            println!("node {number}: {event:?}");
        }
    });
}

/// Publishes until it is time to stop.
async fn write(handle: TopicHandle, bytes: usize, stop: Instant, counts: Arc<Counts>) {
    let mut count = 0u64;
    while Instant::now() < stop {
        let bodies = (0..256u64).map(|n| {
            let mut body = vec![0u8; bytes];
            let stamp = (count + n).to_le_bytes();
            body.iter_mut().zip(stamp).for_each(|(to, from)| *to = from);
            body.into()
        });
        let published = handle.publish_all(bodies.collect::<Vec<_>>()).await.expect("published");
        count += published.len() as u64;
        counts.accepted.fetch_add(published.len() as u64, Ordering::Relaxed);
    }
}

/// Prints a line a second.
async fn watch(node: &Node, started: Instant, stop: Instant, counts: &Counts) -> Result<(), Error> {
    let mut before = 0;
    while Instant::now() < stop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = counts.delivered.load(Ordering::Relaxed);
        let stats = node.stats().await?;
        let topic = &stats.topics[0];
        println!(
            "{:5.1} s  {:7} deliveries/s  {:4} MiB resident  {:6} bundles and {:4} MiB of bodies at node 0, {} wanted",
            started.elapsed().as_secs_f64(),
            now - before,
            resident_mib(),
            topic.bundles,
            topic.body_bytes >> 20,
            stats.wants
        );
        before = now;
    }
    Ok(())
}
