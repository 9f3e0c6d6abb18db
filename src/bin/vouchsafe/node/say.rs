//! Publishing lines, one after the other.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use vouchsafe::{Node, PublishError, TopicHandle};

use super::status::status;
use crate::exit::Failure;
use crate::lines::Line;

/// Between two looks at a thing that gives no signal.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// After the last byte was handed over, peers may still ask for what was only announced to them.
const AFTERTHOUGHT: Duration = Duration::from_millis(500);
/// Longest wait for links that take no bytes.
const UNSENT: Duration = Duration::from_secs(10);

/// Publishes every line, and ends when the last one was sent.
pub(super) async fn all(
    node: &Node,
    topic: &TopicHandle,
    mut lines: mpsc::Receiver<io::Result<Line>>,
) -> Result<(), Failure> {
    let mut said = 0u64;
    while let Some(line) = lines.recv().await {
        match line {
            Ok(Line::Whole(line)) if line.is_empty() => {}
            Ok(Line::Whole(line)) => {
                say(topic, line).await?;
                said += 1;
            }
            Ok(Line::TooLong(len)) => status(format_args!(
                "a line of {len} bytes was not published: a rumor here has at most {}; split it, or publish its hash",
                topic.rules().max_body()
            )),
            Err(error) => status(format_args!("stdin can't be read further: {error}")),
        }
    }
    if said > 0 {
        sent(node).await;
    }
    Ok(())
}

/// Waits for a link, a slot and room, whatever it takes: a line is never dropped.
async fn say(topic: &TopicHandle, line: Vec<u8>) -> Result<(), Failure> {
    let line = bytes::Bytes::from(line);
    let mut told = false;
    loop {
        if !told && tokio::time::timeout(LOOK_AGAIN, topic.ready(1)).await.is_err() {
            status("no link to anybody in this topic yet: the line waits");
            told = true;
        }
        topic.ready(1).await.map_err(Failure::failed)?;
        match topic.publish(line.clone()).await {
            Ok(_) => return Ok(()),
            // The last link went away meanwhile.
            Err(PublishError::NoLink) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

/// Waits until the links have taken what is queued for them.
async fn sent(node: &Node) {
    let taken = async {
        while let Ok(stats) = node.stats().await {
            if stats.links.iter().all(|link| link.queued_bytes == 0) {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(UNSENT, taken).await.is_err() {
        status("a peer does not take what was sent to it");
    }
    tokio::time::sleep(AFTERTHOUGHT).await;
}
