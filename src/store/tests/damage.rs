//! Files whose pages are not what was written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::protocol::keeping::{Cursor, Damage, Forget, Hole, Prev};
use crate::rumor::Evidence;
use crate::store::{RedbStore, StoreError};

const PAGE: usize = 4096;

/// A closed store with 40 authors, forks and holes, and what is in it.
fn template(folder: &Path, rules: &RuleSet) -> BTreeMap<BundleId, Arc<Bundle>> {
    let mut store = RedbStore::open(folder).unwrap();
    store.start(&key(0)).unwrap();
    store.open(rules, &ROOM).unwrap();
    let all: Vec<_> = (0..40)
        .flat_map(|author| chain(rules, author, 10..32))
        .filter(|bundle| bundle.header().tick % 9 != 0)
        .collect();
    for group in all.chunks(200) {
        assert!(keep(&mut store, group).iter().all(is_new));
    }
    store.record(&key(0), 1 << 30).unwrap();
    all.into_iter().map(|bundle| (bundle.id(), bundle)).collect()
}

/// All that readers see, with what is rotten taken out.
fn read(store: &mut RedbStore, rules: &RuleSet) -> Result<(Vec<Arc<Bundle>>, usize), StoreError> {
    let opened = store.open(rules, &ROOM)?;
    let reader = store.reader();
    let (mut found, mut cursor, mut rotten) = (Vec::new(), Cursor::START, Vec::new());
    loop {
        let scan = reader.scan(&rules.id(), cursor, 1 << 16)?;
        found.extend(scan.items.into_iter().map(|item| item.bundle));
        rotten.extend(scan.rotten);
        cursor = scan.next;
        if !scan.more {
            break;
        }
    }
    let mut after = None::<Hole>;
    while let Some(last) = reader.unmet(&rules.id(), after.as_ref(), 50)?.last() {
        after = Some(*last);
    }
    for (author, at) in &rotten {
        store.forget(&rules.id(), Forget::Rotten(*author, *at))?;
    }
    // Opened headers are of what is held.
    assert!(opened.recent.iter().all(|header| header.header.topic == rules.id()));
    Ok((found, rotten.len()))
}

