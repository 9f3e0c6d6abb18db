//! One run: the schedule, the loop that reads what is seen, and what is measured of it.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vouchsafe::node::NodeStats;
use vouchsafe::{Event, PublicKey, PublishError};

use super::Args;
use super::attacks::{self, Attack};
use super::deeds;
use super::gauge::{self, Sample, quantile};
use super::promises::Promises;
use super::world::{Ground, Life, News, Place};
use crate::demo::plan::{Dice, Plan};
use crate::demo::world::Directory;
use crate::exit::Failure;
use crate::sim::bar::Bar;

/// Nodes that each node dials: some eight links, as in the demo.
const FANOUT: usize = 4;
/// Attacks at once.
const ATTACKS: usize = 4;
/// News that wait; what can't be passed on waits with its reader, which has room for thousands.
const WAITING: usize = 65_536;
/// For all nodes to be linked at the beginning, and to be back at the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// For QUIC to be done with all connections at the end: see `world::REBINDING`.
const DRAINED: Duration = Duration::from_secs(300);

/// What a run has shown.
pub(super) struct Outcome {
    pub(super) samples: Vec<Sample>,
    /// What was done, from when to when, in seconds.
    pub(super) attacks: Vec<(&'static str, f64, f64)>,
    pub(super) cuts: Vec<(f64, f64)>,
    pub(super) left: u64,
    pub(super) crashed: u64,
    pub(super) reborn: u64,
    pub(super) published: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) delivered: u64,
    pub(super) dropped_packets: u64,
    pub(super) missed: u64,
    pub(super) checked: u64,
    pub(super) broken: BTreeMap<&'static str, u64>,
    pub(super) words: Vec<String>,
    pub(super) growth: Option<f64>,
    /// Open descriptors with all nodes up and no attacker, at the beginning and at the end.
    pub(super) descriptors: Option<(u64, u64)>,
    /// The demo's counters, added up over all lives that were still there at the end.
    pub(super) offences: u64,
    pub(super) convictions: u64,
}

/// Growth of memory, once warm, that is a fault.
const MOST_GROWTH: f64 = 0.05;

impl Outcome {
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults: Vec<_> =
            self.broken.iter().map(|(promise, times)| format!("{promise}: {times} times")).collect();
        faults.extend(self.words.iter().take(3).cloned());
        if self.missed > 0 {
            faults.push(format!("{} things were not seen: this machine is too slow for --rate", self.missed));
        }
        if self.checked == 0 {
            faults.push("nothing was owed: give more --minutes, or less --within".to_owned());
        }
        if let Some(growth) = self.growth.filter(|growth| *growth >= MOST_GROWTH) {
            faults.push(format!("memory grew by {:.1} %", growth * 100.0));
        }
        if let Some((first, last)) = self.descriptors.filter(|(first, last)| last > first) {
            faults.push(format!("{first} descriptors became {last}"));
        }
        faults
    }
}

pub(super) async fn run(args: &Args) -> Result<Outcome, Failure> {
    let ledgers = args.out.join("ledgers");
    // Of a run that was broken off: of keys that are gone.
    let _ = std::fs::remove_dir_all(&ledgers);
    std::fs::create_dir_all(&ledgers).map_err(|error| Failure::file(&ledgers, &error))?;
    let path = args.out.join("soak.jsonl");
    let log = std::fs::File::create(&path).map_err(|error| Failure::file(&path, &error))?;
    let bar = Bar::new(1, !args.json);
    let mut soak = Soak::new(args, ledgers.clone(), std::io::LineWriter::new(log))?;
    bar.begin("linking".to_owned());
    soak.begin().await?;
    let first = gauge::descriptors();
    soak.started = Instant::now();
    // The first soon, so that a short run has one too.
    soak.next_cut = soak.started + soak.between(2, 6);
    let end = soak.started + args.minutes;
    soak.live(end, Some(&bar)).await?;
    bar.begin("coming to rest".to_owned());
    soak.rest().await?;
    let last = soak.descriptors_at_most(first).await?;
    bar.end();
    let _ = std::fs::remove_dir_all(&ledgers);
    Ok(soak.outcome(first.zip(last)))
}

