//! What goes between a dialler and its driver.

use super::{MAX_KEPT, MAX_SUGGESTED};
use crate::key::PublicKey;
use crate::protocol::LinkId;
use crate::wire::Reason;

/// What the driver is to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order<A> {
    /// Dial a peer there, and report with [`Dialler::connected`](super::Dialler::connected) or [`Dialler::failed`](super::Dialler::failed).
    Dial {
        /// Who must answer.
        peer: PublicKey,
        /// Where.
        addr: A,
    },
    /// Close a link, and report with [`Dialler::link_down`](super::Dialler::link_down): it has brought nothing, or another takes its place.
    HangUp {
        /// The link.
        link: LinkId,
    },
    /// Keep these peers, and nobody else, for the next start: [`Dialler::keep_anchors`](super::Dialler::keep_anchors) takes them then.
    KeepAnchors {
        /// Who, and where: four at the most.
        anchors: Vec<(PublicKey, A)>,
    },
    /// Nothing: this node itself would refuse the link now, and it is tried again later. For the application to know.
    Refused {
        /// The peer that is not dialled.
        peer: PublicKey,
        /// Why the link would be refused.
        reason: Reason,
    },
}

/// How a dial or a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The peer did not answer, or does no longer: it may be gone, or cut off.
    Silent,
    /// The peer refused, or one of the two closed the link.
    Closed,
    /// Somebody else answered, with this key. It need not be proven.
    WrongKey(PublicKey),
}

/// Why a peer is not kept, or no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// It is this node.
    #[error("this is the node's own key: it needs no link to itself")]
    OwnKey,
    /// There are too many kept peers.
    #[error("{MAX_KEPT} peers are kept already, the most there may be: forget some first")]
    TooMany,
    /// There are too many candidates.
    #[error(
        "{MAX_SUGGESTED} candidates are known already, the most there may be: suggest more when some were tried in vain"
    )]
    TooManyCandidates,
}
