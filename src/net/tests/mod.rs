//! The layer as others see it, over loopback. Where time matters the clock is tokio's and stands still until all are idle.

mod carried;
mod endpoints;
mod hostile;
mod links;
mod others;
mod share;
mod slow;
mod sockets;
mod stream_shares;
mod streams;
mod waiting;

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::quic::Quic;
use super::{BarePeer, Connection, Endpoint, GateConfig, Link, LinkClosed, LinkEvent};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::LinkId;
use crate::wire::Lane;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A broken defence often shows as a link that waits for ever: then a test fails instead of hanging.
const WATCHDOG: std::time::Duration = std::time::Duration::from_secs(60);

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn endpoint(number: u8) -> Endpoint {
    Endpoint::bind(&key(number), ANY, GateConfig::default()).unwrap()
}

/// What carries a connection, for those who misuse it.
fn raw(connection: Connection) -> quinn::Connection {
    let carrier: std::sync::Arc<dyn std::any::Any + Send + Sync> = connection.into_parts().0.carrier();
    carrier.downcast::<Quic>().unwrap().quinn().clone()
}

/// Dials `to` and returns both ends.
async fn connect(from: &Endpoint, to: &Endpoint, expected: PublicKey) -> (Connection, Connection) {
    let addr = to.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(from.connect(expected, addr), to.accept());
    (dialled.unwrap(), accepted.unwrap().unwrap())
}

/// One link and what happens on it.
struct Side {
    link: Link,
    events: mpsc::Receiver<LinkEvent>,
}

impl Side {
    fn new(id: u64, connection: Connection) -> Self {
        let (events_in, events) = mpsc::channel(8);
        Self { link: Link::spawn(LinkId(id), connection, events_in), events }
    }

    async fn next(&mut self) -> LinkEvent {
        let event = tokio::time::timeout(WATCHDOG, self.events.recv()).await;
        event.expect("an event within the watchdog's time").expect("a link ends with a Closed event")
    }

    /// The frames of the next `Frames` event.
    async fn frames(&mut self) -> (Lane, Vec<Bytes>) {
        loop {
            match self.next().await {
                LinkEvent::Frames { lane, frames, .. } => return (lane, frames),
                LinkEvent::Written { .. } => {}
                LinkEvent::Closed { why, .. } => panic!("closed: {why:?}"),
            }
        }
    }

    /// Every frame until the link ends, and why it ended. Nothing may come after that.
    async fn until_closed(mut self) -> (Vec<(Lane, Bytes)>, LinkClosed) {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                LinkEvent::Frames { lane, frames, .. } => all.extend(frames.into_iter().map(|f| (lane, f))),
                LinkEvent::Written { .. } => {}
                LinkEvent::Closed { why, .. } => {
                    assert!(self.events.recv().await.is_none(), "an event after Closed");
                    return (all, why);
                }
            }
        }
    }

    async fn why_closed(self) -> LinkClosed {
        self.until_closed().await.1
    }
}

/// Two endpoints and a link between them.
async fn two_links() -> (Side, Side, [Endpoint; 2]) {
    let (a, b) = (endpoint(1), endpoint(2));
    let (dialled, accepted) = connect(&a, &b, key(2).public()).await;
    (Side::new(1, dialled), Side::new(2, accepted), [a, b])
}

/// A link whose peer does only what it is told.
async fn link_and_bare() -> (Side, BarePeer, Endpoint) {
    let node = endpoint(1);
    let addr = node.local_addr().unwrap();
    let hostile = key(66);
    let (bare, accepted) = tokio::join!(BarePeer::connect(&hostile, key(1).public(), addr), node.accept());
    (Side::new(1, accepted.unwrap().unwrap()), bare.unwrap(), node)
}

/// The same, with a clock that stands still from here on unless everybody waits.
async fn link_and_bare_in_virtual_time() -> (Side, BarePeer, Endpoint) {
    let all = link_and_bare().await;
    tokio::time::pause();
    all
}
