//! Streams of applications below the node: what a hostile peer holds of them.

use std::time::Duration;

use super::*;
use crate::net::limits::STREAM_WINDOW;
use crate::net::streams::{
    GREETING, INBOUND, INBOUND_OF_A_PEER, STREAMS_OF_A_CONNECTION, STREAMS_OF_A_LINK, UNUSED,
    UNUSED_ACCEPTED, header_of, refused,
};
use crate::net::{Accepting, IncomingStream, Opened, ProtocolName, open};
use crate::rumor::NetworkId;

pub(super) fn network() -> NetworkId {
    NetworkId::of("streams")
}

pub(super) fn name() -> ProtocolName {
    ProtocolName::new("test/1").unwrap()
}

/// An endpoint that accepts the protocol of these tests.
pub(super) fn accepting(number: u8) -> (Endpoint, Accepting) {
    let endpoint = endpoint(number);
    endpoint.streams().belongs_to(network());
    let accepting = endpoint.streams().accept(name()).unwrap();
    (endpoint, accepting)
}

/// A connection of a hostile peer for streams alone, and whether it is served at the other end.
pub(super) async fn hostile(from: &Endpoint, to: &Endpoint, number: u8) -> (quinn::Connection, bool) {
    let addr = to.local_addr().unwrap();
    let dial = from.connect_for_streams(key(number).public(), addr);
    let (dialled, accepted) = tokio::join!(dial, to.accept());
    let accepted = accepted.unwrap().unwrap();
    assert!(accepted.is_for_streams());
    (raw(dialled.unwrap()), accepted.serve_streams(None))
}

/// Opens a stream on which everything is in order, and waits for the answer: a byte, or the code of a reset.
pub(super) async fn begin(
    connection: &quinn::Connection,
) -> Result<(quinn::SendStream, quinn::RecvStream), u64> {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&header_of(&network(), &name())).await.unwrap();
    match recv.read_exact(&mut [0]).await {
        Ok(()) => Ok((send, recv)),
        Err(quinn::ReadExactError::ReadError(quinn::ReadError::Reset(code))) => Err(code.into_inner()),
        Err(other) => panic!("{other}"),
    }
}

pub(super) async fn next(accepting: &mut Accepting) -> IncomingStream {
    let next = tokio::time::timeout(WATCHDOG, accepting.incoming.recv()).await;
    next.expect("a stream within the watchdog's time").expect("the desk lives")
}

#[tokio::test(start_paused = true)]
async fn stream_that_does_not_say_what_it_is_for_is_reset() {
    let (target, _accepting) = accepting(1);
    let peer = endpoint(2);
    let (connection, served) = hostile(&peer, &target, 1).await;
    assert!(served);
    // Too little, and a length and bytes that name nothing.
    let whole = header_of(&network(), &name());
    let mut empty = whole.clone();
    empty[32] = 0;
    let mut long = whole.clone();
    long[32] = 255;
    long.resize(400, b'a');
    let mut invisible = whole.clone();
    *invisible.last_mut().unwrap() = b'\n';
    for (what, said) in [
        ("nothing", &whole[..0]),
        ("half of it", &whole[..20]),
        ("no name", &empty),
        ("a long name", &long),
        ("a name that can't be seen", &invisible),
    ] {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&[said, b" "].concat()[..said.len().max(1)]).await.unwrap();
        let answer = tokio::time::timeout(GREETING * 2, recv.read(&mut [0])).await.expect(what);
        let Err(quinn::ReadError::Reset(code)) = answer else { panic!("{what}: {answer:?}") };
        assert_eq!(code.into_inner(), u64::from(refused::NO_HEADER), "{what}");
    }
    assert_eq!(target.streams().stats().no_header, 5);
    assert_eq!(target.streams().stats().open, 0);
}

