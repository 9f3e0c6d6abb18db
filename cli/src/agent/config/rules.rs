//! Topics of a configuration: their names, and the rules that all of a network must agree on.

use vouchsafe::rumor::{MAX_BODY, MAX_SLOTS};
use vouchsafe::{Authors, NetworkId, PublicKey, RuleError, Topic};

use super::table::Table;
use super::values::duration;
use super::{EVENTS, Topics};
use crate::node::parse_retention;

/// Keys that an author may have in a topic of state, unless it is said: as `vouchsafe kv` has it.
const KEYS: u32 = 1_024;

/// A `[[topic]]`.
pub(super) fn topic(table: Table<'_>, network: &str) -> Option<Topics> {
    let name = table.text("name");
    let topic = Topic::named(name.as_ref().map_or("", |name| &name.value));
    let keys = table.number("keys", 1..=u32::MAX);
    let topic = match table.text("kind") {
        None => match keys {
            Some(keys) => topic.state(keys),
            None => topic,
        },
        Some(kind) if kind.value == "state" => topic.state(keys.unwrap_or(KEYS)),
        Some(kind) if kind.value == "log" => {
            if keys.is_some() {
                table.fault(&kind.span, "a log has no keys: leave out keys, or give kind = \"state\"");
            }
            topic
        }
        Some(kind) => {
            table.fault(&kind.span, format!("kind = {:?}: give log or state", kind.value));
            topic
        }
    };
    let topic = match table.parsed("retention", parse_retention) {
        Some(retention) => retention.of(topic),
        None => topic,
    };
    let topic = common(&table, topic);
    let name = match name {
        Some(name) if name.value == EVENTS => {
            table.fault(&name.span, format!("{EVENTS:?} is the topic of events: [events] has its rules"));
            None
        }
        None => {
            table.fault(table.span(), "[[topic]] has no name: give name = \"...\"");
            None
        }
        name => name,
    };
    let name = name.filter(|_| is_one(&table, &topic, network));
    table.end();
    Some(Topics { name: name?.value, topic })
}

/// Whether the rules are ones that a topic can have.
fn is_one(table: &Table<'_>, topic: &Topic, network: &str) -> bool {
    let Err(error) = topic.bind(NetworkId::of(network)) else { return true };
    let key = match &error {
        RuleError::Slots => "slots",
        RuleError::TickLen(_) => "tick",
        RuleError::MaxBody(_) => "max_body",
        RuleError::Retention(_) => "retention",
        RuleError::Keys => "keys",
        RuleError::Authors(_) => "authors",
        _ => "name",
    };
    table.fault(&table.span_of(key), format!("{key}: {error}"));
    false
}

/// The table `[events]`.
pub(super) fn events(table: Table<'_>, network: &str) -> Topic {
    let topic = common(&table, super::events());
    is_one(&table, &topic, network);
    table.end();
    topic
}

/// What every topic may be told.
fn common(table: &Table<'_>, topic: Topic) -> Topic {
    let topic = match table.number("slots", 1..=u32::from(MAX_SLOTS)) {
        Some(slots) => topic.slots_per_tick(u16::try_from(slots).unwrap_or(MAX_SLOTS)),
        None => topic,
    };
    let topic = match table.number("max_body", 1..=MAX_BODY) {
        Some(bytes) => topic.max_body(bytes),
        None => topic,
    };
    let topic = match table.parsed("tick", duration) {
        Some(tick) => topic.tick_len(tick),
        None => topic,
    };
    let key = |text: &str| text.parse::<PublicKey>().map_err(|error| error.to_string());
    let owner = table.parsed("owner", key);
    let authors = table.all_parsed("authors", key);
    match (owner, authors) {
        (None, None) => topic,
        (None, Some(authors)) => topic.authors(Authors::Listed(authors)),
        (Some(owner), None) => topic.authors(Authors::Owned(owner)),
        (Some(_), Some(_)) => {
            let what = "authors and owner can't be both: the owner says who the authors are";
            table.fault(&table.span_of("owner"), what);
            topic
        }
    }
}
