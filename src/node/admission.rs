//! Who may link to a node and is shown as a member: what an application changes of it while the node runs.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Node;
use super::actor::Actor;
use super::error::Closed;
use super::message::{AdmissionAnswer, Message};
use crate::key::PublicKey;
use crate::protocol::{AdmissionChange, AdmissionOutcome, AdmissionRefusal, Input};

/// Why nothing was changed of who may link to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The node does not change it.
    #[error(transparent)]
    Refused(#[from] AdmissionRefusal),
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Who may link to this node is its own decision: nobody is told of it but the peers that are refused, and no other node heeds it. It says
/// nothing of what keys say in topics: there the rules of the topic decide ([`Authors`](crate::Authors)).
impl Node {
    /// Lets a node key link to this node, and be a member here: ends its expulsion, and puts it on the allow-list, if the node has one
    /// ([`Builder::allow`](super::Builder::allow)). Where it has none and the key is not expelled, there is nothing to do, and
    /// [`AdmissionOutcome::Open`] says so. It dials nobody: that is [`Node::connect`]. What others hold of the member is heard within some
    /// seconds, and without a link to it within a minute or two.
    ///
    /// Dropping this future before it is done may leave the key admitted or not: call it again.
    ///
    /// # Errors
    /// If the allow-list has 65 536 keys already, or the node is closed.
    pub async fn admit(&self, key: PublicKey) -> Result<AdmissionOutcome, AdmissionError> {
        self.change_admission(AdmissionChange::Admit(key)).await
    }

    /// Takes a node key off the allow-list: its links are closed with [`Reason::NotAdmitted`](crate::Reason::NotAdmitted), further ones are
    /// refused, and it is shown as a member no more. True if it was on the list. The last key may go too: then nobody links.
    ///
    /// Dropping this future before it is done may leave the key on the list: call it again.
    ///
    /// # Errors
    /// If the node has no allow-list, so that [`Node::expel`] is what keeps a key out, or is closed.
    pub async fn disallow(&self, key: PublicKey) -> Result<bool, AdmissionError> {
        let outcome = self.change_admission(AdmissionChange::Disallow(key)).await?;
        Ok(outcome == AdmissionOutcome::Changed)
    }

    /// Keeps a node key out for a while: its links are closed with [`Reason::Expelled`](crate::Reason::Expelled), further ones are refused,
    /// dialled by either side, and it is shown as a member no more ([`MemberEvent::Removed`](crate::MemberEvent::Removed)). Its signs of life are
    /// not passed on by this node. It ends by itself, or with [`Node::admit`]; of several calls for one key the last one's time holds. What
    /// this node keeps a link to ([`Node::connect`]) is dialled again after that. A restart ends all of it.
    ///
    /// It answers when that is so: no frame that comes later over the links of the key counts. [`NodeStats::expelled`](super::NodeStats::expelled) lists who is.
    ///
    /// Dropping this future before it is done may leave the key expelled or not: call it again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn f(node: vouchsafe::Node, key: vouchsafe::PublicKey) -> Result<(), vouchsafe::AdmissionError> {
    /// node.expel(key, Duration::from_secs(3_600)).await?;
    /// // On second thoughts:
    /// node.admit(key).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If 4 096 keys are expelled already, it is the node's own key, or the node is closed.
    pub async fn expel(&self, key: PublicKey, lasts: Duration) -> Result<(), AdmissionError> {
        self.change_admission(AdmissionChange::Expel { key, lasts }).await.map(drop)
    }

    /// The node keys on the allow-list, those included that are expelled for now; `None` if the node has no list and admits all keys. Cancel
    /// safe.
    ///
    /// # Errors
    /// If the node is closed.
    pub async fn allowed(&self) -> Result<Option<BTreeSet<PublicKey>>, Closed> {
        let (answer, allowed) = oneshot::channel();
        self.send(Message::Allowed(answer)).await?;
        Ok(allowed.await.map_err(|_| Closed)?.map(|keys| keys.into_iter().collect()))
    }

    async fn change_admission(&self, change: AdmissionChange) -> Result<AdmissionOutcome, AdmissionError> {
        let (answer, changed) = oneshot::channel();
        self.send(Message::Admission { change, answer }).await?;
        Ok(changed.await.map_err(|_| Closed)??)
    }
}

impl Actor {
    pub(super) fn on_admission(&mut self, change: AdmissionChange, answer: AdmissionAnswer) {
        let key = change.key();
        self.admissions.push_back(answer);
        self.handle(Input::Admission(change));
        // Its links are closed by the engine, which knows of no stream.
        if let Some(reason) = self.parts.engine.bars(&key) {
            self.parts.endpoint.streams().hang_up(&key, reason.code(), &reason.to_string());
        }
    }

    pub(super) fn on_admission_changed(&mut self, result: Result<AdmissionOutcome, AdmissionRefusal>) {
        if let Some(answer) = self.admissions.pop_front() {
            // Whoever asked may have gone; it is changed all the same.
            let _ = answer.send(result);
        }
    }
}
