//! Through what threads share memory in `jobs` and `delivered`. The models of `models/` put loom's in its place.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
