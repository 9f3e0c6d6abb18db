//! Topics of state over real QUIC on loopback: what an application reads and writes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use vouchsafe::protocol::keeping::{Arrival, Group, Keep, Keeping, Show};
use vouchsafe::rumor::{Bundle, Cell, RuleSet, seal};
use vouchsafe::store::{RedbStore, Store as _};
use vouchsafe::{
    Authors, Change, Kv, KvError, NetworkId, Node, PeerAddr, Position, PublicKey, PublishError, PutError,
    Resolve, SecretKey, Topic, Validation, Watch,
};

/// Nothing here takes seconds; whoever waits that long waits for something that will not come.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

async fn spawn(key: SecretKey, folder: Option<&Path>, peers: &[PeerAddr]) -> Node {
    let builder = Node::builder(key).network("kv").listen("127.0.0.1:0").bootstrap(peers.iter().cloned());
    let builder = match folder {
        Some(folder) => builder.store(folder),
        None => builder,
    };
    soon("a node", builder.spawn()).await.unwrap()
}

/// Nodes in memory, each linked to all before it, all in one topic.
async fn mesh(count: usize, topic: &Topic) -> Vec<Kv> {
    let mut nodes: Vec<Kv> = Vec::new();
    for _ in 0..count {
        let peers: Vec<_> = nodes.iter().map(|kv| kv.topic().node().addr().unwrap()).collect();
        let node = spawn(SecretKey::generate(), None, &peers).await;
        nodes.push(soon("the keys", node.kv(topic.clone())).await.unwrap());
    }
    for kv in &nodes {
        soon("a full mesh", kv.topic().wait_for_links(count - 1)).await.unwrap();
    }
    nodes
}

fn author(kv: &Kv) -> PublicKey {
    kv.topic().node().author()
}

/// Puts a bundle into the store of a folder.
fn write_to(folder: &Path, rules: &RuleSet, bundle: Bundle) {
    let mut store = RedbStore::open(folder).unwrap();
    store.start(&bundle.header().author).unwrap();
    let keeping = Keeping {
        bytes: 1_000_000,
        shared: u64::MAX,
        authors: 9,
        judged_by: None,
        recent_from: 0,
        latest: u64::MAX,
    };
    store.open(rules, &keeping).unwrap();
    let keeps = [Keep { bundle: Arc::new(bundle), arrival: Arrival::Live, show: Show::Now }];
    store.keep(&Group { keeps: &keeps, record: None, now_ms: 0 }).unwrap();
}

/// Writes, or deletes, until nobody has a later cell of the key: in one tick the author with the greater key may be later.
async fn write_last(kv: &Kv, key: &'static str, value: Option<&'static str>) {
    let write = async || match value {
        Some(value) => kv.put(key, value).await.unwrap(),
        None => kv.delete(key).await.unwrap(),
    };
    while let Some(behind) = write().await.behind {
        assert!(behind <= Duration::from_secs(1), "all clocks are the same here");
        tokio::time::sleep(behind).await;
    }
}

/// Reads changes until this node reads this from a key that several authors write.
async fn reads(kv: &Kv, watch: &mut Watch, key: &str, value: Option<&str>) {
    let what = format!("the newest of {key} = {value:?}");
    while kv.shared(key, Resolve::Newest).as_deref() != value.map(str::as_bytes) {
        soon(&what, watch.next()).await.expect("it goes on");
    }
}

/// Reads changes until one of a key says this.
async fn sees(watch: &mut Watch, author: PublicKey, key: &str, value: Option<&str>) {
    let is_it = |change: &Change| match change {
        Change::Put { author: of, key: k, value: v, .. } => {
            (*of, &k[..], Some(&v[..])) == (author, key.as_bytes(), value.map(str::as_bytes))
        }
        Change::Delete { author: of, key: k, .. } => (*of, &k[..], None) == (author, key.as_bytes(), value),
        _ => false,
    };
    let what = format!("{key} = {value:?}");
    while !is_it(&soon(&what, watch.next()).await.expect("it goes on")) {}
}

