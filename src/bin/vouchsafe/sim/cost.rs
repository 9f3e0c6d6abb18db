//! What a simulation cost: time, processor time, memory. Never part of what a seed decides.

use std::time::{Duration, Instant};

pub(super) struct Meter(Instant);

impl Meter {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// One line; processor time and memory where the system tells them, memory for each node if this was one network.
    pub(super) fn words(&self, nodes: Option<usize>) -> String {
        let wall = self.elapsed().as_secs_f64();
        let cpu = cpu_seconds().map(|cpu| format!(", {cpu:.1} s of processor time")).unwrap_or_default();
        let memory = peak_kib().map(|kib| {
            let each = nodes.map(|nodes| format!(" ({:.0} KiB a node)", kib as f64 / nodes.max(1) as f64));
            format!(", {:.0} MiB at most{}", kib as f64 / 1024.0, each.unwrap_or_default())
        });
        format!("{wall:.1} s{cpu}{}", memory.unwrap_or_default())
    }
}

/// Of the whole process: user and system, in hundredths of a second on every Linux that Rust runs on.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which stands in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: [u64; 2] = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
    Some((ticks[0] + ticks[1]) as f64 / 100.0)
}

/// The most memory that the process has held.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
