//! What opens streams to other nodes: one for a node, shared by its handles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::asked::Asked;
use super::reach::Reach;
use super::rests::Rests;
use super::{Host, PeerAddr};
use crate::key::{PublicKey, SecretKey};
use crate::net::{Connection, Desk, Endpoint};
use crate::protocol::DialError;
use crate::rumor::NetworkId;

/// Members that are dialled at once to answer their questions. (Guess: all members may ask at once.)
const CAREFUL: usize = 8;

/// How long one of those dials takes at the most.
const CAREFULLY: Duration = Duration::from_secs(3);

/// Opens streams for a node. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Speaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: Arc<Endpoint>,
    /// The node key.
    key: SecretKey,
    reach: Reach,
    asked: Asked,
    rests: Rests,
    /// Places for dials of those who have asked.
    careful: Semaphore,
    /// Members that are dialled, so that each is dialled once. As many as the application asks for at a time.
    dialled: Mutex<HashMap<PublicKey, Arc<tokio::sync::Mutex<()>>>>,
}

/// The turn of one who dials a member.
pub(super) struct Turn<'a> {
    speaker: &'a Shared,
    peer: PublicKey,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Turn<'_> {
    /// Waits for it.
    pub(super) async fn comes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lock.lock().await
    }
}

impl Shared {
    fn turns<T>(&self, act: impl FnOnce(&mut HashMap<PublicKey, Arc<tokio::sync::Mutex<()>>>) -> T) -> T {
        act(&mut self.dialled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let lock = std::mem::take(&mut self.lock);
        self.speaker.turns(|turns| {
            // Under the lock of the map, so that of several that end at once the last sees that it is.
            drop(lock);
            if turns.get(&self.peer).is_some_and(|lock| Arc::strong_count(lock) == 1) {
                turns.remove(&self.peer);
            }
        });
    }
}

impl Speaker {
    /// For a node of this network.
    pub(super) fn new(endpoint: Endpoint, key: SecretKey, network: NetworkId) -> Self {
        endpoint.streams().belongs_to(network);
        let endpoint = Arc::new(endpoint);
        let reach = Reach::new(Arc::clone(&endpoint));
        Self(Arc::new(Shared {
            endpoint,
            key,
            reach,
            asked: Asked::default(),
            rests: Rests::default(),
            careful: Semaphore::new(CAREFUL),
            dialled: Mutex::default(),
        }))
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0.endpoint
    }

    /// The node key.
    pub(super) fn key(&self) -> &SecretKey {
        &self.0.key
    }

    /// The questions of this node.
    pub(super) fn asked(&self) -> &Asked {
        &self.0.asked
    }

    /// Waits for a place to dial one who has asked.
    pub(super) async fn careful(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.careful.acquire().await.ok()
    }

    /// Dials one who has asked: not where it was not found of late, and not for long.
    pub(super) async fn dial_with_care(&self, peer: PeerAddr) -> Result<Connection, DialError> {
        let PeerAddr { key, host: Host::Socket(addr) } = peer else { return self.dial(peer).await };
        if !self.0.rests.may(addr, &key, Instant::now()) {
            // So it was of late.
            return Err(DialError::TimedOut { addr, peer: key });
        }
        let dialled = timeout(CAREFULLY, self.dial(peer)).await;
        let dialled = dialled.unwrap_or(Err(DialError::TimedOut { addr, peer: key }));
        match &dialled {
            Ok(_) => self.0.rests.answered(addr),
            Err(error) => self.0.rests.failed(addr, error, Instant::now()),
        }
        dialled
    }

    pub(super) fn desk(&self) -> &Desk {
        self.0.endpoint.streams()
    }

    /// The turn to dial a member, once its lock is had.
    pub(super) fn turn(&self, peer: PublicKey) -> Turn<'_> {
        let lock = self.0.turns(|turns| Arc::clone(turns.entry(peer).or_default()));
        Turn { speaker: &self.0, peer, lock }
    }

    /// Dials a member for streams alone.
    pub(super) async fn dial(&self, peer: PeerAddr) -> Result<Connection, DialError> {
        self.0.reach.clone().reach_for_streams(peer).await
    }
}
