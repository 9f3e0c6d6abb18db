//! What a simulation measures.

use std::collections::BTreeMap;
use std::time::Duration;

use super::node::Node;
use super::record::{NEVER, Record, Refused, Told, delay};
use crate::key::PublicKey;

impl Record {
    pub(super) fn measures(&self, nodes: &[Node]) -> Measures {
        let own = self.rumors.iter().filter(|told| told.honest).count() as u64;
        let spreads: Vec<_> =
            self.rumors.iter().filter(|told| told.honest).map(|told| self.spread(told)).collect();
        let lies: Vec<_> =
            self.rumors.iter().filter(|told| !told.honest).map(|told| self.spread(told)).collect();
        let all = || spreads.iter().chain(&lies);
        let deliveries: u64 = all().map(|spread| spread.delays.len() as u64).sum();
        let delivered_bytes: u64 = all().map(|spread| spread.bytes * spread.delays.len() as u64).sum();
        let bytes_out: u64 = nodes.iter().map(|node| node.bytes_out).sum();
        let convictions: Vec<_> =
            self.convicted.iter().map(|(author, times)| self.conviction(*author, times)).collect();
        let convicting = (0..self.lives.len())
            .filter(|node| self.lives.get(*node).is_some_and(|life| life.honest))
            .filter(|node| {
                self.convicted.values().any(|times| times.get(*node).is_some_and(|at| *at != NEVER))
            });
        let mut publish_waits: Vec<_> = self.waits.iter().copied().map(Duration::from_nanos).collect();
        publish_waits.sort_unstable();
        Measures {
            honest: self.lives.iter().filter(|life| life.honest && life.gone == NEVER).count(),
            copies: self.copies as f64 / deliveries.saturating_sub(own).max(1) as f64,
            announcements: self.announced as f64 / deliveries.max(1) as f64,
            bytes_ratio: bytes_out as f64 / delivered_bytes.max(1) as f64,
            offences: self.offences,
            false_bans: self.false_bans,
            repeated: self.repeated,
            spoiled: self.spoiled,
            convicted: convicting.count(),
            disagreements: self.disagreements(),
            convictions,
            publish_waits,
            publishes_waiting: self.waiting(),
            refused: self.refused.clone(),
            refused_dials: self.refused_dials,
            memory: Memory::of(nodes),
            spreads,
            lies,
        }
    }

    fn spread(&self, told: &Told) -> Spread {
        let mut delays = Vec::new();
        let (mut hops_max, mut expected, mut missed) = (0, 0, Vec::new());
        for (node, life) in self.lives.iter().enumerate() {
            let at = told.at.get(node).copied().unwrap_or(NEVER);
            if life.honest && at != NEVER {
                delays.push(Duration::from_nanos(delay(life, told.published, at)));
                hops_max = hops_max.max(told.hops.get(node).copied().unwrap_or(0));
            }
            if life.expects(told.published) {
                expected += 1;
                if at == NEVER {
                    missed.push(node);
                }
            }
        }
        delays.sort_unstable();
        let published = Duration::from_nanos(told.published);
        Spread { published, bytes: told.bytes, delays, hops_max, expected, missed }
    }

    fn conviction(&self, author: PublicKey, times: &[u64]) -> Conviction {
        let conflict = self.conflicts.get(&author).copied();
        let mut delays = Vec::new();
        let mut missing = 0;
        for (node, life) in
            self.lives.iter().enumerate().filter(|(_, life)| life.honest && life.gone == NEVER)
        {
            match times.get(node).copied().filter(|at| *at != NEVER) {
                Some(at) => delays.push(Duration::from_nanos(delay(life, conflict.unwrap_or(at), at))),
                None => missing += usize::from(life.honest),
            }
        }
        delays.sort_unstable();
        Conviction { author, conflict: conflict.map(Duration::from_nanos), delays, missing }
    }

    /// Positions at which honest nodes were told different things.
    fn disagreements(&self) -> usize {
        let mut told = BTreeMap::new();
        for rumor in &self.rumors {
            let heard = |(at, life): (&u64, &super::record::Life)| *at != NEVER && life.honest;
            if rumor.at.iter().zip(&self.lives).any(heard) {
                *told.entry((rumor.author, rumor.position)).or_insert(0) += 1;
            }
        }
        told.values().filter(|words| **words > 1).count()
    }
}

