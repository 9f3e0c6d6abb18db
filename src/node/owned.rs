//! Topics that have an owner: who may speak in them, and how the owner says that.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use super::TopicHandle;
use super::actor::Actor;
use super::error::Closed;
use super::message::{How, Message, Publish};
use crate::key::PublicKey;
use crate::protocol::{Input, PublishError};
use crate::rumor::{MAX_OWNED_AUTHORS, Position, TopicId, authors_body};

/// Why the authors of a topic are not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetAuthorsError {
    /// The rules of the topic name no owner.
    #[error("topic {0} has no owner: make it with `Authors::Owned`")]
    NotOwned(TopicId),
    /// Somebody else is the owner.
    #[error(
        "this topic is owned by {owner}, and this node writes as {author}: only the owner says who may speak"
    )]
    NotOwner {
        /// The owner.
        owner: PublicKey,
        /// The author key of this node.
        author: PublicKey,
    },
    /// There are too many.
    #[error("a list names {MAX_OWNED_AUTHORS} authors beside the owner at most, not {0}")]
    TooMany(usize),
    /// It can't be published, or not be kept.
    #[error(transparent)]
    NotPublished(#[from] PublishError),
}

impl TopicHandle {
    /// Says who may speak in the topic from now on, beside the owner, which this node must be ([`Authors::Owned`](crate::Authors::Owned)). It
    /// takes the place of what was said before, and others come to know it as any value of a topic of state: at once, or by repair. Gives the
    /// position that it stands at; of several lists the one at the latest counts, everywhere. It waits as [`TopicHandle::publish`] does, and
    /// needs no link. At most four lists a second.
    ///
    /// What somebody has said before it was taken off stays where it is kept. What it says later is refused where the list is known.
    ///
    /// Dropping the future takes back what is not sealed yet.
    ///
    /// ```
    /// # async fn f(node: vouchsafe::Node, friend: vouchsafe::PublicKey) -> Result<(), Box<dyn std::error::Error>> {
    /// use vouchsafe::{Authors, Topic};
    /// let board = node.join(Topic::named("board").authors(Authors::Owned(node.author()))).await?;
    /// board.set_authors([friend]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the topic has no owner, this node is not the owner, there are more than [`MAX_OWNED_AUTHORS`](crate::rumor::MAX_OWNED_AUTHORS), or as
    /// [`TopicHandle::publish`].
    pub async fn set_authors(
        &self,
        authors: impl IntoIterator<Item = PublicKey>,
    ) -> Result<Position, SetAuthorsError> {
        let of = self.id();
        let (owner, list) =
            self.rules().owner().zip(self.rules().authors_topic()).ok_or(SetAuthorsError::NotOwned(of))?;
        let author = self.node().author();
        if author != owner {
            return Err(SetAuthorsError::NotOwner { owner, author });
        }
        let listed: BTreeSet<_> = authors.into_iter().filter(|author| *author != owner).collect();
        let body = authors_body(&listed).ok_or(SetAuthorsError::TooMany(listed.len()))?;
        let message = |publish| Message::SetAuthors { of, publish };
        let mut answer = self.send_in(list.id(), message, vec![body], How::Waits { kept: true }).await?;
        let said = answer.pop().unwrap_or(Err(PublishError::Closed))?;
        Ok(said.position())
    }

    /// Who may speak in the topic, as far as this node knows now: `None` if anybody may. Of a topic that has an owner, the owner and whom it
    /// has listed; nobody if the owner was convicted, or the topic was left. Others may know another list for a moment. Cancel safe.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn authors(&self) -> Result<Option<BTreeSet<PublicKey>>, Closed> {
        if self.rules().owner().is_none() {
            return Ok(self.rules().listed().map(|keys| keys.iter().copied().collect()));
        }
        let (answer, authors) = oneshot::channel();
        self.node().send(Message::Authors { topic: self.id(), answer }).await?;
        Ok(Some(authors.await.map_err(|_| Closed)?.unwrap_or_default()))
    }
}

impl Actor {
    /// The list of a topic is published over the joins of that topic.
    pub(super) fn on_set_authors(&mut self, of: TopicId, publish: Publish) {
        if publish.answer.is_closed() {
            // Taken back before we came to it.
            return;
        }
        let (topic, join) = (publish.topic, publish.join);
        let is_joined = self.topics.get(&of).is_some_and(|port| port.has(join));
        for (publish_id, body) in self.requests.begin(publish) {
            if is_joined {
                self.handle(Input::Publish { topic, body, publish_id, kept: true });
            } else {
                self.requests.settle(publish_id, Err(PublishError::NotJoined(of)));
            }
        }
    }
}
