//! Answering what others ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::accepting::Acceptor;
use super::error::ProtocolError;
use crate::key::PublicKey;
use crate::net::IncomingStream;
use crate::node::Node;

/// Bytes of a question. What is longer is read from a stream piece by piece.
const MAX_QUESTION: usize = 1024 * 1024;
/// Time for a question to be said whole, and for its answer.
const TAKES: Duration = Duration::from_secs(10);

/// Answers the questions of a protocol until it is dropped. Answers that are under way are dropped with it where they stand.
#[derive(Debug)]
#[must_use = "questions are answered until this is dropped"]
pub struct Answering(AbortHandle);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Node {
    /// Answers what other nodes [ask](Node::ask) this one over `protocol`, each question in a task of its own: `answer` is given the node key
    /// of who asks and the question, of at most 1 MiB, and what it gives is said. Whoever takes more than 10 s to say a question is not
    /// heard, nor answered who takes more to read the answer. It does not keep the node alive. Needs a running tokio runtime.
    ///
    /// ```
    /// # fn f(node: vouchsafe::Node) -> Result<(), vouchsafe::ProtocolError> {
    /// let _until_dropped = node.answer("echo/1", |_asker, question| async move { question })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Node::accept`].
    pub fn answer<F, A>(&self, protocol: &str, answer: F) -> Result<Answering, ProtocolError>
    where
        F: Fn(PublicKey, Vec<u8>) -> A + Send + Sync + 'static,
        A: Future<Output = Vec<u8>> + Send + 'static,
    {
        let acceptor = self.accept(protocol)?;
        Ok(Answering(tokio::spawn(answer_all(acceptor, answer)).abort_handle()))
    }
}

async fn answer_all<F, A>(mut acceptor: Acceptor, answer: F)
where
    F: Fn(PublicKey, Vec<u8>) -> A + Send + Sync + 'static,
    A: Future<Output = Vec<u8>> + Send + 'static,
{
    let answer = Arc::new(answer);
    // They end with this task. As many as there may be streams.
    let mut tasks = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = acceptor.next() => stream,
            Some(_) = tasks.join_next() => continue,
        };
        let Some(IncomingStream { peer, send, mut recv, .. }) = stream else { return };
        let answer = Arc::clone(&answer);
        tasks.spawn(async move {
            // Whoever does not say it whole is not heard, and learns so when the stream is dropped.
            if let Ok(Ok(question)) = timeout(TAKES, recv.read_to_end(MAX_QUESTION)).await {
                // Nobody waits any more, or does not read it.
                let _ = timeout(TAKES, send.finish_with(&answer(peer, question).await)).await;
            }
        });
    }
}
