//! What a simulation measures.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::node::Node;
use super::queue::NodeIndex;
use crate::key::PublicKey;
use crate::rumor::{Bundle, BundleId, Position};

/// Not delivered.
const NEVER: u64 = u64::MAX;

/// Notes what happens, as it happens.
#[derive(Debug)]
pub(super) struct Ledger {
    honest: Vec<bool>,
    rumors: Vec<Told>,
    by_id: HashMap<BundleId, usize>,
    offences: u64,
    false_bans: u64,
    repeated: u64,
    convicted_at: Vec<Option<u64>>,
}

/// One bundle on its way.
#[derive(Debug)]
struct Told {
    author: PublicKey,
    position: Position,
    published: u64,
    bytes: u64,
    /// Per node: when it was delivered, nanoseconds.
    at: Vec<u64>,
    /// Per node: over how many links it came.
    hops: Vec<u8>,
}

impl Ledger {
    pub(super) fn new(honest: Vec<bool>) -> Self {
        Self {
            convicted_at: vec![None; honest.len()],
            honest,
            rumors: Vec::new(),
            by_id: HashMap::new(),
            offences: 0,
            false_bans: 0,
            repeated: 0,
        }
    }

    fn is_honest(&self, node: NodeIndex) -> bool {
        self.honest.get(node as usize).copied().unwrap_or(false)
    }

    pub(super) fn delivered(&mut self, node: NodeIndex, bundle: &Bundle, from: Option<NodeIndex>, now: u64) {
        let count = self.honest.len();
        let rumors = &mut self.rumors;
        let at = *self.by_id.entry(bundle.id()).or_insert_with(|| {
            let header = bundle.header();
            rumors.push(Told {
                author: header.author,
                position: header.position(),
                published: now,
                bytes: u64::from(header.bytes),
                at: vec![NEVER; count],
                hops: vec![0; count],
            });
            rumors.len() - 1
        });
        let Some(told) = self.rumors.get_mut(at) else { return };
        let hops =
            from.and_then(|from| told.hops.get(from as usize)).map_or(0, |hops| hops.saturating_add(1));
        if let (Some(time), Some(place)) = (told.at.get_mut(node as usize), told.hops.get_mut(node as usize))
        {
            self.repeated += u64::from(*time != NEVER);
            *time = now;
            *place = hops;
        }
    }

    pub(super) fn offence(&mut self, by: NodeIndex, against: Option<NodeIndex>) {
        if !self.is_honest(by) {
            return;
        }
        self.offences += 1;
        if against.is_some_and(|against| self.is_honest(against)) {
            self.false_bans += 1;
        }
    }

    pub(super) fn convicted(&mut self, node: NodeIndex, now: u64) {
        if let Some(at) = self.convicted_at.get_mut(node as usize) {
            at.get_or_insert(now);
        }
    }

    pub(super) fn measures<'a>(&self, nodes: impl Iterator<Item = &'a Node>) -> Measures {
        let mut authors = BTreeSet::new();
        let (mut copies, mut accepted, mut announced, mut bytes_out) = (0, 0, 0, 0);
        for (node, honest) in nodes.zip(&self.honest) {
            bytes_out += node.bytes_out;
            if *honest {
                authors.insert(node.key);
                let Some(engine) = node.machine.engine() else { continue };
                let counters = engine.stats().counters;
                copies += counters.copies_in;
                accepted += counters.accepted;
                announced += counters.announced;
            }
        }
        let honest = |told: &&Told| authors.contains(&told.author);
        let own = self.rumors.iter().filter(honest).count() as u64;
        let spread = |told: &Told| told.spread(&self.honest);
        let spreads: Vec<_> = self.rumors.iter().filter(honest).map(spread).collect();
        let delivered_bytes: u64 =
            self.rumors.iter().map(|told| told.bytes * told.spread(&self.honest).delays.len() as u64).sum();
        Measures {
            honest: self.honest.iter().filter(|honest| **honest).count(),
            spreads,
            lies: self.rumors.iter().filter(|told| !honest(told)).map(spread).collect(),
            disagreements: self.disagreements(),
            copies: copies as f64 / (accepted.saturating_sub(own)).max(1) as f64,
            announcements: announced as f64 / accepted.max(1) as f64,
            bytes_ratio: bytes_out as f64 / delivered_bytes.max(1) as f64,
            offences: self.offences,
            false_bans: self.false_bans,
            repeated: self.repeated,
            convicted: self
                .convicted_at
                .iter()
                .zip(&self.honest)
                .filter(|(at, honest)| at.is_some() && **honest)
                .count(),
        }
    }
}

