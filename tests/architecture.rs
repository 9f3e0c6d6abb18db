//! The shape of the code, held by a test: imports point only downwards, and the lower layers touch nothing that a
//! simulation could not repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first, each with those that it may name. (docs/architecture.md)
const LAYERS: [(&str, &[&str]); 9] = [
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
const OUTSIDE: [&str; 10] = [
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

/// The files of a layer, each with its code: no comments, no tests.
fn code_of(layer: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let all = if src.join(layer).is_dir() {
        files(&src.join(layer))
    } else {
        vec![src.join(format!("{layer}.rs"))]
    };
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
    for (layer, below) in LAYERS {
        let code = code_of(layer);
        assert!(!code.is_empty(), "no file in {layer}");
        for (path, code) in code {
            for (other, _) in LAYERS.iter().filter(|(other, _)| *other != layer && !below.contains(other)) {
                assert!(!names(&code, &format!("crate::{other}")), "{} names {other}", path.display());
            }
            assert!(!code.contains("use crate::{"), "{}: one line for each layer, please", path.display());
        }
    }
}

/// The module paths that `code` names below `prefix` (`crate::protocol::`), each by its first word: what follows the prefix, or what
/// stands in the braces that follow it.
fn named_below<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let first = |path: &'a str| {
        path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
    };
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((list, _)) => found.extend(list.split(',').map(first)),
            None => drop(found.insert(first(rest))),
        }
    }
    found.remove("");
    found
}

/// Which units of a module import which: its files and folders, but for `mod.rs`, whose re-exports stand for the units that they
/// come from.
fn imports_of(module: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module.replace("::", "/"));
    let code: Vec<(String, usize, String)> = code_of(&module.replace("::", "/"))
        .into_iter()
        .map(|(path, code)| {
            let inside = path.strip_prefix(&folder).unwrap().with_extension("");
            let depth = inside.iter().count() - usize::from(inside.ends_with("mod"));
            (inside.iter().next().unwrap().to_str().unwrap().to_owned(), depth, code)
        })
        .collect();
    let root = code.iter().find(|(unit, ..)| unit == "mod").map_or("", |(_, _, code)| code);
    let re_exports = root
        .split(';')
        .filter_map(|line| line.split_once("use ").filter(|(before, _)| before.contains("pub")));
    let mut homes = BTreeMap::new();
    for (_, path) in re_exports {
        let Some((unit, names)) = path.split_once("::") else { continue };
        for name in names.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty()) {
            homes.insert(name, unit);
        }
    }
    let units: BTreeSet<&str> =
        code.iter().map(|(unit, ..)| unit.as_str()).filter(|unit| *unit != "mod").collect();
    let mut imports = BTreeMap::<String, BTreeSet<String>>::new();
    for (unit, depth, code) in code.iter().filter(|(unit, ..)| unit != "mod") {
        let absolute = format!("crate::{module}::");
        // A path that climbs out of the unit, and no further.
        let relative = "super::".repeat(*depth);
        let climbs = code.replace(&format!("super::{relative}"), "");
        for name in named_below(code, &absolute).union(&named_below(&climbs, &relative)) {
            let home = homes.get(name).copied().unwrap_or(name);
            if home != unit && units.contains(home) {
                imports.entry(unit.clone()).or_default().insert(home.to_owned());
            }
        }
    }
    imports
}

/// Units that import each other, directly or by way of others: what is left when all are gone that import, or are imported by,
/// nothing but what is gone.
fn cycle(mut imports: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    loop {
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        let used: BTreeSet<String> = imports.values().flatten().cloned().collect();
        imports.retain(|unit, of| used.contains(unit) && of.iter().any(|other| left.contains(other)));
        if imports.len() == left.len() {
            return left.into_iter().collect();
        }
    }
}

/// Modules whose units import each other in one direction only.
const ORDERED: [&str; 10] = [
    "net",
    "node",
    "wire",
    "protocol",
    "protocol::condition",
    "protocol::links",
    "protocol::publisher",
    "protocol::pulls",
    "protocol::topics",
    "protocol::verification",
];

#[test]
fn inside_a_layer_imports_point_in_one_direction() {
    for module in ORDERED {
        let imports = imports_of(module);
        let cycle = cycle(imports.clone());
        let edges: Vec<_> = cycle.iter().map(|unit| (unit, &imports[unit])).collect();
        assert!(cycle.is_empty(), "{module}: {edges:#?}");
    }
    assert!(imports_of("protocol")["engine"].len() > 8, "the engine knows its components");
    assert!(imports_of("protocol::links")["link"].contains("service"));
}

#[test]
fn what_decides_touches_nothing_that_a_seed_does_not_decide() {
    for layer in ["rumor", "wire", "protocol"] {
        for (path, code) in code_of(layer) {
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
    let named =
        named_below("use crate::net::{Link, gate::Gate};\nlet peer: crate::net::peer::Peer;", "crate::net::");
    assert_eq!(named, BTreeSet::from(["Link", "gate", "peer"]));
    let imports = [("a", ["b"]), ("b", ["c"]), ("c", ["a"]), ("d", ["a"]), ("e", ["f"])];
    let owned = |(unit, of): (&str, [&str; 1])| (unit.to_owned(), of.map(str::to_owned).into());
    assert_eq!(cycle(imports.into_iter().map(owned).collect()), ["a", "b", "c"]);
}
