//! What the attackers do on one link, each until the node closes it or the deed is done.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::{Bundle, BundleId, HEADER_LEN, RuleSet, seal};
use vouchsafe::wire::{self, Frame, Hello, Lane, MAX_IDS_PER_FRAME, TopicChange};
use vouchsafe::{Evidence, Position, SecretKey};
use vouchsafe_cli::demo::liars::target::{Target, clock_ms, dial, greet};

/// Between two tries of one attacker: all of them together must leave this machine's few cores to the nodes.
pub const BREATH: Duration = Duration::from_millis(50);
/// A handshake that is not finished is given up by the node after 10 s.
const HALF_OPEN: Duration = Duration::from_secs(11);

/// Reads for so long, or the link would be closed for not reading.
pub(crate) async fn listen(link: &mut BarePeer, time: Duration) {
    let _ = timeout(time, async { while link.recv_frame().await.is_some() {} }).await;
}

/// Says hello and never reads (B25).
pub async fn deaf(peer: Target, rules: Arc<RuleSet>) {
    let Ok(link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    link.stop_reading();
    link.closed().await;
}

/// Announces what does not exist (B29).
pub async fn announces(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    for round in 0u64.. {
        let id = |at: usize| {
            let mut id = [0xa5; 32];
            id[..8].copy_from_slice(&round.to_le_bytes());
            id[8..16].copy_from_slice(&(at as u64).to_le_bytes());
            (BundleId::from_bytes(id), 9)
        };
        let ids: Vec<_> = (0..MAX_IDS_PER_FRAME).map(id).collect();
        if link.send_frame(Lane::Control, &wire::announce(&rules.id(), &ids)).await.is_err() {
            return;
        }
        listen(&mut link, BREATH).await;
    }
}

/// Asks for the same again and again (B11).
pub async fn pulls(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    let mut known: Vec<BundleId> = Vec::new();
    while let Some((_, payload)) = link.recv_frame().await {
        match Frame::decode(payload) {
            Ok(Frame::Announce(announced)) => known.extend(announced.items.iter().map(|(id, _)| *id)),
            Ok(Frame::Bundles(bundles)) => known.extend(bundles.flatten().map(|raw| raw.id)),
            _ => continue,
        }
        known.truncate(MAX_IDS_PER_FRAME);
        if !known.is_empty()
            && link.send_frame(Lane::Control, &wire::pull(&rules.id(), &known)).await.is_err()
        {
            return;
        }
    }
}

/// Connects and leaves (B30).
pub async fn knocks(peer: Target) {
    if let Ok(link) = dial(&SecretKey::generate(), peer, peer.addr).await {
        link.close(0, b"");
    }
}

/// A dial through somebody who lets one packet through and no answer.
pub async fn half_open(peer: Target) {
    let Ok(between) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
    let Ok(addr) = between.local_addr() else { return };
    let key = SecretKey::generate();
    let forward = async {
        let mut packet = [0; 2048];
        if let Ok((len, _)) = between.recv_from(&mut packet).await {
            let _ = between.send_to(packet.get(..len).unwrap_or_default(), peer.addr).await;
        }
        std::future::pending::<()>().await;
    };
    let both = async {
        tokio::select! {
            _ = dial(&key, peer, addr) => {}
            () = forward => {}
        }
    };
    let _ = timeout(HALF_OPEN, both).await;
}

/// Resets its streams in the middle of frames, on each lane and at several points (B5, B9).
pub async fn resets(peer: Target, rules: Arc<RuleSet>) {
    for lane in Lane::ALL {
        for sent in [0usize, 1, 3, 4, 20] {
            let key = SecretKey::generate();
            let Ok(mut link) = greet(&key, peer, &rules).await else { return };
            // A frame of 100 bytes, so far.
            let frame = [&100u32.to_le_bytes()[..], &[2; 100]].concat();
            let _ = link.send_raw(lane, frame.get(..sent).unwrap_or_default()).await;
            let _ = link.reset_lane(lane, 7);
            let _ = timeout(BREATH, link.closed()).await;
            link.close(0, b"");
        }
    }
}

/// Joins ever more topics (B27).
pub async fn topics(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    for number in 0u64.. {
        let mut id = [0x5a; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let change = TopicChange { joined: vec![id], left: Vec::new() };
        if link.send_frame(Lane::Control, &wire::topics(&change)).await.is_err() {
            return;
        }
    }
}

/// Sends back all that it hears, on both lanes that carry rumors (B10).
pub async fn repeats(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    while let Some((lane, payload)) = link.recv_frame().await {
        if matches!(lane, Lane::Rumors | Lane::Replies) {
            for lane in [Lane::Rumors, Lane::Replies] {
                if link.send_frame(lane, &payload).await.is_err() {
                    return;
                }
            }
        } else if let Ok(Frame::Announce(announced)) = Frame::decode(payload) {
            // What is only announced is asked for, to be repeated too.
            let ids: Vec<_> = announced.items.iter().map(|(id, _)| *id).collect();
            let _ = link.send_frame(Lane::Control, &wire::pull(&announced.topic, &ids)).await;
        }
    }
}

/// A bundle of one, at the current tick.
fn says(key: &SecretKey, rules: &RuleSet, slot: u16, body: Vec<u8>) -> Option<Bundle> {
    let position = Position { tick: rules.tick_len().tick_at(clock_ms()), slot };
    seal(key, rules.id(), position, &[Bytes::from(body)]).ok()
}

/// The payload of a frame with one bundle.
fn pushed(hops: u8, bundle: &[u8]) -> Vec<u8> {
    [&[2, hops], bundle].concat()
}

/// Announces a large body, begins to send it when it is asked for, and never ends.
pub async fn stalls(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = greet(&key, peer, &rules).await else { return };
    let Some(word) = says(&key, &rules, 0, vec![7; 15_000]) else { return };
    if link.send_frame(Lane::Control, &wire::announce(&rules.id(), &[(word.id(), 14)])).await.is_err() {
        return;
    }
    while let Some((_, payload)) = link.recv_frame().await {
        if !matches!(Frame::decode(payload), Ok(Frame::Pull(_))) {
            continue;
        }
        let reply = pushed(0, word.encoded());
        let framed = [&(reply.len() as u32).to_le_bytes()[..], &reply].concat();
        let half = framed.get(..framed.len() / 2).unwrap_or_default();
        if link.send_raw(Lane::Replies, half).await.is_ok() {
            // It reads on, or it would be closed for that.
            while link.recv_frame().await.is_some() {}
        }
        return;
    }
}

/// Says true things, and marks each as just said.
pub async fn fresh_hops(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = greet(&key, peer, &rules).await else { return };
    for slot in 0..rules.slots_per_tick() {
        let Some(word) = says(&key, &rules, slot, vec![8; 500]) else { return };
        if link.send_frame(Lane::Rumors, &pushed(u8::MAX, word.encoded())).await.is_err() {
            return;
        }
        listen(&mut link, BREATH / 10).await;
    }
}

/// Clocks, classes, hops and ticks at their ends.
pub async fn largest(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = dial(&key, peer, peer.addr).await else { return };
    for lane in Lane::ALL {
        if link.open_lane(lane).await.is_err() {
            return;
        }
    }
    let hello = Hello {
        network: *rules.network().as_bytes(),
        clock_ms: u64::MAX,
        topics: vec![*rules.id().as_bytes()],
    };
    let announced = [(BundleId::from_bytes([0xff; 32]), u8::MAX), (BundleId::from_bytes([0; 32]), 0)];
    let position = Position { tick: u64::MAX, slot: 0 };
    let Ok(late) = seal(&key, rules.id(), position, &[Bytes::from_static(b"at the end of time")]) else {
        return;
    };
    let sent = [
        (Lane::Control, wire::hello(&hello).to_vec()),
        (Lane::Control, wire::announce(&rules.id(), &announced).to_vec()),
        (Lane::Rumors, pushed(u8::MAX, late.encoded())),
    ];
    for (lane, frame) in sent {
        if link.send_frame(lane, &frame).await.is_err() {
            return;
        }
    }
    listen(&mut link, BREATH).await;
    link.close(0, b"");
}

/// True proofs, each against an author that was made for it.
pub async fn evidence(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    loop {
        let author = SecretKey::generate();
        let words = [1, 2].map(|word| says(&author, &rules, 0, vec![word]));
        let [Some(one), Some(two)] = &words else { return };
        let Ok(proof) = Evidence::new(*one.signed_header(), *two.signed_header()) else { return };
        if link.send_frame(Lane::Control, &wire::evidence(&proof)).await.is_err() {
            return;
        }
        listen(&mut link, BREATH).await;
    }
}

/// Three connections of one key, of which the node keeps one.
pub async fn doubles(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let mut links = JoinSet::new();
    for _ in 0..3 {
        if let Ok(link) = greet(&key, peer, &rules).await {
            links.spawn(async move { link.closed().await });
        }
    }
    while links.len() > 1 {
        links.join_next().await;
    }
}

/// Goes on from another port, without a word, until the node has forgotten it.
pub async fn wanders(peer: Target, rules: Arc<RuleSet>) {
    let Ok(socket) = BarePeer::socket((Ipv4Addr::LOCALHOST, 0).into()) else { return };
    let key = SecretKey::generate();
    let Ok(mut link) = BarePeer::connect_from(socket.clone(), &key, peer.key, peer.addr).await else {
        return;
    };
    let hello = Hello {
        network: *rules.network().as_bytes(),
        clock_ms: clock_ms(),
        topics: vec![*rules.id().as_bytes()],
    };
    if link.open_lane(Lane::Control).await.is_err()
        || link.send_frame(Lane::Control, &wire::hello(&hello)).await.is_err()
    {
        return;
    }
    let moves = async {
        loop {
            let Ok(next) = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { return };
            if socket.rebind(next).is_err() {
                return;
            }
            tokio::time::sleep(BREATH * 20).await;
        }
    };
    tokio::select! {
        _ = link.closed() => {}
        () = moves => {}
    }
}

/// A rumor under a signature that does not hold, and then until the link is closed.
pub async fn forges(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = greet(&key, peer, &rules).await else { return };
    let Some(word) = says(&key, &rules, 0, b"forged".to_vec()) else { return };
    let mut frame = pushed(4, word.encoded());
    // In R of the signature, which follows the header.
    if let Some(byte) = frame.get_mut(2 + HEADER_LEN) {
        *byte ^= 1;
    }
    if link.send_frame(Lane::Rumors, &frame).await.is_ok() {
        link.closed().await;
    }
}

/// A frame of 4 GiB, as it says.
pub async fn malforms(peer: Target, rules: Arc<RuleSet>) {
    let Ok(mut link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    if link.send_raw(Lane::Rumors, &[0xff; 4]).await.is_ok() {
        link.closed().await;
    }
}

/// Datagrams that are no QUIC.
pub async fn noise(peer: Target) {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
    for first in [0x00, 0x40, 0xc0, 0xcf, 0xff] {
        // A long header of version 1 and one of no version, with the rest made up.
        for version in [1u32, 0x0a0a_0a0a] {
            let packet = [&[first][..], &version.to_be_bytes(), &[8], &[7; 8], &[0], &[0x99; 1200]].concat();
            let _ = socket.send_to(&Bytes::from(packet), peer.addr).await;
        }
    }
}
