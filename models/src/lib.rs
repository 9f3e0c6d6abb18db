//! Files of `../src/node` that share memory between threads, compiled with loom's locks and atomics in place of the system's.
//!
//! Each test is run in every order in which its threads may come (docs/testing.md says what that covers). What must hold is
//! asserted; threads that wait for each other for ever are found by loom itself.
#![cfg(test)]

// By path, and not as a dependency: the same source must be compiled a second time, over `sync` as it stands below.
#[path = "../../src/node/delivered_count.rs"]
mod delivered_count;
#[path = "../../src/node/jobs.rs"]
mod jobs;

/// What stands in `../src/node/sync.rs`, as loom has it.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
}

mod jobs_taken;
mod rumors_counted;

/// Runs `test` in every order in which at most four times a thread is interrupted that could go on. `LOOM_MAX_PREEMPTIONS`
/// says otherwise; each more takes some ten times as long.
fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    builder.check(test);
}
