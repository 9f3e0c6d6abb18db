//! Members, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;
use vouchsafe::rumor::MemberRecord;
use vouchsafe::{Explanation, FailedWhy, Member, MemberEvent, MemberLink, MemberState};

use crate::text::{printable, time_of_day};

#[derive(Serialize)]
struct Json<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    key: String,
    state: &'a str,
    since_ms: u64,
    boot_ms: u64,
    period_s: u64,
    link: &'a str,
    addresses: Vec<String>,
    metadata: String,
}

const fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Unknown => "unknown",
        MemberState::Alive => "alive",
        MemberState::Stale => "stale",
        MemberState::Failed(FailedWhy::Convicted) => "convicted",
        MemberState::Failed(FailedWhy::Stalled) => "stalled",
        MemberState::Failed(_) => "failed",
        MemberState::Left => "left",
        _ => "other",
    }
}

const fn link(link: MemberLink) -> &'static str {
    match link {
        MemberLink::Up => "up",
        MemberLink::Quiet { .. } => "quiet",
        _ => "none",
    }
}

const fn name(event: &MemberEvent) -> &'static str {
    match event {
        MemberEvent::Joined(_) => "joined",
        MemberEvent::Updated(_) => "updated",
        MemberEvent::Restarted(_) => "restarted",
        MemberEvent::Unreachable(_) => "unreachable",
        MemberEvent::Reachable(_) => "reachable",
        MemberEvent::Stale(_) => "stale",
        MemberEvent::Failed(..) => "failed",
        MemberEvent::Left(_) => "left",
        MemberEvent::Returned(_) => "returned",
        MemberEvent::Removed(_) => "removed",
        MemberEvent::DuplicateIdentity(_) => "duplicate-identity",
        MemberEvent::Isolated => "isolated",
        _ => "other",
    }
}

fn of<'a>(member: &Member, event: Option<&'a str>) -> Json<'a> {
    Json {
        event,
        key: member.key.to_string(),
        state: state(member.state),
        since_ms: member.since_ms,
        boot_ms: member.boot_ms,
        period_s: member.period.as_secs(),
        link: link(member.link),
        addresses: member.addresses.iter().map(ToString::to_string).collect(),
        metadata: printable(&member.metadata),
    }
}

/// One object, for those who put it into another.
pub(super) fn value(member: &Member) -> serde_json::Value {
    serde_json::to_value(of(member, None)).unwrap_or_default()
}

/// One object, without the end of the line.
pub(super) fn json(member: &Member) -> String {
    // Text and numbers: nothing that could not be written.
    serde_json::to_string(&of(member, None)).unwrap_or_default()
}

/// The same, with what happened; of a member that is no longer known, and of the node itself, only that.
pub(super) fn json_event(event: &MemberEvent, member: Option<&Member>) -> String {
    match member {
        Some(member) => serde_json::to_string(&of(member, Some(name(event)))).unwrap_or_default(),
        None => {
            let key = event.member().map(ToString::to_string);
            serde_json::json!({ "event": name(event), "key": key }).to_string()
        }
    }
}

/// One line.
pub(super) fn event(event: &MemberEvent) -> String {
    event.to_string()
}

/// A table, a line for each member, of which each is an object.
pub(super) fn table(members: &[serde_json::Value]) -> String {
    let mut out =
        String::from("KEY      STATE     LINK  SINCE         PERIOD  ADDRESS                METADATA\n");
    for member in members {
        let text = |name: &str| member[name].as_str().unwrap_or_default();
        let number = |name: &str| member[name].as_u64().unwrap_or_default();
        let address = member["addresses"][0].as_str().unwrap_or("-");
        let metadata: String = printable(text("metadata").as_bytes()).chars().take(60).collect();
        let short: String = text("key").chars().take(8).collect();
        // Writing to a string fails at nothing.
        let _ = writeln!(
            out,
            "{short} {:<9} {:<5} {} {:>5} s  {address:<22} {metadata}",
            text("state"),
            text("link"),
            time_of_day(number("since_ms")),
            number("period_s"),
        );
    }
    out
}

/// What is behind a state, a line for each fact.
pub(super) fn explanation(found: &Explanation, record: Option<MemberRecord>) -> String {
    let member = &found.member;
    let mut out = String::new();
    let _ = writeln!(out, "member      {}", member.key);
    let _ = writeln!(out, "state       {} since {}", state(member.state), time_of_day(member.since_ms));
    let at = found.record.header().position();
    let _ = writeln!(out, "record      signed by it at {at}, id {}", found.record.id());
    match record {
        Some(MemberRecord::Beacon(beacon)) => {
            let _ =
                writeln!(out, "says        it is here, with a sign of life every {} s", beacon.chain.epoch_s);
            for address in &beacon.addresses {
                let _ = writeln!(out, "address     {address}");
            }
            if !beacon.metadata.is_empty() {
                let _ = writeln!(out, "metadata    {}", printable(&beacon.metadata));
            }
        }
        Some(MemberRecord::Leave { .. }) => out.push_str("says        it has left\n"),
        None => {}
    }
    match found.last_sign_s() {
        Some(seconds) => {
            let _ = writeln!(
                out,
                "newest sign {}, a value of its chain",
                time_of_day(seconds.saturating_mul(1000))
            );
        }
        None => out.push_str("newest sign its record\n"),
    }
    out.push_str("checked     the signature and the chain hold\n");
    out
}
