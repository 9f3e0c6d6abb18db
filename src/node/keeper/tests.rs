//! The threads of a keeper over a store that does what a test says.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::*;
use crate::key::SecretKey;
use crate::protocol::keeping::{
    Arrival, Cursor, Frontier, Group, Head, Held, Hole, Keep, Keeping, Kept, Live, LiveItem, LookId, Opened,
    Page, Query, Range, Scan, Show, Size, Started,
};
use crate::rumor::{Bundle, BundleId, Evidence, NetworkId, Position, RuleSet, Topic, seal};
use crate::store::{Reader, Res};

/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(30);

fn rules(name: &str) -> Arc<RuleSet> {
    let topic = Topic::named(name).retention(Duration::from_secs(3_600));
    Arc::new(topic.bind(NetworkId::of("keeper")).unwrap())
}

fn author() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn bundle(rules: &RuleSet, tick: u64) -> Arc<Bundle> {
    let at = Position { tick, slot: 0 };
    Arc::new(seal(&author(), rules.id(), at, &[format!("at {tick}").into()]).unwrap())
}

fn keep(rules: &RuleSet, tick: u64, urgent: bool) -> StoreJob {
    let keep = Keep { bundle: bundle(rules, tick), arrival: Arrival::Live, show: Show::Now };
    StoreJob::Keep { keep, urgent }
}

fn open(rules: &Arc<RuleSet>) -> StoreJob {
    let keeping = Keeping {
        bytes: u64::MAX,
        shared: u64::MAX,
        authors: 99,
        judged_by: None,
        recent_from: 0,
        latest: u64::MAX,
    };
    StoreJob::Open { rules: Arc::clone(rules), keeping }
}

/// A store in memory that counts its transactions, and whose readers wait at a gate.
struct Scripted {
    memory: MemoryStore,
    script: Script,
}

/// Calls end as they should.
const WELL: u32 = 0;
/// Whatever is written meets a damaged page.
const DAMAGED: u32 = 1;
/// Scans meet a damaged page.
const UNREADABLE: u32 = 2;
/// Readers find the record at tick 1 rotten.
const ROTTEN: u32 = 4;
/// Bundles find no room.
const NO_ROOM: u32 = 3;

#[derive(Clone, Default)]
struct Script {
    commits: Arc<AtomicUsize>,
    /// Readers that have come to the gate, and whether it is shut.
    at_gate: Arc<AtomicUsize>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    /// How calls end from now on.
    mood: Arc<AtomicU32>,
    /// Calls, by name.
    calls: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn open_gate(&self) {
        *self.gate.0.lock().unwrap() = false;
        self.gate.1.notify_all();
    }

    fn call(&self, name: impl Into<String>) -> Res<()> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(name.into());
        self.commits.fetch_add(1, Ordering::SeqCst);
        match self.mood.load(Ordering::SeqCst) {
            DAMAGED => Err(StoreError::Damaged("a page".into())),
            _ => Ok(()),
        }
    }
}

impl Store for Scripted {
    fn start(&mut self, author: &PublicKey) -> Res<Started> {
        self.memory.start(author)
    }

    fn open(&mut self, rules: &RuleSet, keeping: &Keeping) -> Res<Opened> {
        self.script.call("open")?;
        self.memory.open(rules, keeping)
    }

    fn keep(&mut self, group: &Group<'_>) -> Res<Vec<Kept>> {
        self.script.call(format!("keep {}", group.keeps.len()))?;
        if !group.keeps.is_empty() && self.script.mood.load(Ordering::SeqCst) == NO_ROOM {
            return Err(StoreError::NoRoom("here".into()));
        }
        self.memory.keep(group)
    }

