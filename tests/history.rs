//! What nodes keep of topics, as an application sees it: over real QUIC on loopback, with stores on a disk and in memory.
//!
//! The tests start this binary again, as `child`, and talk to it over its standard output.
#![cfg(all(unix, feature = "sim"))]

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use vouchsafe::protocol::keeping::{Arrival, Group, Keep, Keeping, Show};
use vouchsafe::rumor::{Previous, seal_after};
use vouchsafe::store::{RedbStore, Store as _};
use vouchsafe::{
    Builder, Closed, Cursor, Event, ForgetError, Full, Gap, Impairment, Item, NetworkId, Node, PeerAddr,
    Position, PublishError, Replay, ReplayError, Rumor, SecretKey, SpawnError, StoreError, Subscription,
    Topic, TopicHandle, VerifierPool, WaitError, verify,
};

const NETWORK: &str = "history";
const HOUR: Duration = Duration::from_secs(3_600);
/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

fn log() -> Topic {
    Topic::named("log").retention(HOUR).slots_per_tick(4_096)
}

/// Held while a process begins: until its program runs it shares what this one has open, and so the lock of a store that another test
/// closes meanwhile.
static BEGINS: Mutex<()> = Mutex::new(());

/// What was closed before this is closed to all: no process that began before shares it any more, and one that begins later never did.
/// To be called before a store is opened again.
fn all_have_begun() {
    drop(BEGINS.lock().unwrap_or_else(PoisonError::into_inner));
}

fn builder(key: SecretKey, peers: &[&Node]) -> Builder {
    all_have_begun();
    let peers = peers.iter().map(|node| node.addr().unwrap());
    Node::builder(key).network(NETWORK).listen("127.0.0.1:0").bootstrap(peers).verifiers(VerifierPool::new(1))
}

/// A node that keeps in memory, in the topic.
async fn other(topic: &Topic) -> (Node, TopicHandle) {
    let node = builder(SecretKey::generate(), &[]).spawn().await.unwrap();
    let handle = node.join(topic.clone()).await.unwrap();
    (node, handle)
}

/// A node with a store, linked to another, both in the topic.
struct Scene {
    other: (Node, TopicHandle),
    node: Node,
    topic: TopicHandle,
}

impl Scene {
    async fn new(topic: &Topic, build: impl FnOnce(Builder) -> Builder) -> Self {
        let other = other(topic).await;
        Self::beside(other, SecretKey::generate(), topic, build).await
    }

    async fn beside(
        other: (Node, TopicHandle),
        key: SecretKey,
        topic: &Topic,
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let node = build(builder(key, &[&other.0])).spawn().await.unwrap();
        let handle = node.join(topic.clone()).await.unwrap();
        soon("a link", handle.wait_for_links(1)).await.unwrap();
        soon("a link", other.1.wait_for_links(1)).await.unwrap();
        Self { other, node, topic: handle }
    }
}

#[tokio::test]
async fn who_ends_in_order_need_not_wait_for_what_it_has_not_used() {
    let folder = tempfile::tempdir().unwrap();
    // A member says that it leaves, and may use another position for that.
    let build = |node: Builder| node.store(folder.path()).without_members();
    let scene = Scene::beside(other(&log()).await, SecretKey::generate(), &log(), build).await;
    let said = soon("publishing", scene.topic.publish("one")).await.unwrap();
    let (author, used) = (scene.node.author(), scene.topic.rules().tick_len().end_of(said.position().tick));
    scene.node.shutdown().await;
    all_have_begun();
    let mut store = RedbStore::open(folder.path()).unwrap();
    assert_eq!(store.start(&author).unwrap().recorded_until, Some(used));
}

/// Reads so many rumors, each with the cursor behind it.
async fn read(replay: &mut Replay, count: usize) -> Vec<(Cursor, Rumor)> {
    let mut all = Vec::new();
    while all.len() < count {
        match soon("an item", replay.next()).await.unwrap().unwrap() {
            Item::Rumor { cursor, rumor, late, off_chain, author_convicted } => {
                assert!(!late && !off_chain && !author_convicted);
                assert_eq!(replay.cursor(), cursor);
                all.push((cursor, rumor));
            }
            other => panic!("{other:?}"),
        }
    }
    all
}

fn words(read: &[(Cursor, Rumor)]) -> Vec<String> {
    read.iter().map(|(_, rumor)| String::from_utf8_lossy(rumor.body()).into_owned()).collect()
}

