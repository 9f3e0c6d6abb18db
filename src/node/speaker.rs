//! What opens streams to other nodes: one for a node, shared by its handles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};

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
    pub(super) lock: Arc<tokio::sync::Mutex<()>>,
}

impl Shared {
    fn turns<T>(&self, act: impl FnOnce(&mut HashMap<PublicKey, Arc<tokio::sync::Mutex<()>>>) -> T) -> T {
        act(&mut self.dialled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.speaker.turns(|turns| {
            // This one's, and the map's.
            if Arc::strong_count(&self.lock) <= 2 {
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

    /// Whether one who has asked may be dialled there.
    pub(super) fn may_dial(&self, host: &Host) -> bool {
        let Host::Socket(address) = host else { return true };
        self.0.rests.may(address, Instant::now())
    }

    /// A member was not found there.
    pub(super) fn failed(&self, host: &Host) {
        if let Host::Socket(address) = host {
            self.0.rests.failed(*address, Instant::now());
        }
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
