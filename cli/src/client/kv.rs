//! `vouchsafe kv` of a node that runs as an agent.

use serde_json::Value;
use vouchsafe::PublicKey;

use super::http::{Ask, Lines};
use super::{At, line, one, short, text};
use crate::exit::{self, Failure};
use crate::node::{Leave, in_runtime};

/// The whole key of an author, of which the digits at the front may be enough for a folder.
fn whole(author: Option<&str>) -> Result<Option<PublicKey>, Failure> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|error| Failure::Usage(format!("--author {text:?}: {error}; an agent wants all of it")))
    };
    author.map(parse).transpose()
}

/// "AUTHOR POSITION KEY", a tab, and the value.
fn entry(data: &Value) -> String {
    format!(
        "{} {} {}\t{}\n",
        short(data, "author"),
        text(data, "position"),
        text(data, "key"),
        text(data, "value")
    )
}

pub(crate) fn get(
    at: &At,
    topic: &str,
    key: &str,
    author: Option<&str>,
    agreed: Option<u32>,
    json: bool,
) -> Result<(), Failure> {
    let ask = Ask::get("/v1/kv").with("topic", topic).with("key", key);
    let ask = ask.maybe("author", whole(author)?).maybe("agreed", agreed);
    one(at, ask, |answer| if json { line(answer) } else { format!("{}\n", text(answer, "value")) })
}

pub(crate) fn scan(
    at: &At,
    topic: &str,
    prefix: &str,
    author: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let author = whole(author)?;
    in_runtime(async {
        let mut client = at.connect().await?;
        let mut after: Option<String> = None;
        loop {
            let ask = Ask::get("/v1/kv/scan").with("topic", topic).with("prefix", prefix);
            let ask = ask.maybe("author", author).maybe("after", after.as_ref());
            let page = client.ask(ask).await?;
            let entries = page["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            exit::print(entries.iter().map(if json { line } else { entry }).collect::<String>())?;
            if page["more"] != true {
                return Ok(());
            }
            let next = page["after"].as_str().map(str::to_owned);
            after = Some(next.ok_or_else(|| {
                Failure::failed("the keys go on behind one that is no text: ask for a longer prefix")
            })?);
        }
    })
}

pub(crate) fn put(at: &At, topic: &str, key: &str, value: bytes::Bytes, json: bool) -> Result<(), Failure> {
    let ask = Ask::new("PUT", "/v1/kv").with("topic", topic).with("key", key).body(value);
    one(at, ask, |answer| if json { line(answer) } else { format!("{}\n", text(answer, "position")) })
}

pub(crate) fn delete(at: &At, topic: &str, key: &str, json: bool) -> Result<(), Failure> {
    let ask = Ask::new("DELETE", "/v1/kv").with("topic", topic).with("key", key);
    one(at, ask, |answer| if json { line(answer) } else { format!("{}\n", text(answer, "position")) })
}

pub(crate) fn watch(at: &At, topic: &str, prefix: &str, json: bool) -> Result<(), Failure> {
    in_runtime(async {
        let leave = Leave::listen()?;
        let ask = Ask::get("/v1/kv/watch").with("topic", topic).with("prefix", prefix);
        let changes = at.connect().await?.lines(ask).await?;
        tokio::select! {
            asked = leave.asked() => asked,
            result = follow(changes, json) => result,
        }
    })
}

async fn follow(mut changes: Lines, json: bool) -> Result<(), Failure> {
    while let Some((kind, mut data)) = changes.event().await? {
        if kind == "end" {
            break;
        }
        if json {
            data["change"] = kind.into();
            exit::print(line(&data))?;
            continue;
        }
        let words = [kind, short(&data, "author"), text(&data, "position"), text(&data, "key")];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let value = if data["value"].is_null() && data["value_hex"].is_null() {
            String::new()
        } else {
            format!("\t{}", text(&data, "value"))
        };
        exit::print(format!("{}{value}\n", words.join(" ")))?;
    }
    Err(Failure::failed("the agent has left"))
}
