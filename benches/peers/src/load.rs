//! The load generator: the same for every system.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::meter::{Meter, NO_SLOT, Stamp};
use crate::plan::Load;
use crate::systems::{Failure, Mesh};

/// Publishers of loads that don't say how many: the first nodes.
const PUBLISHERS: usize = 8;
/// Pause between two messages of the unloaded network, so that the first has no part in the second's latency.
const PAUSE: Duration = Duration::from_millis(10);
/// A message of a closed loop that has not arrived everywhere by then is given up, and the loop goes on without it.
const GIVE_UP: Duration = Duration::from_secs(5);
/// Calls of one paced publisher that may be under way: who makes it wait for longer falls behind the clock.
const CALLS: usize = 256;
/// A publisher that goes flat out hands over this many messages at a time, or this many bytes if that is less.
const BURST: usize = 256;
const BURST_BYTES: usize = 1 << 20;
/// After a refusal, since systems without back-pressure would be asked in a busy loop.
const AFTER_REFUSAL: Duration = Duration::from_millis(1);
/// A publish call that has not returned this long after the end of the load is cancelled.
const STRAGGLER: Duration = Duration::from_secs(5);

/// What was offered to the system, and what it said.
#[derive(Debug, Default)]
pub struct Offered {
    accepted: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
    hung: AtomicU64,
    reason: OnceLock<String>,
}

impl Offered {
    /// The system has accepted `count` messages: from now on they count as lost where they are not delivered.
    pub fn accept(&self, count: usize) {
        self.accepted.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// The system has said no to `count` messages.
    pub fn refuse(&self, count: usize, reason: impl std::fmt::Display) {
        self.refused.fetch_add(count as u64, Ordering::Relaxed);
        self.reason.get_or_init(|| reason.to_string());
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// What went wrong, for people; `None` if nothing did.
    pub fn complaint(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(reason) = self.reason.get() {
            parts.push(format!("{} refused, first: {reason}", self.refused()));
        }
        for (count, what) in [
            (&self.given_up, "of the closed loop not everywhere after 5 s"),
            (&self.hung, "publish calls not back 5 s after the end"),
        ] {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Messages in flight that a closed loop needs slots for.
pub const fn slots(load: Load) -> usize {
    match load {
        Load::Unloaded => 1,
        Load::Closed(window) => window,
        Load::Paced(_) | Load::Flat(_) => 0,
    }
}

/// Messages that a paced load asks the system to take in this time; `None` for loads that take what they get.
pub fn asked(load: Load, nodes: usize, time: Duration) -> Option<u64> {
    match load {
        Load::Paced(rate) => Some(u64::from(rate) * time.as_secs() * PUBLISHERS.min(nodes) as u64),
        Load::Unloaded | Load::Closed(_) | Load::Flat(_) => None,
    }
}

/// A network under load.
#[derive(Debug)]
pub struct Source<M> {
    pub mesh: M,
    pub meter: Arc<Meter>,
    pub offered: Offered,
    /// The next sequence number of each node.
    sequences: Vec<AtomicU64>,
    size: usize,
}

impl<M: Mesh> Source<M> {
    pub fn new(mesh: M, meter: Arc<Meter>, nodes: usize, size: usize) -> Arc<Self> {
        let sequences = (0..nodes).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { mesh, meter, offered: Offered::default(), sequences, size })
    }

    /// Loads the network until `stop`, and comes back when every publisher has.
    pub async fn drive(self: Arc<Self>, load: Load, stop: Instant) -> Result<(), Failure> {
        let nodes = self.sequences.len();
        let mut tasks = JoinSet::new();
        match load {
            Load::Unloaded => {
                tasks.spawn(Arc::clone(&self).closed(0, PAUSE, stop));
            }
            Load::Closed(window) => {
                for slot in 0..window {
                    tasks.spawn(Arc::clone(&self).closed(slot, Duration::ZERO, stop));
                }
            }
            Load::Paced(rate) => {
                let publishers = PUBLISHERS.min(nodes);
                let start = Instant::now();
                for publisher in 0..publishers {
                    // Not all at the same moment.
                    let first =
                        start + Duration::from_secs(1) * publisher as u32 / (rate * publishers as u32);
                    tasks.spawn(Arc::clone(&self).paced(publisher, rate, first, stop));
                }
            }
            Load::Flat(publishers) => {
                for publisher in 0..publishers.min(nodes) {
                    tasks.spawn(Arc::clone(&self).flat(publisher, stop));
                }
            }
        }
        while let Some(result) = tasks.join_next().await {
            result?;
        }
        Ok(())
    }

    /// One message in flight, from each publisher in turn.
    async fn closed(self: Arc<Self>, slot: usize, pause: Duration, stop: Instant) {
        let publishers = PUBLISHERS.min(self.sequences.len());
        for turn in slot.. {
            if Instant::now() >= stop {
                return;
            }
            let stamp = self.stamp(turn % publishers, slot as u32, 1);
            self.meter.expect(stamp);
            if !self.publish(stamp, 1, stop).await {
                continue;
            }
            if timeout(GIVE_UP, self.meter.arrived(slot as u32)).await.is_err() {
                self.offered.given_up.fetch_add(1, Ordering::Relaxed);
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
    }

    /// By the clock: whoever was held up catches up at once.
    async fn paced(self: Arc<Self>, publisher: usize, rate: u32, first: Instant, stop: Instant) {
        // By the clock, whether or not the calls before are back: the calls of some systems wait for what they say to be sent.
        let mut calls = JoinSet::new();
        for turn in 0.. {
            let due = first + Duration::from_secs(1) * turn / rate;
            if due >= stop || Instant::now() >= stop {
                break;
            }
            sleep_until(due).await;
            while calls.len() >= CALLS || calls.try_join_next().is_some() {
                if calls.len() >= CALLS {
                    calls.join_next().await;
                }
            }
            // Late calls are late: what they waited for is part of the latency.
            let due = self.meter.at(due.into_std());
            let (source, stamp) = (Arc::clone(&self), Stamp { due, ..self.stamp(publisher, NO_SLOT, 1) });
            calls.spawn(async move { source.publish(stamp, 1, stop).await });
        }
        while calls.join_next().await.is_some() {}
    }

    /// As fast as the system takes it.
    async fn flat(self: Arc<Self>, publisher: usize, stop: Instant) {
        let burst = BURST.min(BURST_BYTES / self.size).max(1);
        while Instant::now() < stop {
            self.publish(self.stamp(publisher, NO_SLOT, burst), burst, stop).await;
        }
    }

    /// For the next message of `publisher`, or the first of the next `count`, due now.
    fn stamp(&self, publisher: usize, slot: u32, count: usize) -> Stamp {
        let sequence = self.sequences[publisher].fetch_add(count as u64, Ordering::Relaxed);
        Stamp { publisher: publisher as u32, slot, sequence, due: self.meter.now() }
    }

    /// Publishes `count` messages from `stamp` on. Whether all were accepted.
    async fn publish(&self, stamp: Stamp, count: usize, stop: Instant) -> bool {
        let bodies = (0..count as u64).map(|n| Stamp { sequence: stamp.sequence + n, ..stamp });
        let bodies = bodies.map(|stamp| self.meter.message(stamp, self.size)).collect();
        let published = self.mesh.publish(stamp.publisher as usize, bodies, &self.offered);
        match timeout_at(stop + STRAGGLER, published).await {
            Ok(true) => true,
            Ok(false) => {
                sleep(AFTER_REFUSAL).await;
                false
            }
            Err(_) => {
                self.offered.hung.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}
