//! Publishing one rumor, with or without a limit.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::message::How;
use super::published::Published;
use super::topic::TopicHandle;
use crate::protocol::PublishError;

/// A rumor that is being published: await it. [`Publishing::within`] says for how long.
///
/// Dropping it takes back what is not sealed yet: then it is not published. Nothing is done before it is awaited.
///
/// ```
/// # use std::time::Duration;
/// # use vouchsafe::{PublishError, TopicHandle};
/// # async fn f(topic: TopicHandle) -> Result<(), PublishError> {
/// match topic.publish("hello").within(Duration::from_secs(2)).await {
///     Ok(published) => println!("{} at {}", published.id(), published.position()),
///     // Nobody will hear it.
///     Err(PublishError::TimedOut(limit)) => println!("not within {limit:?}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a rumor is published when this is awaited"]
pub struct Publishing<'a> {
    /// What is to be done, until it is begun.
    begins: Option<(&'a TopicHandle, Result<Bytes, PublishError>, How)>,
    limit: Option<Duration>,
    under_way: Option<UnderWay<'a>>,
}

type UnderWay<'a> = Pin<Box<dyn Future<Output = Result<Published, PublishError>> + Send + 'a>>;

impl std::fmt::Debug for Publishing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publishing").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl TopicHandle {
    /// Publishes one rumor: waits for a slot and for room towards at least half of the topic's links, then gives its id, its position and
    /// what proves it. In a topic that is kept for more than 90 s, at a node with a store ([`Builder::store`](super::Builder::store)), it
    /// also waits until the rumor is on the disk: then it survives a loss of power. What waits at the same time shares bundles and
    /// commits, so publish concurrently, or with [`TopicHandle::publish_all`], where throughput matters. Dropping the future takes back
    /// what is not sealed yet: then it is not published. [`Publishing::within`] limits the wait.
    ///
    /// # Errors
    /// [`PublishError`] says what to do. After [`PublishError::NotStored`] it is published all the same.
    pub fn publish(&self, body: impl Into<Bytes>) -> Publishing<'_> {
        Publishing::new(self, Ok(body.into()), How::Waits { kept: true })
    }

    /// As [`TopicHandle::publish`], but does not wait for the disk: the rumor is kept with the next commit, within a second. What is
    /// published so shortly before a crash may be missing from this node's store; others have it.
    ///
    /// # Errors
    /// [`PublishError`] says what to do.
    pub fn publish_unsynced(&self, body: impl Into<Bytes>) -> Publishing<'_> {
        Publishing::new(self, Ok(body.into()), How::Waits { kept: false })
    }
}

impl<'a> Publishing<'a> {
    pub(super) fn new(handle: &'a TopicHandle, body: Result<Bytes, PublishError>, how: How) -> Self {
        Self { begins: Some((handle, body, how)), limit: None, under_way: None }
    }

    /// Waits no longer than this, from when it is first polled. Then what is not sealed is taken back, as dropping the future does, and
    /// the error says what has become of it: [`PublishError::TimedOut`] that it is not published, and [`PublishError::Unconfirmed`] that it
    /// is, and not on the disk yet. (A node that is being shut down may answer some seconds later.)
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl Future for Publishing<'_> {
    type Output = Result<Published, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((handle, body, how)) = self.begins.take() {
            self.under_way = Some(Box::pin(publish(handle, body, how, self.limit)));
        }
        match &mut self.under_way {
            Some(under_way) => under_way.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

async fn publish(
    handle: &TopicHandle,
    body: Result<Bytes, PublishError>,
    how: How,
    limit: Option<Duration>,
) -> Result<Published, PublishError> {
    let answer = handle.send(vec![body?], how, limit).await?.pop();
    answer.unwrap_or(Err(PublishError::Closed)).map(Published::new)
}
