//! Claims about members: over QUIC, and in memory where they wait for what takes its time.
#![cfg_attr(
    not(feature = "memory"),
    allow(unused_imports, dead_code, reason = "what is there for tests in memory")
)]

use std::time::Duration;

#[cfg(feature = "memory")]
use vouchsafe::net::MemoryNetwork;
use vouchsafe::{
    Config, DescribeError, MemberEvent, MemberState, Node, PeerAddr, PublicKey, SecretKey, SpawnError, Topic,
    VerifierPool,
};

const NETWORK: &str = "members";

async fn soon<T>(what: &str, done: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(60), done).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn builder(pool: &VerifierPool, peers: &[PeerAddr]) -> vouchsafe::Builder {
    let builder = Node::builder(SecretKey::generate()).network(NETWORK).listen("127.0.0.1:0");
    builder.verifiers(pool.clone()).bootstrap(peers.iter().cloned())
}

#[cfg(feature = "memory")]
fn in_memory(network: &MemoryNetwork, peers: &[PeerAddr]) -> vouchsafe::Builder {
    builder(&VerifierPool::new(1), peers).memory(network).listen("0.0.0.0:0")
}

/// Waits for the event that this picks out.
async fn event<T>(
    events: &mut vouchsafe::MemberEvents,
    mut wanted: impl FnMut(MemberEvent) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let event = events.next().await.expect("the node runs").expect("it is read in time");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    soon("an event", found).await
}

