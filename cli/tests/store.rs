//! The commands that look into a store, from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vouchsafe::protocol::keeping::{Arrival, Group, Keep, Keeping, Show};
use vouchsafe::rumor::{Previous, RuleSet, seal_after};
use vouchsafe::store::{FILE_NAME, RedbStore, Store as _};
use vouchsafe::{NetworkId, Position, SecretKey, Topic};
use vouchsafe_testkit::command::{Running, assert_usage, code, stderr, stdout, wait_for};

/// A process that begins holds for a moment what this one has open, the lock of a store among it: so no store is open here meanwhile,
/// or it would seem to be in use afterwards.
static BEGINS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    BEGINS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(args: &[&str]) -> Output {
    let begun = alone();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(begun);
    child.wait_with_output().unwrap()
}

/// A store with one bundle in one tick each for the words, in a chain; the second came late.
fn store(folder: &Path, author: &SecretKey, words: &[&str]) -> RuleSet {
    let topic = Topic::named("audit").retention(Duration::from_secs(3_600));
    store_of(topic.bind(NetworkId::of("net")).unwrap(), folder, author, words)
}

fn store_of(rules: RuleSet, folder: &Path, author: &SecretKey, words: &[&str]) -> RuleSet {
    let _alone = alone();
    let mut store = RedbStore::open(folder).unwrap();
    store.start(&author.public()).unwrap();
    let keeping = Keeping {
        bytes: u64::MAX,
        shared: u64::MAX,
        authors: u64::MAX,
        judged_by: None,
        recent_from: 0,
        latest: u64::MAX,
    };
    store.open(&rules, &keeping).unwrap();
    let mut prev: Option<Previous> = None;
    for (tick, word) in (7..).zip(words) {
        let at = Position { tick, slot: 0 };
        let bundle = seal_after(author, rules.id(), prev, at, &[word.as_bytes().to_vec().into()]).unwrap();
        prev = Some(Previous::of(&bundle));
        let arrival = if tick == 8 { Arrival::Late { below: false } } else { Arrival::Live };
        let keeps = [Keep { bundle: Arc::new(bundle), arrival, show: Show::Now }];
        store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
    }
    rules
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    (folder, path)
}

#[test]
fn history_prints_what_was_kept_in_order() {
    let (_keep, path) = folder();
    let author = SecretKey::from_seed(&[3; 32]);
    let rules = store(&path, &author, &["one", "two", "thr\x1bee"]);
    let short = author.public().short().to_string();
    let all = format!("{short} 7/0 one\n{short} 8/0 late two\n{short} 9/0 thr\\u{{1b}}ee\n");
    for topic in ["audit", &rules.id().to_string()] {
        let output = run(&["history", text(&path), topic]);
        assert_eq!((code(&output), stdout(&output)), (0, all.clone()), "{}", stderr(&output));
    }
    let from = run(&["history", text(&path), "audit", "--from", "9", "--author", &short]);
    assert_eq!(stdout(&from).lines().count(), 1);
    let other = SecretKey::from_seed(&[4; 32]).public().to_string();
    assert_eq!(stdout(&run(&["history", text(&path), "audit", "--author", &other])), "");
    assert_usage(&run(&["history", text(&path), "none"]), &["audit"]);
    assert_usage(&run(&["history", text(&path), "audit", "--author", "xyz"]), &["hexadecimal"]);
}

#[test]
fn a_store_that_is_not_there_is_named_and_not_made() {
    let (_keep, path) = folder();
    for args in [["store", "check"], ["store", "stat"]] {
        assert_usage(&run(&[args[0], args[1], text(&path)]), &["no store"]);
    }
    assert_usage(&run(&["history", text(&path), "audit"]), &["no store"]);
    assert!(!path.exists());
}

#[test]
fn stat_and_check_tell_what_a_store_holds_and_that_it_is_sound() {
    let (_keep, path) = folder();
    let author = SecretKey::from_seed(&[3; 32]);
    let rules = store(&path, &author, &["one", "two"]);
    let stat = run(&["store", "stat", text(&path)]);
    assert_eq!(code(&stat), 0, "{}", stderr(&stat));
    assert!(stdout(&stat).contains(&rules.id().to_string()), "{}", stdout(&stat));
    let json = run(&["store", "stat", text(&path), "--json"]);
    let told: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!((&told["topics"][0]["name"], &told["topics"][0]["bundles"]), (&"audit".into(), &2.into()));
    let check = run(&["store", "check", text(&path)]);
    assert_eq!(code(&check), 0, "{}{}", stdout(&check), stderr(&check));
    // A record whose bytes have changed on the disk.
    let file = path.join(FILE_NAME);
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(3).position(|window| window == b"two").unwrap();
    bytes[at] = b'T';
    std::fs::write(&file, bytes).unwrap();
    let check = run(&["store", "check", text(&path)]);
    assert_eq!(code(&check), 1, "{}{}", stdout(&check), stderr(&check));
}

#[test]
fn a_store_that_a_node_has_open_is_left_alone() {
    let (_keep, path) = folder();
    let open = RedbStore::open(&path).unwrap();
    assert_usage(&run(&["store", "check", text(&path)]), &["another node"]);
    drop(open);
    assert_eq!(code(&run(&["store", "check", text(&path)])), 0);
}

/// A node that joins late says that it is given what it has missed, and when it has that.
#[test]
fn a_node_with_a_store_says_how_far_repair_is() {
    let (keep, path) = folder();
    let other = keep.path().join("other");
    let rules = Topic::named("audit").retention_forever().bind(NetworkId::of("vouchsafe")).unwrap();
    store_of(rules, &path, &SecretKey::from_seed(&[3; 32]), &["one", "two", "three"]);
    let keys = ["one.key", "two.key"].map(|name| keep.path().join(name));
    let start = |number: usize, store: &Path, more: &[&str]| {
        assert_eq!(code(&run(&["keygen", "--out", text(&keys[number])])), 0);
        let flags = ["node", "--key", text(&keys[number]), "--listen", "127.0.0.1:0", "--topic", "audit"];
        let store = ["--store", text(store), "--retention", "forever"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_vouchsafe"));
        let _begun = alone();
        Running::of(command.args(flags).args(store).args(more))
    };
    let holder = start(0, &path, &[]);
    let addr = wait_for(&holder.err, "listening as").rsplit(' ').next().unwrap().to_owned();
    let node = start(1, &other, &["--peer", &addr]);
    wait_for(&node.err, "repair: links are asked");
    let told = wait_for(&node.err, "caught up");
    assert!(
        told.starts_with("-- caught up: 3 bundles came late, 0 known to be missing; 1 of 1 links"),
        "{told}"
    );
    // All of it was printed by then, or is about to be: it is in the store.
    for word in ["one", "two", "three"] {
        wait_for(&node.out, &format!(" {word}"));
    }
}
