//! An application that tests itself: nodes without sockets, with a clock that is paused until all wait.
#![cfg(feature = "memory")]

use std::time::Duration;

use vouchsafe::net::MemoryNetwork;
use vouchsafe::{Builder, MemberEvent, MemberState, Node, PeerAddr, SecretKey, Topic, TopicHandle};

/// Time of the network: nothing here takes so long.
const SOON: Duration = Duration::from_secs(120);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, done).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn builder(network: &MemoryNetwork, peers: &[&Node]) -> Builder {
    let peers: Vec<PeerAddr> = peers.iter().filter_map(|node| node.addr()).collect();
    Node::builder(SecretKey::generate()).network("test").memory(network).bootstrap(peers)
}

async fn spawn(network: &MemoryNetwork, peers: &[&Node]) -> Node {
    builder(network, peers).spawn().await.unwrap()
}

async fn join(nodes: &[&Node], topic: &Topic) -> Vec<TopicHandle> {
    let mut joined = Vec::new();
    for node in nodes {
        joined.push(node.join(topic.clone()).await.unwrap());
    }
    joined
}

#[tokio::test(start_paused = true)]
async fn a_rumor_takes_as_long_as_the_network_does() {
    let delay = Duration::from_millis(200);
    let network = MemoryNetwork::with_delay(delay);
    let one = spawn(&network, &[]).await;
    let two = spawn(&network, &[&one]).await;
    let topics = join(&[&one, &two], &Topic::named("lobby")).await;
    soon("a link", topics[0].wait_for_links(1)).await.unwrap();
    let mut rumors = topics[1].subscribe();
    let began = tokio::time::Instant::now();
    topics[0].publish("hello").await.unwrap();
    let rumor = soon("the rumor", rumors.next()).await.unwrap().unwrap();
    let (took, said) = (began.elapsed(), rumor.said_at());
    assert_eq!(rumor.body(), "hello");
    assert!((delay..delay * 2).contains(&took), "{took:?}");
    // The wall clock of all nodes is the network's.
    tokio::time::sleep(Duration::from_secs(600)).await;
    topics[1].publish("later").await.unwrap();
    let mut own = topics[1].subscribe();
    topics[1].publish("and again").await.unwrap();
    let later = soon("a rumor", own.next()).await.unwrap().unwrap().said_at();
    let passed = later.duration_since(said).unwrap().as_secs();
    assert!((599..700).contains(&passed), "{passed} s");
    assert_eq!(one.members().await.unwrap()[&two.id()].state, MemberState::Alive, "ten minutes later");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_vanishes_fails_by_its_lease_in_no_time() {
    let network = MemoryNetwork::new();
    let one = spawn(&network, &[]).await;
    let two = spawn(&network, &[&one]).await;
    let three = spawn(&network, &[&one]).await;
    for node in [&one, &two, &three] {
        soon("three members", node.wait_for_members(3)).await.unwrap();
    }
    let (mut events, gone) = (one.member_events(), two.id());
    let left = tokio::time::Instant::now();
    network.vanish(gone);
    let mut seen = Vec::new();
    while seen.last() != Some(&"failed") {
        match soon("an event", events.next()).await.unwrap().unwrap() {
            MemberEvent::Unreachable(who) if who == gone => seen.push("unreachable"),
            MemberEvent::Failed(who, _) if who == gone => seen.push("failed"),
            MemberEvent::Failed(who, _) | MemberEvent::Left(who) => panic!("{who} is there"),
            _ => {}
        }
    }
    // It was known before that nothing comes from it; the lease is three and a half periods of five seconds.
    assert_eq!(seen, ["unreachable", "failed"]);
    let lease = left.elapsed().as_secs();
    assert!((10..30).contains(&lease), "{lease} s");
    assert_eq!(three.members().await.unwrap()[&one.id()].state, MemberState::Alive);
}

#[tokio::test(start_paused = true)]
async fn halves_that_are_cut_apart_find_each_other_again() {
    let network = MemoryNetwork::with_delay(Duration::from_millis(20));
    let mut nodes = vec![spawn(&network, &[]).await];
    for _ in 0..3 {
        let node = spawn(&network, &[&nodes[0]]).await;
        nodes.push(node);
    }
    let all: Vec<&Node> = nodes.iter().collect();
    let topics = join(&all, &Topic::named("log").retention(Duration::from_secs(3_600))).await;
    for (node, topic) in nodes.iter().zip(&topics) {
        soon("four members", node.wait_for_members(4)).await.unwrap();
        soon("links", topic.wait_for_links(2)).await.unwrap();
    }
    let mut past = topics[3].replay(vouchsafe::Cursor::START);
    let mut live = topics[1].subscribe();
    for left in &nodes[..2] {
        for right in &nodes[2..] {
            network.cut(left.id(), right.id());
        }
    }
    let mut events = nodes[0].member_events();
    let mut failed = 0;
    topics[0].publish("left").await.unwrap();
    topics[2].publish("right").await.unwrap();
    assert_eq!(soon("its half", live.next()).await.unwrap().unwrap().body(), "left");
    while failed < 2 {
        let event = soon("the other half fails", events.next()).await.unwrap().unwrap();
        failed += usize::from(matches!(event, MemberEvent::Failed(..)));
    }
    // Five minutes later what each half has said reaches the other.
    tokio::time::sleep(Duration::from_secs(300)).await;
    network.heal_all();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let item = soon("the other half", past.next()).await.unwrap().unwrap();
        if let vouchsafe::Item::Rumor { rumor, .. } = item {
            heard.push(rumor.body().clone());
        }
    }
    heard.sort();
    assert_eq!(heard, ["left", "right"]);
    for node in &nodes {
        soon("four members", node.wait_for_members(4)).await.unwrap();
    }
}

/// With a clock that runs, and nodes side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_on_several_threads_hear_and_ask_each_other() {
    let network = MemoryNetwork::with_delay(Duration::from_millis(1));
    let one = spawn(&network, &[]).await;
    let two = spawn(&network, &[&one]).await;
    let topics = join(&[&one, &two], &Topic::named("lobby")).await;
    soon("a link", topics[0].wait_for_links(1)).await.unwrap();
    let mut rumors = topics[1].subscribe();
    let said = tokio::spawn(async move {
        for number in 0..30 {
            topics[0]
                .publish_all([format!("{number}"), "and more".into()].map(bytes::Bytes::from))
                .await
                .unwrap();
        }
    });
    for _ in 0..60 {
        soon("a rumor", rumors.next()).await.unwrap().unwrap();
    }
    said.await.unwrap();
    let long = vec![7; 100_000];
    let _answering = two.answer("echo/1", |_, question| async move { question }).unwrap();
    for _ in 0..20 {
        let answer = one.ask(two.id(), "echo/1", &long, SOON).await.unwrap();
        assert_eq!(answer, long);
    }
    network.cut(one.id(), two.id());
    let cut = one.ask(two.id(), "echo/1", b"?", Duration::from_millis(200)).await;
    assert!(cut.is_err());
    network.heal(one.id(), two.id());
    soon("an answer", one.ask(two.id(), "echo/1", b"?", SOON)).await.unwrap();
    two.shutdown().await;
}
