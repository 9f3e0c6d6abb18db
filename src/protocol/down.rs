//! Why a link, and with its last link a peer, is gone.

use std::fmt;

use crate::wire::Reason;

/// Why a link ended, as [`Event::PeerDown`](super::Event::PeerDown) tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// QUIC failed: the peer lost its state, the path broke, or this node dropped the connection.
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
            Self::Transport(why) => write!(f, "the connection failed: {why}"),
        }
    }
}

/// A reason's words are for who is told; these are for who tells.
const fn here(reason: Reason) -> &'static str {
    match reason {
        Reason::Shutdown => "it is shutting down, or no longer needs the link",
        Reason::Offence => "the peer sent bytes that no correct node sends",
        Reason::Banned => "the peer's key is banned for an earlier offence",
        Reason::NotAdmitted => "the peer's key is not on the allow-list",
        Reason::OtherNetwork => "the peer belongs to another network",
        Reason::Full => "there is no place for another link",
        Reason::Duplicate => "another link to the same peer is kept",
        Reason::TooManyTopics => "the peer relays more topics than a link may have",
        Reason::OutOfOrder => "the peer's frames or streams were out of order",
        Reason::Stalled => "the link made no progress",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_closed_the_link_is_told_apart() {
        let (ours, theirs) =
            (DownReason::ClosedHere(Reason::Shutdown), DownReason::ClosedByPeer(Reason::Shutdown));
        assert!(ours.to_string().contains("this node") && !ours.to_string().contains("the peer is"));
        assert!(theirs.to_string().contains("the peer is shutting down"));
    }
}
