//! Key-value: what authors say in a topic of state, read as maps.

mod batch;
mod error;
mod snapshot;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::message::{How, Message};
use super::state::{Entry, Values, View};
use super::{Closed, Node, TopicHandle};
use crate::key::PublicKey;
use crate::protocol::PublishError;
use crate::rumor::{Cell, Position, Resolve, Topic};

pub use batch::Batch;
pub use error::{KvError, PutError};
pub use snapshot::Snapshot;
pub use watch::{Change, Watch};

/// The keys of a topic of state ([`Topic::state`]). Each author has a map of its own, which nobody else writes; what a key means that
/// several have written is for the reader to say ([`Kv::shared`]). Cheap to clone. As long as it is there, its topic stays joined.
///
/// ```
/// # use vouchsafe::{Authors, Change, Node, PublicKey, Resolve, Topic};
/// # async fn f(node: Node, friends: Vec<PublicKey>) -> Result<(), Box<dyn std::error::Error>> {
/// let conf = Topic::named("conf").state(1024).authors(Authors::Listed(friends.clone()));
/// let kv = node.kv(conf).await?;
/// kv.put("limits/mail", "100").await?;
/// kv.delete("limits/fax").await?;
/// // All of it, or nothing.
/// kv.batch().put("limits/mail", "200").delete("limits/post").commit().await?;
///
/// // What one author says, and what two of them agree on.
/// println!("{:?}", kv.get(friends[0], "limits/mail"));
/// println!("{:?}", kv.shared("limits/mail", Resolve::Agreed(2)));
///
/// let mut changes = kv.watch("limits/");
/// while let Some(change) = changes.next().await {
///     match change {
///         Change::Put { author, key, value, .. } => println!("{author}: {key:?} is {value:?}"),
///         Change::Delete { author, key, .. } => println!("{author}: {key:?} is deleted"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// What is read here is what this node has committed, our own writes included. All live values of the topic are in memory: at most what it
/// may keep ([`Config::history.topic_bytes`](crate::protocol::Config::history), or the [`reserve`](super::Join::reserve)).
#[derive(Clone, Debug)]
pub struct Kv {
    handle: TopicHandle,
    view: Arc<View>,
}

/// A write that this node has committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Written {
    /// Where: of several cells, where the last one stands.
    pub position: Position,
    /// Another author has a later cell of one of these keys, since its clock is ahead of ours: [`Resolve::Newest`] shows that one, and will
    /// show what we write so much later. `None` if ours is the newest.
    pub behind: Option<Duration>,
}

impl Node {
    /// Joins a topic of state ([`Topic::state`]), and reads what this node keeps of it. To choose how it is kept, or to judge what others
    /// write, join it with [`Node::join`] or [`Node::join_with`], and ask the handle for its [`TopicHandle::kv`].
    ///
    /// # Errors
    /// If it can't be joined, is no topic of state, or the store can't be read.
    pub async fn kv(&self, topic: Topic) -> Result<Kv, KvError> {
        self.join(topic).await?.kv().await
    }
}

impl TopicHandle {
    /// The keys of a topic of state, once what this node keeps of it is read. Cancel safe.
    ///
    /// # Errors
    /// If it is no topic of state, or was left over this handle, or the store can't be read.
    pub async fn kv(&self) -> Result<Kv, KvError> {
        if !self.rules().kind().is_state() {
            return Err(KvError::NoState(self.id()));
        }
        let (answer, answered) = oneshot::channel();
        self.node().send(Message::Kv { rules: self.shared_rules(), join: self.join_id(), answer }).await?;
        let view = answered.await.map_err(|_| Closed)?.ok_or(KvError::NotJoined(self.id()))?;
        view.load().await.map_err(|error| KvError::of(&error))?;
        Ok(Kv { handle: self.clone(), view })
    }
}

impl Kv {
    /// The topic, to wait for links or to leave it.
    pub const fn topic(&self) -> &TopicHandle {
        &self.handle
    }

    /// Gives a key a value: under our own author, whatever others say of it. Waits for no other: with a store on a disk until it is there, with or
    /// without a link to anybody. Concurrent writes share bundles and commits. Dropping the future takes back what is not sealed
    /// yet.
    ///
    /// # Errors
    /// [`PutError`] says what to do.
    pub async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<Written, PutError> {
        self.write(vec![Cell::put(key, value)?]).await
    }