struct Soak {
    nodes: usize,
    within: Duration,
    pace: Duration,
    started: Instant,
    plan: Plan,
    ground: Ground,
    news: mpsc::Receiver<News>,
    places: Vec<Place>,
    lives: u64,
    folder: PathBuf,
    log: std::io::LineWriter<std::fs::File>,
    dice: Dice,
    promises: Promises,
    /// Links between lives that are up at both ends and uncut, and since when.
    links: HashMap<(usize, usize), Instant>,
    /// As each end sees it, at the last look.
    ends: HashMap<(usize, usize), Instant>,
    sides: Option<(Vec<bool>, Instant)>,
    healed: Instant,
    attacks: Vec<(usize, Instant, JoinSet<()>)>,
    said: u64,
    delays: Vec<Duration>,
    asking: bool,
    latest: HashMap<usize, (u64, u64)>,
    next_churn: Instant,
    next_attack: Instant,
    next_cut: Instant,
    seen: Outcome,
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
            pace: Duration::from_secs(1) / args.rate.into(),
            started: now,
            plan: Plan::new(nodes, 0, FANOUT.min(nodes - 1), 0, args.seed),
            ground: Ground::new(nodes, news_in),
            news,
            places,
            lives: 0,
            folder,
            log,
            dice: Dice::new(args.seed, "soak"),
            promises: Promises::new(nodes, within),
            links: HashMap::new(),
            ends: HashMap::new(),
            sides: None,
            healed: now,
            attacks: Vec::new(),
            said: 0,
            delays: Vec::new(),
            asking: false,
            latest: HashMap::new(),
            next_churn: now,
            next_attack: now,
            next_cut: now,
            seen: Outcome {
                samples: Vec::new(),
                attacks: Vec::new(),
                cuts: Vec::new(),
                left: 0,
                crashed: 0,
                reborn: 0,
                published: 0,
                refused: BTreeMap::new(),
                delivered: 0,
                dropped_packets: 0,
                missed: 0,
                checked: 0,
                broken: BTreeMap::new(),
                words: Vec::new(),
                growth: None,
                descriptors: None,
                offences: 0,
                convictions: 0,
            },
        })
    }

    /// All nodes up and linked as planned.
    async fn begin(&mut self) -> Result<(), Failure> {
        // Now, so that it is not taken for a descriptor that was left open.
        deeds::socket().await.map_err(Failure::failed)?;
        (0..self.nodes).for_each(|slot| self.comes(slot));
        let latest = Instant::now() + PATIENCE;
        while self.links.len() < self.plan.links.len() {
            if Instant::now() > latest {
                return Err(Failure::Failed(format!(
                    "{} of {} links are up after {} s: is this machine overloaded, or UDP on 127.0.0.1 blocked?",
                    self.links.len(),
                    self.plan.links.len(),
                    PATIENCE.as_secs()
                )));
            }
            self.look_and_read(Duration::from_millis(200)).await?;
        }
        Ok(())
    }

    /// Asks all nodes for their books, and reads what comes for so long.
    async fn look_and_read(&mut self, time: Duration) -> Result<(), Failure> {
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
        let whole = end.saturating_duration_since(self.started).as_secs_f64();
        while Instant::now() < end {
            tokio::select! {
                Some(news) = self.news.recv() => self.read(news)?,
                _ = pace.tick() => self.publish(),
                _ = second.tick() => {
                    self.ask();
                    self.measure()?;
                    if let Some(bar) = bar {
                        self.schedule(end)?;
                        bar.part(self.started.elapsed().as_secs_f64() / whole);
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
        self.heal();
        let now = Instant::now();
        while let Some((at, _, tasks)) = self.attacks.pop() {
            drop(tasks);
            self.ended(at, now);
        }
        for place in &mut self.places {
            place.back_at = place.back_at.map(|_| now);
        }
        let latest = now + PATIENCE;
        while self.places.iter().any(|place| place.life.is_none() || place.moving) && Instant::now() < latest
        {
            self.come_back();
            self.look_and_read(Duration::from_millis(100)).await?;
        }
        self.live(Instant::now() + self.within + Duration::from_secs(3), None).await
    }

    /// Waits until no more descriptors are open than were; says how many are.
    async fn descriptors_at_most(&mut self, first: Option<u64>) -> Result<Option<u64>, Failure> {
        let latest = Instant::now() + DRAINED;
        while gauge::descriptors() > first && Instant::now() < latest {
            self.look_and_read(Duration::from_millis(500)).await?;
        }
        Ok(gauge::descriptors())
    }

    fn outcome(mut self, descriptors: Option<(u64, u64)>) -> Outcome {
        let (offences, convictions) = self.latest.values().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        self.seen.growth = gauge::growth(&self.seen.samples);
        Outcome {
            descriptors,
            dropped_packets: self.ground.cut.dropped.load(Ordering::Relaxed),
            checked: self.promises.checked,
            broken: self.promises.broken,
            words: self.promises.words,
            offences,
            convictions,
            ..self.seen
        }
    }

    // ---- what happens to the nodes

    fn schedule(&mut self, end: Instant) -> Result<(), Failure> {
        let now = Instant::now();
        self.come_back();
        let done: Vec<_> = (0..self.attacks.len()).rev().filter(|at| self.attacks[*at].1 <= now).collect();
        for at in done {
            let (number, ..) = self.attacks.swap_remove(at);
            self.ended(number, now);
        }
        if self.sides.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.heal();
        }
        if now >= self.next_churn {
            self.next_churn = now + self.between(2, 12);
            self.leaves(now);
        }
        if now >= self.next_attack && self.attacks.len() < ATTACKS {
            self.next_attack = now + self.between(2, 10);
            self.attack(now.min(end))?;
        }
        if now >= self.next_cut && self.sides.is_none() {
            self.next_cut = now + self.between(30, 90);
            self.cut(now);
        }
        Ok(())
    }

    /// Seconds, at least and at most.
    fn between(&mut self, least: usize, most: usize) -> Duration {
        Duration::from_millis((least * 1000 + self.dice.below((most - least) * 1000)) as u64)
    }

    fn attack(&mut self, now: Instant) -> Result<(), Failure> {
        let up: Vec<_> = self.places.iter().filter(|place| place.life.is_some()).map(Place::peer).collect();
        let Some(rules) =
            self.places.iter().find_map(|place| Some(place.life.as_ref()?.topic.rules().clone()))
        else {
            return Ok(());
        };
        let attack = Attack::chosen(&mut self.dice);
        let until = now + self.between(10, 40);
        let tasks = attacks::start(attack, &Directory::new(up, Vec::new(), rules), &mut self.dice)?;
        let from = self.second(now);
        self.seen.attacks.push((attack.name(), from, f64::MAX));
        self.attacks.push((self.seen.attacks.len() - 1, until, tasks));
        Ok(())
    }

    fn ended(&mut self, attack: usize, now: Instant) {
        let at = self.second(now);
        if let Some((.., end)) = self.seen.attacks.get_mut(attack) {
            *end = at;
        }
    }

    fn cut(&mut self, now: Instant) {
        let smaller = 1 + self.dice.below(self.nodes / 2);
        let away = self.dice.some_of(self.nodes, smaller, None);
        let sides: Vec<bool> = (0..self.nodes).map(|slot| away.contains(&slot)).collect();
        let addrs = self.places.iter().zip(&sides).map(|(place, side)| (place.addr, *side)).collect();
        self.ground.cut.begin(addrs);
        let until = now + self.between(5, 25);
        self.sides = Some((sides, until));
        let from = self.second(now);
        self.seen.cuts.push((from, f64::MAX));
    }

    fn heal(&mut self) {
        if self.sides.take().is_some() {
            self.ground.cut.heal();
            self.healed = Instant::now();
            let at = self.second(self.healed);
            if let Some((_, end)) = self.seen.cuts.last_mut() {
                *end = at;
            }
        }
    }

    /// A node leaves, if most are there.
    fn leaves(&mut self, now: Instant) {
        let away = self.places.iter().filter(|place| place.life.is_none()).count();
        let slot = self.dice.below(self.nodes);
        let (crash, reborn) = (self.dice.below(2) == 0, self.dice.below(3) == 0);
        let pause = self.between(1, 15);
        let place = &mut self.places[slot];
        if away * 4 >= self.nodes || place.moving {
            return;
        }
        let Some(life) = place.life.take() else { return };
        place.moving = true;
        place.back_at = Some(now + pause);
        place.number = None;
        if reborn {
            self.lives += 1;
            let old = place.key.public();
            place.reborn(slot, self.lives, &self.folder);
            self.ground.forget(old, self.places.iter().filter_map(|place| place.life.as_ref()));
            self.seen.reborn += 1;
        }
        *(if crash { &mut self.seen.crashed } else { &mut self.seen.left }) += 1;
        self.promises.ended(slot);
        self.forget_links(slot);
        self.ground.end(slot, life, crash);
    }

    fn come_back(&mut self) {
        let now = Instant::now();
        for slot in 0..self.nodes {
            let place = &self.places[slot];
            if place.life.is_none() && !place.moving && place.back_at.is_none_or(|at| at <= now) {
                self.comes(slot);
            }
        }
    }

    fn comes(&mut self, slot: usize) {
        let newcomer = self.places[slot].newcomer;
        let mut peers = Vec::new();
        let mut others = Vec::new();
        for (one, other) in &self.plan.links {
            match slot {
                _ if *one == slot => peers.push(self.places[*other].peer()),
                _ if *other == slot && newcomer => peers.push(self.places[*one].peer()),
                _ if *other == slot => others.push(self.places[*one].peer()),
                _ => {}
            }
        }
        self.lives += 1;
        let place = &mut self.places[slot];
        place.moving = true;
        place.back_at = None;
        place.number = Some(self.lives);
        place.began = Instant::now();
        self.promises.is_honest(place.key.public(), slot);
        self.ground.begin(slot, self.lives, place, peers, others);
    }

    // ---- what is seen

    fn is_now(&self, slot: usize, life: u64) -> bool {
        self.places.get(slot).is_some_and(|place| place.life.is_some() && place.number == Some(life))
    }

    fn read(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Delivery { slot, life, delivery, at } => {
                if self.places[slot].number == Some(life) {
                    self.seen.delivered += 1;
                    let began = self.places[slot].began;
                    // What a newcomer is told is as old as it is.
                    let called = self.promises.given(slot, &delivery, at).filter(|called| *called >= began);
                    self.delays.extend(called.map(|called| at.saturating_duration_since(called)));
                }
            }
            News::Event { slot, life, event } => {
                if self.places[slot].number == Some(life)
                    && let Event::LinkDown { peer, .. } = &event
                {
                    // It may be up again before the next look, which would not show that it was down.
                    let other = self.places.iter().position(|place| place.key.public() == *peer);
                    self.ends.retain(|(one, two), _| *one != slot || Some(*two) != other);
                }
                self.promises.event(slot, &event);
            }
            News::Missed(count) => self.seen.missed += count,
            News::Published { slot, life, body, result, at } => match result {
                Ok(_) => {
                    self.seen.published += 1;
                    if self.is_now(slot, life) {
                        self.promises.said(slot, &body, at);
                    }
                }
                Err(error) => self.refused(slot, &error),
            },
            News::Stats { at, all } => {
                self.asking = false;
                self.look(at, &all);
            }
            News::Up { slot, life } => {
                let place = &mut self.places[slot];
                place.moving = false;
                place.newcomer |= place.addr != life.addr;
                place.addr = life.addr;
                place.life = Some(*life);
            }
            News::Down { slot } => self.places[slot].moving = false,
            News::Failed(why) => return Err(Failure::Failed(why)),
        }
        Ok(())
    }

    fn refused(&mut self, slot: usize, error: &PublishError) {
        match error {
            // Cut off, or on its way out.
            PublishError::NoLink | PublishError::Closed => {}
            _ => self.promises.breaks("refused", || format!("node {slot} can't publish: {error}")),
        }
        *self.seen.refused.entry(error.to_string()).or_default() += 1;
    }

    /// The books of all nodes: caps, and which links are up.
    fn look(&mut self, at: Instant, all: &[(usize, u64, NodeStats)]) {
        let slots: HashMap<PublicKey, usize> = self
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.life.is_some())
            .map(|(slot, place)| (place.key.public(), slot))
            .collect();
        let mut ends = HashMap::new();
        for (slot, life, stats) in all {
            self.promises.stats(*slot, stats, &self.ground.config);
            self.latest.insert(*slot, (stats.counters.offences, stats.counters.convictions));
            if !self.is_now(*slot, *life) {
                continue;
            }
            for link in stats.links.iter().filter(|link| link.live) {
                if let Some(other) = slots.get(&link.peer) {
                    let since = self.ends.get(&(*slot, *other)).copied().unwrap_or(at);
                    ends.insert((*slot, *other), since);
                }
            }
        }
        self.ends = ends;
        self.links.clear();
        for ((one, other), since) in &self.ends {
            let cut = self.sides.as_ref().is_some_and(|(sides, _)| sides[*one] != sides[*other]);
            if one < other
                && !cut
                && let Some(from_there) = self.ends.get(&(*other, *one))
            {
                self.links.insert((*one, *other), (*since).max(*from_there).max(self.healed));
            }
        }
        let groups = groups(self.nodes, &self.links, at, self.within);
        self.promises.check(at, &groups);
    }

    fn forget_links(&mut self, slot: usize) {
        self.ends.retain(|(one, other), _| *one != slot && *other != slot);
    }

    fn ask(&mut self) {
        // One look at a time: a slow machine gets fewer of them.
        if std::mem::replace(&mut self.asking, true) {
            return;
        }
        let nodes: Vec<_> = self
            .places
            .iter()
            .enumerate()
            .filter_map(|(slot, place)| {
                place.life.as_ref().map(|life| (slot, life.number, life.node.clone()))
            })
            .collect();
        let news = self.ground.news.clone();
        tokio::spawn(async move {
            // The time before the first answer: what is up by then has been up since.
            let at = Instant::now();
            let mut all = Vec::new();
            for (slot, life, node) in nodes {
                // An error means that it has just ended.
                if let Ok(stats) = node.stats().await {
                    all.push((slot, life, stats));
                }
            }
            let _ = news.send(News::Stats { at, all }).await;
        });
    }

    fn publish(&mut self) {
        let slot = self.dice.below(self.nodes);
        let Some(Life { number, topic, node, .. }) = self.places[slot].life.as_ref() else { return };
        self.said += 1;
        // Of all sizes up to some 2 kB.
        let filler = 1usize << self.dice.below(12);
        let body = Bytes::from(format!("{}-{number} {}", self.said, "x".repeat(filler)));
        let called = Instant::now();
        self.promises.says(node.author(), &body, called);
        let (topic, life, news) = (topic.clone(), *number, self.ground.news.clone());
        tokio::spawn(async move {
            let result = topic.publish(body.clone()).await;
            let at = Instant::now();
            let _ = news.send(News::Published { slot, life, body, result, at }).await;
        });
    }

    fn second(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.started).as_secs_f64()
    }

    fn measure(&mut self) -> Result<(), Failure> {
        let mut delays = std::mem::take(&mut self.delays);
        delays.sort_unstable();
        let sample = Sample {
            second: self.second(Instant::now()),
            resident: gauge::resident(),
            descriptors: gauge::descriptors(),
            nodes: self.places.iter().filter(|place| place.life.is_some()).count(),
            cut: self.sides.is_some(),
            published: self.seen.published,
            delivered: self.seen.delivered,
            p50: quantile(&delays, 0.5),
            p99: quantile(&delays, 0.99),
        };
        let names: Vec<_> = self.attacks.iter().map(|(at, ..)| self.seen.attacks[*at].0).collect();
        let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        let line = json!({
            "second": sample.second, "rss_bytes": sample.resident, "fds": sample.descriptors,
            "nodes": sample.nodes, "links": self.links.len(), "attacks": names, "cut": sample.cut,
            "published": sample.published, "delivered": sample.delivered,
            "p50_ms": ms(sample.p50), "p99_ms": ms(sample.p99),
            "checked": self.promises.checked, "broken": self.promises.broken,
        });
        writeln!(self.log, "{line}").map_err(|error| Failure::file(Path::new("soak.jsonl"), &error))?;
        self.seen.samples.push(sample);
        Ok(())
    }
}