impl Ledger {
    /// Positions at which honest nodes were told different things.
    fn disagreements(&self) -> usize {
        let mut told = BTreeMap::new();
        for rumor in &self.rumors {
            let delivered = rumor.at.iter().zip(&self.honest).any(|(at, honest)| *honest && *at != NEVER);
            if delivered {
                *told.entry((rumor.author, rumor.position)).or_insert(0) += 1;
            }
        }
        told.values().filter(|words| **words > 1).count()
    }
}

impl Told {
    fn spread(&self, honest: &[bool]) -> Spread {
        let nodes =
            self.at.iter().zip(&self.hops).zip(honest).filter(|((at, _), honest)| **honest && **at != NEVER);
        let mut delays = Vec::new();
        let mut hops_max = 0;
        for ((at, hops), _) in nodes {
            delays.push(Duration::from_nanos(at - self.published));
            hops_max = hops_max.max(*hops);
        }
        delays.sort_unstable();
        Spread { published: Duration::from_nanos(self.published), delays, hops_max }
    }
}

/// How one bundle spread over the honest nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spread {
    /// When it was published, since the beginning.
    pub published: Duration,
    /// From publishing to delivery, one per honest node that has it, sorted.
    pub delays: Vec<Duration>,
    /// The longest way of an accepted copy, in links.
    pub hops_max: u8,
}

/// What a simulation has measured, over honest nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measures {
    /// Honest nodes.
    pub honest: usize,
    /// One per bundle of an honest author, in the order of publishing.
    pub spreads: Vec<Spread>,
    /// One per bundle of any other author that somebody delivered; published when it was first delivered.
    pub lies: Vec<Spread>,
    /// Positions at which honest nodes delivered different bundles. Zero where words are held back.
    pub disagreements: usize,
    /// Copies that came in per bundle accepted from others.
    pub copies: f64,
    /// Announcements made per accepted bundle.
    pub announcements: f64,
    /// Bytes sent by all nodes per byte delivered.
    pub bytes_ratio: f64,
    /// Offences that honest nodes saw.
    pub offences: u64,
    /// Of those, against honest nodes. Must be zero.
    pub false_bans: u64,
    /// Deliveries of what had been delivered before. Must be zero.
    pub repeated: u64,
    /// Honest nodes that have convicted somebody.
    pub convicted: usize,
}

impl Measures {
    /// Part of the pairs of an honest node and an honest author's bundle that were delivered.
    pub fn coverage(&self) -> f64 {
        let delivered: usize = self.spreads.iter().map(|spread| spread.delays.len()).sum();
        delivered as f64 / (self.honest * self.spreads.len()).max(1) as f64
    }

    /// Bundles that reached every honest node.
    pub fn complete(&self) -> usize {
        self.spreads.iter().filter(|spread| spread.delays.len() == self.honest).count()
    }

    /// The delay that this part of all deliveries did not exceed (0.5: median, 1.0: the longest).
    pub fn delay(&self, quantile: f64) -> Duration {
        let mut all: Vec<_> = self.spreads.iter().flat_map(|spread| spread.delays.iter().copied()).collect();
        all.sort_unstable();
        let at = ((all.len() as f64 * quantile.clamp(0.0, 1.0)).ceil() as usize).saturating_sub(1);
        all.get(at).copied().unwrap_or_default()
    }

    /// The longest way of an accepted copy, in links.
    pub fn hops_max(&self) -> u8 {
        self.spreads.iter().map(|spread| spread.hops_max).max().unwrap_or(0)
    }
}
