//! Who may link: the network, the allow-list, and one link per pair.

use std::time::Duration;

use vouchsafe::wire::{self, Hello};
use vouchsafe::{
    AdmissionError, AdmissionOutcome, AdmissionRefusal, Closed, DownReason, Event, GateConfig, NetworkId,
    Node, Reason, SecretKey, Topic, VerifierPool,
};

use crate::liar::{Liar, hello};
use crate::scene::{Member, Scene, builder, event, soon, until};

fn refused(event: Event) -> Option<(vouchsafe::PublicKey, Reason)> {
    match event {
        Event::LinkRefused { peer, reason } => Some((peer, reason)),
        _ => None,
    }
}

#[tokio::test]
async fn another_network_is_refused_with_a_reason() {
    let mut scene = Scene::new().await;
    let mut liar = Liar::dial(&scene.victim.node).await;
    let network = *NetworkId::of("another").as_bytes();
    liar.control(wire::hello(&Hello { network, ..hello(&[]) })).await;
    assert_eq!(liar.closed_for().await, Reason::OtherNetwork);
    let told = event("a refusal", &mut scene.events, refused).await;
    assert_eq!(told, (liar.key.public(), Reason::OtherNetwork));
    // A node that was given the address of the wrong network learns it too.
    let lost = Node::builder(SecretKey::generate()).network("another").listen("127.0.0.1:0");
    let lost = lost.verifiers(scene.pool.clone()).spawn().await.unwrap();
    let mut events = lost.events();
    lost.connect(scene.victim.node.addr().unwrap()).await.unwrap();
    let told = event("a refusal", &mut events, refused).await;
    assert_eq!(told, (scene.victim.node.id(), Reason::OtherNetwork));
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn a_key_off_the_allow_list_is_refused() {
    let pool = VerifierPool::new(1);
    let topic = Topic::named("lobby");
    let friend = builder(&pool, &[]).spawn().await.unwrap();
    let closed = builder(&pool, &[friend.addr().unwrap()]).allow([friend.id()]).spawn().await.unwrap();
    let mut events = closed.events();
    let mut friend = Member::join(friend, &topic).await;
    let closed = Member::join(closed, &topic).await;
    soon("a link", closed.topic.wait_for_links(1)).await.unwrap();
    let liar = Liar::dial(&closed.node).await;
    assert_eq!(liar.closed_for().await, Reason::NotAdmitted);
    assert_eq!(event("a refusal", &mut events, refused).await, (liar.key.public(), Reason::NotAdmitted));
    // A stranger that means well is told the same by its own node.
    let stranger = builder(&pool, &[]).spawn().await.unwrap();
    let mut told = stranger.events();
    stranger.connect(closed.node.addr().unwrap()).await.unwrap();
    assert_eq!(event("a refusal", &mut told, refused).await, (closed.node.id(), Reason::NotAdmitted));
    let stats = closed.node.stats().await.unwrap();
    assert_eq!((stats.links.len(), stats.counters.offences), (1, 0));
    closed.topic.publish("among friends").await.unwrap();
    friend.hear(&"among friends".into()).await;
}

#[tokio::test]
async fn a_peer_without_a_place_is_dialled_again() {
    let pool = VerifierPool::new(1);
    let mut config = vouchsafe::Config::default();
    (config.links.max, config.links.inbound) = (1, 1);
    let first = builder(&pool, &[]).spawn().await.unwrap();
    let second = builder(&pool, &[]).spawn().await.unwrap();
    let small = builder(&pool, &[first.addr().unwrap()]).config(config).spawn().await.unwrap();
    let mut events = small.events();
    soon("a link", first.wait_for_links(1)).await.unwrap();
    small.connect(second.addr().unwrap()).await.unwrap();
    assert_eq!(event("a refusal", &mut events, refused).await, (second.id(), Reason::Full));
    first.shutdown().await;
    soon("a link", second.wait_for_links(1)).await.unwrap();
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_keep_one_link() {
    let pool = VerifierPool::new(1);
    let topic = Topic::named("lobby");
    let mut pairs = Vec::new();
    for _ in 0..8 {
        let one = Member::join(builder(&pool, &[]).spawn().await.unwrap(), &topic).await;
        let other = Member::join(builder(&pool, &[]).spawn().await.unwrap(), &topic).await;
        let (to_other, to_one) =
            (one.node.connect(other.node.addr().unwrap()), other.node.connect(one.node.addr().unwrap()));
        let (first, second) = tokio::join!(to_other, to_one);
        first.and(second).unwrap();
        pairs.push((one, other));
    }
    // The link of the lesser key stays, at both ends.
    let only = |stats: &vouchsafe::NodeStats, dialled: bool| match stats.links.as_slice() {
        [link] => link.live && link.dialled == dialled,
        _ => false,
    };
    let keep_one = async |(one, other): &(Member, Member)| {
        let first_is_less = one.node.id() < other.node.id();
        until("one link", &one.node, |stats| only(stats, first_is_less)).await;
        until("one link", &other.node, |stats| only(stats, !first_is_less)).await;
    };
    for pair in &pairs {
        keep_one(pair).await;
    }
    // A dial that was slower than the other may end only now, and the first pause before another is 200 ms: it is the same afterwards.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    for pair in &mut pairs {
        keep_one(pair).await;
        let (one, other) = pair;
        one.topic.publish("to you").await.unwrap();
        other.hear(&"to you".into()).await;
        other.topic.publish("and back").await.unwrap();
        one.hear(&"and back".into()).await;
    }
}

#[tokio::test]
async fn one_neighbourhood_has_a_few_places_and_no_more() {
    // Given a node that treats its own network like any other, and lets each group have two links.
    let pool = VerifierPool::new(1);
    let gate = GateConfig::default().with(|gate| (gate.limit_local, gate.links_per_group) = (true, 2));
    let node = builder(&pool, &[]).gate(gate).spawn().await.unwrap();
    let mut events = node.events();
    // When a third key of the group dials, then it is refused with a reason, and the others stay.
    // (Who does not say hello has no place after ten seconds.)
    let greets = async || {
        let mut liar = Liar::dial(&node).await;
        liar.control(wire::hello(&hello(&[]))).await;
        liar
    };
    let _two = (greets().await, greets().await);
    let third = Liar::dial(&node).await;
    assert_eq!(third.closed_for().await, Reason::Full);
    assert_eq!(event("a refusal", &mut events, refused).await, (third.key.public(), Reason::Full));
    until("two links", &node, |stats| stats.links.len() == 2).await;
    // What the node dials itself is not counted, and a place that is free again is given again.
    drop(_two.0);
    until("a free place", &node, |stats| stats.links.len() == 1).await;
    let fourth = greets().await;
    let friend = builder(&pool, &[]).spawn().await.unwrap();
    node.connect(friend.addr().unwrap()).await.unwrap();
    until("three links", &node, |stats| stats.links.len() == 3).await;
    drop(fourth);
}

#[tokio::test]
async fn an_expelled_peer_that_redials_stays_out_until_its_time_is_over() {
    // Given two nodes each of which keeps a link to the other.
    let pool = VerifierPool::new(1);
    let node = builder(&pool, &[]).spawn().await.unwrap();
    let peer = builder(&pool, &[node.addr().unwrap()]).spawn().await.unwrap();
    let (mut told, mut events) = (peer.events(), node.events());
    node.connect(peer.addr().unwrap()).await.unwrap();
    soon("a link", node.wait_for_links(1)).await.unwrap();
    // When one expels the other, then it is so when that is answered, and the other reads why.
    let hour = Duration::from_secs(3_600);
    node.expel(peer.id(), hour).await.unwrap();
    let down = |event| match event {
        Event::PeerDown { why, .. } => Some(why),
        _ => None,
    };
    assert_eq!(event("an end", &mut told, down).await, DownReason::ClosedByPeer(Reason::Expelled));
    assert_eq!(event("a refusal", &mut told, refused).await, (node.id(), Reason::Expelled));
    assert_eq!(event("a refusal", &mut events, refused).await, (peer.id(), Reason::Expelled));
    let stats = until("no link", &node, |stats| stats.links.is_empty()).await;
    assert!(matches!(stats.expelled.as_slice(), [(key, left)] if *key == peer.id() && *left <= hour));
    // It does not dial the one that it has expelled, though it keeps a link to it.
    let passed_over = |stats: &vouchsafe::NodeStats| {
        stats.kept.iter().any(|kept| kept.last_error.as_ref().is_some_and(|why| why.contains("expelled")))
    };
    let stats = until("a dial that is not begun", &node, passed_over).await;
    let dials = stats.dials;
    for _ in 0..3 {
        assert_eq!(event("a refusal", &mut events, refused).await, (peer.id(), Reason::Expelled));
    }
    let stats = node.stats().await.unwrap();
    assert_eq!((stats.dials, stats.links.len(), stats.counters.offences), (dials, 0, 0));
    // The last call's time holds, and when it is over there is a link again by itself.
    node.expel(peer.id(), Duration::from_millis(100)).await.unwrap();
    soon("a link", node.wait_for_links(1)).await.unwrap();
    assert!(node.stats().await.unwrap().expelled.is_empty());
    // Admitted again in the middle of it: the same.
    node.expel(peer.id(), hour).await.unwrap();
    assert_eq!(node.admit(peer.id()).await, Ok(AdmissionOutcome::Changed));
    assert_eq!(node.admit(peer.id()).await, Ok(AdmissionOutcome::Open));
    until("a link", &node, |stats| stats.links.iter().any(|link| link.live)).await;
    let own = AdmissionError::Refused(AdmissionRefusal::OwnKey);
    assert_eq!(node.expel(node.id(), hour).await, Err(own));
    node.shutdown().await;
    assert_eq!(node.expel(peer.id(), hour).await, Err(AdmissionError::Closed(Closed)));
}

#[tokio::test]
async fn keys_go_on_the_allow_list_and_off_it_while_the_node_runs() {
    let pool = VerifierPool::new(1);
    let topic = Topic::named("lobby");
    let (friend, stranger) =
        (builder(&pool, &[]).spawn().await.unwrap(), builder(&pool, &[]).spawn().await.unwrap());
    let closed = builder(&pool, &[friend.addr().unwrap()]).allow([friend.id()]).spawn().await.unwrap();
    let closed = Member::join(closed, &topic).await;
    let mut stranger = Member::join(stranger, &topic).await;
    let mut told = stranger.node.events();
    stranger.node.connect(closed.node.addr().unwrap()).await.unwrap();
    assert_eq!(event("a refusal", &mut told, refused).await, (closed.node.id(), Reason::NotAdmitted));
    assert_eq!(closed.node.admit(stranger.node.id()).await, Ok(AdmissionOutcome::Changed));
    assert_eq!(closed.node.admit(stranger.node.id()).await, Ok(AdmissionOutcome::Unchanged));
    soon("a link", closed.topic.wait_for_links(1)).await.unwrap();
    closed.topic.publish("among friends").await.unwrap();
    stranger.hear(&"among friends".into()).await;
    // Off the list, it has no link, and gets none.
    assert_eq!(closed.node.disallow(stranger.node.id()).await, Ok(true));
    assert_eq!(closed.node.disallow(stranger.node.id()).await, Ok(false));
    assert_eq!(event("a refusal", &mut told, refused).await, (closed.node.id(), Reason::NotAdmitted));
    assert_eq!(closed.node.allowed().await, Ok(Some([friend.id()].into())));
    until("one link", &closed.node, |stats| stats.links.len() == 1).await;
    // Where there is no list, there is nothing to take a key from.
    let no_list = AdmissionError::Refused(AdmissionRefusal::NoAllowList);
    assert_eq!(friend.disallow(closed.node.id()).await, Err(no_list));
    assert_eq!(friend.allowed().await, Ok(None));
}
