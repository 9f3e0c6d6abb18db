//! Whom to dial and when: at any time at most one dial, waiting or under way, for each peer that is kept.
//!
//! ```text
//!             keep                    poll                    failed, or forgotten meanwhile
//!   (unknown) ────> Waiting until ──────────> UnderWay ──────────────────────────────┐
//!                     ^   ^     │                 │ connected                        │
//!                     │   │     └── link up ──┐   │                                  │
//!                     │   │                   v   v                                  │
//!                     │   └── last link down ─ Linked                                │
//!                     └──────────── after a pause that doubles ──────────────────────┘
//! ```
//!
//! Sans-I/O: time goes in, orders come out, and the driver looks names up, dials and reports. `A` is whatever the driver dials: an
//! address, a name, a number. How often a peer is dialled depends on nothing but time and on how long links were live: neither
//! closed links nor refused ones, whoever made them, add a dial.

mod addresses;
mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub use super::limits::{MAX_ADDRESSES, MAX_DIALS, MAX_KEPT};
use super::random::Random;
use super::{LinkId, Mono};
use crate::key::PublicKey;
use crate::wire::Reason;
use kept::Kept;
pub use kept::{DialState, KeptPeer};

/// The first pause after a failed dial or a lost link; each further one doubles it. (Guess.)
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause: a peer that comes back is found again within it, and one that never does costs a dial in each.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A link that was live, both hellos said, for this long ends the doubling. (Guess: longer than a peer needs to find fault with us.)
const STABLE: Duration = Duration::from_secs(10);

/// What the driver is to do about a peer now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order<A> {
    /// Dial it there, and report with [`Dialler::connected`] or [`Dialler::failed`].
    Dial {
        /// Who must answer.
        peer: PublicKey,
        /// Where.
        addr: A,
    },
    /// Nothing: this node itself would refuse the link now, and it is tried again later. For the application to know.
    Refused {
        /// The peer that is not dialled.
        peer: PublicKey,
        /// Why the link would be refused.
        reason: Reason,
    },
}

/// Why a peer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// It is this node.
    #[error("this is the node's own key: it needs no link to itself")]
    OwnKey,
    /// There are too many.
    #[error("{MAX_KEPT} peers are kept already, the most there may be: forget some first")]
    TooMany,
}

/// The peers that a node wants links to. See the [module](self).
#[derive(Debug)]
pub struct Dialler<A> {
    own: PublicKey,
    peers: BTreeMap<PublicKey, Kept<A>>,
    /// When each peer that waits is due.
    due: BTreeSet<(Mono, PublicKey)>,
    /// Every link that there is, to any peer, with the address at which it was dialled for a kept one. As many as the driver has.
    links: BTreeMap<LinkId, (PublicKey, Option<A>)>,
    random: Random,
    dials: u64,
    under_way: usize,
}

impl<A: Clone + PartialEq> Dialler<A> {
    /// A dialler that keeps nobody, for the node with the key `own`. `seed` decides the jitter.
    pub fn new(own: PublicKey, seed: &[u8; 32]) -> Self {
        Self {
            own,
            peers: BTreeMap::new(),
            due: BTreeSet::new(),
            links: BTreeMap::new(),
            random: Random::new(seed),
            dials: 0,
            under_way: 0,
        }
    }

    /// Keeps a link to `peer` from now on. An address that is new for it is dialled at once, unless there is a link, and its pauses
    /// start anew; one that is known changes nothing.
    ///
    /// # Errors
    /// [`KeepError`] says why it is not kept.
    pub fn keep(&mut self, now: Mono, peer: PublicKey, addr: A) -> Result<(), KeepError> {
        if peer == self.own {
            return Err(KeepError::OwnKey);
        }
        let now_due = match self.peers.get_mut(&peer) {
            Some(kept) => kept.add_address(addr),
            None => self.keep_new(peer, addr)?,
        };
        if now_due {
            self.reschedule(peer, Some(now));
        }
        Ok(())
    }

    fn keep_new(&mut self, peer: PublicKey, addr: A) -> Result<bool, KeepError> {
        if self.peers.len() >= MAX_KEPT {
            return Err(KeepError::TooMany);
        }
        let links = self.links.values().filter(|(other, _)| *other == peer).count();
        self.peers.insert(peer, Kept::new(addr, links));
        Ok(true)
    }

    /// No longer keeps a link to `peer`. A dial that is under way is not taken back; its connection will not be wanted.
    pub fn forget(&mut self, peer: &PublicKey) {
        let Some(kept) = self.peers.get_mut(peer) else { return };
        if let Some(until) = kept.is_waiting() {
            self.due.remove(&(until, *peer));
        }
        if kept.forget() {
            self.peers.remove(peer);
        }
    }

    /// Keeps nobody any more.
    pub fn forget_all(&mut self) {
        let all: Vec<_> = self.peers.keys().copied().collect();
        all.iter().for_each(|peer| self.forget(peer));
    }

