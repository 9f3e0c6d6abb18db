//! Kept peers that cannot or will not be linked cost next to nothing, and who can be linked is, whatever happens to its links.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use vouchsafe::{
    Config, DialError, DialState, Event, Impairment, Node, NodeStats, PeerAddr, PublishError, Published,
    Reason, SecretKey, Topic, TopicHandle, VerifierPool,
};

use crate::scene::{Member, builder, builder_as, event, soon, until};

/// The fifth pause, after 0.2, 0.4, 0.8 and 1.6 s.
const FIFTH_PAUSE: Duration = Duration::from_millis(3200);

/// Each peer that is not linked has been dialled five times, or is waited for as long.
fn waits_long(stats: &NodeStats) -> bool {
    stats.kept.iter().all(|kept| match kept.state {
        DialState::Linked => true,
        DialState::Waiting { remaining } => kept.dials >= 5 || remaining > FIFTH_PAUSE * 9 / 10,
        _ => kept.dials >= 5,
    })
}

/// Each peer was dialled no more often than pauses that double allow in the time since `began`.
async fn is_calm(node: &Node, began: Instant) {
    let stats = until("long pauses", node, waits_long).await;
    for kept in &stats.kept {
        let pauses = u32::try_from(kept.dials.saturating_sub(1)).unwrap().min(20);
        let least = Duration::from_millis(200) * (2u32.pow(pauses) - 1);
        assert!(began.elapsed() >= least, "{} dials of {kept:?}", kept.dials);
        assert!(kept.state == DialState::Linked || kept.last_error.is_some(), "{kept:?}");
    }
    assert!(stats.dials_under_way <= stats.kept.len());
}

#[tokio::test]
async fn a_node_that_is_told_to_dial_itself_does_not_and_says_so_once() {
    let pool = VerifierPool::new(1);
    let key = SecretKey::generate();
    let own = PeerAddr::new(key.public(), SocketAddr::from(([127, 0, 0, 1], 4433)));
    let node = builder_as(key, &pool, std::slice::from_ref(&own)).spawn().await.unwrap();
    // Whoever listens first is told, however late that is, and nobody a second time.
    let mut events = node.events();
    let failed = |event| match event {
        Event::DialFailed { peer, why } => Some((peer, why)),
        _ => None,
    };
    let (peer, why) = event("a word about it", &mut events, failed).await;
    assert_eq!((peer, why), (node.id(), DialError::OwnKey { host: own.host.to_string() }));
    node.connect(own).await.unwrap();
    let stats = node.stats().await.unwrap();
    assert_eq!((stats.dials, stats.kept.len()), (0, 0));
    let other = builder(&pool, &[node.addr().unwrap()]).spawn().await.unwrap();
    soon("a link", other.wait_for_links(1)).await.unwrap();
    let next = event("the next event", &mut events, Some).await;
    assert!(matches!(next, Event::PeerUp { peer, .. } if peer == other.id()), "{next:?}");
}

#[tokio::test]
async fn peers_that_refuse_are_dialled_ever_more_rarely() {
    let (pool, began) = (VerifierPool::new(1), Instant::now());
    // Two nodes of two networks that keep each other,
    let one = builder(&pool, &[]).network("one").spawn().await.unwrap();
    let two = builder(&pool, &[one.addr().unwrap()]).network("two").spawn().await.unwrap();
    one.connect(two.addr().unwrap()).await.unwrap();
    // two with allow-lists that lack each other,
    let closed = || builder(&pool, &[]).allow([SecretKey::generate().public()]);
    let (three, four) = (closed().spawn().await.unwrap(), closed().spawn().await.unwrap());
    let strangers = builder(&pool, &[three.addr().unwrap(), four.addr().unwrap()]).spawn().await.unwrap();
    three.connect(four.addr().unwrap()).await.unwrap();
    four.connect(three.addr().unwrap()).await.unwrap();
    // and six with places for three links that all keep each other.
    let mut crowd: Vec<Node> = Vec::new();
    for _ in 0..6 {
        let mut config = Config::default();
        (config.links.max, config.links.inbound) = (3, 3);
        let node = builder(&pool, &[]).config(config).spawn().await.unwrap();
        for other in &crowd {
            node.connect(other.addr().unwrap()).await.unwrap();
            other.connect(node.addr().unwrap()).await.unwrap();
        }
        crowd.push(node);
    }
    for node in [&one, &two, &strangers, &three, &four] {
        is_calm(node, began).await;
    }
    // Whom this node itself would refuse is not dialled at all.
    assert_eq!(three.stats().await.unwrap().dials, 0);
    for node in &crowd {
        is_calm(node, began).await;
        // (Of two links of one key, one is about to be closed.)
        let links = node.stats().await.unwrap().links;
        let peers: std::collections::BTreeSet<_> = links.iter().map(|link| link.peer).collect();
        assert!(peers.len() <= 3, "{links:?}");
    }
}

#[tokio::test]
async fn connecting_to_a_linked_peer_changes_nothing() {
    let pool = VerifierPool::new(1);
    let topic = Topic::named("lobby");
    let one = Member::join(builder(&pool, &[]).spawn().await.unwrap(), &topic).await;
    let addr = one.node.addr().unwrap();
    let mut other =
        Member::join(builder(&pool, std::slice::from_ref(&addr)).spawn().await.unwrap(), &topic).await;
    soon("a link", other.topic.wait_for_links(1)).await.unwrap();
    soon("a link", one.topic.wait_for_links(1)).await.unwrap();
    let (mut here, mut there) = (one.node.events(), other.node.events());
    for _ in 0..20 {
        other.node.connect(addr.clone()).await.unwrap();
    }
    one.topic.publish("still here").await.unwrap();
    other.hear(&"still here".into()).await;
    let stats = other.node.stats().await.unwrap();
    assert_eq!((stats.dials, stats.links.len(), stats.kept[0].state), (1, 1, DialState::Linked));
    one.node.shutdown().await;
    // Nothing was told before the end of the link.
    assert!(matches!(event("its end", &mut there, Some).await, Event::PeerDown { .. }));
    assert!(matches!(event("its end", &mut here, Some).await, Event::PeerDown { .. }));
}

