//! An agent that runs: its node, its topics, what has happened, and who is told of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, watch};
use vouchsafe::{Closed, Kv, KvError, Member, Node, NodeStats, PublicKey, Question, Rumor, TopicHandle};

use super::book::Book;
use super::config::Settings;
use super::expelled::Expelled;
use super::feed::{self, Feed};
use super::follow::Followed;
use super::handlers::Handlers;
use super::happening::{Happening, What, unix_ms};

/// What is asked often is looked up so seldom: the node has other work than to count itself.
const FRESH: Duration = Duration::from_millis(100);

/// All that the tasks of an agent share.
pub(crate) struct Agent {
    pub(crate) node: Node,
    pub(crate) network: String,
    pub(crate) profile: &'static str,
    pub(crate) state: PathBuf,
    allow_list: Mutex<Option<PathBuf>>,
    /// One at a time changes who may link.
    pub(crate) admissions: tokio::sync::Mutex<()>,
    pub(crate) started_ms: u64,
    topics: BTreeMap<String, Joined>,
    /// The topic of events and queries.
    pub(crate) events: TopicHandle,
    pub(crate) handlers: Handlers,
    pub(crate) expelled: Expelled,
    feed: Arc<Feed>,
    book: Mutex<Book>,
    stats: Cached<NodeStats>,
    members: Cached<BTreeMap<PublicKey, Member>>,
    /// Bodies of the topic of events that were no event.
    pub(crate) odd: AtomicU64,
    /// What came faster than it was read, of all streams of the node.
    pub(crate) lagged: AtomicU64,
    leaving: watch::Sender<bool>,
}

/// A topic of the configuration.
pub(crate) struct Joined {
    pub(crate) handle: TopicHandle,
    kv: OnceCell<Kv>,
    /// Those who watch it.
    pub(crate) followed: Arc<Followed>,
}

impl Joined {
    pub(crate) fn new(handle: TopicHandle) -> Self {
        Self { handle, kv: OnceCell::new(), followed: Arc::default() }
    }

    /// Its keys, if it is a topic of state.
    pub(crate) async fn kv(&self) -> Result<&Kv, KvError> {
        self.kv.get_or_try_init(|| self.handle.kv()).await
    }
}

impl Agent {
    pub(crate) fn new(
        node: Node,
        settings: &Settings,
        topics: BTreeMap<String, Joined>,
        events: TopicHandle,
        expelled: Expelled,
    ) -> Self {
        Self {
            node,
            network: settings.network.clone(),
            profile: settings.profile.name(),
            state: settings.state.clone(),
            allow_list: Mutex::new(settings.allow_list.clone()),
            admissions: tokio::sync::Mutex::default(),
            started_ms: unix_ms(),
            topics,
            events,
            handlers: Handlers::start(&settings.handlers, settings.socket()),
            expelled,
            feed: Feed::new(),
            book: Mutex::default(),
            stats: Cached::default(),
            members: Cached::default(),
            odd: AtomicU64::new(0),
            lagged: AtomicU64::new(0),
            leaving: watch::channel(false).0,
        }
    }

    /// The file of who may link, if there is one.
    pub(crate) fn allow_list(&self) -> Option<PathBuf> {
        self.allow_list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It has another name from now on.
    pub(crate) fn set_allow_list(&self, path: PathBuf) {
        *self.allow_list.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
    }

    /// The topics of the configuration, by their names.
    pub(crate) const fn topics(&self) -> &BTreeMap<String, Joined> {
        &self.topics
    }

    /// The topic of that name or id.
    pub(crate) fn topic(&self, name: &str) -> Option<&Joined> {
        let by_id = || self.topics.values().find(|topic| topic.handle.id().to_string() == name);
        self.topics.get(name).or_else(by_id)
    }

    /// Tells handlers and watchers. Waits for nobody.
    pub(crate) fn tell(&self, happening: Happening) {
        self.book().note(&happening);
        let happening = Arc::new(happening);
        self.handlers.tell(&happening);
        self.show(&happening);
    }

    /// So much of one of the node's streams came faster than it was read, so nobody was told of it but of this.
    pub(crate) fn lagged(&self, of: &'static str, count: u64) {
        self.lagged.fetch_add(count, Ordering::Relaxed);
        if matches!(of, "node" | "members") {
            self.book().missed(count);
        }
        tracing::warn!(of, count, "some of what the node tells was not read: there was too much at once");
        self.tell(Happening::now(What::Lagged { of, count }));
    }

    /// Tells watchers of a question, and has it answered if there is a handler for it.
    pub(crate) fn asked(&self, happening: Happening, question: Question) {
        let happening = Arc::new(happening);
        self.handlers.ask(&happening, question);
        self.show(&happening);
    }

    fn show(&self, happening: &Happening) {
        self.feed.push(None, |id| feed::part(happening.kind(), Some(id), &happening.json()));
    }

    /// Tells handlers what was said in a topic. Those who watch the topic read it themselves.
    pub(crate) fn said(&self, topic: &str, rumor: &Rumor) {
        if self.handlers.want_rumors_of(topic) {
            let what = What::Rumor { topic: topic.to_owned(), rumor: rumor.clone() };
            self.handlers.tell(&Arc::new(Happening::now(what)));
        }
    }

    /// What happens.
    pub(crate) const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Offences and convictions.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counters and links, no older than a moment.
    pub(crate) async fn stats(&self) -> Result<Arc<NodeStats>, Closed> {
        self.stats.get(self.node.stats()).await
    }

    /// The members, no older than a moment.
    pub(crate) async fn members(&self) -> Result<Arc<BTreeMap<PublicKey, Member>>, Closed> {
        self.members.get(self.node.members()).await
    }

    /// Who has changed something sees it in what is asked next.
    pub(crate) async fn changed(&self) {
        self.stats.forget().await;
        self.members.forget().await;
    }

    pub(crate) fn count_odd(&self) {
        self.odd.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody asks the agent to leave.
    pub(crate) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Waits until somebody does.
    pub(crate) async fn left(&self) {
        let mut leaving = self.leaving.subscribe();
        // The sender is beside it.
        let _ = leaving.wait_for(|leaving| *leaving).await;
    }
}

/// Something that is made anew when it is asked for and too old; who asks meanwhile shares it.
struct Cached<T>(tokio::sync::Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T> Cached<T> {
    async fn forget(&self) {
        *self.0.lock().await = None;
    }

    async fn get(&self, make: impl Future<Output = Result<T, Closed>>) -> Result<Arc<T>, Closed> {
        let mut kept = self.0.lock().await;
        if let Some((at, value)) = &*kept
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make.await?);
        *kept = Some((Instant::now(), Arc::clone(&value)));
        Ok(value)
    }
}
