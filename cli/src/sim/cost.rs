//! What a simulation cost: time, processor time, memory. Never part of what a seed decides.

use std::time::{Duration, Instant};

use crate::process;

pub(super) struct Meter(Instant);

impl Meter {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// One line; processor time and memory where the system tells them, for each delivery and for each node if this was one
    /// network.
    pub(super) fn words(&self, nodes: Option<usize>, deliveries: Option<usize>) -> String {
        let wall = self.elapsed().as_secs_f64();
        let cpu = process::cpu_seconds().map(|cpu| {
            let each = deliveries.filter(|deliveries| *deliveries > 0);
            let each =
                each.map(|deliveries| format!(" ({:.1} us a delivery)", cpu * 1e6 / deliveries as f64));
            format!(", {cpu:.1} s of processor time{}", each.unwrap_or_default())
        });
        let cpu = cpu.unwrap_or_default();
        let memory = process::peak_memory().map(|bytes| {
            let kib = bytes as f64 / 1024.0;
            let each = nodes.map(|nodes| format!(" ({:.0} KiB a node)", kib / nodes.max(1) as f64));
            format!(", {:.0} MiB at most{}", kib / 1024.0, each.unwrap_or_default())
        });
        format!("{wall:.1} s{cpu}{}", memory.unwrap_or_default())
    }
}

/// What one run may take: then it is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) memory: u64,
}

/// Watches one run, and says when it has had enough, and of what.
pub(super) struct Watch {
    limits: Limits,
    began: Instant,
    looked: Instant,
    held: u64,
    /// Set when a limit was reached.
    pub(super) over: Option<String>,
}

impl Watch {
    pub(super) fn start(limits: Limits) -> Self {
        let now = Instant::now();
        Self { limits, began: now, looked: now, held: process::heap(), over: None }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the run may go on.
    pub(super) fn allows(&mut self) -> bool {
        let elapsed = self.elapsed();
        if elapsed >= self.limits.time {
            self.over = Some(format!("after {:.0} s", elapsed.as_secs_f64()));
        } else if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            let grown = process::heap().saturating_sub(self.held);
            if grown > self.limits.memory {
                self.over = Some(format!("at {:.1} GiB", grown as f64 / f64::from(1 << 30)));
            }
        }
        self.over.is_none()
    }
}

/// Adding up takes longer than an event.
const LOOK_EVERY: Duration = Duration::from_millis(100);
