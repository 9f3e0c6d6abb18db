//! The shape of the code, held by a test: imports point only downwards, and the lower layers touch nothing that a
//! simulation could not repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first, each with those that it may name. (docs/architecture.md)
const LAYERS: [(&str, &[&str]); 11] = [
    ("key", &[]),
    ("rumor", &["key"]),
    ("verify", &["key", "rumor"]),
    ("wire", &["key", "rumor"]),
    ("protocol", &["key", "rumor", "verify", "wire"]),
    ("store", &["key", "rumor", "verify", "wire", "protocol"]),
    ("net", &["key", "rumor", "verify", "wire", "protocol"]),
    ("adversary", &["key", "rumor", "verify", "wire", "protocol", "store"]),
    ("sim", &["key", "rumor", "verify", "wire", "protocol", "store", "adversary"]),
    ("hostile", &["key", "rumor", "wire", "protocol", "net", "adversary"]),
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
const ORDERED: [&str; 14] = [
    "net",
    "node",
    "sim",
    "store",
    "store::book",
    "wire",
    "protocol",
    "protocol::condition",
    "protocol::links",
    "protocol::publisher",
    "protocol::pulls",
    "protocol::repair",
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

/// The components of the engine: nobody but they touches what they keep.
const COMPONENTS: [&str; 9] =
    ["links", "topics", "verification", "pulls", "publisher", "evidence", "condition", "dialler", "repair"];

/// Structs of components whose fields others read, each with what makes it plain data: it goes from one hand to another, and nothing
/// must hold between its fields.
const PLAIN: [(&str, &str); 18] = [
    ("Outcome", "how a session has ended"),
    ("Hint", "what a link is told of, on its way out"),
    ("Covered", "what of a fetch a bundle answers"),
    ("Greeting", "what a peer said of itself"),
    ("Request", "what an application asks the publisher for"),
    ("Sender", "where a frame came from"),
    ("Push", "what the engine puts into an outbox"),
    ("Caps", "two bounds, named at the call"),
    ("Debt", "a debt that was taken out of the list, to be paid"),
    ("Copy", "what a frame said, on its way to the verifiers"),
    ("Waiting", "what is asked of a validator next"),
    ("Next", "what the publisher would seal next"),
    ("ClockVerdict", "what the clocks of the peers say"),
    ("Item", "a tick and an id"),
    ("Compared", "what an answer leaves to do"),
    ("Cost", "three counts, named at the call"),
    ("Reading", "what a page is read for"),
    ("KeptPeer", "a line of the statistics, public"),
];

/// The structs of a file, each with those of its fields that others than its folder can name.
fn open_fields(code: &str, is_folder: bool) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::<(String, Vec<String>)>::new();
    let mut inside = false;
    for line in code.lines() {
        let declared = line.trim_start_matches("pub").trim_start();
        let declared =
            declared.split_once(") ").filter(|_| declared.starts_with('(')).map_or(declared, |x| x.1);
        if let Some(name) = declared.strip_prefix("struct ") {
            let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            found.push((name.to_owned(), Vec::new()));
            inside = true;
        }
        // The fields of a tuple stand in the line of its name.
        let fields = if declared.starts_with("struct ") {
            line.split_once('(').filter(|_| line.ends_with(';')).map_or("", |x| x.1)
        } else {
            line.trim()
        };
        let closed = fields.starts_with("pub(super)") && !is_folder;
        if inside && fields.starts_with("pub") && !closed {
            let field = fields.split(':').next().unwrap_or_default();
            found.last_mut().unwrap().1.push(field.to_owned());
        }
        if line.starts_with('}') || line.ends_with(';') && declared.starts_with("struct ") {
            inside = false;
        }
    }
    found
}

#[test]
fn components_keep_their_fields_to_themselves() {
    let mut structs = BTreeSet::new();
    for component in COMPONENTS {
        for (path, code) in code_of(&format!("protocol/{component}")) {
            // What `mod.rs` shows to its parent it shows to the engine.
            for (name, fields) in open_fields(&code, path.ends_with("mod.rs")) {
                let plain = PLAIN.iter().any(|(plain, _)| *plain == name);
                assert!(fields.is_empty() || plain, "{}: {name} shows {fields:?}", path.display());
                structs.insert(name);
            }
        }
    }
    assert!(structs.len() > 30, "only {} structs were found", structs.len());
    for (plain, _) in PLAIN {
        assert!(structs.contains(plain), "there is no {plain} any more");
    }
}

/// Lines of a function that still fit a screen, and of a file that has one subject.
const LONGEST_FUNCTION: usize = 70;
const LONGEST_FILE: usize = 450;

/// What a file says in its head that is longer all the same, with the reason behind it.
const REASON: &str = "longer than 450 lines because";

/// Where the code stands that ships, and that measures it. The harnesses of the fuzzer have functions of their own length: each is
/// one `match` over what a fuzzer may do.
const MEASURED: [&str; 6] = ["src", "cli/src", "lab/src", "lab/examples", "testkit/src", "fuzz/src"];

/// The functions of a file, each with the number of its first line and how many it has. (The code is formatted: a function ends with
/// a brace in the column of its first word.)
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let first = line.trim_start().split([' ', '(']).next().unwrap_or_default();
        let begins = ["pub", "const", "async", "fn"].contains(&first);
        let declares = begins && line.split(' ').take_while(|word| *word != "=").any(|word| word == "fn");
        // A declaration that ends with a semicolon has no body.
        if !declares || line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        if let Some(len) = lines[at..].iter().position(|line| *line == end) {
            found.push((at + 1, len + 1));
        }
    }
    found
}

