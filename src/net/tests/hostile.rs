use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::limits::IDLE_TIMEOUT;
use super::*;
use crate::net::closed::code;
use crate::net::reader::{FINISH_GRACE, FRAME_DEADLINE};
use crate::wire::MAX_FRAME_LEN;

#[tokio::test]
async fn the_longest_frame_passes_and_one_byte_more_is_an_offence() {
    let (mut side, mut bare, _node) = link_and_bare().await;
    bare.open_lane(Lane::Rumors).await.unwrap();
    bare.send_frame(Lane::Rumors, &vec![1; MAX_FRAME_LEN]).await.unwrap();
    assert_eq!(side.frames().await.1[0].len(), MAX_FRAME_LEN);
    bare.send_raw(Lane::Rumors, &(MAX_FRAME_LEN as u32 + 1).to_le_bytes()).await.unwrap();
    let why = side.why_closed().await;
    assert_eq!(why, LinkClosed::FrameTooLong { len: MAX_FRAME_LEN as u32 + 1 });
    assert_eq!(bare.closed().await.0, u64::from(code::FRAME_TOO_LONG));
}

#[tokio::test]
async fn declared_4gib_closes_the_link() {
    let (side, mut bare, _node) = link_and_bare().await;
    bare.open_lane(Lane::Control).await.unwrap();
    bare.send_frame(Lane::Control, b"good").await.unwrap();
    bare.send_raw(Lane::Control, &[0xff; 4]).await.unwrap();
    let (frames, why) = side.until_closed().await;
    assert_eq!(why, LinkClosed::FrameTooLong { len: u32::MAX });
    assert_eq!(frames, [(Lane::Control, Bytes::from_static(b"good"))], "what came before counts");
}

#[tokio::test]
async fn an_empty_frame_closes_the_link() {
    let (side, mut bare, _node) = link_and_bare().await;
    bare.open_lane(Lane::Replies).await.unwrap();
    bare.send_frame(Lane::Replies, b"").await.unwrap();
    assert_eq!(side.why_closed().await, LinkClosed::FrameTooLong { len: 0 });
}

#[tokio::test]
async fn an_offence_just_before_a_goodbye_is_still_seen() {
    let (side, mut bare, _node) = link_and_bare().await;
    bare.open_lane(Lane::Control).await.unwrap();
    bare.send_frame(Lane::Control, b"").await.unwrap();
    bare.finish_lane(Lane::Control).unwrap();
    assert_eq!(side.why_closed().await, LinkClosed::FrameTooLong { len: 0 });
}

#[tokio::test]
async fn an_unknown_lane_and_a_lane_opened_twice_break_the_order() {
    let (side, bare, _node) = link_and_bare().await;
    let mut stream = bare.quinn().open_uni().await.unwrap();
    stream.write_all(&[Lane::COUNT as u8]).await.unwrap();
    assert_eq!(side.why_closed().await, LinkClosed::ProtocolOrder);

    let (side, mut bare, _node) = link_and_bare().await;
    bare.open_lane(Lane::Rumors).await.unwrap();
    bare.open_lane(Lane::Rumors).await.unwrap();
    assert_eq!(side.why_closed().await, LinkClosed::ProtocolOrder);
    assert_eq!(bare.closed().await.0, u64::from(code::PROTOCOL_ORDER));
}

#[tokio::test]
async fn a_lane_that_ends_while_the_link_lives_breaks_the_order() {
    let (side, bare, _node) = link_and_bare_in_virtual_time().await;
    let mut stream = bare.quinn().open_uni().await.unwrap();
    stream.write_all(&[Lane::Rumors as u8]).await.unwrap();
    stream.finish().unwrap();
    let began = Instant::now();
    assert_eq!(side.why_closed().await, LinkClosed::ProtocolOrder);
    assert!(began.elapsed() >= FINISH_GRACE - Duration::from_millis(10), "a closing peer has time");
}

