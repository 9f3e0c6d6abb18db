//! Hostile peers over real QUIC: an adversary with links of its own to real nodes.
//!
//! **This is the lower level**, behind the feature `sim`: anything here may change in a minor version ([stability](crate#stability)).
//!
//! ```no_run
//! # async fn attack(topic: vouchsafe::TopicHandle) -> Option<()> {
//! use std::time::Duration;
//! use vouchsafe::SecretKey;
//! use vouchsafe::adversary::Liar;
//! use vouchsafe::hostile::{HostilePeer, Target};
//!
//! let victim = topic.node().addr()?;
//! let victim = Target { key: victim.key, addr: victim.socket()? };
//! let liar = HostilePeer::new(Liar::Phantoms, SecretKey::generate(), topic.rules().clone()).hurried(16);
//! // Until the node has closed the link, or a minute is over.
//! let _ = tokio::time::timeout(Duration::from_secs(60), liar.run(&[victim], |_| ())).await;
//! # Some(())
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use quinn::SendStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::adversary::{Impostor, Liar, Plot, Step};
use crate::key::{PublicKey, SecretKey};
use crate::net::{BareError, BarePeer};
use crate::protocol::{DownReason, LinkId, MemberSetup, Mono, Now};
use crate::rumor::RuleSet;
use crate::wire::{Lane, Reason};

/// Bytes that may wait for a link. A hostile peer whose victim does not read acts no more until it does, and what it would send
/// all the same is lost.
const QUEUE: usize = 1 << 20;
/// Frames that wait to be heard, of all links: whoever sends more is read later.
const INBOX: usize = 64;
/// How long its engine waits for its own goodbye to be written.
const GOODBYE: Duration = Duration::from_millis(100);

/// Whom a hostile peer dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who answers there.
    pub key: PublicKey,
    /// Where.
    pub addr: SocketAddr,
}

/// What becomes of a hostile peer. The numbers are those of its targets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Seen {
    /// It has a link.
    Met(usize),
    /// It got none.
    NotMet(usize, String),
    /// It has lied so often by now, over whatever link.
    Lied(u64),
    /// A link has ended: with which code, and why.
    Closed(usize, u64, String),
}

/// A hostile peer that has yet to dial.
#[derive(Clone, Debug)]
pub struct HostilePeer {
    liar: Liar,
    key: SecretKey,
    rules: Arc<RuleSet>,
    victim: Option<PublicKey>,
    haste: u32,
    seed: u64,
    socket: Option<quinn::Endpoint>,
    says: Option<MemberSetup>,
}

impl HostilePeer {
    /// One that lies like this, in a topic with these rules. `key` is its node key and its author key.
    pub fn new(liar: Liar, key: SecretKey, rules: RuleSet) -> Self {
        let seed =
            key.public().as_bytes().iter().fold(0u64, |seed, byte| seed.rotate_left(7) ^ u64::from(*byte));
        Self { liar, key, rules: Arc::new(rules), victim: None, haste: 1, seed, socket: None, says: None }
    }

    /// Whom it is after, if it lies about somebody. Without this, its first target.
    #[must_use]
    pub fn after(mut self, victim: PublicKey) -> Self {
        self.victim = Some(victim);
        self
    }

    /// As [`Impostor::hurried`].
    #[must_use]
    pub fn hurried(mut self, haste: u32) -> Self {
        self.haste = haste;
        self
    }

    /// Dials from a socket that others may share. Without this it has one for each link.
    #[must_use]
    pub fn from_socket(mut self, socket: quinn::Endpoint) -> Self {
        self.socket = Some(socket);
        self
    }

    /// It is a member of the network, too, and says this of itself. Without this it is none.
    #[must_use]
    pub fn as_member(mut self, says: MemberSetup) -> Self {
        self.says = Some(says);
        self
    }

