//! What a simulation cost: time, processor time, memory. Never part of what a seed decides.

use std::time::Instant;

use crate::process;

/// Counts from when it was started.
pub struct Meter(Instant);

impl Meter {
    /// From now on.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// One line; processor time and memory where the system tells them, for each delivery and for each node if this was one
    /// network.
    pub fn words(&self, nodes: Option<usize>, deliveries: Option<usize>) -> String {
        let wall = self.0.elapsed().as_secs_f64();
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