#[tokio::test]
async fn nodes_find_all_members_from_one_address_and_link_beyond_it() {
    let pool = VerifierPool::new(1);
    let first = builder(&pool, &[]).metadata("first").spawn().await.unwrap();
    let mut nodes = Vec::new();
    for number in 0..4 {
        let node = builder(&pool, &[first.addr().unwrap()]).metadata(format!("node {number}"));
        nodes.push(node.spawn().await.unwrap());
    }
    for node in nodes.iter().chain([&first]) {
        soon("five members", node.wait_for_members(5)).await.unwrap();
    }
    let members = nodes[0].members().await.unwrap();
    let metadata: Vec<_> = nodes.iter().map(|node| members[&node.id()].metadata.clone()).collect();
    assert_eq!(metadata, [b"node 0", b"node 1", b"node 2", b"node 3"]);
    assert_eq!(members[&first.id()].addresses, [first.local_addr()]);
    assert!(members.values().all(|member| member.state == MemberState::Alive));
    // It knew one address, and has links to others by now.
    for node in &nodes {
        soon("links to all", node.wait_for_links(4)).await.unwrap();
    }
    // Who knows the first only no longer needs it.
    first.shutdown().await;
    for node in &nodes {
        let left = async {
            while node.member(&first.id()).await.unwrap().unwrap().state != MemberState::Left {
                tokio::task::yield_now().await;
            }
        };
        soon("a leave", left).await;
        soon("links to the others", node.wait_for_links(3)).await.unwrap();
    }
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn what_a_node_says_of_itself_reaches_all_and_explains_itself() {
    let memory = MemoryNetwork::new();
    let one = in_memory(&memory, &[]).spawn().await.unwrap();
    let two = in_memory(&memory, &[one.addr().unwrap()]).metadata("before").spawn().await.unwrap();
    let mut events = one.member_events();
    let key = two.id();
    soon("two members", one.wait_for_members(2)).await.unwrap();
    two.set_metadata("after").await.unwrap();
    let told = |event| matches!(event, MemberEvent::Updated(who) if who == key).then_some(());
    event(&mut events, told).await;
    assert_eq!(one.member(&key).await.unwrap().unwrap().metadata, b"after");
    let explanation = one.explain(&key).await.unwrap().unwrap();
    assert_eq!(explanation.verify(one.network()), Ok(()));
    assert!(explanation.verify(vouchsafe::NetworkId::of("another")).is_err());
    let unknown: PublicKey = SecretKey::generate().public();
    assert!(one.explain(&unknown).await.unwrap().is_none() && one.member(&unknown).await.unwrap().is_none());
    // What is too long is refused, and changes nothing.
    assert_eq!(two.set_metadata(vec![0; 513]).await, Err(DescribeError::TooLong(513)));
    let error = in_memory(&memory, &[]).metadata(vec![0; 513]).spawn().await.unwrap_err();
    assert!(matches!(error, SpawnError::Metadata(513)) && error.to_string().contains("512"), "{error}");
    two.leave().await.unwrap();
    event(&mut events, |event| matches!(event, MemberEvent::Left(who) if who == key).then_some(())).await;
    one.shutdown().await;
    assert!(one.members().await.is_err() && one.wait_for_members(1).await.is_err());
}

#[tokio::test]
async fn who_looks_is_not_seen_and_who_is_no_member_knows_nobody() {
    let pool = VerifierPool::new(1);
    let member = builder(&pool, &[]).spawn().await.unwrap();
    let looks = builder(&pool, &[member.addr().unwrap()]).observe_members().spawn().await.unwrap();
    soon("a member", looks.wait_for_members(1)).await.unwrap();
    assert_eq!(looks.members().await.unwrap().keys().copied().collect::<Vec<_>>(), [member.id()]);
    assert!(!member.members().await.unwrap().contains_key(&looks.id()));
    let none = builder(&pool, &[member.addr().unwrap()]).without_members().spawn().await.unwrap();
    soon("a link", none.wait_for_links(1)).await.unwrap();
    assert!(none.members().await.unwrap().is_empty());
    none.shutdown().await;
    looks.shutdown().await;
}

/// A process that dies says nothing: its lease tells.
#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn who_ends_without_a_word_fails_by_its_lease_and_its_next_life_is_known() {
    let memory = MemoryNetwork::new();
    let one = in_memory(&memory, &[]).spawn().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let life = || {
        let builder = Node::builder(key.clone()).network(NETWORK).memory(&memory);
        builder.bootstrap([one.addr().unwrap()]).position_log(folder.path().join("positions"))
    };
    let two = life().spawn().await.unwrap();
    let mut events = one.member_events();
    soon("two members", one.wait_for_members(2)).await.unwrap();
    two.shutdown_silently().await;
    let failed = event(&mut events, |event| match event {
        MemberEvent::Failed(who, _) => Some(who),
        MemberEvent::Left(_) => panic!("it said nothing"),
        _ => None,
    });
    assert_eq!(failed.await, key.public());
    let again = life().spawn().await.unwrap();
    event(&mut events, |event| {
        matches!(event, MemberEvent::Returned(who) if who == key.public()).then_some(())
    })
    .await;
    again.shutdown().await;
    event(&mut events, |event| matches!(event, MemberEvent::Left(who) if who == key.public()).then_some(()))
        .await;
}

/// A node that all know, and that has no place left: whoever comes is its guest, says that it is here, and finds the others.
#[tokio::test]
async fn a_joiner_is_known_through_a_node_that_is_full() {
    let pool = VerifierPool::new(1);
    let small = Config::default().with(|config| {
        (config.links.inbound, config.links.hash_selected) = (2, 0);
    });
    let full = builder(&pool, &[]).config(small).spawn().await.unwrap();
    let address = [full.addr().unwrap()];
    let (one, two) = (builder(&pool, &address).spawn(), builder(&pool, &address).spawn());
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    for node in [&full, &one, &two] {
        soon("three members", node.wait_for_members(3)).await.unwrap();
        soon("two links", node.wait_for_links(2)).await.unwrap();
    }
    let joiner = builder(&pool, &address).spawn().await.unwrap();
    for node in [&joiner, &full, &one, &two] {
        soon("four members", node.wait_for_members(4)).await.unwrap();
    }
    soon("links to the others", joiner.wait_for_links(2)).await.unwrap();
    assert_eq!(full.stats().await.unwrap().counters.guests, 1);
}

