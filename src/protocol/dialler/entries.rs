//! The way in: peers that a node is given at its start, to find others by.
//!
//! An entry is kept like a peer that the application keeps, until the node has enough live links of its own choice. From then on it is a
//! candidate like those that strangers name: its link stays until a better candidate displaces it. When few such links are left, the
//! node keeps all entries again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::candidate::Origin;
use super::peer::{Peer, Role};
use super::{Dialler, KeepError, Kind, MAX_ADDRESSES, MAX_SUGGESTED, View};
use crate::key::PublicKey;
use crate::protocol::Mono;

/// Live links of its own choice with which a node needs no entry any more, or all that it wants if those are fewer.
const ENOUGH: usize = 8;
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The entries of one node.
#[derive(Debug)]
pub(super) struct Entries<A> {
    /// As many as kept peers at the most, with as many addresses as of any peer.
    all: BTreeMap<PublicKey, Vec<A>>,
    /// They are no kept peers at present.
    lapsed: bool,
    look_at: Option<Mono>,
}

impl<A: Clone + Ord> Entries<A> {
    pub(super) const fn new() -> Self {
        Self { all: BTreeMap::new(), lapsed: false, look_at: None }
    }

    pub(super) fn has(&self, peer: &PublicKey) -> bool {
        self.all.contains_key(peer)
    }

    pub(super) fn remove(&mut self, peer: &PublicKey) {
        self.all.remove(peer);
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    fn add(&mut self, peer: PublicKey, addr: A) {
        let addresses = self.all.entry(peer).or_default();
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(&addr) {
            addresses.push(addr);
        }
    }

    /// One of the links that the node chose is gone.
    pub(super) const fn link_ended(&mut self, now: Mono) {
        if self.lapsed {
            self.look_at = Some(now);
        }
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// Keeps a link to `peer` as [`Dialler::keep`] does, until the node has enough live links of its own choice, and whenever it has few.
    ///
    /// # Errors
    /// [`KeepError`] says why it is not kept.
    pub fn enter(&mut self, now: Mono, peer: PublicKey, addr: A) -> Result<(), KeepError> {
        let kept_for_ever = self.peers.get(&peer).is_some_and(Peer::is_kept) && !self.entries.has(&peer);
        self.keep_now(now, peer, addr.clone())?;
        if !kept_for_ever {
            self.entries.add(peer, addr);
        }
        Ok(())
    }

    /// Gives the entries up, or keeps them again.
    pub(super) fn judge_entries(&mut self, now: Mono, view: &impl View) {
        if !self.judges_entries() {
            return;
        }
        if *self.entries.look_at.get_or_insert(now.plus(LOOK_EVERY)) > now {
            return;
        }
        self.entries.look_at = Some(now.plus(LOOK_EVERY));
        let is_own =
            |peer: &PublicKey| !self.entries.has(peer) && !self.peers.get(peer).is_none_or(Peer::is_kept);
        let own = self.links.iter().filter(|(link, linked)| {
            linked.kind == Kind::Chosen && is_own(&linked.peer) && view.is_live(**link)
        });
        let own = own.count();
        if own >= self.enough() {
            self.entries.lapsed = true;
            self.let_entries_lapse();
        } else if self.entries.lapsed && own * 2 < self.enough() {
            self.entries.lapsed = false;
            for (peer, addresses) in self.entries.all.clone() {
                // At the bound it is not kept: there are others.
                addresses.into_iter().for_each(|addr| _ = self.keep_now(now, peer, addr));
            }
        }
    }

    fn enough(&self) -> usize {
        ENOUGH.min(self.config.dialling.outbound).max(1)
    }

    /// Whether there is anything to judge.
    fn judges_entries(&self) -> bool {
        !self.entries.all.is_empty() && (self.entries.lapsed || self.chosen >= self.enough())
    }

    fn let_entries_lapse(&mut self) {
        for peer in self.entries.all.keys().copied().collect::<Vec<_>>() {
            if self.candidates >= MAX_SUGGESTED {
                return;
            }
            let kept = |known: &&mut Peer<A>| known.is_kept() && !known.is_forgotten();
            if self.peers.get_mut(&peer).filter(kept).is_none() {
                continue;
            }
            let candidate = self.new_candidate(Origin::Found, &peer);
            if let Some(known) = self.peers.get_mut(&peer) {
                known.set_role(Role::Candidate(candidate));
            }
            self.candidates += 1;
            let spare =
                |(_, linked): &(_, &super::Linked<A>)| linked.peer == peer && linked.kind == Kind::Chosen;
            if self.chosen > self.config.dialling.outbound
                && let Some(link) = self.links.iter().find(spare).map(|(link, _)| *link)
            {
                self.hang_up(link);
            }
        }
    }

    pub(super) fn next_look_at_entries(&self) -> Option<Mono> {
        self.entries.look_at.filter(|_| self.judges_entries())
    }
}
