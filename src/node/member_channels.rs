//! How what the actor knows of members reaches those who hold the node.

use tokio::sync::{broadcast, watch};

use crate::protocol::MemberEvent;

/// Events that a slow reader may fall behind before it lags.
const EVENTS: usize = 4096;

/// The actor's ends.
#[derive(Debug)]
pub(super) struct MemberTellers {
    pub(super) events: broadcast::Sender<MemberEvent>,
    /// How many members are here.
    pub(super) here: watch::Sender<usize>,
}

/// The ends of handles.
#[derive(Clone, Debug)]
pub(super) struct MemberReaders {
    /// Weak, so that events end with the node and not with its last handle.
    pub(super) events: broadcast::WeakSender<MemberEvent>,
    /// How many members are here.
    pub(super) here: watch::Receiver<usize>,
}

/// Both ends.
pub(super) fn channels() -> (MemberTellers, MemberReaders) {
    let (events, _) = broadcast::channel(EVENTS);
    let (here, here_out) = watch::channel(0);
    let readers = MemberReaders { events: events.downgrade(), here: here_out };
    (MemberTellers { events, here }, readers)
}