#[tokio::test]
async fn three_nodes_read_what_each_writes() {
    let nodes = mesh(3, &Topic::named("state").state(100)).await;
    let mut watches: Vec<_> = nodes.iter().map(|kv| kv.watch("")).collect();
    let who = author(&nodes[0]);
    let written = nodes[0].put("a/b", "one").await.unwrap();
    assert_eq!(written.behind, None);
    // Whoever writes reads it at once.
    assert_eq!(nodes[0].get(who, "a/b").unwrap(), "one");
    assert_eq!(nodes[0].entry(who, "a/b").unwrap().position, written.position);
    for (kv, watch) in nodes.iter().zip(&mut watches) {
        sees(watch, who, "a/b", Some("one")).await;
        assert_eq!(kv.get(who, "a/b").unwrap(), "one");
        assert_eq!(kv.scan(who, "a/"), [(Bytes::from("a/b"), Bytes::from("one"))]);
        assert_eq!(kv.scan(who, "b"), []);
    }
    // Each author has a map of its own, and the newest is what they share.
    write_last(&nodes[1], "a/b", Some("two")).await;
    for (kv, watch) in nodes.iter().zip(&mut watches) {
        reads(kv, watch, "a/b", Some("two")).await;
        assert_eq!(kv.get(author(&nodes[1]), "a/b").unwrap(), "two");
        assert_eq!(kv.get(who, "a/b").unwrap(), "one");
        assert_eq!(kv.shared("a/b", Resolve::Agreed(1)), None, "anybody may write here");
        assert_eq!(kv.entries("a/b").len(), 2);
        assert_eq!(kv.keys("a"), ["a/b"]);
    }
    let before = nodes[2].snapshot();
    nodes[1].delete("a/b").await.unwrap();
    for (kv, watch) in nodes.iter().zip(&mut watches) {
        sees(watch, author(&nodes[1]), "a/b", None).await;
        assert_eq!(kv.get(author(&nodes[1]), "a/b"), None);
        assert_eq!(kv.entry(author(&nodes[1]), "a/b").unwrap().value, None);
        assert_eq!(kv.shared("a/b", Resolve::Newest), None, "whoever was last deleted it");
        assert_eq!(kv.keys(""), ["a/b"], "the other's is still there");
    }
    assert_eq!(before.shared("a/b", Resolve::Newest).unwrap(), "two", "it stays as it was");
    assert_eq!(before.authors().len(), 2);
}

#[tokio::test]
async fn writers_with_a_list_agree() {
    let keys: Vec<_> = (0..3).map(|_| SecretKey::generate()).collect();
    let listed = Authors::Listed(keys.iter().map(SecretKey::public).collect());
    let topic = Topic::named("agreed").state(10).authors(listed);
    let mut nodes: Vec<Kv> = Vec::new();
    for key in keys {
        let peers: Vec<_> = nodes.iter().map(|kv| kv.topic().node().addr().unwrap()).collect();
        nodes.push(soon("the keys", spawn(key, None, &peers).await.kv(topic.clone())).await.unwrap());
    }
    for kv in &nodes {
        soon("a full mesh", kv.topic().wait_for_links(2)).await.unwrap();
    }
    let mut watch = nodes[2].watch("");
    nodes[0].put("k", "v1").await.unwrap();
    sees(&mut watch, author(&nodes[0]), "k", Some("v1")).await;
    assert_eq!(nodes[2].shared("k", Resolve::Agreed(2)), None, "one is not enough");
    nodes[1].put("k", "v1").await.unwrap();
    sees(&mut watch, author(&nodes[1]), "k", Some("v1")).await;
    assert_eq!(nodes[2].shared("k", Resolve::Agreed(2)).unwrap(), "v1");
    write_last(&nodes[2], "k", Some("v2")).await;
    assert_eq!(nodes[2].shared("k", Resolve::Newest).unwrap(), "v2");
    assert_eq!(nodes[2].shared("k", Resolve::Agreed(2)).unwrap(), "v1", "two still say so");
    for kv in &nodes[..2] {
        let mut watch = kv.watch("");
        sees(&mut watch, author(&nodes[2]), "k", Some("v2")).await;
        write_last(kv, "k", None).await;
    }
    sees(&mut watch, author(&nodes[0]), "k", None).await;
    sees(&mut watch, author(&nodes[1]), "k", None).await;
    reads(&nodes[2], &mut watch, "k", None).await;
    assert_eq!(nodes[2].shared("k", Resolve::Agreed(2)), None, "two have deleted it");
    assert_eq!(nodes[2].shared("k", Resolve::Agreed(1)), None, "the latest date wins");
}