/// Nothing more comes at once.
async fn is_at_end(replay: &mut Replay) {
    let more = tokio::time::timeout(Duration::from_millis(300), replay.next()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn what_is_published_is_on_the_disk_and_read_in_order_of_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let scene =
        Scene::beside(other(&log()).await, key.clone(), &log(), |node| node.store(folder.path())).await;
    let published = soon("publishing", scene.topic.publish("one")).await.unwrap();
    assert!(verify::proof(&published.proof(), b"one").is_ok());
    let mut past = scene.topic.replay(Cursor::START);
    let one = read(&mut past, 1).await;
    assert_eq!(one[0].1.id(), published);
    assert_eq!(one[0].1.position(), published.position());
    is_at_end(&mut past).await;
    // What others say comes as it is kept, in the same stream.
    scene.other.1.publish("two").await.unwrap();
    let two = read(&mut past, 1).await;
    assert_eq!(words(&two), ["two"]);
    scene.topic.publish_unsynced("three").await.unwrap();
    assert_eq!(words(&read(&mut past, 1).await), ["three"]);
    // From a cursor on, what is behind it.
    assert_eq!(words(&read(&mut scene.topic.replay(one[0].0), 2).await), ["two", "three"]);
    scene.node.shutdown().await;
    assert_eq!(soon("the end", past.next()).await, None);
    assert_eq!(soon("the end", past.next()).await, None);
    assert_eq!(scene.topic.get(key.public(), published.position()).await, Err(ReplayError::Closed));
    // The same in the next life, though the other node is gone; and the author goes on.
    scene.other.0.shutdown().await;
    let again = Scene::beside(other(&log()).await, key, &log(), |node| node.store(folder.path())).await;
    let all = read(&mut again.topic.replay(Cursor::START), 3).await;
    assert_eq!(words(&all), ["one", "two", "three"]);
    assert_eq!(words(&read(&mut again.topic.replay(one[0].0), 2).await), ["two", "three"]);
    let later = soon("publishing", again.topic.publish("four")).await.unwrap();
    assert!(later.position() > published.position());
    let frontier = again.topic.frontier(again.node.author()).await.unwrap();
    assert_eq!((frontier.newest, frontier.complete_until), (Some(later.position()), Some(later.position())));
    assert!(frontier.holes.is_empty(), "its chain goes on from where it ended");
    let found = again.topic.get(again.node.author(), published.position()).await.unwrap();
    assert_eq!(found.map(|rumor| rumor.id()), Some(published.id()));
}

#[tokio::test]
async fn without_a_folder_the_past_is_the_same_while_the_node_lives() {
    let scene = Scene::new(&log(), |node| node).await;
    let mut past = scene.topic.replay(Cursor::START);
    for number in 0..20 {
        scene.topic.publish(format!("{number}")).await.unwrap();
    }
    scene.other.1.publish("theirs").await.unwrap();
    let all = read(&mut past, 21).await;
    assert_eq!(words(&read(&mut scene.topic.replay(all[9].0), 11).await), words(&all[10..]));
    let author = scene.node.author();
    let mut own = scene.topic.history(author, ..);
    let mut count = 0;
    while let Some(rumor) = soon("a rumor", own.next()).await {
        assert_eq!(rumor.unwrap().body(), &format!("{count}"));
        count += 1;
    }
    assert_eq!(count, 20);
    // A topic that is relayed and no longer has no past.
    let short = scene.node.join(Topic::named("short")).await.unwrap();
    let mut nothing = short.replay(Cursor::START);
    assert_eq!(nothing.next().await, Some(Err(ReplayError::NotKept(short.id()))));
    assert_eq!(nothing.next().await, None);
    assert_eq!(short.history(author, ..).next().await, Some(Err(ReplayError::NotKept(short.id()))));
    assert_eq!(short.frontier(author).await, Err(ReplayError::NotKept(short.id())));
    scene.node.shutdown().await;
    assert_eq!(soon("the end", past.next()).await, None);
}

/// Of a bundle of many rumors an application may have dealt with some.
#[tokio::test]
async fn a_cursor_inside_a_bundle_goes_on_inside_it() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(&log(), |node| node.store(folder.path())).await;
    let bodies = (0..300u32).map(|number| Bytes::from(format!("{number}")));
    scene.topic.publish_all(bodies).await.unwrap();
    let all = read(&mut scene.topic.replay(Cursor::START), 300).await;
    let bundles: std::collections::BTreeSet<_> = all.iter().map(|(_, rumor)| rumor.bundle().id()).collect();
    assert!(bundles.len() < 100, "{} bundles", bundles.len());
    for from in [0, 1, 62, 63, 64, 65, 150, 298] {
        let rest = read(&mut scene.topic.replay(all[from].0), 299 - from).await;
        assert_eq!(words(&rest), words(&all[from + 1..]), "from {from} on");
    }
}

#[tokio::test]
async fn a_history_is_of_one_author_and_between_two_positions() {
    let scene = Scene::new(&log(), |node| node).await;
    let author = scene.node.author();
    let bodies = (0..200u32).map(|number| Bytes::from(format!("{number}")));
    let published = scene.topic.publish_all(bodies).await.unwrap();
    scene.other.1.publish("not mine").await.unwrap();
    let at: Vec<_> = published.iter().map(|published| published.position()).collect();
    let read = async |from: std::ops::Bound<Position>, to: std::ops::Bound<Position>| {
        let (mut past, mut all) = (scene.topic.history(author, (from, to)), Vec::new());
        while let Some(rumor) = soon("a rumor", past.next()).await {
            all.push(rumor.unwrap().position());
        }
        all
    };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    assert_eq!(read(Unbounded, Unbounded).await, at);
    assert_eq!(read(Included(at[70]), Excluded(at[80])).await, at[70..80]);
    assert_eq!(read(Excluded(at[70]), Included(at[80])).await, at[71..=80]);
    assert_eq!(read(Included(at[199]), Unbounded).await, at[199..]);
    assert_eq!(read(Excluded(at[199]), Unbounded).await, []);
    assert_eq!(read(Unbounded, Excluded(Position { tick: 0, slot: 0 })).await, []);
    assert_eq!(scene.topic.get(author, at[77]).await.unwrap().unwrap().id(), published[77]);
    let beyond = Position { tick: at[199].tick + 1, slot: 0 };
    assert_eq!(scene.topic.get(author, beyond).await, Ok(None));
    let nobody = SecretKey::generate().public();
    assert_eq!(scene.topic.get(nobody, at[0]).await, Ok(None));
    assert_eq!(scene.topic.frontier(nobody).await.unwrap(), vouchsafe::Frontier::default());
}

#[tokio::test]
async fn a_cursor_of_another_store_is_foreign() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scene = Scene::new(&log(), |node| node.store(one.path())).await;
    scene.topic.publish("here").await.unwrap();
    let here = read(&mut scene.topic.replay(Cursor::START), 1).await[0].0;
    let elsewhere =
        Scene::beside(scene.other, SecretKey::generate(), &log(), |node| node.store(two.path())).await;
    elsewhere.topic.publish("there").await.unwrap();
    let mut foreign = elsewhere.topic.replay(here);
    assert_eq!(soon("an answer", foreign.next()).await, Some(Err(ReplayError::Foreign)));
    assert_eq!(foreign.next().await, None, "it does not go on as if nothing were");
    assert_eq!(read(&mut elsewhere.topic.replay(Cursor::START), 1).await.len(), 1);
    // As text it is the same cursor.
    let kept: Cursor = here.to_string().parse().unwrap();
    assert_eq!(soon("an answer", elsewhere.topic.replay(kept).next()).await, Some(Err(ReplayError::Foreign)));
}

