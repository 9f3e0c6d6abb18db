//! An honest node of the test world: an engine, its keys and clock, and a record of what it did.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use super::check::Checker;
use crate::key::{PublicKey, SecretKey};
use crate::protocol::keeping::{Forget, Found, KeepOptions, StoreAnswer, StoreJob, StoreTrouble};
use crate::protocol::{
    Action, Config, Counters, Engine, Event, FRAME_OVERHEAD, LinkId, MAX_SKEW, MemberSetup, Now,
    PublishError, PublishId, Setup, UsedPositions, Validation, VerifyJob,
};
use crate::rumor::{Bundle, NetworkId, Position, RumorId, Spans};
use crate::store::{MemoryStore, serve};
use crate::wire::Lane;

/// Judges bundles; `None` is an application that does not answer.
pub(super) type Validator = Box<dyn FnMut(&Bundle) -> Option<Validation>>;

/// What a test may choose about a node.
pub(super) struct Spec {
    pub(super) config: Config,
    pub(super) author: SecretKey,
    pub(super) position_log: UsedPositions,
    /// Its clock, ahead of the true one.
    pub(super) skew_ms: i64,
    pub(super) validator: Option<Validator>,
    pub(super) key: PublicKey,
    /// The secret half of its key, if it is a member.
    pub(super) member: Option<SecretKey>,
    secret: SecretKey,
    seed: u64,
}

impl Spec {
    /// It says that it is here, and knows who else is.
    pub(super) fn is_member(&mut self) {
        self.member = Some(self.secret.clone());
    }

    pub(super) fn numbered(number: u64, seed: u64) -> Self {
        Self {
            config: Config { expected_nodes: 20, ..Config::default() },
            author: secret("author", number),
            position_log: UsedPositions::fresh(),
            skew_ms: 0,
            validator: None,
            key: secret("node", number).public(),
            member: None,
            secret: secret("node", number),
            seed,
        }
    }
}

/// A key that only depends on what it is for.
pub(super) fn secret(purpose: &str, number: u64) -> SecretKey {
    SecretKey::from_seed(blake3::hash(format!("{purpose} {number}").as_bytes()).as_bytes())
}

/// One rumor that the application got.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) position: Position,
    pub(super) body: Bytes,
    /// When, nanoseconds.
    pub(super) at: u64,
}

pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) key: PublicKey,
    pub(super) author: SecretKey,
    member: Option<SecretKey>,
    pub(super) skew_ms: i64,
    pub(super) validator: Option<Validator>,
    pub(super) config: Config,
    seed: u64,
    /// Counts restarts.
    pub(super) life: u32,
    /// What its position log holds.
    pub(super) recorded: Option<Spans>,
    /// How long its disk takes for a record.
    pub(super) record_takes: Duration,
    /// What it keeps of kept topics.
    pub(super) store: MemoryStore,
    /// How long its store takes for a job.
    pub(super) store_takes: Duration,
    /// Why its store does nothing, while it does nothing.
    pub(super) store_trouble: Option<StoreTrouble>,
    /// Where a record of its store can't be read.
    pub(super) rots: Option<(PublicKey, Position)>,
    /// How often its store was asked to open a topic, and what it was asked to remove.
    pub(super) opens: usize,
    pub(super) forgotten: Vec<Forget>,
    /// How it joins topics when it starts.
    pub(super) keep: KeepOptions,
    /// It has been asked to record, and has not answered.
    pub(super) is_recording: bool,
    pub(super) delivered: Vec<Delivered>,
    pub(super) ids: HashSet<RumorId>,
    pub(super) events: Vec<Event>,
    /// Times that it was told to have missed.
    pub(super) missed: Vec<(u64, u64)>,
    pub(super) published: BTreeMap<PublishId, Result<RumorId, PublishError>>,
    /// Batches of signatures that were judged.
    pub(super) batches: Vec<Vec<VerifyJob>>,
    /// What it has sent about the past: the kind of each frame, and how long it is.
    pub(super) past_sent: Vec<(LinkId, u8, usize)>,
    /// Bytes with the transport.
    pub(super) in_flight: BTreeMap<(LinkId, Lane), usize>,
}

impl Node {
    pub(super) fn new(spec: Spec, now: Now) -> Self {
        let Spec { config, author, position_log, skew_ms, validator, key, member, seed, .. } = spec;
        let recorded = match &position_log {
            UsedPositions::Kept { used } => Some(used.clone()),
            UsedPositions::None => None,
        };
        let engine = engine(&config, key, &author, position_log, seed, now);
        let engine = with_members(engine, member.as_ref());
        let store = MemoryStore::new(seed | 1);
        Self {
            engine,
            key,
            author,
            member,
            skew_ms,
            validator,
            config,
            seed,
            life: 0,
            recorded,
            record_takes: Duration::from_millis(1),
            store,
            store_takes: Duration::from_millis(1),
            store_trouble: None,
            rots: None,
            opens: 0,
            forgotten: Vec::new(),
            keep: KeepOptions::default(),
            is_recording: false,
            delivered: Vec::new(),
            ids: HashSet::new(),
            events: Vec::new(),
            missed: Vec::new(),
            published: BTreeMap::new(),
            batches: Vec::new(),
            past_sent: Vec::new(),
            in_flight: BTreeMap::new(),
        }
    }