/// How one bundle spread over the honest nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spread {
    /// When it was published, since the beginning.
    pub published: Duration,
    /// Bytes of its bodies.
    pub bytes: u64,
    /// From publishing to delivery, one per honest node that has it, sorted. For a node that came, or came back, later than
    /// it was published: from then.
    pub delays: Vec<Duration>,
    /// The longest way of an accepted copy, in links.
    pub hops_max: u8,
    /// Honest nodes that should have it: they were there when it was published, and are there now.
    pub expected: usize,
    /// Those of them that lack it.
    pub missed: Vec<usize>,
}

impl Spread {
    /// The delay that this part of its deliveries did not exceed.
    pub fn delay(&self, quantile: f64) -> Duration {
        at_quantile(&self.delays, quantile)
    }
}

/// How the conviction of one author spread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Conviction {
    /// Who.
    pub author: PublicKey,
    /// When it first sent something that contradicted what it had sent, since the beginning.
    pub conflict: Option<Duration>,
    /// From then to the conviction, one per honest node that convicted it, sorted. The last is the time to conviction.
    pub delays: Vec<Duration>,
    /// Honest nodes that have not.
    pub missing: usize,
}

/// What the engines of the honest nodes hold, by their own gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes of bodies, index entries, bytes queued for links and wanted ids of an average node.
    pub mean: Gauges,
    /// The most of each that any node has.
    pub most: Gauges,
}

/// Gauges of one engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gauges {
    /// Bytes of bodies held.
    pub body_bytes: usize,
    /// Bundles in its index.
    pub entries: usize,
    /// Bytes queued for its links, and with the transport.
    pub queued_bytes: usize,
    /// Announced ids that it lacks.
    pub wants: usize,
}

/// Of each honest node that is running, if it has an engine.
fn held(nodes: &[Node]) -> impl Iterator<Item = Gauges> {
    let running = nodes.iter().filter(|node| node.alive && node.is_honest());
    running.filter_map(|node| node.machine.engine()).map(|engine| {
        let stats = engine.stats();
        Gauges {
            body_bytes: stats.topics.iter().map(|topic| topic.body_bytes).sum(),
            entries: stats.topics.iter().map(|topic| topic.bundles).sum(),
            queued_bytes: stats.links.iter().map(|link| link.queued_bytes).sum(),
            wants: stats.wants,
        }
    })
}

/// The most of each gauge that any of them has.
pub(super) fn most_held(nodes: &[Node]) -> Gauges {
    held(nodes).fold(Gauges::default(), Gauges::or_more)
}

impl Memory {
    fn of(nodes: &[Node]) -> Self {
        let (mut sum, mut count) = (Gauges::default(), 0usize);
        for one in held(nodes) {
            count += 1;
            sum = sum.with(one, |sum, one| sum + one);
        }
        Self { mean: sum.with(sum, |sum, _| sum / count.max(1)), most: most_held(nodes) }
    }
}

impl Gauges {
    /// Of each gauge, whatever is more.
    pub(super) fn or_more(self, other: Self) -> Self {
        self.with(other, usize::max)
    }

    fn with(self, other: Self, join: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            body_bytes: join(self.body_bytes, other.body_bytes),
            entries: join(self.entries, other.entries),
            queued_bytes: join(self.queued_bytes, other.queued_bytes),
            wants: join(self.wants, other.wants),
        }
    }
}

