//! Sockets that fail, and ports that are free again.

use std::sync::atomic::Ordering;

use super::*;
use crate::net::SocketState;
use crate::protocol::{DialError, StopReason};

/// Sends until the other side hears it.
async fn hears(from: &mut Side, to: &mut Side, words: &'static [u8]) {
    assert!(from.link.send(Lane::Rumors, Bytes::from_static(words)));
    assert_eq!(to.frames().await.1, [words]);
}

#[tokio::test]
async fn receive_that_fails_once_ends_no_link() {
    let (mut a, mut b, [_a, other]) = two_links().await;
    other.faults().receives.store(1, Ordering::SeqCst);
    hears(&mut a, &mut b, b"all the same").await;
    hears(&mut b, &mut a, b"and back").await;
    let errors = other.socket_errors();
    assert_eq!((errors.errors, errors.rebound), (1, 0), "it was only tried again");
}

#[tokio::test]
async fn socket_that_fails_for_good_is_bound_anew_under_its_links() {
    let (mut a, mut b, [_a, other]) = two_links().await;
    let addr = other.local_addr().unwrap();
    let watch = async {
        let fails = other.state_other_than(&SocketState::Works).await;
        (fails.clone(), other.state_other_than(&fails).await)
    };
    other.faults().binds.store(3, Ordering::SeqCst);
    other.faults().broken.store(true, Ordering::SeqCst);
    let (states, ()) = tokio::join!(watch, hears(&mut a, &mut b, b"anew"));
    assert_eq!(states, (SocketState::Fails, SocketState::Works));
    hears(&mut b, &mut a, b"and back").await;
    assert_eq!((other.local_addr().unwrap(), other.socket_errors().rebound), (addr, 1));
    // Who did not know it dials it as ever.
    let third = endpoint(3);
    connect(&third, &other, key(2).public()).await;
}

#[tokio::test]
async fn socket_that_cant_be_had_again_is_lost() {
    let (a, other) = (endpoint(1), endpoint(2));
    other.faults().binds.store(u64::MAX, Ordering::SeqCst);
    other.faults().broken.store(true, Ordering::SeqCst);
    let addr = other.local_addr().unwrap();
    let dial = tokio::spawn(async move { a.connect(key(2).public(), addr).await });
    assert_eq!(other.state_other_than(&SocketState::Works).await, SocketState::Fails);
    tokio::time::pause();
    let lost = other.state_other_than(&SocketState::Fails).await;
    assert!(
        matches!(&lost, SocketState::Lost(StopReason::SocketLost { addr: lost, .. }) if *lost == addr),
        "{lost:?}"
    );
    assert!(matches!(dial.await.unwrap(), Err(DialError::TimedOut { .. })));
}

/// Where no other test binds a port that is free for a moment. (Linux gives these addresses to whoever asks.)
const OWN_ADDRESS: &str = if cfg!(target_os = "linux") { "127.0.13.2:0" } else { "127.0.0.1:0" };

#[tokio::test]
async fn port_is_free_when_close_answers_a_hundred_times_in_a_row() {
    let (silent, wrong) = (tokio::net::UdpSocket::bind(ANY).await.unwrap(), endpoint(9));
    let addr = std::net::UdpSocket::bind(OWN_ADDRESS).unwrap().local_addr().unwrap();
    tokio::time::pause();
    for number in 0..100u8 {
        let endpoint = std::sync::Arc::new(Endpoint::bind(&key(2), addr, GateConfig::default()).unwrap());
        // Dials that never end and that fail, and a connection whose other end knows nothing yet.
        let mut dials = tokio::task::JoinSet::new();
        for to in [silent.local_addr().unwrap(), wrong.local_addr().unwrap()] {
            let endpoint = endpoint.clone();
            dials.spawn(async move { drop(endpoint.connect(key(number).public(), to).await) });
        }
        let (dialled, _accepted) = connect(&wrong, &endpoint, key(2).public()).await;
        let link = Side::new(1, dialled);
        // Whichever of two callers is told first.
        tokio::select! {
            () = endpoint.close() => {}
            () = endpoint.close() => {}
        }
        drop(std::net::UdpSocket::bind(addr).expect("the port is free"));
        drop(link);
    }
    assert!(silent.try_recv(&mut [0; 2048]).is_ok(), "something was dialled");
}
