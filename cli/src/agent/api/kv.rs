//! The keys of a topic of state.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use vouchsafe::{Change, Cursor, Position, PublicKey, Resolve};

use super::Shared;
use super::ask::Ask;
use super::limits::{PAGE, PAGE_BYTES};
use super::reply::{Refusal, Reply, object};
use super::streams::Out;
use crate::agent::happening::bytes;

/// Entries in a page, unless it is said.
const ENTRIES: usize = 1_000;

/// What is said of a key: by one author, by so many alike, or the newest of all.
pub(super) async fn get(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = shared.topic(ask)?;
    let key = ask.must("key")?;
    let (author, agreed) = (ask.key("author")?, ask.number("agreed", 1 << 16)?);
    ask.no_more()?;
    let kv = topic.kv().await?;
    if author.is_some() && agreed.is_some() {
        return Err(Refusal::bad("author and agreed can't be both: leave one out"));
    }
    if agreed.is_some() && topic.handle.rules().listed().is_none() && topic.handle.rules().owner().is_none() {
        return Err(Refusal::bad(
            "agreed: this topic does not name its writers, so anybody may be as many as it likes: leave agreed out",
        ));
    }
    let none = || Refusal::absent(format!("{key:?} has no value: /v1/kv/scan lists what has one"));
    let mut data = Map::new();
    match (author, agreed) {
        (Some(author), _) => {
            let entry = kv.entry(author, &key).ok_or_else(none)?;
            whose(&mut data, author, entry.position);
            bytes(&mut data, "value", &entry.value.ok_or_else(none)?);
        }
        (None, Some(count)) => {
            bytes(&mut data, "value", &kv.shared(&key, Resolve::Agreed(count)).ok_or_else(none)?);
        }
        (None, None) => {
            let value = kv.shared(&key, Resolve::Newest).ok_or_else(none)?;
            // Whose it is: the newest that says so.
            let said = kv.entries(&key).into_iter().filter(|(_, entry)| entry.value.as_ref() == Some(&value));
            if let Some((author, entry)) = said.max_by_key(|(_, entry)| entry.position) {
                whose(&mut data, author, entry.position);
            }
            bytes(&mut data, "value", &value);
        }
    }
    bytes(&mut data, "key", key.as_bytes());
    Ok(object(&Value::Object(data)))
}

fn whose(data: &mut Map<String, Value>, author: PublicKey, position: Position) {
    data.insert("author".into(), author.to_string().into());
    data.insert("position".into(), position.to_string().into());
}

/// The entries of keys that begin so, by key and author: a page at a time.
pub(super) async fn scan(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = shared.topic(ask)?;
    let prefix = ask.maybe("prefix").unwrap_or_default();
    let after = ask.maybe("after");
    let author = ask.key("author")?;
    let most = ask.number("limit", PAGE)?.unwrap_or(ENTRIES);
    ask.no_more()?;
    let kv = topic.kv().await?;
    let behind = |key: &Bytes| after.as_ref().is_none_or(|after| key[..] > *after.as_bytes());
    let keys: Vec<Bytes> = match author {
        Some(author) => kv.scan(author, &prefix).into_iter().map(|(key, _)| key).filter(behind).collect(),
        None => kv.keys(&prefix).into_iter().filter(behind).collect(),
    };
    let (mut entries, mut size, mut last) = (Vec::new(), 0, None);
    let mut keys = keys.into_iter().peekable();
    // A key is whole or not there, so that `after` loses nobody's word.
    while let Some(key) = keys.next_if(|_| entries.len() < most && size < PAGE_BYTES) {
        for (of, entry) in kv.entries(&key) {
            let Some(value) = entry.value.filter(|_| author.is_none_or(|author| author == of)) else {
                continue;
            };
            let mut data = Map::new();
            bytes(&mut data, "key", &key);
            whose(&mut data, of, entry.position);
            bytes(&mut data, "value", &value);
            size += value.len() + key.len();
            entries.push(Value::Object(data));
        }
        last = Some(key);
    }
    let more = keys.peek().is_some();
    let mut data = Map::new();
    if let Some(last) = last.filter(|_| more) {
        bytes(&mut data, "after", &last);
    }
    data.insert("entries".into(), entries.into());
    data.insert("more".into(), more.into());
    Ok(object(&Value::Object(data)))
}

/// Gives a key of this node's author a value: the body.
pub(super) async fn put(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = shared.topic(ask)?;
    let key = ask.must("key")?;
    ask.no_more()?;
    let value = ask.body().await?;
    written(topic.kv().await?.put(key, value).await?)
}

/// Deletes a key of this node's author.
pub(super) async fn delete(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = shared.topic(ask)?;
    let key = ask.must("key")?;
    ask.no_more()?;
    written(topic.kv().await?.delete(key).await?)
}

fn written(written: vouchsafe::Written) -> Result<Reply, Refusal> {
    let behind = written.behind.map(|behind| u64::try_from(behind.as_millis()).unwrap_or(u64::MAX));
    Ok(object(&json!({ "position": written.position.to_string(), "behind_ms": behind })))
}

/// What there is under keys that begin so, then each change.
pub(super) async fn watch(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = shared.topic(ask)?;
    let prefix = ask.maybe("prefix").unwrap_or_default();
    ask.no_more()?;
    let mut watch = topic.kv().await?.watch(prefix);
    Out::open(shared, move |mut out| async move {
        while let Some(change) = out.wait(watch.next()).await {
            let (kind, data) = changed(&change);
            out.send(kind, None::<Cursor>, &Value::Object(data)).await;
        }
        out.end().await;
    })
}

fn changed(change: &Change) -> (&'static str, Map<String, Value>) {
    let mut data = Map::new();
    let kind = match change {
        Change::Put { author, key, value, position } => {
            bytes(&mut data, "key", key);
            bytes(&mut data, "value", value);
            whose(&mut data, *author, *position);
            "put"
        }
        Change::Delete { author, key, position } => {
            bytes(&mut data, "key", key);
            whose(&mut data, *author, *position);
            "delete"
        }
        Change::Gone { author, key } => {
            bytes(&mut data, "key", key);
            data.insert("author".into(), author.to_string().into());
            "gone"
        }
        Change::Convicted { author } => {
            data.insert("author".into(), author.to_string().into());
            "convicted"
        }
        _ => "other",
    };
    (kind, data)
}
