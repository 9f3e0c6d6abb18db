//! Repair of this library: two engines, each with its store, in time that stands still while they work. Nothing is between them, so a
//! frame arrives when it is sent. What each step costs goes to finding or to taking over, by the kind of frame or job that it was.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use vouchsafe::protocol::keeping::{
    Arrival, Cursor, Found as Looked, Group, Keep, KeepOptions, Keeping, Show, StoreAnswer, StoreJob,
};
use vouchsafe::protocol::{
    Action, Config, Engine, FRAME_OVERHEAD, Input, LinkId, Mono, Now, Setup, UsedPositions, VerifyJob,
};
use vouchsafe::rumor::{Bundle, NetworkId, Position, Previous, RuleSet, SignedHeader, seal_after};
use vouchsafe::store::{MemoryStore, RedbStore, Store, serve};
use vouchsafe::verify::{Item as Signed, Verifier};
use vouchsafe::wire::{Kind, Lane};
use vouchsafe::{SecretKey, Topic};

use super::{Cost, Found, Outcome};
use crate::items::{self, AUTHORS, Difference};
use crate::process::cpu;

const NETWORK: &str = "history";
const LINK: LinkId = LinkId(1);
/// What is younger than this is not compared.
const SETTLED: u64 = 90;
/// Bundles of one commit while a store is filled, and the most that a node's own writer commits at once.
const GROUP: usize = 1000;
/// Both have asked each other by then.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn topic(count: usize) -> Topic {
    Topic::named("past").retention(Duration::from_secs(7_200 + items::seconds(count))).slots_per_tick(4096)
}

/// All items, each a bundle of its own: a signature each, as if none had had company.
pub(crate) fn bundles(rules: &RuleSet, count: usize, first: u64) -> anyhow::Result<Vec<Arc<Bundle>>> {
    let keys: Vec<_> = (0..AUTHORS).map(|author| SecretKey::from_seed(&[author as u8 + 1; 32])).collect();
    let mut last: Vec<Option<Previous>> = vec![None; AUTHORS];
    let seal = |item: items::Item| {
        let (second, slot) = item.when();
        let at = Position { tick: first + second, slot };
        let (key, last) = (&keys[item.author], &mut last[item.author]);
        let bundle = seal_after(key, rules.id(), *last, at, &[Bytes::from(item.body())])?;
        *last = Some(Previous::of(&bundle));
        Ok(Arc::new(bundle))
    };
    items::all(count).map(seal).collect()
}

/// Has a store keep what a node would have taken in over time.
pub(crate) fn fill<'a>(
    store: &mut dyn Store,
    key: &SecretKey,
    rules: &RuleSet,
    bundles: impl Iterator<Item = &'a Arc<Bundle>>,
) -> anyhow::Result<()> {
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
    let keep = |bundle: &Arc<Bundle>| Keep {
        bundle: Arc::clone(bundle),
        arrival: Arrival::Late { below: false },
        show: Show::Now,
    };
    let keeps: Vec<_> = bundles.map(keep).collect();
    for keeps in keeps.chunks(GROUP) {
        store.keep(&Group { keeps, record: None, now_ms: 0 })?;
    }
    Ok(())
}

/// The Unix time in seconds at which the first of so many items was said, if it is now.
pub(crate) fn first_second(count: usize) -> anyhow::Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(now - SETTLED - items::seconds(count))
}

/// What a step belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Find,
    Take,
    /// Time passes, and nothing is asked.
    Idle,
}

fn phase_of_frame(payload: &[u8]) -> Phase {
    match Kind::of(payload) {
        Some(Kind::Ask | Kind::Tell | Kind::More | Kind::Stop) => Phase::Find,
        Some(Kind::Fetch | Kind::Page | Kind::Bundles) => Phase::Take,
        _ => Phase::Idle,
    }
}

