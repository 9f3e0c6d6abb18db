//! What a link tells the node.

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::closed::LinkClosed;
use crate::protocol::LinkId;
use crate::wire::Lane;

/// What happens on a link.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// Whole frames arrived on a lane, in the order they were sent.
    Frames {
        /// The link they came over.
        link: LinkId,
        /// The lane they came on.
        lane: Lane,
        /// The payloads, without their lengths. **All of them share one buffer**: copy what is kept for long, or a small
        /// frame keeps its large neighbours in memory, which a hostile peer can arrange.
        frames: Vec<Bytes>,
        /// Drop it when the frames are handled.
        permit: FramePermit,
    },
    /// Frames, or parts of them, were handed over to quinn, which keeps at most 1 MiB unacknowledged per link.
    Written {
        /// The link they were sent on.
        link: LinkId,
        /// The lane they were sent on.
        lane: Lane,
        /// Their bytes: payload, and 4 for the length of each frame.
        bytes: usize,
    },
    /// The link has ended. The last event of a link, and there is exactly one.
    Closed {
        /// The link that ended.
        link: LinkId,
        /// Why.
        why: LinkClosed,
    },
}

/// Keeps a place in the inbox of a link until it is dropped: hold it for as long as the frames of its event are
/// unhandled. The sender is slowed down by what is held.
#[derive(Debug)]
pub struct FramePermit {
    _held: Option<OwnedSemaphorePermit>,
}

impl FramePermit {
    /// Keeps this place, if there is one to keep.
    pub(super) const fn of(held: Option<OwnedSemaphorePermit>) -> Self {
        Self { _held: held }
    }

    /// Keeps no place.
    #[cfg(test)]
    pub(crate) const fn of_nothing() -> Self {
        Self { _held: None }
    }
}
