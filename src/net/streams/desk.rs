//! Which protocols a node accepts, what peers hold of it, and which connections streams can run over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::mpsc;

use super::ends::IncomingStream;
use super::name::ProtocolName;
use super::places::{Place, Places};
use super::ways::{Kind, OwnWay, UsedWay, Way, WayRefused, Ways};
use super::{PROTOCOLS, WAITING, refused};
use crate::key::PublicKey;
use crate::net::carried::Carried;
use crate::rumor::NetworkId;
use crate::wire::Reason;

/// Streams of applications so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StreamStats {
    /// Streams that peers have opened and the application has not dropped.
    pub open: u32,
    /// Connections that carry streams alone.
    pub connections: usize,
    /// Streams of peers that were accepted.
    pub accepted: u64,
    /// Streams of peers that were refused since nobody accepts their protocol.
    pub not_accepted: u64,
    /// Streams and connections of peers that were refused since there were too many, or the application took them too slowly.
    pub busy: u64,
    /// Streams whose peer did not say, in time and in order, what they are for, or that belong to another network.
    pub no_header: u64,
}

/// Why a protocol is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptRefused {
    /// It is accepted already.
    Twice,
    /// As many are as may be.
    TooMany,
    /// The node is closed.
    Closed,
}

/// Shared by a node's endpoint, its links, and whoever opens and accepts streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    network: OnceLock<NetworkId>,
    places: Places,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accepting: BTreeMap<ProtocolName, mpsc::Sender<IncomingStream>>,
    ways: Ways,
    stats: StreamStats,
    closed: bool,
}

/// Accepts a protocol until it is dropped.
#[derive(Debug)]
pub(crate) struct Accepting {
    desk: Desk,
    name: ProtocolName,
    pub(crate) incoming: mpsc::Receiver<IncomingStream>,
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.desk.with(|state| state.accepting.remove(&self.name));
    }
}

impl Desk {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The network to which the node belongs. Streams of others are refused; before it is said, all are.
    pub(crate) fn belongs_to(&self, network: NetworkId) {
        // Said once, by the builder.
        let _ = self.0.network.set(network);
    }

    pub(super) fn network(&self) -> Option<NetworkId> {
        self.0.network.get().copied()
    }

    /// Accepts streams of a protocol from now on.
    pub(crate) fn accept(&self, name: ProtocolName) -> Result<Accepting, AcceptRefused> {
        let (incoming_in, incoming) = mpsc::channel(WAITING);
        self.with(|state| {
            if state.closed {
                Err(AcceptRefused::Closed)
            } else if state.accepting.contains_key(&name) {
                Err(AcceptRefused::Twice)
            } else if state.accepting.len() >= PROTOCOLS && name != ProtocolName::of_library() {
                Err(AcceptRefused::TooMany)
            } else {
                state.accepting.insert(name.clone(), incoming_in);
                Ok(())
            }
        })?;
        Ok(Accepting { desk: self.clone(), name, incoming })
    }

    /// Whether any protocol is accepted.
    pub(crate) fn accepts_any(&self) -> bool {
        self.with(|state| !state.accepting.is_empty())
    }

    /// Who takes streams of a protocol, if there is room for one more now; else the code that says why there is none.
    pub(super) fn taker(
        &self,
        network: &NetworkId,
        name: &ProtocolName,
    ) -> Result<mpsc::Sender<IncomingStream>, u32> {
        if self.network() != Some(*network) {
            return Err(refused::OTHER_NETWORK);
        }
        let taker = self.with(|state| state.accepting.get(name).cloned()).ok_or(refused::NOT_ACCEPTED)?;
        if taker.capacity() == 0 { Err(refused::BUSY) } else { Ok(taker) }
    }

    /// A place for one more stream of a peer.
    pub(super) fn place(&self, peer: PublicKey) -> Option<Place> {
        self.0.places.take(peer)
    }

    /// A stream was refused with this code, or accepted.
    pub(super) fn count(&self, outcome: Result<(), u32>) {
        self.with(|state| match outcome {
            Ok(()) => state.stats.accepted += 1,
            Err(refused::NOT_ACCEPTED) => state.stats.not_accepted += 1,
            Err(refused::BUSY) => state.stats.busy += 1,
            Err(_) => state.stats.no_header += 1,
        });
    }

    /// There is a link to a peer.
    pub(crate) fn link_begins(&self, peer: PublicKey, connection: Carried) -> Way {
        let way = Way::new(connection, Kind::Link);
        self.with(|state| state.ways.add(peer, way.clone()));
        way
    }

    /// A connection is over.
    pub(crate) fn way_ends(&self, peer: &PublicKey, connection: &Carried) {
        self.with(|state| state.ways.remove(peer, connection));
    }

    /// Takes a connection for streams alone in, unless there are too many.
    pub(crate) fn take_own(
        &self,
        peer: PublicKey,
        connection: Carried,
        dialled: bool,
        most_of_group: Option<u32>,
    ) -> Result<OwnWay, WayRefused> {
        let group = connection.group();
        let way = Way::new(connection, Kind::Own { dialled, group });
        self.with(|state| {
            let taken = if state.closed {
                Err(WayRefused::Full)
            } else {
                state.ways.add_own(peer, way.clone(), most_of_group)
            };
            state.stats.busy += u64::from(taken.is_err());
            taken
        })?;
        Ok(OwnWay { way, peer })
    }

    /// A live connection to a peer, marked as used.
    pub(crate) fn way(&self, peer: &PublicKey, links_too: bool) -> Option<UsedWay> {
        self.with(|state| state.ways.find(peer, links_too).filter(|_| !state.closed))
    }

    pub(super) fn rests(&self, own: &OwnWay) {
        self.with(|state| state.ways.rests(&own.peer, &own.way.connection));
    }

    /// Ends a connection for streams alone if nobody uses it.
    pub(super) fn end_unused(&self, own: &OwnWay) -> bool {
        self.with(|state| state.ways.end_unused(&own.peer, &own.way.connection))
    }

    /// Ends all connections for streams alone with a peer.
    pub(crate) fn hang_up(&self, peer: &PublicKey, code: u32, reason: &str) {
        let own = self.with(|state| state.ways.own_of(peer));
        for connection in own {
            connection.close(code, reason.as_bytes());
        }
    }

    /// Nothing is accepted any more. Those who wait for streams learn that there are no more.
    pub(crate) fn close(&self) {
        self.with(|state| {
            state.closed = true;
            state.accepting.clear();
            state.ways.end_own(Reason::Shutdown);
        });
    }

    /// What was counted, and what there is.
    pub(crate) fn stats(&self) -> StreamStats {
        let open = self.0.places.taken();
        self.with(|state| StreamStats { open, connections: state.ways.own(), ..state.stats })
    }
}