/// Sets of nodes that links of at least this age join, by slot.
fn groups(
    nodes: usize,
    links: &HashMap<(usize, usize), Instant>,
    now: Instant,
    age: Duration,
) -> Vec<Option<usize>> {
    let steady: Vec<_> = links
        .iter()
        .filter(|(_, since)| now.saturating_duration_since(**since) >= age)
        .map(|(pair, _)| *pair)
        .collect();
    let mut group: Vec<Option<usize>> = vec![None; nodes];
    for start in 0..nodes {
        let mut next = vec![start];
        if group[start].is_some() || !steady.iter().any(|(one, other)| *one == start || *other == start) {
            continue;
        }
        while let Some(node) = next.pop() {
            if group[node].replace(start).is_none() {
                next.extend(steady.iter().filter_map(|&(one, other)| match node {
                    _ if one == node => Some(other),
                    _ if other == node => Some(one),
                    _ => None,
                }));
            }
        }
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_of_age_join_nodes() {
        let old = Instant::now();
        let (age, now) = (Duration::from_secs(15), old + Duration::from_secs(20));
        let young = old + Duration::from_secs(10);
        let links = HashMap::from([((0, 1), old), ((1, 2), old), ((2, 3), young), ((4, 5), old)]);
        let groups = groups(7, &links, now, age);
        assert!(groups[0].is_some() && groups[0] == groups[1] && groups[0] == groups[2]);
        assert!(groups[4].is_some() && groups[4] == groups[5] && groups[4] != groups[0]);
        assert_eq!((groups[3], groups[6]), (None, None));
    }
}
