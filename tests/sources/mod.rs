//! The files of this repository, for tests that hold documents against code.

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Rust sources that have tests, of all packages.
pub(crate) fn tested() -> Vec<String> {
    let mut all = Vec::new();
    for folder in ["src", "tests", "cli/src", "cli/tests", "lab/src", "lab/tests", "testkit/tests"] {
        sources(&root().join(folder), &mut all);
    }
    all
}

/// All Rust sources under `folder`.
fn sources(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|end| end == "rs") {
            out.push(read(&path));
        }
    }
}
