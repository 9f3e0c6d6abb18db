//! Figures in the text format of Prometheus. Labels are fixed words: no key, no address, no name that a member chose.

use std::fmt::{Display, Write as _};

use serde_json::Value;
use vouchsafe::{Impairment, MemberState};

use super::Shared;
use super::ask::Ask;
use super::reply::{Refusal, Reply, text};
use super::show::Shows;
use crate::process;

/// The format's name.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All impairments, each with its label.
const IMPAIRMENTS: [(Impairment, &str); 13] = [
    (Impairment::Clock, "clock"),
    (Impairment::Silent, "silent"),
    (Impairment::RecordSlow, "record_slow"),
    (Impairment::RecordFailing, "record_failing"),
    (Impairment::StoreSlow, "store_slow"),
    (Impairment::StoreFailing, "store_failing"),
    (Impairment::StoreFull, "store_full"),
    (Impairment::ValidatorsSlow, "validators_slow"),
    (Impairment::Unheard, "unheard"),
    (Impairment::Socket, "socket"),
    (Impairment::NodeKeyInUse, "node_key_in_use"),
    (Impairment::DuplicateWriter, "duplicate_writer"),
    (Impairment::Convicted, "convicted"),
];

/// Lines of one answer.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A figure without a label.
    fn one(&mut self, name: &str, shows: Shows, help: &str, value: impl Display) {
        let name = self.head(name, shows, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// A figure for each of some words.
    fn each<'a>(
        &mut self,
        name: &str,
        shows: Shows,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        let name = self.head(name, shows, help);
        for (word, value) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{word}\"}} {value}");
        }
    }

    fn head(&mut self, name: &str, shows: Shows, help: &str) -> String {
        let (end, kind) = match shows {
            Shows::Total => ("_total", "counter"),
            Shows::Now => ("", "gauge"),
        };
        let name = format!("vouchsafe_{name}{end}");
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        name
    }
}

/// All of them.
pub(super) async fn metrics(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let mut lines = Lines::default();
    node(&mut lines, shared).await?;
    for (name, shows, value) in shared.figures() {
        lines.one(name, shows, "Of the agent; see docs/operations.md.", value);
    }
    let version = env!("CARGO_PKG_VERSION");
    lines.each("build_info", Shows::Now, "The version of the agent.", "version", [(version, 1)]);
    lines.one(
        "start_time_seconds",
        Shows::Now,
        "When the agent began, Unix seconds.",
        shared.agent.started_ms / 1000,
    );
    if let Some(bytes) = process::memory() {
        lines.one("resident_memory_bytes", Shows::Now, "Memory of the agent.", bytes);
    }
    if let Some(seconds) = process::cpu_seconds() {
        lines.one("cpu_seconds", Shows::Total, "Processor time of the agent.", seconds);
    }
    Ok(text(KIND, lines.0))
}

async fn node(lines: &mut Lines, shared: &Shared) -> Result<(), Refusal> {
    use Shows::{Now, Total};
    let stats = shared.agent.stats().await?;
    let members = shared.agent.members().await?;
    for (name, value) in stats.counters.list() {
        lines.one(name, Total, "A counter of the node; docs.rs has its meaning.", value);
    }
    let live = stats.links.iter().filter(|link| link.live);
    lines.one("links", Now, "Links that are up.", live.clone().count());
    let queued: usize = live.clone().map(|link| link.queued_bytes).sum();
    lines.one("link_queued_bytes", Now, "Bytes that wait for links, all together.", queued);
    let longest = live.map(|link| link.rtt).max().unwrap_or_default();
    lines.one("link_round_trip_max_seconds", Now, "The longest round trip of a link.", longest.as_secs_f64());
    let state = |state: MemberState| match state {
        MemberState::Alive => "alive",
        MemberState::Stale => "stale",
        MemberState::Failed(_) => "failed",
        MemberState::Left => "left",
        _ => "unknown",
    };
    let count = |word| (word, members.values().filter(|member| state(member.state) == word).count() as u64);
    let words = ["unknown", "alive", "stale", "failed", "left"];
    lines.each("members", Now, "Members, by their state.", "state", words.map(count));
    let holds = |what| stats.impaired.iter().any(|(now, _)| *now == what);
    let impaired = IMPAIRMENTS.map(|(what, word)| (word, u64::from(holds(what))));
    lines.each("impaired", Now, "1 while something keeps the node from its work.", "what", impaired);
    let bundles: usize = stats.topics.iter().map(|topic| topic.bundles).sum();
    let bodies: usize = stats.topics.iter().map(|topic| topic.body_bytes).sum();
    lines.one("topics", Now, "Topics that the node relays.", stats.topics.len());
    lines.one("topic_bundles", Now, "Bundles in the index of all topics.", bundles);
    lines.one("topic_body_bytes", Now, "Bytes of bodies in memory.", bodies);
    lines.one("waiting_verification", Now, "Signatures that wait.", stats.waiting_verification);
    lines.one("wants", Now, "Announced ids that the node lacks.", stats.wants);
    if let Some(ago) = stats.heard_ago {
        lines.one("heard_ago_seconds", Now, "Since a peer has brought something new.", ago.as_secs_f64());
    }
    lines.one("banned", Now, "Node keys that are banned.", stats.banned.len());
    lines.one("expelled", Now, "Node keys that are expelled.", stats.expelled.len());
    lines.one("convicted", Now, "Authors that are convicted.", stats.convicted.len());
    lines.one("dials", Total, "Dials begun.", stats.dials);
    lines.one("candidates", Now, "Candidates that are remembered.", stats.candidates);
    lines.one("socket_errors", Total, "Errors of the UDP socket.", stats.socket.errors);
    lines.one("anchor_errors", Total, "Errors of the file of anchors.", stats.anchor_errors);
    if let Ok(Value::Object(refusals)) = serde_json::to_value(stats.refusals) {
        let refusals: Vec<_> =
            refusals.iter().filter_map(|(why, count)| Some((why.as_str(), count.as_u64()?))).collect();
        lines.each("handshakes_refused", Total, "Handshakes refused, by reason.", "why", refusals);
    }
    Ok(())
}