/// What is dropped unread is told, once, and what is left comes after it.
#[tokio::test]
async fn a_cursor_never_skips_silently() {
    // Room for some three hundred bundles of a kilobyte, and an author that says fifty a second.
    let config = vouchsafe::Config::default().with(|config| config.history.topic_bytes = 400_000);
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(&log(), |node| node.store(folder.path()).config(config)).await;
    let body = |number: u32| format!("{number} {}", "x".repeat(1_000));
    let mut first = scene.topic.replay(Cursor::START);
    scene.topic.publish(body(0)).await.unwrap();
    let cursor = read(&mut first, 1).await[0].0;
    let mut said = 1;
    let missed = loop {
        for _ in 0..20 {
            scene.topic.publish(body(said)).await.unwrap();
            said += 1;
        }
        let mut late = scene.topic.replay(cursor);
        let item = soon("an item", late.next()).await.unwrap().unwrap();
        if let Item::Missed { from, to } = item {
            assert!(from <= to);
            // What follows is what is left, without another word about what is not.
            let left = read(&mut late, 1).await;
            break (late, words(&left));
        }
        assert!(said < 5_000, "the topic never loses its oldest");
    };
    let (mut late, first_left) = missed;
    let number = |words: &str| words.split(' ').next().unwrap().parse::<u32>().unwrap();
    let (mut last, mut told) = (number(&first_left[0]), false);
    assert!(last > 1, "something was missed");
    while last + 1 < said {
        match soon("an item", late.next()).await.unwrap().unwrap() {
            Item::Rumor { rumor, .. } => {
                let next = number(std::str::from_utf8(rumor.body()).unwrap());
                assert!(next == last + 1 || (told && next > last), "from {last} to {next} in silence");
                (last, told) = (next, false);
            }
            // More of it may go while it is read.
            Item::Missed { .. } => told = true,
            other => panic!("{other:?}"),
        }
    }
    // From the beginning nothing is missed: nobody has read it before.
    let mut anew = scene.topic.replay(Cursor::START);
    assert!(matches!(soon("an item", anew.next()).await, Some(Ok(Item::Rumor { .. }))));
}

#[tokio::test]
async fn a_reader_ends_when_its_handle_has_left() {
    let folder = tempfile::tempdir().unwrap();
    for store in [true, false] {
        let build = |node: Builder| if store { node.store(folder.path()) } else { node };
        let scene = Scene::new(&log(), build).await;
        scene.topic.publish("one").await.unwrap();
        let again = scene.node.join(log()).await.unwrap();
        let (mut past, mut other) = (scene.topic.replay(Cursor::START), again.replay(Cursor::START));
        read(&mut past, 1).await;
        read(&mut other, 1).await;
        scene.topic.leave().await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(20), past.next()).await;
        assert_eq!(end, Ok(None));
        again.publish("two").await.unwrap();
        assert_eq!(words(&read(&mut other, 1).await), ["two"], "another join of the topic goes on");
        scene.node.shutdown().await;
    }
}

/// A store that was used before, by whichever author, and that is in use, or is none.
#[tokio::test]
async fn a_store_that_cant_be_opened_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(&log(), |node| node.store(folder.path())).await;
    let second = builder(SecretKey::generate(), &[]).store(folder.path()).spawn().await;
    let Err(SpawnError::Store(StoreError::InUse(path))) = &second else { panic!("{second:?}") };
    assert_eq!(path, folder.path());
    assert!(second.unwrap_err().to_string().contains("stop that one first"));
    scene.node.shutdown().await;
    // The end of a shutdown is the end of the lock.
    let again = builder(SecretKey::generate(), &[]).store(folder.path()).spawn().await.unwrap();
    again.shutdown().await;
    std::fs::write(folder.path().join("store.lock"), "vouchsafe store 999\n").unwrap();
    let newer = builder(SecretKey::generate(), &[]).store(folder.path()).spawn().await;
    assert!(matches!(newer, Err(SpawnError::Store(StoreError::Newer { found: 999, .. }))), "{newer:?}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("store.redb"), "somebody else's").unwrap();
    let none = builder(SecretKey::generate(), &[]).store(elsewhere.path()).spawn().await;
    assert!(matches!(none, Err(SpawnError::Store(StoreError::NotAStore(_)))), "{none:?}");
    let nowhere = builder(SecretKey::generate(), &[]).store("/proc/nowhere").spawn().await;
    assert!(matches!(nowhere, Err(SpawnError::Store(StoreError::Io { .. }))), "{nowhere:?}");
}

#[tokio::test]
async fn a_topic_is_forgotten_once_it_is_left() {
    let folder = tempfile::tempdir().unwrap();
    for store in [true, false] {
        let build = |node: Builder| if store { node.store(folder.path()) } else { node };
        let scene = Scene::new(&log(), build).await;
        scene.topic.publish("gone").await.unwrap();
        let id = scene.topic.id();
        let refused = scene.node.forget_topic(id).await;
        assert_eq!(refused, Err(ForgetError::Joined(id)));
        scene.topic.leave().await.unwrap();
        soon("forgetting", scene.node.forget_topic(id)).await.unwrap();
        let again = scene.node.join(log()).await.unwrap();
        let mut past = again.replay(Cursor::START);
        // Nobody has read it before, so nobody has missed it.
        is_at_end(&mut past).await;
        scene.node.shutdown().await;
        assert_eq!(scene.node.forget_topic(id).await, Err(ForgetError::Closed(Closed)));
    }
}

#[tokio::test]
async fn a_topic_that_refuses_is_never_dropped_and_says_that_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let other = other(&log()).await;
    let node = builder(SecretKey::generate(), &[&other.0]).store(folder.path()).spawn().await.unwrap();
    let topic = node.join(log()).full(Full::Refuse).reserve(20_000).judged_by(3).await.unwrap();
    soon("a link", topic.wait_for_links(1)).await.unwrap();
    let body = "x".repeat(1_000);
    let mut said = 0;
    let full = loop {
        match topic.publish(body.clone()).await {
            Ok(_) => said += 1,
            Err(error) => break error,
        }
        assert!(said < 100);
    };
    assert_eq!(full, PublishError::StoreFull);
    assert!(said > 10);
    assert_eq!(read(&mut topic.replay(Cursor::START), said).await.len(), said);
}

