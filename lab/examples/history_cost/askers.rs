//! What peers that ask for all they may cost the living: a process with many links that asks one node about its whole past, and for all of
//! it, as fast as it is read.
//!
//! It competes for the same processors, so beside it there is a run with a process that burns as much and asks nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum as _};
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::{NetworkId, Topic};
use vouchsafe::wire::{
    self, Ask, AskedRange, Bound, Fetch, FetchedRange, Hello, Lane, MAX_FETCH_BYTES, MAX_RANGES_PER_ASK, Mark,
};
use vouchsafe::{Config, GateConfig, Node, PeerAddr, Position, PublicKey, SecretKey, TopicHandle};

use crate::Error;
use crate::catch_up::{self, fill};
use vouchsafe_lab::load::{Child, burn, cpu_of, own_cpu};

pub(crate) const NETWORK: &str = "askers";
/// Authors of the past.
const AUTHORS: u64 = 16;
/// From the start of a part to the first delivery that counts.
const WARM_UP: Duration = Duration::from_secs(3);
/// Begins every rumor of the load.
const MARK: [u8; 8] = *b"honestly";

#[derive(Args)]
pub(crate) struct Options {
    /// Links that ask.
    #[arg(long, default_value_t = 96)]
    links: usize,
    /// Bundles that each node holds.
    #[arg(long, default_value_t = 50_000)]
    bundles: u64,
    /// Nodes, in a full mesh; all of them publish, and the first one is asked.
    #[arg(long, default_value_t = 4)]
    nodes: usize,
    /// Rumors a second that a node publishes, evenly.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Seconds of each part of a round.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Rounds: quiet, asked, burning.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What the links do.
    #[arg(long, value_enum, default_value_t = What::All)]
    what: What,
    /// This process asks the peer that is named.
    #[arg(long, hide = true)]
    victim: Option<PeerAddr>,
    /// This process burns so many processors.
    #[arg(long, hide = true)]
    burn: Option<f64>,
}

/// What a link sends, again and again.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Nothing: it is there.
    Nothing,
    /// Questions about the whole past.
    Asks,
    /// Fetches of all of it.
    Fetches,
    /// Both.
    All,
}

/// The topic, as all have it.
pub(crate) fn topic() -> Topic {
    Topic::named("past").retention(Duration::from_secs(86_400)).slots_per_tick(8_192).max_body(64 * 1024)
}

pub(crate) async fn run(options: &Options) -> Result<(), Error> {
    if let Some(processors) = options.burn {
        burn(processors);
    }
    match &options.victim {
        Some(victim) => options.ask(victim).await,
        None => options.measure().await,
    }
}

/// What was seen in a part of a round.
struct Part {
    /// Delays at the node that is asked, microseconds.
    delays: Vec<u32>,
    /// CPU seconds of all nodes and of the child, and how long it lasted.
    cpu: f64,
    child: f64,
    took: f64,
}

impl Part {
    fn at(&self, share: f64) -> u32 {
        self.delays.get((self.delays.len() as f64 * share) as usize).copied().unwrap_or(0)
    }
}

impl Options {
    async fn measure(&self) -> Result<(), Error> {
        let folders: Vec<_> = (0..self.nodes).map(|_| tempfile::tempdir()).collect::<Result<_, _>>()?;
        let paths: Vec<_> = folders.iter().map(|folder| folder.path().join("store")).collect();
        let (rate, minutes) = (100, (self.bundles / 6_000).max(1));
        let past = catch_up::Options {
            before: minutes,
            minutes: 0,
            authors: AUTHORS,
            rate,
            rumors: 1,
            bytes: 300,
            settled: 0,
            unpaced: false,
        };
        let past = past.past(&topic(), NETWORK)?;
        fill(&paths[0], &SecretKey::generate(), &past.rules, &past.bundles)?;
        for path in &paths[1..] {
            std::fs::create_dir(path)?;
            std::fs::copy(paths[0].join("store.redb"), path.join("store.redb"))?;
        }
        drop(past);
        let mesh = self.mesh(&paths).await?;
        let shared =
            Arc::new(Seen { zero: Instant::now(), counts: AtomicBool::new(false), delays: Mutex::default() });
        shared.read(&mesh[0].1);
        for (number, (_, handle)) in mesh.iter().enumerate() {
            tokio::spawn(self.writer(number, handle.clone(), Arc::clone(&shared)));
        }
        let victim = mesh[0].0.addr().ok_or("it listens")?.to_string();
        println!(
            "           links   p50 us   p99 us     CPU     child       heard   asks/s  served/s refused/s"
        );
        let (mut quiet, mut asked, mut burning) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            quiet.push(self.part("quiet", &mesh[0].0, &shared, &[]).await?);
            let links = self.links.to_string();
            let what = self.what.to_possible_value().ok_or("a name")?;
            let child = ["--victim", &victim, "--links", &links, "--what", what.get_name()];
            asked.push(self.part("asked", &mesh[0].0, &shared, &child).await?);
            let last = asked.last().ok_or("a part")?;
            let share = format!("{:.3}", last.child / last.took);
            burning.push(self.part("burning", &mesh[0].0, &shared, &["--burn", &share]).await?);
        }
        let median = |parts: &[Part], of: &dyn Fn(&Part) -> f64| {
            let mut all: Vec<f64> = parts.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let p99 = |parts: &[Part]| median(parts, &|part| f64::from(part.at(0.99)));
        let cpu = |parts: &[Part]| median(parts, &|part| part.cpu / part.took);
        println!(
            "medians: p99 {:.2} times that of burning, {:.2} times that of quiet; {:.1} % of a core more than burning",
            p99(&asked) / p99(&burning),
            p99(&asked) / p99(&quiet),
            (cpu(&asked) - cpu(&burning)) * 100.0
        );
        for (node, _) in mesh {
            node.shutdown().await;
        }
        Ok(())
    }

