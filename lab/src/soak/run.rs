//! One run: the schedule, the loop that reads what is seen, and what is measured of it.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vouchsafe_cli::demo::liars::target;
use vouchsafe_cli::demo::plan::Dice;
use vouchsafe_cli::exit::Failure;
use vouchsafe_cli::sim::bar::Bar;

use super::Args;
use super::gauge::{self, Sample, quantile};
use super::outcome::Outcome;
use super::past::Confirmed;
use super::plan;
use super::promises::Promises;
use super::trouble::Trouble;
use super::world::{Ground, News, Place};
use crate::process;

/// Nodes that each node dials: some eight links, as in the demo.
const FANOUT: usize = 4;
/// The folder of the nodes' position logs and stores. It is emptied, so it has a name that nobody keeps those of real keys under.
const POSITION_LOGS: &str = "soak.positions";
/// News that wait; what can't be passed on waits with its reader, which has room for thousands.
const WAITING: usize = 65_536;
/// For all nodes to be linked at the beginning, and to be back at the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// For QUIC to be done with all connections at the end: see `world::REBINDING`.
const DRAINED: Duration = Duration::from_secs(300);

pub(super) async fn run(args: &Args) -> Result<Outcome, Failure> {
    let position_logs = args.out.join(POSITION_LOGS);
    process::count_panics();
    // Of a run that was broken off: of keys that are gone.
    let _ = std::fs::remove_dir_all(&position_logs);
    std::fs::create_dir_all(&position_logs).map_err(|error| Failure::file(&position_logs, &error))?;
    let path = args.out.join("soak.jsonl");
    let log = std::fs::File::create(&path).map_err(|error| Failure::file(&path, &error))?;
    let bar = Bar::new(1, !args.json);
    let mut soak = Soak::new(args, position_logs.clone(), std::io::LineWriter::new(log))?;
    bar.begin("linking".to_owned());
    soak.begin().await?;
    let first = process::descriptors();
    soak.started = Instant::now();
    // The first soon, so that a short run has one too.
    soak.next_cut = soak.started + soak.between(2, 6);
    let end = soak.started + args.minutes;
    soak.live(end, Some(&bar)).await?;
    bar.begin("coming to rest".to_owned());
    soak.rest().await?;
    bar.begin("waiting for all to know all".to_owned());
    soak.wait_for_members().await?;
    bar.begin("waiting for the past to be the same".to_owned());
    soak.wait_for_the_past().await?;
    let last = soak.descriptors_at_most(first).await?;
    bar.end();
    let _ = std::fs::remove_dir_all(&position_logs);
    Ok(soak.outcome(first.zip(last)))
}

pub(super) struct Soak {
    pub(super) nodes: usize,
    pub(super) within: Duration,
    /// Seconds that a node has to recover.
    pub(super) heal: Duration,
    pub(super) troubles: Vec<Trouble>,
    pub(super) pace: Duration,
    pub(super) started: Instant,
    /// Seconds of the run, without its rest.
    pub(super) whole: f64,
    /// Who keeps a link to whom.
    pub(super) planned: Vec<(usize, usize)>,
    pub(super) ground: Ground,
    pub(super) news: mpsc::Receiver<News>,
    pub(super) places: Vec<Place>,
    pub(super) lives: u64,
    pub(super) folder: PathBuf,
    pub(super) log: std::io::LineWriter<std::fs::File>,
    pub(super) dice: Dice,
    pub(super) promises: Promises,
    pub(super) confirmed: Confirmed,
    /// Links between lives that are up at both ends and uncut, and since when.
    pub(super) links: HashMap<(usize, usize), Instant>,
    /// As each end sees it, at the last look.
    pub(super) ends: HashMap<(usize, usize), Instant>,
    pub(super) sides: Option<(Vec<bool>, Instant)>,
    pub(super) healed: Instant,
    pub(super) attacks: Vec<(usize, Instant, JoinSet<()>)>,
    pub(super) said: u64,
    pub(super) delays: Vec<Duration>,
    pub(super) asking: bool,
    /// Lives that gave no answer.
    pub(super) silent: HashSet<u64>,
    pub(super) latest: HashMap<usize, (u64, u64)>,
    pub(super) next_churn: Instant,
    pub(super) next_attack: Instant,
    pub(super) next_cut: Instant,
    /// What is said before then may wait among words of ever more new keys.
    pub(super) crowded_until: Instant,
    pub(super) next_trouble: Instant,
    /// Publish requests without an answer: whose, of which life, and since when.
    pub(super) asked: HashMap<u64, (usize, u64, Instant)>,
    /// Nodes that showed all that live as alive, at their last look.
    pub(super) know_all: HashSet<usize>,
    /// Nodes that had nothing left to do at some look since the attackers went.
    pub(super) quiet: Option<HashSet<usize>>,
    pub(super) seen: Outcome,
}

