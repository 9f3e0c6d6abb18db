//! The handle of a joined topic.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::error::{Closed, WaitError};
use super::history::{self, History};
use super::membership::JoinId;
use super::message::{How, Joined, Message, Publish, PublishAnswer};
use super::published::Published;
use super::replay::{Replay, ReplayError};
use super::{Cursor, Node, Subscription};
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
#[derive(Clone, Debug)]
pub struct TopicHandle {
    joined: Joined,
    node: Node,
    places: Arc<Semaphore>,
}

impl TopicHandle {
    pub(super) fn new(joined: Joined, node: Node) -> Self {
        Self { joined, node, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// The id that commits to the topic's rules.
    pub fn id(&self) -> TopicId {
        self.joined.rules.id()
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
        Subscription::new(&self.joined)
    }

    /// Waits until at least `links` links relay this topic. Cancel safe.
    ///
    /// # Errors
    /// If the node is closed, or the topic left over this handle, first.
    pub async fn wait_for_links(&self, links: usize) -> Result<(), WaitError> {
        let mut count = self.joined.membership.links.clone();
        let enough = count.wait_for(|count| *count >= links).await.map(drop);
        if self.has_left() {
            return Err(WaitError::NotJoined(self.id()));
        }
        enough.map_err(|_| Closed.into())
    }

    fn has_left(&self) -> bool {
        self.joined.membership.end.is_set()
    }

    /// Publishes one rumor: waits for a slot and for room towards at least half of the topic's links, then gives its id, its position and
    /// what proves it. In a topic that is kept for more than 90 s, at a node with a store ([`Builder::store`](super::Builder::store)), it
    /// also waits until the rumor is on the disk: then it survives a loss of power. What waits at the same time shares bundles and
    /// commits, so publish concurrently, or with [`TopicHandle::publish_all`], where throughput matters. Dropping the future takes back
    /// what is not sealed yet: then it is not published.
    ///
    /// # Errors
    /// [`PublishError`] says what to do. After [`PublishError::NotStored`] it is published all the same.
    pub async fn publish(&self, body: impl Into<Bytes>) -> Result<Published, PublishError> {
        self.publish_one(body.into(), How::Waits { kept: true }).await
    }

    /// As [`TopicHandle::publish`], but does not wait for the disk: the rumor is kept with the next commit, within a second. What is
    /// published so shortly before a crash may be missing from this node's store; others have it.
    ///
    /// # Errors
    /// [`PublishError`] says what to do.
    pub async fn publish_unsynced(&self, body: impl Into<Bytes>) -> Result<Published, PublishError> {
        self.publish_one(body.into(), How::Waits { kept: false }).await
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
        self.publish_one(body.into(), How::Tries).await
    }

    async fn publish_one(&self, body: Bytes, how: How) -> Result<Published, PublishError> {
        let answer = self.send(vec![body], how).await?.pop().unwrap_or(Err(PublishError::Closed));
        answer.map(Published::new)
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
            for result in self.send(some, How::Waits { kept: true }).await? {
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

    /// Waits until `links` links have said that they have nothing which this node lacks of the topic and may keep. A link that has something
    /// is asked again when it was brought, so this takes some 20 s after an absence. A link may lie: ask for more than may do so. With
    /// fewer links it waits for as long as there are fewer. Cancel safe.
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
    /// tokio::time::timeout(Duration::from_secs(120), log.caught_up(3)).await??;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the topic is not kept, or was left over this handle, or the node is closed.
    pub async fn caught_up(&self, links: usize) -> Result<(), WaitError> {
        self.wait_for_repair(|progress| progress.caught_up >= links).await.map(drop)
    }

    /// How far repair of the topic is: what this node lacks, as far as it knows, and who has nothing more.
    ///
    /// # Errors
    /// As [`TopicHandle::caught_up`].
    pub fn repairing(&self) -> Result<RepairProgress, WaitError> {
        self.check_repaired()?;
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
        self.wait_for_repair(|progress| *progress != seen).await
    }

    async fn wait_for_repair(
        &self,
        is_far_enough: impl FnMut(&RepairProgress) -> bool,
    ) -> Result<RepairProgress, WaitError> {
        self.check_repaired()?;
        let mut repair = self.joined.membership.repair.clone();
        // An error means that the join has ended: then the next line says why.
        let progress = repair.wait_for(is_far_enough).await.map(|progress| *progress).unwrap_or_default();
        self.check_repaired()?;
        Ok(progress)
    }

    /// Whether the topic is repaired, over this handle.
    fn check_repaired(&self) -> Result<(), WaitError> {
        if !self.rules().is_kept() {
            return Err(WaitError::NotKept(self.id()));
        }
        if self.has_left() {
            return Err(WaitError::NotJoined(self.id()));
        }
        self.joined.membership.repair.has_changed().map(drop).map_err(|_| Closed.into())
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

    /// Publishes bodies, and gives the answer to each.
    pub(super) async fn send(&self, bodies: Vec<Bytes>, how: How) -> Result<PublishAnswer, PublishError> {
        self.send_in(self.id(), Message::Publish, bodies, how).await
    }

    /// The same, in this topic or in one that belongs to it.
    pub(super) async fn send_in(
        &self,
        topic: TopicId,
        message: impl FnOnce(Publish) -> Message,
        bodies: Vec<Bytes>,
        how: How,
    ) -> Result<PublishAnswer, PublishError> {
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
        let mut waiting = Waiting { id, answered, ended: false, taken_back: &self.joined.taken_back };
        let answer = (&mut waiting.answered).await;
        waiting.ended = true;
        answer.map_err(|_| PublishError::Closed)
    }
}

/// Waits for the answer to a publish request, and takes the request back if it is dropped before.
struct Waiting<'a> {
    id: u64,
    answered: oneshot::Receiver<PublishAnswer>,
    ended: bool,
    taken_back: &'a mpsc::UnboundedSender<u64>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // In this order: the node may come to the request only now, and must see that nobody waits for it.
        self.answered.close();
        // An error means that the node is gone.
        let _ = self.taken_back.send(self.id);
    }
}
