use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use super::*;
use crate::net::config::HANDSHAKE_DEADLINE;
use crate::net::gate::Refusals;
use crate::net::{AcceptError, NetGroup};
use crate::protocol::DialError;

#[tokio::test]
async fn both_ends_know_each_other_by_key() {
    let (a, b) = (endpoint(1), endpoint(2));
    let (dialled, accepted) = connect(&a, &b, key(2).public()).await;
    assert_eq!((dialled.peer, dialled.dialled), (key(2).public(), true));
    assert_eq!((accepted.peer, accepted.dialled), (key(1).public(), false));
    assert_eq!(accepted.remote, a.local_addr().unwrap());
    assert_eq!(accepted.group(), NetGroup::Local);
}

#[tokio::test]
async fn another_key_at_the_address_fails_the_dial_and_both_keys_are_named() {
    let (a, b) = (endpoint(1), endpoint(2));
    let addr = b.local_addr().unwrap();
    let error = a.connect(key(3).public(), addr).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DialError::WrongKey { .. }), "{text}");
    assert!(
        text.contains(&key(2).public().to_string()) && text.contains(&key(3).public().to_string()),
        "{text}"
    );
    assert!(matches!(b.accept().await, Some(Err(AcceptError::Handshake { .. }))));
    assert_eq!(b.refusals().failed, 1);
}

#[tokio::test]
async fn an_endpoint_of_the_app_serves_as_well() {
    let socket = quinn::Endpoint::client(ANY).unwrap();
    let ours = Endpoint::from_quinn(socket.clone(), &key(2), GateConfig::default()).unwrap();
    let a = endpoint(1);
    let (dialled, _accepted) = connect(&a, &ours, key(2).public()).await;
    assert_eq!(dialled.peer, key(2).public());
    ours.close().await;
    assert!(ours.accept().await.is_none());
    assert_eq!(socket.open_connections(), 1, "the app's socket is not ours to close");
}

#[tokio::test]
async fn closing_ends_accept_and_tells_the_peers() {
    let (a, b) = (endpoint(1), endpoint(2));
    let (dialled, _accepted) = connect(&a, &b, key(2).public()).await;
    let side = Side::new(1, dialled);
    b.close().await;
    assert!(b.accept().await.is_none());
    let why = side.why_closed().await;
    assert_eq!(why, LinkClosed::ByPeer { code: 0, reason: "the node shuts down".into() });
}

/// A first packet that nobody answers is sent again after a second, and is counted again. Where a dial has taken half as long the test
/// begins anew.
#[tokio::test]
async fn handshake_flood_is_bounded() {
    let mut tries = 1..=3;
    loop {
        let (refusals, slowest) = seven_dials().await;
        let counted = (refusals.group_rate, refusals.retries);
        if counted == (3, 7) {
            return;
        }
        assert!(slowest >= Duration::from_millis(500), "{counted:?}, the slowest dial took {slowest:?}");
        assert!(tries.next().is_some(), "{counted:?}");
    }
}

/// Four dials for which there is room, and three for which there is none. Gives what the target says of them, and how long the slowest
/// took.
async fn seven_dials() -> (Refusals, Duration) {
    let gate = GateConfig {
        limit_local: true,
        burst_per_group: 4,
        per_minute_per_group: 0,
        unproven_rate: 0,
        ..GateConfig::default()
    };
    let target = Endpoint::bind(&key(2), ANY, gate).unwrap();
    let (a, addr) = (endpoint(1), target.local_addr().unwrap());
    let mut slowest = Duration::ZERO;
    for number in 0..7 {
        let began = Instant::now();
        match a.connect(key(2).public(), addr).await {
            Ok(_) => assert!(number < 4, "a fifth handshake"),
            Err(error) => assert!(number >= 4 && matches!(error, DialError::Refused { .. }), "{error}"),
        }
        slowest = slowest.max(began.elapsed());
    }
    (target.refusals(), slowest)
}

