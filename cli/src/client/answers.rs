//! `vouchsafe publish`, `event` and `query`.

use std::path::Path;

use serde_json::Value;

use super::http::Ask;
use super::{line, one, short, text};
use crate::agent::is_name;
use crate::exit::{self, Failure};
use crate::files;
use crate::node::in_runtime;

/// Bytes that are read from stdin: the largest body that a topic may allow.
const MOST: u64 = 64 * 1024;

/// Publish one rumor in a topic of the agent
///
/// Answers when it is out and, in a topic that is kept, on the agent's disk. Prints its position and id.
///
/// Exit code: 0 done; 1 it was not published, or it is not known whether; 2 a flag or the topic can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct PublishArgs {
    /// Name of the topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// What is said; - reads it from stdin
    #[arg(value_name = "TEXT")]
    body: String,
    #[command(flatten)]
    asked: AskedWithin,
}

/// Send an event to all agents of the network
///
/// Their handlers are run for it ([[handler]] on = "event:NAME"). It is a rumor that nobody keeps: who is off for more than a minute does not
/// get it.
///
/// Exit code: 0 done; 1 it was not sent; 2 a flag or the name can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EventArgs {
    /// Its name: letters, digits, dots, dashes and underscores
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// What belongs to it; - reads it from stdin
    #[arg(value_name = "PAYLOAD", default_value = "")]
    payload: String,
    #[command(flatten)]
    asked: AskedWithin,
}

/// Ask all agents, and print their answers as they come
///
/// Those answer that have a handler for it ([[handler]] on = "query:NAME"): what it prints is the answer. Prints a line for each, with the
/// first 8 digits of the node key, and on stderr how many there were; with --json one object a line, and at last one that says how many.
///
/// Exit code: 0 done; 1 it was not asked, or nobody has answered; 2 a flag or the name can't be used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct QueryArgs {
    /// Its name: letters, digits, dots, dashes and underscores
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// What belongs to it; - reads it from stdin
    #[arg(value_name = "PAYLOAD", default_value = "")]
    payload: String,
    /// How many answers are wanted. Default: 1024
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    #[command(flatten)]
    asked: AskedWithin,
}

/// How it is asked, and for how long its answer is waited for.
#[derive(clap::Args)]
struct AskedWithin {
    #[command(flatten)]
    how: super::Asked,
    /// How long to wait, as in 500ms, 5s or 1m. Default: 30s, for answers 5s
    #[arg(long, value_name = "TIME")]
    within: Option<String>,
}

fn name(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("a name has 1 to 64 letters, digits, dots, dashes and underscores".to_owned()),
    }
}

/// What was given, or what stands on stdin.
fn body(text: String) -> Result<String, Failure> {
    match text.as_str() {
        "-" => files::value(Path::new("-"), MOST).map_err(Failure::Usage),
        _ => Ok(text),
    }
}

pub(crate) fn publish(args: PublishArgs) -> Result<(), Failure> {
    let ask = Ask::post("/v1/publish").with("topic", args.topic).body(body(args.body)?);
    said(&args.asked, ask)
}

pub(crate) fn event(args: EventArgs) -> Result<(), Failure> {
    let ask = Ask::post("/v1/event").with("name", args.name).body(body(args.payload)?);
    said(&args.asked, ask)
}

fn said(asked: &AskedWithin, ask: Ask<'_>) -> Result<(), Failure> {
    let ask = ask.maybe("within", asked.within.as_ref());
    one(&asked.how.at, ask, |answer| match asked.how.json {
        true => line(answer),
        false => format!("{} {}\n", text(answer, "position"), text(answer, "id")),
    })
}

pub(crate) fn query(args: QueryArgs) -> Result<(), Failure> {
    let QueryArgs { name, payload, limit, asked } = args;
    let ask = Ask::post("/v1/query").with("name", name).body(body(payload)?);
    let ask = ask.maybe("limit", limit).maybe("within", asked.within.as_ref());
    in_runtime(async {
        let mut lines = asked.how.at.connect().await?.lines(ask).await?;
        let mut count = 0;
        while let Some(answer) = lines.next().await? {
            let answer: Value = serde_json::from_str(&answer).map_err(Failure::failed)?;
            let is_end = answer.get("end").is_some();
            if asked.how.json {
                exit::print(line(&answer))?;
            } else if is_end {
                crate::node::status(format_args!(
                    "answers: {}, end: {}",
                    answer["answers"],
                    text(&answer, "end")
                ));
            } else {
                exit::print(format!("{} {}\n", short(&answer, "from"), text(&answer, "answer")))?;
            }
            if is_end {
                return if count == 0 { Err(Failure::failed("nobody has answered")) } else { Ok(()) };
            }
            count += 1;
        }
        Err(Failure::failed("the agent has hung up before the last answer"))
    })
}
