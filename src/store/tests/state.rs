//! Topics of state: of each author and key the newest cell, whatever the order in which bundles come.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::protocol::keeping::{Forget, Killed, Live, Prev};
use crate::store::{MemoryStore, RedbStore};

fn state(max_keys: u32) -> RuleSet {
    Topic::named("state").state(max_keys).bind(NetworkId::of("stores")).unwrap()
}

fn put(key: &str, value: &str) -> String {
    format!("\0{}\0{key}{value}", key.len() as u8 as char)
}

fn delete(key: &str) -> String {
    format!("\u{1}{}\0{key}", key.len() as u8 as char)
}

/// A cell of one of eight keys.
pub(super) fn any_cell(dice: &mut Dice) -> String {
    let key = ["a", "b", "c", "d", "e", "ff", "a/g", "a/h"][dice.below(8)];
    if dice.percent(25) { delete(key) } else { put(key, &dice.below(100).to_string()) }
}

fn says(rules: &RuleSet, author: u16, tick: u64, cells: &[String]) -> Arc<Bundle> {
    let cells: Vec<_> = cells.iter().map(String::as_str).collect();
    bundle(rules, author, at(tick, 3), None, &cells)
}

fn store(rules: &RuleSet) -> MemoryStore {
    let mut store = MemoryStore::new(5);
    store.start(&key(0)).unwrap();
    store.open(rules, &ROOM).unwrap();
    store
}

/// Of a new bundle that killed these, in which tick each.
fn new(sequence: u64, killed: &[(u64, u64)]) -> Kept {
    let killed = killed.iter().map(|(tick, in_tick)| Killed { position: at(*tick, 3), in_tick: *in_tick });
    Kept::New {
        sequence: Some(sequence),
        named: false,
        prev: Prev::None,
        forks: false,
        killed: killed.collect(),
    }
}

fn all_live(store: &dyn Store, rules: &RuleSet) -> Live {
    let mut live = Live::default();
    loop {
        let after = live.items.last().map(|item| item.head);
        let more = store.reader().live(&rules.id(), after.as_ref(), 200).unwrap();
        live.items.extend(more.items);
        if !more.more {
            return live;
        }
    }
}

/// The ticks of the live bundles of author 1.
fn live_ticks(store: &dyn Store, rules: &RuleSet) -> Vec<u64> {
    all_live(store, rules).items.iter().map(|item| item.head.position.tick).collect()
}

fn is_sound(store: &MemoryStore) {
    let report = store.check().unwrap();
    assert_eq!(report.count, 0, "{report}");
}

#[test]
fn a_newer_cell_kills_and_an_older_one_is_dead() {
    let rules = state(10);
    let mut store = store(&rules);
    let one = says(&rules, 1, 10, &[put("k", "1"), put("l", "1")]);
    let two = says(&rules, 1, 20, &[put("k", "2")]);
    let three = says(&rules, 1, 30, &[delete("k"), put("l", "3")]);
    let between = says(&rules, 1, 15, &[put("k", "late")]);
    let kept = keep(&mut store, &[Arc::clone(&one), Arc::clone(&two), between, Arc::clone(&three)]);
    // The first lives as long as one of its cells does. What it names as its previous one is asked of nobody.
    let expected = [new(1, &[]), new(2, &[]), Kept::Dead { by: at(20, 3) }, new(3, &[(10, 30), (20, 30)])];
    assert_eq!(kept, expected);
    assert_eq!(live_ticks(&store, &rules), [30]);
    is_sound(&store);
    // What was killed is held for a while, and a second version of it is evidence.
    let twin = says(&rules, 1, 20, &[put("other", "2")]);
    assert_eq!(keep(&mut store, &[Arc::clone(&two), twin.clone()])[0], Kept::Have);
    assert_eq!(keep(&mut store, &[twin]), [Kept::Conflict(Box::new(*two.signed_header()))]);
    assert!(!store.forget(&rules.id(), Forget::Dead { killer_before: 30 }).unwrap());
    assert_eq!(store.check().unwrap().topics[0].size.bundles, 3);
    assert!(!store.forget(&rules.id(), Forget::Dead { killer_before: 31 }).unwrap());
    assert_eq!(store.check().unwrap().topics[0].size.bundles, 1);
    is_sound(&store);
    // It does not come back, and the tombstone covers each older value.
    for (dead, by) in [(one, at(30, 4)), (two, at(30, 3))] {
        assert_eq!(keep(&mut store, &[dead]), [Kept::Dead { by }]);
    }
    // Another author's registers are its own.
    assert_eq!(keep(&mut store, &[says(&rules, 2, 5, &[put("k", "x")])]), [new(4, &[])]);
    is_sound(&store);
}