    fn release(&mut self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<u64>>> {
        self.script.call(format!("release {}", at.len()))?;
        self.memory.release(topic, at)
    }

    fn rest(&mut self, topic: &TopicId, holes: &[(Hole, u64)]) -> Res<()> {
        self.script.call("rest")?;
        self.memory.rest(topic, holes)
    }

    fn settle(&mut self, author: &PublicKey, until_ms: u64) -> Res<()> {
        self.script.call("settle")?;
        self.memory.settle(author, until_ms)
    }

    fn remember(&mut self, evidence: &Evidence) -> Res<()> {
        self.script.call("remember")?;
        self.memory.remember(evidence)
    }

    fn forget(&mut self, topic: &TopicId, what: Forget) -> Res<bool> {
        self.script.call("forget")?;
        self.memory.forget(topic, what)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(Gated(self.memory.reader(), self.script.clone()))
    }
}

struct Gated(Box<dyn Reader>, Script);

impl Gated {
    fn pass(&self) {
        self.1.at_gate.fetch_add(1, Ordering::SeqCst);
        let (shut, opened) = &*self.1.gate;
        drop(opened.wait_while(shut.lock().unwrap(), |shut| *shut).unwrap());
    }

    fn rotten(&self) -> Vec<(PublicKey, Position)> {
        let rots = self.1.mood.load(Ordering::SeqCst) == ROTTEN;
        rots.then(|| (author().public(), Position { tick: 1, slot: 0 })).into_iter().collect()
    }
}

impl Reader for Gated {
    fn held(&self, topic: &TopicId, at: &[(PublicKey, Position, BundleId)]) -> Res<Vec<Held>> {
        self.pass();
        self.0.held(topic, at)
    }

    fn page(&self, topic: &TopicId, ranges: &[Range], max_bytes: usize) -> Res<Page> {
        self.0.page(topic, ranges, max_bytes)
    }

    fn history(&self, topic: &TopicId, range: &Range, max_bytes: usize) -> Res<Page> {
        self.0.history(topic, range, max_bytes).map(|page| Page { rotten: self.rotten(), ..page })
    }

    fn find(&self, topic: &TopicId, author: &PublicKey, at: Position) -> Res<Option<Arc<Bundle>>> {
        self.0.find(topic, author, at)
    }

    fn frontier(&self, topic: &TopicId, author: &PublicKey, holes: usize) -> Res<Frontier> {
        self.0.frontier(topic, author, holes)
    }

    fn scan(&self, topic: &TopicId, after: Cursor, max_bytes: usize) -> Res<Scan> {
        if self.1.mood.load(Ordering::SeqCst) == UNREADABLE {
            return Err(StoreError::Damaged("a page".into()));
        }
        self.pass();
        self.0.scan(topic, after, max_bytes).map(|scan| Scan { rotten: self.rotten(), ..scan })
    }

    fn live(&self, topic: &TopicId, after: Option<&Head>, max_bytes: usize) -> Res<Live> {
        let mut live = self.0.live(topic, after, max_bytes)?;
        live.items.extend(self.rotten().into_iter().map(|(author, position)| {
            let head = Head { author, position, id: BundleId::from_bytes([1; 32]) };
            LiveItem { head, bundle: None, is_shown: true }
        }));
        Ok(live)
    }

    fn before(&self, topic: &TopicId, at: &[(PublicKey, Position)]) -> Res<Vec<Option<Position>>> {
        self.0.before(topic, at)
    }

    fn unmet(&self, topic: &TopicId, after: Option<&Hole>, count: usize) -> Res<Vec<Hole>> {
        self.0.unmet(topic, after, count)
    }

    fn over(&self, joined: &[TopicId], now_ms: u64) -> Res<Vec<(TopicId, u64)>> {
        self.0.over(joined, now_ms)
    }

    fn size(&self, topic: &TopicId) -> Res<Size> {
        self.0.size(topic)
    }
}

/// A keeper on a scripted store, and how often the store was opened.
struct World {
    keeper: Keeper,
    script: Script,
    opened: Arc<AtomicUsize>,
}

impl World {
    fn new(before_commit: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::on(before_commit, || 1 << 40)
    }

