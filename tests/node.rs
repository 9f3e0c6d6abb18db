//! The async API over real QUIC on loopback: what an application sees.

use std::time::Duration;

use bytes::Bytes;
use vouchsafe::{
    DialError, DownReason, Event, Gap, JoinError, Node, PeerAddr, PublishError, Reason, SecretKey,
    SpawnError, StopReason, Subscription, Topic, TopicHandle, VerifierPool, WaitError,
};

const NETWORK: &str = "test";

/// Nothing here takes seconds; whoever waits that long waits for something that will not come.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

/// Where no other test binds a port that is free for a moment. (Linux gives these addresses to whoever asks.)
const OWN_ADDRESS: &str = if cfg!(target_os = "linux") { "127.0.13.1:0" } else { "127.0.0.1:0" };

async fn node(pool: &VerifierPool, peers: &[PeerAddr]) -> Node {
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    builder.bootstrap(peers.iter().cloned()).verifiers(pool.clone()).spawn().await.unwrap()
}

/// `count` nodes, each linked to all before it, all in one topic.
async fn mesh(count: usize, topic: &Topic) -> Vec<(Node, TopicHandle)> {
    let pool = VerifierPool::new(1);
    let mut nodes: Vec<(Node, TopicHandle)> = Vec::new();
    for _ in 0..count {
        let peers: Vec<_> = nodes.iter().map(|(node, _)| node.addr().unwrap()).collect();
        let node = node(&pool, &peers).await;
        let handle = node.join(topic.clone()).await.unwrap();
        nodes.push((node, handle));
    }
    for (_, handle) in &nodes {
        soon("a full mesh", handle.wait_for_links(count - 1)).await.unwrap();
    }
    nodes
}

async fn take(rumors: &mut Subscription, count: usize) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let delivery = soon("a delivery", rumors.next()).await.unwrap().unwrap();
        bodies.push(delivery.body().clone());
    }
    bodies
}

#[tokio::test]
async fn a_rumor_reaches_everybody_once() {
    let nodes = mesh(5, &Topic::named("lobby")).await;
    let mut readers: Vec<_> = nodes.iter().map(|(_, topic)| topic.subscribe()).collect();
    let id = nodes[2].1.publish("hello").await.unwrap();
    for reader in &mut readers {
        let delivery = soon("the rumor", reader.next()).await.unwrap().unwrap();
        assert_eq!(delivery.body(), "hello");
        assert_eq!(delivery.id(), id);
        assert_eq!(delivery.author(), nodes[2].0.author());
    }
    // A second rumor is the next thing that anybody hears: the first is not delivered again.
    nodes[0].1.publish("again").await.unwrap();
    for reader in &mut readers {
        assert_eq!(take(reader, 1).await, ["again"]);
    }
}

#[tokio::test]
async fn a_large_body_is_announced_and_fetched() {
    let nodes = mesh(4, &Topic::named("files").max_body(64 * 1024)).await;
    let mut readers: Vec<_> = nodes.iter().map(|(_, topic)| topic.subscribe()).collect();
    let body = Bytes::from(vec![7u8; 64 * 1024]);
    nodes[0].1.publish(body.clone()).await.unwrap();
    for reader in &mut readers {
        assert_eq!(take(reader, 1).await, std::slice::from_ref(&body));
    }
}

#[tokio::test]
async fn many_rumors_keep_their_order_and_share_bundles() {
    let nodes = mesh(2, &Topic::named("log").slots_per_tick(4096)).await;
    let mut reader = nodes[1].1.subscribe();
    let bodies: Vec<_> = (0..1000u32).map(|n| Bytes::copy_from_slice(&n.to_le_bytes())).collect();
    let ids = nodes[0].1.publish_all(bodies.clone()).await.unwrap();
    assert_eq!(ids.len(), 1000);
    assert_eq!(take(&mut reader, 1000).await, bodies);
    let stats = nodes[0].0.stats().await.unwrap();
    assert!(stats.counters.accepted < 100, "{} bundles for 1000 rumors", stats.counters.accepted);
}

