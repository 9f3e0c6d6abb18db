//! A question to one member, and its answer.

use std::time::Duration;

use tokio::time::timeout;

use super::error::{AskError, OpenError};
use super::reaching::Dials;
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
        let answered = timeout(within, self.ask_by(member, &name, question, Dials::Any)).await;
        answered.unwrap_or(Err(AskError::Late { peer: member, within }))
    }

    /// Says an answer to whoever asked all, and waits for its verdict. It is dialled with care: it may have named somebody else's address.
    pub(in crate::node) async fn tell(&self, asker: PublicKey, answer: &[u8]) -> Result<Vec<u8>, AskError> {
        self.ask_by(asker, &ProtocolName::of_library(), answer, Dials::WithCare).await
    }

    async fn ask_by(
        &self,
        member: PublicKey,
        name: &ProtocolName,
        question: &[u8],
        dials: Dials,
    ) -> Result<Vec<u8>, AskError> {
        let opened = self.opened(member, name, Some(question), dials).await;
        let Opened { send, mut recv } = opened.map_err(|error| match error {
            // What breaks a stream off overtakes what was said on it before.
            OpenError::BrokenOff { peer, why } => AskError::NoAnswer { peer, why },
            error => error.into(),
        })?;
        let answer = recv.read_to_end(MAX_ANSWER).await;
        drop(send);
        answer.map_err(|why| AskError::NoAnswer { peer: member, why })
    }
}
