//! Who may be here: admit, expel, connect; and leaving.

use std::io::ErrorKind;

use hyper::StatusCode;
use serde_json::json;
use vouchsafe::{ConnectError, PeerAddr, PublicKey};

use super::Shared;
use super::ask::Ask;
use super::reply::{Refusal, Reply, object};
use crate::agent::config::{admit_in_file, duration};

/// The key that must be given.
fn key(ask: &mut Ask) -> Result<PublicKey, Refusal> {
    ask.key("key")?.ok_or_else(|| Refusal::bad("the parameter key is missing: add ?key=..."))
}

/// Ends an expulsion, and adds the key to the list of who may link, if there is one: to its file first, so that a restart knows it.
pub(super) async fn admit(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let key = key(ask)?;
    ask.no_more()?;
    let agent = &shared.agent;
    // A list that is read again meanwhile would take it off.
    let _changes = agent.admissions.lock().await;
    if let Some(path) = agent.allow_list() {
        let file = path.display().to_string();
        let written = tokio::task::spawn_blocking(move || admit_in_file(&path, &key));
        written.await.map_err(Refusal::failed)?.map_err(|error| match error.kind() {
            ErrorKind::QuotaExceeded => Refusal::new(StatusCode::CONFLICT, format!("{file}: {error}")),
            _ => {
                let what = "nothing was changed: make it and its folder writable, and ask again";
                Refusal::failed(format!("{file}: {error}: {what}"))
            }
        })?;
    }
    agent.expelled.set(key, None).await.map_err(|error| {
        let what = "if it was expelled, it still is: make the state folder writable, and ask again";
        Refusal::failed(format!("the file of expelled keys: {error}: {what}"))
    })?;
    let outcome = agent.node.admit(key).await?;
    agent.changed().await;
    Ok(object(&json!({ "key": key.to_string(), "outcome": format!("{outcome:?}").to_lowercase() })))
}

/// Takes a key off the list while the agent runs. In the file its operator does that.
pub(super) async fn disallow(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let key = key(ask)?;
    ask.no_more()?;
    let was_there = shared.agent.node.disallow(key).await?;
    Ok(object(&json!({ "key": key.to_string(), "was_allowed": was_there })))
}

/// The keys that may link.
pub(super) async fn allowed(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let allowed = shared.agent.node.allowed().await?;
    let keys = allowed.map(|keys| keys.iter().map(ToString::to_string).collect::<Vec<_>>());
    Ok(object(&json!({ "allowed": keys })))
}

/// Keeps a key out for a while, through restarts.
pub(super) async fn expel(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let key = key(ask)?;
    let text = ask.must("for")?;
    let lasts = duration(&text).map_err(|why| Refusal::bad(format!("for={text}: {why}")))?;
    if lasts.is_zero() {
        return Err(Refusal::bad(format!("for={text}: give 1ms or more; to end an expulsion ask /v1/admit")));
    }
    ask.no_more()?;
    let agent = &shared.agent;
    agent.node.expel(key, lasts).await?;
    agent.expelled.set(key, Some(lasts)).await.map_err(|error| {
        let what =
            "it is kept out, but only until the agent ends: make the state folder writable, and ask again";
        Refusal::failed(format!("the file of expelled keys: {error}: {what}"))
    })?;
    agent.changed().await;
    Ok(object(&json!({ "key": key.to_string(), "for_s": lasts.as_secs() })))
}

/// Keeps a link to a peer until the agent ends.
pub(super) async fn connect(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let text = ask.must("peer")?;
    let peer: PeerAddr = text.parse().map_err(|error| Refusal::bad(format!("peer={text}: {error}")))?;
    ask.no_more()?;
    match shared.agent.node.connect(peer).await {
        Ok(()) => Ok(object(&json!({ "peer": text }))),
        Err(ConnectError::Closed(closed)) => Err(closed.into()),
        Err(error) => Err(Refusal::busy(error)),
    }
}

/// Says to the others that the node leaves, and ends the agent.
pub(super) fn leave(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    shared.agent.leave();
    Ok(object(&json!({ "leaving": true })))
}
