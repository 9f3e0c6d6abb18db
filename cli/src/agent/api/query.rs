//! Asking all agents.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use vouchsafe::{Answers, AnswersEnd};

use super::Shared;
use super::ask::Ask;
use super::body::{Slot, made};
use super::publish::name;
use super::reply::{Refusal, Reply, stream};
use crate::agent::{happening, words};

/// Answers that are wanted, unless it is said, and the most that may be.
const ANSWERS: usize = 1_024;
const MOST_ANSWERS: usize = 10_000;
/// Bytes of all answers: each member has an equal share of them, and no more than it may say.
const MOST_BYTES: usize = 8 << 20;
/// How long answers are waited for, unless it is said.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks, and streams the answers: a line of JSON for each, and one for the end.
pub(super) async fn query(shared: &Arc<Shared>, ask: &mut Ask) -> Result<Reply, Refusal> {
    let name = name(ask)?;
    let within = match ask.has("within") {
        true => ask.within()?,
        false => WITHIN,
    };
    let most = ask.number("limit", MOST_ANSWERS)?.unwrap_or(ANSWERS);
    ask.no_more()?;
    let place = shared.stream()?;
    let body = words::write(&name, &ask.body().await?);
    let answers = shared.agent.events.query(body).within(within).most(most).bytes(MOST_BYTES).await?;
    let body = made(async move |slot| {
        // A client that has gone asks no more.
        let _place = place;
        tell(answers, slot).await;
    });
    Ok(stream("application/x-ndjson", body))
}

async fn tell(mut answers: Answers, slot: Slot) {
    let mut count = 0u64;
    while let Some(answer) = answers.next().await {
        count += 1;
        let mut data = Map::new();
        data.insert("from".into(), answer.from.to_string().into());
        happening::bytes(&mut data, "answer", &answer.body);
        slot.put(format!("{}\n", Value::Object(data)).into()).await;
    }
    let end = match answers.end() {
        Some(AnswersEnd::Enough) => "enough",
        Some(AnswersEnd::Closed) => "closed",
        _ => "late",
    };
    let end = json!({ "end": end, "answers": count, "refused": answers.refused() });
    slot.put(format!("{end}\n").into()).await;
}
