//! The honest side: nodes in a full mesh, so many rumors in flight among them, and how long each took.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vouchsafe::{Config, GateConfig, Node, PeerAddr, SecretKey, Topic, TopicHandle, VerifierPool};

use crate::Plan;

pub(crate) const NETWORK: &str = "under attack";
/// Bytes of an honest rumor.
const SIZE: usize = 256;
/// Begins every honest rumor and none of the attacker's.
const MARK: [u8; 8] = *b"honestly";
/// A rumor that has not arrived everywhere by then is given up and counted.
const GIVE_UP: Duration = Duration::from_secs(5);

/// The one topic. The quota is far above what the load needs and low enough to be exceeded.
pub(crate) fn topic() -> Topic {
    Topic::named("under attack").slots_per_tick(8192).retention(Duration::from_secs(20))
}

/// A place in the closed loop.
#[derive(Default)]
struct Place {
    /// Which rumor it waits for.
    sequence: AtomicU64,
    left: AtomicUsize,
    arrived: Notify,
}

struct Shared {
    epoch: Instant,
    measuring: AtomicBool,
    given_up: AtomicU64,
    places: Vec<Place>,
    /// Microseconds of each delivery, by node.
    latencies: Vec<Mutex<Vec<u32>>>,
}

pub(crate) struct Network {
    nodes: Vec<(Node, TopicHandle)>,
    readers: JoinSet<()>,
    shared: Arc<Shared>,
}

impl Network {
    pub(crate) async fn start(plan: &Plan) -> Result<Self, Box<dyn Error>> {
        let Plan { nodes: count, window, limit_local, .. } = *plan;
        let shared = Arc::new(Shared {
            epoch: Instant::now(),
            measuring: AtomicBool::new(false),
            given_up: AtomicU64::new(0),
            places: (0..window).map(|_| Place::default()).collect(),
            latencies: (0..count).map(|_| Mutex::default()).collect(),
        });
        let pool = VerifierPool::default();
        let mut config = Config::default();
        config.expected_nodes = count as u32;
        config.budget.cpu_per_s = plan.link_cpu.unwrap_or(config.budget.cpu_per_s);
        // The honest share the attacker's address, so they need places of their own.
        let gate =
            GateConfig::default().with(|gate| (gate.limit_local, gate.links_per_group) = (limit_local, 64));
        let (mut nodes, mut readers): (Vec<(Node, TopicHandle)>, _) = (Vec::new(), JoinSet::new());
        for number in 0..count {
            let peers: Vec<_> = nodes.iter().filter_map(|(node, _)| node.addr()).collect();
            let node = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
            let node = node.bootstrap(peers).config(config.clone()).gate(gate.clone());
            let node = node.verifiers(pool.clone()).subscription_capacity(1 << 17).spawn().await?;
            let handle = node.join(topic()).await?;
            let (mut rumors, shared) = (handle.subscribe(), Arc::clone(&shared));
            readers.spawn(async move {
                while let Some(rumor) = rumors.next().await {
                    if let Ok(rumor) = rumor {
                        shared.received(number, rumor.body());
                    }
                }
            });
            nodes.push((node, handle));
        }
        for (_, handle) in &nodes {
            timeout(Duration::from_secs(30), handle.wait_for_links(count - 1)).await??;
        }
        Ok(Self { nodes, readers, shared })
    }

    pub(crate) fn addrs(&self) -> Vec<PeerAddr> {
        self.nodes.iter().filter_map(|(node, _)| node.addr()).collect()
    }

    /// Starts the closed loop: each place publishes from every node in turn, when its last rumor has arrived everywhere.
    pub(crate) fn load(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let handles: Arc<Vec<_>> = Arc::new(self.nodes.iter().map(|(_, handle)| handle.clone()).collect());
        for place in 0..self.shared.places.len() {
            let (shared, handles) = (Arc::clone(&self.shared), Arc::clone(&handles));
            tasks.spawn(async move {
                for turn in 1u64.. {
                    let from = (place + turn as usize) % handles.len();
                    shared.one(place, turn, from, &handles).await;
                }
            });
        }
        tasks
    }

    /// From now on deliveries are counted, or no longer.
    pub(crate) fn measure(&self, yes: bool) {
        self.shared.measuring.store(yes, Relaxed);
    }

    pub(crate) fn latencies(&self) -> Vec<u32> {
        let all = self.shared.latencies.iter();
        all.flat_map(|some| some.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }

    pub(crate) fn given_up(&self) -> u64 {
        self.shared.given_up.load(Relaxed)
    }

    /// Sums over all nodes.
    pub(crate) async fn counters(&self) -> Result<BTreeMap<&'static str, u64>, Box<dyn Error>> {
        let mut sums = BTreeMap::new();
        for (node, _) in &self.nodes {
            for (name, value) in node.stats().await?.counters.list() {
                *sums.entry(name).or_default() += value;
            }
        }
        Ok(sums)
    }

    pub(crate) async fn end(mut self) {
        let mut ending = JoinSet::new();
        for (node, _) in self.nodes {
            ending.spawn(async move { node.shutdown().await });
        }
        ending.join_all().await;
        self.readers.shutdown().await;
    }
}

impl Shared {
    /// One rumor of `place`, from its publication until it is everywhere.
    async fn one(&self, place: usize, sequence: u64, from: usize, handles: &[TopicHandle]) {
        let Some((slot, handle)) = self.places.get(place).zip(handles.get(from)) else { return };
        slot.left.store(handles.len() - 1, Relaxed);
        slot.sequence.store(sequence, Relaxed);
        let now = self.epoch.elapsed().as_nanos() as u64;
        let mut body = Vec::with_capacity(SIZE);
        body.extend(MARK);
        body.extend([place as u64, sequence, from as u64, now].iter().flat_map(|n| n.to_le_bytes()));
        body.resize(SIZE, 0x5a);
        let published = async {
            if handle.publish(body).await.is_err() {
                return false;
            }
            // A notification may be left over from a rumor that was given up.
            while slot.left.load(Relaxed) > 0 {
                slot.arrived.notified().await;
            }
            true
        };
        if !timeout(GIVE_UP, published).await.unwrap_or(false) {
            self.given_up.fetch_add(1, Relaxed);
        }
    }

    fn received(&self, node: usize, body: &[u8]) {
        let now = self.epoch.elapsed().as_nanos() as u64;
        let (mark, numbers) = body.split_at_checked(MARK.len()).unwrap_or_default();
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let (true, Some(place), Some(sequence), Some(from), Some(sent)) =
            (mark == MARK, numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return;
        };
        let Some(slot) = self.places.get(place as usize).filter(|_| from != node as u64) else { return };
        if self.measuring.load(Relaxed)
            && let Some(latencies) = self.latencies.get(node)
        {
            let us = u32::try_from(now.saturating_sub(sent) / 1000).unwrap_or(u32::MAX);
            latencies.lock().unwrap_or_else(PoisonError::into_inner).push(us);
        }
        if slot.sequence.load(Relaxed) == sequence && slot.left.fetch_sub(1, Relaxed) == 1 {
            slot.arrived.notify_one();
        }
    }
}
