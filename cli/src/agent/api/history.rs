//! What is kept of a topic, a page at a time.

use std::ops::Bound;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vouchsafe::{Item, Position};

use super::Shared;
use super::ask::Ask;
use super::limits::{PAGE, PAGE_BYTES};
use super::reply::{Refusal, Reply, object};
use super::streams::past;
use crate::agent::follow::fields;

/// Rumors in a page, unless it is said.
const RUMORS: usize = 1_000;
/// When nothing has come for so long behind all that is kept, there is no more for now: what is committed is given within 100 ms.
const NO_MORE: Duration = Duration::from_millis(300);
/// A store that says nothing for so long is not waited for.
const STORE_WITHIN: Duration = Duration::from_secs(10);

/// A page, and the cursor behind it. Of one author: its rumors by position.
pub(super) async fn history(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let topic = &shared.topic(ask)?.handle;
    let from = ask.maybe("from");
    let most = ask.number("limit", PAGE)?.unwrap_or(RUMORS);
    let author = ask.key("author")?;
    let behind = ask.maybe("behind");
    let behind = behind.map(|text| text.parse::<Position>()).transpose().map_err(Refusal::bad)?;
    ask.no_more()?;
    if behind.is_some() && author.is_none() {
        return Err(Refusal::bad("behind is for the rumors of one author: add author=, or give from="));
    }
    if author.is_some() && from.is_some() {
        return Err(Refusal::bad(
            "from and author can't be both, since a cursor is of all authors: leave one out",
        ));
    }
    let _turn = shared.page().await;
    let (mut rumors, mut missed, mut bytes) = (Vec::new(), Vec::new(), 0);
    if let Some(author) = author {
        past(topic, None)?;
        let mut of =
            topic.history(author, (behind.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let mut more = false;
        while let Some(rumor) = of.next().await {
            let rumor = rumor?;
            more = rumors.len() >= most || bytes >= PAGE_BYTES;
            if more {
                break;
            }
            bytes += rumor.body().len();
            rumors.push(Value::Object(fields(&rumor)));
        }
        return Ok(object(&json!({ "rumors": rumors, "more": more })));
    }
    let mut replay = past(topic, from.as_deref())?;
    let (mut more, mut heard) = (true, Instant::now());
    while rumors.len() < most && bytes < PAGE_BYTES {
        let next = tokio::time::timeout(NO_MORE, replay.next()).await;
        // A disk that is slow is no end.
        if next.is_err() && !replay.is_at_end() {
            if heard.elapsed() < STORE_WITHIN {
                continue;
            }
            return Err(Refusal::busy(
                "the store has said nothing for 10 s: look at the agent's log, and ask again when its disk works",
            ));
        }
        heard = Instant::now();
        match next {
            Ok(Some(Ok(Item::Rumor { cursor, rumor, late, .. }))) => {
                let mut data = fields(&rumor);
                data.insert("cursor".into(), cursor.to_string().into());
                if late {
                    data.insert("late".into(), true.into());
                }
                bytes += rumor.body().len();
                rumors.push(Value::Object(data));
            }
            Ok(Some(Ok(Item::Missed { from, to }))) => missed.push(json!({ "from": from, "to": to })),
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(None) | Err(_) => {
                more = false;
                break;
            }
        }
    }
    let cursor = replay.cursor().to_string();
    Ok(object(&json!({ "rumors": rumors, "missed": missed, "cursor": cursor, "more": more })))
}
