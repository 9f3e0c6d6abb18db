//! Waiting for what becomes of a publish request.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Node;
use super::message::{Message, PublishAnswer};
use crate::protocol::PublishError;
use crate::rumor::Rumor;

/// Waits for the answer to a publish request, and takes the request back if it is dropped before.
pub(super) struct Waiting<'a> {
    id: u64,
    answered: oneshot::Receiver<PublishAnswer>,
    ended: bool,
    taken_back: &'a mpsc::UnboundedSender<u64>,
}

impl<'a> Waiting<'a> {
    /// For this request, whose answer comes here.
    pub(super) const fn new(
        id: u64,
        answered: oneshot::Receiver<PublishAnswer>,
        taken_back: &'a mpsc::UnboundedSender<u64>,
    ) -> Self {
        Self { id, answered, ended: false, taken_back }
    }

    /// The answer. Cancel safe.
    pub(super) async fn answer(&mut self) -> Result<PublishAnswer, PublishError> {
        let answer = (&mut self.answered).await;
        self.ended = true;
        answer.map_err(|_| PublishError::Closed)
    }

    /// Takes the request back, and says what has become of it.
    pub(super) async fn take_back(
        mut self,
        node: &Node,
        limit: Duration,
    ) -> Result<PublishAnswer, PublishError> {
        let (told, heard) = oneshot::channel();
        let ask = async {
            // If the node ends, the answer says so, or what has become of the rumor before.
            if node.send(Message::TakeBack { request: self.id, told }).await.is_err() || heard.await.is_err()
            {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            answer = &mut self.answered => {
                self.ended = true;
                answer.map(|answer| in_time(answer, limit)).map_err(|_| PublishError::Closed)
            }
            () = ask => {
                self.ended = true;
                // All that could be taken back is answered by now, if only just.
                if let Ok(answer) = self.answered.try_recv() {
                    return Ok(in_time(answer, limit));
                }
                Err(PublishError::Unconfirmed(limit))
            }
        }
    }
}

/// What was withdrawn was not published in time. (Who waits is told in no other case that it would have to wait.)
fn in_time(answer: PublishAnswer, limit: Duration) -> PublishAnswer {
    let late = |result: Result<Rumor, PublishError>| match result {
        Err(PublishError::WouldWait) => Err(PublishError::TimedOut(limit)),
        result => result,
    };
    answer.into_iter().map(late).collect()
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
