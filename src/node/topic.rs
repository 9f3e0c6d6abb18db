//! The handle of a joined topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::error::{Closed, JoinError, WaitError};
use super::message::{Joined, Message, Publish, PublishAnswer, Validator};
use super::{Node, Subscription};
use crate::protocol::{PublishError, Validation};
use crate::rumor::{RuleSet, Rumor, RumorId, Topic, TopicId};

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

impl Node {
    /// Joins a topic: from now on its rumors are relayed, and can be read and written through the handle. Joins are counted: each
    /// handle (with its clones and subscriptions) is a join of its own, and the topic is left with the last of them.
    /// Dropping this future joins nothing.
    ///
    /// # Errors
    /// If the rules are out of range, there are too many topics or too many were left within the last minutes, or the node
    /// is closed.
    pub async fn join(&self, topic: Topic) -> Result<TopicHandle, JoinError> {
        self.join_as(topic, None).await
    }

    /// As [`Node::join`], with a judge that sees rumors of others before they are delivered or forwarded. Bundled rumors stand or
    /// fall together: the judge is asked for one after the other (64 at most), until it does not accept one, and all of it may take
    /// [`Config::validators.patience`](crate::protocol::Config::validators), 250 ms, for each rumor. What is not
    /// accepted is neither delivered nor forwarded by this node, and nobody is blamed. What takes longer is asked for again
    /// after a pause, while it can still be delivered, and an event tells of
    /// [`Impairment::ValidatorsSlow`](crate::protocol::Impairment::ValidatorsSlow). Joining again replaces the judge, which
    /// stays until no join of the topic is left. What the node holds already is judged before it is delivered.
    ///
    /// Dropping this future joins nothing, but the validator may have replaced one of an earlier join. The validator's own futures are
    /// dropped where they stand once their time is over.
    ///
    /// # Errors
    /// As [`Node::join`].
    pub async fn join_with<F, V>(&self, topic: Topic, validator: V) -> Result<TopicHandle, JoinError>
    where
        V: Fn(Rumor) -> F + Send + Sync + 'static,
        F: Future<Output = Validation> + Send + 'static,
    {
        let validator: Validator = Arc::new(move |rumor| Box::pin(validator(rumor)));
        self.join_as(topic, Some(validator)).await
    }

    async fn join_as(&self, topic: Topic, validator: Option<Validator>) -> Result<TopicHandle, JoinError> {
        let rules = Arc::new(topic.bind(self.network())?);
        let (answer, joined) = oneshot::channel();
        self.send(Message::Join { rules, validator, answer }).await?;
        let joined = joined.await.map_err(|_| Closed)??;
        Ok(TopicHandle::new(joined, self.clone()))
    }
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

    /// Publishes one rumor: waits for a slot and for room towards at least half of the topic's links, then gives the id.
    /// What waits at the same time shares bundles, so publish concurrently, or with [`TopicHandle::publish_all`], where
    /// throughput matters. Dropping the future takes back what is not sealed yet: then it is not published.
    ///
    /// # Errors
    /// [`PublishError`] says what to do.
    pub async fn publish(&self, body: impl Into<Bytes>) -> Result<RumorId, PublishError> {
        let mut answer = self.send(vec![body.into()], false).await?;
        answer.pop().unwrap_or(Err(PublishError::Closed))
    }

    /// As [`TopicHandle::publish`], but with [`PublishError::WouldWait`] instead of waiting for a slot or for room, and never
    /// waiting for company: each call makes a bundle. [`PublishError::Silent`] says instead until when the author is silent, and
    /// [`PublishError::ClockWrong`] that its clock is. Only the position log is waited for, if there is one: some two seconds' positions are
    /// recorded at a time. From 512 bundles of one rumor a second on, busy nodes make the links pay for them
    /// that bring them, and announce them instead of pushing them: use `publish` for that much. Dropping the future takes back what is
    /// not sealed yet.
    ///
    /// # Errors
    /// [`PublishError`] says what to do.
    pub async fn try_publish(&self, body: impl Into<Bytes>) -> Result<RumorId, PublishError> {
        let mut answer = self.send(vec![body.into()], true).await?;
        answer.pop().unwrap_or(Err(PublishError::Closed))
    }

    /// Publishes many rumors in order, packed into as few bundles as they fit, and gives their ids in order. Waits as
    /// [`TopicHandle::publish`] does. Dropping the future takes back what is not sealed yet: an unknown number of bodies, from the
    /// first on, is published then.
    ///
    /// # Errors
    /// The first error. Each body stands for itself, so others before and after it may have been published: where that
    /// matters, call [`TopicHandle::publish`] for each, at the same time.
    pub async fn publish_all(
        &self,
        bodies: impl IntoIterator<Item = Bytes>,
    ) -> Result<Vec<RumorId>, PublishError> {
        let mut ids = Vec::new();
        let mut bodies = bodies.into_iter().peekable();
        while bodies.peek().is_some() {
            let some: Vec<_> = bodies.by_ref().take(PLACES / 4).collect();
            for result in self.send(some, false).await? {
                ids.push(result?);
            }
        }
        Ok(ids)
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

    async fn send(&self, bodies: Vec<Bytes>, try_only: bool) -> Result<PublishAnswer, PublishError> {
        let count = bodies.len() as u32;
        let places = if try_only {
            // An error of the semaphore can only mean that no place is free: it is never closed.
            Arc::clone(&self.places).try_acquire_many_owned(count).map_err(|_| PublishError::WouldWait)?
        } else {
            Arc::clone(&self.places).acquire_many_owned(count).await.map_err(|_| PublishError::Closed)?
        };
        let (answer, answered) = oneshot::channel();
        let id = NEXT_REQUEST.fetch_add(1, Ordering::Relaxed);
        let (topic, join) = (self.id(), self.joined.membership.join);
        let publish = Publish { id, topic, join, bodies, try_only, places: Some(places), answer };
        self.node.send(Message::Publish(publish)).await.map_err(|_| PublishError::Closed)?;
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
