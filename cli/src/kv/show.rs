//! A key and its value, for people and for programs.

use bytes::Bytes;
use serde_json::{Map, Value};
use vouchsafe::{Position, PublicKey};

use crate::exit::{self, Failure};
use crate::node::aside;
use crate::text::printable;

/// What is shown of a key: what is not known is left out.
#[derive(Default)]
pub(super) struct Shown<'a> {
    /// What became of it, where that is told.
    pub(super) change: Option<&'a str>,
    pub(super) author: Option<PublicKey>,
    pub(super) position: Option<Position>,
    pub(super) key: Option<&'a Bytes>,
    pub(super) value: Option<&'a Bytes>,
}

impl Shown<'_> {
    /// "CHANGE AUTHOR POSITION KEY", and behind a tab the value: no tab stands before it, since control characters are escaped.
    pub(super) fn line(&self) -> String {
        let author = self.author.map(|author| author.short().to_string());
        let words = [
            self.change.map(str::to_owned),
            author,
            self.position.map(|position| position.to_string()),
            self.key.map(|key| printable(key)),
        ];
        let line = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        match self.value {
            Some(value) => format!("{line}\t{}\n", printable(value)),
            None => format!("{line}\n"),
        }
    }

    /// One object, and the end of the line.
    pub(super) fn json(&self) -> String {
        let mut object = Map::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                object.insert(name.to_owned(), Value::String(value));
            }
        };
        add("change", self.change.map(str::to_owned));
        add("author", self.author.map(|author| author.to_string()));
        add("position", self.position.map(|position| position.to_string()));
        for (name, bytes) in [("key", self.key), ("value", self.value)] {
            let Some(bytes) = bytes else { continue };
            // What is no text goes by another name, so that nobody takes its digits for what was written.
            match std::str::from_utf8(bytes) {
                Ok(text) => add(name, Some(text.to_owned())),
                Err(_) => add(&format!("{name}_hex"), Some(hex::encode(bytes))),
            }
        }
        format!("{}\n", Value::Object(object))
    }

    /// Prints it, beside whatever moves on the terminal.
    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        let text = if json { self.json() } else { self.line() };
        aside(|| exit::print(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_be_told_from_its_key_whatever_is_in_them() {
        let [text, tab, raw] = ["v", "a\tb", "\u{202e}"].map(Bytes::from);
        let position = Some(Position { tick: 7, slot: 1 });
        let shown = Shown { position, key: Some(&tab), value: Some(&text), ..Shown::default() };
        assert_eq!(shown.line(), "7/1 a\\tb\tv\n");
        assert_eq!(shown.json(), "{\"key\":\"a\\tb\",\"position\":\"7/1\",\"value\":\"v\"}\n");
        let shown = Shown { key: Some(&text), value: Some(&raw), ..Shown::default() };
        assert_eq!(shown.line(), "v\t\\u{202e}\n");
        let raw = Bytes::from_static(b"\xff\0");
        let shown = Shown { key: Some(&raw), ..Shown::default() };
        assert_eq!(shown.json(), "{\"key_hex\":\"ff00\"}\n");
    }
}
