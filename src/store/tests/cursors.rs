//! A reader that keeps its cursor reads everything once, or is told what it missed.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::protocol::keeping::{Cursor, Forget, Missed, Scan};
use crate::store::{MemoryStore, RedbStore, Res, StoreError};

fn open(folder: &std::path::Path, rules: &RuleSet) -> RedbStore {
    let mut store = RedbStore::open(folder).unwrap();
    store.start(&key(0)).unwrap();
    store.open(rules, &ROOM).unwrap();
    store
}

fn scan(store: &dyn Store, rules: &RuleSet, after: Cursor) -> Res<(Vec<BundleId>, Cursor, Option<Missed>)> {
    let scan = store.reader().scan(&rules.id(), after, 1 << 20)?;
    Ok((scan.items.iter().map(|item| item.bundle.id()).collect(), scan.next, scan.missed))
}

#[test]
fn a_cursor_of_another_store_or_of_a_later_state_is_foreign() {
    let rules = rules("cursors");
    let folder = tempfile::tempdir().unwrap();
    let (here, backup) = (folder.path().join("here"), folder.path().join("backup"));
    let chain = chain(&rules, 1, 10..20);
    let ids: Vec<_> = chain.iter().map(|bundle| bundle.id()).collect();
    let mut store = open(&here, &rules);
    keep(&mut store, &chain[..4]);
    let (read, yesterday, missed) = scan(&store, &rules, Cursor::START).unwrap();
    assert_eq!((read.as_slice(), missed), (&ids[..4], None));
    // A restart changes nothing, though it begins a new incarnation.
    drop(store);
    fs::create_dir(&backup).unwrap();
    fs::copy(here.join("store.redb"), backup.join("store.redb")).unwrap();
    let mut store = open(&here, &rules);
    keep(&mut store, &chain[4..6]);
    let (read, later, missed) = scan(&store, &rules, yesterday).unwrap();
    assert_eq!((read.as_slice(), missed), (&ids[4..6], None));
    assert_ne!(yesterday.incarnation, later.incarnation);
    // Two incarnations on as well.
    drop(store);
    let mut store = open(&here, &rules);
    keep(&mut store, &chain[6..7]);
    assert_eq!(scan(&store, &rules, yesterday).unwrap().0, &ids[4..7]);
    drop(store);
    // A copy of yesterday does not know today's cursors, even when its own sequence has passed them.
    let mut restored = open(&backup, &rules);
    assert!(matches!(scan(&restored, &rules, later), Err(StoreError::Foreign)));
    keep(&mut restored, &chain[4..]);
    assert!(matches!(scan(&restored, &rules, later), Err(StoreError::Foreign)));
    assert_eq!(scan(&restored, &rules, yesterday).unwrap().0, &ids[4..]);
    let beyond = Cursor { sequence: yesterday.sequence + 1, ..yesterday };
    assert!(matches!(scan(&restored, &rules, beyond), Err(StoreError::Foreign)));
    // And a store that was moved aside is another store.
    drop(restored);
    fs::remove_file(here.join("store.redb")).unwrap();
    let mut anew = open(&here, &rules);
    keep(&mut anew, &chain);
    assert!(matches!(scan(&anew, &rules, later), Err(StoreError::Foreign)));
    assert_eq!(scan(&anew, &rules, Cursor::START).unwrap().0, ids);
}

