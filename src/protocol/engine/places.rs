//! Who may have a link to us: how many, and which places are kept for diallers that did not choose us.
//!
//! Places for inbound links are what an attacker takes first: it dials everybody, at once and again and again, so whoever
//! comes later finds them full. So part of them is kept for *hash-selected* pairs: a hash of both node keys decides, for each
//! pair and direction, whether the dialler may use them, and lets about half as many keys of the network through as there
//! are such places. So they do not fill up by chance, and an honest dialler that begins with its hash-selected acceptors gets in,
//! whoever came before it. An attacker that can make keys at will needs some forty for each place at one victim (1 000
//! nodes, 48 places), and for each day anew: a pair draws again once a day. docs/decisions/0021-inbound-places-kept-for-unaimed-diallers.md has the figures. The dialler
//! begins with candidates for which it is hash-selected.

use std::time::Duration;

use crate::key::PublicKey;
use crate::protocol::context::Reach;
use crate::protocol::engine::Engine;
use crate::protocol::failpoint::Failpoint;
use crate::protocol::limits::LINKS_OF_A_KEY;
use crate::protocol::links::Link;
use crate::protocol::{Config, LinkId};
use crate::rumor::NetworkId;
use crate::wire::Reason;

/// For how long a pair keeps what it has drawn, seconds. A key that was made for one victim is one among many the day after.
const DAY_S: u64 = 86_400;
/// How far apart the clocks of two nodes may be, seconds, in whose judgement of a pair they are to agree: twice the skew.
const CLOCKS_APART_S: u64 = 60;
/// In a smaller network there are more places than nodes, and no pair is left out.
pub(super) const LEAST_DRAWN: u32 = 64;
/// A link that was drawn keeps its place for so long: a day, and time for the dialler to find others.
const HOLDS_FOR: Duration = Duration::from_secs(25 * 3_600);

impl Config {
    /// Inbound places that are kept for hash-selected diallers.
    fn kept_inbound(&self) -> usize {
        self.links.hash_selected.min(self.links.inbound / 2)
    }

    /// Whether `dialler` may use the inbound places of `acceptor` that are kept for diallers which did not choose it, at this second of
    /// Unix time. Both sides compute it, so a dialler with many candidates begins with those for which it holds. It is drawn anew for
    /// each pair once a day, at a second that differs from pair to pair. In a network of fewer than 64 nodes it holds for all.
    pub fn is_hash_selected(
        &self,
        network: &NetworkId,
        dialler: &PublicKey,
        acceptor: &PublicKey,
        unix_s: u64,
    ) -> bool {
        if self.expected_nodes < LEAST_DRAWN {
            return true;
        }
        let mut hasher = blake3::Hasher::new_derive_key("vouchsafe unaimed pair v2");
        for part in [network.as_bytes(), dialler.as_bytes(), acceptor.as_bytes()] {
            hasher.update(part);
        }
        let day = unix_s.saturating_add(word(&hasher) % DAY_S) / DAY_S;
        hasher.update(&day.to_le_bytes());
        let keys = u64::from(self.expected_nodes.max(1));
        // Half the places: of 1 000 acceptors with 48 each, none meets more than 48 such keys by chance (Poisson, mean 24).
        let share = (u64::MAX / keys).saturating_mul(self.kept_inbound() as u64 / 2);
        word(&hasher) < share
    }

    /// Whether an acceptor keeps a place for a dialler at this second, though the clocks of both may be up to a minute apart.
    pub(super) fn keeps_place(
        &self,
        network: &NetworkId,
        dialler: &PublicKey,
        acceptor: &PublicKey,
        unix_s: u64,
    ) -> bool {
        // (A pair's day is longer than the time between the two.)
        [unix_s.saturating_sub(CLOCKS_APART_S), unix_s.saturating_add(CLOCKS_APART_S)]
            .into_iter()
            .any(|second| self.is_hash_selected(network, dialler, acceptor, second))
    }
}

/// The first word of what was hashed so far.
fn word(hasher: &blake3::Hasher) -> u64 {
    let mut word = [0; 8];
    hasher.finalize_xof().fill(&mut word);
    u64::from_le_bytes(word)
}