#[tokio::test]
async fn peer_has_so_many_streams_over_each_connection() {
    let (target, mut accepting) = accepting(1);
    let peer = endpoint(2);
    // A connection for streams alone, and that of a link.
    let (connection, _) = hostile(&peer, &target, 1).await;
    let (dialled, accepted) = connect(&peer, &target, key(1).public()).await;
    let side = Side::new(1, accepted);
    for (connection, most) in [(connection, STREAMS_OF_A_CONNECTION), (raw(dialled), STREAMS_OF_A_LINK)] {
        let mut streams = Vec::new();
        for _ in 0..most {
            streams.push((begin(&connection).await.unwrap(), next(&mut accepting).await));
        }
        let one_more = tokio::time::timeout(Duration::from_millis(300), connection.open_bi()).await;
        assert!(one_more.is_err(), "more than {most}");
        // Those that end at both sides give their places to others. (quinn tells of a place when an eighth of all is free.)
        streams.truncate(most as usize / 2);
        assert!(begin(&connection).await.is_ok());
    }
    drop(side);
}

#[tokio::test]
async fn stream_that_is_not_read_holds_a_window_and_no_more() {
    let (target, mut accepting) = accepting(1);
    let peer = endpoint(2);
    let (connection, _) = hostile(&peer, &target, 1).await;
    let (mut send, _recv) = begin(&connection).await.unwrap();
    let unread = next(&mut accepting).await;
    let mut sent = 0;
    let whole = header_of(&network(), &name()).len();
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(500), send.write(&[7; 4096])).await {
        sent += written.unwrap();
        assert!(sent <= STREAM_WINDOW as usize, "{sent}");
    }
    assert!(sent + whole + STREAM_WINDOW as usize / 8 >= STREAM_WINDOW as usize, "{sent}");
    drop(unread);
}

#[tokio::test]
async fn peer_has_two_connections_for_streams_and_takes_none_from_others() {
    let (target, _accepting) = accepting(1);
    let greedy = endpoint(2);
    let mut held = Vec::new();
    for _ in 0..INBOUND_OF_A_PEER {
        let (connection, served) = hostile(&greedy, &target, 1).await;
        assert!(served);
        held.push(connection);
    }
    let (refused, served) = hostile(&greedy, &target, 1).await;
    assert!(!served);
    assert!(matches!(refused.closed().await, quinn::ConnectionError::ApplicationClosed(_)));
    assert!(hostile(&endpoint(3), &target, 1).await.1);
    assert_eq!(target.streams().stats().busy, 1);
}

#[tokio::test]
async fn connection_without_a_stream_goes_for_a_newcomer() {
    let (target, mut accepting) = accepting(1);
    let mut peers = Vec::new();
    for number in 0..INBOUND {
        let peer = endpoint(u8::try_from(number).unwrap() + 2);
        let (connection, served) = hostile(&peer, &target, 1).await;
        assert!(served, "{number}");
        peers.push((peer, connection, None));
    }
    // All but one have a stream.
    for (number, (_, connection, stream)) in peers.iter_mut().enumerate().skip(1) {
        *stream = Some((
            begin(connection).await.unwrap_or_else(|code| panic!("{number}: {code:x}")),
            next(&mut accepting).await,
        ));
    }
    let newcomer = endpoint(200);
    let (connection, served) = hostile(&newcomer, &target, 1).await;
    assert!(served);
    assert!(peers[0].1.closed().await.to_string().contains("no longer needs"));
    assert_eq!(target.streams().stats().connections, INBOUND);
    let _used = (begin(&connection).await.unwrap(), next(&mut accepting).await);
    // Now each has one, and nobody goes for whoever comes next.
    let (_refused, served) = hostile(&endpoint(201), &target, 1).await;
    assert!(!served);
    assert!(peers[1..].iter().all(|(_, connection, _)| connection.close_reason().is_none()));
}