/// A door that a test shuts in front of the disk.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    fn set(&self, shut: bool) {
        *self.0.0.lock().unwrap() = shut;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |shut| *shut).unwrap());
    }
}

/// How long what is said behind a shut door has to spread. Positions are recorded some two seconds ahead: on a machine that has stood
/// still for longer nothing can be said before the door is open again, and a test begins anew.
const SPREADS: Duration = Duration::from_secs(5);

/// Hears until it has heard all of these, in whatever order. Gives all that it has heard.
async fn hear_all(reader: &mut Subscription, words: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    while !words.iter().all(|word| all.contains(word)) {
        let heard = soon("hearing", reader.next()).await.unwrap().unwrap();
        all.push(String::from_utf8_lossy(heard.body()).into_owned());
    }
    all
}

/// The disk takes its time: nothing but those who wait for it waits.
#[tokio::test]
async fn a_slow_disk_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::default();
    let at_disk = door.clone();
    let slow = |node: Builder| {
        node.store(folder.path()).before_commit(move || {
            at_disk.pass();
            Ok(())
        })
    };
    let scene = Scene::new(&log(), slow).await;
    let (mut heard, mut there) = (scene.topic.subscribe(), scene.other.1.subscribe());
    let mut tries = 1..=5;
    let (waits, mut events, asked) = loop {
        let number = tries.next().expect("nothing is said while the disk stands still");
        scene.topic.publish(format!("first {number}")).await.unwrap();
        let events = scene.node.events();
        door.set(true);
        let (handle, asked) = (scene.topic.clone(), Instant::now());
        let waits = tokio::spawn(async move { handle.publish(format!("waits {number}")).await });
        let handle = scene.topic.clone();
        let at_once = tokio::spawn(async move { handle.publish_unsynced(format!("at once {number}")).await });
        // It spreads while the disk stands still.
        let words = [format!("waits {number}"), format!("at once {number}")];
        if tokio::time::timeout(SPREADS, hear_all(&mut there, &words)).await.is_ok() {
            soon("publishing", at_once).await.unwrap().unwrap();
            break (waits, events, asked);
        }
        door.set(false);
        for said in [waits, at_once] {
            soon("publishing", said).await.unwrap().unwrap();
        }
    };
    // And what others say is heard.
    scene.other.1.publish("from there").await.unwrap();
    let mut all = hear_all(&mut heard, &["from there".into()]).await;
    assert!(!waits.is_finished(), "it is not on the disk, {:?} later", asked.elapsed());
    // After five seconds it is told.
    let told = async {
        loop {
            if let Some(Ok(Event::Impaired { what: Impairment::StoreSlow, .. })) = events.next().await {
                return;
            }
        }
    };
    soon("the event", told).await;
    door.set(false);
    soon("the commit", waits).await.unwrap().unwrap();
    assert_eq!(all.pop().as_deref(), Some("from there"));
    let mut kept = words(&read(&mut scene.topic.replay(Cursor::START), all.len() + 1).await);
    assert_eq!(kept.pop().as_deref(), Some("from there"));
    assert_eq!(kept, all);
}

/// Another program fills the disk: nothing is kept and nothing deleted, and the node hears and is heard.
#[tokio::test]
async fn another_program_fills_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let disk = Arc::clone(&free);
    let build = |node: Builder| node.store(folder.path()).free_space(move || disk.load(Ordering::SeqCst));
    let scene = Scene::new(&log(), build).await;
    scene.topic.publish("before").await.unwrap();
    let mut events = scene.node.events();
    let (mut here, mut there) = (scene.topic.subscribe(), scene.other.1.subscribe());
    free.store((1 << 30) - 1, Ordering::SeqCst);
    // It may take a second until it is noticed.
    let mut kept = 1;
    while soon("an answer", scene.topic.publish("told")).await.is_ok() {
        kept += 1;
        assert!(kept < 200, "it is kept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let edge = async |events: &mut vouchsafe::Events, begins: bool| loop {
        match events.next().await.unwrap().unwrap() {
            Event::Impaired { what: Impairment::StoreFailing, .. } if begins => return,
            Event::Recovered { what: Impairment::StoreFailing, .. } if !begins => return,
            _ => {}
        }
    };
    soon("the event", edge(&mut events, true)).await;
    let refused = soon("an answer", scene.topic.publish("refused")).await;
    assert!(matches!(refused, Err(PublishError::Store(_))), "{refused:?}");
    soon("publishing", scene.topic.publish_unsynced("said")).await.unwrap();
    soon("publishing", scene.other.1.publish("heard")).await.unwrap();
    for (reader, word) in [(&mut there, "said"), (&mut here, "heard")] {
        while soon("hearing", reader.next()).await.unwrap().unwrap().body() != word {}
    }
    assert_eq!(read(&mut scene.topic.replay(Cursor::START), kept).await.len(), kept, "nothing is deleted");
    free.store(1 << 30, Ordering::SeqCst);
    soon("the end of it", edge(&mut events, false)).await;
    soon("publishing", scene.topic.publish("after")).await.unwrap();
}

/// On a disk that has too little room from the start nothing is sealed that could not be kept.
#[tokio::test]
async fn a_disk_that_is_short_from_the_start_seals_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let build = |node: Builder| node.store(folder.path()).free_space(|| (1 << 30) - 1);
    let scene = Scene::new(&log(), build).await;
    let mut there = scene.other.1.subscribe();
    let refused = soon("an answer", scene.topic.publish("refused")).await;
    let Err(PublishError::Store(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("leave_free") && why.contains("1073741824"), "{why}");
    soon("publishing", scene.topic.publish_unsynced("said")).await.unwrap();
    assert_eq!(soon("hearing", there.next()).await.unwrap().unwrap().body(), "said");
}

