//! What spares an application lines, over real QUIC on loopback: limits on waits, subscriptions without own rumors, times, JSON.
#![cfg(feature = "sim")]

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use vouchsafe::{
    Builder, Item, Node, PublishError, SecretKey, Subscription, Topic, TopicHandle, TryRecvError,
    VerifierPool, WaitError,
};

const NETWORK: &str = "app";
/// Nothing here takes that long; whoever waits longer waits for something that will not come.
const WATCHDOG: Duration = Duration::from_secs(60);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

fn builder(peers: &[&Node]) -> Builder {
    let peers = peers.iter().map(|node| node.addr().unwrap());
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    builder.bootstrap(peers).verifiers(VerifierPool::new(1))
}

/// Two linked nodes in a topic, the second built as is said.
async fn pair(topic: &Topic, build: impl FnOnce(Builder) -> Builder) -> [(Node, TopicHandle); 2] {
    let first = builder(&[]).spawn().await.unwrap();
    let second = build(builder(&[&first])).spawn().await.unwrap();
    let there = first.join(topic.clone()).await.unwrap();
    let here = second.join(topic.clone()).await.unwrap();
    for handle in [&there, &here] {
        handle.wait_for_links(1).within(WATCHDOG).await.unwrap();
    }
    [(first, there), (second, here)]
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

async fn next(rumors: &mut Subscription) -> String {
    text(soon("a rumor", rumors.next()).await.unwrap().unwrap().body())
}

#[tokio::test]
async fn what_is_not_published_within_the_limit_is_taken_back() {
    limits_are_over().await;
}

/// Where node and application run side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_published_within_the_limit_is_taken_back_from_another_thread() {
    limits_are_over().await;
}

async fn limits_are_over() {
    // Given an author with one slot in a tick of two seconds,
    let topic = Topic::named("t").slots_per_tick(1).tick_len(Duration::from_secs(2));
    let [(_, there), (_, here)] = pair(&topic, |builder| builder).await;
    let mut rumors = there.subscribe();
    let limit = Duration::from_millis(100);
    let mut said = Vec::new();
    // When it says a word, and so another in the same tick for which there is no slot,
    let refused = loop {
        let word = format!("word {}", said.len());
        match here.publish(word.clone()).within(limit).await {
            Ok(_) => said.push(word),
            Err(error) => break error,
        }
    };
    // Then the limit ends that, and the word is never said.
    assert_eq!(refused, PublishError::TimedOut(limit));
    assert!(refused.is_temporary());
    // Nor is one that is taken back before the node has come to it.
    for number in 0..50 {
        let word = format!("at once {number}");
        match here.publish(word.clone()).within(Duration::ZERO).await {
            // (Another tick may begin meanwhile.)
            Ok(_) => said.push(word),
            Err(error) => assert_eq!(error, PublishError::TimedOut(Duration::ZERO)),
        }
    }
    soon("the next slot", here.publish("the last word")).await.unwrap();
    said.push("the last word".into());
    for word in said {
        assert_eq!(next(&mut rumors).await, word);
    }
}

#[tokio::test]
async fn what_is_sealed_and_not_on_the_disk_within_the_limit_is_told_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let topic = Topic::named("log").retention(Duration::from_secs(3_600));
    // Given a disk that stands still when it is told to,
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let disk = Arc::clone(&gate);
    let wait = move || {
        let (stands, moves) = &*disk;
        drop(moves.wait_while(stands.lock().unwrap(), |stands| *stands).unwrap());
        Ok(())
    };
    let [(_, there), (_, here)] = pair(&topic, |node| node.store(folder.path()).before_commit(wait)).await;
    let mut rumors = there.subscribe();
    let stands = |still: bool| {
        *gate.0.lock().unwrap() = still;
        gate.1.notify_all();
    };
    let limit = Duration::from_millis(300);
    let mut words = Vec::new();
    let refused = loop {
        soon("publishing", here.publish("before")).await.unwrap();
        words.push("before");
        assert!(words.len() <= 5, "nothing is sealed while the disk stands still");
        // When a rumor is published that no limit is long enough for,
        stands(true);
        let began = Instant::now();
        let refused = loop {
            let refused = here.publish("meanwhile").within(limit).await.unwrap_err();
            // On a busy machine the limit may be over before it is sealed: then nothing was said.
            if refused != PublishError::TimedOut(limit) || began.elapsed() > Duration::from_secs(5) {
                break refused;
            }
        };
        if refused != PublishError::TimedOut(limit) {
            break refused;
        }
        // Positions are recorded some two seconds ahead. If the machine has stood still for longer, they are recorded anew.
        stands(false);
    };
    // Then its author is told that others have it, and not to say it again.
    assert_eq!(refused, PublishError::Unconfirmed(limit));
    assert!(!refused.is_temporary());
    words.push("meanwhile");
    for word in &words {
        assert_eq!(next(&mut rumors).await, *word);
    }
    stands(false);
    // And when the disk goes on, it is kept.
    let mut past = here.replay(Default::default());
    let mut kept = Vec::new();
    while kept.len() < words.len() {
        if let Item::Rumor { rumor, .. } = soon("an item", past.next()).await.unwrap().unwrap() {
            kept.push(text(rumor.body()));
        }
    }
    assert_eq!(kept, words);
}

