//! Records of members in a simulated network: who passes which of them on, and from whom they are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use super::queue::NodeIndex;
use crate::key::PublicKey;
use crate::rumor::BundleId;
use crate::wire::{Frame, Kind, Lane};

/// What was seen of the records of members on the lines of a network.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// What each node has pushed or announced.
    told: BTreeMap<NodeIndex, BTreeSet<BundleId>>,
    /// Whose records these are, as far as they were seen whole.
    of: HashMap<BundleId, PublicKey>,
    /// Nodes to which none comes.
    kept_from: BTreeSet<NodeIndex>,
}

impl Records {
    /// A node sends a frame.
    pub(super) fn says(&mut self, node: NodeIndex, lane: Lane, payload: &Bytes) {
        if lane != Lane::System || !matches!(Kind::of(payload), Some(Kind::Bundles | Kind::Announce)) {
            return;
        }
        match Frame::decode(payload.clone()) {
            Ok(Frame::Bundles(bundles)) => {
                for raw in bundles.flatten() {
                    let id = raw.signed.header.id();
                    self.of.insert(id, raw.signed.header.author);
                    self.told.entry(node).or_default().insert(id);
                }
            }
            Ok(Frame::Announce(announced)) => {
                self.told.entry(node).or_default().extend(announced.items.iter().map(|(id, _)| *id));
            }
            _ => {}
        }
    }

    /// How many records of each member a node has told, its own among them.
    pub(super) fn told_by(&self, node: NodeIndex) -> BTreeMap<PublicKey, usize> {
        let mut count = BTreeMap::new();
        for id in self.told.get(&node).into_iter().flatten() {
            if let Some(author) = self.of.get(id) {
                *count.entry(*author).or_insert(0) += 1;
            }
        }
        count
    }

    /// From now on none comes to these nodes.
    pub(super) fn keep_from(&mut self, nodes: impl IntoIterator<Item = NodeIndex>) {
        self.kept_from = nodes.into_iter().collect();
    }

    /// Whether a frame does not reach a node: it carries records, or speaks of those that there are.
    pub(super) fn keeps_back(&self, node: NodeIndex, lane: Lane, payload: &Bytes) -> bool {
        let carries = || matches!(Kind::of(payload), Some(Kind::Bundles | Kind::Announce));
        self.kept_from.contains(&node) && (lane == Lane::History || lane == Lane::System && carries())
    }
}
