//! What streams of applications take from each other, and from the gossip with which they share a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::streams::{accepting, begin, hostile, name, network, next};
use super::*;
use crate::net::limits::STREAM_WINDOW;
use crate::net::streams::{BURST, PER_SECOND, STREAMS_OF_A_LINK, STREAMS_OF_A_PEER, header_of, refused};
use crate::net::transport::ReadFailed;
use crate::net::{IncomingStream, MemoryNetwork, Opened, ProtocolName, RecvStream, SendStream, open};

/// A link from endpoint 2 to endpoint 1, which accepts streams.
async fn linked(target: &Endpoint) -> (Side, Side, Endpoint) {
    let peer = endpoint(2);
    peer.streams().belongs_to(network());
    let (dialled, accepted) = connect(&peer, target, key(1).public()).await;
    (Side::new(1, dialled), Side::new(2, accepted), peer)
}

async fn open_over_link(peer: &Endpoint) -> Opened {
    let way = peer.streams().way(&key(1).public(), true).unwrap();
    assert!(!way.is_own());
    open(peer.streams(), way, &name(), None).await.unwrap_or_else(|why| panic!("{why:?}"))
}

#[tokio::test]
async fn streams_that_have_ended_hold_places_until_the_application_drops_them() {
    let (target, mut accepting) = accepting(1);
    let peer = endpoint(2);
    let (connection, _) = hostile(&peer, &target, 1).await;
    let mut held = Vec::new();
    for _ in 0..STREAMS_OF_A_PEER {
        // Both ends have said all, so there is always room for one more on the connection.
        let (mut send, mut recv) = begin(&connection).await.unwrap();
        send.finish().unwrap();
        let mut stream = next(&mut accepting).await;
        stream.send.finish().unwrap();
        assert_eq!(stream.recv.chunk().await, Ok(None));
        assert_eq!(recv.read(&mut [0]).await.unwrap(), None);
        held.push(stream);
    }
    let refused = begin(&connection).await.map(drop);
    assert_eq!(refused, Err(u64::from(refused::BUSY)));
    let stats = target.streams().stats();
    assert_eq!((stats.open, stats.busy), (STREAMS_OF_A_PEER, 1));
    // What one peer holds is its own.
    let (other, _) = hostile(&endpoint(3), &target, 1).await;
    assert!(begin(&other).await.is_ok());
    held.pop();
    assert!(begin(&connection).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn streams_that_come_faster_than_their_pace_wait_at_the_peer() {
    let memory = MemoryNetwork::new();
    let [target, peer] = [1, 2].map(|number| {
        let transport = memory.transport(key(number).public(), ANY).unwrap();
        Endpoint::over(Arc::new(transport), GateConfig::default()).unwrap()
    });
    target.streams().belongs_to(network());
    let _accepting = target.streams().accept(name()).unwrap();
    let addr = target.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(peer.connect_for_streams(key(1).public(), addr), target.accept());
    assert!(accepted.unwrap().unwrap().serve_streams(None));
    let connection = dialled.unwrap().into_parts().0;
    let header = header_of(&network(), &ProtocolName::new("other/1").unwrap());
    let began = Instant::now();
    for _ in 0..2 * BURST {
        let (mut send, mut recv) = connection.open_both_ways().await.unwrap();
        // Nobody accepts it, so it is over at once.
        send.write_all(&header).await.unwrap();
        assert_eq!(recv.read_chunk(1).await, Err(ReadFailed::Reset(refused::NOT_ACCEPTED.into())));
    }
    let least = Duration::from_secs(1) * BURST / PER_SECOND;
    assert!(began.elapsed() >= least - Duration::from_millis(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn streams_that_nobody_reads_hold_up_no_lane() {
    let (target, mut accepting) = accepting(1);
    let (mut here, mut there, peer) = linked(&target).await;
    // Given as many streams as there may be over a link, each with as much as it takes that nobody reads.
    let mut unread = Vec::new();
    for _ in 0..STREAMS_OF_A_LINK {
        let mut opened = open_over_link(&peer).await;
        let full = vec![7; STREAM_WINDOW as usize - header_of(&network(), &name()).len()];
        timeout(WATCHDOG, opened.send.write_all(&full)).await.expect("a window for each").unwrap();
        unread.push((opened, next(&mut accepting).await));
    }
    // Then the lanes carry on.
    for _ in 0..20 {
        assert!(here.link.send(Lane::Replies, vec![1; 60_000].into()));
    }
    let mut frames = 0;
    while frames < 20 {
        tokio::select! {
            (_, more) = there.frames() => frames += more.len(),
            _ = here.next() => {}
        }
    }
}

/// Bytes of a stream that have come when all frames have that were said after them.
async fn not_overtaken(send: &mut SendStream, recv: &mut RecvStream, [from, to]: [&mut Side; 2]) -> usize {
    const FRAMES: usize = 4;
    let each = STREAM_WINDOW as usize / 2 / FRAMES;
    send.write_all(&vec![7; FRAMES * each]).await.unwrap();
    for _ in 0..FRAMES {
        assert!(from.link.send(Lane::Replies, vec![1; each].into()));
    }
    let (mut heard, mut frames) = (0, 0);
    while frames < FRAMES {
        tokio::select! {
            chunk = recv.chunk() => heard += chunk.unwrap().unwrap().len(),
            (_, more) = to.frames() => frames += more.len(),
            _ = from.next() => {}
        }
    }
    heard
}

#[tokio::test]
async fn gossip_goes_before_the_streams_of_its_link() {
    let (target, mut accepting) = accepting(1);
    let (mut here, mut there, peer) = linked(&target).await;
    let (opened, incoming) = tokio::join!(open_over_link(&peer), next(&mut accepting));
    let Opened { mut send, mut recv } = opened;
    let IncomingStream { send: mut back, recv: mut heard, .. } = incoming;
    let most = STREAM_WINDOW as usize / 4;
    // What is on its way when the first frame is said is not called back.
    let bytes = not_overtaken(&mut send, &mut heard, [&mut here, &mut there]).await;
    assert!(bytes < most, "{bytes} bytes of who has opened it");
    let bytes = not_overtaken(&mut back, &mut recv, [&mut there, &mut here]).await;
    assert!(bytes < most, "{bytes} bytes of who has accepted it");
}