/// All that a node was told of is gone when it starts again: it finds its network by those that it was linked to.
#[tokio::test]
async fn a_node_whose_bootstrap_is_gone_finds_its_network_again_by_its_anchors() {
    let pool = VerifierPool::new(1);
    let bootstrap = builder(&pool, &[]).spawn().await.unwrap();
    let address = bootstrap.addr().unwrap();
    // It dials nobody but its bootstrap, so nobody else can bring the two together.
    let alone = Config::default().with(|config| (config.dialling.outbound, config.dialling.feelers) = (0, 0));
    let stays = builder(&pool, std::slice::from_ref(&address)).config(alone).spawn().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (key, log) = (SecretKey::generate(), folder.path().join("positions"));
    let life = || {
        let builder = Node::builder(key.clone()).network(NETWORK).listen("127.0.0.1:0");
        builder.bootstrap([address.clone()]).position_log(&log).spawn()
    };
    soon("two members", stays.wait_for_members(2)).await.unwrap();
    let node = life().await.unwrap();
    soon("three members", node.wait_for_members(3)).await.unwrap();
    // What it publishes comes over the link to it first, sooner or later: then it is one to come back to.
    let mut says = Vec::new();
    for one in [&bootstrap, &stays, &node] {
        says.push(one.join(Topic::named("news")).await.unwrap());
    }
    let anchors = folder.path().join("positions.anchors");
    let kept = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while !std::fs::read_to_string(&anchors).is_ok_and(|text| text.contains(&stays.id().to_string())) {
            pace.tick().await;
            says[1].publish("here").await.unwrap();
        }
    };
    soon("an anchor is kept", kept).await;
    node.shutdown().await;
    bootstrap.shutdown().await;
    let again = life().await.unwrap();
    let mut events = again.member_events();
    soon("a link", again.wait_for_links(1)).await.unwrap();
    // It may hear of others first: of the bootstrap that is gone, and that some take for alive as yet.
    if again.member(&stays.id()).await.unwrap().is_none() {
        event(&mut events, |event| (event == MemberEvent::Joined(stays.id())).then_some(())).await;
    }
}

/// What a node decides about a member is its own: others show it on.
#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn an_expelled_member_is_shown_by_all_but_who_has_expelled_it() {
    let memory = MemoryNetwork::new();
    let one = in_memory(&memory, &[]).spawn().await.unwrap();
    let two = in_memory(&memory, &[one.addr().unwrap()]).spawn().await.unwrap();
    let three = in_memory(&memory, &[one.addr().unwrap(), two.addr().unwrap()]).spawn().await.unwrap();
    for node in [&one, &two, &three] {
        soon("three members", node.wait_for_members(3)).await.unwrap();
    }
    let (mut events, key) = (one.member_events(), three.id());
    assert_eq!(one.stats().await.unwrap().candidates, 2);
    one.expel(key, Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(one.stats().await.unwrap().candidates, 1, "it is none that may be dialled");
    assert!(!one.members().await.unwrap().contains_key(&key));
    event(&mut events, |event| (event == MemberEvent::Removed(key)).then_some(())).await;
    // What it says reaches the others, and is not heard here.
    let mut told = two.member_events();
    three.set_metadata("still here").await.unwrap();
    event(&mut told, |event| (event == MemberEvent::Updated(key)).then_some(())).await;
    assert!(one.member(&key).await.unwrap().is_none());
    assert_eq!(one.stats().await.unwrap().links.len(), 1);
    // Admitted, it is here again, with what it has said meanwhile.
    one.admit(key).await.unwrap();
    let again = async {
        while one.member(&key).await.unwrap().is_none_or(|member| member.metadata != b"still here") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon("it is shown", again).await;
    soon("it is linked", one.wait_for_links(2)).await.unwrap();
}
