//! A node over a transport that the application has written.

use std::sync::Arc;

use super::{Builder, SpawnError};
use crate::key::PublicKey;
use crate::net::transport::Transport;
use crate::net::{Endpoint, GateConfig};

impl Builder {
    /// Gives the node another transport than QUIC over a UDP port: a tunnel, or an endpoint that finds its way through NATs.
    /// [`net::transport`](crate::net::transport) says what it owes. It must prove the key of the node. [`listen`](Self::listen) is then ignored. What
    /// the node advertises, and where it dials others, are socket addresses as ever, which the transport may take as hints.
    ///
    /// # Errors
    /// [`Builder::spawn`] fails with [`SpawnError::Transport`](crate::SpawnError::Transport) if it proves another key, or if the builder was
    /// given an [`endpoint`](Self::endpoint) or [`other_protocols`](Self::other_protocols) as well.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.port.transport = Some(Arc::new(transport));
        self
    }
}

/// The endpoint of a node with this key.
pub(super) fn endpoint(
    transport: Arc<dyn Transport>,
    key: PublicKey,
    gate: GateConfig,
) -> Result<Endpoint, SpawnError> {
    let endpoint = Endpoint::over(transport, gate)?;
    match endpoint.key() {
        Some(proves) if proves == key => Ok(endpoint),
        Some(proves) => Err(SpawnError::Transport(format!(
            "it proves the key {proves}, and the node's is {key}: make both of one secret key"
        ))),
        None => Err(SpawnError::Transport("it panicked".into())),
    }
}
