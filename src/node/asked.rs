//! Questions that this node has asked, and the answers that come in.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::key::PublicKey;

/// Questions of a node that are open at once.
const OPEN_QUESTIONS: usize = 64;

/// Names a question. Random, so that nobody answers one that it has not seen.
pub(super) type QuestionId = [u8; 16];

/// What the asker says to an answer: one byte.
pub(super) mod verdict {
    /// It is taken.
    pub(in crate::node) const TAKEN: u8 = 0;
    /// There are enough.
    pub(in crate::node) const ENOUGH: u8 = 1;
    /// Nobody waits for it.
    pub(in crate::node) const NOT_ASKED: u8 = 2;
}

/// An answer of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The node key that the member has proven to hold. What it says is its own word alone.
    pub from: PublicKey,
    /// What it says, at most 64 KiB.
    pub body: Vec<u8>,
}

/// Why there are no more answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnswersEnd {
    /// The time is over.
    Late,
    /// There are as many as were wanted.
    Enough,
    /// The node is closed.
    Closed,
}

/// What a question that is open has got so far.
#[derive(Debug)]
struct Open {
    answers: mpsc::UnboundedSender<Answer>,
    /// Members that have not answered: each is heard once.
    awaited: HashSet<PublicKey>,
    /// How many more answers are wanted.
    wanted: usize,
    /// Bytes that each may say.
    share: usize,
    refused: u64,
}

/// The open questions of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    open: HashMap<QuestionId, Open>,
}

impl Asked {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens a question, for so many answers and bytes of them; `None` if as many are open as may be.
    pub(super) fn open(
        &self,
        id: QuestionId,
        awaited: HashSet<PublicKey>,
        most: usize,
        bytes: usize,
        deadline: Instant,
    ) -> Option<Answers> {
        let (answers_in, answers) = mpsc::unbounded_channel();
        let share = bytes / awaited.len().max(1);
        let open = Open { answers: answers_in, awaited, wanted: most, share, refused: 0 };
        let opened = self.with(|state| {
            let room = state.open.len() < OPEN_QUESTIONS;
            if room {
                state.open.insert(id, open);
            }
            room
        });
        let asked = self.clone();
        let over = Box::pin(sleep_until(deadline));
        opened.then(|| Answers { asked, id, answers, over, end: None, wanted: most })
    }

    /// The node has ended.
    pub(super) fn accepts_no_more(&self) {
        self.with(|state| {
            state.open.clear();
        });
    }

    /// Takes an answer, or says why not.
    pub(super) fn take(&self, id: &QuestionId, from: PublicKey, body: Vec<u8>) -> u8 {
        self.with(|state| {
            let Some(open) = state.open.get_mut(id) else { return verdict::NOT_ASKED };
            // No member, or one that was heard.
            if !open.awaited.contains(&from) || open.wanted == 0 || body.len() > open.share {
                open.refused += 1;
                return verdict::ENOUGH;
            }
            open.awaited.remove(&from);
            open.wanted -= 1;
            // No more than there may be; an error means that nobody reads them.
            let sent = open.answers.send(Answer { from, body });
            if sent.is_ok() { verdict::TAKEN } else { verdict::NOT_ASKED }
        })
    }
}

/// The answers to a question, in the order in which they came; a stream, too. Each member is heard once. Dropping it ends the question:
/// whoever answers later is told that nobody waits.
#[derive(Debug)]
pub struct Answers {
    asked: Asked,
    id: QuestionId,
    answers: mpsc::UnboundedReceiver<Answer>,
    over: Pin<Box<tokio::time::Sleep>>,
    end: Option<AnswersEnd>,
    /// How many more are wanted.
    wanted: usize,
}

impl Answers {
    /// The question is said: answers have so long from now on.
    pub(super) fn begins(mut self, within: Duration) -> Self {
        self.over.as_mut().reset(Instant::now() + within);
        self
    }

    /// The next answer; `None` when there will be no more: the time is over, or there are enough. Cancel safe.
    pub async fn next(&mut self) -> Option<Answer> {
        std::future::poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// Why there are no more, once there are none.
    #[must_use]
    pub const fn end(&self) -> Option<AnswersEnd> {
        self.end
    }

    /// Answers so far that were refused: there were enough, they were longer than a member's share, or came of no member, or again.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.asked.with(|state| state.open.get(&self.id).map_or(0, |open| open.refused))
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        match self.answers.poll_recv(cx) {
            Poll::Ready(Some(answer)) => {
                self.wanted = self.wanted.saturating_sub(1);
                return Poll::Ready(Some(answer));
            }
            Poll::Ready(None) => self.end = Some(AnswersEnd::Closed),
            Poll::Pending if self.wanted == 0 => self.end = Some(AnswersEnd::Enough),
            Poll::Pending if self.over.as_mut().poll(cx).is_ready() => self.end = Some(AnswersEnd::Late),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(None)
    }
}

impl Stream for Answers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_answer(cx)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.asked.with(|state| state.open.remove(&self.id));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::SecretKey;

    #[tokio::test(start_paused = true)]
    async fn member_is_heard_once_and_within_its_share() {
        let [one, two] = [1, 2].map(|number| SecretKey::from_seed(&[number; 32]).public());
        let asked = Asked::default();
        let deadline = Instant::now() + Duration::from_secs(1);
        // Of seven bytes each of the two has three.
        let mut answers = asked.open([1; 16], HashSet::from([one, two]), 9, 7, deadline).unwrap();
        let take = |from, len| asked.take(&[1; 16], from, vec![0; len]);
        assert_eq!(take(one, 4), verdict::ENOUGH);
        assert_eq!(take(one, 3), verdict::TAKEN);
        assert_eq!(take(one, 1), verdict::ENOUGH, "it was heard");
        assert_eq!(take(two, 3), verdict::TAKEN);
        assert_eq!(asked.take(&[2; 16], two, Vec::new()), verdict::NOT_ASKED);
        assert_eq!(answers.refused(), 2);
        for from in [one, two] {
            assert_eq!(answers.next().await, Some(Answer { from, body: vec![0; 3] }));
        }
        assert_eq!((answers.next().await, answers.end()), (None, Some(AnswersEnd::Late)));
    }
}
