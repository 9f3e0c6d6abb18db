//! Nodes over a transport that the application has written: what it does badly neither ends the node nor holds it up.
#![cfg(feature = "memory")]

mod bad;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bad::{Bad, Fault, Seen};
use tokio::time::Instant;
use vouchsafe::net::transport::IDLE_TIMEOUT;
use vouchsafe::net::{Endpoint, GateConfig, MemoryNetwork};
use vouchsafe::protocol::DialError;
use vouchsafe::{
    Builder, Event, Events, Node, PeerAddr, PublicKey, PublishError, SecretKey, SpawnError, StopReason, Topic,
};

/// Time of the network: nothing here takes so long.
const SOON: Duration = Duration::from_secs(120);

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, done).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A node of the network, over nothing else.
async fn honest(network: &MemoryNetwork, entry: Option<PeerAddr>) -> Node {
    Node::builder(SecretKey::generate())
        .network("test")
        .memory(network)
        .bootstrap(entry)
        .spawn()
        .await
        .unwrap()
}

/// One whose transport has a fault.
fn faulty(network: &MemoryNetwork, fault: Fault, entry: Option<PeerAddr>) -> (Builder, Arc<Seen>) {
    let key = SecretKey::generate();
    let bad = Bad::new(network.transport(key.public(), any()).unwrap(), fault);
    let seen = Arc::clone(&bad.seen);
    (Node::builder(key).network("test").memory(network).bootstrap(entry).transport(bad), seen)
}

async fn until<T>(events: &mut Events, mut found: impl FnMut(&Event) -> Option<T>) -> T {
    soon("the event", async {
        loop {
            if let Some(found) = found(&events.next().await.expect("more events").expect("no lag")) {
                return found;
            }
        }
    })
    .await
}

async fn dial_fails(events: &mut Events) -> DialError {
    until(events, |event| match event {
        Event::DialFailed { why, .. } => Some(why.clone()),
        _ => None,
    })
    .await
}

