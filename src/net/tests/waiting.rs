//! What waits: first packets for the gate while nobody has time for them, and sent bytes for who does not acknowledge them.

use std::sync::Arc;

use quinn::VarInt;
use tokio::net::UdpSocket;

use super::*;
use crate::net::identity::{Identity, SERVER_NAME};
use crate::net::limits::{INCOMING_BUFFER, INCOMING_BUFFER_TOTAL, MAX_INCOMING, SEND_WINDOW};
use crate::wire::ALPN;

/// Bytes of a first packet: the least that QUIC allows, and what quinn sends.
const FIRST: u64 = 1200;

/// An endpoint as a node has it, without the task that takes what comes in.
fn starved() -> (quinn::Endpoint, SocketAddr) {
    let victim = quinn::Endpoint::server(Identity::new(&key(2)).server_config(None).unwrap(), ANY).unwrap();
    let addr = victim.local_addr().unwrap();
    (victim, addr)
}

/// The first packet of a connection that goes no further.
async fn first_packet(dialler: &quinn::Endpoint) -> Vec<u8> {
    let (config, _) = Identity::new(&key(1)).client_config(key(2).public(), ALPN).unwrap();
    let listener = UdpSocket::bind(ANY).await.unwrap();
    let _dial = dialler.connect_with(config, listener.local_addr().unwrap(), SERVER_NAME).unwrap();
    let mut packet = vec![0; 2048];
    let (len, _) = listener.recv_from(&mut packet).await.unwrap();
    assert_eq!(len as u64, FIRST);
    packet.truncate(len);
    packet
}

async fn watched<T>(of: impl Future<Output = T>) -> T {
    tokio::time::timeout(WATCHDOG, of).await.expect("within the watchdog's time")
}

/// Bytes that reach the connection of an attempt beyond its first packet, now that it is accepted.
fn kept_for(attempt: quinn::Incoming) -> u64 {
    let (connection, _) = attempt.accept().unwrap().into_0rtt().unwrap_or_else(|_| unreachable!());
    connection.stats().udp_rx.bytes
}

#[tokio::test]
async fn unread_first_packets_are_bounded() {
    let (victim, addr) = starved();
    let dialler = quinn::Endpoint::client(ANY).unwrap();
    let (socket, other) = (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
    let mut waiting = Vec::new();
    for _ in 0..MAX_INCOMING {
        socket.send_to(&first_packet(&dialler).await, addr).await.unwrap();
        // Seen here, and not yet answered: its place is taken.
        waiting.push(watched(victim.accept()).await.unwrap());
    }
    socket.send_to(&first_packet(&dialler).await, addr).await.unwrap();
    // The answer to a version that nobody speaks shows that what came before it was looked at.
    let mut unknown = first_packet(&dialler).await;
    unknown[1..5].copy_from_slice(&[9; 4]);
    socket.send_to(&unknown, addr).await.unwrap();
    watched(socket.recv_from(&mut [0; 2048])).await.unwrap();

    waiting.pop().unwrap().ignore();
    other.send_to(&first_packet(&dialler).await, addr).await.unwrap();
    let next = watched(victim.accept()).await.unwrap();
    assert_eq!(next.remote_address(), other.local_addr().unwrap(), "one more was waiting");
}

#[tokio::test]
async fn what_follows_a_first_packet_that_waits_is_bounded() {
    let (victim, addr) = starved();
    let dialler = quinn::Endpoint::client(ANY).unwrap();
    let socket = UdpSocket::bind(ANY).await.unwrap();
    let packet = first_packet(&dialler).await;
    for _ in 0..=4 * INCOMING_BUFFER / FIRST {
        socket.send_to(&packet, addr).await.unwrap();
    }
    socket.send_to(&first_packet(&dialler).await, addr).await.unwrap();
    let attempt = watched(victim.accept()).await.unwrap();
    // All that came before this one has been looked at.
    watched(victim.accept()).await.unwrap().ignore();
    let kept = kept_for(attempt);
    assert!((INCOMING_BUFFER - FIRST..=INCOMING_BUFFER).contains(&kept), "{kept} bytes");
}

#[tokio::test]
async fn what_follows_all_first_packets_that_wait_is_bounded() {
    let (victim, addr) = starved();
    let dialler = quinn::Endpoint::client(ANY).unwrap();
    let socket = UdpSocket::bind(ANY).await.unwrap();
    let each = INCOMING_BUFFER / FIRST;
    let mut waiting = Vec::new();
    for _ in 0..INCOMING_BUFFER_TOTAL / (each * FIRST) + 10 {
        let packet = first_packet(&dialler).await;
        for _ in 0..=each {
            socket.send_to(&packet, addr).await.unwrap();
        }
        waiting.push(watched(victim.accept()).await.unwrap());
    }
    socket.send_to(&first_packet(&dialler).await, addr).await.unwrap();
    watched(victim.accept()).await.unwrap().ignore();
    let kept: u64 = waiting.into_iter().map(kept_for).sum();
    assert!((INCOMING_BUFFER_TOTAL - FIRST..=INCOMING_BUFFER_TOTAL).contains(&kept), "{kept} bytes");
}

/// A peer that lets us send as much as we like, and from some moment on acknowledges nothing that reaches us.
#[tokio::test]
async fn what_is_not_acknowledged_is_kept_to_a_bound() {
    let node = endpoint(1);
    let addr = node.local_addr().unwrap();
    let (mut config, _) = Identity::new(&key(66)).client_config(key(1).public(), ALPN).unwrap();
    let mut transport = quinn::TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(64 << 20))
        .max_concurrent_uni_streams(VarInt::from_u32(3));
    config.transport_config(Arc::new(transport));
    let greedy = quinn::Endpoint::client(ANY).unwrap();
    let dial = greedy.connect_with(config, addr, SERVER_NAME).unwrap();
    let (_connection, accepted) = tokio::join!(dial, node.accept());
    let mut side = Side::new(1, accepted.unwrap().unwrap());
    // We do not follow it there, so its acknowledgements are nobody's.
    greedy.rebind(std::net::UdpSocket::bind(ANY).unwrap()).unwrap();
    tokio::time::pause();
    for _ in 0..64 {
        assert!(side.link.send(Lane::Replies, vec![1; 64 * 1024].into()));
    }
    let mut taken = 0;
    loop {
        match side.next().await {
            LinkEvent::Written { bytes, .. } => taken += bytes as u64,
            LinkEvent::Closed { .. } => break,
            LinkEvent::Frames { .. } => {}
        }
    }
    assert!((SEND_WINDOW / 2..=SEND_WINDOW).contains(&taken), "{taken} bytes were taken");
}
