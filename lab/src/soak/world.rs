//! The honest nodes: each has a place with an address, and lives there again and again.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use vouchsafe::{
    Config, Delivery, Event, Gap, MemberState, Node, NodeStats, PeerAddr, PublicKey, PublishError, RumorId,
    SecretKey, Topic, TopicHandle, Validation, VerifierPool,
};
use vouchsafe_cli::demo::plan::Dice;
use vouchsafe_cli::exit::Failure;

use super::past::{self, Honest, RETENTION};
use super::socket::{self, Cut};
use super::trouble::{Switches, UnderWay};

const NETWORK: &str = "vouchsafe-soak";
const TOPIC: &str = "rumors";
/// A socket of the life before is open for as long as QUIC drains its connections: three times what it takes to miss an
/// answer, which after a partition may be minutes. Who comes back earlier comes back at another address.
const REBINDING: Duration = Duration::from_secs(2);
/// Bundles that wait for the soak, which shares the processors with all nodes: some seconds of a flood of new keys.
const UNREAD: usize = 65_536;
/// What a life has to say to its peers at its end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// One life of a node.
pub(super) struct Life {
    pub(super) number: u64,
    pub(super) node: Node,
    pub(super) topic: TopicHandle,
    pub(super) addr: SocketAddr,
    /// It asks a validator about each rumor, which takes its time now and then.
    pub(super) validates: bool,
    pub(super) switches: Arc<Switches>,
    endpoint: quinn::Endpoint,
    dead: Arc<AtomicBool>,
    book: past::Shared,
}

/// What is seen of the nodes. `life` tells whether it is still of interest.
pub(super) enum News {
    Delivery {
        slot: usize,
        life: u64,
        delivery: Delivery,
        at: Instant,
    },
    Event {
        slot: usize,
        life: u64,
        event: Event,
    },
    /// A reader fell behind: what it reads, and how many of those it did not see.
    Missed(&'static str, u64),
    Published {
        slot: usize,
        life: u64,
        /// Which of all.
        number: u64,
        body: bytes::Bytes,
        result: Result<RumorId, PublishError>,
        at: Instant,
    },
    /// The reader of what a node keeps has come upon something that an honest node has said.
    Kept {
        slot: usize,
        life: u64,
        body: bytes::Bytes,
        at: Instant,
    },
    /// A life has left its topic and joined it again.
    Rejoined {
        slot: usize,
        life: u64,
        topic: TopicHandle,
    },
    Stats {
        at: Instant,
        all: Vec<Books>,
    },
    Up {
        slot: usize,
        life: Box<Life>,
    },
    Down {
        slot: usize,
    },
    Failed(String),
}

/// What a node shows when it is asked.
pub(super) struct Books {
    pub(super) slot: usize,
    pub(super) life: u64,
    pub(super) stats: Result<NodeStats, Silence>,
    /// Members that it shows, each with its state.
    pub(super) members: HashMap<PublicKey, MemberState>,
}

/// Why a node gave no books.
#[derive(Clone, Copy, Debug)]
pub(super) enum Silence {
    /// It has ended.
    Ended,
    /// It did not answer in time.
    Hangs,
}

/// What all lives share.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) cut: Arc<Cut>,
    pub(super) config: Config,
    verifiers: VerifierPool,
    /// Every second node asks a validator about each rumor.
    validates: bool,
    pub(super) honest: Honest,
    pub(super) news: mpsc::Sender<News>,
}

/// What a place gives each of its lives.
struct Birth {
    slot: usize,
    number: u64,
    key: SecretKey,
    position_log: PathBuf,
    store: Option<PathBuf>,
    addr: SocketAddr,
    book: past::Shared,
    /// It dials the first, and if it can't have its old address, and so can't be found, the others too.
    peers: [Vec<PeerAddr>; 2],
}