/// It answers, whether or not it has links.
async fn lives(node: &Node) {
    let topic = soon("a join", node.join(Topic::named("here"))).await.unwrap();
    match soon("a publication", topic.publish("I am here")).await {
        Ok(_) | Err(PublishError::NoLink | PublishError::NotRelayed { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    soon("statistics", node.stats()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nodes_gossip_over_a_transport_of_the_application() {
    let network = MemoryNetwork::with_delay(Duration::from_millis(10));
    let one = honest(&network, None).await;
    let (two, seen) = faulty(&network, Fault::None, one.addr());
    let two = two.spawn().await.unwrap();
    let topics =
        [one.join(Topic::named("lobby")).await.unwrap(), two.join(Topic::named("lobby")).await.unwrap()];
    let mut rumors = topics[0].subscribe();
    soon("a link", topics[1].wait_for_links(1)).await.unwrap();
    topics[1].publish("hello").await.unwrap();
    assert_eq!(soon("the rumor", rumors.next()).await.unwrap().unwrap().body(), "hello");
    assert_eq!(seen.dials.load(Ordering::SeqCst), 1);
    // Where it is, its transport says.
    assert_eq!(two.addr().unwrap().host, two.local_addr().into());
    soon("the shutdown", two.shutdown()).await;
}

fn tls() -> quinn::rustls::ServerConfig {
    let provider = Arc::new(quinn::rustls::crypto::ring::default_provider());
    let tls = quinn::rustls::ServerConfig::builder_with_provider(provider);
    let tls = tls.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    tls.with_cert_resolver(Arc::new(quinn::rustls::server::ResolvesServerCertUsingSni::new()))
}

#[tokio::test(start_paused = true)]
async fn transport_of_another_key_or_beside_a_port_is_refused() {
    let network = MemoryNetwork::new();
    let bad = Bad::new(network.transport(SecretKey::generate().public(), any()).unwrap(), Fault::None);
    let node = Node::builder(SecretKey::generate()).transport(bad).spawn().await;
    assert!(matches!(node, Err(SpawnError::Transport(why)) if why.contains("the key")));
    let tls = tls();
    let (builder, _) = faulty(&network, Fault::None, None);
    let node = builder.other_protocols(tls).spawn().await;
    assert!(matches!(node, Err(SpawnError::Transport(why)) if why.contains("other_protocols")));
    for method in ["key", "local_addr"] {
        let (builder, _) = faulty(&network, Fault::Panics(method), None);
        assert!(builder.spawn().await.is_err(), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn dial_that_never_ends_is_given_up_in_time() {
    let network = MemoryNetwork::new();
    let (node, _) = faulty(&network, Fault::DialNeverEnds, honest(&network, None).await.addr());
    let node = node.spawn().await.unwrap();
    let (mut events, began) = (node.events(), Instant::now());
    assert!(matches!(dial_fails(&mut events).await, DialError::TimedOut { .. }));
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    lives(&node).await;
}

#[tokio::test(start_paused = true)]
async fn dial_that_panics_has_failed_and_is_dialled_again() {
    for method in ["dial", "dial, later", "peer"] {
        let network = MemoryNetwork::new();
        let one = honest(&network, None).await;
        let (node, seen) = faulty(&network, Fault::Panics(method), one.addr());
        let node = node.spawn().await.unwrap();
        let mut events = node.events();
        let why = dial_fails(&mut events).await;
        assert!(matches!(&why, DialError::Handshake { why, .. } if why.contains("panicked")), "{why}");
        soon("another dial", async {
            while seen.dials.load(Ordering::SeqCst) < 3 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
        lives(&node).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_not_dialled_is_not_believed() {
    let network = MemoryNetwork::new();
    let (one, other) = (honest(&network, None).await, SecretKey::generate().public());
    let (node, _) = faulty(&network, Fault::Key(other), one.addr());
    let node = node.spawn().await.unwrap();
    let why = dial_fails(&mut node.events()).await;
    assert!(
        matches!(why, DialError::WrongKey { answered, expected, .. } if answered == other && expected == one.id())
    );
    let (node, _) = faulty(&network, Fault::Purpose, one.addr());
    let node = node.spawn().await.unwrap();
    let why = dial_fails(&mut node.events()).await;
    assert!(matches!(why, DialError::Handshake { .. }), "{why}");
    assert!(node.stats().await.unwrap().links.is_empty());
}

#[tokio::test(start_paused = true)]
async fn key_that_everybody_holds_gets_no_link() {
    let network = MemoryNetwork::new();
    let mut identity = [0; 32];
    identity[0] = 1;
    let (node, _) = faulty(&network, Fault::Key(PublicKey::from_bytes(identity)), None);
    let node = node.spawn().await.unwrap();
    let _other = honest(&network, node.addr()).await;
    let refused = async {
        while node.stats().await.unwrap().refusals.failed == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon("a refusal", refused).await;
    assert!(node.stats().await.unwrap().links.is_empty());
}

#[tokio::test(start_paused = true)]
async fn transport_that_does_not_close_holds_up_no_shutdown() {
    for fault in [Fault::CloseNeverEnds, Fault::Panics("close")] {
        let network = MemoryNetwork::new();
        let (node, _) = faulty(&network, fault, None);
        let node = node.spawn().await.unwrap();
        let began = Instant::now();
        soon("the shutdown", node.shutdown()).await;
        assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn lane_that_never_takes_a_byte_ends_its_link_and_holds_up_no_other() {
    let network = MemoryNetwork::new();
    let one = honest(&network, None).await;
    let (node, _) = faulty(&network, Fault::TakesNothing, one.addr());
    let (node, began) = (node.spawn().await.unwrap(), Instant::now());
    let two = honest(&network, one.addr()).await;
    let topics =
        [one.join(Topic::named("lobby")).await.unwrap(), two.join(Topic::named("lobby")).await.unwrap()];
    soon("a link of the others", topics[1].wait_for_links(1)).await.unwrap();
    let mut rumors = topics[0].subscribe();
    topics[1].publish("hello").await.unwrap();
    assert_eq!(soon("the rumor", rumors.next()).await.unwrap().unwrap().body(), "hello");
    lives(&node).await;
    let has_links = async |has: bool| {
        while node.stats().await.unwrap().links.is_empty() == has {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon("the beginning of the link", has_links(true)).await;
    soon("the end of the link", has_links(false)).await;
    // It has no time to say hello, and does not wait until lanes have stood still.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

// The clock of these is not paused: where the defence is missing, a task goes round and round and no time passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_that_only_pretends_ends_its_link() {
    let mut go_on = Vec::new();
    for fault in [Fault::PretendsToTake, Fault::PretendsToGive, Fault::Excess] {
        let network = MemoryNetwork::new();
        let one = honest(&network, None).await;
        let (node, seen) = faulty(&network, fault, one.addr());
        let node = node.spawn().await.unwrap();
        let ended = async {
            // It begins a link, has none a moment later, and dials again.
            while seen.dials.load(Ordering::SeqCst) < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(SOON, ended).await.is_err() {
            go_on.push(fault);
        }
        lives(&node).await;
    }
    assert!(go_on.is_empty(), "links go on: {go_on:?}");
}

#[tokio::test(start_paused = true)]
async fn codes_that_do_not_fit_and_long_words_are_cut() {
    let network = MemoryNetwork::new();
    let one = honest(&network, None).await;
    // Its low bits are a reason of the protocol.
    let (node, _) = faulty(&network, Fault::Code((1 << 40) + 2), one.addr());
    let node = node.spawn().await.unwrap();
    let mut events = node.events();
    let why = until(&mut events, |event| match event {
        Event::PeerDown { why, .. } => Some(format!("{why:?}")),
        Event::LinkRefused { reason, .. } => Some(format!("{reason:?}")),
        Event::DialFailed { why, .. } => Some(format!("{why:?}")),
        _ => None,
    });
    let why = why.await;
    assert!(why.contains(&u32::MAX.to_string()) && why.len() < 400, "{why}");
    lives(&node).await;
}

#[tokio::test(start_paused = true)]
async fn round_trip_of_a_century_is_one_of_half_a_minute() {
    let network = MemoryNetwork::new();
    let keys = [1, 2].map(|number| SecretKey::from_seed(&[number; 32]).public());
    let endpoints = keys.map(|key| {
        let bad = Bad::new(network.transport(key, any()).unwrap(), Fault::Excess);
        Endpoint::over(Arc::new(bad), GateConfig::default()).unwrap()
    });
    let dialled = endpoints[0].connect(keys[1], endpoints[1].local_addr().unwrap()).await.unwrap();
    assert_eq!(dialled.rtt(), IDLE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn method_that_panics_ends_its_connection_and_not_the_node() {
    let methods = [
        "remote of who dials",
        "handshake",
        "peer",
        "open_one_way",
        "accept_one_way",
        "accept_both_ways",
        "allow",
        "close of a connection",
        "closed",
        "round_trip",
        "heard",
        "poll_write",
        "set_priority",
        "poll_read",
        "drop",
        "drop of a stream",
    ];
    for method in methods {
        let network = MemoryNetwork::new();
        let (node, _) = faulty(&network, Fault::Panics(method), None);
        let node = node.spawn().await.unwrap();
        // Others dial it, and it dials.
        let (one, two) = (honest(&network, node.addr()).await, honest(&network, None).await);
        node.connect(two.addr().unwrap()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        lives(&node).await;
        // And the next one is let in, to meet the same fault.
        drop(one);
        let three = honest(&network, node.addr()).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        lives(&node).await;
        lives(&three).await;
        let stats = soon("statistics", node.stats()).await.unwrap();
        assert!(stats.dials_under_way <= 2 && stats.links.len() <= 4, "{method}: {stats:?}");
        soon(method, node.shutdown()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn node_whose_transport_takes_nobody_in_any_more_says_so_and_ends() {
    let network = MemoryNetwork::new();
    let (node, _) = faulty(&network, Fault::Panics("accept"), None);
    let node = node.spawn().await.unwrap();
    let mut events = node.events();
    let stopped = until(&mut events, |event| match event {
        Event::Stopped { why } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(stopped.await, StopReason::EndpointClosed);
}

#[tokio::test(start_paused = true)]
async fn those_whose_address_is_not_known_are_one_network_group() {
    let network = MemoryNetwork::new();
    let (node, _) = faulty(&network, Fault::Nowhere, None);
    let node = node.spawn().await.unwrap();
    let mut others = Vec::new();
    for _ in 0..12 {
        others.push(honest(&network, node.addr()).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let inbound = node.stats().await.unwrap().links.len();
    assert_eq!(inbound, 8, "as many as one group may have dialled");
}

#[tokio::test]
async fn flood_of_those_who_dial_is_bounded_and_leaves_the_node_its_turns() {
    let network = MemoryNetwork::new();
    let key = SecretKey::generate();
    let bad = Bad::new(network.transport(key.public(), any()).unwrap(), Fault::None);
    let (seen, flood) = (Arc::clone(&bad.seen), Arc::clone(&bad.flood));
    flood.store(true, Ordering::SeqCst);
    // It ends in any case, or a node that never has its turn would hang.
    let ends = Arc::clone(&flood);
    let watchdog = std::thread::spawn(move || {
        let began = std::time::Instant::now();
        while ends.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
        !ends.swap(false, Ordering::SeqCst)
    });
    let node = Node::builder(key).network("test").memory(&network).transport(bad).spawn().await.unwrap();
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        lives(&node).await;
    }
    let refusals = node.stats().await.unwrap().refusals;
    flood.store(false, Ordering::SeqCst);
    assert!(watchdog.join().unwrap(), "the node had its turn only when the flood was over");
    let (most, brought) = (seen.most.load(Ordering::SeqCst), seen.brought.load(Ordering::SeqCst));
    assert!(brought > 1_000, "only {brought}");
    assert!(most <= 65, "{most} handshakes under way");
    assert!(refusals.half_open + refusals.displaced > 900, "{refusals:?}");
}

#[tokio::test]
async fn key_that_dials_again_and_again_has_few_links() {
    for own in [false, true] {
        let network = MemoryNetwork::new();
        let key = SecretKey::generate();
        let mut bad = Bad::new(network.transport(key.public(), any()).unwrap(), Fault::None);
        bad.strangers = Some(if own { key.public() } else { SecretKey::generate().public() });
        let (seen, flood) = (Arc::clone(&bad.seen), Arc::clone(&bad.flood));
        flood.store(true, Ordering::SeqCst);
        let node = Node::builder(key).network("test").memory(&network).transport(bad).spawn().await.unwrap();
        for _ in 0..10 {
            lives(&node).await;
            let links = node.stats().await.unwrap().links.len();
            // Nobody has a link to itself. Of another there are two, and one that is being closed.
            let most = if own { 0 } else { 3 };
            assert!(links <= most, "{links} links of one key");
        }
        flood.store(false, Ordering::SeqCst);
        let most = seen.most.load(Ordering::SeqCst);
        assert!(most <= 64 + 64 + 65, "{most} connections at once");
    }
}
