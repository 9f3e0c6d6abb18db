//! The stores of simulated nodes: in memory, answered at the next event. They outlive a crash, may be lost in one, or go back to an
//! earlier state.

use std::collections::BTreeSet;

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use crate::protocol::Input;
use crate::protocol::keeping::{Cursor, StoreAnswer, StoreJob};
use crate::rumor::BundleId;
use crate::store::{MemoryStore, Store as _, serve};

impl Network {
    /// A node's engine gives its store something to do.
    pub(super) fn store(&mut self, node: NodeIndex, job: StoreJob) {
        let now_ms = self.now_of(node).unix_ms;
        let Some(this) = self.nodes.get_mut(node as usize) else { return };
        let author = this.secret.public();
        let store = this.store.get_or_insert_with(|| {
            let mut store = MemoryStore::new(u64::from(node) + 1);
            // Memory fails at nothing.
            let _ = store.start(&author);
            store
        });
        if let Some(answer) = serve(store, job, now_ms) {
            let what = Happening::Stored { life: this.life, answer: Box::new(answer) };
            self.queue.plan(self.now, node, what);
        }
    }

    pub(super) fn on_stored(&mut self, node: NodeIndex, life: u32, answer: StoreAnswer) {
        if self.nodes.get(node as usize).is_some_and(|this| this.life == life) {
            self.input(node, Input::Store(answer));
        }
    }

    /// What a node's store shows of the topic.
    pub fn kept(&self, node: usize) -> BTreeSet<BundleId> {
        let topic = self.rules.id();
        let reader = self.nodes.get(node).and_then(|this| this.store.as_ref()).map(|store| store.reader());
        let scan = reader.and_then(|reader| reader.scan(&topic, Cursor::START, usize::MAX).ok());
        scan.into_iter().flat_map(|scan| scan.items).map(|item| item.bundle.id()).collect()
    }

    /// A copy of what a node's store holds, for [`Network::restore`].
    pub fn back_up(&self, node: usize) -> Option<MemoryStore> {
        self.nodes.get(node)?.store.as_ref().map(MemoryStore::copy)
    }

    /// The disk of a node that is down holds this from now on: an earlier state, or nothing. Its position log is not touched.
    pub fn restore(&mut self, node: usize, backup: Option<MemoryStore>) {
        if let Some(this) = self.nodes.get_mut(node).filter(|this| !this.alive) {
            this.store = backup;
        }
    }
}