#[tokio::test]
async fn publishing_what_cannot_be_published_says_why() {
    let pool = VerifierPool::new(1);
    let alone = node(&pool, &[]).await;
    let topic = alone.join(Topic::named("lobby").max_body(10)).await.unwrap();
    assert_eq!(topic.publish("hello").await, Err(PublishError::NoLink));
    assert_eq!(topic.publish("hello, world").await, Err(PublishError::TooLarge { len: 12, max: 10 }));
    let other = node(&pool, &[alone.addr().unwrap()]).await;
    let there = other.join(Topic::named("lobby").max_body(10)).await.unwrap();
    soon("a link", there.wait_for_links(1)).await.unwrap();
    soon("a link", topic.wait_for_links(1)).await.unwrap();
    for _ in 0..64 {
        topic.publish("x").await.unwrap();
    }
    alone.shutdown().await;
    assert_eq!(topic.publish("hello").await, Err(PublishError::Closed));
}

#[tokio::test]
async fn try_publish_does_not_wait_for_a_slot() {
    let nodes = mesh(2, &Topic::named("slow").slots_per_tick(1).tick_len(Duration::from_secs(10))).await;
    let topic = &nodes[0].1;
    let mut refused = 0;
    // At most two ticks can pass here, each with one slot.
    for _ in 0..4 {
        refused += usize::from(topic.try_publish("x").await == Err(PublishError::WouldWait));
    }
    assert!(refused >= 2);
}

#[tokio::test]
async fn try_publish_waits_for_the_position_log_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let pool = VerifierPool::new(1);
    let other = node(&pool, &[]).await;
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    let builder = builder.bootstrap([other.addr().unwrap()]).position_log(folder.path().join("a.positions"));
    let author = builder.verifiers(pool).spawn().await.unwrap();
    let topic =
        author.join(Topic::named("t").slots_per_tick(1).tick_len(Duration::from_secs(10))).await.unwrap();
    let topic_there = other.join(Topic::named("t").slots_per_tick(1).tick_len(Duration::from_secs(10)));
    let _relays = topic_there.await.unwrap();
    soon("a link", topic.wait_for_links(1)).await.unwrap();
    // Nothing is recorded yet, so this needs the disk; the second of a tick needs a slot. (A tick may end between them.)
    let mut results = Vec::new();
    for _ in 0..3 {
        results.push(topic.try_publish("word").await);
    }
    assert!(results[0].is_ok(), "{results:?}");
    assert!(results.contains(&Err(PublishError::WouldWait)), "{results:?}");
}

#[tokio::test]
async fn a_peer_that_cannot_be_dialled_is_named_with_the_reason() {
    let pool = VerifierPool::new(1);
    let (other, ours) = (node(&pool, &[]).await, node(&pool, &[]).await);
    let mut events = ours.events();
    let wrong = PeerAddr::new(SecretKey::generate().public(), other.local_addr());
    ours.connect(wrong.clone()).await.unwrap();
    let failed = soon("an event", events.next()).await.unwrap().unwrap();
    let Event::DialFailed { peer, why } = failed else { panic!("{failed:?}") };
    assert_eq!(peer, wrong.key);
    let (addr, expected, answered) = (other.local_addr(), wrong.key, other.id());
    assert_eq!(why, DialError::WrongKey { addr, expected, answered });
}

#[tokio::test]
async fn only_allowed_keys_are_let_in_whatever_was_configured_first() {
    let pool = VerifierPool::new(1);
    let friend = SecretKey::generate();
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    let closed = builder.allow([friend.public()]).config(vouchsafe::Config::default());
    let closed = closed.verifiers(pool.clone()).spawn().await.unwrap();
    let stranger = node(&pool, &[]).await;
    let mut events = stranger.events();
    stranger.connect(closed.addr().unwrap()).await.unwrap();
    let refused = soon("an event", events.next()).await.unwrap().unwrap();
    assert!(matches!(refused, Event::LinkRefused { peer, .. } if peer == closed.id()), "{refused:?}");
    let friend =
        Node::builder(friend).network(NETWORK).listen("127.0.0.1:0").bootstrap([closed.addr().unwrap()]);
    let friend = friend.verifiers(pool).spawn().await.unwrap();
    soon("a link", friend.wait_for_links(1)).await.unwrap();
}