impl Ground {
    pub(super) fn new(nodes: usize, validates: bool, news: mpsc::Sender<News>) -> Self {
        let mut config = Config::default();
        config.expected_nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        // One pool for all: threads for each node would only take the processors from each other.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cut: Arc::default(),
            config,
            verifiers: VerifierPool::new(threads),
            validates,
            honest: Honest::default(),
            news,
        }
    }

    /// Begins a life, and tells of it when it is up.
    ///
    /// It dials `peers`, and if it can't have its old address, and so can't be found, `others` too.
    pub(super) fn begin(
        &self,
        slot: usize,
        number: u64,
        place: &Place,
        peers: Vec<PeerAddr>,
        others: Vec<PeerAddr>,
    ) {
        let ground = self.clone();
        let birth = Birth {
            slot,
            number,
            key: place.key.clone(),
            position_log: place.position_log.clone(),
            store: place.store.clone(),
            addr: place.addr,
            book: Arc::clone(&place.book),
            peers: [peers, others],
        };
        tokio::spawn(async move {
            let news = match ground.spawn(birth).await {
                Ok(life) => News::Up { slot, life: Box::new(life) },
                Err(Failure::Usage(why) | Failure::Failed(why)) => {
                    News::Failed(format!("node {slot} can't start: {why}"))
                }
                Err(_) => return,
            };
            let _ = ground.news.send(news).await;
        });
    }

    /// Nobody dials a key that will not come back.
    pub(super) fn forget<'a>(&self, key: PublicKey, lives: impl Iterator<Item = &'a Life>) {
        let nodes: Vec<_> = lives.map(|life| life.node.clone()).collect();
        tokio::spawn(async move {
            for node in nodes {
                // A closed node dials nobody.
                let _ = node.stop_dialling(key).await;
            }
        });
    }

    async fn spawn(&self, birth: Birth) -> Result<Life, Failure> {
        let Birth { slot, number, key, position_log, store, addr, book, peers: [peers, others] } = birth;
        let patience = Instant::now() + REBINDING;
        let mut at = addr;
        let (endpoint, dead) = loop {
            match socket::endpoint(at, &self.cut) {
                Ok(bound) => break bound,
                Err(_) if Instant::now() > patience => {
                    at.set_port(10_000 + at.port().wrapping_mul(31) % 20_000)
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let switches = Arc::new(Switches::default());
        let [clock, disk, commits] = [(); 3].map(|()| Arc::clone(&switches));
        let builder = Node::builder(key).clock(move || clock.unix_ms());
        let builder = match store {
            Some(folder) => builder.store(folder).before_commit(move || commits.before_record()),
            None => builder.position_log(position_log).before_record(move || disk.before_record()),
        };
        let node = builder
            .network(NETWORK)
            .endpoint(endpoint.clone())
            .config(self.config.clone())
            .verifiers(self.verifiers.clone())
            .subscription_capacity(UNREAD)
            .spawn()
            .await
            .map_err(Failure::failed)?;
        // Readers before links, so that nothing is missed.
        let validates = self.validates && slot.is_multiple_of(2);
        let topic = join(&node, validates, &switches).await.map_err(Failure::failed)?;
        self.read(slot, number, &topic);
        past::read(&book, slot, number, &topic, self);
        self.watch(slot, number, &node);
        let others = others.into_iter().filter(|_| at != addr);
        for peer in peers.into_iter().chain(others) {
            node.connect(peer).await.map_err(Failure::failed)?;
        }
        Ok(Life { number, node, topic, addr: at, validates, switches, endpoint, dead, book })
    }

    /// Leaves the topic of a life and joins it again after a while.
    pub(super) fn rejoin(&self, slot: usize, life: &Life, away: Duration) {
        let (ground, validates, switches) = (self.clone(), life.validates, Arc::clone(&life.switches));
        let (book, life, node, topic) =
            (Arc::clone(&life.book), life.number, life.node.clone(), life.topic.clone());
        tokio::spawn(async move {
            let _ = topic.leave().await;
            tokio::time::sleep(away).await;
            // A node that has ended meanwhile has no topic to join, and is not asked for one.
            if let Ok(topic) = join(&node, validates, &switches).await {
                ground.read(slot, life, &topic);
                past::read(&book, slot, life, &topic, &ground);
                let _ = ground.news.send(News::Rejoined { slot, life, topic }).await;
            }
        });
    }

    fn read(&self, slot: usize, life: u64, topic: &TopicHandle) {
        let (mut rumors, news) = (topic.subscribe(), self.news.clone());
        tokio::spawn(async move {
            while let Some(next) = rumors.next().await {
                let at = Instant::now();
                let next = match next {
                    Ok(delivery) => News::Delivery { slot, life, delivery, at },
                    Err(Gap::Lagged(count)) => News::Missed("deliveries", count),
                    // Who was cut off or stopped is known here.
                    Err(_) => continue,
                };
                if news.send(next).await.is_err() {
                    return;
                }
            }
        });
    }

    fn watch(&self, slot: usize, life: u64, node: &Node) {
        let (mut events, news) = (node.events(), self.news.clone());
        tokio::spawn(async move {
            while let Some(next) = events.next().await {
                let next = next.map(|event| News::Event { slot, life, event });
                if news.send(next.unwrap_or_else(|lagged| News::Missed("events", lagged.0))).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Ends a life in order, or as a crash: then no packet leaves it any more, not even a goodbye.
    pub(super) fn end(&self, slot: usize, life: Life, crash: bool) {
        let news = self.news.clone();
        tokio::spawn(async move {
            // The disk of a process that ends is done with, and the next life finds it so.
            life.switches.set_right();
            life.dead.store(crash, Ordering::Relaxed);
            let _ = tokio::time::timeout(LAST_WORDS, life.node.shutdown()).await;
            life.endpoint.close(0u32.into(), b"");
            let _ = tokio::time::timeout(Duration::from_secs(1), life.endpoint.wait_idle()).await;
            drop(life);
            let _ = news.send(News::Down { slot }).await;
        });
    }
}

async fn join(
    node: &Node,
    validates: bool,
    switches: &Arc<Switches>,
) -> Result<TopicHandle, vouchsafe::JoinError> {
    let rumors = Topic::named(TOPIC).retention(RETENTION);
    if !validates {
        return node.join(rumors).await;
    }
    let switches = Arc::clone(switches);
    let validator = move |_| {
        let thinks = switches.thinks();
        async move {
            if !thinks.is_zero() {
                tokio::time::sleep(thinks).await;
            }
            Validation::Accept
        }
    };
    node.join_with(rumors, validator).await
}

/// Where a node lives, and as whom.
pub(super) struct Place {
    pub(super) addr: SocketAddr,
    pub(super) key: SecretKey,
    position_log: PathBuf,
    /// `None` for one that keeps what it can in memory: every third.
    store: Option<PathBuf>,
    /// Before it comes back.
    pub(super) loses_disk: bool,
    pub(super) book: past::Shared,
    /// `None` while it is away, or on its way in or out.
    pub(super) life: Option<Life>,
    /// On its way in or out.
    pub(super) moving: bool,
    /// Of the life that it has or that has begun: it tells of its first deliveries before we are told that it is up.
    pub(super) number: Option<u64>,
    pub(super) began: Instant,
    /// If away: when it comes back.
    pub(super) back_at: Option<Instant>,
    /// It dials all its neighbours, since those that should dial it do not know its new key.
    pub(super) newcomer: bool,
    /// What is wrong with it.
    pub(super) trouble: Option<UnderWay>,
    /// What is said from then on it must hear, and must be heard of it.
    pub(super) hears_from: Instant,
    /// From then on it must answer each publish.
    pub(super) speaks_from: Instant,
    /// Since when it has had no link to an honest node, as far as that is nobody's fault.
    pub(super) alone_since: Instant,
}

impl Place {
    /// Takes a free port and keeps its number. Not one that the system gives to who asks for any: an attacker would have it
    /// while the node is away.
    pub(super) fn new(slot: usize, folder: &Path, dice: &mut Dice) -> Result<Self, Failure> {
        let free = |port: u16| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?.local_addr().ok();
        let addr = (0..100).find_map(|_| free(10_000 + dice.below(20_000) as u16));
        let addr =
            addr.ok_or_else(|| Failure::failed("no free port between 10000 and 30000 in 100 tries"))?;
        let key = SecretKey::generate();
        let position_log = folder.join(format!("{slot}-0.positions"));
        let store = (slot % 3 != 2).then(|| folder.join(format!("{slot}-0.store")));
        Ok(Self {
            addr,
            key,
            position_log,
            store,
            loses_disk: false,
            book: past::Shared::default(),
            life: None,
            moving: false,
            number: None,
            began: Instant::now(),
            back_at: None,
            newcomer: false,
            trouble: None,
            hears_from: Instant::now(),
            speaks_from: Instant::now(),
            alone_since: Instant::now(),
        })
    }

    pub(super) fn peer(&self) -> PeerAddr {
        PeerAddr::new(self.key.public(), self.addr)
    }

    /// Will come back as somebody new.
    pub(super) fn reborn(&mut self, slot: usize, number: u64, folder: &Path) {
        let _ = std::fs::remove_file(&self.position_log);
        self.lose_disk();
        self.store = self.store.is_some().then(|| folder.join(format!("{slot}-{number}.store")));
        self.key = SecretKey::generate();
        self.position_log = folder.join(format!("{slot}-{number}.positions"));
        self.book = past::Shared::default();
        self.newcomer = true;
    }

    pub(super) const fn has_disk(&self) -> bool {
        self.store.is_some()
    }

    /// What it kept is gone.
    pub(super) fn lose_disk(&mut self) {
        if let Some(store) = &self.store {
            let _ = std::fs::remove_dir_all(store);
        }
        past::forgets(&self.book);
    }
}
