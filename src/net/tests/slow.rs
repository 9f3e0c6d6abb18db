//! Lines that are slow, and peers that are slower than any line.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::*;
use crate::net::limits::STREAM_WINDOW;
use crate::net::reader::{FRAME_DEADLINE, FRAME_PROGRESS};
use crate::wire::MAX_FRAME_LEN;

/// Sends a frame of `len` bytes in parts of `part` a second, until all is sent or the link is gone.
async fn dribble(bare: &mut BarePeer, len: usize, part: usize) {
    bare.send_raw(Lane::Rumors, &(len as u32).to_le_bytes()).await.unwrap();
    for sent in (0..len).step_by(part) {
        if bare.send_raw(Lane::Rumors, &vec![7; part.min(len - sent)]).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn frame_that_comes_slowly_and_steadily_arrives() {
    let (mut side, mut bare, _node) = link_and_bare_in_virtual_time().await;
    bare.open_lane(Lane::Rumors).await.unwrap();
    let began = Instant::now();
    let slow = FRAME_PROGRESS * 3 / 2 / FRAME_DEADLINE.as_secs() as usize;
    let (_, (_, frames)) = tokio::join!(dribble(&mut bare, MAX_FRAME_LEN, slow), side.frames());
    assert_eq!(frames[0].len(), MAX_FRAME_LEN);
    assert!(began.elapsed() > FRAME_DEADLINE * 4, "that was not slow: {:?}", began.elapsed());
}

#[tokio::test]
async fn frame_that_comes_slower_than_the_slowest_line_is_too_slow() {
    let (side, mut bare, _node) = link_and_bare_in_virtual_time().await;
    bare.open_lane(Lane::Rumors).await.unwrap();
    let began = Instant::now();
    let slower = FRAME_PROGRESS / FRAME_DEADLINE.as_secs() as usize - 100;
    let (_, why) = tokio::join!(dribble(&mut bare, MAX_FRAME_LEN, slower), side.why_closed());
    assert_eq!(why, LinkClosed::FrameTooSlow);
    assert!(began.elapsed() <= FRAME_DEADLINE + Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn parts_of_frames_count_as_written() {
    let (mut side, bare, _node) = link_and_bare_in_virtual_time().await;
    bare.stop_reading();
    for _ in 0..3 {
        side.link.send(Lane::Replies, Bytes::from(vec![1; 100_000]));
    }
    let mut written = 0;
    while let Ok(LinkEvent::Written { bytes, .. }) = timeout(Duration::from_secs(5), side.next()).await {
        written += bytes;
    }
    assert_eq!(written, STREAM_WINDOW as usize - 1, "all that there is room for, but the number of the lane");
}

/// What a line holds back: a second of it. What comes on top is lost.
const QUEUED: usize = 5_000;

/// One direction of a line of so many bytes a second.
async fn line(from: &UdpSocket, to: &UdpSocket, rate: usize) {
    let mut waiting: VecDeque<Vec<u8>> = VecDeque::new();
    let mut free_at = Instant::now();
    let mut packet = [0; 2048];
    loop {
        tokio::select! {
            Ok(len) = from.recv(&mut packet) => {
                if waiting.iter().map(Vec::len).sum::<usize>() + len <= QUEUED {
                    waiting.push_back(packet[..len].to_vec());
                }
            }
            () = sleep_until(free_at), if !waiting.is_empty() => {
                let sent = waiting.pop_front().unwrap();
                free_at = free_at.max(Instant::now()) + Duration::from_secs_f64(sent.len() as f64 / rate as f64);
                let _ = to.send(&sent).await;
            }
        }
    }
}

/// Two ends of a link over a line of so many bytes a second each way, whose time is paused; and what drives it.
async fn over_a_line(rate: usize) -> (Side, Side, tokio::task::JoinHandle<((), ())>, [Endpoint; 2]) {
    let (a, b) = (endpoint(1), endpoint(2));
    let (near, far) = (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
    far.connect(b.local_addr().unwrap()).await.unwrap();
    near.connect(a.local_addr().unwrap()).await.unwrap();
    let addr = near.local_addr().unwrap();
    let both = tokio::spawn(async move { tokio::join!(line(&near, &far, rate), line(&far, &near, rate)) });
    tokio::time::pause();
    let (dialled, accepted) = tokio::join!(a.connect(key(2).public(), addr), b.accept());
    let (from, to) = (Side::new(1, dialled.unwrap()), Side::new(2, accepted.unwrap().unwrap()));
    (from, to, both, [a, b])
}

#[tokio::test]
async fn large_frame_crosses_a_line_of_5_kb_a_second_and_holds_up_no_link() {
    let (mut from, mut to, both, _keep) = over_a_line(5_000).await;
    let began = Instant::now();
    from.link.send(Lane::Replies, Bytes::from(vec![1; 60_000]));
    from.link.send(Lane::Rumors, Bytes::from_static(b"small"));
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.extend(timeout(Duration::from_secs(120), to.frames()).await.expect("the frames arrive").1);
    }
    assert_eq!(heard[0], &b"small"[..], "it does not wait for the large one");
    assert_eq!(heard[1].len(), 60_000);
    assert!(began.elapsed() > FRAME_DEADLINE, "that was not slow: {:?}", began.elapsed());
    while let Ok(LinkEvent::Written { .. }) = timeout(Duration::from_millis(10), from.next()).await {}
    both.abort();
}

#[tokio::test]
async fn signs_of_life_go_before_all_else() {
    let (from, mut to, both, _keep) = over_a_line(50_000).await;
    for lane in [Lane::Control, Lane::Rumors, Lane::Replies, Lane::History] {
        from.link.send(lane, Bytes::from(vec![1; 100_000]));
    }
    // They are with the transport, and eight seconds of the line.
    tokio::time::sleep(Duration::from_secs(1)).await;
    from.link.send(Lane::System, Bytes::from_static(b"alive"));
    let began = Instant::now();
    let first = timeout(Duration::from_secs(60), to.frames()).await.expect("a frame arrives");
    assert_eq!(first, (Lane::System, vec![Bytes::from_static(b"alive")]));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    both.abort();
}

#[tokio::test]
async fn last_words_go_before_signs_of_life_that_wait() {
    let (from, to, both, _keep) = over_a_line(50_000).await;
    // Four seconds of the line, where a link that closes has one.
    (0..25).for_each(|_| assert!(from.link.send(Lane::System, Bytes::from(vec![1; 8_000]))));
    tokio::time::sleep(Duration::from_millis(500)).await;
    from.link.send(Lane::Control, Bytes::from_static(b"proof"));
    from.link.close(7, "goodbye");
    // (The line may lose what comes after them.)
    let ((_, ours), (frames, _)) = tokio::join!(from.until_closed(), to.until_closed());
    assert_eq!(ours, LinkClosed::ByUs);
    assert!(frames.contains(&(Lane::Control, Bytes::from_static(b"proof"))), "{} frames", frames.len());
    both.abort();
}
