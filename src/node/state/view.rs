//! The values of a topic at this node, shared by all who read them: loaded from the store once, then followed as it commits.
//!
//! ```text
//!   store ── live bundles, page by page ──────────────> View <── readers, watchers, writers
//!   actor ── Fact: kept, shown, over; a channel ────────┘  a task of its own, and whoever reads
//! ```
//!
//! A store that starts anew after damage may have lost some of what is shown here. It stays shown, and repair brings it back to the store.
//!
//! The order in which bundles come does not matter ([`registers`](crate::rumor::registers)), so it does not matter either what a page
//! shows already of what the channel tells.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::{OnceCell, mpsc, oneshot};

use super::values::Values;
use super::watcher::{Told, Watcher, WatcherId};
use crate::key::PublicKey;
use crate::node::convicted::Convicted;
use crate::node::keeper::Library;
use crate::node::outside::Outside;
use crate::protocol::keeping::{Head, Live};
use crate::rumor::{Bundle, Position, RuleSet, TopicId};
use crate::store::{Res, StoreError};

/// Bytes of bundles that are taken from the store at once.
const LOADED_AT_ONCE: usize = 256 * 1024;

/// What the node tells of what is committed.
#[derive(Clone, Debug)]
pub(in crate::node) enum Fact {
    /// A bundle is kept.
    Kept { bundle: Arc<Bundle>, is_shown: bool },
    /// One that was not shown is shown.
    Shown { author: PublicKey, first: Position },
    /// What is below this tick is over.
    Floor(u64),
    /// All of a convicted author is over.
    Convicted(PublicKey),
}

#[derive(Debug)]
pub(in crate::node) struct View {
    topic: TopicId,
    /// Under which key is written here.
    author: PublicKey,
    library: Library,
    convicted: Convicted,
    /// For its clock.
    outside: Outside,
    loaded: OnceCell<()>,
    state: Mutex<State>,
    /// The task that follows ends with it.
    _alive: oneshot::Sender<()>,
}

#[derive(Debug)]
struct State {
    values: Values,
    /// Drained at once by the task, and before each look: it holds what was committed since.
    facts: mpsc::UnboundedReceiver<Fact>,
    /// The node says nothing more.
    is_over: bool,
    watchers: HashMap<WatcherId, Watcher>,
    next_watcher: u64,
    /// Keys that are being written here, each by how many.
    writing: BTreeMap<Bytes, usize>,
    /// To be woken once the lock is given back: a waker is foreign code.
    wakes: Vec<Waker>,
}

impl State {
    fn apply(&mut self, fact: Fact) {
        let changed = match fact {
            Fact::Kept { bundle, is_shown } => self.values.merge(&bundle, is_shown),
            Fact::Shown { author, first } => self.values.show(author, first),
            Fact::Floor(floor) => self.values.raise(floor),
            Fact::Convicted(author) => {
                if self.values.remove(&author) {
                    self.watchers.values_mut().for_each(|watcher| watcher.convicted(author));
                }
                Vec::new()
            }
        };
        for watcher in self.watchers.values_mut() {
            changed.iter().for_each(|place| watcher.changed(place));
            self.wakes.extend(watcher.wakes());
        }
    }

    fn drain(&mut self) {
        while let Ok(fact) = self.facts.try_recv() {
            self.apply(fact);
        }
    }
}

impl View {
    /// A view that is told facts from now on, and where to tell them. Its task runs until the view is dropped.
    pub(in crate::node) fn begin(
        rules: Arc<RuleSet>,
        author: PublicKey,
        library: Library,
        convicted: Convicted,
        outside: Outside,
    ) -> (Arc<Self>, mpsc::UnboundedSender<Fact>) {
        let (tell, facts) = mpsc::unbounded_channel();
        let (alive, over) = oneshot::channel();
        let state = State {
            values: Values::new(Arc::clone(&rules)),
            facts,
            is_over: false,
            watchers: HashMap::new(),
            next_watcher: 0,
            writing: BTreeMap::new(),
            wakes: Vec::new(),
        };
        let (topic, state) = (rules.id(), Mutex::new(state));
        let loaded = OnceCell::new();
        let view =
            Arc::new(Self { topic, author, library, convicted, outside, loaded, state, _alive: alive });
        tokio::spawn(follow(Arc::downgrade(&view), over));
        (view, tell)
    }