    /// Dials all targets and lies to them, until its last link has ended. Whoever drops this ends them.
    pub async fn run(self, targets: &[Target], mut seen: impl FnMut(Seen)) {
        let origin = Instant::now();
        let everybody: Vec<_> = targets.iter().map(|target| target.key).collect();
        let Some(victim) = self.victim.or(everybody.first().copied()) else { return };
        let plot = Plot { rules: Arc::clone(&self.rules), victim, everybody: everybody.into() };
        let (key, now, seed) = (self.key.clone(), now(origin), self.seed);
        let impostor = match self.says.clone() {
            Some(says) => Impostor::member(&self.liar, key, plot, now, seed, says),
            None => Impostor::new(&self.liar, key, plot, now, seed),
        };
        let (events_in, events) = mpsc::channel(INBOX);
        let mut stage = Stage {
            targets,
            origin,
            impostor: impostor.hurried(self.haste),
            peer: self,
            links: BTreeMap::new(),
            next_link: 0,
            dialling: BTreeSet::new(),
            events_in,
            room: Arc::new(Notify::new()),
            tasks: JoinSet::new(),
            lies: 0,
        };
        (0..targets.len()).for_each(|at| stage.dial(at));
        stage.play(events, &mut seen).await;
    }
}

/// One link: what waits for each of its lanes.
struct Link {
    target: usize,
    lanes: [mpsc::UnboundedSender<Bytes>; Lane::COUNT],
    waiting: Arc<AtomicUsize>,
    connection: quinn::Connection,
}

enum Event {
    Dialled(usize, Box<Result<(BarePeer, Vec<SendStream>), BareError>>),
    Frame(LinkId, Lane, Bytes),
    Down(LinkId, u64, String),
}

struct Stage<'a> {
    peer: HostilePeer,
    targets: &'a [Target],
    origin: Instant,
    impostor: Impostor,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    /// Targets that are being dialled.
    dialling: BTreeSet<usize>,
    events_in: mpsc::Sender<Event>,
    /// Something that waited for a link was written.
    room: Arc<Notify>,
    tasks: JoinSet<()>,
    lies: u64,
}

