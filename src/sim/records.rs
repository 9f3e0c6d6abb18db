//! Records of members in a simulated network: who passes which of them on, and from whom they are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use super::network::Network;
use super::node::Node;
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
        if lane != Lane::System {
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

    /// Whether a frame does not reach a node: it carries records, or speaks of those that there are.
    pub(super) fn keeps_back(&self, node: NodeIndex, lane: Lane, payload: &Bytes) -> bool {
        let carries = || matches!(Kind::of(payload), Some(Kind::Bundles | Kind::Announce));
        self.kept_from.contains(&node) && (lane == Lane::History || lane == Lane::System && carries())
    }
}

impl Network {
    /// How many records of each member an honest node has pushed or announced so far, its own among them.
    pub fn records_told(&self, node: usize) -> BTreeMap<PublicKey, usize> {
        let mut count = BTreeMap::new();
        for id in self.records.told.get(&(node as NodeIndex)).into_iter().flatten() {
            if let Some(author) = self.records.of.get(id) {
                *count.entry(*author).or_insert(0) += 1;
            }
        }
        count
    }

    /// From now on no record of a member reaches these nodes, neither as it is passed on nor by repair. Signs of life do.
    pub fn keep_records_from(&mut self, nodes: impl IntoIterator<Item = usize>) {
        self.records.kept_from = nodes.into_iter().map(|node| node as NodeIndex).collect();
    }

    /// A second process starts under the keys of a node, from a copy of its position log, and dials the same peers. Gives its number.
    pub fn clone_node(&mut self, node: usize) -> Option<usize> {
        let original = self.nodes.get(node)?;
        let (secret, recorded) = (original.secret.clone(), original.recorded.clone());
        let (wanted, told) = (original.dialling.wanted, original.dialling.told.clone());
        let position_log = crate::protocol::UsedPositions::Kept { used: recorded };
        let clone = self.add_node_of(secret, position_log, false, self.now);
        if let Some(Node { dialling, .. }) = self.nodes.get_mut(clone) {
            (dialling.wanted, dialling.told) = (wanted, told);
        }
        self.begin(clone as NodeIndex);
        Some(clone)
    }
}