#[test]
fn a_bundle_ends_in_the_tick_of_the_last_of_its_cells_to_fall() {
    let rules = state(10);
    let mut store = store(&rules);
    let first = says(&rules, 1, 10, &[put("k", "1"), put("l", "1")]);
    let group = [first, says(&rules, 1, 40, &[put("k", "4")]), says(&rules, 1, 20, &[put("l", "2")])];
    assert_eq!(keep(&mut store, &group), [new(1, &[]), new(2, &[]), new(3, &[(10, 40)])]);
    let opened = store.reopened(6).open(&rules, &ROOM).unwrap();
    let dead: Vec<_> = opened.dead.iter().map(|(head, in_tick)| (head.position.tick, *in_tick)).collect();
    assert_eq!(dead, [(10, 40)]);
    assert_eq!(opened.heads.iter().map(|head| head.position.tick).collect::<Vec<_>>(), [20, 40]);
}

#[test]
fn beyond_max_keys_the_oldest_keys_go_and_stay_away() {
    let rules = state(2);
    let mut store = store(&rules);
    let one = |tick, key: &str| says(&rules, 1, tick, &[put(key, "v")]);
    let kept = keep(&mut store, &[one(10, "a"), one(20, "b"), one(30, "c"), one(10, "a"), one(15, "d")]);
    assert_eq!(kept[..3], [new(1, &[]), new(2, &[]), new(3, &[(10, 30)])]);
    assert_eq!(kept[3], Kept::Have);
    assert_eq!(kept[4], Kept::Dead { by: at(20, 3) });
    while store.forget(&rules.id(), Forget::Dead { killer_before: u64::MAX }).unwrap() {}
    assert_eq!(keep(&mut store, &[one(10, "a")]), [Kept::Dead { by: at(20, 3) }]);
    // A tombstone counts like a value.
    assert_eq!(keep(&mut store, &[says(&rules, 1, 40, &[delete("b")])]), [new(4, &[(20, 40)])]);
    assert_eq!(keep(&mut store, &[one(50, "e")]), [new(5, &[(30, 50)])]);
    assert_eq!(live_ticks(&store, &rules), [40, 50]);
    // Of a bundle with more keys than there may be, the last ones count.
    let many: Vec<_> = ["p", "q", "r"].iter().map(|key| put(key, "v")).collect();
    assert_eq!(keep(&mut store, &[says(&rules, 1, 60, &many)]), [new(6, &[(40, 60), (50, 60)])]);
    assert_eq!(store.check().unwrap().topics[0].keys, 2);
    is_sound(&store);
}

#[test]
fn a_convicted_author_has_no_register() {
    let rules = state(10);
    let mut store = store(&rules);
    let of = |author, tick| says(&rules, author, tick, &[put("k", "v"), put(&tick.to_string(), "v")]);
    keep(&mut store, &[of(1, 10), of(1, 20), of(2, 15), of(1, 30)]);
    while store.forget(&rules.id(), Forget::Author(key(1))).unwrap() {}
    let live = all_live(&store, &rules);
    assert!(live.items.iter().all(|item| item.head.author == key(2)) && live.items.len() == 1);
    assert_eq!(store.check().unwrap().topics[0].keys, 2);
    is_sound(&store);
}

#[test]
fn what_expires_takes_its_registers_along_and_does_not_come_back() {
    let rules = state(10);
    let mut store = store(&rules);
    let old = says(&rules, 1, 10, &[put("k", "1")]);
    let group =
        [Arc::clone(&old), says(&rules, 1, 20, &[delete("k")]), says(&rules, 1, 30, &[put("l", "1")])];
    keep(&mut store, &group);
    while store.forget(&rules.id(), Forget::Below(25)).unwrap() {}
    assert_eq!(live_ticks(&store, &rules), [30]);
    // The tombstone is gone, and so is all that it covered.
    assert_eq!(keep(&mut store, &[old]), [Kept::Below]);
    is_sound(&store);
    while store.forget(&rules.id(), Forget::Topic).unwrap() {}
    assert_eq!(store.check().unwrap().topics[0].keys, 0);
    is_sound(&store);
}

