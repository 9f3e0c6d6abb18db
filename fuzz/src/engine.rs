//! One engine, a few peers of any character, two clocks that jump: whatever happens, what the engine promises holds.
//!
//! Operations come from the fuzzer; the driver around the engine is truthful (verdicts by the real rule, `Written` only for
//! what was sent), the peers and the wall clock are not. After every operation the actions are drained and checked.
//!
//! This file is longer than 450 lines because an operation, what the driver does for it and what must hold after it are one subject:
//! who adds an operation writes all three, and the corpus depends on their order.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use vouchsafe::protocol::keeping::StoreJob;
use vouchsafe::protocol::{
    Action, BatchId, Caps, Engine, FRAME_OVERHEAD, Input, LANE_CREDIT, LinkId, Mono, Now, PublishId, Setup,
    UsedPositions, ValidationId,
};
use vouchsafe::rumor::{Bundle, BundleId, seal};
use vouchsafe::store::{MemoryStore, serve};
use vouchsafe::wire::{self, Frame, Hello, Lane, TopicChange};
use vouchsafe::{
    Config, DownReason, Event, Evidence, NetworkId, Offence, Position, PublicKey, PublishError, RumorId,
    SecretKey, TopicId, Validation,
};

use crate::world::{AUTHORS, NETWORK, OWN, START_MS, TOPICS, Told, World, frame_of};

/// Operations of one run at most: a run must stay short for the fuzzer to make many.
const MOST_OPS: usize = 256;
/// Actions after one operation at most: a bound that only a loop would reach.
const MOST_ACTIONS: usize = 20_000;
/// Most links of the engine here, and more peers than that.
const MAX_LINKS: usize = 5;
const PEERS: u8 = 8;

const TOPIC_BUNDLES: usize = 48;
const TOPIC_BYTES: usize = 96 * 1024;
const AUTHOR_BYTES: usize = 64 * 1024;
/// A peer that no input chooses: who is correct whatever the others were.
const HONEST: u8 = u8::MAX;
/// After the end of an input everything is right for so long before the engine must hear and be heard: an index of 48 bundles
/// may be full, of up to a minute ahead, and what fills it leaves a minute and a half after its time, and the hold-back.
const HEALING: Duration = Duration::from_secs(180);
/// Whether the wall clock's jumps are among what an engine must recover from.
const HEALS_FROM_JUMPS: bool = true;
/// What is left to do when nobody says anything more is done within this.
const RESTING: Duration = Duration::from_secs(30);

#[derive(Arbitrary, Debug)]
struct Run {
    seed: u8,
    position_log: bool,
    /// A link's budget: tight ones pause and resume often.
    tight: bool,
    joined: u8,
    ops: Vec<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    LinkUp {
        peer: u8,
        dialled: bool,
        silent: bool,
    },
    LinkDown {
        link: u8,
        too_long: bool,
    },
    Raw {
        link: u8,
        lane: u8,
        bytes: Vec<u8>,
    },
    Hello {
        link: u8,
        other_network: bool,
        clock_s: i32,
        topics: u8,
    },
    Topics {
        link: u8,
        joined: u8,
        left: u8,
        many: bool,
    },
    Keeps {
        link: u8,
        topics: u8,
        keeps: bool,
    },
    Bundles {
        link: u8,
        lane: u8,
        hops: u8,
        told: Vec<Told>,
    },
    Headers {
        link: u8,
        told: Vec<Told>,
    },
    Announce {
        link: u8,
        size: u8,
        told: Vec<Told>,
    },
    /// Ids that nobody has.
    Lure {
        link: u8,
        topic: u8,
        first: u8,
        count: u8,
    },
    Pull {
        link: u8,
        told: Vec<Told>,
    },
    /// Pulls whatever the engine has delivered or published.
    PullDelivered {
        link: u8,
        topic: u8,
    },
    Gone {
        link: u8,
        told: Vec<Told>,
    },
    Cancel {
        link: u8,
        told: Vec<Told>,
    },
    /// The peer serves what it was asked for, if it can.
    Serve {
        link: u8,
        told: Vec<Told>,
    },
    /// A peer hands back what the engine sent it.
    Echo {
        link: u8,
        to: u8,
    },
    Evidence {
        link: u8,
        one: Told,
        other: Told,
    },
    Verdicts {
        which: u8,
        too_few: bool,
    },
    Written {
        link: u8,
        lane: u8,
        share: u8,
    },
    RoundTrip {
        link: u8,
        millis: u32,
    },
    Sleep {
        millis: u16,
    },
    UntilDeadline,
    /// The wall clock is set, forwards or back; the other clock goes on.
    SetClock {
        seconds: i16,
    },
    /// By hours, or by days.
    Jump {
        hours: i8,
        days: i8,
    },
    Join {
        topic: u8,
        deliver: bool,
    },
    Leave {
        topic: u8,
    },
    Publish {
        topic: u8,
        len: u16,
    },
    Withdraw {
        which: u8,
    },
    Validated {
        which: u8,
        verdict: u8,
    },
    Recorded {
        fails: bool,
    },
    /// All that waits with the driver is answered.
    Settle,
    Shutdown,
}