fn phase_of_answer(answer: &StoreAnswer) -> Phase {
    match answer {
        StoreAnswer::Looked { found: Ok(Looked::Page(_)), .. } | StoreAnswer::Kept { .. } => Phase::Take,
        StoreAnswer::Looked { .. } => Phase::Find,
        _ => Phase::Idle,
    }
}

struct Side {
    engine: Engine,
    store: Box<dyn Store>,
    /// Frames that have come, each lane's in order.
    incoming: [VecDeque<Bytes>; Lane::COUNT],
    paused: [bool; Lane::COUNT],
    inputs: VecDeque<(Phase, Input)>,
    keeps: Vec<Keep>,
    jobs: VecDeque<StoreJob>,
    verifier: Verifier,
}

/// What was said and done, by phase: finding first.
#[derive(Default)]
struct Sum {
    phases: [Cost; 2],
    /// Bytes of frames of other lanes: greetings, and what neighbours say to each other.
    other: u64,
    idle: Duration,
}

impl Sum {
    fn spend(&mut self, phase: Phase, time: Duration) {
        match phase {
            Phase::Find => self.phases[0].cpu += time,
            Phase::Take => self.phases[1].cpu += time,
            Phase::Idle => self.idle += time,
        }
    }
}

struct Pair {
    sides: [Side; 2],
    now: Now,
    sum: Sum,
}

/// The side that has all.
const WHOLE: usize = 0;
const LACKING: usize = 1;

impl Pair {
    /// Does what an engine wants done, and gives what that was about.
    fn drain(&mut self, at: usize) -> Phase {
        let mut about = Phase::Idle;
        while let Some(action) = self.sides[at].engine.poll() {
            match action {
                Action::Send { lane, frame, .. } => {
                    let phase = phase_of_frame(&frame);
                    let bytes = frame.len() + FRAME_OVERHEAD;
                    match phase {
                        Phase::Idle => self.sum.other += bytes as u64,
                        phase => {
                            about = Phase::Find;
                            let cost = &mut self.sum.phases[usize::from(phase == Phase::Take)];
                            *(if at == LACKING { &mut cost.up } else { &mut cost.down }) += bytes as u64;
                            let asks = matches!(Kind::of(&frame), Some(Kind::Ask | Kind::Fetch));
                            cost.rounds += u64::from(at == LACKING && asks);
                        }
                    }
                    self.sides[at].inputs.push_back((phase, Input::Written { link: LINK, lane, bytes }));
                    self.sides[1 - at].incoming[lane.index()].push_back(frame);
                }
                Action::Store(job) => self.sides[at].jobs.push_back(job),
                Action::Verify { batch, jobs } => {
                    let before = cpu();
                    let verdicts = self.sides[at].verify(&jobs);
                    self.sum.spend(Phase::Take, cpu() - before);
                    self.sides[at].inputs.push_back((Phase::Take, Input::Verdicts { batch, verdicts }));
                }
                Action::PauseReading(_, lane) => self.sides[at].paused[lane.index()] = true,
                Action::ResumeReading(_, lane) => self.sides[at].paused[lane.index()] = false,
                Action::Record { from_ms, until_ms } => {
                    self.sides[at].inputs.push_back((Phase::Idle, Input::Recorded { from_ms, until_ms }));
                }
                _ => {}
            }
        }
        about
    }

    fn input(&mut self, at: usize, phase: Phase, input: Input) {
        let before = cpu();
        self.sides[at].engine.handle(self.now, input);
        let about = self.drain(at);
        let phase = if phase == Phase::Idle { about } else { phase };
        self.sum.spend(phase, cpu() - before);
    }