    /// A new engine under the same keys. What the application got before, it has forgotten too.
    pub(super) fn restart(&mut self, disk: bool, now: Now) {
        let skew = MAX_SKEW.as_millis() as u64;
        let used = self.recorded.get_or_insert_with(|| Spans::before(now.unix_ms + skew)).clone();
        let position_log = if disk { UsedPositions::Kept { used } } else { UsedPositions::None };
        self.life += 1;
        self.is_recording = false;
        self.ids.clear();
        let seed = self.seed ^ u64::from(self.life);
        let engine = engine(&self.config, self.key, &self.author, position_log, seed, now);
        self.engine = with_members(engine, self.member.as_ref());
        let store = std::mem::replace(&mut self.store, MemoryStore::new(1));
        self.store = if disk { store.reopened(seed | 1) } else { MemoryStore::new(seed | 1) };
    }

    /// Does a job of its engine's, as long as its disk works.
    pub(super) fn stores(&mut self, job: StoreJob, now_ms: u64) -> Option<StoreAnswer> {
        match &job {
            StoreJob::Open { .. } => self.opens += 1,
            StoreJob::Forget { what, .. } => self.forgotten.push(*what),
            _ => {}
        }
        let Some(trouble) = &self.store_trouble else { return self.serves(job, now_ms) };
        let trouble = trouble.clone();
        match job {
            StoreJob::Open { rules, .. } => {
                Some(StoreAnswer::Opened { topic: rules.id(), opened: Err(trouble) })
            }
            StoreJob::Keep { keep, .. } => Some(StoreAnswer::Kept { keep, kept: Err(trouble) }),
            StoreJob::Forget { topic, what } => Some(StoreAnswer::Forgot { topic, what, left: Err(trouble) }),
            StoreJob::Look { look, .. } => Some(StoreAnswer::Looked { look, found: Err(trouble) }),
            _ => None,
        }
    }

    /// A record that has rotted is not read; when it is removed it can be, as one that links have brought again.
    fn serves(&mut self, job: StoreJob, now_ms: u64) -> Option<StoreAnswer> {
        if let StoreJob::Forget { what: Forget::Rotten(author, position), .. } = job
            && self.rots == Some((author, position))
        {
            self.rots = None;
        }
        let mut answer = serve(&mut self.store, job, now_ms);
        if let Some(StoreAnswer::Looked { found: Ok(Found::Page(page)), .. }) = &mut answer {
            let rots = self.rots;
            let is_rotten =
                |bundle: &Bundle| rots == Some((bundle.header().author, bundle.header().position()));
            let before = page.bundles.len();
            page.bundles.retain(|bundle| !is_rotten(bundle));
            if page.bundles.len() < before {
                page.rotten.extend(rots);
            }
        }
        answer
    }

    /// It ended in good order: its position log holds what it used, as a driver's does.
    pub(super) fn settle(&mut self) {
        self.recorded = Some(self.engine.used_times());
    }

    /// The disk is lost: the next start finds no position log, and makes one as `PositionLog::open` does for a loaded key.
    pub(super) fn lose_disk(&mut self) {
        self.recorded = None;
    }

    /// Records what a test may ask about, and checks what must never be.
    pub(super) fn note(&mut self, action: &Action, at: u64, checker: &mut Checker) {
        match action {
            Action::Send { link, lane, frame } => {
                *self.in_flight.entry((*link, *lane)).or_default() += frame.len() + FRAME_OVERHEAD;
                if *lane == Lane::History {
                    self.past_sent.push((*link, frame[0], frame.len()));
                }
            }
            Action::Record { .. } => {
                assert!(!std::mem::replace(&mut self.is_recording, true), "two records under way at once");
            }
            Action::Deliver { bundle, .. } => {
                assert!(checker.is_genuine(bundle), "delivered what its author did not sign");
                for rumor in bundle.rumors() {
                    let (id, position) = (rumor.id(), rumor.position());
                    assert!(self.ids.insert(id), "delivered {id} a second time");
                    self.delivered.push(Delivered { position, body: rumor.body().clone(), at });
                }
            }
            Action::Published { publish_id, result } => {
                let result = result.clone().map(|rumor| rumor.id());
                assert!(self.published.insert(*publish_id, result).is_none(), "answered twice");
            }
            Action::Missed { from_ms, to_ms, .. } => self.missed.push((*from_ms, *to_ms)),
            Action::Event(event) => self.events.push(event.clone()),
            _ => {}
        }
    }

    /// The bodies it got, as text, in order.
    pub(super) fn heard(&self) -> Vec<String> {
        self.delivered.iter().map(|rumor| String::from_utf8_lossy(&rumor.body).into_owned()).collect()
    }

    pub(super) fn has_heard(&self, body: impl AsRef<[u8]>) -> bool {
        self.delivered.iter().any(|rumor| rumor.body == body.as_ref())
    }

    pub(super) fn counters(&self) -> Counters {
        self.engine.stats().counters
    }

    pub(super) fn convicted(&self, author: &PublicKey) -> bool {
        self.engine.convicted().iter().any(|(convicted, _)| convicted == author)
    }

    pub(super) fn told_of_duplicate_writer(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::DuplicateWriter { .. }))
    }
}

fn engine(
    config: &Config,
    node: PublicKey,
    author: &SecretKey,
    position_log: UsedPositions,
    seed: u64,
    now: Now,
) -> Engine {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let network = NetworkId::of(super::world::NETWORK);
    let (author, config) = (author.clone(), config.clone());
    Engine::new(Setup { network, node, author, position_log, seed: bytes, config }, now)
}

fn with_members(engine: Engine, member: Option<&SecretKey>) -> Engine {
    match member {
        Some(key) => engine.with_members(key.clone(), MemberSetup::new([], "")),
        None => engine,
    }
}