struct Peer {
    link: LinkId,
    peer: u8,
    closing: bool,
    paused: [bool; Lane::COUNT],
    in_flight: [usize; Lane::COUNT],
    /// Frames that the engine sent, the last few.
    got: VecDeque<(Lane, Bytes)>,
    /// What the engine has pulled from it.
    asked: HashSet<BundleId>,
}

struct Driver {
    engine: Engine,
    now: Now,
    world: World,
    peers: Vec<Peer>,
    next_link: u64,
    /// Node keys that have sent what no correct node sends.
    liars: HashSet<PublicKey>,
    batches: VecDeque<(BatchId, Vec<bool>)>,
    questions: VecDeque<ValidationId>,
    publish_ids: BTreeMap<u64, TopicId>,
    next_publish_id: u64,
    record: Option<(u64, u64)>,
    /// No topic keeps anything here. The engine still asks the store what is over of topics that were left.
    store: MemoryStore,
    store_jobs: VecDeque<StoreJob>,
    delivered: HashMap<RumorId, TopicId>,
    held: Vec<(TopicId, BundleId)>,
    convicted: HashSet<PublicKey>,
    /// Bundles that the engine wrote, for the promise that it never equivocates.
    own: Vec<Bundle>,
    /// Somebody has used the engine's author key.
    stolen: bool,
    closed: bool,
    /// The wall clock was set.
    jumped: bool,
}

fn peer_key(peer: u8) -> PublicKey {
    if peer == HONEST {
        return PublicKey::from_bytes([0x7f; 32]);
    }
    PublicKey::from_bytes([0x80 | (peer % PEERS); 32])
}

fn topic(n: u8) -> &'static std::sync::Arc<vouchsafe::rumor::RuleSet> {
    &TOPICS[usize::from(n) % TOPICS.len()]
}

fn topics_of(mask: u8) -> Vec<[u8; 32]> {
    let chosen = TOPICS.iter().enumerate().filter(|(n, _)| mask & (1 << n) != 0);
    chosen.map(|(_, rules)| *rules.id().as_bytes()).collect()
}

/// Runs what the bytes say.
pub fn engine_ops(data: &[u8]) {
    let Ok(run) = Run::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut driver = Driver::new(&run);
    for (n, rules) in TOPICS.iter().enumerate() {
        if run.joined & (1 << n) != 0 {
            let join = Input::Join {
                rules: rules.clone(),
                deliver: true,
                validate: n == 2,
                keep: Default::default(),
            };
            driver.handle(join);
        }
    }
    // Two links from the start, so that few bytes go far.
    for peer in 0..2 {
        driver.step(Op::LinkUp { peer, dialled: peer == 0, silent: false });
    }
    for op in run.ops.into_iter().take(MOST_OPS) {
        driver.step(op);
    }
    driver.finish();
}

/// The caps that an engine is given, small so that they are met.
fn config() -> Config {
    let mut config = Config::default();
    config.links.max = MAX_LINKS;
    config.links.inbound = MAX_LINKS - 1;
    config.topics.bundles = TOPIC_BUNDLES;
    config.topics.bytes = TOPIC_BYTES;
    config
}

