//! Disks that are full or fail, and files that are not ours.

use std::fs;
use std::sync::atomic::Ordering;

use super::*;
use crate::protocol::keeping::{Cursor, Forget, MOST_REMOVED};
use crate::store::{RedbStore, StoreError};

/// What a call needs to be all there or not at all.
#[test]
fn a_disk_that_fails_leaves_nothing_half_and_goes_on_when_it_can() {
    let rules = rules("disks");
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(folder.path()).unwrap();
    store.start(&key(0)).unwrap();
    store.open(&rules, &ROOM).unwrap();
    let chain = chain(&rules, 1, 10..400);
    keep(&mut store, &chain[..40]);
    let reader = store.reader();
    let mut done = 40;
    for round in 0..9 {
        // 1: no room; 2: writes fail; 3: the sync of the commit fails.
        let fault = round % 3 + 1;
        store.disk().limits().fails.store(fault, Ordering::Relaxed);
        let group: Vec<_> = chain[done..done + 30].iter().map(live).collect();
        let failed = store.keep(&Group { keeps: &group, record: Some((key(0), 99)), now_ms: 0 });
        match (fault, &failed) {
            (1, Err(StoreError::NoRoom(path))) => assert_eq!(path, folder.path()),
            (2 | 3, Err(StoreError::Io { path, .. })) => assert_eq!(path, folder.path()),
            _ => panic!("{fault}: {failed:?}"),
        }
        // A reader has no part in it, and nothing of the group is there, unless all of it is.
        let there = reader.size(&rules.id()).unwrap().bundles as usize;
        assert!(there == done || (there == done + 30 && fault == 3), "{there} of {done} are there");
        let report = store.check().unwrap();
        assert_eq!(report.count, 0, "{report}");
        // With a disk that works again, so does the store.
        let kept = store.keep(&Group { keeps: &group, record: None, now_ms: 0 }).unwrap();
        assert!(kept.iter().all(|kept| is_new(kept) || (fault == 3 && *kept == Kept::Have)), "{kept:?}");
        done += 30;
    }
    assert!(store.forget(&rules.id(), Forget::Below(200)).is_ok());
    drop(store);
    assert!(matches!(reader.size(&rules.id()), Err(StoreError::Closed)));
    let store = RedbStore::open(folder.path()).unwrap();
    assert_eq!(store.check().unwrap().count, 0);
    assert_eq!(store.reader().scan(&rules.id(), Cursor::START, 1 << 30).unwrap().items.len(), done - 190);
}

#[test]
fn what_is_not_ours_or_of_a_later_format_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("store.redb");
    let refused = |bytes: &[u8]| {
        fs::write(&name, bytes).unwrap();
        let refused = RedbStore::open(folder.path()).unwrap_err();
        assert!(matches!(&refused, StoreError::NotAStore(path) if *path == name), "{refused:?}");
        assert_eq!(fs::read(&name).unwrap(), bytes);
    };
    refused(b"a letter to my aunt");
    refused(b"");
    // A database of redb, and of another program.
    fs::remove_file(&name).unwrap();
    let database = ::redb::Database::create(&name).unwrap();
    let transaction = database.begin_write().unwrap();
    let theirs = ::redb::TableDefinition::<u64, u64>::new("meta");
    transaction.open_table(theirs).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let before = fs::read(&name).unwrap();
    let found = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(found, StoreError::NotAStore(_)), "{found:?}");
    assert_eq!(fs::read(&name).unwrap().len(), before.len());
    assert!(!folder.path().join("store.redb.damaged-1").exists());
    // A store of ours, as a later version would leave it.
    fs::remove_file(&name).unwrap();
    drop(RedbStore::open(folder.path()).unwrap());
    let before = fs::read(&name).unwrap();
    fs::write(folder.path().join("store.lock"), "vouchsafe store 2\n").unwrap();
    let newer = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found: 2, known: 1, .. }), "{newer:?}");
    assert_eq!(fs::read(&name).unwrap(), before);
    // Even if only the database says so.
    fs::write(folder.path().join("store.lock"), "").unwrap();
    let database = ::redb::Database::create(&name).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = ::redb::TableDefinition::<&[u8], &[u8]>::new("meta");
    transaction
        .open_table(meta)
        .unwrap()
        .insert(b"format".as_slice(), 7u64.to_le_bytes().as_slice())
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let newer = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found: 7, .. }), "{newer:?}");
}

#[test]
fn a_store_that_is_open_is_refused_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path()).unwrap();
    let refused = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(&refused, StoreError::InUse(path) if path == folder.path()), "{refused:?}");
    assert!(refused.to_string().contains("stop that one first"));
    drop(store);
    RedbStore::open(folder.path()).unwrap();
}

/// What keeping a little, and removing much, writes: each second, and in one transaction.
#[test]
fn store_writes_are_bounded() {
    let rules = rules("writes");
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(folder.path()).unwrap();
    store.start(&key(0)).unwrap();
    store.open(&rules, &ROOM).unwrap();
    // Given 6 000 authors with a word and a hole each, in ticks that are over at once.
    let mut dice = Dice::new(1);
    let first = |author| bundle(&rules, author, at(10, 0), invented(&mut dice, at(5, 0)), &["x"]);
    let authors: Vec<_> = (100..6_100).map(first).collect();
    authors.chunks(1_000).for_each(|group| assert!(keep(&mut store, group).iter().all(is_new)));
    let written = |store: &RedbStore| store.disk().limits().written.swap(0, Ordering::Relaxed);
    written(&store);
    // When 16 of them say 20 words a second, which are committed each second.
    let mut slowest = 0;
    for second in 0..30 {
        let word = |number: u16| {
            bundle(&rules, 100 + number % 16, at(20 + second, number), None, &[&"x".repeat(300)])
        };
        let words: Vec<_> = (0..20).map(word).collect();
        keep(&mut store, &words);
        slowest = slowest.max(written(&store));
    }
    assert!(slowest <= 500_000, "{slowest} bytes in a second");
    // And all that is over goes, then no step writes more than may be written until the next one.
    let (mut calls, mut most, mut more) = (0, 0, true);
    while more {
        more = store.forget(&rules.id(), Forget::Below(11)).unwrap();
        (calls, most) = (calls + 1, most.max(written(&store)));
    }
    assert_eq!(calls, 6_000 / MOST_REMOVED);
    // (The engine gives one step in five seconds: half a MB in each.)
    assert!(most <= 2_500_000, "{most} bytes in one transaction");
    assert_eq!(store.check().unwrap().count, 0);
}