    async fn mesh(&self, paths: &[std::path::PathBuf]) -> Result<Vec<(Node, TopicHandle)>, Error> {
        let mut config = Config::default();
        // Places enough for all who ask, beside the mesh.
        (config.links.inbound, config.links.max) = (self.links + 32, self.links + 64);
        (config.history.topic_bytes, config.history.bytes) = (8 << 30, 8 << 30);
        let gate = GateConfig::default().with(|gate| gate.links_per_group = self.links as u32 + 64);
        let mut mesh: Vec<(Node, TopicHandle)> = Vec::new();
        for path in paths {
            let peers: Vec<_> = mesh.iter().filter_map(|(node, _)| node.addr()).collect();
            let node = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
            let node = node.bootstrap(peers).config(config.clone()).gate(gate.clone()).store(path);
            let node = node.subscription_capacity(1 << 14).spawn().await?;
            let handle = node.join(topic()).await?;
            mesh.push((node, handle));
        }
        for (_, handle) in &mesh {
            handle.wait_for_links(self.nodes - 1).await?;
        }
        Ok(mesh)
    }

    /// What publishes until the process ends.
    fn writer(
        &self,
        number: usize,
        handle: TopicHandle,
        seen: Arc<Seen>,
    ) -> impl Future<Output = ()> + use<> {
        let every = Duration::from_secs_f64(1.0 / self.rate as f64);
        let begin = tokio::time::Instant::now() + every * number as u32 / self.nodes as u32;
        write(handle, seen, every, begin)
    }

    /// One part of a round, beside a child with these arguments.
    async fn part(&self, what: &str, asked: &Node, seen: &Seen, child: &[&str]) -> Result<Part, Error> {
        let arguments = || ["askers"].iter().chain(child).map(ToString::to_string);
        let child = (!child.is_empty()).then(|| Child::start(arguments())).transpose()?;
        // Links are made, and bursts are used up.
        tokio::time::sleep(WARM_UP).await;
        let before = asked.stats().await?.counters;
        let of_child = || child.as_ref().map_or(0.0, |child| cpu_of(child.id()));
        let (begun, cpu, burnt) = (Instant::now(), own_cpu(), of_child());
        seen.counts.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        seen.counts.store(false, Ordering::Relaxed);
        let (took, cpu, burnt) = (begun.elapsed().as_secs_f64(), own_cpu() - cpu, of_child() - burnt);
        let stats = asked.stats().await?;
        let mut delays = seen.take();
        delays.sort_unstable();
        let (now, links) = (stats.counters, stats.links.len());
        let part = Part { delays, cpu, child: burnt, took };
        println!(
            "{what:<8} {:>6} {:>8} {:>8} {:>8.1}% {:>8.1}% {:>9} {:>9.1} {:>9.1} {:>9.1}",
            links,
            part.at(0.5),
            part.at(0.99),
            cpu / took * 100.0,
            burnt / took * 100.0,
            part.delays.len(),
            (now.history_asks - before.history_asks) as f64 / took,
            (now.history_served - before.history_served) as f64 / took,
            (now.history_refused - before.history_refused) as f64 / took
        );
        Ok(part)
    }