#[tokio::test]
async fn a_restart_reads_back_what_was_written_and_what_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let topic = Topic::named("kept").state(4);
    // Without a link to anybody: what is kept is found by others later.
    let key = SecretKey::generate();
    let node = spawn(key.clone(), Some(folder.path()), &[]).await;
    let who = node.author();
    let kv = soon("the keys", node.kv(topic.clone())).await.unwrap();
    soon("a write", kv.put("stays", "1")).await.unwrap();
    kv.put("changes", "1").await.unwrap();
    kv.put("changes", "2").await.unwrap();
    kv.put("goes", "1").await.unwrap();
    kv.delete("goes").await.unwrap();
    let before = kv.scan(who, "");
    drop(kv);
    node.shutdown().await;
    let node = spawn(key, Some(folder.path()), &[]).await;
    let kv = soon("the keys", node.kv(topic)).await.unwrap();
    assert_eq!(kv.scan(who, ""), before);
    assert_eq!(kv.get(who, "changes").unwrap(), "2");
    assert_eq!(kv.entry(who, "goes").unwrap().value, None, "that it is deleted is kept as well");
    // A watcher is told at first what there is.
    let mut watch = kv.watch("changes");
    sees(&mut watch, who, "changes", Some("2")).await;
    let next = soon("a write after the restart", kv.put("changes", "3")).await.unwrap();
    assert!(next.position > kv.entry(who, "stays").unwrap().position);
    sees(&mut watch, who, "changes", Some("3")).await;
}

#[tokio::test]
async fn a_batch_is_done_whole_or_not_at_all() {
    let nodes = mesh(2, &Topic::named("batches").state(100).slots_per_tick(200)).await;
    let (kv, other) = (&nodes[0], &nodes[1]);
    let who = author(kv);
    let mut batch = kv.batch();
    for number in 0..64 {
        batch = batch.put(format!("k{number}"), format!("{number}"));
    }
    let mut watch = other.watch("");
    batch.commit().await.unwrap();
    sees(&mut watch, who, "k63", Some("63")).await;
    // All of it is there with any of it.
    assert_eq!(other.scan(who, "k").len(), 64);
    let first = other.entry(who, "k0").unwrap().position;
    assert!((0..64).all(|number| {
        let at = other.entry(who, format!("k{number}")).unwrap().position;
        at.tick == first.tick && at.slot == first.slot + number
    }));
    // Of two writes of one key the last counts.
    kv.batch().put("k0", "x").delete("k0").delete("k1").put("k1", "y").commit().await.unwrap();
    assert_eq!((kv.get(who, "k0"), kv.get(who, "k1").unwrap()), (None, Bytes::from("y")));
    // What can't be done is not done at all.
    let mut large = kv.batch().put("new", "v");
    for number in 0..64 {
        large = large.put(format!("k{number}"), "z");
    }
    let refused = large.commit().await;
    assert!(
        matches!(refused, Err(PutError::Publish(PublishError::NoBundle { rumors: 65, .. }))),
        "{refused:?}"
    );
    let refused = kv.batch().put("new", "v").put("", "v").commit().await;
    assert!(matches!(refused, Err(PutError::Cell(_))), "{refused:?}");
    assert_eq!(kv.batch().commit().await, Err(PutError::Empty));
    let refused = kv.batch().put("new", "v").put("large", vec![0; 16 * 1024]).commit().await;
    assert!(matches!(refused, Err(PutError::Publish(_))), "{refused:?}");
    assert_eq!((kv.get(who, "new"), kv.get(who, "k2").unwrap()), (None, Bytes::from("2")));
}

