//! What happens to an agent and its network, as handlers and those who watch are told it.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use vouchsafe::{Event, Member, MemberEvent, Position, PublicKey, Rumor};

use crate::members;
use crate::text::printable;

/// The names of all kinds.
pub(crate) const KINDS: [&str; 35] = [
    "member-joined",
    "member-updated",
    "member-restarted",
    "member-unreachable",
    "member-reachable",
    "member-stale",
    "member-failed",
    "member-left",
    "member-returned",
    "member-removed",
    "member-duplicate-identity",
    "isolated",
    "link-up",
    "link-down",
    "link-refused",
    "dial-failed",
    "node-key-shared",
    "offence",
    "convicted",
    "duplicate-writer",
    "clock-skew",
    "caught-up",
    "filled",
    "hole",
    "author-forked",
    "store-damaged",
    "clock-behind",
    "impaired",
    "recovered",
    "stopped",
    "lagged",
    "away",
    "event",
    "query",
    "rumor",
];

/// Something that happened, and when.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    /// Unix time in milliseconds, by this machine's clock.
    at_ms: u64,
    what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// To a member, and how it is shown now.
    Member(MemberEvent, Option<Box<Member>>),
    /// To the node.
    Node(Event),
    /// So much came faster than the agent has read it, of one of the node's streams.
    Lagged { of: &'static str, count: u64 },
    /// The node was cut off or stood still, and has missed what was said meanwhile.
    Away { of: &'static str, from_ms: u64, to_ms: u64 },
    /// Somebody has sent an event.
    Event { name: String, payload: Bytes, author: PublicKey, position: Position },
    /// Somebody asks.
    Query { name: String, payload: Bytes, asker: PublicKey },
    /// Something was said in a topic.
    Rumor { topic: String, rumor: Rumor },
}

impl Happening {
    /// It happens now.
    pub(crate) fn now(what: What) -> Self {
        Self { at_ms: unix_ms(), what }
    }

    pub(crate) const fn at_ms(&self) -> u64 {
        self.at_ms
    }

    pub(crate) const fn what(&self) -> &What {
        &self.what
    }

    /// Its kind, one of [`KINDS`].
    pub(crate) const fn kind(&self) -> &'static str {
        match &self.what {
            What::Member(event, _) => of_member(event),
            What::Node(event) => of_node(event),
            What::Lagged { .. } => "lagged",
            What::Away { .. } => "away",
            What::Event { .. } => "event",
            What::Query { .. } => "query",
            What::Rumor { .. } => "rumor",
        }
    }

    /// The name of an event or query, or of the topic of a rumor.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.what {
            What::Event { name, .. } | What::Query { name, .. } => Some(name),
            What::Rumor { topic, .. } => Some(topic),
            _ => None,
        }
    }

    /// As one object.
    pub(crate) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("kind".into(), self.kind().into());
        object.insert("at_ms".into(), self.at_ms.into());
        match &self.what {
            What::Member(event, member) => {
                object.insert("text".into(), event.to_string().into());
                if let Some(key) = event.member() {
                    object.insert("key".into(), key.to_string().into());
                }
                if let Some(member) = member {
                    object.insert("member".into(), members::json(member));
                }
            }
            What::Node(event) => {
                object.insert("text".into(), printable(event.to_string().as_bytes()).into());
                object.insert("detail".into(), detail(event));
            }
            What::Lagged { of, count } => {
                let text =
                    format!("{count} of what the node tells of {of} was not read in time, and is not told");
                object.insert("text".into(), text.into());
                object.insert("detail".into(), json!({ "of": of, "count": count }));
            }
            What::Away { of, from_ms, to_ms } => {
                let text =
                    format!("this node was away: {of} of others from {from_ms} to {to_ms} may be missing");
                object.insert("text".into(), text.into());
                object.insert("detail".into(), json!({ "of": of, "from_ms": from_ms, "to_ms": to_ms }));
            }
            What::Event { name, payload, author, position } => {
                object.insert("name".into(), name.as_str().into());
                object.insert("author".into(), author.to_string().into());
                object.insert("position".into(), position.to_string().into());
                bytes(&mut object, "payload", payload);
            }
            What::Query { name, payload, asker } => {
                object.insert("name".into(), name.as_str().into());
                object.insert("asker".into(), asker.to_string().into());
                bytes(&mut object, "payload", payload);
            }
            What::Rumor { topic, rumor: said } => {
                object.insert("topic".into(), topic.as_str().into());
                rumor(&mut object, said);
            }
        }
        Value::Object(object)
    }
}

