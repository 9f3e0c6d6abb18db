//! What each pair draws: whether a peer keeps a place for this node today, and who stays where too many peers are known.

use super::super::failpoint::Failpoint;
use super::candidate::{Candidate, Origin};
use super::peer::{Peer, Queued};
use super::{Dialler, KeepError, MAX_SUGGESTED, View};
use crate::key::PublicKey;
use crate::protocol::Now;

/// How often a node looks whether pairs have drawn anew, seconds: as far as clocks may differ.
const LOOK_EVERY_S: u64 = 60;

/// What a dialler's draws depend on.
#[derive(Debug)]
pub(super) struct Draws {
    /// Of whom those stay that have the least hash with it. Nobody else knows it.
    secret: [u8; 32],
    /// As of when the candidates have drawn, Unix seconds.
    as_of_s: u64,
}

impl Draws {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { secret: blake3::derive_key("vouchsafe candidates that stay v1", seed), as_of_s: 0 }
    }

    fn lot(&self, peer: &PublicKey) -> u64 {
        let hash = blake3::keyed_hash(&self.secret, peer.as_bytes());
        hash.as_bytes().first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    }
}

impl<A: Clone + Ord> Dialler<A> {
    /// A candidate that nobody has tried.
    pub(super) fn new_candidate(&mut self, origin: Origin, peer: &PublicKey) -> Candidate {
        Candidate::new(origin, self.is_aimed(peer), self.draws.lot(peer), self.random.next_u64())
    }

    /// Whether this node may be refused by `peer` though it has kept places left.
    fn is_aimed(&self, peer: &PublicKey) -> bool {
        let selected = || self.config.is_hash_selected(&self.network, &self.own, peer, self.draws.as_of_s);
        !self.config.lacks(Failpoint::AnyOrder) && !selected()
    }

    /// Lets the candidates draw, where another day has begun for some, or the network has another size.
    pub(super) fn draw(&mut self, now: Now, view: &impl View) {
        let unix_s = now.unix_ms / 1_000;
        let nodes = view.expected_nodes().unwrap_or(self.config.expected_nodes);
        if nodes == self.config.expected_nodes && unix_s.abs_diff(self.draws.as_of_s) < LOOK_EVERY_S {
            return;
        }
        (self.config.expected_nodes, self.draws.as_of_s) = (nodes, unix_s);
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            let aimed = self.is_aimed(&peer);
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            let queued = known.queued();
            let Some(candidate) = known.candidate_mut() else { continue };
            // Whoever waits in the order of candidates has another place in it.
            if candidate.draws(aimed)
                && let Some(Queued::Open(_)) = queued
            {
                let turn = candidate.turn(peer);
                self.queue(peer, Some(Queued::Open(turn)));
            }
        }
    }

    /// Makes room for one candidate more. What strangers named never drives out what the application named, nor keeps it out; and of what
    /// they named a secret hash decides who stays, or whoever names most would decide whom a node knows.
    pub(super) fn make_room(&mut self, origin: Origin, newcomer: &PublicKey) -> Result<(), KeepError> {
        if self.candidates < MAX_SUGGESTED {
            return Ok(());
        }
        let lot = self.draws.lot(newcomer);
        let may_go = |peer: &Peer<A>| {
            let candidate = peer.candidate().filter(|candidate| candidate.origin >= origin)?;
            let goes = match (origin, candidate.origin) {
                (Origin::Found, _) => peer.is_unused() && candidate.lot() > lot,
                (Origin::Told, Origin::Found) => peer.is_unused(),
                (Origin::Told, Origin::Told) => peer.is_in_vain(),
            };
            let vain = if origin == Origin::Found { 0 } else { candidate.vain };
            goes.then_some((candidate.origin, vain, candidate.lot()))
        };
        let all = self.peers.iter().filter_map(|(key, peer)| Some((may_go(peer)?, *key)));
        let (_, worst) = all.max().ok_or(KeepError::TooManyCandidates)?;
        self.let_go(&worst);
        Ok(())
    }
}
