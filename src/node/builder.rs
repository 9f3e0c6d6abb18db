//! Building a node.

mod members;
#[cfg(any(test, feature = "memory"))]
mod memory;
mod socket;
mod start;
mod state;
mod transport;
#[cfg(feature = "sim")]
mod trial;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, watch};

use self::socket::Port;
use super::actor::{Actor, Parts};
use super::error::JoinError;
use super::folder::FolderError;
use super::opening;
use super::outside::Outside;
use super::speaker::Speaker;
use super::{Node, ParseAddrError, PeerAddr, VerifierPool, member_channels};
use crate::key::{PublicKey, SecretKey};
use crate::net::{BindError, GateConfig};
use crate::protocol::keeping::StoreAnswer;
use crate::protocol::{Config, ConfigError, Engine, Input, KeepError, MemberSetup, Mono, Now, Setup};
use crate::rumor::{MAX_METADATA, NetworkId, RuleError, RuleSet, Topic};
use crate::store::{PositionLogError, StoreError};

/// Messages that may wait for the actor; a sender with one more waits.
const INBOX: usize = 1024;
/// Events that a slow reader may fall behind before it lags.
const EVENTS: usize = 4096;
/// Bundles that wait for a topic's slowest reader, unless [`Builder::subscription_capacity`] says otherwise: at the most 512 MiB, of the
/// largest bodies.
const SUBSCRIPTION: usize = 8_192;

/// Collects what a node needs: begin with [`Node::with_state`], or with [`Node::builder`] and a key.
///
/// ```no_run
/// # async fn f(peers: Vec<vouchsafe::PeerAddr>) -> Result<(), vouchsafe::SpawnError> {
/// let node = vouchsafe::Node::with_state("./state").network("db.example").listen("0.0.0.0:4433").bootstrap(peers);
/// let node = node.advertise("db7.example:4433").metadata("region=eu").spawn().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    /// `None` if it is in the state folder.
    key: Option<SecretKey>,
    author: Option<SecretKey>,
    network: String,
    listen: String,
    advertise: Option<String>,
    bootstrap: Vec<PeerAddr>,
    candidates: Vec<PeerAddr>,
    topics: Vec<Topic>,
    /// What the node says of itself as a member; `None` if it is none.
    metadata: Option<Bytes>,
    observes: bool,
    position_log: Option<PathBuf>,
    store: Option<PathBuf>,
    state: Option<PathBuf>,
    config: Config,
    gate: GateConfig,
    port: Port,
    verifiers: Option<VerifierPool>,
    allow: Option<Vec<PublicKey>>,
    seed: Option<[u8; 32]>,
    capacity: usize,
    outside: Outside,
}

impl Node {
    /// Starts building a node with this node key.
    pub fn builder(key: SecretKey) -> Builder {
        Builder::new(Some(key))
    }
}

impl Builder {
    pub(super) fn new(key: Option<SecretKey>) -> Self {
        Self {
            key,
            author: None,
            network: "vouchsafe".into(),
            listen: "0.0.0.0:0".into(),
            advertise: None,
            bootstrap: Vec::new(),
            candidates: Vec::new(),
            topics: Vec::new(),
            metadata: Some(Bytes::new()),
            observes: false,
            position_log: None,
            store: None,
            state: None,
            config: Config::default(),
            gate: GateConfig::default(),
            port: Port::default(),
            verifiers: None,
            allow: None,
            seed: None,
            capacity: SUBSCRIPTION,
            outside: Outside::default(),
        }
    }

    /// The name of the network. Nodes of different networks refuse each other. Default "vouchsafe".
    pub fn network(mut self, name: impl Into<String>) -> Self {
        self.network = name.into();
        self
    }

    /// The UDP address to listen on, `IP:PORT` or `NAME:PORT`; port 0 takes any free one. Default "0.0.0.0:0".
    pub fn listen(mut self, addr: impl ToString) -> Self {
        self.listen = addr.to_string();
        self
    }

    /// Where others reach this node, `IP:PORT` or `NAME:PORT`: what [`Node::addr`] says instead of the address to listen on. For
    /// nodes that listen on all interfaces, as they do by default, or behind a forwarded port. It is told to nobody by itself.
    pub fn advertise(mut self, addr: impl ToString) -> Self {
        self.advertise = Some(addr.to_string());
        self
    }

    /// Nodes to find others by, at most 1 024: dialled at the start and, with growing pauses, whenever the link is down. Once the node has
    /// eight live links to others that it chose itself, these are candidates like those, until fewer than four are left. For links that
    /// stay there is [`Node::connect`]. One key may be given with several addresses; they are tried in turn. The node's own key is skipped.
    pub fn bootstrap(mut self, peers: impl IntoIterator<Item = PeerAddr>) -> Self {
        self.bootstrap.extend(peers);
        self
    }

    /// Nodes to link to if need be, at most 1 024. The node dials them while it has fewer links of its own than
    /// [`DialConfig::outbound`](crate::protocol::DialConfig::outbound), and for a moment each when it hears nothing new: then all its
    /// links may lead to liars. Name as many as you know, from as many sources as you can. The node begins with those that keep
    /// places for it ([`Config::is_hash_selected`]), and replaces one that refuses or hangs up. [`Node::suggest`] names more later.
    pub fn candidates(mut self, peers: impl IntoIterator<Item = PeerAddr>) -> Self {
        self.candidates.extend(peers);
        self
    }

