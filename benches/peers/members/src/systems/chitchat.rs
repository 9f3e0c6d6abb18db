//! chitchat: heartbeats that all pass on, and a detector that learns how often they come. It is a task with timers of its own, so it runs
//! on a runtime whose clock moves on when everybody sleeps. What it leaves to chance it draws from the operating system: no two runs
//! are the same.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::chitchat::transport::{ChannelTransport, RecvOutcome, SendOutcome, Socket, Transport};
use ::chitchat::{
    ChitchatConfig, ChitchatEnvelope, ChitchatHandle, ChitchatId, ProtocolVersion, spawn_chitchat,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};

use super::datagrams::Paths;
use super::{Aim, Setup, System, Verdict};

/// What its own tests take as the default; the library has none for these two.
const GOSSIP_INTERVAL: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(15 * 60);
/// Of a datagram: the most that UDP carries over IPv4.
const LARGEST: usize = 65_507;
/// How often each node is looked at for members that it shows as dead since.
const LOOK_EVERY: Duration = Duration::from_millis(200);

fn addr_of(node: usize) -> SocketAddr {
    let [_, a, b, c] = (node as u32).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, a, b, c), 4433))
}

fn node_of(addr: SocketAddr) -> usize {
    let SocketAddr::V4(addr) = addr else { unreachable!("all addresses are of IPv4") };
    let [_, a, b, c] = addr.ip().octets();
    u32::from_be_bytes([0, a, b, c]) as usize
}

/// The network that all sockets share.
#[derive(Clone)]
struct Medium(Arc<Mutex<Inner>>);

struct Inner {
    paths: Paths,
    /// Where a node is reached, and until when its process stands still.
    hosts: Vec<(Option<UnboundedSender<RecvOutcome>>, Instant)>,
}

impl Medium {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a node's process goes on.
    async fn wait_for(&self, node: usize) {
        let until = self.lock().hosts[node].1;
        sleep_until(until).await;
    }
}

struct Port {
    medium: Medium,
    node: usize,
    /// Brings what is sent to itself, and its length with it: only transports of the library can encode.
    scale: Box<dyn Socket>,
    incoming: UnboundedReceiver<RecvOutcome>,
    /// What has come, and waits for the process to go on.
    waits: Option<RecvOutcome>,
}

#[async_trait::async_trait]
impl Transport for Medium {
    async fn open(&self, listen_addr: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let ((sender, incoming), node) = (unbounded_channel(), node_of(listen_addr));
        self.lock().hosts[node].0 = Some(sender);
        let scale = ChannelTransport::with_mtu(LARGEST).open(listen_addr).await?;
        Ok(Box::new(Port { medium: self.clone(), node, scale, incoming, waits: None }))
    }
}

#[async_trait::async_trait]
impl Socket for Port {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(addr_of(self.node))
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> anyhow::Result<SendOutcome> {
        self.medium.wait_for(self.node).await;
        self.scale.send(addr_of(self.node), envelope).await?;
        let sent = self.scale.recv().await?;
        let num_bytes_sent = sent.num_bytes_received;
        let mut medium = self.medium.lock();
        let delay = medium.paths.send(self.node, node_of(to), num_bytes_sent);
        let host = medium.hosts[node_of(to)].0.clone();
        if let Some((delay, host)) = delay.zip(host) {
            tokio::spawn(async move {
                sleep(delay).await;
                // (Nobody is there any more.)
                let _ = host.send(sent);
            });
        }
        Ok(SendOutcome { num_bytes_sent })
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        if self.waits.is_none() {
            self.waits = self.incoming.recv().await;
        }
        self.medium.wait_for(self.node).await;
        self.waits.take().ok_or_else(|| anyhow::anyhow!("the network is gone"))
    }
}

pub(crate) struct Network {
    runtime: Runtime,
    began: Instant,
    now: Instant,
    medium: Medium,
    nodes: Vec<ChitchatHandle>,
    crashed: HashSet<usize>,
    /// Whom each node showed as dead when it was last looked at.
    dead: Vec<HashSet<usize>>,
    verdicts: Vec<Verdict>,
}

impl Network {
    pub(crate) fn new(setup: &Setup) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime of one thread");
        let began = runtime.block_on(async { Instant::now() });
        let paths = Paths::new(setup.nodes, setup.loss, setup.seed);
        let inner = Inner { paths, hosts: vec![(None, began); setup.nodes] };
        let medium = Medium(Arc::new(Mutex::new(inner)));
        let spawn = |node| {
            let addr = addr_of(node);
            let config = ChitchatConfig {
                chitchat_id: ChitchatId {
                    node_id: format!("node-{node}").into(),
                    generation_id: 0,
                    gossip_advertise_addr: addr,
                },
                cluster_id: "members".to_owned(),
                gossip_interval: GOSSIP_INTERVAL,
                listen_addr: addr,
                seed_nodes: vec![addr_of(0).to_string()],
                failure_detector_config: Default::default(),
                marked_for_deletion_grace_period: GRACE,
                catchup_callback: None,
                extra_liveness_predicate: None,
                protocol_version: ProtocolVersion::V0,
            };
            let started = runtime.block_on(async {
                sleep(Duration::from_secs(1) / setup.nodes as u32).await;
                spawn_chitchat(config, Vec::new(), &medium).await
            });
            started.expect("a node in memory starts")
        };
        let nodes = (0..setup.nodes).map(spawn).collect();
        let now = runtime.block_on(async { Instant::now() });
        let (dead, crashed) = (vec![HashSet::new(); setup.nodes], HashSet::new());
        Self { began, now, medium, nodes, crashed, dead, verdicts: Vec::new(), runtime }
    }

    /// Notes whom each node that runs shows as dead since it was last looked at.
    fn look(&mut self) {
        for (by, node) in self.nodes.iter().enumerate().filter(|(by, _)| !self.crashed.contains(by)) {
            let dead: HashSet<_> = self.runtime.block_on(node.with_chitchat(|state| {
                state.dead_nodes().map(|id| node_of(id.gossip_advertise_addr)).collect()
            }));
            let at = self.now - self.began;
            self.verdicts.extend(dead.difference(&self.dead[by]).map(|of| Verdict { at, by, of: *of }));
            self.dead[by] = dead;
        }
    }
}

impl System for Network {
    fn now(&self) -> Duration {
        self.now - self.began
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = until.min(self.now + LOOK_EVERY);
            let now = self.now;
            self.runtime.block_on(async { sleep_until(now).await });
            self.look();
        }
    }

    fn crash(&mut self, node: usize) {
        self.nodes[node].abort();
        self.medium.lock().hosts[node].0 = None;
        self.crashed.insert(node);
    }

    fn pause(&mut self, node: usize, time: Duration) {
        self.medium.lock().hosts[node].1 = self.now + time;
    }

    fn aim(&mut self, _: Aim, _: usize) {}

    fn lies(&self, _: usize) -> bool {
        false
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.clone()
    }

    fn shows(&self, node: usize, member: usize) -> bool {
        let is_member = |id: &ChitchatId| node_of(id.gossip_advertise_addr) == member;
        self.runtime.block_on(self.nodes[node].with_chitchat(|state| state.live_nodes().any(is_member)))
    }

    fn bytes_sent(&self) -> u64 {
        self.medium.lock().paths.bytes_sent
    }
}