impl Soak {
    fn new(args: &Args, folder: PathBuf, log: std::io::LineWriter<std::fs::File>) -> Result<Self, Failure> {
        let nodes = usize::from(args.nodes);
        let (news_in, news) = mpsc::channel(WAITING);
        let mut ports = Dice::new(u64::from(std::process::id()), "ports");
        let places =
            (0..nodes).map(|slot| Place::new(slot, &folder, &mut ports)).collect::<Result<Vec<_>, _>>()?;
        let within = Duration::from_secs(args.within.into());
        let now = Instant::now();
        Ok(Self {
            nodes,
            within,
            heal: Duration::from_secs(args.heal.max(args.within).into()),
            troubles: args.troubles.0.clone(),
            pace: Duration::from_secs(1) / args.rate.into(),
            started: now,
            whole: args.minutes.as_secs_f64(),
            planned: plan::links(nodes, FANOUT.min(nodes - 1), args.seed),
            ground: Ground::new(nodes, args.troubles.0.contains(&Trouble::SlowValidators), news_in),
            news,
            places,
            lives: 0,
            folder,
            log,
            dice: Dice::new(args.seed, "soak"),
            promises: Promises::new(nodes, within),
            confirmed: Confirmed::default(),
            links: HashMap::new(),
            ends: HashMap::new(),
            sides: None,
            healed: now,
            attacks: Vec::new(),
            said: 0,
            delays: Vec::new(),
            asking: false,
            silent: HashSet::new(),
            latest: HashMap::new(),
            next_churn: now,
            next_attack: now,
            next_cut: now,
            crowded_until: now,
            next_trouble: now,
            asked: HashMap::new(),
            know_all: HashSet::new(),
            quiet: None,
            seen: Outcome::default(),
        })
    }

    /// All nodes up and linked as planned.
    async fn begin(&mut self) -> Result<(), Failure> {
        // Now, so that it is not taken for a descriptor that was left open.
        target::socket().await.map_err(Failure::failed)?;
        (0..self.nodes).for_each(|slot| self.comes(slot));
        let latest = Instant::now() + PATIENCE;
        while self.links.len() < self.planned.len() {
            if Instant::now() > latest {
                return Err(Failure::Failed(format!(
                    "{} of {} links are up after {} s: is this machine overloaded, or UDP on 127.0.0.1 blocked?",
                    self.links.len(),
                    self.planned.len(),
                    PATIENCE.as_secs()
                )));
            }
            self.look_and_read(Duration::from_millis(200)).await?;
        }
        Ok(())
    }

