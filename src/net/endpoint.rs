//! Where connections come from: dials peers by key, and takes in those that dial us ([`entrance`](super::entrance)), whatever transport it is
//! over.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use quinn::{AsyncUdpSocket, EndpointConfig, TokioRuntime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::carried::Ground;
use super::config::GateConfig;
use super::connection::Connection;
use super::entrance::{AcceptError, Entrance, READY, accept_loop, lock};
use super::gate::{Gate, Refusals};
use super::identity::{Identity, TlsSetupError};
use super::others::{self, OtherProtocols, OtherProtocolsError};
use super::quic::{Others, QuicTransport};
use super::socket::{self, Socket, SocketErrors, SocketState};
use super::streams::Desk;
use super::transport::{Purpose, Transport};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::DialError;
use crate::protocol::NetGroup;

/// A UDP socket that speaks `vouchsafe/2`, or another [transport](super::transport): dials, accepts, and refuses floods. All methods take `&self`.
///
/// Dropping it stops accepting; connections live on until they are closed or dropped.
#[derive(Debug)]
pub struct Endpoint {
    ground: Ground,
    /// The socket, if it has one of its own.
    socket: Option<Arc<Socket>>,
    streams: Desk,
    gate: Arc<Mutex<Gate>>,
    ready: tokio::sync::Mutex<mpsc::Receiver<Result<Connection, AcceptError>>>,
    others: tokio::sync::Mutex<mpsc::Receiver<quinn::Connection>>,
    others_not_taken: Arc<AtomicU64>,
    state: watch::Receiver<SocketState>,
    /// The tasks that accept and that keep the socket. Empty once the endpoint is closed.
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl Endpoint {
    /// Binds a UDP socket at `listen` (port 0: any free port) and begins to accept. Needs a running tokio runtime.
    ///
    /// # Errors
    /// If the address can't be bound, there is no runtime, or TLS can't be set up.
    pub fn bind(key: &SecretKey, listen: SocketAddr, gate: GateConfig) -> Result<Self, BindError> {
        Self::bind_beside(key, listen, gate, None)
    }

    /// As [`bind`](Self::bind), beside protocols of the app, whose connections [`accept_other`](Self::accept_other) gives.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_beside(
        key: &SecretKey,
        listen: SocketAddr,
        gate: GateConfig,
        others: Option<&OtherProtocols>,
    ) -> Result<Self, BindError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BindError::NoRuntime);
        }
        let identity = Identity::new(key);
        let server = Some(identity.server_config(others)?);
        let failed = |source| BindError::Socket { listen, source };
        let socket = Arc::new(Socket::bind(listen).map_err(failed)?);
        let quinn = quinn::Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            server,
            Arc::clone(&socket) as Arc<dyn AsyncUdpSocket>,
            Arc::new(TokioRuntime),
        );
        Ok(Self::start(quinn.map_err(failed)?, Some(socket), identity, gate, others))
    }

    /// Uses an endpoint of the app: sets our server configuration on it and takes every connection that comes in. So the app must not
    /// call `accept` or `set_server_config` on it; it may go on to dial with configurations of its own. Needs a running tokio runtime.
    ///
    /// # Errors
    /// If there is no runtime or TLS can't be set up.
    pub fn from_quinn(
        endpoint: quinn::Endpoint,
        key: &SecretKey,
        gate: GateConfig,
    ) -> Result<Self, BindError> {
        Self::from_quinn_beside(endpoint, key, gate, None)
    }

    /// As [`from_quinn`](Self::from_quinn), beside protocols of the app, whose connections [`accept_other`](Self::accept_other) gives.
    ///
    /// # Errors
    /// As [`from_quinn`](Self::from_quinn).
    pub fn from_quinn_beside(
        endpoint: quinn::Endpoint,
        key: &SecretKey,
        gate: GateConfig,
        others: Option<&OtherProtocols>,
    ) -> Result<Self, BindError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BindError::NoRuntime);
        }
        let identity = Identity::new(key);
        endpoint.set_server_config(Some(identity.server_config(others)?));
        Ok(Self::start(endpoint, None, identity, gate, others))
    }

    /// Uses a transport of the app, and takes in all who dial it. Needs a running tokio runtime.
    ///
    /// # Errors
    /// If there is no runtime.
    pub fn over(transport: Arc<dyn Transport>, gate: GateConfig) -> Result<Self, BindError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BindError::NoRuntime);
        }
        Ok(Self::begin(transport, gate))
    }

    fn start(
        quinn: quinn::Endpoint,
        socket: Option<Arc<Socket>>,
        identity: Identity,
        gate: GateConfig,
        others: Option<&OtherProtocols>,
    ) -> Self {
        let (others_in, others_out) = mpsc::channel(others::WAITING);
        let not_taken = Arc::new(AtomicU64::new(0));
        let others = others.map(|_| Others::new(others_in, Arc::clone(&not_taken)));
        let transport = QuicTransport::new(quinn, socket.clone(), identity, others);
        let mut endpoint = Self::begin(Arc::new(transport), gate);
        if let Some(socket) = &socket {
            endpoint.tasks.get_mut().spawn(socket::keep(Arc::clone(socket)));
            endpoint.state = socket.state();
        }
        Self { socket, others: tokio::sync::Mutex::new(others_out), others_not_taken: not_taken, ..endpoint }
    }

    fn begin(transport: Arc<dyn Transport>, gate: GateConfig) -> Self {
        let gate = Arc::new(Mutex::new(Gate::new(gate, Instant::now().into_std())));
        let (ready_in, ready) = mpsc::channel(READY);
        let streams = Desk::default();
        let entrance = Entrance { gate: gate.clone(), ready: ready_in, streams: streams.clone() };
        let mut tasks = JoinSet::new();
        let ground = Ground::new(transport);
        tasks.spawn(accept_loop(ground.clone(), entrance));
        Self {
            ground,
            socket: None,
            streams,
            gate,
            ready: tokio::sync::Mutex::new(ready),
            others: tokio::sync::Mutex::new(mpsc::channel(1).1),
            others_not_taken: Arc::default(),
            state: watch::channel(SocketState::Works).1,
            tasks: tokio::sync::Mutex::new(tasks),
        }
    }

    /// The key that it proves to others; `None` if its transport panics when it is asked.
    #[must_use]
    pub(crate) fn key(&self) -> Option<PublicKey> {
        self.ground.key()
    }

    /// The address the socket is bound to, with the port it got.
    ///
    /// # Errors
    /// If the operating system, or the transport, doesn't say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.ground.local_addr()
    }

    /// Dials `addr` and succeeds only if it proves to hold the key `peer`, within 10 s. Dropping the future ends the handshake.
    ///
    /// # Errors
    /// [`DialError`] says what happened and what to do about it.
    pub async fn connect(&self, peer: PublicKey, addr: SocketAddr) -> Result<Connection, DialError> {
        self.dial(peer, addr, Purpose::Gossip).await
    }

    /// As [`connect`](Self::connect), for streams of applications alone: such a connection takes no place of the gossip.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_for_streams(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
    ) -> Result<Connection, DialError> {
        self.dial(peer, addr, Purpose::Streams).await
    }

    async fn dial(
        &self,
        peer: PublicKey,
        addr: SocketAddr,
        purpose: Purpose,
    ) -> Result<Connection, DialError> {
        let carrier = self.ground.dial(peer, addr, purpose).await?;
        Ok(Connection::new(carrier, true, self.streams.clone()))
    }

    /// Who opens and accepts streams of applications.
    pub(crate) const fn streams(&self) -> &Desk {
        &self.streams
    }

    /// The next peer that dialled us, with its handshake done; `None` once the endpoint is closed. Handshakes go on
    /// side by side whether or not this is called, and a connection that nobody takes in 10 s is closed again.
    ///
    /// An error is one failed handshake, for the log: keep calling. Cancel safe.
    pub async fn accept(&self) -> Option<Result<Connection, AcceptError>> {
        self.ready.lock().await.recv().await
    }

    /// The next connection of a protocol of the app, with its handshake done; `None` once the endpoint is closed, or if it serves no others.
    /// Of those that have ended before they were asked for nothing is said. Cancel safe.
    pub async fn accept_other(&self) -> Option<quinn::Connection> {
        let mut others = self.others.lock().await;
        loop {
            let connection = others.recv().await?;
            if connection.close_reason().is_none() {
                return Some(connection);
            }
        }
    }

    /// How many links at once a network group may have dialled, if there is a limit: [`GateConfig::links_per_group`].
    #[must_use]
    pub fn links_of(&self, group: NetGroup) -> Option<u32> {
        lock(&self.gate).links_of(group)
    }

    /// How many attempts were refused or failed so far, by reason.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        let others_not_taken = self.others_not_taken.load(Ordering::Relaxed);
        Refusals { others_not_taken, ..lock(&self.gate).refusals() }
    }

    /// Waits until the socket does otherwise than `known`. Of an endpoint of the app nothing is known but that
    /// [`accept`](Self::accept) ends with it. Cancel safe.
    pub async fn state_other_than(&self, known: &SocketState) -> SocketState {
        let mut state = self.state.clone();
        let changed = state.wait_for(|state| state != known).await.map(|state| state.clone());
        match changed {
            Ok(state) => state,
            // Nobody will ever say more.
            Err(_) => std::future::pending().await,
        }
    }

    #[cfg(test)]
    pub(crate) fn faults(&self) -> &socket::Faults {
        &self.socket.as_ref().expect("a socket of its own").faults
    }

    /// Errors of the socket so far; none are seen of an endpoint of the app.
    #[must_use]
    pub fn socket_errors(&self) -> SocketErrors {
        self.socket.as_ref().map(|socket| socket.errors()).unwrap_or_default()
    }

    /// Closes all connections and the socket. Waits at most 1 s for the peers to learn of it; then the port is free, even where a
    /// peer did not answer or a clone of a connection lives on. On an endpoint of the app
    /// ([`from_quinn`](Self::from_quinn)) it only stops accepting, since other connections on it are not ours. Idempotent.
    ///
    /// Dropping the future may leave the port bound: call it again.
    pub async fn close(&self) {
        self.tasks.lock().await.shutdown().await;
        self.streams.close();
        self.ground.close().await;
    }
}

/// Why an endpoint could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The operating system refused the address.
    #[error("can't listen on UDP {listen}: {source}; choose another address, or port 0 for any free port")]
    Socket {
        /// The address asked for.
        listen: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Called outside a tokio runtime.
    #[error("no tokio runtime is running here: call it from async code, or inside `Runtime::enter`")]
    NoRuntime,
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The app's own protocols can't be served.
    #[error(transparent)]
    Others(#[from] OtherProtocolsError),
}
