//! What a network in memory does to connections, in time that is paused.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::ends::connect;
use super::line::{Kind, Line};
use super::*;
use crate::key::SecretKey;
use crate::net::carried::Carried;
use crate::net::config::GateConfig;
use crate::net::entrance::READY;
use crate::net::transport::{IDLE_TIMEOUT, KEEP_ALIVE, Purpose, STREAM_WINDOW};
use crate::net::{Endpoint, LinkClosed, code};
use crate::protocol::DialError;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const DELAY: Duration = Duration::from_millis(50);

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn at(network: &MemoryNetwork, number: u8, listen: SocketAddr) -> io::Result<Endpoint> {
    let place = network.transport(key(number).public(), listen)?;
    Endpoint::over(Arc::new(place), GateConfig::default()).map_err(io::Error::other)
}

fn endpoint(network: &MemoryNetwork, number: u8) -> Endpoint {
    at(network, number, ANY).unwrap()
}

/// Both ends of a connection between nobody in particular.
fn line() -> (Arc<Line>, [Carried; 2]) {
    let (line, ends) = connect([1, 2].map(|number| (key(number).public(), ANY)), Purpose::Gossip, DELAY);
    (line, ends.map(|end| Carried::new(end).unwrap()))
}

/// Both ends of a connection between two nodes of the network.
async fn linked(from: &Endpoint, to: &Endpoint, number: u8) -> [Carried; 2] {
    let addr = to.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(from.connect(key(number).public(), addr), to.accept());
    [dialled.unwrap(), accepted.unwrap().unwrap()].map(|connection| connection.into_parts().0)
}

