//! What the attackers do on one link, each until the node closes it or the deed is done.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use vouchsafe::net::{BareError, BarePeer};
use vouchsafe::rumor::{BundleId, RuleSet};
use vouchsafe::wire::{self, Frame, Hello, Lane, MAX_IDS_PER_FRAME, TopicChange};
use vouchsafe::{PeerAddr, SecretKey};

/// Between two tries of one attacker: all of them together must leave this machine's few cores to the nodes.
pub(super) const BREATH: Duration = Duration::from_millis(50);
/// A handshake that is not finished is given up by the node after 10 s.
const HALF_OPEN: Duration = Duration::from_secs(11);

pub(super) fn clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The socket of all attackers of this process: each has megabytes of buffers, which would be taken for the nodes'.
pub(super) async fn socket() -> Result<&'static quinn::Endpoint, BareError> {
    static SOCKET: OnceCell<quinn::Endpoint> = OnceCell::const_new();
    SOCKET.get_or_try_init(async || BarePeer::socket((Ipv4Addr::LOCALHOST, 0).into())).await
}

async fn dial(key: &SecretKey, peer: PeerAddr, addr: SocketAddr) -> Result<BarePeer, BareError> {
    BarePeer::connect_from(socket().await?.clone(), key, peer.key, addr).await
}

/// A proper beginning: handshake, lanes, hello.
pub(crate) async fn greet(key: &SecretKey, peer: PeerAddr, rules: &RuleSet) -> Result<BarePeer, BareError> {
    let mut link = dial(key, peer, peer.addr).await?;
    for lane in Lane::ALL {
        link.open_lane(lane).await?;
    }
    let hello = Hello {
        network: *rules.network().as_bytes(),
        clock_ms: clock_ms(),
        topics: vec![*rules.id().as_bytes()],
    };
    link.send_frame(Lane::Control, &wire::hello(&hello)).await?;
    Ok(link)
}

pub(super) async fn deaf(peer: PeerAddr, rules: Arc<RuleSet>) {
    let Ok(link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    link.stop_reading();
    link.closed().await;
}

pub(super) async fn announces(peer: PeerAddr, rules: Arc<RuleSet>) {
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
        // It reads on, or it would be closed for that.
        while timeout(BREATH, link.recv_frame()).await.is_ok_and(|frame| frame.is_some()) {}
    }
}

pub(super) async fn pulls(peer: PeerAddr, rules: Arc<RuleSet>) {
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

pub(super) async fn knocks(peer: PeerAddr) {
    if let Ok(link) = dial(&SecretKey::generate(), peer, peer.addr).await {
        link.close(0, b"");
    }
}

/// A dial through somebody who lets one packet through and no answer.
pub(super) async fn half_open(peer: PeerAddr) {
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

pub(super) async fn resets(peer: PeerAddr, rules: Arc<RuleSet>) {
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

pub(super) async fn topics(peer: PeerAddr, rules: Arc<RuleSet>) {
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

pub(super) async fn repeats(peer: PeerAddr, rules: Arc<RuleSet>) {
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

pub(super) async fn noise(peer: PeerAddr) {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
    for first in [0x00, 0x40, 0xc0, 0xcf, 0xff] {
        // A long header of version 1 and one of no version, with the rest made up.
        for version in [1u32, 0x0a0a_0a0a] {
            let packet = [&[first][..], &version.to_be_bytes(), &[8], &[7; 8], &[0], &[0x99; 1200]].concat();
            let _ = socket.send_to(&Bytes::from(packet), peer.addr).await;
        }
    }
}