/// A reader with pages of chance, between keeps, releases and removals of chance: what was shown is read once, or lies in what it was
/// told that it missed.
#[test]
fn a_cursor_never_skips_silently() {
    for seed in 0..40 {
        let dice = &mut Dice::new(seed);
        let rules = rules("cursors");
        let mut store = MemoryStore::new(1);
        store.open(&rules, &ROOM).unwrap();
        let chains: Vec<_> = (1..4).map(|author| chain(&rules, author, 10..60)).collect();
        let mut waiting: Vec<_> = chains.iter().flatten().map(Arc::clone).collect();
        dice.shuffle(&mut waiting);
        let (mut shown, mut read) = (BTreeMap::new(), BTreeMap::new());
        let (mut told, mut missed_some) = (Vec::new(), false);
        // It has begun to read: from before the first one nothing is missed.
        let mut cursor = store.reader().scan(&rules.id(), Cursor::START, 1).unwrap().next;
        let mut hidden = Vec::new();
        while !waiting.is_empty() || cursor.sequence < *shown.keys().last().unwrap_or(&0) {
            match dice.below(10) {
                0 => drop(store.forget(&rules.id(), Forget::Below(10 + dice.below(30) as u64)).unwrap()),
                1 => drop(store.forget(&rules.id(), Forget::Author(key(3))).unwrap()),
                2 if !hidden.is_empty() => {
                    let at: (PublicKey, Position) = hidden.remove(0);
                    if let [Some(sequence)] = store.release(&rules.id(), &[at]).unwrap()[..] {
                        shown.insert(sequence, at);
                    }
                }
                3 => store = store.reopened(100 + dice.next()),
                4..=7 => {
                    // Of a store that was opened again.
                    store.open(&rules, &ROOM).unwrap();
                    let Some(next) = waiting.pop() else { continue };
                    let at = (next.header().author, next.header().position());
                    let show = if dice.percent(20) { Show::Held } else { Show::Now };
                    let keeps = [Keep { show, ..live(&next) }];
                    match store.keep(&Group { keeps: &keeps, ..Group::default() }).unwrap()[0] {
                        Kept::New { sequence: Some(sequence), .. } => drop(shown.insert(sequence, at)),
                        Kept::New { .. } => hidden.push(at),
                        _ => {}
                    }
                }
                _ => {
                    let page = store.reader().scan(&rules.id(), cursor, dice.below(2000)).unwrap();
                    if let Some(missed) = page.missed {
                        assert!(missed.from <= missed.to && missed.from == cursor.sequence + 1);
                        told.push(missed);
                        missed_some = true;
                    }
                    for item in page.items {
                        let at = (item.bundle.header().author, item.bundle.header().position());
                        assert_eq!(shown.get(&item.cursor.sequence), Some(&at));
                        assert!(read.insert(item.cursor.sequence, at).is_none(), "read twice");
                    }
                    if page.next == (Cursor { sequence: cursor.sequence, ..page.next }) && waiting.is_empty()
                    {
                        break;
                    }
                    cursor = page.next;
                }
            }
        }
        // The end may be missed, too.
        told.extend(store.reader().scan(&rules.id(), cursor, 1).unwrap().missed);
        for (sequence, at) in shown {
            let is_told = told.iter().any(|missed| (missed.from..=missed.to).contains(&sequence));
            assert!(read.contains_key(&sequence) || is_told, "seed {seed}: {at:?} was skipped in silence");
        }
        assert!(missed_some, "seed {seed} removes nothing unread");
    }
}

#[test]
fn readers_pin_nothing() {
    let rules = rules("pins");
    let size_after = |with_reader: bool| {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path(), &rules);
        let chain = chain(&rules, 1, 10..330);
        keep(&mut store, &chain[..20]);
        let (reader, mut page) = (store.reader(), None::<Scan>);
        for (done, bundle) in chain[20..].iter().enumerate() {
            keep(&mut store, std::slice::from_ref(bundle));
            store.forget(&rules.id(), Forget::Below(done as u64)).unwrap();
            if with_reader {
                // What it has read it holds on to.
                let after = page.map_or(Cursor::START, |page| page.next);
                page = Some(reader.scan(&rules.id(), after, 1).unwrap());
            }
        }
        let len = fs::metadata(folder.path().join("store.redb")).unwrap().len();
        assert_eq!(page.is_some_and(|page| !page.items.is_empty()), with_reader);
        len
    };
    let (with, without) = (size_after(true), size_after(false));
    assert!(with <= without + without / 4, "{with} bytes with a reader, {without} without");
}

/// A copy of a store is given to a node with another key: it reads all that is there, and knows nothing of its own.
#[test]
fn a_copied_store_serves_another_node_key() {
    let rules = rules("copies");
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let [first, second] = [1, 2].map(|author| chain(&rules, author, 10..20));
    let mut store = open(&here, &rules);
    let group: Vec<_> = first.iter().chain(&second[..5]).map(live).collect();
    store.keep(&Group { keeps: &group, record: Some((key(1), 5_000)), now_ms: 0 }).unwrap();
    let (_, read, _) = scan(&store, &rules, Cursor::START).unwrap();
    drop(store);
    fs::create_dir(&there).unwrap();
    fs::copy(here.join("store.redb"), there.join("store.redb")).unwrap();
    let mut copy = RedbStore::open(&there).unwrap();
    // No record of the other key: its author waits as one without a position log does. And its chain goes on where it ended.
    assert_eq!(copy.start(&key(2)).unwrap().recorded_until, None);
    let opened = copy.open(&rules, &ROOM).unwrap();
    assert_eq!(opened.own, Some((second[4].id(), second[4].header().position())));
    assert_eq!((opened.heads.len(), opened.size.bundles), (2, 15));
    // Both go on, each in its own way, and readers of either go on with their cursors.
    assert!(keep(&mut copy, &second[5..]).iter().all(is_new));
    assert_eq!(scan(&copy, &rules, read).unwrap().0.len(), 5);
    let mut store = open(&here, &rules);
    assert_eq!(store.start(&key(1)).unwrap().recorded_until, Some(5_000));
    let next = bundle(&rules, 1, at(20, 3), previous(&first[9]), &["on"]);
    assert!(keep(&mut store, &[next]).iter().all(is_new));
    assert_eq!(scan(&store, &rules, read).unwrap().0.len(), 1);
    for store in [&store, &copy] {
        assert_eq!(store.check().unwrap().count, 0);
    }
}