#[tokio::test]
async fn a_peer_is_found_again_where_it_was_whatever_else_was_said() {
    let pool = VerifierPool::new(1);
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let key = SecretKey::generate();
    // (Linux gives these addresses to whoever asks, and no other test takes the port while it restarts.)
    let own_address = if cfg!(target_os = "linux") { "127.0.13.3:0" } else { "127.0.0.1:0" };
    let there = builder_as(key.clone(), &pool, &[]).listen(own_address).spawn().await.unwrap();
    let good = there.addr().unwrap();
    let dead = PeerAddr::new(key.public(), silent.local_addr().unwrap());
    // Given a peer with two addresses, at one of which nobody answers.
    let here = builder(&pool, &[good.clone(), dead]).spawn().await.unwrap();
    soon("a link", there.wait_for_links(1)).await.unwrap();
    // When it restarts, then it is found where it was.
    there.shutdown().await;
    let back = Node::builder(key).network(crate::scene::NETWORK).listen(good.host).spawn().await.unwrap();
    soon("a second link", back.wait_for_links(1)).await.unwrap();
    soon("a second link", here.wait_for_links(1)).await.unwrap();
    // And one that is kept where another answers is dialled at once when its address is known.
    let friend = builder(&pool, &[]).spawn().await.unwrap();
    let wrong = PeerAddr::new(friend.id(), back.local_addr());
    here.connect(wrong).await.unwrap();
    let of_friend = |stats: &NodeStats| {
        let kept = stats.kept.iter().find(|kept| kept.peer == friend.id());
        kept.is_some_and(|kept| kept.dials >= 3 && kept.state != DialState::Dialling)
    };
    until("three dials of another", &here, of_friend).await;
    here.connect(friend.addr().unwrap()).await.unwrap();
    let stats = here.stats().await.unwrap();
    let kept = stats.kept.iter().find(|kept| kept.peer == friend.id()).unwrap();
    assert_ne!(
        std::mem::discriminant(&kept.state),
        std::mem::discriminant(&DialState::Waiting { remaining: Duration::ZERO })
    );
    soon("a link to the friend", friend.wait_for_links(1)).await.unwrap();
}

/// Says something as soon as there is a link.
async fn speak(topic: &TopicHandle) -> Result<Published, PublishError> {
    soon("a link", topic.wait_for_links(1)).await.unwrap();
    topic.publish("hello").await
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_keep_one_link_and_publish_at_once() {
    let pool = VerifierPool::new(1);
    let topic = Topic::named("lobby");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let one = Member::join(builder(&pool, &[]).spawn().await.unwrap(), &topic).await;
        let other = Member::join(builder(&pool, &[]).spawn().await.unwrap(), &topic).await;
        tasks.spawn(async move {
            let events = [one.node.events(), other.node.events()];
            let to_other = one.node.connect(other.node.addr().unwrap());
            let to_one = other.node.connect(one.node.addr().unwrap());
            let (first, second) = tokio::join!(to_other, to_one);
            first.and(second).unwrap();
            let (first, second) = tokio::join!(speak(&one.topic), speak(&other.topic));
            assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
            // However long the double link takes to go, nobody is told that a peer went down.
            for node in [&one.node, &other.node] {
                until("one link", node, |stats| stats.links.len() == 1 && stats.links[0].live).await;
            }
            for mut events in events {
                let first = event("the first event", &mut events, Some).await;
                assert!(matches!(first, Event::PeerUp { .. }), "{first:?}");
            }
            let mut events = [one.node.events(), other.node.events()];
            one.node.shutdown().await;
            let down = event("the end", &mut events[1], Some).await;
            assert!(matches!(down, Event::PeerDown { .. }), "{down:?}");
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn two_processes_with_one_node_key_are_named_by_both_and_by_a_third() {
    let pool = VerifierPool::new(1);
    let hub = builder(&pool, &[]).spawn().await.unwrap();
    let mut seen = hub.events();
    let key = SecretKey::generate();
    let peers = [hub.addr().unwrap()];
    let one = builder_as(key.clone(), &pool, &peers).spawn().await.unwrap();
    let mut told = one.events();
    soon("a link", one.wait_for_links(1)).await.unwrap();
    soon("a link", hub.wait_for_links(1)).await.unwrap();
    let other = builder_as(key.clone(), &pool, &peers).spawn().await.unwrap();
    let impaired =
        |event| matches!(event, Event::Impaired { what: Impairment::NodeKeyInUse, .. }).then_some(());
    event("the first process hears of it", &mut told, impaired).await;
    let shared = |event| match event {
        Event::NodeKeyShared { key, addrs } => Some((key, addrs)),
        _ => None,
    };
    let (named, mut addrs) = event("the hub names it", &mut seen, shared).await;
    let mut expected = vec![one.local_addr(), other.local_addr()];
    addrs.sort_unstable();
    expected.sort_unstable();
    assert_eq!((named, addrs), (key.public(), expected));
    // To the hub it is one peer that never went down, and the place does not change hands many times a second.
    let stats = hub.stats().await.unwrap();
    assert!(stats.links.len() <= 2, "{:?}", stats.links);
    let refused = one.stats().await.unwrap().kept[0].last_error.clone().unwrap();
    assert!(refused.contains(&Reason::Duplicate.to_string()), "{refused}");
}