/// A full disk: nothing is kept, nothing is deleted, who asked for it is told, and the rest goes on.
#[tokio::test]
async fn a_full_disk_is_told_and_stops_only_keeping() {
    let folder = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicU32::new(0));
    let is_full = Arc::clone(&full);
    let log_file = folder.path().join("author.positions");
    let build = |node: Builder| {
        node.store(folder.path().join("store")).position_log(log_file).before_commit(move || {
            match is_full.load(Ordering::SeqCst) {
                0 => Ok(()),
                _ => Err(io::ErrorKind::StorageFull.into()),
            }
        })
    };
    let scene = Scene::new(&log(), build).await;
    scene.topic.publish("before").await.unwrap();
    let mut events = scene.node.events();
    let mut there = scene.other.1.subscribe();
    full.store(1, Ordering::SeqCst);
    // The first one is sealed before anybody knows; then they are refused before.
    let first = soon("an answer", scene.topic.publish("told")).await;
    let Err(PublishError::NotStored(_)) = first else { panic!("{first:?}") };
    let then = soon("an answer", scene.topic.publish("refused")).await;
    assert!(matches!(then, Err(PublishError::Store(_))), "{then:?}");
    // The position log suffices to speak, and links go on.
    soon("publishing", scene.topic.publish_unsynced("said")).await.unwrap();
    for word in ["before", "told", "said"] {
        assert_eq!(soon("hearing", there.next()).await.unwrap().unwrap().body(), word);
    }
    let failing = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if matches!(event, Event::Impaired { what: Impairment::StoreFailing, .. }) {
                return;
            }
        }
    };
    soon("the event", failing).await;
    // What was kept is read all the same.
    assert_eq!(words(&read(&mut scene.topic.replay(Cursor::START), 1).await), ["before"]);
    full.store(0, Ordering::SeqCst);
    let works = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if matches!(event, Event::Recovered { what: Impairment::StoreFailing, .. }) {
                return;
            }
        }
    };
    soon("the end of it", works).await;
    soon("publishing", scene.topic.publish("after")).await.unwrap();
    let all = words(&read(&mut scene.topic.replay(Cursor::START), 2).await);
    assert_eq!(all, ["before", "after"]);
}

/// Whoever waits for the disk when the node is shut down is answered by it.
#[tokio::test]
async fn shutdown_commits_then_answers() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::default();
    let at_disk = door.clone();
    let build = |node: Builder| {
        node.store(folder.path()).before_commit(move || {
            at_disk.pass();
            Ok(())
        })
    };
    let key = SecretKey::generate();
    let scene = Scene::beside(other(&log()).await, key.clone(), &log(), build).await;
    let (mut there, mut said) = (scene.other.1.subscribe(), Vec::new());
    let mut tries = 1..=5;
    let calls = loop {
        let number = tries.next().expect("nothing is said while the disk stands still");
        said.push(format!("first {number}"));
        scene.topic.publish(said[said.len() - 1].clone()).await.unwrap();
        door.set(true);
        let words: Vec<_> = (0..11).map(|word| format!("{number} {word}")).collect();
        let mut calls: Vec<_> = words
            .iter()
            .map(|word| {
                let (topic, word) = (scene.topic.clone(), word.clone());
                // Nobody waits until the last is kept.
                tokio::spawn(async move {
                    let is_last = word.ends_with(" 10");
                    if is_last { topic.publish_unsynced(word).await } else { topic.publish(word).await }
                })
            })
            .collect();
        said.extend(words.iter().cloned());
        if tokio::time::timeout(SPREADS, hear_all(&mut there, &words)).await.is_ok() {
            soon("publishing", calls.pop().unwrap()).await.unwrap().unwrap();
            break calls;
        }
        door.set(false);
        for call in calls {
            soon("publishing", call).await.unwrap().unwrap();
        }
    };
    let node = scene.node.clone();
    let down = tokio::spawn(async move { node.shutdown().await });
    // Longer than links are waited for.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!down.is_finished() && calls.iter().all(|call| !call.is_finished()), "the disk stands still");
    door.set(false);
    for call in calls {
        let answer = soon("an answer", call).await.unwrap();
        assert!(answer.is_ok(), "{answer:?}");
    }
    soon("the shutdown", down).await.unwrap();
    // All of it is there, and the store is free.
    scene.other.0.shutdown().await;
    let again = builder(key, &[]).store(folder.path()).spawn().await.unwrap();
    let topic = again.join(log()).await.unwrap();
    let mut all = words(&read(&mut topic.replay(Cursor::START), said.len()).await);
    all.sort();
    said.sort();
    assert_eq!(all, said);
}

/// A node whose store turns out to be damaged goes on, and tells.
#[tokio::test]
async fn a_store_that_is_damaged_under_a_running_node_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = Arc::new(AtomicU32::new(0));
    let is_damaged = Arc::clone(&damaged);
    let build = |node: Builder| {
        node.store(folder.path()).before_commit(move || {
            let now = is_damaged.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if now.is_ok() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
        })
    };
    let scene = Scene::new(&log(), build).await;
    scene.topic.publish("before").await.unwrap();
    let mut past = scene.topic.replay(Cursor::START);
    read(&mut past, 1).await;
    damaged.store(1, Ordering::SeqCst);
    // What waited for it is told that it is said and not stored.
    let lost = soon("an answer", scene.topic.publish("meanwhile")).await;
    assert!(matches!(lost, Err(PublishError::NotStored(_))), "{lost:?}");
    soon("publishing", scene.topic.publish("after")).await.unwrap();
    // The reader goes on: the database is the same, it was only opened again.
    assert_eq!(words(&read(&mut past, 1).await), ["after"]);
}

