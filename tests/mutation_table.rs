//! Holds docs/mutations.md, and the tables of kept topics, against the code: what they name is there, and their tests exist.

mod sources;

use std::path::PathBuf;

use sources::{read, root, tested};

/// Defence, mutation and tests of each row. (A pipe inside a cell is written `\|`.)
fn rows() -> Vec<[String; 3]> {
    let document = read(&root().join("docs/mutations.md")).replace("\\|", "\u{1}");
    let cells = |line: &str| -> Option<[String; 3]> {
        let cells: Vec<_> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
        cells.try_into().ok()
    };
    let lines = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Defence"));
    lines.filter_map(cells).collect()
}

/// What stands between backticks, each with the words before it.
fn quoted(cell: &str) -> Vec<(&str, &str)> {
    let parts: Vec<_> = cell.split('`').collect();
    parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// `node/actor.rs` is of the library, and what begins with `src/` or `cli/` says so itself.
fn file(name: &str) -> PathBuf {
    let folder = if name.starts_with("src/") || name.starts_with("cli/") { "" } else { "src" };
    root().join(folder).join(name)
}

#[test]
fn what_was_taken_out_is_in_the_code() {
    let (mut quotes, mut stale) = (0, Vec::<String>::new());
    for [defence, mutation, _] in rows() {
        let mut source = None;
        for (before, code) in quoted(&mutation) {
            if code.ends_with(".rs") {
                source = Some(without_spaces(&read(&file(code))));
            } else if !before.ends_with("became ") {
                let source = source.as_ref().unwrap_or_else(|| panic!("{defence}: {code} of which file?"));
                // Two points stand for what was left out of the quote, unless they are in the code.
                let code = without_spaces(code);
                let found = source.contains(&code)
                    || code.split("..").filter(|part| part.len() > 1).all(|part| source.contains(part));
                if !found {
                    stale.push(format!("{defence}: `{code}`"));
                }
                quotes += 1;
            }
        }
    }
    assert!(stale.is_empty(), "no longer in the code, so these rows are to be done again: {stale:#?}");
    assert!(quotes > 100, "only {quotes} quotes were found");
}

#[test]
fn the_tests_that_failed_exist() {
    let all = tested();
    for [defence, _, tests] in rows() {
        for (_, name) in quoted(&tests) {
            let declared = format!("fn {name}(");
            assert!(
                all.iter().any(|source| source.contains(&declared)),
                "{defence}: there is no test named {name}"
            );
        }
    }
}

/// The rows of a section of a document.
fn section(name: &str, title: &str) -> Vec<String> {
    let document = read(&root().join(name));
    let (_, from) = document.split_once(&format!("\n## {title}\n")).expect("the section is there");
    let text = from.split("\n## ").next().unwrap_or_default();
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| What");
    text.lines().filter(is_row).map(str::to_owned).collect()
}

#[test]
fn what_is_said_of_kept_topics_names_what_there_is() {
    let all = tested();
    let has_test = |name: &str| all.iter().any(|source| source.contains(&format!("fn {name}(")));
    let (parameters, promises) =
        (section("docs/history.md", "Parameters"), section("docs/testing.md", "What a kept topic promises"));
    assert!(parameters.len() > 40 && promises.len() > 40);
    let mut constants = 0;
    for row in parameters.iter().chain(&promises) {
        let mut source = read(&root().join("src/protocol/limits.rs"));
        for (_, name) in quoted(row) {
            if name.ends_with(".rs") {
                let folder = if name.starts_with("src/") { "" } else { "src/protocol" };
                source = read(&root().join(folder).join(name));
            } else if name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                && !name.starts_with("VOUCHSAFE")
            {
                assert!(source.contains(&format!("const {name}:")), "{row}: there is no {name}");
                constants += 1;
            } else if name.len() > 12
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            {
                assert!(has_test(name), "{row}: there is no test named {name}");
            }
        }
    }
    assert!(constants > 80, "only {constants} constants were found");
}