#[test]
fn functions_fit_a_screen_and_files_have_one_subject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut too_long, mut counted) = (Vec::new(), 0);
    for folder in MEASURED {
        for path in files(&root.join(folder)) {
            let is_test = path.iter().any(|part| part == "tests") || path.ends_with("tests.rs");
            let text = fs::read_to_string(&path).unwrap();
            if is_test {
                continue;
            }
            let head: Vec<_> = text.lines().take_while(|line| line.starts_with("//!")).collect();
            let head = head.join(" ").replace(" //! ", " ");
            let lines = text.lines().count();
            if lines > LONGEST_FILE && !head.contains(REASON) {
                too_long.push(format!("{}: {lines} lines", path.display()));
            }
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let long = functions(code);
            counted += long.len();
            for (line, len) in
                long.into_iter().filter(|(_, len)| *len > LONGEST_FUNCTION && folder != "fuzz/src")
            {
                too_long.push(format!("{}:{line}: a function of {len} lines", path.display()));
            }
        }
    }
    assert!(too_long.is_empty(), "{too_long:#?}");
    assert!(counted > 2_000, "only {counted} functions were found");
}

/// The README promises so much of each, and lines of more than a screen would be no way to keep it.
#[test]
fn the_applications_of_the_readme_have_less_than_a_hundred_lines() {
    for name in ["chat", "registry", "config"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
        let text = fs::read_to_string(file).unwrap();
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(text.lines().count() < 100 && longest <= 150, "{name}: {longest}");
    }
}

#[test]
fn what_decides_touches_nothing_that_a_seed_does_not_decide() {
    for layer in ["rumor", "wire", "protocol", "adversary"] {
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
    let code = "pub(super) struct A {\n    pub(super) a: u8,\n    b: u8,\n    pub(crate) c: u8,\n}\nstruct B(pub u8);\nfn f() {\n    pub_x()\n}";
    let fields = |is_folder| {
        open_fields(code, is_folder).into_iter().map(|(_, fields)| fields.len()).collect::<Vec<_>>()
    };
    assert_eq!((fields(false), fields(true)), (vec![1, 1], vec![2, 1]));
    let code = "/// fn no\npub(super) fn a(\n    b: u8,\n) {\n    c()\n}\n    fn d();\n    fn e() {\n    }\n";
    assert_eq!(functions(code), [(2, 5), (8, 2)]);
    let imports = [("a", ["b"]), ("b", ["c"]), ("c", ["a"]), ("d", ["a"]), ("e", ["f"])];
    let owned = |(unit, of): (&str, [&str; 1])| (unit.to_owned(), of.map(str::to_owned).into());
    assert_eq!(cycle(imports.into_iter().map(owned).collect()), ["a", "b", "c"]);
}
