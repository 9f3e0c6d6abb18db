//! Why a link ended.

use std::borrow::Cow;

use super::transport::Ended;
use crate::wire::Reason;

/// Bytes of a peer's reason that are kept. A peer may send a whole packet of them, and reasons end up in logs.
pub(crate) const MAX_REASON_LEN: usize = 256;

/// Codes with which a link itself closes a connection. The protocol's own codes are small numbers; these are far off.
pub mod code {
    /// A frame declared a length of zero, or above the limit of the wire version.
    pub const FRAME_TOO_LONG: u32 = 0x1001;
    /// A frame was begun and came too slowly.
    pub const FRAME_TOO_SLOW: u32 = 0x1002;
    /// A stream was unknown, opened twice, or ended while the link lives.
    pub const PROTOCOL_ORDER: u32 = 0x1003;
    /// The node dropped the link, without a reason of its own.
    pub const DROPPED: u32 = 0x1004;
    /// The handshake succeeded and then nobody took the connection.
    pub const NOT_TAKEN: u32 = 0x1005;
}

/// Why a link ended. Only [`FrameTooLong`](Self::FrameTooLong) is an offence, a fact about bytes that every node judges
/// alike; [`ProtocolOrder`](Self::ProtocolOrder) breaks the protocol too, but may be seen in part only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkClosed {
    /// The peer declared a frame of this many bytes: zero, or more than
    /// [`MAX_FRAME_LEN`](crate::wire::MAX_FRAME_LEN). An offence.
    FrameTooLong {
        /// The declared length.
        len: u32,
    },
    /// A frame began and brought less than 20 KiB in 10 s of our reading. Nobody is to blame: lines are slow at times.
    FrameTooSlow,
    /// The peer opened an unknown lane or one lane twice, or ended one while the link lives.
    ProtocolOrder,
    /// The peer closed the link.
    ByPeer {
        /// The peer's code; codes that don't fit are `u32::MAX`.
        code: u32,
        /// The peer's words, not to be trusted: at most 256 bytes, with what is not UTF-8 replaced.
        reason: String,
    },
    /// This node closed the link, or dropped it, or closed its endpoint.
    ByUs,
    /// The peer was silent for the idle timeout.
    TimedOut,
    /// The transport itself failed, as the text says: a peer that breaks QUIC, or one that lost its state.
    Transport(String),
}

impl std::fmt::Display for LinkClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FrameTooLong { len } => write!(f, "the peer declared a frame of {len} bytes"),
            Self::FrameTooSlow => f.write_str("the peer began a frame and did not finish it in time"),
            Self::ProtocolOrder => f.write_str("the peer's streams were out of order"),
            Self::ByPeer { code, reason } => match Reason::from_code(u64::from(*code)) {
                Some(reason) => write!(f, "closed by the peer: {reason}"),
                None => write!(f, "closed by the peer: {code} {reason:?}"),
            },
            Self::ByUs => f.write_str("closed by this node"),
            Self::TimedOut => f.write_str("the peer was silent for too long"),
            Self::Transport(why) => write!(f, "the connection failed: {why}"),
        }
    }
}

impl LinkClosed {
    /// What to tell the peer, for the reasons that this side finds.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::FrameTooLong { .. } => code::FRAME_TOO_LONG,
            Self::FrameTooSlow => code::FRAME_TOO_SLOW,
            Self::ProtocolOrder => code::PROTOCOL_ORDER,
            Self::ByPeer { .. } | Self::ByUs | Self::TimedOut | Self::Transport(_) => code::DROPPED,
        }
    }

    /// What to tell the peer in words.
    pub(crate) fn words(&self) -> &'static [u8] {
        match self {
            Self::FrameTooLong { .. } => b"frame length out of range",
            Self::FrameTooSlow => b"frame not finished in time",
            Self::ProtocolOrder => b"streams out of order",
            Self::ByPeer { .. } | Self::ByUs | Self::TimedOut | Self::Transport(_) => b"",
        }
    }

    /// Whether the bytes themselves tell, so that this reason wins over any other of the same link.
    pub(crate) fn is_offence(&self) -> bool {
        matches!(self, Self::FrameTooLong { .. })
    }
}

impl LinkClosed {
    /// What the end of a connection means for its link.
    pub(crate) fn of(ended: Ended) -> Self {
        match ended {
            Ended::ByPeer { code, words } => Self::ByPeer { code: short(code), reason: peer_words(&words) },
            Ended::ByUs => Self::ByUs,
            Ended::TimedOut => Self::TimedOut,
            Ended::Failed(why) => Self::Transport(cut(why)),
        }
    }
}

/// A code of the other end; those that don't fit are `u32::MAX`.
pub(crate) fn short(code: u64) -> u32 {
    u32::try_from(code).unwrap_or(u32::MAX)
}

/// What a transport says, in which there may be words of a peer.
pub(super) fn cut(mut text: String) -> String {
    text.truncate((0..=2 * MAX_REASON_LEN).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0));
    text
}

/// What a peer says.
pub(super) fn peer_words(bytes: &[u8]) -> String {
    let kept = bytes.get(..MAX_REASON_LEN).unwrap_or(bytes);
    let mut text = match String::from_utf8_lossy(kept) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    };
    // A replacement character is longer than the byte it stands for.
    text.truncate((0..=MAX_REASON_LEN).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_peer_is_shortened_and_escaped() {
        assert_eq!(peer_words(b"bye"), "bye");
        assert_eq!(peer_words(&[0xff; 2000]).len(), 255, "replacement characters are three bytes each");
        assert_eq!(peer_words("é".repeat(300).as_bytes()), "é".repeat(128));
    }
}
