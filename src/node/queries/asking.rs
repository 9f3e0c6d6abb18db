//! Asking all who take questions.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::accepting::accept;
use super::envelope::{self, ENVELOPE};
use super::error::QueryError;
use super::questions::{MAX_QUESTION, MAX_WITHIN, beside};
use crate::node::TopicHandle;
use crate::node::asked::{Answers, QuestionId};
use crate::node::error::Closed;
use crate::node::streams::ProtocolError;
use crate::protocol::PublishError;

/// Time for answers, unless it is said.
const WITHIN: Duration = Duration::from_secs(5);
/// Answers that are wanted, unless it is said: as many as there are in most networks.
const ANSWERS: usize = 1024;
/// Bytes of them.
const BYTES: usize = 1024 * 1024;

/// A question to all who take the questions of a topic: await it. What it is told before limits the answers.
///
/// ```
/// # use std::time::Duration;
/// # async fn f(ops: vouchsafe::TopicHandle) -> Result<(), vouchsafe::QueryError> {
/// let mut answers = ops.query("load?").within(Duration::from_secs(2)).most(100).await?;
/// while let Some(answer) = answers.next().await {
///     println!("{}: {}", answer.from.short(), String::from_utf8_lossy(&answer.body));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a question is asked when this is awaited"]
pub struct Query<'a> {
    topic: &'a TopicHandle,
    question: Bytes,
    within: Duration,
    most: usize,
    bytes: usize,
}

impl TopicHandle {
    /// Asks all who take [questions](TopicHandle::questions) of this topic. Their answers go straight to this node, not through the gossip.
    /// Heard are members that this node shows as here when it asks, each once.
    ///
    /// The question itself is a rumor, in a topic beside this one that only those who ask or answer have joined. It has the same authors,
    /// and nobody keeps it. It counts as one of the topics of a node. Dropping the future before it is done may leave the question asked;
    /// whoever answers is told that nobody waits.
    pub fn query(&self, question: impl Into<Bytes>) -> Query<'_> {
        Query { topic: self, question: question.into(), within: WITHIN, most: ANSWERS, bytes: BYTES }
    }
}

impl Query<'_> {
    /// How long answers are waited for: 1 ms to 10 min. Default 5 s.
    pub const fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// How many answers are wanted. Who answers later is told that there are enough. Default 1 024.
    pub const fn most(mut self, answers: usize) -> Self {
        self.most = answers;
        self
    }

    /// How many bytes of answers are wanted, all together. Each member that is here has an equal share, so that nobody crowds others out; a
    /// longer answer is refused. Default 1 MiB.
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    async fn ask(self) -> Result<Answers, QueryError> {
        if !(Duration::from_millis(1)..=MAX_WITHIN).contains(&self.within) {
            return Err(QueryError::Within(self.within));
        }
        let most = MAX_QUESTION.min(self.topic.rules().max_body() as usize);
        if self.question.len() > most {
            return Err(QueryError::TooLong { len: self.question.len(), most });
        }
        let node = self.topic.node();
        let members = node.members().await?;
        // Its own beacon is where others look.
        if members.get(&node.id()).is_none_or(|own| own.addresses.is_empty()) {
            return Err(QueryError::NoAddress);
        }
        let others = members.into_values().filter(|member| member.state.is_here() && member.key != node.id());
        let others: HashSet<_> = others.map(|member| member.key).collect();
        let speaker = node.speaker();
        match node.accept_answers() {
            Ok(acceptor) => drop(tokio::spawn(accept(speaker.asked().clone(), acceptor))),
            Err(ProtocolError::Closed(closed)) => return Err(closed.into()),
            // Somebody has asked before.
            Err(_) => {}
        }
        let questions = beside(self.topic).await?;
        let mut id: QuestionId = [0; 16];
        getrandom::fill(&mut id).map_err(|_| Closed)?;
        let (topic, author) = (questions.id(), node.author());
        let body = envelope::seal(speaker.key(), (&topic, &author), &id, self.within, &self.question);
        debug_assert_eq!(body.len(), ENVELOPE + self.question.len());
        let opened = speaker.asked().open(id, others, self.most, self.bytes, Instant::now() + self.within);
        let answers = opened.ok_or(QueryError::TooMany)?;
        match questions.publish_unsynced(body).within(self.within).await {
            // The time for answers begins when it is said.
            Ok(_) => Ok(answers.begins(self.within)),
            Err(PublishError::NotRelayed { links }) => Err(QueryError::Nobody { links }),
            Err(PublishError::NoLink) => Err(QueryError::Nobody { links: 0 }),
            Err(error) => Err(error.into()),
        }
    }
}

impl<'a> IntoFuture for Query<'a> {
    type Output = Result<Answers, QueryError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}
