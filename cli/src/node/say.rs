//! Publishing lines, one after the other.

use std::time::Duration;

use vouchsafe::{Node, PublishError, TopicHandle};

use super::status::status;
use super::stdin::Lines;
use crate::exit::Failure;
use crate::lines::Line;

/// Between two looks at a thing that gives no signal.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Between two tries of a line that could not be published: at first, and at most. A disk that is full stays so for a while, and
/// whoever makes room should not have to wait long.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// After the last byte was handed over, peers may still ask for what was only announced to them.
const AFTERTHOUGHT: Duration = Duration::from_millis(500);
/// Longest wait for links that take no bytes.
const UNSENT: Duration = Duration::from_secs(10);

/// Publishes every line, and ends when the last one was sent.
pub(super) async fn all(node: &Node, topic: &TopicHandle, mut lines: Lines) -> Result<(), Failure> {
    let mut said = 0u64;
    while let Some(line) = lines.next().await {
        match line {
            Ok(Line::Whole(line)) if line.is_empty() => {}
            Ok(Line::Whole(line)) => {
                said += u64::from(say(topic, line).await?);
                lines.settled();
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

/// Waits for a link, a slot, room and the position log, whatever it takes: a line is never dropped. Whether it was published: one that
/// can never be is told of.
async fn say(topic: &TopicHandle, line: Vec<u8>) -> Result<bool, Failure> {
    let line = bytes::Bytes::from(line);
    let mut told_of_links = false;
    let mut told_of_error = false;
    let mut pause = TRY_AGAIN.0;
    loop {
        if !told_of_links && tokio::time::timeout(LOOK_AGAIN, topic.wait_for_links(1)).await.is_err() {
            status("no link to anybody in this topic yet: the line waits");
            told_of_links = true;
        }
        topic.wait_for_links(1).await.map_err(Failure::failed)?;
        match topic.publish(line.clone()).await {
            Ok(_) if told_of_error => status("the line that waited was published"),
            Ok(_) => {}
            // The last link went away meanwhile.
            Err(PublishError::NoLink | PublishError::NotRelayed { .. }) => {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            Err(error) if error.is_temporary() => {
                if !told_of_error {
                    status(format_args!("{error}: the line waits, and is tried again"));
                    told_of_error = true;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(TRY_AGAIN.1);
                continue;
            }
            Err(error @ PublishError::NotStored(_)) => status(format_args!("a line: {error}")),
            Err(error @ PublishError::TooLarge { .. }) => {
                status(format_args!("a line was not published: {error}"));
                return Ok(false);
            }
            Err(error) => return Err(Failure::failed(error)),
        }
        return Ok(true);
    }
}

/// Waits until the links have taken what is queued for them.
pub(crate) async fn sent(node: &Node) {
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
