//! When a run is given up: floods among many nodes take hours, or all memory.

use std::time::{Duration, Instant};

use crate::process;

/// What one run may take: then it is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Real time.
    pub(crate) time: Duration,
    /// Bytes that it holds on the heap.
    pub(crate) memory: u64,
}

/// Watches one run, and says when it has had enough, and of what.
pub(crate) struct Watch {
    limits: Limits,
    began: Instant,
    looked: Instant,
    held: u64,
    /// Set when a limit was reached.
    pub(crate) over: Option<String>,
}

impl Watch {
    pub(crate) fn start(limits: Limits) -> Self {
        let now = Instant::now();
        Self { limits, began: now, looked: now, held: process::heap(), over: None }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the run may go on.
    pub(crate) fn allows(&mut self) -> bool {
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
