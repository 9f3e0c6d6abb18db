//! Holds docs/mutations.md against the code: what it says was taken out is there to be taken out, and its tests exist.

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
