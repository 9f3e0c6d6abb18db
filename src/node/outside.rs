//! What a node takes from outside besides its sockets: the wall clock, and the disk's time for a record and a commit. Tests put their own in
//! its place.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
type BeforeWrite = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// The system's own, unless a test says otherwise.
#[derive(Clone)]
pub(super) struct Outside {
    clock: Clock,
    before_record: BeforeWrite,
    before_commit: BeforeWrite,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            clock: Arc::new(unix_ms),
            before_record: Arc::new(|| Ok(())),
            before_commit: Arc::new(|| Ok(())),
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

    /// Unix time in milliseconds.
    pub(super) fn unix_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Called on the thread that writes, before each record.
    pub(super) fn before_record(&self) -> io::Result<()> {
        (self.before_record)()
    }

    /// Called on the thread that writes, before each transaction of the store.
    pub(super) fn before_commit(&self) -> io::Result<()> {
        (self.before_commit)()
    }
}

/// Unix time in milliseconds; 0 for clocks before 1970, whose rumors everybody will ignore.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
