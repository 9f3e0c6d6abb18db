//! What attackers do that is no matter of frames: handshakes, packets, and streams that break off.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vouchsafe::hostile::Target;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::{RuleSet, seal};
use vouchsafe::wire::{self, Frame, Hello, Lane};
use vouchsafe::{Position, SecretKey};
use vouchsafe_cli::demo::liars::lies::{FAULTS, Lies};
use vouchsafe_cli::demo::liars::target::{clock_ms, dial, greet};

use crate::attacks::BREATH;

/// A handshake that is not finished is given up by the node after 10 s.
const HALF_OPEN: Duration = Duration::from_secs(11);
/// Handshakes that one attacker begins at once: as many as take of the node's time what another attack takes.
const HANDSHAKES: usize = 8;
/// The least that attacks are watched for which the victim ends by a deadline of 10 s: a second link of each has then begun.
const SLOW: Duration = Duration::from_secs(25);
/// A peer that moves is forgotten after a minute.
const WANDERS: Duration = Duration::from_secs(70);

/// One of them. Each does it until the node closes the link or the deed is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Sends what can't be read (B9).
    Malforms,
    /// Says hello and never reads (B25).
    Deaf,
    /// Connects and leaves (B30).
    Knocks,
    /// Begins handshakes and never ends them (B30).
    HalfOpen,
    /// Resets its streams in the middle of frames (B5, B9).
    Resets,
    /// Stops in the middle of a body (B5).
    Stalls,
    /// Has three connections under one key.
    Doubles,
    /// Moves from one address to the next.
    Wanders,
    /// Sends datagrams that are no QUIC.
    Noise,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Malforms,
        Self::Deaf,
        Self::Knocks,
        Self::HalfOpen,
        Self::Resets,
        Self::Stalls,
        Self::Doubles,
        Self::Wanders,
        Self::Noise,
    ];

    /// In a few words, with its row of docs/attacks.md.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malforms => "malformed frames (B9)",
            Self::Deaf => "acknowledges and never reads (B25)",
            Self::Knocks => "connects and leaves (B30)",
            Self::HalfOpen => "half-open handshakes, 8 at once (B30)",
            Self::Resets => "resets streams at all points (B5, B9)",
            Self::Stalls => "stops in the middle of a body (B5)",
            Self::Doubles => "one key on three connections",
            Self::Wanders => "moves to another address",
            Self::Noise => "noise on the socket",
        }
    }

    /// How long it must go on to be measured.
    pub const fn least(self) -> Duration {
        match self {
            Self::Deaf | Self::HalfOpen | Self::Stalls => SLOW,
            Self::Wanders => WANDERS,
            _ => Duration::ZERO,
        }
    }

    /// Does it, under a new key.
    pub async fn once(self, peer: Target, rules: Arc<RuleSet>) {
        match self {
            Self::Malforms => malforms(peer, rules).await,
            Self::Deaf => deaf(peer, rules).await,
            Self::Knocks => knocks(peer).await,
            Self::HalfOpen => {
                let all: JoinSet<()> = (0..HANDSHAKES).map(|_| half_open(peer)).collect();
                all.join_all().await;
            }
            Self::Resets => resets(peer, rules).await,
            Self::Stalls => stalls(peer, rules).await,
            Self::Doubles => doubles(peer, rules).await,
            Self::Wanders => wanders(peer, rules).await,
            Self::Noise => noise(peer).await,
        }
    }
}

/// Says hello and never reads (B25).
async fn deaf(peer: Target, rules: Arc<RuleSet>) {
    let Ok(link) = greet(&SecretKey::generate(), peer, &rules).await else { return };
    link.stop_reading();
    link.closed().await;
}

/// Connects and leaves (B30).
pub async fn knocks(peer: Target) {
    if let Ok(link) = dial(&SecretKey::generate(), peer, peer.addr).await {
        link.close(0, b"");
    }
}

/// A dial through somebody who lets one packet through and no answer.
async fn half_open(peer: Target) {
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
async fn resets(peer: Target, rules: Arc<RuleSet>) {
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

/// Announces a large body, begins to send it when it is asked for, and never ends.
async fn stalls(peer: Target, rules: Arc<RuleSet>) {
    let key = SecretKey::generate();
    let Ok(mut link) = greet(&key, peer, &rules).await else { return };
    let position = Position { tick: rules.tick_len().tick_at(clock_ms()), slot: 0 };
    let Ok(word) = seal(&key, rules.id(), position, &[vec![7; 15_000].into()]) else { return };
    if link.send_frame(Lane::Control, &wire::announce(&rules.id(), &[(word.id(), 14)])).await.is_err() {
        return;
    }
    while let Some((_, payload)) = link.recv_frame().await {
        if !matches!(Frame::decode(payload), Ok(Frame::Pull(_))) {
            continue;
        }
        // A frame of one bundle, without hops.
        let reply = [&[2, 0], &word.encoded()[..]].concat();
        let framed = [&(reply.len() as u32).to_le_bytes()[..], &reply].concat();
        let half = framed.get(..framed.len() / 2).unwrap_or_default();
        if link.send_raw(Lane::Replies, half).await.is_ok() {
            // It reads on, or it would be closed for that.
            while link.recv_frame().await.is_some() {}
        }
        return;
    }
}

/// Three connections of one key, of which the node keeps one.
async fn doubles(peer: Target, rules: Arc<RuleSet>) {
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
async fn wanders(peer: Target, rules: Arc<RuleSet>) {
    let Ok(socket) = BarePeer::socket((Ipv4Addr::LOCALHOST, 0).into()) else { return };
    let key = SecretKey::generate();
    let Ok(mut link) = BarePeer::connect_from(socket.clone(), &key, peer.key, peer.addr).await else {
        return;
    };
    let hello = Hello {
        network: *rules.network().as_bytes(),
        clock_ms: clock_ms(),
        topics: vec![*rules.id().as_bytes()],
        ..Hello::default()
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

/// Sends what can't be read: on each link another fault.
async fn malforms(peer: Target, rules: Arc<RuleSet>) {
    for at in 0..FAULTS {
        let key = SecretKey::generate();
        let Ok(lies) = Lies::prepare(&key, &rules) else { return };
        let Ok(mut link) = greet(&key, peer, &rules).await else { return };
        lies.write(&mut link, at, &rules, None).await;
        link.closed().await;
    }
}

/// Datagrams that are no QUIC.
async fn noise(peer: Target) {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
    for first in [0x00, 0x40, 0xc0, 0xcf, 0xff] {
        // A long header of version 1 and one of no version, with the rest made up.
        for version in [1u32, 0x0a0a_0a0a] {
            let packet = [&[first][..], &version.to_be_bytes(), &[8], &[7; 8], &[0], &[0x99; 1200]].concat();
            let _ = socket.send_to(&Bytes::from(packet), peer.addr).await;
        }
    }
}
