//! The live path with a store beside it and without, in turns: CPU of a delivery, delay of a plain subscription, bytes written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;
use vouchsafe::{Gap, Node, SecretKey, Topic, TopicHandle, VerifierPool};

use crate::Error;
use vouchsafe_lab::load::{bytes_written, own_cpu};

#[derive(Args)]
pub(crate) struct Options {
    /// Seconds of one run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Runs of each kind.
    #[arg(long, default_value_t = 3)]
    pairs: usize,
    /// Nodes, in a full mesh; all of them publish.
    #[arg(long, default_value_t = 8)]
    nodes: usize,
    /// Rumors a second that a node publishes, evenly.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Instead of a rate: how many rumors a node has under way at a time.
    #[arg(long)]
    closed: Option<usize>,
    /// Bytes of a body.
    #[arg(long, default_value_t = 300)]
    bytes: usize,
}

/// What a run came to.
struct Run {
    /// CPU microseconds of all nodes, a delivery.
    cpu_us: f64,
    /// Delay from the call of publish to the subscription of another node.
    p50: Duration,
    p99: Duration,
    delivered: u64,
    lagged: u64,
    /// Bytes that went to a disk for each byte of the bundles that are kept, all nodes together.
    written: f64,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    lagged: AtomicU64,
    delays: Mutex<Vec<u32>>,
}

impl Options {
    async fn mesh(&self, folders: &[tempfile::TempDir]) -> Result<Vec<(Node, TopicHandle)>, Error> {
        let topic = Topic::named("live").slots_per_tick(u16::MAX).retention(Duration::from_secs(3_600));
        let pool = VerifierPool::default();
        let mut mesh: Vec<(Node, TopicHandle)> = Vec::new();
        for number in 0..self.nodes {
            let peers: Vec<_> = mesh.iter().filter_map(|(node, _)| node.addr()).collect();
            let node = Node::builder(SecretKey::generate()).listen("127.0.0.1:0").bootstrap(peers);
            let node = match folders.get(number) {
                Some(folder) => node.store(folder.path()),
                None => node,
            };
            let node = node.verifiers(pool.clone()).subscription_capacity(1 << 13).spawn().await?;
            // Without a store the same topic lasts for as long as a live one may.
            let topic = if folders.is_empty() {
                topic.clone().retention(Duration::from_secs(60))
            } else {
                topic.clone()
            };
            let handle = node.join(topic).await?;
            mesh.push((node, handle));
        }
        for (_, handle) in &mesh {
            handle.wait_for_links(self.nodes - 1).await?;
        }
        Ok(mesh)
    }

    async fn run(&self, with_store: bool) -> Result<Run, Error> {
        let mut folders = Vec::new();
        while with_store && folders.len() < self.nodes {
            folders.push(tempfile::tempdir()?);
        }
        let mesh = self.mesh(&folders).await?;
        let (zero, counts) = (Instant::now(), Arc::new(Counts::default()));
        for (_, handle) in &mesh {
            read(handle, zero, &counts);
        }
        let (cpu, written) = (own_cpu(), bytes_written());
        let over = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for (number, (_, handle)) in mesh.iter().enumerate() {
            for _ in 0..self.closed.unwrap_or(1) {
                let writer = Writer {
                    handle: handle.clone(),
                    zero,
                    bytes: self.bytes,
                    every: self.closed.is_none().then(|| Duration::from_secs_f64(1.0 / self.rate as f64)),
                    offset: Duration::from_micros(1_000_000 / self.rate * number as u64 / self.nodes as u64),
                    over: Arc::clone(&over),
                };
                writers.push(tokio::spawn(writer.run()));
            }
        }
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        over.store(true, Ordering::Relaxed);
        let mut published = 0;
        for writer in writers {
            published += writer.await?;
        }
        let patience = Instant::now() + Duration::from_secs(20);
        let arrived = || counts.delivered.load(Ordering::Relaxed) + counts.lagged.load(Ordering::Relaxed);
        while arrived() < published * self.nodes as u64 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let cpu = own_cpu() - cpu;
        let mut kept = 0;
        for (node, _) in &mesh {
            kept += node.stats().await?.counters.kept;
        }
        for (node, _) in mesh {
            node.shutdown().await;
        }
        let delivered = counts.delivered.load(Ordering::Relaxed);
        let mut delays = std::mem::take(&mut *counts.delays.lock().map_err(|_| "a reader failed")?);
        delays.sort_unstable();
        let at = |share: f64| {
            let place = (delays.len() as f64 * share) as usize;
            Duration::from_micros(delays.get(place).copied().unwrap_or(0).into())
        };
        // A bundle is a header, a signature and its bodies.
        let bytes = (delivered * (self.bytes as u64 + 4) + kept * 218) as f64;
        Ok(Run {
            cpu_us: cpu * 1e6 / delivered as f64,
            p50: at(0.5),
            p99: at(0.99),
            delivered,
            lagged: counts.lagged.load(Ordering::Relaxed),
            written: (bytes_written() - written) as f64 / bytes,
        })
    }
}