    /// On a disk with so much room, of which 1 000 bytes are left free.
    fn on(
        before_commit: impl Fn() -> io::Result<()> + Send + Sync + 'static,
        free: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let (script, opened) = (Script::default(), Arc::new(AtomicUsize::new(0)));
        let mut outside = Outside::default();
        outside.set_before_commit(before_commit);
        outside.set_free(move |_| Some(free()));
        let (with, count) = (script.clone(), Arc::clone(&opened));
        let mut open: Opener = Box::new(move || {
            let number = count.fetch_add(1, Ordering::SeqCst) as u64;
            with.mood.store(WELL, Ordering::SeqCst);
            Ok(Box::new(Scripted { memory: MemoryStore::new(100 + number), script: with.clone() }))
        });
        let mut store = open().unwrap();
        store.start(&author().public()).unwrap();
        let space = Space::new("here".into(), 1_000);
        Self { keeper: Keeper::on_disk(store, open, author().public(), space, outside), script, opened }
    }

    /// What is told until `enough` says so.
    async fn told_until(&mut self, mut enough: impl FnMut(&Told) -> bool) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            soon("something is told", self.keeper.wait()).await;
            all.extend(self.keeper.told());
            if all.iter().any(&mut enough) {
                return all;
            }
        }
    }

    async fn opens(&mut self, rules: &Arc<RuleSet>) -> Vec<Told> {
        self.keeper.give(open(rules), 0);
        self.told_until(|told| matches!(answer(told), Some(StoreAnswer::Opened { opened: Ok(_), .. }))).await
    }

    fn open_gate(&self) {
        self.script.open_gate();
    }
}

fn answer(told: &Told) -> Option<&StoreAnswer> {
    match told {
        Told::Store { answer, .. } => Some(answer),
        Told::Recorded { .. } => None,
    }
}

fn kept(told: &[Told]) -> Vec<(u64, bool)> {
    let each = told.iter().filter_map(|told| match answer(told) {
        Some(StoreAnswer::Kept { keep, kept }) => {
            Some((keep.bundle.header().tick, matches!(kept, Ok(Kept::New { .. }))))
        }
        _ => None,
    });
    each.collect()
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: it did not happen"),
    }
}

/// Everything that the engine may give is given while nobody takes what is told, by an actor that then ends: both ends come.
#[tokio::test]
async fn actor_and_keeper_never_deadlock() {
    let mut world = World::new(|| Ok(()));
    let rules = rules("busy");
    world.opens(&rules).await;
    // Far more than any inbox has places for, and none of it taken.
    for tick in 0..20_000 {
        world.keeper.give(keep(&rules, tick, tick % 97 == 0), 0);
        if tick % 100 == 0 {
            let look = LookId::of(tick);
            let query = Query::Held { topic: rules.id(), at: Vec::new() };
            world.keeper.give(StoreJob::Look { look, query }, 0);
            world.keeper.record(tick);
        }
    }
    let told = soon("the end", world.keeper.end(0)).await;
    assert_eq!(kept(&told), (0..20_000).map(|tick| (tick, true)).collect::<Vec<_>>(), "each once, in order");
    let looks = told.iter().filter(|told| matches!(answer(told), Some(StoreAnswer::Looked { .. }))).count();
    assert_eq!(looks, 200);
    // Of several records in one group the latest is told; the last one is.
    let last = told.iter().rev().find_map(|told| match told {
        Told::Recorded { until_ms, result } => Some((*until_ms, result.clone())),
        Told::Store { .. } => None,
    });
    assert_eq!(last, Some((19_900, Ok(()))));
}

