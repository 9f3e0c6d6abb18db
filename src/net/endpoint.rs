//! The socket: dials peers by key, and takes in those that dial us.
//!
//! ```text
//! first packet ─▶ gate ─┬─ refuse or Retry: no state is kept
//!                       └─ handshake, each in its own task, 3 to 10 s ─▶ 64 ready connections ─▶ accept()
//! ```

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::{
    AsyncUdpSocket, ConnectError, ConnectionError, EndpointConfig, Incoming, TokioRuntime,
    TransportErrorCode, VarInt,
};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::closed::{code, in_words};
use super::config::{GateConfig, HANDSHAKE_DEADLINE};
use super::connection::Connection;
use super::gate::{Admission, Gate, Refusals};
use super::group::NetGroup;
use super::half_open::HandshakePermit;
use super::identity::{Identity, SERVER_NAME, TlsSetupError, peer_key};
use super::socket::{self, Socket, SocketErrors, SocketState};
use super::streams::{Desk, STREAMS_ALPN};
use crate::key::{PublicKey, SecretKey};
use crate::protocol::DialError;
use crate::wire::ALPN;

/// Connections that are ready and not yet taken by [`Endpoint::accept`]. The same as the default of half-open ones, a guess.
const READY: usize = 64;

/// Time in [`Endpoint::close`] for the peers to learn of it. They time out otherwise, so more is not worth waiting for.
const CLOSE_IDLE: Duration = Duration::from_secs(1);

/// A UDP socket that speaks `vouchsafe/2`: dials, accepts, and refuses floods. All methods take `&self`.
///
/// Dropping it stops accepting; connections live on until they are closed or dropped.
#[derive(Debug)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
    /// The socket, if it is ours to close.
    socket: Option<Arc<Socket>>,
    identity: Identity,
    streams: Desk,
    gate: Arc<Mutex<Gate>>,
    ready: tokio::sync::Mutex<mpsc::Receiver<Result<Connection, AcceptError>>>,
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
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BindError::NoRuntime);
        }
        let identity = Identity::new(key);
        let server = Some(identity.server_config()?);
        let failed = |source| BindError::Socket { listen, source };
        let socket = Arc::new(Socket::bind(listen).map_err(failed)?);
        let quinn = quinn::Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            server,
            Arc::clone(&socket) as Arc<dyn AsyncUdpSocket>,
            Arc::new(TokioRuntime),
        );
        Ok(Self::start(quinn.map_err(failed)?, Some(socket), identity, gate))
    }

    /// Uses an endpoint of the app: sets our server configuration on it and takes every connection that comes in, so the app
    /// must not call `accept` on it; it may go on to dial with configurations of its own. Needs a running tokio runtime.
    ///
    /// # Errors
    /// If there is no runtime or TLS can't be set up.
    pub fn from_quinn(
        endpoint: quinn::Endpoint,
        key: &SecretKey,
        gate: GateConfig,
    ) -> Result<Self, BindError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BindError::NoRuntime);
        }
        let identity = Identity::new(key);
        endpoint.set_server_config(Some(identity.server_config()?));
        Ok(Self::start(endpoint, None, identity, gate))
    }

    fn start(
        quinn: quinn::Endpoint,
        socket: Option<Arc<Socket>>,
        identity: Identity,
        gate: GateConfig,
    ) -> Self {
        let gate = Arc::new(Mutex::new(Gate::new(gate, Instant::now())));
        let (ready_in, ready) = mpsc::channel(READY);
        let streams = Desk::default();
        let mut tasks = JoinSet::new();
        let entrance = Entrance { gate: gate.clone(), ready: ready_in, streams: streams.clone() };
        tasks.spawn(accept_loop(quinn.clone(), entrance));
        let state = match &socket {
            Some(socket) => {
                tasks.spawn(socket::keep(Arc::clone(socket)));
                socket.state()
            }
            None => watch::channel(SocketState::Works).1,
        };
        let (ready, tasks) = (tokio::sync::Mutex::new(ready), tokio::sync::Mutex::new(tasks));
        Self { quinn, socket, identity, streams, gate, ready, state, tasks }
    }

    /// The address the socket is bound to, with the port it got.
    ///
    /// # Errors
    /// If the operating system doesn't say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    /// Dials `addr` and succeeds only if it proves to hold the key `peer`, within 10 s. Dropping the future ends the handshake.
    ///
    /// # Errors
    /// [`DialError`] says what happened and what to do about it.
    pub async fn connect(&self, peer: PublicKey, addr: SocketAddr) -> Result<Connection, DialError> {
        dial(&self.quinn, &self.identity, peer, addr, ALPN, &self.streams).await
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
        dial(&self.quinn, &self.identity, peer, addr, STREAMS_ALPN, &self.streams).await
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

    /// How many links at once a network group may have dialled, if there is a limit: [`GateConfig::links_per_group`].
    #[must_use]
    pub fn links_of(&self, group: NetGroup) -> Option<u32> {
        lock(&self.gate).links_of(group)
    }

    /// How many attempts were refused or failed so far, by reason.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        lock(&self.gate).refusals()
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
        let Some(socket) = &self.socket else {
            return self.quinn.set_server_config(None);
        };
        self.quinn.close(VarInt::from_u32(0), b"the node shuts down");
        // Late peers find out by their idle timeout.
        let _ = timeout(CLOSE_IDLE, self.quinn.wait_idle()).await;
        socket.release().await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The tasks end with their set. Otherwise attempts would wait in quinn for an `accept` that never comes.
        self.quinn.set_server_config(None);
    }
}

