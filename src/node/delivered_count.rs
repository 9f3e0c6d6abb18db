//! How many rumors a topic has delivered: what a slow reader has missed is the difference of two such counts. `models/` runs
//! it in every order.

use super::sync::{Arc, AtomicU64, Ordering};

/// Rumors delivered so far. One task counts, any number of readers begin at what it has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct DeliveredCount(Arc<AtomicU64>);

/// Rumors that a reader has read, missed, or that were before its time.
#[derive(Debug)]
pub(super) struct Seen(u64);

impl DeliveredCount {
    /// Counts `rumors` that `send` puts into the channel; it is told how many came before.
    pub(super) fn deliver(&self, rumors: u64, send: impl FnOnce(u64)) {
        let before = self.0.load(Ordering::Relaxed);
        send(before);
        // Not before they are in the channel: whoever finds them counted finds them there.
        self.0.store(before.saturating_add(rumors), Ordering::Release);
    }

    /// A receiver of the channel, and what was delivered before it. What is delivered meanwhile is to be read, or is missed.
    pub(super) fn begin<R>(&self, subscribe: impl Fn() -> R, is_empty: impl Fn(&R) -> bool) -> (R, Seen) {
        loop {
            let receiver = subscribe();
            let seen = self.0.load(Ordering::Acquire);
            // What is in it may be counted already; and if it were dropped before it is read, nobody would say so.
            if is_empty(&receiver) {
                return (receiver, Seen(seen));
            }
        }
    }
}

impl Seen {
    /// `rumors` are read, and `before` were delivered before them.
    pub(super) fn read(&mut self, before: u64, rumors: u64) {
        self.0 = before.saturating_add(rumors);
    }

    /// Something was missed, and the next to be read has `before` before it: how many rumors.
    pub(super) fn missed(&self, before: u64) -> u64 {
        before.saturating_sub(self.0).max(1)
    }
}