#[tokio::test]
async fn jobs_that_write_are_done_in_order_and_in_groups() {
    // The disk stands still until all is given: how it is grouped is no question of how fast that is.
    let disk = Arc::new(Mutex::new(()));
    let at_disk = Arc::clone(&disk);
    let mut world = World::new(move || {
        drop(at_disk.lock().unwrap());
        Ok(())
    });
    let (one, other) = (rules("one"), rules("other"));
    world.opens(&one).await;
    world.script.calls.lock().unwrap().clear();
    let stands = disk.lock().unwrap();
    world.keeper.give(StoreJob::Forget { topic: one.id(), what: Forget::Below(1) }, 0);
    for tick in 0..5 {
        world.keeper.give(keep(&one, tick, false), 0);
    }
    world.keeper.give(StoreJob::Forget { topic: one.id(), what: Forget::Below(2) }, 0);
    world.keeper.give(keep(&one, 5, false), 0);
    world.keeper.give(open(&other), 0);
    let at = vec![(author().public(), Position { tick: 3, slot: 0 })];
    world.keeper.give(StoreJob::Release { topic: one.id(), at: at.clone() }, 0);
    world.keeper.give(keep(&other, 6, false), 0);
    world.keeper.give(StoreJob::Release { topic: one.id(), at }, 0);
    world.keeper.give(keep(&other, 7, true), 0);
    drop(stands);
    let told = world
        .told_until(|told| matches!(answer(told), Some(StoreAnswer::Kept { keep, .. }) if keep.bundle.header().tick == 7))
        .await;
    assert_eq!(kept(&told), (0..8).map(|tick| (tick, true)).collect::<Vec<_>>());
    let order: Vec<_> = told
        .iter()
        .filter_map(|told| match answer(told)? {
            StoreAnswer::Kept { keep, .. } => Some(keep.bundle.header().tick),
            StoreAnswer::Forgot { left, .. } => Some(100 + left.as_ref().unwrap().floor),
            StoreAnswer::Opened { .. } => Some(200),
            _ => None,
        })
        .collect();
    assert_eq!(order, [100, 0, 1, 2, 3, 4, 102, 5, 200, 6, 7]);
    world.keeper.end(0).await;
    let calls = world.script.calls.lock().unwrap().clone();
    assert_eq!(calls, ["forget", "keep 5", "forget", "keep 1", "open", "keep 2", "release 2", "settle"]);
}

/// Both readers are busy for as long as a commit takes, and longer.
#[tokio::test]
async fn reads_delay_no_commit() {
    let mut world = World::new(|| Ok(()));
    let rules = rules("read");
    world.opens(&rules).await;
    *world.script.gate.0.lock().unwrap() = true;
    let library = world.keeper.library();
    let mut scans: Vec<_> = (0..8).map(|_| library.scan(rules.id(), Cursor::START, 1_000)).collect();
    while world.script.at_gate.load(Ordering::SeqCst) < super::readers::READERS {
        tokio::task::yield_now().await;
    }
    for tick in 0..50 {
        world.keeper.give(keep(&rules, tick, true), 0);
        let told = world.told_until(|told| answer(told).is_some()).await;
        assert_eq!(kept(&told), [(tick, true)]);
    }
    assert!(scans.iter_mut().all(|scan| scan.try_recv().is_err()), "they wait at the gate");
    world.open_gate();
    for scan in scans {
        assert!(!soon("a scan", scan).await.unwrap().unwrap().items.is_empty());
    }
}

