//! Who received what, when: stamps in the bodies, and a tally per node.
//!
//! A delivery is the first time that a node other than the publisher hands a message to its application.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::Notify;

/// Bytes of a stamp: publisher and slot (4 each), sequence number and time (8 each).
const STAMP: usize = 24;
/// The slot of messages that nobody waits for.
pub const NO_SLOT: u32 = u32::MAX;
/// Latencies are kept from 1 us to this many, with three digits; more counts as this.
const LONGEST_US: u64 = 600_000_000;

/// What a publisher writes into a message.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub publisher: u32,
    /// Whose message it is in a closed loop, or [`NO_SLOT`].
    pub slot: u32,
    /// Counts the publisher's messages from 0.
    pub sequence: u64,
    /// When it was to be published, from the meter's epoch.
    pub due: Duration,
}

/// The measuring side of one network.
#[derive(Debug)]
pub struct Meter {
    epoch: Instant,
    nodes: Vec<Mutex<Tally>>,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Tally {
    /// One bit a message, by publisher: what has been delivered here.
    seen: Vec<Vec<u64>>,
    delivered: u64,
    repeated: u64,
    last: Duration,
    latency_us: Histogram<u64>,
}

/// A message in flight of a closed loop.
#[derive(Debug, Default)]
struct Slot {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    publisher: u32,
    sequence: u64,
    nodes_left: usize,
}

/// Sums over all nodes.
#[derive(Debug)]
pub struct Totals {
    pub delivered: u64,
    /// Deliveries of what the node had delivered before: a fault of the system.
    pub repeated: u64,
    /// The time of the last delivery, since the epoch.
    pub last: Duration,
    pub latency_us: Histogram<u64>,
}

impl Meter {
    /// For `nodes` nodes, any of which may publish, and a closed loop of at most `slots` messages.
    pub fn new(nodes: usize, slots: usize) -> Arc<Self> {
        let tally = |_| {
            Mutex::new(Tally {
                seen: vec![Vec::new(); nodes],
                delivered: 0,
                repeated: 0,
                last: Duration::ZERO,
                latency_us: latencies(),
            })
        };
        let slots = (0..slots).map(|_| Slot::default()).collect();
        Arc::new(Self { epoch: Instant::now(), nodes: (0..nodes).map(tally).collect(), slots })
    }

    /// Time since the epoch.
    pub fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Time from the epoch to `at`.
    pub fn at(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.epoch)
    }

    /// A message of `size` bytes.
    pub fn message(&self, stamp: Stamp, size: usize) -> Bytes {
        let mut body = Vec::with_capacity(size.max(STAMP));
        body.extend_from_slice(&stamp.publisher.to_le_bytes());
        body.extend_from_slice(&stamp.slot.to_le_bytes());
        body.extend_from_slice(&stamp.sequence.to_le_bytes());
        body.extend_from_slice(&(stamp.due.as_nanos() as u64).to_le_bytes());
        body.resize(size.max(STAMP), 0x5a);
        body.into()
    }

    /// The application of `node` has received `body`. Own messages, which some systems deliver and others don't, are not
    /// counted.
    pub fn received(&self, node: usize, body: &[u8]) {
        let now = self.now();
        let Some(stamp) = read_stamp(body) else { return };
        if stamp.publisher as usize == node {
            return;
        }
        if let Some(tally) = self.nodes.get(node) {
            let mut tally = lock(tally);
            if !tally.first_time(stamp) {
                tally.repeated += 1;
                return;
            }
            tally.delivered += 1;
            tally.last = now;
            let latency = now.saturating_sub(stamp.due);
            tally.latency_us.saturating_record(latency.as_micros() as u64);
        }
        if let Some(slot) = self.slots.get(stamp.slot as usize) {
            let mut waiting = lock(&slot.waiting);
            if (waiting.publisher, waiting.sequence) == (stamp.publisher, stamp.sequence) {
                waiting.nodes_left = waiting.nodes_left.saturating_sub(1);
                if waiting.nodes_left == 0 {
                    slot.arrived.notify_one();
                }
            }
        }
    }