/// Some of the file is overwritten between two lives: the node starts or starts its store again, and what can be read is there once.
#[tokio::test]
async fn a_damaged_file_ends_no_node() {
    let mut told = 0;
    for part in [2, 4, 6] {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::generate();
        let scene =
            Scene::beside(other(&log()).await, key.clone(), &log(), |node| node.store(folder.path())).await;
        let bodies = (0..2_000u32).map(|number| Bytes::from(format!("{number} {}", "x".repeat(200))));
        scene.topic.publish_all(bodies).await.unwrap();
        scene.node.shutdown().await;
        let file = folder.path().join("store.redb");
        let mut bytes = std::fs::read(&file).unwrap();
        let from = bytes.len() / 8 * part;
        bytes[from..from + 20_000].fill(0xa5);
        std::fs::write(&file, bytes).unwrap();
        let again = Scene::beside(scene.other, key, &log(), |node| node.store(folder.path())).await;
        let mut events = again.node.events();
        let mut past = again.topic.replay(Cursor::START);
        let (mut seen, mut is_another) = (std::collections::BTreeSet::new(), false);
        let until_the_end = async {
            loop {
                match tokio::time::timeout(Duration::from_secs(1), past.next()).await {
                    Ok(Some(Ok(Item::Rumor { rumor, .. }))) => {
                        assert!(seen.insert(rumor.position()), "twice");
                        if rumor.body() == "afterwards" {
                            return;
                        }
                        assert!(rumor.body().ends_with(&[b'x'; 200]));
                    }
                    // The store is another one now.
                    Ok(Some(Err(ReplayError::Foreign))) => {
                        past = again.topic.replay(Cursor::START);
                        seen.clear();
                        is_another = true;
                    }
                    Ok(other) => panic!("{other:?}"),
                    // All is read, or what can be read is still being looked for. What is said now is behind it in any case.
                    Err(_) => match soon("publishing", again.topic.publish("afterwards")).await {
                        Ok(_) | Err(PublishError::NotStored(_)) => {}
                        Err(error) => panic!("{error}"),
                    },
                }
            }
        };
        soon("the end of what can be read", until_the_end).await;
        let damaged = async {
            loop {
                if let Event::StoreDamaged { saved, .. } = events.next().await.unwrap().unwrap() {
                    return saved;
                }
            }
        };
        // Whoever reads of another store is told why. What nobody came upon is told to nobody.
        if is_another && again.node.damage().is_none() {
            soon("the event", damaged).await;
            told += 1;
        } else {
            told += u32::from(again.node.damage().is_some());
        }
        again.node.shutdown().await;
        again.other.0.shutdown().await;
    }
    assert!(told > 0, "no damage was met");
}

#[tokio::test]
async fn the_end_is_behind_all_that_is_kept_and_before_what_is_kept_next() {
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let scene =
        Scene::beside(other(&log()).await, key.clone(), &log(), |node| node.store(folder.path())).await;
    let first = scene.topic.end().await.unwrap();
    scene.topic.publish("one").await.unwrap();
    let second = scene.topic.end().await.unwrap();
    assert_eq!(words(&read(&mut scene.topic.replay(first), 1).await), ["one"]);
    let mut next = scene.topic.replay(second);
    is_at_end(&mut next).await;
    scene.topic.publish("two").await.unwrap();
    assert_eq!(words(&read(&mut next, 1).await), ["two"]);
    // What another life has called its end is a place in this one.
    scene.node.shutdown().await;
    scene.other.0.shutdown().await;
    let again = Scene::beside(other(&log()).await, key, &log(), |node| node.store(folder.path())).await;
    assert_eq!(words(&read(&mut again.topic.replay(second), 1).await), ["two"]);
    is_at_end(&mut again.topic.replay(again.topic.end().await.unwrap())).await;
    // The same in memory; and a topic that is not kept has no end.
    let kept = again.other.1.end().await.unwrap();
    again.topic.publish("three").await.unwrap();
    assert_eq!(words(&read(&mut again.other.1.replay(kept), 1).await), ["three"]);
    let fleeting = again.node.join(Topic::named("fleeting")).await.unwrap();
    assert_eq!(fleeting.end().await, Err(ReplayError::NotKept(fleeting.id())));
}

