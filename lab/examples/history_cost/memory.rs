//! What a long past takes in memory: a year of 64 topics on disk, opened by a node that compares it with a neighbour that has the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use vouchsafe::protocol::keeping::{Arrival, Group, Keep, Keeping, Show};
use vouchsafe::rumor::{NetworkId, Position, Previous, RuleSet, Topic, seal_after};
use vouchsafe::store::{RedbStore, Store as _};
use vouchsafe::{Cursor, Node, PeerAddr, SecretKey, TopicHandle};

use crate::Error;
use vouchsafe_lab::load::{own_cpu, resident_mib};

const NETWORK: &str = "memory of history";
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Bundles of one commit while a store is filled.
const GROUP: usize = 1000;

#[derive(Args)]
pub(crate) struct Options {
    /// Bundles of all topics together; one run for each, in a process of its own.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    bundles: Vec<u64>,
    /// Topics.
    #[arg(long, default_value_t = 64)]
    topics: u64,
    /// Authors of each topic.
    #[arg(long, default_value_t = 16)]
    authors: u64,
    /// Bytes of a body.
    #[arg(long, default_value_t = 300)]
    bytes: usize,
    /// Seconds for which both nodes compare what they have.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// This is one of the processes: both stores are there.
    #[arg(long, hide = true)]
    stores: Option<PathBuf>,
}

pub(crate) async fn run(options: &Options) -> Result<(), Error> {
    if let Some(stores) = &options.stores {
        let bundles = options.bundles.first().ok_or("a number of bundles")?;
        return options.measure(*bundles, stores).await;
    }
    println!("resident MiB of a process with one node, then with two that compare what they have:");
    for bundles in &options.bundles {
        let folder = tempfile::tempdir()?;
        options.stores(folder.path(), *bundles)?;
        let mut child = std::process::Command::new(std::env::current_exe()?);
        child.args(["memory", "--bundles", &bundles.to_string(), "--stores"]).arg(folder.path());
        for (name, value) in [
            ("--topics", options.topics),
            ("--authors", options.authors),
            ("--bytes", options.bytes as u64),
            ("--seconds", options.seconds),
        ] {
            child.args([name, &value.to_string()]);
        }
        if !child.status()?.success() {
            return Err("a process has failed".into());
        }
    }
    Ok(())
}

impl Options {
    fn topics(&self) -> impl Iterator<Item = Topic> {
        (0..self.topics).map(|number| {
            Topic::named(format!("year {number}")).retention(YEAR).slots_per_tick(4096).max_body(64 * 1024)
        })
    }

    /// Writes two stores that hold the same.
    fn stores(&self, folder: &Path, bundles: u64) -> Result<(), Error> {
        let (begun, [one, other]) = (Instant::now(), [folder.join("one"), folder.join("other")]);
        self.fill(&one, &SecretKey::generate(), bundles)?;
        let file = |store: &Path| store.join("store.redb");
        println!(
            "{bundles} bundles, {:.0} MB on disk, written in {:.0} s",
            std::fs::metadata(file(&one))?.len() as f64 / 1e6,
            begun.elapsed().as_secs_f64()
        );
        std::fs::create_dir(&other)?;
        std::fs::copy(file(&one), file(&other))?;
        Ok(())
    }

    /// Writes a store as a node leaves it: each author has spoken evenly through the year.
    fn fill(&self, folder: &Path, key: &SecretKey, bundles: u64) -> Result<(), Error> {
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
        for topic in self.topics() {
            let rules = topic.bind(NetworkId::of(NETWORK))?;
            store.open(&rules, &keeping)?;
            self.fill_topic(&mut store, &rules, bundles / self.topics)?;
        }
        Ok(())
    }

    fn fill_topic(&self, store: &mut RedbStore, rules: &RuleSet, bundles: u64) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        // What is older than the year goes, and what is younger than a minute is not compared.
        let first = now - YEAR.as_secs() + 3_600;
        let keys: Vec<_> =
            (0..self.authors).map(|seed| SecretKey::from_seed(&[seed as u8 + 1; 32])).collect();
        let mut last: Vec<Option<Previous>> = vec![None; keys.len()];
        let mut group = Vec::new();
        for number in 0..bundles {
            let (author, turn) = ((number % self.authors) as usize, number / self.authors);
            let at = first + turn * (YEAR.as_secs() - 7_200) / (bundles / self.authors).max(1);
            let mut body = format!("{number} ").into_bytes();
            body.resize(self.bytes.max(body.len()), b'.');
            let at = Position { tick: at, slot: (turn % 4096) as u16 };
            let bundle = seal_after(&keys[author], rules.id(), last[author], at, &[Bytes::from(body)])?;
            last[author] = Some(Previous::of(&bundle));
            let arrival = Arrival::Late { below: false };
            group.push(Keep { bundle: Arc::new(bundle), arrival, show: Show::Now });
            if group.len() == GROUP || number + 1 == bundles {
                store.keep(&Group { keeps: &group, record: None, now_ms: 0 })?;
                group.clear();
            }
        }
        Ok(())
    }

    async fn node(
        &self,
        key: SecretKey,
        folder: &Path,
        peers: &[PeerAddr],
    ) -> Result<(Node, Vec<TopicHandle>), Error> {
        let mut config = vouchsafe::Config::default();
        (config.history.topic_bytes, config.history.bytes) = (64 << 30, 64 << 30);
        let node = Node::builder(key).network(NETWORK).listen("127.0.0.1:0").bootstrap(peers.iter().cloned());
        let node = node.config(config).store(folder).spawn().await?;
        let mut handles = Vec::new();
        for topic in self.topics() {
            handles.push(node.join(topic).await?);
        }
        Ok((node, handles))
    }

    async fn measure(&self, bundles: u64, stores: &Path) -> Result<(), Error> {
        let begun = Instant::now();
        let (one, ours) = self.node(SecretKey::generate(), &stores.join("one"), &[]).await?;
        println!("  one node, open after {:.1} s: {} MiB", begun.elapsed().as_secs_f64(), resident_mib());
        let peers: Vec<_> = one.addr().into_iter().collect();
        let (other, theirs) = self.node(SecretKey::generate(), &stores.join("other"), &peers).await?;
        for handle in &theirs {
            handle.wait_for_links(1).await?;
        }
        let (cpu, mut most) = (own_cpu(), 0);
        for _ in 0..self.seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            most = most.max(resident_mib());
        }
        let counters = other.stats().await?.counters;
        println!(
            "  two nodes, {} s: {most} MiB at the most, {:.1} s of CPU; {} asks, {} bytes in, {} bundles fetched",
            self.seconds,
            own_cpu() - cpu,
            counters.asks,
            counters.bytes_in,
            counters.repaired
        );
        let (begun, mut read) = (Instant::now(), 0);
        let mut replay = ours[0].replay(Cursor::START);
        while read < bundles / self.topics && replay.next().await.transpose()?.is_some() {
            read += 1;
        }
        println!("  {read} read in {:.1} s: {} MiB", begun.elapsed().as_secs_f64(), resident_mib());
        one.shutdown().await;
        other.shutdown().await;
        Ok(())
    }
}
