//! `vouchsafe info`, `stats` and `evidence`.

use std::time::Duration;

use serde_json::Value;

use super::http::Ask;
use super::{Asked, At, line, one, short, text};
use crate::agent::duration;
use crate::exit::{self, Failure};
use crate::node::in_runtime;
use crate::text::time_of_day;

/// Show what the agent is: its keys, its address, its topics, and what keeps it from its work
///
/// Exit code: 0 done; 1 nobody answers; 2 there is no such socket.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    at: At,
    /// Wait so long for an agent that is about to start, as in 10s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,
    /// Only the address, as other agents take it with --peer
    #[arg(long, conflicts_with = "json")]
    address: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Show the agent's figures: links with their round trips, and every counter that is not zero
///
/// Exit code: 0 done; 1 nobody answers; 2 there is no such socket.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    at: At,
    /// As JSON, with all figures
    #[arg(long)]
    json: bool,
}

/// Show who lied: convictions with the proof, offences, and who is kept out
///
/// `vouchsafe inspect` judges a proof, on any machine and without a network.
///
/// Exit code: 0 done; 1 nobody answers; 2 there is no such socket.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EvidenceArgs {
    #[command(flatten)]
    asked: Asked,
}

pub(crate) fn info(args: &InfoArgs) -> Result<(), Failure> {
    let mut answer = Value::Null;
    in_runtime(async {
        let mut client = match args.wait {
            Some(time) => args.at.connect_within(time).await?,
            None => args.at.connect().await?,
        };
        answer = client.ask(Ask::get("/v1/info")).await?;
        Ok(())
    })?;
    if !args.address {
        return exit::print(if args.json { line(&answer) } else { about(&answer) });
    }
    match answer["address"].as_str() {
        Some(address) => exit::print(format!("{address}\n")),
        None => Err(Failure::Failed(format!(
            "the agent listens on all interfaces, so it does not know where others find it: start it with --advertise, or give \
             {}@HOST and the port of {}",
            text(&answer, "node"),
            text(&answer, "listen"),
        ))),
    }
}

fn about(answer: &Value) -> String {
    let mut out = String::new();
    let names = [
        "node",
        "author",
        "network",
        "address",
        "listen",
        "links",
        "members_here",
        "state",
        "profile",
        "version",
        "pid",
    ];
    for name in names {
        let value = text(answer, name);
        if !value.is_empty() {
            out += &format!("{name:<13} {value}\n");
        }
    }
    let topics: Vec<_> =
        answer["topics"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    out += &format!("{:<13} {}\n", "topics", crate::text::printable(topics.join(", ").as_bytes()));
    for what in answer["impaired"].as_array().into_iter().flatten() {
        let (what, since, remedy) = (text(what, "text"), &what["for_s"], text(what, "remedy"));
        out += &format!("{:<13} for {since} s: {what}; {remedy}\n", "impaired");
    }
    out
}

pub(crate) fn stats(args: &StatsArgs) -> Result<(), Failure> {
    one(&args.at, Ask::get("/v1/stats"), |answer| if args.json { line(answer) } else { figures(answer) })
}

fn figures(answer: &Value) -> String {
    let node = &answer["node"];
    let mut out = String::from("LINK      ROUND TRIP  QUEUED\n");
    for link in node["links"].as_array().into_iter().flatten() {
        let rtt = &link["rtt"];
        let micros = rtt["secs"].as_u64().unwrap_or_default() * 1_000_000
            + rtt["nanos"].as_u64().unwrap_or_default() / 1000;
        let ms = micros as f64 / 1000.0;
        out += &format!("{:<9} {ms:>7.1} ms  {}\n", short(link, "peer"), link["queued_bytes"]);
    }
    out.push('\n');
    for counters in [&node["counters"], &answer["agent"]] {
        for (name, value) in counters.as_object().into_iter().flatten() {
            if value.as_u64() > Some(0) {
                out += &format!("{name:<32} {value}\n");
            }
        }
    }
    out
}

pub(crate) fn evidence(args: &EvidenceArgs) -> Result<(), Failure> {
    one(
        &args.asked.at,
        Ask::get("/v1/evidence"),
        |answer| if args.asked.json { line(answer) } else { lies(answer) },
    )
}

fn lies(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let at = |of: &Value| time_of_day(of["at_ms"].as_u64().unwrap_or_default());
    let mut out = String::new();
    for conviction in list("convictions") {
        let (author, proof) = (text(conviction, "author"), text(conviction, "evidence"));
        out += &format!("{} convicted {author}\n  {proof}\n", at(conviction));
    }
    for author in list("without_proof_here") {
        out += &format!(
            "convicted {}, and the proof is not remembered here\n",
            author.as_str().unwrap_or_default()
        );
    }
    for offence in list("offences") {
        out +=
            &format!("{} offence of {}: {}\n", at(offence), text(offence, "peer"), text(offence, "offence"));
    }
    for expelled in list("expelled") {
        out += &format!("expelled {} for {} s more\n", text(expelled, "key"), expelled["for_s"]);
    }
    if out.is_empty() { "nobody was found to lie\n".to_owned() } else { out }
}
