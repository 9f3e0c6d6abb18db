//! What iroh's endpoint costs beside our own QUIC: the same nodes under the same load over both, in turn in one run.
//!
//! `cargo run --release -- [ROUNDS] [SECONDS] [NODES]` (default 3 10 8). Each measurement is a process of its own, so that its CPU time is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vouchsafe::{Config, Gap, Node, PeerAddr, SecretKey, Topic, TopicHandle, VerifierPool};
use vouchsafe_iroh::IrohTransport;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a body. The first eight are when it was due, in nanoseconds.
const BODY: usize = 256;
/// Rumors a second of each publisher, where they are paced.
const PACE: u64 = 50;
const USAGE: &str = "vouchsafe-iroh [ROUNDS] [SECONDS] [NODES]";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| match words.get(at) {
        Some(text) => text.parse().map_err(|_| USAGE),
        None => Ok(default),
    };
    if let Some("measure") = words.first().map(String::as_str) {
        let [over, load] = [1, 2].map(|at| words.get(at).map_or("", String::as_str));
        println!("{over:5} {load:6} {}", measure(over, load, number(3, 10)?, number(4, 8)?).await?);
        return Ok(());
    }
    let (rounds, seconds, nodes) = (number(0, 3)?, number(1, 10)?, number(2, 8)?);
    let program = std::env::current_exe()?;
    for load in ["paced", "flat"] {
        for _ in 0..rounds {
            for over in ["udp", "iroh"] {
                let mut measurement = std::process::Command::new(&program);
                measurement.args(["measure", over, load, &seconds.to_string(), &nodes.to_string()]);
                if !measurement.status()?.success() {
                    return Err(format!("{over} {load} failed").into());
                }
            }
        }
    }
    Ok(())
}

/// What all tasks count.
struct Counts {
    began: Instant,
    accepted: AtomicU64,
    delivered: AtomicU64,
    missed: AtomicU64,
    /// Microseconds.
    latencies: Mutex<Vec<u32>>,
}

impl Counts {
    fn since(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn arrived(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed) + self.missed.load(Ordering::Relaxed)
    }
}

async fn measure(over: &str, load: &str, seconds: u64, nodes: u64) -> Result<String, Error> {
    let mesh = full_mesh(over == "iroh", nodes).await?;
    let counts = Arc::new(Counts {
        began: Instant::now(),
        accepted: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
        missed: AtomicU64::new(0),
        latencies: Mutex::default(),
    });
    mesh.iter().for_each(|(_, handle)| read(handle, &counts));
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let stop = began + Duration::from_secs(seconds);
    let writers: Vec<_> = mesh
        .iter()
        .map(|(_, handle)| {
            let (handle, counts) = (handle.clone(), Arc::clone(&counts));
            let is_paced = load == "paced";
            tokio::spawn(async move {
                if is_paced {
                    write_paced(handle, stop, &counts).await
                } else {
                    write_flat(handle, stop, &counts).await
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    let expected = counts.accepted.load(Ordering::Relaxed) * nodes;
    let patience = Instant::now() + Duration::from_secs(30);
    while counts.arrived() < expected && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let delivered = counts.delivered.load(Ordering::Relaxed);
    let mut latencies = std::mem::take(&mut *counts.latencies.lock().map_err(|_| "poisoned")?);
    latencies.sort_unstable();
    let at = |of: f64| {
        let at = ((latencies.len() as f64 * of) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(at).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
    };
    Ok(format!(
        "{delivered} of {expected} delivered, {} missed by slow readers, {:.0} a second, {:.2} CPU-us a delivery, p50 {:.2} ms, p99 {:.2} ms",
        counts.missed.load(Ordering::Relaxed),
        delivered as f64 / took,
        cpu * 1e6 / delivered.max(1) as f64,
        at(0.5),
        at(0.99)
    ))
}

/// Nodes that have links to all others, and have joined the topic.
async fn full_mesh(over_iroh: bool, nodes: u64) -> Result<Vec<(Node, TopicHandle)>, Error> {
    let topic = Topic::named("cost").slots_per_tick(u16::MAX).retention(Duration::from_secs(20));
    let pool = VerifierPool::default();
    let mut config = Config::default();
    config.expected_nodes = u32::try_from(nodes)?;
    let mut mesh: Vec<(Node, TopicHandle)> = Vec::new();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for _ in 0..nodes {
        let peers: Vec<PeerAddr> = mesh.iter().filter_map(|(node, _)| node.addr()).collect();
        let key = SecretKey::generate();
        let mut node = Node::builder(key.clone()).listen(any).bootstrap(peers).config(config.clone());
        if over_iroh {
            node = node.transport(IrohTransport::bind(&key, any).await?);
        }
        let node = node.verifiers(pool.clone()).subscription_capacity(1 << 13).spawn().await?;
        let handle = node.join(topic.clone()).await?;
        mesh.push((node, handle));
    }
    for (_, handle) in &mesh {
        handle.wait_for_links(usize::try_from(nodes)? - 1).await?;
    }
    Ok(mesh)
}

/// Counts what a node delivers.
fn read(handle: &TopicHandle, counts: &Arc<Counts>) {
    let (mut rumors, counts) = (handle.subscribe(), Arc::clone(counts));
    tokio::spawn(async move {
        let mut latencies = Vec::new();
        while let Some(rumor) = rumors.next().await {
            match rumor {
                Ok(rumor) => {
                    let due = rumor.body().first_chunk().map_or(0, |due| u64::from_le_bytes(*due));
                    latencies
                        .push(u32::try_from(counts.since().saturating_sub(due) / 1_000).unwrap_or(u32::MAX));
                    if latencies.len() >= 64
                        && let Ok(mut all) = counts.latencies.lock()
                    {
                        all.append(&mut latencies);
                    }
                    counts.delivered.fetch_add(1, Ordering::Relaxed);
                }
                Err(Gap::Lagged(missed)) => drop(counts.missed.fetch_add(missed, Ordering::Relaxed)),
                Err(_) => drop(counts.missed.fetch_add(1, Ordering::Relaxed)),
            }
        }
    });
}

fn body(due: u64) -> bytes::Bytes {
    let mut body = vec![0; BODY];
    body.iter_mut().zip(due.to_le_bytes()).for_each(|(to, from)| *to = from);
    body.into()
}

/// Publishes one at a time, by the clock.
async fn write_paced(handle: TopicHandle, stop: Instant, counts: &Counts) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(Duration::from_nanos(1_000_000_000 / PACE));
    while Instant::now() < stop {
        ticks.tick().await;
        handle.publish(body(counts.since())).await?;
        counts.accepted.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Publishes 256 as soon as the last 256 were taken.
async fn write_flat(handle: TopicHandle, stop: Instant, counts: &Counts) -> Result<(), Error> {
    while Instant::now() < stop {
        let due = counts.since();
        let published = handle.publish_all(vec![body(due); 256]).await.map_err(|error| error.to_string())?;
        counts.accepted.fetch_add(published.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// CPU time of the process, from /proc, in steps of 10 ms; 0 where there is none.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in parentheses that may hold spaces; user and system time are the 12th and 13th after.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