/// Opens what is left of a store, as often as it takes, as a node would. Gives all that was told of the damage.
fn recover(folder: &Path, rules: &RuleSet, seed: u64) -> (Vec<Arc<Bundle>>, usize, Option<Damage>) {
    for _ in 0..3 {
        let mut store = RedbStore::open(folder).unwrap();
        let started = match store.start(&key(0)) {
            Ok(started) => started,
            Err(StoreError::Damaged(_)) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        assert!(
            started.damage.is_none() || started.recorded_until.is_none(),
            "a record of a damaged store is none"
        );
        let (found, rotten) = match read(&mut store, rules) {
            Ok(read) => read,
            Err(StoreError::Damaged(_)) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        // It goes on as a store.
        let next = [bundle(rules, 99, at(50, 0), None, &["goes on"])];
        let keeps = next.each_ref().map(live);
        match store.keep(&Group { keeps: &keeps, ..Group::default() }) {
            Ok(kept) => assert!(is_new(&kept[0]), "{kept:?}"),
            Err(StoreError::Damaged(_)) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        match store.check() {
            Ok(report) if started.damage.is_some() || rotten > 0 => {
                assert_eq!(report.count, 0, "seed {seed}: {report}")
            }
            Ok(_) => {}
            Err(StoreError::Damaged(_)) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        return (found, rotten, started.damage);
    }
    panic!("seed {seed}: three times damaged");
}

#[test]
fn a_zeroed_page_ends_no_process() {
    let rules = rules("damage");
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let all = template(&whole, &rules);
    let pristine = fs::read(whole.join("store.redb")).unwrap();
    let pages = pristine.len() / PAGE;
    let (mut salvaged, mut survivors, mut unharmed) = (0, 0, 0);
    for seed in 0..100u64 {
        let dice = &mut Dice::new(seed);
        let mut bytes = pristine.clone();
        for _ in 0..1 + dice.below(4) {
            let page = dice.below(pages);
            let page = &mut bytes[page * PAGE..(page + 1) * PAGE];
            match dice.below(4) {
                0 | 1 => page.fill(0),
                _ => page.iter_mut().for_each(|byte| *byte = dice.next() as u8),
            }
        }
        if dice.percent(15) {
            bytes.truncate(pages * PAGE / 4 + dice.below(pages * PAGE * 3 / 4));
        }
        let here = folder.path().join("here");
        fs::create_dir(&here).unwrap();
        fs::copy(whole.join("store.lock"), here.join("store.lock")).unwrap();
        fs::write(here.join("store.redb"), &bytes).unwrap();
        let (found, rotten, damage) = recover(&here, &rules, seed);
        for bundle in &found {
            assert_eq!(all.get(&bundle.id()), Some(bundle), "seed {seed}: nobody said that");
        }
        match damage {
            Some(damage) => {
                salvaged += 1;
                assert_eq!(fs::read(&damage.moved_to).unwrap().len(), bytes.len(), "what is damaged is kept");
                let lost = found.len() < all.len();
                assert!(!lost || damage.bad + damage.unreadable > 0, "seed {seed}: {damage:?}");
            }
            None => {
                unharmed += 1;
                assert!(
                    found.len() + rotten == all.len(),
                    "seed {seed}: {} of {} in silence",
                    found.len(),
                    all.len()
                );
            }
        }
        survivors += found.len();
        fs::remove_dir_all(&here).unwrap();
    }
    println!(
        "{salvaged} salvaged, {unharmed} not harmed; {} % of all bundles survive",
        survivors * 100 / (all.len() * 100)
    );
    assert!(salvaged > 20 && survivors > all.len() * 30, "{salvaged} salvaged, {survivors} survivors");
}

#[test]
fn rot_becomes_a_hole() {
    let rules = rules("rot");
    let folder = tempfile::tempdir().unwrap();
    let chains = [1, 2].map(|author| chain(&rules, author, 10..40));
    let mut store = RedbStore::open(folder.path()).unwrap();
    store.open(&rules, &ROOM).unwrap();
    chains.iter().for_each(|chain| drop(keep(&mut store, chain)));
    drop(store);
    // A letter of what was said at tick 20, and a byte of a signature.
    let name = folder.path().join("store.redb");
    let mut bytes = fs::read(&name).unwrap();
    for (bundle, at) in [(&chains[0][10], bundle_end(&chains[0][10])), (&chains[1][25], 170)] {
        let encoded = bundle.encoded();
        let found: Vec<_> =
            (0..bytes.len() - encoded.len()).filter(|from| bytes[*from..].starts_with(encoded)).collect();
        assert!(!found.is_empty());
        found.into_iter().for_each(|from| bytes[from + at] ^= 1);
    }
    fs::write(&name, bytes).unwrap();
    let mut store = RedbStore::open(folder.path()).unwrap();
    let opened = store.open(&rules, &ROOM).unwrap();
    assert_eq!(opened.recent.len(), 58, "rot gives no header");
    assert_eq!(store.check().unwrap().topics[0].rotten, 2);
    let scan = store.reader().scan(&rules.id(), Cursor::START, 1 << 20).unwrap();
    let rotten = vec![(key(1), at(20, 3)), (key(2), at(35, 3))];
    assert_eq!((scan.items.len(), &scan.rotten), (58, &rotten));
    let ranges = [1, 2].map(|author| crate::protocol::keeping::Range {
        author: key(author),
        from: (0, 0),
        upto: at(99, 0),
    });
    let page = store.reader().page(&rules.id(), &ranges, 1 << 20).unwrap();
    assert_eq!((page.bundles.len(), &page.rotten), (58, &rotten));
    // One is taken out when it is reported, the other when it is brought again. What is sound stays.
    store.forget(&rules.id(), Forget::Rotten(key(1), at(20, 3))).unwrap();
    store.forget(&rules.id(), Forget::Rotten(key(1), at(21, 3))).unwrap();
    let holes = store.reader().unmet(&rules.id(), None, 9).unwrap();
    assert_eq!(
        holes.iter().map(|hole| (hole.position, hole.namer)).collect::<Vec<_>>(),
        [(at(20, 3), at(21, 3))]
    );
    let kept = keep(&mut store, &[Arc::clone(&chains[0][10]), Arc::clone(&chains[1][25])]);
    for kept in kept {
        assert!(matches!(kept, Kept::New { named: true, prev: Prev::Held, .. }), "{kept:?}");
    }
    let report = store.check().unwrap();
    assert_eq!((report.count, report.topics[0].size.bundles), (0, 60), "{report}");
}

const fn bundle_end(bundle: &Bundle) -> usize {
    Bundle::encoded_len(bundle.header()) - 1
}

#[test]
fn a_salvage_that_was_cut_off_is_done_again_and_proofs_come_through() {
    let rules = rules("salvage");
    let folder = tempfile::tempdir().unwrap();
    let secret = crate::SecretKey::from_seed(&[3; 32]);
    let sealed = |body: &'static str| {
        *crate::rumor::seal(&secret, rules.id(), at(5, 0), &[body.into()]).unwrap().signed_header()
    };
    let proof = Evidence::new(sealed("this"), sealed("that")).unwrap();
    let forged = |body| *bundle(&rules, 7, at(5, 0), None, &[body]).signed_header();
    let forged = Evidence::new(forged("this"), forged("that")).unwrap();
    let chain = chain(&rules, 1, 10..40);
    let mut store = RedbStore::open(folder.path()).unwrap();
    store.start(&key(0)).unwrap();
    store.open(&rules, &ROOM).unwrap();
    let mut keeps: Vec<_> = chain.iter().map(live).collect();
    keeps[20].show = Show::Held;
    keeps[21].show = Show::Rejected { by: 1 };
    store.keep(&Group { keeps: &keeps, record: Some((key(0), 77)), now_ms: 0 }).unwrap();
    store.forget(&rules.id(), Forget::Below(15)).unwrap();
    store.remember(&proof).unwrap();
    store.remember(&forged).unwrap();
    drop(store);
    // As a process leaves it that has met damage, and ended while it made a new store.
    fs::write(folder.path().join("store.salvage"), "").unwrap();
    fs::write(folder.path().join("store.redb.fresh"), "half of it").unwrap();
    fs::write(folder.path().join("store.redb.damaged-1"), "an older one").unwrap();
    let mut store = RedbStore::open(folder.path()).unwrap();
    let started = store.start(&key(0)).unwrap();
    let damage = started.damage.unwrap();
    assert_eq!(damage.moved_to, folder.path().join("store.redb.damaged-2"));
    assert_eq!((damage.saved, damage.bad, damage.unreadable), (25, 0, 0));
    assert_eq!((started.evidence, started.recorded_until), (vec![proof], None));
    let opened = store.open(&rules, &ROOM).unwrap();
    assert_eq!((opened.floor, opened.held.len(), opened.size.bundles), (15, 1, 25));
    assert_eq!(store.reader().scan(&rules.id(), Cursor::START, 1 << 20).unwrap().items.len(), 23);
    assert_eq!(store.check().unwrap().count, 0);
    drop(store);
    // Complete, and not yet in its place.
    fs::rename(folder.path().join("store.redb"), folder.path().join("store.redb.salvaged")).unwrap();
    let mut store = RedbStore::open(folder.path()).unwrap();
    assert_eq!(store.open(&rules, &ROOM).unwrap().size.bundles, 25);
    assert_eq!(fs::read(folder.path().join("store.redb.damaged-1")).unwrap(), b"an older one");
}