#[tokio::test(start_paused = true)]
async fn all_takes_the_delay_and_comes_in_order() {
    let network = MemoryNetwork::with_delay(DELAY);
    let (a, b) = (endpoint(&network, 1), endpoint(&network, 2));
    let began = Instant::now();
    let [here, there] = linked(&a, &b, 2).await;
    assert_eq!(began.elapsed(), DELAY * 2, "a handshake is a round trip");
    assert_eq!((here.round_trip(), here.remote()), (DELAY * 2, b.local_addr().unwrap()));
    let mut lane = here.open_one_way().await.unwrap();
    let began = Instant::now();
    lane.write_all(b"one ").await.unwrap();
    lane.write_all(b"two").await.unwrap();
    lane.finish();
    let (mut heard, mut read) = (there.accept_one_way().await.unwrap(), [0; 7]);
    assert!(heard.read_exact(&mut read).await.unwrap());
    assert_eq!((began.elapsed(), &read), (DELAY, b"one two"));
    assert_eq!(heard.read_chunk(9).await, Ok(None));
    assert_eq!(lane.stopped().await, Ok(None));
    assert_eq!(began.elapsed(), DELAY * 2, "that it is there is known after a round trip");
    here.close(7, "bye ".repeat(1_000).as_bytes());
    // Words are cut, as over QUIC.
    assert_eq!(there.closed().await, LinkClosed::ByPeer { code: 7, reason: "bye ".repeat(64) });
    assert_eq!((began.elapsed(), here.close_reason()), (DELAY * 3, Some(LinkClosed::ByUs)));
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_waits_and_is_heard_when_it_heals() {
    let network = MemoryNetwork::with_delay(DELAY);
    let (a, b) = (endpoint(&network, 1), endpoint(&network, 2));
    let [here, there] = linked(&a, &b, 2).await;
    let mut lane = here.open_one_way().await.unwrap();
    lane.write_all(b"a").await.unwrap();
    let mut heard = there.accept_one_way().await.unwrap();
    assert_eq!(heard.read_chunk(9).await.unwrap().unwrap(), "a");
    network.cut(key(2).public(), key(1).public());
    lane.write_all(b"b").await.unwrap();
    let came = there.heard();
    assert!(timeout(IDLE_TIMEOUT / 2, heard.read_chunk(9)).await.is_err());
    assert_eq!(there.heard(), came, "nothing comes, not even signs of life");
    network.heal(key(1).public(), key(2).public());
    let began = Instant::now();
    assert_eq!(heard.read_chunk(9).await.unwrap().unwrap(), "b");
    assert_eq!(began.elapsed(), DELAY);
    tokio::time::sleep(KEEP_ALIVE * 2).await;
    assert!(there.heard() > came + 1, "a line that is quiet is alive");
    // For longer than connections bear.
    network.cut(key(1).public(), key(2).public());
    let began = Instant::now();
    assert_eq!(timeout(IDLE_TIMEOUT * 2, here.closed()).await, Ok(LinkClosed::TimedOut));
    assert_eq!((began.elapsed(), there.close_reason()), (IDLE_TIMEOUT, Some(LinkClosed::TimedOut)));
    let dialled = a.connect(key(2).public(), b.local_addr().unwrap()).await;
    assert!(matches!(dialled, Err(DialError::TimedOut { .. })));
    // Others are not cut, and a handshake goes on when it can.
    let c = endpoint(&network, 3);
    linked(&c, &b, 2).await;
    let (addr, began) = (b.local_addr().unwrap(), Instant::now());
    let heals = async {
        tokio::time::sleep(DELAY * 3).await;
        network.heal_all();
    };
    let (dialled, ()) = tokio::join!(a.connect(key(2).public(), addr), heals);
    assert_eq!((dialled.is_ok(), began.elapsed()), (true, DELAY * 5));
}

#[tokio::test(start_paused = true)]
async fn who_has_vanished_says_nothing_and_its_next_life_is_reached() {
    let network = MemoryNetwork::new();
    let (a, b) = (endpoint(&network, 1), endpoint(&network, 2));
    let addr = b.local_addr().unwrap();
    let [here, there] = linked(&a, &b, 2).await;
    network.vanish(key(2).public());
    there.close(7, b"bye");
    drop(there);
    assert!(timeout(IDLE_TIMEOUT / 2, here.closed()).await.is_err(), "a word of the dead");
    let again = at(&network, 2, addr).unwrap();
    linked(&a, &again, 2).await;
    assert_eq!(here.closed().await, LinkClosed::TimedOut);
    // What is left of the first life takes nothing from the second, nor does it end by itself.
    assert!(timeout(IDLE_TIMEOUT, b.accept()).await.is_err());
    b.close().await;
    linked(&a, &again, 2).await;
}

#[tokio::test(start_paused = true)]
async fn dials_fail_as_over_the_network() {
    let network = MemoryNetwork::with_delay(DELAY);
    let (a, b) = (endpoint(&network, 1), endpoint(&network, 2));
    let (addr, nowhere) = (b.local_addr().unwrap(), SocketAddr::from(([127, 0, 0, 1], 9_999)));
    let dialled = a.connect(key(3).public(), addr).await.unwrap_err();
    let (expected, answered) = (key(3).public(), key(2).public());
    assert!(dialled == DialError::WrongKey { addr, expected, answered }, "{dialled}");
    let began = Instant::now();
    let dialled = a.connect(key(2).public(), nowhere).await.unwrap_err();
    assert_eq!(dialled, DialError::TimedOut { addr: nowhere, peer: answered });
    assert_eq!(began.elapsed(), HANDSHAKE_DEADLINE);
    let [here, _there] = linked(&a, &b, 2).await;
    b.close().await;
    assert!(matches!(here.closed().await, LinkClosed::ByPeer { code: 0, .. }));
    assert!(matches!(b.connect(key(1).public(), a.local_addr().unwrap()).await, Err(DialError::Closed)));
    assert!(b.accept().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn connections_that_nobody_takes_are_as_many_as_over_quic() {
    let network = MemoryNetwork::new();
    let (a, b) = (endpoint(&network, 1), endpoint(&network, 2));
    let (addr, mut taken) = (b.local_addr().unwrap(), Vec::new());
    let gate = GateConfig::default().half_open as usize;
    let refused = loop {
        match a.connect(key(2).public(), addr).await {
            Ok(connection) => taken.push(connection.into_parts().0),
            Err(refused) => break refused,
        }
        assert!(taken.len() <= READY + gate, "one too many");
        tokio::task::yield_now().await;
    };
    assert_eq!((refused, taken.len()), (DialError::Refused { addr, peer: key(2).public() }, READY + gate));
    assert_eq!(b.refusals().half_open, 1);
    // Those for whom there is no room are told so in time.
    let last = taken.last().unwrap();
    assert!(matches!(last.closed().await, LinkClosed::ByPeer { code: code::NOT_TAKEN, .. }));
    assert_eq!((b.refusals().not_taken, taken.first().unwrap().close_reason()), (gate as u64, None));
}

#[tokio::test(start_paused = true)]
async fn stream_that_is_not_read_holds_a_window_however_small_its_pieces() {
    // A piece of a byte takes the room of so many.
    for (piece, most) in [(1, STREAM_WINDOW as usize / 64 + 1), (100_000, 8)] {
        let (line, [here, there]) = line();
        let mut lane = here.open_one_way().await.unwrap();
        let piece = Bytes::from(vec![7; piece]);
        let mut written = 0;
        let writes = async {
            loop {
                written += lane.write_chunks(&mut [piece.clone()]).await.unwrap().bytes;
                assert!(written <= STREAM_WINDOW as usize, "{written} bytes");
            }
        };
        assert!(timeout(DELAY * 3, writes).await.is_err(), "it has no end");
        let waits = line.with(|state| state.waits());
        assert!(waits <= most, "{waits} pieces");
        // All of it is there, and then there is room for as much.
        let mut heard = there.accept_one_way().await.unwrap();
        let mut read = vec![0; written];
        assert!(heard.read_exact(&mut read).await.unwrap());
        let mut more = 0;
        let writes = async {
            loop {
                more += lane.write_chunks(&mut [piece.clone()]).await.unwrap().bytes;
            }
        };
        assert!(timeout(DELAY * 3, writes).await.is_err());
        assert_eq!(more, written);
    }
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_over_leave_nothing_behind() {
    let (line, [here, there]) = line();
    there.allow(1, 1);
    for number in 0..100u8 {
        let (mut send, mut recv) = here.open_both_ways().await.unwrap();
        assert!(timeout(DELAY * 3, here.open_both_ways()).await.is_err(), "one too many");
        send.write_all(&[number]).await.unwrap();
        let (mut answer, mut heard) = there.accept_both_ways().await.unwrap();
        assert_eq!(heard.read_chunk(9).await.unwrap().unwrap()[..], [number]);
        match number % 3 {
            0 => answer.reset(5),
            1 => heard.stop(6),
            _ => drop(answer.finish()),
        }
        drop((answer, heard));
        let ended = recv.read_chunk(9).await;
        assert_eq!(ended.is_err(), number % 3 == 0, "{ended:?}");
    }
    tokio::time::sleep(DELAY * 3).await;
    assert_eq!(line.with(|state| (state.waits(), state.pipes())), (0, 0));
    let last = line.with(|state| state.open(super::line::End::Dialled, Kind::OneWay));
    assert!(last.is_some_and(|last| last.is_ok()));
}

#[tokio::test(start_paused = true)]
async fn addresses_are_what_was_asked_for() {
    let network = MemoryNetwork::new();
    let at = |listen: &str| {
        let endpoint = at(&network, 1, listen.parse().unwrap());
        endpoint.map(|endpoint| (endpoint.local_addr().unwrap().to_string(), endpoint))
    };
    let first = at("0.0.0.0:0").unwrap();
    assert_eq!(first.0, "127.0.0.1:1");
    assert_eq!(at("[::]:0").unwrap().0, "[::1]:2");
    assert_eq!(at("10.0.0.7:44").unwrap().0, "10.0.0.7:44");
    let second = at("0.0.0.0:4").unwrap();
    assert_eq!(at("0.0.0.0:0").unwrap().0, "127.0.0.1:3");
    assert_eq!(at("0.0.0.0:0").unwrap().0, "127.0.0.1:5", "the fourth is taken");
    assert_eq!(at(&second.0).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(second);
    // Its task that takes others in ends.
    tokio::task::yield_now().await;
    assert!(at("127.0.0.1:4").is_ok(), "who is gone leaves its address");
}
