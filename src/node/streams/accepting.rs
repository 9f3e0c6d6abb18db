//! Taking streams that other members open.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::error::ProtocolError;
use crate::net::{AcceptRefused, Accepting, IncomingStream, ProtocolName};
use crate::node::Node;
use crate::node::error::Closed;

/// Takes the streams of a protocol that other nodes open to this one, until it is dropped. Those that were taken go on then. It does not
/// keep the node alive: when the node ends, there are no more.
///
/// ```
/// # async fn f(node: vouchsafe::Node) -> Result<(), Box<dyn std::error::Error>> {
/// let mut questions = node.accept("echo/1")?;
/// while let Some(mut stream) = questions.next().await {
///     // A task for each: one that reads slowly holds up no other.
///     tokio::spawn(async move {
///         let question = stream.recv.read_to_end(64 * 1024).await?;
///         stream.send.finish_with(&question).await
///     });
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the protocol is accepted until this is dropped"]
pub struct Acceptor(Accepting);

impl Node {
    /// Accepts streams that other nodes open for `protocol`, a name as in "chat/1", of 1 to 64 visible characters of ASCII. Until then,
    /// and after the [`Acceptor`] is dropped, they are refused, and who opens one is told.
    ///
    /// 64 wait for the application at the most; who opens one more is told that the node is busy. A peer has at most 64 open, and all
    /// have 1 024. Each keeps up to 256 KiB that the application has not read. The gossip goes before them.
    ///
    /// # Errors
    /// If the name can't be used, the protocol is accepted already, 64 others are, or the node is closed.
    pub fn accept(&self, protocol: &str) -> Result<Acceptor, ProtocolError> {
        self.accept_by(ProtocolName::new(protocol)?)
    }

    /// Accepts answers to this node's questions.
    pub(in crate::node) fn accept_answers(&self) -> Result<Acceptor, ProtocolError> {
        self.accept_by(ProtocolName::of_library())
    }

    fn accept_by(&self, name: ProtocolName) -> Result<Acceptor, ProtocolError> {
        let accepting = self.speaker().desk().accept(name.clone()).map_err(|refused| match refused {
            AcceptRefused::Twice => ProtocolError::Twice(name.to_string()),
            AcceptRefused::TooMany => ProtocolError::TooMany,
            AcceptRefused::Closed => ProtocolError::Closed(Closed),
        })?;
        Ok(Acceptor(accepting))
    }
}

impl Acceptor {
    /// The next stream; `None` when the node has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<IncomingStream> {
        self.0.incoming.recv().await
    }
}

impl Stream for Acceptor {
    type Item = IncomingStream;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.incoming.poll_recv(cx)
    }
}