/// The fields of an event, without its name. Evidence as it can be copied, and judged by `vouchsafe inspect`.
fn detail(event: &Event) -> Value {
    if let Event::Convicted { evidence } = event {
        return json!({ "author": evidence.author().to_string(), "evidence": hex::encode(evidence.encode()) });
    }
    match serde_json::to_value(event) {
        Ok(Value::Object(of)) => of.into_iter().next().map(|(_, fields)| fields).unwrap_or_default(),
        _ => Value::Null,
    }
}

/// Bytes as a text, if they are one; else by another name, so that nobody takes their digits for what was said.
pub(crate) fn bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => object.insert(format!("{name}_hex"), hex::encode(bytes).into()),
    };
}

/// The fields of a rumor.
pub(crate) fn rumor(object: &mut Map<String, Value>, rumor: &Rumor) {
    object.insert("id".into(), rumor.id().to_string().into());
    object.insert("author".into(), rumor.author().to_string().into());
    object.insert("position".into(), rumor.position().to_string().into());
    bytes(object, "body", rumor.body());
}

/// Unix time in milliseconds.
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

const fn of_member(event: &MemberEvent) -> &'static str {
    match event {
        MemberEvent::Joined(_) => "member-joined",
        MemberEvent::Restarted(_) => "member-restarted",
        MemberEvent::Unreachable(_) => "member-unreachable",
        MemberEvent::Reachable(_) => "member-reachable",
        MemberEvent::Stale(_) => "member-stale",
        MemberEvent::Failed(..) => "member-failed",
        MemberEvent::Left(_) => "member-left",
        MemberEvent::Returned(_) => "member-returned",
        MemberEvent::Removed(_) => "member-removed",
        MemberEvent::DuplicateIdentity(_) => "member-duplicate-identity",
        MemberEvent::Isolated => "isolated",
        // What a later library tells of a member is at least news of it.
        _ => "member-updated",
    }
}

const fn of_node(event: &Event) -> &'static str {
    match event {
        Event::PeerUp { .. } => "link-up",
        Event::PeerDown { .. } => "link-down",
        Event::LinkRefused { .. } => "link-refused",
        Event::DialFailed { .. } => "dial-failed",
        Event::NodeKeyShared { .. } => "node-key-shared",
        Event::Offence { .. } => "offence",
        Event::Convicted { .. } => "convicted",
        Event::DuplicateWriter { .. } => "duplicate-writer",
        Event::ClockSkew { .. } => "clock-skew",
        Event::CaughtUp { .. } => "caught-up",
        Event::Filled { .. } => "filled",
        Event::Hole { .. } => "hole",
        Event::AuthorForked { .. } => "author-forked",
        Event::StoreDamaged { .. } => "store-damaged",
        Event::ClockBehind { .. } => "clock-behind",
        Event::Impaired { .. } => "impaired",
        Event::Recovered { .. } => "recovered",
        Event::Stopped { .. } => "stopped",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use vouchsafe::{FailedWhy, Impairment, SecretKey};

    use super::*;

    #[test]
    fn what_happens_is_one_object_with_a_known_kind() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let failed = Happening::now(What::Member(MemberEvent::Failed(key, FailedWhy::Lease), None)).json();
        assert_eq!((&failed["kind"], &failed["key"]), (&json!("member-failed"), &json!(key.to_string())));
        let impaired = Event::Impaired { what: Impairment::Clock, until_ms: None };
        let impaired = Happening::now(What::Node(impaired)).json();
        assert_eq!(impaired["detail"]["what"], "Clock");
        let payload = Bytes::from_static(b"\xff");
        let position = Position { tick: 7, slot: 1 };
        let event = What::Event { name: "deploy".into(), payload, author: key, position };
        let event = Happening::now(event);
        assert_eq!(event.json()["payload_hex"], "ff");
        for kind in [failed["kind"].as_str().unwrap(), "impaired", event.kind()] {
            assert!(KINDS.contains(&kind));
        }
    }
}
