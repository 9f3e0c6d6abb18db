//! The stores of simulated nodes: in memory, answered at the next event.

use super::network::Network;
use super::queue::{Happening, NodeIndex};
use crate::protocol::Input;
use crate::protocol::keeping::{StoreAnswer, StoreJob};
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
}
