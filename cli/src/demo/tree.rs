//! The tree along which one rumor went: each node hangs on the one whose copy it accepted.

use super::log::Told;
use super::world::Directory;

/// From whom each node has it, and over how many hops.
pub(super) struct Tree {
    pub(super) root: usize,
    pub(super) parents: Vec<Option<usize>>,
    /// `None` for nodes that do not have it, or have it by way of a liar.
    pub(super) hops: Vec<Option<usize>>,
}

impl Tree {
    pub(super) fn of(told: &Told, directory: &Directory) -> Self {
        let parent = |receipt: &Option<(_, Option<_>)>| {
            receipt.as_ref().and_then(|(_, from)| from.as_ref()).and_then(|key| directory.honest_number(key))
        };
        let parents: Vec<_> = told.receipts.iter().map(parent).collect();
        let mut hops = vec![None; parents.len()];
        hops[told.publisher] = Some(0);
        // A child is settled in the round after its parent, so as many rounds as nodes settle all.
        for _ in 0..parents.len() {
            let mut changed = false;
            for node in 0..parents.len() {
                if hops[node].is_none()
                    && let Some(Some(hop)) = parents[node].map(|parent| hops[parent])
                {
                    hops[node] = Some(hop + 1);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        Self { root: told.publisher, parents, hops }
    }

    pub(super) fn depth(&self) -> usize {
        self.hops.iter().flatten().copied().max().unwrap_or(0)
    }

    /// Nodes that have it.
    pub(super) fn reached(&self) -> usize {
        self.hops.iter().flatten().count()
    }

    pub(super) fn children(&self, node: usize) -> Vec<usize> {
        let has = |child: &usize| {
            self.parents[*child] == Some(node) && self.hops[*child].is_some() && *child != self.root
        };
        (0..self.parents.len()).filter(has).collect()
    }
}
