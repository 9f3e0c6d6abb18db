//! Connections that are begun, moved, doubled or broken off in every way that QUIC has.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use vouchsafe::net::{BarePeer, code};
use vouchsafe::wire::{self, Lane};
use vouchsafe::{GateConfig, NodeStats, PublicKey, Reason, SecretKey, Topic};

use crate::liar::{Liar, bundle, hello, pushed};
use crate::scene::{Scene, soon, until};

/// Dials through somebody who lets the first packet through, and no answer. Ends when it is dropped.
async fn half_open(key: PublicKey, addr: SocketAddr) {
    let between = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dialled = between.local_addr().unwrap();
    let forward = async {
        let mut packet = [0; 2048];
        let (len, _) = between.recv_from(&mut packet).await.unwrap();
        between.send_to(&packet[..len], addr).await.unwrap();
        std::future::pending::<()>().await;
    };
    let own = SecretKey::generate();
    tokio::select! {
        _ = BarePeer::connect(&own, key, dialled) => {}
        () = forward => {}
    }
}

/// In real time, since the deadline of a handshake is what it is about: some 10 s.
#[tokio::test]
async fn half_open_handshakes_are_bounded_and_end() {
    // As many first packets as a socket's buffer surely holds.
    const BEGUN: u64 = 64;
    const UNPROVEN: u64 = 16;
    /// Half of what a handshake has: where the first packets take longer to come, the first of them may be given up before the last.
    const COMES: Duration = Duration::from_secs(5);
    let mut tries = 1..=3;
    let (mut scene, _begun) = loop {
        tries.next().expect("all first packets come in time");
        let scene = Scene::new().await;
        let (key, addr) = (scene.victim.node.id(), scene.victim.node.local_addr());
        let started = Instant::now();
        let mut begun = JoinSet::new();
        for _ in 0..BEGUN {
            begun.spawn(half_open(key, addr));
        }
        // All but a few are asked to prove their address first, for which nothing is kept.
        let asked = |stats: &NodeStats| stats.refusals.retries >= BEGUN - UNPROVEN;
        until("retries", &scene.victim.node, |stats| asked(stats) || started.elapsed() > COMES).await;
        if started.elapsed() <= COMES {
            break (scene, begun);
        }
    };
    // Who answers gets in meanwhile, and gossip goes on.
    let _late = Liar::greet(&scene.victim.topic).await;
    scene.gossips_on().await;
    // The few are given up in time, each once.
    let over = |stats: &NodeStats| stats.refusals.too_slow + stats.refusals.retries > BEGUN;
    let stats = until("the end of the handshakes", &scene.victim.node, over).await;
    assert!(stats.refusals.too_slow <= UNPROVEN, "{:?}", stats.refusals);
    assert_eq!((stats.refusals.half_open, stats.links.len()), (0, 3));
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn noise_and_strangers_packets_cost_nothing_lasting() {
    let mut scene = Scene::new().await;
    let addr = scene.victim.node.local_addr();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    // Long and short headers, of versions that exist and not, of all sizes.
    for first in 0..=255u8 {
        for (version, len) in [(1u32, 1200usize), (0, 50), (0x0a0a_0a0a, 1200), (1, 30)] {
            let mut packet = [&[first][..], &version.to_be_bytes(), &[8, 7, 7, 7, 7, 7, 7, 7, 7, 0]].concat();
            packet.resize(len, first);
            socket.send_to(&packet, addr).await.unwrap();
        }
    }
    scene.gossips_on().await;
    let stats = scene.victim.node.stats().await.unwrap();
    assert_eq!((stats.links.len(), stats.counters.offences), (2, 0));
    scene.nobody_is_blamed().await;
}

#[tokio::test]
async fn streams_reset_at_every_point_blame_nobody() {
    // Half of the places that are kept for whoever did not choose the node: some of the last may not be free yet.
    const AT_ONCE: usize = 24;
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let author = SecretKey::generate();
    let good = bundle(&author, &topic, 0, "never whole");
    let framed = |payload: &[u8]| [&(payload.len() as u32).to_le_bytes()[..], payload].concat();
    let pull = framed(&wire::pull(&topic.id(), &[good.id()]));
    let rumors = framed(&pushed(0, good.encoded()));
    for (lane, frame) in [(Lane::Control, pull), (Lane::Rumors, rumors.clone()), (Lane::Replies, rumors)] {
        // Before hello, and at every byte of a frame. An ended stream is given three seconds to turn out to be a goodbye, so
        // as many at once as have places.
        let points: Vec<_> = [(false, 0)].into_iter().chain((0..frame.len()).map(|at| (true, at))).collect();
        for points in points.chunks(AT_ONCE) {
            let mut closing = JoinSet::new();
            for &(greeted, point) in points {
                let mut liar = match greeted {
                    true => Liar::greet(&topic).await,
                    false => Liar::dial(&scene.victim.node).await,
                };
                let _ = liar.bare.send_raw(lane, &frame[..point]).await;
                liar.bare.reset_lane(lane, 7).unwrap();
                closing.spawn(async move { (point, liar.closed().await) });
            }
            for (point, code) in soon("the end of the links", closing.join_all()).await {
                assert_eq!(code, u64::from(code::PROTOCOL_ORDER), "{lane:?} at {point}");
            }
        }
    }
    let gone = |stats: &NodeStats| stats.links.len() == 2;
    let stats = until("the end of the links", &scene.victim.node, gone).await;
    assert_eq!((stats.counters.accepted, stats.waiting_verification), (0, 0));
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn one_key_on_many_connections_has_one_link() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let key = SecretKey::generate();
    // All at once, so that the node sees the next before it has said hello to the last.
    let mut dials = JoinSet::new();
    for _ in 0..20 {
        let (key, node, id) = (key.clone(), scene.victim.node.clone(), topic.id());
        dials.spawn(async move {
            let mut liar = Liar::dial_as(key, &node).await;
            liar.control(wire::hello(&hello(&[id]))).await;
            liar
        });
    }
    let liars = soon("twenty connections", dials.join_all()).await;
    let mut closing = JoinSet::new();
    for liar in liars {
        closing.spawn(async move { liar.closed_for().await });
    }
    for _ in 0..19 {
        let why = soon("the end of a connection", closing.join_next()).await.unwrap().unwrap();
        assert_eq!(why, Reason::Duplicate);
    }
    let count = |stats: &NodeStats| stats.links.iter().filter(|link| link.peer == key.public()).count();
    let stats = until("one link", &scene.victim.node, |stats| count(stats) == 1).await;
    assert_eq!(stats.links.len(), 3);
    drop(closing);
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

/// `lab/examples/hostile_cost` measures ten thousand.
#[tokio::test]
async fn a_thousand_connections_from_one_address_are_few_links() {
    const TRIES: usize = 1000;
    let gate = GateConfig::default().with(|gate| gate.limit_local = true);
    let (places, burst) = (gate.links_per_group as usize, gate.burst_per_group + gate.unproven_rate);
    let mut scene = Scene::with(&Topic::named("lobby"), |victim| victim.gate(gate)).await;
    let (key, addr) = (scene.victim.node.id(), scene.victim.node.local_addr());
    let started = Instant::now();
    let mut held = Vec::new();
    let mut through = 0;
    for _ in 0..TRIES / 100 {
        let mut dials = JoinSet::new();
        for _ in 0..100 {
            dials.spawn(async move { BarePeer::connect(&SecretKey::generate(), key, addr).await.ok() });
        }
        let connected = soon("a hundred dials", dials.join_all()).await;
        through += connected.iter().flatten().count();
        held.extend(connected.into_iter().flatten());
        let stats = scene.victim.node.stats().await.unwrap();
        // The honest two dialled from the same address.
        assert!(stats.links.len() <= places, "{} links of one group", stats.links.len());
    }
    let allowed = f64::from(burst) + (started.elapsed().as_secs_f64() + 1.0) * f64::from(32 + 120 / 60);
    assert!(through as f64 <= allowed, "{through} handshakes, where {allowed} may be");
    let stats = scene.victim.node.stats().await.unwrap();
    assert!(stats.refusals.group_rate + stats.refusals.group_half_open > 0, "{:?}", stats.refusals);
    scene.gossips_on().await;
    drop(held);
    let gone = |stats: &NodeStats| stats.links.len() == 2;
    until("the end of their links", &scene.victim.node, gone).await;
    scene.nobody_is_blamed().await;
}

/// The transport acknowledges for it, so nobody would notice but for our own clock; the other half of this is
/// `stalled_reader_never_wedges_the_node`.
#[tokio::test]
async fn a_peer_that_acknowledges_and_never_reads_holds_a_bounded_queue() {
    let topic = Topic::named("busy").slots_per_tick(4096);
    let mut scene = Scene::with(&topic, |victim| victim).await;
    let topic = scene.victim.topic.clone();
    let deaf = Liar::greet(&topic).await;
    deaf.bare.stop_reading();
    let key = deaf.key.public();
    let mut most = 0;
    for n in 0u32.. {
        let body = Bytes::from(n.to_le_bytes().repeat(4096));
        soon("publishing", topic.publish(body.clone())).await.unwrap();
        scene.hear(&body).await;
        let stats = scene.victim.node.stats().await.unwrap();
        let Some(link) = stats.links.iter().find(|link| link.peer == key) else { break };
        most = most.max(link.queued_bytes);
        // A queue of own and one of relayed pushes, lanes with the transport, replies and lists.
        assert!(link.queued_bytes <= (2 * 4 + 2) << 20, "{} bytes wait", link.queued_bytes);
    }
    assert!(most > 1 << 20, "the queue never filled: {most}");
    assert_eq!(deaf.closed_for().await, Reason::Stalled);
    scene.nobody_is_blamed().await;
    scene.gossips_on().await;
}

#[tokio::test]
async fn a_peer_that_moves_to_another_address_takes_nobody_with_it() {
    let mut scene = Scene::new().await;
    let topic = scene.victim.topic.clone();
    let socket = BarePeer::socket((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let key = SecretKey::generate();
    let victim = &scene.victim.node;
    let mut bare =
        BarePeer::connect_from(socket.clone(), &key, victim.id(), victim.local_addr()).await.unwrap();
    bare.open_lane(Lane::Control).await.unwrap();
    bare.send_frame(Lane::Control, &wire::hello(&hello(&[topic.id()]))).await.unwrap();
    let count = |stats: &NodeStats| stats.links.iter().filter(|link| link.live).count();
    until("three links", &scene.victim.node, |stats| count(stats) == 3).await;
    // Every packet comes from another port now, of which the node takes no notice.
    let before = scene.victim.node.stats().await.unwrap().counters.frames_in;
    for _ in 0..20 {
        socket.rebind(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
        let ping = wire::pull(&topic.id(), &[vouchsafe::rumor::BundleId::from_bytes([1; 32])]);
        let _ = bare.send_frame(Lane::Control, &ping).await;
        scene.gossips_on().await;
    }
    let stats = scene.victim.node.stats().await.unwrap();
    // What the honest two have said since, at the most a few frames for each of their words, and nothing of the wanderer.
    assert!(stats.counters.unknown_topic + stats.counters.gone == 0, "it was heard");
    assert!(stats.counters.frames_in > before);
    scene.nobody_is_blamed().await;
}
