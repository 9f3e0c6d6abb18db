//! The handle of a joined topic.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::error::{Closed, WaitError};
use super::history::{self, History};
use super::membership::{End, JoinId};
use super::message::{How, Joined, Message, Publish, PublishAnswer};
use super::published::Published;
use super::replay::{Replay, ReplayError};
use super::stream::{Subscription, said_at};
use super::wait::Wait;
use super::waiting::Waiting;
use super::{Cursor, Node};
use crate::key::PublicKey;
use crate::protocol::keeping::Frontier;
use crate::protocol::{PublishError, RepairProgress};
use crate::rumor::{Position, RuleSet, Rumor, TopicId};

/// Bodies of one handle that may wait to be sealed; further publishers wait for a place. 16 bundles.
const PLACES: usize = 1024;

static NEXT_REQUEST: AtomicU64 = AtomicU64::new(0);

/// A joined topic: publish, subscribe. Cheap to clone. Each join has handles of its own: [`TopicHandle::leave`] ends what its
/// handle joined, with all clones and subscriptions of it, and nothing else, and so does dropping the last of them. A node
/// leaves a topic when no join of it is left; what [`Builder::topic`](super::Builder::topic) names stays relayed.
///
/// ```
/// # use std::time::Duration;
/// # use vouchsafe::{Node, Topic};
/// # async fn f(node: Node) -> Result<(), Box<dyn std::error::Error>> {
/// let lobby = node.join(Topic::named("lobby")).await?;
/// lobby.wait_for_links(1).within(Duration::from_secs(10)).await?;
/// lobby.publish("hello").await?;
/// lobby.leave().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TopicHandle {
    joined: Joined,
    node: Node,
    places: Arc<Semaphore>,
    /// The topic beside it in which its questions are said, once somebody asks or answers over this join.
    questions: Arc<OnceCell<TopicHandle>>,
}

impl TopicHandle {
    pub(super) fn new(joined: Joined, node: Node) -> Self {
        Self { joined, node, places: Arc::new(Semaphore::new(PLACES)), questions: Arc::default() }
    }

    /// The id that commits to the topic's rules.
    pub fn id(&self) -> TopicId {
        self.joined.rules.id()
    }

    pub(super) fn beside(&self) -> &OnceCell<Self> {
        &self.questions
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.joined.rules
    }

