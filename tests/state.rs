//! The state folder, as an application sees it: over real QUIC on loopback.
#![cfg(unix)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use vouchsafe::{
    Authors, Builder, CursorError, FolderError, Item, JoinError, Node, PositionLogError, Replay, SecretKey,
    SpawnError, Topic, TopicHandle, VerifierPool,
};

const NETWORK: &str = "state";
/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

/// A folder for its owner alone, with nothing in it.
fn private() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
}

fn here(builder: Builder, peers: &[&Node]) -> Builder {
    let peers = peers.iter().map(|node| node.addr().unwrap());
    builder.network(NETWORK).listen("127.0.0.1:0").bootstrap(peers).verifiers(VerifierPool::new(1))
}

fn log() -> Topic {
    Topic::named("log").retention_forever()
}

/// A node without a folder, in the topic, for others to link to.
async fn other() -> (Node, TopicHandle) {
    let node = here(Node::builder(SecretKey::generate()), &[]).spawn().await.unwrap();
    let handle = node.join(log()).await.unwrap();
    (node, handle)
}

async fn in_log(node: &Node) -> TopicHandle {
    let handle = node.join(log()).await.unwrap();
    soon("a link", handle.wait_for_links(1)).await.unwrap();
    handle
}

async fn next(replay: &mut Replay) -> String {
    match soon("an item", replay.next()).await.unwrap().unwrap() {
        Item::Rumor { rumor, .. } => String::from_utf8_lossy(rumor.body()).into_owned(),
        other => panic!("{other:?}"),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names = folder.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn one_folder_keeps_the_node_what_it_said_and_where_its_readers_stand() {
    let folder = private();
    let state = folder.path().join("state");
    let other = other().await;
    let node = here(Node::with_state(&state), &[&other.0]).spawn().await.unwrap();
    let (id, author) = (node.id(), node.author());
    assert_eq!(author, id);
    let topic = in_log(&node).await;
    for word in ["one", "two", "three"] {
        soon("publishing", topic.publish(word)).await.unwrap();
    }
    let mut past = topic.replay_named("reader").unwrap();
    assert_eq!(next(&mut past).await, "one");
    assert_eq!(next(&mut past).await, "two");
    soon("saving", past.save()).await.unwrap();
    // What is read and not saved comes again.
    assert_eq!(next(&mut past).await, "three");
    node.shutdown().await;
    assert!(matches!(past.save().await, Err(CursorError::Closed)));
    let kept = names(&state);
    for name in ["README.txt", "cursors", "lock", "node.key", "positions", "store"] {
        assert!(kept.iter().any(|kept| kept == name), "{name} is not in {kept:?}");
    }
    assert!(!kept.iter().any(|name| name == "author.key"));

    // The next life has the same key, what was said, and the place. It need not wait before it speaks.
    let node = here(Node::with_state(&state), &[&other.0]).spawn().await.unwrap();
    assert_eq!((node.id(), node.author()), (id, author));
    let topic = in_log(&node).await;
    let mut again = topic.replay_named("reader").unwrap();
    assert_eq!(next(&mut again).await, "three");
    let begun = Instant::now();
    soon("publishing", topic.publish("four")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "a key of whose positions all is known is not silent");
    assert_eq!(next(&mut again).await, "four");
    // Another name begins at the beginning, and one that is forgotten does so again.
    assert_eq!(next(&mut topic.replay_named("other").unwrap()).await, "one");
    assert!(matches!(topic.forget_replay("reader").await, Err(CursorError::InUse(_))));
    drop(again);
    assert!(topic.forget_replay("reader").await.unwrap());
    assert_eq!(next(&mut topic.replay_named("reader").unwrap()).await, "one");
    node.shutdown().await;
}

#[tokio::test]
async fn a_folder_is_of_one_running_node() {
    let folder = private();
    let node = here(Node::with_state(folder.path()), &[]).spawn().await.unwrap();
    let second = here(Node::with_state(folder.path()), &[]).spawn().await;
    let Err(SpawnError::Folder(FolderError::InUse(named))) = &second else { panic!("{second:?}") };
    assert_eq!(named, folder.path());
    // A handle that lives on does not hold it.
    let handle = node.clone();
    node.shutdown().await;
    here(Node::with_state(folder.path()), &[]).spawn().await.unwrap().shutdown().await;
    drop(handle);
    // Nor does a start that fails.
    let nowhere = here(Node::with_state(folder.path()), &[]).listen("nowhere.invalid:1").spawn().await;
    assert!(matches!(nowhere, Err(SpawnError::Listen { .. })), "{nowhere:?}");
    here(Node::with_state(folder.path()), &[]).spawn().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_free_when_shutdown_answers_whatever_is_being_saved() {
    let folder = private();
    for _ in 0..20 {
        let node = here(Node::with_state(folder.path()), &[]).spawn().await.unwrap();
        let topic = node.join(log()).await.unwrap();
        let mut past = topic.replay_named("reader").unwrap();
        let saves = tokio::spawn(async move {
            while past.save().await.is_ok() {}
            past.save().await
        });
        soon("the end", node.shutdown()).await;
        here(Node::with_state(folder.path()), &[]).spawn().await.unwrap().shutdown().await;
        assert!(matches!(soon("the last save", saves).await.unwrap(), Err(CursorError::Closed)));
    }
}

#[tokio::test]
async fn keys_that_are_given_stay_and_others_are_refused() {
    let folder = private();
    let (key, author) = (SecretKey::generate(), SecretKey::generate());
    let builder = Node::builder(key.clone()).author(author.clone()).state(folder.path());
    here(builder, &[]).spawn().await.unwrap().shutdown().await;
    let node = here(Node::with_state(folder.path()), &[]).spawn().await.unwrap();
    assert_eq!((node.id(), node.author()), (key.public(), author.public()));
    node.shutdown().await;
    let other = here(Node::builder(SecretKey::generate()).state(folder.path()), &[]).spawn().await;
    let Err(SpawnError::Folder(error @ FolderError::OtherNode { .. })) = other else { panic!("{other:?}") };
    assert!(error.to_string().contains("Node::with_state"), "{error}");
    let other = Node::with_state(folder.path()).author(SecretKey::generate());
    let other = here(other, &[]).spawn().await;
    let Err(SpawnError::Folder(error @ FolderError::OtherAuthor { .. })) = other else { panic!("{other:?}") };
    assert!(error.to_string().contains("Builder::author"), "{error}");
    // Were the keys of the folder changed by hand, the position log would notice.
    std::fs::remove_file(folder.path().join("author.key")).unwrap();
    let other = here(Node::with_state(folder.path()), &[]).spawn().await;
    assert!(matches!(other, Err(SpawnError::PositionLog(PositionLogError::Damaged(_)))), "{other:?}");
}

#[tokio::test]
async fn a_folder_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let folder = private();
    let path = folder.path().join("state");
    here(Node::with_state(&path), &[]).spawn().await.unwrap().shutdown().await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let error = here(Node::with_state(&path), &[]).spawn().await.unwrap_err();
    assert!(error.to_string().contains(&format!("chmod 700 {}", path.display())), "{error}");
}

#[tokio::test]
async fn a_folder_beside_a_log_or_a_store_is_refused_and_not_made() {
    let folder = private();
    let path = folder.path().join("state");
    let log = Node::with_state(&path).position_log(folder.path().join("log"));
    let store = Node::with_state(&path).store(folder.path().join("store"));
    for (builder, what) in [(log, "position_log"), (store, "store")] {
        let error = here(builder, &[]).spawn().await.unwrap_err();
        assert!(matches!(error, SpawnError::Folder(FolderError::Twice { what: named }) if named == what));
        assert!(error.to_string().contains(&format!("Builder::{what}")), "{error}");
    }
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn a_named_replay_needs_a_folder_a_kept_topic_and_a_name() {
    let (_, topic) = other().await;
    assert!(matches!(topic.replay_named("a"), Err(CursorError::NoFolder)));
    assert!(matches!(topic.forget_replay("a").await, Err(CursorError::NoFolder)));
    let folder = private();
    let node = here(Node::with_state(folder.path()), &[]).spawn().await.unwrap();
    let news = node.join(Topic::named("news")).await.unwrap();
    assert!(matches!(news.replay_named("a"), Err(CursorError::NotKept(topic)) if topic == news.id()));
    let topic = node.join(log()).await.unwrap();
    assert!(matches!(topic.replay_named("../a"), Err(CursorError::Name(name)) if name == "../a"));
    assert!(matches!(topic.replay(Default::default()).save().await, Err(CursorError::Unnamed)));
}

#[tokio::test]
async fn a_topic_of_the_builder_that_can_not_be_relayed_is_refused_at_the_start() {
    let two = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]).public());
    let topic = Topic::named("c").state(100_000).authors(Authors::Listed(two.to_vec()));
    let spawned = Node::builder(SecretKey::generate()).listen("127.0.0.1:0").topic(topic).spawn().await;
    let refused = spawned.err();
    assert!(matches!(refused, Some(SpawnError::Join(JoinError::TooManyKeys { .. }))), "{refused:?}");
}