impl Driver {
    fn new(run: &Run) -> Self {
        let mut config = config();
        config.topics.author_bytes = AUTHOR_BYTES;
        config.batch = 8;
        config.validators.at_once = 2;
        config.publishing.eager = 2;
        config.publishing.eager_author = 2;
        if run.tight {
            config.budget.bytes_per_s = 4_096;
            config.budget.bytes_burst = 8_192;
        }
        let now = Now { mono: Mono::from_nanos(1), unix_ms: START_MS };
        let position_log = if run.position_log { UsedPositions::fresh() } else { UsedPositions::None };
        let author: SecretKey = AUTHORS[OWN].clone();
        let setup = Setup {
            network: NetworkId::of(NETWORK),
            node: PublicKey::from_bytes([0x84; 32]),
            author,
            position_log,
            seed: [run.seed; 32],
            config,
        };
        let mut engine = Engine::new(setup, now);
        engine.set_verifiers(2);
        Self {
            engine,
            now,
            world: World::recall(),
            peers: Vec::new(),
            next_link: 0,
            liars: HashSet::new(),
            batches: VecDeque::new(),
            questions: VecDeque::new(),
            publish_ids: BTreeMap::new(),
            next_publish_id: 0,
            record: None,
            store: MemoryStore::new(START_MS),
            store_jobs: VecDeque::new(),
            delivered: HashMap::new(),
            held: Vec::new(),
            convicted: HashSet::new(),
            own: Vec::new(),
            stolen: false,
            closed: false,
            jumped: false,
        }
    }