#[tokio::test]
async fn our_own_values_are_never_pushed_out_by_our_own_keys() {
    let nodes = mesh(2, &Topic::named("few").state(3)).await;
    let (kv, who) = (&nodes[0], author(&nodes[0]));
    for name in ["a", "b", "c"] {
        kv.put(name, "v").await.unwrap();
    }
    assert_eq!(kv.put("d", "v").await, Err(PutError::TooManyKeys { max_keys: 3 }));
    kv.put("a", "w").await.unwrap();
    // The oldest is deleted: its mark makes room.
    kv.delete("b").await.unwrap();
    kv.put("c", "w").await.unwrap();
    kv.put("a", "x").await.unwrap();
    // Two at once: there is room for one of them.
    let (one, other) = tokio::join!(kv.put("d", "v"), kv.put("e", "v"));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");
    let values = kv.scan(who, "");
    assert_eq!(values.len(), 3);
    assert_eq!((kv.get(who, "a").unwrap(), kv.get(who, "c").unwrap()), (Bytes::from("x"), Bytes::from("w")));
    let refused = kv.batch().put("f", "v").put("g", "v").commit().await;
    assert_eq!(refused, Err(PutError::TooManyKeys { max_keys: 3 }));
}

#[tokio::test]
async fn what_the_judge_rejects_hides_what_its_author_said_before() {
    let topic = Topic::named("judged").state(10);
    let writer = spawn(SecretKey::generate(), None, &[]).await;
    let kv = soon("the keys", writer.kv(topic.clone())).await.unwrap();
    let reader = spawn(SecretKey::generate(), None, &[writer.addr().unwrap()]).await;
    let judge = |rumor: vouchsafe::Rumor| async move {
        if rumor.body().ends_with(b"bad") { Validation::Reject } else { Validation::Accept }
    };
    let judged = soon("the topic", reader.join_with(topic, judge)).await.unwrap();
    let judged = soon("the keys", judged.kv()).await.unwrap();
    soon("a link", kv.topic().wait_for_links(1)).await.unwrap();
    let mut watch = judged.watch("");
    kv.put("k", "good").await.unwrap();
    sees(&mut watch, writer.author(), "k", Some("good")).await;
    kv.put("k", "bad").await.unwrap();
    let gone = Change::Gone { author: writer.author(), key: "k".into() };
    assert_eq!(soon("the end of the value", watch.next()).await, Some(gone));
    assert_eq!(judged.get(writer.author(), "k"), None);
    kv.put("k", "better").await.unwrap();
    sees(&mut watch, writer.author(), "k", Some("better")).await;
}

#[tokio::test]
async fn a_log_has_no_keys_and_a_topic_that_is_left_no_news() {
    let node = spawn(SecretKey::generate(), None, &[]).await;
    let log = Topic::named("log").retention_forever();
    assert!(matches!(node.kv(log).await, Err(KvError::NoState(_))));
    let kv = node.kv(Topic::named("state").state(1)).await.unwrap();
    let mut watch = kv.watch("");
    let again = kv.topic().kv().await.unwrap();
    kv.put("k", "v").await.unwrap();
    assert_eq!(again.get(node.author(), "k").unwrap(), "v", "all readers see the same values");
    sees(&mut watch, node.author(), "k", Some("v")).await;
    kv.topic().leave().await.unwrap();
    assert_eq!(soon("the end", watch.next()).await, None);
    assert!(matches!(kv.topic().kv().await, Err(KvError::NotJoined(_))));
    assert!(matches!(kv.put("k", "w").await, Err(PutError::Publish(PublishError::NotJoined(_)))));
    assert_eq!(kv.get(node.author(), "k").unwrap(), "v");
    // Joined again, it is there.
    let kv = node.kv(Topic::named("state").state(1)).await.unwrap();
    assert_eq!(kv.get(node.author(), "k").unwrap(), "v");
    let mut watch = kv.watch("");
    sees(&mut watch, node.author(), "k", Some("v")).await;
    node.shutdown().await;
    assert_eq!(soon("the end", watch.next()).await, None);
}

