//! What a store must bear from its own process and others: kill -9 in the middle of a commit, a second process, a disk that is full.
//!
//! The tests start this binary again, as `child`, and talk to it over its standard output.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use vouchsafe::SecretKey;
use vouchsafe::protocol::keeping::{Arrival, Cursor, Forget, Group, Keep, Keeping, Kept, Show};
use vouchsafe::rumor::{NetworkId, Position, Previous, RuleSet, Topic, seal_after};
use vouchsafe::store::{RedbStore, Store, StoreError};

use crate::scene::begin;

const ROLE: &str = "VOUCHSAFE_STORE_ROLE";
const FOLDER: &str = "VOUCHSAFE_STORE_FOLDER";
const SEED: [u8; 32] = [7; 32];

/// Starts the child in a shell that has first done `limits`.
fn start(role: &str, folder: &Path, limits: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    let command = format!("{limits} exec \"$0\" --exact stores::child --ignored --nocapture");
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).arg(program).env(ROLE, role).env(FOLDER, folder);
    begin(shell.stdin(Stdio::null()).stdout(Stdio::piped()))
}

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    // A test begins in the middle of a line.
    println!();
    let folder = std::env::var_os(FOLDER).unwrap();
    match role.as_str() {
        "keeps" => keeps(Path::new(&folder)),
        "full" => full(Path::new(&folder)),
        _ => panic!("no such role as {role}"),
    }
}

fn rules() -> RuleSet {
    Topic::named("audit").bind(NetworkId::of("stores")).unwrap()
}

fn open(folder: &Path) -> RedbStore {
    let mut store = RedbStore::open(folder).unwrap();
    store.start(&SecretKey::from_seed(&SEED).public()).unwrap();
    let room = Keeping {
        bytes: u64::MAX,
        shared: u64::MAX,
        authors: 9,
        judged_by: None,
        recent_from: 0,
        latest: u64::MAX,
    };
    store.open(&rules(), &room).unwrap();
    store
}

/// Keeps bundle after bundle, from that tick on, in groups of one to three, each with a record, until `say` says no more.
fn keep_on(
    store: &mut RedbStore,
    mut tick: u64,
    mut say: impl FnMut(u64, &Result<Vec<Kept>, StoreError>) -> bool,
) {
    let (key, topic) = (SecretKey::from_seed(&SEED), rules().id());
    let mut prev = None;
    loop {
        let mut keeps = Vec::new();
        for _ in 0..1 + tick % 3 {
            let body = format!("{tick} {}", "x".repeat(tick as usize * 7 % 900)).into();
            let bundle = seal_after(&key, topic, prev, Position { tick, slot: 0 }, &[body]).unwrap();
            prev = Some(Previous::of(&bundle));
            keeps.push(Keep { bundle: Arc::new(bundle), arrival: Arrival::Own, show: Show::Now });
            tick += 1;
        }
        let kept = store.keep(&Group { keeps: &keeps, record: Some((key.public(), tick)), now_ms: 0 });
        if !say(tick, &kept) {
            return;
        }
    }
}

/// Says after each commit which tick comes next, until it is killed.
fn keeps(folder: &Path) {
    let mut store = open(folder);
    let next = store.reader().size(&rules().id()).unwrap().bundles;
    let mut out = std::io::stdout().lock();
    keep_on(&mut store, next, |tick, kept| {
        kept.as_ref().unwrap();
        // Fails when the one who listens has heard enough and is about to kill us.
        let _ = writeln!(out, "kept {tick}");
        true
    });
}

#[test]
fn kill_9_in_the_middle_of_a_commit_loses_nothing_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..20 {
        let mut child = start("keeps", folder.path(), "");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: String| line.strip_prefix("kept ")?.parse::<u64>().ok();
        // Somewhere else in a commit each time: this thread and the writer run side by side.
        let mut last = lines.by_ref().filter_map(number).nth(3 + round % 7).expect("the child keeps");
        child.kill().unwrap();
        child.wait().unwrap();
        last = lines.filter_map(number).last().unwrap_or(last);
        let mut store = RedbStore::open(folder.path()).unwrap();
        let started = store.start(&SecretKey::from_seed(&SEED).public()).unwrap();
        assert!(started.damage.is_none());
        let report = store.check().unwrap();
        assert_eq!(report.count, 0, "{report}");
        let held = report.topics[0].size.bundles;
        assert!(held >= last && last > before, "{held} are held, though {last} were kept");
        // All or nothing of each group: the record stands in the same transaction.
        assert_eq!(started.recorded_until, Some(held));
        let (mut seen, mut cursor) = (0, Cursor::START);
        loop {
            let scan = store.reader().scan(&rules().id(), cursor, 1 << 16).unwrap();
            for item in scan.items {
                assert_eq!(item.bundle.header().tick, seen);
                assert!(vouchsafe::verify::bundle(&item.bundle));
                seen += 1;
            }
            cursor = scan.next;
            if !scan.more {
                break;
            }
        }
        assert_eq!(seen, held);
        before = held;
    }
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start("keeps", folder.path(), "");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.take(50).any(|line| line.starts_with("kept")), "the child keeps");
    let refused = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(&refused, StoreError::InUse(path) if path == folder.path()), "{refused:?}");
    assert!(refused.to_string().contains("a folder of its own"));
    // However it ended.
    child.kill().unwrap();
    child.wait().unwrap();
    RedbStore::open(folder.path()).unwrap();
}

/// The file can't grow beyond 4 MiB: to a program that is a full disk.
fn full(folder: &Path) {
    let mut store = open(folder);
    let mut kept = 0;
    keep_on(&mut store, 0, |tick, answer| match answer {
        Ok(_) => {
            kept = tick;
            true
        }
        Err(StoreError::NoRoom(path)) => {
            assert_eq!(path, folder);
            false
        }
        Err(error) => panic!("{error:?}"),
    });
    assert!(kept > 100);
    // As long as it is full nothing is kept, and all that was is there.
    let mut again = 0;
    keep_on(&mut store, kept, |_, answer| {
        assert!(matches!(answer, Err(StoreError::NoRoom(_))), "{answer:?}");
        again += 1;
        again < 3
    });
    let report = store.check().unwrap();
    assert_eq!((report.count, report.topics[0].size.bundles), (0, kept), "{report}");
    // What is deleted makes room in the file. To delete takes a little room, too.
    if store.forget(&rules().id(), Forget::Below(kept / 2)).is_ok() {
        let mut more = 0;
        keep_on(&mut store, kept, |tick, answer| {
            more = if answer.is_ok() { tick } else { more };
            answer.is_ok() && tick < kept + 50
        });
        assert!(more > kept, "there is room again");
        kept = more;
    }
    drop(store);
    println!("kept {kept}");
}

#[test]
fn a_full_disk_keeps_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let output = start("full", folder.path(), "trap '' XFSZ; ulimit -f 8192;").wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let kept: u64 =
        said.lines().find_map(|line| line.strip_prefix("kept ")?.parse().ok()).expect("it says how many");
    // With room again everything goes on.
    let mut store = open(folder.path());
    assert_eq!(store.check().unwrap().count, 0);
    let mut more = 0;
    keep_on(&mut store, kept, |tick, answer| {
        more = tick;
        answer.as_ref().is_ok_and(|kept| kept.iter().all(|kept| matches!(kept, Kept::New { .. })))
            && tick < kept + 200
    });
    assert!(more >= kept + 200, "{more}");
}