#[tokio::test]
async fn the_last_rumors_before_a_shutdown_are_delivered() {
    let nodes = mesh(2, &Topic::named("lobby")).await;
    let mut reader = nodes[1].1.subscribe();
    let mut events = nodes[1].0.events();
    for n in 0..20 {
        nodes[0].1.publish(format!("{n}")).await.unwrap();
    }
    nodes[0].0.shutdown().await;
    assert_eq!(take(&mut reader, 20).await.len(), 20);
    let down = async {
        loop {
            if let Event::PeerDown { peer, why } = events.next().await.unwrap().unwrap() {
                return (peer, why);
            }
        }
    };
    let (peer, why) = soon("the end of the link", down).await;
    assert_eq!(peer, nodes[0].0.id());
    assert_eq!(why, DownReason::ClosedByPeer(Reason::Shutdown));
}

#[tokio::test]
async fn a_link_that_goes_down_comes_up_again() {
    let pool = VerifierPool::new(1);
    let stays = node(&pool, &[]).await;
    let key = SecretKey::generate();
    let goes = Node::builder(key.clone()).network(NETWORK).listen(OWN_ADDRESS).spawn().await.unwrap();
    stays.connect(goes.addr().unwrap()).await.unwrap();
    soon("the first link", goes.wait_for_links(1)).await.unwrap();
    let addr = goes.local_addr();
    goes.shutdown().await;
    let back = Node::builder(key).network(NETWORK).listen(addr).spawn().await.unwrap();
    soon("the second link", back.wait_for_links(1)).await.unwrap();
}

