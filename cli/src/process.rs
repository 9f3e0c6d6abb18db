//! What this process takes: its heap, and what the system says where it does: on Linux, by its books in `/proc`.

use std::sync::atomic::{AtomicU64, Ordering};

use cap::Cap;
use mimalloc::MiMalloc;

#[global_allocator]
static HEAP: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

/// Bytes in use on the heap. Resident memory is no measure of one run among several: what is freed may
/// stay resident, and is used again.
pub(crate) fn heap() -> u64 {
    HEAP.allocated() as u64
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts panics from now on, on any thread and in any task: a runtime catches those of its tasks, and nobody hears of them.
pub(crate) fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
}

pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Seconds of processor time, user and system. (The books count hundredths on every Linux that Rust runs on.)
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which stands in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: [u64; 2] = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
    Some((ticks[0] + ticks[1]) as f64 / 100.0)
}

/// Resident bytes.
pub(crate) fn memory() -> Option<u64> {
    bytes("VmRSS:")
}

/// The most resident bytes that there have been.
pub(crate) fn peak_memory() -> Option<u64> {
    bytes("VmHWM:")
}

fn bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Open descriptors.
pub(crate) fn descriptors() -> Option<u64> {
    // One of them is that of the folder being read.
    Some((std::fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}
