//! What tests do to the machine of a node.

use super::Builder;

impl Builder {
    /// Takes the wall clock, Unix milliseconds, from `clock` instead of the system: for tests of clocks that are wrong.
    #[doc(hidden)]
    pub fn clock(mut self, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.outside.set_clock(clock);
        self
    }

    /// Calls `hook` before each record of the position log, on the thread that writes it. It may take its time, and its error is
    /// the record's: for tests of disks that are slow or full.
    #[doc(hidden)]
    pub fn before_record(mut self, hook: impl Fn() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        self.outside.set_before_record(hook);
        self
    }

    /// Calls `hook` before each transaction of the store, on the thread that writes it. It may take its time, and its error is the
    /// transaction's: for tests of disks that are slow, full or damaged.
    #[doc(hidden)]
    pub fn before_commit(mut self, hook: impl Fn() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        self.outside.set_before_commit(hook);
        self
    }

    /// Asks `free` how many bytes are free on the disk of the store: for tests of disks that other programs fill.
    #[doc(hidden)]
    pub fn free_space(mut self, free: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.outside.set_free(move |_| Some(free()));
        self
    }
}