#[tokio::test]
async fn readers_end_with_the_topic_and_the_node() {
    let alone = node(&VerifierPool::new(1), &[]).await;
    let topic = alone.join(Topic::named("lobby")).await.unwrap();
    let mut rumors = topic.subscribe();
    let mut events = alone.events();
    topic.leave().await.unwrap();
    assert_eq!(soon("the end of the topic", rumors.next()).await, None);
    let mut refused = topic.subscribe();
    assert_eq!(refused.next().await, Some(Err(Gap::NotJoined(topic.id()))));
    assert_eq!(refused.next().await, None);
    alone.shutdown().await;
    assert_eq!(soon("the end of the node", events.next()).await, None);
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed() {
    // Records of members would be counted too.
    let quick = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0").without_members();
    let quick = quick.spawn().await.unwrap();
    let slow = Node::builder(SecretKey::generate())
        .network(NETWORK)
        .without_members()
        .listen("127.0.0.1:0")
        .bootstrap([quick.addr().unwrap()])
        .subscription_capacity(4)
        .spawn()
        .await
        .unwrap();
    let topic = Topic::named("lobby").slots_per_tick(1000);
    let from = quick.join(topic.clone()).await.unwrap();
    let to = slow.join(topic).await.unwrap();
    soon("a link", from.wait_for_links(1)).await.unwrap();
    let mut lags = to.subscribe();
    let mut own = from.subscribe();
    for _ in 0..20 {
        from.publish("x").await.unwrap();
    }
    take(&mut own, 20).await;
    // The slow node has them all once it has counted them; its reader has room for four.
    let counted = async {
        while slow.stats().await.unwrap().counters.rumors_accepted < 20 {
            tokio::task::yield_now().await;
        }
    };
    soon("twenty rumors", counted).await;
    assert_eq!(lags.next().await, Some(Err(Gap::Lagged(16))));
    assert_eq!(take(&mut lags, 4).await.len(), 4);
    assert!(slow.stats().await.unwrap().heard_ago.is_some());
    assert_eq!(quick.stats().await.unwrap().heard_ago, None, "it has only spoken");

    // Bundles of many are counted by their rumors.
    for _ in 0..20 {
        from.publish_all(vec![Bytes::from_static(b"y"); 8]).await.unwrap();
    }
    let counted = async {
        while slow.stats().await.unwrap().counters.rumors_accepted < 180 {
            tokio::task::yield_now().await;
        }
    };
    soon("a hundred and sixty more", counted).await;
    let Some(Err(Gap::Lagged(missed))) = lags.next().await else { panic!("nothing was missed") };
    let rest = take(&mut lags, 160 - missed as usize).await;
    assert!(rest.len() <= 4 * 8, "missed {missed}");
}

#[tokio::test]
async fn a_peer_is_found_by_the_name_of_its_host() {
    let pool = VerifierPool::new(1);
    let there = node(&pool, &[]).await;
    let named = format!("{}@localhost:{}", there.id(), there.local_addr().port());
    let here = node(&pool, &[named.parse().unwrap()]).await;
    soon("a link", here.wait_for_links(1)).await.unwrap();
    // A name that nobody has is told as a dial that failed, and ends nothing.
    let mut events = here.events();
    let nobody = SecretKey::generate().public();
    here.connect(format!("{nobody}@no-such-host.invalid:1").parse().unwrap()).await.unwrap();
    let failed = soon("an event", events.next()).await.unwrap().unwrap();
    let Event::DialFailed { peer, why } = failed else { panic!("{failed:?}") };
    assert_eq!(peer, nobody);
    assert!(matches!(&why, DialError::Lookup { host, .. } if host == "no-such-host.invalid:1"), "{why}");
}

#[tokio::test]
async fn an_address_for_others_is_definite_or_none() {
    let builder = || Node::builder(SecretKey::generate());
    let everywhere = builder().spawn().await.unwrap();
    assert_eq!(everywhere.addr(), None, "0.0.0.0 is nobody's address");
    let here = builder().listen("127.0.0.1:0").spawn().await.unwrap();
    assert_eq!(here.addr(), Some(PeerAddr::new(here.id(), here.local_addr())));
    let told = builder().advertise("node.example.org:4433").spawn().await.unwrap();
    assert_eq!(told.addr().unwrap().to_string(), format!("{}@node.example.org:4433", told.id()));
    assert!(builder().advertise("node.example.org").spawn().await.is_err());
}

/// In memory, where half a minute of silence takes no time.
#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn a_publish_that_is_dropped_takes_back_what_is_not_sealed() {
    let (pool, network) = (VerifierPool::new(1), vouchsafe::net::MemoryNetwork::new());
    // Records of members would be counted too.
    let listener = Node::builder(SecretKey::generate()).network(NETWORK).memory(&network).without_members();
    let listener = listener.verifiers(pool.clone()).spawn().await.unwrap();
    let topic = Topic::named("lobby");
    let mut heard = listener.join(topic.clone()).await.unwrap().subscribe();
    // Given a loaded key without a position log, which is silent for half a minute.
    let key = SecretKey::from_seed(&SecretKey::generate().to_seed());
    let builder = Node::builder(key).network(NETWORK).memory(&network).verifiers(pool.clone());
    let author = builder.bootstrap([listener.addr().unwrap()]).without_members().spawn().await.unwrap();
    let speaker = author.join(topic).await.unwrap();
    soon("a link", speaker.wait_for_links(1)).await.unwrap();
    // What it only tries says until when.
    let tried = soon("an answer", speaker.try_publish("tried")).await;
    let Err(PublishError::Silent { until_ms }) = tried else { panic!("{tried:?}") };
    let now_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!((now_ms..now_ms + 40_000).contains(&until_ms));
    // When it gives up on what it publishes, alone and many at once, again and again.
    for n in 0..5 {
        let limit = Duration::from_millis(100);
        let one = tokio::time::timeout(limit, speaker.publish(format!("given up {n}")));
        let many = (0..10).map(|m| Bytes::from(format!("given up {n} {m}")));
        let many = tokio::time::timeout(limit, speaker.publish_all(many));
        let (one, many) = tokio::join!(one, many);
        assert!(one.is_err() && many.is_err());
    }
    // Then the first that it waits for is the first that is heard.
    let waited = tokio::time::timeout(Duration::from_secs(60), speaker.publish("waited for")).await;
    waited.expect("silence ends").unwrap();
    assert_eq!(take(&mut heard, 1).await, ["waited for"]);
    assert_eq!(listener.stats().await.unwrap().counters.rumors_accepted, 1);
}

