//! What happened, written down as it comes in.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use bytes::Bytes;
use vouchsafe::{Delivery, Event, MemberEvent, Offence, PublicKey, RumorId};

use super::liars::Fate;
use super::plan::{Catch, Plan};
use super::watch::Seen;
use super::world::Directory;

/// One rumor of an honest node.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) publisher: usize,
    pub(super) text: Bytes,
    pub(super) called: Option<Instant>,
    pub(super) id: Option<RumorId>,
    /// When each node was given it, and by whom.
    pub(super) receipts: Vec<Option<(Instant, Option<PublicKey>)>>,
}

/// One copy statistic of a link: see `Figures::copies_per_delivery`.
#[derive(Debug, Default)]
pub(super) struct Copies {
    pub(super) received: u64,
    pub(super) first: u64,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) directory: Directory,
    pub(super) rumors: Vec<Told>,
    /// (node, rumor) pairs delivered so far, other than to the publisher.
    pub(super) delivered: usize,
    /// The same rumor handed to one node again.
    pub(super) repeated: usize,
    /// Deliveries of what no honest node is known to have published. Those of honest nodes leave when the publish call
    /// is answered; at the end what liars said in their own name is left, and forgeries, if there are any.
    pub(super) strange: HashMap<RumorId, Vec<(usize, Delivery, Instant)>>,
    pub(super) offences: Vec<(usize, PublicKey, Offence)>,
    /// Which nodes have convicted whom.
    pub(super) convicted: HashMap<PublicKey, BTreeSet<usize>>,
    /// By (node, key): honest keys that an honest node has banned or convicted. Must stay empty.
    pub(super) false_bans: BTreeSet<(usize, PublicKey)>,
    /// What the liars met with, by liar.
    pub(super) fates: Vec<Vec<Fate>>,
    pub(super) refused: Vec<String>,
    pub(super) missed: u64,
    pub(super) copies: Copies,
    /// Links among the honest nodes when they had found each other.
    pub(super) links: usize,
    /// By (node, key): honest members that an honest node has shown as failed. Must stay empty.
    pub(super) false_failures: BTreeSet<(usize, PublicKey)>,
    /// How many honest members each honest node shows as here, at the end.
    pub(super) shown: Vec<usize>,
    /// Signs of life that were made up, and found out.
    pub(super) fakes: u64,
    by_id: HashMap<RumorId, usize>,
    answered: usize,
}

impl Log {
    pub(super) fn new(plan: &Plan, words: &[Bytes], directory: Directory) -> Self {
        let told = |rumor: usize| Told {
            publisher: rumor % plan.nodes,
            text: words.get(rumor % words.len().max(1)).cloned().unwrap_or_default(),
            called: None,
            id: None,
            receipts: vec![None; plan.nodes],
        };
        Self {
            directory,
            rumors: (0..plan.rumors).map(told).collect(),
            delivered: 0,
            repeated: 0,
            strange: HashMap::new(),
            offences: Vec::new(),
            convicted: HashMap::new(),
            false_bans: BTreeSet::new(),
            fates: vec![Vec::new(); plan.liars.len()],
            refused: Vec::new(),
            missed: 0,
            copies: Copies::default(),
            links: 0,
            false_failures: BTreeSet::new(),
            shown: Vec::new(),
            fakes: 0,
            by_id: HashMap::new(),
            answered: 0,
        }
    }

    pub(super) fn write(&mut self, seen: Seen) {
        match seen {
            Seen::Delivery { node, id, delivery, at } => match self.by_id.get(&id) {
                Some(rumor) => self.received(*rumor, node, at, delivery.via),
                None => self.strange.entry(id).or_default().push((node, delivery, at)),
            },
            Seen::Published { rumor, called, result } => self.published(rumor, called, result),
            Seen::Event { node, event } => self.event(node, event),
            Seen::Member { node, event: MemberEvent::Failed(key, _) } => {
                if self.directory.honest_number(&key).is_some() {
                    self.false_failures.insert((node, key));
                }
            }
            Seen::Member { .. } => {}
            Seen::Missed(count) => self.missed += count,
            Seen::Liar { liar, fate } => self.fates[liar].push(fate),
        }
    }

