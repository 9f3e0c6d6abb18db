//! Saying something: in a topic, or as an event to all agents.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use vouchsafe::{PublishError, TopicHandle};

use super::Shared;
use super::ask::Ask;
use super::reply::{Refusal, Reply, object};
use crate::agent::{is_name, words};

/// How long to wait before a body that waits for a link is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// Publishes the body. Answers when the rumor is out and, in a topic that is kept, on the disk.
pub(super) async fn publish(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = &shared.topic(ask)?.handle;
    let within = ask.within()?;
    ask.no_more()?;
    let body = ask.body().await?;
    say(topic, body, within).await
}

/// Sends an event.
pub(super) async fn event(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let name = name(ask)?;
    let within = ask.within()?;
    ask.no_more()?;
    let body = words::write(&name, &ask.body().await?);
    say(&shared.agent.events, body, within).await
}

/// The name of an event or query.
pub(super) fn name(ask: &mut Ask) -> Result<String, Refusal> {
    let name = ask.must("name")?;
    match is_name(&name) {
        true => Ok(name),
        false => Err(Refusal::bad(format!(
            "name={name:?}: a name has 1 to 64 letters, digits, dots, dashes and underscores"
        ))),
    }
}

/// Says it as soon as somebody hears it, within so much time.
async fn say(topic: &TopicHandle, body: Bytes, within: Duration) -> Result<Reply, Refusal> {
    let until = tokio::time::Instant::now() + within;
    let published = loop {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        let error = match topic.publish(body.clone()).within(left.max(Duration::from_millis(1))).await {
            Ok(published) => break published,
            Err(error) => error,
        };
        let waits = matches!(error, PublishError::NoLink | PublishError::NotRelayed { .. });
        if !waits || left <= AGAIN {
            return Err(error.into());
        }
        // Within the time that is left, a link comes or it does not.
        let _ = topic.wait_for_links(1).within(left).await;
        tokio::time::sleep(AGAIN).await;
    };
    Ok(object(&json!({
        "id": published.id().to_string(),
        "topic": topic.id().to_string(),
        "author": topic.node().author().to_string(),
        "position": published.position().to_string(),
    })))
}