#[tokio::test]
async fn waits_end_with_their_limit_and_say_how_far_they_came() {
    let [(_, _there), (node, here)] = pair(&Topic::named("t"), |builder| builder).await;
    let limit = Duration::from_millis(100);
    let too_few = |error: WaitError, wanted_of: &str| {
        let WaitError::TimedOut { what, reached: 1, wanted: 2, limit: told } = error else {
            panic!("{error:?}")
        };
        assert!(told == limit && what.starts_with(wanted_of), "{what} within {told:?}");
    };
    too_few(here.wait_for_links(2).within(limit).await.unwrap_err(), "links that relay");
    too_few(node.wait_for_links(2).within(limit).await.unwrap_err(), "links");
    soon("a member", node.wait_for_members(2)).await.unwrap();
    let error = node.wait_for_members(3).within(limit).await.unwrap_err();
    assert!(matches!(error, WaitError::TimedOut { what: "members", reached: 2, wanted: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("2 of 3 members"), "{error}");
    assert_eq!(here.caught_up(1).within(limit).await, Err(WaitError::NotKept(here.id())));
    // A wait that is going on holds nothing up.
    let waits = tokio::spawn(here.wait_for_links(2).within(WATCHDOG));
    let id = here.id();
    drop(here);
    assert_eq!(soon("an answer", waits).await.unwrap(), Err(WaitError::NotJoined(id)));
    let waits = tokio::spawn(node.wait_for_members(9).within(WATCHDOG));
    node.shutdown().await;
    assert!(matches!(soon("an answer", waits).await.unwrap(), Err(WaitError::Closed(_))));
}

#[tokio::test]
async fn what_this_node_says_is_told_apart_and_left_out() {
    let [(_, there), (_, here)] = pair(&Topic::named("t"), |builder| builder).await;
    let (mut all, mut others) = (here.subscribe(), here.subscribe().without_own());
    let before = SystemTime::now() - Duration::from_secs(1);
    for (handle, word) in
        [(&here, "mine"), (&there, "theirs"), (&here, "mine again"), (&there, "theirs again")]
    {
        soon("publishing", handle.publish(word)).await.unwrap();
        let heard = soon("a rumor", all.next()).await.unwrap().unwrap();
        assert_eq!(text(heard.body()), word);
        assert_eq!(heard.is_own(), word.starts_with("mine"));
        // A tick is a second.
        assert!(heard.said_at() >= before && heard.said_at() <= SystemTime::now(), "{:?}", heard.said_at());
        assert_eq!(there.said_at(heard.position()), heard.said_at());
    }
    assert_eq!([next(&mut others).await, next(&mut others).await], ["theirs", "theirs again"]);
}

#[tokio::test]
async fn who_does_not_wait_is_given_what_is_here() {
    let [(_, there), (node, here)] = pair(&Topic::named("t"), |builder| builder).await;
    let (mut asks, mut waits) = (here.subscribe(), here.subscribe());
    assert_eq!(asks.try_recv(), Err(TryRecvError::Empty));
    // More than a task may read before tokio lets others go first.
    for number in 0..300 {
        soon("publishing", there.publish(format!("{number}"))).await.unwrap();
        assert_eq!(next(&mut waits).await, format!("{number}"));
        if number % 2 == 0 {
            assert_eq!(asks.try_recv().map(|heard| text(heard.body())), Ok(format!("{number}")));
            assert_eq!(asks.try_recv(), Err(TryRecvError::Empty));
        } else {
            assert_eq!(next(&mut asks).await, format!("{number}"));
        }
    }
    // Who waits after it has asked in vain is woken.
    assert_eq!(asks.try_recv(), Err(TryRecvError::Empty));
    let waiting = tokio::spawn(async move { (next(&mut asks).await, asks) });
    soon("publishing", there.publish("last")).await.unwrap();
    let (last, mut asks) = soon("a rumor", waiting).await.unwrap();
    assert_eq!(last, "last");
    node.shutdown().await;
    assert_eq!(asks.try_recv(), Err(TryRecvError::Ended));
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn structs_travel_as_json() {
    use std::collections::BTreeMap;

    let [(_, there), (_, here)] = pair(&Topic::named("t"), |builder| builder).await;
    let mut rumors = there.subscribe();
    let order = BTreeMap::from([("tea".to_owned(), 2)]);
    soon("publishing", here.publish_json(&order)).await.unwrap();
    let heard = soon("a rumor", rumors.next()).await.unwrap().unwrap();
    assert_eq!(heard.json(), Ok(order));
    assert!(heard.json::<Vec<u8>>().is_err());
    let no_texts = BTreeMap::from([([1, 2], 3)]);
    assert!(matches!(here.publish_json(&no_texts).await, Err(PublishError::Json(_))));

    let kv = here.node().kv(Topic::named("conf").state(16)).await.unwrap();
    let me = here.node().author();
    soon("a write", kv.put_json("limits", &[3, 5])).await.unwrap();
    assert_eq!(kv.get_json(me, "limits"), Ok(Some(vec![3, 5])));
    assert_eq!(kv.get_json::<Vec<u8>>(me, "other"), Ok(None));
    assert!(kv.get_json::<String>(me, "limits").is_err());
}
