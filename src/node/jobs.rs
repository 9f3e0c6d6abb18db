//! Jobs for threads that take them from one queue, until the last giver is gone. `models/` runs it in every order.

use std::collections::VecDeque;
use std::sync::PoisonError;

use super::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The giving end, cheap to clone. What was given before the last copy went is still taken.
pub(super) struct Jobs<T>(Arc<Giving<T>>);

/// The taking end, of one thread: jobs, each given to one taker, and the end when there will be no more.
pub(super) struct Taker<T>(Arc<Shared<T>>);

struct Giving<T>(Arc<Shared<T>>);

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
}

struct Queue<T> {
    jobs: VecDeque<T>,
    closed: bool,
}

impl<T> Jobs<T> {
    pub(super) fn new() -> Self {
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), closed: false });
        Self(Arc::new(Giving(Arc::new(Shared { queue, changed: Condvar::new() }))))
    }

    pub(super) fn give(&self, job: T) {
        let shared = &self.0.0;
        shared.lock().jobs.push_back(job);
        shared.changed.notify_one();
    }

    pub(super) fn taker(&self) -> Taker<T> {
        Taker(Arc::clone(&self.0.0))
    }
}

impl<T> Iterator for Taker<T> {
    type Item = T;

    /// Waits for a job.
    fn next(&mut self) -> Option<T> {
        let mut queue = self.0.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Drop for Giving<T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // Nothing under the lock can leave it half done, so a panic elsewhere does not make it unusable.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Jobs<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> std::fmt::Debug for Jobs<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jobs(..)")
    }
}
