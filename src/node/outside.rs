//! What a node takes from outside besides its sockets: the wall clock, the disk's time for a record and a commit, and its free space. Tests put their own in
//! its place.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
type Free = Arc<dyn Fn(&Path) -> Option<u64> + Send + Sync>;
type BeforeWrite = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// The system's own, unless a test says otherwise.
#[derive(Clone)]
pub(super) struct Outside {
    clock: Clock,
    before_record: BeforeWrite,
    before_commit: BeforeWrite,
    free: Free,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            clock: Arc::new(unix_ms),
            before_record: Arc::new(|| Ok(())),
            before_commit: Arc::new(|| Ok(())),
            free: Arc::new(free_bytes),
        }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside(..)")
    }
}

impl Outside {
    #[cfg(feature = "sim")]
    pub(super) fn set_clock(&mut self, clock: impl Fn() -> u64 + Send + Sync + 'static) {
        self.clock = Arc::new(clock);
    }

    #[cfg(feature = "sim")]
    pub(super) fn set_before_record(&mut self, hook: impl Fn() -> io::Result<()> + Send + Sync + 'static) {
        self.before_record = Arc::new(hook);
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn set_before_commit(&mut self, hook: impl Fn() -> io::Result<()> + Send + Sync + 'static) {
        self.before_commit = Arc::new(hook);
    }

    #[cfg(any(test, feature = "sim"))]
    pub(super) fn set_free(&mut self, free: impl Fn(&Path) -> Option<u64> + Send + Sync + 'static) {
        self.free = Arc::new(free);
    }

    /// Unix time in milliseconds.
    pub(super) fn unix_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Called on the thread that writes, before each record.
    pub(super) fn before_record(&self) -> io::Result<()> {
        (self.before_record)()
    }

    /// Bytes that are free on the disk of a folder, if that is known.
    pub(super) fn free_bytes(&self, folder: &Path) -> Option<u64> {
        (self.free)(folder)
    }

    /// Called on the thread that writes, before each transaction of the store.
    pub(super) fn before_commit(&self) -> io::Result<()> {
        (self.before_commit)()
    }
}

/// What is free for us on the disk of a folder; `None` where that is not known.
#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
const fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// Unix time in milliseconds; 0 for clocks before 1970, whose rumors everybody will ignore.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_disk_says_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(folder.path()).is_some_and(|free| free > 4_096));
        assert_eq!(free_bytes(&folder.path().join("nothing here")), None);
    }
}
