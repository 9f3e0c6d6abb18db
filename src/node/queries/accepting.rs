//! Taking answers in.

use std::time::Duration;

use tokio::time::timeout;

use crate::net::IncomingStream;
use crate::node::asked::Asked;
use crate::node::streams::Acceptor;

/// Bytes of one answer.
pub(super) const MAX_ANSWER: usize = 64 * 1024;
/// Bytes before it: whose question it answers.
const ID: usize = 16;
/// Time for an answer to be said whole.
const SAID: Duration = Duration::from_secs(10);

/// Takes answers in until the node ends.
pub(super) async fn accept(asked: Asked, mut acceptor: Acceptor) {
    while let Some(stream) = acceptor.next().await {
        let asked = asked.clone();
        // As many as a node's streams. Who takes too long, or breaks off, has not answered.
        tokio::spawn(async move { timeout(SAID, hear(asked, stream)).await });
    }
    asked.accepts_no_more();
}

async fn hear(asked: Asked, mut stream: IncomingStream) -> Option<()> {
    let said = stream.recv.read_to_end(ID.saturating_add(MAX_ANSWER)).await.ok()?;
    let (id, body) = said.split_first_chunk::<ID>()?;
    let verdict = asked.take(id, stream.peer, body.to_vec());
    stream.send.finish_with(&[verdict]).await.ok()
}