#[tokio::test]
async fn a_reader_at_the_end_shortens_the_wait_of_its_topic_alone() {
    let mut world = World::new(|| Ok(()));
    let (one, other) = (rules("one"), rules("other"));
    world.opens(&one).await;
    world.opens(&other).await;
    let library = world.keeper.library();
    let (tail, cx) = (library.tail(one.id()), std::task::Context::from_waker(std::task::Waker::noop()));
    let (waiter, mut round, mut is_quick) = (tail.waiter(), 0, false);
    // A busy machine may take a second for it now and then, and not again and again.
    while !is_quick {
        round += 1;
        assert!(round <= 10, "a second is for those who don't wait");
        let (begun, version) = (Instant::now(), tail.version());
        world.keeper.give(keep(&other, round, false), 0);
        world.keeper.give(keep(&one, round, false), 0);
        let waits = tail.poll_beyond(version, waiter, &cx).is_pending();
        library.is_awaited();
        // (Both are answered, together or not, and readers are woken a moment after.)
        let mut told = Vec::new();
        while kept(&told).len() < 2 {
            told.extend(world.told_until(|told| answer(told).is_some()).await);
        }
        let woken = async {
            while tail.poll_beyond(version, waiter, &cx).is_pending() {
                tokio::task::yield_now().await;
            }
        };
        soon("the reader is woken", woken).await;
        is_quick = waits && begun.elapsed() < Duration::from_millis(900);
    }
    let begun = Instant::now();
    let version = tail.version();
    assert!(tail.poll_beyond(version, waiter, &cx).is_pending());
    world.keeper.give(keep(&other, round + 1, false), 0);
    world.told_until(|told| answer(told).is_some()).await;
    assert!(begun.elapsed() >= Duration::from_millis(900), "a reader of one topic hurries no other");
    assert!(tail.poll_beyond(version, waiter, &cx).is_pending());
}

/// A full disk answers everybody, is tried again in pauses, and says when it works.
#[tokio::test]
async fn a_full_disk_answers_and_is_tried_again() {
    let full = Arc::new(AtomicU32::new(0));
    let (is_full, tries) = (Arc::clone(&full), Arc::new(AtomicUsize::new(0)));
    let tried = Arc::clone(&tries);
    let mut world = World::new(move || {
        tried.fetch_add(1, Ordering::SeqCst);
        match is_full.load(Ordering::SeqCst) {
            0 => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    });
    let rules = rules("full");
    world.opens(&rules).await;
    full.store(1, Ordering::SeqCst);
    world.keeper.give(keep(&rules, 1, true), 0);
    world.keeper.record(5);
    let told = world.told_until(|told| matches!(told, Told::Recorded { .. })).await;
    assert!(told.iter().any(|told| matches!(told, Told::Recorded { result: Err(_), .. })));
    let mut told_of = kept(&told);
    while told_of.is_empty() {
        told_of = kept(&world.told_until(|told| answer(told).is_some()).await);
    }
    assert_eq!(told_of, [(1, false)]);
    // When it has failed for a while it is left alone for a while, and whoever comes meanwhile is answered at once.
    while tries.load(Ordering::SeqCst) < 7 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut pauses = 1..=3;
    loop {
        assert!(pauses.next().is_some(), "it is tried for those who come");
        let (before, began) = (tries.load(Ordering::SeqCst), Instant::now());
        for tick in 2..500 {
            world.keeper.give(keep(&rules, tick, false), 0);
        }
        let mut refused = 0;
        while refused < 498 {
            let told = world.told_until(|told| answer(told).is_some()).await;
            assert!(kept(&told).iter().all(|(_, new)| !new));
            refused += kept(&told).len();
        }
        // A pause was over meanwhile at the most once, and only where this took as long as a pause.
        let more = tries.load(Ordering::SeqCst) - before;
        if more == 0 {
            break;
        }
        assert!(more == 1 || began.elapsed() > Duration::from_secs(3), "{more} tries");
    }
    full.store(0, Ordering::SeqCst);
    world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Works))).await;
    world.keeper.give(keep(&rules, 900, true), 0);
    world.keeper.record(9);
    let told = world.told_until(|told| matches!(told, Told::Recorded { result: Ok(()), until_ms: 9 })).await;
    let mut told = told;
    told.extend(world.keeper.end(0).await);
    assert_eq!(kept(&told), [(900, true)]);
}

/// One failure is waited for: nobody is told of it.
#[tokio::test]
async fn a_disk_that_fails_once_loses_nothing() {
    let failures = Arc::new(AtomicU32::new(0));
    let left = Arc::clone(&failures);
    let mut world = World::new(move || {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() { Err(io::Error::other("a bad cable")) } else { Ok(()) }
    });
    let rules = rules("once");
    world.opens(&rules).await;
    failures.store(2, Ordering::SeqCst);
    world.keeper.give(keep(&rules, 1, true), 0);
    let told = world.told_until(|told| answer(told).is_some()).await;
    assert_eq!(kept(&told), [(1, true)]);
    assert!(!told.iter().any(|told| matches!(answer(told), Some(StoreAnswer::Works))));
}

