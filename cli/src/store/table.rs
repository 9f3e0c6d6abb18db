//! What a store holds, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;
use vouchsafe::store::{Report, TopicReport};

use crate::text::printable;

#[derive(Serialize)]
struct Stat<'a> {
    file_bytes: u64,
    topics: Vec<Topic<'a>>,
}

#[derive(Serialize)]
struct Topic<'a> {
    name: &'a str,
    id: String,
    bytes: u64,
    bundles: u64,
    authors: u64,
    floor: u64,
    heads: u64,
    holes: u64,
    not_shown: u64,
    rotten: u64,
}

/// One object, and the end of the line.
pub(super) fn json(report: &Report, file_bytes: u64) -> String {
    let topics = report.topics.iter().map(|topic| Topic {
        name: &topic.name,
        id: topic.id.to_string(),
        bytes: topic.size.bytes,
        bundles: topic.size.bundles,
        authors: topic.size.authors,
        floor: topic.floor,
        heads: topic.heads,
        holes: topic.holes,
        not_shown: topic.unshown,
        rotten: topic.rotten,
    });
    let stat = Stat { file_bytes, topics: topics.collect() };
    // Text and numbers: nothing that could not be written.
    let mut out = serde_json::to_string(&stat).unwrap_or_default();
    out.push('\n');
    out
}

/// A table, a line for each topic.
pub(super) fn text(report: &Report, file_bytes: u64) -> String {
    let mut out = String::new();
    let names: Vec<String> = report.topics.iter().map(|topic| printable(topic.name.as_bytes())).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let head = ["bundles", "authors", "bytes", "holes"];
    // Writing to a string fails at nothing.
    let _ = write!(out, "{:<width$}", "topic");
    out.extend(head.map(|word| format!(" {word:>9}")));
    out.push_str("  id\n");
    for (name, topic) in names.iter().zip(&report.topics) {
        let TopicReport { size, holes, .. } = topic;
        let _ = write!(out, "{name:<width$}");
        let figures =
            [size.bundles.to_string(), size.authors.to_string(), human(size.bytes), holes.to_string()];
        out.extend(figures.map(|figure| format!(" {figure:>9}")));
        let _ = writeln!(out, "  {}", topic.id);
    }
    let _ = writeln!(out, "the file takes {}", human(file_bytes));
    out
}

/// Bytes as people say them.
fn human(bytes: u64) -> String {
    let steps = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match steps.into_iter().find(|(step, _)| bytes >= *step) {
        Some((step, unit)) => format!("{:.1} {unit}", bytes as f64 / step as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_unit_that_fits() {
        assert_eq!(human(1_023), "1023 B");
        assert_eq!(human(1_536), "1.5 KiB");
        assert_eq!(human(3 << 30), "3.0 GiB");
    }
}
