//! Who is here, as an application asks for it.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::error::{Closed, DescribeError};
use super::message::Message;
use super::wait::Wait;
use super::{MemberEvents, Node};
use crate::key::PublicKey;
use crate::protocol::{Explanation, Member};
use crate::rumor::MAX_METADATA;

impl Node {
    /// The members of the network that this node knows, itself among them, each with its state; none if it was built
    /// [without](super::Builder::without_members). Cancel safe.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn members(&self) -> Result<BTreeMap<PublicKey, Member>, Closed> {
        let (answer, members) = oneshot::channel();
        self.send(Message::Members(answer)).await?;
        let members = members.await.map_err(|_| Closed)?;
        Ok(members.into_iter().map(|member| (member.key, member)).collect())
    }

    /// One member, if it is known. Cancel safe.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn member(&self, key: &PublicKey) -> Result<Option<Member>, Closed> {
        let (answer, member) = oneshot::channel();
        self.send(Message::Member { key: *key, answer }).await?;
        member.await.map_err(|_| Closed)
    }

    /// What is behind what is shown of a member, for anybody to check offline; `None` if it is not known. Cancel safe.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn explain(&self, key: &PublicKey) -> Result<Option<Explanation>, Closed> {
        let (answer, explanation) = oneshot::channel();
        self.send(Message::Explain { key: *key, answer }).await?;
        explanation.await.map_err(|_| Closed)
    }

    /// What happens to members from now on.
    pub fn member_events(&self) -> MemberEvents {
        MemberEvents::of(&self.member_readers().events)
    }

    /// Waits until at least so many members are here, this node among them: alive, or stale. Cancel safe. [`Wait::within`] limits the wait.
    ///
    /// # Errors
    /// If the node is closed first.
    pub fn wait_for_members(&self, members: usize) -> Wait {
        let mut count = self.member_readers().here.clone();
        let now = count.clone();
        let until = async move {
            count.wait_for(|count| *count >= members).await.map(drop).map_err(|_| Closed.into())
        };
        Wait::new("members", members, until, move || *now.borrow())
    }

    /// Says something else of this node to all members, instead of what it said before: at most 512 bytes. Nodes that join later hear it
    /// too. Others pass four of these on at once, and after that one a minute, the last: what comes faster is known here only, for so long.
    ///
    /// # Errors
    /// If it is too long, or the node is closed.
    pub async fn set_metadata(&self, metadata: impl Into<Bytes>) -> Result<(), DescribeError> {
        let metadata = metadata.into();
        if metadata.len() > MAX_METADATA {
            return Err(DescribeError::TooLong(metadata.len()));
        }
        Ok(self.send(Message::Describe(metadata)).await?)
    }

    /// Says to all members that this node leaves. It goes on hearing and speaking; [`Node::shutdown`] does both.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn leave(&self) -> Result<(), Closed> {
        self.send(Message::LeaveNetwork).await
    }
}
