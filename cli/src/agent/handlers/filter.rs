//! What a handler is run for.

use std::fmt;

use crate::agent::happening::{Happening, KINDS};
use crate::agent::words::is_name;

/// Words of a filter. (Guess: there are not so many kinds of events.)
const MOST_WORDS: usize = 64;

/// One word of `on`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// `*`: everything but rumors and queries.
    All,
    /// A kind of event, by its name.
    Kind(&'static str),
    /// `event`: every event that an operator or program has sent. `event:NAME`: those of that name.
    Event(Option<String>),
    /// `query:NAME`: questions of that name, which the handler answers.
    Query(String),
    /// `rumor:TOPIC`: what is said in a topic.
    Rumor(String),
}

impl Filter {
    /// Whether it is about such a thing.
    pub(crate) fn takes(&self, happening: &Happening) -> bool {
        let kind = happening.kind();
        match self {
            Self::All => !matches!(kind, "rumor" | "query"),
            Self::Kind(wanted) => kind == *wanted,
            Self::Event(None) => kind == "event",
            Self::Event(Some(name)) => kind == "event" && happening.name() == Some(name),
            Self::Query(name) => kind == "query" && happening.name() == Some(name),
            Self::Rumor(topic) => kind == "rumor" && happening.name() == Some(topic),
        }
    }
}

/// Reads the words of `on`, with commas between them.
pub(crate) fn filters(text: &str) -> Result<Vec<Filter>, String> {
    let words: Vec<_> = text.split(',').map(str::trim).collect();
    if words.len() > MOST_WORDS {
        return Err(format!("at most {MOST_WORDS} words"));
    }
    words.into_iter().map(filter).collect()
}

fn filter(word: &str) -> Result<Filter, String> {
    let named = |name: &str| match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(format!("{word:?}: a name has 1 to 64 letters, digits, dots, dashes and underscores")),
    };
    match word.split_once(':') {
        Some(("event", name)) => Ok(Filter::Event(Some(named(name)?))),
        Some(("query", name)) => Ok(Filter::Query(named(name)?)),
        Some(("rumor", topic)) if !topic.is_empty() => Ok(Filter::Rumor(topic.to_owned())),
        None if word == "*" => Ok(Filter::All),
        None if word == "event" => Ok(Filter::Event(None)),
        _ => {
            let kind = KINDS.iter().find(|kind| **kind == word && !matches!(**kind, "query" | "rumor"));
            kind.map(|kind| Filter::Kind(kind)).ok_or_else(|| {
                let kinds = KINDS.join(", ");
                format!(
                    "{word:?} is no event: give *, event:NAME, query:NAME, rumor:TOPIC, or one of {kinds}"
                )
            })
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Kind(kind) => f.write_str(kind),
            Self::Event(None) => f.write_str("event"),
            Self::Event(Some(name)) => write!(f, "event:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Rumor(topic) => write!(f, "rumor:{topic}"),
        }
    }
}
