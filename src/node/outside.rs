//! What a node takes from outside besides its sockets: the wall clock, the disk's time for a record and a commit, and its free space. Tests put their own in
//! its place, and a network in memory its time.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(any(test, feature = "memory"))]
use tokio::runtime::RuntimeFlavor;
use tokio::sync::oneshot;

type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
type Free = Arc<dyn Fn(&Path) -> Option<u64> + Send + Sync>;
type BeforeWrite = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// The system's own, unless a test says otherwise.
#[derive(Clone)]
pub(super) struct Outside {
    clock: Clock,
    /// The wall clock follows the runtime's, which may be paused.
    #[cfg(any(test, feature = "memory"))]
    in_memory: bool,
    before_record: BeforeWrite,
    before_commit: BeforeWrite,
    free: Free,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            clock: Arc::new(unix_ms),
            #[cfg(any(test, feature = "memory"))]
            in_memory: false,
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

    /// Has the time of a network in memory.
    #[cfg(any(test, feature = "memory"))]
    pub(super) fn set_in_memory(&mut self, clock: impl Fn() -> u64 + Send + Sync + 'static) {
        self.clock = Arc::new(clock);
        self.in_memory = true;
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

    /// A thread of our own works for the node. While this is held a clock that is paused does not run ahead of it: tokio takes a node that
    /// waits for such a thread for idle, and would let hours pass.
    pub(super) fn holds_clock(&self) -> Option<Held> {
        #[cfg(any(test, feature = "memory"))]
        if self.in_memory {
            return Held::new();
        }
        None
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

/// The clock of the runtime waits for a thread.
#[expect(dead_code, reason = "to drop it is all there is to do")]
pub(super) struct Held(oneshot::Sender<()>);

#[cfg(any(test, feature = "memory"))]
impl Held {
    fn new() -> Option<Self> {
        // No other runtime has a clock that can be paused.
        if tokio::runtime::Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        let (held, ends) = oneshot::channel();
        // The clock stands still while such a task runs. An error means that what is held is held no more.
        tokio::task::spawn_blocking(move || drop(ends.blocking_recv()));
        Some(Self(held))
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
