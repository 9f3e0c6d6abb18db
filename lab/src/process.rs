//! What this process takes: its heap and its descriptors; and how often it panicked.

use std::sync::atomic::{AtomicU64, Ordering};

use cap::Cap;
use mimalloc::MiMalloc;
pub(crate) use vouchsafe_cli::process::memory;

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

/// Open descriptors, where the system tells.
pub(crate) fn descriptors() -> Option<u64> {
    // One of them is that of the folder being read.
    Some((std::fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}
