//! Where those who dial us come in: the gate, then the handshake, then whoever the connection is for.
//!
//! ```text
//! transport ─▶ gate ─┬─ refuse or Retry: no state is kept
//!                    └─ handshake, each in its own task, 3 to 10 s ─▶ 64 ready connections ─▶ accept()
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::carried::{Dialling, Ground, Shaken};
use super::closed::code;
use super::config::HANDSHAKE_DEADLINE;
use super::connection::Connection;
use super::gate::{Admission, Gate, Refusals};
use super::half_open::HandshakePermit;
use super::streams::Desk;

/// Connections that are ready and not yet taken by [`Endpoint::accept`](super::Endpoint::accept). The same as the default of half-open ones, a guess.
pub(super) const READY: usize = 64;

/// What a handshake needs, and where its connection goes.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    pub(super) gate: Arc<Mutex<Gate>>,
    pub(super) ready: mpsc::Sender<Result<Connection, AcceptError>>,
    pub(super) streams: Desk,
}

/// Takes in all who dial, until the transport is closed.
pub(super) async fn accept_loop(ground: Ground, entrance: Entrance) {
    // Ends with this task, so that a closed endpoint leaves no handshake behind. The gate bounds it.
    let mut handshakes = JoinSet::new();
    let mut handles: HashMap<HandshakePermit, AbortHandle> = HashMap::new();
    loop {
        let mut next = pin!(ground.accept());
        let incoming = loop {
            tokio::select! {
                incoming = &mut next => break incoming,
                Some(_) = handshakes.join_next() => {}
            }
        };
        let Some(incoming) = incoming else { return };
        let Some(dialling) = Dialling::new(incoming) else { continue };
        let (admission, ended) = admit(&entrance.gate, dialling.remote().ip(), dialling.is_proven());
        for ended in ended {
            // Dropping a handshake closes its connection.
            handles.remove(&ended).iter().for_each(AbortHandle::abort);
        }
        match admission {
            Admission::Accept(permit) => {
                let place = Place { gate: entrance.gate.clone(), permit };
                handles.retain(|_, handle| !handle.is_finished());
                handles.insert(permit, handshakes.spawn(handshake(dialling, place, entrance.clone())));
            }
            Admission::Retry => dialling.goes(true),
            Admission::Refuse(_) => dialling.goes(false),
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
async fn handshake(dialling: Dialling, place: Place, entrance: Entrance) {
    let Entrance { ready, streams, .. } = entrance;
    let remote = dialling.remote();
    let error = match timeout(HANDSHAKE_DEADLINE, dialling.shake()).await {
        Ok(Shaken::Ours(carrier)) => {
            lock(&place.gate).shaken(place.permit);
            return hand_over(Connection::new(carrier, false, streams), &place, &ready).await;
        }
        Ok(Shaken::Other) => return,
        Ok(Shaken::NoKey) => AcceptError::NoKey { remote },
        Ok(Shaken::Failed(why)) => AcceptError::Handshake { remote, why },
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
pub(super) fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the handshake of a peer that dialled us failed. Nothing to do but to go on: anybody can fail a handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The transport failed, as TLS or QUIC.
    #[error("a handshake from {remote} failed: {why}; nothing to do unless it is a peer you expect")]
    Handshake {
        /// Where it came from.
        remote: SocketAddr,
        /// What the transport said.
        why: String,
    },
    /// It took too long.
    #[error("a handshake from {remote} did not finish in 10 s; nothing to do unless it is a peer you expect")]
    TooSlow {
        /// Where it came from.
        remote: SocketAddr,
    },
    /// The peer has a key that a single holder can't have.
    #[error("a connection from {remote} has no Ed25519 key; nothing to do unless it is a peer you expect")]
    NoKey {
        /// Where it came from.
        remote: SocketAddr,
    },
}
