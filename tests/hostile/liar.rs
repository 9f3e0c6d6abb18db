//! The hostile side: a peer with a good key and a bad character.

use std::time::Duration;

use bytes::Bytes;
use vouchsafe::net::BarePeer;
use vouchsafe::rumor::{Bundle, BundleId, HEADER_LEN, Header, Signature, SignedHeader, seal};
use vouchsafe::wire::{self, Frame, Hello, Lane};
use vouchsafe::{NetworkId, Node, Position, Reason, SecretKey, TopicHandle, TopicId};

use crate::scene::{NETWORK, soon, unix_ms};

pub(crate) struct Liar {
    pub(crate) key: SecretKey,
    pub(crate) bare: BarePeer,
}

impl Liar {
    /// Dials and opens the lanes, but says nothing.
    pub(crate) async fn dial_as(key: SecretKey, node: &Node) -> Self {
        let bare = soon("a dial", BarePeer::connect(&key, node.id(), node.local_addr())).await.unwrap();
        let mut liar = Self { key, bare };
        for lane in Lane::ALL {
            // Fails if the node has closed the link by now, which `closed` then tells.
            let _ = soon("a lane", liar.bare.open_lane(lane)).await;
        }
        liar
    }

    pub(crate) async fn dial(node: &Node) -> Self {
        Self::dial_as(SecretKey::generate(), node).await
    }

    /// Dials and says hello, and waits until the node has said hello too.
    pub(crate) async fn greet(topic: &TopicHandle) -> Self {
        Self::greet_as(SecretKey::generate(), topic).await
    }

    pub(crate) async fn greet_as(key: SecretKey, topic: &TopicHandle) -> Self {
        let mut liar = Self::dial_as(key, topic.node()).await;
        liar.control(wire::hello(&hello(&[topic.id()]))).await;
        liar.expect(|frame| matches!(frame, Frame::Hello(_)).then_some(())).await;
        liar
    }

    /// Sends a frame. The node may close the link at any moment, so failures say nothing here.
    pub(crate) async fn send(&mut self, lane: Lane, frame: &[u8]) {
        let _ = soon("sending", self.bare.send_frame(lane, frame)).await;
    }

    pub(crate) async fn control(&mut self, frame: Bytes) {
        self.send(Lane::Control, &frame).await;
    }

    pub(crate) async fn push(&mut self, bundle: &[u8]) {
        self.send(Lane::Rumors, &pushed(4, bundle)).await;
    }

    /// The next frame that `pick` wants.
    pub(crate) async fn expect<T>(&mut self, pick: impl Fn(Frame) -> Option<T>) -> T {
        let wanted = async {
            loop {
                let (_, payload) = self.bare.recv_frame().await.expect("the link lives");
                let frame = Frame::decode(payload).expect("a correct node sends good frames");
                if let Some(found) = pick(frame) {
                    return found;
                }
            }
        };
        soon("a frame", wanted).await
    }

    /// The code with which the node closes the link.
    pub(crate) async fn closed(&self) -> u64 {
        soon("the end of the link", self.bare.closed()).await.0
    }

    /// As `closed`, for the codes of the protocol.
    pub(crate) async fn closed_for(&self) -> Reason {
        let code = self.closed().await;
        Reason::from_code(code).unwrap_or_else(|| panic!("{code:#x} is no reason of the protocol"))
    }

    /// As `closed_for`, while reading what it reads and asking for what nobody has, so that the node always has an answer
    /// to write.
    pub(crate) async fn closed_chatting(mut self, topic: TopicId) -> Reason {
        let connection = self.bare.quinn().clone();
        let pull = wire::pull(&topic, &[BundleId::from_bytes([1; 32])]);
        let mut asking = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                _ = connection.closed() => return self.closed_for().await,
                _ = asking.tick() => self.control(pull.clone()).await,
                Some(_) = self.bare.recv_frame() => {}
            }
        }
    }

    /// Whether the node refuses this key because of what it did before.
    pub(crate) async fn is_banned_by(&self, node: &Node) -> bool {
        Self::dial_as(self.key.clone(), node).await.closed_for().await == Reason::Banned
    }
}

pub(crate) fn hello(topics: &[TopicId]) -> Hello {
    let topics = topics.iter().map(|topic| *topic.as_bytes()).collect();
    Hello { network: *NetworkId::of(NETWORK).as_bytes(), clock_ms: unix_ms(), topics, ..Hello::default() }
}

/// The tick of the topic so many milliseconds ago.
pub(crate) fn tick_ago(topic: &TopicHandle, millis: u64) -> u64 {
    topic.rules().tick_len().tick_at(unix_ms() - millis)
}

/// A bundle of one that is all right.
pub(crate) fn bundle(key: &SecretKey, topic: &TopicHandle, slot: u16, body: &'static str) -> Bundle {
    bundle_at(key, topic, Position { tick: tick_ago(topic, 0), slot }, body)
}

pub(crate) fn bundle_at(key: &SecretKey, topic: &TopicHandle, at: Position, body: &'static str) -> Bundle {
    seal(key, topic.id(), at, &[Bytes::from_static(body.as_bytes())]).unwrap()
}

/// The same bundle, hence the same id, under a signature that does not hold.
pub(crate) fn forged(bundle: &Bundle) -> Vec<u8> {
    let mut encoded = bundle.encoded().to_vec();
    // In R, so that it is no valid point or another one.
    encoded[HEADER_LEN] ^= 1;
    encoded
}

/// The payload of a frame with one bundle, whatever it is.
pub(crate) fn pushed(hops: u8, bundle: &[u8]) -> Vec<u8> {
    [&[2, hops], bundle].concat()
}

/// A header with a signature of nobody.
pub(crate) fn unsigned(header: Header) -> SignedHeader {
    SignedHeader { header, signature: Signature::from_bytes([7; 64]) }
}