    /// Reads what the store holds, unless that was done before.
    pub(in crate::node) async fn load(&self) -> Res<()> {
        let load = || async {
            let tail = self.library.tail(self.topic);
            let mut after = None::<Head>;
            loop {
                let (topic, seen) = (self.topic, tail.version());
                match self.library.live(topic, after, LOADED_AT_ONCE).await {
                    Ok(Ok(page)) => {
                        after = page.items.last().map(|item| item.head);
                        self.merge(&page);
                        if !page.more {
                            return Ok(());
                        }
                    }
                    // The topic, or the store, is being opened: whoever does it moves the end of the topic on.
                    Ok(Err(StoreError::NotOpen | StoreError::Closed | StoreError::Damaged(_))) => {
                        let waiter = tail.waiter();
                        std::future::poll_fn(|cx| tail.poll_beyond(seen, waiter, cx)).await;
                        tail.forget(waiter);
                    }
                    Ok(Err(error)) => return Err(error),
                    // The node has ended.
                    Err(_) => return Err(StoreError::Closed),
                }
            }
        };
        self.loaded.get_or_try_init(load).await.map(drop)
    }

    fn merge(&self, page: &Live) {
        self.with(|state| {
            for item in &page.items {
                let Some(bundle) = &item.bundle else { continue };
                if !self.convicted.contains(&item.head.author) {
                    state.apply(Fact::Kept { bundle: Arc::clone(bundle), is_shown: item.is_shown });
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half done that a reader would notice.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state as of now. Whoever it wakes is woken afterwards.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.drain();
        let out = act(&mut state);
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        wakes.into_iter().for_each(Waker::wake);
        out
    }

    /// Reads the values as of now.
    pub(in crate::node) fn read<T>(&self, read: impl FnOnce(&Values) -> T) -> T {
        self.with(|state| read(&state.values))
    }

    /// The time by the node's clock, Unix milliseconds.
    pub(in crate::node) fn unix_ms(&self) -> u64 {
        self.outside.unix_ms()
    }

    /// Under which key is written here.
    pub(in crate::node) const fn author(&self) -> PublicKey {
        self.author
    }

    /// Takes note that keys are written here, until the guard is dropped. `None` if one of our values would have to go for them.
    pub(in crate::node) fn writes(self: &Arc<Self>, keys: Vec<Bytes>) -> Option<Writing> {
        let has_room = self.with(|state| {
            let has_room = state.values.has_room(&self.author, keys.iter(), &state.writing);
            for key in keys.iter().filter(|_| has_room) {
                let count = state.writing.entry(key.clone()).or_default();
                *count = count.saturating_add(1);
            }
            has_room
        });
        has_room.then(|| Writing { view: Arc::clone(self), keys })
    }

    /// One more watcher, which is told at first of the keys that there are.
    pub(in crate::node) fn watch(&self, prefix: Bytes) -> WatcherId {
        self.with(|state| {
            state.next_watcher = state.next_watcher.wrapping_add(1);
            let id = WatcherId(state.next_watcher);
            let mut watcher = Watcher::new(prefix);
            state.values.places(watcher.prefix()).iter().for_each(|place| watcher.changed(place));
            state.watchers.insert(id, watcher);
            id
        })
    }

    pub(in crate::node) fn unwatch(&self, id: WatcherId) {
        self.with(|state| state.watchers.remove(&id));
    }

    /// The next thing that a watcher is told; `None` when the node says nothing more.
    pub(in crate::node) fn poll_watcher<T>(
        &self,
        id: WatcherId,
        cx: &Context<'_>,
        look: impl FnOnce(Told, &Values) -> T,
    ) -> Poll<Option<T>> {
        self.with(|state| {
            let State { values, watchers, is_over, .. } = state;
            let Some(watcher) = watchers.get_mut(&id) else { return Poll::Ready(None) };
            match watcher.next() {
                Some(told) => Poll::Ready(Some(look(told, values))),
                None if *is_over => Poll::Ready(None),
                None => {
                    watcher.waits(cx.waker());
                    Poll::Pending
                }
            }
        })
    }
}

/// Keys that are being written.
#[derive(Debug)]
pub(in crate::node) struct Writing {
    view: Arc<View>,
    keys: Vec<Bytes>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.view.with(|state| {
            for key in &self.keys {
                if let Some(count) = state.writing.get_mut(key) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        state.writing.remove(key);
                    }
                }
            }
        });
    }
}

/// Applies facts as they come, so that none wait for a reader.
async fn follow(view: Weak<View>, over: oneshot::Receiver<()>) {
    let facts = std::future::poll_fn(|cx| {
        let Some(view) = view.upgrade() else { return Poll::Ready(()) };
        view.with(|state| {
            loop {
                match state.facts.poll_recv(cx) {
                    Poll::Ready(Some(fact)) => state.apply(fact),
                    Poll::Ready(None) => {
                        state.is_over = true;
                        let ends = state.watchers.values_mut().filter_map(Watcher::ends);
                        state.wakes.extend(ends);
                        return Poll::Ready(());
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
    });
    tokio::select! {
        () = facts => {}
        // Nobody sends: it ends when the view is dropped.
        _ = over => {}
    }
}