    /// The next thing to do, or `None` when there is nothing before [`Dialler::next_deadline`] or the next report. `refuses` says
    /// whether the node itself would refuse a link to a peer now.
    pub fn poll(&mut self, now: Mono, refuses: impl Fn(&PublicKey) -> Option<Reason>) -> Option<Order<A>> {
        if self.under_way >= MAX_DIALS {
            return None;
        }
        let (_, peer) = self.due.first().copied().filter(|(until, _)| *until <= now)?;
        self.due.pop_first();
        let kept = self.peers.get_mut(&peer)?;
        if let Some(reason) = refuses(&peer) {
            kept.pass_over(&reason);
            self.reschedule(peer, None);
            self.wait(now, peer);
            return Some(Order::Refused { peer, reason });
        }
        let addr = kept.begin()?;
        self.dials += 1;
        self.under_way += 1;
        Some(Order::Dial { peer, addr })
    }

    /// When to call [`Dialler::poll`] again at the latest.
    pub fn next_deadline(&self) -> Option<Mono> {
        let (until, _) = self.due.first()?;
        (self.under_way < MAX_DIALS).then_some(*until)
    }

    /// The dial of `peer` came to nothing. True if somebody should know: a link is wanted and there is none.
    pub fn failed(&mut self, now: Mono, peer: &PublicKey, why: &dyn fmt::Display) -> bool {
        let Some(kept) = self.end_dial(peer) else { return false };
        let lacks_link = kept.dial_failed(why);
        self.wait(now, *peer);
        lacks_link
    }

    /// The dial of `peer` has become `link`. False if it is no longer wanted: close it then, it does not count as a link.
    pub fn connected(&mut self, peer: &PublicKey, link: LinkId) -> bool {
        let Some(kept) = self.end_dial(peer) else { return false };
        let addr = kept.dial_connected();
        self.links.insert(link, (*peer, addr));
        true
    }

    /// A peer has dialled us: `link` is there, whether or not it will be refused.
    pub fn link_up(&mut self, peer: &PublicKey, link: LinkId) {
        self.links.insert(link, (*peer, None));
        let Some(kept) = self.peers.get_mut(peer) else { return };
        if let Some(until) = kept.is_waiting() {
            self.due.remove(&(until, *peer));
        }
        kept.link_up();
    }

    /// A link is gone. `live_for` is how long both hellos had been said, if they ever were. Gives whose link it was.
    pub fn link_down(
        &mut self,
        now: Mono,
        link: LinkId,
        live_for: Option<Duration>,
        why: &dyn fmt::Display,
    ) -> Option<PublicKey> {
        let (peer, addr) = self.links.remove(&link)?;
        if let Some(kept) = self.peers.get_mut(&peer) {
            kept.link_down(live_for, addr.as_ref(), why);
            self.wait(now, peer);
        }
        Some(peer)
    }

    /// Who is at the other end of a link.
    pub fn peer_of(&self, link: LinkId) -> Option<PublicKey> {
        self.links.get(&link).map(|(peer, _)| *peer)
    }

    /// Dials begun so far.
    pub const fn dials(&self) -> u64 {
        self.dials
    }

    /// Dials under way.
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// The peers that are kept, in the order of their keys.
    pub fn list(&self, now: Mono) -> Vec<KeptPeer<A>> {
        self.peers.iter().filter_map(|(peer, kept)| kept.show(*peer, now)).collect()
    }

    /// The dial of `peer` is over; `None` if it was forgotten meanwhile.
    fn end_dial(&mut self, peer: &PublicKey) -> Option<&mut Kept<A>> {
        let kept = self.peers.get_mut(peer).filter(|kept| kept.is_under_way())?;
        self.under_way = self.under_way.saturating_sub(1);
        if kept.is_forgotten() {
            self.peers.remove(peer);
            return None;
        }
        self.peers.get_mut(peer)
    }

    /// Lets a peer that is neither linked nor dialled wait: for its pause, or not at all where a new address has come meanwhile.
    fn wait(&mut self, now: Mono, peer: PublicKey) {
        let Some(kept) = self.peers.get_mut(&peer).filter(|kept| kept.is_idle_without_link()) else { return };
        let pause = kept.next_pause();
        // Up to a fifth of jitter, so that two nodes that lost each other do not dial at the same moment for ever.
        let jitter = pause.mul_f64(self.random.below(1000) as f64 / 5000.0);
        self.reschedule(peer, Some(now.plus(pause).plus(jitter)));
    }

    /// Moves a peer that may wait to `until`; with `None` it is not due any more.
    fn reschedule(&mut self, peer: PublicKey, until: Option<Mono>) {
        let Some(kept) = self.peers.get_mut(&peer) else { return };
        if let Some(before) = kept.is_waiting() {
            self.due.remove(&(before, peer));
        }
        if let Some(until) = kept.wait_until(until) {
            self.due.insert((until, peer));
        }
    }
}

#[cfg(test)]
mod tests;
