//! A question to one member, and its answer.

use std::time::Duration;

use tokio::time::timeout;

use super::error::{AskError, OpenError};
use crate::key::PublicKey;
use crate::net::{Opened, ProtocolName};
use crate::node::Node;

/// The longest answer, bytes. What is longer is read from a stream piece by piece.
const MAX_ANSWER: usize = 1024 * 1024;

impl Node {
    /// Asks a member, whose application [accepts](Node::accept) `protocol`, and waits for its answer, of at most 1 MiB. It reads the
    /// question to its end, and answers on the same stream.
    ///
    /// Where there is a link to the member or another connection, this takes one round trip. Dropping the future, or not waiting long
    /// enough, does not undo what the member did by then.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn f(node: vouchsafe::Node, member: vouchsafe::PublicKey) -> Result<(), vouchsafe::AskError> {
    /// let answer = node.ask(member, "echo/1", b"are you there?", Duration::from_secs(5)).await?;
    /// assert_eq!(answer, b"are you there?");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the question does not get there, no answer comes `within` this time, or it is not whole, or too long.
    pub async fn ask(
        &self,
        member: PublicKey,
        protocol: &str,
        question: &[u8],
        within: Duration,
    ) -> Result<Vec<u8>, AskError> {
        let name = ProtocolName::new(protocol).map_err(OpenError::from)?;
        let answered = timeout(within, async {
            let opened = self.opened(member, &name, Some(question), true).await;
            let Opened { send, mut recv } = opened.map_err(|error| match error {
                // What breaks a stream off overtakes what was said on it before.
                OpenError::BrokenOff { peer, why } => AskError::NoAnswer { peer, why },
                error => error.into(),
            })?;
            let answer = recv.read_to_end(MAX_ANSWER).await;
            drop(send);
            answer.map_err(|why| AskError::NoAnswer { peer: member, why })
        });
        answered.await.unwrap_or(Err(AskError::Late { peer: member, within }))
    }
}