    /// Asks all nodes for their books, and reads what comes for so long.
    pub(super) async fn look_and_read(&mut self, time: Duration) -> Result<(), Failure> {
        self.ask();
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(news)) = tokio::time::timeout_at(until, self.news.recv()).await {
            self.read(news)?;
        }
        Ok(())
    }

    async fn live(&mut self, end: Instant, bar: Option<&Bar>) -> Result<(), Failure> {
        let mut pace = tokio::time::interval(self.pace);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while Instant::now() < end {
            tokio::select! {
                Some(news) = self.news.recv() => self.read(news)?,
                _ = pace.tick() => self.publish(),
                _ = second.tick() => {
                    self.ask();
                    self.measure()?;
                    if let Some(bar) = bar {
                        self.schedule(end);
                        bar.part(self.started.elapsed().as_secs_f64() / self.whole);
                        bar.begin(self.status());
                    }
                }
            }
        }
        Ok(())
    }

    fn status(&self) -> String {
        let broken: u64 = self.promises.broken.values().sum();
        let up = self.places.iter().filter(|place| place.life.is_some()).count();
        format!("{up} up, {} attacks, {broken} promises broken", self.attacks.len())
    }

    /// No more attacks and cuts, everybody back; then time for all promises that are still open.
    async fn rest(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        self.calm(now);
        for place in &mut self.places {
            place.back_at = place.back_at.map(|_| now);
        }
        let latest = now + PATIENCE;
        while self.places.iter().any(|place| place.life.is_none() || place.moving) && Instant::now() < latest
        {
            self.come_back();
            self.look_and_read(Duration::from_millis(100)).await?;
        }
        self.quiet = Some(HashSet::new());
        // Who has left its topic comes back on its own, within seconds.
        let recovers = self.places.iter().map(|place| place.speaks_from.max(place.hears_from + self.within));
        let latest = Instant::now() + self.heal + PATIENCE;
        let end = recovers.max().unwrap_or(now).min(latest).max(Instant::now() + self.within);
        self.live(end + Duration::from_secs(3), None).await?;
        self.look_at_the_quiet();
        Ok(())
    }

    /// Waits until no more descriptors are open than were; says how many are.
    async fn descriptors_at_most(&mut self, first: Option<u64>) -> Result<Option<u64>, Failure> {
        let latest = Instant::now() + DRAINED;
        // The count that ends the wait is the answer: a position log may be open again a moment later, while it is being written.
        let mut last = process::descriptors();
        while last > first && Instant::now() < latest {
            self.look_and_read(Duration::from_millis(500)).await?;
            last = process::descriptors();
        }
        Ok(last)
    }

    fn outcome(mut self, descriptors: Option<(u64, u64)>) -> Outcome {
        let (offences, convictions) = self.latest.values().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        self.seen.growth = gauge::growth(&self.seen.samples, self.whole, |sample| sample.resident);
        self.seen.heap_growth = gauge::growth(&self.seen.samples, self.whole, |sample| Some(sample.heap));
        Outcome {
            descriptors,
            dropped_packets: self.ground.cut.dropped.load(Ordering::Relaxed),
            checked: self.promises.checked,
            broken: self.promises.broken,
            panics: process::panics(),
            words: self.promises.words,
            offences,
            convictions,
            ..self.seen
        }
    }

    pub(super) fn second(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.started).as_secs_f64()
    }

    fn measure(&mut self) -> Result<(), Failure> {
        let mut delays = std::mem::take(&mut self.delays);
        delays.sort_unstable();
        let sample = Sample {
            second: self.second(Instant::now()),
            resident: process::memory(),
            heap: process::heap(),
            descriptors: process::descriptors(),
            nodes: self.places.iter().filter(|place| place.life.is_some()).count(),
            cut: self.sides.is_some(),
            published: self.seen.published,
            delivered: self.seen.delivered,
            p50: quantile(&delays, 0.5),
            p99: quantile(&delays, 0.99),
        };
        let names: Vec<_> = self.attacks.iter().map(|(at, ..)| self.seen.attacks[*at].0).collect();
        let troubled = self.places.iter().enumerate().filter_map(|(slot, place)| {
            place.trouble.as_ref().map(|trouble| format!("{slot} {}", trouble.kind.name()))
        });
        let troubles: Vec<_> = troubled.collect();
        let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        let line = json!({
            "second": sample.second, "rss_bytes": sample.resident, "heap_bytes": sample.heap, "fds": sample.descriptors,
            "tasks": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            "nodes": sample.nodes, "links": self.links.len(), "attacks": names, "troubles": troubles, "cut": sample.cut,
            "published": sample.published, "delivered": sample.delivered,
            "p50_ms": ms(sample.p50), "p99_ms": ms(sample.p99),
            "missed": self.seen.missed, "checked": self.promises.checked, "broken": self.promises.broken,
        });
        writeln!(self.log, "{line}").map_err(|error| Failure::file(Path::new("soak.jsonl"), &error))?;
        self.seen.samples.push(sample);
        Ok(())
    }
}
