//! The connections over which streams can run: those of links, and those that carry streams alone.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{INBOUND, INBOUND_OF_A_PEER, OUTBOUND};
use crate::key::PublicKey;
use crate::net::carried::Carried;
use crate::protocol::NetGroup;
use crate::wire::Reason;

/// What a connection is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It carries a link.
    Link,
    /// It carries streams alone; we dialled it, or the peer did from this group.
    Own { dialled: bool, group: NetGroup },
}

/// A connection to a peer, and how many streams are open on it.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(super) connection: Carried,
    kind: Kind,
    used: Arc<watch::Sender<u32>>,
    /// Of those, how many this node has opened.
    opened: Arc<watch::Sender<u32>>,
    /// Since when it has been unused, if it is.
    since: Instant,
}

impl Way {
    pub(super) fn new(connection: Carried, kind: Kind) -> Self {
        let [used, opened] = [(); 2].map(|()| Arc::new(watch::Sender::new(0)));
        Self { connection, kind, used, opened, since: Instant::now() }
    }

    /// Whether it carries streams alone.
    pub(super) fn is_own(&self) -> bool {
        self.kind != Kind::Link
    }

    fn is_inbound(&self) -> bool {
        matches!(self.kind, Kind::Own { dialled: false, .. })
    }

    fn is_outbound(&self) -> bool {
        matches!(self.kind, Kind::Own { dialled: true, .. })
    }

    fn is_unused(&self) -> bool {
        *self.used.borrow() == 0
    }

    /// One more stream is open on it, until this is dropped.
    pub(super) fn is_used(&self) -> Use {
        Use::of(&self.used)
    }

    /// This node has opened one more stream on it, until this is dropped.
    pub(super) fn is_opened(&self) -> Use {
        Use::of(&self.opened)
    }

    /// Whether a stream that this node has opened is open on it.
    pub(super) fn has_opened(&self) -> bool {
        *self.opened.borrow() > 0
    }

    /// How many streams are open on it, to watch.
    pub(super) fn uses(&self) -> watch::Receiver<u32> {
        self.used.subscribe()
    }

    fn is(&self, connection: &Carried) -> bool {
        self.connection.is(connection)
    }
}

/// A stream is open on a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Use(Arc<watch::Sender<u32>>);

impl Use {
    fn of(count: &Arc<watch::Sender<u32>>) -> Self {
        count.send_modify(|count| *count = count.saturating_add(1));
        Self(Arc::clone(count))
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.send_modify(|used| *used = used.saturating_sub(1));
    }
}

/// A connection on which a stream is about to be opened.
#[derive(Debug)]
pub(crate) struct UsedWay {
    pub(super) way: Way,
    pub(super) used: Use,
}

#[cfg(test)]
impl UsedWay {
    pub(crate) fn is_own(&self) -> bool {
        self.way.is_own()
    }
}

/// A connection for streams alone that was taken in.
#[derive(Debug)]
pub(crate) struct OwnWay {
    pub(super) way: Way,
    pub(super) peer: PublicKey,
}

impl OwnWay {
    /// It is about to be used.
    pub(crate) fn is_used(&self) -> UsedWay {
        UsedWay { way: self.way.clone(), used: self.way.is_used() }
    }
}

/// Why no more connections for streams alone are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WayRefused {
    /// The peer has as many as it may.
    OfPeer,
    /// Its group has.
    OfGroup,
    /// All have, and each has a stream.
    Full,
}

/// All of them, by peer. As many as there are links, and [`INBOUND`] and [`OUTBOUND`].
#[derive(Debug, Default)]
pub(super) struct Ways(HashMap<PublicKey, Vec<Way>>);

impl Ways {
    fn all(&self) -> impl Iterator<Item = (&PublicKey, &Way)> {
        self.0.iter().flat_map(|(peer, ways)| ways.iter().map(move |way| (peer, way)))
    }

    pub(super) fn add(&mut self, peer: PublicKey, way: Way) {
        self.0.entry(peer).or_default().push(way);
    }

