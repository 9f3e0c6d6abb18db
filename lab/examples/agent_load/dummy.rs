//! A server that answers as an agent does, and has no node: with it the same clients take the machine, and nobody takes the agent.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::{Outcome, PACE};

/// Bytes of a request's head, and how long it may take: as an agent has it.
const HEAD: usize = 16 * 1024;
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of an answer: as many as an agent's have in the middle.
const ANSWER: usize = 2_000;
/// Rumors that wait for a subscriber.
const WAITING: usize = 1_024;

/// Answers for ever. Says first where it is by an address.
pub(super) async fn serve(socket: &Path) -> Outcome<()> {
    let local = UnixListener::bind(socket)?;
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", tcp.local_addr()?);
    let (said, _) = broadcast::channel::<Bytes>(WAITING);
    let mut pace = tokio::time::interval(PACE);
    for number in 0u64.. {
        let next = loop {
            tokio::select! {
                _ = pace.tick() => break rumor(number),
                Ok((stream, _)) = local.accept() => drop(tokio::spawn(answer(stream, said.clone()))),
                Ok((stream, _)) = tcp.accept() => drop(tokio::spawn(answer(stream, said.clone()))),
            }
        };
        // Nobody may listen.
        let _ = said.send(next);
    }
    Ok(())
}

/// As long as one of an agent.
fn rumor(number: u64) -> Bytes {
    let key = "0".repeat(64);
    format!("event: rumor\ndata: {{\"id\":\"{key}\",\"author\":\"{key}\",\"position\":\"880111/3\",\"body\":\"{number}\"}}\n\n").into()
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    said: broadcast::Sender<Bytes>,
) -> Outcome<()> {
    let mut head = Vec::new();
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > HEAD {
                stream
                    .write_all(b"HTTP/1.1 431 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await?;
                return Ok(());
            }
            if timeout(HEAD_WITHIN, stream.read_buf(&mut head)).await?? == 0 {
                return Ok(());
            }
        }
        if head.starts_with(b"GET /v1/subscribe") {
            return subscribed(stream, said.subscribe()).await;
        }
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {ANSWER}\r\n\r\n{}", "x".repeat(ANSWER));
        stream.write_all(text.as_bytes()).await?;
        if head.windows(17).any(|part| part == b"connection: close") {
            return Ok(());
        }
    }
}

async fn subscribed(
    mut stream: impl AsyncWrite + Unpin,
    mut said: broadcast::Receiver<Bytes>,
) -> Outcome<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await?;
    loop {
        match said.recv().await {
            Ok(part) => stream.write_all(&part).await?,
            // It reads too slowly.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}
