//! chitchat: of each node a version, and the key-values that are newer than it. The 16 authors are nodes, each item is a key of its own
//! with a value that is never replaced, so that nothing of the log is lost. Two of the nodes run, over its own UDP on loopback; a round of
//! gossip (syn, syn-ack, ack) is begun when the one before is over. What is missing comes in the messages that find it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::chitchat::transport::{RecvOutcome, SendOutcome, Socket, Transport, UdpTransport};
use ::chitchat::{
    ChitchatConfig, ChitchatEnvelope, ChitchatHandle, ChitchatId, DeletionStatus, ProtocolVersion,
    VersionedValue, spawn_chitchat,
};
use anyhow::ensure;
use tokio::sync::Notify;

use super::{Cost, Found, Outcome};
use crate::items::{self, AUTHORS, Difference, Item};
use crate::process::cpu;

/// The side that has all is the node of this author, the other one that of the next.
const WHOLE: usize = 0;
const LACKING: usize = 1;
/// A round is begun by hand.
const NEVER: Duration = Duration::from_secs(24 * 3_600);
const STARTS: Duration = Duration::from_millis(50);
/// Messages of a round.
const ROUND: u64 = 3;
/// Rounds are over by then, or something is wrong.
const LIMIT: u64 = 1_000;

/// What a side has sent, and how many messages it has dealt with.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    handled: AtomicU64,
    busy: AtomicBool,
    moved: Notify,
}

struct Counting(Arc<Counts>);

struct Port {
    counts: Arc<Counts>,
    socket: Box<dyn Socket>,
}

#[async_trait::async_trait]
impl Transport for Counting {
    async fn open(&self, listen_addr: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = UdpTransport.open(listen_addr).await?;
        Ok(Box::new(Port { counts: Arc::clone(&self.0), socket }))
    }
}

#[async_trait::async_trait]
impl Socket for Port {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr()
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> anyhow::Result<SendOutcome> {
        let sent = self.socket.send(to, envelope).await?;
        self.counts.sent.fetch_add(sent.num_bytes_sent as u64, Ordering::Relaxed);
        Ok(sent)
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        // It asks for the next message when it has dealt with the last one.
        if self.counts.busy.swap(false, Ordering::Relaxed) {
            self.counts.handled.fetch_add(1, Ordering::Relaxed);
            self.counts.moved.notify_one();
        }
        let received = self.socket.recv().await?;
        self.counts.busy.store(true, Ordering::Relaxed);
        Ok(received)
    }
}

fn id_of(author: usize, addr: SocketAddr) -> ChitchatId {
    ChitchatId { node_id: format!("node-{author}").into(), generation_id: 0, gossip_advertise_addr: addr }
}

struct Side {
    node: ChitchatHandle,
    counts: Arc<Counts>,
    addr: SocketAddr,
}

fn free_addr() -> anyhow::Result<SocketAddr> {
    Ok(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Side {
    async fn new(author: usize, addr: SocketAddr) -> anyhow::Result<Self> {
        let counts = Arc::new(Counts::default());
        let config = ChitchatConfig {
            chitchat_id: id_of(author, addr),
            cluster_id: "history".to_owned(),
            gossip_interval: NEVER,
            listen_addr: addr,
            seed_nodes: Vec::new(),
            failure_detector_config: Default::default(),
            marked_for_deletion_grace_period: NEVER,
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V0,
        };
        let node = spawn_chitchat(config, Vec::new(), &Counting(Arc::clone(&counts))).await?;
        Ok(Self { node, counts, addr })
    }

    /// Gives it the items, of its own author as it would set them, of the others as they would have come.
    async fn fill(&self, own: usize, ids: &[ChitchatId], items: &[Item]) {
        let mut state = self.node.chitchat().lock_owned().await;
        for (author, id) in ids.iter().enumerate() {
            let of_author = items.iter().filter(|item| item.author == author);
            if author == own {
                for item in of_author {
                    state.self_node_state().set(key_of(item), item.body());
                }
                continue;
            }
            // Versions count from 1.
            let versioned = |item: &Item| {
                let version = item.number as u64 + 1;
                (key_of(item), VersionedValue { value: item.body(), version, status: DeletionStatus::Set })
            };
            let latest = of_author.clone().map(|item| item.number as u64 + 1).max().unwrap_or(0);
            state.reset_node_state_if_update(id, of_author.map(versioned), latest, 0);
        }
    }

    async fn len(&self) -> usize {
        let state = self.node.chitchat().lock_owned().await;
        state.node_states().values().map(|node| node.num_key_values()).sum()
    }
}

fn key_of(item: &Item) -> String {
    format!("{:08}", item.number)
}

/// One round, begun by the side that lacks something.
async fn round(whole: &Side, lacking: &Side) -> anyhow::Result<Cost> {
    let sent = |side: &Side| side.counts.sent.load(Ordering::Relaxed);
    let handled = |side: &Side| side.counts.handled.load(Ordering::Relaxed);
    let (up, down, before) = (sent(lacking), sent(whole), cpu());
    let all = handled(whole) + handled(lacking) + ROUND;
    lacking.node.gossip(whole.addr)?;
    let over = async {
        while handled(whole) + handled(lacking) < all {
            tokio::select! {
                () = whole.counts.moved.notified() => {}
                () = lacking.counts.moved.notified() => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), over).await?;
    Ok(Cost { up: sent(lacking) - up, down: sent(whole) - down, rounds: 1, cpu: cpu() - before })
}

async fn compare(difference: Difference, count: usize) -> Outcome {
    let addrs = [free_addr()?, free_addr()?];
    let ids: Vec<_> = (0..AUTHORS)
        .map(|author| {
            // Nobody listens where the others are said to be: all of their items are with the two.
            let nobody = SocketAddr::from((Ipv4Addr::new(127, 1, 0, author as u8), 9));
            id_of(author, addrs.get(author).copied().unwrap_or(nobody))
        })
        .collect();
    let (whole, lacking) = (Side::new(WHOLE, addrs[WHOLE]).await?, Side::new(LACKING, addrs[LACKING]).await?);
    // A node gossips once when it starts: it knows nobody yet.
    tokio::time::sleep(STARTS).await;
    let all: Vec<_> = items::all(count).collect();
    let some: Vec<_> = all.iter().copied().filter(|item| !difference.lacks(item, count)).collect();
    lacking.fill(LACKING, &ids, &some).await;
    // They meet before, so that no round that counts is one of strangers.
    whole.fill(WHOLE, &ids, &some).await;
    for _ in 0..2 {
        round(&whole, &lacking).await?;
    }
    ensure!(whole.len().await == some.len() && lacking.len().await == some.len(), "the sides differ before");
    whole.fill(WHOLE, &ids, &all).await;
    let mut cost = Cost::default();
    loop {
        let one = round(&whole, &lacking).await?;
        cost.up += one.up;
        cost.down += one.down;
        cost.rounds += one.rounds;
        cost.cpu += one.cpu;
        if lacking.len().await == all.len() {
            return Ok(Some(Found { known: cost, come: None }));
        }
        ensure!(cost.rounds < LIMIT, "it has {} of {} items", lacking.len().await, all.len());
    }
}

pub(super) fn run(difference: Difference, count: usize) -> Outcome {
    if !matches!(difference, Difference::Equal | Difference::Tail) {
        // Whoever has a version has all before it: a gap below it can't be said.
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(compare(difference, count))
}
