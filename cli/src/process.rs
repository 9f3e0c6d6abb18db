//! What this process takes, where the system says it: on Linux, by its books in `/proc`.

/// Seconds of processor time, user and system. (The books count hundredths on every Linux that Rust runs on.)
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which stands in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: [u64; 2] = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
    Some((ticks[0] + ticks[1]) as f64 / 100.0)
}

/// Has memory come in small pages from here on. An allocator that asks for large ones has 2 MiB resident wherever it has touched a byte: for a
/// process that runs for months and needs little that is most of what it takes. Programs that it starts inherit it. (Linux.)
pub(crate) fn small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory comes in large pages");
    }
}

/// Resident bytes.
pub fn memory() -> Option<u64> {
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
