//! Links and streams of applications over a carrier that is not QUIC, with a clock that stands still: what they need is in the trait.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::net::carried::Carried;
use crate::net::limits::STREAM_WINDOW;
use crate::net::memory::pair;
use crate::net::streams::{Desk, STREAMS_OF_A_LINK, UNUSED_ACCEPTED};
use crate::net::transport::Purpose;
use crate::net::{NotOpened, Opened, ProtocolName, open};
use crate::rumor::NetworkId;
use crate::wire::Reason;

/// So long all takes one way.
const DELAY: Duration = Duration::from_millis(20);

fn name(name: &str) -> ProtocolName {
    ProtocolName::new(name).unwrap()
}

/// Both ends of a connection, as they are when its handshake is done.
fn carried(for_streams: bool, desks: [&Desk; 2]) -> [Connection; 2] {
    let purpose = if for_streams { Purpose::Streams } else { Purpose::Gossip };
    let [dialled, accepted] = pair([1, 2].map(|number| (key(number).public(), ANY)), purpose, DELAY);
    let end = |carrier, dialled, desk: &Desk| {
        Connection::new(Carried::new(carrier).unwrap(), dialled, desk.clone())
    };
    [end(dialled, true, desks[0]), end(accepted, false, desks[1])]
}

fn two_sides() -> (Side, Side) {
    let desk = Desk::default();
    let [dialled, accepted] = carried(false, [&desk, &desk]);
    (Side::new(1, dialled), Side::new(2, accepted))
}

#[tokio::test(start_paused = true)]
async fn frames_cross_and_a_goodbye_comes_after_all_of_them() {
    let (a, b) = two_sides();
    for lane in Lane::ALL {
        for number in 0..100u8 {
            assert!(a.link.send(lane, Bytes::copy_from_slice(&[number, lane as u8])));
        }
    }
    a.link.close(Reason::Shutdown.code(), "bye");
    let (frames, why) = b.until_closed().await;
    assert_eq!(why, LinkClosed::ByPeer { code: Reason::Shutdown.code(), reason: "bye".into() });
    for lane in Lane::ALL {
        let of_lane: Vec<_> = frames.iter().filter(|(of, _)| *of == lane).map(|(_, frame)| frame).collect();
        assert_eq!(of_lane.len(), 100, "{lane:?}");
        assert!(of_lane.iter().zip(0..).all(|(frame, number): (_, u8)| frame[..] == [number, lane as u8]));
    }
    assert_eq!(a.why_closed().await, LinkClosed::ByUs);
}

#[tokio::test(start_paused = true)]
async fn lane_that_is_not_read_holds_a_window_and_no_other_lane() {
    let (mut a, mut b) = two_sides();
    b.link.pause_reading(Lane::History);
    for _ in 0..2_000 {
        a.link.send(Lane::History, Bytes::from(vec![1; 1_000]));
    }
    a.link.send(Lane::Rumors, Bytes::from_static(b"new"));
    assert_eq!(b.frames().await, (Lane::Rumors, vec![Bytes::from_static(b"new")]));
    let mut written = 0;
    while let Ok(event) = timeout(Duration::from_secs(5), a.next()).await {
        match event {
            LinkEvent::Written { bytes, lane: Lane::History, .. } => written += bytes,
            LinkEvent::Written { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=STREAM_WINDOW as usize).contains(&written), "{written} bytes");
    b.link.resume_reading(Lane::History);
    let mut heard = 0;
    while heard < 2_000 {
        tokio::select! {
            event = a.next() => assert!(matches!(event, LinkEvent::Written { .. })),
            (lane, frames) = b.frames() => {
                assert_eq!(lane, Lane::History);
                heard += frames.len();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn offence_closes_the_link_with_its_code() {
    let desk = Desk::default();
    let [dialled, accepted] = carried(false, [&desk, &desk]);
    let side = Side::new(1, accepted);
    let (carrier, _) = dialled.into_parts();
    let mut lane = carrier.open_one_way().await.unwrap();
    let said = [&[Lane::Rumors as u8][..], &u32::MAX.to_le_bytes()].concat();
    lane.write_chunks(&mut [Bytes::from(said)]).await.unwrap();
    assert_eq!(side.why_closed().await, LinkClosed::FrameTooLong { len: u32::MAX });
    let why = carrier.closed().await;
    assert!(matches!(why, LinkClosed::ByPeer { code, .. } if code == crate::net::code::FRAME_TOO_LONG));
}

/// Both ends of a connection for streams alone, where one accepts a protocol.
fn for_streams() -> ([Desk; 2], crate::net::Accepting) {
    let desks = [Desk::default(), Desk::default()];
    desks.iter().for_each(|desk| desk.belongs_to(NetworkId::of("carried")));
    let accepting = desks[1].accept(name("test/1")).unwrap();
    let [dialled, accepted] = carried(true, [&desks[0], &desks[1]]);
    assert!(dialled.is_for_streams() && dialled.serve_streams(None) && accepted.serve_streams(None));
    (desks, accepting)
}

#[tokio::test(start_paused = true)]
async fn applications_speak_and_a_refused_protocol_is_told() {
    let (desks, mut accepting) = for_streams();
    let way = || desks[0].way(&key(2).public(), true).unwrap();
    let refused = open(&desks[0], way(), &name("other/1"), None).await.err();
    assert_eq!(refused, Some(NotOpened::NotAccepted));
    let test = name("test/1");
    let (opened, incoming) = tokio::join!(open(&desks[0], way(), &test, None), accepting.incoming.recv());
    let (Opened { send, mut recv }, mut incoming) = (opened.unwrap(), incoming.unwrap());
    let long = vec![7; 3 * STREAM_WINDOW as usize];
    let (sent, heard) = tokio::join!(send.finish_with(&long), incoming.recv.read_to_end(long.len()));
    sent.unwrap();
    assert_eq!(heard.unwrap(), long);
    incoming.send.reset(7);
    assert_eq!(recv.chunk().await, Err(crate::net::StreamError::Reset { code: 7 }));
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_their_connection_ends_when_nobody_uses_it() {
    let desks = [Desk::default(), Desk::default()];
    desks.iter().for_each(|desk| desk.belongs_to(NetworkId::of("carried")));
    let _accepting = desks[1].accept(name("test/1")).unwrap();
    let [dialled, accepted] = carried(false, [&desks[0], &desks[1]]);
    let (carrier, _) = dialled.into_parts();
    let side = Side::new(1, accepted);
    let mut streams = Vec::new();
    for _ in 0..STREAMS_OF_A_LINK {
        let opened = timeout(Duration::from_secs(1), carrier.open_both_ways());
        streams.push(opened.await.expect("a stream").unwrap());
    }
    assert!(timeout(Duration::from_secs(1), carrier.open_both_ways()).await.is_err(), "one too many");
    drop((streams, carrier));
    assert!(matches!(side.why_closed().await, LinkClosed::ByPeer { .. }));
    // One for streams alone ends by itself.
    let (desks, _accepting) = for_streams();
    assert!(desks[0].way(&key(2).public(), true).is_some());
    tokio::time::sleep(UNUSED_ACCEPTED * 2).await;
    assert!(desks[0].way(&key(2).public(), true).is_none());
    assert_eq!(desks[1].stats().connections, 0);
}