#[tokio::test]
async fn a_lane_that_is_reset_breaks_the_order() {
    let (side, bare, _node) = link_and_bare_in_virtual_time().await;
    let mut stream = bare.quinn().open_uni().await.unwrap();
    stream.write_all(&[Lane::Rumors as u8]).await.unwrap();
    stream.reset(quinn::VarInt::from_u32(1)).unwrap();
    assert_eq!(side.why_closed().await, LinkClosed::ProtocolOrder);
}

#[tokio::test]
async fn unexpected_streams_and_datagrams_are_harmless() {
    let (mut side, mut bare, _node) = link_and_bare().await;
    for lane in Lane::ALL {
        bare.open_lane(lane).await.unwrap();
    }
    assert!(bare.quinn().send_datagram(Bytes::from_static(b"hi")).is_err());
    let mut one_more = Box::pin(async { bare.quinn().open_uni().await });
    tokio::select! {
        biased;
        _ = &mut one_more => panic!("a sixth stream"),
        () = std::future::ready(()) => {}
    }
    drop(one_more);
    // Streams both ways are for applications: on this one nobody says what it is for.
    let (mut send, mut recv) = bare.quinn().open_bi().await.unwrap();
    send.finish().unwrap();
    assert!(matches!(recv.read(&mut [0]).await, Err(quinn::ReadError::Reset(_))));
    bare.send_frame(Lane::Control, b"still here").await.unwrap();
    assert_eq!(side.frames().await.1, [&b"still here"[..]]);
}