    /// The key that signs rumors. Default: the author key of the [state folder](Self::state), else the node key. One author key has one
    /// live writer.
    pub fn author(mut self, key: SecretKey) -> Self {
        self.author = Some(key);
        self
    }

    /// A small file that records which positions the author may have used, so that a restart never uses one twice.
    /// Without it, an author key that was loaded (not generated) stays silent for half a minute after each start. A file
    /// that is missing is made; then a loaded key is silent for that long this once. A file beside it, of the same name and
    /// `.lock`, is locked until the node has ended, so that no second node writes under the same key. One more, of the same name and
    /// `.anchors`, has four peers by which a member that starts again finds its network.
    pub fn position_log(mut self, path: impl Into<PathBuf>) -> Self {
        self.position_log = Some(path.into());
        self
    }

    /// A folder in which the node keeps what topics say whose retention is longer than 90 s, and from when on its author may not have
    /// spoken. Made if it is not there. With it [`TopicHandle::publish`](crate::TopicHandle::publish) answers when the rumor is on the
    /// disk, and [`TopicHandle::replay`](crate::TopicHandle::replay) goes on after a restart. Without it the node keeps what fits
    /// [`TopicConfig::bytes`](crate::protocol::TopicConfig::bytes), in memory. It is locked until the node has ended.
    ///
    /// It does the work of a [`position_log`](Self::position_log), which may stand beside it. Of both the later record holds. Without one
    /// the peers by which a member finds its network again are here.
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// use vouchsafe::{Node, SecretKey};
    /// let key = SecretKey::load("node.key")?;
    /// let node = Node::builder(key).network("db.example").store("./data").spawn().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store = Some(folder.into());
        self
    }

    /// A topic that the node relays from the start to its end, at most 64 in all; join it to read and write. All nodes of a network
    /// should relay the same ones: spread among a few random subscribers alone leaves gaps.
    pub fn topic(mut self, topic: Topic) -> Self {
        self.topics.push(topic);
        self
    }

    /// Allows links with these node keys only, dialled by either side; and these members only: no other is shown or told of. Add a key
    /// everywhere before it starts, and remove it last. An empty list is refused by [`Builder::spawn`], and so is one of more than 65 536
    /// keys. [`Node::admit`] and [`Node::disallow`] change it while the node runs; nothing keeps it for the next start. Default: all keys.
    pub fn allow(mut self, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        self.allow = Some(keys.into_iter().collect());
        self
    }

    /// Parameters of the protocol.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Limits on handshakes.
    pub fn gate(mut self, gate: GateConfig) -> Self {
        self.gate = gate;
        self
    }

    /// Verifier threads to use, shared with other nodes of the process. Default: a pool of the node's own.
    pub fn verifiers(mut self, pool: VerifierPool) -> Self {
        self.verifiers = Some(pool);
        self
    }

    /// Bundles, of 1 to 64 rumors each, that a subscription may fall behind before it lags. Default 8 192. A place takes some
    /// 60 bytes, filled or not; a bundle that waits keeps its bodies in memory.
    pub fn subscription_capacity(mut self, bundles: usize) -> Self {
        self.capacity = bundles.clamp(1, 1 << 20);
        self
    }

    /// Decides the node's random choices, for tests that want to repeat them. Default: the operating system's entropy,
    /// which no peer can predict.
    pub fn rng_seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the node on the current tokio runtime.
    ///
    /// Dropping this future before it is done starts no node and frees the port. A state folder, position log or store that was being
    /// opened may have been made. A store that was damaged is made anew first, which can take minutes.
    ///
    /// # Errors
    /// If an address, a topic, the state folder, the position log, the store or a parameter is not usable; the error names it and says
    /// what to do.
    pub async fn spawn(self) -> Result<Node, SpawnError> {
        let (actor, node) = self.assemble().await?;
        tokio::spawn(actor.run());
        Ok(node)
    }

    pub(super) async fn assemble(self) -> Result<(Actor, Node), SpawnError> {
        let now_ms = self.outside.unix_ms();
        let verifiers = self.verifiers.unwrap_or_default();
        let config = Config { verifiers: verifiers.threads(), allow: self.allow, ..self.config };
        config.check()?;
        self.gate.check()?;
        let advertised = start::advertised(self.advertise)?;
        let network = NetworkId::of(&self.network);
        let rules = bound(&self.topics, network)?;
        let kept = state::open(self.state, self.key, self.author, self.position_log, self.store).await?;
        let (anchors, earlier) = start::anchors(kept.anchors(self.metadata.is_some())).await;
        let state::Kept { key, author, folder, cursors, position_log, store, .. } = kept;
        let files = start::open_files(position_log, store, &author, now_ms).await?;
        let config = if files.store.is_none() { opening::in_memory(config) } else { config };
        let endpoint = start::endpoint(self.port, &key, self.listen, self.gate).await?;
        let local_addr = endpoint.local_addr().map_err(SpawnError::LocalAddr)?;
        let speaker = Speaker::new(endpoint, key.clone(), network);
        let (damage, seed) = (files.damage(), self.seed.map_or_else(start::entropy, Ok)?);
        let started = tokio::time::Instant::now();
        let (dialled_by, leave_free) = (config.clone(), config.history.leave_free);
        let id = key.public();
        let setup = Setup { network, node: id, author, position_log: files.used, seed, config };
        let author = setup.author.public();
        let addresses = members::addresses(advertised.as_ref(), local_addr);
        let member = members::setup(self.metadata, self.observes, &addresses)?;
        let engine = engine(setup, now_ms, member.map(|member| (key, member)));
        let (inbox_in, inbox) = mpsc::channel(INBOX);
        let (events, _) = broadcast::channel(EVENTS);
        let events_out = events.downgrade();
        let (links_in, links) = watch::channel(0);
        let (members_in, members) = member_channels::channels();
        let parts = Parts {
            engine,
            started,
            endpoint: Arc::clone(speaker.endpoint()),
            inbox_in: inbox_in.downgrade(),
            inbox,
            events,
            links: links_in,
            members: members_in,
            addresses,
            verifiers,
            position_log: files.position_log,
            anchors,
            capacity: self.capacity,
            outside: self.outside.clone(),
            key: id,
            network,
            config: dialled_by,
            folder,
        };
        let (keeper, started) = opening::keeper(files.store, author, leave_free, self.outside);
        let mut actor = Actor::new(parts, keeper);
        begin(&mut actor, started, rules, earlier, self.bootstrap, self.candidates)?;
        let node = Node::new(
            id, author, network, local_addr, advertised, inbox_in, events_out, links, members, speaker,
            damage, cursors,
        );
        Ok((actor, node))
    }
}

