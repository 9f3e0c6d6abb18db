//! The ends of topics, where readers of the past wait for the next commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use crate::rumor::TopicId;

/// The ends of all topics that somebody reads.
#[derive(Debug, Default)]
pub(in crate::node) struct Tails(Mutex<HashMap<TopicId, Weak<Tail>>>);

/// The end of one topic. Its version rises whenever there may be more to read.
#[derive(Debug, Default)]
pub(in crate::node) struct Tail(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    version: u64,
    next_waiter: u64,
    /// As many as the application has readers.
    waiting: HashMap<Waiter, Waker>,
}

/// Names one reader of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::node) struct Waiter(u64);

impl Tails {
    /// The end of a topic, for a reader.
    pub(in crate::node) fn tail(&self, topic: TopicId) -> Arc<Tail> {
        let mut tails = locked(&self.0);
        if let Some(tail) = tails.get(&topic).and_then(Weak::upgrade) {
            return tail;
        }
        tails.retain(|_, tail| tail.strong_count() > 0);
        let tail = Arc::new(Tail::default());
        tails.insert(topic, Arc::downgrade(&tail));
        tail
    }

    /// There may be more to read of a topic.
    pub(in crate::node) fn advance(&self, topic: &TopicId) {
        let tail = locked(&self.0).get(topic).and_then(Weak::upgrade);
        if let Some(tail) = tail {
            tail.advance();
        }
    }

    /// The same of all topics: the store was opened again, works again, or is over.
    pub(in crate::node) fn advance_all(&self) {
        let tails: Vec<_> = locked(&self.0).values().filter_map(Weak::upgrade).collect();
        tails.iter().for_each(|tail| tail.advance());
    }

    /// Whether somebody waits for the next commit of a topic.
    pub(super) fn is_awaited(&self, topic: &TopicId) -> bool {
        let tail = locked(&self.0).get(topic).and_then(Weak::upgrade);
        tail.is_some_and(|tail| !locked(&tail.0).waiting.is_empty())
    }
}

impl Tail {
    /// A name for one more reader.
    pub(in crate::node) fn waiter(&self) -> Waiter {
        let mut state = locked(&self.0);
        state.next_waiter = state.next_waiter.wrapping_add(1);
        Waiter(state.next_waiter)
    }

    /// To be asked before a look at the store: what is committed after the look makes another one.
    pub(in crate::node) fn version(&self) -> u64 {
        locked(&self.0).version
    }

    /// Waits until the version is another one.
    pub(in crate::node) fn poll_beyond(&self, version: u64, who: Waiter, cx: &Context<'_>) -> Poll<()> {
        let mut state = locked(&self.0);
        if state.version != version {
            state.waiting.remove(&who);
            return Poll::Ready(());
        }
        state.waiting.insert(who, cx.waker().clone());
        Poll::Pending
    }

    /// A reader no longer waits.
    pub(in crate::node) fn forget(&self, who: Waiter) {
        locked(&self.0).waiting.remove(&who);
    }

    fn advance(&self) {
        let mut state = locked(&self.0);
        state.version = state.version.wrapping_add(1);
        let woken = std::mem::take(&mut state.waiting);
        // A waker is foreign code: it may ask us something.
        drop(state);
        woken.into_values().for_each(Waker::wake);
    }
}

/// Nothing under these locks can leave it half done, so a panic elsewhere makes none of it unusable.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
