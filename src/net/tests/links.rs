use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::net::limits::STREAM_WINDOW;
use crate::wire::MAX_FRAME_LEN;

#[tokio::test]
async fn frames_cross_on_all_lanes_both_ways() {
    let (mut a, mut b, _keep) = two_links().await;
    for lane in Lane::ALL {
        for number in 0..100u8 {
            assert!(a.link.send(lane, Bytes::copy_from_slice(&[number, lane as u8])));
            assert!(b.link.send(lane, Bytes::copy_from_slice(&[lane as u8, number])));
        }
    }
    let (mut to_a, mut to_b) = ([0u8; 3], [0u8; 3]);
    while to_b != [100; 3] {
        let (lane, frames) = b.frames().await;
        for frame in frames {
            assert_eq!(&frame[..], [to_b[lane.index()], lane as u8]);
            to_b[lane.index()] += 1;
        }
    }
    while to_a != [100; 3] {
        let (lane, frames) = a.frames().await;
        for frame in frames {
            assert_eq!(&frame[..], [lane as u8, to_a[lane.index()]]);
            to_a[lane.index()] += 1;
        }
    }
    assert!(a.link.rtt() > Duration::ZERO);
}

#[tokio::test]
async fn the_longest_frame_passes_and_a_longer_one_is_never_sent() {
    let (a, mut b, _keep) = two_links().await;
    let longest = Bytes::from(vec![5; MAX_FRAME_LEN]);
    assert!(!a.link.send(Lane::Rumors, Bytes::from(vec![5; MAX_FRAME_LEN + 1])));
    assert!(!a.link.send(Lane::Rumors, Bytes::new()));
    assert!(a.link.send(Lane::Rumors, longest.clone()));
    assert_eq!(b.frames().await, (Lane::Rumors, vec![longest]));
}