/// Bundles find no room, though an empty commit does: it seems to work each time that it is tried.
#[tokio::test]
async fn a_disk_that_only_seems_to_work_is_tried_ever_more_rarely() {
    let mut world = World::new(|| Ok(()));
    let rules = rules("seems");
    world.opens(&rules).await;
    world.script.mood.store(NO_ROOM, Ordering::SeqCst);
    // What it waited in each: no load makes that shorter.
    let mut waited = Vec::new();
    for tick in 1..4 {
        let begun = Instant::now();
        world.keeper.give(keep(&rules, tick, true), 0);
        let told = world.told_until(|told| !kept(std::slice::from_ref(told)).is_empty()).await;
        assert_eq!(kept(&told), [(tick, false)]);
        world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Works))).await;
        waited.push(begun.elapsed());
    }
    // At first it is patient: three pauses. Then each failure counts as one more.
    let least = [50 + 100 + 200, 400, 800].map(Duration::from_millis);
    assert!(waited.iter().zip(least).all(|(waited, least)| *waited >= least), "{waited:?}");
}

/// What was given before the store started again and not answered is not answered, but for records; what is told of before is dropped.
#[tokio::test]
async fn a_damaged_store_is_opened_again_and_starts_anew() {
    for by_reader in [false, true] {
        let mut world = World::new(|| Ok(()));
        let rules = rules("damaged");
        world.opens(&rules).await;
        // A question is under way, and stays so until the store has started again.
        *world.script.gate.0.lock().unwrap() = true;
        let query = Query::Held {
            topic: rules.id(),
            at: vec![(author().public(), Position { tick: 1, slot: 0 }, BundleId::from_bytes([1; 32]))],
        };
        world.keeper.give(StoreJob::Look { look: LookId::of(1), query: query.clone() }, 0);
        while world.script.at_gate.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        if by_reader {
            world.script.mood.store(UNREADABLE, Ordering::SeqCst);
            let scan = world.keeper.library().scan(rules.id(), Cursor::START, 99);
            assert!(matches!(soon("a scan", scan).await.unwrap(), Err(StoreError::Damaged(_))));
        } else {
            world.script.mood.store(DAMAGED, Ordering::SeqCst);
            world.keeper.give(keep(&rules, 1, true), 0);
            world.keeper.record(5);
        }
        while world.opened.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        // Given before the engine can know.
        world.keeper.give(keep(&rules, 2, true), 0);
        let told = world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Started { .. }))).await;
        assert_eq!(kept(&told), []);
        // The topic is not open any more, and is opened again.
        let mut told = world.opens(&rules).await;
        world.keeper.give(keep(&rules, 3, true), 0);
        world.keeper.record(9);
        told.extend(world.told_until(|told| matches!(told, Told::Recorded { until_ms: 9, .. })).await);
        // The question is answered at the very end.
        let script = world.script.clone();
        let (end, ()) = tokio::join!(world.keeper.end(0), async { script.open_gate() });
        told.extend(end);
        assert_eq!(kept(&told), [(3, true)]);
        assert!(!told.iter().any(|told| matches!(answer(told), Some(StoreAnswer::Looked { .. }))));
    }
}

#[tokio::test]
async fn what_is_given_last_is_committed_at_the_end() {
    let mut world = World::new(|| Ok(()));
    let rules = rules("last");
    world.opens(&rules).await;
    world.keeper.give(keep(&rules, 1, false), 0);
    assert_eq!(kept(&soon("the end", world.keeper.end(0)).await), [(1, true)]);
}

