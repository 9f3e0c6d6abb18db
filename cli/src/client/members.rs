//! `vouchsafe members` and `explain`, as the agent sees it.

use serde_json::Value;

use super::http::Ask;
use super::{At, line, one, text};
use crate::exit::{self, Failure};
use crate::members::table;
use crate::node::status;

/// Lists the members; with `watch` goes on with what happens to them.
pub(crate) async fn list(at: &At, json: bool, watch: bool) -> Result<(), Failure> {
    // First, so that nothing is missed in between.
    let mut events = match watch {
        true => Some(at.connect().await?.lines(Ask::get("/v1/events")).await?),
        false => None,
    };
    let answer = at.connect().await?.ask(Ask::get("/v1/members")).await?;
    let members = answer["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    exit::print(if json { members.iter().map(line).collect() } else { table(members) })?;
    let Some(events) = &mut events else { return Ok(()) };
    while let Some((kind, data)) = events.event().await? {
        let what = match kind.as_str() {
            "isolated" => "isolated",
            // What it has lost may be of members.
            "lagged" => "lagged",
            "missed" => {
                status("events were missed: this command is too slow");
                break;
            }
            kind => match kind.strip_prefix("member-") {
                Some(what) => what,
                None => continue,
            },
        };
        exit::print(if json { line(&event(what, &data)) } else { format!("{}\n", text(&data, "text")) })?;
    }
    Err(Failure::failed("the agent has hung up"))
}

/// The member with what happened to it, as `vouchsafe members --watch --json` prints it.
fn event(what: &str, data: &Value) -> Value {
    let mut event = match &data["member"] {
        Value::Object(member) => Value::Object(member.clone()),
        _ => serde_json::json!({ "key": data["key"] }),
    };
    event["event"] = what.into();
    event
}

/// Shows what is behind the state of a member.
pub(crate) fn explain(at: &At, key: &vouchsafe::PublicKey, json: bool) -> Result<(), Failure> {
    one(at, Ask::get("/v1/explain").with("key", key), |answer| match json {
        true => line(answer),
        // Its lines were made printable where they were written.
        false => answer["text"].as_str().unwrap_or_default().to_owned(),
    })
}
