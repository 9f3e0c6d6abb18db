//! Why a link is gone, why it never came, and why a node ends: the reasons that events carry.

use core::net::SocketAddr;
use std::fmt;

use crate::key::PublicKey;
use crate::wire::Reason;

/// Why a link ended, as [`Event::PeerDown`](super::Event::PeerDown) tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DownReason {
    /// This node closed the link.
    ClosedHere(Reason),
    /// The peer closed the link.
    ClosedByPeer(Reason),
    /// The peer closed the link with a code that is not the protocol's.
    PeerCode {
        /// The code.
        code: u32,
        /// The peer's words, not to be trusted: at most 256 bytes.
        words: String,
    },
    /// The peer was silent for 30 s.
    Silent,
    /// The peer declared a frame longer than any may be. This is an offence, and [`Event::Offence`](super::Event::Offence) tells
    /// of it too.
    FrameTooLong,
    /// The peer began a frame and did not finish it in time. Nobody is to blame: lines are slow at times.
    FrameTooSlow,
    /// The peer's streams were out of order.
    OutOfOrder,
    /// This node dropped the connection without a reason of the protocol, as it does when a task of the link ends early.
    Dropped,
    /// QUIC failed: the peer lost its state, the path broke, or the peer breaks QUIC. In QUIC's words, for a log.
    Transport(String),
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedHere(reason) => write!(f, "closed by this node: {}", here(*reason)),
            Self::ClosedByPeer(reason) => write!(f, "closed by the peer: {reason}"),
            Self::PeerCode { code, words } => write!(f, "closed by the peer: {code} {words:?}"),
            Self::Silent => f.write_str("the peer was silent for too long"),
            Self::FrameTooLong => f.write_str("the peer declared a frame longer than any may be"),
            Self::FrameTooSlow => f.write_str("the peer began a frame and did not finish it in time"),
            Self::OutOfOrder => f.write_str("the peer's streams were out of order"),
            Self::Dropped => f.write_str("this node dropped the connection"),
            Self::Transport(why) => write!(f, "the connection failed: {why}"),
        }
    }
}

/// A reason's words are for who is told; these are for who tells.
const fn here(reason: Reason) -> &'static str {
    match reason {
        Reason::Shutdown => "it is shutting down",
        Reason::Offence => "the peer sent bytes that no correct node sends",
        Reason::Banned => "the peer's key is banned for an earlier offence",
        Reason::NotAdmitted => "the peer's key is not on the allow-list",
        Reason::OtherNetwork => "the peer belongs to another network",
        Reason::Full => "there is no place for another link",
        Reason::Duplicate => "another link to the same peer is kept",
        Reason::TooManyTopics => "the peer relays more topics than a link may have",
        Reason::OutOfOrder => "the peer's frames or streams were out of order",
        Reason::Stalled => "the link made no progress",
        Reason::Unneeded => "it no longer needs the link",
        Reason::Expelled => "the peer's key is expelled for a while",
    }
}

/// Why a dial failed, as [`Event::DialFailed`](super::Event::DialFailed) tells it and as an endpoint of
/// [`net`](crate::net) gives it. The variants say what to do; the words that QUIC, TLS or the resolver used are kept beside
/// them as text, so that none of their types is part of this API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DialError {
    /// The node was told to keep a link to itself. It does not dial itself.
    #[error("{host} is not dialled: this is the node's own key: it needs no link to itself")]
    OwnKey {
        /// The address that was given, `HOST:PORT`.
        host: String,
    },
    /// The resolver did not find the name.
    #[error("can't look up {host}: {why}; check the name, and the DNS of this machine")]
    Lookup {
        /// The name and the port.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// The name has no address that the socket can dial.
    #[error("{host} has no address that this node's socket can dial: listen on [::]:0 to reach IPv6")]
    NoAddress {
        /// The name and the port.
        host: String,
    },
    /// The socket can't dial the address.
    #[error("can't dial {addr}: {why}; use an address of the same family as the local socket, with a port")]
    Address {
        /// The address.
        addr: SocketAddr,
        /// What QUIC said.
        why: String,
    },
    /// The endpoint is closed, or the task that drives it has ended.
    #[error("the QUIC endpoint is closed, so nobody can be dialled: spawn a new node")]
    Closed,
    /// Another key answered.
    #[error(
        "{addr} answered with the key {answered}, expected {expected}: ask its owner for the current key or address"
    )]
    WrongKey {
        /// The address.
        addr: SocketAddr,
        /// The key that was dialled.
        expected: PublicKey,
        /// The key that answered. It is not proven: the handshake ended there.
        answered: PublicKey,
    },
    /// The handshake did not finish in time.
    #[error(
        "{addr} (key {peer}) did not finish the handshake in 10 s: check that it runs and that UDP reaches it"
    )]
    TimedOut {
        /// The address.
        addr: SocketAddr,
        /// The key that was dialled.
        peer: PublicKey,
    },
    /// The peer takes no more handshakes, or none of our network group.
    #[error(
        "{addr} (key {peer}) refused the handshake: it is busy or limits your network, try again in some seconds"
    )]
    Refused {
        /// The address.
        addr: SocketAddr,
        /// The key that was dialled.
        peer: PublicKey,
    },
    /// The handshake failed.
    #[error(
        "the handshake with {addr} (key {peer}) failed: {why}; check that it runs the same version of the protocol"
    )]
    Handshake {
        /// The address.
        addr: SocketAddr,
        /// The key that was dialled.
        peer: PublicKey,
        /// What QUIC said.
        why: String,
    },
    /// TLS could not be set up: a fault of the build, not of a peer.
    #[error("{why}")]
    Tls {
        /// What TLS said, and what to do.
        why: String,
    },
}

/// Why a node ended by itself, as [`Event::Stopped`](super::Event::Stopped) tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum StopReason {
    /// The application closed the QUIC endpoint that it had given to the node.
    #[error("the application's QUIC endpoint is closed")]
    EndpointClosed,
    /// The socket failed, and its port can't be bound again.
    #[error("UDP {addr} can't be had again: {why}")]
    SocketLost {
        /// The address that the socket had.
        addr: SocketAddr,
        /// What the operating system said.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_closed_by_the_peer_and_by_us_have_different_reasons() {
        let (ours, theirs) =
            (DownReason::ClosedHere(Reason::Shutdown), DownReason::ClosedByPeer(Reason::Shutdown));
        assert!(ours.to_string().contains("this node") && !ours.to_string().contains("the peer is"));
        assert!(theirs.to_string().contains("the peer is shutting down"));
    }
}
