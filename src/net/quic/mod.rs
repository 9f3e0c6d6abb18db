//! The transport that nodes have of themselves: QUIC, over a UDP socket of our own or of the application.
//!
//! | File | Question |
//! |---|---|
//! | `mod` | how do connections begin? |
//! | `incoming` | who dials us? |
//! | `carrier` | what is a connection? |

mod carrier;
mod incoming;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{ConnectError, ConnectionError, TransportErrorCode, VarInt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::carrier::in_words;
use self::incoming::Dialled;
use super::identity::{Identity, SERVER_NAME};
use super::socket::Socket;
use super::transport::{Carrier, DialFailed, Incoming, Pending, Purpose, Transport};
use crate::key::PublicKey;

pub(crate) use carrier::Quic;

/// Time in [`Endpoint::close`](crate::net::Endpoint::close) for the peers to learn of it. They time out otherwise, so more is not worth
/// waiting for.
const CLOSE_IDLE: Duration = Duration::from_secs(1);

/// Where connections of the application's own protocols go.
#[derive(Clone, Debug)]
pub(crate) struct Others {
    to: mpsc::Sender<quinn::Connection>,
    not_taken: Arc<AtomicU64>,
}

impl Others {
    /// To this channel. Those who find no room there are closed and counted.
    pub(crate) const fn new(to: mpsc::Sender<quinn::Connection>, not_taken: Arc<AtomicU64>) -> Self {
        Self { to, not_taken }
    }
}

/// An endpoint of quinn.
#[derive(Debug)]
pub(crate) struct QuicTransport {
    quinn: quinn::Endpoint,
    /// The socket, if it is ours to close.
    socket: Option<Arc<Socket>>,
    identity: Identity,
    /// The application's own protocols, if it has any, until it ends.
    others: Mutex<Option<Others>>,
    closed: AtomicBool,
}

impl QuicTransport {
    /// Dials as `identity`, under which the endpoint takes in who dials.
    pub(crate) const fn new(
        quinn: quinn::Endpoint,
        socket: Option<Arc<Socket>>,
        identity: Identity,
        others: Option<Others>,
    ) -> Self {
        Self { quinn, socket, identity, others: Mutex::new(others), closed: AtomicBool::new(false) }
    }

    fn others(&self) -> std::sync::MutexGuard<'_, Option<Others>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits for others learns that there are no more.
    fn ends(&self) {
        *self.others() = None;
    }

    fn refuse_all(&self) {
        self.quinn.set_server_config(None);
    }
}

impl Transport for QuicTransport {
    fn key(&self) -> PublicKey {
        self.identity.key()
    }

    fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Pending<'_, Result<Arc<dyn Carrier>, DialFailed>> {
        Box::pin(async move {
            let connection = dial(&self.quinn, &self.identity, peer, addr, purpose).await?;
            Ok(Arc::new(Quic::new(connection, peer, purpose)) as Arc<dyn Carrier>)
        })
    }

    fn accept(&self) -> Pending<'_, Option<Box<dyn Incoming>>> {
        Box::pin(async {
            let Some(incoming) = self.quinn.accept().await else {
                self.ends();
                return None;
            };
            Some(Box::new(Dialled::new(incoming, self.others().clone())) as Box<dyn Incoming>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {
            self.closed.store(true, Ordering::Relaxed);
            self.ends();
            let Some(socket) = &self.socket else { return self.refuse_all() };
            self.quinn.close(VarInt::from_u32(0), b"the node shuts down");
            // Late peers find out by their idle timeout.
            let _ = timeout(CLOSE_IDLE, self.quinn.wait_idle()).await;
            socket.release().await;
        })
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        // Otherwise attempts would wait in quinn for an `accept` that never comes. Once it is closed, the app may have set a configuration
        // of its own.
        if !self.closed.load(Ordering::Relaxed) {
            self.refuse_all();
        }
    }
}

/// Dials one address for one key.
pub(crate) async fn dial(
    endpoint: &quinn::Endpoint,
    identity: &Identity,
    peer: PublicKey,
    addr: SocketAddr,
    purpose: Purpose,
) -> Result<quinn::Connection, DialFailed> {
    let config = identity.client_config(peer, purpose.protocol());
    let (config, answered) = config.map_err(|error| DialFailed::Setup(error.to_string()))?;
    let connecting = endpoint.connect_with(config, addr, SERVER_NAME).map_err(|error| match error {
        ConnectError::EndpointStopping => DialFailed::Closed,
        error => DialFailed::Address(error.to_string()),
    })?;
    let outcome = connecting.await;
    if let Some(answered) = answered.get().filter(|answered| *answered != peer) {
        return Err(DialFailed::WrongKey(answered));
    }
    // The verifier lets no other key pass.
    outcome.map_err(|error| match error {
        ConnectionError::TimedOut => DialFailed::TimedOut,
        // The second is what a handshake ends with that had to make room for others.
        ConnectionError::ConnectionClosed(close)
            if [TransportErrorCode::CONNECTION_REFUSED, TransportErrorCode::APPLICATION_ERROR]
                .contains(&close.error_code) =>
        {
            DialFailed::Refused
        }
        error => DialFailed::Failed(in_words(&error)),
    })
}