#[tokio::test]
async fn a_node_that_ended_in_good_order_holds_up_its_next_life_for_no_more_than_it_used() {
    let pool = VerifierPool::new(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.positions");
    let listener = node(&pool, &[]).await;
    let key = SecretKey::generate();
    let builder = Node::builder(key.clone()).network(NETWORK).listen("127.0.0.1:0").verifiers(pool.clone());
    // A member says that it leaves, and may use another position for that.
    let builder = builder.position_log(&path).bootstrap([listener.addr().unwrap()]).without_members();
    let author = builder.spawn().await.unwrap();
    let topic = Topic::named("lobby");
    let _relays = listener.join(topic.clone()).await.unwrap();
    let speaker = author.join(topic).await.unwrap();
    soon("a link", speaker.wait_for_links(1)).await.unwrap();
    speaker.publish("word").await.unwrap();
    let now_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    soon("the end", author.shutdown()).await;
    let (_, used) = vouchsafe::store::PositionLog::open(&path, key.public(), false, 0).unwrap();
    assert!(!used.is_empty() && used.end() <= now_ms / 1_000 * 1_000 + 1_000, "{used:?} after {now_ms}");
}

#[tokio::test]
async fn port_is_free_when_shutdown_answers_a_hundred_times_in_a_row() {
    let pool = VerifierPool::new(1);
    let addr = std::net::UdpSocket::bind(OWN_ADDRESS).unwrap().local_addr().unwrap();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = node(&pool, &[]).await;
    for number in 0..100 {
        let builder =
            Node::builder(SecretKey::generate()).network(NETWORK).listen(addr).verifiers(pool.clone());
        let node = builder.spawn().await.unwrap();
        if number % 20 == 0 {
            // Another key answers at the one, and nobody at the other.
            for at in [other.local_addr(), silent.local_addr().unwrap()] {
                node.connect(PeerAddr::new(SecretKey::generate().public(), at)).await.unwrap();
            }
            let mut events = node.events();
            while !matches!(soon("an event", events.next()).await, Some(Ok(Event::DialFailed { .. }))) {}
        }
        let answered = async {
            // Whoever is answered first may bind.
            tokio::select! {
                biased;
                () = async { node.clone().shutdown().await } => {}
                () = async { node.clone().shutdown().await } => {}
                () = async { node.clone().shutdown().await } => {}
            }
        };
        soon("the end of the node", answered).await;
        drop(std::net::UdpSocket::bind(addr).unwrap_or_else(|error| panic!("round {number}: {error}")));
        // Who calls later is answered too.
        soon("another answer", node.shutdown()).await;
    }
}

#[tokio::test]
async fn every_caller_of_shutdown_is_answered_when_the_port_is_free() {
    let pool = VerifierPool::new(1);
    let nodes = [node(&pool, &[]).await, node(&pool, &[]).await];
    nodes[0].connect(nodes[1].addr().unwrap()).await.unwrap();
    soon("a link", nodes[0].wait_for_links(1)).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let node = nodes[0].clone();
        callers.spawn(async move {
            node.shutdown().await;
            std::net::UdpSocket::bind(node.local_addr()).map(drop).map_err(|error| error.kind())
        });
    }
    let free = soon("all answers", callers.join_all()).await;
    // They run one after the other here, so none finds the port taken by another caller.
    assert!(free.iter().all(Result::is_ok), "{free:?}");
}