#[tokio::test]
async fn a_record_is_answered_whatever_becomes_of_the_store() {
    let mut world = World::new(|| Ok(()));
    world.script.mood.store(DAMAGED, Ordering::SeqCst);
    world.keeper.record(5);
    let told = world.told_until(|told| matches!(told, Told::Recorded { .. })).await;
    assert!(matches!(told.first(), Some(Told::Recorded { until_ms: 5, result: Err(_) })), "{told:?}");
}

#[tokio::test]
async fn a_topic_is_forgotten_whole_before_it_is_opened_again() {
    let mut world = World::new(|| Ok(()));
    let rules = rules("gone");
    world.opens(&rules).await;
    for tick in 0..2_500 {
        world.keeper.give(keep(&rules, tick, false), 0);
    }
    let (answer, done) = oneshot::channel();
    world.keeper.forget_topic(rules.id(), answer);
    let told = world.opens(&rules).await;
    soon("the topic is gone", done).await.unwrap().unwrap();
    let opened = told.iter().find_map(|told| match super::tests::answer(told) {
        Some(StoreAnswer::Opened { opened: Ok(opened), .. }) => Some(opened),
        _ => None,
    });
    let opened = opened.unwrap();
    assert_eq!((opened.size.bundles, opened.heads.len(), opened.floor), (0, 0, 2_500));
}

#[test]
fn a_panic_in_a_read_costs_no_reader() {
    let world = World::new(|| Ok(()));
    let library = world.keeper.library();
    for _ in 0..super::readers::READERS * 2 {
        drop(library.read::<()>(|_| panic!("a fault of ours")));
    }
    let (told, heard) = mpsc::channel();
    drop(library.read(move |_| {
        told.send(7).unwrap();
        Ok(())
    }));
    assert_eq!(heard.recv_timeout(WATCHDOG), Ok(7));
}

#[tokio::test]
async fn rot_that_an_application_comes_upon_is_told_to_the_engine() {
    let mut world = World::new(|| Ok(()));
    let rules = rules("rot");
    world.opens(&rules).await;
    for tick in 1..4 {
        world.keeper.give(keep(&rules, tick, true), 0);
    }
    world.told_until(|told| kept(std::slice::from_ref(told)) == [(3, true)]).await;
    world.script.mood.store(ROTTEN, Ordering::SeqCst);
    let (topic, author) = (rules.id(), author().public());
    let range = Range { author, from: (0, 0), upto: Position { tick: 9, slot: 0 } };
    let rotten = Forget::Rotten(author, Position { tick: 1, slot: 0 });
    for read in 0..3 {
        let library = world.keeper.library();
        match read {
            0 => drop(soon("a scan", library.scan(topic, Cursor::START, 1_000)).await.unwrap().unwrap()),
            1 => drop(soon("history", library.history(topic, range, 1_000)).await.unwrap().unwrap()),
            _ => drop(soon("values", library.live(topic, None, 1_000)).await.unwrap().unwrap()),
        }
        let told = world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Forgot { .. }))).await;
        let [told] = &told[..] else { panic!("{told:?}") };
        let Some(StoreAnswer::Forgot { what, left: Ok(left), .. }) = answer(told) else { panic!("{told:?}") };
        assert_eq!((*what, left.size.bundles, left.more), (rotten, 3, false));
    }
}