#[test]
fn a_full_topic_still_changes() {
    let rules = state(1000);
    let mut store = store(&rules);
    let value = "x".repeat(500);
    let one = |author, tick, key: &str| says(&rules, author, tick, &[put(key, &value)]);
    let len = one(1, 10, "a").encoded().len() as u64;
    // Room for two keys: a third finds none, of whomever it is; what replaces one does.
    store.open(&rules, &Keeping { authors: 2, ..ROOM }).unwrap();
    assert_eq!(keep(&mut store, &[one(1, 10, "a"), one(2, 10, "a")]), [new(1, &[]), new(2, &[])]);
    assert_eq!(keep(&mut store, &[one(1, 11, "b"), one(3, 10, "a")]), [Kept::Full, Kept::Full]);
    assert_eq!(keep(&mut store, &[one(1, 12, "a")]), [new(3, &[(10, 12)])]);
    let mixed = says(&rules, 1, 13, &[put("a", "v"), put("b", "v")]);
    assert_eq!(keep(&mut store, &[mixed]), [Kept::Full], "a new key does not come in beside an old one");
    // Room for the bytes of three: the same, but never more than twice as many.
    store.open(&rules, &Keeping { bytes: 3 * len, ..ROOM }).unwrap();
    assert_eq!(keep(&mut store, &[one(2, 14, "b")]), [Kept::Full]);
    let kept = keep(&mut store, &[15, 16, 17, 18].map(|tick| one(1, tick, "a")));
    assert!(kept[..3].iter().all(is_new), "{kept:?}");
    assert_eq!(kept[3], Kept::Full);
    while store.forget(&rules.id(), Forget::Dead { killer_before: u64::MAX }).unwrap() {}
    assert!(is_new(&keep(&mut store, &[one(1, 18, "a")])[0]));
    is_sound(&store);
}

#[test]
fn what_is_not_shown_holds_its_register_and_says_so() {
    let rules = state(10);
    let mut store = store(&rules);
    keep(&mut store, &[says(&rules, 1, 10, &[put("k", "1")])]);
    let rejected = says(&rules, 1, 20, &[put("k", "2")]);
    let keeps = [Keep { show: Show::Rejected { by: 1 }, ..live(&rejected) }];
    let kept = store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
    assert!(matches!(&kept[..], [Kept::New { sequence: None, killed, .. }] if killed.len() == 1));
    let shown = |store: &MemoryStore| {
        let live = all_live(store, &rules);
        live.items.iter().map(|item| (item.head.position.tick, item.is_shown)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&store), [(20, false)]);
    store.release(&rules.id(), &[(key(1), at(20, 3))]).unwrap();
    assert_eq!(shown(&store), [(20, true)]);
    is_sound(&store);
}

#[test]
fn a_topic_whose_rules_were_lost_is_counted_again_when_they_are_known() {
    let rules = state(3);
    let mut store = MemoryStore::new(5);
    store.open_without_rules(&rules.id(), ROOM);
    let mut all = Vec::<Arc<Bundle>>::new();
    for (number, name) in ["a", "b", "a", "c", "d"].iter().enumerate() {
        let prev = all.last().and_then(|last| previous(last));
        let place = at(10 + number as u64, 3);
        all.push(bundle(&rules, 1, place, prev.filter(|_| number != 2), &[&put(name, "v")]));
    }
    assert!(keep(&mut store, &all).iter().all(is_new));
    is_sound(&store);
    store.open(&rules, &ROOM).unwrap();
    assert_eq!(live_ticks(&store, &rules), [12, 13, 14]);
    is_sound(&store);
}

