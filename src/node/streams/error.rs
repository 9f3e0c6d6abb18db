//! Why applications can't speak to each other.

use std::time::Duration;

use crate::key::PublicKey;
use crate::net::{LinkClosed, NotOpened, ProtocolName, ProtocolNameError, StreamError};
use crate::node::error::Closed;
use crate::protocol::DialError;
use crate::wire::Reason;

/// Why a protocol is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// It has no name that can be used.
    #[error(transparent)]
    Name(#[from] ProtocolNameError),
    /// The application accepts it already.
    #[error("streams of {0:?} are accepted already: use that acceptor, or drop it first")]
    Twice(String),
    /// It accepts as many as it may.
    #[error("the node already accepts 64 protocols, the most there may be: drop an acceptor first")]
    TooMany,
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why there is no stream to a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The protocol has no name that can be used.
    #[error(transparent)]
    Name(#[from] ProtocolNameError),
    /// It is the node itself.
    #[error("{0} is this node itself: give another member")]
    OwnKey(PublicKey),
    /// There is no link to it, and nobody says where it can be dialled.
    #[error(
        "there is no link to {0}, and it has told nobody an address: wait until it is a member, give its address to `Node::connect`, \
         or let it open the stream"
    )]
    NoAddress(PublicKey),
    /// This node does not speak with it: it is banned, expelled or not on the allow-list.
    #[error(
        "this node does not speak with {peer} ({reason}, as seen from there): admit it with `Node::admit`, or wait until its ban is over"
    )]
    Barred {
        /// The member.
        peer: PublicKey,
        /// Why.
        reason: Reason,
    },
    /// It can't be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Its application does not accept the protocol.
    #[error("{peer} does not accept {protocol:?}: start what accepts it there, or check the name")]
    NotAccepted {
        /// The member.
        peer: PublicKey,
        /// The protocol.
        protocol: String,
    },
    /// As many streams are open there as may be, or its application takes them too slowly.
    #[error("{0} has no room for another stream now: try again later, or end some")]
    Busy(PublicKey),
    /// This node has as many connections for streams as it may, each in use.
    #[error("this node has connections to 64 members for streams, each in use: end some of the streams")]
    TooMany,
    /// It refuses this node.
    #[error("{peer} refuses streams of this node: {reason}")]
    Refused {
        /// The member.
        peer: PublicKey,
        /// Why.
        reason: Reason,
    },
    /// It said neither yes nor no within 10 s: its machine has no time or has just gone, or the way to it loses what is sent. Nothing is
    /// open there, so try again.
    #[error("{0} did not answer in 10 s: it is busy, or the way to it is bad; try again")]
    Slow(PublicKey),
    /// It broke the stream off at once.
    #[error("{peer} gave up the stream at once: {why}")]
    BrokenOff {
        /// The member.
        peer: PublicKey,
        /// What its application said.
        why: StreamError,
    },
    /// The connection broke before the stream was accepted. What was said on it, as a question is, may have been heard.
    #[error(
        "the connection to {peer} broke before the stream was accepted: {why}; try again, unless it must not be heard twice"
    )]
    Lost {
        /// The member.
        peer: PublicKey,
        /// What happened.
        why: String,
    },
    /// The node is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl OpenError {
    pub(super) fn of(peer: PublicKey, protocol: &ProtocolName, why: NotOpened) -> Self {
        match why {
            NotOpened::NotAccepted => Self::NotAccepted { peer, protocol: protocol.to_string() },
            NotOpened::Busy => Self::Busy(peer),
            NotOpened::OtherNetwork => Self::Refused { peer, reason: Reason::OtherNetwork },
            NotOpened::Slow => Self::Slow(peer),
            NotOpened::Lost(why) | NotOpened::Unheard(why) => match &why {
                LinkClosed::ByPeer { code, .. } => match Reason::from_code(u64::from(*code)) {
                    // What ends a link is no word about its node.
                    None | Some(Reason::Unneeded | Reason::Duplicate | Reason::Stalled) => {
                        Self::Lost { peer, why: why.to_string() }
                    }
                    Some(reason) => Self::Refused { peer, reason },
                },
                why => Self::Lost { peer, why: why.to_string() },
            },
            NotOpened::Stream(why) => Self::BrokenOff { peer, why },
        }
    }
}

/// Why a member gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The question did not get to its application.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No answer came in the time that was given. The member is off or far away, or its application is slow: it may have heard the
    /// question and act on it, or not. Give more time, or ask again if that harms nobody; [`Node::member`](crate::Node::member) says whether
    /// it is there. Opening a stream first, by [`Node::open`](crate::Node::open), tells why a member can't be reached.
    #[error(
        "{peer} gave no answer within {within:?}: it may still do what it was asked; wait longer, or ask again if that harms nobody"
    )]
    Late {
        /// The member.
        peer: PublicKey,
        /// How long was waited.
        within: Duration,
    },
    /// The stream broke before the answer was whole.
    #[error("{peer} gave no answer: {why}")]
    NoAnswer {
        /// The member.
        peer: PublicKey,
        /// What happened.
        why: StreamError,
    },
}
