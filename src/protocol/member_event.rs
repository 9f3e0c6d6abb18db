//! What an application is told of members.

use std::fmt;

use crate::key::PublicKey;

/// Why a member is shown as failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum FailedWhy {
    /// No sign of life came by any path for a whole lease.
    Lease,
    /// The same, while a link to it was up: its host works, and it does not.
    Stalled,
    /// Its own signatures convict it.
    Convicted,
}

/// What happened to a member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum MemberEvent {
    /// It is here, and was not known.
    Joined(PublicKey),
    /// It says something else of itself: its metadata, or its addresses.
    Updated(PublicKey),
    /// It has begun another life.
    Restarted(PublicKey),
    /// Over no link of this node's own anything comes from it, since 6 s or more, or the last ended badly. That changes no state: the
    /// path may be cut, and others may hear it. A minute after the last link to it that lapses without a further event.
    Unreachable(PublicKey),
    /// It was shown as unreachable, and a link of this node's own is heard.
    Reachable(PublicKey),
    /// It has given no sign of life, and this node can't judge.
    Stale(PublicKey),
    /// It has failed.
    Failed(PublicKey, FailedWhy),
    /// It has said that it leaves.
    Left(PublicKey),
    /// It is here again: it had failed, had left, or was stale.
    Returned(PublicKey),
    /// This node does not show it any more, by its own decision: the application has expelled it, or taken it off the allow-list. That says
    /// nothing of its life.
    Removed(PublicKey),
    /// Two processes run with one key: with this node's, or with that of another member.
    DuplicateIdentity(PublicKey),
    /// This node has no link that brings it signs of life, though others were here. It judges nobody until it has.
    Isolated,
}

impl MemberEvent {
    /// Whom it is about.
    #[must_use]
    pub const fn member(&self) -> Option<&PublicKey> {
        match self {
            Self::Joined(key)
            | Self::Updated(key)
            | Self::Restarted(key)
            | Self::Unreachable(key)
            | Self::Reachable(key)
            | Self::Stale(key)
            | Self::Failed(key, _)
            | Self::Left(key)
            | Self::Returned(key)
            | Self::Removed(key)
            | Self::DuplicateIdentity(key) => Some(key),
            Self::Isolated => None,
        }
    }
}

impl fmt::Display for MemberEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.member().map(PublicKey::short).unwrap_or_default();
        match self {
            Self::Joined(_) => write!(f, "{short} has joined"),
            Self::Updated(_) => write!(f, "{short} says something else of itself"),
            Self::Restarted(_) => write!(f, "{short} has restarted"),
            Self::Unreachable(_) => write!(f, "{short} is silent on this node's own links"),
            Self::Reachable(_) => write!(f, "{short} is heard again on a link of this node's own"),
            Self::Stale(_) => write!(f, "{short} gives no sign of life, and this node can't judge"),
            Self::Failed(_, FailedWhy::Lease) => {
                write!(f, "{short} has failed: no sign of life for a whole lease")
            }
            Self::Failed(_, FailedWhy::Stalled) => {
                write!(f, "{short} has failed: its host answers, and it gives no sign of life")
            }
            Self::Failed(_, FailedWhy::Convicted) => write!(f, "{short} was convicted by its own signatures"),
            Self::Left(_) => write!(f, "{short} has left"),
            Self::Returned(_) => write!(f, "{short} is back"),
            Self::Removed(_) => write!(f, "{short} is not shown any more, as this node was told"),
            Self::DuplicateIdentity(_) => {
                write!(f, "two processes run with the key {short}: stop one of them")
            }
            Self::Isolated => f.write_str("isolated: no link brings signs of life of the others"),
        }
    }
}