#[test]
fn a_salvaged_store_has_the_same_registers() {
    let dice = &mut Dice::new(7);
    let rules = state(4);
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let mut store = RedbStore::open(folder.path()).unwrap();
        let damage = store.start(&key(0)).unwrap().damage;
        store.open(&rules, &ROOM).unwrap();
        (store, damage)
    };
    let (mut store, _) = open();
    keep(&mut store, &pool(dice, &rules));
    let before = all_live(&store, &rules);
    drop(store);
    std::fs::write(folder.path().join("store.salvage"), []).unwrap();
    let (store, damage) = open();
    assert!(damage.is_some_and(|damage| damage.saved > 0 && damage.bad == 0));
    let ids = |live: &Live| live.items.iter().map(|item| item.head.id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&all_live(&store, &rules)), ids(&before));
    let report = store.check().unwrap();
    assert_eq!(report.count, 0, "{report}");
}

/// Bundles of three authors that overlap nowhere.
fn pool(dice: &mut Dice, rules: &RuleSet) -> Vec<Arc<Bundle>> {
    let mut all = Vec::new();
    for author in 1..=3 {
        for tick in 10..40 {
            for slot in [0, 8] {
                if dice.percent(60) {
                    let cells: Vec<_> = (0..1 + dice.below(5)).map(|_| any_cell(dice)).collect();
                    let cells: Vec<_> = cells.iter().map(String::as_str).collect();
                    let prev = dice.percent(50).then(|| invented(dice, at(tick - 1, 0))).flatten();
                    all.push(bundle(rules, author, at(tick, slot), prev, &cells));
                }
            }
        }
    }
    all
}

/// What the registers of a set are, by their definition: of each key the latest cell, of these the latest `max_keys`; then the bundles
/// that have one of them.
fn defined(all: &[Arc<Bundle>], max_keys: u32) -> BTreeSet<BundleId> {
    let mut live = BTreeSet::new();
    for author in 1..=3 {
        let mut latest = BTreeMap::new();
        for bundle in all.iter().filter(|bundle| bundle.header().author == key(author)) {
            for (position, cell) in bundle.cells() {
                let register = latest.entry(cell.key().clone()).or_insert((position, bundle.id()));
                *register = (*register).max((position, bundle.id()));
            }
        }
        let mut latest: Vec<_> = latest.into_values().collect();
        latest.sort_unstable();
        live.extend(latest.iter().rev().take(max_keys as usize).map(|(_, id)| *id));
    }
    live
}

#[test]
fn same_set_same_state() {
    for seed in 0..30 {
        let dice = &mut Dice::new(seed);
        let max_keys = 1 + dice.below(10) as u32;
        let rules = state(max_keys);
        let pool = pool(dice, &rules);
        let folder = tempfile::tempdir().unwrap();
        let mut stores: Vec<Box<dyn Store>> = vec![
            Box::new(MemoryStore::new(5)),
            Box::new(MemoryStore::new(6)),
            Box::new(RedbStore::open(folder.path()).unwrap()),
        ];
        // Each store is given the whole set, in an order of its own, with repeats, and forgets what is dead when it likes.
        for store in &mut stores {
            store.open(&rules, &ROOM).unwrap();
            let mut order = pool.clone();
            order.extend((0..20).map(|_| Arc::clone(&pool[dice.below(pool.len())])));
            dice.shuffle(&mut order);
            for group in order.chunks(1 + dice.below(30)) {
                keep(&mut **store, group);
                if dice.percent(30) {
                    let dead = Forget::Dead { killer_before: 10 + dice.below(35) as u64 };
                    while store.forget(&rules.id(), dead).unwrap() {}
                }
            }
        }
        let live = |store: &dyn Store| {
            all_live(store, &rules).items.iter().map(|item| item.head.id).collect::<BTreeSet<_>>()
        };
        for store in &mut stores {
            assert_eq!(live(&**store), defined(&pool, max_keys), "seed {seed}");
            // And as of any floor.
            let floor = 10 + dice.below(30) as u64;
            while store.forget(&rules.id(), Forget::Below(floor)).unwrap() {}
            keep(&mut **store, &pool);
            let above: Vec<_> = pool.iter().filter(|bundle| bundle.header().tick >= floor).cloned().collect();
            assert_eq!(live(&**store), defined(&above, max_keys), "seed {seed}, floor {floor}");
            let opened = store.open(&rules, &ROOM).unwrap();
            assert_eq!(opened.heads.iter().map(|head| head.id).collect::<BTreeSet<_>>(), live(&**store));
        }
    }
}
