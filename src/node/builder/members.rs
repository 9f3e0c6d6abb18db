//! What a node says of itself as a member of its network.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Builder, SpawnError};
use crate::node::addr::Host;
use crate::protocol::MemberSetup;
use crate::rumor::MAX_METADATA;

impl Builder {
    /// What this node says of itself to the other members, at most 512 bytes: what it is for, where its other services are. Default
    /// nothing. [`Node::set_metadata`](crate::Node::set_metadata) changes it.
    pub fn metadata(mut self, metadata: impl Into<Bytes>) -> Self {
        self.metadata = Some(metadata.into());
        self
    }

    /// The node only looks: it knows who is here, and says nothing of itself. For tools.
    pub fn observe_members(mut self) -> Self {
        self.observes = true;
        self
    }

    /// The node is no member: it does not say that it is here, and does not know who else is.
    pub fn without_members(mut self) -> Self {
        self.metadata = None;
        self
    }
}

/// What the node says of itself; `None` if it is no member.
pub(super) fn setup(
    metadata: Option<Bytes>,
    observes: bool,
    addresses: &[SocketAddr],
) -> Result<Option<MemberSetup>, SpawnError> {
    let Some(metadata) = metadata else { return Ok(None) };
    if metadata.len() > MAX_METADATA {
        return Err(SpawnError::Metadata(metadata.len()));
    }
    let mut setup = MemberSetup::new(addresses.iter().copied(), metadata);
    setup.observes = observes;
    Ok(Some(setup))
}

/// Where others can dial a node, as far as that is known before it has a link. (Nobody resolves another's names.)
pub(super) fn addresses(advertised: Option<&Host>, local: SocketAddr) -> Vec<SocketAddr> {
    match advertised {
        Some(Host::Socket(addr)) => vec![*addr],
        Some(_) => Vec::new(),
        None if local.ip().is_unspecified() => Vec::new(),
        None => vec![local],
    }
}