    /// Deletes a key of ours. What others say of it stays.
    ///
    /// # Errors
    /// As [`Kv::put`].
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<Written, PutError> {
        self.write(vec![Cell::delete(key)?]).await
    }

    /// Several writes of which all are done, or none: at most 64, of 16 KiB in all, and no more than the topic has slots in a tick.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    async fn write(&self, cells: Vec<Cell>) -> Result<Written, PutError> {
        let (rules, author) = (self.handle.rules(), self.view.author());
        let keys: Vec<_> = cells.iter().map(|cell| cell.key().clone()).collect();
        let (len, max_keys) = (rules.tick_len(), rules.kind().max_keys().unwrap_or(0));
        // A cell that is dead when it is written: the clock was ahead when we wrote the key before. In a batch the others would count.
        let newest =
            || self.view.read(|values| keys.iter().filter_map(|key| values.position(&author, key)).max());
        if let Some(ahead) = newest().filter(|newest| len.start_of(newest.tick) > self.view.unix_ms()) {
            return Err(PutError::Late { until_ms: len.end_of(ahead.tick) });
        }
        let writing = self.view.writes(keys.clone());
        let Some(_writing) = writing else { return Err(PutError::TooManyKeys { max_keys }) };
        let bodies = cells.iter().map(Cell::encode).collect();
        let mut answers = self.handle.send(bodies, How::Together, None).await?;
        let last = answers.pop().unwrap_or(Err(PublishError::Closed));
        match last {
            Ok(rumor) => {
                let position = rumor.position();
                let behind = self.view.read(|values| {
                    let others = keys.iter().flat_map(|key| values.said(key));
                    others
                        .filter(|said| (said.position, said.author) > (position, author))
                        .map(|said| said.position)
                        .max()
                });
                let behind = behind.map(|ahead| {
                    let ticks = ahead.tick.saturating_sub(position.tick).saturating_add(1);
                    Duration::from_millis(ticks.saturating_mul(len.millis().into()))
                });
                Ok(Written { position, behind })
            }
            // The clock was set back meanwhile.
            Err(PublishError::NotStored(position)) => {
                Err(match newest().filter(|newest| *newest > position) {
                    Some(ahead) => PutError::Late { until_ms: len.end_of(ahead.tick) },
                    None => PutError::Publish(PublishError::NotStored(position)),
                })
            }
            Err(error) => Err(PutError::Publish(error)),
        }
    }

    /// The value that an author has given a key.
    #[must_use]
    pub fn get(&self, author: PublicKey, key: impl AsRef<[u8]>) -> Option<Bytes> {
        self.entry(author, key)?.value
    }

    /// What an author says of a key, and where: `None` if it says nothing.
    #[must_use]
    pub fn entry(&self, author: PublicKey, key: impl AsRef<[u8]>) -> Option<Entry> {
        self.view.read(|values| values.entry(&author, key.as_ref()))
    }

    /// What each author says of a key.
    #[must_use]
    pub fn entries(&self, key: impl AsRef<[u8]>) -> Vec<(PublicKey, Entry)> {
        self.view.read(|values| values.entries(key.as_ref()))
    }

    /// The value of a key that several authors may write, by a rule that the reader chooses. `None` if the rule gives none, or that the key is
    /// deleted. [`Resolve::Agreed`] gives none in a topic that does not name its authors.
    #[must_use]
    pub fn shared(&self, key: impl AsRef<[u8]>, resolve: Resolve) -> Option<Bytes> {
        self.view.read(|values| values.shared(key.as_ref(), resolve))
    }

    /// The keys of an author that begin so and have a value, in order.
    #[must_use]
    pub fn scan(&self, author: PublicKey, prefix: impl AsRef<[u8]>) -> Vec<(Bytes, Bytes)> {
        self.view.read(|values| values.scan(&author, prefix.as_ref()))
    }

    /// The keys that begin so and have a value of some author, in order.
    #[must_use]
    pub fn keys(&self, prefix: impl AsRef<[u8]>) -> Vec<Bytes> {
        self.view.read(|values| values.keys(prefix.as_ref()))
    }

    /// What becomes of keys that begin so, of all authors: first what there is.
    pub fn watch(&self, prefix: impl Into<Bytes>) -> Watch {
        Watch::new(Arc::clone(&self.view), self.handle.clone(), prefix.into())
    }

    /// All values as of now, which stay as they are. It is a copy, without that of the values themselves.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.view.read(Values::clone))
    }
}
