//! The handle of a joined topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::handle::Closed;
use super::message::{Joined, Message, Publish, PublishAnswer};
use super::{Node, Subscription};
use crate::protocol::PublishError;
use crate::rumor::{RuleError, RuleSet, RumorId, TopicId};

/// Bodies of one handle that may wait to be sealed; further publishers wait for a place. 16 bundles.
const PLACES: usize = 1024;

static NEXT_REQUEST: AtomicU64 = AtomicU64::new(0);

/// A joined topic: publish, subscribe. Cheap to clone.
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

    /// The topic's rumors from now on, our own included.
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(&self.joined.rumors, &self.joined.delivered)
    }

    /// Waits until at least `links` links relay this topic.
    ///
    /// # Errors
    /// If the node is closed, or the topic left, first.
    pub async fn ready(&self, links: usize) -> Result<(), Closed> {
        let mut count = self.joined.links.clone();
        count.wait_for(|count| *count >= links).await.map(|_| ()).map_err(|_| Closed)
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
    /// [`PublishError::ClockWrong`] that its clock is. Only the ledger is waited for, if there is one: some two seconds' positions are
    /// recorded at a time. From 512 bundles of one rumor a second on, busy nodes make the links pay for them
    /// that bring them, and announce them instead of pushing them: use `publish` for that much.
    ///
    /// # Errors
    /// [`PublishError`] says what to do.
    pub async fn try_publish(&self, body: impl Into<Bytes>) -> Result<RumorId, PublishError> {
        let mut answer = self.send(vec![body.into()], true).await?;
        answer.pop().unwrap_or(Err(PublishError::Closed))
    }

    /// Publishes many rumors in order, packed into as few bundles as they fit, and gives their ids in order. Waits as
    /// [`TopicHandle::publish`] does.
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

    /// Leaves the topic: it is no longer relayed, and its subscriptions end.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn leave(&self) -> Result<(), Closed> {
        self.node.send(Message::Leave(self.id())).await
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
        let publish = Publish { id, topic: self.id(), bodies, try_only, places: Some(places), answer };
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

/// Why a topic could not be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The rules are out of range.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The node relays as many topics as it may.
    #[error("the node already relays {max} topics, the most there may be: leave one first", max = crate::protocol::MAX_TOPICS)]
    TooMany,
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}