/// Dials one address for one key.
pub(crate) async fn dial(
    endpoint: &quinn::Endpoint,
    identity: &Identity,
    peer: PublicKey,
    addr: SocketAddr,
    protocol: &[u8],
    streams: &Desk,
) -> Result<Connection, DialError> {
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
        Ok(Ok(quinn)) => Ok(Connection::new(quinn, peer, true, streams.clone())),
    }
}

/// Where those who dial us come in.
#[derive(Clone)]
struct Entrance {
    gate: Arc<Mutex<Gate>>,
    ready: mpsc::Sender<Result<Connection, AcceptError>>,
    streams: Desk,
}

async fn accept_loop(endpoint: quinn::Endpoint, entrance: Entrance) {
    // Ends with this task, so that a closed endpoint leaves no handshake behind. The gate bounds it.
    let mut handshakes = JoinSet::new();
    let mut handles: HashMap<HandshakePermit, AbortHandle> = HashMap::new();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = handshakes.join_next() => continue,
        };
        let Some(incoming) = incoming else { return };
        let (address, proven) = (incoming.remote_address().ip(), incoming.remote_address_validated());
        let (admission, ended) = admit(&entrance.gate, address, proven);
        for ended in ended {
            // Dropping a handshake closes its connection.
            handles.remove(&ended).iter().for_each(AbortHandle::abort);
        }
        match admission {
            Admission::Accept(permit) => {
                let place = Place { gate: entrance.gate.clone(), permit };
                handles.retain(|_, handle| !handle.is_finished());
                handles.insert(permit, handshakes.spawn(handshake(incoming, place, entrance.clone())));
            }
            Admission::Retry => {
                if let Err(not_possible) = incoming.retry() {
                    not_possible.into_incoming().refuse();
                }
            }
            Admission::Refuse(_) => incoming.refuse(),
        }
    }
}

/// What the gate says to an attempt, and which handshakes end for it.
fn admit(gate: &Mutex<Gate>, address: IpAddr, proven: bool) -> (Admission, Vec<HandshakePermit>) {
    let mut gate = lock(gate);
    let admission = gate.admit(Instant::now(), address, proven);
    (admission, std::iter::from_fn(|| gate.next_ended()).collect())
}

/// One handshake of a peer that dialled us. It keeps its place in the gate until the app has the connection, so that
/// connections nobody takes are bounded too.
async fn handshake(incoming: Incoming, place: Place, entrance: Entrance) {
    let Entrance { ready, streams, .. } = entrance;
    let remote = incoming.remote_address();
    let shaken = async { incoming.accept()?.await };
    let error = match timeout(HANDSHAKE_DEADLINE, shaken).await {
        Ok(Ok(quinn)) => match peer_key(&quinn) {
            Some(peer) => {
                lock(&place.gate).shaken(place.permit);
                return hand_over(Connection::new(quinn, peer, false, streams), &place, &ready).await;
            }
            None => AcceptError::NoKey { remote },
        },
        Ok(Err(error)) => AcceptError::Handshake { remote, why: in_words(&error) },
        Err(_) => AcceptError::TooSlow { remote },
    };
    place.count(|refusals| match error {
        AcceptError::TooSlow { .. } => refusals.too_slow += 1,
        _ => refusals.failed += 1,
    });
    // Errors may fill half of the channel and no more: a flood of failures must not keep good connections waiting.
    if ready.capacity() > READY / 2 {
        let _ = ready.try_send(Err(error));
    }
}

async fn hand_over(
    connection: Connection,
    place: &Place,
    ready: &mpsc::Sender<Result<Connection, AcceptError>>,
) {
    match timeout(HANDSHAKE_DEADLINE, ready.reserve()).await {
        Ok(Ok(room)) => room.send(Ok(connection)),
        _ => {
            connection.close(code::NOT_TAKEN, b"busy");
            place.count(|refusals| refusals.not_taken += 1);
        }
    }
}

/// A place in the gate, given back however the handshake ends.
struct Place {
    gate: Arc<Mutex<Gate>>,
    permit: HandshakePermit,
}

impl Place {
    fn count(&self, count: impl FnOnce(&mut Refusals)) {
        count(lock(&self.gate).refusals_mut());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.gate).finished(self.permit);
    }
}

/// The gate is a few counters that are right between any two statements, so a panic elsewhere doesn't spoil it.
fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
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
}

/// Why the handshake of a peer that dialled us failed. Nothing to do but to go on: anybody can fail a handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// TLS or QUIC failed.
    #[error("a handshake from {remote} failed: {why}; nothing to do unless it is a peer you expect")]
    Handshake {
        /// Where it came from.
        remote: SocketAddr,
        /// What QUIC said.
        why: String,
    },
    /// It took too long.
    #[error("a handshake from {remote} did not finish in 10 s; nothing to do unless it is a peer you expect")]
    TooSlow {
        /// Where it came from.
        remote: SocketAddr,
    },
    /// The peer showed no key we can read.
    #[error("a connection from {remote} has no Ed25519 key; nothing to do unless it is a peer you expect")]
    NoKey {
        /// Where it came from.
        remote: SocketAddr,
    },
}