#[tokio::test]
async fn a_handshake_that_never_ends_holds_up_no_other() {
    let (slow, honest, target) = (endpoint(1), endpoint(3), endpoint(2));
    let addr = target.local_addr().unwrap();
    // A path that lets one packet through and then nothing.
    let lossy = UdpSocket::bind(ANY).await.unwrap();
    let lossy_addr = lossy.local_addr().unwrap();
    let dial = tokio::spawn(async move { slow.connect(key(2).public(), lossy_addr).await });
    let mut packet = [0; 2048];
    let (len, _) = lossy.recv_from(&mut packet).await.unwrap();
    lossy.send_to(&packet[..len], addr).await.unwrap();
    lossy.readable().await.unwrap();

    let (dialled, accepted) = connect(&honest, &target, key(2).public()).await;
    assert_eq!(accepted.peer, key(3).public());
    assert_eq!(target.refusals().too_slow, 0);

    tokio::time::pause();
    assert!(matches!(target.accept().await, Some(Err(AcceptError::TooSlow { .. }))));
    assert_eq!(target.refusals().too_slow, 1);
    assert!(matches!(dial.await.unwrap(), Err(DialError::TimedOut { .. })));
    drop(dialled);
}

/// Passes on whatever a client sends, and of the answers only those that ask it to prove its address.
async fn relay_retries_only(outside: UdpSocket, inside: UdpSocket) {
    let (mut packet, mut client) = ([0; 2048], None);
    loop {
        let mut answer = [0; 2048];
        tokio::select! {
            Ok((len, from)) = outside.recv_from(&mut packet) => {
                client = Some(from);
                let _ = inside.send(&packet[..len]).await;
            }
            Ok(len) = inside.recv(&mut answer) => {
                // The first four bits of a Retry (RFC 9000, section 17.2.5) are set.
                if let Some(client) = client.filter(|_| answer[0] >> 4 == 0b1111) {
                    let _ = outside.send_to(&answer[..len], client).await;
                }
            }
        }
    }
}

/// The honest dialler has an address of its own, which Linux gives to whoever asks.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn half_open_handshakes_of_one_address_leave_slots_for_others() {
    let mut tries = 1..=3;
    while !leaves_slots_for_others().await {
        assert!(tries.next().is_some(), "eighty handshakes fill the gate");
    }
}

/// False if the eighty were not begun, or the others not there, before the first of the eighty had to be given up.
#[cfg(target_os = "linux")]
async fn leaves_slots_for_others() -> bool {
    let (stopping, target) = (endpoint(1), endpoint(2));
    let honest = Endpoint::bind(&key(3), "127.0.0.2:0".parse().unwrap(), GateConfig::default()).unwrap();
    let (outside, inside) = (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
    inside.connect(target.local_addr().unwrap()).await.unwrap();
    let relay = outside.local_addr().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(relay_retries_only(outside, inside));
    let stopping = std::sync::Arc::new(stopping);
    for _ in 0..80 {
        let stopping = stopping.clone();
        tasks.spawn(async move { drop(stopping.connect(key(2).public(), relay).await) });
    }
    let began = Instant::now();
    while target.refusals().half_open == 0 {
        if began.elapsed() > HANDSHAKE_DEADLINE {
            return false;
        }
        tokio::task::yield_now().await;
    }
    for _ in 0..8 {
        let (_dialled, accepted) = connect(&honest, &target, key(2).public()).await;
        assert_eq!(accepted.peer, key(3).public());
    }
    let displaced = target.refusals().displaced > 0;
    assert!(displaced || began.elapsed() > HANDSHAKE_DEADLINE / 2, "{:?}", target.refusals());
    displaced
}

#[tokio::test]
async fn an_app_that_takes_no_connections_keeps_a_bounded_number() {
    let mut tries = 1..=3;
    while !keeps_a_bounded_number().await {
        assert!(tries.next().is_some(), "128 handshakes within the time of one");
    }
}

/// False if the first of those that wait may have been given up before the last came.
async fn keeps_a_bounded_number() -> bool {
    let (a, target) = (endpoint(1), endpoint(2));
    let (addr, began) = (target.local_addr().unwrap(), Instant::now());
    let mut dialled = Vec::new();
    // 64 wait ready and 64 wait with their place in the gate.
    for _ in 0..128 {
        dialled.push(a.connect(key(2).public(), addr).await);
    }
    let last = a.connect(key(2).public(), addr).await;
    let half_open = target.refusals().half_open;
    if began.elapsed() > HANDSHAKE_DEADLINE * 9 / 10 {
        return false;
    }
    assert!(dialled.iter().all(Result::is_ok), "{dialled:?}");
    assert!(matches!(last, Err(DialError::Refused { .. })), "{last:?}");
    assert_eq!(half_open, 1);
    true
}
