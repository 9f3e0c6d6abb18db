//! Where those who dial us come in: the gate, then the handshake, then whoever the connection is for.
//!
//! ```text
//! first packet ─▶ gate ─┬─ refuse or Retry: no state is kept                  ┌─ ours ───▶ 64 ready connections ─▶ accept()
//!                       └─ handshake, each in its own task, 3 to 10 s ─▶ ALPN ┴─ others ─▶ 64 that wait ─▶ accept_other()
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quinn::Incoming;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::closed::{code, in_words};
use super::config::HANDSHAKE_DEADLINE;
use super::connection::Connection;
use super::gate::{Admission, Gate, Refusals};
use super::half_open::HandshakePermit;
use super::identity::{peer_key, protocol_of};
use super::others::is_ours;
use super::streams::Desk;

/// Connections that are ready and not yet taken by [`Endpoint::accept`](super::Endpoint::accept). The same as the default of half-open ones, a guess.
pub(super) const READY: usize = 64;

/// What a handshake needs, and where its connection goes.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    pub(super) gate: Arc<Mutex<Gate>>,
    pub(super) ready: mpsc::Sender<Result<Connection, AcceptError>>,
    pub(super) streams: Desk,
    /// For connections of the application's own protocols, if it has any.
    pub(super) others: Option<mpsc::Sender<quinn::Connection>>,
}

#[cfg(any(test, feature = "memory"))]
impl Entrance {
    /// Takes in a connection without a handshake, if the gate says so. It waits for the application like any other.
    pub(super) fn take_in(&self, from: SocketAddr, connection: impl FnOnce(Desk) -> Connection) -> bool {
        let (admission, _) = admit(&self.gate, from.ip(), true);
        let Admission::Accept(permit) = admission else { return false };
        lock(&self.gate).shaken(permit);
        let place = Place { gate: Arc::clone(&self.gate), permit };
        let (connection, ready) = (connection(self.streams.clone()), self.ready.clone());
        // As many as the gate lets wait.
        tokio::spawn(async move { hand_over(connection, &place, &ready).await });
        true
    }
}

/// Takes in all who dial, until the endpoint is closed.
pub(super) async fn accept_loop(endpoint: quinn::Endpoint, entrance: Entrance) {
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
    let admission = gate.admit(Instant::now().into_std(), address, proven);
    (admission, std::iter::from_fn(|| gate.next_ended()).collect())
}

/// One handshake of a peer that dialled us. It keeps its place in the gate until the app has the connection, so that
/// connections nobody takes are bounded too.
async fn handshake(incoming: Incoming, place: Place, entrance: Entrance) {
    let Entrance { ready, streams, others, .. } = entrance;
    let remote = incoming.remote_address();
    let shaken = async { incoming.accept()?.await };
    let error = match timeout(HANDSHAKE_DEADLINE, shaken).await {
        Ok(Ok(quinn)) => match (others, peer_key(&quinn)) {
            // What TLS has agreed on, not what was asked for.
            (Some(others), _) if !protocol_of(&quinn).is_some_and(|protocol| is_ours(&protocol)) => {
                return hand_over_other(quinn, &place, &others);
            }
            (_, Some(peer)) => {
                lock(&place.gate).shaken(place.permit);
                return hand_over(Connection::new(quinn, peer, false, streams), &place, &ready).await;
            }
            (_, None) => AcceptError::NoKey { remote },
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

/// Gives a connection of another protocol to the application. It does not wait for room: it would keep its place in the gate, and those
/// whom the application does not take must keep nobody out of the gossip.
fn hand_over_other(connection: quinn::Connection, place: &Place, others: &mpsc::Sender<quinn::Connection>) {
    if let Err(refused) = others.try_send(connection) {
        refused.into_inner().close(code::NOT_TAKEN.into(), b"busy");
        place.count(|refusals| refusals.others_not_taken += 1);
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
pub(super) fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
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