#[tokio::test]
async fn written_counts_payload_and_prefix_of_whole_frames() {
    let (mut a, mut b, _keep) = two_links().await;
    let frames = [1usize, 300, 5000, 100_000];
    for len in frames {
        a.link.send(Lane::Replies, Bytes::from(vec![1; len]));
    }
    let expected = frames.iter().map(|len| len + 4).sum::<usize>();
    let mut written = 0;
    while written < expected {
        match a.next().await {
            LinkEvent::Written { bytes, lane: Lane::Replies, .. } => written += bytes,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(written, expected);
    b.frames().await;
}

/// Reads `Written` events until there are no more for some seconds of virtual time.
async fn written_until_quiet(side: &mut Side) -> usize {
    let mut sum = 0;
    while let Ok(event) = timeout(Duration::from_secs(5), side.next()).await {
        match event {
            LinkEvent::Written { bytes, .. } => sum += bytes,
            other => panic!("{other:?}"),
        }
    }
    sum
}

#[tokio::test]
async fn pausing_stops_the_sender_and_resuming_loses_nothing() {
    let (mut a, mut b, _keep) = two_links().await;
    tokio::time::pause();
    Lane::ALL.iter().for_each(|lane| b.link.pause_reading(*lane));
    const FRAMES: u32 = 2000;
    for number in 0..FRAMES {
        a.link.send(Lane::Rumors, Bytes::from([number.to_le_bytes().as_slice(), &[0; 1000]].concat()));
    }
    let total = FRAMES as usize * 1008;
    let written = written_until_quiet(&mut a).await;
    assert!((1..=STREAM_WINDOW as usize).contains(&written), "{written} of {total}");
    assert!(b.events.is_empty(), "nothing is delivered while paused");

    Lane::ALL.iter().for_each(|lane| b.link.resume_reading(*lane));
    let mut next = 0u32;
    let mut more = 0;
    while next < FRAMES {
        tokio::select! {
            event = a.next() => if let LinkEvent::Written { bytes, .. } = event { more += bytes },
            (_, frames) = b.frames() => for frame in frames {
                assert_eq!(frame[..4], next.to_le_bytes());
                next += 1;
            },
        }
    }
    assert!(more > 0 && written + more <= total);
}

#[tokio::test]
async fn pausing_the_past_holds_up_nothing_else() {
    let (a, mut b, _keep) = two_links().await;
    b.link.pause_reading(Lane::History);
    for number in 0..100u8 {
        a.link.send(Lane::History, Bytes::from(vec![number; 1_000]));
        a.link.send(Lane::Rumors, Bytes::from(vec![number; 1_000]));
    }
    let mut heard = 0;
    while heard < 100 {
        let (lane, frames) = b.frames().await;
        assert_eq!(lane, Lane::Rumors);
        heard += frames.len();
    }
    b.link.resume_reading(Lane::History);
    while heard < 200 {
        let (lane, frames) = b.frames().await;
        assert_eq!(lane, Lane::History);
        heard += frames.len();
    }
}

#[tokio::test]
async fn a_link_that_is_not_read_holds_a_window_of_each_lane_and_no_more() {
    let (a, b) = (endpoint(1), endpoint(2));
    let (dialled, _unread) = connect(&a, &b, key(2).public()).await;
    let peer = raw(dialled);
    tokio::time::pause();
    let (mut streams, mut sent) = (Vec::new(), 0);
    for _ in 0..2 {
        while let Ok(stream) = timeout(Duration::from_secs(5), peer.open_uni()).await {
            let mut stream = stream.unwrap();
            while let Ok(written) = timeout(Duration::from_secs(5), stream.write(&[0; 10_000])).await {
                sent += written.unwrap();
                assert!(sent <= Lane::COUNT * 256 * 1024, "{sent} bytes");
            }
            streams.push(stream);
        }
        // Nor do streams that are given up make room for others.
        for mut stream in streams.drain(..) {
            stream.reset(quinn::VarInt::from_u32(1)).unwrap();
        }
    }
    assert_eq!(sent, Lane::COUNT * 256 * 1024);
}

#[tokio::test]
async fn unhandled_frames_stop_their_own_lane_and_no_other() {
    let (mut a, mut b, _keep) = two_links().await;
    tokio::time::pause();
    for _ in 0..2000 {
        a.link.send(Lane::Rumors, Bytes::from(vec![1; 1000]));
    }
    // Nobody handles a rumor: every permit is kept.
    let mut kept = Vec::new();
    let mut rumors = 0;
    while let Ok(event) = timeout(Duration::from_secs(5), b.next()).await {
        match event {
            LinkEvent::Frames { lane: Lane::Rumors, frames, permit, .. } => {
                rumors += frames.len();
                kept.push(permit);
            }
            other => panic!("{other:?}"),
        }
        while let Ok(event) = a.events.try_recv() {
            assert!(matches!(event, LinkEvent::Written { .. }));
        }
    }
    assert!((100..=MAX_FRAME_LEN / 1000).contains(&rumors), "{rumors} frames given out");
    written_until_quiet(&mut a).await;
    a.link.send(Lane::Control, Bytes::from_static(b"control"));
    a.link.send(Lane::Replies, Bytes::from_static(b"reply"));
    let mut got = [b.frames().await, b.frames().await];
    got.sort_by_key(|(lane, _)| lane.index());
    assert_eq!(got[0], (Lane::Control, vec![Bytes::from_static(b"control")]));
    assert_eq!(got[1], (Lane::Replies, vec![Bytes::from_static(b"reply")]));
    // Handled at last: the lane moves on.
    drop(kept);
    assert_eq!(b.frames().await.0, Lane::Rumors);
}

#[tokio::test]
async fn closing_sends_what_is_queued_on_the_control_lane_first() {
    let (a, b, _keep) = two_links().await;
    for number in 0..200u8 {
        a.link.send(Lane::Control, Bytes::from(vec![number; 1000]));
        a.link.send(Lane::Rumors, Bytes::from(vec![number; 100_000]));
    }
    a.link.close(7, "goodbye");
    a.link.close(8, "too late");
    let ((_, ours), (frames, theirs)) = tokio::join!(a.until_closed(), b.until_closed());
    assert_eq!(ours, LinkClosed::ByUs);
    assert_eq!(theirs, LinkClosed::ByPeer { code: 7, reason: "goodbye".into() });
    let control: Vec<u8> =
        frames.iter().filter(|(lane, _)| *lane == Lane::Control).map(|(_, f)| f[0]).collect();
    assert_eq!(control, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn dropping_a_link_closes_it() {
    let (a, b, _keep) = two_links().await;
    a.link.send(Lane::Control, Bytes::from_static(b"last words"));
    let Side { link, mut events } = a;
    drop(link);
    let (frames, why) = b.until_closed().await;
    assert_eq!(frames, [(Lane::Control, Bytes::from_static(b"last words"))]);
    assert!(matches!(why, LinkClosed::ByPeer { code: crate::net::closed::code::DROPPED, .. }), "{why:?}");
    while let Some(event) = events.recv().await {
        if let LinkEvent::Closed { why, .. } = event {
            assert_eq!(why, LinkClosed::ByUs);
        }
    }
}

#[tokio::test]
async fn a_node_that_stops_listening_to_events_ends_its_links() {
    let (a, b, _keep) = two_links().await;
    drop(a.events);
    b.link.send(Lane::Control, Bytes::from_static(b"hello?"));
    assert!(matches!(b.why_closed().await, LinkClosed::ByPeer { .. }));
}