/// Counts what a node delivers, and how late what others have said.
fn read(handle: &TopicHandle, zero: Instant, counts: &Arc<Counts>) {
    let (mut rumors, counts, own) = (handle.subscribe(), Arc::clone(counts), handle.node().author());
    tokio::spawn(async move {
        while let Some(rumor) = rumors.next().await {
            match rumor {
                Ok(rumor) => {
                    counts.delivered.fetch_add(1, Ordering::Relaxed);
                    let stamp = rumor.body().get(..8).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
                    if let Some(stamp) = stamp.filter(|_| rumor.author() != own) {
                        let delay =
                            zero.elapsed().saturating_sub(Duration::from_micros(u64::from_le_bytes(stamp)));
                        let delay = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
                        if let Ok(mut delays) = counts.delays.lock() {
                            delays.push(delay);
                        }
                    }
                }
                Err(Gap::Lagged(missed)) => {
                    counts.lagged.fetch_add(missed, Ordering::Relaxed);
                }
                Err(_) => {
                    counts.lagged.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
}

struct Writer {
    handle: TopicHandle,
    zero: Instant,
    bytes: usize,
    /// `None`: one after the other, as fast as it goes.
    every: Option<Duration>,
    offset: Duration,
    over: Arc<AtomicBool>,
}

impl Writer {
    async fn run(self) -> u64 {
        let mut published = 0;
        let mut ticks = self.every.map(|every| {
            let begin = tokio::time::Instant::now() + self.offset;
            tokio::time::interval_at(begin, every)
        });
        let mut waiting = tokio::task::JoinSet::new();
        while !self.over.load(Ordering::Relaxed) {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            let mut body = (self.zero.elapsed().as_micros() as u64).to_le_bytes().to_vec();
            body.resize(self.bytes.max(8), 0);
            // A rate goes on whether or not the last one is stored.
            if self.every.is_some() {
                let handle = self.handle.clone();
                waiting.spawn(async move { handle.publish(body).await.is_ok() });
            } else {
                published += u64::from(self.handle.publish(body).await.is_ok());
            }
            while let Some(done) = waiting.try_join_next() {
                published += u64::from(done.unwrap_or(false));
            }
        }
        while let Some(done) = waiting.join_next().await {
            published += u64::from(done.unwrap_or(false));
        }
        published
    }
}

pub(crate) async fn run(options: &Options) -> Result<(), Error> {
    let mut runs = [Vec::new(), Vec::new()];
    for _ in 0..options.pairs.max(1) {
        for with_store in [false, true] {
            let run = options.run(with_store).await?;
            println!(
                "{} store: {} delivered, {} missed, {:.2} CPU-us each, p50 {:.2?}, p99 {:.2?}, {:.1} bytes written a byte kept",
                if with_store { "with" } else { "without" },
                run.delivered,
                run.lagged,
                run.cpu_us,
                run.p50,
                run.p99,
                run.written
            );
            runs[usize::from(with_store)].push(run);
        }
    }
    let median = |runs: &[Run], figure: fn(&Run) -> f64| {
        let mut figures: Vec<_> = runs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let ratio = |figure: fn(&Run) -> f64| median(&runs[1], figure) / median(&runs[0], figure);
    println!(
        "with a store beside without, medians: CPU of a delivery {:.2}, p50 {:.2}, p99 {:.2}, delivered {:.2}",
        ratio(|run| run.cpu_us),
        ratio(|run| run.p50.as_secs_f64()),
        ratio(|run| run.p99.as_secs_f64()),
        ratio(|run| run.delivered as f64)
    );
    Ok(())
}