/// The rules of the topics that a node relays from the start on.
fn bound(topics: &[Topic], network: NetworkId) -> Result<Vec<RuleSet>, SpawnError> {
    Ok(topics.iter().map(|topic| topic.bind(network)).collect::<Result<Vec<_>, _>>()?)
}

/// The engine of a node, and of which member it is one, if it is.
fn engine(setup: Setup, now_ms: u64, member: Option<(SecretKey, MemberSetup)>) -> Engine {
    let mut engine = Engine::new(setup, Now { mono: Mono::default(), unix_ms: now_ms });
    // Each endpoint takes connections; whether a route leads to it, peers find out.
    engine.set_reach(true, crate::net::KEEP_ALIVE);
    match member {
        Some((key, member)) => engine.with_members(key, member),
        None => engine,
    }
}

/// What a node is told before all else.
fn begin(
    actor: &mut Actor,
    store: Option<StoreAnswer>,
    topics: Vec<RuleSet>,
    anchors: Vec<PeerAddr>,
    bootstrap: Vec<PeerAddr>,
    candidates: Vec<PeerAddr>,
) -> Result<(), SpawnError> {
    // Before any topic is opened.
    store.into_iter().for_each(|started| actor.handle(Input::Store(started)));
    topics.into_iter().try_for_each(|rules| actor.relay(Arc::new(rules))).map_err(SpawnError::Join)?;
    // Before others, so that they are dialled first.
    actor.anchor(anchors);
    bootstrap.into_iter().try_for_each(|peer| actor.enter(peer))?;
    Ok(candidates.into_iter().try_for_each(|peer| actor.suggest(peer))?)
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The address to listen on is not one.
    #[error("can't listen on {text:?}: {why}; give IP:PORT, as in 0.0.0.0:4433, or port 0 for any free port")]
    Listen {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The address to advertise is not one.
    #[error("can't advertise {0}")]
    Advertise(ParseAddrError),
    /// A parameter of the protocol or of the gate is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The socket or TLS.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The transport, of the application or in memory, can't be used, as the words say.
    #[error("the transport can't be used: {0}")]
    Transport(String),
    /// The socket does not say where it is.
    #[error(
        "the socket does not tell its address: {0}; listen on another, or give the builder an endpoint that is open"
    )]
    LocalAddr(std::io::Error),
    /// A topic's rules are out of range.
    #[error(transparent)]
    Topic(#[from] RuleError),
    /// What the node says of itself is too long.
    #[error(
        "metadata have at most {MAX_METADATA} bytes, these have {0}: what is larger belongs into a topic"
    )]
    Metadata(usize),
    /// A topic of the builder can't be relayed.
    #[error("a topic of the builder can't be relayed: {0}")]
    Join(JoinError),
    /// The bootstrap list, or that of candidates, is too long.
    #[error(transparent)]
    Bootstrap(#[from] KeepError),
    /// The position log.
    #[error(transparent)]
    PositionLog(#[from] PositionLogError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No randomness.
    #[error(
        "the operating system gave no entropy, which a node can't do without: {0}; spawn it again when there is some"
    )]
    Entropy(String),
    /// The runtime is going down.
    #[error("the tokio runtime is shutting down: spawn nodes while it runs")]
    Stopped,
}