    /// Forgets a connection that is over.
    pub(super) fn remove(&mut self, peer: &PublicKey, connection: &Carried) {
        let Some(ways) = self.0.get_mut(peer) else { return };
        ways.retain(|way| !way.is(connection));
        if ways.is_empty() {
            self.0.remove(peer);
        }
    }

    /// Takes a connection for streams alone in. Where there are too many, one without a stream goes for it. `most_of_group`: how many
    /// a group may have dialled.
    pub(super) fn add_own(
        &mut self,
        peer: PublicKey,
        way: Way,
        most_of_group: Option<u32>,
    ) -> Result<(), WayRefused> {
        if way.is_inbound() {
            let of_peer =
                self.0.get(&peer).map_or(0, |ways| ways.iter().filter(|way| way.is_inbound()).count());
            if of_peer >= INBOUND_OF_A_PEER {
                return Err(WayRefused::OfPeer);
            }
            let of_group = self.all().filter(|(_, other)| other.kind == way.kind).count();
            if most_of_group.is_some_and(|most| of_group >= usize::try_from(most).unwrap_or(usize::MAX)) {
                return Err(WayRefused::OfGroup);
            }
            self.make_room(Way::is_inbound, INBOUND)?;
        } else {
            self.make_room(Way::is_outbound, OUTBOUND)?;
        }
        self.add(peer, way);
        Ok(())
    }

    /// Ends the one that has been unused the longest, if there are as many of a kind as there may be.
    fn make_room(&mut self, of_kind: fn(&Way) -> bool, most: usize) -> Result<(), WayRefused> {
        if self.all().filter(|(_, way)| of_kind(way)).count() < most {
            return Ok(());
        }
        let unused = self.all().filter(|(_, way)| of_kind(way) && way.is_unused());
        let oldest =
            unused.min_by_key(|(_, way)| way.since).map(|(peer, way)| (*peer, way.connection.clone()));
        let (peer, connection) = oldest.ok_or(WayRefused::Full)?;
        end(&connection);
        self.remove(&peer, &connection);
        Ok(())
    }

    /// A live connection to a peer, marked as used: one for streams alone, else, if links will do, that of a link.
    pub(super) fn find(&self, peer: &PublicKey, links_too: bool) -> Option<UsedWay> {
        let ways = self.0.get(peer)?.iter().filter(|way| way.connection.close_reason().is_none());
        let best = ways.filter(|way| links_too || way.is_own()).max_by_key(|way| way.is_own())?;
        Some(UsedWay { way: best.clone(), used: best.is_used() })
    }

    /// Ends a connection for streams alone that nobody uses; false if somebody does again.
    pub(super) fn end_unused(&mut self, peer: &PublicKey, connection: &Carried) -> bool {
        let ways = self.0.get(peer).into_iter().flatten();
        let unused = ways.filter(|way| way.is(connection)).all(Way::is_unused);
        if unused {
            end(connection);
            self.remove(peer, connection);
        }
        unused
    }

    /// Since now a connection is unused.
    pub(super) fn rests(&mut self, peer: &PublicKey, connection: &Carried) {
        let ways = self.0.get_mut(peer).into_iter().flatten();
        ways.filter(|way| way.is(connection)).for_each(|way| way.since = Instant::now());
    }

    /// The connections for streams alone with a peer.
    pub(super) fn own_of(&self, peer: &PublicKey) -> Vec<Carried> {
        let ways = self.0.get(peer).into_iter().flatten();
        ways.filter(|way| way.is_own()).map(|way| way.connection.clone()).collect()
    }

    /// Ends all that carry streams alone.
    pub(super) fn end_own(&mut self, reason: Reason) {
        for (_, way) in self.all().filter(|(_, way)| way.is_own()) {
            way.connection.close(reason.code(), reason.to_string().as_bytes());
        }
    }

    /// How many carry streams alone.
    pub(super) fn own(&self) -> usize {
        self.all().filter(|(_, way)| way.is_own()).count()
    }
}

/// Ends a connection that is not needed any more.
fn end(connection: &Carried) {
    connection.close(Reason::Unneeded.code(), Reason::Unneeded.to_string().as_bytes());
}
