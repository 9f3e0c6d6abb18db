//! A node that was away: what finding what it lacks takes, and how fast it comes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use vouchsafe::protocol::Counters;
use vouchsafe::protocol::keeping::{Arrival, Group, Keep, Keeping, Show};
use vouchsafe::rumor::{Bundle, NetworkId, Position, Previous, RuleSet, Topic, seal_after};
use vouchsafe::store::{RedbStore, Store as _};
use vouchsafe::{Event, Events, Node, PeerAddr, SecretKey};

use crate::Error;
use vouchsafe_lab::load::{own_cpu, resident_mib};

const NETWORK: &str = "history cost";
/// Bundles of one commit while a store is filled.
const GROUP: usize = 1000;

#[derive(Args)]
pub(crate) struct Options {
    /// Minutes that both nodes hold.
    #[arg(long, default_value_t = 5)]
    pub(crate) before: u64,
    /// Minutes that one of them lacks.
    #[arg(long, default_value_t = 10)]
    pub(crate) minutes: u64,
    /// Authors.
    #[arg(long, default_value_t = 16)]
    pub(crate) authors: u64,
    /// Bundles a second of all authors together.
    #[arg(long, default_value_t = 470)]
    pub(crate) rate: u64,
    /// Rumors of a bundle.
    #[arg(long, default_value_t = 1)]
    pub(crate) rumors: usize,
    /// Bytes of a body.
    #[arg(long, default_value_t = 300)]
    pub(crate) bytes: usize,
    /// Seconds that the server has run before: what a node serves of the past begins at 4 MiB/s and grows by a tenth each second.
    #[arg(long, default_value_t = 0)]
    pub(crate) settled: u64,
    /// Lifts the limits of what a node serves of the past in all (64 MiB/s), and of what it does for one link (32 MiB/s).
    #[arg(long)]
    pub(crate) unpaced: bool,
}

/// What the authors have said.
pub(crate) struct Past {
    pub(crate) rules: RuleSet,
    pub(crate) bundles: Vec<Arc<Bundle>>,
    /// The first that one of the nodes lacks.
    cut: usize,
}

impl Options {
    fn topic(&self) -> Topic {
        Topic::named("past")
            .retention(Duration::from_secs(3_600 + 60 * (self.before + self.minutes)))
            .slots_per_tick(4096)
            .max_body(64 * 1024)
    }

    /// So many bundles as a minute has at the rate, times the minutes.
    pub(crate) fn past(&self, topic: &Topic, network: &str) -> Result<Past, Error> {
        let rules = topic.clone().bind(NetworkId::of(network))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        // What is younger than 60 s is not compared yet.
        let first = now - 80 - 60 * (self.before + self.minutes);
        let keys: Vec<_> =
            (0..self.authors).map(|seed| SecretKey::from_seed(&[seed as u8 + 1; 32])).collect();
        let mut last: Vec<Option<Previous>> = vec![None; keys.len()];
        let mut bundles = Vec::new();
        let mut cut = 0;
        for second in 0..60 * (self.before + self.minutes) {
            if second == 60 * self.before {
                cut = bundles.len();
            }
            for number in 0..self.rate {
                let author = (number % self.authors) as usize;
                let slot = (number / self.authors) as u16 * self.rumors as u16;
                let body = |rumor: usize| {
                    let mut body = format!("{second} {number} {rumor} ").into_bytes();
                    body.resize(self.bytes.max(body.len()), b'.');
                    Bytes::from(body)
                };
                let bodies: Vec<_> = (0..self.rumors).map(body).collect();
                let at = Position { tick: first + second, slot };
                let bundle = seal_after(&keys[author], rules.id(), last[author], at, &bodies)?;
                last[author] = Some(Previous::of(&bundle));
                bundles.push(Arc::new(bundle));
            }
        }
        Ok(Past { rules, bundles, cut })
    }
}

/// Writes a store as a node leaves it.
pub(crate) fn fill(
    folder: &Path,
    key: &SecretKey,
    rules: &RuleSet,
    bundles: &[Arc<Bundle>],
) -> Result<(), Error> {
    let mut store = RedbStore::open(folder)?;
    store.start(&key.public())?;
    let keeping = Keeping {
        bytes: u64::MAX / 2,
        authors: u64::MAX / 2,
        shared: u64::MAX / 2,
        judged_by: None,
        recent_from: u64::MAX,
        latest: u64::MAX,
    };
    store.open(rules, &keeping)?;
    for group in bundles.chunks(GROUP) {
        let keep = |bundle: &Arc<Bundle>| Keep {
            bundle: Arc::clone(bundle),
            arrival: Arrival::Late { below: false },
            show: Show::Now,
        };
        let keeps: Vec<_> = group.iter().map(keep).collect();
        store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 })?;
    }
    Ok(())
}