/// What a driver, as [`Node`](crate::Node) is one, sets on the engine itself, since it has its home there: the builder of a node has
/// `allow` and `verifiers`.
impl Engine {
    /// Tells peers from now on whether others can dial this node, and how often its transport says something on a silent link (zero:
    /// never). Before: they can't, and never.
    pub fn set_reach(&mut self, listens: bool, keep_alive: Duration) {
        let keep_alive_ms = u16::try_from(keep_alive.as_millis()).unwrap_or(u16::MAX);
        self.cx.reach = Reach { listens, keep_alive_ms };
    }

    /// Hands out at most `threads` batches of signatures at once, and one at least. Before: 1.
    pub fn set_verifiers(&mut self, threads: usize) {
        self.cx.config.verifiers = threads.max(1);
    }
}

impl Engine {
    /// Why nothing is spoken with `peer` at all, however many places there are.
    #[must_use]
    pub fn bars(&self, peer: &PublicKey) -> Option<Reason> {
        if self.closed {
            return Some(Reason::Shutdown);
        }
        if self.bans.is_banned(peer, self.cx.now.mono) {
            return Some(Reason::Banned);
        }
        let kept_out = self.is_kept_out(peer);
        if kept_out.is_some() {
            return kept_out;
        }
        (*peer == self.cx.node).then_some(Reason::NotAdmitted)
    }

    /// Why a link to `peer` can't be, if it can't.
    pub(super) fn refusal(&self, peer: &PublicKey, inbound: bool) -> Option<Reason> {
        if let Some(reason) = self.bars(peer) {
            return Some(reason);
        }
        // A second link replaces the first or is closed for it, so it needs no place of its own; but closing takes a
        // while, and whoever connects again and again must not take ever more places by it.
        let (links, guests) = self.links.of_peer(peer).fold((0, 0), |(links, guests), link| {
            (links + 1, guests + usize::from(self.guests.has(link.id())))
        });
        match links {
            0 => {}
            // A guest has no place that a second link could take.
            links if links < LINKS_OF_A_KEY && guests == 0 => return None,
            links if links < LINKS_OF_A_KEY => {}
            _ => return Some(Reason::Duplicate),
        }
        let places = self.links.len().saturating_sub(self.guests.len());
        let full = places >= self.cx.config.links.max || (inbound && !self.has_inbound_place(peer));
        full.then_some(Reason::Full)
    }

    fn has_inbound_place(&self, peer: &PublicKey) -> bool {
        let (mut inbound, mut aimed) = (0, 0);
        for link in self.links.iter().filter(|link| !link.is_dialled() && !self.guests.has(link.id())) {
            inbound += 1;
            aimed += usize::from(!self.holds_kept_place(link));
        }
        let open = self.cx.config.links.inbound - self.cx.config.kept_inbound();
        let for_all = self.cx.config.lacks(Failpoint::PlacesForAll);
        inbound < self.cx.config.links.inbound && (for_all || aimed < open || self.keeps_place_for(peer))
    }

    /// Whether `peer` may use a kept place now.
    pub(super) fn keeps_place_for(&self, peer: &PublicKey) -> bool {
        let unix_s = self.cx.now.unix_ms / 1_000;
        self.cx.config.keeps_place(&self.cx.network, peer, &self.cx.node, unix_s)
    }

    /// Whether an inbound link counts against no place that is open to all. One whose pair's day is long over draws as if it came now, and
    /// so does one that was drawn among few: in the first minutes of a network, or by liars who told of no more.
    fn holds_kept_place(&self, link: &Link) -> bool {
        let held = self.cx.now.mono.since(link.up_since());
        let among_as_many = link.drawn_among().saturating_mul(2) >= self.cx.config.expected_nodes;
        link.is_hash_selected() && (held < HOLDS_FOR && among_as_many || self.keeps_place_for(&link.peer()))
    }

    /// Links that hold kept places for longer than they may, beyond the places that are open to all.
    pub(super) fn outstayed(&self) -> Vec<LinkId> {
        let inbound = self.links.iter().filter(|link| !link.is_dialled() && !link.is_closing());
        let aimed: Vec<_> =
            inbound.filter(|link| !self.guests.has(link.id()) && !self.holds_kept_place(link)).collect();
        let open = self.cx.config.links.inbound.saturating_sub(self.cx.config.kept_inbound());
        let over = aimed.len().saturating_sub(open);
        let mut old: Vec<_> = aimed.into_iter().filter(|link| link.is_hash_selected()).collect();
        old.sort_by_key(|link| (link.up_since(), link.id()));
        old.iter().take(over).map(|link| link.id()).collect()
    }
}