#[tokio::test]
async fn groups_have_as_many_connections_for_streams_as_links() {
    let (target, _accepting) = accepting(1);
    for (number, most, is_served) in
        [(2, Some(1), true), (3, Some(1), false), (4, Some(2), true), (5, None, true)]
    {
        let peer = endpoint(number);
        let addr = target.local_addr().unwrap();
        let dial = peer.connect_for_streams(key(1).public(), addr);
        let (dialled, accepted) = tokio::join!(dial, target.accept());
        assert_eq!(accepted.unwrap().unwrap().serve_streams(most), is_served, "{number}");
        std::mem::forget((peer, dialled));
    }
}

#[tokio::test(start_paused = true)]
async fn connection_for_streams_ends_when_nobody_has_used_it_for_a_while() {
    let (target, mut accepting) = accepting(1);
    let peer = endpoint(2);
    peer.streams().belongs_to(network());
    let addr = target.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(peer.connect_for_streams(key(1).public(), addr), target.accept());
    assert!(accepted.unwrap().unwrap().serve_streams(None));
    assert!(dialled.unwrap().serve_streams(None));
    // As long as a stream is open on it, however silent, it stays.
    let way = peer.streams().way(&key(1).public(), false).unwrap();
    let Opened { send, recv } = open(peer.streams(), way, &name(), None).await.unwrap();
    let mut incoming = next(&mut accepting).await;
    tokio::time::sleep(UNUSED_ACCEPTED * 5).await;
    assert_eq!(peer.streams().stats().connections, 1);
    send.finish_with(b"late").await.unwrap();
    assert_eq!(incoming.recv.read_to_end(4).await.unwrap(), b"late");
    drop((incoming, recv));
    let ended = tokio::time::Instant::now();
    while peer.streams().stats().connections > 0 || target.streams().stats().connections > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(ended.elapsed() <= UNUSED_ACCEPTED + Duration::from_secs(5));
    }
    assert!(ended.elapsed() >= UNUSED - Duration::from_secs(1));
}

#[tokio::test]
async fn end_of_a_link_ends_no_stream_of_a_connection_for_streams() {
    let (target, mut accepting) = accepting(1);
    let peer = endpoint(2);
    let (dialled, accepted) = connect(&peer, &target, key(1).public()).await;
    let (link, other) = (Side::new(1, dialled), Side::new(1, accepted));
    let (connection, _) = hostile(&peer, &target, 1).await;
    let (mut send, _recv) = begin(&connection).await.unwrap();
    let mut incoming = next(&mut accepting).await;
    link.link.close(crate::wire::Reason::Unneeded.code(), "");
    assert!(matches!(other.until_closed().await.1, LinkClosed::ByPeer { .. }));
    assert!(matches!(link.until_closed().await.1, LinkClosed::ByUs));
    send.write_all(b"still here").await.unwrap();
    assert_eq!(incoming.recv.chunk().await.unwrap().unwrap(), b"still here"[..]);
    assert!(target.streams().way(&key(2).public(), true).unwrap().is_own());
}

#[tokio::test]
async fn only_what_nobody_can_have_heard_is_said_again() {
    use crate::net::NotOpened;
    use crate::wire::Reason;
    let (peer, target, name) = (endpoint(2), endpoint(1), name());
    peer.streams().belongs_to(network());
    // The other end takes a stream, and then gives the connection up.
    let gives_up = async |connection: crate::net::carried::Carried| {
        connection.allow(0, 1);
        let _taken = connection.accept_both_ways().await.unwrap();
        connection.close(Reason::Unneeded.code(), b"");
    };
    let addr = target.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(peer.connect_for_streams(key(1).public(), addr), target.accept());
    let way = dialled.unwrap().use_for_streams().unwrap();
    let other = accepted.unwrap().unwrap().into_parts().0;
    let (opened, ()) = tokio::join!(open(peer.streams(), way, &name, Some(b"?")), gives_up(other));
    assert!(matches!(opened.map(drop), Err(NotOpened::Unheard(LinkClosed::ByPeer { .. }))));
    // A link is given up whatever is on it.
    let (dialled, accepted) = connect(&peer, &target, key(1).public()).await;
    let side = Side::new(1, dialled);
    let way = peer.streams().way(&key(1).public(), true).unwrap();
    let other = accepted.into_parts().0;
    let (opened, ()) = tokio::join!(open(peer.streams(), way, &name, Some(b"?")), gives_up(other));
    assert!(matches!(opened.map(drop), Err(NotOpened::Lost(LinkClosed::ByPeer { .. }))));
    drop(side);
}