/// Late words are in no plain subscription, and a reader of the past is told what they are. (Repair brings them; here the store has them.)
#[tokio::test]
async fn a_subscription_is_of_what_is_said_now() {
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let scene =
        Scene::beside(other(&log()).await, key.clone(), &log(), |node| node.store(folder.path())).await;
    scene.topic.publish("old").await.unwrap();
    scene.node.shutdown().await;
    scene.other.0.shutdown().await;
    let again = Scene::beside(other(&log()).await, key, &log(), |node| node.store(folder.path())).await;
    let mut now = again.topic.subscribe();
    soon("publishing", again.topic.publish("new")).await.unwrap();
    let first = soon("hearing", now.next()).await.unwrap();
    match first {
        Ok(delivery) => assert_eq!(delivery.body(), "new"),
        Err(Gap::Missed { .. }) => {
            assert_eq!(soon("hearing", now.next()).await.unwrap().unwrap().body(), "new");
        }
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(words(&read(&mut again.topic.replay(Cursor::START), 2).await), ["old", "new"]);
}

// What was said while a node was not there.

/// A store in which so many authors have said so many words each, ten minutes ago.
fn written(folder: &Path, authors: u8, words: u64) {
    let rules = log().bind(NetworkId::of(NETWORK)).unwrap();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let first = rules.tick_len().tick_at(now_ms) - 600;
    let mut store = RedbStore::open(folder).unwrap();
    store.start(&SecretKey::from_seed(&SEED).public()).unwrap();
    let keeping = Keeping {
        bytes: u64::MAX,
        authors: u64::MAX,
        judged_by: None,
        recent_from: 0,
        latest: u64::MAX,
        shared: u64::MAX,
    };
    store.open(&rules, &keeping).unwrap();
    let mut keeps = Vec::new();
    for author in 0..authors {
        let mut prev: Option<Previous> = None;
        for number in 0..words {
            let (at, key) = (Position { tick: first + number, slot: 0 }, SecretKey::from_seed(&[author; 32]));
            let body = Bytes::from(format!("{author} {number}"));
            let bundle = seal_after(&key, rules.id(), prev, at, &[body]).unwrap();
            prev = Some(Previous::of(&bundle));
            keeps.push(Keep { bundle: Arc::new(bundle), arrival: Arrival::Live, show: Show::Now });
        }
    }
    store.keep(&Group { keeps: &keeps, record: None, now_ms }).unwrap();
}

/// Nobody waits for this: it does not come to pass now.
async fn does_not_end(future: impl Future<Output = Result<(), WaitError>>) {
    tokio::select! {
        biased;
        ended = future => panic!("{ended:?}"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_late_is_told_when_it_has_all() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 4, 50);
    let holder = builder(SecretKey::generate(), &[]).store(folder.path()).spawn().await.unwrap();
    let held = holder.join(log()).await.unwrap();
    let (disk, door) = (tempfile::tempdir().unwrap(), Door::default());
    let at_disk = door.clone();
    let node = builder(SecretKey::generate(), &[]).store(disk.path()).before_commit(move || {
        at_disk.pass();
        Ok(())
    });
    let node = node.spawn().await.unwrap();
    let topic = node.join(log()).await.unwrap();
    assert_eq!(topic.repairing().unwrap(), vouchsafe::protocol::RepairProgress::default());
    does_not_end(topic.caught_up(1)).await;
    // Once its store has opened the topic, the disk stands still until the watcher has seen that something is missing.
    let opened = async {
        while topic.end().await.unwrap() == Cursor::START {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the topic is opened", opened).await;
    door.set(true);
    node.connect(holder.addr().unwrap()).await.unwrap();
    // Whoever watches is told of each step.
    let (watched, goes_on) = (topic.clone(), door.clone());
    let watcher = tokio::spawn(async move {
        let mut steps = vec![watched.repairing().unwrap()];
        while steps[steps.len() - 1].caught_up == 0 {
            steps.push(watched.repairing_beyond(steps[steps.len() - 1]).await.unwrap());
            if steps[steps.len() - 1].claims > 0 {
                goes_on.set(false);
            }
        }
        steps
    });
    soon("the end of repair", topic.caught_up(1)).await.unwrap();
    // All of it can be read by now.
    let (mut past, mut read) = (topic.replay(Cursor::START), BTreeMap::<_, Vec<Position>>::new());
    for _ in 0..200 {
        match soon("an item", past.next()).await.unwrap().unwrap() {
            Item::Rumor { rumor, late: true, .. } => {
                read.entry(rumor.author()).or_default().push(rumor.position());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(read.len() == 4 && read.values().all(|positions| positions.is_sorted() && positions.len() == 50));
    let steps = soon("the last step", watcher).await.unwrap();
    assert!(steps.iter().any(|step| step.caught_up == 0 && step.claims > 0), "{steps:?}");
    let last = steps[steps.len() - 1];
    assert_eq!((last.links, last.caught_up, last.repaired, last.asked_all), (1, 1, 200, true));
    assert_eq!((last.holes, last.claims, last.fetching), (0, 0, 0));
    assert_eq!(topic.repairing().unwrap(), last);
    soon("the same again", topic.caught_up(1)).await.unwrap();
    // There is no second link that could say so.
    does_not_end(topic.caught_up(2)).await;
    // When the only link is gone nobody says so any more, and who watches is told at once.
    holder.shutdown().await;
    let alone = soon("a step", topic.repairing_beyond(last)).await.unwrap();
    assert_eq!((alone.links, alone.caught_up, alone.repaired), (0, 0, 200));
    does_not_end(topic.caught_up(1)).await;
    assert_eq!(held.repairing(), Err(WaitError::Closed(Closed)));
}

/// Whoever waits for repair of what is not repaired, or no longer, is told why.
#[tokio::test]
async fn waiting_for_repair_ends_with_what_is_repaired() {
    let scene = Scene::new(&log(), |node| node).await;
    let short = scene.node.join(Topic::named("short")).await.unwrap();
    let refused = Err(WaitError::NotKept(short.id()));
    assert_eq!(soon("an answer", short.caught_up(1)).await, refused);
    assert_eq!(short.caught_up(0).await, refused);
    assert_eq!(short.repairing().map(drop), refused);
    let default = vouchsafe::protocol::RepairProgress::default();
    assert_eq!(soon("an answer", short.repairing_beyond(default)).await.map(drop), refused);
    let again = scene.node.join(log()).await.unwrap();
    let waits = |topic: &TopicHandle| {
        let topic = topic.clone();
        tokio::spawn(async move { topic.caught_up(99).await })
    };
    let (left, closed) = (waits(&scene.topic), waits(&again));
    scene.topic.leave().await.unwrap();
    let not_joined = Err(WaitError::NotJoined(scene.topic.id()));
    assert_eq!(soon("the end of the join", left).await.unwrap(), not_joined);
    assert_eq!(scene.topic.caught_up(0).await, not_joined);
    assert_eq!(scene.topic.repairing().map(drop), not_joined);
    assert_eq!(again.caught_up(0).await, Ok(()), "another join of the topic goes on");
    assert!(!closed.is_finished());
    scene.node.shutdown().await;
    assert_eq!(soon("the end of the node", closed).await.unwrap(), Err(WaitError::Closed(Closed)));
    assert_eq!(again.caught_up(0).await, Err(WaitError::Closed(Closed)));
    assert_eq!(again.repairing().map(drop), Err(WaitError::Closed(Closed)));
}

// Processes that are killed.

const ROLE: &str = "VOUCHSAFE_HISTORY_ROLE";
const FOLDER: &str = "VOUCHSAFE_HISTORY_FOLDER";
const PEER: &str = "VOUCHSAFE_HISTORY_PEER";
/// How often `replay_is_exactly_once` kills; a long run says 500.
const KILLS: &str = "VOUCHSAFE_KILLS";
const SEED: [u8; 32] = [7; 32];

#[test]
#[ignore = "not a test: what the others start"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    // A test begins in the middle of a line.
    println!();
    let folder = std::env::var_os(FOLDER).unwrap();
    let peer: PeerAddr = std::env::var(PEER).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match role.as_str() {
        "reads" => runtime.block_on(reads(Path::new(&folder), peer)),
        _ => panic!("no such role as {role}"),
    }
}

/// An application that keeps its cursor with its effects: here both are lines of what it prints, one line for each rumor. It also says
/// something itself now and then, until it is killed.
async fn reads(folder: &Path, peer: PeerAddr) {
    let node = Node::builder(SecretKey::from_seed(&SEED)).network(NETWORK).listen("127.0.0.1:0");
    let node = node.bootstrap([peer]).store(folder).verifiers(VerifierPool::new(1)).spawn().await.unwrap();
    let topic = node.join(log()).await.unwrap();
    let stored = std::fs::read_to_string(folder.join("cursor")).ok();
    let mut past = topic.replay(stored.map_or(Cursor::START, |text| text.trim().parse().unwrap()));
    let says = topic.clone();
    let life = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    tokio::spawn(async move {
        soon("a link", says.wait_for_links(1)).await.unwrap();
        for number in 0.. {
            let body = format!("own {life} {number}");
            match says.publish(body.clone()).await {
                // From now on it must never be lost.
                Ok(_) => line(&format!("stored {body}")),
                Err(error) => line(&format!("failed {error}")),
            }
        }
    });
    loop {
        match past.next().await.unwrap().unwrap() {
            Item::Rumor { cursor, rumor, .. } => {
                line(&format!("read {cursor} {}", std::str::from_utf8(rumor.body()).unwrap()));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// One write, so that it is there whole or not at all.
fn line(text: &str) {
    // Fails when the one who listens has heard enough and is about to kill us.
    let _ = std::io::stdout().lock().write_all(format!("{text}\n").as_bytes());
}

fn start(folder: &Path, peer: &PeerAddr) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program);
    child.args(["--exact", "child", "--ignored", "--nocapture"]);
    child.env(ROLE, "reads").env(FOLDER, folder).env(PEER, peer.to_string());
    child.stdin(Stdio::null()).stdout(Stdio::piped());
    let _begins = BEGINS.lock().unwrap_or_else(PoisonError::into_inner);
    child.spawn().unwrap()
}

/// A node is killed again and again while others speak and it speaks itself. Its application keeps the cursor with what it has read. In
/// the end each rumor was read once: those of others that were kept, and each of its own that was said to be stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_is_exactly_once() {
    let kills: u32 = std::env::var(KILLS).map_or(8, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (node, topic) = other(&log()).await;
    let peer = node.addr().unwrap();
    let said = Arc::new(AtomicU64::new(0));
    let (speaks, count) = (topic.clone(), Arc::clone(&said));
    let speaker = tokio::spawn(async move {
        loop {
            let number = count.load(Ordering::Relaxed);
            match speaks.publish(format!("theirs {number}")).await {
                Ok(_) => drop(count.fetch_add(1, Ordering::Relaxed)),
                // While the other is dead there is no link.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let (mut read, mut stored) = (BTreeMap::<String, u32>::new(), Vec::new());
    for round in 0..=kills {
        // (A long run is watched with `--nocapture`.)
        if kills >= 100 && round % 25 == 0 {
            eprintln!("{round} of {kills} kills");
        }
        let mut child = start(folder.path(), &peer);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut seen, mut own) = (0, 0);
        let enough = 20 + round % 13 * 7;
        let mut killed = false;
        let mut cursor = None;
        for text in lines {
            if let Some(rest) = text.strip_prefix("read ") {
                let (at, body) = rest.split_once(' ').unwrap();
                cursor = Some(at.to_owned());
                *read.entry(body.to_owned()).or_default() += 1;
                seen += 1;
            } else if let Some(body) = text.strip_prefix("stored ") {
                stored.push(body.to_owned());
                own += 1;
            } else {
                assert!(!text.contains("panicked"), "{text}");
            }
            // In the last round all that was stored is read.
            // (After a start it takes some seconds until a key that was used before may speak: not in each round.)
            let done = if round < kills {
                seen >= enough && (own > 0 || round % 3 > 0)
            } else {
                own > 0 && stored.iter().all(|body| read.contains_key(body))
            };
            if done && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed, "it ended by itself in round {round}");
        std::fs::write(folder.path().join("cursor"), cursor.unwrap()).unwrap();
    }
    speaker.abort();
    let twice: Vec<_> = read.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let lost: Vec<_> = stored.iter().filter(|body| !read.contains_key(*body)).collect();
    assert!(lost.is_empty() && !stored.is_empty(), "{lost:?}");
    let theirs = read.keys().filter(|body| body.starts_with("theirs")).count();
    assert!(theirs > 20 * kills as usize / 2, "{theirs} of theirs");
    assert!(node.stats().await.unwrap().convicted.is_empty(), "no crash convicts");
}

/// The runtime goes down with the node in it, without a word: what was told to be stored is.
#[test]
fn a_node_that_is_dropped_has_kept_what_it_said_it_would() {
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::from_seed(&SEED);
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap()
    };
    let outside = runtime();
    let other = outside.block_on(other(&log()));
    let process = runtime();
    let dropped = process.block_on(async {
        let scene = Scene::beside(other, key.clone(), &log(), |node| node.store(folder.path())).await;
        for number in 0..20 {
            scene.topic.publish(format!("{number}")).await.unwrap();
        }
        scene
    });
    process.shutdown_background();
    // The threads of the store end when the node is gone, whatever handles there are.
    let again = outside.block_on(async {
        let opened = async {
            loop {
                match builder(key.clone(), &[]).store(folder.path()).spawn().await {
                    Ok(node) => return node,
                    Err(SpawnError::Store(StoreError::InUse(_))) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        soon("the lock", opened).await
    });
    drop(dropped);
    outside.block_on(async {
        let topic = again.join(log()).await.unwrap();
        let all = read(&mut topic.replay(Cursor::START), 20).await;
        assert_eq!(words(&all), (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
        is_at_end(&mut topic.replay(all[19].0)).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_another_process_has_open_is_refused_until_that_one_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (node, _topic) = other(&log()).await;
    let mut child = start(folder.path(), &node.addr().unwrap());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("stored") || line.starts_with("read")), "the child runs");
    let refused = builder(SecretKey::generate(), &[]).store(folder.path()).spawn().await;
    assert!(matches!(refused, Err(SpawnError::Store(StoreError::InUse(_)))), "{refused:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    builder(SecretKey::generate(), &[]).store(folder.path()).spawn().await.unwrap().shutdown().await;
}