async fn spawn(options: &Options, key: SecretKey, folder: &Path, peers: &[PeerAddr]) -> Result<Node, Error> {
    let mut config = vouchsafe::Config::default();
    if options.unpaced {
        config.history.bytes_per_s = u64::MAX / 4;
        (config.budget.bytes_per_s, config.budget.bytes_burst) = (1 << 40, 1 << 40);
    }
    config.history.topic_bytes = 8 << 30;
    config.history.bytes = 16 << 30;
    let node = Node::builder(key).network(NETWORK).listen("127.0.0.1:0").bootstrap(peers.iter().cloned());
    Ok(node.config(config).store(folder).spawn().await?)
}

pub(crate) async fn run(options: &Options) -> Result<(), Error> {
    let began = Instant::now();
    let past = options.past(&options.topic(), NETWORK)?;
    let (held, lacked) = past.bundles.split_at(past.cut);
    let bytes: usize = lacked.iter().map(|bundle| bundle.encoded().len()).sum();
    let keys = [SecretKey::generate(), SecretKey::generate()];
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    fill(folders[0].path(), &keys[0], &past.rules, &past.bundles)?;
    fill(folders[1].path(), &keys[1], &past.rules, held)?;
    println!(
        "{} bundles of {} rumors written to one store, {} to the other, {:.1} s; {:.1} MB are to come",
        past.bundles.len(),
        options.rumors,
        held.len(),
        began.elapsed().as_secs_f64(),
        bytes as f64 / 1e6
    );
    let missing = lacked.len() as u64;
    drop(past);
    let [first, second] = keys;
    let server = spawn(options, first, folders[0].path(), &[]).await?;
    let theirs = server.join(options.topic()).await?;
    tokio::time::sleep(Duration::from_secs(options.settled)).await;
    let node = spawn(options, second, folders[1].path(), &[]).await?;
    let events = node.events();
    let ours = node.join(options.topic()).await?;
    println!("both are open after {:.1} s", began.elapsed().as_secs_f64());
    let (begun, cpu) = (Instant::now(), own_cpu());
    node.connect(server.addr().ok_or("the server listens")?).await?;
    let counters = wait_for(&node, events, missing).await?;
    let took = begun.elapsed();
    let cpu = own_cpu() - cpu;
    let asked = server.stats().await?.counters;
    let rumors = missing as f64 * options.rumors as f64;
    println!(
        "{missing} bundles, {:.1} MB, in {:.1} s: {:.1} MB/s, {:.0} bundles/s, {:.0} rumors/s; CPU of both {cpu:.1} s, \
         {:.0} rumors a CPU second",
        bytes as f64 / 1e6,
        took.as_secs_f64(),
        bytes as f64 / 1e6 / took.as_secs_f64(),
        missing as f64 / took.as_secs_f64(),
        rumors / took.as_secs_f64(),
        rumors / cpu
    );
    println!(
        "to find and to fetch it: {} asks, {} fetches, {} bytes to the server; {} bytes from it beside the bundles; {} MiB resident",
        counters.asks,
        counters.fetches,
        asked.bytes_in,
        counters.bytes_in.saturating_sub(bytes as u64),
        resident_mib()
    );
    for (who, counters) in [("who was away", counters), ("server", asked)] {
        let counted = counters.list().into_iter().filter(|(_, value)| *value > 0);
        let counted: Vec<_> = counted.map(|(name, value)| format!("{name} {value}")).collect();
        println!("{who}: {}", counted.join(", "));
    }
    drop((ours, theirs));
    node.shutdown().await;
    server.shutdown().await;
    Ok(())
}

/// Waits until so many bundles have come, and prints what is told meanwhile.
async fn wait_for(node: &Node, mut events: Events, missing: u64) -> Result<Counters, Error> {
    let begun = Instant::now();
    let (mut told, mut asked) = (begun, false);
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::CaughtUp { .. })) => {}
                Some(Ok(event)) => println!("{event}"),
                Some(Err(lagged)) => println!("{lagged:?}"),
                None => return Err("the node has ended".into()),
            },
            _ = looks.tick() => {
                let counters = node.stats().await?.counters;
                if counters.fetches > 0 && !asked {
                    asked = true;
                    println!("the first fetch after {:.1} s", begun.elapsed().as_secs_f64());
                }
                if counters.repaired >= missing {
                    return Ok(counters);
                }
                if told.elapsed() > Duration::from_secs(5) {
                    told = Instant::now();
                    println!("  {:5.1} s {:8} bundles", begun.elapsed().as_secs_f64(), counters.repaired);
                }
            }
        }
    }
}