/// Another program fills the disk: bundles are refused, and nothing else is.
#[tokio::test]
async fn a_disk_with_little_room_keeps_no_bundles_and_all_else() {
    let free = Arc::new(AtomicUsize::new(1_000));
    let disk = Arc::clone(&free);
    let mut world = World::on(|| Ok(()), move || disk.load(Ordering::SeqCst) as u64);
    let rules = rules("short");
    world.opens(&rules).await;
    world.keeper.give(keep(&rules, 1, true), 0);
    let told = world.told_until(|told| !kept(std::slice::from_ref(told)).is_empty()).await;
    assert_eq!(kept(&told), [(1, true)]);
    free.store(999, Ordering::SeqCst);
    let mut tick = 1;
    let refused = loop {
        tick += 1;
        world.keeper.give(keep(&rules, tick, true), 0);
        let told = world.told_until(|told| !kept(std::slice::from_ref(told)).is_empty()).await;
        if let [(at, false)] = kept(&told)[..] {
            break at;
        }
        // The disk is looked at once in a while.
        assert!(tick < 200, "it is kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(refused, tick);
    world.keeper.record(7);
    let at = vec![(author().public(), Position { tick: 1, slot: 0 })];
    world.keeper.give(StoreJob::Release { topic: rules.id(), at }, 0);
    world.keeper.give(StoreJob::Forget { topic: rules.id(), what: Forget::Below(1) }, 0);
    let told = world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Forgot { .. }))).await;
    assert!(told.iter().any(|told| matches!(told, Told::Recorded { until_ms: 7, result: Ok(()) })));
    let scan = world.keeper.library().scan(rules.id(), Cursor::START, 1 << 20);
    assert_eq!(
        soon("a scan", scan).await.unwrap().unwrap().items.len() as u64,
        tick - 1,
        "nothing is deleted"
    );
    // When there is room it is told, whether or not anything comes.
    free.store(1_000, Ordering::SeqCst);
    world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Works))).await;
    world.keeper.give(keep(&rules, tick + 1, true), 0);
    let told = world.told_until(|told| !kept(std::slice::from_ref(told)).is_empty()).await;
    assert_eq!(kept(&told), [(tick + 1, true)]);
}

/// Who is about to speak is told before that nothing will be kept.
#[tokio::test]
async fn little_room_is_told_before_a_topic_or_a_position_is_used() {
    let free = Arc::new(AtomicUsize::new(999));
    let disk = Arc::clone(&free);
    let mut world = World::on(|| Ok(()), move || disk.load(Ordering::SeqCst) as u64);
    let rules = rules("short from the start");
    let short = StoreTrouble::Short { free: 999, least: 1_000 };
    let is_short = |told: &Told| matches!(answer(told), Some(StoreAnswer::Fails(why)) if *why == short);
    let told = world.opens(&rules).await;
    let fails = told.iter().position(is_short);
    let opened = told.iter().position(|told| matches!(answer(told), Some(StoreAnswer::Opened { .. })));
    assert!(fails.is_some() && fails < opened, "{told:?}");
    free.store(1_000, Ordering::SeqCst);
    world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Works))).await;
    // Nothing is kept for a while, and another program takes the room. The disk is looked at once a second at the most.
    free.store(999, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.keeper.record(7);
    let told = world.told_until(|told| matches!(told, Told::Recorded { .. })).await;
    let fails = told.iter().position(is_short);
    let recorded = told.iter().position(|told| matches!(told, Told::Recorded { .. }));
    assert!(fails.is_some() && fails < recorded, "{told:?}");
}

#[tokio::test]
async fn room_is_told_also_where_the_disk_had_failed_before() {
    let (full, free) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1_000)));
    let (fails, disk) = (Arc::clone(&full), Arc::clone(&free));
    let commit = move || match fails.load(Ordering::SeqCst) {
        0 => Ok(()),
        _ => Err(io::Error::other("full")),
    };
    let mut world = World::on(commit, move || disk.load(Ordering::SeqCst) as u64);
    let rules = rules("short after a failure");
    world.opens(&rules).await;
    full.store(1, Ordering::SeqCst);
    world.keeper.give(keep(&rules, 1, true), 0);
    world.told_until(|told| kept(std::slice::from_ref(told)) == [(1, false)]).await;
    full.store(0, Ordering::SeqCst);
    world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Works))).await;
    // It works and has kept nothing yet: now there is little room. The disk is looked at once a second at the most.
    free.store(999, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.keeper.give(keep(&rules, 2, true), 0);
    world.told_until(|told| kept(std::slice::from_ref(told)) == [(2, false)]).await;
    free.store(1_000, Ordering::SeqCst);
    world.told_until(|told| matches!(answer(told), Some(StoreAnswer::Works))).await;
}
