//! Streams that peers open.

use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, sleep_until, timeout};

use super::desk::Desk;
use super::ends::{self, Hold, IncomingStream};
use super::places::Place;
use super::ways::{OwnWay, Use, Way};
use super::{ACCEPTED, BURST, GREETING, PER_SECOND, PRIORITY, header, refused};
use crate::key::PublicKey;
use crate::net::carried::{Receiving, Sending};
use crate::wire::Reason;

/// How fast a peer may open streams over one connection.
#[derive(Debug)]
struct Pace {
    tokens: f64,
    at: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { tokens: f64::from(BURST), at: Instant::now() }
    }

    /// When one more may come.
    fn next(&mut self, now: Instant) -> Instant {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = f64::from(BURST).min(self.tokens + passed * f64::from(PER_SECOND));
        self.at = self.at.max(now);
        let missing = (1.0 - self.tokens).max(0.0) / f64::from(PER_SECOND);
        now + std::time::Duration::from_secs_f64(missing)
    }
}

/// Takes the streams that a peer opens over a connection, until it ends.
pub(crate) async fn serve(desk: Desk, peer: PublicKey, way: Way) {
    let mut pace = Pace::new();
    loop {
        // What is opened faster waits at the peer, which has only so many to open.
        let next = pace.next(Instant::now());
        if pace.tokens < 1.0 {
            sleep_until(next).await;
            continue;
        }
        let Ok((send, recv)) = way.connection.accept_both_ways().await else { return };
        pace.tokens -= 1.0;
        match desk.place(peer) {
            Some(place) => {
                // As many as there are places.
                tokio::spawn(greet(desk.clone(), peer, place, way.is_used(), send, recv));
            }
            None => refuse(&desk, send, recv, refused::BUSY),
        }
    }
}

/// The same over a connection for streams alone, which ends when there was none on it for a while.
pub(crate) async fn serve_own(desk: Desk, own: OwnWay, unused_for: std::time::Duration) {
    let connection = own.way.connection.clone();
    let mut uses = own.way.uses();
    let ends = async {
        loop {
            // Who counts is held by the way, so this does not end before.
            let _ = uses.wait_for(|uses| *uses == 0).await;
            desk.rests(&own);
            if timeout(unused_for, uses.wait_for(|uses| *uses > 0)).await.is_err() && desk.end_unused(&own) {
                return;
            }
        }
    };
    tokio::select! {
        () = serve(desk.clone(), own.peer, own.way.clone()) => {}
        () = ends => {}
        lane = connection.accept_one_way() => {
            // It was granted in the handshake, before it was known what the connection is for. An error means that it has ended.
            if lane.is_ok() {
                let reason = Reason::OutOfOrder;
                connection.close(reason.code(), reason.to_string().as_bytes());
            }
        }
    }
    desk.way_ends(&own.peer, &connection);
}

/// Hears what a stream is for, and gives it to the application.
async fn greet(desk: Desk, peer: PublicKey, place: Place, used: Use, mut send: Sending, mut recv: Receiving) {
    let greeted = timeout(GREETING, async {
        let (network, name) = header::read(&mut recv).await.ok_or(refused::NO_HEADER)?;
        let taker = desk.taker(&network, &name)?;
        // An error means that the peer does not want it any more.
        send.write_all(&[ACCEPTED]).await.map_err(|_| refused::NO_HEADER)?;
        Ok(taker)
    });
    match greeted.await.unwrap_or(Err(refused::NO_HEADER)) {
        Ok(taker) => {
            send.set_priority(PRIORITY);
            let hold = Hold::new(Some(place), used);
            let (send, recv) = (ends::SendStream::new(send, hold.clone()), ends::RecvStream::new(recv, hold));
            // Room is kept for nobody while the byte above waits, which a peer can delay. What finds none is broken off.
            match taker.try_send(IncomingStream { peer, send, recv }) {
                Ok(()) => desk.count(Ok(())),
                Err(TrySendError::Full(mut stream) | TrySendError::Closed(mut stream)) => {
                    desk.count(Err(refused::BUSY));
                    stream.send.reset(refused::BUSY);
                }
            }
        }
        Err(code) => refuse(&desk, send, recv, code),
    }
}

fn refuse(desk: &Desk, mut send: Sending, mut recv: Receiving, code: u32) {
    desk.count(Err(code));
    send.reset(code);
    recv.stop(code);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn streams_come_in_a_burst_and_then_at_a_pace() {
        let begun = Instant::now();
        let mut pace = Pace::new();
        let mut now = begun;
        let mut taken = 0;
        while now < begun + Duration::from_secs(2) {
            let next = pace.next(now);
            if pace.tokens < 1.0 {
                assert!(next > now);
                now = next + Duration::from_micros(1);
                continue;
            }
            pace.tokens -= 1.0;
            taken += 1;
        }
        assert!((BURST + 2 * PER_SECOND - 16..=BURST + 2 * PER_SECOND).contains(&taken), "{taken}");
        // What was not used in a long time is a burst again, and no more.
        let later = now + Duration::from_secs(3_600);
        let burst = (0..10 * BURST).take_while(|_| {
            pace.next(later);
            let may = pace.tokens >= 1.0;
            pace.tokens -= 1.0;
            may
        });
        assert_eq!(burst.count(), BURST as usize);
    }
}
