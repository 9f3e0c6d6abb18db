//! `vouchsafe monitor`: what happens at an agent, as it happens.

use serde_json::Value;

use super::http::Ask;
use super::{At, line, short, text};
use crate::exit::{self, Failure};
use crate::node::{Leave, in_runtime, status};
use crate::text::time_of_day;

/// Print what happens at the agent, or what is said in one of its topics, until ctrl-c
///
/// Without a topic: members that come, fail and leave, links, offences and convictions, impairments, events and queries. A line has the time
/// of day, the kind, and a sentence. With a topic: "AUTHOR POSITION TEXT", as `vouchsafe node` prints it.
///
/// Exit code: 0 it was asked to end; 1 the agent has gone, or this command was too slow; 2 a flag or the topic can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct MonitorArgs {
    /// A topic of the agent
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
    /// Where to begin in a topic that is kept: start, now, or a cursor that --json has printed
    #[arg(long, value_name = "CURSOR", requires = "topic")]
    from: Option<String>,
    #[command(flatten)]
    at: At,
    /// As JSON: one object a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn monitor(args: MonitorArgs) -> Result<(), Failure> {
    in_runtime(async {
        let leave = Leave::listen()?;
        tokio::select! {
            asked = leave.asked() => asked,
            result = follow(&args) => result,
        }
    })
}

async fn follow(args: &MonitorArgs) -> Result<(), Failure> {
    let ask = match &args.topic {
        Some(topic) => Ask::get("/v1/subscribe").with("topic", topic).maybe("from", args.from.as_ref()),
        None => Ask::get("/v1/events"),
    };
    let mut events = args.at.connect().await?.lines(ask).await?;
    while let Some((kind, data)) = events.event().await? {
        match kind.as_str() {
            "end" => return Err(Failure::failed("the agent has left")),
            "error" => return Err(Failure::Failed(text(&data, "error"))),
            "missed" if data.get("count").is_some() => {
                let count = text(&data, "count");
                return Err(Failure::Failed(format!(
                    "{count} were not shown, since they were read too slowly"
                )));
            }
            "missed" => status(format_args!("some were missed: {}", text(&data, "why"))),
            _ if args.json => exit::print(line(&data))?,
            kind => exit::print(format!("{}\n", shown(kind, &data)))?,
        }
    }
    Err(Failure::failed("the agent has hung up"))
}

/// A line for people.
fn shown(kind: &str, data: &Value) -> String {
    let at = || time_of_day(data["at_ms"].as_u64().unwrap_or_default());
    match kind {
        "rumor" => {
            format!("{} {} {}", short(data, "author"), text(data, "position"), text(data, "body"))
        }
        "event" => {
            format!(
                "{} event {} from {}: {}",
                at(),
                text(data, "name"),
                short(data, "author"),
                text(data, "payload")
            )
        }
        "query" => {
            format!(
                "{} query {} from {}: {}",
                at(),
                text(data, "name"),
                short(data, "asker"),
                text(data, "payload")
            )
        }
        kind => format!("{} {kind} {}", at(), text(data, "text")),
    }
}
