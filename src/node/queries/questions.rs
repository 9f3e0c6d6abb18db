//! Taking questions, and answering them.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::accepting::MAX_ANSWER;
use super::envelope::{self, ENVELOPE, Envelope};
use super::error::AnswerError;
use crate::key::PublicKey;
use crate::node::asked::{QuestionId, verdict};
use crate::node::error::JoinError;
use crate::node::streams::{AskError, OpenError};
use crate::node::{Gap, Node, Subscription, TopicHandle, TryRecvError};
use crate::rumor::{Authors, RuleSet, Topic};

/// Bytes of a question.
pub(super) const MAX_QUESTION: usize = 32 * 1024;
/// The longest time for answers that an asker may give.
pub(super) const MAX_WITHIN: Duration = Duration::from_secs(600);
/// How long one attempt to answer may take: an asker that takes an answer and says nothing to it holds up no more.
const TELLING: Duration = Duration::from_secs(10);
/// The pause before an answer is tried again, at first; each is twice as long as the last, up to [`TELLING`]. The asker may hear many at once.
const PAUSE: Duration = Duration::from_millis(50);

/// The questions of a topic. Nothing of it is stored, and late ones do not come.
#[derive(Debug)]
pub struct Questions {
    of: TopicHandle,
    /// The one beside it.
    topic: TopicHandle,
    rumors: Subscription,
    /// One that is not judged yet.
    next: Option<(PublicKey, Envelope, Instant)>,
    ignored: u64,
}

/// A question of another node, to be answered or not.
#[derive(Debug)]
#[must_use = "who asked waits for an answer"]
pub struct Question {
    node: Node,
    pub(super) id: QuestionId,
    /// The key that has signed the question.
    author: PublicKey,
    asker: PublicKey,
    body: Bytes,
    deadline: Instant,
}

impl TopicHandle {
    /// Takes the questions that others [ask](TopicHandle::query) in this topic from now on. Joins the topic beside it in which they are
    /// said, until this is dropped and no handle of this join asks any more.
    ///
    /// ```
    /// # async fn f(ops: vouchsafe::TopicHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut questions = ops.questions().await?;
    /// while let Some(question) = questions.next().await {
    ///     if let Ok(question) = question {
    ///         // In a task of its own, and whether the asker has it is its own matter.
    ///         tokio::spawn(async move { question.answer(b"0.3").await });
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Node::join`](crate::Node::join).
    pub async fn questions(&self) -> Result<Questions, JoinError> {
        let topic = beside(self).await?.clone();
        let mut rumors = topic.subscribe().without_own();
        // What was said before waits for the first reader of a topic, and is asked no more. It has come when another join is answered.
        drop(self.node().join(topic_beside(self.rules())).await?);
        while !matches!(rumors.try_recv(), Err(TryRecvError::Empty | TryRecvError::Ended)) {}
        Ok(Questions { of: self.clone(), topic, rumors, next: None, ignored: 0 })
    }
}

/// Whether the owner of a topic, if it has one, lists an author.
async fn may_ask(of: &TopicHandle, author: &PublicKey) -> bool {
    if of.rules().owner().is_none() {
        return true;
    }
    matches!(of.authors().await, Ok(Some(listed)) if listed.contains(author))
}

/// The topic beside a topic in which its questions are said, joined.
pub(super) async fn beside(of: &TopicHandle) -> Result<&TopicHandle, JoinError> {
    of.beside().get_or_try_init(|| of.node().join(topic_beside(of.rules()))).await
}

fn topic_beside(rules: &RuleSet) -> Topic {
    // Whom an owner lists, is looked at when a question comes.
    let authors = rules.listed().map_or(Authors::Open, |listed| Authors::Listed(listed.to_vec()));
    let most = ENVELOPE + MAX_QUESTION.min(rules.max_body() as usize);
    Topic::named(format!("vouchsafe questions {}", rules.id()))
        .max_body(u32::try_from(most).unwrap_or(u32::MAX))
        .authors(authors)
}

impl Questions {
    /// The next question, an error where some are missing, or `None` when the node has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Question, Gap>> {
        loop {
            // It stays there until it is judged, so that whoever lets go of this future loses none.
            if let Some((author, ..)) = &self.next {
                let may_ask = may_ask(&self.of, author).await;
                match self.next.take() {
                    Some((author, opened, deadline)) if may_ask => {
                        return Some(Ok(Question {
                            node: self.topic.node().clone(),
                            id: opened.id,
                            author,
                            asker: opened.asker,
                            body: opened.question,
                            deadline,
                        }));
                    }
                    _ => self.ignored += 1,
                }
            }
            let rumor = match self.rumors.next().await? {
                Ok(rumor) => rumor,
                Err(gap) => return Some(Err(gap)),
            };
            let opened = envelope::open(&self.topic.id(), &rumor.author(), rumor.body());
            match opened.filter(|opened| opened.within <= MAX_WITHIN) {
                Some(opened) => {
                    let deadline = Instant::now() + opened.within;
                    self.next = Some((rumor.author(), opened, deadline));
                }
                None => self.ignored += 1,
            }
        }
    }

    /// What was said in place of a question so far and is none, names a node that has not signed it, or is of an author
    /// whom the owner of the topic does not list.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }
}

impl Question {
    /// What is asked, at most 32 KiB.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The author who asks.
    #[must_use]
    pub const fn author(&self) -> PublicKey {
        self.author
    }

    /// The node that is answered. It has signed the question.
    #[must_use]
    pub const fn asker(&self) -> PublicKey {
        self.asker
    }

    /// How long the asker still waits.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Answers, and waits until the asker has taken it. Where the asker is busy or can't be reached it is tried again, as long as the
    /// asker waits. Dropping the future may leave it answered, or not.
    ///
    /// # Errors
    /// If it is too long, or the asker has enough, no longer waits, or can't be reached.
    pub async fn answer(self, body: &[u8]) -> Result<(), AnswerError> {
        if body.len() > MAX_ANSWER {
            return Err(AnswerError::TooLong { len: body.len(), most: MAX_ANSWER });
        }
        let said = [&self.id[..], body].concat();
        let mut pause = PAUSE;
        let mut failed = None;
        loop {
            let by = self.deadline.min(Instant::now() + TELLING);
            let answered = timeout_at(by, self.node.tell(self.asker, &said)).await;
            match answered.map(|answered| answered.map(|verdict| verdict.first().copied())) {
                Ok(Ok(Some(verdict::TAKEN))) => return Ok(()),
                Ok(Ok(Some(verdict::ENOUGH))) => return Err(AnswerError::Enough),
                Ok(Ok(_) | Err(AskError::Open(OpenError::NotAccepted { .. }))) => {
                    return Err(AnswerError::NotAsked);
                }
                Ok(Err(AskError::Open(OpenError::Closed(closed)))) => return Err(closed.into()),
                // (What rests after the first says nothing new.)
                Ok(Err(AskError::Open(error))) => failed = failed.or(Some(error)),
                // Broken off: the asker may have it.
                Ok(Err(_)) => {}
                // It took too long.
                Err(_) => {}
            }
            let again = Instant::now() + pause.mul_f64(0.5 + jitter());
            if again >= self.deadline {
                return Err(failed.map_or(AnswerError::Late, AnswerError::NotReached));
            }
            sleep_until(again).await;
            pause = (pause * 2).min(TELLING);
        }
    }
}

/// From 0 to 1, so that many who answer do not come at once again.
fn jitter() -> f64 {
    let mut byte = [0];
    // Without entropy all come again at once, as before.
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    f64::from(byte) / 255.0
}
