//! What there is: the node, its topics, its members, its figures, and who was found to lie.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use vouchsafe::rumor::Kind;

use super::Shared;
use super::ask::Ask;
use super::limits::{ALONE, STREAMS};
use super::reply::{Refusal, Reply, object};
use crate::agent::core::Joined;
use crate::agent::log;
use crate::members;

/// The node itself.
pub(super) async fn info(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let agent = &shared.agent;
    let node = &agent.node;
    let stats = agent.stats().await?;
    let members = agent.members().await?;
    let here = members.values().filter(|member| member.state.is_here()).count();
    Ok(object(&json!({
        "node": node.id().to_string(),
        "author": node.author().to_string(),
        "network": agent.network,
        "network_id": node.network().to_string(),
        "address": node.addr().map(|addr| addr.to_string()),
        "listen": node.local_addr().to_string(),
        "links": stats.links.iter().filter(|link| link.live).count(),
        "members_here": here,
        "impaired": impaired(&stats.impaired),
        "topics": agent.topics().keys().collect::<Vec<_>>(),
        "state": Some(agent.state.display().to_string()).filter(|path| !path.is_empty()),
        "profile": agent.profile,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started_ms": agent.started_ms,
    })))
}

/// What keeps it from its work, with what to do.
fn impaired(of: &[(vouchsafe::Impairment, std::time::Duration)]) -> Vec<Value> {
    let one = |(what, since): &(vouchsafe::Impairment, std::time::Duration)| {
        json!({
            "what": format!("{what:?}"),
            "for_s": since.as_secs(),
            "text": what.to_string(),
            "remedy": what.remedy(),
        })
    };
    of.iter().map(one).collect()
}

/// Its topics, with their rules.
pub(super) fn topics(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let topics: Vec<_> = shared.agent.topics().iter().map(|(name, topic)| rules(name, topic)).collect();
    Ok(object(&json!({ "topics": topics })))
}

fn rules(name: &str, topic: &Joined) -> Value {
    let rules = topic.handle.rules();
    let (kind, keys) = match rules.kind() {
        Kind::State { max_keys } => ("state", Some(max_keys)),
        _ => ("log", None),
    };
    let repair = topic.handle.repairing().ok().map(|progress| {
        json!({
            "links": progress.links,
            "caught_up": progress.caught_up,
            "missing": progress.holes + progress.claims,
            "repaired": progress.repaired,
        })
    });
    json!({
        "name": name,
        "id": topic.handle.id().to_string(),
        "kind": kind,
        "keys": keys,
        "kept": rules.is_kept(),
        "max_body": rules.max_body(),
        "repair": repair,
    })
}

/// The members.
pub(super) async fn members(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let members = shared.agent.members().await?;
    let members: Vec<_> = members.values().map(members::json).collect();
    Ok(object(&json!({ "members": members })))
}

/// What is behind the state of a member, checked.
pub(super) async fn explain(shared: &Shared, ask: &mut Ask) -> Result<Reply, Refusal> {
    let key = ask.key("key")?;
    let key = key.ok_or_else(|| Refusal::bad("the parameter key is missing: add ?key=..."))?;
    ask.no_more()?;
    let node = &shared.agent.node;
    let found = node.explain(&key).await?;
    let found = found.ok_or_else(|| {
        Refusal::absent(format!("{key} is no member that this node knows: /v1/members lists them"))
    })?;
    found.verify(node.network()).map_err(Refusal::failed)?;
    Ok(object(&json!({
        "member": members::json(&found.member),
        "record": {
            "position": found.record.header().position().to_string(),
            "id": found.record.id().to_string(),
            "bundle": hex::encode(found.record.encoded()),
        },
        "last_sign_s": found.last_sign_s(),
        "text": members::explained(&found),
        "holds": true,
    })))
}

/// Figures of the node, and of the agent.
pub(super) async fn stats(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let stats = shared.agent.stats().await?;
    let node = serde_json::to_value(&*stats).map_err(Refusal::failed)?;
    let agent: serde_json::Map<_, _> =
        shared.figures().into_iter().map(|(name, _, value)| (name.to_owned(), value.into())).collect();
    Ok(object(&json!({ "node": node, "agent": agent })))
}

/// Who lied, with the proof.
pub(super) async fn evidence(shared: &Shared, ask: &Ask) -> Result<Reply, Refusal> {
    ask.no_more()?;
    let stats = shared.agent.stats().await?;
    let mut value = shared.agent.book().json(&stats.convicted);
    value["banned"] = stats.banned.iter().map(ToString::to_string).collect();
    let expelled = stats.expelled.iter();
    value["expelled"] =
        expelled.map(|(key, left)| json!({ "key": key.to_string(), "for_s": left.as_secs() })).collect();
    Ok(object(&value))
}

/// Whether a figure counts up, or shows what is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Total,
    Now,
}

impl Shared {
    /// What the agent itself counts.
    pub(super) fn figures(&self) -> Vec<(&'static str, Shows, u64)> {
        use Shows::{Now, Total};
        let get = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let (counts, handlers) = (&self.counts, self.agent.handlers.counts());
        let taken = |of: usize, free: &tokio::sync::Semaphore| (of - free.available_permits()) as u64;
        vec![
            ("api_requests", Total, get(&counts.requests)),
            ("api_refused", Total, get(&counts.refused)),
            ("api_turned_away", Total, get(&counts.turned_away)),
            ("api_streams_cut", Total, get(&counts.cut)),
            ("api_connections", Now, taken(self.places, &self.connections)),
            ("api_streams", Now, taken(STREAMS, &self.streams)),
            ("api_streams_alone", Now, taken(ALONE, &self.alone)),
            ("handler_runs", Total, get(&handlers.runs)),
            ("handler_failed", Total, get(&handlers.failed)),
            ("handler_killed", Total, get(&handlers.killed)),
            ("handler_overflow", Total, get(&handlers.overflow)),
            ("handler_late", Total, get(&handlers.late)),
            ("handler_output_left_out_bytes", Total, get(&handlers.output_left_out)),
            ("log_lines_left_out", Total, log::left_out()),
            ("events_odd", Total, get(&self.agent.odd)),
            ("events_lagged", Total, get(&self.agent.lagged)),
        ]
    }
}
