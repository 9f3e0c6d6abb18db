//! Joining a topic.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::error::{Closed, JoinError};
use super::message::{Joining, Message, Validator};
use super::{Node, TopicHandle};
use crate::protocol::Validation;
use crate::protocol::keeping::{Full, KeepOptions};
use crate::rumor::{Rumor, Topic};

/// A topic that is being joined: await it. What it is told before are local choices, no rules of the topic: other nodes need not make
/// the same ones. Of several joins of a topic the last one holds that has said something: what a join does not say stays as it was.
///
/// ```
/// # use std::time::Duration;
/// use vouchsafe::{Full, Node, Topic};
/// # async fn f(node: Node) -> Result<(), vouchsafe::JoinError> {
/// let audit = Topic::named("audit").retention(Duration::from_secs(86_400));
/// let log = node.join(audit).full(Full::Refuse).reserve(1 << 30).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a topic is joined when this is awaited"]
pub struct Join {
    /// What is to be done, until it is begun.
    begins: Option<(Node, Topic, Option<Validator>)>,
    keep: KeepOptions,
    under_way: Option<UnderWay>,
}

type UnderWay = Pin<Box<dyn Future<Output = Result<TopicHandle, JoinError>> + Send>>;

impl std::fmt::Debug for Join {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Join").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl Node {
    /// Joins a topic: from now on its rumors are relayed, and can be read and written through the handle. Joins are counted: each
    /// handle (with its clones and subscriptions) is a join of its own, and the topic is left with the last of them.
    /// Dropping this future joins nothing.
    ///
    /// A topic with a retention of more than 90 s is kept: in the store, if the node has one, else in memory. [`Join`] has what can be
    /// chosen about that.
    ///
    /// # Errors
    /// If the rules are out of range, there are too many topics or too many were left within the last minutes, or the node
    /// is closed.
    pub fn join(&self, topic: Topic) -> Join {
        Join { begins: Some((self.clone(), topic, None)), keep: KeepOptions::default(), under_way: None }
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
    pub fn join_with<F, V>(&self, topic: Topic, validator: V) -> Join
    where
        V: Fn(Rumor) -> F + Send + Sync + 'static,
        F: Future<Output = Validation> + Send + 'static,
    {
        let validator: Validator = Arc::new(move |rumor| Box::pin(validator(rumor)));
        let begins = Some((self.clone(), topic, Some(validator)));
        Join { begins, keep: KeepOptions::default(), under_way: None }
    }
}

impl Join {
    /// What happens when the topic has no room left, if it is kept. By default its oldest rumors go.
    pub fn full(mut self, full: Full) -> Self {
        self.keep.full = Some(full);
        self
    }

    /// Bytes of encoded bundles that the topic may have in any case, if it is kept: at most
    /// [`Config::history.topic_bytes`](crate::protocol::Config::history). By default an equal part of what the node has for all topics.
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.keep.reserve = Some(bytes);
        self
    }

    /// The version of the application's judge. What another version has rejected, and is kept, is judged again. As long as no version is
    /// said, nothing is judged again, and what is rejected counts as rejected by version 0.
    pub fn judged_by(mut self, version: u32) -> Self {
        self.keep.judged_by = Some(version);
        self
    }
}

impl Future for Join {
    type Output = Result<TopicHandle, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((node, topic, validator)) = self.begins.take() {
            self.under_way = Some(Box::pin(join(node, topic, validator, self.keep)));
        }
        match &mut self.under_way {
            Some(under_way) => under_way.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

async fn join(
    node: Node,
    topic: Topic,
    validator: Option<Validator>,
    keep: KeepOptions,
) -> Result<TopicHandle, JoinError> {
    let rules = Arc::new(topic.bind(node.network())?);
    let (answer, joined) = oneshot::channel();
    node.send(Message::Join(Joining { rules, validator, keep, answer })).await?;
    let joined = joined.await.map_err(|_| Closed)??;
    Ok(TopicHandle::new(joined, node))
}