    fn peer(&mut self, link: u8) -> Option<&mut Peer> {
        let count = self.peers.len();
        if count == 0 { None } else { self.peers.get_mut(usize::from(link) % count) }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::LinkUp { peer, dialled, silent } => self.link_up(peer % PEERS, dialled, silent),
            Op::LinkDown { link, too_long } => {
                let Some(peer) = self.peer(link) else { return };
                let (gone, key) = (peer.link, peer_key(peer.peer));
                if too_long {
                    self.liars.insert(key);
                }
                let offence = too_long.then_some(Offence::FrameTooLong);
                // The goodbye to a link whose reader found the offence is still allowed.
                self.handle(Input::LinkDown { link: gone, offence, why: DownReason::Silent });
                self.peers.retain(|peer| peer.link != gone);
            }
            Op::Raw { link, lane, bytes } => self.frame(link, lane_of(lane), bytes.into()),
            Op::Hello { link, other_network, clock_s, topics } => {
                let name = if other_network { "other" } else { NETWORK };
                let clock_ms = self.now.unix_ms.saturating_add_signed(i64::from(clock_s) * 1_000);
                let network = *NetworkId::of(name).as_bytes();
                let hello =
                    wire::hello(&Hello { network, clock_ms, topics: topics_of(topics), ..Hello::default() });
                self.frame(link, Lane::Control, hello);
            }
            Op::Topics { link, joined, left, many } => {
                let mut change = TopicChange {
                    joined: topics_of(joined),
                    left: topics_of(left),
                    ..TopicChange::default()
                };
                if many {
                    change.joined.extend((0..120).map(|n| [n ^ joined; 32]));
                }
                self.frame(link, Lane::Control, wire::topics(&change));
            }
            Op::Keeps { link, topics, keeps } => {
                let keeps = topics_of(topics).into_iter().map(|topic| (topic, keeps)).collect();
                let change = TopicChange { keeps, ..TopicChange::default() };
                self.frame(link, Lane::Control, wire::topics(&change));
            }
            Op::Bundles { link, lane, hops, told } => {
                let encoded: Vec<_> = told.iter().take(8).map(|told| self.encoded(told)).collect();
                self.frame(link, lane_of(lane | 1), frame_of(hops, &encoded));
            }
            Op::Headers { link, told } => {
                let headers: Vec<_> = told.iter().map(|told| *self.bundle(told).signed_header()).collect();
                self.frame(link, Lane::Control, wire::headers(&headers));
            }
            Op::Announce { link, size, told } => {
                if let Some(first) = told.first().map(|told| told.rules().id()) {
                    let items: Vec<_> = told.iter().map(|told| (self.bundle(told).id(), size)).collect();
                    self.frame(link, Lane::Control, wire::announce(&first, &items));
                }
            }
            Op::Lure { link, topic: of, first, count } => {
                let ids = (0..=count).map(|n| (BundleId::from_bytes([first.wrapping_add(n); 32]), 9));
                let items: Vec<_> = ids.collect();
                self.frame(link, Lane::Control, wire::announce(&topic(of).id(), &items));
            }
            Op::Pull { link, told } => self.ids(link, &told, wire::pull),
            Op::Gone { link, told } => self.ids(link, &told, wire::gone),
            Op::Cancel { link, told } => self.ids(link, &told, wire::cancel),
            Op::PullDelivered { link, topic: of } => {
                let of = topic(of).id();
                let held = self.held.iter().filter(|(topic, _)| *topic == of).map(|(_, id)| *id);
                let ids: Vec<_> = held.collect();
                if !ids.is_empty() {
                    self.frame(link, Lane::Control, wire::pull(&of, &ids));
                }
            }
            Op::Serve { link, told } => {
                let bundles: Vec<_> = told.iter().take(16).map(|told| self.bundle(told)).collect();
                let Some(peer) = self.peer(link) else { return };
                let served: Vec<_> = bundles
                    .iter()
                    .filter(|bundle| peer.asked.remove(&bundle.id()))
                    .map(|bundle| bundle.encoded().to_vec())
                    .collect();
                if !served.is_empty() {
                    self.frame(link, Lane::Replies, frame_of(0, &served));
                }
            }
            Op::Echo { link, to } => {
                let Some((lane, frame)) = self.peer(link).and_then(|peer| peer.got.pop_front()) else {
                    return;
                };
                if !matches!(Frame::decode(frame.clone()), Ok(Frame::Hello(_))) {
                    self.frame(to, lane, frame);
                }
            }
            Op::Evidence { link, one, other } => {
                let (one, other) = (self.bundle(&one), self.bundle(&other));
                if let Ok(evidence) = Evidence::new(*one.signed_header(), *other.signed_header()) {
                    self.frame(link, Lane::Control, wire::evidence(&evidence));
                }
            }
            Op::Verdicts { which, too_few } => {
                let Some(at) = usize::from(which).checked_rem(self.batches.len()) else { return };
                let Some((batch, mut verdicts)) = self.batches.remove(at) else { return };
                if too_few {
                    verdicts.pop();
                }
                self.handle(Input::Verdicts { batch, verdicts });
            }
            Op::Written { link, lane, share } => {
                let lane = lane_of(lane);
                let Some(peer) = self.peer(link) else { return };
                let in_flight = &mut peer.in_flight[lane.index()];
                let bytes = (*in_flight * usize::from(share)).div_ceil(255);
                *in_flight -= bytes;
                let link = peer.link;
                self.handle(Input::Written { link, lane, bytes });
            }
            Op::RoundTrip { link, millis } => {
                let Some(link) = self.peer(link).map(|peer| peer.link) else { return };
                self.handle(Input::RoundTrip { link, rtt: Duration::from_millis(u64::from(millis)) });
            }
            Op::Sleep { millis } => self.sleep(Duration::from_millis(u64::from(millis))),
            Op::UntilDeadline => {
                let wait = self.engine.next_deadline().map_or(Duration::ZERO, |at| at.since(self.now.mono));
                self.sleep(wait);
            }
            Op::SetClock { seconds } => {
                self.jumped = true;
                self.now.unix_ms = self.now.unix_ms.saturating_add_signed(i64::from(seconds) * 1_000);
                self.handle(Input::Tick);
            }
            Op::Jump { hours, days } => {
                self.jumped = true;
                let hours = i64::from(hours) + 24 * i64::from(days);
                self.now.unix_ms = self.now.unix_ms.saturating_add_signed(hours * 3_600_000);
                self.handle(Input::Tick);
            }
            Op::Join { topic: of, deliver } => {
                let rules = topic(of).clone();
                self.handle(Input::Join { rules, deliver, validate: of % 3 == 2, keep: Default::default() });
            }
            Op::Leave { topic: of } => self.leave(topic(of).id()),
            Op::Publish { topic: of, len } => {
                let publish_id = PublishId(self.next_publish_id);
                self.next_publish_id += 1;
                let topic = topic(of).id();
                self.publish_ids.insert(publish_id.0, topic);
                let body = Bytes::from(vec![publish_id.0 as u8; usize::from(len)]);
                self.handle(match len % 4 {
                    3 => Input::TryPublish { topic, body, publish_id },
                    _ => Input::Publish { topic, body, publish_id, kept: false },
                });
            }
            Op::Withdraw { which } => {
                let Some(at) = usize::from(which).checked_rem(self.publish_ids.len()) else { return };
                let (publish_id, topic) =
                    self.publish_ids.iter().nth(at).map(|(publish_id, topic)| (*publish_id, *topic)).unwrap();
                self.handle(Input::Withdraw { topic, publish_id: PublishId(publish_id) });
                // Whatever is not answered yet waits, so it is answered now.
                assert!(!self.publish_ids.contains_key(&publish_id), "a request was lost");
            }
            Op::Validated { which, verdict } => {
                let Some(at) = usize::from(which).checked_rem(self.questions.len()) else { return };
                let Some(question) = self.questions.remove(at) else { return };
                let verdict = match verdict % 4 {
                    0 => Validation::Ignore,
                    1 => Validation::Reject,
                    _ => Validation::Accept,
                };
                self.handle(Input::Validated { question, verdict });
            }
            Op::Recorded { fails } => match self.record.take() {
                Some(_) if fails => self.handle(Input::RecordFailed { why: "full".into() }),
                Some((from_ms, until_ms)) => self.handle(Input::Recorded { from_ms, until_ms }),
                None => {}
            },
            Op::Settle => self.settle(),
            Op::Shutdown => {
                self.closed = true;
                self.handle(Input::Shutdown);
                assert!(self.publish_ids.is_empty(), "requests without an answer: {:?}", self.publish_ids);
            }
        }
    }

    fn link_up(&mut self, peer: u8, dialled: bool, silent: bool) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.peers.push(Peer {
            link,
            peer,
            closing: false,
            paused: [false; Lane::COUNT],
            in_flight: [0; Lane::COUNT],
            got: VecDeque::new(),
            asked: HashSet::new(),
        });
        self.handle(Input::LinkUp { link, peer: peer_key(peer), dialled, remote: None });
        if !silent {
            let clock_ms = self.now.unix_ms;
            let network = *NetworkId::of(NETWORK).as_bytes();
            let hello = wire::hello(&Hello { network, clock_ms, topics: topics_of(7), ..Hello::default() });
            self.frame(self.peers.len() as u8 - 1, Lane::Control, hello);
        }
    }

    fn leave(&mut self, topic: TopicId) {
        self.handle(Input::Leave { topic });
        assert!(self.publish_ids.values().all(|of| *of != topic), "requests of a topic that was left");
        self.held.retain(|(of, _)| *of != topic);
    }

    fn sleep(&mut self, wait: Duration) {
        self.now.mono = self.now.mono.plus(wait);
        self.now.unix_ms = self.now.unix_ms.saturating_add(wait.as_millis() as u64);
        self.handle(Input::Tick);
    }

    /// Answers everything that the driver owes.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            if let Some((batch, verdicts)) = self.batches.pop_front() {
                self.handle(Input::Verdicts { batch, verdicts });
            } else if let Some((from_ms, until_ms)) = self.record.take() {
                self.handle(Input::Recorded { from_ms, until_ms });
            } else if let Some(question) = self.questions.pop_front() {
                self.handle(Input::Validated { question, verdict: Validation::Accept });
            } else if let Some(job) = self.store_jobs.pop_front() {
                if let Some(answer) = serve(&mut self.store, job, self.now.unix_ms) {
                    self.handle(Input::Store(answer));
                }
            } else {
                let written = self.peers.iter_mut().find_map(|peer| {
                    let at = peer.in_flight.iter().position(|bytes| *bytes > 0)?;
                    Some((peer.link, Lane::ALL[at], std::mem::take(&mut peer.in_flight[at])))
                });
                let Some((link, lane, bytes)) = written else { return };
                self.handle(Input::Written { link, lane, bytes });
            }
        }
        panic!("the driver answers everything and the engine never rests");
    }

    fn bundle(&mut self, told: &Told) -> Bundle {
        self.stolen |= told.is_own();
        told.bundle(&mut self.world)
    }

    fn encoded(&mut self, told: &Told) -> Vec<u8> {
        self.stolen |= told.is_own();
        told.encoded(&mut self.world)
    }

    fn ids(&mut self, link: u8, told: &[Told], encode: fn(&TopicId, &[BundleId]) -> Bytes) {
        if let Some(first) = told.first().map(|told| told.rules().id()) {
            let ids: Vec<_> = told.iter().map(|told| self.bundle(told).id()).collect();
            self.frame(link, Lane::Control, encode(&first, &ids));
        }
    }

    /// A frame arrives, unless the engine has stopped reading there.
    fn frame(&mut self, link: u8, lane: Lane, payload: Bytes) {
        let Some(peer) = self.peer(link) else { return };
        if peer.paused[lane.index()] {
            return;
        }
        let (link, key, open) = (peer.link, peer_key(peer.peer), !peer.closing);
        if !self.world.is_honest(&payload) {
            self.liars.insert(key);
        }
        let nonsense = Frame::decode(payload.clone()).is_err();
        self.handle(Input::Frame { link, lane, payload });
        if nonsense && open {
            let closed = self.peers.iter().any(|peer| peer.link == link && peer.closing);
            assert!(closed, "a frame that can't be decoded was forgiven");
        }
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        let mut actions = 0;
        while let Some(action) = self.engine.poll() {
            actions += 1;
            assert!(actions < MOST_ACTIONS, "polling does not end");
            self.act(action);
        }
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send { link, lane, frame } => self.sent(link, lane, frame),
            Action::Verify { batch, jobs } => {
                assert!(!jobs.is_empty());
                let verdicts =
                    jobs.iter().map(|job| self.world.holds(job.author, job.id, job.signature)).collect();
                self.batches.push_back((batch, verdicts));
                assert!(self.batches.len() <= 2, "more batches than verifiers");
            }
            Action::Validate { question, bundle } => {
                assert!(self.world.genuine(bundle.signed_header()));
                self.questions.push_back(question);
            }
            Action::Deliver { bundle, from } => {
                assert!(self.world.genuine(bundle.signed_header()), "delivered and not genuine");
                let author = bundle.header().author;
                assert!(!self.convicted.contains(&author), "delivered after its author was convicted");
                let rules = self.engine.rules(&bundle.header().topic).expect("delivered in a joined topic");
                assert!(rules.admits(&author), "delivered and not admitted");
                let checked = Bundle::decode(bundle.encoded().clone()).expect("delivered and not whole");
                assert_eq!(checked, *bundle);
                for rumor in bundle.rumors() {
                    let again = self.delivered.insert(rumor.id(), rumor.topic());
                    assert!(again.is_none(), "{rumor:?} delivered twice");
                }
                self.held.push((bundle.header().topic, bundle.id()));
                if from.is_none() {
                    self.wrote(&bundle);
                }
            }
            Action::PauseReading(link, lane) => self.set_paused(link, lane, true),
            Action::ResumeReading(link, lane) => self.set_paused(link, lane, false),
            Action::Close { link, .. } => {
                if let Some(peer) = self.peers.iter_mut().find(|peer| peer.link == link) {
                    assert!(!peer.closing, "closed twice");
                    peer.closing = true;
                }
            }
            Action::Record { from_ms, until_ms } => {
                let other = self.record.replace((from_ms, until_ms));
                assert_eq!(other, None, "two records under way at once");
            }
            Action::Store(job) => {
                assert!(matches!(job, StoreJob::Look { .. }), "nothing is kept, and the store gets {job:?}");
                self.store_jobs.push_back(job);
            }
            Action::Published { publish_id, result } => {
                assert!(
                    self.publish_ids.remove(&publish_id.0).is_some(),
                    "an answer to nothing: {publish_id:?}"
                );
                assert!(result.is_err() || !self.closed);
                if let Err(PublishError::DuplicateWriter | PublishError::Convicted) = result {
                    assert!(self.stolen, "our own key is suspected for nothing");
                }
            }
            Action::Missed { topic, from_ms, to_ms } => {
                assert!(from_ms < to_ms, "nothing was missed");
                assert!(self.engine.rules(&topic).is_some(), "missed in a topic that is not joined");
            }
            // The topics are few and of one network, so none is refused.
            Action::Joined { topic, result } => {
                assert_eq!(result, Ok(()), "{topic:?}");
                assert!(self.engine.rules(&topic).is_some(), "an answer for a topic that is not joined");
            }
            Action::Event(event) => self.event(event),
            other => panic!("an action that this driver does not know: {other:?}"),
        }
    }

    fn wrote(&mut self, bundle: &Bundle) {
        assert_eq!(bundle.header().author, AUTHORS[OWN].public());
        for earlier in &self.own {
            assert!(!earlier.header().overlaps(bundle.header()), "the engine equivocates");
        }
        self.own.push(bundle.clone());
    }

    fn set_paused(&mut self, link: LinkId, lane: Lane, paused: bool) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.link == link) {
            assert_ne!(peer.paused[lane.index()], paused, "paused or resumed twice");
            peer.paused[lane.index()] = paused;
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Offence { peer, .. } => {
                assert!(self.liars.contains(&peer), "a correct peer is blamed: {event:?}");
            }
            Event::Convicted { evidence } => {
                let sound = evidence.headers().into_iter().all(|signed| self.world.genuine(signed));
                assert!(sound, "convicted by evidence that does not hold");
                self.convicted.insert(evidence.author());
            }
            Event::DuplicateWriter { .. } => assert!(self.stolen, "our own words taken for another's"),
            _ => {}
        }
    }

    /// Everything the engine sends is what it may send: decodable, on its lane, within credit, and checked before.
    fn sent(&mut self, link: LinkId, lane: Lane, frame: Bytes) {
        assert!(self.world.is_honest(&frame), "the engine sends what would convict it");
        let decoded = Frame::decode(frame.clone()).expect("an honest frame");
        if let Frame::Bundles(bundles) = &decoded {
            for raw in bundles.clone().flatten() {
                let author = raw.signed.header.author;
                assert!(!self.convicted.contains(&author), "sends on what a convicted author said");
            }
        }
        match decoded {
            Frame::Bundles(_) => assert_ne!(lane, Lane::Control),
            Frame::Tell(_) | Frame::Page(_) => assert_eq!(lane, Lane::History),
            _ => assert_eq!(lane, Lane::Control, "{decoded:?}"),
        }
        let peer =
            self.peers.iter_mut().find(|peer| peer.link == link).expect("sends to a link that is gone");
        assert!(!peer.closing, "sends after closing");
        if let Frame::Pull(ids) = &decoded {
            peer.asked.extend(ids.ids.iter().copied());
        }
        // The goodbye is the one frame beyond the credit, so that a full lane does not hold it up.
        if !matches!(decoded, Frame::Goodbye(_)) {
            let in_flight = &mut peer.in_flight[lane.index()];
            *in_flight += frame.len() + FRAME_OVERHEAD;
            assert!(*in_flight <= LANE_CREDIT + FRAME_OVERHEAD, "more than the lane's credit");
        }
        peer.got.push_back((lane, frame));
        if peer.got.len() > 8 {
            peer.got.pop_front();
        }
    }

    /// The gauges, between operations.
    fn check(&self) {
        let deadline = self.engine.next_deadline().expect("there is always another cycle");
        assert!(deadline > self.now.mono, "a deadline that has passed would make the driver spin");
        assert!(self.peers.iter().filter(|peer| !peer.closing).count() <= MAX_LINKS, "too many links");
        assert_eq!(self.engine.exceeds(&Caps::default(), &config()), None);
        assert_eq!(self.engine.check(), Vec::<String>::new(), "what is counted, and what waits");
        for key in self.engine.banned() {
            assert!(self.liars.contains(&key), "a correct peer is banned");
        }
    }

    /// The end: what was asked is answered, and an engine that is left in peace hears and is heard.
    fn finish(mut self) {
        self.settle();
        if !self.closed && (!self.jumped || HEALS_FROM_JUMPS) {
            self.heal();
            self.hears();
            self.is_heard();
            self.rests();
        }
        self.handle(Input::Shutdown);
        assert!(self.publish_ids.is_empty(), "requests without an answer: {:?}", self.publish_ids);
        assert!(self.peers.iter().all(|peer| peer.closing), "open after the end");
    }

    /// All links go, the clock is right, the disk and the application answer at once, and time passes; then a correct peer comes.
    fn heal(&mut self) {
        for link in self.peers.iter().map(|peer| peer.link).collect::<Vec<_>>() {
            self.handle(Input::LinkDown { link, offence: None, why: DownReason::Silent });
            self.peers.retain(|peer| peer.link != link);
        }
        self.now.unix_ms = START_MS + self.now.mono.as_nanos() / 1_000_000;
        self.handle(Input::Tick);
        for (n, rules) in TOPICS.iter().enumerate() {
            self.handle(Input::Join {
                rules: rules.clone(),
                deliver: true,
                validate: n == 2,
                keep: Default::default(),
            });
        }
        self.pass(HEALING);
        self.link_up(HONEST, true, false);
        self.pass(Duration::from_secs(1));
    }

    /// Lets time pass, in which all is answered.
    fn pass(&mut self, time: Duration) {
        for _ in 0..20 {
            self.sleep(time / 20);
            self.settle();
        }
    }

    /// What a correct peer brings, of an author that nobody knows yet, is delivered.
    fn hears(&mut self) {
        let rules = &TOPICS[0];
        let position = Position { tick: rules.tick_len().tick_at(self.now.unix_ms), slot: 3 };
        let word =
            seal(&SecretKey::from_seed(&[0x99; 32]), rules.id(), position, &["still here?".into()]).unwrap();
        self.frame(0, Lane::Rumors, frame_of(0, &[word.encoded().to_vec()]));
        self.settle();
        self.pass(Duration::from_secs(1));
        let id = std::sync::Arc::new(word).rumors().next().unwrap().id();
        assert!(self.delivered.contains_key(&id), "it is deaf: {:?}", self.engine.stats());
    }

    /// What the engine says goes to its peer, unless somebody else writes under its key.
    fn is_heard(&mut self) {
        let said = self.own.len();
        self.step(Op::Publish { topic: 0, len: 5 });
        self.settle();
        self.pass(Duration::from_secs(3));
        assert!(self.publish_ids.is_empty(), "requests that wait for nothing: {:?}", self.publish_ids);
        if self.stolen {
            return;
        }
        assert!(self.own.len() > said, "it is mute: {:?}", self.engine.stats());
        let told = self.peers[0].got.iter().any(|(lane, _)| *lane == Lane::Rumors);
        assert!(told, "it speaks to nobody: {:?}", self.engine.stats());
    }

    /// With nothing more to say, nothing is left to do.
    fn rests(&mut self) {
        self.pass(RESTING);
        assert_eq!(self.engine.check_at_rest(), Vec::<String>::new());
    }
}

