//! The shape of the code, held by a test: imports point only downwards, and the lower rooms touch nothing that a
//! simulation could not repeat.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, lowest first, each with those that it may name. (docs/architecture.md)
const ROOMS: [(&str, &[&str]); 9] = [
    ("key", &[]),
    ("rumor", &["key"]),
    ("verify", &["key", "rumor"]),
    ("wire", &["key", "rumor"]),
    ("protocol", &["key", "rumor", "verify", "wire"]),
    ("store", &["key", "rumor", "verify", "wire", "protocol"]),
    ("net", &["key", "rumor", "verify", "wire", "protocol"]),
    ("sim", &["key", "rumor", "verify", "wire", "protocol"]),
    ("node", &["key", "rumor", "verify", "wire", "protocol", "store", "net"]),
];

/// What makes two runs with the same seed differ.
const OUTSIDE: [&str; 11] = [
    "tokio",
    "quinn",
    "rustls",
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "Instant",
    "SystemTime",
    "getrandom",
    "RandomState",
];

fn files(of: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The files of a room, each with its code: no comments, no tests.
fn code_of(room: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all =
        if src.join(room).is_dir() { files(&src.join(room)) } else { vec![src.join(format!("{room}.rs"))] };
    let is_test = |path: &PathBuf| {
        path.iter().any(|part| part == "tests") || path.file_name().is_some_and(|name| name == "tests.rs")
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        (path, lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join("\n"))
    };
    all.into_iter().filter(|path| !is_test(path)).map(read).collect()
}

/// Whether `word` stands in `code` as a word of its own.
fn names(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(part)
            && !code[at + word.len()..].chars().next().is_some_and(part)
    })
}

#[test]
fn imports_point_only_downwards() {
    for (room, below) in ROOMS {
        let code = code_of(room);
        assert!(!code.is_empty(), "no file in {room}");
        for (path, code) in code {
            for (other, _) in ROOMS.iter().filter(|(other, _)| *other != room && !below.contains(other)) {
                assert!(!names(&code, &format!("crate::{other}")), "{} names {other}", path.display());
            }
            assert!(!code.contains("use crate::{"), "{}: one line for each room, please", path.display());
        }
    }
}

#[test]
fn what_decides_touches_nothing_that_a_seed_does_not_decide() {
    for room in ["rumor", "wire", "protocol"] {
        for (path, code) in code_of(room) {
            for word in OUTSIDE {
                assert!(!names(&code, word), "{} names {word}", path.display());
            }
        }
    }
    // The verifier draws its seed, and only its seed, from the operating system.
    for (path, code) in code_of("verify") {
        for word in OUTSIDE.iter().filter(|word| **word != "getrandom") {
            assert!(!names(&code, word), "{} names {word}", path.display());
        }
    }
    for (path, code) in code_of("sim") {
        for word in OUTSIDE.iter().filter(|word| **word != "std::fs") {
            assert!(!names(&code, word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_checks_above_can_fail() {
    assert!(names("use crate::net::Link;", "crate::net"));
    assert!(!names("use crate::network::Link;", "crate::net"));
    assert!(names("let now = Instant::now();", "Instant"));
    assert!(!names("fn instantly(Instants: u8)", "Instant"));
}