#[tokio::test]
async fn port_is_free_after_the_last_handle_is_dropped() {
    let pool = VerifierPool::new(1);
    let node = node(&pool, &[]).await;
    let addr = node.local_addr();
    drop(node);
    let freed = async {
        while std::net::UdpSocket::bind(addr).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("a free port", freed).await;
}

#[tokio::test]
async fn node_whose_endpoint_the_application_closes_says_so_and_ends() {
    let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    let builder = Node::builder(SecretKey::generate()).endpoint(endpoint.clone());
    let peer = PeerAddr::new(SecretKey::generate().public(), endpoint.local_addr().unwrap());
    let node = builder.bootstrap([peer]).spawn().await.unwrap();
    let topic = node.join(Topic::named("lobby")).await.unwrap();
    let mut events = node.events();
    endpoint.close(0u32.into(), b"");
    let mut told = Vec::new();
    while let Some(event) = soon("an event", events.next()).await {
        told.push(event.unwrap());
    }
    assert!(matches!(told.last(), Some(Event::Stopped { why: StopReason::EndpointClosed })), "{told:?}");
    let families = |event: &Event| matches!(event, Event::DialFailed { why: DialError::Address { .. }, .. });
    assert!(!told.iter().any(families), "{told:?}");
    assert_eq!(soon("an answer", topic.publish("too late")).await, Err(PublishError::Closed));
    soon("an answer", node.shutdown()).await;
}

#[tokio::test]
async fn configuration_that_cant_work_is_refused_at_spawn() {
    let mut config = vouchsafe::Config::default();
    config.topics.bytes = 0;
    let error = Node::builder(SecretKey::generate()).config(config).spawn().await.unwrap_err();
    assert!(matches!(error, SpawnError::Config(_)) && error.to_string().contains("topics.bytes"), "{error}");
    let gate = vouchsafe::GateConfig::default().with(|gate| gate.half_open = 0);
    let error = Node::builder(SecretKey::generate()).gate(gate).spawn().await.unwrap_err();
    assert!(matches!(error, SpawnError::Config(_)) && error.to_string().contains("half_open"), "{error}");
}

#[tokio::test]
async fn each_join_ends_by_itself_and_a_topic_with_the_last_of_them() {
    // Given two joins of one topic, each with a subscription.
    let nodes = mesh(2, &Topic::named("lobby")).await;
    let (node, first) = &nodes[0];
    let second = node.join(Topic::named("lobby")).await.unwrap();
    let (mut of_first, mut of_second) = (first.subscribe(), second.subscribe());
    nodes[1].1.publish("one").await.unwrap();
    assert_eq!(take(&mut of_second, 1).await, ["one"]);
    // When the first is left, then it has what was delivered, and nothing more, and the second goes on.
    first.leave().await.unwrap();
    nodes[1].1.publish("two").await.unwrap();
    assert_eq!(take(&mut of_second, 1).await, ["two"]);
    assert_eq!(take(&mut of_first, 1).await, ["one"]);
    assert_eq!(soon("the end", of_first.next()).await, None);
    // A handle that has left does nothing more, whoever else has joined.
    let topic = first.id();
    assert_eq!(first.wait_for_links(1).await, Err(WaitError::NotJoined(topic)));
    assert_eq!(first.publish("word").await, Err(PublishError::NotJoined(topic)));
    assert_eq!(first.subscribe().next().await, Some(Err(Gap::NotJoined(topic))));
    first.leave().await.unwrap();
    second.publish("three").await.unwrap();
    // A subscription keeps the topic when its handle is dropped; the node leaves with the last of both.
    drop(second);
    nodes[1].1.publish("four").await.unwrap();
    assert_eq!(take(&mut of_second, 2).await.len(), 2);
    drop(of_second);
    let left = async {
        while !node.stats().await.unwrap().topics.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the topic", left).await;
}

#[tokio::test]
async fn handles_that_are_dropped_make_room_for_other_topics() {
    let alone = node(&VerifierPool::new(1), &[]).await;
    for n in 0..130 {
        drop(alone.join(Topic::named(format!("topic {n}"))).await.unwrap());
    }
    let mut kept = Vec::new();
    for n in 0..64 {
        kept.push(alone.join(Topic::named(format!("kept {n}"))).await.unwrap());
    }
    assert_eq!(alone.join(Topic::named("one too many")).await.unwrap_err(), JoinError::TooMany);
    kept.pop();
    alone.join(Topic::named("one too many")).await.unwrap();
}

#[tokio::test]
async fn a_topic_of_the_builder_stays_relayed_and_serves_later_joins() {
    let pool = VerifierPool::new(1);
    let relay = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    let relay = relay.topic(Topic::named("lobby")).verifiers(pool.clone()).spawn().await.unwrap();
    let author = node(&pool, &[relay.addr().unwrap()]).await;
    let topic = author.join(Topic::named("lobby")).await.unwrap();
    soon("a link", topic.wait_for_links(1)).await.unwrap();
    let heard = async |count: u64| {
        while relay.stats().await.unwrap().counters.rumors_accepted < count {
            tokio::task::yield_now().await;
        }
    };
    // Given a node that has relayed ten rumors which its application did not read.
    for n in 0..10 {
        topic.publish(format!("{n}")).await.unwrap();
    }
    soon("ten rumors", heard(10)).await;
    // When it joins to read them, then it is given them in order, and not a second time.
    let here = relay.join(Topic::named("lobby")).await.unwrap();
    let mut rumors = here.subscribe();
    let said: Vec<_> = (0..10).map(|n| format!("{n}")).collect();
    assert_eq!(take(&mut rumors, 10).await, said);
    drop((rumors, here));
    // When it is joined again, and something is said before there is a subscription, then that begins with it.
    let here = relay.join(Topic::named("lobby")).await.unwrap();
    topic.publish("meanwhile").await.unwrap();
    soon("one more", heard(11)).await;
    let mut rumors = here.subscribe();
    assert_eq!(take(&mut rumors, 1).await, ["meanwhile"]);
    topic.publish("then").await.unwrap();
    assert_eq!(take(&mut rumors, 1).await, ["then"]);
}