#[tokio::test]
async fn a_frame_that_never_ends_is_too_slow() {
    let (side, mut bare, _node) = link_and_bare_in_virtual_time().await;
    let began = Instant::now();
    bare.open_lane(Lane::Rumors).await.unwrap();
    let dribble = async {
        bare.send_raw(Lane::Rumors, &1000u32.to_le_bytes()).await.unwrap();
        // A byte every second is progress, and still too slow.
        while bare.send_raw(Lane::Rumors, &[1]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (_, why) = tokio::join!(dribble, side.why_closed());
    assert_eq!(why, LinkClosed::FrameTooSlow);
    assert!((8..=12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(bare.closed().await.0, u64::from(code::FRAME_TOO_SLOW));
}

/// A peer is admitted by its address, so it must not take the link along to another one.
#[tokio::test]
async fn a_link_that_moves_to_another_address_is_not_followed() {
    let (mut side, mut bare, _node) = link_and_bare_in_virtual_time().await;
    bare.open_lane(Lane::Rumors).await.unwrap();
    bare.send_frame(Lane::Rumors, b"from home").await.unwrap();
    assert_eq!(side.frames().await.1, [&b"from home"[..]]);
    let began = Instant::now();
    bare.rebind().unwrap();
    bare.send_frame(Lane::Rumors, b"from elsewhere").await.unwrap();
    let (heard, why) = side.until_closed().await;
    assert!(heard.is_empty(), "an address was followed: {heard:?}");
    assert_eq!(why, LinkClosed::TimedOut);
    assert!(began.elapsed() <= IDLE_TIMEOUT + Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_clock_of_a_frame_stands_still_while_we_do_not_read() {
    let (mut side, mut bare, _node) = link_and_bare_in_virtual_time().await;
    bare.open_lane(Lane::Rumors).await.unwrap();
    bare.send_frame(Lane::Rumors, b"first").await.unwrap();
    bare.send_raw(Lane::Rumors, &4u32.to_le_bytes()).await.unwrap();
    side.frames().await;
    Lane::ALL.iter().for_each(|lane| side.link.pause_reading(*lane));
    let quiet =
        timeout(FRAME_DEADLINE * 3, async { while let LinkEvent::Written { .. } = side.next().await {} });
    assert!(quiet.await.is_err(), "we are the ones who don't read");
    Lane::ALL.iter().for_each(|lane| side.link.resume_reading(*lane));
    bare.send_raw(Lane::Rumors, b"done").await.unwrap();
    assert_eq!(side.frames().await.1, [&b"done"[..]]);
}

#[tokio::test]
async fn a_peer_that_never_reads_stops_one_lane_and_can_still_be_closed() {
    let (mut side, bare, _node) = link_and_bare_in_virtual_time().await;
    bare.stop_reading();
    for _ in 0..100 {
        side.link.send(Lane::Rumors, Bytes::from(vec![1; 10_000]));
        side.link.send(Lane::Control, Bytes::from(vec![1; 10_000]));
    }
    let mut written = 0;
    while let Ok(LinkEvent::Written { bytes, .. }) = timeout(Duration::from_secs(5), side.next()).await {
        written += bytes;
    }
    assert!(written <= 2 * 256 * 1024, "{written}");
    let began = Instant::now();
    side.link.close(9, "you don't read");
    assert_eq!(side.why_closed().await, LinkClosed::ByUs);
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(bare.closed().await, (9, "you don't read".to_owned()));
}

#[tokio::test]
async fn a_proof_just_before_a_goodbye_is_not_lost_while_the_node_is_busy() {
    let node = endpoint(1);
    let addr = node.local_addr().unwrap();
    let hostile = key(66);
    let (bare, accepted) = tokio::join!(BarePeer::connect(&hostile, key(1).public(), addr), node.accept());
    let bare = bare.unwrap();
    // The node is busy: its event channel is full.
    let (events_in, events) = mpsc::channel(1);
    events_in.try_send(LinkEvent::Written { link: LinkId(0), lane: Lane::Control, bytes: 0 }).unwrap();
    let side = Side { link: Link::spawn(LinkId(1), accepted.unwrap().unwrap(), events_in), events };

    let mut stream = bare.quinn().open_uni().await.unwrap();
    stream.write_all(&[Lane::Control as u8, 5, 0, 0, 0]).await.unwrap();
    stream.write_all(b"proof").await.unwrap();
    stream.finish().unwrap();
    stream.stopped().await.unwrap();
    bare.close(3, b"goodbye");
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(500)).await;

    let (frames, why) = side.until_closed().await;
    assert_eq!(frames, [(Lane::Control, Bytes::from_static(b"proof"))]);
    assert_eq!(why, LinkClosed::ByPeer { code: 3, reason: "goodbye".into() });
}

#[tokio::test]
async fn the_last_frames_of_a_closed_link_are_read() {
    let (side, bare, _node) = link_and_bare().await;
    bare.close(42, "ciao \u{e9}".as_bytes());
    assert_eq!(side.why_closed().await, LinkClosed::ByPeer { code: 42, reason: "ciao \u{e9}".into() });

    let (side, bare, _node) = link_and_bare().await;
    bare.quinn().close(quinn::VarInt::from_u64(1 << 40).unwrap(), &[0xff; 600]);
    match side.why_closed().await {
        LinkClosed::ByPeer { code: u32::MAX, reason } => assert!(reason.len() <= 256 && !reason.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn streams_that_end_at_once_get_no_more_readers_than_there_are_lanes() {
    let (side, bare, _node) = link_and_bare_in_virtual_time().await;
    // Each gives its place in QUIC back as soon as its end is read, long before its reader is done.
    let mut opened = 0;
    while let Ok(stream) = timeout(Duration::from_secs(1), bare.quinn().open_uni()).await {
        let Ok(mut stream) = stream else { break };
        stream.finish().unwrap();
        opened += 1;
        assert!(opened < 100, "ever more streams are read");
    }
    assert_eq!(side.why_closed().await, LinkClosed::ProtocolOrder);
}

#[tokio::test]
async fn the_end_of_a_link_that_is_not_read_is_noticed() {
    let (mut side, mut bare, _node) = link_and_bare().await;
    for lane in Lane::ALL {
        bare.open_lane(lane).await.unwrap();
        bare.send_frame(lane, b"here").await.unwrap();
        side.frames().await;
    }
    Lane::ALL.iter().for_each(|lane| side.link.pause_reading(*lane));
    bare.close(3, b"goodbye");
    assert_eq!(side.why_closed().await, LinkClosed::ByPeer { code: 3, reason: "goodbye".into() });
}