    /// From now on the slot waits for this message.
    pub fn expect(&self, stamp: Stamp) {
        if let Some(slot) = self.slots.get(stamp.slot as usize) {
            let nodes_left = self.nodes.len() - 1;
            *lock(&slot.waiting) =
                Waiting { publisher: stamp.publisher, sequence: stamp.sequence, nodes_left };
        }
    }

    /// Waits until what the slot expects has arrived at all other nodes.
    pub async fn arrived(&self, slot: u32) {
        let Some(slot) = self.slots.get(slot as usize) else { return };
        // A notification may be left over from a message that was given up.
        while lock(&slot.waiting).nodes_left > 0 {
            slot.arrived.notified().await;
        }
    }

    /// Deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.nodes.iter().map(|tally| lock(tally).delivered).sum()
    }

    /// Everything so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { delivered: 0, repeated: 0, last: Duration::ZERO, latency_us: latencies() };
        for tally in &self.nodes {
            let tally = lock(tally);
            totals.delivered += tally.delivered;
            totals.repeated += tally.repeated;
            totals.last = totals.last.max(tally.last);
            // The bounds are the same, so nothing can be out of range.
            let _ = totals.latency_us.add(&tally.latency_us);
        }
        totals
    }
}

impl Tally {
    fn first_time(&mut self, stamp: Stamp) -> bool {
        let Some(seen) = self.seen.get_mut(stamp.publisher as usize) else { return false };
        let (word, bit) = ((stamp.sequence / 64) as usize, 1u64 << (stamp.sequence % 64));
        if seen.len() <= word {
            seen.resize(word + 1, 0);
        }
        let new = seen[word] & bit == 0;
        seen[word] |= bit;
        new
    }
}

fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("constant bounds that the histogram can hold")
}

fn read_u64(body: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?))
}

fn read_stamp(body: &[u8]) -> Option<Stamp> {
    let who = read_u64(body, 0)?;
    Some(Stamp {
        publisher: who as u32,
        slot: (who >> 32) as u32,
        sequence: read_u64(body, 8)?,
        due: Duration::from_nanos(read_u64(body, 16)?),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks can leave them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP_OF_0: Stamp = Stamp { publisher: 0, slot: 0, sequence: 70, due: Duration::ZERO };

    #[test]
    fn a_message_counts_once_a_node_and_not_at_its_publisher() {
        let meter = Meter::new(3, 1);
        let body = meter.message(STAMP_OF_0, 256);
        assert_eq!(body.len(), 256);
        for node in [0, 1, 1, 2] {
            meter.received(node, &body);
        }
        let totals = meter.totals();
        assert_eq!((totals.delivered, totals.repeated, totals.latency_us.len()), (2, 1, 2));
    }

    #[tokio::test]
    async fn a_slot_waits_for_all_other_nodes_and_for_its_own_message_only() {
        let meter = Meter::new(3, 1);
        meter.expect(STAMP_OF_0);
        let given_up = meter.message(Stamp { sequence: 69, ..STAMP_OF_0 }, 24);
        let expected = meter.message(STAMP_OF_0, 24);
        meter.received(1, &given_up);
        meter.received(2, &given_up);
        meter.received(1, &expected);
        assert!(tokio::time::timeout(Duration::ZERO, meter.arrived(0)).await.is_err());
        meter.received(2, &expected);
        meter.arrived(0).await;
    }

    #[test]
    fn what_is_no_message_is_not_counted() {
        let meter = Meter::new(2, 0);
        meter.received(1, b"short");
        meter.received(
            1,
            &meter.message(Stamp { publisher: 9, slot: NO_SLOT, sequence: 0, due: Duration::ZERO }, 24),
        );
        assert_eq!(meter.delivered(), 0);
    }
}