fn lane_of(n: u8) -> Lane {
    Lane::ALL[usize::from(n) % Lane::COUNT]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ops: Vec<Op>) {
        let mut driver =
            Driver::new(&Run { seed: 1, position_log: true, tight: false, joined: 7, ops: Vec::new() });
        for rules in TOPICS.iter() {
            driver.handle(Input::Join {
                rules: rules.clone(),
                deliver: true,
                validate: false,
                keep: Default::default(),
            });
        }
        for op in ops {
            driver.step(op);
        }
        driver.finish();
    }

    fn up(peer: u8) -> Op {
        Op::LinkUp { peer, dialled: false, silent: false }
    }

    /// Topic 1 is held back; bodies of kind 14 are large.
    fn told(author: u8, slot: u8, bodies: u8) -> Told {
        Told { author, topic: 1, tick: 0, slots: slot, bodies, fault: 255 }
    }

    #[test]
    fn a_topic_left_and_joined_again() {
        let publish = Op::Publish { topic: 0, len: 9 };
        let again = [Op::Leave { topic: 0 }, Op::Join { topic: 0, deliver: true }];
        let first = vec![up(1), publish, Op::Settle, Op::Settle];
        let echo = (0..8).map(|_| Op::Echo { link: 0, to: 0 });
        run(first.into_iter().chain(again).chain(echo).chain([Op::Settle]).collect());
    }

    #[test]
    fn a_foreign_rumor_after_a_topic_was_left_and_joined_again() {
        let told = Told { author: 0, topic: 0, tick: 0, slots: 0, bodies: 1, fault: 255 };
        let say = || Op::Bundles { link: 0, lane: 1, hops: 0, told: vec![told] };
        run(vec![
            up(1),
            say(),
            Op::Settle,
            Op::Leave { topic: 0 },
            Op::Join { topic: 0, deliver: true },
            say(),
            Op::Settle,
        ]);
    }

    #[test]
    fn bodies_that_follow_their_headers_keep_to_the_caps() {
        let all: Vec<_> = (0..4).flat_map(|author| (0..3).map(move |slot| told(author, slot, 14))).collect();
        run(vec![
            up(1),
            Op::Headers { link: 0, told: all.clone() },
            Op::Settle,
            Op::Settle,
            Op::Serve { link: 0, told: all[..5].to_vec() },
            Op::Serve { link: 0, told: all[5..10].to_vec() },
        ]);
    }

    #[test]
    fn bodies_in_flight_keep_to_the_caps() {
        let say = |author| Op::Bundles {
            link: 0,
            lane: 1,
            hops: 0,
            told: (0..3).map(|slot| told(author, slot, 14)).collect(),
        };
        run(vec![up(1), say(0), say(1), say(2), Op::Settle]);
    }

    #[test]
    fn a_conviction_settles_what_was_owed() {
        run(vec![
            up(1),
            Op::Headers { link: 0, told: vec![told(0, 0, 1)] },
            Op::Settle,
            Op::Headers { link: 0, told: vec![told(0, 0, 2)] },
            Op::Settle,
        ]);
    }

    #[test]
    fn a_topic_that_is_left_settles_what_was_owed() {
        run(vec![
            up(1),
            Op::Lure { link: 0, topic: 1, first: 9, count: 3 },
            Op::Leave { topic: 1 },
            Op::Sleep { millis: 10_000 },
            Op::Sleep { millis: 10_000 },
        ]);
    }

    /// Ten minutes after the start, with a link that the engine chose.
    #[test]
    fn the_store_is_asked_what_is_over() {
        let sleeps = (0..80).map(|_| Op::Sleep { millis: 10_000 });
        run([Op::LinkUp { peer: 1, dialled: true, silent: false }].into_iter().chain(sleeps).collect());
    }

    #[test]
    fn expiry_settles_what_was_owed() {
        run(vec![
            up(1),
            Op::Headers { link: 0, told: vec![told(0, 0, 1)] },
            Op::Settle,
            Op::SetClock { seconds: 400 },
            Op::Sleep { millis: 2_000 },
        ]);
    }
}