#[tokio::test]
async fn peers_that_do_not_let_their_streams_be_accepted_take_no_place_of_those_that_wait() {
    use crate::net::identity::{Identity, SERVER_NAME};
    use crate::net::streams::WAITING;
    use crate::net::transport::STREAMS_ALPN;
    let (target, mut accepting) = accepting(1);
    let addr = target.local_addr().unwrap();
    // Given as many streams as may wait, of peers that give no byte of credit for an answer.
    let mut held = Vec::new();
    for number in 2..4 {
        let (mut config, _) =
            Identity::new(&key(number)).client_config(key(1).public(), STREAMS_ALPN).unwrap();
        let mut transport = quinn::TransportConfig::default();
        transport.stream_receive_window(quinn::VarInt::from_u32(0));
        config.transport_config(std::sync::Arc::new(transport));
        for _ in 0..INBOUND_OF_A_PEER {
            let client = quinn::Endpoint::client(ANY).unwrap();
            let dial = client.connect_with(config.clone(), addr, SERVER_NAME).unwrap();
            let (dialled, accepted) = tokio::join!(dial, target.accept());
            assert!(accepted.unwrap().unwrap().serve_streams(None));
            let connection = dialled.unwrap();
            for _ in 0..STREAMS_OF_A_CONNECTION {
                let (mut send, recv) = connection.open_bi().await.unwrap();
                send.write_all(&header_of(&network(), &name())).await.unwrap();
                held.push((send, recv));
            }
            held.last_mut().unwrap().0.set_priority(0).unwrap();
            std::mem::forget((client, connection));
        }
    }
    assert!(held.len() >= WAITING);
    while target.streams().stats().open < u32::try_from(WAITING).unwrap() {
        tokio::task::yield_now().await;
    }
    // Then another's is taken all the same.
    let honest = endpoint(9);
    let (connection, _) = hostile(&honest, &target, 1).await;
    assert!(begin(&connection).await.is_ok());
    assert_eq!(next(&mut accepting).await.peer, key(9).public());
}

#[tokio::test]
async fn connection_for_streams_carries_no_lane() {
    let (target, _accepting) = accepting(1);
    let peer = endpoint(2);
    let (connection, _) = hostile(&peer, &target, 1).await;
    let mut lane = connection.open_uni().await.unwrap();
    lane.write_all(&[0; 100]).await.unwrap();
    let closed = tokio::time::timeout(WATCHDOG, connection.closed()).await.unwrap();
    assert!(matches!(closed, quinn::ConnectionError::ApplicationClosed(_)), "{closed}");
}

#[tokio::test]
async fn streams_end_with_their_node_on_a_socket_of_the_application() {
    let socket = quinn::Endpoint::client(ANY).unwrap();
    let target = Endpoint::from_quinn(socket.clone(), &key(1), GateConfig::default()).unwrap();
    target.streams().belongs_to(network());
    let _accepting = target.streams().accept(name()).unwrap();
    let peer = endpoint(2);
    let (connection, _) = hostile(&peer, &target, 1).await;
    let _stream = begin(&connection).await.unwrap();
    target.close().await;
    let closed = tokio::time::timeout(WATCHDOG, connection.closed()).await.unwrap();
    assert!(matches!(closed, quinn::ConnectionError::ApplicationClosed(_)), "{closed}");
    assert!(target.streams().way(&key(2).public(), true).is_none());
}