/// Half a minute lies between what a liar has written and now: whoever waits for its key waits that long.
#[tokio::test]
async fn put_never_waits() {
    let (folder, topic) = (tempfile::tempdir().unwrap(), Topic::named("ahead").state(10));
    // Given a key to which another author has given a value from a minute ahead, and no link to anybody.
    let (rules, liar) = (topic.bind(NetworkId::of("kv")).unwrap(), SecretKey::generate());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let position = Position { tick: rules.tick_len().tick_at(now.as_millis() as u64) + 50, slot: 0 };
    let cell = Cell::put("k", "theirs").unwrap().encode();
    write_to(folder.path(), &rules, seal(&liar, rules.id(), position, &[cell]).unwrap());
    let node = spawn(SecretKey::generate(), Some(folder.path()), &[]).await;
    let kv = soon("the keys", node.kv(topic)).await.unwrap();
    assert_eq!(kv.shared("k", Resolve::Newest).unwrap(), "theirs");
    // When we write it, then it is written at once, and we learn for how long theirs is later.
    for value in ["ours", "ours again"] {
        let written = soon("writing", kv.put("k", value)).await.unwrap();
        let behind = written.behind.expect("theirs is later");
        assert!((Duration::from_secs(25)..=Duration::from_secs(51)).contains(&behind), "{behind:?}");
        assert_eq!(kv.get(node.author(), "k").unwrap(), value);
    }
    assert_eq!(kv.shared("k", Resolve::Newest).unwrap(), "theirs", "until then");
    let deleted = soon("deleting", kv.delete("k")).await.unwrap();
    assert!(deleted.behind.is_some());
    assert_eq!(kv.get(node.author(), "k"), None);
}

#[cfg(feature = "sim")]
#[tokio::test]
async fn a_key_that_was_written_by_a_clock_ahead_is_late_until_then() {
    let (folder, key, topic) =
        (tempfile::tempdir().unwrap(), SecretKey::generate(), Topic::named("late").state(10));
    // Given a value that we wrote half a minute from now.
    let rules = topic.bind(NetworkId::of("kv")).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let position = Position { tick: rules.tick_len().tick_at(now.as_millis() as u64) + 30, slot: 0 };
    let cell = Cell::put("ahead", "1").unwrap().encode();
    write_to(folder.path(), &rules, seal(&key, rules.id(), position, &[cell]).unwrap());
    // When it is written again before that time, alone or with others, then nothing is done.
    let node = spawn(key.clone(), Some(folder.path()), &[]).await;
    let kv = soon("the keys", node.kv(topic.clone())).await.unwrap();
    let until_ms = rules.tick_len().end_of(position.tick);
    assert_eq!(kv.put("ahead", "2").await, Err(PutError::Late { until_ms }));
    assert_eq!(
        kv.batch().put("ahead", "2").put("other", "2").commit().await,
        Err(PutError::Late { until_ms })
    );
    assert_eq!(kv.get(node.author(), "ahead").unwrap(), "1");
    assert_eq!(kv.get(node.author(), "other"), None);
    // The node's clock decides: by one that has passed that time the key is written.
    drop(kv);
    node.shutdown().await;
    drop(node);
    let later = until_ms + 45_000;
    let builder = Node::builder(key).network("kv").listen("127.0.0.1:0").store(folder.path());
    let node = soon("a node", builder.clock(move || later).spawn()).await.unwrap();
    let kv = soon("the keys", node.kv(topic)).await.unwrap();
    let written = soon("writing", kv.put("ahead", "2")).await;
    assert!(!matches!(written, Err(PutError::Late { .. })), "{written:?}");
}