    /// The node it belongs to.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The topic's rumors, our own included: first those of the last minute that this node holds and has given to no
    /// subscription yet (what was said since joining while nobody listened, or before if the node relays the topic), each
    /// author's in order, then what comes. Where that is more than a subscription may fall behind, it begins with
    /// [`Gap::Lagged`](super::Gap::Lagged). Of a handle that has left: [`Gap::NotJoined`](super::Gap::NotJoined), then the end.
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(&self.joined, self.node.author())
    }

    /// When something was said at a position of this topic: the start of its tick. It is what the author says. Of a rumor that came live it is
    /// at most a minute before this node heard it and half a minute after, by this node's clock; of one that came late it can be any time
    /// that the topic keeps.
    ///
    /// ```
    /// # use vouchsafe::{Rumor, TopicHandle};
    /// # fn f(topic: TopicHandle, rumor: Rumor) {
    /// println!("{:?} ago", topic.said_at(rumor.position()).elapsed().unwrap_or_default());
    /// # }
    /// ```
    #[must_use]
    pub fn said_at(&self, position: Position) -> SystemTime {
        said_at(self.rules().tick_len(), position)
    }

    /// Waits until at least `links` links relay this topic. Cancel safe. [`Wait::within`] limits the wait.
    ///
    /// # Errors
    /// If the node is closed, or the topic left over this handle, first.
    pub fn wait_for_links(&self, links: usize) -> Wait {
        let membership = &self.joined.membership;
        let (mut count, end, topic) = (membership.links.clone(), membership.end.clone(), self.id());
        let now = count.clone();
        let until = async move {
            let enough = count.wait_for(|count| *count >= links).await.map(drop);
            if end.is_set() {
                return Err(WaitError::NotJoined(topic));
            }
            enough.map_err(|_| Closed.into())
        };
        Wait::new("links that relay the topic", links, until, move || *now.borrow())
    }

    /// As [`TopicHandle::publish_unsynced`], but with [`PublishError::WouldWait`] instead of waiting for a slot or for room, and never
    /// waiting for company: each call makes a bundle. [`PublishError::Silent`] says instead until when the author is silent, and
    /// [`PublishError::ClockWrong`] that its clock is. Only the record of used positions is waited for, if there is one: some two seconds' positions are
    /// recorded at a time. From 512 bundles of one rumor a second on, busy nodes make the links pay for them
    /// that bring them, and announce them instead of pushing them: use `publish` for that much. Dropping the future takes back what is
    /// not sealed yet.
    ///
    /// # Errors
    /// [`PublishError`] says what to do.
    pub async fn try_publish(&self, body: impl Into<Bytes>) -> Result<Published, PublishError> {
        let answer = self.send(vec![body.into()], How::Tries, None).await?.pop();
        answer.unwrap_or(Err(PublishError::Closed)).map(Published::new)
    }

    /// Publishes many rumors in order, packed into as few bundles as they fit, and gives each back in order. Waits as
    /// [`TopicHandle::publish`] does. Dropping the future takes back what is not sealed yet: an unknown number of bodies, from the
    /// first on, is published then.
    ///
    /// # Errors
    /// The first error. Each body stands for itself, so others before and after it may have been published: where that
    /// matters, call [`TopicHandle::publish`] for each, at the same time.
    pub async fn publish_all(
        &self,
        bodies: impl IntoIterator<Item = Bytes>,
    ) -> Result<Vec<Published>, PublishError> {
        let mut all = Vec::new();
        let mut bodies = bodies.into_iter().peekable();
        while bodies.peek().is_some() {
            let some: Vec<_> = bodies.by_ref().take(PLACES / 4).collect();
            for result in self.send(some, How::Waits { kept: true }, None).await? {
                all.push(Published::new(result?));
            }
        }
        Ok(all)
    }

    /// Reads what this node keeps of the topic, in the order in which it came, and goes on as more is kept. An application that keeps the
    /// cursor of each item with its effects is given each rumor once, through crashes and restarts:
    ///
    /// ```
    /// # use vouchsafe::{Cursor, Item, ReplayError, TopicHandle};
    /// # async fn f(topic: TopicHandle, stored: Option<Cursor>) -> Result<(), ReplayError> {
    /// let mut past = topic.replay(stored.unwrap_or(Cursor::START));
    /// while let Some(item) = past.next().await {
    ///     match item? {
    ///         Item::Rumor { cursor, rumor, .. } => {
    ///             // In one transaction: the effects of `rumor`, and `cursor`.
    ///             println!("{cursor}: {}", String::from_utf8_lossy(rumor.body()));
    ///         }
    ///         Item::Missed { from, to } => println!("what stood at {from} to {to} is gone, some of it at least"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A rumor is given once it is committed: within 100 ms. It holds some 128 KiB of bundles at a time, and nothing in the store.
    pub fn replay(&self, cursor: Cursor) -> Replay {
        Replay::new(&self.joined, cursor)
    }

    /// Where what this node keeps of the topic ends now: a [`TopicHandle::replay`] from there gives what is kept from now on. Cancel safe.
    ///
    /// # Errors
    /// As [`TopicHandle::get`].
    pub async fn end(&self) -> Result<Cursor, ReplayError> {
        history::end(&self.joined).await
    }

    /// Reads what this node keeps of one author, in the order of positions: those in `positions`, as of when it is read.
    ///
    /// ```
    /// # use vouchsafe::{Position, PublicKey, ReplayError, TopicHandle};
    /// # async fn f(topic: TopicHandle, author: PublicKey) -> Result<(), ReplayError> {
    /// // From a moment on; a tick is a second, unless the topic says otherwise.
    /// let from = Position { tick: 1_800_000_000, slot: 0 };
    /// let mut past = topic.history(author, from..);
    /// while let Some(rumor) = past.next().await {
    ///     let rumor = rumor?;
    ///     println!("{}: {}", rumor.position(), String::from_utf8_lossy(rumor.body()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self, author: PublicKey, positions: impl RangeBounds<Position>) -> History {
        History::new(&self.joined, author, positions)
    }

    /// The rumor of an author at a position, if it is kept and shown. Cancel safe.
    ///
    /// # Errors
    /// If the topic is not kept, the store can't be read, or the node is closed.
    pub async fn get(&self, author: PublicKey, at: Position) -> Result<Option<Rumor>, ReplayError> {
        history::get(&self.joined, author, at).await
    }

    /// How much of what an author has said is kept here, and what of it is missing. Cancel safe.
    ///
    /// # Errors
    /// As [`TopicHandle::get`].
    pub async fn frontier(&self, author: PublicKey) -> Result<Frontier, ReplayError> {
        history::frontier(&self.joined, author).await
    }

    /// Waits until `links` links have said that they have nothing which this node lacks of the topic and may keep, or all has come that they
    /// listed. A link of whose list something did not come is asked again after 15 s. A link may lie: ask for more than may do so. With
    /// fewer links it waits for as long as there are fewer. Cancel safe. [`Wait::within`] limits the wait.
    ///
    /// Links are compared as of a minute ago, in topics of state of 40 s: what is younger comes as any rumor does. Who once had nothing more
    /// counts until it lists something that this node lacks. Rumors of a hold-back topic are shown after its
    /// delay.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use vouchsafe::{Node, Topic};
    /// # async fn f(node: Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let log = node.join(Topic::named("audit").retention_forever()).await?;
    /// // Two of our links may lie.
    /// log.caught_up(3).within(Duration::from_secs(120)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the topic is not kept, or was left over this handle, or the node is closed.
    pub fn caught_up(&self, links: usize) -> Wait {
        let (repaired, now) = (self.repaired(), self.joined.membership.repair.clone());
        let until = async move { repaired.wait_for(|progress| progress.caught_up >= links).await.map(drop) };
        Wait::new("links that have nothing more", links, until, move || now.borrow().caught_up)
    }

    /// How far repair of the topic is: what this node lacks, as far as it knows, and who has nothing more.
    ///
    /// # Errors
    /// As [`TopicHandle::caught_up`].
    pub fn repairing(&self) -> Result<RepairProgress, WaitError> {
        self.repaired().check()?;
        Ok(*self.joined.membership.repair.borrow())
    }

    /// Waits until repair is elsewhere than at `seen`, and says where: for an app that shows progress. Cancel safe.
    ///
    /// ```
    /// # use vouchsafe::{TopicHandle, WaitError};
    /// # async fn f(log: TopicHandle) -> Result<(), WaitError> {
    /// let mut progress = log.repairing()?;
    /// while progress.caught_up == 0 {
    ///     progress = log.repairing_beyond(progress).await?;
    ///     println!("{} bundles came, {} are missing", progress.repaired, progress.claims + progress.holes);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`TopicHandle::caught_up`].
    pub async fn repairing_beyond(&self, seen: RepairProgress) -> Result<RepairProgress, WaitError> {
        self.repaired().wait_for(|progress| *progress != seen).await
    }

    fn repaired(&self) -> Repaired {
        let membership = &self.joined.membership;
        Repaired {
            topic: self.id(),
            is_kept: self.rules().is_kept(),
            end: membership.end.clone(),
            progress: membership.repair.clone(),
        }
    }

    /// Ends what this handle has joined: its clones answer [`PublishError::NotJoined`] from now on, and their subscriptions end
    /// with what was delivered before. If no other join of the topic is left, it is no longer relayed, unless the node was
    /// built with it. Idempotent. Dropping this future before it is done may leave the topic joined: call it again, or drop the handle.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn leave(&self) -> Result<(), Closed> {
        self.node.send(Message::Leave { topic: self.id(), join: self.joined.membership.join }).await
    }

    /// The rules, shared.
    pub(super) fn shared_rules(&self) -> Arc<RuleSet> {
        Arc::clone(&self.joined.rules)
    }

    /// Which join it is a handle of.
    pub(super) fn join_id(&self) -> JoinId {
        self.joined.membership.join
    }

    /// Publishes bodies, and gives the answer to each. When the limit is over, what is not sealed is taken back.
    pub(super) async fn send(
        &self,
        bodies: Vec<Bytes>,
        how: How,
        limit: Option<Duration>,
    ) -> Result<PublishAnswer, PublishError> {
        // A limit that no clock can reach is none.
        let ends = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        let Some((ends, limit)) = ends else {
            return self.ask_in(self.id(), Message::Publish, bodies, how).await?.answer().await;
        };
        // What was not even asked for is not published.
        let asked = timeout_at(ends, self.ask_in(self.id(), Message::Publish, bodies, how)).await;
        let mut waiting = asked.map_err(|_| PublishError::TimedOut(limit))??;
        match timeout_at(ends, waiting.answer()).await {
            Ok(answer) => answer,
            Err(_) => waiting.take_back(&self.node, limit).await,
        }
    }

    /// Publishes bodies in a topic that belongs to this one, and gives the answer to each.
    pub(super) async fn send_in(
        &self,
        topic: TopicId,
        message: impl FnOnce(Publish) -> Message,
        bodies: Vec<Bytes>,
        how: How,
    ) -> Result<PublishAnswer, PublishError> {
        self.ask_in(topic, message, bodies, how).await?.answer().await
    }

    async fn ask_in(
        &self,
        topic: TopicId,
        message: impl FnOnce(Publish) -> Message,
        bodies: Vec<Bytes>,
        how: How,
    ) -> Result<Waiting<'_>, PublishError> {
        let count = bodies.len() as u32;
        let places = if matches!(how, How::Tries) {
            // An error of the semaphore can only mean that no place is free: it is never closed.
            Arc::clone(&self.places).try_acquire_many_owned(count).map_err(|_| PublishError::WouldWait)?
        } else {
            Arc::clone(&self.places).acquire_many_owned(count).await.map_err(|_| PublishError::Closed)?
        };
        let (answer, answered) = oneshot::channel();
        let id = NEXT_REQUEST.fetch_add(1, Ordering::Relaxed);
        let join = self.joined.membership.join;
        let publish = Publish { id, topic, join, bodies, how, places: Some(places), answer };
        self.node.send(message(publish)).await.map_err(|_| PublishError::Closed)?;
        Ok(Waiting::new(id, answered, &self.joined.taken_back))
    }
}

/// How far repair of a topic is, for who waits for it without holding the topic.
struct Repaired {
    topic: TopicId,
    is_kept: bool,
    end: End,
    progress: watch::Receiver<RepairProgress>,
}

impl Repaired {
    async fn wait_for(
        mut self,
        is_far_enough: impl FnMut(&RepairProgress) -> bool,
    ) -> Result<RepairProgress, WaitError> {
        self.check()?;
        // An error means that the join has ended: then the next line says why.
        let progress = self.progress.wait_for(is_far_enough).await.map(|progress| *progress);
        self.check()?;
        Ok(progress.unwrap_or_default())
    }

    /// Whether the topic is repaired, over this handle.
    fn check(&self) -> Result<(), WaitError> {
        if !self.is_kept {
            return Err(WaitError::NotKept(self.topic));
        }
        if self.end.is_set() {
            return Err(WaitError::NotJoined(self.topic));
        }
        self.progress.has_changed().map(drop).map_err(|_| Closed.into())
    }
}
