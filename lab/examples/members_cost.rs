//! What it costs live rumors that the nodes are members: the same load over loopback with members and without, in turns.
//!
//! `cargo run --release -p vouchsafe-lab --example members_cost -- [PAIRS] [SECONDS] [NODES] [RATE]` (default 5 10 8 100)
//!
//! Each turn makes a full mesh of so many nodes in this process, in a network of its own. Each node says `RATE` rumors of 256 bytes a second,
//! evenly; 0: as many as it can, 64 at a time. Every delivery is timed, and so is the processor, once all have arrived. Of each pair one turn
//! has members and the other has none, and who begins changes from pair to pair. With rate 0 times tell of queues, so look at the processor
//! alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use vouchsafe::{Config, Gap, Node, SecretKey, Topic, TopicHandle, VerifierPool};
use vouchsafe_lab::load::own_cpu;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const BYTES: usize = 256;
/// Rumors that are given at once where a node says as many as it can.
const AT_ONCE: usize = 64;
/// The links are there by then, and records of members have spread.
const SETTLES: Duration = Duration::from_secs(10);
/// What is under way when the last rumor is said arrives within this.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a turn gives.
#[derive(Clone, Copy, Debug)]
struct Turn {
    p50: f64,
    p99: f64,
    /// Of the processor, microseconds a delivery.
    cpu: f64,
    a_second: f64,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut next = |default| numbers.next().unwrap_or(Ok(default));
    let (pairs, seconds, nodes, rate) = (next(5)?, next(10)?, next(8)?, next(100)?);
    let mut turns = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        for members in [pair % 2 == 0, pair % 2 != 0] {
            let turn = turn(nodes, rate, Duration::from_secs(seconds as u64), members).await?;
            print_turn(if members { "members" } else { "none" }, &turn);
            turns[usize::from(members)].push(turn);
        }
    }
    let of = |all: &[Turn], value: fn(&Turn) -> f64| median(all.iter().map(value).collect());
    let ratio = |value: fn(&Turn) -> f64| {
        let [without, with] = &turns;
        median(with.iter().zip(without).map(|(with, without)| value(with) / value(without)).collect())
    };
    let [without, with] = turns.each_ref().map(|all| Turn {
        p50: of(all, |turn| turn.p50),
        p99: of(all, |turn| turn.p99),
        cpu: of(all, |turn| turn.cpu),
        a_second: of(all, |turn| turn.a_second),
    });
    print_turn("median with members", &with);
    print_turn("median without", &without);
    println!(
        "ratios of medians: p50 {:.2}, p99 {:.2}, processor {:.2}",
        with.p50 / without.p50,
        with.p99 / without.p99,
        with.cpu / without.cpu
    );
    println!(
        "medians of the pairs' ratios: p50 {:.2}, p99 {:.2}, processor {:.2}",
        ratio(|turn| turn.p50),
        ratio(|turn| turn.p99),
        ratio(|turn| turn.cpu)
    );
    Ok(())
}

