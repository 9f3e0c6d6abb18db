//! What goes from the actor to the readers of a topic.

use std::sync::Arc;

use crate::key::PublicKey;
use crate::rumor::Bundle;

/// What goes through a topic's channel.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) told: Told,
    /// Rumors of the topic that were delivered before it.
    pub(super) before: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Told {
    /// A bundle, so that the node's loop hands over sixty-four rumors as quickly as one.
    Bundle { bundle: Arc<Bundle>, via: Option<PublicKey> },
    /// What this node has missed, Unix milliseconds.
    Missed { from_ms: u64, to_ms: u64 },
}