    /// One thing of a side that can be done now; false if there is none.
    fn step(&mut self, at: usize) -> anyhow::Result<bool> {
        let side = &mut self.sides[at];
        if let Some((phase, input)) = side.inputs.pop_front() {
            self.input(at, phase, input);
            return Ok(true);
        }
        let readable = |lane: &&Lane| !side.paused[lane.index()] && !side.incoming[lane.index()].is_empty();
        if let Some(lane) = Lane::ALL.iter().find(readable).copied()
            && let Some(payload) = side.incoming[lane.index()].pop_front()
        {
            let phase = phase_of_frame(&payload);
            self.input(at, phase, Input::Frame { link: LINK, lane, payload });
            return Ok(true);
        }
        let before = cpu();
        let Some(phase) = side.work(self.now)? else { return Ok(false) };
        self.sum.spend(phase, cpu() - before);
        Ok(true)
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        while self.step(LACKING)? | self.step(WHOLE)? {}
        Ok(())
    }

    /// Lets time pass until something is due.
    fn pass(&mut self) -> anyhow::Result<()> {
        let due = self.sides.iter().filter_map(|side| side.engine.next_deadline()).min();
        let due = due
            .context("an engine's own cycle always runs")?
            .max(self.now.mono.plus(Duration::from_micros(1)));
        self.now.unix_ms += due.since(self.now.mono).as_millis() as u64;
        self.now.mono = due;
        for at in [LACKING, WHOLE] {
            if self.sides[at].engine.next_deadline().is_some_and(|deadline| deadline <= due) {
                self.input(at, Phase::Idle, Input::Tick);
            }
        }
        self.settle()
    }
}

impl Side {
    fn new(key: &SecretKey, store: Box<dyn Store>, now: Now) -> Self {
        let mut config = Config::default();
        config.history.topic_bytes = 8 << 30;
        let setup = Setup {
            network: NetworkId::of(NETWORK),
            node: key.public(),
            author: SecretKey::generate(),
            position_log: UsedPositions::None,
            seed: *blake3::hash(key.public().as_bytes()).as_bytes(),
            config,
        };
        Self {
            engine: Engine::new(setup, now),
            store,
            incoming: Default::default(),
            paused: [false; Lane::COUNT],
            inputs: VecDeque::new(),
            keeps: Vec::new(),
            jobs: VecDeque::new(),
            verifier: Verifier::new(),
        }
    }

    fn verify(&mut self, jobs: &[VerifyJob]) -> Vec<bool> {
        let messages: Vec<_> = jobs.iter().map(|job| SignedHeader::message(&job.id)).collect();
        let items = jobs.iter().zip(&messages).map(|(job, message)| Signed {
            key: &job.author,
            message,
            signature: &job.signature,
        });
        self.verifier.verify_batch(&items.collect::<Vec<_>>())
    }

    /// One job of the store. What is to be kept is gathered while there is other work, and committed in groups, as a node does.
    fn work(&mut self, now: Now) -> anyhow::Result<Option<Phase>> {
        let job = match self.jobs.pop_front() {
            Some(StoreJob::Keep { keep, .. }) if self.keeps.len() < GROUP => {
                self.keeps.push(keep);
                return Ok(Some(Phase::Take));
            }
            Some(job) => Some(job),
            None if self.keeps.is_empty() => return Ok(None),
            None => None,
        };
        if !self.keeps.is_empty() && !matches!(job, Some(StoreJob::Look { .. })) {
            let keeps = std::mem::take(&mut self.keeps);
            let kept = self.store.keep(&Group { keeps: &keeps, record: None, now_ms: now.unix_ms })?;
            for (keep, kept) in keeps.into_iter().zip(kept) {
                let answer = StoreAnswer::Kept { keep, kept: Ok(kept) };
                self.inputs.push_back((Phase::Take, Input::Store(answer)));
            }
            if let Some(job) = job {
                self.jobs.push_front(job);
            }
            return Ok(Some(Phase::Take));
        }
        let Some(job) = job else { return Ok(None) };
        let Some(answer) = serve(&mut *self.store, job, now.unix_ms) else { return Ok(Some(Phase::Idle)) };
        let phase = phase_of_answer(&answer);
        self.inputs.push_back((phase, Input::Store(answer)));
        Ok(Some(phase))
    }

