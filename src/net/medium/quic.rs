//! Connections of QUIC, over a UDP socket of our own or of the application.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{ConnectError, ConnectionError, TransportErrorCode, VarInt};
use tokio::time::timeout;

use super::{Medium, Purpose};
use crate::key::PublicKey;
use crate::net::carrier::{Carried, Pending, Quic};
use crate::net::closed::in_words;
use crate::net::config::HANDSHAKE_DEADLINE;
use crate::net::identity::{Identity, SERVER_NAME};
use crate::net::socket::{Socket, SocketErrors};
use crate::net::streams::STREAMS_ALPN;
use crate::protocol::DialError;
use crate::wire::ALPN;

/// Time in [`Endpoint::close`](crate::net::Endpoint::close) for the peers to learn of it. They time out otherwise, so more is not worth
/// waiting for.
const CLOSE_IDLE: Duration = Duration::from_secs(1);

/// An endpoint of quinn.
#[derive(Debug)]
pub(crate) struct QuicMedium {
    quinn: quinn::Endpoint,
    /// The socket, if it is ours to close.
    socket: Option<Arc<Socket>>,
    identity: Identity,
}

impl QuicMedium {
    /// Dials as `identity`.
    pub(crate) const fn new(quinn: quinn::Endpoint, socket: Option<Arc<Socket>>, identity: Identity) -> Self {
        Self { quinn, socket, identity }
    }
}

impl Medium for QuicMedium {
    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Carried, DialError>> {
        let protocol = match purpose {
            Purpose::Gossip => ALPN,
            Purpose::Streams => STREAMS_ALPN,
        };
        Box::pin(async move {
            let connection = dial(&self.quinn, &self.identity, peer, addr, protocol).await?;
            Ok(Arc::new(Quic(connection)) as Carried)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    fn refuse_all(&self) {
        self.quinn.set_server_config(None);
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {
            let Some(socket) = &self.socket else { return self.refuse_all() };
            self.quinn.close(VarInt::from_u32(0), b"the node shuts down");
            // Late peers find out by their idle timeout.
            let _ = timeout(CLOSE_IDLE, self.quinn.wait_idle()).await;
            socket.release().await;
        })
    }

    fn errors(&self) -> SocketErrors {
        self.socket.as_ref().map(|socket| socket.errors()).unwrap_or_default()
    }
}

/// Dials one address for one key.
pub(crate) async fn dial(
    endpoint: &quinn::Endpoint,
    identity: &Identity,
    peer: PublicKey,
    addr: SocketAddr,
    protocol: &[u8],
) -> Result<quinn::Connection, DialError> {
    let config = identity.client_config(peer, protocol);
    let (config, answered) = config.map_err(|error| DialError::Tls { why: error.to_string() })?;
    let connecting = endpoint.connect_with(config, addr, SERVER_NAME).map_err(|error| match error {
        ConnectError::EndpointStopping => DialError::Closed,
        error => DialError::Address { addr, why: error.to_string() },
    })?;
    let outcome = timeout(HANDSHAKE_DEADLINE, connecting).await;
    if let Some(answered) = answered.get().filter(|answered| *answered != peer) {
        return Err(DialError::WrongKey { addr, expected: peer, answered });
    }
    match outcome {
        Err(_) | Ok(Err(ConnectionError::TimedOut)) => Err(DialError::TimedOut { addr, peer }),
        Ok(Err(ConnectionError::ConnectionClosed(close)))
            if [TransportErrorCode::CONNECTION_REFUSED, TransportErrorCode::APPLICATION_ERROR]
                .contains(&close.error_code) =>
        {
            // The second is what a handshake ends with that had to make room for others.
            Err(DialError::Refused { addr, peer })
        }
        Ok(Err(error)) => Err(DialError::Handshake { addr, peer, why: in_words(&error) }),
        // The verifier lets no other key pass.
        Ok(Ok(quinn)) => Ok(quinn),
    }
}