/// What a simulation has measured, over honest nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measures {
    /// Honest nodes that are there.
    pub honest: usize,
    /// One per bundle of an honest author, in the order of publishing.
    pub spreads: Vec<Spread>,
    /// One per bundle of any other author that somebody delivered; published when it was first delivered.
    pub lies: Vec<Spread>,
    /// Positions at which honest nodes delivered different bundles. Zero where words are held back.
    pub disagreements: usize,
    /// Copies that came in per delivery of what others said.
    pub copies: f64,
    /// Announced ids that came in per delivery.
    pub announcements: f64,
    /// Bytes sent by all nodes per byte delivered.
    pub bytes_ratio: f64,
    /// Offences that honest nodes saw.
    pub offences: u64,
    /// Of those, against honest nodes. Must be zero.
    pub false_bans: u64,
    /// Deliveries of what had been delivered before. Must be zero.
    pub repeated: u64,
    /// Genuine signatures that honest nodes had to check twice, because a forged one was in their batch.
    pub spoiled: u64,
    /// Honest nodes that have convicted somebody.
    pub convicted: usize,
    /// One per convicted author.
    pub convictions: Vec<Conviction>,
    /// From asking to publish to publishing: slots, room and the position log make authors wait. Sorted.
    pub publish_waits: Vec<Duration>,
    /// Publish requests that still wait.
    pub publishes_waiting: usize,
    /// Publish requests that were answered with an error.
    pub refused: Vec<Refused>,
    /// Dials that were refused by the peer.
    pub refused_dials: u64,
    /// What the engines hold now.
    pub memory: Memory,
}

impl Measures {
    /// Honest authors' bundles times the honest nodes that should have each.
    fn expected(&self) -> usize {
        self.spreads.iter().map(|spread| spread.expected).sum()
    }

    /// Part of the pairs of an honest node and an honest author's bundle that were delivered.
    pub fn coverage(&self) -> f64 {
        let missed: usize = self.spreads.iter().map(|spread| spread.missed.len()).sum();
        1.0 - missed as f64 / self.expected().max(1) as f64
    }

    /// Bundles that reached every honest node.
    pub fn complete(&self) -> usize {
        self.spreads.iter().filter(|spread| spread.missed.is_empty()).count()
    }

    /// All delays, sorted.
    fn delays(&self) -> Vec<Duration> {
        let mut all: Vec<_> = self.spreads.iter().flat_map(|spread| spread.delays.iter().copied()).collect();
        all.sort_unstable();
        all
    }

    /// The delay that this part of all deliveries did not exceed (0.5: median, 1.0: the longest).
    pub fn delay(&self, quantile: f64) -> Duration {
        at_quantile(&self.delays(), quantile)
    }

    /// The distribution of delays, as so many points (delay, part of all deliveries that did not exceed it).
    pub fn cdf(&self, points: usize) -> Vec<(Duration, f64)> {
        let all = self.delays();
        let part = |point: usize| point as f64 / points.max(1) as f64;
        (1..=points).map(|point| (at_quantile(&all, part(point)), part(point))).collect()
    }

    /// Coverage over time: after each `step` since publishing, until nothing more came, the part of the pairs of an honest
    /// node and an honest author's bundle that had been delivered.
    pub fn coverage_over_time(&self, step: Duration) -> Vec<(Duration, f64)> {
        let (all, step) = (self.delays(), step.max(Duration::from_millis(1)));
        let expected = self.expected().max(all.len()).max(1) as f64;
        let mut time = Duration::ZERO;
        let mut points = Vec::new();
        loop {
            let delivered = all.partition_point(|delay| *delay <= time);
            points.push((time, delivered as f64 / expected));
            if delivered == all.len() {
                return points;
            }
            time += step;
        }
    }

    /// From the moment when an author's second word was said to its conviction, over all convicted authors and all honest
    /// nodes that convicted them: the time that this part of them did not exceed. `None` if nobody was convicted.
    pub fn conviction_delay(&self, quantile: f64) -> Option<Duration> {
        let told = self.convictions.iter().filter(|one| one.conflict.is_some());
        let mut all: Vec<_> = told.flat_map(|one| one.delays.iter().copied()).collect();
        all.sort_unstable();
        (!all.is_empty()).then(|| at_quantile(&all, quantile))
    }

    /// The longest way of an accepted copy, in links.
    pub fn hops_max(&self) -> u8 {
        self.spreads.iter().map(|spread| spread.hops_max).max().unwrap_or(0)
    }
}

/// Of a sorted list.
fn at_quantile(sorted: &[Duration], quantile: f64) -> Duration {
    let at = ((sorted.len() as f64 * quantile.clamp(0.0, 1.0)).ceil() as usize).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}