    /// How many bundles its store shows of a topic.
    fn len(&self, rules: &RuleSet) -> anyhow::Result<u64> {
        Ok(self.store.reader().size(&rules.id())?.bundles)
    }
}

fn pair(
    difference: Difference,
    count: usize,
    folders: Option<&[tempfile::TempDir; 2]>,
) -> anyhow::Result<(Pair, RuleSet)> {
    let rules = topic(count).bind(NetworkId::of(NETWORK))?;
    let first = first_second(count)?;
    let all = bundles(&rules, count, first)?;
    let unix_ms = (first + items::seconds(count) + SETTLED) * 1_000;
    let now = Now { mono: Mono::from_nanos(1_000_000_000), unix_ms };
    let side = |at: usize| {
        let key = SecretKey::from_seed(&[at as u8 + 100; 32]);
        let mut store: Box<dyn Store> = match folders {
            Some(folders) => Box::new(RedbStore::open(folders[at].path())?),
            None => Box::new(MemoryStore::new(at as u64 + 1)),
        };
        let has =
            items::all(count).zip(&all).filter(|(item, _)| at == WHOLE || !difference.lacks(item, count));
        fill(&mut *store, &key, &rules, has.map(|(_, bundle)| bundle))?;
        anyhow::Ok((Side::new(&key, store, now), key.public()))
    };
    let ((whole, whole_key), (lacking, lacking_key)) = (side(WHOLE)?, side(LACKING)?);
    let mut pair = Pair { sides: [whole, lacking], now, sum: Sum::default() };
    let arc = Arc::new(rules.clone());
    for at in [WHOLE, LACKING] {
        let (rules, keep) = (Arc::clone(&arc), KeepOptions::default());
        pair.input(at, Phase::Idle, Input::Join { rules, deliver: false, validate: false, keep });
    }
    pair.settle()?;
    // What was there before they met is no part of it.
    pair.sum = Sum::default();
    for (at, peer, dialled) in [(WHOLE, lacking_key, false), (LACKING, whole_key, true)] {
        pair.input(at, Phase::Idle, Input::LinkUp { link: LINK, peer, dialled, remote: None });
    }
    pair.settle()?;
    Ok((pair, rules))
}

pub(super) fn run(difference: Difference, count: usize, in_folder: bool) -> Outcome {
    let folders = in_folder.then(|| Ok::<_, std::io::Error>([tempfile::tempdir()?, tempfile::tempdir()?]));
    let folders = folders.transpose()?;
    let (mut pair, rules) = pair(difference, count, folders.as_ref())?;
    let until = pair.now.mono.plus(LIMIT);
    loop {
        let asked = |side: &Side| side.engine.repairing(&rules.id()).is_some_and(|told| told.asked_all);
        if pair.sides.iter().all(asked) && pair.sides[LACKING].len(&rules)? == count as u64 {
            break;
        }
        ensure!(pair.now.mono < until, "{:?}", pair.sides[LACKING].engine.repairing(&rules.id()));
        pair.pass()?;
    }
    let scan = pair.sides[LACKING].store.reader().scan(&rules.id(), Cursor::START, 1)?;
    ensure!(!scan.items.is_empty(), "nothing is shown");
    if std::env::var_os("HISTORY_TALK").is_some() {
        let spent = (pair.sum.other, pair.sum.idle, pair.now.mono);
        eprintln!("other bytes, idle CPU, time: {spent:?}");
        for side in &pair.sides {
            let counters = side.engine.stats().counters;
            let counted: Vec<_> = counters.list().into_iter().filter(|(_, value)| *value > 0).collect();
            eprintln!("{counted:?}");
        }
    }
    let [known, come] = pair.sum.phases;
    Ok(Some(Found { known, come: Some(come) }))
}
