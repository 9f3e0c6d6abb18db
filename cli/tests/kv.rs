//! `vouchsafe kv` from outside: what a folder holds, and what nodes that write into it tell each other.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use vouchsafe::protocol::keeping::{Arrival, Group, Keep, Keeping, Show};
use vouchsafe::rumor::{Cell, RuleSet, seal};
use vouchsafe::store::{RedbStore, Store as _};
use vouchsafe::{Authors, NetworkId, Position, SecretKey, Topic};
use vouchsafe_testkit::command::{Running, assert_usage, code, stderr, stdout, wait_for};

fn vouchsafe() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vouchsafe"))
}

/// A process that begins holds for a moment what this one has open, the lock of a store among it: so no store is open here meanwhile,
/// or it would seem to be in use afterwards.
static BEGINS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    BEGINS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(args: &[&str]) -> Output {
    let begun = alone();
    let mut command = vouchsafe();
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(begun);
    child.wait_with_output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn short(number: u8) -> String {
    key(number).public().short().to_string()
}

fn put(key: &'static str, value: &'static [u8]) -> Bytes {
    Cell::put(key, value).unwrap().encode()
}

fn bind(topic: Topic) -> RuleSet {
    topic.bind(NetworkId::of("net")).unwrap()
}

/// A store of two topics of state and a log.
fn written(folder: &Path) {
    let _alone = alone();
    let mut store = RedbStore::open(folder).unwrap();
    store.start(&key(1).public()).unwrap();
    let keeping = Keeping {
        bytes: u64::MAX,
        authors: u64::MAX,
        judged_by: None,
        recent_from: 0,
        latest: u64::MAX,
        shared: u64::MAX,
    };
    let listed = Authors::Listed((1..=3).map(|number| key(number).public()).collect());
    let open = bind(Topic::named("open").state(3));
    let listed = bind(Topic::named("listed").state(3).authors(listed));
    let log = bind(Topic::named("log").retention_forever());
    let delete = |key: &'static str| Cell::delete(key).unwrap().encode();
    let words: [(&RuleSet, u8, u64, Vec<Bytes>, Show); 10] = [
        // A key that three newer ones push out stays in a bundle that is live for another's sake.
        (&open, 1, 10, vec![put("a", b"pushed out"), put("b", b"1")], Show::Now),
        (&open, 1, 11, vec![put("c", b"t\tb")], Show::Now),
        (&open, 1, 12, vec![put("d", b"\xff")], Show::Now),
        (&open, 2, 9, vec![put("b", b"older"), put("e", b"2"), put("f", b"2")], Show::Now),
        (&open, 2, 13, vec![delete("e")], Show::Now),
        // What the judge has rejected is not shown, and hides what its author said before.
        (&open, 2, 14, vec![put("f", b"rejected")], Show::Rejected { by: 0 }),
        (&listed, 1, 10, vec![put("k", b"two say so")], Show::Now),
        (&listed, 2, 11, vec![put("k", b"two say so")], Show::Now),
        (&listed, 3, 12, vec![put("k", b"newest")], Show::Now),
        (&log, 1, 10, vec![Bytes::from("a line")], Show::Now),
    ];
    for rules in [&open, &listed, &log] {
        store.open(rules, &keeping).unwrap();
    }
    for (rules, author, tick, bodies, show) in words {
        let bundle = seal(&key(author), rules.id(), Position { tick, slot: 0 }, &bodies).unwrap();
        let keeps = [Keep { bundle: Arc::new(bundle), arrival: Arrival::Live, show }];
        store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
    }
}

#[test]
fn get_and_scan_tell_what_a_node_has_left() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let kv = |args: &[&str]| run(&[&["kv", text(&folder)], args].concat());
    assert_usage(&kv(&["get", "open", "b"]), &["no store"]);
    assert!(!folder.exists());
    written(&folder);
    let printed = |args: &[&str]| {
        let output = kv(args);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    let (one, two) = (short(1), short(2));
    assert_eq!(printed(&["get", "open", "b"]), "1\n");
    assert_eq!(printed(&["get", "open", "b", "--author", &two]), "older\n");
    assert_eq!(printed(&["get", "open", "c"]), "t\\tb\n");
    let told: Value = serde_json::from_str(&printed(&["get", "open", "d", "--json"])).unwrap();
    let author = key(1).public().to_string();
    assert_eq!(
        told,
        serde_json::json!({ "author": author, "position": "12/0", "key": "d", "value_hex": "ff" })
    );
    let all = [
        format!("{one} 10/1 b\t1\n"),
        format!("{two} 9/0 b\tolder\n"),
        format!("{one} 11/0 c\tt\\tb\n"),
        format!("{one} 12/0 d\t\u{fffd}\n"),
    ];
    let lines = |text: String| {
        let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        lines[..].sort();
        lines
    };
    assert_eq!(lines(printed(&["scan", "open"])), lines(all.concat()));
    assert_eq!(printed(&["scan", "open", "c"]), all[2]);
    assert_eq!(printed(&["scan", "open", "--author", &two]), all[1]);
    assert_eq!(printed(&["scan", "open", "--json"]).lines().count(), 4);
    // Deleted, pushed out, rejected, never written.
    for name in ["e", "a", "f", "g"] {
        let output = kv(&["get", "open", name]);
        assert_eq!((code(&output), stdout(&output)), (1, String::new()));
        assert!(stderr(&output).contains("scan open` lists the keys"), "{}", stderr(&output));
    }
    assert_eq!(code(&kv(&["get", "open", "c", "--author", &two])), 1);
    assert_eq!(printed(&["get", "listed", "k"]), "newest\n");
    assert_eq!(printed(&["get", "listed", "k", "--agreed", "2"]), "two say so\n");
    let told: Value =
        serde_json::from_str(&printed(&["get", "listed", "k", "--agreed", "2", "--json"])).unwrap();
    assert_eq!(told, serde_json::json!({ "key": "k", "value": "two say so" }));
    assert_eq!(code(&kv(&["get", "listed", "k", "--agreed", "3"])), 1);
    assert_usage(&kv(&["get", "open", "b", "--agreed", "2"]), &["does not name its writers"]);
    assert_usage(&kv(&["get", "log", "b"]), &["is a log", "vouchsafe history"]);
    assert_usage(&kv(&["scan", "none"]), &["no topic \"none\"", "open", "listed"]);
    assert_usage(&kv(&["get", "open", "b", "--author", "xyz"]), &["hexadecimal"]);
    let open = RedbStore::open(&folder).unwrap();
    assert_usage(&kv(&["get", "open", "b"]), &["another node"]);
    drop(open);
}

/// A folder, a key file in it, and the beginning of the public key.
fn identity(parent: &Path, name: &str) -> (PathBuf, String, String) {
    let file = parent.join(format!("{name}.key"));
    let made = run(&["keygen", "--out", text(&file)]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    (parent.join(name), text(&file).to_owned(), stdout(&made)[..8].to_owned())
}

#[cfg(unix)]
#[test]
fn what_is_put_is_kept_and_sent() {
    let parent = tempfile::tempdir().unwrap();
    let (one, key1, _) = identity(parent.path(), "one");
    let (two, key2, author) = identity(parent.path(), "two");
    let flags = ["--listen", "127.0.0.1:0", "--max-keys", "5"];
    let begun = alone();
    let mut watch =
        Running::of(vouchsafe().args(["kv", text(&one), "watch", "conf", "a/", "--key", &key1]).args(flags));
    drop(begun);
    let addr = wait_for(&watch.err, "listening as").rsplit(' ').next().unwrap().to_owned();
    let write = |args: &[&str]| run(&[&["kv", text(&two)], args, &["--key", &key2], &flags].concat());
    let done = write(&["put", "conf", "b", "unwatched", "--peer", &addr]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let done = write(&["put", "conf", "a/x", "one\ttwo", "--peer", &addr]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let position = stdout(&done);
    let heard = watch.out.recv_timeout(vouchsafe_testkit::command::PATIENCE).unwrap();
    assert_eq!(heard, format!("put {author} {} a/x\tone\\ttwo", position.trim_end()));
    // It is on the disk of both, once nobody has it open.
    let read = |folder: &Path, name: &str| run(&["kv", text(folder), "get", "conf", name]);
    assert_eq!(stdout(&read(&two, "a/x")), "one\\ttwo\n");
    assert_usage(&read(&one, "a/x"), &["another node", "stop that one first"]);
    let refused =
        run(&["kv", text(&one), "put", "conf", "k", "v", "--key", &key2, "--listen", "127.0.0.1:0"]);
    assert_usage(&refused, &["another node", "stop that one first"]);
    let done = write(&["delete", "conf", "a/x", "--json", "--peer", &addr]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let told: Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!(
        (&told["key"], &told["sent"], &told["behind_ms"]),
        (&"a/x".into(), &true.into(), &Value::Null)
    );
    let heard = watch.out.recv_timeout(vouchsafe_testkit::command::PATIENCE).unwrap();
    assert_eq!(heard, format!("delete {author} {} a/x", told["position"].as_str().unwrap()));
    watch.signal("-INT");
    wait_for(&watch.err, "leaving");
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
    assert_eq!(code(&read(&one, "a/x")), 1);
    assert_eq!(stdout(&read(&one, "b")), "unwatched\n");
    // Alone it is kept, and that is told where a peer was to have it.
    let done = write(&["put", "conf", "k", "v"]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let done = write(&["put", "conf", "k", "w", "--peer", &addr]);
    assert_eq!(code(&done), 1, "{}", stderr(&done));
    assert!(stderr(&done).contains("no peer was there") && stdout(&done).contains('/'), "{}", stderr(&done));
    assert_eq!(stdout(&read(&two, "k")), "w\n");
}

#[test]
fn what_cant_be_written_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, key, _) = identity(parent.path(), "one");
    let flags = ["--key", &key, "--listen", "127.0.0.1:0", "--max-keys", "1"];
    let write = |args: &[&str]| run(&[&["kv", text(&folder)], args, &flags].concat());
    assert_usage(&write(&["put", "conf", "", "v"]), &["key"]);
    assert_usage(&write(&["put", "", "k", "v"]), &["topic \"\"", "1 to 255"]);
    assert_usage(&write(&["put", "conf", "k", "v", "--retention", "soon"]), &["forever"]);
    assert_eq!(code(&write(&["put", "conf", "k", "v"])), 0);
    let full = write(&["put", "conf", "l", "v"]);
    assert_eq!(code(&full), 1);
    assert!(stderr(&full).contains("delete some"), "{}", stderr(&full));
    let nobody = run(&["kv", text(&folder), "put", "conf", "k", "v", "--key", "/nonexistent"]);
    assert_usage(&nobody, &["/nonexistent", "vouchsafe keygen"]);
}