impl Stage<'_> {
    async fn play(&mut self, mut events: mpsc::Receiver<Event>, seen: &mut impl FnMut(Seen)) {
        while !self.links.is_empty() || !self.dialling.is_empty() {
            let full = self.links.values().any(|link| link.waiting.load(Ordering::Relaxed) > QUEUE);
            let deadline =
                self.impostor.next_deadline().map(|at| self.origin + Duration::from_nanos(at.as_nanos()));
            let wake = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(event) = events.recv() => self.happens(event, seen),
                () = wake, if !full => self.impostor.tick(now(self.origin)),
                () = self.room.notified(), if full => {}
            }
            self.act();
            if self.lies != self.impostor.lies() {
                self.lies = self.impostor.lies();
                seen(Seen::Lied(self.lies));
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn dial(&mut self, at: usize) {
        let Some(target) = self.targets.get(at).copied() else { return };
        if !self.dialling.insert(at) {
            return;
        }
        let (key, socket, events) = (self.peer.key.clone(), self.peer.socket.clone(), self.events_in.clone());
        self.tasks.spawn(async move {
            let dialled = connect(&key, socket, target).await;
            // Fails only when the stage is gone.
            let _ = events.send(Event::Dialled(at, Box::new(dialled))).await;
        });
    }

    fn happens(&mut self, event: Event, seen: &mut impl FnMut(Seen)) {
        let now = now(self.origin);
        match event {
            Event::Dialled(at, dialled) => {
                self.dialling.remove(&at);
                match *dialled {
                    Ok((bare, streams)) => {
                        seen(Seen::Met(at));
                        self.link_up(now, at, bare, streams);
                    }
                    Err(error) => seen(Seen::NotMet(at, error.to_string())),
                }
            }
            Event::Frame(link, lane, payload) if self.links.contains_key(&link) => {
                self.impostor.frame(now, link, lane, payload);
            }
            Event::Frame(..) => {}
            Event::Down(link, code, words) => {
                if let Some(gone) = self.links.remove(&link) {
                    let why = Reason::from_code(code).map_or(DownReason::Dropped, DownReason::ClosedByPeer);
                    self.impostor.link_down(now, link, why);
                    seen(Seen::Closed(gone.target, code, words));
                }
            }
        }
    }

    fn link_up(&mut self, now: Now, target: usize, mut bare: BarePeer, streams: Vec<SendStream>) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (peer, connection) = (bare.peer(), bare.quinn().clone());
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut streams = streams.into_iter();
        let lanes = Lane::ALL.map(|_| {
            let (lane, frames) = mpsc::unbounded_channel();
            if let Some(stream) = streams.next() {
                self.tasks.spawn(write(stream, frames, Arc::clone(&waiting), Arc::clone(&self.room)));
            }
            lane
        });
        let events = self.events_in.clone();
        self.tasks.spawn(async move {
            while let Some((lane, payload)) = bare.recv_frame().await {
                if events.send(Event::Frame(link, lane, payload)).await.is_err() {
                    return;
                }
            }
            let (code, words) = bare.closed().await;
            let _ = events.send(Event::Down(link, code, words)).await;
        });
        let rtt = connection.rtt();
        self.links.insert(link, Link { target, lanes, waiting, connection });
        self.impostor.link_up(now, link, peer, true, rtt);
    }

    /// Does what the impostor wants done.
    fn act(&mut self) {
        while let Some(step) = self.impostor.poll() {
            match step {
                Step::Send { link, lane, payload } => {
                    let Some(link) = self.links.get(&link) else { continue };
                    if link.waiting.load(Ordering::Relaxed) > 2 * QUEUE {
                        continue;
                    }
                    link.waiting.fetch_add(payload.len(), Ordering::Relaxed);
                    if let Some(lane) = link.lanes.get(lane.index()) {
                        // Fails only when the link has ended, as an event will tell.
                        let _ = lane.send(payload);
                    }
                }
                Step::Close { link, reason } => {
                    if let Some(link) = self.links.get(&link) {
                        let connection = link.connection.clone();
                        self.tasks.spawn(async move {
                            tokio::time::sleep(GOODBYE).await;
                            connection.close(quinn::VarInt::from_u32(reason.code()), b"");
                        });
                    }
                }
                Step::Dial(key) => {
                    let linked = |at: &usize| self.links.values().any(|link| link.target == *at);
                    let at = self.targets.iter().position(|target| target.key == key);
                    if let Some(at) = at.filter(|at| !linked(at)) {
                        self.dial(at);
                    }
                }
            }
        }
    }
}

/// A handshake, and a stream for each lane.
async fn connect(
    key: &SecretKey,
    socket: Option<quinn::Endpoint>,
    target: Target,
) -> Result<(BarePeer, Vec<SendStream>), BareError> {
    let bare = match socket {
        Some(socket) => BarePeer::connect_from(socket, key, target.key, target.addr).await?,
        None => BarePeer::connect(key, target.key, target.addr).await?,
    };
    let mut streams = Vec::new();
    for lane in Lane::ALL {
        streams.push(bare.open_stream(lane).await?);
    }
    Ok((bare, streams))
}

/// Writes the frames of one lane until the link ends.
async fn write(
    mut stream: SendStream,
    mut frames: mpsc::UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
    room: Arc<Notify>,
) {
    while let Some(frame) = frames.recv().await {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let written = async {
            stream.write_all(&len.to_le_bytes()).await?;
            stream.write_all(&frame).await
        };
        let ended = written.await.is_err();
        waiting.fetch_sub(frame.len(), Ordering::Relaxed);
        room.notify_one();
        if ended {
            return;
        }
    }
}

/// Both clocks, the first since `origin`.
fn now(origin: Instant) -> Now {
    let mono = Mono::from_nanos(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono, unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
}