    fn published(&mut self, rumor: usize, called: Instant, result: Result<RumorId, vouchsafe::PublishError>) {
        self.answered += 1;
        let told = &mut self.rumors[rumor];
        told.called = Some(called);
        match result {
            Ok(id) => {
                told.id = Some(id);
                self.by_id.insert(id, rumor);
                for (node, delivery, at) in self.strange.remove(&id).unwrap_or_default() {
                    self.received(rumor, node, at, delivery.via);
                }
            }
            Err(error) => {
                self.refused.push(format!("node {} could not publish: {error}", told.publisher));
            }
        }
    }

    fn received(&mut self, rumor: usize, node: usize, at: Instant, from: Option<PublicKey>) {
        let told = &mut self.rumors[rumor];
        if told.receipts[node].replace((at, from)).is_some() {
            self.repeated += 1;
        } else if node != told.publisher {
            self.delivered += 1;
        }
    }

    fn event(&mut self, node: usize, event: Event) {
        match event {
            Event::Offence { peer, offence } => {
                self.blame(node, peer);
                self.offences.push((node, peer, offence));
            }
            Event::Convicted { evidence } => {
                self.blame(node, evidence.author());
                self.convicted.entry(evidence.author()).or_default().insert(node);
            }
            _ => {}
        }
    }

    /// Notes that `node` has banned or convicted `key`.
    pub(super) fn blame(&mut self, node: usize, key: PublicKey) {
        if self.directory.honest_number(&key).is_some() {
            self.false_bans.insert((node, key));
        }
    }

    /// How many nodes have caught a liar, and how many must.
    pub(super) fn caught(&self, plan: &Plan, liar: usize) -> (usize, usize) {
        let (Some(key), Some(plan_of)) = (self.directory.liars.get(liar), plan.liars.get(liar)) else {
            return (0, 0);
        };
        match plan_of.kind.catch() {
            None => (0, 0),
            Some(Catch::Conviction) => (self.convicted.get(key).map_or(0, BTreeSet::len), plan.nodes),
            Some(Catch::Offence) => {
                let nodes: BTreeSet<_> =
                    self.offences.iter().filter(|(_, peer, _)| peer == key).map(|(node, ..)| *node).collect();
                (nodes.len(), plan_of.meets.len())
            }
        }
    }

    pub(super) fn everybody_caught(&self, plan: &Plan) -> bool {
        (0..plan.liars.len()).all(|liar| {
            let (caught, must) = self.caught(plan, liar);
            caught >= must
        })
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn complete(&self, plan: &Plan) -> bool {
        self.all_answered()
            && self.delivered >= self.owed(plan)
            && self.everybody_caught(plan)
            && self.all_came_back(plan)
    }

    /// Whether each banned liar has tried its luck again: part of the story, so it is waited for.
    fn all_came_back(&self, plan: &Plan) -> bool {
        plan.liars.iter().zip(&self.fates).filter(|(liar, _)| liar.kind.catch() == Some(Catch::Offence)).all(
            |(liar, fates)| {
                let back = fates.iter().filter(|fate| matches!(fate, Fate::CameBack { .. })).count();
                back == liar.meets.len()
            },
        )
    }

    pub(super) fn all_answered(&self) -> bool {
        self.answered == self.rumors.len()
    }

    /// Deliveries that the honest nodes owe each other.
    pub(super) fn owed(&self, plan: &Plan) -> usize {
        (self.rumors.len() - self.refused.len()) * (plan.nodes - 1)
    }

    /// Forged rumors that were delivered: said in the name of an honest node that did not say them, or without a
    /// signature that holds.
    pub(super) fn forged(&self) -> usize {
        let forged = |delivery: &Delivery| {
            let of_liar = self.directory.liar_number(&delivery.author()).is_some();
            let genuine = vouchsafe::verify::proof(&delivery.proof(), delivery.body()).is_ok();
            !of_liar || !genuine
        };
        self.strange.values().flatten().filter(|(_, delivery, _)| forged(delivery)).count()
    }
}