fn print_turn(name: &str, turn: &Turn) {
    let Turn { p50, p99, cpu, a_second } = turn;
    println!(
        "{name}: {a_second:.0} deliveries a second, p50 {p50:.2} ms, p99 {p99:.2} ms, {cpu:.2} CPU-us a delivery"
    );
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What all tasks of a turn count.
struct Counts {
    /// Rumors tell when they were said by nanoseconds since then.
    begun: Instant,
    said: AtomicU64,
    delivered: AtomicU64,
    /// From each rumor's saying to each of its deliveries elsewhere, microseconds.
    times: Mutex<Vec<u32>>,
}

async fn turn(nodes: usize, rate: usize, lasts: Duration, members: bool) -> Outcome<Turn> {
    let mesh = full_mesh(nodes, members).await?;
    tokio::time::sleep(SETTLES).await;
    let counts = Arc::new(Counts {
        begun: Instant::now(),
        said: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
        times: Mutex::new(Vec::new()),
    });
    let mut readers = JoinSet::new();
    mesh.iter().for_each(|(_, handle)| _ = readers.spawn(read(handle.clone(), Arc::clone(&counts))));
    let (started, cpu) = (Instant::now(), own_cpu());
    let mut writers = JoinSet::new();
    for (at, (_, handle)) in mesh.iter().enumerate() {
        writers.spawn(write(handle.clone(), at, nodes, rate, started + lasts, Arc::clone(&counts)));
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let expected = counts.said.load(Ordering::Relaxed) * nodes as u64;
    let until = Instant::now() + PATIENCE;
    while counts.delivered.load(Ordering::Relaxed) < expected {
        if Instant::now() >= until {
            let delivered = counts.delivered.load(Ordering::Relaxed);
            return Err(format!("{delivered} of {expected} were delivered").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (took, cpu) = (started.elapsed().as_secs_f64(), own_cpu() - cpu);
    for (node, _) in &mesh {
        node.shutdown_silently().await;
    }
    while let Some(read) = readers.join_next().await {
        read??;
    }
    let mut times = std::mem::take(&mut *counts.times.lock().await);
    times.sort_unstable();
    let quantile = |part: f64| {
        let at = ((times.len() as f64 * part).ceil() as usize).saturating_sub(1);
        times.get(at).map_or(f64::NAN, |time| f64::from(*time) / 1e3)
    };
    Ok(Turn {
        p50: quantile(0.5),
        p99: quantile(0.99),
        cpu: cpu * 1e6 / expected as f64,
        a_second: expected as f64 / took,
    })
}

/// Nodes that have links to all others, and have joined the topic.
async fn full_mesh(nodes: usize, members: bool) -> Outcome<Vec<(Node, TopicHandle)>> {
    let topic = Topic::named("members cost").slots_per_tick(u16::MAX).retention(Duration::from_secs(20));
    let pool = VerifierPool::default();
    let mut config = Config::default();
    config.expected_nodes = nodes as u32;
    let mut mesh: Vec<(Node, TopicHandle)> = Vec::new();
    for _ in 0..nodes {
        let peers: Vec<_> = mesh.iter().filter_map(|(node, _)| node.addr()).collect();
        let node = Node::builder(SecretKey::generate()).listen("127.0.0.1:0").bootstrap(peers);
        let node = node.config(config.clone()).verifiers(pool.clone()).subscription_capacity(1 << 14);
        let node = if members { node } else { node.without_members() };
        let node = node.spawn().await?;
        let handle = node.join(topic.clone()).await?;
        mesh.push((node, handle));
    }
    for (node, handle) in &mesh {
        handle.wait_for_links(nodes - 1).within(PATIENCE).await?;
        if members {
            node.wait_for_members(nodes).within(PATIENCE).await?;
        }
    }
    Ok(mesh)
}

/// Times what a node delivers, but for its own rumors, until it is shut down.
async fn read(handle: TopicHandle, counts: Arc<Counts>) -> Outcome<()> {
    let mut rumors = handle.subscribe();
    let own = handle.node().author();
    let mut times = Vec::new();
    while let Some(rumor) = rumors.next().await {
        match rumor {
            Ok(rumor) => {
                let said = rumor.body().first_chunk::<8>().copied().map_or(0, u64::from_le_bytes);
                if rumor.author() != own {
                    let took = counts.begun.elapsed().saturating_sub(Duration::from_nanos(said));
                    times.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                }
                counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err(Gap::Lagged(missed)) => return Err(format!("a reader has missed {missed}").into()),
            Err(_) => break,
        }
    }
    counts.times.lock().await.append(&mut times);
    Ok(())
}

fn body(counts: &Counts) -> bytes::Bytes {
    let mut body = vec![0u8; BYTES];
    let now = u64::try_from(counts.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    body.iter_mut().zip(now.to_le_bytes()).for_each(|(to, from)| *to = from);
    body.into()
}

/// Says rumors until it is time to stop.
async fn write(
    handle: TopicHandle,
    at: usize,
    nodes: usize,
    rate: usize,
    stop: Instant,
    counts: Arc<Counts>,
) -> Outcome<()> {
    if rate == 0 {
        while Instant::now() < stop {
            let bodies: Vec<_> = (0..AT_ONCE).map(|_| body(&counts)).collect();
            let said = handle.publish_all(bodies).await?.len();
            counts.said.fetch_add(said as u64, Ordering::Relaxed);
        }
        return Ok(());
    }
    // One node after the other, evenly.
    let every = Duration::from_secs(1) / rate as u32;
    let first = tokio::time::Instant::now() + every * at as u32 / nodes as u32;
    let mut turns = tokio::time::interval_at(first, every);
    while Instant::now() < stop {
        turns.tick().await;
        handle.publish(body(&counts)).await?;
        counts.said.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