    /// Asks until it is killed.
    async fn ask(&self, victim: &PeerAddr) -> Result<(), Error> {
        let (victim, addr) = (victim.key, victim.socket().ok_or("an address")?);
        let mut links = tokio::task::JoinSet::new();
        let what = self.what;
        for _ in 0..self.links {
            links.spawn(async move {
                loop {
                    // Errors mean that the node has closed the link, or refused it: so again, under a new key.
                    let _ = ask_one(victim, addr, what).await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        links.join_all().await;
        Ok(())
    }
}

/// One link that asks, until it ends. It reads what it is sent all the while.
async fn ask_one(
    victim: PublicKey,
    addr: SocketAddr,
    what: What,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let rules = topic().bind(NetworkId::of(NETWORK))?;
    let mut link = BarePeer::connect(&SecretKey::generate(), victim, addr).await?;
    let mut lanes = Vec::new();
    for lane in Lane::ALL {
        let mut stream = link.quinn().open_uni().await?;
        stream.write_all(&[lane as u8]).await?;
        lanes.push(stream);
    }
    let hello = Hello {
        network: *rules.network().as_bytes(),
        clock_ms: unix_ms(),
        topics: vec![*rules.id().as_bytes()],
        ..Hello::default()
    };
    send(&mut lanes[Lane::Control.index()], &wire::hello(&hello)).await?;
    // (Or most of what this process takes would be for them.)
    let authors: Vec<_> =
        (0..AUTHORS).map(|author| SecretKey::from_seed(&[author as u8 + 1; 32]).public()).collect();
    let asks = async {
        let topic = rules.id();
        for session in 1.. {
            let ask = Ask { topic, session, as_of: as_of(), ranges: ranges(as_of()) };
            let lane = &mut lanes[Lane::History.index()];
            if matches!(what, What::Asks | What::All) {
                send(lane, &wire::ask(&ask)).await?;
            }
            let range = |author: &PublicKey| FetchedRange {
                author: *author,
                from: Mark { tick: 0, slot: 0 },
                upto: Position { tick: as_of(), slot: u16::MAX },
            };
            let ranges = authors.iter().map(range).collect();
            if matches!(what, What::Fetches | What::All) {
                send(lane, &wire::fetch(&Fetch { topic, session, max_bytes: MAX_FETCH_BYTES, ranges }))
                    .await?;
            }
            if what == What::Nothing {
                std::future::pending::<()>().await;
            }
        }
        Ok::<(), quinn::WriteError>(())
    };
    tokio::select! {
        ended = asks => ended?,
        () = async { while link.recv_frame().await.is_some() {} } => {}
    }
    Ok(())
}

async fn send(lane: &mut quinn::SendStream, payload: &[u8]) -> Result<(), quinn::WriteError> {
    lane.write_all(&(payload.len() as u32).to_le_bytes()).await?;
    lane.write_all(payload).await
}

/// The last day in as many ranges as there may be, each with a count that may be right and a hash that is not: all of it is hashed.
fn ranges(as_of: u64) -> Vec<AskedRange> {
    let (parts, day) = (MAX_RANGES_PER_ASK as u64, 3_600);
    let edge = |part: u64| Bound::start_of(as_of - day + day * part / parts);
    (0..parts)
        .map(|part| AskedRange { lo: edge(part), hi: edge(part + 1), count: 1, hash: [1; 32] })
        .collect()
}

/// A minute ago, at a moment as of which sets are compared. Ticks of the topic are seconds.
fn as_of() -> u64 {
    (unix_ms() - 80_000) / 16_000 * 16
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Rumors of the load that the node which is asked delivers.
struct Seen {
    zero: Instant,
    counts: AtomicBool,
    delays: Mutex<Vec<u32>>,
}

impl Seen {
    fn read(self: &Arc<Self>, handle: &TopicHandle) {
        let (mut rumors, seen) = (handle.subscribe(), Arc::clone(self));
        tokio::spawn(async move {
            while let Some(rumor) = rumors.next().await {
                let Ok(rumor) = rumor else { continue };
                if !seen.counts.load(Ordering::Relaxed) || rumor.body().get(..8) != Some(&MARK) {
                    continue;
                }
                let said = rumor.body().get(8..16).and_then(|said| <[u8; 8]>::try_from(said).ok());
                let said = Duration::from_micros(said.map_or(0, u64::from_le_bytes));
                let delay = seen.zero.elapsed().saturating_sub(said).as_micros();
                if let Ok(mut delays) = seen.delays.lock() {
                    delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
                }
            }
        });
    }

    fn take(&self) -> Vec<u32> {
        self.delays.lock().map(|mut delays| std::mem::take(&mut *delays)).unwrap_or_default()
    }
}

async fn write(handle: TopicHandle, seen: Arc<Seen>, every: Duration, begin: tokio::time::Instant) {
    let mut ticks = tokio::time::interval_at(begin, every);
    let mut waiting = tokio::task::JoinSet::new();
    loop {
        ticks.tick().await;
        let mut body = MARK.to_vec();
        body.extend_from_slice(&(seen.zero.elapsed().as_micros() as u64).to_le_bytes());
        body.resize(300, 0);
        waiting.spawn({
            let handle = handle.clone();
            async move { handle.publish(body).await.map(drop) }
        });
        while waiting.try_join_next().is_some() {}
    }
}
